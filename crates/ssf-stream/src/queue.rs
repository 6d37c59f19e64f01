//! Where SETs wait to be delivered.
//!
//! # What is kept, and for how long
//!
//! A SET waits until the receiver has it, refuses it, or a bound is reached. The bounds are those of the
//! implementation (SETs and bytes of each stream) and an age that the transmitter sets; a receiver that is
//! away for a week finds everything up to them, in order. What happens beyond is the transmitter's
//! decision and never silent: see [`crate::transmitter`].

pub mod contract;
mod lease;
mod memory;
#[cfg(feature = "redb")]
mod redb;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use pki_types::UnixTime;
use ssf_set::{SetErrorCode, SignedSet};

pub use memory::MemoryEventQueue;

#[cfg(feature = "redb")]
pub use self::redb::RedbEventQueue;

/// A future of a queue.
pub type QueueFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, QueueError>> + Send + 'a>>;

/// Why a queue fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The stream has no room.
    #[error("the stream's queue has no room; nothing was dropped")]
    Full,
    /// Another consumer has the stream for itself.
    #[error("another consumer has claimed the stream; wait until its claim ends")]
    Claimed,
    /// A later claim has taken the stream over: this consumer has to stop.
    #[error("the stream was claimed by another consumer after this one")]
    Fenced,
    /// The store cannot be reached or failed.
    #[error("the event store is not available")]
    Unavailable,
}

impl QueueError {
    /// A stable name of the cause.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Full => "queue_full",
            Self::Claimed => "queue_claimed",
            Self::Fenced => "queue_fenced",
            Self::Unavailable => "queue_unavailable",
        }
    }
}

/// A SET that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedSet {
    /// `jti`.
    pub id: String,
    /// The compact serialization.
    pub compact: String,
    /// Whether it is about the stream itself, so that no [`Gate`] holds it.
    pub control: bool,
}

impl QueuedSet {
    /// Marks a SET that is about the stream itself.
    #[must_use]
    pub fn into_control(mut self) -> Self {
        self.control = true;
        self
    }
}

impl From<SignedSet> for QueuedSet {
    fn from(set: SignedSet) -> Self {
        Self {
            id: set.id,
            compact: set.compact,
            control: false,
        }
    }
}

/// The place of a SET in its stream: it grows from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

/// At which end a SET is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind all others, as events are.
    Back,
    /// Before all others.
    Front,
}

/// Which SETs may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// All.
    Open,
    /// Those that were there when the stream was stopped, and those about the stream itself.
    UpTo(Sequence),
    /// Only those about the stream itself.
    Closed,
}

impl Gate {
    pub(crate) fn lets(self, sequence: Sequence, control: bool) -> bool {
        control
            || match self {
                Self::Open => true,
                Self::UpTo(last) => sequence <= last,
                Self::Closed => false,
            }
    }
}

/// A claim's number. A later claim of the same stream has a greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

/// Who takes SETs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// One of several, as polls are: each SET goes to one of them until the visibility timeout.
    Shared,
    /// One of several of whom no two have SETs at once: it gets none before the previous ones are done or their visibility timeout is over.
    InOrder,
    /// The only one, by its claim, as a pusher is: it gets no SET before the previous ones are done.
    Exclusive(Fence),
}

/// SETs that were handed out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The SETs, oldest first.
    pub sets: Vec<QueuedSet>,
    /// Whether more could be handed out now.
    pub more: bool,
    /// When the oldest SET may go out again, if that holds up a consumer that is exclusive or takes part in order.
    pub not_before: Option<UnixTime>,
    /// How often the first SET of the batch was handed out, this time included.
    pub deliveries: u32,
}

/// How much is handed out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimit {
    /// The most SETs.
    pub sets: usize,
    /// The most bytes of all SETs; the first one is handed out whatever its size.
    pub bytes: usize,
}

/// A SET for a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed {
    /// The stream.
    pub stream: String,
    /// The SET.
    pub set: QueuedSet,
}

