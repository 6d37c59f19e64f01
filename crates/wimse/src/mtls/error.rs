//! What is wrong with a peer's certificate.

use jose_x509::Fault;
use jose_x509::x509::{CertificateProblem, X509Error};

use crate::error::IdentifierProblem;

/// Why a peer's certificate is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The peer sent no certificate.
    #[error("the peer sent no certificate")]
    Absent,
    /// The certificate or its path is refused.
    #[error(transparent)]
    Path(#[from] X509Error),
    /// Not exactly one URI in `subjectAltName`.
    #[error("`subjectAltName` has {count} URIs; a workload identity is exactly one")]
    UriCount {
        /// How many there are.
        count: usize,
    },
    /// The URI is not a Workload Identifier.
    #[error("the URI in `subjectAltName` is not a Workload Identifier: {problem}")]
    Identifier {
        /// What is wrong with it.
        problem: IdentifierProblem,
    },
    /// The trust domain is not one that is expected on this side of this connection.
    #[error("the trust domain of the certificate is not expected here")]
    UnexpectedTrustDomain,
    /// No anchors are configured for the trust domain.
    #[error("no trust anchors are configured for the trust domain of the certificate")]
    UnknownTrustDomain,
    /// No `dNSName` matches the host name that was called.
    #[error("no `dNSName` of the certificate matches the host name of the server")]
    HostName,
    /// The identity is not the expected one.
    #[error("the workload is not the one that is expected")]
    UnexpectedPeer,
}

impl CertificateError {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Absent => "certificate_absent",
            Self::Path(source) => source.code(),
            Self::UriCount { .. } => "uri_count",
            Self::Identifier { .. } => "workload_identifier",
            Self::UnexpectedTrustDomain => "unexpected_trust_domain",
            Self::UnknownTrustDomain => "unknown_trust_domain",
            Self::HostName => "host_name",
            Self::UnexpectedPeer => "unexpected_peer",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Path(source) => source.fault(),
            Self::UnexpectedTrustDomain | Self::UnknownTrustDomain | Self::UnexpectedPeer => {
                Fault::Policy
            }
            _ => Fault::Peer,
        }
    }

    /// Whether the same certificate may pass with newer anchors.
    #[must_use]
    pub fn refresh_may_help(&self) -> bool {
        match self {
            Self::Path(source) => source.refresh_may_help(),
            Self::UnknownTrustDomain => true,
            _ => false,
        }
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::Absent => "WIMSE-MTLS-3.2-4",
            Self::Path(X509Error::UnknownIssuer { .. } | X509Error::NoTrustAnchors) => {
                "WIMSE-MTLS-3.2-1"
            }
            Self::Path(X509Error::Certificate {
                problem: CertificateProblem::PurposeNotAllowed,
                ..
            }) => "WIMSE-MTLS-5-1",
            Self::Path(_) => "WIMSE-MTLS-3.2-2",
            Self::UriCount { .. } => "WIMSE-MTLS-3.1-1",
            Self::Identifier { problem } => problem.requirement(),
            Self::UnexpectedTrustDomain => "WIMSE-MTLS-3.2-3",
            Self::UnknownTrustDomain => "WIMSE-WIT-ID-7-2",
            Self::HostName => "WIMSE-MTLS-3.2.1-2",
            Self::UnexpectedPeer => "WIMSE-MTLS-3.2.1-3",
        })
    }
}
