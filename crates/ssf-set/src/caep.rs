//! CAEP 1.0: the eight event types. Unknown members are kept in `extra`, and take part in nothing.
//!
//! An event is a notification. Nothing here raises what anyone may do: a `risk-level-change` to
//! `LOW` restores no session, and the claims of a `token-claims-change` are not merged into anything.

mod common;
mod credential;
mod risk;
mod session;

pub(crate) use common::vocabulary;
pub use common::{Common, InitiatingEntity};
pub use credential::{
    AssuranceLevelChange, ChangeDirection, ChangeType, ComplianceStatus, CredentialChange,
    DeviceComplianceChange, TokenClaimsChange,
};
pub use risk::{RiskLevel, RiskLevelChange};
pub(crate) use session::put;
pub use session::{SessionEstablished, SessionPresented, SessionRevoked};

/// What all event type URIs of CAEP begin with.
pub const BASE: &str = "https://schemas.openid.net/secevent/caep/event-type/";
