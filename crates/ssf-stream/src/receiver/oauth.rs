//! Access tokens for the transmitter's API, as the CAEP interoperability profile (section 2.7) has them: which scopes, from
//! which authorization server, by client credentials. Requests and responses only, as everywhere here.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use jose_x509::json;
use pki_types::UnixTime;
use serde_json::{Map, Value};
use ssf_set::Problem;

use crate::error::{Error, https, is_media_type};
use crate::receiver::Credentials;
use crate::transmitter::{MANAGE, READ};

const RESOURCE: &str = "resource metadata";
const SERVER: &str = "authorization server metadata";
const TOKEN: &str = "token response";
/// The largest document, in bytes.
const MAX: usize = 64 * 1024;
/// A token is not used in its last seconds: it would expire on the way.
const MARGIN: u64 = 30;

/// What a resource says of itself (RFC 9728).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceMetadata {
    /// The authorization server to ask: one of those that the receiver is configured for.
    pub authorization_server: String,
    /// `scopes_supported`.
    pub scopes: Option<Vec<String>>,
}

impl ResourceMetadata {
    /// The request for the metadata of a resource, which is the base of the transmitter's API.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`].
    pub fn request(resource: &str) -> Result<Request<Vec<u8>>, Error> {
        well_known(resource, "oauth-protected-resource")
    }

    /// Reads the answer; `None` when the resource has no such metadata (404).
    ///
    /// # Errors
    ///
    /// [`Error::IssuerMismatch`] when they are about another resource, or name none of the authorization servers in `allowed`:
    /// a resource does not choose who gets the receiver's credentials. [`Error::Status`], [`Error::ContentType`],
    /// [`Error::Json`], [`Error::Member`].
    pub fn parse(
        response: &Response<Vec<u8>>,
        resource: &str,
        allowed: &[&str],
    ) -> Result<Option<Self>, Error> {
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let object = document(response, RESOURCE)?;
        if text(&object, RESOURCE, "resource")? != resource {
            return Err(Error::IssuerMismatch { what: RESOURCE });
        }
        let servers = texts(&object, "authorization_servers")?.unwrap_or_default();
        let server = servers
            .into_iter()
            .find(|own| allowed.contains(&own.as_str()));
        Ok(Some(Self {
            authorization_server: server.ok_or(Error::IssuerMismatch { what: RESOURCE })?,
            scopes: texts(&object, "scopes_supported")?,
        }))
    }
}

/// The `scope` to ask for: what the resource says, else the scopes of the profile.
#[must_use]
pub fn scope(metadata: Option<&ResourceMetadata>) -> String {
    match metadata.and_then(|metadata| metadata.scopes.as_ref()) {
        Some(scopes) => scopes.join(" "),
        None => format!("{READ} {MANAGE}"),
    }
}

/// The request for the metadata of an authorization server (RFC 8414).
///
/// # Errors
///
/// [`Error::Endpoint`].
pub fn server_request(issuer: &str) -> Result<Request<Vec<u8>>, Error> {
    well_known(issuer, "oauth-authorization-server")
}

/// Reads them: the `token_endpoint`.
///
/// # Errors
///
/// [`Error::IssuerMismatch`] when they are somebody else's; [`Error::Endpoint`], and as [`ResourceMetadata::parse`].
pub fn token_endpoint(response: &Response<Vec<u8>>, issuer: &str) -> Result<String, Error> {
    let object = document(response, SERVER)?;
    if text(&object, SERVER, "issuer")? != issuer {
        return Err(Error::IssuerMismatch { what: SERVER });
    }
    let endpoint = text(&object, SERVER, "token_endpoint")?;
    https(endpoint, "token_endpoint").map(|_| endpoint.to_owned())
}

/// How the receiver authenticates itself to the authorization server.
#[derive(Clone)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// By its TLS certificate.
    MutualTls,
    /// By a signed assertion (RFC 7523), such as a JWT-SVID.
    Assertion(String),
    /// By a shared secret, in the body.
    Secret(String),
}

impl std::fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::MutualTls => "MutualTls",
            Self::Assertion(_) => "Assertion(..)",
            Self::Secret(_) => "Secret(..)",
        })
    }
}

