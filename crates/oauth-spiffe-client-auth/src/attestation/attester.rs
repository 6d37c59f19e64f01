//! Who may vouch for instances of clients.

use std::collections::BTreeSet;
use std::sync::Arc;

use jose_x509::jws::{CertificateKeys, CertifiedKey, Header};
use jose_x509::key::Candidates;
use jose_x509::x509::{PathOptions, TrustAnchors};
use jose_x509::{CryptoProvider, Error as JoseError, KeySet, KeySource};
use pki_types::UnixTime;

/// An attester: the keys that it signs attestations with, and the clients that it may vouch for.
#[derive(Clone, Debug)]
pub struct Attester {
    name: Arc<str>,
    keys: Arc<KeySet>,
    anchors: Option<Arc<TrustAnchors>>,
    clients: Option<Arc<BTreeSet<String>>>,
}

impl Attester {
    /// An attester with these keys, which may vouch for every client. `name` is for logs and policies.
    #[must_use]
    pub fn new(name: &str, keys: impl Into<Arc<KeySet>>) -> Self {
        Self {
            name: name.into(),
            keys: keys.into(),
            anchors: None,
            clients: None,
        }
    }

    /// Also takes keys from `x5c` with a path to one of these anchors. Whoever has a certificate under them is the
    /// attester, so they are the attester's own.
    #[must_use]
    pub fn with_anchors(mut self, anchors: impl Into<Arc<TrustAnchors>>) -> Self {
        self.anchors = Some(anchors.into());
        self
    }

    /// May vouch for these clients only.
    #[must_use]
    pub fn for_clients<'c>(mut self, clients: impl IntoIterator<Item = &'c str>) -> Self {
        self.clients = Some(Arc::new(clients.into_iter().map(str::to_owned).collect()));
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it may vouch for this client.
    #[must_use]
    pub fn may_vouch_for(&self, client_id: &str) -> bool {
        self.clients
            .as_ref()
            .is_none_or(|clients| clients.contains(client_id))
    }
}

/// Finds attesters: a snapshot, without I/O. Keys that are published are fetched before, from where the
/// configuration says and never from where a token says.
pub trait AttesterTrust: Send + Sync {
    /// The attesters that may vouch for this client; none for a client that there is not.
    fn attesters(&self, unverified_client_id: &str) -> Vec<Attester>;
}

impl AttesterTrust for [Attester] {
    fn attesters(&self, unverified_client_id: &str) -> Vec<Attester> {
        self.iter()
            .filter(|attester| attester.may_vouch_for(unverified_client_id))
            .cloned()
            .collect()
    }
}

impl AttesterTrust for Vec<Attester> {
    fn attesters(&self, unverified_client_id: &str) -> Vec<Attester> {
        self.as_slice().attesters(unverified_client_id)
    }
}

impl<T: AttesterTrust + ?Sized> AttesterTrust for &T {
    fn attesters(&self, unverified_client_id: &str) -> Vec<Attester> {
        (**self).attesters(unverified_client_id)
    }
}

impl<T: AttesterTrust + ?Sized> AttesterTrust for Arc<T> {
    fn attesters(&self, unverified_client_id: &str) -> Vec<Attester> {
        (**self).attesters(unverified_client_id)
    }
}

/// The keys of one attester for one token.
pub(super) enum AttesterKeys {
    Set(Arc<KeySet>),
    Certificate(CertifiedKey),
}

impl KeySource for AttesterKeys {
    fn candidates<'k>(&'k self, header: &Header<'_>) -> Result<Candidates<'k>, JoseError> {
        match self {
            Self::Set(keys) => keys.candidates(header),
            Self::Certificate(key) => key.candidates(header),
        }
    }
}

/// The one attester that has the key that the header names. If several have one of that name, the name says nothing.
pub(super) fn find(
    attesters: &[Attester],
    header: &Header<'_>,
    provider: &CryptoProvider,
    now: UnixTime,
) -> Result<(Arc<str>, AttesterKeys), JoseError> {
    let by_certificate = header.certificates()?.is_some();
    let mut refusal = JoseError::UnknownKey;
    let mut found = None;
    // A token that names its key by a certificate alone means none of the configured keys.
    let named = header.kid().is_some() || !by_certificate;
    for attester in attesters.iter().filter(|_| named) {
        match attester.keys.candidates(header) {
            Ok(_) if found.is_some() => return Err(JoseError::AmbiguousKey),
            Ok(_) => found = Some(attester),
            Err(JoseError::UnknownKey) => {}
            Err(error) => refusal = error,
        }
    }
    if let Some(attester) = found {
        let keys = AttesterKeys::Set(Arc::clone(&attester.keys));
        return Ok((Arc::clone(&attester.name), keys));
    }
    if !by_certificate {
        return Err(refusal);
    }
    refusal = JoseError::HeaderKeyMaterial { name: "x5c" };
    for attester in attesters {
        let Some(anchors) = &attester.anchors else {
            continue;
        };
        match CertificateKeys::new(provider, anchors, PathOptions::default()).key(header, now) {
            Ok(key) => return Ok((Arc::clone(&attester.name), AttesterKeys::Certificate(key))),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}
