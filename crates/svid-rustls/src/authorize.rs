//! Who may be at the other end.

use spiffe_id::{SpiffeId, SpiffeIdPattern};

/// Decides whether an authenticated workload may be the peer of a connection.
///
/// There is no implementation that allows everybody: an exact SPIFFE ID, a [`SpiffeIdPattern`], or a
/// function of the ID.
pub trait Authorizer: Send + Sync {
    /// Whether `peer` is allowed.
    fn allows(&self, peer: &SpiffeId) -> bool;
}

/// This workload alone.
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

impl<F: Fn(&SpiffeId) -> bool + Send + Sync> Authorizer for F {
    fn allows(&self, peer: &SpiffeId) -> bool {
        self(peer)
    }
}
