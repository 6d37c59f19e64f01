//! Bundle documents, sets and maps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    missing_docs,
    unreachable_pub
)]

use std::sync::Arc;
use std::time::Duration;

use base64_simd::STANDARD;
use jose_x509::jwk::Jwk;
use jose_x509::{Algorithm, CryptoProvider, SigningKey, base64url, provider::ring};
use pki_types::CertificateDer;
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use spiffe_bundle::{
    Bundle, BundleSet, EntryProblem, Error, Installed, JwtBundleSource, SharedBundleSet,
    WitBundleSource, X509BundleSource,
};
use spiffe_id::TrustDomain;

const PROVIDER: CryptoProvider = ring::provider();

fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

fn key(kid: &str) -> Jwk {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
        .public_jwk()
}

fn ca(name: &str) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
        .der()
        .clone()
}

/// A bundle with one key of each use, as a JSON value to spoil.
fn full() -> Value {
    let bundle = Bundle::builder(&PROVIDER, td("example.org"))
        .with_x509_authority(&ca("root"))
        .with_jwt_authority(&key("j"))
        .with_wit_authority(&key("w"))
        .build()
        .unwrap();
    serde_json::from_str(&bundle.to_json()).unwrap()
}

fn parse(document: &Value) -> Result<Bundle, Error> {
    parse_text(&document.to_string())
}

