//! The demo's web: names on loopback, and a certificate authority that has nothing to do with any trust domain.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use cimd::client::{Resolve, Resolving};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spiffe_bundle::SharedBundleSet;
use tokio::net::TcpListener;

use super::world::Failure;
use crate::net::{self, Handler, Hosts, Server};
use crate::tls;

pub(super) async fn serve(
    name: &str,
    port: u16,
    hosts: &Hosts,
    tls: Arc<rustls::ServerConfig>,
    handler: Arc<dyn Handler>,
) -> Result<Server, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| format!("cannot listen on 127.0.0.1:{port} for {name}: {error}"))?;
    let server = Server::start(listener, tls, handler)?;
    hosts.insert(name, server.address());
    Ok(server)
}

/// The certificate authority of the demo's web, which has nothing to do with any trust domain.
pub(super) struct WebAuthority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl WebAuthority {
    pub(super) fn new() -> Result<Self, Failure> {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Demo Web CA");
        let key = rcgen::KeyPair::generate()?;
        Ok(Self {
            issuer: rcgen::CertifiedIssuer::self_signed(params, key)?,
        })
    }

    pub(super) fn roots(&self) -> Vec<CertificateDer<'static>> {
        vec![self.issuer.der().clone()]
    }

    pub(super) async fn serve(
        &self,
        name: &str,
        hosts: &Hosts,
        workloads: Option<&Arc<SharedBundleSet>>,
        handler: Arc<dyn Handler>,
    ) -> Result<Server, Failure> {
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = tls::web_server(vec![certificate.der().clone()], key, workloads)?;
        serve(name, 0, hosts, tls, handler).await
    }
}

/// Resolves the demo's names; whatever else is asked for has the address that its name says, or none.
pub(super) struct LoopbackNames(pub(super) Arc<Hosts>);

impl Resolve for LoopbackNames {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        let address = match host {
            // What a hostile document would point to.
            "internal.evil.example" => Some(SocketAddr::from(([10, 0, 0, 5], port))),
            known => self.0.get(known),
        };
        Box::pin(async move {
            address
                .map(|address| vec![address])
                .ok_or_else(|| std::io::Error::other("no such name"))
        })
    }
}

/// A served text as JSON.
pub(super) fn json_text(parts: &Parts, text: Option<String>) -> http::Response<Vec<u8>> {
    let Some(text) = text.filter(|_| parts.method == http::Method::GET) else {
        return net::empty(StatusCode::NOT_FOUND);
    };
    let mut response = net::empty(StatusCode::OK);
    *response.body_mut() = text.into_bytes();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("max-age=300"),
    );
    response
}
