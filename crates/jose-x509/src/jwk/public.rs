//! A public key, in the one form that has one thumbprint.

use std::fmt;

use crate::algorithm::KeyKind;
use crate::error::{Error, KeyProblem};

/// A named elliptic curve for ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

impl Curve {
    /// `crv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    /// The length of a coordinate in bytes.
    #[must_use]
    pub const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    /// The kind of key on this curve.
    #[must_use]
    pub const fn key_kind(self) -> KeyKind {
        match self {
            Self::P256 => KeyKind::P256,
            Self::P384 => KeyKind::P384,
        }
    }
}

/// A public key whose encoding is canonical and whose size is acceptable.
///
/// Whether an EC point is on its curve is checked by the provider that prepares the key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    /// Uncompressed SEC1 point: 0x04, x, y.
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
    /// [`Error::InvalidKey`] for any other length.
    pub fn from_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, Error> {
        let len = curve.coordinate_len();
        for (name, coordinate) in [("x", x), ("y", y)] {
            if coordinate.len() != len {
                return Err(Error::InvalidKey {
                    problem: KeyProblem::Member(name),
                });
            }
        }
        Ok(Self(Form::Ec(curve, [&[4], x, y].concat().into())))
    }

    /// An EC key from an uncompressed SEC1 point.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] for compressed points and wrong lengths.
    pub fn from_sec1_point(curve: Curve, point: &[u8]) -> Result<Self, Error> {
        match point.split_first() {
            Some((4, rest)) if rest.len() == 2 * curve.coordinate_len() => {
                Ok(Self(Form::Ec(curve, point.into())))
            }
            _ => Err(Error::InvalidKey {
                problem: KeyProblem::InvalidPoint,
            }),
        }
    }

    /// An Ed25519 key from its 32 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] for a wrong length, a non-canonical encoding or a point of small order.
    pub fn from_ed25519(bytes: &[u8]) -> Result<Self, Error> {
        let point: [u8; 32] = bytes.try_into().map_err(|_| Error::InvalidKey {
            problem: KeyProblem::Member("x"),
        })?;
        if !is_canonical_y(&point) || SMALL_ORDER_Y.iter().any(|y| same_y(y, &point)) {
            return Err(Error::InvalidKey {
                problem: KeyProblem::InvalidPoint,
            });
        }
        Ok(Self(Form::Ed25519(point)))
    }

    /// An RSA key from big-endian integers without leading zeros.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] for a leading zero, a modulus outside 2048 to 8192 bits or even, and an
    /// exponent that is even, below 65537, or of 2^33 and more.
    pub fn from_rsa(n: &[u8], e: &[u8]) -> Result<Self, Error> {
        let problem = |problem| Err(Error::InvalidKey { problem });
        let (Some(first), Some(last)) = (n.first(), n.last()) else {
            return problem(KeyProblem::Member("n"));
        };
        if *first == 0 {
            return problem(KeyProblem::Member("n"));
        }
        if e.first().is_none_or(|first| *first == 0) {
            return problem(KeyProblem::Member("e"));
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
        {
            return problem(KeyProblem::WeakRsa);
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
            Form::Ec(curve, point) => KeyMaterial::Ec {
                curve: *curve,
                point,
            },
            Form::Ed25519(point) => KeyMaterial::Ed25519(point),
            Form::Rsa { n, e } => KeyMaterial::Rsa { n, e },
        }
    }

    /// The coordinates of an EC key.
    #[must_use]
    pub fn coordinates(&self) -> Option<(&[u8], &[u8])> {
        match &self.0 {
            Form::Ec(curve, point) => point.get(1..)?.split_at_checked(curve.coordinate_len()),
            _ => None,
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
