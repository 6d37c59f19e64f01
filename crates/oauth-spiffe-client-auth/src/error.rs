//! Errors, and what of them goes over the wire: as little as possible.

use http::{HeaderValue, Response, StatusCode, header};
use jose_x509::dpop::DpopError;
use jose_x509::{Error as JoseError, Fault};
use serde_json::json;

/// Every way in which this crate refuses something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No method was presented.
    #[error("the request authenticates no client; see `token_endpoint_auth_methods_supported`")]
    NoMethod,
    /// A method was presented that is not enabled, such as a secret.
    #[error("the request authenticates a client by a method that is not enabled here")]
    OtherMethod,
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
    /// The client assertion was used before, or the guard has no room.
    #[error("the client assertion is refused: {0}")]
    AssertionReplay(JoseError),
    /// `grant_type` is another one.
    #[error("`grant_type` is not one that is served here")]
    GrantType,
    /// The assertion of a grant is refused.
    #[error("the assertion is refused: {0}")]
    Grant(JoseError),
    /// Nobody trusts the issuer of a grant.
    #[error("claim `iss` of the assertion names no issuer that is trusted here")]
    GrantIssuer,
    /// The subject of a grant is nobody here.
    #[error("claim `sub` of the assertion names nobody whom its issuer may speak of")]
    GrantSubject,
    /// The assertion of a grant lives too long, or is too old.
    #[error("the assertion ends, or was issued, more than {limit} seconds from now")]
    GrantLifetime {
        /// The limit in seconds.
        limit: u64,
    },
    /// A scope beyond what is granted.
    #[error("`scope` asks for more than is granted")]
    Scope,
    /// A value cannot be put into a field.
    #[error("a credential cannot be put into a field of the request")]
    FieldValue,
    /// The request has no client attestation, and needs one.
    #[error("field OAuth-Client-Attestation is missing; send the attestation of this instance")]
    MissingAttestation,
    /// The client attestation is refused.
    #[error("the client attestation is refused: {0}")]
    Attestation(JoseError),
    /// The client attestation is right in itself and too old.
    #[error("the client attestation is not fresh enough ({0}); get a new one from the attester")]
    StaleAttestation(JoseError),
    /// `cnf` of an attestation has no `jwk`.
    #[error("claim `cnf` of the client attestation needs the instance's public key as `jwk`")]
    InstanceKey,
    /// An attestation without a proof of possession.
    #[error("the attestation comes without a proof of possession of its key; send one")]
    MissingProof,
    /// A way of proving possession that is not enabled.
    #[error(
        "possession is proven in a way that is not enabled here; see `client_attestation_pop_methods_supported`"
    )]
    PopMethod,
    /// The proof has no challenge of this server, or one that is not good any more.
    #[error(
        "claim `challenge` of the proof is missing or is no current challenge of this server; use the fresh one"
    )]
    ChallengeRequired,
    /// The DPoP proof that is also the proof of possession is refused.
    #[error("the DPoP proof that proves the attestation's key is refused: {0}")]
    CombinedProof(JoseError),
    /// The DPoP proof beside the proof of possession is refused.
    #[error("the DPoP proof is refused: {0}")]
    DpopProof(JoseError),
    /// The DPoP proof is by another key than the attestation's.
    #[error("the DPoP proof is by another key than `cnf.jwk` of the client attestation")]
    InstanceKeyMismatch,
    /// `client_id` is not `sub` of the attestation.
    #[error("`client_id` is not the client that the attestation is for (claim `sub`)")]
    ClientIdMismatch,
    /// A refresh token or code that another instance of the client got.
    #[error("the grant is bound to the key of another instance of the client")]
    OtherInstance,
    /// The challenges cannot be made or remembered now.
    #[error("no challenge can be made or checked now: {0}")]
    Challenges(JoseError),
    /// Text that is no challenge.
    #[error("a challenge has 1 to 512 printable ASCII characters")]
    InvalidChallenge,
    /// A server demands a challenge or nonce and gives none.
    #[error("the server demands a challenge or nonce and gives none")]
    ChallengeNotGiven,
    /// A server demands a challenge or nonce again, right after one was used.
    #[error("the server demands a challenge or nonce again after it got the one it gave")]
    ChallengeLoop,
    /// The answer of a challenge endpoint.
    #[error("the answer of the challenge endpoint is not a JSON object with status 200")]
    ChallengeResponse,
    /// An attestation that is not for this key, or that is used for several servers.
    #[error("the attestation does not belong to this key, or is already in use for another server")]
    HeldAttestation,
    /// A member of metadata, or an option, that cannot be.
    #[error("`{member}` is missing, or does not have the form that it needs")]
    Metadata {
        /// The member.
        member: &'static str,
    },
}

