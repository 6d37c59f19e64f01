//! What happened, for the audit log: without secrets, and with the trust domain always beside its bundle.

use std::sync::Arc;

use pki_types::UnixTime;
use spiffe_id::TrustDomain;
use url::Url;

use super::endpoint::{EndpointProfile, Relationship};
use crate::Installed;
use crate::error::Error;

/// Something that happened to a federation. Every change of it gives one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: UnixTime,
    /// Whose bundle it is about.
    pub trust_domain: TrustDomain,
    /// What.
    pub kind: EventKind,
    /// What deserves somebody's attention.
    pub alerts: Vec<Alert>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A relationship began.
    Established {
        /// Its parameters.
        relationship: Arc<Relationship>,
        /// Whether its bootstrap bundle was put in place. It is not where a bundle was stored before.
        bootstrapped: bool,
    },
    /// A relationship ended, and its bundle is gone.
    Terminated,
    /// The operator set the bundle.
    Set {
        /// Its `spiffe_sequence`.
        sequence: Option<u64>,
        /// What it did.
        installed: Installed,
    },
    /// The endpoint was asked.
    Fetched {
        /// The last URL, after redirects.
        url: Url,
        /// How many redirects were followed.
        redirects: u8,
        /// How the server was to be authenticated.
        profile: EndpointProfile,
        /// The sequence of the bundle and what it did, or why there is none.
        result: Result<(Option<u64>, Installed), Error>,
        /// When it is asked again.
        next: UnixTime,
    },
    /// The bundle was dropped, because no fetch succeeded for too long.
    Expired,
    /// Another relationship began, and with it changed how many can change this bundle.
    DepthChanged {
        /// How many could, this one included.
        from: usize,
        /// How many can.
        to: usize,
    },
}

/// What is legitimate, or at least possible, and yet what an attack looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alert {
    /// An older bundle was offered, and refused.
    Rollback {
        /// Sequence of the installed bundle.
        installed: u64,
        /// Sequence of the refused one.
        offered: u64,
    },
    /// The bundle is empty: every SVID of the trust domain is refused.
    Emptied,
    /// No key is one that was known before, which happens when an endpoint's host has another owner.
    AllKeysReplaced,
    /// Other keys under the same sequence number.
    SequenceReused,
    /// The sequence number jumped by more than [`SEQUENCE_JUMP`], as when somebody wants all later bundles to be
    /// refused. [`Federation::set_bundle`](super::Federation::set_bundle) leads back.
    SequenceJump {
        /// From here.
        from: u64,
        /// To here.
        to: u64,
    },
    /// The trust in this endpoint depends on other relationships: whoever controls one of them controls this bundle.
    ChainedTrust {
        /// How many relationships, this one included.
        depth: usize,
    },
}

/// The largest step of a sequence number that is no alert: more than any publisher counts between two fetches.
pub const SEQUENCE_JUMP: u64 = 1 << 32;
