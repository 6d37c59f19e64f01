//! The attestation itself, and who may sign it.

use super::*;

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
