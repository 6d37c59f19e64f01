//! What events make of an account, at a receiver.

use crate::risc::RiscType;

/// An account as its provider describes it by events. What a receiver did for reasons of its own is not undone by any of
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Account {
    state: AccountState,
    /// Of the last change, in seconds since the epoch.
    changed: u64,
}

/// What the provider says of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AccountState {
    /// It may be used, as far as the provider is concerned.
    #[default]
    Enabled,
    /// It may not be used.
    Disabled,
    /// It does not exist any more.
    Purged,
}

/// What came of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
#[non_exhaustive]
pub enum Outcome {
    /// It was applied.
    Applied,
    /// It is older than what was applied before, so it was not.
    Stale,
    /// It contradicts what is known, such as an account that is enabled after it was purged: it was not applied.
    Inconsistent,
    /// It is about something else than the state of the account, and for the application to handle.
    Unhandled,
}

impl Account {
    /// What is known.
    #[must_use]
    pub const fn state(&self) -> AccountState {
        self.state
    }

    /// Applies an event that happened at `time`, in seconds since the epoch: see
    /// [`SecurityEventToken::time_of_event`](crate::SecurityEventToken::time_of_event).
    pub fn receive(&mut self, kind: RiscType, time: u64) -> Outcome {
        let state = match kind {
            RiscType::AccountEnabled => AccountState::Enabled,
            RiscType::AccountDisabled => AccountState::Disabled,
            RiscType::AccountPurged => AccountState::Purged,
            _ => return Outcome::Unhandled,
        };
        // Of two changes in one second the safer one holds.
        let is_older = time < self.changed
            || (time == self.changed && state == AccountState::Enabled && self.changed != 0);
        if self.state == AccountState::Purged && state != AccountState::Purged {
            return Outcome::Inconsistent;
        }
        if is_older {
            return Outcome::Stale;
        }
        *self = Self {
            state,
            changed: time,
        };
        Outcome::Applied
    }
}
