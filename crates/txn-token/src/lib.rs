#![doc = include_str!("../README.md")]

pub mod actor;
pub mod agentic;
#[cfg(feature = "chaining")]
pub mod chaining;
pub mod context;
pub mod error;
pub mod issue;
pub mod lifetime;
pub mod policy;
pub mod replace;
pub mod request;
pub mod requirements;
pub mod service;
pub mod token;
pub mod verify;

pub use actor::{Actor, ChainLink, Outcome};
pub use agentic::AgenticContext;
pub use context::Context;
pub use error::{Error, PolicyProblem};
pub use issue::{IssueRequest, IssuedTxnToken, TxnTokenIssuer};
pub use lifetime::{LifetimePolicy, ReplacementPolicy, SubjectExpiry};
pub use policy::{CallChainPolicy, Decision, Denial};
pub use replace::ReplaceRequest;
pub use request::TxnTokenRequest;
pub use requirements::{Call, Requirements};
pub use service::{Permissions, TxnTokenService};
pub use token::TxnToken;
pub use verify::TxnTokenVerifier;

/// `typ` of a transaction token.
pub const TXN_TOKEN_TYPE: &str = "txntoken+jwt";
/// The media type.
pub const MEDIA_TYPE: &str = "application/txntoken+jwt";
/// The header field that carries a transaction token between workloads.
pub const TXN_TOKEN_HEADER: http::HeaderName = http::HeaderName::from_static("txn-token");
