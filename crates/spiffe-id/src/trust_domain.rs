//! Trust domains, borrowed and owned.

use core::fmt;

#[cfg(feature = "alloc")]
use alloc::{boxed::Box, format, string::String};

use crate::{Error, SpiffeIdRef, parse};

/// A valid trust domain name that borrows its text.
///
/// Only the character set and the length of 1 to 255 bytes are checked (section 2.1): a name that looks like an address
/// or that no DNS zone could hold is an ordinary name, and nothing is ever resolved, folded or canonicalised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomainRef<'a> {
    name: &'a str,
}

impl<'a> TrustDomainRef<'a> {
    /// Parses a bare name such as `example.org`.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyTrustDomain`], [`Error::TrustDomainTooLong`], or the character that does not belong.
    pub const fn parse(name: &'a str) -> Result<Self, Error> {
        match parse::trust_domain(name.as_bytes()) {
            Ok(()) => Ok(Self { name }),
            Err(error) => Err(error),
        }
    }

    /// Parses a bare name, or takes the trust domain out of a SPIFFE ID.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse) for a name, as [`SpiffeIdRef::parse`] for text that begins with `spiffe://`.
    pub fn from_id_or_name(text: &'a str) -> Result<Self, Error> {
        if text.starts_with(parse::SCHEME) {
            SpiffeIdRef::parse(text).map(SpiffeIdRef::trust_domain)
        } else {
            Self::parse(text)
        }
    }

    /// A trust domain from a literal. In a `const` a wrong literal does not compile.
    ///
    /// ```
    /// use spiffe_id::TrustDomainRef;
    ///
    /// const HOME: TrustDomainRef<'static> = TrustDomainRef::from_static("example.org");
    /// assert_eq!(HOME.as_str(), "example.org");
    /// ```
    ///
    /// # Panics
    ///
    /// If the literal is not a trust domain name.
    #[must_use]
    #[expect(
        clippy::panic,
        reason = "a wrong literal is a compile error in const context"
    )]
    pub const fn from_static(name: &'static str) -> TrustDomainRef<'static> {
        match TrustDomainRef::parse(name) {
            Ok(trust_domain) => trust_domain,
            Err(_) => panic!("the literal is not a trust domain name"),
        }
    }

    /// The name, without scheme.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.name
    }

    /// Whether `id` belongs to this trust domain.
    #[must_use]
    pub fn contains<'i>(self, id: impl Into<SpiffeIdRef<'i>>) -> bool {
        id.into().trust_domain() == self
    }

    /// `spiffe://` and the name: the text of the ID that names the trust domain itself.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn id_string(self) -> String {
        format!("{}{}", parse::SCHEME, self.name)
    }

    /// The SPIFFE ID that names the trust domain itself.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn to_spiffe_id(self) -> crate::SpiffeId {
        crate::SpiffeId::of_trust_domain(self)
    }

    /// An owned copy.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn to_trust_domain(self) -> TrustDomain {
        TrustDomain {
            name: self.name.into(),
        }
    }

    pub(crate) const fn checked(name: &'a str) -> Self {
        Self { name }
    }
}

impl fmt::Display for TrustDomainRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl fmt::Debug for TrustDomainRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.name, f)
    }
}

impl AsRef<str> for TrustDomainRef<'_> {
    fn as_ref(&self) -> &str {
        self.name
    }
}

impl<'a> TryFrom<&'a str> for TrustDomainRef<'a> {
    type Error = Error;

    fn try_from(name: &'a str) -> Result<Self, Error> {
        Self::parse(name)
    }
}

/// A valid trust domain name.
///
/// Use it, not a string, as the key of anything kept per trust domain. A name proves nothing: two trust domains may
/// carry the same one, and only the bundle that verified a credential tells them apart.
///
/// ```
/// use spiffe_id::{SpiffeId, TrustDomain};
///
/// let home = TrustDomain::parse("example.org")?;
/// assert!(home.contains(&SpiffeId::parse("spiffe://example.org/agents/7")?));
/// assert_eq!(home.id_string(), "spiffe://example.org");
/// # Ok::<(), spiffe_id::Error>(())
/// ```
#[cfg(feature = "alloc")]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain {
    name: Box<str>,
}

#[cfg(feature = "alloc")]
impl TrustDomain {
    /// Parses a bare name such as `example.org`.
    ///
    /// # Errors
    ///
    /// As [`TrustDomainRef::parse`].
    pub fn parse(name: &str) -> Result<Self, Error> {
        TrustDomainRef::parse(name).map(TrustDomainRef::to_trust_domain)
    }

