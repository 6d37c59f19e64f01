//! A queue in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pki_types::UnixTime;
use ssf_set::SetErrorCode;

use crate::queue::{Batch, BatchLimit, EventQueue, QueueError, QueueFuture, QueuedSet};

const VISIBILITY: u64 = 60;
const DELIVERIES: u32 = 10;
/// The most SETs that are kept aside for each stream; the oldest go first.
const SET_ASIDE: usize = 100;

/// A bounded queue in memory. Its SETs end with the process.
#[derive(Debug)]
pub struct MemoryEventQueue {
    streams: Mutex<HashMap<String, Stream>>,
    capacity: usize,
    visibility: u64,
}

#[derive(Debug, Default)]
struct Stream {
    waiting: VecDeque<Entry>,
    aside: VecDeque<(QueuedSet, Option<SetErrorCode>)>,
}

#[derive(Debug)]
struct Entry {
    set: QueuedSet,
    visible_at: u64,
    deliveries: u32,
}

impl Stream {
    fn set_aside(&mut self, set: QueuedSet, code: Option<SetErrorCode>) {
        if self.aside.len() >= SET_ASIDE {
            self.aside.pop_front();
        }
        self.aside.push_back((set, code));
    }

    fn lease(&mut self, limit: BatchLimit, now: u64, visibility: u64) -> Batch {
        let worn = |entry: &Entry| entry.deliveries >= DELIVERIES && entry.visible_at <= now;
        while let Some(at) = self.waiting.iter().position(worn) {
            if let Some(entry) = self.waiting.remove(at) {
                self.set_aside(entry.set, None);
            }
        }
        let mut batch = Batch::default();
        let mut bytes = 0_usize;
        for entry in self
            .waiting
            .iter_mut()
            .filter(|entry| entry.visible_at <= now)
        {
            bytes = bytes.saturating_add(entry.set.compact.len());
            let room =
                batch.sets.len() < limit.sets && (batch.sets.is_empty() || bytes <= limit.bytes);
            if !room {
                batch.more = true;
                break;
            }
            entry.visible_at = now.saturating_add(visibility);
            entry.deliveries = entry.deliveries.saturating_add(1);
            batch.sets.push(entry.set.clone());
        }
        batch
    }
}

impl MemoryEventQueue {
    /// A queue for this many SETs of each stream, with a visibility timeout of 60 seconds. After ten
    /// deliveries a SET is kept aside.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            streams: Mutex::new(HashMap::new()),
            capacity,
            visibility: VISIBILITY,
        }
    }

    /// Sets the visibility timeout.
    #[must_use]
    pub fn with_visibility_timeout(mut self, timeout: Duration) -> Self {
        self.visibility = timeout.as_secs();
        self
    }

    /// The SETs of a stream that were refused, with the receiver's code, or were delivered too often.
    #[must_use]
    pub fn set_aside(&self, stream: &str) -> Vec<(QueuedSet, Option<SetErrorCode>)> {
        let streams = self.lock();
        let aside = streams.get(stream).map(|stream| stream.aside.iter());
        aside.into_iter().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ready<'a, T: Send + 'a>(result: Result<T, QueueError>) -> QueueFuture<'a, T> {
    Box::pin(core::future::ready(result))
}

impl EventQueue for MemoryEventQueue {
    fn push<'a>(&'a self, stream: &'a str, set: QueuedSet) -> QueueFuture<'a, ()> {
        let mut streams = self.lock();
        let waiting = &mut streams.entry(stream.to_owned()).or_default().waiting;
        if waiting.iter().any(|entry| entry.set.id == set.id) {
            return ready(Ok(()));
        }
        if waiting.len() >= self.capacity {
            return ready(Err(QueueError::Full));
        }
        waiting.push_back(Entry {
            set,
            visible_at: 0,
            deliveries: 0,
        });
        ready(Ok(()))
    }

    fn lease<'a>(
        &'a self,
        stream: &'a str,
        limit: BatchLimit,
        now: UnixTime,
    ) -> QueueFuture<'a, Batch> {
        let mut streams = self.lock();
        ready(Ok(streams
            .get_mut(stream)
            .map(|stream| stream.lease(limit, now.as_secs(), self.visibility))
            .unwrap_or_default()))
    }

    fn finish<'a>(&'a self, stream: &'a str, ids: &'a [String]) -> QueueFuture<'a, ()> {
        if let Some(stream) = self.lock().get_mut(stream) {
            let ids: std::collections::HashSet<&str> = ids.iter().map(String::as_str).collect();
            stream
                .waiting
                .retain(|entry| !ids.contains(entry.set.id.as_str()));
        }
        ready(Ok(()))
    }

    fn fail<'a>(
        &'a self,
        stream: &'a str,
        id: &'a str,
        code: &'a SetErrorCode,
    ) -> QueueFuture<'a, ()> {
        if let Some(stream) = self.lock().get_mut(stream) {
            let found = stream.waiting.iter().position(|entry| entry.set.id == id);
            if let Some(entry) = found.and_then(|at| stream.waiting.remove(at)) {
                stream.set_aside(entry.set, Some(code.clone()));
            }
        }
        ready(Ok(()))
    }

    fn pending<'a>(&'a self, stream: &'a str) -> QueueFuture<'a, usize> {
        ready(Ok(self
            .lock()
            .get(stream)
            .map_or(0, |stream| stream.waiting.len())))
    }

    fn remove<'a>(&'a self, stream: &'a str) -> QueueFuture<'a, ()> {
        self.lock().remove(stream);
        ready(Ok(()))
    }
}
