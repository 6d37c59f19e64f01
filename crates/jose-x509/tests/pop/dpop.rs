use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jose_x509::dpop::{
    Htu, MAX_PROOF, NonceSource, ProofRequest, ProofTarget, Prover, StatelessNonces, Verifier,
    access_token_hash,
};
use jose_x509::jwt::{Audience, Issuer, Type, Validator};
use jose_x509::provider::ring;
use jose_x509::{
    Algorithm, Algorithms, Error, KeySet, MemoryReplayGuard, ReplayGuard, ReplayKey, Signer,
    SigningKey, base64url,
};
use pki_types::UnixTime;
use serde_json::{Value, json};

use crate::support::*;

#[test]
fn every_kind_of_key_can_prove() {
    for algorithm in verifier().algorithms().iter() {
        let key = key_of(algorithm);
        let proof = verify(&verifier(), &proof(&key, &json!({}))).unwrap();
        assert_eq!(proof.jkt(), key.public_key().thumbprint(&ring::provider()));
        assert_eq!(proof.key().jwk().key(), key.public_key());
        assert_eq!((proof.method(), proof.target().as_str()), ("POST", TARGET));
        assert_eq!((proof.issued_at(), proof.access_token_hash()), (NOW, None));
        assert_eq!(proof.confirmation().jkt, Some(proof.jkt()));
        assert!(!proof.id().is_empty());
        let prover = Prover::from_key(key);
        let made = prover
            .prove(&ProofRequest::new("POST", &htu(TARGET)), now())
            .unwrap();
        assert_eq!(verify(&verifier(), &made).unwrap().jkt(), prover.jkt());
    }
}

/// Covers: POP-9449.4.2-1, POP-A7
#[test]
fn only_a_proof_is_a_proof() {
    let key = key();
    let typed = |typ: Value| {
        let header = with(&header(&key), &json!({"typ": typ}));
        code(verify(
            &verifier(),
            &sign(&key, &header.to_string(), &claims().to_string()),
        ))
    };
    for good in ["dpop+jwt", "application/dpop+jwt", "DPoP+JWT"] {
        assert_eq!(typed(good.into()), "valid");
    }
    for bad in [
        "JWT",
        "dpop",
        "at+jwt",
        "wpt+jwt",
        "dpop+jwt;x",
        "x/dpop+jwt",
        "",
    ] {
        assert_eq!(typed(bad.into()), "wrong_type", "{bad}");
    }
    assert_eq!(typed(Value::Null), "wrong_type");
    assert_eq!(typed(json!(["dpop+jwt"])), "header_type");
    // Nor does a proof pass where a client assertion or an access token is expected.
    let proof = proof(&key, &json!({"exp": NOW + 60}));
    let keys = KeySet::new(vec![key.verifying_key().unwrap()]).unwrap();
    for types in [&["at+jwt"][..], &["JWT", "client-authentication+jwt"]] {
        let reason = "test";
        let validator = Validator::new(
            Type::AbsentOrOneOf(types.to_vec().leak()),
            Issuer::NotApplicable { reason },
            Audience::NotApplicable { reason },
        );
        let refusal = validator.validate(&proof, &keys, now());
        assert!(matches!(
            refusal,
            Err(Error::HeaderKeyMaterial { .. } | Error::WrongType)
        ));
    }
}

/// Covers: POP-9449.4.2-2, POP-9449.11.6-1, POP-A9
#[test]
fn symmetric_and_missing_algorithms_do_not_exist() {
    let key = key();
    for alg in ["HS256", "none", "None", "HS512", "ES256K", "es256", ""] {
        let header = with(&header(&key), &json!({"alg": alg}));
        let token = sign(&key, &header.to_string(), &claims().to_string());
        assert_eq!(
            code(verify(&verifier(), &token)),
            "unsupported_algorithm",
            "{alg}"
        );
    }
    let unsigned = proof(&key, &json!({}));
    let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
    assert_eq!(
        code(verify(&verifier(), &format!("{unsigned}."))),
        "empty_signature"
    );
    assert!(
        Algorithms::ALL
            .iter()
            .all(|algorithm| !algorithm.name().starts_with("HS"))
    );
    let none_left = verifier().with_algorithms(Algorithms::of(&[]));
    assert_eq!(code(none_left), "invalid_option");
}

