//! A transaction token after its verification.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use jose_x509::base64url;
use jose_x509::jwt::Jwt;
use serde_json::Value;
use token_exchange::{ActorChain, ScopeSet};

use crate::actor::{self, Actor, ChainLink};
use crate::agentic::AgenticContext;
use crate::context::Context;
use crate::error::Error;
use crate::legacy::LegacyForm;
use crate::lineage::Lineage;
use crate::verify::texts;

/// What a token says, as values of one's own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claims {
    pub(crate) txn: String,
    pub(crate) sub: String,
    pub(crate) scope: ScopeSet,
    pub(crate) req_wl: String,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    pub(crate) tctx: Context,
    pub(crate) rctx: Context,
    pub(crate) act: Option<Actor>,
    pub(crate) act_chain: Vec<ChainLink>,
    pub(crate) agentic: Option<AgenticContext>,
    pub(crate) req_wl_chain: Vec<String>,
    pub(crate) legacy: Vec<LegacyForm>,
    /// `iat` of the first token of the transaction.
    pub(crate) txn_iat: u64,
}

/// A transaction token whose signature, type, audience, times and claims were verified.
///
/// It describes a transaction and authenticates nobody: whoever sends it has to be authenticated by
/// other means. Its `Debug` output holds no value of a claim but `txn`.
pub struct TxnToken {
    compact: String,
    trust_domain: Arc<str>,
    pub(crate) jwt: Jwt,
    content: Content,
    scope: OnceLock<ScopeSet>,
    tctx: OnceLock<Context>,
    rctx: OnceLock<Context>,
    act: OnceLock<Option<Actor>>,
    act_chain: OnceLock<Vec<ChainLink>>,
    agentic: OnceLock<Option<AgenticContext>>,
    req_wl_chain: OnceLock<Vec<String>>,
    hash: OnceLock<[u8; 32]>,
}

/// Where the claims are.
enum Content {
    /// In the text, all of them judged and none of them read.
    Text(Places),
    /// Read: those that are texts and times here, all others in the token's own fields.
    Own {
        txn: String,
        sub: String,
        req_wl: String,
        iat: u64,
        exp: u64,
        txn_iat: u64,
        legacy: Vec<LegacyForm>,
    },
}

/// Places of claims in the text. Those of strings are without quotation marks.
pub(crate) struct Places {
    pub(crate) txn: Range<usize>,
    pub(crate) sub: Range<usize>,
    pub(crate) req_wl: Range<usize>,
    pub(crate) scope: Range<usize>,
    pub(crate) tctx: Option<Range<usize>>,
    pub(crate) rctx: Option<Range<usize>>,
    pub(crate) act: Option<Range<usize>>,
    pub(crate) act_chain: Option<Range<usize>>,
    pub(crate) agentic: Option<Range<usize>>,
    pub(crate) req_wl_chain: Option<Range<usize>>,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    pub(crate) txn_iat: u64,
}

/// `act_chain`, link by link.
pub(crate) fn read_chain(links: &[Value]) -> Result<Vec<ChainLink>, Error> {
    links.iter().map(ChainLink::read).collect()
}

impl TxnToken {
    /// A token whose claims were judged where they stand.
    pub(crate) fn at(compact: &str, trust_domain: Arc<str>, jwt: Jwt, places: Places) -> Self {
        Self {
            compact: compact.to_owned(),
            trust_domain,
            jwt,
            content: Content::Text(places),
            scope: OnceLock::new(),
            tctx: OnceLock::new(),
            rctx: OnceLock::new(),
            act: OnceLock::new(),
            act_chain: OnceLock::new(),
            agentic: OnceLock::new(),
            req_wl_chain: OnceLock::new(),
            hash: OnceLock::new(),
        }
    }

