//! A durable queue in one file, on `redb`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redb::{Database, ReadableTable, Table, TableDefinition, WriteTransaction};
use pki_types::UnixTime;
use ssf_set::SetErrorCode;

use crate::queue::lease::{FIRST, Leases, Waiting};
use crate::queue::{
    Addressed, Batch, BatchLimit, CONTROL_ROOM, Consumer, EventQueue, Fence, Gate, Place,
    QueueError, QueueFuture, QueuedSet, SET_ASIDE, Sequence, VISIBILITY,
};

/// The SETs of each stream in their order, as [`Record`].
const SETS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("sets");
/// Where a `jti` is.
const IDS: TableDefinition<'_, (&str, &str), u64> = TableDefinition::new("ids");
/// SETs and bytes of a stream, and the next sequence at its end.
const TOTALS: TableDefinition<'_, &str, (u64, u64, u64)> = TableDefinition::new("totals");
/// Fence and end of a claim.
const CLAIMS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("claims");
/// SETs that were set aside, as [`Record`] with a code.
const ASIDE: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("aside");

/// A bounded queue in a file.
///
/// What [`push`](EventQueue::push) has taken and what [`finish`](EventQueue::finish) and
/// [`fail`](EventQueue::fail) have taken out survives a crash of the process and of the machine: each of
/// these is one transaction, synced before it returns. Claims survive too. Who holds which SET until
/// when does not: after a crash every SET is visible again, and the count of its deliveries begins anew.
///
/// One process opens the file at a time. Calls wait for the disk, for a time in the order of milliseconds;
/// [`push_all`](EventQueue::push_all) needs one sync for all its SETs.
#[derive(Debug)]
pub struct RedbEventQueue {
    database: Database,
    leases: Mutex<HashMap<String, Leases>>,
    capacity: u64,
    bytes: u64,
    visibility: u64,
}

