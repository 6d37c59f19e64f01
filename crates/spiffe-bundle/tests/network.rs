//! Bundles over real sockets and TLS: the client against servers that are and are not who they should be, and the
//! server for clients of every kind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jose_x509::jwk::Jwk;
use jose_x509::{Algorithm, CryptoProvider, SigningKey, provider::ring};
use pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use spiffe_bundle::federation::client::{Client, Poller, Resolve, Resolving};
use spiffe_bundle::federation::server::{Server, https_spiffe, https_web};
use spiffe_bundle::federation::{
    BundleEndpoint, BundleStore, Event, EventKind, Federation, MemoryStore, PublishedBundle,
    RefreshPolicy, Relationship, Stored, StoredBundle,
};
use spiffe_bundle::{Bundle, Error, JwtBundleSource, SharedBundleSet, X509BundleSource};
use spiffe_id::{SpiffeId, TrustDomain};
use svid_rustls::SvidVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring as tls_ring;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const PROVIDER: CryptoProvider = ring::provider();
const HOST: &str = "bundles.test";
const SERVER_ID: &str = "spiffe://endpoint.test/bundle-server";

fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

fn key(kid: &str) -> Jwk {
    let key = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    key.with_kid(kid).public_jwk()
}

/// A bundle of a trust domain that does not matter, and of this sequence.
fn bundle(sequence: u64) -> Bundle {
    Bundle::builder(&PROVIDER, td("partner.test"))
        .with_sequence(sequence)
        .with_jwt_authority(&key("k"))
        .build()
        .unwrap()
}

struct Root {
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

fn root(name: &str) -> Root {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    Root {
        der: params.self_signed(&key).unwrap().der().clone(),
        issuer: Issuer::new(params, key),
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(root: &Root, names: Vec<SanType>, expired: bool) -> Identity {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    if expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &root.issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (vec![leaf.der().clone()], key)
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

fn tls_provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(tls_ring::default_provider())
}

/// Presents what was set last.
#[derive(Debug)]
struct Rotating(Mutex<Arc<CertifiedKey>>);

impl Rotating {
    fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self(Mutex::new(certified(identity))))
    }

    fn set(&self, identity: Identity) {
        *self.0.lock().unwrap() = certified(identity);
    }
}

fn certified((chain, key): Identity) -> Arc<CertifiedKey> {
    Arc::new(CertifiedKey::from_der(chain, key, &tls_provider()).unwrap())
}

impl ResolvesServerCert for Rotating {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.lock().unwrap().clone())
    }
}

/// A bundle endpoint that runs until the test ends.
async fn start(tls: ServerConfig, endpoint: BundleEndpoint) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(Arc::new(tls), endpoint);
    tokio::spawn(async move { server.serve(listener, std::future::pending::<()>()).await });
    address
}

async fn start_web(identity: Identity, endpoint: BundleEndpoint) -> SocketAddr {
    let tls = https_web(tls_provider(), identity.0, identity.1, HOST).unwrap();
    start(tls, endpoint).await
}

/// A server that answers every request with these bytes, and tells what it was sent.
async fn start_raw(
    identity: Identity,
    answer: Vec<u8>,
    ends: bool,
) -> (SocketAddr, Arc<Mutex<String>>) {
    let tls = ServerConfig::builder_with_provider(tls_provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.0, identity.1)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or_default();
            seen.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&request[..read]));
            if ends {
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            } else {
                // The last part again and again.
                let (head, unit) = answer.split_at(answer.len() - 1024.min(answer.len()));
                let _ = stream.write_all(head).await;
                while stream.write_all(unit).await.is_ok() && !unit.is_empty() {}
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        }
    });
    (address, asked)
}

/// Every name is this host.
struct Loopback;

impl Resolve for Loopback {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move {
            match host {
                "nowhere.test" => Err(io::Error::other("no such name")),
                _ => Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]),
            }
        })
    }
}

