//! Claims as they are written: in the names of the current revision, and without a copy of any of them.

use serde::ser::{SerializeMap, Serializer};
use serde::{Serialize, ser};
use token_exchange::ScopeSet;

use crate::actor::{Actor, ChainLink};
use crate::agentic::AgenticContext;
use crate::context::Context;
use crate::lineage::Lineage;

/// The claims of a new token.
#[derive(Serialize)]
pub(crate) struct WireClaims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iss: Option<&'a str>,
    pub(crate) aud: &'a str,
    pub(crate) txn: &'a str,
    pub(crate) sub: &'a str,
    #[serde(serialize_with = "scope")]
    pub(crate) scope: &'a ScopeSet,
    pub(crate) req_wl: &'a str,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    #[serde(skip_serializing_if = "Context::is_empty")]
    pub(crate) tctx: &'a Context,
    #[serde(skip_serializing_if = "Context::is_empty")]
    pub(crate) rctx: &'a Context,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "actor")]
    pub(crate) act: Option<&'a Actor>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "links")]
    pub(crate) act_chain: &'a [ChainLink],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agentic_ctx: Option<WireAgentic<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) req_wl_chain: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) txn_iat: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) txn_exp: Option<u64>,
}

/// `agentic_ctx`: what is described and limited, and the agents' machines.
pub(crate) struct WireAgentic<'a> {
    pub(crate) context: &'a AgenticContext,
    pub(crate) lineage: Option<&'a Lineage>,
}

fn scope<S: Serializer>(scope: &&ScopeSet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(scope)
}

fn actor<S: Serializer>(actor: &Option<&Actor>, serializer: S) -> Result<S::Ok, S::Error> {
    match actor {
        Some(actor) => WireActor(actor).serialize(serializer),
        None => serializer.serialize_none(),
    }
}

fn links<S: Serializer>(links: &&[ChainLink], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(links.iter().map(WireLink))
}

struct WireActor<'a>(&'a Actor);

impl WireActor<'_> {
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let Self(actor) = self;
        let texts = [
            ("iss", actor.party().issuer()),
            ("sub", Some(actor.party().subject())),
            ("version", actor.version()),
            ("deployment", actor.deployment()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                map.serialize_entry(name, text)?;
            }
        }
        for (name, value) in actor.unread_members() {
            map.serialize_entry(name, value)?;
        }
        Ok(())
    }
}

impl Serialize for WireActor<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.put(&mut map)?;
        map.end()
    }
}

struct WireLink<'a>(&'a ChainLink);

impl Serialize for WireLink<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(link) = self;
        let mut map = serializer.serialize_map(None)?;
        WireActor(link.actor()).put(&mut map)?;
        if let Some(iat) = link.issued_at() {
            map.serialize_entry("iat", &iat)?;
        }
        if let Some(outcome) = link.outcome() {
            map.serialize_entry("outcome", outcome.as_str())?;
        }
        map.end()
    }
}

impl Serialize for WireAgentic<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let context = self.context;
        let mut map = serializer.serialize_map(None)?;
        let texts = [
            ("agent_type", &context.agent_type),
            ("agent_version", &context.agent_version),
            ("intent", &context.intent),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                map.serialize_entry(name, text)?;
            }
        }
        if let Some(actions) = &context.allowed_actions {
            map.serialize_entry("allowed_actions", actions)?;
        }
        if let Some(details) = &context.authorization_details {
            map.serialize_entry("authorization_details", details)?;
        }
        if !context.environment_constraints.is_empty() {
            let constraints = &context.environment_constraints;
            map.serialize_entry("environment_constraints", constraints)?;
        }
        for (name, value) in &context.other {
            if crate::agentic::MEMBERS.contains(&name.as_str()) {
                return Err(ser::Error::custom("a member stands twice"));
            }
            map.serialize_entry(name, value)?;
        }
        if let Some(lineage) = self.lineage {
            for (name, value) in lineage.members() {
                map.serialize_entry(&name, &value)?;
            }
        }
        map.end()
    }
}
