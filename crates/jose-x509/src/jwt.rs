//! JSON Web Token (RFC 7519) with the practices of RFC 8725 built in, and `cnf` (RFC 7800).
//!
//! A [`Validator`] cannot be built without saying which type, issuer and audience it accepts. Each
//! kind of token has its own, so that one kind never passes as another.

mod claims;
mod confirmation;
mod string_or_uri;
mod validate;

pub use claims::{
    Jwt, MAX_JTI, MAX_NUMERIC_DATE, NumericDate, ReadClaims, UnverifiedClaims, next_text,
    peek_claims,
};
pub use confirmation::Confirmation;
pub use string_or_uri::is_string_or_uri;
pub use validate::{Audience, ConfirmationRule, Expiry, Issuer, Type, UnverifiedJwt, Validator};

use crate::error::Error;
use crate::jws::{self, ProtectedHeader, SigningInput};
use crate::sign::Signer;

/// Signs a claims set.
///
/// # Errors
///
/// [`Error::ClaimsShape`] when `claims` is not a JSON object, [`Error::SigningFailed`].
pub fn sign(
    signer: &(impl Signer + ?Sized),
    header: &ProtectedHeader,
    claims: &(impl serde::Serialize + ?Sized),
) -> Result<String, Error> {
    let by = (signer.algorithm().name(), signer.kid());
    let input = SigningInput::of_object(header, by, claims).ok_or(Error::ClaimsShape)?;
    jws::sign_input(signer, input)
}

/// The payload of a claims set, for signers that do not fit [`sign`].
///
/// # Errors
///
/// [`Error::ClaimsShape`] when `claims` is not a JSON object.
pub fn to_payload(claims: &(impl serde::Serialize + ?Sized)) -> Result<Vec<u8>, Error> {
    let payload = serde_json::to_vec(claims).map_err(|_| Error::ClaimsShape)?;
    if payload.first() == Some(&b'{') {
        Ok(payload)
    } else {
        Err(Error::ClaimsShape)
    }
}
