//! Posture of agents, and the lineage in which `act` never changes.
//!
//! `agentic_ctx` of one agent has `prov`, `posture` and `identity`; after a hand-over it has `current_actor`, `originator` and
//! `chain_metadata` instead. All of it is a statement of the token service about machines. Nothing in it grants anything.

use serde_json::{Map, Value};

use crate::error::Error;
use crate::evidence::Provenance;

/// How a transaction remembers the agents through which it came. A token service writes one of them; a verifier says which
/// it accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineageProfile {
    /// `act` moves to the delegatee, and the former one to the end of `act_chain`. Call-chain policies read this.
    #[default]
    ActChain,
    /// `act` stays; the delegatee is `agentic_ctx.current_actor`, and `chain_metadata` has the path and the least assurance.
    PosturedLineage,
}

/// The levels of assurance, lowest first. One that is not listed ranks with the lowest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssuranceLevels(Vec<String>);

/// The level of an agent whose posture nobody verified.
pub const UNVERIFIED: &str = "unverified";
/// Most members of `identity`, `posture` and `prov`.
const MAX_MEMBERS: usize = 32;
const MAX_TEXT: usize = 2048;
const SINGLE: [&str; 3] = ["identity", "posture", "prov"];
const MULTI: [&str; 3] = ["current_actor", "originator", "chain_metadata"];

impl Default for AssuranceLevels {
    /// `none`, `unverified`, `low`, `medium`, `high`.
    fn default() -> Self {
        Self(
            ["none", UNVERIFIED, "low", "medium", "high"]
                .map(str::to_owned)
                .to_vec(),
        )
    }
}

impl AssuranceLevels {
    /// Levels of another domain, lowest first.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for none, for one that is empty or listed twice, and for more than 32.
    pub fn new<T: Into<String>>(levels: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let levels: Vec<String> = levels
            .into_iter()
            .take(MAX_MEMBERS + 1)
            .map(Into::into)
            .collect();
        let twice =
            |(i, level): (usize, &String)| levels.iter().take(i).any(|other| other == level);
        if levels.is_empty()
            || levels.len() > MAX_MEMBERS
            || levels.iter().any(String::is_empty)
            || levels.iter().enumerate().any(twice)
        {
            return Err(Error::InvalidOption {
                option: "levels of assurance",
                range: "1 to 32 distinct names",
            });
        }
        Ok(Self(levels))
    }

    /// Whether a level is listed, spelled exactly so.
    #[must_use]
    pub fn knows(&self, level: &str) -> bool {
        self.0.iter().any(|known| known == level)
    }

    /// The position of a level; of one that is not listed, the lowest.
    #[must_use]
    pub fn rank(&self, level: &str) -> usize {
        self.0.iter().position(|known| known == level).unwrap_or(0)
    }

    /// The lower of two, by the name that is listed.
    #[must_use]
    pub fn least(&self, a: &str, b: &str) -> &str {
        let rank = self.rank(a).min(self.rank(b));
        self.0.get(rank).map_or(UNVERIFIED, String::as_str)
    }
}

/// One agent as the token service found it: `identity`, `posture` and `prov`.
///
/// It is read from a verified token or made of verified evidence ([`Evidence`](crate::evidence::Evidence)); what an agent says
/// of itself has no way in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentPosture(Map<String, Value>);

impl AgentPosture {
    pub(crate) fn read(mut members: Map<String, Value>) -> Result<Self, Error> {
        let wrong = |member| Error::AgenticContext { member };
        for (part, texts, flags) in [
            ("identity", &["workload_id", "origin_node"][..], &[][..]),
            ("posture", &["tee", "assurance"], &["boot_gold"]),
            ("prov", &["manifest_hash", "model_id", "version"], &[]),
        ] {
            let Some(value) = members.get(part) else {
                continue;
            };
            let fields = value.as_object().ok_or(wrong(part))?;
            let text = |name: &&str| {
                fields.get(*name).is_none_or(|value| {
                    value
                        .as_str()
                        .is_some_and(|text| (1..=MAX_TEXT).contains(&text.len()))
                })
            };
            let flag = |name: &&str| fields.get(*name).is_none_or(Value::is_boolean);
            if fields.len() > MAX_MEMBERS || !texts.iter().all(text) || !flags.iter().all(flag) {
                return Err(wrong(part));
            }
        }
        members.retain(|name, _| SINGLE.contains(&name.as_str()));
        Ok(Self(members))
    }

    /// Who it is, and nothing known about its machine.
    pub(crate) fn named(workload: &str) -> Self {
        let mut posture = Self::default();
        posture.put("identity", "workload_id", workload.into());
        posture
    }

