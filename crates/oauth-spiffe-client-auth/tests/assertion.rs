//! Client assertions of RFC 7523 with the audience of RFC 10070.
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

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{AGENT, ISSUER, NOW, PROVIDER, at, code, key, sign};
use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, KeySet, MemoryReplayGuard, SigningKey, jwt};
use oauth_spiffe_client_auth::assertion::{
    CLIENT_ASSERTION_TYPE, sign_client_assertion, verify_client_assertion,
};
use oauth_spiffe_client_auth::{Error, Method, ServerMetadata};
use serde_json::{Value, json};

const CLIENT: &str = "https://agents.example/client";

fn claims() -> Value {
    json!({"iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "one"})
}

fn keys(list: &[&SigningKey]) -> KeySet {
    KeySet::new(
        list.iter()
            .map(|key| key.verifying_key().unwrap())
            .collect(),
    )
    .unwrap()
}

fn server() -> ServerMetadata {
    let methods = [Method::PrivateKeyJwt];
    ServerMetadata::configured(ISSUER, "https://as.example.com/token", &methods).unwrap()
}

fn verify(assertion: &str, keys: &KeySet) -> Result<(), Error> {
    verify_client_assertion(assertion, CLIENT, ISSUER, keys, None, at(NOW)).map(drop)
}

/// Covers: RFC7523-10070-4-1, RFC7523-10070-4-8, RFC7523-10070-8-1, RFC7523-10070-2-1, RFC7523-7521-6.1-1
/// Covers: RFC7523-3-10, RFC7523-A5
#[test]
fn what_is_signed_verifies_once() {
    let key = key("k");
    let (keys, replay) = (keys(&[&key]), MemoryReplayGuard::new(10));
    let assertion = sign_client_assertion(&key, &PROVIDER, CLIENT, &server(), at(NOW)).unwrap();
    let verify =
        |now| verify_client_assertion(&assertion, CLIENT, ISSUER, &keys, Some(&replay), at(now));
    let jwt = verify(NOW).unwrap();
    assert_eq!((jwt.issuer(), jwt.subject()), (Some(CLIENT), Some(CLIENT)));
    assert_eq!(jwt.claims_map().unwrap()["aud"], ISSUER);
    assert_eq!(jwt.expires(), Some(NOW + 60));
    assert_eq!(code(verify(NOW)), "replayed");
    // As long as it could be accepted, it is remembered.
    assert_eq!(code(verify(NOW + 89)), "replayed");
    assert_eq!(code(verify(NOW + 90)), "expired");
    let again = sign_client_assertion(&key, &PROVIDER, CLIENT, &server(), at(NOW)).unwrap();
    assert_ne!(again, assertion);
    // The guard takes no assertion without `jti`.
    let mut nameless = claims();
    nameless.as_object_mut().unwrap().remove("jti");
    let nameless = sign(&key, CLIENT_ASSERTION_TYPE, &nameless);
    let guarded = verify_client_assertion(&nameless, CLIENT, ISSUER, &keys, Some(&replay), at(NOW));
    assert_eq!(code(guarded), "missing_claim");
    assert_eq!(CLIENT_ASSERTION_TYPE, "client-authentication+jwt");
}

/// Of several requests at once, one wins.
///
/// Covers: RFC7523-A22
#[test]
fn concurrent_replay() {
    let key = key("k");
    let (keys, replay) = (keys(&[&key]), MemoryReplayGuard::new(10));
    let assertion = sign(&key, CLIENT_ASSERTION_TYPE, &claims());
    let accepted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let result = verify_client_assertion(
                    &assertion,
                    CLIENT,
                    ISSUER,
                    &keys,
                    Some(&replay),
                    at(NOW),
                );
                accepted.fetch_add(usize::from(result.is_ok()), Ordering::SeqCst);
            });
        }
    });
    assert_eq!(accepted.into_inner(), 1);
}