impl RedbEventQueue {
    /// Opens the file or makes it, for this many SETs of each stream, with a visibility timeout of
    /// [`VISIBILITY`], and at most 4 KiB for each SET on average. After a crash this repairs the file.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`] when the file cannot be opened, is not one of this kind, or is open
    /// in another process.
    pub fn open(path: impl AsRef<Path>, capacity: usize) -> Result<Self, QueueError> {
        // Pages of the file in memory.
        const CACHE: usize = 16 * 1024 * 1024;
        let mut builder = Database::builder();
        let database = builder.set_cache_size(CACHE).create(path).map_err(lost)?;
        let transaction = database.begin_write().map_err(lost)?;
        Tables::open(&transaction)?;
        transaction.commit().map_err(lost)?;
        let capacity = u64::try_from(capacity).unwrap_or(u64::MAX);
        Ok(Self {
            database,
            leases: Mutex::default(),
            capacity,
            bytes: capacity.saturating_mul(4096),
            visibility: VISIBILITY.as_secs(),
        })
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
        self.bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<String, Leases>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One transaction: kept as a whole, or not at all.
    fn write<T>(
        &self,
        does: impl FnOnce(&mut Tables<'_>) -> Result<T, QueueError>,
    ) -> Result<T, QueueError> {
        let transaction = self.database.begin_write().map_err(lost)?;
        let result = does(&mut Tables::open(&transaction)?)?;
        transaction.commit().map_err(lost)?;
        Ok(result)
    }

    fn push_now(
        &self,
        stream: &str,
        set: &QueuedSet,
        place: Place,
        now: UnixTime,
    ) -> Result<Sequence, QueueError> {
        self.write(|tables| tables.push(stream, set, place, now, (self.capacity, self.bytes)))
    }

    fn lease_now(
        &self,
        stream: &str,
        consumer: Consumer,
        gate: Gate,
        limit: BatchLimit,
        now: u64,
    ) -> Result<Batch, QueueError> {
        let mut all = self.leases();
        let leases = all.entry(stream.to_owned()).or_default();
        let transaction = self.database.begin_read().map_err(lost)?;
        let claims = transaction.open_table(CLAIMS).map_err(lost)?;
        check(&claims, stream, consumer)?;
        let sets = transaction.open_table(SETS).map_err(lost)?;
        let mut failed = false;
        let waiting = sets
            .range((stream, 0)..=(stream, u64::MAX))
            .map_err(lost)?
            .map_while(|entry| {
                let found = entry.ok().and_then(|(key, value)| {
                    let record = Record::read(value.value())?;
                    Some(Waiting {
                        sequence: Sequence(key.value().1),
                        control: record.control,
                        bytes: record.compact.len(),
                    })
                });
                failed |= found.is_none();
                found
            });
        let selection = leases.select(waiting, consumer, gate, limit, (now, self.visibility));
        if failed {
            return Err(QueueError::Unavailable);
        }
        let mut batch = Batch {
            more: selection.more,
            not_before: selection.not_before.map(time),
            deliveries: selection.deliveries,
            ..Batch::default()
        };
        for sequence in selection.take {
            if let Some(value) = sets.get((stream, sequence.0)).map_err(lost)? {
                batch
                    .sets
                    .extend(Record::read(value.value()).map(|record| record.set()));
            }
        }
        drop((sets, claims));
        if !selection.worn.is_empty() {
            self.write(|tables| {
                for sequence in selection.worn {
                    tables.set_aside(stream, sequence, "")?;
                }
                Ok(())
            })?;
        }
        Ok(batch)
    }

    fn take_out(&self, stream: &str, consumer: Consumer, ids: &[String]) -> Result<(), QueueError> {
        let mut all = self.leases();
        let taken = self.write(|tables| {
            check(&tables.claims, stream, consumer)?;
            let mut taken = Vec::new();
            for id in ids {
                if let Some(sequence) = tables.find(stream, id)? {
                    tables.take(stream, sequence)?;
                    taken.push(sequence);
                }
            }
            Ok(taken)
        })?;
        if let Some(leases) = all.get_mut(stream) {
            taken
                .into_iter()
                .for_each(|sequence| leases.forget(sequence));
        }
        Ok(())
    }

    /// Reads what waits, oldest first, until `each` says that it is enough.
    fn each(
        &self,
        stream: &str,
        mut each: impl FnMut(Sequence, &Record<'_>) -> bool,
    ) -> Result<(), QueueError> {
        let transaction = self.database.begin_read().map_err(lost)?;
        let sets = transaction.open_table(SETS).map_err(lost)?;
        for entry in sets.range((stream, 0)..=(stream, u64::MAX)).map_err(lost)? {
            let (key, value) = entry.map_err(lost)?;
            let record = Record::read(value.value()).ok_or(QueueError::Unavailable)?;
            if !each(Sequence(key.value().1), &record) {
                break;
            }
        }
        Ok(())
    }
}

/// All tables, in one transaction that writes.
struct Tables<'t> {
    sets: Table<'t, (&'static str, u64), &'static [u8]>,
    ids: Table<'t, (&'static str, &'static str), u64>,
    totals: Table<'t, &'static str, (u64, u64, u64)>,
    claims: Table<'t, &'static str, (u64, u64)>,
    aside: Table<'t, (&'static str, u64), &'static [u8]>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, QueueError> {
        Ok(Self {
            sets: transaction.open_table(SETS).map_err(lost)?,
            ids: transaction.open_table(IDS).map_err(lost)?,
            totals: transaction.open_table(TOTALS).map_err(lost)?,
            claims: transaction.open_table(CLAIMS).map_err(lost)?,
            aside: transaction.open_table(ASIDE).map_err(lost)?,
        })
    }

    fn find(&self, stream: &str, id: &str) -> Result<Option<Sequence>, QueueError> {
        let found = self.ids.get((stream, id)).map_err(lost)?;
        Ok(found.map(|sequence| Sequence(sequence.value())))
    }

    fn totals(&self, stream: &str) -> Result<(u64, u64, u64), QueueError> {
        let found = self.totals.get(stream).map_err(lost)?;
        Ok(found.map(|totals| totals.value()).unwrap_or_default())
    }

    /// The sequence of the first SET.
    fn first(&self, stream: &str) -> Result<Option<u64>, QueueError> {
        let all = (stream, 0)..=(stream, u64::MAX);
        let mut range = self.sets.range(all).map_err(lost)?;
        let first = range.next().transpose().map_err(lost)?;
        Ok(first.map(|(key, _)| key.value().1))
    }

    fn push(
        &mut self,
        stream: &str,
        set: &QueuedSet,
        place: Place,
        now: UnixTime,
        (capacity, bytes): (u64, u64),
    ) -> Result<Sequence, QueueError> {
        if let Some(sequence) = self.find(stream, &set.id)? {
            return Ok(sequence);
        }
        let (count, held, next) = self.totals(stream)?;
        let held = held.saturating_add(len(&set.compact));
        let room = if set.control {
            count < capacity.saturating_add(u64::try_from(CONTROL_ROOM).unwrap_or(u64::MAX))
        } else {
            count < capacity && held <= bytes
        };
        if !room {
            return Err(QueueError::Full);
        }
        let (sequence, next) = match (place, self.first(stream)?) {
            (Place::Front, Some(first)) => (first.saturating_sub(1), next),
            _ => {
                let next = next.max(FIRST);
                (next, next.saturating_add(1))
            }
        };
        let record = Record {
            control: set.control,
            pushed_at: now.as_secs(),
            code: "",
            id: &set.id,
            compact: &set.compact,
        };
        let record = record.write();
        self.sets
            .insert((stream, sequence), record.as_slice())
            .map_err(lost)?;
        self.ids
            .insert((stream, set.id.as_str()), sequence)
            .map_err(lost)?;
        let totals = (count.saturating_add(1), held, next);
        self.totals.insert(stream, totals).map_err(lost)?;
        Ok(Sequence(sequence))
    }

    /// Takes a SET out, and gives its record.
    fn take(&mut self, stream: &str, sequence: Sequence) -> Result<Option<Vec<u8>>, QueueError> {
        let removed = self.sets.remove((stream, sequence.0)).map_err(lost)?;
        let Some(bytes) = removed.map(|value| value.value().to_vec()) else {
            return Ok(None);
        };
        let record = Record::read(&bytes).ok_or(QueueError::Unavailable)?;
        self.ids.remove((stream, record.id)).map_err(lost)?;
        let (count, held, next) = self.totals(stream)?;
        let totals = (
            count.saturating_sub(1),
            held.saturating_sub(len(record.compact)),
            next,
        );
        self.totals.insert(stream, totals).map_err(lost)?;
        Ok(Some(bytes))
    }

    fn set_aside(
        &mut self,
        stream: &str,
        sequence: Sequence,
        code: &str,
    ) -> Result<(), QueueError> {
        let Some(bytes) = self.take(stream, sequence)? else {
            return Ok(());
        };
        let record = Record::read(&bytes).ok_or(QueueError::Unavailable)?;
        let record = Record { code, ..record }.write();
        let mut range = self
            .aside
            .range((stream, 0)..=(stream, u64::MAX))
            .map_err(lost)?;
        let last = range.next_back().transpose().map_err(lost)?;
        let next = last.map_or(0, |(key, _)| key.value().1.saturating_add(1));
        drop(range);
        self.aside
            .insert((stream, next), record.as_slice())
            .map_err(lost)?;
        let kept = u64::try_from(SET_ASIDE).unwrap_or(u64::MAX);
        if let Some(old) = next.checked_sub(kept) {
            self.aside.remove((stream, old)).map_err(lost)?;
        }
        Ok(())
    }
}

