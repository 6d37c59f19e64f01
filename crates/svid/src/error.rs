//! Errors: what was wrong with a credential, whose fault it is, and which requirement refused it.

use http::HeaderValue;
use jose_x509::x509::{CertificateProblem, X509Error};
use jose_x509::{Error as JoseError, Fault};

use crate::x509::RequestProblem;

/// The kinds of SVID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Credential {
    /// X509-SVID.
    X509,
    /// JWT-SVID.
    Jwt,
    /// WIT-SVID.
    Wit,
}

impl Credential {
    const fn name(self) -> &'static str {
        match self {
            Self::X509 => "X509-SVID",
            Self::Jwt => "JWT-SVID",
            Self::Wit => "WIT-SVID",
        }
    }

    const fn place(self) -> &'static str {
        match self {
            Self::X509 => "the URI name",
            Self::Jwt | Self::Wit => "claim `sub`",
        }
    }
}

/// Every way in which this crate refuses something. No variant carries a token or a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No certificate was presented.
    #[error("X509-SVID: no certificate was presented")]
    EmptyChain,
    /// The leaf has no URI name: no SPIFFE ID.
    #[error("X509-SVID: the leaf has no URI in subjectAltName, and no other name is an identity")]
    NoUriName,
    /// The leaf has several URI names.
    #[error("X509-SVID: the leaf has several URIs in subjectAltName; it must have exactly one")]
    SeveralUriNames,
    /// The leaf has no key usage, which the strict policy demands.
    #[error("X509-SVID: the leaf has no keyUsage; the issuer has to set digitalSignature")]
    NoKeyUsage,
    /// A signing certificate names a workload, and there is no path without such a one.
    #[error("X509-SVID: intermediate {index} has a SPIFFE ID that is malformed or has a path")]
    IntermediateId {
        /// Its position in the path, the leaf's issuer being 1.
        index: usize,
    },
    /// A certificate or the path is refused.
    #[error("X509-SVID: {0}")]
    X509(X509Error),
    /// Not a SPIFFE ID.
    #[error("{}: {} is not a SPIFFE ID: {source}", .credential.name(), .credential.place())]
    SpiffeId {
        /// The kind of credential.
        credential: Credential,
        /// What is wrong with it.
        source: spiffe_id::Error,
    },
    /// A SPIFFE ID without a path names a trust domain and no workload.
    #[error("{}: the SPIFFE ID in {} has no path and so names no workload", .credential.name(), .credential.place())]
    NoPath {
        /// The kind of credential.
        credential: Credential,
    },
    /// There is no bundle for the trust domain of the SPIFFE ID.
    #[error("{}: there is no bundle for the trust domain of {}", .credential.name(), .credential.place())]
    NoBundle {
        /// The kind of credential.
        credential: Credential,
    },
    /// The bundle has no key for this kind of SVID.
    #[error("{}: the bundle of the trust domain has no authority for this kind of SVID", .credential.name())]
    NoAuthorities {
        /// The kind of credential.
        credential: Credential,
    },
    /// The token is refused: structure, key, signature or claims.
    #[error("{}: {source}", .credential.name())]
    Token {
        /// JWT-SVID or WIT-SVID.
        credential: Credential,
        /// Why.
        source: JoseError,
    },
    /// A header parameter besides `alg`, `kid` and `typ`.
    #[error("JWT-SVID: the header may have `alg`, `kid` and `typ` alone")]
    HeaderParameter,
    /// The WIT or its proof is refused.
    #[error("WIT-SVID: {0}")]
    Wimse(wimse::Error),
    /// The confirmation key is not for one of the algorithms of WIT-SVID.
    #[error("WIT-SVID: `cnf.jwk.alg` is not one of the signature algorithms of WIT-SVID")]
    ConfirmationAlgorithm,
    /// The subject is outside the issuer's trust domain.
    #[error("{}: the subject is not a member of the issuer's trust domain", .credential.name())]
    ForeignSubject {
        /// The kind of credential.
        credential: Credential,
    },
    /// The signing key cannot sign this kind.
    #[error("{}: the signing key has no `kid` or an algorithm that this kind does not have", .credential.name())]
    SigningKey {
        /// The kind of credential.
        credential: Credential,
    },
    /// A private key and a certificate do not belong together.
    #[error("X509-SVID: the private key is not that of the certificate")]
    KeyMismatch,
    /// A CA certificate has another name than its trust domain's SPIFFE ID, or several.
    #[error("X509-SVID: the CA certificate has URI names, and not that of its trust domain alone")]
    AuthorityName,
    /// The CA certificate is not valid at this time.
    #[error("X509-SVID: the certificate of the CA is not valid at this time")]
    AuthorityNotValid,
    /// A CA certificate does not allow the CA that is to be issued below it.
    #[error("X509-SVID: `pathLenConstraint` of the CA allows no such CA below it")]
    PathLen,
    /// A certificate that was asked for, and that every validator would refuse.
    #[error("X509-SVID: not signed, because no validator would accept it: {0}")]
    Unacceptable(X509Error),
    /// A certification request is refused.
    #[error("certification request: {problem}")]
    Request {
        /// What is wrong with it.
        problem: RequestProblem,
    },
    /// The request does not carry exactly one bearer token.
    #[error(
        "JWT-SVID: the request needs one `Authorization` field with the scheme `Bearer` and one token"
    )]
    BearerCredential,
    /// The token would leave the machine unprotected.
    #[error(
        "the target is neither `https` nor on this machine: the token would be readable on its way"
    )]
    InsecureTarget,
    /// An audience that stands for a whole trust domain.
    #[error("JWT-SVID: an audience is a trust domain; name the service that the token is for")]
    BroadAudience,
    /// A claim that the issuer sets itself, or never.
    #[error("claim `{claim}` is not for the caller to set")]
    ReservedClaim {
        /// The claim.
        claim: &'static str,
    },
    /// An issuer's name that OpenID Connect could resolve.
    #[error("WIT-SVID: `iss` under http or https would look like that of an ID token")]
    DiscoverableIssuer,
    /// A token without `nbf` where its lifespan is bounded.
    #[error("WIT-SVID: without claim `nbf` its lifespan is unknown, and this verifier bounds it")]
    UnknownLifespan,
    /// A private key and the token's confirmation key do not belong together.
    #[error("WIT-SVID: the private key is not that of claim `cnf`, or for another algorithm")]
    ConfirmationKeyMismatch,
    /// A certificate could not be encoded.
    #[error("X509-SVID: the certificate could not be encoded")]
    Encoding,
    /// An option of the caller is outside its range.
    #[error("option `{option}` is outside its range: {range}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// The accepted range.
        range: &'static str,
    },
}

