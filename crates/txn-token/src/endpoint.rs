//! The token service as its clients see it (draft section 11.5): who it is has to be known before it is told anything.

use http::uri::Scheme;
use http::{Method, Request, Response, Uri, header};
use token_exchange::TokenExchangeResponse;

use crate::error::Error;
use crate::request::TxnTokenRequest;

/// The address of a token service, and the names of those who may issue there. All of it is configuration; nothing of a request
/// or a token leads to it.
#[derive(Clone, Debug)]
pub struct TokenServiceEndpoint {
    uri: Uri,
    peers: Vec<String>,
}

impl TokenServiceEndpoint {
    /// A service at an `https` address, whose instances authenticate as one of these names: SPIFFE IDs or host names.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for another scheme, no host, or no name.
    pub fn new<T: Into<String>>(
        uri: Uri,
        peers: impl IntoIterator<Item = T>,
    ) -> Result<Self, Error> {
        if uri.scheme() != Some(&Scheme::HTTPS) || uri.host().is_none() {
            return Err(INSECURE);
        }
        Self::build(uri, peers)
    }

    /// A service at a loopback address over `http`, for tests.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for any other address.
    pub fn on_loopback_for_tests<T: Into<String>>(
        uri: Uri,
        peers: impl IntoIterator<Item = T>,
    ) -> Result<Self, Error> {
        let loopback = matches!(uri.host(), Some("127.0.0.1" | "[::1]" | "localhost"));
        if uri.scheme() != Some(&Scheme::HTTP) || !loopback {
            return Err(INSECURE);
        }
        Self::build(uri, peers)
    }

    fn build<T: Into<String>>(uri: Uri, peers: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let peers: Vec<String> = peers.into_iter().map(Into::into).collect();
        if peers.is_empty() || peers.iter().any(String::is_empty) {
            return Err(Error::InvalidOption {
                option: "names of the token service",
                range: "at least one",
            });
        }
        Ok(Self { uri, peers })
    }

    /// The address.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The request to send on a connection whose other end was authenticated as `peer`; `None` is nobody.
    ///
    /// # Errors
    ///
    /// [`Error::UntrustedTokenService`]: then nothing is sent. [`Error::Request`].
    pub fn request(
        &self,
        request: &TxnTokenRequest,
        peer: Option<&str>,
    ) -> Result<Request<String>, Error> {
        if !peer.is_some_and(|peer| self.peers.iter().any(|name| name == peer)) {
            return Err(Error::UntrustedTokenService);
        }
        Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(request.to_form()?)
            .map_err(|_| INSECURE)
    }

    /// Reads the answer. A redirect is refused as it stands: the subject token goes nowhere else.
    ///
    /// # Errors
    ///
    /// [`Error::UntrustedTokenService`] for a redirect, and those of [`TxnTokenRequest::parse_response`].
    pub fn read_response(
        &self,
        response: &Response<Vec<u8>>,
    ) -> Result<TokenExchangeResponse, Error> {
        if response.status().is_redirection() {
            return Err(Error::UntrustedTokenService);
        }
        TxnTokenRequest::parse_response(response.status(), response.headers(), response.body())
    }
}

const INSECURE: Error = Error::InvalidOption {
    option: "address of the token service",
    range: "an absolute `https` URI",
};
