//! Verifying grants, at the authorization server of domain B (RFC 7523 section 3).

use std::collections::BTreeMap;
use std::time::Duration;

use jose_x509::jws::{HeaderRules, Limits, UnverifiedJws};
use jose_x509::jwt::{
    Audience, Confirmation, ConfirmationRule, Issuer, Jwt, Type, Validator, peek_claims,
};
use jose_x509::replay::AsyncReplayGuard;
use jose_x509::{Error as JoseError, ReplayGuard, ReplayKey};
use pki_types::UnixTime;
use serde_json::{Map, Value};
use token_exchange::{ResourceIndicator, ScopeSet};

use super::AUTHORIZATION_GRANT_TYPE;
use super::trust::{Reuse, TrustedIssuer};
use crate::error::Error;
use crate::party::{Client, ClientMethod};
use crate::url::ServerUrl;

const MAX_GRANT: usize = 16 * 1024;

/// What one kind of grant demands of its JWT.
#[derive(Clone, Debug)]
pub struct GrantProfile {
    name: &'static str,
    typ: Type,
    audience: Audience,
    required: &'static [&'static str],
}

impl GrantProfile {
    /// A profile of this type for the server with this issuer identifier, which has to be the only audience. `required`
    /// are claims beyond `iss`, `sub`, `aud` and `exp`.
    #[must_use]
    pub fn new(
        types: &'static [&'static str],
        issuer: &ServerUrl,
        required: &'static [&'static str],
    ) -> Self {
        Self {
            name: types.first().copied().unwrap_or("grant"),
            typ: Type::OneOf(types),
            audience: Audience::Only(vec![issuer.as_str().to_owned()]),
            required,
        }
    }

    /// Verifies an assertion of one of these issuers: type first, then the issuer, which has to be a configured one
    /// before any key is looked at, then everything else.
    ///
    /// # Errors
    ///
    /// [`Error::Grant`], [`Error::UntrustedIssuer`], [`Error::GrantClaim`], [`Error::GrantClient`] for `client_id`
    /// of another client.
    pub fn verify<'i>(
        &self,
        assertion: &str,
        issuers: impl Fn(&str) -> Option<&'i TrustedIssuer>,
        client: &Client,
        now: UnixTime,
    ) -> Result<UnspentGrant, Error> {
        self.verify_as(assertion, |_| self.clone(), issuers, client, now)
    }

    fn verify_as<'i>(
        &self,
        assertion: &str,
        adapt: impl FnOnce(&TrustedIssuer) -> Self,
        issuers: impl Fn(&str) -> Option<&'i TrustedIssuer>,
        client: &Client,
        now: UnixTime,
    ) -> Result<UnspentGrant, Error> {
        let limits = Limits::new(MAX_GRANT, MAX_GRANT).map_err(Error::Grant)?;
        let jws = UnverifiedJws::parse_with(assertion, &HeaderRules::default(), &limits)
            .map_err(Error::Grant)?;
        let claimed = peek_claims(&jws).map_err(Error::Grant)?;
        let issuer = claimed
            .unverified_issuer
            .ok_or(Error::Grant(JoseError::MissingClaim { claim: "iss" }))?;
        let issuer = issuers(&issuer).ok_or(Error::UntrustedIssuer)?;
        let profile = adapt(issuer);
        let mut validator = Validator::new(
            profile.typ,
            Issuer::Exactly(issuer.identifier.clone()),
            profile.audience.clone(),
        )
        .with_algorithms(issuer.algorithms)
        .with_confirmation(ConfirmationRule::Checked)
        .with_required_claim("sub")
        .with_leeway(issuer.leeway)
        .map_err(Error::Grant)?;
        for claim in profile.required {
            validator = validator.with_required_claim(claim);
        }
        let jwt = validator
            .validate_jws(jws, issuer.keys.as_ref(), now)
            .map_err(Error::Grant)?;
        issuer.check_lifetime(&jwt, now)?;
        let grant = AuthorizationGrant::read(&jwt)?;
        if grant
            .client_id
            .as_deref()
            .is_some_and(|id| id != client.id())
        {
            return Err(Error::GrantClient);
        }
        // Nothing but its single use ties a grant to a client that anybody can claim to be.
        let once = issuer.reuse == Reuse::Never || client.method() == ClientMethod::Public;
        let replay_key = match (&grant.id, once) {
            (_, false) => None,
            (None, true) => return Err(Error::Grant(JoseError::MissingClaim { claim: "jti" })),
            (Some(id), true) => Some(ReplayKey::new(
                jwt.key().provider(),
                &[
                    profile.name.as_bytes(),
                    issuer.identifier.as_bytes(),
                    id.as_bytes(),
                ],
            )),
        };
        Ok(UnspentGrant {
            spend_until: grant.expires.saturating_add(issuer.leeway.as_secs()),
            replay_key,
            grant,
        })
    }
}

