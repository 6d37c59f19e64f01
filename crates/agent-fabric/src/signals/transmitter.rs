//! The transmitter: streams that workloads manage themselves, by mutual TLS, and their delivery.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use jose_x509::{CryptoProvider, SigningKey};
use pki_types::{CertificateDer, UnixTime};
use serde_json::json;
use ssf_set::caep::{RiskLevelChange, SessionRevoked};
use ssf_set::{SetIssuer, SetRequest, SignedSet};
use ssf_stream::client::{Client as PushClient, Pusher};
use ssf_stream::push;
use ssf_stream::queue::{MemoryEventQueue, QueueError};
use ssf_stream::receiver::{Created, Credentials, Management, discovery};
use ssf_stream::stream::{ConfigurationRequest, StreamConfiguration};
use ssf_stream::transmitter::{
    Emitted, MemoryStreamStore, Occurrence, PeerName, Peers, RemovalLog, RemovalOutcome, Reply,
    Settings, Storing, SubjectRemoval, Transmitter as Streams, Waiting,
};
use svid::x509::spiffe_id_of;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::SignalsError;
use crate::audit::{AuditLog, Decision, Event};
use crate::net::{self, Answer, Client, Handler};

/// SETs that wait in one stream.
const QUEUE: usize = 10_000;
/// Streams of one workload: one that is pushed and one that is polled.
const STREAMS: usize = 2;
/// How long events about a subject go on after its removal: who takes a workload over cannot hide by it what happens next.
const GRACE: Duration = Duration::from_secs(3600);
/// Shorter than the time that a client of [`net`] has.
const LONG_POLL: Duration = Duration::from_secs(5);
/// After so long a pusher looks again by itself, well within the time of its claim.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How long a pusher rests when the store fails.
const REST: Duration = Duration::from_secs(1);

/// A transmitter: it signs events, and delivers each to the streams that should have it.
pub struct Transmitter {
    issuer: SetIssuer<SigningKey>,
    provider: CryptoProvider,
    streams: Arc<Streams<SigningKey>>,
    news: Arc<Notify>,
}

impl Transmitter {
    /// A transmitter with its issuer URL. `receivers` are those that may have streams, by their SPIFFE IDs; who removes
    /// which subject is written into `audit`.
    ///
    /// # Errors
    ///
    /// [`SignalsError::Set`], [`SignalsError::Stream`].
    pub fn new(
        issuer: &str,
        key: SigningKey,
        receivers: Peers,
        audit: Arc<AuditLog>,
        provider: CryptoProvider,
    ) -> Result<Self, SignalsError> {
        let events = [RiskLevelChange::URI, SessionRevoked::URI];
        let (base, keys) = (format!("{issuer}/ssf"), format!("{issuer}/jwks.json"));
        let settings = Settings::new(issuer, &base, &keys, events)?
            .with_jwks(&json!({"keys": [key.public_jwk()]}))
            .with_authorization_schemes(["urn:ietf:rfc:8705"])
            .with_streams_per_receiver(STREAMS)
            .with_removal_grace(GRACE)
            .with_long_poll(LONG_POLL);
        let news = Arc::new(Notify::new());
        let wake = Arc::clone(&news);
        let streams = Streams::new(
            SetIssuer::new(key.clone(), provider, issuer)?,
            provider,
            settings,
            Arc::new(MemoryStreamStore::new()),
            Arc::new(MemoryEventQueue::new(QUEUE)),
            Arc::new(receivers),
        )?
        .with_removal_log(audit)
        .with_wake(Box::new(move |_| wake.notify_waiters()));
        Ok(Self {
            issuer: SetIssuer::new(key, provider, issuer)?,
            provider,
            streams: Arc::new(streams),
            news,
        })
    }

    /// Sends an event into every stream that should have it.
    ///
    /// # Errors
    ///
    /// [`SignalsError::Stream`].
    pub async fn emit(
        &self,
        occurrence: &Occurrence,
        now: UnixTime,
    ) -> Result<Emitted, SignalsError> {
        Ok(self.streams.emit(occurrence, now).await?)
    }

    /// How many SETs of a stream its receiver does not have yet.
    ///
    /// # Errors
    ///
    /// [`SignalsError::Queue`].
    pub async fn pending(&self, stream_id: &str) -> Result<usize, SignalsError> {
        Ok(self.streams.queue().pending(stream_id).await?)
    }