    pub(crate) fn put(&mut self, part: &str, name: &str, value: Value) {
        let part = self
            .0
            .entry(part)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(members) = part {
            members.insert(name.to_owned(), value);
        }
    }

    pub(crate) fn put_provenance(&mut self, provenance: &Provenance) {
        for (name, text) in provenance.members() {
            self.put("prov", name, text.into());
        }
    }

    fn text(&self, part: &str, name: &str) -> Option<&str> {
        self.0.get(part)?.get(name)?.as_str()
    }

    /// `identity.workload_id`.
    #[must_use]
    pub fn workload_id(&self) -> Option<&str> {
        self.text("identity", "workload_id")
    }

    /// `identity.origin_node`.
    #[must_use]
    pub fn origin_node(&self) -> Option<&str> {
        self.text("identity", "origin_node")
    }

    /// `posture.tee`.
    #[must_use]
    pub fn tee(&self) -> Option<&str> {
        self.text("posture", "tee")
    }

    /// `posture.assurance`; `unverified` where it does not say.
    #[must_use]
    pub fn assurance(&self) -> &str {
        self.text("posture", "assurance").unwrap_or(UNVERIFIED)
    }

    /// `posture.boot_gold`.
    #[must_use]
    pub fn boot_gold(&self) -> Option<bool> {
        self.0.get("posture")?.get("boot_gold")?.as_bool()
    }

    /// `prov.manifest_hash`: a key to look up, never computed here.
    #[must_use]
    pub fn manifest_hash(&self) -> Option<&str> {
        self.text("prov", "manifest_hash")
    }

    /// `prov.model_id`.
    #[must_use]
    pub fn model_id(&self) -> Option<&str> {
        self.text("prov", "model_id")
    }

    /// `prov.version`.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.text("prov", "version")
    }

    /// What may be told to somebody outside the trust domain: level, kind of enclave, model and its version. Not the
    /// workload, the node, the manifest or the path.
    #[must_use]
    pub fn minimised(&self) -> Self {
        let mut told = Self::default();
        for (part, name) in [
            ("posture", "tee"),
            ("posture", "assurance"),
            ("prov", "model_id"),
            ("prov", "version"),
        ] {
            if let Some(text) = self.text(part, name) {
                told.put(part, name, text.into());
            }
        }
        told
    }

    /// As JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

/// `agentic_ctx` as far as it is about machines.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Lineage {
    /// One agent.
    Single(AgentPosture),
    /// An agent that took over.
    Multi(HandedOver),
}

/// `current_actor`, `originator` and `chain_metadata`.
#[derive(Clone, Debug, PartialEq)]
pub struct HandedOver {
    current: AgentPosture,
    originator: AgentPosture,
    least: String,
    path: Vec<String>,
}

impl Lineage {
    /// Takes the members out of `agentic_ctx`.
    pub(crate) fn take(members: &mut Map<String, Value>) -> Result<Option<Self>, Error> {
        let has = |names: &[&str]| names.iter().any(|name| members.contains_key(*name));
        match (has(&SINGLE), has(&MULTI)) {
            (false, false) => Ok(None),
            (true, true) => Err(Error::MixedLayouts),
            (true, false) => {
                let own = SINGLE.iter().filter_map(|name| members.remove_entry(*name));
                AgentPosture::read(own.collect())
                    .map(Self::Single)
                    .map(Some)
            }
            (false, true) => HandedOver::take(members).map(Self::Multi).map(Some),
        }
    }

    /// The members of `agentic_ctx`.
    pub(crate) fn members(&self) -> Map<String, Value> {
        match self {
            Self::Single(agent) => agent.0.clone(),
            Self::Multi(lineage) => {
                let metadata = serde_json::json!({
                    "hop_count": lineage.path.len(), "min_assurance_level": lineage.least, "txn_path": lineage.path,
                });
                Map::from_iter([
                    ("current_actor".to_owned(), lineage.current.to_value()),
                    ("originator".to_owned(), lineage.originator.to_value()),
                    ("chain_metadata".to_owned(), metadata),
                ])
            }
        }
    }

    /// The agent that acts now.
    #[must_use]
    pub const fn current(&self) -> &AgentPosture {
        match self {
            Self::Single(agent) => agent,
            Self::Multi(lineage) => &lineage.current,
        }
    }

    /// The least assurance of all agents so far: what a demand is compared with.
    #[must_use]
    pub fn least_assurance(&self) -> &str {
        match self {
            Self::Single(agent) => agent.assurance(),
            Self::Multi(lineage) => &lineage.least,
        }
    }

