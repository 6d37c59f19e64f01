//! The workload of domain A: asking for a grant, and keeping its transaction token at home.

use http::request::Parts;
use http::{HeaderMap, Request, StatusCode, Uri};
use identity_chaining::grant::TXN_CHAIN_TYPE;
use identity_chaining::{Error as ChainingError, GrantRequest, ReceivedGrant, ServerUrl};
use token_exchange::{ResourceIndicator, ScopeSet, SubjectToken, TokenType};

use crate::TXN_TOKEN_HEADER;
use crate::error::Error;

/// A request for a grant, sent to the own domain's authorization server.
#[derive(Clone, Debug)]
pub struct ChainingRequest(GrantRequest);

impl ChainingRequest {
    /// A request for a grant to the server with this issuer identifier, on behalf of the transaction of `token`.
    #[must_use]
    pub fn new(token: impl Into<String>, server: ServerUrl) -> Self {
        let subject = SubjectToken {
            unverified_token: token.into(),
            token_type: TokenType::TxnToken,
        };
        let audience = server.as_str().to_owned();
        let request = GrantRequest::new(subject, server).with_audience(audience);
        Self(request.without_requested_token_type())
    }

    /// Names the protected resource that is to be called, which is not the server.
    #[must_use]
    pub fn with_resource(self, resource: ResourceIndicator) -> Self {
        Self(self.0.with_resource(resource))
    }

    /// Asks for these scopes, in the other domain's vocabulary.
    #[must_use]
    pub fn with_scope(self, scope: ScopeSet) -> Self {
        Self(self.0.with_scope(scope))
    }

    /// The form; client authentication adds its own parameters.
    ///
    /// # Errors
    ///
    /// None for a request of [`new`](Self::new).
    pub fn to_form(&self) -> Result<String, Error> {
        Ok(self.0.to_form()?)
    }

    /// The request to the own domain's authorization server, the only one that sees the transaction token.
    ///
    /// # Errors
    ///
    /// As [`to_form`](Self::to_form).
    pub fn to_request(&self, token_endpoint: &ServerUrl) -> Result<Request<Vec<u8>>, Error> {
        Ok(self.0.to_request(token_endpoint)?)
    }

    /// Reads the answer: a grant of this profile for this server. It is all that goes there.
    ///
    /// # Errors
    ///
    /// [`Error::Chaining`].
    pub fn parse_response(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<ReceivedGrant, Error> {
        let grant = self.0.parse_response(status, headers, body)?;
        if grant.unverified_typ() != Some(TXN_CHAIN_TYPE) {
            return Err(ChainingError::ForeignGrant { claim: "typ" }.into());
        }
        Ok(grant)
    }
}

/// The hosts of one's own trust domain: a transaction token goes nowhere else.
#[derive(Clone, Debug, Default)]
pub struct OwnHosts {
    hosts: Vec<String>,
    domains: Vec<String>,
}

impl OwnHosts {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A host.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into().to_ascii_lowercase());
        self
    }

    /// All hosts below a domain.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domains.push(domain.into().to_ascii_lowercase());
        self
    }

    /// Whether a request to this URI stays within the trust domain. One without a host does not.
    #[must_use]
    pub fn has(&self, uri: &Uri) -> bool {
        let Some(host) = uri.host() else {
            return false;
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let below = |domain: &String| {
            host.strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        };
        self.hosts.contains(&host) || self.domains.iter().any(below)
    }

    /// Takes the transaction token out of a request that leaves the trust domain; says whether there was one. For the last
    /// step before a request is sent, redirects included.
    pub fn strip(&self, request: &mut Parts) -> bool {
        !self.has(&request.uri) && request.headers.remove(TXN_TOKEN_HEADER).is_some()
    }
}
