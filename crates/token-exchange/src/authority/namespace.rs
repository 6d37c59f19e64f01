//! Bounds on callable workloads: SPIFFE IDs and segment-wise prefixes of them.

use std::fmt;

use spiffe_id::{SpiffeId, SpiffeIdPattern, SpiffeIdRef};

/// One SPIFFE ID, or everything below one (`spiffe://example.org/tools/*`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace {
    base: SpiffeId,
    below: bool,
}

impl Namespace {
    /// Parses a SPIFFE ID with an optional last segment `*`, which stands for one or more segments.
    ///
    /// # Errors
    ///
    /// The error of [`SpiffeId::parse`].
    pub fn parse(text: &str) -> Result<Self, spiffe_id::Error> {
        let (base, below) = text
            .strip_suffix("/*")
            .map_or((text, false), |base| (base, true));
        Ok(Self {
            base: SpiffeId::parse(base)?,
            below,
        })
    }

    /// Whether the ID lies in it.
    #[must_use]
    pub fn contains(&self, id: SpiffeIdRef<'_>) -> bool {
        if !self.below {
            return self.base.as_str() == id.as_str();
        }
        id.as_str()
            .strip_prefix(self.base.as_str())
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// What lies in both. Two namespaces are disjoint, equal, or one is within the other.
    fn intersect(&self, other: &Self) -> Option<Self> {
        if self.is_within(other) {
            Some(self.clone())
        } else if other.is_within(self) {
            Some(other.clone())
        } else {
            None
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        self == other
            || (other.below
                && (other.contains((&self.base).into()) || (self.below && self.base == other.base)))
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}",
            self.base.as_str(),
            if self.below { "/*" } else { "" }
        )
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&Namespace> for SpiffeIdPattern {
    fn from(namespace: &Namespace) -> Self {
        let exact = || Self::exact(namespace.base.clone());
        if namespace.below {
            Self::below(namespace.base.clone()).unwrap_or_else(|_| exact())
        } else {
            exact()
        }
    }
}

/// A set of namespaces, none within another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces(Vec<Namespace>);

impl Namespaces {
    /// The set of these namespaces.
    #[must_use]
    pub fn new(namespaces: impl IntoIterator<Item = Namespace>) -> Self {
        let mut all: Vec<Namespace> = namespaces.into_iter().collect();
        all.sort();
        all.dedup();
        let maximal =
            |one: &Namespace| !all.iter().any(|other| other != one && one.is_within(other));
        Self(all.iter().filter(|one| maximal(one)).cloned().collect())
    }

    /// Whether the ID lies in one of them.
    #[must_use]
    pub fn contains(&self, id: SpiffeIdRef<'_>) -> bool {
        self.0.iter().any(|namespace| namespace.contains(id))
    }

    /// What lies in both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self::new(
            self.0
                .iter()
                .flat_map(|a| other.0.iter().filter_map(|b| a.intersect(b))),
        )
    }

    /// The namespaces.
    #[must_use]
    pub fn as_slice(&self) -> &[Namespace] {
        &self.0
    }
}
