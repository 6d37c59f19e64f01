//! JSON Web Signature, compact serialization (RFC 7515).

pub(crate) mod header;
mod parse;
mod sign;
mod x5c;

pub use header::{Header, HeaderRules};
pub use parse::{Limits, UnverifiedJws, VerifiedJws};
pub(crate) use sign::sign_input;
pub use sign::{ProtectedHeader, SigningInput, sign, sign_async};
pub use x5c::{CertificateKeys, CertifiedKey};
