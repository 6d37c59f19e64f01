//! What surrounds a document: statements, the server's own metadata, one's own document, limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::{collections::HashMap, time::Duration};

use cimd::{
    ClientIdUrl, ClientMetadata, DocumentPolicy, Error, FetchLimiter, HttpsUrl, JsonProblem, Logo,
    Rate, Unreachable, UnreachableHosts, looks_like_url, support,
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

fn unreachable(error: Error) -> Unreachable {
    Unreachable::from_error(&error).unwrap()
}

fn host(text: &str) -> HttpsUrl {
    HttpsUrl::parse(text, "client_id").unwrap()
}

/// Covers: CIMD-5.2-3, CIMD-5.2-4
#[test]
fn only_what_came_before_a_response_can_be_kept() {
    for error in [
        Error::Resolve,
        Error::NoAddress,
        Error::AddressRefused,
        Error::Connect,
        Error::ConnectTimeout,
        Error::Tls,
    ] {
        assert_eq!(Error::from(unreachable(error.clone())), error);
        assert_eq!(unreachable(error.clone()).error(), &error);
        let (status, url) = (Error::Status { status: 503 }, host(URL));
        assert_eq!(error.oauth_error(), status.oauth_error());
        assert_eq!(error.oauth_description(), status.oauth_description());
        let hosts = UnreachableHosts::default();
        hosts.insert(&url, unreachable(error.clone()), at(100));
        assert_eq!(hosts.get(&url, at(100)), Some(unreachable(error)));
    }
    let retry_after = Duration::from_secs(1);
    for error in [
        Error::Timeout,
        Error::Http,
        Error::Status { status: 503 },
        Error::Status { status: 404 },
        Error::Status { status: 302 },
        Error::ContentType,
        Error::ContentEncoding,
        Error::TooLarge { limit: 5120 },
        Error::Json(JsonProblem::Syntax),
        Error::ClientIdMismatch,
        Error::MemberMissing {
            member: "client_id",
        },
        Error::HostRefused,
        Error::PortRefused { port: 22 },
        Error::TooManyFetches { retry_after },
    ] {
        assert_eq!(Unreachable::from_error(&error), None, "{error}");
    }
}

/// Covers: CIMD-5.2-5
#[test]
fn unreachable_hosts_for_their_time() {
    let url = host("https://a.example/1");
    for (lifetime, seconds) in [
        (Duration::from_millis(1999), 1),
        (Duration::from_secs(10), 10),
        (Duration::from_secs(61), 60),
        (Duration::MAX, 60),
    ] {
        let hosts = UnreachableHosts::new(1024, lifetime);
        hosts.insert(&url, unreachable(Error::Connect), at(100));
        assert!(hosts.get(&url, at(100 + seconds - 1)).is_some());
        assert!(hosts.get(&url, at(100 + seconds)).is_none());
        // What was over stays over.
        assert!(hosts.get(&url, at(100)).is_none());
    }
    for (capacity, lifetime) in [(1024, 0), (0, 10)] {
        let hosts = UnreachableHosts::new(capacity, Duration::from_secs(lifetime));
        hosts.insert(&url, unreachable(Error::Connect), at(100));
        assert!(hosts.is_empty() && hosts.get(&url, at(100)).is_none());
    }

    // One lifetime from the first look at a clock that was set back, and none more from the second.
    let hosts = UnreachableHosts::default();
    hosts.insert(&url, unreachable(Error::Connect), at(1000));
    assert!(hosts.get(&url, at(50)).is_some());
    assert!(hosts.get(&url, at(59)).is_some());
    assert!(hosts.get(&url, at(60)).is_none());

    // The latest failure is the one that holds, and for its own time.
    hosts.insert(&url, unreachable(Error::Tls), at(100));
    hosts.insert(&url, unreachable(Error::Resolve), at(105));
    assert_eq!(hosts.get(&url, at(114)), Some(unreachable(Error::Resolve)));

    // By host and port, as they are meant.
    for (text, expected) in [
        ("https://a.example/2?q", true),
        ("https://A.Example:443/", true),
        ("https://a.example:8443/1", false),
        ("https://b.example/1", false),
    ] {
        assert_eq!(hosts.get(&host(text), at(114)).is_some(), expected);
    }
    hosts.remove(&host("https://a.example:8443/1"));
    assert_eq!(hosts.len(), 1);
    hosts.remove(&host("https://A.EXAMPLE:443/3"));
    assert!(hosts.is_empty());
}

/// Covers: CIMD-5.2-5
#[test]
fn unreachable_hosts_are_bounded() {
    let url = |n: u64| host(&format!("https://h{n}.example/"));
    let hosts = UnreachableHosts::default();
    let kept = |numbers: std::ops::Range<u64>, now: u64| {
        numbers
            .filter(|n| hosts.get(&url(*n), at(now)).is_some())
            .count()
    };
    for n in 0..1024 {
        hosts.insert(&url(n), unreachable(Error::Connect), at(100 + n / 512));
    }
    assert_eq!((hosts.len(), kept(0..1024, 101)), (1024, 1024));
    // One that is kept already needs no room.
    hosts.insert(&url(0), unreachable(Error::Connect), at(105));
    assert_eq!(kept(0..1024, 105), 1024);
    // Full: those of the first second would end first.
    for n in 1024..1034 {
        hosts.insert(&url(n), unreachable(Error::Connect), at(105));
    }
    assert_eq!((hosts.len(), kept(1..512, 105)), (1024, 501));
    assert_eq!((kept(0..1, 105), kept(512..1034, 105)), (1, 522));
    // Those that are over go at once.
    hosts.insert(&url(2000), unreachable(Error::Connect), at(111));
    assert_eq!(hosts.len(), 12);
    assert_eq!((kept(0..1, 111), kept(1024..1034, 111)), (1, 10));
}

/// Readers and writers at the same time: nothing that was put in last is lost.
///
/// Covers: CIMD-5.2-5
#[test]
fn unreachable_hosts_beside_writers() {
    let url = |n: u64| host(&format!("https://h{n}.example/"));
    let hosts = UnreachableHosts::default();
    hosts.insert(&url(0), unreachable(Error::Tls), at(100));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let hosts = &hosts;
            scope.spawn(move || {
                for n in 1..50 {
                    hosts.insert(&url(100 * writer + n), unreachable(Error::Connect), at(100));
                    assert!(hosts.get(&url(0), at(100)).is_some());
                }
            });
        }
    });
    assert_eq!(hosts.len(), 1 + 4 * 49);
}

