//! Attestation-based client authentication: attesters, instances, proofs and servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

mod challenge;
mod client;
#[path = "../common/mod.rs"]
mod common;
mod credential;
mod mode;
mod proof;
mod properties;

use std::sync::Arc;
use std::time::Duration;

use common::{ISSUER, NOW, PROVIDER, at, code, headers, key, sign};
use http::{HeaderMap, StatusCode, header};
use jose_x509::dpop::{self, ExternalUrl, Htu, ProofRequest, ProofTarget, Prover, StatelessNonces};
use jose_x509::jws::ProtectedHeader;
use jose_x509::x509::TrustAnchors;
use jose_x509::{
    Algorithm, Algorithms, KeySet, MemoryReplayGuard, ReplayGuard, ReplayKey, SigningKey,
    base64url, jwt,
};
use oauth_spiffe_client_auth::attestation::{
    ATTESTATION_TYPE, AttestationIssuer, AttestationVerifier, AttestedClient, AttestedRequest,
    Attester, AttesterTrust, CLIENT_ATTESTATION, CLIENT_ATTESTATION_CHALLENGE,
    CLIENT_ATTESTATION_POP, Challenge, ChallengeSource, HeldAttestation, InstanceBinding, POP_TYPE,
    PopMethod, PopMethods, Scheme, SingleUseChallenges, StatelessChallenges, Verifier,
};
use oauth_spiffe_client_auth::{Error, pop};
use pki_types::UnixTime;
use serde_json::{Value, json};

const CLIENT: &str = "https://client.example.com";
const RESOURCE: &str = "https://rs.example.com";
const TOKEN_ENDPOINT: &str = "https://as.example.com/token";

/// An attester, an instance and an authorization server.
struct World {
    attester: SigningKey,
    key: SigningKey,
    trust: Vec<Attester>,
    verifier: Verifier,
    replay: MemoryReplayGuard,
}

fn set(keys: &[&SigningKey]) -> KeySet {
    KeySet::new(
        keys.iter()
            .map(|key| key.verifying_key().unwrap())
            .collect(),
    )
    .unwrap()
}

fn world() -> World {
    let attester = key("attester");
    World {
        trust: vec![Attester::new("attester", set(&[&attester]))],
        attester,
        key: key("instance"),
        verifier: Verifier::for_authorization_server(&PROVIDER, ISSUER),
        replay: MemoryReplayGuard::new(1000),
    }
}

impl World {
    fn with(
        self,
        change: impl FnOnce(pop::PopVerifier) -> Result<pop::PopVerifier, Error>,
    ) -> Self {
        Self {
            verifier: self.verifier.with_proofs(change).unwrap(),
            ..self
        }
    }

    fn with_combined(self, methods: &[PopMethod]) -> Self {
        let methods = PopMethods::new(methods).unwrap();
        self.with(|pop| pop.with_dpop(dpop::Verifier::new(&PROVIDER), methods))
    }

    fn claims(&self) -> Value {
        json!({"sub": CLIENT, "iat": NOW - 10, "exp": NOW + 3600, "cnf": {"jwk": self.key.public_jwk().to_value()}})
    }

    fn attestation(&self) -> String {
        sign(&self.attester, ATTESTATION_TYPE, &self.claims())
    }

    fn verify(&self, headers: &HeaderMap, now: u64) -> Result<AttestedClient, Error> {
        let server = ExternalUrl::parse(ISSUER).unwrap();
        let target = server.target("/token").unwrap();
        let request = AttestedRequest::new(headers).with_target(ProofTarget::new("POST", &target));
        self.verifier
            .verify(&request, &self.trust, &self.replay, at(now))
    }

    fn send(&self, attestation: &str, proof: &str) -> &'static str {
        let fields = headers(&[
            (CLIENT_ATTESTATION, attestation),
            (CLIENT_ATTESTATION_POP, proof),
        ]);
        code(self.verify(&fields, NOW))
    }

    /// The code for an attestation with a good proof, whose `jti` is new each time.
    fn attest(&self, attestation: &str) -> &'static str {
        let proof = pop::sign(&self.key, &PROVIDER, ISSUER, None, at(NOW)).unwrap();
        self.send(attestation, &proof)
    }

    /// The code for a good attestation with a proof of these claims.
    fn prove(&self, claims: &Value) -> &'static str {
        self.send(&self.attestation(), &sign(&self.key, POP_TYPE, claims))
    }

    fn held(&self) -> HeldAttestation {
        HeldAttestation::new(self.attestation(), self.key.clone()).unwrap()
    }
}

