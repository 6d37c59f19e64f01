//! A component that takes events, and acts on its registry.

use std::sync::Arc;

use http::Response;
use http::request::Parts;
use jose_x509::{KeySet, MemoryReplayGuard};
use pki_types::UnixTime;
use ssf_set::{SecurityEventToken, SetVerifier, Subject, SubjectIdentifier};
use ssf_stream::policy::Action;
use ssf_stream::poll::{self, PollRequest, PollResponse};
use ssf_stream::push::{self, Receipt, Transmitter as PushedBy};

use super::{ResponseRules, SignalsError};
use crate::audit::{AuditLog, Decision, Event};
use crate::net::{self, Client};
use crate::registry::Registry;

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
