//! The server's side: verifying proofs (RFC 9449 section 4.3).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pki_types::UnixTime;

use super::error::DpopError;
use super::htu::{Htu, MAX_HTU};
use super::nonce::{Nonce, NonceSource};
use super::proof::{TYPE, access_token_hash, is_method};
use crate::algorithm::{Algorithm, Algorithms};
use crate::base64url;
use crate::error::Error;
use crate::json::{self, JsonErrorKind, Member};
use crate::jwk::Jwk;
use crate::jws::{HeaderRules, Limits, UnverifiedJws};
use crate::jwt::{Confirmation, NumericDate};
use crate::key::VerifyingKey;
use crate::provider::CryptoProvider;
use crate::replay::{AsyncReplayGuard, ReplayGuard, ReplayKey};

/// Longest proof in bytes.
pub const MAX_PROOF: usize = 4096;
const MAX_JTI: usize = 256;
const DEFAULT_ALGORITHMS: Algorithms = Algorithms::of(&[
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Ed25519,
    Algorithm::EdDsa,
]);
/// What every window is capped at, and how far `iat` may be off when a nonce tells the time.
const MAX_WINDOW: u64 = 300;

/// The request that a proof has to be for.
#[derive(Clone, Copy)]
pub struct ProofTarget<'a> {
    method: &'a str,
    target: &'a Htu,
    token: Option<(&'a str, [u8; 32])>,
}

impl<'a> ProofTarget<'a> {
    /// A request with this method to this target, which the server's configuration and the request
    /// line give: see [`ExternalUrl`](super::ExternalUrl).
    #[must_use]
    pub fn new(method: &'a str, target: &'a Htu) -> Self {
        Self {
            method,
            target,
            token: None,
        }
    }

    /// Demands that the proof be for this access token and by the key of its `cnf.jkt`.
    #[must_use]
    pub fn with_access_token(self, access_token: &'a str, jkt: [u8; 32]) -> Self {
        Self {
            token: Some((access_token, jkt)),
            ..self
        }
    }
}

/// Without the access token.
impl fmt::Debug for ProofTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofTarget")
            .field("method", &self.method)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// Verifies proofs: an immutable value that threads share.
#[derive(Clone, Debug)]
pub struct Verifier {
    provider: CryptoProvider,
    algorithms: Algorithms,
    max_age: u64,
    future_skew: u64,
    nonces: Option<Arc<dyn NonceSource>>,
}

impl Verifier {
    /// A verifier that accepts ES256, ES384 and Ed25519 under both names, 60 seconds of age and 10 seconds ahead,
    /// and asks for no nonce.
    #[must_use]
    pub fn new(provider: &CryptoProvider) -> Self {
        Self {
            provider: *provider,
            algorithms: DEFAULT_ALGORITHMS,
            max_age: 60,
            future_skew: 10,
            nonces: None,
        }
    }

    /// Other algorithms. The same set belongs into the metadata and the challenges.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for the empty set.
    pub fn with_algorithms(self, algorithms: Algorithms) -> Result<Self, Error> {
        if algorithms.is_empty() {
            return Err(Error::InvalidOption {
                option: "algorithms",
                range: "at least one",
            });
        }
        Ok(Self { algorithms, ..self })
    }

    /// How old and how far ahead `iat` may be.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 300 seconds.
    pub fn with_window(self, max_age: Duration, future_skew: Duration) -> Result<Self, Error> {
        let (max_age, future_skew) = (max_age.as_secs(), future_skew.as_secs());
        if max_age > MAX_WINDOW || future_skew > MAX_WINDOW {
            return Err(Error::InvalidOption {
                option: "window",
                range: "0 to 300 seconds",
            });
        }
        Ok(Self {
            max_age,
            future_skew,
            ..self
        })
    }

    /// Demands a nonce of this source in every proof. Then no proof can be made in advance, and a replay
    /// guard for each node is enough to limit replay to the nonce's life.
    #[must_use]
    pub fn with_nonces(self, nonces: Arc<dyn NonceSource>) -> Self {
        Self {
            nonces: Some(nonces),
            ..self
        }
    }

