//! WIT-SVID: a token that names a workload and its key, and proves nothing until that key signs.

mod issue;
mod verify;

pub use issue::WitSvidIssuer;
pub use verify::{BoundWorkload, UnprovenWitSvid, WitSvidVerifier};
