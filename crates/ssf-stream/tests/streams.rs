//! Events in streams: who gets which, in what order, and what a status does to them.
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

use std::sync::Arc;
use std::time::Duration;

use common::plane::*;
use common::*;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use ssf_set::caep::{Common, CredentialChange, SessionRevoked};
use ssf_set::ssf::StreamStatus;
use ssf_set::{ComplexSubject, Event, SecurityEventToken, Subject, SubjectIdentifier};
use ssf_stream::metadata::PUSH;
use ssf_stream::poll::PollResponse;
use ssf_stream::push::{Outcome, parse_response};
use ssf_stream::queue::{EventQueue, Fence, QueueError};
use ssf_stream::transmitter::{
    Backoff, Emitted, InactivityAction, Occurrence, Policy, PushResult, PushStep, Reply,
    StreamRecord, Subjects,
};

fn email(name: &str) -> Subject {
    SubjectIdentifier::email(&format!("{name}@example.com"))
        .unwrap()
        .into()
}

fn revoked(subject: Subject) -> Occurrence {
    Occurrence::new(subject, SessionRevoked::default())
}

fn emit(plane: &Plane, name: &str, now: u64) -> Emitted {
    run(plane.transmitter.emit(&revoked(email(name)), at(now))).unwrap()
}

fn names(sets: &[SecurityEventToken]) -> Vec<String> {
    let name = |set: &SecurityEventToken| match (set.event(), set.subject().unwrap()) {
        (Event::StreamUpdated(event), _) => format!("={}", event.status.as_str()),
        (Event::Verification(_), _) => "verification".to_owned(),
        (_, Subject::Simple(SubjectIdentifier::Email { email, .. })) => {
            email.split('@').next().unwrap().to_owned()
        }
        _ => "?".to_owned(),
    };
    sets.iter().map(name).collect()
}

fn status(plane: &Plane, id: &str, status: &str, now: u64) -> u16 {
    let body = json!({"stream_id": id, "status": status, "reason": "r"});
    plane.ask_as("rx", "POST", "/status", body, now).0
}

/// Covers: SSF-4.1.6-1, SSF-4.1.8-2, SSF-4.1.8-3, SSF-A16, SSF-8.1.1-9, SSF-8.1.3.1-1, SSF-10.1-1, SSF-10.3.2-1, SSF-9.2-1
/// Covers: SSF-8.1.1.5-1
#[test]
fn each_stream_gets_its_own_set_of_what_it_may_have() {
    struct Discreet;
    impl Policy for Discreet {
        fn share(&self, stream: &StreamRecord, _: &Subject, event: &Event) -> Option<Event> {
            match (stream.receiver.as_str(), event) {
                ("other", Event::SessionRevoked(_)) => Some(SessionRevoked::default().into()),
                ("third", Event::CredentialChange(_)) => None,
                _ => Some(event.clone()),
            }
        }
        fn subject_for(&self, stream: &StreamRecord, subject: &Subject) -> Subject {
            match stream.receiver.as_str() {
                "other" => SubjectIdentifier::opaque("pairwise").unwrap().into(),
                _ => subject.clone(),
            }
        }
    }
    let plane = plane_with(settings(), Some(Arc::new(Discreet)), 100);
    let ids = ["rx", "other", "third"].map(|peer| (peer, plane.stream(peer)));
    let event = SessionRevoked::new(Common::at(NOW));
    let occurrence = Occurrence::new(email("a"), event).with_time_of_event(at(NOW - 5));
    let emitted = run(plane.transmitter.emit(&occurrence, at(NOW))).unwrap();
    assert_eq!((emitted.streams, emitted.overflowed), (2, 0));
    let change = CredentialChange::new(
        Common::at(NOW),
        "password",
        ssf_set::caep::ChangeType::Update,
    )
    .unwrap();
    let credential = Occurrence::new(email("a"), change).with_transaction("t");
    assert_eq!(
        run(plane.transmitter.emit(&credential, at(NOW)))
            .unwrap()
            .streams,
        2
    );

    let [rx, other, third] = ids.each_ref().map(|(peer, id)| plane.drain(peer, id, NOW));
    assert_eq!(
        (kinds(&rx), kinds(&other), third.len()),
        (
            vec!["session-revoked", "credential-change"],
            vec!["session-revoked", "credential-change"],
            0
        )
    );
    assert_ne!(rx[0].id(), other[0].id());
    assert_eq!(rx[0].transaction(), other[0].transaction(), "one cause");
    assert_ne!(rx[0].transaction(), rx[1].transaction());
    assert_eq!(rx[1].transaction(), Some("t"));
    assert_eq!(rx[0].audience().collect::<Vec<_>>(), [AUDIENCE]);
    assert_eq!(
        other[0].audience().collect::<Vec<_>>(),
        ["https://other.example.org"]
    );
    assert!(rx.iter().chain(&other).all(|set| set.issuer() == ISSUER));
    assert_eq!(
        (rx[0].subject(), rx[0].toe()),
        (Some(&email("a")), Some(NOW - 5))
    );
    assert_eq!(
        other[0].subject(),
        Some(&SubjectIdentifier::opaque("pairwise").unwrap().into())
    );
    assert_eq!(
        (rx[0].event().timestamp(), other[0].event().timestamp()),
        (Some(NOW), None)
    );

    // Types that are not delivered are not sent, and nothing goes to a stream that is gone.
    let (_, id) = &ids[0];
    plane.ask(
        "PATCH",
        "/streams",
        json!({"stream_id": id, "events_requested": [CREDENTIAL]}),
    );
    assert_eq!(emit(&plane, "b", NOW).streams, 1);
    assert_eq!(
        plane
            .ask("DELETE", &format!("/streams?stream_id={id}"), Value::Null)
            .0,
        204
    );
    assert_eq!(
        run(plane.transmitter.emit(&credential, at(NOW)))
            .unwrap()
            .streams,
        1
    );
    assert_eq!(run(plane.queue.pending(id)), Ok(0));
}

