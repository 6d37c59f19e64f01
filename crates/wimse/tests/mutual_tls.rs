//! The mutual TLS profile: what each side accepts of a peer's certificate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jose_x509::x509::TrustAnchors;
use jose_x509::{CryptoProvider, provider::ring};
use pki_types::{CertificateDer, DnsName, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType, date_time_ymd,
};
use wimse::mtls::{ClientVerifier, PeerIdentity, ServerVerifier};
use wimse::{Error, PeerPolicy, WorkloadIdentifier};

const PROVIDER: CryptoProvider = ring::provider();
const A: &str = "wimse://a.example";
const B: &str = "wimse://b.example";
const CLIENT: &str = "wimse://a.example/client";
/// 2027-01-15.
const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

struct Ca {
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn root(name: &str) -> Ca {
    let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
    let der = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    Ca { der, issuer }
}

fn below(ca: &Ca, params: CertificateParams) -> Ca {
    let key = KeyPair::generate().unwrap();
    let der = params.signed_by(&key, &ca.issuer).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    Ca { der, issuer }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

fn leaf(ca: &Ca, change: impl FnOnce(&mut CertificateParams)) -> Vec<CertificateDer<'static>> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(CLIENT)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    change(&mut params);
    vec![below(ca, params).der]
}

struct World {
    a: Ca,
    b: Ca,
    anchors: BTreeMap<String, Arc<TrustAnchors>>,
}

impl World {
    fn new() -> Self {
        let (a, b) = (root("A"), root("B"));
        let anchors = |ca: &Ca| Arc::new(TrustAnchors::new([ca.der.clone()]));
        let anchors = BTreeMap::from([(A.to_owned(), anchors(&a)), (B.to_owned(), anchors(&b))]);
        Self { a, b, anchors }
    }

