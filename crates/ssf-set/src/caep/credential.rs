//! Changes of token claims, credentials, assurance and device compliance.

use serde_json::{Map, Value};

use crate::caep::common::{Common, vocabulary};
use crate::caep::session::put;
use crate::error::{Error, Problem};
use crate::node::{Node, Object};
use crate::payload::Members;

/// `token-claims-change`: claims of the token that is the subject have new values.
///
/// The values are what the transmitter says. A receiver that takes any over does so by a list of
/// claim names of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenClaimsChange {
    /// The common claims.
    pub common: Common,
    /// The new values, at least one.
    pub claims: Map<String, Value>,
}

impl TokenClaimsChange {
    /// The event type.
    pub const URI: &'static str =
        "https://schemas.openid.net/secevent/caep/event-type/token-claims-change";

    /// A change of these claims.
    ///
    /// # Errors
    ///
    /// [`Error::Event`] without a claim.
    pub fn new(common: Common, claims: Map<String, Value>) -> Result<Self, Error> {
        if claims.is_empty() {
            return Err(Error::Event {
                event: "token-claims-change",
                member: "claims",
                problem: Problem::Empty,
            });
        }
        Ok(Self { common, claims })
    }

    pub(crate) fn read(payload: Object<'_>) -> Result<Self, Error> {
        let mut members = Members::new("token-claims-change", payload);
        let claims = match members.take("claims") {
            None => return Err(members.wrong("claims", Problem::Missing)),
            Some(Node::Object(claims)) => claims.into_map(),
            Some(_) => return Err(members.wrong("claims", Problem::Type)),
        };
        Self::new(Common::take(members)?, claims)
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        let mut payload = self.common.to_payload();
        payload.insert("claims".to_owned(), self.claims.clone().into());
        payload
    }
}

vocabulary! {
    /// What happened to a credential. A closed vocabulary.
    ChangeType {
        /// It was created.
        Create = "create",
        /// It was revoked.
        Revoke = "revoke",
        /// It was changed.
        Update = "update",
        /// It was deleted.
        Delete = "delete",
    }
}

/// `credential-change`: a credential was created, changed, revoked or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialChange {
    /// The common claims.
    pub common: Common,
    /// `password`, `pin`, `x509`, `fido2-platform`, `fido2-roaming`, `fido-u2f`,
    /// `verifiable-credential`, `phone-voice`, `phone-sms`, `app`, or an agreed one.
    pub credential_type: String,
    /// What happened to it.
    pub change_type: ChangeType,
    /// A name for display. Untrusted text.
    pub friendly_name: Option<String>,
    /// The issuer of the certificate.
    pub x509_issuer: Option<String>,
    /// The serial number of the certificate, in a notation that the parties agree upon.
    pub x509_serial: Option<String>,
    /// The authenticator's AAGUID.
    pub fido2_aaguid: Option<String>,
}

impl CredentialChange {
    /// The event type.
    pub const URI: &'static str =
        "https://schemas.openid.net/secevent/caep/event-type/credential-change";

    /// A change of a credential.
    ///
    /// # Errors
    ///
    /// [`Error::Event`] when `credential_type` is empty.
    pub fn new(
        common: Common,
        credential_type: &str,
        change_type: ChangeType,
    ) -> Result<Self, Error> {
        if credential_type.is_empty() {
            return Err(Error::Event {
                event: "credential-change",
                member: "credential_type",
                problem: Problem::Empty,
            });
        }
        Ok(Self {
            common,
            credential_type: credential_type.to_owned(),
            change_type,
            friendly_name: None,
            x509_issuer: None,
            x509_serial: None,
            fido2_aaguid: None,
        })
    }

    pub(crate) fn read(payload: Object<'_>) -> Result<Self, Error> {
        let mut members = Members::new("credential-change", payload);
        Ok(Self {
            credential_type: members.required_text("credential_type")?,
            change_type: members.required_closed("change_type", ChangeType::from_name)?,
            friendly_name: members.text("friendly_name")?,
            x509_issuer: members.text("x509_issuer")?,
            x509_serial: members.text("x509_serial")?,
            fido2_aaguid: members.text("fido2_aaguid")?,
            common: Common::take(members)?,
        })
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        let mut payload = self.common.to_payload();
        put(&mut payload, "credential_type", Some(&self.credential_type));
        put(&mut payload, "change_type", Some(self.change_type.as_str()));
        put(&mut payload, "friendly_name", self.friendly_name.as_deref());
        put(&mut payload, "x509_issuer", self.x509_issuer.as_deref());
        put(&mut payload, "x509_serial", self.x509_serial.as_deref());
        put(&mut payload, "fido2_aaguid", self.fido2_aaguid.as_deref());
        payload
    }
}

vocabulary! {
    /// Which way a level went. Informational: the levels decide. A closed vocabulary.
    ChangeDirection {
        /// Up.
        Increase = "increase",
        /// Down.
        Decrease = "decrease",
    }
}

