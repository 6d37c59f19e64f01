//! What can be wrong with a client's certificate, with its registration, or with a field that carries it.

use crate::error::Fault;

/// Why a client, its registration or a forwarded certificate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MtlsError {
    /// The request has no `client_id`.
    #[error("parameter `client_id` is missing; mutual TLS does not replace it")]
    MissingClientId,
    /// No client has this `client_id`.
    #[error("parameter `client_id` names no client that authenticates by mutual TLS")]
    UnknownClient,
    /// No certificate came along.
    #[error("the client showed no certificate on this connection")]
    MissingCertificate,
    /// The certificate does not have the registered name.
    #[error("the certificate does not have the name that is registered for the client")]
    SubjectMismatch,
    /// The certificate is none of the registered ones.
    #[error("the certificate is none of those that are registered for the client")]
    NotRegistered,
    /// `token_endpoint_auth_method` is not one of mutual TLS.
    #[error(
        "`token_endpoint_auth_method` is neither tls_client_auth nor self_signed_tls_client_auth"
    )]
    OtherMethod,
    /// Not exactly one of the five members that name a subject.
    #[error("exactly one of the tls_client_auth_* members has to be registered, not {count}")]
    SubjectCount {
        /// How many there are.
        count: usize,
    },
    /// A registered subject of the wrong form.
    #[error("`{member}` does not have the form that it needs")]
    InvalidSubject {
        /// The member.
        member: &'static str,
    },
    /// The registered key set has no key with a usable certificate.
    #[error("no key of the client's key set has a certificate (member `x5c`)")]
    NoCertificate,
    /// A registered certificate that is malformed or not of its key.
    #[error("key {index} of the client's key set: `x5c` is malformed or not of this key")]
    InvalidX5c {
        /// The key's position.
        index: usize,
    },
    /// A field that is there more than once, or has more than one value.
    #[error("field {field} has more than one value where one certificate is expected")]
    MultipleValues {
        /// The field.
        field: &'static str,
    },
    /// A field that is not of its syntax.
    #[error("field {field} is malformed")]
    MalformedField {
        /// The field.
        field: &'static str,
    },
    /// `Client-Cert-Chain` without `Client-Cert`.
    #[error("field Client-Cert-Chain without field Client-Cert")]
    ChainWithoutCertificate,
    /// A field contradicts itself.
    #[error("field {field} contradicts itself about the certificate")]
    Contradiction {
        /// The field.
        field: &'static str,
    },
    /// An endpoint that is not `https`.
    #[error("an endpoint of `mtls_endpoint_aliases` is not an https URL")]
    InsecureEndpoint,
}

impl MtlsError {
    /// A stable name of the cause.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingClientId => "missing_client_id",
            Self::UnknownClient => "unknown_client",
            Self::MissingCertificate => "missing_certificate",
            Self::SubjectMismatch => "subject_mismatch",
            Self::NotRegistered => "certificate_not_registered",
            Self::OtherMethod => "other_auth_method",
            Self::SubjectCount { .. } => "subject_count",
            Self::InvalidSubject { .. } => "invalid_subject",
            Self::NoCertificate => "no_registered_certificate",
            Self::InvalidX5c { .. } => "invalid_x5c",
            Self::MultipleValues { .. } => "multiple_certificates",
            Self::MalformedField { .. } => "malformed_certificate_field",
            Self::ChainWithoutCertificate => "chain_without_certificate",
            Self::Contradiction { .. } => "certificate_contradiction",
            Self::InsecureEndpoint => "insecure_endpoint",
        }
    }

    /// Whose fault it is. What a trusted proxy sends is the configuration's.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::MultipleValues { .. }
            | Self::MalformedField { .. }
            | Self::ChainWithoutCertificate
            | Self::Contradiction { .. } => Fault::Configuration,
            _ => Fault::Peer,
        }
    }

    /// Whether fetching the client's key set anew may turn this refusal into a success.
    #[must_use]
    pub const fn refresh_may_help(self) -> bool {
        matches!(self, Self::NotRegistered)
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub const fn requirement(self) -> &'static str {
        match self {
            Self::MissingClientId => "POP-8705.2-1",
            Self::UnknownClient | Self::MissingCertificate => "POP-8705.2-3",
            Self::SubjectMismatch => "POP-8705.2.1-1",
            Self::NotRegistered => "POP-8705.2.2-2",
            Self::OtherMethod => "POP-8705.2.1.1-1",
            Self::SubjectCount { .. } | Self::InvalidSubject { .. } => "POP-8705.2.1.2-1",
            Self::NoCertificate | Self::InvalidX5c { .. } => "POP-8705.2.2.2-1",
            Self::MultipleValues { .. }
            | Self::MalformedField { .. }
            | Self::ChainWithoutCertificate
            | Self::Contradiction { .. } => "POP-9440.2-1",
            Self::InsecureEndpoint => "POP-8705.5-3",
        }
    }
}
