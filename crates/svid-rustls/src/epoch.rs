//! For how long sessions may be resumed: while nothing has changed that a full handshake would notice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jose_x509::x509::TrustAnchors;
use pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use spiffe_id::TrustDomain;

use crate::resolver::SvidResolver;
use crate::verifier::{Admitted, SvidVerifier};

/// Most trust domains whose peers one epoch remembers. With more it ends.
const MAX_TRUST_DOMAINS: usize = 1024;

/// The span in which this side's SVID and the anchors of all peers that were let in stay what they are, up to
/// the end of the first certificate among them. Sessions live in their epoch's store and die with it.
///
/// It stands between rustls and the [`SvidVerifier`], which is how it learns of the peers.
#[derive(Debug)]
pub(crate) struct Epoch {
    verifier: Arc<SvidVerifier>,
    resolver: Option<Arc<SvidResolver>>,
    serial: u64,
    clock: Arc<dyn TimeProvider>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Live {
        /// The last second of the first certificate to expire, this side's own included.
        not_after: UnixTime,
        /// The anchors under which peers were let in.
        anchors: BTreeMap<TrustDomain, Arc<TrustAnchors>>,
    },
    Over,
}

impl Epoch {
    pub(crate) fn new(
        verifier: Arc<SvidVerifier>,
        resolver: Option<Arc<SvidResolver>>,
        clock: Arc<dyn TimeProvider>,
    ) -> Self {
        // The serial first: a rotation in between ends the epoch early and never late.
        let serial = resolver.as_ref().map_or(0, |resolver| resolver.serial());
        let not_after = resolver.as_ref().map_or(
            UnixTime::since_unix_epoch(core::time::Duration::MAX),
            |resolver| resolver.not_after(),
        );
        Self {
            verifier,
            resolver,
            serial,
            clock,
            state: Mutex::new(State::Live {
                not_after,
                anchors: BTreeMap::new(),
            }),
        }
    }

    pub(crate) fn end(&self) {
        *self.state() = State::Over;
    }

    /// Whether sessions of this epoch may be resumed at this moment. Once it is over it stays so.
    pub(crate) fn is_live(&self) -> bool {
        let mut state = self.state();
        let live = match &*state {
            State::Over => false,
            State::Live { not_after, anchors } => {
                let rotated = |resolver: &Arc<SvidResolver>| resolver.serial() != self.serial;
                let now = self.clock.current_time();
                now.is_some_and(|now| now <= *not_after)
                    && !self.resolver.as_ref().is_some_and(rotated)
                    && anchors.iter().all(|(trust_domain, known)| {
                        let current = self.verifier.anchors(trust_domain.into());
                        current.is_some_and(|current| same(known, &current))
                    })
            }
        };
        if !live {
            *state = State::Over;
        }
        live
    }

    fn remember(&self, peer: &Admitted) {
        let mut state = self.state();
        let State::Live { not_after, anchors } = &mut *state else {
            return;
        };
        *not_after = (*not_after).min(peer.svid.not_after());
        let trust_domain = peer.svid.unproven_spiffe_id().trust_domain();
        let fits = match anchors.get(trust_domain.as_ref()) {
            Some(known) => same(known, &peer.anchors),
            None if anchors.len() < MAX_TRUST_DOMAINS => {
                anchors.insert(trust_domain.to_trust_domain(), Arc::clone(&peer.anchors));
                true
            }
            None => false,
        };
        if !fits {
            *state = State::Over;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a single assignment: a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn same(one: &Arc<TrustAnchors>, other: &Arc<TrustAnchors>) -> bool {
    Arc::ptr_eq(one, other) || one.certificates().eq(other.certificates())
}

impl ServerCertVerifier for Epoch {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.remember(
            &self
                .verifier
                .admit_server(end_entity, intermediates, server_name, now)?,
        );
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls12_signature(&*self.verifier, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls13_signature(&*self.verifier, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(&*self.verifier)
    }
}

impl ClientCertVerifier for Epoch {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        ClientCertVerifier::root_hint_subjects(&*self.verifier)
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.remember(&self.verifier.admit_client(end_entity, intermediates, now)?);
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls12_signature(&*self.verifier, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls13_signature(&*self.verifier, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ClientCertVerifier::supported_verify_schemes(&*self.verifier)
    }
}
