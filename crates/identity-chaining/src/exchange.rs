//! The first leg at the authorization server of domain A: a token in, a grant for domain B out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::Response;
use http::request::Parts;
use jose_x509::Signer;
use jose_x509::jwt::Jwt;
use pki_types::UnixTime;
use serde_json::{Map, Value};
use token_exchange::{
    Authority, Error as Wire, Form, ScopeSet, SubjectToken, TokenExchangeRequest,
    TokenExchangeResponse, TokenType, TokenUse,
};

use crate::error::Error;
use crate::grant::{AUTHORIZATION_GRANT_TYPE, GrantIssuer, IssuedGrant, NewGrant};
use crate::party::{Client, ClientRules};
use crate::proof::ProofCheck;
use crate::url::ServerUrl;

mod broker;

pub use broker::{BrokeredRequest, BrokeredToken};

/// An authorization server for which grants are issued, and for whom.
#[derive(Clone, Debug)]
pub struct Partner {
    issuer: ServerUrl,
    names: Vec<String>,
    resources: Vec<String>,
    further: Vec<ServerUrl>,
    scopes: ScopeSet,
    clients: BTreeMap<String, Option<String>>,
}

impl Partner {
    /// A server with this issuer identifier, and the scopes that a grant may carry to it. No client may ask yet.
    #[must_use]
    pub fn new(issuer: ServerUrl, scopes: ScopeSet) -> Self {
        Self {
            issuer,
            names: Vec::new(),
            resources: Vec::new(),
            further: Vec::new(),
            scopes,
            clients: BTreeMap::new(),
        }
    }

    /// A name by which `audience` may call it, beside its issuer identifier.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// A URI by which `resource` may call it, beside its issuer identifier.
    #[must_use]
    pub fn with_resource(mut self, uri: impl Into<String>) -> Self {
        self.resources.push(uri.into());
        self
    }

    /// Names a second server in every grant. Each of them could redeem the grant at the other.
    #[must_use]
    pub fn with_further_audience(mut self, issuer: ServerUrl) -> Self {
        self.further.push(issuer);
        self
    }

    /// Lets a client ask, under its own identifier and, where that is known, under the one that it has at the partner:
    /// the grant is then for this client alone.
    #[must_use]
    pub fn permit(mut self, client: impl Into<String>, at_partner: Option<&str>) -> Self {
        self.clients
            .insert(client.into(), at_partner.map(str::to_owned));
        self
    }

    fn is_called(&self, name: &str) -> bool {
        self.issuer.as_str() == name || self.names.iter().any(|one| one == name)
    }

    fn is_at(&self, resource: &str) -> bool {
        self.issuer.as_str() == resource || self.resources.iter().any(|one| one == resource)
    }
}

/// What a verified subject token says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChainingSubject {
    /// The subject, in the names of domain A.
    pub subject: String,
    /// What the token grants.
    pub scope: ScopeSet,
    /// `aud`.
    pub audience: Vec<String>,
    /// `client_id` or `azp`.
    pub client_id: Option<String>,
    /// When it ends, in seconds since the epoch.
    pub expires: Option<u64>,
    /// All of its claims, for the transcription.
    pub claims: Map<String, Value>,
}

impl ChainingSubject {
    /// A subject without any permission.
    #[must_use]
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            scope: ScopeSet::default(),
            audience: Vec::new(),
            client_id: None,
            expires: None,
            claims: Map::new(),
        }
    }

    /// Reads a JWT that its own validator accepted.
    ///
    /// # Errors
    ///
    /// [`Error::SubjectToken`] for claims that are missing or malformed.
    pub fn from_jwt(jwt: &Jwt) -> Result<Self, Error> {
        let claims = jwt.claims_map().map_err(Error::SubjectToken)?;
        let wrong = |claim| Error::SubjectToken(jose_x509::Error::ClaimType { claim });
        let text = |claim: &'static str| match claims.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(claim)),
        };
        let client_id = match (text("client_id")?, text("azp")?) {
            (Some(client), Some(party)) if client != party => return Err(wrong("azp")),
            (client, party) => client.or(party),
        };
        let scope = text("scope")?.unwrap_or_default();
        let missing = jose_x509::Error::MissingClaim { claim: "sub" };
        Ok(Self {
            subject: jwt
                .subject()
                .ok_or(Error::SubjectToken(missing))?
                .to_owned(),
            scope: ScopeSet::parse(&scope).map_err(|_| wrong("scope"))?,
            audience: jwt.audience().map(str::to_owned).collect(),
            client_id,
            expires: jwt.expires(),
            claims,
        })
    }

    /// Whether the token was made for this client: `client_id` or `azp` says so, or, where there is neither, `aud` does.
    #[must_use]
    pub fn is_for(&self, client: &Client) -> bool {
        match &self.client_id {
            Some(id) => id == client.id(),
            None => self.audience.iter().any(|one| one == client.id()),
        }
    }
}

