//! Both roles over TLS on loopback, and peers that misbehave.
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

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::{Extension, Router};
use common::AUDIENCE;
use http::{Request, Response};
use jose_x509::provider::ring;
use jose_x509::{Algorithm, KeySet, MemoryReplayGuard, SigningKey};
use pki_types::{PrivateKeyDer, UnixTime};
use ssf_set::caep::SessionRevoked;
use ssf_set::{SecurityEventToken, SetIssuer, SubjectIdentifier};
use ssf_stream::Error;
use ssf_stream::address::AddressPolicy;
use ssf_stream::client::{Client as Https, Pusher, Resolve, Resolving, ensure_stream};
use ssf_stream::queue::{MemoryEventQueue, QueueError};
use ssf_stream::receiver::{
    Credentials, Management, Poller, PollerStep, StreamReceiver, Taken, discovery,
};
use ssf_stream::server::{self, Handling, Inbox, NotStored, SignatureAlone, Wakeup};
use ssf_stream::stream::{ConfigurationRequest, DeliveryRequest};
use ssf_stream::transmitter::{
    Backoff, Client, MemoryStreamStore, Occurrence, PeerName, Peers, Settings, Transmitter,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

const HOST: &str = "signals.example.com";

fn clock() -> UnixTime {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    UnixTime::since_unix_epoch(now)
}

struct Loopback;

impl Resolve for Loopback {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]) })
    }
}

struct Tls {
    acceptor: TlsAcceptor,
    client: Arc<ClientConfig>,
}

