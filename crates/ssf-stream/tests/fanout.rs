//! One event for many streams, and what it costs.
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
use std::sync::atomic::{AtomicUsize, Ordering};

use common::plane::{BASE, REVOKED, request, settings};
use common::*;
use jose_x509::sign::Signature;
use jose_x509::{Algorithm, Error, KeySet, MemoryReplayGuard, Signer, SigningKey, provider::ring};
use serde_json::json;
use ssf_set::caep::{Common, SessionRevoked};
use ssf_set::{Event, SetIssuer, SetVerifier, Subject, SubjectIdentifier};
use ssf_stream::queue::{BatchLimit, Consumer, EventQueue, Gate, MemoryEventQueue, QueuedSet};
use ssf_stream::stream::StreamConfiguration;
use ssf_stream::transmitter::{
    Client, DefaultPolicy, MemoryStreamStore, Occurrence, PeerName, Peers, Policy, Reply,
    StreamRecord, StreamStore, Transmitter,
};

/// Counts signatures.
struct Counting(SigningKey, Arc<AtomicUsize>);

impl Signer for Counting {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }
    fn kid(&self) -> Option<&str> {
        self.0.kid()
    }
    fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.sign(message)
    }
}

struct Fan {
    transmitter: Transmitter<Counting>,
    signatures: Arc<AtomicUsize>,
    store: Arc<MemoryStreamStore>,
    queue: Arc<MemoryEventQueue>,
    keys: Arc<KeySet>,
}

fn fan(policy: Arc<dyn Policy>, peers: Peers) -> Fan {
    let provider = ring::provider();
    let key = SigningKey::generate(&provider, Algorithm::Es256)
        .unwrap()
        .with_kid("k");
    let keys = Arc::new(KeySet::new(vec![key.verifying_key().unwrap()]).unwrap());
    let signatures = Arc::new(AtomicUsize::new(0));
    let signer = Counting(key, signatures.clone());
    let (store, queue) = (MemoryStreamStore::new(), MemoryEventQueue::new(10));
    let (store, queue) = (Arc::new(store), Arc::new(queue));
    let transmitter = Transmitter::new(
        SetIssuer::new(signer, provider, ISSUER).unwrap(),
        provider,
        settings(),
        store.clone(),
        queue.clone(),
        Arc::new(peers),
    );
    Fan {
        transmitter: transmitter.unwrap().with_policy(policy),
        signatures,
        store,
        queue,
        keys,
    }
}

impl Fan {
    fn add(&self, id: &str, audience: &[&str], group: Option<&str>) {
        let configuration = json!({
            "stream_id": id, "iss": ISSUER, "aud": audience,
            "events_supported": [REVOKED], "events_requested": [REVOKED], "events_delivered": [REVOKED],
            "delivery": {"method": "urn:ietf:rfc:8936", "endpoint_url": format!("{BASE}/poll/{id}")},
        });
        let configuration = StreamConfiguration::parse(configuration.to_string().as_bytes());
        let mut record = StreamRecord::new(id, configuration.unwrap(), at(NOW));
        record.group = group.map(str::to_owned);
        // The bound of streams is for each receiver, and each has one.
        run(self.store.create(record, usize::MAX)).unwrap();
    }

    /// How many streams got an event, and for how many signatures.
    fn emit(&self) -> (usize, usize) {
        let before = self.signatures.load(Ordering::SeqCst);
        let subject = SubjectIdentifier::email("a@example.com").unwrap();
        let event = Occurrence::new(subject, SessionRevoked::new(Common::at(NOW)));
        let emitted = run(self.transmitter.emit(&event, at(NOW))).unwrap();
        let signed = self.signatures.load(Ordering::SeqCst) - before;
        (emitted.streams, signed)
    }

