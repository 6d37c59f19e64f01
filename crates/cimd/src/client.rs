//! A ready fetcher on tokio, hyper and rustls, and a directory of clients on top of it.

mod directory;

use std::{future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use http::HeaderMap;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use pki_types::{ServerName, UnixTime};
use special_purpose_ip::connect_any;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};

pub use self::directory::{Directory, Onboarding};
use crate::{
    Answer, CachePolicy, ClientIdUrl, ClientMetadata, DocumentPolicy, Error, FetchPlan,
    FetchPolicy, Freshness, HttpsUrl, Logo,
};

/// Name resolution. One call per fetch; what it returns is checked and connected to.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, with `port`.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}

/// The answer of [`Resolve::resolve`] to come.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Fetches documents: one attempt, no redirect, no proxy, one connection per fetch, to an address that was checked.
///
/// The TLS configuration is the caller's: give it the WebPKI roots and no client certificate. Use [`fetch`](Self::fetch)
/// for documents and [`get`](Self::get) for URLs inside one. A [`Directory`] limits the rate, keeps what was fetched and
/// lets concurrent requests for one URL share a fetch.
#[derive(Clone)]
pub struct Fetcher {
    tls: TlsConnector,
    resolver: Arc<dyn Resolve>,
    fetch: FetchPolicy,
    document: DocumentPolicy,
    cache: CachePolicy,
    connect_timeout: Duration,
    total_timeout: Duration,
}

/// The headers of an answer and its body, if it is not 304.
type Exchanged = (HeaderMap, Option<Vec<u8>>);

/// A fetched document.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fetched {
    /// The document.
    pub metadata: ClientMetadata,
    /// How long it may be used.
    pub freshness: Freshness,
}

