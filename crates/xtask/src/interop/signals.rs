//! Shared signals over TLS on loopback: a receiver in Python drives our transmitter, and our receiver a transmitter in Python.

mod receiver;
mod talk;
mod transmitter;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use axum::Router;
use pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use ssf_stream::address::AddressPolicy;
use ssf_stream::client::Client;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Context;
use super::report::{Direction, Report};

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    let Some((python, scripts)) = &context.python_signals else {
        return Ok(());
    };
    let scene = Scene::new(context.work.join("signals"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let peer = "Python, receiver";
    report.exchange("signals", peer, Direction::Ours, |tally| {
        let talk = talk::Talk::start(python, &scripts.join("client.py"))?;
        transmitter::driven(&scene, &runtime, talk, tally)
    });
    let peer = "Python, transmitter";
    report.exchange("signals", peer, Direction::Theirs, |tally| {
        let talk = talk::Talk::start(python, &scripts.join("transmitter.py"))?;
        runtime.block_on(receiver::drives(&scene, talk, tally))
    });
    Ok(())
}

/// One certificate authority, and one certificate for everybody on loopback.
struct Scene {
    folder: PathBuf,
    acceptor: TlsAcceptor,
    client: Arc<ClientConfig>,
}

impl Scene {
    fn new(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        let name = rcgen::DnType::CommonName;
        params.distinguished_name.push(name, "Interop CA");
        let ca = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate()?)?;
        let key = rcgen::KeyPair::generate()?;
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        let leaf = params.signed_by(&key, &ca)?;
        fs::write(folder.join("ca.pem"), ca.pem())?;
        fs::write(folder.join("leaf.pem"), leaf.pem())?;
        fs::write(folder.join("leaf.key"), key.serialize_pem())?;

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| anyhow::anyhow!("the key: {error}"))?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone())?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            folder,
            acceptor: TlsAcceptor::from(Arc::new(server)),
            client: Arc::new(client),
        })
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn addresses() -> AddressPolicy {
        AddressPolicy::public().with_allowed(LOOPBACK.into())
    }

    fn client(&self) -> Client {
        Client::new(Arc::clone(&self.client)).with_addresses(Self::addresses())
    }

    fn serve(&self, listener: TcpListener, router: Router) {
        let listener = TlsListener(listener, self.acceptor.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
}

async fn listen() -> Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(SocketAddr::from((LOOPBACK, 0))).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

fn clock() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}

struct TlsListener(TcpListener, TlsAcceptor);

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, peer)) = self.0.accept().await {
                if let Ok(stream) = self.1.accept(stream).await {
                    return (stream, peer);
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// The one string member of an answer.
fn text<'v>(value: &'v serde_json::Value, member: &str) -> Result<&'v str> {
    let found = value.get(member).and_then(serde_json::Value::as_str);
    found.with_context(|| format!("the peer's answer has no text `{member}`"))
}
