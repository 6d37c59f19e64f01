//! The vectors of `test-vectors/txn-token`, whose good signatures OpenSSL made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::Duration;

use jose_x509::KeySet;
use jose_x509::provider::ring;
use pki_types::UnixTime;
use serde_json::{Value, json};
use txn_token::TxnTokenVerifier;

#[test]
fn transaction_tokens() {
    let verifier = TxnTokenVerifier::with_predetermined_keys("trust-domain.example");
    check(
        include_str!("../../../test-vectors/txn-token/txn-token.json"),
        txn_token::Error::code,
        |keys, case| {
            let keys =
                KeySet::from_jwks_slice(&ring::provider(), keys.to_string().as_bytes()).unwrap();
            let token = verifier.verify(case["input"].as_str().unwrap(), &keys, now(case))?;
            let context = |context| serde_json::to_value(context).unwrap();
            Ok(json!({
                "sub": token.subject(), "txn": token.txn(), "scope": token.scope().to_string(),
                "req_wl": token.requesting_workload(), "tctx": context(token.transaction_context()),
                "rctx": context(token.request_context()),
            }))
        },
    );
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
