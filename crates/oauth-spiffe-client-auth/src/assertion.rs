//! Client assertions of RFC 7523, as RFC 10070 narrows them: the issuer identifier is the sole audience.

use std::sync::Arc;
use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::{self, Audience, Issuer, Jwt, Type, Validator};
use jose_x509::{
    Algorithm, Algorithms, CryptoProvider, Error as JoseError, KeySet, KeySource, ReplayGuard,
    ReplayKey, Signer,
};
use pki_types::UnixTime;
use serde_json::json;

use crate::error::Error;
use crate::metadata::ServerMetadata;

/// `client_assertion_type` of RFC 7523.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// `typ` of a client assertion (RFC 10070).
pub const CLIENT_ASSERTION_TYPE: &str = "client-authentication+jwt";
const MAX_AHEAD: u64 = 300;
const LEEWAY: u64 = 30;

/// Who signs the assertions of a client, and with which keys: configured, and never from where a token says.
#[derive(Clone, Debug)]
pub struct AssertionKeys {
    /// `iss` and `sub`, if the client does not sign itself.
    issuer: Option<(String, String)>,
    keys: Arc<KeySet>,
    algorithms: Algorithms,
}

impl AssertionKeys {
    /// The client's own keys: `iss` and `sub` are its `client_id`.
    #[must_use]
    pub fn self_issued(keys: impl Into<Arc<KeySet>>) -> Self {
        Self {
            issuer: None,
            keys: keys.into(),
            algorithms: DEFAULT_ALGORITHMS,
        }
    }

    /// The keys of a token service that issues assertions for the client, with this `iss` and this `sub`. Others with
    /// an account at the same service are not the client: only the pair is.
    #[must_use]
    pub fn issued_by(issuer: &str, subject: &str, keys: impl Into<Arc<KeySet>>) -> Self {
        Self {
            issuer: Some((issuer.to_owned(), subject.to_owned())),
            ..Self::self_issued(keys)
        }
    }

    /// The algorithm that the client registered (`token_endpoint_auth_signing_alg`), and no other.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.algorithms = algorithms;
        self
    }

    /// `iss` and `sub` of the assertions of this client.
    pub(crate) fn names<'a>(&'a self, client_id: &'a str) -> (&'a str, &'a str) {
        self.issuer
            .as_ref()
            .map_or((client_id, client_id), |(issuer, subject)| {
                (issuer, subject)
            })
    }

    /// Verifies an assertion of the client, and spends its `jti`, which has to be there if there is a guard.
    ///
    /// # Errors
    ///
    /// As [`verify_client_assertion`].
    pub fn verify(
        &self,
        assertion: &str,
        client_id: &str,
        server_issuer: &str,
        replay: Option<&dyn ReplayGuard>,
        now: UnixTime,
    ) -> Result<Jwt, Error> {
        let (issuer, subject) = self.names(client_id);
        let expected = Expected {
            issuer,
            subject,
            server_issuer,
            algorithms: self.algorithms,
        };
        verify(assertion, &expected, &*self.keys, replay, now)
    }
}

/// What RFC 7523 and OpenID Connect name, and the elliptic curves. There is no HMAC, so `client_secret_jwt` does not exist.
const DEFAULT_ALGORITHMS: Algorithms =
    Algorithms::ELLIPTIC.union(Algorithms::of(&[Algorithm::Ps256, Algorithm::Rs256]));

struct Expected<'a> {
    issuer: &'a str,
    subject: &'a str,
    server_issuer: &'a str,
    algorithms: Algorithms,
}

/// Verifies the assertion of a client with registered keys, and spends its `jti`, which has to be there if
/// there is a guard. It must end, and have been issued, within 300 seconds of `now`.
///
/// # Errors
///
/// [`Error::Assertion`], [`Error::AssertionSubject`], [`Error::LivesTooLong`], [`Error::AssertionReplay`].
pub fn verify_client_assertion(
    assertion: &str,
    client_id: &str,
    server_issuer: &str,
    keys: &(impl KeySource + ?Sized),
    replay: Option<&dyn ReplayGuard>,
    now: UnixTime,
) -> Result<Jwt, Error> {
    let expected = Expected {
        issuer: client_id,
        subject: client_id,
        server_issuer,
        algorithms: Algorithms::ALL,
    };
    verify(assertion, &expected, keys, replay, now)
}

fn verify(
    assertion: &str,
    expected: &Expected<'_>,
    keys: &(impl KeySource + ?Sized),
    replay: Option<&dyn ReplayGuard>,
    now: UnixTime,
) -> Result<Jwt, Error> {
    let mut validator = Validator::new(
        Type::AbsentOrOneOf(&[CLIENT_ASSERTION_TYPE, "JWT"]),
        Issuer::Exactly(expected.issuer.to_owned()),
        Audience::Only(vec![expected.server_issuer.to_owned()]),
    )
    .with_algorithms(expected.algorithms)
    .with_required_claim("sub")
    .with_leeway(Duration::from_secs(LEEWAY))
    .map_err(Error::Assertion)?;
    if replay.is_some() {
        validator = validator.with_required_claim("jti");
    }
    let jwt = validator
        .validate(assertion, keys, now)
        .map_err(Error::Assertion)?;
    if jwt.subject() != Some(expected.subject) {
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
        let key = replay_key(&jwt, expected.issuer, id);
        let kept = UnixTime::since_unix_epoch(Duration::from_secs(expires.saturating_add(LEEWAY)));
        replay
            .check_and_insert(key, kept, now)
            .map_err(Error::AssertionReplay)?;
    }
    Ok(jwt)
}

/// What is spent of an assertion of RFC 7523. A client assertion and a grant may look alike, where one key and one name are
/// configured for both: whichever it is used for first, it is not used for the other.
pub(crate) fn replay_key(jwt: &Jwt, issuer: &str, id: &str) -> ReplayKey {
    let parts: [&[u8]; 3] = [b"jwt-bearer-assertion", issuer.as_bytes(), id.as_bytes()];
    ReplayKey::new(jwt.key().provider(), &parts)
}

/// Makes an assertion that lives for a minute, for the server with this metadata: its issuer identifier, which was
/// compared with where the metadata came from, is the audience, and no endpoint can be.
///
/// # Errors
///
/// [`Error::Assertion`] when signing or the random source fails.
pub fn sign_client_assertion(
    signer: &(impl Signer + ?Sized),
    provider: &CryptoProvider,
    client_id: &str,
    server: &ServerMetadata,
    now: UnixTime,
) -> Result<String, Error> {
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": server.identifier(), "iat": now.as_secs(),
        "exp": now.as_secs().saturating_add(60), "jti": provider.random_id().map_err(Error::Assertion)?,
    });
    jwt::sign(
        signer,
        &ProtectedHeader::new(CLIENT_ASSERTION_TYPE),
        &claims,
    )
    .map_err(Error::Assertion)
}
