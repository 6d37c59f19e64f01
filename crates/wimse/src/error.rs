//! Errors of credentials and proofs, and how to answer them over HTTP.

use std::fmt;

use http::{HeaderValue, StatusCode};
use jose_x509::{Error as JoseError, Fault};

use crate::httpsig::SignatureError;
use crate::mtls::CertificateError;

/// Which token an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Token {
    /// The Workload Identity Token.
    Wit,
    /// The Workload Proof Token.
    Wpt,
}

impl Token {
    const fn name(self) -> &'static str {
        match self {
            Self::Wit => "WIT",
            Self::Wpt => "WPT",
        }
    }
}

/// What is wrong with a Workload Identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentifierProblem {
    /// Not an absolute URI with an authority.
    NotAbsolute,
    /// Empty authority, or one outside host syntax.
    TrustDomain,
    /// User information or a port in the authority.
    UserInfoOrPort,
    /// A query or a fragment.
    QueryOrFragment,
    /// A character that a URI path cannot have, or a malformed percent escape.
    Path,
    /// More than 2048 bytes.
    TooLong,
    /// An IP address as trust domain.
    IpAddress,
    /// The scheme is `spiffe`, and it is no SPIFFE ID.
    Spiffe {
        /// The rule of SPIFFE IDs that is broken.
        rule: spiffe_id::Error,
    },
    /// A trust domain alone, where a workload has to be named.
    NoWorkload,
    /// More than a scheme and a trust domain, where these are configured.
    NotOrigin,
    /// An issuer's trust domain in upper case.
    UpperCase,
}

/// Nothing of the identifier is shown.
impl fmt::Display for IdentifierProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spiffe { rule } => return write!(f, "not a SPIFFE ID (rule `{}`)", rule.code()),
            Self::NotAbsolute => "not an absolute URI `scheme://trust-domain/path`",
            Self::TrustDomain => "the trust domain is empty or not a host name",
            Self::UserInfoOrPort => "user information and ports are not allowed",
            Self::QueryOrFragment => "queries and fragments are not allowed",
            Self::Path => "the path has a character that is not allowed in a URI",
            Self::TooLong => "longer than 2048 bytes",
            Self::IpAddress => "an IP address cannot be a trust domain",
            Self::NoWorkload => "it is a trust domain alone; a workload has a path behind it",
            Self::NotOrigin => {
                "a trust domain is configured as `scheme://trust-domain`, without a path"
            }
            Self::UpperCase => "scheme and trust domain of an issuer have to be in lower case",
        })
    }
}

impl IdentifierProblem {
    /// The requirement (an id of `docs/conformance`) that is broken.
    pub(crate) const fn requirement(self) -> &'static str {
        match self {
            Self::Spiffe { .. } | Self::UpperCase => "WIMSE-WIT-ID-4.2-1",
            Self::NoWorkload => "WIMSE-WIT-ID-4.5-1",
            _ => "WIMSE-WIT-ID-4.1-1",
        }
    }
}

