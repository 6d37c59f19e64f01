//! Keys that encrypt and decrypt. Each is for one algorithm, and none of them signs or verifies.

use std::fmt;
use std::sync::Arc;

use der::Decode;
use josekit::jwe::JweEncrypter;
use josekit::jwe::alg::aeskw::AeskwJweAlgorithm;
use josekit::jwe::alg::direct::DirectJweAlgorithm;
use josekit::jwe::alg::ecdh_es::EcdhEsJweAlgorithm;
use josekit::jwe::alg::rsaes::RsaesJweAlgorithm;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::rsa::Rsa;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::backend::Guarded;
use super::jwk::{self, Members, coordinate_len, malformed, refuse};
use super::{KeyManagement, KeyType, SymmetricKeyManagement};
use crate::base64url;
use crate::error::{Error, KeyProblem};
use crate::jwk::PublicKey;

/// Above any key of this module in DER.
const MAX_DER: usize = 16 * 1024;

/// The public key of a recipient.
#[derive(Clone)]
pub struct EncryptionKey {
    algorithm: KeyManagement,
    kid: Option<String>,
    kind: KeyType,
    jwk: Map<String, Value>,
    encrypter: Arc<dyn JweEncrypter>,
}

impl EncryptionKey {
    /// Reads a public JWK for this algorithm.
    ///
    /// # Errors
    ///
    /// [`Error::Json`]; [`Error::InvalidKey`] for private members, a `use` other than `enc`, another `alg`,
    /// `key_ops` that do not encrypt, and every key that is not sound.
    pub fn from_jwk_slice(algorithm: KeyManagement, bytes: &[u8]) -> Result<Self, Error> {
        let members = Members::read(bytes)?;
        let (_, key) = jwk::public(&members.0)?;
        let operations: &[&str] = if algorithm.agrees() {
            &["deriveKey", "deriveBits"]
        } else {
            &["encrypt", "wrapKey"]
        };
        let kid = members.check_attributes(&[algorithm.name()], operations)?;
        Self::from_key(algorithm, &key, kid)
    }