    /// A token whose claims were read.
    pub(crate) fn of(compact: &str, trust_domain: Arc<str>, jwt: Jwt, claims: Claims) -> Self {
        Self {
            compact: compact.to_owned(),
            trust_domain,
            jwt,
            content: Content::Own {
                txn: claims.txn,
                sub: claims.sub,
                req_wl: claims.req_wl,
                iat: claims.iat,
                exp: claims.exp,
                txn_iat: claims.txn_iat,
                legacy: claims.legacy,
            },
            scope: claims.scope.into(),
            tctx: claims.tctx.into(),
            rctx: claims.rctx.into(),
            act: claims.act.into(),
            act_chain: claims.act_chain.into(),
            agentic: claims.agentic.into(),
            req_wl_chain: claims.req_wl_chain.into(),
            hash: OnceLock::new(),
        }
    }

    /// All claims that the token service writes.
    pub(crate) fn claims(&self) -> Claims {
        Claims {
            txn: self.txn().to_owned(),
            sub: self.subject().to_owned(),
            scope: self.scope().clone(),
            req_wl: self.requesting_workload().to_owned(),
            iat: self.issued_at(),
            exp: self.expires(),
            tctx: self.transaction_context().clone(),
            rctx: self.request_context().clone(),
            act: self.actor().cloned(),
            act_chain: self.act_chain().to_vec(),
            agentic: self.agentic_context().cloned(),
            req_wl_chain: self.earlier_requesting_workloads().to_vec(),
            legacy: self.legacy_forms().to_vec(),
            txn_iat: match &self.content {
                Content::Text(places) => places.txn_iat,
                Content::Own { txn_iat, .. } => *txn_iat,
            },
        }
    }

    fn text(&self, place: &Range<usize>) -> &str {
        let bytes = self.jwt.payload().get(place.clone()).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }

