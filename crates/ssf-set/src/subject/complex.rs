//! Subjects of SSF 1.0: simple, or complex with several members.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Error, Problem};
use crate::node::{Node, Object};
use crate::subject::SubjectIdentifier;
use crate::subject::parse::{self, Strictness};

/// The most members of a complex subject.
const MAX_MEMBERS: usize = 32;

/// The subject of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// One identifier.
    Simple(SubjectIdentifier),
    /// Several, which together denote one principal.
    Complex(ComplexSubject),
}

impl Subject {
    /// Reads a subject, strictly.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], [`Error::Subject`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::of(&parse::read(bytes)?, Strictness::Strict)
    }

    /// Reads a subject out of JSON that was parsed strictly.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`].
    pub fn from_value(value: &Value, strictness: Strictness) -> Result<Self, Error> {
        Self::from_node(&value.into(), strictness)
    }

    pub(crate) fn from_node(node: &Node<'_>, strictness: Strictness) -> Result<Self, Error> {
        Self::of(parse::object(node)?, strictness)
    }

    fn of(object: &Object<'_>, strictness: Strictness) -> Result<Self, Error> {
        if parse::format_of(object)? == "complex" {
            ComplexSubject::of(object, strictness).map(Self::Complex)
        } else {
            parse::identifier(object, strictness).map(Self::Simple)
        }
    }

    /// The JSON object.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Simple(simple) => simple.to_value(),
            Self::Complex(complex) => complex.to_value(),
        }
    }

    /// The identifier, if there is just one.
    #[must_use]
    pub fn as_simple(&self) -> Option<&SubjectIdentifier> {
        match self {
            Self::Simple(simple) => Some(simple),
            Self::Complex(_) => None,
        }
    }

    /// Whether events about `other` belong to a stream to which `self` was added (SSF 1.0 section
    /// 8.1.3.1): simple subjects when they are identical; complex ones when no member that both have
    /// differs. A simple and a complex subject never match.
    ///
    /// Two complex subjects without a common member match: that is what the specification says, and
    /// the reason to look at [`ComplexSubject::is_broad`] before acting.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Simple(a), Self::Simple(b)) => a == b,
            (Self::Complex(a), Self::Complex(b)) => a
                .members
                .iter()
                .all(|(name, one)| b.members.get(name).is_none_or(|other| one == other)),
            _ => false,
        }
    }
}

impl From<SubjectIdentifier> for Subject {
    fn from(simple: SubjectIdentifier) -> Self {
        Self::Simple(simple)
    }
}

impl From<ComplexSubject> for Subject {
    fn from(complex: ComplexSubject) -> Self {
        Self::Complex(complex)
    }
}

/// A complex subject: members such as `user`, `device`, `session`, `application`, `tenant`,
/// `org_unit`, `group`, or others that the parties agreed upon; each with one identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ComplexSubject {
    members: BTreeMap<String, SubjectIdentifier>,
}

impl ComplexSubject {
    /// A subject with one member.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] for the name `format` and for an empty one.
    pub fn new(member: &str, identifier: SubjectIdentifier) -> Result<Self, Error> {
        Self {
            members: BTreeMap::new(),
        }
        .with(member, identifier)
    }

    /// Adds a member.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] when the member is there already, is named `format` or has no name.
    pub fn with(mut self, member: &str, identifier: SubjectIdentifier) -> Result<Self, Error> {
        if matches!(member, "" | "format") || self.members.contains_key(member) {
            return Err(wrong(Problem::Form));
        }
        if self.members.len() >= MAX_MEMBERS {
            return Err(wrong(Problem::TooLong));
        }
        self.members.insert(member.to_owned(), identifier);
        Ok(self)
    }

    fn of(object: &Object<'_>, strictness: Strictness) -> Result<Self, Error> {
        let mut members = BTreeMap::new();
        for (name, value) in object.iter().filter(|(name, _)| *name != "format") {
            let identifier = match value {
                Node::Object(member) if parse::format_of(member) == Ok("complex") => {
                    return Err(wrong(Problem::Form));
                }
                Node::Object(member) => parse::identifier(member, strictness)?,
                // Left out, it would act as a wildcard.
                _ => return Err(wrong(Problem::Type)),
            };
            if members.len() >= MAX_MEMBERS {
                return Err(wrong(Problem::TooLong));
            }
            members.insert(name.to_owned(), identifier);
        }
        if members.is_empty() {
            return Err(wrong(Problem::Empty));
        }
        Ok(Self { members })
    }

    /// A member.
    #[must_use]
    pub fn get(&self, member: &str) -> Option<&SubjectIdentifier> {
        self.members.get(member)
    }

    /// All members, by name.
    pub fn members(&self) -> impl Iterator<Item = (&str, &SubjectIdentifier)> {
        self.members
            .iter()
            .map(|(name, identifier)| (name.as_str(), identifier))
    }

    /// Whether it names neither a user, a device, a session nor an application, so that it may stand
    /// for a whole tenant or group.
    #[must_use]
    pub fn is_broad(&self) -> bool {
        !["user", "device", "session", "application"]
            .iter()
            .any(|member| self.members.contains_key(*member))
    }

    /// The JSON object.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        object.insert("format".to_owned(), "complex".into());
        for (name, identifier) in &self.members {
            object.insert(name.clone(), identifier.to_value());
        }
        Value::Object(object)
    }
}

const fn wrong(problem: Problem) -> Error {
    Error::Subject {
        format: "complex",
        member: "(member of the complex subject)",
        problem,
    }
}
