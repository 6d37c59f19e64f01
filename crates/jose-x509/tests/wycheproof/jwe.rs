//! Encrypted tokens.

use jose_x509::jwe::{
    ContentEncryption, Decrypter, DecryptionKey, KeyManagement, RecipientKey,
    SymmetricDecryptionKey, SymmetricKeyManagement,
};
use serde_json::Value;

use crate::{Verdict, check, exceptions};

fn decrypt(group: &Value, test: &Value) -> Verdict {
    // Tests of the JSON serialization have an object in place of the token.
    let token = match &test["jwe"] {
        Value::String(token) => token.clone(),
        other => other.to_string(),
    };
    let plaintext = Decrypter::new(key(&group["private"])?)
        .decrypt(&token)
        .map_err(|error| error.code().to_owned())?;
    if let Some(expected) = test.get("pt").and_then(Value::as_str) {
        let hex: String = plaintext
            .unauthenticated_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, expected, "tc{}", test["tcId"]);
    }
    Ok(())
}

/// The group's key, for its `alg`.
fn key(jwk: &Value) -> Result<RecipientKey, String> {
    let alg = jwk["alg"].as_str().unwrap();
    let text = jwk.to_string();
    let symmetric = match (alg, ContentEncryption::from_name(alg)) {
        ("A128KW", _) => Some(SymmetricKeyManagement::A128Kw),
        ("A256KW", _) => Some(SymmetricKeyManagement::A256Kw),
        (_, Some(content)) => Some(SymmetricKeyManagement::Dir(content)),
        _ => None,
    };
    let key = match symmetric {
        Some(algorithm) => SymmetricDecryptionKey::from_jwk_slice(algorithm, text.as_bytes())
            .map(RecipientKey::from),
        None => {
            let algorithm = KeyManagement::from_name(alg).ok_or(format!("no key for {alg}"))?;
            DecryptionKey::from_jwk_slice(algorithm, text.as_bytes()).map(RecipientKey::from)
        }
    };
    key.map_err(|error| format!("key: {}", error.code()))
}

#[test]
fn json_web_encryption() {
    check(
        "json_web_encryption_test.json",
        exceptions::ENCRYPTION,
        139,
        |group, test| Some(decrypt(group, test)),
    );
}

/// The file has signed and encrypted tokens; these are the encrypted ones.
#[test]
fn json_web_crypto() {
    check(
        "json_web_crypto_test.json",
        exceptions::CRYPTO_JWE,
        34,
        |group, test| test.get("jwe").map(|_| decrypt(group, test)),
    );
}
