//! The three verifiers, each with its cache.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Uri};
use jose_x509::x509::TrustAnchors;
use jose_x509::{CryptoProvider, KeySet, ReplayGuard};
use pki_types::{CertificateDer, UnixTime};
use spiffe_bundle::{JwtBundleSource, WitBundleSource, X509BundleSource};
use spiffe_id::{SpiffeId, TrustDomainRef};

use super::CacheLimits;
use super::store::{Found, Key, Store};
use crate::error::Error;
use crate::jwt::{JwtSvid, JwtSvidVerifier};
use crate::wit::{BoundWorkload, UnprovenWitSvid, WitSvidVerifier};
use crate::x509::{UnprovenX509Svid, X509SvidVerifier};

/// A verifier that remembers what it has verified. Threads share it.
pub struct Cached<V: Verifier> {
    verifier: V,
    provider: CryptoProvider,
    longest: usize,
    store: Store<V::Verified, V::Authorities>,
}

/// What [`Cached`] can wrap: the verifiers of this crate, and no other.
pub trait Verifier: sealed::Sealed {}

impl<V: sealed::Sealed> Verifier for V {}

mod sealed {
    use spiffe_id::SpiffeId;

    pub trait Sealed {
        type Verified: Named;
        type Authorities;
    }

    /// Whom a verified value names.
    pub trait Named {
        fn named(&self) -> &SpiffeId;
    }
}

macro_rules! verifiers {
    ($($verifier:ty, $verified:ty, $authorities:ty, $name:ident;)+) => {$(
        impl sealed::Sealed for $verifier {
            type Verified = $verified;
            type Authorities = $authorities;
        }

        impl sealed::Named for $verified {
            fn named(&self) -> &SpiffeId {
                self.$name()
            }
        }
    )+};
}

verifiers! {
    JwtSvidVerifier, JwtSvid, KeySet, spiffe_id;
    WitSvidVerifier, UnprovenWitSvid, KeySet, unproven_spiffe_id;
    X509SvidVerifier, UnprovenX509Svid, TrustAnchors, unproven_spiffe_id;
}

impl<V: Verifier> Cached<V> {
    /// An empty cache around `verifier`; `provider` hashes.
    #[must_use]
    pub fn new(verifier: V, provider: CryptoProvider, limits: CacheLimits) -> Self {
        Self {
            verifier,
            provider,
            longest: limits.credential,
            store: Store::new(limits.entries),
        }
    }

    /// The verifier.
    #[must_use]
    pub const fn verifier(&self) -> &V {
        &self.verifier
    }