/// A queue of SETs for each stream.
///
/// Contract, which [`contract::check`] tests:
/// - SETs of a stream are handed out in the order in which they were pushed.
/// - At least once: what was handed out and not finished is handed out again after the visibility
///   timeout, and not before, so that two pollers do not get the same SET. Where order matters more than
///   that, consumers take part [in order](Consumer::InOrder), and nothing overtakes what was handed out.
/// - An exclusive consumer gets the oldest SET or none: as long as that one waits for its next attempt,
///   nothing behind it goes out. It is alone by its claim, and each of its calls carries the claim's
///   [`Fence`]: after another consumer has claimed the stream, every call fails with
///   [`QueueError::Fenced`] and changes nothing, however late it comes.
/// - [`finish`](EventQueue::finish) and [`fail`](EventQueue::fail) take a SET out for good; both
///   concern one stream only, and an unknown identifier changes nothing.
/// - Pushing an identifier that waits already changes nothing.
/// - It is bounded: a stream without room refuses, and drops nothing. SETs about the stream itself have
///   a little room of their own.
/// - What has been pushed survives what the implementation documents that it survives.
///
/// Everything that is handed out is owned: nothing is borrowed from the store across an await, so an
/// engine behind a network fits.
pub trait EventQueue: Send + Sync {
    /// Puts a SET into its place.
    ///
    /// # Errors
    ///
    /// [`QueueError::Full`].
    fn push<'a>(
        &'a self,
        stream: &'a str,
        set: QueuedSet,
        place: Place,
        now: UnixTime,
    ) -> QueueFuture<'a, Sequence>;

    /// Puts SETs at the end of their streams, each on its own: a full stream refuses its SET and
    /// no other. Tells the result of each, in order. All that are taken are kept when this returns.
    fn push_all<'a>(
        &'a self,
        sets: Vec<Addressed>,
        now: UnixTime,
    ) -> QueueFuture<'a, Vec<Result<Sequence, QueueError>>> {
        Box::pin(async move {
            let mut results = Vec::with_capacity(sets.len());
            for Addressed { stream, set } in sets {
                match self.push(&stream, set, Place::Back, now).await {
                    Err(QueueError::Unavailable) => return Err(QueueError::Unavailable),
                    result => results.push(result),
                }
            }
            Ok(results)
        })
    }

    /// Claims a stream for one consumer, for a time.
    ///
    /// # Errors
    ///
    /// [`QueueError::Claimed`] while another claim holds.
    fn claim<'a>(
        &'a self,
        stream: &'a str,
        hold: Duration,
        now: UnixTime,
    ) -> QueueFuture<'a, Fence>;

    /// Prolongs a claim. A hold of zero ends it.
    ///
    /// # Errors
    ///
    /// [`QueueError::Fenced`].
    fn renew<'a>(
        &'a self,
        stream: &'a str,
        fence: Fence,
        hold: Duration,
        now: UnixTime,
    ) -> QueueFuture<'a, ()>;

    /// Hands out SETs that the gate lets through, and hides them for the visibility timeout.
    ///
    /// # Errors
    ///
    /// [`QueueError::Fenced`].
    fn lease<'a>(
        &'a self,
        stream: &'a str,
        consumer: Consumer,
        gate: Gate,
        limit: BatchLimit,
        now: UnixTime,
    ) -> QueueFuture<'a, Batch>;

    /// Puts a SET that was handed out off until `at`.
    ///
    /// # Errors
    ///
    /// [`QueueError::Fenced`].
    fn put_off<'a>(
        &'a self,
        stream: &'a str,
        consumer: Consumer,
        id: &'a str,
        at: UnixTime,
    ) -> QueueFuture<'a, ()>;

    /// Takes out SETs that the receiver has.
    ///
    /// # Errors
    ///
    /// [`QueueError::Fenced`].
    fn finish<'a>(
        &'a self,
        stream: &'a str,
        consumer: Consumer,
        ids: &'a [String],
    ) -> QueueFuture<'a, ()>;

    /// Takes out a SET that the receiver refuses, and keeps it aside for the operator.
    ///
    /// # Errors
    ///
    /// [`QueueError::Fenced`].
    fn fail<'a>(
        &'a self,
        stream: &'a str,
        consumer: Consumer,
        id: &'a str,
        code: &'a SetErrorCode,
    ) -> QueueFuture<'a, ()>;

    /// How many SETs are not finished, hidden ones included.
    fn pending<'a>(&'a self, stream: &'a str) -> QueueFuture<'a, usize>;

    /// How many SETs the gate lets through that are not finished, hidden ones included.
    fn passable<'a>(&'a self, stream: &'a str, gate: Gate) -> QueueFuture<'a, usize>;

    /// Drops SETs that are not about the stream itself: all that were pushed before `older_than`, and
    /// then the `oldest` ones. Tells how many.
    fn trim<'a>(
        &'a self,
        stream: &'a str,
        older_than: Option<UnixTime>,
        oldest: usize,
    ) -> QueueFuture<'a, usize>;

    /// The SETs that were refused, with the receiver's code, or were delivered too often; the newest
    /// [`SET_ASIDE`] of them.
    fn set_aside<'a>(
        &'a self,
        stream: &'a str,
    ) -> QueueFuture<'a, Vec<(QueuedSet, Option<SetErrorCode>)>>;

    /// Forgets a stream.
    fn remove<'a>(&'a self, stream: &'a str) -> QueueFuture<'a, ()>;
}

/// The most SETs that are kept aside for each stream; the oldest go first.
pub const SET_ASIDE: usize = 100;
/// After so many deliveries to consumers without a claim a SET is kept aside.
pub const DELIVERIES: u32 = 10;
/// How many SETs about the stream itself a full stream still takes.
pub const CONTROL_ROOM: usize = 16;
/// The visibility timeout, unless set otherwise.
pub const VISIBILITY: Duration = Duration::from_secs(60);