/// Several names of one receiver go into one SET, since they are of one stream.
///
/// Covers: SSF-4.1.8-2
#[test]
fn an_audience_of_two_is_in_every_set_of_its_stream() {
    let plane = plane(settings());
    let body = json!({"events_requested": [CREDENTIAL]});
    let (_, body) = plane.ask_as("third", "POST", "/streams", body, NOW);
    let id = body["stream_id"].as_str().unwrap();
    assert_eq!(
        plane
            .ask_as("third", "POST", "/verify", json!({"stream_id": id}), NOW)
            .0,
        204
    );
    let change = CredentialChange::new(
        Common::at(NOW),
        "password",
        ssf_set::caep::ChangeType::Update,
    )
    .unwrap();
    run(plane
        .transmitter
        .emit(&Occurrence::new(email("a"), change), at(NOW)))
    .unwrap();
    let sets = plane.drain("third", id, NOW);
    assert_eq!(sets.len(), 2);
    for set in sets {
        assert_eq!(
            set.audience().collect::<Vec<_>>(),
            ["https://third.example.org", "https://third.example.org/app"]
        );
    }
}

/// Covers: SSF-7.1-14, SSF-7.1-15, SSF-3.3.1-1, SSF-8.1.3.1-1, SSF-8.1.3.1-5, SSF-9.3-1, SSF-8.1.3.2-4, SSF-8.1.3.3-1
#[test]
fn subjects_decide_what_is_sent() {
    for (subjects, baseline) in [(Subjects::All, true), (Subjects::None, false)] {
        let plane = plane(
            settings()
                .with_default_subjects(subjects)
                .with_removal_grace(Duration::from_secs(60)),
        );
        let id = plane.stream("rx");
        let change = |what: &str, subject: &Subject, now| {
            let body = json!({"stream_id": id, "subject": subject.to_value()});
            assert!(
                plane
                    .ask_as("rx", "POST", &format!("/subjects/{what}"), body, now)
                    .0
                    < 300
            );
        };
        let sent = |subject: &Subject, now| {
            run(plane.transmitter.emit(&revoked(subject.clone()), at(now)))
                .unwrap()
                .streams
                == 1
        };
        let (a, b) = (email("a"), email("b"));
        assert_eq!(sent(&a, NOW), baseline);
        change("add", &a, NOW);
        assert!(sent(&a, NOW));
        assert_eq!(sent(&b, NOW), baseline);
        change("remove", &a, NOW);
        assert!(sent(&a, NOW + 30), "the grace");
        change("remove", &a, NOW + 50);
        assert!(
            sent(&a, NOW + 59) && !sent(&a, NOW + 61),
            "a second removal does not prolong it"
        );
        change("add", &a, NOW + 70);
        assert!(sent(&a, NOW + 1000));
        change("remove", &a, NOW + 1000);
        change("remove", &b, NOW + 1000);
        assert!(!sent(&a, NOW + 1061) && !sent(&b, NOW + 1061));

        // Complex subjects, also with members of other names.
        let of = |user: &str, member: &str, value: &str| -> Subject {
            let user = SubjectIdentifier::opaque(user).unwrap();
            let other = SubjectIdentifier::opaque(value).unwrap();
            ComplexSubject::new("user", user)
                .unwrap()
                .with(member, other)
                .unwrap()
                .into()
        };
        for member in ["group", "application", "workload"] {
            let (user, one, two) = (format!("u-{member}"), "1", "2");
            let added = of(&user, member, one);
            change("add", &added, NOW);
            assert!(sent(&added, NOW));
            if !baseline {
                assert!(!sent(&of(&user, member, two), NOW), "{member} counts");
                let broader: Subject =
                    ComplexSubject::new("user", SubjectIdentifier::opaque(&user).unwrap())
                        .unwrap()
                        .into();
                assert!(sent(&broader, NOW));
                assert!(!sent(
                    &SubjectIdentifier::opaque(&user).unwrap().into(),
                    NOW
                ));
            }
            change("remove", &added, NOW);
            assert!(!sent(&added, NOW + 61));
        }
    }
}

