#![doc = include_str!("../README.md")]

pub mod error;
pub mod identifier;
pub mod wit;
pub mod wpt;

pub use error::{Error, IdentifierProblem, Token, challenge};
pub use identifier::WorkloadIdentifier;
pub use wit::{TrustAnchors, UnprovenWit, WitAnchors, WitIssuer, WitRequest, WitVerifier};
pub use wpt::{AuthenticatedWorkload, RequestTokens, WireForm, WptBuilder, WptVerifier};
