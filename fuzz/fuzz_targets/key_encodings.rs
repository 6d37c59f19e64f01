//! SPKI and PKCS#8, in DER and PEM: what is accepted has one encoding, and nothing may follow it.
#![no_main]

use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, Jwk, PublicKey, SigningKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let public = PublicKey::from_spki_pem(text);
        let private = SigningKey::from_pkcs8_pem(&provider(), Algorithm::Es256, text);
        assert!(
            public.is_err() || private.is_err(),
            "one text, two kinds of key"
        );
    }
    if let Ok(key) = PublicKey::from_spki_der(data) {
        assert_eq!(
            key.to_spki_der().expect("an accepted key can be written"),
            data
        );
        let jwk = serde_json::to_vec(&Jwk::new(key.clone())).expect("a key is JSON");
        let read = Jwk::from_slice(&jwk).expect("what is emitted is accepted");
        assert!(*read.key() == key, "{key:?}");
        let mut longer = data.to_vec();
        longer.push(0);
        assert!(PublicKey::from_spki_der(&longer).is_err());
    }
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Ed25519,
        Algorithm::Ps256,
    ] {
        let Ok(key) = SigningKey::from_pkcs8_der(&provider(), algorithm, data) else {
            continue;
        };
        assert_eq!(key.public_key().kind(), algorithm.key_kind());
        assert!(key.verifying_key().is_ok());
        assert!(PublicKey::from_spki_der(data).is_err());
    }
});
