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

mod assertion;
mod choice;
mod cimd_documents;
#[path = "../common/mod.rs"]
mod common;
mod registration;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use choice::Source;
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
                    "other_client_authentication"
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