/// Covers: RFC7523-3-1, RFC7523-3-2, RFC7523-3-4, RFC7523-3-5, RFC7523-3-6, RFC7523-3-7, RFC7523-3-8, RFC7523-3-9
/// Covers: RFC7523-3-11, RFC7523-7521-5.1-1, RFC7523-7521-5.2-2, RFC7523-7521-6.1-1, RFC7523-10070-4-2
/// Covers: RFC7523-10070-4-3, RFC7523-10070-4-7, RFC7523-10070-5-1, RFC7523-10070-5-2, RFC7523-A3, RFC7523-A4
/// Covers: RFC7523-A21, RFC7523-3.2-1
#[test]
fn claim_rules() {
    let key = key("k");
    let keys = keys(&[&key]);
    let cases = [
        ("iss", json!("DELETE"), "missing_claim"),
        ("iss", json!([CLIENT]), "claim_type"),
        (
            "iss",
            json!("https://AGENTS.example/client"),
            "issuer_mismatch",
        ),
        (
            "iss",
            json!("https://\u{ff41}gents.example/client"),
            "issuer_mismatch",
        ),
        ("iss", json!(AGENT), "issuer_mismatch"),
        ("sub", json!("DELETE"), "missing_claim"),
        ("sub", json!(""), "claim_type"),
        ("sub", json!("other"), "assertion_subject"),
        ("aud", json!("DELETE"), "missing_claim"),
        ("aud", json!([]), "claim_type"),
        ("aud", json!(7), "claim_type"),
        ("aud", json!([[ISSUER]]), "claim_type"),
        ("aud", json!({"aud": ISSUER}), "claim_type"),
        ("aud", json!(null), "claim_type"),
        ("aud", json!([ISSUER]), "valid"),
        (
            "aud",
            json!([ISSUER, "https://as.example.com/token"]),
            "multiple_audiences",
        ),
        (
            "aud",
            json!("https://as.example.com/token"),
            "audience_mismatch",
        ),
        (
            "aud",
            json!("https://as.example.com/par"),
            "audience_mismatch",
        ),
        ("aud", json!("https://as.example.com/"), "audience_mismatch"),
        ("aud", json!("https://AS.example.com"), "audience_mismatch"),
        (
            "aud",
            json!("https://\u{ff41}s.example.com"),
            "audience_mismatch",
        ),
        ("exp", json!("DELETE"), "missing_claim"),
        ("exp", json!(NOW + 330), "valid"),
        ("exp", json!(NOW + 331), "lifetime_too_long"),
        ("exp", json!(NOW + 86_400), "lifetime_too_long"),
        ("nbf", json!(NOW + 30), "valid"),
        ("nbf", json!(NOW + 31), "not_yet_valid"),
        ("iat", json!("DELETE"), "valid"),
        ("iat", json!(NOW - 330), "valid"),
        ("iat", json!(NOW - 331), "too_old"),
        ("iat", json!(NOW - 86_400), "too_old"),
        ("jti", json!("DELETE"), "valid"),
        ("extra", json!({"any": ["thing"]}), "valid"),
    ];
    for (name, value, expected) in cases {
        let mut claims = claims();
        if value == "DELETE" {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
        let assertion = sign(&key, CLIENT_ASSERTION_TYPE, &claims);
        let result = verify(&assertion, &keys);
        if let Err(error) = &result {
            let response = error.to_response(false);
            assert_eq!(response.status(), 401);
            assert!(response.body().starts_with(br#"{"error":"invalid_client""#));
        }
        assert_eq!(code(result), expected, "{name}: {value}");
    }
    for (expires, expected) in [(NOW - 30, "expired"), (NOW - 29, "valid")] {
        let mut claims = claims();
        claims["iat"] = (NOW - 100).into();
        claims["exp"] = expires.into();
        let assertion = sign(&key, CLIENT_ASSERTION_TYPE, &claims);
        assert_eq!(code(verify(&assertion, &keys)), expected);
    }
}

/// Covers: RFC7523-10070-4-9, RFC7523-A6, RFC7523-A7
#[test]
fn types() {
    let key = key("k");
    let keys = keys(&[&key]);
    let untyped = jwt::sign(&key, &ProtectedHeader::without_typ(), &claims()).unwrap();
    assert_eq!(code(verify(&untyped, &keys)), "valid");
    for (typ, expected) in [
        ("JWT", "valid"),
        ("client-authentication+jwt", "valid"),
        ("application/client-authentication+jwt", "valid"),
        ("at+jwt", "wrong_type"),
        ("logout+jwt", "wrong_type"),
        ("secevent+jwt", "wrong_type"),
        ("wit+jwt", "wrong_type"),
        ("oauth-id-jag+jwt", "wrong_type"),
        ("txntoken+jwt", "wrong_type"),
    ] {
        assert_eq!(
            code(verify(&sign(&key, typ, &claims()), &keys)),
            expected,
            "{typ}"
        );
    }
    // An ID token of the same issuer is for the client, not for the server.
    let mut id_token = claims();
    id_token["aud"] = CLIENT.into();
    assert_eq!(
        code(verify(&sign(&key, "JWT", &id_token), &keys)),
        "audience_mismatch"
    );
}

/// Covers: RFC7523-7521-5.2-1, RFC7523-3-12, RFC7523-3-13, RFC7523-A8, RFC7523-A10, RFC7523-A11
#[test]
fn signatures() {
    let (own, thief) = (key("k"), key("k"));
    let keys = keys(&[&own]);
    let valid = sign(&own, CLIENT_ASSERTION_TYPE, &claims());
    assert_eq!(code(verify(&valid, &keys)), "valid");
    // Another client has a key of the same name.
    let forged = sign(&thief, CLIENT_ASSERTION_TYPE, &claims());
    assert_eq!(code(verify(&forged, &keys)), "invalid_signature");
    let stranger = sign(&key("z"), CLIENT_ASSERTION_TYPE, &claims());
    assert_eq!(code(verify(&stranger, &keys)), "unknown_key");
    let header = ProtectedHeader::new(CLIENT_ASSERTION_TYPE);
    let embedded = jwt::sign(
        &thief,
        &header.clone().with_jwk(&thief.public_jwk()),
        &claims(),
    )
    .unwrap();
    assert_ne!(code(verify(&embedded, &keys)), "valid");
    for name in ["jku", "x5u"] {
        let header = header
            .clone()
            .with_parameter(name, "https://evil.example/keys")
            .unwrap();
        let fetched = jwt::sign(&thief, &header, &claims()).unwrap();
        assert_ne!(code(verify(&fetched, &keys)), "valid", "{name}");
    }
    let (_, rest) = valid.split_once('.').unwrap();
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9"] {
        let token = format!("{header}.{rest}");
        assert_eq!(code(verify(&token, &keys)), "unsupported_algorithm");
    }
    // {"alg":"ES256","crit":["x"],"x":1}
    let critical = format!("eyJhbGciOiJFUzI1NiIsImNyaXQiOlsieCJdLCJ4IjoxfQ.{rest}");
    assert_eq!(code(verify(&critical, &keys)), "unsupported_critical");
    // One bit of the payload and of the signature.
    for at in [valid.find('.').unwrap() + 5, valid.rfind('.').unwrap() + 5] {
        let mut bytes = valid.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let token = String::from_utf8(bytes).unwrap();
        assert_eq!(code(verify(&token, &keys)), "invalid_signature");
    }
    let duplicated = br#"{"iss":"x","iss":"x"}"#;
    let twice = jose_x509::jws::sign(&own, &header, duplicated).unwrap();
    assert_ne!(code(verify(&twice, &keys)), "valid");
    let edwards = SigningKey::generate(&PROVIDER, Algorithm::Ed25519).unwrap();
    let set = self::keys(&[&edwards]);
    assert_eq!(
        code(verify(
            &sign(&edwards, CLIENT_ASSERTION_TYPE, &claims()),
            &set
        )),
        "valid"
    );
}
