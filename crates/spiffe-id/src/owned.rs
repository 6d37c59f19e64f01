//! The owned SPIFFE ID and its builders.

use alloc::{boxed::Box, string::String};
use core::{borrow::Borrow, fmt, hash, str::FromStr};

use crate::{Error, MAX_ID_LENGTH, Segments, SpiffeIdRef, TrustDomainRef, parse};

/// A valid SPIFFE ID.
///
/// One allocation holds the text, byte for byte as it was parsed; the parts are views on it. Comparison is that of
/// [`SpiffeIdRef`].
///
/// ```
/// use spiffe_id::{SpiffeId, TrustDomain};
///
/// let home = TrustDomain::parse("example.org")?;
/// let agent = SpiffeId::from_segments(&home, ["agents", "invoice-bot"])?.append_segment("42")?;
/// assert_eq!(agent.as_str(), "spiffe://example.org/agents/invoice-bot/42");
///
/// // A name from outside is one segment or an error; it cannot climb or descend.
/// assert!(agent.append_segment("../admin").is_err());
/// # Ok::<(), spiffe_id::Error>(())
/// ```
#[derive(Clone)]
pub struct SpiffeId {
    text: Box<str>,
    path_start: usize,
}

impl SpiffeId {
    /// Parses a SPIFFE ID.
    ///
    /// # Errors
    ///
    /// As [`SpiffeIdRef::parse`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        SpiffeIdRef::parse(text).map(Self::from)
    }

    /// The ID of `trust_domain` with a path of the given segments, each checked by itself.
    ///
    /// # Errors
    ///
    /// [`Error::EmptySegment`], [`Error::DotSegment`], [`Error::SlashInSegment`], [`Error::PathCharacter`] and its like
    /// for a bad segment, [`Error::TooLong`] for a result above [`MAX_ID_LENGTH`] bytes.
    pub fn from_segments<'t, S: AsRef<str>>(
        trust_domain: impl Into<TrustDomainRef<'t>>,
        segments: impl IntoIterator<Item = S>,
    ) -> Result<Self, Error> {
        let mut text = trust_domain.into().id_string();
        let path_start = text.len();
        for segment in segments {
            push_segment(&mut text, segment.as_ref())?;
        }
        Ok(Self {
            text: text.into(),
            path_start,
        })
    }

    /// The ID of `trust_domain` with `path`, which is empty or begins with `/`.
    ///
    /// # Errors
    ///
    /// [`Error::PathWithoutSlash`], the path errors of [`SpiffeIdRef::parse`] with offsets into `path`, or
    /// [`Error::TooLong`].
    pub fn from_path<'t>(
        trust_domain: impl Into<TrustDomainRef<'t>>,
        path: &str,
    ) -> Result<Self, Error> {
        let mut text = trust_domain.into().id_string();
        let path_start = text.len();
        check_length(path_start.saturating_add(path.len()))?;
        parse::path(path.as_bytes(), 0)?;
        text.push_str(path);
        Ok(Self {
            text: text.into(),
            path_start,
        })
    }

    /// This ID with one more segment at the end of its path.
    ///
    /// # Errors
    ///
    /// As [`from_segments`](Self::from_segments).
    pub fn append_segment(&self, segment: &str) -> Result<Self, Error> {
        let mut text = String::from(&*self.text);
        push_segment(&mut text, segment)?;
        Ok(Self {
            text: text.into(),
            path_start: self.path_start,
        })
    }

    /// The borrowed form.
    #[must_use]
    pub fn as_spiffe_id_ref(&self) -> SpiffeIdRef<'_> {
        SpiffeIdRef::checked(&self.text, self.path_start)
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomainRef<'_> {
        self.as_spiffe_id_ref().trust_domain()
    }

    /// The path with its leading `/`, or the empty string.
    #[must_use]
    pub fn path(&self) -> &str {
        self.as_spiffe_id_ref().path()
    }

    /// The path segments, in order and without separators.
    #[must_use]
    pub fn segments(&self) -> Segments<'_> {
        self.as_spiffe_id_ref().segments()
    }

    /// The whole ID, byte for byte as it was parsed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the ID names the trust domain itself: it has no path.
    #[must_use]
    pub fn is_trust_domain_id(&self) -> bool {
        self.as_spiffe_id_ref().is_trust_domain_id()
    }

    /// Whether the ID belongs to `trust_domain`.
    #[must_use]
    pub fn is_member_of<'t>(&self, trust_domain: impl Into<TrustDomainRef<'t>>) -> bool {
        self.as_spiffe_id_ref().is_member_of(trust_domain)
    }

    pub(crate) fn of_trust_domain(trust_domain: TrustDomainRef<'_>) -> Self {
        let text = trust_domain.id_string();
        Self {
            path_start: text.len(),
            text: text.into(),
        }
    }
}

impl SpiffeIdRef<'_> {
    /// An owned copy.
    #[must_use]
    pub fn to_spiffe_id(self) -> SpiffeId {
        self.into()
    }
}

fn push_segment(text: &mut String, segment: &str) -> Result<(), Error> {
    check_length(text.len().saturating_add(1).saturating_add(segment.len()))?;
    parse::segment(segment.as_bytes())?;
    text.push('/');
    text.push_str(segment);
    Ok(())
}

fn check_length(length: usize) -> Result<(), Error> {
    if length > MAX_ID_LENGTH {
        Err(Error::TooLong { length })
    } else {
        Ok(())
    }
}

impl PartialEq for SpiffeId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SpiffeId {}

impl PartialOrd for SpiffeId {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SpiffeId {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl hash::Hash for SpiffeId {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl AsRef<str> for SpiffeId {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// Lawful: equality, order and hash of an ID are those of its text.
impl Borrow<str> for SpiffeId {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl FromStr for SpiffeId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for SpiffeId {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl TryFrom<String> for SpiffeId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let path_start = parse::id(text.as_bytes())?;
        Ok(Self {
            text: text.into(),
            path_start,
        })
    }
}

impl From<SpiffeIdRef<'_>> for SpiffeId {
    fn from(id: SpiffeIdRef<'_>) -> Self {
        Self {
            text: id.as_str().into(),
            path_start: id.path_start(),
        }
    }
}

impl<'a> From<&'a SpiffeId> for SpiffeIdRef<'a> {
    fn from(id: &'a SpiffeId) -> Self {
        id.as_spiffe_id_ref()
    }
}

impl From<SpiffeId> for String {
    fn from(id: SpiffeId) -> Self {
        id.text.into()
    }
}

impl PartialEq<SpiffeIdRef<'_>> for SpiffeId {
    fn eq(&self, other: &SpiffeIdRef<'_>) -> bool {
        *self.text == *other.as_str()
    }
}

impl PartialEq<SpiffeId> for SpiffeIdRef<'_> {
    fn eq(&self, other: &SpiffeId) -> bool {
        *self.as_str() == *other.text
    }
}
