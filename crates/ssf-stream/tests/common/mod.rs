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
