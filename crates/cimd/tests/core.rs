//! Guard, matching, policy, response, cache and change detection.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use cimd::{
    AuthMethod, CachePolicy, ClientIdUrl, ClientMetadata, DocumentCache, DocumentPolicy, Error,
    Fault, FetchPlan, FetchPolicy, HostPattern, HttpsUrl, Reaction, RedirectPolicy, UrlWarning,
    check_public_keys,
    guard::{AddressPolicy, PortPolicy},
};
use http::{HeaderMap, HeaderValue, StatusCode};
use pki_types::UnixTime;
use proptest::prelude::*;
use serde_json::{Value, json};

const ID: &str = "https://app.example.com/client.json";

fn url() -> ClientIdUrl {
    ClientIdUrl::parse(ID).unwrap()
}

fn parse_with(mut document: Value, policy: &DocumentPolicy) -> Result<ClientMetadata, Error> {
    document["client_id"] = ID.into();
    ClientMetadata::parse(&url(), document.to_string().as_bytes(), policy)
}

fn parse(document: Value) -> ClientMetadata {
    parse_with(document, &DocumentPolicy::default()).unwrap()
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "accepted")
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000))
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

/// Covers: CIMD-3-6, CIMD-3-8, CIMD-3-9, CIMD-3-10
#[test]
fn url_comparison_and_warnings() {
    let variants = [
        "https://example.com/client",
        "https://example.com:443/client",
        "https://EXAMPLE.com/client",
        "https://example.com/client/",
        "https://example.com/%63lient",
    ];
    for (i, a) in variants.iter().enumerate() {
        for (j, b) in variants.iter().enumerate() {
            let equal = ClientIdUrl::parse(a).unwrap() == ClientIdUrl::parse(b).unwrap();
            assert_eq!(equal, i == j, "{a} {b}");
        }
    }
    let warnings = |text: &str| {
        ClientIdUrl::parse(text)
            .unwrap()
            .warnings()
            .collect::<Vec<_>>()
    };
    assert_eq!(warnings(ID), []);
    assert_eq!(warnings("https://a.example/c?x=1"), [UrlWarning::Query]);
    assert_eq!(warnings("https://a.example/"), [UrlWarning::RootPath]);
    assert_eq!(
        warnings(&format!("https://a.example/{}", "c".repeat(240))),
        [UrlWarning::Long]
    );
    assert_eq!(
        code(ClientIdUrl::parse_strict("https://a.example/c?x=1")),
        "url_query"
    );
    assert_eq!(
        code(ClientIdUrl::parse_strict("https://a.example/c?")),
        "url_query"
    );
    assert_eq!(
        code(ClientIdUrl::parse_strict("https://a.example/")),
        "url_root_path"
    );
    assert!(ClientIdUrl::parse_strict(ID).is_ok());
    assert!(ClientIdUrl::parse(&format!("https://a.example/{}", "c".repeat(2030))).is_ok());
}

