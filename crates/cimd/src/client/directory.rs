//! Clients by their identifier: registered, kept, or fetched.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pki_types::UnixTime;
use tokio::sync::OnceCell;

use super::Fetcher;
use crate::{
    Client, ClientIdUrl, ClientMetadata, DocumentCache, Error, FetchLimiter, HostPattern, Reaction,
    Trust, Unreachable, UnreachableHosts,
};

/// Which strangers become clients by the document at their URL.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Onboarding {
    /// Whoever has a valid document.
    #[default]
    Open,
    /// Those whose host is listed. For any other nothing is fetched.
    Listed(Vec<HostPattern>),
    /// Nobody: registered clients only.
    Off,
}

/// What to do when a document is not what it was, with the old one, the new one and the default reaction to the change.
type Watcher = dyn Fn(&ClientMetadata, &ClientMetadata, Reaction) + Send + Sync;

type Flight = Arc<OnceCell<Result<Client, Error>>>;

/// Finds clients: those that the operator registered, and those whose document can be fetched. Valid documents are kept
/// while they are fresh and asked for again when they are not. Concurrent requests for one client share one fetch, and a
/// [`FetchLimiter`] bounds how many there are.
///
/// Of failures those are kept that came before any response, for seconds, see [`UnreachableHosts`]: meanwhile nothing is
/// fetched from that host and port for anybody, and requests end with the same error. After any other failure the next
/// request fetches again.
///
/// ```no_run
/// # async fn example(tls: std::sync::Arc<tokio_rustls::rustls::ClientConfig>, now: pki_types::UnixTime) -> Result<(), cimd::Error> {
/// use cimd::client::{Directory, Fetcher};
///
/// let clients = Directory::new(Fetcher::new(tls)).on_change(|old, _, reaction| {
///     println!("{}: {reaction:?}", old.client_id().as_str());
/// });
/// let client = clients.client("https://app.example.com/client.json", "192.0.2.7", now).await?;
/// let consent = client.consent("https://app.example.com/callback", "en")?;
/// println!("{:?} at {:?} asks for access", consent.name, consent.host);
/// # Ok(()) }
/// ```
pub struct Directory {
    fetcher: Fetcher,
    cache: DocumentCache,
    unreachable: UnreachableHosts,
    limiter: Mutex<FetchLimiter>,
    flights: Mutex<HashMap<Arc<str>, Flight>>,
    max_flights: usize,
    registered: HashMap<Arc<str>, Option<Arc<ClientMetadata>>>,
    onboarding: Onboarding,
    listed: Vec<HostPattern>,
    watcher: Option<Box<Watcher>>,
}

impl Directory {
    /// A directory that begins empty and is open to whoever has a valid document: 1024 documents are kept, 256 fetches
    /// run at the same time, and the default [`FetchLimiter`] and [`UnreachableHosts`] hold.
    #[must_use]
    pub fn new(fetcher: Fetcher) -> Self {
        Self {
            fetcher,
            cache: DocumentCache::default(),
            unreachable: UnreachableHosts::default(),
            limiter: Mutex::default(),
            flights: Mutex::default(),
            max_flights: 256,
            registered: HashMap::new(),
            onboarding: Onboarding::Open,
            listed: Vec::new(),
            watcher: None,
        }
    }

    /// Sets how many documents are kept, and how many fetches run at the same time.
    #[must_use]
    pub fn capacity(mut self, documents: usize, fetches: usize) -> Self {
        self.cache = DocumentCache::new(documents);
        self.max_flights = fetches;
        self
    }

    /// Sets for how many hosts, and for how long, it is kept that they gave no response.
    #[must_use]
    pub fn unreachable_hosts(mut self, hosts: UnreachableHosts) -> Self {
        self.unreachable = hosts;
        self
    }

    /// Sets the limiter.
    #[must_use]
    pub fn limiter(mut self, limiter: FetchLimiter) -> Self {
        self.limiter = Mutex::new(limiter);
        self
    }

    /// Sets which strangers become clients.
    #[must_use]
    pub fn onboarding(mut self, onboarding: Onboarding) -> Self {
        self.onboarding = onboarding;
        self
    }

    /// Hosts that the operator vouches for: [`Trust::Listed`].
    #[must_use]
    pub fn vouched_hosts(mut self, hosts: impl IntoIterator<Item = HostPattern>) -> Self {
        self.listed = hosts.into_iter().collect();
        self
    }

    /// Registers a client, with or without a document. It may have any identifier, also one that begins with `https://`:
    /// nothing is ever fetched for it. To register one by its document, [`Fetcher::fetch`] that once.
    #[must_use]
    pub fn register(mut self, client_id: &str, metadata: Option<Arc<ClientMetadata>>) -> Self {
        self.registered.insert(client_id.into(), metadata);
        self
    }

