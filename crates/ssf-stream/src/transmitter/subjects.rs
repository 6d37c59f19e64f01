//! The subjects of streams (section 8.1.3).

use http::StatusCode;
use jose_x509::Signer;
use pki_types::UnixTime;
use ssf_set::{Strictness, Subject, SubjectIdentifier};

use crate::error::Error;
use crate::stream::SubjectRequest;
use crate::transmitter::answer::{Answered, Refusal, empty};
use crate::transmitter::{
    Client, RemovalOutcome, StoreError, StreamRecord, SubjectDecision, SubjectEntry, Subjects,
    Transmitter,
};

impl<S: Signer> Transmitter<S> {
    pub(super) async fn add_subject(
        &self,
        client: &Client,
        body: &[u8],
        now: UnixTime,
    ) -> Answered {
        let request = SubjectRequest::parse(body)?;
        let stream = self.touch(client, &request.stream_id, now).await?;
        let verified = request.verified.unwrap_or(true);
        let decision = self.policy.add_subject(&stream, &request.subject, verified);
        if applies(decision)? && !is_stream(&stream, &request.subject) {
            let entry = SubjectEntry {
                subject: request.subject,
                verified,
                removed_at: None,
            };
            self.put(&request.stream_id, entry).await?;
        }
        Ok(empty(StatusCode::OK))
    }

    pub(super) async fn remove_subject(
        &self,
        client: &Client,
        body: &[u8],
        now: UnixTime,
    ) -> Answered {
        let request = SubjectRequest::parse(body)?;
        let stream = self.touch(client, &request.stream_id, now).await?;
        let decision = self.policy.remove_subject(&stream, &request.subject);
        let (entry, outcome) = match decision {
            SubjectDecision::Apply if !is_stream(&stream, &request.subject) => {
                self.removed(&stream, &request.subject, now).await?
            }
            SubjectDecision::Apply | SubjectDecision::Ignore => (None, RemovalOutcome::Nothing),
            _ => (None, RemovalOutcome::Refused),
        };
        self.record_removal(client, &stream, &request.subject, outcome, now)
            .await?;
        applies(decision)?;
        if let Some(entry) = entry {
            self.put(&request.stream_id, entry).await?;
        }
        Ok(empty(StatusCode::NO_CONTENT))
    }

    /// The entry that removes a subject, if there is something to change.
    async fn removed(
        &self,
        stream: &StreamRecord,
        subject: &Subject,
        now: UnixTime,
    ) -> Result<(Option<SubjectEntry>, RemovalOutcome), Refusal> {
        let stream_id = &stream.configuration.stream_id;
        let known = self.store.subject(stream_id, subject).await?;
        // A second removal does not put the end off.
        if let Some(ends) = known.as_ref().and_then(|known| self.end_of(known)) {
            return Ok((None, RemovalOutcome::AlreadyRemoved { ends }));
        }
        if known.is_none() && self.settings.subjects == Subjects::None {
            return Ok((None, RemovalOutcome::Nothing));
        }
        let entry = SubjectEntry {
            subject: subject.clone(),
            verified: known.is_none_or(|known| known.verified),
            removed_at: Some(now.as_secs()),
        };
        let ends = self.end_of(&entry).unwrap_or(now);
        Ok((Some(entry), RemovalOutcome::Removed { ends }))
    }

    async fn put(&self, stream_id: &str, entry: SubjectEntry) -> Result<(), Refusal> {
        // Long enough to make trying no way on, short enough not to lock a receiver out.
        const FULL: u64 = 3600;
        let limit = self.settings.subjects_per_stream;
        match self.store.put_subject(stream_id, entry, limit).await {
            Ok(()) => Ok(()),
            Err(StoreError::TooMany) => Err(Refusal::too_many(FULL)),
            Err(StoreError::Conflict) => Err(Refusal::not_found()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether events about a subject belong to a stream. An entry about the identical subject decides alone; otherwise one
    /// that matches and was not removed, then one that was, and in the end what holds for new streams.
    pub(super) async fn wants(
        &self,
        stream_id: &str,
        subject: &Subject,
        now: UnixTime,
    ) -> Result<bool, Error> {
        let entries = self.store.matching(stream_id, subject).await?;
        let kept = |entry: &SubjectEntry| self.end_of(entry).is_none_or(|end| now < end);
        if let Some(entry) = entries.iter().find(|entry| entry.subject == *subject) {
            return Ok(kept(entry));
        }
        if entries.is_empty() {
            return Ok(self.settings.subjects == Subjects::All);
        }
        Ok(entries.iter().any(kept))
    }

    /// The identifier by which an event about `subject` goes into a stream, as the policy maps it.
    ///
    /// What was mapped is read once more, so that a policy cannot send what a receiver would refuse.
    pub(super) fn subject_for(&self, stream: &StreamRecord, subject: &Subject) -> Option<Subject> {
        let mapped = self.policy.subject_for(stream, subject);
        Subject::from_value(&mapped.to_value(), Strictness::Lenient).ok()
    }
}

/// The subject that stands for the stream itself always belongs to it.
fn is_stream(stream: &StreamRecord, subject: &Subject) -> bool {
    matches!(
        subject.as_simple(),
        Some(SubjectIdentifier::Opaque { id, .. }) if *id == stream.configuration.stream_id
    )
}

fn applies(decision: SubjectDecision) -> Result<bool, Refusal> {
    match decision {
        SubjectDecision::Apply => Ok(true),
        SubjectDecision::Ignore => Ok(false),
        SubjectDecision::Forbid => Err(Refusal::forbidden()),
        SubjectDecision::Unknown => Err(Refusal::not_found()),
        SubjectDecision::TooMany { retry_after } => Err(Refusal::too_many(retry_after.as_secs())),
    }
}
