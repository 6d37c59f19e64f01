//! The signals plane: a transmitter of security events, and receivers that act on them at once.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use jose_x509::{CryptoProvider, KeySet, MemoryReplayGuard, SigningKey};
use pki_types::{CertificateDer, UnixTime};
use spiffe_id::SpiffeId;
use ssf_set::caep::RiskLevel;
use ssf_set::{
    SecurityEventToken, SetIssuer, SetRequest, SetVerifier, SignedSet, Subject, SubjectIdentifier,
};
use ssf_stream::policy::{Action, ResponsePolicy, Trigger};
use ssf_stream::poll::{self, PollRequest, PollResponse, PollTransmitter, Step};
use ssf_stream::push::{self, Receipt, Transmitter as PushedBy};
use ssf_stream::queue::{EventQueue, Gate, MemoryEventQueue, Place};
use svid::x509::spiffe_id_of;

use crate::audit::{AuditLog, Decision, Event};
use crate::net::{self, Answer, Client, Handler, NetError};
use crate::registry::Registry;

/// Why signals do not flow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalsError {
    /// A SET cannot be issued or is refused.
    #[error(transparent)]
    Set(#[from] ssf_set::Error),
    /// A stream does not work.
    #[error(transparent)]
    Stream(#[from] ssf_stream::Error),
    /// The queue does not take a SET.
    #[error(transparent)]
    Queue(#[from] ssf_stream::queue::QueueError),
    /// The peer cannot be reached.
    #[error(transparent)]
    Net(#[from] NetError),
}

impl SignalsError {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Set(error) => error.code(),
            Self::Stream(error) => error.code(),
            Self::Queue(error) => error.code(),
            Self::Net(_) => "unreachable",
        }
    }
}

/// What a receiver does about which event.
#[derive(Clone, Debug)]
pub struct ResponseRules(pub ResponsePolicy);

/// High risk quarantines the one instance; a revoked session ends the user's delegations.
impl Default for ResponseRules {
    fn default() -> Self {
        Self(
            ResponsePolicy::new()
                .with_rule(
                    Trigger::RiskAtLeast(RiskLevel::High),
                    Action::QuarantineInstance,
                )
                .with_rule(Trigger::SessionRevoked, Action::Revoke),
        )
    }
}

/// Takes events for one component and acts on its registry.
#[derive(Clone)]
pub struct Receiver {
    component: String,
    verifier: SetVerifier,
    guard: Arc<MemoryReplayGuard>,
    rules: ResponseRules,
    registry: Arc<Registry>,
    audit: Arc<AuditLog>,
}

const MAX_EVENTS: usize = 100_000;

impl Receiver {
    /// A receiver for SETs of one transmitter, addressed to `audience`. `component` is its name in the log.
    ///
    /// # Errors
    ///
    /// [`SignalsError::Set`] for an empty issuer.
    pub fn new(
        component: &str,
        issuer: &str,
        keys: Arc<KeySet>,
        audience: &str,
        rules: ResponseRules,
        registry: Arc<Registry>,
        audit: Arc<AuditLog>,
    ) -> Result<Self, SignalsError> {
        Ok(Self {
            component: component.to_owned(),
            verifier: SetVerifier::ssf(issuer, keys, [audience])?,
            guard: Arc::new(MemoryReplayGuard::new(MAX_EVENTS)),
            rules,
            registry,
            audit,
        })
    }

    /// Takes a SET that was pushed (RFC 8935): it is acted upon before it is acknowledged.
    #[must_use]
    pub fn push(&self, parts: &Parts, body: &[u8], now: UnixTime) -> Response<Vec<u8>> {
        let result = push::receive(parts, body, &self.verifier, PushedBy::NotAuthenticated, now)
            .and_then(|accepted| accepted.settle(&self.verifier, &*self.guard, now));
        match result {
            Ok(receipt) => {
                match &receipt {
                    Receipt::New(set) => self.apply(set, now),
                    Receipt::Repeated(_) => {
                        self.note("signal.repeated", Decision::Noted, "replayed", None, now);
                    }
                }
                receipt.response()
            }
            Err(rejection) => {
                let code = rejection
                    .error()
                    .map_or("invalid_request", ssf_set::Error::code);
                self.note("signal.refused", Decision::Refused, code, None, now);
                rejection.response()
            }
        }
    }

    /// Polls once (RFC 8936), acts on what comes, and acknowledges it. Tells how many new events there were.
    ///
    /// # Errors
    ///
    /// [`SignalsError`].
    pub async fn poll(&self, client: &Client, endpoint: &str) -> Result<usize, SignalsError> {
        let ask = PollRequest::default().with_return_immediately();
        let response = client.send(poll::request(&ask, endpoint, None)?).await?;
        let response = PollResponse::parse(response.body())?;
        let now = net::now();
        let polled = poll::verify(&response, &self.verifier, now);
        let mut ack = Vec::new();
        let mut new = 0;
        for set in &polled.sets {
            ack.push(set.id().to_owned());
            if self.verifier.record(set, &*self.guard, now).is_ok() {
                self.apply(set, now);
                new += 1;
            }
        }
        if !ack.is_empty() || !polled.refused.is_empty() {
            let done = PollRequest::acknowledge(ack, polled.refused).with_return_immediately();
            client.send(poll::request(&done, endpoint, None)?).await?;
        }
        Ok(new)
    }

    /// Does what the rules say about a verified event.
    fn apply(&self, set: &SecurityEventToken, now: UnixTime) {
        let subject = set.subject().map(names).unwrap_or_default();
        let ssf_stream::policy::Decision::Act(actions) = self.rules.0.decide(set) else {
            self.note(
                "signal.received",
                Decision::Noted,
                "no_rule",
                subject.first(),
                now,
            );
            return;
        };
        for action in actions {
            for name in &subject {
                let (done, what) = match action {
                    Action::QuarantineInstance => (self.registry.quarantine(name), "quarantined"),
                    Action::Revoke => {
                        self.registry.revoke_user(name, now.as_secs());
                        (true, "session_revoked")
                    }
                    _ => (false, "unsupported_action"),
                };
                let decision = if done {
                    Decision::Allowed
                } else {
                    Decision::Noted
                };
                self.note("signal.applied", decision, what, Some(name), now);
            }
        }
    }

    fn note(
        &self,
        action: &str,
        decision: Decision,
        reason: &str,
        target: Option<&String>,
        now: UnixTime,
    ) {
        let mut event = Event::new(&self.component, action, decision).reason(reason);
        event.target = target.cloned();
        self.audit.append(event, now);
    }
}

/// The names that the registry knows: SPIFFE IDs and user names.
fn names(subject: &Subject) -> Vec<String> {
    let of = |identifier: &SubjectIdentifier| match identifier {
        SubjectIdentifier::Uri { uri, .. } => Some(uri.clone()),
        SubjectIdentifier::Email { email, .. } => Some(email.clone()),
        SubjectIdentifier::IssSub { sub, .. } => Some(sub.clone()),
        _ => None,
    };
    match subject {
        Subject::Complex(complex) => complex
            .members()
            .filter_map(|(_, identifier)| of(identifier))
            .collect(),
        simple => simple.as_simple().and_then(of).into_iter().collect(),
    }
}

/// A transmitter: it signs events, pushes them, and lets them be polled.
pub struct Transmitter {
    issuer: SetIssuer<SigningKey>,
    queue: MemoryEventQueue,
    poll: PollTransmitter,
}

const QUEUE: usize = 10_000;

impl Transmitter {
    /// A transmitter with its issuer URL.
    ///
    /// # Errors
    ///
    /// [`SignalsError::Set`].
    pub fn new(
        issuer: &str,
        key: SigningKey,
        provider: CryptoProvider,
    ) -> Result<Self, SignalsError> {
        Ok(Self {
            issuer: SetIssuer::new(key, provider, issuer)?,
            queue: MemoryEventQueue::new(QUEUE),
            poll: PollTransmitter::new(),
        })
    }

    /// Signs an event.
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

    /// Puts a SET into the stream of a workload that polls.
    ///
    /// # Errors
    ///
    /// [`SignalsError::Queue`].
    pub async fn enqueue(&self, workload: &SpiffeId, set: SignedSet) -> Result<(), SignalsError> {
        self.queue
            .push(workload.as_str(), set.into(), Place::Back, net::now())
            .await?;
        Ok(())
    }
}

/// `POST /poll`, by mutual TLS: each workload has a stream of its own, and nobody polls that of another.
impl Handler for Transmitter {
    fn handle<'a>(
        &'a self,
        parts: Parts,
        body: Vec<u8>,
        peer: Vec<CertificateDer<'static>>,
    ) -> Answer<'a> {
        Box::pin(async move {
            if parts.method != Method::POST || parts.uri.path() != "/poll" {
                return net::empty(StatusCode::NOT_FOUND);
            }
            // The TLS layer has verified the chain; here only its name is read.
            let Some(workload) = peer.first().and_then(|leaf| spiffe_id_of(leaf).ok()) else {
                return net::empty(StatusCode::UNAUTHORIZED);
            };
            let Ok(request) = self.poll.read(&parts, &body) else {
                return poll::bad_request();
            };
            match self
                .poll
                .step(
                    &self.queue,
                    workload.as_str(),
                    Gate::Open,
                    &request,
                    net::now(),
                )
                .await
            {
                Ok(Step::Respond(response)) => poll::response(&response),
                // Long polls are for deployments; here an empty answer comes at once.
                Ok(Step::Wait) => poll::response(&PollResponse::new(Vec::new(), false)),
                Err(_) => net::empty(StatusCode::SERVICE_UNAVAILABLE),
            }
        })
    }
}
