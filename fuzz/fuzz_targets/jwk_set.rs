//! An accepted key set survives a round trip, with the same thumbprints and no private member.
#![no_main]

use jose_x509::{JwkSet, KeySet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(set) = JwkSet::from_slice(data) else {
        return;
    };
    let provider = jose_x509::provider::ring::provider();
    let text = serde_json::to_vec(&set.to_value()).expect("a key set is JSON");
    let again = JwkSet::from_slice(&text).expect("what is emitted is accepted");
    assert_eq!(again.keys().len(), set.keys().len());
    assert!(again.skipped().is_empty());
    for (key, other) in set.keys().iter().zip(again.keys()) {
        assert_eq!(key.kid(), other.kid());
        assert_eq!(key.thumbprint(&provider), other.thumbprint(&provider));
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(!key.to_members().contains_key(private), "{private}");
        }
    }
    let _ = KeySet::from_jwks(&provider, &set);
});
