//! Pushes: what to send next, and what to do about the answer.

use std::time::Duration;

use http::Request;
use jose_x509::Signer;
use pki_types::UnixTime;
use ssf_set::SetErrorCode;

use crate::error::Error;
use crate::push::{self, Next, Outcome};
use crate::queue::{BatchLimit, Consumer, Fence};
use crate::stream::Delivery;
use crate::transmitter::{Transmitter, VERIFICATION_FAILED};

/// How long to wait between two attempts: it doubles, with jitter, up to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: u64,
    limit: u64,
}

impl Default for Backoff {
    /// From one second to five minutes.
    fn default() -> Self {
        Self {
            first: 1,
            limit: 300,
        }
    }
}

impl Backoff {
    /// From `first` (at least a second) to `limit`.
    #[must_use]
    pub fn new(first: Duration, limit: Duration) -> Self {
        let first = first.as_secs().max(1);
        Self {
            first,
            limit: limit.as_secs().max(first),
        }
    }

    /// The time before the attempt after `attempts` ones, with `random` bits for the jitter: between half of the doubled time and
    /// the whole, and at least what the peer asked for.
    #[must_use]
    pub fn after(&self, attempts: u32, random: u64, retry_after: Option<Duration>) -> Duration {
        let factor = 1_u64
            .checked_shl(attempts.saturating_sub(1))
            .unwrap_or(u64::MAX);
        let whole = self.first.saturating_mul(factor).min(self.limit);
        let half = whole.div_ceil(2);
        let span = whole.saturating_sub(half).saturating_add(1);
        let jitter = random.checked_rem(span).unwrap_or(0);
        // A peer that asks for a year would silence its own stream.
        const LONGEST: u64 = 3600;
        let asked = retry_after.map_or(0, |wait| wait.as_secs().min(LONGEST));
        Duration::from_secs(half.saturating_add(jitter).max(asked))
    }
}

/// What a pusher does next.
#[derive(Debug)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
pub enum PushStep {
    /// Send this, without following redirects and only to addresses that the policy allows, and tell
    /// [`Transmitter::pushed`] the result.
    Send {
        /// `jti` of the SET.
        id: String,
        /// How often it was sent, this time included.
        attempts: u32,
        /// The request.
        request: Request<Vec<u8>>,
    },
    /// Wait until then, or for something new.
    WaitUntil(UnixTime),
    /// Wait for something new.
    Idle,
    /// The stream is gone, or is polled now: stop.
    Stop,
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushResult {
    /// The receiver answered.
    Answered(Outcome),
    /// There was no answer: no connection, no valid certificate, or a timeout.
    NoAnswer,
}

impl<S: Signer> Transmitter<S> {
    /// What the one consumer of a stream sends next. It has claimed the stream with
    /// [`EventQueue::claim`](crate::queue::EventQueue::claim), and renews the claim while it works.
    ///
    /// # Errors
    ///
    /// [`Error::Queue`] with [`Fenced`](crate::queue::QueueError::Fenced) when another consumer has claimed the stream: stop.
    /// [`Error::Store`]: try again.
    pub async fn next_push(
        &self,
        stream_id: &str,
        fence: Fence,
        now: UnixTime,
    ) -> Result<PushStep, Error> {
        let Some(stream) = self.store.read(stream_id).await? else {
            return Ok(PushStep::Stop);
        };
        let Delivery::Push {
            endpoint_url,
            authorization_header,
        } = &stream.configuration.delivery
        else {
            return Ok(PushStep::Stop);
        };
        let one = BatchLimit {
            sets: 1,
            bytes: usize::MAX,
        };
        let consumer = Consumer::Exclusive(fence);
        let gate = self.gate(&stream);
        let batch = self
            .queue
            .lease(stream_id, consumer, gate, one, now)
            .await?;
        let Some(set) = batch.sets.into_iter().next() else {
            return Ok(batch.not_before.map_or(PushStep::Idle, PushStep::WaitUntil));
        };
        let authorization = authorization_header.as_ref().map(|header| header.expose());
        let request = push::request(&set.compact, endpoint_url, authorization)?;
        Ok(PushStep::Send {
            id: set.id,
            attempts: batch.deliveries,
            request,
        })
    }

    /// Does what the result of a push demands: the SET is finished, tried again later, or kept aside for the operator.
    ///
    /// What may be the credentials' or the keys' fault is tried twice. What fails for want of an answer is tried for as long as the SET is
    /// kept, and holds up those behind it. `random` is for the jitter.
    ///
    /// # Errors
    ///
    /// As [`next_push`](Self::next_push).
    #[expect(clippy::too_many_arguments, reason = "each is another kind of thing")]
    pub async fn pushed(
        &self,
        stream_id: &str,
        fence: Fence,
        id: &str,
        attempts: u32,
        result: &PushResult,
        backoff: Backoff,
        random: u64,
        now: UnixTime,
    ) -> Result<(), Error> {
        let consumer = Consumer::Exclusive(fence);
        let (next, retry_after) = match result {
            PushResult::NoAnswer => (Next::Retry, None),
            PushResult::Answered(outcome) => match outcome {
                Outcome::Unavailable { retry_after } => (outcome.next(), *retry_after),
                _ => (outcome.next(), None),
            },
        };
        let once_more = matches!(next, Next::RenewCredentials | Next::CheckKeys) && attempts < 2;
        match next {
            Next::Done => {
                self.queue
                    .finish(stream_id, consumer, &[id.to_owned()])
                    .await?;
                let verified = self.modify(stream_id, |stream| {
                    let own = stream.verification.as_deref() == Some(id);
                    if own {
                        stream.verification = None;
                        stream.verified = true;
                    }
                    own
                });
                verified.await
            }
            _ if next == Next::Retry || once_more => {
                let wait = backoff.after(attempts, random, retry_after);
                let at = now.as_secs().saturating_add(wait.as_secs());
                let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
                Ok(self.queue.put_off(stream_id, consumer, id, at).await?)
            }
            _ => {
                let code = match result {
                    PushResult::Answered(Outcome::Refused { code, .. }) => code.clone(),
                    PushResult::Answered(Outcome::Unauthorized) => {
                        SetErrorCode::AuthenticationFailed
                    }
                    _ => SetErrorCode::Other("misconfigured".to_owned()),
                };
                self.queue.fail(stream_id, consumer, id, &code).await?;
                self.verification_failed(stream_id, id, now).await
            }
        }
    }

    /// Asks the policy what becomes of a stream, if the SET that was refused is its verification event.
    pub(super) async fn verification_failed(
        &self,
        stream_id: &str,
        id: &str,
        now: UnixTime,
    ) -> Result<(), Error> {
        let stream = self.store.read(stream_id).await?.ok_or(Error::NoStream)?;
        if stream.verification.as_deref() != Some(id) {
            return Ok(());
        }
        self.modify(stream_id, |stream| {
            stream.verification = None;
            true
        })
        .await?;
        match self.policy.verification_failed(&stream) {
            Some(status) => {
                self.set_status(stream_id, status, Some(VERIFICATION_FAILED), now)
                    .await
            }
            None => Ok(()),
        }
    }
}
