//! Delivery by push, and the set-up of a stream.

use std::sync::Arc;
use std::time::Duration;

use jose_x509::{CryptoProvider, Signer};
use pki_types::UnixTime;

use crate::client::Client;
use crate::error::Error;
use crate::push::parse_response;
use crate::queue::{Fence, QueueError};
use crate::receiver::{Created, Management, Updated};
use crate::stream::{ConfigurationRequest, StreamConfiguration};
use crate::transmitter::{Backoff, PushResult, PushStep, Transmitter};

/// How long a claim holds by default. A SET takes no longer than the client's time for a request.
const HOLD: Duration = Duration::from_secs(120);

/// Pushes the SETs of one stream, alone by its claim.
#[derive(Debug)]
pub struct Pusher<S> {
    transmitter: Arc<Transmitter<S>>,
    client: Client,
    stream_id: String,
    fence: Fence,
    hold: Duration,
    backoff: Backoff,
    provider: CryptoProvider,
}

impl<S: Signer> Pusher<S> {
    /// Claims a stream, for two minutes at a time.
    ///
    /// # Errors
    ///
    /// [`Error::Queue`] with [`Claimed`](QueueError::Claimed) while another pusher has it: try again in a minute.
    pub async fn claim(
        transmitter: Arc<Transmitter<S>>,
        client: Client,
        stream_id: &str,
        provider: CryptoProvider,
        now: UnixTime,
    ) -> Result<Self, Error> {
        Self::claim_for(HOLD, transmitter, client, stream_id, provider, now).await
    }

    /// Claims a stream, for `hold` at a time: at least three times as long as the client takes for a request. A claim outlives a crash,
    /// so this is also how long deliveries rest after one.
    ///
    /// # Errors
    ///
    /// As [`claim`](Self::claim).
    pub async fn claim_for(
        hold: Duration,
        transmitter: Arc<Transmitter<S>>,
        client: Client,
        stream_id: &str,
        provider: CryptoProvider,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let fence = transmitter.queue().claim(stream_id, hold, now).await?;
        Ok(Self {
            transmitter,
            client,
            stream_id: stream_id.to_owned(),
            fence,
            hold,
            backoff: Backoff::default(),
            provider,
        })
    }

    /// Sets the times between attempts.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sends what may be sent now, in order, and tells when to come back: at that time, or with `None` when there is something
    /// new. Come back within half of the claim's time in any case, to keep the claim.
    ///
    /// # Errors
    ///
    /// [`Error::NoStream`] when the stream is gone or is polled; [`Error::Queue`] with
    /// [`Fenced`](QueueError::Fenced) when another pusher has the stream: stop. [`Error::Store`]: come back later.
    pub async fn run(&self, clock: fn() -> UnixTime) -> Result<Option<UnixTime>, Error> {
        // Each renewal costs a durable queue a sync.
        let quarter = self.hold.as_secs().div_ceil(4);
        let mut renew_at = 0;
        loop {
            let now = clock();
            if now.as_secs() >= renew_at {
                let queue = self.transmitter.queue();
                queue
                    .renew(&self.stream_id, self.fence, self.hold, now)
                    .await?;
                renew_at = now.as_secs().saturating_add(quarter);
            }
            let step = self
                .transmitter
                .next_push(&self.stream_id, self.fence, now)
                .await?;
            let (id, attempts, request) = match step {
                PushStep::Send {
                    id,
                    attempts,
                    request,
                } => (id, attempts, request),
                PushStep::WaitUntil(until) => return Ok(Some(until)),
                PushStep::Idle => return Ok(None),
                PushStep::Stop => return Err(Error::NoStream),
            };
            let result = match self.client.send(request).await {
                Ok(response) => PushResult::Answered(parse_response(
                    response.status(),
                    response.headers(),
                    response.body(),
                )),
                Err(_) => PushResult::NoAnswer,
            };
            let random = self.provider.random::<8>().map_or(0, u64::from_be_bytes);
            self.transmitter
                .pushed(
                    &self.stream_id,
                    self.fence,
                    &id,
                    attempts,
                    &result,
                    self.backoff,
                    random,
                    clock(),
                )
                .await?;
        }
    }

    /// Gives the claim back.
    ///
    /// # Errors
    ///
    /// [`Error::Queue`].
    pub async fn release(self, now: UnixTime) -> Result<(), Error> {
        let queue = self.transmitter.queue();
        let released = queue
            .renew(&self.stream_id, self.fence, Duration::ZERO, now)
            .await;
        match released {
            Err(QueueError::Fenced) => Ok(()),
            released => Ok(released?),
        }
    }
}

/// Makes a stream as wanted, or updates the one that there is where there cannot be several.
///
/// # Errors
///
/// What [`Client::send`] and [`Management`] refuse; [`Error::NoStream`] when there is one and it cannot be found;
/// [`Error::Status`] with 202 when the update is accepted and not done.
pub async fn ensure_stream(
    client: &Client,
    management: &Management,
    wanted: &ConfigurationRequest,
) -> Result<StreamConfiguration, Error> {
    let response = client.send(management.create(wanted)?).await?;
    if let Created::New(stream) = management.created(&response)? {
        return Ok(stream);
    }
    let response = client.send(management.list()?).await?;
    let existing = management.listed(&response)?.into_iter().flatten().next();
    let existing = existing.ok_or(Error::NoStream)?;
    let update = management.update(&existing.stream_id, wanted)?;
    let response = client.send(update).await?;
    match management.updated(&existing.stream_id, &response)? {
        Updated::Done(stream) => Ok(stream),
        Updated::Pending => Err(Error::Status {
            what: "stream configuration",
            status: 202,
        }),
    }
}
