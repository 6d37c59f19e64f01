//! The signals plane: a transmitter of security events, and receivers that act on them at once.

mod receiver;
mod transmitter;

use ssf_set::caep::RiskLevel;
use ssf_stream::policy::{Action, ResponsePolicy, Trigger};

use crate::net::NetError;

pub use receiver::Receiver;
pub use transmitter::{Pushing, Transmitter, subscribe};

/// Why signals do not flow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalsError {
    /// A SET cannot be issued or is refused.
    #[error(transparent)]
    Set(#[from] ssf_set::Error),
    /// A stream does not work.
    #[error(transparent)]
    Stream(#[from] ssf_stream::Error),
    /// The queue does not take a SET.
    #[error(transparent)]
    Queue(#[from] ssf_stream::queue::QueueError),
    /// The peer cannot be reached.
    #[error(transparent)]
    Net(#[from] NetError),
}

impl SignalsError {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Set(error) => error.code(),
            Self::Stream(error) => error.code(),
            Self::Queue(error) => error.code(),
            Self::Net(_) => "unreachable",
        }
    }
}

/// What a receiver does about which event.
#[derive(Clone, Debug)]
pub struct ResponseRules(pub ResponsePolicy);

/// High risk quarantines the one instance; a revoked session ends the user's delegations.
impl Default for ResponseRules {
    fn default() -> Self {
        Self(
            ResponsePolicy::new()
                .with_rule(
                    Trigger::RiskAtLeast(RiskLevel::High),
                    Action::QuarantineInstance,
                )
                .with_rule(Trigger::SessionRevoked, Action::Revoke),
        )
    }
}