/// A SET as it is stored: control (1), time of the push (8), then code and identifier, each after its
/// length (2), then the compact serialization.
struct Record<'a> {
    control: bool,
    pushed_at: u64,
    code: &'a str,
    id: &'a str,
    compact: &'a str,
}

impl<'a> Record<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (control, rest) = bytes.split_first()?;
        let (pushed_at, rest) = rest.split_first_chunk::<8>()?;
        let (code, rest) = text(rest)?;
        let (id, rest) = text(rest)?;
        Some(Self {
            control: *control == 1,
            pushed_at: u64::from_be_bytes(*pushed_at),
            code,
            id,
            compact: core::str::from_utf8(rest).ok()?,
        })
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.control)];
        bytes.extend(self.pushed_at.to_be_bytes());
        for text in [self.code, self.id] {
            // Identifiers are checked to be short where they come in.
            let len = u16::try_from(text.len()).unwrap_or(0);
            bytes.extend(len.to_be_bytes());
            bytes.extend(text.bytes().take(usize::from(len)));
        }
        bytes.extend(self.compact.bytes());
        bytes
    }

    fn set(&self) -> QueuedSet {
        QueuedSet {
            id: self.id.to_owned(),
            compact: self.compact.to_owned(),
            control: self.control,
        }
    }
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    Some((core::str::from_utf8(text).ok()?, rest))
}

