//! The authority algebra: what may be done, as a value that an intersection only narrows.
//!
//! Effective authority is class ∩ instance ∩ delegation ∩ request. [`Authority::intersect`] is
//! commutative, associative and idempotent, and its result permits nothing that an input forbids.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use pki_types::UnixTime;
use serde::{Serialize, Serializer};
use spiffe_id::SpiffeIdRef;

use crate::error::Error;

mod details;
mod namespace;

pub use details::{Detail, DetailType, DetailTypes, Details, FieldSet, FieldType};
pub use namespace::{Namespace, Namespaces};

/// A set of names, or no bound at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound<T> {
    /// Nothing is excluded in this dimension.
    Any,
    /// Only this.
    Only(T),
}

impl<T: Clone> Bound<T> {
    fn intersect(&self, other: &Self, both: impl FnOnce(&T, &T) -> T) -> Self {
        match (self, other) {
            (Self::Any, bound) | (bound, Self::Any) => bound.clone(),
            (Self::Only(a), Self::Only(b)) => Self::Only(both(a, b)),
        }
    }

    /// As `intersect`, with what is there already instead of a copy of it.
    fn narrow(&mut self, other: &Self, both: impl FnOnce(&T, &T) -> T) {
        match (&*self, other) {
            (_, Self::Any) => {}
            (Self::Any, bound) => *self = bound.clone(),
            (Self::Only(a), Self::Only(b)) => *self = Self::Only(both(a, b)),
        }
    }

    /// As `narrow`, to this.
    fn narrow_to(&mut self, set: T, both: impl FnOnce(&T, &T) -> T) {
        *self = Self::Only(match self {
            Self::Any => set,
            Self::Only(own) => both(own, &set),
        });
    }

    /// The set, if there is a bound.
    #[must_use]
    pub fn only(&self) -> Option<&T> {
        match self {
            Self::Any => None,
            Self::Only(set) => Some(set),
        }
    }

    fn permits(&self, test: impl FnOnce(&T) -> bool) -> bool {
        self.only().is_none_or(test)
    }
}

/// A set of scope tokens (RFC 6749 section 3.3), case-sensitive. Its copies share the text.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScopeSet(
    /// The tokens in order, each once, with a space between two. No token has a byte that sorts below it.
    Arc<str>,
);

const MAX_SCOPES: usize = 256;

impl ScopeSet {
    /// Reads a space-separated list.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidScope`] for a character outside RFC 6749 and for more than 256 tokens.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if !text.bytes().all(allowed) || text.split_ascii_whitespace().nth(MAX_SCOPES).is_some() {
            return Err(Error::InvalidScope);
        }
        // Most are written as they are kept.
        if !text.starts_with(' ') && text.split(' ').is_sorted_by(|one, next| one < next) {
            return Ok(Self(text.into()));
        }
        Ok(Self::of(text.split_ascii_whitespace().collect()))
    }

    fn of(mut tokens: Vec<&str>) -> Self {
        tokens.sort_unstable();
        tokens.dedup();
        Self(tokens.join(" ").into())
    }

    pub(crate) fn intersect(&self, other: &Self) -> Self {
        if self.is_subset(other) {
            self.clone()
        } else if other.is_subset(self) {
            other.clone()
        } else {
            Self(in_both(self.iter(), other.iter()).join(" ").into())
        }
    }

    /// Whether a scope is in the set.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|one| one == scope)
    }

    /// Whether every scope of this set is in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        let mut others = other.iter();
        // Both are in order, so that whatever is passed over is not in this set.
        self.0 == other.0 || self.iter().all(|one| others.any(|other| other == one))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_ascii_whitespace()
    }

    /// The scopes in order, with a space between two.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A text, as in `scope`.
impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'a> FromIterator<&'a str> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = &'a str>>(scopes: I) -> Self {
        Self::of(
            scopes
                .into_iter()
                .flat_map(str::split_ascii_whitespace)
                .collect(),
        )
    }
}

/// What may be done, in every dimension that a token can express.
///
/// A dimension is unbounded until it is bounded: start from [`Authority::unbounded`] and narrow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authority {
    /// Scopes.
    pub scopes: Bound<ScopeSet>,
    /// Authorization details (RFC 9396).
    pub details: Bound<Details>,
    /// Where a token may be used: resources and audiences, exactly as `aud` names them.
    pub targets: Bound<BTreeSet<String>>,
    /// Which workloads may be called.
    pub namespaces: Bound<Namespaces>,
    /// Until when, in seconds since the epoch; nothing is permitted at that time or later.
    pub expires: Bound<u64>,
}

