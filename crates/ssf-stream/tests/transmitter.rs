//! The management API of a transmitter, by requests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::plane::*;
use common::*;
use serde_json::{Value, json};
use ssf_set::ssf::StreamStatus;
use ssf_set::{Subject, SubjectIdentifier};
use ssf_stream::address::AddressPolicy;
use ssf_stream::metadata::{POLL, PUSH, TransmitterMetadata};
use ssf_stream::stream::ConfigurationRequest;
use ssf_stream::transmitter::{
    Client, Decision, Peers, Policy, StreamRecord, SubjectDecision, Subjects, Transmitter,
};

fn push(url: &str) -> Value {
    json!({"delivery": {"method": PUSH, "endpoint_url": url}, "events_requested": [REVOKED]})
}

/// Covers: SSF-7.1-12, SSF-7.2-3, SSF-7.2.1-1, SSF-7.2.2-2, SSF-7.2.3-1, SSF-7.2.3-3, SSF-8-1, CAEP-INTEROP-2.7.3-6
#[test]
fn metadata_are_open_and_only_at_their_place() {
    let plane = plane(settings());
    let get = |target: &str| plane.send("", request("GET", target, &Value::Null), NOW);
    let response = get("https://signals.example.com/.well-known/ssf-configuration");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let metadata = TransmitterMetadata::parse(response.body(), ISSUER).unwrap();
    assert_eq!(&metadata, plane.transmitter.metadata());
    assert_eq!(metadata.authorization_schemes, ["urn:ietf:rfc:6749"]);
    assert_eq!(metadata.spec_version.as_deref(), Some("1_0"));
    assert_eq!(metadata.delivery_methods_supported, [PUSH, POLL]);
    for other in [
        "/.well-known/risc-configuration",
        "/.well-known/sse-configuration",
        "/.well-known/ssf-configuration/issuer1",
        "/issuer1/.well-known/ssf-configuration",
        "/.well-known/oauth-protected-resource/ssf",
        "/jwks.json",
        "/ssf/streams/x",
        "/ssf/poll/",
        "/",
    ] {
        assert_eq!(
            get(&format!("https://signals.example.com{other}")).status(),
            404,
            "{other}"
        );
    }
    let post = request(
        "POST",
        "https://signals.example.com/.well-known/ssf-configuration",
        &json!({}),
    );
    let response = plane.send("", post, NOW);
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["allow"].as_bytes()
        ),
        (405, &b"GET, HEAD"[..])
    );

    let small = plane::plane(
        settings()
            .without_status()
            .without_subjects()
            .without_verification()
            .with_jwks(&json!({"keys": []}))
            .with_authorization_servers(["https://as.example.com"]),
    );
    let metadata = small.transmitter.metadata();
    assert_eq!(
        (
            &metadata.status_endpoint,
            &metadata.add_subject_endpoint,
            &metadata.remove_subject_endpoint,
            &metadata.verification_endpoint
        ),
        (&None, &None, &None, &None)
    );
    let id = small.stream("rx");
    for (method, target, body) in [
        ("GET", "/status?stream_id=x", Value::Null),
        ("POST", "/subjects/add", json!({"stream_id": id})),
        ("POST", "/subjects/remove", json!({"stream_id": id})),
        ("POST", "/verify", json!({"stream_id": id})),
    ] {
        assert_eq!(small.ask(method, target, body).0, 404, "{target}");
    }
    let get = |target: &str| small.ask_as("", "GET", target, Value::Null, NOW);
    assert_eq!(
        get("https://signals.example.com/jwks.json"),
        (200, json!({"keys": []}))
    );
    let (status, resource) =
        get("https://signals.example.com/.well-known/oauth-protected-resource/ssf");
    assert_eq!(status, 200);
    assert_eq!(resource["resource"], BASE);
    assert_eq!(
        resource["authorization_servers"],
        json!(["https://as.example.com"])
    );
    assert_eq!(
        resource["scopes_supported"],
        json!(["ssf.read", "ssf.manage"])
    );
}

