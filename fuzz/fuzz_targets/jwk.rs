//! An accepted JWK survives a round trip as JSON and as SPKI, and a prepared key is for one algorithm.
#![no_main]

use jose_x509::provider::ring::provider;
use jose_x509::{Jwk, PublicKey, VerifyingKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(jwk) = Jwk::from_slice(data) else {
        return;
    };
    for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert!(!jwk.to_members().contains_key(private), "{private}");
    }
    let text = serde_json::to_vec(&jwk).expect("a key is JSON");
    let again = Jwk::from_slice(&text).expect("what is emitted is accepted");
    assert!(again == jwk, "{jwk:?} {again:?}");
    assert_eq!(again.thumbprint(&provider()), jwk.thumbprint(&provider()));

    let spki = jwk
        .key()
        .to_spki_der()
        .expect("an accepted key can be written");
    let read = PublicKey::from_spki_der(&spki).expect("what is written is accepted");
    assert!(read == *jwk.key(), "{jwk:?}");

    let Ok(key) = VerifyingKey::from_jwk(&provider(), jwk) else {
        return;
    };
    let mut algorithms = key.algorithms().iter();
    let first = algorithms.next().expect("a key has an algorithm");
    assert!(algorithms.all(|other| other.is_same_operation(first)));
    assert_ne!(key.jwk().key_use(), Some("enc"));
    assert!(
        key.verify(first, b"message", &data[..data.len().min(64)])
            .is_err()
    );
});
