//! Where SETs wait to be polled.

pub mod contract;
mod memory;

use std::future::Future;
use std::pin::Pin;

use pki_types::UnixTime;
use ssf_set::{SetErrorCode, SignedSet};

pub use memory::MemoryEventQueue;

/// A future of a queue.
pub type QueueFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, QueueError>> + Send + 'a>>;

/// Why a queue fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The stream has no room.
    #[error("the stream's queue has no room; nothing was dropped")]
    Full,
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
}

impl From<SignedSet> for QueuedSet {
    fn from(set: SignedSet) -> Self {
        Self {
            id: set.id,
            compact: set.compact,
        }
    }
}

/// SETs that were handed out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The SETs, oldest first.
    pub sets: Vec<QueuedSet>,
    /// Whether more could be handed out now.
    pub more: bool,
}

/// How much is handed out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimit {
    /// The most SETs.
    pub sets: usize,
    /// The most bytes of all SETs; the first one is handed out whatever its size.
    pub bytes: usize,
}

/// A queue of SETs for each stream.
///
/// Contract, which [`contract::check`] tests:
/// - SETs of a stream are handed out in the order in which they were pushed.
/// - At least once: what was handed out and not finished is handed out again after the visibility
///   timeout, and not before, so that two pollers do not get the same SET.
/// - [`finish`](EventQueue::finish) and [`fail`](EventQueue::fail) take a SET out for good; both
///   concern one stream only, and an unknown identifier changes nothing.
/// - Pushing an identifier that waits already changes nothing.
/// - It is bounded: a stream without room refuses, and drops nothing.
/// - What has been pushed survives what the implementation documents that it survives.
pub trait EventQueue: Send + Sync {
    /// Puts a SET at the end.
    ///
    /// # Errors
    ///
    /// [`QueueError::Full`].
    fn push<'a>(&'a self, stream: &'a str, set: QueuedSet) -> QueueFuture<'a, ()>;

    /// Hands out SETs and hides them for the visibility timeout.
    fn lease<'a>(
        &'a self,
        stream: &'a str,
        limit: BatchLimit,
        now: UnixTime,
    ) -> QueueFuture<'a, Batch>;

    /// Takes out SETs that the receiver has.
    fn finish<'a>(&'a self, stream: &'a str, ids: &'a [String]) -> QueueFuture<'a, ()>;

    /// Takes out a SET that the receiver refuses, and keeps it aside for the operator.
    fn fail<'a>(
        &'a self,
        stream: &'a str,
        id: &'a str,
        code: &'a SetErrorCode,
    ) -> QueueFuture<'a, ()>;

    /// How many SETs are not finished, hidden ones included.
    fn pending<'a>(&'a self, stream: &'a str) -> QueueFuture<'a, usize>;

    /// Forgets a stream.
    fn remove<'a>(&'a self, stream: &'a str) -> QueueFuture<'a, ()>;
}
