//! One entry point for every method, registrations, and the client's choice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{
    AGENT, CLIENT, DOMAIN, Domain, Form, ISSUER, NOW, OTHER, PROVIDER, at, code, form, headers, id,
    jwt_form, key, sign, svid_claims,
};
use http::{HeaderMap, StatusCode};
use jose_x509::dpop::{self, Htu, ProofRequest, ProofTarget, Prover};
use jose_x509::jwk::KeyMaterial;
use jose_x509::provider::{PreparedKey, Verification};
use jose_x509::{
    Algorithm, CryptoProvider, Error as JoseError, KeyProblem, KeySet, MemoryReplayGuard,
    SigningKey, base64url,
};
use oauth_spiffe_client_auth::assertion::{
    AssertionKeys, CLIENT_ASSERTION_TYPE, JWT_BEARER, sign_client_assertion,
};
use oauth_spiffe_client_auth::attestation::{
    ATTESTATION_TYPE, AttestationVerifier, Attester, CLIENT_ATTESTATION,
    CLIENT_ATTESTATION_CHALLENGE, CLIENT_ATTESTATION_POP, HeldAttestation, PopMethod, PopMethods,
    StatelessChallenges,
};
use oauth_spiffe_client_auth::client::{self, OutgoingRequest, SvidSource, WitCredential};
use oauth_spiffe_client_auth::registry::{SPIFFE_BUNDLE_ENDPOINT, SPIFFE_ID};
use oauth_spiffe_client_auth::{
    AuthenticatedClient, ClientAuthenticator, Error, Method, RegisteredClient, ServerMetadata,
    TokenRequest, pop,
};
use pki_types::CertificateDer;
use serde_json::{Map, Value, json};
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::{SpiffeId, SpiffeIdPattern};

const TOKEN_ENDPOINT: &str = "https://as.example.com/token";
const APP: &str = "https://app.example.com";
const BATCH: &str = "batch";
const STS: &str = "https://sts.example";

fn set(keys: &[&SigningKey]) -> KeySet {
    KeySet::new(
        keys.iter()
            .map(|key| key.verifying_key().unwrap())
            .collect(),
    )
    .unwrap()
}

/// A server with every method, and a client for each.
struct World {
    domain: Domain,
    workload: SigningKey,
    attester: SigningKey,
    instance: SigningKey,
    batch: SigningKey,
    sts: SigningKey,
    clients: Vec<RegisteredClient>,
    authenticator: ClientAuthenticator<BundleSet>,
    replay: MemoryReplayGuard,
}

fn world() -> World {
    let domain = Domain::new(DOMAIN);
    let [workload, attester, instance, batch, sts] =
        ["workload", "attester", "instance", "batch", "sts"].map(key);
    let mut bundles = BundleSet::new();
    bundles.install(domain.bundle()).unwrap();
    let pattern = SpiffeIdPattern::parse("spiffe://example.org/client/*").unwrap();
    let both = PopMethods::new(&[PopMethod::AttestationPopJwt, PopMethod::DpopCombined]).unwrap();
    let trust: Vec<Attester> = vec![Attester::new("attester", set(&[&attester]))];
    let authenticator = ClientAuthenticator::new(ISSUER, bundles, PROVIDER)
        .with_proofs(|proofs| proofs.with_dpop(dpop::Verifier::new(&PROVIDER), both))
        .unwrap()
        .with_attestations(AttestationVerifier::new(&PROVIDER), Arc::new(trust))
        .with_assertions()
        .unwrap();
    World {
        clients: vec![
            RegisteredClient::new(CLIENT, pattern),
            RegisteredClient::attested(APP),
            RegisteredClient::with_assertions(BATCH, AssertionKeys::self_issued(set(&[&batch]))),
            RegisteredClient::with_assertions(
                "federated",
                AssertionKeys::issued_by(STS, "account-7", set(&[&sts])),
            ),
        ],
        domain,
        workload,
        attester,
        instance,
        batch,
        sts,
        authenticator,
        replay: MemoryReplayGuard::new(1000),
    }
}

