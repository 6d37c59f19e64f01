//! Errors, and what of them goes over the wire.

use http::{HeaderValue, Response, StatusCode, header};
use jose_x509::{Error as JoseError, Fault};
use serde_json::json;

/// Every way in which this crate refuses something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not `POST` with a form body, or parameters in the query.
    #[error(
        "send the parameters by POST as application/x-www-form-urlencoded, none of them in the query"
    )]
    NotAForm,
    /// The body is above the limit.
    #[error("the form is longer than {limit} bytes or has too many parameters")]
    FormTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A malformed percent escape, or bytes that are not UTF-8.
    #[error("the form is not valid application/x-www-form-urlencoded UTF-8")]
    FormEncoding,
    /// A parameter that may occur once occurs again.
    #[error("parameter `{name}` occurs more than once")]
    RepeatedParameter {
        /// The parameter, or `another parameter`.
        name: &'static str,
    },
    /// A required parameter is missing or empty.
    #[error("parameter `{name}` is missing or empty")]
    MissingParameter {
        /// The parameter.
        name: &'static str,
    },
    /// A parameter is malformed or must not be there.
    #[error("parameter `{name}` is malformed, or must not be present in this request")]
    InvalidParameter {
        /// The parameter.
        name: &'static str,
    },
    /// `grant_type` is another one.
    #[error("parameter `grant_type` is not the token exchange grant")]
    UnsupportedGrantType,
    /// A token type that this server does not take or issue.
    #[error("the token type in `{name}` is not supported here")]
    UnsupportedTokenType {
        /// The parameter.
        name: &'static str,
    },
    /// The client may not exchange tokens at all, or not of these types.
    #[error("this client may not exchange tokens of these types")]
    UnauthorizedClient,
    /// A resource or audience is malformed, unknown, or not allowed for this client.
    #[error("the requested target is malformed, unknown or not allowed")]
    InvalidTarget,
    /// More targets than the policy allows at once.
    #[error("the request names more targets than the {limit} that are allowed at once")]
    TooManyTargets {
        /// The limit.
        limit: usize,
    },
    /// A scope is malformed, or nothing of the request is within the limits.
    #[error(
        "the requested scope is malformed, or exceeds what the subject token, the client and the target allow"
    )]
    InvalidScope,
    /// `authorization_details` is malformed, of an unknown type, or not granted.
    #[error("`authorization_details` is malformed, of an unknown type, or not granted")]
    InvalidAuthorizationDetails,
    /// The subject or actor token was refused.
    #[error("the {which} token is refused: {source}")]
    Token {
        /// `subject` or `actor`.
        which: &'static str,
        /// Why.
        source: JoseError,
    },
    /// `act` or `may_act` is not what RFC 8693 section 4 says.
    #[error("claim `{claim}` is malformed")]
    MalformedActor {
        /// `act` or `may_act`.
        claim: &'static str,
    },
    /// The chain would have more actors than allowed.
    #[error("the delegation chain would be deeper than {limit}")]
    ChainTooDeep {
        /// The limit, the new actor included.
        limit: usize,
    },
    /// The new actor is the subject or already in the chain.
    #[error("the actor is the subject, or acts in this chain already")]
    ChainCycle,
    /// `may_act` names somebody else.
    #[error("the subject token's `may_act` does not name this actor")]
    MayActMismatch,
    /// The actor token is not the client's own.
    #[error("the actor token's subject is not the authenticated client")]
    ActorIsNotClient,
    /// Nothing ties the subject token to this actor.
    #[error(
        "nothing in the subject token ties it to this actor: neither `aud`, `may_act`, `client_id` nor a policy"
    )]
    Unbound,
    /// A subject token without `aud`, or with several.
    #[error("a subject token for delegation has to name exactly one audience")]
    SubjectAudience,
    /// The subject is a workload where a user is expected, or the reverse for the actor.
    #[error("subject and actor are not of the kinds that the policy expects in these roles")]
    WrongRole,
    /// Impersonation was asked for, and the policy has none.
    #[error("a token without an actor is not issued here; authenticate as the actor")]
    ImpersonationNotAllowed,
    /// A key-bound token came without proof of its key.
    #[error("the {which} token is bound to a key, and the request does not prove possession of it")]
    MissingProof {
        /// `subject` or `actor`.
        which: &'static str,
    },
    /// Nothing is left after the intersection, or the time has run out.
    #[error(
        "nothing is left to grant: the {what} of subject, actor, client and request have nothing in common"
    )]
    NothingLeft {
        /// Which dimension.
        what: &'static str,
    },
    /// Nobody authenticated.
    #[error("no client has authenticated: token exchange takes the credentials of a client")]
    Unauthenticated,
    /// The request came without TLS.
    #[error("the request came over a connection without TLS")]
    PlainTransport,
    /// An actor token that is a delegated token itself.
    #[error("the actor token carries `act`: only the subject token's chain is continued")]
    ActorHasChain,
    /// A chain of actors out of a token whose issuer is not trusted to state one.
    #[error(
        "the subject token carries `act`, and its issuer is not configured to assert delegation"
    )]
    ForeignDelegation,
    /// The target is another actor, and nobody allowed this one to hand the subject over to it.
    #[error("the target is another actor, and no policy lets this one delegate to it")]
    Redelegation,
    /// The token, or what it was made from, was revoked, or the actor was disabled.
    #[error("the grant behind the {which} token was revoked, or its actor disabled")]
    Withdrawn {
        /// `subject`, or `refresh`.
        which: &'static str,
    },
    /// The rules of this server refused.
    #[error("the policy of this server refuses this exchange")]
    Refused,
    /// The token has to be hidden from the client, and the format of this type does not hide it.
    #[error(
        "the policy hides the token's content from the client, and the type is written readably; configure an encrypted or opaque format"
    )]
    Readable,
    /// The server's rules add a field to `authorization_details` that its type does not let it add.
    #[error(
        "a field that is added to `authorization_details` is not one that its type lets a server add"
    )]
    Enrichment,
    /// The service was put together wrongly.
    #[error("the service is misconfigured: {what}")]
    Configuration {
        /// What is wrong, and what would be right.
        what: &'static str,
    },
    /// The new token could not be written.
    #[error("the token could not be issued: {source}")]
    Issue {
        /// Why.
        source: JoseError,
    },
    /// The server's answer does not fit the request.
    #[error("the response is malformed or does not fit the request: {what}")]
    Response {
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Error {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAForm => "not_a_form",
            Self::FormTooLarge { .. } => "form_too_large",
            Self::FormEncoding => "form_encoding",
            Self::RepeatedParameter { .. } => "repeated_parameter",
            Self::MissingParameter { .. } => "missing_parameter",
            Self::InvalidParameter { .. } => "invalid_parameter",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedTokenType { .. } => "unsupported_token_type",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::InvalidTarget => "invalid_target",
            Self::TooManyTargets { .. } => "too_many_targets",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidAuthorizationDetails => "invalid_authorization_details",
            Self::Token { source, .. } => source.code(),
            Self::MalformedActor { .. } => "malformed_actor",
            Self::ChainTooDeep { .. } => "chain_too_deep",
            Self::ChainCycle => "chain_cycle",
            Self::MayActMismatch => "may_act_mismatch",
            Self::ActorIsNotClient => "actor_is_not_client",
            Self::Unbound => "unbound_subject_token",
            Self::SubjectAudience => "subject_audience",
            Self::WrongRole => "wrong_role",
            Self::ImpersonationNotAllowed => "impersonation_not_allowed",
            Self::MissingProof { .. } => "missing_proof",
            Self::NothingLeft { .. } => "nothing_left",
            Self::Unauthenticated => "unauthenticated",
            Self::PlainTransport => "plain_transport",
            Self::ActorHasChain => "actor_has_chain",
            Self::ForeignDelegation => "foreign_delegation",
            Self::Redelegation => "redelegation",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Refused => "refused",
            Self::Readable => "readable",
            Self::Enrichment => "enrichment",
            Self::Configuration { .. } => "configuration",
            Self::Issue { source } => source.code(),
            Self::Response { .. } => "invalid_response",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::UnauthorizedClient
            | Self::ImpersonationNotAllowed
            | Self::WrongRole
            | Self::TooManyTargets { .. }
            | Self::Redelegation
            | Self::Withdrawn { .. }
            | Self::Refused
            | Self::NothingLeft { .. } => Fault::Policy,
            Self::Readable | Self::Enrichment | Self::Configuration { .. } => Fault::Configuration,
            Self::Token { source, .. } | Self::Issue { source } => source.fault(),
            _ => Fault::Peer,
        }
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotAForm => "RFC8693-2.1-1",
            Self::FormTooLarge { .. } | Self::FormEncoding => "RFC8693-2.1-1",
            Self::RepeatedParameter { .. } => "RFC8693-SPLICE-21",
            Self::MissingParameter {
                name: "subject_token",
            } => "RFC8693-2.1-8",
            Self::MissingParameter {
                name: "subject_token_type",
            } => "RFC8693-2.1-9",
            Self::MissingParameter {
                name: "actor_token_type",
            } => "RFC8693-2.1-11",
            Self::InvalidParameter {
                name: "actor_token_type",
            } => "RFC8693-2.1-12",
            Self::MissingParameter { .. } | Self::InvalidParameter { .. } => "RFC8693-2.2.2-1",
            Self::UnsupportedGrantType => "RFC8693-2.1-2",
            Self::UnsupportedTokenType { .. } => "RFC8693-3-1",
            Self::UnauthorizedClient => "RFC8693-SPLICE-2",
            Self::InvalidTarget => "RFC8693-2.2.2-2",
            Self::TooManyTargets { .. } => "RFC8693-2.1.1-2",
            Self::InvalidScope => "RFC8693-SPLICE-12",
            Self::InvalidAuthorizationDetails => "RAR-5-1",
            Self::Token { which: "actor", .. } => "RFC8693-2.1-14",
            Self::Token { .. } => "RFC8693-2.1-13",
            Self::MalformedActor { claim: "may_act" } => "RFC8693-4.4-1",
            Self::MalformedActor { .. } => "RFC8693-4.1-1",
            Self::ChainTooDeep { .. } => "RFC8693-SPLICE-11",
            Self::ChainCycle => "RFC8693-SPLICE-10",
            Self::MayActMismatch => "RFC8693-4.4-2",
            Self::ActorIsNotClient => "RFC8693-SPLICE-3",
            Self::Unbound => "RFC8693-SPLICE-4",
            Self::SubjectAudience => "RFC8693-SPLICE-5",
            Self::WrongRole => "RFC8693-SPLICE-17",
            Self::ImpersonationNotAllowed => "RFC8693-1.1-1",
            Self::MissingProof { .. } => "RFC8693-SPLICE-15",
            Self::NothingLeft { what: "time" } => "RFC8693-SPLICE-13",
            Self::NothingLeft { .. } => "RFC8693-SPLICE-12",
            Self::Unauthenticated => "RFC8693-SPLICE-1",
            Self::PlainTransport => "RFC8693-6-1",
            Self::ActorHasChain => "RFC8693-SPLICE-9",
            Self::ForeignDelegation => "RFC8693-A4",
            Self::Redelegation => "RFC8693-SPLICE-7",
            Self::Withdrawn { which: "refresh" } => "RFC8693-SPLICE-20",
            Self::Withdrawn { .. } => "RFC8693-SPLICE-19",
            Self::Readable => "RFC8693-6-2",
            Self::Enrichment => "RAR-7.1-1",
            Self::Configuration { .. } => "RAR-9-1",
            Self::Refused | Self::Issue { .. } => return None,
            Self::Response { .. } => "RFC8693-SPLICE-22",
        })
    }

    /// The error of RFC 6749 section 5.2, RFC 8693 section 2.2.2, RFC 8707 or RFC 9396 that a server
    /// answers. Unknown and forbidden look the same from outside.
    #[must_use]
    pub fn oauth_error(&self) -> OAuthError {
        let error = match self {
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::Unauthenticated => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::InvalidTarget | Self::TooManyTargets { .. } | Self::Redelegation => {
                "invalid_target"
            }
            Self::Withdrawn { which: "refresh" } => "invalid_grant",
            Self::Configuration { .. } | Self::Readable | Self::Enrichment | Self::Issue { .. } => {
                "server_error"
            }
            Self::InvalidScope | Self::NothingLeft { what: "scopes" } => "invalid_scope",
            Self::NothingLeft { what: "targets" } => "invalid_target",
            Self::InvalidAuthorizationDetails
            | Self::NothingLeft {
                what: "authorization details",
            } => "invalid_authorization_details",
            _ => "invalid_request",
        };
        let description = match self {
            Self::Token { which: "actor", .. } | Self::MissingProof { which: "actor" } => {
                "actor_token is not acceptable"
            }
            Self::Token { .. }
            | Self::MissingProof { which: "subject" }
            | Self::MalformedActor { .. }
            | Self::ChainTooDeep { .. }
            | Self::ChainCycle
            | Self::MayActMismatch
            | Self::Unbound
            | Self::SubjectAudience
            | Self::ActorIsNotClient
            | Self::ActorHasChain
            | Self::ForeignDelegation
            | Self::Withdrawn { which: "subject" }
            | Self::WrongRole => "subject_token is not acceptable for this client",
            Self::Unauthenticated => "client authentication failed",
            Self::InvalidTarget | Self::TooManyTargets { .. } | Self::Redelegation => {
                "the target is not acceptable"
            }
            Self::RepeatedParameter { .. } => "a parameter occurs more than once",
            Self::MissingParameter { .. } => "a required parameter is missing",
            _ => "the request is not acceptable",
        };
        OAuthError {
            error,
            description,
            status: match error {
                "invalid_client" => StatusCode::UNAUTHORIZED,
                "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::BAD_REQUEST,
            },
        }
    }
}

/// An OAuth error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OAuthError {
    /// `error`.
    pub error: &'static str,
    /// `error_description`: fixed text, in the characters that RFC 6749 allows.
    pub description: &'static str,
    /// The status.
    pub status: StatusCode,
}

impl OAuthError {
    /// An error of a service that builds on token exchange.
    #[must_use]
    pub const fn new(error: &'static str, description: &'static str, status: StatusCode) -> Self {
        Self {
            error,
            description,
            status,
        }
    }

    /// The HTTP response, not to be stored by anybody.
    #[must_use]
    pub fn to_response(self) -> Response<Vec<u8>> {
        let body = json!({"error": self.error, "error_description": self.description}).to_string();
        json_response(self.status, body.into_bytes())
    }
}

pub(crate) fn json_response(status: StatusCode, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
