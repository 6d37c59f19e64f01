//! The validation procedure of section 5.1.4.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jose_x509::jws::{Header, Limits, UnverifiedJws};
use jose_x509::jwt::{Audience, ConfirmationRule, Issuer, Jwt, Type, UnverifiedJwt, Validator};
use jose_x509::key::Candidates;
use jose_x509::{
    Algorithm, Algorithms, CryptoProvider, Error as JoseError, KeySet, KeySource, VerifyingKey,
    json,
};
use pki_types::UnixTime;

use crate::error::{Error, Token};
use crate::identifier::WorkloadIdentifier;
use crate::wit::WIT_TYPE;

/// The configured anchors of one trust domain.
#[derive(Clone, Debug)]
pub struct TrustAnchors {
    /// The keys that sign WITs of this trust domain.
    pub keys: Arc<KeySet>,
    /// If not empty, `iss` must be one of these wherever it is present.
    pub issuers: Arc<[String]>,
}

/// Where the anchors of a trust domain are found, keyed by the identifier's own namespace, so that
/// the keys of one trust domain never verify a token of another.
pub trait WitAnchors {
    /// The anchors for this identifier's scheme and trust domain.
    fn anchors(&self, identifier: &WorkloadIdentifier) -> Option<TrustAnchors>;
}

impl<T: WitAnchors + ?Sized> WitAnchors for &T {
    fn anchors(&self, identifier: &WorkloadIdentifier) -> Option<TrustAnchors> {
        (**self).anchors(identifier)
    }
}

/// Keyed by origin: `wimse://example.com`, `spiffe://example.com`.
impl WitAnchors for BTreeMap<String, TrustAnchors> {
    fn anchors(&self, identifier: &WorkloadIdentifier) -> Option<TrustAnchors> {
        self.get(identifier.origin()).cloned()
    }
}

/// Verifies WITs. Immutable; threads share it.
#[derive(Clone, Debug)]
pub struct WitVerifier {
    validator: Validator,
    limits: Limits,
    max_ahead: u64,
}

const MAX_WIT: usize = 8 * 1024;
const MAX_AHEAD: u64 = 24 * 60 * 60;

impl WitVerifier {
    /// ES256, ES384 and Ed25519; 60 seconds of leeway; `exp` at most 24 hours ahead; 8 KiB.
    #[must_use]
    pub fn new() -> Self {
        let limits = Limits::new(MAX_WIT, MAX_WIT).unwrap_or_default();
        let validator = Validator::new(
            Type::OneOf(&[WIT_TYPE]),
            Issuer::NotApplicable {
                reason: "anchors are chosen by the trust domain of `sub`",
            },
            Audience::NotApplicable {
                reason: "a WIT identifies its holder to everyone",
            },
        )
        .with_algorithms(Algorithms::ELLIPTIC)
        .with_confirmation(ConfirmationRule::Required)
        .with_informational_iat()
        .with_required_claim("sub")
        .with_limits(limits, json::Limits::CLAIMS);
        Self {
            validator,
            limits,
            max_ahead: MAX_AHEAD,
        }
    }

