//! `tctx` and `rctx`: open JSON objects whose values are carried byte for byte.

use std::collections::BTreeMap;
use std::fmt;

use jose_x509::json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Error;

/// An object of a transaction's parameters. Values keep the text in which they came, so a number is
/// never written in another form than the one that was signed. `Debug` shows names only.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Context(BTreeMap<String, Box<RawValue>>);

/// Longest text of a context, in bytes.
pub const MAX_CONTEXT: usize = 16 * 1024;

impl Context {
    /// An empty context.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the text of one JSON object: at most 16 KiB, 16 levels, no member twice.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidContext`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let limits = json::Limits::CLAIMS.with_bytes(MAX_CONTEXT);
        json::object(text.as_bytes(), &limits).map_err(|_| Error::InvalidContext)?;
        serde_json::from_str(text).map_err(|_| Error::InvalidContext)
    }

    /// Sets a member.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidContext`] for a value that is not JSON.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Serialize) -> Result<(), Error> {
        let value = serde_json::value::to_raw_value(&value).map_err(|_| Error::InvalidContext)?;
        self.0.insert(name.into(), value);
        Ok(())
    }

    /// The value of a member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// The text of a member's value, as it was signed.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.get())
    }

    /// The members' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Only the members with these names: how an issuer takes over no more than what it vouches for.
    #[must_use]
    pub fn only(&self, names: &[&str]) -> Self {
        let kept = self
            .0
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        Self(
            kept.map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// This context with further members; `None` if that would change one.
    pub(crate) fn extended(&self, more: &Self) -> Option<Self> {
        let mut all = self.clone();
        for (name, value) in &more.0 {
            match all.0.get(name) {
                Some(known) if known.get() != value.get() => return None,
                Some(_) => {}
                None => {
                    all.0.insert(name.clone(), value.clone());
                }
            }
        }
        Some(all)
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len() && pairs.all(|((a, x), (b, y))| a == b && x.get() == y.get())
    }
}

impl Eq for Context {}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
