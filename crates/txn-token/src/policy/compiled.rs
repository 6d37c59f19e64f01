//! A policy as it is evaluated: roles by number, and a path as sets of places.
//!
//! For each role one word has a bit for each place of the path where it is. Every rule is then a few operations on such
//! words, so that a policy costs the product of roles and places, once, whatever its rules are.

use super::file::{OutcomeRule, RoleKind, Rule};
use super::role::{Agent, Role};
use crate::actor::{Actor, ChainLink, Outcome};

/// Most places of a path.
pub(super) const MAX_PATH: usize = 64;

/// Places of a path, the first in the lowest bit.
type Places = u64;

#[derive(Clone, Debug)]
pub(super) struct Compiled {
    pub(super) kind: &'static str,
    check: Check,
}

/// A role, and whether it counts only with the outcome `ok`.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    role: usize,
    needs_ok: bool,
}

#[derive(Clone, Debug)]
enum Check {
    All(Box<[Wanted]>, bool),
    Any(Box<[Wanted]>, bool),
    Order(Wanted, usize),
    Immediate(Wanted),
    Originator(usize),
    Forbid(usize),
    Only(Box<[usize]>),
    MaxHops(usize),
    MinHops(usize),
    MaxAge(usize, u64),
}

pub(super) struct Cause {
    pub(super) code: &'static str,
    pub(super) role: Option<usize>,
    pub(super) link: Option<usize>,
}

const fn cause(code: &'static str, role: Option<usize>, link: Option<usize>) -> Result<(), Cause> {
    Err(Cause { code, role, link })
}

/// Where in a path each role is.
pub(super) struct Path {
    roles: [Places; super::MAX_ENTRIES],
    /// Every place.
    all: Places,
    /// The place of the current agent.
    current: Places,
    /// Those with the outcome `ok`, and those with any.
    ok: Places,
    stated: Places,
    length: usize,
}

impl Path {
    /// Nothing for a path that is too long.
    pub(super) fn new(
        roles: &[Role],
        before: &[ChainLink],
        current: Option<&Actor>,
    ) -> Option<Self> {
        let length = before.len().saturating_add(usize::from(current.is_some()));
        if length > MAX_PATH {
            return None;
        }
        let mut path = Self {
            roles: [0; super::MAX_ENTRIES],
            all: first(length),
            current: first(length) & !first(before.len()),
            ok: 0,
            stated: 0,
            length,
        };
        let mut place: Places = 1;
        for link in before {
            if link.outcome.is_some() {
                path.stated |= place;
            }
            if link.outcome == Some(Outcome::Ok) {
                path.ok |= place;
            }
            place = place.wrapping_shl(1);
        }
        let mut place: Places = 1;
        for actor in before.iter().map(|link| &link.actor).chain(current) {
            let mut agent = Agent::new(actor.party().subject());
            for (role, places) in roles.iter().zip(&mut path.roles) {
                if role.has(&mut agent) {
                    *places |= place;
                }
            }
            place = place.wrapping_shl(1);
        }
        Some(path)
    }

    fn of(&self, role: usize) -> Places {
        self.roles.get(role).copied().unwrap_or(0)
    }

    /// All of these places have the outcome that is wanted.
    fn outcome(&self, wanted: Wanted, places: Places) -> Result<(), Cause> {
        let wrong = places & !self.ok;
        if !wanted.needs_ok || wrong == 0 {
            return Ok(());
        }
        let link = lowest(wrong);
        let code = if self.stated & lowest_bit(wrong) == 0 {
            "outcome_missing"
        } else {
            "outcome_not_ok"
        };
        cause(code, Some(wanted.role), link)
    }

    /// The role is there, and no link of it has another outcome than asked for.
    fn require(&self, wanted: Wanted, include_current: bool) -> Result<(), Cause> {
        let counted = if include_current {
            self.all
        } else {
            self.all & !self.current
        };
        match self.of(wanted.role) & counted {
            0 => cause("missing_role", Some(wanted.role), None),
            places => self.outcome(wanted, places),
        }
    }
}

/// The first places of a path.
fn first(places: usize) -> Places {
    let bits = u32::try_from(places).unwrap_or(u32::MAX);
    1_u64.checked_shl(bits).map_or(Places::MAX, |bit| bit - 1)
}

const fn lowest_bit(places: Places) -> Places {
    places & places.wrapping_neg()
}

fn lowest(places: Places) -> Option<usize> {
    if places == 0 {
        None
    } else {
        usize::try_from(places.trailing_zeros()).ok()
    }
}

fn highest(places: Places) -> Option<usize> {
    places
        .checked_ilog2()
        .and_then(|bit| usize::try_from(bit).ok())
}

