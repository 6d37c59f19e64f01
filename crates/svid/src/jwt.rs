//! JWT-SVID: a bearer token for one audience.

mod issue;
mod verify;

pub use issue::JwtSvidIssuer;
pub use verify::{JwtSvid, JwtSvidVerifier};
