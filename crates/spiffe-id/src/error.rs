//! What can be wrong with a SPIFFE ID, a trust domain name or a pattern.

use core::fmt;

/// Why an input is not a SPIFFE ID, a trust domain name or a pattern.
///
/// Every variant describes the input: there is no policy, configuration or transient failure in this crate, and trying
/// again with the same input gives the same error. Offsets count bytes from the start of the string handed in; for
/// [`SpiffeId::from_segments`](crate::SpiffeId::from_segments) and
/// [`SpiffeId::append_segment`](crate::SpiffeId::append_segment) that is the segment, not the whole ID. The text of an
/// error quotes at most the one offending byte, escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The ID is longer than [`MAX_ID_LENGTH`](crate::MAX_ID_LENGTH) bytes.
    TooLong {
        /// Length in bytes, the scheme included.
        length: usize,
    },
    /// The first nine bytes are not exactly `spiffe://`.
    Scheme,
    /// Nothing stands between `spiffe://` and the path, or the trust domain name is the empty string.
    EmptyTrustDomain,
    /// The trust domain is longer than [`MAX_TRUST_DOMAIN_LENGTH`](crate::MAX_TRUST_DOMAIN_LENGTH) bytes.
    TrustDomainTooLong,
    /// A byte of the trust domain is not `a`-`z`, `0`-`9`, `.`, `-` or `_`.
    TrustDomainCharacter {
        /// Where the byte stands.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// A byte of the path is not `a`-`z`, `A`-`Z`, `0`-`9`, `.`, `-`, `_` or a separating `/`.
    PathCharacter {
        /// Where the byte stands.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// A `?` begins a query; a SPIFFE ID has none.
    Query {
        /// Where the `?` stands.
        offset: usize,
    },
    /// A `#` begins a fragment; a SPIFFE ID has none.
    Fragment {
        /// Where the `#` stands.
        offset: usize,
    },
    /// A path segment is empty (`//`, or an empty segment handed to a builder).
    EmptySegment {
        /// Where the segment should begin.
        offset: usize,
    },
    /// A path segment is `.` or `..`.
    DotSegment {
        /// Where the segment begins.
        offset: usize,
    },
    /// The path ends in `/`.
    TrailingSlash {
        /// Where the slash stands.
        offset: usize,
    },
    /// A path handed to a builder is not empty and does not begin with `/`.
    PathWithoutSlash,
    /// A single segment handed to a builder contains `/`.
    SlashInSegment {
        /// Where the slash stands.
        offset: usize,
    },
    /// A `*` stands somewhere else than in a final `/*`.
    Wildcard {
        /// Where the `*` stands.
        offset: usize,
    },
    /// A prefix without a path segment would match a whole trust domain. Say so explicitly with
    /// [`SpiffeIdPattern::members_of`](crate::SpiffeIdPattern::members_of) or
    /// [`SpiffeIdPattern::parse_allowing_trust_domain`](crate::SpiffeIdPattern::parse_allowing_trust_domain).
    PrefixWithoutSegment,
}

impl Error {
    /// A stable name for logs and metrics, in `snake_case`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Scheme => "scheme",
            Self::EmptyTrustDomain => "empty_trust_domain",
            Self::TrustDomainTooLong => "trust_domain_too_long",
            Self::TrustDomainCharacter { .. } => "trust_domain_character",
            Self::PathCharacter { .. } => "path_character",
            Self::Query { .. } => "query",
            Self::Fragment { .. } => "fragment",
            Self::EmptySegment { .. } => "empty_segment",
            Self::DotSegment { .. } => "dot_segment",
            Self::TrailingSlash { .. } => "trailing_slash",
            Self::PathWithoutSlash => "path_without_slash",
            Self::SlashInSegment { .. } => "slash_in_segment",
            Self::Wildcard { .. } => "wildcard",
            Self::PrefixWithoutSegment => "prefix_without_segment",
        }
    }

    /// The requirement that the input breaks, an id of `docs/conformance/spiffe-id.toml`. Patterns are no part of the
    /// SPIFFE ID standard; their errors name none.
    #[must_use]
    pub const fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::TooLong { .. } => "SPIFFE-ID-2.3-5",
            Self::Scheme => "SPIFFE-ID-2-1",
            Self::EmptyTrustDomain => "SPIFFE-ID-2-2",
            Self::TrustDomainTooLong => "SPIFFE-ID-2.3-3",
            Self::TrustDomainCharacter { byte, .. } => match byte {
                b'@' => "SPIFFE-ID-2.1-2",
                b':' => "SPIFFE-ID-2.1-3",
                b'A'..=b'Z' => "SPIFFE-ID-2.1-4",
                b'%' => "SPIFFE-ID-2.1-6",
                _ => "SPIFFE-ID-2.1-5",
            },
            Self::PathCharacter { byte: b'%', .. } => "SPIFFE-ID-2.2-1",
            Self::PathCharacter { .. } => "SPIFFE-ID-2.2-6",
            Self::Query { .. } => "SPIFFE-ID-2-3",
            Self::Fragment { .. } => "SPIFFE-ID-2-4",
            Self::EmptySegment { .. } => "SPIFFE-ID-2.2-2",
            Self::DotSegment { .. } => "SPIFFE-ID-2.2-3",
            Self::TrailingSlash { .. } => "SPIFFE-ID-2.2-5",
            Self::PathWithoutSlash => "SPIFFE-ID-2.2-8",
            Self::SlashInSegment { .. } => "SPIFFE-ID-2.2-9",
            Self::Wildcard { .. } | Self::PrefixWithoutSegment => return None,
        })
    }

    /// The byte offset at which the input went wrong, where there is one.
    #[must_use]
    pub const fn offset(&self) -> Option<usize> {
        match *self {
            Self::TrustDomainCharacter { offset, .. }
            | Self::PathCharacter { offset, .. }
            | Self::Query { offset }
            | Self::Fragment { offset }
            | Self::EmptySegment { offset }
            | Self::DotSegment { offset }
            | Self::TrailingSlash { offset }
            | Self::SlashInSegment { offset }
            | Self::Wildcard { offset } => Some(offset),
            Self::TooLong { .. }
            | Self::Scheme
            | Self::EmptyTrustDomain
            | Self::TrustDomainTooLong
            | Self::PathWithoutSlash
            | Self::PrefixWithoutSegment => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLong { length } => write!(
                f,
                "the SPIFFE ID has {length} bytes, the limit is {}",
                crate::MAX_ID_LENGTH
            ),
            Self::Scheme => f.write_str("a SPIFFE ID begins with `spiffe://` in lower case"),
            Self::EmptyTrustDomain => f.write_str("the trust domain is empty"),
            Self::TrustDomainTooLong => write!(
                f,
                "the trust domain is longer than {} bytes",
                crate::MAX_TRUST_DOMAIN_LENGTH
            ),
            Self::TrustDomainCharacter { offset, byte } => write!(
                f,
                "byte `{}` at offset {offset} is not allowed in a trust domain (a-z, 0-9, `.`, `-`, `_`)",
                byte.escape_ascii()
            ),
            Self::PathCharacter { offset, byte } => write!(
                f,
                "byte `{}` at offset {offset} is not allowed in a path segment (a-z, A-Z, 0-9, `.`, `-`, `_`)",
                byte.escape_ascii()
            ),
            Self::Query { offset } => {
                write!(f, "a query begins at offset {offset}; a SPIFFE ID has none")
            }
            Self::Fragment { offset } => {
                write!(
                    f,
                    "a fragment begins at offset {offset}; a SPIFFE ID has none"
                )
            }
            Self::EmptySegment { offset } => {
                write!(f, "the path segment at offset {offset} is empty")
            }
            Self::DotSegment { offset } => {
                write!(f, "the path segment at offset {offset} is `.` or `..`")
            }
            Self::TrailingSlash { offset } => {
                write!(f, "the path ends in a slash at offset {offset}")
            }
            Self::PathWithoutSlash => f.write_str("a path is empty or begins with `/`"),
            Self::SlashInSegment { offset } => {
                write!(f, "a single segment contains a slash at offset {offset}")
            }
            Self::Wildcard { offset } => {
                write!(
                    f,
                    "`*` at offset {offset}: a wildcard is allowed only as a final `/*`"
                )
            }
            Self::PrefixWithoutSegment => {
                f.write_str("a prefix without a path segment would match a whole trust domain")
            }
        }
    }
}

impl core::error::Error for Error {}
