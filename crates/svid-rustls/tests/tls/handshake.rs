//! Who may speak to whom, without any tricks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use pki_types::ServerName;
use rustls::AlertDescription as Alert;
use rustls::client::WebPkiServerVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
use spiffe_bundle::SharedBundleSet;
use spiffe_id::{SpiffeId, SpiffeIdPattern};
use svid::x509::{CertificateAuthority, PeerRole};
use svid_rustls::{
    Authorizer, Error, SvidVerifier, TlsClient, TlsOptions, TlsServer, TlsVersions, peer_identity,
};

use crate::fixture::*;

struct World {
    clock: Arc<Clock>,
    ca: CertificateAuthority,
    bundles: Arc<SharedBundleSet>,
}

impl World {
    fn new() -> Self {
        let ca = ca("a.test");
        Self {
            clock: Clock::new(),
            bundles: bundles(&[&ca]),
            ca,
        }
    }

    fn client(&self, name: &str, peer: impl Authorizer + 'static) -> TlsClient {
        self.client_of(name, verifier(&self.bundles, peer), options(&self.clock))
    }

    fn client_of(&self, name: &str, verifier: SvidVerifier, options: TlsOptions) -> TlsClient {
        let resolver = resolver(&svid(&self.ca, name));
        TlsClient::new(provider(), resolver, Arc::new(verifier), options).unwrap()
    }

    fn server(&self, name: &str, peer: impl Authorizer + 'static) -> TlsServer {
        self.server_of(name, verifier(&self.bundles, peer), options(&self.clock))
    }

    fn server_of(&self, name: &str, verifier: SvidVerifier, options: TlsOptions) -> TlsServer {
        let resolver = resolver(&svid(&self.ca, name));
        TlsServer::new(provider(), resolver, Arc::new(verifier), options).unwrap()
    }
}

fn meet(client: &TlsClient, server: &TlsServer) -> Result<Pair, Refused> {
    connect(client.config(), server.config())
}

/// Both sides learn who the other one is, and only after the handshake.
///
/// Covers: WIMSE-MTLS-3.3-1, X509-SVID-5.2-7
#[test]
fn both_sides_are_identified() {
    let world = World::new();
    let client = world.client(CLIENT, id(SERVER));
    let server = world.server(SERVER, id(CLIENT));
    let pair = meet(&client, &server).unwrap();
    assert_eq!(peer_identity(&pair.client), Ok(id(SERVER)));
    assert_eq!(peer_identity(&pair.server), Ok(id(CLIENT)));

    let name = ServerName::try_from("host.example").unwrap();
    let fresh = ClientConnection::new(client.config(), name).unwrap();
    assert_eq!(peer_identity(&fresh), Err(Error::Handshaking));
    let fresh = ServerConnection::new(server.config()).unwrap();
    assert_eq!(peer_identity(&fresh), Err(Error::Handshaking));
}

/// Each kind of authorizer lets in whom it names, and the alert says that the refusal is about rights.
///
/// Covers: X509-SVID-5.2-7, X509-SVID-A19, WIMSE-MTLS-5-6, WIMSE-MTLS-5-2, WIMSE-MTLS-A5
#[test]
fn authentication_is_not_authorization() {
    let world = World::new();
    let pattern = |text| SpiffeIdPattern::parse(text).unwrap();
    let exact = |text| -> Arc<dyn Authorizer> { Arc::new(id(text)) };
    let one_of = |ids: &[&str]| -> Arc<dyn Authorizer> {
        Arc::new(ids.iter().map(|text| id(text)).collect::<BTreeSet<_>>())
    };
    let below = |text| -> Arc<dyn Authorizer> { Arc::new(pattern(text)) };
    let path = |path: &'static str| -> Arc<dyn Authorizer> {
        Arc::new(move |peer: &SpiffeId| peer.path() == path)
    };
    let table: [(Arc<dyn Authorizer>, bool); 12] = [
        (exact(CLIENT), true),
        (exact("spiffe://a.test/agents/two"), false),
        (exact("spiffe://b.test/agents/one"), false),
        (below("spiffe://a.test/agents/*"), true),
        (below("spiffe://a.test/tools/*"), false),
        (below("spiffe://b.test/agents/*"), false),
        (one_of(&[SERVER, CLIENT]), true),
        (one_of(&[SERVER]), false),
        (one_of(&[]), false),
        (Arc::new(SpiffeIdPattern::members_of(td("a.test"))), true),
        (path("/agents/one"), true),
        (path("/tools/ledger"), false),
    ];
    for (at, (authorizer, allowed)) in table.into_iter().enumerate() {
        for inspected in [false, true] {
            // The same rule on the server about the client, and on a client about the server.
            let (client, server) = if inspected {
                let server = world.server(CLIENT, id(SERVER));
                (world.client(SERVER, authorizer.clone()), server)
            } else {
                let client = world.client(CLIENT, id(SERVER));
                (client, world.server(SERVER, authorizer.clone()))
            };
            match meet(&client, &server) {
                Ok(_) => assert!(allowed, "authorizer {at}"),
                Err(refused) => {
                    assert!(!allowed, "authorizer {at}: {refused:?}");
                    assert_eq!(refused.by_client, inspected);
                    assert_eq!(refused.alert, Some(Alert::AccessDenied));
                }
            }
        }
    }
}

