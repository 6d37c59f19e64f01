//! The resource authorization server: an ID-JAG in, the decision on an access token out (draft section 4.4).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use pki_types::UnixTime;
use token_exchange::{Authority, DetailTypes, ResourceIndicator, ScopeSet};

use super::claims::{IdJagClaims, SubjectId};
use super::details;
use super::name_id::{NameIdKey, NameIdRule, SamlNameId};
use crate::access::{AccessGrant, bind};
use crate::endpoint::{Received, TokenEndpoint};
use crate::error::Error;
use crate::grant::{AuthorizationGrant, GrantProfile, ID_JAG_TYPE, Reuse, TrustedIssuer};
use crate::party::Client;
use crate::proof::ProofCheck;
use crate::redeem::{JwtBearerRequest, intersect};
use crate::url::ServerUrl;

/// An identity provider whose ID-JAGs are accepted, and what they may lead to.
#[derive(Clone, Debug)]
pub struct TrustedIdp {
    issuer: TrustedIssuer,
    scopes: ScopeSet,
    default_scopes: ScopeSet,
    details: Authority,
    clients: Option<BTreeSet<String>>,
    multi_tenant: bool,
    delegation: bool,
    own_names: bool,
    saml: BTreeMap<String, NameIdRule>,
    saml_required: bool,
    email_domains: Vec<String>,
}

impl TrustedIdp {
    /// A provider, and the most that its grants give in scopes; a grant without scope gives none. A grant may be redeemed
    /// by its client, with its key, until it expires.
    #[must_use]
    pub fn new(issuer: TrustedIssuer, scopes: ScopeSet) -> Self {
        Self {
            issuer: issuer.with_reuse(Reuse::UntilExpiry),
            scopes,
            default_scopes: ScopeSet::default(),
            details: Authority::unbounded().with_details(Default::default()),
            clients: None,
            multi_tenant: false,
            delegation: false,
            own_names: false,
            saml: BTreeMap::new(),
            saml_required: false,
            email_domains: Vec::new(),
        }
    }

    /// Lets a grant be redeemed once.
    #[must_use]
    pub fn with_single_use(mut self) -> Self {
        self.issuer = self.issuer.with_reuse(Reuse::Never);
        self
    }

    /// What a grant without `scope` gives.
    #[must_use]
    pub fn with_default_scopes(mut self, scopes: ScopeSet) -> Self {
        self.default_scopes = scopes;
        self
    }

    /// The most that grants give in details; by default they give none.
    #[must_use]
    pub fn with_details(mut self, details: token_exchange::authority::Details) -> Self {
        self.details = Authority::unbounded().with_details(details);
        self
    }

    /// Accepts this provider's grants of these clients only.
    #[must_use]
    pub fn with_client(mut self, client: impl Into<String>) -> Self {
        self.clients.get_or_insert_default().insert(client.into());
        self
    }

    /// Says that the provider's `sub` is a name within a tenant: a grant without `tenant` is refused.
    #[must_use]
    pub fn with_tenants(mut self) -> Self {
        self.multi_tenant = true;
        self
    }

    /// Accepts grants with `act`, whose current actor then acts in the access token, too.
    #[must_use]
    pub fn with_delegation(mut self) -> Self {
        self.delegation = true;
        self
    }

    /// Trusts the provider to know this server's own names of users (`aud_sub`).
    #[must_use]
    pub fn with_own_names(mut self) -> Self {
        self.own_names = true;
        self
    }

    /// Trusts the provider to name users of this SAML issuer.
    #[must_use]
    pub fn with_saml_issuer(mut self, entity: impl Into<String>, rule: NameIdRule) -> Self {
        self.saml.insert(entity.into(), rule);
        self
    }

    /// Demands a SAML `NameID` that finds the user.
    #[must_use]
    pub fn with_saml_required(mut self) -> Self {
        self.saml_required = true;
        self
    }

    /// Says that the provider is the authority for the addresses of a mail domain: verified ones of it find users that
    /// nothing else finds.
    #[must_use]
    pub fn with_email_domain(mut self, domain: impl Into<String>) -> Self {
        self.email_domains.push(domain.into());
        self
    }

    fn is_authority_for(&self, email: &str) -> bool {
        let domain = email.rsplit_once('@').map(|(_, domain)| domain);
        let own = |domain: &str| {
            self.email_domains
                .iter()
                .any(|one| one.eq_ignore_ascii_case(domain))
        };
        domain.is_some_and(own)
    }
}

/// A user within an issuer, and within its tenant where it has tenants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct SubjectKey {
    /// `iss`.
    pub issuer: String,
    /// `tenant`.
    pub tenant: Option<String>,
    /// `sub`.
    pub subject: String,
}

impl SubjectKey {
    /// A user.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        tenant: Option<&str>,
        subject: impl Into<String>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            tenant: tenant.map(str::to_owned),
            subject: subject.into(),
        }
    }
}

