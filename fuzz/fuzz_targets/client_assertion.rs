//! An accepted client assertion is the client's own, for this server alone, and for once.
//!
//! The input is a header and, after a line break, a payload. Both are signed as they stand.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, MemoryReplayGuard, Signer, SigningKey, VerifyingKey, base64url};
use libfuzzer_sys::fuzz_target;
use oauth_spiffe_client_auth::assertion::verify_client_assertion;
use rustls_pki_types::UnixTime;
use serde_json::Value;

const NOW: u64 = 1_800_000_000;
const CLIENT: &str = "client-1";
const SERVER: &str = "https://as.example.com";

static KEYS: LazyLock<(SigningKey, VerifyingKey)> = LazyLock::new(|| {
    let signer = SigningKey::generate(&provider(), Algorithm::Es256).expect("a key");
    let signer = signer.with_kid("k");
    let key = signer.verifying_key().expect("its public half");
    (signer, key)
});

fuzz_target!(|data: &[u8]| {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (header, payload) = (&data[..end], &data[end + 1..]);
    let (signer, key) = &*KEYS;
    let input = format!(
        "{}.{}",
        base64url::encode(header),
        base64url::encode(payload)
    );
    let signature = signer.sign(input.as_bytes()).expect("a signature");
    let assertion = format!("{input}.{}", base64url::encode(signature.as_ref()));
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let guard = MemoryReplayGuard::new(16);
    let verify = |client: &str, server: &str, guard: &MemoryReplayGuard| {
        verify_client_assertion(&assertion, client, server, key, Some(guard), now)
    };
    let Ok(jwt) = verify(CLIENT, SERVER, &guard) else {
        return;
    };
    let claims: Value = serde_json::from_slice(payload).expect("accepted claims are JSON");
    assert_eq!(
        (&claims["iss"], &claims["sub"]),
        (&CLIENT.into(), &CLIENT.into())
    );
    assert!(claims["aud"] == SERVER || claims["aud"] == serde_json::json!([SERVER]));
    assert!(claims["jti"].is_string());
    assert_eq!(jwt.id(), claims["jti"].as_str());
    let time = |name: &str| {
        claims
            .get(name)
            .map(|value| value.as_f64().expect("a number"))
    };
    let (now, exp) = (NOW as f64, time("exp").expect("exp is required").floor());
    assert!(now < exp + 30.0 && exp <= now + 330.0);
    assert!(time("nbf").is_none_or(|nbf| nbf <= now + 30.0));
    assert!(time("iat").is_none_or(|iat| iat >= now - 331.0 && iat <= now + 30.0));
    let header: Value = serde_json::from_slice(header).expect("an accepted header is JSON");
    assert_eq!(header["alg"], "ES256");
    let typ = header
        .get("typ")
        .map(|typ| typ.as_str().expect("text").to_ascii_lowercase());
    assert!(typ.is_none_or(|typ| {
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        typ == "jwt" || typ == "client-authentication+jwt"
    }));

    let again = verify(CLIENT, SERVER, &guard).expect_err("an assertion is for once");
    assert_eq!(again.code(), "replayed");
    let fresh = MemoryReplayGuard::new(16);
    assert!(verify("client-2", SERVER, &fresh).is_err());
    assert!(verify(CLIENT, "https://as.example.com/", &fresh).is_err());
    assert!(fresh.is_empty());
});
