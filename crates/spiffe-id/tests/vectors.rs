//! The shared vectors of `test-vectors/spiffe-id`.
#![cfg(feature = "alloc")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use serde_json::Value;
use spiffe_id::{Error, SpiffeId, SpiffeIdPattern, SpiffeIdRef, TrustDomain};

const IDS: &str = include_str!("../../../test-vectors/spiffe-id/ids.json");
const PATTERNS: &str = include_str!("../../../test-vectors/spiffe-id/patterns.json");

fn cases(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["cases"].as_array().unwrap().clone())
        .collect()
}

/// Covers: SPIFFE-ID-2-1, SPIFFE-ID-2-2, SPIFFE-ID-2-3, SPIFFE-ID-2-4, SPIFFE-ID-2-5, SPIFFE-ID-2.1-1, SPIFFE-ID-2.1-2
/// Covers: SPIFFE-ID-2.1-3, SPIFFE-ID-2.1-4, SPIFFE-ID-2.1-5, SPIFFE-ID-2.1-6, SPIFFE-ID-2.1-7, SPIFFE-ID-2.1-8
/// Covers: SPIFFE-ID-2.2-1, SPIFFE-ID-2.2-2, SPIFFE-ID-2.2-3, SPIFFE-ID-2.2-4, SPIFFE-ID-2.2-5, SPIFFE-ID-2.2-6
/// Covers: SPIFFE-ID-2.2-7, SPIFFE-ID-2.3-1, SPIFFE-ID-2.3-3, SPIFFE-ID-2.3-4, SPIFFE-ID-2.4-1, SPIFFE-ID-2.4-3
/// Covers: SPIFFE-ID-A1, SPIFFE-ID-A3, SPIFFE-ID-A4, SPIFFE-ID-A11, SPIFFE-ID-A12, SPIFFE-ID-A13, SPIFFE-ID-A14
/// Covers: SPIFFE-ID-A18, SPIFFE-ID-A19, SPIFFE-ID-A20
#[test]
fn ids() {
    let cases = cases(IDS);
    assert!(cases.len() > 100);
    for case in &cases {
        let input = case["input"].as_str().unwrap();
        let parsed = SpiffeId::parse(input);
        assert_eq!(
            SpiffeIdRef::parse(input),
            parsed
                .as_ref()
                .map(SpiffeId::as_spiffe_id_ref)
                .map_err(|e| *e)
        );
        assert_eq!(
            SpiffeIdRef::from_bytes(input.as_bytes()),
            SpiffeIdRef::parse(input)
        );
        assert_eq!(SpiffeId::try_from(input.to_owned()), parsed);
        match (&case["expected"]["valid"], parsed) {
            (Value::Object(parts), Ok(id)) => {
                assert_eq!(id.as_str(), input);
                assert_eq!(id.trust_domain().as_str(), parts["trust_domain"]);
                assert_eq!(id.path(), parts["path"]);
                assert_eq!(Value::from_iter(id.segments()), parts["segments"]);
                let backwards: Vec<_> = id.segments().rev().collect();
                assert!(backwards.into_iter().rev().eq(id.segments()));
                assert_eq!(id.is_trust_domain_id(), id.path().is_empty());
            }
            (Value::Null, Err(error)) => {
                assert_eq!(error.code(), case["expected"]["invalid"], "{input:?}");
                assert!(error.requirement().is_some());
            }
            (_, parsed) => panic!("{input:?}: {parsed:?}"),
        }
    }
}

/// Covers: SPIFFE-ID-A2, SPIFFE-ID-A5, SPIFFE-ID-A6
#[test]
fn patterns() {
    for case in cases(PATTERNS) {
        let input = &case["input"];
        let text = input["pattern"].as_str().unwrap();
        let pattern = match input["kind"].as_str().unwrap() {
            "parse" => SpiffeIdPattern::parse(text),
            "parse_allowing_trust_domain" => SpiffeIdPattern::parse_allowing_trust_domain(text),
            "at_or_below" => SpiffeId::parse(text).and_then(SpiffeIdPattern::at_or_below),
            "members_of" => TrustDomain::parse(text).map(SpiffeIdPattern::members_of),
            other => panic!("unknown kind {other}"),
        };
        let subject = || SpiffeId::parse(input["subject"].as_str().unwrap());
        let outcome: Result<bool, Error> =
            pattern.and_then(|pattern| Ok(pattern.matches(&subject()?)));
        match outcome {
            Ok(matches) => assert_eq!(case["expected"]["valid"]["matches"], matches, "{input}"),
            Err(error) => assert_eq!(case["expected"]["invalid"], error.code(), "{input}"),
        }
    }
}