impl Error {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoMethod => "no_client_authentication",
            Self::OtherMethod => "other_client_authentication",
            Self::SeveralMethods => "several_client_authentications",
            Self::Malformed { .. } => "malformed_client_authentication",
            Self::AssertionType => "assertion_type",
            Self::JwtSvid(source) | Self::X509Svid(source) | Self::WitSvid(source) => source.code(),
            Self::Proof(source)
            | Self::Assertion(source)
            | Self::AssertionReplay(source)
            | Self::Replay(source) => source.code(),
            Self::ProofAlgorithm => "proof_algorithm",
            Self::AssertionSubject => "assertion_subject",
            Self::LivesTooLong { .. } => "lifetime_too_long",
            Self::UnknownClient => "unknown_client",
            Self::AmbiguousClient => "ambiguous_client",
            Self::NoCommonMethod => "no_common_method",
            Self::FieldValue => "field_value",
            Self::GrantType => "grant_type",
            Self::Grant(source) => source.code(),
            Self::GrantIssuer => "grant_issuer",
            Self::GrantSubject => "grant_subject",
            Self::GrantLifetime { .. } => "grant_lifetime",
            Self::Scope => "scope",
            Self::MissingAttestation => "missing_attestation",
            Self::Attestation(source)
            | Self::CombinedProof(source)
            | Self::DpopProof(source)
            | Self::Challenges(source) => source.code(),
            Self::StaleAttestation(_) => "stale_attestation",
            Self::InstanceKey => "instance_key",
            Self::MissingProof => "missing_proof",
            Self::PopMethod => "pop_method",
            Self::ChallengeRequired => "challenge_required",
            Self::InstanceKeyMismatch => "instance_key_mismatch",
            Self::ClientIdMismatch => "client_id_mismatch",
            Self::OtherInstance => "other_instance",
            Self::InvalidChallenge => "invalid_challenge",
            Self::ChallengeNotGiven => "challenge_not_given",
            Self::ChallengeLoop => "challenge_loop",
            Self::ChallengeResponse => "challenge_response",
            Self::HeldAttestation => "held_attestation",
            Self::Metadata { .. } => "metadata",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::JwtSvid(source) | Self::X509Svid(source) | Self::WitSvid(source) => {
                source.fault()
            }
            Self::Proof(source)
            | Self::Assertion(source)
            | Self::Replay(source)
            | Self::AssertionReplay(source)
            | Self::Grant(source)
            | Self::Attestation(source)
            | Self::CombinedProof(source)
            | Self::DpopProof(source)
            | Self::Challenges(source) => source.fault(),
            Self::LivesTooLong { .. }
            | Self::GrantLifetime { .. }
            | Self::Scope
            | Self::StaleAttestation(_)
            | Self::ChallengeRequired
            | Self::PopMethod => Fault::Policy,
            Self::NoCommonMethod
            | Self::FieldValue
            | Self::HeldAttestation
            | Self::Metadata { .. } => Fault::Configuration,
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
            Self::Assertion(source) | Self::Attestation(source) | Self::Grant(source) => {
                source.refresh_may_help()
            }
            _ => false,
        }
    }

    /// Whether the client can succeed with the same credential and a new proof.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::ChallengeRequired => true,
            Self::CombinedProof(source) | Self::DpopProof(source) => demands_nonce(source),
            _ => false,
        }
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoMethod | Self::OtherMethod | Self::SeveralMethods => "OAUTH-SPIFFE-3-1",
            Self::Malformed { .. } => "OAUTH-SPIFFE-3.1-3",
            Self::AssertionType => "OAUTH-SPIFFE-3.1-1",
            Self::JwtSvid(source) | Self::X509Svid(source) | Self::WitSvid(source) => {
                return source.requirement();
            }
            Self::Proof(_) | Self::ProofAlgorithm => "OAUTH-ABCA-7.2-2",
            Self::Assertion(source) => return source.requirement(),
            Self::AssertionSubject => "RFC7523-3-4",
            Self::LivesTooLong { .. } => "OAUTH-SPIFFE-3.1-6",
            Self::UnknownClient | Self::AmbiguousClient => "OAUTH-SPIFFE-3.1-9",
            Self::NoCommonMethod => "OAUTH-SPIFFE-4-5",
            Self::Replay(_) => "OAUTH-ABCA-7.2-6",
            Self::AssertionReplay(_) => "RFC7523-3-10",
            Self::GrantType => "RFC7523-2.1-1",
            Self::Grant(source) => return source.requirement(),
            Self::GrantIssuer => "RFC7523-7521-6.1-2",
            Self::GrantSubject => "RFC7523-7521-6.3-1",
            Self::GrantLifetime { .. } => "RFC7523-3-7",
            Self::Scope => "RFC7523-7521-4.1-3",
            Self::MissingAttestation => "OAUTH-ABCA-10.3-2",
            Self::Attestation(_) => "OAUTH-ABCA-7.1-2",
            Self::StaleAttestation(_) => "OAUTH-ABCA-7.1-6",
            Self::InstanceKey => "OAUTH-ABCA-4-7",
            Self::MissingProof => "OAUTH-ABCA-5-1",
            Self::PopMethod => "OAUTH-ABCA-7-3",
            Self::ChallengeRequired => "OAUTH-ABCA-7.2-3",
            Self::CombinedProof(_) => "OAUTH-ABCA-5.2-2",
            Self::DpopProof(source) => return source.requirement(),
            Self::InstanceKeyMismatch => "OAUTH-ABCA-5.2-3",
            Self::ClientIdMismatch => "OAUTH-ABCA-7.1-7",
            Self::OtherInstance => "OAUTH-ABCA-10.3-1",
            Self::InvalidChallenge => "OAUTH-ABCA-5.1-7",
            Self::ChallengeNotGiven => "OAUTH-ABCA-6-3",
            Self::ChallengeLoop => "OAUTH-ABCA-6-8",
            Self::ChallengeResponse => "OAUTH-ABCA-6.3-4",
            Self::HeldAttestation => "OAUTH-ABCA-10.6-1",
            Self::Challenges(_) | Self::FieldValue | Self::Metadata { .. } => return None,
        })
    }

    /// `error` and status at the token endpoint.
    pub(crate) fn oauth(&self) -> (&'static str, StatusCode) {
        const INVALID: StatusCode = StatusCode::BAD_REQUEST;
        let unavailable = ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE);
        match self {
            // The server's own trouble, and no verdict on what was sent.
            Self::Replay(source)
            | Self::AssertionReplay(source)
            | Self::CombinedProof(source)
            | Self::DpopProof(source)
            | Self::Grant(source)
                if source.fault() == Fault::Transient =>
            {
                unavailable
            }
            Self::Malformed { .. } => ("invalid_request", INVALID),
            Self::MissingAttestation
            | Self::Attestation(_)
            | Self::InstanceKey
            | Self::MissingProof
            | Self::PopMethod
            | Self::Proof(_)
            | Self::ProofAlgorithm
            | Self::Replay(_)
            | Self::InvalidChallenge
            | Self::InstanceKeyMismatch => (INVALID_ATTESTATION, INVALID),
            Self::StaleAttestation(_) => ("use_fresh_attestation", INVALID),
            Self::ChallengeRequired => (USE_CHALLENGE, INVALID),
            Self::CombinedProof(source) | Self::DpopProof(source) if demands_nonce(source) => {
                (USE_NONCE, INVALID)
            }
            Self::CombinedProof(_) => (INVALID_ATTESTATION, INVALID),
            Self::DpopProof(_) => ("invalid_dpop_proof", INVALID),
            Self::OtherInstance
            | Self::Grant(_)
            | Self::GrantIssuer
            | Self::GrantSubject
            | Self::GrantLifetime { .. } => ("invalid_grant", INVALID),
            Self::GrantType => ("unsupported_grant_type", INVALID),
            Self::Scope => ("invalid_scope", INVALID),
            Self::Challenges(_) => unavailable,
            _ => ("invalid_client", StatusCode::UNAUTHORIZED),
        }
    }

    /// The response of a server without challenges and nonces: `invalid_client` with 401 for whatever concerns
    /// the client's credentials, `invalid_request` for a malformed request, and the errors of attestations with
    /// 400. It never tells which check failed, nor which clients exist.
    #[must_use]
    pub fn to_response(&self, used_authorization: bool) -> Response<Vec<u8>> {
        let (error, status) = match self.oauth() {
            // Neither can be demanded without giving one.
            (USE_CHALLENGE | USE_NONCE, status) => (INVALID_ATTESTATION, status),
            other => other,
        };
        response(error, status, used_authorization)
    }
}