/// One thing that somebody wants to do, for [`Authority::permits`].
#[derive(Clone, Debug)]
pub struct Action<'a> {
    /// The scope that it needs.
    pub scope: &'a str,
    /// The target at which it is done.
    pub target: &'a str,
    /// The workload that is called, if any.
    pub callee: Option<SpiffeIdRef<'a>>,
    /// The detail that it needs, every field with a single value, if any.
    pub detail: Option<&'a Detail>,
    /// When.
    pub now: UnixTime,
}

impl Authority {
    /// No bound in any dimension: the neutral element of [`Authority::intersect`].
    #[must_use]
    pub const fn unbounded() -> Self {
        Self {
            scopes: Bound::Any,
            details: Bound::Any,
            targets: Bound::Any,
            namespaces: Bound::Any,
            expires: Bound::Any,
        }
    }

    /// Bounds the scopes further.
    #[must_use]
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes.narrow_to(scopes, ScopeSet::intersect);
        self
    }

    /// Bounds the authorization details further.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details.narrow_to(details, Details::intersect);
        self
    }

    /// Bounds the targets further.
    #[must_use]
    pub fn with_targets<S: Into<String>>(mut self, targets: impl IntoIterator<Item = S>) -> Self {
        let targets = targets.into_iter().map(Into::into).collect();
        self.targets.narrow_to(targets, common);
        self
    }

    /// Bounds the callable workloads further.
    #[must_use]
    pub fn with_namespaces(mut self, namespaces: impl IntoIterator<Item = Namespace>) -> Self {
        let namespaces = Namespaces::new(namespaces);
        self.namespaces.narrow_to(namespaces, Namespaces::intersect);
        self
    }

    /// Bounds the time further.
    #[must_use]
    pub fn with_expiry(mut self, seconds: u64) -> Self {
        self.expires.narrow_to(seconds, earlier);
        self
    }

    /// What both permit.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self {
            scopes: self.scopes.intersect(&other.scopes, ScopeSet::intersect),
            details: self.details.intersect(&other.details, Details::intersect),
            targets: self.targets.intersect(&other.targets, common),
            namespaces: self
                .namespaces
                .intersect(&other.namespaces, Namespaces::intersect),
            expires: self.expires.intersect(&other.expires, earlier),
        }
    }

    /// What this and all of the others permit.
    #[must_use]
    pub fn within_all<'a>(mut self, others: impl IntoIterator<Item = &'a Self>) -> Self {
        for one in others {
            self.scopes.narrow(&one.scopes, ScopeSet::intersect);
            self.details.narrow(&one.details, Details::intersect);
            self.targets.narrow(&one.targets, common);
            self.namespaces
                .narrow(&one.namespaces, Namespaces::intersect);
            self.expires.narrow(&one.expires, earlier);
        }
        self
    }

    /// What all permit.
    #[must_use]
    pub fn intersection<'a>(authorities: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::unbounded().within_all(authorities)
    }

    /// Whether `other` permits everything that this permits.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.intersect(other) == *self
    }

    /// Whether one action is permitted.
    #[must_use]
    pub fn permits(&self, action: &Action<'_>) -> bool {
        self.scopes.permits(|scopes| scopes.contains(action.scope))
            && self
                .targets
                .permits(|targets| targets.contains(action.target))
            && self
                .namespaces
                .permits(|bounds| action.callee.is_some_and(|callee| bounds.contains(callee)))
            && self
                .details
                .permits(|details| action.detail.is_none_or(|detail| details.covers(detail)))
            && self
                .expires
                .permits(|expires| action.now.as_secs() < *expires)
    }
}

/// What two iterators in order have in common.
fn in_both<'a>(
    one: impl Iterator<Item = &'a str>,
    other: impl Iterator<Item = &'a str>,
) -> Vec<&'a str> {
    let mut other = other.peekable();
    one.filter(|one| {
        while other.next_if(|other| other < one).is_some() {}
        other.next_if_eq(one).is_some()
    })
    .collect()
}

fn common(a: &BTreeSet<String>, b: &BTreeSet<String>) -> BTreeSet<String> {
    a.intersection(b).cloned().collect()
}

fn earlier(a: &u64, b: &u64) -> u64 {
    *a.min(b)
}
