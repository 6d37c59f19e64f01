//! Errors, and what of them goes over the wire.

use http::{Response, StatusCode};
use jose_x509::binding::{OAuthError as BindingAnswer, Part};
use jose_x509::{Error as JoseError, Fault};
use serde_json::{Map, Value};
use token_exchange::Error as ExchangeError;

use crate::response::json_response;

/// Every way in which this crate refuses something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request as such: its form and its parameters.
    #[error(transparent)]
    Request(#[from] ExchangeError),
    /// Nobody authenticated, or the authentication failed.
    #[error("the client is not authenticated")]
    ClientNotAuthenticated,
    /// A shared secret where a key is needed.
    #[error(
        "the client authenticated with a shared secret; use a key: mutual TLS or a signed assertion"
    )]
    ClientMethod,
    /// A public client.
    #[error("public clients are not served here; authenticate with a key")]
    PublicClient,
    /// The client is not among those of this partner.
    #[error("the client may not ask for a grant to this authorization server")]
    UnauthorizedClient,
    /// `audience` or `resource` names no partner.
    #[error("`audience` or `resource` names no authorization server that grants are issued for")]
    UnknownServer,
    /// `audience` and `resource` name different servers.
    #[error("`audience` and `resource` name different authorization servers")]
    ServersDisagree,
    /// A resource that is not the named server's.
    #[error("`resource` is not one of the named authorization server's domain")]
    ForeignResource,
    /// The subject token was refused.
    #[error("the subject token is refused: {0}")]
    SubjectToken(JoseError),
    /// The subject token was made for another client.
    #[error("the subject token was not issued to this client (`aud`, `azp` or `client_id`)")]
    SubjectNotBound,
    /// The client has no identifier at the target.
    #[error("the client has no known identifier at the target, or none in the user's tenant")]
    ClientUnmapped,
    /// The subject has no name, or no longer one, in the other domain.
    #[error(
        "the subject token's subject has no identifier for the other domain, or is no longer active"
    )]
    SubjectUnmapped,
    /// The scope is more than the subject token, the agreement or the grant allow.
    #[error("the scope is not within what the subject token, the agreement and the grant allow")]
    ScopeNotGranted,
    /// The details are more than what is allowed.
    #[error("`authorization_details` are not within what is allowed")]
    DetailsNotGranted,
    /// The policy refuses.
    #[error("the policy refuses this client, subject and target")]
    Refused,
    /// The user has to authenticate again, or better.
    #[error(
        "the user's authentication is too weak or too old; send the user to authenticate again"
    )]
    InsufficientAuthentication {
        /// How old the authentication may be, in seconds.
        max_age: Option<u64>,
        /// Which authentication context classes would do.
        acr_values: Option<&'static str>,
    },
    /// A transcription set a claim that the issuer sets itself.
    #[error("a transcription may not set claim `{claim}`")]
    ReservedClaim {
        /// The claim.
        claim: &'static str,
    },
    /// A claim without content.
    #[error("claim `{claim}` of the grant would be empty")]
    EmptyClaim {
        /// The claim.
        claim: &'static str,
    },
    /// Signing failed.
    #[error("the grant could not be signed: {0}")]
    Sign(JoseError),

    /// The grant's JWT was refused.
    #[error("the grant is refused: {0}")]
    Grant(JoseError),
    /// `iss` is not a configured issuer, or its agreement has ended.
    #[error("claim `iss` of the grant names no issuer that is trusted here")]
    UntrustedIssuer,
    /// This server itself as an issuer of grants.
    #[error("a server does not redeem its own grants: they are for other domains")]
    SameDomain,
    /// Another kind of token.
    #[error("the assertion is another kind of token, as claim `{claim}` shows")]
    GrantPurpose {
        /// The claim.
        claim: &'static str,
    },
    /// A claim of the grant is missing, or not what it has to be.
    #[error("claim `{claim}` of the grant is missing or malformed")]
    GrantClaim {
        /// The claim.
        claim: &'static str,
    },
    /// The grant is for another client.
    #[error("claim `client_id` of the grant is not the authenticated client")]
    GrantClient,
    /// A delegation from an issuer that is not configured for it.
    #[error("the grant has `act`, and its issuer is not configured for delegation")]
    UnexpectedActor,
    /// The subject has no account here.
    #[error("the grant's subject has no account here")]
    UnknownSubject,
    /// The subject's identifiers name different accounts.
    #[error("the grant's identifiers name different accounts here")]
    SubjectConflict,
    /// The policy refuses the grant.
    #[error("the policy refuses the grant")]
    GrantRefused,
    /// The grant is bound to a key, or the server wants one, and there is no proof.
    #[error("the grant needs a proof of possession; send one in the DPoP field")]
    ProofRequired,
    /// The grant is bound to another key.
    #[error("the grant is bound to another key than that of the proof")]
    ProofKey,
    /// The proof was refused.
    #[error("the DPoP proof is refused: {0}")]
    Proof(JoseError),

    /// The server's answer does not fit the request.
    #[error("the response is malformed or does not fit the request: {what}")]
    Response {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The server refused.
    #[error("the server answered `{error}`")]
    Denied {
        /// The error, if it is a known one.
        error: &'static str,
        /// `max_age`, with which the user has to authenticate anew.
        max_age: Option<u64>,
    },
    /// A grant that is for something else than what the client wants to do with it.
    #[error(
        "claim `{claim}` of the grant does not fit the server or request that it is for; it is not sent"
    )]
    ForeignGrant {
        /// The claim, or `typ`.
        claim: &'static str,
    },
    /// The server did not bind the grant to the proof's key.
    #[error("the grant is not bound to the key of the proof that was sent; it is not used")]
    UnboundGrant,
    /// A server that the client's own list does not have.
    #[error("the authorization server is not among the allowed ones")]
    UnlistedServer,
    /// Several servers, and no rule which of them.
    #[error("the resource names {count} allowed authorization servers; say which one to use")]
    AmbiguousServer {
        /// How many.
        count: usize,
    },
    /// A URL of a server that is not public HTTPS.
    #[error(
        "the URL of a server has to be https, with a public host, without user, query and fragment"
    )]
    ServerUrl,
    /// Metadata of the wrong shape or with contradictions.
    #[error("metadata member `{member}` is malformed or contradicts another one")]
    Metadata {
        /// The member.
        member: &'static str,
    },
    /// An option outside its range.
    #[error("option `{option}` has to be {range}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// What is allowed.
        range: &'static str,
    },
}

