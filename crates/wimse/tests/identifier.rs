//! Workload Identifiers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use proptest::prelude::*;
use spiffe_id::SpiffeId;
use wimse::WorkloadIdentifier;

/// Covers: WIMSE-WIT-ID-4.1-1, WIMSE-WIT-ID-4.1-2, WIMSE-WIT-ID-4.4-1, WIMSE-WIT-ID-4.5-1, WIMSE-WIT-5.1-23
#[test]
fn parts_of_valid_identifiers() {
    for (text, scheme, trust_domain, path) in [
        (
            "spiffe://incubation.example.org/ns/experimental/ingest",
            "spiffe",
            "incubation.example.org",
            "/ns/experimental/ingest",
        ),
        (
            "wimse://trust.corp.example.com/workload/af3e86cb",
            "wimse",
            "trust.corp.example.com",
            "/workload/af3e86cb",
        ),
        (
            "wimse://trust.example.com",
            "wimse",
            "trust.example.com",
            "",
        ),
    ] {
        let id = WorkloadIdentifier::parse(text).unwrap();
        assert_eq!(
            (id.as_str(), id.scheme(), id.trust_domain(), id.path()),
            (text, scheme, trust_domain, path)
        );
        assert_eq!(id.origin(), format!("{scheme}://{trust_domain}"));
    }
}

/// Covers: WIMSE-WIT-ID-4.1-1, WIMSE-WIT-ID-4.1-3, WIMSE-WIT-ID-4.1-4, WIMSE-WIT-ID-4.1-5, WIMSE-WIT-ID-4.1-6, WIMSE-WIT-ID-4.2-1, WIMSE-WIT-ID-4.3-2, WIMSE-WIT-A12
#[test]
fn what_is_not_an_identifier() {
    for text in [
        "",
        "td/a",
        "//td/a",
        "wimse:td/a",
        "wimse:///no-authority",
        "wimse://",
        "urn:uuid:89a6ec51-f877-44c0-9501-b213597f2d1d",
        "wimse://td/a?q",
        "wimse://td/a?",
        "wimse://td/a#f",
        "wimse://td/a#",
        "wimse://td?",
        "wimse://user@td/a",
        "wimse://good.example@evil.example/x",
        "wimse://td:443/a",
        "wimse://td:/a",
        "wimse://10.0.0.1/a",
        "wimse://[::1]/a",
        "wimse://td /a",
        "wimse://td/a b",
        "wimse://td/%2",
        "wimse://td/%zz",
        "wimse://t\u{e4}/a",
        "1wimse://td/a",
        "wimse://td/a\u{0}",
    ] {
        assert_eq!(
            WorkloadIdentifier::parse(text).unwrap_err().code(),
            "workload_identifier",
            "{text:?}"
        );
    }
}

/// Covers: WIMSE-WIT-ID-4.1-7, WIMSE-WIT-ID-4.1-8
#[test]
fn the_longest_identifier_has_2048_bytes() {
    let of = |len: usize| format!("wimse://td/{}", "a".repeat(len - 11));
    assert!(WorkloadIdentifier::parse(&of(2048)).is_ok());
    assert!(WorkloadIdentifier::parse(&of(2049)).is_err());
}

/// Covers: WIMSE-WIT-ID-4.3-3, WIMSE-WIT-A13, WIMSE-WIT-A21
#[test]
fn comparison_is_by_bytes() {
    let id = |text| WorkloadIdentifier::parse(text).unwrap();
    assert_eq!(id("wimse://td/a"), id("wimse://td/a"));
    for other in [
        "wimse://TD/a",
        "wimse://td/a/",
        "wimse://td/A",
        "spiffe://td/a",
        "wimse://td/a-b",
        "wimse://td/%61",
    ] {
        assert_ne!(id("wimse://td/a"), id(other));
    }
}

proptest! {
    #[test]
    fn whatever_parses_is_the_sum_of_its_parts(text in "[a-z]{0,3}(://)?[a-z@:.]{0,5}[/a-z%0-9?#]{0,8}") {
        if let Ok(id) = WorkloadIdentifier::parse(&text) {
            prop_assert_eq!(format!("{}://{}{}", id.scheme(), id.trust_domain(), id.path()), text);
            prop_assert!(!id.trust_domain().is_empty() && !id.as_str().contains(['?', '#', '@', ' ']));
        }
    }
}

/// What was parsed as a SPIFFE ID need not be parsed again.
#[test]
fn a_spiffe_id_is_an_identifier() {
    for text in [
        "spiffe://td.example",
        "spiffe://td.example/ns/a/sa/b",
        "spiffe://1.example/1",
        "spiffe://1.2.3.4.5/a",
        "spiffe://td-1_x/.a/b_c-d",
    ] {
        let id = SpiffeId::parse(text).unwrap();
        let found = WorkloadIdentifier::try_from(&id).unwrap();
        let parsed = WorkloadIdentifier::parse(text).unwrap();
        assert_eq!(found, parsed);
        assert_eq!(
            (found.scheme(), found.trust_domain(), found.path()),
            (parsed.scheme(), parsed.trust_domain(), parsed.path())
        );
    }
    let id = SpiffeId::parse("spiffe://192.0.2.7/a").unwrap();
    let refused = WorkloadIdentifier::try_from(&id);
    assert_eq!(refused, WorkloadIdentifier::parse(id.as_str()));
    assert!(refused.is_err());
}

proptest! {
    #[test]
    fn every_spiffe_id_is_what_its_text_is(text in "spiffe://[a-z0-9._-]{1,12}(/[a-zA-Z0-9._-]{1,5}){0,3}") {
        if let Ok(id) = SpiffeId::parse(&text) {
            prop_assert_eq!(WorkloadIdentifier::try_from(&id), WorkloadIdentifier::parse(&text));
        }
    }
}
