//! What a service demands of a transaction before it acts.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use pki_types::UnixTime;
use spiffe_id::{SpiffeId, SpiffeIdPattern};
use token_exchange::{Detail, DetailTypes, ScopeSet};

use crate::agentic::AgenticContext;
use crate::error::Error;
use crate::evidence::KnownManifests;
use crate::lineage::{AssuranceLevels, Lineage, UNVERIFIED};
use crate::policy::{CallChainPolicy, Decision};
use crate::token::TxnToken;

/// The demands of one operation. All of them have to hold, and every limit that the token itself
/// carries has to be met: one that cannot be judged here is not met.
#[derive(Clone, Debug)]
pub struct Requirements {
    scope: ScopeSet,
    actor: Option<SpiffeIdPattern>,
    requesters: Option<Vec<String>>,
    caller: Option<Vec<String>>,
    call_chain: Option<CallChainPolicy>,
    environment: BTreeMap<String, String>,
    types: DetailTypes,
    assurance: Option<(String, AssuranceLevels)>,
    manifests: Option<KnownManifests>,
    workload: Option<SpiffeIdPattern>,
    versions: Option<VersionRule>,
    deployments: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
enum VersionRule {
    Only(Vec<String>),
    AtLeast(String, fn(&str, &str) -> Option<Ordering>),
}

/// One call, as the service knows it from other sources than the token.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Call<'a> {
    /// The action, as `allowed_actions` names it.
    pub action: Option<&'a str>,
    /// What the call needs of `authorization_details`, every field stated: read it by
    /// [`DetailTypes::grant`], since a field that a request leaves out asks for all its values.
    pub detail: Option<&'a Detail>,
    /// The workload that sends the request, as it was authenticated.
    pub caller: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// A call of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the action.
    #[must_use]
    pub fn with_action(mut self, action: &'a str) -> Self {
        self.action = Some(action);
        self
    }

    /// Sets the detail.
    #[must_use]
    pub fn with_detail(mut self, detail: &'a Detail) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Sets the authenticated caller.
    #[must_use]
    pub fn with_caller(mut self, caller: &'a str) -> Self {
        self.caller = Some(caller);
        self
    }
}

impl Requirements {
    /// Demands every scope of this set.
    #[must_use]
    pub fn new(scope: ScopeSet) -> Self {
        Self {
            scope,
            actor: None,
            requesters: None,
            caller: None,
            call_chain: None,
            environment: BTreeMap::new(),
            types: DetailTypes::default(),
            assurance: None,
            manifests: None,
            workload: None,
            versions: None,
            deployments: None,
        }
    }

    /// Demands an agent, and one of these.
    #[must_use]
    pub fn with_actor(mut self, pattern: SpiffeIdPattern) -> Self {
        self.actor = Some(pattern);
        self
    }

    /// Demands a machine: [`TxnToken::acting_workload`] is one of these. It counts beside scope and agent, never in their place.
    #[must_use]
    pub fn with_acting_workload(mut self, pattern: SpiffeIdPattern) -> Self {
        self.workload = Some(pattern);
        self
    }

    /// Demands a least assurance of all agents of the transaction, not only of the current one.
    #[must_use]
    pub fn with_min_assurance(mut self, level: impl Into<String>, levels: AssuranceLevels) -> Self {
        self.assurance = Some((level.into(), levels));
        self
    }

    /// Demands that the current agent runs one of these manifests.
    #[must_use]
    pub fn with_known_manifests(mut self, manifests: KnownManifests) -> Self {
        self.manifests = Some(manifests);
        self
    }

    /// Demands that `act.version` is one of these.
    #[must_use]
    pub fn with_versions<T: Into<String>>(mut self, versions: impl IntoIterator<Item = T>) -> Self {
        self.versions = Some(VersionRule::Only(
            versions.into_iter().map(Into::into).collect(),
        ));
        self
    }

    /// Demands that `act.version` is at least this, as `compare` orders versions; `None` of it is no version.
    #[must_use]
    pub fn with_min_version(
        mut self,
        version: impl Into<String>,
        compare: fn(&str, &str) -> Option<Ordering>,
    ) -> Self {
        self.versions = Some(VersionRule::AtLeast(version.into(), compare));
        self
    }

    /// Demands that `act.deployment` is one of these.
    #[must_use]
    pub fn with_deployments<T: Into<String>>(
        mut self,
        deployments: impl IntoIterator<Item = T>,
    ) -> Self {
        self.deployments = Some(deployments.into_iter().map(Into::into).collect());
        self
    }

    /// Demands that one of these workloads asked for the token, compared as a whole.
    #[must_use]
    pub fn with_requesting_workloads<T: Into<String>>(
        mut self,
        workloads: impl IntoIterator<Item = T>,
    ) -> Self {
        self.requesters = Some(workloads.into_iter().map(Into::into).collect());
        self
    }

    /// Demands that the caller is the token's agent, or one of these gateways that forward for it.
    #[must_use]
    pub fn with_caller_bound<T: Into<String>>(
        mut self,
        gateways: impl IntoIterator<Item = T>,
    ) -> Self {
        self.caller = Some(gateways.into_iter().map(Into::into).collect());
        self
    }

