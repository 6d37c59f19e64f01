//! A durable queue in one file, on `redb`.

mod tables;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redb::{Database, ReadableTable};
use pki_types::UnixTime;
use ssf_set::SetErrorCode;

use self::tables::{ASIDE, CLAIMS, IDS, Record, SETS, Tables, check, lost};
use crate::queue::lease::{Leases, Waiting};
use crate::queue::{
    Addressed, Batch, BatchLimit, Consumer, EventQueue, Fence, Gate, Place, QueueError,
    QueueFuture, QueuedSet, Sequence, VISIBILITY,
};

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

fn time(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
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
