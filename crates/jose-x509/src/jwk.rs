//! JSON Web Keys (RFC 7517, 7518, 8037), key sets and thumbprints (RFC 7638, RFC 9278).
//!
//! [`Jwk`] is a public key; private keys are [`SigningKey`](crate::SigningKey)s and are never
//! serialised by accident.

use std::fmt;

use serde_json::{Map, Value};

use crate::algorithm::{Algorithm, KeyKind};
use crate::base64url;
use crate::error::{Error, KeyProblem};
use crate::json;
use crate::provider::CryptoProvider;

mod public;
mod set;
mod spki;
#[cfg(test)]
mod tests;

pub use public::{Curve, KeyMaterial, PublicKey};
pub use set::{JwkSet, MAX_KEYS, SkippedKey};

/// A public JSON Web Key with the members that decide how it may be used.
///
/// Unknown members are kept out: what is compared, hashed and written again is the key itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Jwk {
    key: PublicKey,
    kid: Option<String>,
    key_use: Option<String>,
    key_ops: Option<Vec<String>>,
    algorithm: Option<Algorithm>,
}

impl Jwk {
    /// Wraps a bare public key.
    #[must_use]
    pub fn new(key: PublicKey) -> Self {
        Self {
            key,
            kid: None,
            key_use: None,
            key_ops: None,
            algorithm: None,
        }
    }

    /// Sets `kid`.
    #[must_use]
    pub fn with_kid(self, kid: impl Into<String>) -> Self {
        Self {
            kid: Some(kid.into()),
            ..self
        }
    }

    /// Sets `use`.
    #[must_use]
    pub fn with_use(self, key_use: impl Into<String>) -> Self {
        Self {
            key_use: Some(key_use.into()),
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
        let members =
            json::object(bytes, &json::Limits::HEADER.with_bytes(64 * 1024)).map_err(|source| {
                Error::Json {
                    what: "JWK",
                    source,
                }
            })?;
        Self::from_members(&members)
    }

    /// Reads one public JWK from JSON that was already checked for duplicates.
    ///
    /// # Errors
    ///
    /// As [`Jwk::from_slice`].
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let members = value.as_object().ok_or(Error::InvalidKey {
            problem: KeyProblem::Malformed,
        })?;
        Self::from_members(members)
    }

