//! Errors: what was wrong, where, whose fault it is and whether trying again can help.

use crate::algorithm::Algorithm;
use crate::binding::BindingError;
use crate::dpop::DpopError;
use crate::json::{JsonError, JsonErrorKind};
use crate::mtls::MtlsError;
use crate::x509::X509Error;

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The peer sent something malformed, forged, expired or of the wrong kind.
    Peer,
    /// What the peer sent is well formed, and a local policy does not allow it.
    Policy,
    /// The caller's own keys, limits or options cannot work.
    Configuration,
    /// A resource outside the input failed; the same call may succeed later.
    Transient,
}

/// Why a key was refused when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyProblem {
    /// The bytes are not the expected structure (JWK, SPKI, PKCS#8 or PEM).
    Malformed,
    /// The key type, curve or its parameters are not supported.
    Unsupported,
    /// A member that the key type demands is missing or has the wrong type or length.
    Member(&'static str),
    /// The point is not on the curve, or is of small order.
    InvalidPoint,
    /// RSA below 2048 bits, above 8192 bits, with an unsafe exponent, or made by a generator whose keys
    /// can be factored (ROCA).
    WeakRsa,
    /// A public key was expected and private or symmetric material was found.
    PrivateMaterial,
    /// `use`, `key_ops` or `alg` contradict each other or the key.
    Inconsistent,
    /// The private and the public half do not belong together.
    Mismatch,
}

impl KeyProblem {
    const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "not a well-formed key",
            Self::Unsupported => "key type, curve or parameters are not supported",
            Self::Member(_) => {
                "a required member is missing, of the wrong type or of the wrong length"
            }
            Self::InvalidPoint => "the point is not a valid point of its curve",
            Self::WeakRsa => {
                "RSA modulus or exponent outside the accepted range (2048 to 8192 bits, odd exponent from 65537), or a modulus that can be factored (ROCA)"
            }
            Self::PrivateMaterial => {
                "private or symmetric key material where a public key is expected"
            }
            Self::Inconsistent => "`use`, `key_ops`, `alg` and the key contradict each other",
            Self::Mismatch => "the private and the public half do not belong together",
        }
    }
}

