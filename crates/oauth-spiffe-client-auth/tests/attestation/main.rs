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

mod client;
#[path = "../common/mod.rs"]
mod common;

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

/// Every rule of the attestation, broken one at a time.
///
/// Covers: OAUTH-ABCA-4-2, OAUTH-ABCA-4-4, OAUTH-ABCA-4-5, OAUTH-ABCA-4-6, OAUTH-ABCA-4-7, OAUTH-ABCA-4-8, OAUTH-ABCA-4-9
/// Covers: OAUTH-ABCA-4-11, OAUTH-ABCA-7.1-2, OAUTH-ABCA-7.1-5, OAUTH-ABCA-7.1-6, OAUTH-ABCA-7.4-2, OAUTH-ABCA-A8
/// Covers: OAUTH-ABCA-A24
#[test]
fn attestation_claims() {
    let world = world();
    let jwk = world.key.public_jwk().to_value();
    let private: Value = serde_json::from_str(&world.key.expose_jwk().unwrap()).unwrap();
    let cases = [
        ("sub", json!("DELETE"), "missing_claim"),
        ("sub", json!(""), "claim_type"),
        ("sub", json!(7), "claim_type"),
        ("exp", json!("DELETE"), "missing_claim"),
        ("exp", json!("tomorrow"), "claim_type"),
        ("exp", json!(NOW - 59), "contradictory_times"),
        ("iat", json!("DELETE"), "valid"),
        ("iat", json!("yesterday"), "claim_type"),
        ("iat", json!(NOW + 60), "valid"),
        ("iat", json!(NOW + 61), "issued_in_future"),
        // As old as `exp` allows.
        ("iat", json!(NOW - 100_000_000), "valid"),
        ("nbf", json!(NOW + 60), "valid"),
        ("nbf", json!(NOW + 61), "not_yet_valid"),
        ("iss", json!("https://older-draft.example"), "valid"),
        ("extra", json!({"any": ["thing"]}), "valid"),
        ("cnf", json!("DELETE"), "missing_claim"),
        ("cnf", json!("key"), "claim_type"),
        ("cnf", json!({}), "instance_key"),
        ("cnf", json!({"kid": "instance"}), "instance_key"),
        (
            "cnf",
            json!({"jkt": base64url::encode(&[7; 32])}),
            "instance_key",
        ),
        (
            "cnf",
            json!({"x5t#S256": base64url::encode(&[7; 32])}),
            "instance_key",
        ),
        ("cnf", json!({"jwk": jwk, "kid": "also"}), "valid"),
        ("cnf", json!({"jwk": private}), "private_key_material"),
        (
            "cnf",
            json!({"jwk": {"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA"}}),
            "private_key_material",
        ),
    ];
    for (name, value, expected) in cases {
        let claims = replaced(world.claims(), name, &value);
        let attestation = sign(&world.attester, ATTESTATION_TYPE, &claims);
        assert_eq!(world.attest(&attestation), expected, "{name}: {value}");
    }
    for (typ, expected) in [
        ("oauth-client-attestation+jwt", "valid"),
        ("application/oauth-client-attestation+jwt", "valid"),
        ("JWT", "wrong_type"),
        ("wit+jwt", "wrong_type"),
        ("oauth-client-attestation-pop+jwt", "wrong_type"),
    ] {
        assert_eq!(
            world.attest(&sign(&world.attester, typ, &world.claims())),
            expected,
            "{typ}"
        );
    }
    let untyped = jwt::sign(
        &world.attester,
        &ProtectedHeader::without_typ(),
        &world.claims(),
    )
    .unwrap();
    assert_eq!(world.attest(&untyped), "wrong_type");
    let twice = br#"{"sub":"a","sub":"https://client.example.com"}"#;
    let twice = jose_x509::jws::sign(
        &world.attester,
        &ProtectedHeader::new(ATTESTATION_TYPE),
        twice,
    )
    .unwrap();
    assert_eq!(world.attest(&twice), "duplicate_member");

    // Signed well and too old: a fresh one is asked for, whatever the proof is.
    let mut stale = world.claims();
    stale["iat"] = (NOW - 3600).into();
    for (expires, expected) in [
        (NOW - 59, "valid"),
        (NOW - 60, "stale_attestation"),
        (NOW - 120, "stale_attestation"),
    ] {
        stale["exp"] = expires.into();
        let attestation = sign(&world.attester, ATTESTATION_TYPE, &stale);
        assert_eq!(world.attest(&attestation), expected);
    }
    let bounded = AttestationVerifier::new(&PROVIDER).with_max_age(Duration::from_secs(1000));
    let world = World {
        verifier: world.verifier.clone().with_attestations(bounded),
        ..world
    };
    for (age, expected) in [(1060, "valid"), (1061, "stale_attestation")] {
        let claims = replaced(world.claims(), "iat", &json!(NOW - age));
        let attestation = sign(&world.attester, ATTESTATION_TYPE, &claims);
        assert_eq!(world.attest(&attestation), expected);
    }
    let error = Error::StaleAttestation(jose_x509::Error::Expired);
    let refused = |verifier: &Verifier| verifier.refuse(&error, Scheme::Dpop, at(NOW));
    let response = refused(&world.verifier);
    assert_eq!(
        (response.status(), &error_of(&response)["error"]),
        (StatusCode::BAD_REQUEST, &json!("use_fresh_attestation"))
    );
    let response = refused(&Verifier::for_resource_server(&PROVIDER, RESOURCE));
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.headers()[header::WWW_AUTHENTICATE],
        "DPoP error=\"use_fresh_attestation\""
    );
}

