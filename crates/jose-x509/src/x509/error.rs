//! What can be wrong with a certificate, a path or a bundle.

use core::fmt;

use crate::error::Fault;

/// Why a certificate, a path or a PEM bundle was refused.
///
/// Positions of certificates count from the leaf, which is 0, through the intermediates in the order they
/// were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum X509Error {
    /// One certificate of the input is malformed or breaks a rule.
    #[error("certificate {index}: {problem}")]
    Certificate {
        /// Its position.
        index: usize,
        /// What is wrong with it.
        problem: CertificateProblem,
    },
    /// The path is sound up to an anchor that cannot end it.
    #[error("trust anchor {index}: {problem}")]
    Anchor {
        /// The anchor's position among the anchors that serve.
        index: usize,
        /// What is wrong with it.
        problem: CertificateProblem,
    },
    /// No path leads from the leaf to a configured anchor.
    #[error("no path to a trust anchor; {dropped} unusable intermediates were left out")]
    UnknownIssuer {
        /// How many certificates of the input were left out because they cannot be part of a path.
        dropped: usize,
    },
    /// There is no trust anchor to end a path.
    #[error("no usable trust anchor is configured for this peer")]
    NoTrustAnchors,
    /// A signature does not verify with the issuer's key.
    #[error("a signature in the path is not by the key of its issuer")]
    InvalidSignature,
    /// A signature is by an algorithm that is not in the caller's list.
    #[error("a signature in the path is by an algorithm that is not accepted")]
    UnsupportedSignatureAlgorithm,
    /// A certificate was given a name that one of its issuers may not certify.
    #[error(
        "a name in the path violates the name constraints of an issuer, or is of a constrained form that is not evaluated"
    )]
    NameConstraintViolation,
    /// There are more intermediates than an issuer's `pathLenConstraint` allows.
    #[error("more intermediates than a pathLenConstraint of the path allows")]
    PathLenExceeded,
    /// The search for a path used up one of its budgets, or a path is longer than six intermediates.
    #[error("the path is too long or the search for it too costly; send a shorter chain")]
    TooComplex,
    /// More certificates than the options allow.
    #[error("more than {limit} certificates in the chain")]
    TooManyCertificates {
        /// The limit that applied.
        limit: usize,
    },
    /// A list that has to be in order is not.
    #[error("certificate {index} is not that of the issuer of the one before it")]
    OutOfOrder {
        /// Its position.
        index: usize,
    },
    /// The certificates together are larger than the options allow.
    #[error("the chain is larger than {limit} octets")]
    ChainTooLarge {
        /// The limit that applied.
        limit: usize,
    },
    /// The path engine refused what the strict parser had accepted.
    #[error("the path engine refused a certificate of the path")]
    RefusedByEngine,
    /// A PEM bundle is malformed.
    #[error("PEM line {line}: {problem}")]
    Pem {
        /// The line, counted from one.
        line: usize,
        /// What is wrong there.
        problem: PemProblem,
    },
}