/// Every way in which this crate refuses something.
///
/// No variant carries a token, a key or a claim value, so an error may be logged as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Input longer than the limit.
    #[error("{what} is longer than the limit of {limit} bytes")]
    TooLarge {
        /// What was too long.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// A JWS JSON serialization where only the compact one is accepted.
    #[error("this is the JWS JSON serialization; send the compact serialization")]
    JsonSerialization,
    /// A byte outside the base64url alphabet and the dot.
    #[error("byte {offset} of the token is not base64url or a dot; send the bare compact token")]
    TokenCharacters {
        /// Offset of the first such byte.
        offset: usize,
    },
    /// Not three segments.
    #[error("a compact JWS has exactly three segments separated by dots")]
    SegmentCount,
    /// Five segments: a JWE.
    #[error("this is an encrypted token (five segments) where a signed one is expected")]
    EncryptedNotSigned,
    /// The signature segment is empty.
    #[error("the signature is empty; unsigned tokens are never accepted")]
    EmptySignature,
    /// Not canonical base64url without padding.
    #[error("the {what} is not canonical base64url without padding")]
    InvalidBase64 {
        /// Which part.
        what: &'static str,
    },
    /// Not strict JSON, or not of the expected shape.
    #[error("the {what} is refused: {source}")]
    Json {
        /// Which part.
        what: &'static str,
        /// What is wrong with it and where.
        source: JsonError,
    },
    /// A header parameter of the wrong JSON type or form.
    #[error("header parameter `{name}` has the wrong type or form")]
    HeaderType {
        /// The parameter.
        name: &'static str,
    },
    /// A required header parameter is missing.
    #[error("header parameter `{name}` is missing")]
    MissingHeader {
        /// The parameter.
        name: &'static str,
    },
    /// `alg` names no algorithm of this crate (this includes `none` and HMAC).
    #[error("header parameter `alg` names no supported asymmetric signature algorithm")]
    UnsupportedAlgorithm,
    /// The algorithm exists, and the caller's policy leaves it out.
    #[error("algorithm {algorithm} is not among the allowed ones")]
    AlgorithmNotAllowed {
        /// The refused algorithm.
        algorithm: Algorithm,
    },
    /// The header's `alg` is not the algorithm of the key.
    #[error("the key is not for algorithm {algorithm}, which the header names")]
    AlgorithmMismatch {
        /// The algorithm that the header names.
        algorithm: Algorithm,
    },
    /// `crit` is empty, malformed, or names something that is absent or standard.
    #[error("header parameter `crit` is malformed")]
    InvalidCritical,
    /// `crit` names an extension that is not understood.
    #[error("header parameter `crit` demands an extension that is not understood here")]
    UnsupportedCritical,
    /// The header carries key material, and the profile does not use it.
    #[error("header parameter `{name}` carries key material, which is not accepted here")]
    HeaderKeyMaterial {
        /// `jwk`, `jku`, `x5c` or `x5u`.
        name: &'static str,
    },
    /// Two parameters of the header lead to different keys.
    #[error("header parameter `{name}` contradicts the key that verifies the token")]
    ContradictoryKeys {
        /// `jwk`, `x5c` or `x5t#S256`.
        name: &'static str,
    },
    /// `b64` is present.
    #[error("header parameter `b64` is present; unencoded payloads are not accepted")]
    UnencodedPayload,
    /// `typ` is not the expected one.
    #[error("header parameter `typ` is not the type that is expected here")]
    WrongType,
    /// A key could not be used.
    #[error("the key is refused: {}", .problem.text())]
    InvalidKey {
        /// Why.
        problem: KeyProblem,
    },
    /// Two keys of one set have the same `kid`.
    #[error("two keys of the set have the same `kid`")]
    DuplicateKid,
    /// More keys than the limit.
    #[error("the key set has more than {limit} keys")]
    TooManyKeys {
        /// The limit.
        limit: usize,
    },
    /// No key of the set fits the token. Refreshing the set may help.
    #[error("no key of the set fits the token; if keys were rotated, refresh the set")]
    UnknownKey,
    /// There is no key set to verify with: none was fetched yet, or the last one is too old.
    #[error("there is no usable key set yet, or it is too old; fetch it")]
    NoKeys,
    /// A key set came as another media type.
    #[error("the key set is neither `application/jwk-set+json` nor `application/json`")]
    WrongMediaType,
    /// The token has no `kid` and more keys fit than may be tried.
    #[error("the token has no `kid` and too many keys fit; the issuer has to set `kid`")]
    AmbiguousKey,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    InvalidSignature,
    /// The signing backend failed.
    #[error("signing failed")]
    SigningFailed,
    /// The backend's random source failed.
    #[error("the random source failed")]
    RandomFailed,
    /// A required claim is missing.
    #[error("claim `{claim}` is missing")]
    MissingClaim {
        /// The claim.
        claim: &'static str,
    },
    /// A claim that this kind of token must not have.
    #[error("claim `{claim}` must not be present in this kind of token")]
    ForbiddenClaim {
        /// The claim.
        claim: &'static str,
    },
    /// A claim of the wrong JSON type, out of range, or empty.
    #[error("claim `{claim}` has the wrong type, is empty or is out of range")]
    ClaimType {
        /// The claim.
        claim: &'static str,
    },
    /// A name with a colon is not a URI, or a name has control characters.
    #[error("claim `{claim}` is no name: one with a colon has to be a URI (RFC 3986)")]
    NotStringOrUri {
        /// The claim.
        claim: &'static str,
    },
    /// The claims are well formed JSON, but not what the caller's type demands.
    #[error("the claims do not have the expected shape")]
    ClaimsShape,
    /// `exp` has passed.
    #[error("the token has expired (claim `exp`)")]
    Expired,
    /// `nbf` lies ahead.
    #[error("the token is not valid yet (claim `nbf`)")]
    NotYetValid,
    /// `iat` lies ahead.
    #[error("the token was issued in the future (claim `iat`); check the clocks")]
    IssuedInFuture,
    /// `exp` is not after `iat` or `nbf`.
    #[error("the times of the token contradict each other (claims `exp`, `iat`, `nbf`)")]
    ContradictoryTimes,
    /// `exp - iat` is above the limit.
    #[error("the token lives longer than the {limit} seconds that are allowed here")]
    LifetimeTooLong {
        /// The limit in seconds.
        limit: u64,
    },
    /// `iat` is too long ago.
    #[error("the token is older than the {limit} seconds that are allowed here (claim `iat`)")]
    TooOld {
        /// The limit in seconds.
        limit: u64,
    },
    /// `iss` is not the expected issuer.
    #[error("claim `iss` is not the expected issuer")]
    IssuerMismatch,
    /// `aud` does not name the recipient.
    #[error("claim `aud` does not name this recipient")]
    AudienceMismatch,
    /// `aud` names more than the recipient.
    #[error("claim `aud` must name this recipient alone")]
    MultipleAudiences,
    /// A sender-constrained token where a bearer token is expected.
    #[error("the token is bound to a key (claim `cnf`) and must not be used as a bearer token")]
    UnexpectedConfirmation,
    /// `cnf` has no usable confirmation method.
    #[error("claim `cnf` has no confirmation method that is understood here")]
    UnusableConfirmation,
    /// The same proof or token was seen before.
    #[error("this token or proof was used before")]
    Replayed,
    /// The replay guard has no room for another entry and does not forget a live one.
    #[error("the replay guard is full; enlarge it or shorten the lifetime of what it guards")]
    ReplayGuardFull,
    /// The replay guard may have forgotten uses of what expires then: it has expired already, or a
    /// clock went back.
    #[error(
        "this expires before a time up to which the replay guard has forgotten; check the clocks"
    )]
    ReplayWindowPassed,
    /// The replay guard's store did not answer.
    #[error("the replay guard did not answer, so nothing can be accepted; try again")]
    ReplayGuardUnavailable,
    /// An option of the caller is outside its range.
    #[error("option `{option}` is outside its range: {range}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// The accepted range.
        range: &'static str,
    },
    /// A certificate or chain was refused.
    #[error(transparent)]
    X509(#[from] X509Error),
    /// A DPoP proof, nonce or answer was refused.
    #[error(transparent)]
    Dpop(#[from] DpopError),
    /// A client's certificate, its registration or a forwarded certificate was refused.
    #[error(transparent)]
    Mtls(#[from] MtlsError),
    /// A token or grant was not used by whom it is bound to, or in the wrong way.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// An encrypted token was refused, or could not be made.
    #[cfg(feature = "jwe")]
    #[error(transparent)]
    Jwe(#[from] crate::jwe::JweError),
}

impl From<KeyProblem> for Error {
    fn from(problem: KeyProblem) -> Self {
        Self::InvalidKey { problem }
    }
}

impl Error {
    /// What a peer may be told: one text for a bad signature, an unknown key and a bad claim, so that an
    /// answer teaches an attacker nothing; another one where trying again later may help. The cause is for
    /// logs.
    #[must_use]
    pub fn public_message(&self) -> &'static str {
        match self.fault() {
            Fault::Transient | Fault::Configuration => "the token cannot be checked now",
            Fault::Peer | Fault::Policy => "the token is not accepted",
        }
    }

    /// A stable name of the cause, for logs, metrics and test vectors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::JsonSerialization => "json_serialization",
            Self::TokenCharacters { .. } => "token_characters",
            Self::SegmentCount => "segment_count",
            Self::EncryptedNotSigned => "encrypted_not_signed",
            Self::EmptySignature => "empty_signature",
            Self::InvalidBase64 { .. } => "invalid_base64",
            Self::Json { source, .. } => source.kind().code(),
            Self::HeaderType { .. } => "header_type",
            Self::MissingHeader { .. } => "missing_header",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::AlgorithmNotAllowed { .. } => "algorithm_not_allowed",
            Self::AlgorithmMismatch { .. } => "algorithm_mismatch",
            Self::InvalidCritical => "invalid_critical",
            Self::UnsupportedCritical => "unsupported_critical",
            Self::HeaderKeyMaterial { .. } => "header_key_material",
            Self::ContradictoryKeys { .. } => "contradictory_keys",
            Self::UnencodedPayload => "unencoded_payload",
            Self::WrongType => "wrong_type",
            Self::InvalidKey {
                problem: KeyProblem::PrivateMaterial,
            } => "private_key_material",
            Self::InvalidKey { .. } => "invalid_key",
            Self::DuplicateKid => "duplicate_kid",
            Self::TooManyKeys { .. } => "too_many_keys",
            Self::UnknownKey => "unknown_key",
            Self::NoKeys => "no_keys",
            Self::WrongMediaType => "wrong_media_type",
            Self::AmbiguousKey => "ambiguous_key",
            Self::InvalidSignature => "invalid_signature",
            Self::SigningFailed => "signing_failed",
            Self::RandomFailed => "random_failed",
            Self::MissingClaim { .. } => "missing_claim",
            Self::ForbiddenClaim { .. } => "forbidden_claim",
            Self::ClaimType { .. } => "claim_type",
            Self::NotStringOrUri { .. } => "not_string_or_uri",
            Self::ClaimsShape => "claims_shape",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::ContradictoryTimes => "contradictory_times",
            Self::LifetimeTooLong { .. } => "lifetime_too_long",
            Self::TooOld { .. } => "too_old",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::AudienceMismatch => "audience_mismatch",
            Self::MultipleAudiences => "multiple_audiences",
            Self::UnexpectedConfirmation => "unexpected_confirmation",
            Self::UnusableConfirmation => "unusable_confirmation",
            Self::Replayed => "replayed",
            Self::ReplayGuardFull => "replay_guard_full",
            Self::ReplayWindowPassed => "replay_window_passed",
            Self::ReplayGuardUnavailable => "replay_guard_unavailable",
            Self::InvalidOption { .. } => "invalid_option",
            Self::X509(error) => error.code(),
            Self::Dpop(error) => error.code(),
            Self::Mtls(error) => error.code(),
            Self::Binding(error) => error.code(),
            #[cfg(feature = "jwe")]
            Self::Jwe(error) => error.code(),
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::AlgorithmNotAllowed { .. }
            | Self::LifetimeTooLong { .. }
            | Self::TooOld { .. }
            | Self::UnexpectedConfirmation => Fault::Policy,
            Self::InvalidOption { .. } => Fault::Configuration,
            Self::SigningFailed
            | Self::RandomFailed
            | Self::ReplayGuardFull
            | Self::ReplayWindowPassed
            | Self::ReplayGuardUnavailable
            | Self::NoKeys => Fault::Transient,
            Self::X509(error) => error.fault(),
            Self::Dpop(error) => error.fault(),
            Self::Mtls(error) => error.fault(),
            Self::Binding(error) => error.fault(),
            #[cfg(feature = "jwe")]
            Self::Jwe(error) => error.fault(),
            _ => Fault::Peer,
        }
    }

    /// Whether fetching the key set or bundle anew may turn this refusal into a success. Not told of an
    /// [`InvalidSignature`](Self::InvalidSignature): for an issuer whose tokens have no `kid`, it may be a new key's.
    #[must_use]
    pub fn refresh_may_help(&self) -> bool {
        match self {
            Self::UnknownKey | Self::NoKeys => true,
            Self::Mtls(error) => error.refresh_may_help(),
            _ => false,
        }
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::TooLarge { .. } => "JWS-impl-limits-1",
            Self::JsonSerialization => "JWS-3.2-1",
            Self::TokenCharacters { .. } => "JWS-8725bis.3.14-1",
            Self::SegmentCount | Self::EncryptedNotSigned => "JWS-3.1-1",
            Self::EmptySignature => "JWS-4.1.1-2",
            Self::InvalidBase64 { .. } => "JWS-2-1",
            Self::Json { source, .. } if source.kind() == JsonErrorKind::DuplicateMember => {
                "JWS-4-2"
            }
            Self::Json { .. } => "JWS-4-1",
            Self::HeaderType { .. } => "JWS-4-4",
            Self::MissingHeader { .. } | Self::UnsupportedAlgorithm => "JWS-4.1.1-1",
            Self::AlgorithmNotAllowed { .. } => "JWS-5.2-3",
            Self::AlgorithmMismatch { .. } => "JWS-4.1.1-3",
            Self::InvalidCritical => "JWS-4.1.11-1",
            Self::UnsupportedCritical => "JWS-4.1.11-2",
            Self::HeaderKeyMaterial { .. } => "JWS-4.1.3-1",
            Self::ContradictoryKeys { .. } => "JWS-6-1",
            Self::UnencodedPayload => "JWS-7797.3-1",
            Self::WrongType => "JWT-8725bis.3.11-4",
            Self::InvalidKey {
                problem: KeyProblem::PrivateMaterial,
            } => "JWKA-7517.5-4",
            Self::InvalidKey { .. } => "JWKA-8725bis.3.4-1",
            Self::DuplicateKid => "JWKA-7517.4.5-1",
            Self::TooManyKeys { .. } => "JWKA-policy-8",
            Self::UnknownKey => "JWS-4.1.4-2",
            Self::NoKeys => "JWKA-policy-7",
            Self::WrongMediaType => "JWKA-7517.8.5-1",
            Self::AmbiguousKey => "JWKA-policy-3",
            Self::InvalidSignature => "JWS-5.2-2",
            Self::MissingClaim { .. } | Self::ForbiddenClaim { .. } | Self::ClaimType { .. } => {
                "JWT-7519.4.1-1"
            }
            Self::NotStringOrUri { .. } => "JWT-7519.2-2",
            Self::ClaimsShape => "JWT-7519.4-1",
            Self::Expired => "JWT-7519.4.1.4-1",
            Self::NotYetValid => "JWT-7519.4.1.5-1",
            Self::IssuedInFuture
            | Self::ContradictoryTimes
            | Self::LifetimeTooLong { .. }
            | Self::TooOld { .. } => "JWT-7519.4.1.6-1",
            Self::IssuerMismatch => "JWT-7519.4.1.1-2",
            Self::AudienceMismatch | Self::MultipleAudiences => "JWT-7519.4.1.3-1",
            Self::UnexpectedConfirmation | Self::UnusableConfirmation => "JWT-7800.3.1-2",
            Self::Replayed | Self::ReplayWindowPassed => "JWT-policy-3",
            Self::ReplayGuardFull => "JWT-policy-4",
            Self::X509(error) => return error.requirement(),
            Self::Dpop(error) => error.requirement(),
            Self::Mtls(error) => error.requirement(),
            Self::Binding(error) => error.requirement(),
            Self::SigningFailed
            | Self::RandomFailed
            | Self::ReplayGuardUnavailable
            | Self::InvalidOption { .. } => return None,
            #[cfg(feature = "jwe")]
            Self::Jwe(error) => return error.requirement(),
        })
    }
}