/// Covers: SSF-8.1.1.1-2, SSF-8.1.1.1-7, SSF-8.1.1.1-8, SSF-8.1.1.1-9, SSF-8.1.1-3, SSF-8.1.1-6, SSF-8.1.1-8, SSF-8.1.1-9, SSF-8.1.1-11
/// Covers: SSF-6.1-1, SSF-6.1.1-1, SSF-6.1.1-5, SSF-6.1.2-1, SSF-8.1.1-5, SSF-A11, SSF-A12, SET-PUSH-A9, SSF-A10
/// Covers: CAEP-INTEROP-2.3.8.1-1, SSF-A2, SSF-8.1.1-7
#[test]
fn streams_are_created_as_asked_for_or_not_at_all() {
    let plane = plane(settings().with_streams_per_receiver(100));
    let (status, body) = plane.ask(
        "POST",
        "/streams",
        json!({"stream_id": "mine", "iss": "x", "aud": "y"}),
    );
    assert_eq!(status, 201);
    let id = body["stream_id"].as_str().unwrap();
    assert_ne!(id, "mine");
    assert_eq!(
        body,
        json!({
            "stream_id": id, "iss": ISSUER, "aud": AUDIENCE,
            "events_supported": [REVOKED, CREDENTIAL], "events_delivered": [],
            "delivery": {"method": POLL, "endpoint_url": format!("{BASE}/poll/{id}")},
            "min_verification_interval": 60,
        })
    );
    let (status, body) = plane.ask(
        "POST",
        "/streams",
        json!({
            "delivery": {"method": PUSH, "endpoint_url": "https://rx.example.org/e?x=1", "authorization_header": "Bearer secret"},
            "events_requested": [CREDENTIAL, "urn:x", CREDENTIAL, ".*", REVOKED.to_uppercase(), "*"],
            "description": "d", "unknown": {"a": 1},
        }),
    );
    assert_eq!(status, 201);
    assert_eq!(
        body["delivery"],
        json!({"method": PUSH, "endpoint_url": "https://rx.example.org/e?x=1"})
    );
    assert_eq!(body["events_delivered"], json!([CREDENTIAL]));
    assert_eq!(body["events_requested"].as_array().unwrap().len(), 6);
    assert_eq!(body["description"], "d");
    let id = body["stream_id"].as_str().unwrap();
    let record = run(plane.transmitter.store().read(id)).unwrap().unwrap();
    assert!(!format!("{record:?}").contains("secret"));
    let (_, poll) = plane.ask(
        "POST",
        "/streams",
        json!({"delivery": {"method": POLL, "endpoint_url": "https://evil.example/x"}}),
    );
    assert!(
        poll["delivery"]["endpoint_url"]
            .as_str()
            .unwrap()
            .starts_with(BASE)
    );
    // What a receiver may have is not its own to say.
    let (_, third) = plane.ask_as(
        "third",
        "POST",
        "/streams",
        json!({"events_requested": [REVOKED, CREDENTIAL], "aud": "z"}),
        NOW,
    );
    assert_eq!(
        third["aud"],
        json!(["https://third.example.org", "https://third.example.org/app"])
    );
    assert_eq!(third["events_supported"], json!([CREDENTIAL]));
    assert_eq!(third["events_delivered"], json!([CREDENTIAL]));

    let before = run(plane.transmitter.store().of_receiver("rx"))
        .unwrap()
        .len();
    let header = |text: &str| json!({"delivery": {"method": PUSH, "endpoint_url": "https://rx.example.org", "authorization_header": text}});
    for bad in [
        json!({"delivery": {"method": "urn:ietf:rfc:9999"}}),
        json!({"delivery": {"method": "https://schemas.openid.net/secevent/risc/delivery-method/push", "endpoint_url": "https://rx.example.org"}}),
        json!({"delivery": {"method": PUSH}}),
        json!({"delivery": {}}),
        json!({"delivery": null}),
        json!({"delivery": "push"}),
        json!({"delivery": {"method": 1}}),
        push("http://rx.example.org/e"),
        push("/e"),
        push("https://u:p@rx.example.org/e"),
        push("https://rx.example.org/e#f"),
        push("file:///etc/passwd"),
        push("gopher://rx.example.org/"),
        push("https://localhost/e"),
        push("https://127.0.0.1/e"),
        push("https://169.254.169.254/latest"),
        push("https://[::ffff:10.0.0.1]/e"),
        push("https://192.168.1.1:8443/e"),
        header("a\r\nX: y"),
        header("a\nb"),
        header(""),
        header("\u{e9}"),
        header(&"a".repeat(9000)),
        json!({"events_requested": "x"}),
        json!({"events_requested": [1]}),
        json!({"events_requested": vec!["x"; 201]}),
        json!({"events_requested": ["x".repeat(2049)]}),
        json!({"description": 1}),
        json!({"description": "a\r\nb"}),
        json!({"description": "x".repeat(5000)}),
    ] {
        let (status, body) = plane.ask("POST", "/streams", bad.clone());
        assert_eq!(
            (status, body["error"].as_str()),
            (400, Some("invalid_request")),
            "{bad}"
        );
    }
    assert_eq!(
        run(plane.transmitter.store().of_receiver("rx"))
            .unwrap()
            .len(),
        before
    );
    let allowed = AddressPolicy::public().with_allowed("10.0.0.1".parse().unwrap());
    let lan = plane::plane(settings().with_addresses(allowed));
    assert_eq!(
        lan.ask("POST", "/streams", push("https://10.0.0.1/e")).0,
        201
    );
}

