//! Errors, and the codes with which the delivery protocols report them.

use std::fmt;

use jose_x509::{Error as JoseError, Fault};

/// What is wrong with a claim or member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// It is required and absent.
    Missing,
    /// It must not be there.
    Forbidden,
    /// It has the wrong JSON type.
    Type,
    /// It is an empty string, array or object.
    Empty,
    /// It does not have the form that its definition demands.
    Form,
    /// It is not one of the defined values.
    Value,
    /// It is longer or has more elements than is accepted.
    TooLong,
    /// It lies outside the accepted range.
    Range,
}

impl Problem {
    const fn text(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::Forbidden => "must not be present",
            Self::Type => "has the wrong JSON type",
            Self::Empty => "is empty",
            Self::Form => "does not have the form that its definition demands",
            Self::Value => "is not one of the defined values",
            Self::TooLong => "is longer than is accepted",
            Self::Range => "is out of range",
        }
    }
}

/// A SET error code (RFC 8935 section 2.4, with the addition of SSF 1.0).
///
/// Codes that are not known are kept as they are, since the registry can grow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SetErrorCode {
    /// The body is not a SET, or a payload breaks the definition of its event.
    InvalidRequest,
    /// A key that was used is invalid or unacceptable.
    InvalidKey,
    /// The issuer is not one from which the receiver takes SETs.
    InvalidIssuer,
    /// The receiver is not among the audience.
    InvalidAudience,
    /// The transmitter could not be authenticated.
    AuthenticationFailed,
    /// The transmitter may not send this SET here.
    AccessDenied,
    /// The state of a verification event is not the expected one.
    InvalidState,
    /// Another code, as the peer sent it: untrusted text.
    Other(String),
}

impl SetErrorCode {
    /// Reads a code. The comparison is exact.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "invalid_request" => Self::InvalidRequest,
            "invalid_key" => Self::InvalidKey,
            "invalid_issuer" => Self::InvalidIssuer,
            "invalid_audience" => Self::InvalidAudience,
            "authentication_failed" => Self::AuthenticationFailed,
            "access_denied" => Self::AccessDenied,
            "invalid_state" => Self::InvalidState,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The code as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidKey => "invalid_key",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidAudience => "invalid_audience",
            Self::AuthenticationFailed => "authentication_failed",
            Self::AccessDenied => "access_denied",
            Self::InvalidState => "invalid_state",
            Self::Other(other) => other,
        }
    }
}

impl fmt::Display for SetErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", crate::text::Escaped(self.as_str()))
    }
}

