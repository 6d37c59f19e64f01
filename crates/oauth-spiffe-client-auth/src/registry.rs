//! Which clients exist.

use std::sync::Arc;

use jose_x509::dpop::Htu;
use serde_json::{Map, Value};
use spiffe_bundle::Bundle;
use spiffe_id::{SpiffeIdPattern, SpiffeIdRef};

use crate::assertion::AssertionKeys;
use crate::error::Error;
use crate::method::Method;

/// A registered client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegisteredClient {
    /// `client_id`.
    pub client_id: String,
    /// The workloads that may authenticate as this client (`spiffe_id`).
    pub spiffe_id: Option<SpiffeIdPattern>,
    /// The methods that they may use.
    pub methods: Vec<Method>,
    /// The keys of its client assertions.
    pub assertion_keys: Option<AssertionKeys>,
    /// The bundle that its own `spiffe_bundle_endpoint` gave, for
    /// [`ClientAuthenticator::with_client_bundles`](crate::ClientAuthenticator::with_client_bundles).
    pub bundle: Option<Arc<Bundle>>,
}

impl RegisteredClient {
    /// A client whose workloads may use every method of SVIDs.
    #[must_use]
    pub fn new(client_id: impl Into<String>, spiffe_id: SpiffeIdPattern) -> Self {
        Self {
            spiffe_id: Some(spiffe_id),
            methods: Method::SPIFFE.to_vec(),
            ..Self::without_methods(client_id)
        }
    }

    /// A client whose instances an attester vouches for.
    #[must_use]
    pub fn attested(client_id: impl Into<String>) -> Self {
        Self {
            methods: vec![Method::AttestJwt, Method::AttestDpop],
            ..Self::without_methods(client_id)
        }
    }

    /// A client that signs assertions with registered keys.
    #[must_use]
    pub fn with_assertions(client_id: impl Into<String>, keys: AssertionKeys) -> Self {
        Self {
            methods: vec![Method::PrivateKeyJwt],
            assertion_keys: Some(keys),
            ..Self::without_methods(client_id)
        }
    }

    fn without_methods(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            spiffe_id: None,
            methods: Vec::new(),
            assertion_keys: None,
            bundle: None,
        }
    }

    /// Reads the client's metadata, of a metadata document as of dynamic registration: `spiffe_id` and
    /// `token_endpoint_auth_method`, which names the one method that the client may use. Without it, or with another
    /// one than those of SVIDs and attestations, the client may use none.
    ///
    /// `spiffe_bundle_endpoint` is checked, and fetched by nobody.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for a `spiffe_id` that is missing for a method of SVIDs or is no SPIFFE ID, with or
    /// without `/*` at its end, and for a `spiffe_bundle_endpoint` that is no `https` URL.
    pub fn from_metadata(
        client_id: impl Into<String>,
        metadata: &Map<String, Value>,
    ) -> Result<Self, Error> {
        let spiffe_id = match metadata.get(SPIFFE_ID) {
            None => None,
            Some(value) => {
                let pattern = value.as_str().map(SpiffeIdPattern::parse);
                let member = SPIFFE_ID;
                Some(
                    pattern
                        .and_then(Result::ok)
                        .ok_or(Error::Metadata { member })?,
                )
            }
        };
        if let Some(url) = metadata.get(SPIFFE_BUNDLE_ENDPOINT) {
            // Nothing that parsers read differently, no user information, no fragment.
            let fits =
                |url: &str| Htu::parse(url).is_ok_and(|url| url.is_https()) && !url.contains('#');
            if !url.as_str().is_some_and(fits) {
                let member = SPIFFE_BUNDLE_ENDPOINT;
                return Err(Error::Metadata { member });
            }
        }
        let named = metadata.get("token_endpoint_auth_method");
        let method = Method::ALL
            .into_iter()
            .filter(|method| *method != Method::PrivateKeyJwt)
            .find(|method| named.is_some_and(|name| name == method.name()));
        if spiffe_id.is_none() && method.is_some_and(|method| Method::SPIFFE.contains(&method)) {
            return Err(Error::Metadata { member: SPIFFE_ID });
        }
        Ok(Self {
            spiffe_id,
            methods: method.into_iter().collect(),
            ..Self::without_methods(client_id)
        })
    }

    /// Narrows the methods.
    #[must_use]
    pub fn with_methods(mut self, methods: &[Method]) -> Self {
        self.methods = methods.to_vec();
        self
    }

    /// The bundle that the client's `spiffe_bundle_endpoint` gave.
    #[must_use]
    pub fn with_bundle(mut self, bundle: impl Into<Arc<Bundle>>) -> Self {
        self.bundle = Some(bundle.into());
        self
    }

    pub(crate) fn accepts(&self, id: SpiffeIdRef<'_>, method: Method) -> bool {
        self.methods.contains(&method) && self.is_workload(id)
    }

    fn is_workload(&self, id: SpiffeIdRef<'_>) -> bool {
        self.spiffe_id
            .as_ref()
            .is_some_and(|pattern| pattern.matches(id))
    }

    fn asserts(&self, issuer: &str, subject: &str) -> bool {
        self.assertion_keys
            .as_ref()
            .is_some_and(|keys| keys.names(&self.client_id) == (issuer, subject))
    }
}

