//! The status of streams (section 8.1.2), and verification (section 8.1.4).

use http::{StatusCode, request};
use jose_x509::Signer;
use pki_types::UnixTime;
use ssf_set::ssf::{StreamStatus, StreamUpdated, Verification};
use ssf_set::{Event, SetRequest, SubjectIdentifier};

use crate::error::Error;
use crate::queue::{Place, QueuedSet, Sequence};
use crate::stream::{StreamStatusDocument, VerificationRequest};
use crate::transmitter::answer::{Answered, Refusal, empty, json_response};
use crate::transmitter::api::required_stream_id;
use crate::transmitter::{Client, StoreError, StreamRecord, Transmitter};

/// How often a change is tried again that another one crossed.
const ATTEMPTS: usize = 16;

impl<S: Signer> Transmitter<S> {
    pub(super) async fn read_status(
        &self,
        client: &Client,
        parts: &request::Parts,
        now: UnixTime,
    ) -> Answered {
        let stream_id = required_stream_id(parts)?;
        let stream = self.touch(client, &stream_id, now).await?;
        Ok(status_response(&stream))
    }

    pub(super) async fn update_status(
        &self,
        client: &Client,
        body: &[u8],
        now: UnixTime,
    ) -> Answered {
        let request = StreamStatusDocument::parse(body)?;
        let change = |stream: &mut StreamRecord| {
            if stream.status == request.status {
                return Ok(false);
            }
            let decision = self.policy.status(stream, request.status);
            if let Some(refusal) = decision.refusal() {
                return Err(refusal);
            }
            stream.status = request.status;
            stream.reason.clone_from(&request.reason);
            stream.last = None;
            if request.status == StreamStatus::Enabled {
                stream.dropped = 0;
            }
            Ok(true)
        };
        let (changed, stream) = self.change(client, &request.stream_id, now, change).await?;
        if changed {
            if request.status == StreamStatus::Disabled {
                self.queue
                    .trim(&request.stream_id, None, usize::MAX)
                    .await?;
            }
            self.wake(&request.stream_id);
        }
        Ok(status_response(&stream))
    }

    pub(super) async fn request_verification(
        &self,
        client: &Client,
        body: &[u8],
        now: UnixTime,
    ) -> Answered {
        let request = VerificationRequest::parse(body)?;
        let stream = self.own(client, &request.stream_id).await?;
        let set = self.control(&stream, Verification::new(request.state), now)?;
        let interval = self.settings.min_verification_interval;
        let change = |stream: &mut StreamRecord| {
            if stream.status != StreamStatus::Enabled {
                return Err(Refusal::bad("the stream is not enabled"));
            }
            let earliest = stream
                .verification_at
                .map_or(0, |last| last.saturating_add(interval));
            match earliest.checked_sub(now.as_secs()) {
                None | Some(0) => {}
                Some(wait) => return Err(Refusal::too_many(wait)),
            }
            stream.verification_at = Some(now.as_secs());
            stream.verification = Some(set.id.clone());
            Ok(())
        };
        self.change(client, &request.stream_id, now, change).await?;
        self.enqueue(&request.stream_id, set.clone(), Place::Back, now)
            .await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    /// Sends a verification event that nobody asked for, without a state, to see whether the stream works.
    ///
    /// # Errors
    ///
    /// [`Error::NoStream`], also for a stream that is not enabled; [`Error::Store`], [`Error::Queue`],
    /// [`Error::Set`].
    pub async fn verify(&self, stream_id: &str, now: UnixTime) -> Result<(), Error> {
        let stream = self.store.read(stream_id).await?;
        let stream = stream.filter(|stream| stream.status == StreamStatus::Enabled);
        let stream = stream.ok_or(Error::NoStream)?;
        let set = self.control(&stream, Verification::new(None), now)?;
        self.modify(stream_id, |stream| {
            stream.verification = Some(set.id.clone());
            true
        })
        .await?;
        self.enqueue(stream_id, set.clone(), Place::Back, now)
            .await
            .map(|_| ())
    }

    /// Changes the status of a stream on the transmitter's own account, and tells the receiver: with a `stream-updated` behind
    /// what waits when the stream stops, before what was held when it goes on. Nothing happens when it has the status.
    ///
    /// # Errors
    ///
    /// [`Error::NoStream`], [`Error::Store`], [`Error::Queue`], [`Error::Set`].
    pub async fn set_status(
        &self,
        stream_id: &str,
        status: StreamStatus,
        reason: Option<&str>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let stream = self.store.read(stream_id).await?.ok_or(Error::NoStream)?;
        if stream.status == status {
            return Ok(());
        }
        let reason = reason.map(str::to_owned);
        let event = StreamUpdated::new(status, reason.clone());
        let set = self.control(&stream, event, now)?;
        let place = match status {
            StreamStatus::Enabled => Place::Front,
            // What was held is not sent any more.
            StreamStatus::Disabled if stream.status == StreamStatus::Paused => {
                self.queue.trim(stream_id, None, usize::MAX).await?;
                Place::Back
            }
            _ => Place::Back,
        };
        // First the event: a stream that stopped without a word would look like one on which nothing happens.
        let sequence = self.enqueue(stream_id, set, place, now).await?;
        self.modify(stream_id, |stream| {
            if stream.status == status {
                return false;
            }
            stream.status = status;
            stream.reason.clone_from(&reason);
            stream.last = (status != StreamStatus::Enabled).then_some(sequence);
            if status == StreamStatus::Enabled {
                stream.dropped = 0;
            }
            true
        })
        .await?;
        self.wake(stream_id);
        Ok(())
    }

    /// A SET about the stream itself.
    pub(super) fn control(
        &self,
        stream: &StreamRecord,
        event: impl Into<Event>,
        now: UnixTime,
    ) -> Result<QueuedSet, ssf_set::Error> {
        let subject = SubjectIdentifier::opaque(&stream.configuration.stream_id)?;
        let mut request = None;
        let event = event.into();
        for aud in &stream.configuration.aud {
            request = Some(match request {
                None => SetRequest::new(aud.as_str(), subject.clone(), event.clone()),
                Some(request) => SetRequest::with_audience(request, aud.as_str()),
            });
        }
        // A stream without an audience is not made.
        let request = request.unwrap_or_else(|| SetRequest::new("", subject, event));
        let set = self.issuer.issue(&request, now)?;
        Ok(QueuedSet::from(set).into_control())
    }

    pub(super) async fn enqueue(
        &self,
        stream_id: &str,
        set: QueuedSet,
        place: Place,
        now: UnixTime,
    ) -> Result<Sequence, Error> {
        let sequence = self.queue.push(stream_id, set, place, now).await?;
        self.wake(stream_id);
        Ok(sequence)
    }

    /// Changes a stream, unless `change` says that there is nothing to change.
    pub(super) async fn modify(
        &self,
        stream_id: &str,
        mut change: impl FnMut(&mut StreamRecord) -> bool,
    ) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let current = self.store.read(stream_id).await?.ok_or(Error::NoStream)?;
            let mut changed = StreamRecord::clone(&current);
            if !change(&mut changed) {
                return Ok(());
            }
            match self.store.replace(changed).await {
                Err(StoreError::Conflict) => {}
                result => return Ok(result?),
            }
        }
        Err(Error::Store(StoreError::Conflict))
    }
}

fn status_response(stream: &StreamRecord) -> http::Response<Vec<u8>> {
    let document = StreamStatusDocument::new(
        &stream.configuration.stream_id,
        stream.status,
        stream.reason.clone(),
    );
    json_response(StatusCode::OK, document.to_json())
}