/// Only a configured attester vouches, and only with its own keys.
///
/// Covers: OAUTH-ABCA-4-3, OAUTH-ABCA-4-10, OAUTH-ABCA-7.1-3, OAUTH-ABCA-7.1-4, OAUTH-ABCA-9-3, OAUTH-ABCA-10.8-1
/// Covers: OAUTH-ABCA-A6, OAUTH-ABCA-A7, OAUTH-ABCA-A10, OAUTH-ABCA-A22
#[test]
fn attesters() {
    let mut world = world();
    let valid = world.attestation();
    assert_eq!(world.attest(&valid), "valid");
    let signed_by = |key: &SigningKey| sign(key, ATTESTATION_TYPE, &world.claims());
    // By the instance itself, by a stranger, and by one who took the attester's name.
    assert_eq!(world.attest(&signed_by(&world.key)), "unknown_key");
    assert_eq!(
        world.attest(&signed_by(&world.key.clone().with_kid("attester"))),
        "invalid_signature"
    );
    assert_eq!(world.attest(&signed_by(&key("stranger"))), "unknown_key");
    assert_eq!(
        world.attest(&signed_by(&key("attester"))),
        "invalid_signature"
    );
    // Keys and places of keys in the header.
    let thief = key("attester");
    let header = ProtectedHeader::new(ATTESTATION_TYPE);
    let with_jwk = jwt::sign(
        &thief,
        &header.clone().with_jwk(&thief.public_jwk()),
        &world.claims(),
    )
    .unwrap();
    assert_eq!(world.attest(&with_jwk), "header_key_material");
    for name in ["jku", "x5u"] {
        let header = header
            .clone()
            .with_parameter(name, "https://attester.example/keys")
            .unwrap();
        for key in [&thief, &world.attester] {
            let token = jwt::sign(key, &header, &world.claims()).unwrap();
            assert_eq!(world.attest(&token), "header_key_material", "{name}");
        }
    }
    // No MAC with the attester's public key, and nothing unsigned.
    let (_, rest) = valid.split_once('.').unwrap();
    for alg in ["none", "HS256", "HS512", "ES256K", "es256", ""] {
        let header = json!({"typ": ATTESTATION_TYPE, "alg": alg, "kid": "attester"}).to_string();
        let token = format!("{}.{rest}", base64url::encode(header.as_bytes()));
        assert_eq!(world.attest(&token), "unsupported_algorithm", "{alg}");
    }
    let header = json!({"typ": ATTESTATION_TYPE, "kid": "attester"}).to_string();
    let token = format!("{}.{rest}", base64url::encode(header.as_bytes()));
    assert_eq!(world.attest(&token), "missing_header");
    for at in [valid.find('.').unwrap() + 9, valid.rfind('.').unwrap() + 9] {
        let mut bytes = valid.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let found = world.attest(std::str::from_utf8(&bytes).unwrap());
        assert_ne!(found, "valid");
    }
    // The server's own list decides, whatever the client registered.
    let only_es384 = AttestationVerifier::new(&PROVIDER)
        .with_algorithms(Algorithms::of(&[Algorithm::Es384]))
        .unwrap();
    world.verifier = world.verifier.clone().with_attestations(only_es384);
    assert_eq!(world.attest(&valid), "algorithm_not_allowed");
    assert!(
        AttestationVerifier::new(&PROVIDER)
            .with_algorithms(Algorithms::of(&[]))
            .is_err()
    );
    world.verifier = Verifier::for_authorization_server(&PROVIDER, ISSUER);

    // A client that this attester may not vouch for; a name that two attesters use; a rotated key.
    world.trust = vec![
        Attester::new("attester", set(&[&world.attester]))
            .for_clients(["https://other.example.com"]),
    ];
    assert_eq!(world.attest(&valid), "unknown_key");
    world.trust = vec![
        Attester::new("one", set(&[&key("attester")])),
        Attester::new("two", set(&[&world.attester])),
    ];
    assert_eq!(world.attest(&valid), "ambiguous_key");
    world.trust = vec![
        Attester::new("one", set(&[&key("attester")])).for_clients(["https://other.example.com"]),
        Attester::new("two", set(&[&world.attester])).for_clients([CLIENT]),
    ];
    assert_eq!(world.attest(&valid), "valid");
    world.trust = Vec::new();
    let error = world.verifier.check(
        &AttestedRequest::new(&headers(&[(CLIENT_ATTESTATION, &valid)])),
        &world.trust,
        at(NOW),
    );
    assert!(error.unwrap_err().refresh_may_help());
    assert_eq!(world.trust[..].attesters(CLIENT).len(), 0);
}

/// Keys from `x5c`, for attesters that were configured with an anchor.
///
/// Covers: OAUTH-ABCA-10.8-1, OAUTH-ABCA-A7
#[test]
fn attester_certificates() {
    let mut world = world();
    let ca = |name: &str| {
        let pair = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&pair).unwrap();
        (certificate.der().clone(), rcgen::Issuer::new(params, pair))
    };
    let (anchor, issuer) = ca("attester root");
    let (_, other) = ca("other root");
    let pair = rcgen::KeyPair::generate().unwrap();
    let signer =
        SigningKey::from_pkcs8_der(&PROVIDER, Algorithm::Es256, pair.serialized_der()).unwrap();
    let leaf = |issuer: &rcgen::Issuer<'_, rcgen::KeyPair>| {
        let mut params =
            rcgen::CertificateParams::new(vec!["attester.example".to_owned()]).unwrap();
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        let day = |year| rcgen::date_time_ymd(year, 1, 1);
        (params.not_before, params.not_after) = (day(2020), day(2040));
        params.signed_by(&pair, issuer).unwrap().der().clone()
    };
    let with_x5c = |issuer| {
        use base64_text::encode;
        let header = ProtectedHeader::new(ATTESTATION_TYPE)
            .without_kid()
            .with_parameter("x5c", json!([encode(&leaf(issuer))]))
            .unwrap();
        jwt::sign(&signer, &header, &world.claims()).unwrap()
    };
    let (own, foreign) = (with_x5c(&issuer), with_x5c(&other));
    // No anchor is configured, so the certificate says nothing.
    assert_eq!(world.attest(&own), "header_key_material");
    let anchors = TrustAnchors::new([anchor]);
    world.trust = vec![Attester::new("with certificates", KeySet::default()).with_anchors(anchors)];
    assert_eq!(world.attest(&own), "valid");
    assert_ne!(world.attest(&foreign), "valid");
    // Another key than the certificate's.
    let header = ProtectedHeader::new(ATTESTATION_TYPE)
        .without_kid()
        .with_parameter("x5c", json!([base64_text::encode(&leaf(&issuer))]))
        .unwrap();
    let stolen = jwt::sign(&key("thief"), &header, &world.claims()).unwrap();
    assert_eq!(world.attest(&stolen), "invalid_signature");
}

