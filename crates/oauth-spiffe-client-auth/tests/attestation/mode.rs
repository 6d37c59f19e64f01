//! Which rules a request is under, and combined mode.

use super::*;

pub(super) fn combined(
    world: &World,
    prover: &Prover<SigningKey>,
    nonce: Option<&dpop::Nonce>,
) -> HeaderMap {
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
