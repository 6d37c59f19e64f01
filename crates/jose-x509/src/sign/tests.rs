use serde_json::{Value, json};

use super::PROVIDER;
use crate::algorithm::Algorithm;
use crate::error::{Error, KeyProblem};
use crate::jwk::PublicKey;
use crate::sign::*;

/// Without a public half, as some tools write EC keys in PKCS#8; made by
/// `openssl pkey -outform DER` and shortened.
fn without_public_half(key: &SigningKey) -> Vec<u8> {
    use der::{Decode as _, Encode as _};
    let info = pkcs8::PrivateKeyInfoRef::from_der(key.expose_pkcs8_der()).unwrap();
    let mut inner = sec1::EcPrivateKey::from_der(info.private_key.as_bytes()).unwrap();
    inner.public_key = None;
    let inner = inner.to_der().unwrap();
    let octets = der::asn1::OctetStringRef::new(&inner).unwrap();
    pkcs8::PrivateKeyInfoRef::new(info.algorithm, octets)
        .to_der()
        .unwrap()
}

fn elliptic() -> impl Iterator<Item = SigningKey> {
    [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512]
        .into_iter()
        .map(|algorithm| {
            SigningKey::generate(&PROVIDER, algorithm)
                .unwrap()
                .with_kid("k")
        })
}

fn verifies(key: &SigningKey, by: &SigningKey) {
    let signature = key.sign(b"message").unwrap();
    by.verifying_key()
        .unwrap()
        .verify(key.algorithm(), b"message", signature.as_ref())
        .unwrap();
}

fn jwk(key: &SigningKey) -> Value {
    serde_json::from_str(&key.expose_jwk().unwrap()).unwrap()
}

