//! Who an ID-JAG is about: the identity assertion that a client presents, and what the identity provider knows now.

use std::fmt;
use std::sync::Arc;

use jose_x509::KeySource;
use jose_x509::jwt::{Audience, Issuer, Jwt, Type, Validator};
use pki_types::UnixTime;
use serde_json::{Map, Value};
use token_exchange::{ActorChain, MayAct, ScopeSet, SubjectToken, TokenType};

use super::name_id::SamlNameId;
use crate::error::Error;
use crate::party::Client;
use crate::url::ServerUrl;

/// A verified subject token: an ID token, a SAML assertion or a refresh token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdentityAssertion {
    /// The user, as this provider knows them.
    pub user: String,
    /// Whom the assertion is for: `aud` of an ID token, the client of a refresh token, the `Audience` of a SAML assertion.
    pub audience: Vec<String>,
    /// `azp`.
    pub authorized_party: Option<String>,
    /// What a refresh token was granted.
    pub scope: Option<ScopeSet>,
    /// Which servers a refresh token was granted for.
    pub servers: Option<Vec<String>>,
    /// `auth_time`.
    pub auth_time: Option<u64>,
    /// `acr`.
    pub acr: Option<String>,
    /// `amr`.
    pub amr: Vec<String>,
    /// `may_act`.
    pub may_act: Option<MayAct>,
    /// `act`.
    pub actors: Option<ActorChain>,
    /// When it ends, in seconds since the epoch.
    pub expires: Option<u64>,
}

impl IdentityAssertion {
    /// An assertion about a user for one client.
    #[must_use]
    pub fn new(user: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            audience: vec![audience.into()],
            authorized_party: None,
            scope: None,
            servers: None,
            auth_time: None,
            acr: None,
            amr: Vec::new(),
            may_act: None,
            actors: None,
            expires: None,
        }
    }

    /// Whether it is for this client: in `aud`, and `azp` where there is one or has to be one.
    pub(super) fn is_for(&self, client: &str) -> bool {
        let party = self.authorized_party.as_deref();
        self.audience.iter().any(|one| one == client)
            && party.is_none_or(|party| party == client)
            && (self.audience.len() == 1 || party.is_some())
    }
}

/// Verifies subject tokens, and says whether they were revoked.
pub trait IdentityTokens: Send + Sync {
    /// Verifies a token of one of the types that the service takes, wholly but for its audience.
    ///
    /// # Errors
    ///
    /// [`Error::SubjectToken`], or [`Error::Request`] for an unsupported type.
    fn verify(
        &self,
        token: &SubjectToken,
        client: &Client,
        now: UnixTime,
    ) -> Result<IdentityAssertion, Error>;
}

/// Verifies this provider's own ID tokens, and nothing else.
#[derive(Clone)]
pub struct IdTokens {
    issuer: String,
    keys: Arc<dyn KeySource + Send + Sync>,
}

impl IdTokens {
    /// ID tokens with this `iss`, signed by these keys.
    #[must_use]
    pub fn new(issuer: &ServerUrl, keys: Arc<dyn KeySource + Send + Sync>) -> Self {
        Self {
            issuer: issuer.as_str().to_owned(),
            keys,
        }
    }

    fn read(jwt: &Jwt) -> Result<IdentityAssertion, Error> {
        let claims = jwt.claims_map().map_err(Error::SubjectToken)?;
        let wrong = |claim| Error::SubjectToken(jose_x509::Error::ClaimType { claim });
        let text = |claim: &'static str| match claims.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(claim)),
        };
        let amr = match claims.get("amr") {
            None => Vec::new(),
            Some(Value::Array(methods)) => methods
                .iter()
                .map(|method| method.as_str().map(str::to_owned).ok_or(wrong("amr")))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(wrong("amr")),
        };
        let missing = jose_x509::Error::MissingClaim { claim: "sub" };
        let may_act = claims.get("may_act").map(MayAct::from_value).transpose()?;
        let actors = claims.get("act").map(ActorChain::from_value).transpose()?;
        Ok(IdentityAssertion {
            user: jwt
                .subject()
                .ok_or(Error::SubjectToken(missing))?
                .to_owned(),
            audience: jwt.audience().map(str::to_owned).collect(),
            authorized_party: text("azp")?,
            scope: None,
            servers: None,
            auth_time: match claims.get("auth_time") {
                None => None,
                Some(time) => Some(time.as_u64().ok_or(wrong("auth_time"))?),
            },
            acr: text("acr")?,
            amr,
            may_act,
            actors,
            expires: jwt.expires(),
        })
    }
}

impl IdentityTokens for IdTokens {
    fn verify(
        &self,
        token: &SubjectToken,
        _client: &Client,
        now: UnixTime,
    ) -> Result<IdentityAssertion, Error> {
        if token.token_type != TokenType::IdToken {
            let name = "subject_token_type";
            return Err(token_exchange::Error::UnsupportedTokenType { name }.into());
        }
        let validator = Validator::new(
            // OpenID Connect names no type; that of another kind of token is refused.
            Type::AbsentOrOneOf(&["JWT"]),
            Issuer::Exactly(self.issuer.clone()),
            Audience::NotApplicable {
                reason: "the service compares it with the authenticated client",
            },
        )
        .with_required_claim("sub")
        .with_required_claim("aud")
        .with_required_claim("iat");
        let jwt = validator
            .validate(&token.unverified_token, self.keys.as_ref(), now)
            .map_err(Error::SubjectToken)?;
        Self::read(&jwt)
    }
}

impl fmt::Debug for IdTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokens")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// What the provider says of a user to one server: all of it from one record, so that every name is the same user's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UserRecord {
    /// `sub`: what an ID token for that server would have, pairwise or not.
    pub subject: String,
    /// `tenant` of this provider.
    pub tenant: Option<String>,
    /// `email`.
    pub email: Option<String>,
    /// `email_verified`.
    pub email_verified: bool,
    /// `aud_tenant`.
    pub aud_tenant: Option<String>,
    /// `aud_sub`.
    pub aud_sub: Option<String>,
    /// The `NameID` that single sign-on to that server uses, for servers that want one.
    pub name_id: Option<SamlNameId>,
    /// Further claims of an ID token.
    pub claims: Map<String, Value>,
}

impl UserRecord {
    /// A user with nothing but a subject.
    #[must_use]
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            tenant: None,
            email: None,
            email_verified: false,
            aud_tenant: None,
            aud_sub: None,
            name_id: None,
            claims: Map::new(),
        }
    }
}

/// The users of an identity provider, as they are now.
pub trait Users: Send + Sync {
    /// What to say of the user to the server with this issuer identifier; `None` for one that is no longer active.
    fn user(
        &self,
        assertion: &IdentityAssertion,
        server: &str,
        now: UnixTime,
    ) -> Option<UserRecord>;
}
