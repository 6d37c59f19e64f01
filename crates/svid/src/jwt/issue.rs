//! Issuing JWT-SVIDs.

use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::{Signer, jwt};
use pki_types::UnixTime;
use serde_json::{Map, Value};
use spiffe_id::{SpiffeId, TrustDomain};

use crate::error::{Credential, Error};
use crate::identity::{TOKEN_ALGORITHMS, check_subject};

/// Issues JWT-SVIDs for the workloads of one trust domain.
#[derive(Clone, Debug)]
pub struct JwtSvidIssuer<S> {
    signer: S,
    trust_domain: TrustDomain,
    max_lifetime: Duration,
}

impl<S: Signer> JwtSvidIssuer<S> {
    /// The lifetime to ask for without another reason.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);

    /// An issuer that signs with a `jwt-svid` key of the trust domain's bundle, for one hour at most.
    ///
    /// # Errors
    ///
    /// [`Error::SigningKey`] for a key without `kid` and for EdDSA.
    pub fn new(signer: S, trust_domain: TrustDomain) -> Result<Self, Error> {
        let named = signer.kid().is_some_and(|kid| !kid.is_empty());
        if !named || !TOKEN_ALGORITHMS.contains(signer.algorithm()) {
            return Err(Error::SigningKey {
                credential: Credential::Jwt,
            });
        }
        Ok(Self {
            signer,
            trust_domain,
            max_lifetime: Duration::from_secs(3600),
        })
    }

    /// Another longest lifetime.
    #[must_use]
    pub const fn with_max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = lifetime;
        self
    }

    /// Issues a token for one recipient.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignSubject`] and [`Error::NoPath`] for a subject that is no workload of the trust
    /// domain; [`Error::InvalidOption`] for an empty audience and for a lifetime of zero or above the
    /// maximum; [`Error::Token`] if signing fails.
    pub fn issue(
        &self,
        subject: &SpiffeId,
        audience: &str,
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<String, Error> {
        self.issue_for_audiences(subject, &[audience], lifetime, now)
    }

    /// As [`issue`](Self::issue), for several recipients, each of which can replay the token to the others.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
    pub fn issue_for_audiences(
        &self,
        subject: &SpiffeId,
        audiences: &[&str],
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<String, Error> {
        check_subject(
            subject,
            self.trust_domain.as_trust_domain_ref(),
            Credential::Jwt,
        )?;
        if audiences.is_empty() || audiences.iter().any(|audience| audience.is_empty()) {
            return Err(Error::InvalidOption {
                option: "audience",
                range: "at least one name, none of them empty",
            });
        }
        if lifetime.as_secs() == 0 || lifetime > self.max_lifetime {
            return Err(Error::InvalidOption {
                option: "lifetime",
                range: "from one second to the issuer's maximum",
            });
        }
        let now = now.as_secs();
        let mut claims = Map::new();
        claims.insert("sub".to_owned(), subject.as_str().into());
        let audience = match audiences {
            [one] => Value::from(*one),
            several => Value::from(several),
        };
        claims.insert("aud".to_owned(), audience);
        claims.insert("iat".to_owned(), now.into());
        claims.insert(
            "exp".to_owned(),
            now.saturating_add(lifetime.as_secs()).into(),
        );
        jwt::sign(&self.signer, &ProtectedHeader::new("JWT"), &claims).map_err(|source| {
            Error::Token {
                credential: Credential::Jwt,
                source,
            }
        })
    }
}
