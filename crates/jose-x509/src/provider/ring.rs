//! The `ring` backend, not FIPS validated. ES512, which `ring` lacks, comes from RustCrypto; RSA keys
//! are not generated.

use std::sync::Arc;

use arrayvec::ArrayVec;
use ring::rand::SecureRandom as _;
use ring::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use ring::{digest, rand};
use zeroize::Zeroizing;

use super::{
    CryptoProvider, PreparedKey, PrivateKey, SecureRandom, Sha256, Signing, Verification, p521,
};
use crate::algorithm::Algorithm;
use crate::error::{Error, KeyProblem};
use crate::jwk::{Curve, KeyMaterial, PublicKey};
use crate::sign::Signature;

/// The provider over `ring`.
#[must_use]
pub const fn provider() -> CryptoProvider {
    CryptoProvider::new("ring", &Ring, &Ring, &Ring, &Ring, CERTIFICATE_ALGORITHMS)
}

const CERTIFICATE_ALGORITHMS: &[&dyn pki_types::SignatureVerificationAlgorithm] = &[
    webpki::ring::ECDSA_P256_SHA256,
    webpki::ring::ECDSA_P256_SHA384,
    webpki::ring::ECDSA_P384_SHA256,
    webpki::ring::ECDSA_P384_SHA384,
    webpki::ring::ED25519,
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
    webpki::ring::RSA_PKCS1_2048_8192_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA512,
    webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    webpki::ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    webpki::ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

struct Ring;

impl Sha256 for Ring {
    fn digest(&self, data: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        let digest = digest::digest(&digest::SHA256, data);
        for (to, from) in out.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        out
    }
}

impl SecureRandom for Ring {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        rand::SystemRandom::new()
            .fill(out)
            .map_err(|_| Error::RandomFailed)
    }
}

impl Verification for Ring {
    fn supports(&self, _: Algorithm) -> bool {
        true
    }

    fn prepare(
        &self,
        algorithm: Algorithm,
        key: KeyMaterial<'_>,
    ) -> Result<Box<dyn PreparedKey>, KeyProblem> {
        use Algorithm as A;
        let point = |algorithm: &'static dyn VerificationAlgorithm, point: &[u8]| {
            let point = ArrayVec::try_from(point).map_err(|_| KeyProblem::InvalidPoint)?;
            Ok::<_, KeyProblem>(Box::new(Point(UnparsedPublicKey::new(algorithm, point))))
        };
        Ok(match (algorithm, key) {
            (
                A::Es256,
                KeyMaterial::Ec {
                    curve: Curve::P256,
                    point: p,
                },
            ) => point(&signature::ECDSA_P256_SHA256_FIXED, p)?,
            (
                A::Es384,
                KeyMaterial::Ec {
                    curve: Curve::P384,
                    point: p,
                },
            ) => point(&signature::ECDSA_P384_SHA384_FIXED, p)?,
            (
                A::Es512,
                KeyMaterial::Ec {
                    curve: Curve::P521,
                    point,
                },
            ) => Box::new(p521::Verifier::new(point)?),
            (A::Ed25519 | A::EdDsa, KeyMaterial::Ed25519(p)) => point(&signature::ED25519, p)?,
            (_, KeyMaterial::Rsa { n, e }) => Box::new(Rsa {
                parameters: rsa_parameters(algorithm).ok_or(KeyProblem::Inconsistent)?,
                key: RsaPublicKeyComponents {
                    n: n.into(),
                    e: e.into(),
                },
            }),
            _ => return Err(KeyProblem::Inconsistent),
        })
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// A point of P-256, P-384 or Ed25519.
struct Point(UnparsedPublicKey<ArrayVec<u8, 97>>);

impl PreparedKey for Point {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.0
            .verify(message, signature)
            .map_err(|_| Error::InvalidSignature)
    }
}

struct Rsa {
    parameters: &'static RsaParameters,
    key: RsaPublicKeyComponents<Box<[u8]>>,
}

impl PreparedKey for Rsa {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.key
            .verify(self.parameters, message, signature)
            .map_err(|_| Error::InvalidSignature)
    }
}

impl Signing for Ring {
    fn load_pkcs8(&self, algorithm: Algorithm, der: &[u8]) -> Result<Arc<dyn PrivateKey>, Error> {
        let refused = |_| Error::InvalidKey {
            problem: KeyProblem::Malformed,
        };
        if let Some((curve, ecdsa)) = ecdsa(algorithm) {
            let pair = EcdsaKeyPair::from_pkcs8(ecdsa, der, &rand::SystemRandom::new())
                .map_err(refused)?;
            let public = PublicKey::from_sec1_point(curve, pair.public_key().as_ref())?;
            return Ok(Arc::new(EcdsaKey { pair, public }));
        }
        if let Some(encoding) = rsa_encoding(algorithm) {
            let pair = RsaKeyPair::from_pkcs8(der).map_err(refused)?;
            let RsaPublicKeyComponents { n, e } =
                RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
            let public = PublicKey::from_rsa(&n, &e)?;
            return Ok(Arc::new(RsaKey {
                pair,
                public,
                encoding,
            }));
        }
        if algorithm == Algorithm::Es512 {
            return Ok(Arc::new(p521::Signer::from_pkcs8(der)?));
        }
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(refused)?;
        let public = PublicKey::from_ed25519(pair.public_key().as_ref())?;
        Ok(Arc::new(Ed25519Key { pair, public }))
    }

    fn generate_pkcs8(&self, algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, Error> {
        let random = rand::SystemRandom::new();
        let document = match (algorithm, ecdsa(algorithm)) {
            (_, Some((_, ecdsa))) => EcdsaKeyPair::generate_pkcs8(ecdsa, &random),
            (Algorithm::Es512, _) => return p521::generate_pkcs8(self),
            (Algorithm::Ed25519 | Algorithm::EdDsa, _) => Ed25519KeyPair::generate_pkcs8(&random),
            _ => {
                return Err(Error::InvalidKey {
                    problem: KeyProblem::Unsupported,
                });
            }
        };
        document
            .map(|document| Zeroizing::new(document.as_ref().to_vec()))
            .map_err(|_| Error::RandomFailed)
    }
}

fn ecdsa(algorithm: Algorithm) -> Option<(Curve, &'static EcdsaSigningAlgorithm)> {
    match algorithm {
        Algorithm::Es256 => Some((Curve::P256, &signature::ECDSA_P256_SHA256_FIXED_SIGNING)),
        Algorithm::Es384 => Some((Curve::P384, &signature::ECDSA_P384_SHA384_FIXED_SIGNING)),
        _ => None,
    }
}

fn rsa_encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

struct EcdsaKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl PrivateKey for EcdsaKey {
    fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        self.pair
            .sign(&rand::SystemRandom::new(), message)
            .map(|signature| Signature::from_slice(signature.as_ref()))
            .map_err(|_| Error::SigningFailed)
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

struct Ed25519Key {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl PrivateKey for Ed25519Key {
    fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        Ok(Signature::from_slice(self.pair.sign(message).as_ref()))
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

struct RsaKey {
    pair: RsaKeyPair,
    public: PublicKey,
    encoding: &'static dyn RsaEncoding,
}

impl PrivateKey for RsaKey {
    fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(
                self.encoding,
                &rand::SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| Error::SigningFailed)?;
        Ok(signature.into())
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}
