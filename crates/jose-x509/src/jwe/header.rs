//! The protected header of a JWE: what is understood, what is refused.

use serde_json::{Map, Value};

use super::jwk::strings;
use super::{ContentEncryption, JweError, KeyManagement};
use crate::base64url;
use crate::error::Error;
use crate::json::{self, JsonErrorKind};
use crate::jws::header::{MAX_CRIT, is_kid, is_standard};

/// Longest decoded `apu` or `apv` in bytes.
const MAX_PARTY_INFO: usize = 512;

/// `alg`, before a key has been found for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Asymmetric(KeyManagement),
    A128Kw,
    A256Kw,
    Dir,
}

impl Named {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "A128KW" => Some(Self::A128Kw),
            "A256KW" => Some(Self::A256Kw),
            "dir" => Some(Self::Dir),
            _ => KeyManagement::from_name(name).map(Self::Asymmetric),
        }
    }
}

/// A header that fulfils every rule which does not depend on the key.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Named,
    pub(super) content: ContentEncryption,
    pub(super) members: Map<String, Value>,
}

impl Header {
    pub(super) fn read(bytes: &[u8], limit: usize) -> Result<Self, Error> {
        let members =
            json::object(bytes, &json::Limits::HEADER.with_bytes(limit)).map_err(|source| {
                match source.kind() {
                    JsonErrorKind::TooLarge => Error::TooLarge {
                        what: "header",
                        limit,
                    },
                    _ => Error::Json {
                        what: "header",
                        source,
                    },
                }
            })?;
        if members.contains_key("zip") {
            return Err(JweError::Compressed.into());
        }
        if members.contains_key("b64") {
            return Err(Error::UnencodedPayload);
        }
        for name in ["jku", "jwk", "x5u", "x5c"] {
            if members.contains_key(name) {
                return Err(Error::HeaderKeyMaterial { name });
            }
        }
        check_crit(&members)?;
        let required = |name| optional_text(&members, name)?.ok_or(Error::MissingHeader { name });
        let algorithm =
            Named::from_name(required("alg")?).ok_or(JweError::UnsupportedKeyManagement)?;
        let content = ContentEncryption::from_name(required("enc")?)
            .ok_or(JweError::UnsupportedContentEncryption)?;
        if optional_text(&members, "kid")?.is_some_and(|kid| !is_kid(kid)) {
            return Err(Error::HeaderType { name: "kid" });
        }
        for name in ["typ", "cty", "iss", "sub"] {
            optional_text(&members, name)?;
        }
        let audience = members.get("aud");
        if audience.is_some_and(|aud| !aud.is_string() && strings(aud).is_none()) {
            return Err(Error::HeaderType { name: "aud" });
        }
        for name in ["apu", "apv"] {
            let Some(text) = optional_text(&members, name)? else {
                continue;
            };
            let length = base64url::decode(text, name)?.len();
            if length > MAX_PARTY_INFO {
                return Err(Error::TooLarge {
                    what: name,
                    limit: MAX_PARTY_INFO,
                });
            }
        }
        Ok(Self {
            algorithm,
            content,
            members,
        })
    }

    /// A member that [`Header::read`] found to be a string or absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }
}

fn optional_text<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, Error> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::HeaderType { name }),
    }
}

/// RFC 7516 section 4.1.13. No extension is understood, so a well-formed `crit` is refused, too.
fn check_crit(members: &Map<String, Value>) -> Result<(), Error> {
    let Some(crit) = members.get("crit") else {
        return Ok(());
    };
    let names = strings(crit).ok_or(Error::InvalidCritical)?;
    let repeated = names
        .iter()
        .enumerate()
        .any(|(i, name)| names.iter().skip(i + 1).any(|other| other == name));
    let wrong = |name: &String| is_standard(name) || !members.contains_key(name);
    if names.is_empty() || names.len() > MAX_CRIT || repeated || names.iter().any(wrong) {
        return Err(Error::InvalidCritical);
    }
    Err(Error::UnsupportedCritical)
}
