//! A record of the subjects that receivers remove, since a removal can hide what happens later.

use core::time::Duration;

use jose_x509::Signer;
use pki_types::UnixTime;
use ssf_set::Subject;

use crate::transmitter::answer::Refusal;
use crate::transmitter::{Client, Storing, StreamRecord, SubjectEntry, Transmitter};

/// What becomes of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemovalOutcome {
    /// The subject is removed. Its events end at this time, after the grace period.
    Removed {
        /// When events about the subject end.
        ends: UnixTime,
    },
    /// It was removed before, and its events end when they would have ended.
    AlreadyRemoved {
        /// When events about the subject end.
        ends: UnixTime,
    },
    /// There is nothing to remove, or the policy ignores the request. The receiver is told success.
    Nothing,
    /// The policy refuses it, and the receiver is told so.
    Refused,
}

/// That a caller asked for the removal of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubjectRemoval {
    /// The stream.
    pub stream_id: String,
    /// [`Client::id`] of the receiver whose stream it is.
    pub receiver: String,
    /// [`Client::caller`]: who asked for it on the receiver's behalf.
    pub caller: String,
    /// The subject, as it was given.
    pub subject: Subject,
    /// When.
    pub at: UnixTime,
    /// What becomes of it.
    pub outcome: RemovalOutcome,
}

/// Keeps a record of removals (section 9.3).
///
/// It is asked before anything changes: what is not recorded does not happen, and the receiver is told to try again. A
/// record can therefore be one of a removal that a failing store then did not make. Callers without the right to
/// remove subjects never come this far; the [`Authorizer`](super::Authorizer) knows of them.
pub trait RemovalLog: Send + Sync {
    /// Keeps the record.
    ///
    /// # Errors
    ///
    /// When it cannot be kept: the removal is answered with 503 and does not happen.
    fn record<'a>(&'a self, removal: &'a SubjectRemoval) -> Storing<'a, ()>;
}

impl<S: Signer> Transmitter<S> {
    /// When events about a subject end that was removed.
    pub(super) fn end_of(&self, entry: &SubjectEntry) -> Option<UnixTime> {
        let end = entry
            .removed_at?
            .saturating_add(self.settings.removal_grace);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(end)))
    }

    pub(super) async fn record_removal(
        &self,
        client: &Client,
        stream: &StreamRecord,
        subject: &Subject,
        outcome: RemovalOutcome,
        now: UnixTime,
    ) -> Result<(), Refusal> {
        let Some(log) = &self.removals else {
            return Ok(());
        };
        let removal = SubjectRemoval {
            stream_id: stream.configuration.stream_id.clone(),
            receiver: client.id.clone(),
            caller: client.caller.clone(),
            subject: subject.clone(),
            at: now,
            outcome,
        };
        Ok(log.record(&removal).await?)
    }
}
