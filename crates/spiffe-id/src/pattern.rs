//! Which SPIFFE IDs a policy means.

use alloc::boxed::Box;
use core::{fmt, str::FromStr};

use crate::{Error, SpiffeId, SpiffeIdRef, TrustDomain, TrustDomainRef};

/// A set of SPIFFE IDs, for authorization.
///
/// Every pattern carries its trust domain and compares whole segments: there is no path-only, substring, glob or regular
/// expression form. A prefix must have at least one segment, so an empty configuration value cannot grant a whole trust
/// domain; that grant has a constructor of its own.
///
/// ```
/// use spiffe_id::{SpiffeId, SpiffeIdPattern};
///
/// let agents = SpiffeIdPattern::parse("spiffe://example.org/agents/*")?;
/// assert!(agents.matches(&SpiffeId::parse("spiffe://example.org/agents/invoice-bot/7")?));
/// assert!(!agents.matches(&SpiffeId::parse("spiffe://example.org/agents")?));
/// assert!(!agents.matches(&SpiffeId::parse("spiffe://example.org/agents-of-chaos")?));
/// # Ok::<(), spiffe_id::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpiffeIdPattern {
    set: Set,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Set {
    Exact(SpiffeId),
    Below(SpiffeId),
    AtOrBelow(SpiffeId),
    MembersOf(TrustDomain),
    OneOf(Box<[SpiffeIdPattern]>),
}

impl SpiffeIdPattern {
    /// Parses a SPIFFE ID (which matches itself), or a SPIFFE ID with at least one segment followed by `/*` (which matches
    /// everything [below](Self::below) it). This is the `spiffe_id` syntax of draft-ietf-oauth-spiffe-client-auth
    /// section 5.1, without the wildcard over a whole trust domain.
    ///
    /// # Errors
    ///
    /// [`Error::PrefixWithoutSegment`] for `spiffe://td/*`, [`Error::Wildcard`] for a `*` anywhere else than in the final
    /// `/*`, otherwise as [`SpiffeIdRef::parse`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let pattern = Self::parse_allowing_trust_domain(text)?;
        if pattern.covers_trust_domain() {
            Err(Error::PrefixWithoutSegment)
        } else {
            Ok(pattern)
        }
    }

    /// As [`parse`](Self::parse), and accepts `spiffe://td/*`, which matches every ID of the trust domain that has a path.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), without [`Error::PrefixWithoutSegment`].
    pub fn parse_allowing_trust_domain(text: &str) -> Result<Self, Error> {
        let (id, wildcard) = match text.strip_suffix("/*") {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        let id = SpiffeId::parse(id).map_err(|error| match error {
            Error::TrustDomainCharacter { offset, byte: b'*' }
            | Error::PathCharacter { offset, byte: b'*' } => Error::Wildcard { offset },
            other => other,
        })?;
        Ok(Self {
            set: if wildcard {
                Set::Below(id)
            } else {
                Set::Exact(id)
            },
        })
    }

    /// Matches `id` alone.
    #[must_use]
    pub const fn exact(id: SpiffeId) -> Self {
        Self {
            set: Set::Exact(id),
        }
    }

    /// Matches the IDs that have at least one segment more than `prefix` and begin with its segments.
    ///
    /// # Errors
    ///
    /// [`Error::PrefixWithoutSegment`] when `prefix` has no path.
    pub fn below(prefix: SpiffeId) -> Result<Self, Error> {
        if prefix.is_trust_domain_id() {
            return Err(Error::PrefixWithoutSegment);
        }
        Ok(Self {
            set: Set::Below(prefix),
        })
    }

    /// Matches `prefix` itself and everything [below](Self::below) it.
    ///
    /// # Errors
    ///
    /// [`Error::PrefixWithoutSegment`] when `prefix` has no path.
    pub fn at_or_below(prefix: SpiffeId) -> Result<Self, Error> {
        if prefix.is_trust_domain_id() {
            return Err(Error::PrefixWithoutSegment);
        }
        Ok(Self {
            set: Set::AtOrBelow(prefix),
        })
    }

    /// Matches every ID of a trust domain, the ID of the trust domain itself included.
    #[must_use]
    pub const fn members_of(trust_domain: TrustDomain) -> Self {
        Self {
            set: Set::MembersOf(trust_domain),
        }
    }

    /// Matches what any of `patterns` matches; without patterns, nothing.
    #[must_use]
    pub fn one_of(patterns: impl IntoIterator<Item = Self>) -> Self {
        Self {
            set: Set::OneOf(patterns.into_iter().collect()),
        }
    }

    /// Whether the pattern means `id`.
    #[must_use]
    pub fn matches<'i>(&self, id: impl Into<SpiffeIdRef<'i>>) -> bool {
        let id = id.into();
        match &self.set {
            Set::Exact(only) => *only == id,
            Set::Below(prefix) => is_below(id, prefix),
            Set::AtOrBelow(prefix) => *prefix == id || is_below(id, prefix),
            Set::MembersOf(trust_domain) => id.is_member_of(trust_domain),
            Set::OneOf(patterns) => patterns.iter().any(|pattern| pattern.matches(id)),
        }
    }

    /// Whether the pattern grants a whole trust domain, which a policy may want to refuse.
    #[must_use]
    pub fn covers_trust_domain(&self) -> bool {
        match &self.set {
            Set::Exact(_) => false,
            Set::Below(prefix) | Set::AtOrBelow(prefix) => prefix.is_trust_domain_id(),
            Set::MembersOf(_) => true,
            Set::OneOf(patterns) => patterns.iter().any(Self::covers_trust_domain),
        }
    }

    /// The single trust domain that the pattern speaks of. `None` for [`one_of`](Self::one_of).
    #[must_use]
    pub fn trust_domain(&self) -> Option<TrustDomainRef<'_>> {
        match &self.set {
            Set::Exact(id) | Set::Below(id) | Set::AtOrBelow(id) => Some(id.trust_domain()),
            Set::MembersOf(trust_domain) => Some(trust_domain.into()),
            Set::OneOf(_) => None,
        }
    }

    /// The one ID that the pattern matches, when it is [exact](Self::exact).
    #[must_use]
    pub fn as_exact(&self) -> Option<&SpiffeId> {
        match &self.set {
            Set::Exact(id) => Some(id),
            _ => None,
        }
    }
}

/// The byte after the prefix must be a separator: segments are compared whole. An ID cannot end in `/`, so a segment
/// follows it.
fn is_below(id: SpiffeIdRef<'_>, prefix: &SpiffeId) -> bool {
    id.as_str()
        .strip_prefix(prefix.as_str())
        .is_some_and(|rest| rest.starts_with('/'))
}

impl FromStr for SpiffeIdPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for SpiffeIdPattern {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl From<SpiffeId> for SpiffeIdPattern {
    fn from(id: SpiffeId) -> Self {
        Self::exact(id)
    }
}

/// For people. The exact form and the form with `/*` are also what [`SpiffeIdPattern::parse`] reads.
impl fmt::Display for SpiffeIdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.set {
            Set::Exact(id) => write!(f, "{id}"),
            Set::Below(prefix) => write!(f, "{prefix}/*"),
            Set::AtOrBelow(prefix) => write!(f, "{prefix} and {prefix}/*"),
            Set::MembersOf(trust_domain) => write!(f, "every ID of {}", trust_domain.id_string()),
            Set::OneOf(patterns) => {
                for (index, pattern) in patterns.iter().enumerate() {
                    if index > 0 {
                        f.write_str(" or ")?;
                    }
                    write!(f, "{pattern}")?;
                }
                Ok(())
            }
        }
    }
}
