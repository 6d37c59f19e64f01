//! Clients and servers whose sessions can be resumed, until something changes.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::{Resumption, Tls12Resumption};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ServerConfig};

use crate::config::{Sessions, TlsOptions, client, server};
use crate::epoch::Epoch;
use crate::error::Error;
use crate::resolver::SvidResolver;
use crate::session::{ClientSessions, ServerSessions, ServerTickets};
use crate::verifier::SvidVerifier;

const CLIENT_SESSIONS_BESIDE_TICKETS: usize = 256;
const TLS13_TICKETS: usize = 2;

/// A configuration with the epoch that its sessions belong to.
struct Current<C> {
    config: Arc<C>,
    epoch: Option<Arc<Epoch>>,
}

impl<C> Current<C> {
    fn end(&self) {
        if let Some(epoch) = &self.epoch {
            epoch.end();
        }
    }
}

/// The configuration in place, or if its epoch is over that of the next one.
fn next_config<C>(
    place: &ArcSwap<Current<C>>,
    begin: impl FnOnce(Arc<Epoch>) -> Result<Current<C>, Error>,
) -> Arc<C> {
    let current = place.load_full();
    let next = match &current.epoch {
        Some(epoch) if epoch.is_over() => Arc::new(epoch.next()),
        _ => return Arc::clone(&current.config),
    };
    // Without a next one the old one goes on: it is sound, and only resumes nothing any more. That is also so while
    // this side's own SVID has expired, which no epoch would outlive.
    let next = match next.is_live().then(|| begin(next)) {
        Some(Ok(next)) => next,
        _ => return Arc::clone(&current.config),
    };
    let config = Arc::clone(&next.config);
    let before = place.compare_and_swap(&current, Arc::new(next));
    if Arc::ptr_eq(&before, &current) {
        config
    } else {
        // Somebody else was faster. There is one epoch at a time, for `end_sessions` to end.
        Arc::clone(&before.config)
    }
}

/// The epoch to begin with; none where nothing is ever resumed.
fn first_epoch(
    resolver: Option<&Arc<SvidResolver>>,
    verifier: &Arc<SvidVerifier>,
    options: &TlsOptions,
) -> Option<Arc<Epoch>> {
    if matches!(options.sessions, Sessions::Never) {
        return None;
    }
    let clock = Arc::clone(&options.clock);
    let epoch = Epoch::new(Arc::clone(verifier), resolver.cloned(), clock);
    Some(Arc::new(epoch))
}

/// A client of mutual TLS. Take [`config`](Self::config) for each connection.
///
/// Its sessions, if the options allow any, end under the same conditions as those of a [`TlsServer`].
pub struct TlsClient {
    provider: Arc<CryptoProvider>,
    resolver: Option<Arc<SvidResolver>>,
    verifier: Arc<SvidVerifier>,
    options: TlsOptions,
    current: ArcSwap<Current<ClientConfig>>,
}

impl TlsClient {
    /// A client that presents the SVID of `resolver` and accepts the servers of `verifier`.
    ///
    /// # Errors
    ///
    /// [`Error::Rustls`] for a provider that supports none of the versions.
    pub fn new(
        provider: Arc<CryptoProvider>,
        resolver: Arc<SvidResolver>,
        verifier: Arc<SvidVerifier>,
        options: TlsOptions,
    ) -> Result<Self, Error> {
        Self::build(provider, Some(resolver), verifier, options)
    }

    /// A client that shows no certificate, for servers that know it by something else.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn anonymous(
        provider: Arc<CryptoProvider>,
        verifier: Arc<SvidVerifier>,
        options: TlsOptions,
    ) -> Result<Self, Error> {
        Self::build(provider, None, verifier, options)
    }

    fn build(
        provider: Arc<CryptoProvider>,
        resolver: Option<Arc<SvidResolver>>,
        verifier: Arc<SvidVerifier>,
        options: TlsOptions,
    ) -> Result<Self, Error> {
        let epoch = first_epoch(resolver.as_ref(), &verifier, &options);
        let current = client_of(&provider, resolver.as_ref(), &verifier, &options, epoch)?;
        Ok(Self {
            provider,
            resolver,
            verifier,
            options,
            current: ArcSwap::from_pointee(current),
        })
    }

    /// The configuration for the next connection.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        next_config(&self.current, |epoch| {
            client_of(
                &self.provider,
                self.resolver.as_ref(),
                &self.verifier,
                &self.options,
                Some(epoch),
            )
        })
    }

    /// Ends all sessions, because what the [`Authorizer`](crate::Authorizer) allows has changed.
    pub fn end_sessions(&self) {
        self.current.load().end();
    }
}

