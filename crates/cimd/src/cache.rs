//! A bounded place for valid documents, and another for hosts that gave no response.

mod unreachable;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use pki_types::UnixTime;

pub use self::unreachable::{Unreachable, UnreachableHosts};
use crate::{ClientMetadata, Freshness};

/// Valid documents by the exact text of their URL: bounded, the least recently used one goes first. Errors and invalid
/// documents cannot be put in, and an expired document comes out for nothing but the question whether it changed.
/// For hosts that gave no response there is [`UnreachableHosts`].
///
/// Readers take no lock: a writer prepares a new table beside the one they see.
pub struct DocumentCache {
    capacity: usize,
    clock: AtomicU64,
    entries: ArcSwap<Entries>,
}

type Entries = HashMap<Arc<str>, Arc<Entry>>;

struct Entry {
    document: Arc<ClientMetadata>,
    freshness: Freshness,
    used: AtomicU64,
    /// Seen to be over, whatever the clock says later.
    ended: AtomicBool,
}

impl Entry {
    fn is_fresh(&self, now: UnixTime) -> bool {
        let fresh = self.freshness.is_fresh(now) && !self.ended.load(Ordering::Relaxed);
        if !fresh {
            self.ended.store(true, Ordering::Relaxed);
        }
        fresh
    }
}

/// A document whose time is over. Ask its host whether it changed; until it says no, do not use it.
#[derive(Debug, Clone)]
pub struct Expired {
    document: Arc<ClientMetadata>,
    freshness: Freshness,
}

impl Expired {
    /// How to ask: see [`Freshness::validators`].
    #[must_use]
    pub const fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// The document, now that its host said that it has not changed; or to compare it with its successor.
    #[must_use]
    pub fn into_document(self) -> Arc<ClientMetadata> {
        self.document
    }
}

impl Default for DocumentCache {
    fn default() -> Self {
        Self::new(1024)
    }
}

impl DocumentCache {
    /// A cache for `capacity` documents.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            clock: AtomicU64::new(0),
            entries: ArcSwap::default(),
        }
    }

    /// The fresh document for a `client_id`.
    #[must_use]
    pub fn get(&self, client_id: &str, now: UnixTime) -> Option<Arc<ClientMetadata>> {
        let entries = self.entries.load();
        let entry = entries.get(client_id)?;
        if !entry.is_fresh(now) {
            return None;
        }
        entry.used.store(self.tick(), Ordering::Relaxed);
        Some(Arc::clone(&entry.document))
    }

    /// What is left of a document that is not fresh any more.
    #[must_use]
    pub fn expired(&self, client_id: &str, now: UnixTime) -> Option<Expired> {
        let entries = self.entries.load();
        let entry = entries.get(client_id)?;
        (!entry.is_fresh(now)).then(|| Expired {
            document: Arc::clone(&entry.document),
            freshness: entry.freshness.clone(),
        })
    }

    /// Keeps a document while it is fresh. A `no-store` document is not kept and replaces what was there.
    pub fn insert(&self, document: Arc<ClientMetadata>, freshness: Freshness) {
        let client_id: Arc<str> = document.client_id().as_str().into();
        if freshness.expires().is_none() || self.capacity == 0 {
            return self.remove(&client_id);
        }
        let entry = Arc::new(Entry {
            document,
            freshness,
            used: AtomicU64::new(self.tick()),
            ended: AtomicBool::new(false),
        });
        self.entries.rcu(|entries| {
            let mut next = Entries::clone(entries);
            next.insert(Arc::clone(&client_id), Arc::clone(&entry));
            while next.len() > self.capacity {
                let oldest = next
                    .iter()
                    .min_by_key(|(_, entry)| entry.used.load(Ordering::Relaxed))
                    .map(|(client_id, _)| Arc::clone(client_id));
                oldest.and_then(|oldest| next.remove(&oldest));
            }
            next
        });
    }

    /// Forgets a document at once.
    pub fn remove(&self, client_id: &str) {
        if self.entries.load().contains_key(client_id) {
            self.entries.rcu(|entries| {
                let mut next = Entries::clone(entries);
                next.remove(client_id);
                next
            });
        }
    }

    /// How many documents are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.load().len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Debug for DocumentCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentCache")
            .field("capacity", &self.capacity)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