impl Compiled {
    /// Nothing for a rule about a role that does not exist.
    pub(super) fn new(rule: &Rule, roles: &[Role]) -> Option<Self> {
        let number = |name: &String| roles.iter().position(|role| *role.name == **name);
        let wanted = |name: &String, outcome: Option<OutcomeRule>| {
            let role = number(name)?;
            let is_check = roles.get(role)?.kind == RoleKind::Check;
            Some(Wanted {
                role,
                needs_ok: outcome.map_or(is_check, |rule| rule == OutcomeRule::Ok),
            })
        };
        let all = |names: &[String], outcome| {
            let wanted = names.iter().map(|name| wanted(name, outcome));
            wanted.collect::<Option<Box<[_]>>>()
        };
        let check = match rule {
            Rule::Require {
                role,
                outcome,
                include_current,
            } => Check::All([wanted(role, *outcome)?].into(), *include_current),
            Rule::RequireAll {
                roles,
                outcome,
                include_current,
            } => Check::All(all(roles, *outcome)?, *include_current),
            Rule::RequireAny {
                roles,
                outcome,
                include_current,
            } => Check::Any(all(roles, *outcome)?, *include_current),
            Rule::Order { first, then } => Check::Order(wanted(first, None)?, number(then)?),
            Rule::Immediate { role, outcome } => Check::Immediate(wanted(role, *outcome)?),
            Rule::Originator { role } => Check::Originator(number(role)?),
            Rule::Forbid { role } => Check::Forbid(number(role)?),
            Rule::Only { roles } => Check::Only(roles.iter().map(number).collect::<Option<_>>()?),
            Rule::MaxHops { limit } => Check::MaxHops(*limit),
            Rule::MinHops { limit } => Check::MinHops(*limit),
            Rule::MaxAge { role, seconds } => Check::MaxAge(number(role)?, *seconds),
        };
        Some(Self {
            kind: rule.kind(),
            check,
        })
    }

    pub(super) fn check(&self, path: &Path, before: &[ChainLink], now: u64) -> Result<(), Cause> {
        match &self.check {
            Check::All(wanted, include_current) => wanted
                .iter()
                .try_for_each(|wanted| path.require(*wanted, *include_current)),
            Check::Any(wanted, include_current) => {
                let held = |wanted: &Wanted| path.require(*wanted, *include_current).is_ok();
                if wanted.iter().any(held) {
                    Ok(())
                } else {
                    cause("missing_role", None, None)
                }
            }
            Check::Order(wanted, then) => {
                let role = wanted.role;
                let Some(a) = lowest(path.of(role)) else {
                    return cause("missing_role", Some(role), None);
                };
                match lowest(path.of(*then)) {
                    None => cause("missing_role", Some(*then), None),
                    Some(b) if a >= b => cause("wrong_order", Some(role), Some(b)),
                    Some(_) => path.outcome(*wanted, lowest_bit(path.of(role))),
                }
            }
            Check::Immediate(wanted) => {
                let role = wanted.role;
                let Some(last) = before.len().checked_sub(1) else {
                    return cause("missing_role", Some(role), None);
                };
                match path.of(role) & first(before.len()) & !first(last) {
                    0 => cause("wrong_delegator", Some(role), Some(last)),
                    place => path.outcome(*wanted, place),
                }
            }
            Check::Originator(role) => match path.length {
                0 => cause("missing_role", Some(*role), None),
                _ if path.of(*role) & 1 == 1 => Ok(()),
                _ => cause("wrong_originator", Some(*role), Some(0)),
            },
            Check::Forbid(role) => match lowest(path.of(*role)) {
                None => Ok(()),
                link => cause("forbidden_role", Some(*role), link),
            },
            Check::Only(roles) => {
                let listed = roles.iter().fold(0, |all, role| all | path.of(*role));
                match lowest(path.all & !listed) {
                    None => Ok(()),
                    link => cause("role_not_listed", None, link),
                }
            }
            Check::MaxHops(limit) if path.length > *limit => {
                cause("too_many_hops", None, Some(*limit))
            }
            Check::MinHops(limit) if path.length < *limit => cause("too_few_hops", None, None),
            Check::MaxHops(_) | Check::MinHops(_) => Ok(()),
            Check::MaxAge(role, seconds) => {
                let Some(link) = highest(path.of(*role) & !path.current) else {
                    return cause("missing_role", Some(*role), None);
                };
                let issued_at = before.get(link).and_then(|link| link.issued_at);
                if issued_at.is_some_and(|time| now.saturating_sub(time) <= *seconds) {
                    Ok(())
                } else {
                    cause("too_old", Some(*role), Some(link))
                }
            }
        }
    }
}
