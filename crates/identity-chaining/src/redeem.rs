//! The second leg at the authorization server of domain B: a grant in, the decision on an access token out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use jose_x509::jwt::Confirmation;
use pki_types::UnixTime;
use token_exchange::{Authority, Error as Wire, Form, ResourceIndicator, ScopeSet};

use crate::access::{AccessGrant, bind};
use crate::endpoint::{Received, TokenEndpoint};
use crate::error::Error;
use crate::grant::{AuthorizationGrant, GrantVerifier};
use crate::party::Client;

/// `grant_type` (RFC 7523).
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// A name that some clients use with a DPoP proof. It is accepted with one, and never sent.
pub const GRANT_TYPE_DPOP: &str = "urn:ietf:params:oauth:grant-type:jwt-dpop";

/// A request to redeem a grant. `Debug` hides the grant.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JwtBearerRequest {
    /// The grant, unverified.
    pub unverified_assertion: String,
    /// What for.
    pub scope: Option<ScopeSet>,
    /// Where.
    pub resources: Vec<ResourceIndicator>,
    /// `authorization_details` as JSON text.
    pub authorization_details: Option<String>,
    /// Whether the request says by its grant type that it has a proof.
    pub says_dpop: bool,
}

impl JwtBearerRequest {
    /// A request with a grant.
    #[must_use]
    pub fn new(assertion: impl Into<String>) -> Self {
        Self {
            unverified_assertion: assertion.into(),
            scope: None,
            resources: Vec::new(),
            authorization_details: None,
            says_dpop: false,
        }
    }

    /// Reads the request of an authenticated client from a form.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] for a repeated, missing or malformed parameter, and for a `client_id` that is another client.
    pub fn from_form(form: &Form, client: &Client) -> Result<Self, Error> {
        form.check_repeats(&["resource"])?;
        let says_dpop = match form.required("grant_type")? {
            GRANT_TYPE => false,
            GRANT_TYPE_DPOP => true,
            _ => return Err(Wire::UnsupportedGrantType.into()),
        };
        if form.get("client_id").is_some_and(|id| id != client.id()) {
            return Err(Wire::InvalidParameter { name: "client_id" }.into());
        }
        let resources = form.get_all("resource").map(ResourceIndicator::parse);
        Ok(Self {
            unverified_assertion: form.required("assertion")?.to_owned(),
            scope: form.get("scope").map(ScopeSet::parse).transpose()?,
            resources: resources.collect::<Result<_, _>>()?,
            authorization_details: form.get("authorization_details").map(str::to_owned),
            says_dpop,
        })
    }

    /// The form; client authentication adds its own parameters.
    #[must_use]
    pub fn to_form(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", GRANT_TYPE);
        form.append_pair("assertion", &self.unverified_assertion);
        if let Some(scope) = &self.scope {
            form.append_pair("scope", &scope.to_string());
        }
        for resource in &self.resources {
            form.append_pair("resource", resource.as_str());
        }
        if let Some(details) = &self.authorization_details {
            form.append_pair("authorization_details", details);
        }
        form.finish()
    }
}

impl fmt::Debug for JwtBearerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearerRequest")
            .field("scope", &self.scope)
            .field("resources", &self.resources)
            .finish_non_exhaustive()
    }
}

/// Who the subjects of grants are here.
pub trait Subjects: Send + Sync {
    /// The account of (`iss`, `sub`). A subject of one issuer never is one of another.
    fn find(&self, grant: &AuthorizationGrant) -> Option<String>;

    /// Makes an account for a subject that has none, where that is allowed.
    fn provision(&self, _grant: &AuthorizationGrant) -> Option<String> {
        None
    }

    /// A last look at a grant before it is spent: `false` refuses.
    fn allows(&self, _grant: &AuthorizationGrant) -> bool {
        true
    }
}

/// Accounts by issuer and subject, as a table.
#[derive(Clone, Debug, Default)]
pub struct SubjectTable(BTreeMap<(String, String), String>);

impl SubjectTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an account.
    #[must_use]
    pub fn with(
        mut self,
        issuer: impl Into<String>,
        subject: impl Into<String>,
        account: impl Into<String>,
    ) -> Self {
        self.0
            .insert((issuer.into(), subject.into()), account.into());
        self
    }

    /// The account of a subject.
    #[must_use]
    pub fn account(&self, issuer: &str, subject: &str) -> Option<&str> {
        let key = (issuer.to_owned(), subject.to_owned());
        self.0.get(&key).map(String::as_str)
    }
}

impl Subjects for SubjectTable {
    fn find(&self, grant: &AuthorizationGrant) -> Option<String> {
        self.account(grant.issuer(), grant.subject())
            .map(str::to_owned)
    }
}

/// What the grants of one issuer may lead to.
#[derive(Clone, Debug)]
pub struct IssuerTerms {
    scopes: ScopeSet,
    default_scopes: ScopeSet,
    claims: Vec<String>,
}

