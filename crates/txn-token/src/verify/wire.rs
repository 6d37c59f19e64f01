//! The claims as they come, in one pass over the text. Nothing is judged here but what one value has to be.

use core::fmt;

use jose_x509::jwt::ReadClaims;
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use token_exchange::ScopeSet;

use super::{HARD_MAX_CHAIN, MAX_TEXT, wrong};
use crate::actor::{Actor, ChainLink};
use crate::agentic::AgenticContext;
use crate::claim::{Claim, Content, Name};
use crate::context::Context;
use crate::error::Error;

/// The claims that a transaction token has beside the registered ones.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) txn: Claim<String>,
    pub(super) scope: Claim<ScopeSet>,
    pub(super) req_wl: Claim<String>,
    pub(super) txn_iat: Claim<u64>,
    pub(super) txn_exp: Claim<u64>,
    pub(super) tctx: Claim<Context>,
    pub(super) rctx: Claim<Context>,
    pub(super) act: Claim<Actor>,
    pub(super) act_chain: Claim<Links>,
    pub(super) agentic_ctx: Claim<Result<AgenticContext, Error>>,
    pub(super) req_wl_chain: Claim<Vec<String>>,
    /// An earlier spelling of `act_chain`.
    pub(super) actchain: Claim<Links>,
    /// The earlier `tctx`.
    pub(super) azd: Claim<Context>,
    /// Whether there is the earlier `scope`.
    purp: bool,
}

impl ReadClaims for Wire {
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "txn" => self.txn = map.next_value()?,
            "scope" => self.scope = map.next_value()?,
            "req_wl" => self.req_wl = map.next_value()?,
            "txn_iat" => self.txn_iat = map.next_value()?,
            "txn_exp" => self.txn_exp = map.next_value()?,
            "tctx" => self.tctx = map.next_value()?,
            "rctx" => self.rctx = map.next_value()?,
            "act" => self.act = map.next_value()?,
            "act_chain" => self.act_chain = map.next_value()?,
            "agentic_ctx" => self.agentic_ctx = map.next_value()?,
            "req_wl_chain" => self.req_wl_chain = map.next_value()?,
            "actchain" => self.actchain = map.next_value()?,
            "azd" => self.azd = map.next_value()?,
            "purp" => self.purp = map.next_value().map(|IgnoredAny| true)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Wire {
    /// Of claims that were given their current names.
    pub(super) fn of(claims: Map<String, Value>) -> Result<Self, Error> {
        Self::deserialize(Value::Object(claims)).map_err(|_| jose_x509::Error::ClaimsShape.into())
    }

    /// Whether there are earlier names whose meaning has to be that of the current ones.
    pub(super) const fn has_earlier_names(&self) -> bool {
        self.purp || self.azd.is_there() || self.actchain.is_there()
    }
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(All)
    }
}

struct All;

impl<'de> Visitor<'de> for All {
    type Value = Wire;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims of a transaction token")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wire, A::Error> {
        let mut wire = Wire::default();
        while let Some(Name(name)) = map.next_key()? {
            if !wire.read(&name, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(wire)
    }
}

/// A text that is neither empty nor too long, and has to be there.
pub(super) fn text(claim: Claim<String>, name: &'static str) -> Result<String, Error> {
    let text = claim.optional(wrong(name))?;
    let text = text.ok_or(jose_x509::Error::MissingClaim { claim: name })?;
    if (1..=MAX_TEXT).contains(&text.len()) {
        Ok(text)
    } else {
        Err(wrong(name))
    }
}

/// A list of scopes, never empty.
impl Content for ScopeSet {
    fn from_text(text: &str) -> Option<Self> {
        let scopes = Some(text).filter(|text| text.len() <= MAX_TEXT);
        Self::parse(scopes?).ok().filter(|set| !set.is_empty())
    }
}

/// `act_chain`. Beyond the most that can be configured, links are counted and not kept.
pub(super) struct Links {
    pub(super) count: usize,
    /// `None` if one of them is none.
    pub(super) links: Option<Vec<ChainLink>>,
}

impl Content for Links {
    fn from_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        let mut chain = Self {
            count: 0,
            links: Some(Vec::new()),
        };
        while chain.count < HARD_MAX_CHAIN {
            let Some(link) = seq.next_element()? else {
                return Ok(Some(chain));
            };
            chain.count += 1;
            match (link, &mut chain.links) {
                (Claim::Is(link), Some(links)) => links.push(link),
                _ => chain.links = None,
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            chain.count += 1;
        }
        Ok(Some(chain))
    }
}

impl Content for Context {
    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}
