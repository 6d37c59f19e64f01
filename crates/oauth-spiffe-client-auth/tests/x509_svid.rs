//! `spiffe_x509`: X509-SVIDs over mutual TLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

mod common;

use common::{AGENT, DOMAIN, Domain, NOW, OTHER, PROVIDER, Server, form, headers, id, td};
use http::HeaderMap;
use oauth_spiffe_client_auth::{Method, RegisteredClient, client};
use pki_types::CertificateDer;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::SpiffeIdPattern;

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// The certificate and `client_id` name the workload; a registration names the client.
///
/// Covers: OAUTH-SPIFFE-3.2-3, OAUTH-SPIFFE-3.2-4, OAUTH-SPIFFE-3.2-9, OAUTH-SPIFFE-A15
#[test]
fn client_id_is_the_spiffe_id() {
    let domain = Domain::new(DOMAIN);
    let mut server = Server::new(&[&domain]);
    server.clients.push(RegisteredClient::new(
        OTHER,
        SpiffeIdPattern::exact(id(OTHER)),
    ));
    let chain = [domain.leaf(AGENT)];
    let mut own = Vec::new();
    client::with_x509_svid(&mut own, &id(AGENT));
    let found = server.at(&HeaderMap::new(), &own, &chain, NOW).unwrap();
    assert_eq!(
        (found.method, &*found.client.client_id),
        (Method::SpiffeX509, "agents")
    );
    assert_eq!(
        (found.spiffe_id, found.expires),
        (Some(id(AGENT)), NOW + 3600)
    );
    assert_eq!(
        found.certificate_thumbprint,
        Some(PROVIDER.sha256(&chain[0]))
    );
    // Registered under the SPIFFE ID itself, and as one of a group: its own registration is meant.
    let mut other = Vec::new();
    client::with_x509_svid(&mut other, &id(OTHER));
    let found = server
        .at(&HeaderMap::new(), &other, &[domain.leaf(OTHER)], NOW)
        .unwrap();
    assert_eq!(found.client.client_id, OTHER);

    let send = |client_id: &str| {
        server.code(
            &HeaderMap::new(),
            &form(&[("client_id", client_id)]),
            &chain,
        )
    };
    for wrong in [
        OTHER,
        "agents",
        "",
        "spiffe://example.org/client/1234/",
        "spiffe://example.org/Client/1234",
        "SPIFFE://example.org/client/1234",
        "spiffe://example.org/client/%31234",
    ] {
        assert_eq!(send(wrong), "unknown_client", "{wrong}");
    }
    assert_eq!(
        server.code(&HeaderMap::new(), &[], &chain),
        "unknown_client"
    );
    let unregistered = "spiffe://example.org/batch";
    let request = form(&[("client_id", unregistered)]);
    assert_eq!(
        server.code(&HeaderMap::new(), &request, &[domain.leaf(unregistered)]),
        "unknown_client"
    );
    // A registration for other methods does not count.
    server.clients = vec![server.clients[0].clone().with_methods(&[Method::SpiffeJwt])];
    assert_eq!(
        server.code(&HeaderMap::new(), &own, &chain),
        "unknown_client"
    );
}

/// Only the TLS layer says who the peer is.
///
/// Covers: OAUTH-SPIFFE-A13
#[test]
fn fields_are_no_certificates() {
    let server = Server::new(&[&Domain::new(DOMAIN)]);
    let spoofed = headers(&[
        (
            "x-forwarded-client-cert",
            "By=spiffe://example.org/as;URI=spiffe://example.org/client/1234",
        ),
        ("client-cert", ":MIIB:"),
        ("x-ssl-client-cert", "MIIB"),
    ]);
    let request = form(&[("client_id", AGENT)]);
    assert_eq!(
        server.code(&spoofed, &request, &[]),
        "no_client_authentication"
    );
}

/// Chains end in the bundle of the trust domain that the leaf names, and nowhere else.
///
/// Covers: OAUTH-SPIFFE-3.2-5, OAUTH-SPIFFE-6.2.3-1, OAUTH-SPIFFE-6-1, OAUTH-SPIFFE-A4
#[test]
fn anchors_of_the_own_trust_domain() {
    let (home, partner) = (Domain::new(DOMAIN), Domain::new("partner.example"));
    let server = Server::new(&[&home, &partner]);
    let send = |leaf: CertificateDer<'static>, name: &str| {
        server.code(&HeaderMap::new(), &form(&[("client_id", name)]), &[leaf])
    };
    assert_eq!(send(home.leaf(AGENT), AGENT), "valid");
    // A CA outside of every bundle, and one of another trust domain.
    let stranger = Ca::new();
    assert_eq!(send(stranger.leaf(|_| {}), AGENT), "unknown_issuer");
    let (mut bundles, outsider) = (BundleSet::new(), Ca::new());
    bundles.install(home.bundle()).unwrap();
    let foreign =
        Bundle::builder(&PROVIDER, td("partner.example")).with_x509_authority(&outsider.der);
    bundles.install(foreign.build().unwrap()).unwrap();
    let server = Server::with_bundles(bundles);
    let request = form(&[("client_id", AGENT)]);
    assert_eq!(
        server.code(&HeaderMap::new(), &request, &[outsider.leaf(|_| {})]),
        "unknown_issuer"
    );
    let unknown = "spiffe://unknown.example/client/1";
    let leaf = outsider.leaf(|params| params.subject_alt_names = vec![uri(unknown)]);
    let request = form(&[("client_id", unknown)]);
    assert_eq!(
        server.code(&HeaderMap::new(), &request, &[leaf]),
        "no_bundle"
    );
}

struct Ca {
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.subject_alt_names = vec![uri("spiffe://example.org")];
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self {
            der,
            issuer: Issuer::new(params, key),
        }
    }

    fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![uri(AGENT)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().clone()
    }
}

/// What a leaf may be.
///
/// Covers: OAUTH-SPIFFE-3.2-6, OAUTH-SPIFFE-3.2-7, OAUTH-SPIFFE-3.2-8, OAUTH-SPIFFE-3.2-10, OAUTH-SPIFFE-A14
#[test]
fn leaf_rules() {
    type Change = fn(&mut CertificateParams);
    let ca = Ca::new();
    let mut bundles = BundleSet::new();
    let bundle = Bundle::builder(&PROVIDER, td(DOMAIN)).with_x509_authority(&ca.der);
    bundles.install(bundle.build().unwrap()).unwrap();
    let server = Server::with_bundles(bundles);
    let cases: [(&str, Change); 9] = [
        ("valid", |_| {}),
        ("no_uri_name", |p| {
            p.subject_alt_names = vec![];
        }),
        ("several_uri_names", |p| {
            p.subject_alt_names = vec![uri(AGENT), uri(OTHER)];
        }),
        ("spiffe_id", |p| {
            p.subject_alt_names = vec![uri("https://example.org/client/1234")];
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
        ("no_key_usage", |p| {
            p.key_usages = vec![];
        }),
        ("digital_signature_missing", |p| {
            p.key_usages = vec![KeyUsagePurpose::KeyAgreement];
        }),
    ];
    for (expected, change) in cases {
        let request = form(&[("client_id", AGENT)]);
        assert_eq!(
            server.code(&HeaderMap::new(), &request, &[ca.leaf(change)]),
            expected
        );
    }
    let request = form(&[("client_id", "spiffe://example.org")]);
    assert_ne!(server.code(&HeaderMap::new(), &request, &[ca.der]), "valid");
}