/// Covers: SSF-8.1.2.1-5, SSF-8.1.2.1-6, SSF-8.1.2.1-7, SSF-8.1.2.1-8, SSF-8.1.2.1-9, SSF-8.1.2.2-1, SSF-8.1.2.1-1, SSF-8.1.2.1-3, SSF-8.1.2-1
/// Covers: CAEP-INTEROP-2.3.5-1, CAEP-INTEROP-2.3.5-2
#[test]
fn a_receiver_pauses_and_disables_its_stream() {
    let plane = plane(settings());
    let id = plane.stream("rx");
    let read = || {
        plane
            .ask("GET", &format!("/status?stream_id={id}"), Value::Null)
            .1
    };
    assert_eq!(read(), json!({"stream_id": id, "status": "enabled"}));
    let pause = json!({"stream_id": id, "status": "paused", "reason": "R", "subject": {"format": "opaque", "id": "x"}});
    let (code, body) = plane.ask("POST", "/status", pause);
    assert_eq!(
        (code, &body),
        (
            200,
            &json!({"stream_id": id, "status": "paused", "reason": "R"})
        )
    );
    assert_eq!(read(), body);
    assert_eq!(
        plane.ask(
            "POST",
            "/status",
            json!({"stream_id": id, "status": "paused", "reason": "other"})
        ),
        (200, body),
        "no effect"
    );
    for name in ["a", "b", "c"] {
        assert_eq!(emit(&plane, name, NOW).streams, 1);
        assert!(plane.drain("rx", &id, NOW).is_empty());
    }
    assert_eq!(status(&plane, &id, "enabled", NOW), 200);
    emit(&plane, "d", NOW);
    assert_eq!(
        names(&plane.drain("rx", &id, NOW)),
        ["a", "b", "c", "d"],
        "no event about the status that it set itself"
    );

    emit(&plane, "e", NOW);
    assert_eq!(status(&plane, &id, "disabled", NOW), 200);
    assert_eq!(emit(&plane, "f", NOW).streams, 0);
    assert!(plane.drain("rx", &id, NOW).is_empty());
    assert_eq!(
        plane.ask(
            "POST",
            "/status",
            json!({"stream_id": id, "status": "enabled"})
        ),
        (200, json!({"stream_id": id, "status": "enabled"}))
    );
    emit(&plane, "g", NOW);
    assert_eq!(names(&plane.drain("rx", &id, NOW)), ["g"]);
}