    /// This lineage, or that of a token without one, handed over to `next`. Assurance only falls.
    pub(crate) fn handed_over(
        before: Option<&Self>,
        delegator: &str,
        next: &AgentPosture,
        levels: &AssuranceLevels,
        limit: usize,
    ) -> Result<Self, Error> {
        let workload = next.workload_id().ok_or(Error::EmptyClaim {
            claim: "workload_id",
        })?;
        let (originator, least, mut path) = match before {
            Some(Self::Multi(lineage)) => (
                lineage.originator.clone(),
                lineage.least.as_str(),
                lineage.path.clone(),
            ),
            Some(Self::Single(agent)) => {
                let mut originator = agent.clone();
                let name = agent.workload_id().unwrap_or(delegator).to_owned();
                originator.put("identity", "workload_id", name.as_str().into());
                (originator, agent.assurance(), vec![name])
            }
            None => (
                AgentPosture::named(delegator),
                UNVERIFIED,
                vec![delegator.to_owned()],
            ),
        };
        if let Some(position) = path.iter().position(|one| one == workload) {
            return Err(Error::RepeatedActor { position });
        }
        if path.len() >= limit {
            return Err(Error::TooManyHops { limit });
        }
        path.push(workload.to_owned());
        Ok(Self::Multi(HandedOver {
            current: next.clone(),
            originator,
            least: levels.least(least, next.assurance()).to_owned(),
            path,
        }))
    }
}

impl HandedOver {
    /// `current_actor`.
    #[must_use]
    pub const fn current(&self) -> &AgentPosture {
        &self.current
    }

    /// `originator`: the same in every token of the transaction.
    #[must_use]
    pub const fn originator(&self) -> &AgentPosture {
        &self.originator
    }

    /// `txn_path`: every agent from the originator to the current one.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.path
    }

    fn take(members: &mut Map<String, Value>) -> Result<Self, Error> {
        let wrong = |member| Error::AgenticContext { member };
        let mut object = |name: &'static str| match members.remove(name) {
            Some(Value::Object(object)) => Ok(object),
            _ => Err(wrong(name)),
        };
        let (current, originator) = (object("current_actor")?, object("originator")?);
        let metadata = object("chain_metadata")?;
        let path = metadata.get("txn_path").and_then(Value::as_array);
        let path = path.ok_or(wrong("txn_path"))?;
        if path.len() > HARD_MAX_HOPS {
            return Err(Error::TooManyHops {
                limit: HARD_MAX_HOPS,
            });
        }
        let text = |item: &Value| {
            let text = item
                .as_str()
                .filter(|text| (1..=MAX_TEXT).contains(&text.len()));
            text.map(str::to_owned).ok_or(wrong("txn_path"))
        };
        let path = path.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let least = match metadata.get("min_assurance_level") {
            None => UNVERIFIED,
            Some(Value::String(level)) if (1..=MAX_TEXT).contains(&level.len()) => level,
            Some(_) => return Err(wrong("min_assurance_level")),
        };
        let hops = metadata.get("hop_count").and_then(Value::as_u64);
        if hops.is_none() || hops != u64::try_from(path.len()).ok() || hops == Some(0) {
            return Err(wrong("hop_count"));
        }
        let lineage = Self {
            current: AgentPosture::read(current)?,
            originator: AgentPosture::read(originator)?,
            least: least.to_owned(),
            path,
        };
        if lineage.originator.workload_id() != lineage.path.first().map(String::as_str)
            || lineage.current.workload_id() != lineage.path.last().map(String::as_str)
        {
            return Err(wrong("txn_path"));
        }
        Ok(lineage)
    }

    /// The rules that need to know the verifier's configuration.
    pub(crate) fn check(
        &self,
        own: Option<&str>,
        levels: &AssuranceLevels,
        limit: usize,
        mut named: impl FnMut(&str) -> bool,
    ) -> Result<(), Error> {
        if self.path.len() > limit {
            return Err(Error::TooManyHops { limit });
        }
        for (position, agent) in self.path.iter().enumerate() {
            if !named(agent) {
                return Err(Error::UnknownActorTrustDomain { position });
            }
            if own == Some(agent.as_str())
                || self.path.iter().take(position).any(|other| other == agent)
            {
                return Err(Error::RepeatedActor { position });
            }
        }
        let least = levels.rank(&self.least);
        if [&self.current, &self.originator]
            .iter()
            .any(|agent| levels.rank(agent.assurance()) < least)
        {
            return Err(Error::AssuranceRises);
        }
        Ok(())
    }
}

/// Most agents of a path unless said otherwise.
pub(crate) const DEFAULT_MAX_HOPS: usize = 8;
/// The most that can be configured.
pub(crate) const HARD_MAX_HOPS: usize = 16;