/// The member of client metadata that says which workloads are the client.
pub const SPIFFE_ID: &str = "spiffe_id";
/// The member of client metadata that says where the bundle of their trust domain is.
pub const SPIFFE_BUNDLE_ENDPOINT: &str = "spiffe_bundle_endpoint";

/// Finds registered clients: a snapshot, without I/O. A server that takes metadata documents fetches them before.
pub trait ClientRegistry {
    /// The client of this id.
    fn by_client_id(&self, client_id: &str) -> Option<RegisteredClient>;

    /// The clients as which this workload may authenticate.
    fn by_spiffe_id(&self, id: SpiffeIdRef<'_>) -> Vec<RegisteredClient>;

    /// The client whose assertions have this `iss` and this `sub`: both together name it, never `sub` alone.
    fn by_assertion(&self, issuer: &str, subject: &str) -> Option<RegisteredClient> {
        self.by_client_id(subject)
            .filter(|client| client.asserts(issuer, subject))
    }
}

impl<T: ClientRegistry + ?Sized> ClientRegistry for &T {
    fn by_client_id(&self, client_id: &str) -> Option<RegisteredClient> {
        (**self).by_client_id(client_id)
    }

    fn by_spiffe_id(&self, id: SpiffeIdRef<'_>) -> Vec<RegisteredClient> {
        (**self).by_spiffe_id(id)
    }

    fn by_assertion(&self, issuer: &str, subject: &str) -> Option<RegisteredClient> {
        (**self).by_assertion(issuer, subject)
    }
}

/// A fixed list.
impl ClientRegistry for [RegisteredClient] {
    fn by_client_id(&self, client_id: &str) -> Option<RegisteredClient> {
        self.iter()
            .find(|client| client.client_id == client_id)
            .cloned()
    }

    fn by_spiffe_id(&self, id: SpiffeIdRef<'_>) -> Vec<RegisteredClient> {
        self.iter()
            .filter(|client| client.is_workload(id))
            .cloned()
            .collect()
    }

    fn by_assertion(&self, issuer: &str, subject: &str) -> Option<RegisteredClient> {
        self.iter()
            .find(|client| client.asserts(issuer, subject))
            .cloned()
    }
}

impl ClientRegistry for Vec<RegisteredClient> {
    fn by_client_id(&self, client_id: &str) -> Option<RegisteredClient> {
        self.as_slice().by_client_id(client_id)
    }

    fn by_spiffe_id(&self, id: SpiffeIdRef<'_>) -> Vec<RegisteredClient> {
        self.as_slice().by_spiffe_id(id)
    }

    fn by_assertion(&self, issuer: &str, subject: &str) -> Option<RegisteredClient> {
        self.as_slice().by_assertion(issuer, subject)
    }
}
