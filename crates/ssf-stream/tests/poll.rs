//! Poll delivery, both sides, and the queue between them.
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

use common::*;
use http::HeaderValue;
use proptest::prelude::*;
use serde_json::{Value, json};
use ssf_set::caep::SessionRevoked;
use ssf_set::{SetErrorCode, SubjectIdentifier};
use ssf_stream::poll::{
    self, MAX_IDS, PollRequest, PollResponse, PollTransmitter, SetErrorReport, Step,
};
use ssf_stream::queue::{BatchLimit, EventQueue, Gate, MemoryEventQueue, Place, QueuedSet};
use ssf_stream::transmitter::Occurrence;

fn step(queue: &MemoryEventQueue, request: &PollRequest, seconds: u64) -> Step {
    run(PollTransmitter::new().step(queue, "stream", Gate::Open, request, at(seconds))).unwrap()
}

fn respond(queue: &MemoryEventQueue, request: &PollRequest, seconds: u64) -> PollResponse {
    match step(queue, request, seconds) {
        Step::Respond(response) => response,
        Step::Wait => panic!("has to respond"),
    }
}

/// Covers: SET-POLL-2.4-4, SET-POLL-A4
#[test]
fn a_set_that_is_never_finished_ends_aside() {
    let queue = MemoryEventQueue::new(5);
    run(queue.push(
        "stream",
        QueuedSet {
            id: "a".to_owned(),
            compact: "x".to_owned(),
            control: false,
        },
        Place::Back,
        at(NOW),
    ))
    .unwrap();
    let now_or = PollRequest::default().with_return_immediately();
    for round in 0..10 {
        assert_eq!(
            respond(&queue, &now_or, NOW + round * 60)
                .unverified_sets
                .len(),
            1
        );
    }
    assert!(
        respond(&queue, &now_or, NOW + 600)
            .unverified_sets
            .is_empty()
    );
    assert_eq!(run(queue.set_aside("stream")).unwrap().len(), 1);
}

