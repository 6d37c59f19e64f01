//! The tests that need cryptography, once over each provider, all in one process.

#[cfg(feature = "ring")]
mod ring;

#[cfg(feature = "aws-lc-rs")]
mod aws_lc_rs;

/// What one provider signs, the other one verifies.
///
/// Covers: JWT-7519.8-1, JWT-8725bis.3.2-1
#[cfg(all(feature = "ring", feature = "aws-lc-rs"))]
#[test]
fn providers_understand_each_other_in_one_process() {
    use crate::provider::{aws_lc_rs, ring};
    use crate::{Algorithm, Signer as _, SigningKey, VerifyingKey};

    let (ring, aws_lc_rs) = (ring::provider(), aws_lc_rs::provider());
    assert!(!ring.fips());
    assert_eq!(aws_lc_rs.fips(), cfg!(feature = "fips"));
    for algorithm in Algorithm::ALL {
        // `ring` makes no RSA keys.
        let made = SigningKey::generate(&aws_lc_rs, algorithm).unwrap();
        let pkcs8 = made.expose_pkcs8_der();
        for (signs, verifies) in [(ring, aws_lc_rs), (aws_lc_rs, ring)] {
            let key = SigningKey::from_pkcs8_der(&signs, algorithm, pkcs8).unwrap();
            let public = VerifyingKey::from_jwk(&verifies, key.public_jwk()).unwrap();
            let signature = key.sign(b"message").unwrap();
            public
                .verify(algorithm, b"message", signature.as_ref())
                .unwrap();
            assert!(
                public
                    .verify(algorithm, b"massage", signature.as_ref())
                    .is_err()
            );
            assert_eq!(public.provider().name, verifies.name);
        }
    }
}