fn tls(host: &str, versions: &[&'static rustls::SupportedProtocolVersion]) -> Tls {
    tls_with(host, versions, |_| {})
}

fn tls_with(
    host: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> Tls {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Tls {
        acceptor: TlsAcceptor::from(Arc::new(server)),
        client: Arc::new(client),
    }
}

struct TlsListener(TcpListener, TlsAcceptor);

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = self.0.accept().await.unwrap();
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn serve(listener: TcpListener, tls: &Tls, router: Router) {
    let listener = TlsListener(listener, tls.acceptor.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
}

fn https(tls: &Tls) -> Https {
    let loopback = AddressPolicy::public().with_allowed([127, 0, 0, 1].into());
    Https::new(tls.client.clone())
        .with_addresses(loopback)
        .with_resolver(Arc::new(Loopback))
}

type Signed = Transmitter<SigningKey>;

struct Side {
    transmitter: Arc<Signed>,
    keys: Arc<KeySet>,
    issuer: String,
    tls: Tls,
    client: Https,
}

async fn transmitter(versions: &[&'static rustls::SupportedProtocolVersion]) -> Side {
    let (listener, port) = listen().await;
    let issuer = format!("https://{HOST}:{port}");
    let provider = ring::provider();
    let key = SigningKey::generate(&provider, Algorithm::Es256)
        .unwrap()
        .with_kid("k");
    let keys = Arc::new(KeySet::new(vec![key.verifying_key().unwrap()]).unwrap());
    let settings = Settings::new(
        &issuer,
        &format!("{issuer}/ssf"),
        &format!("{issuer}/jwks"),
        [SessionRevoked::URI],
    )
    .unwrap()
    .with_authorization_schemes(["urn:ietf:rfc:8705"])
    .with_long_poll(Duration::from_secs(5));
    let wakeup = Wakeup::new();
    let transmitter = Transmitter::new(
        SetIssuer::new(key, provider, &issuer).unwrap(),
        provider,
        settings,
        Arc::new(MemoryStreamStore::new()),
        Arc::new(MemoryEventQueue::new(100)),
        Arc::new(Peers::new().with_peer("rx", Client::new("rx", AUDIENCE))),
    )
    .unwrap()
    .with_wake(wakeup.hook());
    let transmitter = Arc::new(transmitter);
    let tls = tls(HOST, versions);
    let router = server::transmitter(transmitter.clone(), wakeup, clock)
        .layer(Extension(PeerName("rx".to_owned())));
    serve(listener, &tls, router);
    let client = https(&tls);
    Side {
        transmitter,
        keys,
        issuer,
        tls,
        client,
    }
}

impl Side {
    async fn management(&self) -> Management {
        let response = self
            .client
            .send(discovery::request(&self.issuer).unwrap())
            .await
            .unwrap();
        let metadata = discovery::parse_response(&response, &self.issuer).unwrap();
        Management::new(metadata, Credentials::MutualTls).unwrap()
    }

    async fn emit(&self) {
        let occurrence = Occurrence::new(
            SubjectIdentifier::opaque("s").unwrap(),
            SessionRevoked::default(),
        );
        assert_eq!(
            self.transmitter
                .emit(&occurrence, clock())
                .await
                .unwrap()
                .streams,
            1
        );
    }
}

#[derive(Default)]
struct Log {
    stored: Mutex<Vec<String>>,
    acted: Arc<AtomicUsize>,
    failing: AtomicUsize,
    slow: Duration,
}

impl Inbox for Log {
    fn store<'a>(&'a self, set: &'a SecurityEventToken) -> Handling<'a, Result<(), NotStored>> {
        Box::pin(async move {
            if self.failing.load(Ordering::SeqCst) > 0 {
                self.failing.fetch_sub(1, Ordering::SeqCst);
                return Err(NotStored);
            }
            self.stored.lock().unwrap().push(set.id().to_owned());
            Ok(())
        })
    }

    fn act(&self, _: Taken) -> Handling<'static, ()> {
        let (acted, slow) = (self.acted.clone(), self.slow);
        Box::pin(async move {
            tokio::time::sleep(slow).await;
            acted.fetch_add(1, Ordering::SeqCst);
        })
    }
}

/// Covers: SET-PUSH-2-7, SET-PUSH-2-8, SET-PUSH-2-9, SET-PUSH-2-11, SET-PUSH-2-12, SET-PUSH-A12, SET-PUSH-A5, SET-PUSH-5.3-1, SET-PUSH-5.3-2
/// Covers: SET-PUSH-3-1, SSF-8.1.1.1-6, SET-PUSH-A2, SSF-7.1.1-2
#[tokio::test]
async fn events_are_pushed_over_tls_stored_answered_and_then_acted_upon() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let side = transmitter(&[version]).await;
        let management = side.management().await;
        let (listener, port) = listen().await;
        let endpoint = format!("https://{HOST}:{port}/events");
        let wanted = ConfigurationRequest::new()
            .with_events([SessionRevoked::URI])
            .unwrap()
            .with_delivery(DeliveryRequest::push(&endpoint, None).unwrap());
        let stream = ensure_stream(&side.client, &management, &wanted)
            .await
            .unwrap();
        let again = ensure_stream(&side.client, &management, &wanted)
            .await
            .unwrap();
        assert_eq!(stream, again, "there is one, and it is updated");
        let id = stream.stream_id.clone();

        let receiver_tls = tls(HOST, &[version]);
        let receiver = Arc::new(
            StreamReceiver::new(management.metadata(), &stream, side.keys.clone()).unwrap(),
        );
        let guard = Arc::new(MemoryReplayGuard::new(100));
        let inbox = Arc::new(Log {
            slow: Duration::from_millis(300),
            failing: AtomicUsize::new(1),
            ..Log::default()
        });
        let router = server::push_endpoint(
            "/events",
            receiver,
            guard.clone(),
            inbox.clone(),
            Arc::new(SignatureAlone),
            clock,
        );
        serve(listener, &receiver_tls, router);

        for _ in 0..3 {
            side.emit().await;
        }
        // Another name in the certificate: nothing is sent, and nothing is lost.
        let stranger = tls("other.example.com", &[version]);
        let claim = |client| {
            Pusher::claim(
                side.transmitter.clone(),
                client,
                &id,
                ring::provider(),
                clock(),
            )
        };
        for client in [
            https(&stranger),
            Https::new(receiver_tls.client.clone()).with_resolver(Arc::new(Loopback)),
        ] {
            let pusher = claim(client).await.unwrap();
            assert_eq!(
                claim(https(&receiver_tls)).await.unwrap_err().code(),
                "queue_claimed"
            );
            assert!(
                pusher.run(clock).await.unwrap().is_some(),
                "tried again later"
            );
            pusher.release(clock()).await.unwrap();
        }
        assert_eq!(side.transmitter.queue().pending(&id).await, Ok(3));
        assert!(inbox.stored.lock().unwrap().is_empty());
        let pusher = claim(https(&receiver_tls)).await.unwrap();
        let pusher =
            pusher.with_backoff(Backoff::new(Duration::from_secs(1), Duration::from_secs(1)));
        let begun = Instant::now();
        while let Some(until) = pusher.run(clock).await.unwrap() {
            // The first is not stored, hence not accepted, and comes again.
            assert!(
                inbox.stored.lock().unwrap().len() < 3 && begun.elapsed() < Duration::from_secs(20)
            );
            let wait = until.as_secs().saturating_sub(clock().as_secs());
            tokio::time::sleep(Duration::from_secs(wait)).await;
        }
        assert_eq!(inbox.stored.lock().unwrap().len(), 3);
        assert_eq!(inbox.failing.load(Ordering::SeqCst), 0);
        assert!(
            inbox.acted.load(Ordering::SeqCst) < 3,
            "nobody waited for the handler"
        );
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(inbox.acted.load(Ordering::SeqCst), 3);
        assert_eq!(side.transmitter.queue().pending(&id).await, Ok(0));
        side.client
            .send(management.delete(&id).unwrap())
            .await
            .unwrap();
        assert_eq!(
            pusher.run(clock).await.unwrap_err(),
            Error::Queue(QueueError::Fenced)
        );
    }
}

/// Covers: SET-POLL-2.2-6, SET-POLL-2.2-7, SET-POLL-2.5-2, SET-POLL-3-1, SET-POLL-4.3-1, SET-POLL-2.1-1
#[tokio::test]
async fn a_long_poll_ends_as_soon_as_there_is_an_event() {
    let side = transmitter(rustls::ALL_VERSIONS).await;
    let management = side.management().await;
    let wanted = ConfigurationRequest::new()
        .with_events([SessionRevoked::URI])
        .unwrap();
    let stream = ensure_stream(&side.client, &management, &wanted)
        .await
        .unwrap();
    let receiver = StreamReceiver::new(management.metadata(), &stream, side.keys.clone()).unwrap();
    let mut poller = Poller::new();
    let request = |poller: &mut Poller| {
        let PollerStep::Poll(poll) = poller.next(0, clock()) else {
            panic!()
        };
        ssf_stream::poll::request(&poll, stream.delivery.endpoint_url(), None).unwrap()
    };
    let begun = Instant::now();
    let (response, ()) = tokio::join!(side.client.send(request(&mut poller)), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        side.emit().await;
    });
    assert!(
        (180..900).contains(&begun.elapsed().as_millis()),
        "{:?}",
        begun.elapsed()
    );
    let response = poller.answered(&response.unwrap(), clock()).unwrap();
    let polled = receiver.verify(&response, clock());
    assert_eq!(polled.sets.len(), 1);
    poller.stored(polled.sets[0].id(), true);
    let begun = Instant::now();
    let empty = side.client.send(request(&mut poller)).await.unwrap();
    assert!(
        (3500..7000).contains(&begun.elapsed().as_millis()),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        (empty.status().as_u16(), empty.body().as_slice()),
        (200, &br#"{"sets":{}}"#[..])
    );
    assert_eq!(
        side.transmitter.queue().pending(&stream.stream_id).await,
        Ok(0)
    );

    let url = stream.delivery.endpoint_url();
    let once = || ssf_stream::poll::request(&Default::default(), url, None).unwrap();
    let stranger = https(&tls("other.example.com", rustls::ALL_VERSIONS));
    assert_eq!(
        stranger.send(once()).await.unwrap_err().code(),
        "unreachable"
    );
    let strict = Https::new(side.tls.client.clone()).with_resolver(Arc::new(Loopback));
    assert_eq!(
        strict.send(once()).await.unwrap_err(),
        Error::AddressRefused
    );
    let mut plain = once();
    *plain.uri_mut() = "http://signals.example.com/".parse().unwrap();
    assert_eq!(
        side.client.send(plain).await.unwrap_err().code(),
        "endpoint"
    );
}

/// Bodies that are too large or too slow, TLS that is too old.
///
/// Covers: SET-PUSH-A2, SSF-A18, SET-PUSH-5.3-1, SET-POLL-4.3-1, CAEP-INTEROP-2.1-1, SET-5.1-3, SUBID-7.1-1
#[tokio::test]
async fn the_server_gives_up_on_bodies_without_end() {
    let side = transmitter(rustls::ALL_VERSIONS).await;
    let port: u16 = side.issuer.rsplit(':').next().unwrap().parse().unwrap();
    let connect = || async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let name = pki_types::ServerName::try_from(HOST).unwrap();
        tokio_rustls::TlsConnector::from(side.tls.client.clone())
            .connect(name, stream)
            .await
            .unwrap()
    };
    let head = format!(
        "POST /ssf/streams HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let status = |text: Vec<u8>| {
        String::from_utf8_lossy(&text)
            .split(' ')
            .nth(1)
            .map(str::to_owned)
    };

    let mut large = connect().await;
    large.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    for _ in 0..16 {
        if large.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = vec![0; 64];
    let read = large.read(&mut answer).await.unwrap();
    answer.truncate(read);
    assert_eq!(status(answer).as_deref(), Some("413"));

    let mut slow = connect().await;
    slow.write_all(head.as_bytes()).await.unwrap();
    let begun = Instant::now();
    let mut answer = vec![0; 64];
    let read = loop {
        tokio::select! {
            read = slow.read(&mut answer) => break read.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                slow.write_all(b"1\r\n \r\n").await.unwrap();
                slow.flush().await.unwrap();
            }
        }
    };
    answer.truncate(read);
    assert_eq!(status(answer).as_deref(), Some("408"));
    assert!((9..13).contains(&begun.elapsed().as_secs()));

    // A hello of TLS 1.1.
    let mut old = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    old.write_all(&hello).await.unwrap();
    let mut alert = Vec::new();
    let _ = old.read_to_end(&mut alert).await;
    assert!(
        alert.first().is_none_or(|kind| *kind == 21),
        "an alert, or nothing: {alert:?}"
    );
}

