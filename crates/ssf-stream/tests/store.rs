//! The contract of the store of streams, on every implementation.
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
use ssf_stream::stream::StreamConfiguration;
use ssf_stream::transmitter::{MemoryStreamStore, StreamRecord, StreamStore, store_contract};

fn configuration(id: &str) -> StreamConfiguration {
    let stream = serde_json::json!({
        "stream_id": id, "iss": ISSUER, "aud": AUDIENCE, "events_delivered": [],
        "delivery": {"method": "urn:ietf:rfc:8936", "endpoint_url": "https://signals.example.com/poll"},
    });
    StreamConfiguration::parse(stream.to_string().as_bytes()).unwrap()
}

/// Runs the suite twice, and makes sure that it notices a stream that should not be there.
fn conforms(store: &dyn StreamStore) {
    assert_eq!(run(store_contract::check(store)), Ok(()));
    assert_eq!(
        run(store_contract::check(store)),
        Ok(()),
        "it leaves something behind"
    );
    let record = StreamRecord::new("another", configuration("bb"), at(NOW));
    run(store.create(record, 1)).unwrap();
    assert!(run(store_contract::check(store)).is_err());
}

#[test]
fn the_memory_store_keeps_the_contract() {
    conforms(&MemoryStreamStore::new());
}

#[cfg(feature = "redb")]
mod durable {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use http::{Request, StatusCode};
    use jose_x509::provider::ring;
    use jose_x509::{Algorithm, SigningKey};
    use serde_json::{Value, json};
    use ssf_set::caep::SessionRevoked;
    use ssf_set::{SetIssuer, SubjectIdentifier};
    use ssf_stream::queue::RedbEventQueue;
    use ssf_stream::transmitter::{
        Client, Occurrence, PeerName, Peers, RedbStreamStore, Reply, Settings, StoreError,
        Subjects, Transmitter,
    };

    use super::*;

    fn file(name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = folder.join(format!("{name}-{}.redb", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn the_durable_store_keeps_the_contract() {
        let path = file("store-contract");
        conforms(&RedbStreamStore::open(&path).unwrap());
        // The file has secrets in it.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_no_store_is_refused() {
        let path = file("store-other");
        std::fs::write(&path, b"something else").unwrap();
        let refused = |path: &Path| RedbStreamStore::open(path).err();
        assert_eq!(refused(&path), Some(StoreError::Unavailable));
        assert_eq!(
            refused(&std::env::temp_dir()),
            Some(StoreError::Unavailable)
        );
        std::fs::remove_file(path).unwrap();
    }

    /// A transmitter on files; each call is a new process as far as they can tell.
    fn transmitter(key: &SigningKey, store: &Path, queue: &Path) -> Transmitter<SigningKey> {
        let provider = ring::provider();
        let (base, jwks) = (format!("{ISSUER}/ssf"), format!("{ISSUER}/jwks"));
        let settings = Settings::new(ISSUER, &base, &jwks, [SessionRevoked::URI]).unwrap();
        Transmitter::new(
            SetIssuer::new(key.clone(), provider, ISSUER).unwrap(),
            provider,
            settings.with_default_subjects(Subjects::None),
            Arc::new(RedbStreamStore::open(store).unwrap()),
            Arc::new(RedbEventQueue::open(queue, 10).unwrap()),
            Arc::new(Peers::new().with_peer("receiver", Client::new("rx", AUDIENCE))),
        )
        .unwrap()
    }

    fn send(
        transmitter: &Transmitter<SigningKey>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{ISSUER}/ssf/{path}"))
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .extension(PeerName("receiver".to_owned()));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let Reply::Respond(response) = run(transmitter.handle(&parts, &body, at(NOW))) else {
            panic!("it waits");
        };
        let body = serde_json::from_slice(response.body()).unwrap_or_default();
        (response.status(), body)
    }

    /// The files are copied while they are open, which is what a crash leaves behind.
    #[test]
    fn a_transmitter_finds_its_streams_again_after_a_crash() {
        let key = SigningKey::generate(&ring::provider(), Algorithm::Es256).unwrap();
        let key = key.with_kid("k");
        let (store, queue) = (file("streams-before"), file("events-before"));
        let before = transmitter(&key, &store, &queue);
        let wanted = json!({
            "events_requested": [SessionRevoked::URI],
            "delivery": {"method": "urn:ietf:rfc:8936"},
        });
        let (status, stream) = send(&before, "POST", "streams", &wanted);
        assert_eq!(status, StatusCode::CREATED);
        let id = stream["stream_id"].as_str().unwrap();
        let subject = SubjectIdentifier::opaque("wanted").unwrap();
        let added = json!({"stream_id": id, "subject": subject.to_value()});
        let (status, _) = send(&before, "POST", "subjects/add", &added);
        assert_eq!(status, StatusCode::OK);
        let emit = |transmitter: &Transmitter<SigningKey>, subject: &str| {
            let subject = SubjectIdentifier::opaque(subject).unwrap();
            let event = Occurrence::new(subject, SessionRevoked::default());
            run(transmitter.emit(&event, at(NOW))).unwrap().streams
        };
        assert_eq!((emit(&before, "wanted"), emit(&before, "other")), (1, 0));
        let paused = json!({"stream_id": id, "status": "paused", "reason": "upgrade"});
        let (status, _) = send(&before, "POST", "status", &paused);
        assert_eq!(status, StatusCode::OK);

        let (crashed, events) = (file("streams-after"), file("events-after"));
        std::fs::copy(&store, &crashed).unwrap();
        std::fs::copy(&queue, &events).unwrap();
        let after = transmitter(&key, &crashed, &events);
        let (status, found) = send(
            &after,
            "GET",
            &format!("streams?stream_id={id}"),
            &Value::Null,
        );
        assert_eq!((status, &found), (StatusCode::OK, &stream));
        let (_, found) = send(
            &after,
            "GET",
            &format!("status?stream_id={id}"),
            &Value::Null,
        );
        assert_eq!(found, paused);
        assert_eq!((emit(&after, "wanted"), emit(&after, "other")), (1, 0));
        let (status, _) = send(&after, "POST", "streams", &wanted);
        assert_eq!(status, StatusCode::CONFLICT, "it has its stream already");

        let enabled = json!({"stream_id": id, "status": "enabled"});
        let (status, _) = send(&after, "POST", "status", &enabled);
        assert_eq!(status, StatusCode::OK);
        let poll = json!({"returnImmediately": true});
        let (status, got) = send(&after, "POST", &format!("poll/{id}"), &poll);
        assert_eq!(status, StatusCode::OK);
        // One from before the crash, one that was held after it.
        assert!(got["sets"].as_object().unwrap().len() >= 2, "{got}");
        let (status, _) = send(
            &after,
            "DELETE",
            &format!("streams?stream_id={id}"),
            &Value::Null,
        );
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(run(after.queue().pending(id)), Ok(0));
        for path in [store, queue, crashed, events] {
            let _ = std::fs::remove_file(path);
        }
    }
}
