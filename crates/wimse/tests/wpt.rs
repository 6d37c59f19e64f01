//! Workload Proof Tokens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    missing_docs,
    unreachable_pub
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::*;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use jose_x509::jws::ProtectedHeader;
use jose_x509::{
    Algorithm, Jwk, KeySet, MemoryReplayGuard, SigningKey, VerifyingKey, base64url, jwt,
};
use serde_json::{Value, json};
use wimse::{
    PendingKey, RequestTokens, TrustAnchors, WireForm, WitIssuer, WitRequest, WitVerifier,
    WptBuilder, WptVerifier,
};

const TARGET: &str = "https://api.example.com/refunds";

struct World {
    issuer: SigningKey,
    workload: SigningKey,
    wit: String,
    replay: MemoryReplayGuard,
    verifier: WptVerifier,
}

impl World {
    fn new() -> Self {
        let (issuer, workload) = (key("i"), key("w"));
        let wit = wit(&issuer, "wit+jwt", &claims(&workload));
        let verifier = WptVerifier::new(WitVerifier::new())
            .with_authority("https://api.example.com")
            .unwrap();
        Self {
            issuer,
            workload,
            wit,
            replay: MemoryReplayGuard::new(1000),
            verifier,
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        WptBuilder::new(&self.wit, TARGET)
            .apply(&mut headers, &self.workload, &PROVIDER, at(NOW))
            .unwrap();
        headers
    }

    fn verify_at(&self, headers: &HeaderMap, target: &str) -> Result<String, wimse::Error> {
        let target: Uri = target.parse().unwrap();
        let anchors = anchors(ORIGIN, &[&self.issuer]);
        self.verifier
            .verify(headers, &target, &anchors, &self.replay, at(NOW))
            .map(|workload| workload.identifier().to_string())
    }

    fn verify(&self, headers: &HeaderMap) -> Result<String, wimse::Error> {
        self.verify_at(headers, "/refunds?order=1")
    }

    fn proof_claims(&self) -> Value {
        json!({"aud": TARGET, "exp": NOW + 60, "jti": "j1", "wth": base64url::encode(&PROVIDER.sha256(self.wit.as_bytes()))})
    }

    /// A request with a proof of the test's own making.
    fn with_proof(&self, signer: &SigningKey, typ: &'static str, change: Value) -> HeaderMap {
        let mut claims = self.proof_claims();
        for (name, value) in change.as_object().unwrap() {
            if value == "DELETE" {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        let proof = jwt::sign(signer, &ProtectedHeader::new(typ), &claims).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("workload-identity-token", self.wit.parse().unwrap());
        headers.insert("authorization", format!("WPT {proof}").parse().unwrap());
        headers
    }
}

fn hash(token: &str) -> String {
    base64url::encode(&PROVIDER.sha256(token.as_bytes()))
}

/// Covers: WIMSE-WPT-2-1, WIMSE-WPT-2-2, WIMSE-WPT-2-6, WIMSE-WPT-2-7, WIMSE-WPT-2-11, WIMSE-WPT-2-18, WIMSE-WPT-2-20, WIMSE-WIT-5.1-20, WIMSE-WIT-5.1.1-1, WIMSE-WIT-5.1.4-8, WIMSE-WIT-ID-7-1, WIMSE-WIT-7-2
#[test]
fn a_request_with_wit_and_proof_authenticates_its_sender() {
    let world = World::new();
    assert_eq!(world.verify(&world.headers()).unwrap(), subject().as_str());
}

/// The example of the draft, signed by others.
///
/// Covers: WIMSE-WPT-2-1, WIMSE-WPT-2-11, WIMSE-WPT-2-12, WIMSE-WPT-2-29, WIMSE-WPT-4.1-1
#[test]
fn the_published_examples_verify() {
    let wit = "eyJhbGciOiJFUzI1NiIsImtpZCI6Ikp1bmUgNSIsInR5cCI6IndpdCtqd3QifQ.eyJjbmYiOnsiandrIjp7ImFsZyI6IkVkRFNBIiwiY3J2IjoiRWQyNTUxOSIsImt0eSI6Ik9LUCIsIngiOiIxQ1hYdmZsTl9MVlZzSXNZWHNVdkIwM0ptbEdXZUNIcVFWdW91Q0Y5MmJnIn19LCJleHAiOjE3NDU1MTI1MTAsImlhdCI6MTc0NTUwODkxMCwianRpIjoieC1fMUNUTDJjY2EzQ1NFNGN3Yl9sIiwic3ViIjoid2ltc2U6Ly9leGFtcGxlLmNvbS9zcGVjaWZpYy13b3JrbG9hZCJ9.6KraSQUxWdl9dxFQ3Fj6dPY0Vi88OkwFwZpAIOhLeq6AbXAnLLQgOp8U9UDGcBuYF3KiNv6oKQD1ZWAzrMZOJw";
    let wpt = "eyJhbGciOiJFZERTQSIsInR5cCI6IndwdCtqd3QifQ.eyJhdWQiOiJodHRwczovL3dvcmtsb2FkLmV4YW1wbGUuY29tL3BhdGgiLCJleHAiOjE3NDU1MTAwMTYsImp0aSI6Il9fYndjNEVTQzNhY2MyTFRDMS1feCIsInd0aCI6IkFhWVVmQzM0RDFkaTJGeFFMcGlJSko3U2c4Vlo2bzhPQ2R3U2Y5SVRvTGcifQ.zR_aqP5ofStQP18GaRjhd88P7-_jvvvLX5Gb1fACehieR063WUeZ7fZUOmm43_4gvUYpEM9ZEushVDFaah64Dw";
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
    let verifier = WptVerifier::new(WitVerifier::new())
        .with_authority("https://workload.example.com")
        .unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("Workload-Identity-Token", wit.parse().unwrap());
    headers.insert("authorization", format!("WPT {wpt}").parse().unwrap());
    let replay = MemoryReplayGuard::new(10);
    let workload = verifier
        .verify(
            &headers,
            &Uri::from_static("/path"),
            &anchors,
            &replay,
            at(1_745_510_000),
        )
        .unwrap();
    assert_eq!(
        workload.identifier().as_str(),
        "wimse://example.com/specific-workload"
    );
}

/// Covers: WIMSE-WIT-5.1-21, WIMSE-WIT-5.1-22, WIMSE-WPT-3.1-1, WIMSE-WPT-2-19, WIMSE-WPT-2.2-1, WIMSE-WPT-2.2-2, WIMSE-WPT-2-3, WIMSE-WPT-2-4, WIMSE-WIT-5.1.1-2, WIMSE-WIT-5.1.1-3, WIMSE-WIT-5.1.1-4, WIMSE-WPT-L2-5, WIMSE-WIT-A1, WIMSE-WIT-A17, WIMSE-WPT-A14
#[test]
fn fields_occur_once_and_in_the_configured_form() {
    let world = World::new();
    let good = world.headers();
    let proof = good["authorization"].to_str().unwrap()[4..].to_owned();
    let with = |change: &dyn Fn(&mut HeaderMap)| {
        let mut headers = good.clone();
        change(&mut headers);
        code(world.verify(&headers))
    };
    let value = |text: String| HeaderValue::from_str(&text).unwrap();
    assert_eq!(
        with(&|h| {
            h.remove("authorization");
        }),
        "not_wpt_scheme"
    );
    assert_eq!(
        with(&|h| {
            h.remove("workload-identity-token");
        }),
        "field_count"
    );
    assert_eq!(
        with(&|h| {
            h.insert("authorization", value(format!("Bearer {}", world.wit)));
        }),
        "not_wpt_scheme"
    );
    assert_eq!(
        with(&|h| {
            h.insert("authorization", value(format!("Bearer {proof}")));
        }),
        "not_wpt_scheme"
    );
    assert_eq!(
        with(&|h| {
            h.append("authorization", HeaderValue::from_static("Bearer x"));
        }),
        "field_count"
    );
    assert_eq!(
        with(&|h| {
            h.append("workload-identity-token", value(world.wit.clone()));
        }),
        "field_count"
    );
    assert_eq!(
        with(&|h| {
            h.insert(
                "workload-identity-token",
                value(format!("{0}, {0}", world.wit)),
            );
        }),
        "field_count"
    );
    assert_eq!(
        with(&|h| {
            h.insert("workload-identity-token", value(format!("{}=", world.wit)));
        }),
        "token_characters"
    );
    assert_eq!(
        with(&|h| {
            h.insert("workload-proof-token", value(proof.clone()));
        }),
        "not_wpt_scheme"
    );
    assert_eq!(
        with(&|h| {
            h.insert("authorization", value(format!("WPT {proof} x")));
        }),
        "not_wpt_scheme"
    );
    assert_eq!(
        with(&|h| {
            h.insert("authorization", value(format!("wpt   {proof}")));
        }),
        "valid"
    );
}

/// Covers: WIMSE-WPT-2-5, WIMSE-WPT-2-21, WIMSE-WPT-2-22, WIMSE-WPT-2-23, WIMSE-WIT-5.1-18, WIMSE-WPT-A4, WIMSE-WPT-A6, WIMSE-WPT-A7, WIMSE-WPT-A8
#[test]
fn only_the_key_and_the_algorithm_of_the_wit() {
    let world = World::new();
    let stranger = key("w");
    assert_eq!(
        code(world.verify(&world.with_proof(&world.workload, "wpt+jwt", json!({})))),
        "valid"
    );
    assert_eq!(
        code(world.verify(&world.with_proof(&stranger, "wpt+jwt", json!({})))),
        "invalid_signature"
    );
    let ed25519 = SigningKey::generate(&PROVIDER, Algorithm::Ed25519).unwrap();
    assert_eq!(
        code(world.verify(&world.with_proof(&ed25519, "wpt+jwt", json!({})))),
        "proof_algorithm"
    );
    for typ in [
        "wit+jwt",
        "dpop+jwt",
        "JWT",
        "oauth-client-attestation-pop+jwt",
    ] {
        assert_eq!(
            code(world.verify(&world.with_proof(&world.workload, typ, json!({})))),
            "wrong_type"
        );
    }
    let header = base64url::encode(br#"{"alg":"none","typ":"wpt+jwt"}"#);
    let mut headers = world.headers();
    let none = format!(
        "WPT {header}.{}.AAAA",
        base64url::encode(world.proof_claims().to_string().as_bytes())
    );
    headers.insert("authorization", none.parse().unwrap());
    assert_eq!(code(world.verify(&headers)), "unsupported_algorithm");
    // A WIT that nobody signed, with a proof that fits it.
    let mut forged = World {
        issuer: key("i"),
        ..World::new()
    };
    forged.wit = wit(&key("i"), "wit+jwt", &claims(&forged.workload));
    assert_eq!(code(forged.verify(&forged.headers())), "invalid_signature");
}

/// An Ed25519 key under two names: the names of WIT and proof have to be the same string.
///
/// Covers: WIMSE-WPT-2-21
#[test]
fn algorithm_names_are_not_aliased() {
    let mut world = World::new();
    world.workload = SigningKey::generate(&PROVIDER, Algorithm::Ed25519).unwrap();
    let mut claims = claims(&world.workload);
    claims["cnf"]["jwk"]["alg"] = json!("EdDSA");
    world.wit = wit(&world.issuer, "wit+jwt", &claims);
    assert_eq!(code(world.verify(&world.headers())), "proof_algorithm");
}

/// Covers: WIMSE-WPT-2-8, WIMSE-WPT-2-9, WIMSE-WPT-2-10, WIMSE-WPT-2-25, WIMSE-WPT-2-26, WIMSE-WPT-2-27, WIMSE-WPT-3.1.2-1, WIMSE-WIT-9.2.2-1, WIMSE-WPT-A5, WIMSE-WPT-A15
#[test]
fn claims_of_the_proof() {
    let world = World::new();
    for (change, expected) in [
        (json!({"nbf": NOW}), "valid"),
        (json!({"nbf": "now"}), "claim_type"),
        (json!({"aud": "DELETE"}), "missing_claim"),
        (json!({"exp": "DELETE"}), "missing_claim"),
        (json!({"jti": "DELETE"}), "missing_claim"),
        (json!({"wth": "DELETE"}), "wit_hash"),
        (json!({"wth": hash("another WIT")}), "wit_hash"),
        (json!({"wth": "AAAA"}), "claim"),
        (json!({"wth": 1}), "claim"),
        (json!({"jti": ""}), "claim_type"),
        (json!({"exp": NOW - 31}), "expired"),
        (json!({"exp": NOW + 331}), "lifetime_too_long"),
        (json!({"nbf": NOW + 31}), "not_yet_valid"),
        (json!({"aud": [TARGET, "https://other.example/"]}), "claim"),
        (json!({"tth": hash("nothing")}), "transaction_token_hash"),
    ] {
        let text = change.to_string();
        assert_eq!(
            code(world.verify(&world.with_proof(&world.workload, "wpt+jwt", change))),
            expected,
            "{text}"
        );
    }
}

/// Claims that other kinds of token define are as unknown here as any other, whatever is in them. What the verifier
/// hands on does not have them either.
///
/// Covers: WIMSE-WPT-2.3-1
#[test]
fn claims_that_a_proof_does_not_define_change_nothing() {
    let world = World::new();
    let anchors = anchors(ORIGIN, &[&world.issuer]);
    for (at_all, claims) in [
        json!({"unknown": {"a": [1]}}),
        json!({"iat": NOW + 45}),
        json!({"iat": NOW + 3600}),
        json!({"iat": "2026"}),
        json!({"cnf": {"jkt": "x"}}),
        json!({"cnf": {"jwk": {"kty": "oct", "k": "AA"}}}),
        json!({"iss": "a b: c"}),
        json!({"iss": 1}),
        json!({"sub": "a b: c"}),
        json!({"sub": "wimse://example.com/admin"}),
        json!({"ath": 7}),
    ]
    .into_iter()
    .enumerate()
    {
        let text = claims.to_string();
        let mut all = claims;
        all["jti"] = format!("j{at_all}").into();
        let headers = world.with_proof(&world.workload, "wpt+jwt", all.clone());
        let target = Uri::from_static("/refunds");
        let caller = world
            .verifier
            .verify(&headers, &target, &anchors, &world.replay, at(NOW));
        let caller = caller.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(caller.identifier(), &subject());
        let proof = caller.proof();
        assert!(
            proof.issuer().is_none()
                && proof.subject().is_none()
                && proof.issued_at().is_none()
                && proof.confirmation().is_none()
        );
        // They make up for nothing.
        all["aud"] = "https://other.example/refunds".into();
        let elsewhere = world.with_proof(&world.workload, "wpt+jwt", all.clone());
        assert_eq!(code(world.verify(&elsewhere)), "audience_mismatch");
        all["aud"] = TARGET.into();
        all["exp"] = (NOW - 31).into();
        let late = world.with_proof(&world.workload, "wpt+jwt", all);
        assert_eq!(code(world.verify(&late)), "expired");
    }
}

/// Covers: WIMSE-WPT-3.1.7-1
#[test]
fn an_authority_is_a_scheme_a_host_and_a_port() {
    let verifier = || WptVerifier::new(WitVerifier::new());
    for base in [
        "https://api.example.com",
        "https://api.example.com/",
        "HTTPS://API.example.com:443",
        "http://localhost:8080",
        "https://[::1]:8443",
        "https://[2001:db8::1]",
        "https://192.0.2.1",
    ] {
        assert!(verifier().with_authority(base).is_ok(), "{base}");
    }
    for base in [
        "https://api.example.com?x=1",
        "https://api.example.com?",
        "https://api.example.com/#f",
        "https://api.example.com#",
        "https://api.example.com/path",
        "https://",
        "https://:443",
        "https://:8443",
        "https://h:",
        "https://h:0",
        "https://h:0443",
        "https://h:+80",
        "https://h:65536",
        "https://h:1:2",
        "https://a b",
        "https://a,b\"",
        "https://\u{e9}.example",
        "https://user@api.example.com",
        "https://[::1",
        "https://[::1]x",
        "https://[api.example.com]",
        "https://::1",
        "ftp://api.example.com",
        "api.example.com",
    ] {
        let refused = verifier().with_authority(base);
        assert_eq!(code(refused), "invalid_option", "{base}");
    }
}

/// A password in the target would be read by the server and whoever logs there.
#[test]
fn no_proof_for_a_target_with_user_information() {
    let world = World::new();
    for target in [
        "https://user:PASSWORD@api.example.com/refunds",
        "https://user@api.example.com",
        "https://@api.example.com/refunds",
        "https://api.example.com@other.example?x",
    ] {
        let builder = WptBuilder::new(&world.wit, target).with_channel_secured_elsewhere();
        let error = builder
            .sign(&world.workload, &PROVIDER, at(NOW))
            .unwrap_err();
        assert_eq!(error.code(), "target_user_info", "{target}");
        assert!(!format!("{error} {builder:?}").contains("PASSWORD"));
    }
    // Behind the host it is nobody's.
    let target = "https://api.example.com/refunds/a@b?c@d";
    WptBuilder::new(&world.wit, target)
        .sign(&world.workload, &PROVIDER, at(NOW))
        .unwrap();
}

/// Covers: WIMSE-WPT-2-24, WIMSE-WPT-3.1.7-1, WIMSE-WPT-3.1.7-2, WIMSE-WPT-3.1.7-3, WIMSE-WPT-A2, WIMSE-WPT-A3, WIMSE-WPT-A20
#[test]
fn the_audience_is_this_target_under_a_configured_authority() {
    let world = World::new();
    for (aud, target, expected) in [
        ("https://api.example.com/refunds", "/refunds?x=1", "valid"),
        (
            "HTTPS://API.example.com:443/refunds?y#z",
            "/refunds",
            "valid",
        ),
        ("https://api.example.com", "/", "valid"),
        (
            "https://api.example.com/Refunds",
            "/refunds",
            "audience_mismatch",
        ),
        (
            "https://api.example.com/refunds/",
            "/refunds",
            "audience_mismatch",
        ),
        (
            "https://api.example.com//refunds",
            "/refunds",
            "audience_mismatch",
        ),
        (
            "https://api.example.com/a/../refunds",
            "/refunds",
            "audience_mismatch",
        ),
        (
            "https://api.example.com/%72efunds",
            "/refunds",
            "audience_mismatch",
        ),
        (
            "http://api.example.com/refunds",
            "/refunds",
            "audience_mismatch",
        ),
        (
            "https://api.example.com:444/refunds",
            "/refunds",
            "audience_mismatch",
        ),
        (
            "https://other.example/refunds",
            "/refunds",
            "audience_mismatch",
        ),
        (
            "https://api.example.com@other.example/refunds",
            "/refunds",
            "audience_mismatch",
        ),
        ("api.example.com/refunds", "/refunds", "audience_mismatch"),
    ] {
        let mut headers = world.with_proof(
            &world.workload,
            "wpt+jwt",
            json!({"aud": aud, "jti": format!("{aud}{target}")}),
        );
        headers.insert("host", HeaderValue::from_static("other.example"));
        headers.insert(
            "x-forwarded-host",
            HeaderValue::from_static("other.example"),
        );
        assert_eq!(
            code(world.verify_at(&headers, target)),
            expected,
            "{aud} {target}"
        );
    }
    let named = World {
        verifier: World::new()
            .verifier
            .with_exact_audience("urn:service:refunds"),
        ..World::new()
    };
    let headers = named.with_proof(
        &named.workload,
        "wpt+jwt",
        json!({"aud": "urn:service:refunds"}),
    );
    assert_eq!(code(named.verify(&headers)), "valid");
}

/// Covers: WIMSE-WPT-2-12, WIMSE-WPT-2-29, WIMSE-WPT-2-32, WIMSE-WPT-2-33, WIMSE-WPT-2.2-4, WIMSE-WPT-A9, WIMSE-WPT-A10
#[test]
fn a_transaction_token_is_bound() {
    let world = World::new();
    let with = |tth: Value, token: Option<&'static [u8]>| {
        let mut headers = world.with_proof(
            &world.workload,
            "wpt+jwt",
            json!({"tth": tth, "jti": format!("{tth}{token:?}")}),
        );
        if let Some(token) = token {
            headers.insert("Txn-Token", HeaderValue::from_bytes(token).unwrap());
        }
        code(world.verify(&headers))
    };
    assert_eq!(with(json!(hash("a.b.c")), Some(b"a.b.c")), "valid");
    assert_eq!(
        with(json!(hash("a.b.c")), Some(b"a.b.d")),
        "transaction_token_hash"
    );
    assert_eq!(with(json!(hash("a.b.c")), None), "transaction_token_hash");
    assert_eq!(
        with(json!("DELETE"), Some(b"a.b.c")),
        "transaction_token_hash"
    );
    assert_eq!(with(json!(hash("a.b.c")), Some(b"a.b.\xe9")), "field_value");
    let mut headers = HeaderMap::new();
    headers.insert("txn-token", HeaderValue::from_static("a.b.c"));
    WptBuilder::new(&world.wit, TARGET)
        .with_txn_token("a.b.c")
        .apply(&mut headers, &world.workload, &PROVIDER, at(NOW))
        .unwrap();
    assert_eq!(code(world.verify(&headers)), "valid");
}

/// Covers: WIMSE-WPT-2-13, WIMSE-WPT-2-14, WIMSE-WPT-2-15, WIMSE-WPT-2-16, WIMSE-WPT-2-30, WIMSE-WPT-2-31, WIMSE-WPT-A11, WIMSE-WPT-A12, WIMSE-WPT-A13
#[test]
fn other_context_tokens_are_bound() {
    let field = HeaderName::from_static("x-custom-token");
    let world = World {
        verifier: World::new().verifier.with_context_field(field.clone()),
        ..World::new()
    };
    let good = hash("some-example-other-token");
    assert_eq!(good, "x-Uy6Ch_xn3AbUVKDjPMQQugtcn2erLWrkvVWAmKl1k");
    let with = |oth: Value, values: &[&'static str]| {
        let mut headers = world.with_proof(
            &world.workload,
            "wpt+jwt",
            json!({"oth": oth, "jti": format!("{oth}{values:?}")}),
        );
        for value in values {
            headers.append(&field, HeaderValue::from_static(value));
        }
        code(world.verify(&headers))
    };
    let value = "some-example-other-token";
    assert_eq!(with(json!({"x-custom-token": good}), &[value]), "valid");
    assert_eq!(
        with(
            json!({"x-custom-token": good}),
            &["  some-example-other-token "]
        ),
        "valid"
    );
    assert_eq!(
        with(json!({"X-Custom-Token": good}), &[value]),
        "other_token_hash"
    );
    assert_eq!(
        with(json!({"x-custom-token": good, "y": good}), &[value]),
        "other_token_hash"
    );
    assert_eq!(
        with(json!({"x-custom-token": hash("other")}), &[value]),
        "other_token_hash"
    );
    assert_eq!(
        with(json!({"x-custom-token": 1}), &[value]),
        "other_token_hash"
    );
    assert_eq!(
        with(json!({"x-custom-token": good}), &[]),
        "other_token_hash"
    );
    assert_eq!(with(json!("DELETE"), &[value]), "other_token_hash");
    assert_eq!(with(json!({}), &[]), "other_token_hash");
    assert_eq!(
        with(json!({"x-custom-token": good}), &[value, value]),
        "field_count"
    );
    let mut headers = HeaderMap::new();
    headers.insert(&field, HeaderValue::from_static("some-example-other-token"));
    WptBuilder::new(&world.wit, TARGET)
        .with_other_token(field.clone(), "some-example-other-token")
        .apply(&mut headers, &world.workload, &PROVIDER, at(NOW))
        .unwrap();
    assert_eq!(code(world.verify(&headers)), "valid");
}

/// What is bound is what the verifier reads, and what it would refuse is not bound.
///
/// Covers: WIMSE-WPT-2-12, WIMSE-WPT-2-15, WIMSE-WPT-2-16, WIMSE-WPT-2-33
#[test]
fn a_proof_binds_only_what_its_verifier_accepts() {
    let field = HeaderName::from_static("x-custom-token");
    let world = World {
        verifier: World::new().verifier.with_context_field(field.clone()),
        ..World::new()
    };
    let apply = |builder: &WptBuilder<'_>, name: &HeaderName, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        builder.apply(&mut headers, &world.workload, &PROVIDER, at(NOW))?;
        Ok(headers)
    };
    let txn = HeaderName::from_static("txn-token");
    let builder = || WptBuilder::new(&world.wit, TARGET);
    for (value, expected) in [
        ("token", "valid"),
        (" token ", "valid"),
        ("\ttoken\t ", "valid"),
        ("two words\tof it", "valid"),
        ("tok,en", "field_count"),
        ("tok\u{e9}n", "field_value"),
    ] {
        for (name, builder) in [
            (&field, builder().with_other_token(field.clone(), value)),
            (&txn, builder().with_txn_token(value)),
        ] {
            let headers = apply(&builder, name, value);
            if let Ok(headers) = &headers {
                assert_eq!(code(world.verify(headers)), "valid", "{name}: {value:?}");
            }
            assert_eq!(code(headers), expected, "{name}: {value:?}");
        }
    }
    // Nor what no field can have.
    for value in ["token\n", "tok\u{0}en", "tok\u{7f}en"] {
        let sign =
            |builder: WptBuilder<'_>| code(builder.sign(&world.workload, &PROVIDER, at(NOW)));
        let other = builder().with_other_token(field.clone(), value);
        assert_eq!(sign(other), "field_value", "{value:?}");
        assert_eq!(sign(builder().with_txn_token(value)), "field_value");
        let wit = format!("{}{value}", world.wit);
        assert_eq!(sign(WptBuilder::new(&wit, TARGET)), "field_value");
    }
    let twice = builder()
        .with_other_token(field.clone(), "a")
        .with_other_token(field.clone(), "b");
    assert_eq!(code(apply(&twice, &field, "a")), "field_count");
    // A WIT is read without the white space around it, and sent so.
    let wit = format!(" {}\t", world.wit);
    let headers = apply(
        &WptBuilder::new(&wit, TARGET),
        &HeaderName::from_static("x"),
        "",
    );
    assert_eq!(code(world.verify(&headers.unwrap())), "valid");
}

/// Whatever is formatted on the way to an authenticated workload has neither WIT nor proof in it, as text or as octets.
///
/// Covers: WIMSE-WPT-3.1.5-1, WIMSE-WPT-A18, WIMSE-WIT-9.4-1
#[test]
fn no_type_shows_a_token() {
    let world = World::new();
    let field = HeaderName::from_static("x-custom-token");
    let (txn, other) = ("SECRET-TXN-TOKEN", "SECRET-OTHER-TOKEN");
    let builder = WptBuilder::new(&world.wit, TARGET)
        .with_txn_token(txn)
        .with_other_token(field.clone(), other);
    let mut headers = HeaderMap::new();
    builder
        .apply(&mut headers, &world.workload, &PROVIDER, at(NOW))
        .unwrap();
    headers.insert("txn-token", HeaderValue::from_static(txn));
    headers.insert(&field, HeaderValue::from_static(other));
    let proof = headers["authorization"].to_str().unwrap()[4..].to_owned();

    let wits = WitVerifier::new();
    let verifier = world.verifier.clone().with_context_field(field);
    let anchors = anchors(ORIGIN, &[&world.issuer]);
    let tokens = RequestTokens::from_headers(&headers, WireForm::default()).unwrap();
    let read = verifier.read(&tokens).unwrap();
    let unverified = wits.read(&world.wit).unwrap();
    let mut shown = vec![
        format!("{builder:?}"),
        format!("{verifier:?}"),
        format!("{unverified:?}"),
        format!("{read:?}"),
    ];
    let unproven = wits.verify(&world.wit, &anchors, at(NOW)).unwrap();
    shown.push(format!("{unproven:?} {:?}", unproven.jwt()));
    let target = Uri::from_static("/refunds");
    let caller = read
        .verify(unproven, &headers, &target, &world.replay, at(NOW))
        .unwrap();
    shown.push(format!("{caller:?}"));
    shown.push(format!("{:?} {:?}", caller.wit(), caller.proof()));
    assert!(shown.iter().any(|shown| shown.contains(subject().as_str())));

    let pending = PendingKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    shown.push(format!("{pending:?}"));
    let key = pending.public_jwk();
    let issuer = WitIssuer::new(world.issuer.clone(), ORIGIN).unwrap();
    let request = WitRequest {
        subject: &subject(),
        key: &key,
        id: None,
    };
    let wit = issuer.issue(&request, at(NOW)).unwrap();
    shown.push(format!("{issuer:?} {request:?}"));
    let held = pending.accept(wit.clone(), &subject(), at(NOW)).unwrap();
    shown.push(format!("{held:?} {:?}", held.proof(TARGET)));

    let private = |key: &SigningKey| {
        let jwk: Value = serde_json::from_str(&key.expose_jwk().unwrap()).unwrap();
        jwk["d"].as_str().unwrap().to_owned()
    };
    let keys = [private(&world.issuer), private(&world.workload)];
    for shown in &shown {
        assert_shows_none_of(
            shown,
            &[&world.wit, &wit, &proof, txn, other, &keys[0], &keys[1]],
        );
    }
}

/// Covers: WIMSE-WPT-2-28, WIMSE-WPT-3.1.4-1, WIMSE-WIT-9.2.4-1, WIMSE-WPT-A1, WIMSE-WPT-A16, WIMSE-WPT-A17
#[test]
fn a_proof_is_good_for_one_use_and_only_good_ones_are_remembered() {
    let world = World::new();
    let headers = world.with_proof(&world.workload, "wpt+jwt", json!({}));
    // A forgery with the same `jti` comes first and spends nothing.
    assert_eq!(
        code(world.verify(&world.with_proof(&key("w"), "wpt+jwt", json!({})))),
        "invalid_signature"
    );
    assert_eq!(
        code(world.verify_at(&headers, "/elsewhere")),
        "audience_mismatch"
    );
    assert_eq!(code(world.verify(&headers)), "valid");
    assert_eq!(code(world.verify(&headers)), "replayed");
    let full = World {
        replay: MemoryReplayGuard::new(1),
        ..World::new()
    };
    let outcomes: Vec<_> = (0..200)
        .map(|_| code(full.verify(&full.headers())))
        .collect();
    assert!(outcomes.contains(&"replay_guard_full"));
}

/// Covers: WIMSE-WPT-2.1-1, WIMSE-WPT-2.1-2, WIMSE-WPT-A18
#[test]
fn refusals_are_401_with_the_challenge_and_show_no_token() {
    let world = World::new();
    let error = world
        .verify(&world.with_proof(&key("w"), "wpt+jwt", json!({})))
        .unwrap_err();
    assert_eq!(error.status(), 401);
    assert_eq!(wimse::challenge(), "WPT");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("eyJ"), "{shown}");
    assert!(
        world.headers()["authorization"].is_sensitive()
            && world.headers()["workload-identity-token"].is_sensitive()
    );
}

/// Covers: WIMSE-WPT-L2-1, WIMSE-WPT-L2-2, WIMSE-WPT-L2-3, WIMSE-WPT-L2-4, WIMSE-WPT-L2.2-1
#[test]
fn the_older_wire_form_is_read_only_on_demand() {
    let world = World {
        verifier: World::new().verifier.with_wire_form(WireForm::LegacyField),
        ..World::new()
    };
    let with = |ath: Value, authorization: Option<&'static str>| {
        let mut headers = world.with_proof(
            &world.workload,
            "wpt+jwt",
            json!({"ath": ath, "jti": format!("{ath}{authorization:?}")}),
        );
        let current = headers.remove("authorization").unwrap();
        headers.insert(
            "workload-proof-token",
            current.to_str().unwrap()[4..].parse().unwrap(),
        );
        if let Some(authorization) = authorization {
            headers.insert("authorization", HeaderValue::from_static(authorization));
        }
        code(world.verify(&headers))
    };
    assert_eq!(with(json!("DELETE"), None), "valid");
    assert_eq!(with(json!(hash("at")), Some("Bearer at")), "valid");
    assert_eq!(with(json!(hash("other")), Some("Bearer at")), "claim");
    assert_eq!(with(json!("DELETE"), Some("Bearer at")), "claim");
    assert_eq!(with(json!(hash("at")), None), "claim");
    assert_eq!(code(world.verify(&world.headers())), "not_wpt_scheme");
}

