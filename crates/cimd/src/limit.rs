//! How often documents are fetched for one requester and from one host.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use pki_types::UnixTime;

use crate::Error;

/// So many at once, and then one more after each interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    interval: Duration,
}

impl Rate {
    /// `burst` at once, at least one, and one more for each `interval` of whole seconds, at least one.
    #[must_use]
    pub fn new(burst: u32, interval: Duration) -> Self {
        Self {
            burst: burst.max(1),
            interval: interval.max(Duration::from_secs(1)),
        }
    }
}

/// Limits fetches, because a stranger chooses what is fetched: each host is asked no more than it can bear, and each
/// requester can ask for no more than its share. Failed fetches count like good ones; nothing else about them is kept
/// here, and elsewhere no more than what [`UnreachableHosts`](crate::UnreachableHosts) takes.
///
/// Memory is bounded: where there are more hosts or requesters than the limiter tracks, those beyond share one allowance.
#[derive(Debug)]
pub struct FetchLimiter {
    hosts: Buckets,
    requesters: Buckets,
}

impl Default for FetchLimiter {
    /// Ten at once and one every six seconds for a host, twenty and one every three seconds for a requester; 4096 of
    /// each.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self::new(Rate::new(10, seconds(6)), Rate::new(20, seconds(3)), 4096)
    }
}

impl FetchLimiter {
    /// A limiter that tracks `tracked` hosts and as many requesters.
    #[must_use]
    pub fn new(host: Rate, requester: Rate, tracked: usize) -> Self {
        Self {
            hosts: Buckets::new(host, tracked),
            requesters: Buckets::new(requester, tracked),
        }
    }

    /// Counts a fetch from `host` on behalf of `requester`: an address, a session, a client of the caller's choice.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyFetches`]; then nothing was counted.
    pub fn admit(&mut self, host: &str, requester: &str, now: UnixTime) -> Result<(), Error> {
        let now = now.as_secs();
        let host = self.hosts.look(&host.to_ascii_lowercase(), now)?;
        let requester = self.requesters.look(requester, now)?;
        self.hosts.take(host);
        self.requesters.take(requester);
        Ok(())
    }
}

/// One allowance for each name, kept as the time at which it will be whole again.
#[derive(Debug)]
struct Buckets {
    rate: Rate,
    tracked: usize,
    names: RandomState,
    /// Seconds since 1970 by the hash of a name.
    whole: HashMap<u64, u64>,
    /// For all names that are not tracked.
    others: u64,
}

/// The allowance of a name with one fetch taken off.
struct Taken {
    name: Option<u64>,
    whole: u64,
}

impl Buckets {
    fn new(rate: Rate, tracked: usize) -> Self {
        Self {
            rate,
            tracked,
            names: RandomState::new(),
            whole: HashMap::new(),
            others: 0,
        }
    }

    fn look(&mut self, name: &str, now: u64) -> Result<Taken, Error> {
        let name = self.names.hash_one(name);
        if !self.whole.contains_key(&name) && self.whole.len() >= self.tracked {
            self.whole.retain(|_, whole| *whole > now);
        }
        let has_room = self.whole.len() < self.tracked;
        let (name, whole) = match self.whole.get(&name) {
            Some(whole) => (Some(name), *whole),
            None if has_room => (Some(name), 0),
            None => (None, self.others),
        };
        let interval = self.rate.interval.as_secs();
        let whole = whole.max(now).saturating_add(interval);
        let most = now.saturating_add(interval.saturating_mul(self.rate.burst.into()));
        match whole.checked_sub(most) {
            None | Some(0) => Ok(Taken { name, whole }),
            Some(wait) => Err(Error::TooManyFetches {
                retry_after: Duration::from_secs(wait),
            }),
        }
    }

    fn take(&mut self, taken: Taken) {
        match taken.name {
            Some(name) => {
                self.whole.insert(name, taken.whole);
            }
            None => self.others = taken.whole,
        }
    }
}
