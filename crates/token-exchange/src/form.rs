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
        for pair in body
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty())
        {
            if parameters.len() == MAX_PARAMETERS {
                return too_large;
            }
            if !well_formed(pair) {
                return Err(Error::FormEncoding);
            }
            let (name, value) = form_urlencoded::parse(pair)
                .next()
                .ok_or(Error::FormEncoding)?;
            if [&name, &value]
                .iter()
                .any(|text| text.contains(['\u{fffd}', '\0']))
            {
                return Err(Error::FormEncoding);
            }
            parameters.push((name.into_owned(), value.into_owned()));
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

/// Every percent sign is followed by two hexadecimal digits.
fn well_formed(pair: &[u8]) -> bool {
    let mut bytes = pair.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' {
            let mut hex = || bytes.next().is_some_and(u8::is_ascii_hexdigit);
            if !(hex() && hex()) {
                return false;
            }
        }
    }
    true
}
