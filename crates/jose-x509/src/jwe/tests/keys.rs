//! Recipients' keys and ephemeral keys.

use super::*;

/// Covers: JWE-7518.4.6-1, JWE-A3, JWE-A4, JWKA-8037.3.2.1-1
#[test]
fn epk_is_a_public_key_on_the_recipients_curve() {
    let p256 = ec();
    let good = token_for(&p256, &json!({"enc": "A128GCM"}));
    let other = |kind| {
        let key = generate(KeyManagement::EcdhEsA128Kw, kind);
        Value::from(key.encryption_key().jwk_members().clone())
    };
    let point = other(KeyType::P256);
    let changed = |name: &str, value: Value| {
        let mut epk = point.clone();
        epk[name] = value;
        epk
    };
    let problem = |key: &DecryptionKey, token: &str, epk: &Value| match Decrypter::new(key.clone())
        .decrypt(&with_members(token, &json!({"epk": epk})))
    {
        Err(Error::Jwe(JweError::InvalidEphemeralKey { problem })) => Some(problem),
        Err(error) => panic!("{epk}: {error}"),
        Ok(_) => None,
    };
    let zero = base64url::encode(&[0; 32]);
    for (epk, expected) in [
        (changed("y", json!(&zero)), KeyProblem::InvalidPoint),
        (changed("x", point["y"].clone()), KeyProblem::InvalidPoint),
        (changed("x", json!("AAAA")), KeyProblem::Member("x")),
        (changed("x", json!(1)), KeyProblem::Member("x")),
        (changed("crv", json!("P-521")), KeyProblem::Unsupported),
        (changed("crv", json!("secp256k1")), KeyProblem::Unsupported),
        (changed("d", json!(&zero)), KeyProblem::PrivateMaterial),
        (other(KeyType::P384), KeyProblem::Inconsistent),
        (other(KeyType::X25519), KeyProblem::Inconsistent),
        (
            Value::from(RSA.encryption_key().jwk_members().clone()),
            KeyProblem::Inconsistent,
        ),
        (json!({}), KeyProblem::Member("kty")),
    ] {
        assert_eq!(problem(&p256, &good, &epk), Some(expected), "{epk}");
    }
    let x25519 = generate(KeyManagement::EcdhEs, KeyType::X25519);
    let good = token_for(&x25519, &json!({"enc": "A128GCM"}));
    let u =
        |bytes: [u8; 32]| json!({"kty": "OKP", "crv": "X25519", "x": base64url::encode(&bytes)});
    let mut order_8 = [0; 32];
    order_8.copy_from_slice(
        &base64url::decode("4Ot6fDtBuK4WVuP68Z_EatoJjeucMrH9hmIFFl9JuAA", "x").unwrap(),
    );
    let mut one = [0; 32];
    one[0] = 1;
    for mut bytes in [[0; 32], one, order_8] {
        assert_eq!(
            problem(&x25519, &good, &u(bytes)),
            Some(KeyProblem::InvalidPoint)
        );
        bytes[31] |= 0x80;
        assert_eq!(
            problem(&x25519, &good, &u(bytes)),
            Some(KeyProblem::InvalidPoint)
        );
    }
    for last in [0xec, 0xed, 0xee] {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (last, 0x7f);
        assert_eq!(
            problem(&x25519, &good, &u(bytes)),
            Some(KeyProblem::InvalidPoint)
        );
    }
}

/// The list of small-order points agrees with OpenSSL, which refuses to agree on zero.
///
/// Covers: JWE-A4
#[test]
fn openssl_agrees_on_zero_with_the_refused_points_alone() {
    use openssl::derive::Deriver;
    use openssl::pkey::{Id, PKey};

    let own = PKey::generate_x25519().unwrap();
    let agrees = |u: &[u8; 32]| {
        let peer = PKey::public_key_from_raw_bytes(u, Id::X25519).unwrap();
        let mut deriver = Deriver::new(&own).unwrap();
        deriver.set_peer(&peer).is_ok() && deriver.derive_to_vec().is_ok()
    };
    for small in jwk::SMALL_ORDER_U {
        assert!(!agrees(&small));
    }
    let mut nine = [0; 32];
    nine[0] = 9;
    assert!(agrees(&nine) && jwk::check_x25519(&nine).is_ok());
}