/// The first and last address of every range, and the neighbours outside.
///
/// Covers: CIMD-8.6-1, CIMD-8.6-2, CIMD-8.6-3, CIMD-A1, CIMD-A6
#[test]
fn special_addresses() {
    let policy = AddressPolicy::new();
    let blocked = "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.0 127.255.255.255 \
        169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.255 192.0.2.0 192.0.2.255 \
        192.31.196.0 192.31.196.255 192.52.193.0 192.52.193.255 192.88.99.0 192.88.99.255 192.168.0.0 192.168.255.255 \
        192.175.48.0 192.175.48.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255 \
        224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.254 255.255.255.255 \
        :: ::1 ::7f00:1 ::ffff:ffff ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1:: \
        64:ff9b:1:ffff:ffff:ffff:ffff:ffff 100:: 100::ffff:ffff:ffff:ffff 100:0:0:1:: 100:0:0:1:ffff:ffff:ffff:ffff \
        2001:: 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff 2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2002:: \
        2002:7f00:1:: 2002:808:808:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2620:4f:8000:: \
        2620:4f:8000:ffff:ffff:ffff:ffff:ffff 3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff 5f00:: \
        5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff fc00:: fd00::1 fd00:ec2::254 fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
        fe80:: fe80::1 febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff fec0:: feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ff00:: \
        ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 4000::";
    for address in blocked.split_whitespace() {
        assert!(!policy.is_allowed(address.parse().unwrap()), "{address}");
    }
    let allowed = "1.0.0.0 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 \
        169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.1.255 192.0.3.0 \
        192.31.195.255 192.31.197.0 192.52.192.255 192.52.194.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 \
        192.175.47.255 192.175.49.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 \
        223.255.255.255 2000:: 2000:ffff:: 2001:200:: 2001:db7:ffff:: 2001:db9:: 2001:ffff:: 2003:: 2606:4700::1 \
        2620:4f:7fff:: 2620:4f:8001:: 3ffe:: 3fff:1000::";
    for address in allowed.split_whitespace() {
        assert!(policy.is_allowed(address.parse().unwrap()), "{address}");
    }
    let nat64 = AddressPolicy::new().allow_nat64();
    assert!(nat64.is_allowed("64:ff9b::808:808".parse().unwrap()));
    assert!(!nat64.is_allowed("64:ff9b::a00:1".parse().unwrap()));
    assert!(!nat64.is_allowed("64:ff9b:1::808:808".parse().unwrap()));
}

/// Covers: CIMD-8.6-3, CIMD-8.6-4, CIMD-A2, CIMD-A3
#[test]
fn every_resolved_address_counts() {
    let check = |list: &[&str]| {
        let list: Vec<SocketAddr> = list.iter().map(|text| text.parse().unwrap()).collect();
        code(AddressPolicy::new().check_all(&list))
    };
    assert_eq!(check(&["8.8.8.8:443", "[2606:4700::1]:443"]), "accepted");
    assert_eq!(check(&["8.8.8.8:443", "127.0.0.1:443"]), "address_refused");
    assert_eq!(check(&["10.0.0.1:443", "8.8.8.8:443"]), "address_refused");
    assert_eq!(check(&["[2606:4700::1%3]:443"]), "address_refused");
    assert_eq!(check(&[]), "no_address");
}

/// Covers: CIMD-8.6-5, CIMD-8.6-6
#[test]
fn loopback_is_for_development() {
    let one = IpAddr::from(Ipv4Addr::LOCALHOST);
    assert_eq!(
        code(AddressPolicy::new().dangerous_allow_loopback(one)),
        "exception_outside_development"
    );
    assert_eq!(
        code(AddressPolicy::new().dangerous_allow_exact(one)),
        "exception_outside_development"
    );
    let everywhere = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    let error = AddressPolicy::for_development()
        .dangerous_allow_loopback(everywhere)
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Configuration);
    assert!(!AddressPolicy::for_development().is_allowed(one));
    let policy = AddressPolicy::for_development()
        .dangerous_allow_loopback(one)
        .unwrap();
    assert!(policy.is_allowed(one));
    for other in ["127.0.0.2", "10.0.0.1", "::1"] {
        assert!(!policy.is_allowed(other.parse().unwrap()), "{other}");
    }
}

/// Covers: CIMD-8.6-8
#[test]
fn ports() {
    let policy = PortPolicy::new().deny(6379);
    for (port, allowed) in [
        (443, true),
        (1024, true),
        (8443, true),
        (65535, true),
        (22, false),
        (25, false),
        (80, false),
        (1023, false),
        (6379, false),
    ] {
        assert_eq!(policy.check(port).is_ok(), allowed, "{port}");
    }
    let url = HttpsUrl::parse("https://a.example:22/c", "client_id").unwrap();
    assert_eq!(
        code(FetchPlan::new(&url, &FetchPolicy::default()).map(|_| ())),
        "port_refused"
    );
}

