//! The decisions that are the transmitter's own.

use std::time::Duration;

use ssf_set::ssf::StreamStatus;
use ssf_set::{Event, Subject};

use crate::stream::ConfigurationRequest;
use crate::transmitter::{Client, StreamRecord};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It is done.
    Apply,
    /// It cannot be decided yet: 202, and nothing changes.
    Undecided,
    /// It is refused: 403.
    Forbid,
}

/// What becomes of the addition or removal of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectDecision {
    /// It is done.
    Apply,
    /// Nothing happens, and the receiver is told success.
    Ignore,
    /// 403. It tells the receiver something about the subject, unless it is for all alike.
    Forbid,
    /// 404. It tells the receiver that the subject is not known here.
    Unknown,
    /// 429: the receiver adds too many, or too fast.
    TooMany {
        /// When it may go on.
        retry_after: Duration,
    },
}

/// The transmitter's policy. Each function has a default, so that an empty implementation is a policy.
pub trait Policy: Send + Sync {
    /// Whether a receiver may have a stream.
    fn create(&self, _client: &Client, _request: &ConfigurationRequest) -> Decision {
        Decision::Apply
    }

    /// Whether a configuration may be updated or replaced.
    fn update(&self, _stream: &StreamRecord, _request: &ConfigurationRequest) -> Decision {
        Decision::Apply
    }

    /// Whether a receiver may change the status of its stream.
    fn status(&self, _stream: &StreamRecord, _status: StreamStatus) -> Decision {
        Decision::Apply
    }

    /// Whether a receiver may add a subject. A subject that it does not know is to be treated as one that it does, so that
    /// receivers cannot ask who is a user.
    fn add_subject(
        &self,
        _stream: &StreamRecord,
        _subject: &Subject,
        _verified: bool,
    ) -> SubjectDecision {
        SubjectDecision::Apply
    }

    /// Whether a receiver may remove a subject.
    fn remove_subject(&self, _stream: &StreamRecord, _subject: &Subject) -> SubjectDecision {
        SubjectDecision::Apply
    }

    /// What of an event may be shared with a receiver: all, a part, or nothing. That a receiver has added a subject is a
    /// wish and no permission.
    fn share(&self, _stream: &StreamRecord, _subject: &Subject, event: &Event) -> Option<Event> {
        Some(event.clone())
    }

    /// How a receiver knows the subject: always by the same identifier.
    fn subject_for(&self, _stream: &StreamRecord, subject: &Subject) -> Subject {
        subject.clone()
    }

    /// The status that a stream gets when its verification event is refused or dropped.
    fn verification_failed(&self, _stream: &StreamRecord) -> Option<StreamStatus> {
        None
    }
}

/// Every receiver that is authorized may do everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultPolicy;

impl Policy for DefaultPolicy {}
