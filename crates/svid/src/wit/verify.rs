//! The validation of a WIT-SVID and of the proof that belongs to it.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Uri, request};
use jose_x509::jwt::Jwt;
use jose_x509::{Error as JoseError, ReplayGuard};
use pki_types::UnixTime;
use spiffe_bundle::WitBundleSource;
use spiffe_id::SpiffeId;
use wimse::httpsig::{RequestVerifier, VerifiedRequest};
use wimse::{RequestTokens, UnprovenWit, WireForm, WitVerifier, WorkloadIdentifier, WptVerifier};

use super::parse::{check_header, refused, subject};
use crate::error::{Credential, Error};
use crate::identity::TOKEN_ALGORITHMS;

/// Verifies WIT-SVIDs and the Workload Proof Tokens that come with them. Immutable; threads share it.
#[derive(Clone, Debug)]
pub struct WitSvidVerifier {
    wit: WitVerifier,
    wpt: WptVerifier,
    leeway: u64,
    max_lifespan: Option<u64>,
}

const MAX_LEEWAY: u64 = 120;
const DEFAULT_LEEWAY: u64 = 30;

impl WitSvidVerifier {
    /// A verifier that accepts proofs for requests under `authority`, such as `https://api.example.com`,
    /// with 30 seconds of leeway.
    ///
    /// # Errors
    ///
    /// [`Error::Wimse`] when `authority` is not an http or https URI without path and query.
    pub fn new(authority: &str) -> Result<Self, Error> {
        let wit = WitVerifier::new()
            .with_algorithms(TOKEN_ALGORITHMS)
            // Section 3.5 bounds the lifespan where the caller does, and not how far ahead `exp` lies.
            .with_max_lifetime(Duration::MAX)
            .with_leeway(Duration::from_secs(DEFAULT_LEEWAY))
            .map_err(Error::Wimse)?;
        Ok(Self {
            wpt: WptVerifier::new(wit.clone())
                .with_authority(authority)
                .map_err(Error::Wimse)?,
            wit,
            leeway: DEFAULT_LEEWAY,
            max_lifespan: None,
        })
    }

    /// Accepts requests under one more authority.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_authority(mut self, authority: &str) -> Result<Self, Error> {
        self.wpt = self.wpt.with_authority(authority).map_err(Error::Wimse)?;
        Ok(self)
    }

    /// Treats a field as a context token that the proof has to cover.
    #[must_use]
    pub fn with_context_field(mut self, field: HeaderName) -> Self {
        self.wpt = self.wpt.with_context_field(field);
        self
    }

    /// Another tolerated difference of clocks for the WIT-SVID.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 120 seconds.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, Error> {
        if leeway > Duration::from_secs(MAX_LEEWAY) {
            return Err(Error::InvalidOption {
                option: "leeway",
                range: "0 to 120 seconds",
            });
        }
        self.wit = self.wit.with_leeway(leeway).map_err(Error::Wimse)?;
        self.leeway = leeway.as_secs();
        Ok(self)
    }

    /// Refuses tokens whose time from `nbf` to `exp` is longer than this, and those without `nbf`, whose
    /// lifespan nobody knows (section 3.5). Without it, any `exp` is accepted.
    #[must_use]
    pub const fn with_max_lifespan(mut self, lifespan: Duration) -> Self {
        self.max_lifespan = Some(lifespan.as_secs());
        self
    }

    /// Authenticates the workload that sent a request: the WIT-SVID in `Workload-Identity-Token`, the proof in
    /// `Authorization`, and its single use.
    ///
    /// `target` is the request's target as received; only its path is used.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn verify(
        &self,
        headers: &HeaderMap,
        target: &Uri,
        bundles: &(impl WitBundleSource + ?Sized),
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<BoundWorkload, Error> {
        self.verify_by(headers, target, replay, now, |wit| {
            self.verify_wit(wit, bundles, now)
        })
    }

    /// As [`verify`](Self::verify), the token by other means such as a cache.
    pub(crate) fn verify_by(
        &self,
        headers: &HeaderMap,
        target: &Uri,
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
        verify_wit: impl FnOnce(&str) -> Result<UnprovenWitSvid, Error>,
    ) -> Result<BoundWorkload, Error> {
        let tokens =
            RequestTokens::from_headers(headers, WireForm::default()).map_err(Error::Wimse)?;
        // Both tokens are read before a signature is verified, while the code that reads is at hand.
        let proof = self.wpt.read(&tokens);
        let svid = verify_wit(tokens.unverified_wit())?;
        proof
            .and_then(|proof| proof.verify(svid.wit.clone(), headers, target, replay, now))
            .map_err(Error::Wimse)?;
        Ok(BoundWorkload { svid })
    }

    /// Verifies a WIT-SVID alone, for a proof by other means. It identifies nobody yet.
    ///
    /// # Errors
    ///
    /// [`Error`], in this order: structure, header, subject, bundle, signature, times, confirmation key.
    pub fn verify_wit(
        &self,
        token: &str,
        bundles: &(impl WitBundleSource + ?Sized),
        now: UnixTime,
    ) -> Result<UnprovenWitSvid, Error> {
        let unverified = self.wit.read(token).map_err(Error::Wimse)?;
        check_header(&unverified.unverified_header())?;
        let spiffe_id = subject(unverified.unverified_subject())?;
        let credential = Credential::Wit;
        let keys = bundles
            .wit_authorities(spiffe_id.trust_domain())
            .ok_or(Error::NoBundle { credential })?;
        if keys.keys().is_empty() {
            return Err(Error::NoAuthorities { credential });
        }
        let wit = WorkloadIdentifier::try_from(&spiffe_id)
            .and_then(|identifier| unverified.verify_named(identifier, &keys, now))
            .map_err(Error::Wimse)?;
        if wit.jwt().audience().next().is_some() {
            return Err(refused(JoseError::ForbiddenClaim { claim: "aud" }));
        }
        if !TOKEN_ALGORITHMS.contains(wit.proof_algorithm()) {
            return Err(Error::ConfirmationAlgorithm);
        }
        let expires = wit
            .jwt()
            .expires()
            .ok_or(refused(JoseError::MissingClaim { claim: "exp" }))?;
        if let Some(limit) = self.max_lifespan {
            let start = wit.jwt().not_before().ok_or(Error::UnknownLifespan)?;
            if expires.saturating_sub(start) > limit {
                return Err(refused(JoseError::LifetimeTooLong { limit }));
            }
        }
        Ok(UnprovenWitSvid {
            spiffe_id,
            last_second: expires.saturating_add(self.leeway).saturating_sub(1),
            wit,
        })
    }
}

