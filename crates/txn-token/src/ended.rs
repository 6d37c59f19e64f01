//! Transactions that ended before their tokens did: no further token of them is issued.
//!
//! A transaction ends where it grew beyond a threshold of its token service, or where the service's policy ends it. Other
//! branches of it may hold tokens that are still far from every threshold, so the service has to remember.
//! [`MemoryEndedTransactions`] does that for one process; several instances of one service share a store of their own behind
//! [`EndedTransactions`]. [`contract`] has the checks that every implementation should run in its tests.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jose_x509::CryptoProvider;
use jose_x509::replay::ReplayKey;
use pki_types::UnixTime;

use crate::error::Error;

pub mod contract;
#[cfg(test)]
mod tests;

/// The identity of a transaction in a store: a hash, so that its size is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionKey(ReplayKey);

impl TransactionKey {
    /// For `txn` of the tokens of a trust domain.
    #[must_use]
    pub fn new(provider: &CryptoProvider, trust_domain: &str, txn: &str) -> Self {
        let parts = ["ended transaction", trust_domain, txn].map(str::as_bytes);
        Self(ReplayKey::new(provider, &parts))
    }

    /// The hash: what a store keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

/// What a store says of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It was not ended.
    Open,
    /// It was.
    Ended,
    /// The store had no room for one like it, or has forgotten when it would have ended: it may have been.
    Unknown,
}

/// Remembers which transactions ended.
///
/// # Contract
///
/// * From the return of [`end`](Self::end) on, with whatever result, [`standing`](Self::standing) of that transaction is not
///   [`Standing::Open`], on any node, as long as `now <= until`; also when a clock is set back.
/// * No entry is dropped for lack of room before its `until`. A store without room refuses with
///   [`Error::EndedStoreFull`], and then says [`Standing::Unknown`] of every transaction that it may have missed: of those
///   whose `until`, as `standing` is told, is not later than that of the one for which it had no room.
/// * [`Standing::Ended`] is said of no transaction but those that were ended.
/// * A store that cannot be reached refuses with [`Error::EndedStoreUnavailable`].
///
/// What is lost when the process or store ends is for the implementation to document. [`contract`] checks all this.
pub trait EndedTransactions: Send + Sync {
    /// Remembers that a transaction ended, until `until`, when no token of it can be valid.
    ///
    /// # Errors
    ///
    /// [`Error::EndedStoreFull`], [`Error::EndedStoreUnavailable`].
    fn end(&self, key: TransactionKey, until: UnixTime, now: UnixTime) -> Result<(), Error>;

    /// Whether a transaction ended, of which no token can be valid after `until`.
    ///
    /// # Errors
    ///
    /// [`Error::EndedStoreUnavailable`].
    fn standing(
        &self,
        key: TransactionKey,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<Standing, Error>;
}

impl<T: EndedTransactions + ?Sized> EndedTransactions for Arc<T> {
    fn end(&self, key: TransactionKey, until: UnixTime, now: UnixTime) -> Result<(), Error> {
        (**self).end(key, until, now)
    }

    fn standing(
        &self,
        key: TransactionKey,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<Standing, Error> {
        (**self).standing(key, until, now)
    }
}

/// A bounded store in memory. Its memory ends with the process: what ended before a restart can then go on while its tokens
/// are valid, and so it can at another node.
#[derive(Debug)]
pub struct MemoryEndedTransactions {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<TransactionKey, u64>,
    by_end: BTreeSet<(u64, TransactionKey)>,
    /// The latest `until` of an entry that was dropped, or for which there was no room.
    missed: Option<u64>,
}

impl State {
    fn forget(&mut self, now: u64) {
        while let Some((until, key)) = self.by_end.first().copied() {
            if until >= now {
                break;
            }
            self.missed = self.missed.max(Some(until));
            self.by_end.remove(&(until, key));
            self.entries.remove(&key);
        }
    }

    fn keep(&mut self, key: TransactionKey, until: u64) {
        if let Some(before) = self.entries.insert(key, until) {
            self.by_end.remove(&(before, key));
        }
        self.by_end.insert((until, key));
    }
}

impl MemoryEndedTransactions {
    /// A store for `capacity` transactions at a time, of about 150 bytes each. One without room for any ends every transaction
    /// that began no later than the first that is to be ended.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
        }
    }

    /// How many are held, those included whose time is over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with(|state| state.entries.len())
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No call of ours panics while it holds the lock.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for MemoryEndedTransactions {
    /// Room for 65 536 transactions.
    fn default() -> Self {
        Self::new(65_536)
    }
}

impl EndedTransactions for MemoryEndedTransactions {
    fn end(&self, key: TransactionKey, until: UnixTime, now: UnixTime) -> Result<(), Error> {
        let (until, now) = (until.as_secs(), now.as_secs());
        self.with(|state| {
            state.forget(now);
            if let Some(before) = state.entries.get(&key).copied() {
                state.keep(key, until.max(before));
                return Ok(());
            }
            if until < now {
                state.missed = state.missed.max(Some(until));
                return Ok(());
            }
            if state.entries.len() >= self.capacity {
                state.missed = state.missed.max(Some(until));
                return Err(Error::EndedStoreFull);
            }
            state.keep(key, until);
            Ok(())
        })
    }

    fn standing(
        &self,
        key: TransactionKey,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<Standing, Error> {
        let (until, now) = (until.as_secs(), now.as_secs());
        self.with(|state| {
            state.forget(now);
            Ok(if state.entries.contains_key(&key) {
                Standing::Ended
            } else if state.missed.is_some_and(|missed| until <= missed) {
                Standing::Unknown
            } else {
                Standing::Open
            })
        })
    }
}

/// How long entries are kept beyond what lifetimes say, for clocks that differ.
const SKEW: u64 = 120;

/// The store of one issuer.
#[derive(Clone)]
pub(crate) struct Ended(pub(crate) Arc<dyn EndedTransactions>);

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndedTransactions")
    }
}

impl Ended {
    /// Refuses a transaction that ended. It began at `began`, and no token of one lives longer than `longest` after that.
    pub(crate) fn check(
        &self,
        key: TransactionKey,
        began: u64,
        longest: u64,
        now: u64,
    ) -> Result<(), Error> {
        let until = seconds(began.saturating_add(longest));
        match self.0.standing(key, until, seconds(now))? {
            Standing::Open => Ok(()),
            Standing::Ended | Standing::Unknown => Err(Error::TransactionEnded),
        }
    }

    /// Ends a transaction. Whatever token of it there is now, and whatever replaces it, is over `longest` from now; the one at
    /// hand at `expires`.
    pub(crate) fn end(
        &self,
        key: TransactionKey,
        expires: u64,
        longest: u64,
        now: u64,
    ) -> Result<(), Error> {
        let until = now.saturating_add(longest).max(expires);
        self.0
            .end(key, seconds(until.saturating_add(SKEW)), seconds(now))
    }
}

fn seconds(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}
