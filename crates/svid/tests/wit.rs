//! WIT-SVIDs: a token and the proof that belongs to it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, header};
use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, CryptoProvider, MemoryReplayGuard, SigningKey, jwt, provider::ring};
use pki_types::UnixTime;
use serde_json::{Value, json};
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::{SpiffeId, TrustDomain};
use svid::wit::{BoundWorkload, WitSvidIssuer, WitSvidVerifier};
use wimse::WptBuilder;

const PROVIDER: CryptoProvider = ring::provider();
const NOW: u64 = 1_800_000_000;
const TARGET: &str = "https://api.test/refunds";

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

fn set(list: &[(&str, &SigningKey)]) -> BundleSet {
    let mut set = BundleSet::new();
    for (name, key) in list {
        let bundle = Bundle::builder(&PROVIDER, td(name)).with_wit_authority(&key.public_jwk());
        set.install(bundle.build().unwrap()).unwrap();
    }
    set
}

fn claims(workload: &SigningKey) -> Value {
    json!({
        "sub": "spiffe://a.test/agents/one", "exp": NOW + 3600,
        "cnf": {"jwk": workload.public_jwk().to_value()},
    })
}

fn sign(key: &SigningKey, typ: &'static str, claims: &Value) -> String {
    jwt::sign(key, &ProtectedHeader::new(typ), claims).unwrap()
}

fn verifier() -> WitSvidVerifier {
    WitSvidVerifier::new("https://api.test").unwrap()
}

fn headers(wit: &str, workload: &SigningKey) -> HeaderMap {
    let mut headers = HeaderMap::new();
    WptBuilder::new(wit, TARGET)
        .apply(&mut headers, workload, &PROVIDER, at(NOW))
        .unwrap();
    headers
}

fn present(headers: &HeaderMap, bundles: &BundleSet) -> Result<BoundWorkload, svid::Error> {
    let request = Request::get(TARGET).body(()).unwrap();
    let replay = MemoryReplayGuard::new(10_000);
    verifier().verify(headers, request.uri(), bundles, &replay, at(NOW))
}

