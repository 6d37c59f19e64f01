//! TLS configurations: between workloads by SPIFFE, and towards the web by names.

use std::sync::Arc;

use pki_types::{CertificateDer, PrivateKeyDer};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use spiffe_bundle::SharedBundleSet;
use spiffe_id::SpiffeId;
use svid::x509::X509Svid;
use svid_rustls::{SvidResolver, SvidVerifier, TlsClient, TlsOptions};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The SVID or the provider does not work.
    #[error(transparent)]
    Svid(#[from] svid_rustls::Error),
    /// rustls refuses the configuration.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A client that shows its SVID and speaks to this one workload.
///
/// # Errors
///
/// [`TlsError`].
pub fn spiffe_client(
    svid: &X509Svid,
    bundles: &Arc<SharedBundleSet>,
    server: &SpiffeId,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let resolver = Arc::new(SvidResolver::new(Arc::clone(&provider), svid)?);
    let verifier = SvidVerifier::new(&provider, Arc::clone(bundles) as _, server.clone());
    Ok(Arc::new(svid_rustls::client_config(
        provider,
        resolver,
        Arc::new(verifier),
    )?))
}

/// A client that shows nothing and speaks to this one workload: for agents that authenticate by a token.
///
/// # Errors
///
/// [`TlsError`].
pub fn anonymous_client(
    bundles: &Arc<SharedBundleSet>,
    server: &SpiffeId,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let verifier = SvidVerifier::new(&provider, Arc::clone(bundles) as _, server.clone());
    let client = TlsClient::anonymous(provider, Arc::new(verifier), TlsOptions::default())?;
    Ok(client.config())
}

/// A server that shows its SVID. Workloads that show one have to be of a known trust domain; others may come without.
///
/// Who may do what is decided from the request; this only makes sure that a certificate is never half-checked.
///
/// # Errors
///
/// [`TlsError`].
pub fn spiffe_server(
    svid: &X509Svid,
    bundles: &Arc<SharedBundleSet>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let resolver = Arc::new(SvidResolver::new(Arc::clone(&provider), svid)?);
    let verifier = optional_workloads(&provider, bundles);
    Ok(Arc::new(svid_rustls::server_config(
        provider, resolver, verifier,
    )?))
}

/// A server with a certificate for its name, to which workloads may show an SVID: the token endpoint.
///
/// # Errors
///
/// [`TlsError`].
pub fn web_server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    workloads: Option<&Arc<SharedBundleSet>>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match workloads {
        Some(bundles) => builder.with_client_cert_verifier(optional_workloads(&provider, bundles)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// A client that verifies servers by their names against `roots`, and shows an SVID if it has one.
///
/// # Errors
///
/// [`TlsError`].
pub fn web_client(
    roots: &[CertificateDer<'static>],
    svid: Option<&X509Svid>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone())?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store);
    let mut config = match svid {
        Some(svid) => {
            builder.with_client_cert_resolver(Arc::new(SvidResolver::new(provider, svid)?))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

fn optional_workloads(
    provider: &CryptoProvider,
    bundles: &Arc<SharedBundleSet>,
) -> Arc<SvidVerifier> {
    // Every workload of a trust domain with a bundle may connect; the handler authorises requests.
    let verifier = SvidVerifier::new(provider, Arc::clone(bundles) as _, |_: &SpiffeId| true);
    Arc::new(verifier.with_anonymous_clients())
}
