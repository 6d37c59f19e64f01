//! Both legs at the client.

use std::fmt;

use http::{HeaderMap, Request, StatusCode};
use jose_x509::json;
use jose_x509::jws::UnverifiedJws;
use pki_types::UnixTime;
use serde_json::{Map, Value};
use token_exchange::{
    Error as Wire, ResourceIndicator, ScopeSet, SubjectToken, TokenExchangeRequest,
    TokenExchangeResponse, TokenType, TokenUse,
};

use crate::discovery::AuthorizationServer;
use crate::error::Error;
use crate::redeem::JwtBearerRequest;
use crate::response::{self, TokenResponse, post_form};
use crate::url::ServerUrl;

/// The first leg: asking one's own server for a grant.
#[derive(Clone, Debug)]
pub struct GrantRequest {
    server: ServerUrl,
    exchange: TokenExchangeRequest,
}

impl GrantRequest {
    /// A request for a grant to the server with this issuer identifier, which one's own server calls by
    /// [`with_audience`](Self::with_audience) or [`with_resource`](Self::with_resource).
    #[must_use]
    pub fn new(subject: SubjectToken, server: ServerUrl) -> Self {
        let mut exchange = TokenExchangeRequest::new(subject.unverified_token, subject.token_type);
        exchange.requested_token_type = Some(TokenType::Jwt);
        Self { server, exchange }
    }

    /// Names the server by a logical name.
    #[must_use]
    pub fn with_audience(mut self, name: impl Into<String>) -> Self {
        self.exchange.audiences.push(name.into());
        self
    }

    /// Names the server by its URI. It is the server's, not that of the API behind it.
    #[must_use]
    pub fn with_resource(mut self, uri: ResourceIndicator) -> Self {
        self.exchange.resources.push(uri);
        self
    }

    /// Asks for these scopes.
    #[must_use]
    pub fn with_scope(mut self, scope: ScopeSet) -> Self {
        self.exchange.scope = Some(scope);
        self
    }

    /// Does not say which type of token is wanted, for servers that know by the target.
    #[must_use]
    pub fn without_requested_token_type(mut self) -> Self {
        self.exchange.requested_token_type = None;
        self
    }

    /// The form; client authentication adds its own parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] without `audience` and `resource`.
    pub fn to_form(&self) -> Result<String, Error> {
        if self.exchange.audiences.is_empty() && self.exchange.resources.is_empty() {
            return Err(Wire::MissingParameter { name: "audience" }.into());
        }
        Ok(self.exchange.to_form())
    }

    /// The request to the own server's token endpoint, without client authentication.
    ///
    /// # Errors
    ///
    /// As [`to_form`](Self::to_form); [`Error::ServerUrl`].
    pub fn to_request(&self, token_endpoint: &ServerUrl) -> Result<Request<Vec<u8>>, Error> {
        post_form(token_endpoint.as_str(), self.to_form()?)
    }

    /// Reads the answer: a grant that names the server which it was asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`], [`Error::Response`] for anything but a JWT that is used as `N_A`, [`Error::ForeignGrant`].
    pub fn parse_response(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<ReceivedGrant, Error> {
        let answer = parse_grant(status, headers, body, &TokenType::Jwt)?;
        ReceivedGrant::external(answer.token, &self.server)
    }
}

/// An answer with a grant in it, of this type.
pub(crate) fn parse_grant(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    issued: &TokenType,
) -> Result<TokenExchangeResponse, Error> {
    if status != StatusCode::OK {
        // An error, with its members.
        response::read(status, headers, body)?;
    }
    let answer = TokenExchangeResponse::parse(status, headers, body, Some(issued))?;
    if answer.token_use != TokenUse::NotApplicable {
        return Err(Error::Response {
            what: "`token_type` of a grant is `N_A`",
        });
    }
    Ok(answer)
}

/// A grant as the client has it: read, to see that it fits, and verified by nobody. `Debug` hides it.
#[derive(Clone)]
pub struct ReceivedGrant {
    token: String,
    server: ServerUrl,
    claims: Map<String, Value>,
    typ: Option<String>,
}

impl ReceivedGrant {
    /// A grant for this server, wherever it comes from: a token exchange, or an interface of one's own.
    ///
    /// # Errors
    ///
    /// [`Error::Response`] for what is no JWT, [`Error::ForeignGrant`] where `aud` is there and does not have the server.
    pub fn external(token: impl Into<String>, server: &ServerUrl) -> Result<Self, Error> {
        let token = token.into();
        let malformed = |_| Error::Response {
            what: "the grant is no JWT",
        };
        let jws = UnverifiedJws::parse(&token).map_err(malformed)?;
        let typ = jws.unverified_header().typ().map(str::to_owned);
        let claims =
            json::object(jws.unverified_payload(), &json::Limits::CLAIMS).map_err(|_| {
                Error::Response {
                    what: "the grant's claims are no strict JSON object",
                }
            })?;
        drop(jws);
        let grant = Self {
            token,
            server: server.clone(),
            claims,
            typ,
        };
        if grant.claims.contains_key("aud") && !grant.names(server.as_str()) {
            return Err(Error::ForeignGrant { claim: "aud" });
        }
        Ok(grant)
    }

    /// The grant.
    #[must_use]
    pub fn unverified_token(&self) -> &str {
        &self.token
    }