/// Standard base64, which `x5c` has and nothing else here.
mod base64_text {
    pub fn encode(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk
                .iter()
                .fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for place in 0..4 {
                let digit = (word >> (18 - 6 * place) & 63) as usize;
                text.push(if place <= chunk.len() {
                    ALPHABET[digit] as char
                } else {
                    '='
                });
            }
        }
        text
    }
}

/// Every rule of the proof, broken one at a time.
///
/// Covers: OAUTH-ABCA-5.1-1, OAUTH-ABCA-5.1-2, OAUTH-ABCA-5.1-3, OAUTH-ABCA-5.1-4, OAUTH-ABCA-5.1-5, OAUTH-ABCA-5.1-6
/// Covers: OAUTH-ABCA-5.1-7, OAUTH-ABCA-5.1-8, OAUTH-ABCA-5.1-9, OAUTH-ABCA-7.2-2, OAUTH-ABCA-7.2-4, OAUTH-ABCA-7.2-5
/// Covers: OAUTH-ABCA-7.4-3, OAUTH-ABCA-A3, OAUTH-ABCA-A5, OAUTH-ABCA-A9, OAUTH-ABCA-A11
#[test]
fn proof_rules() {
    let world = world();
    let cases = [
        ("aud", json!([ISSUER]), "valid"),
        ("aud", json!(TOKEN_ENDPOINT), "audience_mismatch"),
        ("aud", json!("https://other.example"), "audience_mismatch"),
        ("aud", json!([ISSUER, RESOURCE]), "multiple_audiences"),
        ("aud", json!("DELETE"), "missing_claim"),
        ("jti", json!("DELETE"), "missing_claim"),
        ("jti", json!(""), "claim_type"),
        ("jti", json!("x".repeat(257)), "claim_type"),
        ("jti", json!("first"), "valid"),
        ("jti", json!("first"), "replayed"),
        ("iat", json!("DELETE"), "missing_claim"),
        ("iat", json!("now"), "claim_type"),
        ("iat", json!(NOW - 300), "valid"),
        ("iat", json!(NOW - 301), "too_old"),
        ("iat", json!(NOW + 60), "valid"),
        ("iat", json!(NOW + 61), "issued_in_future"),
        ("challenge", json!("unasked"), "valid"),
        ("challenge", json!(7), "claim_type"),
        ("challenge", json!(null), "claim_type"),
        ("iss", json!(CLIENT), "valid"),
        ("iss", json!("https://somebody-else.example"), "valid"),
        ("exp", json!(NOW + 60), "valid"),
        ("exp", json!(NOW - 61), "expired"),
        ("nonce", json!("older draft"), "valid"),
    ];
    for (at, (name, value, expected)) in cases.into_iter().enumerate() {
        let claims = replaced(proof_claims(&format!("id-{at}")), name, &value);
        assert_eq!(world.prove(&claims), expected, "{name}: {value}");
    }
    let proof = |key: &SigningKey, typ| sign(key, typ, &proof_claims("typ"));
    for typ in ["JWT", "dpop+jwt", "wpt+jwt", ATTESTATION_TYPE] {
        let found = world.send(&world.attestation(), &proof(&world.key, typ));
        assert_eq!(found, "wrong_type", "{typ}");
    }
    // By the attester, by anybody, and by anybody who brings the key along.
    for thief in [&world.attester, &key("thief")] {
        assert_eq!(
            world.send(&world.attestation(), &proof(thief, POP_TYPE)),
            "invalid_signature"
        );
        let header = ProtectedHeader::new(POP_TYPE).with_jwk(&thief.public_jwk());
        let own = jwt::sign(thief, &header, &proof_claims("own")).unwrap();
        assert_eq!(
            world.send(&world.attestation(), &own),
            "header_key_material"
        );
    }
    let other = SigningKey::generate(&PROVIDER, Algorithm::Es384).unwrap();
    assert_eq!(
        world.send(&world.attestation(), &proof(&other, POP_TYPE)),
        "algorithm_mismatch"
    );
    let good = proof(&world.key, POP_TYPE);
    let (_, rest) = good.split_once('.').unwrap();
    for alg in ["none", "HS256"] {
        let header = json!({"typ": POP_TYPE, "alg": alg}).to_string();
        let token = format!("{}.{rest}", base64url::encode(header.as_bytes()));
        assert_eq!(
            world.send(&world.attestation(), &token),
            "unsupported_algorithm"
        );
    }
    let mut flipped = good.clone().into_bytes();
    let last = flipped.len() - 9;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    assert_eq!(
        world.send(&world.attestation(), &flipped),
        "invalid_signature"
    );
    assert_eq!(world.send(&world.attestation(), &good), "valid");
    // The server's list of algorithms.
    let world = world.with(|pop| pop.with_algorithms(Algorithms::of(&[Algorithm::Es384])));
    assert_eq!(world.prove(&proof_claims("alg")), "algorithm_not_allowed");
    let strict = pop::PopVerifier::new(ISSUER);
    assert!(strict.clone().with_algorithms(Algorithms::of(&[])).is_err());
    assert!(
        strict
            .clone()
            .with_window(Duration::from_secs(301), Duration::ZERO)
            .is_err()
    );
    assert!(
        strict
            .clone()
            .with_window(Duration::from_secs(5), Duration::from_secs(6))
            .is_err()
    );
    let narrow = strict.with_window(Duration::from_secs(30), Duration::from_secs(5));
    let key = world.key.verifying_key().unwrap();
    let checked = |iat: u64| {
        let claims = replaced(proof_claims("w"), "iat", &json!(iat));
        let fields = headers(&[(CLIENT_ATTESTATION_POP, &sign(&world.key, POP_TYPE, &claims))]);
        code(narrow.as_ref().unwrap().check(&fields, &key, None, at(NOW)))
    };
    let found = [NOW - 30, NOW - 31, NOW + 5, NOW + 6].map(checked);
    assert_eq!(found, ["valid", "too_old", "valid", "issued_in_future"]);
}

