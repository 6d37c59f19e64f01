//! Reading simple subjects.

use std::net::IpAddr;

use jose_x509::json;
use serde_json::Value;

use crate::error::{Error, Problem};
use crate::node::{Node, Object};
use crate::subject::SubjectIdentifier;
use crate::text;

/// The most elements of an `aliases` identifier, and of an `ip-addresses` one.
pub const MAX_ALIASES: usize = 32;

/// The longest string member, in bytes.
const MAX_TEXT: usize = 4096;

/// How much an identifier may differ from its format's definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strictness {
    /// Only known formats with exactly their members: for configuration and management requests.
    Strict,
    /// As in a SET that is received: unknown formats are kept, members that the format does not
    /// describe take no part in anything, and a telephone number may have separators.
    Lenient,
}

impl SubjectIdentifier {
    /// Reads an identifier, strictly.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], [`Error::Subject`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        identifier(&read(bytes)?, Strictness::Strict)
    }

    /// Reads an identifier out of JSON that was parsed strictly, so that no member occurs twice.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`].
    pub fn from_value(value: &Value, strictness: Strictness) -> Result<Self, Error> {
        identifier(object(&value.into())?, strictness)
    }
}

/// Reads an object.
pub(super) fn read(bytes: &[u8]) -> Result<Object<'_>, Error> {
    json::from_slice(bytes, &json::Limits::CLAIMS).map_err(Error::Json)
}

pub(super) fn object<'n, 'a>(node: &'n Node<'a>) -> Result<&'n Object<'a>, Error> {
    match node {
        Node::Object(object) => Ok(object),
        _ => Err(Error::Subject {
            format: "",
            member: "format",
            problem: Problem::Type,
        }),
    }
}

pub(super) fn format_of<'n>(object: &'n Object<'_>) -> Result<&'n str, Error> {
    let wrong = |problem| Error::Subject {
        format: "",
        member: "format",
        problem,
    };
    match object.get("format") {
        None => Err(wrong(Problem::Missing)),
        Some(Node::Text(format)) if format.is_empty() => Err(wrong(Problem::Empty)),
        Some(Node::Text(format)) => Ok(format),
        Some(_) => Err(wrong(Problem::Type)),
    }
}

struct Members<'a> {
    format: &'static str,
    object: &'a Object<'a>,
    strictness: Strictness,
}

impl Members<'_> {
    fn wrong(&self, member: &'static str, problem: Problem) -> Error {
        Error::Subject {
            format: self.format,
            member,
            problem,
        }
    }

    fn only(&self, names: &[&str]) -> Result<(), Error> {
        let extra = self
            .object
            .iter()
            .any(|(name, _)| name != "format" && !names.contains(&name));
        if extra && self.strictness == Strictness::Strict {
            // The name is the peer's text, so it is not repeated.
            return Err(self.wrong("(not described by the format)", Problem::Forbidden));
        }
        Ok(())
    }

    fn get(&self, member: &'static str) -> Result<&Node<'_>, Error> {
        self.object
            .get(member)
            .ok_or_else(|| self.wrong(member, Problem::Missing))
    }

    fn text(&self, member: &'static str, form: fn(&str) -> bool) -> Result<String, Error> {
        let Node::Text(text) = self.get(member)? else {
            return Err(self.wrong(member, Problem::Type));
        };
        self.check_text(member, text, form)
    }

    fn check_text(
        &self,
        member: &'static str,
        text: &str,
        form: fn(&str) -> bool,
    ) -> Result<String, Error> {
        if text.is_empty() {
            Err(self.wrong(member, Problem::Empty))
        } else if text.len() > MAX_TEXT {
            Err(self.wrong(member, Problem::TooLong))
        } else if !form(text) {
            Err(self.wrong(member, Problem::Form))
        } else {
            Ok(text.to_owned())
        }
    }

    fn array(&self, member: &'static str) -> Result<&[Node<'_>], Error> {
        let Node::Array(elements) = self.get(member)? else {
            return Err(self.wrong(member, Problem::Type));
        };
        match elements.len() {
            0 => Err(self.wrong(member, Problem::Empty)),
            len if len > MAX_ALIASES => Err(self.wrong(member, Problem::TooLong)),
            _ => Ok(elements),
        }
    }
}