    fn next(&self, stream: &str) -> QueuedSet {
        let one = BatchLimit {
            sets: 10,
            bytes: usize::MAX,
        };
        let lease = self
            .queue
            .lease(stream, Consumer::Shared, Gate::Open, one, at(NOW));
        let mut sets = run(lease).unwrap().sets;
        assert_eq!(sets.len(), 1, "{stream}");
        sets.remove(0)
    }

    fn claims(&self, audience: &str, set: &QueuedSet) -> serde_json::Value {
        let verifier = SetVerifier::ssf(ISSUER, self.keys.clone(), [audience]).unwrap();
        let set = verifier.verify(&set.compact, at(NOW)).unwrap();
        serde_json::Value::Object(set.claims().clone())
    }
}

const FLEET: &str = "https://fleet.example.org";

/// A fleet of 10 000 gateways, declared one audience group: one signature, one SET, and each stream has it as its own.
#[test]
fn ten_thousand_streams_of_one_group_cost_one_signature() {
    const STREAMS: usize = 10_000;
    let fan = fan(Arc::new(DefaultPolicy), Peers::new());
    for index in 0..STREAMS {
        fan.add(&format!("s{index:05}"), &[FLEET], Some("fleet"));
    }
    assert_eq!(fan.emit(), (STREAMS, 1));
    let first = fan.next("s00000");
    for index in 1..STREAMS {
        assert_eq!(fan.next(&format!("s{index:05}")), first);
    }
    let claims = fan.claims(FLEET, &first);
    assert_eq!(
        claims["aud"], FLEET,
        "the name of the group and of nobody in it"
    );
    // Each finishes its own.
    let done = [first.id];
    run(fan.queue.finish("s00007", Consumer::Shared, &done)).unwrap();
    let pending = |stream| run(fan.queue.pending(stream)).unwrap();
    assert_eq!((pending("s00007"), pending("s00008")), (0, 1));
    // The next event is another SET.
    assert_eq!(fan.emit(), (STREAMS, 1));
}

/// Whoever is not declared one entity has a SET of its own, however equal the audience, and no SET names another receiver.
///
/// Covers: SSF-4.1.8-3
#[test]
fn nothing_is_shared_that_was_not_declared_one_audience() {
    let fan = fan(Arc::new(DefaultPolicy), Peers::new());
    let other = "https://other.example.org";
    let streams: [(&str, &[&str], Option<&str>); 9] = [
        ("a1", &[FLEET], Some("a")),
        ("a2", &[FLEET], Some("a")),
        ("a3", &[other], Some("a")),
        ("a4", &[FLEET, other], Some("a")),
        ("a5", &[other, FLEET], Some("a")),
        ("b1", &[FLEET], Some("b")),
        ("n1", &[FLEET], None),
        ("n2", &[FLEET], None),
        ("o1", &[other], None),
    ];
    for (id, audience, group) in streams {
        fan.add(id, audience, group);
    }
    assert_eq!(fan.emit(), (9, 8));
    let sets: Vec<QueuedSet> = streams.iter().map(|(id, ..)| fan.next(id)).collect();
    assert_eq!(sets[0], sets[1]);
    let ids: HashSet<&str> = sets.iter().map(|set| set.id.as_str()).collect();
    assert_eq!(ids.len(), 8);
    for ((id, audience, _), set) in streams.iter().zip(&sets) {
        let expected = match audience {
            [one] => json!(one),
            several => json!(several),
        };
        assert_eq!(fan.claims(audience[0], set)["aud"], expected, "{id}");
    }
}

