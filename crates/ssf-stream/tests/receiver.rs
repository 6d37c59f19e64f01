//! The receiver: discovery, the management client, the end of a stream, and the poll loop.
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

use std::time::Duration;

use common::plane::*;
use common::*;
use http::{Request, Response};
use jose_x509::provider::ring;
use jose_x509::{MemoryReplayGuard, SigningKey};
use serde_json::{Value, json};
use ssf_set::caep::SessionRevoked;
use ssf_set::ssf::{StreamStatus, StreamUpdated, Verification};
use ssf_set::{
    ComplexSubject, Event, SetErrorCode, SetIssuer, SetRequest, Subject, SubjectIdentifier,
};
use ssf_stream::Error;
use ssf_stream::metadata::{POLL, PUSH, TransmitterMetadata};
use ssf_stream::poll::{PollRequest, PollResponse, SetErrorReport};
use ssf_stream::push::Transmitter as PushedBy;
use ssf_stream::receiver::{
    Created, Credentials, Management, Poller, PollerStep, StreamReceiver, Taken, Updated, discovery,
};
use ssf_stream::stream::{
    AuthorizationHeader, ConfigurationRequest, DeliveryRequest, StreamConfiguration,
    StreamStatusDocument, SubjectRequest, VerificationRequest,
};
use ssf_stream::transmitter::{Backoff, Occurrence};

fn response(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response<Vec<u8>> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status.try_into().unwrap();
    if !content_type.is_empty() {
        response
            .headers_mut()
            .insert("content-type", content_type.parse().unwrap());
    }
    response
}

fn json_response(status: u16, body: &Value) -> Response<Vec<u8>> {
    response(status, "application/json", body.to_string())
}

fn metadata() -> TransmitterMetadata {
    plane(settings().with_authorization_schemes([]))
        .transmitter
        .metadata()
        .clone()
}

fn management() -> Management {
    Management::new(metadata(), Credentials::bearer("t").unwrap()).unwrap()
}

/// Covers: SSF-7.2-1, SSF-7.2-3, SSF-7.2.1-1, SSF-7.2.2-1, SSF-7.2.3-1, SSF-A3, SSF-7.2.4-2
#[test]
fn discovery_asks_the_configured_issuer_and_believes_no_other() {
    let request = discovery::request("https://tr.example.com/i/").unwrap();
    assert_eq!(
        (request.method().as_str(), request.uri().to_string()),
        (
            "GET",
            "https://tr.example.com/.well-known/ssf-configuration/i".to_owned()
        )
    );
    assert_eq!(request.headers()["accept"], "application/json");
    let legacy = discovery::legacy_request("https://tr.example.com/i").unwrap();
    assert_eq!(
        legacy.uri(),
        "https://tr.example.com/.well-known/risc-configuration/i"
    );
    let odd = discovery::legacy_request("https://ssf-configuration.example.com").unwrap();
    assert_eq!(
        odd.uri(),
        "https://ssf-configuration.example.com/.well-known/risc-configuration"
    );
    assert_eq!(
        discovery::request("http://tr.example.com")
            .unwrap_err()
            .code(),
        "endpoint"
    );
    let document = metadata().to_value();
    let parse = |response: &Response<Vec<u8>>| {
        discovery::parse_response(response, ISSUER).map_err(|e| e.code())
    };
    assert_eq!(parse(&json_response(200, &document)), Ok(metadata()));
    for (bad, code) in [
        (json_response(404, &document), "status"),
        (json_response(302, &document), "status"),
        (json_response(201, &document), "status"),
        (
            response(200, "text/html", document.to_string()),
            "content_type",
        ),
        (response(200, "", document.to_string()), "content_type"),
        (json_response(200, &json!([document])), "json_shape"),
        (json_response(200, &json!({})), "member"),
    ] {
        let found = parse(&bad).unwrap_err();
        assert!(found == code || code == "json_shape", "{found} {code}");
    }
    for issuer in [
        "https://evil.example.com",
        "https://signals.example.com/",
        "https://signals.example.com/x",
        "HTTPS://signals.example.com",
        "https://Signals.example.com",
    ] {
        let mut other = document.clone();
        other["issuer"] = json!(issuer);
        assert_eq!(
            parse(&json_response(200, &other)),
            Err("issuer_mismatch"),
            "{issuer}"
        );
    }
}