/// A proof for the authorization server is none for a resource server of the same operator, nor the other way round.
///
/// Covers: OAUTH-ABCA-5.1-3, OAUTH-ABCA-5.1-4, OAUTH-ABCA-7.2-5, OAUTH-ABCA-A3, OAUTH-ABCA-A4
#[test]
fn servers() {
    let world = world();
    let resource = Verifier::for_resource_server(&PROVIDER, RESOURCE);
    let held = world.held();
    for (audience, at_server, at_resource) in [
        (ISSUER, "valid", "audience_mismatch"),
        (RESOURCE, "audience_mismatch", "valid"),
    ] {
        let mut headers = HeaderMap::new();
        held.attach(&mut headers, audience, None, at(NOW)).unwrap();
        let request = AttestedRequest::new(&headers);
        for (verifier, expected) in [(&world.verifier, at_server), (&resource, at_resource)] {
            let found = verifier.verify(&request, &world.trust, &world.replay, at(NOW));
            assert_eq!(code(found), expected, "{audience}");
        }
    }
    // Each proof is made anew, for one server.
    let proofs: Vec<_> = [ISSUER, RESOURCE, ISSUER]
        .map(|audience| {
            let mut headers = HeaderMap::new();
            held.attach(&mut headers, audience, None, at(NOW)).unwrap();
            headers[CLIENT_ATTESTATION_POP].clone()
        })
        .into();
    assert!(proofs[0] != proofs[1] && proofs[0] != proofs[2]);
}

