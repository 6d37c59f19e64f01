//! A durable store of streams in one file, on `redb`.

use std::fs::{File, OpenOptions};
use std::ops::Bound::{Excluded, Unbounded};
use std::path::Path;
use std::sync::Arc;

use ::redb::{Database, ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use ssf_set::{Strictness, Subject};

use super::stored::{read_record, write_record};
use crate::transmitter::{StoreError, Storing, StreamRecord, StreamStore, SubjectEntry};

/// Streams by their identifiers, as [`write_record`] has them.
const STREAMS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("streams");
/// Receivers and their streams.
const OWNERS: TableDefinition<'_, (&str, &str), ()> = TableDefinition::new("owners");
/// Subjects by stream, whether they are complex, and [`key`]: whether the addition was verified, and when they were removed.
const SUBJECTS: TableDefinition<'_, (&str, bool, &str), (bool, Option<u64>)> =
    TableDefinition::new("subjects");
/// How many subjects a stream has.
const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("counts");

/// Streams and their subjects in a file.
///
/// Every change survives a crash of the process and of the machine: it is one transaction, synced before the call returns, and waits for the
/// disk, for a time in the order of milliseconds. One process opens the file at a time. It has the secrets of pushes in it, so it is made
/// readable for its owner alone where the system knows of such a thing.
#[derive(Debug)]
pub struct RedbStreamStore {
    database: Database,
}

impl RedbStreamStore {
    /// Opens the file or makes it. After a crash this repairs the file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the file cannot be opened, is not one of this kind, or is open in another process.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        // Pages of the file in memory.
        const CACHE: usize = 16 * 1024 * 1024;
        let mut builder = Database::builder();
        let database = builder
            .set_cache_size(CACHE)
            .create_file(private_file(path.as_ref()).map_err(lost)?)
            .map_err(lost)?;
        let transaction = database.begin_write().map_err(lost)?;
        transaction.open_table(STREAMS).map_err(lost)?;
        transaction.open_table(OWNERS).map_err(lost)?;
        transaction.open_table(SUBJECTS).map_err(lost)?;
        transaction.open_table(COUNTS).map_err(lost)?;
        transaction.commit().map_err(lost)?;
        Ok(Self { database })
    }

    /// One transaction: kept as a whole, or not at all.
    fn write<'a, T: Send + 'a>(
        &self,
        does: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Storing<'a, T> {
        let write = || {
            let transaction = self.database.begin_write().map_err(lost)?;
            let result = does(&transaction)?;
            transaction.commit().map_err(lost)?;
            Ok(result)
        };
        ready(write())
    }

    fn look<'a, T: Send + 'a>(
        &self,
        looks: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Storing<'a, T> {
        let transaction = self.database.begin_read().map_err(lost);
        ready(transaction.and_then(|transaction| looks(&transaction)))
    }
}

#[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has a mode to set"))]
fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

fn ready<'a, T: Send + 'a>(result: Result<T, StoreError>) -> Storing<'a, T> {
    Box::pin(core::future::ready(result))
}

/// What is wrong with the file is for its operator, who has it.
fn lost<E>(_: E) -> StoreError {
    StoreError::Unavailable
}

fn is_complex(subject: &Subject) -> bool {
    matches!(subject, Subject::Complex(_))
}

/// The same text for identical subjects and for no others.
fn key(subject: &Subject) -> String {
    let mut value = subject.to_value();
    value.sort_all_objects();
    value.to_string()
}

fn entry(
    key: &str,
    (verified, removed_at): (bool, Option<u64>),
) -> Result<SubjectEntry, StoreError> {
    let value = serde_json::from_str(key).map_err(lost)?;
    Ok(SubjectEntry {
        subject: Subject::from_value(&value, Strictness::Lenient).map_err(lost)?,
        verified,
        removed_at,
    })
}

