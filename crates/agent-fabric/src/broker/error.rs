//! Why the broker refuses, and what it says of that.

use http::request::Parts;
use http::{Response, StatusCode, header};
use serde_json::json;

use crate::net;
use crate::registry::RegistryError;

/// Every way in which the broker refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The client did not authenticate.
    #[error("client authentication failed: {0}")]
    Client(Box<oauth_spiffe_client_auth::Error>),
    /// The client's metadata document is refused.
    #[error("the client metadata document is refused: {0}")]
    Document(#[from] cimd::Error),
    /// The exchange is refused.
    #[error(transparent)]
    Exchange(#[from] token_exchange::Error),
    /// The transaction token is refused or cannot be issued.
    #[error(transparent)]
    TxnToken(#[from] txn_token::Error),
    /// A token or key is refused.
    #[error(transparent)]
    Jose(#[from] jose_x509::Error),
    /// The agent's credential is refused.
    #[error("the agent's credential is refused: {0}")]
    AgentCredential(svid::Error),
    /// The request has no credential of the agent, or a malformed one.
    #[error("`request_details` has no well-formed `agent_credential`")]
    NoAgentCredential,
    /// The client may not vouch for agents.
    #[error("this client is not a gateway, which alone may present an agent's credential")]
    NotAGateway,
    /// The client does not hold the transaction.
    #[error("only the current actor of a transaction may hand it over")]
    NotTheActor,
    /// The agent or user is not served.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The code is unknown, spent, or not this client's.
    #[error(
        "the authorization code is unknown, spent, expired, or belongs to another client, redirect or verifier"
    )]
    InvalidGrant,
    /// Nobody is logged in.
    #[error("the request has no user session")]
    NoSession,
    /// The redirect URI cannot be completed.
    #[error("the redirect URI cannot be completed")]
    Redirect,
    /// Too much is going on.
    #[error("too many authorizations are under way; try again later")]
    Busy,
}

impl BrokerError {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Client(error) => error.code(),
            Self::Document(error) => error.code(),
            Self::Exchange(error) => error.code(),
            Self::TxnToken(error) => error.code(),
            Self::Jose(error) => error.code(),
            Self::AgentCredential(error) => error.code(),
            Self::NoAgentCredential => "no_agent_credential",
            Self::NotAGateway => "not_a_gateway",
            Self::NotTheActor => "not_the_actor",
            Self::Registry(error) => error.code(),
            Self::InvalidGrant => "invalid_grant",
            Self::NoSession => "no_session",
            Self::Redirect => "redirect",
            Self::Busy => "busy",
        }
    }

    /// The OAuth error response. What exactly was wrong is for the log.
    #[must_use]
    pub fn to_response(&self, parts: &Parts) -> Response<Vec<u8>> {
        let (status, error) = match self {
            Self::Client(error) => {
                return error.to_response(parts.headers.contains_key(header::AUTHORIZATION));
            }
            Self::Exchange(error) => return error.oauth_error().to_response(),
            Self::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::Document(_) => (StatusCode::BAD_REQUEST, "invalid_client"),
            Self::NoSession => (StatusCode::UNAUTHORIZED, "login_required"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            _ => (StatusCode::BAD_REQUEST, "invalid_request"),
        };
        let mut response = net::json(status, &json!({"error": error}));
        response.headers_mut().insert(
            header::CACHE_CONTROL,
            http::HeaderValue::from_static("no-store"),
        );
        response
    }
}