fn server() -> ServerMetadata {
    ServerMetadata::configured(ISSUER, TOKEN_ENDPOINT, &Method::ALL).unwrap()
}

impl World {
    fn authenticate(
        &self,
        headers: &HeaderMap,
        form: &[(String, String)],
        peer: &[CertificateDer<'_>],
    ) -> Result<AuthenticatedClient, Error> {
        let target = Htu::parse(TOKEN_ENDPOINT).unwrap();
        let request =
            TokenRequest::of(headers, form, peer).with_target(ProofTarget::new("POST", &target));
        self.authenticator
            .authenticate(&request, &self.clients, &self.replay, at(NOW))
    }

    fn jwt_svid(&self) -> Form {
        jwt_form(&sign(&self.domain.jwt, "JWT", &svid_claims()))
    }

    fn wit(&self) -> String {
        let claims = json!({"sub": AGENT, "exp": NOW + 60, "cnf": {"jwk": self.workload.public_jwk().to_value()}});
        sign(&self.domain.wit, "wit+jwt", &claims)
    }

    fn wit_svid(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        client::with_wit_svid(
            &mut headers,
            &self.wit(),
            &self.workload,
            &PROVIDER,
            ISSUER,
            None,
            at(NOW),
        )
        .unwrap();
        headers
    }

    fn attestation(&self) -> String {
        let cnf = json!({"jwk": self.instance.public_jwk().to_value()});
        sign(
            &self.attester,
            ATTESTATION_TYPE,
            &json!({"sub": APP, "exp": NOW + 60, "cnf": cnf}),
        )
    }

    fn attested(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let held = HeldAttestation::new(self.attestation(), self.instance.clone()).unwrap();
        held.attach(&mut headers, ISSUER, None, at(NOW)).unwrap();
        headers
    }

    fn combined(&self, token: &str, key: &SigningKey) -> HeaderMap {
        let target = Htu::parse(TOKEN_ENDPOINT).unwrap();
        let proof = Prover::from_key(key.clone())
            .prove(&ProofRequest::new("POST", &target), at(NOW))
            .unwrap();
        headers(&[(CLIENT_ATTESTATION, token), ("dpop", &proof)])
    }

    fn asserted(&self) -> Form {
        let mut form = form(&[("grant_type", "client_credentials")]);
        let assertion =
            sign_client_assertion(&self.batch, &PROVIDER, BATCH, &server(), at(NOW)).unwrap();
        client::with_client_assertion(&mut form, None, &assertion);
        form
    }

    fn federated(&self, claims: &Value) -> Result<AuthenticatedClient, Error> {
        let mut pairs = Form::new();
        client::with_client_assertion(&mut pairs, None, &sign(&self.sts, "JWT", claims));
        self.authenticate(&HeaderMap::new(), &pairs, &[])
    }
}

/// Each method is recognised by what it presents, and yields its client. What is for once is refused the second time,
/// what is meant to be used again is not.
///
/// Covers: OAUTH-ABCA-13-1, OAUTH-SPIFFE-3.3.1-1, OAUTH-SPIFFE-3.3.1-4, OAUTH-SPIFFE-3.3.1-5, OAUTH-SPIFFE-4-1
/// Covers: OAUTH-SPIFFE-8-1, OAUTH-SPIFFE-A17, OAUTH-ABCA-7.5-1, RFC7523-7521-6.2-1, RFC7523-2.2-1, RFC7523-7521-4.2-2
#[test]
fn every_method() {
    let world = world();
    let (none, empty) = (HeaderMap::new(), Form::new());
    let tls = [world.domain.leaf(AGENT)];
    let own = form(&[("client_id", AGENT)]);
    let expect = |found: Result<AuthenticatedClient, Error>, method: Method, client_id: &str| {
        let found = found.unwrap();
        assert_eq!(
            (found.method, found.client.client_id.as_str()),
            (method, client_id)
        );
        let workload = Method::SPIFFE.contains(&method).then(|| id(AGENT));
        assert_eq!(found.spiffe_id, workload);
        assert!(found.expires > NOW);
        found
    };
    let (jwt, wit, attested, asserted) = (
        world.jwt_svid(),
        world.wit_svid(),
        world.attested(),
        world.asserted(),
    );
    let found = expect(
        world.authenticate(&none, &jwt, &[]),
        Method::SpiffeJwt,
        CLIENT,
    );
    assert!(found.binding().is_none() && found.certificate_thumbprint.is_none());
    let found = expect(
        world.authenticate(&none, &own, &tls),
        Method::SpiffeX509,
        CLIENT,
    );
    assert_eq!(found.certificate_thumbprint, Some(PROVIDER.sha256(&tls[0])));
    let found = expect(
        world.authenticate(&wit, &empty, &[]),
        Method::SpiffeWit,
        CLIENT,
    );
    assert_eq!(
        found.binding().unwrap().jkt(),
        world.workload.verifying_key().unwrap().thumbprint()
    );
    let found = expect(
        world.authenticate(&attested, &empty, &[]),
        Method::AttestJwt,
        APP,
    );
    assert_eq!(
        found.binding().unwrap().jkt(),
        world.instance.verifying_key().unwrap().thumbprint()
    );
    let combined = world.combined(&world.attestation(), &world.instance);
    let found = expect(
        world.authenticate(&combined, &empty, &[]),
        Method::AttestDpop,
        APP,
    );
    assert!(found.proof.unwrap().dpop().is_some());
    expect(
        world.authenticate(&none, &asserted, &[]),
        Method::PrivateKeyJwt,
        BATCH,
    );
    // A WIT-SVID may be proven in combined mode too, by its own key.
    let combined = world.combined(&world.wit(), &world.workload);
    let found = expect(
        world.authenticate(&combined, &empty, &[]),
        Method::SpiffeWit,
        CLIENT,
    );
    assert_eq!(found.proof.unwrap().method(), PopMethod::DpopCombined);
    let foreign = world.combined(&world.wit(), &world.instance);
    assert_eq!(
        code(world.authenticate(&foreign, &empty, &[])),
        "instance_key_mismatch"
    );

    // Again.
    expect(
        world.authenticate(&none, &jwt, &[]),
        Method::SpiffeJwt,
        CLIENT,
    );
    expect(
        world.authenticate(&none, &own, &tls),
        Method::SpiffeX509,
        CLIENT,
    );
    for (headers, form) in [
        (&wit, &empty),
        (&attested, &empty),
        (&combined, &empty),
        (&none, &asserted),
    ] {
        assert_eq!(code(world.authenticate(headers, form, &[])), "replayed");
    }
    // The profile of SPIFFE has its own rule for `client_id`; with plain attestations it is `sub`.
    for (headers, client_id, expected) in [
        (world.wit_svid(), CLIENT, "valid"),
        (world.wit_svid(), AGENT, "valid"),
        (world.wit_svid(), OTHER, "unknown_client"),
        (world.wit_svid(), APP, "unknown_client"),
        (world.attested(), APP, "valid"),
        (world.attested(), CLIENT, "client_id_mismatch"),
    ] {
        let form = form(&[("client_id", client_id)]);
        assert_eq!(
            code(world.authenticate(&headers, &form, &[])),
            expected,
            "{client_id}"
        );
    }
    // An attestation is no WIT-SVID and a WIT-SVID no attestation, whoever signs.
    let wit = sign(
        &world.attester,
        "wit+jwt",
        &json!({"sub": AGENT, "exp": NOW + 60, "cnf": {"jwk": world.workload.public_jwk().to_value()}}),
    );
    assert_eq!(
        code(world.authenticate(&world.combined(&wit, &world.workload), &empty, &[])),
        "unknown_key"
    );
    let attestation = sign(
        &world.domain.wit,
        ATTESTATION_TYPE,
        &json!({"sub": APP, "exp": NOW + 60, "cnf": {"jwk": world.instance.public_jwk().to_value()}}),
    );
    assert_eq!(
        code(world.authenticate(&world.combined(&attestation, &world.instance), &empty, &[])),
        "unknown_key"
    );
    // Registrations say which method a client may use.
    for (client, method) in [(1, Method::AttestJwt), (2, Method::PrivateKeyJwt)] {
        let mut other = self::world();
        other.clients[client].methods.retain(|one| *one != method);
        let found = match method {
            Method::AttestJwt => other.authenticate(&other.attested(), &empty, &[]),
            _ => other.authenticate(&none, &other.asserted(), &[]),
        };
        assert_eq!(code(found), "unknown_client");
    }
    // Metadata have all of it.
    let mut metadata = Map::from_iter([("token_endpoint".to_owned(), json!(TOKEN_ENDPOINT))]);
    world.authenticator.advertise(&mut metadata, None);
    let mut names: Vec<String> =
        serde_json::from_value(metadata["token_endpoint_auth_methods_supported"].clone()).unwrap();
    names.sort();
    let mut all = Method::ALL.map(|method| method.name().to_owned());
    all.sort();
    assert_eq!(names, all);
    assert!(metadata.contains_key("client_attestation_pop_signing_alg_values_supported"));
    let plain = ClientAuthenticator::new(ISSUER, BundleSet::new(), PROVIDER);
    let mut metadata = Map::new();
    plain.advertise(&mut metadata, None);
    assert!(metadata.contains_key("client_attestation_signing_alg_values_supported"));
    assert!(
        ClientAuthenticator::new("", BundleSet::new(), PROVIDER)
            .with_assertions()
            .is_err()
    );
}

/// Two methods are none, whichever they are.
///
/// Covers: OAUTH-SPIFFE-3-1, OAUTH-SPIFFE-A19, RFC7523-7521-4.2.1-1, RFC7523-A14
#[test]
fn no_two_methods() {
    let world = world();
    let secret = form(&[("client_secret", "s")]);
    let basic = headers(&[("authorization", "Basic YTpi")]);
    let tokens = [
        world.wit_svid(),
        world.attested(),
        world.combined(&world.attestation(), &world.instance),
        basic,
    ];
    let forms = [world.jwt_svid(), world.asserted(), secret];
    for headers in &tokens {
        for form in &forms {
            let found = code(world.authenticate(headers, form, &[]));
            let alone = headers.contains_key("authorization") && form.len() == 1;
            // A secret in two places is for the server's own code to refuse; it is no method here.
            assert_eq!(
                found,
                if alone {
                    "no_client_authentication"
                } else {
                    "several_client_authentications"
                }
            );
        }
    }
    for other in [
        JWT_BEARER,
        "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
    ] {
        let mut pairs = world.jwt_svid();
        pairs.push(("client_assertion_type".to_owned(), other.to_owned()));
        assert_eq!(
            code(world.authenticate(&HeaderMap::new(), &pairs, &[])),
            "malformed_client_authentication"
        );
    }
}

/// A server that demands challenges does so of WIT-SVIDs too, and gives a fresh one.
///
/// Covers: OAUTH-SPIFFE-3.3.1-4, OAUTH-ABCA-6-3
#[test]
fn challenges_for_svids() {
    let mut world = world();
    let source = Arc::new(StatelessChallenges::generate(&PROVIDER, ISSUER).unwrap());
    world.authenticator = world
        .authenticator
        .with_proofs(|proofs| Ok(proofs.with_challenges(source)))
        .unwrap();
    let headers = world.wit_svid();
    let request = TokenRequest::of(&headers, &[], &[]);
    let error = world.authenticate(&headers, &[], &[]).unwrap_err();
    let response = world.authenticator.refuse(&request, &error, at(NOW));
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body["error"], "use_attestation_challenge");
    // Without a source of challenges nothing can be demanded.
    let body: Value = serde_json::from_slice(error.to_response(false).body()).unwrap();
    assert_eq!(body["error"], "invalid_client_attestation");
    let challenge = response.headers()[CLIENT_ATTESTATION_CHALLENGE]
        .to_str()
        .unwrap();
    let challenge = oauth_spiffe_client_auth::attestation::Challenge::parse(challenge).unwrap();
    let source = Source {
        wit: Some(WitCredential::new(
            world.wit(),
            world.workload.clone(),
            &PROVIDER,
        )),
        ..Source::default()
    };
    let mut outgoing = OutgoingRequest::new([("grant_type", "client_credentials")]);
    let method = outgoing
        .authenticate(&source, None, &server(), Some(&challenge), at(NOW))
        .unwrap();
    assert_eq!(method, Method::SpiffeWit);
    assert_eq!(
        code(world.authenticate(&outgoing.headers, &outgoing.form, &[])),
        "valid"
    );
}

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

