//! Workload Identity Token: proves nothing until its holder proves possession of its key.

mod holder;
mod issue;
mod ledger;
mod verify;

pub use holder::{HeldWit, PendingKey};
pub use issue::{WitIssuer, WitRequest};
pub use ledger::IssuanceLedger;
pub use verify::{TrustAnchors, UnprovenWit, UnverifiedWit, WitAnchors, WitVerifier};

/// The field that carries a WIT.
pub const WORKLOAD_IDENTITY_TOKEN: &str = "workload-identity-token";
/// `typ` of a WIT.
pub const WIT_TYPE: &str = "wit+jwt";
/// The media type of a WIT as a body.
pub const WIT_MEDIA_TYPE: &str = "application/wit+jwt";