/// Covers: SSF-8.1.2-1, SSF-8.1.5-2, SSF-8.1.5-3, SSF-8.1.5-4, SSF-8.1.2.1-6, SSF-8.1.2.1-9
#[test]
fn a_transmitter_tells_what_it_does_to_a_stream() {
    let plane = plane(settings());
    let id = plane.stream("rx");
    let set =
        |status, reason| run(plane.transmitter.set_status(&id, status, reason, at(NOW))).unwrap();
    emit(&plane, "a", NOW);
    set(StreamStatus::Paused, Some("maintenance"));
    set(StreamStatus::Paused, Some("again"));
    emit(&plane, "b", NOW);
    let sets = plane.drain("rx", &id, NOW);
    assert_eq!(
        names(&sets),
        ["a", "=paused"],
        "what was there, the news, and then nothing"
    );
    let Event::StreamUpdated(event) = sets[1].event() else {
        panic!()
    };
    assert_eq!(event.reason.as_deref(), Some("maintenance"));
    assert_eq!(
        sets[1].subject(),
        Some(&SubjectIdentifier::opaque(&id).unwrap().into())
    );
    assert!(plane.drain("rx", &id, NOW).is_empty());
    assert_eq!(
        plane
            .ask("GET", &format!("/status?stream_id={id}"), Value::Null)
            .1["reason"],
        "maintenance"
    );
    set(StreamStatus::Enabled, None);
    emit(&plane, "c", NOW);
    assert_eq!(names(&plane.drain("rx", &id, NOW)), ["=enabled", "b", "c"]);

    emit(&plane, "d", NOW);
    set(StreamStatus::Disabled, None);
    emit(&plane, "e", NOW);
    assert_eq!(names(&plane.drain("rx", &id, NOW)), ["d", "=disabled"]);
    set(StreamStatus::Enabled, None);
    assert_eq!(names(&plane.drain("rx", &id, NOW)), ["=enabled"]);
    set(StreamStatus::Paused, None);
    emit(&plane, "f", NOW);
    set(StreamStatus::Disabled, None);
    assert_eq!(
        names(&plane.drain("rx", &id, NOW)),
        ["=paused", "=disabled"]
    );
    set(StreamStatus::Enabled, None);
    assert_eq!(
        names(&plane.drain("rx", &id, NOW)),
        ["=enabled"],
        "what was held is not sent after disabling"
    );
    assert_eq!(
        run(plane
            .transmitter
            .set_status("x", StreamStatus::Paused, None, at(NOW)))
        .unwrap_err()
        .code(),
        "no_stream"
    );
}

/// Covers: SSF-8.1.4-1, SSF-8.1.4.1-3, SSF-8.1.4.2-1, SSF-8.1.4.2-2, SSF-8.1.4.2-3, SSF-8.1.4.2-5, SSF-8.1.1-12, SSF-A14, CAEP-INTEROP-A10
/// Covers: CAEP-INTEROP-2.3.8.2-5, CAEP-INTEROP-2.3.6-1
#[test]
fn verification_comes_at_once_and_not_too_often() {
    let plane = plane(settings().with_default_subjects(Subjects::None));
    let id = plane.stream("rx");
    // The stream's own subject cannot be removed, nor can it be added.
    let own = json!({"stream_id": id, "subject": {"format": "opaque", "id": id}});
    assert_eq!(plane.ask("POST", "/subjects/remove", own.clone()).0, 204);
    assert_eq!(plane.ask("POST", "/subjects/add", own).0, 200);
    let subject = SubjectIdentifier::opaque(&id).unwrap().into();
    assert_eq!(
        run(plane.transmitter.store().subject(&id, &subject)),
        Ok(None)
    );

    let state: String = "é世 \"\\\u{7}".chars().cycle().take(1000).collect();
    let ask = |now, state: &str| {
        let body = json!({"stream_id": id, "state": state});
        plane.send("rx", request("POST", "/verify", &body), now)
    };
    let response = ask(NOW, &state);
    assert_eq!(
        (response.status().as_u16(), response.body().len()),
        (204, 0)
    );
    let sets = plane.drain("rx", &id, NOW);
    let Event::Verification(event) = sets[0].event() else {
        panic!()
    };
    assert_eq!(
        (sets.len(), event.state.as_deref()),
        (1, Some(state.as_str()))
    );
    for (after, status, wait) in [
        (10, 429, "50"),
        (59, 429, "1"),
        (60, 204, ""),
        (61, 429, "59"),
    ] {
        let response = ask(NOW + after, "s");
        assert_eq!(response.status(), status);
        assert_eq!(
            response
                .headers()
                .get("retry-after")
                .map(|v| v.to_str().unwrap()),
            (status == 429).then_some(wait)
        );
    }
    assert_eq!(
        plane.drain("rx", &id, NOW + 61).len(),
        1,
        "a refused request has no event"
    );
    for stopped in ["paused", "disabled"] {
        status(&plane, &id, stopped, NOW);
        assert_eq!(ask(NOW + 1000, "s").status(), 400);
        assert_eq!(
            run(plane.transmitter.verify(&id, at(NOW)))
                .unwrap_err()
                .code(),
            "no_stream"
        );
    }
    status(&plane, &id, "enabled", NOW);
    run(plane.transmitter.verify(&id, at(NOW))).unwrap();
    let sets = plane.drain("rx", &id, NOW);
    assert_eq!(sets[0].event().to_payload(), serde_json::Map::new());
}

