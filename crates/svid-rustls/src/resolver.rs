//! This side's own X509-SVID, which can be exchanged while connections are made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jose_x509::x509::Certificate;
use pki_types::UnixTime;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use spiffe_id::SpiffeId;
use svid::x509::X509Svid;

use crate::error::Error;

/// Presents the current X509-SVID, as client and as server. New handshakes take the one that was set last,
/// whatever server name the client asks for; established connections keep theirs.
pub struct SvidResolver {
    current: ArcSwap<Current>,
    provider: Arc<CryptoProvider>,
}

#[derive(Clone)]
struct Current {
    key: Arc<CertifiedKey>,
    spiffe_id: SpiffeId,
    not_before: UnixTime,
    not_after: UnixTime,
    /// How many rotations came before.
    serial: u64,
}

impl SvidResolver {
    /// A resolver that begins with `svid`.
    ///
    /// # Errors
    ///
    /// [`Error::Rustls`] for a private key that `provider` cannot use.
    pub fn new(provider: Arc<CryptoProvider>, svid: &X509Svid) -> Result<Self, Error> {
        Ok(Self {
            current: ArcSwap::from_pointee(Current::new(&provider, svid)?),
            provider,
        })
    }

    /// Presents `svid` from now on, and ends the sessions that were made with its predecessor. The SVID that is
    /// already presented changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Rustls`] for a private key that the provider cannot use; the old SVID stays.
    pub fn rotate(&self, svid: &X509Svid) -> Result<(), Error> {
        if self.current.load().key.cert == svid.chain() {
            return Ok(());
        }
        let next = Current::new(&self.provider, svid)?;
        self.current.rcu(|old| Current {
            serial: old.serial.wrapping_add(1),
            ..next.clone()
        });
        Ok(())
    }

    /// Whom the current SVID names.
    #[must_use]
    pub fn spiffe_id(&self) -> SpiffeId {
        self.current.load().spiffe_id.clone()
    }

    /// The last second in which the current SVID is valid.
    #[must_use]
    pub fn not_after(&self) -> UnixTime {
        self.current.load().not_after
    }

    /// When to get the next SVID: half-way through the life of the current one.
    #[must_use]
    pub fn renew_at(&self) -> UnixTime {
        let current = self.current.load();
        let (begin, end) = (current.not_before.as_secs(), current.not_after.as_secs());
        let half = end.saturating_sub(begin) / 2;
        UnixTime::since_unix_epoch(Duration::from_secs(begin.saturating_add(half)))
    }

    pub(crate) fn serial(&self) -> u64 {
        self.current.load().serial
    }
}

impl Current {
    fn new(provider: &CryptoProvider, svid: &X509Svid) -> Result<Self, Error> {
        let leaf = svid.chain().first().ok_or(svid::Error::EmptyChain)?;
        let leaf = Certificate::parse(leaf).map_err(svid::Error::X509)?;
        let key = provider
            .key_provider
            .load_private_key(svid.expose_private_key())
            .map_err(Error::Rustls)?;
        Ok(Self {
            key: Arc::new(CertifiedKey::new(svid.chain().to_vec(), key)),
            spiffe_id: svid.spiffe_id().clone(),
            not_before: leaf.not_before(),
            not_after: leaf.not_after(),
            serial: 0,
        })
    }
}

impl ResolvesServerCert for SvidResolver {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}

impl ResolvesClientCert for SvidResolver {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for SvidResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current.load();
        f.debug_struct("SvidResolver")
            .field("spiffe_id", &current.spiffe_id)
            .field("not_after", &current.not_after)
            .finish_non_exhaustive()
    }
}
