//! Opting in to RISC and out of it (RISC 1.0 section 2.8).

use crate::error::{Error, Problem};
use crate::risc::{RiscEvent, RiscType};

/// Whether events about an account are exchanged. Both sides keep it for each account.
///
/// ```
/// use std::time::Duration;
/// use ssf_set::risc::{OptOut, RiscType};
///
/// let mut account = OptOut::default();
/// let event = account.initiate(1_800_000_000)?;
/// assert_eq!(event.kind, RiscType::OptOutInitiated);
/// assert!(account.allows(RiscType::AccountDisabled), "whoever hijacked the account hides nothing yet");
/// let day = Duration::from_secs(86_400);
/// assert!(account.complete(day, 1_800_000_000).is_err());
/// account.complete(day, 1_800_086_400)?;
/// assert!(!account.allows(RiscType::AccountDisabled));
/// # Ok::<(), ssf_set::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OptOut {
    /// Events are exchanged.
    #[default]
    OptedIn,
    /// The user wants out; events are still exchanged.
    #[non_exhaustive]
    Initiated {
        /// Since when, in seconds since the epoch.
        since: u64,
    },
    /// Nothing is exchanged but the event that ends this state.
    OptedOut,
}

impl OptOut {
    /// Whether an event about the account may be sent.
    #[must_use]
    pub fn allows(self, kind: RiscType) -> bool {
        self != Self::OptedOut || kind == RiscType::OptIn
    }

    /// The user wants out.
    ///
    /// # Errors
    ///
    /// [`Error::Event`] when the account is not opted in. Then there is nothing to send.
    pub fn initiate(&mut self, now: u64) -> Result<RiscEvent, Error> {
        let may = *self == Self::OptedIn;
        self.change(
            may,
            Self::Initiated { since: now },
            RiscType::OptOutInitiated,
        )
    }

    /// The user thought better of it.
    ///
    /// # Errors
    ///
    /// [`Error::Event`] when opting out was not initiated.
    pub fn cancel(&mut self) -> Result<RiscEvent, Error> {
        let may = matches!(self, Self::Initiated { .. });
        self.change(may, Self::OptedIn, RiscType::OptOutCancelled)
    }

    /// The opt-out takes effect, at least `delay` after it was initiated: who hijacked an account must not be able to
    /// silence it at once.
    ///
    /// # Errors
    ///
    /// [`Error::Event`] when opting out was not initiated, or not long enough ago.
    pub fn complete(&mut self, delay: std::time::Duration, now: u64) -> Result<RiscEvent, Error> {
        let may = match *self {
            Self::Initiated { since } => now >= since.saturating_add(delay.as_secs()),
            _ => false,
        };
        self.change(may, Self::OptedOut, RiscType::OptOutEffective)
    }

    /// The user is back.
    ///
    /// # Errors
    ///
    /// [`Error::Event`] when the account is not opted out.
    pub fn opt_in(&mut self) -> Result<RiscEvent, Error> {
        let may = *self == Self::OptedOut;
        self.change(may, Self::OptedIn, RiscType::OptIn)
    }

    fn change(&mut self, may: bool, to: Self, kind: RiscType) -> Result<RiscEvent, Error> {
        if !may {
            return Err(Error::Event {
                event: kind.name(),
                member: "(state of the account)",
                problem: Problem::Value,
            });
        }
        *self = to;
        RiscEvent::new(kind)
    }

    /// Takes over what a transmitter says; whether it was the next step of its state machine. An effective opt-out is
    /// taken over in any case. Other event types change nothing.
    pub fn receive(&mut self, kind: RiscType, time: u64) -> bool {
        let (in_order, next) = match kind {
            RiscType::OptIn => (*self == Self::OptedOut, Self::OptedIn),
            RiscType::OptOutInitiated => (*self == Self::OptedIn, Self::Initiated { since: time }),
            RiscType::OptOutCancelled => (matches!(self, Self::Initiated { .. }), Self::OptedIn),
            RiscType::OptOutEffective => (matches!(self, Self::Initiated { .. }), Self::OptedOut),
            _ => return true,
        };
        if in_order || kind == RiscType::OptOutEffective {
            *self = next;
        }
        in_order
    }
}
