//! HTTP over TLS on loopback, with a CA that is made for the run.

use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pki_types::{PrivateKeyDer, ServerName};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The name of every server here.
pub(super) const HOST_NAME: &str = "localhost";
const MAX_BODY: usize = 64 * 1024;

/// A CA and a certificate for [`HOST_NAME`], as configurations and as files for the peers.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) ca: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Tls {
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let ca_key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // The name of the leaf has to be another one.
        params
            .distinguished_name
            .push(DnType::CommonName, "interop");
        let root = params.self_signed(&ca_key)?;
        let issuer = Issuer::new(params, ca_key);
        let leaf_key = KeyPair::generate()?;
        let leaf = CertificateParams::new([HOST_NAME.to_owned()])?.signed_by(&leaf_key, &issuer)?;
        let file = |name: &str, text: String| -> Result<PathBuf> {
            let path = folder.join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone())?;
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let key = PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)?;
        Ok(Self {
            ca: file("ca.pem", root.pem())?,
            certificate: file("server.pem", leaf.pem())?,
            key: file("server.key", leaf_key.serialize_pem())?,
            client: Arc::new(client),
            server: Arc::new(server),
        })
    }

    /// Answers requests until the runtime ends. Connections are independent of each other.
    pub(super) async fn serve<F, A>(self, listener: TcpListener, answer: F)
    where
        F: Fn(Request<Vec<u8>>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Vec<u8>>> + Send,
    {
        let acceptor = TlsAcceptor::from(self.server);
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = service_fn(|request: Request<hyper::body::Incoming>| {
                    let answer = answer.clone();
                    async move {
                        let (parts, body) = request.into_parts();
                        // What is too long or breaks off is as good as nothing.
                        let body = Limited::new(body, MAX_BODY).collect().await;
                        let body = body.map(|body| body.to_bytes().to_vec());
                        let request = Request::from_parts(parts, body.unwrap_or_default());
                        let response = answer(request).await;
                        Ok::<_, Infallible>(response.map(|body| Full::new(Bytes::from(body))))
                    }
                });
                let connection = server::Builder::new();
                // A client that goes away is its own business.
                _ = connection
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    /// Sends a request to a server here, over a connection of its own.
    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>> {
        let uri = request.uri().clone();
        let port = uri.port_u16().context("the URL has no port")?;
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        let connector = TlsConnector::from(Arc::clone(&self.client));
        let stream = connector
            .connect(ServerName::try_from(HOST_NAME)?, stream)
            .await?;
        let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = request.map(|body| Full::new(Bytes::from(body)));
        let authority = uri.authority().context("the URL has no host")?;
        let host = HeaderValue::from_str(authority.as_str())?;
        request.headers_mut().insert(HOST, host);
        *request.uri_mut() = uri
            .path_and_query()
            .context("the URL has no path")?
            .as_str()
            .parse()?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        connection.abort();
        let body = body.map_err(|error| anyhow::anyhow!("the answer breaks off: {error}"))?;
        Ok(Response::from_parts(parts, body.to_bytes().to_vec()))
    }

    pub(super) async fn get(&self, url: &str) -> Result<Response<Vec<u8>>> {
        self.send(Request::get(url).body(Vec::new())?).await
    }
}