impl IssuerTerms {
    /// At most these scopes, none for a grant without `scope`, and no claims.
    #[must_use]
    pub fn new(scopes: ScopeSet) -> Self {
        Self {
            scopes,
            default_scopes: ScopeSet::default(),
            claims: Vec::new(),
        }
    }

    /// What a grant without `scope` gives.
    #[must_use]
    pub fn with_default_scopes(mut self, scopes: ScopeSet) -> Self {
        self.default_scopes = scopes;
        self
    }

    /// Copies a claim, about whose meaning both domains agree, into access tokens.
    #[must_use]
    pub fn with_claim(mut self, name: impl Into<String>) -> Self {
        self.claims.push(name.into());
        self
    }
}

/// The token endpoint of domain B, as far as plain grants are concerned.
pub struct RedemptionService {
    verifier: GrantVerifier,
    terms: BTreeMap<String, IssuerTerms>,
    subjects: Arc<dyn Subjects>,
    endpoint: TokenEndpoint,
    proof_required: bool,
}

impl RedemptionService {
    /// A service for the grants that `verifier` accepts. Every trusted issuer needs terms, too.
    #[must_use]
    pub fn new(
        verifier: GrantVerifier,
        subjects: Arc<dyn Subjects>,
        endpoint: TokenEndpoint,
    ) -> Self {
        Self {
            verifier,
            terms: BTreeMap::new(),
            subjects,
            endpoint,
            proof_required: false,
        }
    }

    /// Sets what the grants of an issuer may lead to.
    #[must_use]
    pub fn with_terms(mut self, issuer: impl Into<String>, terms: IssuerTerms) -> Self {
        self.terms.insert(issuer.into(), terms);
        self
    }

    /// Demands a proof, or a grant that is bound to a certificate.
    #[must_use]
    pub fn with_proof_required(mut self) -> Self {
        self.proof_required = true;
        self
    }

    /// Decides on a request. The grant is spent last; whoever gets a decision issues the access token and answers with
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
        let unspent = self
            .verifier
            .verify(&request.unverified_assertion, client, now)?;
        let grant = unspent.unspent();
        let terms = self
            .terms
            .get(grant.issuer())
            .ok_or(Error::UntrustedIssuer)?;
        if !self.subjects.allows(grant) {
            return Err(Error::GrantRefused);
        }
        let subject = self
            .subjects
            .find(grant)
            .or_else(|| self.subjects.provision(grant))
            .ok_or(Error::UnknownSubject)?;
        let ceiling = grant.scope().unwrap_or(&terms.default_scopes);
        let scope = intersect(&[ceiling, &terms.scopes], request.scope.as_ref())?;
        let target = self.endpoint.target(&request, grant, &scope)?;
        let requested = requested_key(grant)?;
        let bound = bind(
            grant.confirmation(),
            proof.as_ref(),
            client,
            self.proof_required && requested.is_none(),
        )?;
        // The key of the issuer's own client counts, where there is one: the verifier lets it through for the issuer alone.
        let confirmation = requested.or(bound);
        let claims = terms
            .claims
            .iter()
            .filter_map(|name| Some((name.clone(), grant.claims().get(name)?.clone())))
            .collect();
        let issuer = grant.issuer();
        let mut decision = AccessGrant::new(issuer, subject, client, target, confirmation, None);
        decision.claims = claims;
        unspent.spend(self.endpoint.replay(), now)?;
        Ok(decision)
    }
}

impl fmt::Debug for RedemptionService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedemptionService")
            .field("verifier", &self.verifier)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// What all ceilings and the request have in common.
///
/// # Errors
///
/// [`Error::ScopeNotGranted`] for nothing.
pub(crate) fn intersect(
    ceilings: &[&ScopeSet],
    requested: Option<&ScopeSet>,
) -> Result<ScopeSet, Error> {
    let bounds: Vec<Authority> = ceilings
        .iter()
        .copied()
        .chain(requested)
        .map(|scopes| Authority::unbounded().with_scopes(scopes.clone()))
        .collect();
    let all = Authority::intersection(&bounds);
    let left = all.scopes.only().filter(|scopes| !scopes.is_empty());
    left.cloned().ok_or(Error::ScopeNotGranted)
}

/// The key of the end client, in a grant that its issuer redeems itself.
#[cfg(feature = "requested-cnf")]
fn requested_key(grant: &AuthorizationGrant) -> Result<Option<Confirmation>, Error> {
    let claim = "requested_cnf";
    let value = grant.claims().get(claim);
    let key = value.map(Confirmation::from_value).transpose();
    key.map_err(|_| Error::GrantClaim { claim })
}

/// Without the feature, no key is taken from a claim, and a token without it would not be what its issuer asked for.
#[cfg(not(feature = "requested-cnf"))]
fn requested_key(grant: &AuthorizationGrant) -> Result<Option<Confirmation>, Error> {
    let claim = "requested_cnf";
    match grant.claims().get(claim) {
        None => Ok(None),
        Some(_) => Err(Error::GrantClaim { claim }),
    }
}