    /// Reads a DER `SubjectPublicKeyInfo` for this algorithm.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_spki_der(algorithm: KeyManagement, der: &[u8]) -> Result<Self, Error> {
        one_value(der)?;
        let key = PKey::public_key_from_der(der).map_err(malformed)?;
        Self::from_key(algorithm, &key, None)
    }

    fn from_key(
        algorithm: KeyManagement,
        key: &PKey<Public>,
        kid: Option<String>,
    ) -> Result<Self, Error> {
        let (kind, jwk) = describe(key)?;
        if !kind.fits(algorithm) {
            return Err(refuse(KeyProblem::Inconsistent));
        }
        let spki = key.public_key_to_der().map_err(malformed)?;
        let unusable = |_| refuse(KeyProblem::Malformed);
        let encrypter: Arc<dyn JweEncrypter> = match ecdh_es(algorithm) {
            Some(ecdh_es) => Arc::new(ecdh_es.encrypter_from_der(spki).map_err(unusable)?),
            None => Arc::new(
                RsaesJweAlgorithm::RsaOaep256
                    .encrypter_from_der(spki)
                    .map_err(unusable)?,
            ),
        };
        Ok(Self {
            algorithm,
            kid,
            kind,
            jwk,
            encrypter,
        })
    }

    /// Names the key.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// `alg`.
    #[must_use]
    pub fn algorithm(&self) -> KeyManagement {
        self.algorithm
    }

    /// `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The kind of key.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.kind
    }

    /// The public JWK, with `use`, `alg` and `kid`.
    #[must_use]
    pub fn to_jwk(&self) -> Map<String, Value> {
        let mut members = self.jwk.clone();
        members.insert("use".to_owned(), "enc".into());
        members.insert("alg".to_owned(), self.algorithm.name().into());
        if let Some(kid) = &self.kid {
            members.insert("kid".to_owned(), kid.as_str().into());
        }
        members
    }

    pub(super) fn encrypter(&self) -> &dyn JweEncrypter {
        &*self.encrypter
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey")
            .field("algorithm", &self.algorithm)
            .field("kind", &self.kind)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// A recipient's private key. Its `Debug` output shows no key material.
#[derive(Clone)]
pub struct DecryptionKey {
    public: EncryptionKey,
    decrypter: Arc<Guarded>,
    pkcs8: Arc<Zeroizing<Vec<u8>>>,
}

impl DecryptionKey {
    /// Makes a new key; RSA with 3072 bits.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] when the algorithm is not one for this kind of key, [`Error::RandomFailed`].
    pub fn generate(algorithm: KeyManagement, kind: KeyType) -> Result<Self, Error> {
        if !kind.fits(algorithm) {
            return Err(refuse(KeyProblem::Inconsistent));
        }
        let make = || match kind {
            KeyType::P256 | KeyType::P384 => {
                let nid = if kind == KeyType::P256 {
                    Nid::X9_62_PRIME256V1
                } else {
                    Nid::SECP384R1
                };
                let group = EcGroup::from_curve_name(nid)?;
                PKey::from_ec_key(EcKey::generate(&group)?)
            }
            KeyType::X25519 => PKey::generate_x25519(),
            KeyType::Rsa => PKey::from_rsa(Rsa::generate(3072)?),
        };
        Self::from_key(algorithm, &make().map_err(|_| Error::RandomFailed)?, None)
    }

    /// Reads a private JWK for this algorithm.
    ///
    /// # Errors
    ///
    /// [`Error::Json`]; [`Error::InvalidKey`] for a `use` other than `enc`, another `alg`, `key_ops` that do not
    /// decrypt, halves that do not belong together, and every key that is not sound.
    pub fn from_jwk_slice(algorithm: KeyManagement, bytes: &[u8]) -> Result<Self, Error> {
        let members = Members::read(bytes)?;
        let operations: &[&str] = if algorithm.agrees() {
            &["deriveKey", "deriveBits"]
        } else {
            &["decrypt", "unwrapKey"]
        };
        let kid = members.check_attributes(&[algorithm.name()], operations)?;
        Self::from_key(algorithm, &members.private()?, kid)
    }

    /// Reads an unencrypted PKCS#8 key in DER for this algorithm.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_pkcs8_der(algorithm: KeyManagement, der: &[u8]) -> Result<Self, Error> {
        one_value(der)?;
        let key = PKey::private_key_from_pkcs8(der).map_err(malformed)?;
        Self::from_key(algorithm, &key, None)
    }

    /// Reads an unencrypted PKCS#8 key in PEM (`PRIVATE KEY`) for this algorithm.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_pkcs8_pem(algorithm: KeyManagement, pem: &str) -> Result<Self, Error> {
        Self::from_pkcs8_der(algorithm, &crate::pem::decode_one(pem, "PRIVATE KEY")?)
    }

    fn from_key(
        algorithm: KeyManagement,
        key: &PKey<Private>,
        kid: Option<String>,
    ) -> Result<Self, Error> {
        let spki = key.public_key_to_der().map_err(malformed)?;
        let public = PKey::public_key_from_der(&spki).map_err(malformed)?;
        let public = EncryptionKey::from_key(algorithm, &public, kid)?;
        let belongs = match public.kind {
            KeyType::Rsa => key.rsa().and_then(|key| key.check_key()),
            KeyType::X25519 => Ok(true),
            KeyType::P256 | KeyType::P384 => {
                key.ec_key().and_then(|key| key.check_key()).map(|()| true)
            }
        };
        if !belongs.unwrap_or(false) {
            return Err(refuse(KeyProblem::Mismatch));
        }
        let pkcs8 = Zeroizing::new(key.private_key_to_pkcs8().map_err(malformed)?);
        let unusable = |_| refuse(KeyProblem::Malformed);
        let decrypter = match ecdh_es(algorithm) {
            Some(ecdh_es) => Guarded::new(ecdh_es.decrypter_from_der(&*pkcs8).map_err(unusable)?),
            None => Guarded::new(
                RsaesJweAlgorithm::RsaOaep256
                    .decrypter_from_der(&*pkcs8)
                    .map_err(unusable)?,
            ),
        };
        Ok(Self {
            public,
            decrypter: Arc::new(decrypter),
            pkcs8: Arc::new(pkcs8),
        })
    }

    /// Names the key.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.public.kid = Some(kid.into());
        self
    }

    /// The public half.
    #[must_use]
    pub fn encryption_key(&self) -> &EncryptionKey {
        &self.public
    }

    /// The private key as PKCS#8 DER: handle it as what it is.
    #[must_use]
    pub fn expose_pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }

    pub(super) fn decrypter(&self) -> &Guarded {
        &self.decrypter
    }

    /// The length of the encrypted key in bytes, for content keys of this length.
    pub(super) fn encrypted_key_len(&self, content_key_len: usize) -> usize {
        match self.public.algorithm {
            KeyManagement::EcdhEs => 0,
            KeyManagement::EcdhEsA128Kw | KeyManagement::EcdhEsA256Kw => {
                wrapped_len(content_key_len)
            }
            KeyManagement::RsaOaep256 => self.public.modulus_len(),
        }
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DecryptionKey").field(&self.public).finish()
    }
}

