//! The signature algorithms, as rows of one table.

use core::fmt;

/// An asymmetric JWS signature algorithm (RFC 7518 section 3.1, RFC 8037, RFC 9864).
///
/// `none` and the HMAC family are not members, so no check can forget to refuse them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519 under its fully specified name (RFC 9864).
    Ed25519,
    /// Ed25519 under the older, polymorphic name (RFC 8037).
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
}

/// The kind of key that an algorithm needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// An elliptic curve key on P-256.
    P256,
    /// An elliptic curve key on P-384.
    P384,
    /// An elliptic curve key on P-521.
    P521,
    /// An Ed25519 key.
    Ed25519,
    /// An RSA key.
    Rsa,
}

struct Row {
    algorithm: Algorithm,
    name: &'static str,
    key: KeyKind,
    /// Length in bytes where it does not depend on the key.
    signature_len: Option<usize>,
}

const TABLE: [Row; 11] = {
    use Algorithm as A;
    use KeyKind as K;
    const fn row(algorithm: A, name: &'static str, key: K, signature_len: Option<usize>) -> Row {
        Row {
            algorithm,
            name,
            key,
            signature_len,
        }
    }
    [
        row(A::Es256, "ES256", K::P256, Some(64)),
        row(A::Es384, "ES384", K::P384, Some(96)),
        row(A::Es512, "ES512", K::P521, Some(132)),
        row(A::Ed25519, "Ed25519", K::Ed25519, Some(64)),
        row(A::EdDsa, "EdDSA", K::Ed25519, Some(64)),
        row(A::Rs256, "RS256", K::Rsa, None),
        row(A::Rs384, "RS384", K::Rsa, None),
        row(A::Rs512, "RS512", K::Rsa, None),
        row(A::Ps256, "PS256", K::Rsa, None),
        row(A::Ps384, "PS384", K::Rsa, None),
        row(A::Ps512, "PS512", K::Rsa, None),
    ]
};

impl Algorithm {
    /// Every algorithm, preferred ones first.
    pub const ALL: [Self; 11] = [
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Ed25519,
        Self::EdDsa,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    fn row(self) -> &'static Row {
        let [first, rest @ ..] = &TABLE;
        rest.iter()
            .find(|row| row.algorithm == self)
            .unwrap_or(first)
    }

    /// The registered name, as `alg` spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The algorithm of a registered name, compared byte for byte.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.name == name)
            .map(|row| row.algorithm)
    }

    /// The kind of key it needs.
    #[must_use]
    pub fn key_kind(self) -> KeyKind {
        self.row().key
    }

    /// The signature's length in bytes; `None` for RSA, where it is the modulus length.
    #[must_use]
    pub fn signature_len(self) -> Option<usize> {
        self.row().signature_len
    }

    /// Whether both names mean the same operation: `EdDSA` and `Ed25519` on an Ed25519 key.
    #[must_use]
    pub fn is_same_operation(self, other: Self) -> bool {
        self == other
            || (self.key_kind() == KeyKind::Ed25519 && other.key_kind() == KeyKind::Ed25519)
    }

    const fn bit(self) -> u16 {
        1 << (self as u16)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of algorithms: the caller's allow list.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Algorithms(u16);

impl Algorithms {
    /// Every algorithm of this crate.
    pub const ALL: Self = Self::of(&Algorithm::ALL);

    /// The elliptic curve algorithms: ES256, ES384, ES512 and Ed25519 under both names.
    pub const ELLIPTIC: Self = Self::of(&[
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::Ed25519,
        Algorithm::EdDsa,
    ]);

    /// The set of the given algorithms.
    #[must_use]
    pub const fn of(algorithms: &[Algorithm]) -> Self {
        let mut bits = 0;
        let mut rest = algorithms;
        while let [first, tail @ ..] = rest {
            bits |= first.bit();
            rest = tail;
        }
        Self(bits)
    }

    /// Whether the set has `algorithm`, under exactly this name.
    #[must_use]
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & algorithm.bit() != 0
    }

    /// What both sets have.
    #[must_use]
    pub const fn intersect(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What either set has.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, preferred ones first.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL
            .into_iter()
            .filter(move |algorithm| self.contains(*algorithm))
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: JWKA-7518.3.1-1, JWKA-7518.3.6-1, JWKA-9864.2.1-1, JWS-A1, JWS-A28
    #[test]
    fn names_are_exact_and_the_unsafe_ones_do_not_exist() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
            assert!(Algorithms::ALL.contains(algorithm));
        }
        for name in [
            "none", "None", "NONE", "nOnE", "none\0", "none ", "HS256", "HS384", "HS512", "es256",
            "ES256 ", "xES256", "ES256K", "ESP256", "Ed448", "RS1", "",
        ] {
            assert_eq!(Algorithm::from_name(name), None, "{name:?}");
        }
    }

    /// Covers: JWKA-9864.4.4-2
    #[test]
    fn the_deprecated_name_is_listed_after_the_fully_specified_one() {
        let listed: Vec<_> = Algorithms::ELLIPTIC.iter().map(Algorithm::name).collect();
        assert_eq!(listed, ["ES256", "ES384", "ES512", "Ed25519", "EdDSA"]);
    }
}
