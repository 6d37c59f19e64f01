//! DPoP proofs at a token endpoint (RFC 9449 section 5).

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Method};
use jose_x509::ReplayGuard;
use jose_x509::dpop::{DpopProof, Htu, ProofTarget, Verifier};
use pki_types::UnixTime;

use crate::error::Error;

/// What a token endpoint checks proofs with.
#[derive(Clone)]
pub struct ProofCheck {
    verifier: Verifier,
    endpoint: Htu,
    replay: Arc<dyn ReplayGuard>,
}

impl ProofCheck {
    /// Proofs for requests to this endpoint, each good once.
    #[must_use]
    pub fn new(verifier: Verifier, endpoint: Htu, replay: Arc<dyn ReplayGuard>) -> Self {
        Self {
            verifier,
            endpoint,
            replay,
        }
    }

    /// Verifies and spends the proof of a request, if it has a `DPoP` field. Authenticate the client first.
    ///
    /// # Errors
    ///
    /// [`Error::Proof`].
    pub fn read(&self, headers: &HeaderMap, now: UnixTime) -> Result<Option<DpopProof>, Error> {
        if !headers.contains_key("dpop") {
            return Ok(None);
        }
        let fields = headers.get_all("dpop").iter().map(|value| value.as_bytes());
        let target = ProofTarget::new(Method::POST.as_str(), &self.endpoint);
        self.verifier
            .verify(fields, &target, self.replay.as_ref(), now)
            .map(Some)
            .map_err(Error::Proof)
    }
}

impl fmt::Debug for ProofCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofCheck")
            .field("endpoint", &self.endpoint.as_str())
            .finish_non_exhaustive()
    }
}
