//! The token exchange of an authorization server, without I/O: a request and who sent it go in, the response comes out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use http::Response;
use http::request::Parts;
use jose_x509::jwt::Confirmation;
use jose_x509::{CryptoProvider, base64url};
use pki_types::UnixTime;

use crate::act::{ActorChain, Party};
use crate::authority::{Authority, Bound, DetailTypes, Details};
use crate::error::Error;
use crate::exchange::{ExchangePolicy, VerifiedActor, VerifiedSubject};
use crate::form::Form;
use crate::request::{SubjectToken, TokenExchangeRequest};
use crate::resource::{ResourceIndicator, ResourceRegistry};
use crate::response::TokenExchangeResponse;
use crate::token_type::TokenType;

mod audit;
mod claims;
mod client;
mod renew;
mod rules;
mod validate;
mod write;

pub use audit::AuditRecord;
pub use claims::TokenClaims;
use client::Who;
pub use client::{AuthenticatedClient, Caller, Permissions, Transport};
pub use renew::{IssuedDelegation, Renewal};
pub use rules::{DefaultRules, ExchangeRules, Facts};
pub use validate::{JwtTokens, Presented, TokenValidator};
pub use write::{JwtAccessTokens, JwtGrants, Readable, TokenWriter};

/// The exchange at the token endpoint.
///
/// No client may exchange anything until [`permit`](Self::permit) says so; no type of token is taken until it has a
/// validator, and none issued until it has a writer. Every token that is issued names its actor.
pub struct ExchangeService {
    issuer: Arc<str>,
    provider: CryptoProvider,
    policy: ExchangePolicy,
    resources: ResourceRegistry,
    types: DetailTypes,
    rules: Arc<dyn ExchangeRules>,
    clients: BTreeMap<String, Permissions>,
    /// The clients that have a name, as their identifier or as a party: an exchange looks its targets up here.
    actors: BTreeMap<String, BTreeSet<String>>,
    validators: BTreeMap<TokenType, Arc<dyn TokenValidator>>,
    writers: BTreeMap<TokenType, Arc<dyn TokenWriter>>,
    introspected: bool,
    plain_loopback: bool,
}

/// What the service issued, and what it has to remember of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exchanged {
    /// The response to the client.
    pub response: TokenExchangeResponse,
    /// The claims of the token, for introspection.
    pub claims: TokenClaims,
    /// The delegation, to renew it.
    pub delegation: IssuedDelegation,
}

/// Most pairs of a detail that is asked for and one that is granted: 32 of each are fine where a field tells them apart, and 16
/// of each where none does.
const MAX_COMPARISONS: usize = 256;

/// Claims that no rule of a server sets.
const OWN: [&str; 15] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "azp",
    "scope",
    "act",
    "may_act",
    "cnf",
    "authorization_details",
    "grant_id",
];

