//! The cryptography below ours and below the floor, as a parameter of the cases.

use std::hint::black_box;

use jose_x509::jwk::KeyMaterial;
use jose_x509::{Algorithm, CryptoProvider, provider};

use crate::fixtures::Key;
use crate::harness::Work;

/// A provider that these crates can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `ring`.
    Ring,
    /// `aws-lc-rs`.
    #[cfg(feature = "peers")]
    AwsLcRs,
}

impl Backend {
    /// All that this build has.
    pub const ALL: &[Self] = &[
        Self::Ring,
        #[cfg(feature = "peers")]
        Self::AwsLcRs,
    ];

    /// Its name, as it stands in the names of cases.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            #[cfg(feature = "peers")]
            Self::AwsLcRs => "aws-lc-rs",
        }
    }

    /// The provider of `jose-x509`.
    #[must_use]
    pub const fn provider(self) -> CryptoProvider {
        match self {
            Self::Ring => provider::ring::provider(),
            #[cfg(feature = "peers")]
            Self::AwsLcRs => provider::aws_lc_rs::provider(),
        }
    }

    /// Verifies the token's signature, and nothing else, with a key that is ready.
    #[must_use]
    pub fn bare_verify(self, key: &Key, token: &str) -> Work {
        match self {
            Self::Ring => ring_verify(key, token),
            #[cfg(feature = "peers")]
            Self::AwsLcRs => aws_lc_verify(key, token),
        }
    }

    /// As [`bare_verify`](Self::bare_verify), with a key that came along with the token: nobody has it ready.
    #[must_use]
    pub fn bare_verify_with_new_key(self, key: &Key, token: &str) -> Work {
        match self {
            // It makes nothing ready.
            Self::Ring => ring_verify(key, token),
            #[cfg(feature = "peers")]
            Self::AwsLcRs => aws_lc_verify_with_new_key(key, token),
        }
    }

    /// Signs, and nothing else, with a key that is ready.
    #[must_use]
    pub fn bare_sign(self, key: &Key, message: Vec<u8>) -> Work {
        match self {
            Self::Ring => ring_sign(key, message),
            #[cfg(feature = "peers")]
            Self::AwsLcRs => aws_lc_sign(key, message),
        }
    }
}

/// What is signed, and the signature.
fn split(token: &str) -> (Vec<u8>, Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').expect("a token has dots");
    let signature =
        jose_x509::base64url::decode(signature, "signature").expect("a signature is base64url");
    (message.as_bytes().to_vec(), signature)
}

fn ring_verify(key: &Key, token: &str) -> Work {
    use ring::signature as s;
    let (message, signature) = split(token);
    let unparsed = |algorithm: &'static dyn s::VerificationAlgorithm, key: &[u8]| {
        let key = s::UnparsedPublicKey::new(algorithm, key.to_vec());
        (key, message.clone(), signature.clone())
    };
    let (key, message, signature) = match key.public.material() {
        KeyMaterial::Ec { point, .. } => unparsed(&s::ECDSA_P256_SHA256_FIXED, point),
        KeyMaterial::Ed25519(point) => unparsed(&s::ED25519, point),
        KeyMaterial::Rsa { n, e } => {
            let key = s::RsaPublicKeyComponents {
                n: n.to_vec(),
                e: e.to_vec(),
            };
            return Work::new(move || {
                key.verify(
                    &s::RSA_PKCS1_2048_8192_SHA256,
                    black_box(&message),
                    black_box(&signature),
                )
                .expect("the signature is good");
            });
        }
        _ => unreachable!("the fixtures have no other keys"),
    };
    Work::new(move || {
        key.verify(black_box(&message), black_box(&signature))
            .expect("the signature is good");
    })
}

fn ring_sign(key: &Key, message: Vec<u8>) -> Work {
    use ring::signature as s;
    let random = ring::rand::SystemRandom::new();
    if key.algorithm == Algorithm::Es256 {
        let algorithm = &s::ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = s::EcdsaKeyPair::from_pkcs8(algorithm, &key.pkcs8, &random)
            .expect("ring reads its own");
        Work::new(move || pair.sign(&random, black_box(&message)).expect("ring signs"))
    } else {
        let pair =
            s::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key.pkcs8).expect("ring reads its own");
        Work::new(move || pair.sign(black_box(&message)))
    }
}

/// [`Backend::bare_verify`] of AWS-LC. Its parsed key is what makes a key ready; without it every verification would parse
/// the key again.
#[cfg(feature = "peers")]
#[must_use]
pub fn aws_lc_verify(key: &Key, token: &str) -> Work {
    use aws_lc_rs::signature as s;
    let (message, signature) = split(token);
    let parsed = |algorithm: &'static dyn s::VerificationAlgorithm, key: &[u8]| {
        s::UnparsedPublicKey::new(algorithm, key)
            .parse()
            .expect("the key is sound")
    };
    let key = match key.public.material() {
        KeyMaterial::Ec { point, .. } => parsed(&s::ECDSA_P256_SHA256_FIXED, point),
        KeyMaterial::Ed25519(point) => parsed(&s::ED25519, point),
        KeyMaterial::Rsa { .. } => parsed(
            &s::RSA_PKCS1_2048_8192_SHA256,
            &key.public.to_spki_der().expect("DER"),
        ),
        _ => unreachable!("the fixtures have no other keys"),
    };
    Work::new(move || {
        key.verify_sig(black_box(&message), black_box(&signature))
            .expect("the signature is good");
    })
}

/// [`Backend::bare_verify_with_new_key`] of AWS-LC.
#[cfg(feature = "peers")]
fn aws_lc_verify_with_new_key(key: &Key, token: &str) -> Work {
    use aws_lc_rs::signature as s;
    let (message, signature) = split(token);
    let KeyMaterial::Ec { point, .. } = key.public.material() else {
        unreachable!("the fixtures have no other keys in tokens")
    };
    let point = point.to_vec();
    Work::new(move || {
        s::UnparsedPublicKey::new(&s::ECDSA_P256_SHA256_FIXED, black_box(&point))
            .verify(black_box(&message), black_box(&signature))
            .expect("the signature is good");
    })
}

/// [`Backend::bare_sign`] of AWS-LC.
#[cfg(feature = "peers")]
#[must_use]
pub fn aws_lc_sign(key: &Key, message: Vec<u8>) -> Work {
    use aws_lc_rs::signature as s;
    if key.algorithm == Algorithm::Es256 {
        let algorithm = &s::ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pair = s::EcdsaKeyPair::from_pkcs8(algorithm, &key.pkcs8)
            .expect("AWS-LC reads what ring wrote");
        Work::new(move || {
            pair.sign(&random, black_box(&message))
                .expect("AWS-LC signs")
        })
    } else {
        let pair = s::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key.pkcs8)
            .expect("AWS-LC reads what ring wrote");
        Work::new(move || pair.sign(black_box(&message)))
    }
}
