//! Where the transmitter keeps its streams.

pub mod contract;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redb")]
mod stored;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pki_types::UnixTime;
use ssf_set::Subject;
use ssf_set::ssf::StreamStatus;

use crate::queue::{Gate, Sequence};
use crate::stream::StreamConfiguration;

#[cfg(feature = "redb")]
pub use self::redb::RedbStreamStore;

/// The answer of a [`StreamStore`] to come.
pub type Storing<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why a store does not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The receiver has as many streams, or the stream as many subjects, as allowed.
    #[error("there are as many as are allowed")]
    TooMany,
    /// The record was changed or deleted since it was read.
    #[error("the stream was changed meanwhile; read it again")]
    Conflict,
    /// The store cannot be reached or failed.
    #[error("the store of streams is not available")]
    Unavailable,
}

/// A stream, as the transmitter keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamRecord {
    /// Grows with each change. [`StreamStore::replace`] sets it.
    pub version: u64,
    /// [`Client::id`](super::Client::id) of the receiver.
    pub receiver: String,
    /// [`Client::group`](super::Client::group) of the receiver when it last used the stream.
    pub group: Option<String>,
    /// The configuration, with the secret of a push.
    pub configuration: StreamConfiguration,
    /// The status.
    pub status: StreamStatus,
    /// Why it is as it is.
    pub reason: Option<String>,
    /// The last SET that goes out although the stream is stopped; `None`: the one about the stop itself.
    pub last: Option<Sequence>,
    /// When the receiver last used the stream, in seconds since the epoch.
    pub active_at: u64,
    /// When a verification was last requested, in seconds since the epoch.
    pub verification_at: Option<u64>,
    /// `jti` of the last verification event that waits.
    pub verification: Option<String>,
    /// Whether a verification event was acknowledged since the delivery was last changed.
    pub verified: bool,
    /// How many events were dropped since the stream was last enabled.
    pub dropped: u64,
}

impl StreamRecord {
    /// A stream that is enabled, for stores that read what they kept and for streams that no receiver asked for.
    ///
    /// A receiver is [`Client::id`](super::Client::id); a configuration comes from [`StreamConfiguration::parse`].
    #[must_use]
    pub fn new(receiver: &str, configuration: StreamConfiguration, now: UnixTime) -> Self {
        Self {
            version: 0,
            receiver: receiver.to_owned(),
            group: None,
            configuration,
            status: StreamStatus::Enabled,
            reason: None,
            last: None,
            active_at: now.as_secs(),
            verification_at: None,
            verification: None,
            verified: false,
            dropped: 0,
        }
    }

    /// Which SETs may go out.
    #[must_use]
    pub fn gate(&self) -> Gate {
        match (self.status, self.last) {
            (StreamStatus::Enabled, _) => Gate::Open,
            (_, Some(last)) => Gate::UpTo(last),
            (_, None) => Gate::Closed,
        }
    }
}

/// A subject that a receiver added or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubjectEntry {
    /// The subject.
    pub subject: Subject,
    /// `verified` of the addition.
    pub verified: bool,
    /// When it was removed, in seconds since the epoch.
    pub removed_at: Option<u64>,
}

/// Keeps streams and their subjects.
///
/// Contract, which [`store_contract::check`](super::store_contract::check) tests: [`replace`](StreamStore::replace) changes a record only if nobody else
/// has since it was read, so that no update is lost. Everything that is given and taken is owned, so that an engine behind a network fits.
pub trait StreamStore: Send + Sync {
    /// Keeps a new stream, unless its receiver has `limit` streams already.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooMany`], and [`StoreError::Conflict`] when there is a stream of that identifier.
    fn create<'a>(&'a self, record: StreamRecord, limit: usize) -> Storing<'a, ()>;

    /// A stream.
    fn read<'a>(&'a self, stream_id: &'a str) -> Storing<'a, Option<Arc<StreamRecord>>>;

    /// The streams of a receiver, by their identifiers.
    fn of_receiver<'a>(&'a self, receiver: &'a str) -> Storing<'a, Vec<Arc<StreamRecord>>>;

    /// The next streams of all, by their identifiers, at most `limit`.
    fn page<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> Storing<'a, Vec<Arc<StreamRecord>>>;

    /// Puts a record in the place of the one from which it was made, if that is still there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`].
    fn replace<'a>(&'a self, record: StreamRecord) -> Storing<'a, ()>;

    /// Deletes a stream and its subjects. Tells whether there was one.
    fn delete<'a>(&'a self, stream_id: &'a str) -> Storing<'a, bool>;

    /// Keeps an entry, in the place of the one about the identical subject.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooMany`] for a new one when there are `limit`.
    fn put_subject<'a>(
        &'a self,
        stream_id: &'a str,
        entry: SubjectEntry,
        limit: usize,
    ) -> Storing<'a, ()>;

    /// The entry about the identical subject.
    fn subject<'a>(
        &'a self,
        stream_id: &'a str,
        subject: &'a Subject,
    ) -> Storing<'a, Option<SubjectEntry>>;

    /// The entries that [match](Subject::matches) the subject of an event.
    fn matching<'a>(
        &'a self,
        stream_id: &'a str,
        subject: &'a Subject,
    ) -> Storing<'a, Vec<SubjectEntry>>;
}

