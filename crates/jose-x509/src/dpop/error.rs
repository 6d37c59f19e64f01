//! What can be wrong with a proof, a nonce or an answer that speaks of them.

use crate::error::Fault;

/// Why a URI was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UriProblem {
    /// Longer than [`MAX_HTU`](super::MAX_HTU).
    TooLong,
    /// A byte that no URI has, such as a space, a backslash or one outside ASCII; or a `%` without two
    /// hexadecimal digits.
    Characters,
    /// Not an absolute `http` or `https` URI.
    Scheme,
    /// User information, as in `https://good@evil`.
    UserInformation,
    /// The host is empty, is not a name or an IP address, or is written in more than one way.
    Host,
    /// The port is no number up to 65535.
    Port,
    /// A request target that is not a path.
    RequestTarget,
}

impl UriProblem {
    const fn text(self) -> &'static str {
        match self {
            Self::TooLong => "longer than 2048 bytes",
            Self::Characters => "has a character that no URI has",
            Self::Scheme => "not an absolute http or https URI",
            Self::UserInformation => "has user information",
            Self::Host => "the host is no name and no IP address in its usual form",
            Self::Port => "the port is no number up to 65535",
            Self::RequestTarget => "a request target has to start with a slash",
        }
    }
}

/// Why a proof, a nonce or an answer was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DpopError {
    /// The request has no `DPoP` field, and needs one.
    #[error("the request has no DPoP field; send a proof")]
    MissingProof,
    /// The request has several `DPoP` fields, or several values in one.
    #[error("the request has more than one DPoP proof; send exactly one")]
    MultipleProofs,
    /// The header has something else than `typ`, `alg` and `jwk`.
    #[error("the header of a proof has `typ`, `alg` and `jwk` and nothing else")]
    UnexpectedParameter,
    /// `htm` is not the request's method, letter by letter.
    #[error("claim `htm` is not the method of the request")]
    WrongMethod,
    /// `htu` is not the request's target.
    #[error("claim `htu` is not the URI of the request without query and fragment")]
    WrongTarget,
    /// `ath` is not the hash of the access token of the request.
    #[error("claim `ath` is not the hash of the access token that came along")]
    WrongTokenHash,
    /// The proof's key is not the one that the access token is bound to.
    #[error("the proof is by another key than the one that the token is bound to")]
    KeyMismatch,
    /// A nonce is demanded and the proof has none.
    #[error("claim `nonce` is missing; use the value of the DPoP-Nonce field")]
    NonceRequired,
    /// The nonce was never given, or too long ago.
    #[error("claim `nonce` is not a current nonce; use the value of the DPoP-Nonce field")]
    NonceRejected,
    /// Text that is no nonce.
    #[error("a nonce has 1 to 512 printable ASCII characters without space, quote and backslash")]
    InvalidNonce,
    /// A response has several `DPoP-Nonce` fields.
    #[error("the response has more than one DPoP-Nonce field")]
    MultipleNonces,
    /// A server demands a nonce without giving one.
    #[error("the server demands a nonce and gives none (field DPoP-Nonce)")]
    NonceNotGiven,
    /// A server demands a nonce again, right after one was used.
    #[error("the server demands a nonce again after it got the one it gave")]
    NonceLoop,
    /// A token response without `token_type` `DPoP`.
    #[error("the access token is not bound to the proof's key (`token_type` is not `DPoP`)")]
    TokenNotBound,
    /// A `WWW-Authenticate` field that cannot be read.
    #[error("the WWW-Authenticate field is malformed or has a parameter twice")]
    InvalidChallenge,
    /// A URI that cannot be compared.
    #[error("the {what} is refused: {}", .problem.text())]
    Uri {
        /// Which URI.
        what: &'static str,
        /// What is wrong with it.
        problem: UriProblem,
    },
}

impl DpopError {
    /// A stable name of the cause.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingProof => "missing_proof",
            Self::MultipleProofs => "multiple_proofs",
            Self::UnexpectedParameter => "unexpected_parameter",
            Self::WrongMethod => "wrong_method",
            Self::WrongTarget => "wrong_target",
            Self::WrongTokenHash => "wrong_token_hash",
            Self::KeyMismatch => "key_mismatch",
            Self::NonceRequired => "nonce_required",
            Self::NonceRejected => "nonce_rejected",
            Self::InvalidNonce => "invalid_nonce",
            Self::MultipleNonces => "multiple_nonces",
            Self::NonceNotGiven => "nonce_not_given",
            Self::NonceLoop => "nonce_loop",
            Self::TokenNotBound => "token_not_bound",
            Self::InvalidChallenge => "invalid_challenge",
            Self::Uri { .. } => "invalid_uri",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::NonceRequired | Self::NonceRejected => Fault::Policy,
            _ => Fault::Peer,
        }
    }

    /// Whether the same request can succeed with a new proof.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(self, Self::NonceRequired | Self::NonceRejected)
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub const fn requirement(self) -> &'static str {
        match self {
            Self::MissingProof | Self::MultipleProofs => "POP-9449.4.3-1",
            Self::UnexpectedParameter => "POP-9449.4.2-1",
            Self::WrongMethod => "POP-9449.4.3-6",
            Self::WrongTarget | Self::Uri { .. } => "POP-9449.4.3-7",
            Self::WrongTokenHash | Self::KeyMismatch => "POP-9449.4.3-11",
            Self::NonceRequired | Self::NonceRejected => "POP-9449.4.3-9",
            Self::InvalidNonce => "POP-9449.8.1-1",
            Self::MultipleNonces | Self::NonceNotGiven => "POP-9449.8-2",
            Self::NonceLoop => "POP-9449.8-4",
            Self::TokenNotBound => "POP-9449.5-5",
            Self::InvalidChallenge => "POP-9449.7.1-2",
        }
    }
}
