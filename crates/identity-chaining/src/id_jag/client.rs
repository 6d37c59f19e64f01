//! ID-JAGs at the client: asking for one, and checking what comes before it is sent on.

use http::{HeaderMap, Request, StatusCode};
use jose_x509::base64url;
use pki_types::UnixTime;
use serde_json::Value;
use token_exchange::{
    ResourceIndicator, ScopeSet, SubjectToken, TokenExchangeRequest, TokenExchangeResponse,
    TokenType,
};

use crate::client::{ReceivedGrant, RedeemRequest, parse_grant};
use crate::discovery::AuthorizationServer;
use crate::error::Error;
use crate::grant::ID_JAG_TYPE;
use crate::response::{self, post_form};
use crate::url::ServerUrl;

/// Asking one's identity provider for an ID-JAG.
#[derive(Clone, Debug)]
pub struct IdJagRequest {
    server: ServerUrl,
    client_id: String,
    exchange: TokenExchangeRequest,
    key: Option<[u8; 32]>,
}

impl IdJagRequest {
    /// A request for a grant to the server with this issuer identifier, where the client is known as `client_id`.
    #[must_use]
    pub fn new(subject: SubjectToken, server: ServerUrl, client_id: impl Into<String>) -> Self {
        let mut exchange = TokenExchangeRequest::new(subject.unverified_token, subject.token_type);
        exchange.requested_token_type = Some(TokenType::IdJag);
        exchange.audiences = vec![server.as_str().to_owned()];
        Self {
            server,
            client_id: client_id.into(),
            exchange,
            key: None,
        }
    }

    /// Calls the server by a name that the provider gave it.
    #[must_use]
    pub fn with_alias(mut self, alias: impl Into<String>) -> Self {
        self.exchange.audiences = vec![alias.into()];
        self
    }

    /// Asks for these scopes.
    #[must_use]
    pub fn with_scope(mut self, scope: ScopeSet) -> Self {
        self.exchange.scope = Some(scope);
        self
    }

    /// Names a resource behind the server.
    #[must_use]
    pub fn with_resource(mut self, resource: ResourceIndicator) -> Self {
        self.exchange.resources.push(resource);
        self
    }

    /// Asks for `authorization_details`, a JSON array.
    #[must_use]
    pub fn with_details(mut self, details: &Value) -> Self {
        self.exchange.authorization_details = Some(details.to_string());
        self
    }

    /// Says that a DPoP proof of the key with this thumbprint is sent along: the grant has to be bound to it.
    #[must_use]
    pub fn with_key(mut self, jkt: [u8; 32]) -> Self {
        self.key = Some(jkt);
        self
    }

    /// The form; client authentication adds its own parameters.
    #[must_use]
    pub fn to_form(&self) -> String {
        self.exchange.to_form()
    }

    /// The request to the provider's token endpoint, without client authentication and proof.
    ///
    /// # Errors
    ///
    /// [`Error::ServerUrl`], not for a URL that was parsed.
    pub fn to_request(&self, token_endpoint: &ServerUrl) -> Result<Request<Vec<u8>>, Error> {
        post_form(token_endpoint.as_str(), self.to_form())
    }

    /// Reads the answer, and checks that the grant is for this server, client, key and no more resources than asked for.
    /// What fails is not sent anywhere.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`], [`Error::Response`], [`Error::ForeignGrant`], [`Error::UnboundGrant`].
    pub fn parse_response(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: UnixTime,
    ) -> Result<ReceivedIdJag, Error> {
        let answer = parse_grant(status, headers, body, &TokenType::IdJag)?;
        let members = response::read(status, headers, body)?;
        let grant = ReceivedGrant::external(answer.token, &self.server)?;
        self.check(&grant, now)?;
        Ok(ReceivedIdJag {
            grant,
            scope: answer.scope,
            authorization_details: answer.authorization_details,
            dropped_refresh_token: members.contains_key("refresh_token"),
        })
    }

    fn check(&self, grant: &ReceivedGrant, now: UnixTime) -> Result<(), Error> {
        let foreign = |claim| Err(Error::ForeignGrant { claim });
        let claims = grant.unverified_claims();
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if grant.unverified_typ() != Some(ID_JAG_TYPE) {
            return foreign("typ");
        }
        let only = match claims.get("aud") {
            Some(Value::Array(several)) if several.len() == 1 => several.first(),
            one => one,
        };
        if only.and_then(Value::as_str) != Some(self.server.as_str()) {
            return foreign("aud");
        }
        if text("client_id") != Some(self.client_id.as_str()) {
            return foreign("client_id");
        }
        let alive = |end: u64| now.as_secs() < end;
        if !grant.unverified_expires().is_some_and(alive) {
            return foreign("exp");
        }
        if let Some(resource) = claims.get("resource") {
            let granted = ResourceIndicator::from_value(resource).unwrap_or_default();
            let asked = |one| self.exchange.resources.contains(one);
            if granted.is_empty() || !granted.iter().all(asked) {
                return foreign("resource");
            }
        }
        let bound = claims.get("cnf").and_then(|cnf| cnf.get("jkt"));
        let key = self.key.map(|key| Value::from(base64url::encode(&key)));
        if key.is_some() && bound != key.as_ref() {
            return Err(Error::UnboundGrant);
        }
        Ok(())
    }
}

/// An ID-JAG that fits what was asked for; verified by nobody yet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedIdJag {
    /// The grant.
    pub grant: ReceivedGrant,
    /// What was granted.
    pub scope: Option<ScopeSet>,
    /// What was granted as details.
    pub authorization_details: Option<Value>,
    /// Whether the answer had a refresh token, against the draft. It was dropped; log this.
    pub dropped_refresh_token: bool,
}

impl ReceivedIdJag {
    /// The request that redeems the grant at its server, and at no other.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignGrant`].
    pub fn redeem_at(&self, server: &AuthorizationServer) -> Result<RedeemRequest, Error> {
        self.grant.redeem_at(server)
    }
}

/// A request that exchanges a SAML assertion for a refresh token of the identity provider (draft section 4.5), which
/// lasts longer than the assertion.
#[must_use]
pub fn saml_refresh_request(assertion: impl Into<String>) -> TokenExchangeRequest {
    let mut request = TokenExchangeRequest::new(assertion, TokenType::Saml2);
    request.requested_token_type = Some(TokenType::RefreshToken);
    request.scope = Some(["openid", "offline_access"].into_iter().collect());
    request
}

/// Reads the answer to [`saml_refresh_request`]: the refresh token, as a subject token for the next request.
///
/// # Errors
///
/// [`Error::Denied`], [`Error::Response`] for anything but a refresh token that is used as `N_A`.
pub fn parse_saml_refresh(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<SubjectToken, Error> {
    let answer: TokenExchangeResponse =
        parse_grant(status, headers, body, &TokenType::RefreshToken)?;
    Ok(SubjectToken {
        unverified_token: answer.token,
        token_type: TokenType::RefreshToken,
    })
}
