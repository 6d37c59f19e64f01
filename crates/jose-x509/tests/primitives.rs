//! Project Wycheproof's vectors for signatures, below JOSE: over each provider, with the keys as SPKI.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use jose_x509::{Algorithm, CryptoProvider, Error, Jwk, KeyProblem, PublicKey, VerifyingKey};
use wycheproof::{HashFunction, TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

fn providers() -> Vec<CryptoProvider> {
    vec![
        #[cfg(feature = "ring")]
        jose_x509::provider::ring::provider(),
        #[cfg(feature = "aws-lc-rs")]
        jose_x509::provider::aws_lc_rs::provider(),
    ]
}

fn key(
    provider: &CryptoProvider,
    algorithm: Algorithm,
    spki: &[u8],
) -> Result<VerifyingKey, Error> {
    let jwk = Jwk::new(PublicKey::from_spki_der(spki)?).with_algorithm(algorithm)?;
    VerifyingKey::from_jwk(provider, jwk)
}

/// How the tests of a set came out: as many as are expected, at least one of them each way.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    accepted: usize,
    refused: usize,
}

impl Tally {
    /// Compares a verdict with the expected one; what is merely acceptable may be refused.
    fn count(&mut self, verdict: Result<(), Error>, expected: TestResult, what: &str) {
        match (&verdict, expected) {
            (Ok(()), TestResult::Valid) => self.accepted += 1,
            (Err(Error::InvalidSignature), TestResult::Invalid | TestResult::Acceptable) => {
                self.refused += 1;
            }
            _ => panic!("{what}: {expected:?} expected, got {verdict:?}"),
        }
    }

    fn check(&self, what: &str) {
        assert!(self.accepted > 0 && self.refused > 10, "{what}: {self:?}");
    }
}

/// Covers: JWKA-7518.3.4-2, JWKA-7518.3.4-3, JWS-A9, JWS-A10
#[test]
fn ecdsa_signatures_are_exact() {
    use ecdsa::TestName as Set;
    for (set, algorithm) in [
        (Set::EcdsaSecp256r1Sha256P1363, Algorithm::Es256),
        (Set::EcdsaSecp384r1Sha384P1363, Algorithm::Es384),
        (Set::EcdsaSecp521r1Sha512P1363, Algorithm::Es512),
    ] {
        let groups = ecdsa::TestSet::load(set).unwrap().test_groups;
        for provider in providers() {
            let mut tally = Tally::default();
            for group in &groups {
                let key = key(&provider, algorithm, &group.der).unwrap();
                for test in &group.tests {
                    let verdict = key.verify(algorithm, &test.msg, &test.sig);
                    let what = format!("{} {set:?} tc{}", provider.name, test.tc_id);
                    tally.count(verdict, test.result, &what);
                }
            }
            tally.check(provider.name);
        }
    }
}

/// Covers: JWKA-8037.3.1-1
#[test]
fn ed25519_signatures_are_exact() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    for provider in providers() {
        let mut tally = Tally::default();
        for group in &set.test_groups {
            let key = key(&provider, Algorithm::Ed25519, &group.der).unwrap();
            for test in &group.tests {
                let verdict = key.verify(Algorithm::Ed25519, &test.msg, &test.sig);
                let what = format!("{} tc{}", provider.name, test.tc_id);
                tally.count(verdict, test.result, &what);
            }
        }
        tally.check(provider.name);
    }
}

