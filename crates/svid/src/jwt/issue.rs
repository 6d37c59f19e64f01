//! Issuing JWT-SVIDs.

use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, AsyncSigner, Signer, jws, jwt};
use pki_types::UnixTime;
use serde_json::{Map, Value};
use spiffe_id::{SpiffeId, TrustDomain};

use super::claims::JwtSvidRequest;
use super::parse::refused;
use crate::error::{Credential, Error};
use crate::identity::{
    TOKEN_ALGORITHMS, check_audiences, check_issuer, check_subject, check_token_id, is_trust_domain,
};

/// Issues JWT-SVIDs for the workloads of one trust domain.
#[derive(Clone, Debug)]
pub struct JwtSvidIssuer<S> {
    signer: S,
    rules: Rules,
}

#[derive(Clone, Debug)]
struct Rules {
    trust_domain: TrustDomain,
    issuer: Option<String>,
    max_lifetime: Duration,
    scoped_audiences: bool,
}

impl<S> JwtSvidIssuer<S> {
    /// The lifetime to ask for without another reason.
    pub const DEFAULT_LIFETIME: Duration = JwtSvidRequest::DEFAULT_LIFETIME;

    /// Another longest lifetime.
    #[must_use]
    pub const fn with_max_lifetime(mut self, lifetime: Duration) -> Self {
        self.rules.max_lifetime = lifetime;
        self
    }

    /// Sets `iss`, which no validator of JWT-SVIDs uses. Do not let a token key serve OpenID Connect as well:
    /// a relying party that looks at `iss` alone would take a JWT-SVID for an ID token.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an empty name, and for one with a colon that is no URI (RFC 7519, section 2).
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Result<Self, Error> {
        let issuer = issuer.into();
        check_issuer(&issuer)?;
        self.rules.issuer = Some(issuer);
        Ok(self)
    }

    /// Refuses audiences that name a whole trust domain, where a service is meant (section 3.2).
    #[must_use]
    pub const fn requiring_scoped_audiences(mut self) -> Self {
        self.rules.scoped_audiences = true;
        self
    }
}

impl<S: Signer> JwtSvidIssuer<S> {
    /// An issuer that signs with a `jwt-svid` key of the trust domain's bundle, for one hour at most.
    ///
    /// # Errors
    ///
    /// [`Error::SigningKey`] for a key without `kid` and for EdDSA.
    pub fn new(signer: S, trust_domain: TrustDomain) -> Result<Self, Error> {
        let rules = Rules::new(signer.kid(), signer.algorithm(), trust_domain)?;
        Ok(Self { signer, rules })
    }

    /// Issues a token for one recipient.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignSubject`] and [`Error::NoPath`] for a subject that is no workload of the trust
    /// domain; [`Error::InvalidOption`] for an audience that is empty or has a colon and is no URI (RFC 7519, section
    /// 2), for a `jti` that is empty or above 256 octets, and for a lifetime of zero or above the maximum;
    /// [`Error::BroadAudience`]; [`Error::Token`] if signing fails.
    pub fn issue(
        &self,
        subject: &SpiffeId,
        audience: &str,
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<String, Error> {
        let request = JwtSvidRequest::new(subject, audience).with_lifetime(lifetime);
        self.issue_request(&request, now)
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
        let mut request = JwtSvidRequest::new(subject, "").with_lifetime(lifetime);
        request.audiences = audiences.to_vec();
        self.issue_request(&request, now)
    }

    /// As [`issue`](Self::issue), with everything that can be said.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
    pub fn issue_request(
        &self,
        request: &JwtSvidRequest<'_>,
        now: UnixTime,
    ) -> Result<String, Error> {
        let claims = self.rules.claims(request, now)?;
        jwt::sign(&self.signer, &ProtectedHeader::new("JWT"), &claims).map_err(refused)
    }
}

/// For keys behind a network.
impl<S: AsyncSigner> JwtSvidIssuer<S> {
    /// As [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_async_signer(signer: S, trust_domain: TrustDomain) -> Result<Self, Error> {
        let rules = Rules::new(signer.kid(), signer.algorithm(), trust_domain)?;
        Ok(Self { signer, rules })
    }

    /// As [`issue_request`](Self::issue_request).
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
    pub async fn issue_request_async(
        &self,
        request: &JwtSvidRequest<'_>,
        now: UnixTime,
    ) -> Result<String, Error> {
        let claims = self.rules.claims(request, now)?;
        let payload = jwt::to_payload(&claims).map_err(refused)?;
        jws::sign_async(&self.signer, &ProtectedHeader::new("JWT"), &payload)
            .await
            .map_err(refused)
    }
}

impl Rules {
    fn new(
        kid: Option<&str>,
        algorithm: Algorithm,
        trust_domain: TrustDomain,
    ) -> Result<Self, Error> {
        let named = kid.is_some_and(|kid| !kid.is_empty());
        if !named || !TOKEN_ALGORITHMS.contains(algorithm) {
            return Err(Error::SigningKey {
                credential: Credential::Jwt,
            });
        }
        Ok(Self {
            trust_domain,
            issuer: None,
            max_lifetime: Duration::from_secs(3600),
            scoped_audiences: false,
        })
    }

    fn claims(
        &self,
        request: &JwtSvidRequest<'_>,
        now: UnixTime,
    ) -> Result<Map<String, Value>, Error> {
        let home = self.trust_domain.as_trust_domain_ref();
        check_subject(request.subject, home, Credential::Jwt)?;
        let audiences = request.audiences.as_slice();
        check_audiences(audiences)?;
        check_token_id(request.id.as_deref())?;
        let broad = |audience: &&str| is_trust_domain(audience, home);
        if self.scoped_audiences && audiences.iter().any(broad) {
            return Err(Error::BroadAudience);
        }
        let lifetime = request.lifetime;
        if lifetime.as_secs() == 0 || lifetime > self.max_lifetime {
            return Err(Error::InvalidOption {
                option: "lifetime",
                range: "from one second to the issuer's maximum",
            });
        }
        let now = now.as_secs();
        let mut claims = request.claims.clone();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("sub", request.subject.as_str().into());
        put(
            "aud",
            match audiences {
                [one] => Value::from(*one),
                several => Value::from(several),
            },
        );
        put("iat", now.into());
        put("exp", now.saturating_add(lifetime.as_secs()).into());
        if let Some(issuer) = &self.issuer {
            put("iss", issuer.as_str().into());
        }
        if let Some(id) = &request.id {
            put("jti", id.as_str().into());
        }
        Ok(claims)
    }
}
