//! The claims of a WIT-SVID to be issued (section 3).

use jose_x509::{CryptoProvider, Jwk};
use serde_json::{Map, Value};
use spiffe_id::SpiffeId;

use super::parse::refused;
use crate::error::Error;
use crate::identity::{add_claim, is_private_name};

/// What one WIT-SVID says: whom it names, and by which key that workload is known. There is no audience to
/// set: a WIT-SVID has none.
#[derive(Clone, Debug)]
pub struct WitSvidRequest<'a> {
    pub(super) subject: &'a SpiffeId,
    pub(super) key: &'a Jwk,
    pub(super) id: Option<String>,
    pub(super) claims: Map<String, Value>,
}

impl<'a> WitSvidRequest<'a> {
    /// A token that binds `subject` to `key`, the workload's public key with `alg`.
    ///
    /// Instances that share a key cannot be told apart by their proofs, so give each its own.
    #[must_use]
    pub fn new(subject: &'a SpiffeId, key: &'a Jwk) -> Self {
        Self {
            subject,
            key,
            id: None,
            claims: Map::new(),
        }
    }

    /// Sets `jti` to 128 random bits, for audit alone: it is no protection against replay.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] when the random source fails.
    pub fn with_random_id(self, provider: &CryptoProvider) -> Result<Self, Error> {
        Ok(self.with_id(provider.random_id().map_err(refused)?))
    }

    /// Sets `jti`, which no two tokens of the trust domain may have in common.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Adds a claim, which decides nothing for validators.
    ///
    /// # Errors
    ///
    /// [`Error::ReservedClaim`] for `aud`, which no WIT-SVID may have, and for `iss`, `sub`, `exp`, `nbf`,
    /// `iat`, `jti` and `cnf`.
    pub fn with_claim(
        mut self,
        name: impl Into<String>,
        value: impl Into<Value>,
    ) -> Result<Self, Error> {
        add_claim(&mut self.claims, name.into(), value.into())?;
        Ok(self)
    }

    /// The names of added claims that may mean something else to others: for the issuer's log.
    pub fn private_names(&self) -> impl Iterator<Item = &str> {
        let names = self.claims.keys().map(String::as_str);
        names.filter(|name| is_private_name(name))
    }
}
