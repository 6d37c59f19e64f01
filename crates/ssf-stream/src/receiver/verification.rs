//! The states of verifications that were asked for (section 8.1.4).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jose_x509::CryptoProvider;
use pki_types::UnixTime;
use ssf_set::SetErrorCode;
use subtle::ConstantTimeEq;

use crate::error::Error;
use crate::stream::VerificationRequest;

/// The most verifications of one stream that are open at once; the oldest go first.
const OPEN: usize = 16;

/// The verifications that were asked for and have not come. A state is random, good for one event, and good for a time.
///
/// It is known before the request goes out, since the event may come before the answer.
pub struct Verifications {
    open: Mutex<HashMap<String, Vec<Open>>>,
    patience: u64,
}

struct Open {
    state: String,
    until: u64,
    /// `jti` of the event that answered.
    event: Option<String>,
}

impl Default for Verifications {
    fn default() -> Self {
        Self::new(Duration::from_secs(600))
    }
}

impl Verifications {
    /// Waits this long for an event; ten minutes by default.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self {
            open: Mutex::default(),
            patience: patience.as_secs(),
        }
    }

    /// Begins a verification: the request to send.
    ///
    /// # Errors
    ///
    /// [`Error::Set`] when there is no randomness.
    pub fn begin(
        &self,
        provider: &CryptoProvider,
        stream_id: &str,
        now: UnixTime,
    ) -> Result<VerificationRequest, Error> {
        let state = provider
            .random_id()
            .map_err(|error| Error::Set(ssf_set::Error::Token(error)))?;
        let mut open = self.lock();
        let open = open.entry(stream_id.to_owned()).or_default();
        open.retain(|one| one.until > now.as_secs());
        if open.len() >= OPEN {
            open.remove(0);
        }
        open.push(Open {
            state: state.clone(),
            until: now.as_secs().saturating_add(self.patience),
            event: None,
        });
        Ok(VerificationRequest::new(stream_id, Some(state)))
    }

    /// Whether a verification event is to be accepted: one without a state always is. With `id` (its `jti`) the same event may come
    /// again.
    ///
    /// # Errors
    ///
    /// [`SetErrorCode::InvalidState`].
    pub fn check(
        &self,
        stream_id: &str,
        id: &str,
        state: Option<&str>,
        now: UnixTime,
    ) -> Result<(), SetErrorCode> {
        let Some(state) = state else {
            return Ok(());
        };
        let open = self.lock();
        let mut open = open.get(stream_id).into_iter().flatten();
        let fits = |one: &Open| {
            one.until > now.as_secs()
                && bool::from(one.state.as_bytes().ct_eq(state.as_bytes()))
                && one.event.as_deref().is_none_or(|event| event == id)
        };
        match open.any(fits) {
            true => Ok(()),
            false => Err(SetErrorCode::InvalidState),
        }
    }

    /// Ends a verification with the event that answers it. Tells whether one was open.
    pub(super) fn end(&self, stream_id: &str, id: &str, state: &str) -> bool {
        let mut open = self.lock();
        let mut open = open.get_mut(stream_id).into_iter().flatten();
        match open.find(|one| one.state == state && one.event.is_none()) {
            Some(one) => {
                one.event = Some(id.to_owned());
                true
            }
            None => false,
        }
    }

    /// How many verifications of a stream are open.
    #[must_use]
    pub fn open(&self, stream_id: &str, now: UnixTime) -> usize {
        let open = self.lock();
        let open = open.get(stream_id).into_iter().flatten();
        open.filter(|one| one.event.is_none() && one.until > now.as_secs())
            .count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Open>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Verifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifications").finish_non_exhaustive()
    }
}
