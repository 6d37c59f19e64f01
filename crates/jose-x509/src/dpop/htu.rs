//! The target of a request, in the one form in which two of them are compared (RFC 9449 section 4.3,
//! RFC 3986 sections 6.2.2 and 6.2.3).

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use super::error::{DpopError, UriProblem};
use crate::error::Error;

/// Longest URI in bytes.
pub const MAX_HTU: usize = 2048;

/// An absolute `http` or `https` URI without query and fragment, normalised.
///
/// Scheme and host are in lower case, a default port is gone, percent-encodings are in upper case and
/// gone where they encode nothing special, dot segments are resolved, and the path is at least `/`. A
/// trailing slash and the case of the path keep their meaning.
///
/// ```
/// use jose_x509::dpop::Htu;
///
/// let htu = Htu::parse("HTTPS://Server.Example.com:443/a/../%74oken?x=1")?;
/// assert_eq!(htu.as_str(), "https://server.example.com/token");
/// # Ok::<(), jose_x509::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Htu {
    text: String,
    /// Where the path starts.
    path_at: usize,
}

impl Htu {
    /// Reads a URI. Its query and fragment are dropped.
    ///
    /// # Errors
    ///
    /// [`DpopError::Uri`]: also for user information, for a percent-encoded host, and for anything that
    /// parsers read differently, such as backslashes and numbers that only look like an IP address.
    pub fn parse(uri: &str) -> Result<Self, Error> {
        Self::parse_as(uri, "URI")
    }

    pub(super) fn parse_as(uri: &str, what: &'static str) -> Result<Self, Error> {
        parse(uri).map_err(|problem| DpopError::Uri { what, problem }.into())
    }

    /// The URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port: `https://server.example`.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.text.get(..self.path_at).unwrap_or_default()
    }

    /// The path, which starts with a slash.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(self.path_at..).unwrap_or_default()
    }

    /// Whether the scheme is `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }
}

impl fmt::Display for Htu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Htu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Htu").field(&self.text).finish()
    }
}

/// Where a server can be reached from outside, which its configuration tells. `Host`, `Forwarded` and
/// `X-Forwarded-*` fields say what the sender likes, so they are no part of a target.
///
/// ```
/// use jose_x509::dpop::ExternalUrl;
///
/// let server = ExternalUrl::parse("https://api.example/v1")?;
/// assert_eq!(server.target("/orders?page=2")?.as_str(), "https://api.example/v1/orders");
/// # Ok::<(), jose_x509::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalUrl {
    base: Htu,
}

impl ExternalUrl {
    /// Scheme, host, port, and the path below which the server's own paths appear outside.
    ///
    /// # Errors
    ///
    /// [`DpopError::Uri`], also for a query or fragment.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let what = "external URL";
        if url.contains(['?', '#']) {
            let problem = UriProblem::Characters;
            return Err(DpopError::Uri { what, problem }.into());
        }
        Ok(Self {
            base: Htu::parse_as(url, what)?,
        })
    }

    /// The target of a request whose request line has this path and query. No dot segment leads out
    /// of the base path.
    ///
    /// # Errors
    ///
    /// [`DpopError::Uri`], also for a request target that is not a path (such as `*` or a whole URI).
    pub fn target(&self, request_target: &str) -> Result<Htu, Error> {
        let uri = |problem| DpopError::Uri {
            what: "request target",
            problem,
        };
        if !request_target.starts_with('/') {
            return Err(uri(UriProblem::RequestTarget).into());
        }
        let path = normal_path(request_target).map_err(uri)?;
        let base = self.base.as_str();
        let text = [base.strip_suffix('/').unwrap_or(base), &path].concat();
        if text.len() > MAX_HTU {
            return Err(uri(UriProblem::TooLong).into());
        }
        Ok(Htu {
            text,
            path_at: self.base.path_at,
        })
    }
}

fn parse(uri: &str) -> Result<Htu, UriProblem> {
    if uri.len() > MAX_HTU {
        return Err(UriProblem::TooLong);
    }
    check_characters(uri)?;
    let (scheme, rest) = uri.split_once("://").ok_or(UriProblem::Scheme)?;
    let (scheme, default_port) = if scheme.eq_ignore_ascii_case("https") {
        ("https", 443)
    } else if scheme.eq_ignore_ascii_case("http") {
        ("http", 80)
    } else {
        return Err(UriProblem::Scheme);
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(UriProblem::Host)?;
    if authority.contains('@') {
        return Err(UriProblem::UserInformation);
    }
    let (host, port) = split_port(authority)?;
    let mut text = format!("{scheme}://{}", normal_host(host)?);
    if let Some(port) = port.filter(|port| *port != default_port) {
        text.push_str(&format!(":{port}"));
    }
    let path_at = text.len();
    text.push_str(&normal_path(path)?);
    Ok(Htu { text, path_at })
}

/// The characters of RFC 3986, and whole percent-encodings.
fn check_characters(uri: &str) -> Result<(), UriProblem> {
    let mut bytes = uri.bytes();
    while let Some(byte) = bytes.next() {
        let allowed = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
            byte => byte.is_ascii_graphic(),
        };
        if !allowed {
            return Err(UriProblem::Characters);
        }
    }
    Ok(())
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), UriProblem> {
    let (host, port) = match authority.rsplit_once(':') {
        // Colons within an IPv6 address are no port.
        Some((_, last)) if last.ends_with(']') => (authority, ""),
        Some(split) => split,
        None => (authority, ""),
    };
    if port.is_empty() {
        return Ok((host, None));
    }
    if port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UriProblem::Port);
    }
    let port = port.parse().map_err(|_| UriProblem::Port)?;
    Ok((host, Some(port)))
}

fn normal_host(host: &str) -> Result<String, UriProblem> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').ok_or(UriProblem::Host)?;
        let address: Ipv6Addr = address.parse().map_err(|_| UriProblem::Host)?;
        return Ok(format!("[{address}]"));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(UriProblem::Host);
    }
    // Names that browsers and C libraries take for an IPv4 address have to be written as one.
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .or_else(|| last.strip_prefix("0X"))
            .is_some_and(hexadecimal);
    if number && host.parse::<Ipv4Addr>().is_err() {
        return Err(UriProblem::Host);
    }
    Ok(host.to_ascii_lowercase())
}

/// `path` may have a query and a fragment behind it.
fn normal_path(path: &str) -> Result<String, UriProblem> {
    if path.len() > MAX_HTU {
        return Err(UriProblem::TooLong);
    }
    check_characters(path)?;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Ok(without_dot_segments(&normal_encoding(path)))
}

/// Percent-encodings in upper case, and decoded where they stand for unreserved characters.
fn normal_encoding(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, encoded)) = rest.split_once('%') {
        out.push_str(before);
        let (digits, behind) = encoded.split_at_checked(2).unwrap_or((encoded, ""));
        match u8::from_str_radix(digits, 16).map(char::from) {
            Ok(plain)
                if plain.is_ascii_alphanumeric() || matches!(plain, '-' | '.' | '_' | '~') =>
            {
                out.push(plain);
            }
            _ => {
                out.push('%');
                out.extend(digits.chars().map(|digit| digit.to_ascii_uppercase()));
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// RFC 3986 section 5.2.4 for a path that is empty or starts with a slash.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len().max(1));
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() {
        out.push('/');
    }
    out
}
