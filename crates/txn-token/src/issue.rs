//! Issuing, at the transaction token service (draft section 11.3).

use std::sync::Arc;
use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::{CryptoProvider, Signer, json, jwt};
use pki_types::UnixTime;
use serde_json::Value;
use token_exchange::{ActorChain, DetailTypes, ScopeSet};

use crate::TXN_TOKEN_TYPE;
use crate::actor::{Actor, ChainLink};
use crate::agentic::AgenticContext;
use crate::context::Context;
use crate::ended::{Ended, EndedTransactions, MemoryEndedTransactions, TransactionKey};
use crate::error::Error;
use crate::header::MAX_TOKEN;
use crate::lifetime::LifetimePolicy;
use crate::lineage::{
    AgentPosture, AssuranceLevels, DEFAULT_MAX_HOPS, HARD_MAX_HOPS, Lineage, LineageProfile,
};
use crate::token::Claims;
use crate::verify::{ALGORITHMS, DEFAULT_MAX_CHAIN, HARD_MAX_CHAIN, MAX_TEXT};
use crate::wire::{WireAgentic, WireClaims};

/// Issues the transaction tokens of one trust domain.
///
/// Every value of a token is the caller's decision about verified facts; nothing of a request is
/// copied by itself.
#[derive(Debug)]
pub struct TxnTokenIssuer<S> {
    signer: S,
    trust_domain: String,
    issuer: Option<String>,
    provider: CryptoProvider,
    pub(crate) lifetimes: LifetimePolicy,
    pub(crate) types: DetailTypes,
    pub(crate) max_chain: usize,
    pub(crate) lineage: LineageProfile,
    pub(crate) levels: AssuranceLevels,
    pub(crate) max_hops: usize,
    key_until: Option<u64>,
    pub(crate) ended: Ended,
}

/// What a new token says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IssueRequest<'a> {
    /// `txn`; a fresh one unless it is given.
    pub txn: Option<String>,
    /// `sub`, unique within the trust domain.
    pub subject: String,
    /// `scope`, what was asked for after narrowing.
    pub scope: ScopeSet,
    /// `req_wl`: the client as it was authenticated, never as it calls itself.
    pub requesting_workload: String,
    /// `rctx`.
    pub request_context: Context,
    /// `tctx`.
    pub transaction_context: Context,
    /// `act` and `act_chain`.
    pub actors: Option<ActorChain>,
    /// `version` of the current actor.
    pub actor_version: Option<String>,
    /// `deployment` of the current actor.
    pub actor_deployment: Option<String>,
    /// `act` as a whole, in place of `actors`: [`agent_of`](crate::service::agent_of) makes it of an access token.
    pub act: Option<Actor>,
    /// `prov`, `posture` and `identity` of `agentic_ctx`.
    pub posture: Option<AgentPosture>,
    /// `agentic_ctx`.
    pub agentic_context: Option<AgenticContext>,
    /// When the subject token ends, in seconds since the epoch.
    pub subject_expires: Option<u64>,
    /// The wanted lifetime, cut to the maximum.
    pub lifetime: Option<Duration>,
    /// Tokens that were presented, no part of which may be in the new one.
    pub presented: Vec<&'a str>,
}

impl IssueRequest<'_> {
    /// A request with all that a token has to have.
    #[must_use]
    pub fn new(
        subject: impl Into<String>,
        scope: ScopeSet,
        requesting_workload: impl Into<String>,
    ) -> Self {
        Self {
            txn: None,
            subject: subject.into(),
            scope,
            requesting_workload: requesting_workload.into(),
            request_context: Context::new(),
            transaction_context: Context::new(),
            actors: None,
            actor_version: None,
            actor_deployment: None,
            act: None,
            posture: None,
            agentic_context: None,
            subject_expires: None,
            lifetime: None,
            presented: Vec::new(),
        }
    }
}

/// A token that was just issued. `Debug` hides it.
pub struct IssuedTxnToken {
    token: String,
    txn: String,
    scope: ScopeSet,
    expires_in: u64,
}

