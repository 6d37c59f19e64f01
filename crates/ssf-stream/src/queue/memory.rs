//! A queue in memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pki_types::UnixTime;
use ssf_set::SetErrorCode;

use crate::queue::lease::{Claim, FIRST, Leases, Waiting};
use crate::queue::{
    Batch, BatchLimit, CONTROL_ROOM, Consumer, EventQueue, Fence, Gate, Place, QueueError,
    QueueFuture, QueuedSet, SET_ASIDE, Sequence, VISIBILITY,
};

/// A bounded queue in memory. Its SETs end with the process.
#[derive(Debug)]
pub struct MemoryEventQueue {
    streams: Mutex<HashMap<String, Stream>>,
    capacity: usize,
    bytes: usize,
    visibility: u64,
}

#[derive(Debug, Default)]
struct Stream {
    waiting: VecDeque<Entry>,
    ids: HashMap<String, Sequence>,
    bytes: usize,
    /// The next sequence at the end: it never comes back, also when the queue was empty.
    next: u64,
    leases: Leases,
    claim: Claim,
    aside: VecDeque<(QueuedSet, Option<SetErrorCode>)>,
}

#[derive(Debug)]
struct Entry {
    sequence: Sequence,
    set: QueuedSet,
    pushed_at: u64,
}

impl Stream {
    fn set_aside(&mut self, set: QueuedSet, code: Option<SetErrorCode>) {
        if self.aside.len() >= SET_ASIDE {
            self.aside.pop_front();
        }
        self.aside.push_back((set, code));
    }

    fn position(&self, sequence: Sequence) -> Option<usize> {
        let found = self
            .waiting
            .binary_search_by_key(&sequence, |entry| entry.sequence);
        found.ok()
    }

    /// Takes a SET out.
    fn take(&mut self, sequence: Sequence) -> Option<QueuedSet> {
        let entry = self.waiting.remove(self.position(sequence)?)?;
        self.ids.remove(&entry.set.id);
        self.leases.forget(sequence);
        self.bytes = self.bytes.saturating_sub(entry.set.compact.len());
        Some(entry.set)
    }

    fn push(
        &mut self,
        set: QueuedSet,
        place: Place,
        now: u64,
        (capacity, bytes): (usize, usize),
    ) -> Result<Sequence, QueueError> {
        if let Some(sequence) = self.ids.get(&set.id) {
            return Ok(*sequence);
        }
        let room = if set.control {
            self.waiting.len() < capacity.saturating_add(CONTROL_ROOM)
        } else {
            self.waiting.len() < capacity && self.bytes.saturating_add(set.compact.len()) <= bytes
        };
        if !room {
            return Err(QueueError::Full);
        }
        let sequence = match (place, self.waiting.front()) {
            (Place::Front, Some(first)) => first.sequence.0.saturating_sub(1),
            _ => {
                let next = self.next.max(FIRST);
                self.next = next.saturating_add(1);
                next
            }
        };
        let sequence = Sequence(sequence);
        self.ids.insert(set.id.clone(), sequence);
        self.bytes = self.bytes.saturating_add(set.compact.len());
        let entry = Entry {
            sequence,
            set,
            pushed_at: now,
        };
        match place {
            Place::Back => self.waiting.push_back(entry),
            Place::Front => self.waiting.push_front(entry),
        }
        Ok(sequence)
    }

    fn lease(
        &mut self,
        consumer: Consumer,
        gate: Gate,
        limit: BatchLimit,
        times: (u64, u64),
    ) -> Batch {
        let waiting = self.waiting.iter().map(|entry| Waiting {
            sequence: entry.sequence,
            control: entry.set.control,
            bytes: entry.set.compact.len(),
        });
        let selection = self.leases.select(waiting, consumer, gate, limit, times);
        for sequence in selection.worn {
            if let Some(set) = self.take(sequence) {
                self.set_aside(set, None);
            }
        }
        let set = |sequence| {
            let entry = self.waiting.get(self.position(sequence)?)?;
            Some(entry.set.clone())
        };
        Batch {
            sets: selection.take.into_iter().filter_map(set).collect(),
            more: selection.more,
            not_before: selection
                .not_before
                .map(|at| UnixTime::since_unix_epoch(Duration::from_secs(at))),
            deliveries: selection.deliveries,
        }
    }
}

impl MemoryEventQueue {
    /// A queue for this many SETs of each stream, with a visibility timeout of [`VISIBILITY`], and at most
    /// 4 KiB for each SET on average.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            streams: Mutex::new(HashMap::new()),
            capacity,
            bytes: capacity.saturating_mul(4096),
            visibility: VISIBILITY.as_secs(),
        }
    }

    /// Sets the visibility timeout.
    #[must_use]
    pub fn with_visibility_timeout(mut self, timeout: Duration) -> Self {
        self.visibility = timeout.as_secs();
        self
    }

    /// Sets the most bytes of the SETs of one stream.
    #[must_use]
    pub fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to a stream that is there, as a consumer that may.
    fn with<T: Default>(
        &self,
        stream: &str,
        consumer: Consumer,
        does: impl FnOnce(&mut Stream) -> T,
    ) -> Result<T, QueueError> {
        match (self.lock().get_mut(stream), consumer) {
            (Some(stream), _) if !stream.claim.check(consumer) => Err(QueueError::Fenced),
            (Some(stream), _) => Ok(does(stream)),
            (None, Consumer::Exclusive(_)) => Err(QueueError::Fenced),
            (None, Consumer::Shared | Consumer::InOrder) => Ok(T::default()),
        }
    }
}

