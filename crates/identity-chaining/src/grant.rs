//! The JWT authorization grant: what is the same for plain grants, ID-JAGs and transaction token grants.

mod issue;
mod trust;
mod verify;

pub use issue::{GrantIssuer, IssuedGrant, NewGrant};
pub use trust::{Reuse, TrustedIssuer};
pub use verify::{AuthorizationGrant, GrantProfile, GrantVerifier, UnspentGrant};

use jose_x509::jws::UnverifiedJws;

use crate::error::Error;

/// `typ` of a plain grant (RFC 7523bis).
pub const AUTHORIZATION_GRANT_TYPE: &str = "authorization-grant+jwt";
/// `typ` of an ID-JAG.
pub const ID_JAG_TYPE: &str = "oauth-id-jag+jwt";
/// `typ` of a grant that was made for a transaction token.
pub const TXN_CHAIN_TYPE: &str = "txn-chain+jwt";

/// Which profile an assertion is for, by its `typ` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrantKind {
    /// A plain grant, or one without a type.
    Plain,
    /// An ID-JAG.
    IdJag,
    /// Made for a transaction token.
    TxnChain,
}

impl GrantKind {
    /// The kind of an assertion, for a server that serves several: nothing else of it is looked at, and nothing is
    /// verified. Each service refuses every other kind.
    ///
    /// # Errors
    ///
    /// [`Error::Grant`] for what is no JWT.
    pub fn of_unverified(assertion: &str) -> Result<Self, Error> {
        let jws = UnverifiedJws::parse(assertion).map_err(Error::Grant)?;
        let header = jws.unverified_header();
        Ok(if header.is_type(ID_JAG_TYPE) {
            Self::IdJag
        } else if header.is_type(TXN_CHAIN_TYPE) {
            Self::TxnChain
        } else {
            Self::Plain
        })
    }
}