impl IssuedTxnToken {
    /// The compact token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.token
    }

    /// The compact token.
    #[must_use]
    pub fn into_string(self) -> String {
        self.token
    }

    /// `txn`, for the log.
    #[must_use]
    pub fn txn(&self) -> &str {
        &self.txn
    }

    /// `scope`.
    #[must_use]
    pub fn scope(&self) -> &ScopeSet {
        &self.scope
    }

    /// The lifetime in seconds.
    #[must_use]
    pub fn expires_in(&self) -> u64 {
        self.expires_in
    }
}

impl std::fmt::Debug for IssuedTxnToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedTxnToken")
            .field("txn", &self.txn)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

impl<S: Signer> TxnTokenIssuer<S> {
    /// An issuer for a trust domain, whose name becomes `aud`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an empty trust domain, a signer without `kid`, or one whose
    /// algorithm verifiers do not accept.
    pub fn new(
        signer: S,
        trust_domain: impl Into<String>,
        provider: &CryptoProvider,
    ) -> Result<Self, Error> {
        let invalid = |option, range| Err(Error::InvalidOption { option, range });
        let trust_domain = trust_domain.into();
        if trust_domain.is_empty() {
            return invalid("trust domain", "a non-empty name");
        }
        if signer.kid().is_none_or(str::is_empty) {
            return invalid("signer", "a key with a `kid`");
        }
        if !ALGORITHMS.contains(signer.algorithm()) {
            return invalid("signer", "ES256, ES384, EdDSA, Ed25519, RS256 or PS256");
        }
        Ok(Self {
            signer,
            trust_domain,
            issuer: None,
            provider: *provider,
            lifetimes: LifetimePolicy::default(),
            types: DetailTypes::default(),
            max_chain: DEFAULT_MAX_CHAIN,
            lineage: LineageProfile::default(),
            levels: AssuranceLevels::default(),
            max_hops: DEFAULT_MAX_HOPS,
            key_until: None,
            ended: Ended(Arc::new(MemoryEndedTransactions::default())),
        })
    }

    /// Sets `iss`.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets the lifetimes.
    #[must_use]
    pub fn with_lifetimes(mut self, lifetimes: LifetimePolicy) -> Self {
        self.lifetimes = lifetimes;
        self
    }

    /// Sets the types of authorization details that a replacement can compare.
    #[must_use]
    pub fn with_detail_types(mut self, types: DetailTypes) -> Self {
        self.types = types;
        self
    }

    /// Sets the most links in `act_chain`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 15.
    pub fn with_max_chain(mut self, links: usize) -> Result<Self, Error> {
        if links > HARD_MAX_CHAIN {
            return Err(Error::InvalidOption {
                option: "links in act_chain",
                range: "at most 15",
            });
        }
        self.max_chain = links;
        Ok(self)
    }

    /// Sets how a hand-over is written. All instances of a token service have the same.
    #[must_use]
    pub const fn with_lineage(mut self, profile: LineageProfile) -> Self {
        self.lineage = profile;
        self
    }

    /// Sets the levels by which the least assurance is found.
    #[must_use]
    pub fn with_assurance_levels(mut self, levels: AssuranceLevels) -> Self {
        self.levels = levels;
        self
    }

    /// Sets the most agents of `txn_path`. At that many the transaction ends.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for 0 and above 16.
    pub fn with_max_hops(mut self, hops: usize) -> Result<Self, Error> {
        if !(1..=HARD_MAX_HOPS).contains(&hops) {
            return Err(Error::InvalidOption {
                option: "agents in txn_path",
                range: "1 to 16",
            });
        }
        self.max_hops = hops;
        Ok(self)
    }

    /// Remembers in `store` which transactions ended, in place of a [`MemoryEndedTransactions`] of its own. All instances of a
    /// token service have the same.
    #[must_use]
    pub fn with_ended(mut self, store: Arc<dyn EndedTransactions>) -> Self {
        self.ended = Ended(store);
        self
    }

    /// Sets the time from which the key signs no more: the end of its planned life.
    #[must_use]
    pub const fn with_key_until(mut self, until: UnixTime) -> Self {
        self.key_until = Some(until.as_secs());
        self
    }

