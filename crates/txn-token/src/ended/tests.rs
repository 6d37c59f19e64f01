#![allow(clippy::unwrap_used)]

use jose_x509::provider::ring::provider;

use super::contract::{Contract, Violation};
use super::*;

fn contract() -> Contract {
    Contract::new(&provider(), "test")
}

fn key(txn: &str) -> TransactionKey {
    TransactionKey::new(&provider(), "example.org", txn)
}

#[test]
fn the_store_in_memory_fulfils_the_contract() {
    assert_eq!(
        contract().check(&MemoryEndedTransactions::default()),
        Ok(())
    );
    let shared: Arc<dyn EndedTransactions> = Arc::new(MemoryEndedTransactions::new(20));
    assert_eq!(contract().check(&shared), Ok(()));
    for capacity in [0, 1, 17, 1000] {
        let store = MemoryEndedTransactions::new(capacity);
        assert_eq!(contract().check_bounded(&store, 1000), Ok(()));
        assert_eq!((store.len(), store.is_empty()), (capacity, capacity == 0));
    }
    let store = MemoryEndedTransactions::new(1002);
    let found = contract().check_bounded(&store, 1000);
    assert_eq!(found, Err(Violation::NotBounded { entries: 1001 }));
}

/// A place is free once its transaction cannot have a valid token; then the store tells nobody that a transaction as old as
/// that one is open.
#[test]
fn an_entry_is_kept_until_its_time_and_its_place_is_free_after_it() {
    let store = MemoryEndedTransactions::new(1);
    let standing = |txn, until, now| {
        store
            .standing(key(txn), seconds(until), seconds(now))
            .unwrap()
    };
    assert_eq!(store.end(key("a"), seconds(100), seconds(50)), Ok(()));
    assert_eq!(standing("a", 100, 100), Standing::Ended);
    assert_eq!(standing("b", 100, 100), Standing::Open);
    let full = store.end(key("b"), seconds(150), seconds(100));
    assert_eq!(full, Err(Error::EndedStoreFull));
    assert_eq!(full.unwrap_err().fault(), jose_x509::Fault::Transient);
    assert_eq!(standing("c", 150, 100), Standing::Unknown);
    assert_eq!(standing("c", 151, 100), Standing::Open);
    assert_eq!(store.end(key("b"), seconds(200), seconds(101)), Ok(()));
    assert_eq!(standing("b", 200, 101), Standing::Ended);
    assert_eq!(standing("a", 100, 60), Standing::Unknown);
    assert_eq!(store.len(), 1);
}

/// A store with one fault, to see that the contract finds it.
struct Faulty {
    inner: MemoryEndedTransactions,
    end: fn(&MemoryEndedTransactions, TransactionKey, u64, u64) -> Result<(), Error>,
    standing: fn(Standing) -> Standing,
}

impl EndedTransactions for Faulty {
    fn end(&self, key: TransactionKey, until: UnixTime, now: UnixTime) -> Result<(), Error> {
        (self.end)(&self.inner, key, until.as_secs(), now.as_secs())
    }

    fn standing(
        &self,
        key: TransactionKey,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<Standing, Error> {
        let found = self.inner.standing(key, until, now)?;
        Ok((self.standing)(found))
    }
}

#[test]
fn the_contract_finds_stores_that_break_it() {
    type End = fn(&MemoryEndedTransactions, TransactionKey, u64, u64) -> Result<(), Error>;
    let sound: End = |store, key, until, now| store.end(key, seconds(until), seconds(now));
    let faulty = |capacity, end, standing| Faulty {
        inner: MemoryEndedTransactions::new(capacity),
        end,
        standing,
    };
    let same = |standing: Standing| standing;
    assert_eq!(contract().check(&faulty(100, sound, same)), Ok(()));
    let forgotten = |step| Err(Violation::Forgotten { step });
    let cases: [(End, _); 3] = [
        (|_, _, _, _| Ok(()), forgotten("after it ended")),
        // The last second is forgotten.
        (
            |store, key, until, now| store.end(key, seconds(until - 1), seconds(now)),
            forgotten("after a second, earlier end"),
        ),
        (
            |_, _, _, _| Err(Error::EndedStoreUnavailable),
            Err(Violation::Refused {
                step: "the first end",
                error: Error::EndedStoreUnavailable,
            }),
        ),
    ];
    for (end, expected) in cases {
        assert_eq!(contract().check(&faulty(100, end, same)), expected);
    }
    let step = "before it ended";
    let unknown = faulty(100, sound, |_| Standing::Unknown);
    assert_eq!(contract().check(&unknown), Err(Violation::NotOpen { step }));
    // Of what it had no room for it says nothing.
    let open = faulty(10, sound, |standing| match standing {
        Standing::Unknown => Standing::Open,
        other => other,
    });
    let step = "a transaction that ended when the store was full";
    assert_eq!(contract().check_bounded(&open, 20), forgotten(step));
    // Once full, it refuses for ever.
    let closed = faulty(10, sound, |_| Standing::Unknown);
    let step = "a transaction that began after the store was full";
    assert_eq!(
        contract().check_bounded(&closed, 20),
        Err(Violation::NotOpen { step })
    );
}
