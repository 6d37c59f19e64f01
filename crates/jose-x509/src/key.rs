//! Keys that verify: prepared once, cheap to share, chosen by `kid` and algorithm.

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::{Arc, OnceLock};

use crate::algorithm::{Algorithm, Algorithms, KeyKind};
use crate::error::{Error, KeyProblem};
use crate::jwk::{self, Jwk, JwkSet, PublicKey, SetLimits, SkippedKey};
use crate::jws::Header;
use crate::provider::{CryptoProvider, PreparedKey};

pub mod cache;

/// How many keys are tried for a token without `kid`.
pub const MAX_CANDIDATES: usize = 4;

/// A public key for one algorithm and one provider. Cloning shares it.
///
/// It is valid from the beginning; the provider parses it once, when it is first used.
#[derive(Clone)]
pub struct VerifyingKey {
    batch: Arc<Batch>,
    at: usize,
}

struct Batch {
    provider: CryptoProvider,
    keys: Keys,
}

/// The keys that were read together lie together, where they were read to, so that a whole set takes few allocations
/// and little memory at once.
enum Keys {
    One(Jwk, Verifier),
    Several(Vec<Jwk>, Vec<Verifier>),
}

/// What a key is used for.
struct Verifier {
    algorithm: Algorithm,
    prepared: OnceLock<Result<Box<dyn PreparedKey>, KeyProblem>>,
}

impl Verifier {
    fn of(jwk: &Jwk) -> Self {
        Self {
            algorithm: algorithm_of(jwk),
            prepared: OnceLock::new(),
        }
    }
}

/// The one algorithm that a key is used for.
fn algorithm_of(jwk: &Jwk) -> Algorithm {
    let usual = || match jwk.key().kind() {
        KeyKind::P256 => Algorithm::Es256,
        KeyKind::P384 => Algorithm::Es384,
        KeyKind::P521 => Algorithm::Es512,
        KeyKind::Ed25519 => Algorithm::Ed25519,
        KeyKind::Rsa => Algorithm::Rs256,
    };
    jwk.algorithm().unwrap_or_else(usual)
}

/// Whether a key can verify.
fn check(provider: &CryptoProvider, jwk: &Jwk) -> Result<(), KeyProblem> {
    if !jwk.may_verify() || jwk.key_use() == Some("enc") {
        return Err(KeyProblem::Inconsistent);
    }
    let certificate = jwk.certificates().first();
    if let (Some(expected), Some(certificate)) = (jwk.certificate_thumbprint(), certificate) {
        if provider.sha256(certificate) != *expected {
            return Err(KeyProblem::Inconsistent);
        }
    }
    if provider.verification.supports(algorithm_of(jwk)) {
        Ok(())
    } else {
        Err(KeyProblem::Unsupported)
    }
}

impl Batch {
    fn one(provider: &CryptoProvider, jwk: Jwk) -> Arc<Self> {
        let verifier = Verifier::of(&jwk);
        Arc::new(Self {
            provider: *provider,
            keys: Keys::One(jwk, verifier),
        })
    }

    fn several(provider: &CryptoProvider, jwks: Vec<Jwk>) -> Arc<Self> {
        let verifiers = jwks.iter().map(Verifier::of).collect();
        Arc::new(Self {
            provider: *provider,
            keys: Keys::Several(jwks, verifiers),
        })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the position is one of a key that was checked in this batch"
    )]
    fn key(&self, at: usize) -> (&Jwk, &Verifier) {
        match &self.keys {
            Keys::One(jwk, verifier) => (jwk, verifier),
            Keys::Several(jwks, verifiers) => (&jwks[at], &verifiers[at]),
        }
    }
}

impl VerifyingKey {
    /// Prepares a JWK.
    ///
    /// The algorithm follows from the key: its curve, or its `alg`. An RSA key without `alg` is
    /// used for RS256 alone, as issuers that leave `alg` out mean it; say otherwise with
    /// [`Jwk::with_algorithm`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`], for example for a point that is not on its curve or for `key_ops`
    /// without `verify`.
    pub fn from_jwk(provider: &CryptoProvider, jwk: Jwk) -> Result<Self, Error> {
        check(provider, &jwk)?;
        Ok(Self {
            batch: Batch::one(provider, jwk),
            at: 0,
        })
    }

