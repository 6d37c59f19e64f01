//! Client assertions of RFC 7523, as RFC 10070 narrows them: the issuer identifier is the sole audience.

use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::{self, Audience, Issuer, Jwt, Type, Validator};
use jose_x509::{CryptoProvider, Error as JoseError, KeySource, ReplayGuard, ReplayKey, Signer};
use pki_types::UnixTime;
use serde_json::json;

use crate::error::Error;

/// `client_assertion_type` of RFC 7523.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// `typ` of a client assertion (RFC 10070).
pub const CLIENT_ASSERTION_TYPE: &str = "client-authentication+jwt";
const MAX_AHEAD: u64 = 300;
const LEEWAY: u64 = 30;

/// Verifies the assertion of a client with registered keys, and spends its `jti`, which has to be there if
/// there is a guard. It must end, and have been issued, within 300 seconds of `now`.
///
/// # Errors
///
/// [`Error::Assertion`], [`Error::AssertionSubject`], [`Error::LivesTooLong`], [`Error::Replay`].
pub fn verify_client_assertion(
    assertion: &str,
    client_id: &str,
    server_issuer: &str,
    keys: &(impl KeySource + ?Sized),
    replay: Option<&dyn ReplayGuard>,
    now: UnixTime,
) -> Result<Jwt, Error> {
    let mut validator = Validator::new(
        Type::AbsentOrOneOf(&[CLIENT_ASSERTION_TYPE, "JWT"]),
        Issuer::Exactly(client_id.to_owned()),
        Audience::Only(vec![server_issuer.to_owned()]),
    )
    .with_required_claim("sub")
    .with_leeway(Duration::from_secs(LEEWAY))
    .map_err(Error::Assertion)?;
    if replay.is_some() {
        validator = validator.with_required_claim("jti");
    }
    let jwt = validator
        .validate(assertion, keys, now)
        .map_err(Error::Assertion)?;
    if jwt.subject() != Some(client_id) {
        return Err(Error::AssertionSubject);
    }
    let expires = jwt.expires().unwrap_or_default();
    if expires > now.as_secs().saturating_add(MAX_AHEAD + LEEWAY) {
        return Err(Error::LivesTooLong { limit: MAX_AHEAD });
    }
    let age = |issued: u64| now.as_secs().saturating_sub(issued);
    if jwt
        .issued_at()
        .is_some_and(|issued| age(issued) > MAX_AHEAD + LEEWAY)
    {
        return Err(Error::Assertion(JoseError::TooOld { limit: MAX_AHEAD }));
    }
    if let (Some(replay), Some(id)) = (replay, jwt.id()) {
        let key = ReplayKey::new(
            jwt.key().provider(),
            &[b"client-assertion", client_id.as_bytes(), id.as_bytes()],
        );
        let kept = UnixTime::since_unix_epoch(Duration::from_secs(expires.saturating_add(LEEWAY)));
        replay
            .check_and_insert(key, kept, now)
            .map_err(Error::Replay)?;
    }
    Ok(jwt)
}

/// Makes an assertion that lives for a minute.
///
/// # Errors
///
/// [`Error::Assertion`] when signing or the random source fails.
pub fn sign_client_assertion(
    signer: &(impl Signer + ?Sized),
    provider: &CryptoProvider,
    client_id: &str,
    server_issuer: &str,
    now: UnixTime,
) -> Result<String, Error> {
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": server_issuer, "iat": now.as_secs(),
        "exp": now.as_secs().saturating_add(60), "jti": provider.random_id().map_err(Error::Assertion)?,
    });
    jwt::sign(
        signer,
        &ProtectedHeader::new(CLIENT_ASSERTION_TYPE),
        &claims,
    )
    .map_err(Error::Assertion)
}