/// A grant that is right in every way, and may have been redeemed before.
#[derive(Debug)]
pub struct UnspentGrant {
    grant: AuthorizationGrant,
    replay_key: Option<ReplayKey>,
    spend_until: u64,
}

impl UnspentGrant {
    /// The grant, for checks that come before it is spent.
    #[must_use]
    pub fn unspent(&self) -> &AuthorizationGrant {
        &self.grant
    }

    /// Takes the grant, and its one use if it has but one. Call it after every other check has passed.
    ///
    /// # Errors
    ///
    /// [`Error::Grant`] with what the guard says.
    pub fn spend(
        self,
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<AuthorizationGrant, Error> {
        if let Some(key) = self.replay_key {
            let until = UnixTime::since_unix_epoch(Duration::from_secs(self.spend_until));
            replay
                .check_and_insert(key, until, now)
                .map_err(Error::Grant)?;
        }
        Ok(self.grant)
    }

    /// As [`spend`](Self::spend), with a guard behind a network.
    ///
    /// # Errors
    ///
    /// As [`spend`](Self::spend).
    pub async fn spend_async(
        self,
        replay: &(impl AsyncReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<AuthorizationGrant, Error> {
        if let Some(key) = self.replay_key {
            let until = UnixTime::since_unix_epoch(Duration::from_secs(self.spend_until));
            replay
                .check_and_insert_async(key, until, now)
                .await
                .map_err(Error::Grant)?;
        }
        Ok(self.grant)
    }
}

/// A grant after its verification.
#[derive(Clone, Debug)]
pub struct AuthorizationGrant {
    issuer: String,
    subject: String,
    id: Option<String>,
    client_id: Option<String>,
    scope: Option<ScopeSet>,
    resources: Vec<ResourceIndicator>,
    confirmation: Option<Confirmation>,
    expires: u64,
    claims: Map<String, Value>,
}

impl AuthorizationGrant {
    fn read(jwt: &Jwt) -> Result<Self, Error> {
        let claims = jwt.claims_map().map_err(Error::Grant)?;
        let wrong = |claim| Error::GrantClaim { claim };
        let text = |claim: &'static str| match claims.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(_) => Err(wrong(claim)),
        };
        let scope = match claims.get("scope") {
            None => None,
            Some(Value::String(scope)) => Some(ScopeSet::parse(scope).map_err(|_| wrong("scope"))?),
            Some(_) => return Err(wrong("scope")),
        };
        let resources = match claims.get("resource") {
            None => Vec::new(),
            Some(value) => ResourceIndicator::from_value(value).map_err(|_| wrong("resource"))?,
        };
        let missing = |claim| Error::Grant(JoseError::MissingClaim { claim });
        Ok(Self {
            issuer: jwt.issuer().ok_or(missing("iss"))?.to_owned(),
            subject: jwt.subject().ok_or(missing("sub"))?.to_owned(),
            id: jwt.id().map(str::to_owned),
            client_id: text("client_id")?,
            scope,
            resources,
            confirmation: jwt.confirmation().cloned(),
            expires: jwt.expires().ok_or(missing("exp"))?,
            claims,
        })
    }

    /// `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`: a name within the issuer, and nothing without it.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `jti`.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// `client_id`, which is the authenticated client.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// `scope`.
    #[must_use]
    pub fn scope(&self) -> Option<&ScopeSet> {
        self.scope.as_ref()
    }

    /// `resource`.
    #[must_use]
    pub fn resources(&self) -> &[ResourceIndicator] {
        &self.resources
    }

    /// `cnf`.
    #[must_use]
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
    }

    /// `exp`, in seconds since the epoch.
    #[must_use]
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// All claims, as the issuer states them: what they mean here is for an agreement to say.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

/// Verifies plain grants. Immutable; threads share it.
#[derive(Clone, Debug)]
pub struct GrantVerifier {
    profile: GrantProfile,
    names: Vec<String>,
    issuers: BTreeMap<String, TrustedIssuer>,
}

const PLAIN: &[&str] = &[AUTHORIZATION_GRANT_TYPE];
const UNTYPED: &[&str] = &[AUTHORIZATION_GRANT_TYPE, "JWT"];

impl GrantVerifier {
    /// For the server with this issuer identifier and token endpoint, by either of which grants may name it.
    #[must_use]
    pub fn new(issuer: &ServerUrl, token_endpoint: &ServerUrl) -> Self {
        let names = vec![
            issuer.as_str().to_owned(),
            token_endpoint.as_str().to_owned(),
        ];
        Self {
            profile: GrantProfile::new(PLAIN, issuer, &[]),
            names,
            issuers: BTreeMap::new(),
        }
    }

    /// Trusts an issuer.
    #[must_use]
    pub fn trust(mut self, issuer: TrustedIssuer) -> Self {
        self.issuers.insert(issuer.identifier.clone(), issuer);
        self
    }

    /// Verifies an assertion that `client` presents.
    ///
    /// # Errors
    ///
    /// As [`GrantProfile::verify`]; [`Error::GrantPurpose`] for an untyped JWT of another kind.
    pub fn verify(
        &self,
        assertion: &str,
        client: &Client,
        now: UnixTime,
    ) -> Result<UnspentGrant, Error> {
        let adapt = |issuer: &TrustedIssuer| GrantProfile {
            typ: if issuer.untyped {
                Type::AbsentOrOneOf(UNTYPED)
            } else {
                Type::OneOf(PLAIN)
            },
            audience: if issuer.several_audiences {
                Audience::AnyOf(self.names.clone())
            } else {
                Audience::Only(self.names.clone())
            },
            ..self.profile.clone()
        };
        let find = |name: &str| self.issuers.get(name);
        let unspent = self
            .profile
            .verify_as(assertion, adapt, find, client, now)?;
        check_purpose(&unspent.grant)?;
        self.check_requested_key(&unspent.grant, client)?;
        Ok(unspent)
    }

    /// `requested_cnf` is for the issuer alone, as its own client here.
    fn check_requested_key(
        &self,
        grant: &AuthorizationGrant,
        client: &Client,
    ) -> Result<(), Error> {
        let own = self
            .issuers
            .get(&grant.issuer)
            .and_then(|issuer| issuer.own_client.as_deref());
        if grant.claims.contains_key("requested_cnf") && own != Some(client.id()) {
            return Err(Error::GrantClient);
        }
        Ok(())
    }
}

/// Claims that only other kinds of tokens have: ID tokens, event and logout tokens, proofs, transaction tokens.
const OTHER_KINDS: [&str; 11] = [
    "nonce", "at_hash", "c_hash", "s_hash", "events", "htm", "htu", "ath", "req_wl", "wth", "sid",
];

fn check_purpose(grant: &AuthorizationGrant) -> Result<(), Error> {
    if let Some(claim) = OTHER_KINDS
        .into_iter()
        .find(|name| grant.claims.contains_key(*name))
    {
        return Err(Error::GrantPurpose { claim });
    }
    if grant.issuer == grant.subject {
        // A client assertion: who signs it is whom it is about.
        return Err(Error::GrantPurpose { claim: "sub" });
    }
    Ok(())
}
