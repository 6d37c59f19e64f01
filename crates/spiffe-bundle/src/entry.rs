//! The uses of bundle entries, and what can be wrong with a single entry.

use core::fmt;

use jose_x509::KeyProblem;
use jose_x509::x509::CertificateProblem;

/// What a bundle entry authenticates (`use`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Use {
    /// `x509-svid`: the first value of `x5c` is a trust anchor.
    X509Svid,
    /// `jwt-svid`: the key verifies JWT-SVIDs.
    JwtSvid,
    /// `wit-svid`: the key verifies WIT-SVIDs.
    WitSvid,
}

impl Use {
    /// The value of `use`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X509Svid => "x509-svid",
            Self::JwtSvid => "jwt-svid",
            Self::WitSvid => "wit-svid",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::X509Svid, Self::JwtSvid, Self::WitSvid]
            .into_iter()
            .find(|known| known.as_str() == name)
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something to know about one entry of a bundle document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The entry's position in `keys`.
    pub index: usize,
    /// What it is.
    pub problem: EntryProblem,
}

/// What is wrong with an entry, or odd about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryProblem {
    /// `kty` is missing or not one that is known here.
    UnknownKeyType,
    /// `use` is missing or not one that is known here; the comparison is case-sensitive.
    UnknownUse,
    /// An `x509-svid` entry without a value in `x5c`.
    NoCertificate,
    /// The first value of `x5c` is not standard base64 of a certificate.
    CertificateEncoding,
    /// The certificate cannot be a trust anchor.
    Certificate(CertificateProblem),
    /// The certificate is for another key than the entry's own.
    KeyMismatch,
    /// A `jwt-svid` or `wit-svid` entry without `kid`, or with one that is empty or above 1024 bytes.
    NoKid,
    /// The key is malformed, weak or of an unsupported kind.
    Key(KeyProblem),
    /// The key's kind has no algorithm for this use.
    KeyKind,
    /// The `kid` is that of another key of the bundle. A read entry of another use is kept all the same.
    KidTaken,
    /// The same key serves another use too, which invites cross-protocol attacks. The entry is kept.
    KeyOfSeveralUses,
    /// The certificate names another issuer than itself: an anchor that others hold for an intermediate. It is kept.
    NotSelfIssued,
}

impl EntryProblem {
    /// Whether an entry with this problem is left out.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        !matches!(
            self,
            Self::KidTaken | Self::KeyOfSeveralUses | Self::NotSelfIssued
        )
    }
}

impl fmt::Display for EntryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKeyType => "`kty` is missing or not known",
            Self::UnknownUse => "`use` is missing or not known",
            Self::NoCertificate => "`x5c` is missing or empty",
            Self::CertificateEncoding => {
                "the first value of `x5c` is not standard base64 of a certificate"
            }
            Self::Certificate(problem) => {
                return write!(f, "the certificate cannot be an anchor: {problem}");
            }
            Self::KeyMismatch => "the certificate in `x5c` is for another key",
            Self::NoKid => "`kid` is missing, empty or above 1024 bytes",
            Self::Key(_) => "the key is malformed, weak or not supported",
            Self::KeyKind => "the kind of key has no algorithm for this use",
            Self::KidTaken => "`kid` is that of another key of the bundle",
            Self::KeyOfSeveralUses => "the same key serves several uses",
            Self::NotSelfIssued => "the certificate was issued by another one",
        })
    }
}
