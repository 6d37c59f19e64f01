//! Whole tokens: what decrypts, and that nothing tells why something does not.

use super::*;

/// Covers: JWE-7516.5.2-1, JWE-7518.4.6.2-1, JWE-7518.4.3-1, JWE-7518.5.3-1
#[test]
fn every_algorithm_decrypts_what_josekit_and_this_module_encrypt() {
    for (algorithm, kind) in KINDS {
        let key = generate(algorithm, kind).with_kid("k");
        let read = EncryptionKey::from_jwk_slice(
            algorithm,
            &serde_json::to_vec(&key.encryption_key().to_jwk()).unwrap(),
        )
        .unwrap();
        assert_eq!(read.to_jwk(), key.encryption_key().to_jwk());
        let again = DecryptionKey::from_pkcs8_der(algorithm, key.expose_pkcs8_der()).unwrap();
        for content in ContentEncryption::ALL {
            let header = json!({"enc": content.name(), "apu": "QWxpY2U", "apv": "Qm9i"});
            let foreign = token_for(&key, &header);
            let own = encrypt(&read, content, &ProtectedHeader::new(), PLAINTEXT).unwrap();
            let plaintext = Decrypter::new(again.clone()).decrypt(&foreign).unwrap();
            assert_eq!(plaintext.unauthenticated_bytes(), PLAINTEXT);
            assert_eq!(plaintext.content_encryption(), content);
            let plaintext = Decrypter::new(key.clone()).decrypt(&own).unwrap();
            assert_eq!(*plaintext.into_unauthenticated_bytes(), PLAINTEXT);
        }
    }
    for content in ContentEncryption::ALL {
        for (key, encrypter) in [kw(16), kw(32), direct(content)] {
            let token = foreign(&*encrypter, &json!({"enc": content.name()}), PLAINTEXT);
            let plaintext = Decrypter::new(key).decrypt(&token).unwrap();
            assert_eq!(plaintext.unauthenticated_bytes(), PLAINTEXT);
        }
    }
}

/// RFC 7518 appendix C: the derived key is published, so content encrypted with it has to decrypt.
///
/// Covers: JWE-7518.4.6.2-1, JWE-7516.5.2-2
#[test]
fn the_published_key_agreement_gives_the_published_key() {
    let derived = base64url::decode("VqqN6vgjbSBcIijNcacQGg", "key").unwrap();
    let bob = json!({
        "kty": "EC", "crv": "P-256",
        "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
        "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
        "d": "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw",
    });
    let header = json!({
        "alg": "ECDH-ES", "enc": "A128GCM", "apu": "QWxpY2U", "apv": "Qm9i",
        "epk": {
            "kty": "EC", "crv": "P-256",
            "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
            "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
        },
    });
    let header = base64url::encode(header.to_string().as_bytes());
    let (iv, mut tag) = ([3; 12], [0; 16]);
    let ciphertext = encrypt_aead(
        Cipher::aes_128_gcm(),
        &derived,
        Some(&iv),
        header.as_bytes(),
        PLAINTEXT,
        &mut tag,
    )
    .unwrap();
    let [iv, ciphertext, tag] = [&iv[..], &ciphertext, &tag].map(base64url::encode);
    let token = format!("{header}..{iv}.{ciphertext}.{tag}");
    let key = DecryptionKey::from_jwk_slice(KeyManagement::EcdhEs, bob.to_string().as_bytes());
    let plaintext = Decrypter::new(key.unwrap()).decrypt(&token).unwrap();
    assert_eq!(plaintext.unauthenticated_bytes(), PLAINTEXT);
}

/// RFC 7516 appendix A.3.
///
/// Covers: JWE-7518.4.4-1, JWE-7518.5.2-1
#[test]
fn the_published_key_wrap_example_decrypts() {
    let token = "eyJhbGciOiJBMTI4S1ciLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.6KB707dM9YTIgHtLvtgWQ8mKwboJW3of9locizkDTHzBC2IlrT1oOQ.AxY8DCtDaGlsbGljb3RoZQ.KDlTtXchhZTGufMYmOYGS4HffxPSUrfmqCHXaI9wOGY.U0m_YmjN04DJvceFICbCVQ";
    let jwk = br#"{"kty":"oct","k":"GawgguFyGrWKav7AX4VKUg"}"#;
    let key = SymmetricDecryptionKey::from_jwk_slice(SymmetricKeyManagement::A128Kw, jwk).unwrap();
    let plaintext = Decrypter::new(key).decrypt(token).unwrap();
    assert_eq!(plaintext.unauthenticated_bytes(), PLAINTEXT);
}

