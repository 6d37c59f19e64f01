//! One guard against replay for proofs, assertions, event tokens and transaction tokens.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use pki_types::UnixTime;

use crate::error::Error;
use crate::provider::CryptoProvider;

/// The identity of something that may be used once: a hash, so that its size is fixed and its
/// parts cannot be confused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplayKey([u8; 32]);

impl ReplayKey {
    /// Hashes the parts, each with its length, so that `("ab", "c")` is not `("a", "bc")`. The first
    /// part should name the kind of thing, such as `"wpt"`.
    ///
    /// Use `jti` and the issuer's or key's name, never the token's text: every ECDSA signature has a
    /// second valid form.
    #[must_use]
    pub fn new(provider: &CryptoProvider, parts: &[&[u8]]) -> Self {
        let mut text =
            Vec::with_capacity(parts.iter().map(|part| part.len().saturating_add(8)).sum());
        for part in parts {
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part);
        }
        Self(provider.sha256(&text))
    }

    /// The hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Remembers what was used.
///
/// Contract: `check_and_insert` is atomic, so that of several concurrent calls with one key exactly
/// one succeeds. An entry is kept until `expires` has passed and is never dropped for lack of room;
/// a guard without room refuses. What is lost when the process ends is for the implementation to
/// document, and for the caller to bound by short lifetimes.
pub trait ReplayGuard: Send + Sync {
    /// Remembers `key` until `expires`. Call it after every other check has passed.
    ///
    /// # Errors
    ///
    /// [`Error::Replayed`] when the key is known, [`Error::ReplayGuardFull`] when there is no room.
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), Error>;
}

impl<T: ReplayGuard + ?Sized> ReplayGuard for &T {
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), Error> {
        (**self).check_and_insert(key, expires, now)
    }
}

impl<T: ReplayGuard + ?Sized> ReplayGuard for std::sync::Arc<T> {
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), Error> {
        (**self).check_and_insert(key, expires, now)
    }
}

const SHARDS: usize = 16;

/// A bounded guard in memory, in 16 shards. Its memory ends with the process.
#[derive(Debug)]
pub struct MemoryReplayGuard {
    shards: [Mutex<Shard>; SHARDS],
    per_shard: usize,
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<ReplayKey, u64>,
    by_expiry: BTreeMap<u64, Vec<ReplayKey>>,
}

impl Shard {
    fn forget_expired(&mut self, now: u64) {
        while let Some(first) = self.by_expiry.first_entry() {
            if *first.key() >= now {
                break;
            }
            for key in first.remove() {
                self.entries.remove(&key);
            }
        }
    }
}

impl MemoryReplayGuard {
    /// A guard for about `capacity` live entries (at least 16; about 100 bytes each).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            shards: Default::default(),
            per_shard: capacity.div_ceil(SHARDS).max(1),
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
}

/// No call of ours panics while it holds a lock; should one, the data are still consistent enough to
/// refuse a replay.
fn lock(shard: &Mutex<Shard>) -> std::sync::MutexGuard<'_, Shard> {
    shard
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl ReplayGuard for MemoryReplayGuard {
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), Error> {
        let [first, ..] = key.0;
        let shard = self
            .shards
            .get(usize::from(first) % SHARDS)
            .ok_or(Error::ReplayGuardFull)?;
        let mut shard = lock(shard);
        shard.forget_expired(now.as_secs());
        let full = shard.entries.len() >= self.per_shard;
        match shard.entries.entry(key) {
            Entry::Occupied(_) => return Err(Error::Replayed),
            Entry::Vacant(_) if full => return Err(Error::ReplayGuardFull),
            Entry::Vacant(entry) => entry.insert(expires.as_secs()),
        };
        shard
            .by_expiry
            .entry(expires.as_secs())
            .or_default()
            .push(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
