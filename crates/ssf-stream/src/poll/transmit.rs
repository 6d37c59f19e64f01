//! The transmitter's side: the server of this protocol.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode, request};
use pki_types::UnixTime;

use crate::error::{Error, is_media_type};
use crate::poll::{PollRequest, PollResponse};
use crate::queue::{BatchLimit, Consumer, EventQueue, Gate};

/// Answers polls out of an event queue.
///
/// The caller has found the stream by the receiver's credentials: a stream of somebody else is
/// answered with 404, like one that does not exist.
#[derive(Clone, Copy, Debug)]
pub struct PollTransmitter {
    limit: BatchLimit,
    consumer: Consumer,
}

/// What to do with a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Answer now.
    Respond(PollResponse),
    /// Nothing waits and the receiver asked for a long poll: call again when a SET was pushed, and
    /// answer with the empty [`PollResponse`] after the timeout (30 seconds are usual), or when the
    /// stream stops.
    Wait,
}

impl Default for PollTransmitter {
    fn default() -> Self {
        Self {
            limit: BatchLimit {
                sets: 100,
                bytes: 512 * 1024,
            },
            consumer: Consumer::Shared,
        }
    }
}

impl PollTransmitter {
    /// At most 100 SETs and 512 KiB in one response.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lowers what is sent in one response.
    #[must_use]
    pub fn with_limit(mut self, limit: BatchLimit) -> Self {
        self.limit = BatchLimit {
            sets: limit.sets.clamp(1, self.limit.sets),
            bytes: limit.bytes.min(self.limit.bytes),
        };
        self
    }

    /// Hands out nothing while SETs of an earlier poll are neither acknowledged nor reported nor due again: an event overtakes no other,
    /// also when an answer is lost.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.consumer = Consumer::InOrder;
        self
    }

    /// Reads a poll.
    ///
    /// # Errors
    ///
    /// [`Error`], to be answered with [`bad_request`].
    pub fn read(&self, parts: &request::Parts, body: &[u8]) -> Result<PollRequest, Error> {
        if !is_media_type(&parts.headers, "application/json") {
            return Err(Error::ContentType {
                what: "poll request",
            });
        }
        PollRequest::parse(body)
    }

    /// Applies acknowledgements and reports, then takes what the receiver may have. Calling it again
    /// with the same request, after [`Step::Wait`], is harmless.
    ///
    /// # Errors
    ///
    /// [`Error::Queue`], to be answered with 503.
    pub async fn step(
        &self,
        queue: &(impl EventQueue + ?Sized),
        stream: &str,
        gate: Gate,
        request: &PollRequest,
        now: UnixTime,
    ) -> Result<Step, Error> {
        // A SET that is acknowledged and reported at once is reported.
        for (id, report) in &request.set_errs {
            queue.fail(stream, self.consumer, id, &report.code).await?;
        }
        if !request.ack.is_empty() {
            queue.finish(stream, self.consumer, &request.ack).await?;
        }
        let wanted = request.max_events.map_or(self.limit.sets, |max| {
            usize::try_from(max).unwrap_or(usize::MAX)
        });
        let response = if wanted == 0 {
            PollResponse::new(Vec::new(), queue.passable(stream, gate).await? > 0)
        } else {
            let limit = BatchLimit {
                sets: wanted.min(self.limit.sets),
                ..self.limit
            };
            let batch = queue.lease(stream, self.consumer, gate, limit, now).await?;
            let sets = batch.sets.into_iter().map(|set| (set.id, set.compact));
            PollResponse::new(sets.collect(), batch.more)
        };
        let nothing = response.unverified_sets.is_empty() && !response.more_available;
        if nothing && !request.return_immediately {
            Ok(Step::Wait)
        } else {
            Ok(Step::Respond(response))
        }
    }
}

/// 200 with the response.
#[must_use]
pub fn response(poll: &PollResponse) -> Response<Vec<u8>> {
    let mut response = Response::new(poll.to_json());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 400 without a body, for every request that cannot be read.
#[must_use]
pub fn bad_request() -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
