//! The identity provider: an identity assertion in, an ID-JAG out (draft section 4.3).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::Response;
use http::request::Parts;
use jose_x509::Signer;
use pki_types::UnixTime;
use serde_json::{Map, Value};
use token_exchange::{
    ActorChain, Authority, DetailTypes, Error as Wire, Form, Party, ResourceIndicator,
    SubjectToken, TokenExchangeRequest, TokenExchangeResponse, TokenType, TokenUse,
};

use super::details;
use super::target::{IdJagTerms, Target};
use super::user::{IdentityAssertion, IdentityTokens, UserRecord, Users};
use crate::error::Error;
use crate::grant::{GrantIssuer, ID_JAG_TYPE, IssuedGrant, NewGrant};
use crate::party::{Client, ClientRules};
use crate::proof::ProofCheck;
use crate::redeem::intersect;

/// What an ID-JAG is about to be issued on.
#[derive(Debug)]
#[non_exhaustive]
pub struct IdJagFacts<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// The issuer identifier of the target.
    pub target: &'a str,
    /// The subject token.
    pub assertion: &'a IdentityAssertion,
    /// The user, as of now.
    pub user: &'a UserRecord,
}

/// What an administrator allows, within the target's terms.
pub trait IdJagPolicy: Send + Sync {
    /// The most that this client gets for this user at this target; what is beyond `terms` is cut off.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::ScopeNotGranted`], [`Error::InsufficientAuthentication`].
    fn decide(&self, _facts: &IdJagFacts<'_>, terms: &IdJagTerms) -> Result<IdJagTerms, Error> {
        Ok(terms.clone())
    }
}

/// Allows what the target's terms say.
#[derive(Clone, Copy, Debug)]
struct ByTerms;

impl IdJagPolicy for ByTerms {}

/// An actor and the names under which subject tokens may call it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NamedActor {
    /// Who acts.
    pub party: Party,
    /// The client that the actor is.
    pub client_id: String,
}

impl NamedActor {
    /// An actor that is this client.
    #[must_use]
    pub fn new(party: Party, client_id: impl Into<String>) -> Self {
        Self {
            party,
            client_id: client_id.into(),
        }
    }
}

/// Verifies actor tokens, for providers that issue delegations.
pub trait ActorTokens: Send + Sync {
    /// Verifies an actor token: signature, type, times, and that it is meant for this provider.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] with [`token_exchange::Error::Token`].
    fn verify(&self, token: &SubjectToken, now: UnixTime) -> Result<NamedActor, Error>;
}

/// The token endpoint of an identity provider, as far as ID-JAGs are concerned.
pub struct IdJagService<S> {
    issuer: GrantIssuer<S>,
    targets: Vec<Target>,
    tokens: Arc<dyn IdentityTokens>,
    users: Arc<dyn Users>,
    policy: Arc<dyn IdJagPolicy>,
    types: DetailTypes,
    clients: ClientRules,
    proofs: ProofCheck,
    service_providers: BTreeMap<String, String>,
    refresh_tokens: bool,
    multi_tenant: bool,
    actors: Option<Arc<dyn ActorTokens>>,
}

const MAX_ACTORS: usize = 4;

impl<S: Signer> IdJagService<S> {
    /// A service that issues with `issuer`, for users that `tokens` and `users` know. It knows no target yet, and takes
    /// ID tokens.
    #[must_use]
    pub fn new(
        issuer: GrantIssuer<S>,
        tokens: Arc<dyn IdentityTokens>,
        users: Arc<dyn Users>,
        proofs: ProofCheck,
    ) -> Self {
        Self {
            issuer,
            targets: Vec::new(),
            tokens,
            users,
            policy: Arc::new(ByTerms),
            types: DetailTypes::default(),
            clients: ClientRules::new(),
            proofs,
            service_providers: BTreeMap::new(),
            refresh_tokens: false,
            multi_tenant: false,
            actors: None,
        }
    }

    /// Adds a target.
    #[must_use]
    pub fn with_target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// Sets the policy.
    #[must_use]
    pub fn with_policy(mut self, policy: Arc<dyn IdJagPolicy>) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the types of `authorization_details` that can be asked for.
    #[must_use]
    pub fn with_detail_types(mut self, types: DetailTypes) -> Self {
        self.types = types;
        self
    }

    /// Sets which clients are served.
    #[must_use]
    pub fn with_clients(mut self, clients: ClientRules) -> Self {
        self.clients = clients;
        self
    }

    /// Takes SAML assertions for this service provider as ones for this client.
    #[must_use]
    pub fn with_service_provider(
        mut self,
        entity: impl Into<String>,
        client: impl Into<String>,
    ) -> Self {
        self.service_providers.insert(entity.into(), client.into());
        self
    }

