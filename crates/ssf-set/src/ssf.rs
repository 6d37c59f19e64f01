//! The two events of SSF 1.0 about a stream itself. Their subject is the stream: `opaque`, with the
//! stream's identifier.

use serde_json::{Map, Value};

use crate::caep;
use crate::error::Error;
use crate::node::Object;
use crate::payload::Members;

/// `verification`: proof that a stream works (section 8.1.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// The state of the request. `None` when the transmitter started it by itself.
    pub state: Option<String>,
}

impl Verification {
    /// The event type.
    pub const URI: &'static str = "https://schemas.openid.net/secevent/ssf/event-type/verification";

    /// An event that echoes the state of a request.
    #[must_use]
    pub fn new(state: Option<String>) -> Self {
        Self { state }
    }

    pub(crate) fn read(payload: Object<'_>) -> Result<Self, Error> {
        let mut members = Members::new("verification", payload);
        Ok(Self {
            state: members.text("state")?,
        })
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        let mut payload = Map::new();
        caep::put(&mut payload, "state", self.state.as_deref());
        payload
    }
}

caep::vocabulary! {
    /// The status of a stream. A closed vocabulary.
    StreamStatus {
        /// Events are transmitted.
        Enabled = "enabled",
        /// Events are held.
        Paused = "paused",
        /// Events are neither transmitted nor held.
        Disabled = "disabled",
    }
}

/// `stream-updated`: the transmitter changed the status of the stream (section 8.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamUpdated {
    /// The new status.
    pub status: StreamStatus,
    /// Why. Untrusted text.
    pub reason: Option<String>,
}

impl StreamUpdated {
    /// The event type.
    pub const URI: &'static str =
        "https://schemas.openid.net/secevent/ssf/event-type/stream-updated";

    /// A new status.
    #[must_use]
    pub fn new(status: StreamStatus, reason: Option<String>) -> Self {
        Self { status, reason }
    }

    pub(crate) fn read(payload: Object<'_>) -> Result<Self, Error> {
        let mut members = Members::new("stream-updated", payload);
        Ok(Self {
            status: members.required_closed("status", StreamStatus::from_name)?,
            reason: members.text("reason")?,
        })
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        let mut payload = Map::new();
        caep::put(&mut payload, "status", Some(self.status.as_str()));
        caep::put(&mut payload, "reason", self.reason.as_deref());
        payload
    }
}