    /// The accepted algorithms.
    #[must_use]
    pub fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// The provider for hashes and keys.
    #[must_use]
    pub fn provider(&self) -> &CryptoProvider {
        &self.provider
    }

    /// A nonce for the `DPoP-Nonce` field of a response, if nonces are demanded. Any response may have one.
    ///
    /// # Errors
    ///
    /// What the source says.
    pub fn fresh_nonce(&self, now: UnixTime) -> Result<Option<Nonce>, Error> {
        self.nonces
            .as_ref()
            .map(|nonces| nonces.issue(now))
            .transpose()
    }

    /// Verifies the proof of a request and spends it.
    ///
    /// `fields` are the values of all `DPoP` fields of the request, line by line.
    ///
    /// # Errors
    ///
    /// As [`Verifier::check`] and [`UnspentProof::spend`].
    pub fn verify<'f>(
        &self,
        fields: impl IntoIterator<Item = &'f [u8]>,
        target: &ProofTarget<'_>,
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<DpopProof, Error> {
        self.check(fields, target, now)?.spend(replay, now)
    }

    /// As [`Verifier::verify`], with a replay guard behind a network.
    ///
    /// # Errors
    ///
    /// As [`Verifier::verify`].
    pub async fn verify_async<'f>(
        &self,
        fields: impl IntoIterator<Item = &'f [u8]>,
        target: &ProofTarget<'_>,
        replay: &(impl AsyncReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<DpopProof, Error> {
        self.check(fields, target, now)?
            .spend_async(replay, now)
            .await
    }

    /// Checks all of a proof but whether it was used before, for callers that look something up by its
    /// key first.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, in this order: number of proofs, size, form, type, algorithm, claims'
    /// shapes, key, signature; `htm`, `htu`, times, `ath`; nonce; the access token's key.
    pub fn check<'f>(
        &self,
        fields: impl IntoIterator<Item = &'f [u8]>,
        target: &ProofTarget<'_>,
        now: UnixTime,
    ) -> Result<UnspentProof, Error> {
        let compact = single_field(fields)?;
        let rules = HeaderRules {
            allow_jwk: true,
            ..HeaderRules::default()
        };
        let limits = Limits::new(MAX_PROOF, MAX_PROOF)?;
        let jws = UnverifiedJws::parse_with(compact, &rules, &limits)?;
        let header = jws.unverified_header();
        if !header.is_type(TYPE) {
            return Err(Error::WrongType);
        }
        let algorithm = header.algorithm();
        if !self.algorithms.contains(algorithm) {
            return Err(Error::AlgorithmNotAllowed { algorithm });
        }
        let members = header.members()?;
        let jwk = members
            .get("jwk")
            .ok_or(Error::MissingHeader { name: "jwk" })?;
        if members.len() != 3 {
            return Err(DpopError::UnexpectedParameter.into());
        }
        let jwk = Jwk::from_value(jwk)?;
        let claims = Claims::read(jws.unverified_payload())?;
        // An RSA key does not say by itself which of its algorithms it is for.
        let jwk = match jwk.algorithm() {
            Some(_) => jwk,
            None => jwk
                .with_algorithm(algorithm)
                .map_err(|_| Error::AlgorithmMismatch { algorithm })?,
        };
        let key = VerifyingKey::from_jwk(&self.provider, jwk)?;
        jws.verify_signature(&key, self.algorithms)?;
        self.check_claims(claims, key, target, now)
    }