fn web_tls(root: &Root) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root.der.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(tls_provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn client(root: &Root) -> Client {
    Client::new()
        .with_web(web_tls(root))
        .unwrap()
        .with_resolver(Arc::new(Loopback))
        .with_timeout(Duration::from_secs(10))
}

/// Servers with exactly the SPIFFE ID that is asked for, by these bundles.
fn spiffe_client<B>(root: &Root, bundles: &Arc<B>) -> Client
where
    B: X509BundleSource + Send + Sync + 'static,
{
    let bundles = Arc::clone(bundles);
    client(root).with_spiffe(move |endpoint: &SpiffeId| {
        let provider = tls_provider();
        let verifier = SvidVerifier::new(&provider, bundles.clone(), endpoint.clone());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Arc::new(config)
    })
}

fn web(port: SocketAddr) -> Relationship {
    let url = format!("https://{HOST}:{}/bundle.json", port.port());
    Relationship::https_web(td("partner.test"), &url).unwrap()
}

fn spiffe(port: SocketAddr, path: &str) -> Relationship {
    let url = format!("https://unrelated.test:{}{path}", port.port());
    let id = SpiffeId::parse(SERVER_ID).unwrap();
    Relationship::https_spiffe(td("partner.test"), &url, id).unwrap()
}

async fn sequence(client: &Client, relationship: &Relationship) -> Result<Option<u64>, String> {
    let (_, result) = client.fetch(&PROVIDER, relationship.fetch()).await;
    result
        .map(|bundle| bundle.sequence())
        .map_err(|error| match error {
            Error::Exchange { step } => format!("{step:?}"),
            other => other.code().to_owned(),
        })
}

fn failed<T>(code: &str) -> Result<T, String> {
    Err(code.to_owned())
}

fn serving(published: &Arc<PublishedBundle>) -> BundleEndpoint {
    BundleEndpoint::new()
        .with_bundle("/bundle.json", Arc::clone(published))
        .unwrap()
}

/// An anonymous client gets what was published last, from a server that a public CA vouches for.
///
/// Covers: SPIFFE-FEDERATION-4-1, SPIFFE-FEDERATION-5-1, SPIFFE-FEDERATION-5-2, SPIFFE-FEDERATION-5.2.1.3-2
/// Covers: SPIFFE-FEDERATION-5.2.1.3-3, SPIFFE-FEDERATION-5.2.1.3-4, SPIFFE-FEDERATION-5.2.1.4-1
/// Covers: OAUTH-SPIFFE-6.1-1
#[tokio::test]
async fn https_web_profile() {
    let (good, other) = (root("good"), root("other"));
    let published = PublishedBundle::new(&PROVIDER, &bundle(1));
    let address = start_web(identity(&good, vec![dns(HOST)], false), serving(&published)).await;
    assert_eq!(sequence(&client(&good), &web(address)).await, Ok(Some(1)));
    published.publish(&bundle(2)).unwrap();
    assert_eq!(sequence(&client(&good), &web(address)).await, Ok(Some(2)));

    // Wrong CA, wrong name, expired.
    assert_eq!(
        sequence(&client(&other), &web(address)).await,
        failed("Tls")
    );
    let url = format!("https://elsewhere.test:{}/bundle.json", address.port());
    let elsewhere = Relationship::https_web(td("partner.test"), &url).unwrap();
    assert_eq!(sequence(&client(&good), &elsewhere).await, failed("Tls"));
    let expired = identity(&good, vec![dns(HOST)], true);
    let address = start_web(expired, serving(&published)).await;
    assert_eq!(sequence(&client(&good), &web(address)).await, failed("Tls"));
    // An SVID is nothing under this profile, and a common name is none either.
    let (chain, key) = identity(&good, vec![uri(SERVER_ID)], false);
    let refused = https_web(tls_provider(), chain, key, HOST).unwrap_err();
    assert_eq!(refused, Error::EndpointCertificate);

    // What is not configured or not reachable.
    let spiffe = spiffe(address, "/bundle.json");
    assert_eq!(
        sequence(&client(&good), &spiffe).await,
        failed("profile_not_configured")
    );
    let nowhere = Relationship::https_web(td("partner.test"), "https://nowhere.test/b").unwrap();
    assert_eq!(sequence(&client(&good), &nowhere).await, failed("Resolve"));
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    assert_eq!(
        sequence(&client(&good), &web(closed)).await,
        failed("Connect")
    );
}

/// The certificate has to be one for the host that the public uses, and for the key.
///
/// Covers: SPIFFE-FEDERATION-5.2.1.3-2, SPIFFE-FEDERATION-5-3
#[test]
fn server_configurations() {
    let root = root("root");
    let of = |names, host: &str| {
        let (chain, key) = identity(&root, names, false);
        https_web(tls_provider(), chain, key, host).is_ok()
    };
    assert!(of(vec![dns(HOST)], HOST));
    assert!(of(
        vec![SanType::IpAddress([192, 0, 2, 1].into())],
        "192.0.2.1"
    ));
    assert!(!of(vec![dns(HOST)], "192.0.2.1"));
    assert!(!of(vec![dns("other.test")], HOST));
    assert!(!of(vec![uri("https://bundles.test")], HOST));
    assert!(!of(vec![dns(HOST)], "not a host"));
    let (chain, _) = identity(&root, vec![dns(HOST)], false);
    let (_, key) = identity(&root, vec![dns(HOST)], false);
    assert!(https_web(tls_provider(), chain, key, HOST).is_err());

    let (chain, key) = identity(&root, vec![dns(HOST)], false);
    let resolver = Rotating::new(identity(&root, vec![uri(SERVER_ID)], false));
    for config in [
        https_web(tls_provider(), chain, key, HOST).unwrap(),
        https_spiffe(tls_provider(), resolver).unwrap(),
    ] {
        // TLS 1.3, and 1.2 with ephemeral keys and authenticated encryption.
        let suites = &config.crypto_provider().cipher_suites;
        assert!(suites.iter().any(|suite| suite.tls13().is_some()));
        for suite in suites {
            let name = format!("{:?}", suite.suite());
            let modern = name.contains("GCM") || name.contains("POLY1305");
            let forward = suite.tls13().is_some() || name.contains("ECDHE");
            assert!(modern && forward, "{name}");
        }
    }
}

/// The server speaks TLS 1.2 and 1.3 with those who ask nicely, and nothing older.
///
/// Covers: SPIFFE-FEDERATION-5-3
#[tokio::test]
async fn old_tls_is_refused() {
    let root = root("root");
    let published = PublishedBundle::new(&PROVIDER, &bundle(1));
    let address = start_web(identity(&root, vec![dns(HOST)], false), serving(&published)).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(root.der.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(tls_provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = client(&root).with_web(Arc::new(config)).unwrap();
        assert_eq!(sequence(&client, &web(address)).await, Ok(Some(1)));
    }
    // A hello of TLS 1.1 with TLS_RSA_WITH_AES_128_CBC_SHA.
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let mut record = vec![22, 3, 1, 0, u8::try_from(hello.len() + 4).unwrap()];
    record.extend([1, 0, 0, u8::try_from(hello.len()).unwrap()]);
    record.extend(hello);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    // A fatal alert, and no ServerHello.
    assert_eq!((answer[0], answer[5]), (21, 2));
}

/// Nothing that identifies the client is sent, and no certificate even where one is asked for.
///
/// Covers: SPIFFE-FEDERATION-A14, SPIFFE-FEDERATION-5.2.2.3-2, SPIFFE-FEDERATION-5.2.1.3-3
#[tokio::test]
async fn clients_are_anonymous() {
    let root = root("root");
    let body = r#"{"keys":[],"spiffe_sequence":4}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (address, asked) =
        start_raw(identity(&root, vec![dns(HOST)], false), answer.into(), true).await;
    assert_eq!(sequence(&client(&root), &web(address)).await, Ok(Some(4)));
    let asked = asked.lock().unwrap().clone();
    let mut lines: Vec<_> = asked.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    let host = format!("host: {HOST}:{}", address.port());
    assert_eq!(
        lines,
        [
            "GET /bundle.json HTTP/1.1",
            "accept: application/json",
            host.as_str()
        ]
    );

    let (chain, key) = identity(&root, vec![uri(SERVER_ID)], false);
    let mut roots = RootCertStore::empty();
    roots.add(root.der.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(tls_provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_client_auth_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let refused = Client::new().with_web(Arc::clone(&config)).unwrap_err();
    assert_eq!(refused, Error::ClientCertificate);
    let careless = client(&root).with_spiffe(move |_: &SpiffeId| Arc::clone(&config));
    let refused = sequence(&careless, &spiffe(address, "/bundle.json")).await;
    assert_eq!(refused, failed("client_certificate"));

    // A server that insists on a certificate gets none.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls_provider());
    let (chain, key) = identity(&root, vec![dns(HOST)], false);
    let tls = ServerConfig::builder_with_provider(tls_provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    let published = PublishedBundle::new(&PROVIDER, &bundle(1));
    let address = start(tls, serving(&published)).await;
    assert!(sequence(&client(&root), &web(address)).await.is_err());
}

/// Under `https_web` each server of a chain of redirects is authenticated for its own host.
///
/// Covers: SPIFFE-FEDERATION-5.2.1.4-4, SPIFFE-FEDERATION-5.2.1.3-7, SPIFFE-FEDERATION-5.2.1.3-8
/// Covers: SPIFFE-FEDERATION-A6
#[tokio::test]
async fn web_redirects() {
    let (good, other) = (root("good"), root("other"));
    let published = PublishedBundle::new(&PROVIDER, &bundle(7));
    let target = start_web(identity(&good, vec![dns(HOST)], false), serving(&published)).await;
    let impostor = start_web(
        identity(&other, vec![dns(HOST)], false),
        serving(&published),
    )
    .await;
    let redirecting = async |to: String| {
        let endpoint = BundleEndpoint::new()
            .with_redirect("/bundle.json", &to)
            .unwrap();
        start_web(identity(&good, vec![dns(HOST)], false), endpoint).await
    };
    let to =
        |host: &str, address: SocketAddr| format!("https://{host}:{}/bundle.json", address.port());

    let address = redirecting(to(HOST, target)).await;
    let (attempt, fetched) = client(&good).fetch(&PROVIDER, web(address).fetch()).await;
    assert_eq!(fetched.unwrap().sequence(), Some(7));
    assert!(format!("{attempt:?}").contains("redirects: 1"));
    // The certificate of the target is for another host, or of another CA.
    let address = redirecting(to("elsewhere.test", target)).await;
    assert_eq!(sequence(&client(&good), &web(address)).await, failed("Tls"));
    let address = redirecting(to(HOST, impostor)).await;
    assert_eq!(sequence(&client(&good), &web(address)).await, failed("Tls"));
    assert_eq!(
        sequence(&client(&good), &web(address).without_redirects()).await,
        failed("redirects_disabled")
    );
    // In a circle.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = BundleEndpoint::new()
        .with_redirect("/bundle.json", &to(HOST, address))
        .unwrap();
    let (chain, key) = identity(&good, vec![dns(HOST)], false);
    let tls = https_web(tls_provider(), chain, key, HOST).unwrap();
    let server = Server::new(Arc::new(tls), endpoint);
    tokio::spawn(async move { server.serve(listener, std::future::pending::<()>()).await });
    assert_eq!(
        sequence(&client(&good), &web(address)).await,
        failed("too_many_redirects")
    );

    // Addresses inside: by name and as they are, with nothing sent to them.
    let careful = client(&good).public_addresses_only();
    assert_eq!(
        sequence(&careful, &web(target)).await,
        failed("address_refused")
    );
    for host in ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]"] {
        let url = format!("https://{host}/bundle.json");
        let inside = Relationship::https_web(td("partner.test"), &url).unwrap();
        assert_eq!(
            sequence(&careful, &inside).await,
            failed("address_refused"),
            "{host}"
        );
    }
}

/// A server that never ends, never answers or says nonsense costs the limit, and no more.
///
/// Covers: SPIFFE-FEDERATION-A15
#[tokio::test]
async fn hostile_answers() {
    let root = root("root");
    let answer = |head: &str, unit: u8| [head.as_bytes(), &[unit; 1024]].concat();
    let endless = "HTTP/1.1 200 OK\r\n\r\n";
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
    let header = "HTTP/1.1 200 OK\r\nx: ";
    for (answer, ends, expected) in [
        (answer(endless, b' '), false, "response_too_large"),
        (answer(long, b'['), false, "response_too_large"),
        (answer(header, b'x'), false, "Http"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{}".to_vec(),
            true,
            "Http",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
            true,
            "content_encoding",
        ),
        (b"hello".to_vec(), true, "Http"),
        (Vec::new(), true, "Http"),
        (
            b"HTTP/1.1 500 Oops\r\ncontent-length: 99999999999\r\n\r\n".to_vec(),
            true,
            "endpoint_status",
        ),
    ] {
        let identity = identity(&root, vec![dns(HOST)], false);
        let (address, _) = start_raw(identity, answer, ends).await;
        assert_eq!(
            sequence(&client(&root), &web(address)).await,
            failed(expected)
        );
    }
    // Slowly, or not at all.
    let slow = client(&root).with_timeout(Duration::from_millis(300));
    let (address, _) = start_raw(identity(&root, vec![dns(HOST)], false), Vec::new(), false).await;
    assert_eq!(sequence(&slow, &web(address)).await, failed("Timeout"));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert_eq!(
        sequence(&slow, &web(silent.local_addr().unwrap())).await,
        failed("Timeout")
    );
}

/// Clients that break the protocol do not keep the server from serving others.
#[tokio::test]
async fn hostile_requests() {
    let root = root("root");
    let published = PublishedBundle::new(&PROVIDER, &bundle(1));
    let address = start_web(identity(&root, vec![dns(HOST)], false), serving(&published)).await;
    let mut open = Vec::new();
    for bytes in [
        &b""[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 3, 1, 0xff, 0xff],
        &[0; 100_000],
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(bytes).await;
        open.push(stream);
    }
    let connector = TlsConnector::from(web_tls(&root));
    let name = ServerName::try_from(HOST).unwrap();
    for (request, expected) in [
        ("GET /bundle.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(), "HTTP/1.1 200"),
        ("GET /other HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(), "HTTP/1.1 404"),
        ("PUT /bundle.json HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc".to_owned(), "HTTP/1.1 405"),
        (format!("GET /bundle.json HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(70_000)), "HTTP/1.1 431"),
        ("\0\0\0\r\n\r\n".to_owned(), "HTTP/1.1 400"),
    ] {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = connector.connect(name.clone(), stream).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(expected), "{answer}");
    }
}

fn anchors(name: &str, roots: &[&Root]) -> Bundle {
    let builder = Bundle::builder(&PROVIDER, td(name));
    roots
        .iter()
        .fold(builder, |builder, root| {
            builder.with_x509_authority(&root.der)
        })
        .build()
        .unwrap()
}

/// The server is whoever holds an X509-SVID with exactly the configured ID, by the bundles in force at the time;
/// DNS names play no part.
///
/// Covers: SPIFFE-FEDERATION-5.2.2.3-1, SPIFFE-FEDERATION-5.2.2.3-2, SPIFFE-FEDERATION-5.2.2.3-3
/// Covers: SPIFFE-FEDERATION-5.2.2.4-1, SPIFFE-FEDERATION-5.2.2.4-3, SPIFFE-FEDERATION-5-1
/// Covers: SPIFFE-FEDERATION-A2, SPIFFE-FEDERATION-A8
#[tokio::test]
async fn https_spiffe_profile() {
    let (old, new, public) = (root("old"), root("new"), root("public"));
    let bundles = Arc::new(SharedBundleSet::default());
    bundles.install(anchors("endpoint.test", &[&old])).unwrap();
    let client = spiffe_client(&public, &bundles);

    let resolver = Rotating::new(identity(&old, vec![uri(SERVER_ID), dns("x.test")], false));
    let published = PublishedBundle::new(&PROVIDER, &bundle(1));
    let endpoint = BundleEndpoint::new()
        .with_bundle("/any/path", Arc::clone(&published))
        .unwrap();
    let tls = https_spiffe(tls_provider(), resolver.clone()).unwrap();
    let address = start(tls, endpoint).await;
    let relationship = spiffe(address, "/any/path");
    assert_eq!(sequence(&client, &relationship).await, Ok(Some(1)));
    published.publish(&bundle(2)).unwrap();
    assert_eq!(sequence(&client, &relationship).await, Ok(Some(2)));

    // The same server without a restart, with other certificates.
    for (identity, expected) in [
        (identity(&new, vec![uri(SERVER_ID)], false), failed("Tls")),
        (identity(&old, vec![uri(SERVER_ID)], true), failed("Tls")),
        (
            identity(&old, vec![uri("spiffe://endpoint.test/other")], false),
            failed("Tls"),
        ),
        (
            identity(&old, vec![uri("spiffe://other.test/bundle-server")], false),
            failed("Tls"),
        ),
        (
            identity(&old, vec![dns("unrelated.test")], false),
            failed("Tls"),
        ),
        (
            identity(&public, vec![dns("unrelated.test")], false),
            failed("Tls"),
        ),
        (identity(&old, vec![uri(SERVER_ID)], false), Ok(Some(2))),
    ] {
        resolver.set(identity);
        assert_eq!(sequence(&client, &relationship).await, expected);
    }
    // The endpoint's trust domain has other roots now: it is they who count from the next fetch on.
    bundles.force_install(anchors("endpoint.test", &[&new]));
    assert_eq!(sequence(&client, &relationship).await, failed("Tls"));
    resolver.set(identity(&new, vec![uri(SERVER_ID)], false));
    assert_eq!(sequence(&client, &relationship).await, Ok(Some(2)));
    bundles.force_install(anchors("endpoint.test", &[]));
    assert_eq!(sequence(&client, &relationship).await, failed("Tls"));
}

/// After a redirect the server still has to be the one that was configured.
///
/// Covers: SPIFFE-FEDERATION-5.2.2.3-5, SPIFFE-FEDERATION-5.2.2.4-4, SPIFFE-FEDERATION-A8
#[tokio::test]
async fn spiffe_redirects() {
    let (own, public) = (root("own"), root("public"));
    let bundles = Arc::new(SharedBundleSet::default());
    bundles.install(anchors("endpoint.test", &[&own])).unwrap();
    let client = spiffe_client(&public, &bundles);
    let published = PublishedBundle::new(&PROVIDER, &bundle(3));
    for (target, expected) in [
        (identity(&own, vec![uri(SERVER_ID)], false), Ok(Some(3))),
        (
            identity(&own, vec![uri("spiffe://endpoint.test/other")], false),
            failed("Tls"),
        ),
        (identity(&public, vec![dns(HOST)], false), failed("Tls")),
    ] {
        let tls = https_spiffe(tls_provider(), Rotating::new(target)).unwrap();
        let target = start(tls, serving(&published)).await;
        let to = format!("https://{HOST}:{}/bundle.json", target.port());
        let endpoint = BundleEndpoint::new().with_redirect("/", &to).unwrap();
        let resolver = Rotating::new(identity(&own, vec![uri(SERVER_ID)], false));
        let tls = https_spiffe(tls_provider(), resolver).unwrap();
        let address = start(tls, endpoint).await;
        assert_eq!(sequence(&client, &spiffe(address, "/")).await, expected);
    }
}

/// A trust domain that serves its own bundle: begun with what the operator has, carried on with what was fetched, and
/// found in the store after a restart.
///
/// Covers: SPIFFE-FEDERATION-5.2.2.2-2, SPIFFE-FEDERATION-5.2.2.4-2, SPIFFE-FEDERATION-4.2-1
/// Covers: SPIFFE-FEDERATION-6.1-1, SPIFFE-FEDERATION-A11, SPIFFE-FEDERATION-6.3-1
#[tokio::test]
async fn self_serving_rotation() {
    let id = "spiffe://partner.test/bundle-server";
    let (old, new, public) = (root("old"), root("new"), root("public"));
    let version = |sequence: u64, roots: &[&Root]| {
        let builder = Bundle::builder(&PROVIDER, td("partner.test"))
            .with_sequence(sequence)
            .with_refresh_hint(Duration::from_secs(10));
        let builder = builder.with_jwt_authority(&key("j"));
        let with = |builder: spiffe_bundle::BundleBuilder, root: &&Root| {
            builder.with_x509_authority(&root.der)
        };
        roots.iter().fold(builder, with).build().unwrap()
    };
    let first = version(1, &[&old]);
    let published = PublishedBundle::new(&PROVIDER, &version(2, &[&old, &new]));
    let resolver = Rotating::new(identity(&old, vec![uri(id)], false));
    let tls = https_spiffe(tls_provider(), resolver.clone()).unwrap();
    let address = start(tls, serving(&published)).await;
    let relationship = || {
        let url = format!("https://partner.test:{}/bundle.json", address.port());
        let relationship =
            Relationship::https_spiffe(td("partner.test"), &url, SpiffeId::parse(id).unwrap());
        relationship.unwrap().with_bootstrap(first.clone()).unwrap()
    };
    let clock = Arc::new(Mutex::new(1_000_u64));
    let store = Arc::new(MemoryStore::default());
    let poller = |store: Arc<MemoryStore>| {
        let bundles = Arc::new(SharedBundleSet::default());
        let mut policy = RefreshPolicy::default();
        policy.max_stale = Some(Duration::from_secs(100));
        let federation = Federation::new(PROVIDER, td("home.test"), Arc::clone(&bundles));
        let federation = federation.with_policy(policy);
        let client = spiffe_client(&public, federation.endpoint_bundles());
        let clock = Arc::clone(&clock);
        let now = move || UnixTime::since_unix_epoch(Duration::from_secs(*clock.lock().unwrap()));
        (
            Poller::new(federation, client, Shared(store), now, || 0),
            bundles,
        )
    };
    let outcome = |events: Vec<Event>| match &events[..] {
        [
            Event {
                kind: EventKind::Fetched { result, .. },
                ..
            },
        ] => result
            .clone()
            .map(|(sequence, _)| sequence.unwrap())
            .map_err(|error| error.code()),
        other => panic!("{other:?}"),
    };
    let lost = |_: &TrustDomain, error| panic!("{error}");
    let begin = |poller: &Poller<_, _, _>, now: u64| {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        poller
            .federation()
            .establish([relationship()], now)
            .unwrap();
    };

    let (running, bundles) = poller(Arc::clone(&store));
    assert!(!running.restore(&td("partner.test")).await.unwrap());
    begin(&running, 1000);
    assert_eq!(outcome(running.poll(lost).await), Ok(2));
    assert!(running.poll(lost).await.is_empty(), "nothing is due");
    // The new root serves, then the old one goes; the server that still has it is nobody.
    resolver.set(identity(&new, vec![uri(id)], false));
    published.publish(&version(3, &[&new])).unwrap();
    *clock.lock().unwrap() = 1010;
    assert_eq!(outcome(running.poll(lost).await), Ok(3));
    resolver.set(identity(&old, vec![uri(id)], false));
    *clock.lock().unwrap() = 1020;
    assert_eq!(outcome(running.poll(lost).await), Err("exchange"));
    assert_eq!(
        bundles
            .snapshot()
            .get(&td("partner.test"))
            .unwrap()
            .sequence(),
        Some(3)
    );

    // A restart with the same configuration: the old root of the bootstrap bundle is not trusted again.
    let (restarted, bundles) = poller(Arc::clone(&store));
    assert!(restarted.restore(&td("partner.test")).await.unwrap());
    begin(&restarted, 1020);
    assert_eq!(outcome(restarted.poll(lost).await), Err("exchange"));
    resolver.set(identity(&new, vec![uri(id)], false));
    *clock.lock().unwrap() = 1030;
    assert_eq!(outcome(restarted.poll(lost).await), Ok(3));
    // Out of reach for too long, its SVIDs are refused; but it is found again.
    resolver.set(identity(&old, vec![uri(id)], false));
    *clock.lock().unwrap() = 1131;
    let events = restarted.poll(lost).await;
    assert_eq!(events.last().unwrap().kind, EventKind::Expired);
    assert_eq!(outcome(events[..1].to_vec()), Err("exchange"));
    assert!(bundles.snapshot().is_empty());
    resolver.set(identity(&new, vec![uri(id)], false));
    *clock.lock().unwrap() = 1500;
    assert_eq!(outcome(restarted.poll(lost).await), Ok(3));
    // In the loop, events come by themselves.
    *clock.lock().unwrap() = 1510;
    published.publish(&version(4, &[&new])).unwrap();
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let seen = tokio::select! {
        event = events.recv() => event,
        () = restarted.run(move |event| sender.send(event).unwrap(), lost) => None,
    };
    assert_eq!(outcome(vec![seen.unwrap()]), Ok(4));

    let event = restarted.terminate(&td("partner.test")).await.unwrap();
    assert_eq!(event.kind, EventKind::Terminated);
    assert!(
        bundles
            .jwt_authorities((&td("partner.test")).into())
            .is_none()
    );
    assert_eq!(
        store.load((&td("partner.test")).into()).await.unwrap(),
        None
    );
    assert!(restarted.poll(lost).await.is_empty());
    assert!(restarted.terminate(&td("partner.test")).await.is_err());
}

/// The store of several pollers.
struct Shared(Arc<MemoryStore>);

impl BundleStore for Shared {
    fn store<'a>(&'a self, bundle: &'a Bundle, fetched: UnixTime) -> Stored<'a, ()> {
        self.0.store(bundle, fetched)
    }

    fn load<'a>(
        &'a self,
        trust_domain: spiffe_id::TrustDomainRef<'a>,
    ) -> Stored<'a, Option<StoredBundle>> {
        self.0.load(trust_domain)
    }

    fn remove<'a>(&'a self, trust_domain: spiffe_id::TrustDomainRef<'a>) -> Stored<'a, ()> {
        self.0.remove(trust_domain)
    }
}

/// A store that waits before it stores, until it is told to go on.
#[derive(Default)]
struct Slow {
    inner: MemoryStore,
    reached: tokio::sync::Notify,
    go: tokio::sync::Notify,
}

impl BundleStore for &Slow {
    fn store<'a>(&'a self, bundle: &'a Bundle, fetched: UnixTime) -> Stored<'a, ()> {
        Box::pin(async move {
            self.reached.notify_one();
            self.go.notified().await;
            self.inner.store(bundle, fetched).await
        })
    }

    fn load<'a>(
        &'a self,
        trust_domain: spiffe_id::TrustDomainRef<'a>,
    ) -> Stored<'a, Option<StoredBundle>> {
        self.inner.load(trust_domain)
    }

    fn remove<'a>(&'a self, trust_domain: spiffe_id::TrustDomainRef<'a>) -> Stored<'a, ()> {
        self.inner.remove(trust_domain)
    }
}

/// What happens while a bundle is on its way to the store counts there, too.
///
/// Covers: SPIFFE-FEDERATION-6.3-1, SPIFFE-FEDERATION-4.2-3
#[tokio::test]
async fn the_store_has_what_is_in_force() {
    let root = root("root");
    let published = PublishedBundle::new(&PROVIDER, &bundle(1));
    let served = identity(&root, vec![dns(HOST)], false);
    let address = start_web(served, serving(&published)).await;
    let partner = td("partner.test");
    let now = || UnixTime::since_unix_epoch(Duration::from_secs(1000));
    let lost = |_: &TrustDomain, error| panic!("{error}");
    for by_poller in [true, false] {
        for terminated in [true, false] {
            let slow = Slow::default();
            let bundles = Arc::new(SharedBundleSet::default());
            let mut federation = Federation::new(PROVIDER, td("home.test"), Arc::clone(&bundles));
            federation.establish([web(address)], now()).unwrap();
            let poller = Poller::new(federation, client(&root), &slow, now, || 0);
            let meanwhile = async {
                slow.reached.notified().await;
                match (by_poller, terminated) {
                    (true, true) => {
                        let ended = poller.terminate(&partner);
                        slow.go.notify_one();
                        ended.await.unwrap();
                    }
                    (true, false) => {
                        let set = poller.set_bundle(bundle(7));
                        slow.go.notify_one();
                        tokio::join!(set, async {
                            slow.reached.notified().await;
                            slow.go.notify_one();
                        })
                        .0
                        .unwrap();
                    }
                    (false, true) => {
                        let ended = poller.federation().terminate(&partner, now());
                        ended.unwrap();
                        slow.go.notify_one();
                    }
                    (false, false) => {
                        let set = poller.federation().set_bundle(bundle(7), now());
                        set.unwrap();
                        slow.go.notify_one();
                        slow.reached.notified().await;
                        slow.go.notify_one();
                    }
                }
            };
            let both = async { tokio::join!(poller.poll(lost), meanwhile) };
            let both = tokio::time::timeout(Duration::from_secs(10), both);
            both.await.expect("everything that waits goes on");
            let in_force = bundles.snapshot().get(&partner).map(|one| one.to_json());
            let stored = slow.inner.load((&partner).into()).await.unwrap();
            assert_eq!(stored.map(|one| one.document), in_force);
            assert_eq!(in_force.is_none(), terminated, "{by_poller}");
        }
    }
}

/// Covers: SPIFFE-FEDERATION-A15
#[tokio::test]
async fn a_slow_partner_keeps_nobody_waiting() {
    let root = root("root");
    let published = PublishedBundle::new(&PROVIDER, &bundle(1));
    let served = identity(&root, vec![dns(HOST)], false);
    let address = start_web(served, serving(&published)).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{HOST}:{}/", silent.local_addr().unwrap().port());
    let slow = Relationship::https_web(td("slow.test"), &url).unwrap();
    let bundles = Arc::new(SharedBundleSet::default());
    let mut federation = Federation::new(PROVIDER, td("home.test"), bundles);
    let now = || UnixTime::since_unix_epoch(Duration::from_secs(1000));
    federation.establish([slow, web(address)], now()).unwrap();
    let client = client(&root).with_timeout(Duration::from_secs(60));
    let poller = Poller::new(federation, client, MemoryStore::default(), now, || 0);
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let seen = tokio::select! {
        event = events.recv() => event,
        () = poller.run(move |event| sender.send(event).unwrap(), |_, error| panic!("{error}")) => None,
        () = tokio::time::sleep(Duration::from_secs(20)) => None,
    };
    assert_eq!(seen.unwrap().trust_domain, td("partner.test"));
}