/// Covers: CIMD-5-5
#[test]
fn the_request_carries_nothing_but_the_question() {
    let url = ClientIdUrl::parse("https://A.example:8443/%63?x=%2e").unwrap();
    let policy = FetchPolicy::default();
    let plan = FetchPlan::new(url.as_url(), &policy).unwrap();
    let request = plan.request().unwrap();
    assert_eq!(request.method(), http::Method::GET);
    assert_eq!(request.uri(), "/%63?x=%2e");
    let expected = headers(&[
        ("host", "A.example:8443"),
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
    ]);
    assert_eq!(request.headers(), &expected);
}

/// Covers: CIMD-4-3, CIMD-4-4, CIMD-5-3, CIMD-5-4, CIMD-8.7-1, CIMD-3-10, CIMD-A4, CIMD-A8
#[test]
fn responses() {
    let url = url();
    let policy = FetchPolicy::default();
    let plan = FetchPlan::new(url.as_url(), &policy).unwrap();
    let json_type = headers(&[("content-type", "application/json")]);
    for status in (100..=599).map(|status| StatusCode::from_u16(status).unwrap()) {
        let accepted = plan.accept(status, &json_type).is_ok();
        assert_eq!(accepted, status == StatusCode::OK, "{status}");
    }
    for (media_type, accepted) in [
        ("application/json", true),
        ("application/json; charset=utf-8", true),
        ("Application/JSON", true),
        ("application/oauth-client+json", true),
        ("text/html", false),
        ("text/plain", false),
        ("application/xml", false),
        ("application/jsonx", false),
        ("application/+json", false),
        ("text/x+json", false),
        ("application/json, text/html", false),
        ("", false),
    ] {
        let result = plan.accept(StatusCode::OK, &headers(&[("content-type", media_type)]));
        assert_eq!(result.is_ok(), accepted, "{media_type}");
    }
    assert_eq!(
        code(plan.accept(StatusCode::OK, &HeaderMap::new())),
        "content_type"
    );
    let mut two = json_type.clone();
    two.append("content-type", HeaderValue::from_static("text/html"));
    assert_eq!(code(plan.accept(StatusCode::OK, &two)), "content_type");
    let gzip = headers(&[
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ]);
    assert_eq!(code(plan.accept(StatusCode::OK, &gzip)), "content_encoding");

    assert_eq!(
        plan.parse_response(StatusCode::OK, &json_type, &[b' '; 5120])
            .unwrap()
            .len(),
        5120
    );
    assert_eq!(
        code(plan.parse_response(StatusCode::OK, &json_type, &[b' '; 5121])),
        "too_large"
    );
    let mut reader = plan.accept(StatusCode::OK, &json_type).unwrap();
    assert!((0..5120).all(|_| reader.push(b"x").is_ok()));
    assert_eq!(code(reader.push(b"x")), "too_large");
    let long = headers(&[
        ("content-type", "application/json"),
        ("content-length", "5121"),
    ]);
    assert_eq!(code(plan.accept(StatusCode::OK, &long)), "too_large");
    // A small announced length is not believed.
    let short = headers(&[
        ("content-type", "application/json"),
        ("content-length", "1"),
    ]);
    assert_eq!(
        code(plan.parse_response(StatusCode::OK, &short, &[b' '; 5121])),
        "too_large"
    );
}

