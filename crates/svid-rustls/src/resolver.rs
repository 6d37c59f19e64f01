//! This side's own X509-SVID, which can be exchanged while connections are made.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use svid::x509::X509Svid;

use crate::error::Error;

/// Presents the current X509-SVID, as client and as server. New handshakes take the one that was set last.
pub struct SvidResolver {
    current: ArcSwap<CertifiedKey>,
    provider: Arc<CryptoProvider>,
}

impl SvidResolver {
    /// A resolver that begins with `svid`.
    ///
    /// # Errors
    ///
    /// [`Error::Rustls`] for a private key that `provider` cannot use.
    pub fn new(provider: Arc<CryptoProvider>, svid: &X509Svid) -> Result<Self, Error> {
        Ok(Self {
            current: ArcSwap::from_pointee(certified(&provider, svid)?),
            provider,
        })
    }

    /// Presents `svid` from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Rustls`] for a private key that the provider cannot use; the old SVID stays.
    pub fn rotate(&self, svid: &X509Svid) -> Result<(), Error> {
        self.current
            .store(Arc::new(certified(&self.provider, svid)?));
        Ok(())
    }
}

fn certified(provider: &CryptoProvider, svid: &X509Svid) -> Result<CertifiedKey, Error> {
    let key = provider
        .key_provider
        .load_private_key(svid.expose_private_key())
        .map_err(Error::Rustls)?;
    Ok(CertifiedKey::new(svid.chain().to_vec(), key))
}

impl ResolvesServerCert for SvidResolver {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl ResolvesClientCert for SvidResolver {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for SvidResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvidResolver").finish_non_exhaustive()
    }
}
