//! How long a document may be used, and a bounded place to keep it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header};
use pki_types::UnixTime;

use crate::ClientMetadata;

/// Bounds on what the host of a document may ask of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CachePolicy {
    floor: Duration,
    cap: Duration,
    unspecified: Duration,
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self {
            floor: Duration::from_secs(60),
            cap: Duration::from_secs(24 * 60 * 60),
            unspecified: Duration::from_secs(60 * 60),
        }
    }
}

impl CachePolicy {
    /// At least one minute, at most one day, one hour where the host says nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets other bounds. `cap` wins where they cross.
    #[must_use]
    pub fn bounds(mut self, floor: Duration, cap: Duration) -> Self {
        self.floor = floor.min(cap);
        self.cap = cap;
        self
    }

    /// Reads `Cache-Control`, `Age`, `Expires`, `ETag` and `Last-Modified` of a response received at `now`
    /// (RFC 9111 for a private cache: `s-maxage` means nothing here).
    #[must_use]
    pub fn freshness(&self, headers: &HeaderMap, now: UnixTime) -> Freshness {
        let directives = Directives::read(headers);
        let keep = |name| {
            headers
                .get(name)
                .filter(|value| value.len() <= 256)
                .cloned()
        };
        let lifetime = if directives.no_cache {
            Duration::ZERO
        } else if let Some(seconds) = directives.max_age {
            Duration::from_secs(seconds)
        } else if let Some(expires) = headers.get(header::EXPIRES) {
            let base = headers
                .get(header::DATE)
                .and_then(http_date)
                .unwrap_or(now.as_secs());
            // A date that cannot be read is in the past (RFC 9111 section 5.3).
            Duration::from_secs(http_date(expires).unwrap_or(0).saturating_sub(base))
        } else {
            self.unspecified
        };
        let age = headers
            .get(header::AGE)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .unwrap_or(0);
        let lifetime = lifetime
            .saturating_sub(Duration::from_secs(age))
            .clamp(self.floor, self.cap);
        let expires = UnixTime::since_unix_epoch(Duration::from_secs(
            now.as_secs().saturating_add(lifetime.as_secs()),
        ));
        Freshness {
            expires: (!directives.no_store).then_some(expires),
            etag: keep(header::ETAG),
            last_modified: keep(header::LAST_MODIFIED),
        }
    }
}

/// How long a document is fresh, and how to ask whether it changed.
#[derive(Debug, Clone)]
pub struct Freshness {
    expires: Option<UnixTime>,
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

impl Freshness {
    /// Until when the document may be used. `None` after `no-store`: for the current transaction only.
    #[must_use]
    pub const fn expires(&self) -> Option<UnixTime> {
        self.expires
    }

    /// Whether the document may still be used.
    #[must_use]
    pub fn is_fresh(&self, now: UnixTime) -> bool {
        self.expires.is_some_and(|expires| now < expires)
    }

    /// The headers of a conditional request: `If-None-Match`, `If-Modified-Since`.
    pub fn validators(&self) -> impl Iterator<Item = (http::HeaderName, HeaderValue)> {
        let etag = self
            .etag
            .clone()
            .map(|value| (header::IF_NONE_MATCH, value));
        let date = self
            .last_modified
            .clone()
            .map(|value| (header::IF_MODIFIED_SINCE, value));
        etag.into_iter().chain(date)
    }
}

/// Valid documents by the exact text of their URL: bounded, the least recently used one goes first. Errors and invalid
/// documents cannot be put in, and an expired document never comes out.
#[derive(Debug)]
pub struct DocumentCache {
    capacity: usize,
    clock: u64,
    entries: HashMap<String, Entry>,
    order: BTreeMap<u64, String>,
}

#[derive(Debug)]
struct Entry {
    document: Arc<ClientMetadata>,
    freshness: Freshness,
    used: u64,
}

impl Default for DocumentCache {
    fn default() -> Self {
        Self::new(1024)
    }
}

impl DocumentCache {
    /// A cache for `capacity` documents.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            clock: 0,
            entries: HashMap::new(),
            order: BTreeMap::new(),
        }
    }

    /// The fresh document for a `client_id`.
    pub fn get(&mut self, client_id: &str, now: UnixTime) -> Option<Arc<ClientMetadata>> {
        if !self.entries.get(client_id)?.freshness.is_fresh(now) {
            self.remove(client_id);
            return None;
        }
        self.clock = self.clock.wrapping_add(1);
        let entry = self.entries.get_mut(client_id)?;
        self.order.remove(&entry.used);
        entry.used = self.clock;
        self.order.insert(entry.used, client_id.to_owned());
        Some(Arc::clone(&entry.document))
    }

    /// Keeps a document while it is fresh. A `no-store` document is not kept and replaces what was there.
    pub fn insert(&mut self, document: Arc<ClientMetadata>, freshness: Freshness) {
        let client_id = document.client_id().as_str().to_owned();
        self.remove(&client_id);
        if freshness.expires.is_none() || self.capacity == 0 {
            return;
        }
        while self.entries.len() >= self.capacity {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            self.entries.remove(&oldest);
        }
        self.clock = self.clock.wrapping_add(1);
        self.order.insert(self.clock, client_id.clone());
        self.entries.insert(
            client_id,
            Entry {
                document,
                freshness,
                used: self.clock,
            },
        );
    }

    /// Forgets a document at once.
    pub fn remove(&mut self, client_id: &str) {
        if let Some(entry) = self.entries.remove(client_id) {
            self.order.remove(&entry.used);
        }
    }

    /// How many documents are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[derive(Default)]
struct Directives {
    no_store: bool,
    no_cache: bool,
    max_age: Option<u64>,
}

impl Directives {
    fn read(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for value in headers.get_all(header::CACHE_CONTROL) {
            let Ok(value) = value.to_str() else {
                // Unreadable: take the careful reading.
                found.no_cache = true;
                continue;
            };
            for directive in value.split(',') {
                let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
                match name.trim().to_ascii_lowercase().as_str() {
                    "no-store" => found.no_store = true,
                    "no-cache" => found.no_cache = true,
                    // The smallest wins; an argument that is no number counts as stale.
                    "max-age" => {
                        let seconds = argument.trim().trim_matches('"').parse().unwrap_or(0);
                        found.max_age = Some(
                            found
                                .max_age
                                .map_or(seconds, |other: u64| other.min(seconds)),
                        );
                    }
                    _ => {}
                }
            }
        }
        found
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` in seconds since 1970 (RFC 9110 section 5.6.7; the obsolete forms are not read).
fn http_date(value: &HeaderValue) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, date) = value.to_str().ok()?.split_once(", ")?;
    let mut fields = date.split([' ', ':']);
    let mut number = |length: usize| {
        let field = fields.next()?;
        let digits = field.len() == length && field.bytes().all(|byte| byte.is_ascii_digit());
        if length == 3 {
            let month = MONTHS.iter().position(|name| *name == field)?;
            return u64::try_from(month).ok();
        }
        digits.then(|| field.parse::<u64>().ok()).flatten()
    };
    let (day, month, year) = (number(2)?, number(3)?, number(4)?);
    let (hour, minute, second) = (number(2)?, number(2)?, number(2)?);
    if fields.next() != Some("GMT") || fields.next().is_some() {
        return None;
    }
    if !(1..=31).contains(&day) || year < 1970 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years that begin in March put the leap day last; 719468 days lie between 0000-03-01 and 1970-01-01.
    let (year, month) = if month < 2 {
        (year - 1, month + 10)
    } else {
        (year, month - 2)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = (365 * year + leap_days + (153 * month + 2) / 5 + day - 1).checked_sub(719_468)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}
