//! Call-chain policy: who must, may and must not have acted in a transaction, as data.
//!
//! Roles are sets of SPIFFE IDs that the policy itself defines; no role is read from a token. The
//! path is `act_chain` and then `act`. A link whose subject is no SPIFFE ID has no role.

use std::collections::{BTreeMap, BTreeSet};

use jose_x509::json;
use pki_types::UnixTime;
use serde::Deserialize;
use spiffe_id::{SpiffeId, SpiffeIdPattern};

use crate::actor::{Actor, ChainLink, Outcome};
use crate::error::{Error, PolicyProblem};
use crate::token::TxnToken;

mod file;

use file::{OutcomeRule, PolicyFile, RoleFile, RoleKind, Rule};

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
    roles: BTreeMap<String, Role>,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Role {
    patterns: SpiffeIdPattern,
    kind: RoleKind,
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
    /// The position in the path (`act_chain`, then `act`) of the link that breaks the rule.
    pub link: Option<usize>,
}

/// One place in the path.
struct Step {
    id: Option<SpiffeId>,
    issued_at: Option<u64>,
    outcome: Option<Outcome>,
    current: bool,
}

type Verdict<'a> = Result<(), Cause<'a>>;

struct Cause<'a> {
    code: &'static str,
    role: Option<&'a str>,
    link: Option<usize>,
}

const fn cause<'a>(
    code: &'static str,
    role: Option<&'a str>,
    link: Option<usize>,
) -> Result<(), Cause<'a>> {
    Err(Cause { code, role, link })
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
    pub fn evaluate(&self, token: &TxnToken, now: UnixTime) -> Decision {
        self.evaluate_path(token.actor(), token.act_chain(), now)
    }

    pub(crate) fn evaluate_path(
        &self,
        current: Option<&Actor>,
        links: &[ChainLink],
        now: UnixTime,
    ) -> Decision {
        let step = |actor: &Actor, issued_at, outcome, current| Step {
            id: SpiffeId::parse(actor.party().subject()).ok(),
            issued_at,
            outcome,
            current,
        };
        let before = links
            .iter()
            .map(|link| step(&link.actor, link.issued_at, link.outcome, false));
        let path: Vec<Step> = before
            .chain(current.map(|actor| step(actor, None, None, true)))
            .collect();
        for (rule, checked) in self.rules.iter().enumerate() {
            if let Err(cause) = self.check(checked, &path, now.as_secs()) {
                return Decision::Deny(Denial {
                    code: cause.code,
                    rule,
                    kind: checked.kind(),
                    role: cause.role.map(str::to_owned),
                    link: cause.link,
                });
            }
        }
        Decision::Allow
    }
}

impl CallChainPolicy {
    fn check<'a>(&'a self, rule: &'a Rule, path: &[Step], now: u64) -> Verdict<'a> {
        match rule {
            Rule::Require {
                role,
                outcome,
                include_current,
            } => self.require(role, *outcome, *include_current, path),
            Rule::RequireAll {
                roles,
                outcome,
                include_current,
            } => roles
                .iter()
                .try_for_each(|role| self.require(role, *outcome, *include_current, path)),
            Rule::RequireAny {
                roles,
                outcome,
                include_current,
            } => {
                let held =
                    |role: &String| self.require(role, *outcome, *include_current, path).is_ok();
                if roles.iter().any(held) {
                    Ok(())
                } else {
                    cause("missing_role", None, None)
                }
            }
            Rule::Order { first, then } => self.order(first, then, path),
            Rule::Immediate { role, outcome } => {
                let before = path.iter().take_while(|step| !step.current).count();
                let Some(last) = before.checked_sub(1) else {
                    return cause("missing_role", Some(role), None);
                };
                match path.get(last) {
                    Some(step) if self.has(role, step) => self.outcome(role, *outcome, last, step),
                    _ => cause("wrong_delegator", Some(role), Some(last)),
                }
            }
            Rule::Originator { role } => match path.first() {
                Some(step) if self.has(role, step) => Ok(()),
                Some(_) => cause("wrong_originator", Some(role), Some(0)),
                None => cause("missing_role", Some(role), None),
            },
            Rule::Forbid { role } => match path.iter().position(|step| self.has(role, step)) {
                Some(link) => cause("forbidden_role", Some(role), Some(link)),
                None => Ok(()),
            },
            Rule::Only { roles } => {
                let known = |step: &Step| roles.iter().any(|role| self.has(role, step));
                match path.iter().position(|step| !known(step)) {
                    Some(link) => cause("role_not_listed", None, Some(link)),
                    None => Ok(()),
                }
            }
            Rule::MaxHops { limit } if path.len() > *limit => {
                cause("too_many_hops", None, Some(*limit))
            }
            Rule::MinHops { limit } if path.len() < *limit => cause("too_few_hops", None, None),
            Rule::MaxHops { .. } | Rule::MinHops { .. } => Ok(()),
            Rule::MaxAge { role, seconds } => {
                let newest = path
                    .iter()
                    .enumerate()
                    .rfind(|(_, step)| !step.current && self.has(role, step));
                match newest {
                    None => cause("missing_role", Some(role), None),
                    Some((_, step))
                        if step
                            .issued_at
                            .is_some_and(|time| now.saturating_sub(time) <= *seconds) =>
                    {
                        Ok(())
                    }
                    Some((link, _)) => cause("too_old", Some(role), Some(link)),
                }
            }
        }
    }