/// Every way in which this crate refuses something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token itself is refused: structure, type, key, signature or registered claim.
    #[error("{}: {source}", .token.name())]
    Token {
        /// Which token.
        token: Token,
        /// Why.
        source: JoseError,
    },
    /// What names a workload, or a trust domain in configuration, does not do so.
    #[error("Workload Identifier (claim `sub` of a WIT, or configured): {problem}")]
    Identifier {
        /// What is wrong with it.
        problem: IdentifierProblem,
    },
    /// The subject's trust domain has no configured anchors.
    #[error("WIT: the trust domain of claim `sub` is not configured here")]
    UnknownTrustDomain,
    /// `iss` is not one of the issuers configured for the trust domain.
    #[error("WIT: claim `iss` is not an issuer of the trust domain of `sub`")]
    UnknownIssuer,
    /// `exp` is further ahead than the verifier accepts.
    #[error("{}: claim `exp` lies more than {limit} seconds ahead", .token.name())]
    LivesTooLong {
        /// Which token.
        token: Token,
        /// The limit in seconds.
        limit: u64,
    },
    /// `zip` in the header.
    #[error("{}: header parameter `zip` is not allowed", .token.name())]
    Compressed {
        /// Which token.
        token: Token,
    },
    /// `cnf.jwk` without `alg`, or `cnf` without `jwk`.
    #[error("WIT: claim `cnf` has to hold one public `jwk` with `alg`")]
    ConfirmationKey,
    /// A WIT is to be issued for longer than the issuer allows, or for no time.
    #[error("WIT: the lifetime is above the issuer's maximum of {limit} seconds, or zero")]
    IssueLifetime {
        /// The limit in seconds.
        limit: u64,
    },
    /// No `Workload-Identity-Token` field, or several.
    #[error("the request has to carry exactly one `{field}` field")]
    FieldCount {
        /// The field.
        field: &'static str,
    },
    /// A field that is not plain visible ASCII.
    #[error("the value of a token field is not visible ASCII")]
    FieldValue,
    /// `Authorization` is not of the scheme `WPT`.
    #[error("the request is not authenticated with the scheme `WPT`; a WIT alone proves nothing")]
    NotWptScheme,
    /// The proof uses another algorithm than `cnf.jwk.alg`.
    #[error("WPT: `alg` is not the `cnf.jwk.alg` of the WIT")]
    ProofAlgorithm,
    /// `wth` is not the hash of the WIT in the request.
    #[error("WPT: claim `wth` is not the hash of the WIT in this request")]
    WitHash,
    /// `aud` is not this request's target.
    #[error("WPT: claim `aud` is not the target of this request under a configured authority")]
    Audience,
    /// `tth` is missing, superfluous or wrong.
    #[error("WPT: claim `tth` does not match the `Txn-Token` field of this request")]
    TransactionTokenHash,
    /// `oth` is missing, superfluous, malformed or wrong.
    #[error("WPT: claim `oth` does not match the context tokens of this request")]
    OtherTokenHash,
    /// A claim of the proof is missing or malformed.
    #[error("WPT: claim `{claim}` is missing or malformed")]
    Claim {
        /// The claim.
        claim: &'static str,
    },
    /// The proof was used before, or the guard has no room.
    #[error("WPT: {0}")]
    Replay(JoseError),
    /// The message signature is refused or cannot be made.
    #[error("HTTP message signature: {0}")]
    Signature(#[from] SignatureError),
    /// The peer's certificate is refused.
    #[error("workload identity certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The target of a proof is not `https`.
    #[error("WPT: the target is not https, so nothing authenticates the server that gets the WIT")]
    InsecureTarget,
    /// The target of a proof or a signed request has user information.
    #[error("the target has user information (`user@` before the host), which may not be sent")]
    TargetUserInfo,
    /// The WIT is not one for this holder and its key.
    #[error("WIT: claim `{claim}` is not that of this holder")]
    NotForHolder {
        /// The claim.
        claim: &'static str,
    },
    /// The naming policy of the issuer does not allow the identifier.
    #[error("the naming policy of the issuer does not allow this Workload Identifier")]
    NameRefused,
    /// The identifier belongs to another workload.
    #[error("the Workload Identifier belongs to another workload of the trust domain")]
    NameTaken,
    /// The identifier belongs to no workload.
    #[error("the Workload Identifier is not registered with the issuer")]
    NotRegistered,
    /// The key belongs to another identifier or instance.
    #[error("the key is in use by another workload or instance; make a new one")]
    KeyInUse,
    /// The ledger of an issuer has no room.
    #[error("the issuer's ledger is full")]
    LedgerFull,
    /// The route demands more evidence of its caller.
    #[error("this route demands a {evidence} of its caller")]
    EvidenceMissing {
        /// `certificate` or `proof`.
        evidence: &'static str,
    },
    /// The caller has to present a WIT with its proof.
    #[error("this caller has to present a WIT with its proof, not a bearer token")]
    BearerNotAccepted,
    /// The authenticated caller is not the one that the request claimed to be from.
    #[error(
        "the authenticated caller is not the one for which the way of authentication was chosen"
    )]
    OtherCaller,
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
            Self::Token { source, .. } | Self::Replay(source) => source.code(),
            Self::Identifier { .. } => "workload_identifier",
            Self::UnknownTrustDomain => "unknown_trust_domain",
            Self::UnknownIssuer => "issuer_mismatch",
            Self::LivesTooLong { .. } => "lifetime_too_long",
            Self::Compressed { .. } => "compressed",
            Self::ConfirmationKey => "confirmation_key",
            Self::IssueLifetime { .. } => "issue_lifetime",
            Self::FieldCount { .. } => "field_count",
            Self::FieldValue => "field_value",
            Self::NotWptScheme => "not_wpt_scheme",
            Self::ProofAlgorithm => "proof_algorithm",
            Self::WitHash => "wit_hash",
            Self::Audience => "audience_mismatch",
            Self::TransactionTokenHash => "transaction_token_hash",
            Self::OtherTokenHash => "other_token_hash",
            Self::Claim { .. } => "claim",
            Self::Signature(source) => source.code(),
            Self::Certificate(source) => source.code(),
            Self::InsecureTarget => "insecure_target",
            Self::TargetUserInfo => "target_user_info",
            Self::NotForHolder { .. } => "not_for_holder",
            Self::NameRefused => "name_refused",
            Self::NameTaken => "name_taken",
            Self::NotRegistered => "not_registered",
            Self::KeyInUse => "key_in_use",
            Self::LedgerFull => "ledger_full",
            Self::EvidenceMissing { .. } => "evidence_missing",
            Self::BearerNotAccepted => "bearer_not_accepted",
            Self::OtherCaller => "other_caller",
            Self::InvalidOption { .. } => "invalid_option",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Token { source, .. } | Self::Replay(source) => source.fault(),
            Self::Signature(source) => source.fault(),
            Self::Certificate(source) => source.fault(),
            Self::UnknownTrustDomain
            | Self::UnknownIssuer
            | Self::LivesTooLong { .. }
            | Self::NameRefused
            | Self::EvidenceMissing { .. }
            | Self::BearerNotAccepted => Fault::Policy,
            Self::Identifier {
                problem: IdentifierProblem::NotOrigin | IdentifierProblem::UpperCase,
            }
            | Self::IssueLifetime { .. }
            | Self::InsecureTarget
            | Self::TargetUserInfo
            | Self::InvalidOption { .. } => Fault::Configuration,
            Self::LedgerFull => Fault::Transient,
            _ => Fault::Peer,
        }
    }

    /// Whether fetching the trust domain's keys anew may help.
    #[must_use]
    pub fn refresh_may_help(&self) -> bool {
        match self {
            Self::Token {
                token: Token::Wit,
                source,
            } => source.refresh_may_help(),
            Self::Certificate(source) => source.refresh_may_help(),
            _ => false,
        }
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::Token {
                token: Token::Wit,
                source,
            } => match source {
                JoseError::WrongType => "WIMSE-WIT-5.1.4-3",
                JoseError::InvalidSignature
                | JoseError::UnknownKey
                | JoseError::AlgorithmMismatch { .. } => "WIMSE-WIT-5.1.4-4",
                JoseError::AmbiguousKey => "WIMSE-WIT-3-7",
                JoseError::AlgorithmNotAllowed { .. } => "WIMSE-WIT-3-8",
                JoseError::Expired
                | JoseError::NotYetValid
                | JoseError::MissingClaim { claim: "exp" } => "WIMSE-WIT-5.1.4-5",
                JoseError::MissingClaim { claim: "cnf" } | JoseError::InvalidKey { .. } => {
                    "WIMSE-WIT-5.1.4-6"
                }
                JoseError::MissingClaim { claim: "sub" }
                | JoseError::ClaimType { claim: "sub" } => "WIMSE-WIT-4-2",
                other => return other.requirement(),
            },
            Self::Token { source, .. } => match source {
                JoseError::WrongType => "WIMSE-WPT-2-23",
                JoseError::InvalidSignature => "WIMSE-WPT-2-22",
                JoseError::Expired | JoseError::MissingClaim { claim: "exp" } => "WIMSE-WPT-2-25",
                other => return other.requirement(),
            },
            Self::Identifier { problem } => problem.requirement(),
            Self::UnknownTrustDomain => "WIMSE-WIT-ID-7-2",
            Self::UnknownIssuer => "WIMSE-WIT-5.1.3-3",
            Self::LivesTooLong {
                token: Token::Wit, ..
            } => "WIMSE-WIT-5.1.4-7",
            Self::LivesTooLong { .. } => "WIMSE-WPT-2-26",
            Self::Compressed { .. } => "WIMSE-WIT-3-9",
            Self::ConfirmationKey => "WIMSE-WIT-5.1.4-6",
            Self::IssueLifetime { .. } => "WIMSE-WIT-5.1-9",
            Self::FieldCount { .. } => "WIMSE-WIT-5.1.1-4",
            Self::FieldValue => "WIMSE-WPT-2-33",
            Self::NotWptScheme => "WIMSE-WPT-2-19",
            Self::ProofAlgorithm => "WIMSE-WPT-2-21",
            Self::WitHash => "WIMSE-WPT-2-27",
            Self::Audience => "WIMSE-WPT-2-24",
            Self::TransactionTokenHash => "WIMSE-WPT-2-29",
            Self::OtherTokenHash => "WIMSE-WPT-2-31",
            Self::Claim { claim: "jti" } => "WIMSE-WPT-2-10",
            Self::Claim { claim: "aud" } => "WIMSE-WPT-2-8",
            Self::Claim { .. } => "WIMSE-WPT-4.1-1",
            Self::Replay(_) => "WIMSE-WPT-2-28",
            Self::Signature(source) => return source.requirement(),
            Self::Certificate(source) => return source.requirement(),
            Self::InsecureTarget => "WIMSE-WPT-3.1.1-1",
            Self::NotForHolder { .. } => "WIMSE-WIT-9.4-1",
            Self::NameRefused => "WIMSE-MTLS-5-14",
            Self::NameTaken | Self::NotRegistered => "WIMSE-WIT-ID-4.3-4",
            Self::KeyInUse => "WIMSE-MTLS-5-9",
            Self::EvidenceMissing { .. } => "WIMSE-MTLS-5-11",
            Self::BearerNotAccepted | Self::OtherCaller => "WIMSE-WIT-5.3-1",
            Self::LedgerFull | Self::TargetUserInfo | Self::InvalidOption { .. } => return None,
        })
    }

    /// The status of a response to a request that was refused under the WPT scheme: 401 for whatever
    /// concerns the credentials, 500 and 503 for what is not the peer's doing.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.fault() {
            Fault::Configuration => StatusCode::INTERNAL_SERVER_ERROR,
            Fault::Transient => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// The status wherever no authentication scheme is in use, so that 401 has no meaning: for a message signature, for
    /// a WIT alone, and for the older field form of the WPT. 400 for what the peer did, 501 for a required
    /// signature of a response without a key for it.
    #[must_use]
    pub fn status_without_challenge(&self) -> StatusCode {
        match self {
            Self::Signature(SignatureError::NoSigner) => StatusCode::NOT_IMPLEMENTED,
            Self::Signature(SignatureError::Streaming) => StatusCode::BAD_REQUEST,
            _ => match self.fault() {
                Fault::Configuration => StatusCode::INTERNAL_SERVER_ERROR,
                Fault::Transient => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            },
        }
    }

    /// The body of an `application/problem+json` response (RFC 9457). `type` is `types` followed by
    /// [`Error::code`], such as `https://docs.example.com/errors/` and `expired`. Nothing in it comes from the
    /// request.
    #[must_use]
    pub fn problem(&self, status: StatusCode, types: &str) -> String {
        serde_json::json!({
            "type": format!("{types}{}", self.code()),
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": self.to_string(),
        })
        .to_string()
    }
}

/// The media type of [`Error::problem`].
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// The value of `WWW-Authenticate` beside a 401: the challenge `WPT`, without parameters.
#[must_use]
pub fn challenge() -> HeaderValue {
    HeaderValue::from_static("WPT")
}