impl ExchangeService {
    /// A service of the authorization server `issuer`, for these resources.
    #[must_use]
    pub fn new(
        issuer: impl Into<Arc<str>>,
        provider: &CryptoProvider,
        policy: ExchangePolicy,
        resources: ResourceRegistry,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            provider: *provider,
            policy,
            resources,
            types: DetailTypes::default(),
            rules: Arc::new(DefaultRules),
            clients: BTreeMap::new(),
            actors: BTreeMap::new(),
            validators: BTreeMap::new(),
            writers: BTreeMap::new(),
            introspected: false,
            plain_loopback: false,
        }
    }

    /// Lets a client exchange tokens, within its permissions and no earlier ones.
    #[must_use]
    pub fn permit(mut self, client_id: impl Into<String>, permissions: Permissions) -> Self {
        let client_id = client_id.into();
        if let Some(earlier) = self.clients.remove(&client_id) {
            for name in earlier.names(&client_id) {
                if let Some(owners) = self.actors.get_mut(name) {
                    owners.remove(&client_id);
                }
            }
        }
        for name in permissions.names(&client_id) {
            let owners = self.actors.entry(name.to_owned()).or_default();
            owners.insert(client_id.clone());
        }
        self.clients.insert(client_id, permissions);
        self
    }

    /// Takes tokens of a type, validated so.
    #[must_use]
    pub fn accept(mut self, token_type: &TokenType, validator: Arc<dyn TokenValidator>) -> Self {
        self.validators.insert(token_type.clone(), validator);
        self
    }

    /// Says that resource servers can ask an introspection endpoint, which answers
    /// [`Introspection`](crate::Introspection) of [`Exchanged::claims`].
    #[must_use]
    pub fn with_introspection(mut self) -> Self {
        self.introspected = true;
        self
    }

    /// Issues tokens of a type, written so.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedTokenType`] for refresh tokens, [`Error::Configuration`] for tokens that are readable by
    /// introspection alone where there is none.
    pub fn issue(
        mut self,
        token_type: &TokenType,
        writer: Arc<dyn TokenWriter>,
    ) -> Result<Self, Error> {
        if *token_type == TokenType::RefreshToken {
            return Err(Error::UnsupportedTokenType {
                name: "requested_token_type",
            });
        }
        if writer.readable() == Readable::ByIntrospection && !self.introspected {
            return Err(Error::Configuration {
                what: "no resource server could read this type of token; call `with_introspection` first",
            });
        }
        self.writers.insert(token_type.clone(), writer);
        Ok(self)
    }

    /// Sets the registered types of authorization details.
    #[must_use]
    pub fn with_detail_types(mut self, types: DetailTypes) -> Self {
        self.types = types;
        self
    }

    /// Sets the rules.
    #[must_use]
    pub fn with_rules(mut self, rules: Arc<dyn ExchangeRules>) -> Self {
        self.rules = rules;
        self
    }

    /// Takes requests without TLS from the same host, for tests.
    #[must_use]
    pub fn dangerous_allow_plain_loopback(mut self) -> Self {
        self.plain_loopback = true;
        self
    }

    /// Answers a request. The record is to be kept, whatever the answer is.
    #[must_use]
    pub fn handle(
        &self,
        parts: &Parts,
        body: &[u8],
        caller: &Caller<'_>,
        now: UnixTime,
    ) -> (Response<Vec<u8>>, AuditRecord) {
        answer(self.exchange(parts, body, caller, now))
    }

    /// Decides on a request. The error is that of the first rule that is broken, authentication before everything else.
    pub fn exchange(
        &self,
        parts: &Parts,
        body: &[u8],
        caller: &Caller<'_>,
        now: UnixTime,
    ) -> (Result<Exchanged, Error>, AuditRecord) {
        self.recorded(now, |record| {
            let (client, permissions) = self.known(caller, record)?;
            let form = Form::from_request(parts, body)?;
            self.decide(&form, (&client, permissions), now, record)
        })
    }

    /// Answers a request whose form was read already, because the client authenticated with parameters of it
    /// (`&*form` has them). Otherwise as [`handle`](Self::handle).
    #[must_use]
    pub fn handle_form(
        &self,
        form: &Form,
        caller: &Caller<'_>,
        now: UnixTime,
    ) -> (Response<Vec<u8>>, AuditRecord) {
        answer(self.exchange_form(form, caller, now))
    }

    /// Decides on a request whose form was read already. Otherwise as [`exchange`](Self::exchange).
    pub fn exchange_form(
        &self,
        form: &Form,
        caller: &Caller<'_>,
        now: UnixTime,
    ) -> (Result<Exchanged, Error>, AuditRecord) {
        self.recorded(now, |record| {
            let (client, permissions) = self.known(caller, record)?;
            self.decide(form, (&client, permissions), now, record)
        })
    }

    fn recorded(
        &self,
        now: UnixTime,
        decide: impl FnOnce(&mut AuditRecord) -> Result<Exchanged, Error>,
    ) -> (Result<Exchanged, Error>, AuditRecord) {
        let mut record = AuditRecord::new(now, self.rules.version());
        let result = decide(&mut record);
        record.refused = result.as_ref().err().map(Error::code);
        (result, record)
    }

    fn decide(
        &self,
        form: &Form,
        (client, permissions): (&AuthenticatedClient, &Permissions),
        now: UnixTime,
        record: &mut AuditRecord,
    ) -> Result<Exchanged, Error> {
        let request = TokenExchangeRequest::from_form(form)?;
        if form
            .get("client_id")
            .is_some_and(|stated| *stated != *client.client_id)
        {
            return Err(Error::InvalidParameter { name: "client_id" });
        }
        let requested = request
            .requested_token_type
            .clone()
            .unwrap_or(TokenType::AccessToken);
        let writer = self
            .writers
            .get(&requested)
            .ok_or(Error::UnsupportedTokenType {
                name: "requested_token_type",
            })?;
        let validator = self.validator(&request.subject, "subject_token_type")?;
        let allowed = permissions
            .targets(&request.subject.token_type, &requested)
            .ok_or(Error::UnauthorizedClient)?;
        let resources = self.wanted(&request, permissions)?;
        if !resources
            .iter()
            .all(|resource| allowed.contains(resource.as_str()))
        {
            return Err(Error::InvalidTarget);
        }
        let bytes = decoded(&request.subject)?;
        let presented = Presented::new(&bytes, "subject", &client.client_id, now);
        let subject = validator
            .validate(&presented, &self.types)?
            .or_scopes(permissions.ceiling.as_ref());
        record.subject = Some(subject.party().clone());
        record.subject_id.clone_from(&subject.id);
        let is_own = subject.party().issuer() == Some(&*self.issuer);
        if subject.chain().is_some()
            && !is_own
            && !validator.asserts_delegation(subject.party().issuer())
        {
            return Err(Error::ForeignDelegation);
        }
        let (actor, spend_actor) = self.actor(&request, client, permissions, now, record)?;
        record.actor = Some(actor.party().clone());
        let grant_id = self.grant_id(&subject, validator.identifying(&presented), is_own);
        record.grant_id = Some(grant_id.clone());
        self.check_current(&subject, &grant_id)?;

        let scopes = request.scope.as_ref().unwrap_or(&permissions.scopes);
        let scopes = scopes.intersect(&permissions.scopes);
        let target = self
            .resources
            .resolve(&resources, None, None, &subject.granted(&scopes))?;
        record.targets.clone_from(&target.audience);
        let mut asked = Authority::unbounded()
            .with_scopes(target.scopes.clone())
            .with_targets(target.audience.iter().cloned());
        if let Some(details) = self.details(&request, permissions, &subject)? {
            asked.details = Bound::Only(details);
        }
        let proven = subject
            .confirmation
            .as_ref()
            .is_none_or(|token| client.proves(token));
        let client_bounds = Authority::unbounded().with_scopes(permissions.scopes.clone());
        let decision =
            self.policy
                .delegate(&subject, &actor, &[&client_bounds], asked, proven, now)?;
        if !self.are_enabled(&decision.actors) {
            return Err(Error::Withdrawn { which: "subject" });
        }
        let delegation = IssuedDelegation {
            client_id: client.client_id.clone(),
            subject: decision.subject,
            subject_name: if is_own {
                subject.party().shared_subject()
            } else {
                self.unique_subject(subject.party())
            },
            actors: decision.actors,
            token_type: requested,
            target,
            scopes: decision.grant.scopes,
            details: decision.grant.authority.details.only().cloned(),
            until: decision.grant.expires,
            grant_id,
            confirmation: client.confirmation.clone(),
        };
        let granted = Granted {
            client,
            subject: Some(&subject),
            delegation,
            expires: decision.grant.expires,
        };
        let claims = self.prepare(&granted, writer.as_ref(), now)?;
        if let Some(spend) = spend_actor {
            spend(&client.client_id)?;
        }
        validator.spend(&presented, &subject)?;
        self.write(granted, claims, writer.as_ref(), now, record)
    }

    /// The client and what it may do, before anything of the request is looked at.
    fn known<'c>(
        &self,
        caller: &Caller<'c>,
        record: &mut AuditRecord,
    ) -> Result<(Cow<'c, AuthenticatedClient>, &Permissions), Error> {
        match caller.transport {
            Transport::Tls => {}
            Transport::PlainLoopback if self.plain_loopback => {}
            Transport::PlainLoopback | Transport::Plain => return Err(Error::PlainTransport),
        }
        let (client, authenticated) = match caller.who {
            Who::Nobody => return Err(Error::Unauthenticated),
            Who::Public(client_id) => (Cow::Owned(AuthenticatedClient::new(client_id)), false),
            Who::Client(client) => (Cow::Borrowed(client), true),
        };
        let permissions = self
            .clients
            .get(&*client.client_id)
            .filter(|permissions| authenticated || permissions.public)
            .ok_or(Error::UnauthorizedClient)?;
        record.client_id = Some(client.client_id.clone());
        Ok((client, permissions))
    }

    fn validator(
        &self,
        token: &SubjectToken,
        name: &'static str,
    ) -> Result<&Arc<dyn TokenValidator>, Error> {
        self.validators
            .get(&token.token_type)
            .ok_or(Error::UnsupportedTokenType { name })
    }

    /// Every target, each by its registered indicator.
    fn wanted(
        &self,
        request: &TokenExchangeRequest,
        permissions: &Permissions,
    ) -> Result<Vec<ResourceIndicator>, Error> {
        let mut resources = Vec::new();
        for target in request.targets() {
            let registered = self.resources.named(target).ok_or(Error::InvalidTarget)?;
            resources.push(registered.clone());
        }
        if resources.is_empty() {
            let default = permissions.default_target.clone();
            resources.push(default.ok_or(Error::InvalidTarget)?);
        }
        Ok(resources)
    }

    /// The subject of the actor token, which has to be the client, or the client itself.
    fn actor<'r>(
        &'r self,
        request: &'r TokenExchangeRequest,
        client: &AuthenticatedClient,
        permissions: &Permissions,
        now: UnixTime,
        record: &mut AuditRecord,
    ) -> Result<(VerifiedActor, Option<Spend<'r>>), Error> {
        let mut spendable: Option<Spend<'r>> = None;
        let mut actor = match &request.actor {
            None => {
                let identity = permissions.identities.first();
                let identity = identity.ok_or(Error::UnauthorizedClient)?.clone();
                VerifiedActor::client(identity, permissions.kind)
            }
            Some(token) => {
                let validator = self.validator(token, "actor_token_type")?;
                let bytes = decoded(token)?;
                let presented = Presented::new(&bytes, "actor", &client.client_id, now);
                let verified = match validator.validate(&presented, &self.types) {
                    Err(Error::Token { source, .. }) => return Err(presented.refused(source)),
                    other => other?,
                };
                record.actor = Some(verified.party().clone());
                record.actor_id.clone_from(&verified.id);
                if verified.chain().is_some() {
                    return Err(Error::ActorHasChain);
                }
                if !permissions.is(verified.party()) {
                    return Err(Error::ActorIsNotClient);
                }
                if verified
                    .confirmation
                    .as_ref()
                    .is_some_and(|token| !client.proves(token))
                {
                    return Err(Error::MissingProof { which: "actor" });
                }
                if verified
                    .id
                    .as_ref()
                    .is_some_and(|id| self.rules.is_revoked(id))
                {
                    return Err(Error::Withdrawn { which: "subject" });
                }
                let actor = VerifiedActor::client(verified.party().clone(), verified.kind())
                    .with_expiry(verified.expires());
                spendable = Some(Box::new(move |client_id: &str| {
                    let presented = Presented::new(&bytes, "actor", client_id, now);
                    validator.spend(&presented, &verified)
                }));
                actor
            }
        };
        actor = actor.with_alias(Arc::clone(&client.client_id));
        for identity in &permissions.identities {
            actor = actor.with_alias(identity.shared_subject());
        }
        for resource in &permissions.serves {
            actor = actor.with_alias(Arc::clone(resource));
        }
        Ok((actor, spendable))
    }

    /// A delegation is good while all who act in it may: the history, too.
    fn are_enabled(&self, actors: &ActorChain) -> bool {
        actors.iter().all(|actor| self.rules.is_enabled(actor))
    }

    fn check_current(&self, subject: &VerifiedSubject, grant_id: &str) -> Result<(), Error> {
        let revoked = subject
            .id
            .as_ref()
            .is_some_and(|id| self.rules.is_revoked(id));
        if revoked || self.rules.is_revoked(grant_id) {
            return Err(Error::Withdrawn { which: "subject" });
        }
        Ok(())
    }

    /// The registered types that the client may use, whether it names them or not.
    fn permitted_types(&self, permissions: &Permissions) -> Cow<'_, DetailTypes> {
        match &permissions.detail_types {
            None => Cow::Borrowed(&self.types),
            Some(names) => Cow::Owned(self.types.limited_to(names.iter().map(String::as_str))),
        }
    }

    /// The details that are asked for, or else those that the subject token has; none where neither has any. Either way
    /// they are of the client's types.
    fn details(
        &self,
        request: &TokenExchangeRequest,
        permissions: &Permissions,
        subject: &VerifiedSubject,
    ) -> Result<Option<Details>, Error> {
        let types = self.permitted_types(permissions);
        let granted = match &subject.authority().details {
            Bound::Only(details) => Some(details),
            Bound::Any => permissions.details.as_ref(),
        };
        let granted = granted.map(|details| details.of_types(&types));
        let Some(text) = &request.authorization_details else {
            // Where none is left of what there was, the decision refuses.
            return Ok(granted);
        };
        let asked = types.request(text)?;
        if request.scope.is_some() && !types.allow_scope(&asked) {
            return Err(Error::InvalidAuthorizationDetails);
        }
        let granted = granted
            .filter(|granted| granted.comparisons(&asked) <= MAX_COMPARISONS)
            .filter(|granted| granted.grants(&asked))
            .ok_or(Error::InvalidAuthorizationDetails)?;
        Ok(Some(granted.intersect(&asked)))
    }

    /// What all tokens out of one source have in common, so that they can be revoked together: a token without `jti` is
    /// known by what identifies it.
    fn grant_id(&self, subject: &VerifiedSubject, identifying: &[u8], is_own: bool) -> Arc<str> {
        let own = subject.grant_id.as_ref().or(subject.id.as_ref());
        match own.filter(|_| is_own) {
            Some(id) => Arc::clone(id),
            None => {
                let issuer = subject.party().issuer().unwrap_or_default();
                let id = subject.id.as_deref().map_or(identifying, str::as_bytes);
                self.hash(&[issuer.as_bytes(), id])
            }
        }
    }

    fn unique_subject(&self, party: &Party) -> Arc<str> {
        let issuer = party.issuer().unwrap_or_default();
        self.hash(&[issuer.as_bytes(), party.subject().as_bytes()])
    }

    /// One text for each list of texts: their lengths are hashed with them.
    fn hash(&self, parts: &[&[u8]]) -> Arc<str> {
        let mut text = Vec::new();
        for part in parts {
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part);
        }
        base64url::encode(&self.provider.sha256(&text)).into()
    }
}