/// Covers: SSF-8.1.1-1, SSF-8.1.1-2, SSF-6.1.2-2, SSF-8.1.1.1-4, SSF-8.1-1, CAEP-INTEROP-2.3.8.2-2, SSF-8.1.1.2-2, SSF-8.1.1.2-3
#[test]
fn every_stream_has_a_name_of_its_own() {
    let plane = plane(settings().with_streams_per_receiver(1000));
    let (mut ids, mut urls) = (HashSet::new(), HashSet::new());
    for _ in 0..1000 {
        let (status, body) = plane.ask("POST", "/streams", json!({}));
        assert_eq!(status, 201);
        let id = body["stream_id"].as_str().unwrap().to_owned();
        assert!(
            id.len() >= 22
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        );
        urls.insert(
            body["delivery"]["endpoint_url"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        ids.insert(id);
    }
    assert_eq!((ids.len(), urls.len()), (1000, 1000));
    let (status, all) = plane.ask("GET", "/streams", Value::Null);
    assert_eq!((status, all.as_array().unwrap().len()), (200, 1000));
    assert_eq!(
        plane.ask_as("other", "GET", "/streams", Value::Null, NOW),
        (200, json!([]))
    );
    let own = plane.stream("other");
    let (_, one) = plane.ask_as("other", "GET", "/streams", Value::Null, NOW);
    assert_eq!(
        (one.as_array().unwrap().len(), &one[0]["stream_id"]),
        (1, &json!(own))
    );
}

/// Covers: SSF-8.1.1.1-5, SSF-8.1.1.1-10, SSF-8.1.1.1-11, SSF-A18, SSF-A19
#[test]
fn creations_fail_with_their_codes() {
    struct Nobody;
    impl Policy for Nobody {
        fn create(&self, client: &Client, _: &ConfigurationRequest) -> Decision {
            if client.id == "rx" {
                Decision::Forbid
            } else {
                Decision::Undecided
            }
        }
    }
    let plane = plane(settings());
    let id = plane.stream("rx");
    let first = plane.ask("GET", &format!("/streams?stream_id={id}"), Value::Null);
    let same = json!({"events_requested": [REVOKED, CREDENTIAL]});
    let (status, body) = plane.ask("POST", "/streams", same);
    assert_eq!(
        (status, body["error"].as_str()),
        (409, Some("stream_exists"))
    );
    assert_eq!(
        plane.ask("GET", &format!("/streams?stream_id={id}"), Value::Null),
        first
    );

    let raw = |body: &[u8], content_type: Option<&str>| {
        let mut raw = request("POST", "/streams", &Value::Null);
        *raw.body_mut() = body.to_vec();
        if let Some(content_type) = content_type {
            raw.headers_mut()
                .insert("content-type", content_type.parse().unwrap());
        }
        plane.send("other", raw, NOW).status().as_u16()
    };
    let json = Some("application/json");
    for bad in [
        &b""[..],
        b"[]",
        b"null",
        b"{",
        b"\xef\xbb\xbf{}",
        b"{\"delivery\":{},\"delivery\":{}}",
        b"{} {}",
        b"{\"description\":\"\xff\"}",
        b"{\"stream_id\":\"a\",\"stream_id\":\"b\"}",
    ] {
        assert_eq!(raw(bad, json), 400, "{bad:?}");
    }
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(raw(deep.as_bytes(), json), 400);
    assert_eq!(
        raw(
            format!("{{\"x\":\"{}\"}}", "a".repeat(600_000)).as_bytes(),
            json
        ),
        413
    );
    for other in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data"),
    ] {
        assert_eq!(raw(b"{}", other), 400);
    }
    assert!(
        run(plane.transmitter.store().of_receiver("other"))
            .unwrap()
            .is_empty()
    );
    assert_eq!(raw(b"{}", Some("Application/JSON; charset=utf-8")), 201);

    let push_only = plane::plane(settings().without_poll());
    assert_eq!(push_only.ask("POST", "/streams", json!({})).0, 400);
    assert_eq!(
        push_only.transmitter.metadata().delivery_methods_supported,
        [PUSH]
    );
    let poll_only = plane::plane(settings().without_push());
    assert_eq!(
        poll_only
            .ask("POST", "/streams", push("https://rx.example.org"))
            .0,
        400
    );
    let nobody = plane_with(settings(), Some(Arc::new(Nobody)), 10);
    assert_eq!(nobody.ask("POST", "/streams", json!({})).0, 403);
    assert_eq!(
        nobody.ask_as("other", "POST", "/streams", json!({}), NOW).0,
        202
    );
    assert!(
        run(nobody.transmitter.store().of_receiver("other"))
            .unwrap()
            .is_empty()
    );
}

fn operations(id: &str) -> Vec<(&'static str, String, Value)> {
    vec![
        ("GET", format!("/streams?stream_id={id}"), Value::Null),
        (
            "PATCH",
            "/streams".to_owned(),
            json!({"stream_id": id, "description": "changed"}),
        ),
        (
            "PUT",
            "/streams".to_owned(),
            json!({"stream_id": id, "delivery": {"method": POLL}}),
        ),
        ("GET", format!("/status?stream_id={id}"), Value::Null),
        (
            "POST",
            "/status".to_owned(),
            json!({"stream_id": id, "status": "disabled"}),
        ),
        (
            "POST",
            "/subjects/add".to_owned(),
            json!({"stream_id": id, "subject": {"format": "opaque", "id": "x"}}),
        ),
        (
            "POST",
            "/subjects/remove".to_owned(),
            json!({"stream_id": id, "subject": {"format": "opaque", "id": "x"}}),
        ),
        ("POST", "/verify".to_owned(), json!({"stream_id": id})),
        (
            "POST",
            format!("/poll/{id}"),
            json!({"returnImmediately": true, "ack": ["x"]}),
        ),
        ("DELETE", format!("/streams?stream_id={id}"), Value::Null),
    ]
}

/// Covers: SSF-8-2, SSF-8-3, SSF-A1, SSF-8.1.1.2-6, SSF-8.1.1.5-3, SSF-8.1.2.1-10, SSF-7.1.1-3, SET-POLL-3-2, SET-POLL-A9
/// Covers: SET-POLL-A1, CAEP-INTEROP-A9, SET-POLL-2.5.1-2, SSF-8.1.1.5-1
#[test]
fn nobody_reaches_the_stream_of_another() {
    let plane = plane(settings());
    let id = plane.stream("rx");
    let before = run(plane.transmitter.store().read(&id)).unwrap();
    for (method, target, body) in operations(&id) {
        let response = plane.send("", request(method, &target, &body), NOW);
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["www-authenticate"].as_bytes()
            ),
            (401, &b"Mutual"[..]),
            "{method} {target}"
        );
        let response = plane.send("stranger", request(method, &target, &body), NOW);
        assert_eq!(response.status(), 401, "{method} {target}");
        assert!(
            response.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .contains("invalid_token")
        );
        let foreign = plane.send("other", request(method, &target, &body), NOW);
        assert_eq!(foreign.status(), 404, "{method} {target}");
        let target = target.replace(&id, "unknown");
        let body: Value = serde_json::from_str(&body.to_string().replace(&id, "unknown")).unwrap();
        let unknown = plane.send("other", request(method, &target, &body), NOW);
        assert_eq!(
            (unknown.status(), unknown.body()),
            (foreign.status(), foreign.body())
        );
        assert_eq!(unknown.headers(), foreign.headers());
    }
    assert_eq!(
        run(plane.transmitter.store().read(&id)).unwrap(),
        before,
        "no side effect"
    );

    let gone = operations(&id).pop().unwrap();
    assert_eq!(plane.ask(gone.0, &gone.1, gone.2), (204, Value::Null));
    for (method, target, body) in operations(&id) {
        assert_eq!(plane.ask(method, &target, body).0, 404, "{method} {target}");
    }
    let uniform = plane::plane(settings().with_uniform_400());
    assert_eq!(uniform.ask("POST", "/poll/unknown", json!({})).0, 400);
}

