//! The endpoint side: the bundle that others fetch, for any server that speaks `http` types.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use jose_x509::{CryptoProvider, base64url};
use spiffe_id::TrustDomain;

use super::endpoint::endpoint_url;
use crate::error::Error;
use crate::{Bundle, DEFAULT_REFRESH_HINT};

/// The current document of one bundle. An issuer [publishes](Self::publish), endpoints serve, and neither waits.
pub struct PublishedBundle {
    provider: CryptoProvider,
    trust_domain: TrustDomain,
    current: ArcSwap<Document>,
    writer: Mutex<()>,
}

struct Document {
    body: Bytes,
    etag: HeaderValue,
    cache_control: HeaderValue,
    sequence: Option<u64>,
}

impl PublishedBundle {
    /// Begins with `bundle`. `provider` is for the hash in the entity tag.
    #[must_use]
    pub fn new(provider: &CryptoProvider, bundle: &Bundle) -> Arc<Self> {
        Arc::new(Self {
            provider: *provider,
            trust_domain: bundle.trust_domain().to_trust_domain(),
            current: ArcSwap::from_pointee(Document::new(provider, bundle)),
            writer: Mutex::new(()),
        })
    }

    /// Every later request gets `bundle`.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignBundle`] for the bundle of another trust domain; [`Error::Rollback`] for a lower sequence number,
    /// at which every client would refuse it.
    pub fn publish(&self, bundle: &Bundle) -> Result<(), Error> {
        if bundle.trust_domain() != self.trust_domain {
            return Err(Error::ForeignBundle);
        }
        let next = Arc::new(Document::new(&self.provider, bundle));
        // The lock guards nothing that a panic could leave half done.
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.sequence(), next.sequence) {
            (Some(installed), Some(offered)) if offered < installed => {
                Err(Error::Rollback { installed, offered })
            }
            _ => {
                self.current.store(next);
                Ok(())
            }
        }
    }

    /// `spiffe_sequence` of what is served.
    #[must_use]
    pub fn sequence(&self) -> Option<u64> {
        self.current.load().sequence
    }

    fn response(&self, asked: &HeaderMap) -> Response<Bytes> {
        let document = self.current.load();
        let unchanged = asked
            .get_all(IF_NONE_MATCH)
            .iter()
            .any(|tags| names(tags, &document.etag));
        let (status, body) = match unchanged {
            true => (StatusCode::NOT_MODIFIED, Bytes::new()),
            false => (StatusCode::OK, document.body.clone()),
        };
        let mut response = answer(status, body);
        let headers = response.headers_mut();
        headers.insert(ETAG, document.etag.clone());
        headers.insert(CACHE_CONTROL, document.cache_control.clone());
        if !unchanged {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        response
    }
}

/// Whether `If-None-Match` names an entity tag, by the weak comparison of RFC 9110 section 13.1.2.
fn names(tags: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(tags), Ok(etag)) = (tags.to_str(), etag.to_str()) else {
        return false;
    };
    tags.split(',').map(str::trim).any(|tag| {
        let strong = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || strong == etag
    })
}

impl Document {
    fn new(provider: &CryptoProvider, bundle: &Bundle) -> Self {
        let body = bundle.to_json();
        let hash = base64url::encode(&provider.sha256(body.as_bytes()));
        // A cache may add its age to the interval of its clients, so it keeps a document for a part of it.
        let hint = bundle.refresh_hint().unwrap_or(DEFAULT_REFRESH_HINT);
        let max_age = hint.as_secs().checked_div(4).unwrap_or_default();
        let text = |text: String, otherwise| {
            HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(otherwise))
        };
        Self {
            body: Bytes::from(body),
            etag: text(format!("\"{hash}\""), "\"\""),
            cache_control: text(format!("max-age={max_age}"), "no-cache"),
            sequence: bundle.sequence(),
        }
    }
}

impl fmt::Debug for PublishedBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishedBundle")
            .field("sequence", &self.sequence())
            .finish_non_exhaustive()
    }
}