fn check(
    claims: &impl ReadableTable<&'static str, (u64, u64)>,
    stream: &str,
    consumer: Consumer,
) -> Result<(), QueueError> {
    let Consumer::Exclusive(fence) = consumer else {
        return Ok(());
    };
    match claims.get(stream).map_err(lost)? {
        Some(claim) if claim.value().0 == fence.0 => Ok(()),
        _ => Err(QueueError::Fenced),
    }
}

fn len(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

fn time(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// What is wrong with the file is for its operator, who has it.
fn lost<E>(_: E) -> QueueError {
    QueueError::Unavailable
}

fn ready<'a, T: Send + 'a>(result: Result<T, QueueError>) -> QueueFuture<'a, T> {
    Box::pin(core::future::ready(result))
}

impl EventQueue for RedbEventQueue {
    fn push<'a>(
        &'a self,
        stream: &'a str,
        set: QueuedSet,
        place: Place,
        now: UnixTime,
    ) -> QueueFuture<'a, Sequence> {
        ready(self.push_now(stream, &set, place, now))
    }

    fn push_all<'a>(
        &'a self,
        sets: Vec<Addressed>,
        now: UnixTime,
    ) -> QueueFuture<'a, Vec<Result<Sequence, QueueError>>> {
        let bounds = (self.capacity, self.bytes);
        ready(self.write(|tables| {
            let mut results = Vec::with_capacity(sets.len());
            for Addressed { stream, set } in &sets {
                match tables.push(stream, set, Place::Back, now, bounds) {
                    Err(QueueError::Unavailable) => return Err(QueueError::Unavailable),
                    result => results.push(result),
                }
            }
            Ok(results)
        }))
    }

    fn claim<'a>(
        &'a self,
        stream: &'a str,
        hold: Duration,
        now: UnixTime,
    ) -> QueueFuture<'a, Fence> {
        let _leases = self.leases();
        ready(self.write(|tables| {
            let claim = tables.claims.get(stream).map_err(lost)?;
            let (fence, until) = claim.map(|claim| claim.value()).unwrap_or_default();
            if until > now.as_secs() {
                return Err(QueueError::Claimed);
            }
            let claim = (
                fence.saturating_add(1),
                now.as_secs().saturating_add(hold.as_secs()),
            );
            tables.claims.insert(stream, claim).map_err(lost)?;
            Ok(Fence(claim.0))
        }))
    }

    fn renew<'a>(
        &'a self,
        stream: &'a str,
        fence: Fence,
        hold: Duration,
        now: UnixTime,
    ) -> QueueFuture<'a, ()> {
        ready(self.write(|tables| {
            check(&tables.claims, stream, Consumer::Exclusive(fence))?;
            let until = now.as_secs().saturating_add(hold.as_secs());
            tables
                .claims
                .insert(stream, (fence.0, until))
                .map_err(lost)?;
            Ok(())
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
        ready(self.lease_now(stream, consumer, gate, limit, now.as_secs()))
    }

    fn put_off<'a>(
        &'a self,
        stream: &'a str,
        consumer: Consumer,
        id: &'a str,
        at: UnixTime,
    ) -> QueueFuture<'a, ()> {
        let put_off = || {
            let mut all = self.leases();
            let transaction = self.database.begin_read().map_err(lost)?;
            check(
                &transaction.open_table(CLAIMS).map_err(lost)?,
                stream,
                consumer,
            )?;
            let ids = transaction.open_table(IDS).map_err(lost)?;
            if let Some(sequence) = ids.get((stream, id)).map_err(lost)? {
                let leases = all.entry(stream.to_owned()).or_default();
                leases.put_off(Sequence(sequence.value()), at.as_secs());
            }
            Ok(())
        };
        ready(put_off())
    }

    fn finish<'a>(
        &'a self,
        stream: &'a str,
        consumer: Consumer,
        ids: &'a [String],
    ) -> QueueFuture<'a, ()> {
        ready(self.take_out(stream, consumer, ids))
    }

    fn fail<'a>(
        &'a self,
        stream: &'a str,
        consumer: Consumer,
        id: &'a str,
        code: &'a SetErrorCode,
    ) -> QueueFuture<'a, ()> {
        let mut all = self.leases();
        let failed = self.write(|tables| {
            check(&tables.claims, stream, consumer)?;
            let sequence = tables.find(stream, id)?;
            if let Some(sequence) = sequence {
                tables.set_aside(stream, sequence, code.as_str())?;
            }
            Ok(sequence)
        });
        if let (Ok(Some(sequence)), Some(leases)) = (&failed, all.get_mut(stream)) {
            leases.forget(*sequence);
        }
        ready(failed.map(|_| ()))
    }

    fn pending<'a>(&'a self, stream: &'a str) -> QueueFuture<'a, usize> {
        self.passable(stream, Gate::Open)
    }

    fn passable<'a>(&'a self, stream: &'a str, gate: Gate) -> QueueFuture<'a, usize> {
        let mut count = 0_usize;
        let result = self.each(stream, |sequence, record| {
            count = count.saturating_add(usize::from(gate.lets(sequence, record.control)));
            true
        });
        ready(result.map(|()| count))
    }

    fn trim<'a>(
        &'a self,
        stream: &'a str,
        older_than: Option<UnixTime>,
        oldest: usize,
    ) -> QueueFuture<'a, usize> {
        let trim = || {
            let older_than = older_than.map_or(0, |time| time.as_secs());
            let mut all = self.leases();
            let (mut old, mut young) = (Vec::new(), Vec::new());
            self.each(stream, |sequence, record| {
                if record.control {
                } else if record.pushed_at < older_than {
                    old.push(sequence);
                } else if young.len() < oldest {
                    young.push(sequence);
                }
                true
            })?;
            old.append(&mut young);
            if !old.is_empty() {
                self.write(|tables| {
                    for sequence in &old {
                        tables.take(stream, *sequence)?;
                    }
                    Ok(())
                })?;
            }
            if let Some(leases) = all.get_mut(stream) {
                old.iter().for_each(|sequence| leases.forget(*sequence));
            }
            Ok(old.len())
        };
        ready(trim())
    }

    fn set_aside<'a>(
        &'a self,
        stream: &'a str,
    ) -> QueueFuture<'a, Vec<(QueuedSet, Option<SetErrorCode>)>> {
        let read = || {
            let transaction = self.database.begin_read().map_err(lost)?;
            let aside = transaction.open_table(ASIDE).map_err(lost)?;
            let mut sets = Vec::new();
            for entry in aside
                .range((stream, 0)..=(stream, u64::MAX))
                .map_err(lost)?
            {
                let (_, value) = entry.map_err(lost)?;
                let record = Record::read(value.value()).ok_or(QueueError::Unavailable)?;
                let code = (!record.code.is_empty()).then(|| SetErrorCode::from_name(record.code));
                sets.push((record.set(), code));
            }
            Ok(sets)
        };
        ready(read())
    }

    fn remove<'a>(&'a self, stream: &'a str) -> QueueFuture<'a, ()> {
        self.leases().remove(stream);
        ready(self.write(|tables| {
            let all = (stream, 0)..=(stream, u64::MAX);
            tables
                .sets
                .retain_in(all.clone(), |_, _| false)
                .map_err(lost)?;
            tables.aside.retain_in(all, |_, _| false).map_err(lost)?;
            let ids: Vec<String> = tables
                .ids
                .range((stream, "")..)
                .map_err(lost)?
                .map_while(Result::ok)
                .take_while(|(key, _)| key.value().0 == stream)
                .map(|(key, _)| key.value().1.to_owned())
                .collect();
            for id in ids {
                tables.ids.remove((stream, id.as_str())).map_err(lost)?;
            }
            tables.totals.remove(stream).map_err(lost)?;
            tables.claims.remove(stream).map_err(lost)?;
            Ok(())
        }))
    }
}
