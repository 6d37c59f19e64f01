//! Tokens come from josekit itself, without the checks of this module, or from RFCs; so the two halves of the
//! module are not only tested against each other.

use std::sync::LazyLock;
use std::time::Duration;

use josekit::jwe::{JweContext, JweEncrypter, JweHeader};
use openssl::symm::{Cipher, encrypt_aead};
use pki_types::UnixTime;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::algorithm::Algorithm;
use crate::base64url;
use crate::error::{Error, Fault, KeyProblem};
use crate::jws;
use crate::jwt::{self, Audience, Issuer, Jwt, Type, Validator};
use crate::provider::{CryptoProvider, ring};
use crate::sign::SigningKey;

mod header;
mod keys;
mod nested;
mod tokens;

const PROVIDER: CryptoProvider = ring::provider();
const NOW: u64 = 1_800_000_000;
const PLAINTEXT: &[u8] = b"Live long and prosper.";

/// The pairs of algorithm and kind of key that exist.
const KINDS: [(KeyManagement, KeyType); 10] = {
    use KeyManagement as A;
    use KeyType as K;
    [
        (A::EcdhEs, K::P256),
        (A::EcdhEs, K::P384),
        (A::EcdhEs, K::X25519),
        (A::EcdhEsA128Kw, K::P256),
        (A::EcdhEsA128Kw, K::P384),
        (A::EcdhEsA128Kw, K::X25519),
        (A::EcdhEsA256Kw, K::P256),
        (A::EcdhEsA256Kw, K::P384),
        (A::EcdhEsA256Kw, K::X25519),
        (A::RsaOaep256, K::Rsa),
    ]
};

static RSA: LazyLock<DecryptionKey> =
    LazyLock::new(|| DecryptionKey::generate(KeyManagement::RsaOaep256, KeyType::Rsa).unwrap());

fn generate(algorithm: KeyManagement, kind: KeyType) -> DecryptionKey {
    match kind {
        KeyType::Rsa => RSA.clone(),
        _ => DecryptionKey::generate(algorithm, kind).unwrap(),
    }
}

fn ec() -> DecryptionKey {
    generate(KeyManagement::EcdhEsA128Kw, KeyType::P256)
}

/// A token of josekit alone.
fn foreign(encrypter: &dyn JweEncrypter, header: &Value, plaintext: &[u8]) -> String {
    let header = JweHeader::from_map(header.as_object().unwrap().clone()).unwrap();
    JweContext::new()
        .serialize_compact(plaintext, &header, encrypter)
        .unwrap()
}

/// A token for [`ec`] and its like, of which the header has these members beside those that josekit sets.
fn token_for(key: &DecryptionKey, header: &Value) -> String {
    foreign(key.encryption_key().encrypter(), header, PLAINTEXT)
}

fn header_of(token: &str) -> Map<String, Value> {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&base64url::decode(header, "header").unwrap()).unwrap()
}

/// The token with another header, and with everything else as it was.
fn with_header(token: &str, header: &str) -> String {
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", base64url::encode(header.as_bytes()))
}

/// The token with some members of its header set.
fn with_members(token: &str, members: &Value) -> String {
    let mut header = header_of(token);
    header.extend(members.as_object().unwrap().clone());
    with_header(token, &Value::from(header).to_string())
}

fn segments(token: &str) -> [String; 5] {
    let segments: Vec<String> = token.split('.').map(str::to_owned).collect();
    segments.try_into().unwrap()
}

fn with_segment(token: &str, index: usize, bytes: &[u8]) -> String {
    let mut segments = segments(token);
    segments[index] = base64url::encode(bytes);
    segments.join(".")
}

fn segment(token: &str, index: usize) -> Vec<u8> {
    base64url::decode(&segments(token)[index], "segment").unwrap()
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

fn decrypt(key: impl Into<RecipientKey>, token: &str) -> &'static str {
    code(Decrypter::new(key).decrypt(token))
}

fn kw(bytes: usize) -> (SymmetricDecryptionKey, Box<dyn JweEncrypter>) {
    let key = vec![7; bytes];
    if bytes == 16 {
        let own = SymmetricDecryptionKey::from_bytes(SymmetricKeyManagement::A128Kw, &key);
        let encrypter = josekit::jwe::A128KW.encrypter_from_bytes(&key).unwrap();
        (own.unwrap(), Box::new(encrypter))
    } else {
        let own = SymmetricDecryptionKey::from_bytes(SymmetricKeyManagement::A256Kw, &key);
        let encrypter = josekit::jwe::A256KW.encrypter_from_bytes(&key).unwrap();
        (own.unwrap(), Box::new(encrypter))
    }
}

fn direct(content: ContentEncryption) -> (SymmetricDecryptionKey, Box<dyn JweEncrypter>) {
    let key = vec![9; content.key_len()];
    let algorithm = SymmetricKeyManagement::Dir(content);
    let own = SymmetricDecryptionKey::from_bytes(algorithm, &key).unwrap();
    let encrypter = josekit::jwe::Dir.encrypter_from_bytes(&key).unwrap();
    (own, Box::new(encrypter))
}