impl Fetcher {
    /// A fetcher with the default policies, the resolver of the system, and 2 s to resolve and connect, 5 s in all.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self {
            tls: TlsConnector::from(tls),
            resolver: Arc::new(SystemResolver),
            fetch: FetchPolicy::new(),
            document: DocumentPolicy::new(),
            cache: CachePolicy::new(),
            connect_timeout: Duration::from_secs(2),
            total_timeout: Duration::from_secs(5),
        }
    }

    /// Sets the resolver.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sets where documents may come from.
    #[must_use]
    pub fn fetch_policy(mut self, policy: FetchPolicy) -> Self {
        self.fetch = policy;
        self
    }

    /// Sets what a document has to satisfy.
    #[must_use]
    pub fn document_policy(mut self, policy: DocumentPolicy) -> Self {
        self.document = policy;
        self
    }

    /// Sets the bounds on freshness.
    #[must_use]
    pub fn cache_policy(mut self, policy: CachePolicy) -> Self {
        self.cache = policy;
        self
    }

    /// Sets the time to resolve and connect ([`Error::ConnectTimeout`]), and the time for the whole fetch
    /// ([`Error::Timeout`]).
    #[must_use]
    pub fn timeouts(mut self, connect: Duration, total: Duration) -> Self {
        self.connect_timeout = connect;
        self.total_timeout = total;
        self
    }

    /// Fetches and checks the document of a client.
    ///
    /// # Errors
    ///
    /// Every [`Error`] of the fetch and of the document. Answer all of them alike, see [`Error::oauth_description`].
    pub async fn fetch(&self, url: &ClientIdUrl, now: UnixTime) -> Result<Fetched, Error> {
        let (headers, body) = self.get(url.as_url()).await?;
        let metadata = ClientMetadata::parse(url, &body, &self.document)?;
        Ok(Fetched {
            metadata,
            freshness: self.cache.freshness(&headers, now),
        })
    }

    /// Asks whether a document that was known changed, with its validators; `None`: it did not, and is fresh again.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch). After an error do not use the known document.
    pub async fn fetch_again(
        &self,
        url: &ClientIdUrl,
        known: &Freshness,
        now: UnixTime,
    ) -> Result<(Option<ClientMetadata>, Freshness), Error> {
        let plan = FetchPlan::new(url.as_url(), &self.fetch)?;
        let (headers, body) = self.within_time(&plan, Some(known)).await?;
        let Some(body) = body else {
            return Ok((None, self.cache.renewed(known, &headers, now)));
        };
        let metadata = ClientMetadata::parse(url, &body, &self.document)?;
        Ok((Some(metadata), self.cache.freshness(&headers, now)))
    }

    /// Fetches the logo of a client, if it has one.
    ///
    /// # Errors
    ///
    /// Every [`Error`] of the fetch, and [`Error::Logo`]. None of them is a reason to refuse the client.
    pub async fn logo(&self, client: &ClientMetadata) -> Result<Option<Logo>, Error> {
        let Some(url) = client.logo_uri() else {
            return Ok(None);
        };
        let plan = FetchPlan::for_logo(url, &self.fetch)?;
        let (_, body) = self.within_time(&plan, None).await?;
        Logo::from_bytes(body.unwrap_or_default()).map(Some)
    }

    /// Fetches JSON from a URL inside a document, such as `jwks_uri`, under the same guard.
    ///
    /// # Errors
    ///
    /// Every [`Error`] of the fetch.
    pub async fn get(&self, url: &HttpsUrl) -> Result<(HeaderMap, Vec<u8>), Error> {
        let plan = FetchPlan::new(url, &self.fetch)?;
        let (headers, body) = self.within_time(&plan, None).await?;
        Ok((headers, body.unwrap_or_default()))
    }

    async fn within_time(
        &self,
        plan: &FetchPlan<'_>,
        known: Option<&Freshness>,
    ) -> Result<Exchanged, Error> {
        timeout(self.total_timeout, self.exchange(plan, known))
            .await
            .map_err(|_| Error::Timeout)?
    }

    async fn exchange(
        &self,
        plan: &FetchPlan<'_>,
        known: Option<&Freshness>,
    ) -> Result<Exchanged, Error> {
        let stream = timeout(self.connect_timeout, self.connect(plan))
            .await
            .map_err(|_| Error::ConnectTimeout)??;
        let name = ServerName::try_from(plan.host().to_owned()).map_err(|_| Error::Tls)?;
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(|_| Error::Tls)?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_headers(64)
            .max_buf_size(16 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Error::Http)?;
        let request = match known {
            None => plan.request()?,
            Some(known) => plan.request_again(known)?,
        };
        let request = request.map(|()| Empty::<&[u8]>::new());
        let exchange = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|_| Error::Http)?;
            let (head, mut body) = response.into_parts();
            let answer = match known {
                None => Answer::Body(plan.accept(head.status, &head.headers)?),
                Some(known) => plan.accept_again(known, head.status, &head.headers)?,
            };
            let mut reader = match answer {
                Answer::NotModified => return Ok((head.headers, None)),
                Answer::Body(reader) => reader,
            };
            while let Some(frame) = body.frame().await {
                if let Some(chunk) = frame.map_err(|_| Error::Http)?.data_ref() {
                    reader.push(chunk)?;
                }
            }
            Ok((head.headers, Some(reader.finish())))
        };
        // The connection is driven here and dropped with the exchange: nothing keeps reading after a refusal.
        let mut exchange = std::pin::pin!(exchange);
        let connection = std::pin::pin!(connection);
        tokio::select! {
            biased;
            outcome = &mut exchange => outcome,
            _closed = connection => exchange.await,
        }
    }

    /// Resolves once, checks every address, and connects to one of those very addresses.
    async fn connect(&self, plan: &FetchPlan<'_>) -> Result<TcpStream, Error> {
        let addresses = self
            .resolver
            .resolve(plan.host(), plan.port())
            .await
            .map_err(|_| Error::Resolve)?;
        plan.check_addresses(&addresses)?;
        // The resolver chooses addresses, the URL chooses the port.
        let addresses = addresses.iter().map(|address| (address.ip(), plan.port()));
        let addresses: Vec<SocketAddr> = addresses.map(SocketAddr::from).collect();
        connect_any(&addresses).await.ok_or(Error::Connect)
    }
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher")
            .field("fetch", &self.fetch)
            .finish_non_exhaustive()
    }
}
