//! `jsonwebtoken`: keys are looked up by `kid` outside of it, `typ` is compared by its caller.

use std::collections::HashMap;
use std::hint::black_box;

use jose_x509::Algorithm as Ours;
use jose_x509::jwk::KeyMaterial;
use jsonwebtoken::crypto::{CryptoProvider, aws_lc, rust_crypto};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use serde::Deserialize;

use crate::cases::Peers;
use crate::fixtures::{AUDIENCE, CLAIMS, Key};
use crate::harness::Work;

/// Chooses the backend for the whole process; the first choice stays.
pub fn install(peers: Peers) {
    let provider: &'static CryptoProvider = match peers {
        Peers::AwsLc => &aws_lc::DEFAULT_PROVIDER,
        Peers::RustCrypto => &rust_crypto::DEFAULT_PROVIDER,
    };
    let _ = provider.install_default();
}

/// What is read of the claims.
#[derive(Deserialize)]
struct Claims {
    #[expect(dead_code, reason = "what the caller would use")]
    sub: String,
}

/// Validates a token.
#[must_use]
pub fn verify(others: &[Key], signer: &Key, token: &str) -> Work {
    let keys: HashMap<String, DecodingKey> = others
        .iter()
        .chain([signer])
        .map(|key| (key.kid.clone(), decoding_key(key)))
        .collect();
    let mut validation = Validation::new(algorithm(signer.algorithm));
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "sub"]);
    validation.validate_nbf = true;
    let token = token.to_owned();
    Work::new(move || {
        let token = black_box(&token);
        let header = decode_header(token).expect("the header is good");
        assert_eq!(header.typ.as_deref(), Some("JWT"));
        let key = header.kid.as_ref().and_then(|kid| keys.get(kid));
        let key = key.expect("the key is among them");
        decode::<Claims>(token, key, &validation).expect("the token is good")
    })
}

/// Signs [`CLAIMS`].
#[must_use]
pub fn sign(key: &Key) -> Work {
    let mut header = Header::new(algorithm(key.algorithm));
    header.kid = Some(key.kid.clone());
    let key = match key.algorithm {
        Ours::EdDsa => EncodingKey::from_ed_der(&key.pkcs8),
        _ => EncodingKey::from_ec_der(&key.pkcs8),
    };
    Work::new(move || encode(&header, black_box(&CLAIMS), &key).expect("it signs"))
}

/// Reads a JWK Set and makes a key of each entry. Whether a point is on its curve is found out at the first verification.
#[must_use]
pub fn key_set(json: Vec<u8>) -> Work {
    Work::new(move || {
        let set: JwkSet = serde_json::from_slice(black_box(&json)).expect("the set is good");
        let keys: HashMap<String, DecodingKey> = set
            .keys
            .into_iter()
            .map(|jwk| {
                let key = DecodingKey::from_jwk(&jwk).expect("the key is good");
                (jwk.common.key_id.unwrap_or_default(), key)
            })
            .collect();
        keys
    })
}

fn algorithm(algorithm: Ours) -> Algorithm {
    match algorithm {
        Ours::EdDsa => Algorithm::EdDSA,
        Ours::Rs256 => Algorithm::RS256,
        _ => Algorithm::ES256,
    }
}

fn decoding_key(key: &Key) -> DecodingKey {
    match key.public.material() {
        KeyMaterial::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
        KeyMaterial::Ed25519(point) => DecodingKey::from_ed_der(point),
        KeyMaterial::Ec { point, .. } => DecodingKey::from_ec_der(point),
        _ => unreachable!("the fixtures have no other keys"),
    }
}
