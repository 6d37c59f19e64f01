//! What a caller asks of a path.

use core::time::Duration;

use super::extensions::eku;

/// What the leaf certificate is going to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Purpose {
    /// No purpose: any `extKeyUsage` is accepted.
    #[default]
    Unspecified,
    /// TLS client authentication.
    ClientAuth,
    /// TLS server authentication.
    ServerAuth,
    /// TLS in both roles.
    ClientAndServerAuth,
    /// The key purpose with these DER content octets.
    Oid(&'static [u8]),
}

impl Purpose {
    /// The key purposes, as DER content octets, that must all be listed.
    pub(super) fn wanted(self) -> [Option<&'static [u8]>; 2] {
        match self {
            Self::Unspecified => [None, None],
            Self::ClientAuth => [Some(eku::CLIENT_AUTH), None],
            Self::ServerAuth => [Some(eku::SERVER_AUTH), None],
            Self::ClientAndServerAuth => [Some(eku::CLIENT_AUTH), Some(eku::SERVER_AUTH)],
            Self::Oid(oid) => [Some(oid), None],
        }
    }
}

/// What [`verify_path`](super::verify_path) demands beyond RFC 5280, and its limits.
///
/// ```
/// use jose_x509::x509::{PathOptions, Purpose};
///
/// let mut options = PathOptions::new(Purpose::ClientAuth);
/// options.require_extended_key_usage = true;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathOptions {
    /// The purpose that every `extKeyUsage` of the leaf and the intermediates must list.
    /// `anyExtendedKeyUsage` stands for no purpose.
    pub purpose: Purpose,
    /// Whether the leaf must have an `extKeyUsage`. Default: no.
    pub require_extended_key_usage: bool,
    /// Whether a leaf with a `keyUsage` must have `digitalSignature`. Default: yes.
    pub require_digital_signature: bool,
    /// Whether every issuer, the anchor included, must have a `keyUsage`. Default: no.
    pub require_ca_key_usage: bool,
    /// Longest time from `notBefore` to `notAfter` of the leaf. Default: unlimited.
    pub max_lifetime: Option<Duration>,
    /// Shortest time that the leaf must stay valid from now on. Default: none.
    pub min_remaining: Option<Duration>,
    /// Most certificates in the input, the leaf counted. Default: 8.
    pub max_certificates: usize,
    /// Most octets of all input certificates together. Default: 64 KiB.
    pub max_chain_size: usize,
}

impl PathOptions {
    /// The defaults, for `purpose`.
    #[must_use]
    pub const fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            require_extended_key_usage: false,
            require_digital_signature: true,
            require_ca_key_usage: false,
            max_lifetime: None,
            min_remaining: None,
            max_certificates: 8,
            max_chain_size: 64 * 1024,
        }
    }
}

impl Default for PathOptions {
    fn default() -> Self {
        Self::new(Purpose::Unspecified)
    }
}
