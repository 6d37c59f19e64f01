//! Cryptography is a provider, and a provider is a value.
//!
//! Nothing here is process-wide: a key carries the provider that prepared it, so verification takes
//! no further choice, and two providers can be at work in one process.

use std::fmt;
use std::sync::Arc;

use pki_types::SignatureVerificationAlgorithm;
use zeroize::Zeroizing;

use crate::algorithm::Algorithm;
use crate::error::{Error, KeyProblem};
use crate::jwk::{KeyMaterial, PublicKey};
use crate::sign::Signature;

#[cfg(feature = "aws-lc-rs")]
pub mod aws_lc_rs;
#[cfg(feature = "ring")]
mod p521;
#[cfg(feature = "ring")]
pub mod ring;

/// A set of implementations, each of which tells whether it is FIPS validated.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct CryptoProvider {
    /// A short name for logs.
    pub name: &'static str,
    /// Signature verification.
    pub verification: &'static dyn Verification,
    /// Private keys.
    pub signing: &'static dyn Signing,
    /// SHA-256.
    pub sha256: &'static dyn Sha256,
    /// Random bytes.
    pub random: &'static dyn SecureRandom,
    /// The signature algorithms of certificate chains.
    pub certificate_algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
}

impl CryptoProvider {
    /// Assembles a provider from its parts.
    #[must_use]
    pub const fn new(
        name: &'static str,
        verification: &'static dyn Verification,
        signing: &'static dyn Signing,
        sha256: &'static dyn Sha256,
        random: &'static dyn SecureRandom,
        certificate_algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
    ) -> Self {
        Self {
            name,
            verification,
            signing,
            sha256,
            random,
            certificate_algorithms,
        }
    }

    /// Whether every part is FIPS validated.
    #[must_use]
    pub fn fips(&self) -> bool {
        self.verification.fips()
            && self.signing.fips()
            && self.sha256.fips()
            && self.random.fips()
            && self
                .certificate_algorithms
                .iter()
                .all(|algorithm| algorithm.fips())
    }

    /// SHA-256 of `data`.
    #[must_use]
    pub fn sha256(&self, data: &[u8]) -> [u8; 32] {
        self.sha256.digest(data)
    }

    /// `N` random bytes.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn random<const N: usize>(&self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A fresh identifier for `jti`, `txn` and the like: 128 random bits as 22 base64url characters.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn random_id(&self) -> Result<String, Error> {
        Ok(crate::base64url::encode(&self.random::<16>()?))
    }
}

impl fmt::Debug for CryptoProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CryptoProvider")
            .field("name", &self.name)
            .field("fips", &self.fips())
            .finish()
    }
}

/// Prepares public keys for verification.
pub trait Verification: Send + Sync {
    /// Whether signatures of this algorithm can be verified.
    fn supports(&self, algorithm: Algorithm) -> bool;

    /// Prepares a key for one algorithm. It happens once a key, when the key is first used.
    ///
    /// The key is a valid one already: its point is on the curve, its modulus of an accepted size.
    ///
    /// # Errors
    ///
    /// [`KeyProblem`], above all when the algorithm is not one of this kind of key.
    fn prepare(
        &self,
        algorithm: Algorithm,
        key: KeyMaterial<'_>,
    ) -> Result<Box<dyn PreparedKey>, KeyProblem>;

    /// Whether the implementation is FIPS validated.
    fn fips(&self) -> bool {
        false
    }
}

/// A public key, parsed once, for one algorithm.
pub trait PreparedKey: Send + Sync {
    /// Verifies a JWS signature (`R || S` for ECDSA).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSignature`].
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error>;
}

/// Loads and makes private keys.
pub trait Signing: Send + Sync {
    /// Reads an unencrypted PKCS#8 `PrivateKeyInfo` (DER) for one algorithm. An EC key has its public
    /// half inside.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    fn load_pkcs8(&self, algorithm: Algorithm, der: &[u8]) -> Result<Arc<dyn PrivateKey>, Error>;

    /// Makes a key and returns it as PKCS#8 DER.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] when the provider makes no keys for the algorithm, [`Error::RandomFailed`].
    fn generate_pkcs8(&self, algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, Error>;

    /// Whether the implementation is FIPS validated.
    fn fips(&self) -> bool {
        false
    }
}

/// A private key for one algorithm.
pub trait PrivateKey: Send + Sync {
    /// Signs in the form of JWS (`R || S` for ECDSA).
    ///
    /// # Errors
    ///
    /// [`Error::SigningFailed`].
    fn sign(&self, message: &[u8]) -> Result<Signature, Error>;

    /// The public half.
    fn public_key(&self) -> &PublicKey;
}

/// SHA-256.
pub trait Sha256: Send + Sync {
    /// The digest of `data`.
    fn digest(&self, data: &[u8]) -> [u8; 32];

    /// Whether the implementation is FIPS validated.
    fn fips(&self) -> bool {
        false
    }
}

/// A cryptographically secure random source.
pub trait SecureRandom: Send + Sync {
    /// Fills `out`.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    fn fill(&self, out: &mut [u8]) -> Result<(), Error>;

    /// Whether the implementation is FIPS validated.
    fn fips(&self) -> bool {
        false
    }
}
