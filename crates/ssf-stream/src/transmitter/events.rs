//! Events, and what time does to streams.

use jose_x509::Signer;
use pki_types::UnixTime;
use ssf_set::ssf::StreamStatus;
use ssf_set::{Event, Subject};

use crate::error::Error;
use crate::queue::{Addressed, Place, QueueError, QueuedSet};
use crate::transmitter::fanout::Shared;
use crate::transmitter::{EVENTS_DROPPED, INACTIVE, InactivityAction, StreamRecord, Transmitter};

/// How many streams are looked at together.
const PAGE: usize = 256;

/// Something that happened to a subject, for whichever stream it belongs to.
#[derive(Clone, Debug)]
pub struct Occurrence {
    subject: Subject,
    event: Event,
    transaction: Option<String>,
    time_of_event: Option<UnixTime>,
}

impl Occurrence {
    /// An event about a subject.
    pub fn new(subject: impl Into<Subject>, event: impl Into<Event>) -> Self {
        Self {
            subject: subject.into(),
            event: event.into(),
            transaction: None,
            time_of_event: None,
        }
    }

    /// Sets `txn`: the same for everything that has one cause. Without it each occurrence has its own, and all its SETs
    /// share that.
    #[must_use]
    pub fn with_transaction(mut self, transaction: &str) -> Self {
        self.transaction = Some(transaction.to_owned());
        self
    }

    /// Sets `toe`.
    #[must_use]
    pub fn with_time_of_event(mut self, time: UnixTime) -> Self {
        self.time_of_event = Some(time);
        self
    }

    pub(super) fn time_of_event(&self) -> Option<UnixTime> {
        self.time_of_event
    }
}

/// What became of an occurrence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Emitted {
    /// The streams that have it.
    pub streams: usize,
    /// The streams that were full, so that an older event had to go for it.
    pub overflowed: usize,
}

