//! The vectors of `test-vectors/identity-chaining`: signed by OpenSSL, and the chaining draft's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use identity_chaining::id_jag::*;
use identity_chaining::*;
use jose_x509::KeySet;
use jose_x509::provider::ring::provider;
use pki_types::UnixTime;
use serde_json::{Value, json};
use support::*;
use token_exchange::{ResourceRegistry, ResourceServer};

fn now(case: &Value) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(case["now"].as_u64().unwrap()))
}

/// The one issuer of a group's keys.
fn trusted(keys: &Value) -> TrustedIssuer {
    let (issuer, set) = keys.as_object().unwrap().iter().next().unwrap();
    let set = KeySet::from_jwks_slice(&provider(), set.to_string().as_bytes()).unwrap();
    TrustedIssuer::new(url(issuer), Arc::new(set))
}

fn plain(keys: &Value, case: &Value) -> Result<Value, Error> {
    let on = |option: &str| case["options"][option] == true;
    let mut issuer = trusted(keys);
    if on("untyped") {
        issuer = issuer.with_untyped_grants();
    }
    if on("reuse") {
        issuer = issuer.with_reuse(Reuse::UntilExpiry);
    }
    let verifier = GrantVerifier::new(&url(B), &url(B_TOKEN)).trust(issuer);
    let input = case["input"].as_str().unwrap();
    let unspent = verifier.verify(input, &client("client-at-b"), now(case))?;
    let grant = unspent.spend(&replay(), now(case))?;
    Ok(json!({
        "iss": grant.issuer(), "sub": grant.subject(), "exp": grant.expires(), "jti": grant.id(),
        "aud": grant.claims()["aud"], "client_id": grant.client_id(),
        "scope": grant.scope().map(ToString::to_string),
    }))
}

/// Every user has an account of the same name.
struct Everybody;

impl Accounts for Everybody {
    fn by_subject(&self, key: &SubjectKey) -> Option<String> {
        Some(key.subject.clone())
    }
}

fn id_jag(keys: &Value, case: &Value) -> Result<Value, Error> {
    let scopes = scope("chat.read chat.history");
    let mut issuer = trusted(keys);
    if let Some(lifetime) = case["options"]["max_lifetime"].as_u64() {
        issuer = issuer.with_max_lifetime(Duration::from_secs(lifetime))?;
    }
    let api = ResourceServer::new(uri("https://acme.chat.example/api"), scopes.clone());
    let ras = url("https://acme.chat.example/");
    let proofs = proofs("https://acme.chat.example/token");
    let registry = ResourceRegistry::new([api]);
    let endpoint = TokenEndpoint::new(registry, replay());
    let service = IdJagRedemption::new(ras, Arc::new(Everybody), endpoint, proofs)
        .trust(TrustedIdp::new(issuer, scopes))?;
    let pairs = [
        ("grant_type", GRANT_TYPE),
        ("assertion", case["input"].as_str().unwrap()),
    ];
    let who = client("f53f191f9311af35");
    let access = service.redeem(&post(&[]), &form(&pairs), Some(&who), now(case))?;
    Ok(json!({
        "sub": access.subject, "scope": access.scope.to_string(), "client_id": access.client_id,
    }))
}

#[test]
fn grants() {
    let file = include_str!("../../../test-vectors/identity-chaining/grants.json");
    let file: Value = serde_json::from_str(file).unwrap();
    for group in file["groups"].as_array().unwrap() {
        for case in group["cases"].as_array().unwrap() {
            let name = format!("{}: {}", group["name"], case["name"]);
            let result = match group["type"].as_str().unwrap() {
                "authorization-grant" => plain(&group["keys"], case),
                "id-jag" => id_jag(&group["keys"], case),
                other => panic!("type {other}"),
            };
            let expected = &case["expected"];
            match result {
                Ok(values) => {
                    assert_eq!(expected["result"], "valid", "{name}");
                    for (member, value) in expected["values"].as_object().unwrap() {
                        assert_eq!(&values[member], value, "{name}: {member}");
                    }
                }
                Err(error) => {
                    assert_eq!(expected["result"], "invalid", "{name}: {error}");
                    assert_eq!(expected["code"], error.code(), "{name}: {error}");
                }
            }
        }
    }
}
