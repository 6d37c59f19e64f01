//! The claims of a JWT-SVID to be issued (section 3).

use std::time::Duration;

use serde_json::{Map, Value};
use spiffe_id::SpiffeId;

use crate::error::Error;
use crate::identity::{add_claim, is_private_name};

/// What one JWT-SVID says: about whom, to whom, for how long.
#[derive(Clone, Debug)]
pub struct JwtSvidRequest<'a> {
    pub(super) subject: &'a SpiffeId,
    pub(super) audiences: Vec<&'a str>,
    pub(super) lifetime: Duration,
    pub(super) id: Option<String>,
    pub(super) claims: Map<String, Value>,
}

impl<'a> JwtSvidRequest<'a> {
    /// The lifetime without another wish: five minutes.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);

    /// A token about `subject` to one recipient, for five minutes.
    #[must_use]
    pub fn new(subject: &'a SpiffeId, audience: &'a str) -> Self {
        Self {
            subject,
            audiences: vec![audience],
            lifetime: Self::DEFAULT_LIFETIME,
            id: None,
            claims: Map::new(),
        }
    }

    /// Adds a recipient. Each one can replay the token to all the others (section 7.2).
    #[must_use]
    pub fn with_other_audience(mut self, audience: &'a str) -> Self {
        self.audiences.push(audience);
        self
    }

    /// Another lifetime, which the issuer bounds.
    #[must_use]
    pub const fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets `jti`, for audit alone: validators do not track it. Take it from `CryptoProvider::random_id`.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Adds a claim, which decides nothing for validators. Its name should be resistant to collisions (RFC
    /// 7519, section 4.2): a URI, or a name below a domain of the issuer.
    /// See [`private_names`](Self::private_names).
    ///
    /// # Errors
    ///
    /// [`Error::ReservedClaim`] for `iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti` and `cnf`.
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
