//! What every replay guard has to fulfil, for the tests of its implementation.
//!
//! ```
//! use jose_x509::MemoryReplayGuard;
//! use jose_x509::provider::ring;
//! use jose_x509::replay::contract::Contract;
//!
//! let contract = Contract::new(&ring::provider(), "a name that no earlier run on this store had");
//! contract.check(&MemoryReplayGuard::new(10_000))?;
//! contract.check_bounded(&MemoryReplayGuard::new(100), 1_000)?;
//! # Ok::<(), jose_x509::replay::contract::Violation>(())
//! ```
//!
//! A store behind a network, such as Redis or SQL, awaits [`Contract::check_async`] in the same way. The
//! checks never ask that something be forgotten, so a store may use its own clock for that.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Barrier;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use pki_types::UnixTime;

use super::{AsyncReplayGuard, ReplayGuard, ReplayKey};
use crate::error::Error;
use crate::provider::CryptoProvider;

/// A rule of the contract that a guard broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Something unused was refused.
    #[error("{step}: an unused key was refused: {error}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// The refusal.
        error: Error,
    },
    /// Something used was accepted, or refused for another reason than [`Error::Replayed`].
    #[error("{step}: a used key was not refused as such")]
    Forgotten {
        /// What was tried.
        step: &'static str,
    },
    /// Of concurrent calls with one key not exactly one succeeded.
    #[error("{succeeded} of {calls} concurrent calls with one key succeeded, not one")]
    NotAtomic {
        /// How many calls there were.
        calls: usize,
        /// How many of them succeeded.
        succeeded: usize,
    },
    /// A guard that was said to be bounded took more than was said.
    #[error("the guard holds {entries} live entries and is not full")]
    NotBounded {
        /// How many entries it took.
        entries: usize,
    },
    /// A guard without room refused for another reason than [`Error::ReplayGuardFull`].
    #[error("the full guard refused with another error: {error}")]
    WrongRefusal {
        /// The refusal.
        error: Error,
    },
}

/// The checks, with keys of their own.
#[derive(Clone, Debug)]
pub struct Contract {
    provider: CryptoProvider,
    run: String,
    now: u64,
}

/// Concurrent calls in one round, and rounds.
const CALLS: usize = 8;
const ROUNDS: usize = 20;
/// How long entries live, in seconds.
const LIFETIME: u64 = 60;

impl Contract {
    /// Checks whose keys depend on `run`. A store that outlives the run needs another name each time.
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

    /// Checks a guard that has room for at least 100 entries, from several threads.
    ///
    /// # Errors
    ///
    /// The first [`Violation`].
    pub fn check(&self, guard: &(impl ReplayGuard + ?Sized)) -> Result<(), Violation> {
        for step in self.steps() {
            step.judge(guard.check_and_insert(step.key, step.expires, step.now))?;
        }
        for round in 0..ROUNDS {
            let key = self.key("concurrent", round);
            let start = Barrier::new(CALLS);
            let use_once = || {
                start.wait();
                guard.check_and_insert(key, self.after(LIFETIME), self.after(0))
            };
            let outcomes: Vec<_> = thread::scope(|scope| {
                let calls: Vec<_> = (0..CALLS).map(|_| scope.spawn(use_once)).collect();
                calls
                    .into_iter()
                    .map(thread::ScopedJoinHandle::join)
                    .collect()
            });
            let succeeded = outcomes
                .iter()
                .filter(|outcome| matches!(outcome, Ok(Ok(()))))
                .count();
            judge_concurrent(succeeded)?;
        }
        Ok(())
    }

    /// Checks a guard behind a network. Its calls overlap in one task, on whatever runtime polls it.
    ///
    /// # Errors
    ///
    /// The first [`Violation`].
    pub async fn check_async(
        &self,
        guard: &(impl AsyncReplayGuard + ?Sized),
    ) -> Result<(), Violation> {
        for step in self.steps() {
            step.judge(
                guard
                    .check_and_insert_async(step.key, step.expires, step.now)
                    .await,
            )?;
        }
        for round in 0..ROUNDS {
            let key = self.key("concurrent", round);
            let calls = (0..CALLS)
                .map(|_| guard.check_and_insert_async(key, self.after(LIFETIME), self.after(0)));
            let outcomes = join(calls.collect()).await;
            judge_concurrent(outcomes.iter().filter(|outcome| outcome.is_ok()).count())?;
        }
        Ok(())
    }

