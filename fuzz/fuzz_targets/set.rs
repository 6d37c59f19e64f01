//! The input is the payload of a correctly signed token: what is accepted keeps every rule of the
//! profile, and what its event says is what is sent again.
#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::{Algorithm, KeySet, SigningKey, provider::ring};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use serde_json::Value;
use ssf_set::SetVerifier;

const NOW: u64 = 1_800_000_000;

fn parties() -> &'static (SigningKey, SetVerifier) {
    static PARTIES: OnceLock<(SigningKey, SetVerifier)> = OnceLock::new();
    PARTIES.get_or_init(|| {
        let key = SigningKey::generate(&ring::provider(), Algorithm::Es256).expect("a key");
        let keys = KeySet::new(vec![key.verifying_key().expect("its public half")]).expect("a set");
        let verifier = SetVerifier::ssf("https://signals.example.com", Arc::new(keys), ["rx"]);
        (key, verifier.expect("a verifier"))
    })
}

fuzz_target!(|payload: &[u8]| {
    let (key, verifier) = parties();
    let token = jws::sign(key, &ProtectedHeader::new("secevent+jwt"), payload).expect("signed");
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let Ok(set) = verifier.verify(&token, now) else {
        return;
    };
    let claims: Value = serde_json::from_slice(payload).expect("strict JSON is JSON");
    assert_eq!(claims["iss"], "https://signals.example.com");
    assert!(claims.get("sub").is_none() && claims.get("exp").is_none());
    assert!(claims["sub_id"].is_object() && claims["jti"] == set.id());
    assert!(set.audience().any(|aud| aud == "rx") && set.issued_at() <= NOW + 60);
    let events = claims["events"].as_object().expect("an object");
    assert_eq!((events.len(), set.events().len()), (1, 1));
    let sent = Value::Object(set.event().to_payload());
    let received = &events[set.event().uri()];
    // Fractions of a time are cut off.
    for (name, value) in sent.as_object().expect("an object") {
        assert!(
            value == &received[name] || name == "event_timestamp",
            "{name}"
        );
    }
    assert!(set.time_of_event() <= set.issued_at().max(set.toe().unwrap_or(0)) + 60);
});
