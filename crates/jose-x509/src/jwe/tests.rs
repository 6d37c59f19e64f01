//! Tokens come from josekit itself, without the checks of this module, or from RFCs; so the two halves of the
//! module are not only tested against each other.

use std::sync::LazyLock;
use std::time::Duration;

use josekit::jwe::{JweContext, JweEncrypter, JweHeader};
use openssl::symm::{Cipher, encrypt_aead};
use pki_types::UnixTime;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::algorithm::Algorithm;
use crate::base64url;
use crate::error::{Error, Fault, KeyProblem};
use crate::jws;
use crate::jwt::{self, Audience, Issuer, Jwt, Type, Validator};
use crate::provider::{CryptoProvider, ring};
use crate::sign::SigningKey;

const PROVIDER: CryptoProvider = ring::provider();
const NOW: u64 = 1_800_000_000;
const PLAINTEXT: &[u8] = b"Live long and prosper.";

/// The pairs of algorithm and kind of key that exist.
const KINDS: [(KeyManagement, KeyType); 10] = {
    use KeyManagement as A;
    use KeyType as K;
    [
        (A::EcdhEs, K::P256),
        (A::EcdhEs, K::P384),
        (A::EcdhEs, K::X25519),
        (A::EcdhEsA128Kw, K::P256),
        (A::EcdhEsA128Kw, K::P384),
        (A::EcdhEsA128Kw, K::X25519),
        (A::EcdhEsA256Kw, K::P256),
        (A::EcdhEsA256Kw, K::P384),
        (A::EcdhEsA256Kw, K::X25519),
        (A::RsaOaep256, K::Rsa),
    ]
};

static RSA: LazyLock<DecryptionKey> =
    LazyLock::new(|| DecryptionKey::generate(KeyManagement::RsaOaep256, KeyType::Rsa).unwrap());

fn generate(algorithm: KeyManagement, kind: KeyType) -> DecryptionKey {
    match kind {
        KeyType::Rsa => RSA.clone(),
        _ => DecryptionKey::generate(algorithm, kind).unwrap(),
    }
}

fn ec() -> DecryptionKey {
    generate(KeyManagement::EcdhEsA128Kw, KeyType::P256)
}

/// A token of josekit alone.
fn foreign(encrypter: &dyn JweEncrypter, header: &Value, plaintext: &[u8]) -> String {
    let header = JweHeader::from_map(header.as_object().unwrap().clone()).unwrap();
    JweContext::new()
        .serialize_compact(plaintext, &header, encrypter)
        .unwrap()
}

/// A token for [`ec`] and its like, of which the header has these members beside those that josekit sets.
fn token_for(key: &DecryptionKey, header: &Value) -> String {
    foreign(key.encryption_key().encrypter(), header, PLAINTEXT)
}

fn header_of(token: &str) -> Map<String, Value> {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&base64url::decode(header, "header").unwrap()).unwrap()
}

/// The token with another header, and with everything else as it was.
fn with_header(token: &str, header: &str) -> String {
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", base64url::encode(header.as_bytes()))
}

/// The token with some members of its header set.
fn with_members(token: &str, members: &Value) -> String {
    let mut header = header_of(token);
    header.extend(members.as_object().unwrap().clone());
    with_header(token, &Value::from(header).to_string())
}

fn segments(token: &str) -> [String; 5] {
    let segments: Vec<String> = token.split('.').map(str::to_owned).collect();
    segments.try_into().unwrap()
}

fn with_segment(token: &str, index: usize, bytes: &[u8]) -> String {
    let mut segments = segments(token);
    segments[index] = base64url::encode(bytes);
    segments.join(".")
}

fn segment(token: &str, index: usize) -> Vec<u8> {
    base64url::decode(&segments(token)[index], "segment").unwrap()
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

fn decrypt(key: impl Into<RecipientKey>, token: &str) -> &'static str {
    code(Decrypter::new(key).decrypt(token))
}

fn kw(bytes: usize) -> (SymmetricDecryptionKey, Box<dyn JweEncrypter>) {
    let key = vec![7; bytes];
    if bytes == 16 {
        let own = SymmetricDecryptionKey::from_bytes(SymmetricKeyManagement::A128Kw, &key);
        let encrypter = josekit::jwe::A128KW.encrypter_from_bytes(&key).unwrap();
        (own.unwrap(), Box::new(encrypter))
    } else {
        let own = SymmetricDecryptionKey::from_bytes(SymmetricKeyManagement::A256Kw, &key);
        let encrypter = josekit::jwe::A256KW.encrypter_from_bytes(&key).unwrap();
        (own.unwrap(), Box::new(encrypter))
    }
}

