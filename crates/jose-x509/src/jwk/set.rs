//! Public JWK Sets (RFC 7517 section 5).

use serde_json::{Map, Value};

use super::{Jwk, parse};
use crate::error::{Error, KeyProblem};
use crate::json;

/// Bounds on a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetLimits {
    /// Longest text in bytes.
    pub bytes: usize,
    /// Most entries, skipped ones included.
    pub keys: usize,
}

impl SetLimits {
    /// Other limits than the default ones.
    #[must_use]
    pub const fn new(bytes: usize, keys: usize) -> Self {
        Self { bytes, keys }
    }

    pub(crate) const fn json(&self) -> json::Limits {
        json::Limits::DOCUMENT.with_bytes(self.bytes)
    }
}

impl Default for SetLimits {
    /// 1 MiB and 512 keys.
    fn default() -> Self {
        Self::new(json::Limits::DOCUMENT.bytes, 512)
    }
}

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
    /// [`Error::DuplicateKid`].
    pub fn new(keys: Vec<Jwk>) -> Result<Self, Error> {
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
    /// The whole set is refused when it is not strict JSON ([`Error::Json`]) or larger than the default
    /// [`SetLimits`], when `keys` is not an array ([`Error::InvalidKey`]), for a repeated `kid`, and for
    /// any private or symmetric key: a set that leaks those is not one to trust.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_slice_with(bytes, &SetLimits::default())
    }

    /// As [`JwkSet::from_slice`], with other limits.
    ///
    /// # Errors
    ///
    /// As [`JwkSet::from_slice`].
    pub fn from_slice_with(bytes: &[u8], limits: &SetLimits) -> Result<Self, Error> {
        let (keys, skipped) = read_set(bytes, limits, |keys, jwk| {
            keys.push(jwk);
            Ok(())
        })?;
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

/// Hands each key of a set to `usable`, which may keep something of it or refuse it. Returns what was kept, and what was
/// skipped.
pub(crate) fn read_set<T>(
    bytes: &[u8],
    limits: &SetLimits,
    usable: impl FnMut(&mut Vec<T>, Jwk) -> Result<(), KeyProblem>,
) -> Result<(Vec<T>, Vec<SkippedKey>), Error> {
    let mut reading = Reading {
        // About the length of an EC key in JSON; a guess that only saves time.
        kept: Vec::with_capacity((bytes.len() / 180).min(limits.keys)),
        skipped: Vec::new(),
        most: limits.keys,
        count: 0,
        secret: false,
        usable,
    };
    parse::each_of_set(bytes, &limits.json(), &mut reading)?;
    if reading.count > limits.keys {
        return Err(Error::TooManyKeys { limit: limits.keys });
    }
    if reading.secret {
        return Err(KeyProblem::PrivateMaterial.into());
    }
    Ok((reading.kept, reading.skipped))
}

/// A set on its way from a text.
struct Reading<T, F> {
    kept: Vec<T>,
    skipped: Vec<SkippedKey>,
    most: usize,
    count: usize,
    /// Whether there is a private or symmetric key.
    secret: bool,
    usable: F,
}

impl<T, F: FnMut(&mut Vec<T>, Jwk) -> Result<(), KeyProblem>> parse::Entries for Reading<T, F> {
    fn entry(&mut self, entry: Result<Jwk, KeyProblem>) {
        let index = self.count;
        self.count += 1;
        if self.count > self.most {
            return;
        }
        match entry.and_then(|jwk| (self.usable)(&mut self.kept, jwk)) {
            Ok(()) => {}
            Err(KeyProblem::PrivateMaterial) => self.secret = true,
            Err(reason) => self.skipped.push(SkippedKey { index, reason }),
        }
    }

    fn restart(&mut self) {
        self.kept.clear();
        self.skipped.clear();
        self.count = 0;
        self.secret = false;
    }
}
