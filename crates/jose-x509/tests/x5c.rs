//! Certificates in headers and keys, issued by an independent implementation (rcgen).
#![cfg(feature = "ring")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jose_x509::jws::{
    CertificateKeys, HeaderRules, Limits, ProtectedHeader, UnverifiedJws, VerifiedJws, sign,
};
use jose_x509::provider::ring;
use jose_x509::x509::{PathOptions, TrustAnchors};
use jose_x509::{
    Algorithm, Algorithms, CryptoProvider, Error, Jwk, KeyProblem, SigningKey, VerifyingKey,
    base64url,
};
use pki_types::{CertificateDer, UnixTime};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rcgen::{KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType};
use serde_json::{Value, json};

const PROVIDER: CryptoProvider = ring::provider();
const YEAR_2027: u64 = 1_800_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// A root, an intermediate, and a leaf that signs.
struct World {
    root: CertificateDer<'static>,
    intermediate: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
    key: SigningKey,
}

impl World {
    fn new() -> Self {
        Self::of(
            Algorithm::Es256,
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        )
    }

    fn of(algorithm: Algorithm, pair: KeyPair) -> Self {
        let root =
            CertifiedIssuer::self_signed(ca_params("root"), KeyPair::generate().unwrap()).unwrap();
        let intermediate = CertifiedIssuer::signed_by(
            ca_params("intermediate"),
            KeyPair::generate().unwrap(),
            &root,
        )
        .unwrap();
        let mut leaf = params("leaf");
        leaf.subject_alt_names = vec![SanType::URI("spiffe://td.example/w".try_into().unwrap())];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let leaf = leaf.signed_by(&pair, &intermediate).unwrap();
        Self {
            root: root.der().to_vec().into(),
            intermediate: intermediate.der().to_vec().into(),
            leaf: leaf.der().to_vec().into(),
            key: SigningKey::from_pkcs8_der(&PROVIDER, algorithm, &pair.serialize_der()).unwrap(),
        }
    }

    fn anchors(&self) -> TrustAnchors {
        TrustAnchors::new([self.root.clone()])
    }

    fn chain(&self) -> Value {
        x5c(&[&self.leaf, &self.intermediate])
    }

    /// A token by the leaf's key.
    fn token(&self, parameters: Value) -> String {
        let mut header = ProtectedHeader::new("x+jwt");
        for (name, value) in parameters.as_object().unwrap() {
            header = header.with_parameter(name, value.clone()).unwrap();
        }
        sign(&self.key, &header, b"{}").unwrap()
    }

    fn verify_at(&self, parameters: Value, seconds: u64) -> Result<VerifiedJws, Error> {
        verify_by(&self.anchors(), &self.token(parameters), at(seconds))
    }

    fn code(&self, parameters: Value) -> &'static str {
        code(self.verify_at(parameters, YEAR_2027))
    }
}

fn verify_by(anchors: &TrustAnchors, token: &str, now: UnixTime) -> Result<VerifiedJws, Error> {
    let jws = UnverifiedJws::parse_with(token, &rules(), &Limits::default())?;
    let keys = CertificateKeys::new(&PROVIDER, anchors, PathOptions::default());
    let key = keys.key(&jws.unverified_header(), now)?;
    jws.verify(&key, Algorithms::ALL)
}

fn rules() -> HeaderRules {
    let mut rules = HeaderRules::default();
    rules.allow_x5c = true;
    rules.allow_jwk = true;
    rules
}

