//! `jwt-simple`, with its portable cryptography: its faster one needs CMake and Go. It knows one key at a time, so no key is
//! looked up; it demands `kid` instead.

use std::collections::HashSet;
use std::hint::black_box;

use jose_x509::Algorithm;
use jose_x509::jwk::KeyMaterial;
use jwt_simple::prelude::{
    Claims, Duration, ECDSAP256KeyPairLike, ECDSAP256PublicKeyLike, ES256KeyPair, ES256PublicKey,
    Ed25519KeyPair, Ed25519PublicKey, EdDSAKeyPairLike, EdDSAPublicKeyLike, NoCustomClaims,
    RS256PublicKey, RSAPublicKeyLike, UnixTimeStamp, VerificationOptions,
};

use crate::fixtures::{AUDIENCE, CLAIMS, Key, SUBJECT};
use crate::harness::Work;

/// Validates a token. A required subject is compared with one value; that it is there cannot be asked for alone.
#[must_use]
pub fn verify(key: &Key, token: &str) -> Work {
    let options = VerificationOptions {
        required_key_id: Some(key.kid.clone()),
        required_signature_type: Some("JWT".to_owned()),
        required_subject: Some(SUBJECT.to_owned()),
        allowed_audiences: Some(HashSet::from([AUDIENCE.to_owned()])),
        time_tolerance: Some(Duration::from_secs(60)),
        ..VerificationOptions::default()
    };
    let token = token.to_owned();
    macro_rules! work {
        ($key:expr) => {{
            let key = $key.expect("the key is sound").with_key_id(&key.kid);
            Work::new(move || {
                key.verify_token::<NoCustomClaims>(black_box(&token), Some(options.clone()))
                    .expect("the token is good")
            })
        }};
    }
    match key.public.material() {
        KeyMaterial::Ec { point, .. } => work!(ES256PublicKey::from_bytes(point)),
        KeyMaterial::Ed25519(point) => work!(Ed25519PublicKey::from_bytes(point)),
        KeyMaterial::Rsa { n, e } => work!(RS256PublicKey::from_components(n, e)),
        _ => unreachable!("the fixtures have no other keys"),
    }
}

/// Signs claims of the same size.
#[must_use]
pub fn sign(key: &Key) -> Work {
    let claims = || {
        let json = serde_json::to_value(CLAIMS).expect("claims are JSON");
        let text = |name: &str| json.get(name)?.as_str().map(str::to_owned);
        let time = |name: &str| json.get(name)?.as_u64().map(UnixTimeStamp::from_secs);
        let mut claims = Claims::create(Duration::from_secs(60))
            .with_subject(SUBJECT)
            .with_audiences(HashSet::from([AUDIENCE]));
        claims.jwt_id = text("jti");
        claims.expires_at = time("exp");
        claims.invalid_before = time("nbf");
        claims.issued_at = time("iat");
        claims
    };
    let claims = claims();
    if key.algorithm == Algorithm::Es256 {
        let pair = ES256KeyPair::from_der(&key.pkcs8).expect("it reads what ring wrote");
        let pair = pair.with_key_id(&key.kid);
        Work::new(move || pair.sign(black_box(claims.clone())).expect("it signs"))
    } else {
        // ring's PKCS#8 has the public key, too, which this crate does not read: the seed stands at a fixed place.
        let seed = key.pkcs8.get(16..48).expect("ring writes 83 bytes");
        let KeyMaterial::Ed25519(point) = key.public.material() else {
            unreachable!("an EdDSA key");
        };
        let pair = Ed25519KeyPair::from_bytes(&[seed, point].concat()).expect("the key is sound");
        let pair = pair.with_key_id(&key.kid);
        Work::new(move || pair.sign(black_box(claims.clone())).expect("it signs"))
    }
}
