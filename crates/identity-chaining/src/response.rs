//! Token responses, both sides (RFC 6749 section 5).

use std::fmt;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use jose_x509::json;
use serde_json::{Map, Value};
use token_exchange::{ResourceIndicator, ScopeSet};

use crate::error::Error;

const MAX_RESPONSE: usize = 256 * 1024;

/// A successful answer to a grant. It has no refresh token: a new access token takes a grant that is still good.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct TokenResponse {
    /// The access token.
    pub access_token: String,
    /// Whether it is used with scheme `DPoP`, and not `Bearer`.
    pub dpop: bool,
    /// Its lifetime in seconds.
    pub expires_in: Option<u64>,
    /// What was granted.
    pub scope: Option<ScopeSet>,
    /// Where it is good.
    pub resources: Vec<ResourceIndicator>,
    /// The granted details, a JSON array.
    pub authorization_details: Option<Value>,
}

impl TokenResponse {
    /// An answer with a bearer token.
    #[must_use]
    pub fn new(access_token: impl Into<String>) -> Self {
        Self {
            access_token: access_token.into(),
            dpop: false,
            expires_in: None,
            scope: None,
            resources: Vec::new(),
            authorization_details: None,
        }
    }

    pub(crate) fn to_members(&self) -> Map<String, Value> {
        let token_type = if self.dpop { "DPoP" } else { "Bearer" };
        let mut members = Map::new();
        members.insert("access_token".to_owned(), self.access_token.as_str().into());
        members.insert("token_type".to_owned(), token_type.into());
        if let Some(seconds) = self.expires_in {
            members.insert("expires_in".to_owned(), seconds.into());
        }
        if let Some(scope) = &self.scope {
            members.insert("scope".to_owned(), scope.to_string().into());
        }
        if let Some(value) = resource_value(&self.resources) {
            members.insert("resource".to_owned(), value);
        }
        if let Some(details) = &self.authorization_details {
            members.insert("authorization_details".to_owned(), details.clone());
        }
        members
    }

    /// The HTTP response, not to be stored by anybody.
    #[must_use]
    pub fn to_response(&self) -> Response<Vec<u8>> {
        json_response(StatusCode::OK, self.to_members())
    }

    /// Reads an answer. A refresh token beside it is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] for an error response, [`Error::Response`] for one that is malformed.
    pub fn parse(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Self, Error> {
        let members = read(status, headers, body)?;
        let refuse = |what| Error::Response { what };
        let token = text(&members, "access_token").ok_or(refuse("`access_token` is missing"))?;
        let dpop = match text(&members, "token_type") {
            Some(name) if name.eq_ignore_ascii_case("Bearer") => false,
            Some(name) if name.eq_ignore_ascii_case("DPoP") => true,
            _ => return Err(refuse("`token_type` is missing or unknown")),
        };
        let expires_in = match members.get("expires_in") {
            None => None,
            Some(value) => Some(value.as_u64().ok_or(refuse("`expires_in` is no number"))?),
        };
        let scope = match members.get("scope") {
            None => None,
            Some(Value::String(scope)) => {
                Some(ScopeSet::parse(scope).map_err(|_| refuse("`scope` is malformed"))?)
            }
            Some(_) => return Err(refuse("`scope` is not a string")),
        };
        let resources = match members.get("resource") {
            None => Vec::new(),
            Some(value) => ResourceIndicator::from_value(value)
                .map_err(|_| refuse("`resource` is malformed"))?,
        };
        let authorization_details = match members.get("authorization_details") {
            None => None,
            Some(details @ Value::Array(_)) => Some(details.clone()),
            Some(_) => return Err(refuse("`authorization_details` is not an array")),
        };
        Ok(Self {
            access_token: token.to_owned(),
            dpop,
            expires_in,
            scope,
            resources,
            authorization_details,
        })
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("dpop", &self.dpop)
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// `resource` as a claim or member: a text for one, an array for several.
pub(crate) fn resource_value(resources: &[ResourceIndicator]) -> Option<Value> {
    match resources {
        [] => None,
        [one] => Some(one.as_str().into()),
        several => Some(several.iter().map(ResourceIndicator::as_str).collect()),
    }
}

pub(crate) fn text<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    let text = members.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
}

const ERRORS: [&str; 13] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "invalid_authorization_details",
    "insufficient_user_authentication",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "server_error",
    "temporarily_unavailable",
];

/// The members of a successful answer.
pub(crate) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Map<String, Value>, Error> {
    let refuse = |what| Error::Response { what };
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(refuse("the body is not application/json"));
    }
    let members = json::object(body, &json::Limits::DOCUMENT.with_bytes(MAX_RESPONSE))
        .map_err(|_| refuse("the body is not a strict JSON object"))?;
    if status == StatusCode::OK {
        return Ok(members);
    }
    let error = text(&members, "error").ok_or(refuse("the error has no code"))?;
    let known = ERRORS.into_iter().find(|known| *known == error);
    Err(Error::Denied {
        error: known.unwrap_or("another error"),
        max_age: members.get("max_age").and_then(Value::as_u64),
    })
}

pub(crate) fn json_response(status: StatusCode, members: Map<String, Value>) -> Response<Vec<u8>> {
    let mut response = Response::new(Value::Object(members).to_string().into_bytes());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// A form for a token endpoint.
pub(crate) fn post_form(endpoint: &str, form: String) -> Result<Request<Vec<u8>>, Error> {
    if !endpoint.starts_with("https://") {
        return Err(Error::ServerUrl);
    }
    Request::post(endpoint)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(form.into_bytes())
        .map_err(|_| Error::ServerUrl)
}