    /// Prepares several JWKs at once, with a few allocations for all of them. The results have the order of the keys,
    /// and each fails as [`from_jwk`](Self::from_jwk) does. Those that fail take memory as long as one of the others is
    /// there.
    pub fn from_jwks(
        provider: &CryptoProvider,
        jwks: Vec<Jwk>,
    ) -> impl ExactSizeIterator<Item = Result<Self, Error>> + use<> {
        let (provider, count) = (*provider, jwks.len());
        let batch = Batch::several(&provider, jwks);
        (0..count).map(move |at| {
            check(&provider, batch.key(at).0)?;
            Ok(Self {
                batch: Arc::clone(&batch),
                at,
            })
        })
    }

    /// Keys that were checked.
    fn of_checked(provider: &CryptoProvider, jwks: Vec<Jwk>) -> Vec<Self> {
        let count = jwks.len();
        let batch = Batch::several(provider, jwks);
        let keys = (0..count).map(|at| Self {
            batch: Arc::clone(&batch),
            at,
        });
        keys.collect()
    }

    fn key(&self) -> (&Jwk, &Verifier) {
        self.batch.key(self.at)
    }

    /// Prepares a bare public key.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_public_key(provider: &CryptoProvider, key: PublicKey) -> Result<Self, Error> {
        Self::from_jwk(provider, Jwk::new(key))
    }

    /// Prepares a DER `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_spki_der(provider: &CryptoProvider, der: &[u8]) -> Result<Self, Error> {
        Self::from_public_key(provider, PublicKey::from_spki_der(der)?)
    }

    /// Verifies a signature over `message`; the algorithm has to be one of this key.
    ///
    /// # Errors
    ///
    /// [`Error::AlgorithmMismatch`] before any cryptography, [`Error::InvalidSignature`] after it;
    /// [`Error::InvalidKey`] when the provider cannot read the key.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        if !self.fits(algorithm) {
            return Err(Error::AlgorithmMismatch { algorithm });
        }
        if algorithm
            .signature_len()
            .is_some_and(|len| len != signature.len())
        {
            return Err(Error::InvalidSignature);
        }
        self.prepared()?.verify(message, signature)
    }

    /// Lets the provider parse the key now, so that the first verification does not have to.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] when the provider cannot read the key.
    pub fn prepare(&self) -> Result<(), Error> {
        self.prepared().map(|_| ())
    }

    fn prepared(&self) -> Result<&dyn PreparedKey, Error> {
        let (jwk, verifier) = self.key();
        let prepared = verifier.prepared.get_or_init(|| {
            let key = jwk.key().material();
            let verification = self.provider().verification;
            verification.prepare(verifier.algorithm, key)
        });
        match prepared {
            Ok(prepared) => Ok(prepared.as_ref()),
            Err(problem) => Err((*problem).into()),
        }
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        algorithm.is_same_operation(self.key().1.algorithm)
    }

    /// The names under which this key's one algorithm is known.
    #[must_use]
    pub fn algorithms(&self) -> Algorithms {
        Algorithm::ALL
            .into_iter()
            .filter(|algorithm| self.fits(*algorithm))
            .fold(Algorithms::of(&[]), |all, one| {
                all.union(Algorithms::of(&[one]))
            })
    }

    /// `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.jwk().kid()
    }

    /// The key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        self.key().0
    }

    /// The SHA-256 thumbprint (RFC 7638): 32 bytes.
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        self.jwk().thumbprint(self.provider())
    }

    /// The provider that prepared the key.
    #[must_use]
    pub fn provider(&self) -> &CryptoProvider {
        &self.batch.provider
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifyingKey")
            .field(self.jwk())
            .field(&self.key().1.algorithm)
            .finish()
    }
}