/// Spends the actor token of this client.
type Spend<'r> = Box<dyn FnOnce(&str) -> Result<(), Error> + 'r>;

/// A decision that only the rules of the server can still stop.
struct Granted<'a> {
    client: &'a AuthenticatedClient,
    subject: Option<&'a VerifiedSubject>,
    delegation: IssuedDelegation,
    expires: u64,
}

impl ExchangeService {
    /// What the token is to say. The rules are asked before anything is spent.
    fn prepare(
        &self,
        granted: &Granted<'_>,
        writer: &dyn TokenWriter,
        now: UnixTime,
    ) -> Result<TokenClaims, Error> {
        let delegation = &granted.delegation;
        let facts = delegation.facts(granted.subject);
        self.check_redelegation(&facts)?;
        if !self.rules.allows(&facts) {
            return Err(Error::Refused);
        }
        if self.rules.hides_from_client(&facts) && writer.readable() == Readable::ByAll {
            return Err(Error::Readable);
        }
        let details = match &delegation.details {
            None => None,
            Some(details) => {
                let add = |detail: &_| self.rules.enrich(&facts, detail);
                let details = self.types.enrich(details, add)?;
                let resources = delegation.target.resources.iter();
                let here: Vec<&str> = resources
                    .map(ResourceIndicator::as_str)
                    .chain(delegation.target.audience.iter().map(String::as_str))
                    .collect();
                let details = details.at_locations(&here);
                if details.as_slice().is_empty() {
                    return Err(Error::InvalidAuthorizationDetails);
                }
                Some(details)
            }
        };
        let pseudonym = self.rules.subject(&facts).map(Arc::from);
        let id = self.provider.random_id();
        let id = id.map_err(|source| Error::Issue { source })?;
        let mut further = self.rules.claims(&facts);
        further.retain(|name, _| !OWN.contains(&name.as_str()));
        let claims = TokenClaims {
            iss: Arc::clone(&self.issuer),
            sub: pseudonym.unwrap_or_else(|| Arc::clone(&delegation.subject_name)),
            aud: delegation.target.audience.clone(),
            iat: now.as_secs(),
            exp: granted.expires,
            jti: id.into(),
            client_id: Arc::clone(&delegation.client_id),
            scope: delegation.scopes.clone(),
            act: delegation.actors.clone(),
            may_act: self.rules.may_act(&facts),
            cnf: granted.client.confirmation.clone(),
            authorization_details: details.as_ref().map(Details::to_value),
            grant_id: Arc::clone(&delegation.grant_id),
            further,
        };
        Ok(claims)
    }

