//! Verifying responses on the client.

use std::fmt;
use std::time::Duration;

use http::{HeaderName, StatusCode, response};
use jose_x509::ReplayGuard;
use jose_x509::jwt::Jwt;
use pki_types::UnixTime;

use super::component::Message;
use super::sign::SentRequest;
use super::verify::{Names, Rules, wit_field};
use super::{Profile, SignatureError, WIMSE_REQ_NONCE};
use crate::error::Error;
use crate::identifier::WorkloadIdentifier;
use crate::peer::PeerNames;
use crate::wit::{UnprovenWit, WitAnchors, WitVerifier};

/// Verifies responses to signed requests. Immutable; threads share it.
#[derive(Clone, Debug)]
pub struct ResponseVerifier {
    rules: Rules,
}

impl ResponseVerifier {
    /// A verifier for the current profile. Content up to 1 MiB.
    #[must_use]
    pub fn new(wit: WitVerifier) -> Self {
        Self {
            rules: Rules::new(wit),
        }
    }

    /// Verifies another profile, instead of the current one.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.rules.profile = profile;
        self
    }

    /// The longest time from `created` to `expires`: 300 seconds by default. The response that the drafts
    /// print has 302.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] outside 1 to 3600 seconds.
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        self.rules.set_max_lifetime(lifetime)?;
        Ok(self)
    }

    /// How long after `expires` a signature is still accepted: 30 seconds by default.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 300 seconds.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, Error> {
        self.rules.set_leeway(leeway)?;
        Ok(self)
    }

    /// Accepts content up to this many bytes.
    #[must_use]
    pub fn with_max_content(mut self, bytes: usize) -> Self {
        self.rules.max_content = bytes;
        self
    }

    /// Verifies the response to a request that [`MessageSigner`](super::MessageSigner) signed. `peers` says which
    /// workload has to be behind the authority that was called.
    ///
    /// `None` is a response without a signature, to a request that did not demand one: it authenticates nobody
    /// beyond what TLS did. That somebody on the way removed the signature cannot be seen then.
    ///
    /// # Errors
    ///
    /// [`SignatureError::ResponseNotSigned`], [`SignatureError::RequestNonce`], [`SignatureError::UnexpectedPeer`]
    /// and every other [`Error`]; a signature that is there has to be valid, demanded or not.
    // The seven arguments are the message, its counterpart, what is trusted, and the time.
    #[allow(clippy::too_many_arguments)]
    pub fn verify(
        &self,
        sent: &SentRequest,
        parts: &response::Parts,
        content: &[u8],
        peers: &(impl PeerNames + ?Sized),
        anchors: &(impl WitAnchors + ?Sized),
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<Option<VerifiedResponse>, Error> {
        let tagged = match self.rules.parse(&parts.headers, content, now) {
            Err(SignatureError::NotSigned) if sent.demands_signature() => {
                return Err(SignatureError::ResponseNotSigned.into());
            }
            Err(SignatureError::NotSigned) => return Ok(None),
            other => other?,
        };
        match tagged.params.request_nonce.as_deref() {
            Some(nonce) if nonce == sent.nonce() => {}
            Some(_) => return Err(SignatureError::RequestNonce.into()),
            None if self.rules.profile == Profile::V06 && !sent.demands_signature() => {}
            None => {
                return Err(SignatureError::Parameter {
                    parameter: WIMSE_REQ_NONCE,
                }
                .into());
            }
        }
        let message = Message::Response {
            status: parts.status,
            headers: &parts.headers,
            request: sent.view(),
        };
        // Without the field there is nothing to cover; say so in the plainer way.
        let wit = wit_field(&parts.headers)?;
        self.rules.check_coverage(&tagged, &message)?;
        let wit = self.rules.wit.verify(wit, anchors, now)?;
        let expected = peers
            .policy_for(sent.authority())
            .is_some_and(|policy| policy.permits(wit.unproven_identifier()));
        if !expected {
            return Err(SignatureError::UnexpectedPeer.into());
        }
        let covered = self
            .rules
            .check_proof(&tagged, &message, content, &wit, replay, now)?;
        Ok(Some(VerifiedResponse {
            wit,
            status: parts.status,
            covered,
        }))
    }
}

/// A response whose signer has proven to be the workload that was expected.
pub struct VerifiedResponse {
    wit: UnprovenWit,
    status: StatusCode,
    covered: Vec<(HeaderName, String)>,
}

impl VerifiedResponse {
    /// Who signed it.
    #[must_use]
    pub fn identifier(&self) -> &WorkloadIdentifier {
        self.wit.unproven_identifier()
    }

    /// The verified WIT of the server.
    #[must_use]
    pub fn wit(&self) -> &Jwt {
        self.wit.jwt()
    }

    /// The signed status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The value of a field that the signature covers.
    #[must_use]
    pub fn covered_field(&self, name: &HeaderName) -> Option<&str> {
        let field = self.covered.iter().find(|(covered, _)| covered == name);
        field.map(|(_, value)| value.as_str())
    }
}

/// Which fields are covered, and not what is in them: one of them is the WIT.
impl fmt::Debug for VerifiedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedResponse")
            .field("identifier", self.identifier())
            .field("status", &self.status)
            .field("covered", &Names(&self.covered))
            .finish_non_exhaustive()
    }
}
