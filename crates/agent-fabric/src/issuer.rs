//! The issuer of one trust domain: certificates, tokens, and the bundle by which others verify them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use wimse::WorkloadIdentifier;
use wimse::wit::IssuanceLedger;

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
    /// The name or the key belongs to somebody else, or nobody has registered the name.
    #[error(transparent)]
    Ledger(#[from] wimse::Error),
}

/// The issuer of one trust domain. Its keys live in memory, and so does its ledger of names and keys.
#[derive(Debug)]
pub struct TrustDomainIssuer {
    trust_domain: TrustDomain,
    provider: CryptoProvider,
    authority: CertificateAuthority,
    jwt: JwtSvidIssuer<SigningKey>,
    wit: WitSvidIssuer<SigningKey>,
    bundle: Arc<Bundle>,
    document: String,
    ledger: Mutex<IssuanceLedger>,
}

/// How long SVIDs live: an hour, so that a stolen one is soon worth nothing.
pub const SVID_LIFETIME: Duration = Duration::from_secs(3600);
const JWT_LIFETIME: Duration = Duration::from_secs(300);
/// Most names, and as many keys.
const LEDGER: usize = 100_000;
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
            wit: WitSvidIssuer::new(wit, trust_domain.clone())?.with_lifetime(SVID_LIFETIME)?,
            trust_domain: trust_domain.clone(),
            ledger: Mutex::new(IssuanceLedger::new(provider, LEDGER)),
            provider,
        })
    }

    fn ledger(&self) -> MutexGuard<'_, IssuanceLedger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a SPIFFE ID to a workload. Nothing is issued under an ID that nobody has, and none goes to a second
    /// workload while anything is valid that the first one holds.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Ledger`].
    pub fn register(
        &self,
        id: &SpiffeId,
        workload: &str,
        now: UnixTime,
    ) -> Result<(), IssuerError> {
        Ok(self.ledger().register(name_of(id)?, workload, now)?)
    }

    /// Binds a key to its workload, of which each SPIFFE ID here has one instance.
    fn bind(
        &self,
        id: &SpiffeId,
        key: &Jwk,
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<(), IssuerError> {
        let until = until(lifetime, now);
        Ok(self
            .ledger()
            .bind(key, &name_of(id)?, id.as_str(), until, now)?)
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
        self.bind(id, &Jwk::new(key.clone()), SVID_LIFETIME, now)?;
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
        self.ledger()
            .note(&name_of(id)?, until(JWT_LIFETIME, now))?;
        Ok(self.jwt.issue(id, audience, JWT_LIFETIME, now)?)
    }

    /// Issues a WIT-SVID for the workload's own key, whose private half the workload keeps.
    ///
    /// # Errors
    ///
    /// [`IssuerError`].
    pub fn wit_svid(&self, id: &SpiffeId, key: &Jwk, now: UnixTime) -> Result<String, IssuerError> {
        self.bind(id, key, SVID_LIFETIME, now)?;
        Ok(self
            .wit
            .issue(id, key, Some(self.provider.random_id()?), now)?)
    }
}

fn name_of(id: &SpiffeId) -> Result<WorkloadIdentifier, wimse::Error> {
    WorkloadIdentifier::try_from(id)
}

fn until(lifetime: Duration, now: UnixTime) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()).saturating_add(lifetime))
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

#[cfg(test)]
mod tests {
    use jose_x509::provider::ring;

    use super::*;

    /// Covers: SPIFFE-ID-A9, SPIFFE-ID-A10
    #[test]
    fn a_spiffe_id_has_one_workload_and_a_key_one_spiffe_id() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let now = at(1_800_000_000);
        let provider = ring::provider();
        let home = TrustDomain::parse("example.org").unwrap();
        let key = || SigningKey::generate(&provider, Algorithm::Es256).unwrap();
        let issuer = TrustDomainIssuer::new(provider, &home, key(), now).unwrap();
        let id = |path: &str| SpiffeId::parse(&format!("spiffe://example.org/{path}")).unwrap();
        let (payments, search) = (id("payments"), id("search"));
        let own = key();

        let refused = |result: Result<(), IssuerError>| match result.unwrap_err() {
            IssuerError::Ledger(error) => error.code(),
            _ => "another error",
        };
        let certify = |id: &SpiffeId| issuer.x509_svid(id, own.public_key(), now).map(|_| ());
        let token = |id: &SpiffeId| issuer.jwt_svid(id, "ledger", now).map(|_| ());
        let wit = |id: &SpiffeId| issuer.wit_svid(id, &own.public_jwk(), now).map(|_| ());
        assert_eq!(refused(certify(&payments)), "not_registered");
        assert_eq!(refused(token(&payments)), "not_registered");
        assert_eq!(refused(wit(&payments)), "not_registered");

        issuer.register(&payments, "payments", now).unwrap();
        issuer.register(&search, "search", now).unwrap();
        let again = issuer.register(&payments, "another", now);
        assert_eq!(refused(again), "name_taken");
        certify(&payments).unwrap();
        token(&payments).unwrap();
        wit(&payments).unwrap();
        assert_eq!(refused(certify(&search)), "key_in_use");
        assert_eq!(refused(wit(&search)), "key_in_use");
    }
}