    fn check_claims(
        &self,
        claims: Claims,
        key: VerifyingKey,
        target: &ProofTarget<'_>,
        now: UnixTime,
    ) -> Result<UnspentProof, Error> {
        if claims.htm != target.method {
            return Err(DpopError::WrongMethod.into());
        }
        if Htu::parse_as(&claims.htu, "claim `htu`")? != *target.target {
            return Err(DpopError::WrongTarget.into());
        }
        let (max_age, future_skew) = match self.nonces {
            Some(_) => (MAX_WINDOW, MAX_WINDOW),
            None => (self.max_age, self.future_skew),
        };
        let seconds = now.as_secs();
        if claims.iat > seconds.saturating_add(future_skew) {
            return Err(Error::IssuedInFuture);
        }
        if claims.iat.saturating_add(max_age) < seconds {
            return Err(Error::TooOld { limit: max_age });
        }
        // Not defined for proofs; a client that sets them means them.
        let skew = self.future_skew;
        if claims
            .exp
            .is_some_and(|exp| seconds >= exp.saturating_add(skew))
        {
            return Err(Error::Expired);
        }
        if claims
            .nbf
            .is_some_and(|nbf| nbf > seconds.saturating_add(skew))
        {
            return Err(Error::NotYetValid);
        }
        let token_hash = target
            .token
            .map(|(token, _)| access_token_hash(&self.provider, token));
        match (token_hash, claims.ath) {
            (Some(_), None) => return Err(Error::MissingClaim { claim: "ath" }),
            (Some(expected), Some(ath)) if expected != ath => {
                return Err(DpopError::WrongTokenHash.into());
            }
            _ => {}
        }
        if let Some(nonces) = &self.nonces {
            let nonce = claims.nonce.as_ref().ok_or(DpopError::NonceRequired)?;
            if !nonces.is_current(nonce, now) {
                return Err(DpopError::NonceRejected.into());
            }
        }
        let jkt = key.thumbprint();
        if target.token.is_some_and(|(_, expected)| expected != jkt) {
            return Err(DpopError::KeyMismatch.into());
        }
        // Not counted from now: what lies ahead is acceptable for longer.
        let acceptable_until = claims
            .iat
            .saturating_add(max_age)
            .saturating_add(future_skew);
        Ok(UnspentProof {
            replay_key: ReplayKey::new(
                &self.provider,
                &[
                    b"dpop",
                    &jkt,
                    target.target.as_str().as_bytes(),
                    claims.jti.as_bytes(),
                ],
            ),
            acceptable_until: UnixTime::since_unix_epoch(Duration::from_secs(acceptable_until)),
            proof: DpopProof {
                key,
                jkt,
                method: claims.htm,
                target: target.target.clone(),
                jti: claims.jti,
                issued_at: claims.iat,
                token_hash,
            },
        })
    }
}

/// A proof that is right in every way, and may have been used before.
#[derive(Debug)]
pub struct UnspentProof {
    proof: DpopProof,
    replay_key: ReplayKey,
    acceptable_until: UnixTime,
}

impl UnspentProof {
    /// The thumbprint of the proof's key, to look up what is bound to it.
    #[must_use]
    pub fn unspent_jkt(&self) -> [u8; 32] {
        self.proof.jkt
    }

    /// Spends the proof, which works once.
    ///
    /// # Errors
    ///
    /// [`Error::Replayed`], and those of [`ReplayGuard::check_and_insert`].
    pub fn spend(
        self,
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<DpopProof, Error> {
        replay.check_and_insert(self.replay_key, self.acceptable_until, now)?;
        Ok(self.proof)
    }

    /// As [`UnspentProof::spend`], with a guard behind a network.
    ///
    /// # Errors
    ///
    /// As [`UnspentProof::spend`].
    pub async fn spend_async(
        self,
        replay: &(impl AsyncReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<DpopProof, Error> {
        replay
            .check_and_insert_async(self.replay_key, self.acceptable_until, now)
            .await?;
        Ok(self.proof)
    }
}

/// A proof that passed every check and was not used before.
#[derive(Debug)]
pub struct DpopProof {
    key: VerifyingKey,
    jkt: [u8; 32],
    method: String,
    target: Htu,
    jti: String,
    issued_at: u64,
    token_hash: Option<[u8; 32]>,
}

impl DpopProof {
    /// The key that signed it. It is no client's identity by itself.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The key's SHA-256 thumbprint (RFC 7638).
    #[must_use]
    pub fn jkt(&self) -> [u8; 32] {
        self.jkt
    }

    /// `cnf` for an access token that is bound to the key.
    #[must_use]
    pub fn confirmation(&self) -> Confirmation {
        Confirmation::of_jkt(self.jkt)
    }

    /// `jti`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.jti
    }

    /// `htm`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// `htu`, normalised.
    #[must_use]
    pub fn target(&self) -> &Htu {
        &self.target
    }

    /// `iat` in seconds since the epoch, rounded down.
    #[must_use]
    pub fn issued_at(&self) -> u64 {
        self.issued_at
    }

    /// The hash of the access token that the proof was verified with; `None` if it was verified without
    /// one, whatever its `ath` says.
    #[must_use]
    pub fn access_token_hash(&self) -> Option<[u8; 32]> {
        self.token_hash
    }
}

/// The one value of the one field. A comma would join two of them, and is in no proof.
fn single_field<'f>(fields: impl IntoIterator<Item = &'f [u8]>) -> Result<&'f str, Error> {
    let mut fields = fields.into_iter();
    let value = fields.next().ok_or(DpopError::MissingProof)?;
    if fields.next().is_some() || value.contains(&b',') {
        return Err(DpopError::MultipleProofs.into());
    }
    core::str::from_utf8(value).map_err(|error| Error::TokenCharacters {
        offset: error.valid_up_to(),
    })
}

