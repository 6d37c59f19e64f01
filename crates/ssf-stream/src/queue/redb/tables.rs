//! The tables of the file.

use ::redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use pki_types::UnixTime;

use crate::queue::lease::FIRST;
use crate::queue::{CONTROL_ROOM, Consumer, Place, QueueError, QueuedSet, SET_ASIDE, Sequence};

/// The SETs of each stream in their order, as [`Record`].
pub(super) const SETS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("sets");
/// Where a `jti` is.
pub(super) const IDS: TableDefinition<'_, (&str, &str), u64> = TableDefinition::new("ids");
/// SETs and bytes of a stream, and the next sequence at its end.
pub(super) const TOTALS: TableDefinition<'_, &str, (u64, u64, u64)> =
    TableDefinition::new("totals");
/// Fence and end of a claim.
pub(super) const CLAIMS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("claims");
/// SETs that were set aside, as [`Record`] with a code.
pub(super) const ASIDE: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("aside");

/// All tables, in one transaction that writes.
pub(super) struct Tables<'t> {
    pub(super) sets: Table<'t, (&'static str, u64), &'static [u8]>,
    pub(super) ids: Table<'t, (&'static str, &'static str), u64>,
    pub(super) totals: Table<'t, &'static str, (u64, u64, u64)>,
    pub(super) claims: Table<'t, &'static str, (u64, u64)>,
    pub(super) aside: Table<'t, (&'static str, u64), &'static [u8]>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, QueueError> {
        Ok(Self {
            sets: transaction.open_table(SETS).map_err(lost)?,
            ids: transaction.open_table(IDS).map_err(lost)?,
            totals: transaction.open_table(TOTALS).map_err(lost)?,
            claims: transaction.open_table(CLAIMS).map_err(lost)?,
            aside: transaction.open_table(ASIDE).map_err(lost)?,
        })
    }

    pub(super) fn find(&self, stream: &str, id: &str) -> Result<Option<Sequence>, QueueError> {
        let found = self.ids.get((stream, id)).map_err(lost)?;
        Ok(found.map(|sequence| Sequence(sequence.value())))
    }

    pub(super) fn totals(&self, stream: &str) -> Result<(u64, u64, u64), QueueError> {
        let found = self.totals.get(stream).map_err(lost)?;
        Ok(found.map(|totals| totals.value()).unwrap_or_default())
    }

    /// The sequence of the first SET.
    pub(super) fn first(&self, stream: &str) -> Result<Option<u64>, QueueError> {
        let all = (stream, 0)..=(stream, u64::MAX);
        let mut range = self.sets.range(all).map_err(lost)?;
        let first = range.next().transpose().map_err(lost)?;
        Ok(first.map(|(key, _)| key.value().1))
    }

    pub(super) fn push(
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
    pub(super) fn take(
        &mut self,
        stream: &str,
        sequence: Sequence,
    ) -> Result<Option<Vec<u8>>, QueueError> {
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

    pub(super) fn set_aside(
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
pub(super) struct Record<'a> {
    pub(super) control: bool,
    pub(super) pushed_at: u64,
    pub(super) code: &'a str,
    pub(super) id: &'a str,
    pub(super) compact: &'a str,
}

impl<'a> Record<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
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

    pub(super) fn write(&self) -> Vec<u8> {
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

    pub(super) fn set(&self) -> QueuedSet {
        QueuedSet {
            id: self.id.to_owned(),
            compact: self.compact.to_owned(),
            control: self.control,
        }
    }
}

pub(super) fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    Some((core::str::from_utf8(text).ok()?, rest))
}

pub(super) fn check(
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

pub(super) fn len(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// What is wrong with the file is for its operator, who has it.
pub(super) fn lost<E>(_: E) -> QueueError {
    QueueError::Unavailable
}
