//! Who a subject is in another domain (draft section 4.2).

use std::collections::BTreeMap;
use std::fmt;

use jose_x509::CryptoProvider;
use spiffe_id::{SpiffeId, TrustDomain};

use super::pseudonym;

/// What kind of principal a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PrincipalKind {
    /// A human.
    Human,
    /// A system that acts for nobody.
    System,
    /// A workload.
    Workload,
    /// Anything else.
    Other,
}

/// Which subjects a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Match {
    /// Those that begin so.
    Prefix(String),
    /// SPIFFE IDs of a trust domain.
    Spiffe(TrustDomain),
    /// All that no rule before it matched.
    Any,
}

impl Match {
    fn matches(&self, subject: &str) -> bool {
        match self {
            Self::Prefix(prefix) => subject.starts_with(prefix),
            Self::Spiffe(domain) => SpiffeId::parse(subject).is_ok_and(|id| domain.contains(&id)),
            Self::Any => true,
        }
    }
}

/// How a subject is renamed. `Debug` hides keys and names.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mapping {
    /// By a table; who is not in it has no name there.
    Table(BTreeMap<String, String>),
    /// Without this prefix.
    WithoutPrefix(String),
    /// A pseudonym that is the partner's alone: HMAC-SHA-256 with this key.
    Pairwise([u8; 32]),
    /// The same name. Another user of the partner may have it.
    Identity,
}

impl Mapping {
    fn map(&self, subject: &str, provider: &CryptoProvider) -> Option<String> {
        match self {
            Self::Table(names) => names.get(subject).cloned(),
            Self::WithoutPrefix(prefix) => subject
                .strip_prefix(prefix.as_str())
                .filter(|rest| !rest.is_empty())
                .map(str::to_owned),
            Self::Pairwise(key) => Some(pseudonym(provider, key, subject)),
            Self::Identity => Some(subject.to_owned()),
        }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table(_) => "Table(..)",
            Self::WithoutPrefix(_) => "WithoutPrefix(..)",
            Self::Pairwise(_) => "Pairwise(..)",
            Self::Identity => "Identity",
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct SubjectRule {
    pub(super) kind: PrincipalKind,
    pub(super) matches: Match,
    pub(super) mapping: Mapping,
}

/// The kind of a subject and its name for the partner, by the first rule that matches.
pub(super) fn resolve(
    rules: &[SubjectRule],
    subject: &str,
    provider: &CryptoProvider,
) -> Option<(PrincipalKind, String)> {
    let rule = rules.iter().find(|rule| rule.matches.matches(subject))?;
    Some((rule.kind, rule.mapping.map(subject, provider)?))
}
