//! Private keys in and out: PKCS#8 (RFC 5208, RFC 5958), SEC 1 (RFC 5915), PKCS#1 (RFC 8017) and JWK
//! (RFC 7518 section 6). Everything becomes PKCS#8 version 1 with the public half of an EC key inside,
//! which every provider reads.

use der::asn1::{AnyRef, OctetStringRef, UintRef};
use der::{Decode, Encode};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use pkcs8::PrivateKeyInfoRef;
use sec1::{EcParameters, EcPrivateKey};
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::algorithm::{Algorithm, KeyKind};
use crate::error::{Error, KeyProblem};
use crate::jwk::{Curve, Jwk, PublicKey, spki as oid};

mod jwk;
pub(super) use jwk::{PrivateJwk, to_jwk};

const MALFORMED: Error = Error::InvalidKey {
    problem: KeyProblem::Malformed,
};
const UNSUPPORTED: Error = Error::InvalidKey {
    problem: KeyProblem::Unsupported,
};
const MISMATCH: Error = Error::InvalidKey {
    problem: KeyProblem::Mismatch,
};

/// Above any key that is accepted: RSA of 8192 bits.
const MAX_DER: usize = 8 * 1024;

/// The same key in the one form that this crate keeps.
pub(super) fn canonical_pkcs8(der: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let info = parse(der)?;
    match info.algorithm.oid {
        oid::EC => Ec::from_info(&info)?.to_pkcs8(),
        oid::ED25519 => encode(info.algorithm, info.private_key.as_bytes()),
        oid::RSA => {
            check_primes(info.private_key.as_bytes())?;
            encode(info.algorithm, info.private_key.as_bytes())
        }
        _ => Err(UNSUPPORTED),
    }
}

fn parse(der: &[u8]) -> Result<PrivateKeyInfoRef<'_>, Error> {
    if der.len() > MAX_DER {
        return Err(MALFORMED);
    }
    PrivateKeyInfoRef::from_der(der).map_err(|_| MALFORMED)
}

fn encode(algorithm: AlgorithmIdentifierRef<'_>, key: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let key = OctetStringRef::new(key).map_err(|_| MALFORMED)?;
    PrivateKeyInfoRef::new(algorithm, key)
        .to_der()
        .map(Zeroizing::new)
        .map_err(|_| MALFORMED)
}

/// Two primes only: what RFC 8017 calls version 0.
fn check_primes(pkcs1: &[u8]) -> Result<(), Error> {
    let key = pkcs1::RsaPrivateKeyRef::from_der(pkcs1).map_err(|_| MALFORMED)?;
    if key.other_prime_infos.is_some() {
        return Err(UNSUPPORTED);
    }
    Ok(())
}

/// An EC private key whose scalar is in range, with the public half that follows from it.
pub(crate) struct Ec {
    curve: Curve,
    scalar: Zeroizing<Vec<u8>>,
    /// Uncompressed SEC1 point.
    point: Vec<u8>,
}

impl Ec {
    /// From a scalar of exactly [`Curve::coordinate_len`] bytes.
    pub(crate) fn new(curve: Curve, scalar: &[u8]) -> Result<Self, Error> {
        if scalar.len() != curve.coordinate_len() {
            return Err(Error::InvalidKey {
                problem: KeyProblem::Member("d"),
            });
        }
        macro_rules! point {
            ($curve:ident) => {
                $curve::SecretKey::from_slice(scalar)
                    .map(|key| key.public_key().to_encoded_point(false).as_bytes().to_vec())
            };
        }
        let point = match curve {
            Curve::P256 => point!(p256),
            Curve::P384 => point!(p384),
            Curve::P521 => point!(p521),
        };
        Ok(Self {
            curve,
            scalar: Zeroizing::new(scalar.to_vec()),
            point: point.map_err(|_| MALFORMED)?,
        })
    }

    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        Self::from_info(&parse(der)?)
    }

    fn from_info(info: &PrivateKeyInfoRef<'_>) -> Result<Self, Error> {
        let curve = info
            .algorithm
            .parameters
            .filter(|_| info.algorithm.oid == oid::EC)
            .and_then(|any| any.decode_as().ok())
            .and_then(Curve::from_oid)
            .ok_or(UNSUPPORTED)?;
        Self::from_sec1(info.private_key.as_bytes(), Some(curve))
    }

    /// `curve` is what the text around it says; a bare key has to name its curve itself.
    pub(super) fn from_sec1(der: &[u8], curve: Option<Curve>) -> Result<Self, Error> {
        if der.len() > MAX_DER {
            return Err(MALFORMED);
        }
        let key = EcPrivateKey::from_der(der).map_err(|_| MALFORMED)?;
        let named = match key.parameters {
            None => None,
            Some(EcParameters::NamedCurve(oid)) => Some(Curve::from_oid(oid).ok_or(UNSUPPORTED)?),
        };
        let curve = match (curve, named) {
            (Some(curve), Some(named)) if curve != named => return Err(MISMATCH),
            (Some(curve), _) | (None, Some(curve)) => curve,
            (None, None) => return Err(UNSUPPORTED),
        };
        let ec = Self::new(curve, key.private_key)?;
        if key.public_key.is_some_and(|point| point != ec.point) {
            return Err(MISMATCH);
        }
        Ok(ec)
    }

    pub(super) fn curve(&self) -> Curve {
        self.curve
    }

    pub(crate) fn scalar(&self) -> &[u8] {
        &self.scalar
    }

    #[cfg(test)]
    pub(super) fn wiped_scalar(&self) -> &Zeroizing<Vec<u8>> {
        &self.scalar
    }

    #[cfg(feature = "ring")]
    pub(crate) fn public_key(&self) -> Result<PublicKey, Error> {
        PublicKey::from_sec1_point(self.curve, &self.point)
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let curve = self.curve.oid();
        let algorithm = AlgorithmIdentifierRef {
            oid: oid::EC,
            parameters: Some(AnyRef::from(&curve)),
        };
        encode(algorithm, &self.encode(None)?)
    }

    pub(super) fn to_sec1(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.encode(Some(EcParameters::NamedCurve(self.curve.oid())))
    }

    fn encode(&self, parameters: Option<EcParameters>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = EcPrivateKey {
            private_key: &self.scalar,
            parameters,
            public_key: Some(&self.point),
        };
        key.to_der().map(Zeroizing::new).map_err(|_| MALFORMED)
    }
}

/// The members of an RSA private key, big-endian.
struct Rsa<'k> {
    n: &'k [u8],
    e: &'k [u8],
    d: &'k [u8],
    p: &'k [u8],
    q: &'k [u8],
    dp: &'k [u8],
    dq: &'k [u8],
    qi: &'k [u8],
}

impl Rsa<'_> {
    fn to_pkcs8(&self) -> der::Result<Zeroizing<Vec<u8>>> {
        let key = pkcs1::RsaPrivateKeyRef {
            modulus: UintRef::new(self.n)?,
            public_exponent: UintRef::new(self.e)?,
            private_exponent: UintRef::new(self.d)?,
            prime1: UintRef::new(self.p)?,
            prime2: UintRef::new(self.q)?,
            exponent1: UintRef::new(self.dp)?,
            exponent2: UintRef::new(self.dq)?,
            coefficient: UintRef::new(self.qi)?,
            other_prime_infos: None,
        };
        let key = Zeroizing::new(key.to_der()?);
        let algorithm = AlgorithmIdentifierRef {
            oid: oid::RSA,
            parameters: Some(AnyRef::NULL),
        };
        PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&key)?)
            .to_der()
            .map(Zeroizing::new)
    }
}