/// Covers: CAEP-INTEROP-2.1-2, SET-PUSH-A7, SSF-A2, SET-PUSH-A8, SET-POLL-A7, SET-POLL-2.5.1-3
#[tokio::test]
async fn the_client_follows_nothing_and_reads_no_more_than_it_should() {
    let hits = Arc::new(AtomicUsize::new(0));
    let (listener, port) = listen().await;
    let counted = hits.clone();
    let router = Router::new().fallback(move |request: Request<axum::body::Body>| {
        let counted = counted.clone();
        async move {
            let mut response = Response::new(axum::body::Body::empty());
            match request.uri().path() {
                "/redirect" => {
                    *response.status_mut() = http::StatusCode::TEMPORARY_REDIRECT;
                    response
                        .headers_mut()
                        .insert("location", "/target".parse().unwrap());
                }
                "/huge" => *response.body_mut() = axum::body::Body::from(vec![b'x'; 2_000_000]),
                "/slow" => tokio::time::sleep(Duration::from_secs(60)).await,
                _ => {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            }
            response
        }
    });
    let tls = tls(HOST, rustls::ALL_VERSIONS);
    serve(listener, &tls, router);
    let client = https(&tls).with_timeouts(Duration::from_secs(1), Duration::from_secs(1));
    let send = |path: &str| {
        let request =
            ssf_stream::push::request("x", &format!("https://{HOST}:{port}{path}"), None).unwrap();
        client.send(request)
    };
    // Only suites with authenticated encryption and forward secrecy.
    for suite in &tls.client.crypto_provider().cipher_suites {
        let name = format!("{:?}", suite.suite());
        assert!(
            name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"),
            "{name}"
        );
        assert!(name.contains("GCM") || name.contains("POLY1305"), "{name}");
    }
    let redirect = send("/redirect").await.unwrap();
    assert_eq!(redirect.status(), 307);
    let outcome =
        ssf_stream::push::parse_response(redirect.status(), redirect.headers(), redirect.body());
    assert_eq!(
        outcome,
        ssf_stream::push::Outcome::Misconfigured { status: 307 }
    );
    assert_eq!(hits.load(Ordering::SeqCst), 0);
    assert!(matches!(
        send("/huge").await,
        Err(Error::ResponseTooLarge { .. })
    ));
    let begun = Instant::now();
    assert_eq!(send("/slow").await.unwrap_err().code(), "unreachable");
    assert!(begun.elapsed() < Duration::from_secs(3));

    // The name was public when the stream was made, and is not any more.
    struct Rebound;
    impl Resolve for Rebound {
        fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Resolving<'a> {
            Box::pin(async move {
                let addresses = [[1, 1, 1, 1], [169, 254, 169, 254]];
                Ok(addresses
                    .map(|address| SocketAddr::from((address, port)))
                    .into())
            })
        }
    }
    let rebound = https(&tls).with_resolver(Arc::new(Rebound));
    let request = ssf_stream::push::request("x", &format!("https://{HOST}:{port}/"), None).unwrap();
    assert_eq!(
        rebound.send(request).await.unwrap_err(),
        Error::AddressRefused
    );
}

