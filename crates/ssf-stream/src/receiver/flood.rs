//! What bounds the work that strangers can cause.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pki_types::UnixTime;

use crate::push::Rejection;

/// When to fetch the keys of a transmitter again: at most once in a while, however many SETs name a key that is not there.
///
/// The keys in force are always those that were fetched last; no SET makes its verification wait for a fetch.
#[derive(Debug)]
pub struct KeyRefresh {
    interval: u64,
    last: Mutex<Option<u64>>,
}

impl KeyRefresh {
    /// At most one fetch in `interval`; five minutes are usual.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self {
            interval: interval.as_secs(),
            last: Mutex::new(None),
        }
    }

    /// Whether to fetch the keys now, after a SET was refused. Says yes once in the interval, and only for an error that
    /// new keys may mend: an issuer that is not known here is no reason.
    #[must_use]
    pub fn wanted(&self, error: &ssf_set::Error, now: UnixTime) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.saturating_add(self.interval) <= now.as_secs());
        if error.refresh_may_help() && due {
            *last = Some(now.as_secs());
            return true;
        }
        false
    }
}

/// How many pushes a peer may make: a number at once, and then so many a second. A peer is a network address, or the name of a TLS
/// client; ask before the body is read.
pub struct PeerRate {
    burst: u64,
    per_second: u64,
    peers: Mutex<Peers>,
}

#[derive(Default)]
struct Peers {
    buckets: HashMap<String, Bucket>,
    /// When those who are full again were last forgotten: once in a second at most.
    swept_at: u64,
}

/// The most peers that are remembered.
const PEERS: usize = 10_000;

#[derive(Clone, Copy)]
struct Bucket {
    left: u64,
    at: u64,
}

impl PeerRate {
    /// At most `burst` pushes at once, and `per_second` (at least one) in the long run.
    #[must_use]
    pub fn new(burst: u64, per_second: u64) -> Self {
        Self {
            burst: burst.max(1),
            per_second: per_second.max(1),
            peers: Mutex::default(),
        }
    }

    /// Counts a push.
    ///
    /// # Errors
    ///
    /// [`Rejection`] with 429 and `Retry-After`.
    pub fn check(&self, peer: &str, now: UnixTime) -> Result<(), Rejection> {
        let now = now.as_secs();
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peers = &mut *peers;
        let filled = |bucket: &Bucket| {
            let gained = now
                .saturating_sub(bucket.at)
                .saturating_mul(self.per_second);
            bucket.left.saturating_add(gained).min(self.burst)
        };
        if peers.buckets.len() >= PEERS && !peers.buckets.contains_key(peer) {
            if peers.swept_at < now {
                peers.swept_at = now;
                // Who is full again is as if never seen.
                peers
                    .buckets
                    .retain(|_, bucket| filled(bucket) < self.burst);
            }
            if peers.buckets.len() >= PEERS {
                return Err(Rejection::too_many(1));
            }
        }
        let fresh = Bucket {
            left: self.burst,
            at: now,
        };
        let bucket = peers.buckets.entry(peer.to_owned()).or_insert(fresh);
        *bucket = Bucket {
            left: filled(bucket),
            at: bucket.at.max(now),
        };
        match bucket.left.checked_sub(1) {
            Some(left) => {
                bucket.left = left;
                Ok(())
            }
            None => Err(Rejection::too_many(1)),
        }
    }
}

impl fmt::Debug for PeerRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerRate")
            .field("burst", &self.burst)
            .field("per_second", &self.per_second)
            .finish_non_exhaustive()
    }
}
