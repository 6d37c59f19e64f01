//! The `aws-lc-rs` backend: every algorithm of [`Algorithm`]. With feature `fips` it runs on the FIPS
//! validated module and says so.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SecureRandom as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, ParsedPublicKey,
    RsaEncoding, RsaKeyPair, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use aws_lc_rs::{digest, rand};
use zeroize::Zeroizing;

use super::{CryptoProvider, PreparedKey, PrivateKey, SecureRandom, Sha256, Signing, Verification};
use crate::algorithm::Algorithm;
use crate::error::{Error, KeyProblem};
use crate::jwk::{Curve, KeyMaterial, PublicKey};
use crate::sign::Signature;

/// The provider over `aws-lc-rs`.
#[must_use]
pub const fn provider() -> CryptoProvider {
    CryptoProvider::new(
        "aws-lc-rs",
        &AwsLcRs,
        &AwsLcRs,
        &AwsLcRs,
        &AwsLcRs,
        CERTIFICATE_ALGORITHMS,
    )
}

const CERTIFICATE_ALGORITHMS: &[&dyn pki_types::SignatureVerificationAlgorithm] = &[
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P256_SHA384,
    webpki::aws_lc_rs::ECDSA_P384_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
    webpki::aws_lc_rs::ECDSA_P521_SHA512,
    webpki::aws_lc_rs::ED25519,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

struct AwsLcRs;

impl Sha256 for AwsLcRs {
    fn digest(&self, data: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        let digest = digest::digest(&digest::SHA256, data);
        for (to, from) in out.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        out
    }

    fn fips(&self) -> bool {
        fips_module()
    }
}

impl SecureRandom for AwsLcRs {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        rand::SystemRandom::new()
            .fill(out)
            .map_err(|_| Error::RandomFailed)
    }

    fn fips(&self) -> bool {
        fips_module()
    }
}

impl Verification for AwsLcRs {
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
            ParsedPublicKey::new(algorithm, point).map_err(|_| KeyProblem::InvalidPoint)
        };
        let parsed = match (algorithm, key) {
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
                    point: p,
                },
            ) => point(&signature::ECDSA_P521_SHA512_FIXED, p)?,
            (A::Ed25519 | A::EdDsa, KeyMaterial::Ed25519(p)) => point(&signature::ED25519, p)?,
            (_, KeyMaterial::Rsa { n, e }) => RsaPublicKeyComponents { n, e }
                .to_parsed_public_key(rsa_parameters(algorithm).ok_or(KeyProblem::Inconsistent)?)
                .map_err(|_| KeyProblem::Malformed)?,
            _ => return Err(KeyProblem::Inconsistent),
        };
        Ok(Box::new(Parsed(parsed)))
    }

    fn fips(&self) -> bool {
        fips_module()
    }
}

/// Whether the module that is linked runs in FIPS mode.
fn fips_module() -> bool {
    aws_lc_rs::try_fips_mode().is_ok()
}

struct Parsed(ParsedPublicKey);

impl PreparedKey for Parsed {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.0
            .verify_sig(message, signature)
            .map_err(|_| Error::InvalidSignature)
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

impl Signing for AwsLcRs {
    fn load_pkcs8(&self, algorithm: Algorithm, der: &[u8]) -> Result<Arc<dyn PrivateKey>, Error> {
        const MALFORMED: Error = Error::InvalidKey {
            problem: KeyProblem::Malformed,
        };
        let refused = |_| MALFORMED;
        if let Some((curve, ecdsa)) = ecdsa(algorithm) {
            let pair = EcdsaKeyPair::from_pkcs8(ecdsa, der).map_err(refused)?;
            let public = PublicKey::from_sec1_point(curve, pair.public_key().as_ref())?;
            return Ok(Arc::new(EcdsaKey { pair, public }));
        }
        if let Some(encoding) = rsa_encoding(algorithm) {
            let pair = RsaKeyPair::from_pkcs8(der).map_err(refused)?;
            let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| MALFORMED)?;
            let public = PublicKey::from_spki_der(spki.as_ref())?;
            return Ok(Arc::new(RsaKey {
                pair,
                public,
                encoding,
            }));
        }
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(refused)?;
        let public = PublicKey::from_ed25519(pair.public_key().as_ref())?;
        Ok(Arc::new(Ed25519Key { pair, public }))
    }

    fn generate_pkcs8(&self, algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, Error> {
        let random = rand::SystemRandom::new();
        let document = match (algorithm, ecdsa(algorithm)) {
            (_, Some((_, ecdsa))) => EcdsaKeyPair::generate_pkcs8(ecdsa, &random),
            (Algorithm::Ed25519 | Algorithm::EdDsa, _) => Ed25519KeyPair::generate_pkcs8(&random),
            _ => return generate_rsa(),
        };
        document
            .map(|document| Zeroizing::new(document.as_ref().to_vec()))
            .map_err(|_| Error::RandomFailed)
    }

    fn fips(&self) -> bool {
        fips_module()
    }
}

/// 3072 bits, which is what 128-bit security asks for (RFC 3766, NIST SP 800-57).
fn generate_rsa() -> Result<Zeroizing<Vec<u8>>, Error> {
    let pair = RsaKeyPair::generate(KeySize::Rsa3072).map_err(|_| Error::RandomFailed)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| Error::RandomFailed)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

fn ecdsa(algorithm: Algorithm) -> Option<(Curve, &'static EcdsaSigningAlgorithm)> {
    match algorithm {
        Algorithm::Es256 => Some((Curve::P256, &signature::ECDSA_P256_SHA256_FIXED_SIGNING)),
        Algorithm::Es384 => Some((Curve::P384, &signature::ECDSA_P384_SHA384_FIXED_SIGNING)),
        Algorithm::Es512 => Some((Curve::P521, &signature::ECDSA_P521_SHA512_FIXED_SIGNING)),
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
        let mut signature = vec![0; self.pair.public_modulus_len()];
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