    /// How many credentials are remembered, those that have ended unnoticed included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often a credential was found: for a metric.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.store.hits()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.store.retain(|_, _| false);
    }

    /// Forgets all credentials of a workload, as after a signal that revokes it. Verifying one of them anew
    /// may well succeed.
    pub fn forget_workload(&self, workload: &SpiffeId) {
        use sealed::Named as _;
        self.store
            .retain(|found, _| found.value.named() != workload);
    }

    /// An entry for `key`, or what `verify` says, which is remembered with the authorities that it used if
    /// `last_second` knows one.
    fn get_or_verify(
        &self,
        key: Option<Key>,
        now: UnixTime,
        authorities_of: impl Fn(TrustDomainRef<'_>) -> Option<Arc<V::Authorities>>,
        last_second: impl FnOnce(&V::Verified) -> Option<u64>,
        verify: impl FnOnce(&Noted<'_, V::Authorities>) -> Result<V::Verified, Error>,
    ) -> Result<Arc<V::Verified>, Error> {
        use sealed::Named as _;
        let is_current = |found: &Found<V::Verified, V::Authorities>| {
            authorities_of(found.value.named().trust_domain())
                .is_some_and(|current| Arc::ptr_eq(&current, &found.authorities))
        };
        let now = now.as_secs();
        if let Some(value) = key.and_then(|key| self.store.get(&key, now, is_current)) {
            return Ok(value);
        }
        let epoch = self.store.epoch();
        let noted = Noted {
            source: &authorities_of,
            used: RefCell::new(None),
        };
        let value = Arc::new(verify(&noted)?);
        let remembered = (key, noted.used.into_inner(), last_second(&value));
        if let (Some(key), Some(authorities), Some(last_second)) = remembered {
            let span = (now, last_second);
            let found = Found {
                value: Arc::clone(&value),
                authorities,
            };
            self.store.insert(key, found, span, epoch);
        }
        Ok(value)
    }

    fn key_of(&self, credential: &[u8]) -> Option<Key> {
        (credential.len() <= self.longest).then(|| self.provider.sha256(credential))
    }
}

impl Cached<JwtSvidVerifier> {
    /// As [`JwtSvidVerifier::verify`].
    ///
    /// # Errors
    ///
    /// As [`JwtSvidVerifier::verify`].
    pub fn verify(
        &self,
        token: &str,
        bundles: &(impl JwtBundleSource + ?Sized),
        now: UnixTime,
    ) -> Result<Arc<JwtSvid>, Error> {
        self.get_or_verify(
            self.key_of(token.as_bytes()),
            now,
            |trust_domain| bundles.jwt_authorities(trust_domain),
            |svid| Some(svid.last_second()),
            |noted| self.verifier.verify(token, noted, now),
        )
    }

    /// Forgets one token.
    pub fn forget(&self, token: &str) {
        self.store.forget(&self.provider.sha256(token.as_bytes()));
    }

    /// Forgets what has ended, by its time or because its bundle was replaced. It was not used any more, so
    /// this only gives back its memory: call it when bundles change, or now and then.
    pub fn purge(&self, bundles: &(impl JwtBundleSource + ?Sized), now: UnixTime) {
        let now = now.as_secs();
        self.store.retain(|found, last_second| {
            let current = bundles.jwt_authorities(found.value.spiffe_id().trust_domain());
            now <= last_second && current.is_some_and(|one| Arc::ptr_eq(&one, &found.authorities))
        });
    }
}

impl Cached<WitSvidVerifier> {
    /// As [`WitSvidVerifier::verify`]: the token may be remembered, its proof is verified each time.
    ///
    /// # Errors
    ///
    /// As [`WitSvidVerifier::verify`].
    pub fn verify(
        &self,
        headers: &HeaderMap,
        target: &Uri,
        bundles: &(impl WitBundleSource + ?Sized),
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<BoundWorkload, Error> {
        self.verifier
            .verify_by(headers, target, replay, now, |wit| {
                self.verify_wit(wit, bundles, now)
                    .map(|svid| UnprovenWitSvid::clone(&svid))
            })
    }

    /// As [`WitSvidVerifier::verify_wit`].
    ///
    /// # Errors
    ///
    /// As [`WitSvidVerifier::verify_wit`].
    pub fn verify_wit(
        &self,
        token: &str,
        bundles: &(impl WitBundleSource + ?Sized),
        now: UnixTime,
    ) -> Result<Arc<UnprovenWitSvid>, Error> {
        self.get_or_verify(
            self.key_of(token.as_bytes()),
            now,
            |trust_domain| bundles.wit_authorities(trust_domain),
            |svid| Some(svid.last_second()),
            |noted| self.verifier.verify_wit(token, noted, now),
        )
    }

    /// Forgets one token.
    pub fn forget(&self, token: &str) {
        self.store.forget(&self.provider.sha256(token.as_bytes()));
    }

    /// Forgets what has ended, by its time or because its bundle was replaced. It was not used any more, so
    /// this only gives back its memory: call it when bundles change, or now and then.
    pub fn purge(&self, bundles: &(impl WitBundleSource + ?Sized), now: UnixTime) {
        let now = now.as_secs();
        self.store.retain(|found, last_second| {
            let id = found.value.unproven_spiffe_id();
            let current = bundles.wit_authorities(id.trust_domain());
            now <= last_second && current.is_some_and(|one| Arc::ptr_eq(&one, &found.authorities))
        });
    }
}

impl Cached<X509SvidVerifier> {
    /// As [`X509SvidVerifier::verify`]. That the peer holds the leaf's key is for each connection to show. A chain with
    /// certificates that its path does not need, its root for example, or in another order, is verified each time.
    ///
    /// # Errors
    ///
    /// As [`X509SvidVerifier::verify`].
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        bundles: &(impl X509BundleSource + ?Sized),
        now: UnixTime,
    ) -> Result<Arc<UnprovenX509Svid>, Error> {
        self.get_or_verify(
            self.key_of_chain(chain),
            now,
            |trust_domain| bundles.x509_authorities(trust_domain),
            // Else anybody could present a public chain with other junk each time, and each would be an entry.
            |identity| (identity.chain() == chain).then(|| identity.not_after().as_secs()),
            |noted| self.verifier.verify(chain, noted, now),
        )
    }

    /// Forgets one chain.
    pub fn forget(&self, chain: &[CertificateDer<'_>]) {
        if let Some(key) = self.key_of_chain(chain) {
            self.store.forget(&key);
        }
    }

    /// Forgets what has ended, by its time or because its bundle was replaced. It was not used any more, so
    /// this only gives back its memory: call it when bundles change, or now and then.
    pub fn purge(&self, bundles: &(impl X509BundleSource + ?Sized), now: UnixTime) {
        let now = now.as_secs();
        self.store.retain(|found, last_second| {
            let current = bundles.x509_authorities(found.value.unproven_spiffe_id().trust_domain());
            now <= last_second && current.is_some_and(|one| Arc::ptr_eq(&one, &found.authorities))
        });
    }

    /// The hash of all certificates, each with its length, so that two chains never read the same.
    fn key_of_chain(&self, chain: &[CertificateDer<'_>]) -> Option<Key> {
        let size = chain.iter().fold(0_usize, |sum, der| {
            sum.saturating_add(der.len()).saturating_add(8)
        });
        if size > self.longest {
            return None;
        }
        let mut text = Vec::with_capacity(size);
        for der in chain {
            text.extend_from_slice(&u64::try_from(der.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(der);
        }
        Some(self.provider.sha256(&text))
    }
}

/// Without what it remembers.
impl<V: Verifier + fmt::Debug> fmt::Debug for Cached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("verifier", &self.verifier)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// A bundle source that notes which authorities it has handed out.
struct Noted<'a, A> {
    source: &'a dyn Fn(TrustDomainRef<'_>) -> Option<Arc<A>>,
    used: RefCell<Option<Arc<A>>>,
}

impl<A> Noted<'_, A> {
    fn authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<A>> {
        let authorities = (self.source)(trust_domain)?;
        self.used.replace(Some(Arc::clone(&authorities)));
        Some(authorities)
    }
}

impl JwtBundleSource for Noted<'_, KeySet> {
    fn jwt_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<KeySet>> {
        self.authorities(trust_domain)
    }
}

impl WitBundleSource for Noted<'_, KeySet> {
    fn wit_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<KeySet>> {
        self.authorities(trust_domain)
    }
}

impl X509BundleSource for Noted<'_, TrustAnchors> {
    fn x509_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<TrustAnchors>> {
        self.authorities(trust_domain)
    }
}
