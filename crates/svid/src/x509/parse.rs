//! From bytes to a chain and a private key whose form is that of an X509-SVID, and which nobody vouches for.

use std::fmt;

use der::asn1::AnyRef;
use der::{Reader, SliceReader};
use jose_x509::x509::{
    Certificate, CertificateKey, CertificateProblem, MAX_CERTIFICATE_SIZE, X509Error,
};
use jose_x509::{Algorithm, CryptoProvider, KeyProblem, SigningKey};
use pkcs8::PrivateKeyInfoRef;
use pki_types::{CertificateDer, UnixTime};
use spiffe_id::SpiffeId;
use spki::ObjectIdentifier;
use zeroize::Zeroizing;

use super::encode::refused;
use super::holder::X509Svid;
use super::text;
use super::verify::id_in;
use crate::error::{Credential, Error};

/// Most certificates in a chain.
pub(super) const MAX_CHAIN: usize = 8;

/// A chain and a private key as a Workload API, a file or a secret store delivers them.
///
/// Certificates and key were parsed, the leaf has a SPIFFE ID and nothing of a CA, the others are signing
/// certificates, and the key is of the leaf's kind. No signature, no time and no trust was looked at, nor
/// whether the key is the leaf's: that is for [`load`](Self::load).
pub struct UnverifiedX509Svid {
    spiffe_id: SpiffeId,
    chain: Vec<CertificateDer<'static>>,
    key: Zeroizing<Vec<u8>>,
    algorithm: Algorithm,
    not_after: UnixTime,
}

impl UnverifiedX509Svid {
    /// Reads certificates in DER, one right behind the other with the leaf first, and a private key in PKCS#8.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyChain`]; [`Error::X509`] for a malformed certificate, for more than 8, and for one that
    /// cannot stand at its place; [`Error::NoUriName`], [`Error::SeveralUriNames`], [`Error::SpiffeId`],
    /// [`Error::NoPath`]; [`Error::Token`] for a malformed key and one of another kind than the leaf's.
    pub fn parse_der(chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        Self::parse(split(chain)?, key)
    }

    /// As [`parse_der`](Self::parse_der), for certificates that are apart.
    ///
    /// # Errors
    ///
    /// As [`parse_der`](Self::parse_der).
    pub fn parse(chain: Vec<CertificateDer<'static>>, key: &[u8]) -> Result<Self, Error> {
        let leaf = chain.first().ok_or(Error::EmptyChain)?;
        if chain.len() > MAX_CHAIN {
            return Err(Error::X509(X509Error::TooManyCertificates {
                limit: MAX_CHAIN,
            }));
        }
        let parsed = Certificate::parse(leaf).map_err(Error::X509)?;
        let spiffe_id = id_in(&parsed)?;
        check_leaf(&parsed).map_err(|problem| at(0, problem))?;
        let algorithm = algorithm_of(&parsed)?;
        let not_after = parsed.not_after();
        for (index, der) in chain.iter().enumerate().skip(1) {
            let parsed = Certificate::parse(der).map_err(|error| match error {
                X509Error::Certificate { problem, .. } => at(index, problem),
                other => Error::X509(other),
            })?;
            check_signing(&parsed).map_err(|problem| at(index, problem))?;
        }
        check_key(key, parsed.key())?;
        Ok(Self {
            spiffe_id,
            chain,
            key: Zeroizing::new(key.to_vec()),
            algorithm,
            not_after,
        })
    }

    /// Reads text with `CERTIFICATE` blocks and text with one `PRIVATE KEY` block. Lines of explanatory text outside of
    /// the blocks (RFC 7468, section 2) are skipped, other blocks are not.
    ///
    /// # Errors
    ///
    /// As [`parse_der`](Self::parse_der).
    pub fn parse_pem(certificates: &str, key: &str) -> Result<Self, Error> {
        let chain = text::certificates(certificates)?;
        let key = text::blocks(key);
        if key.len() > MAX_KEY_PEM {
            return Err(malformed_key());
        }
        match der::pem::decode_vec(key.trim_ascii().as_bytes()) {
            Ok(("PRIVATE KEY", der)) => Self::parse(chain, &Zeroizing::new(der)),
            _ => Err(malformed_key()),
        }
    }

    /// Loads the private key and makes sure that it is the leaf's.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] for a key that the provider refuses; [`Error::KeyMismatch`].
    pub fn load(self, provider: &CryptoProvider) -> Result<X509Svid, Error> {
        let key =
            SigningKey::from_pkcs8_der(provider, self.algorithm, &self.key).map_err(refused)?;
        X509Svid::join(self.spiffe_id, self.chain, key, self.not_after)
    }