    /// Takes refresh tokens as subject tokens.
    #[must_use]
    pub fn with_refresh_tokens(mut self) -> Self {
        self.refresh_tokens = true;
        self
    }

    /// Says that `sub` is a name within a tenant. Users without one get no grant.
    #[must_use]
    pub fn with_tenants(mut self) -> Self {
        self.multi_tenant = true;
        self
    }

    /// Takes actor tokens and issues delegations: the actor has to be named by the subject token's `may_act`, or else be
    /// the client that the subject token is for, and joins its `act` chain. By default every actor token is refused.
    #[must_use]
    pub fn with_delegation(mut self, actors: Arc<dyn ActorTokens>) -> Self {
        self.actors = Some(actors);
        self
    }

    /// Answers a request.
    #[must_use]
    pub fn handle(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        now: UnixTime,
    ) -> Response<Vec<u8>> {
        match self.exchange(parts, body, client, now) {
            Ok(issued) => issued.to_response(),
            Err(error) => error.to_response(),
        }
    }

    /// Decides on a request.
    ///
    /// # Errors
    ///
    /// [`Error`] for the first rule that is broken, client authentication before everything else.
    pub fn exchange(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        now: UnixTime,
    ) -> Result<IssuedIdJag, Error> {
        let client = self.clients.check(client)?;
        let form = Form::from_request(parts, body)?;
        let request = TokenExchangeRequest::from_form(&form)?;
        let unsupported = |name| Error::from(Wire::UnsupportedTokenType { name });
        if request.requested_token_type != Some(TokenType::IdJag) {
            return Err(unsupported("requested_token_type"));
        }
        match request.subject.token_type {
            TokenType::IdToken => {}
            TokenType::Saml2 if !self.service_providers.is_empty() => {}
            TokenType::RefreshToken if self.refresh_tokens => {}
            _ => return Err(unsupported("subject_token_type")),
        }
        if request.actor.is_some() && self.actors.is_none() {
            let name = "actor_token";
            return Err(Wire::InvalidParameter { name }.into());
        }
        let target = self.target(&request)?;
        let proof = self.proofs.read(&parts.headers, now)?;
        let assertion = self.tokens.verify(&request.subject, client, now)?;
        self.check_binding(&request, &assertion, client, target)?;
        let user = self
            .users
            .user(&assertion, target.issuer.as_str(), now)
            .ok_or(Error::SubjectUnmapped)?;
        if self.multi_tenant && user.tenant.is_none() {
            return Err(Error::SubjectUnmapped);
        }
        let mut grant = NewGrant::new(ID_JAG_TYPE, &user.subject, target.issuer.as_str());
        grant.client_id = Some(target.client(client, &user)?);
        grant.confirmation = proof.map(|proof| proof.confirmation());
        grant.claims = self.identity_claims(&assertion, &user, target);
        let actors = self.actors(&request, &assertion, client, now)?;
        if let Some(actors) = actors {
            grant.claims.insert("act".to_owned(), actors.to_value());
        }
        let facts = IdJagFacts {
            client,
            target: target.issuer.as_str(),
            assertion: &assertion,
            user: &user,
        };
        let allowed = self.policy.decide(&facts, &target.terms)?;
        let details = self.narrow(&request, &assertion, target, &allowed, &mut grant)?;
        if let Some(details) = &details {
            let claim = "authorization_details".to_owned();
            grant.claims.insert(claim, details.clone());
        }
        Ok(IssuedIdJag {
            grant: self.issuer.issue(&grant, now)?,
            details,
        })
    }

    fn target(&self, request: &TokenExchangeRequest) -> Result<&Target, Error> {
        let [audience] = request.audiences.as_slice() else {
            let name = "audience";
            return Err(if request.audiences.is_empty() {
                Wire::MissingParameter { name }.into()
            } else {
                Wire::RepeatedParameter { name }.into()
            });
        };
        let named = |target: &&Target| target.is_called(audience);
        self.targets.iter().find(named).ok_or(Error::UnknownServer)
    }

    /// The assertion was made for this client, and a refresh token for this server, too.
    fn check_binding(
        &self,
        request: &TokenExchangeRequest,
        assertion: &IdentityAssertion,
        client: &Client,
        target: &Target,
    ) -> Result<(), Error> {
        let bound = if request.subject.token_type == TokenType::Saml2 {
            let mapped = |entity: &String| {
                let known = self.service_providers.get(entity);
                known.is_some_and(|known| known == client.id())
            };
            !assertion.audience.is_empty() && assertion.audience.iter().all(mapped)
        } else {
            assertion.is_for(client.id())
        };
        if !bound {
            return Err(Error::SubjectNotBound);
        }
        match &assertion.servers {
            Some(servers) if !servers.iter().any(|one| one == target.issuer.as_str()) => {
                Err(Error::UnknownServer)
            }
            _ => Ok(()),
        }
    }