    fn from_members(members: &Map<String, Value>) -> Result<Self, Error> {
        let text = |name: &'static str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Error::InvalidKey {
                problem: KeyProblem::Member(name),
            }),
        };
        if PRIVATE_MEMBERS
            .iter()
            .any(|name| members.contains_key(*name))
        {
            return Err(Error::InvalidKey {
                problem: KeyProblem::PrivateMaterial,
            });
        }
        let key = PublicKey::from_members(members)?;
        let key_ops = match members.get("key_ops") {
            None => None,
            Some(value) => Some(strings(value).ok_or(Error::InvalidKey {
                problem: KeyProblem::Member("key_ops"),
            })?),
        };
        let key_use = text("use")?;
        check_purpose(key_use, key_ops.as_deref())?;
        let algorithm = match text("alg")? {
            None => None,
            Some(name) => {
                let algorithm = Algorithm::from_name(name).ok_or(Error::InvalidKey {
                    problem: KeyProblem::Unsupported,
                })?;
                if algorithm.key_kind() != key.kind() {
                    return Err(Error::InvalidKey {
                        problem: KeyProblem::Inconsistent,
                    });
                }
                Some(algorithm)
            }
        };
        Ok(Self {
            key,
            kid: text("kid")?.map(str::to_owned),
            key_use: key_use.map(str::to_owned),
            key_ops,
            algorithm,
        })
    }

    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// `use`.
    #[must_use]
    pub fn key_use(&self) -> Option<&str> {
        self.key_use.as_deref()
    }

    /// `alg`.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Whether `key_ops` allows verification: absent, or containing `verify`.
    #[must_use]
    pub fn may_verify(&self) -> bool {
        self.key_ops
            .as_ref()
            .is_none_or(|ops| ops.iter().any(|op| op == "verify"))
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
        if let Some(ops) = &self.key_ops {
            members.insert("key_ops".to_owned(), Value::from(ops.clone()));
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
            .field("kid", &self.kid)
            .field("use", &self.key_use)
            .field("alg", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl serde::Serialize for Jwk {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_members().serialize(serializer)
    }
}

const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fn strings(value: &Value) -> Option<Vec<String>> {
    value
        .as_array()?
        .iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// RFC 7517 section 4.3: unique operations, of one kind, consistent with `use`.
fn check_purpose(key_use: Option<&str>, key_ops: Option<&[String]>) -> Result<(), Error> {
    let Some(ops) = key_ops else { return Ok(()) };
    let has = |names: &[&str]| ops.iter().any(|op| names.contains(&op.as_str()));
    let signs = has(&["sign", "verify"]);
    let encrypts = has(&[
        "encrypt",
        "decrypt",
        "wrapKey",
        "unwrapKey",
        "deriveKey",
        "deriveBits",
    ]);
    let repeated = ops
        .iter()
        .enumerate()
        .any(|(i, op)| ops.iter().skip(i + 1).any(|other| other == op));
    let contradicts = (key_use == Some("sig") && !signs) || (key_use == Some("enc") && signs);
    if repeated || (signs && encrypts) || contradicts {
        return Err(Error::InvalidKey {
            problem: KeyProblem::Inconsistent,
        });
    }
    Ok(())
}

impl PublicKey {
    fn from_members(members: &Map<String, Value>) -> Result<Self, Error> {
        let text = |name: &'static str| match members.get(name) {
            Some(Value::String(text)) => Ok(text.as_str()),
            _ => Err(Error::InvalidKey {
                problem: KeyProblem::Member(name),
            }),
        };
        let bytes = |name: &'static str| {
            base64url::decode(text(name)?, "key").map_err(|_| Error::InvalidKey {
                problem: KeyProblem::Member(name),
            })
        };
        // Members of another key type beside those of this one are a sign of confusion.
        let foreign = |names: &[&'static str]| names.iter().any(|name| members.contains_key(*name));
        let inconsistent = Error::InvalidKey {
            problem: KeyProblem::Inconsistent,
        };
        match text("kty")? {
            "EC" if foreign(&["n", "e"]) => Err(inconsistent),
            "EC" => {
                let curve = match text("crv")? {
                    "P-256" => Curve::P256,
                    "P-384" => Curve::P384,
                    _ => {
                        return Err(Error::InvalidKey {
                            problem: KeyProblem::Unsupported,
                        });
                    }
                };
                Self::from_coordinates(curve, &bytes("x")?, &bytes("y")?)
            }
            "OKP" if foreign(&["n", "e", "y"]) => Err(inconsistent),
            "OKP" if text("crv")? == "Ed25519" => Self::from_ed25519(&bytes("x")?),
            "RSA" if foreign(&["crv", "x", "y"]) => Err(inconsistent),
            "RSA" => Self::from_rsa(&bytes("n")?, &bytes("e")?),
            "oct" => Err(Error::InvalidKey {
                problem: KeyProblem::PrivateMaterial,
            }),
            _ => Err(Error::InvalidKey {
                problem: KeyProblem::Unsupported,
            }),
        }
    }

    /// The members that RFC 7638 hashes, which are also those of a bare JWK, sorted by name.
    fn thumbprint_members(&self) -> Vec<(&'static str, String)> {
        match self.material() {
            KeyMaterial::Ec { curve, .. } => {
                let (x, y) = self.coordinates().unwrap_or_default();
                vec![
                    ("crv", curve.name().to_owned()),
                    ("kty", "EC".to_owned()),
                    ("x", base64url::encode(x)),
                    ("y", base64url::encode(y)),
                ]
            }
            KeyMaterial::Ed25519(x) => {
                vec![
                    ("crv", "Ed25519".to_owned()),
                    ("kty", "OKP".to_owned()),
                    ("x", base64url::encode(x)),
                ]
            }
            KeyMaterial::Rsa { n, e } => {
                vec![
                    ("e", base64url::encode(e)),
                    ("kty", "RSA".to_owned()),
                    ("n", base64url::encode(n)),
                ]
            }
        }
    }

    fn to_members(&self) -> Map<String, Value> {
        self.thumbprint_members()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect()
    }

    /// The SHA-256 thumbprint (RFC 7638): 32 bytes.
    #[must_use]
    pub fn thumbprint(&self, provider: &CryptoProvider) -> [u8; 32] {
        let mut text = String::with_capacity(256);
        for (name, value) in self.thumbprint_members() {
            // Names and values are base64url or fixed ASCII, so nothing needs escaping.
            text.push(if text.is_empty() { '{' } else { ',' });
            text.extend(["\"", name, "\":\"", &value, "\""]);
        }
        text.push('}');
        provider.sha256(text.as_bytes())
    }

    /// The thumbprint as RFC 9278 writes it: `urn:ietf:params:oauth:jwk-thumbprint:sha-256:…`.
    #[must_use]
    pub fn thumbprint_uri(&self, provider: &CryptoProvider) -> String {
        let mut uri = String::from("urn:ietf:params:oauth:jwk-thumbprint:sha-256:");
        base64url::encode_to(&self.thumbprint(provider), &mut uri);
        uri
    }

    /// The kind of key.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        match self.material() {
            KeyMaterial::Ec { curve, .. } => curve.key_kind(),
            KeyMaterial::Ed25519(_) => KeyKind::Ed25519,
            KeyMaterial::Rsa { .. } => KeyKind::Rsa,
        }
    }
}
