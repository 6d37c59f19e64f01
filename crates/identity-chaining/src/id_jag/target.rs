//! The servers that an identity provider issues ID-JAGs for.

use std::collections::BTreeMap;

use token_exchange::{Authority, ResourceIndicator, ScopeSet};

use super::user::UserRecord;
use crate::error::Error;
use crate::party::Client;
use crate::url::ServerUrl;

/// A resource authorization server, and which of this provider's clients it knows.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) issuer: ServerUrl,
    aliases: Vec<String>,
    clients: BTreeMap<String, AtTarget>,
    shared_clients: bool,
    pub(super) wants_tenant: bool,
    pub(super) wants_sub_id: bool,
    pub(super) terms: IdJagTerms,
}

#[derive(Clone, Debug)]
struct AtTarget {
    id: String,
    tenant: Option<String>,
}

/// The most that a grant may carry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdJagTerms {
    /// Scopes.
    pub scopes: ScopeSet,
    /// Resources.
    pub resources: Vec<ResourceIndicator>,
    /// Authorization details: what `with_details` of [`Authority`] was given; none by default.
    pub details: Authority,
}

impl IdJagTerms {
    /// These scopes; no resource and no detail.
    #[must_use]
    pub fn new(scopes: ScopeSet) -> Self {
        Self {
            scopes,
            resources: Vec::new(),
            details: Authority::unbounded().with_details(Default::default()),
        }
    }

    /// Adds a resource.
    #[must_use]
    pub fn with_resource(mut self, resource: ResourceIndicator) -> Self {
        self.resources.push(resource);
        self
    }

    /// Sets the details, as [`DetailTypes::grant`](token_exchange::DetailTypes::grant) reads them.
    #[must_use]
    pub fn with_details(mut self, details: token_exchange::authority::Details) -> Self {
        self.details = Authority::unbounded().with_details(details);
        self
    }
}

impl Target {
    /// A server with this issuer identifier, which becomes `aud`, and the most that grants to it may carry. No client may
    /// ask yet.
    #[must_use]
    pub fn new(issuer: ServerUrl, terms: IdJagTerms) -> Self {
        Self {
            issuer,
            aliases: Vec::new(),
            clients: BTreeMap::new(),
            shared_clients: false,
            wants_tenant: false,
            wants_sub_id: false,
            terms,
        }
    }

    /// A name by which `audience` may call it, beside its issuer identifier.
    #[must_use]
    pub fn with_alias(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// Lets a client ask, and says by which identifier the target knows it: in any of this provider's tenants.
    #[must_use]
    pub fn permit(mut self, client: impl Into<String>, at_target: impl Into<String>) -> Self {
        let known = AtTarget {
            id: at_target.into(),
            tenant: None,
        };
        self.clients.insert(client.into(), known);
        self
    }

    /// As [`permit`](Self::permit), for the users of one tenant.
    #[must_use]
    pub fn permit_in_tenant(
        mut self,
        client: impl Into<String>,
        at_target: impl Into<String>,
        tenant: impl Into<String>,
    ) -> Self {
        let known = AtTarget {
            id: at_target.into(),
            tenant: Some(tenant.into()),
        };
        self.clients.insert(client.into(), known);
        self
    }

    /// Lets clients ask whose identifier is the URL of a client ID metadata document: it is the same at both servers.
    #[must_use]
    pub fn with_shared_client_urls(mut self) -> Self {
        self.shared_clients = true;
        self
    }

    /// Tells the target the user's tenant, even though `sub` is unique without it.
    #[must_use]
    pub fn with_tenant(mut self) -> Self {
        self.wants_tenant = true;
        self
    }

    /// Tells the target the user's SAML `NameID`. By default nobody is told.
    #[must_use]
    pub fn with_sub_id(mut self) -> Self {
        self.wants_sub_id = true;
        self
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        self.issuer.as_str() == name || self.aliases.iter().any(|one| one == name)
    }

    /// The client's identifier at the target. This provider's own is never taken for it by accident.
    pub(super) fn client(&self, client: &Client, user: &UserRecord) -> Result<String, Error> {
        if let Some(known) = self.clients.get(client.id()) {
            let fits = known.tenant.is_none() || known.tenant == user.tenant;
            return if fits {
                Ok(known.id.clone())
            } else {
                Err(Error::ClientUnmapped)
            };
        }
        if self.shared_clients && ServerUrl::parse(client.id()).is_ok() {
            return Ok(client.id().to_owned());
        }
        Err(Error::ClientUnmapped)
    }
}