/// Covers: SSF-8-2, SSF-8.1.2.2-2, SSF-8.1.3.2-5, SSF-8.1.3.3-2, SSF-8.1.4.2-5, SSF-8.1.1.5-2, SSF-8.1.2.1-1, SSF-8.1.1.3-2, SSF-8.1.1.4-2
/// Covers: CAEP-INTEROP-A9
#[test]
fn what_is_not_allowed_or_not_named_is_not_done() {
    use ssf_stream::transmitter::Operation::*;
    let all = [
        ReadStream,
        UpdateStream,
        ReplaceStream,
        ReadStatus,
        UpdateStatus,
        AddSubject,
        RemoveSubject,
        Verify,
        Poll,
        DeleteStream,
    ];
    let provider = jose_x509::provider::ring::provider();
    let key = jose_x509::SigningKey::generate(&provider, jose_x509::Algorithm::Es256).unwrap();
    let transmitter = Transmitter::new(
        ssf_set::SetIssuer::new(key, provider, ISSUER).unwrap(),
        provider,
        settings(),
        Arc::new(ssf_stream::transmitter::MemoryStreamStore::new()),
        Arc::new(ssf_stream::queue::MemoryEventQueue::new(10)),
        Arc::new(Peers::new().with_peer_except("rx", Client::new("rx", AUDIENCE), all)),
    )
    .unwrap();
    let keys = Arc::new(jose_x509::KeySet::new(vec![]).unwrap());
    let limited = Plane {
        transmitter,
        keys,
        queue: Arc::new(ssf_stream::queue::MemoryEventQueue::new(1)),
        pkcs8: Vec::new(),
    };
    let id = limited.stream("rx");
    let before = run(limited.transmitter.store().read(&id)).unwrap();
    for (method, target, body) in operations(&id) {
        assert_eq!(
            limited.ask(method, &target, body).0,
            403,
            "{method} {target}"
        );
    }
    assert_eq!(run(limited.transmitter.store().read(&id)).unwrap(), before);

    let plane = plane(settings());
    let id = plane.stream("rx");
    let subject = json!({"format": "opaque", "id": "x"});
    for (method, target, body) in [
        ("DELETE", "/streams", Value::Null),
        ("DELETE", "/streams?stream_id=", Value::Null),
        ("GET", "/status", Value::Null),
        ("GET", "/status?stream_id=a&stream_id=b", Value::Null),
        ("PATCH", "/streams", json!({"description": "x"})),
        ("PUT", "/streams", json!({"delivery": {"method": POLL}})),
        ("POST", "/status", json!({"status": "paused"})),
        ("POST", "/status", json!({"stream_id": id})),
        (
            "POST",
            "/status",
            json!({"stream_id": id, "status": "Paused"}),
        ),
        (
            "POST",
            "/status",
            json!({"stream_id": id, "status": "active"}),
        ),
        ("POST", "/status", json!({"stream_id": id, "status": true})),
        (
            "POST",
            "/status",
            json!({"stream_id": id, "status": "paused", "reason": "a\r\nb"}),
        ),
        (
            "POST",
            "/status",
            json!({"stream_id": id, "status": "paused", "reason": 1}),
        ),
        ("POST", "/subjects/add", json!({"stream_id": id})),
        ("POST", "/subjects/add", json!({"subject": subject})),
        (
            "POST",
            "/subjects/add",
            json!({"stream_id": id, "subject": "x"}),
        ),
        (
            "POST",
            "/subjects/add",
            json!({"stream_id": id, "subject": {"format": "email"}}),
        ),
        (
            "POST",
            "/subjects/add",
            json!({"stream_id": id, "subject": {"format": "complex"}}),
        ),
        (
            "POST",
            "/subjects/add",
            json!({"stream_id": id, "subject": {"format": "phone", "phone_number": "+12065550123"}}),
        ),
        (
            "POST",
            "/subjects/add",
            json!({"stream_id": id, "subject": subject, "verified": "true"}),
        ),
        ("POST", "/subjects/remove", json!({"stream_id": id})),
        ("POST", "/subjects/remove", json!({"subject": subject})),
        ("POST", "/verify", json!({})),
        ("POST", "/verify", json!({"stream_id": id, "state": 1})),
        (
            "POST",
            "/verify",
            json!({"stream_id": id, "state": "x".repeat(4097)}),
        ),
        ("POST", "/verify", json!({"stream_id": 1})),
    ] {
        assert_eq!(
            plane.ask(method, target, body.clone()).0,
            400,
            "{method} {target} {body}"
        );
    }
    let record = run(plane.transmitter.store().read(&id)).unwrap().unwrap();
    assert_eq!(
        (record.status, record.verification_at),
        (StreamStatus::Enabled, None)
    );
    for (target, allow) in [
        ("/verify", "POST"),
        ("/status", "GET, POST"),
        ("/streams", "GET, POST, PATCH, PUT, DELETE"),
    ] {
        let response = plane.send("rx", request("OPTIONS", target, &Value::Null), NOW);
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["allow"].to_str().unwrap()
            ),
            (405, allow)
        );
    }
}

