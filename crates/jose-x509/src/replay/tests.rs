use std::sync::Arc;
use std::time::Duration;

use pki_types::UnixTime;
use proptest::prelude::*;

use super::*;
use crate::provider::ring;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn key(name: &str) -> ReplayKey {
    ReplayKey::new(&ring::provider(), &[b"test", name.as_bytes()])
}

/// Covers: JWT-policy-3, JWT-A20
#[test]
fn an_entry_is_kept_until_its_time() {
    let guard = MemoryReplayGuard::new(1000);
    assert_eq!(guard.check_and_insert(key("a"), at(100), at(50)), Ok(()));
    for now in [50, 99, 100] {
        assert_eq!(
            guard.check_and_insert(key("a"), at(100), at(now)),
            Err(Error::Replayed)
        );
    }
    assert_eq!(guard.check_and_insert(key("a"), at(200), at(101)), Ok(()));
    assert_eq!(guard.len(), 1);
}

/// Covers: JWT-policy-4
#[test]
fn a_full_guard_refuses_and_forgets_nothing_alive() {
    let guard = MemoryReplayGuard::new(16);
    let mut stored = Vec::new();
    let mut refused = 0;
    for i in 0..200 {
        let key = key(&i.to_string());
        match guard.check_and_insert(key, at(1000), at(0)) {
            Ok(()) => stored.push(key),
            Err(Error::ReplayGuardFull) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0 && stored.len() <= 16);
    for key in &stored {
        assert_eq!(
            guard.check_and_insert(*key, at(1000), at(1000)),
            Err(Error::Replayed)
        );
    }
    for key in &stored {
        assert_eq!(guard.check_and_insert(*key, at(2000), at(1001)), Ok(()));
    }
}

#[test]
fn parts_cannot_be_shifted() {
    let of = |parts: &[&[u8]]| ReplayKey::new(&ring::provider(), parts);
    assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
    assert_ne!(of(&[b"a"]), of(&[b"a", b""]));
}

#[test]
fn of_concurrent_uses_one_succeeds() {
    let guard = Arc::new(MemoryReplayGuard::new(10_000));
    for round in 0..50 {
        let name = round.to_string();
        let succeeded: usize = std::thread::scope(|scope| {
            let uses: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        usize::from(guard.check_and_insert(key(&name), at(10), at(1)).is_ok())
                    })
                })
                .collect();
            uses.into_iter().map(|used| used.join().unwrap()).sum()
        });
        assert_eq!(succeeded, 1);
    }
}

proptest! {
    #[test]
    fn agrees_with_a_plain_model(uses in prop::collection::vec((0_u8..20, 0_u64..40, 0_u64..4), 0..200)) {
        let guard = MemoryReplayGuard::new(100_000);
        let mut model = HashMap::new();
        let mut now = 0;
        for (name, lifetime, step) in uses {
            now += step;
            model.retain(|_, expires| *expires >= now);
            let expected = !model.contains_key(&name);
            if expected {
                model.insert(name, now + lifetime);
            }
            prop_assert_eq!(guard.check_and_insert(key(&name.to_string()), at(now + lifetime), at(now)).is_ok(), expected);
        }
    }
}
