//! Proofs of possession of the key in a client attestation or a WIT-SVID
//! (draft-ietf-oauth-attestation-based-client-auth sections 5 to 7).

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use jose_x509::dpop::{self, DpopProof, Nonce, ProofTarget, UnspentProof};
use jose_x509::jws::{Header, HeaderRules, Limits, ProtectedHeader, UnverifiedJws};
use jose_x509::jwt::{self, Audience, Expiry, Issuer, Jwt, Type, Validator};
use jose_x509::key::Candidates;
use jose_x509::replay::AsyncReplayGuard;
use jose_x509::{
    Algorithm, Algorithms, CryptoProvider, Error as JoseError, KeySource, ReplayGuard, ReplayKey,
    Signer, VerifyingKey, json,
};
use pki_types::UnixTime;
use serde_json::Map;

use crate::attestation::{Challenge, ChallengeSource, PopMethod, PopMethods};
use crate::error::Error;

/// The field of the proof.
pub const CLIENT_ATTESTATION_POP: &str = "oauth-client-attestation-pop";
/// `typ` of the proof.
pub const POP_TYPE: &str = "oauth-client-attestation-pop+jwt";
/// Longest proof, and longest attestation, in bytes.
pub const MAX_FIELD: usize = 8 * 1024;
pub(crate) const DPOP: &str = "dpop";

/// The algorithms of attestations and proofs by default.
pub(crate) const DEFAULT_ALGORITHMS: Algorithms = Algorithms::ELLIPTIC;
const PAST: u64 = 300;
const AHEAD: u64 = 60;

/// Makes a proof towards the server `audience`: the issuer identifier of an authorization server, or the
/// resource identifier of a resource server. `challenge` is the most recent one that the server gave.
///
/// # Errors
///
/// [`Error::Proof`] when signing or the random source fails.
pub fn sign(
    signer: &(impl Signer + ?Sized),
    provider: &CryptoProvider,
    audience: &str,
    challenge: Option<&Challenge>,
    now: UnixTime,
) -> Result<String, Error> {
    let mut claims = Map::new();
    claims.insert("aud".to_owned(), audience.into());
    let id = provider.random_id().map_err(Error::Proof)?;
    claims.insert("jti".to_owned(), id.into());
    claims.insert("iat".to_owned(), now.as_secs().into());
    if let Some(challenge) = challenge {
        claims.insert("challenge".to_owned(), challenge.as_str().into());
    }
    let header = ProtectedHeader::new(POP_TYPE).without_kid();
    jwt::sign(signer, &header, &claims).map_err(Error::Proof)
}

/// Verifies proofs towards one server: an immutable value that threads share.
#[derive(Clone, Debug)]
pub struct PopVerifier {
    audience: String,
    validator: Validator,
    algorithms: Algorithms,
    past: u64,
    methods: PopMethods,
    challenges: Option<Arc<dyn ChallengeSource>>,
    dpop: Option<dpop::Verifier>,
}