/// Covers: SSF-8.1.1-4, SSF-8.1.1-13, SSF-8.1.1.2-1, SSF-8.1.1.2-5, SSF-8.1.1.3-1, SSF-8.1.1.3-3, SSF-8.1.1.3-4, SSF-8.1.1.3-5, SSF-8.1.1.3-6
/// Covers: SSF-8.1.1.3-7, SSF-8.1.1.3-8, SSF-8.1.1.3-10, SSF-8.1.1.4-1, SSF-8.1.1.4-3, SSF-8.1.1.4-4, SSF-8.1.1.4-6, SSF-A11, SET-PUSH-A10
#[test]
fn updates_change_what_they_say_and_replacements_everything() {
    let plane = plane(settings().with_max_description(9));
    let body = json!({
        "delivery": {"method": PUSH, "endpoint_url": "https://rx.example.org/a", "authorization_header": "Bearer s"},
        "events_requested": [REVOKED], "description": "12345678é0",
    });
    let (_, created) = plane.ask("POST", "/streams", body);
    assert_eq!(created["description"], "12345678", "cut between characters");
    let id = created["stream_id"].as_str().unwrap().to_owned();
    let now = || {
        plane
            .ask("GET", &format!("/streams?stream_id={id}"), Value::Null)
            .1
    };
    assert_eq!(now(), created);
    let change = |method: &str, mut body: Value| {
        body["stream_id"] = json!(id);
        plane.ask(method, "/streams", body)
    };
    let header = || {
        let record = run(plane.transmitter.store().read(&id)).unwrap().unwrap();
        match &record.configuration.delivery {
            ssf_stream::stream::Delivery::Push {
                authorization_header,
                ..
            } => authorization_header
                .as_ref()
                .map(|h| h.expose().to_str().unwrap().to_owned()),
            _ => None,
        }
    };
    // What is the transmitter's may be repeated, and not changed.
    for method in ["PATCH", "PUT"] {
        for (name, value) in [
            ("iss", json!("https://evil.example")),
            ("aud", json!("https://evil.example")),
            ("aud", json!([AUDIENCE, "x"])),
            ("events_supported", json!([REVOKED])),
            ("events_delivered", json!([REVOKED, CREDENTIAL])),
            ("min_verification_interval", json!(1)),
            ("inactivity_timeout", json!(1)),
        ] {
            let wrong = json!({name: value, "events_requested": [REVOKED, CREDENTIAL], "delivery": {"method": POLL}});
            assert_eq!(change(method, wrong).0, 400, "{method} {name}");
            assert_eq!(now(), created, "all or nothing");
        }
    }
    let (status, patched) = change(
        "PATCH",
        json!({
            "iss": ISSUER, "aud": [AUDIENCE], "events_supported": [CREDENTIAL, REVOKED], "events_delivered": [REVOKED],
            "min_verification_interval": 60, "x": 1, "events_requested": [CREDENTIAL, REVOKED],
        }),
    );
    assert_eq!(status, 200);
    let mut expected = created;
    expected["events_requested"] = json!([CREDENTIAL, REVOKED]);
    expected["events_delivered"] = json!([REVOKED, CREDENTIAL]);
    assert_eq!((&patched, &now()), (&expected, &expected));
    let (_, patched) = change("PATCH", json!({"description": "new"}));
    expected["description"] = json!("new");
    assert_eq!(patched, expected);
    assert_eq!(change("PATCH", json!({})).1, expected);
    for bad in [
        json!({"delivery": null}),
        json!({"delivery": {"method": "x"}}),
        json!({"events_requested": 1}),
    ] {
        assert_eq!(change("PATCH", bad).0, 400);
    }
    assert_eq!(now(), expected);
    let (_, patched) = change(
        "PATCH",
        json!({"description": null, "events_requested": null}),
    );
    assert_eq!(
        (
            patched.get("description"),
            patched.get("events_requested"),
            &patched["events_delivered"]
        ),
        (None, None, &json!([]))
    );
    assert_eq!(
        change("PATCH", json!({"events_requested": []})).1["events_delivered"],
        json!([])
    );

    // The secret stays with its origin.
    let to = |url: &str| json!({"delivery": {"method": PUSH, "endpoint_url": url}});
    assert_eq!(header().as_deref(), Some("Bearer s"));
    assert_eq!(change("PATCH", to("https://rx.example.org/b")).0, 200);
    assert_eq!(header().as_deref(), Some("Bearer s"));
    assert_eq!(change("PATCH", to("https://rx.example.org:444/b")).0, 200);
    assert_eq!(header(), None);
    let mut with = to("https://evil.example/b");
    with["delivery"]["authorization_header"] = json!("Bearer t");
    assert_eq!(change("PATCH", with).0, 200);
    assert_eq!(header().as_deref(), Some("Bearer t"));
    assert_eq!(change("PUT", to("https://evil.example/b")).0, 200);
    assert_eq!(header(), None, "a PUT without it deletes it");

    assert_eq!(change("PUT", json!({"events_requested": [REVOKED]})).0, 400);
    let (status, replaced) = change(
        "PUT",
        json!({"delivery": {"method": POLL}, "description": "d"}),
    );
    assert_eq!(status, 200);
    assert_eq!(
        (
            &replaced["delivery"]["method"],
            replaced.get("events_requested"),
            &replaced["events_delivered"],
            &replaced["description"]
        ),
        (&json!(POLL), None, &json!([]), &json!("d"))
    );
    let (_, replaced) = change(
        "PUT",
        json!({"delivery": {"method": POLL}, "events_requested": [REVOKED]}),
    );
    assert_eq!(
        (replaced.get("description"), &replaced["events_delivered"]),
        (None, &json!([REVOKED]))
    );
}