fn direct(content: ContentEncryption) -> (SymmetricDecryptionKey, Box<dyn JweEncrypter>) {
    let key = vec![9; content.key_len()];
    let algorithm = SymmetricKeyManagement::Dir(content);
    let own = SymmetricDecryptionKey::from_bytes(algorithm, &key).unwrap();
    let encrypter = josekit::jwe::Dir.encrypter_from_bytes(&key).unwrap();
    (own, Box::new(encrypter))
}

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
    assert_eq!(error, Error::UnknownKey);
    let nameless = token_for(&old, &json!({"enc": "A128GCM"}));
    assert_eq!(code(both.decrypt(&nameless)), "ambiguous_key");
    assert_eq!(code(both.with_key(ec().with_kid("old"))), "duplicate_kid");
    assert_eq!(decrypt(old.clone(), &nameless), "valid");
    assert_eq!(decrypt(old, &stranger), "unknown_key");
    // A key without a name is for any name.
    let unnamed = ec();
    let token = token_for(&unnamed, &json!({"enc": "A128GCM", "kid": "any"}));
    assert_eq!(decrypt(unnamed, &token), "valid");
}

/// Covers: JWE-7516.5.2-1, JWE-7516.5.2-2, JWE-7516.5.2-3, JWE-7516.5.2-4, JWE-7516.11.5-1, JWE-7518.5.2-1, JWE-7518.5.3-1, JWE-7518.4.3-1, JWE-A9, JWE-A10, JWE-A11, JWE-A12
#[test]
fn whatever_fails_after_the_header_is_one_error() {
    let mut cases: Vec<(RecipientKey, String)> = Vec::new();
    for (algorithm, kind) in KINDS {
        let key = generate(algorithm, kind);
        for content in ContentEncryption::ALL {
            let token = token_for(&key, &json!({"enc": content.name()}));
            cases.push((key.clone().into(), token));
        }
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

/// Covers: JWE-7518.4.6-1, JWE-A3, JWE-A4
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

/// Covers: JWE-policy-1, JWE-7518.4.3-1, JWE-7518.4.4-1, JWE-A8
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

/// Covers: JWE-7516.11.2-1, JWE-A11, JWE-A13
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

fn validator() -> Validator {
    Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::Exactly("https://as.example".into()),
        Audience::AnyOf(vec!["https://api.example".into()]),
    )
}

struct Nested {
    signer: SigningKey,
    recipient: DecryptionKey,
}

impl Nested {
    fn new() -> Self {
        Self {
            signer: SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap(),
            recipient: ec(),
        }
    }

    fn signed(&self, typ: &'static str) -> String {
        let claims = json!({
            "iss": "https://as.example", "sub": "u", "aud": ["https://api.example"], "exp": NOW + 60,
        });
        jwt::sign(&self.signer, &jws::ProtectedHeader::new(typ), &claims).unwrap()
    }

    fn seal(&self, header: &ProtectedHeader, plaintext: &str) -> String {
        let key = self.recipient.encryption_key();
        encrypt(
            key,
            ContentEncryption::A128Gcm,
            header,
            plaintext.as_bytes(),
        )
        .unwrap()
    }

    fn open(&self, token: &str) -> Result<Jwt, Error> {
        Decrypter::new(self.recipient.clone()).decrypt_jwt(
            token,
            &validator(),
            &self.signer.verifying_key().unwrap(),
            UnixTime::since_unix_epoch(Duration::from_secs(NOW)),
        )
    }
}

/// Covers: JWE-7519.7.2-1, JWE-7516.11.4-1, JWE-7516.4.1.11-1, JWE-A7, JWE-8725bis.3.3-1
#[test]
fn claims_come_from_the_signed_token_inside_alone() {
    let nested = Nested::new();
    let key = nested.recipient.encryption_key();
    let signed = nested.signed("at+jwt");
    let token = encrypt_jwt(key, ContentEncryption::A256CbcHs512, &signed).unwrap();
    assert_eq!(nested.open(&token).unwrap().subject(), Some("u"));
    for cty in ["JWT", "jwt", "application/jwt"] {
        let header = ProtectedHeader::new().with_cty(cty).with_typ("JWT");
        assert_eq!(
            code(nested.open(&nested.seal(&header, &signed))),
            "valid",
            "{cty}"
        );
    }
    let without = nested.seal(&ProtectedHeader::new(), &signed);
    assert_eq!(code(nested.open(&without)), "not_nested_jwt");
    let other = nested.seal(&ProtectedHeader::new().with_cty("JWT;x=1"), &signed);
    assert_eq!(code(nested.open(&other)), "not_nested_jwt");

    let header = ProtectedHeader::new().with_cty("JWT");
    let claims =
        json!({"iss": "https://as.example", "aud": "https://api.example", "exp": NOW + 60});
    let encoded = base64url::encode(claims.to_string().as_bytes());
    let none = base64url::encode(br#"{"alg":"none","typ":"at+jwt"}"#);
    let (input, signature) = signed.rsplit_once('.').unwrap();
    let mut forged = base64url::decode(signature, "signature").unwrap();
    forged[0] ^= 1;
    let forged = format!("{input}.{}", base64url::encode(&forged));
    let stranger = Nested::new().signed("at+jwt");
    for (inner, expected) in [
        // Claims that an attacker encrypted, without a signature and with a worthless one.
        (claims.to_string(), "json_serialization"),
        (format!("{none}.{encoded}."), "empty_signature"),
        (format!("{none}.{encoded}.AAAA"), "unsupported_algorithm"),
        (forged, "invalid_signature"),
        (stranger, "invalid_signature"),
        (nested.signed("JWT"), "wrong_type"),
        // One level, no more.
        (token.clone(), "encrypted_not_signed"),
        (String::new(), "segment_count"),
    ] {
        assert_eq!(
            code(nested.open(&nested.seal(&header, &inner))),
            expected,
            "{inner}"
        );
    }
    let key = nested.recipient.encryption_key();
    let binary = encrypt(key, ContentEncryption::A128Gcm, &header, &[0xff; 8]).unwrap();
    assert_eq!(code(nested.open(&binary)), "token_characters");
    assert_eq!(
        code(encrypt_jwt(key, ContentEncryption::A128Gcm, "{}")),
        "json_serialization"
    );
    assert_eq!(
        code(encrypt_jwt(key, ContentEncryption::A128Gcm, &token)),
        "encrypted_not_signed"
    );
    // Decryption alone hands out nothing but bytes.
    let plaintext = Decrypter::new(nested.recipient.clone())
        .decrypt(&token)
        .unwrap();
    assert_eq!(plaintext.unauthenticated_bytes(), signed.as_bytes());
    assert_eq!(plaintext.content_type(), Some("JWT"));
    assert_eq!(plaintext.typ(), None);
    assert!(!format!("{plaintext:?}").contains(&signed));
}

/// Covers: JWE-7519.5.3-1
#[test]
fn replicated_claims_equal_the_signed_ones() {
    let nested = Nested::new();
    let signed = nested.signed("at+jwt");
    let opened = |name: &str, value: Value| {
        let header = ProtectedHeader::new()
            .with_cty("JWT")
            .with_parameter(name, value)
            .unwrap();
        code(nested.open(&nested.seal(&header, &signed)))
    };
    for (name, value) in [
        ("iss", json!("https://as.example")),
        ("sub", json!("u")),
        ("aud", json!(["https://api.example"])),
        ("jti", json!("not compared")),
    ] {
        assert_eq!(opened(name, value), "valid", "{name}");
    }
    for (name, value) in [
        ("iss", json!("https://other.example")),
        ("sub", json!("v")),
        ("aud", json!("https://api.example")),
        (
            "aud",
            json!(["https://api.example", "https://other.example"]),
        ),
    ] {
        assert_eq!(
            opened(name, value.clone()),
            "replicated_claim_mismatch",
            "{name} {value}"
        );
    }
}

/// Covers: JWE-A15
#[test]
fn a_profile_can_hide_the_length_of_its_claims() {
    // The length of the token follows from the length of the plaintext alone, so equal padding hides it.
    let nested = Nested::new();
    let sealed = |subject: &str| {
        let claims = json!({"sub": subject, "pad": " ".repeat(64 - subject.len())}).to_string();
        nested.seal(&ProtectedHeader::new(), &claims).len()
    };
    assert_eq!(sealed("a"), sealed("a-much-longer-subject"));
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