/// The request for a token by client credentials (RFC 6749 section 4.4), for one resource (RFC 8707).
///
/// # Errors
///
/// [`Error::Endpoint`].
pub fn token_request(
    endpoint: &str,
    client_id: &str,
    authentication: &ClientAuthentication,
    scope: &str,
    resource: &str,
) -> Result<Request<Vec<u8>>, Error> {
    let what = "token_endpoint";
    let url = https(endpoint, what)?;
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials")
        .append_pair("client_id", client_id)
        .append_pair("scope", scope)
        .append_pair("resource", resource);
    match authentication {
        ClientAuthentication::MutualTls => {}
        ClientAuthentication::Assertion(assertion) => {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            form.append_pair("client_assertion_type", kind)
                .append_pair("client_assertion", assertion);
        }
        ClientAuthentication::Secret(secret) => {
            form.append_pair("client_secret", secret);
        }
    }
    let mut request = Request::new(form.finish().into_bytes());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.as_str().parse().map_err(|_| Error::Endpoint { what })?;
    let headers = request.headers_mut();
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

/// A token, to be kept until it expires.
#[derive(Clone, Debug)]
pub struct AccessToken {
    credentials: Credentials,
    until: u64,
}

impl AccessToken {
    /// Reads the answer of the token endpoint to a request that was sent at `now`. Without `expires_in` the token counts for
    /// five minutes.
    ///
    /// # Errors
    ///
    /// [`Error::Status`], [`Error::ContentType`], [`Error::Json`], [`Error::Member`], also for a token of another type
    /// than `Bearer`.
    pub fn parse(response: &Response<Vec<u8>>, now: UnixTime) -> Result<Self, Error> {
        const UNSAID: u64 = 300;
        let object = document(response, TOKEN)?;
        if !text(&object, TOKEN, "token_type")?.eq_ignore_ascii_case("bearer") {
            return Err(wrong(TOKEN, "token_type", Problem::Value));
        }
        let token = text(&object, TOKEN, "access_token")?;
        let credentials = Credentials::bearer(token);
        let lifetime = match object.get("expires_in") {
            None => UNSAID,
            Some(value) => match value.as_u64() {
                Some(seconds) => seconds,
                None => return Err(wrong(TOKEN, "expires_in", Problem::Type)),
            },
        };
        Ok(Self {
            credentials: credentials.ok_or(wrong(TOKEN, "access_token", Problem::Form))?,
            until: now.as_secs().saturating_add(lifetime),
        })
    }

    /// The credentials, unless they expire now or within half a minute: then get another token.
    #[must_use]
    pub fn credentials(&self, now: UnixTime) -> Option<&Credentials> {
        let fresh = now.as_secs().saturating_add(MARGIN) < self.until;
        fresh.then_some(&self.credentials)
    }

    /// Whether it lives no longer than `longest`; 60 minutes are what the profile has in mind.
    #[must_use]
    pub fn is_short_lived(&self, longest: Duration, now: UnixTime) -> bool {
        self.until <= now.as_secs().saturating_add(longest.as_secs())
    }
}

fn well_known(of: &str, name: &str) -> Result<Request<Vec<u8>>, Error> {
    let url = crate::metadata::well_known(of, name)?;
    let what = "a well-known URL";
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = url.parse().map_err(|_| Error::Endpoint { what })?;
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json);
    Ok(request)
}

fn document(response: &Response<Vec<u8>>, what: &'static str) -> Result<Map<String, Value>, Error> {
    if response.status() != StatusCode::OK {
        return Err(Error::Status {
            what,
            status: response.status().as_u16(),
        });
    }
    if !is_media_type(response.headers(), "application/json") {
        return Err(Error::ContentType { what });
    }
    let limits = json::Limits::DOCUMENT.with_bytes(MAX);
    json::object(response.body(), &limits).map_err(|source| Error::Json { what, source })
}

fn text<'a>(
    object: &'a Map<String, Value>,
    what: &'static str,
    member: &'static str,
) -> Result<&'a str, Error> {
    let value = object
        .get(member)
        .ok_or(wrong(what, member, Problem::Missing))?;
    value.as_str().ok_or(wrong(what, member, Problem::Type))
}

fn texts(object: &Map<String, Value>, member: &'static str) -> Result<Option<Vec<String>>, Error> {
    let Some(value) = object.get(member) else {
        return Ok(None);
    };
    let texts = value.as_array().and_then(|texts| {
        let text = |text: &Value| text.as_str().map(str::to_owned);
        texts.iter().map(text).collect::<Option<Vec<_>>>()
    });
    texts
        .map(Some)
        .ok_or(wrong(RESOURCE, member, Problem::Type))
}

const fn wrong(what: &'static str, member: &'static str, problem: Problem) -> Error {
    Error::Member {
        what,
        member,
        problem,
    }
}
