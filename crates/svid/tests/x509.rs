//! X509-SVIDs: attacks first, then what is issued.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

use std::time::Duration;

use jose_x509::x509::{Certificate, eku};
use jose_x509::{Algorithm, CryptoProvider, SigningKey, provider::ring};
use pki_types::{CertificateDer, DnsName, PrivatePkcs8KeyDer, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::{SpiffeId, TrustDomain};
use svid::x509::{
    CertificateAuthority, KeyUsagePolicy, PeerRole, UnprovenX509Svid, VerifyOptions, X509Svid,
    verify,
};

const PROVIDER: CryptoProvider = ring::provider();
const ID: &str = "spiffe://a.test/agents/one";
const DAY: Duration = Duration::from_secs(86_400);
/// 2027-01-15, in the validity of whatever rcgen makes by default.
const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

struct Ca {
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn ca_params(name: &str, uri: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.subject_alt_names = uri
        .map(|uri| SanType::URI(uri.try_into().unwrap()))
        .into_iter()
        .collect();
    params
}

fn root(name: &str) -> Ca {
    let (params, key) = (
        ca_params(name, Some("spiffe://a.test")),
        KeyPair::generate().unwrap(),
    );
    let der = params.self_signed(&key).unwrap().der().clone();
    Ca {
        der,
        issuer: Issuer::new(params, key),
    }
}

fn intermediate(issuer: &Ca, params: CertificateParams) -> Ca {
    let key = KeyPair::generate().unwrap();
    let der = params
        .signed_by(&key, &issuer.issuer)
        .unwrap()
        .der()
        .clone();
    Ca {
        der,
        issuer: Issuer::new(params, key),
    }
}

/// Another certificate for the key of a CA.
fn again(issuer: &Ca, ca: &Ca, params: CertificateParams) -> CertificateDer<'static> {
    let made = params.signed_by(ca.issuer.key(), &issuer.issuer).unwrap();
    made.der().clone()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn leaf(ca: &Ca, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(ID)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    change(&mut params);
    params
        .signed_by(&KeyPair::generate().unwrap(), &ca.issuer)
        .unwrap()
        .der()
        .clone()
}

fn bundles(list: &[(&str, &[&CertificateDer<'static>])]) -> BundleSet {
    let mut set = BundleSet::new();
    for (name, anchors) in list {
        let builder = Bundle::builder(&PROVIDER, td(name));
        let builder = anchors
            .iter()
            .fold(builder, |b, der| b.with_x509_authority(der));
        set.install(builder.build().unwrap()).unwrap();
    }
    set
}

fn check(
    chain: &[CertificateDer<'_>],
    set: &BundleSet,
    options: &VerifyOptions,
) -> Result<UnprovenX509Svid, svid::Error> {
    verify(
        chain,
        set,
        options,
        PROVIDER.certificate_algorithms,
        at(NOW),
    )
}

fn code(chain: &[CertificateDer<'_>], set: &BundleSet) -> &'static str {
    result(check(chain, set, &VerifyOptions::default()))
}

fn result<T>(result: Result<T, svid::Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

/// What a leaf says of itself.
///
/// Covers: X509-SVID-2-3, X509-SVID-2-4, X509-SVID-2-5, X509-SVID-2-6, X509-SVID-3.1-3, X509-SVID-5.2-1
/// Covers: X509-SVID-5.2-2, X509-SVID-5.2-3, X509-SVID-5.2-4, X509-SVID-5.2-5, X509-SVID-5.2-6, X509-SVID-A1
/// Covers: X509-SVID-A3, X509-SVID-A5, X509-SVID-A7, X509-SVID-A15, X509-SVID-A18, X509-SVID-4.3-5, X509-SVID-4.3-7
#[test]
fn leaf_rules() {
    type Change = fn(&mut CertificateParams);
    let ca = root("root");
    let set = bundles(&[("a.test", &[&ca.der])]);
    let cases: [(&str, Change); 24] = [
        ("valid", |_| {}),
        ("several_uri_names", |p| {
            p.subject_alt_names = vec![uri(ID), uri("https://x")];
        }),
        ("several_uri_names", |p| {
            p.subject_alt_names = vec![uri(ID), uri(ID)];
        }),
        ("several_uri_names", |p| {
            p.subject_alt_names = vec![uri("spiffe://a.test/low"), uri("spiffe://a.test/admin")];
        }),
        ("no_uri_name", |p| {
            p.subject_alt_names = vec![SanType::DnsName("a.test".try_into().unwrap())];
        }),
        ("no_uri_name", |p| {
            p.subject_alt_names = vec![SanType::Rfc822Name("x@a.test".try_into().unwrap())];
        }),
        ("no_uri_name", |p| {
            p.subject_alt_names = vec![];
            p.distinguished_name.push(DnType::CommonName, ID);
        }),
        ("spiffe_id", |p| {
            p.subject_alt_names = vec![uri("https://a.test/a")];
        }),
        ("spiffe_id", |p| {
            p.subject_alt_names = vec![uri("wimse://a.test/a")];
        }),
        ("spiffe_id", |p| {
            p.subject_alt_names = vec![uri("spiffe://a.test/a%62")];
        }),
        ("spiffe_id", |p| {
            p.subject_alt_names = vec![uri("spiffe://A.test/a")];
        }),
        ("subject_alt_name_malformed", |p| {
            p.subject_alt_names = vec![uri("spiffe://a.test/a\0b")];
        }),
        ("spiffe_id", |p| {
            p.subject_alt_names = vec![uri("spiffe://a.test/a/")];
        }),
        ("spiffe_id_without_path", |p| {
            p.subject_alt_names = vec![uri("spiffe://a.test")];
        }),
        ("spiffe_id_without_path", |p| {
            p.subject_alt_names = vec![uri("spiffe://a.test/")];
        }),
        ("ca_used_as_leaf", |p| {
            p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }),
        ("leaf_with_ca_key_usage", |p| {
            p.key_usages.push(KeyUsagePurpose::KeyCertSign);
        }),
        ("leaf_with_ca_key_usage", |p| {
            p.key_usages.push(KeyUsagePurpose::CrlSign);
        }),
        ("no_key_usage", |p| p.key_usages = vec![]),
        ("digital_signature_missing", |p| {
            p.key_usages = vec![KeyUsagePurpose::KeyAgreement];
        }),
        ("valid", |p| {
            p.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }),
        // An encoded default is not DER.
        ("certificate_malformed", |p| p.is_ca = IsCa::ExplicitNoCa),
        ("valid", |p| {
            p.distinguished_name
                .push(DnType::CommonName, "spiffe://b.test/other");
        }),
        ("valid", |p| {
            p.subject_alt_names.extend([
                SanType::DnsName("b.test".try_into().unwrap()),
                SanType::DnsName("c.test".try_into().unwrap()),
                SanType::IpAddress([127, 0, 0, 1].into()),
            ]);
        }),
    ];
    for (at, (expected, change)) in cases.into_iter().enumerate() {
        let leaf = leaf(&ca, change);
        assert_eq!(
            code(std::slice::from_ref(&leaf), &set),
            expected,
            "case {at}"
        );
        if expected == "valid" {
            let peer = check(&[leaf], &set, &VerifyOptions::default()).unwrap();
            assert_eq!(peer.unproven_spiffe_id().as_str(), ID, "case {at}");
        }
    }
    assert_eq!(code(&[], &set), "empty_chain");
    assert_eq!(
        code(std::slice::from_ref(&ca.der), &set),
        "spiffe_id_without_path"
    );
}

/// The lenient policy is about `keyUsage` alone, and never about that of a CA.
///
/// Covers: X509-SVID-4.3-7
#[test]
fn lenient_key_usage() {
    let ca = root("root");
    let set = bundles(&[("a.test", &[&ca.der])]);
    let lenient = VerifyOptions::default().with_key_usage(KeyUsagePolicy::Lenient);
    let usages = |usages: Vec<KeyUsagePurpose>| [leaf(&ca, |p| p.key_usages = usages)];
    assert_eq!(result(check(&usages(vec![]), &set, &lenient)), "valid");
    assert_eq!(
        result(check(
            &usages(vec![KeyUsagePurpose::KeyAgreement]),
            &set,
            &lenient
        )),
        "valid"
    );
    assert_eq!(
        result(check(
            &usages(vec![KeyUsagePurpose::KeyCertSign]),
            &set,
            &lenient
        )),
        "leaf_with_ca_key_usage"
    );
}

/// Covers: X509-SVID-4.4-4, X509-SVID-4.4-5
#[test]
fn roles() {
    use ExtendedKeyUsagePurpose as E;
    let root = root("root");
    let set = bundles(&[("a.test", &[&root.der])]);
    let judge = |usages: Vec<E>, role| {
        let leaf = leaf(&root, |p| p.extended_key_usages = usages);
        result(check(&[leaf], &set, &VerifyOptions::new(role)))
    };
    assert_eq!(judge(vec![E::ServerAuth], PeerRole::Server), "valid");
    assert_eq!(
        judge(vec![E::ServerAuth], PeerRole::Client),
        "extended_key_usage_mismatch"
    );
    // "Any" is no role, unless nobody asks for one.
    for (role, expected) in [
        (PeerRole::Client, "extended_key_usage_mismatch"),
        (PeerRole::Server, "extended_key_usage_mismatch"),
        (PeerRole::Unspecified, "valid"),
    ] {
        assert_eq!(judge(vec![E::Any], role), expected, "{role:?}");
    }
    assert_eq!(judge(vec![], PeerRole::Client), "valid");
    assert_eq!(judge(vec![], PeerRole::Server), "valid");
    for (usages, expected) in [
        (vec![E::CodeSigning], false),
        (vec![E::ServerAuth, E::ClientAuth], true),
        (vec![], true),
    ] {
        let mut params = ca_params("mid", None);
        params.extended_key_usages = usages;
        let mid = intermediate(&root, params);
        let chain = [leaf(&mid, |_| {}), mid.der.clone()];
        let judged = check(&chain, &set, &VerifyOptions::new(PeerRole::Client));
        assert_eq!(judged.is_ok(), expected);
    }
}

/// Anchors are those of the trust domain that the leaf names, whoever else is federated.
///
/// Covers: X509-SVID-5.1-2, X509-SVID-5.1-3, X509-SVID-6.2-5, X509-SVID-A4, SPIFFE-BUNDLE-3-2, SPIFFE-BUNDLE-2-1
#[test]
fn another_trust_domain_cannot_vouch() {
    let (a, a2, b) = (root("a"), root("a2"), root("b"));
    let set = bundles(&[("a.test", &[&a.der, &a2.der]), ("b.test", &[&b.der])]);
    let of_b = |p: &mut CertificateParams| p.subject_alt_names = vec![uri("spiffe://b.test/x")];
    assert_eq!(code(&[leaf(&a, |_| {})], &set), "valid");
    assert_eq!(code(&[leaf(&a2, |_| {})], &set), "valid");
    assert_eq!(code(&[leaf(&b, of_b)], &set), "valid");
    assert_eq!(code(&[leaf(&b, |_| {})], &set), "unknown_issuer");
    assert_eq!(code(&[leaf(&a, of_b)], &set), "unknown_issuer");
    // Presenting the root does not make it an anchor.
    assert_eq!(
        code(&[leaf(&b, |_| {}), b.der.clone()], &set),
        "unknown_issuer"
    );
    let only_a = bundles(&[("a.test", &[&a.der])]);
    assert_eq!(code(&[leaf(&a, of_b)], &only_a), "no_bundle");
    assert_eq!(
        code(&[leaf(&a, |_| {})], &bundles(&[("a.test", &[])])),
        "no_authorities"
    );
    // The leaf's own faults come before those of the configuration.
    let ca_leaf = leaf(&a, |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(code(&[ca_leaf], &bundles(&[])), "ca_used_as_leaf");
}

/// Covers: X509-SVID-3.2-4, X509-SVID-3.2-6, X509-SVID-4.1-1, X509-SVID-5.1-2, X509-SVID-A2, X509-SVID-A14
#[test]
fn intermediates() {
    let root = root("root");
    let set = bundles(&[("a.test", &[&root.der])]);
    for (uri, expected) in [
        (None, "valid"),
        (Some("spiffe://a.test"), "valid"),
        (Some("spiffe://a.test/"), "valid"),
        (Some("spiffe://b.test"), "valid"),
        (Some("https://ca.example/x"), "valid"),
        (Some("spiffe://a.test/x"), "intermediate_id"),
        (Some("spiffe://A.test"), "intermediate_id"),
        (Some("SPIFFE://a.test"), "intermediate_id"),
    ] {
        let mid = intermediate(&root, ca_params("mid", uri));
        let other = intermediate(&root, ca_params("unrelated", None));
        let chain = [leaf(&mid, |_| {}), other.der.clone(), mid.der.clone()];
        assert_eq!(code(&chain, &set), expected, "{uri:?}");
    }
    // Of two certificates of one CA the one that names a workload is ignored, in whatever order they come.
    let good = intermediate(&root, ca_params("two", Some("spiffe://a.test")));
    let below = leaf(&good, |_| {});
    let bad = again(&root, &good, ca_params("two", Some("spiffe://a.test/ca")));
    let (good, orders) = (good.der.clone(), [true, false]);
    for first in orders {
        let (one, two) = if first { (&good, &bad) } else { (&bad, &good) };
        let chain = [below.clone(), one.clone(), two.clone()];
        assert_eq!(code(&chain, &set), "valid", "{first}");
    }
    assert_eq!(code(&[below, bad], &set), "intermediate_id");
    // A leaf is no issuer.
    let mut params = ca_params("leaf", Some(ID));
    params.is_ca = IsCa::NoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let fake = intermediate(&root, params);
    assert_eq!(
        code(&[leaf(&fake, |_| {}), fake.der.clone()], &set),
        "issuer_not_ca"
    );
    // A path length of zero allows leaves alone.
    let mut params = ca_params("short", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = intermediate(&root, params);
    assert_eq!(
        code(&[leaf(&short, |_| {}), short.der.clone()], &set),
        "valid"
    );
    let below = intermediate(&short, ca_params("below", None));
    let chain = [leaf(&below, |_| {}), below.der.clone(), short.der.clone()];
    assert_eq!(code(&chain, &set), "path_len_exceeded");
    // A constraint on URIs is not evaluated, so the path is refused.
    let mut params = ca_params("constrained", None);
    let custom = CustomExtension::from_oid_content(
        &[2, 5, 29, 30],
        b"\x30\x10\xa0\x0e\x30\x0c\x86\x0adev.a.test"[..18].to_vec(),
    );
    params.custom_extensions = vec![custom];
    let constrained = intermediate(&root, params);
    let refused = code(&[leaf(&constrained, |_| {}), constrained.der.clone()], &set);
    assert_eq!(refused, "name_constraint_violation");
    // One on DNS names does not touch a leaf without DNS names.
    let mut params = ca_params("dns", None);
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("a.test".to_owned())],
        excluded_subtrees: vec![],
    });
    let dns = intermediate(&root, params);
    assert_eq!(code(&[leaf(&dns, |_| {}), dns.der.clone()], &set), "valid");
}

#[test]
fn validity() {
    let (a, b) = (root("root"), root("root"));
    let set = bundles(&[("a.test", &[&a.der])]);
    let old = leaf(&a, |p| p.not_after = rcgen::date_time_ymd(2026, 1, 1));
    let future = leaf(&a, |p| p.not_before = rcgen::date_time_ymd(2028, 1, 1));
    assert_eq!(code(&[old], &set), "certificate_expired");
    assert_eq!(code(&[future], &set), "certificate_not_yet_valid");
    // Same issuer name, another key.
    let forged = code(&[leaf(&b, |_| {})], &set);
    assert!(
        ["certificate_signature_invalid", "unknown_issuer"].contains(&forged),
        "{forged}"
    );
}

fn ca(algorithm: Algorithm) -> CertificateAuthority {
    let key = SigningKey::generate(&PROVIDER, algorithm).unwrap();
    CertificateAuthority::self_signed(&td("a.test"), key, 30 * DAY, at(NOW)).unwrap()
}

/// What is issued verifies, by every kind of CA key, often enough to meet every form of an ECDSA signature.
///
/// Covers: X509-SVID-2-1, X509-SVID-3.1-2, X509-SVID-3.2-1, X509-SVID-3.2-2, X509-SVID-4.1-2, X509-SVID-4.1-3
/// Covers: X509-SVID-4.3-1, X509-SVID-4.3-2, X509-SVID-4.3-4, X509-SVID-4.3-6, X509-SVID-4.4-1, X509-SVID-4.4-3
/// Covers: X509-SVID-AppA-2
#[test]
fn issued_certificates_verify() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Ed25519] {
        let ca = ca(algorithm);
        let set = bundles(&[("a.test", &[ca.certificate()])]);
        let authority = Certificate::parse(ca.certificate()).unwrap();
        assert_eq!(
            authority.uri_names().collect::<Vec<_>>(),
            ["spiffe://a.test"]
        );
        assert!(authority.is_ca());
        let usage = authority.key_usage().unwrap();
        assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
        for _ in 0..100 {
            let key = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
            let dns = [DnsName::try_from("one.a.test").unwrap()];
            let id = SpiffeId::parse(ID).unwrap();
            let leaf = ca
                .issue_leaf(&id, key.public_key(), &dns, DAY, at(NOW))
                .unwrap();
            let parsed = Certificate::parse(&leaf).unwrap();
            assert_eq!(parsed.subject(), [0x30, 0]);
            assert_eq!(parsed.uri_names().collect::<Vec<_>>(), [ID]);
            assert_eq!(parsed.dns_names().collect::<Vec<_>>(), ["one.a.test"]);
            let usage = parsed.key_usage().unwrap();
            assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
            let purposes: Vec<_> = parsed.extended_key_usages().unwrap().collect();
            assert_eq!(purposes, [eku::SERVER_AUTH, eku::CLIENT_AUTH]);
            assert!(!parsed.is_ca());
            assert_eq!(parsed.not_after(), at(NOW + DAY.as_secs()));
            let peer = check(
                std::slice::from_ref(&leaf),
                &set,
                &VerifyOptions::new(PeerRole::Client),
            )
            .unwrap();
            assert_eq!(peer.unproven_spiffe_id(), &id);
            assert_eq!(peer.chain(), std::slice::from_ref(&leaf));
            assert_eq!(
                peer.spki().as_ref(),
                key.public_key().to_spki_der().unwrap()
            );
            assert_eq!(peer.not_after(), parsed.not_after());
        }
    }
}

/// Covers: X509-5280.4.1.2.5-2
#[test]
fn years_from_2050_are_written_in_full() {
    const LAST_OF_2049: u64 = 2_524_607_999;
    let key = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    let id = SpiffeId::parse(ID).unwrap();
    let has = |der: &[u8], tag: u8, text: &str| {
        let element = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        der.windows(element.len()).any(|part| part == element)
    };
    let (utc, generalized) = (0x17, 0x18);
    for (end, tag, text) in [
        (LAST_OF_2049, utc, "491231235959Z"),
        (LAST_OF_2049 + 1, generalized, "20500101000000Z"),
    ] {
        let now = at(end - DAY.as_secs());
        let made = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
        let ca = CertificateAuthority::self_signed(&td("a.test"), made, DAY, now).unwrap();
        let leaf = ca.issue_leaf(&id, key.public_key(), &[], DAY, now).unwrap();
        for der in [ca.certificate(), &leaf] {
            assert!(has(der, tag, text), "{text}");
            // What is written is read back as the same second.
            assert_eq!(Certificate::parse(der).unwrap().not_after(), at(end));
        }
    }
}

/// Covers: X509-5280.4.2.1.3-5
#[test]
fn issued_key_usages_are_critical() {
    let ca = ca(Algorithm::Es256);
    let key = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    let id = SpiffeId::parse(ID).unwrap();
    let leaf = ca
        .issue_leaf(&id, key.public_key(), &[], DAY, at(NOW))
        .unwrap();
    let critical = [0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff];
    for der in [ca.certificate(), &leaf] {
        let found = der.windows(critical.len()).filter(|part| *part == critical);
        assert_eq!(found.count(), 1);
    }
}

/// Covers: X509-SVID-3.1-1, X509-SVID-3.2-5
#[test]
fn issuer_refuses() {
    let ca = ca(Algorithm::Es256);
    let key = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    let issue = |id: &str, lifetime, now| {
        let id = SpiffeId::parse(id).unwrap();
        result(ca.issue_leaf(&id, key.public_key(), &[], lifetime, at(now)))
    };
    assert_eq!(issue(ID, DAY, NOW), "valid");
    assert_eq!(issue("spiffe://a.test", DAY, NOW), "spiffe_id_without_path");
    assert_eq!(issue("spiffe://b.test/x", DAY, NOW), "foreign_subject");
    assert_eq!(issue(ID, Duration::ZERO, NOW), "invalid_option");
    assert_eq!(
        issue(ID, DAY, NOW + 40 * DAY.as_secs()),
        "authority_not_valid"
    );
    assert_eq!(issue(ID, DAY, NOW - DAY.as_secs()), "authority_not_valid");
    // Nothing outlives its issuer.
    let id = SpiffeId::parse(ID).unwrap();
    let long = ca
        .issue_leaf(&id, key.public_key(), &[], 90 * DAY, at(NOW))
        .unwrap();
    let until = Certificate::parse(ca.certificate()).unwrap().not_after();
    assert_eq!(Certificate::parse(&long).unwrap().not_after(), until);
    let other = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    let public = other.public_key().clone();
    let wrong = CertificateAuthority::from_certificate(
        &PROVIDER,
        &td("a.test"),
        other,
        &public,
        ca.certificate(),
    );
    assert_eq!(result(wrong), "key_mismatch");
}

/// The holder's chain and key belong together.
#[test]
fn holder() {
    let ca = ca(Algorithm::Es256);
    let key = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    let other = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    let id = SpiffeId::parse(ID).unwrap();
    let leaf = ca
        .issue_leaf(&id, key.public_key(), &[], DAY, at(NOW))
        .unwrap();
    let der = PrivatePkcs8KeyDer::from(key.expose_pkcs8_der().to_vec());
    let svid = X509Svid::from_der(&PROVIDER, vec![leaf.clone()], &der).unwrap();
    assert_eq!(
        (svid.spiffe_id(), svid.not_after()),
        (&id, at(NOW + DAY.as_secs()))
    );
    assert!(!format!("{svid:?}").contains("pkcs8"));
    assert_eq!(result(X509Svid::new(vec![leaf], other)), "key_mismatch");
    assert_eq!(result(X509Svid::new(vec![], key)), "empty_chain");
}
