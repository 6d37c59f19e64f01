//! What comes through one stream.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use http::request;
use jose_x509::{Algorithms, KeySource, ReplayGuard};
use pki_types::UnixTime;
use ssf_set::ssf::StreamStatus;
use ssf_set::{Event, SecurityEventToken, SetErrorCode, SetVerifier, Subject, SubjectIdentifier};

use crate::error::Error;
use crate::metadata::TransmitterMetadata;
use crate::poll::{PollResponse, Polled, SetErrorReport};
use crate::push::{self, Accepted, Receipt, Rejection, Transmitter};
use crate::receiver::Verifications;
use crate::stream::StreamConfiguration;

/// The receiver's end of one stream. It takes SETs of the stream's issuer to the stream's audience; events about a stream
/// have to be about this one.
#[derive(Debug)]
pub struct StreamReceiver {
    stream_id: String,
    verifier: SetVerifier,
    critical: BTreeSet<String>,
    understood: BTreeSet<String>,
    verifications: Verifications,
    status: Mutex<StreamStatus>,
}

/// What to do with a SET that was taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum Taken {
    /// Act upon it.
    Event(SecurityEventToken),
    /// Nothing: it was taken before.
    Repeated(SecurityEventToken),
    /// Nothing, but tell the operator: its subject has a member that the transmitter calls critical and that is not understood here.
    NotUnderstood(SecurityEventToken),
    /// The stream works. `true`: this receiver had asked.
    Verified(bool),
    /// The transmitter changed the stream.
    Status(StreamStatus),
}

impl StreamReceiver {
    /// The end of a stream that [`Management`](super::Management) has read, with the keys at the transmitter's
    /// `jwks_uri`.
    ///
    /// # Errors
    ///
    /// [`Error::IssuerMismatch`] when the stream is of another issuer than the metadata; [`Error::Set`] without an
    /// audience.
    pub fn new(
        metadata: &TransmitterMetadata,
        configuration: &StreamConfiguration,
        keys: Arc<dyn KeySource + Send + Sync>,
    ) -> Result<Self, Error> {
        if metadata.issuer != configuration.iss {
            return Err(Error::IssuerMismatch {
                what: "stream configuration",
            });
        }
        let verifier = SetVerifier::ssf(&configuration.iss, keys, configuration.aud.clone())?;
        Ok(Self {
            stream_id: configuration.stream_id.clone(),
            verifier,
            critical: metadata.critical_subject_members.iter().cloned().collect(),
            understood: BTreeSet::new(),
            verifications: Verifications::default(),
            status: Mutex::new(StreamStatus::Enabled),
        })
    }

    /// Understands a member of complex subjects.
    #[must_use]
    pub fn with_understood_member(mut self, member: &str) -> Self {
        self.understood.insert(member.to_owned());
        self
    }

    /// Narrows the algorithms.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.verifier = self.verifier.with_algorithms(algorithms);
        self
    }

    /// Exchanges the keys, as after a rotation.
    ///
    /// # Errors
    ///
    /// [`Error::Set`].
    pub fn with_keys(
        mut self,
        issuer: &str,
        keys: Arc<dyn KeySource + Send + Sync>,
    ) -> Result<Self, Error> {
        self.verifier = self.verifier.with_issuer(issuer, keys)?;
        Ok(self)
    }

    /// `stream_id`.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// The verifications of this stream.
    #[must_use]
    pub fn verifications(&self) -> &Verifications {
        &self.verifications
    }

    /// The status, as far as the transmitter has told.
    #[must_use]
    pub fn status(&self) -> StreamStatus {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a pushed SET. Store it, then [`settle`](Self::settle) it, then answer.
    ///
    /// # Errors
    ///
    /// [`Rejection`], which has the response.
    pub fn receive(
        &self,
        parts: &request::Parts,
        body: &[u8],
        transmitter: Transmitter<'_>,
        now: UnixTime,
    ) -> Result<Accepted, Rejection> {
        let accepted = push::receive(parts, body, &self.verifier, transmitter, now)?;
        self.check(accepted.set(), now).map_err(Rejection::set)?;
        Ok(accepted)
    }

    /// Records a pushed SET that was stored.
    ///
    /// # Errors
    ///
    /// [`Rejection`] with 503 when the guard has no room.
    pub fn settle(
        &self,
        accepted: Accepted,
        guard: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<Taken, Rejection> {
        Ok(match accepted.settle(&self.verifier, guard, now)? {
            Receipt::New(set) => self.take(set),
            Receipt::Repeated(set) => Taken::Repeated(set),
        })
    }

    /// Verifies what a poll brought. Store each of the SETs, then [`record`](Self::record) it, then acknowledge it.
    #[must_use]
    pub fn verify(&self, response: &PollResponse, now: UnixTime) -> Polled {
        let mut polled = crate::poll::verify(response, &self.verifier, now);
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for set in polled.sets {
            match self.check(&set, now) {
                Ok(()) => good.push(set),
                Err(code) => bad.push((set.id().to_owned(), SetErrorReport::new(code))),
            }
        }
        polled.sets = good;
        polled.refused.extend(bad);
        polled
    }

    /// Records a polled SET that was stored.
    ///
    /// # Errors
    ///
    /// [`Error::Set`] when the guard has no room: do not acknowledge the SET, it is sent again.
    pub fn record(
        &self,
        set: SecurityEventToken,
        guard: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<Taken, Error> {
        match self.verifier.record(&set, guard, now) {
            Ok(()) => Ok(self.take(set)),
            Err(error) if error.is_replay() => Ok(Taken::Repeated(set)),
            Err(error) => Err(error.into()),
        }
    }

    fn check(&self, set: &SecurityEventToken, now: UnixTime) -> Result<(), SetErrorCode> {
        let own = || match set.subject().and_then(Subject::as_simple) {
            Some(SubjectIdentifier::Opaque { id, .. }) if *id == self.stream_id => Ok(()),
            _ => Err(SetErrorCode::InvalidRequest),
        };
        match set.event() {
            Event::StreamUpdated(_) => own(),
            Event::Verification(event) => {
                own()?;
                self.verifications
                    .check(&self.stream_id, set.id(), event.state.as_deref(), now)
            }
            _ => Ok(()),
        }
    }

    fn take(&self, set: SecurityEventToken) -> Taken {
        match set.event() {
            Event::Verification(event) => {
                let state = event.state.as_deref();
                let asked = state
                    .is_some_and(|state| self.verifications.end(&self.stream_id, set.id(), state));
                Taken::Verified(asked)
            }
            Event::StreamUpdated(event) => {
                *self.status.lock().unwrap_or_else(PoisonError::into_inner) = event.status;
                Taken::Status(event.status)
            }
            _ if self.misses_critical(&set) => Taken::NotUnderstood(set),
            _ => Taken::Event(set),
        }
    }

    fn misses_critical(&self, set: &SecurityEventToken) -> bool {
        let Some(Subject::Complex(subject)) = set.subject() else {
            return false;
        };
        let missed = |member| self.critical.contains(member) && !self.understood.contains(member);
        subject.members().any(|(member, _)| missed(member))
    }
}