/// Covers: CIMD-8.7-1, CIMD-4-5, CIMD-4.1-3, CIMD-4-1
#[test]
fn limits_and_policies_of_documents() {
    let padded = |length: usize| {
        let text = format!("{{\"client_id\":\"{ID}\"}}");
        format!("{text}{}", " ".repeat(length - text.len()))
    };
    let policy = DocumentPolicy::default();
    assert!(ClientMetadata::parse(&url(), padded(5120).as_bytes(), &policy).is_ok());
    assert_eq!(
        code(ClientMetadata::parse(
            &url(),
            padded(5121).as_bytes(),
            &policy
        )),
        "too_large"
    );
    let huge = DocumentPolicy::default().max_body(usize::MAX);
    assert_eq!(
        code(ClientMetadata::parse(
            &url(),
            padded(64 * 1024 + 1).as_bytes(),
            &huge
        )),
        "too_large"
    );
    assert!(ClientMetadata::parse(&url(), padded(64 * 1024).as_bytes(), &huge).is_ok());
    let bad_utf8 = [
        format!("{{\"client_id\":\"{ID}\",\"x\":\"").as_bytes(),
        b"\xff\"}",
    ]
    .concat();
    assert_eq!(
        code(ClientMetadata::parse(&url(), &bad_utf8, &policy)),
        "json_syntax"
    );

    let confidential = DocumentPolicy::default().require_confidential();
    assert_eq!(
        code(parse_with(json!({}), &confidential)),
        "confidential_required"
    );
    assert!(parse_with(json!({"jwks": {"keys": []}}), &confidential).is_ok());
    let only_tls = DocumentPolicy::default().methods([AuthMethod::TlsClientAuth]);
    assert_eq!(code(parse_with(json!({}), &only_tls)), "unsupported_method");
    assert!(
        parse_with(
            json!({"token_endpoint_auth_method": "tls_client_auth"}),
            &only_tls
        )
        .is_ok()
    );
    let whole = DocumentPolicy::default().allow_trust_domain_wildcard();
    assert!(parse_with(json!({"spiffe_id": "spiffe://example.org/*"}), &whole).is_ok());
    // Naming a refused algorithm in the policy does not enable it.
    let hs = DocumentPolicy::default().signing_algorithms(["HS256", "none"]);
    assert_eq!(
        code(parse_with(
            json!({"token_endpoint_auth_signing_alg": "HS256"}),
            &hs
        )),
        "member_value"
    );

    assert!(check_public_keys(br#"{"keys":[{"kty":"EC","x":"x"}]}"#).is_ok());
    assert_eq!(
        check_public_keys(br#"{"keys":[{"kty":"RSA"},{"kty":"EC","d":""}]}"#),
        Err(Error::SecretKey { index: 1 })
    );
    assert_eq!(
        code(check_public_keys(br#"{"keys":[],"keys":[]}"#)),
        "json_duplicate"
    );
}

/// Covers: CIMD-4.2-1, CIMD-4.2-2, CIMD-A10
#[test]
fn redirect_uris_match_exactly() {
    let client = parse(json!({"redirect_uris": [
        "https://app.example.com/cb", "http://127.0.0.1/cb", "http://[::1]:80/cb", "http://localhost:3000/cb"
    ]}));
    for (requested, matches) in [
        ("https://app.example.com/cb", true),
        ("https://app.example.com/cb/", false),
        ("https://app.example.com/cb?x=1", false),
        ("https://app.example.com/CB", false),
        ("https://APP.example.com/cb", false),
        ("https://app.example.com:443/cb", false),
        ("https://app.example.com/other", false),
        ("https://app.example.com/cb#", false),
        ("http://127.0.0.1:51004/cb", true),
        ("http://127.0.0.1/cb", true),
        ("http://[::1]:9/cb", true),
        ("http://127.0.0.1:51004/other", false),
        ("http://127.0.0.1:51004/cb?x", false),
        ("http://127.0.0.1:51004@evil.test/cb", false),
        ("http://127.0.0.1:99999/cb", false),
        ("http://127.0.0.1:/cb", false),
        ("http://127.0.0.1:1/cb#x", false),
        ("https://127.0.0.1/cb", false),
        ("http://localhost:3000/cb", true),
        ("http://localhost:3001/cb", false),
        ("http://localhost/cb", false),
        ("", false),
    ] {
        assert_eq!(
            client.match_redirect_uri(requested).is_ok(),
            matches,
            "{requested}"
        );
    }
    assert_eq!(
        code(parse(json!({})).match_redirect_uri("https://app.example.com/cb")),
        "member_missing"
    );
}

/// Covers: CIMD-8.1-1, CIMD-8.9-1, CIMD-A13
#[test]
fn redirect_policies_and_host_patterns() {
    let foreign =
        json!({"redirect_uris": ["https://app.example.com/cb", "https://login.example.net/cb"]});
    let hosts = |patterns: &[&str]| {
        let hosts = patterns
            .iter()
            .map(|text| HostPattern::parse(text).unwrap())
            .collect();
        DocumentPolicy::default().redirects(RedirectPolicy::AllowListed(hosts))
    };
    assert_eq!(
        parse_with(foreign.clone(), &DocumentPolicy::default()).unwrap_err(),
        Error::RedirectUri {
            index: 1,
            reason: "not on an allowed origin"
        }
    );
    assert!(parse_with(foreign.clone(), &hosts(&["*.example.net"])).is_ok());
    assert_eq!(
        code(parse_with(foreign.clone(), &hosts(&["example.net"]))),
        "redirect_uri"
    );
    assert_eq!(
        code(parse_with(foreign.clone(), &hosts(&["*.example.net/apps"]))),
        "redirect_uri"
    );
    let any = DocumentPolicy::default().redirects(RedirectPolicy::Any);
    assert!(parse_with(foreign, &any).is_ok());
    assert!(parse_with(json!({"redirect_uris": ["com.example.app:/cb"]}), &any).is_ok());
    for bad in [
        "javascript:alert(1)",
        "data:,x",
        "file:///x",
        "http://a.example/cb",
        "Com.example:/",
        "x y.z:/",
    ] {
        assert_eq!(
            code(parse_with(json!({"redirect_uris": [bad]}), &any)),
            "redirect_uri",
            "{bad}"
        );
    }

    let matches = |pattern: &str, url: &str| {
        HostPattern::parse(pattern)
            .unwrap()
            .matches(&HttpsUrl::parse(url, "client_id").unwrap())
    };
    assert!(matches("*.example.com", "https://a.b.EXAMPLE.com/c"));
    assert!(!matches("*.example.com", "https://example.com/c"));
    assert!(!matches("*.example.com", "https://badexample.com/c"));
    assert!(!matches("*.example.com", "https://example.com.evil.test/c"));
    assert!(matches("example.com/apps/", "https://example.com/apps/1"));
    assert!(!matches(
        "example.com/apps",
        "https://example.com/apps-evil/1"
    ));
    assert!(!matches(
        "example.com/apps",
        "https://example.com/upload/x.json"
    ));
    for bad in [
        "*",
        "*.",
        "a.*",
        "*.*.a",
        "",
        "a:1",
        "a?x",
        "https://a",
        "127.0.0.1",
    ] {
        assert_eq!(HostPattern::parse(bad), None, "{bad}");
    }
}

/// Covers: CIMD-7591-4, CIMD-7591-6, CIMD-7591-8, CIMD-4.2-3
#[test]
fn grants_scopes_and_names() {
    let plain = parse(json!({}));
    assert!(plain.allows_grant("authorization_code") && !plain.allows_grant("client_credentials"));
    assert_eq!(plain.allows_scope("read"), None);
    let keys = json!({"keys": []});
    let machine = parse(
        json!({"jwks": keys, "grant_types": ["client_credentials"], "scope": "read list",
        "client_name": "A", "client_name#de": "B"}),
    );
    assert!(
        machine.allows_grant("client_credentials") && !machine.allows_grant("authorization_code")
    );
    assert_eq!(machine.allows_scope("read"), Some(true));
    assert_eq!(machine.allows_scope("read write"), Some(false));
    assert_eq!(
        (
            machine.localized("client_name", "DE"),
            machine.localized("client_name", "fr")
        ),
        (Some("B"), Some("A"))
    );
    // Without authentication the grant is not given, though it is listed.
    assert!(
        !parse(json!({"grant_types": ["client_credentials"]})).allows_grant("client_credentials")
    );
}

/// Covers: CIMD-SPIFFE-5.1-3, CIMD-SPIFFE-5.1-4, CIMD-A18
#[test]
fn spiffe_ids_match_whole_segments() {
    let matches = |pattern: &str, id: &str| {
        let client = parse(json!({ "spiffe_id": pattern }));
        spiffe_id::SpiffeId::parse(id).is_ok_and(|id| client.spiffe_id().unwrap().matches(&id))
    };
    let client = "spiffe://example.org/client/*";
    for (id, expected) in [
        ("spiffe://example.org/client/123", true),
        ("spiffe://example.org/client/a/b", true),
        ("spiffe://example.org/client123-evil", false),
        ("spiffe://example.org/client", false),
        ("spiffe://example.org/client/", false),
        ("spiffe://other.org/client/123", false),
        ("spiffe://example.org/Client/123", false),
    ] {
        assert_eq!(matches(client, id), expected, "{id}");
    }
    assert!(matches("spiffe://example.org/a", "spiffe://example.org/a"));
    assert!(!matches(
        "spiffe://example.org/a",
        "spiffe://example.org/a/b"
    ));
    assert!(!matches("spiffe://example.org/a", "spiffe://example.org/A"));
}

/// Every URL of the document is listed, so that none escapes the guard.
///
/// Covers: CIMD-A5
/// Covers: OAUTH-SPIFFE-A11
#[test]
fn urls_inside_are_listed_and_guarded() {
    let client = parse(
        json!({"jwks_uri": "https://a.example/k", "logo_uri#de": "https://a.example:22/l",
        "spiffe_bundle_endpoint": "https://a.example/b", "spiffe_id": "spiffe://a.example/x"}),
    );
    let policy = FetchPolicy::default();
    for (member, url) in client.urls() {
        let plan = FetchPlan::new(url, &policy);
        if member == "logo_uri" {
            assert_eq!(code(plan.map(|_| ())), "port_refused");
        } else {
            let inside = ["10.0.0.1:443".parse().unwrap()];
            assert_eq!(
                code(plan.unwrap().check_addresses(&inside)),
                "address_refused"
            );
        }
    }
    assert_eq!(client.urls().count(), 3);
    assert_eq!(client.jwks_uri().unwrap().as_str(), "https://a.example/k");
    assert_eq!(
        client.spiffe_bundle_endpoint().unwrap().as_str(),
        "https://a.example/b"
    );
}

/// Covers: CIMD-5.2-2, CIMD-A14
#[test]
fn freshness() {
    let lifetime = |pairs: &[(&'static str, &str)]| {
        let freshness = CachePolicy::new().freshness(&headers(pairs), now());
        freshness
            .expires()
            .map(|expires| expires.as_secs() - now().as_secs())
    };
    assert_eq!(lifetime(&[]), Some(3600));
    for (control, expected) in [
        ("max-age=5", Some(60)),
        ("max-age=31536000", Some(86400)),
        ("Public, MAX-AGE=600", Some(600)),
        ("max-age=600, max-age=300", Some(300)),
        ("max-age=x", Some(60)),
        ("max-age=99999999999999999999999", Some(60)),
        ("no-cache, max-age=600", Some(60)),
        ("no-store", None),
        ("s-maxage=600", Some(3600)),
    ] {
        assert_eq!(
            lifetime(&[("cache-control", control)]),
            expected,
            "{control}"
        );
    }
    assert_eq!(
        lifetime(&[("cache-control", "max-age=600"), ("age", "100")]),
        Some(500)
    );
    let dated = |expires| {
        lifetime(&[
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("expires", expires),
        ])
    };
    assert_eq!(dated("Sun, 06 Nov 1994 09:00:00 GMT"), Some(623));
    assert_eq!(dated("Mon, 07 Nov 1994 07:49:37 GMT"), Some(82_800));
    for bad in [
        "0",
        "Sun, 32 Nov 1994 09:00:00 GMT",
        "Sun, 06 Nov 1994 09:00:00 CET",
        "Sun, 06 Nov 1994 08:00:00 GMT",
    ] {
        assert_eq!(dated(bad), Some(60), "{bad}");
    }
    // 1 800 000 000 is Friday, 15 January 2027, 08:00:00; a leap year lies on the way.
    assert_eq!(
        lifetime(&[("expires", "Fri, 15 Jan 2027 08:10:00 GMT")]),
        Some(600)
    );
    let policy = CachePolicy::new().bounds(Duration::from_secs(10), Duration::from_secs(20));
    let fresh = policy.freshness(&headers(&[("etag", "\"a\"")]), now());
    assert!(
        fresh.is_fresh(UnixTime::since_unix_epoch(Duration::from_secs(
            now().as_secs() + 19
        )))
    );
    assert!(
        !fresh.is_fresh(UnixTime::since_unix_epoch(Duration::from_secs(
            now().as_secs() + 20
        )))
    );
    assert!(fresh.validators().eq([(
        http::header::IF_NONE_MATCH,
        HeaderValue::from_static("\"a\"")
    )]));
}

/// Covers: CIMD-5.2-1, CIMD-9.1-1
#[test]
fn cache() {
    let document = |id: &str| {
        let url = ClientIdUrl::parse(id).unwrap();
        let body = json!({ "client_id": id }).to_string();
        Arc::new(ClientMetadata::parse(&url, body.as_bytes(), &DocumentPolicy::default()).unwrap())
    };
    let hour = CachePolicy::new().freshness(&HeaderMap::new(), now());
    let cache = DocumentCache::new(2);
    let [a, b, c] = [
        "https://a.example/1",
        "https://a.example/2",
        "https://a.example/3",
    ];
    cache.insert(document(a), hour.clone());
    cache.insert(document(b), hour.clone());
    assert!(cache.get(a, now()).is_some());
    assert!(cache.get("https://a.example:443/1", now()).is_none());
    cache.insert(document(c), hour.clone());
    assert!(
        cache.get(b, now()).is_none(),
        "the least recently used is gone"
    );
    assert!(cache.get(a, now()).is_some() && cache.get(c, now()).is_some());
    assert_eq!(cache.len(), 2);
    let later = UnixTime::since_unix_epoch(Duration::from_secs(now().as_secs() + 3600));
    assert!(cache.get(a, later).is_none());
    assert!(
        cache.get(a, now()).is_none(),
        "an expired document does not come back"
    );
    // It is kept for the question whether it changed.
    let expired = cache.expired(a, now()).unwrap();
    assert_eq!(expired.into_document().client_id().as_str(), a);
    assert!(cache.expired(c, now()).is_none());
    let unstored = CachePolicy::new().freshness(&headers(&[("cache-control", "no-store")]), now());
    cache.insert(document(c), unstored);
    assert_eq!(cache.len(), 1);
    cache.insert(document(a), hour);
    assert!(cache.get(a, now()).is_some());
    cache.remove(a);
    cache.remove(b);
    assert!(cache.is_empty());
}

/// Eight readers and a writer: readers see one table or the other, and never wait for a third.
///
/// Covers: CIMD-5.2-5
#[test]
fn readers_beside_a_writer() {
    let id = |n: usize| format!("https://a.example/{n}");
    let document = |n: usize| {
        let url = ClientIdUrl::parse(&id(n)).unwrap();
        let body = json!({ "client_id": id(n) }).to_string();
        Arc::new(ClientMetadata::parse(&url, body.as_bytes(), &DocumentPolicy::default()).unwrap())
    };
    let hour = CachePolicy::new().freshness(&HeaderMap::new(), now());
    let cache = DocumentCache::default();
    cache.insert(document(0), hour.clone());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let found = cache.get("https://a.example/0", now()).unwrap();
                    assert_eq!(found.client_id().as_str(), "https://a.example/0");
                }
            });
        }
        for n in 0..100 {
            cache.insert(document(n), hour.clone());
        }
    });
    assert_eq!(cache.len(), 100);

    // The 1025th pushes out the one that nobody asked for the longest time.
    for n in 100..1024 {
        cache.insert(document(n), hour.clone());
    }
    assert!(
        (0..1024)
            .filter(|n| *n != 7)
            .all(|n| cache.get(&id(n), now()).is_some())
    );
    cache.insert(document(1024), hour);
    assert_eq!(cache.len(), 1024);
    assert!(cache.get(&id(7), now()).is_none());
}

