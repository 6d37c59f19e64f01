//! TLS on loopback: who listens, who connects, and where.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::middleware::from_fn_with_state;
use ssf_stream::address::AddressPolicy;
use ssf_stream::client::{Client, Resolve, Resolving};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring::default_provider};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::faults::{Faults, inject};
use crate::plan::Plan;

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

fn tls_provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((LOOPBACK, port))
}

pub(crate) fn addresses() -> AddressPolicy {
    AddressPolicy::public().with_allowed(LOOPBACK.into())
}

/// Every name is this machine: at the port of the URL, or at one for all.
pub(crate) struct Loopback(pub(crate) Option<u16>);

impl Resolve for Loopback {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Resolving<'a> {
        let found = vec![loopback(self.0.unwrap_or(port))];
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// A client that trusts the run's certificate, with the time that an answer may take.
pub(crate) fn client(plan: &Plan, to: Loopback, total: Duration) -> Result<Client> {
    let mut roots = RootCertStore::empty();
    roots.add(plan.certificate())?;
    let tls = ClientConfig::builder_with_provider(tls_provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::new(Arc::new(tls))
        .with_addresses(addresses())
        .with_resolver(Arc::new(to))
        .with_timeouts(Duration::from_secs(1), total))
}

/// Serves at a port, with faults.
pub(crate) async fn serve(plan: &Plan, port: u16, router: Router, faults: Faults) -> Result<()> {
    let router = router.layer(from_fn_with_state(Arc::new(faults), inject));
    let tls = ServerConfig::builder_with_provider(tls_provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![plan.certificate()], plan.key())?;
    let listener = TcpListener::bind(loopback(port)).await?;
    let listener = Listener(listener, TlsAcceptor::from(Arc::new(tls)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

/// TLS handshakes one after the other: there are few who connect.
struct Listener(TcpListener, TlsAcceptor);

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, peer)) = self.0.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let handshake = tokio::time::timeout(Duration::from_secs(2), self.1.accept(stream));
            if let Ok(Ok(stream)) = handshake.await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}
