//! WIT-SVID: a token that names a workload and its key, and proves nothing until that key signs.

mod claims;
mod holder;
mod issue;
mod parse;
mod verify;

pub use claims::WitSvidRequest;
pub use holder::WitSvidHolder;
pub use issue::WitSvidIssuer;
pub use parse::UnverifiedWitSvid;
pub use verify::{BoundWorkload, ProofOfPossession, UnprovenWitSvid, WitSvidVerifier};
