//! Keys, proofs and times for the tests.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jose_x509::dpop::{DpopProof, Htu, ProofTarget, Verifier};
use jose_x509::provider::ring;
use jose_x509::{Algorithm, Error, Jwk, MemoryReplayGuard, Signer, SigningKey, base64url};
use pki_types::UnixTime;
use serde_json::{Map, Value, json};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const TARGET: &str = "https://server.example.com/token";

pub(crate) fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub(crate) fn now() -> UnixTime {
    at(NOW)
}

pub(crate) fn key() -> SigningKey {
    key_of(Algorithm::Es256)
}

pub(crate) fn key_of(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(&ring::provider(), algorithm).unwrap()
}

pub(crate) fn htu(text: &str) -> Htu {
    Htu::parse(text).unwrap()
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new(&ring::provider())
}

pub(crate) fn public(key: &SigningKey) -> Value {
    Jwk::new(key.public_key().clone()).to_value()
}

/// A header for a proof by this key.
pub(crate) fn header(key: &SigningKey) -> Value {
    json!({"typ": "dpop+jwt", "alg": key.algorithm().name(), "jwk": public(key)})
}

/// Claims of a proof for a POST to [`TARGET`], each time with another `jti`.
pub(crate) fn claims() -> Value {
    let jti = ring::provider().random_id().unwrap();
    json!({"jti": jti, "htm": "POST", "htu": TARGET, "iat": NOW})
}

/// The object with these members; null removes one.
pub(crate) fn with(object: &Value, changes: &Value) -> Value {
    let mut members: Map<String, Value> = object.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    members.into()
}

pub(crate) fn sign(key: &SigningKey, header: &str, claims: &str) -> String {
    let encode = |text: &str| base64url::encode(text.as_bytes());
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature = key.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", base64url::encode(signature.as_ref()))
}

/// A proof with changed claims.
pub(crate) fn proof(key: &SigningKey, changes: &Value) -> String {
    let claims = with(&claims(), changes);
    sign(key, &header(key).to_string(), &claims.to_string())
}

/// Verifies a proof for a POST to [`TARGET`] with a guard of its own.
pub(crate) fn verify(verifier: &Verifier, proof: &str) -> Result<DpopProof, Error> {
    let guard = MemoryReplayGuard::new(10);
    let target = htu(TARGET);
    let target = ProofTarget::new("POST", &target);
    verifier.verify([proof.as_bytes()], &target, &guard, now())
}

pub(crate) fn code<T>(result: Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "valid",
        Err(error) => {
            assert!(error.requirement().is_some() || error.code() == "invalid_option");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("eyJ"), "{shown}");
            error.code()
        }
    }
}

/// A verified proof by this key, made without an access token.
pub(crate) fn verified(key: &SigningKey) -> DpopProof {
    verify(&verifier(), &proof(key, &json!({}))).unwrap()
}

/// Runs a future that never waits.
pub(crate) fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}
