//! Entries by hash, in shards that are locked apart, with a bound on each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The hash of a credential.
pub(super) type Key = [u8; 32];

/// Verified values of type `T`, each under the authorities `A` that verified it.
#[derive(Debug)]
pub(super) struct Store<T, A> {
    shards: Box<[RwLock<Shard<T, A>>]>,
    /// How many entries a shard may have.
    shard_size: usize,
    /// Grows whenever entries are withdrawn, so that what was verified before is not remembered after it.
    epoch: AtomicU64,
    hits: AtomicU64,
}

/// A state of the store, in which a verification began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

#[derive(Debug)]
struct Shard<T, A> {
    places: HashMap<Key, usize>,
    entries: Vec<Entry<T, A>>,
    /// Where the search for an entry to give up goes on.
    hand: usize,
}

#[derive(Debug)]
struct Entry<T, A> {
    key: Key,
    found: Found<T, A>,
    /// When it was verified, and the last second in which it holds.
    span: (u64, u64),
    /// Whether it was used since the hand was here.
    used: AtomicBool,
}

/// What is remembered of a credential.
#[derive(Debug)]
pub(super) struct Found<T, A> {
    pub(super) value: Arc<T>,
    pub(super) authorities: Arc<A>,
}

impl<T, A> Clone for Found<T, A> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            authorities: Arc::clone(&self.authorities),
        }
    }
}

/// Up to this many shards.
const MAX_SHARDS: usize = 64;
/// With at least this many entries each.
const MIN_SHARD: usize = 16;
/// How many entries are looked at to find one to give up.
const MAX_STEPS: usize = 8;

impl<T, A> Store<T, A> {
    pub(super) fn new(entries: usize) -> Self {
        let count = (entries / MIN_SHARD).clamp(1, MAX_SHARDS);
        let shard = |_| {
            RwLock::new(Shard {
                places: HashMap::new(),
                entries: Vec::new(),
                hand: 0,
            })
        };
        Self {
            shards: (0..count).map(shard).collect(),
            shard_size: entries / count,
            epoch: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// An entry that holds at `now`, under the authorities that `is_current` accepts. One that has ended is
    /// removed.
    pub(super) fn get(
        &self,
        key: &Key,
        now: u64,
        is_current: impl FnOnce(&Found<T, A>) -> bool,
    ) -> Option<Arc<T>> {
        let (found, span) = {
            let shard = read(self.shard(key)?);
            let entry = shard.get(key)?;
            // A write of its own to shared memory is dear, so only the first use makes one.
            if !entry.used.load(Ordering::Relaxed) {
                entry.used.store(true, Ordering::Relaxed);
            }
            (entry.found.clone(), entry.span)
        };
        if now < span.0 {
            return None;
        }
        // The caller's bundles are asked without a lock.
        if now > span.1 || !is_current(&found) {
            self.remove_if(key, |entry| Arc::ptr_eq(&entry.found.value, &found.value));
            return None;
        }
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(found.value)
    }

    /// Remembers what was verified since `epoch`, unless entries were withdrawn in between.
    pub(super) fn insert(&self, key: Key, found: Found<T, A>, span: (u64, u64), epoch: Epoch) {
        let Some(shard) = self.shard(&key) else {
            return;
        };
        let mut shard = write(shard);
        if self.epoch() != epoch || self.shard_size == 0 {
            return;
        }
        shard.remove(&key);
        if shard.entries.len() >= self.shard_size {
            shard.give_up_one(span.0);
        }
        let place = shard.entries.len();
        shard.places.insert(key, place);
        shard.entries.push(Entry {
            key,
            found,
            span,
            used: AtomicBool::new(false),
        });
    }

    /// Withdraws one entry.
    pub(super) fn forget(&self, key: &Key) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.remove_if(key, |_| true);
    }

    /// Withdraws all entries but those that `keep` accepts, which is told of the entry and its last second. It may ask
    /// the caller's bundles, so it is asked without a lock.
    pub(super) fn retain(&self, mut keep: impl FnMut(&Found<T, A>, u64) -> bool) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        for shard in &self.shards {
            let entries: Vec<_> = read(shard)
                .entries
                .iter()
                .map(|entry| (entry.key, entry.found.clone(), entry.span.1))
                .collect();
            for (key, found, last_second) in entries {
                if !keep(&found, last_second) {
                    self.remove_if(&key, |entry| Arc::ptr_eq(&entry.found.value, &found.value));
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().fold(0_usize, |sum, shard| {
            sum.saturating_add(read(shard).entries.len())
        })
    }

    fn remove_if(&self, key: &Key, condition: impl FnOnce(&Entry<T, A>) -> bool) {
        if let Some(shard) = self.shard(key) {
            let mut shard = write(shard);
            if shard.get(key).is_some_and(condition) {
                shard.remove(key);
            }
        }
    }

    fn shard(&self, key: &Key) -> Option<&RwLock<Shard<T, A>>> {
        let [first, ..] = key;
        let at = usize::from(*first).checked_rem(self.shards.len())?;
        self.shards.get(at)
    }
}

impl<T, A> Shard<T, A> {
    fn get(&self, key: &Key) -> Option<&Entry<T, A>> {
        self.entries.get(*self.places.get(key)?)
    }

    fn remove(&mut self, key: &Key) {
        if let Some(place) = self.places.get(key).copied() {
            self.remove_at(place);
        }
    }

    fn remove_at(&mut self, place: usize) {
        if place >= self.entries.len() {
            return;
        }
        let removed = self.entries.swap_remove(place);
        self.places.remove(&removed.key);
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.key, place);
        }
    }

    /// Makes room: for one that has ended, or else one that was not used for a round. The search is short, so
    /// that a flood costs as much as anything else, and whoever is often in use mostly survives it.
    fn give_up_one(&mut self, now: u64) {
        for _ in 0..MAX_STEPS {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let Some(entry) = self.entries.get(self.hand) else {
                return;
            };
            let ended = entry.span.1 < now;
            if ended || !entry.used.swap(false, Ordering::Relaxed) {
                break;
            }
            self.hand = self.hand.saturating_add(1);
        }
        let place = match self.hand < self.entries.len() {
            true => self.hand,
            false => 0,
        };
        self.remove_at(place);
        // What came from the end has had its turn behind the others.
        self.hand = place.saturating_add(1);
    }
}

/// A panic leaves nothing half done that matters: places without entries are no hits.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
