//! A ready poller on tokio, hyper and rustls.
//!
//! [`Client`] does one fetch, [`Poller`] keeps a [`Federation`] up to date: it asks the endpoints that are due, stores
//! what they say, and then puts it in force.
//!
//! TLS is the caller's. For `https_web` it is a `ClientConfig` with the roots of public CAs. For `https_spiffe` it is
//! one that accepts an X509-SVID with exactly the endpoint's SPIFFE ID, verified against
//! [`Federation::endpoint_bundles`] ([`SpiffeTls`]); crate `svid-rustls` has the verifier for it. Neither may have a client certificate, and neither
//! should resume sessions, which would outlive a rotation.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use jose_x509::CryptoProvider;
use pki_types::{ServerName, UnixTime};
use special_purpose_ip::{connect_any, is_special_purpose, nat64};
use spiffe_id::{SpiffeId, TrustDomain};
use tokio::net::TcpStream;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use url::{Host, Url};

use super::attempt::Attempt;
use super::event::{Event, EventKind};
use super::fetch::{FetchPlan, FetchStep, REQUEST_TIMEOUT, ServerIdentity};
use super::state::Federation;
use super::store::{BundleStore, StoreError};
use crate::error::{Error, ExchangeStep};
use crate::{Bundle, MAX_DOCUMENT_SIZE};

/// How long to resolve a name and to connect.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes the TLS configuration for an endpoint of profile `https_spiffe`.
///
/// With crate `svid-rustls`, for `bundles` from [`Federation::endpoint_bundles`]:
///
/// ```text
/// move |endpoint: &SpiffeId| {
///     let verifier = SvidVerifier::new(&provider, bundles.clone(), endpoint.clone());
///     // A `ClientConfig` with this verifier, without a client certificate and without resumption.
/// }
/// ```
pub trait SpiffeTls: Send + Sync {
    /// One that accepts a server with an X509-SVID for exactly `endpoint`, and no other.
    fn client_config(&self, endpoint: &SpiffeId) -> Arc<ClientConfig>;
}

impl<F: Fn(&SpiffeId) -> Arc<ClientConfig> + Send + Sync> SpiffeTls for F {
    fn client_config(&self, endpoint: &SpiffeId) -> Arc<ClientConfig> {
        self(endpoint)
    }
}

/// Name resolution.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, with `port`.
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

/// Fetches bundles: one connection a request, no proxy, no cookies, no credentials, no content coding.
#[derive(Clone)]
pub struct Client {
    web: Option<TlsConnector>,
    spiffe: Option<Arc<dyn SpiffeTls>>,
    resolver: Arc<dyn Resolve>,
    public_only: bool,
    timeout: Duration,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client for neither profile yet, with the resolver of the system and [`REQUEST_TIMEOUT`] for a whole fetch.
    #[must_use]
    pub fn new() -> Self {
        Self {
            web: None,
            spiffe: None,
            resolver: Arc::new(SystemResolver),
            public_only: false,
            timeout: REQUEST_TIMEOUT,
        }
    }

    /// Sets the TLS configuration for `https_web`.
    ///
    /// # Errors
    ///
    /// [`Error::ClientCertificate`] for one that has a client certificate.
    pub fn with_web(mut self, tls: Arc<ClientConfig>) -> Result<Self, Error> {
        self.web = Some(anonymous(tls)?);
        Ok(self)
    }

    /// Sets what makes the TLS configurations for `https_spiffe`.
    #[must_use]
    pub fn with_spiffe(mut self, tls: impl SpiffeTls + 'static) -> Self {
        self.spiffe = Some(Arc::new(tls));
        self
    }

    /// Sets the resolver.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sets the time for a whole fetch, redirects included.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects to public addresses alone, after redirects too: nothing inside the own network, no loopback, no metadata
    /// service. TLS protects the bundle either way; this keeps an endpoint from sending requests to other hosts.
    #[must_use]
    pub const fn public_addresses_only(mut self) -> Self {
        self.public_only = true;
        self
    }

    /// Fetches a bundle, following redirects. It tells how far it came in any case.
    pub async fn fetch(
        &self,
        provider: &CryptoProvider,
        plan: FetchPlan,
    ) -> (Attempt, Result<Bundle, Error>) {
        // Of the last request that was begun, also when the time is over in the midst of it.
        let reached = Mutex::new(plan.attempt());
        let result = timeout(self.timeout, self.follow(provider, plan, &reached)).await;
        let attempt = reached.into_inner().unwrap_or_else(PoisonError::into_inner);
        let timed_out = Err(failed(ExchangeStep::Timeout));
        (attempt, result.unwrap_or(timed_out))
    }

