//! Who may be at the other end.

use std::collections::BTreeSet;
use std::sync::Arc;

use spiffe_id::{SpiffeId, SpiffeIdPattern};

/// Decides whether an authenticated workload may be the peer of a connection.
///
/// There is no implementation that allows everybody, and nothing that a configuration could forget:
///
/// - [`SpiffeId`]: this workload alone;
/// - [`SpiffeIdPattern`]: below a path, the members of a trust domain, or one of several patterns;
/// - [`BTreeSet`] of [`SpiffeId`]s: one of these; an empty set allows nobody;
/// - a closure of the [`SpiffeId`].
///
/// It is asked in the handshake, once the peer has shown that it holds the key of its certificate, and maybe again by
/// [`recheck`](crate::SvidVerifier::recheck). The answer is for the handshake alone, which may still fail. A resumed session is not asked again: see
/// [`end_sessions`](crate::TlsServer::end_sessions) for rules that change.
pub trait Authorizer: Send + Sync {
    /// Whether `peer` is allowed.
    fn allows(&self, peer: &SpiffeId) -> bool;
}

impl Authorizer for SpiffeId {
    fn allows(&self, peer: &SpiffeId) -> bool {
        self == peer
    }
}

impl Authorizer for SpiffeIdPattern {
    fn allows(&self, peer: &SpiffeId) -> bool {
        self.matches(peer)
    }
}

impl Authorizer for BTreeSet<SpiffeId> {
    fn allows(&self, peer: &SpiffeId) -> bool {
        self.contains(peer)
    }
}

impl<A: Authorizer + ?Sized> Authorizer for Arc<A> {
    fn allows(&self, peer: &SpiffeId) -> bool {
        (**self).allows(peer)
    }
}

impl<F: Fn(&SpiffeId) -> bool + Send + Sync> Authorizer for F {
    fn allows(&self, peer: &SpiffeId) -> bool {
        self(peer)
    }
}
