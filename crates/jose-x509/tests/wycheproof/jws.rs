//! Signatures and the keys that verify them.

use jose_x509::jws::UnverifiedJws;
use jose_x509::{Algorithms, CryptoProvider, KeySet};
use serde_json::Value;

use crate::{Verdict, check, exceptions};

/// Every provider of this build.
const PROVIDERS: &[CryptoProvider] = &[
    #[cfg(feature = "ring")]
    jose_x509::provider::ring::provider(),
    #[cfg(feature = "aws-lc-rs")]
    jose_x509::provider::aws_lc_rs::provider(),
];

/// What Wycheproof's groups hold beside the public half. Symmetric keys stay what they are.
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

fn verify(group: &Value, test: &Value) -> Verdict {
    let keys = published(group);
    // Tests of the JSON serialization have an object in place of the token.
    let token = match &test["jws"] {
        Value::String(token) => token.clone(),
        other => other.to_string(),
    };
    let verify = |provider: &CryptoProvider| {
        let keys = KeySet::from_jwks_slice(provider, keys.to_string().as_bytes())?;
        UnverifiedJws::parse(&token)?.verify(&keys, Algorithms::ALL)
    };
    let mut verdicts = PROVIDERS.iter().map(|provider| {
        verify(provider)
            .map(|_| ())
            .map_err(|error| error.code().to_owned())
    });
    let verdict = verdicts.next().unwrap();
    assert!(verdicts.all(|other| other == verdict), "providers differ");
    verdict
}

/// The group's key or keys, as their owner would publish them.
fn published(group: &Value) -> Value {
    let keys = group.get("public").unwrap_or(&group["private"]);
    let mut keys = match keys.get("keys") {
        Some(keys) => keys.as_array().unwrap().clone(),
        None => vec![keys.clone()],
    };
    for key in &mut keys {
        if key["kty"] != "oct" {
            let members = key.as_object_mut().unwrap();
            members.retain(|name, _| !PRIVATE_MEMBERS.contains(&name.as_str()));
        }
    }
    serde_json::json!({ "keys": keys })
}

#[test]
fn json_web_signature() {
    check(
        "json_web_signature_test.json",
        exceptions::SIGNATURE,
        401,
        |group, test| Some(verify(group, test)),
    );
}

#[test]
fn json_web_key() {
    check(
        "json_web_key_test.json",
        exceptions::KEY,
        26,
        |group, test| Some(verify(group, test)),
    );
}

/// The file has signed and encrypted tokens; these are the signed ones.
#[test]
fn json_web_crypto() {
    check(
        "json_web_crypto_test.json",
        exceptions::CRYPTO_JWS,
        49,
        |group, test| test.get("jws").map(|_| verify(group, test)),
    );
}
