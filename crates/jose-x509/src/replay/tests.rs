#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;

use super::contract::{Contract, Violation};
use super::*;
use crate::provider::ring;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn key(name: &str) -> ReplayKey {
    ReplayKey::new(&ring::provider(), &[b"test", name.as_bytes()])
}

fn contract() -> Contract {
    Contract::new(&ring::provider(), "test")
}

/// Runs a future that never waits.
fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

/// Covers: JWT-policy-3, JWT-A20, POP-policy-2, POP-A2
#[test]
fn the_guard_in_memory_fulfils_the_contract() {
    assert_eq!(contract().check(&MemoryReplayGuard::new(100)), Ok(()));
    assert_eq!(
        contract().check(&Arc::new(MemoryReplayGuard::new(100))),
        Ok(())
    );
    let shared: Arc<dyn ReplayGuard> = Arc::new(MemoryReplayGuard::new(100));
    assert_eq!(now_or_never(contract().check_async(&shared)), Ok(()));
}

#[test]
fn a_guard_tells_what_it_holds() {
    let guard = MemoryReplayGuard::new(3);
    assert_eq!(
        (guard.capacity(), guard.len(), guard.is_empty()),
        (3, 0, true)
    );
    guard.check_and_insert(key("one"), at(20), at(10)).unwrap();
    assert_eq!(
        (guard.capacity(), guard.len(), guard.is_empty()),
        (3, 1, false)
    );
}

/// What holds for a guard holds for one behind a pointer.
#[test]
fn guards_behind_pointers() {
    fn twice(guard: impl ReplayGuard) -> [Result<(), Error>; 2] {
        let key = || ReplayKey::new(&ring::provider(), &[b"test"]);
        [(); 2].map(|()| guard.check_and_insert(key(), at(10), at(5)))
    }

    let guard = || MemoryReplayGuard::new(100);
    let expected = [Ok(()), Err(Error::Replayed)];
    assert_eq!(twice(guard()), expected);
    let behind: &MemoryReplayGuard = &guard();
    assert_eq!(twice(behind), expected);
    assert_eq!(twice(Arc::new(guard())), expected);
}

/// The parts count with their lengths, and what a store keeps is their hash.
#[test]
fn keys_are_hashes_of_their_parts() {
    let key = |parts: &[&[u8]]| *ReplayKey::new(&ring::provider(), parts).as_bytes();
    let mut text = Vec::new();
    text.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 2]);
    text.extend_from_slice(b"ab");
    text.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
    text.extend_from_slice(b"c");
    assert_eq!(key(&[b"ab", b"c"]), ring::provider().sha256(&text));
    assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
    assert_ne!(key(&[b"abc"]), key(&[b"abc", b""]));
    // Whether they are few bytes or many.
    for len in [239, 240, 241, 10_000] {
        let long = vec![b'x'; len];
        let mut text = vec![0, 0, 0, 0, 0, 0, 0, 0];
        text.extend_from_slice(&u64::try_from(len).unwrap().to_be_bytes());
        text.extend_from_slice(&long);
        assert_eq!(key(&[b"", &long]), ring::provider().sha256(&text), "{len}");
    }
}

/// Covers: JWT-policy-4, POP-A17
#[test]
fn the_guard_in_memory_is_bounded_and_forgets_nothing_alive() {
    for capacity in [0, 1, 15, 16, 17, 1000] {
        let guard = MemoryReplayGuard::new(capacity);
        assert_eq!(contract().check_bounded(&guard, 1001), Ok(()));
        assert_eq!(guard.len(), capacity);
    }
    let guard = MemoryReplayGuard::new(1002);
    let violation = contract().check_bounded(&guard, 1001);
    assert_eq!(violation, Err(Violation::NotBounded { entries: 1002 }));
}

/// A guard with one fault, to see that the contract finds it.
struct Faulty {
    inner: MemoryReplayGuard,
    fault: fn(&MemoryReplayGuard, ReplayKey, UnixTime, UnixTime) -> Result<(), Error>,
}

impl ReplayGuard for Faulty {
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), Error> {
        (self.fault)(&self.inner, key, expires, now)
    }
}

#[test]
fn the_contract_finds_guards_that_break_it() {
    let violation = |fault| {
        let guard = || Faulty {
            inner: MemoryReplayGuard::new(1000),
            fault,
        };
        let found = contract().check(&guard()).unwrap_err();
        let found_async = now_or_never(contract().check_async(&guard()));
        assert_eq!(found_async, Err(found.clone()));
        found
    };
    let second_use = Violation::Forgotten { step: "second use" };
    assert_eq!(violation(|_, _, _, _| Ok(())), second_use);
    assert!(matches!(
        violation(|_, _, _, _| Err(Error::ReplayGuardFull)),
        Violation::Refused { .. }
    ));
    // Expiry taken as exclusive.
    assert_eq!(
        violation(|guard, key, expires, now| guard
            .check_and_insert(key, expires, at(now.as_secs() + 1))
            .or_else(|error| match error {
                Error::ReplayWindowPassed => Ok(()),
                error => Err(error),
            })),
        Violation::Forgotten {
            step: "second use at the second of expiry"
        }
    );
    // The whole of it forgotten after a while.
    assert!(matches!(
        violation(|guard, key, expires, now| guard.check_and_insert(
            key,
            at(expires.as_secs().min(now.as_secs() + 5)),
            now
        )),
        Violation::Forgotten { .. }
    ));
    // A full guard that makes room.
    let guard = Faulty {
        inner: MemoryReplayGuard::new(10),
        fault: |guard, key, expires, now| match guard.check_and_insert(key, expires, now) {
            Err(Error::Replayed) if guard.len() == 10 => Ok(()),
            other => other,
        },
    };
    assert!(matches!(
        contract().check_bounded(&guard, 20),
        Err(Violation::Forgotten { .. })
    ));
}

