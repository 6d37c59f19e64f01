//! A transmitter and a receiver for the tests.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jose_x509::{Algorithm, KeySet, SigningKey, provider::ring};
use pki_types::UnixTime;
use ssf_set::caep::SessionRevoked;
use ssf_set::{SetIssuer, SetRequest, SetVerifier, SignedSet, SubjectIdentifier};

pub const NOW: u64 = 1_800_000_000;
pub const ISSUER: &str = "https://signals.example.com";
pub const AUDIENCE: &str = "https://gateway.example.org";

pub fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub struct Parties {
    pub issuer: SetIssuer<SigningKey>,
    pub verifier: SetVerifier,
}

pub fn parties() -> Parties {
    let provider = ring::provider();
    let key = SigningKey::generate(&provider, Algorithm::Es256)
        .unwrap()
        .with_kid("k");
    let keys = Arc::new(KeySet::new(vec![key.verifying_key().unwrap()]).unwrap());
    Parties {
        issuer: SetIssuer::new(key, provider, ISSUER).unwrap(),
        verifier: SetVerifier::ssf(ISSUER, keys, [AUDIENCE]).unwrap(),
    }
}

impl Parties {
    pub fn set(&self) -> SignedSet {
        self.set_for(AUDIENCE)
    }

    pub fn set_for(&self, audience: &str) -> SignedSet {
        let subject = SubjectIdentifier::opaque("s").unwrap();
        let request = SetRequest::new(audience, subject, SessionRevoked::default());
        self.issuer.issue(&request, at(NOW)).unwrap()
    }
}

/// Runs a future that never waits for anything outside.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

/// A transmitter with its store and queue, and requests to it.
pub mod plane {
    use super::*;
    use http::{Method, Request, Response};
    use serde_json::Value;
    use ssf_set::caep::{CredentialChange, SessionRevoked};
    use ssf_stream::queue::MemoryEventQueue;
    use ssf_stream::transmitter::{
        Client, MemoryStreamStore, PeerName, Peers, Policy, Reply, Settings, Transmitter,
    };

    pub const BASE: &str = "https://signals.example.com/ssf";
    pub const REVOKED: &str = SessionRevoked::URI;
    pub const CREDENTIAL: &str = CredentialChange::URI;

    pub struct Plane {
        pub transmitter: Transmitter<SigningKey>,
        pub keys: Arc<KeySet>,
        pub queue: Arc<MemoryEventQueue>,
        pub pkcs8: Vec<u8>,
    }

    pub fn settings() -> Settings {
        Settings::new(
            ISSUER,
            BASE,
            "https://signals.example.com/jwks.json",
            [REVOKED, CREDENTIAL],
        )
        .unwrap()
    }

    pub fn plane(settings: Settings) -> Plane {
        plane_with(settings, None, 1000)
    }

    pub fn plane_with(
        settings: Settings,
        policy: Option<Arc<dyn Policy>>,
        capacity: usize,
    ) -> Plane {
        let provider = ring::provider();
        let key = SigningKey::generate(&provider, Algorithm::Es256)
            .unwrap()
            .with_kid("k");
        let keys = Arc::new(KeySet::new(vec![key.verifying_key().unwrap()]).unwrap());
        let pkcs8 = key.expose_pkcs8_der().to_vec();
        let queue = Arc::new(MemoryEventQueue::new(capacity));
        let peers = Peers::new()
            .with_peer("rx", Client::new("rx", AUDIENCE))
            .with_peer("other", Client::new("other", "https://other.example.org"))
            .with_peer(
                "third",
                Client::new("third", "https://third.example.org")
                    .with_audience("https://third.example.org/app")
                    .with_events([CREDENTIAL]),
            );
        let mut transmitter = Transmitter::new(
            SetIssuer::new(key, provider, ISSUER).unwrap(),
            provider,
            settings,
            Arc::new(MemoryStreamStore::new()),
            queue.clone(),
            Arc::new(peers),
        )
        .unwrap();
        if let Some(policy) = policy {
            transmitter = transmitter.with_policy(policy);
        }
        Plane {
            transmitter,
            keys,
            queue,
            pkcs8,
        }
    }

