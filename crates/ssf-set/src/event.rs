//! The events that are known here, by their URIs, and those that are not.

use serde_json::{Map, Value};

use crate::caep::{
    AssuranceLevelChange, Common, CredentialChange, DeviceComplianceChange, RiskLevelChange,
    SessionEstablished, SessionPresented, SessionRevoked, TokenClaimsChange,
};
use crate::error::{Error, Problem};
use crate::node::Node;
use crate::risc::{RiscEvent, RiscType};
use crate::ssf::{StreamUpdated, Verification};
use crate::subject::Subject;
use crate::text;

/// An event.
///
/// Event types are compared as exact strings: a URI that differs in case, scheme or a trailing slash
/// is another, unknown, event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// CAEP `session-revoked`.
    SessionRevoked(SessionRevoked),
    /// CAEP `token-claims-change`.
    TokenClaimsChange(TokenClaimsChange),
    /// CAEP `credential-change`.
    CredentialChange(CredentialChange),
    /// CAEP `assurance-level-change`.
    AssuranceLevelChange(AssuranceLevelChange),
    /// CAEP `device-compliance-change`.
    DeviceComplianceChange(DeviceComplianceChange),
    /// CAEP `session-established`.
    SessionEstablished(SessionEstablished),
    /// CAEP `session-presented`.
    SessionPresented(SessionPresented),
    /// CAEP `risk-level-change`.
    RiskLevelChange(RiskLevelChange),
    /// An event of RISC.
    Risc(RiscEvent),
    /// SSF `verification`.
    Verification(Verification),
    /// SSF `stream-updated`.
    StreamUpdated(StreamUpdated),
    /// An event type that is not known here, as it was received.
    Unknown(UnknownEvent),
}

/// An event of an unknown type, with its payload untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEvent {
    uri: String,
    payload: Map<String, Value>,
}

impl UnknownEvent {
    /// An event of an agreed type.
    ///
    /// # Errors
    ///
    /// [`Error::EventIdentifier`] when `uri` is not a URI, or is that of an event that is known here.
    pub fn new(uri: &str, payload: Map<String, Value>) -> Result<Self, Error> {
        if !text::is_uri(uri) || Event::is_known(uri) {
            return Err(Error::EventIdentifier { index: 0 });
        }
        Ok(Self {
            uri: uri.to_owned(),
            payload,
        })
    }

    /// The event type.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &Map<String, Value> {
        &self.payload
    }
}

macro_rules! known {
    ($($event:ident),+) => {
        impl Event {
            /// Whether the type with this URI is known here.
            #[must_use]
            pub fn is_known(uri: &str) -> bool {
                $(uri == $event::URI ||)+ RiscType::from_uri(uri).is_some()
            }

            /// Reads the payload of an event by its type, and by nothing else. `index` is its place in
            /// `events`, for the error.
            pub(crate) fn read(index: usize, uri: &str, payload: Node<'_>) -> Result<Self, Error> {
                // A type that is known is a URI.
                if !Self::is_known(uri) && !text::is_uri(uri) {
                    return Err(Error::EventIdentifier { index });
                }
                let Node::Object(payload) = payload else {
                    return Err(Error::EventPayload { index });
                };
                Ok(match uri {
                    $($event::URI => Self::$event($event::read(payload)?),)+
                    _ => match RiscType::from_uri(uri) {
                        Some(kind) => Self::Risc(RiscEvent::read(kind, payload)?),
                        None => Self::Unknown(UnknownEvent {
                            uri: uri.to_owned(),
                            payload: payload.into_map(),
                        }),
                    },
                })
            }

            /// The event type URI.
            #[must_use]
            pub fn uri(&self) -> &str {
                match self {
                    $(Self::$event(_) => $event::URI,)+
                    Self::Risc(event) => event.kind.uri(),
                    Self::Unknown(event) => &event.uri,
                }
            }

            /// The payload as it is sent.
            #[must_use]
            pub fn to_payload(&self) -> Map<String, Value> {
                match self {
                    $(Self::$event(event) => event.to_payload(),)+
                    Self::Risc(event) => event.to_payload(),
                    Self::Unknown(event) => event.payload.clone(),
                }
            }
        }

        $(impl From<$event> for Event {
            fn from(event: $event) -> Self {
                Self::$event(event)
            }
        })+
    };
}

known!(
    SessionRevoked,
    TokenClaimsChange,
    CredentialChange,
    AssuranceLevelChange,
    DeviceComplianceChange,
    SessionEstablished,
    SessionPresented,
    RiskLevelChange,
    Verification,
    StreamUpdated
);

impl From<RiscEvent> for Event {
    fn from(event: RiscEvent) -> Self {
        Self::Risc(event)
    }
}

impl From<UnknownEvent> for Event {
    fn from(event: UnknownEvent) -> Self {
        Self::Unknown(event)
    }
}

impl Event {
    /// The common claims of a CAEP event.
    #[must_use]
    pub fn common(&self) -> Option<&Common> {
        match self {
            Self::SessionRevoked(event) => Some(&event.common),
            Self::TokenClaimsChange(event) => Some(&event.common),
            Self::CredentialChange(event) => Some(&event.common),
            Self::AssuranceLevelChange(event) => Some(&event.common),
            Self::DeviceComplianceChange(event) => Some(&event.common),
            Self::SessionEstablished(event) => Some(&event.common),
            Self::SessionPresented(event) => Some(&event.common),
            Self::RiskLevelChange(event) => Some(&event.common),
            _ => None,
        }
    }

    /// `event_timestamp`, in seconds since the epoch.
    #[must_use]
    pub fn timestamp(&self) -> Option<u64> {
        match self {
            Self::Risc(event) => event.event_timestamp,
            other => other.common().and_then(|common| common.event_timestamp),
        }
    }

    /// What the type demands beyond its payload: of its subject, and of its time beside `iat`.
    pub(crate) fn check(&self, subject: Option<&Subject>, latest: u64) -> Result<(), Error> {
        if self.timestamp().is_some_and(|time| time > latest) {
            return Err(Error::EventAfterIssue { event: self.name() });
        }
        match (self, subject) {
            (Self::Risc(event), Some(subject)) => event.check_subject(subject),
            (Self::Verification(_) | Self::StreamUpdated(_), Some(subject))
                if subject
                    .as_simple()
                    .is_none_or(|simple| simple.format() != "opaque") =>
            {
                Err(Error::Event {
                    event: self.name(),
                    member: "sub_id",
                    problem: Problem::Form,
                })
            }
            _ => Ok(()),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::SessionRevoked(_) => "session-revoked",
            Self::TokenClaimsChange(_) => "token-claims-change",
            Self::CredentialChange(_) => "credential-change",
            Self::AssuranceLevelChange(_) => "assurance-level-change",
            Self::DeviceComplianceChange(_) => "device-compliance-change",
            Self::SessionEstablished(_) => "session-established",
            Self::SessionPresented(_) => "session-presented",
            Self::RiskLevelChange(_) => "risk-level-change",
            Self::Risc(_) => "(RISC)",
            Self::Verification(_) => "verification",
            Self::StreamUpdated(_) => "stream-updated",
            Self::Unknown(_) => "(unknown)",
        }
    }
}