    /// A target that is the name of another client that acts: handing the subject over to it is a decision of its own.
    fn check_redelegation(&self, facts: &Facts<'_>) -> Result<(), Error> {
        let is_other_actor = |target: &str| {
            let owners = self.actors.get(target);
            owners.is_some_and(|owners| owners.iter().any(|owner| owner != facts.client_id))
        };
        let refused = facts
            .targets
            .iter()
            .any(|target| is_other_actor(target) && !self.rules.may_redelegate(facts, target));
        if refused {
            Err(Error::Redelegation)
        } else {
            Ok(())
        }
    }

    fn write(
        &self,
        granted: Granted<'_>,
        claims: TokenClaims,
        writer: &dyn TokenWriter,
        now: UnixTime,
        record: &mut AuditRecord,
    ) -> Result<Exchanged, Error> {
        let written = writer
            .write(&claims)
            .map_err(|source| Error::Issue { source })?;
        // Only now: the record of a refusal names nothing as granted.
        record.issued_id = Some(Arc::clone(&claims.jti));
        record.scopes.clone_from(&claims.scope);
        record
            .authorization_details
            .clone_from(&claims.authorization_details);
        let dpop = |confirmation: &Confirmation| confirmation.jkt.is_some();
        let token_use = writer.token_use(granted.client.confirmation.as_ref().is_some_and(dpop));
        let delegation = granted.delegation;
        let mut response =
            TokenExchangeResponse::new(written, delegation.token_type.clone(), token_use)
                .with_expires_in(granted.expires.saturating_sub(now.as_secs()))
                .with_scope(delegation.scopes.clone())
                .with_resources(delegation.target.resources.clone());
        if let Some(details) = &claims.authorization_details {
            response = response.with_authorization_details(details.clone());
        }
        Ok(Exchanged {
            response,
            claims,
            delegation,
        })
    }
}

fn answer(
    (result, record): (Result<Exchanged, Error>, AuditRecord),
) -> (Response<Vec<u8>>, AuditRecord) {
    let response = match result {
        Ok(exchanged) => exchanged.response.to_response(),
        Err(error) => error.oauth_error().to_response(),
    };
    (response, record)
}

/// The bytes that a validator gets.
fn decoded(token: &SubjectToken) -> Result<Cow<'_, [u8]>, Error> {
    let text = &token.unverified_token;
    match token.token_type {
        TokenType::Saml1 | TokenType::Saml2 => {
            let assertion = base64url::decode(text, "SAML assertion");
            let name = "subject_token";
            assertion
                .map(Cow::Owned)
                .map_err(|_| Error::InvalidParameter { name })
        }
        _ => Ok(Cow::Borrowed(text.as_bytes())),
    }
}

impl fmt::Debug for ExchangeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeService")
            .field("issuer", &self.issuer)
            .field("clients", &self.clients.len())
            .field("accepts", &self.validators.keys())
            .field("issues", &self.writers.keys())
            .finish_non_exhaustive()
    }
}