/// Every way in which this crate refuses something. No variant carries a token or a claim's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token itself: structure, type, key, signature or registered claim.
    #[error("SET: {0}")]
    Token(JoseError),
    /// The SET is signed and not encrypted, and this receiver demands both.
    #[error("SET: it is not encrypted; sign it, then encrypt it to a key of this receiver")]
    NotEncrypted,
    /// A SET has one recipient when it is encrypted, and its audience is not one.
    #[error(
        "SET: an encrypted SET is for one recipient; issue one for each audience, or give the audiences one key"
    )]
    SeveralRecipients,
    /// `iss` is not an issuer that is configured here.
    #[error("SET: claim `iss` is not an issuer from which SETs are taken here")]
    UnknownIssuer,
    /// A claim of the envelope.
    #[error("SET: claim `{claim}` {}", .problem.text())]
    Claim {
        /// The claim.
        claim: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// More event identifiers than the profile allows.
    #[error("SET: claim `events` has more than the {limit} event(s) that the profile allows")]
    EventCount {
        /// The limit.
        limit: usize,
    },
    /// The issuer is not one that may speak about this subject.
    #[error("SET: the issuer is not believed about this subject here")]
    NoAuthority,
    /// A member name of `events` is not a URI.
    #[error("SET: member {index} of `events` is not named by a URI")]
    EventIdentifier {
        /// Position of the member, in the order of its name.
        index: usize,
    },
    /// A member of `events` is not a JSON object.
    #[error("SET: member {index} of `events` is not a JSON object; an empty payload is `{{}}`")]
    EventPayload {
        /// Position of the member, in the order of its name.
        index: usize,
    },
    /// The policy demands that every event be understood.
    #[error("SET: member {index} of `events` is an event type that is not understood here")]
    UnknownEvent {
        /// Position of the member, in the order of its name.
        index: usize,
    },
    /// A member of an event's payload.
    #[error("event {event}: member `{member}` {}", .problem.text())]
    Event {
        /// The event type, by the last segment of its URI.
        event: &'static str,
        /// The member.
        member: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A subject identifier or one of its members.
    #[error("subject of format `{format}`: member `{member}` {}", .problem.text())]
    Subject {
        /// The format, as far as it is a known one.
        format: &'static str,
        /// The member.
        member: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The text is not strict JSON.
    #[error("subject: {0}")]
    Json(jose_x509::json::JsonError),
    /// The event is said to have happened after the SET was issued.
    #[error("event {event}: `event_timestamp` lies after the SET's `iat`; is it in milliseconds?")]
    EventAfterIssue {
        /// The event type, by the last segment of its URI.
        event: &'static str,
    },
    /// The SET was received before, or the guard has no room.
    #[error("SET: {0}")]
    Replay(JoseError),
    /// An option of the caller is outside its range.
    #[error("option `{option}` is outside its range: {range}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// The accepted range.
        range: &'static str,
    },
}

impl Error {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Token(source) | Self::Replay(source) => source.code(),
            Self::NotEncrypted => "not_encrypted",
            Self::SeveralRecipients => "several_recipients",
            Self::UnknownIssuer => "issuer_mismatch",
            Self::Claim { problem, .. } => match problem {
                Problem::Missing => "missing_claim",
                Problem::Forbidden => "forbidden_claim",
                _ => "claim_type",
            },
            Self::NoAuthority => "no_authority",
            Self::EventCount { .. } => "event_count",
            Self::EventIdentifier { .. } => "event_identifier",
            Self::EventPayload { .. } => "event_payload",
            Self::UnknownEvent { .. } => "unknown_event",
            Self::Event { .. } => "event_member",
            Self::Subject {
                problem: Problem::Value,
                member: "format",
                ..
            } => "subject_format",
            Self::Subject { .. } => "subject_member",
            Self::Json(source) => source.kind().code(),
            Self::EventAfterIssue { .. } => "event_after_issue",
            Self::InvalidOption { .. } => "invalid_option",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Token(source) | Self::Replay(source) => source.fault(),
            Self::UnknownIssuer
            | Self::NoAuthority
            | Self::UnknownEvent { .. }
            | Self::NotEncrypted => Fault::Policy,
            Self::InvalidOption { .. } | Self::SeveralRecipients => Fault::Configuration,
            _ => Fault::Peer,
        }
    }

    /// Whether fetching the issuer's keys anew may help.
    #[must_use]
    pub fn refresh_may_help(&self) -> bool {
        matches!(self, Self::Token(source) if source.refresh_may_help())
    }

    /// Whether the same SET may be accepted later, without a change of the SET.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.fault() == Fault::Transient || self.refresh_may_help()
    }

    /// Whether this is a SET that was accepted before: to be answered as if it were new, and not to
    /// be acted upon again.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        matches!(self, Self::Replay(JoseError::Replayed))
    }

    /// What to tell the transmitter. `None` for what is no fault of the SET: a failure of this side,
    /// and a repeated SET, which is answered like the first.
    #[must_use]
    pub fn set_error_code(&self) -> Option<SetErrorCode> {
        match self {
            Self::Replay(_) | Self::InvalidOption { .. } | Self::SeveralRecipients => None,
            Self::UnknownIssuer => Some(SetErrorCode::InvalidIssuer),
            Self::NoAuthority => Some(SetErrorCode::AccessDenied),
            Self::Claim { claim: "aud", .. } => Some(SetErrorCode::InvalidAudience),
            Self::Token(source) => match source {
                JoseError::UnknownKey
                | JoseError::AmbiguousKey
                | JoseError::AlgorithmMismatch { .. }
                | JoseError::AlgorithmNotAllowed { .. }
                | JoseError::UnsupportedAlgorithm
                | JoseError::InvalidKey { .. }
                | JoseError::InvalidSignature
                | JoseError::EmptySignature
                | JoseError::HeaderKeyMaterial { .. }
                | JoseError::EncryptedNotSigned
                | JoseError::X509(_) => Some(SetErrorCode::InvalidKey),
                #[cfg(feature = "jwe")]
                JoseError::Jwe(source) => encrypted(source),
                JoseError::IssuerMismatch => Some(SetErrorCode::InvalidIssuer),
                JoseError::AudienceMismatch
                | JoseError::MultipleAudiences
                | JoseError::MissingClaim { claim: "aud" } => Some(SetErrorCode::InvalidAudience),
                _ if source.fault() == Fault::Transient => None,
                _ => Some(SetErrorCode::InvalidRequest),
            },
            _ => Some(SetErrorCode::InvalidRequest),
        }
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::Token(source) => match source {
                JoseError::WrongType => "SET-2.3-4",
                JoseError::MissingClaim { claim: "iss" } => "SET-2.2-1",
                JoseError::MissingClaim { claim: "iat" } => "SET-2.2-3",
                JoseError::MissingClaim { claim: "jti" } => "SET-2.2-4",
                JoseError::MissingClaim { claim: "aud" } => "SET-2.2-6",
                JoseError::AudienceMismatch => "SET-2.2-7",
                JoseError::ForbiddenClaim { claim: "exp" } => "SSF-4.1.7-1",
                JoseError::Expired => "SET-2.2-10",
                JoseError::EncryptedNotSigned => "SET-2.4-3",
                JoseError::UnsupportedAlgorithm | JoseError::EmptySignature => "SET-2.4-2",
                JoseError::InvalidSignature => "SET-5.1-1",
                JoseError::UnknownKey | JoseError::AmbiguousKey => "SET-5.1-2",
                other => return other.requirement(),
            },
            Self::NotEncrypted | Self::SeveralRecipients => "SET-5.1-4",
            Self::UnknownIssuer => "SSF-4.1.6-2",
            Self::NoAuthority => "RISC-2.5-5",
            Self::Claim {
                claim: "events", ..
            } => "SET-2-1",
            Self::Claim { claim: "sub", .. } => "SSF-4.1.2-1",
            Self::Claim {
                claim: "sub_id", ..
            } => "SSF-3.1-1",
            Self::Claim { claim: "txn", .. } => "SET-2.2-14",
            Self::Claim { claim: "toe", .. } => "SET-2.2-15",
            Self::Claim { claim: "iat", .. } => "SET-2.2-3",
            Self::Claim { claim: "jti", .. } => "SET-2.2-4",
            Self::Claim { .. } => "SET-2.2-1",
            Self::EventCount { .. } => "SSF-4.2.1-1",
            Self::EventIdentifier { .. } => "SET-1.2-1",
            Self::EventPayload { .. } => "SET-1.2-2",
            Self::UnknownEvent { .. } => "SET-3-3",
            Self::Event { member, .. } => match *member {
                "event_timestamp" => "CAEP-2-1",
                "initiating_entity" => "CAEP-2-3",
                "reason_admin" => "CAEP-2-5",
                "reason_user" => "CAEP-2-7",
                "principal" => "CAEP-3.8.1-2",
                "change_type" => "CAEP-3.3.1-3",
                "credential_type" => "CAEP-3.3.1-1",
                _ => "SET-PUSH-2.4-1",
            },
            Self::Subject {
                member: "format", ..
            } => "SUBID-3-1",
            Self::Subject {
                problem: Problem::Forbidden,
                ..
            } => "SUBID-3-5",
            Self::Subject {
                problem: Problem::Missing,
                ..
            } => "SUBID-3-6",
            Self::Subject { .. } => "SUBID-3-3",
            Self::Json(_) => "SUBID-3-1",
            Self::EventAfterIssue { .. } => "CAEP-2-1",
            Self::Replay(_) => "SET-2.2-5",
            Self::InvalidOption { .. } => return None,
        })
    }
}

impl From<JoseError> for Error {
    fn from(source: JoseError) -> Self {
        Self::Token(source)
    }
}

/// What to tell the transmitter of an encrypted SET: about the key that it used, or about the SET.
#[cfg(feature = "jwe")]
fn encrypted(source: &jose_x509::jwe::JweError) -> Option<SetErrorCode> {
    use jose_x509::jwe::JweError;

    match source {
        JweError::UnsupportedKeyManagement
        | JweError::UnsupportedContentEncryption
        | JweError::ContentEncryptionNotAllowed
        | JweError::KeyMismatch
        | JweError::UnknownRecipientKey
        | JweError::InvalidEphemeralKey { .. }
        | JweError::DecryptionFailed => Some(SetErrorCode::InvalidKey),
        JweError::EncryptionFailed => None,
        _ => Some(SetErrorCode::InvalidRequest),
    }
}
