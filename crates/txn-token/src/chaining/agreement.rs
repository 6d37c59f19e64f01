//! What two domains agree on (CDTA), as the issuing side has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use identity_chaining::ServerUrl;
use jose_x509::Algorithms;
use token_exchange::authority::Details;
use token_exchange::{DetailTypes, ResourceIndicator, ScopeSet};

use super::ALGORITHMS;
use super::disclosure::{self, Disclosure};
use super::subject::{Mapping, Match, PrincipalKind, SubjectRule};
use crate::error::Error;

/// Why an agreement is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AgreementProblem {
    /// A claim or member that never leaves the domain.
    #[error("it discloses a claim that shows the domain's inner calls, which no agreement may")]
    HiddenClaim,
    /// A scope with a wildcard, or one that maps to nothing.
    #[error("it maps a scope with a wildcard, or maps one to no scope")]
    Scope,
    /// A lifetime above 300 seconds, or none.
    #[error("a grant lives for 1 to 300 seconds")]
    Lifetime,
    /// An algorithm that the agreement does not have, or one that does not exist.
    #[error(
        "an algorithm is not known, or the server signs with one that the agreement does not allow"
    )]
    Algorithm,
    /// A file that is no file of agreements, or has a key that does not exist.
    #[error("the file is malformed, or has a key that does not exist")]
    Syntax,
    /// A file without agreements.
    #[error("the file has no agreement")]
    Empty,
    /// Two agreements with one partner.
    #[error("the file has two agreements with one partner in the same direction")]
    Repeated,
    /// A subject rule, resource, client or list that cannot be used.
    #[error("it has no or too many subjects, resources or clients, or one that is not well formed")]
    Entry,
    /// A key that is named and not there.
    #[error("a key that the file names is not there")]
    Key,
}

impl AgreementProblem {
    /// The requirement (an id of `docs/conformance`) behind it.
    #[must_use]
    pub const fn requirement(self) -> &'static str {
        match self {
            Self::HiddenClaim => "TXN-CHAIN-7.4-5",
            Self::Scope => "TXN-CHAIN-A5",
            Self::Lifetime => "TXN-CHAIN-6.1.2-4",
            Self::Algorithm | Self::Key => "TXN-CHAIN-6.1.1-3",
            Self::Syntax | Self::Empty | Self::Repeated | Self::Entry => "TXN-CHAIN-9.6-1",
        }
    }
}

/// What somebody should look at before an agreement is used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgreementWarning {
    /// No rule for any subject of this kind, and none for all: such subjects are refused.
    NoRuleFor(PrincipalKind),
    /// A scope stands for more than five of the partner's.
    BroadScope {
        /// The scope.
        scope: String,
        /// How many it stands for.
        count: usize,
    },
    /// Subjects keep their names, and the partner may have others of the same name.
    SameNames(PrincipalKind),
}

/// How the transaction is told.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TxnRule {
    /// As it is.
    Copy,
    /// As a pseudonym that is the partner's alone, the same for the whole transaction: partners cannot link their users by
    /// it. The draft wants the transaction copied, and its section on linkability wants this; both ends have to know.
    Pairwise([u8; 32]),
}

impl fmt::Debug for TxnRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "Copy",
            Self::Pairwise(_) => "Pairwise(..)",
        })
    }
}

/// An agreement with one other authorization server: what goes to it. By default nothing does: no scope, no subject,
/// no client, no context.
#[derive(Clone, Debug)]
pub struct OutboundAgreement {
    pub(super) partner: ServerUrl,
    pub(super) not_after: u64,
    pub(super) active: bool,
    scopes: Option<BTreeMap<String, ScopeSet>>,
    pub(super) omit_scope: bool,
    pub(super) subjects: Vec<SubjectRule>,
    resources: Vec<ResourceIndicator>,
    clients: BTreeSet<String>,
    pub(super) txn: TxnRule,
    pub(super) disclosure: Disclosure,
    pub(super) lifetime: u64,
    pub(super) may_outlive: bool,
    pub(super) algorithms: Algorithms,
    pub(super) bind_certificate: bool,
    /// The client as which this server redeems grants itself.
    pub(super) own_client: Option<(String, ServerUrl)>,
}