impl Error {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EmptyChain => "empty_chain",
            Self::NoUriName => "no_uri_name",
            Self::SeveralUriNames => "several_uri_names",
            Self::NoKeyUsage => "no_key_usage",
            Self::IntermediateId { .. } => "intermediate_id",
            Self::X509(source) => source.code(),
            Self::SpiffeId { .. } => "spiffe_id",
            Self::NoPath { .. } => "spiffe_id_without_path",
            Self::NoBundle { .. } => "no_bundle",
            Self::NoAuthorities { .. } => "no_authorities",
            Self::Token { source, .. } => source.code(),
            Self::HeaderParameter => "header_parameter",
            Self::Wimse(source) => source.code(),
            Self::ConfirmationAlgorithm => "confirmation_algorithm",
            Self::ForeignSubject { .. } => "foreign_subject",
            Self::SigningKey { .. } => "signing_key",
            Self::KeyMismatch => "key_mismatch",
            Self::AuthorityName => "authority_name",
            Self::AuthorityNotValid => "authority_not_valid",
            Self::Unacceptable(_) => "unacceptable_certificate",
            Self::PathLen => "path_len",
            Self::Request { problem } => problem.code(),
            Self::BearerCredential => "bearer_credential",
            Self::InsecureTarget => "insecure_target",
            Self::BroadAudience => "broad_audience",
            Self::ReservedClaim { .. } => "reserved_claim",
            Self::DiscoverableIssuer => "discoverable_issuer",
            Self::UnknownLifespan => "unknown_lifespan",
            Self::ConfirmationKeyMismatch => "confirmation_key_mismatch",
            Self::Encoding => "encoding",
            Self::InvalidOption { .. } => "invalid_option",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::X509(source) => source.fault(),
            Self::Token { source, .. } => source.fault(),
            Self::Wimse(source) => source.fault(),
            Self::NoBundle { .. }
            | Self::NoAuthorities { .. }
            | Self::NoKeyUsage
            | Self::UnknownLifespan => Fault::Policy,
            Self::ForeignSubject { .. }
            | Self::SigningKey { .. }
            | Self::KeyMismatch
            | Self::AuthorityName
            | Self::AuthorityNotValid
            | Self::PathLen
            | Self::Unacceptable(_)
            | Self::InsecureTarget
            | Self::BroadAudience
            | Self::ReservedClaim { .. }
            | Self::DiscoverableIssuer
            | Self::ConfirmationKeyMismatch
            | Self::Encoding
            | Self::InvalidOption { .. } => Fault::Configuration,
            _ => Fault::Peer,
        }
    }

    /// Whether fetching the bundle of the trust domain anew may help.
    #[must_use]
    pub fn refresh_may_help(&self) -> bool {
        match self {
            Self::NoBundle { .. } | Self::NoAuthorities { .. } => true,
            Self::X509(source) => source.refresh_may_help(),
            Self::Token { source, .. } => source.refresh_may_help(),
            Self::Wimse(source) => source.refresh_may_help(),
            _ => false,
        }
    }

    /// The value of `WWW-Authenticate` with which to refuse a request (401) that had to carry a JWT-SVID;
    /// nothing where the fault is not the peer's.
    #[must_use]
    pub fn challenge(&self) -> Option<HeaderValue> {
        match self {
            Self::BearerCredential => Some(HeaderValue::from_static("Bearer")),
            _ if matches!(self.fault(), Fault::Peer | Fault::Policy) => {
                Some(HeaderValue::from_static("Bearer error=\"invalid_token\""))
            }
            _ => None,
        }
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        use Credential as C;
        Some(match self {
            Self::EmptyChain => "X509-SVID-5.1-1",
            Self::NoUriName => "X509-SVID-2-4",
            Self::SeveralUriNames => "X509-SVID-2-3",
            Self::NoKeyUsage => "X509-SVID-4.3-7",
            Self::IntermediateId { .. } => "X509-SVID-3.2-4",
            Self::X509(X509Error::Certificate { index: 0, problem }) => match problem {
                CertificateProblem::CaUsedAsLeaf => "X509-SVID-5.2-1",
                CertificateProblem::LeafWithCaKeyUsage => "X509-SVID-5.2-2",
                CertificateProblem::DigitalSignatureMissing => "X509-SVID-4.3-7",
                CertificateProblem::PurposeNotAllowed => "X509-SVID-4.4-4",
                CertificateProblem::NameConstraintsInLeaf => "X509-SVID-4.2-3",
                _ => return problem.requirement(),
            },
            Self::X509(X509Error::UnknownIssuer { .. }) => "X509-SVID-5.1-2",
            Self::X509(X509Error::NameConstraintViolation) => "X509-SVID-4.2-2",
            Self::X509(X509Error::PathLenExceeded) => "X509-SVID-4.1-1",
            Self::X509(source) => return source.requirement(),
            Self::SpiffeId { credential, .. } => match credential {
                C::X509 => "X509-SVID-2-6",
                C::Jwt => "JWT-SVID-3.1-2",
                C::Wit => "WIT-SVID-3.1-2",
            },
            Self::NoPath { credential } => match credential {
                C::X509 => "X509-SVID-5.2-5",
                C::Jwt => "JWT-SVID-3.1-2",
                C::Wit => "WIT-SVID-3.1-2",
            },
            Self::NoBundle { credential } => match credential {
                C::X509 => "X509-SVID-5.1-3",
                C::Jwt => "JWT-SVID-4-7",
                C::Wit => "WIT-SVID-4-4",
            },
            Self::NoAuthorities { credential } => match credential {
                C::X509 => "X509-SVID-6.2-5",
                C::Jwt => "JWT-SVID-6.2-2",
                C::Wit => "WIT-SVID-6.2-2",
            },
            Self::Token { credential, source } => {
                return token_requirement(*credential, source).or_else(|| source.requirement());
            }
            Self::HeaderParameter => "JWT-SVID-2-2",
            Self::Wimse(wimse::Error::Token {
                token: wimse::Token::Wit,
                source,
            }) => return token_requirement(C::Wit, source).or_else(|| source.requirement()),
            Self::Wimse(source) => return source.requirement(),
            Self::ConfirmationAlgorithm => "WIT-SVID-3.2-4",
            Self::ForeignSubject {
                credential: C::X509,
            } => "X509-SVID-3.2-5",
            Self::PathLen => "X509-SVID-4.1-1",
            Self::AuthorityName => "X509-SVID-3.2-2",
            Self::Unacceptable(source) => return source.requirement(),
            Self::Request {
                problem: RequestProblem::SeveralUriNames,
            } => "X509-SVID-2-2",
            Self::BearerCredential => "JWT-SVID-5.2-2",
            Self::InsecureTarget => "JWT-SVID-7.3-1",
            Self::BroadAudience => "JWT-SVID-3.2-6",
            Self::ReservedClaim { claim: "aud" } => "WIT-SVID-3.8-1",
            Self::DiscoverableIssuer => "WIT-SVID-3.7-2",
            Self::UnknownLifespan => "WIT-SVID-3.5-3",
            Self::ConfirmationKeyMismatch => "WIT-SVID-3.2-5",
            Self::ForeignSubject { .. }
            | Self::SigningKey { .. }
            | Self::KeyMismatch
            | Self::AuthorityNotValid
            | Self::Request { .. }
            | Self::ReservedClaim { .. }
            | Self::Encoding
            | Self::InvalidOption { .. } => return None,
        })
    }
}

