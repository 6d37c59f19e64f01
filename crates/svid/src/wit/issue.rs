//! Issuing WIT-SVIDs.

use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::Confirmation;
use jose_x509::{Algorithm, AsyncSigner, Jwk, Signer, jws, jwt};
use pki_types::UnixTime;
use serde_json::{Map, Value};
use spiffe_id::{SpiffeId, TrustDomain};
use wimse::wit::WIT_TYPE;

use super::claims::WitSvidRequest;
use super::parse::refused;
use crate::error::{Credential, Error};
use crate::identity::{TOKEN_ALGORITHMS, check_issuer, check_subject, check_token_id};

/// Issues WIT-SVIDs for the workloads of one trust domain. There is no audience to set: a WIT-SVID has none.
#[derive(Clone, Debug)]
pub struct WitSvidIssuer<S> {
    signer: S,
    rules: Rules,
}

#[derive(Clone, Debug)]
struct Rules {
    trust_domain: TrustDomain,
    issuer: Option<String>,
    lifetime: Duration,
    backdating: Option<Duration>,
}

const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_BACKDATING: Duration = Duration::from_secs(300);

impl<S> WitSvidIssuer<S> {
    /// How far into the past to set `nbf` without another reason.
    pub const DEFAULT_BACKDATING: Duration = Duration::from_secs(30);

    /// Another lifetime, from one second to 24 hours.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`].
    pub fn with_lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        if lifetime.as_secs() == 0 || lifetime > MAX_LIFETIME {
            return Err(Error::InvalidOption {
                option: "lifetime",
                range: "one second to 24 hours",
            });
        }
        self.rules.lifetime = lifetime;
        Ok(self)
    }

    /// Sets `nbf`, this long ago, for validators that bound the lifespan of tokens.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above five minutes.
    pub fn with_not_before(mut self, backdating: Duration) -> Result<Self, Error> {
        if backdating > MAX_BACKDATING {
            return Err(Error::InvalidOption {
                option: "backdating",
                range: "0 to 300 seconds",
            });
        }
        self.rules.backdating = Some(backdating);
        Ok(self)
    }

    /// Sets `iss`, which no validator uses to find keys.
    ///
    /// # Errors
    ///
    /// [`Error::DiscoverableIssuer`] for a name under `https` or `http`: a relying party of OpenID Connect
    /// might take the token for one of its own; as [`with_discoverable_issuer`](Self::with_discoverable_issuer).
    pub fn with_issuer(self, issuer: impl Into<String>) -> Result<Self, Error> {
        let issuer = issuer.into();
        let scheme = issuer.split(':').next().unwrap_or_default();
        if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") {
            return Err(Error::DiscoverableIssuer);
        }
        self.with_discoverable_issuer(issuer)
    }

    /// As [`with_issuer`](Self::with_issuer), for a name under `https` all the same.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an empty name, and for one with a colon that is no URI (RFC 7519, section 2).
    pub fn with_discoverable_issuer(mut self, issuer: impl Into<String>) -> Result<Self, Error> {
        let issuer = issuer.into();
        check_issuer(&issuer)?;
        self.rules.issuer = Some(issuer);
        Ok(self)
    }
}

impl<S: Signer> WitSvidIssuer<S> {
    /// An issuer that signs with a `wit-svid` key of the trust domain's bundle, for one hour. No two keys of
    /// the trust domain may ever have one `kid`; [`SigningKey::with_thumbprint_kid`] sees to that.
    ///
    /// [`SigningKey::with_thumbprint_kid`]: jose_x509::SigningKey::with_thumbprint_kid
    ///
    /// # Errors
    ///
    /// [`Error::SigningKey`] for a key without `kid` and for EdDSA.
    pub fn new(signer: S, trust_domain: TrustDomain) -> Result<Self, Error> {
        let rules = Rules::new(signer.kid(), signer.algorithm(), trust_domain)?;
        Ok(Self { signer, rules })
    }

    /// Issues a token that binds `subject` to `key`, the workload's public key with `alg`. `id` becomes
    /// `jti`, for audit alone; take it from `CryptoProvider::random_id`.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignSubject`] and [`Error::NoPath`] for a subject that is no workload of the trust domain;
    /// [`Error::ConfirmationAlgorithm`] for a key without `alg` or for EdDSA; [`Error::InvalidOption`] for an `id`
    /// that is empty or above 256 octets; [`Error::Token`] if signing fails.
    pub fn issue(
        &self,
        subject: &SpiffeId,
        key: &Jwk,
        id: Option<String>,
        now: UnixTime,
    ) -> Result<String, Error> {
        let mut request = WitSvidRequest::new(subject, key);
        request.id = id;
        self.issue_request(&request, now)
    }

    /// As [`issue`](Self::issue), with everything that can be said.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
    pub fn issue_request(
        &self,
        request: &WitSvidRequest<'_>,
        now: UnixTime,
    ) -> Result<String, Error> {
        let claims = self.rules.claims(request, now)?;
        jwt::sign(&self.signer, &ProtectedHeader::new(WIT_TYPE), &claims).map_err(refused)
    }
}

/// For keys behind a network.
impl<S: AsyncSigner> WitSvidIssuer<S> {
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
        request: &WitSvidRequest<'_>,
        now: UnixTime,
    ) -> Result<String, Error> {
        let claims = self.rules.claims(request, now)?;
        let payload = jwt::to_payload(&claims).map_err(refused)?;
        jws::sign_async(&self.signer, &ProtectedHeader::new(WIT_TYPE), &payload)
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
                credential: Credential::Wit,
            });
        }
        Ok(Self {
            trust_domain,
            issuer: None,
            lifetime: DEFAULT_LIFETIME,
            backdating: None,
        })
    }

    fn claims(
        &self,
        request: &WitSvidRequest<'_>,
        now: UnixTime,
    ) -> Result<Map<String, Value>, Error> {
        check_subject(
            request.subject,
            self.trust_domain.as_trust_domain_ref(),
            Credential::Wit,
        )?;
        let algorithm = request.key.algorithm();
        if !algorithm.is_some_and(|algorithm| TOKEN_ALGORITHMS.contains(algorithm)) {
            return Err(Error::ConfirmationAlgorithm);
        }
        check_token_id(request.id.as_deref())?;
        let now = now.as_secs();
        let mut claims = request.claims.clone();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("sub", request.subject.as_str().into());
        put("cnf", Confirmation::of_jwk(request.key.clone()).to_value());
        put("iat", now.into());
        put("exp", now.saturating_add(self.lifetime.as_secs()).into());
        if let Some(backdating) = self.backdating {
            put("nbf", now.saturating_sub(backdating.as_secs()).into());
        }
        if let Some(issuer) = &self.issuer {
            put("iss", issuer.as_str().into());
        }
        if let Some(id) = &request.id {
            put("jti", id.as_str().into());
        }
        Ok(claims)
    }
}
