//! Against serde_json and josekit: a bundle is the document that they read, and its keys are keys to them.
//!
//! The input is a document, or, after a zero octet, up to three coordinates and numbers with zero octets between them,
//! which become entries of a document.
#![no_main]

use jose_x509::base64url;
use jose_x509::provider::ring::provider;
use josekit::jwk::Jwk;
use josekit::jws::{ES256, ES384, RS256};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use spiffe_bundle::Bundle;
use spiffe_id::TrustDomain;

/// The numbers of a key, without what says how it is used.
fn numbers(entry: &Map<String, Value>) -> Map<String, Value> {
    let names = ["kty", "crv", "x", "y", "n", "e"];
    let known = names.into_iter().filter_map(|name| {
        let value = entry.get(name)?.clone();
        Some((name.to_owned(), value))
    });
    known.collect()
}

/// Whether OpenSSL has a key for the numbers.
fn josekit_reads(numbers: &Map<String, Value>) -> bool {
    let Ok(jwk) = Jwk::from_map(numbers.clone()) else {
        return false;
    };
    match (
        numbers["kty"].as_str(),
        numbers.get("crv").and_then(Value::as_str),
    ) {
        (Some("EC"), Some("P-256")) => ES256.verifier_from_jwk(&jwk).is_ok(),
        (Some("EC"), Some("P-384")) => ES384.verifier_from_jwk(&jwk).is_ok(),
        (Some("RSA"), _) => RS256.verifier_from_jwk(&jwk).is_ok(),
        // Of these there are no algorithms for SVIDs, or the provider has none.
        _ => false,
    }
}

fn document(data: &[u8]) -> Vec<u8> {
    let Some((0, rest)) = data.split_first() else {
        return data.to_vec();
    };
    let mut parts = rest.split(|byte| *byte == 0).map(base64url::encode);
    let mut next = || parts.next().unwrap_or_default();
    let (x, y, n) = (next(), next(), next());
    json!({"keys": [
        {"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "jwt-svid", "kid": "1"},
        {"kty": "EC", "crv": "P-384", "x": x, "y": y, "use": "wit-svid", "kid": "2"},
        {"kty": "RSA", "n": n, "e": "AQAB", "use": "jwt-svid", "kid": "3"},
    ]})
    .to_string()
    .into_bytes()
}

fuzz_target!(|data: &[u8]| {
    let document = document(data);
    let trust_domain = TrustDomain::parse("a.test").expect("a trust domain");
    let ours = Bundle::parse(&provider(), trust_domain, &document);
    let theirs: Result<Value, _> = serde_json::from_slice(&document);
    let Ok(ours) = ours else {
        return;
    };
    let theirs = theirs.expect("an accepted document is JSON");
    assert_eq!(ours.sequence(), theirs["spiffe_sequence"].as_u64());
    let hint = theirs["spiffe_refresh_hint"]
        .as_u64()
        .filter(|hint| *hint > 0);
    assert_eq!(ours.refresh_hint().map(|hint| hint.as_secs()), hint);
    let entries = theirs["keys"].as_array().expect("`keys` is an array");

    for (at, entry) in entries.iter().enumerate() {
        let entry = entry.as_object().expect("an entry is an object");
        let left_out = ours
            .diagnostics()
            .iter()
            .any(|one| one.index == at && one.problem.is_fatal());
        let keys = match entry.get("use").and_then(Value::as_str) {
            Some("jwt-svid") => ours.jwt_keys(),
            Some("wit-svid") => ours.wit_keys(),
            _ => continue,
        };
        let numbers = numbers(entry);
        if !left_out {
            // What is kept is a key to OpenSSL too, of these very numbers and no others.
            let kid = entry["kid"].as_str().expect("a key has a name");
            let kept = keys.get(kid).expect("what is not left out is kept");
            let written = kept.jwk().to_members();
            assert!(
                numbers
                    .iter()
                    .all(|(name, value)| written.get(name) == Some(value))
            );
            assert!(josekit_reads(&numbers), "only we accept {numbers:?}");
        } else if numbers.len() == 4 && josekit_reads(&numbers) {
            // A point that both know, in the one spelling that is allowed, is left out for other reasons.
            let text = |name: &str| {
                numbers
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let length = if text("crv") == "P-256" { 32 } else { 48 };
            let canonical = ["x", "y"].into_iter().all(|name| {
                base64url::decode(text(name), "coordinate")
                    .is_ok_and(|octets| octets.len() == length)
            });
            let plain = ["alg", "key_ops", "n", "e", "x5t#S256"]
                .into_iter()
                .all(|name| !entry.contains_key(name));
            let named = entry
                .get("kid")
                .and_then(Value::as_str)
                .is_some_and(|kid| !kid.is_empty() && kid.len() <= 1024);
            assert!(!(canonical && plain && named), "we refuse {numbers:?}");
        }
    }
});
