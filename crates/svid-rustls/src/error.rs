//! Errors, and what rustls and the peer learn of them.

use std::sync::Arc;

use jose_x509::Fault;
use jose_x509::x509::{CertificateProblem, X509Error};
use rustls::{CertificateError, OtherError};

/// Every way in which this crate refuses something.
///
/// A handshake fails with an error of rustls, which decides the alert that the peer gets and has no room for
/// more; [`SvidVerifier::on_refusal`](crate::SvidVerifier::on_refusal) gives the whole error.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer's certificate is not a valid X509-SVID.
    #[error(transparent)]
    Svid(#[from] svid::Error),
    /// The peer did not show that it holds the key of its certificate, which anybody can copy: why, as rustls says it.
    #[error("the peer did not prove that it holds the key of the certificate it showed: {0}")]
    NotProven(rustls::Error),
    /// The peer is authenticated, by its certificate and its key, and not allowed here.
    #[error("the peer's SPIFFE ID is authentic and not authorized for this connection")]
    NotAuthorized,
    /// The server's certificate is not for the name that was dialled.
    #[error("no DNS name or address in the server's certificate is the name that was dialled")]
    ServerName,
    /// The peer showed no certificate.
    #[error("the peer showed no certificate; it is anonymous")]
    NoPeer,
    /// The handshake is not over.
    #[error("the handshake is not over; ask for the peer after it")]
    Handshaking,
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
            Self::NotProven(_) => "not_proven",
            Self::NotAuthorized => "not_authorized",
            Self::ServerName => "server_name",
            Self::NoPeer => "no_peer",
            Self::Handshaking => "handshaking",
            Self::Rustls(_) => "rustls",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Svid(source) => source.fault(),
            Self::NotAuthorized => Fault::Policy,
            Self::NotProven(_) | Self::ServerName | Self::NoPeer => Fault::Peer,
            Self::Handshaking | Self::Rustls(_) => Fault::Configuration,
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
            Self::ServerName => Some("WIMSE-MTLS-3.2.1-2"),
            Self::NoPeer => Some("WIMSE-MTLS-3.2-4"),
            Self::NotProven(_) | Self::Handshaking | Self::Rustls(_) => None,
        }
    }
}

/// Each refusal under the name of rustls whose alert fits:
///
/// | refusal | alert |
/// |---|---|
/// | expired, not valid yet | `certificate_expired` |
/// | no bundle for the trust domain, no path to its anchors | `unknown_ca` |
/// | a signature in the path, or that of the handshake, is wrong | `decrypt_error` |
/// | the certificate is not for this use | `unsupported_certificate` |
/// | malformed, no SPIFFE ID, a wrong one, several | `bad_certificate` |
/// | valid and not authorized | `access_denied` |
/// | the rest, such as too many certificates | `certificate_unknown` |
impl From<Error> for rustls::Error {
    fn from(error: Error) -> Self {
        let cause = match &error {
            Error::Rustls(inner) | Error::NotProven(inner) => return inner.clone(),
            Error::Handshaking => return Self::HandshakeNotComplete,
            Error::NoPeer => return Self::NoCertificatesPresented,
            Error::NotAuthorized => CertificateError::ApplicationVerificationFailure,
            Error::ServerName => CertificateError::NotValidForName,
            Error::Svid(source) => certificate_error(source)
                .unwrap_or_else(|| CertificateError::Other(OtherError(Arc::new(error)))),
        };
        Self::InvalidCertificate(cause)
    }
}

fn certificate_error(error: &svid::Error) -> Option<CertificateError> {
    use svid::Error as E;
    Some(match error {
        E::NoBundle { .. } | E::NoAuthorities { .. } => CertificateError::UnknownIssuer,
        E::NoKeyUsage => CertificateError::InvalidPurpose,
        E::NoUriName | E::SeveralUriNames | E::SpiffeId { .. } | E::NoPath { .. } => {
            CertificateError::NotValidForName
        }
        E::EmptyChain | E::IntermediateId { .. } => CertificateError::BadEncoding,
        E::X509(error) => match error {
            X509Error::Certificate { problem, .. } => match problem {
                CertificateProblem::Expired => CertificateError::Expired,
                CertificateProblem::NotYetValid => CertificateError::NotValidYet,
                CertificateProblem::UnsupportedCriticalExtension => {
                    CertificateError::UnhandledCriticalExtension
                }
                CertificateProblem::CaUsedAsLeaf
                | CertificateProblem::LeafWithCaKeyUsage
                | CertificateProblem::DigitalSignatureMissing
                | CertificateProblem::PurposeNotAllowed => CertificateError::InvalidPurpose,
                _ => CertificateError::BadEncoding,
            },
            X509Error::Anchor { .. }
            | X509Error::UnknownIssuer { .. }
            | X509Error::NoTrustAnchors
            | X509Error::NameConstraintViolation
            | X509Error::PathLenExceeded => CertificateError::UnknownIssuer,
            X509Error::InvalidSignature => CertificateError::BadSignature,
            _ => return None,
        },
        _ => return None,
    })
}
