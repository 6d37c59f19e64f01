//! The vectors of `test-vectors/wimse`: published examples, and tokens that OpenSSL signed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use jose_x509::provider::ring;
use jose_x509::{KeySet, MemoryReplayGuard, base64url};
use pki_types::UnixTime;
use serde_json::{Value, json};
use wimse::{TrustAnchors, WireForm, WitVerifier, WptVerifier};

#[test]
fn workload_identity_tokens() {
    let verifier = WitVerifier::new();
    check(
        include_str!("../../../test-vectors/wimse/wit.json"),
        wimse::Error::code,
        |keys, case| {
            let token = case["input"].as_str().unwrap();
            let wit = verifier.verify(token, &anchors(keys), now(case))?;
            Ok(json!({
                "sub": wit.unproven_identifier().as_str(), "exp": wit.jwt().expires(), "jti": wit.jwt().id(),
                "proof_algorithm": wit.proof_algorithm().name(), "hash": base64url::encode(wit.hash()),
            }))
        },
    );
}

/// Every accepted request is refused when it comes again.
///
/// Covers: WIMSE-WPT-2-28, WIMSE-WPT-A1
#[test]
fn requests() {
    check(
        include_str!("../../../test-vectors/wimse/wpt.json"),
        wimse::Error::code,
        |keys, case| {
            let options = &case["options"];
            let mut verifier = WptVerifier::new(WitVerifier::new())
                .with_authority("https://workload.example.com")
                .unwrap();
            for field in options["context_fields"].as_array().into_iter().flatten() {
                verifier = verifier.with_context_field(field.as_str().unwrap().parse().unwrap());
            }
            if options["legacy_field"] == true {
                verifier = verifier.with_wire_form(WireForm::LegacyField);
            }
            let mut headers = HeaderMap::new();
            for field in case["input"]["fields"].as_array().unwrap() {
                let name: HeaderName = field[0].as_str().unwrap().parse().unwrap();
                let value = HeaderValue::from_str(field[1].as_str().unwrap()).unwrap();
                headers.append(name, value);
            }
            let target: Uri = case["input"]["target"].as_str().unwrap().parse().unwrap();
            let replay = MemoryReplayGuard::new(16);
            let verify = || verifier.verify(&headers, &target, &anchors(keys), &replay, now(case));
            let workload = verify()?;
            assert_eq!(verify().unwrap_err().code(), "replayed");
            Ok(json!({"sub": workload.identifier().as_str(), "jti": workload.proof().id()}))
        },
    );
}

fn anchors(keys: &Value) -> BTreeMap<String, TrustAnchors> {
    let one = |(origin, keys): (&String, &Value)| {
        let keys = KeySet::from_jwks_slice(&ring::provider(), keys.to_string().as_bytes()).unwrap();
        let anchors = TrustAnchors {
            keys: Arc::new(keys),
            issuers: Arc::new([]),
        };
        (origin.clone(), anchors)
    };
    keys.as_object().unwrap().iter().map(one).collect()
}

/// Runs every case of a file; `run` gives the values of an accepted input.
fn check<E: std::fmt::Display>(
    file: &str,
    code: impl Fn(&E) -> &'static str,
    run: impl Fn(&Value, &Value) -> Result<Value, E>,
) {
    let file: Value = serde_json::from_str(file).unwrap();
    for group in file["groups"].as_array().unwrap() {
        for case in group["cases"].as_array().unwrap() {
            let expected = &case["expected"];
            let name = format!("{}: {}", group["name"], case["name"]);
            match run(&group["keys"], case) {
                Ok(values) => {
                    assert_eq!(expected["result"], "valid", "{name}");
                    for (member, value) in expected["values"].as_object().unwrap() {
                        assert_eq!(&values[member], value, "{name}: {member}");
                    }
                }
                Err(error) => {
                    assert_eq!(expected["result"], "invalid", "{name}: {error}");
                    assert_eq!(expected["code"], code(&error), "{name}: {error}");
                }
            }
        }
    }
}

fn now(case: &Value) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(case["now"].as_u64().unwrap()))
}