impl X509Error {
    /// A stable name for operators.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate { problem, .. } => problem.code(),
            Self::Anchor {
                problem: CertificateProblem::Expired,
                ..
            } => "anchor_expired",
            Self::Anchor { .. } => "anchor_unusable",
            Self::UnknownIssuer { .. } => "unknown_issuer",
            Self::NoTrustAnchors => "no_trust_anchors",
            Self::InvalidSignature => "certificate_signature_invalid",
            Self::UnsupportedSignatureAlgorithm => "certificate_algorithm_unsupported",
            Self::NameConstraintViolation => "name_constraint_violation",
            Self::PathLenExceeded => "path_len_exceeded",
            Self::TooComplex => "path_too_complex",
            Self::TooManyCertificates { .. } => "too_many_certificates",
            Self::OutOfOrder { .. } => "chain_out_of_order",
            Self::ChainTooLarge { .. } => "chain_too_large",
            Self::RefusedByEngine => "certificate_refused_by_engine",
            Self::Pem { .. } => "pem_invalid",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Certificate { problem, .. } => problem.fault(),
            Self::Anchor { .. } | Self::NoTrustAnchors | Self::Pem { .. } => Fault::Configuration,
            _ => Fault::Peer,
        }
    }

    /// Whether the same certificates may pass with newer trust anchors.
    #[must_use]
    pub fn refresh_may_help(&self) -> bool {
        matches!(
            self,
            Self::UnknownIssuer { .. } | Self::NoTrustAnchors | Self::Anchor { .. }
        )
    }

    /// The requirement that was enforced, as an id of `docs/conformance`.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::Certificate { problem, .. } => return problem.requirement(),
            Self::Anchor { .. } => "X509-5280.6.1.1-2",
            Self::UnknownIssuer { .. } => "X509-5280.6.1-1",
            Self::NoTrustAnchors => "X509-profile.anchors-2",
            Self::InvalidSignature => "X509-5280.4.1.1.3-1",
            Self::NameConstraintViolation => "X509-5280.4.2.1.10-3",
            Self::PathLenExceeded => "X509-5280.4.2.1.9-3",
            Self::TooComplex => "X509-webpki.budget-1",
            Self::TooManyCertificates { .. } | Self::ChainTooLarge { .. } => "X509-profile.input-1",
            Self::OutOfOrder { .. } => "JWS-4.1.6-1",
            Self::Pem { .. } => "X509-profile.pem-1",
            Self::UnsupportedSignatureAlgorithm | Self::RefusedByEngine => return None,
        })
    }
}