impl PopVerifier {
    /// A verifier for proofs whose sole audience is `audience`, an issuer or resource identifier. `iat` may be
    /// 300 seconds old and 60 seconds ahead; no challenge is demanded; a proof is a JWT of its own.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        let audience = audience.into();
        Self {
            validator: validator(&audience, DEFAULT_ALGORITHMS, PAST, AHEAD),
            audience,
            algorithms: DEFAULT_ALGORITHMS,
            past: PAST,
            methods: PopMethods::default(),
            challenges: None,
            dpop: None,
        }
    }

    /// Other algorithms. All that exist here are asymmetric.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for the empty set.
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Result<Self, Error> {
        if algorithms.is_empty() {
            let member = "client_attestation_pop_signing_alg_values_supported";
            return Err(Error::Metadata { member });
        }
        self.algorithms = algorithms;
        self.validator = self.validator.with_algorithms(algorithms);
        Ok(self)
    }

    /// How old and how far ahead `iat` may be.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] above 300 seconds, and for less past than future.
    pub fn with_window(mut self, past: Duration, ahead: Duration) -> Result<Self, Error> {
        let (past, ahead) = (past.as_secs(), ahead.as_secs());
        if past > PAST || ahead > past {
            return Err(Error::Metadata { member: "window" });
        }
        self.past = past;
        self.validator = validator(&self.audience, self.algorithms, past, ahead);
        Ok(self)
    }

    /// Demands a challenge of this source in every proof JWT.
    #[must_use]
    pub fn with_challenges(mut self, challenges: Arc<dyn ChallengeSource>) -> Self {
        self.challenges = Some(challenges);
        self
    }

    /// Checks DPoP proofs too. One beside a proof JWT then binds the access token; `methods` says whether one
    /// may also stand for both.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for methods without one that proves something.
    pub fn with_dpop(mut self, dpop: dpop::Verifier, methods: PopMethods) -> Result<Self, Error> {
        self.dpop = Some(dpop);
        self.with_methods(methods)
    }

    /// The ways to prove possession that are accepted.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for methods without one that proves something, and for the combined one without a
    /// verifier for DPoP proofs.
    pub fn with_methods(mut self, methods: PopMethods) -> Result<Self, Error> {
        let combined = methods.contains(PopMethod::DpopCombined);
        let proves = combined || methods.contains(PopMethod::AttestationPopJwt);
        if !proves || (combined && self.dpop.is_none()) {
            let member = "client_attestation_pop_methods_supported";
            return Err(Error::Metadata { member });
        }
        self.methods = methods;
        Ok(self)
    }

    /// The accepted ways to prove possession.
    #[must_use]
    pub fn methods(&self) -> &PopMethods {
        &self.methods
    }

    /// The accepted algorithms of proof JWTs.
    #[must_use]
    pub fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// The verifier of DPoP proofs, if there is one.
    #[must_use]
    pub fn dpop(&self) -> Option<&dpop::Verifier> {
        self.dpop.as_ref()
    }

    /// A challenge and a DPoP nonce, where they are demanded, for any response.
    ///
    /// # Errors
    ///
    /// [`Error::Challenges`].
    pub fn fresh(&self, now: UnixTime) -> Result<(Option<Challenge>, Option<Nonce>), Error> {
        let challenge = match &self.challenges {
            Some(challenges) => Some(challenges.issue(now)?),
            None => None,
        };
        let nonce = match &self.dpop {
            Some(dpop) => dpop.fresh_nonce(now).map_err(Error::Challenges)?,
            None => None,
        };
        Ok((challenge, nonce))
    }

    /// Checks the proof of a request with the key of its attestation; not yet whether it was used before.
    ///
    /// A field with a proof JWT is decisive: the request is never read as combined mode then. DPoP proofs are
    /// looked at if this verifier has a verifier for them and `target` is given.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for repeated fields, [`Error::MissingProof`], [`Error::PopMethod`], [`Error::Proof`],
    /// [`Error::ChallengeRequired`], [`Error::CombinedProof`], [`Error::InstanceKeyMismatch`],
    /// [`Error::DpopProof`].
    pub fn check(
        &self,
        headers: &HeaderMap,
        key: &VerifyingKey,
        target: Option<&ProofTarget<'_>>,
        now: UnixTime,
    ) -> Result<UnspentPop, Error> {
        self.check_by(headers, key, None, target, now)
    }

    /// As [`check`](Self::check); a proof JWT must use `algorithm` if there is one.
    pub(crate) fn check_by(
        &self,
        headers: &HeaderMap,
        key: &VerifyingKey,
        algorithm: Option<Algorithm>,
        target: Option<&ProofTarget<'_>>,
        now: UnixTime,
    ) -> Result<UnspentPop, Error> {
        let proof = field(headers, CLIENT_ATTESTATION_POP)?;
        let dpop = self
            .dpop
            .as_ref()
            .zip(target)
            .filter(|_| headers.contains_key(DPOP));
        let fields = || {
            headers
                .get_all(DPOP)
                .iter()
                .map(http::HeaderValue::as_bytes)
        };
        let jkt = key.thumbprint();
        let Some(proof) = proof else {
            if !headers.contains_key(DPOP) {
                return Err(Error::MissingProof);
            }
            let (verifier, target) = dpop
                .filter(|_| self.methods.contains(PopMethod::DpopCombined))
                .ok_or(Error::PopMethod)?;
            let proof = verifier
                .check(fields(), target, now)
                .map_err(Error::CombinedProof)?;
            if proof.unspent_jkt() != jkt {
                return Err(Error::InstanceKeyMismatch);
            }
            return Ok(UnspentPop {
                jkt,
                proof: None,
                challenge: None,
                dpop: Some((proof, PopMethod::DpopCombined)),
            });
        };
        if !self.methods.contains(PopMethod::AttestationPopJwt) {
            return Err(Error::PopMethod);
        }
        let proof = self.check_jwt(proof, key, algorithm, now)?;
        let challenge = self.check_challenge(&proof, now)?;
        let dpop = match dpop {
            Some((verifier, target)) => Some((
                verifier
                    .check(fields(), target, now)
                    .map_err(Error::DpopProof)?,
                PopMethod::AttestationPopJwt,
            )),
            None => None,
        };
        let id = proof
            .id()
            .ok_or(Error::Proof(JoseError::MissingClaim { claim: "jti" }))?;
        let replay = ReplayKey::new(
            key.provider(),
            &[b"client-attestation-pop", &jkt, id.as_bytes()],
        );
        // `iat` is rounded up where its age is judged.
        let issued = proof.issued_at().unwrap_or_default();
        let until = issued.saturating_add(self.past).saturating_add(1);
        Ok(UnspentPop {
            jkt,
            proof: Some((
                replay,
                UnixTime::since_unix_epoch(Duration::from_secs(until)),
            )),
            challenge,
            dpop,
        })
    }

    fn check_jwt(
        &self,
        proof: &str,
        key: &VerifyingKey,
        algorithm: Option<Algorithm>,
        now: UnixTime,
    ) -> Result<Jwt, Error> {
        let limits = Limits::new(MAX_FIELD, MAX_FIELD).map_err(Error::Proof)?;
        let jws = UnverifiedJws::parse_with(proof, &HeaderRules::default(), &limits)
            .map_err(Error::Proof)?;
        if algorithm.is_some_and(|algorithm| jws.unverified_header().algorithm() != algorithm) {
            return Err(Error::ProofAlgorithm);
        }
        self.validator
            .validate_jws(jws, &ProofKey(key), now)
            .map_err(Error::Proof)
    }

    fn check_challenge(&self, proof: &Jwt, now: UnixTime) -> Result<Option<Spendable>, Error> {
        let claims: Option<serde_json::Value> = proof
            .claims_map()
            .map_err(Error::Proof)?
            .remove("challenge");
        let challenge = match claims {
            None => None,
            Some(serde_json::Value::String(text)) => Some(text),
            Some(_) => return Err(Error::Proof(JoseError::ClaimType { claim: "challenge" })),
        };
        let Some(source) = &self.challenges else {
            return Ok(None);
        };
        let challenge = challenge
            .and_then(|text| Challenge::parse(&text).ok())
            .filter(|challenge| source.is_current(challenge, now))
            .ok_or(Error::ChallengeRequired)?;
        Ok(Some((challenge, Arc::clone(source))))
    }
}