/// Covers: SSF-A14, CAEP-INTEROP-A10, SSF-8.1.4.1-7
#[test]
fn nothing_but_a_verification_goes_to_an_endpoint_that_was_not_proven() {
    let plane = plane(settings().with_verification_first());
    let id = plane.stream("rx");
    emit(&plane, "a", NOW);
    assert!(plane.drain("rx", &id, NOW).is_empty());
    plane.ask("POST", "/verify", json!({"stream_id": id}));
    assert_eq!(names(&plane.drain("rx", &id, NOW)), ["verification"]);
    assert_eq!(names(&plane.drain("rx", &id, NOW)), ["a"]);
    let moved = json!({"stream_id": id, "delivery": {"method": PUSH, "endpoint_url": "https://victim.example.org"}});
    assert_eq!(plane.ask("PATCH", "/streams", moved).0, 200);
    emit(&plane, "b", NOW);
    let fence = run(plane.queue.claim(&id, Duration::from_secs(60), at(NOW))).unwrap();
    assert!(
        matches!(
            run(plane.transmitter.next_push(&id, fence, at(NOW))),
            Ok(PushStep::Idle)
        ),
        "a new endpoint is proven anew"
    );

    struct Strict;
    impl Policy for Strict {
        fn verification_failed(&self, _: &StreamRecord) -> Option<StreamStatus> {
            Some(StreamStatus::Paused)
        }
    }
    let plane = plane_with(settings(), Some(Arc::new(Strict)), 10);
    let id = plane.stream("rx");
    plane.ask("POST", "/verify", json!({"stream_id": id}));
    let target = format!("/poll/{id}");
    let raw = plane.send(
        "rx",
        request("POST", &target, &json!({"returnImmediately": true})),
        NOW,
    );
    let jti = PollResponse::parse(raw.body()).unwrap().unverified_sets[0]
        .0
        .clone();
    let report = json!({"returnImmediately": true, "setErrs": {jti: {"err": "invalid_state", "description": "x"}}});
    let raw = plane.send("rx", request("POST", &target, &report), NOW);
    let news = PollResponse::parse(raw.body()).unwrap();
    let news = plane
        .verifier(AUDIENCE)
        .verify(&news.unverified_sets[0].1, at(NOW))
        .unwrap();
    assert_eq!(names(&[news]), ["=paused"]);
    assert_eq!(
        plane
            .ask("GET", &format!("/status?stream_id={id}"), Value::Null)
            .1,
        json!({"stream_id": id, "status": "paused", "reason": "verification_failed"})
    );
}

/// Covers: SSF-8.1.1-14, SSF-8.1.1-15, SSF-8.1.1-16
#[test]
fn a_stream_that_nobody_uses_is_stopped() {
    for (action, after) in [
        (InactivityAction::Pause, "paused"),
        (InactivityAction::Disable, "disabled"),
        (InactivityAction::Delete, ""),
    ] {
        let plane = plane(settings().with_inactivity_timeout(Duration::from_secs(100), action));
        let id = plane.stream("rx");
        let status = |now| {
            let (code, body) = plane.ask_as(
                "rx",
                "GET",
                &format!("/status?stream_id={id}"),
                Value::Null,
                now,
            );
            (code == 200).then(|| body["status"].as_str().unwrap().to_owned())
        };
        let record = |now| {
            run(plane.transmitter.tick(at(now))).unwrap();
            run(plane.transmitter.store().read(&id))
                .unwrap()
                .map(|record| record.status.as_str())
        };
        assert_eq!(
            plane
                .ask("GET", &format!("/streams?stream_id={id}"), Value::Null)
                .1["inactivity_timeout"],
            100
        );
        assert_eq!(status(NOW + 90).as_deref(), Some("enabled"));
        assert_eq!(record(NOW + 150), Some("enabled"), "the question counts");
        plane.drain("rx", &id, NOW + 180);
        assert_eq!(record(NOW + 280), Some("enabled"), "a poll counts");
        assert_eq!(record(NOW + 281), (!after.is_empty()).then_some(after));
        if !after.is_empty() {
            let sets = plane.drain("rx", &id, NOW + 300);
            assert_eq!(names(&sets), [format!("={after}")]);
            let Event::StreamUpdated(event) = sets[0].event() else {
                panic!()
            };
            assert_eq!(event.reason.as_deref(), Some("inactive"));
        }
    }
    // A delivered push is the transmitter's activity.
    let plane = plane(
        settings().with_inactivity_timeout(Duration::from_secs(100), InactivityAction::Pause),
    );
    let (_, body) = plane.ask("POST", "/streams", json!({"delivery": {"method": PUSH, "endpoint_url": "https://rx.example.org"}, "events_requested": [REVOKED]}));
    let id = body["stream_id"].as_str().unwrap().to_owned();
    emit(&plane, "a", NOW);
    let fence = run(plane.queue.claim(&id, Duration::from_secs(600), at(NOW))).unwrap();
    assert_eq!(push(&plane, &id, fence, Outcome::Accepted, NOW + 90).1, 1);
    run(plane.transmitter.tick(at(NOW + 101))).unwrap();
    let record = run(plane.transmitter.store().read(&id)).unwrap().unwrap();
    assert_eq!(record.status, StreamStatus::Paused);
}

