//! The validation of a WIT-SVID and of the proof that belongs to it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Uri};
use jose_x509::jws::UnverifiedJws;
use jose_x509::jwt::peek_claims;
use jose_x509::{Error as JoseError, KeySet, ReplayGuard};
use pki_types::UnixTime;
use spiffe_bundle::WitBundleSource;
use spiffe_id::{SpiffeId, SpiffeIdRef};
use wimse::wit::{WIT_TYPE, WORKLOAD_IDENTITY_TOKEN};
use wimse::{
    AuthenticatedWorkload, RequestTokens, TrustAnchors, UnprovenWit, WireForm, WitAnchors,
    WitVerifier, WorkloadIdentifier, WptVerifier,
};

use crate::error::{Credential, Error};
use crate::identity::{TOKEN_ALGORITHMS, workload_id};

/// Verifies WIT-SVIDs and the Workload Proof Tokens that come with them. Immutable; threads share it.
#[derive(Clone, Debug)]
pub struct WitSvidVerifier {
    wit: WitVerifier,
    wpt: WptVerifier,
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
            .with_leeway(Duration::from_secs(DEFAULT_LEEWAY))
            .map_err(Error::Wimse)?;
        Ok(Self {
            wpt: WptVerifier::new(wit.clone())
                .with_authority(authority)
                .map_err(Error::Wimse)?,
            wit,
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
        Ok(self)
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
        let tokens =
            RequestTokens::from_headers(headers, WireForm::default()).map_err(Error::Wimse)?;
        // There is exactly one such field, or the line above had refused the request.
        let wit = headers
            .get(WORKLOAD_IDENTITY_TOKEN)
            .and_then(|value| value.to_str().ok())
            .ok_or(Error::Wimse(wimse::Error::FieldValue))?;
        let svid = self.verify_wit(wit.trim_matches(' '), bundles, now)?;
        let workload = self
            .wpt
            .verify_proof(svid.wit, &tokens, headers, target, replay, now)
            .map_err(Error::Wimse)?;
        Ok(BoundWorkload {
            spiffe_id: svid.spiffe_id,
            workload,
        })
    }

    /// Verifies a WIT-SVID alone, for a proof by other means. It identifies nobody yet.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn verify_wit(
        &self,
        token: &str,
        bundles: &(impl WitBundleSource + ?Sized),
        now: UnixTime,
    ) -> Result<UnprovenWitSvid, Error> {
        let jws = UnverifiedJws::parse(token).map_err(refused)?;
        let header = jws.unverified_header();
        // A WIT may have other spellings and no `kid`; a WIT-SVID may not.
        if header.typ() != Some(WIT_TYPE) {
            return Err(refused(JoseError::WrongType));
        }
        if header.kid().is_none_or(str::is_empty) {
            return Err(refused(JoseError::MissingHeader { name: "kid" }));
        }
        let subject = peek_claims(&jws)
            .map_err(refused)?
            .unverified_subject
            .ok_or(refused(JoseError::MissingClaim { claim: "sub" }))?;
        let spiffe_id = workload_id(&subject, Credential::Wit)?;
        let keys = bundles
            .wit_authorities(spiffe_id.trust_domain())
            .ok_or(Error::NoBundle {
                credential: Credential::Wit,
            })?;
        if keys.keys().is_empty() {
            return Err(Error::NoAuthorities {
                credential: Credential::Wit,
            });
        }
        let anchors = Anchors {
            spiffe_id: &spiffe_id,
            keys,
        };
        let wit = self
            .wit
            .verify(token, &anchors, now)
            .map_err(Error::Wimse)?;
        if wit.jwt().claims_map().map_err(refused)?.contains_key("aud") {
            return Err(refused(JoseError::ForbiddenClaim { claim: "aud" }));
        }
        if !TOKEN_ALGORITHMS.contains(wit.proof_algorithm()) {
            return Err(Error::ConfirmationAlgorithm);
        }
        Ok(UnprovenWitSvid { spiffe_id, wit })
    }
}

const fn refused(source: JoseError) -> Error {
    Error::Token {
        credential: Credential::Wit,
        source,
    }
}

/// The keys of the one trust domain that the token's subject names.
struct Anchors<'a> {
    spiffe_id: &'a SpiffeId,
    keys: Arc<KeySet>,
}

impl WitAnchors for Anchors<'_> {
    fn anchors(&self, identifier: &WorkloadIdentifier) -> Option<TrustAnchors> {
        let named = SpiffeIdRef::parse(identifier.as_str()).ok()?;
        (*self.spiffe_id == named).then(|| TrustAnchors {
            keys: Arc::clone(&self.keys),
            issuers: Arc::new([]),
        })
    }
}

/// A verified WIT-SVID, presented by somebody who has not yet proven to be its holder.
#[derive(Debug)]
pub struct UnprovenWitSvid {
    spiffe_id: SpiffeId,
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
}

/// A workload that has proven, for one request, to hold the key of its WIT-SVID.
#[derive(Debug)]
pub struct BoundWorkload {
    spiffe_id: SpiffeId,
    workload: AuthenticatedWorkload,
}

impl BoundWorkload {
    /// The workload.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The verified token and proof, for example for `jti` and `kid` in audit records.
    #[must_use]
    pub const fn workload(&self) -> &AuthenticatedWorkload {
        &self.workload
    }
}