proptest! {
    /// Whatever the clock does: a table with room answers as the model does, and a full one only forgets. In the model
    /// an end is never more than a lifetime from any time at which it was looked at.
    ///
    /// Covers: CIMD-5.2-5
    #[test]
    fn unreachable_hosts_follow_a_model(
        lifetime in 1_u64..8,
        steps in prop::collection::vec((-9_i64..10, 0_u64..4, 0_u8..8), 1..200),
    ) {
        let seconds = Duration::from_secs(lifetime);
        let (roomy, tight) = (UnreachableHosts::new(4, seconds), UnreachableHosts::new(2, seconds));
        let mut model: HashMap<u64, (Error, u64)> = HashMap::new();
        let mut now = 1000_u64;
        for (pause, number, action) in steps {
            now = now.saturating_add_signed(pause);
            let url = host(&format!("https://h{number}.example/"));
            match action {
                0..2 => {
                    let error = if action == 0 { Error::Connect } else { Error::Tls };
                    for hosts in [&roomy, &tight] {
                        hosts.insert(&url, unreachable(error.clone()), at(now));
                        prop_assert_eq!(hosts.get(&url, at(now)), Some(unreachable(error.clone())));
                    }
                    model.insert(number, (error, now + lifetime));
                }
                2 => {
                    roomy.remove(&url);
                    tight.remove(&url);
                    model.remove(&number);
                }
                _ => {
                    let expected = model.get_mut(&number).and_then(|(error, ends)| {
                        *ends = if now < *ends { (*ends).min(now + lifetime) } else { 0 };
                        (now < *ends).then(|| unreachable(error.clone()))
                    });
                    prop_assert_eq!(roomy.get(&url, at(now)), expected.clone());
                    let found = tight.get(&url, at(now));
                    prop_assert!(found.is_none() || found == expected);
                }
            }
            prop_assert!(tight.len() <= 2);
            prop_assert_eq!(roomy.len(), model.len());
        }
    }

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