    /// Parses a bare name, or takes the trust domain out of a SPIFFE ID.
    ///
    /// # Errors
    ///
    /// As [`TrustDomainRef::from_id_or_name`].
    pub fn from_id_or_name(text: &str) -> Result<Self, Error> {
        TrustDomainRef::from_id_or_name(text).map(TrustDomainRef::to_trust_domain)
    }

    /// A generated name: the lower-case UUIDv4 of 16 random bytes, which the caller draws from a secure source.
    #[must_use]
    pub fn from_random(random: [u8; 16]) -> Self {
        // RFC 9562 section 5.4: four bits of version, two bits of variant.
        let number =
            (u128::from_be_bytes(random) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let name = format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            number >> 96,
            (number >> 80) & 0xffff,
            (number >> 64) & 0xffff,
            (number >> 48) & 0xffff,
            number & 0xffff_ffff_ffff
        );
        Self { name: name.into() }
    }

    /// A generated name below a domain that the caller owns: `<uuid>.<parent>`.
    ///
    /// # Errors
    ///
    /// [`Error::TrustDomainTooLong`] when `parent` leaves no room for the UUID.
    pub fn from_random_below<'t>(
        random: [u8; 16],
        parent: impl Into<TrustDomainRef<'t>>,
    ) -> Result<Self, Error> {
        Self::parse(&format!(
            "{}.{}",
            Self::from_random(random).name,
            parent.into().name
        ))
    }

    /// The borrowed form.
    #[must_use]
    pub fn as_trust_domain_ref(&self) -> TrustDomainRef<'_> {
        TrustDomainRef { name: &self.name }
    }

    /// The name, without scheme.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Whether `id` belongs to this trust domain.
    #[must_use]
    pub fn contains<'i>(&self, id: impl Into<SpiffeIdRef<'i>>) -> bool {
        self.as_trust_domain_ref().contains(id)
    }

    /// `spiffe://` and the name: the text of the ID that names the trust domain itself.
    #[must_use]
    pub fn id_string(&self) -> String {
        self.as_trust_domain_ref().id_string()
    }

    /// The SPIFFE ID that names the trust domain itself.
    #[must_use]
    pub fn to_spiffe_id(&self) -> crate::SpiffeId {
        self.as_trust_domain_ref().to_spiffe_id()
    }
}

#[cfg(feature = "alloc")]
mod owned {
    use super::{Error, String, TrustDomain, TrustDomainRef, fmt};
    use core::{borrow::Borrow, str::FromStr};

    impl fmt::Display for TrustDomain {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.pad(&self.name)
        }
    }

    impl fmt::Debug for TrustDomain {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Debug::fmt(&self.name, f)
        }
    }

    impl FromStr for TrustDomain {
        type Err = Error;

        fn from_str(name: &str) -> Result<Self, Error> {
            Self::parse(name)
        }
    }

    impl TryFrom<&str> for TrustDomain {
        type Error = Error;

        fn try_from(name: &str) -> Result<Self, Error> {
            Self::parse(name)
        }
    }

    impl TryFrom<String> for TrustDomain {
        type Error = Error;

        fn try_from(name: String) -> Result<Self, Error> {
            TrustDomainRef::parse(&name)?;
            Ok(Self { name: name.into() })
        }
    }

    impl AsRef<str> for TrustDomain {
        fn as_ref(&self) -> &str {
            &self.name
        }
    }

    /// Lawful: equality, order and hash of a trust domain are those of its name.
    impl Borrow<str> for TrustDomain {
        fn borrow(&self) -> &str {
            &self.name
        }
    }

    impl<'a> From<&'a TrustDomain> for TrustDomainRef<'a> {
        fn from(trust_domain: &'a TrustDomain) -> Self {
            trust_domain.as_trust_domain_ref()
        }
    }

    impl From<TrustDomainRef<'_>> for TrustDomain {
        fn from(trust_domain: TrustDomainRef<'_>) -> Self {
            trust_domain.to_trust_domain()
        }
    }

    impl PartialEq<TrustDomainRef<'_>> for TrustDomain {
        fn eq(&self, other: &TrustDomainRef<'_>) -> bool {
            *self.name == *other.name
        }
    }

    impl PartialEq<TrustDomain> for TrustDomainRef<'_> {
        fn eq(&self, other: &TrustDomain) -> bool {
            *self.name == *other.name
        }
    }

    impl From<TrustDomain> for String {
        fn from(trust_domain: TrustDomain) -> Self {
            trust_domain.name.into()
        }
    }
}
