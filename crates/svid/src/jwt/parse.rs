//! From a string to a token whose form is that of a JWT-SVID, and which nobody vouches for.

use std::fmt;

use jose_x509::Error as JoseError;
use jose_x509::json;
use jose_x509::jws::{Header, HeaderRules, Limits, UnverifiedJws};
use jose_x509::jwt::peek_claims;
use serde_json::{Map, Value};
use spiffe_id::SpiffeId;

use super::verify::TYPES;
use crate::error::{Credential, Error};
use crate::identity::{TOKEN_ALGORITHMS, any_id};

/// Longest token.
pub(super) const MAX_TOKEN: usize = 16 * 1024;

/// A token with the form of a JWT-SVID. Anybody can write one: neither its signature nor its times or
/// audience were looked at, so it identifies nobody.
///
/// It is of use for choosing what to do with a token of one's own, such as when to renew it, and for logs.
pub struct UnverifiedJwtSvid<'a> {
    jws: UnverifiedJws<'a>,
    spiffe_id: SpiffeId,
}

impl<'a> UnverifiedJwtSvid<'a> {
    /// Reads a token.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] for anything but a compact JWS of at most 16 KiB with an algorithm and a type of
    /// JWT-SVID and a strict claims set with `sub`; [`Error::HeaderParameter`]; [`Error::SpiffeId`].
    pub fn parse(token: &'a str) -> Result<Self, Error> {
        let jws = form(token)?;
        let claims = peek_claims(&jws).map_err(refused)?;
        let spiffe_id = subject(claims.unverified_subject.as_deref())?;
        Ok(Self { jws, spiffe_id })
    }

    /// Whom the token claims to be about.
    #[must_use]
    pub const fn unverified_spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The header, as it stands.
    #[must_use]
    pub fn unverified_header(&self) -> Header<'_> {
        self.jws.unverified_header()
    }

    /// The claims, as they stand.
    ///
    /// # Errors
    ///
    /// [`Error::Token`]; not for a token that was parsed.
    pub fn unverified_claims(&self) -> Result<Map<String, Value>, Error> {
        json::object(self.jws.unverified_payload(), &json::Limits::CLAIMS)
            .map_err(|_| refused(JoseError::ClaimsShape))
    }
}

/// Without the token.
impl fmt::Debug for UnverifiedJwtSvid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedJwtSvid")
            .field("unverified_spiffe_id", &self.spiffe_id)
            .finish_non_exhaustive()
    }
}

/// A token with a header of a JWT-SVID.
pub(super) fn form(token: &str) -> Result<UnverifiedJws<'_>, Error> {
    let limits = Limits::new(MAX_TOKEN, MAX_TOKEN).map_err(refused)?;
    let jws =
        UnverifiedJws::parse_with(token, &HeaderRules::default(), &limits).map_err(refused)?;
    let header = jws.unverified_header();
    let algorithm = header.algorithm();
    if !TOKEN_ALGORITHMS.contains(algorithm) {
        return Err(refused(JoseError::AlgorithmNotAllowed { algorithm }));
    }
    if header.has_others() || header.cty().is_some() {
        return Err(Error::HeaderParameter);
    }
    // Exactly these spellings, unlike media types elsewhere.
    if header.typ().is_some_and(|typ| !TYPES.contains(&typ)) {
        return Err(refused(JoseError::WrongType));
    }
    Ok(jws)
}

/// What `sub` has to be.
pub(super) fn subject(sub: Option<&str>) -> Result<SpiffeId, Error> {
    let sub = sub.ok_or(refused(JoseError::MissingClaim { claim: "sub" }))?;
    any_id(sub, Credential::Jwt)
}

pub(super) const fn refused(source: JoseError) -> Error {
    Error::Token {
        credential: Credential::Jwt,
        source,
    }
}
