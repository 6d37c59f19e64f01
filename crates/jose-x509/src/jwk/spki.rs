//! `SubjectPublicKeyInfo` in and out (RFC 5280 section 4.1.2.7, RFC 5480, RFC 8410).

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Reader, SliceReader};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::{Curve, KeyMaterial, PublicKey};
use crate::error::{Error, KeyProblem};

pub(crate) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
pub(crate) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

impl Curve {
    /// The curve's name in certificates and keys (RFC 5480 section 2.1.1.1).
    pub(crate) const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::P256 => P256,
            Self::P384 => P384,
            Self::P521 => P521,
        }
    }

    pub(crate) fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.oid() == oid)
    }
}

const MALFORMED: Error = Error::InvalidKey {
    problem: KeyProblem::Malformed,
};
const UNSUPPORTED: Error = Error::InvalidKey {
    problem: KeyProblem::Unsupported,
};

impl PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo`: named curves only, nothing behind it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        if der.len() > MAX_SPKI {
            return Err(MALFORMED);
        }
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| MALFORMED)?;
        let key = spki.subject_public_key.as_bytes().ok_or(MALFORMED)?;
        let parameters = spki.algorithm.parameters;
        match spki.algorithm.oid {
            EC => {
                let curve: ObjectIdentifier = parameters
                    .and_then(|any| any.decode_as().ok())
                    .ok_or(UNSUPPORTED)?;
                Self::from_sec1_point(Curve::from_oid(curve).ok_or(UNSUPPORTED)?, key)
            }
            ED25519 if parameters.is_none() => Self::from_ed25519(key),
            RSA if parameters.is_some_and(AnyRef::is_null) => {
                let (n, e) = rsa_public_key(key).map_err(|_| MALFORMED)?;
                Self::from_rsa(n.as_bytes(), e.as_bytes())
            }
            ED25519 | RSA => Err(MALFORMED),
            _ => Err(UNSUPPORTED),
        }
    }

    /// Reads a PEM `PUBLIC KEY`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`], also for every other label.
    pub fn from_spki_pem(pem: &str) -> Result<Self, Error> {
        Self::from_spki_der(&crate::pem::decode_one(pem, "PUBLIC KEY")?)
    }

    /// Writes a DER `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`]; not for keys that this crate made or accepted.
    pub fn to_spki_der(&self) -> Result<Vec<u8>, Error> {
        self.encode_spki().map_err(|_| MALFORMED)
    }

    /// Writes a PEM `PUBLIC KEY`.
    ///
    /// # Errors
    ///
    /// As [`PublicKey::to_spki_der`].
    pub fn to_spki_pem(&self) -> Result<String, Error> {
        crate::pem::encode("PUBLIC KEY", &self.to_spki_der()?)
    }

    fn encode_spki(&self) -> der::Result<Vec<u8>> {
        let (rsa, curve_oid);
        let (oid, parameters, key) = match self.material() {
            KeyMaterial::Ec { curve, point } => {
                curve_oid = curve.oid();
                (EC, Some(AnyRef::from(&curve_oid)), point)
            }
            KeyMaterial::Ed25519(point) => (ED25519, None, point.as_slice()),
            KeyMaterial::Rsa { n, e } => {
                let mut body = UintRef::new(n)?.to_der()?;
                body.extend(UintRef::new(e)?.to_der()?);
                rsa = AnyRef::new(der::Tag::Sequence, &body)?.to_der()?;
                (RSA, Some(AnyRef::NULL), rsa.as_slice())
            }
        };
        let spki = SubjectPublicKeyInfoRef {
            algorithm: AlgorithmIdentifierRef { oid, parameters },
            subject_public_key: BitStringRef::from_bytes(key)?,
        };
        spki.to_der()
    }
}

/// Above any key that [`PublicKey::from_rsa`] accepts.
const MAX_SPKI: usize = 2048;

fn rsa_public_key(der: &[u8]) -> der::Result<(UintRef<'_>, UintRef<'_>)> {
    let mut reader = SliceReader::new(der)?;
    let key = reader.sequence(|reader| {
        Ok::<_, der::Error>((UintRef::decode(reader)?, UintRef::decode(reader)?))
    })?;
    reader.finish()?;
    Ok(key)
}