fn proof_claims(id: &str) -> Value {
    json!({"aud": ISSUER, "jti": id, "iat": NOW})
}

/// `claims` with a member replaced, or taken out for null.
fn replaced(mut claims: Value, name: &str, value: &Value) -> Value {
    if value == "DELETE" {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value.clone();
    }
    claims
}

fn error_of(response: &http::Response<Vec<u8>>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// One attestation, a proof for each request; the proof is not used twice, and an attestation alone is worth nothing.
///
/// Covers: OAUTH-ABCA-4-1, OAUTH-ABCA-4-12, OAUTH-ABCA-5-1, OAUTH-ABCA-5-2, OAUTH-ABCA-5.1-1, OAUTH-ABCA-6-1
/// Covers: OAUTH-ABCA-7.2-6, OAUTH-ABCA-10.2-1, OAUTH-ABCA-12.2-1, OAUTH-ABCA-15.8-1, OAUTH-ABCA-A1, OAUTH-ABCA-A2
#[test]
fn attested_requests() {
    let world = world();
    let issued = AttestationIssuer::new(world.attester.clone())
        .with_lifetime(Duration::from_secs(600))
        .issue(CLIENT, &world.key.public_jwk(), at(NOW))
        .unwrap();
    let held = HeldAttestation::new(issued.clone(), world.key.clone()).unwrap();
    assert_eq!(held.client_id(), CLIENT);
    let fresh = || {
        let mut headers = HeaderMap::new();
        held.attach(&mut headers, ISSUER, None, at(NOW)).unwrap();
        headers
    };
    let first = fresh();
    assert_eq!(first.get_all(CLIENT_ATTESTATION).iter().count(), 1);
    assert_eq!(first.len(), 2);
    assert!(first.values().all(http::HeaderValue::is_sensitive));
    let found = world.verify(&first, NOW).unwrap();
    assert_eq!((found.client_id(), found.attester()), (CLIENT, "attester"));
    assert_eq!(found.proof().method(), PopMethod::AttestationPopJwt);
    assert!(found.proof().dpop().is_none());
    assert_eq!(found.binding().jkt(), held.jkt());
    assert_eq!(found.attestation().expires(), Some(NOW + 600));
    assert_eq!(code(world.verify(&first, NOW)), "replayed");
    assert_eq!(code(world.verify(&fresh(), NOW)), "valid");
    // Signatures are ES256 here, and there is no constructor for a MAC.
    let header = first[CLIENT_ATTESTATION]
        .to_str()
        .unwrap()
        .split('.')
        .next()
        .unwrap();
    let header: Value =
        serde_json::from_slice(&base64url::decode(header, "header").unwrap()).unwrap();
    assert_eq!(
        header,
        json!({"typ": ATTESTATION_TYPE, "alg": "ES256", "kid": "attester"})
    );

    for (fields, expected) in [
        (headers(&[(CLIENT_ATTESTATION, &issued)]), "missing_proof"),
        // Not a method of possession that anybody defines.
        (
            headers(&[
                (CLIENT_ATTESTATION, &issued),
                ("oauth-client-attestation-other", "x"),
            ]),
            "missing_proof",
        ),
        (HeaderMap::new(), "missing_attestation"),
        (
            headers(&[(
                CLIENT_ATTESTATION_POP,
                first[CLIENT_ATTESTATION_POP].to_str().unwrap(),
            )]),
            "missing_attestation",
        ),
    ] {
        let error = world.verify(&fields, NOW).unwrap_err();
        assert_eq!(error.code(), expected);
        let response = world.verifier.refuse(&error, Scheme::Bearer, at(NOW));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(error_of(&response)["error"], "invalid_client_attestation");
    }
    assert!(
        AttestationIssuer::new(world.attester.clone())
            .issue("", &world.key.public_jwk(), at(NOW))
            .is_err()
    );
    let names = [
        CLIENT_ATTESTATION,
        CLIENT_ATTESTATION_POP,
        CLIENT_ATTESTATION_CHALLENGE,
    ];
    let expected = [
        "OAuth-Client-Attestation",
        "OAuth-Client-Attestation-PoP",
        "OAuth-Client-Attestation-Challenge",
    ];
    assert!(
        names
            .iter()
            .zip(expected)
            .all(|(name, expected)| name.eq_ignore_ascii_case(expected))
    );
    assert_eq!(
        (ATTESTATION_TYPE, POP_TYPE),
        (
            "oauth-client-attestation+jwt",
            "oauth-client-attestation-pop+jwt"
        )
    );
}

/// Covers: OAUTH-ABCA-7.1-7, OAUTH-ABCA-7.4-4, OAUTH-ABCA-7.5-1, OAUTH-ABCA-A14
#[test]
fn client_id_is_the_attested_one() {
    let world = world();
    for (client_id, expected) in [
        (None, "valid"),
        (Some(""), "valid"),
        (Some(CLIENT), "valid"),
        (Some("https://other.example.com"), "client_id_mismatch"),
        (Some("https://CLIENT.example.com"), "client_id_mismatch"),
    ] {
        let mut headers = HeaderMap::new();
        world
            .held()
            .attach(&mut headers, ISSUER, None, at(NOW))
            .unwrap();
        let request = AttestedRequest::new(&headers).with_client_id(client_id);
        let found = world
            .verifier
            .verify(&request, &world.trust, &world.replay, at(NOW));
        assert_eq!(code(found), expected, "{client_id:?}");
    }
    let response = world
        .verifier
        .refuse(&Error::ClientIdMismatch, Scheme::Bearer, at(NOW));
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(error_of(&response)["error"], "invalid_client");
    assert!(response.headers().get(header::WWW_AUTHENTICATE).is_none());
}

/// An attestation beside another authentication, or where it may be absent.
///
/// Covers: OAUTH-ABCA-7.6-1
#[test]
fn as_a_signal() {
    let demanded = world();
    let optional = world().with(|pop| {
        pop.with_methods(PopMethods::new(&[
            PopMethod::AttestationPopJwt,
            PopMethod::None,
        ])?)
    });
    let none = HeaderMap::new();
    for (world, expected) in [(&demanded, "missing_attestation"), (&optional, "valid")] {
        // The client authenticates by its secret; that is somebody else's to check.
        let signal = |headers: &HeaderMap| {
            world.verifier.verify_signal(
                &AttestedRequest::new(headers),
                &world.trust,
                &world.replay,
                at(NOW),
            )
        };
        let without = signal(&none);
        assert!(without.as_ref().is_ok_and(Option::is_none) || expected != "valid");
        assert_eq!(code(without), expected);
        let mut sent = headers(&[("authorization", "Basic YWdlbnRzOnNlY3JldA==")]);
        world
            .held()
            .attach(&mut sent, ISSUER, None, at(NOW))
            .unwrap();
        assert_eq!(signal(&sent).unwrap().unwrap().client_id(), CLIENT);
        // What is sent has to be right in any case.
        assert_eq!(code(signal(&sent)), "replayed");
        let half = headers(&[(CLIENT_ATTESTATION, &world.attestation())]);
        assert_eq!(code(signal(&half)), "missing_proof");
        let half = headers(&[(CLIENT_ATTESTATION_POP, "x.y.z")]);
        assert_eq!(code(signal(&half)), "missing_attestation");
    }
}

/// Codes and refresh tokens stay with the instance that got them.
///
/// Covers: OAUTH-ABCA-10.3-1, OAUTH-ABCA-10.3-2, OAUTH-ABCA-10.4-1, OAUTH-ABCA-A15, OAUTH-ABCA-A16
#[test]
fn grants_are_bound() {
    let world = world();
    let other = World {
        key: key("other"),
        attester: world.attester.clone(),
        trust: world.trust.clone(),
        ..self::world()
    };
    let verified = |world: &World| {
        let mut headers = HeaderMap::new();
        world
            .held()
            .attach(&mut headers, ISSUER, None, at(NOW))
            .unwrap();
        world.verify(&headers, NOW).unwrap()
    };
    // At the pushed authorization request, or with the first token response.
    let stored = verified(&world).binding().jkt();
    let binding = InstanceBinding::new(stored);
    assert_eq!(binding.check(Some(verified(&world).binding())), Ok(()));
    let stolen = verified(&other);
    assert_eq!(stolen.client_id(), CLIENT);
    let error = binding.check(Some(stolen.binding())).unwrap_err();
    assert_eq!(error, Error::OtherInstance);
    let response = world.verifier.refuse(&error, Scheme::Bearer, at(NOW));
    assert_eq!(
        (response.status(), &error_of(&response)["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );
    let error = binding.check(None).unwrap_err();
    assert_eq!(error, Error::MissingAttestation);
    let response = world.verifier.refuse(&error, Scheme::Bearer, at(NOW));
    assert_eq!(error_of(&response)["error"], "invalid_client_attestation");
}
