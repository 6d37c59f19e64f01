//! Public JWK Sets (RFC 7517 section 5).

use serde_json::{Map, Value};

use super::Jwk;
use crate::error::{Error, KeyProblem};
use crate::json;

/// Most keys in one set.
pub const MAX_KEYS: usize = 512;

/// A public JWK Set: entries that are understood, and how the others failed.
#[derive(Clone, Debug, Default)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    skipped: Vec<SkippedKey>,
}

/// An entry that was skipped, because one stranger must not make the whole set unusable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedKey {
    /// Position in `keys`.
    pub index: usize,
    /// Why it cannot be used.
    pub reason: KeyProblem,
}

impl JwkSet {
    /// A set of the given keys.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateKid`], [`Error::TooManyKeys`].
    pub fn new(keys: Vec<Jwk>) -> Result<Self, Error> {
        if keys.len() > MAX_KEYS {
            return Err(Error::TooManyKeys { limit: MAX_KEYS });
        }
        let mut kids: Vec<&str> = keys.iter().filter_map(Jwk::kid).collect();
        let total = kids.len();
        kids.sort_unstable();
        kids.dedup();
        if kids.len() != total {
            return Err(Error::DuplicateKid);
        }
        Ok(Self {
            keys,
            skipped: Vec::new(),
        })
    }

    /// Reads a set. Entries of unknown type, algorithm or shape are skipped and counted.
    ///
    /// # Errors
    ///
    /// The whole set is refused when it is not strict JSON ([`Error::Json`]: also above 1 MiB), when
    /// `keys` is not an array ([`Error::InvalidKey`]), for more than [`MAX_KEYS`] entries, for a
    /// repeated `kid`, and for any private or symmetric key: a set that leaks those is not one to trust.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        let members =
            json::object(bytes, &json::Limits::DOCUMENT).map_err(|source| Error::Json {
                what: "JWK Set",
                source,
            })?;
        Self::from_members(&members)
    }

    /// Reads a set from JSON that was already checked for duplicates.
    ///
    /// # Errors
    ///
    /// As [`JwkSet::from_slice`].
    pub fn from_members(members: &Map<String, Value>) -> Result<Self, Error> {
        let Some(Value::Array(entries)) = members.get("keys") else {
            return Err(Error::InvalidKey {
                problem: KeyProblem::Member("keys"),
            });
        };
        if entries.len() > MAX_KEYS {
            return Err(Error::TooManyKeys { limit: MAX_KEYS });
        }
        let mut keys = Vec::with_capacity(entries.len());
        let mut skipped = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            match Jwk::from_value(entry) {
                Ok(key) => keys.push(key),
                Err(
                    error @ Error::InvalidKey {
                        problem: KeyProblem::PrivateMaterial,
                    },
                ) => return Err(error),
                Err(Error::InvalidKey { problem }) => skipped.push(SkippedKey {
                    index,
                    reason: problem,
                }),
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            skipped,
            ..Self::new(keys)?
        })
    }

    /// The keys that are understood.
    #[must_use]
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// The entries that are not.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// The JSON object `{"keys": […]}`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let keys = self.keys.iter().map(Jwk::to_value).collect();
        Value::Object(Map::from_iter([("keys".to_owned(), Value::Array(keys))]))
    }
}

impl serde::Serialize for JwkSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}
