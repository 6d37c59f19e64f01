//! The shared vectors of `test-vectors/spiffe-bundle`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use jose_x509::{CryptoProvider, KeySet, provider::ring};
use serde_json::{Value, json};
use spiffe_bundle::{Bundle, BundleSet, Error};
use spiffe_id::TrustDomain;

const PROVIDER: CryptoProvider = ring::provider();
const FILE: &str = include_str!("../../../test-vectors/spiffe-bundle/bundles.json");

/// What the vectors say of a bundle.
fn values(bundle: &Bundle) -> Value {
    let kids = |keys: &KeySet| -> Vec<String> {
        let kid = |key: &jose_x509::VerifyingKey| key.kid().unwrap().to_owned();
        keys.keys().iter().map(kid).collect()
    };
    let hash = |der: &[u8]| -> String {
        let hash = PROVIDER.sha256(der);
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let skipped = bundle.diagnostics().iter();
    let skipped = skipped.filter(|one| one.problem.is_fatal());
    json!({
        "spiffe_sequence": bundle.sequence(),
        "spiffe_refresh_hint": bundle.refresh_hint().map(|hint| hint.as_secs()),
        "x509": bundle.x509_anchors().certificates().map(|der| hash(der)).collect::<Vec<_>>(),
        "jwt": kids(bundle.jwt_keys()),
        "wit": kids(bundle.wit_keys()),
        "skipped": skipped.map(|one| one.index).collect::<Vec<_>>(),
    })
}

fn read(kind: &str, text: &str) -> Result<Value, Error> {
    match kind {
        "spiffe-bundle" => {
            let trust_domain = TrustDomain::parse("example.com").unwrap();
            let bundle = Bundle::parse(&PROVIDER, trust_domain, text.as_bytes())?;
            // What is written again says the same, without what was left out.
            let again = bundle.to_json();
            let trust_domain = bundle.trust_domain().to_trust_domain();
            let again = Bundle::parse(&PROVIDER, trust_domain, again.as_bytes()).unwrap();
            assert_eq!((again.skipped(), &again), (0, &bundle));
            Ok(values(&bundle))
        }
        "spiffe-bundle-map" => {
            let set = BundleSet::parse_map(&PROVIDER, text.as_bytes())?;
            let named = |bundle: &std::sync::Arc<Bundle>| {
                (bundle.trust_domain().to_string(), values(bundle))
            };
            Ok(Value::Object(set.iter().map(named).collect()))
        }
        other => panic!("unknown type {other}"),
    }
}

#[test]
fn vectors() {
    let file: Value = serde_json::from_str(FILE).unwrap();
    let mut count = 0;
    for group in file["groups"].as_array().unwrap() {
        for case in group["cases"].as_array().unwrap() {
            let name = &case["name"];
            let outcome = match read(
                group["type"].as_str().unwrap(),
                case["input"].as_str().unwrap(),
            ) {
                Ok(values) => json!({"result": "valid", "values": values}),
                Err(error) => json!({"result": "invalid", "code": error.code()}),
            };
            assert_eq!(outcome, case["expected"], "{name}");
            count += 1;
        }
    }
    assert!(count > 35);
}
