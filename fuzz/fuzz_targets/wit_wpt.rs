//! A request authenticates a workload only by tokens that were signed, for this request and none other.
//!
//! With `S` as its first line, the input goes on with the request's target, the claims of a WIT and those of a
//! WPT, which are signed, and then with fields, one a line. In the claims `@KEY@` stands for the workload's key, `@WIT@`
//! for the hash of the WIT, and `@TXN@` for that of the `Txn-Token` field. Any other input is a target and fields, with tokens of its own.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use jose_x509::provider::ring::provider;
use jose_x509::{
    Algorithm, Jwk, KeySet, MemoryReplayGuard, Signer, SigningKey, VerifyingKey, base64url,
};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use serde_json::Value;
use wimse::{TrustAnchors, WitVerifier, WptVerifier};

/// When the published examples are valid.
const NOW: u64 = 1_745_510_000;
const AUTHORITY: &str = "https://workload.example.com";
/// The keys of the published examples, of which only the public halves are here.
const ISSUER: &str = r#"{"kty":"EC","kid":"June 5","crv":"P-256","x":"kXqnA2Op7hgd4zRMbw0iFcc_hDxUxhojxOFVGjE2gks","y":"n__VndPMR021-59UAs0b9qDTFT-EZtT6xSNs_xFskLo"}"#;

struct Setup {
    issuer: SigningKey,
    workload: SigningKey,
    workload_jwk: String,
    anchors: BTreeMap<String, TrustAnchors>,
    verifier: WptVerifier,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let key = |kid: &str| {
        let key = SigningKey::generate(&provider(), Algorithm::Es256).expect("a key");
        key.with_kid(kid)
    };
    let (issuer, workload) = (key("i"), key("w"));
    let published = Jwk::from_slice(ISSUER.as_bytes()).expect("a key");
    let keys = vec![
        issuer.verifying_key().expect("a key"),
        VerifyingKey::from_jwk(&provider(), published).expect("a key"),
    ];
    let anchors = TrustAnchors {
        keys: Arc::new(KeySet::new(keys).expect("two keys")),
        issuers: Arc::new([]),
    };
    Setup {
        workload_jwk: workload.public_jwk().to_value().to_string(),
        anchors: BTreeMap::from([("wimse://example.com".to_owned(), anchors)]),
        verifier: WptVerifier::new(WitVerifier::new())
            .with_authority(AUTHORITY)
            .expect("an authority")
            .with_context_field(HeaderName::from_static("x-custom-token")),
        issuer,
        workload,
    }
});

fuzz_target!(|data: &[u8]| {
    let setup = &*SETUP;
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let signed = text.strip_prefix("S\n");
    let mut lines = signed.unwrap_or(text).lines();
    let Some(Ok(target)) = lines.next().map(str::parse::<Uri>) else {
        return;
    };
    let claims = signed.and_then(|_| Some((lines.next()?, lines.next()?)));
    if signed.is_some() && claims.is_none() {
        return;
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return;
        };
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value))
        else {
            return;
        };
        headers.append(name, value);
    }
    if let Some((wit, wpt)) = claims {
        let wit = wit.replace("@KEY@", &setup.workload_jwk);
        let wit = sign(
            &setup.issuer,
            r#"{"alg":"ES256","kid":"i","typ":"wit+jwt"}"#,
            &wit,
        );
        let txn = headers
            .get("txn-token")
            .and_then(|value| value.to_str().ok());
        let wpt = wpt.replace("@WIT@", &hash(&wit)).replace(
            "@TXN@",
            &hash(txn.unwrap_or_default().trim_matches([' ', '\t'])),
        );
        let wpt = sign(&setup.workload, r#"{"alg":"ES256","typ":"wpt+jwt"}"#, &wpt);
        let value = |text: &str| HeaderValue::from_str(text).expect("tokens are ASCII");
        headers.append("workload-identity-token", value(&wit));
        headers.append("authorization", value(&format!("WPT {wpt}")));
    }
    let replay = MemoryReplayGuard::new(16);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let verify = || {
        setup
            .verifier
            .verify(&headers, &target, &setup.anchors, &replay, now)
    };
    let Ok(workload) = verify() else {
        return;
    };
    assert_eq!(verify().err().map(|error| error.code()), Some("replayed"));

    let field = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values
            .next()
            .map(|value| value.to_str().expect("ASCII").trim_matches([' ', '\t']));
        assert!(values.next().is_none(), "a repeated field was used");
        value
    };
    let wit = field("workload-identity-token").expect("a WIT");
    let authorization = field("authorization").expect("a proof");
    let (scheme, wpt) = authorization.split_once(' ').expect("a scheme");
    assert!(scheme.eq_ignore_ascii_case("WPT"));
    let (wit_claims, wpt_claims) = (payload(wit), payload(wpt.trim()));
    if signed.is_none() {
        // Nobody can sign for the published keys here, so it is what was published.
        assert_eq!(wit_claims["sub"], "wimse://example.com/specific-workload");
        assert!(
            wpt_claims["jti"] == "__bwc4ESC3acc2LTC1-_x"
                || wpt_claims["jti"] == "tth-vector-0000000001"
        );
    }
    assert_eq!(wit_claims["sub"], workload.identifier().as_str());
    let path = workload
        .identifier()
        .as_str()
        .strip_prefix("wimse://example.com/");
    assert!(path.is_some_and(|path| !path.is_empty()), "an origin");
    assert_eq!(wpt_claims["wth"], hash(wit));
    assert_eq!(
        wpt_claims.get("tth").cloned(),
        field("txn-token").map(|token| hash(token).into())
    );
    let custom =
        field("x-custom-token").map(|token| serde_json::json!({"x-custom-token": hash(token)}));
    assert_eq!(wpt_claims.get("oth").cloned(), custom);
    assert!(wpt_claims["jti"].is_string());
    let audience = match &wpt_claims["aud"] {
        Value::Array(one) if one.len() == 1 => one[0].as_str(),
        other => other.as_str(),
    };
    let audience = audience
        .expect("one audience")
        .split(['?', '#'])
        .next()
        .expect("a part");
    let url = url::Url::parse(audience).expect("the audience is a URL");
    assert_eq!(url.origin().ascii_serialization(), AUTHORITY);
    let path = format!("/{}", audience.splitn(4, '/').nth(3).unwrap_or_default());
    assert!(path == target.path() || (path == "/" && target.path().is_empty()));
    let now = NOW as f64;
    let exp = |claims: &Value| claims["exp"].as_f64().expect("exp is required").floor();
    assert!(now < exp(&wit_claims) + 60.0 && exp(&wit_claims) <= now + 86_400.0);
    assert!(now < exp(&wpt_claims) + 30.0 && exp(&wpt_claims) <= now + 330.0);
});

fn sign(key: &SigningKey, header: &str, payload: &str) -> String {
    let encode = |text: &str| base64url::encode(text.as_bytes());
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = key.sign(input.as_bytes()).expect("a signature");
    format!("{input}.{}", base64url::encode(signature.as_ref()))
}

fn hash(text: &str) -> String {
    base64url::encode(&provider().sha256(text.as_bytes()))
}

fn payload(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = base64url::decode(payload, "payload").expect("base64url");
    serde_json::from_slice(&payload).expect("accepted claims are JSON")
}
