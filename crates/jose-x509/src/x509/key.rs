//! The kind and strength of a certificate's key (RFC 5280, section 4.1.2.7; RFC 3279, 5480, 8410).

use super::asn1::{Input, Result, Tag, octets, positive};
use super::error::{CertificateProblem, Field};

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

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

/// What stands before the coordinates of a point of P-256 in a `SubjectPublicKeyInfo`, without its header.
const P256_PREFIX: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// Reads the content of a `SubjectPublicKeyInfo`.
pub(super) fn parse(spki: &[u8]) -> Result<CertificateKey> {
    // Most keys of workloads are of this kind, and can be told by their first octets.
    if let Some(point) = spki.strip_prefix(P256_PREFIX) {
        if point.len() == 64 {
            return Ok(CertificateKey::P256);
        }
    }
    let mut input = Input::part(spki, Field::SubjectPublicKeyInfo);
    let mut algorithm = input.nested(Tag::SEQUENCE)?;
    let key = input.value(Tag::BIT_STRING)?;
    input.finish()?;
    let key = octets(key).ok_or(CertificateProblem::InvalidKey)?;

    let oid = algorithm.value(Tag::OBJECT_IDENTIFIER)?;
    let parameters = if algorithm.is_empty() {
        None
    } else {
        Some(algorithm.next()?)
    };
    algorithm.finish()?;

    match oid {
        RSA_ENCRYPTION => match parameters {
            Some(null) if null.tag == Tag::NULL => rsa(key),
            _ => Err(CertificateProblem::KeyParameters),
        },
        EC_PUBLIC_KEY => match parameters {
            Some(curve) if curve.tag == Tag::OBJECT_IDENTIFIER => ec(curve.value, key),
            _ => Err(CertificateProblem::KeyParameters),
        },
        ED25519 if parameters.is_some() => Err(CertificateProblem::KeyParameters),
        ED25519 if key.len() == 32 => Ok(CertificateKey::Ed25519),
        ED25519 => Err(CertificateProblem::InvalidKey),
        _ => Err(CertificateProblem::UnsupportedKey),
    }
}

fn rsa(key: &[u8]) -> Result<CertificateKey> {
    let mut outer = Input::new(key, Field::SubjectPublicKeyInfo);
    let mut input = outer.nested(Tag::SEQUENCE)?;
    outer.finish()?;
    let modulus = input.value(Tag::INTEGER)?;
    let exponent = input.value(Tag::INTEGER)?;
    input.finish()?;

    let modulus = positive(modulus).ok_or(CertificateProblem::InvalidKey)?;
    let exponent = positive(exponent).ok_or(CertificateProblem::InvalidKey)?;
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

fn ec(curve: &[u8], point: &[u8]) -> Result<CertificateKey> {
    let (kind, length) = match curve {
        P256 => (CertificateKey::P256, 65),
        P384 => (CertificateKey::P384, 97),
        P521 => (CertificateKey::P521, 133),
        _ => return Err(CertificateProblem::UnsupportedKey),
    };
    // That the point lies on the curve is found out by whoever uses the key.
    if point.len() == length && point.first() == Some(&0x04) {
        Ok(kind)
    } else {
        Err(CertificateProblem::InvalidKey)
    }
}