/// Answers the requests to bundle endpoints: one bundle a path, for whoever asks.
///
/// It asks for no credentials, reads no body, and says nothing that depends on who asks. Put it into any server by
/// [`handle`](Self::handle), or take the one of feature `server`.
///
/// ```
/// use http::Request;
/// use jose_x509::provider::ring;
/// use spiffe_bundle::Bundle;
/// use spiffe_bundle::federation::{BundleEndpoint, PublishedBundle};
/// use spiffe_id::TrustDomain;
///
/// let provider = ring::provider();
/// let first = Bundle::builder(&provider, TrustDomain::parse("example.org")?).build()?;
/// let published = PublishedBundle::new(&provider, &first);
/// let endpoint = BundleEndpoint::new().with_bundle("/bundle.json", published.clone())?;
///
/// let response = endpoint.handle(&Request::get("https://example.org/bundle.json").body(())?);
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.headers()["content-type"], "application/json");
///
/// // A rotation: the next request has the next version.
/// published.publish(&first.successor(&provider).with_sequence(2).build()?)?;
/// let response = endpoint.handle(&Request::get("https://example.org/bundle.json").body(())?);
/// assert!(std::str::from_utf8(response.body())?.contains(r#""spiffe_sequence":2"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct BundleEndpoint {
    paths: BTreeMap<String, Served>,
}

#[derive(Clone, Debug)]
enum Served {
    Bundle(Arc<PublishedBundle>),
    Moved(StatusCode, HeaderValue),
}

impl BundleEndpoint {
    /// An endpoint without paths.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves a bundle at a path.
    ///
    /// # Errors
    ///
    /// [`Error::EndpointPath`] for a path that does not begin with `/`, has a query or is taken.
    pub fn with_bundle(self, path: &str, bundle: Arc<PublishedBundle>) -> Result<Self, Error> {
        self.with(path, Served::Bundle(bundle))
    }

    /// Sends the clients of a path to another endpoint, for now (307).
    ///
    /// # Errors
    ///
    /// [`Error::EndpointUrl`] for a target that is not a bundle endpoint URL; [`Error::EndpointPath`].
    pub fn with_redirect(self, path: &str, target: &str) -> Result<Self, Error> {
        self.with_status(path, target, StatusCode::TEMPORARY_REDIRECT)
    }

    /// As [`with_redirect`](Self::with_redirect), and says that it is for good (308). Clients that follow the standard do
    /// not remember it all the same.
    ///
    /// # Errors
    ///
    /// As [`with_redirect`](Self::with_redirect).
    pub fn with_permanent_redirect(self, path: &str, target: &str) -> Result<Self, Error> {
        self.with_status(path, target, StatusCode::PERMANENT_REDIRECT)
    }

    fn with_status(self, path: &str, target: &str, status: StatusCode) -> Result<Self, Error> {
        let url = endpoint_url(target)?;
        let location = HeaderValue::from_str(url.as_str()).map_err(|_| Error::Location)?;
        self.with(path, Served::Moved(status, location))
    }

    fn with(mut self, path: &str, served: Served) -> Result<Self, Error> {
        let graphic = path.bytes().all(|byte| byte.is_ascii_graphic());
        if !path.starts_with('/') || path.contains(['?', '#']) || !graphic {
            return Err(Error::EndpointPath);
        }
        match self.paths.insert(path.to_owned(), served) {
            None => Ok(self),
            Some(_) => Err(Error::EndpointPath),
        }
    }

    /// Answers a request: 200 with the bundle, 304 if the client has it, 307 or 308 where the bundle moved, 404 for
    /// other paths, and 405 for methods other than GET and HEAD. To HEAD the body has to be left out, as every HTTP
    /// server does.
    #[must_use]
    pub fn handle<B>(&self, request: &Request<B>) -> Response<Bytes> {
        let Some(served) = self.paths.get(request.uri().path()) else {
            return answer(StatusCode::NOT_FOUND, Bytes::new());
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, Bytes::new());
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        match served {
            Served::Bundle(bundle) => bundle.response(request.headers()),
            Served::Moved(status, location) => {
                let mut response = answer(*status, Bytes::new());
                response.headers_mut().insert(LOCATION, location.clone());
                response
            }
        }
    }
}

fn answer(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
