//! Certificates that should not get anywhere, shown in real handshakes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pki_types::{CertificateDer, PrivateKeyDer};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose as Eku, IsCa, Issuer,
    KeyPair, KeyUsagePurpose as Ku, SanType,
};
use rustls::server::danger::ClientCertVerifier;
use rustls::{AlertDescription as Alert, CertificateError, HandshakeKind};
use spiffe_bundle::SharedBundleSet;
use spiffe_id::SpiffeId;
use svid::x509::PeerRole;
use svid_rustls::{Sessions, SvidResolver, SvidVerifier, TlsClient, TlsServer};

use crate::fixture::*;

struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn params(from: u64, until: u64, names: &[SanType]) -> CertificateParams {
    let mut params = CertificateParams::default();
    let time = |seconds| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    params.not_before = time(from);
    params.not_after = time(until);
    params.subject_alt_names = names.to_vec();
    params.distinguished_name.push(DnType::CommonName, CLIENT);
    params
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(START - HOUR, START + 100 * HOUR, &[uri(name)]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![Ku::KeyCertSign, Ku::CrlSign];
    params
        .distinguished_name
        .push(DnType::OrganizationName, name);
    params
}

fn authority(name: &str) -> Authority {
    let key = KeyPair::generate().unwrap();
    let params = ca_params(name);
    let certificate = params.self_signed(&key).unwrap().der().clone();
    Authority {
        certificate,
        issuer: Issuer::new(params, key),
    }
}

fn leaf(names: &[SanType]) -> CertificateParams {
    let mut params = params(START - HOUR, START + HOUR, names);
    params.key_usages = vec![Ku::DigitalSignature];
    params.extended_key_usages = vec![Eku::ServerAuth, Eku::ClientAuth];
    params
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn signed(params: &CertificateParams, by: &Authority, above: &[&CertificateDer<'static>]) -> Shown {
    let key = KeyPair::generate().unwrap();
    let own = params.signed_by(&key, &by.issuer).unwrap().der().clone();
    let mut chain = vec![own];
    chain.extend(above.iter().copied().cloned());
    (chain, PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

struct World {
    clock: Arc<Clock>,
    bundles: Arc<SharedBundleSet>,
    ours: svid::x509::CertificateAuthority,
}

impl World {
    /// The peer's roots are those of `a.test` and `b.test`; ours are in `home.test`.
    fn new(a: &Authority, b: &Authority) -> Self {
        let ours = ca("home.test");
        let bundles = bundles(&[&ours]);
        for (name, authority) in [("a.test", a), ("b.test", b)] {
            let roots = [authority.certificate.clone()];
            bundles.install(bundle(name, 1, &roots)).unwrap();
        }
        Self {
            clock: Clock::new(),
            bundles,
            ours,
        }
    }

    fn anybody(&self) -> SvidVerifier {
        verifier(&self.bundles, |_: &SpiffeId| true)
    }

    fn resolver(&self) -> Arc<SvidResolver> {
        resolver(&svid(&self.ours, "spiffe://home.test/us"))
    }

    /// Shows the certificate to our server and to our client, in TLS 1.3 and 1.2. Gives our code and the alert if both
    /// refuse alike.
    fn show(&self, shown: &Shown) -> Result<(), (&'static str, Alert)> {
        let mut verdicts = Vec::new();
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let seen = Arc::new(Mutex::new(None));
            let watched = || {
                let seen = Arc::clone(&seen);
                let note = move |refusal: &svid_rustls::Refusal<'_>| {
                    *seen.lock().unwrap() = Some(refusal.error.code());
                };
                Arc::new(self.anybody().on_refusal(note))
            };
            let own = |shown: &Shown| (shown.0.clone(), shown.1.clone_key());
            let server =
                TlsServer::new(provider(), self.resolver(), watched(), options(&self.clock));
            let client = eager_client(&self.clock, version, self.anybody(), own(shown));
            let met = connect(client, server.unwrap().config());
            verdicts.push(met.map(|_| ()).map_err(|refused| {
                assert!(!refused.by_client);
                (seen.lock().unwrap().take().unwrap(), refused.alert.unwrap())
            }));
            let client =
                TlsClient::new(provider(), self.resolver(), watched(), options(&self.clock));
            let server = eager_server(&self.clock, version, self.anybody(), own(shown));
            let met = connect(client.unwrap().config(), server);
            verdicts.push(met.map(|_| ()).map_err(|refused| {
                assert!(refused.by_client);
                (seen.lock().unwrap().take().unwrap(), refused.alert.unwrap())
            }));
        }
        let first = verdicts[0];
        assert!(
            verdicts.iter().all(|verdict| *verdict == first),
            "{verdicts:?}"
        );
        first
    }
}

/// Covers: X509-SVID-A1, X509-SVID-A2, X509-SVID-A3, X509-SVID-A4, X509-SVID-A5, X509-SVID-A7, X509-SVID-A15
/// Covers: X509-SVID-A18, X509-SVID-5.1-3, X509-SVID-5.2-1, X509-SVID-5.2-5
/// Covers: WIMSE-MTLS-A1, WIMSE-MTLS-A2, WIMSE-MTLS-A3, WIMSE-MTLS-A4, WIMSE-MTLS-A8, WIMSE-MTLS-A9
#[test]
fn in_both_roles_and_versions() {
    let (a, b) = (authority("spiffe://a.test"), authority("spiffe://b.test"));
    let world = World::new(&a, &b);
    let good = leaf(&[uri(CLIENT)]);
    let shown = signed(&good, &a, &[]);
    assert_eq!(world.show(&shown), Ok(()));
    assert_eq!(
        world.show(&signed(&leaf(&[uri(CLIENT), dns("x.test")]), &a, &[])),
        Ok(())
    );

    let mut cases: Vec<(&str, Shown, &str, Alert)> = Vec::new();
    let mut case = |what, shown, code, alert| cases.push((what, shown, code, alert));

    let mut signer = leaf(&[uri(CLIENT)]);
    signer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    signer.key_usages.push(Ku::KeyCertSign);
    case(
        "a CA",
        signed(&signer, &a, &[]),
        "ca_used_as_leaf",
        Alert::UnsupportedCertificate,
    );
    let mut signer = leaf(&[uri(CLIENT)]);
    signer.key_usages.push(Ku::KeyCertSign);
    let with_ca_usage = signed(&signer, &a, &[]);
    case(
        "keyCertSign",
        with_ca_usage,
        "leaf_with_ca_key_usage",
        Alert::UnsupportedCertificate,
    );

    let key = KeyPair::generate().unwrap();
    let middle = Authority {
        certificate: good.signed_by(&key, &a.issuer).unwrap().der().clone(),
        issuer: Issuer::new(good.clone(), key),
    };
    let below = signed(&leaf(&[uri(SERVER)]), &middle, &[&middle.certificate]);
    case(
        "a leaf as issuer",
        below,
        "issuer_not_ca",
        Alert::BadCertificate,
    );

    let two = leaf(&[uri(CLIENT), uri("spiffe://a.test/admin")]);
    case(
        "two URIs",
        signed(&two, &a, &[]),
        "several_uri_names",
        Alert::BadCertificate,
    );
    let foreign = signed(&good, &b, &[]);
    case(
        "another trust domain's CA",
        foreign,
        "unknown_issuer",
        Alert::UnknownCA,
    );
    let public = signed(&good, &authority("spiffe://a.test"), &[]);
    case(
        "another CA of that name",
        public,
        "certificate_signature_invalid",
        Alert::DecryptError,
    );
    let stranger = leaf(&[uri("spiffe://c.test/x")]);
    case(
        "no bundle",
        signed(&stranger, &a, &[]),
        "no_bundle",
        Alert::UnknownCA,
    );

    let web = leaf(&[dns("a.test")]);
    case(
        "DNS name only",
        signed(&web, &a, &[]),
        "no_uri_name",
        Alert::BadCertificate,
    );
    let mail = leaf(&[SanType::Rfc822Name("one@a.test".try_into().unwrap())]);
    case(
        "mail only",
        signed(&mail, &a, &[]),
        "no_uri_name",
        Alert::BadCertificate,
    );
    case(
        "common name only",
        signed(&leaf(&[]), &a, &[]),
        "no_uri_name",
        Alert::BadCertificate,
    );

    for (name, code) in [
        ("spiffe://a.test", "spiffe_id_without_path"),
        ("spiffe://a.test/", "spiffe_id_without_path"),
        ("https://a.test/agents/one", "spiffe_id"),
        ("SPIFFE://a.test/agents/one", "spiffe_id"),
        ("spiffe://a.test:443/agents/one", "spiffe_id"),
        ("spiffe://one@a.test/agents/one", "spiffe_id"),
        ("spiffe://a.test/agents/../admin", "spiffe_id"),
        ("spiffe://a.test/agents/%6fne", "spiffe_id"),
        (
            "spiffe://a.test/agents/one\0.b.test",
            "subject_alt_name_malformed",
        ),
    ] {
        case(
            name,
            signed(&leaf(&[uri(name)]), &a, &[]),
            code,
            Alert::BadCertificate,
        );
    }

    let mut other = leaf(&[uri(CLIENT)]);
    (other.not_before, other.not_after) = {
        let old = params(START - 2 * HOUR, START - HOUR, &[]);
        (old.not_before, old.not_after)
    };
    case(
        "expired",
        signed(&other, &a, &[]),
        "certificate_expired",
        Alert::CertificateExpired,
    );
    let mut other = leaf(&[uri(CLIENT)]);
    (other.not_before, other.not_after) = {
        let next = params(START + HOUR, START + 2 * HOUR, &[]);
        (next.not_before, next.not_after)
    };
    case(
        "from tomorrow",
        signed(&other, &a, &[]),
        "certificate_not_yet_valid",
        Alert::CertificateExpired,
    );
    let mut other = leaf(&[uri(CLIENT)]);
    other.key_usages.clear();
    case(
        "no keyUsage",
        signed(&other, &a, &[]),
        "no_key_usage",
        Alert::UnsupportedCertificate,
    );
    let mut other = leaf(&[uri(CLIENT)]);
    other.extended_key_usages = vec![Eku::CodeSigning];
    case(
        "code signing",
        signed(&other, &a, &[]),
        "extended_key_usage_mismatch",
        Alert::UnsupportedCertificate,
    );

    let mut forged = signed(&good, &a, &[]);
    let mut der = forged.0[0].to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    forged.0[0] = der.into();
    case(
        "forged",
        forged,
        "certificate_signature_invalid",
        Alert::DecryptError,
    );

    let mut crowd = signed(&good, &a, &[]);
    crowd
        .0
        .extend(vec![a.certificate.clone(); svid_rustls::MAX_CERTIFICATES]);
    case(
        "a crowd",
        crowd,
        "too_many_certificates",
        Alert::CertificateUnknown,
    );

    let wrong: Vec<_> = cases
        .iter()
        .map(|(what, shown, code, alert)| (what, world.show(shown), Err((*code, *alert))))
        .filter(|(_, found, expected)| found != expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Certificates are public: whoever shows one without its key is nobody. The authorizer is not asked about its subject,
/// nobody hears that its subject was refused, and the alert is the same whether its subject would be allowed or not.
///
/// Covers: X509-SVID-A20
#[test]
fn a_public_certificate_with_another_key() {
    let ours = ca("a.test");
    let bundles = bundles(&[&ours]);
    let clock = Clock::new();
    let victim = svid(&ours, "spiffe://a.test/admin");
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        for sessions in [Sessions::Never, Sessions::Cached(8)] {
            for (role, allowed) in [
                (PeerRole::Client, false),
                (PeerRole::Client, true),
                (PeerRole::Server, false),
                (PeerRole::Server, true),
            ] {
                let (asked, seen) = (Arc::new(AtomicUsize::new(0)), Arc::default());
                let count = Arc::clone(&asked);
                let log: Arc<Mutex<Vec<_>>> = Arc::clone(&seen);
                let watched = verifier(&bundles, move |_: &SpiffeId| {
                    count.fetch_add(1, Ordering::SeqCst);
                    allowed
                })
                .on_refusal(move |refusal| {
                    let peer = refusal.peer.cloned();
                    let entry = (refusal.error.code(), peer, refusal.role);
                    log.lock().unwrap().push(entry);
                });
                let options = options(&clock).with_sessions(sessions);
                let own = resolver(&svid(&ours, "spiffe://a.test/us"));
                let anybody = verifier(&bundles, |_: &SpiffeId| true);
                let meet = |shown| match role {
                    PeerRole::Client => {
                        let (own, watched) = (own.clone(), Arc::new(watched.clone()));
                        let server = TlsServer::new(provider(), own, watched, options.clone());
                        let client = eager_client(&clock, version, anybody.clone(), shown);
                        connect(client, server.unwrap().config())
                    }
                    _ => {
                        let (own, watched) = (own.clone(), Arc::new(watched.clone()));
                        let client = TlsClient::new(provider(), own, watched, options.clone());
                        let server = eager_server(&clock, version, anybody.clone(), shown);
                        connect(client.unwrap().config(), server)
                    }
                };
                let label = format!("{:?} {sessions:?} {role:?} {allowed}", version.version);
                let refused = meet(stolen(&victim)).err().expect(&label);
                assert_eq!(refused.by_client, role == PeerRole::Server, "{label}");
                let bad = rustls::Error::InvalidCertificate(CertificateError::BadSignature);
                assert_eq!(refused.error, bad, "{label}");
                assert_eq!(refused.alert, Some(Alert::DecryptError), "{label}");
                assert_eq!(asked.load(Ordering::SeqCst), 0, "{label}");
                let expected = [("not_proven", None, role)];
                assert_eq!(*seen.lock().unwrap(), expected, "{label}");

                // With its key the decision is the authorizer's.
                let met = meet(parts(&victim));
                assert_eq!(met.is_ok(), allowed, "{label}");
                assert_eq!(asked.load(Ordering::SeqCst), 1, "{label}");
            }
        }
    }
}

/// An intermediate that ends before the leaf below it ends the sessions too.
#[test]
fn sessions_end_with_an_intermediate() {
    let (a, b) = (authority("spiffe://a.test"), authority("spiffe://b.test"));
    let world = World::new(&a, &b);
    let key = KeyPair::generate().unwrap();
    let mut middle = ca_params("spiffe://a.test");
    let soon = params(START, START + HOUR / 2, &[]);
    middle.not_after = soon.not_after;
    middle
        .distinguished_name
        .push(DnType::OrganizationalUnitName, "middle");
    let middle = Authority {
        certificate: middle.signed_by(&key, &a.issuer).unwrap().der().clone(),
        issuer: Issuer::new(middle, key),
    };
    let shown = signed(&leaf(&[uri(CLIENT)]), &middle, &[&middle.certificate]);
    let options = options(&world.clock).with_sessions(Sessions::Cached(64));
    let us = Arc::new(world.anybody());
    let server = TlsServer::new(provider(), world.resolver(), us, options).unwrap();
    let version = &rustls::version::TLS13;
    let through = eager_client(&world.clock, version, world.anybody(), shown);
    let direct = signed(&leaf(&[uri(CLIENT)]), &a, &[]);
    let direct = eager_client(&world.clock, version, world.anybody(), direct);
    let kind = |client: &Arc<rustls::ClientConfig>| {
        let pair = connect(client.clone(), server.config()).unwrap();
        pair.server.handshake_kind().unwrap()
    };
    assert_eq!(kind(&through), HandshakeKind::Full);
    assert_eq!(kind(&direct), HandshakeKind::Full);
    assert_eq!(kind(&direct), HandshakeKind::Resumed);
    world.clock.advance(HOUR / 2 + 1);
    assert_eq!(kind(&direct), HandshakeKind::Full);
    assert!(connect(through, server.config()).is_err());
}

/// A certificate for one role does not serve the other.
///
/// Covers: WIMSE-MTLS-A7, WIMSE-MTLS-3.2-6, WIMSE-MTLS-3.2-7, WIMSE-MTLS-3.2-8
#[test]
fn roles() {
    let (a, b) = (authority("spiffe://a.test"), authority("spiffe://b.test"));
    let world = World::new(&a, &b);
    let table: [(&[Eku], bool, bool); 4] = [
        (&[Eku::ClientAuth], true, false),
        (&[Eku::ServerAuth], false, true),
        (&[Eku::ServerAuth, Eku::ClientAuth], true, true),
        (&[], true, true),
    ];
    let version = &rustls::version::TLS13;
    for (purposes, as_client, as_server) in table {
        let mut params = leaf(&[uri(CLIENT)]);
        params.extended_key_usages = purposes.to_vec();
        let shown = || signed(&params, &a, &[]);
        let us = Arc::new(world.anybody());
        let server = TlsServer::new(
            provider(),
            world.resolver(),
            us.clone(),
            options(&world.clock),
        );
        let client = eager_client(&world.clock, version, world.anybody(), shown());
        let met = connect(client, server.unwrap().config());
        assert_eq!(met.is_ok(), as_client, "{purposes:?} {:?}", met.err());
        let client = TlsClient::new(provider(), world.resolver(), us, options(&world.clock));
        let server = eager_server(&world.clock, version, world.anybody(), shown());
        let met = connect(client.unwrap().config(), server);
        assert_eq!(met.is_ok(), as_server, "{purposes:?}");
    }
}

/// Intermediates count, up to the limits, which can be narrowed and not widened.
#[test]
fn limits() {
    let (a, b) = (authority("spiffe://a.test"), authority("spiffe://b.test"));
    let world = World::new(&a, &b);
    let key = KeyPair::generate().unwrap();
    let mut middle = ca_params("spiffe://a.test");
    middle
        .distinguished_name
        .push(DnType::OrganizationalUnitName, "middle");
    let middle = Authority {
        certificate: middle.signed_by(&key, &a.issuer).unwrap().der().clone(),
        issuer: Issuer::new(middle, key),
    };
    let shown = || signed(&leaf(&[uri(CLIENT)]), &middle, &[&middle.certificate]);
    let size: usize = shown().0.iter().map(|one| one.len()).max().unwrap() * 2;
    for (certificates, octets, accepted) in [
        (usize::MAX, usize::MAX, true),
        (2, size, true),
        (1, size, false),
        (0, size, false),
        (2, 100, false),
        (2, 0, false),
    ] {
        let narrow = Arc::new(world.anybody().with_limits(certificates, octets));
        let server = TlsServer::new(provider(), world.resolver(), narrow, options(&world.clock));
        let version = &rustls::version::TLS13;
        let client = eager_client(&world.clock, version, world.anybody(), shown());
        let met = connect(client, server.unwrap().config());
        assert_eq!(met.is_ok(), accepted, "{certificates} {octets}");
    }
}

/// Host names, where they are asked for, match as RFC 9525 says.
///
/// Covers: WIMSE-MTLS-A15, WIMSE-MTLS-A6
#[test]
fn wildcards() {
    let (a, b) = (authority("spiffe://a.test"), authority("spiffe://b.test"));
    let world = World::new(&a, &b);
    for (name, dialled, matches) in [
        ("ledger.example", "ledger.example", true),
        ("*.example.org", "ledger.example.org", true),
        ("*.example.org", "deep.ledger.example.org", false),
        ("*.example.org", "example.org", false),
        ("l*.example.org", "ledger.example.org", false),
        ("ledger.*.org", "ledger.example.org", false),
        ("*", "ledger", false),
        ("*", "ledger.example.org", false),
    ] {
        let shown = signed(&leaf(&[uri(SERVER), dns(name)]), &a, &[]);
        let named = Arc::new(world.anybody().with_server_names());
        let client = TlsClient::new(provider(), world.resolver(), named, options(&world.clock));
        let version = &rustls::version::TLS13;
        let server = eager_server(&world.clock, version, world.anybody(), shown);
        let met = connect_to(dialled, client.unwrap().config(), server);
        assert_eq!(met.is_ok(), matches, "{name} {dialled}");
    }
}

/// Sizes that no TLS message has, in case that something else than rustls calls: refused before anything is parsed. The whole
/// error is inside of that of rustls where it has no name for the cause.
#[test]
fn sizes_beyond_tls() {
    let (a, b) = (authority("spiffe://a.test"), authority("spiffe://b.test"));
    let world = World::new(&a, &b);
    let verifier = world.anybody();
    let good = signed(&leaf(&[uri(CLIENT)]), &a, &[]).0.remove(0);
    let huge = CertificateDer::from(vec![0x30; 10 * 1024 * 1024]);
    let crowd = vec![a.certificate.clone(); 10_000];
    for (leaf, above, code) in [
        (&huge, &[][..], "chain_too_large"),
        (&good, &[huge.clone()][..], "chain_too_large"),
        (&good, &crowd[..], "too_many_certificates"),
    ] {
        let begun = Instant::now();
        let refused = ClientCertVerifier::verify_client_cert(&verifier, leaf, above, at(START));
        let Err(rustls::Error::InvalidCertificate(CertificateError::Other(other))) = refused else {
            panic!("{refused:?}")
        };
        let error = other.0.downcast_ref::<svid_rustls::Error>().unwrap();
        assert_eq!(error.code(), code);
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}