    fn client(&self, chain: &[CertificateDer<'_>]) -> Result<PeerIdentity, Error> {
        let verifier = ClientVerifier::new(PROVIDER, [A]).unwrap();
        verifier.verify(chain, &self.anchors, at(NOW))
    }

    fn client_code(&self, chain: &[CertificateDer<'_>]) -> &'static str {
        self.client(chain)
            .map_or_else(|error| error.code(), |_| "valid")
    }

    fn leaf_code(&self, change: impl FnOnce(&mut CertificateParams)) -> &'static str {
        self.client_code(&leaf(&self.a, change))
    }

    fn server_code(&self, verifier: &ServerVerifier, chain: &[CertificateDer<'_>]) -> &'static str {
        verifier
            .verify(chain, &self.anchors, at(NOW))
            .map_or_else(|error| error.code(), |_| "valid")
    }
}

fn host(name: &str) -> DnsName<'static> {
    DnsName::try_from(name.to_owned()).unwrap()
}

fn id(text: &str) -> WorkloadIdentifier {
    WorkloadIdentifier::parse(text).unwrap()
}

/// Covers: WIMSE-MTLS-3.1-1, WIMSE-MTLS-3.3-1, WIMSE-MTLS-3.3-2, WIMSE-MTLS-5-1, WIMSE-MTLS-5-2, WIMSE-MTLS-3.2-8
/// Covers: WIMSE-MTLS-3.2-9, WIMSE-MTLS-A3, WIMSE-MTLS-A4, WIMSE-WIT-6.1-1, WIMSE-WIT-6.1-2, WIMSE-WIT-6.1-4
/// Covers: WIMSE-WIT-4-4
#[test]
fn the_identity_is_the_one_uri() {
    let world = World::new();
    let chain = leaf(&world.a, |params| {
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "wimse://a.example/admin");
        params.subject_alt_names.push(dns("admin.a.example"));
        params
            .subject_alt_names
            .push(SanType::Rfc822Name("a@a.example".try_into().unwrap()));
    });
    let peer = world.client(&chain).unwrap();
    assert_eq!(peer.identifier().as_str(), CLIENT);
    assert_eq!(peer.dns_name(), None);
    assert_eq!(*peer.anchor(), world.a.der);
    assert_eq!(*peer.fingerprint(), PROVIDER.sha256(&chain[0]));
    assert_eq!(
        world.leaf_code(|params| params.distinguished_name = DistinguishedName::new()),
        "valid"
    );
    assert_eq!(
        world.leaf_code(|params| params.subject_alt_names.push(uri("wimse://a.example/b"))),
        "uri_count"
    );
    assert_eq!(
        world.leaf_code(|params| params.subject_alt_names.push(uri("https://x.example/"))),
        "uri_count"
    );
    assert_eq!(
        world.leaf_code(|params| params.subject_alt_names = vec![dns("a.example")]),
        "uri_count"
    );
}

/// Covers: WIMSE-MTLS-A9
#[test]
fn uris_that_are_no_identifiers() {
    let world = World::new();
    for text in [
        "wimse://a.example:443/x",
        "wimse://u@a.example/x",
        "wimse://a.example/x?y",
        "wimse://a.example/%zz",
        "urn:x",
        "wimse:///x",
        "wimse://a.example/x\u{0}",
        "wimse://a.ex%zample/x",
        "spiffe://a.example/x/../y",
        "spiffe://a.example/%2e%2e/y",
        "spiffe://A.example/x",
    ] {
        let code = world.leaf_code(|params| params.subject_alt_names = vec![uri(text)]);
        assert!(
            ["workload_identifier", "subject_alt_name_malformed"].contains(&code),
            "{text}: {code}"
        );
    }
}

/// The anchors are those of the trust domain, and yet nobody is named.
///
/// Covers: WIMSE-WIT-ID-4.5-1
#[test]
fn a_trust_domain_alone_names_no_peer() {
    let world = World::new();
    for text in [A, "wimse://a.example/"] {
        let chain = leaf(&world.a, |params| {
            params.subject_alt_names = vec![uri(text)];
        });
        assert_eq!(world.client_code(&chain), "workload_identifier", "{text}");
        let policy = PeerPolicy::TrustDomain(A.to_owned());
        let verifier = ServerVerifier::by_identity_alone(PROVIDER, policy);
        let code = world.server_code(&verifier, &chain);
        assert_eq!(code, "workload_identifier", "{text}");
        assert!(ServerVerifier::exactly(PROVIDER, text).is_err());
    }
    // And a workload is no trust domain: everybody else there would be let in with it.
    assert!(ClientVerifier::new(PROVIDER, [CLIENT]).is_err());
}

/// Covers: WIMSE-MTLS-3.2-1, WIMSE-MTLS-3.2-3, WIMSE-MTLS-A1, WIMSE-MTLS-A2, WIMSE-WIT-9.3-1
#[test]
fn anchors_are_those_of_the_trust_domain() {
    let world = World::new();
    // The CA of one domain names a workload of another, and a CA that nobody configured names one of ours.
    assert_eq!(world.client_code(&leaf(&world.b, |_| {})), "unknown_issuer");
    assert_eq!(
        world.client_code(&leaf(&root("Public"), |_| {})),
        "unknown_issuer"
    );
    // A valid client of a domain that is known and not expected here.
    let other = leaf(&world.b, |params| {
        params.subject_alt_names = vec![uri("wimse://b.example/client")];
    });
    assert_eq!(world.client_code(&other), "unexpected_trust_domain");
    let verify = |origins: &[&str]| {
        let verifier = ClientVerifier::new(PROVIDER, origins.iter().copied()).unwrap();
        verifier
            .verify(&other, &world.anchors, at(NOW))
            .map(|peer| peer.identifier().to_string())
    };
    assert_eq!(verify(&[A, B]).unwrap(), "wimse://b.example/client");
    assert_eq!(verify(&[]).unwrap_err().code(), "unexpected_trust_domain");
    // The scheme is part of the namespace, and a domain without anchors has none.
    assert_eq!(
        verify(&["spiffe://b.example"]).unwrap_err().code(),
        "unexpected_trust_domain"
    );
    let unknown = leaf(&world.a, |params| {
        params.subject_alt_names = vec![uri("wimse://c.example/x")];
    });
    let verifier = ClientVerifier::new(PROVIDER, ["wimse://c.example"]).unwrap();
    assert_eq!(
        verifier
            .verify(&unknown, &world.anchors, at(NOW))
            .unwrap_err()
            .code(),
        "unknown_trust_domain"
    );
    assert!(ClientVerifier::new(PROVIDER, ["a.example"]).is_err());
}

/// Covers: WIMSE-MTLS-3.2-2, WIMSE-MTLS-A8
#[test]
fn paths_are_those_of_rfc_5280() {
    let world = World::new();
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 12, 31);
    };
    assert_eq!(world.leaf_code(expired), "certificate_expired");
    assert_eq!(
        world.leaf_code(|params| params.not_before = date_time_ymd(2028, 1, 1)),
        "certificate_not_yet_valid"
    );
    let critical = |params: &mut CertificateParams| {
        let mut extension =
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    };
    assert_eq!(world.leaf_code(critical), "critical_extension_unsupported");
    assert_eq!(
        world.leaf_code(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        "ca_used_as_leaf"
    );
    assert_eq!(
        world.leaf_code(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
        "digital_signature_missing"
    );

    let through = |params: CertificateParams, deeper: bool| {
        let mut ca = below(&world.a, params);
        let mut intermediates = vec![ca.der.clone()];
        if deeper {
            ca = below(&ca, ca_params("deeper"));
            intermediates.push(ca.der.clone());
        }
        let mut chain = leaf(&ca, |_| {});
        chain.append(&mut intermediates);
        world.client_code(&chain)
    };
    assert_eq!(through(ca_params("I"), true), "valid");
    let mut no_ca = ca_params("I");
    no_ca.is_ca = IsCa::ExplicitNoCa;
    assert_ne!(through(no_ca, false), "valid");
    let mut no_sign = ca_params("I");
    no_sign.key_usages = vec![KeyUsagePurpose::CrlSign];
    assert_ne!(through(no_sign, false), "valid");
    let mut short = ca_params("I");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    assert_eq!(through(short.clone(), false), "valid");
    assert_eq!(through(short, true), "path_len_exceeded");
}

/// An intermediate that is constrained to other URIs cannot vouch for this one.
///
/// Covers: WIMSE-MTLS-A13, WIMSE-MTLS-3.2-2
#[test]
fn name_constraints_hold_for_uris() {
    let world = World::new();
    // permittedSubtrees with the URI host `other.example`: SEQUENCE { [0] { SEQUENCE { [6] "…" } } }.
    let name = b"other.example";
    let length = u8::try_from(name.len()).unwrap();
    let mut der = vec![
        0x30,
        length + 6,
        0xa0,
        length + 4,
        0x30,
        length + 2,
        0x86,
        length,
    ];
    der.extend_from_slice(name);
    let mut params = ca_params("I");
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], der);
    extension.set_criticality(true);
    params.custom_extensions.push(extension);
    let ca = below(&world.a, params);
    let mut chain = leaf(&ca, |_| {});
    chain.push(ca.der);
    assert_ne!(world.client_code(&chain), "valid");

