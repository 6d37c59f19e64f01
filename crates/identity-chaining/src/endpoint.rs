//! What token endpoints do with every request to redeem a grant, whatever the profile of the grant.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use jose_x509::ReplayGuard;
use jose_x509::dpop::DpopProof;
use pki_types::UnixTime;
use token_exchange::{Error as Wire, Form, ResourceIndicator, ResourceRegistry, ScopeSet, Target};

use crate::error::Error;
use crate::grant::AuthorizationGrant;
use crate::party::{Client, ClientRules};
use crate::proof::ProofCheck;
use crate::redeem::JwtBearerRequest;

/// The token endpoint of a server: whom it serves, what for, and how it knows what was used before.
#[derive(Clone)]
pub struct TokenEndpoint {
    resources: ResourceRegistry,
    default_resource: Option<ResourceIndicator>,
    clients: ClientRules,
    proofs: Option<ProofCheck>,
    details: bool,
    replay: Arc<dyn ReplayGuard>,
}

impl TokenEndpoint {
    /// An endpoint for tokens to `resources`. All its instances have one replay guard, which sees every grant once.
    #[must_use]
    pub fn new(resources: ResourceRegistry, replay: Arc<dyn ReplayGuard>) -> Self {
        Self {
            resources,
            default_resource: None,
            clients: ClientRules::new(),
            proofs: None,
            details: false,
            replay,
        }
    }

    /// The resource of requests and grants that name none.
    #[must_use]
    pub fn with_default_resource(mut self, resource: ResourceIndicator) -> Self {
        self.default_resource = Some(resource);
        self
    }

    /// Sets which clients are served. Grants of public clients are good once.
    #[must_use]
    pub fn with_clients(mut self, clients: ClientRules) -> Self {
        self.clients = clients;
        self
    }

    /// Checks DPoP proofs, and binds access tokens to their keys.
    #[must_use]
    pub fn with_proofs(mut self, proofs: ProofCheck) -> Self {
        self.proofs = Some(proofs);
        self
    }

    /// Takes requests with `authorization_details`, for profiles that have them.
    pub(crate) fn with_details(mut self) -> Self {
        self.details = true;
        self
    }

    /// Which clients are served.
    #[must_use]
    pub const fn clients(&self) -> &ClientRules {
        &self.clients
    }

    /// What remembers the grants that were used.
    #[must_use]
    pub fn replay(&self) -> &dyn ReplayGuard {
        self.replay.as_ref()
    }

    /// Reads a request: its client first, its parameters, and last its proof, which is spent.
    ///
    /// # Errors
    ///
    /// [`Error`] for the first rule that is broken, in that order.
    pub fn receive<'c>(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&'c Client>,
        now: UnixTime,
    ) -> Result<Received<'c>, Error> {
        let client = self.clients.check(client)?;
        let request = JwtBearerRequest::from_form(&Form::from_request(parts, body)?, client)?;
        if request.authorization_details.is_some() && !self.details {
            let name = "authorization_details";
            return Err(Wire::InvalidParameter { name }.into());
        }
        let proof = match &self.proofs {
            Some(proofs) => proofs.read(&parts.headers, now)?,
            None => None,
        };
        if request.says_dpop && proof.is_none() {
            return Err(Error::ProofRequired);
        }
        Ok(Received {
            client,
            request,
            proof,
        })
    }

    /// Where the access token is good: what the request names within what the grant has, or else all of the grant, or else
    /// the default.
    ///
    /// # Errors
    ///
    /// As [`ResourceRegistry::resolve`].
    pub fn target(
        &self,
        request: &JwtBearerRequest,
        grant: &AuthorizationGrant,
        scope: &ScopeSet,
    ) -> Result<Target, Error> {
        let granted = Some(grant.resources()).filter(|resources| !resources.is_empty());
        let default = self.default_resource.as_ref();
        Ok(self
            .resources
            .resolve(&request.resources, granted, default, scope)?)
    }
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoint")
            .field("clients", &self.clients)
            .field("proofs", &self.proofs)
            .finish_non_exhaustive()
    }
}

/// A request that a [`TokenEndpoint`] has read. The grant in it is unverified.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received<'c> {
    /// Who asks.
    pub client: &'c Client,
    /// What for.
    pub request: JwtBearerRequest,
    /// By whose key.
    pub proof: Option<DpopProof>,
}
