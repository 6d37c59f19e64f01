//! A public key, in the one form that has one thumbprint.

use std::fmt;

use super::equation;
use crate::algorithm::{Algorithm, KeyKind};
use crate::error::{Error, KeyProblem};

/// A named elliptic curve for ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

impl Curve {
    pub(crate) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// `crv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The length of a coordinate in bytes.
    #[must_use]
    pub const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The curve of a `crv`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.name() == name)
    }

    /// The one algorithm of keys on this curve.
    pub(crate) const fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::P521 => Algorithm::Es512,
        }
    }

    /// The kind of key on this curve.
    #[must_use]
    pub const fn key_kind(self) -> KeyKind {
        match self {
            Self::P256 => KeyKind::P256,
            Self::P384 => KeyKind::P384,
            Self::P521 => KeyKind::P521,
        }
    }
}

/// The length of an uncompressed point on P-256.
const P256_POINT: usize = 1 + 2 * Curve::P256.coordinate_len();

/// A valid public key: its encoding is canonical, its size acceptable, its point on the curve and not
/// of small order.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    /// Uncompressed SEC1 point: 0x04, x, y. In place, because almost all keys are of this kind.
    P256([u8; P256_POINT]),
    /// Such a point of a larger curve.
    Ec(Curve, Box<[u8]>),
    Ed25519([u8; 32]),
    Rsa {
        n: Box<[u8]>,
        e: Box<[u8]>,
    },
}

/// What a provider sees of a [`PublicKey`].
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum KeyMaterial<'a> {
    /// An uncompressed SEC1 point (0x04, x, y).
    Ec {
        /// The curve.
        curve: Curve,
        /// 1 + 2 * [`Curve::coordinate_len`] bytes.
        point: &'a [u8],
    },
    /// The 32 bytes of RFC 8032.
    Ed25519(&'a [u8; 32]),
    /// Big-endian integers without leading zeros.
    Rsa {
        /// The modulus.
        n: &'a [u8],
        /// The public exponent.
        e: &'a [u8],
    },
}

impl PublicKey {
    /// An EC key from coordinates of exactly [`Curve::coordinate_len`] bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] for any other length and for a point that is not on the curve.
    pub fn from_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, Error> {
        Self::of_coordinates(curve, x, y).map_err(Error::from)
    }

    pub(super) fn of_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, KeyProblem> {
        let len = curve.coordinate_len();
        for (name, coordinate) in [("x", x), ("y", y)] {
            if coordinate.len() != len {
                return Err(KeyProblem::Member(name));
            }
        }
        if !equation::holds(curve, x, y) {
            return Err(KeyProblem::InvalidPoint);
        }
        let mut p256 = [4; P256_POINT];
        let form = match (curve, p256.split_at_mut_checked(1 + x.len())) {
            (Curve::P256, Some(([_, first @ ..], second))) => {
                first.copy_from_slice(x);
                second.copy_from_slice(y);
                Form::P256(p256)
            }
            _ => Form::Ec(curve, [&[4], x, y].concat().into()),
        };
        Ok(Self(form))
    }

    /// An EC key from an uncompressed SEC1 point.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] for compressed points, wrong lengths and a point that is not on the curve.
    pub fn from_sec1_point(curve: Curve, point: &[u8]) -> Result<Self, Error> {
        let coordinates = match point.split_first() {
            Some((4, rest)) if rest.len() == 2 * curve.coordinate_len() => {
                rest.split_at_checked(curve.coordinate_len())
            }
            _ => None,
        };
        let (x, y) = coordinates.ok_or(KeyProblem::InvalidPoint)?;
        Self::of_coordinates(curve, x, y).map_err(Error::from)
    }

    /// An Ed25519 key from its 32 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] for a wrong length, a non-canonical encoding or a point of small order.
    pub fn from_ed25519(bytes: &[u8]) -> Result<Self, Error> {
        Self::of_ed25519(bytes).map_err(Error::from)
    }

