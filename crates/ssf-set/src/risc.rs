//! RISC 1.0: account events. Most have an empty payload, and what they mean is all in the URI.

mod account;
mod opt_out;

use serde_json::{Map, Value};

use crate::caep::put;
use crate::error::{Error, Problem};
use crate::node::Object;
use crate::payload::{LanguageMap, Members};
use crate::subject::{Subject, SubjectIdentifier};

pub use account::{Account, AccountState, Outcome};
pub use opt_out::OptOut;

/// What all event type URIs of RISC begin with.
pub const BASE: &str = "https://schemas.openid.net/secevent/risc/event-type/";

/// An event type of RISC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RiscType {
    /// The account was made to change a credential.
    AccountCredentialChangeRequired,
    /// The account has been deleted.
    AccountPurged,
    /// The account was disabled; `reason` may say why.
    AccountDisabled,
    /// The account was enabled. By itself this undoes no protective measure of the receiver.
    AccountEnabled,
    /// The identifier changed: the subject has the old value, `new-value` may have the new one.
    IdentifierChanged,
    /// The identifier belongs to somebody else now.
    IdentifierRecycled,
    /// A credential was found to be compromised.
    CredentialCompromise,
    /// The account opted in.
    OptIn,
    /// The account started to opt out.
    OptOutInitiated,
    /// The account cancelled opting out.
    OptOutCancelled,
    /// The account opted out.
    OptOutEffective,
    /// Recovery of the account was started.
    RecoveryActivated,
    /// Recovery data of the account changed.
    RecoveryInformationChanged,
    /// All sessions of the account were revoked: deprecated, and read only. The event for new
    /// services is [`caep::SessionRevoked`](crate::caep::SessionRevoked), whose URI has no `s`.
    SessionsRevoked,
}

const TYPES: [(RiscType, &str); 14] = [
    (
        RiscType::AccountCredentialChangeRequired,
        "https://schemas.openid.net/secevent/risc/event-type/account-credential-change-required",
    ),
    (
        RiscType::AccountPurged,
        "https://schemas.openid.net/secevent/risc/event-type/account-purged",
    ),
    (
        RiscType::AccountDisabled,
        "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
    ),
    (
        RiscType::AccountEnabled,
        "https://schemas.openid.net/secevent/risc/event-type/account-enabled",
    ),
    (
        RiscType::IdentifierChanged,
        "https://schemas.openid.net/secevent/risc/event-type/identifier-changed",
    ),
    (
        RiscType::IdentifierRecycled,
        "https://schemas.openid.net/secevent/risc/event-type/identifier-recycled",
    ),
    (
        RiscType::CredentialCompromise,
        "https://schemas.openid.net/secevent/risc/event-type/credential-compromise",
    ),
    (
        RiscType::OptIn,
        "https://schemas.openid.net/secevent/risc/event-type/opt-in",
    ),
    (
        RiscType::OptOutInitiated,
        "https://schemas.openid.net/secevent/risc/event-type/opt-out-initiated",
    ),
    (
        RiscType::OptOutCancelled,
        "https://schemas.openid.net/secevent/risc/event-type/opt-out-cancelled",
    ),
    (
        RiscType::OptOutEffective,
        "https://schemas.openid.net/secevent/risc/event-type/opt-out-effective",
    ),
    (
        RiscType::RecoveryActivated,
        "https://schemas.openid.net/secevent/risc/event-type/recovery-activated",
    ),
    (
        RiscType::RecoveryInformationChanged,
        "https://schemas.openid.net/secevent/risc/event-type/recovery-information-changed",
    ),
    (
        RiscType::SessionsRevoked,
        "https://schemas.openid.net/secevent/risc/event-type/sessions-revoked",
    ),
];

impl RiscType {
    /// The type with this URI, compared exactly.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        TYPES
            .iter()
            .find(|(_, known)| *known == uri)
            .map(|(kind, _)| *kind)
    }

    /// The event type URI.
    #[must_use]
    pub fn uri(self) -> &'static str {
        TYPES
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or(BASE, |(_, uri)| uri)
    }

    fn name(self) -> &'static str {
        self.uri().strip_prefix(BASE).unwrap_or_default()
    }
}

/// An event of RISC.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RiscEvent {
    /// Its type.
    pub kind: RiscType,
    /// `reason` of account-disabled: `hijacking`, `bulk-account` or another. Untrusted text.
    pub reason: Option<String>,
    /// `new-value` of identifier-changed: what the transmitter says. It is not to be applied unless
    /// the issuer is the authority for the identifier.
    pub new_value: Option<String>,
    /// `credential_type` of credential-compromise, where it is always present.
    pub credential_type: Option<String>,
    /// When the transmitter discovered a compromise, in seconds since the epoch.
    pub event_timestamp: Option<u64>,
    /// Text for administrators, of credential-compromise.
    pub reason_admin: Option<LanguageMap>,
    /// Text for users, of credential-compromise.
    pub reason_user: Option<LanguageMap>,
    /// Members that the event type does not define.
    pub extra: Map<String, Value>,
}

