//! What a bundle endpoint answers, whatever server it is in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use jose_x509::{CryptoProvider, provider::ring};
use spiffe_bundle::federation::{BundleEndpoint, PublishedBundle};
use spiffe_bundle::{Bundle, Error};
use spiffe_id::TrustDomain;

const PROVIDER: CryptoProvider = ring::provider();

fn bundle(sequence: u64, hint: u64) -> Bundle {
    Bundle::builder(&PROVIDER, TrustDomain::parse("example.org").unwrap())
        .with_sequence(sequence)
        .with_refresh_hint(Duration::from_secs(hint))
        .build()
        .unwrap()
}

fn ask(endpoint: &BundleEndpoint, request: http::request::Builder) -> Response<Bytes> {
    endpoint.handle(&request.body(()).unwrap())
}

fn get(endpoint: &BundleEndpoint, path: &str) -> Response<Bytes> {
    ask(endpoint, Request::get(path))
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

/// Covers: SPIFFE-FEDERATION-4-1, SPIFFE-FEDERATION-5.2.1.3-4, SPIFFE-FEDERATION-5.2.1.3-5
/// Covers: SPIFFE-FEDERATION-5.2.1.3-6, SPIFFE-FEDERATION-5.2.2.3-3, SPIFFE-FEDERATION-5.2.2.3-4
/// Covers: SPIFFE-FEDERATION-5.2.1.3-3, SPIFFE-FEDERATION-4.1-1
#[test]
fn bundles_are_served_to_everybody() {
    let published = PublishedBundle::new(&PROVIDER, &bundle(1, 300));
    let other = PublishedBundle::new(&PROVIDER, &bundle(77, 2));
    let endpoint = BundleEndpoint::new()
        .with_bundle("/bundle.json", published.clone())
        .unwrap()
        .with_bundle("/other", other)
        .unwrap();
    let first = get(&endpoint, "https://example.org/bundle.json?cache=no");
    assert_eq!(first.status(), 200);
    assert_eq!(first.headers()["content-type"], "application/json");
    assert_eq!(first.headers()["cache-control"], "max-age=75");
    let text = std::str::from_utf8(first.body()).unwrap();
    assert!(text.starts_with('{'), "no byte order mark");
    let trust_domain = TrustDomain::parse("example.org").unwrap();
    let read = Bundle::parse(&PROVIDER, trust_domain, text.as_bytes()).unwrap();
    assert_eq!(read, bundle(1, 300));

    published.publish(&bundle(2, 300)).unwrap();
    assert_eq!(published.sequence(), Some(2));
    let second = get(&endpoint, "/bundle.json");
    assert_eq!(second.body(), &bundle(2, 300).to_json());
    assert_ne!(first.headers()["etag"], second.headers()["etag"]);
    assert_eq!(get(&endpoint, "/other").body(), &bundle(77, 2).to_json());
    assert_eq!(
        get(&endpoint, "/other").headers()["cache-control"],
        "max-age=0"
    );
    for path in [
        "/",
        "/bundle.jso",
        "/bundle.json/",
        "/BUNDLE.JSON",
        "//bundle.json",
        "/%62undle.json",
    ] {
        let none = get(&endpoint, path);
        assert_eq!(
            (none.status().as_u16(), none.body().len()),
            (404, 0),
            "{path}"
        );
    }
    // Credentials are not looked at, and their lack is no matter.
    let request = || Request::get("/bundle.json");
    let with = ask(&endpoint, request().header("authorization", "Bearer x"));
    assert_eq!(
        (with.status(), with.body()),
        (second.status(), second.body())
    );
}

#[test]
fn unchanged_bundles_and_other_methods() {
    let published = PublishedBundle::new(&PROVIDER, &bundle(1, 300));
    let endpoint = BundleEndpoint::new()
        .with_bundle("/b", published.clone())
        .unwrap();
    let etag = get(&endpoint, "/b").headers()["etag"]
        .to_str()
        .unwrap()
        .to_owned();
    let asked = |tags: &str| {
        let response = ask(&endpoint, Request::get("/b").header("if-none-match", tags));
        (response.status().as_u16(), response.body().len())
    };
    let whole = bundle(1, 300).to_json().len();
    for same in [
        etag.clone(),
        format!("W/{etag}"),
        format!("\"x\", {etag}"),
        "*".to_owned(),
    ] {
        assert_eq!(asked(&same), (304, 0), "{same}");
    }
    for other in ["", "\"x\"", etag.trim_matches('"'), "W/"] {
        assert_eq!(asked(other), (200, whole), "{other}");
    }
    published.publish(&bundle(2, 300)).unwrap();
    assert_eq!(asked(&etag).0, 200);

    let method = |method: Method| ask(&endpoint, Request::builder().method(method).uri("/b"));
    assert_eq!(method(Method::HEAD).status(), 200);
    for other in [
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ] {
        let refused = method(other);
        assert_eq!((refused.status().as_u16(), refused.body().len()), (405, 0));
        assert_eq!(refused.headers()["allow"], "GET, HEAD");
    }
}

/// Covers: SPIFFE-FEDERATION-5.2.1.3-7, SPIFFE-FEDERATION-5.2.1.3-8, SPIFFE-FEDERATION-5.2.1.3-9
#[test]
fn redirects_are_temporary_and_to_endpoints() {
    let endpoint = BundleEndpoint::new()
        .with_redirect("/old", "https://new.example/bundle.json?x=1")
        .unwrap()
        .with_permanent_redirect("/gone", "https://new.example/")
        .unwrap();
    for (path, status, location) in [
        ("/old", 307, "https://new.example/bundle.json?x=1"),
        ("/gone", 308, "https://new.example/"),
    ] {
        let moved = get(&endpoint, path);
        assert_eq!((moved.status().as_u16(), moved.body().len()), (status, 0));
        assert_eq!(moved.headers()["location"], location);
    }
    for target in [
        "http://new.example/",
        "https://user@new.example/",
        "https://user:pw@new.example/",
        "https://@new.example/",
        "//new.example/",
        "/new",
        "spiffe://new.example/b",
        "",
    ] {
        for result in [
            BundleEndpoint::new().with_redirect("/old", target),
            BundleEndpoint::new().with_permanent_redirect("/old", target),
        ] {
            assert_eq!(code(result), "endpoint_url", "{target}");
        }
    }
    for path in [
        "",
        "b",
        "https://example.org/b",
        "/b?x",
        "/b#x",
        "/ b",
        "/ä",
        "/old",
    ] {
        let published = PublishedBundle::new(&PROVIDER, &bundle(1, 300));
        assert_eq!(
            code(endpoint.clone().with_bundle(path, published)),
            "endpoint_path",
            "{path}"
        );
    }
}

/// What clients would refuse, or take for somebody else's, is not served.
#[test]
fn only_later_bundles_of_the_same_trust_domain_are_published() {
    let published = PublishedBundle::new(&PROVIDER, &bundle(5, 300));
    let other = TrustDomain::parse("other.example").unwrap();
    let foreign = Bundle::builder(&PROVIDER, other).with_sequence(6);
    assert_eq!(
        published.publish(&foreign.build().unwrap()),
        Err(Error::ForeignBundle)
    );
    let rollback = Error::Rollback {
        installed: 5,
        offered: 4,
    };
    assert_eq!(published.publish(&bundle(4, 300)), Err(rollback));
    assert_eq!(published.sequence(), Some(5));
    for sequence in [5, 6] {
        assert_eq!(published.publish(&bundle(sequence, 300)), Ok(()));
        assert_eq!(published.sequence(), Some(sequence));
    }
}