/// A look, a pause, and a write: what a store must not do.
struct LookThenWrite(MemoryReplayGuard, std::sync::Mutex<HashMap<ReplayKey, u64>>);

impl AsyncReplayGuard for LookThenWrite {
    fn check_and_insert_async(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> ReplayFuture<'_> {
        Box::pin(async move {
            if self.1.lock().unwrap().contains_key(&key) {
                return Err(Error::Replayed);
            }
            let mut paused = false;
            std::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::replace(&mut paused, true) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            self.1.lock().unwrap().insert(key, expires.as_secs());
            let _ = self.0.check_and_insert(key, expires, now);
            Ok(())
        })
    }
}

#[test]
fn the_contract_finds_a_store_that_looks_and_then_writes() {
    let guard = LookThenWrite(MemoryReplayGuard::new(1000), Default::default());
    let contract = contract();
    let mut check = std::pin::pin!(contract.check_async(&guard));
    let outcome = loop {
        let polled = check.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(outcome) = polled {
            break outcome;
        }
    };
    assert_eq!(
        outcome,
        Err(Violation::NotAtomic {
            calls: 8,
            succeeded: 8
        })
    );
}

/// Covers: JWT-policy-3, JWT-A20
#[test]
fn an_entry_is_kept_until_its_time_and_its_place_is_free_after_it() {
    let guard = MemoryReplayGuard::new(1);
    assert_eq!(guard.check_and_insert(key("a"), at(100), at(50)), Ok(()));
    for now in [50, 99, 100] {
        assert_eq!(
            guard.check_and_insert(key("a"), at(100), at(now)),
            Err(Error::Replayed)
        );
        assert_eq!(
            guard.check_and_insert(key("b"), at(200), at(now)),
            Err(Error::ReplayGuardFull)
        );
    }
    assert_eq!(guard.check_and_insert(key("b"), at(200), at(101)), Ok(()));
    assert_eq!(
        (guard.len(), guard.is_empty(), guard.capacity()),
        (1, false, 1)
    );
}

/// Covers: POP-A4
#[test]
fn a_clock_that_goes_back_opens_nothing() {
    let guard = MemoryReplayGuard::new(100);
    for i in 0..50 {
        let key = key(&i.to_string());
        assert_eq!(guard.check_and_insert(key, at(100), at(50)), Ok(()));
    }
    // Everything is forgotten, and the room is used again.
    for i in 50..150 {
        let key = key(&i.to_string());
        assert_eq!(guard.check_and_insert(key, at(300), at(200)), Ok(()));
    }
    for i in 0..50 {
        let key = key(&i.to_string());
        let refusal = guard.check_and_insert(key, at(100), at(60)).unwrap_err();
        assert_eq!(refusal, Error::ReplayWindowPassed);
        assert_eq!(refusal.fault(), crate::Fault::Transient);
    }
    assert_eq!(
        guard.check_and_insert(key("expired"), at(199), at(200)),
        Err(Error::ReplayWindowPassed)
    );
}

#[test]
fn parts_cannot_be_shifted() {
    let of = |parts: &[&[u8]]| ReplayKey::new(&ring::provider(), parts);
    assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
    assert_ne!(of(&[b"a"]), of(&[b"a", b""]));
}

/// Covers: POP-policy-2, POP-A2
#[test]
fn of_concurrent_uses_one_succeeds_also_when_the_guard_is_nearly_full() {
    let guard = MemoryReplayGuard::new(40);
    for round in 0..40_u64 {
        let succeeded = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..100 {
                let (guard, succeeded) = (&guard, &succeeded);
                scope.spawn(move || {
                    let now = at(1000 + round * 10);
                    let name = format!("{round}");
                    if guard
                        .check_and_insert(key(&name), at(now.as_secs() + 5), now)
                        .is_ok()
                    {
                        succeeded.fetch_add(1, Ordering::Relaxed);
                    }
                    // What fills the guard meanwhile, and expires before the next round.
                    if thread % 4 == 0 {
                        let other = format!("{round}-{thread}");
                        guard
                            .check_and_insert(key(&other), at(now.as_secs() + 9), now)
                            .unwrap();
                    }
                });
            }
        });
        assert_eq!(succeeded.into_inner(), 1);
        assert!(guard.len() <= 40);
    }
}

proptest! {
    #[test]
    fn agrees_with_a_plain_model(capacity in 1_usize..12, uses in prop::collection::vec((0_u8..20, 0_u64..40, 0_u64..4), 0..200)) {
        let guard = MemoryReplayGuard::new(capacity);
        let mut model = HashMap::new();
        let mut now = 0;
        for (name, lifetime, step) in uses {
            now += step;
            model.retain(|_, expires| *expires >= now);
            let expected = if model.contains_key(&name) {
                Err(Error::Replayed)
            } else if model.len() == capacity {
                Err(Error::ReplayGuardFull)
            } else {
                model.insert(name, now + lifetime);
                Ok(())
            };
            prop_assert_eq!(guard.check_and_insert(key(&name.to_string()), at(now + lifetime), at(now)), expected);
        }
    }
}
