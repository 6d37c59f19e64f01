//! Errors, and what of them goes over the wire: as little as possible.

use http::{HeaderValue, Response, StatusCode, header};
use jose_x509::{Error as JoseError, Fault};
use serde_json::json;

/// Every way in which this crate refuses something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No method was presented, or not one that is enabled.
    #[error("the request authenticates no client by a method that is enabled here")]
    NoMethod,
    /// More than one method was presented.
    #[error("the request authenticates a client in more than one way; use exactly one")]
    SeveralMethods,
    /// A parameter or field of a method occurs twice, or its partner is missing.
    #[error(
        "`{name}` occurs more than once, or the parameter or field that belongs to it is missing"
    )]
    Malformed {
        /// The parameter or field.
        name: &'static str,
    },
    /// `client_assertion_type` is another one.
    #[error("`client_assertion_type` is not one that is accepted here")]
    AssertionType,
    /// The JWT-SVID is refused.
    #[error("the JWT-SVID is refused: {0}")]
    JwtSvid(svid::Error),
    /// The X509-SVID is refused.
    #[error("the X509-SVID is refused: {0}")]
    X509Svid(svid::Error),
    /// The WIT-SVID is refused.
    #[error("the WIT-SVID is refused: {0}")]
    WitSvid(svid::Error),
    /// The proof of possession of the WIT-SVID is refused.
    #[error("the proof of possession is refused: {0}")]
    Proof(JoseError),
    /// The proof uses another algorithm than the WIT-SVID names.
    #[error("the proof of possession does not use the algorithm that `cnf.jwk.alg` names")]
    ProofAlgorithm,
    /// A client assertion of RFC 7523 is refused.
    #[error("the client assertion is refused: {0}")]
    Assertion(JoseError),
    /// `iss` and `sub` of a client assertion are not the client.
    #[error("`iss` and `sub` of a client assertion both have to be the client id")]
    AssertionSubject,
    /// The credential lives longer than this server accepts.
    #[error("the credential lives more than {limit} seconds from now")]
    LivesTooLong {
        /// The limit in seconds.
        limit: u64,
    },
    /// No registered client fits, or the presented one is not it.
    #[error("no registered client fits this SPIFFE ID, `client_id` and method")]
    UnknownClient,
    /// Several registrations fit, and there is no `client_id`.
    #[error("several registered clients fit this SPIFFE ID; send `client_id`")]
    AmbiguousClient,
    /// The server's metadata advertises none of the client's methods.
    #[error(
        "the authorization server advertises none of the methods that this client has a credential for"
    )]
    NoCommonMethod,
    /// The proof was used before, or the guard has no room.
    #[error("{0}")]
    Replay(JoseError),
    /// A value cannot be put into a field.
    #[error("a credential cannot be put into a field of the request")]
    FieldValue,
}

impl Error {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoMethod => "no_client_authentication",
            Self::SeveralMethods => "several_client_authentications",
            Self::Malformed { .. } => "malformed_client_authentication",
            Self::AssertionType => "assertion_type",
            Self::JwtSvid(source) | Self::X509Svid(source) | Self::WitSvid(source) => source.code(),
            Self::Proof(source) | Self::Assertion(source) | Self::Replay(source) => source.code(),
            Self::ProofAlgorithm => "proof_algorithm",
            Self::AssertionSubject => "assertion_subject",
            Self::LivesTooLong { .. } => "lifetime_too_long",
            Self::UnknownClient => "unknown_client",
            Self::AmbiguousClient => "ambiguous_client",
            Self::NoCommonMethod => "no_common_method",
            Self::FieldValue => "field_value",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::JwtSvid(source) | Self::X509Svid(source) | Self::WitSvid(source) => {
                source.fault()
            }
            Self::Proof(source) | Self::Assertion(source) | Self::Replay(source) => source.fault(),
            Self::LivesTooLong { .. } => Fault::Policy,
            Self::NoCommonMethod | Self::FieldValue => Fault::Configuration,
            _ => Fault::Peer,
        }
    }

    /// Whether fetching the bundle of the workload's trust domain anew may help.
    #[must_use]
    pub fn refresh_may_help(&self) -> bool {
        match self {
            Self::JwtSvid(source) | Self::X509Svid(source) | Self::WitSvid(source) => {
                source.refresh_may_help()
            }
            Self::Assertion(source) => source.refresh_may_help(),
            _ => false,
        }
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoMethod | Self::SeveralMethods => "OAUTH-SPIFFE-3-1",
            Self::Malformed { .. } => "OAUTH-SPIFFE-3.1-3",
            Self::AssertionType => "OAUTH-SPIFFE-3.1-1",
            Self::JwtSvid(source) | Self::X509Svid(source) | Self::WitSvid(source) => {
                return source.requirement();
            }
            Self::Proof(_) | Self::ProofAlgorithm => "OAUTH-SPIFFE-3.3.1-4",
            Self::Assertion(source) => return source.requirement(),
            Self::AssertionSubject => "RFC7523-3-4",
            Self::LivesTooLong { .. } => "OAUTH-SPIFFE-3.1-6",
            Self::UnknownClient | Self::AmbiguousClient => "OAUTH-SPIFFE-3.1-9",
            Self::NoCommonMethod => "OAUTH-SPIFFE-4-5",
            Self::Replay(_) => "OAUTH-SPIFFE-3.3.1-4",
            Self::FieldValue => return None,
        })
    }

    /// The response: `invalid_client` with 401 for whatever concerns the client's credentials, and
    /// `invalid_request` for a malformed request. It never tells which check failed, nor which clients exist.
    #[must_use]
    pub fn to_response(&self, used_authorization: bool) -> Response<Vec<u8>> {
        let (error, description, status) = match self {
            Self::Malformed { .. } => (
                "invalid_request",
                "a parameter is repeated or its partner is missing",
                StatusCode::BAD_REQUEST,
            ),
            _ => (
                "invalid_client",
                "client authentication failed",
                StatusCode::UNAUTHORIZED,
            ),
        };
        let body = json!({"error": error, "error_description": description}).to_string();
        let mut response = Response::new(body.into_bytes());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if used_authorization && status == StatusCode::UNAUTHORIZED {
            // The one scheme of RFC 6749 that authenticates clients in this field.
            let challenge = HeaderValue::from_static("Basic realm=\"client authentication\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
