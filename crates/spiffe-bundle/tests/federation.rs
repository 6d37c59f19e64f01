//! Fetching bundles of other trust domains.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use jose_x509::{CryptoProvider, provider::ring};
use pki_types::UnixTime;
use proptest::prelude::*;
use spiffe_bundle::federation::{
    FetchPlan, FetchStep, RefreshPolicy, Relationship, ServerIdentity,
};
use spiffe_bundle::{Bundle, Error, MAX_DOCUMENT_SIZE};
use spiffe_id::{SpiffeId, TrustDomain};

const PROVIDER: CryptoProvider = ring::provider();
const URL: &str = "https://bundles.example.com/prod?x=1";

fn td() -> TrustDomain {
    TrustDomain::parse("prod.example.org").unwrap()
}

fn id() -> SpiffeId {
    SpiffeId::parse("spiffe://example.org/bundle-server").unwrap()
}

fn web() -> Relationship {
    Relationship::https_web(td(), URL).unwrap()
}

fn redirect(plan: FetchPlan, status: u16, location: &str) -> Result<FetchPlan, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, HeaderValue::from_str(location).unwrap());
    let status = StatusCode::from_u16(status).unwrap();
    match plan.response(&PROVIDER, status, &headers, b"")? {
        FetchStep::Redirect(next) => Ok(next),
        other => panic!("{other:?}"),
    }
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

/// Covers: SPIFFE-FEDERATION-5.2.1.1-1, SPIFFE-FEDERATION-5.2.1.1-2, SPIFFE-FEDERATION-5.2.2.1-1
#[test]
fn endpoint_urls() {
    for url in [
        "http://host/x",
        "ftp://host/x",
        "file:///x",
        "/x",
        "host/x",
        "",
        "https://",
        "https:///x@y",
        "https:///host/x",
        "https:host/x",
        "https:/host/x",
        "HTTPS:@host/x",
        "https:/@host/x",
        "https:////@host/x",
        "https://u@host/x",
        "https://u:p@host/x",
        "https://@host/x",
        "https://host\\@evil/x",
        " https://host/x",
        "https://ho\tst/x",
    ] {
        assert_eq!(
            code(Relationship::https_web(td(), url)),
            "endpoint_url",
            "{url}"
        );
        assert_eq!(
            code(Relationship::https_spiffe(td(), url, id())),
            "endpoint_url",
            "{url}"
        );
    }
    for url in [
        URL,
        "https://host",
        "https://host:8443/a/b",
        "https://[::1]/x",
        "https://host/x@y",
    ] {
        assert_eq!(code(Relationship::https_web(td(), url)), "valid", "{url}");
    }
}

/// Covers: SPIFFE-FEDERATION-5.2.1-1, SPIFFE-FEDERATION-5.1-2, SPIFFE-FEDERATION-5.2.1.2-1
/// Covers: SPIFFE-FEDERATION-5.2.2.2-1, SPIFFE-FEDERATION-7.2-1, SPIFFE-FEDERATION-A2
#[test]
fn profiles_are_exact_and_never_change() {
    let make = |profile, id| Relationship::from_profile_name(td(), URL, profile, id);
    for profile in ["", "HTTPS_WEB", "https-web", "https_spiffe ", "web"] {
        assert_eq!(code(make(profile, None)), "unknown_profile");
    }
    assert_eq!(code(make("https_spiffe", None)), "endpoint_id");
    assert_eq!(code(make("https_web", Some(id()))), "endpoint_id");
    let rootless = SpiffeId::parse("spiffe://example.org").unwrap();
    assert_eq!(code(make("https_spiffe", Some(rootless))), "endpoint_id");
    assert_eq!(
        make("https_web", None).unwrap().fetch().server(),
        ServerIdentity::Host("bundles.example.com")
    );
    let spiffe = make("https_spiffe", Some(id())).unwrap();
    assert!(!spiffe.is_self_serving());
    let next = redirect(spiffe.fetch(), 307, "https://elsewhere.example.net/b").unwrap();
    assert_eq!(next.server(), ServerIdentity::SpiffeId(&id()));
}

/// The bundle belongs to the configured trust domain, whatever the host is called.
///
/// Covers: SPIFFE-FEDERATION-5.1-4, SPIFFE-FEDERATION-5.2.1.4-2, SPIFFE-FEDERATION-A1
#[test]
fn fetched_bundle_has_the_configured_trust_domain() {
    let relationship = web();
    let request = relationship.fetch().request().unwrap();
    assert_eq!(
        (
            request.method().as_str(),
            request.uri().to_string().as_str()
        ),
        ("GET", URL)
    );
    assert_eq!(request.headers().len(), 1);
    assert_eq!(request.headers()["accept"], "application/json");
    let step = relationship
        .fetch()
        .response(
            &PROVIDER,
            StatusCode::OK,
            &HeaderMap::new(),
            br#"{"keys":[],"trust_domain":"evil.org"}"#,
        )
        .unwrap();
    let FetchStep::Fetched(bundle) = step else {
        panic!()
    };
    assert_eq!(bundle.trust_domain(), td().as_trust_domain_ref());
}

