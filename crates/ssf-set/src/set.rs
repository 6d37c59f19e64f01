//! A verified Security Event Token.

use std::sync::OnceLock;

use jose_x509::{ReplayKey, jwt::Jwt};
use serde_json::{Map, Value};

use crate::event::Event;
use crate::subject::{Subject, SubjectIdentifier};

/// The media type of a SET in transport.
pub const MEDIA_TYPE: &str = "application/secevent+jwt";

/// The `typ` that is written.
pub const TYPE: &str = "secevent+jwt";

/// A SET whose signature and claims were checked against one trusted issuer. There is no other way
/// to have one.
///
/// The order in which SETs arrive, and not `iat`, is their order; `iat` and [`time_of_event`] tell
/// whether something, such as a session, began before the event or after it.
///
/// [`time_of_event`]: SecurityEventToken::time_of_event
#[derive(Debug)]
pub struct SecurityEventToken {
    pub(crate) jwt: Jwt,
    pub(crate) issued_at: u64,
    pub(crate) time_of_event: Option<u64>,
    pub(crate) transaction: Option<String>,
    pub(crate) subject: Option<Subject>,
    pub(crate) events: Vec<Event>,
    pub(crate) claims: OnceLock<Map<String, Value>>,
}

/// Where the subject of a SET was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrimarySubject<'a> {
    /// In `sub_id`.
    SubId(&'a Subject),
    /// In `sub`, as the SET's issuer names it.
    Sub {
        /// `iss`.
        issuer: &'a str,
        /// `sub`.
        sub: &'a str,
    },
}

impl SecurityEventToken {
    /// `iss`: who published the SET, which need not be the subject's issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        // Verification demands it, as it does `jti`.
        self.jwt.issuer().unwrap_or_default()
    }

    /// `jti`: unique among the SETs of this issuer.
    #[must_use]
    pub fn id(&self) -> &str {
        self.jwt.id().unwrap_or_default()
    }

    /// `iat`, in seconds since the epoch.
    #[must_use]
    pub fn issued_at(&self) -> u64 {
        self.issued_at
    }

    /// `aud`, one or several.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.jwt.audience()
    }

    /// `toe`, in seconds since the epoch. `None` means that the issuer does not tell.
    #[must_use]
    pub fn toe(&self) -> Option<u64> {
        self.time_of_event
    }

    /// The best time there is for the event, in seconds since the epoch: its `event_timestamp`, else
    /// `toe`, else `iat`. What began later than this is not what the event is about.
    #[must_use]
    pub fn time_of_event(&self) -> u64 {
        self.event()
            .timestamp()
            .or(self.time_of_event)
            .unwrap_or(self.issued_at)
    }

    /// `txn`: the same in all tokens that have one cause.
    #[must_use]
    pub fn transaction(&self) -> Option<&str> {
        self.transaction.as_deref()
    }

    /// `sub_id`. Always there in the SSF profile.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// The subject, from one claim and never from two: `sub_id`, unless its format is not understood here and there is a
    /// `sub`, which then is that of the SET's issuer.
    #[must_use]
    pub fn primary_subject(&self) -> Option<PrimarySubject<'_>> {
        let understood = !matches!(
            &self.subject,
            Some(Subject::Simple(SubjectIdentifier::Other { .. }))
        );
        match (&self.subject, self.sub()) {
            (Some(subject), None) => Some(PrimarySubject::SubId(subject)),
            (Some(subject), Some(_)) if understood => Some(PrimarySubject::SubId(subject)),
            (_, Some(sub)) => Some(PrimarySubject::Sub {
                issuer: self.issuer(),
                sub,
            }),
            (None, None) => None,
        }
    }

    /// Whether an event of revocation is about a session that began at `started`, in seconds since the epoch: those that
    /// began after the event are not. A SET that comes late ends no session of a fresh login.
    #[must_use]
    pub fn ends_session_of(&self, started: u64) -> bool {
        started <= self.time_of_event()
    }

    /// `sub`, which only plain SETs may have. It is another claim than `sub_id`, and the two are
    /// never combined.
    #[must_use]
    pub fn sub(&self) -> Option<&str> {
        self.jwt.subject()
    }

    /// The event, the first one if a plain SET has several aspects.
    #[must_use]
    pub fn event(&self) -> &Event {
        // Verification refuses a SET without one.
        const NONE: &Event = &Event::Verification(crate::ssf::Verification { state: None });
        self.events.first().unwrap_or(NONE)
    }

    /// All events: one in the SSF profile, several aspects of one transition in a plain SET.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// All claims, as they were received.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        // What was verified is an object; it is read into a map for those who ask.
        self.claims
            .get_or_init(|| self.jwt.claims_map().unwrap_or_default())
    }

    /// The verified token.
    #[must_use]
    pub fn jwt(&self) -> &Jwt {
        &self.jwt
    }

    /// The identity of this SET for a replay guard: issuer and `jti`.
    #[must_use]
    pub fn replay_key(&self) -> ReplayKey {
        ReplayKey::new(
            self.jwt.key().provider(),
            &[b"set", self.issuer().as_bytes(), self.id().as_bytes()],
        )
    }
}
