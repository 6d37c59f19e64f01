//! Access tokens in the profile of RFC 9068, for one resource each.

use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::{self, Audience, ConfirmationRule, Issuer, Jwt, Type, Validator};
use jose_x509::{Error, KeySet, SigningKey};
use pki_types::UnixTime;
use serde_json::{Map, Value};
use token_exchange::{Party, ScopeSet};

/// `typ` of an access token.
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// What a user delegated to a client.
#[derive(Clone, Debug)]
pub struct Delegated {
    /// The user.
    pub user: String,
    /// The client, by its `client_id`.
    pub client_id: String,
    /// The one resource at which the token is good.
    pub resource: String,
    /// The scopes.
    pub scopes: ScopeSet,
    /// `authorization_details`, if any.
    pub details: Option<Value>,
    /// Who may act on the user's behalf.
    pub may_act: Party,
}

/// Issues access tokens.
#[derive(Debug)]
pub struct AccessTokens {
    issuer: String,
    signer: SigningKey,
    lifetime: Duration,
}

impl AccessTokens {
    /// An issuer, named by its URL.
    #[must_use]
    pub fn new(issuer: impl Into<String>, signer: SigningKey, lifetime: Duration) -> Self {
        Self {
            issuer: issuer.into(),
            signer,
            lifetime,
        }
    }

    /// Issues a token.
    ///
    /// # Errors
    ///
    /// [`Error::SigningFailed`], [`Error::RandomFailed`].
    pub fn issue(&self, delegated: &Delegated, now: UnixTime) -> Result<String, Error> {
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", self.issuer.as_str().into());
        put("sub", delegated.user.as_str().into());
        put("aud", delegated.resource.as_str().into());
        put("client_id", delegated.client_id.as_str().into());
        put("iat", now.as_secs().into());
        put(
            "exp",
            now.as_secs().saturating_add(self.lifetime.as_secs()).into(),
        );
        put("jti", self.signer.provider().random_id()?.into());
        put("scope", delegated.scopes.to_string().into());
        put(
            "may_act",
            token_exchange::MayAct::new(&delegated.may_act).to_value(),
        );
        if let Some(details) = &delegated.details {
            put("authorization_details", details.clone());
        }
        jwt::sign(
            &self.signer,
            &ProtectedHeader::new(ACCESS_TOKEN_TYPE),
            &claims,
        )
    }

    /// How long a token lives, in seconds.
    #[must_use]
    pub fn lifetime(&self) -> u64 {
        self.lifetime.as_secs()
    }

    /// The keys that verify what is issued.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`]; not for a key that was loaded.
    pub fn keys(&self) -> Result<KeySet, Error> {
        KeySet::new(vec![self.signer.verifying_key()?])
    }
}

/// The rules for an access token of `issuer` at `resource`.
#[must_use]
pub fn validator(issuer: &str, resource: &str) -> Validator {
    Validator::new(
        Type::OneOf(&[ACCESS_TOKEN_TYPE]),
        Issuer::Exactly(issuer.to_owned()),
        Audience::Only(vec![resource.to_owned()]),
    )
    .with_required_claim("sub")
    .with_required_claim("client_id")
    .with_required_claim("iat")
    .with_required_claim("jti")
    .with_confirmation(ConfirmationRule::Refused)
}

/// Validates an access token, as the authorization server does. One with `events` tells something and grants nothing: it is
/// refused whatever its type says (RFC 8417, section 4.2).
///
/// # Errors
///
/// [`Error`].
pub fn validate(
    token: &str,
    issuer: &str,
    resource: &str,
    keys: &KeySet,
    now: UnixTime,
) -> Result<Jwt, Error> {
    let jwt = validator(issuer, resource).validate(token, keys, now)?;
    match jwt.claims_map()?.contains_key("events") {
        true => Err(Error::WrongType),
        false => Ok(jwt),
    }
}