const MAX_LIFETIME: u64 = 300;
const DEFAULT_LIFETIME: u64 = 60;
const BROAD: usize = 5;

impl OutboundAgreement {
    /// An agreement with the server of this issuer identifier that has to be reviewed before `not_after` (in seconds since
    /// the epoch), when it ends.
    #[must_use]
    pub fn new(partner: ServerUrl, not_after: u64) -> Self {
        Self {
            partner,
            not_after,
            active: true,
            scopes: Some(BTreeMap::new()),
            omit_scope: false,
            subjects: Vec::new(),
            resources: Vec::new(),
            clients: BTreeSet::new(),
            txn: TxnRule::Copy,
            disclosure: Disclosure::default(),
            lifetime: DEFAULT_LIFETIME,
            may_outlive: false,
            algorithms: ALGORITHMS,
            bind_certificate: false,
            own_client: None,
        }
    }

    /// Suspends it.
    #[must_use]
    pub fn suspended(mut self) -> Self {
        self.active = false;
        self
    }

    /// Says which of the partner's scopes one scope of this domain stands for.
    ///
    /// # Errors
    ///
    /// [`AgreementProblem::Scope`] for a `*` in a name, and for none.
    pub fn with_scope(mut self, scope: impl Into<String>, there: ScopeSet) -> Result<Self, Error> {
        let scope = scope.into();
        let wild = scope.contains('*') || there.iter().any(|one| one.contains('*'));
        if scope.is_empty() || there.is_empty() || wild {
            return Err(Error::Agreement(AgreementProblem::Scope));
        }
        self.scopes.get_or_insert_default().insert(scope, there);
        Ok(self)
    }

    /// Says that both domains have the same scopes.
    #[must_use]
    pub fn with_common_scopes(mut self) -> Self {
        self.scopes = None;
        self
    }

    /// Leaves `scope` out of grants: the partner gives what it has agreed to give without.
    #[must_use]
    pub fn without_scope(mut self) -> Self {
        self.omit_scope = true;
        self
    }

    /// Says how subjects are renamed. The first rule that matches counts.
    #[must_use]
    pub fn with_subjects(mut self, kind: PrincipalKind, matches: Match, mapping: Mapping) -> Self {
        self.subjects.push(SubjectRule {
            kind,
            matches,
            mapping,
        });
        self
    }

    /// A protected resource of the partner's domain; what lies below its URI is meant with it.
    #[must_use]
    pub fn with_resource(mut self, resource: ResourceIndicator) -> Self {
        self.resources.push(resource);
        self
    }

    /// Lets a workload ask for grants.
    #[must_use]
    pub fn permit(mut self, client: impl Into<String>) -> Self {
        self.clients.insert(client.into());
        self
    }

    /// Sets how the transaction is told.
    #[must_use]
    pub fn with_txn(mut self, rule: TxnRule) -> Self {
        self.txn = rule;
        self
    }

    /// Tells the transaction token's own scope in `txn_claims`.
    #[must_use]
    pub fn with_internal_scope(mut self) -> Self {
        self.disclosure.scope = true;
        self
    }

    /// Tells a member of `rctx`. One whose value shows a private address or a workload is left out all the same.
    ///
    /// # Errors
    ///
    /// [`AgreementProblem::HiddenClaim`].
    pub fn with_request_context(mut self, member: impl Into<String>) -> Result<Self, Error> {
        let member = disclosure::checked(member.into())?;
        self.disclosure.rctx.insert(member);
        Ok(self)
    }

    /// Tells a member of `tctx`, with the same exception.
    ///
    /// # Errors
    ///
    /// [`AgreementProblem::HiddenClaim`].
    pub fn with_transaction_context(mut self, member: impl Into<String>) -> Result<Self, Error> {
        let member = disclosure::checked(member.into())?;
        self.disclosure.tctx.insert(member);
        Ok(self)
    }

    /// Tells a claim, such as `email`, which is told of humans only.
    ///
    /// # Errors
    ///
    /// [`AgreementProblem::HiddenClaim`].
    pub fn with_claim(mut self, claim: impl Into<String>) -> Result<Self, Error> {
        let claim = disclosure::checked(claim.into())?;
        self.disclosure.claims.insert(claim);
        Ok(self)
    }