/// `assurance-level-change`: the assurance of the authentication changed since the login.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssuranceLevelChange {
    /// The common claims.
    pub common: Common,
    /// Where the levels come from: `RFC8176`, `RFC6711`, `ISO-IEC-29115`, `NIST-IAL`, `NIST-AAL`,
    /// `NIST-FAL`, or an agreed alias.
    pub namespace: String,
    /// The level now.
    pub current_level: String,
    /// The level before. `None` means that the transmitter does not know it.
    pub previous_level: Option<String>,
    /// Which way it went.
    pub change_direction: Option<ChangeDirection>,
}

impl AssuranceLevelChange {
    /// The event type.
    pub const URI: &'static str =
        "https://schemas.openid.net/secevent/caep/event-type/assurance-level-change";

    /// A change to a level of a namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Event`] when one is empty.
    pub fn new(common: Common, namespace: &str, current_level: &str) -> Result<Self, Error> {
        for (member, value) in [("namespace", namespace), ("current_level", current_level)] {
            if value.is_empty() {
                return Err(Error::Event {
                    event: "assurance-level-change",
                    member,
                    problem: Problem::Empty,
                });
            }
        }
        Ok(Self {
            common,
            namespace: namespace.to_owned(),
            current_level: current_level.to_owned(),
            previous_level: None,
            change_direction: None,
        })
    }

    /// Whether the direction contradicts the levels, as far as their order is known: the last digit of the levels of NIST
    /// and of ISO/IEC 29115. The levels decide; a contradiction is worth a line in a log, and no privilege.
    #[must_use]
    pub fn direction_contradicts_levels(&self) -> bool {
        let known = ["NIST-IAL", "NIST-AAL", "NIST-FAL", "ISO-IEC-29115"];
        if !known.contains(&self.namespace.as_str()) {
            return false;
        }
        let level = |text: &str| text.bytes().last().filter(u8::is_ascii_digit);
        let (Some(previous), Some(direction)) = (&self.previous_level, self.change_direction)
        else {
            return false;
        };
        let (Some(previous), Some(current)) = (level(previous), level(&self.current_level)) else {
            return false;
        };
        match direction {
            ChangeDirection::Increase => current <= previous,
            ChangeDirection::Decrease => current >= previous,
        }
    }

    /// Sets the level before, and which way it went: one is not given without the other.
    #[must_use]
    pub fn with_previous(mut self, level: impl Into<String>, direction: ChangeDirection) -> Self {
        self.previous_level = Some(level.into());
        self.change_direction = Some(direction);
        self
    }

    pub(crate) fn read(payload: Object<'_>) -> Result<Self, Error> {
        let mut members = Members::new("assurance-level-change", payload);
        Ok(Self {
            namespace: members.required_text("namespace")?,
            current_level: members.required_text("current_level")?,
            previous_level: members.text("previous_level")?,
            change_direction: members.closed("change_direction", ChangeDirection::from_name)?,
            common: Common::take(members)?,
        })
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        let mut payload = self.common.to_payload();
        put(&mut payload, "namespace", Some(&self.namespace));
        put(&mut payload, "current_level", Some(&self.current_level));
        put(
            &mut payload,
            "previous_level",
            self.previous_level.as_deref(),
        );
        put(
            &mut payload,
            "change_direction",
            self.change_direction.map(ChangeDirection::as_str),
        );
        payload
    }
}

vocabulary! {
    /// Whether a device complies. A closed vocabulary.
    ComplianceStatus {
        /// It does.
        Compliant = "compliant",
        /// It does not.
        NotCompliant = "not-compliant",
    }
}

/// `device-compliance-change`: a device's compliance changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceComplianceChange {
    /// The common claims.
    pub common: Common,
    /// Before.
    pub previous_status: ComplianceStatus,
    /// Now.
    pub current_status: ComplianceStatus,
}

impl DeviceComplianceChange {
    /// The event type.
    pub const URI: &'static str =
        "https://schemas.openid.net/secevent/caep/event-type/device-compliance-change";

    /// A change from one status to another.
    #[must_use]
    pub fn new(
        common: Common,
        previous_status: ComplianceStatus,
        current_status: ComplianceStatus,
    ) -> Self {
        Self {
            common,
            previous_status,
            current_status,
        }
    }

    pub(crate) fn read(payload: Object<'_>) -> Result<Self, Error> {
        let mut members = Members::new("device-compliance-change", payload);
        let of = ComplianceStatus::from_name;
        Ok(Self {
            previous_status: members.required_closed("previous_status", of)?,
            current_status: members.required_closed("current_status", of)?,
            common: Common::take(members)?,
        })
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        let mut payload = self.common.to_payload();
        put(
            &mut payload,
            "previous_status",
            Some(self.previous_status.as_str()),
        );
        put(
            &mut payload,
            "current_status",
            Some(self.current_status.as_str()),
        );
        payload
    }
}
