//! The guard for one process.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pki_types::UnixTime;

use super::{ReplayGuard, ReplayKey};
use crate::error::Error;

const SHARDS: usize = 16;

/// A bounded guard in memory, in 16 shards. Its memory ends with the process: what was used before a
/// restart can be used once more while it is valid, and so can it on another node.
///
/// The bound counts all shards together, and a secret of the guard chooses an entry's shard, so nobody can
/// pick identifiers that crowd one of them.
#[derive(Debug)]
pub struct MemoryReplayGuard {
    shards: [Mutex<Shard>; SHARDS],
    chooser: RandomState,
    capacity: usize,
    /// Entries in all shards, or a few more while calls are under way.
    used: AtomicUsize,
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashSet<ReplayKey>,
    by_expiry: BTreeMap<u64, Vec<ReplayKey>>,
    /// The latest expiry of an entry that was dropped.
    forgotten: Option<u64>,
}

impl Shard {
    /// Drops what expired before `now` and gives its number.
    fn forget_expired(&mut self, now: u64) -> usize {
        let mut dropped = 0_usize;
        while let Some(first) = self.by_expiry.first_entry() {
            if *first.key() >= now {
                break;
            }
            self.forgotten = self.forgotten.max(Some(*first.key()));
            for key in first.remove() {
                self.entries.remove(&key);
                dropped = dropped.saturating_add(1);
            }
        }
        dropped
    }

    /// Whether an entry that expires then is told from one that was dropped.
    fn remembers(&self, expires: u64, now: u64) -> bool {
        expires >= now && self.forgotten.is_none_or(|forgotten| forgotten < expires)
    }
}

impl MemoryReplayGuard {
    /// A guard for `capacity` live entries, of about 150 bytes each. One without room for any refuses
    /// everything.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            shards: Default::default(),
            chooser: RandomState::new(),
            capacity,
            used: AtomicUsize::new(0),
        }
    }

    /// How many entries are held, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| lock(shard).entries.len())
            .sum()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many live entries there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    fn shard(&self, key: &ReplayKey) -> Result<&Mutex<Shard>, Error> {
        let shards = u64::try_from(SHARDS).unwrap_or(1);
        usize::try_from(self.chooser.hash_one(key) % shards)
            .ok()
            .and_then(|index| self.shards.get(index))
            .ok_or(Error::ReplayGuardUnavailable)
    }

    fn release(&self, entries: usize) {
        self.used.fetch_sub(entries, Ordering::AcqRel);
    }

    /// Takes a place for one entry, if there is one.
    fn reserve(&self) -> bool {
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                (used < self.capacity).then_some(used.saturating_add(1))
            })
            .is_ok()
    }

    /// Inserts, or gives `None` when the place for it has yet to be found.
    fn attempt(&self, key: ReplayKey, expires: u64, now: u64) -> Option<Result<(), Error>> {
        let mut shard = match self.shard(&key) {
            Ok(shard) => lock(shard),
            Err(error) => return Some(Err(error)),
        };
        self.release(shard.forget_expired(now));
        if shard.entries.contains(&key) {
            return Some(Err(Error::Replayed));
        }
        if !shard.remembers(expires, now) {
            return Some(Err(Error::ReplayWindowPassed));
        }
        if !self.reserve() {
            return None;
        }
        shard.entries.insert(key);
        shard.by_expiry.entry(expires).or_default().push(key);
        Some(Ok(()))
    }
}

/// No call of ours panics while it holds a lock; should one, the data are still consistent enough to
/// refuse a replay.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReplayGuard for MemoryReplayGuard {
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), Error> {
        let (expires, now) = (expires.as_secs(), now.as_secs());
        if let Some(outcome) = self.attempt(key, expires, now) {
            return outcome;
        }
        // Other shards may hold expired entries. No lock is held while they are looked at.
        for shard in &self.shards {
            let dropped = lock(shard).forget_expired(now);
            self.release(dropped);
        }
        self.attempt(key, expires, now)
            .unwrap_or(Err(Error::ReplayGuardFull))
    }
}
