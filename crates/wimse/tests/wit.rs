//! Workload Identity Tokens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use jose_x509::{Algorithm, Jwk, KeySet, SigningKey, VerifyingKey, base64url};
use serde_json::{Value, json};
use wimse::{
    Error, IdentifierProblem, IssuanceLedger, TrustAnchors, WitIssuer, WitRequest, WitVerifier,
    WorkloadIdentifier,
};

fn verify(token: &str, issuer: &SigningKey) -> Result<wimse::UnprovenWit, Error> {
    WitVerifier::new().verify(token, &anchors(ORIGIN, &[issuer]), at(NOW))
}

fn changed(change: Value) -> &'static str {
    let (issuer, workload) = (key("i"), key("w"));
    let mut claims = claims(&workload);
    for (name, value) in change.as_object().unwrap() {
        if value == "DELETE" {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    code(verify(&wit(&issuer, "wit+jwt", &claims), &issuer))
}

/// The example of the draft, whose signature others made.
///
/// Covers: WIMSE-WIT-5.1-1, WIMSE-WIT-5.1-2, WIMSE-WIT-5.1-5, WIMSE-WIT-5.1-7, WIMSE-WIT-5.1-12, WIMSE-WIT-5.1-19, WIMSE-WIT-5.1.4-1, WIMSE-WIT-5.1.4-4, WIMSE-WIT-3-4
#[test]
fn the_published_example_verifies() {
    let jwk = json!({"kty": "EC", "kid": "June 5", "crv": "P-256", "x": "kXqnA2Op7hgd4zRMbw0iFcc_hDxUxhojxOFVGjE2gks", "y": "n__VndPMR021-59UAs0b9qDTFT-EZtT6xSNs_xFskLo"});
    let key = VerifyingKey::from_jwk(&PROVIDER, Jwk::from_value(&jwk).unwrap()).unwrap();
    let keys = Arc::new(KeySet::new(vec![key]).unwrap());
    let anchors = BTreeMap::from([(
        ORIGIN.to_owned(),
        TrustAnchors {
            keys,
            issuers: Arc::new([]),
        },
    )]);
    for signature in [
        "6KraSQUxWdl9dxFQ3Fj6dPY0Vi88OkwFwZpAIOhLeq6AbXAnLLQgOp8U9UDGcBuYF3KiNv6oKQD1ZWAzrMZOJw",
        "lRMvg6aDnk4ua2tI427zRw8fUKK8S9AOP7nWn20uo2XQx4JlTDOlXn-tXffvz5tEZuKH46QRJcPKxCs-mgzebw",
    ] {
        let token = format!(
            "eyJhbGciOiJFUzI1NiIsImtpZCI6Ikp1bmUgNSIsInR5cCI6IndpdCtqd3QifQ.eyJjbmYiOnsiandrIjp7ImFsZyI6IkVkRFNBIiwiY3J2IjoiRWQyNTUxOSIsImt0eSI6Ik9LUCIsIngiOiIxQ1hYdmZsTl9MVlZzSXNZWHNVdkIwM0ptbEdXZUNIcVFWdW91Q0Y5MmJnIn19LCJleHAiOjE3NDU1MTI1MTAsImlhdCI6MTc0NTUwODkxMCwianRpIjoieC1fMUNUTDJjY2EzQ1NFNGN3Yl9sIiwic3ViIjoid2ltc2U6Ly9leGFtcGxlLmNvbS9zcGVjaWZpYy13b3JrbG9hZCJ9.{signature}"
        );
        let wit = WitVerifier::new()
            .verify(&token, &anchors, at(1_745_509_000))
            .unwrap();
        assert_eq!(
            wit.unproven_identifier().as_str(),
            "wimse://example.com/specific-workload"
        );
        assert_eq!(wit.proof_algorithm(), Algorithm::EdDsa);
        assert_eq!(wit.jwt().id(), Some("x-_1CTL2cca3CSE4cwb_l"));
        let late = WitVerifier::new().verify(&token, &anchors, at(1_745_512_510 + 61));
        assert_eq!(code(late), "expired");
    }
}

/// Covers: WIMSE-WIT-5.1-3, WIMSE-WIT-A2, WIMSE-WIT-A3, WIMSE-WIT-3-9, WIMSE-WIT-A4, WIMSE-WIT-A16
#[test]
fn unsafe_headers_are_refused() {
    let (issuer, workload) = (key("i"), key("w"));
    let payload = base64url::encode(claims(&workload).to_string().as_bytes());
    for (header, expected) in [
        (
            json!({"alg": "none", "typ": "wit+jwt"}),
            "unsupported_algorithm",
        ),
        (
            json!({"alg": "nOnE", "typ": "wit+jwt"}),
            "unsupported_algorithm",
        ),
        (
            json!({"alg": "HS256", "typ": "wit+jwt"}),
            "unsupported_algorithm",
        ),
        (
            json!({"alg": "ES256", "typ": "wit+jwt", "jwk": workload.public_jwk()}),
            "header_key_material",
        ),
        (
            json!({"alg": "ES256", "typ": "wit+jwt", "jku": "https://evil.example/jwks"}),
            "header_key_material",
        ),
        (
            json!({"alg": "ES256", "typ": "wit+jwt", "zip": "DEF"}),
            "compressed",
        ),
        (
            json!({"alg": "ES256", "typ": "wit+jwt", "x": 1, "crit": ["x"]}),
            "unsupported_critical",
        ),
    ] {
        let token = format!(
            "{}.{payload}.AAAA",
            base64url::encode(header.to_string().as_bytes())
        );
        assert_eq!(code(verify(&token, &issuer)), expected, "{header}");
    }
    assert_eq!(code(verify(&"a".repeat(8193), &issuer)), "too_large");
    assert_eq!(code(verify(&".".repeat(8192), &issuer)), "segment_count");
}

/// Covers: WIMSE-WIT-5.1-4, WIMSE-WIT-5.1.4-3, WIMSE-WIT-A8
#[test]
fn only_the_type_of_a_wit() {
    let (issuer, workload) = (key("i"), key("w"));
    for (typ, expected) in [
        ("wit+jwt", "valid"),
        ("application/wit+jwt", "valid"),
        ("WIT+JWT", "valid"),
        ("JWT", "wrong_type"),
        ("wpt+jwt", "wrong_type"),
        ("at+jwt", "wrong_type"),
    ] {
        assert_eq!(
            code(verify(&wit(&issuer, typ, &claims(&workload)), &issuer)),
            expected,
            "{typ}"
        );
    }
}

/// Covers: WIMSE-WIT-1.3-1, WIMSE-WIT-4-1, WIMSE-WIT-4-2, WIMSE-WIT-5.1.4-2, WIMSE-WIT-5.1-8, WIMSE-WIT-5.1.4-5, WIMSE-WIT-5.1.4-7, WIMSE-WIT-9.2.1-1, WIMSE-WIT-5.1.2-1, WIMSE-WIT-5.1-10, WIMSE-WIT-5.1-11, WIMSE-WIT-A11, WIMSE-WIT-A19
#[test]
fn subject_and_times() {
    for (change, expected) in [
        (json!({}), "valid"),
        (json!({"unknown": {"a": 1}, "aud": "anyone"}), "valid"),
        (json!({"iat": "DELETE"}), "valid"),
        (json!({"sub": "DELETE"}), "missing_claim"),
        (
            json!({"sub": ["wimse://example.com/payments"]}),
            "claim_type",
        ),
        (
            json!({"sub": "wimse://example.com/payments?admin"}),
            "workload_identifier",
        ),
        (json!({"sub": "payments"}), "workload_identifier"),
        (
            json!({"sub": "wimse://other.example/payments"}),
            "unknown_trust_domain",
        ),
        (
            json!({"sub": "spiffe://example.com/payments"}),
            "unknown_trust_domain",
        ),
        (
            json!({"sub": "wimse://Example.com/payments"}),
            "unknown_trust_domain",
        ),
        (json!({"exp": "DELETE"}), "missing_claim"),
        (json!({"exp": NOW - 61, "iat": NOW - 100}), "expired"),
        (json!({"exp": "1800003600"}), "claim_type"),
        (json!({"exp": -1}), "claim_type"),
        (json!({"exp": 1e300}), "claim_type"),
        (json!({"iat": "now"}), "claim_type"),
        (json!({"nbf": NOW + 61}), "not_yet_valid"),
        (json!({"exp": NOW + 24 * 3600}), "valid"),
        (json!({"exp": NOW + 24 * 3600 + 1}), "lifetime_too_long"),
    ] {
        let text = change.to_string();
        assert_eq!(changed(change), expected, "{text}");
    }
}

/// Covers: WIMSE-WIT-5.1-13, WIMSE-WIT-5.1-14, WIMSE-WIT-5.1-15, WIMSE-WIT-5.1-16, WIMSE-WIT-5.1-17, WIMSE-WIT-5.1.4-6, WIMSE-WIT-A9, WIMSE-WIT-A10, WIMSE-WIT-A15
#[test]
fn the_confirmation_key_is_one_public_key_with_its_algorithm() {
    let jwk = key("w").public_jwk().to_value();
    let with = |name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    let mut without_alg = jwk.clone();
    without_alg.as_object_mut().unwrap().remove("alg");
    for (cnf, expected) in [
        (json!("DELETE"), "missing_claim"),
        (json!({}), "unusable_confirmation"),
        (json!({"kid": "w"}), "confirmation_key"),
        (json!({"jkt": "A".repeat(43)}), "confirmation_key"),
        (
            json!({"jwk": jwk, "jku": "https://evil.example"}),
            "claim_type",
        ),
        (json!({"jwk": without_alg}), "confirmation_key"),
        (json!({"jwk": with("alg", json!("none"))}), "invalid_key"),
        (json!({"jwk": with("alg", json!("HS256"))}), "invalid_key"),
        (json!({"jwk": with("alg", json!("ECDH-ES"))}), "invalid_key"),
        (json!({"jwk": with("alg", json!("ES384"))}), "invalid_key"),
        (
            json!({"jwk": with("d", json!("AA"))}),
            "private_key_material",
        ),
        (
            json!({"jwk": {"kty": "oct", "k": "AAAA", "alg": "HS256"}}),
            "private_key_material",
        ),
        (json!({"jwk": with("y", jwk["x"].clone())}), "invalid_key"),
    ] {
        let text = cnf.to_string();
        assert_eq!(changed(json!({"cnf": cnf})), expected, "{text}");
    }
}

/// The key in `cnf` is made ready before the signature is verified, and what is wrong with it is told after that.
#[test]
fn nothing_is_said_of_the_confirmation_key_of_a_forgery() {
    let (issuer, workload) = (key("i"), key("w"));
    let mut claims = claims(&workload);
    claims["cnf"]["jwk"].as_object_mut().unwrap().remove("alg");
    let token = wit(&issuer, "wit+jwt", &claims);
    assert_eq!(code(verify(&token, &issuer)), "confirmation_key");
    assert_eq!(code(verify(&token, &key("i"))), "invalid_signature");
}

/// A subject that the caller has parsed is that of the token, byte for byte.
#[test]
fn the_name_is_the_subject() {
    let (issuer, workload) = (key("i"), key("w"));
    let claims = claims(&workload);
    let token = wit(&issuer, "wit+jwt", &claims);
    let anchors = anchors(ORIGIN, &[&issuer]);
    let subject = claims["sub"].as_str().unwrap();
    let named = |name: &str| {
        let name = WorkloadIdentifier::parse(name).unwrap();
        let verifier = WitVerifier::new();
        let wit = verifier.read(&token).unwrap();
        wit.verify_named(name, &anchors[ORIGIN].keys, at(NOW))
    };
    let found = named(subject).unwrap();
    assert_eq!(found.unproven_identifier().as_str(), subject);
    for other in [
        format!("{subject}x"),
        subject.to_uppercase(),
        ORIGIN.to_owned(),
    ] {
        assert_eq!(code(named(&other)), "claim_type");
    }
}

/// Covers: WIMSE-WIT-3-1, WIMSE-WIT-3-2, WIMSE-WIT-3-3, WIMSE-WIT-5.1.3-1, WIMSE-WIT-5.1.3-3, WIMSE-WIT-9.1-1, WIMSE-WIT-ID-7-2, WIMSE-WIT-A5, WIMSE-WIT-A6, WIMSE-WIT-A22
#[test]
fn keys_belong_to_one_trust_domain() {
    let (ours, theirs, workload) = (key("i"), key("i"), key("w"));
    let mut both = anchors(ORIGIN, &[&ours]);
    both.extend(anchors("wimse://partner.example", &[&theirs]));
    let verify = |token: &str| WitVerifier::new().verify(token, &both, at(NOW));
    assert_eq!(
        code(verify(&wit(&ours, "wit+jwt", &claims(&workload)))),
        "valid"
    );
    assert_eq!(
        code(verify(&wit(&theirs, "wit+jwt", &claims(&workload)))),
        "invalid_signature"
    );
    let mut spoofed = claims(&workload);
    spoofed["iss"] = json!("https://partner.example");
    assert_eq!(
        code(verify(&wit(&theirs, "wit+jwt", &spoofed))),
        "invalid_signature"
    );
    let mut known = both.clone();
    known.get_mut(ORIGIN).unwrap().issuers = Arc::new(["https://ids.example.com".to_owned()]);
    let token = wit(&ours, "wit+jwt", &spoofed);
    assert_eq!(
        code(WitVerifier::new().verify(&token, &known, at(NOW))),
        "issuer_mismatch"
    );
    let token = wit(&ours, "wit+jwt", &claims(&workload));
    assert_eq!(
        code(WitVerifier::new().verify(&token, &known, at(NOW))),
        "valid"
    );
}

/// Covers: WIMSE-WIT-3-5, WIMSE-WIT-3-6, WIMSE-WIT-3-7, WIMSE-WIT-3-8, WIMSE-WIT-A7
#[test]
fn one_key_by_kid_or_the_only_one() {
    let (first, second, workload) = (key("a"), key("b"), key("w"));
    let both = anchors(ORIGIN, &[&first, &second]);
    let token = wit(&second, "wit+jwt", &claims(&workload));
    assert_eq!(
        code(WitVerifier::new().verify(&token, &both, at(NOW))),
        "valid"
    );
    for kid in ["../../dev/null", "' OR 1=1", "c"] {
        let token = wit(&second.clone().with_kid(kid), "wit+jwt", &claims(&workload));
        let error = WitVerifier::new()
            .verify(&token, &both, at(NOW))
            .unwrap_err();
        assert!(error.code() == "unknown_key" && error.refresh_may_help());
    }
    let header = jose_x509::jws::ProtectedHeader::new("wit+jwt").without_kid();
    let nameless = jose_x509::jwt::sign(&second, &header, &claims(&workload)).unwrap();
    assert_eq!(
        code(WitVerifier::new().verify(&nameless, &both, at(NOW))),
        "ambiguous_key"
    );
    assert_eq!(
        code(WitVerifier::new().verify(&nameless, &anchors(ORIGIN, &[&second]), at(NOW))),
        "valid"
    );
    let rsa_only =
        WitVerifier::new().with_algorithms(jose_x509::Algorithms::of(&[Algorithm::Rs256]));
    assert_eq!(
        code(rsa_only.verify(&token, &both, at(NOW))),
        "algorithm_not_allowed"
    );
}

/// Covers: WIMSE-WIT-5.1-6, WIMSE-WIT-5.1-9, WIMSE-WIT-ID-4.3-2, WIMSE-WIT-A10
#[test]
fn what_is_issued_verifies_and_stays_in_its_trust_domain() {
    let (signer, workload) = (key("i"), key("w"));
    let issuer = WitIssuer::new(signer.clone(), ORIGIN)
        .unwrap()
        .with_issuer("https://ids.example.com");
    let (subject, jwk) = (subject(), workload.public_jwk());
    let request = WitRequest {
        subject: &subject,
        key: &jwk,
        id: Some("j1".into()),
    };
    let token = issuer.issue(&request, at(NOW)).unwrap();
    let wit = verify(&token, &signer).unwrap();
    assert_eq!(wit.unproven_identifier(), &subject);
    assert_eq!(wit.jwt().issuer(), Some("https://ids.example.com"));
    assert_eq!(wit.jwt().expires(), Some(NOW + 3600));
    assert_eq!(wit.hash(), &PROVIDER.sha256(token.as_bytes()));
    let foreign = WorkloadIdentifier::parse("wimse://other.example/a").unwrap();
    assert_eq!(
        code(issuer.issue(
            &WitRequest {
                subject: &foreign,
                ..request.clone()
            },
            at(NOW)
        )),
        "unknown_trust_domain"
    );
    let bare = Jwk::new(workload.public_key().clone());
    assert_eq!(
        code(issuer.issue(
            &WitRequest {
                key: &bare,
                ..request
            },
            at(NOW)
        )),
        "confirmation_key"
    );
    assert_eq!(
        code(
            WitIssuer::new(signer.clone(), ORIGIN)
                .unwrap()
                .with_lifetime(Duration::from_secs(86_401))
        ),
        "issue_lifetime"
    );
    assert_eq!(
        code(WitIssuer::new(signer, "wimse://10.0.0.1").map(drop)),
        "workload_identifier"
    );
}

/// A trust domain is configured, and nobody is named by it: neither in a WIT that its own issuer signed, nor where one
/// is issued or registered.
///
/// Covers: WIMSE-WIT-ID-4.5-1
#[test]
fn an_origin_is_no_identity() {
    let (signer, workload) = (key("i"), key("w"));
    for (origin, text) in [
        ("wimse://example.com", "wimse://example.com"),
        ("wimse://example.com", "wimse://example.com/"),
        ("spiffe://td.example", "spiffe://td.example"),
    ] {
        let mut claims = claims(&workload);
        claims["sub"] = text.into();
        let token = wit(&signer, "wit+jwt", &claims);
        let anchors = anchors(origin, &[&signer]);
        let refused = Error::Identifier {
            problem: IdentifierProblem::NoWorkload,
        };
        let verifier = WitVerifier::new();
        let result = verifier.verify(&token, &anchors, at(NOW));
        assert_eq!(result.unwrap_err(), refused, "{text}");
        // Whatever parsed it.
        let subject = WorkloadIdentifier::parse(text).unwrap();
        let read = verifier.read(&token).unwrap();
        let result = read.verify_named(subject.clone(), &anchors[origin].keys, at(NOW));
        assert_eq!(result.unwrap_err(), refused, "{text}");

        let issuer = WitIssuer::new(signer.clone(), origin).unwrap();
        let request = WitRequest {
            subject: &subject,
            key: &workload.public_jwk(),
            id: None,
        };
        assert_eq!(issuer.issue(&request, at(NOW)).unwrap_err(), refused);
        let mut ledger = IssuanceLedger::new(PROVIDER, 1);
        let result = ledger.register(subject.clone(), "w", at(NOW));
        assert_eq!(result.unwrap_err(), refused);
        assert_eq!(refused.requirement(), Some("WIMSE-WIT-ID-4.5-1"));
    }
}

/// What an issuer is for is a trust domain alone, in lower case, and under `spiffe` one of SPIFFE.
///
/// Covers: WIMSE-WIT-ID-4.2-1
#[test]
fn an_issuer_is_for_a_trust_domain() {
    for (origin, expected) in [
        ("wimse://example.com", "valid"),
        ("spiffe://td_1.example", "valid"),
        ("spiffe://Example.com", "workload_identifier"),
        ("wimse://Example.com", "workload_identifier"),
        ("WIMSE://example.com", "workload_identifier"),
        ("wimse://example.com/payments", "workload_identifier"),
        ("wimse://example.com/", "workload_identifier"),
    ] {
        assert_eq!(code(WitIssuer::new(key("i"), origin)), expected, "{origin}");
    }
}

/// The key of a WIT cannot be used to speak for another identifier: a WIT that names another key is another
/// identity, and `jti` and further claims may be used beside the one that counts.
///
/// Covers: WIMSE-WIT-4-3, WIMSE-WIT-4-5, WIMSE-WIT-7-3
#[test]
fn the_identity_is_the_subject_and_other_claims_can_be_read() {
    let (issuer, workload) = (key("i"), key("w"));
    let mut claims = claims(&workload);
    claims["jti"] = "j-1".into();
    claims["instance"] = "wimse://example.com/other".into();
    let token = wit(&issuer, "wit+jwt", &claims);
    let anchors = anchors(ORIGIN, &[&issuer]);
    let wit = WitVerifier::new()
        .verify(&token, &anchors, at(NOW))
        .unwrap();
    assert_eq!(wit.unproven_identifier(), &subject());
    assert_eq!(wit.jwt().id(), Some("j-1"));
    assert_eq!(
        wit.jwt().claims_map().unwrap()["instance"],
        "wimse://example.com/other"
    );
}

/// Covers: WIMSE-WIT-11.1-1
#[test]
fn the_media_type_of_a_wit() {
    assert_eq!(
        wimse::wit::WIT_MEDIA_TYPE.strip_prefix("application/"),
        Some(wimse::wit::WIT_TYPE)
    );
    assert_eq!(wimse::wit::WIT_TYPE, "wit+jwt");
}
