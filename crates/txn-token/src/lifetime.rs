//! How long tokens live, and how often they are replaced.

use std::time::Duration;

use crate::error::Error;
use crate::token::Claims;

/// Whether a token, or one that replaces it, may outlive the credential on which it rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectExpiry {
    /// It ends with the subject token, if not before: the default.
    Clamp,
    /// It may end this much later.
    Exceed(Duration),
}

/// Bounds on replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplacementPolicy {
    pub(crate) max_count: usize,
    pub(crate) max_total: Option<u64>,
}

impl ReplacementPolicy {
    /// At most this many replacements of one token, each of which ends no later than its input.
    #[must_use]
    pub const fn new(max_count: usize) -> Self {
        Self {
            max_count,
            max_total: None,
        }
    }

    /// Lets a replacement live longer than its input, until this time after the first token was issued, at most 24 hours. It
    /// ends with the subject token all the same, as [`SubjectExpiry`] says.
    #[must_use]
    pub const fn with_total_lifetime(mut self, total: Duration) -> Self {
        self.max_total = Some(total.as_secs());
        self
    }
}

/// The lifetimes that an issuer gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifetimePolicy {
    pub(crate) default: u64,
    pub(crate) max: u64,
    pub(crate) subject: SubjectExpiry,
    pub(crate) replacement: ReplacementPolicy,
}

/// The longest maximum that can be configured.
const HARD_MAX: u64 = 3600;
/// The most replacements that can be configured.
const HARD_MAX_COUNT: usize = 64;
/// The longest that a transaction can be configured to last, in seconds: what is used once is remembered for as long.
pub(crate) const MAX_TOTAL: u64 = 24 * 3600;

impl LifetimePolicy {
    /// A default and a maximum, in whole seconds.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] unless 0 < default ≤ max ≤ one hour.
    pub fn new(default: Duration, max: Duration) -> Result<Self, Error> {
        let (default, max) = (default.as_secs(), max.as_secs());
        if default == 0 || default > max || max > HARD_MAX {
            return Err(Error::InvalidOption {
                option: "lifetime",
                range: "0 < default <= maximum <= 3600 seconds",
            });
        }
        Ok(Self {
            default,
            max,
            ..Self::default()
        })
    }

    /// Sets the relation to the subject token's end.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an excess above the maximum lifetime.
    pub fn with_subject_expiry(mut self, rule: SubjectExpiry) -> Result<Self, Error> {
        if matches!(rule, SubjectExpiry::Exceed(excess) if excess.as_secs() > self.max) {
            return Err(Error::InvalidOption {
                option: "excess over the subject token",
                range: "at most the maximum lifetime",
            });
        }
        self.subject = rule;
        Ok(self)
    }

    /// Sets the bounds on replacement.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for more than 64 replacements, or a total lifetime above 24 hours.
    pub fn with_replacement(mut self, replacement: ReplacementPolicy) -> Result<Self, Error> {
        if replacement.max_count > HARD_MAX_COUNT {
            return Err(Error::InvalidOption {
                option: "replacements",
                range: "at most 64",
            });
        }
        if replacement.max_total.is_some_and(|total| total > MAX_TOTAL) {
            return Err(Error::InvalidOption {
                option: "total lifetime of replacements",
                range: "at most 24 hours",
            });
        }
        self.replacement = replacement;
        Ok(self)
    }

    /// No token of a transaction ends later than this after the transaction began.
    pub(crate) fn longest(&self) -> u64 {
        self.replacement.max_total.unwrap_or(0).max(HARD_MAX)
    }

    /// When the tokens that rest on a subject token end at the latest, if it has an end.
    pub(crate) fn latest(&self, subject: Option<u64>, now: u64) -> Result<Option<u64>, Error> {
        let Some(end) = subject else {
            return Ok(None);
        };
        if end <= now {
            return Err(Error::SubjectExpired);
        }
        Ok(Some(match self.subject {
            SubjectExpiry::Clamp => end,
            SubjectExpiry::Exceed(excess) => end.saturating_add(excess.as_secs()),
        }))
    }

    /// `exp` of a token issued now that ends at `latest`, if not before.
    pub(crate) fn expiry(
        &self,
        wanted: Option<Duration>,
        latest: Option<u64>,
        now: u64,
    ) -> Result<u64, Error> {
        let lifetime = wanted.map_or(self.default, |wanted| wanted.as_secs().min(self.max));
        let end = now.saturating_add(lifetime).min(latest.unwrap_or(u64::MAX));
        if end <= now {
            return Err(Error::InvalidOption {
                option: "lifetime of the request",
                range: "at least one second",
            });
        }
        Ok(end)
    }

    /// `exp` of a replacement of this token.
    pub(crate) fn replaced_expiry(
        &self,
        wanted: Option<Duration>,
        old: &Claims,
        now: u64,
    ) -> Result<u64, Error> {
        let latest = match self.replacement.max_total {
            None => old.exp,
            Some(total) => old.txn_iat.saturating_add(total),
        };
        if latest <= now {
            return Err(Error::TransactionTooOld);
        }
        let latest = latest.min(old.txn_exp.unwrap_or(u64::MAX));
        self.expiry(wanted, Some(latest), now)
    }
}

impl Default for LifetimePolicy {
    /// 300 seconds, at most 900; never longer than the subject token; at most 8 replacements, none
    /// of which lengthens the life.
    fn default() -> Self {
        Self {
            default: 300,
            max: 900,
            subject: SubjectExpiry::Clamp,
            replacement: ReplacementPolicy::new(8),
        }
    }
}