    /// Calls `watcher` when a document comes back different from what was known of it, before anybody gets the new one:
    /// the place to revoke what was granted ([`Reaction::Revoke`]) or to forget consent ([`Reaction::AskAgain`]).
    #[must_use]
    pub fn on_change(
        mut self,
        watcher: impl Fn(&ClientMetadata, &ClientMetadata, Reaction) + Send + Sync + 'static,
    ) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// The client of a request. `requester` names who asks, for the limiter: the peer's address, for example.
    ///
    /// # Errors
    ///
    /// Every [`Error`] of the URL, the fetch and the document, [`Error::HostRefused`] for a host that is not listed, and
    /// [`Error::TooManyFetches`]. The request has to end with it: see [`Error::oauth_error`].
    pub async fn client(
        &self,
        client_id: &str,
        requester: &str,
        now: UnixTime,
    ) -> Result<Client, Error> {
        if let Some((client_id, metadata)) = self.registered.get_key_value(client_id) {
            return Ok(Client::Registered {
                client_id: Arc::clone(client_id),
                metadata: metadata.clone(),
            });
        }
        let url = ClientIdUrl::parse(client_id)?;
        let allowed = match &self.onboarding {
            Onboarding::Open => true,
            Onboarding::Listed(hosts) => hosts.iter().any(|host| host.matches(url.as_url())),
            Onboarding::Off => false,
        };
        if !allowed {
            return Err(Error::HostRefused);
        }
        if let Some(metadata) = self.cache.get(client_id, now) {
            return Ok(self.fetched(metadata));
        }
        if let Some(failure) = self.unreachable.get(url.as_url(), now) {
            return Err(failure.into());
        }
        let boarded = self.board(&url, requester, now)?;
        let outcome = boarded.flight.get_or_init(|| self.fetch(&url, now)).await;
        outcome.clone()
    }

    /// Forgets what was fetched for a client.
    pub fn forget(&self, client_id: &str) {
        self.cache.remove(client_id);
    }

    /// The fetch that is under way for this URL, or else a new one.
    fn board(
        &self,
        url: &ClientIdUrl,
        requester: &str,
        now: UnixTime,
    ) -> Result<Boarded<'_>, Error> {
        let mut flights = lock(&self.flights);
        let entry = flights.get_key_value(url.as_str());
        let (client_id, flight) = if let Some((client_id, flight)) = entry {
            (Arc::clone(client_id), Arc::clone(flight))
        } else {
            if flights.len() >= self.max_flights {
                let retry_after = Duration::from_secs(1);
                return Err(Error::TooManyFetches { retry_after });
            }
            lock(&self.limiter).admit(url.as_url().host(), requester, now)?;
            let (client_id, flight) = (Arc::from(url.as_str()), Flight::default());
            flights.insert(Arc::clone(&client_id), Arc::clone(&flight));
            (client_id, flight)
        };
        Ok(Boarded {
            flights: &self.flights,
            client_id,
            flight,
        })
    }

    async fn fetch(&self, url: &ClientIdUrl, now: UnixTime) -> Result<Client, Error> {
        let begun = Instant::now();
        let outcome = self.fetch_document(url, now).await;
        let failure = outcome.as_ref().err().and_then(Unreachable::from_error);
        if let Some(failure) = failure {
            // A fetch may take seconds, and `now` is when it was asked for.
            let seen = now.as_secs().saturating_add(begun.elapsed().as_secs());
            let seen = UnixTime::since_unix_epoch(Duration::from_secs(seen));
            self.unreachable.insert(url.as_url(), failure, seen);
        } else {
            // Errors too: after a response the next request has to fetch again, whatever another fetch ran into.
            self.unreachable.remove(url.as_url());
        }
        outcome
    }

    async fn fetch_document(&self, url: &ClientIdUrl, now: UnixTime) -> Result<Client, Error> {
        let Some(expired) = self.cache.expired(url.as_str(), now) else {
            let fetched = self.fetcher.fetch(url, now).await?;
            let metadata = Arc::new(fetched.metadata);
            self.cache.insert(Arc::clone(&metadata), fetched.freshness);
            return Ok(self.fetched(metadata));
        };
        let known = expired.freshness().clone();
        let (newer, freshness) = self.fetcher.fetch_again(url, &known, now).await?;
        let old = expired.into_document();
        let metadata = match newer.map(Arc::new) {
            None => old,
            Some(newer) => {
                if let (Some(watcher), true) = (&self.watcher, old.members() != newer.members()) {
                    watcher(&old, &newer, old.reaction(&newer));
                }
                newer
            }
        };
        self.cache.insert(Arc::clone(&metadata), freshness);
        Ok(self.fetched(metadata))
    }

    fn fetched(&self, metadata: Arc<ClientMetadata>) -> Client {
        let url = metadata.client_id().as_url();
        let trust = if self.fetcher.document.is_development(url) {
            Trust::Development
        } else if self.listed.iter().any(|host| host.matches(url)) {
            Trust::Listed
        } else {
            Trust::Unknown
        };
        Client::Fetched { metadata, trust }
    }
}

/// A request that waits for a fetch. The fetch ends when it has an outcome, or when the last such request was given up.
struct Boarded<'d> {
    flights: &'d Mutex<HashMap<Arc<str>, Flight>>,
    client_id: Arc<str>,
    flight: Flight,
}

impl Drop for Boarded<'_> {
    fn drop(&mut self) {
        let mut flights = lock(self.flights);
        // Let go under the lock, so that the last one sees that it is the last.
        let own = std::mem::take(&mut self.flight);
        let is_over = own.initialized();
        let is_tables = flights
            .get(&self.client_id)
            .is_some_and(|other| Arc::ptr_eq(other, &own));
        drop(own);
        if is_tables
            && flights
                .get(&self.client_id)
                .is_some_and(|flight| is_over || Arc::strong_count(flight) == 1)
        {
            flights.remove(&self.client_id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("cache", &self.cache)
            .field("unreachable", &self.unreachable)
            .field("registered", &self.registered.len())
            .field("onboarding", &self.onboarding)
            .finish_non_exhaustive()
    }
}