/// Registrations come from metadata documents, from dynamic registration and from the configuration, under the same rules.
///
/// Covers: OAUTH-SPIFFE-5-2, OAUTH-SPIFFE-5.1-1, OAUTH-SPIFFE-5.1-4, OAUTH-SPIFFE-9.1-1, OAUTH-SPIFFE-A9
/// Covers: OAUTH-SPIFFE-A11
#[test]
fn registrations() {
    assert_eq!(
        (SPIFFE_ID, SPIFFE_BUNDLE_ENDPOINT),
        ("spiffe_id", "spiffe_bundle_endpoint")
    );
    let read = |value: &Value| {
        RegisteredClient::from_metadata("https://example.org/client", value.as_object().unwrap())
    };
    let document = json!({
        "client_id": "https://example.org/client/metadata.json", "client_name": "Example Client",
        "spiffe_id": "spiffe://example.org/client/*", "spiffe_bundle_endpoint": "https://example.org/client/bundle.json",
        "token_endpoint_auth_method": "spiffe_jwt",
    });
    let client = read(&document).unwrap();
    assert_eq!(client.methods, [Method::SpiffeJwt]);
    // By whichever way it came, the client is found and held to what it registered.
    let mut world = world();
    world.clients = vec![client];
    assert_eq!(
        world
            .authenticate(&HeaderMap::new(), &world.jwt_svid(), &[])
            .unwrap()
            .client
            .client_id,
        "https://example.org/client"
    );
    assert_eq!(
        code(world.authenticate(&world.wit_svid(), &[], &[])),
        "unknown_client"
    );
    for (name, value, expected) in [
        ("spiffe_id", json!("spiffe://example.org/a"), "valid"),
        ("spiffe_id", json!("spiffe://example.org/a*"), "metadata"),
        ("spiffe_id", json!("spiffe://example.org/*/b"), "metadata"),
        ("spiffe_id", json!("spiffe://example.org*"), "metadata"),
        ("spiffe_id", json!("spiffe://example.org/*"), "metadata"),
        ("spiffe_id", json!("spiffe://*"), "metadata"),
        ("spiffe_id", json!("https://example.org/a"), "metadata"),
        ("spiffe_id", json!(["spiffe://example.org/a"]), "metadata"),
        ("spiffe_id", json!("DELETE"), "metadata"),
        ("spiffe_bundle_endpoint", json!("DELETE"), "valid"),
        (
            "spiffe_bundle_endpoint",
            json!("http://example.org/b"),
            "metadata",
        ),
        (
            "spiffe_bundle_endpoint",
            json!("file:///etc/passwd"),
            "metadata",
        ),
        (
            "spiffe_bundle_endpoint",
            json!("https://user:word@example.org/b"),
            "metadata",
        ),
        (
            "spiffe_bundle_endpoint",
            json!("https://example.org/b#x"),
            "metadata",
        ),
        (
            "spiffe_bundle_endpoint",
            json!("https://0x7f.1/b"),
            "metadata",
        ),
        ("spiffe_bundle_endpoint", json!(7), "metadata"),
        (
            "token_endpoint_auth_method",
            json!("client_secret_basic"),
            "valid",
        ),
    ] {
        let mut document = document.clone();
        if value == "DELETE" {
            document.as_object_mut().unwrap().remove(name);
        } else {
            document[name] = value.clone();
        }
        assert_eq!(code(read(&document)), expected, "{name}: {value}");
    }
    for method in [
        "client_secret_basic",
        "private_key_jwt",
        "none",
        "SPIFFE_JWT",
    ] {
        let client = read(&json!({"token_endpoint_auth_method": method})).unwrap();
        assert!(client.methods.is_empty(), "{method}");
    }
    let attested = read(&json!({"token_endpoint_auth_method": "attest_jwt_client_auth"})).unwrap();
    assert_eq!(attested.methods, [Method::AttestJwt]);
}

