//! Resumption, against peers that would resume anything: it ends with everything that a full handshake would notice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jose_x509::x509::TrustAnchors;
use rustls::{ClientConfig, HandshakeKind, ServerConfig, SupportedProtocolVersion};
use spiffe_bundle::SharedBundleSet;
use spiffe_id::{SpiffeId, TrustDomainRef};
use svid::X509BundleSource;
use svid::x509::{CertificateAuthority, X509Svid};
use svid_rustls::{
    Sessions, SvidResolver, SvidVerifier, TlsClient, TlsOptions, TlsServer, client_config,
    peer_identity, server_config,
};

use crate::fixture::*;

/// Which side is under test, and how it keeps sessions.
#[derive(Clone, Copy, Debug)]
enum Side {
    Client,
    CachingServer,
    TicketServer,
}

enum Ours {
    Client(TlsClient),
    Server(TlsServer),
}

enum Theirs {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

#[derive(Clone)]
enum Config {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

/// One side of ours under test, and a peer with bundles of its own, which never change.
struct Scene {
    clock: Arc<Clock>,
    ours_ca: CertificateAuthority,
    peer_ca: CertificateAuthority,
    bundles: Arc<SharedBundleSet>,
    resolver: Arc<SvidResolver>,
    ours: Ours,
    theirs: Theirs,
}

const OURS: &str = "spiffe://ours.test/us";
const PEER: &str = "spiffe://peer.test/them";
const REFUSED: &str = "spiffe://peer.test/others";
const PEER_LIFETIME: u64 = 2 * HOUR;
const OUR_LIFETIME: u64 = 4 * HOUR;

impl Scene {
    fn new(side: Side, version: &'static SupportedProtocolVersion) -> Self {
        let clock = Clock::new();
        let (ours_ca, peer_ca, other) = (ca("ours.test"), ca("peer.test"), ca("other.test"));
        let bundles = bundles(&[&ours_ca, &peer_ca, &other]);
        let resolver = resolver(&svid_for(&ours_ca, OURS, &[], OUR_LIFETIME));
        let verify = verifier(&bundles, |peer: &SpiffeId| peer.as_str() != REFUSED);
        let verify = Arc::new(verify);
        let with = |sessions| options(&clock).with_sessions(sessions);
        let server = |options: TlsOptions| {
            let verify = Arc::clone(&verify);
            Ours::Server(TlsServer::new(provider(), resolver.clone(), verify, options).unwrap())
        };
        let ours = match side {
            Side::Client => {
                let (verify, options) = (Arc::clone(&verify), with(Sessions::Cached(16)));
                Ours::Client(TlsClient::new(provider(), resolver.clone(), verify, options).unwrap())
            }
            Side::CachingServer => server(with(Sessions::Cached(64))),
            Side::TicketServer => {
                server(with(Sessions::Tickets(rustls::crypto::ring::Ticketer::new)))
            }
        };
        let their_verify = verifier(&crate::fixture::bundles(&[&ours_ca]), id(OURS));
        let shown = parts(&svid_for(&peer_ca, PEER, &[], PEER_LIFETIME));
        let theirs = match side {
            Side::Client => Theirs::Server(eager_server(&clock, version, their_verify, shown)),
            _ => Theirs::Client(eager_client(&clock, version, their_verify, shown)),
        };
        Self {
            clock,
            ours_ca,
            peer_ca,
            bundles,
            resolver,
            ours,
            theirs,
        }
    }

    fn config(&self) -> Config {
        match &self.ours {
            Ours::Client(client) => Config::Client(client.config()),
            Ours::Server(server) => Config::Server(server.config()),
        }
    }

    fn end_sessions(&self) {
        match &self.ours {
            Ours::Client(client) => client.end_sessions(),
            Ours::Server(server) => server.end_sessions(),
        }
    }

    /// Whether a connection under `config` resumed a session; refusals as our code.
    fn meet(&self, config: &Config) -> Result<bool, Refused> {
        let pair = match (config, &self.theirs) {
            (Config::Client(ours), Theirs::Server(theirs)) => connect(ours.clone(), theirs.clone()),
            (Config::Server(ours), Theirs::Client(theirs)) => connect(theirs.clone(), ours.clone()),
            _ => panic!("two of one side"),
        }?;
        let (kind, peer) = match config {
            Config::Client(_) => (pair.client.handshake_kind(), peer_identity(&pair.client)),
            Config::Server(_) => (pair.server.handshake_kind(), peer_identity(&pair.server)),
        };
        assert_eq!(peer, Ok(id(PEER)));
        Ok(kind == Some(HandshakeKind::Resumed))
    }

