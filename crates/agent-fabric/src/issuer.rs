//! The issuer of one trust domain: certificates, tokens, and the bundle by which others verify them.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use jose_x509::{Algorithm, CryptoProvider, Jwk, PublicKey, SigningKey};
use pki_types::{CertificateDer, UnixTime};
use spiffe_bundle::Bundle;
use spiffe_id::{SpiffeId, TrustDomain};
use svid::jwt::JwtSvidIssuer;
use svid::wit::WitSvidIssuer;
use svid::x509::CertificateAuthority;

use crate::net::{self, Answer, Handler};

/// Why an issuer cannot start or issue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] jose_x509::Error),
    /// An SVID could not be issued.
    #[error(transparent)]
    Svid(#[from] svid::Error),
    /// The bundle could not be built.
    #[error(transparent)]
    Bundle(#[from] spiffe_bundle::Error),
}

/// The issuer of one trust domain. Its keys live in memory.
#[derive(Debug)]
pub struct TrustDomainIssuer {
    trust_domain: TrustDomain,
    provider: CryptoProvider,
    authority: CertificateAuthority,
    jwt: JwtSvidIssuer<SigningKey>,
    wit: WitSvidIssuer<SigningKey>,
    bundle: Arc<Bundle>,
    document: String,
}

/// How long SVIDs live: an hour, so that a stolen one is soon worth nothing.
pub const SVID_LIFETIME: Duration = Duration::from_secs(3600);
const CA_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

impl TrustDomainIssuer {
    /// Starts a trust domain with this CA key, new keys for tokens, and the bundle of both.
    ///
    /// # Errors
    ///
    /// [`IssuerError`].
    pub fn new(
        provider: CryptoProvider,
        trust_domain: &TrustDomain,
        authority: SigningKey,
        now: UnixTime,
    ) -> Result<Self, IssuerError> {
        let key = || {
            SigningKey::generate(&provider, Algorithm::Es256).map(SigningKey::with_thumbprint_kid)
        };
        let (jwt, wit) = (key()?, key()?);
        let authority =
            CertificateAuthority::self_signed(trust_domain, authority, CA_LIFETIME, now)?;
        let bundle = Bundle::builder(&provider, trust_domain.clone())
            .with_x509_authority(authority.certificate())
            .with_jwt_authority(&jwt.public_jwk())
            .with_wit_authority(&wit.public_jwk())
            .build()?;
        Ok(Self {
            document: bundle.to_json(),
            bundle: Arc::new(bundle),
            authority,
            jwt: JwtSvidIssuer::new(jwt, trust_domain.clone())?,
            wit: WitSvidIssuer::new(wit, trust_domain.clone())?,
            trust_domain: trust_domain.clone(),
            provider,
        })
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The bundle.
    #[must_use]
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// Issues an X509-SVID for the workload's own key, whose private half the workload keeps.
    ///
    /// # Errors
    ///
    /// [`IssuerError`].
    pub fn x509_svid(
        &self,
        id: &SpiffeId,
        key: &PublicKey,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, IssuerError> {
        Ok(self
            .authority
            .issue_leaf(id, key, &[], SVID_LIFETIME, now)?)
    }

    /// Issues a JWT-SVID for one audience.
    ///
    /// # Errors
    ///
    /// [`IssuerError`].
    pub fn jwt_svid(
        &self,
        id: &SpiffeId,
        audience: &str,
        now: UnixTime,
    ) -> Result<String, IssuerError> {
        Ok(self
            .jwt
            .issue(id, audience, Duration::from_secs(300), now)?)
    }

    /// Issues a WIT-SVID for the workload's own key, whose private half the workload keeps.
    ///
    /// # Errors
    ///
    /// [`IssuerError`].
    pub fn wit_svid(&self, id: &SpiffeId, key: &Jwk, now: UnixTime) -> Result<String, IssuerError> {
        Ok(self
            .wit
            .issue(id, key, Some(self.provider.random_id()?), now)?)
    }
}

/// The SPIFFE bundle endpoint.
impl Handler for TrustDomainIssuer {
    fn handle<'a>(
        &'a self,
        parts: Parts,
        _: Vec<u8>,
        _: Vec<CertificateDer<'static>>,
    ) -> Answer<'a> {
        Box::pin(async move {
            if parts.method != Method::GET || parts.uri.path() != "/bundle.json" {
                return net::empty(StatusCode::NOT_FOUND);
            }
            let mut response = net::empty(StatusCode::OK);
            *response.body_mut() = self.document.clone().into_bytes();
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            response
        })
    }
}