/// Covers: POP-9449.4.3-4
#[test]
fn the_algorithm_is_an_allowed_one_and_that_of_the_key() {
    let es256 = verifier()
        .with_algorithms(Algorithms::of(&[Algorithm::Es256]))
        .unwrap();
    assert_eq!(es256.algorithms(), Algorithms::of(&[Algorithm::Es256]));
    assert_eq!(code(verify(&es256, &proof(&key(), &json!({})))), "valid");
    let other = key_of(Algorithm::Ed25519);
    assert_eq!(
        code(verify(&es256, &proof(&other, &json!({})))),
        "algorithm_not_allowed"
    );
    let rsa = json!({"kty": "RSA", "e": "AQAB", "n": base64url::encode(&[0xff; 256])});
    let es_key = key();
    let rs256 = json!({"typ": "dpop+jwt", "alg": "RS256", "jwk": rsa}).to_string();
    assert_eq!(
        code(verify(
            &verifier(),
            &sign(&es_key, &rs256, &claims().to_string())
        )),
        "algorithm_not_allowed"
    );
    for (alg, expected) in [
        ("ES384", "algorithm_mismatch"),
        ("Ed25519", "algorithm_mismatch"),
    ] {
        let header = with(&header(&es_key), &json!({"alg": alg}));
        let token = sign(&es_key, &header.to_string(), &claims().to_string());
        assert_eq!(code(verify(&verifier(), &token)), expected);
    }
    let with_alg = with(&public(&es_key), &json!({"alg": "ES384"}));
    let header = with(&header(&es_key), &json!({"jwk": with_alg}));
    let token = sign(&es_key, &header.to_string(), &claims().to_string());
    assert_eq!(code(verify(&verifier(), &token)), "invalid_key");
}

/// Covers: POP-9449.4.2-3, POP-A8, POP-A10, POP-A18
#[test]
fn the_key_is_one_public_key_in_its_one_form() {
    let es256 = key();
    let all = verifier().with_algorithms(Algorithms::ALL).unwrap();
    let refusal = |key: &SigningKey, alg: &str, jwk: Value| {
        let header = json!({"typ": "dpop+jwt", "alg": alg, "jwk": jwk}).to_string();
        code(verify(&all, &sign(key, &header, &claims().to_string())))
    };
    let changed = |changes: Value| refusal(&es256, "ES256", with(&public(&es256), &changes));
    assert_eq!(
        changed(json!({"kid": "a", "use": "sig", "alg": "ES256", "other": 1})),
        "valid"
    );
    for private in ["d", "k", "p", "oth"] {
        assert_eq!(changed(json!({private: "AAAA"})), "private_key_material");
    }
    assert_eq!(
        refusal(&es256, "ES256", json!({"kty": "oct", "k": "AAAA"})),
        "private_key_material"
    );
    assert_eq!(
        refusal(&es256, "ES256", json!({"kty": "oct"})),
        "private_key_material"
    );
    let x = public(&es256)["x"].as_str().unwrap().to_owned();
    let mut bytes = base64url::decode(&x, "x").unwrap();
    bytes.insert(0, 0);
    assert_eq!(
        changed(json!({"x": base64url::encode(&bytes)})),
        "invalid_key"
    );
    bytes.remove(0);
    bytes[31] ^= 1;
    assert_eq!(
        changed(json!({"x": base64url::encode(&bytes)})),
        "invalid_key"
    );
    assert_eq!(changed(json!({"x": format!("{x}=")})), "invalid_key");
    assert_eq!(changed(json!({"crv": "P-521"})), "invalid_key");
    assert_eq!(changed(json!({"use": "enc"})), "invalid_key");
    assert_eq!(changed(json!({"key_ops": ["sign"]})), "invalid_key");
    let rsa = |bytes: usize, e: &str| json!({"kty": "RSA", "e": e, "n": base64url::encode(&vec![0xff; bytes])});
    for (bytes, e) in [
        (64, "AQAB"),
        (255, "AQAB"),
        (1025, "AQAB"),
        (2048, "AQAB"),
        (256, "AQ"),
        (256, "Aw"),
    ] {
        assert_eq!(
            refusal(&es256, "RS256", rsa(bytes, e)),
            "invalid_key",
            "{bytes} {e}"
        );
        assert_eq!(
            refusal(&es256, "PS256", rsa(bytes, e)),
            "invalid_key",
            "{bytes} {e}"
        );
    }
    assert_eq!(
        refusal(&es256, "PS256", rsa(256, "AQAB")),
        "invalid_signature"
    );
    for (jwk, expected) in [
        (json!("key"), "invalid_key"),
        (json!([public(&es256)]), "invalid_key"),
        (json!(null), "invalid_key"),
    ] {
        assert_eq!(refusal(&es256, "ES256", jwk), expected);
    }
    let without = sign(
        &es256,
        r#"{"typ":"dpop+jwt","alg":"ES256"}"#,
        &claims().to_string(),
    );
    assert_eq!(code(verify(&all, &without)), "missing_header");
}

