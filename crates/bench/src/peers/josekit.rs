//! `josekit`, on OpenSSL. It knows one key at a time; `kid`, `typ` and what is required are compared by its caller.

use std::hint::black_box;
use std::time::SystemTime;

use jose_x509::Algorithm;
use josekit::jwk::Jwk;
use josekit::jws::{ES256, EdDSA, JwsHeader, JwsSigner, JwsVerifier, RS256};
use josekit::jwt::{self, JwtPayload, JwtPayloadValidator};
use serde_json::Value;

use crate::fixtures::{AUDIENCE, CLAIMS, Key};
use crate::harness::Work;

/// Validates a token.
#[must_use]
pub fn verify(key: &Key, token: &str) -> Work {
    let Value::Object(members) = key.jwk().to_value() else {
        unreachable!("a JWK is an object");
    };
    let jwk = Jwk::from_map(members).expect("the key is sound");
    let verifier: Box<dyn JwsVerifier> = match key.algorithm {
        Algorithm::Rs256 => Box::new(RS256.verifier_from_jwk(&jwk).expect("an RSA key")),
        Algorithm::EdDsa => Box::new(EdDSA.verifier_from_jwk(&jwk).expect("an Ed25519 key")),
        _ => Box::new(ES256.verifier_from_jwk(&jwk).expect("a P-256 key")),
    };
    let token = token.to_owned();
    let kid = key.kid.clone();
    Work::new(move || {
        let (payload, header) =
            jwt::decode_with_verifier(black_box(&token), &*verifier).expect("the token is good");
        assert_eq!(header.token_type(), Some("JWT"));
        assert_eq!(header.claim("kid").and_then(Value::as_str), Some(&*kid));
        let mut validator = JwtPayloadValidator::new();
        validator.set_base_time(SystemTime::now());
        validator.set_audience(AUDIENCE);
        validator.validate(&payload).expect("the claims are good");
        assert!(payload.subject().is_some() && payload.expires_at().is_some());
        assert!(payload.not_before().is_some());
        payload
    })
}

/// Signs [`CLAIMS`].
#[must_use]
pub fn sign(key: &Key) -> Work {
    let signer: Box<dyn JwsSigner> = if key.algorithm == Algorithm::Es256 {
        Box::new(ES256.signer_from_der(&key.pkcs8).expect("OpenSSL reads it"))
    } else {
        return sign_with(
            Box::new(
                EdDSA
                    .signer_from_der(ed25519_v1(key))
                    .expect("OpenSSL reads it"),
            ),
            key,
        );
    };
    sign_with(signer, key)
}

/// PKCS#8 without the public key, which OpenSSL does not read.
fn ed25519_v1(key: &Key) -> Vec<u8> {
    let seed = key.pkcs8.get(16..48).expect("ring writes 83 bytes");
    let head: &[u8] = &[
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    [head, seed].concat()
}

fn sign_with(signer: Box<dyn JwsSigner>, key: &Key) -> Work {
    let mut header = JwsHeader::new();
    header.set_token_type("JWT");
    header.set_key_id(&key.kid);
    let Ok(Value::Object(members)) = serde_json::to_value(CLAIMS) else {
        unreachable!("claims are an object");
    };
    let payload = JwtPayload::from_map(members).expect("the claims are good");
    Work::new(move || {
        jwt::encode_with_signer(black_box(&payload), &header, &*signer).expect("it signs")
    })
}
