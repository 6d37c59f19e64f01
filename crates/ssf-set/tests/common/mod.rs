//! A transmitter and a receiver for the tests.

use std::sync::Arc;
use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, CryptoProvider, KeySet, SigningKey, jwt, provider::ring};
use pki_types::UnixTime;
use serde_json::{Value, json};
use ssf_set::{Error, SecurityEventToken, SetVerifier};

pub const PROVIDER: CryptoProvider = ring::provider();
pub const NOW: u64 = 1_800_000_000;
pub const ISSUER: &str = "https://signals.example.com";
pub const AUDIENCE: &str = "https://gateway.example.org";
pub const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";

pub fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub fn key(kid: &str) -> SigningKey {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
}

pub fn keys(key: &SigningKey) -> Arc<KeySet> {
    Arc::new(KeySet::new(vec![key.verifying_key().unwrap()]).unwrap())
}

pub fn verifier(key: &SigningKey) -> SetVerifier {
    SetVerifier::ssf(ISSUER, keys(key), [AUDIENCE]).unwrap()
}

pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": NOW, "jti": "j1", "txn": "t1",
        "sub_id": {"format": "uri", "uri": "spiffe://example.org/agent"},
        "events": {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {}},
    })
}

/// The claims with some replaced, or removed where the value is the text `DELETE`.
pub fn changed(change: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in change.as_object().unwrap() {
        if value == "DELETE" {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

pub fn sign(key: &SigningKey, claims: &Value) -> String {
    jwt::sign(key, &ProtectedHeader::new("secevent+jwt"), claims).unwrap()
}

pub fn code(result: Result<SecurityEventToken, Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}
