//! Serving one's own document, from any HTTP stack that speaks the `http` types.

use std::{
    hash::{DefaultHasher, Hasher as _},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Map, Value};

use crate::{AuthMethod, ClientIdUrl, ClientMetadata, DocumentPolicy, Error};

/// A document of one's own, ready to be served at its URL.
///
/// ```
/// use std::time::Duration;
///
/// use cimd::server::Publisher;
/// use http::{HeaderMap, Method};
/// use serde_json::json;
///
/// let publisher = Publisher::new("https://agent.example.com/client.json")?
///     .member("client_name", "Settlement agent")
///     .member("jwks_uri", "https://agent.example.com/jwks.json")
///     .member("grant_types", json!(["client_credentials"]))
///     .max_age(Duration::from_secs(3600))
///     .build()?;
///
/// let response = publisher.respond(&Method::GET, "/client.json", &HeaderMap::new());
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.headers()["content-type"], "application/json");
/// assert_eq!(publisher.respond(&Method::GET, "/other.json", &HeaderMap::new()).status(), 404);
/// # Ok::<(), cimd::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Publisher {
    metadata: ClientMetadata,
    body: Vec<u8>,
    etag: HeaderValue,
    cache_control: HeaderValue,
}

/// A [`Publisher`] in the making.
#[derive(Debug, Clone)]
pub struct Builder {
    url: ClientIdUrl,
    members: Map<String, Value>,
    max_age: Duration,
}

impl Publisher {
    /// Begins a document for the client whose identifier is `client_id`.
    ///
    /// # Errors
    ///
    /// [`Error::Url`].
    #[expect(
        clippy::new_ret_no_self,
        reason = "a document has to be built and checked"
    )]
    pub fn new(client_id: &str) -> Result<Builder, Error> {
        let url = ClientIdUrl::parse(client_id)?;
        let mut members = Map::new();
        members.insert("client_id".to_owned(), client_id.into());
        Ok(Builder {
            url,
            members,
            max_age: Duration::from_secs(60 * 60),
        })
    }

    /// The document as those who fetch it will read it.
    #[must_use]
    pub const fn metadata(&self) -> &ClientMetadata {
        &self.metadata
    }

    /// The answer to a request: 200 or 304 for `GET` and `HEAD` of the document's path and query, 405 for other methods
    /// there, 404 everywhere else. The document is nowhere redirected to.
    #[must_use]
    pub fn respond(
        &self,
        method: &Method,
        path_and_query: &str,
        headers: &HeaderMap,
    ) -> Response<Vec<u8>> {
        let mut response = Response::new(Vec::new());
        if path_and_query != self.metadata.client_id().as_url().path_and_query() {
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
        if method != Method::GET && method != Method::HEAD {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, allowed);
            return response;
        }
        let fields = response.headers_mut();
        fields.insert(header::ETAG, self.etag.clone());
        fields.insert(header::CACHE_CONTROL, self.cache_control.clone());
        if self.is_known(headers) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        fields.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        fields.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        fields.insert(header::CONTENT_LENGTH, self.body.len().into());
        if method == Method::GET {
            response.body_mut().clone_from(&self.body);
        }
        response
    }

    /// Whether the requester has this very document (RFC 9110 section 13.1.2: the weak comparison).
    fn is_known(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || self.etag.as_bytes() == tag.as_bytes())
    }
}

impl Builder {
    /// Sets a member of the document.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Sets how long others may keep the document; an hour by default.
    #[must_use]
    pub fn max_age(mut self, time: Duration) -> Self {
        self.max_age = time;
        self
    }

    /// Checks the document as a server would. Without `token_endpoint_auth_method` the client declares `private_key_jwt`
    /// where it has keys, and `spiffe_jwt` where it has a `spiffe_id`: whoever can keep a key has to authenticate.
    ///
    /// # Errors
    ///
    /// Every [`Error`] of a document: a foreign `client_id`, secrets, private keys, redirect URIs on other origins, and
    /// more than 5120 bytes.
    pub fn build(mut self) -> Result<Publisher, Error> {
        let has = |name| self.members.contains_key(name);
        let method = if has("token_endpoint_auth_method") {
            None
        } else if has("spiffe_id") {
            Some(AuthMethod::SpiffeJwt)
        } else if has("jwks") || has("jwks_uri") {
            Some(AuthMethod::PrivateKeyJwt)
        } else {
            None
        };
        if let Some(method) = method {
            self = self.member("token_endpoint_auth_method", method.name());
        }
        let body = Value::Object(self.members).to_string().into_bytes();
        let metadata = ClientMetadata::parse(&self.url, &body, &DocumentPolicy::default())?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&body);
        let text = |text: String| {
            // Digits, letters and quotes: always a header.
            HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"\""))
        };
        Ok(Publisher {
            metadata,
            body,
            etag: text(format!("\"{:016x}\"", hasher.finish())),
            cache_control: text(format!("max-age={}", self.max_age.as_secs())),
        })
    }
}
