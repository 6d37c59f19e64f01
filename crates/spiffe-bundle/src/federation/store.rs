//! Where fetched bundles outlive a restart.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use spiffe_id::{TrustDomain, TrustDomainRef};

use crate::Bundle;

/// Keeps the latest bundle of each trust domain, as its document.
///
/// # Contract
///
/// What [`store`](Self::store) returned for is what [`load`](Self::load) gives from then on, also after a crash if
/// the store outlives one; a failed or interrupted `store` leaves the old document or the new one, and never a
/// part of one. Nothing expires by itself. Two trust domains never share an entry. Whoever can write to the store can make every
/// identity of the trust domains in it.
pub trait BundleStore: Send + Sync {
    /// Puts the document of a bundle in place of its predecessor.
    fn store<'a>(&'a self, bundle: &'a Bundle) -> Stored<'a, ()>;

    /// The document that was stored last for a trust domain.
    fn load<'a>(&'a self, trust_domain: TrustDomainRef<'a>) -> Stored<'a, Option<String>>;

    /// Forgets the bundle of a trust domain.
    fn remove<'a>(&'a self, trust_domain: TrustDomainRef<'a>) -> Stored<'a, ()>;
}

/// The answer of a store to come.
pub type Stored<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A store that failed.
#[derive(Debug, thiserror::Error)]
#[error("the bundle store failed: {0}")]
pub struct StoreError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl StoreError {
    /// With its cause.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// A store in memory, which outlives nothing.
#[derive(Default)]
pub struct MemoryStore(Mutex<BTreeMap<TrustDomain, String>>);

impl MemoryStore {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<TrustDomain, String>) -> T) -> T {
        // Every change is a single call on the map.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl BundleStore for MemoryStore {
    fn store<'a>(&'a self, bundle: &'a Bundle) -> Stored<'a, ()> {
        let trust_domain = bundle.trust_domain().to_trust_domain();
        self.with(|map| map.insert(trust_domain, bundle.to_json()));
        Box::pin(ready(Ok(())))
    }

    fn load<'a>(&'a self, trust_domain: TrustDomainRef<'a>) -> Stored<'a, Option<String>> {
        let document = self.with(|map| map.get(trust_domain.as_str()).cloned());
        Box::pin(ready(Ok(document)))
    }

    fn remove<'a>(&'a self, trust_domain: TrustDomainRef<'a>) -> Stored<'a, ()> {
        self.with(|map| map.remove(trust_domain.as_str()));
        Box::pin(ready(Ok(())))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