/// Covers: SSF-8.1.1.3-10, SSF-8.1.1.4-6, SSF-8.1.2.2-2, SSF-8.1.2.2-3
#[test]
fn what_cannot_be_decided_changes_nothing() {
    struct Hesitant;
    impl Policy for Hesitant {
        fn update(&self, _: &StreamRecord, request: &ConfigurationRequest) -> Decision {
            if request.description.value().is_some() {
                Decision::Undecided
            } else {
                Decision::Forbid
            }
        }
        fn status(&self, _: &StreamRecord, status: StreamStatus) -> Decision {
            if status == StreamStatus::Paused {
                Decision::Undecided
            } else {
                Decision::Forbid
            }
        }
    }
    let plane = plane_with(settings(), Some(Arc::new(Hesitant)), 10);
    let id = plane.stream("rx");
    let read = || run(plane.transmitter.store().read(&id)).unwrap().unwrap();
    let before = read();
    let poll = json!({"method": POLL});
    for (method, target, body, expected) in [
        (
            "PATCH",
            "/streams",
            json!({"stream_id": id, "description": "x"}),
            202,
        ),
        (
            "PUT",
            "/streams",
            json!({"stream_id": id, "description": "x", "delivery": poll}),
            202,
        ),
        ("PATCH", "/streams", json!({"stream_id": id}), 403),
        (
            "PUT",
            "/streams",
            json!({"stream_id": id, "delivery": poll}),
            403,
        ),
        (
            "POST",
            "/status",
            json!({"stream_id": id, "status": "paused"}),
            202,
        ),
        (
            "POST",
            "/status",
            json!({"stream_id": id, "status": "disabled"}),
            403,
        ),
        (
            "POST",
            "/status",
            json!({"stream_id": id, "status": "enabled"}),
            200,
        ),
    ] {
        assert_eq!(
            plane.ask(method, target, body.clone()).0,
            expected,
            "{body}"
        );
    }
    assert_eq!(read(), before);
}

