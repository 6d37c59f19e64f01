//! Errors: what was wrong, where, whose fault it is and whether trying again can help.

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The peer sent something malformed, forged, expired or of the wrong kind.
    Peer,
    /// What the peer sent is well formed, and a local policy does not allow it.
    Policy,
    /// The caller's own keys, limits or options cannot work.
    Configuration,
    /// A resource outside the input failed; the same call may succeed later.
    Transient,
}