    fn next_svid(&self) -> X509Svid {
        svid_for(&self.ours_ca, OURS, &[], OUR_LIFETIME)
    }

    fn install(&self, name: &str, sequence: u64, cas: &[&CertificateAuthority]) {
        let roots: Vec<_> = cas.iter().map(|ca| ca.certificate().clone()).collect();
        self.bundles
            .install(bundle(name, sequence, &roots))
            .unwrap();
    }
}

/// What comes of the next connection after a change.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    Resumed,
    Full,
    Refused,
}

type Change = (&'static str, fn(&Scene), Next);

const CHANGES: &[Change] = &[
    ("nothing", |_| {}, Next::Resumed),
    (
        "our rotation",
        |scene| scene.resolver.rotate(&scene.next_svid()).unwrap(),
        Next::Full,
    ),
    (
        "the same SVID once more",
        |scene| {
            let svid = scene.next_svid();
            scene.resolver.rotate(&svid).unwrap();
            scene.meet(&scene.config()).unwrap();
            scene.resolver.rotate(&svid).unwrap();
        },
        Next::Resumed,
    ),
    (
        "the peer's root withdrawn",
        |scene| scene.install("peer.test", 2, &[]),
        Next::Refused,
    ),
    (
        "the peer's trust domain forgotten",
        |scene| {
            let removed = scene
                .bundles
                .update(|set| Ok::<_, ()>(set.remove(&td("peer.test"))));
            assert!(removed.unwrap().is_some());
        },
        Next::Refused,
    ),
    (
        "the peer's root replaced",
        |scene| scene.install("peer.test", 2, &[&ca("peer.test")]),
        Next::Refused,
    ),
    (
        "another root beside the peer's",
        |scene| scene.install("peer.test", 2, &[&scene.peer_ca, &ca("peer.test")]),
        Next::Full,
    ),
    (
        "the same bundle once more",
        |scene| scene.install("peer.test", 2, &[&scene.peer_ca]),
        Next::Resumed,
    ),
    (
        "a bundle without peers",
        |scene| scene.install("other.test", 2, &[&ca("other.test")]),
        Next::Resumed,
    ),
    (
        "a root withdrawn and restored in between",
        |scene| {
            scene.install("peer.test", 2, &[]);
            assert!(scene.meet(&scene.config()).is_err());
            scene.install("peer.test", 3, &[&scene.peer_ca]);
        },
        Next::Full,
    ),
    ("sessions ended", Scene::end_sessions, Next::Full),
    ("an hour", |scene| scene.clock.advance(HOUR), Next::Resumed),
    (
        "the end of the peer's certificate",
        |scene| scene.clock.advance(PEER_LIFETIME + 1),
        Next::Refused,
    ),
];

/// Every change, for every kind of store, in both versions, with a configuration taken for each connection and with one
/// that is held. The held one resumes nothing after a change; the others go on with a new span.
///
/// Covers: X509-SVID-A17, WIMSE-MTLS-A12
#[test]
fn sessions_end_with_what_they_stand_for() {
    for side in [Side::Client, Side::CachingServer, Side::TicketServer] {
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            for (what, change, expected) in CHANGES {
                let label = format!("{side:?} {:?} {what}", version.version);
                let scene = Scene::new(side, version);
                let held = scene.config();
                assert!(!scene.meet(&held).unwrap(), "{label}");
                // Also shows that the peer would resume.
                assert!(scene.meet(&scene.config()).unwrap(), "{label}");
                change(&scene);
                let verdict = |config: &Config| match scene.meet(config) {
                    Ok(true) => Next::Resumed,
                    Ok(false) => Next::Full,
                    Err(refused) => {
                        assert_eq!(refused.by_client, matches!(side, Side::Client));
                        Next::Refused
                    }
                };
                assert_eq!(verdict(&scene.config()), *expected, "{label}");
                match expected {
                    Next::Refused => assert_eq!(verdict(&held), Next::Refused, "{label}"),
                    Next::Full => {
                        assert_eq!(verdict(&scene.config()), Next::Resumed, "{label}");
                        assert_eq!(verdict(&held), Next::Full, "{label}");
                        assert_eq!(verdict(&held), Next::Full, "{label}");
                    }
                    Next::Resumed => assert_eq!(verdict(&scene.config()), Next::Resumed, "{label}"),
                }
            }
        }
    }
}

/// This side's own certificate ends its sessions too: the peer, which would resume, sees a full handshake and refuses.
#[test]
fn sessions_end_with_the_own_certificate() {
    for side in [Side::Client, Side::CachingServer, Side::TicketServer] {
        let scene = Scene::new(side, &rustls::version::TLS13);
        let short = svid_for(&scene.ours_ca, OURS, &[], HOUR);
        scene.resolver.rotate(&short).unwrap();
        assert!(!scene.meet(&scene.config()).unwrap());
        assert!(scene.meet(&scene.config()).unwrap());
        scene.clock.advance(HOUR + 1);
        let refused = scene.meet(&scene.config()).unwrap_err();
        assert_eq!(refused.by_client, !matches!(side, Side::Client));
    }
}

/// Only a peer that was let in ties the sessions of the others to the end of its certificate: not somebody who shows an
/// old certificate without its key, nor one who has the key and is not allowed.
#[test]
fn sessions_outlive_certificates_of_nobody() {
    for side in [Side::Client, Side::CachingServer, Side::TicketServer] {
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let scene = Scene::new(side, version);
            assert!(!scene.meet(&scene.config()).unwrap());
            let short = |name| svid_for(&scene.peer_ca, name, &[], HOUR);
            let strangers = [stolen(&short(PEER)), parts(&short(REFUSED))];
            let verify = verifier(&bundles(&[&scene.ours_ca]), id(OURS));
            for shown in strangers {
                let met = match scene.config() {
                    Config::Client(ours) => {
                        let theirs = eager_server(&scene.clock, version, verify.clone(), shown);
                        connect(ours, theirs)
                    }
                    Config::Server(ours) => {
                        let theirs = eager_client(&scene.clock, version, verify.clone(), shown);
                        connect(theirs, ours)
                    }
                };
                assert!(met.is_err());
            }
            // A client has offered its tickets to the strangers; these are new ones.
            scene.meet(&scene.config()).unwrap();
            scene.clock.advance(HOUR + 1);
            let label = format!("{side:?} {:?}", version.version);
            assert!(scene.meet(&scene.config()).unwrap(), "{label}");
        }
    }
}

