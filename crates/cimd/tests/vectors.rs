//! The shared vectors of `test-vectors/cimd`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use cimd::{AuthMethod, ClientIdUrl, ClientMetadata, DocumentPolicy};
use serde_json::Value;

const URLS: &str = include_str!("../../../test-vectors/cimd/urls.json");
const DOCUMENTS: &str = include_str!("../../../test-vectors/cimd/documents.json");

fn cases(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["cases"].as_array().unwrap().clone())
        .collect()
}

/// Covers: CIMD-3-1, CIMD-3-2, CIMD-3-3, CIMD-3-4, CIMD-3-5, CIMD-3-7, CIMD-3-11, CIMD-A1, CIMD-A6, CIMD-A7
#[test]
fn urls() {
    let cases = cases(URLS);
    assert!(cases.len() > 50);
    for case in cases {
        let input = case["input"].as_str().unwrap();
        match ClientIdUrl::parse(input) {
            Ok(url) => {
                assert_eq!(url.as_str(), input);
                assert_eq!(case["expected"]["valid"]["host"], url.host(), "{input}");
                assert_eq!(
                    case["expected"]["valid"]["port"],
                    url.as_url().port(),
                    "{input}"
                );
            }
            Err(error) => {
                assert_eq!(case["expected"]["invalid"], error.code(), "{input}");
                assert!(
                    error
                        .requirement()
                        .is_some_and(|id| id.starts_with("CIMD-3-")),
                    "{input}"
                );
            }
        }
    }
}

/// Covers: CIMD-4-1, CIMD-4-2, CIMD-7591-1, CIMD-7591-2, CIMD-7591-3, CIMD-7591-5, CIMD-7591-7, CIMD-7591-8
/// Covers: CIMD-7591-9, CIMD-7591-11, CIMD-7591-12, CIMD-4.1-1, CIMD-4.1-2, CIMD-4.1-3, CIMD-8.1-1, CIMD-8.6-7
/// Covers: CIMD-SPIFFE-5.1-1, CIMD-SPIFFE-5.1-2, CIMD-A9, CIMD-A12, CIMD-A16
#[test]
fn documents() {
    let cases = cases(DOCUMENTS);
    assert!(cases.len() > 150);
    for case in cases {
        let url = ClientIdUrl::parse(case["input"]["url"].as_str().unwrap()).unwrap();
        let body = case["input"]["document"].as_str().unwrap();
        match ClientMetadata::parse(&url, body.as_bytes(), &DocumentPolicy::default()) {
            Ok(document) => {
                let methods: Value = document
                    .accepted_methods()
                    .iter()
                    .map(|method| method.name())
                    .collect();
                assert_eq!(case["expected"]["valid"]["methods"], methods, "{body}");
                assert_eq!(
                    document.is_confidential(),
                    !document.accepted_methods().contains(&AuthMethod::None)
                );
            }
            Err(error) => assert_eq!(case["expected"]["invalid"], error.code(), "{body}"),
        }
    }
}
