//! What every [`EventQueue`] has to fulfil, as a check that its tests run.

use std::time::Duration;

use pki_types::UnixTime;
use ssf_set::SetErrorCode;

use crate::queue::{BatchLimit, EventQueue, QueueError, QueuedSet};

/// A rule of the contract that an implementation breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue breaks its contract: {0}")]
pub struct Violation(pub &'static str);

impl From<QueueError> for Violation {
    fn from(_: QueueError) -> Self {
        Self("an operation failed that must not fail")
    }
}

/// Checks an empty queue that holds `capacity` (at least 4) SETs a stream and has this visibility timeout.
///
/// # Errors
///
/// The first rule that is broken.
pub async fn check(
    queue: &dyn EventQueue,
    capacity: usize,
    visibility: Duration,
) -> Result<(), Violation> {
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let visibility = visibility.as_secs();
    let start = 1_800_000_000_u64;
    let set = |id: &str| QueuedSet {
        id: id.to_owned(),
        compact: format!("compact.{id}"),
    };
    let two = BatchLimit {
        sets: 2,
        bytes: usize::MAX,
    };
    let demand = |rule: bool, text| if rule { Ok(()) } else { Err(Violation(text)) };

    for id in ["a", "b", "c"] {
        queue.push("one", set(id)).await?;
    }
    queue.push("one", set("b")).await?;
    demand(
        queue.pending("one").await? == 3,
        "an identifier waits twice",
    )?;
    demand(queue.pending("two").await? == 0, "streams are not separate")?;

    let first = queue.lease("one", two, at(start)).await?;
    demand(
        first.sets == [set("a"), set("b")] && first.more,
        "not oldest first, or `more` is wrong",
    )?;
    let second = queue.lease("one", two, at(start)).await?;
    demand(
        second.sets == [set("c")] && !second.more,
        "two pollers get the same SET",
    )?;
    demand(
        queue.lease("one", two, at(start)).await?.sets.is_empty(),
        "a hidden SET is handed out",
    )?;

    queue.finish("two", &["a".to_owned()]).await?;
    queue
        .finish("one", &["b".to_owned(), "unknown".to_owned()])
        .await?;
    demand(
        queue.pending("one").await? == 2,
        "finishing takes out too much or too little",
    )?;
    let later = start.saturating_add(visibility);
    let again = queue.lease("one", two, at(later)).await?;
    demand(
        again.sets == [set("a"), set("c")],
        "an unfinished SET is not handed out again, in order",
    )?;

    queue.fail("two", "a", &SetErrorCode::InvalidKey).await?;
    queue.fail("one", "a", &SetErrorCode::InvalidKey).await?;
    let last = later.saturating_add(visibility);
    let rest = queue.lease("one", two, at(last)).await?;
    demand(rest.sets == [set("c")], "a refused SET is handed out again")?;

    queue.remove("one").await?;
    demand(
        queue.pending("one").await? == 0,
        "a removed stream has SETs",
    )?;

    for count in 0..capacity {
        queue.push("full", set(&count.to_string())).await?;
    }
    let refused = queue.push("full", set("one more")).await;
    demand(refused == Err(QueueError::Full), "the queue is not bounded")?;
    demand(
        queue.pending("full").await? == capacity,
        "a full queue drops SETs",
    )?;
    let small = BatchLimit { sets: 10, bytes: 1 };
    let one = queue.lease("full", small, at(start)).await?;
    demand(
        one.sets.len() == 1 && one.more,
        "the limit of bytes is not kept",
    )?;
    queue.remove("full").await?;
    Ok(())
}
