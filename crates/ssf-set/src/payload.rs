//! Reading and writing the members of an event's payload.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use crate::error::{Error, Problem};
use crate::node::{Node, Object};
use crate::text;

/// The longest text in a payload, in bytes.
pub(crate) const MAX_TEXT: usize = 4096;
const MAX_ENTRIES: usize = 64;

/// The members of a payload. What is taken is gone; what remains is kept with the event.
pub(crate) struct Members<'a> {
    event: &'static str,
    left: Object<'a>,
}

impl<'a> Members<'a> {
    pub(crate) fn new(event: &'static str, payload: Object<'a>) -> Self {
        Self {
            event,
            left: payload,
        }
    }

    pub(crate) fn rest(self) -> Map<String, Value> {
        self.left.into_map()
    }

    pub(crate) fn wrong(&self, member: &'static str, problem: Problem) -> Error {
        Error::Event {
            event: self.event,
            member,
            problem,
        }
    }

    pub(crate) fn take(&mut self, member: &'static str) -> Option<Node<'a>> {
        self.left.take(member)
    }

    fn borrowed(&mut self, member: &'static str) -> Result<Option<Cow<'a, str>>, Error> {
        match self.take(member) {
            None => Ok(None),
            Some(Node::Text(text)) if text.len() > MAX_TEXT => {
                Err(self.wrong(member, Problem::TooLong))
            }
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(member, Problem::Type)),
        }
    }

    pub(crate) fn text(&mut self, member: &'static str) -> Result<Option<String>, Error> {
        Ok(self.borrowed(member)?.map(Cow::into_owned))
    }

    pub(crate) fn required_text(&mut self, member: &'static str) -> Result<String, Error> {
        match self.text(member)? {
            None => Err(self.wrong(member, Problem::Missing)),
            Some(text) if text.is_empty() => Err(self.wrong(member, Problem::Empty)),
            Some(text) => Ok(text),
        }
    }

    /// A value of a closed vocabulary.
    pub(crate) fn closed<T>(
        &mut self,
        member: &'static str,
        of: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        match self.borrowed(member)? {
            None => Ok(None),
            Some(text) => match of(&text) {
                Some(value) => Ok(Some(value)),
                None => Err(self.wrong(member, Problem::Value)),
            },
        }
    }

    pub(crate) fn required_closed<T>(
        &mut self,
        member: &'static str,
        of: fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        match self.closed(member, of)? {
            Some(value) => Ok(value),
            None => Err(self.wrong(member, Problem::Missing)),
        }
    }

    pub(crate) fn texts(&mut self, member: &'static str) -> Result<Option<Vec<String>>, Error> {
        let Some(value) = self.take(member) else {
            return Ok(None);
        };
        let Node::Array(elements) = value else {
            return Err(self.wrong(member, Problem::Type));
        };
        if elements.len() > MAX_ENTRIES {
            return Err(self.wrong(member, Problem::TooLong));
        }
        elements
            .into_iter()
            .map(|element| match element {
                Node::Text(text) if text.len() <= MAX_TEXT => Ok(text.into_owned()),
                Node::Text(_) => Err(self.wrong(member, Problem::TooLong)),
                _ => Err(self.wrong(member, Problem::Type)),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Seconds since the epoch; a fraction is cut off.
    pub(crate) fn seconds(&mut self, member: &'static str) -> Result<Option<u64>, Error> {
        match self.take(member) {
            None => Ok(None),
            Some(Node::Number(number)) => match seconds_of(&number) {
                Some(seconds) => Ok(Some(seconds)),
                None => Err(self.wrong(member, Problem::Range)),
            },
            Some(_) => Err(self.wrong(member, Problem::Type)),
        }
    }

    pub(crate) fn reason(&mut self, member: &'static str) -> Result<Option<LanguageMap>, Error> {
        let Some(value) = self.take(member) else {
            return Ok(None);
        };
        let Node::Object(object) = value else {
            return Err(self.wrong(member, Problem::Type));
        };
        if object.len() > MAX_ENTRIES {
            return Err(self.wrong(member, Problem::TooLong));
        }
        let mut map = LanguageMap {
            entries: BTreeMap::new(),
        };
        for (tag, text) in object.iter() {
            let Node::Text(text) = text else {
                return Err(self.wrong(member, Problem::Type));
            };
            map.insert(tag, text)
                .map_err(|problem| self.wrong(member, problem))?;
        }
        if map.entries.is_empty() {
            return Err(self.wrong(member, Problem::Empty));
        }
        Ok(Some(map))
    }
}

/// A `NumericDate` of this project: 0 to the end of the year 9999, which refuses milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the range is checked first, and everything in it is exact in an f64"
)]
pub(crate) fn seconds_of(number: &Number) -> Option<u64> {
    const MAX: u64 = jose_x509::jwt::MAX_NUMERIC_DATE;
    if let Some(seconds) = number.as_u64() {
        return (seconds <= MAX).then_some(seconds);
    }
    number
        .as_f64()
        .filter(|seconds| *seconds >= 0.0 && *seconds <= MAX as f64)
        .map(|seconds| seconds.floor() as u64)
}

/// Text by language: BCP 47 tags, at least one of them. What a peer sent is untrusted; use
/// [`Escaped`](crate::Escaped) for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanguageMap {
    // The tag in lower case, then as it was written, and the text.
    entries: BTreeMap<String, (String, String)>,
}

impl LanguageMap {
    /// A map with one text.
    ///
    /// # Errors
    ///
    /// [`Error::Event`] when the tag is malformed, or the text empty or above 4096 bytes.
    pub fn new(tag: &str, text: &str) -> Result<Self, Error> {
        Self {
            entries: BTreeMap::new(),
        }
        .with(tag, text)
    }

    /// Adds a text.
    ///
    /// # Errors
    ///
    /// As [`LanguageMap::new`], and when the language is there already.
    pub fn with(mut self, tag: &str, text: &str) -> Result<Self, Error> {
        match self.insert(tag, text) {
            Ok(()) => Ok(self),
            Err(problem) => Err(Error::Event {
                event: "(any)",
                member: "(language map)",
                problem,
            }),
        }
    }

    fn insert(&mut self, tag: &str, text: &str) -> Result<(), Problem> {
        let key = tag.to_ascii_lowercase();
        if !text::is_language_tag(tag) || self.entries.contains_key(&key) {
            return Err(Problem::Form);
        }
        if text.is_empty() {
            return Err(Problem::Empty);
        }
        if text.len() > MAX_TEXT {
            return Err(Problem::TooLong);
        }
        self.entries.insert(key, (tag.to_owned(), text.to_owned()));
        Ok(())
    }

    /// The text in `tag`, else in a more general language (`en` for `en-US`), else any text.
    #[must_use]
    pub fn lookup(&self, tag: &str) -> &str {
        let mut wanted = tag.to_ascii_lowercase();
        loop {
            if let Some((_, text)) = self.entries.get(&wanted) {
                return text;
            }
            match wanted.rfind('-') {
                Some(at) => wanted.truncate(at),
                None => break,
            }
        }
        self.entries
            .values()
            .next()
            .map_or("", |(_, text)| text.as_str())
    }

    /// The tags and texts, as they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .values()
            .map(|(tag, text)| (tag.as_str(), text.as_str()))
    }

    pub(crate) fn to_value(&self) -> Value {
        self.iter()
            .map(|(tag, text)| (tag.to_owned(), Value::from(text)))
            .collect::<Map<_, _>>()
            .into()
    }
}
