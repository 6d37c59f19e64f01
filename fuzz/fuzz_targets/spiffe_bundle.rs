//! A bundle that is accepted accounts for every entry, holds nothing secret, and is read again as it is written.
#![no_main]

use std::collections::BTreeSet;

use jose_x509::provider::ring::provider;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use spiffe_bundle::{Bundle, Diagnostic};
use spiffe_id::TrustDomain;

const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fuzz_target!(|document: &[u8]| {
    let provider = provider();
    let trust_domain = TrustDomain::parse("a.test").expect("a trust domain");
    let Ok(bundle) = Bundle::parse(&provider, trust_domain.clone(), document) else {
        return;
    };
    let read: Value = serde_json::from_slice(document).expect("an accepted document is JSON");
    let entries = read["keys"].as_array().expect("`keys` is an array");
    assert_eq!(bundle.sequence(), read["spiffe_sequence"].as_u64());

    // Every entry is kept or left out with a reason; equal ones are kept once.
    let problems = bundle.diagnostics();
    let fatal = |one: &&Diagnostic| one.problem.is_fatal();
    let left_out: BTreeSet<usize> = problems.iter().filter(fatal).map(|one| one.index).collect();
    assert_eq!(left_out.len(), bundle.skipped());
    assert!(problems.iter().all(|one| one.index < entries.len()));
    let kept: BTreeSet<String> = entries
        .iter()
        .enumerate()
        .filter(|(index, _)| !left_out.contains(index))
        .map(|(_, entry)| match entry["use"].as_str() {
            Some("x509-svid") => format!("x509 {}", entry["x5c"][0]),
            Some(token @ ("jwt-svid" | "wit-svid")) => format!("{token} {}", entry["kid"]),
            other => panic!("an entry of use {other:?} was kept"),
        })
        .collect();
    let (jwt, wit) = (bundle.jwt_keys().keys(), bundle.wit_keys().keys());
    let certificates = bundle.x509_anchors().certificates().count();
    assert_eq!(kept.len(), certificates + jwt.len() + wit.len());
    assert_eq!(bundle.is_empty(), kept.is_empty());

    for entry in entries {
        let known = matches!(entry["kty"].as_str(), Some("RSA" | "EC" | "OKP"));
        let secret = PRIVATE.iter().any(|name| entry.get(name).is_some());
        assert!(!(known && secret), "a private key was accepted");
    }
    let json = bundle.to_json();
    let written: Value = serde_json::from_str(&json).expect("a bundle is JSON");
    let entries = written["keys"].as_array().expect("`keys` is an array");
    assert_eq!(entries.len(), kept.len());
    for entry in entries {
        assert!(PRIVATE.iter().all(|name| entry.get(name).is_none()));
    }
    let again = Bundle::parse(&provider, trust_domain, json.as_bytes()).expect("it is readable");
    assert_eq!(again, bundle);
    assert_eq!((again.skipped(), again.to_json()), (0, json));
});