impl<S: Signer> Transmitter<S> {
    /// Sends an event into every stream that delivers its type, has its subject, is not disabled, and may have it by the
    /// policy. Each stream has a SET of its own, signed for its audience, unless it belongs to an audience group
    /// ([`Client::group`](super::Client::group)): streams of a group that get the same claims share one SET, and one signature. Everything
    /// else is paid for each stream: the decision, the signature, and a place in the queue.
    ///
    /// When this returns, the SETs are kept as the queue keeps them.
    ///
    /// # Errors
    ///
    /// [`Error::Set`] for an event that no receiver would take; [`Error::Store`] and [`Error::Queue`], after which
    /// some streams may have the event: sent again, it is a second event.
    pub async fn emit(&self, occurrence: &Occurrence, now: UnixTime) -> Result<Emitted, Error> {
        let transaction = match &occurrence.transaction {
            Some(transaction) => transaction.clone(),
            None => self
                .provider
                .random_id()
                .map_err(|error| Error::Set(ssf_set::Error::Token(error)))?,
        };
        let mut emitted = Emitted::default();
        let mut shared = Shared::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.page(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(emitted);
            };
            after = Some(last.configuration.stream_id.clone());
            let mut sets = Vec::new();
            for stream in &page {
                if let Some(set) = self
                    .set_for(stream, occurrence, &transaction, &mut shared, now)
                    .await?
                {
                    let stream = stream.configuration.stream_id.clone();
                    sets.push(Addressed { stream, set });
                }
            }
            if sets.is_empty() {
                continue;
            }
            let results = self.queue.push_all(sets.clone(), now).await?;
            for (Addressed { stream, set }, result) in sets.into_iter().zip(results) {
                if result.is_err() {
                    self.make_room(&stream, set, now).await?;
                    emitted.overflowed = emitted.overflowed.saturating_add(1);
                }
                emitted.streams = emitted.streams.saturating_add(1);
                self.wake(&stream);
            }
        }
    }

    async fn set_for(
        &self,
        stream: &StreamRecord,
        occurrence: &Occurrence,
        transaction: &str,
        shared: &mut Shared,
        now: UnixTime,
    ) -> Result<Option<QueuedSet>, Error> {
        let configuration = &stream.configuration;
        let delivered = configuration.events_delivered.iter();
        if stream.status == StreamStatus::Disabled
            || !delivered
                .into_iter()
                .any(|uri| uri == occurrence.event.uri())
        {
            return Ok(None);
        }
        let Some(subject) = self.subject_for(stream, &occurrence.subject) else {
            return Ok(None);
        };
        if !self.wants(&configuration.stream_id, &subject, now).await? {
            return Ok(None);
        }
        let Some(event) = self.policy.share(stream, &subject, &occurrence.event) else {
            return Ok(None);
        };
        self.sign_for(
            stream,
            (subject, event),
            occurrence,
            transaction,
            shared,
            now,
        )
    }

    /// Makes room for a SET in a full stream: the oldest goes, which is counted and told.
    async fn make_room(&self, stream_id: &str, set: QueuedSet, now: UnixTime) -> Result<(), Error> {
        // A new SET may be larger than the one that goes.
        const TRIES: usize = 64;
        let mut dropped = 0_usize;
        for _ in 0..TRIES {
            let trimmed = self.queue.trim(stream_id, None, 1).await?;
            dropped = dropped.saturating_add(trimmed);
            match self
                .queue
                .push(stream_id, set.clone(), Place::Back, now)
                .await
            {
                Ok(_) => break,
                Err(QueueError::Full) if trimmed > 0 => {}
                Err(QueueError::Full) => {
                    dropped = dropped.saturating_add(1);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.lost(stream_id, dropped, now).await
    }

    /// Counts events that were dropped, and tells the receiver by pausing its stream. What waits is sent first when it is
    /// enabled again.
    async fn lost(&self, stream_id: &str, dropped: usize, now: UnixTime) -> Result<(), Error> {
        if dropped == 0 {
            return Ok(());
        }
        let dropped = u64::try_from(dropped).unwrap_or(u64::MAX);
        self.modify(stream_id, |stream| {
            stream.dropped = stream.dropped.saturating_add(dropped);
            if stream.status != StreamStatus::Enabled {
                stream.reason = Some(EVENTS_DROPPED.to_owned());
            }
            true
        })
        .await?;
        let paused = StreamStatus::Paused;
        match self.store.read(stream_id).await? {
            Some(stream) if stream.status == StreamStatus::Enabled => {
                self.set_status(stream_id, paused, Some(EVENTS_DROPPED), now)
                    .await
            }
            _ => Ok(()),
        }
    }

    /// Does what time demands: stops streams that their receivers do not use, and drops events that are too old. Call it every minute or
    /// so.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], [`Error::Queue`], [`Error::Set`].
    pub async fn tick(&self, now: UnixTime) -> Result<(), Error> {
        let oldest = now.as_secs().saturating_sub(self.settings.retention);
        let oldest = UnixTime::since_unix_epoch(core::time::Duration::from_secs(oldest));
        let mut after: Option<String> = None;
        loop {
            let page = self.store.page(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.configuration.stream_id.clone());
            for stream in &page {
                let stream_id = &stream.configuration.stream_id;
                let dropped = self.queue.trim(stream_id, Some(oldest), 0).await?;
                self.lost(stream_id, dropped, now).await?;
                if let Some((timeout, action)) = self.settings.inactivity {
                    if stream.active_at.saturating_add(timeout) < now.as_secs() {
                        self.stop(stream_id, action, now).await?;
                    }
                }
            }
        }
    }

    async fn stop(
        &self,
        stream_id: &str,
        action: InactivityAction,
        now: UnixTime,
    ) -> Result<(), Error> {
        let status = match action {
            InactivityAction::Pause => StreamStatus::Paused,
            InactivityAction::Disable => StreamStatus::Disabled,
            InactivityAction::Delete => {
                self.store.delete(stream_id).await?;
                self.queue.remove(stream_id).await?;
                self.wake(stream_id);
                return Ok(());
            }
        };
        self.set_status(stream_id, status, Some(INACTIVE), now)
            .await
    }
}
