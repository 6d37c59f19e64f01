//! The contract of the event queue, on every implementation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

mod common;

use std::time::Duration;

use common::*;
use ssf_stream::queue::{EventQueue, MemoryEventQueue, contract};

const VISIBILITY: Duration = Duration::from_secs(30);

/// Runs the suite, and makes sure that it notices a queue that holds more or hides longer than it says.
fn conforms(queue: &dyn EventQueue) {
    let check = |capacity, visibility| run(contract::check(queue, capacity, visibility));
    assert_eq!(check(5, VISIBILITY), Ok(()));
    assert_eq!(check(5, VISIBILITY), Ok(()), "it leaves something behind");
    assert!(check(5, Duration::from_secs(29)).is_err());
    run(queue.remove("one")).unwrap();
    assert!(check(4, VISIBILITY).is_err());
}

/// Covers: SET-POLL-2.2-3, SET-POLL-2.4-2, SET-POLL-2-7, SET-POLL-A1, SET-POLL-A10, SSF-A13
#[test]
fn the_memory_queue_keeps_the_contract() {
    conforms(&MemoryEventQueue::new(5).with_visibility_timeout(VISIBILITY));
}

/// Covers: SSF-A13
#[test]
fn a_stream_is_bounded_in_bytes_too() {
    let queue = MemoryEventQueue::new(5).with_bytes(10);
    assert_eq!(
        run(contract::check(&queue, 5, VISIBILITY)).map_err(|_| ()),
        Err(())
    );
}

#[cfg(feature = "redb")]
mod durable {
    use super::*;
    use ssf_set::SetErrorCode;
    use ssf_stream::queue::{
        Addressed, BatchLimit, Consumer, Fence, Gate, Place, QueueError, QueuedSet, RedbEventQueue,
    };

    fn file(name: &str) -> std::path::PathBuf {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = folder.join(format!("{name}-{}.redb", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn set(id: &str) -> QueuedSet {
        QueuedSet {
            id: id.to_owned(),
            compact: format!("compact.{id}"),
            control: false,
        }
    }

    /// Covers: SET-POLL-2.2-3, SET-POLL-2.4-2, SET-POLL-2-7, SSF-A13
    #[test]
    fn the_durable_queue_keeps_the_contract() {
        let path = file("contract");
        let queue = RedbEventQueue::open(&path, 5).unwrap();
        conforms(&queue.with_visibility_timeout(VISIBILITY));
        std::fs::remove_file(path).unwrap();
    }

    /// The file is copied while it is open, which is what a crash leaves behind.
    ///
    /// Covers: SET-PUSH-2-12, SET-POLL-2-7
    #[test]
    fn what_was_taken_survives_a_crash_and_what_was_finished_stays_finished() {
        let (path, crashed) = (file("before"), file("after"));
        let queue = RedbEventQueue::open(&path, 10).unwrap();
        let sets = ["a", "b", "c", "d"].map(|id| Addressed {
            stream: "s".to_owned(),
            set: set(id),
        });
        assert!(
            run(queue.push_all(sets.into(), at(NOW)))
                .unwrap()
                .iter()
                .all(Result::is_ok)
        );
        let fence = run(queue.claim("s", Duration::from_secs(60), at(NOW))).unwrap();
        let (only, all) = (
            Consumer::Exclusive(fence),
            BatchLimit {
                sets: 10,
                bytes: 1000,
            },
        );
        assert_eq!(
            run(queue.lease("s", only, Gate::Open, all, at(NOW)))
                .unwrap()
                .sets
                .len(),
            4
        );
        run(queue.finish("s", only, &["a".to_owned()])).unwrap();
        run(queue.fail("s", only, "b", &SetErrorCode::InvalidAudience)).unwrap();

        std::fs::copy(&path, &crashed).unwrap();
        let queue = RedbEventQueue::open(&crashed, 10).unwrap();
        assert_eq!(run(queue.pending("s")), Ok(2));
        let aside = run(queue.set_aside("s")).unwrap();
        assert_eq!(aside, [(set("b"), Some(SetErrorCode::InvalidAudience))]);
        // The claim holds over the crash, and so does its end.
        let claim = |now| run(queue.claim("s", Duration::from_secs(60), at(now)));
        assert_eq!(claim(NOW + 59), Err(QueueError::Claimed));
        assert_eq!(claim(NOW + 60), Ok(Fence(fence.0 + 1)));
        assert_eq!(
            run(queue.finish("s", only, &["c".to_owned()])),
            Err(QueueError::Fenced)
        );
        let shared =
            run(queue.lease("s", Consumer::Shared, Gate::Open, all, at(NOW + 60))).unwrap();
        assert_eq!(shared.sets, [set("c"), set("d")], "visible again at once");
        run(queue.push("s", set("e"), Place::Back, at(NOW))).unwrap();
        assert_eq!(run(queue.pending("s")), Ok(3));
        drop(queue);
        assert_eq!(
            RedbEventQueue::open(std::env::temp_dir(), 1).err(),
            Some(QueueError::Unavailable)
        );
        std::fs::write(&crashed, b"something else").unwrap();
        assert_eq!(
            RedbEventQueue::open(&crashed, 1).err(),
            Some(QueueError::Unavailable)
        );
        let _ = (std::fs::remove_file(path), std::fs::remove_file(crashed));
    }
}
