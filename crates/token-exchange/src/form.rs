//! Strict `application/x-www-form-urlencoded`: nothing lossy, nothing twice.

use http::{Method, header, request::Parts};

use crate::error::Error;

/// Longest form in bytes.
pub const MAX_FORM: usize = 64 * 1024;
const MAX_PARAMETERS: usize = 64;

/// The parameters of a token request. Values may be secrets: `Debug` shows names only.
#[derive(Clone, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the form of a request whose head and body are given.
    ///
    /// # Errors
    ///
    /// [`Error::NotAForm`] for another method, media type or parameters in the query;
    /// [`Error::FormTooLarge`], [`Error::FormEncoding`].
    pub fn from_request(parts: &Parts, body: &[u8]) -> Result<Self, Error> {
        let mut types = parts.headers.get_all(header::CONTENT_TYPE).iter();
        let is_form = match (types.next(), types.next()) {
            (Some(value), None) => value.to_str().is_ok_and(|value| {
                let essence = value.split(';').next().unwrap_or_default().trim();
                essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
            }),
            _ => false,
        };
        if parts.method != Method::POST
            || !is_form
            || parts.uri.query().is_some_and(|query| !query.is_empty())
        {
            return Err(Error::NotAForm);
        }
        Self::parse(body)
    }

    /// Reads a form body.
    ///
    /// # Errors
    ///
    /// [`Error::FormTooLarge`], [`Error::FormEncoding`].
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let too_large = Err(Error::FormTooLarge { limit: MAX_FORM });
        if body.len() > MAX_FORM {
            return too_large;
        }
        let mut parameters = Vec::new();
        let mut rest = Some(body);
        while let Some(body) = rest {
            let (pair, next) = split_at(body, memchr::memchr(b'&', body));
            rest = next;
            if pair.is_empty() {
                continue;
            }
            if parameters.len() == MAX_PARAMETERS {
                return too_large;
            }
            let (name, value) = split_at(pair, memchr::memchr(b'=', pair));
            parameters.push((decode(name)?, decode(value.unwrap_or_default())?));
        }
        Ok(Self(parameters))
    }

    /// Refuses every repetition except of the named parameters.
    ///
    /// # Errors
    ///
    /// [`Error::RepeatedParameter`].
    pub fn check_repeats(&self, repeatable: &[&str]) -> Result<(), Error> {
        for (i, (name, _)) in self.0.iter().enumerate() {
            if !repeatable.contains(&name.as_str())
                && self.0.iter().skip(i + 1).any(|(other, _)| other == name)
            {
                let known = KNOWN.into_iter().find(|known| known == name);
                return Err(Error::RepeatedParameter {
                    name: known.unwrap_or("another parameter"),
                });
            }
        }
        Ok(())
    }

    /// The value of a parameter; an empty one counts as absent (RFC 6749 section 3.2).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Every value of a repeatable parameter that is not empty.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Every parameter with its value, in order, repetitions included: what authenticates a client by parameters reads them, so
    /// that the form is decoded once.
    #[must_use]
    pub fn as_slice(&self) -> &[(String, String)] {
        &self.0
    }

    /// Every parameter with its value, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a required parameter.
    ///
    /// # Errors
    ///
    /// [`Error::MissingParameter`].
    pub fn required(&self, name: &'static str) -> Result<&str, Error> {
        self.get(name).ok_or(Error::MissingParameter { name })
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

const KNOWN: [&str; 12] = [
    "grant_type",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "scope",
    "authorization_details",
    "client_id",
    "client_assertion",
    "client_assertion_type",
    "request_context",
];

/// The text of a name or value: each plus sign a space, each percent sign followed by two hexadecimal digits, UTF-8 without
/// the characters that stand for what could not be decoded.
fn decode(encoded: &[u8]) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(end) = memchr::memchr2(b'%', b'+', rest) {
        let (plain, special) = rest.split_at(end);
        bytes.extend_from_slice(plain);
        rest = match special {
            [b'%', high, low, rest @ ..] => {
                bytes.push(hex(*high)? << 4 | hex(*low)?);
                rest
            }
            [b'+', rest @ ..] => {
                bytes.push(b' ');
                rest
            }
            _ => return Err(Error::FormEncoding),
        };
    }
    bytes.extend_from_slice(rest);
    let text = String::from_utf8(bytes).map_err(|_| Error::FormEncoding)?;
    if memchr::memchr(0, text.as_bytes()).is_some()
        || (!text.is_ascii() && text.contains('\u{fffd}'))
    {
        return Err(Error::FormEncoding);
    }
    Ok(text)
}

/// What stands before and after the separator, if there is one.
fn split_at(text: &[u8], separator: Option<usize>) -> (&[u8], Option<&[u8]>) {
    match separator.and_then(|at| text.split_at_checked(at)) {
        Some((before, after)) => (before, after.get(1..)),
        None => (text, None),
    }
}

fn hex(digit: u8) -> Result<u8, Error> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Error::FormEncoding),
    }
}
