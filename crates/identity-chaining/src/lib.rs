#![doc = include_str!("../README.md")]

pub mod access;
pub mod client;
pub mod discovery;
pub mod endpoint;
pub mod error;
pub mod exchange;
pub mod grant;
pub mod id_jag;
pub mod party;
pub mod proof;
pub mod redeem;
pub mod response;
pub mod url;

pub use access::AccessGrant;
pub use client::{GrantRequest, Progress, ReceivedGrant, RedeemRequest, Step};
pub use discovery::{AllowedServers, AuthorizationServer};
pub use endpoint::{Received, TokenEndpoint};
pub use error::Error;
pub use exchange::{
    ChainingFacts, ChainingSubject, GrantService, Partner, SubjectTokens, Transcript, Transcription,
};
pub use grant::{
    AuthorizationGrant, GrantIssuer, GrantKind, GrantProfile, GrantVerifier, IssuedGrant, NewGrant,
    Reuse, TrustedIssuer, UnspentGrant,
};
pub use party::{Client, ClientMethod, ClientRules};
pub use proof::ProofCheck;
pub use redeem::{
    GRANT_TYPE, IssuerTerms, JwtBearerRequest, RedemptionService, SubjectTable, Subjects,
};
pub use response::TokenResponse;
pub use url::ServerUrl;
