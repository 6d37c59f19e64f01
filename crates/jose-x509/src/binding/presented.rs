//! A request to a resource server, and whether its sender has what its token is bound to.

use pki_types::UnixTime;

use super::authorization::{Authorization, Scheme};
use super::error::BindingError;
use crate::dpop::{DpopError, DpopProof, Htu, ProofTarget, UnspentProof, Verifier};
use crate::error::Error;
use crate::jwt::Confirmation;
use crate::mtls::ClientCertificate;
use crate::replay::{AsyncReplayGuard, ReplayGuard};

/// What a resource server sees of a request: the token, and what came along to prove possession.
#[derive(Clone, Debug)]
pub struct Presented<'a> {
    authorization: &'a Authorization<'a>,
    method: &'a str,
    target: &'a Htu,
    proofs: Vec<&'a [u8]>,
    certificate: Option<&'a ClientCertificate<'a>>,
}

impl<'a> Presented<'a> {
    /// A request with this method to this target, which the server's configuration and the request line
    /// give: see [`ExternalUrl`](crate::dpop::ExternalUrl).
    #[must_use]
    pub fn new(authorization: &'a Authorization<'a>, method: &'a str, target: &'a Htu) -> Self {
        Self {
            authorization,
            method,
            target,
            proofs: Vec::new(),
            certificate: None,
        }
    }

    /// The values of all `DPoP` fields.
    #[must_use]
    pub fn with_proofs(mut self, fields: impl IntoIterator<Item = &'a [u8]>) -> Self {
        // Two are as wrong as any number.
        self.proofs = fields.into_iter().take(2).collect();
        self
    }

    /// The certificate of this connection, or of this request behind a trusted proxy.
    #[must_use]
    pub fn with_certificate(
        mut self,
        certificate: impl Into<Option<&'a ClientCertificate<'a>>>,
    ) -> Self {
        self.certificate = certificate.into();
        self
    }

    /// Checks everything that the validated token's `cnf` names, and spends the proof last.
    ///
    /// | `cnf` | `Bearer` | `DPoP` |
    /// |---|---|---|
    /// | none | a bearer token | refused |
    /// | `x5t#S256` | the certificate | refused |
    /// | `jkt` | refused | the proof |
    /// | both | refused | the proof and the certificate |
    ///
    /// Whether a plain bearer token is good enough is for the caller to say: see
    /// [`Possession::is_sender_constrained`].
    ///
    /// # Errors
    ///
    /// [`BindingError`] for the scheme and the certificate, [`Error::UnusableConfirmation`] for a `cnf` with `jwk` or
    /// `kid`, which no request can prove, and the errors of [`Verifier::verify`].
    pub fn check(
        &self,
        verifier: &Verifier,
        confirmation: Option<&Confirmation>,
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<Possession, Error> {
        let (proof, certificate) = self.check_unspent(verifier, confirmation, now)?;
        Ok(Possession {
            proof: proof.map(|proof| proof.spend(replay, now)).transpose()?,
            certificate,
        })
    }

    /// As [`Presented::check`], with a replay guard behind a network.
    ///
    /// # Errors
    ///
    /// As [`Presented::check`].
    pub async fn check_async(
        &self,
        verifier: &Verifier,
        confirmation: Option<&Confirmation>,
        replay: &(impl AsyncReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<Possession, Error> {
        let (proof, certificate) = self.check_unspent(verifier, confirmation, now)?;
        let proof = match proof {
            Some(proof) => Some(proof.spend_async(replay, now).await?),
            None => None,
        };
        Ok(Possession { proof, certificate })
    }

    fn check_unspent(
        &self,
        verifier: &Verifier,
        confirmation: Option<&Confirmation>,
        now: UnixTime,
    ) -> Result<(Option<UnspentProof>, Option<[u8; 32]>), Error> {
        let jkt = confirmation.and_then(|confirmation| confirmation.jkt);
        let expected = confirmation.and_then(|confirmation| confirmation.x5t_s256);
        if confirmation.is_some_and(|cnf| cnf.jwk.is_some() || cnf.kid.is_some()) {
            return Err(Error::UnusableConfirmation);
        }
        match (self.authorization.scheme(), jkt) {
            (Scheme::Bearer, Some(_)) => return Err(BindingError::BoundTokenAsBearer.into()),
            (Scheme::Dpop, None) => return Err(BindingError::UnboundTokenAsDpop.into()),
            _ => {}
        }
        if let Some(expected) = expected {
            let certificate = self.certificate.ok_or(BindingError::CertificateRequired)?;
            if certificate.thumbprint(verifier.provider()) != expected {
                return Err(BindingError::CertificateMismatch.into());
            }
        }
        let Some(jkt) = jkt else {
            return Ok((None, expected));
        };
        if self.proofs.is_empty() {
            return Err(DpopError::MissingProof.into());
        }
        let target = ProofTarget::new(self.method, self.target)
            .with_access_token(self.authorization.token(), jkt);
        let proof = verifier.check(self.proofs.iter().copied(), &target, now)?;
        Ok((Some(proof), expected))
    }
}

/// What the sender of a request has proven to possess.
#[derive(Debug)]
pub struct Possession {
    proof: Option<DpopProof>,
    certificate: Option<[u8; 32]>,
}

impl Possession {
    /// Whether the token is bound to anything, and was proven to be sent by its owner.
    #[must_use]
    pub fn is_sender_constrained(&self) -> bool {
        self.proof.is_some() || self.certificate.is_some()
    }

    /// The proof, for a token with `cnf.jkt`.
    #[must_use]
    pub fn proof(&self) -> Option<&DpopProof> {
        self.proof.as_ref()
    }

    /// `x5t#S256` of the certificate, for a token with that.
    #[must_use]
    pub fn certificate(&self) -> Option<[u8; 32]> {
        self.certificate
    }
}