/// A client without a certificate comes in only where that was asked for, and is nobody.
///
/// Covers: WIMSE-MTLS-3.2-4, WIMSE-MTLS-A10
#[test]
fn clients_without_certificate() {
    let world = World::new();
    let to_server = Arc::new(verifier(&world.bundles, id(SERVER)));
    let anonymous = TlsClient::anonymous(provider(), to_server, options(&world.clock)).unwrap();
    let refused = meet(&anonymous, &world.server(SERVER, id(CLIENT)))
        .err()
        .unwrap();
    assert_eq!(refused.error, rustls::Error::NoCertificatesPresented);
    assert_eq!(refused.alert, Some(Alert::CertificateRequired));

    let lenient = verifier(&world.bundles, id(CLIENT)).with_anonymous_clients();
    let recheck = lenient.clone();
    let lenient = world.server_of(SERVER, lenient, options(&world.clock));
    let pair = meet(&anonymous, &lenient).unwrap();
    assert_eq!(peer_identity(&pair.server), Err(Error::NoPeer));
    let again = recheck.recheck(&pair.server, PeerRole::Client, at(START));
    assert_eq!(again, Err(Error::NoPeer));
    assert_eq!(peer_identity(&pair.client), Ok(id(SERVER)));
    let pair = meet(&world.client(CLIENT, id(SERVER)), &lenient).unwrap();
    assert_eq!(peer_identity(&pair.server), Ok(id(CLIENT)));
    let wrong = world.client("spiffe://a.test/agents/two", id(SERVER));
    assert!(meet(&wrong, &lenient).is_err());
}

