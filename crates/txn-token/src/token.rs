//! A transaction token after its verification.

use std::fmt;
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use jose_x509::base64url;
use jose_x509::jwt::Jwt;
use serde_json::Value;
use token_exchange::{ActorChain, ScopeSet};

use crate::actor::{self, Actor, ChainLink};
use crate::agentic::AgenticContext;
use crate::context::Context;
use crate::legacy::LegacyForm;
use crate::lineage::Lineage;

/// What a token says, read once.
#[derive(Clone)]
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
    /// When the tokens of the transaction end at the latest, since the subject token does.
    pub(crate) txn_exp: Option<u64>,
}

/// A transaction token whose signature, type, audience, times and claims were verified.
///
/// It describes a transaction and authenticates nobody: whoever sends it has to be authenticated by
/// other means. Its `Debug` output holds no value of a claim but `txn`.
pub struct TxnToken {
    pub(crate) compact: String,
    pub(crate) trust_domain: Arc<str>,
    pub(crate) jwt: Jwt,
    pub(crate) claims: Claims,
    pub(crate) hash: OnceLock<[u8; 32]>,
}

impl TxnToken {
    /// `txn`: the transaction, for logs and correlation.
    #[must_use]
    pub fn txn(&self) -> &str {
        &self.claims.txn
    }

    /// `sub`: on whose behalf, unique within the trust domain.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.claims.sub
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
        &self.claims.scope
    }

    /// `req_wl`: the workload that asked for this token, as a whole.
    #[must_use]
    pub fn requesting_workload(&self) -> &str {
        &self.claims.req_wl
    }

    /// `req_wl_chain`: the workloads that asked for the tokens which this one replaces, oldest first.
    #[must_use]
    pub fn earlier_requesting_workloads(&self) -> &[String] {
        &self.claims.req_wl_chain
    }

    /// `tctx`: the parameters of the transaction.
    #[must_use]
    pub fn transaction_context(&self) -> &Context {
        &self.claims.tctx
    }

    /// `rctx`: the environment of the request.
    #[must_use]
    pub fn request_context(&self) -> &Context {
        &self.claims.rctx
    }

    /// `act`: the agent that acts now.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.claims.act.as_ref()
    }

    /// `act_chain`: the agents that acted before, oldest first, the current one not among them.
    #[must_use]
    pub fn act_chain(&self) -> &[ChainLink] {
        &self.claims.act_chain
    }

    /// All agents as the chain of RFC 8693, the current one first.
    #[must_use]
    pub fn actors(&self) -> Option<ActorChain> {
        actor::to_actor_chain(self.claims.act.as_ref()?, &self.claims.act_chain)
    }

    /// `agentic_ctx`.
    #[must_use]
    pub fn agentic_context(&self) -> Option<&AgenticContext> {
        self.claims.agentic.as_ref()
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

    /// The names of all agents, oldest first and the acting one last: `act_chain` and `act`, and behind them what `txn_path` adds.
    #[must_use]
    pub fn path(&self) -> Vec<&str> {
        let links = self.act_chain().iter().map(ChainLink::actor);
        let agents = links.chain(self.actor());
        let mut path: Vec<&str> = agents.map(|agent| agent.party().subject()).collect();
        if let Some(Lineage::Multi(lineage)) = self.lineage() {
            let acting = lineage.path();
            path.retain(|agent| !acting.iter().any(|other| other == agent));
            path.extend(acting.iter().map(String::as_str));
        }
        path
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
        &self.claims.legacy
    }

    /// `iat` in seconds since the epoch.
    #[must_use]
    pub fn issued_at(&self) -> u64 {
        self.claims.iat
    }

    /// `exp` in seconds since the epoch.
    #[must_use]
    pub fn expires(&self) -> u64 {
        self.claims.exp
    }

    /// Any claim, also one that this crate does not know.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<Value> {
        self.jwt.claims_map().ok()?.remove(name)
    }

    /// SHA-256 of the token as it was received, for bindings to these very bytes. It does not identify the token: an ECDSA
    /// signature has a second form that verifies as well. [`signed_hash`](Self::signed_hash) does.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        self.hash
            .get_or_init(|| self.jwt.key().provider().sha256(self.compact.as_bytes()))
    }

    /// SHA-256 of what was signed, for a replay guard and for records: the same whatever form the signature has.
    #[must_use]
    pub fn signed_hash(&self) -> [u8; 32] {
        let provider = self.jwt.key().provider();
        provider.sha256(signing_input(&self.compact).as_bytes())
    }

    /// The [`signed_hash`](Self::signed_hash) in base64url: what may be logged instead of the token.
    #[must_use]
    pub fn hash_for_logs(&self) -> String {
        base64url::encode(&self.signed_hash())
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

/// Header and payload of a compact token.
pub(crate) fn signing_input(compact: &str) -> &str {
    compact
        .rsplit_once('.')
        .map_or(compact, |(signed, _)| signed)
}

impl fmt::Debug for TxnToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxnToken")
            .field("txn", &self.claims.txn)
            .field("hash", &self.hash_for_logs())
            .finish_non_exhaustive()
    }
}