/// The claims of a proof, of right types and sizes.
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    ath: Option<[u8; 32]>,
    nonce: Option<Nonce>,
    exp: Option<u64>,
    nbf: Option<u64>,
}

impl Claims {
    fn read(payload: &[u8]) -> Result<Self, Error> {
        let limits = json::Limits::CLAIMS.with_bytes(MAX_PROOF);
        type Found<'a> = [Option<Member<'a>>; NAMES.len()];
        let found = json::read_object(payload, &limits, |found: &mut Found<'_>, name, value| {
            let slot = NAMES.iter().zip(found).find(|(known, _)| **known == name);
            if let Some((_, slot)) = slot {
                *slot = Some(value);
            }
        })
        .map_err(|source| match source.kind() {
            JsonErrorKind::TooLarge => Error::TooLarge {
                what: "claims set",
                limit: MAX_PROOF,
            },
            _ => Error::Json {
                what: "claims set",
                source,
            },
        })?;
        let [jti, htm, htu, iat, ath, nonce, exp, nbf] = found;
        let htm = text("htm", htm, 32)?;
        if !is_method(&htm) {
            return Err(Error::ClaimType { claim: "htm" });
        }
        let ath = optional_text("ath", ath)?
            .map(|ath| base64url::decode_array(&ath, "ath"))
            .transpose()
            .map_err(|_| Error::ClaimType { claim: "ath" })?;
        let nonce = optional_text("nonce", nonce)?
            .map(|nonce| Nonce::parse(&nonce))
            .transpose()?;
        Ok(Self {
            jti: text("jti", jti, MAX_JTI)?,
            htm,
            htu: text("htu", htu, MAX_HTU)?,
            iat: date("iat", iat)?
                .ok_or(Error::MissingClaim { claim: "iat" })?
                .floor(),
            ath,
            nonce,
            exp: date("exp", exp)?.map(NumericDate::floor),
            nbf: date("nbf", nbf)?.map(NumericDate::ceil),
        })
    }
}

const NAMES: [&str; 8] = ["jti", "htm", "htu", "iat", "ath", "nonce", "exp", "nbf"];

fn text(claim: &'static str, value: Option<Member<'_>>, max: usize) -> Result<String, Error> {
    match optional_text(claim, value)? {
        None => Err(Error::MissingClaim { claim }),
        Some(text) if !text.is_empty() && text.len() <= max => Ok(text.into_owned()),
        Some(_) => Err(Error::ClaimType { claim }),
    }
}

fn optional_text<'a>(
    claim: &'static str,
    value: Option<Member<'a>>,
) -> Result<Option<Cow<'a, str>>, Error> {
    match value {
        None => Ok(None),
        Some(Member::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Error::ClaimType { claim }),
    }
}

fn date(claim: &'static str, value: Option<Member<'_>>) -> Result<Option<NumericDate>, Error> {
    value
        .map(|value| NumericDate::of(&value).ok_or(Error::ClaimType { claim }))
        .transpose()
}
