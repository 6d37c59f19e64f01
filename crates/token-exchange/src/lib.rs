#![doc = include_str!("../README.md")]

pub mod act;
pub mod authority;
pub mod error;
pub mod exchange;
pub mod form;
pub mod introspection;
pub mod request;
pub mod resource;
pub mod response;
pub mod service;
pub mod token_type;

pub use act::{ActorChain, MayAct, Party};
pub use authority::{
    Action, Authority, Bound, Detail, DetailType, DetailTypes, FieldType, Namespace, ScopeSet,
};
pub use error::{Error, OAuthError};
pub use exchange::{Delegation, ExchangePolicy, Grant, PartyKind, VerifiedActor, VerifiedSubject};
pub use form::Form;
pub use introspection::Introspection;
pub use request::{SubjectToken, TokenExchangeRequest};
pub use resource::{ResourceIndicator, ResourceRegistry, ResourceServer, Target, audience_value};
pub use response::{TokenExchangeResponse, TokenUse};
pub use service::{
    AuditRecord, AuthenticatedClient, Caller, ExchangeRules, ExchangeService, Facts,
    JwtAccessTokens, JwtTokens, Permissions, TokenClaims, TokenValidator, TokenWriter, Transport,
};
pub use token_type::TokenType;

/// `grant_type` of a token exchange.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
