//! JWT-SVID: a bearer token for one audience.

mod claims;
mod issue;
mod parse;
mod transport;
mod verify;

pub use claims::JwtSvidRequest;
pub use issue::JwtSvidIssuer;
pub use parse::UnverifiedJwtSvid;
pub(crate) use transport::check_target;
pub use transport::{GRPC_METADATA_KEY, attach, authorization, bearer_token};
pub use verify::{JwtSvid, JwtSvidVerifier, MAX_KEYS_TRIED};