/// The accounts of a resource authorization server. What a method is not asked about is never used to find anybody.
pub trait Accounts: Send + Sync {
    /// The account that is linked with a provider's user.
    fn by_subject(&self, key: &SubjectKey) -> Option<String>;

    /// The account with this name of this server's own, within its tenant.
    fn by_own_name(&self, _aud_tenant: Option<&str>, _aud_sub: &str) -> Option<String> {
        None
    }

    /// The account of a SAML user.
    fn by_name_id(&self, _key: &NameIdKey) -> Option<String> {
        None
    }

    /// The account with an address for which the issuer is the authority.
    fn by_email(&self, _issuer: &str, _email: &str) -> Option<String> {
        None
    }

    /// Whether this server has such a tenant, and the account is in it.
    fn is_in_tenant(&self, _aud_tenant: &str, _account: &str) -> bool {
        false
    }

    /// Makes an account for a user that has none, where that is allowed.
    fn provision(&self, _key: &SubjectKey, _claims: &IdJagClaims) -> Option<String> {
        None
    }

    /// A last look, for example at `acr`, `amr` and `auth_time`: `false` refuses.
    fn allows(&self, _account: &str, _claims: &IdJagClaims) -> bool {
        true
    }
}

/// The token endpoint of a resource authorization server, as far as ID-JAGs are concerned.
pub struct IdJagRedemption {
    issuer: ServerUrl,
    profile: GrantProfile,
    idps: BTreeMap<String, TrustedIdp>,
    accounts: Arc<dyn Accounts>,
    endpoint: TokenEndpoint,
    types: DetailTypes,
    proof_required: bool,
}

const TYPES: &[&str] = &[ID_JAG_TYPE];
const REQUIRED: &[&str] = &["jti", "iat", "client_id"];

impl IdJagRedemption {
    /// A server with this issuer identifier, the only name by which grants may call it. Proofs of
    /// possession are always checked: `proofs` takes the place of those of `endpoint`.
    #[must_use]
    pub fn new(
        issuer: ServerUrl,
        accounts: Arc<dyn Accounts>,
        endpoint: TokenEndpoint,
        proofs: ProofCheck,
    ) -> Self {
        Self {
            profile: GrantProfile::new(TYPES, &issuer, REQUIRED),
            issuer,
            idps: BTreeMap::new(),
            accounts,
            endpoint: endpoint.with_proofs(proofs).with_details(),
            types: DetailTypes::default(),
            proof_required: false,
        }
    }

    /// Trusts a provider.
    ///
    /// # Errors
    ///
    /// [`Error::SameDomain`] for this server itself: its own users need no grant to get to it.
    pub fn trust(mut self, idp: TrustedIdp) -> Result<Self, Error> {
        let issuer = idp.issuer.identifier().to_owned();
        if issuer == self.issuer.as_str() {
            return Err(Error::SameDomain);
        }
        self.idps.insert(issuer, idp);
        Ok(self)
    }

    /// Sets the types of `authorization_details` that grants may have. One of another type is refused.
    #[must_use]
    pub fn with_detail_types(mut self, types: DetailTypes) -> Self {
        self.types = types;
        self
    }

    /// Demands a proof of possession, for resources that take no bearer tokens.
    #[must_use]
    pub fn with_proof_required(mut self) -> Self {
        self.proof_required = true;
        self
    }

    /// Whether grants of an issuer are accepted of this client: for an endpoint that tells clients so, each for itself.
    ///
    /// # Errors
    ///
    /// As [`ClientRules::check`](crate::ClientRules::check): nobody else is told anything.
    pub fn accepts(&self, client: Option<&Client>, issuer: &str) -> Result<bool, Error> {
        let client = self.endpoint.clients().check(client)?;
        Ok(self
            .idps
            .get(issuer)
            .is_some_and(|idp| is_known(idp, client)))
    }