impl Error {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Request(source) => source.code(),
            Self::SubjectToken(source)
            | Self::Sign(source)
            | Self::Grant(source)
            | Self::Proof(source) => source.code(),
            Self::ClientNotAuthenticated => "client_not_authenticated",
            Self::ClientMethod => "client_method",
            Self::PublicClient => "public_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnknownServer => "unknown_server",
            Self::ServersDisagree => "servers_disagree",
            Self::ForeignResource => "foreign_resource",
            Self::SubjectNotBound => "subject_not_bound",
            Self::ClientUnmapped => "client_unmapped",
            Self::SubjectUnmapped => "subject_unmapped",
            Self::ScopeNotGranted => "scope_not_granted",
            Self::DetailsNotGranted => "details_not_granted",
            Self::Refused => "refused",
            Self::InsufficientAuthentication { .. } => "insufficient_authentication",
            Self::ReservedClaim { .. } => "reserved_claim",
            Self::EmptyClaim { .. } => "empty_claim",
            Self::UntrustedIssuer => "untrusted_issuer",
            Self::SameDomain => "same_domain",
            Self::GrantPurpose { .. } => "grant_purpose",
            Self::GrantClaim { .. } => "grant_claim",
            Self::GrantClient => "grant_client",
            Self::UnexpectedActor => "unexpected_actor",
            Self::UnknownSubject => "unknown_subject",
            Self::SubjectConflict => "subject_conflict",
            Self::GrantRefused => "grant_refused",
            Self::ProofRequired => "proof_required",
            Self::ProofKey => "proof_key",
            Self::Response { .. } => "invalid_response",
            Self::Denied { .. } => "denied",
            Self::ForeignGrant { .. } => "foreign_grant",
            Self::UnboundGrant => "unbound_grant",
            Self::UnlistedServer => "unlisted_server",
            Self::AmbiguousServer { .. } => "ambiguous_server",
            Self::ServerUrl => "server_url",
            Self::Metadata { .. } => "metadata",
            Self::InvalidOption { .. } => "invalid_option",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Request(source) => source.fault(),
            Self::SubjectToken(source)
            | Self::Sign(source)
            | Self::Grant(source)
            | Self::Proof(source) => source.fault(),
            Self::ReservedClaim { .. }
            | Self::EmptyClaim { .. }
            | Self::InvalidOption { .. }
            | Self::SameDomain
            | Self::AmbiguousServer { .. } => Fault::Configuration,
            Self::ClientMethod
            | Self::PublicClient
            | Self::UnauthorizedClient
            | Self::UnknownServer
            | Self::ScopeNotGranted
            | Self::DetailsNotGranted
            | Self::Refused
            | Self::SubjectUnmapped
            | Self::ClientUnmapped
            | Self::InsufficientAuthentication { .. }
            | Self::UntrustedIssuer
            | Self::UnexpectedActor
            | Self::UnknownSubject
            | Self::GrantRefused
            | Self::ProofRequired
            | Self::UnlistedServer => Fault::Policy,
            _ => Fault::Peer,
        }
    }

    /// Whether fetching the keys of the grant's issuer anew may help.
    #[must_use]
    pub fn refresh_may_help(&self) -> bool {
        matches!(self, Self::Grant(source) | Self::SubjectToken(source) if source.refresh_may_help())
    }

    /// Whether the server asks for the user to authenticate again, or better.
    #[must_use]
    pub fn login_required(&self) -> bool {
        let asked = "insufficient_user_authentication";
        matches!(self, Self::Denied { error, .. } if *error == asked)
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::Request(source) => return source.requirement(),
            Self::ClientNotAuthenticated => "IDCHAIN-7523-2.1-1",
            Self::ClientMethod => "IDCHAIN-5.1-1",
            Self::PublicClient => "ID-JAG-9.1-1",
            Self::UnauthorizedClient => "TXN-CHAIN-5.1-9",
            Self::UnknownServer => "IDCHAIN-2.3.2-1",
            Self::ServersDisagree => "IDCHAIN-A15",
            Self::ForeignResource => "TXN-CHAIN-5.1-5",
            Self::SubjectToken(_) => "ID-JAG-4.3.3-1",
            Self::SubjectNotBound => "IDCHAIN-5.3-1",
            Self::ClientUnmapped => "ID-JAG-3.1-6",
            Self::SubjectUnmapped => "TXN-CHAIN-7.3-1",
            Self::ScopeNotGranted => "IDCHAIN-2.5-2",
            Self::DetailsNotGranted => "ID-JAG-4.3.3-6",
            Self::Refused => "ID-JAG-4.3.3-4",
            Self::InsufficientAuthentication { .. } => "ID-JAG-9.2-1",
            Self::ReservedClaim { .. } => "IDCHAIN-2.5-4",
            Self::Grant(source) => return Some(grant_requirement(source)),
            Self::UntrustedIssuer => "IDCHAIN-2.4.2-4",
            Self::SameDomain => "ID-JAG-9.3-1",
            Self::GrantPurpose { .. } => "IDCHAIN-A2",
            Self::GrantClaim { claim: "jti" } => "IDCHAIN-7523-3-8",
            Self::GrantClaim { .. } => "ID-JAG-4.4.1-6",
            Self::GrantClient => "IDCHAIN-7523-3.1-1",
            Self::UnexpectedActor => "ID-JAG-3.1-12",
            Self::UnknownSubject => "IDCHAIN-2.4.2-3",
            Self::SubjectConflict => "ID-JAG-3.1-16",
            Self::GrantRefused => "IDCHAIN-2.4.2-4",
            Self::ProofRequired => "ID-JAG-9.8.1-1",
            Self::ProofKey => "ID-JAG-9.8.1.2.1-1",
            Self::Proof(_) => "ID-JAG-9.8.1.1-1",
            Self::Response { .. } => "IDCHAIN-2.3.3-1",
            Self::Denied { .. } => "IDCHAIN-2.4.2-5",
            Self::ForeignGrant { .. } => "IDCHAIN-7523BIS-2",
            Self::UnboundGrant => "ID-JAG-9.8.1.1-2",
            Self::UnlistedServer | Self::AmbiguousServer { .. } | Self::ServerUrl => {
                "IDCHAIN-2.2-2"
            }
            Self::Metadata { .. } => "IDCHAIN-3-1",
            Self::EmptyClaim { .. } | Self::Sign(_) | Self::InvalidOption { .. } => return None,
        })
    }

    /// What a token endpoint answers: `error`, a fixed description, and the status. The text for grants is one and the
    /// same whatever is wrong with them, so that nobody learns which issuers, clients or accounts there are.
    #[must_use]
    pub fn oauth_error(&self) -> token_exchange::OAuthError {
        let bad = |error, description| {
            token_exchange::OAuthError::new(error, description, StatusCode::BAD_REQUEST)
        };
        match self {
            Self::Grant(source) | Self::SubjectToken(source) | Self::Proof(source)
                if matches!(source.fault(), Fault::Transient | Fault::Configuration) =>
            {
                token_exchange::OAuthError::new(
                    "temporarily_unavailable",
                    "the request cannot be checked now",
                    StatusCode::SERVICE_UNAVAILABLE,
                )
            }
            Self::Request(source) => source.oauth_error(),
            Self::ClientNotAuthenticated | Self::ClientMethod => token_exchange::OAuthError::new(
                "invalid_client",
                "client authentication with a key is required",
                StatusCode::UNAUTHORIZED,
            ),
            Self::PublicClient | Self::UnauthorizedClient => {
                bad("unauthorized_client", "the client may not ask for this")
            }
            Self::UnknownServer
            | Self::ServersDisagree
            | Self::ForeignResource
            | Self::Refused
            | Self::ClientUnmapped => bad("invalid_target", "the target is not acceptable"),
            Self::SubjectToken(_) | Self::SubjectNotBound => bad(
                "invalid_request",
                "subject_token is not acceptable for this client",
            ),
            Self::SubjectUnmapped => bad("invalid_request", "subject_mapping"),
            Self::ScopeNotGranted => bad("invalid_scope", "the scope is not granted"),
            Self::DetailsNotGranted => bad(
                "invalid_authorization_details",
                "the details are not granted",
            ),
            Self::InsufficientAuthentication { .. } => bad(
                "insufficient_user_authentication",
                "the user has to authenticate again",
            ),
            Self::ProofRequired => bad(
                "invalid_grant",
                "Proof of possession required for this authorization grant",
            ),
            Self::Proof(source) => match BindingAnswer::of(Part::Proof, source) {
                Some(BindingAnswer::UseDpopNonce) => {
                    bad("use_dpop_nonce", "a nonce is needed in the DPoP proof")
                }
                _ => bad("invalid_dpop_proof", "the DPoP proof is not acceptable"),
            },
            Self::Grant(_)
            | Self::UntrustedIssuer
            | Self::GrantPurpose { .. }
            | Self::GrantClaim { .. }
            | Self::GrantClient
            | Self::UnexpectedActor
            | Self::UnknownSubject
            | Self::SubjectConflict
            | Self::GrantRefused
            | Self::ProofKey => bad("invalid_grant", "the grant is not acceptable"),
            _ => token_exchange::OAuthError::new(
                "server_error",
                "the server cannot decide this",
                StatusCode::INTERNAL_SERVER_ERROR,
            ),
        }
    }

    /// The answer of a token endpoint, not to be stored by anybody.
    #[must_use]
    pub fn to_response(&self) -> Response<Vec<u8>> {
        let answer = self.oauth_error();
        let mut members = Map::new();
        members.insert("error".to_owned(), answer.error.into());
        members.insert("error_description".to_owned(), answer.description.into());
        if let Self::InsufficientAuthentication {
            max_age,
            acr_values,
        } = self
        {
            let more = [
                ("max_age", max_age.map(Value::from)),
                ("acr_values", acr_values.map(Value::from)),
            ];
            for (name, value) in more {
                if let Some(value) = value {
                    members.insert(name.to_owned(), value);
                }
            }
        }
        let mut response = json_response(answer.status, members);
        if answer.status == StatusCode::UNAUTHORIZED {
            // Certificates and assertions have no scheme of their own; a challenge is demanded all the same.
            response.headers_mut().insert(
                http::header::WWW_AUTHENTICATE,
                http::HeaderValue::from_static("Bearer"),
            );
        }
        response
    }
}

