//! Signed tokens inside.

use super::*;

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

/// Covers: JWT-7519.5.2-1, JWT-7519.11.2-1, JWT-8725bis.3.3-1, JWT-8725bis.3.11-2, JWT-A18, JWT-A19
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

/// Covers: JWE-7519.5.3-1, JWT-7519.5.3-1
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
