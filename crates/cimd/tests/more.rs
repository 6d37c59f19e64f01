//! What surrounds a document: statements, the server's own metadata, one's own document, limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::Duration;

use cimd::{
    ClientIdUrl, ClientMetadata, DocumentPolicy, Error, FetchLimiter, Logo, Rate, looks_like_url,
    support,
};
use pki_types::UnixTime;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const URL: &str = "https://app.example.com/client.json";

fn url() -> ClientIdUrl {
    ClientIdUrl::parse(URL).unwrap()
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

/// Covers: CIMD-7591-10, CIMD-4.3-1, CIMD-4.3-2
#[test]
fn software_statements() {
    let body = json!({"client_id": URL, "client_name": "Plain", "software_statement": "a.b.c"});
    let body = body.to_string();
    let parse = |trusted: Option<Result<Value, Error>>| {
        let policy = DocumentPolicy::default();
        ClientMetadata::parse_with_statement(&url(), body.as_bytes(), &policy, |statement| {
            assert_eq!(statement, "a.b.c");
            trusted.map(|claims| claims.map(object))
        })
    };
    let name = |claims: Value| {
        let parsed = parse(Some(Ok(claims)));
        parsed.map(|client| client.client_name().map(str::to_owned))
    };

    // Nobody known made it, or nobody was asked.
    assert_eq!(parse(None).unwrap().client_name(), Some("Plain"));
    let unasked = ClientMetadata::parse(&url(), body.as_bytes(), &DocumentPolicy::default());
    assert_eq!(unasked.unwrap().members()["software_statement"], "a.b.c");

    // What a known issuer says wins, and is checked like the rest.
    let claims = json!({"iss": "https://s.example", "client_name": "Stated", "client_id": URL});
    assert_eq!(name(claims.clone()), Ok(Some("Stated".to_owned())));
    assert!(
        !parse(Some(Ok(claims)))
            .unwrap()
            .members()
            .contains_key("iss")
    );
    let secret = name(json!({"client_secret": "x"}));
    assert_eq!(secret.unwrap_err().code(), "secret_member");
    let foreign = name(json!({"redirect_uris": ["https://evil.example/"]}));
    assert_eq!(foreign.unwrap_err().code(), "redirect_uri");

    // Copied from another client, or not what its issuer signed.
    let copied = name(json!({"client_id": "https://other.example/client.json"}));
    assert_eq!(copied, Err(Error::SoftwareStatement));
    let forged = parse(Some(Err(Error::ContentType))).unwrap_err();
    assert_eq!(forged, Error::SoftwareStatement);
    assert_eq!(forged.requirement(), Some("CIMD-4.3-1"));
}

/// Covers: CIMD-6-1, CIMD-6-2
#[test]
fn servers_say_whether_they_read_documents() {
    let mut metadata = object(json!({"issuer": "https://as.example"}));
    assert!(!support::is_advertised(&metadata));
    support::advertise(&mut metadata, true);
    assert_eq!(
        metadata["client_id_metadata_document_supported"],
        json!(true)
    );
    assert!(support::is_advertised(&metadata));
    support::advertise(&mut metadata, false);
    assert!(!support::is_advertised(&metadata));
    for other in [json!("true"), json!(1), json!(null), json!([true])] {
        metadata.insert(support::SUPPORTED.to_owned(), other);
        assert!(!support::is_advertised(&metadata));
    }
}

#[test]
fn identifiers_that_look_like_urls() {
    for text in [URL, "https://", "HTTPS://x", "https://a"] {
        assert!(looks_like_url(text), "{text}");
    }
    for text in [
        "",
        "client-7",
        "http://x/",
        "https:/",
        "spiffe://td/a",
        "hé",
    ] {
        assert!(!looks_like_url(text), "{text}");
    }
}

/// Covers: CIMD-8.8-1
#[test]
fn images_are_told_by_their_bytes() {
    for (bytes, expected) in [
        (&b"\x89PNG\r\n\x1a\n..."[..], Some("image/png")),
        (b"\xff\xd8\xff\xe0..", Some("image/jpeg")),
        (b"GIF87a", Some("image/gif")),
        (b"GIF89a..", Some("image/gif")),
        (b"RIFF....WEBPVP8 ", Some("image/webp")),
        (b"RIFF....WAVE", None),
        (b"GIF88a", None),
        (b"\x89PNG\n\n\x1a\n", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"", None),
    ] {
        let logo = Logo::from_bytes(bytes.to_vec());
        assert_eq!(logo.as_ref().ok().map(Logo::media_type), expected);
        assert!(logo.is_ok_and(|logo| logo.bytes() == bytes) || expected.is_none());
    }
}

/// Covers: CIMD-5.2-5
#[test]
fn limits_hold_for_hosts_and_requesters_apart() {
    let second = Duration::from_secs(1);
    let limiter = || FetchLimiter::new(Rate::new(2, 3 * second), Rate::new(4, 60 * second), 2);
    let wait = |seconds| {
        Err(Error::TooManyFetches {
            retry_after: Duration::from_secs(seconds),
        })
    };

    let mut hosts = limiter();
    assert_eq!(hosts.admit("h.example", "a", at(100)), Ok(()));
    assert_eq!(hosts.admit("H.example", "b", at(100)), Ok(()));
    assert_eq!(hosts.admit("h.example", "a", at(100)), wait(3));
    assert_eq!(hosts.admit("h.example", "a", at(102)), wait(1));
    assert_eq!(hosts.admit("h.example", "a", at(103)), Ok(()));
    assert_eq!(hosts.admit("other.example", "b", at(103)), Ok(()));

    // Every third second a new host, until the requester has none left.
    let mut requesters = limiter();
    for turn in 0..4 {
        assert_eq!(
            requesters.admit("h.example", "a", at(100 + 3 * turn)),
            Ok(())
        );
    }
    assert_eq!(requesters.admit("h.example", "a", at(112)), wait(48));
    assert_eq!(requesters.admit("h.example", "b", at(112)), Ok(()));

    // A third host shares what is left for all others; it gets its own when one of the two is whole again.
    let mut many = limiter();
    for host in ["one", "two", "three", "four"] {
        assert_eq!(many.admit(host, host, at(100)), Ok(()), "{host}");
    }
    assert_eq!(many.admit("five", "five", at(100)), wait(3));
    assert_eq!(many.admit("one", "one", at(100)), Ok(()));
}

proptest! {
    /// However the requests come, a host is asked no more than its rate allows.
    ///
    /// Covers: CIMD-5.2-5
    #[test]
    fn no_host_is_asked_too_often(
        burst in 1_u32..5,
        interval in 1_u64..7,
        steps in prop::collection::vec((0_u64..4, 0_u8..3), 1..200),
    ) {
        let rate = Rate::new(burst, Duration::from_secs(interval));
        let free = Rate::new(u32::MAX, Duration::from_secs(1));
        let mut limiter = FetchLimiter::new(rate, free, 2);
        let (mut now, mut admitted) = (1000, Vec::new());
        for (pause, host) in steps {
            now += pause;
            let ok = limiter.admit(&format!("h{host}"), "r", at(now)).is_ok();
            if ok {
                admitted.push((host, now));
            }
        }
        for host in 0..3 {
            let times: Vec<u64> =
                admitted.iter().filter(|(h, _)| *h == host).map(|(_, time)| *time).collect();
            for (i, from) in times.iter().enumerate() {
                for (j, to) in times.iter().enumerate().skip(i) {
                    let most = u64::from(burst) + (to - from) / interval;
                    // An allowance that is whole may be forgotten, and one of many shares: never more than twice.
                    prop_assert!(u64::try_from(j - i + 1).unwrap() <= 2 * most);
                }
            }
        }
    }
}

#[cfg(feature = "server")]
mod publisher {
    use cimd::{AuthMethod, CachePolicy, FetchPlan, FetchPolicy, server::Publisher};
    use http::{HeaderMap, Method, StatusCode, header};

    use super::*;

    fn publisher() -> Publisher {
        let builder = Publisher::new("https://agent.example.com/client.json?v=1").unwrap();
        builder
            .member("client_name", "Agent")
            .member("jwks_uri", "https://agent.example.com/jwks.json")
            .member("grant_types", json!(["client_credentials"]))
            .max_age(Duration::from_secs(600))
            .build()
            .unwrap()
    }

    /// What is served is what a server of ours accepts, and keeps as long as it is told.
    ///
    /// Covers: CIMD-3-12, CIMD-8.2-1
    #[test]
    fn serves_its_document_and_nothing_else() {
        let publisher = publisher();
        let url = publisher.metadata().client_id().clone();
        assert_eq!(
            publisher.metadata().accepted_methods(),
            [AuthMethod::PrivateKeyJwt]
        );

        let policy = FetchPolicy::default();
        let plan = FetchPlan::new(url.as_url(), &policy).unwrap();
        let request = plan.request().unwrap();
        let target = request.uri().to_string();
        let response = publisher.respond(request.method(), &target, request.headers());
        let (head, body) = response.into_parts();
        let body = plan
            .parse_response(head.status, &head.headers, &body)
            .unwrap();
        let read = ClientMetadata::parse(&url, &body, &DocumentPolicy::default()).unwrap();
        assert_eq!(read.members(), publisher.metadata().members());

        let freshness = CachePolicy::new().freshness(&head.headers, at(1000));
        assert_eq!(freshness.expires().unwrap().as_secs(), 1600);
        let again = plan.request_again(&freshness).unwrap();
        let response = publisher.respond(again.method(), &target, again.headers());
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert!(response.body().is_empty());
        let answer = plan.accept_again(&freshness, response.status(), response.headers());
        assert!(matches!(answer, Ok(cimd::Answer::NotModified)));
    }

    /// Covers: CIMD-3-12
    #[test]
    fn methods_and_paths() {
        let publisher = publisher();
        let respond =
            |method: Method, path: &str| publisher.respond(&method, path, &HeaderMap::new());
        let path = "/client.json?v=1";
        let (get, head) = (respond(Method::GET, path), respond(Method::HEAD, path));
        assert_eq!(get.headers(), head.headers());
        assert_eq!(
            get.headers()[header::CONTENT_LENGTH],
            get.body().len().to_string()
        );
        assert!(head.body().is_empty());
        let post = respond(Method::POST, path);
        assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(post.headers()[header::ALLOW], "GET, HEAD");
        for other in [
            "/client.json",
            "/client.json?v=2",
            "/",
            "/Client.json?v=1",
            "",
        ] {
            assert_eq!(respond(Method::GET, other).status(), StatusCode::NOT_FOUND);
            assert_eq!(respond(Method::POST, other).status(), StatusCode::NOT_FOUND);
        }
    }

    #[test]
    fn tags_are_compared_as_http_says() {
        let publisher = publisher();
        let own = publisher.respond(&Method::GET, "/client.json?v=1", &HeaderMap::new());
        let own = own.headers()[header::ETAG].to_str().unwrap().to_owned();
        for (value, known) in [
            (own.clone(), true),
            (format!("\"x\", W/{own}"), true),
            ("*".to_owned(), true),
            ("\"x\"".to_owned(), false),
            (own.trim_matches('"').to_owned(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, value.parse().unwrap());
            let response = publisher.respond(&Method::GET, "/client.json?v=1", &headers);
            assert_eq!(
                response.status() == StatusCode::NOT_MODIFIED,
                known,
                "{value}"
            );
        }
    }

    /// One cannot publish what nobody should accept.
    #[test]
    fn refuses_bad_documents() {
        let build = |name: &str, value: Value| {
            let built = Publisher::new(URL).unwrap().member(name, value).build();
            built.unwrap_err().code()
        };
        assert_eq!(build("client_secret", json!("x")), "secret_member");
        assert_eq!(
            build("client_id", json!("https://b.example/")),
            "client_id_mismatch"
        );
        assert_eq!(
            build("jwks", json!({"keys": [{"kty": "oct", "k": "AA"}]})),
            "secret_key"
        );
        assert_eq!(build("client_name", json!("x".repeat(6000))), "too_large");
        assert!(Publisher::new("http://a.example/c").is_err());
        let spiffe = Publisher::new(URL)
            .unwrap()
            .member("spiffe_id", "spiffe://a.example/x");
        let methods = spiffe.build().unwrap().metadata().accepted_methods();
        assert_eq!(methods, [AuthMethod::SpiffeJwt]);
    }
}