/// What is wrong with one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// Larger than the limit.
    #[error("larger than {limit} octets")]
    TooLarge {
        /// The limit that applied.
        limit: usize,
    },
    /// Not DER, or not of the prescribed form.
    #[error("{field} is not valid DER of the prescribed form")]
    Malformed {
        /// Where.
        field: Field,
    },
    /// Bytes after the end.
    #[error("{field} has data after its end")]
    TrailingData {
        /// Where.
        field: Field,
    },
    /// Nested too deeply.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit that applied.
        limit: usize,
    },
    /// Not version 3.
    #[error("version is not v3")]
    UnsupportedVersion,
    /// The signature algorithms inside and outside the signed part differ.
    #[error("signatureAlgorithm differs from tbsCertificate.signature")]
    SignatureAlgorithmMismatch,
    /// No issuer name.
    #[error("issuer is empty")]
    EmptyIssuer,
    /// No subject name, in a CA certificate or without a critical `subjectAltName`.
    #[error("subject is empty, which only a leaf with a critical subjectAltName may have")]
    EmptySubject,
    /// `issuerUniqueID` or `subjectUniqueID` is there.
    #[error("issuerUniqueID or subjectUniqueID is present")]
    UniqueIdentifier,
    /// A time of the wrong form or of a date that does not exist, or before 1970.
    #[error("{field} is not a valid time")]
    InvalidTime {
        /// Which time.
        field: Field,
    },
    /// It ends before it begins.
    #[error("notBefore is later than notAfter")]
    InvertedValidity,
    /// A kind of key or curve that is not supported.
    #[error("the key is not RSA, P-256, P-384, P-521 or Ed25519")]
    UnsupportedKey,
    /// The parameters of the key algorithm are not the exact ones.
    #[error("the parameters of the key algorithm are not the prescribed ones")]
    KeyParameters,
    /// The key itself is malformed.
    #[error("the key is malformed")]
    InvalidKey,
    /// An RSA key of a bad size or exponent.
    #[error("the RSA key is not of 2048 to 8192 bits with an odd exponent from 65537 below 2^33")]
    WeakKey,
    /// An empty list of extensions.
    #[error("extensions is present and empty")]
    EmptyExtensions,
    /// Too many extensions.
    #[error("more than {limit} extensions")]
    TooManyExtensions {
        /// The limit that applied.
        limit: usize,
    },
    /// An extension is there twice.
    #[error("an extension occurs twice")]
    DuplicateExtension,
    /// A `subjectAltName` without names.
    #[error("subjectAltName is empty")]
    EmptyAlternativeNames,
    /// Too many names in the `subjectAltName`.
    #[error("more than {limit} names in subjectAltName")]
    TooManyNames {
        /// The limit that applied.
        limit: usize,
    },
    /// A name of the `subjectAltName` is malformed.
    #[error("name {index} of subjectAltName is malformed")]
    InvalidAlternativeName {
        /// Its position, from 0.
        index: usize,
    },
    /// An `extKeyUsage` without purposes.
    #[error("extKeyUsage is empty")]
    EmptyExtendedKeyUsage,
    /// A `nameConstraints` without subtrees.
    #[error("nameConstraints has an empty list of subtrees, or none")]
    EmptyNameConstraints,
    /// A critical extension that is not processed.
    #[error("a critical extension is not supported")]
    UnsupportedCriticalExtension,
    /// The time is before `notBefore`.
    #[error("not valid yet")]
    NotYetValid,
    /// The time is after `notAfter`.
    #[error("expired")]
    Expired,
    /// An issuer that is not a CA.
    #[error("issues a certificate and is not a CA")]
    NotCa,
    /// A CA in place of the leaf.
    #[error("is a CA and used as leaf")]
    CaUsedAsLeaf,
    /// An issuer whose `keyUsage` lacks `keyCertSign`.
    #[error("issues a certificate and its keyUsage lacks keyCertSign")]
    KeyCertSignMissing,
    /// An issuer without a `keyUsage` although the options demand one.
    #[error("issues a certificate and has no keyUsage")]
    KeyUsageMissing,
    /// A leaf whose `keyUsage` has `keyCertSign` or `cRLSign`.
    #[error("is a leaf and its keyUsage has keyCertSign or cRLSign")]
    LeafWithCaKeyUsage,
    /// A leaf whose `keyUsage` lacks `digitalSignature`.
    #[error("is a leaf and its keyUsage lacks digitalSignature")]
    DigitalSignatureMissing,
    /// A leaf with `nameConstraints`.
    #[error("is a leaf and has nameConstraints")]
    NameConstraintsInLeaf,
    /// The `extKeyUsage` does not list the purpose asked for, or is missing although required.
    #[error("extKeyUsage does not list the purpose that is asked for")]
    PurposeNotAllowed,
    /// Valid for longer than the options allow.
    #[error("its lifetime is longer than the policy allows")]
    LifetimeTooLong,
    /// About to expire.
    #[error("less lifetime remains than the policy demands")]
    RemainingLifetimeTooShort,
    /// More trust anchors than fit in a group.
    #[error("beyond the limit of {limit} trust anchors")]
    TooManyAnchors {
        /// The limit that applied.
        limit: usize,
    },
    /// The path engine refused what the strict parser had accepted.
    #[error("refused by the path engine")]
    RefusedByEngine,
}