    /// What it says.
    #[must_use]
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// `typ` of its header.
    #[must_use]
    pub fn unverified_typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// When it ends, in seconds since the epoch, as it says.
    #[must_use]
    pub fn unverified_expires(&self) -> Option<u64> {
        self.claims.get("exp").and_then(Value::as_u64)
    }

    fn names(&self, name: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(one)) => one == name,
            Some(Value::Array(several)) => several.iter().any(|one| one == name),
            _ => false,
        }
    }

    /// The second leg: the request that redeems the grant at its server, and at no other.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignGrant`] for another server than the one that the grant is for.
    pub fn redeem_at(&self, server: &AuthorizationServer) -> Result<RedeemRequest, Error> {
        let fits = self.names(server.issuer().as_str())
            || self.names(server.token_endpoint().as_str())
            || !self.claims.contains_key("aud");
        if !fits || *server.issuer() != self.server {
            return Err(Error::ForeignGrant { claim: "aud" });
        }
        Ok(RedeemRequest {
            request: JwtBearerRequest::new(self.token.as_str()),
            endpoint: server.token_endpoint().clone(),
        })
    }
}

impl fmt::Debug for ReceivedGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedGrant")
            .field("server", &self.server)
            .field("typ", &self.typ)
            .finish_non_exhaustive()
    }
}

/// The second leg: redeeming a grant.
#[derive(Clone, Debug)]
pub struct RedeemRequest {
    request: JwtBearerRequest,
    endpoint: ServerUrl,
}

impl RedeemRequest {
    /// Asks for these scopes.
    #[must_use]
    pub fn with_scope(mut self, scope: ScopeSet) -> Self {
        self.request.scope = Some(scope);
        self
    }

    /// Names the API that is to be called.
    #[must_use]
    pub fn with_resource(mut self, resource: ResourceIndicator) -> Self {
        self.request.resources.push(resource);
        self
    }

    /// The form; client authentication adds its own parameters.
    #[must_use]
    pub fn to_form(&self) -> String {
        self.request.to_form()
    }

    /// The request, without client authentication and proof.
    ///
    /// # Errors
    ///
    /// [`Error::ServerUrl`], not for a URL that was parsed.
    pub fn to_request(&self) -> Result<Request<Vec<u8>>, Error> {
        post_form(self.endpoint.as_str(), self.to_form())
    }

    /// Reads the answer.
    ///
    /// # Errors
    ///
    /// As [`TokenResponse::parse`].
    pub fn parse_response(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<TokenResponse, Error> {
        TokenResponse::parse(status, headers, body)
    }
}

/// What a client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Use the access token.
    Use,
    /// Redeem the grant (again).
    Redeem,
    /// Get a new grant with the subject token, such as the ID token.
    Exchange,
    /// Get a new subject token with a refresh token, or exchange the refresh token for a grant.
    Refresh,
    /// Send the user to authenticate.
    Login,
}

/// What a client holds on the way from a user's login to the other domain's access token: only when each thing ends.
/// There is no refresh token of the other domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    access_token: Option<u64>,
    grant: Option<u64>,
    grant_reusable: bool,
    grant_used: bool,
    grant_denied: bool,
    subject_token: Option<u64>,
    refresh_token: bool,
}

impl Progress {
    /// A client whose user has just logged in, with a subject token that ends then, in seconds since the epoch.
    #[must_use]
    pub fn new(subject_token: u64) -> Self {
        Self {
            subject_token: Some(subject_token),
            ..Self::default()
        }
    }

    /// There is a refresh token of the own server.
    #[must_use]
    pub fn with_refresh_token(mut self) -> Self {
        self.refresh_token = true;
        self
    }

    /// Grants may be redeemed again while they last.
    #[must_use]
    pub fn with_reusable_grants(mut self) -> Self {
        self.grant_reusable = true;
        self
    }

    /// What to do now.
    #[must_use]
    pub fn next(&self, now: UnixTime) -> Step {
        let lives = |end: Option<u64>| end.is_some_and(|end| now.as_secs() < end);
        if lives(self.access_token) {
            Step::Use
        } else if lives(self.grant) && (self.grant_reusable || !self.grant_used) {
            Step::Redeem
        } else if lives(self.subject_token) {
            Step::Exchange
        } else if self.refresh_token {
            Step::Refresh
        } else {
            Step::Login
        }
    }

    /// A new grant, until then.
    pub fn granted(&mut self, expires: u64) {
        (self.grant, self.grant_used) = (Some(expires), false);
    }

    /// A new access token, until then.
    pub fn redeemed(&mut self, expires: u64) {
        (self.access_token, self.grant_used) = (Some(expires), true);
        self.grant_denied = false;
    }

    /// A new subject token, until then.
    pub fn refreshed(&mut self, expires: u64) {
        self.subject_token = Some(expires);
    }

    /// The own server refused the refresh token.
    pub fn refresh_failed(&mut self) {
        self.refresh_token = false;
    }

    /// The other server refused the grant: there is a new one to be had, once.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] if the one before was refused, too.
    pub fn grant_refused(&mut self) -> Result<(), Error> {
        self.grant = None;
        if self.grant_denied {
            return Err(Error::Denied {
                error: "invalid_grant",
                max_age: None,
            });
        }
        self.grant_denied = true;
        Ok(())
    }

    /// The own server wants the user to authenticate anew.
    pub fn login_required(&mut self) {
        (self.subject_token, self.refresh_token) = (None, false);
    }
}
