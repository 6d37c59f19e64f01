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
use wimse::{Error, IdentifierProblem, WorkloadIdentifier};

/// Covers: WIMSE-WIT-ID-4.1-1, WIMSE-WIT-ID-4.1-2, WIMSE-WIT-ID-4.4-1, WIMSE-WIT-5.1-23
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
        assert_eq!(id.is_origin(), path.is_empty());
    }
    assert!(
        WorkloadIdentifier::parse("wimse://td/")
            .unwrap()
            .is_origin()
    );
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
        "wimse://t%6/a",
        "wimse://t%zz/a",
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

/// Under the scheme of SPIFFE its own rules hold, for a trust domain alone too; other schemes have theirs.
///
/// Covers: WIMSE-WIT-ID-4.2-1
#[test]
fn what_is_no_spiffe_id_is_no_identifier_under_its_scheme() {
    for (rest, rule) in [
        ("Example.com/x", "trust_domain_character"),
        ("Example.com", "trust_domain_character"),
        ("td!$/a", "trust_domain_character"),
        ("t%64/a", "trust_domain_character"),
        ("td/a/../admin", "dot_segment"),
        ("td/.", "dot_segment"),
        ("td/%2e%2e/admin", "path_character"),
        ("td/a;b@c", "path_character"),
        ("td/a~", "path_character"),
        ("td/a/", "trailing_slash"),
        ("td/", "trailing_slash"),
        ("td//a", "empty_segment"),
    ] {
        let error = WorkloadIdentifier::parse(&format!("spiffe://{rest}")).unwrap_err();
        let Error::Identifier {
            problem: IdentifierProblem::Spiffe { rule: found },
        } = error
        else {
            panic!("{rest}: {error}");
        };
        assert_eq!(found.code(), rule, "{rest}");
        assert_eq!(error.requirement(), Some("WIMSE-WIT-ID-4.2-1"));
        assert!(WorkloadIdentifier::parse(&format!("wimse://{rest}")).is_ok());
    }
    let long = format!("spiffe://{}/a", "t".repeat(256));
    assert!(WorkloadIdentifier::parse(&long).is_err());
    // The same scheme to whoever compares it without case.
    for scheme in ["SPIFFE", "Spiffe"] {
        assert!(WorkloadIdentifier::parse(&format!("{scheme}://td/a")).is_err());
    }
}

/// Covers: WIMSE-WIT-ID-4.2-1
#[test]
fn a_trust_domain_may_have_escapes_and_is_compared_as_it_stands() {
    let id = |text| WorkloadIdentifier::parse(text).unwrap();
    let escaped = id("wimse://ex%61mple.com/a");
    assert_eq!(escaped.trust_domain(), "ex%61mple.com");
    assert_ne!(escaped, id("wimse://example.com/a"));
    assert_ne!(escaped.origin(), id("wimse://example.com/a").origin());
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
    /// Nothing but SPIFFE IDs passes under their scheme.
    #[test]
    fn what_passes_as_spiffe_is_a_spiffe_id(text in "spiffe://[a-zA-Z0-9._%!-]{1,8}(/[a-zA-Z0-9._%@;~-]{0,4}){0,3}") {
        if WorkloadIdentifier::parse(&text).is_ok() {
            prop_assert!(SpiffeId::parse(&text).is_ok());
        }
    }

    #[test]
    fn every_spiffe_id_is_what_its_text_is(text in "spiffe://[a-z0-9._-]{1,12}(/[a-zA-Z0-9._-]{1,5}){0,3}") {
        if let Ok(id) = SpiffeId::parse(&text) {
            prop_assert_eq!(WorkloadIdentifier::try_from(&id), WorkloadIdentifier::parse(&text));
        }
    }
}
