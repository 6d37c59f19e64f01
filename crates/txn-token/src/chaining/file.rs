//! Agreements as files: what two domains agreed on, readable by whoever has to review it.
//!
//! A file has no secret in it and no key. Keys of pseudonyms are called by names, and those of the partner's grants by its issuer
//! identifier; [`AgreementKeys`] finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use identity_chaining::ServerUrl;
use jose_x509::{Algorithm, Algorithms, KeySource, json};
use serde::Deserialize;
use spiffe_id::TrustDomain;
use token_exchange::{ResourceIndicator, ScopeSet};

use super::ALGORITHMS;
use super::agreement::{AgreementProblem, OutboundAgreement, TxnRule};
use super::redeem::InboundAgreement;
use super::subject::{Mapping, Match, PrincipalKind};
use crate::error::Error;

/// What a file of agreements names and does not have.
pub trait AgreementKeys {
    /// The key of pseudonyms with this name.
    fn pseudonym_key(&self, name: &str) -> Option<[u8; 32]>;

    /// The keys with which the partner of this issuer identifier signs grants.
    fn grant_keys(&self, issuer: &str) -> Option<Arc<dyn KeySource + Send + Sync>>;
}

/// The agreements of one domain with others: `chaining-agreements.schema.json` describes the form.
///
/// It reads from any `serde` format, such as TOML, and from JSON by [`AgreementsFile::from_json`]. A key that is not known is an
/// error, and so is whatever an agreement refuses that is made in code; that is found by [`read`](Self::read).
///
/// ```
/// use std::sync::Arc;
/// use jose_x509::KeySource;
/// use txn_token::chaining::{AgreementKeys, AgreementsFile};
///
/// struct NoKeys;
/// impl AgreementKeys for NoKeys {
///     fn pseudonym_key(&self, _: &str) -> Option<[u8; 32]> { None }
///     fn grant_keys(&self, _: &str) -> Option<Arc<dyn KeySource + Send + Sync>> { None }
/// }
///
/// let file = AgreementsFile::from_json(br#"{"outbound": [{
///     "partner": "https://as.spamsvc.example",
///     "not_after": 1900000000,
///     "scopes": {"mail-delivery": "spam.rating.read"},
///     "subjects": [{"kind": "system", "prefix": "system:", "to": "without_prefix"}],
///     "resources": ["https://api.spamsvc.example/"],
///     "clients": ["spiffe://enterprise.example/mail-gateway"]
/// }]}"#)?;
/// let agreements = file.read(&NoKeys)?;
/// assert_eq!((agreements.outbound.len(), agreements.inbound.len()), (1, 0));
/// # Ok::<(), txn_token::Error>(())
/// ```
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementsFile {
    #[serde(default)]
    outbound: Vec<Outbound>,
    #[serde(default)]
    inbound: Vec<Inbound>,
}