    /// Pushes what comes into a stream, from now on.
    ///
    /// # Errors
    ///
    /// [`SignalsError::Stream`] while somebody else pushes it.
    pub async fn push(&self, stream_id: &str, client: PushClient) -> Result<Pushing, SignalsError> {
        let streams = Arc::clone(&self.streams);
        let now = net::now();
        let pusher = Pusher::claim(streams, client, stream_id, self.provider, now).await?;
        let news = Arc::clone(&self.news);
        Ok(Pushing(tokio::spawn(async move {
            loop {
                // Registered before looking, so that nothing is missed in between.
                let mut new = std::pin::pin!(news.notified());
                new.as_mut().enable();
                let wait = match pusher.run(net::now).await {
                    Ok(None) => LOOK_AGAIN,
                    Ok(Some(until)) => {
                        let now = net::now().as_secs();
                        Duration::from_secs(until.as_secs().saturating_sub(now)).min(LOOK_AGAIN)
                    }
                    Err(
                        ssf_stream::Error::NoStream | ssf_stream::Error::Queue(QueueError::Fenced),
                    ) => return,
                    Err(_) => REST,
                };
                tokio::select! {
                    () = new => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        })))
    }

    /// Signs an event that goes into no stream.
    ///
    /// # Errors
    ///
    /// [`SignalsError::Set`].
    pub fn sign(&self, request: &SetRequest, now: UnixTime) -> Result<SignedSet, SignalsError> {
        Ok(self.issuer.issue(request, now)?)
    }

    /// The request that pushes a SET.
    ///
    /// # Errors
    ///
    /// [`SignalsError::Stream`].
    pub fn push_request(
        &self,
        set: &SignedSet,
        endpoint: &str,
    ) -> Result<Request<Vec<u8>>, SignalsError> {
        Ok(push::request(&set.compact, endpoint, None)?)
    }

    async fn wait(&self, waiting: &Waiting) -> Response<Vec<u8>> {
        loop {
            let mut new = std::pin::pin!(self.news.notified());
            new.as_mut().enable();
            if let Some(response) = self.streams.resume(waiting, net::now()).await {
                return response;
            }
            tokio::select! {
                () = new => {}
                () = tokio::time::sleep(REST) => {}
            }
        }
    }
}

/// Pushes one stream; dropping it stops it.
#[derive(Debug)]
pub struct Pushing(JoinHandle<()>);

impl Drop for Pushing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Metadata, keys, management and polls. A workload is known by its SPIFFE ID, and has no stream but its own.
impl Handler for Transmitter {
    fn handle<'a>(
        &'a self,
        mut parts: Parts,
        body: Vec<u8>,
        peer: Vec<CertificateDer<'static>>,
    ) -> Answer<'a> {
        Box::pin(async move {
            // The TLS layer has verified the chain; here only its name is read.
            if let Some(workload) = peer.first().and_then(|leaf| spiffe_id_of(leaf).ok()) {
                parts
                    .extensions
                    .insert(PeerName(workload.as_str().to_owned()));
            }
            match self.streams.handle(&parts, &body, net::now()).await {
                Reply::Respond(response) => response,
                Reply::Wait(waiting) => self.wait(&waiting).await,
            }
        })
    }
}

/// Who removed which subject, and what became of it, as `subject.remove` of `signals`.
impl RemovalLog for AuditLog {
    fn record<'a>(&'a self, removal: &'a SubjectRemoval) -> Storing<'a, ()> {
        let (decision, reason) = match removal.outcome {
            RemovalOutcome::Removed { .. } => (Decision::Allowed, "removed"),
            RemovalOutcome::AlreadyRemoved { .. } => (Decision::Noted, "already_removed"),
            RemovalOutcome::Refused => (Decision::Refused, "refused_by_policy"),
            _ => (Decision::Noted, "nothing_to_remove"),
        };
        let (stream, subject) = (&removal.stream_id, removal.subject.to_value());
        let event = Event::new("signals", "subject.remove", decision)
            .actors([&removal.caller])
            .target(json!({"stream": stream, "subject": subject}).to_string())
            .reason(reason);
        self.append(event, removal.at);
        Box::pin(core::future::ready(Ok(())))
    }
}

/// Makes a stream at a transmitter, as the workload whose SVID the client shows.
///
/// # Errors
///
/// [`SignalsError::Net`]; [`SignalsError::Stream`] when the transmitter is not what it says, or refuses.
pub async fn subscribe(
    client: &Client,
    issuer: &str,
    wanted: &ConfigurationRequest,
) -> Result<StreamConfiguration, SignalsError> {
    let response = client.send(discovery::request(issuer)?).await?;
    let metadata = discovery::parse_response(&response, issuer)?;
    let management = Management::new(metadata, Credentials::MutualTls)?;
    let response = client.send(management.create(wanted)?).await?;
    match management.created(&response)? {
        Created::New(stream) => Ok(stream),
        Created::Exists => Err(ssf_stream::Error::Status {
            what: "stream configuration",
            status: 409,
        }
        .into()),
    }
}
