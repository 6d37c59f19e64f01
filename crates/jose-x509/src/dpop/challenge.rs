//! `WWW-Authenticate` with the scheme `DPoP`, and next to others (RFC 9449 section 7.1, RFC 9110 section 11.6).

use core::fmt;

use super::error::DpopError;
use crate::algorithm::Algorithms;
use crate::error::Error;

/// Most challenges in one response, and most parameters in one challenge.
pub const MAX_CHALLENGES: usize = 16;
const MAX_FIELD: usize = 8 * 1024;

/// A challenge to send. `Display` gives the value of a `WWW-Authenticate` field of its own.
///
/// ```
/// use jose_x509::dpop::Challenge;
/// use jose_x509::{Algorithm, Algorithms};
///
/// let challenge = Challenge::dpop(Algorithms::of(&[Algorithm::Es256])).with_error("invalid_token");
/// assert_eq!(challenge.to_string(), r#"DPoP error="invalid_token", algs="ES256""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: &'static str,
    algorithms: Option<Algorithms>,
    realm: Option<String>,
    scope: Option<String>,
    error: Option<&'static str>,
    description: Option<String>,
    uri: Option<String>,
}

impl Challenge {
    /// Asks for a token and a proof by one of these algorithms.
    #[must_use]
    pub const fn dpop(algorithms: Algorithms) -> Self {
        Self::new("DPoP", Some(algorithms))
    }

    /// Asks for a bearer token (RFC 6750), for servers that take both kinds, each with its own challenge.
    #[must_use]
    pub const fn bearer() -> Self {
        Self::new("Bearer", None)
    }

    const fn new(scheme: &'static str, algorithms: Option<Algorithms>) -> Self {
        Self {
            scheme,
            algorithms,
            realm: None,
            scope: None,
            error: None,
            description: None,
            uri: None,
        }
    }

    pub(crate) fn is_dpop(&self) -> bool {
        self.algorithms.is_some()
    }

    /// `error`: `invalid_token`, `invalid_dpop_proof` or `use_dpop_nonce`.
    #[must_use]
    pub fn with_error(mut self, error: &'static str) -> Self {
        self.error = Some(error);
        self
    }

    /// `realm`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for anything but printable ASCII without quote and backslash.
    pub fn with_realm(mut self, realm: &str) -> Result<Self, Error> {
        self.realm = Some(quotable("realm", realm)?);
        Ok(self)
    }

    /// `scope`: the scopes that are necessary, separated by spaces.
    ///
    /// # Errors
    ///
    /// As [`Challenge::with_realm`].
    pub fn with_scope(mut self, scope: &str) -> Result<Self, Error> {
        self.scope = Some(quotable("scope", scope)?);
        Ok(self)
    }

    /// `error_description`, for a developer.
    ///
    /// # Errors
    ///
    /// As [`Challenge::with_realm`].
    pub fn with_error_description(mut self, description: &str) -> Result<Self, Error> {
        self.description = Some(quotable("error_description", description)?);
        Ok(self)
    }

    /// `error_uri`: a page about the error.
    ///
    /// # Errors
    ///
    /// As [`Challenge::with_realm`], and for a space.
    pub fn with_error_uri(mut self, uri: &str) -> Result<Self, Error> {
        if uri.contains(' ') {
            return Err(not_quotable("error_uri"));
        }
        self.uri = Some(quotable("error_uri", uri)?);
        Ok(self)
    }
}

const fn not_quotable(option: &'static str) -> Error {
    Error::InvalidOption {
        option,
        range: "printable ASCII without quote and backslash",
    }
}