    // Constraints on other kinds of names leave the URI alone.
    let mut params = ca_params("I");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("a.example".into())],
        excluded_subtrees: vec![],
    });
    let ca = below(&world.a, params);
    let mut chain = leaf(&ca, |_| {});
    chain.push(ca.der);
    assert_eq!(world.client_code(&chain), "valid");
}

/// Covers: WIMSE-MTLS-3.2-6, WIMSE-MTLS-3.2-7, WIMSE-MTLS-3.2-8, WIMSE-MTLS-A7
#[test]
fn key_purposes() {
    let world = World::new();
    let strict_client = ClientVerifier::new(PROVIDER, [A])
        .unwrap()
        .with_strict_key_usage();
    let server = ServerVerifier::exactly(PROVIDER, CLIENT).unwrap();
    let strict_server = server.clone().with_strict_key_usage();
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    for (usages, client_ok, server_ok, strict_ok) in [
        (vec![ClientAuth, ServerAuth], true, true, true),
        (vec![ClientAuth], true, false, true),
        (vec![ServerAuth], false, true, true),
        (vec![Any], false, false, true),
        (vec![], true, true, false),
    ] {
        let chain = leaf(&world.a, |params| {
            params.extended_key_usages.clone_from(&usages);
        });
        let strict = strict_client
            .verify(&chain, &world.anchors, at(NOW))
            .is_ok();
        assert_eq!(world.client(&chain).is_ok(), client_ok, "{usages:?}");
        assert_eq!(strict, client_ok && strict_ok, "{usages:?}");
        assert_eq!(
            world.server_code(&server, &chain) == "valid",
            server_ok,
            "{usages:?}"
        );
        let strict = world.server_code(&strict_server, &chain) == "valid";
        assert_eq!(strict, server_ok && strict_ok, "{usages:?}");
    }
}

/// Covers: WIMSE-MTLS-3.2-4, WIMSE-MTLS-A10, WIMSE-MTLS-5-5
#[test]
fn no_certificate_is_an_error() {
    let world = World::new();
    let error = world.client(&[]).unwrap_err();
    assert_eq!(
        (error.code(), error.requirement()),
        ("certificate_absent", Some("WIMSE-MTLS-3.2-4"))
    );
    let garbage = CertificateDer::from(&b"garbage"[..]);
    assert_eq!(world.client_code(&[garbage]), "certificate_malformed");
}

