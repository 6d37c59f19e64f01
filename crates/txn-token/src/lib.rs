#![doc = include_str!("../README.md")]

pub mod actor;
pub mod agentic;
pub mod audit;
#[cfg(feature = "chaining")]
pub mod chaining;
mod claim;
pub mod context;
pub mod ended;
pub mod endpoint;
pub mod error;
pub mod evidence;
pub mod header;
pub mod issue;
pub mod legacy;
pub mod lifetime;
pub mod lineage;
pub mod policies;
pub mod policy;
pub mod replace;
pub mod request;
pub mod requirements;
#[cfg(feature = "server")]
pub mod server;
pub mod service;
pub mod token;
pub mod verify;
mod wire;

pub use actor::{Actor, ChainLink, Outcome};
pub use agentic::AgenticContext;
pub use audit::{AuditRecord, SingleUse};
pub use context::Context;
pub use ended::{EndedTransactions, MemoryEndedTransactions};
pub use endpoint::TokenServiceEndpoint;
pub use error::{Error, PolicyProblem};
pub use evidence::{Evidence, KnownManifests, Provenance};
pub use header::{Propagation, UnverifiedTxnToken};
pub use issue::{IssueRequest, IssuedTxnToken, TxnTokenIssuer};
pub use legacy::LegacyForm;
pub use lifetime::{LifetimePolicy, ReplacementPolicy, SubjectExpiry};
pub use lineage::{AgentPosture, AssuranceLevels, Lineage, LineageProfile};
pub use policies::{CallChainPolicies, Resource};
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
