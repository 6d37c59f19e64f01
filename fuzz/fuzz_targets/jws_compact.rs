//! An accepted token has exactly one text form, and a token with another text form does not verify.
#![no_main]

use jose_x509::base64url;
use jose_x509::jws::UnverifiedJws;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(token) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(jws) = UnverifiedJws::parse(token) else {
        return;
    };
    assert!(token.len() <= 16 * 1024);
    let mut segments = token.split('.');
    let header = segments.next().expect("three segments");
    let payload = segments.next().expect("three segments");
    let signature = segments.next().expect("three segments");
    assert!(segments.next().is_none());
    assert!(!signature.is_empty());
    assert_eq!(jws.signing_input(), format!("{header}.{payload}"));

    let raw = jws.unverified_header().raw();
    assert_eq!(base64url::encode(raw.as_bytes()), header);
    assert_eq!(base64url::encode(jws.unverified_payload()), payload);

    let members = jws
        .unverified_header()
        .members()
        .expect("an accepted header is an object");
    let algorithm = jws.unverified_header().algorithm().name();
    assert_eq!(
        members.get("alg").and_then(|alg| alg.as_str()),
        Some(algorithm)
    );
    for refused in ["b64", "jku", "x5u", "jwk", "x5c", "crit"] {
        assert!(!members.contains_key(refused), "{refused}");
    }
    assert_eq!(
        members.get("kid").and_then(|kid| kid.as_str()),
        jws.unverified_header().kid()
    );
});
