//! Members of the documents.

use jose_x509::json;
use serde_json::{Map, Value};
use ssf_set::Problem;

use crate::error::Error;
use crate::stream::{MAX_BODY, MAX_EVENT_URI, MAX_EVENTS, MAX_STREAM_ID, MAX_TEXT};

/// A member of an update, in which it makes a difference whether it is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Member<T> {
    /// Not there: a PATCH leaves the property as it is, a PUT deletes it.
    #[default]
    Absent,
    /// `null`: the property is to be deleted.
    Null,
    /// A new value.
    Value(T),
}

impl<T> Member<T> {
    /// The value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    pub(super) fn put(
        &self,
        object: &mut Map<String, Value>,
        name: &str,
        json: impl Fn(&T) -> Value,
    ) {
        match self {
            Self::Absent => None,
            Self::Null => object.insert(name.to_owned(), Value::Null),
            Self::Value(value) => object.insert(name.to_owned(), json(value)),
        };
    }
}

/// A document that is read: its members, and what it is called in errors.
pub(crate) struct Document {
    pub(crate) what: &'static str,
    pub(crate) object: Map<String, Value>,
}

impl Document {
    pub(crate) fn parse(what: &'static str, body: &[u8]) -> Result<Self, Error> {
        let limits = json::Limits::DOCUMENT.with_bytes(MAX_BODY).with_depth(8);
        let object = json::object(body, &limits).map_err(|source| Error::Json { what, source })?;
        Ok(Self { what, object })
    }

    pub(crate) fn wrong(&self, member: &'static str, problem: Problem) -> Error {
        Error::Member {
            what: self.what,
            member,
            problem,
        }
    }

    fn text(&self, member: &'static str, value: &Value, max: usize) -> Result<String, Error> {
        let Value::String(text) = value else {
            return Err(self.wrong(member, Problem::Type));
        };
        if text.len() > max {
            Err(self.wrong(member, Problem::TooLong))
        } else {
            Ok(text.clone())
        }
    }

    pub(crate) fn optional(
        &self,
        member: &'static str,
        max: usize,
    ) -> Result<Option<String>, Error> {
        let value = self.object.get(member);
        value.map(|value| self.text(member, value, max)).transpose()
    }

    /// A text for people. Control characters have no use in it, and much in a log.
    pub(crate) fn prose(&self, member: &'static str) -> Result<Option<String>, Error> {
        match self.optional(member, MAX_TEXT)? {
            Some(text) if text.chars().any(char::is_control) => {
                Err(self.wrong(member, Problem::Form))
            }
            text => Ok(text),
        }
    }

    pub(crate) fn required(&self, member: &'static str, max: usize) -> Result<String, Error> {
        match self.optional(member, max)? {
            Some(text) if text.is_empty() => Err(self.wrong(member, Problem::Empty)),
            Some(text) => Ok(text),
            None => Err(self.wrong(member, Problem::Missing)),
        }
    }

    pub(crate) fn stream_id(&self) -> Result<String, Error> {
        self.required("stream_id", MAX_STREAM_ID)
    }

    pub(crate) fn count(&self, member: &'static str) -> Result<Option<u64>, Error> {
        match self.object.get(member) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count)),
                None => Err(self.wrong(member, Problem::Type)),
            },
        }
    }

    /// Event types. They are kept as they are, and compared exactly.
    pub(crate) fn events(&self, member: &'static str) -> Result<Option<Vec<String>>, Error> {
        let elements = match self.object.get(member) {
            None => return Ok(None),
            Some(Value::Array(elements)) if elements.len() > MAX_EVENTS => {
                return Err(self.wrong(member, Problem::TooLong));
            }
            Some(Value::Array(elements)) => elements,
            Some(_) => return Err(self.wrong(member, Problem::Type)),
        };
        let events = elements
            .iter()
            .map(|event| self.text(member, event, MAX_EVENT_URI));
        events.collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn member<T>(
        &self,
        name: &str,
        read: impl FnOnce() -> Result<Option<T>, Error>,
    ) -> Result<Member<T>, Error> {
        if self.object.get(name) == Some(&Value::Null) {
            return Ok(Member::Null);
        }
        Ok(read()?.map_or(Member::Absent, Member::Value))
    }
}