fn client_of(
    provider: &Arc<CryptoProvider>,
    resolver: Option<&Arc<SvidResolver>>,
    verifier: &Arc<SvidVerifier>,
    options: &TlsOptions,
    epoch: Option<Arc<Epoch>>,
) -> Result<Current<ClientConfig>, Error> {
    let (provider, resolver) = (Arc::clone(provider), resolver.map(Arc::clone));
    let config = match &epoch {
        None => client(provider, resolver, Arc::clone(verifier) as _, options)?,
        Some(epoch) => {
            let capacity = match options.sessions {
                Sessions::Cached(capacity) => capacity,
                Sessions::Tickets(_) | Sessions::Never => CLIENT_SESSIONS_BESIDE_TICKETS,
            };
            let mut config = client(provider, resolver, Arc::clone(epoch) as _, options)?;
            let sessions = ClientSessions::new(Arc::clone(epoch), capacity);
            config.resumption = Resumption::store(Arc::new(sessions))
                .tls12_resumption(Tls12Resumption::SessionIdOrTickets);
            config
        }
    };
    Ok(Current {
        config: Arc::new(config),
        epoch,
    })
}

/// A server of mutual TLS. Take [`config`](Self::config) for each connection.
///
/// # Resumed sessions
///
/// Resumption skips the certificates, so a resumed session would go on after its peer has lost its place. The
/// sessions of [`TlsOptions::sessions`] therefore belong to one span of time and are refused after it, by a full
/// handshake in their place. The span ends
///
/// - when this side's SVID is [rotated](SvidResolver::rotate) or expires,
/// - when the anchors of a trust domain from which a valid certificate was shown change or are gone, and with the
///   1025th such trust domain,
/// - when the first certificate of a peer that was let in expires. A certificate that somebody shows without its key
///   does not count, unless an intermediate above it ends even before it,
/// - with [`end_sessions`](Self::end_sessions), because the [`Authorizer`](crate::Authorizer) would now decide
///   otherwise: nothing can be seen of that from outside.
///
/// [`config`](Self::config) begins the next span, unless this side's own SVID has expired. A configuration that is kept beyond its own stays sound: it makes full
/// handshakes, under the current bundles and with the current SVID.
///
/// No session carries 0-RTT data.
pub struct TlsServer {
    provider: Arc<CryptoProvider>,
    resolver: Arc<SvidResolver>,
    verifier: Arc<SvidVerifier>,
    options: TlsOptions,
    current: ArcSwap<Current<ServerConfig>>,
}

impl TlsServer {
    /// A server that presents the SVID of `resolver` and accepts the clients of `verifier`.
    ///
    /// # Errors
    ///
    /// [`Error::Rustls`] for a provider that supports none of the versions, and for a ticketer that cannot be made.
    pub fn new(
        provider: Arc<CryptoProvider>,
        resolver: Arc<SvidResolver>,
        verifier: Arc<SvidVerifier>,
        options: TlsOptions,
    ) -> Result<Self, Error> {
        let epoch = first_epoch(Some(&resolver), &verifier, &options);
        let current = server_of(&provider, &resolver, &verifier, &options, epoch)?;
        Ok(Self {
            provider,
            resolver,
            verifier,
            options,
            current: ArcSwap::from_pointee(current),
        })
    }

    /// The configuration for the next connection.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        next_config(&self.current, |epoch| {
            server_of(
                &self.provider,
                &self.resolver,
                &self.verifier,
                &self.options,
                Some(epoch),
            )
        })
    }

    /// Ends all sessions, because what the [`Authorizer`](crate::Authorizer) allows has changed.
    pub fn end_sessions(&self) {
        self.current.load().end();
    }
}

fn server_of(
    provider: &Arc<CryptoProvider>,
    resolver: &Arc<SvidResolver>,
    verifier: &Arc<SvidVerifier>,
    options: &TlsOptions,
    epoch: Option<Arc<Epoch>>,
) -> Result<Current<ServerConfig>, Error> {
    let (provider, resolver) = (Arc::clone(provider), Arc::clone(resolver));
    let config = match &epoch {
        None => server(provider, resolver, Arc::clone(verifier) as _, options)?,
        Some(epoch) => {
            let mut config = server(provider, resolver, Arc::clone(epoch) as _, options)?;
            config.send_tls13_tickets = TLS13_TICKETS;
            match options.sessions {
                Sessions::Never => {}
                Sessions::Cached(capacity) => {
                    let sessions = ServerSessions::new(Arc::clone(epoch), capacity);
                    config.session_storage = Arc::new(sessions);
                }
                Sessions::Tickets(new_ticketer) => {
                    let ticketer = new_ticketer().map_err(Error::Rustls)?;
                    config.ticketer = Arc::new(ServerTickets::new(Arc::clone(epoch), ticketer));
                }
            }
            config
        }
    };
    Ok(Current {
        config: Arc::new(config),
        epoch,
    })
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient")
            .field("resolver", &self.resolver)
            .field("verifier", &self.verifier)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer")
            .field("resolver", &self.resolver)
            .field("verifier", &self.verifier)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
