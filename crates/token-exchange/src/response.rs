//! The token exchange response, both sides (RFC 8693 section 2.2).

use std::fmt;

use http::{HeaderMap, Response, StatusCode, header};
use jose_x509::json;
use serde::Serialize;
use serde_json::Value;

use crate::authority::ScopeSet;
use crate::error::{Error, json_response};
use crate::resource::ResourceIndicator;
use crate::token_type::TokenType;

/// How the issued token is used (`token_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenUse {
    /// As a bearer token.
    Bearer,
    /// With a `DPoP` proof.
    Dpop,
    /// Not as an access token: a transaction token, an assertion.
    NotApplicable,
}

impl TokenUse {
    const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
            Self::NotApplicable => "N_A",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Bearer, Self::Dpop, Self::NotApplicable]
            .into_iter()
            .find(|one| one.name().eq_ignore_ascii_case(name))
    }
}

/// A successful response. There is no refresh token in it: an exchange gives none.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenExchangeResponse {
    /// The issued token.
    pub token: String,
    /// Its type.
    pub issued_token_type: TokenType,
    /// How to use it.
    pub token_use: TokenUse,
    /// Its lifetime in seconds.
    pub expires_in: Option<u64>,
    /// What was granted.
    pub scope: Option<ScopeSet>,
    /// What was granted as `authorization_details`, a JSON array: the client goes by it and not by what it asked for.
    pub authorization_details: Option<Value>,
    /// `resource`: where the token is good, where the server says so. None where it does not.
    pub resources: Vec<ResourceIndicator>,
}

const MAX_RESPONSE: usize = 256 * 1024;
/// Room for what few responses have more of around the token.
const AROUND: usize = 512;

/// The JSON object of a response.
#[derive(Serialize)]
struct Members<'a> {
    access_token: &'a str,
    issued_token_type: &'a str,
    token_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_details: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<OneOrMany<'a>>,
}

