//! Replacing a token within its transaction (draft section 13.15): narrower, never wider.

use std::time::Duration;

use jose_x509::Signer;
use pki_types::UnixTime;
use token_exchange::{Party, ScopeSet};

use crate::actor::{Actor, ChainLink, Outcome};
use crate::agentic::AgenticContext;
use crate::context::Context;
use crate::error::Error;
use crate::issue::{IssuedTxnToken, TxnTokenIssuer};
use crate::lineage::{AgentPosture, Lineage, LineageProfile};
use crate::token::{Claims, TxnToken};

/// What a replacement changes. There is no way to set `txn`, `sub`, `aud` or an entry of a chain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplaceRequest {
    /// `req_wl`: the client as it was authenticated. The former one is appended to `req_wl_chain`.
    pub requesting_workload: String,
    /// A subset of the scope; `None` keeps it.
    pub scope: Option<ScopeSet>,
    /// The agent that takes over, as it was authenticated. The former one is appended to `act_chain`.
    pub actor: Option<Actor>,
    /// The agent that takes over in a [`PosturedLineage`](crate::LineageProfile::PosturedLineage), as evidence shows it.
    pub delegatee: Option<AgentPosture>,
    /// What the agent that hands over found. Only that agent itself can say it, so it has to be the
    /// requesting workload.
    pub outcome: Option<Outcome>,
    /// Further members of `tctx`.
    pub transaction_context: Context,
    /// Further members of `rctx`.
    pub request_context: Context,
    /// Narrower limits; what it leaves open stays as it is.
    pub agentic_context: Option<AgenticContext>,
    /// The wanted lifetime, cut to the maximum.
    pub lifetime: Option<Duration>,
}

impl ReplaceRequest {
    /// Changes nothing but the requesting workload.
    #[must_use]
    pub fn new(requesting_workload: impl Into<String>) -> Self {
        Self {
            requesting_workload: requesting_workload.into(),
            scope: None,
            actor: None,
            delegatee: None,
            outcome: None,
            transaction_context: Context::new(),
            request_context: Context::new(),
            agentic_context: None,
            lifetime: None,
        }
    }
}

impl<S: Signer> TxnTokenIssuer<S> {
    /// Issues a token that replaces a verified one of this trust domain.
    ///
    /// # Errors
    ///
    /// [`Error::OtherTrustDomain`], [`Error::ReplacedExpired`] (without leeway),
    /// [`Error::TooManyReplacements`], [`Error::TransactionTooOld`], [`Error::Widens`],
    /// [`Error::RepeatedActor`], [`Error::ChainTooLong`], [`Error::OutcomeOfAnother`], [`Error::TooManyHops`],
    /// [`Error::UnsupportedLineage`], [`Error::ClaimTooLong`], [`Error::ClaimsTooComplex`], [`Error::TokenTooLong`];
    /// [`Error::TransactionEnded`] after a refusal by which the transaction ended.
    pub fn replace(
        &self,
        token: &TxnToken,
        request: &ReplaceRequest,
        now: UnixTime,
    ) -> Result<IssuedTxnToken, Error> {
        let old = &token.claims;
        if token.trust_domain() != self.trust_domain() {
            return Err(Error::OtherTrustDomain);
        }
        if old.exp <= now.as_secs() {
            return Err(Error::ReplacedExpired);
        }
        let longest = self.lifetimes.longest();
        self.ended
            .check(self.key_of(&old.txn), old.txn_iat, longest, now.as_secs())?;
        let replaced = self.replaced(token, request, now.as_secs());
        if replaced.as_ref().is_err_and(is_threshold) {
            self.end(token, now)?;
        }
        replaced
    }

    /// Ends the transaction of a verified token of this trust domain: no further token of it is issued, whichever of its
    /// tokens is shown. Those that were issued stay valid until they expire.
    ///
    /// # Errors
    ///
    /// [`Error::OtherTrustDomain`], [`Error::EndedStoreFull`], [`Error::EndedStoreUnavailable`].
    pub fn end(&self, token: &TxnToken, now: UnixTime) -> Result<(), Error> {
        if token.trust_domain() != self.trust_domain() {
            return Err(Error::OtherTrustDomain);
        }
        let (key, longest) = (self.key_of(token.txn()), self.lifetimes.longest());
        self.ended.end(key, token.expires(), longest, now.as_secs())
    }

