//! Over `aws-lc-rs`.

const PROVIDER: crate::CryptoProvider = crate::provider::aws_lc_rs::provider();

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
