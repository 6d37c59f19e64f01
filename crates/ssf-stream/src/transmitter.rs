//! The transmitter: the management API, the events that it sends into its streams, and their delivery.
//!
//! [`Transmitter::handle`] answers requests, [`Transmitter::emit`] sends an event to every stream that should have it,
//! [`Transmitter::next_push`] and [`Transmitter::pushed`] are the two halves of a pusher, and [`Transmitter::tick`] does what time
//! demands. None of them opens a socket or reads a clock.
//!
//! # What is never lost in silence
//!
//! Events wait in order until the receiver has them. When a stream reaches the bounds of its queue, its oldest event goes, and the
//! stream is paused: what waits is still delivered, followed by a `stream-updated` with the reason [`EVENTS_DROPPED`]. What comes
//! later is held until the receiver enables the stream, again up to the bounds. [`StreamRecord::dropped`] counts what went. The same
//! holds for events that become too old.

mod access;
mod answer;
mod api;
mod events;
mod fanout;
mod manage;
mod policy;
mod polling;
mod pushing;
mod removal;
mod settings;
mod status;
mod store;
mod subjects;

use std::fmt;
use std::sync::Arc;

use jose_x509::{CryptoProvider, Signer};
use ssf_set::SetIssuer;

use crate::error::Error;
use crate::metadata::TransmitterMetadata;
use crate::poll::PollTransmitter;
use crate::queue::EventQueue;

pub use access::{
    AccessTokens, Authorizer, Authorizing, Client, Denied, MANAGE, Operation, PeerName, Peers,
    READ, Revoked, bearer_token,
};
pub use api::{Reply, Waiting};
pub use events::{Emitted, Occurrence};
pub use policy::{Decision, DefaultPolicy, Policy, SubjectDecision};
pub use pushing::{Backoff, PushResult, PushStep};
pub use removal::{RemovalLog, RemovalOutcome, SubjectRemoval};
pub use settings::{InactivityAction, Settings, Subjects};
#[cfg(feature = "redb")]
pub use store::RedbStreamStore;
pub use store::contract as store_contract;
pub use store::{MemoryStreamStore, StoreError, Storing, StreamRecord, StreamStore, SubjectEntry};

/// The reason of a stream that was paused because it lost events.
pub const EVENTS_DROPPED: &str = "events_dropped";
/// The reason of a stream that was stopped because its receiver did not use it.
pub const INACTIVE: &str = "inactive";
/// The reason of a stream that was stopped because its receiver refused the verification event.
pub const VERIFICATION_FAILED: &str = "verification_failed";

/// Told which stream has something new.
pub type Wake = dyn Fn(&str) + Send + Sync;

/// A transmitter.
pub struct Transmitter<S> {
    issuer: SetIssuer<S>,
    provider: CryptoProvider,
    settings: Settings,
    metadata: TransmitterMetadata,
    routes: api::Routes,
    store: Arc<dyn StreamStore>,
    queue: Arc<dyn EventQueue>,
    authorizer: Arc<dyn Authorizer>,
    policy: Arc<dyn Policy>,
    poll: PollTransmitter,
    polls: polling::LongPolls,
    removals: Option<Arc<dyn RemovalLog>>,
    wake: Option<Box<Wake>>,
}

impl<S: Signer> Transmitter<S> {
    /// A transmitter that signs with `issuer`, whose name has to be that of the settings.
    ///
    /// # Errors
    ///
    /// [`Error::IssuerMismatch`] when it is not.
    pub fn new(
        issuer: SetIssuer<S>,
        provider: CryptoProvider,
        settings: Settings,
        store: Arc<dyn StreamStore>,
        queue: Arc<dyn EventQueue>,
        authorizer: Arc<dyn Authorizer>,
    ) -> Result<Self, Error> {
        let metadata = settings.metadata();
        if issuer.issuer() != metadata.issuer {
            return Err(Error::IssuerMismatch {
                what: "the signing issuer",
            });
        }
        let poll = match settings.polls_in_order {
            true => PollTransmitter::new().in_order(),
            false => PollTransmitter::new(),
        };
        Ok(Self {
            routes: api::Routes::new(&settings)?,
            issuer,
            provider,
            metadata,
            settings,
            store,
            queue,
            authorizer,
            policy: Arc::new(DefaultPolicy),
            poll,
            polls: polling::LongPolls::default(),
            removals: None,
            wake: None,
        })
    }

    /// Sets the policy.
    #[must_use]
    pub fn with_policy(mut self, policy: Arc<dyn Policy>) -> Self {
        self.policy = policy;
        self
    }

    /// Records who removes which subject: before it happens, or it does not.
    #[must_use]
    pub fn with_removal_log(mut self, log: Arc<dyn RemovalLog>) -> Self {
        self.removals = Some(log);
        self
    }

    /// Calls `wake` when a stream has something new, or changes: for those who wait.
    #[must_use]
    pub fn with_wake(mut self, wake: Box<Wake>) -> Self {
        self.wake = Some(wake);
        self
    }

    /// The metadata document.
    #[must_use]
    pub fn metadata(&self) -> &TransmitterMetadata {
        &self.metadata
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The store of streams.
    #[must_use]
    pub fn store(&self) -> &dyn StreamStore {
        self.store.as_ref()
    }

    /// The queue of events.
    #[must_use]
    pub fn queue(&self) -> &dyn EventQueue {
        self.queue.as_ref()
    }

    fn wake(&self, stream_id: &str) {
        if let Some(wake) = &self.wake {
            wake(stream_id);
        }
    }
}

impl<S> fmt::Debug for Transmitter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transmitter")
            .field("issuer", &self.metadata.issuer)
            .finish_non_exhaustive()
    }
}
