//! Another token out of an exchange that was granted before, for servers that keep delegations open by refresh tokens of
//! their own.

use std::sync::Arc;

use jose_x509::jwt::Confirmation;
use pki_types::UnixTime;

use super::{AuditRecord, Caller, ExchangeService, Exchanged, Facts, Granted, Permissions};
use crate::act::{ActorChain, Party};
use crate::authority::{Details, ScopeSet};
use crate::error::Error;
use crate::exchange::VerifiedSubject;
use crate::resource::{ResourceIndicator, Target};
use crate::token_type::TokenType;

/// A delegation that was granted: what a server stores with the token or a refresh token of its own.
#[derive(Clone, Debug)]
pub struct IssuedDelegation {
    pub(super) client_id: Arc<str>,
    pub(super) subject: Party,
    /// `sub` in this server's tokens, unless the rules say otherwise.
    pub(super) subject_name: Arc<str>,
    pub(super) actors: ActorChain,
    pub(super) token_type: TokenType,
    pub(super) target: Target,
    pub(super) scopes: ScopeSet,
    pub(super) details: Option<Details>,
    pub(super) until: u64,
    pub(super) grant_id: Arc<str>,
    pub(super) confirmation: Option<Confirmation>,
}

impl IssuedDelegation {
    /// The client that it was granted to.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// On whose behalf.
    #[must_use]
    pub fn subject(&self) -> &Party {
        &self.subject
    }

    /// Who acts.
    #[must_use]
    pub fn actors(&self) -> &ActorChain {
        &self.actors
    }

    /// What revokes it: the id of the source that all its tokens share.
    #[must_use]
    pub fn grant_id(&self) -> &str {
        &self.grant_id
    }

    /// Until when it can be renewed, in seconds since the epoch: first until its token ends.
    #[must_use]
    pub fn until(&self) -> u64 {
        self.until
    }

    /// Keeps it open beyond its token and the subject token, because the subject agreed to that.
    #[must_use]
    pub fn dangerous_keep_until(mut self, seconds: u64) -> Self {
        self.until = seconds;
        self
    }

    pub(super) fn facts<'a>(&'a self, subject_token: Option<&'a VerifiedSubject>) -> Facts<'a> {
        Facts {
            client_id: &self.client_id,
            subject: &self.subject,
            actors: &self.actors,
            targets: &self.target.audience,
            scopes: &self.scopes,
            subject_token,
        }
    }
}

/// What a refresh asks for: nothing means all of it.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// `resource`.
    pub resources: Vec<ResourceIndicator>,
    /// `scope`.
    pub scope: Option<ScopeSet>,
}

impl ExchangeService {
    /// Issues a further token of a delegation, which everything is decided anew for: client, permissions, actor, source
    /// and rules. Its actors stay, and nothing widens.
    pub fn renew(
        &self,
        delegation: &IssuedDelegation,
        renewal: &Renewal,
        caller: &Caller<'_>,
        now: UnixTime,
    ) -> (Result<Exchanged, Error>, AuditRecord) {
        self.recorded(now, |record| {
            self.decide_again(delegation, renewal, caller, now, record)
        })
    }

    fn decide_again(
        &self,
        delegation: &IssuedDelegation,
        renewal: &Renewal,
        caller: &Caller<'_>,
        now: UnixTime,
        record: &mut AuditRecord,
    ) -> Result<Exchanged, Error> {
        const WITHDRAWN: Error = Error::Withdrawn { which: "refresh" };
        let (client, permissions) = self.known(caller, record)?;
        record.subject = Some(delegation.subject.clone());
        record.actor = Some(delegation.actors.current().clone());
        record.grant_id = Some(delegation.grant_id.clone());
        if client.client_id != delegation.client_id
            || !self.are_enabled(&delegation.actors)
            || now.as_secs() >= delegation.until
            || self.rules.is_revoked(&delegation.grant_id)
            || !permissions.is(delegation.actors.current())
        {
            return Err(WITHDRAWN);
        }
        let bound = delegation.confirmation.as_ref();
        if bound.is_some_and(|token| !client.proves(token)) {
            return Err(Error::MissingProof { which: "refresh" });
        }
        let scopes = renewal.scope.as_ref().unwrap_or(&delegation.scopes);
        if !scopes.is_subset(&delegation.scopes) {
            return Err(Error::InvalidScope);
        }
        let granted = &delegation.target.resources;
        let scopes = scopes.intersect(&permissions.scopes);
        let target = self
            .resources
            .resolve(&renewal.resources, Some(granted), None, &scopes)?;
        if !self.is_still_allowed(permissions, delegation, &target) {
            return Err(WITHDRAWN);
        }
        record.targets.clone_from(&target.audience);
        let writer = self.writers.get(&delegation.token_type).ok_or(WITHDRAWN)?;
        let latest = now
            .as_secs()
            .saturating_add(self.policy.max_lifetime.as_secs());
        let types = self.permitted_types(permissions);
        let details = delegation.details.as_ref();
        let details = details.map(|details| details.of_types(&types));
        if details
            .as_ref()
            .is_some_and(|details| details.as_slice().is_empty())
        {
            return Err(WITHDRAWN);
        }
        let mut next = delegation.clone();
        next.details = details;
        next.scopes = target.scopes.clone();
        next.target = target;
        let granted = Granted {
            client: &client,
            subject: None,
            expires: latest.min(delegation.until),
            delegation: next,
        };
        let prepared = match self.prepare(&granted, writer.as_ref(), now) {
            Err(Error::Refused | Error::Redelegation) => return Err(WITHDRAWN),
            other => other?,
        };
        let mut exchanged = self.write(granted, prepared, writer.as_ref(), now, record)?;
        // The grant stays whole for the next request.
        exchanged.delegation = delegation.clone();
        Ok(exchanged)
    }

    /// Whether some type of subject token still leads to these targets.
    fn is_still_allowed(
        &self,
        permissions: &Permissions,
        delegation: &IssuedDelegation,
        target: &Target,
    ) -> bool {
        target
            .resources
            .iter()
            .all(|resource| permissions.leads_to(&delegation.token_type, resource))
    }
}