impl StreamStore for RedbStreamStore {
    fn create<'a>(&'a self, record: StreamRecord, limit: usize) -> Storing<'a, ()> {
        self.write(|transaction| {
            let mut owners = transaction.open_table(OWNERS).map_err(lost)?;
            let mut streams = transaction.open_table(STREAMS).map_err(lost)?;
            let id = record.configuration.stream_id.as_str();
            let receiver = record.receiver.as_str();
            let own = owners.range((receiver, "")..).map_err(lost)?;
            let mut count = 0_usize;
            for entry in own.take(limit) {
                let (key, _) = entry.map_err(lost)?;
                count = count.saturating_add(usize::from(key.value().0 == receiver));
            }
            if count >= limit {
                return Err(StoreError::TooMany);
            }
            if streams.get(id).map_err(lost)?.is_some() {
                return Err(StoreError::Conflict);
            }
            let bytes = write_record(&record)?;
            streams.insert(id, bytes.as_slice()).map_err(lost)?;
            owners.insert((receiver, id), ()).map_err(lost)?;
            Ok(())
        })
    }

    fn read<'a>(&'a self, stream_id: &'a str) -> Storing<'a, Option<Arc<StreamRecord>>> {
        self.look(|transaction| {
            let streams = transaction.open_table(STREAMS).map_err(lost)?;
            let found = streams.get(stream_id).map_err(lost)?;
            found.map(|bytes| read_record(bytes.value())).transpose()
        })
    }

    fn of_receiver<'a>(&'a self, receiver: &'a str) -> Storing<'a, Vec<Arc<StreamRecord>>> {
        self.look(|transaction| {
            let owners = transaction.open_table(OWNERS).map_err(lost)?;
            let streams = transaction.open_table(STREAMS).map_err(lost)?;
            let mut own = Vec::new();
            for entry in owners.range((receiver, "")..).map_err(lost)? {
                let (key, _) = entry.map_err(lost)?;
                let (owner, id) = key.value();
                if owner != receiver {
                    break;
                }
                let bytes = streams.get(id).map_err(lost)?;
                own.push(read_record(bytes.ok_or(StoreError::Unavailable)?.value())?);
            }
            Ok(own)
        })
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> Storing<'a, Vec<Arc<StreamRecord>>> {
        self.look(|transaction| {
            let streams = transaction.open_table(STREAMS).map_err(lost)?;
            let behind = (after.map_or(Unbounded, Excluded), Unbounded);
            let page = streams.range::<&str>(behind).map_err(lost)?;
            page.take(limit)
                .map(|entry| read_record(entry.map_err(lost)?.1.value()))
                .collect()
        })
    }

    fn replace<'a>(&'a self, mut record: StreamRecord) -> Storing<'a, ()> {
        self.write(|transaction| {
            let mut streams = transaction.open_table(STREAMS).map_err(lost)?;
            let id = record.configuration.stream_id.clone();
            let current = match streams.get(id.as_str()).map_err(lost)? {
                None => return Err(StoreError::Conflict),
                Some(bytes) => read_record(bytes.value())?,
            };
            if current.version != record.version {
                return Err(StoreError::Conflict);
            }
            record.version = record.version.saturating_add(1);
            let bytes = write_record(&record)?;
            streams
                .insert(id.as_str(), bytes.as_slice())
                .map_err(lost)?;
            if current.receiver != record.receiver {
                let mut owners = transaction.open_table(OWNERS).map_err(lost)?;
                let (old, new) = (current.receiver.as_str(), record.receiver.as_str());
                owners.remove((old, id.as_str())).map_err(lost)?;
                owners.insert((new, id.as_str()), ()).map_err(lost)?;
            }
            Ok(())
        })
    }

    fn delete<'a>(&'a self, stream_id: &'a str) -> Storing<'a, bool> {
        self.write(|transaction| {
            let mut streams = transaction.open_table(STREAMS).map_err(lost)?;
            let record = match streams.remove(stream_id).map_err(lost)? {
                None => return Ok(false),
                Some(bytes) => read_record(bytes.value())?,
            };
            let mut owners = transaction.open_table(OWNERS).map_err(lost)?;
            let owner = (record.receiver.as_str(), stream_id);
            owners.remove(owner).map_err(lost)?;
            let mut counts = transaction.open_table(COUNTS).map_err(lost)?;
            counts.remove(stream_id).map_err(lost)?;
            let mut subjects = transaction.open_table(SUBJECTS).map_err(lost)?;
            let mut keys = Vec::new();
            for entry in subjects.range((stream_id, false, "")..).map_err(lost)? {
                let (key, _) = entry.map_err(lost)?;
                let (stream, complex, subject) = key.value();
                if stream != stream_id {
                    break;
                }
                keys.push((complex, subject.to_owned()));
            }
            for (complex, subject) in keys {
                let key = (stream_id, complex, subject.as_str());
                subjects.remove(key).map_err(lost)?;
            }
            Ok(true)
        })
    }

    fn put_subject<'a>(
        &'a self,
        stream_id: &'a str,
        entry: SubjectEntry,
        limit: usize,
    ) -> Storing<'a, ()> {
        self.write(|transaction| {
            let streams = transaction.open_table(STREAMS).map_err(lost)?;
            if streams.get(stream_id).map_err(lost)?.is_none() {
                return Err(StoreError::Conflict);
            }
            let mut subjects = transaction.open_table(SUBJECTS).map_err(lost)?;
            let subject = key(&entry.subject);
            let key = (stream_id, is_complex(&entry.subject), subject.as_str());
            let value = (entry.verified, entry.removed_at);
            if subjects.insert(key, value).map_err(lost)?.is_some() {
                return Ok(());
            }
            let mut counts = transaction.open_table(COUNTS).map_err(lost)?;
            let count = counts.get(stream_id).map_err(lost)?;
            let count = count.map_or(0, |count| count.value());
            if usize::try_from(count).unwrap_or(usize::MAX) >= limit {
                return Err(StoreError::TooMany);
            }
            let count = count.saturating_add(1);
            counts.insert(stream_id, count).map_err(lost)?;
            Ok(())
        })
    }

    fn subject<'a>(
        &'a self,
        stream_id: &'a str,
        subject: &'a Subject,
    ) -> Storing<'a, Option<SubjectEntry>> {
        self.look(|transaction| {
            let subjects = transaction.open_table(SUBJECTS).map_err(lost)?;
            let text = key(subject);
            let key = (stream_id, is_complex(subject), text.as_str());
            let found = subjects.get(key).map_err(lost)?;
            found.map(|value| entry(&text, value.value())).transpose()
        })
    }

    fn matching<'a>(
        &'a self,
        stream_id: &'a str,
        subject: &'a Subject,
    ) -> Storing<'a, Vec<SubjectEntry>> {
        // A simple subject matches none but the identical one.
        if !is_complex(subject) {
            let found = self.subject(stream_id, subject);
            return Box::pin(async move { Ok(found.await?.into_iter().collect()) });
        }
        self.look(|transaction| {
            let subjects = transaction.open_table(SUBJECTS).map_err(lost)?;
            let mut found = Vec::new();
            for candidate in subjects.range((stream_id, true, "")..).map_err(lost)? {
                let (key, value) = candidate.map_err(lost)?;
                let (stream, _, text) = key.value();
                if stream != stream_id {
                    break;
                }
                let entry = entry(text, value.value())?;
                if entry.subject.matches(subject) {
                    found.push(entry);
                }
            }
            Ok(found)
        })
    }
}
