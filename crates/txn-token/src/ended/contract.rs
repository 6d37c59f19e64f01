//! What every store of ended transactions has to fulfil, for the tests of its implementation.
//!
//! ```
//! use jose_x509::provider::ring;
//! use txn_token::MemoryEndedTransactions;
//! use txn_token::ended::contract::Contract;
//!
//! let contract = Contract::new(&ring::provider(), "a name that no earlier run on this store had");
//! contract.check(&MemoryEndedTransactions::new(100))?;
//! contract.check_bounded(&MemoryEndedTransactions::new(100), 1_000)?;
//! # Ok::<(), txn_token::ended::contract::Violation>(())
//! ```
//!
//! The checks never ask that something be forgotten, so a store may use its own clock for that.

use std::thread;
use std::time::Duration;

use jose_x509::CryptoProvider;
use pki_types::UnixTime;

use super::{EndedTransactions, Standing, TransactionKey};
use crate::error::Error;

/// A rule of the contract that a store broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A transaction that nobody ended is not open.
    #[error("{step}: a transaction that was not ended is not open")]
    NotOpen {
        /// What was tried.
        step: &'static str,
    },
    /// A transaction that was ended may go on.
    #[error("{step}: a transaction that was ended is not known as such")]
    Forgotten {
        /// What was tried.
        step: &'static str,
    },
    /// A store with room refused, or one without room refused for another reason than [`Error::EndedStoreFull`].
    #[error("{step}: the store gave an error: {error}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// The error.
        error: Error,
    },
    /// A store that was said to be bounded took more than was said.
    #[error("the store holds {entries} transactions and is not full")]
    NotBounded {
        /// How many it took.
        entries: usize,
    },
}

/// The checks, with transactions of their own.
#[derive(Clone, Debug)]
pub struct Contract {
    provider: CryptoProvider,
    run: String,
    now: u64,
}

/// How long entries live, in seconds.
const LIFETIME: u64 = 60;
const THREADS: usize = 8;

impl Contract {
    /// Checks whose transactions depend on `run`. A store that outlives the run needs another name each time.
    #[must_use]
    pub fn new(provider: &CryptoProvider, run: impl Into<String>) -> Self {
        Self {
            provider: *provider,
            run: run.into(),
            now: 1_800_000_000,
        }
    }

    /// Uses this time instead of a fixed one, for a store that has a clock of its own.
    #[must_use]
    pub fn at(self, now: UnixTime) -> Self {
        Self {
            now: now.as_secs(),
            ..self
        }
    }

    /// Checks a store that has room for at least 20 transactions, also from several threads.
    ///
    /// # Errors
    ///
    /// The first [`Violation`].
    pub fn check(&self, store: &(impl EndedTransactions + ?Sized)) -> Result<(), Violation> {
        let (a, b) = (self.key("a", 0), self.key("b", 0));
        let (soon, last) = (LIFETIME / 2, LIFETIME);
        let end = |step, key, until| {
            let ended = store.end(key, self.after(until), self.after(0));
            ended.map_err(|error| Violation::Refused { step, error })
        };
        let open = |step, key| self.expect(store, (step, key), last, 0, true);
        let ended = |step, key, at| self.expect(store, (step, key), last, at, false);
        open("before it ended", a)?;
        end("the first end", a, last)?;
        ended("after it ended", a, 0)?;
        open("another transaction", b)?;
        end("a second end", a, soon)?;
        ended("after a second, earlier end", a, last)?;
        end("an end", b, soon)?;
        end("a later end", b, last)?;
        ended("after a second, later end", b, soon + 1)?;
        ended("at the last second", b, last)?;
        // The clock is set back, from after the end to before it.
        for at in [last + 1, 0] {
            self.standing(store, a, last, at)?;
        }
        ended("after the clock was set back", a, 0)?;
        for index in 0..THREADS {
            let key = self.key("concurrent", index);
            let all = thread::scope(|scope| {
                let calls: Vec<_> = (0..2)
                    .map(|_| {
                        scope.spawn(|| {
                            end("of two at once", key, last)?;
                            ended("after one of two at once", key, 0)
                        })
                    })
                    .collect();
                calls
                    .into_iter()
                    .map(thread::ScopedJoinHandle::join)
                    .collect::<Vec<_>>()
            });
            for one in all {
                let step = "from two threads";
                one.unwrap_or(Err(Violation::Forgotten { step }))?;
            }
        }
        Ok(())
    }

    /// Checks that a store of at most `limit` transactions refuses when it is full, and that even then every transaction that
    /// was to end is refused, up to its last second, and that one which began later is open.
    ///
    /// # Errors
    ///
    /// The first [`Violation`].
    pub fn check_bounded(
        &self,
        store: &(impl EndedTransactions + ?Sized),
        limit: usize,
    ) -> Result<(), Violation> {
        let mut full = false;
        for index in 0..=limit {
            let key = self.key("bounded", index);
            match store.end(key, self.after(LIFETIME), self.after(0)) {
                Ok(()) => {}
                Err(Error::EndedStoreFull) => full = true,
                Err(error) => {
                    let step = "a full store";
                    return Err(Violation::Refused { step, error });
                }
            }
        }
        if !full {
            let entries = limit.saturating_add(1);
            return Err(Violation::NotBounded { entries });
        }
        for index in 0..=limit {
            let key = self.key("bounded", index);
            for at in [0, LIFETIME] {
                let what = ("a transaction that ended when the store was full", key);
                self.expect(store, what, LIFETIME, at, false)?;
            }
        }
        let later = self.key("later", 0);
        let what = ("a transaction that began after the store was full", later);
        self.expect(store, what, LIFETIME + 1, 0, true)
    }

    fn expect(
        &self,
        store: &(impl EndedTransactions + ?Sized),
        (step, key): (&'static str, TransactionKey),
        until: u64,
        at: u64,
        open: bool,
    ) -> Result<(), Violation> {
        match self.standing(store, key, until, at)? == Standing::Open {
            found if found == open => Ok(()),
            true => Err(Violation::Forgotten { step }),
            false => Err(Violation::NotOpen { step }),
        }
    }

    fn standing(
        &self,
        store: &(impl EndedTransactions + ?Sized),
        key: TransactionKey,
        until: u64,
        at: u64,
    ) -> Result<Standing, Violation> {
        let step = "a question";
        store
            .standing(key, self.after(until), self.after(at))
            .map_err(|error| Violation::Refused { step, error })
    }

    fn after(&self, seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.now.saturating_add(seconds)))
    }

    fn key(&self, name: &str, index: usize) -> TransactionKey {
        TransactionKey::new(&self.provider, &self.run, &format!("{name} {index}"))
    }
}
