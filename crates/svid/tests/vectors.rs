//! The vectors of `test-vectors/svid`, whose signatures OpenSSL made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jose_x509::provider::ring;
use pki_types::{CertificateDer, UnixTime};
use serde_json::{Value, json};
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::TrustDomain;
use svid::jwt::JwtSvidVerifier;
use svid::wit::WitSvidVerifier;
use svid::x509::{KeyUsagePolicy, PeerRole, VerifyOptions, X509SvidVerifier};

#[test]
fn jwt_svids() {
    let verifier = JwtSvidVerifier::new("reports").unwrap();
    check(
        include_str!("../../../test-vectors/svid/jwt-svid.json"),
        svid::Error::code,
        |keys, case| {
            let token = case["input"].as_str().unwrap();
            let svid = verifier.verify(token, &bundles(keys), now(case))?;
            let audience: Vec<&str> = svid.audience().collect();
            Ok(json!({
                "sub": svid.spiffe_id().as_str(), "aud": audience, "exp": svid.expires().as_secs(),
            }))
        },
    );
}

#[test]
fn wit_svids() {
    let verifier = WitSvidVerifier::new("https://api.example.org").unwrap();
    check(
        include_str!("../../../test-vectors/svid/wit-svid.json"),
        svid::Error::code,
        |keys, case| {
            let token = case["input"].as_str().unwrap();
            let svid = verifier.verify_wit(token, &bundles(keys), now(case))?;
            Ok(json!({
                "sub": svid.unproven_spiffe_id().as_str(), "exp": svid.wit().jwt().expires(),
                "proof_algorithm": svid.wit().proof_algorithm().name(),
            }))
        },
    );
}

#[test]
fn x509_svids() {
    check(
        include_str!("../../../test-vectors/svid/x509-svid.json"),
        svid::Error::code,
        |keys, case| {
            let chain = case["input"]["chain"].as_array().unwrap();
            let chain: Vec<CertificateDer<'_>> = chain
                .iter()
                .map(|der| STANDARD.decode(der.as_str().unwrap()).unwrap().into())
                .collect();
            let mut options = VerifyOptions::new(match case["options"]["role"].as_str() {
                None => PeerRole::Unspecified,
                Some("client") => PeerRole::Client,
                Some("server") => PeerRole::Server,
                Some(other) => panic!("role {other}"),
            });
            if case["options"]["key_usage"] == "lenient" {
                options = options.with_key_usage(KeyUsagePolicy::Lenient);
            }
            let verifier = X509SvidVerifier::new(&ring::provider(), options);
            let peer = verifier.verify(&chain, &bundles(keys), now(case))?;
            Ok(json!({
                "spiffe_id": peer.unproven_spiffe_id().as_str(), "not_after": peer.not_after().as_secs(),
            }))
        },
    );
}

fn bundles(keys: &Value) -> BundleSet {
    let mut set = BundleSet::default();
    for (name, document) in keys.as_object().unwrap() {
        let name = TrustDomain::parse(name).unwrap();
        let document = document.to_string();
        let bundle = Bundle::parse(&ring::provider(), name, document.as_bytes()).unwrap();
        assert_eq!(bundle.skipped(), 0);
        set.install(bundle).unwrap();
    }
    set
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