    /// A claim that is read from its place when it is first asked for. Its text was judged, so it cannot fail to be read.
    fn lazily<'t, T: Default>(
        &'t self,
        cell: &'t OnceLock<T>,
        place: impl FnOnce(&Places) -> Option<&Range<usize>>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> &'t T {
        cell.get_or_init(|| match &self.content {
            Content::Text(places) => place(places)
                .and_then(|place| read(self.text(place)))
                .unwrap_or_default(),
            Content::Own { .. } => T::default(),
        })
    }

    /// `txn`: the transaction, for logs and correlation.
    #[must_use]
    pub fn txn(&self) -> &str {
        match &self.content {
            Content::Text(places) => self.text(&places.txn),
            Content::Own { txn, .. } => txn,
        }
    }

    /// `sub`: on whose behalf, unique within the trust domain.
    #[must_use]
    pub fn subject(&self) -> &str {
        match &self.content {
            Content::Text(places) => self.text(&places.sub),
            Content::Own { sub, .. } => sub,
        }
    }

    /// `aud`: the trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// `iss`, where the token has one.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.jwt.issuer()
    }

    /// `scope`: what for. Never empty.
    #[must_use]
    pub fn scope(&self) -> &ScopeSet {
        self.lazily(
            &self.scope,
            |places| Some(&places.scope),
            |text| ScopeSet::parse(text).ok(),
        )
    }

    /// `req_wl`: the workload that asked for this token, as a whole.
    #[must_use]
    pub fn requesting_workload(&self) -> &str {
        match &self.content {
            Content::Text(places) => self.text(&places.req_wl),
            Content::Own { req_wl, .. } => req_wl,
        }
    }

    /// `req_wl_chain`: the workloads that asked for the tokens which this one replaces, oldest first.
    #[must_use]
    pub fn earlier_requesting_workloads(&self) -> &[String] {
        let chain: &Vec<String> = self.lazily(
            &self.req_wl_chain,
            |places| places.req_wl_chain.as_ref(),
            |text| texts(&serde_json::from_str(text).ok()?),
        );
        chain
    }

    /// `tctx`: the parameters of the transaction.
    #[must_use]
    pub fn transaction_context(&self) -> &Context {
        self.lazily(
            &self.tctx,
            |places| places.tctx.as_ref(),
            |text| serde_json::from_str(text).ok(),
        )
    }

    /// `rctx`: the environment of the request.
    #[must_use]
    pub fn request_context(&self) -> &Context {
        self.lazily(
            &self.rctx,
            |places| places.rctx.as_ref(),
            |text| serde_json::from_str(text).ok(),
        )
    }

    /// `act`: the agent that acts now.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        let read = |text: &str| {
            let value = serde_json::from_str(text).ok()?;
            Actor::read(&value, "act").ok()
        };
        self.lazily(
            &self.act,
            |places| places.act.as_ref(),
            |text| Some(read(text)),
        )
        .as_ref()
    }

    /// `act_chain`: the agents that acted before, oldest first, the current one not among them.
    #[must_use]
    pub fn act_chain(&self) -> &[ChainLink] {
        let chain: &Vec<ChainLink> = self.lazily(
            &self.act_chain,
            |places| places.act_chain.as_ref(),
            |text| {
                let links: Vec<Value> = serde_json::from_str(text).ok()?;
                read_chain(&links).ok()
            },
        );
        chain
    }

    /// All agents as the chain of RFC 8693, the current one first.
    #[must_use]
    pub fn actors(&self) -> Option<ActorChain> {
        actor::to_actor_chain(self.actor()?, self.act_chain())
    }

    /// `agentic_ctx`.
    #[must_use]
    pub fn agentic_context(&self) -> Option<&AgenticContext> {
        let read = |text: &str| AgenticContext::read(serde_json::from_str(text).ok()?).ok();
        self.lazily(
            &self.agentic,
            |places| places.agentic.as_ref(),
            |text| Some(read(text)),
        )
        .as_ref()
    }

    /// The lineage of `agentic_ctx`.
    #[must_use]
    pub fn lineage(&self) -> Option<&Lineage> {
        self.agentic_context()?.lineage()
    }

    /// The machine that acts: `current_actor.identity.workload_id` after a hand-over in that form, else `act.sub`.
    #[must_use]
    pub fn acting_workload(&self) -> Option<&str> {
        match self.lineage() {
            Some(Lineage::Multi(lineage)) => lineage.current().workload_id(),
            _ => self.actor().map(|actor| actor.party().subject()),
        }
    }

    /// Whether an agent acts for itself: `sub` is the agent, or the first one of the chain. Otherwise `sub` is a human or
    /// another principal.
    #[must_use]
    pub fn is_autonomous(&self) -> bool {
        let first = self.act_chain().first().map(ChainLink::actor);
        [self.actor(), first]
            .into_iter()
            .flatten()
            .any(|agent| agent.party().subject() == self.subject())
    }

    /// The earlier claim names by which the token was read; none unless the verifier reads them.
    #[must_use]
    pub fn legacy_forms(&self) -> &[LegacyForm] {
        match &self.content {
            Content::Text(_) => &[],
            Content::Own { legacy, .. } => legacy,
        }
    }

    /// `iat` in seconds since the epoch.
    #[must_use]
    pub fn issued_at(&self) -> u64 {
        match &self.content {
            Content::Text(places) => places.iat,
            Content::Own { iat, .. } => *iat,
        }
    }

    /// `exp` in seconds since the epoch.
    #[must_use]
    pub fn expires(&self) -> u64 {
        match &self.content {
            Content::Text(places) => places.exp,
            Content::Own { exp, .. } => *exp,
        }
    }

    /// Any claim, also one that this crate does not know.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<Value> {
        self.jwt.claims_map().ok()?.remove(name)
    }

    /// SHA-256 of the token as it was received, for bindings and for a replay guard.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        self.hash
            .get_or_init(|| self.jwt.key().provider().sha256(self.compact.as_bytes()))
    }

    /// The hash in base64url: what may be logged instead of the token.
    #[must_use]
    pub fn hash_for_logs(&self) -> String {
        base64url::encode(self.hash())
    }

    /// The token as it was received, byte for byte: the only form in which it is passed on.
    #[must_use]
    pub fn as_received(&self) -> &str {
        &self.compact
    }

    /// The value of the `Txn-Token` field for a call onward within the trust domain, marked as
    /// sensitive. `None` cannot happen for a compact token, which is visible ASCII.
    #[must_use]
    pub fn to_header_value(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&self.compact).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for TxnToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxnToken")
            .field("txn", &self.txn())
            .field("hash", &self.hash_for_logs())
            .finish_non_exhaustive()
    }
}
