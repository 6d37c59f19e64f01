use serde_json::{Value, json};

use super::PROVIDER;
use crate::algorithm::Algorithm;
use crate::base64url;
use crate::error::{Error, KeyProblem};
use crate::jwk::*;
use crate::key::{KeySet, VerifyingKey};
use crate::sign::SigningKey;

/// RFC 7515 A.3.
fn p256() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
}

/// RFC 8037 A.2.
fn ed25519() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

/// RFC 7638 3.1.
fn rsa() -> Value {
    json!({"kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"})
}

fn parse(value: &Value) -> Result<Jwk, Error> {
    Jwk::from_slice(value.to_string().as_bytes())
}

fn refused(value: &Value) -> KeyProblem {
    match parse(value).unwrap_err() {
        Error::InvalidKey { problem } => problem,
        error => panic!("{error:?}"),
    }
}

fn changed(mut value: Value, member: &str, to: Value) -> Value {
    value[member] = to;
    value
}

fn b64(bytes: &[u8]) -> Value {
    base64url::encode(bytes).into()
}

/// Covers: JWKA-7638.3-1, JWKA-7638.3.2-1, JWKA-7638.3.3-1, JWKA-7638.3.4-1, JWKA-9278.3-1, JWKA-A15
#[test]
fn thumbprints_of_the_published_keys() {
    for (jwk, expected) in [
        (rsa(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (ed25519(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        (p256(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"),
    ] {
        let jwk = parse(&jwk).unwrap();
        assert_eq!(base64url::encode(&jwk.thumbprint(&PROVIDER)), expected);
        let uri = jwk.key().thumbprint_uri(&PROVIDER);
        assert_eq!(
            uri,
            format!("urn:ietf:params:oauth:jwk-thumbprint:sha-256:{expected}")
        );
        // What else the key says does not count.
        let named = jwk.with_kid("other").with_use("sig");
        assert_eq!(base64url::encode(&named.thumbprint(&PROVIDER)), expected);
    }
}

/// Covers: JWKA-7638.3.2.1-1, JWKA-8037.2-2
#[test]
fn a_private_key_has_the_thumbprint_of_its_public_half() {
    let key = SigningKey::generate(&PROVIDER, Algorithm::Ed25519).unwrap();
    assert_eq!(
        key.public_key().thumbprint(&PROVIDER),
        key.verifying_key().unwrap().thumbprint()
    );
}

/// Covers: JWKA-7517.4-1, JWKA-7517.4.1-1, JWKA-7518.6.2.1-1, JWKA-7518.6.2.1.2-1, JWKA-8037.2-1, JWKA-7638.4-1, JWKA-A14, JWKA-A17
#[test]
fn members_have_their_type_and_their_exact_length() {
    let x = base64url::decode(p256()["x"].as_str().unwrap(), "x").unwrap();
    for (jwk, problem) in [
        (json!({}), KeyProblem::Member("kty")),
        (json!({"kty": 1}), KeyProblem::Member("kty")),
        (json!({"kty": "ec"}), KeyProblem::Unsupported),
        (
            changed(p256(), "crv", json!("p-256")),
            KeyProblem::Unsupported,
        ),
        (
            changed(p256(), "crv", json!("P-384")),
            KeyProblem::Member("x"),
        ),
        (
            changed(p256(), "crv", json!("secp256k1")),
            KeyProblem::Unsupported,
        ),
        (changed(p256(), "x", json!(null)), KeyProblem::Member("x")),
        (changed(p256(), "x", json!(["AA"])), KeyProblem::Member("x")),
        (
            changed(p256(), "x", b64(&[&[0], &x[..]].concat())),
            KeyProblem::Member("x"),
        ),
        (changed(p256(), "x", b64(&x[1..])), KeyProblem::Member("x")),
        (
            changed(
                p256(),
                "x",
                json!(format!("{}=", p256()["x"].as_str().unwrap())),
            ),
            KeyProblem::Member("x"),
        ),
        (changed(p256(), "n", json!("AA")), KeyProblem::Inconsistent),
        (
            changed(rsa(), "crv", json!("P-256")),
            KeyProblem::Inconsistent,
        ),
        (
            changed(ed25519(), "y", json!("AA")),
            KeyProblem::Inconsistent,
        ),
        (
            changed(ed25519(), "crv", json!("Ed448")),
            KeyProblem::Unsupported,
        ),
        (
            changed(ed25519(), "crv", json!("X25519")),
            KeyProblem::Unsupported,
        ),
        (
            changed(ed25519(), "x", b64(&[7; 31])),
            KeyProblem::Member("x"),
        ),
        (changed(p256(), "kid", json!(1)), KeyProblem::Member("kid")),
        (changed(p256(), "use", json!([])), KeyProblem::Member("use")),
    ] {
        assert_eq!(refused(&jwk), problem, "{jwk}");
    }
    assert!(parse(&changed(p256(), "unknown", json!({"a": 1}))).is_ok());
    assert_eq!(
        Jwk::from_slice(br#"{"kty":"EC","kty":"EC"}"#)
            .unwrap_err()
            .code(),
        "duplicate_member"
    );
}

/// Covers: JWKA-7518.3.3-1, JWKA-7518.6.3.1.1-1, JWKA-7518.6.3.1.2-1, JWKA-7518.8.3-1, JWKA-policy-1, JWKA-A1, JWKA-A2, JWKA-A3, JWKA-A4
#[test]
fn weak_rsa_keys_are_refused() {
    let n = base64url::decode(rsa()["n"].as_str().unwrap(), "n").unwrap();
    let mut even = n.clone();
    *even.last_mut().unwrap() &= 0xfe;
    for (member, value) in [
        ("n", b64(&n[128..])),
        ("n", b64(&even)),
        ("n", b64(&vec![0xff; 1025])),
        ("n", b64(&vec![0xff; 40_000])),
        ("n", b64(&[1])),
        ("e", b64(&[1])),
        ("e", b64(&[3])),
        ("e", b64(&[1, 0, 0])),
        ("e", b64(&[2, 0, 0, 0, 1])),
        ("e", b64(&[1; 8])),
    ] {
        assert_eq!(
            refused(&changed(rsa(), member, value)),
            KeyProblem::WeakRsa,
            "{member}"
        );
    }
    assert_eq!(
        refused(&changed(rsa(), "n", b64(&[&[0], &n[..]].concat()))),
        KeyProblem::Member("n")
    );
    assert_eq!(
        refused(&changed(rsa(), "e", b64(&[0, 1, 0, 1]))),
        KeyProblem::Member("e")
    );
    assert_eq!(
        refused(&changed(rsa(), "n", json!(""))),
        KeyProblem::Member("n")
    );
}

/// Covers: JWKA-7518.6.2-1, JWKA-8725bis.3.4-1, JWT-8725bis.3.4-1, JWKA-A5, JWKA-A7, JWS-A12
#[test]
fn points_are_on_their_curve_and_of_large_order() {
    let prepare = |value: &Value| VerifyingKey::from_jwk(&PROVIDER, parse(value)?).map(drop);
    assert_eq!(prepare(&p256()), Ok(()));
    assert_eq!(prepare(&ed25519()), Ok(()));
    let swapped = changed(
        changed(p256(), "x", p256()["y"].clone()),
        "y",
        p256()["x"].clone(),
    );
    let off = changed(p256(), "y", b64(&[1; 32]));
    let infinity = changed(changed(p256(), "x", b64(&[0; 32])), "y", b64(&[0; 32]));
    let above_p = changed(p256(), "x", b64(&[0xff; 32]));
    let invalid = Err(Error::InvalidKey {
        problem: KeyProblem::InvalidPoint,
    });
    for jwk in [swapped, off, infinity, above_p] {
        assert_eq!(prepare(&jwk), invalid, "{jwk}");
    }
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let mut p = minus_one;
    p[0] = 0xed;
    let mut one = [0; 32];
    one[0] = 1;
    let mut one_signed = one;
    one_signed[31] = 0x80;
    for point in [[0; 32], one, one_signed, minus_one, p, [0xff; 32]] {
        assert_eq!(
            refused(&changed(ed25519(), "x", b64(&point))),
            KeyProblem::InvalidPoint
        );
    }
}

/// Covers: JWKA-7517.4.2-1, JWKA-7517.4.3-1, JWKA-7517.4.3-2, JWKA-7517.4.3-3, JWKA-7517.4.4-1, JWKA-A8, JWS-A21, JWKA-9864.2.2-1, JWKA-8037.3.1-2
#[test]
fn purpose_and_algorithm_fit_the_key() {
    for (member, value) in [
        ("key_ops", json!(["verify", "verify"])),
        ("key_ops", json!(["verify", "encrypt"])),
        ("alg", json!("RS256")),
        ("alg", json!("ES384")),
    ] {
        assert_eq!(
            refused(&changed(p256(), member, value)),
            KeyProblem::Inconsistent
        );
    }
    assert_eq!(
        refused(&changed(p256(), "alg", json!("ES256K"))),
        KeyProblem::Unsupported
    );
    assert_eq!(
        refused(&changed(p256(), "key_ops", json!("verify"))),
        KeyProblem::Member("key_ops")
    );
    let contradicts = changed(
        changed(p256(), "use", json!("enc")),
        "key_ops",
        json!(["verify"]),
    );
    assert_eq!(refused(&contradicts), KeyProblem::Inconsistent);
    for (member, value) in [("use", json!("enc")), ("key_ops", json!(["sign"]))] {
        let jwk = parse(&changed(p256(), member, value)).unwrap();
        assert_eq!(
            VerifyingKey::from_jwk(&PROVIDER, jwk).unwrap_err().code(),
            "invalid_key"
        );
    }
    let set = JwkSet::new(vec![
        parse(&p256()).unwrap().with_use("x509-svid"),
        parse(&ed25519())
            .unwrap()
            .with_use("jwt-svid")
            .with_kid("j"),
    ])
    .unwrap();
    assert!(
        KeySet::from_jwks(&PROVIDER, &set)
            .unwrap()
            .keys()
            .is_empty()
    );
    let jwt =
        KeySet::from_jwks_with_use(&PROVIDER, &set, |key_use| key_use == Some("jwt-svid")).unwrap();
    assert!(
        jwt.get("j").unwrap().algorithms()
            == crate::Algorithms::of(&[Algorithm::EdDsa, Algorithm::Ed25519])
    );
}

/// Covers: JWKA-7517.5-1, JWKA-7517.5-2, JWKA-7517.5-4, JWKA-policy-8, JWKA-A11, JWKA-A20
#[test]
fn a_set_skips_strangers_and_refuses_secrets() {
    let set = |keys: Value| {
        JwkSet::from_slice(
            json!({"keys": keys, "spiffe_sequence": 1})
                .to_string()
                .as_bytes(),
        )
    };
    let mixed = set(json!([{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, p256(), {"kty": "EC"}, 7, ed25519()])).unwrap();
    assert_eq!(mixed.keys().len(), 2);
    assert_eq!(
        mixed
            .skipped()
            .iter()
            .map(|skipped| skipped.index)
            .collect::<Vec<_>>(),
        [0, 2, 3]
    );
    assert!(set(json!([])).unwrap().keys().is_empty());
    for secret in [
        changed(p256(), "d", json!("AA")),
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": "AKP", "d": "x"}),
    ] {
        assert_eq!(
            set(json!([p256(), secret])).unwrap_err().code(),
            "private_key_material"
        );
    }
    let named = |kid: &str| changed(p256(), "kid", json!(kid));
    assert_eq!(
        set(json!([named("a"), changed(ed25519(), "kid", json!("a"))])).unwrap_err(),
        Error::DuplicateKid
    );
    assert_eq!(
        set(Value::Array(vec![json!({}); 513])).unwrap_err().code(),
        "too_many_keys"
    );
    assert_eq!(set(json!({})).unwrap_err().code(), "invalid_key");
    assert_eq!(
        JwkSet::from_slice(br#"{"keys":[{"kty":"EC","kty":"EC"}]}"#)
            .unwrap_err()
            .code(),
        "duplicate_member"
    );
    assert_eq!(
        JwkSet::from_slice(&vec![b' '; 1024 * 1024 + 1])
            .unwrap_err()
            .code(),
        "too_large"
    );
}

/// Covers: JWKA-policy-9, JWKA-A6, JWKA-A21
#[test]
fn spki_round_trips_and_nothing_else_passes_for_it() {
    for value in [p256(), ed25519(), rsa()] {
        let key = parse(&value).unwrap().key().clone();
        let der = key.to_spki_der().unwrap();
        assert!(PublicKey::from_spki_der(&der).unwrap() == key);
        let trailing = [&der[..], &[0]].concat();
        assert!(PublicKey::from_spki_der(&trailing).is_err());
        assert!(PublicKey::from_spki_der(&der[..der.len() - 1]).is_err());
    }
    let private = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    assert!(PublicKey::from_spki_der(private.expose_pkcs8_der()).is_err());
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(
        PublicKey::from_spki_pem(pem).unwrap_err().code(),
        "private_key_material"
    );
    assert!(
        PublicKey::from_spki_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .is_err()
    );
}

/// A public key in any dress is that key or nothing; above all it is no shared secret.
///
/// Covers: JWS-A3
#[test]
fn no_constructor_guesses_what_bytes_are() {
    let key = parse(&rsa()).unwrap().key().clone();
    let pem = key.to_spki_pem().unwrap();
    for dressed in [
        pem.clone(),
        format!("\n \t{pem}"),
        format!("\u{feff}{pem}"),
        format!("# comment\n{pem}"),
        format!("\0{pem}"),
        format!("x{pem}"),
        format!("{pem}{pem}"),
        pem.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
        pem.replace('\n', ""),
    ] {
        if let Ok(read) = PublicKey::from_spki_pem(&dressed) {
            assert!(read == key, "{dressed:?}");
        }
        let bytes = dressed.as_bytes();
        assert!(PublicKey::from_spki_der(bytes).is_err());
        assert!(Jwk::from_slice(bytes).is_err() && JwkSet::from_slice(bytes).is_err());
        for algorithm in Algorithm::ALL {
            assert!(SigningKey::from_pkcs8_pem(&PROVIDER, algorithm, &dressed).is_err());
            assert!(SigningKey::from_pkcs8_der(&PROVIDER, algorithm, bytes).is_err());
        }
        assert!(SigningKey::from_sec1_pem(&PROVIDER, &dressed).is_err());
        assert!(SigningKey::from_jwk_slice(&PROVIDER, bytes).is_err());
        // Nor as the secret of an `oct` key.
        let oct = json!({"kty": "oct", "alg": "HS256", "k": b64(bytes)});
        assert_eq!(refused(&oct), KeyProblem::PrivateMaterial);
        assert!(SigningKey::from_jwk_slice(&PROVIDER, oct.to_string().as_bytes()).is_err());
    }
    // So a token under such a secret meets the public key and nothing else.
    let header = base64url::encode(br#"{"alg":"HS256"}"#);
    let token = format!("{header}.e30.{}", base64url::encode(&[1; 32]));
    let error = crate::jws::UnverifiedJws::parse(&token).unwrap_err();
    assert_eq!(error, Error::UnsupportedAlgorithm);
}

/// Covers: JWKA-7517.9.2-1, JWKA-A22
#[test]
fn debug_output_shows_no_key_material() {
    let key = SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid("k");
    let shown = format!("{key:?}");
    assert!(shown.contains("\"k\"") && shown.len() < 100, "{shown}");
}