/// Where a validator finds the key of a token: one key, a set, or the caller's own lookup.
///
/// A source holds the keys of exactly one issuer or trust domain.
pub trait KeySource {
    /// The keys that may have signed a token with this header, at most [`MAX_CANDIDATES`].
    ///
    /// # Errors
    ///
    /// [`Error::UnknownKey`] when none fits, [`Error::AlgorithmMismatch`] when the only one with the
    /// right `kid` is of another algorithm, [`Error::AmbiguousKey`] when too many fit.
    fn candidates<'k>(&'k self, header: &Header<'_>) -> Result<Candidates<'k>, Error>;
}

/// A few keys to try.
#[derive(Clone, Copy, Debug, Default)]
pub struct Candidates<'k> {
    keys: [Option<&'k VerifyingKey>; MAX_CANDIDATES],
}

impl<'k> Candidates<'k> {
    /// A single key.
    #[must_use]
    pub fn one(key: &'k VerifyingKey) -> Self {
        Self {
            keys: [Some(key), None, None, None],
        }
    }

    fn push(&mut self, key: &'k VerifyingKey) -> Result<(), Error> {
        let slot = self
            .keys
            .iter_mut()
            .find(|slot| slot.is_none())
            .ok_or(Error::AmbiguousKey)?;
        *slot = Some(key);
        Ok(())
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &'k VerifyingKey> + '_ {
        self.keys.iter().flatten().copied()
    }
}

impl KeySource for VerifyingKey {
    fn candidates<'k>(&'k self, header: &Header<'_>) -> Result<Candidates<'k>, Error> {
        if let (Some(wanted), Some(kid)) = (header.kid(), self.kid()) {
            if wanted != kid {
                return Err(Error::UnknownKey);
            }
        }
        if !self.fits(header.algorithm()) {
            return Err(Error::AlgorithmMismatch {
                algorithm: header.algorithm(),
            });
        }
        Ok(Candidates::one(self))
    }
}

impl<T: KeySource + ?Sized> KeySource for &T {
    fn candidates<'k>(&'k self, header: &Header<'_>) -> Result<Candidates<'k>, Error> {
        (**self).candidates(header)
    }
}

impl<T: KeySource + ?Sized> KeySource for Arc<T> {
    fn candidates<'k>(&'k self, header: &Header<'_>) -> Result<Candidates<'k>, Error> {
        (**self).candidates(header)
    }
}

/// The verification keys of one issuer or trust domain: an immutable snapshot.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    /// Hash of `kid` and position of each key that has one, sorted; for a set that is not [`FEW`].
    by_kid: Vec<(u64, usize)>,
    skipped: Vec<SkippedKey>,
}

impl KeySet {
    /// A set of prepared keys.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateKid`].
    pub fn new(keys: Vec<VerifyingKey>) -> Result<Self, Error> {
        if keys.len() <= FEW {
            let mut others = keys.as_slice();
            while let Some((key, rest)) = others.split_first() {
                let kid = key.kid();
                if kid.is_some() && rest.iter().any(|other| other.kid() == kid) {
                    return Err(Error::DuplicateKid);
                }
                others = rest;
            }
            return Ok(Self {
                keys,
                ..Self::default()
            });
        }
        let mut by_kid = Vec::with_capacity(keys.len());
        by_kid.extend(
            keys.iter()
                .enumerate()
                .filter_map(|(position, key)| Some((hash(key.kid()?), position))),
        );
        by_kid.sort_unstable();
        let kid = |position: usize| keys.get(position).and_then(VerifyingKey::kid);
        // Names that differ can have one hash, but by accident only.
        let repeated = by_kid.chunk_by(|a, b| a.0 == b.0).any(|same| {
            let names = || same.iter().map(|(_, position)| kid(*position));
            same.len() > 1
                && names()
                    .enumerate()
                    .any(|(i, a)| names().skip(i + 1).any(|b| a == b))
        });
        if repeated {
            return Err(Error::DuplicateKid);
        }
        Ok(Self {
            keys,
            by_kid,
            skipped: Vec::new(),
        })
    }

