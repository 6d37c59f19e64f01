//! Authorities, workloads, a clock, and a wire that is a vector.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jose_x509::{Algorithm, SigningKey, provider::ring};
use pki_types::{CertificateDer, DnsName, PrivateKeyDer, ServerName, UnixTime};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, ServerConfig, ServerConnection,
    SignatureScheme, SupportedProtocolVersion,
};
use spiffe_bundle::{Bundle, SharedBundleSet};
use spiffe_id::{SpiffeId, TrustDomain};
use svid::x509::{CertificateAuthority, X509Svid};
use svid_rustls::{Authorizer, SvidResolver, SvidVerifier, TlsOptions};

pub const START: u64 = 1_800_000_000;
pub const HOUR: u64 = 3600;
pub const CLIENT: &str = "spiffe://a.test/agents/one";
pub const SERVER: &str = "spiffe://a.test/tools/ledger";

/// A clock that tests move.
#[derive(Debug)]
pub struct Clock(AtomicU64);

impl Clock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(START)))
    }

    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(at(self.0.load(Ordering::SeqCst)))
    }
}

pub fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub fn key() -> SigningKey {
    SigningKey::generate(&ring::provider(), Algorithm::Es256).unwrap()
}

pub fn id(text: &str) -> SpiffeId {
    SpiffeId::parse(text).unwrap()
}

pub fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

pub fn ca(name: &str) -> CertificateAuthority {
    let lifetime = Duration::from_secs(1000 * HOUR);
    CertificateAuthority::self_signed(&td(name), key(), lifetime, at(START - HOUR)).unwrap()
}

pub fn svid(ca: &CertificateAuthority, name: &str) -> X509Svid {
    svid_for(ca, name, &[], 24 * HOUR)
}

pub fn svid_for(ca: &CertificateAuthority, name: &str, dns: &[&str], seconds: u64) -> X509Svid {
    let key = key();
    let dns: Vec<DnsName<'_>> = dns
        .iter()
        .map(|name| DnsName::try_from(*name).unwrap())
        .collect();
    let lifetime = Duration::from_secs(seconds);
    let leaf = ca.issue_leaf(&id(name), key.public_key(), &dns, lifetime, at(START));
    X509Svid::new(vec![leaf.unwrap()], key).unwrap()
}

pub fn bundle(name: &str, sequence: u64, roots: &[CertificateDer<'static>]) -> Bundle {
    let builder = Bundle::builder(&ring::provider(), td(name)).with_sequence(sequence);
    roots
        .iter()
        .fold(builder, |builder, root| builder.with_x509_authority(root))
        .build()
        .unwrap()
}

pub fn bundles(cas: &[&CertificateAuthority]) -> Arc<SharedBundleSet> {
    let set = SharedBundleSet::default();
    for ca in cas {
        let name = ca.trust_domain().to_string();
        set.install(bundle(&name, 1, &[ca.certificate().clone()]))
            .unwrap();
    }
    Arc::new(set)
}

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub fn resolver(svid: &X509Svid) -> Arc<SvidResolver> {
    Arc::new(SvidResolver::new(provider(), svid).unwrap())
}

pub fn verifier(bundles: &Arc<SharedBundleSet>, peer: impl Authorizer + 'static) -> SvidVerifier {
    SvidVerifier::new(&provider(), bundles.clone(), peer)
}

pub fn options(clock: &Arc<Clock>) -> TlsOptions {
    TlsOptions::default().with_clock(clock.clone())
}

/// Shows a chain, with the key to it or with any other.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl Shows {
    fn new((chain, key): (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)) -> Arc<Self> {
        let key = provider().key_provider.load_private_key(key).unwrap();
        Arc::new(Self(Arc::new(CertifiedKey::new(chain, key))))
    }
}

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A client that presents whatever certificate it is given and resumes whatever it can.
pub fn eager_client(
    clock: &Arc<Clock>,
    version: &'static SupportedProtocolVersion,
    verifier: SvidVerifier,
    shown: (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_details(provider(), clock.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Shows::new(shown));
    config.resumption = Resumption::in_memory_sessions(64);
    Arc::new(config)
}

/// A server that presents whatever certificate it is given and resumes whatever it can.
pub fn eager_server(
    clock: &Arc<Clock>,
    version: &'static SupportedProtocolVersion,
    verifier: SvidVerifier,
    shown: (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_details(provider(), clock.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Shows::new(shown));
    config.session_storage = ServerSessionMemoryCache::new(64);
    Arc::new(config)
}

pub fn parts(svid: &X509Svid) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (svid.chain().to_vec(), svid.expose_private_key())
}

/// The chain of one, which is public, with the key of somebody else.
pub fn stolen(chain: &X509Svid) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let other = svid(&ca("thief.test"), "spiffe://thief.test/x");
    (parts(chain).0, parts(&other).1)
}

pub struct Pair {
    pub client: ClientConnection,
    pub server: ServerConnection,
}

/// Why there is no connection: who refused, how, and what the other side was told.
#[derive(Debug)]
pub struct Refused {
    pub by_client: bool,
    pub error: rustls::Error,
    pub alert: Option<AlertDescription>,
}

pub fn connect(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Result<Pair, Refused> {
    connect_to("host.example", client, server)
}

pub fn connect_to(
    name: &'static str,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
) -> Result<Pair, Refused> {
    let name = ServerName::try_from(name).unwrap();
    let mut pair = Pair {
        client: ClientConnection::new(client, name).unwrap(),
        server: ServerConnection::new(server).unwrap(),
    };
    pair.shake()?;
    Ok(pair)
}

impl Pair {
    fn shake(&mut self) -> Result<(), Refused> {
        for _ in 0..10 {
            self.flush_client()?;
            self.flush_server()?;
        }
        assert!(!self.client.is_handshaking() && !self.server.is_handshaking());
        Ok(())
    }

    pub fn flush_client(&mut self) -> Result<(), Refused> {
        let Self { client, server } = self;
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        feed(&wire, server).map_err(|error| {
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            refused(false, error, feed(&wire, client))
        })
    }

    pub fn flush_server(&mut self) -> Result<(), Refused> {
        let Self { client, server } = self;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        feed(&wire, client).map_err(|error| {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            refused(true, error, feed(&wire, server))
        })
    }
}

fn feed<S: rustls::SideData>(
    mut wire: &[u8],
    to: &mut rustls::ConnectionCommon<S>,
) -> Result<(), rustls::Error> {
    while !wire.is_empty() {
        to.read_tls(&mut wire).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

fn refused(by_client: bool, error: rustls::Error, heard: Result<(), rustls::Error>) -> Refused {
    Refused {
        by_client,
        error,
        alert: match heard {
            Err(rustls::Error::AlertReceived(alert)) => Some(alert),
            _ => None,
        },
    }
}