pub(crate) const INVALID_ATTESTATION: &str = "invalid_client_attestation";
pub(crate) const USE_CHALLENGE: &str = "use_attestation_challenge";
pub(crate) const USE_NONCE: &str = "use_dpop_nonce";

pub(crate) fn demands_nonce(error: &JoseError) -> bool {
    matches!(
        error,
        JoseError::Dpop(DpopError::NonceRequired | DpopError::NonceRejected)
    )
}

/// An error response of the token endpoint (RFC 6749 section 5.2), with the same few words for every cause.
pub(crate) fn response(
    error: &'static str,
    status: StatusCode,
    used_authorization: bool,
) -> Response<Vec<u8>> {
    let description = match error {
        "invalid_request" => "a parameter is repeated or its partner is missing",
        "invalid_client" => "client authentication failed",
        USE_CHALLENGE => "fresh challenge needed",
        USE_NONCE => "fresh nonce needed",
        "use_fresh_attestation" => "fresh attestation needed",
        INVALID_ATTESTATION => "the client attestation or its proof is not accepted",
        "invalid_dpop_proof" => "the DPoP proof is not accepted",
        "invalid_grant" => "the grant is not accepted",
        "unsupported_grant_type" => "the grant type is not served",
        "invalid_scope" => "the scope is beyond what is granted",
        _ => "try again later",
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
