//! Where fetched bundles outlive a restart.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use pki_types::UnixTime;
use spiffe_id::{TrustDomain, TrustDomainRef};

use crate::Bundle;

/// Keeps the latest bundle of each trust domain, as its document, and when it was fetched.
///
/// # Contract
///
/// What [`store`](Self::store) returned for is what [`load`](Self::load) gives from then on, also after a crash if
/// the store outlives one; a failed or interrupted `store` leaves the old document or the new one, and never a
/// part of one. Nothing expires by itself. Two trust domains never share an entry. Whoever can write to the store can make every
/// identity of the trust domains in it.
pub trait BundleStore: Send + Sync {
    /// Puts the document of a bundle in place of its predecessor.
    fn store<'a>(&'a self, bundle: &'a Bundle, fetched: UnixTime) -> Stored<'a, ()>;

    /// What was stored last for a trust domain.
    fn load<'a>(&'a self, trust_domain: TrustDomainRef<'a>) -> Stored<'a, Option<StoredBundle>>;

    /// Forgets the bundle of a trust domain.
    fn remove<'a>(&'a self, trust_domain: TrustDomainRef<'a>) -> Stored<'a, ()>;
}

/// A bundle in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredBundle {
    /// The document, as [`Bundle::to_json`] gives it.
    pub document: String,
    /// When it was fetched: its age counts on after a restart.
    pub fetched: UnixTime,
}

impl StoredBundle {
    /// A document and when it was fetched.
    #[must_use]
    pub const fn new(document: String, fetched: UnixTime) -> Self {
        Self { document, fetched }
    }
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
pub struct MemoryStore(Mutex<BTreeMap<TrustDomain, StoredBundle>>);

impl MemoryStore {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<TrustDomain, StoredBundle>) -> T) -> T {
        // Every change is a single call on the map.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl BundleStore for MemoryStore {
    fn store<'a>(&'a self, bundle: &'a Bundle, fetched: UnixTime) -> Stored<'a, ()> {
        let trust_domain = bundle.trust_domain().to_trust_domain();
        let stored = StoredBundle::new(bundle.to_json(), fetched);
        self.with(|map| map.insert(trust_domain, stored));
        Box::pin(ready(Ok(())))
    }

    fn load<'a>(&'a self, trust_domain: TrustDomainRef<'a>) -> Stored<'a, Option<StoredBundle>> {
        let stored = self.with(|map| map.get(trust_domain.as_str()).cloned());
        Box::pin(ready(Ok(stored)))
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
