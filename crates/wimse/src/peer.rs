//! Whom one expects at the other end, and what a workload may be let in for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::identifier::WorkloadIdentifier;

/// Which workloads are meant. Every variant speaks of whole identifiers or of a scheme with its trust domain; a
/// path alone, a prefix or a wildcard cannot be said.
///
/// There is no default: nobody is meant by accident.
#[derive(Clone)]
#[non_exhaustive]
pub enum PeerPolicy {
    /// This one. The policy to prefer.
    Exact(WorkloadIdentifier),
    /// Any of these; nobody if the set is empty.
    AnyOf(BTreeSet<WorkloadIdentifier>),
    /// Every workload of a trust domain, written with its scheme: `wimse://example.com`.
    TrustDomain(String),
    /// What the function says of the whole identifier.
    Custom(Arc<dyn Fn(&WorkloadIdentifier) -> bool + Send + Sync>),
}

impl PeerPolicy {
    /// Whether this workload is meant.
    #[must_use]
    pub fn permits(&self, identifier: &WorkloadIdentifier) -> bool {
        match self {
            Self::Exact(one) => one == identifier,
            Self::AnyOf(set) => set.contains(identifier),
            Self::TrustDomain(origin) => identifier.origin() == origin,
            Self::Custom(function) => function(identifier),
        }
    }
}

impl fmt::Debug for PeerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(one) => f.debug_tuple("Exact").field(one).finish(),
            Self::AnyOf(set) => f.debug_tuple("AnyOf").field(set).finish(),
            Self::TrustDomain(origin) => f.debug_tuple("TrustDomain").field(origin).finish(),
            Self::Custom(_) => f.write_str("Custom(..)"),
        }
    }
}

/// Maps the name by which a client reaches a server to the workload that has to be behind it.
pub trait PeerNames {
    /// The policy for an authority: a host in lower case, with its port if that is not the default one.
    /// `None` refuses the peer.
    fn policy_for(&self, authority: &str) -> Option<PeerPolicy>;
}

impl<T: PeerNames + ?Sized> PeerNames for &T {
    fn policy_for(&self, authority: &str) -> Option<PeerPolicy> {
        (**self).policy_for(authority)
    }
}

impl PeerNames for BTreeMap<String, PeerPolicy> {
    fn policy_for(&self, authority: &str) -> Option<PeerPolicy> {
        self.get(authority).cloned()
    }
}