fn quotable(option: &'static str, text: &str) -> Result<String, Error> {
    let allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(not_quotable(option))
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms = self.algorithms.map(|algorithms| {
            let names: Vec<_> = algorithms
                .iter()
                .map(|algorithm| algorithm.name())
                .collect();
            names.join(" ")
        });
        let parameters = [
            ("realm", self.realm.as_deref()),
            ("scope", self.scope.as_deref()),
            ("error", self.error),
            ("error_description", self.description.as_deref()),
            ("error_uri", self.uri.as_deref()),
            ("algs", algorithms.as_deref()),
        ];
        f.write_str(self.scheme)?;
        let mut separator = " ";
        for (name, value) in parameters {
            if let Some(value) = value {
                write!(f, "{separator}{name}=\"{value}\"")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

/// A challenge that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedChallenge {
    scheme: String,
    token68: Option<String>,
    parameters: Vec<(String, String)>,
}

impl ReceivedChallenge {
    /// Reads the values of all `WWW-Authenticate` fields of a response. One field can hold several
    /// challenges.
    ///
    /// # Errors
    ///
    /// [`DpopError::InvalidChallenge`]: also for a parameter that is twice there, and above
    /// [`MAX_CHALLENGES`].
    pub fn parse_all<'f>(fields: impl IntoIterator<Item = &'f [u8]>) -> Result<Vec<Self>, Error> {
        let mut challenges = Vec::new();
        for field in fields {
            let text = core::str::from_utf8(field).map_err(|_| DpopError::InvalidChallenge)?;
            if text.len() > MAX_FIELD {
                return Err(DpopError::InvalidChallenge.into());
            }
            let mut input = Input(text);
            loop {
                input.skip(|c| matches!(c, ' ' | '\t' | ','));
                if input.0.is_empty() {
                    break;
                }
                let challenge = input.challenge().ok_or(DpopError::InvalidChallenge)?;
                challenges.push(challenge);
                if challenges.len() > MAX_CHALLENGES {
                    return Err(DpopError::InvalidChallenge.into());
                }
            }
        }
        Ok(challenges)
    }

    /// The scheme as it stands.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether it has this scheme, compared without case.
    #[must_use]
    pub fn is_scheme(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// A parameter, its name compared without case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The one value of a challenge that has no parameters, as those of `Negotiate`.
    #[must_use]
    pub fn token68(&self) -> Option<&str> {
        self.token68.as_deref()
    }
}

/// What is left of a field.
struct Input<'a>(&'a str);

impl<'a> Input<'a> {
    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(skipped);
    }

    fn skip_space(&mut self) {
        self.skip(|c| matches!(c, ' ' | '\t'));
    }

    fn eat(&mut self, character: char) -> bool {
        let rest = self.0.strip_prefix(character);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn take(&mut self, taken: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !taken(c)).unwrap_or(self.0.len());
        let (found, rest) = self.0.split_at_checked(end).unwrap_or((self.0, ""));
        self.0 = rest;
        found
    }

    fn token(&mut self) -> Option<&'a str> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        Some(self.take(allowed)).filter(|token| !token.is_empty())
    }

    fn challenge(&mut self) -> Option<ReceivedChallenge> {
        let mut challenge = ReceivedChallenge {
            scheme: self.token()?.to_owned(),
            token68: None,
            parameters: Vec::new(),
        };
        let before = self.0;
        self.skip_space();
        if self.0.is_empty() || self.0.starts_with(',') {
            return Some(challenge);
        }
        if self.0.len() == before.len() {
            return None;
        }
        if let Some(token) = self.token68() {
            challenge.token68 = Some(token.to_owned());
            return Some(challenge);
        }
        loop {
            let (name, value) = self.parameter()?;
            if challenge.parameter(name).is_some() || challenge.parameters.len() == MAX_CHALLENGES {
                return None;
            }
            challenge.parameters.push((name.to_owned(), value));
            self.skip_space();
            if self.0.is_empty() {
                return Some(challenge);
            }
            if !self.0.starts_with(',') {
                return None;
            }
            let mut ahead = Input(self.0);
            ahead.skip(|c| matches!(c, ' ' | '\t' | ','));
            let here = ahead.0;
            // The next element is a parameter of this challenge, or another challenge.
            let parameter = ahead.token().is_some() && {
                ahead.skip_space();
                ahead.eat('=')
            };
            if !parameter {
                return Some(challenge);
            }
            self.0 = here;
        }
    }

    /// The one value, if that is all up to the end of the list's element.
    fn token68(&mut self) -> Option<&'a str> {
        let mut ahead = Input(self.0);
        let characters = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let value = ahead.take(characters).len();
        let padding = ahead.take(|c| c == '=').len();
        let found = self.0.get(..value.checked_add(padding)?)?;
        ahead.skip_space();
        if value == 0 || !(ahead.0.is_empty() || ahead.0.starts_with(',')) {
            return None;
        }
        self.0 = ahead.0;
        Some(found)
    }

    fn parameter(&mut self) -> Option<(&'a str, String)> {
        let name = self.token()?;
        self.skip_space();
        if !self.eat('=') {
            return None;
        }
        self.skip_space();
        if !self.eat('"') {
            return Some((name, self.token()?.to_owned()));
        }
        let mut value = String::new();
        let mut characters = self.0.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => value.push(characters.next().filter(|c| !c.is_control())?),
                c if c.is_control() && c != '\t' => return None,
                c => value.push(c),
            }
        }
        self.0 = characters.as_str();
        Some((name, value))
    }
}
