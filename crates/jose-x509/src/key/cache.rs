//! The key set of one issuer, fetched again when it has to be. Nothing here opens a connection: the
//! caller asks whether to fetch, fetches with its own client, and hands the answer back.
//!
//! ```
//! use jose_x509::key::cache::{Fetched, KeySetCache, Reason};
//! # use jose_x509::{SigningKey, Algorithm, provider::ring};
//! # use pki_types::UnixTime;
//! # use std::time::Duration;
//! # let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
//! # let body = serde_json::json!({"keys": [SigningKey::generate(&ring::provider(), Algorithm::Es256)?.public_jwk()]}).to_string();
//! let cache = KeySetCache::new(ring::provider(), "https://as.example", "https://as.example/jwks")?;
//!
//! // At startup, on a timer, and with `Reason::UnknownKey` when `Error::refresh_may_help` says so:
//! if let Some(ticket) = cache.begin(Reason::Scheduled, at(1000)) {
//!     // … fetch `cache.url()` without following redirects to another host …
//!     let answer = Fetched { body: body.as_bytes(), content_type: "application/jwk-set+json", cache_control: "max-age=600" };
//!     cache.complete(ticket, &answer, at(1001))?;
//! }
//! // A request uses the snapshot of its moment.
//! let keys = cache.keys(at(1002))?;
//! assert_eq!(keys.keys().len(), 1);
//! # Ok::<(), jose_x509::Error>(())
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pki_types::UnixTime;

use super::KeySet;
use crate::error::Error;
use crate::jwk::SetLimits;
use crate::provider::CryptoProvider;

/// When to fetch, and how long to rely on what was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheOptions {
    /// The least time between two fetches, whatever asks for them: 60 seconds.
    pub min_interval: Duration,
    /// The longest time between two fetches, whatever `max-age` says: 24 hours.
    pub max_interval: Duration,
    /// The time between two fetches where the answer names none: 5 minutes.
    pub default_interval: Duration,
    /// How long a set is used after the next fetch was due, while that and newer ones fail: 24 hours.
    pub max_staleness: Duration,
    /// After which a fetch of which nothing was heard counts as failed: 30 seconds.
    pub fetch_timeout: Duration,
    /// Bounds on the set.
    pub limits: SetLimits,
}

impl Default for CacheOptions {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            min_interval: Duration::from_secs(60),
            max_interval: DAY,
            default_interval: Duration::from_secs(5 * 60),
            max_staleness: DAY,
            fetch_timeout: Duration::from_secs(30),
            limits: SetLimits::default(),
        }
    }
}

/// Why a fetch is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Time has passed.
    Scheduled,
    /// A token names a key that the set does not have.
    UnknownKey,
}

/// The right to fetch once.
#[derive(Debug)]
#[must_use = "complete or fail the fetch, or others wait until it times out"]
pub struct Ticket(u64);

/// The answer to a fetch, status 200.
#[derive(Clone, Copy, Debug)]
pub struct Fetched<'a> {
    /// The body.
    pub body: &'a [u8],
    /// The field `Content-Type`.
    pub content_type: &'a str,
    /// The field `Cache-Control`, empty if there is none.
    pub cache_control: &'a str,
}

/// The key set of one issuer from one place, shared between threads.
#[derive(Debug)]
pub struct KeySetCache {
    provider: CryptoProvider,
    issuer: String,
    url: String,
    options: CacheOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<KeySet>>,
    /// Until when the current set is used.
    until: u64,
    /// When the next fetch is due.
    due: u64,
    /// When the last fetch began.
    begun: Option<u64>,
    in_flight: bool,
    /// Numbers the fetches; a result of an older one than the current set's is ignored.
    tickets: u64,
    applied: u64,
    failures: u64,
}

impl KeySetCache {
    /// A cache without keys, whose first fetch is due at once.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] when `url` is not an `https` URL.
    pub fn new(provider: CryptoProvider, issuer: &str, url: &str) -> Result<Self, Error> {
        Self::with_options(provider, issuer, url, CacheOptions::default())
    }

    /// As [`KeySetCache::new`], with other options.
    ///
    /// # Errors
    ///
    /// As [`KeySetCache::new`].
    pub fn with_options(
        provider: CryptoProvider,
        issuer: &str,
        url: &str,
        options: CacheOptions,
    ) -> Result<Self, Error> {
        let host = url.strip_prefix("https://").unwrap_or_default();
        if host.is_empty() || host.starts_with(['/', '?', '#', ':']) {
            return Err(Error::InvalidOption {
                option: "url",
                range: "an https URL",
            });
        }
        Ok(Self {
            provider,
            issuer: issuer.to_owned(),
            url: url.to_owned(),
            options,
            state: Mutex::default(),
        })
    }

