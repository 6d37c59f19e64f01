//! A bounded place for hosts that gave no response.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use pki_types::UnixTime;

use crate::{Error, HttpsUrl};

/// A fetch that failed before any response could have come: the only kind of failure that may be kept.
///
/// An authorization server must not cache error responses, nor documents that are invalid or malformed (section 5.2).
/// There was neither when the name did not resolve, an address was refused, no connection came up or TLS failed.
///
/// ```
/// use cimd::{Error, Unreachable};
///
/// assert!(Unreachable::from_error(&Error::Connect).is_some());
/// assert!(Unreachable::from_error(&Error::Status { status: 503 }).is_none());
/// assert!(Unreachable::from_error(&Error::Timeout).is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable(Error);

impl Unreachable {
    /// The failure, if it is [`Error::Resolve`], [`Error::NoAddress`], [`Error::AddressRefused`], [`Error::Connect`],
    /// [`Error::ConnectTimeout`] or [`Error::Tls`]. After any other a response may have come: [`Error::Timeout`] does not
    /// say when the time ran out.
    #[must_use]
    pub fn from_error(error: &Error) -> Option<Self> {
        let is_before_response = matches!(
            error,
            Error::Resolve
                | Error::NoAddress
                | Error::AddressRefused
                | Error::Connect
                | Error::ConnectTimeout
                | Error::Tls
        );
        is_before_response.then(|| Self(error.clone()))
    }

    /// The error that was seen.
    #[must_use]
    pub const fn error(&self) -> &Error {
        &self.0
    }
}

impl From<Unreachable> for Error {
    fn from(failure: Unreachable) -> Self {
        failure.0
    }
}

/// Hosts that gave no response, for seconds: a host that is down or misconfigured is not resolved and connected to anew
/// for each stranger who names it.
///
/// An entry is for a host and port, because that is what cannot be reached; nobody fills the table with the paths of one
/// host. The table is apart from the [`DocumentCache`](crate::DocumentCache), so that no flood of such hosts costs a
/// document.
///
/// Readers take no lock: a writer prepares a new table beside the one they see. That costs a copy of the table for each
/// failed fetch, and there are no more of those than the [`FetchLimiter`](crate::FetchLimiter) admits.
pub struct UnreachableHosts {
    capacity: usize,
    /// In seconds.
    lifetime: u64,
    entries: ArcSwap<Entries>,
}

type Entries = HashMap<HostPort, Arc<Entry>>;

/// The host in lower case.
type HostPort = (Arc<str>, u16);

struct Entry {
    failure: Unreachable,
    /// Seconds since 1970. Only ever moved back.
    ends: AtomicU64,
}

impl Entry {
    fn holds(&self, now: u64, lifetime: u64) -> bool {
        // What is left is never more than a lifetime, also when the clock was set back, and what is over stays over.
        let most = now.saturating_add(lifetime);
        let ends = self.ends.fetch_min(most, Ordering::Relaxed).min(most);
        let holds = now < ends;
        if !holds {
            self.ends.store(0, Ordering::Relaxed);
        }
        holds
    }
}

impl Default for UnreachableHosts {
    /// 1024 hosts for 10 s.
    fn default() -> Self {
        Self::new(1024, Duration::from_secs(10))
    }
}

impl UnreachableHosts {
    /// The longest lifetime: a host that works again should not wait for long.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(60);

    /// A table for `capacity` hosts. `lifetime` is in whole seconds, what is beyond them is cut off, and at most
    /// [`MAX_LIFETIME`](Self::MAX_LIFETIME). When either is zero nothing is kept.
    #[must_use]
    pub fn new(capacity: usize, lifetime: Duration) -> Self {
        Self {
            capacity,
            lifetime: lifetime.min(Self::MAX_LIFETIME).as_secs(),
            entries: ArcSwap::default(),
        }
    }

    /// How the last fetch from the host and port of `url` failed, if that is not longer ago than the lifetime. When the
    /// clock was set back, an entry lasts at most one lifetime from the first call after that.
    #[must_use]
    pub fn get(&self, url: &HttpsUrl, now: UnixTime) -> Option<Unreachable> {
        let entries = self.entries.load();
        let entry = entries.get(&host_port(url))?;
        entry
            .holds(now.as_secs(), self.lifetime)
            .then(|| entry.failure.clone())
    }

    /// Keeps a failure that was seen at `now`. In a full table the entry that would end first makes room: it would have
    /// saved the least.
    pub fn insert(&self, url: &HttpsUrl, failure: Unreachable, now: UnixTime) {
        if self.capacity == 0 || self.lifetime == 0 {
            return;
        }
        let now = now.as_secs();
        let host_port = host_port(url);
        let entry = Arc::new(Entry {
            failure,
            ends: AtomicU64::new(now.saturating_add(self.lifetime)),
        });
        self.entries.rcu(|entries| {
            let mut next = Entries::clone(entries);
            next.remove(&host_port);
            if next.len() >= self.capacity {
                next.retain(|_, entry| entry.holds(now, self.lifetime));
            }
            if next.len() >= self.capacity {
                let first = next
                    .iter()
                    .min_by_key(|(_, entry)| entry.ends.load(Ordering::Relaxed))
                    .map(|(host_port, _)| host_port.clone());
                first.and_then(|first| next.remove(&first));
            }
            next.insert(host_port.clone(), Arc::clone(&entry));
            next
        });
    }

    /// Forgets the host and port of `url` at once: a response came.
    pub fn remove(&self, url: &HttpsUrl) {
        let host_port = host_port(url);
        if self.entries.load().contains_key(&host_port) {
            self.entries.rcu(|entries| {
                let mut next = Entries::clone(entries);
                next.remove(&host_port);
                next
            });
        }
    }

    /// How many hosts are kept, with those whose time is over and whose room nobody needed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.load().len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for UnreachableHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreachableHosts")
            .field("capacity", &self.capacity)
            .field("lifetime", &self.lifetime)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn host_port(url: &HttpsUrl) -> HostPort {
    (url.host().to_ascii_lowercase().into(), url.port())
}