/// A text for one, an array for several.
#[derive(Serialize)]
#[serde(untagged)]
enum OneOrMany<'a> {
    One(&'a str),
    Many(Vec<&'a str>),
}

impl TokenExchangeResponse {
    /// A response.
    #[must_use]
    pub fn new(
        token: impl Into<String>,
        issued_token_type: TokenType,
        token_use: TokenUse,
    ) -> Self {
        Self {
            token: token.into(),
            issued_token_type,
            token_use,
            expires_in: None,
            scope: None,
            authorization_details: None,
            resources: Vec::new(),
        }
    }

    /// Says where the token is good.
    #[must_use]
    pub fn with_resources(mut self, resources: Vec<ResourceIndicator>) -> Self {
        self.resources = resources;
        self
    }

    /// Checks that the token is for what was asked for, where the server says so: a server that ignores `resource` would
    /// otherwise go unnoticed.
    ///
    /// # Errors
    ///
    /// [`Error::Response`] when the resources are others.
    pub fn check_resources(&self, requested: &[ResourceIndicator]) -> Result<(), Error> {
        let within = |a: &[ResourceIndicator], b: &[ResourceIndicator]| {
            a.iter().all(|resource| b.contains(resource))
        };
        let same = within(&self.resources, requested) && within(requested, &self.resources);
        if self.resources.is_empty() || requested.is_empty() || same {
            Ok(())
        } else {
            let what = "`resource` is not what was asked for";
            Err(Error::Response { what })
        }
    }

    /// Says which details were granted: [`Details::to_value`](crate::authority::Details::to_value), or
    /// [`to_value_without`](crate::authority::Details::to_value_without).
    #[must_use]
    pub fn with_authorization_details(mut self, details: Value) -> Self {
        self.authorization_details = Some(details);
        self
    }

    /// Says how long the token lives.
    #[must_use]
    pub fn with_expires_in(mut self, seconds: u64) -> Self {
        self.expires_in = Some(seconds);
        self
    }

    /// Says what was granted.
    #[must_use]
    pub fn with_scope(mut self, scope: ScopeSet) -> Self {
        self.scope = Some(scope);
        self
    }

    /// The HTTP response, not to be stored by anybody.
    #[must_use]
    pub fn to_response(&self) -> Response<Vec<u8>> {
        let resource = match self.resources.as_slice() {
            [] => None,
            [one] => Some(OneOrMany::One(one.as_str())),
            several => Some(OneOrMany::Many(
                several.iter().map(ResourceIndicator::as_str).collect(),
            )),
        };
        let members = Members {
            access_token: &self.token,
            issued_token_type: self.issued_token_type.as_str(),
            token_type: self.token_use.name(),
            expires_in: self.expires_in,
            scope: self.scope.as_ref().map(ScopeSet::as_str),
            authorization_details: self.authorization_details.as_ref(),
            resource,
        };
        let mut body = Vec::with_capacity(self.token.len().saturating_add(AROUND));
        // Texts, numbers and JSON values always can be written.
        let _ = serde_json::to_writer(&mut body, &members);
        json_response(StatusCode::OK, body)
    }

    /// Reads a response, as the client that asked for `requested`.
    ///
    /// # Errors
    ///
    /// [`Error::Response`] for an error response, another media type, a member of the wrong type, or
    /// an issued type other than the requested one.
    pub fn parse(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        requested: Option<&TokenType>,
    ) -> Result<Self, Error> {
        let refuse = |what| Error::Response { what };
        let is_json = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                value
                    .split(';')
                    .next()
                    .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
            });
        if !is_json {
            return Err(refuse("the body is not application/json"));
        }
        let members = json::object(body, &json::Limits::DOCUMENT.with_bytes(MAX_RESPONSE))
            .map_err(|_| refuse("the body is not a strict JSON object"))?;
        if status != StatusCode::OK {
            return Err(refuse(match members.get("error").and_then(Value::as_str) {
                Some("invalid_request") => "the server answered invalid_request",
                Some("invalid_client") => "the server answered invalid_client",
                Some("invalid_grant") => "the server answered invalid_grant",
                Some("unauthorized_client") => "the server answered unauthorized_client",
                Some("unsupported_grant_type") => "the server answered unsupported_grant_type",
                Some("invalid_scope") => "the server answered invalid_scope",
                Some("invalid_target") => "the server answered invalid_target",
                Some("invalid_authorization_details") => {
                    "the server answered invalid_authorization_details"
                }
                Some(_) => "the server answered another error",
                None => "the server answered an error without a code",
            }));
        }
        let text = |name: &str| {
            members
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let token = text("access_token").ok_or(refuse("`access_token` is missing"))?;
        let issued = text("issued_token_type").ok_or(refuse("`issued_token_type` is missing"))?;
        let issued = TokenType::parse(issued, "issued_token_type")
            .map_err(|_| refuse("`issued_token_type` is not a URI"))?;
        if requested.is_some_and(|requested| *requested != issued) {
            return Err(refuse("`issued_token_type` is not the requested one"));
        }
        let token_use = text("token_type")
            .and_then(TokenUse::parse)
            .ok_or(refuse("`token_type` is missing or unknown"))?;
        let expires_in = match members.get("expires_in") {
            None => None,
            Some(value) => Some(
                value
                    .as_u64()
                    .ok_or(refuse("`expires_in` is not a number of seconds"))?,
            ),
        };
        let scope = match members.get("scope") {
            None => None,
            Some(Value::String(scope)) => {
                Some(ScopeSet::parse(scope).map_err(|_| refuse("`scope` is malformed"))?)
            }
            Some(_) => return Err(refuse("`scope` is not a string")),
        };
        let authorization_details = match members.get("authorization_details") {
            None => None,
            Some(details @ Value::Array(_)) => Some(details.clone()),
            Some(_) => return Err(refuse("`authorization_details` is not an array")),
        };
        let resources = match members.get("resource") {
            None => Vec::new(),
            Some(value) => ResourceIndicator::from_value(value)
                .map_err(|_| refuse("`resource` is malformed"))?,
        };
        Ok(Self {
            token: token.to_owned(),
            issued_token_type: issued,
            token_use,
            expires_in,
            scope,
            authorization_details,
            resources,
        })
    }
}

impl fmt::Debug for TokenExchangeResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchangeResponse")
            .field("issued_token_type", &self.issued_token_type)
            .field("token_use", &self.token_use)
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