    pub fn request(method: &str, target: &str, body: &Value) -> Request<Vec<u8>> {
        let target = if target.starts_with("https:") {
            target.to_owned()
        } else {
            format!("{BASE}{target}")
        };
        let mut request = Request::new(match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        });
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        *request.uri_mut() = target.parse().unwrap();
        if !body.is_null() {
            request
                .headers_mut()
                .insert("content-type", "application/json".parse().unwrap());
        }
        request
    }

    impl Plane {
        /// The transmitter's own key, for what it would never say.
        pub fn key(&self) -> SigningKey {
            SigningKey::from_pkcs8_der(&ring::provider(), Algorithm::Es256, &self.pkcs8)
                .unwrap()
                .with_kid("k")
        }

        pub fn reply(&self, peer: &str, mut request: Request<Vec<u8>>, now: u64) -> Reply {
            if !peer.is_empty() {
                request.extensions_mut().insert(PeerName(peer.to_owned()));
            }
            let (parts, body) = request.into_parts();
            run(self.transmitter.handle(&parts, &body, at(now)))
        }

        pub fn send(&self, peer: &str, request: Request<Vec<u8>>, now: u64) -> Response<Vec<u8>> {
            match self.reply(peer, request, now) {
                Reply::Respond(response) => response,
                Reply::Wait(_) => panic!("a long poll"),
            }
        }

        /// Status and JSON body of a request of `rx`.
        pub fn ask(&self, method: &str, target: &str, body: Value) -> (u16, Value) {
            self.ask_as("rx", method, target, body, NOW)
        }

        pub fn ask_as(
            &self,
            peer: &str,
            method: &str,
            target: &str,
            body: Value,
            now: u64,
        ) -> (u16, Value) {
            let response = self.send(peer, request(method, target, &body), now);
            assert_eq!(
                response
                    .headers()
                    .get("cache-control")
                    .map(|v| v.as_bytes()),
                Some(&b"no-store"[..])
            );
            let body = if response.body().is_empty() {
                Value::Null
            } else {
                assert_eq!(response.headers()["content-type"], "application/json");
                serde_json::from_slice(response.body()).unwrap()
            };
            (response.status().as_u16(), body)
        }

        /// A stream of `peer`, polled, with both event types.
        pub fn stream(&self, peer: &str) -> String {
            let body = serde_json::json!({"events_requested": [REVOKED, CREDENTIAL]});
            let (status, body) = self.ask_as(peer, "POST", "/streams", body, NOW);
            assert_eq!(status, 201, "{body}");
            body["stream_id"].as_str().unwrap().to_owned()
        }

        pub fn verifier(&self, audience: &str) -> SetVerifier {
            SetVerifier::ssf(ISSUER, self.keys.clone(), [audience]).unwrap()
        }

        /// Polls once, acknowledges, and tells the events in order: the last segment of their type.
        pub fn drain(
            &self,
            peer: &str,
            stream_id: &str,
            now: u64,
        ) -> Vec<ssf_set::SecurityEventToken> {
            let audience = match peer {
                "rx" => AUDIENCE,
                "other" => "https://other.example.org",
                _ => "https://third.example.org",
            };
            let target = format!("/poll/{stream_id}");
            let ask = serde_json::json!({"returnImmediately": true});
            let raw = self.send(peer, request("POST", &target, &ask), now);
            assert_eq!(raw.status(), 200);
            let response = ssf_stream::poll::PollResponse::parse(raw.body()).unwrap();
            let ids: Vec<&String> = response.unverified_sets.iter().map(|(id, _)| id).collect();
            let ack = serde_json::json!({"maxEvents": 0, "returnImmediately": true, "ack": ids});
            assert_eq!(
                self.send(peer, request("POST", &target, &ack), now)
                    .status(),
                200
            );
            let verifier = self.verifier(audience);
            response
                .unverified_sets
                .iter()
                .map(|(_, compact)| verifier.verify(compact, at(now)).unwrap())
                .collect()
        }
    }

    pub fn kinds(sets: &[ssf_set::SecurityEventToken]) -> Vec<&str> {
        sets.iter()
            .map(|set| set.event().uri().rsplit('/').next().unwrap())
            .collect()
    }
}
