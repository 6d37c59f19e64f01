//! A ready server of bundle endpoints, on tokio, hyper and rustls.
//!
//! The TLS versions and cipher suites are those of rustls: TLS 1.3, and TLS 1.2 with ephemeral keys and authenticated
//! encryption, which is what Mozilla's intermediate profile asks for. No client is asked for a certificate.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::server::ResolvesServerCert;
use webpki::EndEntityCert;

use super::serve::BundleEndpoint;
use crate::error::Error;

/// How long a client may take for its handshake, and for the head of its request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may last.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// How many connections there may be at once; further ones wait.
pub const MAX_CONNECTIONS: usize = 512;

/// A TLS configuration for profile `https_web`: a certificate that clients know to be for `host`.
///
/// # Errors
///
/// [`Error::EndpointCertificate`] when `host` is none of the certificate's subject alternative names, when the key
/// is another one, and when `provider` does not support it.
pub fn https_web(
    provider: Arc<CryptoProvider>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    host: &str,
) -> Result<ServerConfig, Error> {
    let leaf = chain.first().ok_or(Error::EndpointCertificate)?;
    let host = ServerName::try_from(host).map_err(|_| Error::EndpointCertificate)?;
    EndEntityCert::try_from(leaf)
        .and_then(|leaf| leaf.verify_is_valid_for_subject_name(&host))
        .map_err(|_| Error::EndpointCertificate)?;
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|_| Error::EndpointCertificate)
}

/// A TLS configuration for profile `https_spiffe`: the X509-SVID that `svid` presents at the time, such as
/// `SvidResolver` of crate `svid-rustls`.
///
/// # Errors
///
/// [`Error::EndpointCertificate`] when `provider` supports no version of TLS.
pub fn https_spiffe(
    provider: Arc<CryptoProvider>,
    svid: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, Error> {
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::EndpointCertificate)?;
    Ok(config.with_no_client_auth().with_cert_resolver(svid))
}

/// [`BundleEndpoint`] as a service for hyper.
impl hyper::service::Service<Request<Incoming>> for BundleEndpoint {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        ready(Ok(self.handle(&request).map(Full::new)))
    }
}

/// Serves bundle endpoints to anybody.
#[derive(Clone)]
pub struct Server {
    tls: TlsAcceptor,
    endpoint: Arc<BundleEndpoint>,
    connections: Arc<Semaphore>,
}

impl Server {
    /// A server with the TLS configuration of [`https_web`] or [`https_spiffe`].
    #[must_use]
    pub fn new(tls: Arc<ServerConfig>, endpoint: BundleEndpoint) -> Self {
        Self {
            tls: TlsAcceptor::from(tls),
            endpoint: Arc::new(endpoint),
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }

    /// Accepts connections until `stop` is ready; those that are open are then left to end by themselves.
    ///
    /// # Errors
    ///
    /// None so far: what fails to be accepted is tried again.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future) -> io::Result<()> {
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                _ = &mut stop => return Ok(()),
                accepted = self.accept(&listener) => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let server = self.clone();
                    tokio::spawn(async move {
                        server.serve_connection(stream).await;
                        drop(permit);
                    });
                }
                // Out of file descriptors, or a client that is gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.connections)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        Ok((stream, permit))
    }

    /// Serves one connection to its end. A client that does not keep to TLS, to HTTP/1.1 or to the time is cut off.
    pub async fn serve_connection<T: AsyncRead + AsyncWrite + Unpin>(&self, stream: T) {
        let Ok(Ok(stream)) = timeout(HEAD_TIMEOUT, self.tls.accept(stream)).await else {
            return;
        };
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), &*self.endpoint);
        let _ = timeout(CONNECTION_TIMEOUT, connection).await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
