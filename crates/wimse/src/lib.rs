#![doc = include_str!("../README.md")]

mod audience;
pub mod error;
mod evidence;
pub mod httpsig;
pub mod identifier;
pub mod mtls;
mod peer;
pub mod wit;
pub mod wpt;

pub use error::{Error, IdentifierProblem, PROBLEM_MEDIA_TYPE, Token, challenge};
pub use evidence::{Choice, Evidence, MigrationPolicy, Presented};
pub use identifier::WorkloadIdentifier;
pub use peer::{PeerNames, PeerPolicy};
pub use wit::{
    HeldWit, IssuanceLedger, PendingKey, TrustAnchors, UnprovenWit, WitAnchors, WitIssuer,
    WitRequest, WitVerifier,
};
pub use wpt::{
    AuthenticatedWorkload, RequestTokens, UnverifiedProof, WireForm, WptBuilder, WptVerifier,
};
