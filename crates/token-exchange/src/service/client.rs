//! Who asks, and what it may ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jose_x509::jwt::Confirmation;

use crate::act::Party;
use crate::authority::{Details, ScopeSet};
use crate::exchange::PartyKind;
use crate::resource::ResourceIndicator;
use crate::token_type::TokenType;

/// A client that has authenticated, by whatever method of the token endpoint.
#[derive(Clone, Debug)]
pub struct AuthenticatedClient {
    pub(super) client_id: Arc<str>,
    pub(super) confirmation: Option<Confirmation>,
}

impl AuthenticatedClient {
    /// The client of this `client_id`.
    #[must_use]
    pub fn new(client_id: impl Into<Arc<str>>) -> Self {
        Self {
            client_id: client_id.into(),
            confirmation: None,
        }
    }

    /// With the key or certificate that this very request proved possession of: tokens that are bound to it may be
    /// exchanged, and what is issued is bound to it.
    #[must_use]
    pub fn with_proof(mut self, confirmation: Confirmation) -> Self {
        self.confirmation = Some(confirmation);
        self
    }

    /// `client_id`.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whether every method that a token's `cnf` names is proven.
    pub(super) fn proves(&self, token: &Confirmation) -> bool {
        let Some(own) = &self.confirmation else {
            return false;
        };
        (token.jkt.is_none() || token.jkt == own.jkt)
            && (token.x5t_s256.is_none() || token.x5t_s256 == own.x5t_s256)
            && (token.jwk.is_none() || token.jwk == own.jwk)
            && token.kid.is_none()
    }
}

/// How the request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Over TLS, ended here or by a proxy in front.
    Tls,
    /// Without, from this very host.
    PlainLoopback,
    /// Without, over a network.
    Plain,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    pub(super) transport: Transport,
    pub(super) who: Who<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Who<'a> {
    Nobody,
    Public(&'a str),
    Client(&'a AuthenticatedClient),
}

impl<'a> Caller<'a> {
    /// A client that has authenticated.
    #[must_use]
    pub const fn client(client: &'a AuthenticatedClient, transport: Transport) -> Self {
        Self {
            transport,
            who: Who::Client(client),
        }
    }

    /// Somebody who states a `client_id` and proves nothing.
    #[must_use]
    pub const fn public(unverified_client_id: &'a str, transport: Transport) -> Self {
        Self {
            transport,
            who: Who::Public(unverified_client_id),
        }
    }

    /// Nobody, or a client whose authentication failed.
    #[must_use]
    pub const fn nobody(transport: Transport) -> Self {
        Self {
            transport,
            who: Who::Nobody,
        }
    }
}

/// What one client may exchange. Nothing, unless it is said.
#[derive(Clone, Debug)]
pub struct Permissions {
    pub(super) identities: Vec<Party>,
    pub(super) kind: PartyKind,
    pub(super) serves: Vec<Arc<str>>,
    pub(super) scopes: ScopeSet,
    pub(super) ceiling: Option<ScopeSet>,
    pub(super) default_target: Option<ResourceIndicator>,
    pub(super) detail_types: Option<BTreeSet<String>>,
    pub(super) details: Option<Details>,
    pub(super) public: bool,
    /// Targets by the types of what is exchanged and of what is issued.
    allowed: BTreeMap<TokenType, BTreeMap<TokenType, BTreeSet<String>>>,
}

impl Permissions {
    /// A client that acts as `identity`, such as its SPIFFE ID, within these scopes.
    #[must_use]
    pub fn new(identity: Party, kind: PartyKind, scopes: ScopeSet) -> Self {
        Self {
            identities: vec![identity],
            kind,
            serves: Vec::new(),
            scopes,
            ceiling: None,
            default_target: None,
            detail_types: None,
            details: None,
            public: false,
            allowed: BTreeMap::new(),
        }
    }

    /// May exchange tokens of the type `subject` for ones of the type `requested`, for this target. An actor token is
    /// taken of any type that the service validates.
    #[must_use]
    pub fn allow(
        mut self,
        subject: &TokenType,
        requested: &TokenType,
        target: &ResourceIndicator,
    ) -> Self {
        self.allowed
            .entry(subject.clone())
            .or_default()
            .entry(requested.clone())
            .or_default()
            .insert(target.as_str().to_owned());
        self
    }

    /// May present actor tokens of this party, too. A party without issuer is meant whoever the token's issuer is.
    #[must_use]
    pub fn with_identity(mut self, identity: Party) -> Self {
        self.identities.push(identity);
        self
    }

    /// Serves this resource: tokens for it are for this client, which may exchange them.
    #[must_use]
    pub fn serving(mut self, resource: impl Into<Arc<str>>) -> Self {
        self.serves.push(resource.into());
        self
    }

    /// What a subject token without `scope` is worth. Without this it is worth nothing.
    #[must_use]
    pub fn with_ceiling(mut self, scopes: ScopeSet) -> Self {
        self.ceiling = Some(scopes);
        self
    }

    /// The target of requests that name none.
    #[must_use]
    pub fn with_default_target(mut self, target: ResourceIndicator) -> Self {
        self.default_target = Some(target);
        self
    }

    /// Limits the client to these types of authorization details (`authorization_details_types`), whether it names details
    /// or takes those of its subject token. What is of other types is left out, and where nothing is left it is refused.
    #[must_use]
    pub fn with_detail_types<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        self.detail_types = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// What a subject token without `authorization_details` is worth. Without this it is worth none.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = Some(details);
        self
    }

    /// Takes this client's requests without credentials. Whoever holds one of its subject tokens can then exchange it.
    #[must_use]
    pub fn dangerous_without_authentication(mut self) -> Self {
        self.public = true;
        self
    }

    /// The targets for a pair of types; `None` where the pair is not allowed at all.
    pub(super) fn targets(
        &self,
        subject: &TokenType,
        requested: &TokenType,
    ) -> Option<&BTreeSet<String>> {
        self.allowed.get(subject)?.get(requested)
    }

    /// Whether tokens of this type may be had for this target, out of whatever type.
    pub(super) fn leads_to(&self, requested: &TokenType, target: &ResourceIndicator) -> bool {
        self.allowed
            .values()
            .filter_map(|issued| issued.get(requested))
            .any(|targets| targets.contains(target.as_str()))
    }

    /// What the client is called, by itself and as a party.
    pub(super) fn names<'n>(&'n self, client_id: &'n str) -> impl Iterator<Item = &'n str> {
        self.identities
            .iter()
            .map(Party::subject)
            .chain([client_id])
    }

    pub(super) fn is(&self, party: &Party) -> bool {
        self.identities.iter().any(|identity| {
            identity.subject() == party.subject()
                && identity
                    .issuer()
                    .is_none_or(|issuer| party.issuer() == Some(issuer))
        })
    }
}