/// Padding that is short, has garbage behind the hash, another ASN.1 or another hash. Keys with a small exponent,
/// under which such paddings can be forged, are refused before any signature is looked at.
///
/// Covers: JWS-A13
#[test]
fn pkcs1_padding_is_compared_as_a_whole() {
    use rsa_pkcs1_verify::TestName as Set;
    for (set, algorithm) in [
        (Set::Rsa2048Sha256, Algorithm::Rs256),
        (Set::Rsa3072Sha256, Algorithm::Rs256),
        (Set::Rsa4096Sha256, Algorithm::Rs256),
        (Set::Rsa8192Sha256, Algorithm::Rs256),
        (Set::Rsa2048Sha384, Algorithm::Rs384),
        (Set::Rsa3072Sha384, Algorithm::Rs384),
        (Set::Rsa4096Sha384, Algorithm::Rs384),
        (Set::Rsa2048Sha512, Algorithm::Rs512),
        (Set::Rsa3072Sha512, Algorithm::Rs512),
        (Set::Rsa4096Sha512, Algorithm::Rs512),
    ] {
        let groups = rsa_pkcs1_verify::TestSet::load(set).unwrap().test_groups;
        for provider in providers() {
            let mut tally = Tally::default();
            for group in &groups {
                let key = match key(&provider, algorithm, &group.der) {
                    Ok(key) => key,
                    Err(Error::InvalidKey {
                        problem: KeyProblem::WeakRsa,
                    }) => {
                        let exponent = &group.key.e[..];
                        assert_eq!(exponent, [3], "{set:?}");
                        continue;
                    }
                    Err(other) => panic!("{set:?}: {other}"),
                };
                for test in &group.tests {
                    let verdict = key.verify(algorithm, &test.msg, &test.sig);
                    let what = format!("{} {set:?} tc{}", provider.name, test.tc_id);
                    tally.count(verdict, test.result, &what);
                }
            }
            tally.check(provider.name);
        }
    }
}

/// RFC 7518 section 3.5: the salt is as long as the hash, and the mask is made with the same hash. Everything
/// else is refused, also where it is a good signature for other parameters.
///
/// Covers: JWS-A14
#[test]
fn pss_has_no_other_parameters() {
    use rsa_pss_verify::TestName as Set;
    let of = |hash| match hash {
        HashFunction::Sha2_256 => Some((Algorithm::Ps256, 32)),
        HashFunction::Sha2_384 => Some((Algorithm::Ps384, 48)),
        HashFunction::Sha2_512 => Some((Algorithm::Ps512, 64)),
        _ => None,
    };
    for provider in providers() {
        let (mut right, mut other) = (Tally::default(), 0);
        for set in [
            Set::RsaPss2048Sha256Mgf1SaltLen32,
            Set::RsaPss3072Sha256Mgf1SaltLen32,
            Set::RsaPss4096Sha256Mgf1SaltLen32,
            Set::RsaPss2048Sha384Mgf1SaltLen48,
            Set::RsaPss4096Sha384Mgf1SaltLen48,
            Set::RsaPss4096Sha512Mgf1SaltLen64,
            Set::RsaPss2048Sha256Mgf1SaltLen0,
            Set::RsaPss2048Sha256Mgf1Sha1_20,
            Set::RsaPss4096Sha512Mgf1SaltLen32,
            Set::RsaPss2048Sha1Mgf1SaltLen20,
            Set::RsaPssmisc,
        ] {
            for group in rsa_pss_verify::TestSet::load(set).unwrap().test_groups {
                let parameters = of(group.hash).filter(|(_, salt)| {
                    (group.mgf_hash, group.salt_size) == (Some(group.hash), *salt)
                });
                let (same, named) = (parameters.is_some(), of(group.hash));
                let algorithm = named.map_or(Algorithm::Ps256, |(algorithm, _)| algorithm);
                let key = key(&provider, algorithm, &group.der).unwrap();
                for test in &group.tests {
                    let verdict = key.verify(algorithm, &test.msg, &test.sig);
                    let what = format!("{} {set:?} tc{}", provider.name, test.tc_id);
                    if same {
                        right.count(verdict, test.result, &what);
                    // A test with other parameters can be invalid for having ours.
                    } else if test.result == TestResult::Valid {
                        assert_eq!(verdict, Err(Error::InvalidSignature), "{what}");
                        other += 1;
                    }
                }
            }
        }
        right.check(provider.name);
        assert!(other > 50, "{other} good signatures with other parameters");
    }
}
