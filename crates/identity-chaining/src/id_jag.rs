//! Identity Assertion JWT Authorization Grant (draft-ietf-oauth-identity-assertion-authz-grant-04), also called cross-app
//! access: an identity provider states to the authorization server of an application which user a client of both acts for.

mod claims;
mod client;
mod details;
mod issue;
mod metadata;
mod name_id;
mod redeem;
mod target;
mod user;

pub use claims::{IdJagClaims, SubjectId};
pub use client::{IdJagRequest, ReceivedIdJag, parse_saml_refresh, saml_refresh_request};
pub use issue::{ActorTokens, IdJagFacts, IdJagPolicy, IdJagService, IssuedIdJag, NamedActor};
pub use metadata::{advertise_grant_profiles, advertise_issuance, check_client, client_metadata};
pub use name_id::{NameIdField, NameIdKey, NameIdRule, SamlNameId};
pub use redeem::{Accounts, IdJagRedemption, SubjectKey, TrustedIdp};
pub use target::{IdJagTerms, Target};
pub use user::{IdTokens, IdentityAssertion, IdentityTokens, UserRecord, Users};

/// The grant profile, in metadata.
pub const GRANT_PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";
/// The media type.
pub const MEDIA_TYPE: &str = "application/oauth-id-jag+jwt";
/// `format` of a SAML `NameID` in `sub_id`.
pub const SAML_NAMEID: &str = "saml-nameid";