    /// Other algorithms for the signature of the WIT.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.validator = self.validator.with_algorithms(algorithms);
        self
    }

    /// Another tolerated difference of clocks.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above 300 seconds.
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, Error> {
        self.validator = self
            .validator
            .with_leeway(leeway)
            .map_err(|_| Error::InvalidOption {
                option: "leeway",
                range: "0 to 300 seconds",
            })?;
        Ok(self)
    }

    /// How far ahead `exp` may lie.
    #[must_use]
    pub fn with_max_lifetime(mut self, ahead: Duration) -> Self {
        self.max_ahead = ahead.as_secs();
        self
    }

    /// Verifies a WIT. What it yields identifies nobody until a proof was checked.
    ///
    /// # Errors
    ///
    /// [`Error`], in the order of section 5.1.4: structure, subject and trust domain, type,
    /// signature, times, confirmation key. A subject that is a trust domain alone is an [`Error::Identifier`].
    pub fn verify(
        &self,
        wit: &str,
        anchors: &(impl WitAnchors + ?Sized),
        now: UnixTime,
    ) -> Result<UnprovenWit, Error> {
        let unverified = self.read(wit)?;
        let identifier = unverified.identifier()?;
        let anchors = anchors
            .anchors(&identifier)
            .ok_or(Error::UnknownTrustDomain)?;
        let verified = unverified.verify_as(identifier, &anchors.keys, now)?;
        if verified.jwt().issuer().is_some_and(|iss| {
            !anchors.issuers.is_empty() && !anchors.issuers.iter().any(|one| one == iss)
        }) {
            return Err(Error::UnknownIssuer);
        }
        Ok(verified)
    }

    /// Reads a WIT, for those who choose its keys by other means than [`WitAnchors`], such as a SPIFFE bundle.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] for anything but a token of at most 8 KiB with the type of a WIT and a strict claims set;
    /// [`Error::Compressed`].
    pub fn read<'v, 'w>(&'v self, wit: &'w str) -> Result<UnverifiedWit<'v, 'w>, Error> {
        let jws =
            UnverifiedJws::parse_with(wit, &Default::default(), &self.limits).map_err(refused)?;
        let header = jws.unverified_header();
        if header.has_others() && header.members().map_err(refused)?.contains_key("zip") {
            return Err(Error::Compressed { token: Token::Wit });
        }
        Ok(UnverifiedWit {
            verifier: self,
            jwt: self.validator.read(jws).map_err(refused)?,
            wit,
        })
    }
}

const fn refused(source: JoseError) -> Error {
    Error::Token {
        token: Token::Wit,
        source,
    }
}

/// A WIT that a [`WitVerifier`] has read and not verified: anybody can write one.
pub struct UnverifiedWit<'v, 'w> {
    verifier: &'v WitVerifier,
    jwt: UnverifiedJwt<'v, 'w>,
    wit: &'w str,
}

impl UnverifiedWit<'_, '_> {
    /// The header.
    #[must_use]
    pub fn unverified_header(&self) -> Header<'_> {
        self.jwt.unverified_header()
    }

    /// `sub`: whom it claims to name.
    #[must_use]
    pub fn unverified_subject(&self) -> Option<&str> {
        self.jwt.unverified_subject()
    }

    fn identifier(&self) -> Result<WorkloadIdentifier, Error> {
        let subject = self
            .unverified_subject()
            .ok_or(refused(JoseError::MissingClaim { claim: "sub" }))?;
        WorkloadIdentifier::parse(subject)
    }

    /// As [`WitVerifier::verify`], with the keys of the trust domain of its subject, and nothing about `iss`.
    ///
    /// # Errors
    ///
    /// [`Error`], as [`WitVerifier::verify`].
    pub fn verify(self, keys: &KeySet, now: UnixTime) -> Result<UnprovenWit, Error> {
        let identifier = self.identifier()?;
        self.verify_as(identifier, keys, now)
    }

    /// As [`verify`](Self::verify), where the caller has parsed the subject by the stricter rules of its scheme, such as
    /// those of a SPIFFE ID.
    ///
    /// # Errors
    ///
    /// [`Error`], as [`verify`](Self::verify), and [`Error::Token`] when the subject is not `identifier`.
    pub fn verify_named(
        self,
        identifier: WorkloadIdentifier,
        keys: &KeySet,
        now: UnixTime,
    ) -> Result<UnprovenWit, Error> {
        if self.unverified_subject() != Some(identifier.as_str()) {
            return Err(refused(JoseError::ClaimType { claim: "sub" }));
        }
        self.verify_as(identifier, keys, now)
    }

    /// What a proof for it has to fit: a key with its algorithm, and the hash of the token.
    fn proof(
        &self,
        provider: &CryptoProvider,
    ) -> Result<(VerifyingKey, Algorithm, [u8; 32]), Error> {
        let jwk = self
            .jwt
            .unverified_confirmation()
            .and_then(|cnf| cnf.jwk.clone())
            .ok_or(Error::ConfirmationKey)?;
        let algorithm = jwk.algorithm().ok_or(Error::ConfirmationKey)?;
        let key = VerifyingKey::from_jwk(provider, jwk).map_err(refused)?;
        key.prepare().map_err(refused)?;
        Ok((key, algorithm, provider.sha256(self.wit.as_bytes())))
    }

    fn verify_as(
        self,
        identifier: WorkloadIdentifier,
        keys: &KeySet,
        now: UnixTime,
    ) -> Result<UnprovenWit, Error> {
        identifier.check_workload()?;
        // The proof's signature follows upon this one: whatever can be done without either is done before both.
        let found = Found(one_key(keys, &self.unverified_header()));
        let key = found.0.as_ref().ok().and_then(|found| found.iter().next());
        let proof = key.map(|key| self.proof(key.provider()));
        let jwt = self.jwt.validate(&found, now).map_err(refused)?;
        let max_ahead = self.verifier.max_ahead;
        if jwt
            .expires()
            .is_some_and(|exp| exp > now.as_secs().saturating_add(max_ahead))
        {
            return Err(Error::LivesTooLong {
                token: Token::Wit,
                limit: max_ahead,
            });
        }
        let (proof_key, proof_algorithm, hash) =
            proof.unwrap_or(Err(refused(JoseError::UnknownKey)))?;
        Ok(UnprovenWit(Arc::new(Verified {
            identifier,
            jwt,
            proof_key,
            proof_algorithm,
            hash,
        })))
    }
}