/// Covers: JWE-7516.5.2-1, JWE-7516.5.2-2, JWE-7516.5.2-3, JWE-7516.5.2-4, JWE-7516.11.5-1, JWE-7518.5.2-1, JWE-7518.5.3-1, JWE-7518.4.3-1, JWE-A9, JWE-A10, JWE-A11, JWE-A12
#[test]
fn whatever_fails_after_the_header_is_one_error() {
    let mut cases: Vec<(RecipientKey, String)> = Vec::new();
    // The shared keys go through all content encryptions, so the pairs need one each.
    let contents = ContentEncryption::ALL.into_iter().cycle();
    for ((algorithm, kind), content) in KINDS.into_iter().zip(contents) {
        let key = generate(algorithm, kind);
        let token = token_for(&key, &json!({"enc": content.name()}));
        cases.push((key.into(), token));
    }
    for content in ContentEncryption::ALL {
        for (key, encrypter) in [kw(16), kw(32), direct(content)] {
            let token = foreign(&*encrypter, &json!({"enc": content.name()}), PLAINTEXT);
            cases.push((key.into(), token));
        }
    }
    for (key, token) in cases {
        let decrypter = Decrypter::new(key);
        assert_eq!(code(decrypter.decrypt(&token)), "valid");
        let check = |token: &str, what: &str| {
            let error = decrypter.decrypt(token).unwrap_err();
            assert_eq!(
                error,
                Error::Jwe(JweError::DecryptionFailed),
                "{what}: {token}"
            );
            assert_eq!(error.to_string(), "the token cannot be decrypted");
            assert_eq!(format!("{error:?}"), "Jwe(DecryptionFailed)");
        };
        for index in 1..5 {
            let bytes = segment(&token, index);
            for length in [
                0, 1, 4, 7, 8, 12, 13, 15, 16, 17, 24, 32, 40, 48, 255, 256, 257, 400,
            ] {
                if length != bytes.len() {
                    let mut other = bytes.clone();
                    other.resize(length, 0);
                    check(&with_segment(&token, index, &other), "length");
                }
            }
            for position in 0..bytes.len() {
                let mut other = bytes.clone();
                other[position] ^= 0x01;
                check(&with_segment(&token, index, &other), "bit");
                if position > 4 {
                    break;
                }
            }
        }
        // The same header in other words is another header.
        let header = Value::from(header_of(&token)).to_string();
        check(&with_header(&token, &format!("{header} ")), "header");
    }
}

/// A sender who knows the key, and so can make a right MAC over wrong padding, gets the same error.
///
/// Covers: JWE-7518.5.2-1, JWE-A10
#[test]
fn padding_is_looked_at_only_under_a_right_mac() {
    use openssl::hash::MessageDigest;
    use openssl::symm::{Crypter, Mode};

    let content = ContentEncryption::A128CbcHs256;
    let (key, encrypter) = direct(content);
    let good = foreign(&*encrypter, &json!({"enc": content.name()}), PLAINTEXT);
    let [header, _, iv, _, _] = segments(&good);
    let cek = vec![9; content.key_len()];
    let (mac_key, enc_key) = cek.split_at(16);
    let forge = |plaintext: &[u8], right_mac: bool| {
        let iv_bytes = base64url::decode(&iv, "iv").unwrap();
        let cipher = Cipher::aes_128_cbc();
        let mut crypter = Crypter::new(cipher, Mode::Encrypt, enc_key, Some(&iv_bytes)).unwrap();
        crypter.pad(false);
        let mut ciphertext = vec![0; plaintext.len() + 16];
        let length = crypter.update(plaintext, &mut ciphertext).unwrap();
        ciphertext.truncate(length);
        let bits = (u64::try_from(header.len()).unwrap() * 8).to_be_bytes();
        let input = [header.as_bytes(), &iv_bytes, &ciphertext, &bits].concat();
        let mac_key = openssl::pkey::PKey::hmac(mac_key).unwrap();
        let mut signer = openssl::sign::Signer::new(MessageDigest::sha256(), &mac_key).unwrap();
        let mut tag = signer.sign_oneshot_to_vec(&input).unwrap();
        tag.truncate(16);
        if !right_mac {
            tag[15] ^= 1;
        }
        let [ciphertext, tag] = [&ciphertext, &tag].map(|bytes| base64url::encode(bytes));
        format!("{header}..{iv}.{ciphertext}.{tag}")
    };
    let right_padding = b"fifteen bytes!!\x01";
    let wrong_padding = b"sixteen bytes!!\x11";
    let decrypter = Decrypter::new(key);
    let plaintext = decrypter.decrypt(&forge(right_padding, true)).unwrap();
    assert_eq!(plaintext.unauthenticated_bytes(), b"fifteen bytes!!");
    for (plaintext, right_mac) in [
        (right_padding, false),
        (wrong_padding, false),
        (wrong_padding, true),
    ] {
        let error = decrypter.decrypt(&forge(plaintext, right_mac)).unwrap_err();
        assert_eq!(error, JweError::DecryptionFailed.into());
    }
}