/// Covers: SPIFFE-FEDERATION-5.2.1.4-3, SPIFFE-FEDERATION-5.2.1.4-5, SPIFFE-FEDERATION-4.3-1
/// Covers: SPIFFE-FEDERATION-5.2.1.4-6, SPIFFE-FEDERATION-7.5.1-1, SPIFFE-FEDERATION-A4, SPIFFE-FEDERATION-A5
/// Covers: SPIFFE-FEDERATION-A7
#[test]
fn redirects() {
    let relationship = web();
    for status in [301, 302, 303, 307, 308] {
        let next = redirect(relationship.fetch(), status, "https://other.example.net/b").unwrap();
        assert_eq!(next.server(), ServerIdentity::Host("other.example.net"));
        assert_eq!(relationship.fetch().url().as_str(), URL);
    }
    let relative = redirect(relationship.fetch(), 302, "/moved").unwrap();
    assert_eq!(relative.url().as_str(), "https://bundles.example.com/moved");
    for bad in [
        "http://host/x",
        "https://u@host/x",
        "//u@host/x",
        "//@host/x",
        "https://@host/",
        "ftp://host/",
        "https://",
    ] {
        assert_eq!(
            code(redirect(relationship.fetch(), 302, bad)),
            "endpoint_url",
            "{bad}"
        );
    }
    assert_eq!(
        code(redirect(web().without_redirects().fetch(), 302, URL)),
        "redirects_disabled"
    );
    let mut plan = relationship.fetch();
    for _ in 0..5 {
        plan = redirect(plan, 302, URL).unwrap();
    }
    assert_eq!(code(redirect(plan, 302, URL)), "too_many_redirects");
    let bare = relationship
        .fetch()
        .response(&PROVIDER, StatusCode::FOUND, &HeaderMap::new(), b"");
    assert_eq!(code(bare), "redirect_location");
    let mut two = HeaderMap::new();
    two.append(
        header::LOCATION,
        HeaderValue::from_static("https://a.example/"),
    );
    two.append(
        header::LOCATION,
        HeaderValue::from_static("https://b.example/"),
    );
    let two = relationship
        .fetch()
        .response(&PROVIDER, StatusCode::FOUND, &two, b"");
    assert_eq!(code(two), "redirect_location");
}

/// Covers: SPIFFE-FEDERATION-A19, SPIFFE-FEDERATION-A15
#[test]
fn only_200_with_a_bundle_is_success() {
    let relationship = web();
    let respond = |status: u16, body: &[u8]| {
        let status = StatusCode::from_u16(status).unwrap();
        code(
            relationship
                .fetch()
                .response(&PROVIDER, status, &HeaderMap::new(), body),
        )
    };
    assert_eq!(respond(200, br#"{"keys":[]}"#), "valid");
    for status in [201, 204, 206, 300, 304, 400, 401, 404, 500, 503] {
        assert_eq!(
            respond(status, br#"{"keys":[]}"#),
            "endpoint_status",
            "{status}"
        );
    }
    assert_eq!(
        respond(200, br#"{"keys":[],"keys":[]}"#),
        "duplicate_member"
    );
    assert_eq!(
        respond(200, &vec![b' '; MAX_DOCUMENT_SIZE + 1]),
        "response_too_large"
    );
    // Nothing is decompressed: a bomb is refused by its field, before it is read as JSON.
    let mut coded = HeaderMap::new();
    coded.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let coded = relationship
        .fetch()
        .response(&PROVIDER, StatusCode::OK, &coded, br#"{"keys":[]}"#);
    assert_eq!(code(coded), "content_encoding");
}

/// Covers: SPIFFE-BUNDLE-4.1.2-4, SPIFFE-BUNDLE-6.1-1, SPIFFE-BUNDLE-A17, SPIFFE-FEDERATION-4.1-6
/// Covers: SPIFFE-FEDERATION-4.1-7, SPIFFE-FEDERATION-6.2-2, SPIFFE-FEDERATION-A20
/// Covers: OAUTH-SPIFFE-6.1-2
#[test]
fn next_fetch_is_bounded() {
    let policy = RefreshPolicy::default();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_000));
    let due = |hint: u64| {
        let bundle = Bundle::builder(&PROVIDER, td())
            .with_refresh_hint(Duration::from_secs(hint))
            .build()
            .unwrap();
        policy.next(Some(&bundle), now).as_secs() - 1_000
    };
    assert_eq!(
        [due(1), due(60), due(2_419_200), due(u64::MAX)],
        [10, 60, 86_400, 86_400]
    );
    assert_eq!(policy.next(None, now).as_secs(), 1_300);
}

proptest! {
    /// Never before the interval is over, never later than a tenth after what the failures make of it.
    ///
    /// Covers: SPIFFE-FEDERATION-6.2-2, SPIFFE-FEDERATION-A20, SPIFFE-FEDERATION-4.1-6
    #[test]
    fn backoff_is_later_and_bounded(hint in 1u64..200_000, failures in 0u32..70, random: u64, start in 0u64..1 << 40) {
        let policy = RefreshPolicy::default();
        let bundle = Bundle::builder(&PROVIDER, td())
            .with_refresh_hint(Duration::from_secs(hint))
            .build()
            .unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(start));
        let interval = policy.interval(Some(&bundle)).as_secs();
        let wait = policy
            .next_with_jitter(Some(&bundle), failures, now, random)
            .as_secs() - start;
        prop_assert!(wait >= interval && wait <= policy.max.as_secs());
        let doubled = interval.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let base = doubled.min(3600.max(interval));
        prop_assert!(wait >= base.min(policy.max.as_secs()));
        prop_assert!(wait <= base + base.div_ceil(10));
        if failures < 2 {
            prop_assert!(wait <= interval + interval.div_ceil(10));
        }
    }
}

#[test]
fn jitter_keeps_clients_apart() {
    let policy = RefreshPolicy::default();
    let now = UnixTime::since_unix_epoch(Duration::ZERO);
    let due: BTreeSet<u64> = (0..1000_u64)
        .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .map(|random| policy.next_with_jitter(None, 0, now, random).as_secs())
        .collect();
    assert!(due.len() >= 30 && due.iter().all(|at| (300..=330).contains(at)));
}
