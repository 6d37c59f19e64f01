//! The attester's side.

use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::{Error as JoseError, Jwk, Signer, jwt};
use pki_types::UnixTime;
use serde_json::json;

use super::ATTESTATION_TYPE;
use crate::error::Error;

const LIFETIME: u64 = 24 * 3600;

/// Vouches for keys of instances. That the key is an instance's own, kept where it should be, is for the attester to
/// establish before.
#[derive(Clone, Debug)]
pub struct AttestationIssuer<S> {
    signer: S,
    lifetime: u64,
}

impl<S: Signer> AttestationIssuer<S> {
    /// An issuer of attestations that live for a day. The signer's `kid` tells servers which key it is.
    #[must_use]
    pub fn new(signer: S) -> Self {
        Self {
            signer,
            lifetime: LIFETIME,
        }
    }

    /// Another lifetime.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.as_secs();
        self
    }

    /// Vouches that `key` is the key of an instance of the client. A new key needs a new attestation, and
    /// so should a new server: one that is sent to two servers lets them recognise the instance.
    ///
    /// # Errors
    ///
    /// [`Error::Attestation`] for an empty `client_id` and when signing fails.
    pub fn issue(&self, client_id: &str, key: &Jwk, now: UnixTime) -> Result<String, Error> {
        if client_id.is_empty() {
            return Err(Error::Attestation(JoseError::ClaimType { claim: "sub" }));
        }
        let issued = now.as_secs();
        let claims = json!({
            "sub": client_id, "iat": issued, "exp": issued.saturating_add(self.lifetime), "cnf": {"jwk": key.to_value()},
        });
        let header = ProtectedHeader::new(ATTESTATION_TYPE);
        jwt::sign(&self.signer, &header, &claims).map_err(Error::Attestation)
    }
}
