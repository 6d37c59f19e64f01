//! Errors, also inside of those of rustls.

use std::sync::Arc;

use jose_x509::Fault;
use jose_x509::x509::{CertificateProblem, X509Error};
use rustls::{CertificateError, OtherError};

/// Every way in which this crate refuses something.
///
/// A refused handshake has it as source: `rustls::Error::InvalidCertificate` with
/// `CertificateError::Other`, except for the causes that rustls has a name (and a TLS alert) for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer's certificate is not a valid X509-SVID.
    #[error(transparent)]
    Svid(#[from] svid::Error),
    /// The peer is authenticated and not allowed here.
    #[error("the peer's SPIFFE ID is authentic and not authorized for this connection")]
    NotAuthorized,
    /// The connection has no peer certificate: the handshake is not over.
    #[error("the connection has no peer certificates; ask after the handshake")]
    NoPeer,
    /// rustls cannot use the private key, or the options of the provider.
    #[error("rustls refuses the configuration: {0}")]
    Rustls(rustls::Error),
}

impl Error {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Svid(source) => source.code(),
            Self::NotAuthorized => "not_authorized",
            Self::NoPeer => "no_peer",
            Self::Rustls(_) => "rustls",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Svid(source) => source.fault(),
            Self::NotAuthorized => Fault::Policy,
            Self::NoPeer | Self::Rustls(_) => Fault::Configuration,
        }
    }

    /// Whether fetching the bundle of the trust domain anew may help.
    #[must_use]
    pub fn refresh_may_help(&self) -> bool {
        matches!(self, Self::Svid(source) if source.refresh_may_help())
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        match self {
            Self::Svid(source) => source.requirement(),
            Self::NotAuthorized => Some("X509-SVID-5.2-7"),
            Self::NoPeer | Self::Rustls(_) => None,
        }
    }
}

impl From<Error> for rustls::Error {
    fn from(error: Error) -> Self {
        let problem = match &error {
            Error::Rustls(inner) => return inner.clone(),
            Error::Svid(svid::Error::X509(X509Error::Certificate { problem, .. })) => Some(problem),
            _ => None,
        };
        Self::InvalidCertificate(match problem {
            Some(CertificateProblem::Expired) => CertificateError::Expired,
            Some(CertificateProblem::NotYetValid) => CertificateError::NotValidYet,
            _ => CertificateError::Other(OtherError(Arc::new(error))),
        })
    }
}
