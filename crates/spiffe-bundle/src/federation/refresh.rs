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
    /// The longest interval after failures in a row, where the normal one is not longer. Default: one hour.
    pub max_backoff: Duration,
    /// How old a bundle may become without a successful fetch before it is dropped, so that every SVID of its trust
    /// domain is refused. Default: no limit, since bundles do not expire by themselves. With a limit, no interval is
    /// longer than a third of it, unless [`min`](Self::min) is.
    pub max_stale: Option<Duration>,
}

impl RefreshPolicy {
    /// The interval for a bundle, or before there is one.
    #[must_use]
    pub fn interval(&self, bundle: Option<&Bundle>) -> Duration {
        bundle
            .and_then(Bundle::refresh_hint)
            .unwrap_or(self.without_hint)
            .min(self.longest())
            .max(self.min)
    }

    pub(super) fn is_stale(&self, fetched: UnixTime, now: UnixTime) -> bool {
        self.max_stale.is_some_and(|age| later(fetched, age) < now)
    }

    /// Two fetches may fail before a bundle is too old.
    fn longest(&self) -> Duration {
        let third = |age: Duration| age.checked_div(3).unwrap_or(age);
        self.max_stale
            .map_or(self.max, |age| third(age).min(self.max))
    }

    /// When the next fetch is due after one that succeeded at `now`, without jitter.
    #[must_use]
    pub fn next(&self, bundle: Option<&Bundle>, now: UnixTime) -> UnixTime {
        later(now, self.interval(bundle))
    }

    /// When the next fetch is due after one that ended at `now`, as the last of `failures` in a row (none if it
    /// succeeded). `bundle` is the installed one.
    ///
    /// A failure is no reason to ask more often: after the first one the interval is the normal one, and it doubles
    /// with each further one up to [`max_backoff`](Self::max_backoff). `random` is any uniform number; of it
    /// come up to ten percent on top, so that those who began together do not stay together.
    #[must_use]
    pub fn next_with_jitter(
        &self,
        bundle: Option<&Bundle>,
        failures: u32,
        now: UnixTime,
        random: u64,
    ) -> UnixTime {
        let interval = self.interval(bundle);
        let doublings = failures.saturating_sub(1).min(16);
        let backoff = interval
            .saturating_mul(1 << doublings)
            .min(self.max_backoff.max(interval));
        let span = backoff.as_millis().checked_div(10).unwrap_or_default();
        let span = u64::try_from(span).unwrap_or(u64::MAX);
        let extra = random
            .checked_rem(span.saturating_add(1))
            .unwrap_or_default();
        // In whole seconds, as the times are; never before the interval is over.
        let extra = Duration::from_secs(extra.div_ceil(1000));
        later(
            now,
            backoff
                .saturating_add(extra)
                .min(self.longest())
                .max(interval),
        )
    }
}

pub(super) fn later(now: UnixTime, by: Duration) -> UnixTime {
    let due = now.as_secs().saturating_add(by.as_secs());
    UnixTime::since_unix_epoch(Duration::from_secs(due))
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            min: Duration::from_secs(10),
            max: Duration::from_secs(24 * 60 * 60),
            without_hint: Duration::from_secs(300),
            max_backoff: Duration::from_secs(60 * 60),
            max_stale: None,
        }
    }
}