/// What a WPT leaves open: method, content and most fields can be changed on the way. Message signatures close that.
///
/// Covers: WIMSE-WPT-3.3-1, WIMSE-WPT-A19
#[test]
fn a_wpt_covers_neither_method_nor_fields() {
    use wimse::httpsig::{MessageSigner, RequestVerifier};
    let world = World::new();
    let mut headers = world.headers();
    headers.insert("x-role", HeaderValue::from_static("admin"));
    // There is not even a parameter for the method: the same proof goes with any.
    world.verify(&headers).unwrap();
    let workload = Arc::new(key("w2"));
    let wit = wit(&world.issuer, "wit+jwt", &claims(&workload));
    let signer = MessageSigner::new(&wit, workload, PROVIDER).unwrap();
    let mut parts = http::Request::get(TARGET).body(()).unwrap().into_parts().0;
    signer.sign_request(&mut parts, b"", at(NOW)).unwrap();
    parts.method = http::Method::DELETE;
    let verifier = RequestVerifier::new(WitVerifier::new())
        .with_authority("https://api.example.com")
        .unwrap();
    let anchors = anchors(ORIGIN, &[&world.issuer]);
    let result = verifier.verify(&parts, b"", &anchors, &world.replay, at(NOW));
    assert_eq!(result.unwrap_err().code(), "invalid_signature");
}

