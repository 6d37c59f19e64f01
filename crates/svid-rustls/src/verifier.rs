//! The peer's certificate as an X509-SVID.

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

use jose_x509::x509::{TrustAnchors, X509Error};
use pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CommonState, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use spiffe_id::{SpiffeId, TrustDomainRef};
use svid::X509BundleSource;
use svid::x509::{
    KeyUsagePolicy, PeerRole, UnprovenX509Svid, VerifyOptions, X509Identity, spiffe_id_of, verify,
};

use crate::authorize::Authorizer;
use crate::error::Error;
use crate::peer::peer_chain;

/// Most certificates that a peer may show, its own counted.
pub const MAX_CERTIFICATES: usize = 8;

/// Most octets of all certificates that a peer may show.
pub const MAX_CHAIN_SIZE: usize = 64 * 1024;

type Observer = dyn Fn(&Refusal<'_>) + Send + Sync;

/// Verifies the peer of either side: an X509-SVID of a trust domain with a bundle, whose key the peer holds, and an
/// authorized one.
///
/// The anchors are those of the trust domain that the peer's SPIFFE ID names, as the source has them at that
/// moment. Nothing else identifies: not the server name that a client dials, nor DNS names, addresses or the
/// common name in a certificate.
///
/// The authorizer is asked after the peer has signed the handshake, as part of `verify_tls12_signature` and
/// `verify_tls13_signature`. A verifier that wraps this one has to forward these as well.
#[derive(Clone)]
pub struct SvidVerifier {
    bundles: Arc<dyn X509BundleSource + Send + Sync>,
    authorizer: Arc<dyn Authorizer>,
    observer: Option<Arc<Observer>>,
    algorithms: WebPkiSupportedAlgorithms,
    key_usage: KeyUsagePolicy,
    max_certificates: usize,
    max_chain_size: usize,
    server_names: bool,
    anonymous_clients: bool,
}

/// A peer that was refused in a handshake.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Refusal<'a> {
    /// Why.
    pub error: &'a Error,
    /// Who it is, if it holds the key of its certificate and is merely not authorized.
    pub peer: Option<&'a SpiffeId>,
    /// What it acts as.
    pub role: PeerRole,
}