fn x5c(chain: &[&CertificateDer<'_>]) -> Value {
    chain.iter().map(|der| STANDARD.encode(der)).collect()
}

fn thumbprint(der: &CertificateDer<'_>) -> String {
    base64url::encode(&PROVIDER.sha256(der))
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

/// Covers: JWS-4.1.6-1
#[test]
fn x5c_is_an_ordered_list_of_certificates_in_standard_base64() {
    let world = World::new();
    let token = world.token(json!({"x5c": world.chain()}));
    let jws = UnverifiedJws::parse_with(&token, &rules(), &Limits::default()).unwrap();
    let read = jws.unverified_header().certificates().unwrap().unwrap();
    assert_eq!(read, [world.leaf.clone(), world.intermediate.clone()]);
    assert_eq!(world.code(json!({"x5c": world.chain()})), "valid");
    // The anchor may come along.
    let whole = x5c(&[&world.leaf, &world.intermediate, &world.root]);
    assert_eq!(world.code(json!({"x5c": whole})), "valid");

    let leaf = STANDARD.encode(&world.leaf);
    let urlsafe = base64url::encode(&world.leaf);
    assert_ne!(urlsafe, leaf, "the alphabets differ in this certificate");
    let pem = format!("-----BEGIN CERTIFICATE-----\n{leaf}\n-----END CERTIFICATE-----");
    let trailing = STANDARD.encode([&world.leaf[..], &[0]].concat());
    for (x5c, expected) in [
        (json!([]), "header_type"),
        (json!(leaf), "header_type"),
        (json!([1]), "header_type"),
        (json!([leaf, null]), "header_type"),
        (json!([[leaf]]), "header_type"),
        (json!([urlsafe]), "header_type"),
        (json!([pem]), "header_type"),
        (json!([format!("{leaf}\n")]), "header_type"),
        (json!(["", leaf]), "certificate_malformed"),
        (json!(vec![&leaf; 9]), "header_type"),
        (
            json!([trailing, x5c(&[&world.intermediate])[0]]),
            "certificate_malformed",
        ),
        (json!(["AAAA"]), "certificate_malformed"),
        (x5c(&[&world.leaf, &world.root]), "chain_out_of_order"),
        (
            x5c(&[&world.leaf, &world.leaf, &world.intermediate]),
            "chain_out_of_order",
        ),
        (
            x5c(&[&world.intermediate, &world.leaf]),
            "chain_out_of_order",
        ),
    ] {
        let what = x5c.to_string();
        assert_eq!(world.code(json!({"x5c": x5c})), expected, "{what:.80}");
    }
    assert_eq!(world.code(json!({})), "missing_header");
    // Nothing of this without the profile's wish.
    let error = UnverifiedJws::parse(&token).unwrap_err();
    assert_eq!(error, Error::HeaderKeyMaterial { name: "x5c" });
}

/// Covers: JWS-4.1.6-2
#[test]
fn the_path_is_valid_before_the_key_is_used() {
    let world = World::new();
    let chain = || json!({"x5c": world.chain()});
    let seconds_2028 = 1_830_297_600;
    assert_eq!(code(world.verify_at(chain(), seconds_2028)), "valid");
    assert_eq!(
        code(world.verify_at(chain(), seconds_2028 + 1)),
        "certificate_expired"
    );
    let no_link = json!({"x5c": x5c(&[&world.leaf])});
    assert_eq!(world.code(no_link), "unknown_issuer");
    let token = world.token(chain());
    let stranger = World::new().anchors();
    let refused = verify_by(&stranger, &token, at(YEAR_2027));
    assert_eq!(code(refused), "certificate_signature_invalid");
    let none = verify_by(&TrustAnchors::default(), &token, at(YEAR_2027));
    assert_eq!(code(none), "no_trust_anchors");
    // A CA signs certificates and no tokens.
    let ca = json!({"x5c": x5c(&[&world.intermediate])});
    assert_eq!(world.code(ca), "ca_used_as_leaf");

    let jws = UnverifiedJws::parse_with(&token, &rules(), &Limits::default()).unwrap();
    let anchors = world.anchors();
    let keys = CertificateKeys::new(&PROVIDER, &anchors, PathOptions::default());
    let key = keys.key(&jws.unverified_header(), at(YEAR_2027)).unwrap();
    assert_eq!(key.not_after(), at(seconds_2028));
    assert_eq!(key.certificates().len(), 2);
}

/// Covers: JWS-4.1.6-3
#[test]
fn the_first_certificate_has_the_key() {
    for (algorithm, pair) in [
        (Algorithm::Es256, &PKCS_ECDSA_P256_SHA256),
        (Algorithm::Ed25519, &PKCS_ED25519),
    ] {
        let world = World::of(algorithm, KeyPair::generate_for(pair).unwrap());
        let verified = world
            .verify_at(json!({"x5c": world.chain()}), YEAR_2027)
            .unwrap();
        assert_eq!(
            verified.key().thumbprint(),
            world.key.verifying_key().unwrap().thumbprint()
        );
    }
    let (world, other) = (World::new(), World::new());
    // A valid chain, and a signature by another key than that of its leaf.
    let forged = other.token(json!({"x5c": world.chain()}));
    let refused = verify_by(&world.anchors(), &forged, at(YEAR_2027));
    assert_eq!(refused.unwrap_err(), Error::InvalidSignature);
    let ed25519 = World::of(
        Algorithm::Ed25519,
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
    );
    let confused = world.token(json!({"x5c": ed25519.chain()}));
    let refused = verify_by(&ed25519.anchors(), &confused, at(YEAR_2027));
    assert_eq!(
        refused.unwrap_err(),
        Error::AlgorithmMismatch {
            algorithm: Algorithm::Es256
        }
    );
}

/// Covers: JWS-4.1.6-3
#[test]
fn an_rsa_certificate_is_for_the_one_algorithm_that_the_profile_says() {
    let jwk = include_str!("../../../test-vectors/keys/rsa2048.jwk.json");
    let mut jwk: Value = serde_json::from_str(jwk).unwrap();
    let mut verdict = |signs: &str, expects| {
        jwk["alg"] = json!(signs);
        let key = SigningKey::from_jwk_slice(&PROVIDER, jwk.to_string().as_bytes()).unwrap();
        let der = pki_types::PrivatePkcs8KeyDer::from(key.expose_pkcs8_der());
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).unwrap();
        let world = World::of(Algorithm::from_name(signs).unwrap(), pair);
        let token = world.token(json!({"x5c": world.chain()}));
        let jws = UnverifiedJws::parse_with(&token, &rules(), &Limits::default()).unwrap();
        let anchors = world.anchors();
        let mut keys = CertificateKeys::new(&PROVIDER, &anchors, PathOptions::default());
        if let Some(algorithm) = expects {
            keys = keys.with_rsa_algorithm(algorithm).unwrap();
        }
        let key = keys.key(&jws.unverified_header(), at(YEAR_2027)).unwrap();
        code(jws.verify(&key, Algorithms::ALL))
    };
    assert_eq!(verdict("RS256", None), "valid");
    assert_eq!(verdict("PS256", None), "algorithm_mismatch");
    assert_eq!(verdict("PS256", Some(Algorithm::Ps256)), "valid");
    assert_eq!(
        verdict("RS256", Some(Algorithm::Ps256)),
        "algorithm_mismatch"
    );
    let anchors = TrustAnchors::default();
    let keys = CertificateKeys::new(&PROVIDER, &anchors, PathOptions::default());
    assert_eq!(
        code(keys.with_rsa_algorithm(Algorithm::Es256)),
        "invalid_option"
    );
}

/// Covers: JWS-4.1.8-1
#[test]
fn the_thumbprint_is_that_of_the_certificate() {
    let world = World::new();
    let own = thumbprint(&world.leaf);
    let with = |value: Value| world.code(json!({"x5c": world.chain(), "x5t#S256": value}));
    assert_eq!(with(json!(own)), "valid");
    assert_eq!(
        with(json!(thumbprint(&world.intermediate))),
        "contradictory_keys"
    );
    for wrong in [
        json!(own.split_at(42).0),
        json!(format!("{own}A")),
        json!(format!("{own}=")),
        json!(own.replace(['-', '_'], "+")),
        json!(STANDARD.encode(PROVIDER.sha256(&world.leaf))),
        json!([own]),
        json!(1),
        Value::Null,
    ] {
        if wrong == json!(own) {
            continue;
        }
        assert_eq!(with(wrong.clone()), "header_type", "{wrong}");
    }
    // The same for a configured certificate.
    for jwk in [
        json!({"x5c": x5c(&[&world.leaf])}),
        json!({"x5t#S256": own}),
    ] {
        let mut configured = world.key.public_jwk().to_value();
        configured
            .as_object_mut()
            .unwrap()
            .extend(jwk.as_object().unwrap().clone());
        let jwk = Jwk::from_slice(configured.to_string().as_bytes()).unwrap();
        let key = VerifyingKey::from_jwk(&PROVIDER, jwk).unwrap();
        let verify = |named: &str| {
            let token = world.token(json!({"x5t#S256": named}));
            code(
                UnverifiedJws::parse(&token)
                    .unwrap()
                    .verify(&key, Algorithms::ALL),
            )
        };
        assert_eq!(verify(&own), "valid");
        assert_eq!(verify(&thumbprint(&world.root)), "contradictory_keys");
    }
}

/// Covers: JWS-6-1
#[test]
fn all_hints_lead_to_the_same_key() {
    let (a, b) = (World::new(), World::new());
    let key = a.key.clone().with_kid("a");
    let known = key.verifying_key().unwrap();
    let verify = |parameters: Value| {
        let signer = World {
            key: key.clone(),
            ..World::new()
        };
        let token = signer.token(parameters);
        let jws = UnverifiedJws::parse_with(&token, &rules(), &Limits::default()).unwrap();
        assert_eq!(jws.unverified_header().kid(), Some("a"));
        code(jws.verify(&known, Algorithms::ALL))
    };
    let jwk = |world: &World| world.key.public_jwk().to_value();
    assert_eq!(verify(json!({"jwk": jwk(&a)})), "valid");
    assert_eq!(verify(json!({"jwk": jwk(&b)})), "contradictory_keys");
    assert_eq!(verify(json!({"x5c": a.chain()})), "valid");
    assert_eq!(verify(json!({"x5c": b.chain()})), "contradictory_keys");
    assert_eq!(
        verify(json!({"x5c": a.chain(), "jwk": jwk(&b)})),
        "contradictory_keys"
    );
    assert_eq!(
        verify(json!({"x5c": a.chain(), "x5t#S256": thumbprint(&b.leaf)})),
        "contradictory_keys"
    );
    // Where the certificate is the source, `jwk` contradicts it no less.
    assert_eq!(
        a.code(json!({"x5c": a.chain(), "jwk": jwk(&b)})),
        "contradictory_keys"
    );
    assert_eq!(a.code(json!({"x5c": a.chain(), "jwk": jwk(&a)})), "valid");
}

fn import(world: &World, members: Value) -> Result<VerifyingKey, Error> {
    let mut jwk = world.key.public_jwk().to_value();
    jwk.as_object_mut()
        .unwrap()
        .extend(members.as_object().unwrap().clone());
    VerifyingKey::from_jwk(&PROVIDER, Jwk::from_slice(jwk.to_string().as_bytes())?)
}

fn problem(result: Result<VerifyingKey, Error>) -> Option<KeyProblem> {
    match result {
        Ok(_) => None,
        Err(Error::InvalidKey { problem }) => Some(problem),
        Err(other) => panic!("{other}"),
    }
}

/// Covers: JWKA-7517.4.7-1, JWKA-A18
#[test]
fn the_first_certificate_of_a_jwk_is_for_its_key() {
    let (world, other) = (World::new(), World::new());
    let with = |x5c: Value| problem(import(&world, json!({"x5c": x5c})));
    assert_eq!(with(world.chain()), None);
    assert_eq!(with(other.chain()), Some(KeyProblem::Inconsistent));
    assert_eq!(
        with(x5c(&[&other.leaf, &world.leaf])),
        Some(KeyProblem::Inconsistent)
    );
    let leaf = STANDARD.encode(&world.leaf);
    for wrong in [
        json!([]),
        json!(leaf),
        json!([1]),
        json!([leaf, 1]),
        json!(["AAAA"]),
        json!([format!("{leaf}\n")]),
        json!([base64url::encode(&world.leaf)]),
        json!(vec![leaf; 9]),
        json!([STANDARD.encode([&world.leaf[..], &[0]].concat())]),
    ] {
        let what = wrong.to_string();
        assert_eq!(with(wrong), Some(KeyProblem::Member("x5c")), "{what:.80}");
    }
    // What was read is written again.
    let key = import(&world, json!({"x5c": world.chain()})).unwrap();
    assert_eq!(key.jwk().to_value()["x5c"], world.chain());
}

/// Covers: JWKA-7517.4.9-1
#[test]
fn the_thumbprint_in_a_jwk_is_that_of_its_certificate() {
    let world = World::new();
    let own = thumbprint(&world.leaf);
    let with = |value: Value| {
        problem(import(
            &world,
            json!({"x5c": world.chain(), "x5t#S256": value}),
        ))
    };
    assert_eq!(with(json!(own)), None);
    assert_eq!(
        with(json!(thumbprint(&world.root))),
        Some(KeyProblem::Inconsistent)
    );
    for wrong in [
        json!(own.split_at(42).0),
        json!(format!("{own}A")),
        json!(1),
    ] {
        assert_eq!(with(wrong), Some(KeyProblem::Member("x5t#S256")));
    }
}

/// Covers: JWKA-7517.4.6-1, JWKA-7517.4.8-1, JWKA-A19
#[test]
fn a_url_and_a_sha1_thumbprint_in_a_jwk_decide_nothing() {
    let world = World::new();
    // That of another certificate, were it looked at.
    let key = import(
        &world,
        json!({"x5c": world.chain(), "x5t": "AAAAAAAAAAAAAAAAAAAAAAAAAAA", "x5u": "https://evil.example/leaf"}),
    )
    .unwrap();
    let plain = import(&world, json!({"x5c": world.chain()})).unwrap();
    assert!(key.jwk() == plain.jwk());
    let written = key.jwk().to_value();
    assert!(written.get("x5t").is_none() && written.get("x5u").is_none());
    // Nor in a header: it is neither compared nor does it choose.
    let token = world.token(json!({"x5t": "AAAAAAAAAAAAAAAAAAAAAAAAAAA"}));
    let jws = UnverifiedJws::parse(&token).unwrap();
    assert!(jws.verify(&key, Algorithms::ALL).is_ok());
}
