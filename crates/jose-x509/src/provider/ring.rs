//! The `ring` backend: every algorithm of [`Algorithm`], not FIPS validated.

use std::sync::Arc;

use ring::rand::SecureRandom as _;
use ring::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use ring::{agreement, digest, rand};
use zeroize::Zeroizing;

use super::{CryptoProvider, PreparedKey, PrivateKey, SecureRandom, Sha256, Signing, Verification};
use crate::algorithm::{Algorithm, KeyKind};
use crate::error::{Error, KeyProblem};
use crate::jwk::{Curve, KeyMaterial, PublicKey};

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
    fn prepare(&self, key: KeyMaterial<'_>) -> Result<Arc<dyn PreparedKey>, Error> {
        Ok(match key {
            KeyMaterial::Ec { curve, point } => {
                check_on_curve(curve, point)?;
                let algorithm: &dyn VerificationAlgorithm = match curve {
                    Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED,
                    Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED,
                };
                Arc::new(Fixed {
                    kind: curve.key_kind(),
                    key: UnparsedPublicKey::new(algorithm, point.into()),
                })
            }
            KeyMaterial::Ed25519(point) => Arc::new(Fixed {
                kind: KeyKind::Ed25519,
                key: UnparsedPublicKey::new(&signature::ED25519, point.as_slice().into()),
            }),
            KeyMaterial::Rsa { n, e } => Arc::new(Rsa(RsaPublicKeyComponents {
                n: n.into(),
                e: e.into(),
            })),
        })
    }
}

/// `ring` offers no check of a point alone; the first step of a key agreement with it is that check.
fn check_on_curve(curve: Curve, point: &[u8]) -> Result<(), Error> {
    let algorithm = match curve {
        Curve::P256 => &agreement::ECDH_P256,
        Curve::P384 => &agreement::ECDH_P384,
    };
    let ephemeral = agreement::EphemeralPrivateKey::generate(algorithm, &rand::SystemRandom::new())
        .map_err(|_| Error::RandomFailed)?;
    agreement::agree_ephemeral(
        ephemeral,
        &agreement::UnparsedPublicKey::new(algorithm, point),
        |_| (),
    )
    .map_err(|_| Error::InvalidKey {
        problem: KeyProblem::InvalidPoint,
    })
}

/// A key whose kind fixes the algorithm.
struct Fixed {
    kind: KeyKind,
    key: UnparsedPublicKey<Box<[u8]>>,
}

impl PreparedKey for Fixed {
    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        if algorithm.key_kind() != self.kind {
            return Err(Error::InvalidSignature);
        }
        self.key
            .verify(message, signature)
            .map_err(|_| Error::InvalidSignature)
    }
}

struct Rsa(RsaPublicKeyComponents<Box<[u8]>>);

impl PreparedKey for Rsa {
    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let parameters: &RsaParameters = match algorithm {
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            _ => return Err(Error::InvalidSignature),
        };
        self.0
            .verify(parameters, message, signature)
            .map_err(|_| Error::InvalidSignature)
    }
}

impl Signing for Ring {
    fn load_pkcs8(&self, algorithm: Algorithm, der: &[u8]) -> Result<Arc<dyn PrivateKey>, Error> {
        let refused = |_| Error::InvalidKey {
            problem: KeyProblem::Malformed,
        };
        let random = rand::SystemRandom::new();
        Ok(
            match (algorithm.key_kind(), ecdsa(algorithm), rsa(algorithm)) {
                (KeyKind::P256 | KeyKind::P384, Some((curve, ecdsa)), _) => {
                    let pair = EcdsaKeyPair::from_pkcs8(ecdsa, der, &random).map_err(refused)?;
                    let public = PublicKey::from_sec1_point(curve, pair.public_key().as_ref())?;
                    Arc::new(EcdsaKey { pair, public })
                }
                (KeyKind::Ed25519, ..) => {
                    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(refused)?;
                    let public = PublicKey::from_ed25519(pair.public_key().as_ref())?;
                    Arc::new(Ed25519Key { pair, public })
                }
                (KeyKind::Rsa, _, Some(encoding)) => {
                    let pair = RsaKeyPair::from_pkcs8(der).map_err(refused)?;
                    let RsaPublicKeyComponents { n, e } =
                        RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                    let public = PublicKey::from_rsa(&n, &e)?;
                    Arc::new(RsaKey {
                        pair,
                        public,
                        encoding,
                    })
                }
                _ => {
                    return Err(Error::InvalidKey {
                        problem: KeyProblem::Unsupported,
                    });
                }
            },
        )
    }

    fn generate_pkcs8(&self, algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, Error> {
        let random = rand::SystemRandom::new();
        let document = match (algorithm.key_kind(), ecdsa(algorithm)) {
            (_, Some((_, ecdsa))) => EcdsaKeyPair::generate_pkcs8(ecdsa, &random),
            (KeyKind::Ed25519, _) => Ed25519KeyPair::generate_pkcs8(&random),
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

fn rsa(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
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
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self
            .pair
            .sign(&rand::SystemRandom::new(), message)
            .map_err(|_| Error::SigningFailed)?;
        Ok(signature.as_ref().to_vec())
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
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.pair.sign(message).as_ref().to_vec())
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
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(
                self.encoding,
                &rand::SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| Error::SigningFailed)?;
        Ok(signature)
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}
