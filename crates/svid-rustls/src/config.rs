//! Ready configurations for mutual TLS.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};

use crate::error::Error;
use crate::resolver::SvidResolver;
use crate::verifier::SvidVerifier;

/// Which versions of TLS a side speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TlsVersions {
    /// TLS 1.3, and TLS 1.2 with its extended master secret if the feature `tls12` is on.
    #[default]
    All,
    /// TLS 1.3 alone.
    Tls13,
}

static TLS13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

impl TlsVersions {
    pub(crate) fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            #[cfg(feature = "tls12")]
            Self::All => rustls::DEFAULT_VERSIONS,
            // Even if some other crate has TLS 1.2 compiled in.
            #[cfg(not(feature = "tls12"))]
            Self::All => &TLS13,
            Self::Tls13 => &TLS13,
        }
    }
}

/// Makes a ticketer with a new key, such as `rustls::crypto::ring::Ticketer::new`.
pub type NewTicketer = fn() -> Result<Arc<dyn ProducesTickets>, rustls::Error>;

/// Whether sessions can be resumed, without the certificates of a full handshake. Where they can, it is only until
/// something changes, as described at [`TlsServer`](crate::TlsServer).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum Sessions {
    /// Each connection is a full handshake.
    #[default]
    Never,
    /// This many sessions are kept in memory.
    Cached(usize),
    /// A server keeps nothing and gives its clients encrypted tickets, under a new key after each change. A client
    /// keeps 256 sessions.
    Tickets(NewTicketer),
}

/// What a caller decides about TLS itself. The default: TLS 1.3 and 1.2, no ALPN, no resumption, the system's clock.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The versions.
    pub versions: TlsVersions,
    /// The application protocols, by preference.
    pub alpn: Vec<Vec<u8>>,
    /// The resumption.
    pub sessions: Sessions,
    /// The clock that rustls asks in each handshake.
    pub clock: Arc<dyn TimeProvider>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            versions: TlsVersions::default(),
            alpn: Vec::new(),
            sessions: Sessions::default(),
            clock: Arc::new(DefaultTimeProvider),
        }
    }
}

impl TlsOptions {
    /// Other versions.
    #[must_use]
    pub const fn with_versions(mut self, versions: TlsVersions) -> Self {
        self.versions = versions;
        self
    }

    /// Application protocols, by preference, such as `[b"h2".to_vec()]`.
    #[must_use]
    pub fn with_alpn(mut self, protocols: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.alpn = protocols.into_iter().collect();
        self
    }

    /// Another rule about resumption.
    #[must_use]
    pub const fn with_sessions(mut self, sessions: Sessions) -> Self {
        self.sessions = sessions;
        self
    }

    /// Another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn TimeProvider>) -> Self {
        self.clock = clock;
        self
    }
}

/// A client that presents the SVID of `resolver` and accepts the servers of `verifier`, by TLS 1.3 or 1.2.
///
/// Sessions are never resumed, so the configuration can be kept for good. [`TlsClient`](crate::TlsClient) has more
/// options.
///
/// # Errors
///
/// [`Error::Rustls`] for a provider that supports neither version.
pub fn client_config(
    provider: Arc<CryptoProvider>,
    resolver: Arc<SvidResolver>,
    verifier: Arc<SvidVerifier>,
) -> Result<ClientConfig, Error> {
    client(provider, Some(resolver), verifier, &TlsOptions::default())
}

/// A server that presents the SVID of `resolver` and accepts the clients of `verifier`, by TLS 1.3 or 1.2.
///
/// Sessions are never resumed, so the configuration can be kept for good. [`TlsServer`](crate::TlsServer) has more
/// options.
///
/// # Errors
///
/// [`Error::Rustls`] for a provider that supports neither version.
pub fn server_config(
    provider: Arc<CryptoProvider>,
    resolver: Arc<SvidResolver>,
    verifier: Arc<SvidVerifier>,
) -> Result<ServerConfig, Error> {
    server(provider, resolver, verifier, &TlsOptions::default())
}

/// Without resumption, whatever the options say of it.
pub(crate) fn client(
    provider: Arc<CryptoProvider>,
    resolver: Option<Arc<SvidResolver>>,
    verifier: Arc<dyn rustls::client::danger::ServerCertVerifier>,
    options: &TlsOptions,
) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_details(provider, Arc::clone(&options.clock))
        .with_protocol_versions(options.versions.list())
        .map_err(Error::Rustls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match resolver {
        Some(resolver) => builder.with_client_cert_resolver(resolver),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    #[cfg(feature = "tls12")]
    {
        config.require_ems = true;
    }
    config.alpn_protocols.clone_from(&options.alpn);
    Ok(config)
}

/// Without resumption, whatever the options say of it.
pub(crate) fn server(
    provider: Arc<CryptoProvider>,
    resolver: Arc<SvidResolver>,
    verifier: Arc<dyn rustls::server::danger::ClientCertVerifier>,
    options: &TlsOptions,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_details(provider, Arc::clone(&options.clock))
        .with_protocol_versions(options.versions.list())
        .map_err(Error::Rustls)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    #[cfg(feature = "tls12")]
    {
        config.require_ems = true;
    }
    config.alpn_protocols.clone_from(&options.alpn);
    Ok(config)
}
