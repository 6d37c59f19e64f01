//! Who acts for whom: `act` and `may_act` (RFC 8693 sections 4.1 and 4.4).

use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::error::Error;

/// A party: `sub`, and `iss` where it is needed to tell parties apart. Its copies share the names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Party {
    issuer: Option<Arc<str>>,
    subject: Arc<str>,
}

impl Party {
    /// A party named by its subject alone, such as a SPIFFE ID, which is unique by itself.
    #[must_use]
    pub fn new(subject: impl Into<Arc<str>>) -> Self {
        Self {
            issuer: None,
            subject: subject.into(),
        }
    }

    /// A party named within an issuer.
    #[must_use]
    pub fn with_issuer(subject: impl Into<Arc<str>>, issuer: impl Into<Arc<str>>) -> Self {
        Self {
            issuer: Some(issuer.into()),
            subject: subject.into(),
        }
    }

    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    pub(crate) fn shared_subject(&self) -> Arc<str> {
        Arc::clone(&self.subject)
    }

    /// `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whether both names mean one party: equal subjects, and equal issuers where both have one.
    /// Where one has none, they count as the same, because a cycle is worse than a refusal.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        let issuers = self.issuer.as_ref().zip(other.issuer.as_ref());
        self.subject == other.subject && issuers.is_none_or(|(a, b)| a == b)
    }

    /// A party of the `iss` and `sub` of a claim, for readers of an `act` that has further members; `None` if it is none:
    /// without `sub`, and for an empty text. Of the other members, none may be [foreign](Self::is_foreign).
    #[must_use]
    pub fn of_claim(issuer: Option<Arc<str>>, subject: Option<Arc<str>>) -> Option<Self> {
        let party = Self {
            issuer,
            subject: subject?,
        };
        let empty = party.subject.is_empty() || party.issuer().is_some_and(str::is_empty);
        Some(party).filter(|_| !empty)
    }

    /// Whether a member of this name identifies nobody and must not be in `act`.
    #[must_use]
    pub fn is_foreign(name: &str) -> bool {
        NOT_IDENTITY.contains(&name)
    }

    fn read(members: &Map<String, Value>, claim: &'static str) -> Result<Self, Error> {
        let malformed = Error::MalformedActor { claim };
        if members.keys().any(|name| Self::is_foreign(name)) {
            return Err(malformed);
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(Arc::from(text.as_str()))),
            Some(_) => Err(Error::MalformedActor { claim }),
        };
        Self::of_claim(text("iss")?, text("sub")?).ok_or(malformed)
    }
}

/// A party with the ones that it acts through, latest first.
struct Members<'a>(&'a Party, &'a [Party]);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(party, prior) = self;
        let mut members = serializer.serialize_map(None)?;
        if let Some(issuer) = &party.issuer {
            members.serialize_entry("iss", &**issuer)?;
        }
        members.serialize_entry("sub", &*party.subject)?;
        if let Some((next, prior)) = prior.split_first() {
            members.serialize_entry("act", &Members(next, prior))?;
        }
        members.end()
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)
    }
}

/// Members that identify nobody and must not be in `act`.
const NOT_IDENTITY: [&str; 7] = ["exp", "nbf", "iat", "aud", "jti", "scope", "cnf"];

/// Default and hard limit of the chain's depth.
pub const DEFAULT_MAX_DEPTH: usize = 4;
const HARD_MAX_DEPTH: usize = 16;

/// The chain of actors: the current one first, then whom it acts through, back to the oldest.
///
/// It is never empty: a token without `act` has no chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorChain {
    current: Party,
    prior: Vec<Party>,
}

impl ActorChain {
    /// A chain of one actor.
    #[must_use]
    pub fn new(actor: Party) -> Self {
        Self {
            current: actor,
            prior: Vec::new(),
        }
    }

    /// Reads the value of an `act` claim of a verified token.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedActor`], [`Error::ChainTooDeep`] beyond 16.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        const MALFORMED: Error = Error::MalformedActor { claim: "act" };
        let mut parties = Vec::new();
        let mut next = Some(value);
        while let Some(value) = next {
            if parties.len() == HARD_MAX_DEPTH {
                return Err(Error::ChainTooDeep {
                    limit: HARD_MAX_DEPTH,
                });
            }
            let members = value.as_object().ok_or(MALFORMED)?;
            parties.push(Party::read(members, "act")?);
            next = members.get("act");
        }
        let mut parties = parties.into_iter();
        let current = parties.next().ok_or(MALFORMED)?;
        Ok(Self {
            current,
            prior: parties.collect(),
        })
    }

    /// The value of an `act` claim.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // Texts alone: they can always be written.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Who acts now: the only actor that access control may look at.
    #[must_use]
    pub fn current(&self) -> &Party {
        &self.current
    }

    /// Who acts now, without the history.
    #[must_use]
    pub fn into_current(self) -> Party {
        self.current
    }

    /// Who acted before, latest first: history, and no ground for access (section 4.1).
    #[must_use]
    pub fn informational_history(&self) -> &[Party] {
        &self.prior
    }

    /// How many actors there are.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.prior.len() + 1
    }

    /// All actors, the current one first.
    pub fn iter(&self) -> impl Iterator<Item = &Party> {
        std::iter::once(&self.current).chain(&self.prior)
    }

    /// The chain after `actor` takes over from the current one. Nobody is dropped; the actor that
    /// already is the current one changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::ChainCycle`] when `actor` is `subject` or acted before, [`Error::ChainTooDeep`].
    pub fn extend(
        chain: Option<&Self>,
        actor: Party,
        subject: &Party,
        max_depth: usize,
    ) -> Result<Self, Error> {
        if actor.may_be(subject) {
            return Err(Error::ChainCycle);
        }
        let Some(chain) = chain else {
            return Ok(Self::new(actor));
        };
        if chain.current.may_be(&actor) {
            return Ok(chain.clone());
        }
        if chain.prior.iter().any(|party| party.may_be(&actor)) {
            return Err(Error::ChainCycle);
        }
        let limit = max_depth.min(HARD_MAX_DEPTH);
        if chain.depth() >= limit {
            return Err(Error::ChainTooDeep { limit });
        }
        Ok(Self {
            current: actor,
            prior: chain.iter().cloned().collect(),
        })
    }
}

/// The value of an `act` claim. The chain's depth is bounded, and so is the recursion.
impl Serialize for ActorChain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Members(&self.current, &self.prior).serialize(serializer)
    }
}

/// Who may become the actor of a token, as its issuer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MayAct(Map<String, Value>);

impl MayAct {
    /// A `may_act` that names one party.
    #[must_use]
    pub fn new(party: &Party) -> Self {
        let issuer = party
            .issuer()
            .map(|issuer| ("iss".to_owned(), issuer.into()));
        let subject = ("sub".to_owned(), party.subject().into());
        Self(issuer.into_iter().chain([subject]).collect())
    }

    /// Reads the value of a `may_act` claim of a verified token.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedActor`].
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let malformed = Error::MalformedActor { claim: "may_act" };
        let members = value.as_object().ok_or(malformed)?;
        Party::read(members, "may_act")?;
        Ok(Self(members.clone()))
    }

    /// Whether it names this actor. Every identifying member has to agree, so that a member which
    /// is not understood names nobody.
    #[must_use]
    pub fn names(&self, actor: &Party) -> bool {
        self.0.iter().all(|(name, value)| match name.as_str() {
            "sub" => value == actor.subject(),
            "iss" => actor.issuer().is_some_and(|issuer| value == issuer),
            _ => false,
        })
    }

    /// The claim's value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}