    /// Decides on a request. Whoever gets a decision issues the access token and answers with
    /// [`AccessGrant::respond`], else with [`Error::to_response`].
    ///
    /// # Errors
    ///
    /// [`Error`] for the first rule that is broken, client authentication before everything else.
    pub fn redeem(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        now: UnixTime,
    ) -> Result<AccessGrant, Error> {
        let Received {
            client,
            request,
            proof,
        } = self.endpoint.receive(parts, body, client, now)?;
        let find = |name: &str| self.idps.get(name).map(|idp| &idp.issuer);
        let assertion = &request.unverified_assertion;
        let unspent = self.profile.verify(assertion, find, client, now)?;
        let grant = unspent.unspent();
        let idp = self
            .idps
            .get(grant.issuer())
            .ok_or(Error::UntrustedIssuer)?;
        if !is_known(idp, client) {
            return Err(Error::GrantRefused);
        }
        let claims = IdJagClaims::read(grant)?;
        if claims.actors.is_some() && !idp.delegation {
            return Err(Error::UnexpectedActor);
        }
        let account = self.account(idp, grant, &claims)?;
        if !self.accounts.allows(&account, &claims) {
            return Err(Error::GrantRefused);
        }
        let ceiling = grant.scope().unwrap_or(&idp.default_scopes);
        let scope = intersect(&[ceiling, &idp.scopes], request.scope.as_ref())?;
        let target = self.endpoint.target(&request, grant, &scope)?;
        let details = self.details(idp, &claims, &request, &target.resources)?;
        let confirmation = bind(
            grant.confirmation(),
            proof.as_ref(),
            client,
            self.proof_required,
        )?;
        let issuer = grant.issuer();
        let mut decision = AccessGrant::new(issuer, account, client, target, confirmation, None);
        decision.tenant = claims.aud_tenant;
        decision.authorization_details = details;
        decision.actors = claims.actors;
        unspent.spend(self.endpoint.replay(), now)?;
        Ok(decision)
    }

    /// The one account that every usable name of the user leads to.
    fn account(
        &self,
        idp: &TrustedIdp,
        grant: &AuthorizationGrant,
        claims: &IdJagClaims,
    ) -> Result<String, Error> {
        let tenant = match (&claims.tenant, idp.multi_tenant) {
            (None, true) => return Err(Error::GrantClaim { claim: "tenant" }),
            (tenant, true) => tenant.as_deref(),
            (_, false) => None,
        };
        let key = SubjectKey::new(grant.issuer(), tenant, grant.subject());
        let aud_tenant = claims.aud_tenant.as_deref();
        let own = claims
            .aud_sub
            .as_deref()
            .filter(|_| idp.own_names)
            .and_then(|name| self.accounts.by_own_name(aud_tenant, name));
        let found = [
            self.accounts.by_subject(&key),
            own,
            self.by_name_id(idp, claims)?,
        ];
        let mut found = found.into_iter().flatten();
        let first = found.next();
        if found.any(|other| Some(&other) != first.as_ref()) {
            return Err(Error::SubjectConflict);
        }
        let email = claims
            .email
            .as_deref()
            .filter(|email| claims.email_verified && idp.is_authority_for(email));
        let account = first
            .or_else(|| self.accounts.by_email(grant.issuer(), email?))
            .or_else(|| self.accounts.provision(&key, claims))
            .ok_or(Error::UnknownSubject)?;
        match aud_tenant {
            Some(tenant) if !self.accounts.is_in_tenant(tenant, &account) => {
                let claim = "aud_tenant";
                Err(Error::GrantClaim { claim })
            }
            _ => Ok(account),
        }
    }

    fn by_name_id(&self, idp: &TrustedIdp, claims: &IdJagClaims) -> Result<Option<String>, Error> {
        let known = match &claims.sub_id {
            Some(SubjectId::SamlNameId(name)) => self.name_id_key(idp, name),
            _ => Err(Error::GrantClaim { claim: "sub_id" }),
        };
        match known {
            Ok(key) => {
                let account = self.accounts.by_name_id(&key);
                if account.is_none() && idp.saml_required {
                    return Err(Error::UnknownSubject);
                }
                Ok(account)
            }
            Err(error) if idp.saml_required => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn name_id_key(&self, idp: &TrustedIdp, name: &SamlNameId) -> Result<NameIdKey, Error> {
        let rule = idp.saml.get(&name.issuer);
        rule.ok_or(Error::GrantClaim { claim: "sub_id" })?.key(name)
    }

    fn details(
        &self,
        idp: &TrustedIdp,
        claims: &IdJagClaims,
        request: &JwtBearerRequest,
        resources: &[ResourceIndicator],
    ) -> Result<Option<serde_json::Value>, Error> {
        let Some(value) = &claims.authorization_details else {
            return match request.authorization_details {
                None => Ok(None),
                Some(_) => Err(Error::DetailsNotGranted),
            };
        };
        let wrong = |_| Error::GrantClaim {
            claim: "authorization_details",
        };
        let granted = self.types.grant(value).map_err(wrong)?;
        let granted = Authority::unbounded().with_details(granted);
        let asked = match &request.authorization_details {
            None => Authority::unbounded(),
            Some(text) => Authority::unbounded().with_details(self.types.request(text)?),
        };
        details::granted(&[&asked, &granted, &idp.details], resources).map(Some)
    }
}

fn is_known(idp: &TrustedIdp, client: &Client) -> bool {
    let among = |clients: &BTreeSet<String>| clients.contains(client.id());
    idp.clients.as_ref().is_none_or(among)
}

impl fmt::Debug for IdJagRedemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdJagRedemption")
            .field("issuer", &self.issuer)
            .field("idps", &self.idps)
            .finish_non_exhaustive()
    }
}
