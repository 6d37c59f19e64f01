//! Issuing WITs.

use std::time::Duration;

use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::jwt::Confirmation;
use jose_x509::{AsyncSigner, Jwk, Signer};
use pki_types::UnixTime;
use serde_json::{Map, Value};

use crate::error::{Error, IdentifierProblem, Token};
use crate::identifier::WorkloadIdentifier;
use crate::wit::IssuanceLedger;
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

impl<S> WitIssuer<S> {
    /// An issuer for the namespace of `origin`, such as `spiffe://example.org`, with a lifetime of one hour.
    ///
    /// # Errors
    ///
    /// [`Error::Identifier`] when `origin` is not a scheme and a trust domain alone, or not in lower case: verifiers
    /// compare bytes.
    pub fn new(signer: S, origin: &str) -> Result<Self, Error> {
        let origin = WorkloadIdentifier::parse_origin(origin)?;
        if origin.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(Error::Identifier {
                problem: IdentifierProblem::UpperCase,
            });
        }
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

    fn claims(&self, request: &WitRequest<'_>, now: UnixTime) -> Result<Vec<u8>, Error> {
        if request.subject.origin() != self.origin {
            return Err(Error::UnknownTrustDomain);
        }
        request.subject.check_workload()?;
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
        Ok(Value::Object(claims).to_string().into_bytes())
    }
}

impl<S: Signer> WitIssuer<S> {
    /// Issues a WIT.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTrustDomain`] for a subject of another namespace, [`Error::Identifier`] for a trust domain
    /// alone, [`Error::ConfirmationKey`] for a key without `alg`, [`Error::Token`] when signing fails.
    pub fn issue(&self, request: &WitRequest<'_>, now: UnixTime) -> Result<String, Error> {
        let claims = self.claims(request, now)?;
        jws::sign(&self.signer, &ProtectedHeader::new(WIT_TYPE), &claims).map_err(refused)
    }

    /// As [`issue`](Self::issue), if `ledger` has the subject's name for a workload and no other holder for the key.
    /// `instance` is which of the workload's instances holds it.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue) and [`IssuanceLedger::bind`].
    pub fn issue_recorded(
        &self,
        request: &WitRequest<'_>,
        instance: &str,
        ledger: &mut IssuanceLedger,
        now: UnixTime,
    ) -> Result<String, Error> {
        let until = now.as_secs().saturating_add(self.lifetime.as_secs());
        let until = UnixTime::since_unix_epoch(Duration::from_secs(until));
        ledger.bind(request.key, request.subject, instance, until, now)?;
        self.issue(request, now)
    }
}

impl<S: AsyncSigner> WitIssuer<S> {
    /// As [`issue`](WitIssuer::issue), with a key behind a network.
    ///
    /// # Errors
    ///
    /// As [`issue`](WitIssuer::issue).
    pub async fn issue_async(
        &self,
        request: &WitRequest<'_>,
        now: UnixTime,
    ) -> Result<String, Error> {
        let claims = self.claims(request, now)?;
        jws::sign_async(&self.signer, &ProtectedHeader::new(WIT_TYPE), &claims)
            .await
            .map_err(refused)
    }
}

const fn refused(source: jose_x509::Error) -> Error {
    Error::Token {
        token: Token::Wit,
        source,
    }
}