    fn identity_claims(
        &self,
        assertion: &IdentityAssertion,
        user: &UserRecord,
        target: &Target,
    ) -> Map<String, Value> {
        let mut claims = user.claims.clone();
        // What is stated below is stated from the record alone.
        for name in ["act", "tenant", "sub_id", "authorization_details"] {
            claims.remove(name);
        }
        let tenant = user.tenant.as_deref();
        let tenant = tenant.filter(|_| self.multi_tenant || target.wants_tenant);
        let name_id = user.name_id.as_ref().filter(|_| target.wants_sub_id);
        let email = user.email.as_deref();
        let stated = [
            ("tenant", tenant.map(Value::from)),
            ("aud_tenant", user.aud_tenant.as_deref().map(Value::from)),
            ("aud_sub", user.aud_sub.as_deref().map(Value::from)),
            ("email", email.map(Value::from)),
            ("email_verified", email.map(|_| user.email_verified.into())),
            ("sub_id", name_id.map(super::SamlNameId::to_value)),
            ("auth_time", assertion.auth_time.map(Value::from)),
            ("acr", assertion.acr.as_deref().map(Value::from)),
            (
                "amr",
                Some(assertion.amr.clone().into()).filter(|_| !assertion.amr.is_empty()),
            ),
        ];
        for (name, value) in stated {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value);
            }
        }
        claims
    }

    /// The chain of a delegation: subject token and actor have to belong together.
    fn actors(
        &self,
        request: &TokenExchangeRequest,
        assertion: &IdentityAssertion,
        client: &Client,
        now: UnixTime,
    ) -> Result<Option<ActorChain>, Error> {
        let (Some(token), Some(actors)) = (&request.actor, &self.actors) else {
            // Who acted stays in: without an actor token there is no new one, and nobody is dropped.
            return Ok(assertion.actors.clone());
        };
        let actor = actors.verify(token, now)?;
        let named = match &assertion.may_act {
            Some(may_act) if !may_act.names(&actor.party) => {
                return Err(Wire::MayActMismatch.into());
            }
            Some(_) => true,
            None => false,
        };
        if !named && actor.client_id != client.id() {
            return Err(Wire::Unbound.into());
        }
        let subject = Party::new(assertion.user.as_str());
        let chain = assertion.actors.as_ref();
        let chain = ActorChain::extend(chain, actor.party, &subject, MAX_ACTORS)?;
        Ok(Some(chain))
    }

    /// Scope, resources and details: the request, within the policy, within the target's terms.
    fn narrow(
        &self,
        request: &TokenExchangeRequest,
        assertion: &IdentityAssertion,
        target: &Target,
        allowed: &IdJagTerms,
        grant: &mut NewGrant,
    ) -> Result<Option<Value>, Error> {
        let permitted = |resource: &&ResourceIndicator| {
            allowed.resources.contains(resource) && target.terms.resources.contains(resource)
        };
        let resources = request.resources.iter().filter(permitted);
        grant.resources = resources.cloned().collect();
        if grant.resources.is_empty() && !request.resources.is_empty() {
            return Err(Error::ForeignResource);
        }
        let mut ceilings = vec![&allowed.scopes, &target.terms.scopes];
        ceilings.extend(&assertion.scope);
        let wanted = request.authorization_details.as_deref();
        grant.scope = match (&request.scope, wanted) {
            (None, Some(_)) => None,
            (scope, _) => Some(intersect(&ceilings, scope.as_ref())?),
        };
        let Some(text) = wanted else {
            return Ok(None);
        };
        let asked = Authority::unbounded().with_details(self.types.request(text)?);
        let bounds = [&asked, &allowed.details, &target.terms.details];
        details::granted(&bounds, &grant.resources).map(Some)
    }
}

impl<S> fmt::Debug for IdJagService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdJagService")
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

/// An ID-JAG that was just issued.
#[derive(Debug)]
pub struct IssuedIdJag {
    grant: IssuedGrant,
    details: Option<Value>,
}

impl IssuedIdJag {
    /// The compact JWT.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.grant.as_str()
    }

    /// The token endpoint's answer.
    #[must_use]
    pub fn to_response(&self) -> Response<Vec<u8>> {
        let mut response = TokenExchangeResponse::new(
            self.grant.as_str(),
            TokenType::IdJag,
            TokenUse::NotApplicable,
        )
        .with_expires_in(self.grant.expires_in());
        response.scope = self.grant.scope().cloned();
        response.authorization_details.clone_from(&self.details);
        response.to_response()
    }
}
