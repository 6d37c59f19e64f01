//! Workload Identifiers (draft-ietf-wimse-identifier).

use std::fmt;

use spiffe_id::{SpiffeId, SpiffeIdRef};

use crate::error::{Error, IdentifierProblem};

/// Longest identifier in bytes.
pub const MAX_LEN: usize = 2048;

/// An absolute URI that names a workload within its trust domain, kept exactly as it was written.
///
/// A trust domain alone is one as well ([`is_origin`](Self::is_origin)), for configuration; no credential may name it.
///
/// Two identifiers are equal if their bytes are; the trust domain or the path alone decides nothing.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadIdentifier {
    text: String,
    scheme: usize,
    authority: usize,
}

impl WorkloadIdentifier {
    /// Parses an identifier; nothing is normalised. Under the scheme `spiffe`, in whatever case it is written, it has
    /// to be a SPIFFE ID, which is stricter (draft-ietf-wimse-identifier, scheme-specific portion).
    ///
    /// # Errors
    ///
    /// [`Error::Identifier`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |problem| Err(Error::Identifier { problem });
        if text.len() > MAX_LEN {
            return refuse(IdentifierProblem::TooLong);
        }
        // A colon may stand further behind, but no scheme has one.
        let colon = memchr::memchr(b':', text.as_bytes()).unwrap_or_default();
        let (scheme, rest) = text.split_at_checked(colon).unwrap_or_default();
        let Some(rest) = rest.strip_prefix("://") else {
            return refuse(IdentifierProblem::NotAbsolute);
        };
        let mut letters = scheme.bytes();
        let starts = letters
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic());
        if !starts
            || !letters
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        {
            return refuse(IdentifierProblem::NotAbsolute);
        }
        if memchr::memchr2(b'?', b'#', rest.as_bytes()).is_some() {
            return refuse(IdentifierProblem::QueryOrFragment);
        }
        let (authority, path) =
            rest.split_at(memchr::memchr(b'/', rest.as_bytes()).unwrap_or(rest.len()));
        if authority.starts_with('[') {
            return refuse(IdentifierProblem::IpAddress);
        }
        if memchr::memchr2(b'@', b':', authority.as_bytes()).is_some() {
            return refuse(IdentifierProblem::UserInfoOrPort);
        }
        if authority.is_empty() || !is_reg_name(authority) {
            return refuse(IdentifierProblem::TrustDomain);
        }
        if is_ipv4(authority) {
            return refuse(IdentifierProblem::IpAddress);
        }
        if !is_path(path) {
            return refuse(IdentifierProblem::Path);
        }
        if scheme.eq_ignore_ascii_case(SPIFFE) {
            if let Err(rule) = SpiffeIdRef::parse(text) {
                return refuse(IdentifierProblem::Spiffe { rule });
            }
        }
        let authority_end = scheme.len() + 3 + authority.len();
        Ok(Self {
            text: text.to_owned(),
            scheme: scheme.len(),
            authority: authority_end,
        })
    }

    /// The whole URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme, such as `spiffe` or `wimse`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.text.get(..self.scheme).unwrap_or_default()
    }

    /// The trust domain, without the scheme.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.text
            .get(self.scheme + 3..self.authority)
            .unwrap_or_default()
    }

    /// Scheme and trust domain: the namespace in which trust anchors are configured.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.text.get(..self.authority).unwrap_or_default()
    }

    /// The path, with its leading slash, or nothing.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(self.authority..).unwrap_or_default()
    }

    /// Whether it names a trust domain and no workload in it: there is no path, or a slash alone.
    #[must_use]
    pub fn is_origin(&self) -> bool {
        matches!(self.path(), "" | "/")
    }

    /// That it may stand where somebody is named: a workload, and not the trust domain alone.
    pub(crate) fn check_workload(&self) -> Result<(), Error> {
        if self.is_origin() {
            Err(Error::Identifier {
                problem: IdentifierProblem::NoWorkload,
            })
        } else {
            Ok(())
        }
    }

    /// A scheme and a trust domain of configuration. What goes on is refused, because all of the trust domain would be
    /// meant where one workload was written.
    pub(crate) fn parse_origin(text: &str) -> Result<String, Error> {
        let id = Self::parse(text)?;
        if id.path().is_empty() {
            Ok(id.text)
        } else {
            Err(Error::Identifier {
                problem: IdentifierProblem::NotOrigin,
            })
        }
    }
}

const SPIFFE: &str = "spiffe";

/// Without parsing it again: what a SPIFFE ID may have, a Workload Identifier may have, but for one thing.
impl TryFrom<&SpiffeId> for WorkloadIdentifier {
    type Error = Error;

    /// # Errors
    ///
    /// [`Error::Identifier`] where the trust domain is an IPv4 address.
    fn try_from(id: &SpiffeId) -> Result<Self, Error> {
        let trust_domain = id.trust_domain();
        if is_ipv4(trust_domain.as_str()) {
            return Err(Error::Identifier {
                problem: IdentifierProblem::IpAddress,
            });
        }
        let scheme = SPIFFE.len();
        Ok(Self {
            text: id.as_str().to_owned(),
            scheme,
            authority: scheme + "://".len() + trust_domain.as_str().len(),
        })
    }
}

impl fmt::Display for WorkloadIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for WorkloadIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Four numbers, which name a host and no trust domain.
fn is_ipv4(authority: &str) -> bool {
    // The parser is not asked about a name, which most are: its last label would have to be a number.
    authority.ends_with(|last: char| last.is_ascii_digit())
        && authority.parse::<std::net::Ipv4Addr>().is_ok()
}

/// RFC 3986 section 3.2.2.
pub(crate) fn is_reg_name(text: &str) -> bool {
    is_made_of(text, |kind| kind == Kind::Name)
}

/// RFC 3986 section 3.3.
fn is_path(text: &str) -> bool {
    is_made_of(text, |kind| matches!(kind, Kind::Name | Kind::Path))
}

/// Of such bytes and of percent escapes.
fn is_made_of(text: &str, plain: impl Fn(Kind) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match kind(byte) {
            Kind::Escape => {
                let mut hex = || bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
                hex() && hex()
            }
            kind => plain(kind),
        };
        if !fine {
            return false;
        }
    }
    true
}

/// Where a byte may stand.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Unreserved, or a delimiter of components (RFC 3986 sections 2.2 and 2.3): everywhere.
    Name,
    /// In a path only.
    Path,
    Escape,
    Foreign,
}

/// Told once, because each token's identifier is asked byte by byte.
#[expect(
    clippy::indexing_slicing,
    reason = "a constant beyond the bounds does not compile"
)]
const KINDS: &[Kind; 256] = &{
    let mut kinds = [Kind::Foreign; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        kinds[byte as usize] = match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'!'
            | b'$'
            | b'&'
            | b'\''..=b','
            | b';'
            | b'=' => Kind::Name,
            b'/' | b':' | b'@' => Kind::Path,
            b'%' => Kind::Escape,
            _ => Kind::Foreign,
        };
        byte += 1;
    }
    kinds
};

fn kind(byte: u8) -> Kind {
    KINDS
        .get(usize::from(byte))
        .copied()
        .unwrap_or(Kind::Foreign)
}