/// A mechanism by which a presenter proves to hold the key of its WIT-SVID. Workload Proof Tokens and HTTP
/// message signatures are built in; another one has to bind the proof to [`UnprovenWit::proof_key`] and
/// [`UnprovenWit::proof_algorithm`], be fresh, and be of no use for another request.
pub trait ProofOfPossession {
    /// Verifies the proof that was presented with this token.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn verify(&self, wit: &UnprovenWit) -> Result<(), wimse::Error>;
}

/// A verified WIT-SVID, presented by somebody who has not yet proven to be its holder. Cloning shares it.
#[derive(Clone)]
pub struct UnprovenWitSvid {
    spiffe_id: SpiffeId,
    last_second: u64,
    wit: UnprovenWit,
}

impl UnprovenWitSvid {
    /// Whom it names. Whoever presents it may be somebody else.
    #[must_use]
    pub const fn unproven_spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The token and the key that has to sign the proof.
    #[must_use]
    pub const fn wit(&self) -> &UnprovenWit {
        &self.wit
    }

    /// `jti`, for audit: the same in all presentations of this token, by whichever instance of the workload.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.wit.jwt().id()
    }

    /// `kid`: which key of the trust domain issued it, for audit.
    #[must_use]
    pub fn issuer_key_id(&self) -> Option<&str> {
        self.wit.jwt().header().kid()
    }

    /// Makes the presenter the workload, if its proof holds.
    ///
    /// # Errors
    ///
    /// [`Error::Wimse`] with what `proof` says.
    pub fn bind(self, proof: &(impl ProofOfPossession + ?Sized)) -> Result<BoundWorkload, Error> {
        proof.verify(&self.wit).map_err(Error::Wimse)?;
        Ok(BoundWorkload { svid: self })
    }

    /// As [`bind`](Self::bind), by the signature of a whole request: method, target, the fields that matter, and
    /// content.
    ///
    /// # Errors
    ///
    /// [`Error::Wimse`].
    pub fn bind_to_signed_request(
        self,
        verifier: &RequestVerifier,
        parts: &request::Parts,
        content: &[u8],
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<(BoundWorkload, VerifiedRequest), Error> {
        let request = verifier
            .verify_with_wit(self.wit.clone(), parts, content, replay, now)
            .map_err(Error::Wimse)?;
        Ok((BoundWorkload { svid: self }, request))
    }

    /// The last second in which the verifier that accepted it would accept it, leeway included.
    pub(crate) const fn last_second(&self) -> u64 {
        self.last_second
    }
}

/// Without the token.
impl fmt::Debug for UnprovenWitSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnprovenWitSvid")
            .field("unproven_spiffe_id", &self.spiffe_id)
            .finish_non_exhaustive()
    }
}

/// A workload that has proven, for one request, to hold the key of its WIT-SVID.
#[derive(Debug)]
pub struct BoundWorkload {
    svid: UnprovenWitSvid,
}

impl BoundWorkload {
    /// The workload.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.svid.spiffe_id
    }

    /// The verified token.
    #[must_use]
    pub fn wit(&self) -> &Jwt {
        self.svid.wit.jwt()
    }

    /// `jti` of the WIT-SVID, for audit: several instances of a workload may share it.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.svid.token_id()
    }

    /// `kid`: which key of the trust domain issued the WIT-SVID, for audit.
    #[must_use]
    pub fn issuer_key_id(&self) -> Option<&str> {
        self.svid.issuer_key_id()
    }
}