impl EncryptionKey {
    /// The length of an RSA modulus in bytes.
    fn modulus_len(&self) -> usize {
        let n = self.jwk.get("n").and_then(Value::as_str);
        n.map_or(0, |n| n.len() * 3 / 4)
    }

    /// The members that make the key, without `use`, `alg` and `kid`.
    #[cfg(test)]
    pub(super) fn jwk_members(&self) -> &Map<String, Value> {
        &self.jwk
    }
}

/// A key that sender and recipient share. It is a type of its own, so that no public key can become one.
/// Its `Debug` output shows no key material.
#[derive(Clone)]
pub struct SymmetricDecryptionKey {
    algorithm: SymmetricKeyManagement,
    kid: Option<String>,
    decrypter: Arc<Guarded>,
}

impl SymmetricDecryptionKey {
    /// Takes the bytes of a shared key.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] when the length is not [`SymmetricKeyManagement::key_len`].
    pub fn from_bytes(algorithm: SymmetricKeyManagement, key: &[u8]) -> Result<Self, Error> {
        Self::new(algorithm, key, None)
    }

    /// Reads an `oct` JWK for this algorithm. For `dir`, its `alg` may be `dir` or the content encryption.
    ///
    /// # Errors
    ///
    /// [`Error::Json`]; [`Error::InvalidKey`] for a `use` other than `enc`, another `alg`, `key_ops` that do not
    /// decrypt, and a wrong length.
    pub fn from_jwk_slice(algorithm: SymmetricKeyManagement, bytes: &[u8]) -> Result<Self, Error> {
        let members = Members::read(bytes)?;
        let kid = match algorithm {
            SymmetricKeyManagement::Dir(content) => {
                members.check_attributes(&["dir", content.name()], &["decrypt"])?
            }
            _ => members.check_attributes(&[algorithm.name()], &["unwrapKey", "decrypt"])?,
        };
        Self::new(algorithm, &members.symmetric()?, kid)
    }

    fn new(
        algorithm: SymmetricKeyManagement,
        key: &[u8],
        kid: Option<String>,
    ) -> Result<Self, Error> {
        let wrong = |_| refuse(KeyProblem::Member("k"));
        if key.len() != algorithm.key_len() {
            return Err(refuse(KeyProblem::Member("k")));
        }
        let decrypter = match algorithm {
            SymmetricKeyManagement::A128Kw => Guarded::new(
                AeskwJweAlgorithm::A128kw
                    .decrypter_from_bytes(key)
                    .map_err(wrong)?,
            ),
            SymmetricKeyManagement::A256Kw => Guarded::new(
                AeskwJweAlgorithm::A256kw
                    .decrypter_from_bytes(key)
                    .map_err(wrong)?,
            ),
            SymmetricKeyManagement::Dir(_) => Guarded::new(
                DirectJweAlgorithm::Dir
                    .decrypter_from_bytes(key)
                    .map_err(wrong)?,
            ),
        };
        Ok(Self {
            algorithm,
            kid,
            decrypter: Arc::new(decrypter),
        })
    }

