//! Issuing WIT-SVIDs.

use std::time::Duration;

use jose_x509::{Jwk, Signer};
use pki_types::UnixTime;
use spiffe_id::{SpiffeId, TrustDomain};
use wimse::{WitIssuer, WitRequest, WorkloadIdentifier};

use crate::error::{Credential, Error};
use crate::identity::{TOKEN_ALGORITHMS, check_subject};

/// Issues WIT-SVIDs for the workloads of one trust domain. There is no audience to set: a WIT-SVID has none.
#[derive(Debug)]
pub struct WitSvidIssuer<S> {
    issuer: WitIssuer<S>,
    trust_domain: TrustDomain,
}

impl<S: Signer> WitSvidIssuer<S> {
    /// An issuer that signs with a `wit-svid` key of the trust domain's bundle, for one hour.
    ///
    /// # Errors
    ///
    /// [`Error::SigningKey`] for a key without `kid` and for EdDSA.
    pub fn new(signer: S, trust_domain: TrustDomain) -> Result<Self, Error> {
        let named = signer.kid().is_some_and(|kid| !kid.is_empty());
        if !named || !TOKEN_ALGORITHMS.contains(signer.algorithm()) {
            return Err(Error::SigningKey {
                credential: Credential::Wit,
            });
        }
        Ok(Self {
            issuer: WitIssuer::new(signer, &trust_domain.id_string()).map_err(Error::Wimse)?,
            trust_domain,
        })
    }

    /// Another lifetime, up to 24 hours.
    ///
    /// # Errors
    ///
    /// [`Error::Wimse`].
    pub fn with_lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        self.issuer = self.issuer.with_lifetime(lifetime).map_err(Error::Wimse)?;
        Ok(self)
    }

    /// Issues a token that binds `subject` to `key`, the workload's public key with `alg`. `id` becomes
    /// `jti`, for audit alone; take it from `CryptoProvider::random_id`.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignSubject`] and [`Error::NoPath`] for a subject that is no workload of the trust domain;
    /// [`Error::ConfirmationAlgorithm`] for a key without `alg` or for EdDSA; [`Error::Wimse`] if signing
    /// fails.
    pub fn issue(
        &self,
        subject: &SpiffeId,
        key: &Jwk,
        id: Option<String>,
        now: UnixTime,
    ) -> Result<String, Error> {
        check_subject(
            subject,
            self.trust_domain.as_trust_domain_ref(),
            Credential::Wit,
        )?;
        if !key
            .algorithm()
            .is_some_and(|algorithm| TOKEN_ALGORITHMS.contains(algorithm))
        {
            return Err(Error::ConfirmationAlgorithm);
        }
        let subject = WorkloadIdentifier::parse(subject.as_str()).map_err(Error::Wimse)?;
        let request = WitRequest {
            subject: &subject,
            key,
            id,
        };
        self.issuer.issue(&request, now).map_err(Error::Wimse)
    }
}
