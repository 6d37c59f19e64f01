//! How long a document may be used (RFC 9111).

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use pki_types::UnixTime;

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

    /// The freshness after a `304 Not Modified` with these headers: a new time, and the old validators where the answer
    /// names none.
    #[must_use]
    pub fn renewed(&self, old: &Freshness, headers: &HeaderMap, now: UnixTime) -> Freshness {
        let new = self.freshness(headers, now);
        Freshness {
            expires: new.expires,
            etag: new.etag.or_else(|| old.etag.clone()),
            last_modified: new.last_modified.or_else(|| old.last_modified.clone()),
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