/// What is dialled neither helps nor harms: the identity is that of the certificate, whatever the host names.
/// Only on demand is the name compared too, and then it replaces nothing.
///
/// Covers: WIMSE-MTLS-3.2.1-2, WIMSE-MTLS-3.2.1-3, WIMSE-MTLS-3.2.1-4, WIMSE-MTLS-3.2.1-7
/// Covers: WIMSE-MTLS-5-3, WIMSE-MTLS-A6
#[test]
fn server_names_are_no_identities() {
    let world = World::new();
    let server = |dns: &[&str], name| {
        let resolver = resolver(&svid_for(&world.ca, name, dns, HOUR));
        let clients = Arc::new(verifier(&world.bundles, id(CLIENT)));
        TlsServer::new(provider(), resolver, clients, options(&world.clock)).unwrap()
    };
    let plain = world.client(CLIENT, id(SERVER));
    let named = verifier(&world.bundles, id(SERVER)).with_server_names();
    let named = world.client_of(CLIENT, named, options(&world.clock));
    let other = "spiffe://a.test/tools/other";
    // Names in the certificate, its SPIFFE ID, the dialled name; whether the plain and the name-checking client connect.
    let table: [(&[&str], &str, &'static str, bool, bool); 7] = [
        (&[], SERVER, "ledger.example", true, false),
        (&["ledger.example"], SERVER, "ledger.example", true, true),
        (&["ledger.example"], SERVER, "other.example", true, false),
        (&["ledger.example"], other, "ledger.example", false, false),
        // The trust domain is no host name, nor is the workload's path.
        (&[], SERVER, "a.test", true, false),
        (&["a.test"], other, "a.test", false, false),
        (&[], SERVER, "127.0.0.1", true, false),
    ];
    for (dns, name, dialled, without, with) in table {
        let server = server(dns, name);
        for (client, expected) in [(&plain, without), (&named, with)] {
            let met = connect_to(dialled, client.config(), server.config());
            assert_eq!(met.is_ok(), expected, "{dns:?} {name} {dialled}");
            if let Ok(pair) = met {
                assert_eq!(peer_identity(&pair.client), Ok(id(SERVER)));
            }
        }
    }
    let refused = connect_to("x.example", named.config(), server(&[], SERVER).config());
    assert_eq!(refused.err().unwrap().alert, Some(Alert::BadCertificate));
}

/// A client of the web, which knows servers by DNS name under a root, accepts an X509-SVID with that name.
///
/// Covers: WIMSE-MTLS-3.2.1-1
#[test]
fn servers_carry_the_names_that_clients_dial() {
    let world = World::new();
    let mut roots = RootCertStore::empty();
    roots.add(world.ca.certificate().clone()).unwrap();
    let web = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .unwrap();
    let config = ClientConfig::builder_with_details(provider(), world.clock.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_webpki_verifier(web)
        .with_client_cert_resolver(resolver(&svid(&world.ca, CLIENT)));
    let config = Arc::new(config);
    let names = ["ledger.example", "books.example"];
    let server = resolver(&svid_for(&world.ca, SERVER, &names, HOUR));
    let clients = Arc::new(verifier(&world.bundles, id(CLIENT)));
    let server = TlsServer::new(provider(), server, clients, options(&world.clock)).unwrap();
    for (name, matches) in [
        ("ledger.example", true),
        ("books.example", true),
        ("other.example", false),
        ("a.test", false),
    ] {
        let met = connect_to(name, config.clone(), server.config());
        assert_eq!(met.is_ok(), matches, "{name}");
    }
}

/// TLS 1.3 is what two of ours speak; the policy can leave TLS 1.2 out.
#[test]
fn versions() {
    let world = World::new();
    let modern = options(&world.clock).with_versions(TlsVersions::Tls13);
    let client = world.client(CLIENT, id(SERVER));
    let server = world.server(SERVER, id(CLIENT));
    let pair = meet(&client, &server).unwrap();
    let version = pair.client.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));

    let old = |verifier| {
        eager_client(
            &world.clock,
            &rustls::version::TLS12,
            verifier,
            parts(&svid(&world.ca, CLIENT)),
        )
    };
    let pair = connect(old(verifier(&world.bundles, id(SERVER))), server.config()).unwrap();
    assert_eq!(peer_identity(&pair.server), Ok(id(CLIENT)));
    let version = pair.server.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_2));
    let strict = world.server_of(SERVER, verifier(&world.bundles, id(CLIENT)), modern.clone());
    let refused = connect(old(verifier(&world.bundles, id(SERVER))), strict.config());
    assert_eq!(refused.err().unwrap().alert, Some(Alert::ProtocolVersion));

    let old = |verifier| {
        eager_server(
            &world.clock,
            &rustls::version::TLS12,
            verifier,
            parts(&svid(&world.ca, SERVER)),
        )
    };
    let pair = connect(client.config(), old(verifier(&world.bundles, id(CLIENT)))).unwrap();
    assert_eq!(peer_identity(&pair.client), Ok(id(SERVER)));
    let strict = world.client_of(CLIENT, verifier(&world.bundles, id(SERVER)), modern);
    assert!(connect(strict.config(), old(verifier(&world.bundles, id(CLIENT)))).is_err());
    for config in [client.config(), strict.config()] {
        assert!(config.require_ems && !config.enable_early_data);
    }
    assert!(server.config().require_ems && server.config().max_early_data_size == 0);
}

#[test]
fn application_protocols() {
    let world = World::new();
    let speaks = |names: &[&str]| {
        let names = names.iter().map(|name| name.as_bytes().to_vec());
        options(&world.clock).with_alpn(names)
    };
    let client = world.client_of(
        CLIENT,
        verifier(&world.bundles, id(SERVER)),
        speaks(&["h2", "x"]),
    );
    let server = |names: &[&str]| {
        world.server_of(SERVER, verifier(&world.bundles, id(CLIENT)), speaks(names))
    };
    let pair = meet(&client, &server(&["http/1.1", "h2"])).unwrap();
    assert_eq!(pair.server.alpn_protocol(), Some(&b"h2"[..]));
    let refused = meet(&client, &server(&["y"])).err().unwrap();
    assert_eq!(refused.alert, Some(Alert::NoApplicationProtocol));
}