/// One value of each field, and that a bare token.
///
/// Covers: OAUTH-ABCA-4-13, OAUTH-ABCA-5.1-10, OAUTH-ABCA-7.1-1, OAUTH-ABCA-7.2-1, OAUTH-ABCA-10.5-1, OAUTH-ABCA-A17
#[test]
fn fields() {
    let world = world();
    let (token, proof) = (
        world.attestation(),
        sign(&world.key, POP_TYPE, &proof_claims("f")),
    );
    let (one, other) = (
        (CLIENT_ATTESTATION, &*token),
        (CLIENT_ATTESTATION_POP, &*proof),
    );
    let malformed = "malformed_client_authentication";
    let send = |fields: &[(&'static str, &str)]| code(world.verify(&headers(fields), NOW));
    assert_eq!(send(&[one, one, other]), malformed);
    assert_eq!(send(&[one, other, other]), malformed);
    for text in [
        format!("{token},{token}"),
        format!("{token}, x"),
        format!("\"{token}\""),
        format!("{token};v=1"),
        format!(":{token}:"),
        format!("{token} "),
        String::new(),
    ] {
        assert_eq!(
            send(&[(CLIENT_ATTESTATION, &text), other]),
            malformed,
            "{text:.9}"
        );
        assert_eq!(send(&[one, (CLIENT_ATTESTATION_POP, &text)]), malformed);
    }
    let mut binary = headers(&[other]);
    binary.insert(
        CLIENT_ATTESTATION,
        http::HeaderValue::from_bytes(b"\xff").unwrap(),
    );
    assert_eq!(code(world.verify(&binary, NOW)), malformed);
    // The value is case-sensitive, the name is not; the JSON serialisation and an encrypted token are refused.
    assert_ne!(
        send(&[(CLIENT_ATTESTATION, &token.to_lowercase()), other]),
        "valid"
    );
    assert_eq!(
        send(&[(CLIENT_ATTESTATION, "a.b.c.d.e"), other]),
        "encrypted_not_signed"
    );
    let json = base64url::encode(br#"{"payload":"","signatures":[]}"#);
    assert_eq!(send(&[(CLIENT_ATTESTATION, &json), other]), "segment_count");
    // 8 KiB for each.
    let padded = |length: usize| {
        let claims = replaced(world.claims(), "padding", &json!("x".repeat(length)));
        sign(&world.attester, ATTESTATION_TYPE, &claims)
    };
    let (fits, too_long) = (padded(5600), padded(6000));
    assert!(fits.len() <= 8192 && too_long.len() > 8192);
    assert_eq!(send(&[(CLIENT_ATTESTATION, &too_long), other]), "too_large");
    let long_proof = replaced(proof_claims("f"), "padding", &json!("x".repeat(6000)));
    let long_proof = sign(&world.key, POP_TYPE, &long_proof);
    assert_eq!(
        send(&[one, (CLIENT_ATTESTATION_POP, &long_proof)]),
        "too_large"
    );
    // None of these has spent the proof.
    assert_eq!(send(&[(CLIENT_ATTESTATION, &fits), other]), "valid");
    let error = Error::Malformed {
        name: CLIENT_ATTESTATION,
    };
    let response = world.verifier.refuse(&error, Scheme::Bearer, at(NOW));
    assert_eq!(error_of(&response)["error"], "invalid_request");
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

fn combined(world: &World, prover: &Prover<SigningKey>, nonce: Option<&dpop::Nonce>) -> HeaderMap {
    let target = Htu::parse(TOKEN_ENDPOINT).unwrap();
    let request = ProofRequest::new("POST", &target).with_nonce(nonce);
    headers(&[
        (CLIENT_ATTESTATION, &world.attestation()),
        ("dpop", &prover.prove(&request, at(NOW)).unwrap()),
    ])
}

/// The field with a proof JWT decides under which rules a request is.
///
/// Covers: OAUTH-ABCA-5.2-1, OAUTH-ABCA-5.2-3, OAUTH-ABCA-5.2-5, OAUTH-ABCA-5.2-6, OAUTH-ABCA-7-1, OAUTH-ABCA-7-2
/// Covers: OAUTH-ABCA-7-3, OAUTH-ABCA-7.3-1, OAUTH-ABCA-A12, OAUTH-ABCA-A13, OAUTH-ABCA-A23
#[test]
fn modes() {
    let both = [PopMethod::AttestationPopJwt, PopMethod::DpopCombined];
    let world = world().with_combined(&both);
    let (own, other) = (
        Prover::from_key(world.key.clone()),
        Prover::from_key(key("other")),
    );
    // Combined.
    let mut sent = HeaderMap::new();
    let target = Htu::parse(TOKEN_ENDPOINT).unwrap();
    world
        .held()
        .attach_combined(&mut sent, &ProofRequest::new("POST", &target), at(NOW))
        .unwrap();
    let names: Vec<_> = sent.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, [CLIENT_ATTESTATION, "dpop"]);
    let found = world.verify(&sent, NOW).unwrap();
    assert_eq!(found.proof().method(), PopMethod::DpopCombined);
    assert_eq!(found.proof().dpop().unwrap().jkt(), found.binding().jkt());
    assert_eq!(code(world.verify(&sent, NOW)), "replayed");
    let error = world
        .verify(&combined(&world, &other, None), NOW)
        .unwrap_err();
    assert_eq!(error.code(), "instance_key_mismatch");
    let response = world.verifier.refuse(&error, Scheme::Dpop, at(NOW));
    assert_eq!(error_of(&response)["error"], "invalid_client_attestation");
    // Beside a proof JWT, DPoP is a matter of its own: the token is bound to its key.
    let mut beside = combined(&world, &other, None);
    let proof = pop::sign(&world.key, &PROVIDER, ISSUER, None, at(NOW)).unwrap();
    beside.insert(CLIENT_ATTESTATION_POP, proof.parse().unwrap());
    let found = world.verify(&beside, NOW).unwrap();
    assert_eq!(found.proof().method(), PopMethod::AttestationPopJwt);
    assert_eq!(found.proof().dpop().unwrap().jkt(), other.jkt());
    assert_eq!(found.binding().jkt(), own.jkt());
    // A proof JWT that is garbage is not passed over for a good DPoP proof.
    let mut garbage = combined(&world, &own, None);
    for text in ["x", "a.b.c", ""] {
        garbage.insert(CLIENT_ATTESTATION_POP, text.parse().unwrap());
        assert_ne!(code(world.verify(&garbage, NOW)), "valid", "{text}");
    }
    // The other way round a bad DPoP proof beside a good proof JWT is refused too.
    let mut bad = headers(&[(CLIENT_ATTESTATION, &world.attestation()), ("dpop", "x")]);
    let proof = pop::sign(&world.key, &PROVIDER, ISSUER, None, at(NOW)).unwrap();
    bad.insert(CLIENT_ATTESTATION_POP, proof.parse().unwrap());
    let error = world.verify(&bad, NOW).unwrap_err();
    assert!(matches!(error, Error::DpopProof(_)));
    let response = world.verifier.refuse(&error, Scheme::Dpop, at(NOW));
    assert_eq!(error_of(&response)["error"], "invalid_dpop_proof");
    // Without a proof in the request nothing is proven, whatever an authorization request said (`dpop_jkt`).
    let alone = headers(&[(CLIENT_ATTESTATION, &world.attestation())]);
    assert_eq!(code(world.verify(&alone, NOW)), "missing_proof");
    // Two proofs.
    let mut two = combined(&world, &own, None);
    let again = two["dpop"].clone();
    two.append("dpop", again);
    assert_eq!(code(world.verify(&two, NOW)), "multiple_proofs");

    // The key in the attestation is compared by its thumbprint: other members and their order mean nothing.
    let jwk = world.key.public_jwk().to_value();
    let written = format!(
        r#"{{"y":{},"use":"sig","x":{},"kid":"other name","crv":"P-256","kty":"EC"}}"#,
        jwk["y"], jwk["x"]
    );
    let mut claims = world.claims();
    claims["cnf"] = json!({"jwk": serde_json::from_str::<Value>(&written).unwrap()});
    let attestation = sign(&world.attester, ATTESTATION_TYPE, &claims);
    let mut fields = combined(&world, &own, None);
    fields.insert(CLIENT_ATTESTATION, attestation.parse().unwrap());
    assert_eq!(code(world.verify(&fields, NOW)), "valid");
    // Another `y`, and coordinates with a zero in front, are other keys or none.
    let x = base64url::decode(jwk["x"].as_str().unwrap(), "x").unwrap();
    let padded = base64url::encode(&[&[0], &x[..]].concat());
    for (name, value) in [
        ("y", json!(base64url::encode(&[9; 32]))),
        ("x", json!(padded)),
        ("y", jwk["x"].clone()),
    ] {
        let mut claims = world.claims();
        claims["cnf"]["jwk"][name] = value;
        let attestation = sign(&world.attester, ATTESTATION_TYPE, &claims);
        let mut fields = combined(&world, &own, None);
        fields.insert(CLIENT_ATTESTATION, attestation.parse().unwrap());
        assert_ne!(code(world.verify(&fields, NOW)), "valid", "{name}");
    }

    // Where combined mode is not enabled, DPoP alone proves nothing, nor does a proof JWT where that is not.
    let world = world.with_combined(&[PopMethod::AttestationPopJwt]);
    let error = world
        .verify(&combined(&world, &own, None), NOW)
        .unwrap_err();
    assert_eq!(error.code(), "pop_method");
    let response = world.verifier.refuse(&error, Scheme::Dpop, at(NOW));
    assert_eq!(error_of(&response)["error"], "invalid_client_attestation");
    let world = world.with_combined(&[PopMethod::DpopCombined]);
    assert_eq!(world.attest(&world.attestation()), "pop_method");
    let plain = self::world();
    assert_eq!(
        code(plain.verify(
            &combined(&plain, &Prover::from_key(plain.key.clone()), None),
            NOW
        )),
        "pop_method"
    );
}

/// Combined mode keeps to RFC 9449, and knows its nonces only.
///
/// Covers: OAUTH-ABCA-5.2-2, OAUTH-ABCA-5.2-4, OAUTH-ABCA-7.3-1, OAUTH-ABCA-7.4-1
#[test]
fn combined_proofs() {
    let methods = [PopMethod::DpopCombined, PopMethod::AttestationPopJwt];
    let world = world().with_combined(&methods);
    let target = Htu::parse(TOKEN_ENDPOINT).unwrap();
    let good = json!({"jti": "a", "htm": "POST", "htu": TOKEN_ENDPOINT, "iat": NOW});
    let send = |header: &ProtectedHeader, claims: &Value| {
        let proof = jwt::sign(&world.key, header, claims).unwrap();
        let fields = headers(&[(CLIENT_ATTESTATION, &world.attestation()), ("dpop", &proof)]);
        let refused = world.verify(&fields, NOW).unwrap_err();
        assert!(matches!(refused, Error::CombinedProof(_)), "{refused}");
        let response = world.verifier.refuse(&refused, Scheme::Dpop, at(NOW));
        assert_eq!(error_of(&response)["error"], "invalid_client_attestation");
        refused.code()
    };
    let header = ProtectedHeader::new("dpop+jwt")
        .without_kid()
        .with_jwk(&world.key.public_jwk());
    for (name, value, expected) in [
        ("htm", json!("GET"), "wrong_method"),
        ("htu", json!("https://as.example.com/par"), "wrong_target"),
        ("jti", json!("DELETE"), "missing_claim"),
        ("iat", json!(NOW - 61), "too_old"),
        ("iat", json!(NOW + 11), "issued_in_future"),
    ] {
        assert_eq!(
            send(&header, &replaced(good.clone(), name, &value)),
            expected,
            "{name}"
        );
    }
    let typ = ProtectedHeader::new(POP_TYPE)
        .without_kid()
        .with_jwk(&world.key.public_jwk());
    assert_eq!(send(&typ, &good), "wrong_type");
    assert_eq!(
        send(&ProtectedHeader::new("dpop+jwt").without_kid(), &good),
        "missing_header"
    );
    let foreign = ProtectedHeader::new("dpop+jwt")
        .without_kid()
        .with_jwk(&key("x").public_jwk());
    assert_eq!(send(&foreign, &good), "invalid_signature");

    // At a resource server the proof is for the access token too.
    let resource = Verifier::for_resource_server(&PROVIDER, RESOURCE)
        .with_proofs(|pop| {
            pop.with_dpop(dpop::Verifier::new(&PROVIDER), PopMethods::new(&methods)?)
        })
        .unwrap();
    let url = Htu::parse("https://rs.example.com/orders").unwrap();
    let prover = Prover::from_key(world.key.clone());
    for (token, expected) in [
        (None, "missing_claim"),
        (Some("other"), "wrong_token_hash"),
        (Some("token"), "valid"),
    ] {
        let request = ProofRequest::new("GET", &url);
        let request = match token {
            Some(token) => request.with_access_token(token),
            None => request,
        };
        let mut fields = HeaderMap::new();
        world
            .held()
            .attach_combined(&mut fields, &request, at(NOW))
            .unwrap();
        let target = ProofTarget::new("GET", &url).with_access_token("token", prover.jkt());
        let request = AttestedRequest::new(&fields).with_target(target);
        let found = resource.verify(&request, &world.trust, &world.replay, at(NOW));
        assert_eq!(code(found), expected);
    }

    // Nonces and challenges: each demand gives what it demands.
    let nonces = Arc::new(StatelessNonces::generate(&PROVIDER, ISSUER).unwrap());
    let challenges = Arc::new(StatelessChallenges::generate(&PROVIDER, ISSUER).unwrap());
    let world = world.with(|pop| {
        let dpop = dpop::Verifier::new(&PROVIDER).with_nonces(nonces);
        pop.with_challenges(challenges)
            .with_dpop(dpop, PopMethods::new(&methods)?)
    });
    let (challenge, nonce) = world.verifier.proofs().fresh(at(NOW)).unwrap();
    let error = world
        .verify(&combined(&world, &prover, None), NOW)
        .unwrap_err();
    assert!(error.retryable());
    let response = world.verifier.refuse(&error, Scheme::Dpop, at(NOW));
    assert_eq!(
        (response.status(), &error_of(&response)["error"]),
        (StatusCode::BAD_REQUEST, &json!("use_dpop_nonce"))
    );
    assert!(response.headers().contains_key("dpop-nonce"));
    assert!(
        !response
            .headers()
            .contains_key(CLIENT_ATTESTATION_CHALLENGE)
    );
    // A challenge is no nonce, and no claim of a combined proof is looked at as one.
    let confused = dpop::Nonce::parse(challenge.as_ref().unwrap().as_str()).unwrap();
    assert_eq!(
        code(world.verify(&combined(&world, &prover, Some(&confused)), NOW)),
        "nonce_rejected"
    );
    assert_eq!(
        code(world.verify(&combined(&world, &prover, nonce.as_ref()), NOW)),
        "valid"
    );
    let mut claims = replaced(good, "nonce", &json!(nonce.unwrap().as_str()));
    claims["challenge"] = json!("anything");
    let proof = jwt::sign(&world.key, &header, &claims).unwrap();
    let fields = headers(&[(CLIENT_ATTESTATION, &world.attestation()), ("dpop", &proof)]);
    assert_eq!(code(world.verify(&fields, NOW)), "valid");
    let error = world
        .verify(
            &headers(&[
                (CLIENT_ATTESTATION, &world.attestation()),
                (
                    CLIENT_ATTESTATION_POP,
                    &pop::sign(&world.key, &PROVIDER, ISSUER, None, at(NOW)).unwrap(),
                ),
            ]),
            NOW,
        )
        .unwrap_err();
    let response = world.verifier.refuse(&error, Scheme::Dpop, at(NOW));
    assert_eq!(error_of(&response)["error"], "use_attestation_challenge");
    assert!(
        response
            .headers()
            .contains_key(CLIENT_ATTESTATION_CHALLENGE)
    );
    let _ = target;
}

/// A server that gives challenges accepts its own only, and gives a fresh one with its demand.
///
/// Covers: OAUTH-ABCA-6-3, OAUTH-ABCA-6-5, OAUTH-ABCA-6-6, OAUTH-ABCA-6.1-1, OAUTH-ABCA-6.1-2, OAUTH-ABCA-7.2-3
/// Covers: OAUTH-ABCA-7.2-4, OAUTH-ABCA-7.4-1, OAUTH-ABCA-12.1-1, OAUTH-ABCA-A5, OAUTH-ABCA-A18
#[test]
fn challenges() {
    let secret = [7; 32];
    let source = |secret, server| StatelessChallenges::new(&PROVIDER, secret, server).unwrap();
    let world = world().with(|pop| Ok(pop.with_challenges(Arc::new(source(secret, ISSUER)))));
    let prove = |world: &World, challenge: Option<&Challenge>, now: u64| {
        let mut headers = HeaderMap::new();
        world
            .held()
            .attach(&mut headers, ISSUER, challenge, at(now))
            .unwrap();
        world.verify(&headers, now)
    };
    let challenge = source(secret, ISSUER).issue(at(NOW)).unwrap();
    assert_eq!(code(prove(&world, Some(&challenge), NOW)), "valid");
    assert_eq!(code(prove(&world, Some(&challenge), NOW + 149)), "valid");
    // Too old, of the future, of another server, of another secret, of an attacker, and none.
    assert_eq!(
        code(prove(&world, Some(&challenge), NOW + 300)),
        "challenge_required"
    );
    let foreign = [
        Some(source(secret, ISSUER).issue(at(NOW + 600)).unwrap()),
        Some(source(secret, RESOURCE).issue(at(NOW)).unwrap()),
        Some(source([8; 32], ISSUER).issue(at(NOW)).unwrap()),
        Some(
            Challenge::parse(
                StatelessNonces::new(&PROVIDER, secret, ISSUER)
                    .issue_text(at(NOW))
                    .as_str(),
            )
            .unwrap(),
        ),
        Some(Challenge::parse("chosen-by-somebody").unwrap()),
        None,
    ];
    for challenge in &foreign {
        let error = prove(&world, challenge.as_ref(), NOW).unwrap_err();
        assert_eq!(error, Error::ChallengeRequired);
        let response = world.verifier.refuse(&error, Scheme::Bearer, at(NOW));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(
            error_of(&response),
            json!({"error": "use_attestation_challenge", "error_description": "fresh challenge needed"})
        );
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let fresh = response.headers()[CLIENT_ATTESTATION_CHALLENGE]
            .to_str()
            .unwrap();
        let fresh = Challenge::parse(fresh).unwrap();
        assert_eq!(code(prove(&world, Some(&fresh), NOW)), "valid");
    }
    // With a challenge the time of the proof still counts.
    let claims =
        json!({"aud": ISSUER, "jti": "x", "iat": NOW - 301, "challenge": challenge.as_str()});
    assert_eq!(world.prove(&claims), "too_old");

    let resource = Verifier::for_resource_server(&PROVIDER, RESOURCE)
        .with_proofs(|pop| Ok(pop.with_challenges(Arc::new(source(secret, RESOURCE)))))
        .unwrap();
    for (scheme, expected) in [
        (Scheme::Bearer, "Bearer error=\"use_attestation_challenge\""),
        (Scheme::Dpop, "DPoP error=\"use_attestation_challenge\""),
    ] {
        let response = resource.refuse(&Error::ChallengeRequired, scheme, at(NOW));
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], expected);
        assert!(
            response
                .headers()
                .contains_key(CLIENT_ATTESTATION_CHALLENGE)
        );
        assert!(response.body().is_empty());
    }

    // For once: a second use is answered with another one.
    let once =
        SingleUseChallenges::new(source(secret, ISSUER), MemoryReplayGuard::new(10), PROVIDER);
    let world = world.with(|pop| Ok(pop.with_challenges(Arc::new(once))));
    assert_eq!(code(prove(&world, Some(&challenge), NOW)), "valid");
    let error = prove(&world, Some(&challenge), NOW).unwrap_err();
    assert_eq!(error, Error::ChallengeRequired);
    let response = world.verifier.refuse(&error, Scheme::Bearer, at(NOW));
    let fresh = response.headers()[CLIENT_ATTESTATION_CHALLENGE]
        .to_str()
        .unwrap();
    assert_ne!(fresh, challenge.as_str());
    // A refused proof has not used its challenge up.
    let fresh = Challenge::parse(fresh).unwrap();
    let claims = json!({"aud": RESOURCE, "jti": "y", "iat": NOW, "challenge": fresh.as_str()});
    assert_eq!(world.prove(&claims), "audience_mismatch");
    assert_eq!(code(prove(&world, Some(&fresh), NOW)), "valid");
    // A guard without room, or without an answer, makes nothing valid.
    let full =
        SingleUseChallenges::new(source(secret, ISSUER), MemoryReplayGuard::new(0), PROVIDER);
    let world = world.with(|pop| Ok(pop.with_challenges(Arc::new(full))));
    let error = prove(&world, Some(&challenge), NOW).unwrap_err();
    assert_eq!(error.code(), "replay_guard_full");
    let response = world.verifier.refuse(&error, Scheme::Bearer, at(NOW));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(format!("{challenge:?}"), "Challenge(..)");
}

trait IssueText {
    fn issue_text(&self, now: UnixTime) -> String;
}

impl IssueText for StatelessNonces {
    fn issue_text(&self, now: UnixTime) -> String {
        dpop::NonceSource::issue(self, now)
            .unwrap()
            .as_str()
            .to_owned()
    }
}

/// A guard that notes what it is asked, and answers nothing.
struct Noting(std::sync::Mutex<Vec<(ReplayKey, u64)>>);

impl ReplayGuard for Noting {
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        _: UnixTime,
    ) -> Result<(), jose_x509::Error> {
        self.0.lock().unwrap().push((key, expires.as_secs()));
        Ok(())
    }
}