    /// Demands that the chain of agents is as this policy says.
    #[must_use]
    pub fn with_call_chain(mut self, policy: CallChainPolicy) -> Self {
        self.call_chain = Some(policy);
        self
    }

    /// Says what this place is, for `environment_constraints`: `region`, `environment`.
    #[must_use]
    pub fn with_environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Says which types of authorization details this place understands.
    #[must_use]
    pub fn with_detail_types(mut self, types: DetailTypes) -> Self {
        self.types = types;
        self
    }

    /// Checks a verified token for one call.
    ///
    /// # Errors
    ///
    /// In this order: [`Error::CallerMismatch`], [`Error::ActorNotAllowed`],
    /// [`Error::RequesterNotAllowed`], [`Error::CallChain`], [`Error::InsufficientScope`],
    /// [`Error::ActionNotAllowed`], [`Error::DetailNotGranted`], [`Error::EnvironmentConstraint`].
    pub fn check(&self, token: &TxnToken, call: &Call<'_>, now: UnixTime) -> Result<(), Error> {
        if token.expires() <= now.as_secs().saturating_sub(MAX_LEEWAY) {
            return Err(Error::Token(jose_x509::Error::Expired));
        }
        self.check_parties(token, call)?;
        if let Some(policy) = &self.call_chain {
            if let Decision::Deny(denial) = policy.evaluate(token, now) {
                return Err(Error::CallChain(denial));
            }
        }
        if !self.scope.is_subset(token.scope()) {
            return Err(Error::InsufficientScope);
        }
        token
            .agentic_context()
            .map_or(Ok(()), |limits| self.check_limits(limits, call))
    }

    fn check_parties(&self, token: &TxnToken, call: &Call<'_>) -> Result<(), Error> {
        let agent = token.actor().map(|actor| actor.party().subject());
        if let Some(gateways) = &self.caller {
            let caller = call.caller.ok_or(Error::CallerMismatch)?;
            if token.acting_workload() != Some(caller)
                && !gateways.iter().any(|gateway| gateway == caller)
            {
                return Err(Error::CallerMismatch);
            }
        }
        if let Some(pattern) = &self.actor {
            let id = agent.and_then(|agent| SpiffeId::parse(agent).ok());
            if !id.is_some_and(|id| pattern.matches(&id)) {
                return Err(Error::ActorNotAllowed);
            }
        }
        if let Some(pattern) = &self.workload {
            let id = token
                .acting_workload()
                .and_then(|id| SpiffeId::parse(id).ok());
            if !id.is_some_and(|id| pattern.matches(&id)) {
                return Err(Error::ActorNotAllowed);
            }
        }
        self.check_machine(token)?;
        match &self.requesters {
            Some(names) if !names.iter().any(|one| one == token.requesting_workload()) => {
                Err(Error::RequesterNotAllowed)
            }
            _ => Ok(()),
        }
    }

    fn check_machine(&self, token: &TxnToken) -> Result<(), Error> {
        let actor = token.actor();
        let version = actor.and_then(|actor| actor.version());
        let right = |rule: &VersionRule| match rule {
            VersionRule::Only(versions) => {
                version.is_some_and(|own| versions.iter().any(|one| one == own))
            }
            VersionRule::AtLeast(least, compare) => version
                .and_then(|own| compare(own, least))
                .is_some_and(Ordering::is_ge),
        };
        if !self.versions.as_ref().is_none_or(right) {
            return Err(Error::ActorVersion { member: "version" });
        }
        let deployment = actor.and_then(|actor| actor.deployment());
        let listed =
            |names: &Vec<String>| deployment.is_some_and(|own| names.iter().any(|one| one == own));
        if !self.deployments.as_ref().is_none_or(listed) {
            return Err(Error::ActorVersion {
                member: "deployment",
            });
        }
        let lineage = token.lineage();
        if let Some((demanded, levels)) = &self.assurance {
            let least = lineage.map_or(UNVERIFIED, Lineage::least_assurance);
            if !levels.knows(demanded)
                || !levels.knows(least)
                || levels.rank(least) < levels.rank(demanded)
            {
                return Err(Error::AssuranceTooLow);
            }
        }
        match &self.manifests {
            Some(known) if !lineage.is_some_and(|lineage| known.has(lineage.current())) => {
                Err(Error::UnknownManifest)
            }
            _ => Ok(()),
        }
    }

    fn check_limits(&self, limits: &AgenticContext, call: &Call<'_>) -> Result<(), Error> {
        if let Some(actions) = &limits.allowed_actions {
            if !call.action.is_some_and(|action| actions.contains(action)) {
                return Err(Error::ActionNotAllowed);
            }
        }
        if let Some(details) = &limits.authorization_details {
            let granted = self
                .types
                .grant(details)
                .map_err(|_| Error::DetailNotGranted)?;
            if !call.detail.is_some_and(|detail| granted.covers(detail)) {
                return Err(Error::DetailNotGranted);
            }
        }
        let unmet = |(name, value): &(&String, &String)| self.environment.get(*name) != Some(value);
        if limits
            .environment_constraints
            .iter()
            .any(|constraint| unmet(&constraint))
        {
            return Err(Error::EnvironmentConstraint);
        }
        Ok(())
    }
}

/// The verifier already applied its leeway; this only stops tokens that were kept.
const MAX_LEEWAY: u64 = 120;
