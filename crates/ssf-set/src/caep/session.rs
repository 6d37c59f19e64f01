//! Sessions: revoked, established, presented.

use serde_json::{Map, Value};

use crate::caep::Common;
use crate::error::Error;
use crate::node::Object;
use crate::payload::Members;

/// `session-revoked`: the sessions that the subject identifies have been revoked. With a complex
/// subject these are the sessions that fit every member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRevoked {
    /// The common claims; it has no others.
    pub common: Common,
}

impl SessionRevoked {
    /// The event type.
    pub const URI: &'static str =
        "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

    /// An event with these common claims.
    #[must_use]
    pub fn new(common: Common) -> Self {
        Self { common }
    }

    pub(crate) fn read(payload: Object<'_>) -> Result<Self, Error> {
        Common::take(Members::new("session-revoked", payload)).map(Self::new)
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        self.common.to_payload()
    }
}

/// `session-established`: the transmitter began a session for the subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionEstablished {
    /// The common claims.
    pub common: Common,
    /// A fingerprint of the user agent, which describes the session and does not identify it.
    pub fp_ua: Option<String>,
    /// As in an ID Token.
    pub acr: Option<String>,
    /// As in an ID Token.
    pub amr: Option<Vec<String>>,
    /// An identifier of a wider session, for correlation.
    pub ext_id: Option<String>,
}

impl SessionEstablished {
    /// The event type.
    pub const URI: &'static str =
        "https://schemas.openid.net/secevent/caep/event-type/session-established";

    /// An event with these common claims.
    #[must_use]
    pub fn new(common: Common) -> Self {
        Self {
            common,
            ..Self::default()
        }
    }

    pub(crate) fn read(payload: Object<'_>) -> Result<Self, Error> {
        let mut members = Members::new("session-established", payload);
        Ok(Self {
            fp_ua: members.text("fp_ua")?,
            acr: members.text("acr")?,
            amr: members.texts("amr")?,
            ext_id: members.text("ext_id")?,
            common: Common::take(members)?,
        })
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        let mut payload = self.common.to_payload();
        put(&mut payload, "fp_ua", self.fp_ua.as_deref());
        put(&mut payload, "acr", self.acr.as_deref());
        put(&mut payload, "ext_id", self.ext_id.as_deref());
        if let Some(amr) = &self.amr {
            payload.insert("amr".to_owned(), amr.clone().into());
        }
        payload
    }
}

/// `session-presented`: the transmitter saw the session in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionPresented {
    /// The common claims.
    pub common: Common,
    /// A fingerprint of the user agent.
    pub fp_ua: Option<String>,
    /// An identifier of a wider session, for correlation.
    pub ext_id: Option<String>,
}

impl SessionPresented {
    /// The event type.
    pub const URI: &'static str =
        "https://schemas.openid.net/secevent/caep/event-type/session-presented";

    /// An event with these common claims.
    #[must_use]
    pub fn new(common: Common) -> Self {
        Self {
            common,
            ..Self::default()
        }
    }

    pub(crate) fn read(payload: Object<'_>) -> Result<Self, Error> {
        let mut members = Members::new("session-presented", payload);
        Ok(Self {
            fp_ua: members.text("fp_ua")?,
            ext_id: members.text("ext_id")?,
            common: Common::take(members)?,
        })
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        let mut payload = self.common.to_payload();
        put(&mut payload, "fp_ua", self.fp_ua.as_deref());
        put(&mut payload, "ext_id", self.ext_id.as_deref());
        payload
    }
}

pub(crate) fn put(payload: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        payload.insert(name.to_owned(), value.into());
    }
}