    /// Signs with another key from now on; the former one stays in the published set until its last token has ended.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] as for [`new`](Self::new).
    pub fn rotated(self, signer: S, until: Option<UnixTime>) -> Result<Self, Error> {
        let fresh = Self::new(signer, self.trust_domain, &self.provider)?;
        Ok(Self {
            signer: fresh.signer,
            trust_domain: fresh.trust_domain,
            issuer: self.issuer,
            provider: self.provider,
            lifetimes: self.lifetimes,
            types: self.types,
            max_chain: self.max_chain,
            lineage: self.lineage,
            levels: self.levels,
            max_hops: self.max_hops,
            key_until: until.map(|until| until.as_secs()),
            ended: self.ended,
        })
    }

    /// The name that becomes `aud`.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Issues the first token of a transaction.
    ///
    /// # Errors
    ///
    /// [`Error::SubjectExpired`], [`Error::EmptyClaim`], [`Error::ChainTooLong`], [`Error::RepeatedActor`],
    /// [`Error::AgenticContext`], [`Error::PresentedToken`], [`Error::Token`] when signing fails; [`Error::ClaimTooLong`],
    /// [`Error::ClaimsTooComplex`] and [`Error::TokenTooLong`] for what no verifier would read; for a `txn` of the request,
    /// [`Error::TransactionEnded`].
    pub fn issue(
        &self,
        request: &IssueRequest<'_>,
        now: UnixTime,
    ) -> Result<IssuedTxnToken, Error> {
        let now = now.as_secs();
        let chain = self.actors(request)?;
        let (act, act_chain) = match (&request.act, &chain) {
            (None, Some((act, links))) => (Some(act), links.as_slice()),
            (act, _) => (act.as_ref(), [].as_slice()),
        };
        let fresh;
        let txn = match &request.txn {
            Some(txn) => {
                self.ended
                    .check(self.key_of(txn), now, self.lifetimes.longest(), now)?;
                txn
            }
            None => {
                fresh = self.provider.random_id()?;
                &fresh
            }
        };
        // A posture is that which evidence shows, and none of another origin.
        let lineage = request.posture.clone().map(Lineage::Single);
        let bare = AgenticContext::new();
        let context = request.agentic_context.as_ref();
        let agentic_ctx = context
            .or(lineage.as_ref().map(|_| &bare))
            .map(|context| WireAgentic {
                context,
                lineage: lineage.as_ref(),
            });
        let txn_exp = self.lifetimes.latest(request.subject_expires, now)?;
        let wire = WireClaims {
            iss: self.issuer.as_deref(),
            aud: &self.trust_domain,
            txn,
            sub: &request.subject,
            scope: &request.scope,
            req_wl: &request.requesting_workload,
            iat: now,
            exp: self.lifetimes.expiry(request.lifetime, txn_exp, now)?,
            tctx: &request.transaction_context,
            rctx: &request.request_context,
            act,
            act_chain,
            agentic_ctx,
            req_wl_chain: &[],
            txn_iat: None,
            txn_exp,
        };
        self.sign_wire(&wire, &request.presented)
    }

    pub(crate) fn key_of(&self, txn: &str) -> TransactionKey {
        TransactionKey::new(&self.provider, &self.trust_domain, txn)
    }

    fn actors(&self, request: &IssueRequest<'_>) -> Result<Option<(Actor, Vec<ChainLink>)>, Error> {
        if request.act.is_some() && request.actors.is_some() {
            return Err(Error::InvalidOption {
                option: "agents of the request",
                range: "either `act` or `actors`",
            });
        }
        let Some(chain) = &request.actors else {
            return Ok(None);
        };
        let mut act = Actor::new(chain.current().clone());
        if let Some(version) = &request.actor_version {
            act = act.with_version(version);
        }
        if let Some(deployment) = &request.actor_deployment {
            act = act.with_deployment(deployment);
        }
        let history = chain.informational_history();
        for (i, party) in chain.iter().enumerate() {
            if history.iter().skip(i).any(|earlier| earlier.may_be(party)) {
                let position = history.len().saturating_sub(i);
                return Err(Error::RepeatedActor { position });
            }
        }
        let link = |party: &token_exchange::Party| ChainLink {
            actor: Actor::new(party.clone()),
            issued_at: None,
            outcome: None,
        };
        let links = history.iter().rev().map(link);
        Ok(Some((act, links.collect())))
    }