fn token_requirement(credential: Credential, source: &JoseError) -> Option<&'static str> {
    let (jwt, wit) = match source {
        JoseError::UnsupportedAlgorithm | JoseError::AlgorithmNotAllowed { .. } => {
            ("JWT-SVID-2.1-2", "WIT-SVID-2.3-2")
        }
        JoseError::WrongType => ("JWT-SVID-2.3-2", "WIT-SVID-2.2-2"),
        JoseError::UnknownKey => ("JWT-SVID-2.2-3", "WIT-SVID-2.1-5"),
        JoseError::MissingHeader { name: "kid" } => ("JWT-SVID-2.2-3", "WIT-SVID-2.1-2"),
        JoseError::AlgorithmMismatch { .. } => ("JWT-SVID-4-8", "WIT-SVID-4-4"),
        JoseError::InvalidSignature => ("JWT-SVID-4-2", "WIT-SVID-4-4"),
        JoseError::Expired => ("JWT-SVID-4-3", "WIT-SVID-3.4-3"),
        JoseError::NotYetValid => ("JWT-SVID-4-5", "WIT-SVID-3.5-2"),
        JoseError::MissingClaim { claim: "exp" } | JoseError::ClaimType { claim: "exp" } => {
            ("JWT-SVID-3.3-2", "WIT-SVID-3.4-2")
        }
        JoseError::MissingClaim { claim: "aud" } | JoseError::ClaimType { claim: "aud" } => {
            ("JWT-SVID-3.2-2", "WIT-SVID-3.8-2")
        }
        JoseError::ForbiddenClaim { claim: "aud" } => ("JWT-SVID-3.2-2", "WIT-SVID-3.8-2"),
        JoseError::AudienceMismatch => ("JWT-SVID-3.2-3", "WIT-SVID-3.8-2"),
        JoseError::MultipleAudiences => ("JWT-SVID-A7", "WIT-SVID-3.8-2"),
        JoseError::AmbiguousKey => ("JWT-SVID-2.2-2", "WIT-SVID-2.1-5"),
        JoseError::LifetimeTooLong { .. } => ("JWT-SVID-3.3-3", "WIT-SVID-3.5-3"),
        JoseError::MissingClaim { claim: "sub" } | JoseError::ClaimType { claim: "sub" } => {
            ("JWT-SVID-3.1-2", "WIT-SVID-3.1-2")
        }
        JoseError::MissingClaim { claim: "cnf" } => ("JWT-SVID-3-3", "WIT-SVID-3.2-2"),
        _ => return None,
    };
    match credential {
        Credential::Jwt => Some(jwt),
        Credential::Wit => Some(wit),
        Credential::X509 => None,
    }
}
