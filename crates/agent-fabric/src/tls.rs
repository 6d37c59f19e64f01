//! TLS configurations: between workloads by SPIFFE, and towards the web by names.

use std::sync::Arc;

use pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};
use spiffe_bundle::SharedBundleSet;
use spiffe_id::SpiffeId;
use svid::x509::X509Svid;
use svid_rustls::{SvidResolver, SvidVerifier};

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
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
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
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(optional_workloads(&provider, bundles))
        .with_cert_resolver(resolver);
    Ok(Arc::new(without_resumption(config)))
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
    Ok(Arc::new(without_resumption(
        builder.with_single_cert(chain, key)?,
    )))
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

fn without_resumption(mut config: ServerConfig) -> ServerConfig {
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

fn optional_workloads(
    provider: &CryptoProvider,
    bundles: &Arc<SharedBundleSet>,
) -> Arc<dyn ClientCertVerifier> {
    // Every workload of a trust domain with a bundle may connect; the handler authorises requests.
    let verifier = SvidVerifier::new(provider, Arc::clone(bundles) as _, |_: &SpiffeId| true);
    Arc::new(Optional(verifier))
}

/// The same verifier, without which a client may come too.
#[derive(Debug)]
struct Optional(SvidVerifier);

impl ClientCertVerifier for Optional {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.0.verify_client_cert(leaf, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls12_signature(&self.0, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls13_signature(&self.0, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ClientCertVerifier::supported_verify_schemes(&self.0)
    }
}
