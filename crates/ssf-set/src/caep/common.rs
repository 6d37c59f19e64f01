//! The claims that every CAEP event may have.

use serde_json::{Map, Value};

use crate::error::Error;
use crate::payload::{LanguageMap, Members};

/// A closed vocabulary: exactly these values, anything else is an error.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// The value as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Reads a value. The comparison is exact.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use vocabulary;

vocabulary! {
    /// Who caused an event. A closed vocabulary.
    InitiatingEntity {
        /// An administrator.
        Admin = "admin",
        /// The user.
        User = "user",
        /// A policy.
        Policy = "policy",
        /// The system.
        System = "system",
    }
}

/// The optional claims that every CAEP event may have (section 2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Common {
    /// When the event happened, in seconds since the epoch.
    pub event_timestamp: Option<u64>,
    /// Who caused it.
    pub initiating_entity: Option<InitiatingEntity>,
    /// Text for logs and audit; not for users.
    pub reason_admin: Option<LanguageMap>,
    /// Text that may be shown to the user.
    pub reason_user: Option<LanguageMap>,
    /// Members that the event type does not define.
    pub extra: Map<String, Value>,
}

impl Common {
    /// With the time of the event, in seconds since the epoch.
    #[must_use]
    pub fn at(event_timestamp: u64) -> Self {
        Self {
            event_timestamp: Some(event_timestamp),
            ..Self::default()
        }
    }

    /// Sets who caused the event.
    #[must_use]
    pub fn with_initiating_entity(mut self, entity: InitiatingEntity) -> Self {
        self.initiating_entity = Some(entity);
        self
    }

    /// Sets the text for administrators.
    #[must_use]
    pub fn with_reason_admin(mut self, reason: LanguageMap) -> Self {
        self.reason_admin = Some(reason);
        self
    }

    /// Sets the text for users.
    #[must_use]
    pub fn with_reason_user(mut self, reason: LanguageMap) -> Self {
        self.reason_user = Some(reason);
        self
    }

    /// The reason for a person, in a language. That for administrators is never given in its stead.
    #[must_use]
    pub fn reason_for_user(&self, language: &str) -> Option<&str> {
        self.reason_user
            .as_ref()
            .map(|reasons| reasons.lookup(language))
    }

    /// Takes the common claims, and then everything that is left.
    pub(crate) fn take(mut members: Members<'_>) -> Result<Self, Error> {
        Ok(Self {
            event_timestamp: members.seconds("event_timestamp")?,
            initiating_entity: members.closed("initiating_entity", InitiatingEntity::from_name)?,
            reason_admin: members.reason("reason_admin")?,
            reason_user: members.reason("reason_user")?,
            extra: members.rest(),
        })
    }

    pub(crate) fn to_payload(&self) -> Map<String, Value> {
        let mut payload = self.extra.clone();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                payload.insert(name.to_owned(), value);
            }
        };
        put("event_timestamp", self.event_timestamp.map(Value::from));
        put(
            "initiating_entity",
            self.initiating_entity.map(|entity| entity.as_str().into()),
        );
        put(
            "reason_admin",
            self.reason_admin.as_ref().map(LanguageMap::to_value),
        );
        put(
            "reason_user",
            self.reason_user.as_ref().map(LanguageMap::to_value),
        );
        payload
    }
}