/// Covers: CAEP-INTEROP-2.1-3, CAEP-INTEROP-A1, SET-POLL-3-1, SET-PUSH-3-1, SET-5.1-3, SUBID-7.1-1
#[tokio::test]
async fn nothing_is_sent_to_a_server_whose_certificate_is_wrong() {
    let expired = |params: &mut rcgen::CertificateParams| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    };
    let good = |_: &mut rcgen::CertificateParams| {};
    type Change = fn(&mut rcgen::CertificateParams);
    for (host, change, trusted, revoked, reached) in [
        (HOST, good as Change, true, None, true),
        (HOST, good, true, Some(false), true),
        (HOST, good, true, Some(true), false),
        (HOST, good, false, None, false),
        (HOST, expired, true, None, false),
        ("other.example.com", good, true, None, false),
    ] {
        let hits = Arc::new(AtomicUsize::new(0));
        let (listener, port) = listen().await;
        let counted = hits.clone();
        let router = Router::new().fallback(move || async move {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let tls = tls_with(host, rustls::ALL_VERSIONS, change);
        serve(listener, &tls, router);
        let mut client = match trusted {
            true => https(&tls),
            false => https(&tls_with(host, rustls::ALL_VERSIONS, change)),
        };
        if let Some(revoked) = revoked {
            client = client.with_revoked(Arc::new(move |chain| {
                assert_eq!(chain.len(), 1);
                revoked
            }));
        }
        let request = discovery::request(&format!("https://{HOST}:{port}")).unwrap();
        let sent = client.send(request).await;
        assert_eq!(
            (sent.is_ok(), hits.load(Ordering::SeqCst)),
            (reached, usize::from(reached)),
            "{host} {trusted} {revoked:?}"
        );
    }
}

/// One connection serves request after request, and leads no further than a new one would.
#[tokio::test]
async fn a_connection_is_kept_as_long_as_it_may_be_used() {
    struct Counted(TlsListener, Arc<AtomicUsize>);
    impl axum::serve::Listener for Counted {
        type Io = TlsStream<TcpStream>;
        type Addr = SocketAddr;
        async fn accept(&mut self) -> (Self::Io, Self::Addr) {
            let accepted = self.0.accept().await;
            self.1.fetch_add(1, Ordering::SeqCst);
            accepted
        }
        fn local_addr(&self) -> std::io::Result<SocketAddr> {
            axum::serve::Listener::local_addr(&self.0)
        }
    }
    let (listener, port) = listen().await;
    let tls = tls(HOST, rustls::ALL_VERSIONS);
    let (connections, hits) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counted = hits.clone();
    let router = Router::new().fallback(move |request: Request<axum::body::Body>| async move {
        counted.fetch_add(1, Ordering::SeqCst);
        let mut response = Response::new(axum::body::Body::from("x".repeat(100_000)));
        match request.uri().path() {
            "/close" => {
                let close = http::HeaderValue::from_static("close");
                response.headers_mut().insert("connection", close);
            }
            "/hang" => std::future::pending().await,
            _ => {}
        }
        response
    });
    let listener = Counted(
        TlsListener(listener, tls.acceptor.clone()),
        connections.clone(),
    );
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let revoked = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = revoked.clone();
    let client = https(&tls)
        .with_timeouts(Duration::from_secs(2), Duration::from_secs(2))
        .with_revoked(Arc::new(move |_| asked.load(Ordering::SeqCst)));
    let get = |client: &Https, host: &str, path: &str| {
        let uri = format!("https://{host}:{port}{path}");
        let request = Request::builder().uri(uri).body(Vec::new()).unwrap();
        let client = client.clone();
        async move {
            let response = client.send(request).await?;
            assert_eq!(response.body().len(), 100_000);
            Ok::<_, Error>(())
        }
    };
    let opened = || connections.load(Ordering::SeqCst);

    for _ in 0..3 {
        get(&client, HOST, "/").await.unwrap();
    }
    get(&client.clone(), "SIGNALS.example.com", "/")
        .await
        .unwrap();
    assert_eq!((opened(), hits.load(Ordering::SeqCst)), (1, 4));
    // Two requests at once need two connections.
    let (one, two) = tokio::join!(get(&client, HOST, "/"), get(&client, HOST, "/"));
    one.and(two).unwrap();
    assert_eq!(opened(), 2);

    // A connection whose server is done with it is given up, and so is one with half a response.
    for _ in 0..3 {
        get(&client, HOST, "/close").await.unwrap();
    }
    assert_eq!(opened(), 3);
    get(&client, HOST, "/").await.unwrap();
    assert_eq!(opened(), 4);
    let late = get(&client, HOST, "/hang").await.unwrap_err();
    assert_eq!(late.code(), "unreachable");
    get(&client, HOST, "/").await.unwrap();
    assert_eq!(opened(), 5);

    // What a new connection would not be allowed, the kept one is not either.
    let strict = client.clone().with_addresses(AddressPolicy::public());
    let refused = get(&strict, HOST, "/").await.unwrap_err();
    assert_eq!(refused, Error::AddressRefused);
    let before = hits.load(Ordering::SeqCst);
    let other = get(&client, "other.example.com", "/").await.unwrap_err();
    assert_eq!(
        other.code(),
        "unreachable",
        "the certificate is for one name"
    );
    revoked.store(true, Ordering::SeqCst);
    let gone = get(&client, HOST, "/").await.unwrap_err();
    assert_eq!(gone.code(), "unreachable");
    assert_eq!(hits.load(Ordering::SeqCst), before);
    revoked.store(false, Ordering::SeqCst);
}
