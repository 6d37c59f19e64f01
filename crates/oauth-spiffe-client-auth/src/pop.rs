//! The proof of possession that goes with a WIT-SVID (draft-ietf-oauth-attestation-based-client-auth).

use std::time::Duration;

use jose_x509::jws::{Header, ProtectedHeader, UnverifiedJws};
use jose_x509::jwt::{self, Audience, Expiry, Issuer, Type, Validator};
use jose_x509::key::Candidates;
use jose_x509::{
    CryptoProvider, Error as JoseError, KeySource, ReplayGuard, ReplayKey, Signer, VerifyingKey,
};
use pki_types::UnixTime;
use serde_json::json;
use wimse::UnprovenWit;

use crate::error::Error;

/// `typ` of the proof.
pub const POP_TYPE: &str = "oauth-client-attestation-pop+jwt";
/// How long a proof may be underway, in seconds.
const MAX_AGE: u64 = 60;
const LEEWAY: u64 = 10;

/// Makes a proof towards the authorization server `issuer`.
///
/// # Errors
///
/// [`Error::Proof`] when signing or the random source fails.
pub fn sign(
    signer: &(impl Signer + ?Sized),
    provider: &CryptoProvider,
    issuer: &str,
    now: UnixTime,
) -> Result<String, Error> {
    let id = provider.random_id().map_err(Error::Proof)?;
    let claims = json!({"aud": issuer, "jti": id, "iat": now.as_secs()});
    jwt::sign(
        signer,
        &ProtectedHeader::new(POP_TYPE).without_kid(),
        &claims,
    )
    .map_err(Error::Proof)
}

/// Verifies a proof with the key of the WIT, and spends it.
pub(crate) fn verify(
    proof: &str,
    wit: &UnprovenWit,
    issuer: &str,
    replay: &(impl ReplayGuard + ?Sized),
    now: UnixTime,
) -> Result<(), Error> {
    let jws = UnverifiedJws::parse(proof).map_err(Error::Proof)?;
    if jws.unverified_header().algorithm() != wit.proof_algorithm() {
        return Err(Error::ProofAlgorithm);
    }
    let validator = Validator::new(
        Type::OneOf(&[POP_TYPE]),
        Issuer::NotApplicable {
            reason: "the WIT says who signs",
        },
        Audience::Only(vec![issuer.to_owned()]),
    )
    .with_expiry(Expiry::Optional)
    .with_max_age(Duration::from_secs(MAX_AGE))
    .with_required_claim("jti")
    .with_leeway(Duration::from_secs(LEEWAY))
    .map_err(Error::Proof)?;
    let proof = validator
        .validate_jws(jws, &ProofKey(wit.proof_key()), now)
        .map_err(Error::Proof)?;
    let id = proof
        .id()
        .ok_or(Error::Proof(JoseError::MissingClaim { claim: "jti" }))?;
    let subject = wit.unproven_identifier().as_str();
    let key = ReplayKey::new(
        wit.proof_key().provider(),
        &[b"client-attestation-pop", subject.as_bytes(), id.as_bytes()],
    );
    let issued = proof.issued_at().unwrap_or_default();
    let kept = Duration::from_secs(issued.saturating_add(MAX_AGE + 2 * LEEWAY + 1));
    replay
        .check_and_insert(key, UnixTime::since_unix_epoch(kept), now)
        .map_err(Error::Replay)
}

/// The key of the WIT and no other, whatever the proof's header says.
struct ProofKey<'a>(&'a VerifyingKey);

impl KeySource for ProofKey<'_> {
    fn candidates<'k>(&'k self, _: &Header<'_>) -> Result<Candidates<'k>, JoseError> {
        Ok(Candidates::one(self.0))
    }
}