/// A bundle that a client brings verifies this client alone, in a domain that nobody else vouches for, and only if that is
/// switched on.
///
/// Covers: OAUTH-SPIFFE-A8, OAUTH-SPIFFE-6.1-3, OAUTH-SPIFFE-5.1-5, OAUTH-SPIFFE-A11
#[test]
fn bundles_of_clients() {
    let world = world();
    let partner = Domain::new("partner.example");
    let thief = Domain::new(DOMAIN);
    let workload = "spiffe://partner.example/agent";
    let client = |name: &str, pattern: &str, bundle: Bundle| {
        RegisteredClient::new(name, SpiffeIdPattern::parse(pattern).unwrap()).with_bundle(bundle)
    };
    let mut clients = world.clients.clone();
    clients.push(client("partner", workload, partner.bundle()));
    // It names another's domain, and brings keys of its own for it.
    clients.push(client(
        "thief",
        "spiffe://example.org/client/*",
        thief.bundle(),
    ));
    clients.push(client("other", workload, thief.bundle()).with_methods(&Method::SPIFFE));
    let token = |domain: &Domain, sub: &str, name: Option<&str>| {
        let mut claims = svid_claims();
        claims["sub"] = sub.into();
        let mut pairs = jwt_form(&sign(&domain.jwt, "JWT", &claims));
        pairs.extend(name.map(|name| ("client_id".to_owned(), name.to_owned())));
        pairs
    };
    let on = world.authenticator.clone().with_client_bundles();
    let none = HeaderMap::new();
    for (pairs, off, expected) in [
        (
            token(&partner, workload, Some("partner")),
            "no_bundle",
            "valid",
        ),
        // Only for the client that brought it, and only if the request names it.
        (token(&partner, workload, None), "no_bundle", "no_bundle"),
        (
            token(&partner, workload, Some("other")),
            "no_bundle",
            "no_bundle",
        ),
        (
            token(&partner, workload, Some("nobody")),
            "no_bundle",
            "no_bundle",
        ),
        // What is configured wins.
        (
            token(&thief, AGENT, Some("thief")),
            "invalid_signature",
            "invalid_signature",
        ),
        (token(&world.domain, AGENT, Some("thief")), "valid", "valid"),
        (token(&world.domain, AGENT, Some(CLIENT)), "valid", "valid"),
    ] {
        let request = TokenRequest::of(&none, &pairs, &[]);
        for (authenticator, expected) in [(&world.authenticator, off), (&on, expected)] {
            let found = authenticator.authenticate(&request, &clients, &world.replay, at(NOW));
            assert_eq!(code(found), expected, "{pairs:?}");
        }
    }
    let claims = json!({"sub": workload, "exp": NOW + 60, "cnf": {"jwk": world.workload.public_jwk().to_value()}});
    let wit = sign(&partner.wit, "wit+jwt", &claims);
    let proof = pop::sign(&world.workload, &PROVIDER, ISSUER, None, at(NOW)).unwrap();
    let fields = headers(&[(CLIENT_ATTESTATION, &wit), (CLIENT_ATTESTATION_POP, &proof)]);
    let named = form(&[("client_id", "partner")]);
    let request = TokenRequest::of(&fields, &named, &[]);
    let found = on.authenticate(&request, &clients, &world.replay, at(NOW));
    assert_eq!(found.unwrap().client.client_id, "partner");
}

