//! What is written down of a token, and its single use.

use jose_x509::CryptoProvider;
use jose_x509::replay::{ReplayGuard, ReplayKey};
use pki_types::UnixTime;
use serde::Serialize;

use crate::actor::{Actor, ChainLink};
use crate::error::Error;
use crate::lifetime::MAX_TOTAL;
use crate::token::TxnToken;

/// A line for an audit log: who did what on whose behalf. It has the hash of the token, not the token.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AuditRecord<'a> {
    /// `txn`.
    pub txn: &'a str,
    /// `sub`.
    pub sub: &'a str,
    /// `act.sub`.
    pub act: Option<&'a str>,
    /// The workload that acts: [`TxnToken::acting_workload`].
    pub acting: Option<&'a str>,
    /// The agents before the acting one, oldest first.
    pub path: Vec<&'a str>,
    /// The agents that acted before the transaction reached those, oldest first: what nested `act` says, for information.
    pub history: Vec<String>,
    /// `req_wl`.
    pub req_wl: &'a str,
    /// `scope`.
    pub scope: String,
    /// `agentic_ctx.intent`, a text that nobody verified.
    pub unverified_intent: Option<&'a str>,
    /// [`TxnToken::hash_for_logs`].
    pub token_hash: String,
    /// Seconds since the epoch.
    pub time: u64,
    /// `allow`, or the code of the refusal.
    pub decision: &'static str,
}

/// What may be used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SingleUse {
    /// The transaction: no second token of it, however often replaced.
    Transaction,
    /// The token.
    Token,
}

impl TxnToken {
    /// The record of a decision on this token.
    #[must_use]
    pub fn audit_record(&self, decision: &Result<(), Error>, now: UnixTime) -> AuditRecord<'_> {
        let mut path = self.path();
        let acting = path.pop();
        AuditRecord {
            txn: self.txn(),
            sub: self.subject(),
            act: self.actor().map(|actor| actor.party().subject()),
            acting,
            path,
            history: self.history(),
            req_wl: self.requesting_workload(),
            scope: self.scope().to_string(),
            unverified_intent: self
                .agentic_context()
                .and_then(|context| context.intent.as_deref()),
            token_hash: self.hash_for_logs(),
            time: now.as_secs(),
            decision: decision.as_ref().map_or_else(Error::code, |()| "allow"),
        }
    }

    fn history(&self) -> Vec<String> {
        let links = self.act_chain().iter().map(ChainLink::actor);
        links
            .chain(self.actor())
            .flat_map(Actor::informational_history)
            .map(|agent| agent.subject().to_owned())
            .collect()
    }

    /// Uses the token or its transaction up, for `purpose` (a service, or one of its operations). Call it after every other
    /// check.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] with the guard's reason: it was used before, or the guard cannot tell.
    pub fn use_once(
        &self,
        what: SingleUse,
        purpose: &str,
        provider: &CryptoProvider,
        guard: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<(), Error> {
        let signed;
        let name = match what {
            SingleUse::Transaction => self.txn().as_bytes(),
            SingleUse::Token => {
                signed = self.signed_hash();
                signed.as_slice()
            }
        };
        let kind = match what {
            SingleUse::Transaction => "txn",
            SingleUse::Token => "token",
        };
        let key = ReplayKey::new(
            provider,
            &["txn-token", kind, self.trust_domain(), purpose]
                .map(str::as_bytes)
                .iter()
                .copied()
                .chain([name])
                .collect::<Vec<_>>(),
        );
        // Replacements end within the time that a transaction may last, and clocks differ.
        let kept = self.expires().saturating_add(MAX_LEEWAY);
        let kept = kept.saturating_add(match what {
            SingleUse::Transaction => MAX_TOTAL,
            SingleUse::Token => 0,
        });
        let until = UnixTime::since_unix_epoch(std::time::Duration::from_secs(kept));
        Ok(guard.check_and_insert(key, until, now)?)
    }
}

const MAX_LEEWAY: u64 = 120;