/// Covers: POP-9449.4.2-1
#[test]
fn the_header_has_three_parameters() {
    let key = key();
    for (extra, expected) in [
        (json!({"kid": "a"}), "unexpected_parameter"),
        (json!({"cty": "x"}), "unexpected_parameter"),
        (json!({"x": 1}), "unexpected_parameter"),
        (json!({"x5t": "AAAA"}), "unexpected_parameter"),
        (json!({"x5c": ["AAAA"]}), "header_key_material"),
        (json!({"x5u": "https://a.example"}), "header_key_material"),
        (json!({"jku": "https://a.example"}), "header_key_material"),
        (json!({"crit": ["x"], "x": 1}), "unsupported_critical"),
        (json!({"b64": false}), "unencoded_payload"),
    ] {
        let header = with(&header(&key), &extra);
        let token = sign(&key, &header.to_string(), &claims().to_string());
        assert_eq!(code(verify(&verifier(), &token)), expected, "{extra}");
    }
    let doubled = header(&key)
        .to_string()
        .replacen('{', r#"{"alg":"ES256","#, 1);
    let token = sign(&key, &doubled, &claims().to_string());
    assert_eq!(code(verify(&verifier(), &token)), "duplicate_member");
}

/// Covers: POP-9449.4.2-4, POP-9449.4.3-3, POP-9449.4.3-12
#[test]
fn every_required_claim_is_there_and_of_its_type() {
    let key = key();
    let refusal = |changes: Value| code(verify(&verifier(), &proof(&key, &changes)));
    for claim in ["jti", "htm", "htu", "iat"] {
        assert_eq!(refusal(json!({claim: null})), "missing_claim", "{claim}");
        for value in [json!([]), json!({}), json!(true), json!(["a"])] {
            assert_eq!(
                refusal(json!({claim: value})),
                "claim_type",
                "{claim} {value}"
            );
        }
    }
    for claim in ["jti", "htm", "htu"] {
        assert_eq!(refusal(json!({claim: 1})), "claim_type", "{claim}");
        assert_eq!(refusal(json!({claim: ""})), "claim_type", "{claim}");
    }
    for iat in [json!("1800000000"), json!(-1), json!(1e30)] {
        assert_eq!(refusal(json!({"iat": iat})), "claim_type");
    }
    assert_eq!(refusal(json!({"iat": NOW as f64 + 0.5})), "valid");
    for (changes, expected) in [
        (json!({"ath": 1}), "claim_type"),
        (json!({"ath": "short"}), "claim_type"),
        (json!({"nonce": 1}), "claim_type"),
        (json!({"nonce": "a b"}), "invalid_nonce"),
        (json!({"exp": "1"}), "claim_type"),
        (json!({"nbf": []}), "claim_type"),
        (json!({"exp": NOW - 10}), "expired"),
        (json!({"exp": NOW - 9}), "valid"),
        (json!({"nbf": NOW + 11}), "not_yet_valid"),
        (json!({"nbf": NOW + 10}), "valid"),
        (
            json!({"aud": "https://elsewhere.example", "iss": "somebody", "other": {"a": 1}}),
            "valid",
        ),
        (json!({"nonce": "given-by-nobody"}), "valid"),
    ] {
        assert_eq!(refusal(changes.clone()), expected, "{changes}");
    }
    for payload in ["[]", "1", "", "{", "{} {}", "{\"a\":1,\"a\":2}", "null"] {
        let token = sign(&key, &header(&key).to_string(), payload);
        assert!(verify(&verifier(), &token).is_err(), "{payload}");
    }
    let doubled = claims().to_string().replacen('{', r#"{"htm":"GET","#, 1);
    let token = sign(&key, &header(&key).to_string(), &doubled);
    assert_eq!(code(verify(&verifier(), &token)), "duplicate_member");
}

/// Covers: POP-9449.4.3-1, POP-9449.4.3-2, POP-A13
#[test]
fn there_is_one_field_with_one_compact_token() {
    let key = key();
    let (a, b) = (proof(&key, &json!({})), proof(&key, &json!({})));
    let target = htu(TARGET);
    let target = ProofTarget::new("POST", &target);
    let refusal = |fields: &[&str]| {
        let fields = fields.iter().map(|field| field.as_bytes());
        code(verifier().verify(fields, &target, &MemoryReplayGuard::new(9), now()))
    };
    assert_eq!(refusal(&[&a]), "valid");
    assert_eq!(refusal(&[]), "missing_proof");
    assert_eq!(refusal(&[&a, &b]), "multiple_proofs");
    assert_eq!(refusal(&[&a, &a]), "multiple_proofs");
    assert_eq!(refusal(&[&a, ""]), "multiple_proofs");
    for joined in [
        format!("{a}, {b}"),
        format!("{a},"),
        format!(",{a}"),
        format!("{a},{a}"),
    ] {
        assert_eq!(refusal(&[&joined]), "multiple_proofs");
    }
    let parts: Vec<_> = a.split('.').collect();
    let json = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    for (text, expected) in [
        (json.to_string().replace(',', " "), "json_serialization"),
        (format!("{a}.x"), "segment_count"),
        (format!("{a}.x.y"), "encrypted_not_signed"),
        (format!("{a} "), "token_characters"),
        (format!("\t{a}"), "token_characters"),
        (format!("{a}\n"), "token_characters"),
        (format!("{a}="), "token_characters"),
        (String::new(), "segment_count"),
        (format!("DPoP {a}"), "token_characters"),
    ] {
        assert_eq!(refusal(&[&text]), expected, "{text}");
    }
    let bytes = [&a.as_bytes()[..10], b"\xff"].concat();
    let not_text = verifier().verify([&bytes[..]], &target, &MemoryReplayGuard::new(9), now());
    assert_eq!(code(not_text), "token_characters");
}

/// Covers: POP-9449.4.3-5, POP-9449.4.3-12
#[test]
fn the_signature_is_by_the_key_in_the_header() {
    let (key, other) = (key(), key());
    let good = proof(&key, &json!({}));
    let parts: Vec<_> = good.split('.').collect();
    let forged = format!(
        "{}.{}.{}",
        parts[0],
        base64url::encode(claims().to_string().as_bytes()),
        parts[2]
    );
    assert_eq!(code(verify(&verifier(), &forged)), "invalid_signature");
    let by_other = sign(&other, &header(&key).to_string(), &claims().to_string());
    assert_eq!(code(verify(&verifier(), &by_other)), "invalid_signature");
    let mut signature = base64url::decode(parts[2], "signature").unwrap();
    signature[40] ^= 1;
    let flipped = format!(
        "{}.{}.{}",
        parts[0],
        parts[1],
        base64url::encode(&signature)
    );
    assert_eq!(code(verify(&verifier(), &flipped)), "invalid_signature");
}

/// Covers: POP-9449.4.3-6, POP-A3
#[test]
fn the_method_is_compared_letter_by_letter() {
    let key = key();
    for method in ["GET", "post", "Post", "PUT"] {
        assert_eq!(
            code(verify(&verifier(), &proof(&key, &json!({"htm": method})))),
            "wrong_method"
        );
    }
    for method in ["POST ", "PO,ST", "\u{1}", "P\u{d6}ST", &"P".repeat(33)] {
        assert_eq!(
            code(verify(&verifier(), &proof(&key, &json!({"htm": method})))),
            "claim_type"
        );
    }
}

/// Covers: POP-9449.4.3-7, POP-A12, POP-policy-6
#[test]
fn the_target_is_compared_without_query_and_fragment() {
    let key = key();
    let against = |htu_claim: &str, target: &str| {
        let target = Htu::parse(target).unwrap();
        let target = ProofTarget::new("POST", &target);
        let proof = proof(&key, &json!({"htu": htu_claim}));
        code(verifier().verify(
            [proof.as_bytes()],
            &target,
            &MemoryReplayGuard::new(9),
            now(),
        ))
    };
    for same in [
        TARGET,
        "https://SERVER.example.com:443/token?x=1#f",
        "https://server.example.com/a/../%74oken",
    ] {
        assert_eq!(against(same, TARGET), "valid", "{same}");
        assert_eq!(against(TARGET, same), "valid", "{same}");
    }
    for other in [
        "https://evil.example.com/token",
        "http://server.example.com/token",
        "https://server.example.com:8443/token",
        "https://server.example.com/token/",
        "https://server.example.com/Token",
        "https://server.example.com/",
        "https://server.example.com/a%2Ftoken",
        "https://server.example.com/%2574oken",
        "https://xn--server-example-com.evil/token",
    ] {
        assert_eq!(against(other, TARGET), "wrong_target", "{other}");
    }
    for malformed in [
        "https://server.example.com@evil.example/token",
        "https://good@server.example.com/token",
        "/token",
        "https:\\\\server.example.com\\token",
        "https://server.example.com/token ",
        "token",
    ] {
        assert_eq!(against(malformed, TARGET), "invalid_uri", "{malformed}");
    }
    // The sender's idea of the host decides nothing: the target is the configured one.
    let server = jose_x509::dpop::ExternalUrl::parse("https://server.example.com").unwrap();
    let target = server.target("/token").unwrap();
    assert_eq!(
        against("https://forged-host.example/token", target.as_str()),
        "wrong_target"
    );
}

/// Covers: POP-9449.4.3-10, POP-A5
#[test]
fn the_time_is_within_the_window() {
    let key = key();
    let issued =
        |verifier: &Verifier, iat: u64| code(verify(verifier, &proof(&key, &json!({"iat": iat}))));
    let default = verifier();
    for (iat, expected) in [
        (NOW - 61, "too_old"),
        (NOW - 60, "valid"),
        (NOW, "valid"),
        (NOW + 10, "valid"),
        (NOW + 11, "issued_in_future"),
        (0, "too_old"),
        (NOW + 3600, "issued_in_future"),
    ] {
        assert_eq!(issued(&default, iat), expected, "{iat}");
    }
    let narrow = verifier()
        .with_window(Duration::from_secs(5), Duration::ZERO)
        .unwrap();
    assert_eq!(
        (
            issued(&narrow, NOW - 5),
            issued(&narrow, NOW - 6),
            issued(&narrow, NOW + 1)
        ),
        ("valid", "too_old", "issued_in_future")
    );
    for (age, skew) in [(301, 0), (0, 301)] {
        let window = verifier().with_window(Duration::from_secs(age), Duration::from_secs(skew));
        assert_eq!(code(window), "invalid_option");
    }
}

/// Covers: POP-9449.4.3-9, POP-9449.8-3, POP-A6, POP-A5
#[test]
fn a_demanded_nonce_is_a_recent_one_of_this_server() {
    let nonces = Arc::new(StatelessNonces::generate(&ring::provider(), "as").unwrap());
    let verifier = verifier().with_nonces(nonces.clone());
    let key = key();
    let with_nonce = |nonce: Option<&str>, iat: u64| {
        code(verify(
            &verifier,
            &proof(&key, &json!({"nonce": nonce, "iat": iat})),
        ))
    };
    let given = |seconds| nonces.issue(at(seconds)).unwrap().as_str().to_owned();
    assert_eq!(with_nonce(None, NOW), "nonce_required");
    assert_eq!(with_nonce(Some(&given(NOW)), NOW), "valid");
    assert_eq!(with_nonce(Some(&given(NOW - 300)), NOW), "valid");
    assert_eq!(with_nonce(Some(&given(NOW - 600)), NOW), "nonce_rejected");
    assert_eq!(with_nonce(Some("given-by-nobody"), NOW), "nonce_rejected");
    let elsewhere = StatelessNonces::generate(&ring::provider(), "as").unwrap();
    assert_eq!(
        with_nonce(Some(elsewhere.issue(now()).unwrap().as_str()), NOW),
        "nonce_rejected"
    );
    // The nonce tells the time, and the clock of the client hardly matters.
    for (iat, expected) in [
        (NOW - 300, "valid"),
        (NOW + 300, "valid"),
        (NOW - 301, "too_old"),
        (NOW + 301, "issued_in_future"),
    ] {
        assert_eq!(with_nonce(Some(&given(NOW)), iat), expected);
    }
    let fresh = verifier.fresh_nonce(now()).unwrap().unwrap();
    assert!(nonces.is_current(&fresh, now()));
    assert_eq!(crate::support::verifier().fresh_nonce(now()).unwrap(), None);
    let refusal = verify(&verifier, &proof(&key, &json!({}))).unwrap_err();
    assert!(matches!(refusal, Error::Dpop(error) if error.retryable()));
}

/// Covers: POP-9449.4.3-11, POP-9449.7-1, POP-A11
#[test]
fn at_a_resource_the_token_and_its_key_are_the_ones_of_the_proof() {
    let (key, other) = (key(), key_of(Algorithm::Ed25519));
    let jkt = |key: &SigningKey| key.public_key().thumbprint(&ring::provider());
    let hash = |token: &str| base64url::encode(&access_token_hash(&ring::provider(), token));
    let target = htu(TARGET);
    let against = |ath: Value, token: &str, jkt: [u8; 32]| {
        let target = ProofTarget::new("POST", &target).with_access_token(token, jkt);
        let proof = proof(&key, &json!({"ath": ath}));
        verifier().verify(
            [proof.as_bytes()],
            &target,
            &MemoryReplayGuard::new(9),
            now(),
        )
    };
    let good = against(hash("token").into(), "token", jkt(&key)).unwrap();
    assert_eq!(
        good.access_token_hash(),
        Some(access_token_hash(&ring::provider(), "token"))
    );
    assert_eq!(
        code(against(Value::Null, "token", jkt(&key))),
        "missing_claim"
    );
    assert_eq!(
        code(against(hash("other").into(), "token", jkt(&key))),
        "wrong_token_hash"
    );
    assert_eq!(
        code(against(hash("token").into(), "other", jkt(&key))),
        "wrong_token_hash"
    );
    assert_eq!(
        code(against(hash("token").into(), "token", jkt(&other))),
        "key_mismatch"
    );
    assert_eq!(
        code(against(
            format!("{}=", hash("token")).into(),
            "token",
            jkt(&key)
        )),
        "claim_type"
    );
}

/// Covers: POP-9449.11.1-1, POP-9449.11.1-2, POP-policy-4, POP-A2, POP-A3
#[test]
fn a_proof_works_once_however_its_target_is_written() {
    let (key, other) = (key(), key());
    let guard = MemoryReplayGuard::new(100);
    let target = htu(TARGET);
    let spend = |proof: &str, method: &str| {
        let target = ProofTarget::new(method, &target);
        code(verifier().verify([proof.as_bytes()], &target, &guard, now()))
    };
    let first = proof(&key, &json!({"jti": "a"}));
    assert_eq!(spend(&first, "POST"), "valid");
    assert_eq!(spend(&first, "POST"), "replayed");
    for htu in [
        "https://SERVER.example.com:443/token",
        "https://server.example.com/%74oken",
        "https://server.example.com/token?again",
        "https://server.example.com/token#x",
    ] {
        assert_eq!(
            spend(&proof(&key, &json!({"jti": "a", "htu": htu})), "POST"),
            "replayed",
            "{htu}"
        );
    }
    assert_eq!(
        spend(&proof(&key, &json!({"jti": "a", "iat": NOW - 1})), "POST"),
        "replayed"
    );
    assert_eq!(
        spend(&proof(&key, &json!({"jti": "a", "htm": "GET"})), "GET"),
        "replayed"
    );
    assert_eq!(
        spend(&proof(&key, &json!({"jti": "a", "htm": "get"})), "GET"),
        "wrong_method"
    );
    // What is exact: the identifier and the key. The store keeps a hash of whatever length they have.
    for jti in ["A", "a ", "\u{e4}", &"a".repeat(256)] {
        assert_eq!(spend(&proof(&key, &json!({"jti": jti})), "POST"), "valid");
    }
    assert_eq!(spend(&proof(&other, &json!({"jti": "a"})), "POST"), "valid");
    assert_eq!(size_of::<ReplayKey>(), 32);
}

/// A guard that writes down what it is asked.
#[derive(Default)]
struct Notes(std::sync::Mutex<Vec<(ReplayKey, u64)>>);

impl ReplayGuard for Notes {
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        _: UnixTime,
    ) -> Result<(), Error> {
        self.0.lock().unwrap().push((key, expires.as_secs()));
        Ok(())
    }
}

/// Covers: POP-policy-3, POP-A4
#[test]
fn a_proof_is_remembered_as_long_as_it_could_be_accepted() {
    let key = key();
    let guard = MemoryReplayGuard::new(10);
    let target = htu(TARGET);
    let target = ProofTarget::new("POST", &target);
    let ahead = proof(&key, &json!({"iat": NOW + 10}));
    let spend = |seconds| code(verifier().verify([ahead.as_bytes()], &target, &guard, at(seconds)));
    assert_eq!(spend(NOW), "valid");
    for seconds in [NOW, NOW + 10, NOW + 60, NOW + 69, NOW + 70] {
        assert_eq!(spend(seconds), "replayed", "{seconds}");
    }
    assert_eq!(spend(NOW + 71), "too_old");
    let notes = Notes::default();
    verifier()
        .verify([ahead.as_bytes()], &target, &notes, now())
        .unwrap();
    assert_eq!(notes.0.lock().unwrap()[0].1, NOW + 10 + 60 + 10);
}

/// Covers: POP-A17, POP-9449.4.3-12
#[test]
fn only_a_proof_that_is_right_in_every_way_reaches_the_guard() {
    let key = key();
    let jkt = key.public_key().thumbprint(&ring::provider());
    let ath = base64url::encode(&access_token_hash(&ring::provider(), "token"));
    let nonces = Arc::new(StatelessNonces::generate(&ring::provider(), "rs").unwrap());
    let nonce = nonces.issue(now()).unwrap();
    let verifier = verifier().with_nonces(nonces);
    let target = htu(TARGET);
    let notes = Notes::default();
    let good = json!({"ath": ath, "nonce": nonce.as_str()});
    let spend = |proof: &str, jkt: [u8; 32]| {
        let target = ProofTarget::new("POST", &target).with_access_token("token", jkt);
        code(verifier.verify([proof.as_bytes()], &target, &notes, now()))
    };
    for (change, expected) in [
        (json!({"htm": "GET"}), "wrong_method"),
        (json!({"htu": "https://b.example"}), "wrong_target"),
        (json!({"iat": NOW - 400}), "too_old"),
        (json!({"iat": NOW + 400}), "issued_in_future"),
        (json!({"exp": 1}), "expired"),
        (json!({"ath": null}), "missing_claim"),
        (json!({"nonce": null}), "nonce_required"),
        (json!({"nonce": "x"}), "nonce_rejected"),
        (json!({"jti": ""}), "claim_type"),
    ] {
        assert_eq!(
            spend(&proof(&key, &with(&good, &change)), jkt),
            expected,
            "{change}"
        );
    }
    let by_other = sign(
        &crate::support::key(),
        &header(&key).to_string(),
        &with(&claims(), &good).to_string(),
    );
    assert_eq!(spend(&by_other, jkt), "invalid_signature");
    assert_eq!(spend(&proof(&key, &good), [0; 32]), "key_mismatch");
    assert!(notes.0.lock().unwrap().is_empty());
    assert_eq!(spend(&proof(&key, &good), jkt), "valid");
    assert_eq!(notes.0.lock().unwrap().len(), 1);
    // A full guard refuses; it does not forget, and the proof is not at fault.
    let full = MemoryReplayGuard::new(0);
    let target = ProofTarget::new("POST", &target).with_access_token("token", jkt);
    let refusal = verifier.verify([proof(&key, &good).as_bytes()], &target, &full, now());
    assert_eq!(code(refusal), "replay_guard_full");
}

/// Covers: POP-policy-2, POP-A2
#[test]
fn of_a_hundred_concurrent_uses_one_succeeds() {
    let guard = MemoryReplayGuard::new(1000);
    let (verifier, proof, target) = (verifier(), proof(&key(), &json!({})), htu(TARGET));
    let succeeded = AtomicUsize::new(0);
    let start = std::sync::Barrier::new(100);
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let target = ProofTarget::new("POST", &target);
                let unspent = verifier.check([proof.as_bytes()], &target, now()).unwrap();
                start.wait();
                if unspent.spend(&guard, now()).is_ok() {
                    succeeded.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(succeeded.into_inner(), 1);
}

/// Covers: POP-policy-1
#[test]
fn sizes_are_bounded_before_the_signature_is_looked_at() {
    let (key, other) = (key(), key());
    // Signed by another key, so that whoever looks at the signature first says so.
    let unsigned = |changes: Value| {
        let claims = with(&claims(), &changes).to_string();
        code(verify(
            &verifier(),
            &sign(&other, &header(&key).to_string(), &claims),
        ))
    };
    assert_eq!(unsigned(json!({})), "invalid_signature");
    assert_eq!(
        unsigned(json!({"jti": "x".repeat(256)})),
        "invalid_signature"
    );
    assert_eq!(unsigned(json!({"jti": "x".repeat(257)})), "claim_type");
    let long = format!("https://a.example/{}", "x".repeat(2048 - 18));
    assert_eq!(unsigned(json!({"htu": long})), "invalid_signature");
    assert_eq!(unsigned(json!({"htu": format!("{long}x")})), "claim_type");
    assert_eq!(unsigned(json!({"htm": "x".repeat(33)})), "claim_type");
    assert_eq!(unsigned(json!({"nonce": "x".repeat(513)})), "invalid_nonce");
    assert_eq!(
        unsigned(json!({"padding": "x".repeat(MAX_PROOF)})),
        "too_large"
    );
    assert_eq!(
        unsigned(json!({"deep": (0..40).fold(json!(1), |inner, _| json!([inner]))})),
        "too_deep"
    );
}

/// A key behind a network that answers at once.
struct Remote(SigningKey);

impl jose_x509::AsyncSigner for Remote {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    fn kid(&self) -> Option<&str> {
        Some("remote")
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> jose_x509::sign::SignFuture<'a> {
        Box::pin(async move { self.0.sign(message) })
    }
}

/// Covers: POP-A2
#[test]
fn keys_and_guards_can_be_behind_a_network() {
    let key = key();
    let prover = Prover::new(
        &ring::provider(),
        key.public_key().clone(),
        Remote(key.clone()),
    );
    let target = htu(TARGET);
    let request = ProofRequest::new("POST", &target);
    let proof = now_or_never(prover.prove_async(&request, now())).unwrap();
    let guard: Arc<dyn jose_x509::replay::AsyncReplayGuard> = Arc::new(MemoryReplayGuard::new(9));
    let (verifier, target) = (verifier(), ProofTarget::new("POST", &target));
    let spend = || now_or_never(verifier.verify_async([proof.as_bytes()], &target, &*guard, now()));
    assert_eq!(spend().unwrap().jkt(), prover.jkt());
    assert_eq!(code(spend()), "replayed");
    let unspent = verifier.check([proof.as_bytes()], &target, now()).unwrap();
    assert_eq!(unspent.unspent_jkt(), prover.jkt());
}
