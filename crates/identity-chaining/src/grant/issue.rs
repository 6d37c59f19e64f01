//! Making grants, at the authorization server of domain A.

use std::fmt;
use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::{self, Confirmation};
use jose_x509::{CryptoProvider, Signer};
use pki_types::UnixTime;
use serde_json::{Map, Value};
use token_exchange::{ResourceIndicator, ScopeSet};

use crate::error::Error;
use crate::response::resource_value;
use crate::url::ServerUrl;

/// Longest life of a grant, and the usual one.
pub(crate) const MAX_LIFETIME: u64 = 300;
const DEFAULT_LIFETIME: u64 = 60;

/// What a new grant says. Who issues it, when, and its `jti` are the issuer's to add.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewGrant {
    /// `typ` of the header.
    pub typ: &'static str,
    /// `sub`, in the names that the other domain knows.
    pub subject: String,
    /// `aud`: one server, unless there is an agreement with all of them.
    pub audience: Vec<String>,
    /// `scope`.
    pub scope: Option<ScopeSet>,
    /// `client_id`: the client as the other server knows it.
    pub client_id: Option<String>,
    /// `resource`.
    pub resources: Vec<ResourceIndicator>,
    /// `cnf`.
    pub confirmation: Option<Confirmation>,
    /// The key of an end client (`requested_cnf`), for a grant that its issuer redeems itself.
    #[cfg(feature = "requested-cnf")]
    pub requested_confirmation: Option<Confirmation>,
    /// Further claims.
    pub claims: Map<String, Value>,
    /// How long the grant lives, if not as long as the issuer's others: 300 seconds at most.
    pub lifetime: Option<u64>,
    /// The latest `exp`, in seconds since the epoch: that of the token which the grant rests on.
    pub not_after: Option<u64>,
}

impl NewGrant {
    /// A grant with all that one has to have.
    #[must_use]
    pub fn new(typ: &'static str, subject: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            typ,
            subject: subject.into(),
            audience: vec![audience.into()],
            scope: None,
            client_id: None,
            resources: Vec::new(),
            confirmation: None,
            #[cfg(feature = "requested-cnf")]
            requested_confirmation: None,
            claims: Map::new(),
            lifetime: None,
            not_after: None,
        }
    }
}

/// Claims that only the issuer itself sets.
pub(crate) const RESERVED: [&str; 14] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "scope",
    "client_id",
    "resource",
    "cnf",
    "requested_cnf",
    "act",
    "may_act",
];

/// Signs grants for one authorization server.
#[derive(Debug)]
pub struct GrantIssuer<S> {
    signer: S,
    issuer: ServerUrl,
    provider: CryptoProvider,
    lifetime: u64,
}

impl<S: Signer> GrantIssuer<S> {
    /// An issuer with this issuer identifier; grants live for 60 seconds.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for a signer without `kid`.
    pub fn new(signer: S, issuer: ServerUrl, provider: &CryptoProvider) -> Result<Self, Error> {
        if signer.kid().is_none_or(str::is_empty) {
            return Err(Error::InvalidOption {
                option: "signer",
                range: "a key with a `kid`",
            });
        }
        Ok(Self {
            signer,
            issuer,
            provider: *provider,
            lifetime: DEFAULT_LIFETIME,
        })
    }

    /// Sets how long a grant lives.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for none, or more than 300 seconds.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        if !(1..=MAX_LIFETIME).contains(&lifetime.as_secs()) {
            return Err(Error::InvalidOption {
                option: "lifetime",
                range: "1 to 300 seconds",
            });
        }
        self.lifetime = lifetime.as_secs();
        Ok(self)
    }

    /// The issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// The algorithm that grants are signed with.
    #[must_use]
    pub fn algorithm(&self) -> jose_x509::Algorithm {
        self.signer.algorithm()
    }

    /// Signs a grant.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyClaim`], [`Error::ReservedClaim`], [`Error::SubjectToken`] when what the grant rests on has ended,
    /// [`Error::Sign`].
    pub fn issue(&self, grant: &NewGrant, now: UnixTime) -> Result<IssuedGrant, Error> {
        let empty = |claim| Err(Error::EmptyClaim { claim });
        if grant.subject.is_empty() {
            return empty("sub");
        }
        if grant.audience.is_empty() || grant.audience.iter().any(String::is_empty) {
            return empty("aud");
        }
        if let Some(claim) = RESERVED
            .into_iter()
            .find(|name| grant.claims.contains_key(*name))
        {
            // `act` is the delegation profile's, which says so by its own name.
            if claim != "act" {
                return Err(Error::ReservedClaim { claim });
            }
        }
        let issued = now.as_secs();
        let lifetime = grant.lifetime.unwrap_or(self.lifetime).min(MAX_LIFETIME);
        let latest = issued.saturating_add(lifetime);
        let expires = latest.min(grant.not_after.unwrap_or(u64::MAX));
        if expires <= issued {
            return Err(Error::SubjectToken(jose_x509::Error::Expired));
        }
        let mut claims = grant.claims.clone();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", self.issuer.as_str().into());
        put("sub", grant.subject.as_str().into());
        put("aud", token_exchange::audience_value(&grant.audience));
        put("iat", issued.into());
        put("exp", expires.into());
        put(
            "jti",
            self.provider.random_id().map_err(Error::Sign)?.into(),
        );
        if let Some(scope) = &grant.scope {
            put("scope", scope.to_string().into());
        }
        if let Some(client) = &grant.client_id {
            put("client_id", client.as_str().into());
        }
        if let Some(resource) = resource_value(&grant.resources) {
            put("resource", resource);
        }
        if let Some(confirmation) = &grant.confirmation {
            put("cnf", confirmation.to_value());
        }
        #[cfg(feature = "requested-cnf")]
        if let Some(confirmation) = &grant.requested_confirmation {
            put("requested_cnf", confirmation.to_value());
        }
        let header = ProtectedHeader::new(grant.typ);
        Ok(IssuedGrant {
            token: jwt::sign(&self.signer, &header, &claims).map_err(Error::Sign)?,
            scope: grant.scope.clone(),
            expires_in: expires.saturating_sub(issued),
        })
    }
}

/// A grant that was just issued. `Debug` hides it.
pub struct IssuedGrant {
    token: String,
    scope: Option<ScopeSet>,
    expires_in: u64,
}

impl IssuedGrant {
    /// The compact JWT.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.token
    }

    /// `scope`.
    #[must_use]
    pub fn scope(&self) -> Option<&ScopeSet> {
        self.scope.as_ref()
    }

    /// The lifetime in seconds.
    #[must_use]
    pub fn expires_in(&self) -> u64 {
        self.expires_in
    }
}

impl fmt::Debug for IssuedGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedGrant")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}