/// The next handshake presents the next SVID, of a configuration that was taken before; established connections
/// keep theirs and can be judged anew.
///
/// Covers: WIMSE-MTLS-5-7, WIMSE-MTLS-A12, WIMSE-MTLS-A14
#[test]
fn rotation_needs_no_restart() {
    let world = World::new();
    let first = svid_for(&world.ca, SERVER, &[], 2 * HOUR);
    let resolver = resolver(&first);
    let clients = Arc::new(verifier(&world.bundles, id(CLIENT)));
    let server =
        TlsServer::new(provider(), resolver.clone(), clients, options(&world.clock)).unwrap();
    let held = server.config();
    let client = world.client(CLIENT, id(SERVER));
    let check = verifier(&world.bundles, id(SERVER));
    let leaf = |pair: &Pair| pair.client.peer_certificates().unwrap()[0].clone();
    let before = connect(client.config(), held.clone()).unwrap();
    assert_eq!(leaf(&before), first.chain()[0]);

    // Validity begins a little before `START`, for clocks that are late.
    let (begin, end) = (
        resolver.renew_at().as_secs(),
        resolver.not_after().as_secs(),
    );
    assert!(
        (START + HOUR - 300..=START + HOUR).contains(&begin),
        "{begin}"
    );
    assert_eq!(end, START + 2 * HOUR);
    world.clock.advance(HOUR);
    let second = svid_for(&world.ca, SERVER, &[], 24 * HOUR);
    resolver.rotate(&second).unwrap();
    assert_eq!(resolver.spiffe_id(), id(SERVER));
    let after = connect(client.config(), held).unwrap();
    assert_eq!(leaf(&after), second.chain()[0]);
    assert_eq!(leaf(&before), first.chain()[0]);

    let now = |hours| at(START + hours * HOUR);
    let known = check
        .recheck(&before.client, PeerRole::Server, now(1))
        .unwrap();
    assert_eq!(known.spiffe_id(), &id(SERVER));
    assert_eq!(known.not_after(), now(2));
    let expired = check
        .recheck(&before.client, PeerRole::Server, now(3))
        .unwrap_err();
    assert_eq!(expired.code(), "certificate_expired");
    assert!(
        check
            .recheck(&after.client, PeerRole::Server, now(3))
            .is_ok()
    );
    let stranger = verifier(&world.bundles, id(CLIENT));
    let refused = stranger.recheck(&after.client, PeerRole::Server, now(3));
    assert_eq!(refused, Err(Error::NotAuthorized));
    world.bundles.install(bundle("a.test", 2, &[])).unwrap();
    let revoked = check
        .recheck(&after.client, PeerRole::Server, now(3))
        .unwrap_err();
    assert_eq!(revoked.code(), "no_authorities");
}

/// The owner learns exactly who was refused and why; the peer gets an alert and nothing else.
#[test]
fn refusals_are_observed() {
    let world = World::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let watched = verifier(&world.bundles, id(SERVER)).on_refusal(move |refusal| {
        let peer = refusal.peer.map(ToString::to_string);
        log.lock()
            .unwrap()
            .push((refusal.error.code(), peer, refusal.role));
    });
    let server = world.server_of(SERVER, watched, options(&world.clock));
    assert!(meet(&world.client(CLIENT, id(SERVER)), &server).is_err());
    let stranger = ca("c.test");
    let stranger = TlsClient::new(
        provider(),
        resolver(&svid(&stranger, "spiffe://c.test/x")),
        Arc::new(verifier(&world.bundles, id(SERVER))),
        options(&world.clock),
    )
    .unwrap();
    assert!(meet(&stranger, &server).is_err());
    let expected = [
        ("not_authorized", Some(CLIENT.to_owned()), PeerRole::Client),
        ("no_bundle", None, PeerRole::Client),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

/// Neither errors nor debug output give away keys, certificates or who is allowed.
#[test]
fn nothing_is_given_away() {
    let world = World::new();
    let own = svid(&world.ca, SERVER);
    let resolver = resolver(&own);
    let clients = Arc::new(verifier(&world.bundles, id(CLIENT)));
    let server = TlsServer::new(provider(), resolver, clients, options(&world.clock)).unwrap();
    let shown = format!("{server:?}");
    assert!(shown.contains(SERVER) && !shown.contains(CLIENT), "{shown}");
    assert!(!shown.contains("secret") && shown.len() < 1000, "{shown}");
    let stranger = world.client("spiffe://a.test/agents/two", id(SERVER));
    let refused = meet(&stranger, &server).err().unwrap().error;
    let text = format!("{refused} {refused:?}");
    assert!(!text.contains("spiffe:"), "{text}");
}