/// What the policy gives to one stream of a group never goes into another.
///
/// Covers: SSF-4.1.8-3
#[test]
fn a_group_shares_no_more_than_each_stream_may_have() {
    struct Discreet;
    impl Policy for Discreet {
        fn share(&self, stream: &StreamRecord, _: &Subject, event: &Event) -> Option<Event> {
            match stream.receiver.as_str() {
                "none" => None,
                id if id.starts_with("part") => Some(SessionRevoked::default().into()),
                _ => Some(event.clone()),
            }
        }
        fn subject_for(&self, stream: &StreamRecord, subject: &Subject) -> Subject {
            match stream.receiver.as_str() {
                id if id.starts_with("pairwise") => SubjectIdentifier::opaque(id).unwrap().into(),
                _ => subject.clone(),
            }
        }
    }
    let fan = fan(Arc::new(Discreet), Peers::new());
    let ids = [
        "full1",
        "full2",
        "none",
        "pairwise1",
        "pairwise2",
        "part1",
        "part2",
    ];
    for id in ids {
        fan.add(id, &[FLEET], Some("fleet"));
    }
    assert_eq!(fan.emit(), (6, 4));
    assert_eq!(fan.next("full1"), fan.next("full2"));
    assert_eq!(run(fan.queue.pending("none")).unwrap(), 0);
    for (id, subject, timestamp) in [
        (
            "full1",
            json!({"format": "email", "email": "a@example.com"}),
            true,
        ),
        (
            "part1",
            json!({"format": "email", "email": "a@example.com"}),
            false,
        ),
        (
            "part2",
            json!({"format": "email", "email": "a@example.com"}),
            false,
        ),
        (
            "pairwise1",
            json!({"format": "opaque", "id": "pairwise1"}),
            true,
        ),
        (
            "pairwise2",
            json!({"format": "opaque", "id": "pairwise2"}),
            true,
        ),
    ] {
        // Those of the first check are leased.
        if id == "full1" {
            continue;
        }
        let claims = fan.claims(FLEET, &fan.next(id));
        assert_eq!(claims["sub_id"], subject, "{id}");
        let event = &claims["events"][REVOKED];
        assert_eq!(event.get("event_timestamp").is_some(), timestamp, "{id}");
    }
    // Pairwise identifiers for more streams than a group has forms: each is signed, and right.
    for index in 0..100 {
        fan.add(&format!("pairwise-{index}"), &[FLEET], Some("fleet"));
    }
    assert_eq!(fan.emit().0, 106);
    for index in [0, 50, 99] {
        let id = format!("pairwise-{index}");
        let claims = fan.claims(FLEET, &fan.next(&id));
        assert_eq!(claims["sub_id"], json!({"format": "opaque", "id": id}));
    }
}

/// A group is declared with the receiver, and each member processes the event once by its own replay guard.
#[test]
fn members_of_a_group_are_declared_and_each_has_the_event_once() {
    let member = |id: &str| Client::new(id, FLEET).with_group("fleet");
    let peers = Peers::new()
        .with_peer("g1", member("g1"))
        .with_peer("g2", member("g2"));
    let fan = fan(Arc::new(DefaultPolicy), peers);
    let streams: Vec<String> = ["g1", "g2"]
        .iter()
        .map(|peer| {
            let body = json!({"events_requested": [REVOKED]});
            let mut request = request("POST", "/streams", &body);
            request
                .extensions_mut()
                .insert(PeerName((*peer).to_owned()));
            let (parts, body) = request.into_parts();
            let Reply::Respond(response) = run(fan.transmitter.handle(&parts, &body, at(NOW)))
            else {
                panic!("a long poll");
            };
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(body["aud"], FLEET);
            assert!(
                body.get("group").is_none(),
                "the group is the operator's business"
            );
            body["stream_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(fan.emit(), (2, 1));
    let verifier = SetVerifier::ssf(ISSUER, fan.keys.clone(), [FLEET]).unwrap();
    let guards = [MemoryReplayGuard::new(10), MemoryReplayGuard::new(10)];
    for (stream, guard) in streams.iter().zip(&guards) {
        let set = verifier.verify(&fan.next(stream).compact, at(NOW)).unwrap();
        assert!(verifier.record(&set, guard, at(NOW)).is_ok());
        assert!(verifier.record(&set, guard, at(NOW)).is_err(), "once");
    }
}
