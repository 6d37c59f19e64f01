//! HTTP over TLS: the thin edge around rooms that only know requests, responses and a time.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Request, Response, StatusCode, Uri, header, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Longest request or response body in bytes.
pub const MAX_BODY: usize = 256 * 1024;
const MAX_CONNECTIONS: usize = 256;
const TIMEOUT: Duration = Duration::from_secs(10);

/// The time, read in this one place.
#[must_use]
pub fn now() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}

/// What a server answers.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Response<Vec<u8>>> + Send + 'a>>;

/// Answers requests. `peer` is the certificate chain of mutual TLS, leaf first, as the TLS layer
/// verified it; it is empty when the caller showed none.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle<'a>(
        &'a self,
        parts: Parts,
        body: Vec<u8>,
        peer: Vec<CertificateDer<'static>>,
    ) -> Answer<'a>;
}

/// Where a request comes from, among its extensions: a place to count requests by, and no identity.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

impl PeerAddress {
    /// The address as text; empty where it is not known.
    #[must_use]
    pub fn of(parts: &Parts) -> String {
        let from = parts.extensions.get::<Self>();
        from.map(|from| from.0.to_string()).unwrap_or_default()
    }
}

/// A response with a JSON body.
#[must_use]
pub fn json(status: StatusCode, body: &serde_json::Value) -> Response<Vec<u8>> {
    let mut response = Response::new(body.to_string().into_bytes());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// A response without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves on a listener that is already bound.
    ///
    /// # Errors
    ///
    /// When the listener has no address.
    pub fn start(
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        handler: Arc<dyn Handler>,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(tls);
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let task = tokio::spawn(async move {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                let Ok((stream, from)) = listener.accept().await else {
                    // Out of descriptors, most likely: let connections end first.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                // Answers are small: waiting to fill a segment only adds delay.
                let _ = stream.set_nodelay(true);
                let (acceptor, handler) = (acceptor.clone(), Arc::clone(&handler));
                tokio::spawn(async move {
                    connection(stream, PeerAddress(from.ip()), acceptor, handler).await;
                    drop(place);
                });
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one connection. A peer that breaks TLS or HTTP loses its connection, and nothing else.
async fn connection(
    stream: TcpStream,
    from: PeerAddress,
    acceptor: TlsAcceptor,
    handler: Arc<dyn Handler>,
) {
    let Ok(Ok(stream)) = tokio::time::timeout(TIMEOUT, acceptor.accept(stream)).await else {
        return;
    };
    let peer: Vec<CertificateDer<'static>> = stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|c| c.clone().into_owned())
        .collect();
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, peer) = (Arc::clone(&handler), peer.clone());
        async move {
            let (mut parts, body) = request.into_parts();
            parts.extensions.insert(from);
            let body = tokio::time::timeout(TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
            let response = match body {
                Ok(Ok(body)) => handler.handle(parts, body.to_bytes().into(), peer).await,
                Ok(Err(_)) => empty(StatusCode::PAYLOAD_TOO_LARGE),
                Err(_) => empty(StatusCode::REQUEST_TIMEOUT),
            };
            Ok::<_, std::convert::Infallible>(response.map(|body| Full::new(Bytes::from(body))))
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    drop(served);
}

/// Where host names lead. A deployment has DNS; the demo has this.
#[derive(Debug, Default)]
pub struct Hosts(Mutex<HashMap<String, SocketAddr>>);

impl Hosts {
    /// Leads a name to an address.
    pub fn insert(&self, name: &str, address: SocketAddr) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), address);
    }

    /// The address of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<SocketAddr> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .copied()
    }
}

/// For the clients of other rooms, which check the address before they connect.
impl ssf_stream::client::Resolve for Hosts {
    fn resolve<'a>(&'a self, host: &'a str, _: u16) -> ssf_stream::client::Resolving<'a> {
        let address = self.get(host);
        let result = address.ok_or_else(|| std::io::Error::other("no such name"));
        Box::pin(core::future::ready(result.map(|address| vec![address])))
    }
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The URI has no https scheme or no host.
    #[error("the request needs an absolute https URI")]
    Uri,
    /// The host is not known.
    #[error("host {0} is not known")]
    UnknownHost(String),
    /// The connection failed.
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    /// The TLS handshake failed: the error of the verifier is inside.
    #[error("TLS failed: {0}")]
    Tls(std::io::Error),
    /// HTTP failed, or the peer closed the connection.
    #[error("HTTP failed: {0}")]
    Http(#[from] hyper::Error),
    /// The response is too large or broken.
    #[error("the response body is larger than {MAX_BODY} bytes, or broken")]
    Body,
    /// It took too long.
    #[error("no response within {} seconds", TIMEOUT.as_secs())]
    Timeout,
}

/// A client with one identity: that of its TLS configuration.
#[derive(Clone, Debug)]
pub struct Client {
    tls: Arc<ClientConfig>,
    hosts: Arc<Hosts>,
}

impl Client {
    /// A client.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>, hosts: Arc<Hosts>) -> Self {
        Self { tls, hosts }
    }

    /// Sends one request over a connection of its own, and follows no redirect.
    ///
    /// # Errors
    ///
    /// [`NetError`].
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, NetError> {
        tokio::time::timeout(TIMEOUT, self.exchange(request))
            .await
            .map_err(|_| NetError::Timeout)?
    }

    async fn exchange(&self, mut request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, NetError> {
        let uri = request.uri().clone();
        let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(NetError::Uri);
        };
        let host = authority.host();
        let address = self
            .hosts
            .get(host)
            .ok_or_else(|| NetError::UnknownHost(host.to_owned()))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| NetError::Uri)?;
        let stream = TcpStream::connect(address)
            .await
            .map_err(NetError::Connect)?;
        stream.set_nodelay(true).map_err(NetError::Connect)?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        let stream = tls.connect(name, stream).await.map_err(NetError::Tls)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let value = HeaderValue::from_str(authority.as_str()).map_err(|_| NetError::Uri)?;
        request.headers_mut().insert(header::HOST, value);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>().map_err(|_| NetError::Uri)?;
        let response = sender
            .send_request(request.map(|body| Full::new(Bytes::from(body))))
            .await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY)
            .collect()
            .await
            .map_err(|_| NetError::Body)?
            .to_bytes();
        connection.abort();
        Ok(Response::from_parts(parts, body.into()))
    }
}