    async fn follow(
        &self,
        provider: &CryptoProvider,
        mut plan: FetchPlan,
        reached: &Mutex<Attempt>,
    ) -> Result<Bundle, Error> {
        loop {
            *reached.lock().unwrap_or_else(PoisonError::into_inner) = plan.attempt();
            let (status, headers, body) = self.exchange(&plan).await?;
            match plan.response(provider, status, &headers, &body)? {
                FetchStep::Fetched(bundle) => return Ok(*bundle),
                FetchStep::Redirect(next) => plan = next,
            }
        }
    }

    async fn exchange(&self, plan: &FetchPlan) -> Result<(StatusCode, HeaderMap, Bytes), Error> {
        let tls = self.tls(plan)?;
        let stream = timeout(CONNECT_TIMEOUT, self.connect(plan.url()))
            .await
            .map_err(|_| failed(ExchangeStep::Timeout))??;
        let stream = tls
            .connect(server_name(plan.url())?, stream)
            .await
            .map_err(|_| failed(ExchangeStep::Tls))?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_headers(64)
            .max_buf_size(16 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| failed(ExchangeStep::Http))?;
        let exchange = async {
            let response = sender
                .send_request(request(plan)?)
                .await
                .map_err(|_| failed(ExchangeStep::Http))?;
            let (head, body) = response.into_parts();
            // Nobody reads the body of anything but a bundle.
            let limit = match head.status {
                StatusCode::OK => MAX_DOCUMENT_SIZE,
                _ => return Ok((head.status, head.headers, Bytes::new())),
            };
            let body = Limited::new(body, limit).collect().await;
            let body = body.map_err(|error| match error.is::<LengthLimitError>() {
                true => Error::ResponseTooLarge { limit },
                false => failed(ExchangeStep::Http),
            })?;
            Ok((head.status, head.headers, body.to_bytes()))
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

    fn tls(&self, plan: &FetchPlan) -> Result<TlsConnector, Error> {
        let profile = plan.relationship().profile().name();
        let missing = Error::ProfileNotConfigured { profile };
        match plan.server() {
            ServerIdentity::Host(_) => self.web.clone().ok_or(missing),
            ServerIdentity::SpiffeId(endpoint) => {
                let tls = self.spiffe.as_ref().ok_or(missing)?;
                anonymous(tls.client_config(endpoint))
            }
        }
    }

    /// Resolves once, checks every address, and connects to one of those very addresses.
    async fn connect(&self, url: &Url) -> Result<TcpStream, Error> {
        let port = url.port_or_known_default().unwrap_or(443);
        let addresses: Vec<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            Some(Host::Domain(host)) => {
                let found = self.resolver.resolve(host, port).await;
                let found = found.map_err(|_| failed(ExchangeStep::Resolve))?;
                found.iter().map(SocketAddr::ip).collect()
            }
            None => Vec::new(),
        };
        if addresses.is_empty() {
            return Err(failed(ExchangeStep::Resolve));
        }
        if self.public_only && !addresses.iter().copied().all(is_public) {
            return Err(Error::AddressRefused);
        }
        let addresses = addresses.into_iter().map(|address| (address, port).into());
        let addresses: Vec<SocketAddr> = addresses.collect();
        connect_any(&addresses)
            .await
            .ok_or(failed(ExchangeStep::Connect))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("web", &self.web.is_some())
            .field("spiffe", &self.spiffe.is_some())
            .field("public_only", &self.public_only)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

const fn failed(step: ExchangeStep) -> Error {
    Error::Exchange { step }
}

/// A bundle endpoint is asked by nobody in particular.
fn anonymous(tls: Arc<ClientConfig>) -> Result<TlsConnector, Error> {
    if tls.client_auth_cert_resolver.has_certs() {
        return Err(Error::ClientCertificate);
    }
    Ok(TlsConnector::from(tls))
}

fn server_name(url: &Url) -> Result<ServerName<'static>, Error> {
    let name = match url.host() {
        Some(Host::Ipv4(address)) => Some(ServerName::from(IpAddr::from(address))),
        Some(Host::Ipv6(address)) => Some(ServerName::from(IpAddr::from(address))),
        Some(Host::Domain(host)) => ServerName::try_from(host.to_owned()).ok(),
        None => None,
    };
    name.ok_or(failed(ExchangeStep::Tls))
}

/// The request in the form that a server is sent: the path, and the host in its field.
fn request(plan: &FetchPlan) -> Result<http::Request<Empty<Bytes>>, Error> {
    let malformed = Error::EndpointUrl {
        problem: crate::UrlProblem::Malformed,
    };
    let (mut head, ()) = plan.request()?.into_parts();
    let authority = head.uri.authority().ok_or(malformed.clone())?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| malformed.clone())?;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let path = path.parse().map_err(|_| malformed)?;
    head.uri = path;
    head.headers.insert(HOST, host);
    Ok(http::Request::from_parts(head, Empty::new()))
}

/// Keeps a federation up to date.
///
/// `clock` gives the time, and `random` any uniform numbers for the jitter.
pub struct Poller<S, C, R> {
    federation: Mutex<Federation>,
    client: Client,
    store: S,
    /// Held by whoever changes what is stored together with what is in force.
    storing: tokio::sync::Mutex<()>,
    clock: C,
    random: R,
}

impl<S, C, R> Poller<S, C, R>
where
    S: BundleStore,
    C: Fn() -> UnixTime,
    R: Fn() -> u64,
{
    /// A poller of `federation`.
    pub fn new(federation: Federation, client: Client, store: S, clock: C, random: R) -> Self {
        Self {
            federation: Mutex::new(federation),
            client,
            store,
            storing: tokio::sync::Mutex::default(),
            clock,
            random,
        }
    }

    /// The federation, to establish relationships and to see how they fare. Give it back before the next `await`. What the
    /// store has to know is for [`terminate`](Self::terminate) and [`set_bundle`](Self::set_bundle).
    pub fn federation(&self) -> MutexGuard<'_, Federation> {
        // Its methods leave nothing half done that a later poll would not mend.
        self.federation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the stored bundle of a trust domain in force, as old as it is: at start, before the relationship is
    /// established, so that its bootstrap bundle does not take the place of a newer one. Whether it is in force is
    /// returned: there may be none, or one that is too old ([`Federation::restore`]).
    ///
    /// # Errors
    ///
    /// [`StoreError`], also for a document that is no bundle.
    pub async fn restore(&self, trust_domain: &TrustDomain) -> Result<bool, StoreError> {
        let stored = self.store.load(trust_domain.as_trust_domain_ref()).await?;
        let Some(stored) = stored else {
            return Ok(false);
        };
        let document = stored.document.as_bytes();
        let mut federation = self.federation();
        let bundle = Bundle::parse(federation.provider(), trust_domain.clone(), document);
        let now = (self.clock)();
        let restored = bundle.and_then(|bundle| federation.restore(bundle, stored.fetched, now));
        restored.map_err(StoreError::new)
    }

    /// Ends a relationship, in force and in the store.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: of the store, after the bundle is out of force; or without a relationship.
    pub async fn terminate(&self, trust_domain: &TrustDomain) -> Result<Event, StoreError> {
        let _turn = self.storing.lock().await;
        let ended = self.federation().terminate(trust_domain, (self.clock)());
        let event = ended.map_err(StoreError::new)?;
        self.store
            .remove(trust_domain.as_trust_domain_ref())
            .await?;
        Ok(event)
    }

    /// Puts a bundle in force that the operator got by other means, and stores it: see [`Federation::set_bundle`].
    ///
    /// # Errors
    ///
    /// [`StoreError`]: of the store, after the bundle is in force; or without a relationship.
    pub async fn set_bundle(&self, bundle: Bundle) -> Result<Event, StoreError> {
        let _turn = self.storing.lock().await;
        let now = (self.clock)();
        let set = self.federation().set_bundle(bundle.clone(), now);
        let event = set.map_err(StoreError::new)?;
        self.store.store(&bundle, now).await?;
        Ok(event)
    }

    /// Asks the endpoints that are due, all at once, and gives what happened. A bundle is stored before it is put in
    /// force; when the store fails, it is put in force all the same, and `failed_store` is told.
    pub async fn poll(&self, mut failed_store: impl FnMut(&TrustDomain, StoreError)) -> Vec<Event> {
        let mut fetches = JoinSet::new();
        let mut events = self.begin(&mut fetches);
        while let Some(fetched) = fetches.join_next().await {
            events.extend(self.finish(fetched, &mut failed_store).await);
        }
        let now = (self.clock)();
        events.extend(self.federation().expire(now));
        events
    }

    /// Begins the fetches that are due.
    fn begin(&self, fetches: &mut JoinSet<Fetched>) -> Vec<Event> {
        let now = (self.clock)();
        let mut federation = self.federation();
        let provider = *federation.provider();
        let mut events = Vec::new();
        for trust_domain in federation.due(now) {
            match federation.begin(&trust_domain, now) {
                Ok(plan) => {
                    let client = self.client.clone();
                    fetches.spawn(async move { client.fetch(&provider, plan).await });
                }
                Err(error) => events.extend(federation.not_begun(&trust_domain, error, now)),
            }
        }
        events.extend(federation.expire(now));
        events
    }

    async fn finish(
        &self,
        fetched: Result<Fetched, JoinError>,
        failed_store: &mut impl FnMut(&TrustDomain, StoreError),
    ) -> Option<Event> {
        // Nothing cancels a fetch, and none panics; its endpoint would be due again after the interval.
        let (attempt, result) = fetched.ok()?;
        let _turn = self.storing.lock().await;
        let (now, random) = ((self.clock)(), (self.random)());
        let accepted = self.federation().accept(attempt, result, now, random);
        let Ok(bundle) = accepted.bundle().cloned() else {
            return Some(self.federation().distribute(accepted));
        };
        let trust_domain = bundle.trust_domain().to_trust_domain();
        let mut told = |stored: Result<(), StoreError>| {
            if let Err(error) = stored {
                failed_store(&trust_domain, error);
            }
        };
        told(self.store.store(&bundle, now).await);
        let event = self.federation().distribute(accepted);
        if let EventKind::Fetched { result: Err(_), .. } = &event.kind {
            // Something happened to the federation while the bundle was on its way to the store.
            let in_force = self.federation().in_force(&trust_domain);
            told(match in_force {
                Some((bundle, fetched)) => self.store.store(&bundle, fetched).await,
                None => self.store.remove((&trust_domain).into()).await,
            });
        }
        Some(event)
    }

    /// Polls until it is dropped, and hands every event to `event`.
    pub async fn run(
        &self,
        mut event: impl FnMut(Event),
        mut failed_store: impl FnMut(&TrustDomain, StoreError),
    ) {
        let mut fetches = JoinSet::new();
        loop {
            self.begin(&mut fetches).into_iter().for_each(&mut event);
            let next = self.federation().next_due();
            let now = (self.clock)();
            let wait = next.map_or(WAKE, |next| {
                Duration::from_secs(next.as_secs().saturating_sub(now.as_secs()))
            });
            // An endpoint that takes its time keeps nobody else waiting. Relationships may be established, and clocks be
            // set, in the meantime.
            tokio::select! {
                Some(fetched) = fetches.join_next() => {
                    let finished = self.finish(fetched, &mut failed_store).await;
                    finished.into_iter().for_each(&mut event);
                }
                () = sleep(wait.clamp(Duration::from_secs(1), WAKE)) => {}
            }
        }
    }
}

/// A fetch that is over.
type Fetched = (Attempt, Result<Bundle, Error>);

/// An address from NAT64 is what a network without IPv4 resolves a name to: the address inside counts.
fn is_public(address: IpAddr) -> bool {
    let inside = match address {
        IpAddr::V6(address) => nat64(address),
        IpAddr::V4(_) => None,
    };
    !is_special_purpose(inside.map_or(address, IpAddr::V4))
}

/// The longest sleep of [`Poller::run`].
const WAKE: Duration = Duration::from_secs(5);

impl<S, C, R> fmt::Debug for Poller<S, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("federation", &self.federation)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::is_public;

    /// Covers: SPIFFE-FEDERATION-A6
    #[test]
    fn nat64_is_as_public_as_what_is_inside() {
        let public = |text: &str| is_public(text.parse().unwrap());
        assert!(public("1.1.1.1") && public("64:ff9b::101:101") && public("2606:4700::1111"));
        for special in [
            "169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "::ffff:1.1.1.1",
            "fd00:ec2::254",
        ] {
            assert!(!public(special), "{special}");
        }
    }
}
