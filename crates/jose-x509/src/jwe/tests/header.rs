//! The structure of a token and its header.

use super::*;

/// Covers: JWE-7516.3.1-1, JWE-7516.3.2-1, JWE-7516.9-1, JWE-A14
#[test]
fn exactly_five_segments_of_canonical_base64url() {
    let key = ec();
    let good = token_for(&key, &json!({"enc": "A128GCM"}));
    let [header, rest @ ..] = segments(&good);
    for (token, expected) in [
        (String::new(), "jwe_segment_count"),
        ("a.b.c.d".to_owned(), "jwe_segment_count"),
        (format!("{good}."), "jwe_segment_count"),
        (format!("{good}.AAAA"), "jwe_segment_count"),
        (".".repeat(60_000), "jwe_segment_count"),
        (format!("{header}.e30.AAAA"), "signed_not_encrypted"),
        (format!("{good} "), "token_characters"),
        (format!("{good}="), "token_characters"),
        (format!("{header}=.{}", rest.join(".")), "token_characters"),
        (format!("A.{}", rest.join(".")), "invalid_base64"),
        (
            json!({"ciphertext": "", "recipients": []}).to_string(),
            "jwe_json_serialization",
        ),
        (" {}".to_owned(), "jwe_json_serialization"),
        (good.clone(), "valid"),
    ] {
        assert_eq!(decrypt(key.clone(), &token), expected, "{token}");
    }
    // Unused bits that are not zero: 22 characters hold 16 bytes and four bits.
    let (front, last) = good.split_at(good.len() - 1);
    let next = char::from(last.as_bytes()[0] + 1);
    assert_eq!(
        decrypt(key.clone(), &format!("{front}{next}")),
        "decryption_failed"
    );
    // Without `enc` five segments are no JWE, and with it three segments are no JWS.
    let mut members = header_of(&good);
    members.remove("enc");
    let token = with_header(&good, &Value::from(members).to_string());
    assert_eq!(decrypt(key, &token), "missing_header");
    let header = base64url::encode(br#"{"alg":"ES256","enc":"A128GCM"}"#);
    let jws = format!("{header}.e30.AAAA");
    assert_eq!(
        code(jws::UnverifiedJws::parse(&jws)),
        "encrypted_not_signed"
    );
}

/// Covers: JWE-policy-2
#[test]
fn sizes_are_bounded_before_anything_is_decoded() {
    let key = ec();
    let long = format!("!{}", "A".repeat(64 * 1024));
    assert_eq!(decrypt(key.clone(), &long), "too_large");
    let good = token_for(&key, &json!({"enc": "A128GCM"}));
    let long = with_members(&good, &json!({"pad": "A".repeat(8 * 1024)}));
    assert_eq!(decrypt(key.clone(), &long), "too_large");
    assert_eq!(code(Limits::new(64 * 1024 + 1, 1)), "invalid_option");
    assert_eq!(code(Limits::new(1, 8 * 1024 + 1)), "invalid_option");
    let narrow = Decrypter::new(key.clone()).with_limits(Limits::new(good.len() - 1, 100).unwrap());
    assert_eq!(code(narrow.decrypt(&good)), "too_large");
    let header_only = Decrypter::new(key.clone()).with_limits(Limits::new(65536, 100).unwrap());
    assert_eq!(code(header_only.decrypt(&good)), "too_large");

    let encrypting = |length: usize| {
        let header = ProtectedHeader::new();
        code(encrypt(
            key.encryption_key(),
            ContentEncryption::A128Gcm,
            &header,
            &vec![0; length],
        ))
    };
    assert_eq!(encrypting(48_000), "valid");
    assert_eq!(encrypting(49_000), "too_large");
    assert_eq!(encrypting(1 << 20), "too_large");
}

/// Covers: JWE-7516.4-1, JWE-7516.4.1.13-1, JWE-7516.4.1.4-1, JWE-7518.4.6.1-1, JWE-7516.4.1.2-1, JWE-8725bis.3.3-1
#[test]
fn the_header_is_read_as_strictly_as_that_of_a_jws() {
    let key = ec();
    let good = token_for(&key, &json!({"enc": "A128GCM"}));
    let refusal = |members: Value| decrypt(key.clone(), &with_members(&good, &members));
    let kilobyte = base64url::encode(&[0; 1024]);
    for (members, expected) in [
        (json!({"enc": "none"}), "unsupported_content_encryption"),
        (json!({"enc": "A128CBC"}), "unsupported_content_encryption"),
        (json!({"enc": "A192GCM"}), "unsupported_content_encryption"),
        (
            json!({"enc": "A192CBC-HS384"}),
            "unsupported_content_encryption",
        ),
        (json!({"enc": "a128gcm"}), "unsupported_content_encryption"),
        (json!({"enc": 1}), "header_type"),
        (json!({"alg": ["ECDH-ES"]}), "header_type"),
        (json!({"typ": 1}), "header_type"),
        (json!({"cty": {}}), "header_type"),
        (json!({"kid": null}), "header_type"),
        (json!({"iss": 1}), "header_type"),
        (json!({"sub": null}), "header_type"),
        (json!({"aud": [1]}), "header_type"),
        (json!({"aud": {}}), "header_type"),
        (json!({"kid": "k".repeat(257)}), "header_type"),
        (json!({"apu": 1}), "header_type"),
        (json!({"apv": ["Qm9i"]}), "header_type"),
        (json!({"apu": "Qm9i="}), "invalid_base64"),
        (json!({"apv": "Qm9"}), "invalid_base64"),
        (json!({"apu": &kilobyte}), "too_large"),
        (json!({"apv": &kilobyte}), "too_large"),
        (json!({"epk": "x"}), "header_type"),
        (json!({"crit": ["zip"]}), "invalid_critical"),
        (json!({"crit": ["enc"]}), "invalid_critical"),
        (json!({"crit": ["exp"]}), "invalid_critical"),
        (json!({"crit": []}), "invalid_critical"),
        (json!({"crit": "exp"}), "invalid_critical"),
        (
            json!({"crit": ["exp", "exp"], "exp": 1}),
            "invalid_critical",
        ),
        (json!({"crit": ["exp"], "exp": 1}), "unsupported_critical"),
        (json!({"b64": true}), "unencoded_payload"),
        (
            json!({"jku": "https://attacker.example"}),
            "header_key_material",
        ),
        (
            json!({"jwk": key.encryption_key().to_jwk()}),
            "header_key_material",
        ),
        (
            json!({"x5u": "https://attacker.example"}),
            "header_key_material",
        ),
        (json!({"x5c": []}), "header_key_material"),
    ] {
        assert_eq!(refusal(members.clone()), expected, "{members}");
    }
    for (header, expected) in [
        (
            r#"{"alg":"ECDH-ES+A128KW","enc":"A128GCM","enc":"A128GCM"}"#,
            "duplicate_member",
        ),
        (
            r#"{"alg":"ECDH-ES+A128KW","enc":"A128GCM","\u0065nc":"A256GCM"}"#,
            "duplicate_member",
        ),
        (
            r#"{"alg":"ECDH-ES+A128KW","enc":"A128GCM","epk":{"x":"","x":""}}"#,
            "duplicate_member",
        ),
        (r#"{"enc":"A128GCM"}"#, "missing_header"),
        (
            r#"{"alg":"ECDH-ES+A128KW","enc":"A128GCM"}"#,
            "missing_header",
        ),
        (r#"["ECDH-ES"]"#, "json_shape"),
        ("", "invalid_json"),
    ] {
        assert_eq!(
            decrypt(key.clone(), &with_header(&good, header)),
            expected,
            "{header}"
        );
    }
    // Anything that nobody has to understand is protected, too.
    assert_eq!(refusal(json!({"x5t": "AAAA"})), "decryption_failed");
    assert_eq!(refusal(json!({"unknown": 1})), "decryption_failed");
    let token = token_for(&key, &json!({"enc": "A128GCM", "unknown": 1}));
    assert_eq!(decrypt(key, &token), "valid");
}

/// Covers: JWT-8725bis.3.13-1, JWT-8725bis.3.15-1
/// Covers: JWE-7516.4.1.1-1, JWE-7518.4.8-1, JWE-7516.4.1.3-1, JWE-A1, JWE-A2, JWE-A5, JWE-A6
#[test]
fn algorithms_that_are_dangerous_do_not_exist() {
    let key = RSA.clone();
    let good = token_for(&key, &json!({"enc": "A128GCM"}));
    for alg in [
        "RSA1_5",
        "RSA-OAEP",
        "RSA-OAEP-384",
        "RSA-OAEP-512",
        "PBES2-HS256+A128KW",
        "PBES2-HS384+A192KW",
        "PBES2-HS512+A256KW",
        "A192KW",
        "A128GCMKW",
        "A192GCMKW",
        "A256GCMKW",
        "ECDH-ES+A192KW",
        "HPKE-0",
        "none",
        "rsa-oaep-256",
        "RSA-OAEP-256 ",
        "",
    ] {
        let token = with_members(
            &good,
            &json!({"alg": alg, "p2c": 2_147_483_647_u32, "p2s": 0}),
        );
        assert_eq!(
            decrypt(key.clone(), &token),
            "unsupported_key_management",
            "{alg}"
        );
        assert_eq!(KeyManagement::from_name(alg), None);
    }
    // Not even for a token that is otherwise good, and whatever the value is.
    let bomb = foreign(
        key.encryption_key().encrypter(),
        &json!({"enc": "A128GCM", "zip": "DEF"}),
        &vec![0; 1_000_000],
    );
    assert!(bomb.len() < 4096);
    assert_eq!(decrypt(key.clone(), &bomb), "compressed");
    for zip in [json!("GZ"), json!(""), json!(null), json!(1)] {
        assert_eq!(
            decrypt(key.clone(), &with_members(&good, &json!({"zip": zip}))),
            "compressed"
        );
    }
}

/// Covers: JWE-7516.4.1.1-1, JWE-7518.4.5-1, JWE-7516.4.1.2-1, JWE-A2
#[test]
fn the_key_decides_the_algorithm() {
    let all = |tokens: Vec<(&'static str, String)>, key: &DecryptionKey, own: &str| {
        for (alg, token) in tokens {
            let expected = if alg == own {
                "valid"
            } else {
                "jwe_key_mismatch"
            };
            assert_eq!(decrypt(key.clone(), &token), expected, "{alg} for {own}");
        }
    };
    for (algorithm, kind) in [
        (KeyManagement::EcdhEs, KeyType::P256),
        (KeyManagement::EcdhEsA128Kw, KeyType::P256),
        (KeyManagement::RsaOaep256, KeyType::Rsa),
    ] {
        let key = generate(algorithm, kind);
        let good = token_for(&key, &json!({"enc": "A128GCM"}));
        let named = KeyManagement::ALL.map(KeyManagement::name).into_iter();
        let named = named.chain(["A128KW", "A256KW", "dir"]);
        let tokens = named.map(|alg| match alg {
            alg if alg == algorithm.name() => (alg, good.clone()),
            alg => (alg, with_members(&good, &json!({"alg": alg}))),
        });
        all(tokens.collect(), &key, algorithm.name());
    }
    // A shared content key is for one `enc` alone, even for one with keys of the same length.
    let (key, encrypter) = direct(ContentEncryption::A256Gcm);
    let token = foreign(&*encrypter, &json!({"enc": "A128CBC-HS256"}), PLAINTEXT);
    assert_eq!(decrypt(key.clone(), &token), "jwe_key_mismatch");
    let good = foreign(&*encrypter, &json!({"enc": "A256GCM"}), PLAINTEXT);
    assert_eq!(decrypt(key.clone(), &good), "valid");
    let narrow = Decrypter::new(key).with_content_encryptions(&[ContentEncryption::A128Gcm]);
    let error = narrow.decrypt(&good).unwrap_err();
    assert_eq!(
        (error.code(), error.fault()),
        ("content_encryption_not_allowed", Fault::Policy)
    );
}

/// Covers: JWE-8725bis.3.3-1
#[test]
fn kid_selects_among_the_recipients_keys_and_nothing_else() {
    let (old, new) = (ec().with_kid("old"), ec().with_kid("new"));
    let both = Decrypter::new(old.clone()).with_key(new.clone()).unwrap();
    for key in [&old, &new] {
        let token = token_for(
            key,
            &json!({"enc": "A128GCM", "kid": key.encryption_key().kid()}),
        );
        assert_eq!(code(both.decrypt(&token)), "valid");
    }
    let crossed = token_for(&old, &json!({"enc": "A128GCM", "kid": "new"}));
    assert_eq!(code(both.decrypt(&crossed)), "decryption_failed");
    let stranger = token_for(&old, &json!({"enc": "A128GCM", "kid": "other"}));
    let error = both.decrypt(&stranger).unwrap_err();
    assert_eq!(error, JweError::UnknownRecipientKey.into());
    assert!(!error.refresh_may_help());
    let nameless = token_for(&old, &json!({"enc": "A128GCM"}));
    assert_eq!(code(both.decrypt(&nameless)), "ambiguous_key");
    assert_eq!(code(both.with_key(ec().with_kid("old"))), "duplicate_kid");
    assert_eq!(decrypt(old.clone(), &nameless), "valid");
    assert_eq!(decrypt(old, &stranger), "unknown_recipient_key");
    // A key without a name is for any name.
    let unnamed = ec();
    let token = token_for(&unnamed, &json!({"enc": "A128GCM", "kid": "any"}));
    assert_eq!(decrypt(unnamed, &token), "valid");
}