type Spendable = (Challenge, Arc<dyn ChallengeSource>);

/// A proof that is right in every way, and may have been used before.
#[derive(Debug)]
pub struct UnspentPop {
    jkt: [u8; 32],
    proof: Option<(ReplayKey, UnixTime)>,
    challenge: Option<Spendable>,
    dpop: Option<(UnspentProof, PopMethod)>,
}

impl UnspentPop {
    /// The thumbprint of the proven key, for a server that gives each instance a replay guard of its own.
    #[must_use]
    pub fn unspent_jkt(&self) -> [u8; 32] {
        self.jkt
    }

    pub(crate) fn method(&self) -> PopMethod {
        self.dpop
            .as_ref()
            .map_or(PopMethod::AttestationPopJwt, |(_, method)| *method)
    }

    /// Spends the proof, which works once.
    ///
    /// # Errors
    ///
    /// [`Error::Replay`] for a proof JWT, [`Error::CombinedProof`] or [`Error::DpopProof`] for a DPoP proof,
    /// [`Error::ChallengeRequired`] for a challenge that is for once.
    pub fn spend(
        self,
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<ProvenKey, Error> {
        if let Some((key, until)) = self.proof {
            replay
                .check_and_insert(key, until, now)
                .map_err(Error::Replay)?;
        }
        let dpop = match self.dpop {
            Some((proof, method)) => Some((
                proof.spend(replay, now).map_err(refusal_of(method))?,
                method,
            )),
            None => None,
        };
        ProvenKey::of(self.jkt, dpop, self.challenge, now)
    }

    /// As [`spend`](Self::spend), with a guard behind a network.
    ///
    /// # Errors
    ///
    /// As [`spend`](Self::spend).
    pub async fn spend_async(
        self,
        replay: &(impl AsyncReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<ProvenKey, Error> {
        if let Some((key, until)) = self.proof {
            replay
                .check_and_insert_async(key, until, now)
                .await
                .map_err(Error::Replay)?;
        }
        let dpop = match self.dpop {
            Some((proof, method)) => {
                let proof = proof.spend_async(replay, now).await;
                Some((proof.map_err(refusal_of(method))?, method))
            }
            None => None,
        };
        ProvenKey::of(self.jkt, dpop, self.challenge, now)
    }
}

fn refusal_of(method: PopMethod) -> fn(JoseError) -> Error {
    match method {
        PopMethod::DpopCombined => Error::CombinedProof,
        _ => Error::DpopProof,
    }
}

/// A key whose possession was proven for this request.
#[derive(Debug)]
pub struct ProvenKey {
    jkt: [u8; 32],
    method: PopMethod,
    dpop: Option<DpopProof>,
}

impl ProvenKey {
    /// Once everything else is spent, the challenge is.
    fn of(
        jkt: [u8; 32],
        dpop: Option<(DpopProof, PopMethod)>,
        challenge: Option<Spendable>,
        now: UnixTime,
    ) -> Result<Self, Error> {
        if let Some((challenge, source)) = challenge {
            source.spend(&challenge, now)?;
        }
        let method = dpop
            .as_ref()
            .map_or(PopMethod::AttestationPopJwt, |(_, method)| *method);
        Ok(Self {
            jkt,
            method,
            dpop: dpop.map(|(proof, _)| proof),
        })
    }

    /// The key's SHA-256 thumbprint (RFC 7638).
    #[must_use]
    pub fn jkt(&self) -> [u8; 32] {
        self.jkt
    }

    /// How it was proven.
    #[must_use]
    pub fn method(&self) -> PopMethod {
        self.method
    }

    /// The DPoP proof of the request, to bind the access token to. Beside a proof JWT it may be by another key.
    #[must_use]
    pub fn dpop(&self) -> Option<&DpopProof> {
        self.dpop.as_ref()
    }
}

/// The one value of a field: token68, without the comma that joins two of them.
pub(crate) fn field<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    let value = values
        .next()
        .map(|value| value.to_str().map_err(|_| Error::Malformed { name }))
        .transpose()?;
    let is_token68 = |value: &str| {
        let allowed = |byte: u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
        };
        !value.is_empty() && value.bytes().all(allowed)
    };
    if values.next().is_some() || value.is_some_and(|value| !is_token68(value)) {
        return Err(Error::Malformed { name });
    }
    Ok(value)
}

fn validator(audience: &str, algorithms: Algorithms, past: u64, ahead: u64) -> Validator {
    let issuer = Issuer::NotApplicable {
        reason: "the attestation in the same request says whose key it is",
    };
    let validator = Validator::new(
        Type::OneOf(&[POP_TYPE]),
        issuer,
        Audience::Only(vec![audience.to_owned()]),
    )
    .with_algorithms(algorithms)
    .with_expiry(Expiry::Optional)
    .with_max_age(Duration::from_secs(past.saturating_sub(ahead)))
    .with_required_claim("jti")
    .with_limits(Limits::default(), json::Limits::CLAIMS);
    // At most 300 seconds, which the callers have checked.
    validator
        .clone()
        .with_leeway(Duration::from_secs(ahead))
        .unwrap_or(validator)
}

/// The key of the attestation and no other, whatever the proof's header says.
struct ProofKey<'a>(&'a VerifyingKey);

impl KeySource for ProofKey<'_> {
    fn candidates<'k>(&'k self, _: &Header<'_>) -> Result<Candidates<'k>, JoseError> {
        Ok(Candidates::one(self.0))
    }
}