/// Covers: SET-POLL-2-1, SET-POLL-2-3, SET-POLL-2.2-2, SET-POLL-2.2-4, SET-POLL-2.2-9, SET-POLL-2.3-1, SET-POLL-2.3-3
/// Covers: SET-POLL-2.4.2-1, SET-POLL-2.4.2-2, SET-POLL-2.4.3-1, SET-POLL-2.4.4-1, SET-POLL-2.5-1, SET-POLL-2.5-2
/// Covers: SET-POLL-2.5-4, SET-POLL-A2, SET-POLL-A3, SET-POLL-A4, SET-POLL-2.4-1, SET-POLL-2.3-4
#[test]
fn sets_go_from_queue_to_receiver_and_are_finished() {
    let (ours, foreign) = (parties(), parties());
    let queue = MemoryEventQueue::new(100);
    let push = |set: QueuedSet| run(queue.push("stream", set, Place::Back, at(NOW))).unwrap();
    let first = ours.set();
    let forged = foreign.set();
    let renamed = QueuedSet {
        id: "other".to_owned(),
        compact: ours.set().compact,
        control: false,
    };
    push(first.clone().into());
    push(forged.clone().into());
    push(renamed);

    let one = respond(&queue, &PollRequest::default().with_max_events(1), NOW);
    assert_eq!((one.unverified_sets.len(), one.more_available), (1, true));
    let rest = respond(&queue, &PollRequest::default(), NOW);
    assert_eq!(
        (rest.unverified_sets.len(), rest.more_available),
        (2, false)
    );
    assert_eq!(step(&queue, &PollRequest::default(), NOW), Step::Wait);

    let all = PollResponse::new([one.unverified_sets, rest.unverified_sets].concat(), false);
    let all = PollResponse::parse(&all.to_json()).unwrap();
    let polled = poll::verify(&all, &ours.verifier, at(NOW));
    let ack: Vec<String> = polled.sets.iter().map(|set| set.id().to_owned()).collect();
    assert_eq!(ack, [first.id]);
    assert_eq!(polled.refused["other"].code, SetErrorCode::InvalidRequest);
    assert_eq!(polled.refused[&forged.id].code, SetErrorCode::InvalidKey);

    let request = PollRequest::acknowledge(ack, polled.refused);
    let request = PollRequest::parse(&request.to_json()).unwrap();
    let response = respond(&queue, &request, NOW);
    assert_eq!(response, PollResponse::default());
    assert_eq!(response.to_json(), br#"{"sets":{}}"#);
    assert_eq!(run(queue.pending("stream")), Ok(0));
    assert_eq!(run(queue.set_aside("stream")).unwrap().len(), 2);

    push(ours.set().into());
    let only_ack = PollRequest::default()
        .with_max_events(0)
        .with_return_immediately();
    let response = respond(&queue, &only_ack, NOW);
    assert!(response.unverified_sets.is_empty() && response.more_available);
}

/// Keys that are not known yet are no reason to make the transmitter drop the SET.
///
/// Covers: SET-POLL-2-3, SET-POLL-2-5
#[test]
fn what_a_refresh_may_help_is_neither_acknowledged_nor_reported() {
    use jose_x509::{Algorithm, KeySet, SigningKey, provider::ring};
    let ours = parties();
    let other = SigningKey::generate(&ring::provider(), Algorithm::Es256)
        .unwrap()
        .with_kid("new");
    let keys = KeySet::new(vec![other.verifying_key().unwrap()]).unwrap();
    let verifier = ours
        .verifier
        .clone()
        .with_issuer(ISSUER, std::sync::Arc::new(keys))
        .unwrap();
    let set = ours.set();
    let response = PollResponse::new(vec![(set.id.clone(), set.compact)], false);
    let polled = poll::verify(&response, &verifier, at(NOW));
    assert!(polled.sets.is_empty() && polled.refused.is_empty());
    assert_eq!(polled.undecided[&set.id].code(), "unknown_key");
    assert_eq!(
        poll::verify(&response, &ours.verifier, at(NOW)).sets.len(),
        1
    );
}

/// Covers: SET-POLL-2.2-1, SET-POLL-2.2-5, SET-POLL-2.2-6, SET-POLL-2.2-7, SET-POLL-2.2-8, SET-POLL-2.2-10, SET-POLL-2.2-11
/// Covers: SET-POLL-2.4.1-1, SET-POLL-2.5.1-1, SET-POLL-A8, SET-POLL-A12
#[test]
fn requests_are_read_strictly() {
    assert_eq!(PollRequest::parse(b"{}").unwrap(), PollRequest::default());
    assert!(PollRequest::parse(br#"{"max_events":"ignored"}"#).is_ok());
    let many = json!({"ack": (0..=MAX_IDS).map(|i| i.to_string()).collect::<Vec<_>>()}).to_string();
    for body in [
        "",
        "[]",
        "null",
        "{} {}",
        r#"{"maxEvents":-1}"#,
        r#"{"maxEvents":1.5}"#,
        r#"{"maxEvents":"1"}"#,
        r#"{"maxEvents":null}"#,
        r#"{"maxEvents":18446744073709551616}"#,
        r#"{"maxEvents":1,"maxEvents":2}"#,
        r#"{"returnImmediately":1}"#,
        r#"{"ack":"a"}"#,
        r#"{"ack":[1]}"#,
        r#"{"ack":[""]}"#,
        r#"{"setErrs":[]}"#,
        r#"{"setErrs":{"a":{}}}"#,
        r#"{"setErrs":{"a":{"err":"x"}}}"#,
        r#"{"setErrs":{"a":{"err":1,"description":"x"}}}"#,
        r#"{"setErrs":{"a":{"err":"","description":"x"}}}"#,
        &many,
    ] {
        assert!(PollRequest::parse(body.as_bytes()).is_err(), "{body}");
    }
    let long = json!({"setErrs": {"a": {"err": "invalid_key", "description": "b".repeat(5000)}}});
    let request = PollRequest::parse(long.to_string().as_bytes()).unwrap();
    assert_eq!(request.set_errs["a"].description.len(), 1024);
}

/// Covers: SET-POLL-2.3-2, SET-POLL-2.3-4, SET-POLL-A6, SET-POLL-A7
#[test]
fn responses_are_read_strictly_and_in_order() {
    let parsed =
        PollResponse::parse(br#"{"x":1,"sets":{"b":"1","a":"2"},"moreAvailable":true}"#).unwrap();
    let pair = |id: &str, set: &str| (id.to_owned(), set.to_owned());
    assert_eq!(
        parsed,
        PollResponse::new(vec![pair("b", "1"), pair("a", "2")], true)
    );
    assert!(
        !PollResponse::parse(br#"{"sets":{},"moreAvailable":true}"#)
            .unwrap()
            .more_available
    );
    let large = format!("{{\"sets\":{{\"a\":\"{}\"}}}}", "x".repeat(1024 * 1024));
    for body in [
        "",
        "{}",
        r#"{"sets":[]}"#,
        r#"{"sets":null}"#,
        r#"{"sets":{"a":1}}"#,
        r#"{"sets":{"":"x"}}"#,
        r#"{"sets":{"a":"1","a":"2"}}"#,
        r#"{"sets":{},"moreAvailable":"true"}"#,
        &large,
    ] {
        assert!(PollResponse::parse(body.as_bytes()).is_err());
    }
}

/// Covers: SET-POLL-2-2, SET-POLL-2.1-2, SET-POLL-2.6-2, SET-POLL-2.5-3, SET-POLL-2.5.1-2
#[test]
fn messages_have_their_headers() {
    let mut poll = PollRequest::default();
    let endpoint = "https://signals.example.com/poll/1";
    let request =
        poll::request(&poll, endpoint, Some(&HeaderValue::from_static("Bearer s"))).unwrap();
    assert_eq!(
        (request.method().as_str(), request.body().as_slice()),
        ("POST", b"{}".as_slice())
    );
    assert_eq!(request.headers()["content-type"], "application/json");
    assert!(!request.headers().contains_key("content-language"));
    poll.set_errs.insert(
        "a".to_owned(),
        SetErrorReport::new(SetErrorCode::InvalidKey),
    );
    let request = poll::request(&poll, endpoint, None).unwrap();
    assert_eq!(request.headers()["content-language"], "en");
    assert!(poll::request(&poll, "http://signals.example.com/poll", None).is_err());

    let (mut parts, body) = request.into_parts();
    assert_eq!(PollTransmitter::new().read(&parts, &body).unwrap(), poll);
    parts
        .headers
        .insert("content-type", HeaderValue::from_static("text/plain"));
    assert_eq!(
        PollTransmitter::new()
            .read(&parts, &body)
            .unwrap_err()
            .code(),
        "content_type"
    );
    assert_eq!(poll::bad_request().status(), 400);
    let response = poll::response(&PollResponse::default());
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["content-type"]
        ),
        (200, &HeaderValue::from_static("application/json"))
    );
}

/// Covers: SET-POLL-A7
#[test]
fn a_batch_is_bounded_by_count_and_bytes() {
    let queue = MemoryEventQueue::new(1000);
    for i in 0..150 {
        run(queue.push(
            "stream",
            QueuedSet {
                id: i.to_string(),
                compact: "x".to_owned(),
                control: false,
            },
            Place::Back,
            at(NOW),
        ))
        .unwrap();
    }
    let batch = respond(
        &queue,
        &PollRequest::default().with_max_events(u64::MAX),
        NOW,
    );
    assert_eq!(
        (batch.unverified_sets.len(), batch.more_available),
        (100, true)
    );
    let small = PollTransmitter::new().with_limit(BatchLimit { sets: 3, bytes: 10 });
    let Step::Respond(batch) = run(small.step(
        &queue,
        "stream",
        Gate::Open,
        &PollRequest::default(),
        at(NOW),
    ))
    .unwrap() else {
        panic!()
    };
    assert_eq!(batch.unverified_sets.len(), 3);
}

proptest! {
    /// Covers: SET-POLL-2.2-8, SET-POLL-2.2-10, SET-POLL-2.3-1
    #[test]
    fn messages_round_trip(
        max in proptest::option::of(any::<u64>()),
        now in any::<bool>(),
        ack in proptest::collection::vec("\\PC{1,20}", 0..5),
        errs in proptest::collection::btree_map("\\PC{1,20}", "[a-z_]{1,20}", 0..5),
        more in any::<bool>(),
    ) {
        let mut request = PollRequest::default();
        request.max_events = max;
        request.return_immediately = now;
        request.ack.clone_from(&ack);
        for (id, code) in &errs {
            request.set_errs.insert(id.clone(), SetErrorReport::new(SetErrorCode::from_name(code)));
        }
        prop_assert_eq!(PollRequest::parse(&request.to_json()).unwrap(), request);
        let sets: Vec<_> = errs.into_iter().rev().collect();
        let more = more && !sets.is_empty();
        let response = PollResponse::new(sets, more);
        let value: Value = serde_json::from_slice(&response.to_json()).unwrap();
        prop_assert_eq!(value.get("moreAvailable").is_some(), more);
        prop_assert_eq!(PollResponse::parse(&response.to_json()).unwrap(), response);
    }
}

/// What was handed out and not acknowledged, as when its answer was lost, is overtaken or not, as the transmitter is set.
///
/// Covers: SET-POLL-2.4-2
#[test]
fn polls_in_order_are_never_overtaken() {
    use common::plane::{self, REVOKED, settings};
    for (settings, overtaken) in [
        (settings(), true),
        (settings().with_polls_in_order(), false),
    ] {
        let plane = plane::plane(settings);
        let wanted = json!({
            "events_requested": [REVOKED], "delivery": {"method": "urn:ietf:rfc:8936"},
        });
        let (status, stream) = plane.ask("POST", "/streams", wanted);
        assert_eq!(status, 201);
        let id = stream["stream_id"].as_str().unwrap();
        let emit = |subject: &str| {
            let subject = SubjectIdentifier::opaque(subject).unwrap();
            let event = Occurrence::new(subject, SessionRevoked::default());
            run(plane.transmitter.emit(&event, at(NOW))).unwrap();
        };
        let poll = |now| {
            let body = json!({"returnImmediately": true, "maxEvents": 1});
            let (status, answer) = plane.ask_as("rx", "POST", &format!("/poll/{id}"), body, now);
            assert_eq!(status, 200);
            let sets = answer["sets"].as_object().unwrap();
            sets.keys().next().cloned()
        };
        emit("first");
        emit("second");
        let lost = poll(NOW);
        assert!(lost.is_some());
        assert_eq!(poll(NOW + 59).is_some(), overtaken);
        assert_eq!(poll(NOW + 60), lost, "it comes again");
    }
}