/// A provider's own keys, for ID tokens and access tokens, are no keys of SVIDs, and `iss` leads nowhere.
///
/// Covers: OAUTH-SPIFFE-8.1-2, OAUTH-SPIFFE-8.1-3, OAUTH-SPIFFE-6.2.4-1, OAUTH-SPIFFE-A7
#[test]
fn discovered_keys_are_not_for_svids() {
    let provider_key = key("op");
    let td = common::td(DOMAIN);
    let other = key("jwt");
    let document = |key_use: Option<&str>| {
        let mut jwk = provider_key.public_jwk().to_value();
        match key_use {
            Some(key_use) => jwk["use"] = key_use.into(),
            None => drop(jwk.as_object_mut().unwrap().remove("use")),
        }
        let mut own = other.public_jwk().to_value();
        own["use"] = "jwt-svid".into();
        json!({"keys": [own, jwk]}).to_string()
    };
    let mut claims = svid_claims();
    claims["iss"] = "https://op.example".into();
    let pairs = jwt_form(&sign(&provider_key, "JWT", &claims));
    for (key_use, expected) in [
        (Some("sig"), "unknown_key"),
        (None, "unknown_key"),
        (Some("wit-svid"), "unknown_key"),
        (Some("jwt-svid"), "valid"),
    ] {
        let bundle = Bundle::parse(&PROVIDER, td.clone(), document(key_use).as_bytes()).unwrap();
        let authenticator = ClientAuthenticator::new(ISSUER, bundle, PROVIDER);
        let none = HeaderMap::new();
        let request = TokenRequest::of(&none, &pairs, &[]);
        let found = authenticator.authenticate(
            &request,
            &world().clients,
            &MemoryReplayGuard::new(1),
            at(NOW),
        );
        assert_eq!(code(found), expected, "{key_use:?}");
    }
}