/// The scheme is that of `Authorization` alone, and a bearer token beside the proof decides nothing.
///
/// Covers: WIMSE-WPT-2.2-3, WIMSE-WPT-2.2-5
#[test]
fn other_credentials_beside_the_proof() {
    let world = World::new();
    let mut headers = world.headers();
    headers.insert(
        "proxy-authorization",
        HeaderValue::from_static("Basic dTpw"),
    );
    assert_eq!(world.verify(&headers).unwrap(), subject().as_str());
    let proof = headers.remove("authorization").unwrap();
    headers.insert("proxy-authorization", proof.clone());
    assert_eq!(code(world.verify(&headers)), "not_wpt_scheme");
    headers.insert("authorization", HeaderValue::from_static("Bearer token"));
    assert_eq!(code(world.verify(&headers)), "not_wpt_scheme");
    headers.append("authorization", proof);
    assert_eq!(code(world.verify(&headers)), "field_count");
}

/// One proof is for one target, and a fresh one is made for every request.
///
/// Covers: WIMSE-WPT-3.1.3-1
#[test]
fn a_proof_is_for_one_target_and_one_use() {
    let world = World::new();
    let headers = world.headers();
    assert_eq!(
        code(world.verify_at(&headers, "/other")),
        "audience_mismatch"
    );
    world.verify(&headers).unwrap();
    assert_eq!(code(world.verify(&headers)), "replayed");
    assert_ne!(headers["authorization"], world.headers()["authorization"]);
}

/// Covers: WIMSE-WPT-4.2-1
#[test]
fn the_media_type_of_a_proof() {
    assert_eq!(wimse::wpt::WPT_MEDIA_TYPE, "application/wpt+jwt");
    assert_eq!(
        wimse::wpt::WPT_MEDIA_TYPE.strip_prefix("application/"),
        Some(wimse::wpt::WPT_TYPE)
    );
}

/// A key does not outlive its WIT.
///
/// Covers: WIMSE-WPT-3.2-2, WIMSE-WIT-9.4-2
#[test]
fn no_proof_for_an_expired_wit() {
    let world = World::new();
    let builder = WptBuilder::new(&world.wit, TARGET);
    for (now, expires) in [(3539, 3599), (3541, 3600), (3599, 3600)] {
        let proof = builder
            .sign(&world.workload, &PROVIDER, at(NOW + now))
            .unwrap();
        let payload = base64url::decode(proof.split('.').nth(1).unwrap(), "payload").unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(claims["exp"], NOW + expires);
    }
    let late = builder.sign(&world.workload, &PROVIDER, at(NOW + 3600));
    assert_eq!(late.unwrap_err().code(), "expired");
}