impl Default for WitVerifier {
    fn default() -> Self {
        Self::new()
    }
}

/// Without `kid`, exactly one key has to fit: no trying.
fn one_key<'k>(keys: &'k KeySet, header: &Header<'_>) -> Result<Candidates<'k>, JoseError> {
    let candidates = keys.candidates(header)?;
    if candidates.iter().count() > 1 {
        Err(JoseError::AmbiguousKey)
    } else {
        Ok(candidates)
    }
}

/// What [`one_key`] said.
struct Found<'a>(Result<Candidates<'a>, JoseError>);

impl KeySource for Found<'_> {
    fn candidates<'k>(&'k self, _: &Header<'_>) -> Result<Candidates<'k>, JoseError> {
        self.0.clone()
    }
}

/// A WIT that was verified, presented by somebody who has not yet proven to be its holder. Cloning shares it.
#[derive(Clone)]
pub struct UnprovenWit(Arc<Verified>);

struct Verified {
    identifier: WorkloadIdentifier,
    jwt: Jwt,
    proof_key: VerifyingKey,
    proof_algorithm: Algorithm,
    hash: [u8; 32],
}

impl UnprovenWit {
    /// Whom the WIT names. Whoever presents it may be somebody else.
    #[must_use]
    pub fn unproven_identifier(&self) -> &WorkloadIdentifier {
        &self.0.identifier
    }

    /// The key with which the holder proves to be it.
    #[must_use]
    pub fn proof_key(&self) -> &VerifyingKey {
        &self.0.proof_key
    }

    /// The one algorithm that a proof has to use (`cnf.jwk.alg`).
    #[must_use]
    pub fn proof_algorithm(&self) -> Algorithm {
        self.0.proof_algorithm
    }

    /// SHA-256 of the WIT as it was received.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.0.hash
    }

    /// The verified token.
    #[must_use]
    pub fn jwt(&self) -> &Jwt {
        &self.0.jwt
    }
}

/// Without the token.
impl fmt::Debug for UnverifiedWit<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedWit")
            .field("unverified_subject", &self.unverified_subject())
            .finish_non_exhaustive()
    }
}

/// Without the token.
impl fmt::Debug for UnprovenWit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnprovenWit")
            .field("unproven_identifier", self.unproven_identifier())
            .field("jti", &self.jwt().id())
            .finish_non_exhaustive()
    }
}
