//! Polls of streams.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::{Response, StatusCode, request};
use jose_x509::Signer;
use pki_types::UnixTime;
use ssf_set::ssf::StreamStatus;

use crate::poll::{self, PollRequest, PollResponse, Step};
use crate::queue::Gate;
use crate::stream::Delivery;
use crate::transmitter::answer::{Refusal, json_response};
use crate::transmitter::api::{Reply, Waiting};
use crate::transmitter::{Client, StreamRecord, Transmitter};

/// The most polls of one stream that wait at once. A further one ends the oldest.
const LONG_POLLS: usize = 2;

/// The polls that wait, by stream.
#[derive(Debug, Default)]
pub(super) struct LongPolls(Mutex<HashMap<String, VecDeque<Weak<()>>>>);

/// A poll that waits, for as long as it is kept and nobody takes its place.
#[derive(Debug)]
pub(super) struct Ticket(Arc<()>);

impl LongPolls {
    fn begin(&self, stream_id: &str) -> Ticket {
        let ticket = Ticket(Arc::new(()));
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, polls| {
            polls.retain(|poll| poll.strong_count() > 0);
            !polls.is_empty()
        });
        let polls = waiting.entry(stream_id.to_owned()).or_default();
        polls.push_back(Arc::downgrade(&ticket.0));
        if polls.len() > LONG_POLLS {
            polls.pop_front();
        }
        ticket
    }

    fn holds(&self, stream_id: &str, ticket: &Ticket) -> bool {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = Arc::as_ptr(&ticket.0);
        let mut polls = waiting.get(stream_id).into_iter().flatten();
        polls.any(|poll| std::ptr::eq(poll.as_ptr(), own))
    }
}

impl<S: Signer> Transmitter<S> {
    pub(super) async fn start_poll(
        &self,
        client: &Client,
        stream_id: &str,
        parts: &request::Parts,
        body: &[u8],
        now: UnixTime,
    ) -> Result<Reply, Refusal> {
        let hidden = |refusal| match self.settings.uniform_400 {
            true => Refusal::bad("there is nothing to poll here"),
            false => refusal,
        };
        let stream = self.own(client, stream_id).await.map_err(hidden)?;
        if !matches!(stream.configuration.delivery, Delivery::Poll { .. }) {
            return Err(hidden(Refusal::not_found()));
        }
        let request = self.poll.read(parts, body)?;
        let acknowledged = stream
            .verification
            .as_ref()
            .filter(|id| request.ack.contains(id))
            .cloned();
        let change = |stream: &mut StreamRecord| {
            if acknowledged.is_some() && stream.verification == acknowledged {
                stream.verification = None;
                stream.verified = true;
            }
            Ok(())
        };
        let ((), stream) = self.change(client, stream_id, now, change).await?;
        let refused = stream.verification.clone();
        if let Some(id) = refused.filter(|id| request.set_errs.contains_key(id)) {
            self.verification_failed(stream_id, &id, now).await?;
        }
        let wait = Duration::from_secs(now.as_secs().saturating_add(self.settings.long_poll));
        match self.poll_once(&stream, &request, now).await? {
            Some(response) => Ok(Reply::Respond(response)),
            None => Ok(Reply::Wait(Waiting {
                ticket: self.polls.begin(stream_id),
                stream_id: stream_id.to_owned(),
                request: PollRequest {
                    ack: Vec::new(),
                    set_errs: Default::default(),
                    ..request
                },
                until: UnixTime::since_unix_epoch(wait),
            })),
        }
    }

    /// Tries a long poll again: `None` when it still has to wait. It ends with SETs, without any at its time, when the stream is
    /// stopped, and when newer polls take its place.
    pub async fn resume(&self, waiting: &Waiting, now: UnixTime) -> Option<Response<Vec<u8>>> {
        let stream_id = &waiting.stream_id;
        let nothing = || poll_response(&PollResponse::default());
        if !self.polls.holds(stream_id, &waiting.ticket) {
            return Some(nothing());
        }
        let stream = match self.store.read(stream_id).await {
            Ok(Some(stream)) => stream,
            Ok(None) => return Some(Refusal::not_found().response()),
            Err(error) => return Some(Refusal::from(error).response()),
        };
        match self.poll_once(&stream, &waiting.request, now).await {
            Ok(None) if now >= waiting.until => Some(nothing()),
            Ok(response) => response,
            Err(refusal) => Some(refusal.response()),
        }
    }

    async fn poll_once(
        &self,
        stream: &StreamRecord,
        request: &PollRequest,
        now: UnixTime,
    ) -> Result<Option<Response<Vec<u8>>>, Refusal> {
        let gate = self.gate(stream);
        let stream_id = &stream.configuration.stream_id;
        let queue = self.queue.as_ref();
        match self.poll.step(queue, stream_id, gate, request, now).await? {
            Step::Respond(response) => Ok(Some(poll_response(&response))),
            Step::Wait if stream.status == StreamStatus::Enabled => Ok(None),
            // Nothing will come.
            Step::Wait => Ok(Some(poll_response(&PollResponse::default()))),
        }
    }

    /// What may go out, also before the endpoint was verified.
    pub(super) fn gate(&self, stream: &StreamRecord) -> Gate {
        match stream.gate() {
            Gate::Open if self.settings.verified_first && !stream.verified => Gate::Closed,
            gate => gate,
        }
    }
}

fn poll_response(response: &PollResponse) -> Response<Vec<u8>> {
    json_response(StatusCode::OK, poll::response(response).into_body())
}