fn grant_requirement(source: &JoseError) -> &'static str {
    match source {
        JoseError::MissingClaim { claim: "iss" }
        | JoseError::ClaimType { claim: "iss" }
        | JoseError::IssuerMismatch => "IDCHAIN-7523-3-1",
        JoseError::MissingClaim { claim: "sub" } | JoseError::ClaimType { claim: "sub" } => {
            "IDCHAIN-7523-3-2"
        }
        JoseError::MissingClaim { claim: "aud" } | JoseError::ClaimType { claim: "aud" } => {
            "IDCHAIN-7523-3-3"
        }
        JoseError::AudienceMismatch => "IDCHAIN-2.4.2-2",
        JoseError::MultipleAudiences => "IDCHAIN-2.3.3-3",
        JoseError::Expired
        | JoseError::MissingClaim { claim: "exp" }
        | JoseError::ClaimType { claim: "exp" } => "IDCHAIN-7523-3-4",
        JoseError::LifetimeTooLong { .. } => "IDCHAIN-7523-3-5",
        JoseError::NotYetValid => "IDCHAIN-7523-3-6",
        JoseError::IssuedInFuture | JoseError::TooOld { .. } => "IDCHAIN-7523-3-7",
        JoseError::Replayed | JoseError::MissingClaim { claim: "jti" } => "IDCHAIN-7523-3-8",
        JoseError::WrongType => "IDCHAIN-7523BIS-1",
        JoseError::InvalidSignature
        | JoseError::UnknownKey
        | JoseError::UnsupportedAlgorithm
        | JoseError::AlgorithmNotAllowed { .. }
        | JoseError::HeaderKeyMaterial { .. } => "IDCHAIN-7523-3-10",
        _ => "IDCHAIN-7523-3-11",
    }
}
