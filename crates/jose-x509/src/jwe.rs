//! JSON Web Encryption (RFC 7516), compact serialization: as much as an encrypted JWT needs.
//!
//! This is a narrow, strict face on [josekit](https://docs.rs/josekit) and OpenSSL. Every check that does not
//! need the private key is made here, before either of them sees the token; so is the check of the MAC before the
//! padding of AES-CBC. What fails after the header has been accepted is one and the same error.
//!
//! | | `alg` | `enc` |
//! |---|---|---|
//! | [`DecryptionKey`], [`EncryptionKey`] | `ECDH-ES`, `ECDH-ES+A128KW`, `ECDH-ES+A256KW` (P-256, P-384, X25519), `RSA-OAEP-256` | `A128GCM`, `A256GCM`, `A128CBC-HS256`, `A256CBC-HS512` |
//! | [`SymmetricDecryptionKey`] | `A128KW`, `A256KW`, `dir` | the same |
//!
//! `RSA1_5` (padding oracles), `PBES2-*` (the sender chooses how long the recipient computes) and `zip`
//! (decompression bombs, and lengths that tell of secrets) do not exist here and cannot be switched on.
//!
//! Encryption to a public key says nothing about who encrypted. So [`Decrypter::decrypt`] returns an
//! [`UnauthenticatedPlaintext`], and claims come only from [`Decrypter::decrypt_jwt`], which verifies the signed token
//! inside. Encryption does not hide the plaintext's length: a token whose length tells who it is about needs padding
//! in its claims, which a profile has to define.
//!
//! ```
//! use std::time::Duration;
//!
//! use jose_x509::jwe::{self, ContentEncryption, DecryptionKey, Decrypter, KeyManagement, KeyType};
//! use jose_x509::jws::ProtectedHeader;
//! use jose_x509::jwt::{self, Audience, Issuer, Type, Validator};
//! use jose_x509::{Algorithm, SigningKey, provider::ring};
//! use pki_types::UnixTime;
//!
//! // The recipient publishes the public half of a decryption key.
//! let recipient = DecryptionKey::generate(KeyManagement::EcdhEsA256Kw, KeyType::X25519)?.with_kid("enc-1");
//! let published = serde_json::to_vec(&recipient.encryption_key().to_jwk()).unwrap();
//!
//! // The issuer signs, then encrypts.
//! let signer = SigningKey::generate(&ring::provider(), Algorithm::Es256)?;
//! let claims = serde_json::json!({"iss": "https://as.example", "aud": "https://api.example", "exp": 1_800_000_300});
//! let signed = jwt::sign(&signer, &ProtectedHeader::new("at+jwt"), &claims)?;
//! let key = jwe::EncryptionKey::from_jwk_slice(KeyManagement::EcdhEsA256Kw, &published)?;
//! let token = jwe::encrypt_jwt(&key, ContentEncryption::A256Gcm, &signed)?;
//!
//! // The recipient decrypts, then verifies.
//! let validator = Validator::new(
//!     Type::OneOf(&["at+jwt"]),
//!     Issuer::Exactly("https://as.example".into()),
//!     Audience::AnyOf(vec!["https://api.example".into()]),
//! );
//! let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
//! let jwt = Decrypter::new(recipient).decrypt_jwt(&token, &validator, &signer.verifying_key()?, now)?;
//! assert_eq!(jwt.issuer(), Some("https://as.example"));
//! # Ok::<(), jose_x509::Error>(())
//! ```
//!
//! Private keys are zeroized where this crate holds them. josekit and OpenSSL keep copies of symmetric keys and
//! of content keys that are freed without being overwritten.

mod algorithm;
mod backend;
mod decrypt;
mod encrypt;
mod error;
mod header;
mod jwk;
mod key;
#[cfg(test)]
#[cfg(feature = "ring")]
mod tests;

pub use algorithm::{ContentEncryption, KeyManagement, KeyType, SymmetricKeyManagement};
pub use decrypt::{Decrypter, Limits, RecipientKey, UnauthenticatedPlaintext};
pub use encrypt::{ProtectedHeader, encrypt, encrypt_jwt};
pub use error::JweError;
pub use key::{DecryptionKey, EncryptionKey, SymmetricDecryptionKey};
