//! How a token of one type is written.

use jose_x509::jws::ProtectedHeader;
use jose_x509::{Error as JoseError, Signer, jwt};

use super::TokenClaims;
use crate::response::TokenUse;

/// Who can read the claims in a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readable {
    /// Whoever holds it.
    ByAll,
    /// Its recipient, for whom it is encrypted.
    ByRecipient,
    /// Nobody: the claims are had by introspection.
    ByIntrospection,
}

/// Writes tokens of one type.
pub trait TokenWriter: Send + Sync {
    /// Writes the token with these claims. An opaque one is stored with them.
    ///
    /// # Errors
    ///
    /// The cause, when that fails.
    fn write(&self, claims: &TokenClaims) -> Result<String, JoseError>;

    /// Who can read what is written.
    fn readable(&self) -> Readable;

    /// `token_type` of a token that is bound to a key by a `DPoP` proof, or is not.
    fn token_use(&self, dpop: bool) -> TokenUse;
}

/// Signs access tokens as JWTs (RFC 9068).
#[derive(Clone, Debug)]
pub struct JwtAccessTokens<S>(pub S);

impl<S: Signer> TokenWriter for JwtAccessTokens<S> {
    fn write(&self, claims: &TokenClaims) -> Result<String, JoseError> {
        jwt::sign(&self.0, &ProtectedHeader::new("at+jwt"), claims)
    }

    fn readable(&self) -> Readable {
        Readable::ByAll
    }

    fn token_use(&self, dpop: bool) -> TokenUse {
        if dpop {
            TokenUse::Dpop
        } else {
            TokenUse::Bearer
        }
    }
}

/// Signs JWTs that are no access tokens here, such as grants for another server.
#[derive(Clone, Debug)]
pub struct JwtGrants<S>(pub S);

impl<S: Signer> TokenWriter for JwtGrants<S> {
    fn write(&self, claims: &TokenClaims) -> Result<String, JoseError> {
        jwt::sign(&self.0, &ProtectedHeader::new("JWT"), claims)
    }

    fn readable(&self) -> Readable {
        Readable::ByAll
    }

    fn token_use(&self, _dpop: bool) -> TokenUse {
        TokenUse::NotApplicable
    }
}