impl CertificateProblem {
    /// A stable name for operators.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "certificate_too_large",
            Self::Malformed { .. } | Self::TrailingData { .. } | Self::TooDeep { .. } => {
                "certificate_malformed"
            }
            Self::UnsupportedVersion => "certificate_version_unsupported",
            Self::SignatureAlgorithmMismatch => "certificate_signature_algorithm_mismatch",
            Self::EmptyIssuer => "certificate_issuer_empty",
            Self::EmptySubject => "certificate_subject_empty",
            Self::UniqueIdentifier => "certificate_unique_identifier",
            Self::InvalidTime { .. } | Self::InvertedValidity => "certificate_validity_malformed",
            Self::UnsupportedKey => "certificate_key_unsupported",
            Self::KeyParameters => "certificate_key_parameters",
            Self::InvalidKey => "certificate_key_malformed",
            Self::WeakKey => "certificate_key_weak",
            Self::EmptyExtensions => "certificate_extensions_empty",
            Self::TooManyExtensions { .. } => "certificate_extensions_too_many",
            Self::DuplicateExtension => "certificate_extension_duplicate",
            Self::EmptyAlternativeNames => "subject_alt_name_empty",
            Self::TooManyNames { .. } => "subject_alt_name_too_many",
            Self::InvalidAlternativeName { .. } => "subject_alt_name_malformed",
            Self::EmptyExtendedKeyUsage => "extended_key_usage_empty",
            Self::EmptyNameConstraints => "name_constraints_empty",
            Self::UnsupportedCriticalExtension => "critical_extension_unsupported",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::Expired => "certificate_expired",
            Self::NotCa => "issuer_not_ca",
            Self::CaUsedAsLeaf => "ca_used_as_leaf",
            Self::KeyCertSignMissing => "key_cert_sign_missing",
            Self::KeyUsageMissing => "ca_key_usage_missing",
            Self::LeafWithCaKeyUsage => "leaf_with_ca_key_usage",
            Self::DigitalSignatureMissing => "digital_signature_missing",
            Self::NameConstraintsInLeaf => "name_constraints_in_leaf",
            Self::PurposeNotAllowed => "extended_key_usage_mismatch",
            Self::LifetimeTooLong => "certificate_lifetime_too_long",
            Self::RemainingLifetimeTooShort => "certificate_remaining_lifetime_too_short",
            Self::TooManyAnchors { .. } => "trust_anchors_too_many",
            Self::RefusedByEngine => "certificate_refused_by_engine",
        }
    }

    /// Whose fault it is, in a certificate that a peer sent.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::KeyUsageMissing
            | Self::PurposeNotAllowed
            | Self::LifetimeTooLong
            | Self::RemainingLifetimeTooShort => Fault::Policy,
            Self::TooManyAnchors { .. } => Fault::Configuration,
            _ => Fault::Peer,
        }
    }

    /// The requirement that was enforced, as an id of `docs/conformance`.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::TooLarge { .. } => "X509-profile.input-1",
            Self::Malformed { field } => field.requirement(),
            Self::TrailingData {
                field: Field::Certificate,
            } => "X509-5280.4.1-1",
            Self::TrailingData { field } => field.requirement(),
            Self::TooDeep { .. } | Self::TooManyExtensions { .. } | Self::TooManyNames { .. } => {
                "X509-profile.fuzz-1"
            }
            Self::UnsupportedVersion => "X509-5280.4.1.2.1-1",
            Self::SignatureAlgorithmMismatch => "X509-5280.4.1.1.2-1",
            Self::EmptyIssuer => "X509-5280.4.1.2.4-1",
            Self::EmptySubject => "X509-5280.4.1.2.6-1",
            Self::UniqueIdentifier => "X509-5280.4.1.2.8-1",
            Self::InvalidTime { .. } => "X509-5280.4.1.2.5-3",
            Self::InvertedValidity | Self::NotYetValid | Self::Expired => "X509-5280.4.1.2.5-1",
            Self::KeyParameters => "X509-5280.4.1.2.7-1",
            Self::UnsupportedKey | Self::InvalidKey | Self::WeakKey => "X509-5280.4.1.2.7-2",
            Self::EmptyExtensions | Self::DuplicateExtension => "X509-5280.4.1.2.9-1",
            Self::EmptyAlternativeNames | Self::InvalidAlternativeName { .. } => {
                "X509-5280.4.2.1.6-1"
            }
            Self::EmptyExtendedKeyUsage | Self::PurposeNotAllowed => "X509-5280.4.2.1.12-1",
            Self::EmptyNameConstraints => "X509-5280.4.2.1.10-2",
            Self::UnsupportedCriticalExtension => "X509-5280.4.2-1",
            Self::NotCa => "X509-5280.4.2.1.9-1",
            Self::CaUsedAsLeaf => "X509-5280.4.2.1.9-2",
            Self::KeyCertSignMissing => "X509-5280.4.2.1.3-2",
            Self::LeafWithCaKeyUsage => "X509-5280.4.2.1.3-3",
            Self::DigitalSignatureMissing => "X509-5280.4.2.1.3-4",
            Self::NameConstraintsInLeaf => "X509-5280.4.2.1.10-1",
            Self::LifetimeTooLong | Self::RemainingLifetimeTooShort => "X509-profile.lifetime-1",
            Self::KeyUsageMissing | Self::TooManyAnchors { .. } | Self::RefusedByEngine => {
                return None;
            }
        })
    }
}