/// What a file says, checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Agreements {
    /// With the servers for which this domain makes grants: for [`ChainingService::with_agreement`](super::ChainingService::with_agreement).
    pub outbound: Vec<OutboundAgreement>,
    /// With those whose grants it takes: for [`ChainRedemption::trust`](super::ChainRedemption::trust).
    pub inbound: Vec<InboundAgreement>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outbound {
    partner: String,
    not_after: u64,
    #[serde(default)]
    suspended: bool,
    scopes: Option<BTreeMap<String, String>>,
    #[serde(default)]
    common_scopes: bool,
    #[serde(default)]
    without_scope: bool,
    subjects: Vec<Subject>,
    resources: Vec<String>,
    clients: BTreeSet<String>,
    txn: Option<Txn>,
    #[serde(default)]
    disclose: Disclose,
    lifetime: Option<u64>,
    #[serde(default)]
    may_outlive_token: bool,
    algorithms: Option<Vec<String>>,
    #[serde(default)]
    bind_certificate: bool,
    own_client: Option<OwnClient>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnClient {
    client_id: String,
    token_endpoint: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Txn {
    pairwise: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Disclose {
    scope: bool,
    rctx: Vec<String>,
    tctx: Vec<String>,
    claims: Vec<String>,
    actor: bool,
    internal_domains: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    kind: Kind,
    /// One of these two, or none for all subjects.
    prefix: Option<String>,
    trust_domain: Option<String>,
    to: Rename,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Human,
    System,
    Workload,
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rename {
    Table(BTreeMap<String, String>),
    /// The rule's own prefix.
    WithoutPrefix,
    Pairwise(String),
    Identity,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inbound {
    issuer: String,
    not_after: u64,
    #[serde(default)]
    suspended: bool,
    scopes: String,
    default_scopes: Option<String>,
    #[serde(default)]
    claims: BTreeSet<String>,
    algorithms: Option<Vec<String>>,
    leeway: Option<u64>,
    #[serde(default)]
    provisioning: bool,
    #[serde(default)]
    email: bool,
    #[serde(default)]
    txn_required: bool,
    #[serde(default)]
    audience_array: bool,
    #[serde(default)]
    proof_required: bool,
    own_client: Option<String>,
}

/// Most agreements, and most entries of a list or table.
const MAX_ENTRIES: usize = 1024;

const fn refused(problem: AgreementProblem) -> Error {
    Error::Agreement(problem)
}

impl AgreementsFile {
    /// Reads strict JSON.
    ///
    /// # Errors
    ///
    /// [`AgreementProblem::Syntax`].
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        let syntax = || refused(AgreementProblem::Syntax);
        json::check(text, &json::Limits::CLAIMS).map_err(|_| syntax())?;
        serde_json::from_slice(text).map_err(|_| syntax())
    }

    /// Makes the agreements, all of them or none.
    ///
    /// # Errors
    ///
    /// [`Error::Agreement`], [`Error::Chaining`] for a URL or a leeway.
    pub fn read(&self, keys: &dyn AgreementKeys) -> Result<Agreements, Error> {
        if self.outbound.is_empty() && self.inbound.is_empty() {
            return Err(refused(AgreementProblem::Empty));
        }
        if self.outbound.len() > MAX_ENTRIES || self.inbound.len() > MAX_ENTRIES {
            return Err(refused(AgreementProblem::Entry));
        }
        let partners: BTreeSet<&str> = self.outbound.iter().map(|one| &*one.partner).collect();
        let issuers: BTreeSet<&str> = self.inbound.iter().map(|one| &*one.issuer).collect();
        if partners.len() != self.outbound.len() || issuers.len() != self.inbound.len() {
            return Err(refused(AgreementProblem::Repeated));
        }
        Ok(Agreements {
            outbound: self
                .outbound
                .iter()
                .map(|one| one.read(keys))
                .collect::<Result<_, _>>()?,
            inbound: self
                .inbound
                .iter()
                .map(|one| one.read(keys))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Outbound {
    fn read(&self, keys: &dyn AgreementKeys) -> Result<OutboundAgreement, Error> {
        let mut agreement =
            OutboundAgreement::new(ServerUrl::parse(&self.partner)?, self.not_after);
        match (&self.scopes, self.common_scopes) {
            (Some(scopes), false) => {
                for (scope, there) in scopes {
                    agreement = agreement.with_scope(scope, scope_set(there)?)?;
                }
            }
            (None, true) => agreement = agreement.with_common_scopes(),
            // One of the two, and said.
            _ => return Err(refused(AgreementProblem::Scope)),
        }
        if self.subjects.is_empty() || self.resources.is_empty() || self.clients.is_empty() {
            return Err(refused(AgreementProblem::Entry));
        }
        for subject in &self.subjects {
            let (kind, matches, mapping) = subject.read(keys)?;
            agreement = agreement.with_subjects(kind, matches, mapping);
        }
        for resource in &self.resources {
            let resource = ResourceIndicator::parse(resource);
            let resource = resource.map_err(|_| refused(AgreementProblem::Entry))?;
            agreement = agreement.with_resource(resource);
        }
        for client in &self.clients {
            if client.is_empty() {
                return Err(refused(AgreementProblem::Entry));
            }
            agreement = agreement.permit(client);
        }
        if let Some(txn) = &self.txn {
            agreement = agreement.with_txn(TxnRule::Pairwise(key(keys, &txn.pairwise)?));
        }
        let Disclose {
            scope,
            rctx,
            tctx,
            claims,
            actor,
            internal_domains,
        } = &self.disclose;
        for member in rctx {
            agreement = agreement.with_request_context(member)?;
        }
        for member in tctx {
            agreement = agreement.with_transaction_context(member)?;
        }
        for claim in claims {
            agreement = agreement.with_claim(claim)?;
        }
        for domain in internal_domains {
            agreement = agreement.with_internal_domain(domain);
        }
        if let Some(seconds) = self.lifetime {
            agreement = agreement.with_lifetime(Duration::from_secs(seconds))?;
        }
        if let Some(own) = &self.own_client {
            let endpoint = ServerUrl::parse(&own.token_endpoint)?;
            agreement = agreement.with_own_client(&own.client_id, endpoint);
        }
        agreement = agreement.with_algorithms(algorithms(self.algorithms.as_deref())?);
        for (wanted, set) in [
            (*scope, OutboundAgreement::with_internal_scope as fn(_) -> _),
            (*actor, OutboundAgreement::with_actor),
            (self.without_scope, OutboundAgreement::without_scope),
            (self.may_outlive_token, OutboundAgreement::may_outlive_token),
            (
                self.bind_certificate,
                OutboundAgreement::with_certificate_binding,
            ),
            (self.suspended, OutboundAgreement::suspended),
        ] {
            if wanted {
                agreement = set(agreement);
            }
        }
        Ok(agreement)
    }
}

impl Subject {
    fn read(&self, keys: &dyn AgreementKeys) -> Result<(PrincipalKind, Match, Mapping), Error> {
        let entry = || refused(AgreementProblem::Entry);
        let matches = match (&self.prefix, &self.trust_domain) {
            (Some(prefix), None) if !prefix.is_empty() => Match::Prefix(prefix.clone()),
            (None, Some(name)) => Match::Spiffe(TrustDomain::parse(name).map_err(|_| entry())?),
            (None, None) => Match::Any,
            _ => return Err(entry()),
        };
        let mapping = match (&self.to, &self.prefix) {
            (Rename::Table(table), _) => Mapping::Table(table.clone()),
            (Rename::WithoutPrefix, Some(prefix)) => Mapping::WithoutPrefix(prefix.clone()),
            (Rename::WithoutPrefix, None) => return Err(entry()),
            (Rename::Pairwise(name), _) => Mapping::Pairwise(key(keys, name)?),
            (Rename::Identity, _) => Mapping::Identity,
        };
        let kind = match self.kind {
            Kind::Human => PrincipalKind::Human,
            Kind::System => PrincipalKind::System,
            Kind::Workload => PrincipalKind::Workload,
            Kind::Other => PrincipalKind::Other,
        };
        Ok((kind, matches, mapping))
    }
}

impl Inbound {
    fn read(&self, keys: &dyn AgreementKeys) -> Result<InboundAgreement, Error> {
        let issuer = ServerUrl::parse(&self.issuer)?;
        let found = keys.grant_keys(issuer.as_str());
        let found = found.ok_or(refused(AgreementProblem::Key))?;
        let scopes = scope_set(&self.scopes)?;
        let mut agreement = InboundAgreement::new(issuer, found, scopes.clone(), self.not_after)
            .with_algorithms(algorithms(self.algorithms.as_deref())?);
        if let Some(default) = &self.default_scopes {
            let default = scope_set(default)?;
            if !default.is_subset(&scopes) {
                return Err(refused(AgreementProblem::Scope));
            }
            agreement = agreement.with_default_scopes(default);
        }
        for claim in &self.claims {
            agreement = agreement.with_claim(claim);
        }
        if let Some(seconds) = self.leeway {
            agreement = agreement.with_leeway(Duration::from_secs(seconds))?;
        }
        if let Some(client) = &self.own_client {
            agreement = agreement.with_own_client(client);
        }
        for (wanted, set) in [
            (
                self.provisioning,
                InboundAgreement::with_provisioning as fn(_) -> _,
            ),
            (self.email, InboundAgreement::with_email),
            (self.txn_required, InboundAgreement::with_txn_required),
            (self.audience_array, InboundAgreement::with_audience_array),
            (self.proof_required, InboundAgreement::with_proof_required),
            (self.suspended, InboundAgreement::suspended),
        ] {
            if wanted {
                agreement = set(agreement);
            }
        }
        Ok(agreement)
    }
}

fn key(keys: &dyn AgreementKeys, name: &str) -> Result<[u8; 32], Error> {
    keys.pseudonym_key(name)
        .ok_or(refused(AgreementProblem::Key))
}

/// Some scopes, none of them with a wildcard.
fn scope_set(text: &str) -> Result<ScopeSet, Error> {
    let scopes = ScopeSet::parse(text).map_err(|_| refused(AgreementProblem::Scope))?;
    if scopes.is_empty() || scopes.iter().any(|scope| scope.contains('*')) {
        return Err(refused(AgreementProblem::Scope));
    }
    Ok(scopes)
}

/// The usual ones, or those that are named.
fn algorithms(names: Option<&[String]>) -> Result<Algorithms, Error> {
    let Some(names) = names else {
        return Ok(ALGORITHMS);
    };
    let known = names.iter().map(|name| Algorithm::from_name(name));
    match known.collect::<Option<Vec<_>>>() {
        Some(list) if !list.is_empty() => Ok(Algorithms::of(&list)),
        _ => Err(refused(AgreementProblem::Algorithm)),
    }
}
