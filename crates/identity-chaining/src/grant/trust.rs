//! Whose grants are accepted, and on which terms.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jose_x509::jwt::Jwt;
use jose_x509::{Algorithm, Algorithms, Error as JoseError, KeySource};
use pki_types::UnixTime;

use super::issue::MAX_LIFETIME;
use crate::error::Error;
use crate::url::ServerUrl;

const DEFAULT_LEEWAY: u64 = 60;
const MAX_LIFETIME_OPTION: u64 = 3600;

/// How often a grant may be redeemed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reuse {
    /// Once; a grant without `jti` never.
    Never,
    /// Any number of times by its client until `exp`.
    UntilExpiry,
}

/// An issuer of grants: whose keys sign them, and what is agreed about them.
#[derive(Clone)]
pub struct TrustedIssuer {
    pub(super) identifier: String,
    pub(super) keys: Arc<dyn KeySource + Send + Sync>,
    pub(super) algorithms: Algorithms,
    pub(super) leeway: Duration,
    max_lifetime: u64,
    pub(super) reuse: Reuse,
    pub(super) untyped: bool,
    pub(super) several_audiences: bool,
    pub(super) own_client: Option<String>,
}

impl TrustedIssuer {
    /// An issuer with the keys that its metadata or the configuration give, and no others.
    ///
    /// A clock may be off by 60 seconds; a grant lives for 300 seconds at most, is of its profile's type, names one
    /// audience, and is good once.
    #[must_use]
    pub fn new(issuer: ServerUrl, keys: Arc<dyn KeySource + Send + Sync>) -> Self {
        Self {
            identifier: issuer.as_str().to_owned(),
            keys,
            algorithms: Algorithms::of(&[
                Algorithm::Es256,
                Algorithm::Es384,
                Algorithm::Es512,
                Algorithm::Ed25519,
                Algorithm::EdDsa,
                Algorithm::Ps256,
                Algorithm::Ps384,
                Algorithm::Ps512,
                Algorithm::Rs256,
            ]),
            leeway: Duration::from_secs(DEFAULT_LEEWAY),
            max_lifetime: MAX_LIFETIME,
            reuse: Reuse::Never,
            untyped: false,
            several_audiences: false,
            own_client: None,
        }
    }

    /// Accepts these algorithms only.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.algorithms = algorithms;
        self
    }

    /// Sets the tolerated difference of clocks.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 300 seconds.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, Error> {
        if leeway.as_secs() > 300 {
            return Err(Error::InvalidOption {
                option: "leeway",
                range: "0 to 300 seconds",
            });
        }
        self.leeway = leeway;
        Ok(self)
    }

    /// Sets the longest accepted lifetime.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for none, or above one hour.
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        if !(1..=MAX_LIFETIME_OPTION).contains(&lifetime.as_secs()) {
            return Err(Error::InvalidOption {
                option: "max_lifetime",
                range: "1 to 3600 seconds",
            });
        }
        self.max_lifetime = lifetime.as_secs();
        Ok(self)
    }

    /// Sets how often a grant may be redeemed.
    #[must_use]
    pub fn with_reuse(mut self, reuse: Reuse) -> Self {
        self.reuse = reuse;
        self
    }

    /// Accepts plain grants with `typ` `JWT` and with none, as this issuer writes them. What is visibly another kind of
    /// token stays refused.
    #[must_use]
    pub fn with_untyped_grants(mut self) -> Self {
        self.untyped = true;
        self
    }

    /// Accepts plain grants that name other servers beside this one: each of them could redeem the grant, and has to be
    /// trusted not to.
    #[must_use]
    pub fn with_several_audiences(mut self) -> Self {
        self.several_audiences = true;
        self
    }

    /// The client as which the issuer itself redeems grants here, on behalf of its own clients.
    #[must_use]
    pub fn with_own_client(mut self, client: impl Into<String>) -> Self {
        self.own_client = Some(client.into());
        self
    }

    /// The issuer identifier.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.identifier
    }
}

impl fmt::Debug for TrustedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedIssuer")
            .field("identifier", &self.identifier)
            .field("reuse", &self.reuse)
            .finish_non_exhaustive()
    }
}

impl TrustedIssuer {
    pub(super) fn check_lifetime(&self, jwt: &Jwt, now: UnixTime) -> Result<(), Error> {
        // Without `iat` it began now at the latest; an `iat` ahead is within the leeway.
        let began = jwt.issued_at().unwrap_or(now.as_secs());
        if jwt.expires().unwrap_or(u64::MAX).saturating_sub(began) > self.max_lifetime {
            let limit = self.max_lifetime;
            return Err(Error::Grant(JoseError::LifetimeTooLong { limit }));
        }
        Ok(())
    }
}
