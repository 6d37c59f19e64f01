//! The kind and strength of a certificate's key (RFC 5280, section 4.1.2.7; RFC 3279, 5480, 8410).

use der::Decode as _;
use der::asn1::{AnyRef, ObjectIdentifier};
use pkcs1::RsaPublicKeyRef;
use spki::SubjectPublicKeyInfoRef;

use super::asn1::Result;
use super::error::{CertificateProblem, Field};
use crate::jwk::{Curve, spki as oid};

const MALFORMED: CertificateProblem = CertificateProblem::Malformed {
    field: Field::SubjectPublicKeyInfo,
};

/// The kind of a certificate's public key. Other kinds make a certificate unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateKey {
    /// RSA of 2048 to 8192 bits, with an odd exponent from 65537 to 2^33 - 1.
    Rsa {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// An uncompressed point of NIST P-256.
    P256,
    /// An uncompressed point of NIST P-384.
    P384,
    /// An uncompressed point of NIST P-521.
    P521,
    /// Ed25519.
    Ed25519,
}

/// What stands before the coordinates of a point of P-256 in a `SubjectPublicKeyInfo`.
const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// Reads a `SubjectPublicKeyInfo`.
pub(super) fn parse(spki: &[u8]) -> Result<CertificateKey> {
    // Most keys of workloads are of this kind, and can be told by their first octets.
    if let Some(point) = spki.strip_prefix(P256_PREFIX) {
        if point.len() == 64 {
            return Ok(CertificateKey::P256);
        }
    }
    let spki = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| MALFORMED)?;
    let key = spki
        .subject_public_key
        .as_bytes()
        .ok_or(CertificateProblem::InvalidKey)?;
    let parameters = spki.algorithm.parameters;
    match spki.algorithm.oid {
        oid::RSA if parameters.is_some_and(AnyRef::is_null) => rsa(key),
        oid::EC => parameters
            .and_then(|curve| curve.decode_as().ok())
            .ok_or(CertificateProblem::KeyParameters)
            .and_then(|curve| ec(curve, key)),
        oid::ED25519 if parameters.is_none() && key.len() == 32 => Ok(CertificateKey::Ed25519),
        oid::ED25519 if parameters.is_none() => Err(CertificateProblem::InvalidKey),
        oid::RSA | oid::ED25519 => Err(CertificateProblem::KeyParameters),
        _ => Err(CertificateProblem::UnsupportedKey),
    }
}

fn rsa(key: &[u8]) -> Result<CertificateKey> {
    let key = RsaPublicKeyRef::from_der(key).map_err(|_| CertificateProblem::InvalidKey)?;
    let (modulus, exponent) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
    let bits = match modulus.first() {
        Some(first) if modulus.len() <= 1024 => {
            modulus.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0)
        }
        _ => return Err(CertificateProblem::WeakKey),
    };
    let exponent = match exponent.len() {
        0..=8 => exponent
            .iter()
            .fold(0u64, |value, byte| (value << 8) | u64::from(*byte)),
        _ => return Err(CertificateProblem::WeakKey),
    };
    let odd = modulus.last().is_some_and(|last| last & 1 == 1) && exponent & 1 == 1;
    if odd && (2048..=8192).contains(&bits) && (65_537..1 << 33).contains(&exponent) {
        Ok(CertificateKey::Rsa { bits })
    } else {
        Err(CertificateProblem::WeakKey)
    }
}

fn ec(curve: ObjectIdentifier, point: &[u8]) -> Result<CertificateKey> {
    let (kind, length) = match Curve::from_oid(curve) {
        Some(Curve::P256) => (CertificateKey::P256, 65),
        Some(Curve::P384) => (CertificateKey::P384, 97),
        Some(Curve::P521) => (CertificateKey::P521, 133),
        None => return Err(CertificateProblem::UnsupportedKey),
    };
    // That the point lies on the curve is found out by whoever uses the key.
    if point.len() == length && point.first() == Some(&0x04) {
        Ok(kind)
    } else {
        Err(CertificateProblem::InvalidKey)
    }
}
