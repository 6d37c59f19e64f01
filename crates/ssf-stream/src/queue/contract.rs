//! What every [`EventQueue`] has to fulfil, as a check that its tests run.

use std::time::Duration;

use pki_types::UnixTime;
use ssf_set::SetErrorCode;

use crate::queue::{
    Addressed, Batch, BatchLimit, Consumer, DELIVERIES, EventQueue, Gate, Place, QueueError,
    QueuedSet, SET_ASIDE,
};

/// A rule of the contract that an implementation breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue breaks its contract: {0}")]
pub struct Violation(pub &'static str);

impl From<QueueError> for Violation {
    fn from(_: QueueError) -> Self {
        Self("an operation failed that must not fail")
    }
}

fn demand(rule: bool, text: &'static str) -> Result<(), Violation> {
    if rule { Ok(()) } else { Err(Violation(text)) }
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn set(id: &str) -> QueuedSet {
    QueuedSet {
        id: id.to_owned(),
        compact: format!("compact.{id}"),
        control: false,
    }
}

const START: u64 = 1_800_000_000;
const SHARED: Consumer = Consumer::Shared;
const TWO: BatchLimit = BatchLimit {
    sets: 2,
    bytes: usize::MAX,
};

/// Checks an empty queue that holds `capacity` (4 to 1000) SETs a stream and has this visibility timeout.
///
/// # Errors
///
/// The first rule that is broken.
pub async fn check(
    queue: &dyn EventQueue,
    capacity: usize,
    visibility: Duration,
) -> Result<(), Violation> {
    shared(queue, visibility.as_secs()).await?;
    bounds(queue, capacity).await?;
    gates(queue).await?;
    in_order(queue, visibility.as_secs()).await?;
    exclusive(queue, visibility.as_secs()).await?;
    aside(queue, visibility.as_secs()).await
}

async fn lease(queue: &dyn EventQueue, stream: &str, now: u64) -> Result<Batch, QueueError> {
    queue.lease(stream, SHARED, Gate::Open, TWO, at(now)).await
}

async fn shared(queue: &dyn EventQueue, visibility: u64) -> Result<(), Violation> {
    for id in ["a", "b", "c"] {
        queue.push("one", set(id), Place::Back, at(START)).await?;
    }
    queue.push("one", set("b"), Place::Back, at(START)).await?;
    demand(
        queue.pending("one").await? == 3,
        "an identifier waits twice",
    )?;
    demand(queue.pending("two").await? == 0, "streams are not separate")?;
    demand(
        queue.pending("on").await? == 0,
        "a prefix of a stream's name is that stream",
    )?;

    let first = lease(queue, "one", START).await?;
    demand(
        first.sets == [set("a"), set("b")] && first.more && first.deliveries == 1,
        "not oldest first, or `more` is wrong",
    )?;
    let second = lease(queue, "one", START).await?;
    demand(
        second.sets == [set("c")] && !second.more,
        "two pollers get the same SET",
    )?;
    demand(
        lease(queue, "one", START).await?.sets.is_empty(),
        "a hidden SET is handed out",
    )?;

    queue.finish("two", SHARED, &["a".to_owned()]).await?;
    let done = ["b".to_owned(), "unknown".to_owned(), "b".to_owned()];
    queue.finish("one", SHARED, &done).await?;
    demand(
        queue.pending("one").await? == 2,
        "finishing takes out too much or too little",
    )?;
    let later = START.saturating_add(visibility);
    let again = lease(queue, "one", later).await?;
    demand(
        again.sets == [set("a"), set("c")] && again.deliveries == 2,
        "an unfinished SET is not handed out again, in order",
    )?;

    let code = SetErrorCode::InvalidKey;
    queue.fail("two", SHARED, "a", &code).await?;
    queue.fail("one", SHARED, "a", &code).await?;
    demand(
        queue.set_aside("one").await? == [(set("a"), Some(code))],
        "a refused SET is not kept aside",
    )?;
    let last = later.saturating_add(visibility);
    let rest = lease(queue, "one", last).await?;
    demand(rest.sets == [set("c")], "a refused SET is handed out again")?;
    queue.put_off("one", SHARED, "c", at(last)).await?;
    let rest = lease(queue, "one", last).await?;
    demand(
        rest.sets == [set("c")],
        "a SET that is put off does not come at its time",
    )?;

    queue.remove("one").await?;
    demand(
        queue.pending("one").await? == 0 && queue.set_aside("one").await?.is_empty(),
        "a removed stream has SETs",
    )?;
    queue.push("one", set("b"), Place::Back, at(START)).await?;
    demand(
        queue.pending("one").await? == 1,
        "a removed stream remembers identifiers",
    )?;
    queue.remove("one").await?;
    Ok(())
}

async fn bounds(queue: &dyn EventQueue, capacity: usize) -> Result<(), Violation> {
    let all = (0..capacity)
        .map(|count| Addressed {
            stream: "full".to_owned(),
            set: set(&count.to_string()),
        })
        .collect();
    let pushed = queue.push_all(all, at(START)).await?;
    demand(
        pushed.len() == capacity
            && pushed.iter().all(Result::is_ok)
            && pushed.is_sorted_by_key(|sequence| sequence.ok()),
        "not all SETs are taken, in order",
    )?;
    let push = |id: &str| queue.push("full", set(id), Place::Back, at(START));
    let refused = push("one more").await;
    demand(refused == Err(QueueError::Full), "the queue is not bounded")?;
    let mixed = ["full", "other"].map(|stream| Addressed {
        stream: stream.to_owned(),
        set: set("mixed"),
    });
    let mixed = queue.push_all(mixed.into(), at(START)).await?;
    demand(
        matches!(mixed.as_slice(), [Err(QueueError::Full), Ok(_)]),
        "a full stream refuses the SET of another, or takes one",
    )?;
    queue.remove("other").await?;
    demand(
        queue.pending("full").await? == capacity,
        "a full queue drops SETs",
    )?;
    let control = set("control").into_control();
    demand(
        queue
            .push("full", control, Place::Back, at(START))
            .await
            .is_ok(),
        "a full queue has no room for what is about the stream",
    )?;
    let small = BatchLimit { sets: 10, bytes: 1 };
    let one = queue
        .lease("full", SHARED, Gate::Open, small, at(START))
        .await?;
    demand(
        one.sets.len() == 1 && one.more,
        "the limit of bytes is not kept",
    )?;
    demand(
        queue.trim("full", None, 1).await? == 1 && queue.pending("full").await? == capacity,
        "trimming does not drop the oldest",
    )?;
    let late = queue
        .push(
            "full",
            set("late"),
            Place::Back,
            at(START.saturating_add(10)),
        )
        .await;
    demand(late == Err(QueueError::Full), "control takes no room")?;
    queue.trim("full", None, 1).await?;
    let late = at(START.saturating_add(10));
    queue.push("full", set("late"), Place::Back, late).await?;
    let old = queue.trim("full", Some(late), 0).await?;
    demand(
        old == capacity.saturating_sub(2) && queue.pending("full").await? == 2,
        "trimming by age drops too much or too little",
    )?;
    queue.remove("full").await?;
    Ok(())
}

async fn gates(queue: &dyn EventQueue) -> Result<(), Violation> {
    let many = BatchLimit {
        sets: 10,
        bytes: usize::MAX,
    };
    let push = |id: &str, place| queue.push("gate", set(id), place, at(START));
    push("a", Place::Back).await?;
    let stopped = set("stopped").into_control();
    let last = queue
        .push("gate", stopped.clone(), Place::Back, at(START))
        .await?;
    push("b", Place::Back).await?;
    demand(
        queue.passable("gate", Gate::UpTo(last)).await? == 2
            && queue.passable("gate", Gate::Closed).await? == 1,
        "what a gate lets through is counted wrongly",
    )?;
    let closed = queue
        .lease("gate", SHARED, Gate::Closed, many, at(START))
        .await?;
    demand(
        closed.sets == [stopped],
        "a closed gate lets events through",
    )?;
    let up_to = queue
        .lease("gate", SHARED, Gate::UpTo(last), many, at(START))
        .await?;
    demand(
        up_to.sets == [set("a")] && !up_to.more,
        "a gate lets later events through",
    )?;
    let front = set("front").into_control();
    queue
        .push("gate", front.clone(), Place::Front, at(START))
        .await?;
    let open = queue
        .lease("gate", SHARED, Gate::Open, many, at(START))
        .await?;
    demand(
        open.sets == [front, set("b")],
        "what is put in front does not come first",
    )?;
    // An empty stream goes on where it was.
    let all = ["a", "b", "front", "stopped"].map(str::to_owned);
    queue.finish("gate", SHARED, &all).await?;
    let later = push("c", Place::Back).await?;
    demand(later > last, "a sequence comes twice")?;
    demand(
        queue.passable("gate", Gate::UpTo(last)).await? == 0,
        "a gate lets through what came after it was closed",
    )?;
    queue.remove("gate").await?;
    Ok(())
}

async fn in_order(queue: &dyn EventQueue, visibility: u64) -> Result<(), Violation> {
    for id in ["a", "b", "c"] {
        queue.push("order", set(id), Place::Back, at(START)).await?;
    }
    let get = |now| queue.lease("order", Consumer::InOrder, Gate::Open, TWO, at(now));
    let finish = |id: &'static str| async move {
        let done = [id.to_owned()];
        queue.finish("order", Consumer::InOrder, &done).await
    };
    let first = get(START).await?;
    demand(
        first.sets == [set("a"), set("b")] && first.more,
        "a consumer in order does not get the oldest",
    )?;
    let later = START.saturating_add(visibility);
    let held = get(START).await?;
    demand(
        held.sets.is_empty() && !held.more && held.not_before == Some(at(later)),
        "a SET overtakes those that were handed out",
    )?;
    finish("a").await?;
    demand(
        get(START).await?.sets.is_empty(),
        "a SET overtakes the one that is left of a batch",
    )?;
    let again = get(later).await?;
    demand(
        again.sets == [set("b"), set("c")] && again.deliveries == 2,
        "what was lost does not come again, before what is next",
    )?;
    finish("b").await?;
    finish("c").await?;
    queue
        .push("order", set("d"), Place::Back, at(later))
        .await?;
    demand(
        get(later).await?.sets == [set("d")],
        "what is done holds up what is next",
    )?;
    queue.remove("order").await?;
    Ok(())
}

async fn exclusive(queue: &dyn EventQueue, visibility: u64) -> Result<(), Violation> {
    let hold = Duration::from_secs(30);
    for id in ["a", "b"] {
        queue.push("push", set(id), Place::Back, at(START)).await?;
    }
    let one = BatchLimit {
        sets: 1,
        bytes: usize::MAX,
    };
    let first = queue.claim("push", hold, at(START)).await?;
    demand(
        queue.claim("push", hold, at(START)).await == Err(QueueError::Claimed),
        "two consumers claim a stream",
    )?;
    let only = Consumer::Exclusive(first);
    let get = |consumer, now| queue.lease("push", consumer, Gate::Open, one, at(now));
    demand(
        get(only, START).await?.sets == [set("a")],
        "an exclusive consumer does not get the oldest",
    )?;
    let blocked = get(only, START).await?;
    demand(
        blocked.sets.is_empty() && blocked.not_before == Some(at(START.saturating_add(visibility))),
        "a SET overtakes another",
    )?;
    let retry = START.saturating_add(7);
    queue.put_off("push", only, "a", at(retry)).await?;
    demand(
        get(only, START).await?.not_before == Some(at(retry)),
        "the time of the next attempt is not told",
    )?;
    let again = get(only, retry).await?;
    demand(
        again.sets == [set("a")] && again.deliveries == 2,
        "a SET that was put off does not come again",
    )?;

    queue.renew("push", first, hold, at(retry)).await?;
    let end = retry.saturating_add(30);
    demand(
        queue.claim("push", hold, at(end.saturating_sub(1))).await == Err(QueueError::Claimed),
        "a claim cannot be prolonged",
    )?;
    let second = queue.claim("push", hold, at(end)).await?;
    demand(second > first, "fences do not grow")?;
    let stale = [
        get(only, end).await.err(),
        queue.finish("push", only, &["a".to_owned()]).await.err(),
        queue.put_off("push", only, "a", at(end)).await.err(),
        queue.renew("push", first, hold, at(end)).await.err(),
        queue
            .fail("push", only, "a", &SetErrorCode::InvalidKey)
            .await
            .err(),
    ];
    demand(
        stale == [Some(QueueError::Fenced); 5] && queue.pending("push").await? == 2,
        "a consumer acts after it lost its claim",
    )?;
    let only = Consumer::Exclusive(second);
    demand(
        get(only, end).await?.sets == [set("a")],
        "a new consumer waits for what the old one had",
    )?;
    queue.finish("push", only, &["a".to_owned()]).await?;
    demand(
        get(only, end).await?.sets == [set("b")],
        "the next SET does not follow",
    )?;
    queue.renew("push", second, Duration::ZERO, at(end)).await?;
    demand(
        queue.claim("push", hold, at(end)).await.is_ok(),
        "a claim cannot be given back",
    )?;
    queue.remove("push").await?;
    Ok(())
}

async fn aside(queue: &dyn EventQueue, visibility: u64) -> Result<(), Violation> {
    queue.push("worn", set("a"), Place::Back, at(START)).await?;
    let mut now = START;
    for _ in 0..DELIVERIES {
        demand(
            lease(queue, "worn", now).await?.sets.len() == 1,
            "a SET is set aside too early",
        )?;
        now = now.saturating_add(visibility);
    }
    demand(
        lease(queue, "worn", now).await?.sets.is_empty()
            && queue.pending("worn").await? == 0
            && queue.set_aside("worn").await? == [(set("a"), None)],
        "a SET that nobody acknowledges is handed out for ever",
    )?;
    for count in 0..=SET_ASIDE {
        let id = format!("refused {count}");
        queue.push("worn", set(&id), Place::Back, at(now)).await?;
        queue
            .fail("worn", SHARED, &id, &SetErrorCode::InvalidRequest)
            .await?;
    }
    let aside = queue.set_aside("worn").await?;
    demand(
        aside.len() == SET_ASIDE && aside.first().is_some_and(|(set, _)| set.id == "refused 1"),
        "what is set aside is not bounded",
    )?;
    queue.remove("worn").await?;
    Ok(())
}
