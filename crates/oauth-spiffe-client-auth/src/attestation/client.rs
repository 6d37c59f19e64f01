//! The client's side: an instance and its attestations.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use jose_x509::dpop::{ProofRequest, Prover};
use jose_x509::jws::UnverifiedJws;
use jose_x509::jwt::{Confirmation, peek_claims};
use jose_x509::{CryptoProvider, PublicKey, Signer, SigningKey, json};
use pki_types::UnixTime;

use super::{CLIENT_ATTESTATION, CLIENT_ATTESTATION_POP, Challenge};
use crate::error::Error;
use crate::pop;

/// An attestation with the key that it is for. There is no way to give it another key: that needs a new attestation.
pub struct HeldAttestation<S = SigningKey> {
    attestation: String,
    client_id: String,
    prover: Prover<Arc<S>>,
    signer: Arc<S>,
    provider: CryptoProvider,
}

impl HeldAttestation {
    /// An attestation for a key in memory.
    ///
    /// # Errors
    ///
    /// [`Error::HeldAttestation`] for an attestation of another key, or none at all.
    pub fn new(attestation: impl Into<String>, key: SigningKey) -> Result<Self, Error> {
        let (provider, public) = (*key.provider(), key.public_key().clone());
        Self::with_signer(attestation, key, public, &provider)
    }
}

impl<S: Signer> HeldAttestation<S> {
    /// An attestation for a key that is elsewhere, such as in a secure element. The attestation is the attester's to
    /// sign and the servers' to verify; only whose it is gets compared here.
    ///
    /// # Errors
    ///
    /// As [`HeldAttestation::new`].
    pub fn with_signer(
        attestation: impl Into<String>,
        signer: S,
        public_key: PublicKey,
        provider: &CryptoProvider,
    ) -> Result<Self, Error> {
        let attestation = attestation.into();
        let jws = UnverifiedJws::parse(&attestation).map_err(|_| Error::HeldAttestation)?;
        let claims = json::object(jws.unverified_payload(), &json::Limits::CLAIMS)
            .map_err(|_| Error::HeldAttestation)?;
        let confirmation = claims.get("cnf").map(Confirmation::from_value);
        let attested = match confirmation {
            Some(Ok(confirmation)) => confirmation.jwk.ok_or(Error::HeldAttestation)?,
            _ => return Err(Error::HeldAttestation),
        };
        if attested.thumbprint(provider) != public_key.thumbprint(provider) {
            return Err(Error::HeldAttestation);
        }
        let client_id = peek_claims(&jws)
            .ok()
            .and_then(|claims| claims.unverified_subject)
            .ok_or(Error::HeldAttestation)?;
        let signer = Arc::new(signer);
        Ok(Self {
            prover: Prover::new(provider, public_key, Arc::clone(&signer)),
            signer,
            attestation,
            client_id,
            provider: *provider,
        })
    }

    /// The client (`sub`), as the attestation says.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The thumbprint of the key.
    #[must_use]
    pub fn jkt(&self) -> [u8; 32] {
        self.prover.jkt()
    }

    /// Adds the attestation and a new proof JWT for the server with this issuer or resource identifier. `challenge` is
    /// the most recent one of this server: see
    /// [`Attempt::challenge`](super::Attempt::challenge).
    ///
    /// # Errors
    ///
    /// [`Error::Proof`], [`Error::FieldValue`].
    pub fn attach(
        &self,
        headers: &mut HeaderMap,
        server: &str,
        challenge: Option<&Challenge>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let proof = pop::sign(&*self.signer, &self.provider, server, challenge, now)?;
        self.put(headers, CLIENT_ATTESTATION_POP, &proof)
    }

    /// Adds the attestation and a new DPoP proof by the same key, which stands for both (combined mode). A `dpop_jkt`
    /// in an authorization request does not replace it.
    ///
    /// # Errors
    ///
    /// [`Error::CombinedProof`], [`Error::FieldValue`].
    pub fn attach_combined(
        &self,
        headers: &mut HeaderMap,
        request: &ProofRequest<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let proof = self
            .prover
            .prove(request, now)
            .map_err(Error::CombinedProof)?;
        headers.remove(CLIENT_ATTESTATION_POP);
        self.put(headers, pop::DPOP, &proof)
    }

    fn put(&self, headers: &mut HeaderMap, name: &'static str, proof: &str) -> Result<(), Error> {
        for (name, value) in [(CLIENT_ATTESTATION, &*self.attestation), (name, proof)] {
            let mut value = HeaderValue::from_str(value).map_err(|_| Error::FieldValue)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(())
    }
}

/// Without attestation and key.
impl<S> std::fmt::Debug for HeldAttestation<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldAttestation")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The attestations of an instance: one, with a key of its own, for each server, so that servers cannot recognise the
/// instance among each other.
#[derive(Debug)]
pub struct HeldAttestations<S = SigningKey>(BTreeMap<String, HeldAttestation<S>>);

impl<S> Default for HeldAttestations<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: Signer> HeldAttestations<S> {
    /// Keeps the attestation for the server with this identifier, in place of the one it had.
    ///
    /// # Errors
    ///
    /// [`Error::HeldAttestation`] when another server already sees this key.
    pub fn insert(&mut self, server: &str, held: HeldAttestation<S>) -> Result<(), Error> {
        let jkt = held.jkt();
        let elsewhere =
            |(name, other): (&String, &HeldAttestation<S>)| name != server && other.jkt() == jkt;
        if self.0.iter().any(elsewhere) {
            return Err(Error::HeldAttestation);
        }
        self.0.insert(server.to_owned(), held);
        Ok(())
    }

    /// The attestation for a server.
    #[must_use]
    pub fn get(&self, server: &str) -> Option<&HeldAttestation<S>> {
        self.0.get(server)
    }
}
