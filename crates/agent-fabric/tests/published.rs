//! The examples that the specifications publish, as the requirement tables quote them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use agent_fabric::inspect::{InspectOptions, Kind, Report, inspect};

/// Inspects the example `name` of a table, as `kind` or just to decode it.
fn example(table: &str, name: &str, kind: Option<Kind>) -> Report {
    let table: toml::Table = table.parse().unwrap();
    let vectors = table["vector"].as_array().unwrap();
    let vector = vectors
        .iter()
        .find(|vector| vector["name"].as_str() == Some(name))
        .unwrap();
    let options = InspectOptions {
        kind,
        ..InspectOptions::default()
    };
    let data = vector["data"].as_str().unwrap().trim_end();
    inspect(data.as_bytes(), &options, agent_fabric::net::now()).unwrap()
}

macro_rules! table {
    ($name:literal) => {
        include_str!(concat!("../../../docs/conformance/", $name, ".toml"))
    };
}

#[test]
fn published_bundles_are_bundles() {
    for (table, name) in [
        (table!("spiffe-bundle"), "bundle-1"),
        (table!("spiffe-bundle"), "bundle-2"),
        (table!("oauth-spiffe-client-auth"), "bundle"),
    ] {
        let report = example(table, name, Some(Kind::Bundle));
        assert_eq!(report.verified, Some(true), "{name}: {:?}", report.error);
        assert!(report.checks.iter().all(|check| check.ok) && !report.checks.is_empty());
    }
}

#[test]
fn published_tokens_are_told_apart() {
    for (table, name, kind) in [
        (table!("wit-svid"), "example-wit", "wit-svid"),
        (
            table!("oauth-spiffe-client-auth"),
            "jwt-svid-request",
            "jwt-svid",
        ),
        (table!("wimse-wit"), "wit-example", "wit"),
        (table!("wimse-wpt"), "wpt-02-example", "wpt"),
        (table!("set"), "unsecured-scim-create-compact", "set"),
        (table!("cimd"), "SPIFFE document", "cimd"),
    ] {
        let report = example(table, name, None);
        assert_eq!(
            (report.kind.as_str(), report.verified, report.refused()),
            (kind, None, false),
            "{name}"
        );
        assert!(report.claims.is_some() || report.document.is_some());
    }
}
