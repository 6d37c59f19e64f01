//! Keys that verify: prepared once, cheap to share, chosen by `kid` and algorithm.

use std::fmt;
use std::sync::Arc;

use crate::algorithm::{Algorithm, Algorithms};
use crate::error::{Error, KeyProblem};
use crate::jwk::{Jwk, JwkSet, PublicKey, SkippedKey};
use crate::jws::Header;
use crate::provider::{CryptoProvider, PreparedKey};

/// How many keys are tried for a token without `kid`.
pub const MAX_CANDIDATES: usize = 4;

/// A public key, prepared for verification by one provider. Cloning shares it.
#[derive(Clone)]
pub struct VerifyingKey(Arc<Inner>);

struct Inner {
    jwk: Jwk,
    algorithms: Algorithms,
    provider: CryptoProvider,
    prepared: Arc<dyn PreparedKey>,
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
        if !jwk.may_verify() || jwk.key_use() == Some("enc") {
            return Err(Error::InvalidKey {
                problem: KeyProblem::Inconsistent,
            });
        }
        let of_kind = |algorithm: &Algorithm| algorithm.key_kind() == jwk.key().kind();
        let first = jwk.algorithm().or_else(|| {
            // RS256 stands first among the RSA rows.
            Algorithm::ALL.into_iter().find(of_kind)
        });
        let first = first.ok_or(Error::InvalidKey {
            problem: KeyProblem::Unsupported,
        })?;
        let same = Algorithm::ALL
            .into_iter()
            .filter(|other| other.is_same_operation(first));
        let algorithms = same.fold(Algorithms::of(&[]), |all, one| {
            all.union(Algorithms::of(&[one]))
        });
        let prepared = provider.verification.prepare(jwk.key().material())?;
        Ok(Self(Arc::new(Inner {
            jwk,
            algorithms,
            provider: *provider,
            prepared,
        })))
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
    /// [`Error::AlgorithmMismatch`] before any cryptography, [`Error::InvalidSignature`] after it.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        if !self.0.algorithms.contains(algorithm) {
            return Err(Error::AlgorithmMismatch { algorithm });
        }
        if algorithm
            .signature_len()
            .is_some_and(|len| len != signature.len())
        {
            return Err(Error::InvalidSignature);
        }
        self.0.prepared.verify(algorithm, message, signature)
    }

    /// The names under which this key's one algorithm is known.
    #[must_use]
    pub fn algorithms(&self) -> Algorithms {
        self.0.algorithms
    }

    /// `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.0.jwk.kid()
    }

    /// The key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.0.jwk
    }

    /// The SHA-256 thumbprint (RFC 7638): 32 bytes.
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        self.0.jwk.thumbprint(&self.0.provider)
    }

    /// The provider that prepared the key.
    #[must_use]
    pub fn provider(&self) -> &CryptoProvider {
        &self.0.provider
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifyingKey")
            .field(&self.0.jwk)
            .field(&self.0.algorithms)
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
#[derive(Debug, Default)]
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
        if !self.algorithms().contains(header.algorithm()) {
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
    /// Positions of the keys with a `kid`, sorted by it.
    by_kid: Vec<usize>,
    skipped: Vec<SkippedKey>,
}

impl KeySet {
    /// A set of prepared keys.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateKid`].
    pub fn new(keys: Vec<VerifyingKey>) -> Result<Self, Error> {
        let mut by_kid: Vec<usize> = (0..keys.len())
            .filter(|i| kid_at(&keys, *i).is_some())
            .collect();
        by_kid.sort_unstable_by_key(|i| kid_at(&keys, *i));
        let repeated = by_kid.windows(2).any(|pair| match pair {
            [a, b] => kid_at(&keys, *a) == kid_at(&keys, *b),
            _ => false,
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
        Self::from_jwks_with_use(provider, set, |key_use| {
            key_use.is_none_or(|key_use| key_use == "sig")
        })
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
            match VerifyingKey::from_jwk(provider, jwk.clone()) {
                Ok(key) => keys.push(key),
                Err(Error::InvalidKey { problem }) => skipped.push(SkippedKey {
                    index,
                    reason: problem,
                }),
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            skipped,
            ..Self::new(keys)?
        })
    }

    /// Reads a JWK Set and prepares its signature keys.
    ///
    /// # Errors
    ///
    /// As [`JwkSet::from_slice`].
    pub fn from_jwks_slice(provider: &CryptoProvider, bytes: &[u8]) -> Result<Self, Error> {
        Self::from_jwks(provider, &JwkSet::from_slice(bytes)?)
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
        let found = self
            .by_kid
            .binary_search_by(|i| kid_at(&self.keys, *i).cmp(&Some(kid)))
            .ok()?;
        self.keys.get(*self.by_kid.get(found)?)
    }
}

fn kid_at(keys: &[VerifyingKey], index: usize) -> Option<&str> {
    keys.get(index).and_then(VerifyingKey::kid)
}

impl KeySource for KeySet {
    fn candidates<'k>(&'k self, header: &Header<'_>) -> Result<Candidates<'k>, Error> {
        let algorithm = header.algorithm();
        if let Some(kid) = header.kid() {
            let key = self.get(kid).ok_or(Error::UnknownKey)?;
            return if key.algorithms().contains(algorithm) {
                Ok(Candidates::one(key))
            } else {
                Err(Error::AlgorithmMismatch { algorithm })
            };
        }
        let mut candidates = Candidates::default();
        for key in self
            .keys
            .iter()
            .filter(|key| key.algorithms().contains(algorithm))
        {
            candidates.push(key)?;
        }
        if candidates.iter().next().is_none() {
            return Err(Error::UnknownKey);
        }
        Ok(candidates)
    }
}