    /// Names the key.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// `alg`, and `enc` for a key that is used directly.
    #[must_use]
    pub fn algorithm(&self) -> SymmetricKeyManagement {
        self.algorithm
    }

    /// `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    pub(super) fn decrypter(&self) -> &Guarded {
        &self.decrypter
    }

    /// The length of the encrypted key in bytes, for content keys of this length.
    pub(super) fn encrypted_key_len(&self, content_key_len: usize) -> usize {
        match self.algorithm {
            SymmetricKeyManagement::Dir(_) => 0,
            _ => wrapped_len(content_key_len),
        }
    }
}

impl fmt::Debug for SymmetricDecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SymmetricDecryptionKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// RFC 3394 adds eight bytes.
const fn wrapped_len(key_len: usize) -> usize {
    key_len.saturating_add(8)
}

const fn ecdh_es(algorithm: KeyManagement) -> Option<EcdhEsJweAlgorithm> {
    match algorithm {
        KeyManagement::EcdhEs => Some(EcdhEsJweAlgorithm::EcdhEs),
        KeyManagement::EcdhEsA128Kw => Some(EcdhEsJweAlgorithm::EcdhEsA128kw),
        KeyManagement::EcdhEsA256Kw => Some(EcdhEsJweAlgorithm::EcdhEsA256kw),
        KeyManagement::RsaOaep256 => None,
    }
}

/// OpenSSL does not say that bytes follow the key.
fn one_value(der: &[u8]) -> Result<(), Error> {
    let whole = der.len() <= MAX_DER && der::asn1::AnyRef::from_der(der).is_ok();
    whole.then_some(()).ok_or(refuse(KeyProblem::Malformed))
}

/// The kind of an acceptable key, and its bare JWK.
fn describe(key: &PKey<Public>) -> Result<(KeyType, Map<String, Value>), Error> {
    let (kind, kty, members) = match key.id() {
        Id::RSA => {
            let key = key.rsa().map_err(malformed)?;
            let (n, e) = (key.n().to_vec(), key.e().to_vec());
            PublicKey::from_rsa(&n, &e)?;
            (KeyType::Rsa, "RSA", vec![("n", n), ("e", e)])
        }
        Id::EC => {
            let key = key.ec_key().map_err(malformed)?;
            let kind = match key.group().curve_name() {
                Some(Nid::X9_62_PRIME256V1) => KeyType::P256,
                Some(Nid::SECP384R1) => KeyType::P384,
                _ => return Err(refuse(KeyProblem::Unsupported)),
            };
            let coordinates = || {
                key.check_key()?;
                let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
                let mut context = BigNumContext::new()?;
                key.public_key()
                    .affine_coordinates(key.group(), &mut x, &mut y, &mut context)?;
                let len = i32::try_from(coordinate_len(kind)).unwrap_or_default();
                Ok((x.to_vec_padded(len)?, y.to_vec_padded(len)?))
            };
            let (x, y) = coordinates()
                .map_err(|_: openssl::error::ErrorStack| refuse(KeyProblem::InvalidPoint))?;
            (kind, "EC", vec![("x", x), ("y", y)])
        }
        Id::X25519 => {
            let x = key.raw_public_key().map_err(malformed)?;
            jwk::check_x25519(&x)?;
            (KeyType::X25519, "OKP", vec![("x", x)])
        }
        _ => return Err(refuse(KeyProblem::Unsupported)),
    };
    let mut jwk = Map::new();
    jwk.insert("kty".to_owned(), kty.into());
    if let Some(curve) = kind.curve() {
        jwk.insert("crv".to_owned(), curve.into());
    }
    for (name, bytes) in members {
        jwk.insert(name.to_owned(), base64url::encode(&bytes).into());
    }
    Ok((kind, jwk))
}
