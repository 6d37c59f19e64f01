//! JWT-SVIDs: attacks first, then what is issued.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, CryptoProvider, KeySet, SigningKey, base64url, jwt, provider::ring};
use pki_types::UnixTime;
use serde_json::{Value, json};
use spiffe_bundle::{Bundle, BundleSet, JwtBundleSource};
use spiffe_id::{SpiffeId, TrustDomain, TrustDomainRef};
use svid::jwt::{JwtSvidIssuer, JwtSvidVerifier};

const PROVIDER: CryptoProvider = ring::provider();
const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
}

fn bundle(name: &str, jwt: &[&SigningKey], wit: &[&SigningKey]) -> Bundle {
    let builder = Bundle::builder(&PROVIDER, td(name));
    let builder = jwt
        .iter()
        .fold(builder, |b, key| b.with_jwt_authority(&key.public_jwk()));
    wit.iter()
        .fold(builder, |b, key| b.with_wit_authority(&key.public_jwk()))
        .build()
        .unwrap()
}

fn set(bundles: impl IntoIterator<Item = Bundle>) -> BundleSet {
    let mut set = BundleSet::new();
    for bundle in bundles {
        set.install(bundle).unwrap();
    }
    set
}

fn claims() -> Value {
    json!({"sub": "spiffe://a.test/agents/one", "aud": ["ledger"], "exp": NOW + 300})
}

fn sign(key: &SigningKey, typ: &'static str, claims: &Value) -> String {
    jwt::sign(key, &ProtectedHeader::new(typ), claims).unwrap()
}

fn verify(token: &str, bundles: &impl JwtBundleSource) -> &'static str {
    code(
        JwtSvidVerifier::new("ledger")
            .unwrap()
            .verify(token, bundles, at(NOW)),
    )
}