/// Covers: JWE-7516.5.2-3, JWE-7516.11.5-1
#[test]
fn a_content_key_of_another_length_is_as_good_as_none() {
    // The sender wraps 32 bytes where 16 are needed. The lengths of the segments show it already.
    let (key, encrypter) = kw(16);
    let mut out = JweHeader::new();
    let wrapped = encrypter
        .encrypt(&[1; 32], &JweHeader::new(), &mut out)
        .unwrap()
        .unwrap();
    let good = foreign(&*encrypter, &json!({"enc": "A128GCM"}), PLAINTEXT);
    assert_eq!(
        decrypt(key, &with_segment(&good, 1, &wrapped)),
        "decryption_failed"
    );
    // With RSA they do not.
    let encrypter = RSA.encryption_key().encrypter();
    for length in [0, 15, 17, 32] {
        let wrapped = encrypter.encrypt(&vec![1; length], &JweHeader::new(), &mut out);
        let good = token_for(&RSA, &json!({"enc": "A128GCM"}));
        let token = with_segment(&good, 1, &wrapped.unwrap().unwrap());
        assert_eq!(
            decrypt(RSA.clone(), &token),
            "decryption_failed",
            "{length}"
        );
    }
}

/// Covers: JWE-7516.11.2-1, JWE-A11, JWE-A13, JWT-8725bis.3.6-1
#[test]
fn every_encryption_is_fresh_and_none_compresses() {
    let key = ec();
    for content in ContentEncryption::ALL {
        let make = |plaintext: &[u8]| {
            encrypt(
                key.encryption_key(),
                content,
                &ProtectedHeader::new(),
                plaintext,
            )
            .unwrap()
        };
        let (one, other) = (make(PLAINTEXT), make(PLAINTEXT));
        for index in 1..5 {
            assert_ne!(segment(&one, index), segment(&other, index), "{index}");
        }
        assert_ne!(header_of(&one)["epk"], header_of(&other)["epk"]);
        assert!(!header_of(&one).contains_key("zip"));
        assert!(segment(&make(&[0; 10_000]), 3).len() >= 10_000);
    }
    for name in [
        "zip", "alg", "enc", "kid", "crit", "epk", "jwk", "b64", "p2c", "cty",
    ] {
        let parameter = ProtectedHeader::new().with_parameter(name, "DEF");
        assert_eq!(code(parameter), "invalid_option", "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_encrypted_decrypts(plaintext: Vec<u8>, which in 0..9_usize, content in 0..4_usize) {
        let (algorithm, kind) = KINDS[which];
        let key = generate(algorithm, kind);
        let content = ContentEncryption::ALL[content];
        let token = encrypt(key.encryption_key(), content, &ProtectedHeader::new(), &plaintext).unwrap();
        let opened = Decrypter::new(key).decrypt(&token).unwrap();
        prop_assert_eq!(opened.unauthenticated_bytes(), &plaintext[..]);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[A-Za-z0-9_.{}\" -]{0,200}") {
        prop_assert!(Decrypter::new(ec()).decrypt(&text).is_err());
    }
}
