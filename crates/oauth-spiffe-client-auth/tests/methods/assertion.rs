//! Client assertions, by clients and by token services.

use super::*;

/// The pair of `iss` and `sub` names a client whose assertions a token service issues, and neither alone does.
///
/// Covers: RFC7523-7521-5.1-2, RFC7523-7521-6.1-1, RFC7523-7521-6.1-2, RFC7523-3-4, RFC7523-A11, RFC7523-A13
/// Covers: RFC7523-A20, RFC7523-7521-4.2-3
#[test]
fn assertions_of_token_services() {
    let world = world();
    let good = json!({"iss": STS, "sub": "account-7", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "a"});
    assert_eq!(
        world.federated(&good).unwrap().client.client_id,
        "federated"
    );
    assert_eq!(code(world.federated(&good)), "replayed");
    for (issuer, subject, expected) in [
        // Another account, the victim's name at the same service, the victim's name at the victim's issuer.
        (STS, "account-8", "unknown_client"),
        (STS, "federated", "unknown_client"),
        (STS, BATCH, "unknown_client"),
        ("federated", "federated", "unknown_client"),
        ("https://other.example", "account-7", "unknown_client"),
        (BATCH, BATCH, "unknown_key"),
    ] {
        let claims =
            json!({"iss": issuer, "sub": subject, "aud": ISSUER, "exp": NOW + 60, "jti": "b"});
        assert_eq!(
            code(world.federated(&claims)),
            expected,
            "{issuer} {subject}"
        );
    }
    for (client_id, expected) in [
        (BATCH, "valid"),
        ("federated", "unknown_client"),
        (APP, "unknown_client"),
    ] {
        let mut pairs = world.asserted();
        pairs.push(("client_id".to_owned(), client_id.to_owned()));
        assert_eq!(
            code(world.authenticate(&HeaderMap::new(), &pairs, &[])),
            expected
        );
    }
    // The registered algorithm and no other.
    let es384 = jose_x509::Algorithms::of(&[Algorithm::Es384]);
    let mut narrowed = self::world();
    let keys = AssertionKeys::self_issued(set(&[&narrowed.batch])).with_algorithms(es384);
    narrowed.clients[2] = RegisteredClient::with_assertions(BATCH, keys);
    assert_eq!(
        code(narrowed.authenticate(&HeaderMap::new(), &narrowed.asserted(), &[])),
        "algorithm_not_allowed"
    );
    // Without the method the type of assertion is unknown.
    let closed = ClientAuthenticator::new(ISSUER, BundleSet::new(), PROVIDER);
    let (none, pairs) = (HeaderMap::new(), world.asserted());
    let request = TokenRequest::of(&none, &pairs, &[]);
    let found = closed.authenticate(&request, &world.clients, &world.replay, at(NOW));
    assert_eq!(code(found), "assertion_type");
}

/// There is no MAC, so no secret can be guessed from a captured assertion.
///
/// Covers: RFC7523-A9
#[test]
fn no_assertions_by_secret() {
    let world = world();
    let (_, rest) = world.asserted()[2]
        .1
        .split_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    for alg in ["HS256", "HS384", "HS512"] {
        let header = json!({"typ": CLIENT_ASSERTION_TYPE, "alg": alg}).to_string();
        let token = format!("{}.{rest}", base64url::encode(header.as_bytes()));
        let mut pairs = Form::new();
        client::with_client_assertion(&mut pairs, Some(BATCH), &token);
        assert_eq!(
            code(world.authenticate(&HeaderMap::new(), &pairs, &[])),
            "unsupported_algorithm"
        );
    }
    let jwk = json!({"keys": [{"kty": "oct", "kid": "s", "alg": "HS256", "k": base64url::encode(&[7; 32])}]});
    assert!(KeySet::from_jwks_slice(&PROVIDER, jwk.to_string().as_bytes()).is_err());
}

/// How many signatures were verified.
static VERIFIED: AtomicUsize = AtomicUsize::new(0);

struct Counting;
struct CountingKey(Box<dyn PreparedKey>);

impl Verification for Counting {
    fn supports(&self, algorithm: Algorithm) -> bool {
        PROVIDER.verification.supports(algorithm)
    }

    fn prepare(
        &self,
        algorithm: Algorithm,
        key: KeyMaterial<'_>,
    ) -> Result<Box<dyn PreparedKey>, KeyProblem> {
        let key = PROVIDER.verification.prepare(algorithm, key)?;
        Ok(Box::new(CountingKey(key)))
    }
}

impl PreparedKey for CountingKey {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        VERIFIED.fetch_add(1, Ordering::SeqCst);
        self.0.verify(message, signature)
    }
}

/// A client that does not exist costs a verification and gets the answer of one that does, with a bad signature.
///
/// Covers: RFC7523-A19
#[test]
fn unknown_clients_look_like_known_ones() {
    let mut counting: CryptoProvider = PROVIDER;
    counting.verification = &Counting;
    let batch = key("batch");
    let jwk = jose_x509::Jwk::from_value(&batch.public_jwk().to_value()).unwrap();
    let known = KeySet::new(vec![
        jose_x509::VerifyingKey::from_jwk(&counting, jwk).unwrap(),
    ])
    .unwrap();
    let clients = vec![RegisteredClient::with_assertions(
        BATCH,
        AssertionKeys::self_issued(known),
    )];
    let authenticator = ClientAuthenticator::new(ISSUER, BundleSet::new(), counting)
        .with_assertions()
        .unwrap();
    let forged = |client: &str| {
        let mut pairs = Form::new();
        let assertion =
            sign_client_assertion(&key("batch"), &PROVIDER, client, &server(), at(NOW)).unwrap();
        client::with_client_assertion(&mut pairs, Some(client), &assertion);
        let none = HeaderMap::new();
        let request = TokenRequest::of(&none, &pairs, &[]);
        let before = VERIFIED.load(Ordering::SeqCst);
        let error = authenticator
            .authenticate(&request, &clients, &MemoryReplayGuard::new(10), at(NOW))
            .unwrap_err();
        let response = authenticator.refuse(&request, &error, at(NOW));
        let answer = (
            response.status(),
            response.headers().clone(),
            response.into_body(),
        );
        (
            error.code(),
            VERIFIED.load(Ordering::SeqCst) - before,
            answer,
        )
    };
    let (known, unknown) = (forged(BATCH), forged("nobody"));
    assert_eq!(
        (known.0, unknown.0),
        ("invalid_signature", "unknown_client")
    );
    assert_eq!((known.1, unknown.1), (1, 1));
    assert_eq!(known.2, unknown.2);
    assert_eq!(known.2.0, StatusCode::UNAUTHORIZED);
}