/// A proof is remembered last of all, as long as it could be accepted and no longer, by its key and name.
///
/// Covers: OAUTH-ABCA-10.7-1, OAUTH-ABCA-12.1-1, OAUTH-ABCA-A2, OAUTH-ABCA-A20
#[test]
fn what_is_remembered() {
    let world = world();
    let noting = Noting(Default::default());
    let send = |claims: &Value| {
        let fields = headers(&[
            (CLIENT_ATTESTATION, &world.attestation()),
            (CLIENT_ATTESTATION_POP, &sign(&world.key, POP_TYPE, claims)),
        ]);
        let request = AttestedRequest::new(&fields);
        code(
            world
                .verifier
                .verify(&request, &world.trust, &noting, at(NOW)),
        )
    };
    for (name, value) in [
        ("iat", json!(NOW - 301)),
        ("iat", json!(NOW + 61)),
        ("aud", json!(RESOURCE)),
        ("challenge", json!(7)),
    ] {
        assert_ne!(send(&replaced(proof_claims("a"), name, &value)), "valid");
        assert!(noting.0.lock().unwrap().is_empty(), "{name}");
    }
    assert_eq!(
        send(&replaced(proof_claims("a"), "iat", &json!(NOW - 100))),
        "valid"
    );
    assert_eq!(send(&proof_claims("b")), "valid");
    let noted = noting.0.lock().unwrap().clone();
    assert_eq!((noted[0].1, noted[1].1), (NOW + 201, NOW + 301));
    assert_ne!(noted[0].0, noted[1].0);
    // The window passes with the proof.
    let replay = MemoryReplayGuard::new(1);
    let at_time = |id: &str, now: u64| {
        let claims = replaced(proof_claims(id), "iat", &json!(now));
        let fields = headers(&[
            (CLIENT_ATTESTATION, &world.attestation()),
            (CLIENT_ATTESTATION_POP, &sign(&world.key, POP_TYPE, &claims)),
        ]);
        code(world.verifier.verify(
            &AttestedRequest::new(&fields),
            &world.trust,
            &replay,
            at(now),
        ))
    };
    assert_eq!(at_time("c", NOW), "valid");
    assert_eq!(at_time("d", NOW + 1), "replay_guard_full");
    assert_eq!(at_time("d", NOW + 302), "valid");

    // Who wants to bound what one instance can fill gives each a guard of its own.
    let other = World {
        key: key("second"),
        ..self::world()
    };
    let guards: [(_, MemoryReplayGuard); 2] =
        [&world, &other].map(|world| (world.held().jkt(), MemoryReplayGuard::new(1)));
    let trust = [world.trust.clone(), other.trust.clone()];
    let send = |world: &World, trust: &Vec<Attester>, id: &str| {
        let fields = headers(&[
            (CLIENT_ATTESTATION, &world.attestation()),
            (
                CLIENT_ATTESTATION_POP,
                &sign(&world.key, POP_TYPE, &proof_claims(id)),
            ),
        ]);
        let unspent = world
            .verifier
            .check(&AttestedRequest::new(&fields), trust, at(NOW))
            .unwrap();
        assert_eq!(unspent.unspent_client_id(), CLIENT);
        let (_, guard) = guards
            .iter()
            .find(|(jkt, _)| *jkt == unspent.unspent_jkt())
            .unwrap();
        code(unspent.spend(guard, at(NOW)))
    };
    assert_eq!(send(&world, &trust[0], "e"), "valid");
    assert_eq!(send(&world, &trust[0], "f"), "replay_guard_full");
    assert_eq!(send(&other, &trust[1], "e"), "valid");
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
