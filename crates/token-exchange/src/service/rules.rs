//! What a server decides beyond the rules that always hold.

use serde_json::{Map, Value};

use crate::act::{ActorChain, MayAct, Party};
use crate::authority::{Detail, ScopeSet};
use crate::exchange::VerifiedSubject;

/// What is known when a token is about to be issued, all of it verified.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Facts<'a> {
    /// The client that asks.
    pub client_id: &'a str,
    /// On whose behalf.
    pub subject: &'a Party,
    /// Who acts, the new actor first.
    pub actors: &'a ActorChain,
    /// `aud` of the new token.
    pub targets: &'a [String],
    /// Its scopes.
    pub scopes: &'a ScopeSet,
    /// The subject token; none when an earlier exchange is renewed.
    pub subject_token: Option<&'a VerifiedSubject>,
}

/// The decisions of a server. The defaults take away nothing and add nothing; no decision can widen what is granted.
pub trait ExchangeRules: Send + Sync {
    /// The version of the rules, for the audit records.
    fn version(&self) -> &str {
        "default"
    }

    /// Whether a grant or a token of this id was revoked: nothing is made from it then.
    fn is_revoked(&self, _id: &str) -> bool {
        false
    }

    /// Whether this actor may still act. It is asked of every actor of a delegation, in exchanges and renewals.
    fn is_enabled(&self, _actor: &Party) -> bool {
        true
    }

    /// Whether the actor may hand subject and scopes on to `target`, which is the name of another actor.
    fn may_redelegate(&self, _facts: &Facts<'_>, _target: &str) -> bool {
        false
    }

    /// `may_act` of the new token: who may take over from its actor. None is copied from the subject token.
    fn may_act(&self, _facts: &Facts<'_>) -> Option<MayAct> {
        None
    }

    /// `sub` of the new token, such as a pseudonym. By default that of a token of this server, and of another issuer's
    /// token a hash of issuer and subject, which no other pair has.
    fn subject(&self, _facts: &Facts<'_>) -> Option<String> {
        None
    }

    /// Further claims. None that the service writes itself is taken from here.
    fn claims(&self, _facts: &Facts<'_>) -> Map<String, Value> {
        Map::new()
    }

    /// Fields to add to a detail, if its type [lets them be added](crate::DetailType::with_enrichment).
    fn enrich(&self, _facts: &Facts<'_>, _detail: &Detail) -> Map<String, Value> {
        Map::new()
    }

    /// Whether the client must not be able to read the new token.
    fn hides_from_client(&self, _facts: &Facts<'_>) -> bool {
        false
    }

    /// A last look: `false` refuses.
    fn allows(&self, _facts: &Facts<'_>) -> bool {
        true
    }
}

/// The rules that are all defaults.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultRules;

impl ExchangeRules for DefaultRules {}