    /// Prepares the keys of a set whose `use` is `sig` or absent. Entries that cannot be used are
    /// skipped and counted.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateKid`].
    pub fn from_jwks(provider: &CryptoProvider, set: &JwkSet) -> Result<Self, Error> {
        Self::from_jwks_with_use(provider, set, is_for_signatures)
    }

    /// As [`KeySet::from_jwks`], for the keys whose `use` the caller accepts, such as `jwt-svid`.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateKid`].
    pub fn from_jwks_with_use(
        provider: &CryptoProvider,
        set: &JwkSet,
        accepts: impl Fn(Option<&str>) -> bool,
    ) -> Result<Self, Error> {
        let mut keys = Vec::new();
        let mut skipped = set.skipped().to_vec();
        for (index, jwk) in set
            .keys()
            .iter()
            .enumerate()
            .filter(|(_, jwk)| accepts(jwk.key_use()))
        {
            match check(provider, jwk) {
                Ok(()) => keys.push(jwk.clone()),
                Err(reason) => skipped.push(SkippedKey { index, reason }),
            }
        }
        Ok(Self {
            skipped,
            ..Self::new(VerifyingKey::of_checked(provider, keys))?
        })
    }

    /// Reads a JWK Set and prepares its signature keys.
    ///
    /// # Errors
    ///
    /// As [`JwkSet::from_slice`].
    pub fn from_jwks_slice(provider: &CryptoProvider, bytes: &[u8]) -> Result<Self, Error> {
        Self::from_jwks_slice_with(provider, bytes, &SetLimits::default())
    }

    /// As [`KeySet::from_jwks_slice`], with other limits.
    ///
    /// # Errors
    ///
    /// As [`JwkSet::from_slice`].
    pub fn from_jwks_slice_with(
        provider: &CryptoProvider,
        bytes: &[u8],
        limits: &SetLimits,
    ) -> Result<Self, Error> {
        let (keys, skipped) = jwk::read_set(bytes, limits, |keys, jwk| {
            if is_for_signatures(jwk.key_use()) {
                check(provider, &jwk)?;
                keys.push(jwk);
            }
            Ok(())
        })?;
        Ok(Self {
            skipped,
            ..Self::new(VerifyingKey::of_checked(provider, keys))?
        })
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// What was skipped.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// The key with this `kid`.
    #[must_use]
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.get(self.position(kid)?)
    }

    /// The position of the first key with this `kid`.
    fn position(&self, kid: &str) -> Option<usize> {
        if self.keys.len() <= FEW {
            return self.keys.iter().position(|key| key.kid() == Some(kid));
        }
        let hash = hash(kid);
        let from = self.by_kid.partition_point(|(other, _)| *other < hash);
        self.by_kid
            .iter()
            .skip(from)
            .take_while(|(other, _)| *other == hash)
            .map(|(_, position)| *position)
            .find(|position| {
                let key = self.keys.get(*position);
                key.and_then(VerifyingKey::kid) == Some(kid)
            })
    }
}

/// So many keys are looked through faster than looked up.
const FEW: usize = 8;

fn is_for_signatures(key_use: Option<&str>) -> bool {
    key_use.is_none_or(|key_use| key_use == "sig")
}

/// Spreads the names of a trusted set; that someone could find two with the same hash does not matter.
fn hash(kid: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(kid.as_bytes());
    hasher.finish()
}

impl KeySource for KeySet {
    fn candidates<'k>(&'k self, header: &Header<'_>) -> Result<Candidates<'k>, Error> {
        let algorithm = header.algorithm();
        if let Some(kid) = header.kid() {
            let key = self.get(kid).ok_or(Error::UnknownKey)?;
            return if key.fits(algorithm) {
                Ok(Candidates::one(key))
            } else {
                Err(Error::AlgorithmMismatch { algorithm })
            };
        }
        let mut candidates = Candidates::default();
        for key in self.keys.iter().filter(|key| key.fits(algorithm)) {
            candidates.push(key)?;
        }
        if candidates.iter().next().is_none() {
            return Err(Error::UnknownKey);
        }
        Ok(candidates)
    }
}