pub(super) fn identifier(
    object: &Object<'_>,
    strictness: Strictness,
) -> Result<SubjectIdentifier, Error> {
    let name = format_of(object)?;
    let of = |format, names: &[&str]| {
        let members = Members {
            format,
            object,
            strictness,
        };
        members.only(names).map(|()| members)
    };
    let any: fn(&str) -> bool = |_| true;
    Ok(match name {
        "account" => SubjectIdentifier::Account {
            uri: of("account", &["uri"])?.text("uri", text::is_acct)?,
        },
        "email" => SubjectIdentifier::Email {
            email: of("email", &["email"])?.text("email", text::is_email)?,
        },
        "iss_sub" => {
            let members = of("iss_sub", &["iss", "sub"])?;
            SubjectIdentifier::IssSub {
                iss: members.text("iss", text::is_string_or_uri)?,
                sub: members.text("sub", text::is_string_or_uri)?,
            }
        }
        "opaque" => SubjectIdentifier::Opaque {
            id: of("opaque", &["id"])?.text("id", any)?,
        },
        "phone_number" => {
            let form = match strictness {
                Strictness::Strict => text::is_e164,
                Strictness::Lenient => is_phone_text,
            };
            SubjectIdentifier::PhoneNumber {
                phone_number: of("phone_number", &["phone_number"])?.text("phone_number", form)?,
            }
        }
        "did" => SubjectIdentifier::Did {
            url: of("did", &["url"])?.text("url", text::is_did_url)?,
        },
        "uri" => SubjectIdentifier::Uri {
            uri: of("uri", &["uri"])?.text("uri", text::is_uri)?,
        },
        "jwt_id" => {
            let members = of("jwt_id", &["iss", "jti"])?;
            SubjectIdentifier::JwtId {
                iss: members.text("iss", any)?,
                jti: members.text("jti", any)?,
            }
        }
        "saml_assertion_id" => {
            let members = of("saml_assertion_id", &["issuer", "assertion_id"])?;
            SubjectIdentifier::SamlAssertionId {
                issuer: members.text("issuer", any)?,
                assertion_id: members.text("assertion_id", any)?,
            }
        }
        "ip-addresses" => {
            let members = of("ip-addresses", &["ip-addresses"])?;
            let address = |value: &Node<'_>| match value {
                Node::Text(address) => members.check_text("ip-addresses", address, |text| {
                    text.parse::<IpAddr>().is_ok()
                }),
                _ => Err(members.wrong("ip-addresses", Problem::Type)),
            };
            let elements = members.array("ip-addresses")?;
            SubjectIdentifier::IpAddresses {
                ip_addresses: elements.iter().map(address).collect::<Result<_, _>>()?,
            }
        }
        "aliases" => {
            let members = of("aliases", &["identifiers"])?;
            let mut identifiers = Vec::new();
            for element in members.array("identifiers")? {
                let element = self::object(element)?;
                // Checked before descending, so that nesting never costs a level of the stack.
                if matches!(format_of(element)?, "aliases" | "complex") {
                    return Err(members.wrong("identifiers", Problem::Form));
                }
                identifiers.push(identifier(element, strictness)?);
            }
            SubjectIdentifier::Aliases { identifiers }
        }
        "complex" => {
            return Err(Error::Subject {
                format: "complex",
                member: "format",
                problem: Problem::Form,
            });
        }
        _ if strictness == Strictness::Strict => {
            return Err(Error::Subject {
                format: "",
                member: "format",
                problem: Problem::Value,
            });
        }
        other => {
            let mut members = object.clone();
            members.take("format");
            SubjectIdentifier::Other {
                format: other.to_owned(),
                members: members.into_map(),
            }
        }
    })
}

pub(super) fn check_aliases(identifiers: &[SubjectIdentifier]) -> Result<(), Error> {
    let problem = if identifiers.is_empty() {
        Problem::Empty
    } else if identifiers.len() > MAX_ALIASES {
        Problem::TooLong
    } else if identifiers
        .iter()
        .any(|one| matches!(one.format(), "aliases" | "complex"))
    {
        Problem::Form
    } else {
        return Ok(());
    };
    Err(Error::Subject {
        format: "aliases",
        member: "identifiers",
        problem,
    })
}

/// What people write for a telephone number; a receiver keeps it as it is.
fn is_phone_text(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.() ".contains(&b))
}