/// Streams in memory. They end with the process.
#[derive(Debug, Default)]
pub struct MemoryStreamStore {
    streams: Mutex<BTreeMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    record: Arc<StreamRecord>,
    subjects: HashMap<Subject, SubjectEntry>,
    complex: usize,
}

impl MemoryStreamStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ready<'a, T: Send + 'a>(result: Result<T, StoreError>) -> Storing<'a, T> {
    Box::pin(core::future::ready(result))
}

impl StreamStore for MemoryStreamStore {
    fn create<'a>(&'a self, record: StreamRecord, limit: usize) -> Storing<'a, ()> {
        let mut streams = self.lock();
        let own = streams
            .values()
            .filter(|kept| kept.record.receiver == record.receiver);
        if own.count() >= limit {
            return ready(Err(StoreError::TooMany));
        }
        let id = record.configuration.stream_id.clone();
        if streams.contains_key(&id) {
            return ready(Err(StoreError::Conflict));
        }
        let kept = Kept {
            record: Arc::new(record),
            subjects: HashMap::new(),
            complex: 0,
        };
        streams.insert(id, kept);
        ready(Ok(()))
    }

    fn read<'a>(&'a self, stream_id: &'a str) -> Storing<'a, Option<Arc<StreamRecord>>> {
        let streams = self.lock();
        ready(Ok(streams.get(stream_id).map(|kept| kept.record.clone())))
    }

    fn of_receiver<'a>(&'a self, receiver: &'a str) -> Storing<'a, Vec<Arc<StreamRecord>>> {
        let streams = self.lock();
        let own = streams
            .values()
            .filter(|kept| kept.record.receiver == receiver);
        ready(Ok(own.map(|kept| kept.record.clone()).collect()))
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> Storing<'a, Vec<Arc<StreamRecord>>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let streams = self.lock();
        let range = streams.range::<str, _>((after.map_or(Unbounded, Excluded), Unbounded));
        ready(Ok(range
            .take(limit)
            .map(|(_, kept)| kept.record.clone())
            .collect()))
    }

    fn replace<'a>(&'a self, mut record: StreamRecord) -> Storing<'a, ()> {
        let mut streams = self.lock();
        let kept = streams.get_mut(&record.configuration.stream_id);
        let Some(kept) = kept.filter(|kept| kept.record.version == record.version) else {
            return ready(Err(StoreError::Conflict));
        };
        record.version = record.version.saturating_add(1);
        kept.record = Arc::new(record);
        ready(Ok(()))
    }

    fn delete<'a>(&'a self, stream_id: &'a str) -> Storing<'a, bool> {
        ready(Ok(self.lock().remove(stream_id).is_some()))
    }

    fn put_subject<'a>(
        &'a self,
        stream_id: &'a str,
        entry: SubjectEntry,
        limit: usize,
    ) -> Storing<'a, ()> {
        let mut streams = self.lock();
        let Some(kept) = streams.get_mut(stream_id) else {
            return ready(Err(StoreError::Conflict));
        };
        if !kept.subjects.contains_key(&entry.subject) {
            if kept.subjects.len() >= limit {
                return ready(Err(StoreError::TooMany));
            }
            if matches!(entry.subject, Subject::Complex(_)) {
                kept.complex = kept.complex.saturating_add(1);
            }
        }
        kept.subjects.insert(entry.subject.clone(), entry);
        ready(Ok(()))
    }

    fn subject<'a>(
        &'a self,
        stream_id: &'a str,
        subject: &'a Subject,
    ) -> Storing<'a, Option<SubjectEntry>> {
        let streams = self.lock();
        let kept = streams.get(stream_id);
        ready(Ok(kept.and_then(|kept| kept.subjects.get(subject).cloned())))
    }

    fn matching<'a>(
        &'a self,
        stream_id: &'a str,
        subject: &'a Subject,
    ) -> Storing<'a, Vec<SubjectEntry>> {
        let streams = self.lock();
        let Some(kept) = streams.get(stream_id) else {
            return ready(Ok(Vec::new()));
        };
        // A simple subject matches none but the identical one.
        let found = match subject {
            Subject::Simple(_) => kept.subjects.get(subject).cloned().into_iter().collect(),
            _ if kept.complex == 0 => Vec::new(),
            _ => kept
                .subjects
                .values()
                .filter(|entry| entry.subject.matches(subject))
                .cloned()
                .collect(),
        };
        ready(Ok(found))
    }
}