/// Covers: CIMD-8.4-1, CIMD-8.4.1-1, CIMD-A15
#[test]
fn changes() {
    let key = |x: &str| json!({"kty": "EC", "x": x});
    let base = json!({"redirect_uris": ["https://app.example.com/cb"], "jwks": {"keys": [key("1")]}, "client_name": "A"});
    let old = parse(base.clone());
    let with = |member: &str, value: Value| {
        let mut document = base.clone();
        document[member] = value;
        parse(document)
    };
    assert_eq!(old.reaction(&old), Reaction::Nothing);
    for (member, value) in [
        ("redirect_uris", json!(["https://app.example.com/cb2"])),
        ("scope", json!("a")),
        ("grant_types", json!(["authorization_code"])),
        ("client_name", json!("B")),
        ("logo_uri", json!("https://a.example/l")),
        ("spiffe_id", json!("spiffe://a.example/b")),
    ] {
        let new = with(member, value.clone());
        let changes: Vec<_> = old.changes(&new).collect();
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (changes[0].member, changes[0].old, changes[0].new),
            (member, base.get(member), Some(&value))
        );
        assert_eq!(old.reaction(&new), Reaction::AskAgain, "{member}");
    }
    assert_eq!(
        old.reaction(&with("token_endpoint_auth_method", json!("none"))),
        Reaction::Revoke
    );
    assert_eq!(
        old.reaction(&parse(
            json!({"redirect_uris": ["https://app.example.com/cb"]})
        )),
        Reaction::Revoke
    );
    assert_eq!(
        old.reaction(&with("jwks", json!({"keys": [key("1"), key("2")]}))),
        Reaction::Nothing
    );
    let replaced = with("jwks", json!({"keys": [key("2")]}));
    assert!(old.keys_replaced(&replaced));
    assert_eq!(old.reaction(&replaced), Reaction::Revoke);
}