/// Covers: SSF-7.1-5, SSF-7.1-6, SSF-7.1-7, SSF-7.1-8, SSF-7.1-9, SSF-7.1.1-2, SSF-8.1.1.1-1, SSF-8.1.1.5-2, SSF-8.1.1-2, CAEP-INTEROP-2.4.2-1
/// Covers: SSF-8.1.1.3-2, SSF-8.1.1.4-2
#[test]
fn requests_go_to_the_endpoints_of_the_metadata() {
    let management = management();
    let wanted = ConfigurationRequest::new()
        .with_events([REVOKED])
        .unwrap()
        .with_description("d");
    let odd = "a b&stream_id=c/\u{e9}";
    let encoded = "?stream_id=a+b%26stream_id%3Dc%2F%C3%A9";
    let status = StreamStatusDocument::new(odd, StreamStatus::Paused, Some("r".to_owned()));
    let subject =
        SubjectRequest::new(odd, SubjectIdentifier::opaque("x").unwrap()).with_verified(false);
    let subject_body = json!({"stream_id": odd, "subject": {"format": "opaque", "id": "x"}});
    let configuration = json!({"events_requested": [REVOKED], "description": "d"});
    let with_id = |mut body: Value| {
        body["stream_id"] = json!(odd);
        body
    };
    let mut added = subject_body.clone();
    added["verified"] = json!(false);
    let verify = VerificationRequest::new(odd, Some("s".to_owned()));
    type Case = (Result<Request<Vec<u8>>, Error>, &'static str, String, Value);
    let cases: Vec<Case> = vec![
        (
            management.create(&wanted),
            "POST",
            "/streams".to_owned(),
            configuration.clone(),
        ),
        (
            management.read(odd),
            "GET",
            format!("/streams{encoded}"),
            Value::Null,
        ),
        (management.list(), "GET", "/streams".to_owned(), Value::Null),
        (
            management.update(odd, &wanted),
            "PATCH",
            "/streams".to_owned(),
            with_id(configuration.clone()),
        ),
        (
            management.replace(odd, &wanted),
            "PUT",
            "/streams".to_owned(),
            with_id(configuration),
        ),
        (
            management.delete(odd),
            "DELETE",
            format!("/streams{encoded}"),
            Value::Null,
        ),
        (
            management.read_status(odd),
            "GET",
            format!("/status{encoded}"),
            Value::Null,
        ),
        (
            management.set_status(&status),
            "POST",
            "/status".to_owned(),
            json!({"stream_id": odd, "status": "paused", "reason": "r"}),
        ),
        (
            management.add_subject(&subject),
            "POST",
            "/subjects/add".to_owned(),
            added,
        ),
        (
            management.remove_subject(&subject),
            "POST",
            "/subjects/remove".to_owned(),
            subject_body,
        ),
        (
            management.verify(&verify),
            "POST",
            "/verify".to_owned(),
            json!({"stream_id": odd, "state": "s"}),
        ),
    ];
    for (request, method, target, body) in cases {
        let request = request.unwrap();
        assert_eq!(
            (request.method().as_str(), request.uri().to_string()),
            (method, format!("{BASE}{target}"))
        );
        assert_eq!(request.headers()["authorization"], "Bearer t");
        assert!(request.headers()["authorization"].is_sensitive());
        assert_eq!(
            request.headers().contains_key("content-type"),
            !body.is_null()
        );
        if !body.is_null() {
            assert_eq!(request.headers()["content-type"], "application/json");
            assert_eq!(
                serde_json::from_slice::<Value>(request.body()).unwrap(),
                body
            );
        }
    }
    let mut bare = metadata();
    bare.configuration_endpoint = None;
    bare.status_endpoint = None;
    bare.add_subject_endpoint = None;
    bare.remove_subject_endpoint = None;
    bare.verification_endpoint = None;
    let bare = Management::new(bare, Credentials::None).unwrap();
    for request in [
        bare.create(&wanted),
        bare.read("x"),
        bare.list(),
        bare.update("x", &wanted),
        bare.replace("x", &wanted),
        bare.delete("x"),
        bare.read_status("x"),
        bare.set_status(&status),
        bare.add_subject(&subject),
        bare.remove_subject(&subject),
        bare.verify(&verify),
    ] {
        assert_eq!(request.unwrap_err().code(), "not_offered");
    }

    let oauth = "urn:ietf:rfc:6749";
    let mutual = "urn:ietf:rfc:8705";
    let bearer = Credentials::bearer("t").unwrap();
    assert!(!format!("{bearer:?}").contains("Bearer t"));
    assert!(
        Credentials::bearer("a b").is_none()
            && Credentials::bearer("a\r\n").is_none()
            && Credentials::bearer("").is_none()
    );
    for (schemes, credentials, fits) in [
        (vec![oauth], bearer.clone(), true),
        (vec![mutual], bearer.clone(), true),
        (vec!["urn:x"], bearer.clone(), false),
        (vec!["urn:x", oauth], bearer, true),
        (vec![mutual], Credentials::MutualTls, true),
        (vec![oauth], Credentials::MutualTls, false),
        (vec![oauth], Credentials::None, false),
        (vec![], Credentials::None, true),
    ] {
        let mut metadata = metadata();
        metadata.authorization_schemes = schemes.iter().map(|urn| (*urn).to_owned()).collect();
        let made = Management::new(metadata, credentials.clone());
        assert_eq!(
            made.map_err(|error| error.code()).err(),
            (!fits).then_some("no_common_scheme"),
            "{schemes:?} {credentials:?}"
        );
    }
}

/// Covers: SSF-6.1.1-2, SSF-6.1.1-3, SSF-8.1.1-7, SSF-8.1.1.3-5, SSF-8.1.1.4-2
#[test]
fn a_receiver_asks_sensibly() {
    assert_eq!(
        ConfigurationRequest::new()
            .with_events(Vec::<String>::new())
            .unwrap_err()
            .code(),
        "member"
    );
    assert_eq!(
        ConfigurationRequest::new()
            .with_events(vec!["x"; 201])
            .unwrap_err()
            .code(),
        "member"
    );
    assert_eq!(
        ConfigurationRequest::new().with_no_events().to_json(),
        br#"{"events_requested":[]}"#
    );
    assert_eq!(ConfigurationRequest::new().to_json(), b"{}");
    let header = AuthorizationHeader::new("Bearer s").unwrap();
    assert!(!format!("{header:?}").contains("Bearer s"));
    let push = |name| {
        DeliveryRequest::push_below("https://rx.example.org/events/", name, Some(header.clone()))
    };
    let delivery = push("r4nd0m").unwrap();
    assert_ne!(delivery, push("0ther").unwrap());
    for bad in ["", "../x", "a/b", "a?b", "a#b", "é"] {
        assert!(push(bad).is_err(), "{bad}");
    }
    assert!(DeliveryRequest::push("http://rx.example.org", None).is_err());
    let request = ConfigurationRequest::new().with_delivery(delivery);
    assert!(!format!("{request:?}").contains("Bearer s"));
    let body: Value = serde_json::from_slice(&request.to_json()).unwrap();
    assert_eq!(
        body,
        json!({"delivery": {"method": PUSH, "endpoint_url": "https://rx.example.org/events/r4nd0m", "authorization_header": "Bearer s"}})
    );

    let current = json!({
        "stream_id": "s", "iss": ISSUER, "aud": AUDIENCE, "events_delivered": [REVOKED], "events_requested": [REVOKED, "urn:x"],
        "delivery": {"method": POLL, "endpoint_url": "https://tr.example.com/p"}, "description": "d",
    });
    let current = StreamConfiguration::parse(current.to_string().as_bytes()).unwrap();
    let body: Value =
        serde_json::from_slice(&ConfigurationRequest::replacing(&current).to_json()).unwrap();
    assert_eq!(
        body,
        json!({"stream_id": "s", "delivery": {"method": POLL}, "events_requested": [REVOKED, "urn:x"], "description": "d"})
    );
}

/// Covers: SSF-8.1.1.1-3, SSF-8.1.1.1-6, SSF-8.1.1.1.1-1, SSF-8.1.1.2-4, SSF-8.1.1.3-9, SSF-8.1.1.3-11, SSF-8.1.1.4-5, SSF-8.1.2.1-2
/// Covers: SSF-8.1.2.1-4, SSF-8.1.1-10, SSF-8.1.1-12, SSF-8.1.1-14, SSF-9.1-2, SSF-A3, SSF-8.1.2.2-3
#[test]
fn responses_are_believed_only_about_what_was_asked() {
    let management = management().with_audience([AUDIENCE]);
    let good = json!({
        "stream_id": "s", "iss": ISSUER, "aud": AUDIENCE, "events_supported": ["urn:1"], "events_requested": ["urn:1", "urn:2"],
        "events_delivered": ["urn:1"], "delivery": {"method": POLL, "endpoint_url": "https://tr.example.com/p"},
        "min_verification_interval": 60, "inactivity_timeout": 100, "x": 1,
    });
    let Ok(Created::New(created)) = management.created(&json_response(201, &good)) else {
        panic!()
    };
    assert_eq!(
        (
            created.events_delivered.as_slice(),
            created.inactivity_timeout
        ),
        (&["urn:1".to_owned()][..], Some(100))
    );
    assert_eq!(
        management.created(&json_response(409, &json!({}))),
        Ok(Created::Exists)
    );
    for status in [200, 202, 302, 400, 401, 403, 500] {
        let error = management
            .created(&json_response(status, &good))
            .unwrap_err();
        assert_eq!((error.code(), error.retryable()), ("status", status == 500));
    }
    for (member, value, code) in [
        (
            "iss",
            json!("https://signals.example.com/"),
            "issuer_mismatch",
        ),
        ("iss", json!("https://evil.example.com"), "issuer_mismatch"),
        ("iss", json!(1), "member"),
        (
            "aud",
            json!("https://other.example.org"),
            "audience_mismatch",
        ),
        ("aud", json!([AUDIENCE, "x"]), "audience_mismatch"),
        ("aud", json!([]), "member"),
        ("aud", json!([1]), "member"),
        ("stream_id", json!(""), "member"),
        ("stream_id", json!("x".repeat(300)), "member"),
        ("events_delivered", json!("urn:1"), "member"),
        ("events_delivered", json!(vec!["x"; 300]), "member"),
        (
            "delivery",
            json!({"method": "x", "endpoint_url": "https://tr.example.com/p"}),
            "member",
        ),
        ("delivery", json!({"method": POLL}), "member"),
        (
            "delivery",
            json!({"method": POLL, "endpoint_url": "http://tr.example.com/p"}),
            "endpoint",
        ),
        ("min_verification_interval", json!(-1), "member"),
        ("min_verification_interval", json!("60"), "member"),
        ("inactivity_timeout", json!("100"), "member"),
        ("inactivity_timeout", json!(1.5), "member"),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let bad = json_response(201, &bad);
        assert_eq!(
            management.created(&bad).unwrap_err().code(),
            code,
            "{member}"
        );
        let mut again = bad;
        *again.status_mut() = http::StatusCode::OK;
        assert!(
            management.configured("s", &again).is_err() && management.updated("s", &again).is_err()
        );
    }
    for member in ["stream_id", "iss", "aud", "events_delivered", "delivery"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(member);
        assert_eq!(
            management
                .created(&json_response(201, &bad))
                .unwrap_err()
                .code(),
            "member",
            "{member}"
        );
    }
    assert_eq!(
        management.configured("s", &json_response(200, &good)),
        Ok(created.clone())
    );
    assert_eq!(
        management
            .configured("t", &json_response(200, &good))
            .unwrap_err()
            .code(),
        "stream_mismatch"
    );
    assert_eq!(
        management.updated("s", &json_response(200, &good)),
        Ok(Updated::Done(created))
    );
    assert_eq!(
        management.updated("s", &json_response(202, &json!({}))),
        Ok(Updated::Pending)
    );
    assert_eq!(
        management
            .updated("t", &json_response(200, &good))
            .unwrap_err()
            .code(),
        "stream_mismatch"
    );

    // One bad element spoils no other.
    let mut evil = good.clone();
    evil["iss"] = json!("https://evil.example.com");
    let listed = management
        .listed(&json_response(200, &json!([good, evil, {}])))
        .unwrap();
    let codes: Vec<_> = listed
        .iter()
        .map(|one| one.as_ref().map(|_| "").unwrap_or_else(|e| e.code()))
        .collect();
    assert_eq!(codes, ["", "issuer_mismatch", "member"]);
    assert_eq!(
        management.listed(&json_response(200, &json!([]))),
        Ok(Vec::new())
    );
    assert!(management.listed(&json_response(200, &good)).is_err());
    assert!(
        management
            .listed(&json_response(200, &Value::Array(vec![good; 257])))
            .is_err()
    );

    let status = |id: &str, value: &str| {
        json_response(
            200,
            &json!({"stream_id": id, "status": value, "reason": "r"}),
        )
    };
    for name in ["enabled", "paused", "disabled"] {
        let Ok(Updated::Done(found)) = management.status("s", &status("s", name)) else {
            panic!()
        };
        assert_eq!(
            (found.status.as_str(), found.reason.as_deref()),
            (name, Some("r"))
        );
    }
    for bad in [
        status("t", "enabled"),
        status("s", "Enabled"),
        status("s", "active"),
        json_response(200, &json!({"stream_id": "s"})),
        json_response(404, &json!({})),
    ] {
        assert!(management.status("s", &bad).is_err());
    }
    assert_eq!(
        management.status("s", &json_response(202, &json!({}))),
        Ok(Updated::Pending)
    );
    for code in [200, 202, 204] {
        assert_eq!(management.accepted(&response(code, "", "x")), Ok(()));
    }
    assert_eq!(
        management
            .accepted(&response(429, "", ""))
            .map_err(|e| e.retryable()),
        Err(true)
    );

    // 409, then list, then update.
    let plane = plane(settings());
    let rx = |request: Request<Vec<u8>>| plane.send("rx", request, NOW);
    let id = plane.stream("rx");
    let wanted = ConfigurationRequest::new()
        .with_events([CREDENTIAL])
        .unwrap();
    assert_eq!(
        management.created(&rx(management.create(&wanted).unwrap())),
        Ok(Created::Exists)
    );
    let listed = management.listed(&rx(management.list().unwrap())).unwrap();
    let existing = listed[0].as_ref().unwrap();
    assert_eq!(existing.stream_id, id);
    let updated = management.updated(&id, &rx(management.update(&id, &wanted).unwrap()));
    let Ok(Updated::Done(updated)) = updated else {
        panic!()
    };
    assert_eq!(updated.events_delivered, [CREDENTIAL]);
}

struct End {
    plane: Plane,
    id: String,
    receiver: StreamReceiver,
    guard: MemoryReplayGuard,
}

fn end(critical: &[&'static str]) -> End {
    let plane = plane(settings().with_critical_subject_members(critical.iter().copied()));
    let id = plane.stream("rx");
    let (_, body) = plane.ask("GET", &format!("/streams?stream_id={id}"), Value::Null);
    let configuration = StreamConfiguration::parse(body.to_string().as_bytes()).unwrap();
    let receiver = StreamReceiver::new(
        plane.transmitter.metadata(),
        &configuration,
        plane.keys.clone(),
    )
    .unwrap();
    let mut other = configuration;
    other.iss = "https://evil.example.com".to_owned();
    assert_eq!(
        StreamReceiver::new(plane.transmitter.metadata(), &other, plane.keys.clone())
            .unwrap_err()
            .code(),
        "issuer_mismatch"
    );
    End {
        plane,
        id,
        receiver,
        guard: MemoryReplayGuard::new(1000),
    }
}

impl End {
    fn poll(&self) -> PollResponse {
        let target = format!("/poll/{}", self.id);
        let raw = self.plane.send(
            "rx",
            request("POST", &target, &json!({"returnImmediately": true})),
            NOW,
        );
        PollResponse::parse(raw.body()).unwrap()
    }

    fn push(&self, compact: &str) -> Result<Taken, (u16, Option<SetErrorCode>)> {
        let mut request = Request::new(compact.as_bytes().to_vec());
        *request.method_mut() = http::Method::POST;
        request
            .headers_mut()
            .insert("content-type", "application/secevent+jwt".parse().unwrap());
        let (parts, body) = request.into_parts();
        self.receiver
            .receive(&parts, &body, PushedBy::NotAuthenticated, at(NOW))
            .and_then(|accepted| self.receiver.settle(accepted, &self.guard, at(NOW)))
            .map_err(|rejection| (rejection.status().as_u16(), rejection.code().cloned()))
    }

    /// Asks for a verification, and gets the event.
    fn verification(&self, now: u64) -> String {
        let request = self
            .receiver
            .verifications()
            .begin(&ring::provider(), &self.id, at(now))
            .unwrap();
        assert!(request.state.as_ref().unwrap().len() >= 22);
        let body: Value = serde_json::from_slice(&request.to_json()).unwrap();
        assert_eq!(self.plane.ask_as("rx", "POST", "/verify", body, now).0, 204);
        self.poll().unverified_sets.remove(0).1
    }
}

fn refusal(code: SetErrorCode) -> Option<(u16, Option<SetErrorCode>)> {
    Some((400, Some(code)))
}

/// Covers: SSF-8.1.4.1-4, SSF-8.1.4.1-5, SSF-8.1.4.1-6, SSF-8.1.4.2-4, SSF-A5, SET-PUSH-2-11, SET-POLL-2.6-1
#[test]
fn a_verification_answers_one_question_once() {
    let end = end(&[]);
    let open = || end.receiver.verifications().open(&end.id, at(NOW));
    let compact = end.verification(NOW);
    assert_eq!(open(), 1);
    assert!(matches!(end.push(&compact), Ok(Taken::Verified(true))));
    assert_eq!(open(), 0);
    assert!(
        matches!(end.push(&compact), Ok(Taken::Repeated(_))),
        "a repetition is answered like the first"
    );

    // Unknown, repeated in another SET, or too late.
    let state =
        |state: Option<&str>| control(&end, &end.id, Verification::new(state.map(str::to_owned)));
    let wrong = state(Some("guess"));
    assert_eq!(
        end.push(&wrong.1).err(),
        refusal(SetErrorCode::InvalidState)
    );
    let response = PollResponse::new(vec![wrong.clone()], false);
    let polled = end.receiver.verify(&response, at(NOW));
    assert!(polled.sets.is_empty());
    assert_eq!(polled.refused[&wrong.0].code, SetErrorCode::InvalidState);
    let request = end
        .receiver
        .verifications()
        .begin(&ring::provider(), &end.id, at(NOW))
        .unwrap();
    let first = state(request.state.as_deref()).1;
    let second = state(request.state.as_deref()).1;
    // The event may come before the 204, and after other events.
    assert!(matches!(end.push(&first), Ok(Taken::Verified(true))));
    assert_eq!(
        end.push(&second).err(),
        refusal(SetErrorCode::InvalidState),
        "good for one event"
    );
    let request = end
        .receiver
        .verifications()
        .begin(&ring::provider(), &end.id, at(NOW))
        .unwrap();
    let late =
        end.receiver
            .verifications()
            .check(&end.id, "j", request.state.as_deref(), at(NOW + 600));
    assert_eq!(late, Err(SetErrorCode::InvalidState));
    assert_eq!(
        end.receiver
            .verifications()
            .check("other", "j", request.state.as_deref(), at(NOW)),
        Err(SetErrorCode::InvalidState)
    );
    // Without a state the transmitter began: always fine.
    assert!(matches!(
        end.push(&state(None).1),
        Ok(Taken::Verified(false))
    ));
    let begun: Vec<_> = (0..20)
        .map(|_| {
            end.receiver
                .verifications()
                .begin(&ring::provider(), "x", at(NOW))
                .unwrap()
        })
        .collect();
    assert_eq!(
        end.receiver.verifications().open("x", at(NOW)),
        16,
        "bounded"
    );
    assert_eq!(
        begun
            .iter()
            .map(|request| request.state.clone())
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        20
    );
}

/// A SET about a stream, of the stream's own issuer.
fn control(end: &End, stream: &str, event: impl Into<Event>) -> (String, String) {
    // The transmitter has no way to say this of another stream, so its key is used directly.
    let issuer = SetIssuer::new(end.plane.key(), ring::provider(), ISSUER).unwrap();
    let subject = SubjectIdentifier::opaque(stream).unwrap();
    let set = issuer
        .issue(&SetRequest::new(AUDIENCE, subject, event), at(NOW))
        .unwrap();
    (set.id, set.compact)
}

/// Covers: SET-POLL-2.6-1, SSF-8.1.5-5, SSF-8.1.5-6, SSF-A5, SSF-A16, SSF-8.1.4.1-2, SSF-8.1.4-1, SSF-8.1.5-4
#[test]
fn only_the_own_transmitter_speaks_about_the_own_stream() {
    let end = end(&[]);
    let disabled = || StreamUpdated::new(StreamStatus::Disabled, None);
    assert_eq!(
        end.push(&control(&end, "another", disabled()).1).err(),
        refusal(SetErrorCode::InvalidRequest)
    );
    assert_eq!(
        end.push(&control(&end, "another", Verification::default()).1)
            .err(),
        refusal(SetErrorCode::InvalidRequest)
    );
    let foreign = parties();
    let subject = SubjectIdentifier::opaque(&end.id).unwrap();
    let forged = foreign
        .issuer
        .issue(
            &SetRequest::new(AUDIENCE, subject.clone(), disabled()),
            at(NOW),
        )
        .unwrap();
    assert_eq!(
        end.push(&forged.compact).err(),
        refusal(SetErrorCode::InvalidKey)
    );
    let key = SigningKey::generate(&ring::provider(), jose_x509::Algorithm::Es256)
        .unwrap()
        .with_kid("k");
    let evil = SetIssuer::new(key, ring::provider(), "https://evil.example.com").unwrap();
    let evil = evil
        .issue(
            &SetRequest::new(AUDIENCE, subject.clone(), disabled()),
            at(NOW),
        )
        .unwrap();
    assert_eq!(
        end.push(&evil.compact).err(),
        refusal(SetErrorCode::InvalidIssuer)
    );
    let issuer = SetIssuer::new(end.plane.key(), ring::provider(), ISSUER).unwrap();
    let elsewhere = issuer
        .issue(
            &SetRequest::new("https://other.example.org", subject, disabled()),
            at(NOW),
        )
        .unwrap();
    assert_eq!(
        end.push(&elsewhere.compact).err(),
        refusal(SetErrorCode::InvalidAudience)
    );
    assert_eq!(end.receiver.status(), StreamStatus::Enabled);
    assert!(matches!(
        end.push(&control(&end, &end.id, disabled()).1),
        Ok(Taken::Status(StreamStatus::Disabled))
    ));
    assert_eq!(end.receiver.status(), StreamStatus::Disabled);
}

/// Covers: SSF-3.6-2, SSF-9.3-2, SSF-7.1-10
#[test]
fn critical_members_that_are_not_understood_stop_the_event_and_not_the_delivery() {
    let id = |name: &str| SubjectIdentifier::opaque(name).unwrap();
    let with: Subject = ComplexSubject::new("user", id("u"))
        .unwrap()
        .with("tenant", id("t"))
        .unwrap()
        .into();
    let without: Subject = ComplexSubject::new("user", id("u")).unwrap().into();
    for (critical, understood, subject, handled) in [
        (&["tenant"][..], None, &with, false),
        (&["tenant"], None, &without, true),
        (&["tenant"], Some("tenant"), &with, true),
        (&[], None, &with, true),
    ] {
        let mut end = end(critical);
        if let Some(member) = understood {
            end.receiver = end.receiver.with_understood_member(member);
        }
        // Also for a subject that was removed: late events are no error.
        end.plane.ask(
            "POST",
            "/subjects/remove",
            json!({"stream_id": end.id, "subject": {"format": "opaque", "id": "u"}}),
        );
        let occurrence = Occurrence::new(subject.clone(), SessionRevoked::default());
        run(end.plane.transmitter.emit(&occurrence, at(NOW))).unwrap();
        let compact = end.poll().unverified_sets.remove(0).1;
        match end.push(&compact) {
            Ok(Taken::Event(_)) => assert!(handled),
            Ok(Taken::NotUnderstood(_)) => assert!(!handled),
            other => panic!("{other:?}"),
        }
    }
}

/// Covers: SET-PUSH-2-8, SET-PUSH-2-9, SET-PUSH-2-12, SET-PUSH-3-3, SET-PUSH-5.5-1, SET-POLL-3-3, SET-POLL-2.4-3
#[test]
fn a_set_is_stored_before_it_is_answered_and_acted_upon_after() {
    let end = end(&[]);
    let unknown =
        ssf_set::UnknownEvent::new("urn:example:unheard-of", serde_json::Map::new()).unwrap();
    let (id, compact) = control(&end, &end.id, Event::Unknown(unknown));
    let mut request = Request::new(compact.clone().into_bytes());
    *request.method_mut() = http::Method::POST;
    request
        .headers_mut()
        .insert("content-type", "application/secevent+jwt".parse().unwrap());
    let (parts, body) = request.into_parts();
    let accepted = end
        .receiver
        .receive(&parts, &body, PushedBy::NotAuthenticated, at(NOW))
        .unwrap();
    // What is stored is the original with its context; there is nothing to act upon yet.
    assert_eq!(
        (accepted.set().id(), accepted.set().issuer()),
        (id.as_str(), ISSUER)
    );
    assert_eq!(accepted.set().jwt().header().kid(), Some("k"));
    assert!(end.guard.is_empty());
    let Ok(Taken::Event(set)) = end.receiver.settle(accepted, &end.guard, at(NOW)) else {
        panic!()
    };
    assert!(
        matches!(set.event(), Event::Unknown(_)),
        "accepted, and nobody has to care"
    );
    // A crash between storing and recording makes the SET come again as new, never get lost.
    let response = PollResponse::new(vec![(id, compact)], false);
    let mut polled = end.receiver.verify(&response, at(NOW));
    assert!(matches!(
        end.receiver
            .record(polled.sets.remove(0), &end.guard, at(NOW)),
        Ok(Taken::Repeated(_))
    ));
    let full = MemoryReplayGuard::new(0);
    let mut polled = end.receiver.verify(&response, at(NOW));
    assert!(
        end.receiver
            .record(polled.sets.remove(0), &full, at(NOW))
            .is_err()
    );
}

fn ask(poller: &mut Poller, now: u64) -> PollRequest {
    match poller.next(0, at(now)) {
        PollerStep::Poll(request) => request,
        other => panic!("{other:?}"),
    }
}

fn sets(ids: &[&str], more: bool) -> Response<Vec<u8>> {
    let sets = ids
        .iter()
        .map(|id| ((*id).to_owned(), "x".to_owned()))
        .collect();
    response(
        200,
        "application/json",
        PollResponse::new(sets, more).to_json(),
    )
}

/// Covers: SET-POLL-2-4, SET-POLL-2-6, SET-POLL-2.1-1, SET-POLL-2.4-1, SET-POLL-2.4-3, SET-POLL-2.4-5, SET-POLL-2.4.2-1, SET-POLL-2.4.4-1, SET-POLL-A2
#[test]
fn the_poller_acknowledges_what_is_stored_and_nothing_else() {
    let mut poller = Poller::new().with_max_events(3);
    let first = ask(&mut poller, NOW);
    assert_eq!(
        (
            first.max_events,
            first.return_immediately,
            first.ack.len(),
            first.set_errs.len()
        ),
        (Some(3), false, 0, 0)
    );
    let got = poller
        .answered(&sets(&["a", "b", "c"], true), at(NOW))
        .unwrap();
    assert!(got.more_available);
    poller.stored("a", true);
    poller.refused("c", SetErrorReport::new(SetErrorCode::InvalidIssuer));
    // b could not be stored: it is neither acknowledged nor reported.
    let second = ask(&mut poller, NOW);
    assert_eq!(second.ack, ["a"]);
    assert_eq!(second.set_errs.keys().collect::<Vec<_>>(), ["c"]);
    assert_eq!(second.set_errs["c"].code, SetErrorCode::InvalidIssuer);
    // That request is lost: it is said again.
    poller.failed();
    let PollerStep::WaitUntil(until) = poller.next(0, at(NOW)) else {
        panic!()
    };
    let third = ask(&mut poller, until.as_secs());
    assert_eq!(
        (&third.ack, &third.set_errs),
        (&second.ack, &second.set_errs)
    );
    let now = until.as_secs() + 5;
    poller.answered(&sets(&["a", "b"], false), at(now)).unwrap();
    poller.stored("a", false);
    poller.stored("a", false);
    poller.stored("b", true);
    let last = poller.last(at(now)).unwrap();
    assert_eq!(
        (last.max_events, last.return_immediately, last.ack),
        (Some(0), true, vec!["a".to_owned(), "b".to_owned()])
    );
    poller.answered(&sets(&[], false), at(now)).unwrap();
    assert_eq!(poller.last(at(now)), None);
    assert!(ask(&mut poller, now).ack.is_empty());
    let short = ask(&mut Poller::new().with_short_polls(), NOW);
    assert!(short.return_immediately);
    assert_eq!(
        ask(&mut Poller::new().with_max_events(10_000), NOW).max_events,
        Some(256)
    );
}

/// Covers: SET-POLL-A6, SET-POLL-2.5.1-3, SET-POLL-4.4.1-1, SET-POLL-A7
#[test]
fn a_transmitter_cannot_keep_the_poller_busy() {
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(64));
    let huge = "x".repeat(100_000);
    let oversize = json!({"sets": {}, "x": "x".repeat(1_100_000)}).to_string();
    let error = move |status: u16| response(status, "text/html", huge.clone());
    type Answer = Box<dyn Fn(u64) -> Response<Vec<u8>>>;
    let answers: Vec<(&str, Answer)> = vec![
        ("nothing at once", Box::new(|_| sets(&[], false))),
        (
            "more, it says",
            Box::new(|_| json_response(200, &json!({"sets": {}, "moreAvailable": true}))),
        ),
        ("the same again", Box::new(|_| sets(&["old"], true))),
        (
            "refused ones",
            Box::new(|round| sets(&[&format!("bad {round}")], true)),
        ),
        ("500", Box::new(move |_| error(500))),
        ("401", Box::new(|_| response(401, "", "x"))),
        ("302", Box::new(|_| response(302, "", ""))),
        (
            "no JSON",
            Box::new(|_| response(200, "application/json", "<html>")),
        ),
        ("no sets", Box::new(|_| json_response(200, &json!({})))),
        (
            "another type",
            Box::new(|_| response(200, "text/plain", r#"{"sets":{}}"#)),
        ),
        (
            "huge",
            Box::new(move |_| response(200, "application/json", oversize.clone())),
        ),
    ];
    for (name, answer) in answers {
        let mut poller = Poller::new().with_backoff(backoff);
        let (mut now, mut requests) = (NOW, 0);
        while now < NOW + 3600 {
            match poller.next(u64::MAX, at(now)) {
                PollerStep::Poll(request) => {
                    requests += 1;
                    let answered = poller.answered(&answer(requests), at(now));
                    for (id, _) in answered
                        .map(|response| response.unverified_sets)
                        .unwrap_or_default()
                    {
                        match id.as_str() {
                            "old" => poller.stored(&id, false),
                            _ => poller.refused(&id, SetErrorReport::new(SetErrorCode::InvalidKey)),
                        }
                    }
                    assert!(request.ack.len() <= 1 && request.set_errs.len() <= 1);
                }
                PollerStep::WaitUntil(until) => {
                    assert!(until.as_secs() > now);
                    now = until.as_secs();
                }
                _ => panic!(),
            }
        }
        assert!(requests < 300, "{name}: {requests} requests in an hour");
    }
    // One that waits, and one that has much to say, are asked again at once.
    let mut poller = Poller::new().with_backoff(backoff);
    for round in 0..100 {
        ask(&mut poller, NOW + round * 30);
        poller
            .answered(&sets(&[], false), at(NOW + round * 30 + 30))
            .unwrap();
    }
    for round in 0..100 {
        let now = NOW + 3000;
        ask(&mut poller, now);
        poller
            .answered(&sets(&[&round.to_string()], true), at(now))
            .unwrap();
        poller.stored(&round.to_string(), true);
    }
    // An expired token in the middle of the loop: the status says so, and new credentials go on.
    let request = ask(&mut poller, NOW + 3000);
    assert_eq!(request.ack, ["99"]);
    let error = poller
        .answered(&response(401, "", ""), at(NOW + 3000))
        .unwrap_err();
    assert!(matches!(error, Error::Status { status: 401, .. }));
    let PollerStep::WaitUntil(until) = poller.next(0, at(NOW + 3000)) else {
        panic!()
    };
    assert_eq!(ask(&mut poller, until.as_secs()).ack, ["99"]);
}

/// The whole way, without a socket: create, verify, receive, acknowledge, delete.
///
/// Covers: CAEP-INTEROP-2.4.1-1, SSF-8.1.2.1-5, SET-POLL-2.4-5, CAEP-INTEROP-2.3.4-1
#[test]
fn both_roles_work_together_for_push_and_poll() {
    let plane = plane(settings().with_streams_per_receiver(2));
    let management = management();
    let send = |request: Request<Vec<u8>>| plane.send("rx", request, NOW);
    let discovered = plane.send("", discovery::request(ISSUER).unwrap(), NOW);
    assert_eq!(
        &discovery::parse_response(&discovered, ISSUER).unwrap(),
        plane.transmitter.metadata()
    );
    for delivery in [
        DeliveryRequest::Poll,
        DeliveryRequest::push("https://rx.example.org/e", None).unwrap(),
    ] {
        let wanted = ConfigurationRequest::new()
            .with_events([REVOKED])
            .unwrap()
            .with_delivery(delivery);
        let Ok(Created::New(configuration)) =
            management.created(&send(management.create(&wanted).unwrap()))
        else {
            panic!()
        };
        let id = configuration.stream_id.clone();
        let receiver =
            StreamReceiver::new(management.metadata(), &configuration, plane.keys.clone()).unwrap();
        let guard = MemoryReplayGuard::new(100);
        let verification = receiver
            .verifications()
            .begin(&ring::provider(), &id, at(NOW))
            .unwrap();
        assert_eq!(
            management.accepted(&send(management.verify(&verification).unwrap())),
            Ok(())
        );
        let occurrence = Occurrence::new(
            SubjectIdentifier::opaque("s").unwrap(),
            SessionRevoked::default(),
        );
        run(plane.transmitter.emit(&occurrence, at(NOW))).unwrap();
        let mut log = Vec::new();
        let mut note = |taken: Taken| {
            log.push(match taken {
                Taken::Verified(true) => "verified",
                Taken::Event(_) => "event",
                _ => "other",
            });
        };
        if configuration.delivery.method() == POLL {
            let mut poller = Poller::new();
            for _ in 0..2 {
                let poll = ask(&mut poller, NOW).with_return_immediately();
                let url = configuration.delivery.endpoint_url();
                let request =
                    ssf_stream::poll::request(&poll, url, management.credentials().authorization())
                        .unwrap();
                let response = poller.answered(&send(request), at(NOW)).unwrap();
                let polled = receiver.verify(&response, at(NOW));
                assert!(polled.refused.is_empty() && polled.undecided.is_empty());
                for set in polled.sets {
                    let id = set.id().to_owned();
                    let taken = receiver.record(set, &guard, at(NOW)).unwrap();
                    poller.stored(&id, !matches!(taken, Taken::Repeated(_)));
                    note(taken);
                }
            }
        } else {
            use ssf_stream::queue::EventQueue;
            let fence = run(plane.queue.claim(&id, Duration::from_secs(60), at(NOW))).unwrap();
            while let Ok(ssf_stream::transmitter::PushStep::Send {
                id: jti,
                attempts,
                request,
            }) = run(plane.transmitter.next_push(&id, fence, at(NOW)))
            {
                let (parts, body) = request.into_parts();
                let accepted = receiver
                    .receive(&parts, &body, PushedBy::NotAuthenticated, at(NOW))
                    .unwrap();
                note(receiver.settle(accepted, &guard, at(NOW)).unwrap());
                let result = ssf_stream::transmitter::PushResult::Answered(
                    ssf_stream::push::Outcome::Accepted,
                );
                run(plane.transmitter.pushed(
                    &id,
                    fence,
                    &jti,
                    attempts,
                    &result,
                    Backoff::default(),
                    0,
                    at(NOW),
                ))
                .unwrap();
            }
        }
        assert_eq!(log, ["verified", "event"]);
        assert_eq!(run(plane.transmitter.queue().pending(&id)), Ok(0));
        assert_eq!(
            management.accepted(&send(management.delete(&id).unwrap())),
            Ok(())
        );
    }
}

/// Subjects in other places than `sub_id`, each of one principal.
///
/// Covers: SSF-3.1.3-1, SSF-3.1.4-1
#[test]
fn a_subject_is_one_object_wherever_it_is() {
    let end = end(&[]);
    let event = |transferee: Value| {
        let payload = json!({"transferee": transferee})
            .as_object()
            .unwrap()
            .clone();
        let event = ssf_set::UnknownEvent::new("urn:example:transfer", payload).unwrap();
        let compact = control(&end, "x", Event::Unknown(event)).1;
        let Ok(Taken::Event(set)) = end.push(&compact) else {
            panic!()
        };
        let Event::Unknown(event) = set.event() else {
            panic!()
        };
        Subject::from_value(&event.payload()["transferee"], ssf_set::Strictness::Strict)
    };
    let email = json!({"format": "email", "email": "a@example.com"});
    assert_eq!(
        event(email.clone()),
        Ok(SubjectIdentifier::email("a@example.com").unwrap().into())
    );
    assert!(matches!(
        event(json!({"format": "complex", "user": email})),
        Ok(Subject::Complex(_))
    ));
    for bad in [
        json!([email]),
        json!("a@example.com"),
        json!({}),
        json!(null),
    ] {
        assert!(event(bad).is_err());
    }
    let sub_id = |sub_id: Value| {
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "jti": "j", "sub_id": sub_id, "events": {REVOKED: {}}});
        let header = jose_x509::jws::ProtectedHeader::new("secevent+jwt");
        end.push(&jose_x509::jwt::sign(&end.plane.key(), &header, &claims).unwrap())
            .map(|_| ())
            .err()
    };
    for bad in [json!([email]), json!("a@example.com"), json!(1)] {
        assert_eq!(sub_id(bad), refusal(SetErrorCode::InvalidRequest));
    }
    assert_eq!(sub_id(email), None);
}