    /// Checks that a guard of at most `limit` entries refuses when it is full, and still knows every
    /// entry then, up to its last second.
    ///
    /// # Errors
    ///
    /// The first [`Violation`].
    pub fn check_bounded(
        &self,
        guard: &(impl ReplayGuard + ?Sized),
        limit: usize,
    ) -> Result<(), Violation> {
        let (expires, now) = (self.after(LIFETIME), self.after(0));
        let mut held = Vec::new();
        let mut full = false;
        for index in 0..=limit {
            let key = self.key("bounded", index);
            match guard.check_and_insert(key, expires, now) {
                Ok(()) => held.push(key),
                Err(Error::ReplayGuardFull) => full = true,
                Err(error) => return Err(Violation::WrongRefusal { error }),
            }
        }
        if !full {
            return Err(Violation::NotBounded {
                entries: held.len(),
            });
        }
        for key in held {
            for at in [now, expires] {
                if guard.check_and_insert(key, expires, at) != Err(Error::Replayed) {
                    return Err(Violation::Forgotten {
                        step: "an entry of a full guard",
                    });
                }
            }
        }
        Ok(())
    }

    fn after(&self, seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.now.saturating_add(seconds)))
    }

    fn key(&self, name: &str, index: usize) -> ReplayKey {
        let index = index.to_string();
        let parts = ["replay-contract", &self.run, name, &index];
        ReplayKey::new(&self.provider, &parts.map(str::as_bytes))
    }

    /// What is called one after the other, with what has to come of it.
    fn steps(&self) -> Vec<Step> {
        let (now, soon, last) = (
            self.after(0),
            self.after(LIFETIME / 2),
            self.after(LIFETIME),
        );
        let forever = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
        let past = UnixTime::since_unix_epoch(Duration::from_secs(self.now.saturating_sub(1)));
        let key = |name| self.key(name, 0);
        let step = |what, name, expires, now, expected| Step {
            what,
            key: key(name),
            expires,
            now,
            expected,
        };
        use Expected::{Accepted, Either, Refused, Replayed};
        vec![
            step("first use", "a", last, now, Accepted),
            step("second use", "a", last, now, Replayed),
            step("another key", "b", last, now, Accepted),
            step("use with an earlier expiry", "a", soon, now, Replayed),
            step("use with a later expiry", "a", forever, now, Replayed),
            step("entry without end", "c", forever, now, Accepted),
            step(
                "second use of the entry without end",
                "c",
                forever,
                now,
                Replayed,
            ),
            step("expiry at this second", "d", now, now, Accepted),
            step(
                "second use at the second of expiry",
                "d",
                now,
                now,
                Replayed,
            ),
            step("use half-way to the expiry", "a", last, soon, Replayed),
            step("time before the first use", "a", last, past, Replayed),
            step("use of something that has expired", "e", past, now, Either),
            step(
                "second use of something that has expired",
                "e",
                past,
                now,
                Refused,
            ),
            step("use at the second of expiry", "a", last, last, Replayed),
            step("use at the second of expiry", "b", last, last, Replayed),
            step("entry without end, later", "c", forever, last, Replayed),
        ]
    }
}

struct Step {
    what: &'static str,
    key: ReplayKey,
    expires: UnixTime,
    now: UnixTime,
    expected: Expected,
}

#[derive(Clone, Copy)]
enum Expected {
    Accepted,
    Replayed,
    /// For whatever reason.
    Refused,
    /// The next step decides.
    Either,
}

impl Step {
    fn judge(&self, outcome: Result<(), Error>) -> Result<(), Violation> {
        let step = self.what;
        match (self.expected, outcome) {
            (Expected::Accepted, Err(error)) => Err(Violation::Refused { step, error }),
            (Expected::Replayed, Err(Error::Replayed)) => Ok(()),
            (Expected::Replayed, _) | (Expected::Refused, Ok(())) => {
                Err(Violation::Forgotten { step })
            }
            _ => Ok(()),
        }
    }
}

fn judge_concurrent(succeeded: usize) -> Result<(), Violation> {
    if succeeded == 1 {
        Ok(())
    } else {
        Err(Violation::NotAtomic {
            calls: CALLS,
            succeeded,
        })
    }
}

/// Polls all futures in turn until each has an outcome.
async fn join<T>(futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut pending: Vec<_> = futures.into_iter().map(Some).collect();
    let mut outcomes = Vec::new();
    poll_fn(|context| {
        for slot in &mut pending {
            let ready = match slot {
                Some(future) => future.as_mut().poll(context),
                None => Poll::Pending,
            };
            if let Poll::Ready(outcome) = ready {
                outcomes.push(outcome);
                *slot = None;
            }
        }
        if pending.iter().all(Option::is_none) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    outcomes
}
