//! The borrowed SPIFFE ID and the views on its parts.

use core::{fmt, hash, iter::FusedIterator};

use crate::{Error, TrustDomainRef, parse};

/// A valid SPIFFE ID that borrows its text.
///
/// Parsing scans the text once and allocates nothing. Equality, order and hash are those of the text: the standard
/// compares scheme and trust domain without regard to case and the path with it (section 2.4), and since upper case is
/// refused in the first two, comparing bytes is that comparison.
///
/// ```
/// use spiffe_id::SpiffeIdRef;
///
/// const PAYMENTS: SpiffeIdRef<'static> = SpiffeIdRef::from_static("spiffe://example.org/ns/prod/sa/payments");
///
/// let peer = SpiffeIdRef::parse("spiffe://example.org/ns/prod/sa/payments")?;
/// assert_eq!(peer, PAYMENTS);
/// assert_eq!(peer.trust_domain().as_str(), "example.org");
/// assert_eq!(peer.path(), "/ns/prod/sa/payments");
/// assert!(peer.segments().eq(["ns", "prod", "sa", "payments"]));
/// # Ok::<(), spiffe_id::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct SpiffeIdRef<'a> {
    text: &'a str,
    path_start: usize,
}

impl<'a> SpiffeIdRef<'a> {
    /// Parses a SPIFFE ID.
    ///
    /// # Errors
    ///
    /// Every [`Error`] of the ID syntax: the text is accepted exactly as it stands or not at all.
    pub const fn parse(text: &'a str) -> Result<Self, Error> {
        match parse::id(text.as_bytes()) {
            Ok(path_start) => Ok(Self { text, path_start }),
            Err(error) => Err(error),
        }
    }

    /// Parses a SPIFFE ID out of bytes of unknown encoding, such as the URI of a certificate.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse); bytes outside ASCII are never part of a SPIFFE ID.
    pub const fn from_bytes(bytes: &'a [u8]) -> Result<Self, Error> {
        match parse::id(bytes) {
            Ok(path_start) => match core::str::from_utf8(bytes) {
                Ok(text) => Ok(Self { text, path_start }),
                // Not reachable: every byte that the scanner accepts is ASCII.
                Err(_) => Err(Error::Scheme),
            },
            Err(error) => Err(error),
        }
    }

    /// A SPIFFE ID from a literal. In a `const` a wrong literal does not compile:
    ///
    /// ```compile_fail
    /// const TYPO: spiffe_id::SpiffeIdRef<'static> = spiffe_id::SpiffeIdRef::from_static("spiffe://example.org/a/");
    /// # let _ = TYPO;
    /// ```
    ///
    /// # Panics
    ///
    /// If the literal is not a SPIFFE ID. Call it in `const` context, so that the panic is a compile error; use
    /// [`parse`](Self::parse) for text that is not known in advance.
    #[must_use]
    #[expect(
        clippy::panic,
        reason = "a wrong literal is a compile error in const context"
    )]
    pub const fn from_static(text: &'static str) -> SpiffeIdRef<'static> {
        match SpiffeIdRef::parse(text) {
            Ok(id) => id,
            Err(_) => panic!("the literal is not a SPIFFE ID"),
        }
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(self) -> TrustDomainRef<'a> {
        TrustDomainRef::checked(
            self.text
                .get(parse::SCHEME.len()..self.path_start)
                .unwrap_or_default(),
        )
    }

    /// The path with its leading `/`, or the empty string.
    #[must_use]
    pub fn path(self) -> &'a str {
        self.text.get(self.path_start..).unwrap_or_default()
    }

    /// The path segments, in order and without separators. The standard attaches no meaning to any position.
    #[must_use]
    pub fn segments(self) -> Segments<'a> {
        Segments { rest: self.path() }
    }

    /// The whole ID, byte for byte as it was parsed.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.text
    }

    /// Whether the ID names the trust domain itself: it has no path.
    #[must_use]
    pub const fn is_trust_domain_id(self) -> bool {
        self.path_start == self.text.len()
    }

    /// Whether the ID belongs to `trust_domain`.
    #[must_use]
    pub fn is_member_of<'t>(self, trust_domain: impl Into<TrustDomainRef<'t>>) -> bool {
        self.trust_domain() == trust_domain.into()
    }

    /// Joins the parts of an owned ID, which were checked when it was made.
    #[cfg(feature = "alloc")]
    pub(crate) const fn checked(text: &'a str, path_start: usize) -> Self {
        Self { text, path_start }
    }

    #[cfg(feature = "alloc")]
    pub(crate) const fn path_start(self) -> usize {
        self.path_start
    }
}

impl PartialEq for SpiffeIdRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SpiffeIdRef<'_> {}

impl PartialOrd for SpiffeIdRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SpiffeIdRef<'_> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.text.cmp(other.text)
    }
}

impl hash::Hash for SpiffeIdRef<'_> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for SpiffeIdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text)
    }
}

impl fmt::Debug for SpiffeIdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text, f)
    }
}

impl AsRef<str> for SpiffeIdRef<'_> {
    fn as_ref(&self) -> &str {
        self.text
    }
}

impl<'a> TryFrom<&'a str> for SpiffeIdRef<'a> {
    type Error = Error;

    fn try_from(text: &'a str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl<'a> TryFrom<&'a [u8]> for SpiffeIdRef<'a> {
    type Error = Error;

    fn try_from(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::from_bytes(bytes)
    }
}

/// The segments of a path, from [`SpiffeIdRef::segments`].
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.strip_prefix('/')?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (segment, tail) = rest.split_at_checked(end)?;
        self.rest = tail;
        Some(segment)
    }
}

impl DoubleEndedIterator for Segments<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (head, segment) = self.rest.rsplit_once('/')?;
        self.rest = head;
        Some(segment)
    }
}

impl FusedIterator for Segments<'_> {}