    /// Tells who acts now (`act`), without who acted before.
    #[must_use]
    pub fn with_actor(mut self) -> Self {
        self.disclosure.actor = true;
        self
    }

    /// Tells `authorization_details` of `agentic_ctx`, within these. A token that has some, of which nothing can be told, is
    /// refused, as is every token with details where this is not set.
    #[must_use]
    pub fn with_authorization_details(mut self, types: DetailTypes, most: Details) -> Self {
        self.disclosure.details = Some((types, most));
        self
    }

    /// A domain of host names that are not told, such as `svc.cluster.local`.
    #[must_use]
    pub fn with_internal_domain(mut self, domain: impl Into<String>) -> Self {
        let domain = domain.into().to_ascii_lowercase();
        self.disclosure.internal_domains.push(domain);
        self
    }

    /// Sets how long a grant lives: 60 seconds unless it is set.
    ///
    /// # Errors
    ///
    /// [`AgreementProblem::Lifetime`] for none, or above 300 seconds.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        if !(1..=MAX_LIFETIME).contains(&lifetime.as_secs()) {
            return Err(Error::Agreement(AgreementProblem::Lifetime));
        }
        self.lifetime = lifetime.as_secs();
        Ok(self)
    }

    /// Lets a grant live on after the transaction token that it was made of.
    #[must_use]
    pub fn may_outlive_token(mut self) -> Self {
        self.may_outlive = true;
        self
    }

    /// Sets the algorithms, for example to let in RS256.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.algorithms = algorithms;
        self
    }

    /// Binds grants to the certificate of the workload that asks, where there is no DPoP proof.
    #[must_use]
    pub fn with_certificate_binding(mut self) -> Self {
        self.bind_certificate = true;
        self
    }

    /// Lets this server redeem grants itself, as this client at this token endpoint.
    #[must_use]
    pub fn with_own_client(mut self, client: impl Into<String>, token_endpoint: ServerUrl) -> Self {
        self.own_client = Some((client.into(), token_endpoint));
        self
    }

    /// What somebody should look at.
    #[must_use]
    pub fn warnings(&self) -> Vec<AgreementWarning> {
        let kinds = [
            PrincipalKind::Human,
            PrincipalKind::System,
            PrincipalKind::Workload,
        ];
        let covers = |kind: PrincipalKind| {
            let rule = |rule: &SubjectRule| rule.kind == kind || rule.matches == Match::Any;
            self.subjects.iter().any(rule)
        };
        let missing = kinds.into_iter().filter(|kind| !covers(*kind));
        let same = self
            .subjects
            .iter()
            .filter(|rule| rule.mapping == Mapping::Identity)
            .map(|rule| AgreementWarning::SameNames(rule.kind));
        let broad = self
            .scopes
            .iter()
            .flatten()
            .map(|(scope, there)| (scope, there.iter().count()))
            .filter(|(_, count)| *count > BROAD)
            .map(|(scope, count)| AgreementWarning::BroadScope {
                scope: scope.clone(),
                count,
            });
        let missing = missing.map(AgreementWarning::NoRuleFor);
        missing.chain(same).chain(broad).collect()
    }

    /// The most that a grant for these scopes of this domain may have in the partner's: what they stand for together.
    #[must_use]
    pub fn ceiling(&self, internal: &ScopeSet) -> ScopeSet {
        match &self.scopes {
            None => internal.clone(),
            Some(map) => internal
                .iter()
                .filter_map(|scope| map.get(scope))
                .flat_map(ScopeSet::iter)
                .collect(),
        }
    }

    pub(super) fn is_in_force(&self, now: u64) -> bool {
        self.active && now < self.not_after
    }

    pub(super) fn permits(&self, client: &str) -> bool {
        self.clients.contains(client)
    }

    pub(super) fn has_resource(&self, resource: &ResourceIndicator) -> bool {
        self.resources
            .iter()
            .any(|own| own == resource || own.covers(resource.as_str()))
    }
}
