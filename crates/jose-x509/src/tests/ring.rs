//! Over `ring`.

const PROVIDER: crate::CryptoProvider = crate::provider::ring::provider();

#[path = "../jwk/tests.rs"]
mod jwk;
#[path = "../jws/tests.rs"]
mod jws;
#[path = "../jwt/tests.rs"]
mod jwt;
#[path = "../key/tests.rs"]
mod key;
#[path = "../sign/tests.rs"]
mod sign;