/// Verifies subject tokens.
pub trait SubjectTokens: Send + Sync {
    /// Verifies a token: type, signature, times, revocation, and that this server issued it or trusts who did.
    ///
    /// # Errors
    ///
    /// [`Error::SubjectToken`], or [`Error::Request`] for an unsupported type.
    fn verify(
        &self,
        token: &SubjectToken,
        client: &Client,
        now: UnixTime,
    ) -> Result<ChainingSubject, Error>;
}

/// What a grant is about to be issued on.
#[derive(Debug)]
#[non_exhaustive]
pub struct ChainingFacts<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// The issuer identifier of the partner.
    pub partner: &'a str,
    /// For whom.
    pub subject: &'a ChainingSubject,
}

/// How the subject and its claims are told to another domain. The defaults tell the same `sub` and nothing else.
pub trait Transcription: Send + Sync {
    /// `sub`; `None` refuses.
    fn subject(&self, facts: &ChainingFacts<'_>) -> Option<String> {
        Some(facts.subject.subject.clone())
    }

    /// The subject's scopes in the partner's vocabulary. The agreed scopes and the request narrow them.
    fn scopes(&self, facts: &ChainingFacts<'_>) -> ScopeSet {
        facts.subject.scope.clone()
    }

    /// Further claims of the grant.
    fn claims(&self, _facts: &ChainingFacts<'_>) -> Map<String, Value> {
        Map::new()
    }

    /// A last look: `false` refuses.
    fn allows(&self, _facts: &ChainingFacts<'_>) -> bool {
        true
    }
}

/// A transcription by tables: subjects by name, and the names of the claims that are copied.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    subjects: Option<BTreeMap<String, String>>,
    claims: Vec<String>,
}

impl Transcript {
    /// The same subject, no claims.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells `subject` as `other`. Once one subject has another name, a subject without one is refused.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>, other: impl Into<String>) -> Self {
        self.subjects
            .get_or_insert_default()
            .insert(subject.into(), other.into());
        self
    }

    /// Copies a claim of the subject token.
    #[must_use]
    pub fn with_claim(mut self, name: impl Into<String>) -> Self {
        self.claims.push(name.into());
        self
    }
}

impl Transcription for Transcript {
    fn subject(&self, facts: &ChainingFacts<'_>) -> Option<String> {
        let own = &facts.subject.subject;
        match &self.subjects {
            None => Some(own.clone()),
            Some(names) => names.get(own).cloned(),
        }
    }

    fn claims(&self, facts: &ChainingFacts<'_>) -> Map<String, Value> {
        let known = |name: &String| Some((name.clone(), facts.subject.claims.get(name)?.clone()));
        self.claims.iter().filter_map(known).collect()
    }
}

/// The token endpoint of domain A, as far as grants are concerned.
pub struct GrantService<S> {
    issuer: GrantIssuer<S>,
    partners: Vec<Partner>,
    tokens: Arc<dyn SubjectTokens>,
    transcription: Arc<dyn Transcription>,
    clients: ClientRules,
    proofs: Option<ProofCheck>,
}

impl<S: Signer> GrantService<S> {
    /// A service that issues with `issuer` and takes what `tokens` accepts. It knows no partner yet.
    #[must_use]
    pub fn new(issuer: GrantIssuer<S>, tokens: Arc<dyn SubjectTokens>) -> Self {
        Self {
            issuer,
            partners: Vec::new(),
            tokens,
            transcription: Arc::new(Transcript::new()),
            clients: ClientRules::new(),
            proofs: None,
        }
    }

    /// Adds a partner.
    #[must_use]
    pub fn with_partner(mut self, partner: Partner) -> Self {
        self.partners.push(partner);
        self
    }

    /// Sets how subjects and claims are told to partners.
    #[must_use]
    pub fn with_transcription(mut self, transcription: Arc<dyn Transcription>) -> Self {
        self.transcription = transcription;
        self
    }

    /// Sets which clients are served.
    #[must_use]
    pub fn with_clients(mut self, clients: ClientRules) -> Self {
        self.clients = clients;
        self
    }

    /// Sets how the DPoP proofs of clients for whom this server redeems grants itself are checked; without it they are
    /// not looked at. A plain grant has no key.
    #[must_use]
    pub fn with_proofs(mut self, proofs: ProofCheck) -> Self {
        self.proofs = Some(proofs);
        self
    }

    /// Answers a request for a grant.
    #[must_use]
    pub fn handle(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        now: UnixTime,
    ) -> Response<Vec<u8>> {
        match self.exchange(parts, body, client, now) {
            Ok(grant) => grant_response(&grant, TokenType::Jwt),
            Err(error) => error.to_response(),
        }
    }

