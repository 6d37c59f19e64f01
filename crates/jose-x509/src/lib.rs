#![doc = include_str!("../README.md")]
#![cfg_attr(
    test,
    allow(
        clippy::duplicate_mod,
        reason = "the same tests run over each provider"
    )
)]

pub mod algorithm;
pub mod base64url;
pub mod binding;
pub mod dpop;
pub mod error;
pub mod form;
pub mod json;
#[cfg(feature = "jwe")]
pub mod jwe;
pub mod jwk;
pub mod jws;
pub mod jwt;
pub mod key;
pub mod mtls;
mod pem;
pub mod provider;
pub mod replay;
pub mod sign;
#[cfg(test)]
mod tests;
mod text;
pub mod x509;

pub use algorithm::{Algorithm, Algorithms, KeyKind};
pub use error::{Error, Fault, KeyProblem};
pub use jwk::{Jwk, JwkSet, PublicKey};
pub use key::{KeySet, KeySource, VerifyingKey};
pub use provider::CryptoProvider;
pub use replay::{MemoryReplayGuard, ReplayGuard, ReplayKey};
pub use sign::{AsyncSigner, Signer, SigningKey};
