//! JSON Web Keys (RFC 7517, 7518, 8037), key sets and thumbprints (RFC 7638, RFC 9278).
//!
//! [`Jwk`] is a public key; private keys are [`SigningKey`](crate::SigningKey)s and are never
//! serialised by accident.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki_types::CertificateDer;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::error::{Error, KeyProblem};
use crate::provider::CryptoProvider;

mod equation;
mod name;
pub(crate) mod parse;
mod public;
mod roca;
mod set;
pub(crate) mod spki;
mod thumbprint;

use name::{Name, Use};
pub(crate) use parse::{ReadJwk, certificates};
pub use public::{Curve, KeyMaterial, PublicKey};
pub(crate) use set::read_set;
pub use set::{JwkSet, SetLimits, SkippedKey};

/// A public JSON Web Key with the members that decide how it may be used.
///
/// Unknown members are kept out: what is compared, hashed and written again is the key itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Jwk {
    key: PublicKey,
    kid: Option<Name>,
    key_use: Option<Use>,
    algorithm: Option<Algorithm>,
    /// Apart, because few keys have any of it.
    rare: Option<Box<Rare>>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Rare {
    key_ops: Option<Vec<String>>,
    certificates: Vec<CertificateDer<'static>>,
    x5t_s256: Option<[u8; 32]>,
}

impl Jwk {
    /// Wraps a bare public key.
    #[must_use]
    pub fn new(key: PublicKey) -> Self {
        Self {
            key,
            kid: None,
            key_use: None,
            algorithm: None,
            rare: None,
        }
    }

    /// Sets `kid`.
    #[must_use]
    pub fn with_kid(self, kid: impl AsRef<str>) -> Self {
        Self {
            kid: Some(Name::new(kid.as_ref())),
            ..self
        }
    }

    /// Sets `use`.
    #[must_use]
    pub fn with_use(self, key_use: impl AsRef<str>) -> Self {
        Self {
            key_use: Some(Use::new(key_use.as_ref())),
            ..self
        }
    }

    /// Sets `alg`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] when the algorithm is not one for this key.
    pub fn with_algorithm(self, algorithm: Algorithm) -> Result<Self, Error> {
        if algorithm.key_kind() != self.key.kind() {
            return Err(Error::InvalidKey {
                problem: KeyProblem::Inconsistent,
            });
        }
        Ok(Self {
            algorithm: Some(algorithm),
            ..self
        })
    }

    /// Reads one public JWK from JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Json`] for text that is not strict JSON; [`Error::InvalidKey`] for everything else,
    /// above all for any private or symmetric member.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        parse::public(bytes)
    }

    /// Reads one public JWK from JSON that was already checked for duplicates.
    ///
    /// # Errors
    ///
    /// As [`Jwk::from_slice`].
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let members = value.as_object().ok_or(KeyProblem::Malformed)?;
        parse::of_members(members).map_err(Error::from)
    }

    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_ref().map(Name::as_str)
    }

    /// `use`.
    #[must_use]
    pub fn key_use(&self) -> Option<&str> {
        self.key_use.as_ref().map(Use::as_str)
    }

    /// `alg`.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Whether `key_ops` allows verification: absent, or containing `verify`.
    #[must_use]
    pub fn may_verify(&self) -> bool {
        self.key_ops()
            .is_none_or(|ops| ops.iter().any(|op| op == "verify"))
    }

    pub(crate) fn may_sign(&self) -> bool {
        self.key_use() != Some("enc")
            && self
                .key_ops()
                .is_none_or(|ops| ops.iter().any(|op| op == "sign"))
    }

    fn key_ops(&self) -> Option<&[String]> {
        self.rare.as_ref()?.key_ops.as_deref()
    }

    /// `x5c`: empty, or certificates of which the first one is for this key. They give it no trust.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        self.rare
            .as_ref()
            .map_or(&[], |rare| rare.certificates.as_slice())
    }

    /// Sets `x5c`; the first certificate must be known to be for this key.
    pub(crate) fn certified_by(mut self, certificates: Vec<CertificateDer<'static>>) -> Self {
        self.rare.get_or_insert_default().certificates = certificates;
        self
    }

    /// `x5t#S256`: what the SHA-256 of the first certificate has to be.
    pub(crate) fn certificate_thumbprint(&self) -> Option<&[u8; 32]> {
        self.rare.as_ref()?.x5t_s256.as_ref()
    }

    /// The JSON object, members in a fixed order.
    #[must_use]
    pub fn to_members(&self) -> Map<String, Value> {
        let mut members = self.key.to_members();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), Value::from(value));
            }
        };
        put("use", self.key_use());
        put("kid", self.kid());
        put("alg", self.algorithm.map(Algorithm::name));
        if !self.certificates().is_empty() {
            let chain = self.certificates().iter().map(|der| STANDARD.encode(der));
            members.insert("x5c".to_owned(), chain.map(Value::from).collect());
        }
        if let Some(ops) = self.key_ops() {
            members.insert("key_ops".to_owned(), Value::from(ops.to_vec()));
        }
        members
    }

    /// The JSON object as a value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.to_members())
    }

    /// The SHA-256 thumbprint (RFC 7638): 32 bytes.
    #[must_use]
    pub fn thumbprint(&self, provider: &CryptoProvider) -> [u8; 32] {
        self.key.thumbprint(provider)
    }
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("kind", &self.key.kind())
            .field("kid", &self.kid())
            .field("use", &self.key_use())
            .field("alg", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl serde::Serialize for Jwk {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_members().serialize(serializer)
    }
}
