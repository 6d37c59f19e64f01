//! The loop of a receiver that polls, without its I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Response, StatusCode};
use pki_types::UnixTime;

use crate::error::{Error, is_media_type};
use crate::poll::{MAX_IDS, PollRequest, PollResponse, SetErrorReport};
use crate::transmitter::Backoff;

/// A response that comes sooner than this has not waited, in seconds.
const AT_ONCE: u64 = 1;

/// What a poller does next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollerStep {
    /// Send this, and tell [`Poller::answered`] the response or [`Poller::failed`] that there was none.
    Poll(PollRequest),
    /// Wait.
    WaitUntil(UnixTime),
}

/// The loop of a receiver that polls: what is acknowledged goes out with the next poll, nothing is acknowledged that was not
/// [stored](Poller::stored), and a transmitter that answers at once with nothing, or with nothing new, is asked less and less often.
#[derive(Debug)]
pub struct Poller {
    ack: Vec<String>,
    set_errs: BTreeMap<String, SetErrorReport>,
    max_events: u64,
    short: bool,
    backoff: Backoff,
    /// Rounds in a row that brought nothing new without waiting.
    idle: u32,
    not_before: u64,
    sent: Option<(u64, Vec<String>, Vec<String>)>,
    /// Whether a round is over that was not judged yet.
    over: bool,
    progress: bool,
    waited: bool,
    failing: bool,
    /// Whether this rest had its report: a transmitter that answers it with more SETs gets no other.
    reported: bool,
}

impl Default for Poller {
    fn default() -> Self {
        Self::new()
    }
}

impl Poller {
    /// Long polls of at most 100 SETs.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ack: Vec::new(),
            set_errs: BTreeMap::new(),
            max_events: 100,
            short: false,
            backoff: Backoff::default(),
            idle: 0,
            not_before: 0,
            sent: None,
            over: false,
            progress: false,
            waited: false,
            failing: false,
            reported: false,
        }
    }

    /// Asks for answers at once, so that the receiver decides when it polls.
    #[must_use]
    pub fn with_short_polls(mut self) -> Self {
        self.short = true;
        self
    }

    /// Sets the most SETs in one response, 1 to 256.
    #[must_use]
    pub fn with_max_events(mut self, max_events: u64) -> Self {
        let most = u64::try_from(MAX_IDS).unwrap_or(u64::MAX);
        self.max_events = max_events.clamp(1, most);
        self
    }

    /// Sets the times between polls that bring nothing.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// What to do next. `random` is for the jitter.
    pub fn next(&mut self, random: u64, now: UnixTime) -> PollerStep {
        self.judge(random, now);
        let resting = self.not_before > now.as_secs();
        let reports = self.reports();
        // What was stored is acknowledged promptly, except to a transmitter that does not answer.
        let nothing = reports.ack.is_empty() && reports.set_errs.is_empty();
        if resting && (self.failing || self.reported || nothing) {
            let until = Duration::from_secs(self.not_before);
            return PollerStep::WaitUntil(UnixTime::since_unix_epoch(until));
        }
        let request = if resting {
            PollRequest::acknowledge(reports.ack, reports.set_errs)
        } else {
            PollRequest {
                max_events: Some(self.max_events),
                return_immediately: self.short,
                ..reports
            }
        };
        self.note(&request, now);
        self.over = !resting;
        self.reported = resting;
        self.waited = false;
        self.progress = false;
        PollerStep::Poll(request)
    }

    /// The last request, if there is still something to acknowledge: for a receiver that stops.
    pub fn last(&mut self, now: UnixTime) -> Option<PollRequest> {
        let reports = self.reports();
        if reports.ack.is_empty() && reports.set_errs.is_empty() {
            return None;
        }
        let request = PollRequest::acknowledge(reports.ack, reports.set_errs);
        self.note(&request, now);
        Some(request)
    }

    /// Reads a response. What it acknowledged or reported is done then. Verify the SETs with
    /// [`StreamReceiver::verify`](super::StreamReceiver::verify), store them, and tell with
    /// [`stored`](Self::stored) and [`refused`](Self::refused).
    ///
    /// # Errors
    ///
    /// [`Error::Status`] by the status alone, [`Error::ContentType`], [`Error::Json`], [`Error::Member`]. The
    /// poller then waits longer, and acknowledges again.
    pub fn answered(
        &mut self,
        response: &Response<Vec<u8>>,
        now: UnixTime,
    ) -> Result<PollResponse, Error> {
        let what = "poll response";
        let parsed = if response.status() != StatusCode::OK {
            Err(Error::Status {
                what,
                status: response.status().as_u16(),
            })
        } else if !is_media_type(response.headers(), "application/json") {
            Err(Error::ContentType { what })
        } else {
            PollResponse::parse(response.body())
        };
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                self.failed();
                return Err(error);
            }
        };
        if let Some((at, acked, reported)) = self.sent.take() {
            self.ack.retain(|id| !acked.contains(id));
            self.set_errs.retain(|id, _| !reported.contains(id));
            self.waited = now.as_secs().saturating_sub(at) > AT_ONCE;
        }
        self.failing = false;
        Ok(parsed)
    }

    /// There was no answer, or none of this protocol. What was to be acknowledged is acknowledged again.
    pub fn failed(&mut self) {
        self.sent = None;
        self.over = true;
        self.failing = true;
    }

    /// A SET is stored, and the receiver's duty from now on: acknowledge it. `new`: it was not taken before.
    pub fn stored(&mut self, id: &str, new: bool) {
        self.progress |= new;
        if !self.ack.iter().any(|own| own == id) {
            self.ack.push(id.to_owned());
        }
    }

    /// A SET is refused: report it.
    pub fn refused(&mut self, id: &str, report: SetErrorReport) {
        self.set_errs.insert(id.to_owned(), report);
    }

    fn reports(&self) -> PollRequest {
        PollRequest {
            ack: self.ack.iter().take(MAX_IDS).cloned().collect(),
            set_errs: self
                .set_errs
                .iter()
                .take(MAX_IDS)
                .map(|(id, report)| (id.clone(), report.clone()))
                .collect(),
            ..PollRequest::default()
        }
    }

    fn note(&mut self, request: &PollRequest, now: UnixTime) {
        let reported = request.set_errs.keys().cloned().collect();
        self.sent = Some((now.as_secs(), request.ack.clone(), reported));
    }

    /// Rests after a round that brought nothing new although it did not wait.
    fn judge(&mut self, random: u64, now: UnixTime) {
        if !core::mem::take(&mut self.over) {
            return;
        }
        if !self.failing && (self.progress || self.waited) {
            self.idle = 0;
        } else {
            self.idle = self.idle.saturating_add(1);
            let pause = self.backoff.after(self.idle, random, None);
            self.not_before = now.as_secs().saturating_add(pause.as_secs());
        }
    }
}
