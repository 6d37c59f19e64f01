//! `agentic_ctx`: what an agent is, what it intends, and what it is limited to.
//!
//! Nothing in it grants anything. Its limits (`allowed_actions`, `authorization_details`,
//! `environment_constraints`) count beside the scope; everything else is for people and logs.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::MapAccess;
use serde_json::{Map, Value};
use token_exchange::DetailTypes;

use crate::claim::{Claim, Content, Name};
use crate::error::Error;
use crate::lineage::Lineage;

/// The claim's members.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct AgenticContext {
    /// `agent_type`, such as `planner+tool-orchestrator`.
    pub agent_type: Option<String>,
    /// `agent_version`.
    pub agent_version: Option<String>,
    /// `intent`: free text from an untrusted source, at most 1024 bytes, never a ground for access.
    pub intent: Option<String>,
    /// `allowed_actions`; `None` is no limit, an empty set permits nothing.
    pub allowed_actions: Option<BTreeSet<String>>,
    /// `authorization_details` (RFC 9396), an array of objects with `type`.
    pub authorization_details: Option<Value>,
    /// `environment_constraints`: every one has to hold where the token is used.
    pub environment_constraints: BTreeMap<String, String>,
    /// Members that are neither limits nor known here.
    pub other: Map<String, Value>,
    pub(crate) lineage: Option<Lineage>,
}

const MAX_INTENT: usize = 1024;
const MAX_TEXT: usize = 256;
const MAX_ENTRIES: usize = 256;

impl AgenticContext {
    /// No members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The values of `agent_type`, which `+` joins.
    pub fn agent_types(&self) -> impl Iterator<Item = &str> {
        self.agent_type.iter().flat_map(|types| types.split('+'))
    }

    /// The agents' machines, as the token service found them. It cannot be set: what is known of an agent goes into
    /// [`IssueRequest::posture`](crate::IssueRequest::posture) and [`ReplaceRequest::delegatee`](crate::ReplaceRequest::delegatee).
    #[must_use]
    pub const fn lineage(&self) -> Option<&Lineage> {
        self.lineage.as_ref()
    }

    /// The rules that hold in writing as in reading.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |member| Error::AgenticContext { member };
        let short = |text: &Option<String>| {
            text.as_ref()
                .is_none_or(|text| text.len() <= MAX_TEXT && !text.chars().any(char::is_control))
        };
        if !short(&self.agent_type) {
            return Err(wrong("agent_type"));
        }
        if !short(&self.agent_version) {
            return Err(wrong("agent_version"));
        }
        if self
            .intent
            .as_ref()
            .is_some_and(|text| text.len() > MAX_INTENT || text.chars().any(char::is_control))
        {
            return Err(wrong("intent"));
        }
        let action = |action: &String| (1..=MAX_TEXT).contains(&action.len());
        if self
            .allowed_actions
            .as_ref()
            .is_some_and(|actions| actions.len() > MAX_ENTRIES || !actions.iter().all(action))
        {
            return Err(wrong("allowed_actions"));
        }
        let detail = |detail: &Value| detail.get("type").is_some_and(Value::is_string);
        let details = |details: &Value| {
            details.as_array().is_some_and(|details| {
                (1..=MAX_ENTRIES).contains(&details.len()) && details.iter().all(detail)
            })
        };
        if !self.authorization_details.as_ref().is_none_or(details) {
            return Err(wrong("authorization_details"));
        }
        if self.environment_constraints.len() > MAX_ENTRIES {
            return Err(wrong("environment_constraints"));
        }
        if self
            .other
            .keys()
            .any(|name| MEMBERS.contains(&name.as_str()))
        {
            return Err(wrong("agentic_ctx"));
        }
        Ok(())
    }

    /// This context for another agent: the limits and the intent stay, the description goes.
    pub(crate) fn handed_over(&self) -> Self {
        Self {
            agent_type: None,
            agent_version: None,
            other: Map::new(),
            lineage: None,
            ..self.clone()
        }
    }

    /// This context under the limits of another: what it leaves open is taken over, and what it sets
    /// may only be narrower.
    pub(crate) fn narrowing(&self, parent: &Self, types: &DetailTypes) -> Result<Self, Error> {
        let widens = |what| Error::Widens { what };
        let mut child = self.clone();
        if let Some(limit) = &parent.allowed_actions {
            let actions = child.allowed_actions.get_or_insert_with(|| limit.clone());
            if !actions.is_subset(limit) {
                return Err(widens("allowed_actions"));
            }
        }
        match (&parent.authorization_details, &child.authorization_details) {
            (None, _) => {}
            (Some(limit), None) => child.authorization_details = Some(limit.clone()),
            (Some(limit), Some(details)) if limit == details => {}
            (Some(limit), Some(details)) => {
                let granted = |value| {
                    types
                        .grant(value)
                        .map_err(|_| widens("authorization_details"))
                };
                let limit = granted(limit)?;
                if !granted(details)?
                    .as_slice()
                    .iter()
                    .all(|detail| limit.covers(detail))
                {
                    return Err(widens("authorization_details"));
                }
            }
        }
        for (name, value) in &parent.environment_constraints {
            let constraint = child
                .environment_constraints
                .entry(name.clone())
                .or_insert_with(|| value.clone());
            if constraint != value {
                return Err(widens("environment_constraints"));
            }
        }
        Ok(child)
    }
}

pub(crate) const MEMBERS: [&str; 12] = [
    "agent_type",
    "agent_version",
    "intent",
    "allowed_actions",
    "authorization_details",
    "environment_constraints",
    "prov",
    "posture",
    "identity",
    "current_actor",
    "originator",
    "chain_metadata",
];

/// The members as they come.
#[derive(Default)]
struct Members {
    agent_type: Claim<String>,
    agent_version: Claim<String>,
    intent: Claim<String>,
    allowed_actions: Claim<BTreeSet<String>>,
    authorization_details: Option<Value>,
    environment_constraints: Claim<BTreeMap<String, String>>,
    /// Those of the lineage.
    machines: Map<String, Value>,
    other: Map<String, Value>,
}

impl Members {
    fn context(mut self) -> Result<AgenticContext, Error> {
        let wrong = |member| Error::AgenticContext { member };
        let context = AgenticContext {
            lineage: Lineage::take(&mut self.machines)?,
            agent_type: self.agent_type.optional(wrong("agent_type"))?,
            agent_version: self.agent_version.optional(wrong("agent_version"))?,
            intent: self.intent.optional(wrong("intent"))?,
            allowed_actions: self.allowed_actions.optional(wrong("allowed_actions"))?,
            authorization_details: self.authorization_details,
            environment_constraints: self
                .environment_constraints
                .optional(wrong("environment_constraints"))?
                .unwrap_or_default(),
            other: self.other,
        };
        context.check()?;
        Ok(context)
    }
}

impl Content for Result<AgenticContext, Error> {
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let mut members = Members::default();
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "agent_type" => members.agent_type = map.next_value()?,
                "agent_version" => members.agent_version = map.next_value()?,
                "intent" => members.intent = map.next_value()?,
                "allowed_actions" => members.allowed_actions = map.next_value()?,
                "authorization_details" => {
                    members.authorization_details = Some(map.next_value()?);
                }
                "environment_constraints" => members.environment_constraints = map.next_value()?,
                known if MEMBERS.contains(&known) => {
                    members
                        .machines
                        .insert(name.into_owned(), map.next_value()?);
                }
                _ => {
                    members.other.insert(name.into_owned(), map.next_value()?);
                }
            }
        }
        Ok(Some(members.context()))
    }
}
