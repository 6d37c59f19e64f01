//! The proof JWT.

use super::*;

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

/// A guard behind a network decides as the one in memory does; one that does not answer makes nothing valid, and no verdict.
#[tokio::test]
async fn guards_behind_a_network() {
    let both = [PopMethod::AttestationPopJwt, PopMethod::DpopCombined];
    let world = world().with_combined(&both);
    let jwt = headers(&[
        (CLIENT_ATTESTATION, &world.attestation()),
        (
            CLIENT_ATTESTATION_POP,
            &sign(&world.key, POP_TYPE, &proof_claims("async")),
        ),
    ]);
    let combined = mode::combined(&world, &Prover::from_key(world.key.clone()), None);
    let target = Htu::parse(TOKEN_ENDPOINT).unwrap();
    for fields in [jwt, combined] {
        let request = AttestedRequest::new(&fields).with_target(ProofTarget::new("POST", &target));
        let check = || {
            world
                .verifier
                .check(&request, &world.trust, at(NOW))
                .unwrap()
        };
        let full = MemoryReplayGuard::new(0);
        let error = check().spend_async(&full, at(NOW)).await.unwrap_err();
        assert_eq!(error.code(), "replay_guard_full");
        let response = world.verifier.refuse(&error, Scheme::Dpop, at(NOW));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(error_of(&response)["error"], "temporarily_unavailable");
        assert!(check().spend_async(&world.replay, at(NOW)).await.is_ok());
        let again = check().spend_async(&world.replay, at(NOW)).await;
        assert_eq!(code(again), "replayed");
        assert_eq!(code(check().spend(&world.replay, at(NOW))), "replayed");
    }
}