/// Sends the next SET, with this result.
fn push(plane: &Plane, id: &str, fence: Fence, outcome: Outcome, now: u64) -> (String, u32) {
    let Ok(PushStep::Send {
        id: jti, attempts, ..
    }) = run(plane.transmitter.next_push(id, fence, at(now)))
    else {
        panic!("nothing to send")
    };
    let result = PushResult::Answered(outcome);
    run(plane.transmitter.pushed(
        id,
        fence,
        &jti,
        attempts,
        &result,
        Backoff::default(),
        0,
        at(now),
    ))
    .unwrap();
    (jti, attempts)
}

/// Covers: SSF-6.1.1-3, SSF-6.1.1-5, SET-PUSH-2-13, SET-PUSH-2-14, SET-PUSH-A11, SSF-8.1.2.1-5, SSF-8.1.2.1-8, SSF-A11
#[test]
fn pushes_are_in_order_and_repeated_only_with_reason() {
    let plane = plane(settings());
    let (_, body) = plane.ask("POST", "/streams", json!({
        "delivery": {"method": PUSH, "endpoint_url": "https://rx.example.org/e", "authorization_header": "Bearer abc"},
        "events_requested": [REVOKED],
    }));
    let id = body["stream_id"].as_str().unwrap().to_owned();
    assert_eq!(
        plane.ask("POST", &format!("/poll/{id}"), json!({})).0,
        404,
        "it is not polled"
    );
    for name in ["a", "b", "c", "d", "e"] {
        emit(&plane, name, NOW);
    }
    let hold = Duration::from_secs(100_000);
    let fence = run(plane.queue.claim(&id, hold, at(NOW))).unwrap();
    let next = |now| run(plane.transmitter.next_push(&id, fence, at(now)));
    let Ok(PushStep::Send {
        id: first,
        attempts: 1,
        request,
    }) = next(NOW)
    else {
        panic!()
    };
    assert_eq!(request.uri(), "https://rx.example.org/e");
    assert_eq!(request.headers()["authorization"], "Bearer abc");
    assert!(request.headers()["authorization"].is_sensitive());
    let original = request.into_body();
    let done = |jti: &str, attempts, result: PushResult, now| {
        run(plane.transmitter.pushed(
            &id,
            fence,
            jti,
            attempts,
            &result,
            Backoff::default(),
            0,
            at(now),
        ))
        .unwrap();
    };
    // No answer, 503 and 429: the same bytes again, later and later, and nothing overtakes.
    done(&first, 1, PushResult::NoAnswer, NOW);
    assert!(matches!(next(NOW), Ok(PushStep::WaitUntil(until)) if until == at(NOW + 1)));
    let Ok(PushStep::Send {
        id: again,
        attempts: 2,
        request,
    }) = next(NOW + 1)
    else {
        panic!()
    };
    assert_eq!((&again, request.body()), (&first, &original));
    assert_eq!(request.headers()["authorization"], "Bearer abc");
    let retry_after = |seconds: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", seconds.parse().unwrap());
        PushResult::Answered(parse_response(StatusCode::TOO_MANY_REQUESTS, &headers, b""))
    };
    done(&first, 2, retry_after("7"), NOW + 1);
    assert!(matches!(next(NOW + 2), Ok(PushStep::WaitUntil(until)) if until == at(NOW + 8)));
    let mut now = NOW + 8;
    let mut waits = Vec::new();
    for attempts in 3..40 {
        let Ok(PushStep::Send {
            id: jti,
            attempts: counted,
            ..
        }) = next(now)
        else {
            panic!("{attempts}")
        };
        assert_eq!(
            (&jti, counted),
            (&first, attempts),
            "transient failures do not wear it out"
        );
        done(
            &first,
            counted,
            PushResult::Answered(Outcome::Unavailable { retry_after: None }),
            now,
        );
        let Ok(PushStep::WaitUntil(until)) = next(now) else {
            panic!()
        };
        waits.push(until.as_secs() - now);
        now = until.as_secs();
    }
    assert!(
        waits.is_sorted() && waits[0] == 2 && waits.last() == Some(&150),
        "{waits:?}"
    );
    push(&plane, &id, fence, Outcome::Accepted, now);
    // Refused for good: kept aside, the next one follows.
    let refused = |code: &str| Outcome::Refused {
        code: ssf_set::SetErrorCode::from_name(code),
        description: None,
    };
    let (b, _) = push(&plane, &id, fence, refused("invalid_audience"), now);
    assert_ne!(b, first);
    for (outcome, code) in [
        (refused("invalid_key"), "invalid_key"),
        (Outcome::Unauthorized, "authentication_failed"),
        (Outcome::Misconfigured { status: 302 }, "misconfigured"),
    ] {
        let (jti, attempts) = push(&plane, &id, fence, outcome.clone(), now);
        assert_eq!(attempts, 1);
        if code != "misconfigured" {
            now += 1;
            assert_eq!(
                push(&plane, &id, fence, outcome, now),
                (jti.clone(), 2),
                "once more, after new keys or credentials"
            );
        }
        let aside = run(plane.queue.set_aside(&id)).unwrap();
        let (set, found) = aside.last().unwrap();
        assert_eq!((&set.id, found.as_ref().unwrap().as_str()), (&jti, code));
    }
    assert!(matches!(next(now), Ok(PushStep::Idle)));
    assert_eq!(run(plane.queue.pending(&id)), Ok(0));
    // Somebody else has the stream now.
    run(plane.queue.renew(&id, fence, Duration::ZERO, at(now))).unwrap();
    run(plane.queue.claim(&id, hold, at(now))).unwrap();
    assert!(matches!(
        next(now),
        Err(ssf_stream::Error::Queue(QueueError::Fenced))
    ));
    plane.ask("DELETE", &format!("/streams?stream_id={id}"), Value::Null);
    assert!(matches!(next(now), Ok(PushStep::Stop)));
}