fn code<T>(result: Result<T, svid::Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

/// Token and proof together name the workload; the token alone, or with another's proof, names nobody.
///
/// Covers: WIT-SVID-4-3, WIT-SVID-5-4, WIT-SVID-A1, WIT-SVID-A4, WIT-SVID-3.1-1, WIT-SVID-7.2-5, WIT-SVID-3.3-3, WIT-SVID-A13
#[test]
fn proof_makes_the_workload() {
    let (issuer, workload, thief) = (key("i"), key("w"), key("t"));
    let home = set(&[("a.test", &issuer)]);
    let id = SpiffeId::parse("spiffe://a.test/agents/one").unwrap();
    let wit = WitSvidIssuer::new(issuer, td("a.test"))
        .unwrap()
        .issue(
            &id,
            &workload.public_jwk(),
            Some("one-jti-of-many-uses".to_owned()),
            at(NOW),
        )
        .unwrap();
    let good = headers(&wit, &workload);
    assert_eq!(present(&good, &home).unwrap().spiffe_id(), &id);
    assert_eq!(
        code(present(&headers(&wit, &thief), &home)),
        "invalid_signature"
    );
    let mut bare = good.clone();
    bare.remove(header::AUTHORIZATION);
    assert_ne!(code(present(&bare, &home)), "valid");
    let mut bearer = good.clone();
    bearer.insert(
        header::AUTHORIZATION,
        HeaderValue::from_str(&format!("Bearer {wit}")).unwrap(),
    );
    assert_eq!(code(present(&bearer, &home)), "not_wpt_scheme");
    // One guard: the WIT may come again, the proof may not.
    let replay = MemoryReplayGuard::new(10_000);
    let request = Request::get(TARGET).body(()).unwrap();
    let send = |headers: &HeaderMap| {
        code(verifier().verify(headers, request.uri(), &home, &replay, at(NOW)))
    };
    assert_eq!(send(&good), "valid");
    assert_eq!(send(&good), "replayed");
    assert_eq!(send(&headers(&wit, &workload)), "valid");
}

/// Covers: WIT-SVID-6.2-1, WIT-SVID-6.2-2, WIT-SVID-A11, WIT-SVID-A12, WIT-SVID-2.1-5
#[test]
fn another_trust_domain_cannot_sign() {
    let (a, b, workload) = (key("k"), key("k"), key("w"));
    let both = set(&[("a.test", &a), ("b.test", &b)]);
    let check = |token: &str, set: &BundleSet| code(verifier().verify_wit(token, set, at(NOW)));
    let mut of_b = claims(&workload);
    of_b["sub"] = "spiffe://b.test/x".into();
    let mut wimse = claims(&workload);
    wimse["sub"] = "wimse://a.test/x".into();
    assert_eq!(
        check(&sign(&a, "wit+jwt", &claims(&workload)), &both),
        "valid"
    );
    assert_eq!(
        check(&sign(&b, "wit+jwt", &claims(&workload)), &both),
        "invalid_signature"
    );
    assert_eq!(
        check(&sign(&a, "wit+jwt", &of_b), &both),
        "invalid_signature"
    );
    assert_eq!(
        check(&sign(&a, "wit+jwt", &of_b), &set(&[("a.test", &a)])),
        "no_bundle"
    );
    assert_eq!(check(&sign(&a, "wit+jwt", &wimse), &both), "spiffe_id");
    let unknown = a.clone().with_kid("K");
    assert_eq!(
        check(&sign(&unknown, "wit+jwt", &claims(&workload)), &both),
        "unknown_key"
    );
    let mut jwt_only = BundleSet::new();
    let bundle = Bundle::builder(&PROVIDER, td("a.test")).with_jwt_authority(&a.public_jwk());
    jwt_only.install(bundle.build().unwrap()).unwrap();
    assert_eq!(
        check(&sign(&a, "wit+jwt", &claims(&workload)), &jwt_only),
        "no_authorities"
    );
}

/// Covers: WIT-SVID-2.2-2, WIT-SVID-2.1-2, WIT-SVID-3.1-2, WIT-SVID-3.2-2, WIT-SVID-3.2-4, WIT-SVID-3.2-6, WIT-SVID-3.4-2
/// Covers: WIT-SVID-3.4-3, WIT-SVID-3.5-2, WIT-SVID-3.8-2, WIT-SVID-3.8-4, WIT-SVID-A3, WIT-SVID-A5, WIT-SVID-A6
/// Covers: WIT-SVID-A7, WIT-SVID-A8, WIT-SVID-3.6-2, WIT-SVID-A14
#[test]
fn token_rules() {
    let (issuer, workload) = (key("i"), key("w"));
    let home = set(&[("a.test", &issuer)]);
    let check = |token: &str| code(verifier().verify_wit(token, &home, at(NOW)));
    for typ in ["JWT", "WIT+JWT", "application/wit+jwt", "wpt+jwt"] {
        assert_eq!(
            check(&sign(&issuer, typ, &claims(&workload))),
            "wrong_type",
            "{typ}"
        );
    }
    let nameless = ProtectedHeader::new("wit+jwt").without_kid();
    let nameless = jwt::sign(&issuer, &nameless, &claims(&workload)).unwrap();
    assert_eq!(check(&nameless), "missing_header");
    let edwards = SigningKey::generate(&PROVIDER, Algorithm::Ed25519).unwrap();
    let jwk = |change: fn(&mut Value)| {
        let mut jwk = workload.public_jwk().to_value();
        change(&mut jwk);
        json!({ "jwk": jwk })
    };
    let cases = [
        ("sub", json!("spiffe://a.test"), "spiffe_id_without_path"),
        ("sub", json!("spiffe://A.test/x"), "spiffe_id"),
        ("sub", json!("DELETE"), "missing_claim"),
        ("aud", json!("x"), "forbidden_claim"),
        ("aud", json!([]), "claim_type"),
        ("aud", json!(null), "claim_type"),
        ("exp", json!("DELETE"), "missing_claim"),
        ("exp", json!(NOW - 30), "expired"),
        ("exp", json!(NOW - 29), "valid"),
        ("nbf", json!(NOW + 3000), "not_yet_valid"),
        ("iat", json!(NOW + 3600), "valid"),
        ("iat", json!("now"), "claim_type"),
        ("cnf", json!("DELETE"), "missing_claim"),
        ("cnf", json!({}), "unusable_confirmation"),
        ("cnf", json!({"kid": "x"}), "confirmation_key"),
        (
            "cnf",
            json!({"jku": "https://evil.test/keys"}),
            "unusable_confirmation",
        ),
        ("cnf", json!({"jwk": "x"}), "invalid_key"),
        (
            "cnf",
            jwk(|k| drop(k.as_object_mut().unwrap().remove("alg"))),
            "confirmation_key",
        ),
        ("cnf", jwk(|k| k["alg"] = "HS256".into()), "invalid_key"),
        ("cnf", jwk(|k| k["alg"] = "none".into()), "invalid_key"),
        ("cnf", jwk(|k| k["alg"] = "ES384".into()), "invalid_key"),
        (
            "cnf",
            jwk(|k| k["d"] = "c2VjcmV0".into()),
            "private_key_material",
        ),
        (
            "cnf",
            json!({"jwk": edwards.public_jwk().to_value()}),
            "confirmation_algorithm",
        ),
        ("foo", json!({"bar": [1, null]}), "valid"),
    ];
    for (name, value, expected) in cases {
        let mut claims = claims(&workload);
        match value == "DELETE" {
            true => drop(claims.as_object_mut().unwrap().remove(name)),
            false => claims[name] = value.clone(),
        }
        assert_eq!(
            check(&sign(&issuer, "wit+jwt", &claims)),
            expected,
            "{name}: {value}"
        );
    }
}

/// Covers: WIT-SVID-2.1-1, WIT-SVID-2.2-1, WIT-SVID-2.4-1, WIT-SVID-3.2-1, WIT-SVID-3.4-1, WIT-SVID-3.4-4, WIT-SVID-3.4-5
/// Covers: WIT-SVID-3.6-1
#[test]
fn issuer_and_options() {
    let (issuer, workload) = (key("i"), key("w"));
    let id = SpiffeId::parse("spiffe://a.test/agents/one").unwrap();
    let edwards = SigningKey::generate(&PROVIDER, Algorithm::Ed25519)
        .unwrap()
        .with_kid("e");
    let nameless = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    assert_eq!(
        code(WitSvidIssuer::new(nameless, td("a.test"))),
        "signing_key"
    );
    assert_eq!(
        code(WitSvidIssuer::new(edwards.clone(), td("a.test"))),
        "signing_key"
    );
    let home = set(&[("a.test", &issuer)]);
    let issuer = WitSvidIssuer::new(issuer, td("a.test")).unwrap();
    let issue =
        |id: &SpiffeId, key: &SigningKey| issuer.issue(id, &key.public_jwk(), None, at(NOW));
    assert_eq!(
        code(issue(
            &SpiffeId::parse("spiffe://b.test/x").unwrap(),
            &workload
        )),
        "foreign_subject"
    );
    assert_eq!(code(issue(&id, &edwards)), "confirmation_algorithm");
    let token = issue(&id, &workload).unwrap();
    let svid = verifier().verify_wit(&token, &home, at(NOW)).unwrap();
    assert_eq!(svid.unproven_spiffe_id(), &id);
    let header = svid.wit().jwt().header().members().unwrap();
    assert_eq!(
        Value::from(header),
        json!({"alg": "ES256", "kid": "i", "typ": "wit+jwt"})
    );
    let claims = svid.wit().jwt().claims_map().unwrap();
    assert_eq!(
        (&claims["exp"], &claims["iat"]),
        (&json!(NOW + 3600), &json!(NOW))
    );
    assert_eq!(claims["cnf"]["jwk"]["alg"], "ES256");
    assert_eq!(
        code(verifier().with_leeway(Duration::from_secs(121))),
        "invalid_option"
    );
}
