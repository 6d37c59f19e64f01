//! For how long sessions may be resumed: while nothing has changed that a full handshake would notice.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jose_x509::x509::{Certificate, TrustAnchors};
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

/// The span in which this side's SVID and the anchors of all peers stay what they are, up to the end of the first
/// certificate among them. Sessions live in their epoch's store and die with it.
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
    Live(Known),
    Over,
}

#[derive(Clone, Debug)]
struct Known {
    /// The last second of the first certificate to expire, this side's own included.
    not_after: UnixTime,
    /// The anchors under which peers came.
    anchors: Arc<BTreeMap<TrustDomain, Arc<TrustAnchors>>>,
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
            state: Mutex::new(State::Live(Known {
                not_after,
                anchors: Arc::default(),
            })),
        }
    }

    /// The one that begins now, for the same side.
    pub(crate) fn next(&self) -> Self {
        let (verifier, resolver) = (Arc::clone(&self.verifier), self.resolver.clone());
        Self::new(verifier, resolver, Arc::clone(&self.clock))
    }

    pub(crate) fn end(&self) {
        *self.state() = State::Over;
    }

    /// Whether sessions of this epoch may be resumed at this moment. Once it is over it stays so.
    pub(crate) fn is_live(&self) -> bool {
        let Some(_asking) = Asking::begin() else {
            return false;
        };
        let known = match &*self.state() {
            State::Over => return false,
            State::Live(known) => known.clone(),
        };
        // The bundles are the caller's, as slow as they like: they are asked without the lock.
        let rotated = |resolver: &Arc<SvidResolver>| resolver.serial() != self.serial;
        let now = self.clock.current_time();
        let live = now.is_some_and(|now| now <= known.not_after)
            && !self.resolver.as_ref().is_some_and(rotated)
            && known.anchors.iter().all(|(trust_domain, known)| {
                let current = self.verifier.anchors(trust_domain.into());
                current.is_some_and(|current| same(known, &current))
            });
        if !live {
            self.end();
        }
        live
    }

    /// Whether the next one should begin.
    pub(crate) fn is_over(&self) -> bool {
        !self.is_live() && matches!(*self.state(), State::Over)
    }

    /// Ties the epoch to the anchors of a peer with a valid path. Later would be too late: only here they are the ones
    /// that the path was verified under. An intermediate that ends before its leaf is likewise not seen again.
    fn note_path(&self, peer: &Admitted, leaf: &CertificateDer<'_>) {
        let path_end = peer.svid.not_after();
        let path_end = not_after(leaf)
            .filter(|leaf_end| path_end < *leaf_end)
            .map(|_| path_end);
        let trust_domain = peer.svid.unproven_spiffe_id().trust_domain();
        self.note(|known| {
            if let Some(end) = path_end {
                known.not_after = known.not_after.min(end);
            }
            match known.anchors.get(trust_domain.as_ref()) {
                Some(before) => same(before, &peer.anchors),
                None if known.anchors.len() < MAX_TRUST_DOMAINS => {
                    let anchors = Arc::make_mut(&mut known.anchors);
                    anchors.insert(trust_domain.to_trust_domain(), Arc::clone(&peer.anchors));
                    true
                }
                None => false,
            }
        });
    }

    /// Ties the epoch to the end of the certificate of a peer that was let in, and of no other: certificates are
    /// public, and whoever shows an old one must not end the sessions of all.
    fn note_peer(&self, leaf: &CertificateDer<'_>) {
        self.note(|known| {
            let end = not_after(leaf);
            known.not_after = end.map_or(known.not_after, |end| known.not_after.min(end));
            end.is_some()
        });
    }

    /// What `change` does not accept ends the epoch.
    fn note(&self, change: impl FnOnce(&mut Known) -> bool) {
        let mut state = self.state();
        if let State::Live(known) = &mut *state {
            if !change(known) {
                *state = State::Over;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves nothing half done: each change is for itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bundle source may itself make connections, with the configuration of this very side. Of a thread that is asking
/// such a source already nothing more is asked: it gets the configuration in place, and resumes nothing.
struct Asking;

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

impl Asking {
    fn begin() -> Option<Self> {
        if ASKING.replace(true) {
            None
        } else {
            Some(Self)
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKING.set(false);
    }
}

fn not_after(leaf: &CertificateDer<'_>) -> Option<UnixTime> {
    Certificate::parse(leaf).ok().map(|leaf| leaf.not_after())
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
        let peer = self
            .verifier
            .admit_server(end_entity, intermediates, server_name, now)?;
        self.note_path(&peer, end_entity);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let proven =
            ServerCertVerifier::verify_tls12_signature(&*self.verifier, message, cert, dss)?;
        self.note_peer(cert);
        Ok(proven)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let proven =
            ServerCertVerifier::verify_tls13_signature(&*self.verifier, message, cert, dss)?;
        self.note_peer(cert);
        Ok(proven)
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
        let peer = self.verifier.admit_client(end_entity, intermediates, now)?;
        self.note_path(&peer, end_entity);
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let proven =
            ClientCertVerifier::verify_tls12_signature(&*self.verifier, message, cert, dss)?;
        self.note_peer(cert);
        Ok(proven)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let proven =
            ClientCertVerifier::verify_tls13_signature(&*self.verifier, message, cert, dss)?;
        self.note_peer(cert);
        Ok(proven)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ClientCertVerifier::supported_verify_schemes(&*self.verifier)
    }
}
