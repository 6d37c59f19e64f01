//! Keys that sign. The trait comes first, so that a KMS or an HSM can stand behind it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::algorithm::{Algorithm, KeyKind};
use crate::error::{Error, KeyProblem};
use crate::jwk::{Jwk, PublicKey};
use crate::key::VerifyingKey;
use crate::provider::{CryptoProvider, PrivateKey};

pub(crate) mod private;
#[cfg(test)]
mod wiped;

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
    fn sign(&self, message: &[u8]) -> Result<Signature, Error>;
}

/// The future of an [`AsyncSigner`].
pub type SignFuture<'a> = Pin<Box<dyn Future<Output = Result<Signature, Error>> + Send + 'a>>;

/// The twin of [`Signer`] for keys behind a network.
pub trait AsyncSigner: Send + Sync {
    /// The algorithm, which becomes `alg`.
    fn algorithm(&self) -> Algorithm;

    /// The key's name, which becomes `kid`.
    fn kid(&self) -> Option<&str>;

    /// Signs in the form of JWS.
    fn sign<'a>(&'a self, message: &'a [u8]) -> SignFuture<'a>;
}

/// The bytes of a signature in the form of JWS. Those of elliptic curves need no allocation.
#[derive(Clone)]
pub struct Signature(Form);

#[derive(Clone)]
enum Form {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Vec<u8>),
}

/// Two scalars of P-521.
const SHORT: usize = 132;

impl Signature {
    /// A copy of the bytes.
    #[must_use]
    pub fn from_slice(signature: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match (
            bytes.get_mut(..signature.len()),
            u8::try_from(signature.len()),
        ) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(signature);
                Self(Form::Short { len, bytes })
            }
            _ => Self(Form::Long(signature.to_vec())),
        }
    }
}

impl From<Vec<u8>> for Signature {
    fn from(signature: Vec<u8>) -> Self {
        Self(Form::Long(signature))
    }
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Form::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Form::Long(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({} bytes)", self.as_ref().len())
    }
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
    /// [`Error::InvalidKey`] for RSA with the `ring` provider, which makes no such keys; those of
    /// `aws-lc-rs` have 3072 bits.
    pub fn generate(provider: &CryptoProvider, algorithm: Algorithm) -> Result<Self, Error> {
        Self::from_pkcs8_der(
            provider,
            algorithm,
            &provider.signing.generate_pkcs8(algorithm)?,
        )
    }

    /// Reads an unencrypted PKCS#8 key in DER, versions 1 and 2. An EC key may lack its public half.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`], also when the key is not one for `algorithm`.
    pub fn from_pkcs8_der(
        provider: &CryptoProvider,
        algorithm: Algorithm,
        der: &[u8],
    ) -> Result<Self, Error> {
        Self::from_canonical(provider, algorithm, private::canonical_pkcs8(der)?)
    }

    fn from_canonical(
        provider: &CryptoProvider,
        algorithm: Algorithm,
        pkcs8: Zeroizing<Vec<u8>>,
    ) -> Result<Self, Error> {
        let key = Self {
            algorithm,
            kid: None,
            key: provider.signing.load_pkcs8(algorithm, &pkcs8)?,
            pkcs8: Arc::new(pkcs8),
            provider: *provider,
        };
        if algorithm.key_kind() == KeyKind::Rsa {
            key.check_pair()?;
        }
        Ok(key)
    }

    /// No backend looks at all parts of an RSA key, but wrong ones make wrong signatures.
    fn check_pair(&self) -> Result<(), Error> {
        let message = b"pairwise consistency";
        let checked = self.key.sign(message).and_then(|signature| {
            self.verifying_key()?
                .verify(self.algorithm, message, signature.as_ref())
        });
        checked.map_err(|_| KeyProblem::Mismatch.into())
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
        let der = crate::pem::decode_one(pem, "PRIVATE KEY")?;
        Self::from_pkcs8_der(provider, algorithm, &der)
    }

    /// Reads an EC key in the older form of SEC 1 (RFC 5915) in DER; its curve fixes the algorithm.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`], also when the curve is not named.
    pub fn from_sec1_der(provider: &CryptoProvider, der: &[u8]) -> Result<Self, Error> {
        let key = private::Ec::from_sec1(der, None)?;
        Self::from_canonical(provider, key.curve().algorithm(), key.to_pkcs8()?)
    }

    /// Reads an EC key in the older form of SEC 1 in PEM (`EC PRIVATE KEY`).
    ///
    /// # Errors
    ///
    /// As [`SigningKey::from_sec1_der`].
    pub fn from_sec1_pem(provider: &CryptoProvider, pem: &str) -> Result<Self, Error> {
        Self::from_sec1_der(provider, &crate::pem::decode_one(pem, "EC PRIVATE KEY")?)
    }

    /// Reads a private JWK with its `kid`. Its `alg` fixes the algorithm, or its curve where it has no
    /// `alg`.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], and [`Error::InvalidKey`]: for an RSA key without `alg` or without all of its
    /// CRT members, for a public half that is not the key's, and for what [`Jwk::from_slice`] refuses.
    pub fn from_jwk_slice(provider: &CryptoProvider, jwk: &[u8]) -> Result<Self, Error> {
        let private::PrivateJwk {
            algorithm,
            kid,
            public,
            pkcs8,
        } = private::PrivateJwk::read(jwk)?;
        let key = Self::from_canonical(provider, algorithm, pkcs8)?;
        if *key.public_key() != public {
            return Err(Error::InvalidKey {
                problem: KeyProblem::Mismatch,
            });
        }
        Ok(Self { kid, ..key })
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

    /// The private key as PKCS#8 PEM.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`]; not for a key that was loaded.
    pub fn expose_pkcs8_pem(&self) -> Result<Zeroizing<String>, Error> {
        crate::pem::encode("PRIVATE KEY", &self.pkcs8).map(Zeroizing::new)
    }

    /// An EC private key in the older form of SEC 1 as PEM.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] for any other kind of key.
    pub fn expose_sec1_pem(&self) -> Result<Zeroizing<String>, Error> {
        let der = private::Ec::from_pkcs8(&self.pkcs8)?.to_sec1()?;
        crate::pem::encode("EC PRIVATE KEY", &der).map(Zeroizing::new)
    }

    /// The private key as the text of a JWK, with `kid` and `alg`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`]; not for a key that was loaded.
    pub fn expose_jwk(&self) -> Result<Zeroizing<String>, Error> {
        private::to_jwk(&self.public_jwk(), &self.pkcs8)
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

    fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
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

    fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
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