#[derive(Default)]
struct Source {
    x509: Option<SpiffeId>,
    wit: Option<WitCredential>,
    jwt: Option<(Domain, &'static str)>,
}

impl SvidSource for Source {
    fn x509_svid(&self) -> Option<SpiffeId> {
        self.x509.clone()
    }

    fn wit_svid(&self) -> Option<WitCredential> {
        self.wit.clone()
    }

    fn jwt_svid(&self, issuer: &str) -> Option<String> {
        let (domain, sub) = self.jwt.as_ref()?;
        Some(sign(
            &domain.jwt,
            "JWT",
            &json!({"sub": sub, "aud": issuer, "exp": NOW + 300}),
        ))
    }

    fn methods(&self) -> Vec<Method> {
        [
            (Method::SpiffeX509, self.x509.is_some()),
            (Method::SpiffeWit, self.wit.is_some()),
            (Method::SpiffeJwt, self.jwt.is_some()),
        ]
        .into_iter()
        .filter_map(|(method, available)| available.then_some(method))
        .collect()
    }
}

/// The client sends what the server advertises, once, where it belongs; the server takes it.
///
/// Covers: OAUTH-SPIFFE-3.2-1, OAUTH-SPIFFE-4-3, OAUTH-SPIFFE-4-4, OAUTH-SPIFFE-4-5, OAUTH-SPIFFE-A3, OAUTH-SPIFFE-A18
/// Covers: OAUTH-SPIFFE-3.1-3
#[test]
fn the_clients_choice() {
    let mut world = world();
    let domain = Domain::new(DOMAIN);
    let mut bundles = BundleSet::new();
    bundles.install(domain.bundle()).unwrap();
    let wit = sign(
        &domain.wit,
        "wit+jwt",
        &json!({"sub": AGENT, "exp": NOW + 60, "cnf": {"jwk": world.workload.public_jwk().to_value()}}),
    );
    let tls = [domain.leaf(AGENT)];
    let mut source = Source {
        x509: Some(id(AGENT)),
        wit: Some(WitCredential::new(wit, world.workload.clone(), &PROVIDER)),
        jwt: Some((domain, AGENT)),
    };
    world.authenticator = ClientAuthenticator::new(ISSUER, bundles, PROVIDER);
    let metadata = |names: &[&str], extra: Value| {
        let mut members = json!({
            "issuer": ISSUER, "token_endpoint": TOKEN_ENDPOINT, "token_endpoint_auth_methods_supported": names,
            "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.as.example.com/token"},
        });
        members
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        ServerMetadata::authorization_server(ISSUER, members.to_string().as_bytes()).unwrap()
    };
    let all = [
        "client_secret_basic",
        "spiffe_jwt",
        "spiffe_x509",
        "spiffe_wit",
    ];
    let es384 = json!({"client_attestation_pop_signing_alg_values_supported": ["ES384"]});
    for (names, extra, expected, host) in [
        (
            &all[..],
            json!({}),
            Method::SpiffeX509,
            "mtls.as.example.com",
        ),
        (&all[3..], json!({}), Method::SpiffeWit, "as.example.com"),
        (&all[..2], json!({}), Method::SpiffeJwt, "as.example.com"),
        // The server does not take the algorithm of the key.
        (
            &["spiffe_jwt", "spiffe_wit"][..],
            es384,
            Method::SpiffeJwt,
            "as.example.com",
        ),
    ] {
        let server = metadata(names, extra);
        let mut outgoing =
            OutgoingRequest::new([("grant_type", "client_credentials"), ("client_id", "stale")]);
        let name = (expected != Method::SpiffeX509).then_some(CLIENT);
        assert_eq!(
            outgoing.authenticate(&source, name, &server, None, at(NOW)),
            Ok(expected)
        );
        // A second time would be a second method.
        let again = outgoing
            .clone()
            .authenticate(&source, name, &server, None, at(NOW));
        assert_eq!(
            code(again),
            if expected == Method::SpiffeX509 {
                "valid"
            } else {
                "several_client_authentications"
            }
        );
        let peer = if expected == Method::SpiffeX509 {
            &tls[..]
        } else {
            &[]
        };
        let found = world
            .authenticate(&outgoing.headers, &outgoing.form, peer)
            .unwrap();
        assert_eq!(
            (found.method, found.client.client_id.as_str()),
            (expected, CLIENT)
        );
        let request = outgoing.into_request(&server, expected).unwrap();
        assert_eq!(
            (
                request.method().as_str(),
                request.uri().host(),
                request.uri().query()
            ),
            ("POST", Some(host), None)
        );
        assert_eq!(
            request.headers()["content-type"],
            "application/x-www-form-urlencoded"
        );
        assert!(request.body().starts_with("grant_type=client_credentials&"));
    }
    // The token is for the issuer whose metadata these are, whatever its endpoints are called.
    let other = json!({"issuer": "https://attacker.example", "token_endpoint": TOKEN_ENDPOINT, "token_endpoint_auth_methods_supported": ["spiffe_jwt"]});
    let other = ServerMetadata::authorization_server(
        "https://attacker.example",
        other.to_string().as_bytes(),
    )
    .unwrap();
    let mut outgoing = OutgoingRequest::default();
    outgoing
        .authenticate(&source, None, &other, None, at(NOW))
        .unwrap();
    assert_eq!(
        code(world.authenticate(&outgoing.headers, &outgoing.form, &[])),
        "audience_mismatch"
    );
    // No falling back.
    for names in [
        &["client_secret_basic", "none"][..],
        &[],
        &["private_key_jwt", "attest_jwt_client_auth"],
    ] {
        let mut outgoing = OutgoingRequest::new([("client_secret", "kept for another server")]);
        let found =
            outgoing.authenticate(&source, None, &metadata(names, json!({})), None, at(NOW));
        assert_eq!(code(found), "no_common_method");
        assert!(outgoing.headers.is_empty() && outgoing.form.len() == 1);
    }
    let server = metadata(&all, json!({}));
    assert_eq!(
        code(OutgoingRequest::default().authenticate(
            &Source::default(),
            None,
            &server,
            None,
            at(NOW)
        )),
        "no_common_method"
    );
    source.x509 = None;
    for authenticated in [
        OutgoingRequest::new([("client_secret", "s")]),
        OutgoingRequest::new([("client_assertion", "a.b.c")]),
    ] {
        let mut authenticated = authenticated;
        let found = authenticated.authenticate(&source, None, &server, None, at(NOW));
        assert_eq!(code(found), "several_client_authentications");
    }
    assert_eq!(format!("{:?}", source.wit.unwrap()), "WitCredential(..)");
}