impl RiscEvent {
    /// An event without members.
    ///
    /// # Errors
    ///
    /// [`Error::Event`] for credential-compromise, which has to say the type of the credential, and
    /// for the deprecated sessions-revoked.
    pub fn new(kind: RiscType) -> Result<Self, Error> {
        match kind {
            RiscType::CredentialCompromise => Err(Error::Event {
                event: kind.name(),
                member: "credential_type",
                problem: Problem::Missing,
            }),
            RiscType::SessionsRevoked => Err(Error::Event {
                event: kind.name(),
                member: "(deprecated event type; send CAEP session-revoked)",
                problem: Problem::Forbidden,
            }),
            _ => Ok(Self::empty(kind)),
        }
    }

    /// A `credential-compromise`.
    ///
    /// # Errors
    ///
    /// [`Error::Event`] when `credential_type` is empty.
    pub fn credential_compromise(credential_type: &str) -> Result<Self, Error> {
        if credential_type.is_empty() {
            return Err(Error::Event {
                event: "credential-compromise",
                member: "credential_type",
                problem: Problem::Empty,
            });
        }
        Ok(Self {
            credential_type: Some(credential_type.to_owned()),
            ..Self::empty(RiscType::CredentialCompromise)
        })
    }

    /// An `identifier-changed` about `old`, which is the subject of the SET, with the new value if it is to be told. Only
    /// the authority for the identifier sends it, such as the mail provider of the domain; others whose user changed a
    /// name send [`RiscType::RecoveryInformationChanged`].
    ///
    /// # Errors
    ///
    /// [`Error::Event`] when `old` is neither an email address nor a telephone number, and when `new` is empty.
    pub fn identifier_changed(
        old: SubjectIdentifier,
        new: Option<&str>,
    ) -> Result<(Subject, Self), Error> {
        if new.is_some_and(str::is_empty) {
            return Err(Error::Event {
                event: "identifier-changed",
                member: "new-value",
                problem: Problem::Empty,
            });
        }
        let event = Self {
            new_value: new.map(str::to_owned),
            ..Self::empty(RiscType::IdentifierChanged)
        };
        let subject = Subject::from(old);
        event.check_subject(&subject)?;
        Ok((subject, event))
    }

    fn empty(kind: RiscType) -> Self {
        Self {
            kind,
            reason: None,
            new_value: None,
            credential_type: None,
            event_timestamp: None,
            reason_admin: None,
            reason_user: None,
            extra: Map::new(),
        }
    }

    pub(crate) fn read(kind: RiscType, payload: Object<'_>) -> Result<Self, Error> {
        let mut members = Members::new(kind.name(), payload);
        let mut event = Self::empty(kind);
        match kind {
            RiscType::AccountDisabled => event.reason = members.text("reason")?,
            RiscType::IdentifierChanged => event.new_value = members.text("new-value")?,
            RiscType::CredentialCompromise => {
                event.credential_type = Some(members.required_text("credential_type")?);
                event.event_timestamp = members.seconds("event_timestamp")?;
                event.reason_admin = members.reason("reason_admin")?;
                event.reason_user = members.reason("reason_user")?;
            }
            _ => {}
        }
        event.extra = members.rest();
        Ok(event)
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        let mut payload = self.extra.clone();
        put(&mut payload, "reason", self.reason.as_deref());
        put(&mut payload, "new-value", self.new_value.as_deref());
        put(
            &mut payload,
            "credential_type",
            self.credential_type.as_deref(),
        );
        if let Some(seconds) = self.event_timestamp {
            payload.insert("event_timestamp".to_owned(), seconds.into());
        }
        for (name, reason) in [
            ("reason_admin", &self.reason_admin),
            ("reason_user", &self.reason_user),
        ] {
            if let Some(reason) = reason {
                payload.insert(name.to_owned(), reason.to_value());
            }
        }
        payload
    }

    /// Two event types are about an email address or a telephone number only.
    pub(crate) fn check_subject(&self, subject: &Subject) -> Result<(), Error> {
        let demands = matches!(
            self.kind,
            RiscType::IdentifierChanged | RiscType::IdentifierRecycled
        );
        let fits = matches!(
            subject,
            Subject::Simple(
                SubjectIdentifier::Email { .. } | SubjectIdentifier::PhoneNumber { .. }
            )
        );
        if demands && !fits {
            return Err(Error::Event {
                event: self.kind.name(),
                member: "sub_id",
                problem: Problem::Form,
            });
        }
        Ok(())
    }
}
