//! `tctx` and `rctx`: open JSON objects whose values are carried byte for byte.

use std::fmt;

use jose_x509::json;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Error;

/// An object of a transaction's parameters. Values keep the text in which they came, so a number is
/// never written in another form than the one that was signed. `Debug` shows names only.
#[derive(Clone, Default)]
pub struct Context(
    /// By name, each once. A list, because most have one member.
    Vec<(String, Box<RawValue>)>,
);

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
        let name = name.into();
        match self.position(&name) {
            Ok(at) => self.0.splice(at..=at, [(name, value)]),
            Err(at) => self.0.splice(at..at, [(name, value)]),
        };
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
        let (_, value) = self.0.get(self.position(name).ok()?)?;
        Some(value.get())
    }

    /// Where a name is, or has to be.
    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|(other, _)| other.as_str().cmp(name))
    }

    /// The members' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
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
        Self(kept.cloned().collect())
    }

    /// This context with further members; `None` if that would change one.
    pub(crate) fn extended(&self, more: &Self) -> Option<Self> {
        let mut all = self.clone();
        for (name, value) in &more.0 {
            match self.raw(name) {
                Some(known) if known != value.get() => return None,
                Some(_) => {}
                None => all.0.push((name.clone(), value.clone())),
            }
        }
        Some(all.sorted())
    }

    fn sorted(mut self) -> Self {
        self.0.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        self
    }
}

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AllMembers)
    }
}

struct AllMembers;

impl<'de> Visitor<'de> for AllMembers {
    type Value = Context;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Context, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        let context = Context(members).sorted();
        let mut pairs = context.0.windows(2);
        if pairs.any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
            return Err(A::Error::custom("a member twice"));
        }
        Ok(context)
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
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Context;

    #[test]
    fn members_are_a_map_by_name() {
        let mut context = Context::parse(r#"{"b":1.10,"a":{"y":1,"x":2}}"#).unwrap();
        assert_eq!(context.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(context.raw("a"), Some(r#"{"y":1,"x":2}"#));
        for (name, value) in [("b", 2), ("ab", 3), ("0", 4)] {
            context.insert(name, value).unwrap();
        }
        let text = serde_json::to_string(&context).unwrap();
        assert_eq!(text, r#"{"0":4,"a":{"y":1,"x":2},"ab":3,"b":2}"#);
        let more = Context::parse(r#"{"aa":5,"b":2}"#).unwrap();
        let all = context.extended(&more).unwrap();
        assert_eq!(all.names().collect::<Vec<_>>(), ["0", "a", "aa", "ab", "b"]);
        assert_eq!(all.raw("aa"), Some("5"));
        assert_eq!(
            context.extended(&Context::parse(r#"{"b":3}"#).unwrap()),
            None
        );
        assert_eq!(
            all.only(&["b", "aa", "none"]).names().collect::<Vec<_>>(),
            ["aa", "b"]
        );
        // Also where no strict reader came before.
        serde_json::from_str::<Context>(r#"{"a":1,"b":1,"a":1}"#).unwrap_err();
    }
}