/// A host name is proven by `dNSName` alone, and the identity is checked beside it.
///
/// Covers: WIMSE-MTLS-3.2.1-2, WIMSE-MTLS-3.2.1-4, WIMSE-MTLS-3.2.1-7, WIMSE-MTLS-5-3, WIMSE-MTLS-A5, WIMSE-MTLS-A6
/// Covers: WIMSE-MTLS-3.2-3, WIMSE-WIT-6.1-3
#[test]
fn servers_with_a_host_name() {
    let world = World::new();
    let server = |name: &str, policy: PeerPolicy| ServerVerifier::new(PROVIDER, host(name), policy);
    let domain = || PeerPolicy::TrustDomain(A.to_owned());
    let with = |name: &str| leaf(&world.a, |params| params.subject_alt_names.push(dns(name)));
    let chain = with("svc.a.example");
    let peer = server("svc.a.example", domain())
        .verify(&chain, &world.anchors, at(NOW))
        .unwrap();
    assert_eq!(
        (peer.dns_name(), peer.identifier().as_str()),
        (Some("svc.a.example"), CLIENT)
    );
    assert_eq!(
        world.server_code(&server("SVC.A.example", domain()), &chain),
        "valid"
    );
    assert_eq!(
        world.server_code(&server("svd.a.example", domain()), &chain),
        "host_name"
    );
    assert_eq!(
        world.server_code(
            &server("svd.a.example", PeerPolicy::Exact(id(CLIENT))),
            &chain
        ),
        "host_name"
    );
    let other = PeerPolicy::Exact(id("wimse://a.example/other"));
    assert_eq!(
        world.server_code(&server("svc.a.example", other), &chain),
        "unexpected_peer"
    );
    let elsewhere = PeerPolicy::TrustDomain(B.to_owned());
    assert_eq!(
        world.server_code(&server("svc.a.example", elsewhere), &chain),
        "unexpected_trust_domain"
    );
    // Neither the URI's authority nor the common name is a host name.
    let bare = leaf(&world.a, |params| {
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "a.example");
    });
    assert_eq!(
        world.server_code(&server("a.example", domain()), &bare),
        "host_name"
    );
}

/// Covers: WIMSE-MTLS-A15, WIMSE-MTLS-3.2.1-2
#[test]
fn wildcards() {
    let world = World::new();
    for (presented, called, matches) in [
        ("*.a.example", "svc.a.example", true),
        ("*.A.example", "svc.a.EXAMPLE", true),
        ("*.a.example", "a.example", false),
        ("*.a.example", "x.svc.a.example", false),
        ("*.example", "a.example", false),
        ("f*.a.example", "foo.a.example", false),
        ("svc.*.example", "svc.a.example", false),
        ("*.*.example", "svc.a.example", false),
        ("a.example", "svc.a.example", false),
    ] {
        let verifier = ServerVerifier::new(
            PROVIDER,
            host(called),
            PeerPolicy::TrustDomain(A.to_owned()),
        );
        let chain = leaf(&world.a, |params| {
            params.subject_alt_names.push(dns(presented));
        });
        assert_eq!(
            world.server_code(&verifier, &chain) == "valid",
            matches,
            "{presented} {called}"
        );
    }
    let verifier = ServerVerifier::new(
        PROVIDER,
        host("example"),
        PeerPolicy::TrustDomain(A.to_owned()),
    );
    let chain = leaf(&world.a, |params| params.subject_alt_names.push(dns("*")));
    assert_ne!(world.server_code(&verifier, &chain), "valid");
}

/// Covers: WIMSE-MTLS-3.2.1-3, WIMSE-MTLS-3.2.1-5, WIMSE-MTLS-5-4, WIMSE-MTLS-A5
#[test]
fn servers_known_by_identity() {
    let world = World::new();
    let chain = leaf(&world.a, |_| {});
    assert_eq!(
        world.server_code(&ServerVerifier::exactly(PROVIDER, CLIENT).unwrap(), &chain),
        "valid"
    );
    let other = ServerVerifier::exactly(PROVIDER, "wimse://a.example/other").unwrap();
    assert_eq!(world.server_code(&other, &chain), "unexpected_peer");
    let custom = |expected: &'static str| {
        let policy =
            PeerPolicy::Custom(Arc::new(move |identifier| identifier.as_str() == expected));
        ServerVerifier::by_identity_alone(PROVIDER, policy)
    };
    assert_eq!(world.server_code(&custom(CLIENT), &chain), "valid");
    assert_eq!(
        world.server_code(&custom("/client"), &chain),
        "unexpected_peer"
    );
    assert!(ServerVerifier::exactly(PROVIDER, "/client").is_err());
}