fn code<T>(result: Result<T, svid::Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

/// A compact token with any header, signed by `key` all the same.
fn raw(key: &SigningKey, header: &str, payload: &str) -> String {
    use jose_x509::Signer as _;
    let input = format!(
        "{}.{}",
        base64url::encode(header.as_bytes()),
        base64url::encode(payload.as_bytes())
    );
    let signature = key.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", base64url::encode(signature.as_ref()))
}

/// The keys of one trust domain never verify a token of another one.
///
/// Covers: JWT-8725bis.3.8-2, JWT-SVID-4-6, JWT-SVID-4-7, JWT-SVID-6.2-2, JWT-SVID-A9, JWT-SVID-A11
#[test]
fn another_trust_domain_cannot_sign() {
    let (a, b) = (key("k"), key("k"));
    let both = set([bundle("a.test", &[&a], &[]), bundle("b.test", &[&b], &[])]);
    let mut of_b = claims();
    of_b["sub"] = "spiffe://b.test/x".into();
    of_b["iss"] = "spiffe://a.test".into();
    assert_eq!(verify(&sign(&a, "JWT", &claims()), &both), "valid");
    assert_eq!(verify(&sign(&b, "JWT", &of_b), &both), "valid");
    assert_eq!(
        verify(&sign(&b, "JWT", &claims()), &both),
        "invalid_signature"
    );
    assert_eq!(verify(&sign(&a, "JWT", &of_b), &both), "invalid_signature");
    assert_eq!(
        verify(
            &sign(&a, "JWT", &of_b),
            &set([bundle("a.test", &[&a], &[])])
        ),
        "no_bundle"
    );
    assert_eq!(
        verify(
            &sign(&a, "JWT", &claims()),
            &set([bundle("a.test", &[], &[&a])])
        ),
        "no_authorities"
    );
}

/// Another kind of token, or another kind of key, is no JWT-SVID.
///
/// Covers: JWT-SVID-2.3-2, JWT-SVID-6.2-1, JWT-SVID-A5, WIT-SVID-A3
#[test]
fn other_kinds_of_tokens() {
    let (k, w) = (key("k"), key("w"));
    let home = set([bundle("a.test", &[&k], &[&w])]);
    for typ in ["JWT", "JOSE"] {
        assert_eq!(verify(&sign(&k, typ, &claims()), &home), "valid");
    }
    for typ in [
        "wit+jwt",
        "at+jwt",
        "wpt+jwt",
        "secevent+jwt",
        "txntoken+jwt",
        "jwt",
        "application/JWT",
    ] {
        assert_eq!(
            verify(&sign(&k, typ, &claims()), &home),
            "wrong_type",
            "{typ}"
        );
    }
    assert_eq!(verify(&sign(&w, "JWT", &claims()), &home), "unknown_key");
    let untyped = jwt::sign(&k, &ProtectedHeader::without_typ(), &claims()).unwrap();
    assert_eq!(verify(&untyped, &home), "valid");
}

/// Covers: JWT-SVID-2-2, JWT-SVID-2-3, JWT-SVID-2.2-3, JWT-SVID-1-1, JWT-SVID-1-2, JWT-SVID-4-1
/// Covers: JWT-SVID-A1, JWT-SVID-A2, JWT-SVID-A3, JWT-SVID-A4
#[test]
fn headers() {
    struct Counting(BundleSet, Cell<usize>);
    impl JwtBundleSource for Counting {
        fn jwt_authorities(&self, td: TrustDomainRef<'_>) -> Option<Arc<KeySet>> {
            self.1.set(self.1.get() + 1);
            self.0.jwt_authorities(td)
        }
    }
    let k = key("k");
    let home = Counting(set([bundle("a.test", &[&k], &[])]), Cell::new(0));
    let payload = claims().to_string();
    for (header, expected) in [
        (r#"{"alg":"none","kid":"k"}"#, "unsupported_algorithm"),
        (r#"{"alg":"None","kid":"k"}"#, "unsupported_algorithm"),
        (r#"{"alg":"HS256","kid":"k"}"#, "unsupported_algorithm"),
        (r#"{"alg":"ES256K","kid":"k"}"#, "unsupported_algorithm"),
        (r#"{"alg":"es256","kid":"k"}"#, "unsupported_algorithm"),
        (
            r#"{"alg":"EdDSA","kid":"unknown"}"#,
            "algorithm_not_allowed",
        ),
        (r#"{"alg":"Ed25519","kid":"k"}"#, "algorithm_not_allowed"),
        (r#"{"alg":256,"kid":"k"}"#, "header_type"),
        (r#"{"kid":"k"}"#, "missing_header"),
        (r#"{"alg":"ES256","kid":1}"#, "header_type"),
        (r#"{"alg":"ES256","typ":null,"kid":"k"}"#, "header_type"),
        (
            r#"{"alg":"ES256","kid":"k","cty":"JWT"}"#,
            "header_parameter",
        ),
        (r#"{"alg":"ES256","kid":"k","foo":1}"#, "header_parameter"),
        (
            r#"{"alg":"ES256","kid":"k","x5t":"AAAA"}"#,
            "header_parameter",
        ),
        (
            r#"{"alg":"ES256","kid":"k","zip":"DEF"}"#,
            "header_parameter",
        ),
        (
            r#"{"alg":"ES256","kid":"k","jku":"https://evil.test"}"#,
            "header_key_material",
        ),
        (
            r#"{"alg":"ES256","kid":"k","jwk":{}}"#,
            "header_key_material",
        ),
        (
            r#"{"alg":"ES256","kid":"k","x5u":"https://evil.test"}"#,
            "header_key_material",
        ),
        (
            r#"{"alg":"ES256","kid":"k","x5c":[]}"#,
            "header_key_material",
        ),
        (
            r#"{"alg":"ES256","kid":"k","crit":["exp"],"exp":1}"#,
            "unsupported_critical",
        ),
        (
            r#"{"alg":"ES256","kid":"k","b64":false}"#,
            "unencoded_payload",
        ),
    ] {
        assert_eq!(
            verify(&raw(&k, header, &payload), &home),
            expected,
            "{header}"
        );
    }
    assert_eq!(home.1.get(), 0, "no key is looked up for these");
    assert_eq!(
        verify(&raw(&k, r#"{"alg":"ES256","kid":"K"}"#, &payload), &home),
        "unknown_key"
    );
    assert_eq!(
        verify(&raw(&k, r#"{"alg":"ES256"}"#, &payload), &home),
        "valid"
    );
    let token = sign(&k, "JWT", &claims());
    let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
    assert_eq!(verify(&unsigned, &home), "empty_signature");
    assert_eq!(verify("a.b.c.d.e", &home), "encrypted_not_signed");
    assert_eq!(verify("a.b", &home), "segment_count");
    assert_eq!(verify(&format!("{token}="), &home), "token_characters");
    assert_eq!(verify("{}", &home), "json_serialization");
}

/// Covers: JWT-SVID-3.1-2, JWT-SVID-3.2-2, JWT-SVID-3.2-3, JWT-SVID-3.3-2, JWT-SVID-4-3, JWT-SVID-4-5, JWT-SVID-AppA-1
/// Covers: JWT-SVID-A8, JWT-SVID-A15, JWT-SVID-3-1, JWT-SVID-3-3, JWT-SVID-3.3-3
#[test]
fn claims_are_checked() {
    let k = key("k");
    let home = set([bundle("a.test", &[&k], &[])]);
    let cases = [
        ("sub", json!("DELETE"), "missing_claim"),
        ("sub", json!(1), "claim_type"),
        ("sub", json!("alice"), "spiffe_id"),
        ("sub", json!("spiffe://A.test/x"), "spiffe_id"),
        ("sub", json!("wimse://a.test/x"), "spiffe_id"),
        ("sub", json!("spiffe://a.test"), "spiffe_id_without_path"),
        ("aud", json!("DELETE"), "missing_claim"),
        ("aud", json!(null), "claim_type"),
        ("aud", json!([]), "claim_type"),
        ("aud", json!(""), "claim_type"),
        ("aud", json!([""]), "claim_type"),
        ("aud", json!(["ledger", ""]), "claim_type"),
        ("aud", json!([1]), "claim_type"),
        ("aud", json!({}), "claim_type"),
        ("aud", json!("ledger"), "valid"),
        ("aud", json!(["x", "ledger"]), "valid"),
        ("aud", json!("Ledger"), "audience_mismatch"),
        ("aud", json!("ledger/"), "audience_mismatch"),
        ("aud", json!(["x"]), "audience_mismatch"),
        ("exp", json!("DELETE"), "missing_claim"),
        ("exp", json!(null), "claim_type"),
        ("exp", json!((NOW + 300).to_string()), "claim_type"),
        ("exp", json!(-1), "claim_type"),
        ("exp", json!(1e300), "claim_type"),
        ("exp", json!(0), "expired"),
        ("exp", json!(NOW - 30), "expired"),
        ("exp", json!(NOW - 29), "valid"),
        ("exp", json!(NOW + 315_360_000), "valid"),
        ("nbf", json!(NOW), "valid"),
        ("nbf", json!(NOW + 200), "not_yet_valid"),
        ("nbf", json!("x"), "claim_type"),
        ("iat", json!(NOW + 3600), "valid"),
        ("iat", json!("x"), "claim_type"),
        ("role", json!({"admin": [true, null, 1.5]}), "valid"),
    ];
    for (name, value, expected) in cases {
        let mut claims = claims();
        match value == "DELETE" {
            true => drop(claims.as_object_mut().unwrap().remove(name)),
            false => claims[name] = value.clone(),
        }
        assert_eq!(
            verify(&sign(&k, "JWT", &claims), &home),
            expected,
            "{name}: {value}"
        );
    }
}

/// Covers: JWT-SVID-A12, JWT-SVID-A14, JWT-SVID-A13
#[test]
fn malformed_tokens() {
    let k = key("k");
    let home = set([bundle("a.test", &[&k], &[])]);
    let header = r#"{"alg":"ES256","kid":"k"}"#;
    let twice = r#"{"sub":"spiffe://a.test/x","sub":"spiffe://a.test/admin","aud":"ledger","exp":9999999999}"#;
    assert_eq!(verify(&raw(&k, header, twice), &home), "duplicate_member");
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    assert_eq!(verify(&raw(&k, header, &deep), &home), "too_deep");
    assert_eq!(verify(&"a".repeat(16 * 1024 + 1), &home), "too_large");
    let token = sign(&k, "JWT", &claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let with = |bytes: &[u8]| format!("{signed}.{}", base64url::encode(bytes));
    let bytes = base64url::decode(signature, "signature").unwrap();
    assert_eq!(verify(&with(&[0; 64]), &home), "invalid_signature");
    assert_eq!(
        verify(&with(&[bytes.as_slice(), &[0]].concat()), &home),
        "invalid_signature"
    );
    for at in 0..64 {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert_eq!(verify(&with(&flipped), &home), "invalid_signature");
    }
    // 64 bytes end in a character with four spare bits, which are zero: the next one decodes to the same.
    let mut loose = token.into_bytes();
    *loose.last_mut().unwrap() += 1;
    assert_eq!(
        verify(std::str::from_utf8(&loose).unwrap(), &home),
        "invalid_base64"
    );
}

/// Covers: JWT-SVID-3.2-4, JWT-SVID-A7, JWT-SVID-A16, JWT-SVID-7.1-1
#[test]
fn verifier_options() {
    assert_eq!(code(JwtSvidVerifier::new("")), "invalid_option");
    assert_eq!(code(JwtSvidVerifier::for_audiences([])), "invalid_option");
    let verifier = JwtSvidVerifier::new("ledger").unwrap();
    assert_eq!(
        code(verifier.clone().with_leeway(Duration::from_secs(121))),
        "invalid_option"
    );
    assert_eq!(
        code(verifier.clone().with_leeway(Duration::from_secs(120))),
        "valid"
    );
    let k = key("k");
    let home = set([bundle("a.test", &[&k], &[])]);
    let mut two = claims();
    two["aud"] = json!(["chuck", "ledger"]);
    let two = sign(&k, "JWT", &two);
    let single = verifier.clone().requiring_single_audience();
    assert_eq!(code(verifier.verify(&two, &home, at(NOW))), "valid");
    assert_eq!(code(verifier.verify(&two, &home, at(NOW))), "valid");
    assert_eq!(
        code(single.verify(&two, &home, at(NOW))),
        "multiple_audiences"
    );
}

/// Covers: JWT-SVID-A20, SPIFFE-BUNDLE-4.1.3-3
#[test]
fn revocation_is_immediate() {
    let k = key("k");
    let mut home = set([bundle("a.test", &[&k], &[])]);
    let token = sign(&k, "JWT", &claims());
    assert_eq!(verify(&token, &home), "valid");
    home.install(
        Bundle::builder(&PROVIDER, td("a.test"))
            .with_sequence(2)
            .build()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(verify(&token, &home), "no_authorities");
}

/// Covers: JWT-SVID-2-1, JWT-SVID-2.2-1, JWT-SVID-2.3-1, JWT-SVID-3.1-1, JWT-SVID-3.2-1, JWT-SVID-3.3-1, JWT-SVID-5.1-1
/// Covers: JWT-SVID-7.2-1, JWT-8725bis.3.9-1
#[test]
fn issuer() {
    let k = key("k");
    let home = set([bundle("a.test", &[&k], &[])]);
    let issuer = JwtSvidIssuer::new(k, td("a.test")).unwrap();
    let id = SpiffeId::parse("spiffe://a.test/agents/one").unwrap();
    let minute = Duration::from_secs(60);
    let token = issuer.issue(&id, "ledger", minute, at(NOW)).unwrap();
    let header = base64url::decode(token.split('.').next().unwrap(), "header").unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header, json!({"alg": "ES256", "kid": "k", "typ": "JWT"}));
    let svid = JwtSvidVerifier::new("ledger")
        .unwrap()
        .verify(&token, &home, at(NOW))
        .unwrap();
    assert_eq!((svid.spiffe_id(), svid.expires()), (&id, at(NOW + 60)));
    assert_eq!(svid.audience().collect::<Vec<_>>(), ["ledger"]);
    let other = SpiffeId::parse("spiffe://b.test/x").unwrap();
    let bare = SpiffeId::parse("spiffe://a.test").unwrap();
    assert_eq!(
        code(issuer.issue(&other, "ledger", minute, at(NOW))),
        "foreign_subject"
    );
    assert_eq!(
        code(issuer.issue(&bare, "ledger", minute, at(NOW))),
        "spiffe_id_without_path"
    );
    assert_eq!(
        code(issuer.issue(&id, "", minute, at(NOW))),
        "invalid_option"
    );
    assert_eq!(
        code(issuer.issue_for_audiences(&id, &[], minute, at(NOW))),
        "invalid_option"
    );
    assert_eq!(
        code(issuer.issue(&id, "ledger", Duration::ZERO, at(NOW))),
        "invalid_option"
    );
    assert_eq!(
        code(issuer.issue(&id, "ledger", Duration::from_secs(3601), at(NOW))),
        "invalid_option"
    );
    let nameless = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    let edwards = SigningKey::generate(&PROVIDER, Algorithm::Ed25519)
        .unwrap()
        .with_kid("k");
    assert_eq!(
        code(JwtSvidIssuer::new(nameless, td("a.test"))),
        "signing_key"
    );
    assert_eq!(
        code(JwtSvidIssuer::new(edwards, td("a.test"))),
        "signing_key"
    );
}