    pub(crate) fn sign(
        &self,
        claims: &Claims,
        presented: &[&str],
    ) -> Result<IssuedTxnToken, Error> {
        let wire = WireClaims {
            iss: self.issuer.as_deref(),
            aud: &self.trust_domain,
            txn: &claims.txn,
            sub: &claims.sub,
            scope: &claims.scope,
            req_wl: &claims.req_wl,
            iat: claims.iat,
            exp: claims.exp,
            tctx: &claims.tctx,
            rctx: &claims.rctx,
            act: claims.act.as_ref(),
            act_chain: &claims.act_chain,
            agentic_ctx: claims.agentic.as_ref().map(|context| WireAgentic {
                context,
                lineage: context.lineage(),
            }),
            req_wl_chain: &claims.req_wl_chain,
            txn_iat: Some(claims.txn_iat).filter(|began| *began != claims.iat),
            txn_exp: claims.txn_exp,
        };
        self.sign_wire(&wire, presented)
    }

    fn sign_wire(
        &self,
        claims: &WireClaims<'_>,
        presented: &[&str],
    ) -> Result<IssuedTxnToken, Error> {
        if self.key_until.is_some_and(|until| claims.iat >= until) {
            return Err(Error::InvalidOption {
                option: "signer",
                range: "a key whose planned life has not ended",
            });
        }
        let scope = claims.scope.to_string();
        for (claim, text) in [
            ("txn", claims.txn),
            ("sub", claims.sub),
            ("req_wl", claims.req_wl),
            ("scope", &scope),
        ] {
            if text.is_empty() {
                return Err(Error::EmptyClaim { claim });
            }
            if text.len() > MAX_TEXT {
                let limit = MAX_TEXT;
                return Err(Error::ClaimTooLong { claim, limit });
            }
        }
        if claims.act_chain.len() > self.max_chain {
            return Err(Error::ChainTooLong {
                limit: self.max_chain,
            });
        }
        if let Some(agentic) = &claims.agentic_ctx {
            agentic.context.check()?;
        }
        let payload = jwt::to_payload(claims)?;
        if payload.len() > MAX_TOKEN {
            return Err(Error::TokenTooLong);
        }
        // A value may be as deep as a context may be, and no verifier reads it one level further down.
        json::check(&payload, &json::Limits::CLAIMS).map_err(|_| Error::ClaimsTooComplex)?;
        check_presented(&payload, presented)?;
        let header = ProtectedHeader::new(TXN_TOKEN_TYPE);
        let token = jose_x509::jws::sign(&self.signer, &header, &payload)?;
        if token.len() > MAX_TOKEN {
            return Err(Error::TokenTooLong);
        }
        Ok(IssuedTxnToken {
            token,
            txn: claims.txn.to_owned(),
            scope: claims.scope.clone(),
            expires_in: claims.exp.saturating_sub(claims.iat),
        })
    }
}

/// Shortest part of a presented token that is searched for.
const MIN_PART: usize = 16;

/// Whether a text is in the characters of tokens (`b64token`, RFC 6750 section 2.1), and not an object or a document.
fn is_token(text: &str) -> bool {
    let character = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    text.bytes().all(character)
}

/// No presented token, and no segment of one, is in any string of the claims. What is no token has no segments: a name in it
/// may have dots.
fn check_presented(payload: &[u8], presented: &[&str]) -> Result<(), Error> {
    let whole = presented.iter().copied();
    let tokens = presented.iter().filter(|text| is_token(text));
    let segments = tokens.flat_map(|token| token.split('.'));
    let parts: Vec<&str> = whole
        .chain(segments)
        .filter(|part| part.len() >= MIN_PART)
        .collect();
    if parts.is_empty() {
        return Ok(());
    }
    let claims: Value = serde_json::from_slice(payload).map_err(|_| Error::InvalidContext)?;
    let mut values = vec![&claims];
    let holds = |text: &str| parts.iter().any(|part| text.contains(part));
    while let Some(value) = values.pop() {
        let found = match value {
            Value::String(text) => holds(text),
            Value::Array(items) => {
                values.extend(items);
                false
            }
            Value::Object(members) => {
                values.extend(members.values());
                members.keys().any(|name| holds(name))
            }
            _ => false,
        };
        if found {
            return Err(Error::PresentedToken);
        }
    }
    Ok(())
}