    pub(super) fn of_ed25519(bytes: &[u8]) -> Result<Self, KeyProblem> {
        let point: [u8; 32] = bytes.try_into().map_err(|_| KeyProblem::Member("x"))?;
        if !is_canonical_y(&point) || SMALL_ORDER_Y.iter().any(|y| same_y(y, &point)) {
            return Err(KeyProblem::InvalidPoint);
        }
        Ok(Self(Form::Ed25519(point)))
    }

    /// An RSA key from big-endian integers without leading zeros.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] for a leading zero, a modulus outside 2048 to 8192 bits, even, or known to be
    /// factorable (ROCA), and an exponent that is even, below 65537, or of 2^33 and more.
    pub fn from_rsa(n: &[u8], e: &[u8]) -> Result<Self, Error> {
        Self::of_rsa(n, e).map_err(Error::from)
    }

    pub(super) fn of_rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyProblem> {
        let (Some(first), Some(last)) = (n.first(), n.last()) else {
            return Err(KeyProblem::Member("n"));
        };
        if *first == 0 {
            return Err(KeyProblem::Member("n"));
        }
        if e.first().is_none_or(|first| *first == 0) {
            return Err(KeyProblem::Member("e"));
        }
        let bits = n
            .len()
            .saturating_mul(8)
            .saturating_sub(usize::try_from(first.leading_zeros()).unwrap_or(8));
        let exponent = match e.len() {
            0..=5 => e
                .iter()
                .fold(0_u64, |value, byte| (value << 8) | u64::from(*byte)),
            _ => u64::MAX,
        };
        if !(2048..=8192).contains(&bits)
            || last % 2 == 0
            || exponent % 2 == 0
            || !(65537..1 << 33).contains(&exponent)
            || super::roca::has_structure(n)
        {
            return Err(KeyProblem::WeakRsa);
        }
        Ok(Self(Form::Rsa {
            n: n.into(),
            e: e.into(),
        }))
    }

    /// The key for a provider.
    #[must_use]
    pub fn material(&self) -> KeyMaterial<'_> {
        match &self.0 {
            Form::P256(point) => KeyMaterial::Ec {
                curve: Curve::P256,
                point,
            },
            Form::Ec(curve, point) => KeyMaterial::Ec {
                curve: *curve,
                point,
            },
            Form::Ed25519(point) => KeyMaterial::Ed25519(point),
            Form::Rsa { n, e } => KeyMaterial::Rsa { n, e },
        }
    }

    /// The curve of an EC key.
    #[must_use]
    pub fn curve(&self) -> Option<Curve> {
        match &self.0 {
            Form::P256(_) => Some(Curve::P256),
            Form::Ec(curve, _) => Some(*curve),
            Form::Ed25519(_) | Form::Rsa { .. } => None,
        }
    }

    /// The coordinates of an EC key.
    #[must_use]
    pub fn coordinates(&self) -> Option<(&[u8], &[u8])> {
        match self.material() {
            KeyMaterial::Ec { curve, point } => {
                point.get(1..)?.split_at_checked(curve.coordinate_len())
            }
            KeyMaterial::Ed25519(_) | KeyMaterial::Rsa { .. } => None,
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.kind()).finish()
    }
}

/// The y coordinates of the points of order 1, 2, 4 and 8 (RFC 7748 section 6.1, RFC 8032): a
/// signature under one of them can hold for any message. The sign bit does not matter.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    // y = 0, order 4
    [0; 32],
    // y = 1, the identity
    little_endian(1),
    // y = p - 1, order 2
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    // Order 8, both pairs
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

const fn little_endian(value: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = value;
    bytes
}

fn same_y(y: &[u8; 32], point: &[u8; 32]) -> bool {
    let mut bare = *point;
    if let Some(last) = bare.last_mut() {
        *last &= 0x7f;
    }
    bare == *y
}

/// Whether y (without the sign bit) is below p = 2^255 - 19.
fn is_canonical_y(point: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = point;
    !(*first >= 0xed && middle.iter().all(|byte| *byte == 0xff) && last & 0x7f == 0x7f)
}