fn parse_text(document: &str) -> Result<Bundle, Error> {
    Bundle::parse(&PROVIDER, td("example.org"), document.as_bytes())
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

fn counts(bundle: &Bundle) -> [usize; 3] {
    [
        bundle.x509_anchors().len(),
        bundle.jwt_keys().keys().len(),
        bundle.wit_keys().keys().len(),
    ]
}

/// What is published has the members of the standard and no others.
///
/// Covers: SPIFFE-BUNDLE-4.1.1-1, SPIFFE-BUNDLE-4.1.2-1, SPIFFE-BUNDLE-4.2-1, SPIFFE-BUNDLE-4.2.1-1
/// Covers: SPIFFE-BUNDLE-4.2.2-1, SPIFFE-BUNDLE-4.2-4, X509-SVID-6.1-1, X509-SVID-6.1-2, X509-SVID-6.1-3
/// Covers: X509-SVID-6.1-4, JWT-SVID-6.1-1, JWT-SVID-6.1-2, WIT-SVID-6.1-1, WIT-SVID-6.1-2
#[test]
fn published_document_has_the_standard_members() {
    let document = full();
    assert_eq!(document["spiffe_sequence"], 1);
    assert_eq!(document["spiffe_refresh_hint"], 300);
    let names = |i: usize| {
        let mut names: Vec<_> = document["keys"][i].as_object().unwrap().keys().collect();
        names.sort();
        names.into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(0), ["crv", "kty", "use", "x", "x5c", "y"]);
    assert_eq!(names(1), ["crv", "kid", "kty", "use", "x", "y"]);
    assert_eq!(names(2), names(1));
    let uses: Vec<_> = (0..3)
        .map(|i| document["keys"][i]["use"].as_str().unwrap())
        .collect();
    assert_eq!(uses, ["x509-svid", "jwt-svid", "wit-svid"]);
    assert_eq!(document["keys"][0]["x5c"].as_array().unwrap().len(), 1);
    assert_eq!(counts(&parse(&document).unwrap()), [1, 1, 1]);
}

/// Faults of the document refuse it, so that the previous bundle stays in force.
///
/// Covers: SPIFFE-BUNDLE-4-1, SPIFFE-BUNDLE-4.1.1-3, SPIFFE-BUNDLE-4.1.2-3, SPIFFE-BUNDLE-4.1.3-1
/// Covers: SPIFFE-BUNDLE-6.3-1, SPIFFE-BUNDLE-A4, SPIFFE-FEDERATION-A19
#[test]
fn document_faults() {
    let cases = [
        (r#"[]"#, "json_shape"),
        (r#""keys""#, "json_shape"),
        ("\u{feff}{\"keys\":[]}", "invalid_json"),
        (r#"{"keys":["#, "invalid_json"),
        (r#"{}"#, "bundle_member"),
        (r#"{"keys":null}"#, "bundle_member"),
        (r#"{"keys":{}}"#, "bundle_member"),
        (r#"{"keys":[1]}"#, "bundle_key_not_an_object"),
        (r#"{"keys":[],"keys":[]}"#, "duplicate_member"),
        (r#"{"keys":[{"use":"a","use":"b"}]}"#, "duplicate_member"),
        (
            r#"{"keys":[{"use":"a","\u0075se":"b"}]}"#,
            "duplicate_member",
        ),
        (
            r#"{"keys":[],"spiffe_sequence":18446744073709551616}"#,
            "bundle_member",
        ),
        (r#"{"keys":[],"spiffe_sequence":-1}"#, "bundle_member"),
        (r#"{"keys":[],"spiffe_sequence":1.5}"#, "bundle_member"),
        (r#"{"keys":[],"spiffe_sequence":1e3}"#, "bundle_member"),
        (r#"{"keys":[],"spiffe_sequence":"1"}"#, "bundle_member"),
        (r#"{"keys":[],"spiffe_sequence":null}"#, "bundle_member"),
        (r#"{"keys":[],"spiffe_refresh_hint":"60"}"#, "bundle_member"),
        (r#"{"keys":[],"spiffe_refresh_hint":1.5}"#, "bundle_member"),
        (r#"{"keys":[],"spiffe_refresh_hint":-5}"#, "bundle_member"),
    ];
    for (document, expected) in cases {
        assert_eq!(code(parse_text(document)), expected, "{document}");
    }
    let not_utf8 = b"{\"keys\":[],\"x\":\"\xff\"}";
    assert_eq!(
        code(Bundle::parse(&PROVIDER, td("example.org"), not_utf8)),
        "not_utf8"
    );
}

/// Covers: SPIFFE-BUNDLE-4.1-2, SPIFFE-BUNDLE-4.1-3, SPIFFE-BUNDLE-4.1.1-3, SPIFFE-BUNDLE-4.1.1-4
/// Covers: SPIFFE-BUNDLE-4.1.2-3, SPIFFE-BUNDLE-A5
/// Covers: OAUTH-SPIFFE-6.1-4
#[test]
fn numbers_are_exact_and_optional() {
    let bundle = parse_text(r#"{"keys":[],"foo":{}}"#).unwrap();
    assert_eq!((bundle.sequence(), bundle.refresh_hint()), (None, None));
    for sequence in [0, 9_007_199_254_740_993, u64::MAX] {
        let bundle = parse(&json!({"keys": [], "spiffe_sequence": sequence})).unwrap();
        assert_eq!(bundle.sequence(), Some(sequence));
    }
    let hint = |n: u64| parse(&json!({"keys": [], "spiffe_refresh_hint": n})).unwrap();
    assert_eq!(hint(0).refresh_hint(), None);
    assert_eq!(
        hint(2_419_200).refresh_hint(),
        Some(Duration::from_secs(2_419_200))
    );
}

/// One bad entry is left out and reported, and the others stay.
///
/// Covers: SPIFFE-BUNDLE-4.1.3-2, SPIFFE-BUNDLE-4.2.1-2, SPIFFE-BUNDLE-4.2.2-2, SPIFFE-BUNDLE-4.2-3
/// Covers: SPIFFE-BUNDLE-A9, SPIFFE-BUNDLE-A10, SPIFFE-BUNDLE-A12, SPIFFE-BUNDLE-A14
/// Covers: X509-SVID-6.2-1, X509-SVID-6.2-2, X509-SVID-6.2-6, X509-SVID-A9, JWT-SVID-6.2-1, JWT-SVID-6.2-3
/// Covers: WIT-SVID-6.2-3, X509-SVID-6.2-7
/// Covers: OAUTH-SPIFFE-6.1-4
#[test]
fn entry_faults() {
    use EntryProblem as P;
    type Change = fn(&mut Value);
    type Expected = fn(P) -> bool;
    let cases: [(usize, Change, Expected); 17] = [
        (1, |k| k["kty"] = "XYZ".into(), |p| p == P::UnknownKeyType),
        (
            1,
            |k| drop(k.as_object_mut().unwrap().remove("kty")),
            |p| p == P::UnknownKeyType,
        ),
        (
            1,
            |k| *k = json!({"kty": "oct", "use": "jwt-svid", "kid": "j", "k": "AAAA"}),
            |p| p == P::UnknownKeyType,
        ),
        (
            1,
            |k| drop(k.as_object_mut().unwrap().remove("use")),
            |p| p == P::UnknownUse,
        ),
        (1, |k| k["use"] = "sig".into(), |p| p == P::UnknownUse),
        (1, |k| k["use"] = "JWT-SVID".into(), |p| p == P::UnknownUse),
        (
            0,
            |k| k["use"] = "x509-svid ".into(),
            |p| p == P::UnknownUse,
        ),
        (
            1,
            |k| drop(k.as_object_mut().unwrap().remove("kid")),
            |p| p == P::NoKid,
        ),
        (2, |k| k["kid"] = "".into(), |p| p == P::NoKid),
        (1, |k| k["y"] = k["x"].clone(), |p| matches!(p, P::Key(_))),
        (1, |k| k["x"] = "AAAA".into(), |p| matches!(p, P::Key(_))),
        (
            0,
            |k| drop(k.as_object_mut().unwrap().remove("x5c")),
            |p| p == P::NoCertificate,
        ),
        (0, |k| k["x5c"] = json!([]), |p| p == P::NoCertificate),
        (
            0,
            |k| k["x5c"] = json!(["AA-_"]),
            |p| p == P::CertificateEncoding,
        ),
        (
            0,
            |k| {
                let text = k["x5c"][0].as_str().unwrap().trim_end_matches('=');
                k["x5c"] = json!([format!("{text}====")]);
            },
            |p| p == P::CertificateEncoding,
        ),
        (
            0,
            |k| k["x5c"] = json!([format!(" {}", k["x5c"][0].as_str().unwrap())]),
            |p| p == P::CertificateEncoding,
        ),
        (
            0,
            |k| {
                let other = key("o");
                let m = other.to_members();
                k["x"] = m["x"].clone();
                k["y"] = m["y"].clone();
            },
            |p| p == P::KeyMismatch,
        ),
    ];
    for (at, (index, change, expected)) in cases.into_iter().enumerate() {
        let mut document = full();
        change(&mut document["keys"][index]);
        let bundle = parse(&document).unwrap();
        let mut wanted = [1, 1, 1];
        wanted[index] = 0;
        assert_eq!(counts(&bundle), wanted, "case {at}");
        assert_eq!(bundle.skipped(), 1, "case {at}");
        let diagnostic = bundle.diagnostics()[0];
        assert_eq!(diagnostic.index, index, "case {at}");
        assert!(expected(diagnostic.problem), "case {at}: {diagnostic:?}");
    }
    let mut tolerated = full();
    tolerated["keys"][0]["kid"] = "publisher's fault".into();
    tolerated["keys"][1]["foo"] = json!({"bar": 1});
    assert_eq!(counts(&parse(&tolerated).unwrap()), [1, 1, 1]);
}

/// Only the first value of `x5c` is an anchor, and equal certificates are one.
///
/// Covers: SPIFFE-BUNDLE-A11, X509-SVID-6.2-3, X509-SVID-A8, X509-SVID-6.2-4
#[test]
fn first_x5c_value_only() {
    let mut document = full();
    let evil = full()["keys"][0]["x5c"][0].clone();
    document["keys"][0]["x5c"]
        .as_array_mut()
        .unwrap()
        .push(evil.clone());
    let copy = document["keys"][0].clone();
    document["keys"].as_array_mut().unwrap().push(copy);
    let bundle = parse(&document).unwrap();
    let anchors: Vec<_> = bundle.x509_anchors().certificates().collect();
    assert_eq!(anchors.len(), 1);
    let first = &parse(&full()).unwrap();
    assert_ne!(
        anchors[0],
        first.x509_anchors().certificates().next().unwrap()
    );
    let text = bundle.to_json();
    assert!(text.contains(document["keys"][0]["x5c"][0].as_str().unwrap()));
    assert!(!text.contains(evil.as_str().unwrap()));
}

/// A key of one use never serves another one.
///
/// Covers: SPIFFE-BUNDLE-4.2-2, SPIFFE-BUNDLE-2-3, WIT-SVID-6.2-1, X509-SVID-A10
#[test]
fn uses_are_apart() {
    let mut document = full();
    let x5c = document["keys"][0]["x5c"].clone();
    document["keys"].as_array_mut().unwrap().remove(0);
    document["keys"][0]["x5c"] = x5c;
    let mut wit = document["keys"][0].clone();
    wit["use"] = "wit-svid".into();
    wit["kid"] = "other".into();
    document["keys"].as_array_mut().unwrap().push(wit);
    let bundle = parse(&document).unwrap();
    assert_eq!(counts(&bundle), [0, 1, 2]);
    assert!(bundle.jwt_keys().get("other").is_none());
    assert_eq!(
        bundle.diagnostics()[0].problem,
        EntryProblem::KeyOfSeveralUses
    );
    assert_eq!(bundle.skipped(), 0);
}

/// Covers: SPIFFE-BUNDLE-4.2-6, SPIFFE-BUNDLE-A15, X509-SVID-6.1-6
#[test]
fn private_members_refuse_the_document() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for index in 0..3 {
            let mut document = full();
            document["keys"][index][member] = "c2VjcmV0".into();
            let error = parse(&document).unwrap_err();
            assert_eq!(error, Error::PrivateKey { index });
            assert!(!error.to_string().contains("c2VjcmV0"));
        }
    }
}

/// Covers: JWT-SVID-6.2-4, WIT-SVID-6.2-3, SPIFFE-BUNDLE-A13, WIT-SVID-A10
#[test]
fn repeated_kid() {
    for index in [1, 2] {
        let mut document = full();
        let mut copy = document["keys"][index].clone();
        document["keys"].as_array_mut().unwrap().push(copy.clone());
        assert_eq!(counts(&parse(&document).unwrap()), [1, 1, 1]);
        let other = key("x").to_members();
        copy["x"] = other["x"].clone();
        copy["y"] = other["y"].clone();
        document["keys"].as_array_mut().unwrap().push(copy);
        assert_eq!(code(parse(&document)), "conflicting_kid");
    }
    let mut document = full();
    document["keys"][2]["kid"] = "j".into();
    let bundle = parse(&document).unwrap();
    assert_eq!(counts(&bundle), [1, 1, 1]);
    assert_eq!(bundle.diagnostics()[0].problem, EntryProblem::KidTaken);
    assert_ne!(
        bundle.jwt_keys().get("j").unwrap().jwk().key(),
        bundle.wit_keys().get("j").unwrap().jwk().key()
    );
}

/// Publishers cannot make what readers would have to repair.
///
/// Covers: JWT-SVID-6.1-3, WIT-SVID-6.1-3, SPIFFE-BUNDLE-4.1.3-5
#[test]
fn publisher_is_strict() {
    let builder = || Bundle::builder(&PROVIDER, td("example.org"));
    let nameless = Jwk::new(key("x").key().clone());
    let cases = [
        builder().with_jwt_authority(&nameless),
        builder().with_wit_authority(&nameless),
        builder()
            .with_jwt_authority(&key("a"))
            .with_wit_authority(&key("a")),
        builder()
            .with_jwt_authority(&key("a"))
            .with_jwt_authority(&key("a")),
        builder().with_x509_authority(&CertificateDer::from(&b"none"[..])),
    ];
    for case in cases {
        assert_eq!(code(case.build()), "unpublishable_key");
    }
    assert!(
        builder()
            .build()
            .unwrap()
            .to_json()
            .contains(r#""keys":[]"#)
    );
}

/// Covers: SPIFFE-BUNDLE-4.1.1-2
#[test]
fn sequence_follows_the_content() {
    let first = Bundle::builder(&PROVIDER, td("example.org"))
        .build()
        .unwrap();
    assert_eq!(
        first.successor(&PROVIDER).build().unwrap().sequence(),
        Some(1)
    );
    let second = first
        .successor(&PROVIDER)
        .with_jwt_authority(&key("a"))
        .build()
        .unwrap();
    assert_eq!(second.sequence(), Some(2));
    let third = second
        .successor(&PROVIDER)
        .without_kid("a")
        .build()
        .unwrap();
    assert_eq!((third.sequence(), third.is_empty()), (Some(3), true));
    let last = Bundle::builder(&PROVIDER, td("example.org"))
        .with_sequence(u64::MAX)
        .build()
        .unwrap();
    let next = last
        .successor(&PROVIDER)
        .with_jwt_authority(&key("a"))
        .build();
    assert_eq!(code(next), "sequence_exhausted");
}

/// A bundle answers for its own trust domain alone.
///
/// Covers: SPIFFE-BUNDLE-3-1, SPIFFE-BUNDLE-3-2, SPIFFE-BUNDLE-A1, SPIFFE-BUNDLE-A18, SPIFFE-FEDERATION-4.2-4
/// Covers: SPIFFE-FEDERATION-A3, SPIFFE-FEDERATION-7.3-1
#[test]
fn lookup_is_by_trust_domain() {
    let bundle = parse(&full()).unwrap();
    let mut set = BundleSet::new();
    assert_eq!(set.install(bundle.clone()), Ok(Installed::Added));
    set.install(
        Bundle::builder(&PROVIDER, td("other.org"))
            .with_jwt_authority(&key("j"))
            .build()
            .unwrap(),
    )
    .unwrap();
    let (home, other, none) = (td("example.org"), td("other.org"), td("sub.example.org"));
    assert_eq!(set.jwt_authorities((&home).into()).unwrap().keys().len(), 1);
    assert_ne!(
        set.jwt_authorities((&home).into())
            .unwrap()
            .get("j")
            .unwrap()
            .jwk(),
        set.jwt_authorities((&other).into())
            .unwrap()
            .get("j")
            .unwrap()
            .jwk()
    );
    assert!(set.x509_authorities((&other).into()).unwrap().is_empty());
    assert!(set.wit_authorities((&none).into()).is_none());
    assert!(bundle.x509_authorities((&other).into()).is_none());
    assert!(bundle.jwt_authorities((&other).into()).is_none());
    assert!(bundle.wit_authorities((&other).into()).is_none());
}

/// Covers: SPIFFE-BUNDLE-3-3, SPIFFE-BUNDLE-4.1.3-3, SPIFFE-BUNDLE-4.1.3-4, SPIFFE-BUNDLE-A8, SPIFFE-BUNDLE-A6
/// Covers: SPIFFE-BUNDLE-A7, SPIFFE-FEDERATION-4.2-2, SPIFFE-FEDERATION-A9, SPIFFE-FEDERATION-A10
#[test]
fn installing_replaces_and_never_rolls_back() {
    let build = |sequence, kids: &[&str]| {
        let builder = Bundle::builder(&PROVIDER, td("example.org")).with_sequence(sequence);
        kids.iter()
            .fold(builder, |b, kid| b.with_jwt_authority(&key(kid)))
            .build()
            .unwrap()
    };
    let home = td("example.org");
    let shared = SharedBundleSet::default();
    shared.install(build(5, &["a", "b"])).unwrap();
    let before = shared.snapshot();
    assert_eq!(code(shared.install(build(4, &["evil"]))), "bundle_rollback");
    assert_eq!(shared.snapshot(), before);
    assert_eq!(
        shared.install(build(6, &["b", "c"])),
        Ok(Installed::Replaced)
    );
    let keys = shared.jwt_authorities((&home).into()).unwrap();
    assert!(keys.get("a").is_none() && keys.get("c").is_some());
    assert!(
        before.get(&home).unwrap().jwt_keys().get("a").is_some(),
        "snapshots do not change"
    );
    assert_eq!(
        shared.install(build(6, &["d"])),
        Ok(Installed::ReplacedSameSequence)
    );
    // Without a number the last one wins, and an empty one revokes.
    assert_eq!(
        shared.install(parse_text(r#"{"keys":[{"kty":"EC","use":"sig"}]}"#).unwrap()),
        Ok(Installed::Emptied)
    );
    assert!(
        shared
            .jwt_authorities((&home).into())
            .unwrap()
            .keys()
            .is_empty()
    );
    shared.install(build(u64::MAX, &["poison"])).unwrap();
    assert_eq!(code(shared.install(build(7, &["d"]))), "bundle_rollback");
    shared
        .update(|set| Ok::<_, Error>(set.force_install(build(7, &["d"]))))
        .unwrap();
    assert!(
        shared
            .jwt_authorities((&home).into())
            .unwrap()
            .get("d")
            .is_some()
    );
    shared.update(|set| set.remove(&home).ok_or(())).unwrap();
    assert!(shared.jwt_authorities((&home).into()).is_none());
}

/// Covers: SPIFFE-BUNDLE-5-1, SPIFFE-BUNDLE-5.1-1, SPIFFE-BUNDLE-5.1.1-1, SPIFFE-BUNDLE-5.1.1-2, SPIFFE-BUNDLE-5.1.1-4
/// Covers: SPIFFE-BUNDLE-5.1.1-5, SPIFFE-BUNDLE-A3, SPIFFE-BUNDLE-A19, SPIFFE-BUNDLE-A20
#[test]
fn bundle_maps() {
    let mut set = BundleSet::new();
    set.install(parse(&full()).unwrap()).unwrap();
    set.install(Bundle::builder(&PROVIDER, td("other.org")).build().unwrap())
        .unwrap();
    let text = set.to_map_json();
    assert!(!text.contains("spiffe_refresh_hint"));
    let read = BundleSet::parse_map(&PROVIDER, text.as_bytes()).unwrap();
    assert_eq!(read.to_map_json(), text);
    assert!(
        BundleSet::parse_map(&PROVIDER, br#"{"trust_domains":{}}"#)
            .unwrap()
            .is_empty()
    );
    for (map, expected) in [
        ("[]", "json_shape"),
        ("{}", "bundle_member"),
        (r#"{"trust_domains":null}"#, "bundle_member"),
        (r#"{"trust_domains":[]}"#, "bundle_member"),
        (
            r#"{"trust_domains":{"Example.com":{"keys":[]}}}"#,
            "trust_domain",
        ),
        (
            r#"{"trust_domains":{"spiffe://example.com":{"keys":[]}}}"#,
            "trust_domain",
        ),
        (r#"{"trust_domains":{"":{"keys":[]}}}"#, "trust_domain"),
        (
            r#"{"trust_domains":{"a":{"keys":[]},"a":{"keys":[]}}}"#,
            "duplicate_member",
        ),
        (
            r#"{"trust_domains":{"a":{"keys":[]},"\u0061":{"keys":[]}}}"#,
            "duplicate_member",
        ),
        (
            r#"{"trust_domains":{"a":{"keys":[]},"b":{}}}"#,
            "bundle_member",
        ),
    ] {
        assert_eq!(
            code(BundleSet::parse_map(&PROVIDER, map.as_bytes())),
            expected,
            "{map}"
        );
    }
}

/// Covers: SPIFFE-BUNDLE-A16
#[test]
fn limits() {
    let entry = json!({"kty": "XYZ"});
    assert_eq!(
        code(parse(&json!({"keys": vec![entry.clone(); 1024]}))),
        "valid"
    );
    assert_eq!(
        code(parse(&json!({"keys": vec![entry; 1025]}))),
        "too_many_keys"
    );
    let long = json!({"keys": [], "x": "a".repeat(spiffe_bundle::MAX_DOCUMENT_SIZE)});
    assert_eq!(code(parse(&long)), "too_large");
    for (depth, expected) in [(15, "valid"), (16, "too_deep"), (40, "too_deep")] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let deep = format!(r#"{{"keys":[],"x":{open}{close}}}"#);
        assert_eq!(code(parse_text(&deep)), expected, "{depth}");
    }
    let many = json!({"keys": vec![json!({}); 100_000]});
    assert_eq!(code(parse(&many)), "too_many_keys");
}

/// Shapes of 10 MB and less that cost a parser time: an error each, without a stack overflow or minutes.
///
/// Covers: SPIFFE-BUNDLE-A16
#[test]
fn hostile_documents_of_ten_megabytes() {
    let size = 10_000_000;
    let fill = |unit: &str| unit.repeat(size / unit.len());
    for (start, unit) in [
        ("", "["),
        ("", "{\"a\":"),
        ("{\"keys\":[", "[],"),
        ("{\"keys\":[", "{},"),
        ("{\"keys\":[{\"x5c\":[", "\"AAAA\","),
        ("{\"keys\":[{\"kid\":\"", "\\u0061"),
        ("{\"spiffe_sequence\":", "9"),
    ] {
        for cut in [size, 1 << 20] {
            let mut text = format!("{start}{}", fill(unit));
            text.truncate(cut);
            assert!(parse_text(&text).is_err(), "{start}{unit}");
        }
    }
    // 250 names in each of many objects are what costs most per byte.
    let names: Vec<String> = (0..250).map(|n| format!("\"n{n}\":0")).collect();
    let object = format!("{{{}}}", names.join(","));
    let objects = vec![object; 1024].join(",");
    let bundle = parse_text(&format!("{{\"keys\":[{objects}]}}")).unwrap();
    assert_eq!((bundle.skipped(), bundle.is_empty()), (1024, true));
}

/// Keys that no signature is to be verified with: each is left out and reported, and the others serve.
///
/// Covers: SPIFFE-BUNDLE-4.2-5, SPIFFE-BUNDLE-A16
#[test]
fn bad_public_keys() {
    let rsa = |bits: usize, e: &str| {
        let mut modulus = vec![0xff; bits / 8];
        modulus[bits / 8 - 1] = 0x01;
        modulus[1] = 0x7b;
        json!({"kty": "RSA", "use": "jwt-svid", "kid": "r", "e": e, "n": base64url::encode(&modulus)})
    };
    let ec = |crv: &str, x: &str, y: &str| json!({"kty": "EC", "use": "jwt-svid", "kid": "e", "crv": crv, "x": x, "y": y});
    let good = key("e").to_members();
    let (x, y) = (good["x"].as_str().unwrap(), good["y"].as_str().unwrap());
    let zero = "A".repeat(43);
    let cases = [
        rsa(1024, "AQAB"),
        rsa(2040, "AQAB"),
        rsa(8200, "AQAB"),
        rsa(16_384, "AQAB"),
        rsa(2048, "AQ"),
        rsa(2048, "AA"),
        rsa(2048, "AQAA"),
        rsa(2048, "AAAAAQAB"),
        ec("P-256", y, x),
        ec("P-256", &zero, &zero),
        ec("P-256", &x[..42], y),
        ec("P-256", &format!("{x}="), y),
        ec("P-256", &format!("AA{x}"), y),
        ec("P-384", x, y),
        ec("P-512", x, y),
        ec("secp256k1", x, y),
        // Bits beyond the last byte are not zero: a second spelling of the same number.
        ec("P-256", &format!("{}_", &zero[..42]), y),
        json!({"kty": "EC", "use": "jwt-svid", "kid": "e", "crv": "P-256", "x": x}),
        json!({"kty": "EC", "use": "jwt-svid", "kid": "e", "crv": "P-256", "x": 1, "y": y}),
        json!({"kty": "EC", "use": "jwt-svid", "kid": "e", "crv": "P-256", "x": x, "y": y, "n": "AQ"}),
        json!({"kty": "EC", "use": "jwt-svid", "kid": "e", "crv": "P-256", "x": x, "y": y, "alg": "ES384"}),
        json!({"kty": "EC", "use": "jwt-svid", "kid": "e", "crv": "P-256", "x": x, "y": y, "alg": "none"}),
    ];
    for case in cases {
        let mut document = full();
        document["keys"]
            .as_array_mut()
            .unwrap()
            .insert(1, case.clone());
        let bundle = parse(&document).unwrap();
        assert_eq!(counts(&bundle), [1, 1, 1], "{case}");
        let [diagnostic] = bundle.diagnostics() else {
            panic!("{case}: {:?}", bundle.diagnostics());
        };
        assert_eq!(diagnostic.index, 1);
        assert!(matches!(diagnostic.problem, EntryProblem::Key(_)), "{case}");
    }
    // The same ones as they should be.
    for case in [rsa(2048, "AQAB"), ec("P-256", x, y)] {
        let bundle = parse(&json!({"keys": [case]})).unwrap();
        assert_eq!(counts(&bundle), [0, 1, 0]);
    }
}

/// Every kind of key that has an algorithm for token SVIDs; Ed25519 has none.
///
/// Covers: SPIFFE-BUNDLE-4.2-5
#[test]
fn kinds_of_keys() {
    for (algorithm, kept) in [
        (Algorithm::Es256, 1),
        (Algorithm::Es384, 1),
        (Algorithm::Es512, 1),
        (Algorithm::EdDsa, 0),
    ] {
        let key = SigningKey::generate(&PROVIDER, algorithm).unwrap();
        let jwk = key.with_kid("k").public_jwk().with_use("jwt-svid");
        let bundle = parse(&json!({"keys": [jwk.to_value()]})).unwrap();
        assert_eq!(counts(&bundle), [0, kept, 0], "{algorithm:?}");
        if kept == 0 {
            assert_eq!(bundle.diagnostics()[0].problem, EntryProblem::KeyKind);
            continue;
        }
        let read = bundle.jwt_keys().get("k").unwrap();
        assert_eq!(read.jwk().key(), jwk.key());
        read.prepare().unwrap();
    }
}

/// Covers: SPIFFE-BUNDLE-4.1-1
#[test]
fn further_parameters() {
    let bundle = parse(&full()).unwrap();
    let more = |name: &str| serde_json::Map::from_iter([(name.to_owned(), json!({"a": [1]}))]);
    let text = bundle.to_json_with(more("x_foo")).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap()["x_foo"]["a"][0],
        1
    );
    assert_eq!(parse_text(&text).unwrap(), bundle);
    for taken in ["keys", "spiffe_sequence", "spiffe_refresh_hint"] {
        assert_eq!(code(bundle.to_json_with(more(taken))), "reserved_parameter");
    }
}

/// Covers: SPIFFE-BUNDLE-4.1.2-2
#[test]
fn refresh_hints_are_whole_seconds() {
    let hint = |hint| {
        Bundle::builder(&PROVIDER, td("example.org"))
            .with_refresh_hint(hint)
            .build()
    };
    let minute = hint(Duration::from_secs(60)).unwrap().to_json();
    assert!(minute.contains(r#""spiffe_refresh_hint":60"#));
    for bad in [0, 1, 999, 1500] {
        assert_eq!(code(hint(Duration::from_millis(bad))), "refresh_hint");
    }
}

/// Covers: SPIFFE-BUNDLE-2-2
#[test]
fn a_key_of_two_trust_domains_is_reported() {
    let (jwt, root) = (key("j"), ca("root"));
    let builder = |name: &str| Bundle::builder(&PROVIDER, td(name));
    let mut set = BundleSet::new();
    set.add(builder("a.test").with_jwt_authority(&jwt).build().unwrap())
        .unwrap();
    set.add(
        builder("b.test")
            .with_x509_authority(&root)
            .build()
            .unwrap(),
    )
    .unwrap();
    assert!(set.shared_keys().is_empty());
    // Under another name and use it is still the same key.
    let wit = Jwk::new(jwt.key().clone()).with_kid("w");
    let c = builder("c.test")
        .with_wit_authority(&wit)
        .with_x509_authority(&root);
    set.add(c.build().unwrap()).unwrap();
    let pairs: Vec<_> = set
        .shared_keys()
        .into_iter()
        .map(|shared| (shared.first.to_string(), shared.second.to_string()))
        .collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(pairs, [pair("b.test", "c.test"), pair("a.test", "c.test")]);
}

/// A map is the whole state: what it leaves out is gone, and what is wrong with it changes nothing.
///
/// Covers: SPIFFE-BUNDLE-AppB.1-1, SPIFFE-BUNDLE-AppB.1-2, SPIFFE-BUNDLE-5.1.1-3, SPIFFE-BUNDLE-5.1.1-6
/// Covers: SPIFFE-BUNDLE-5.1.1-7, SPIFFE-BUNDLE-A20
#[test]
fn maps_replace_everything_at_once() {
    let builder = |name: &str| Bundle::builder(&PROVIDER, td(name)).with_jwt_authority(&key("j"));
    let (a, b) = (builder("a.test"), builder("b.test").with_sequence(9));
    let mut both = BundleSet::new();
    both.add(a.build().unwrap()).unwrap();
    both.add(b.clone().build().unwrap()).unwrap();
    assert_eq!(code(both.add(b.build().unwrap())), "duplicate_trust_domain");
    let sequences: Vec<_> = both
        .iter()
        .map(|bundle| (bundle.trust_domain().as_str(), bundle.sequence()))
        .collect();
    assert_eq!(sequences, [("a.test", Some(1)), ("b.test", Some(9))]);

    let (home, other) = (td("a.test"), td("b.test"));
    let shared = SharedBundleSet::new(both.clone());
    let broken = both.to_map_json().replace("b.test", "B.test");
    let before = shared.snapshot();
    assert!(BundleSet::parse_map(&PROVIDER, broken.as_bytes()).is_err());
    assert_eq!(shared.snapshot(), before);

    // One consumer gets one bundle.
    let one = both.filtered(|trust_domain| trust_domain == home.as_trust_domain_ref());
    let mut map: Value = serde_json::from_str(&one.to_map_json()).unwrap();
    map["trust_domains"]["a.test"]["spiffe_refresh_hint"] = 1.into();
    let next = BundleSet::parse_map(&PROVIDER, map.to_string().as_bytes()).unwrap();
    assert_eq!(next.get(&home).unwrap().refresh_hint(), None);
    shared.replace(next);
    assert_eq!(
        shared.jwt_authorities((&home).into()).unwrap().keys().len(),
        1
    );
    assert!(shared.jwt_authorities((&other).into()).is_none());
}

/// Readers see one version or the other while somebody writes, and never wait for it.
#[test]
fn readers_beside_a_writer() {
    const VERSIONS: u64 = 300;
    let home = td("a.test");
    let shared = Arc::new(SharedBundleSet::default());
    let version = |sequence: u64| {
        Bundle::builder(&PROVIDER, td("a.test"))
            .with_sequence(sequence)
            .with_jwt_authority(&key(&format!("k{sequence}")))
            .build()
            .unwrap()
    };
    shared.install(version(0)).unwrap();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let (mut last, mut reads) = (0, 0_u64);
                    while last < VERSIONS {
                        let snapshot = shared.snapshot();
                        let bundle = snapshot.get(&home).unwrap();
                        let sequence = bundle.sequence().unwrap();
                        assert!(sequence >= last, "back from {last} to {sequence}");
                        // The number and the key are of one version.
                        assert!(bundle.jwt_keys().get(&format!("k{sequence}")).is_some());
                        (last, reads) = (sequence, reads + 1);
                    }
                    reads
                })
            })
            .collect();
        for sequence in 1..=VERSIONS {
            assert_eq!(shared.install(version(sequence)), Ok(Installed::Replaced));
        }
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    // A reader that holds a version does not keep a writer from the next one, nor the other way round.
    let held = shared.snapshot();
    shared
        .update(|set| {
            assert!(shared.jwt_authorities((&home).into()).is_some());
            set.remove(&home);
            Ok::<_, Error>(())
        })
        .unwrap();
    assert!(held.get(&home).is_some() && shared.snapshot().is_empty());
}

/// Roots in PEM are as good as those of a document.
///
/// Covers: SPIFFE-FEDERATION-5.2.2.2-3
#[test]
fn roots_from_pem() {
    let roots = [ca("one"), ca("two")];
    let pem: String = roots.iter().map(|der| pem_of("CERTIFICATE", der)).collect();
    let builder = || Bundle::builder(&PROVIDER, td("example.org"));
    let bundle = builder().with_x509_authorities_pem(&pem).unwrap();
    let bundle = bundle.build().unwrap();
    let certificates: Vec<_> = bundle.x509_anchors().certificates().cloned().collect();
    assert_eq!(certificates, roots);
    assert_eq!(parse_text(&bundle.to_json()).unwrap(), bundle);
    let other = pem_of("PRIVATE KEY", b"secret");
    let cut = pem.replace("-----END", "----END");
    for bad in ["", "none", other.as_str(), cut.as_str()] {
        assert_eq!(code(builder().with_x509_authorities_pem(bad)), "pem");
    }
}

fn pem_of(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode_to_string(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// An entry is understood as the same JWK by itself would be.
    #[test]
    fn entries_are_read_as_jwks_are(
        crv in "P-256|P-384|P-25|secp256k1",
        swap: bool,
        pad in "|=|A|AAAA",
        alg in prop::option::of("ES256|ES384|RS256|none"),
        kid in "[a-z]{0,3}",
        extra in prop::option::of(prop::sample::select(vec!["n", "e", "key_ops", "x5t#S256", "foo"])),
    ) {
        let good = key("k").to_members();
        let (x, y) = (good["x"].as_str().unwrap(), good["y"].as_str().unwrap());
        let (x, y) = if swap { (y, x) } else { (x, y) };
        let mut entry = json!({"kty": "EC", "use": "wit-svid", "crv": crv, "x": format!("{x}{pad}"), "y": y, "kid": kid});
        if let Some(alg) = &alg {
            entry["alg"] = alg.as_str().into();
        }
        if let Some(name) = extra {
            entry[name] = if name == "key_ops" { json!(["verify"]) } else { "AQAB".into() };
        }
        let bundle = parse(&json!({"keys": [entry.clone()]})).unwrap();
        match Jwk::from_value(&entry) {
            Ok(jwk) if !kid.is_empty() => {
                prop_assert_eq!(bundle.skipped(), 0);
                prop_assert_eq!(bundle.wit_keys().get(&kid).unwrap().jwk().key(), jwk.key());
                prop_assert_eq!(bundle.wit_keys().keys()[0].jwk().algorithm(), None);
            }
            Ok(_) => prop_assert_eq!(bundle.diagnostics()[0].problem, EntryProblem::NoKid),
            Err(jose_x509::Error::InvalidKey { problem }) => {
                prop_assert_eq!(bundle.diagnostics()[0].problem, EntryProblem::Key(problem));
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    /// Covers: SPIFFE-BUNDLE-4-2
    #[test]
    fn round_trip(sequence: u64, hint in 1u64..1 << 40, x509 in 0usize..2, jwt in 0usize..3, wit in 0usize..3) {
        let mut builder = Bundle::builder(&PROVIDER, td("example.org"))
            .with_sequence(sequence)
            .with_refresh_hint(Duration::from_secs(hint));
        for _ in 0..x509 {
            builder = builder.with_x509_authority(&ca("root"));
        }
        for i in 0..jwt {
            builder = builder.with_jwt_authority(&key(&format!("j{i}")));
        }
        for i in 0..wit {
            builder = builder.with_wit_authority(&key(&format!("w{i}")));
        }
        let bundle = builder.build().unwrap();
        let read = parse_text(&bundle.to_json()).unwrap();
        prop_assert_eq!(&read, &bundle);
        prop_assert_eq!(read.to_json(), bundle.to_json());
        prop_assert!(Arc::ptr_eq(read.jwt_keys(), &read.jwt_authorities(read.trust_domain()).unwrap()));
    }
}

/// An authority that another one issued is published and read, and somebody is told.
///
/// Covers: X509-SVID-6.1-5
#[test]
fn authorities_that_others_issued() {
    let params = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    };
    let root = rcgen::Issuer::new(params("root"), KeyPair::generate().unwrap());
    let below = params("below")
        .signed_by(&KeyPair::generate().unwrap(), &root)
        .unwrap();
    let bundle = Bundle::builder(&PROVIDER, td("example.org"))
        .with_x509_authority(&ca("root"))
        .with_x509_authority(below.der())
        .build()
        .unwrap();
    let read = parse_text(&bundle.to_json()).unwrap();
    for bundle in [&bundle, &read] {
        let problems: Vec<_> = bundle.diagnostics().iter().map(|one| one.problem).collect();
        assert_eq!(problems, [EntryProblem::NotSelfIssued]);
        assert_eq!((bundle.x509_anchors().len(), bundle.skipped()), (2, 0));
    }
    let text = EntryProblem::NotSelfIssued.to_string();
    assert!(text.contains("issued by another"));
}

/// A certificate that cannot serve is accounted for in every entry that has it.
#[test]
fn repeated_certificates_that_do_not_serve() {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::default().self_signed(&key).unwrap();
    let spki = key.public_key_raw();
    let (x, y) = spki[1..].split_at(32);
    let entry = json!({
        "kty": "EC", "crv": "P-256", "x": base64url::encode(x), "y": base64url::encode(y), "use": "x509-svid",
        "x5c": [STANDARD.encode_to_string(leaf.der())],
    });
    let mut document = full();
    let entries = document["keys"].as_array_mut().unwrap();
    entries.push(entry.clone());
    entries.insert(0, entry);
    let bundle = parse(&document).unwrap();
    assert_eq!(counts(&bundle), [1, 1, 1]);
    let told: Vec<_> = bundle.diagnostics().iter().map(|one| one.index).collect();
    assert_eq!((told, bundle.skipped()), (vec![0, 4], 2));
}
