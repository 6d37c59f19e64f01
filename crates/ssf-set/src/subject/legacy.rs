//! Subjects as RISC had them before its final version, within the event and with `subject_type`.

use serde_json::{Map, Value};

use crate::error::{Error, Problem};
use crate::node::Node;
use crate::subject::parse::{self, Strictness};
use crate::subject::{Subject, SubjectIdentifier};

/// The member of an event's payload.
pub(crate) const MEMBER: &str = "subject";

/// Reads a subject that has `subject_type`, or `format`, which wins. Hyphens and underscores are the same in its names,
/// and `phone` is `phone_number`.
pub(crate) fn read(node: &Node<'_>) -> Result<Subject, Error> {
    let mut object = parse::object(node)?.clone();
    let named = object.take("subject_type");
    let name = match object.take("format").or(named) {
        None => return Err(wrong(Problem::Missing)),
        Some(Node::Text(name)) => name.replace('-', "_"),
        Some(_) => return Err(wrong(Problem::Type)),
    };
    let name = match name.as_str() {
        "phone" => "phone_number",
        // A claims set of an ID Token names its subject as `iss_sub` does.
        "id_token_claims" => "iss_sub",
        "ip_addresses" => "ip-addresses",
        other => other,
    };
    if name == "phone_number" {
        if let Some(number) = object.take("phone") {
            object.put("phone_number", number);
        }
    }
    object.put("format", Node::Text(name.to_owned().into()));
    Subject::from_node(&Node::Object(object), Strictness::Lenient)
}

/// The subject of a SET: `sub_id` wherever it is. One in the payload has to be the same.
pub(crate) fn choose(
    sub_id: Option<Subject>,
    payload: Option<&Node<'_>>,
) -> Result<Option<Subject>, Error> {
    let Some(payload) = payload else {
        return Ok(sub_id);
    };
    let legacy = read(payload)?;
    match sub_id {
        Some(sub_id) if sub_id != legacy => Err(Error::Claim {
            claim: "sub_id",
            problem: Problem::Value,
        }),
        Some(sub_id) => Ok(Some(sub_id)),
        None => Ok(Some(legacy)),
    }
}

const fn wrong(problem: Problem) -> Error {
    Error::Subject {
        format: "(unknown)",
        member: "format",
        problem,
    }
}

impl SubjectIdentifier {
    /// The most specific identifier for a URI: `email` for `mailto:`, `account` for `acct:`, `did` for `did:`, else `uri`.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] when the URI is none, or not one of its scheme.
    pub fn from_uri(uri: &str) -> Result<Self, Error> {
        let scheme = uri
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        match scheme.as_str() {
            "mailto" => Self::email(uri.get("mailto:".len()..).unwrap_or_default()),
            "acct" => Self::account(uri),
            "did" => Self::did(uri),
            _ => Self::uri(uri),
        }
    }

    /// An identifier of a format that the parties agreed upon. It names a subject, and never what kind of thing that is.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] for a format that is known here, and for a name that could become a registered one: a name of
    /// one's own has a colon or a dot, such as `https://example.com/format`.
    pub fn custom(format: &str, members: Map<String, Value>) -> Result<Self, Error> {
        let own = format.contains([':', '.'])
            && format.bytes().all(|byte| byte.is_ascii_graphic())
            && !members.contains_key("format");
        if !own || members.is_empty() {
            return Err(wrong(Problem::Form));
        }
        Ok(Self::Other {
            format: format.to_owned(),
            members,
        })
    }

    /// Whether a name is one that the registry of formats can have (RFC 9493 section 8.1): at most 20 lower case letters,
    /// digits, hyphens and underscores.
    #[must_use]
    pub fn is_registrable_format(name: &str) -> bool {
        (1..=20).contains(&name.len())
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
            })
    }
}