/// Covers: SET-PUSH-2-14
#[test]
fn the_backoff_grows_with_jitter_up_to_a_limit() {
    let backoff = Backoff::new(Duration::from_secs(4), Duration::from_secs(60));
    for (attempts, half, whole) in [(1, 2, 4), (2, 4, 8), (3, 8, 16), (5, 30, 60), (200, 30, 60)] {
        let mut seen = std::collections::BTreeSet::new();
        for random in [0, 1, 2, 3, 5, 17, 29, 30, 1 << 40, u64::MAX] {
            let wait = backoff.after(attempts, random, None).as_secs();
            assert!((half..=whole).contains(&wait), "{attempts} {wait}");
            seen.insert(wait);
        }
        assert!(seen.len() > 1);
    }
    let asked = |seconds| {
        backoff
            .after(1, 0, Some(Duration::from_secs(seconds)))
            .as_secs()
    };
    assert_eq!(
        (asked(1), asked(90), asked(1 << 40)),
        (2, 90, 3600),
        "a peer cannot silence its stream for ever"
    );
}

/// A receiver that is away: what is kept comes in order, and that something is missing is told.
///
/// Covers: SSF-A13, SSF-8.1.2.1-7, SET-POLL-A11, SET-POLL-2-7, CAEP-INTEROP-2.3.5-3
#[test]
fn a_receiver_that_was_away_learns_that_events_are_missing() {
    let plane = plane_with(settings(), None, 3);
    assert_eq!(
        plane.transmitter.settings().retention(),
        Duration::from_secs(7 * 24 * 3600)
    );
    let id = plane.stream("rx");
    for name in ["a", "b", "c"] {
        assert_eq!(emit(&plane, name, NOW).overflowed, 0);
    }
    let emitted = emit(&plane, "d", NOW);
    assert_eq!((emitted.streams, emitted.overflowed), (1, 1));
    let record = || run(plane.transmitter.store().read(&id)).unwrap().unwrap();
    assert_eq!(
        (
            record().status,
            record().reason.as_deref(),
            record().dropped
        ),
        (StreamStatus::Paused, Some("events_dropped"), 1)
    );
    let sets = plane.drain("rx", &id, NOW);
    assert_eq!(names(&sets), ["b", "c", "d", "=paused"]);
    let Event::StreamUpdated(event) = sets[3].event() else {
        panic!()
    };
    assert_eq!(event.reason.as_deref(), Some("events_dropped"));
    for name in ["e", "f", "g", "h", "i"] {
        emit(&plane, name, NOW);
    }
    assert_eq!(record().dropped, 3);
    assert!(plane.drain("rx", &id, NOW).is_empty());
    status(&plane, &id, "enabled", NOW);
    assert_eq!(record().dropped, 0);
    assert_eq!(names(&plane.drain("rx", &id, NOW)), ["g", "h", "i"]);

    // The same by age.
    let week = 7 * 24 * 3600;
    emit(&plane, "j", NOW);
    emit(&plane, "k", NOW + 10);
    run(plane.transmitter.tick(at(NOW + week))).unwrap();
    assert_eq!(
        (record().status, run(plane.queue.pending(&id))),
        (StreamStatus::Enabled, Ok(2))
    );
    run(plane.transmitter.tick(at(NOW + week + 1))).unwrap();
    assert_eq!(
        (record().status, record().dropped),
        (StreamStatus::Paused, 1)
    );
    let sets = plane.drain("rx", &id, NOW + week + 1);
    assert_eq!(names(&sets), ["k", "=paused"]);
    assert_eq!(sets[0].issued_at(), NOW + 10, "how old it is can be told");
}

