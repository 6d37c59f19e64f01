//! Which clients exist.

use spiffe_id::{SpiffeIdPattern, SpiffeIdRef};

use crate::method::Method;

/// A registered client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegisteredClient {
    /// `client_id`.
    pub client_id: String,
    /// The workloads that may authenticate as this client (`spiffe_id`).
    pub spiffe_id: SpiffeIdPattern,
    /// The methods that they may use.
    pub methods: Vec<Method>,
}

impl RegisteredClient {
    /// A client whose workloads may use every method.
    #[must_use]
    pub fn new(client_id: impl Into<String>, spiffe_id: SpiffeIdPattern) -> Self {
        Self {
            client_id: client_id.into(),
            spiffe_id,
            methods: Method::ALL.to_vec(),
        }
    }

    /// Narrows the methods.
    #[must_use]
    pub fn with_methods(mut self, methods: &[Method]) -> Self {
        self.methods = methods.to_vec();
        self
    }

    pub(crate) fn accepts(&self, id: SpiffeIdRef<'_>, method: Method) -> bool {
        self.methods.contains(&method) && self.spiffe_id.matches(id)
    }
}

/// Finds registered clients: a snapshot, without I/O. A server that takes metadata documents fetches them before.
pub trait ClientRegistry {
    /// The client of this id.
    fn by_client_id(&self, client_id: &str) -> Option<RegisteredClient>;

    /// The clients as which this workload may authenticate.
    fn by_spiffe_id(&self, id: SpiffeIdRef<'_>) -> Vec<RegisteredClient>;
}

impl<T: ClientRegistry + ?Sized> ClientRegistry for &T {
    fn by_client_id(&self, client_id: &str) -> Option<RegisteredClient> {
        (**self).by_client_id(client_id)
    }

    fn by_spiffe_id(&self, id: SpiffeIdRef<'_>) -> Vec<RegisteredClient> {
        (**self).by_spiffe_id(id)
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
            .filter(|client| client.spiffe_id.matches(id))
            .cloned()
            .collect()
    }
}

impl ClientRegistry for Vec<RegisteredClient> {
    fn by_client_id(&self, client_id: &str) -> Option<RegisteredClient> {
        self.as_slice().by_client_id(client_id)
    }

    fn by_spiffe_id(&self, id: SpiffeIdRef<'_>) -> Vec<RegisteredClient> {
        self.as_slice().by_spiffe_id(id)
    }
}
