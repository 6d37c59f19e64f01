//! `act` and `act_chain`: the agent that acts, and those through which the transaction came.

use std::fmt;
use std::sync::Arc;

use serde::de::MapAccess;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use token_exchange::{ActorChain, Party};

use crate::claim::{Claim, Content, Name};
use crate::error::Error;

/// An agent as the token service names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    party: Party,
    version: Option<String>,
    deployment: Option<String>,
    /// Members that are not read here, a nested `act` among them.
    other: Map<String, Value>,
}

/// Most levels of an `act` within `act`, which is history that no policy reads.
const MAX_NESTED: usize = 4;
const NESTED: &str = "act";

impl Actor {
    /// An agent without version and deployment.
    #[must_use]
    pub fn new(party: Party) -> Self {
        Self {
            party,
            version: None,
            deployment: None,
            other: Map::new(),
        }
    }

    /// Sets `version`.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets `deployment`.
    #[must_use]
    pub fn with_deployment(mut self, deployment: impl Into<String>) -> Self {
        self.deployment = Some(deployment.into());
        self
    }

    /// Who it is.
    #[must_use]
    pub fn party(&self) -> &Party {
        &self.party
    }

    /// `version`.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// `deployment`.
    #[must_use]
    pub fn deployment(&self) -> Option<&str> {
        self.deployment.as_deref()
    }

    /// Reads the value of `act`.
    pub(crate) fn read<'de>(value: impl Deserializer<'de>) -> Result<Self, Error> {
        match Claim::deserialize(value) {
            Ok(Claim::Is(actor)) => Ok(actor),
            _ => Err(Error::MalformedActor { claim: "act" }),
        }
    }

    /// Who acted before this agent, oldest first, as a nested `act` says. It informs: no policy rests on it, and none of
    /// these agents takes over again.
    #[must_use]
    pub fn informational_history(&self) -> Vec<Party> {
        let nested = self.other.get(NESTED).map(ActorChain::from_value);
        let chain = nested.and_then(Result::ok);
        let mut history: Vec<Party> = chain
            .iter()
            .flat_map(|chain| chain.iter().cloned())
            .collect();
        history.reverse();
        history
    }

    /// This agent with the history of another statement about it, if it has none of its own.
    pub(crate) fn with_history_of(mut self, other: &Self) -> Self {
        if let Some(nested) = other.other.get(NESTED) {
            if self.party.may_be(&other.party) && !self.other.contains_key(NESTED) {
                self.other.insert(NESTED.to_owned(), nested.clone());
            }
        }
        self
    }

    /// Whether this is the agent, or one that acted before it.
    pub(crate) fn came_through(&self, agent: &Party) -> bool {
        self.party.may_be(agent)
            || self
                .informational_history()
                .iter()
                .any(|earlier| earlier.may_be(agent))
    }

    /// Members that are kept, a nested `act` among them: no policy reads them.
    #[must_use]
    pub const fn unread_members(&self) -> &Map<String, Value> {
        &self.other
    }

    /// As an entry of `act_chain`: with who acted before it, and without other members.
    pub(crate) fn handed_over(&self) -> Self {
        let mut link = self.clone();
        link.other.retain(|name, _| name == NESTED);
        link
    }

    pub(crate) fn to_members(&self) -> Map<String, Value> {
        let texts = [
            ("iss", self.party.issuer()),
            ("sub", Some(self.party.subject())),
            ("version", self.version()),
            ("deployment", self.deployment()),
        ];
        let present = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?))));
        self.other.clone().into_iter().chain(present).collect()
    }
}

/// How the check of a handler came out, as the handler itself told the token service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It approved.
    Ok,
    /// It refused.
    Denied,
    /// It could not decide.
    Error,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Ok, Self::Denied, Self::Error];

    /// The text in a token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One entry of `act_chain`: an agent that acted before the current one and handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLink {
    pub(crate) actor: Actor,
    pub(crate) issued_at: Option<u64>,
    pub(crate) outcome: Option<Outcome>,
}

