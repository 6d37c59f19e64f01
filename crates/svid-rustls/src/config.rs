//! Ready configurations for mutual TLS.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};

use crate::error::Error;
use crate::resolver::SvidResolver;
use crate::verifier::SvidVerifier;

/// A client that presents the SVID of `resolver` and accepts the servers of `verifier`, by TLS 1.3 or 1.2.
///
/// Sessions are never resumed: a resumed one would outlive the SVID, the bundle and the authorization.
///
/// # Errors
///
/// [`Error::Rustls`] for a provider that supports neither version.
pub fn client_config(
    provider: Arc<CryptoProvider>,
    resolver: Arc<SvidResolver>,
    verifier: Arc<SvidVerifier>,
) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Rustls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(resolver);
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A server that presents the SVID of `resolver`, demands a certificate, and accepts the clients of
/// `verifier`, by TLS 1.3 or 1.2. Sessions are never resumed.
///
/// # Errors
///
/// [`Error::Rustls`] for a provider that supports neither version.
pub fn server_config(
    provider: Arc<CryptoProvider>,
    resolver: Arc<SvidResolver>,
    verifier: Arc<SvidVerifier>,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Rustls)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
