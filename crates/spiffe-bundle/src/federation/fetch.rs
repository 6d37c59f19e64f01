//! One fetch: requests to send, responses to judge.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_ENCODING, LOCATION};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use jose_x509::CryptoProvider;
use spiffe_id::SpiffeId;
use url::Url;

use super::endpoint::{EndpointProfile, Relationship, redirect_url};
use crate::Bundle;
use crate::error::Error;
use crate::parse::MAX_DOCUMENT_SIZE;

/// Most redirects of one fetch.
pub const MAX_REDIRECTS: u8 = 5;
/// How long a whole fetch may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Whom the TLS server of the next request has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerIdentity<'a> {
    /// The holder of a certificate of a trusted public CA with this host as subject alternative name.
    Host(&'a str),
    /// The holder of an X509-SVID with exactly this SPIFFE ID; host names are not compared.
    SpiffeId(&'a SpiffeId),
}

/// The next step of a fetch.
///
/// The caller sends [`request`](Self::request) without credentials, cookies or a client certificate,
/// authenticates the server as [`server`](Self::server), reads at most
/// [`MAX_DOCUMENT_SIZE`](crate::MAX_DOCUMENT_SIZE) bytes of decoded body, and gives the response to
/// [`response`](Self::response).
#[derive(Clone, Debug)]
pub struct FetchPlan {
    relationship: Arc<Relationship>,
    url: Url,
    redirects: u8,
}

/// What a response led to.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchStep {
    /// Send this next.
    Redirect(FetchPlan),
    /// The bundle of the relationship's trust domain, to be
    /// [installed](crate::BundleSet::install).
    Fetched(Box<Bundle>),
}

impl FetchPlan {
    pub(super) fn new(relationship: Arc<Relationship>) -> Self {
        Self {
            url: relationship.url.clone(),
            relationship,
            redirects: 0,
        }
    }

    /// The URL of the request.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// What is fetched, from where and how.
    #[must_use]
    pub fn relationship(&self) -> &Arc<Relationship> {
        &self.relationship
    }

    /// How many redirects were followed.
    #[must_use]
    pub const fn redirects(&self) -> u8 {
        self.redirects
    }

    /// Whom the server has to be. Under `https_spiffe` it is the same after each redirect, and there is no
    /// way from one profile to the other.
    #[must_use]
    pub fn server(&self) -> ServerIdentity<'_> {
        match &self.relationship.profile {
            EndpointProfile::HttpsWeb => {
                ServerIdentity::Host(self.url.host_str().unwrap_or_default())
            }
            EndpointProfile::HttpsSpiffe { endpoint_spiffe_id } => {
                ServerIdentity::SpiffeId(endpoint_spiffe_id)
            }
        }
    }

    /// The request.
    ///
    /// # Errors
    ///
    /// [`Error::EndpointUrl`] for a URL that `http` cannot express.
    pub fn request(&self) -> Result<Request<()>, Error> {
        Request::get(self.url.as_str())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .body(())
            .map_err(|_| Error::EndpointUrl {
                problem: crate::UrlProblem::Malformed,
            })
    }

    /// Judges a response. Whatever the error, the installed bundle stays in force and the next try is due
    /// at the normal interval.
    ///
    /// # Errors
    ///
    /// [`Error::Status`] for anything but 200 and a redirect; [`Error::ResponseTooLarge`];
    /// [`Error::ContentEncoding`]; the redirect errors; the errors of [`Bundle::parse`].
    pub fn response(
        self,
        provider: &CryptoProvider,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<FetchStep, Error> {
        match status.as_u16() {
            200 if body.len() > MAX_DOCUMENT_SIZE => Err(Error::ResponseTooLarge {
                limit: MAX_DOCUMENT_SIZE,
            }),
            // Nothing was asked for that has to be decompressed, whatever its size would then be.
            200 if headers.contains_key(CONTENT_ENCODING) => Err(Error::ContentEncoding),
            200 => {
                let trust_domain = self.relationship.trust_domain.clone();
                let bundle = Bundle::parse(provider, trust_domain, body)?;
                Ok(FetchStep::Fetched(Box::new(bundle)))
            }
            301 | 302 | 303 | 307 | 308 => self.follow(headers).map(FetchStep::Redirect),
            status => Err(Error::Status { status }),
        }
    }

    fn follow(self, headers: &HeaderMap) -> Result<Self, Error> {
        if !self.relationship.follow_redirects {
            return Err(Error::RedirectsDisabled);
        }
        if self.redirects >= MAX_REDIRECTS {
            return Err(Error::TooManyRedirects {
                limit: MAX_REDIRECTS,
            });
        }
        let mut locations = headers.get_all(LOCATION).iter();
        let (Some(location), None) = (locations.next(), locations.next()) else {
            return Err(Error::Location);
        };
        let location = location.to_str().map_err(|_| Error::Location)?;
        Ok(Self {
            url: redirect_url(&self.url, location)?,
            redirects: self.redirects.saturating_add(1),
            relationship: self.relationship,
        })
    }
}
