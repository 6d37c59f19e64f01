//! An issuer, a workload and a service for the tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, CryptoProvider, KeySet, SigningKey, base64url, jwt, provider::ring};
use pki_types::UnixTime;
use serde_json::{Value, json};
use wimse::{TrustAnchors, WorkloadIdentifier};

pub const PROVIDER: CryptoProvider = ring::provider();
pub const NOW: u64 = 1_800_000_000;
pub const ORIGIN: &str = "wimse://example.com";

pub fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub fn subject() -> WorkloadIdentifier {
    WorkloadIdentifier::parse("wimse://example.com/payments").unwrap()
}

pub fn key(kid: &str) -> SigningKey {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
}

pub fn anchors(origin: &str, keys: &[&SigningKey]) -> BTreeMap<String, TrustAnchors> {
    let keys = KeySet::new(
        keys.iter()
            .map(|key| key.verifying_key().unwrap())
            .collect(),
    )
    .unwrap();
    BTreeMap::from([(
        origin.to_owned(),
        TrustAnchors {
            keys: Arc::new(keys),
            issuers: Arc::new([]),
        },
    )])
}

pub fn claims(workload: &SigningKey) -> Value {
    json!({
        "sub": subject().as_str(), "exp": NOW + 3600, "iat": NOW,
        "cnf": {"jwk": workload.public_jwk().to_value()},
    })
}

pub fn wit(issuer: &SigningKey, typ: &'static str, claims: &Value) -> String {
    jwt::sign(issuer, &ProtectedHeader::new(typ), claims).unwrap()
}

/// That a text has neither a token's parts nor the octets that they stand for.
#[allow(dead_code, reason = "not every test file needs it")]
pub fn assert_shows_none_of(shown: &str, tokens: &[&str]) {
    for part in tokens.iter().flat_map(|token| token.split('.')) {
        assert!(!shown.contains(part), "{part} in {shown}");
        if let Ok(octets) = base64url::decode(part, "part") {
            let octets = format!("{octets:?}");
            let octets = octets.trim_matches(['[', ']']);
            assert!(
                octets.is_empty() || !shown.contains(octets),
                "{part} in {shown}"
            );
        }
    }
}

#[allow(dead_code, reason = "not every test file needs it")]
pub fn code<T>(result: Result<T, wimse::Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}
