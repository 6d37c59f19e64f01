//! An accepted claims set fulfils every rule of the validator, judged by an ordinary JSON reader.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::jwt::{Audience, Issuer, Type, Validator};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, SigningKey, VerifyingKey};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use serde_json::Value;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://api.example";

struct Setup {
    signer: SigningKey,
    key: VerifyingKey,
    header: ProtectedHeader,
    validator: Validator,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let signer = SigningKey::generate(&provider(), Algorithm::Ed25519).expect("a key");
    let validator = Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::Exactly(ISSUER.to_owned()),
        Audience::AnyOf(vec![AUDIENCE.to_owned()]),
    )
    .with_leeway(Duration::from_secs(30))
    .expect("a short leeway")
    .with_max_lifetime(Duration::from_secs(900));
    Setup {
        key: signer.verifying_key().expect("a key"),
        header: ProtectedHeader::new("at+jwt"),
        signer,
        validator,
    }
});

fuzz_target!(|payload: &[u8]| {
    let setup = &*SETUP;
    let Ok(token) = jws::sign(&setup.signer, &setup.header, payload) else {
        return;
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let Ok(jwt) = setup.validator.validate(&token, &setup.key, now) else {
        return;
    };
    let claims: Value = serde_json::from_slice(payload).expect("accepted claims are JSON");
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(jwt.issuer(), Some(ISSUER));
    let audience: Vec<&str> = match &claims["aud"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many
            .iter()
            .map(|one| one.as_str().expect("a string"))
            .collect(),
        other => panic!("aud is neither string nor array: {other}"),
    };
    assert!(audience.contains(&AUDIENCE));
    assert_eq!(jwt.audience().collect::<Vec<_>>(), audience);

    let time = |name: &str| {
        let value = claims.get(name)?;
        let seconds = value.as_f64().expect("a number");
        assert!((0.0..=253_402_300_799.0).contains(&seconds), "{name}");
        Some(seconds)
    };
    let now = NOW as f64;
    let exp = time("exp").expect("exp is required");
    let iat = time("iat").expect("a lifetime limit requires iat");
    assert!(now < exp.floor() + 30.0);
    assert!(iat <= now + 30.0);
    assert!(iat < exp);
    assert!(exp.floor() - iat.ceil() <= 900.0);
    if let Some(nbf) = time("nbf") {
        assert!(nbf <= now + 30.0 && nbf < exp);
    }
    for name in ["sub", "jti"] {
        assert!(claims.get(name).is_none_or(Value::is_string), "{name}");
    }
    assert!(claims.get("cnf").is_none());
});