    /// The issuer whose tokens these keys verify, and no other's.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where the set is fetched.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The keys of this moment.
    ///
    /// # Errors
    ///
    /// [`Error::NoKeys`] before the first fetch, and when the last one that succeeded is too long ago.
    pub fn keys(&self, now: UnixTime) -> Result<Arc<KeySet>, Error> {
        let state = self.state();
        let keys = state.current.as_ref().ok_or(Error::NoKeys)?;
        if now.as_secs() > state.until {
            return Err(Error::NoKeys);
        }
        Ok(Arc::clone(keys))
    }

    /// Whether the caller is to fetch now. At most one fetch is under way at a time, and at most one
    /// begins in [`CacheOptions::min_interval`], however many ask.
    ///
    /// A clock that was set back further than that makes a fetch due at once, since nobody can tell any more how old the set
    /// is; it is then used for [`CacheOptions::max_staleness`] at most.
    pub fn begin(&self, reason: Reason, now: UnixTime) -> Option<Ticket> {
        let now = now.as_secs();
        let mut state = self.state();
        let mut set_back = false;
        if let Some(begun) = state.begun {
            let pause = if state.in_flight {
                self.options.fetch_timeout.max(self.options.min_interval)
            } else {
                self.options.min_interval
            };
            if now.abs_diff(begun) < pause.as_secs() {
                return None;
            }
            set_back = now < begun;
        }
        if set_back {
            let until = now.saturating_add(self.options.max_staleness.as_secs());
            state.until = state.until.min(until);
        } else if reason == Reason::Scheduled && now < state.due {
            return None;
        }
        state.begun = Some(now);
        state.in_flight = true;
        state.tickets += 1;
        Some(Ticket(state.tickets))
    }

    /// Takes the answer to a fetch. The set is replaced as a whole, or kept as it was.
    ///
    /// # Errors
    ///
    /// [`Error::WrongMediaType`], and as [`KeySet::from_jwks_slice`]; also [`Error::NoKeys`] for a set in
    /// which no key can be used. The old keys then stay until they are too old.
    pub fn complete(
        &self,
        ticket: Ticket,
        answer: &Fetched<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let keys = match self.read(answer) {
            Ok(keys) => keys,
            Err(error) => {
                self.fail(ticket, now);
                return Err(error);
            }
        };
        let options = &self.options;
        let interval = max_age(answer.cache_control)
            .unwrap_or(options.default_interval.as_secs())
            .min(options.max_interval.as_secs())
            .max(options.min_interval.as_secs());
        let mut state = self.state();
        state.finish(&ticket);
        if ticket.0 > state.applied {
            state.applied = ticket.0;
            state.current = Some(Arc::new(keys));
            state.due = now.as_secs().saturating_add(interval);
            state.until = state.due.saturating_add(options.max_staleness.as_secs());
        }
        Ok(())
    }

    /// Tells that a fetch failed: the next one waits for [`CacheOptions::min_interval`].
    pub fn fail(&self, ticket: Ticket, now: UnixTime) {
        let mut state = self.state();
        state.finish(&ticket);
        state.failures += 1;
        state.due = now
            .as_secs()
            .saturating_add(self.options.min_interval.as_secs());
    }

    /// How many fetches have failed so far: for a metric.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.state().failures
    }

    fn read(&self, answer: &Fetched<'_>) -> Result<KeySet, Error> {
        let essence = answer.content_type.split(';').next().unwrap_or_default();
        let accepted = ["application/jwk-set+json", "application/json"];
        if !accepted
            .iter()
            .any(|accepted| essence.trim_ascii().eq_ignore_ascii_case(accepted))
        {
            return Err(Error::WrongMediaType);
        }
        let keys = KeySet::from_jwks_slice_with(&self.provider, answer.body, &self.options.limits)?;
        // An issuer without a single key is more likely broken than out of business.
        if keys.keys().is_empty() {
            return Err(Error::NoKeys);
        }
        Ok(keys)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn finish(&mut self, ticket: &Ticket) {
        if ticket.0 == self.tickets {
            self.in_flight = false;
        }
    }
}

/// `max-age` in seconds (RFC 9111 section 5.2.2.1); 0 for an answer that must not be reused.
fn max_age(cache_control: &str) -> Option<u64> {
    let mut directives = cache_control.split(',').map(str::trim_ascii);
    let is = |directive: &str, name: &str| directive.eq_ignore_ascii_case(name);
    if directives
        .clone()
        .any(|directive| is(directive, "no-store") || is(directive, "no-cache"))
    {
        return Some(0);
    }
    directives.find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let digits = value.trim_matches('"');
        let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // A number that is too large means for ever.
        (is(name, "max-age") && number).then(|| digits.parse().unwrap_or(u64::MAX))
    })
}

#[cfg(test)]
#[cfg(feature = "ring")]
mod tests;