/// Who a workload is does not let it in, and a path counts only with its trust domain.
///
/// Covers: WIMSE-MTLS-3.2.1-6, WIMSE-MTLS-3.3-2, WIMSE-MTLS-3.3-3, WIMSE-MTLS-5-2, WIMSE-MTLS-5-6, WIMSE-MTLS-5-12
/// Covers: WIMSE-WIT-7-1, WIMSE-WIT-ID-7-3
#[test]
fn authorization_is_by_whole_identifiers() {
    let world = World::new();
    let peer = world.client(&leaf(&world.a, |_| {})).unwrap();
    let list =
        |texts: &[&str]| PeerPolicy::AnyOf(texts.iter().copied().map(id).collect::<BTreeSet<_>>());
    assert!(list(&[CLIENT, "wimse://a.example/x"]).permits(peer.identifier()));
    for unlisted in [
        list(&[]),
        list(&["wimse://b.example/client"]),
        list(&["spiffe://a.example/client"]),
        list(&[
            "wimse://a.example/clien",
            "wimse://a.example/client/",
            "wimse://a.example/*",
        ]),
        PeerPolicy::TrustDomain("a.example".to_owned()),
        PeerPolicy::TrustDomain("wimse://a".to_owned()),
        PeerPolicy::TrustDomain("/client".to_owned()),
    ] {
        assert!(!unlisted.permits(peer.identifier()), "{unlisted:?}");
    }
}

/// Covers: WIMSE-MTLS-A12, WIMSE-MTLS-A14, WIMSE-WIT-9.3.1-1
#[test]
fn identities_end() {
    let world = World::new();
    let chain = leaf(&world.a, |params| {
        params.not_before = date_time_ymd(2027, 1, 15);
        params.not_after = date_time_ymd(2027, 1, 16);
    });
    let peer = world.client(&chain).unwrap();
    let end = peer.not_after().as_secs();
    assert!(end > NOW && end <= NOW + 86_400);
    assert!(peer.is_valid_at(at(end)) && !peer.is_valid_at(at(end + 1)));
    let verifier = ClientVerifier::new(PROVIDER, [A]).unwrap();
    let short = verifier
        .clone()
        .with_max_lifetime(Duration::from_secs(3600));
    let error = short.verify(&chain, &world.anchors, at(NOW)).unwrap_err();
    assert_eq!(error.code(), "certificate_lifetime_too_long");
    let day = verifier.with_max_lifetime(Duration::from_secs(86_400));
    day.verify(&chain, &world.anchors, at(NOW)).unwrap();
}

/// A certificate in a field counts only from a peer that is itself verified as the configured proxy.
///
/// Covers: WIMSE-MTLS-5-13, WIMSE-MTLS-A11
#[test]
fn forwarded_certificates() {
    use jose_x509::mtls::{CERTIFICATE_FIELDS, Forwarded};
    let world = World::new();
    let peer = |name: &str| {
        let chain = leaf(&world.a, |params| {
            params.subject_alt_names = vec![uri(name)];
        });
        world.client(&chain).unwrap()
    };
    let (proxy, client) = (peer("wimse://a.example/proxy"), peer(CLIENT));
    let forwarded = Forwarded::rfc9440(|peer: &PeerIdentity| {
        peer.identifier().as_str() == "wimse://a.example/proxy"
    });
    let chain = leaf(&world.a, |params| {
        params.subject_alt_names = vec![uri("wimse://a.example/admin")];
    });
    let value = format!(":{}:", base64(&chain[0]));
    let read = |peer: &PeerIdentity| {
        let fields = [("client-cert", value.as_bytes())];
        forwarded.read(peer, fields).unwrap()
    };
    assert!(read(&client).is_none());
    let passed_on = read(&proxy).unwrap();
    let admin = world.client(&[passed_on.leaf().clone()]).unwrap();
    assert_eq!(admin.identifier().as_str(), "wimse://a.example/admin");
    for field in CERTIFICATE_FIELDS {
        assert!(!forwarded.keeps(&client, field), "{field}");
    }
}

fn base64(bytes: &[u8]) -> String {
    let text = jose_x509::base64url::encode(bytes);
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    text.replace('-', "+").replace('_', "/") + &padding
}
