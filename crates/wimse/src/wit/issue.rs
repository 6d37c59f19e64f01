//! Issuing WITs.

use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::{self, Confirmation};
use jose_x509::{Jwk, Signer};
use pki_types::UnixTime;
use serde_json::{Map, Value};

use crate::error::{Error, Token};
use crate::identifier::WorkloadIdentifier;
use crate::wit::WIT_TYPE;

/// What one WIT says.
#[derive(Clone, Debug)]
pub struct WitRequest<'a> {
    /// Whom it names.
    pub subject: &'a WorkloadIdentifier,
    /// The holder's public key; `alg` has to be set.
    pub key: &'a Jwk,
    /// `jti`, if wanted.
    pub id: Option<String>,
}

/// Issues WITs for one trust domain.
#[derive(Debug)]
pub struct WitIssuer<S> {
    signer: S,
    origin: String,
    issuer: Option<String>,
    lifetime: Duration,
}

const MAX_LIFETIME: u64 = 24 * 60 * 60;

impl<S: Signer> WitIssuer<S> {
    /// An issuer for the namespace of `origin`, such as `spiffe://example.org`, with a lifetime of one hour.
    ///
    /// # Errors
    ///
    /// [`Error::Identifier`] when `origin` is not a scheme and a trust domain.
    pub fn new(signer: S, origin: &str) -> Result<Self, Error> {
        let origin = WorkloadIdentifier::parse(origin)?.origin().to_owned();
        Ok(Self {
            signer,
            origin,
            issuer: None,
            lifetime: Duration::from_secs(3600),
        })
    }

    /// Sets `iss`.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets the lifetime.
    ///
    /// # Errors
    ///
    /// [`Error::IssueLifetime`] for zero and for more than 24 hours.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        if lifetime.as_secs() == 0 || lifetime.as_secs() > MAX_LIFETIME {
            return Err(Error::IssueLifetime {
                limit: MAX_LIFETIME,
            });
        }
        self.lifetime = lifetime;
        Ok(self)
    }

    /// Issues a WIT.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTrustDomain`] for a subject of another namespace, [`Error::ConfirmationKey`]
    /// for a key without `alg`, [`Error::Token`] when signing fails.
    pub fn issue(&self, request: &WitRequest<'_>, now: UnixTime) -> Result<String, Error> {
        if request.subject.origin() != self.origin {
            return Err(Error::UnknownTrustDomain);
        }
        if request.key.algorithm().is_none() {
            return Err(Error::ConfirmationKey);
        }
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("sub", request.subject.as_str().into());
        put("cnf", Confirmation::of_jwk(request.key.clone()).to_value());
        put("iat", now.as_secs().into());
        put(
            "exp",
            now.as_secs().saturating_add(self.lifetime.as_secs()).into(),
        );
        if let Some(issuer) = &self.issuer {
            put("iss", issuer.as_str().into());
        }
        if let Some(id) = &request.id {
            put("jti", id.as_str().into());
        }
        jwt::sign(&self.signer, &ProtectedHeader::new(WIT_TYPE), &claims).map_err(|source| {
            Error::Token {
                token: Token::Wit,
                source,
            }
        })
    }
}