/// Covers: SET-POLL-2.1-1, SET-POLL-A5, SET-POLL-2.2-7, SET-POLL-2.5-2, SSF-8.1.2.1-6, SET-POLL-2.1-2
#[test]
fn long_polls_end_with_events_time_or_the_stream() {
    let plane = plane(settings());
    let id = plane.stream("rx");
    let target = format!("/poll/{id}");
    let long = || match plane.reply("rx", request("POST", &target, &json!({})), NOW) {
        Reply::Wait(waiting) => waiting,
        Reply::Respond(response) => panic!("{response:?}"),
    };
    let resume = |waiting: &_, now| {
        let response = run(plane.transmitter.resume(waiting, at(now)))?;
        Some((
            response.status().as_u16(),
            PollResponse::parse(response.body())
                .map(|r| r.unverified_sets.len())
                .unwrap_or(99),
        ))
    };
    let first = long();
    assert_eq!(
        (first.stream_id(), first.until()),
        (id.as_str(), at(NOW + 30))
    );
    assert_eq!(
        (resume(&first, NOW + 29), resume(&first, NOW + 30)),
        (None, Some((200, 0)))
    );
    emit(&plane, "a", NOW);
    assert_eq!(resume(&first, NOW), Some((200, 1)));
    let second = long();
    assert_eq!((resume(&first, NOW), resume(&second, NOW)), (None, None));
    let third = long();
    assert_eq!(resume(&first, NOW), Some((200, 0)), "the oldest makes room");
    assert_eq!((resume(&second, NOW), resume(&third, NOW)), (None, None));
    drop(second);
    let fourth = long();
    assert_eq!(
        (resume(&third, NOW), resume(&fourth, NOW)),
        (None, None),
        "one that is gone counts no more"
    );
    status(&plane, &id, "paused", NOW);
    assert_eq!(resume(&fourth, NOW), Some((200, 0)));
    assert_eq!(
        plane.ask("POST", &target, json!({})),
        (200, json!({"sets": {}})),
        "nothing will come"
    );
    status(&plane, &id, "enabled", NOW);
    let fifth = long();
    plane.ask("DELETE", &format!("/streams?stream_id={id}"), Value::Null);
    assert_eq!(resume(&fifth, NOW).unwrap().0, 404);
    let response = plane.send("rx", request("GET", &target, &Value::Null), NOW);
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["allow"].as_bytes()
        ),
        (405, &b"POST"[..])
    );
}