/// Covers: SSF-A17
#[test]
fn concurrent_updates_lose_nothing() {
    let plane = Arc::new(plane(settings()));
    let id = plane.stream("rx");
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let (plane, id) = (plane.clone(), id.clone());
            std::thread::spawn(move || {
                for round in 0..50 {
                    let body = if n % 2 == 0 {
                        json!({"stream_id": id, "description": format!("{n} {round}")})
                    } else {
                        json!({"stream_id": id, "events_requested": [format!("urn:{n}:{round}"), REVOKED]})
                    };
                    loop {
                        match plane.ask("PATCH", "/streams", body.clone()).0 {
                            200 => break,
                            503 => {}
                            other => panic!("{other}"),
                        }
                    }
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let record = run(plane.transmitter.store().read(&id)).unwrap().unwrap();
    assert_eq!(
        record.version, 200,
        "each update took the one before as its base"
    );
    assert!(
        record
            .configuration
            .description
            .as_ref()
            .unwrap()
            .ends_with(" 49")
    );
    assert_eq!(record.configuration.events_delivered, [REVOKED]);
    let mut stale = StreamRecord::clone(&record);
    stale.version -= 1;
    assert!(run(plane.transmitter.store().replace(stale)).is_err());
}

/// Covers: SSF-8.1.3.2-1, SSF-8.1.3.2-2, SSF-8.1.3.2-3, SSF-8.1.3.2-4, SSF-8.1.3.2-5, SSF-8.1.3.3-1, SSF-8.1.3.3-2, SSF-9.1-1, SSF-A7, SSF-A8
#[test]
fn subjects_are_added_and_removed_without_telling_who_is_known() {
    struct Guarded;
    impl Policy for Guarded {
        fn add_subject(&self, _: &StreamRecord, subject: &Subject, _: bool) -> SubjectDecision {
            let Subject::Simple(SubjectIdentifier::Opaque { id, .. }) = subject else {
                return match subject {
                    Subject::Complex(complex) if complex.is_broad() => SubjectDecision::Forbid,
                    _ => SubjectDecision::Apply,
                };
            };
            match id.as_str() {
                "optout" => SubjectDecision::Ignore,
                "forbidden" => SubjectDecision::Forbid,
                "unknown" => SubjectDecision::Unknown,
                "fast" => SubjectDecision::TooMany {
                    retry_after: Duration::from_secs(7),
                },
                _ => SubjectDecision::Apply,
            }
        }
        fn remove_subject(&self, stream: &StreamRecord, subject: &Subject) -> SubjectDecision {
            self.add_subject(stream, subject, true)
        }
    }
    let settings = settings()
        .with_default_subjects(Subjects::None)
        .with_subjects_per_stream(3);
    let plane = plane_with(settings, Some(Arc::new(Guarded)), 10);
    let id = plane.stream("rx");
    let opaque = |name: &str| json!({"format": "opaque", "id": name});
    let send = |what: &str, subject: Value| {
        let body = json!({"stream_id": id, "subject": subject});
        plane.send(
            "rx",
            request("POST", &format!("/subjects/{what}"), &body),
            NOW,
        )
    };
    for (name, add, remove) in [
        ("a", 200, 204),
        ("b", 200, 204),
        ("optout", 200, 204),
        ("forbidden", 403, 403),
        ("unknown", 404, 404),
        ("fast", 429, 429),
    ] {
        for (what, expected) in [("add", add), ("remove", remove)] {
            let response = send(what, opaque(name));
            assert_eq!(response.status(), expected, "{what} {name}");
            if expected < 300 {
                assert!(response.body().is_empty());
            }
            if expected == 429 {
                assert_eq!(response.headers()["retry-after"], "7");
            }
        }
    }
    // Never seen, seen, added twice, removed twice: all the same.
    let never = send("remove", opaque("never"));
    assert_eq!((never.status().as_u16(), never.body().len()), (204, 0));
    assert_eq!(never.headers(), send("remove", opaque("a")).headers());
    assert_eq!(
        send("add", opaque("a")).headers(),
        send("add", opaque("a")).headers()
    );
    assert_eq!(
        send("add", json!({"format": "complex", "tenant": opaque("t")})).status(),
        403
    );

    let entry = |name: &str| {
        let subject = Subject::from(SubjectIdentifier::opaque(name).unwrap());
        run(plane.transmitter.store().subject(&id, &subject)).unwrap()
    };
    assert!(entry("a").unwrap().verified, "absent means verified");
    assert_eq!((entry("optout"), entry("never")), (None, None));
    for (verified, name) in [(false, "c"), (true, "c"), (false, "c")] {
        let body = json!({"stream_id": id, "subject": opaque(name), "verified": verified});
        assert_eq!(plane.ask("POST", "/subjects/add", body).0, 200);
        assert_eq!(entry("c").unwrap().verified, verified);
    }
    // The quota: a, b and c.
    let full = send("add", opaque("d"));
    assert_eq!(full.status(), 429);
    assert!(full.headers().contains_key("retry-after"));
    assert_eq!(send("add", opaque("a")).status(), 200);
}
