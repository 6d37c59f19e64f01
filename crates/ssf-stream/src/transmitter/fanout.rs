//! One signed SET for all streams of an audience group.
//!
//! A signature is what an event costs most, and each stream has a SET of its own, since `aud` differs. Where the operator
//! has declared that several streams belong to one audience group ([`Client::group`](super::Client::group)), those that would get
//! the same claims anyway get the same SET. Nothing else changes: `aud` is that of each stream's own configuration, so a SET never
//! names a receiver that the stream's configuration does not name to it already.

use std::collections::HashMap;

use jose_x509::Signer;
use pki_types::UnixTime;
use ssf_set::{Event, SetRequest, Subject};

use crate::error::Error;
use crate::queue::QueuedSet;
use crate::transmitter::{Occurrence, StreamRecord, Transmitter};

/// Forms of one event that a group may have, by audience, identifier of the subject and share. What has more is pairwise, and
/// looking further would cost more than signing.
const FORMS: usize = 16;

/// The SETs of one occurrence that may go into further streams.
#[derive(Debug, Default)]
pub(super) struct Shared(HashMap<String, Vec<Form>>);

#[derive(Debug)]
struct Form {
    audience: Vec<String>,
    subject: Subject,
    event: Event,
    set: QueuedSet,
}

impl Shared {
    fn find(&self, stream: &StreamRecord, subject: &Subject, event: &Event) -> Option<&QueuedSet> {
        let forms = self.0.get(stream.group.as_ref()?)?;
        let form = forms.iter().find(|form| {
            form.audience == stream.configuration.aud
                && form.subject == *subject
                && form.event == *event
        });
        form.map(|form| &form.set)
    }

    fn keep(&mut self, stream: &StreamRecord, subject: Subject, event: Event, set: &QueuedSet) {
        let Some(group) = &stream.group else {
            return;
        };
        let forms = self.0.entry(group.clone()).or_default();
        if forms.len() < FORMS {
            forms.push(Form {
                audience: stream.configuration.aud.clone(),
                subject,
                event,
                set: set.clone(),
            });
        }
    }
}

impl<S: Signer> Transmitter<S> {
    /// A SET about an occurrence for a stream: one that its group has already, or a new one.
    pub(super) fn sign_for(
        &self,
        stream: &StreamRecord,
        (subject, event): (Subject, Event),
        occurrence: &Occurrence,
        transaction: &str,
        shared: &mut Shared,
        now: UnixTime,
    ) -> Result<Option<QueuedSet>, Error> {
        if let Some(set) = shared.find(stream, &subject, &event) {
            return Ok(Some(set.clone()));
        }
        let mut audience = stream.configuration.aud.iter();
        let Some(first) = audience.next() else {
            return Ok(None);
        };
        let mut request = SetRequest::new(first.as_str(), subject.clone(), event.clone())
            .with_transaction(transaction);
        for aud in audience {
            request = request.with_audience(aud.as_str());
        }
        if let Some(time) = occurrence.time_of_event() {
            request = request.with_time_of_event(time);
        }
        let set: QueuedSet = self.issuer.issue(&request, now)?.into();
        shared.keep(stream, subject, event, &set);
        Ok(Some(set))
    }
}
