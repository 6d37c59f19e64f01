//! A ready HTTPS client for the requests of this crate: to addresses that the policy allows, with no redirects, no proxy, and bounds on
//! time and size. Connections are kept for the next request to the same server.

mod deliver;
mod pool;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::Full;
use pki_types::{CertificateDer, ServerName};
use special_purpose_ip::connect_any;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use self::pool::{Connection, Failed, Pool};
use crate::address::AddressPolicy;
use crate::error::Error;

pub use deliver::{Pusher, ensure_stream};

/// The largest response, in bytes.
const MAX_RESPONSE: usize = 1024 * 1024;

/// Name resolution. One call a connection; what it returns is checked and connected to.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, with `port`, or with the one at which this resolver knows that it listens.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

/// The answer of [`Resolve::resolve`] to come.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Whether a certificate of the server's chain, the leaf first, is revoked.
pub type Revoked = dyn Fn(&[CertificateDer<'_>]) -> bool + Send + Sync;

/// Sends requests over TLS.
///
/// The TLS configuration is the caller's: roots, revocation checks, and a client certificate for mutual TLS. TLS 1.2 is the oldest
/// version there is. The certificate is verified for the host of the URL, and nothing is sent before.
///
/// A connection serves one request at a time and is kept after a whole response: for 30 seconds, for five minutes in all, and at most 256
/// at once. Clones share them. Revocation is asked about before every request, new connection or not.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    resolver: Arc<dyn Resolve>,
    addresses: AddressPolicy,
    revoked: Option<Arc<Revoked>>,
    connect: Duration,
    total: Duration,
    pool: Arc<Pool>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that connects to public addresses, with 5 seconds to connect and 15 in all.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self {
            tls: TlsConnector::from(tls),
            resolver: Arc::new(SystemResolver),
            addresses: AddressPolicy::public(),
            revoked: None,
            connect: Duration::from_secs(5),
            total: Duration::from_secs(15),
            pool: Arc::default(),
        }
    }

    /// Sets where it may connect to.
    #[must_use]
    pub fn with_addresses(mut self, addresses: AddressPolicy) -> Self {
        self.addresses = addresses;
        // Connections of a clone may lead where this one must not.
        self.pool = Arc::default();
        self
    }

    /// Sets the resolver.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self.pool = Arc::default();
        self
    }

    /// Asks about each chain that was verified, whether it was revoked since. Nothing is sent to a server with such a chain. What
    /// cannot be told counts as not revoked, or as revoked: that is the function's decision.
    #[must_use]
    pub fn with_revoked(mut self, revoked: Arc<Revoked>) -> Self {
        self.revoked = Some(revoked);
        self
    }

    /// Sets the time to connect, and the time in all: for long polls, more than the transmitter waits.
    #[must_use]
    pub fn with_timeouts(mut self, connect: Duration, total: Duration) -> Self {
        self.connect = connect;
        self.total = total;
        self
    }

    /// Sends a request of this crate, and reads the response.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`], [`Error::AddressRefused`], [`Error::ResponseTooLarge`]. A status is no error, and a redirect is
    /// not followed.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        timeout(self.total, self.exchange(request))
            .await
            .unwrap_or(Err(unreachable("it took too long")))
    }

    async fn exchange(&self, mut request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        let uri = request.uri().clone();
        let (Some(host), Some("https")) = (uri.host(), uri.scheme_str()) else {
            return Err(Error::Endpoint {
                what: "the endpoint",
            });
        };
        let bare = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(443);
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let host = HeaderValue::try_from(authority.unwrap_or_default());
        let host = host.map_err(|_| unreachable("the host has no valid name"))?;
        request.headers_mut().insert(HOST, host);
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        *request.uri_mut() = target.parse().map_err(|_| unreachable("HTTP failed"))?;
        let mut request = request.map(|body| Full::new(hyper::body::Bytes::from(body)));
        let server = format!("{bare}:{port}");
        loop {
            let waiting = self.pool.take(&server);
            let kept = waiting.is_some();
            let mut connection = match waiting {
                Some(connection) => connection,
                None => self.connect(&bare, port).await?,
            };
            let revoked = self.revoked.as_ref();
            if revoked.is_some_and(|revoked| revoked(connection.chain())) {
                return Err(unreachable("the certificate is revoked"));
            }
            if !connection.is_ready().await {
                if kept {
                    continue;
                }
                return Err(unreachable("HTTP failed"));
            }
            match connection.exchange(request).await {
                Ok(response) => {
                    self.pool.put(server, connection);
                    return Ok(response);
                }
                // The server closed a connection that had waited. Nothing was sent, so nothing is done twice.
                Err(Failed::NotSent(unsent)) if kept => request = *unsent,
                Err(Failed::NotSent(_)) => return Err(unreachable("HTTP failed")),
                Err(Failed::Broken(error)) => return Err(error),
            }
        }
    }

    async fn connect(&self, host: &str, port: u16) -> Result<Connection, Error> {
        let stream = timeout(self.connect, self.open(host, port))
            .await
            .unwrap_or(Err(unreachable("connecting took too long")))?;
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| unreachable("the host has no valid name"))?;
        let stream = self.tls.connect(name, stream).await;
        Connection::open(stream.map_err(|_| unreachable("TLS failed"))?).await
    }

    /// Resolves once, checks every address, and connects to one of those very addresses.
    async fn open(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let addresses = self.resolver.resolve(host, port).await;
        let addresses = addresses.map_err(|_| unreachable("the name does not resolve"))?;
        if !addresses.iter().all(|one| self.addresses.allows(one.ip())) {
            return Err(Error::AddressRefused);
        }
        let stream = connect_any(&addresses).await;
        stream.ok_or(unreachable("no address answers"))
    }
}

const fn unreachable(problem: &'static str) -> Error {
    Error::Unreachable { problem }
}