impl ChainLink {
    /// A link without time and outcome, for [`CallChainPolicy::evaluate_chain`](crate::CallChainPolicy::evaluate_chain). Those of
    /// a token are written by the token service alone.
    #[must_use]
    pub const fn new(actor: Actor) -> Self {
        Self {
            actor,
            issued_at: None,
            outcome: None,
        }
    }

    /// Sets when the agent received its token.
    #[must_use]
    pub const fn with_issued_at(mut self, seconds: u64) -> Self {
        self.issued_at = Some(seconds);
        self
    }

    /// Sets what the agent reported.
    #[must_use]
    pub const fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// The agent.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// When the agent received its token, in seconds since the epoch.
    #[must_use]
    pub fn issued_at(&self) -> Option<u64> {
        self.issued_at
    }

    /// What the agent reported when it handed over, if it is a check.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }
}

/// The members of `act`, or those of a link.
#[derive(Default)]
struct Members {
    iss: Claim<Arc<str>>,
    sub: Claim<Arc<str>>,
    version: Claim<String>,
    deployment: Claim<String>,
    /// Whether there is one that no actor has.
    foreign: bool,
    other: Map<String, Value>,
}

impl Members {
    /// Reads all of them, but those that `own` takes.
    fn read<'de, A: MapAccess<'de>>(
        mut map: A,
        mut own: impl FnMut(&str, &mut A) -> Result<bool, A::Error>,
    ) -> Result<Self, A::Error> {
        let mut members = Self::default();
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "iss" => members.iss = map.next_value()?,
                "sub" => members.sub = map.next_value()?,
                "version" => members.version = map.next_value()?,
                "deployment" => members.deployment = map.next_value()?,
                name if own(name, &mut map)? => {}
                _ => {
                    members.foreign |= Party::is_foreign(&name);
                    members.other.insert(name.into_owned(), map.next_value()?);
                }
            }
        }
        Ok(members)
    }

    /// The agent, if they are those of one.
    fn actor(self) -> Option<Actor> {
        let (issuer, subject) = (self.iss.optional(()).ok()?, self.sub.optional(()).ok()?);
        let earlier = match self.other.get("act") {
            None => 0,
            Some(act) => ActorChain::from_value(act).ok()?.depth(),
        };
        if self.foreign || earlier >= MAX_NESTED {
            return None;
        }
        Some(Actor {
            party: Party::of_claim(issuer, subject)?,
            version: self.version.optional(()).ok()?,
            deployment: self.deployment.optional(()).ok()?,
            other: self.other,
        })
    }
}

impl Content for Actor {
    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        Members::read(map, |_, _| Ok(false)).map(Members::actor)
    }
}

impl Content for ChainLink {
    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        let (mut iat, mut outcome) = (Claim::Absent, Claim::Absent);
        let members = Members::read(map, |name, map| {
            match name {
                "iat" => iat = map.next_value()?,
                "outcome" => outcome = map.next_value()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let link = |members: Members| {
            Some(Self {
                issued_at: iat.optional(()).ok()?,
                outcome: outcome.optional(()).ok()?,
                actor: members.actor()?,
            })
        };
        Ok(link(members))
    }
}

impl Content for Outcome {
    fn from_text(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

/// `current` and the links before it, oldest first, as the chain of RFC 8693.
pub(crate) fn to_actor_chain(current: &Actor, links: &[ChainLink]) -> Option<ActorChain> {
    let members = |party: &Party| Actor::new(party.clone()).to_members();
    let path = links
        .iter()
        .map(|link| &link.actor.party)
        .chain([&current.party]);
    let nested = path.fold(None, |inner, party| {
        let mut members = members(party);
        if let Some(inner) = inner {
            members.insert("act".to_owned(), inner);
        }
        Some(Value::Object(members))
    });
    ActorChain::from_value(&nested?).ok()
}