    /// Whom the leaf names.
    #[must_use]
    pub const fn unverified_spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The chain, the leaf first.
    #[must_use]
    pub fn unverified_chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The last second in which the leaf says to be valid.
    #[must_use]
    pub const fn unverified_not_after(&self) -> UnixTime {
        self.not_after
    }
}

/// Without the key.
impl fmt::Debug for UnverifiedX509Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedX509Svid")
            .field("unverified_spiffe_id", &self.spiffe_id)
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

pub(super) fn at(index: usize, problem: CertificateProblem) -> Error {
    Error::X509(X509Error::Certificate { index, problem })
}

fn check_leaf(leaf: &Certificate<'_>) -> Result<(), CertificateProblem> {
    if leaf.is_ca() {
        return Err(CertificateProblem::CaUsedAsLeaf);
    }
    match leaf.key_usage() {
        Some(usage) if usage.key_cert_sign() || usage.crl_sign() => {
            Err(CertificateProblem::LeafWithCaKeyUsage)
        }
        _ => Ok(()),
    }
}

pub(super) fn check_signing(parsed: &Certificate<'_>) -> Result<(), CertificateProblem> {
    if !parsed.is_ca() {
        return Err(CertificateProblem::NotCa);
    }
    match parsed.key_usage() {
        Some(usage) if !usage.key_cert_sign() => Err(CertificateProblem::KeyCertSignMissing),
        _ => Ok(()),
    }
}

/// The certificates that stand one right behind the other.
pub(super) fn split(chain: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    if chain.is_empty() {
        return Err(Error::EmptyChain);
    }
    if chain.len() > MAX_CHAIN.saturating_mul(MAX_CERTIFICATE_SIZE) {
        return Err(Error::X509(X509Error::ChainTooLarge {
            limit: MAX_CHAIN.saturating_mul(MAX_CERTIFICATE_SIZE),
        }));
    }
    let mut found = Vec::new();
    let mut rest = chain;
    while !rest.is_empty() {
        if found.len() == MAX_CHAIN {
            return Err(Error::X509(X509Error::TooManyCertificates {
                limit: MAX_CHAIN,
            }));
        }
        let malformed = |_| {
            at(
                found.len(),
                CertificateProblem::Malformed {
                    field: jose_x509::x509::Field::Certificate,
                },
            )
        };
        let mut reader = SliceReader::new(rest).map_err(malformed)?;
        let one = reader.tlv_bytes().map_err(malformed)?;
        rest = rest.get(one.len()..).unwrap_or_default();
        found.push(CertificateDer::from(one.to_vec()));
    }
    Ok(found)
}

pub(super) fn algorithm_of(leaf: &Certificate<'_>) -> Result<Algorithm, Error> {
    match leaf.key() {
        CertificateKey::P256 => Ok(Algorithm::Es256),
        CertificateKey::P384 => Ok(Algorithm::Es384),
        CertificateKey::P521 => Ok(Algorithm::Es512),
        CertificateKey::Ed25519 => Ok(Algorithm::Ed25519),
        CertificateKey::Rsa { .. } => Ok(Algorithm::Rs256),
        _ => Err(Error::SigningKey {
            credential: Credential::X509,
        }),
    }
}

/// A key in PKCS#8, and one of the kind of the certificate's.
fn check_key(key: &[u8], kind: CertificateKey) -> Result<(), Error> {
    if key.len() > MAX_KEY {
        return Err(malformed_key());
    }
    let info = PrivateKeyInfoRef::try_from(key).map_err(|_| malformed_key())?;
    let curve = |parameters: AnyRef<'_>| parameters.decode_as::<ObjectIdentifier>().ok();
    let curve = info.algorithm.parameters.and_then(curve);
    let fits = match kind {
        CertificateKey::P256 => info.algorithm.oid == EC && curve == Some(P256),
        CertificateKey::P384 => info.algorithm.oid == EC && curve == Some(P384),
        CertificateKey::P521 => info.algorithm.oid == EC && curve == Some(P521),
        CertificateKey::Ed25519 => info.algorithm.oid == ED25519,
        CertificateKey::Rsa { .. } => info.algorithm.oid == RSA,
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(Error::KeyMismatch),
    }
}

fn malformed_key() -> Error {
    refused(jose_x509::Error::InvalidKey {
        problem: KeyProblem::Malformed,
    })
}

/// Above any key that is accepted: RSA of 8192 bits.
const MAX_KEY: usize = 8 * 1024;
const MAX_KEY_PEM: usize = 16 * 1024;
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