    fn has(&self, role: &str, step: &Step) -> bool {
        let role = self.roles.get(role);
        role.zip(step.id.as_ref())
            .is_some_and(|(role, id)| role.patterns.matches(id))
    }

    /// The role is there, and no link of it has another outcome than asked for.
    fn require<'a>(
        &'a self,
        role: &'a str,
        outcome: Option<OutcomeRule>,
        include_current: bool,
        path: &[Step],
    ) -> Verdict<'a> {
        let mut found = false;
        for (link, step) in path.iter().enumerate() {
            if (include_current || !step.current) && self.has(role, step) {
                found = true;
                self.outcome(role, outcome, link, step)?;
            }
        }
        if found {
            Ok(())
        } else {
            cause("missing_role", Some(role), None)
        }
    }

    fn outcome<'a>(
        &self,
        role: &'a str,
        outcome: Option<OutcomeRule>,
        link: usize,
        step: &Step,
    ) -> Verdict<'a> {
        let kind = self.roles.get(role).map(|role| role.kind);
        let needs_ok = match outcome {
            Some(OutcomeRule::Ok) => true,
            Some(OutcomeRule::Any) => false,
            None => kind == Some(RoleKind::Check),
        };
        if !needs_ok || step.outcome == Some(Outcome::Ok) {
            return Ok(());
        }
        let code = match step.outcome {
            None => "outcome_missing",
            Some(_) => "outcome_not_ok",
        };
        cause(code, Some(role), Some(link))
    }

    fn order<'a>(&'a self, first: &'a str, then: &'a str, path: &[Step]) -> Verdict<'a> {
        let position = |role: &str| path.iter().position(|step| self.has(role, step));
        match (position(first), position(then)) {
            (None, _) => cause("missing_role", Some(first), None),
            (_, None) => cause("missing_role", Some(then), None),
            (Some(a), Some(b)) if a >= b => cause("wrong_order", Some(first), Some(b)),
            (Some(a), Some(_)) => match path.get(a) {
                Some(step) => self.outcome(first, None, a, step),
                None => Ok(()),
            },
        }
    }
}

/// Most roles, rules, and IDs of a role.
const MAX_ENTRIES: usize = 256;
/// Fewest segments before the `/*` of a pattern that makes a check.
const MIN_CHECK_SEGMENTS: usize = 2;

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
            .map(|(name, role)| Ok((name, Role::read(role)?)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            roles,
            rules: file.rules,
        })
    }
}

impl Role {
    fn read(file: RoleFile) -> Result<Self, PolicyProblem> {
        let (ids, kind) = match file {
            RoleFile::Ids(ids) => (ids, RoleKind::default()),
            RoleFile::Table(table) => (table.ids, table.kind),
        };
        if ids.is_empty() {
            return Err(PolicyProblem::EmptyRole);
        }
        if ids.len() > MAX_ENTRIES {
            return Err(PolicyProblem::TooLarge);
        }
        let pattern = |text: &String| {
            let pattern = SpiffeIdPattern::parse(text).map_err(|_| PolicyProblem::Pattern)?;
            let base = text
                .strip_suffix("/*")
                .and_then(|base| SpiffeId::parse(base).ok());
            let broad = base.is_some_and(|base| base.segments().count() < MIN_CHECK_SEGMENTS);
            if kind == RoleKind::Check && broad {
                return Err(PolicyProblem::BroadCheck);
            }
            Ok(pattern)
        };
        let patterns = ids.iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            patterns: SpiffeIdPattern::one_of(patterns),
            kind,
        })
    }
}
