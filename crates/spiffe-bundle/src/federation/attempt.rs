//! A fetch on its way from the endpoint to the verifiers, and how relationships fare.

use std::sync::Arc;

use pki_types::UnixTime;
use url::Url;

use super::endpoint::Relationship;
use super::fetch::FetchPlan;
use crate::Bundle;
use crate::error::Error;

/// A fetch that is under way: what it asked for, and how far it came.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub(super) relationship: Arc<Relationship>,
    pub(super) url: Url,
    pub(super) redirects: u8,
}

/// The result of a fetch, checked and not yet in force.
#[derive(Debug)]
#[must_use = "a bundle that is not distributed does not take effect"]
pub struct Accepted {
    pub(super) attempt: Attempt,
    pub(super) at: UnixTime,
    pub(super) random: u64,
    pub(super) result: Result<Arc<Bundle>, Error>,
}

impl Accepted {
    /// The bundle, to be stored before it is distributed; or why there is none, so that the stored one stays.
    ///
    /// # Errors
    ///
    /// That of the fetch, [`Error::Rollback`] or [`Error::Overtaken`].
    pub fn bundle(&self) -> Result<&Arc<Bundle>, &Error> {
        self.result.as_ref()
    }
}

/// How a relationship fares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Its parameters.
    pub relationship: Arc<Relationship>,
    /// `spiffe_sequence` of the bundle in force: what tells how far a rotation has come.
    pub sequence: Option<u64>,
    /// Whether there is a bundle in force.
    pub has_bundle: bool,
    /// How many relationships, this one included, can change the bundle as things are.
    pub depth: usize,
    /// When the endpoint is asked next.
    pub next: UnixTime,
    /// How many fetches in a row failed.
    pub failures: u32,
    /// [`Error::code`] of the last fetch, if it failed.
    pub last_error: Option<&'static str>,
}

impl FetchPlan {
    /// What identifies this fetch when its result is handed in.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        Attempt {
            relationship: Arc::clone(self.relationship()),
            url: self.url().clone(),
            redirects: self.redirects(),
        }
    }
}
