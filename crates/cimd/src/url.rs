//! URLs judged by their raw text, before any URL library may rewrite them.

use std::{fmt, str::FromStr};

use crate::{Error, UrlProblem};

/// The largest URL in bytes.
pub const MAX_URL_LENGTH: usize = 2048;

const SCHEME: &str = "https://";

/// An `https` URL whose raw text and parsed form agree: no user information, no IP address as host, no dot segment, no
/// character that one parser drops and another keeps.
///
/// This says nothing about where the host leads; see [`FetchPlan`](crate::FetchPlan).
#[derive(Debug, Clone)]
pub struct HttpsUrl {
    text: Box<str>,
    host_end: usize,
    authority_end: usize,
    path_end: usize,
    port: u16,
}

impl HttpsUrl {
    /// Parses a URL that is to be fetched: without fragment.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] with `place`, which is the name of the member the URL comes from.
    pub fn parse(text: &str, place: &'static str) -> Result<Self, Error> {
        let url = Self::parse_with_fragment(text, place)?;
        if text.contains('#') {
            return Err(Error::Url {
                place,
                problem: UrlProblem::Fragment,
            });
        }
        Ok(url)
    }

    pub(crate) fn parse_with_fragment(text: &str, place: &'static str) -> Result<Self, Error> {
        scan(text).map_err(|problem| Error::Url { place, problem })
    }

    /// The raw text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host name as written; compare it without regard to case.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text
            .get(SCHEME.len()..self.host_end)
            .unwrap_or_default()
    }

    /// The port, 443 where none is written.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as written: the value of the `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.text
            .get(SCHEME.len()..self.authority_end)
            .unwrap_or_default()
    }

    /// The path as written, possibly empty.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text
            .get(self.authority_end..self.path_end)
            .unwrap_or_default()
    }

    /// Path and query as written: what goes on the wire. `/` when both are empty.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        let rest = self.text.get(self.authority_end..).unwrap_or_default();
        match rest.split('#').next() {
            Some("") | None => "/",
            Some(path) => path,
        }
    }

    /// Whether there is a query, also an empty one.
    #[must_use]
    pub fn has_query(&self) -> bool {
        self.text
            .get(self.path_end..)
            .is_some_and(|rest| rest.starts_with('?'))
    }

    /// Whether `other` has the same scheme, host and port. Here a default port counts as written.
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.port == other.port && self.host().eq_ignore_ascii_case(other.host())
    }
}

impl PartialEq for HttpsUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for HttpsUrl {}

impl std::hash::Hash for HttpsUrl {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl AsRef<str> for HttpsUrl {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// A Client Identifier URL (section 3). Two of them are the same client only when they are the same bytes.
///
/// ```
/// use cimd::ClientIdUrl;
///
/// let client = ClientIdUrl::parse("https://app.example.com/oauth/client.json")?;
/// assert_eq!(client.host(), "app.example.com");
/// assert!(ClientIdUrl::parse("https://good.example\\@evil.test/c").is_err());
/// assert!(ClientIdUrl::parse("https://169.254.169.254/latest").is_err());
/// # Ok::<(), cimd::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientIdUrl {
    url: HttpsUrl,
}

/// What the draft advises against but does not forbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UrlWarning {
    /// The URL has a query.
    Query,
    /// The path is only `/`.
    RootPath,
    /// More than 255 bytes.
    Long,
}

impl ClientIdUrl {
    /// Parses a Client Identifier URL. Queries and the root path are accepted, see [`warnings`](Self::warnings).
    ///
    /// # Errors
    ///
    /// [`Error::Url`] with the place `client_id`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let url = HttpsUrl::parse(text, "client_id")?;
        if url.path().is_empty() {
            return Err(Error::Url {
                place: "client_id",
                problem: UrlProblem::NoPath,
            });
        }
        Ok(Self { url })
    }

    /// As [`parse`](Self::parse), and refuses what would give a [`UrlWarning::Query`] or [`UrlWarning::RootPath`].
    ///
    /// # Errors
    ///
    /// [`Error::Url`] with the place `client_id`.
    pub fn parse_strict(text: &str) -> Result<Self, Error> {
        let url = Self::parse(text)?;
        let problem = match url.warnings().next() {
            Some(UrlWarning::Query) => UrlProblem::Query,
            Some(UrlWarning::RootPath) => UrlProblem::RootPath,
            _ => return Ok(url),
        };
        Err(Error::Url {
            place: "client_id",
            problem,
        })
    }

    /// What the draft advises against.
    pub fn warnings(&self) -> impl Iterator<Item = UrlWarning> + use<> {
        [
            self.url.has_query().then_some(UrlWarning::Query),
            (self.url.path() == "/").then_some(UrlWarning::RootPath),
            (self.url.as_str().len() > 255).then_some(UrlWarning::Long),
        ]
        .into_iter()
        .flatten()
    }

    /// The raw text, which is the `client_id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The host name, to be shown on a consent screen whatever the document says.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host()
    }

    /// The URL.
    #[must_use]
    pub const fn as_url(&self) -> &HttpsUrl {
        &self.url
    }
}