/// A part of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// The whole certificate.
    Certificate,
    /// `tbsCertificate`.
    TbsCertificate,
    /// `signatureAlgorithm`.
    SignatureAlgorithm,
    /// `signatureValue`.
    SignatureValue,
    /// `issuer`.
    Issuer,
    /// `validity`.
    Validity,
    /// `notBefore`.
    NotBefore,
    /// `notAfter`.
    NotAfter,
    /// `subject`.
    Subject,
    /// `subjectPublicKeyInfo`.
    SubjectPublicKeyInfo,
    /// `extensions`.
    Extensions,
    /// `subjectKeyIdentifier`.
    SubjectKeyIdentifier,
    /// `authorityKeyIdentifier`.
    AuthorityKeyIdentifier,
    /// `keyUsage`.
    KeyUsage,
    /// `subjectAltName`.
    SubjectAltName,
    /// `basicConstraints`.
    BasicConstraints,
    /// `nameConstraints`.
    NameConstraints,
    /// `extKeyUsage`.
    ExtendedKeyUsage,
}

impl Field {
    const fn requirement(self) -> &'static str {
        match self {
            Self::SignatureValue => "X509-5280.4.1.1.3-1",
            Self::SubjectPublicKeyInfo => "X509-5280.4.1.2.7-1",
            Self::Extensions => "X509-5280.4.1.2.9-1",
            Self::KeyUsage => "X509-5280.4.2.1.3-1",
            Self::SubjectAltName => "X509-5280.4.2.1.6-1",
            Self::BasicConstraints => "X509-5280.4.2.1.9-4",
            Self::NameConstraints => "X509-5280.4.2.1.10-2",
            _ => "X509-5280.4.1-2",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "the certificate",
            Self::TbsCertificate => "tbsCertificate",
            Self::SignatureAlgorithm => "signatureAlgorithm",
            Self::SignatureValue => "signatureValue",
            Self::Issuer => "issuer",
            Self::Validity => "validity",
            Self::NotBefore => "notBefore",
            Self::NotAfter => "notAfter",
            Self::Subject => "subject",
            Self::SubjectPublicKeyInfo => "subjectPublicKeyInfo",
            Self::Extensions => "extensions",
            Self::SubjectKeyIdentifier => "subjectKeyIdentifier",
            Self::AuthorityKeyIdentifier => "authorityKeyIdentifier",
            Self::KeyUsage => "keyUsage",
            Self::SubjectAltName => "subjectAltName",
            Self::BasicConstraints => "basicConstraints",
            Self::NameConstraints => "nameConstraints",
            Self::ExtendedKeyUsage => "extKeyUsage",
        })
    }
}

/// What is wrong with a PEM bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PemProblem {
    /// The text or one certificate is too large.
    #[error("the text or a certificate is too large")]
    TooLarge,
    /// More certificates than the caller allows.
    #[error("more certificates than allowed")]
    TooMany,
    /// A boundary other than that of a `CERTIFICATE` block.
    #[error("only CERTIFICATE blocks may be here")]
    Label,
    /// Text between the blocks.
    #[error("only white space may stand between blocks")]
    Text,
    /// The body is not strict base64 in lines of at most 76 characters.
    #[error("the body is not strict base64")]
    Base64,
    /// The end of the text within a block.
    #[error("the last block has no end")]
    Unfinished,
    /// No certificate at all.
    #[error("there is no certificate")]
    Empty,
}