/// Covers: CIMD-A20
#[test]
fn the_client_learns_nothing_about_the_network() {
    let errors = [
        Error::Resolve,
        Error::Connect,
        Error::Tls,
        Error::Http,
        Error::Timeout,
        Error::AddressRefused,
        Error::Status { status: 404 },
        Error::Status { status: 503 },
        Error::ContentType,
        Error::ClientIdMismatch,
    ];
    for error in &errors {
        assert_eq!(error.oauth_error(), "invalid_client");
        assert_eq!(error.oauth_description(), errors[0].oauth_description());
    }
    assert!(
        Error::Status { status: 503 }.retryable() && !Error::Status { status: 404 }.retryable()
    );
}

proptest! {
    /// What is accepted is what a general URL parser reads too, and satisfies every stated rule.
    ///
    /// Covers: CIMD-A7
    #[test]
    fn accepted_urls_mean_the_same_to_a_url_parser(text in "https://[a-zA-Z0-9.:@\\\\%/-]{1,12}[/a-z.%2eE?#\\\\\t-]{0,14}") {
        if let Ok(url) = ClientIdUrl::parse(&text) {
            let parsed = ::url::Url::parse(&text).unwrap();
            prop_assert!(matches!(parsed.host(), Some(::url::Host::Domain(host)) if host.eq_ignore_ascii_case(url.host())));
            prop_assert_eq!(parsed.path(), url.as_url().path());
            prop_assert_eq!(parsed.port_or_known_default(), Some(url.as_url().port()));
            prop_assert!(parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none());
            prop_assert!(!text.contains(['\\', '#', '\t']));
            // In a path it is a character like others.
            prop_assert!(text.split('/').nth(2).is_some_and(|authority| !authority.contains('@')));
        }
    }

    /// Arbitrary bytes never panic, and nothing but a matching object is accepted.
    #[test]
    fn arbitrary_documents(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(ClientMetadata::parse(&url(), &body, &DocumentPolicy::default()).is_err());
    }
}
