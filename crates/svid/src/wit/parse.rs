//! From a string to a token whose form is that of a WIT-SVID, and which nobody vouches for.

use std::fmt;

use jose_x509::Error as JoseError;
use jose_x509::json;
use jose_x509::jws::{Header, HeaderRules, Limits, UnverifiedJws};
use jose_x509::jwt::peek_claims;
use serde_json::{Map, Value};
use spiffe_id::SpiffeId;
use wimse::wit::WIT_TYPE;

use crate::error::{Credential, Error};
use crate::identity::{TOKEN_ALGORITHMS, workload_id};

/// Longest token.
const MAX_TOKEN: usize = 8 * 1024;

/// A token with the form of a WIT-SVID. Anybody can write one: neither its signature nor its times were
/// looked at.
pub struct UnverifiedWitSvid<'a> {
    jws: UnverifiedJws<'a>,
    pub(super) spiffe_id: SpiffeId,
}

impl<'a> UnverifiedWitSvid<'a> {
    /// Reads a token.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] for anything but a compact JWS of at most 8 KiB with an algorithm of WIT-SVID, its
    /// exact type, a `kid`, and a strict claims set with `sub`; [`Error::SpiffeId`]; [`Error::NoPath`].
    pub fn parse(token: &'a str) -> Result<Self, Error> {
        let limits = Limits::new(MAX_TOKEN, MAX_TOKEN).map_err(refused)?;
        let jws =
            UnverifiedJws::parse_with(token, &HeaderRules::default(), &limits).map_err(refused)?;
        check_header(&jws.unverified_header())?;
        let claims = peek_claims(&jws).map_err(refused)?;
        let spiffe_id = subject(claims.unverified_subject.as_deref())?;
        Ok(Self { jws, spiffe_id })
    }

    /// Whom the token claims to name.
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
impl fmt::Debug for UnverifiedWitSvid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedWitSvid")
            .field("unverified_spiffe_id", &self.spiffe_id)
            .finish_non_exhaustive()
    }
}

/// Whether a header is one of a WIT-SVID.
pub(super) fn check_header(header: &Header<'_>) -> Result<(), Error> {
    // A WIT may have other spellings and no `kid`; a WIT-SVID may not.
    if header.typ() != Some(WIT_TYPE) {
        return Err(refused(JoseError::WrongType));
    }
    if header.kid().is_none_or(str::is_empty) {
        return Err(refused(JoseError::MissingHeader { name: "kid" }));
    }
    let algorithm = header.algorithm();
    if !TOKEN_ALGORITHMS.contains(algorithm) {
        return Err(refused(JoseError::AlgorithmNotAllowed { algorithm }));
    }
    Ok(())
}

/// What `sub` has to be.
pub(super) fn subject(sub: Option<&str>) -> Result<SpiffeId, Error> {
    let sub = sub.ok_or(refused(JoseError::MissingClaim { claim: "sub" }))?;
    workload_id(sub, Credential::Wit)
}

pub(super) const fn refused(source: JoseError) -> Error {
    Error::Token {
        credential: Credential::Wit,
        source,
    }
}