/// While this side's own SVID has expired no span can begin, so none is tried; the next SVID begins one.
#[test]
fn no_span_begins_with_an_expired_certificate() {
    for side in [Side::Client, Side::CachingServer, Side::TicketServer] {
        let scene = Scene::new(side, &rustls::version::TLS13);
        let same = |one: &Config, other: &Config| match (one, other) {
            (Config::Client(one), Config::Client(other)) => Arc::ptr_eq(one, other),
            (Config::Server(one), Config::Server(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        let first = scene.config();
        assert!(same(&first, &scene.config()));
        scene.clock.advance(OUR_LIFETIME + 1);
        assert!(same(&first, &scene.config()));
        let next = svid_for(&scene.ours_ca, OURS, &[], 2 * OUR_LIFETIME);
        scene.resolver.rotate(&next).unwrap();
        let second = scene.config();
        assert!(!same(&first, &second));
        assert!(same(&second, &scene.config()));
    }
}

/// Bundles that are fetched by connections of the very side that asks for them.
struct Fetching {
    bundles: Arc<SharedBundleSet>,
    side: OnceLock<Arc<TlsClient>>,
    asked: AtomicUsize,
}

impl X509BundleSource for Fetching {
    fn x509_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<TrustAnchors>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(side) = self.side.get() {
            // One connection after the other.
            for _ in 0..3 {
                let _config = side.config();
            }
        }
        self.bundles.x509_authorities(trust_domain)
    }
}

/// The source of bundles may use what asks it. A deadlock fails by time.
#[test]
fn bundles_may_come_over_the_same_side() {
    let scene = Scene::new(Side::Client, &rustls::version::TLS13);
    let Theirs::Server(server) = scene.theirs else {
        panic!("not a server")
    };
    let source = Arc::new(Fetching {
        bundles: scene.bundles.clone(),
        side: OnceLock::new(),
        asked: AtomicUsize::new(0),
    });
    let verify = SvidVerifier::new(&provider(), source.clone(), id(PEER));
    let options = options(&scene.clock).with_sessions(Sessions::Cached(8));
    let client = TlsClient::new(provider(), scene.resolver, Arc::new(verify), options).unwrap();
    let client = Arc::new(client);
    assert!(source.side.set(client.clone()).is_ok());
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let pair = connect(client.config(), server.clone()).unwrap();
            done.send(pair.client.handshake_kind() == Some(kind))
                .unwrap();
        }
    });
    for _ in 0..2 {
        assert_eq!(wait.recv_timeout(Duration::from_secs(20)), Ok(true));
    }
    assert!(source.asked.load(Ordering::SeqCst) > 2);
}