/// Covers: JWE-policy-1, JWE-7518.4.3-1, JWE-7518.4.4-1, JWE-A8, JWKA-7518.6.4-1
#[test]
fn a_key_is_for_one_algorithm_and_never_for_signatures() {
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;

    let private = json!({
        "kty": "EC", "crv": "P-256",
        "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
        "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
        "d": "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw",
    });
    let read = |change: Value| {
        let mut jwk = private.clone();
        jwk.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let text = jwk.to_string();
        DecryptionKey::from_jwk_slice(KeyManagement::EcdhEs, text.as_bytes())
    };
    for good in [
        json!({}),
        json!({"use": "enc", "alg": "ECDH-ES", "kid": "k"}),
        json!({"key_ops": ["deriveKey"]}),
        json!({"use": "enc", "key_ops": ["deriveBits"]}),
    ] {
        assert_eq!(code(read(good.clone())), "valid", "{good}");
    }
    for (change, expected) in [
        (json!({"use": "sig"}), KeyProblem::Inconsistent),
        (json!({"use": "jwt-svid"}), KeyProblem::Inconsistent),
        (json!({"key_ops": ["sign"]}), KeyProblem::Inconsistent),
        (
            json!({"key_ops": ["deriveKey", "sign"]}),
            KeyProblem::Inconsistent,
        ),
        (json!({"key_ops": ["decrypt"]}), KeyProblem::Inconsistent),
        (json!({"key_ops": []}), KeyProblem::Inconsistent),
        (json!({"alg": "ECDH-ES+A128KW"}), KeyProblem::Inconsistent),
        (json!({"alg": "ES256"}), KeyProblem::Inconsistent),
        (json!({"kid": "k".repeat(257)}), KeyProblem::Member("kid")),
        (json!({"d": "AAAA"}), KeyProblem::Member("d")),
        (
            json!({"d": base64url::encode(&[1; 32])}),
            KeyProblem::Mismatch,
        ),
        (
            json!({"y": base64url::encode(&[1; 32])}),
            KeyProblem::InvalidPoint,
        ),
        (json!({"kty": "oct", "k": "AAAA"}), KeyProblem::Unsupported),
    ] {
        let expected = Error::InvalidKey { problem: expected };
        assert_eq!(read(change.clone()).unwrap_err(), expected, "{change}");
    }
    // The wrong kind of key for the algorithm, in every form.
    let spki = PKey::private_key_from_pkcs8(RSA.expose_pkcs8_der()).unwrap();
    let spki = spki.public_key_to_der().unwrap();
    assert_eq!(
        code(EncryptionKey::from_spki_der(
            KeyManagement::RsaOaep256,
            &spki
        )),
        "valid"
    );
    assert_eq!(
        code(EncryptionKey::from_spki_der(KeyManagement::EcdhEs, &spki)),
        "invalid_key"
    );
    let mut longer = spki.clone();
    longer.push(0);
    assert_eq!(
        code(EncryptionKey::from_spki_der(
            KeyManagement::RsaOaep256,
            &longer
        )),
        "invalid_key"
    );
    let pkcs8 = RSA.expose_pkcs8_der();
    assert_eq!(
        code(DecryptionKey::from_pkcs8_der(KeyManagement::EcdhEs, pkcs8)),
        "invalid_key"
    );
    assert_eq!(
        code(DecryptionKey::generate(KeyManagement::EcdhEs, KeyType::Rsa)),
        "invalid_key"
    );

    // RSA below 2048 bits, and an RSA key of which the halves are of different keys.
    let small = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    let small = small.private_key_to_pkcs8().unwrap();
    let weak = DecryptionKey::from_pkcs8_der(KeyManagement::RsaOaep256, &small).unwrap_err();
    assert_eq!(
        weak,
        Error::InvalidKey {
            problem: KeyProblem::WeakRsa
        }
    );

    // A public key is no shared key: neither its JWK nor its bytes are taken for one.
    let public = serde_json::to_vec(&RSA.encryption_key().to_jwk()).unwrap();
    let wrapping = SymmetricKeyManagement::A256Kw;
    assert_eq!(
        code(SymmetricDecryptionKey::from_jwk_slice(wrapping, &public)),
        "invalid_key"
    );
    assert_eq!(
        code(SymmetricDecryptionKey::from_bytes(wrapping, &spki)),
        "invalid_key"
    );
    // An `oct` key is one for the API of symmetric keys alone.
    let oct = json!({"kty": "oct", "k": base64url::encode(&[1; 32])}).to_string();
    assert!(SymmetricDecryptionKey::from_jwk_slice(wrapping, oct.as_bytes()).is_ok());
    assert_eq!(
        code(crate::Jwk::from_slice(oct.as_bytes())),
        "private_key_material"
    );
    for k in [
        json!(1),
        json!("A"),
        json!(format!("{}=", "A".repeat(43))),
        Value::Null,
    ] {
        let wrong = json!({"kty": "oct", "k": k}).to_string();
        let key = SymmetricDecryptionKey::from_jwk_slice(wrapping, wrong.as_bytes());
        assert_eq!(code(key), "invalid_key", "{wrong}");
    }
    for (algorithm, length) in [
        (SymmetricKeyManagement::A128Kw, 16),
        (SymmetricKeyManagement::A256Kw, 32),
        (
            SymmetricKeyManagement::Dir(ContentEncryption::A256CbcHs512),
            64,
        ),
    ] {
        for other in [0, 15, 16, 17, 24, 32, 33, 64] {
            let key = SymmetricDecryptionKey::from_bytes(algorithm, &vec![1; other]);
            assert_eq!(key.is_ok(), other == length, "{algorithm:?} {other}");
        }
    }
    // Private members have no place in a recipient's published key.
    let leaked =
        EncryptionKey::from_jwk_slice(KeyManagement::EcdhEs, private.to_string().as_bytes());
    assert_eq!(code(leaked), "private_key_material");
    assert!(!format!("{:?} {:?}", *RSA, kw(16).0).contains('['));
}
