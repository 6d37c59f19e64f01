//! What a receiver keeps: SETs that wait for the application, the memory of their identifiers, and what the application did.

use std::path::Path;

use anyhow::{Context as _, Result};
use jose_x509::{Error, ReplayGuard, ReplayKey};
use pki_types::UnixTime;
use redb::{Database, Durability, ReadableTable, ReadableTableMetadata, TableDefinition};

/// SETs in the order in which they came: `jti` and the number of the event.
const SETS: TableDefinition<'_, u64, (&str, u64)> = TableDefinition::new("sets");
/// The place of each `jti` in `SETS`.
const IDS: TableDefinition<'_, &str, u64> = TableDefinition::new("ids");
/// The replay memory, with the time until which each entry has to be kept.
const USED: TableDefinition<'_, &[u8], u64> = TableDefinition::new("used");
/// What the application did: numbers of events, at the places of `SETS`.
const DONE: TableDefinition<'_, u64, u64> = TableDefinition::new("done");
/// How often the library called a `jti` new.
const NEW: TableDefinition<'_, &str, u64> = TableDefinition::new("new");

/// The file of one receiver.
pub(crate) struct Inbox(Database);

impl Inbox {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut builder = Database::builder();
        let database = builder.set_cache_size(16 * 1024 * 1024).create(path)?;
        let transaction = database.begin_write()?;
        transaction.open_table(SETS)?;
        transaction.open_table(IDS)?;
        transaction.open_table(USED)?;
        transaction.open_table(DONE)?;
        transaction.open_table(NEW)?;
        transaction.commit()?;
        Ok(Self(database))
    }

    /// Keeps a SET, once. It is on disk after the next call of the guard, before which nothing is acknowledged.
    pub(crate) fn keep(&self, id: &str, number: u64) -> Result<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::None);
        {
            let mut ids = transaction.open_table(IDS)?;
            if ids.get(id)?.is_some() {
                return Ok(());
            }
            let mut sets = transaction.open_table(SETS)?;
            let place = sets.last()?.map_or(0, |(place, _)| place.value() + 1);
            sets.insert(place, (id, number))?;
            ids.insert(id, place)?;
        }
        Ok(transaction.commit()?)
    }

    /// Does the application's work for all SETs that wait, and notes what the library called new: both or neither. Tells how
    /// many events were worked on so far.
    pub(crate) fn work(&self, new: &[String]) -> Result<u64> {
        let transaction = self.0.begin_write()?;
        let count;
        let changed;
        {
            let mut done = transaction.open_table(DONE)?;
            let sets = transaction.open_table(SETS)?;
            let first = done.last()?.map_or(0, |(place, _)| place.value() + 1);
            let mut worked = false;
            for entry in sets.range(first..)? {
                let (place, set) = entry?;
                done.insert(place.value(), set.value().1)?;
                worked = true;
            }
            let mut calls = transaction.open_table(NEW)?;
            for id in new {
                let before = calls.get(id.as_str())?.map_or(0, |times| times.value());
                calls.insert(id.as_str(), before + 1)?;
            }
            changed = worked || !new.is_empty();
            count = done.len()?;
        }
        if changed {
            transaction.commit()?;
        }
        Ok(count)
    }

    fn remember(&self, key: &ReplayKey, expires: u64) -> Result<bool> {
        let transaction = self.0.begin_write()?;
        {
            let mut used = transaction.open_table(USED)?;
            if used.get(key.as_bytes().as_slice())?.is_some() {
                return Ok(false);
            }
            used.insert(key.as_bytes().as_slice(), expires)?;
        }
        transaction.commit()?;
        Ok(true)
    }

    /// The numbers of the events that the application worked on, in order.
    pub(crate) fn done(&self) -> Result<Vec<u64>> {
        let transaction = self.0.begin_read()?;
        let done = transaction.open_table(DONE)?;
        let numbers = done.iter()?.map(|entry| Ok(entry?.1.value()));
        numbers.collect()
    }

    /// How often the library called a SET new that it had called new before.
    pub(crate) fn called_new_again(&self) -> Result<u64> {
        let transaction = self.0.begin_read()?;
        let calls = transaction.open_table(NEW)?;
        let mut again = 0;
        for entry in calls.iter()? {
            again += entry?.1.value().checked_sub(1).context("a count of zero")?;
        }
        Ok(again)
    }
}

impl ReplayGuard for Inbox {
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), Error> {
        if expires < now {
            return Err(Error::ReplayWindowPassed);
        }
        match self.remember(&key, expires.as_secs()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Replayed),
            Err(_) => Err(Error::ReplayGuardUnavailable),
        }
    }
}
