//! Keys that sign. The trait comes first, so that a KMS or an HSM can stand behind it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::algorithm::Algorithm;
use crate::error::Error;
use crate::jwk::{Jwk, PublicKey};
use crate::key::VerifyingKey;
use crate::provider::{CryptoProvider, PrivateKey};

/// Signs with one private key and one algorithm.
pub trait Signer: Send + Sync {
    /// The algorithm, which becomes `alg`.
    fn algorithm(&self) -> Algorithm;

    /// The key's name, which becomes `kid`.
    fn kid(&self) -> Option<&str>;

    /// Signs in the form of JWS: `R || S` for ECDSA.
    ///
    /// # Errors
    ///
    /// [`Error::SigningFailed`].
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error>;
}

/// The future of an [`AsyncSigner`].
pub type SignFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Error>> + Send + 'a>>;

/// The twin of [`Signer`] for keys behind a network.
pub trait AsyncSigner: Send + Sync {
    /// The algorithm, which becomes `alg`.
    fn algorithm(&self) -> Algorithm;

    /// The key's name, which becomes `kid`.
    fn kid(&self) -> Option<&str>;

    /// Signs in the form of JWS.
    fn sign<'a>(&'a self, message: &'a [u8]) -> SignFuture<'a>;
}

/// A private key in memory. Its `Debug` output shows no key material; its bytes are zeroized.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    kid: Option<String>,
    key: Arc<dyn PrivateKey>,
    pkcs8: Arc<Zeroizing<Vec<u8>>>,
    provider: CryptoProvider,
}

impl SigningKey {
    /// Makes a new key. Ed25519 keys sign under the fully specified name `Ed25519`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] for RSA, for which the `ring` provider makes no keys.
    pub fn generate(provider: &CryptoProvider, algorithm: Algorithm) -> Result<Self, Error> {
        Self::from_pkcs8_der(
            provider,
            algorithm,
            &provider.signing.generate_pkcs8(algorithm)?,
        )
    }

    /// Reads an unencrypted PKCS#8 key in DER.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`], also when the key is not one for `algorithm`.
    pub fn from_pkcs8_der(
        provider: &CryptoProvider,
        algorithm: Algorithm,
        der: &[u8],
    ) -> Result<Self, Error> {
        let key = provider.signing.load_pkcs8(algorithm, der)?;
        let pkcs8 = Arc::new(Zeroizing::new(der.to_vec()));
        Ok(Self {
            algorithm,
            kid: None,
            key,
            pkcs8,
            provider: *provider,
        })
    }

    /// Reads an unencrypted PKCS#8 key in PEM (`PRIVATE KEY`).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_pkcs8_pem(
        provider: &CryptoProvider,
        algorithm: Algorithm,
        pem: &str,
    ) -> Result<Self, Error> {
        Self::from_pkcs8_der(
            provider,
            algorithm,
            &crate::pem::decode_one(pem, "PRIVATE KEY")?,
        )
    }

    /// Names the key.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// Names the key by its thumbprint (RFC 7638).
    #[must_use]
    pub fn with_thumbprint_kid(self) -> Self {
        let kid = crate::base64url::encode(&self.public_key().thumbprint(&self.provider));
        self.with_kid(kid)
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    /// The public half as a JWK with `kid` and `alg`.
    #[must_use]
    pub fn public_jwk(&self) -> Jwk {
        let jwk = Jwk::new(self.public_key().clone());
        let jwk = jwk.clone().with_algorithm(self.algorithm).unwrap_or(jwk);
        match &self.kid {
            Some(kid) => jwk.with_kid(kid),
            None => jwk,
        }
    }

    /// The public half, prepared for verification.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`]; not for a key that the provider itself loaded.
    pub fn verifying_key(&self) -> Result<VerifyingKey, Error> {
        VerifyingKey::from_jwk(&self.provider, self.public_jwk())
    }

    /// The private key as PKCS#8 DER: handle it as what it is.
    #[must_use]
    pub fn expose_pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The provider that loaded the key.
    #[must_use]
    pub fn provider(&self) -> &CryptoProvider {
        &self.provider
    }
}

impl Signer for SigningKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.key.sign(message)
    }
}

impl<T: Signer + ?Sized> Signer for Arc<T> {
    fn algorithm(&self) -> Algorithm {
        (**self).algorithm()
    }

    fn kid(&self) -> Option<&str> {
        (**self).kid()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        (**self).sign(message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}