fn refused(jwk: &Value) -> KeyProblem {
    match SigningKey::from_jwk_slice(&PROVIDER, jwk.to_string().as_bytes()).unwrap_err() {
        Error::InvalidKey { problem } => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn every_form_of_a_key_is_the_same_key() {
    for key in elliptic() {
        let pkcs8 = key.expose_pkcs8_pem().unwrap();
        let again = SigningKey::from_pkcs8_pem(&PROVIDER, key.algorithm(), &pkcs8).unwrap();
        verifies(&again, &key);
        let sec1 = key.expose_sec1_pem().unwrap();
        let again = SigningKey::from_sec1_pem(&PROVIDER, &sec1).unwrap();
        assert_eq!(again.algorithm(), key.algorithm());
        verifies(&again, &key);
        let bare = without_public_half(&key);
        let again = SigningKey::from_pkcs8_der(&PROVIDER, key.algorithm(), &bare).unwrap();
        assert_eq!(again.expose_pkcs8_der(), key.expose_pkcs8_der());
    }
    for algorithm in [Algorithm::Ed25519, Algorithm::EdDsa] {
        let key = SigningKey::generate(&PROVIDER, algorithm).unwrap();
        let again =
            SigningKey::from_jwk_slice(&PROVIDER, key.expose_jwk().unwrap().as_bytes()).unwrap();
        assert_eq!(again.algorithm(), algorithm);
        verifies(&again, &key);
        assert!(key.expose_sec1_pem().is_err());
    }
}

/// Covers: JWKA-7518.6.2.2.1-1
#[test]
fn an_elliptic_jwk_is_consistent_and_its_scalar_in_range() {
    for key in elliptic() {
        let good = jwk(&key);
        let again = SigningKey::from_jwk_slice(&PROVIDER, good.to_string().as_bytes()).unwrap();
        assert_eq!(
            (again.kid(), again.algorithm()),
            (Some("k"), key.algorithm())
        );
        verifies(&again, &key);

        let with = |member: &str, value: Value| {
            let mut changed = good.clone();
            changed[member] = value;
            changed
        };
        let len = key.public_key().curve().unwrap().coordinate_len();
        let zero = crate::base64url::encode(&vec![0; len]);
        let ones = crate::base64url::encode(&vec![0xff; len]);
        let short = crate::base64url::encode(&vec![1; len - 1]);
        assert_eq!(refused(&with("d", json!(zero))), KeyProblem::Malformed);
        // Above the order of each of the three groups.
        assert_eq!(refused(&with("d", json!(ones))), KeyProblem::Malformed);
        assert_eq!(refused(&with("d", json!(short))), KeyProblem::Member("d"));
        assert_eq!(refused(&with("d", json!(1))), KeyProblem::Member("d"));
        let stranger = SigningKey::generate(&PROVIDER, key.algorithm()).unwrap();
        assert_eq!(
            refused(&with("d", jwk(&stranger)["d"].clone())),
            KeyProblem::Mismatch
        );
        assert_eq!(
            refused(&with("key_ops", json!(["verify"]))),
            KeyProblem::Inconsistent
        );
        assert_eq!(
            refused(&with("use", json!("enc"))),
            KeyProblem::Inconsistent
        );
    }
}

/// RFC 8037 appendix A.1 and A.2.
#[test]
fn the_published_ed25519_key_is_read_and_written() {
    let text = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let key = SigningKey::from_jwk_slice(&PROVIDER, text.as_bytes()).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Ed25519);
    let written = jwk(&key);
    assert_eq!(written["d"], "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    assert_eq!(written["alg"], "Ed25519");
    let other = text.replace("nWGx", "nWGy");
    assert_eq!(
        SigningKey::from_jwk_slice(&PROVIDER, other.as_bytes()).unwrap_err(),
        KeyProblem::Mismatch.into()
    );
}

fn rsa_jwk() -> Value {
    let text = include_str!("../../../../test-vectors/keys/rsa2048.jwk.json");
    serde_json::from_str(text).unwrap()
}

/// Covers: JWKA-7518.6.3.2-1, JWKA-7518.6.3.2-2
#[test]
fn an_rsa_jwk_is_complete_and_consistent() {
    let mut good = rsa_jwk();
    good["alg"] = json!("PS256");
    let key = SigningKey::from_jwk_slice(&PROVIDER, good.to_string().as_bytes()).unwrap();
    verifies(&key, &key);
    for member in ["d", "p", "q", "dp", "dq", "qi"] {
        assert_eq!(jwk(&key)[member], good[member], "{member}");
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(member);
        assert_eq!(refused(&without), KeyProblem::Member(member));
        if member == "d" {
            // `ring` computes with the other members alone and does not look at this one.
            continue;
        }
        let mut tampered = good.clone();
        let text = tampered[member].as_str().unwrap();
        let mut bytes = crate::base64url::decode(text, "key").unwrap();
        bytes[9] ^= 4;
        tampered[member] = json!(crate::base64url::encode(&bytes));
        assert!(
            matches!(
                refused(&tampered),
                KeyProblem::Malformed | KeyProblem::Mismatch
            ),
            "{member}"
        );
    }
    let mut many = good.clone();
    many["oth"] = json!([]);
    assert_eq!(refused(&many), KeyProblem::Unsupported);
    good.as_object_mut().unwrap().remove("alg");
    assert_eq!(refused(&good), KeyProblem::Member("alg"));
}

/// Covers: JWKA-policy-9, JWKA-A6, JWKA-A21
#[test]
fn only_named_curves_and_exact_der_are_read() {
    let key = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    let der = key.expose_pkcs8_der();
    let read = |der: &[u8]| SigningKey::from_pkcs8_der(&PROVIDER, Algorithm::Es256, der);
    assert!(read(der).is_ok());
    assert!(read(&[der, &[0]].concat()).is_err());
    assert!(read(&der[..der.len() - 1]).is_err());
    assert!(read(&vec![0x30; 100_000]).is_err());
    assert!(SigningKey::from_sec1_der(&PROVIDER, der).is_err());
    // The name of P-384 on a key of P-256.
    let p256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let place = der
        .windows(p256.len())
        .position(|part| part == p256)
        .unwrap();
    let mut other = der.to_vec();
    other[place + p256.len() - 1] = 0x08;
    assert_eq!(
        read(&other).unwrap_err(),
        Error::from(KeyProblem::Unsupported)
    );
    let wrong = SigningKey::from_pkcs8_der(&PROVIDER, Algorithm::Es384, der);
    assert_eq!(wrong.unwrap_err().code(), "invalid_key");
    let spki = key.public_key().to_spki_pem().unwrap();
    assert!(SigningKey::from_pkcs8_pem(&PROVIDER, Algorithm::Es256, &spki).is_err());
    assert!(PublicKey::from_spki_pem(&spki).unwrap() == *key.public_key());
}

/// Covers: JWKA-7518.3.4-4, JWS-10.1-1, JWT-8725bis.3.2-3
#[test]
fn signatures_have_full_length_and_never_the_same_nonce() {
    for key in elliptic() {
        let len = key.algorithm().signature_len().unwrap();
        let mut nonces = std::collections::HashSet::new();
        // One r in 256 begins with a zero.
        for _ in 0..600 {
            let signature = key.sign(b"message").unwrap();
            assert_eq!(signature.as_ref().len(), len);
            assert!(nonces.insert(signature.as_ref()[..len / 2].to_vec()));
            if key.algorithm() == Algorithm::Es512 && nonces.len() == 20 {
                break;
            }
        }
    }
}

/// Covers: JWKA-9864.4.4-1, JWT-8725bis.3.2-4
#[test]
fn a_new_ed25519_key_signs_under_the_fully_specified_name() {
    let key = SigningKey::generate(&PROVIDER, Algorithm::Ed25519).unwrap();
    let token = crate::jws::sign(&key, &crate::jws::ProtectedHeader::new("x"), b"").unwrap();
    let header = crate::base64url::decode(token.split('.').next().unwrap(), "header").unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["alg"], "Ed25519");
}

proptest::proptest! {
    // The curves' arithmetic is slow without optimisation.
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    /// From any scalar: JWK, PKCS#8 and SEC 1 are forms of one key. Scalars that are out of range are refused.
    #[test]
    fn every_scalar_has_one_key_in_every_form(bytes: [u8; 66], which in 0..3_usize) {
        use crate::jwk::Curve;
        let curve = [Curve::P256, Curve::P384, Curve::P521][which];
        let mut scalar = bytes[..curve.coordinate_len()].to_vec();
        if curve == Curve::P521 {
            scalar[0] &= 1;
        }
        let Ok(ec) = private::Ec::new(curve, &scalar) else { return Ok(()) };
        let key = SigningKey::from_pkcs8_der(&PROVIDER, curve.algorithm(), &ec.to_pkcs8().unwrap())
            .unwrap()
            .with_kid("k");
        let text = key.expose_jwk().unwrap();
        proptest::prop_assert_eq!(&jwk(&key)["d"], &json!(crate::base64url::encode(&scalar)));
        let of_jwk = SigningKey::from_jwk_slice(&PROVIDER, text.as_bytes()).unwrap();
        let of_sec1 = SigningKey::from_sec1_pem(&PROVIDER, &key.expose_sec1_pem().unwrap()).unwrap();
        let of_pem =
            SigningKey::from_pkcs8_pem(&PROVIDER, curve.algorithm(), &key.expose_pkcs8_pem().unwrap())
                .unwrap();
        for again in [&of_jwk, &of_sec1, &of_pem] {
            proptest::prop_assert_eq!(again.expose_pkcs8_der(), key.expose_pkcs8_der());
            proptest::prop_assert!(again.public_key() == key.public_key());
        }
        proptest::prop_assert_eq!(of_jwk.kid(), Some("k"));
    }

    #[test]
    fn every_ed25519_seed_has_one_key_in_every_form(seed: [u8; 32]) {
        let der = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20], &seed[..]].concat();
        let key = SigningKey::from_pkcs8_der(&PROVIDER, Algorithm::Ed25519, &der).unwrap();
        proptest::prop_assert_eq!(&jwk(&key)["d"], &json!(crate::base64url::encode(&seed)));
        let text = key.expose_jwk().unwrap();
        let again = SigningKey::from_jwk_slice(&PROVIDER, text.as_bytes()).unwrap();
        proptest::prop_assert_eq!(again.expose_pkcs8_der(), &der[..]);
        proptest::prop_assert!(again.public_key() == key.public_key());
    }
}
