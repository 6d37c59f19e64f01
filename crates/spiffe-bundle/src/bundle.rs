//! The bundle of one trust domain: prepared once, shared by reference.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jose_x509::jwk::Jwk;
use jose_x509::x509::{Certificate, TrustAnchors};
use jose_x509::{CryptoProvider, KeySet, PublicKey, VerifyingKey};
use spiffe_id::{TrustDomain, TrustDomainRef};

use crate::entry::Diagnostic;
use crate::publish::BundleBuilder;

/// The keys that authenticate one trust domain, by use, ready for verification.
///
/// A bundle without keys is a valid one: it revokes whatever its predecessor had. Equality is that of the
/// published content.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub(crate) trust_domain: TrustDomain,
    pub(crate) sequence: Option<u64>,
    pub(crate) refresh_hint: Option<Duration>,
    pub(crate) x509: Arc<TrustAnchors>,
    pub(crate) jwt: Arc<KeySet>,
    pub(crate) wit: Arc<KeySet>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Bundle {
    /// Starts a bundle that an issuer publishes.
    #[must_use]
    pub fn builder(provider: &CryptoProvider, trust_domain: TrustDomain) -> BundleBuilder {
        BundleBuilder::new(provider, trust_domain)
    }

    /// Starts the next version of this bundle, with its content. What is built has the next sequence number
    /// if the content changed, and the same one otherwise.
    #[must_use]
    pub fn successor(&self, provider: &CryptoProvider) -> BundleBuilder {
        BundleBuilder::successor_of(provider, self)
    }

    /// The trust domain, as the caller named it: a document does not say it.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomainRef<'_> {
        self.trust_domain.as_trust_domain_ref()
    }

    /// `spiffe_sequence`.
    #[must_use]
    pub const fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// `spiffe_refresh_hint`, in whole seconds and never zero. It is advice: see
    /// [`RefreshPolicy`](crate::federation::RefreshPolicy).
    #[must_use]
    pub const fn refresh_hint(&self) -> Option<Duration> {
        self.refresh_hint
    }

    /// The trust anchors of X509-SVIDs.
    #[must_use]
    pub const fn x509_anchors(&self) -> &Arc<TrustAnchors> {
        &self.x509
    }

    /// The keys of JWT-SVIDs.
    #[must_use]
    pub const fn jwt_keys(&self) -> &Arc<KeySet> {
        &self.jwt
    }

    /// The keys of WIT-SVIDs.
    #[must_use]
    pub const fn wit_keys(&self) -> &Arc<KeySet> {
        &self.wit
    }

    /// Whether no key of any use is left: every SVID of the trust domain is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.x509.is_empty() && self.jwt.keys().is_empty() && self.wit.keys().is_empty()
    }

    /// What was noticed about single entries, in order.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// How many entries were left out.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.problem.is_fatal())
            .count()
    }

    /// The public keys of all uses.
    pub(crate) fn public_keys(&self) -> impl Iterator<Item = PublicKey> {
        let certified = self.x509.certificates().filter_map(|der| {
            let certificate = Certificate::parse(der).ok()?;
            PublicKey::from_spki_der(certificate.spki_der()).ok()
        });
        let tokens = self.jwt.keys().iter().chain(self.wit.keys());
        certified.chain(tokens.map(|key| key.jwk().key().clone()))
    }

    pub(crate) fn shares_a_key_with(&self, other: &Self) -> bool {
        let keys: HashSet<PublicKey> = self.public_keys().collect();
        other.public_keys().any(|key| keys.contains(&key))
    }

    pub(crate) fn has_keys_of(&self, other: &Self) -> bool {
        fn sorted(keys: &KeySet) -> Vec<&Jwk> {
            let mut keys: Vec<&Jwk> = keys.keys().iter().map(VerifyingKey::jwk).collect();
            keys.sort_by_key(|key| key.kid());
            keys
        }
        fn ders(anchors: &TrustAnchors) -> Vec<&[u8]> {
            let mut ders: Vec<&[u8]> = anchors.certificates().map(AsRef::as_ref).collect();
            ders.sort_unstable();
            ders
        }
        ders(&self.x509) == ders(&other.x509)
            && sorted(&self.jwt) == sorted(&other.jwt)
            && sorted(&self.wit) == sorted(&other.wit)
    }
}

impl PartialEq for Bundle {
    fn eq(&self, other: &Self) -> bool {
        self.trust_domain == other.trust_domain
            && self.sequence == other.sequence
            && self.refresh_hint == other.refresh_hint
            && self.has_keys_of(other)
    }
}

impl Eq for Bundle {}
