//! When to ask again.

use std::time::Duration;

use pki_types::UnixTime;

use crate::Bundle;

/// Bounds on the time between two fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshPolicy {
    /// The shortest interval. Default: 10 seconds.
    pub min: Duration,
    /// The longest interval, which bounds how late a revocation is noticed. Default: 24 hours.
    pub max: Duration,
    /// The interval without a hint. Default: 300 seconds.
    pub without_hint: Duration,
}

impl RefreshPolicy {
    /// The interval for a bundle, or before there is one.
    #[must_use]
    pub fn interval(&self, bundle: Option<&Bundle>) -> Duration {
        bundle
            .and_then(Bundle::refresh_hint)
            .unwrap_or(self.without_hint)
            .min(self.max)
            .max(self.min)
    }

    /// When the next fetch is due after one that ended at `now`, whether it succeeded or not: a failure is
    /// no reason to ask more often. `bundle` is the installed one.
    #[must_use]
    pub fn next(&self, bundle: Option<&Bundle>, now: UnixTime) -> UnixTime {
        let due = now
            .as_secs()
            .saturating_add(self.interval(bundle).as_secs());
        UnixTime::since_unix_epoch(Duration::from_secs(due))
    }
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            min: Duration::from_secs(10),
            max: Duration::from_secs(24 * 60 * 60),
            without_hint: Duration::from_secs(300),
        }
    }
}