    /// Decides on a request for a grant.
    ///
    /// # Errors
    ///
    /// [`Error`] for the first rule that is broken: the client, the request, the target, the subject token, its
    /// binding, the transcription, the scope.
    pub fn exchange(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        now: UnixTime,
    ) -> Result<IssuedGrant, Error> {
        let client = self.clients.check(client)?;
        let request = self.read(parts, body)?;
        if !matches!(&request.requested_token_type, None | Some(TokenType::Jwt)) {
            return Err(unsupported());
        }
        let (grant, _) = self.decide(&request, client, now)?;
        self.issuer.issue(&grant, now)
    }

    fn read(&self, parts: &Parts, body: &[u8]) -> Result<TokenExchangeRequest, Error> {
        let form = Form::from_request(parts, body)?;
        let request = TokenExchangeRequest::from_form(&form)?;
        for (name, present) in [
            ("actor_token", request.actor.is_some()),
            (
                "authorization_details",
                request.authorization_details.is_some(),
            ),
        ] {
            if present {
                return Err(Wire::InvalidParameter { name }.into());
            }
        }
        if request.audiences.is_empty() && request.resources.is_empty() {
            return Err(Wire::MissingParameter { name: "audience" }.into());
        }
        Ok(request)
    }

    /// What the grant says, and to which partner.
    fn decide(
        &self,
        request: &TokenExchangeRequest,
        client: &Client,
        now: UnixTime,
    ) -> Result<(NewGrant, &Partner), Error> {
        let partner = self.partner(request)?;
        let at_partner = partner
            .clients
            .get(client.id())
            .ok_or(Error::UnauthorizedClient)?;
        let subject = self.tokens.verify(&request.subject, client, now)?;
        if !subject.is_for(client) {
            return Err(Error::SubjectNotBound);
        }
        let facts = ChainingFacts {
            client,
            partner: partner.issuer.as_str(),
            subject: &subject,
        };
        let name = self
            .transcription
            .subject(&facts)
            .ok_or(Error::SubjectUnmapped)?;
        if !self.transcription.allows(&facts) {
            return Err(Error::Refused);
        }
        let ceiling = self.transcription.scopes(&facts);
        let scope = narrow_scope(&[&ceiling, &partner.scopes], request.scope.as_ref())?;
        let mut grant = NewGrant::new(AUTHORIZATION_GRANT_TYPE, name, partner.issuer.as_str());
        let further = partner.further.iter().map(|one| one.as_str().to_owned());
        grant.audience.extend(further);
        grant.scope = Some(scope);
        grant.client_id.clone_from(at_partner);
        grant.claims = self.transcription.claims(&facts);
        if grant.claims.contains_key("act") {
            return Err(Error::ReservedClaim { claim: "act" });
        }
        grant.not_after = subject.expires;
        Ok((grant, partner))
    }

    /// The one partner that every `audience` and `resource` names.
    fn partner(&self, request: &TokenExchangeRequest) -> Result<&Partner, Error> {
        let find = |test: &dyn Fn(&Partner) -> bool| {
            let found = self.partners.iter().find(|partner| test(partner));
            found.ok_or(Error::UnknownServer)
        };
        let by_name = request
            .audiences
            .iter()
            .map(|name| find(&|partner: &Partner| partner.is_called(name)));
        let by_uri = request
            .resources
            .iter()
            .map(|uri| find(&|partner: &Partner| partner.is_at(uri.as_str())));
        let mut named = by_name.chain(by_uri);
        let first = named.next().ok_or(Error::UnknownServer)??;
        for other in named {
            if other?.issuer != first.issuer {
                return Err(Error::ServersDisagree);
            }
        }
        Ok(first)
    }
}

impl<S> fmt::Debug for GrantService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantService")
            .field("partners", &self.partners)
            .finish_non_exhaustive()
    }
}

fn unsupported() -> Error {
    let name = "requested_token_type";
    Wire::UnsupportedTokenType { name }.into()
}

/// The scopes within every ceiling: those that were asked for, which have to be among them, or else all.
///
/// # Errors
///
/// [`Error::ScopeNotGranted`] for more, and for nothing.
pub fn narrow_scope(
    ceilings: &[&ScopeSet],
    requested: Option<&ScopeSet>,
) -> Result<ScopeSet, Error> {
    let bounds: Vec<Authority> = ceilings
        .iter()
        .map(|scopes| Authority::unbounded().with_scopes((*scopes).clone()))
        .collect();
    let all = Authority::intersection(&bounds);
    let all = all.scopes.only().ok_or(Error::ScopeNotGranted)?;
    let wanted = requested.unwrap_or(all);
    if wanted.is_empty() || !wanted.is_subset(all) {
        return Err(Error::ScopeNotGranted);
    }
    Ok(wanted.clone())
}

/// The answer that carries a grant (draft section 2.3.3).
#[must_use]
pub fn grant_response(grant: &IssuedGrant, issued: TokenType) -> Response<Vec<u8>> {
    let mut response = TokenExchangeResponse::new(grant.as_str(), issued, TokenUse::NotApplicable)
        .with_expires_in(grant.expires_in());
    response.scope = grant.scope().cloned();
    response.to_response()
}
