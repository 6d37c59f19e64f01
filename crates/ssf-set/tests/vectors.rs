//! The vectors of `test-vectors/ssf-set`, whose good signatures OpenSSL made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::sync::Arc;
use std::time::Duration;

use jose_x509::KeySet;
use jose_x509::provider::ring;
use pki_types::UnixTime;
use serde_json::{Value, json};
use ssf_set::{Event, EventPolicy, SetVerifier};

#[test]
fn security_event_tokens() {
    check(
        include_str!("../../../test-vectors/ssf-set/set.json"),
        ssf_set::Error::code,
        |keys, case| {
            let set = verifier(keys, &case["options"])
                .verify(case["input"].as_str().unwrap(), now(case))?;
            let uris: Vec<&str> = set.events().iter().map(Event::uri).collect();
            let known = |event: &Event| !matches!(event, Event::Unknown(_));
            Ok(json!({
                "iss": set.issuer(), "jti": set.id(), "iat": set.issued_at(), "sub": set.sub(),
                "aud": set.audience().collect::<Vec<_>>(), "txn": set.transaction(), "toe": set.toe(),
                "events": uris, "known": set.events().iter().map(known).collect::<Vec<_>>(),
            }))
        },
    );
}

fn verifier(keys: &Value, options: &Value) -> SetVerifier {
    let mut issuers = keys.as_object().unwrap().iter().map(|(issuer, keys)| {
        let keys = KeySet::from_jwks_slice(&ring::provider(), keys.to_string().as_bytes()).unwrap();
        (issuer, Arc::new(keys))
    });
    let audience = options["audience"].as_array().unwrap().iter();
    let audience: Vec<&str> = audience.map(|one| one.as_str().unwrap()).collect();
    let (issuer, keys) = issuers.next().unwrap();
    let policy = match options["profile"].as_str() {
        None => None,
        Some("single") => Some(EventPolicy::Single),
        Some("ignore_unknown") => Some(EventPolicy::IgnoreUnknown),
        Some("all_understood") => Some(EventPolicy::AllUnderstood),
        Some(other) => panic!("unknown profile {other}"),
    };
    let first = match policy {
        None => SetVerifier::ssf(issuer, keys, audience),
        Some(policy) => SetVerifier::rfc8417(policy, issuer, keys, audience),
    };
    issuers.fold(first.unwrap(), |verifier, (issuer, keys)| {
        verifier.with_issuer(issuer, keys).unwrap()
    })
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