fn ready<'a, T: Send + 'a>(result: Result<T, QueueError>) -> QueueFuture<'a, T> {
    Box::pin(core::future::ready(result))
}

impl EventQueue for MemoryEventQueue {
    fn push<'a>(
        &'a self,
        stream: &'a str,
        set: QueuedSet,
        place: Place,
        now: UnixTime,
    ) -> QueueFuture<'a, Sequence> {
        let bounds = (self.capacity, self.bytes);
        let mut streams = self.lock();
        let stream = streams.entry(stream.to_owned()).or_default();
        ready(stream.push(set, place, now.as_secs(), bounds))
    }

    fn claim<'a>(
        &'a self,
        stream: &'a str,
        hold: Duration,
        now: UnixTime,
    ) -> QueueFuture<'a, Fence> {
        let mut streams = self.lock();
        let claim = &mut streams.entry(stream.to_owned()).or_default().claim;
        if claim.until > now.as_secs() {
            return ready(Err(QueueError::Claimed));
        }
        claim.fence = claim.fence.saturating_add(1);
        claim.until = now.as_secs().saturating_add(hold.as_secs());
        ready(Ok(Fence(claim.fence)))
    }

    fn renew<'a>(
        &'a self,
        stream: &'a str,
        fence: Fence,
        hold: Duration,
        now: UnixTime,
    ) -> QueueFuture<'a, ()> {
        let until = now.as_secs().saturating_add(hold.as_secs());
        ready(self.with(stream, Consumer::Exclusive(fence), |stream| {
            stream.claim.until = until;
        }))
    }

    fn lease<'a>(
        &'a self,
        stream: &'a str,
        consumer: Consumer,
        gate: Gate,
        limit: BatchLimit,
        now: UnixTime,
    ) -> QueueFuture<'a, Batch> {
        let times = (now.as_secs(), self.visibility);
        ready(self.with(stream, consumer, |stream| {
            stream.lease(consumer, gate, limit, times)
        }))
    }

    fn put_off<'a>(
        &'a self,
        stream: &'a str,
        consumer: Consumer,
        id: &'a str,
        at: UnixTime,
    ) -> QueueFuture<'a, ()> {
        ready(self.with(stream, consumer, |stream| {
            if let Some(sequence) = stream.ids.get(id) {
                stream.leases.put_off(*sequence, at.as_secs());
            }
        }))
    }

    fn finish<'a>(
        &'a self,
        stream: &'a str,
        consumer: Consumer,
        ids: &'a [String],
    ) -> QueueFuture<'a, ()> {
        ready(self.with(stream, consumer, |stream| {
            let ids: HashSet<&String> = ids.iter().collect();
            for id in ids {
                if let Some(sequence) = stream.ids.get(id).copied() {
                    stream.take(sequence);
                }
            }
        }))
    }

    fn fail<'a>(
        &'a self,
        stream: &'a str,
        consumer: Consumer,
        id: &'a str,
        code: &'a SetErrorCode,
    ) -> QueueFuture<'a, ()> {
        ready(self.with(stream, consumer, |stream| {
            let sequence = stream.ids.get(id).copied();
            if let Some(set) = sequence.and_then(|sequence| stream.take(sequence)) {
                stream.set_aside(set, Some(code.clone()));
            }
        }))
    }

    fn pending<'a>(&'a self, stream: &'a str) -> QueueFuture<'a, usize> {
        ready(self.with(stream, Consumer::Shared, |stream| stream.waiting.len()))
    }

    fn passable<'a>(&'a self, stream: &'a str, gate: Gate) -> QueueFuture<'a, usize> {
        ready(self.with(stream, Consumer::Shared, |stream| {
            let waiting = stream.waiting.iter();
            waiting
                .filter(|entry| gate.lets(entry.sequence, entry.set.control))
                .count()
        }))
    }

    fn trim<'a>(
        &'a self,
        stream: &'a str,
        older_than: Option<UnixTime>,
        oldest: usize,
    ) -> QueueFuture<'a, usize> {
        let older_than = older_than.map_or(0, |time| time.as_secs());
        ready(self.with(stream, Consumer::Shared, |stream| {
            let events = stream.waiting.iter().filter(|entry| !entry.set.control);
            let (old, young): (Vec<_>, Vec<_>) =
                events.partition(|entry| entry.pushed_at < older_than);
            let dropped: Vec<Sequence> = old
                .into_iter()
                .chain(young.into_iter().take(oldest))
                .map(|entry| entry.sequence)
                .collect();
            for sequence in &dropped {
                stream.take(*sequence);
            }
            dropped.len()
        }))
    }

    fn set_aside<'a>(
        &'a self,
        stream: &'a str,
    ) -> QueueFuture<'a, Vec<(QueuedSet, Option<SetErrorCode>)>> {
        ready(self.with(stream, Consumer::Shared, |stream| {
            stream.aside.iter().cloned().collect()
        }))
    }

    fn remove<'a>(&'a self, stream: &'a str) -> QueueFuture<'a, ()> {
        self.lock().remove(stream);
        ready(Ok(()))
    }
}