    fn replaced(
        &self,
        token: &TxnToken,
        request: &ReplaceRequest,
        now: u64,
    ) -> Result<IssuedTxnToken, Error> {
        let old = &token.claims;
        let limit = self.lifetimes.replacement.max_count;
        if old.req_wl_chain.len() >= limit {
            return Err(Error::TooManyReplacements { limit });
        }
        let scope = request.scope.as_ref().unwrap_or(&old.scope);
        if !scope.is_subset(&old.scope) {
            return Err(Error::Widens { what: "scope" });
        }
        let (act, act_chain) = hand_over(old, request)?;
        let extended = |context: &Context, more: &Context, what| {
            context.extended(more).ok_or(Error::Widens { what })
        };
        let claims = Claims {
            txn: old.txn.clone(),
            sub: old.sub.clone(),
            scope: scope.clone(),
            req_wl: request.requesting_workload.clone(),
            iat: now,
            exp: self.lifetimes.replaced_expiry(request.lifetime, old, now)?,
            tctx: extended(&old.tctx, &request.transaction_context, "tctx")?,
            rctx: extended(&old.rctx, &request.request_context, "rctx")?,
            agentic: self.narrowed(old, request)?,
            act,
            act_chain,
            req_wl_chain: old
                .req_wl_chain
                .iter()
                .chain([&old.req_wl])
                .cloned()
                .collect(),
            legacy: Vec::new(),
            txn_iat: old.txn_iat.min(now),
            txn_exp: old.txn_exp,
        };
        self.sign(&claims, &[token.as_received()])
    }

    fn narrowed(
        &self,
        old: &Claims,
        request: &ReplaceRequest,
    ) -> Result<Option<AgenticContext>, Error> {
        let hands_over = request.actor.is_some() || request.delegatee.is_some();
        let narrowed = match (&old.agentic, &request.agentic_context) {
            (None, wanted) => wanted.clone(),
            (Some(limits), Some(wanted)) => Some(wanted.narrowing(limits, &self.types)?),
            (Some(limits), None) if hands_over => Some(limits.handed_over()),
            (Some(limits), None) => Some(limits.clone()),
        };
        let Some(lineage) = self.lineage(old, request)? else {
            // Of the requester's making there is none.
            return Ok(narrowed.map(|context| AgenticContext {
                lineage: None,
                ..context
            }));
        };
        Ok(Some(AgenticContext {
            lineage: Some(lineage),
            ..narrowed.unwrap_or_default()
        }))
    }

    /// The lineage of the verified token, and the delegatee at its end.
    fn lineage(&self, old: &Claims, request: &ReplaceRequest) -> Result<Option<Lineage>, Error> {
        let before = old.agentic.as_ref().and_then(AgenticContext::lineage);
        match self.lineage {
            LineageProfile::ActChain => {
                if request.delegatee.is_some() || matches!(before, Some(Lineage::Multi(_))) {
                    return Err(Error::UnsupportedLineage);
                }
                // A posture is that of the agent that acted, not of the one that takes over.
                Ok(before.filter(|_| request.actor.is_none()).cloned())
            }
            LineageProfile::PosturedLineage => {
                if request.actor.is_some() || request.outcome.is_some() {
                    return Err(Error::Widens { what: "act" });
                }
                if !old.act_chain.is_empty() {
                    return Err(Error::UnsupportedLineage);
                }
                let Some(next) = &request.delegatee else {
                    return Ok(before.cloned());
                };
                let act = old.act.as_ref();
                let act = act.ok_or(Error::MalformedActor { claim: "act" })?;
                let workload = next.workload_id().map(Party::new);
                if workload.is_some_and(|workload| act.came_through(&workload)) {
                    return Err(Error::RepeatedActor { position: 0 });
                }
                let delegator = act.party().subject();
                Lineage::handed_over(before, delegator, next, &self.levels, self.max_hops).map(Some)
            }
        }
    }
}

/// Whether a refusal says that the transaction went too far, by depth or by replacements.
const fn is_threshold(error: &Error) -> bool {
    matches!(
        error,
        Error::TooManyReplacements { .. } | Error::ChainTooLong { .. } | Error::TooManyHops { .. }
    )
}

/// The new `act`, and the chain with the former one at its end.
fn hand_over(
    old: &Claims,
    request: &ReplaceRequest,
) -> Result<(Option<Actor>, Vec<ChainLink>), Error> {
    let mut chain = old.act_chain.clone();
    let Some(next) = &request.actor else {
        return match request.outcome {
            Some(_) => Err(Error::OutcomeOfAnother),
            None => Ok((old.act.clone(), chain)),
        };
    };
    if let Some(current) = &old.act {
        if request.outcome.is_some() && current.party().subject() != request.requesting_workload {
            return Err(Error::OutcomeOfAnother);
        }
        // Clocks may differ within the leeway; the times of a chain never run backwards.
        let latest = chain.iter().filter_map(|link| link.issued_at).max();
        chain.push(ChainLink {
            actor: current.handed_over(),
            issued_at: Some(latest.map_or(old.iat, |latest| latest.max(old.iat))),
            outcome: request.outcome,
        });
    } else if request.outcome.is_some() {
        return Err(Error::OutcomeOfAnother);
    }
    let acted = chain
        .iter()
        .position(|link| link.actor.came_through(next.party()));
    if let Some(position) = acted {
        return Err(Error::RepeatedActor { position });
    }
    if next.party().subject() == old.sub {
        return Err(Error::RepeatedActor { position: 0 });
    }
    Ok((Some(next.clone()), chain))
}
