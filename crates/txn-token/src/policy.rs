//! Call-chain policy: who must, may and must not have acted in a transaction, as data.
//!
//! Roles are sets of SPIFFE IDs that the policy itself defines; no role is read from a token. The
//! path is `act_chain` and then `act`, or `txn_path` where a token has one: behind `act` if that is not its first agent.
//! A link whose subject is no SPIFFE ID has no role.

use std::collections::BTreeSet;

use jose_x509::json;
use pki_types::UnixTime;
use serde::Deserialize;
use token_exchange::Party;

use crate::actor::{Actor, ChainLink};
use crate::error::{Error, PolicyProblem};
use crate::lineage::{HandedOver, Lineage};
use crate::token::TxnToken;

mod compiled;
mod file;
mod role;

use compiled::{Compiled, MAX_PATH, Path};
use file::{PolicyFile, Rule};
use role::Role;

/// A policy that was checked on loading: no unknown key, no undefined or unused role.
///
/// It reads from any `serde` format, and from JSON by [`CallChainPolicy::from_json`]:
///
/// ```
/// use txn_token::CallChainPolicy;
///
/// let policy = CallChainPolicy::from_json(br#"{
///     "roles": {
///         "fraud-validation": {"ids": ["spiffe://example.org/checks/fraud"], "kind": "check"},
///         "payments": ["spiffe://example.org/agents/payments/*"]
///     },
///     "rules": [
///         {"rule": "require", "role": "fraud-validation"},
///         {"rule": "order", "first": "fraud-validation", "then": "payments"},
///         {"rule": "max_hops", "limit": 4}
///     ]
/// }"#)?;
/// assert_eq!(policy.len(), 3);
/// # Ok::<(), txn_token::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "PolicyFile")]
pub struct CallChainPolicy {
    roles: Vec<Role>,
    rules: Vec<Compiled>,
}

/// What a policy says of one token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Every rule holds.
    Allow,
    /// The first rule that does not.
    Deny(Denial),
}

/// Why a call chain is refused. For the audit log: a caller is told the code alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denial {
    /// A stable word for the cause.
    pub code: &'static str,
    /// The rule's position in the policy.
    pub rule: usize,
    /// The rule's kind.
    pub kind: &'static str,
    /// The role that the rule is about.
    pub role: Option<String>,
    /// The position in the path of the link that breaks the rule.
    pub link: Option<usize>,
}

impl CallChainPolicy {
    /// Reads a policy from strict JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`].
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        let limits = json::Limits::CLAIMS;
        json::check(text, &limits).map_err(|_| Error::Policy(PolicyProblem::Syntax))?;
        let file: PolicyFile =
            serde_json::from_slice(text).map_err(|_| Error::Policy(PolicyProblem::Syntax))?;
        Self::try_from(file).map_err(Error::Policy)
    }

    /// How many rules there are, at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Judges the chain of a verified token. The first rule that is broken decides.
    ///
    /// The agents of a `txn_path` have neither outcomes nor times, so rules that ask for those refuse it. A token that has an
    /// `act_chain` as well has to fulfil the policy in both.
    pub fn evaluate(&self, token: &TxnToken, now: UnixTime) -> Decision {
        let Some(Lineage::Multi(lineage)) = token.lineage() else {
            return self.evaluate_chain(token.act_chain(), token.actor(), now);
        };
        if !token.act_chain().is_empty() {
            let decision = self.evaluate_chain(token.act_chain(), token.actor(), now);
            if decision != Decision::Allow {
                return decision;
            }
        }
        let (before, current) = machines(lineage, token.actor());
        self.evaluate_chain(&before, current.as_ref(), now)
    }

    /// Judges a chain of agents that is not in a token, as to try a policy out: the agents before, oldest first, and the
    /// current one. A path of more than 64 agents is refused, whatever the rules; a token has at most 16.
    pub fn evaluate_chain(
        &self,
        before: &[ChainLink],
        current: Option<&Actor>,
        now: UnixTime,
    ) -> Decision {
        let Some(path) = Path::new(&self.roles, before, current) else {
            return Decision::Deny(Denial {
                code: "too_many_hops",
                rule: self.rules.len(),
                kind: "path",
                role: None,
                link: Some(MAX_PATH),
            });
        };
        let role_of = |role: usize| self.roles.get(role).map(|role| role.name.to_string());
        for (rule, checked) in self.rules.iter().enumerate() {
            if let Err(cause) = checked.check(&path, before, now.as_secs()) {
                return Decision::Deny(Denial {
                    code: cause.code,
                    rule,
                    kind: checked.kind,
                    role: cause.role.and_then(role_of),
                    link: cause.link,
                });
            }
        }
        Decision::Allow
    }
}

/// `txn_path` as links and the current agent. `act` names the agent that began, which evidence may know by another name: then
/// both names are judged.
fn machines(lineage: &HandedOver, act: Option<&Actor>) -> (Vec<ChainLink>, Option<Actor>) {
    let named = |agent: &String| Actor::new(Party::new(agent.as_str()));
    let path = lineage.path();
    let other = |act: &&Actor| {
        path.first()
            .is_none_or(|first| first != act.party().subject())
    };
    let mut agents: Vec<Actor> = act.filter(other).cloned().into_iter().collect();
    agents.extend(path.iter().map(named));
    let current = agents.pop();
    (agents.into_iter().map(ChainLink::new).collect(), current)
}

/// Most roles, rules, and IDs of a role.
const MAX_ENTRIES: usize = 256;

impl TryFrom<PolicyFile> for CallChainPolicy {
    type Error = PolicyProblem;

    fn try_from(file: PolicyFile) -> Result<Self, PolicyProblem> {
        if file.rules.is_empty() {
            return Err(PolicyProblem::NoRules);
        }
        if file.rules.len() > MAX_ENTRIES || file.roles.len() > MAX_ENTRIES {
            return Err(PolicyProblem::TooLarge);
        }
        let used: BTreeSet<&str> = file.rules.iter().flat_map(Rule::roles).collect();
        if !file.rules.iter().all(Rule::is_complete)
            || used.iter().any(|role| !file.roles.contains_key(*role))
        {
            return Err(PolicyProblem::UndefinedRole);
        }
        if file.roles.keys().any(|role| !used.contains(role.as_str())) {
            return Err(PolicyProblem::UnusedRole);
        }
        let roles = file.roles.into_iter();
        let roles = roles
            .map(|(name, role)| Role::read(name, role))
            .collect::<Result<Vec<_>, _>>()?;
        let rules = file.rules.iter();
        let rules = rules
            .map(|rule| Compiled::new(rule, &roles).ok_or(PolicyProblem::UndefinedRole))
            .collect::<Result<_, _>>()?;
        Ok(Self { roles, rules })
    }
}
