//! The peer's certificate as an X509-SVID.

use std::fmt;
use std::sync::Arc;

use pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use spiffe_id::SpiffeId;
use svid::X509BundleSource;
use svid::x509::{PeerRole, VerifyOptions, spiffe_id_of, verify};

use crate::authorize::Authorizer;
use crate::error::Error;

/// Verifies the peer of either side: an X509-SVID of a trust domain with a bundle, and an authorized one.
///
/// The server name that a client dials is not compared with anything, because the SPIFFE ID takes its place.
pub struct SvidVerifier {
    bundles: Arc<dyn X509BundleSource + Send + Sync>,
    authorizer: Arc<dyn Authorizer>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl SvidVerifier {
    /// A verifier with the signature algorithms of `provider`.
    #[must_use]
    pub fn new(
        provider: &CryptoProvider,
        bundles: Arc<dyn X509BundleSource + Send + Sync>,
        authorizer: impl Authorizer + 'static,
    ) -> Self {
        Self {
            bundles,
            authorizer: Arc::new(authorizer),
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        role: PeerRole,
        now: UnixTime,
    ) -> Result<(), Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(leaf)
            .chain(intermediates)
            .map(|certificate| CertificateDer::from(certificate.as_ref()))
            .collect();
        let peer = verify(
            &chain,
            &*self.bundles,
            &VerifyOptions::new(role),
            self.algorithms.all,
            now,
        )?;
        if self.authorizer.allows(peer.spiffe_id()) {
            Ok(())
        } else {
            Err(Error::NotAuthorized)
        }
    }
}

/// The SPIFFE ID of the peer of an established connection: of the certificates that
/// `ConnectionCommon::peer_certificates` returns after a handshake with a [`SvidVerifier`].
///
/// # Errors
///
/// [`Error::NoPeer`] without certificates; [`Error::Svid`] for certificates that no [`SvidVerifier`] accepts.
pub fn peer_identity(certificates: Option<&[CertificateDer<'_>]>) -> Result<SpiffeId, Error> {
    let leaf = certificates.and_then(<[_]>::first).ok_or(Error::NoPeer)?;
    Ok(spiffe_id_of(leaf)?)
}

impl ServerCertVerifier for SvidVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, intermediates, PeerRole::Server, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for SvidVerifier {
    /// No hints: they would tell every client which trust domains are federated.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity, intermediates, PeerRole::Client, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for SvidVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvidVerifier").finish_non_exhaustive()
    }
}