/// A peer with a valid path, with the anchors that vouch for it. It has not shown its key, and nobody was asked about
/// it.
pub(crate) struct Admitted {
    pub(crate) svid: UnprovenX509Svid,
    pub(crate) anchors: Arc<TrustAnchors>,
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
            observer: None,
            algorithms: provider.signature_verification_algorithms,
            key_usage: KeyUsagePolicy::Strict,
            max_certificates: MAX_CERTIFICATES,
            max_chain_size: MAX_CHAIN_SIZE,
            server_names: false,
            anonymous_clients: false,
        }
    }

    /// Another demand on the `keyUsage` of the peer's certificate.
    #[must_use]
    pub const fn with_key_usage(mut self, policy: KeyUsagePolicy) -> Self {
        self.key_usage = policy;
        self
    }

    /// Narrower limits than [`MAX_CERTIFICATES`] and [`MAX_CHAIN_SIZE`]; wider ones have no effect.
    #[must_use]
    pub const fn with_limits(mut self, certificates: usize, octets: usize) -> Self {
        if certificates < MAX_CERTIFICATES {
            self.max_certificates = certificates;
        }
        if octets < MAX_CHAIN_SIZE {
            self.max_chain_size = octets;
        }
        self
    }

    /// As client, demands in addition that the server's certificate is for the name that was dialled: a `dNSName`
    /// or `iPAddress` as RFC 9525 matches it. For deployments where clients know servers by host name. It never
    /// takes the place of the SPIFFE ID.
    #[must_use]
    pub const fn with_server_names(mut self) -> Self {
        self.server_names = true;
        self
    }

    /// As server, also lets clients in that show no certificate, such as those that authenticate by a token in
    /// each request. A certificate that is shown has to pass all the same, and [`peer_identity`](crate::peer_identity)
    /// is [`Error::NoPeer`] for the others.
    #[must_use]
    pub const fn with_anonymous_clients(mut self) -> Self {
        self.anonymous_clients = true;
        self
    }

    /// Calls `observer` with each peer that is refused, for logs and metrics. It runs inside the handshake.
    #[must_use]
    pub fn on_refusal(mut self, observer: impl Fn(&Refusal<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Judges the peer of an established connection anew: its certificate against the bundle, the authorizer and the
    /// time of this moment. For connections that live longer than the answer of their handshake, and before each
    /// request where that matters. `role` is what the peer acts as.
    ///
    /// # Errors
    ///
    /// As [`peer_identity`](crate::peer_identity); [`Error::Svid`] and [`Error::NotAuthorized`] for a peer that would
    /// no longer be let in.
    pub fn recheck(
        &self,
        connection: &CommonState,
        role: PeerRole,
        now: UnixTime,
    ) -> Result<X509Identity, Error> {
        let (leaf, intermediates) = peer_chain(connection)?.split_first().ok_or(Error::NoPeer)?;
        let admitted = self.admit(leaf, intermediates, role, now)?;
        // A handshake that is complete has proven the key.
        let peer = admitted.svid.proven_by_tls();
        self.authorize(peer.spiffe_id(), role)?;
        Ok(peer)
    }

    /// The anchors of a trust domain, as they are now.
    pub(crate) fn anchors(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<TrustAnchors>> {
        self.bundles.x509_authorities(trust_domain)
    }

    pub(crate) fn admit_server(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Admitted, Error> {
        let admitted = self.admit(leaf, intermediates, PeerRole::Server, now)?;
        if self.server_names {
            let named = ParsedCertificate::try_from(leaf)
                .and_then(|leaf| verify_server_name(&leaf, server_name));
            if named.is_err() {
                return Err(self.refuse(Error::ServerName, None, PeerRole::Server));
            }
        }
        Ok(admitted)
    }

    pub(crate) fn admit_client(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Admitted, Error> {
        self.admit(leaf, intermediates, PeerRole::Client, now)
    }

    fn admit(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        role: PeerRole,
        now: UnixTime,
    ) -> Result<Admitted, Error> {
        self.verify_path(leaf, intermediates, role, now)
            .map_err(|error| self.refuse(error, None, role))
    }

    /// What follows on the path, which rustls has had verified before: the proof that the peer holds the key, and only
    /// then the question whether it is allowed. Whoever shows a certificate of somebody else learns nothing about that.
    fn let_in(
        &self,
        leaf: &CertificateDer<'_>,
        proof: Result<HandshakeSignatureValid, rustls::Error>,
        role: PeerRole,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let proof = proof.map_err(|error| self.refuse(Error::NotProven(error), None, role))?;
        let peer = spiffe_id_of(leaf).map_err(|error| self.refuse(error.into(), None, role))?;
        self.authorize(&peer, role)?;
        Ok(proof)
    }

    fn authorize(&self, peer: &SpiffeId, role: PeerRole) -> Result<(), Error> {
        if self.authorizer.allows(peer) {
            Ok(())
        } else {
            Err(self.refuse(Error::NotAuthorized, Some(peer), role))
        }
    }

    fn verify_path(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        role: PeerRole,
        now: UnixTime,
    ) -> Result<Admitted, Error> {
        let certificates = || std::iter::once(leaf).chain(intermediates);
        if intermediates.len() >= self.max_certificates {
            let limit = self.max_certificates;
            return Err(svid::Error::X509(X509Error::TooManyCertificates { limit }).into());
        }
        let octets = certificates().fold(0usize, |sum, one| sum.saturating_add(one.len()));
        if octets > self.max_chain_size {
            let limit = self.max_chain_size;
            return Err(svid::Error::X509(X509Error::ChainTooLarge { limit }).into());
        }
        let chain: Vec<CertificateDer<'_>> = certificates()
            .map(|certificate| CertificateDer::from(certificate.as_ref()))
            .collect();
        let source = Witness {
            bundles: &*self.bundles,
            anchors: OnceCell::new(),
        };
        let options = VerifyOptions::new(role).with_key_usage(self.key_usage);
        let svid = verify(&chain, &source, &options, self.algorithms.all, now)?;
        Ok(Admitted {
            svid,
            anchors: source.anchors.into_inner().unwrap_or_default(),
        })
    }

    fn refuse(&self, error: Error, peer: Option<&SpiffeId>, role: PeerRole) -> Error {
        if let Some(observer) = &self.observer {
            observer(&Refusal {
                error: &error,
                peer,
                role,
            });
        }
        error
    }
}

/// Remembers the anchors that the verification was given, so that a session can be tied to the very same ones.
struct Witness<'a> {
    bundles: &'a (dyn X509BundleSource + Send + Sync),
    anchors: OnceCell<Arc<TrustAnchors>>,
}

impl X509BundleSource for Witness<'_> {
    fn x509_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<TrustAnchors>> {
        let anchors = self.bundles.x509_authorities(trust_domain)?;
        Some(Arc::clone(self.anchors.get_or_init(|| anchors)))
    }
}

impl ServerCertVerifier for SvidVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.admit_server(end_entity, intermediates, server_name, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let proof = verify_tls12_signature(message, cert, dss, &self.algorithms);
        self.let_in(cert, proof, PeerRole::Server)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let proof = verify_tls13_signature(message, cert, dss, &self.algorithms);
        self.let_in(cert, proof, PeerRole::Server)
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

    fn client_auth_mandatory(&self) -> bool {
        !self.anonymous_clients
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.admit_client(end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let proof = verify_tls12_signature(message, cert, dss, &self.algorithms);
        self.let_in(cert, proof, PeerRole::Client)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let proof = verify_tls13_signature(message, cert, dss, &self.algorithms);
        self.let_in(cert, proof, PeerRole::Client)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for SvidVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvidVerifier")
            .field("key_usage", &self.key_usage)
            .field("max_certificates", &self.max_certificates)
            .field("max_chain_size", &self.max_chain_size)
            .field("server_names", &self.server_names)
            .field("anonymous_clients", &self.anonymous_clients)
            .finish_non_exhaustive()
    }
}