/// A connection to a TLS 1.3 server whose tickets are still on their way.
fn without_tickets(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Pair {
    let name = pki_types::ServerName::try_from("host.example").unwrap();
    let mut pair = Pair {
        client: rustls::ClientConnection::new(client.clone(), name).unwrap(),
        server: rustls::ServerConnection::new(server.clone()).unwrap(),
    };
    pair.flush_client().unwrap();
    pair.flush_server().unwrap();
    pair.flush_client().unwrap();
    assert!(!pair.client.is_handshaking() && pair.server.wants_write());
    pair
}

/// A ticket that arrives after the change, of a connection from before it, is worth nothing. The server holds its
/// tickets back as long as it likes.
///
/// Covers: X509-SVID-A17
#[test]
fn late_tickets() {
    for renewed in [false, true] {
        let scene = Scene::new(Side::Client, &rustls::version::TLS13);
        let (Config::Client(held), Theirs::Server(server)) = (scene.config(), &scene.theirs) else {
            panic!("not a client")
        };
        let mut pair = without_tickets(&held, server);
        scene.install("peer.test", 2, &[&scene.peer_ca, &ca("peer.test")]);
        if renewed {
            // The next span is there before the ticket.
            assert!(!scene.meet(&scene.config()).unwrap());
        }
        pair.flush_server().unwrap();
        assert!(!scene.meet(&Config::Client(held.clone())).unwrap());
        assert!(!scene.meet(&Config::Client(held)).unwrap());
        assert_eq!(scene.meet(&scene.config()).unwrap(), renewed);
    }
}

/// A peer that was let in while a second root was trusted has no session left when that root is gone, even if
/// nothing was resumed in between and the roots are again those of the beginning.
///
/// Covers: X509-SVID-A17
#[test]
fn anchors_that_come_and_go() {
    let scene = Scene::new(Side::Client, &rustls::version::TLS13);
    let (Config::Client(held), Theirs::Server(server)) = (scene.config(), &scene.theirs) else {
        panic!("not a client")
    };
    let second = ca("peer.test");
    let shown = parts(&svid(&second, "spiffe://peer.test/intruder"));
    let verify = verifier(&bundles(&[&scene.ours_ca]), id(OURS));
    let intruder = eager_server(&scene.clock, &rustls::version::TLS13, verify, shown);

    let _early = without_tickets(&held, server);
    scene.install("peer.test", 2, &[&scene.peer_ca, &second]);
    let mut pair = without_tickets(&held, &intruder);
    scene.install("peer.test", 3, &[&scene.peer_ca]);
    pair.flush_server().unwrap();
    for config in [&held, &held] {
        assert!(connect(config.clone(), intruder.clone()).is_err());
    }
}

/// Two clients that dial one name for different workloads share no sessions.
#[test]
fn sessions_know_for_whom_they_are() {
    let scene = Scene::new(Side::Client, &rustls::version::TLS13);
    let Theirs::Server(server) = &scene.theirs else {
        panic!("not a server")
    };
    let client = |peer: &str| {
        let verify = Arc::new(verifier(&scene.bundles, id(peer)));
        let options = options(&scene.clock).with_sessions(Sessions::Cached(16));
        TlsClient::new(provider(), scene.resolver.clone(), verify, options).unwrap()
    };
    let (right, wrong) = (client(PEER), client("spiffe://peer.test/other"));
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let pair = connect(right.config(), server.clone()).unwrap();
        assert_eq!(pair.client.handshake_kind(), Some(kind));
        assert!(connect(wrong.config(), server.clone()).is_err());
    }
}

/// Without the option nothing is resumed, by nobody's wish.
///
/// Covers: X509-SVID-A17
#[test]
fn no_resumption_by_default() {
    for side in [Side::Client, Side::CachingServer] {
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let scene = Scene::new(side, version);
            let verify = Arc::new(verifier(&scene.bundles, |_: &SpiffeId| true));
            let (resolver, provider) = (scene.resolver.clone(), provider());
            let plain = match side {
                Side::Client => {
                    let mut config = client_config(provider, resolver, verify).unwrap();
                    config.time_provider = scene.clock.clone();
                    Config::Client(Arc::new(config))
                }
                _ => {
                    let mut config = server_config(provider, resolver, verify).unwrap();
                    config.time_provider = scene.clock.clone();
                    Config::Server(Arc::new(config))
                }
            };
            for _ in 0..3 {
                assert!(!scene.meet(&plain).unwrap());
            }
        }
    }
}