impl AsRef<str> for ClientIdUrl {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ClientIdUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ClientIdUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

fn scan(text: &str) -> Result<HttpsUrl, UrlProblem> {
    if text.len() > MAX_URL_LENGTH {
        return Err(UrlProblem::TooLong);
    }
    let rest = text.strip_prefix(SCHEME).ok_or(UrlProblem::Scheme)?;
    check_characters(text)?;
    let authority_length = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest
        .split_at_checked(authority_length)
        .ok_or(UrlProblem::Host)?;
    if authority.contains('@') {
        return Err(UrlProblem::Userinfo);
    }
    if authority.starts_with('[') {
        return Err(UrlProblem::IpHost);
    }
    let (host, port) = match authority.split_once(':') {
        None => (authority, 443),
        Some((host, digits)) => (host, parse_port(digits)?),
    };
    check_host(host)?;
    let path_length = tail.find(['?', '#']).unwrap_or(tail.len());
    let path = tail.get(..path_length).unwrap_or_default();
    if path.split('/').any(is_dot_segment) {
        return Err(UrlProblem::DotSegment);
    }
    // Another reader of the same text must see the same host, port and path.
    let parsed = ::url::Url::parse(text).map_err(|_| UrlProblem::Ambiguous)?;
    let same_path = parsed.path() == path || (path.is_empty() && parsed.path() == "/");
    let same_host = parsed
        .host_str()
        .is_some_and(|parsed| parsed.eq_ignore_ascii_case(host));
    if !same_path || !same_host || parsed.port_or_known_default() != Some(port) {
        return Err(UrlProblem::Ambiguous);
    }
    let host_end = SCHEME.len().saturating_add(host.len());
    let authority_end = SCHEME.len().saturating_add(authority_length);
    let path_end = authority_end.saturating_add(path_length);
    Ok(HttpsUrl {
        text: text.into(),
        host_end,
        authority_end,
        path_end,
        port,
    })
}

/// RFC 3986 characters only, and every `%` followed by two hexadecimal digits.
pub(crate) fn check_characters(text: &str) -> Result<(), UrlProblem> {
    let mut bytes = text.bytes().enumerate();
    while let Some((offset, byte)) = bytes.next() {
        let good = match byte {
            b'%' => {
                let mut digit = || {
                    bytes
                        .next()
                        .is_some_and(|(_, byte)| byte.is_ascii_hexdigit())
                };
                digit() && digit()
            }
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
            _ => byte.is_ascii_graphic(),
        };
        if !good {
            return Err(UrlProblem::Character { offset });
        }
    }
    Ok(())
}

pub(crate) fn parse_port(digits: &str) -> Result<u16, UrlProblem> {
    if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlProblem::Port);
    }
    digits.parse().map_err(|_| UrlProblem::Port)
}

fn check_host(host: &str) -> Result<(), UrlProblem> {
    if host.len() > 253 {
        return Err(UrlProblem::Host);
    }
    let good = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if !host.split('.').all(good) {
        return Err(UrlProblem::Host);
    }
    // A last label that is a number makes URL parsers read the whole host as IPv4: `127.1`, `0x7f.1`, `2130706433`.
    let last = host.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    if last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(UrlProblem::IpHost);
    }
    Ok(())
}

fn is_dot_segment(segment: &str) -> bool {
    // The longest spelling is `%2e%2e`.
    segment.len() <= 6
        && matches!(
            segment.to_ascii_lowercase().replace("%2e", ".").as_str(),
            "." | ".."
        )
}
