//! The bundles of several trust domains, each kept apart.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jose_x509::x509::TrustAnchors;
use jose_x509::{CryptoProvider, KeySet, PublicKey};
use serde_json::{Map, Value};
use spiffe_id::{TrustDomain, TrustDomainRef};

use crate::Bundle;
use crate::document::{BundleMap, Documents, Found, Object};
use crate::error::Error;
use crate::parse::read;
use crate::source::{JwtBundleSource, WitBundleSource, X509BundleSource};

/// Bundles by trust domain: a snapshot that verifiers read without locks. Bundles are never merged.
///
/// A copy shares its bundles, so that one with thousands of them is replaced at little cost.
#[derive(Clone, Debug, Default)]
pub struct BundleSet {
    bundles: HashSet<Entry>,
}

/// A bundle that is found by the name of its trust domain.
#[derive(Clone, Debug)]
struct Entry(Arc<Bundle>);

impl Borrow<str> for Entry {
    fn borrow(&self) -> &str {
        self.0.trust_domain.as_str()
    }
}

/// As the name, which is what it is found by.
impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.trust_domain.as_str().hash(state);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.0.trust_domain == other.0.trust_domain
    }
}

impl Eq for Entry {}

/// Two trust domains with a key in common.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedKey {
    /// The one.
    pub first: TrustDomain,
    /// The other.
    pub second: TrustDomain,
}

/// What an installed bundle did to the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Installed {
    /// The first bundle of its trust domain.
    Added,
    /// The same keys as before.
    Unchanged,
    /// Other keys than before; those that are gone are revoked.
    Replaced,
    /// Other keys under the sequence number of the predecessor: a fault of the publisher.
    ReplacedSameSequence,
    /// No key is left: every SVID of the trust domain is refused from now on.
    Emptied,
}

impl BundleSet {
    /// A set without bundles.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bundle of a trust domain.
    #[must_use]
    pub fn get<'t>(&self, trust_domain: impl Into<TrustDomainRef<'t>>) -> Option<&Arc<Bundle>> {
        let name = trust_domain.into();
        self.bundles.get(name.as_str()).map(|Entry(bundle)| bundle)
    }

    /// The bundles, ordered by trust domain.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Bundle>> {
        let mut bundles: Vec<_> = self.bundles.iter().map(|Entry(bundle)| bundle).collect();
        bundles.sort_unstable_by_key(|bundle| &bundle.trust_domain);
        bundles.into_iter()
    }

    /// How many trust domains have a bundle.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bundles.len()
    }

    /// Whether no trust domain has a bundle.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bundles.is_empty()
    }

    /// Puts a bundle in place of its predecessor, completely. An empty bundle revokes.
    ///
    /// # Errors
    ///
    /// [`Error::Rollback`] when both have a sequence number and the new one is lower.
    pub fn install(&mut self, bundle: impl Into<Arc<Bundle>>) -> Result<Installed, Error> {
        let bundle = bundle.into();
        self.check_sequence(&bundle)?;
        Ok(self.force_install(bundle))
    }

    pub(crate) fn check_sequence(&self, bundle: &Bundle) -> Result<(), Error> {
        let installed = self
            .get(&bundle.trust_domain)
            .and_then(|installed| installed.sequence);
        match (installed, bundle.sequence) {
            (Some(installed), Some(offered)) if offered < installed => {
                Err(Error::Rollback { installed, offered })
            }
            _ => Ok(()),
        }
    }

    /// As [`install`](Self::install) without the check of the sequence: the operator's way out when a
    /// publisher has once announced a sequence number that is too high.
    pub fn force_install(&mut self, bundle: impl Into<Arc<Bundle>>) -> Installed {
        let bundle = bundle.into();
        let outcome = match self.get(&bundle.trust_domain) {
            Some(old) if old.has_keys_of(&bundle) => Installed::Unchanged,
            Some(_) if bundle.is_empty() => Installed::Emptied,
            Some(old) if old.sequence.is_some() && old.sequence == bundle.sequence => {
                Installed::ReplacedSameSequence
            }
            Some(_) => Installed::Replaced,
            None => Installed::Added,
        };
        self.bundles.replace(Entry(bundle));
        outcome
    }

    /// Adds the bundle of a trust domain that has none yet.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateTrustDomain`].
    pub fn add(&mut self, bundle: impl Into<Arc<Bundle>>) -> Result<(), Error> {
        let bundle = bundle.into();
        if self.get(&bundle.trust_domain).is_some() {
            return Err(Error::DuplicateTrustDomain);
        }
        self.force_install(bundle);
        Ok(())
    }

    /// The bundles of those trust domains that `wanted` says: what one consumer gets.
    #[must_use]
    #[expect(
        clippy::mutable_key_type,
        reason = "an entry is found by a name, which never changes"
    )]
    pub fn filtered(&self, mut wanted: impl FnMut(TrustDomainRef<'_>) -> bool) -> Self {
        let mut bundles = self.bundles.clone();
        bundles.retain(|Entry(bundle)| wanted(bundle.trust_domain()));
        Self { bundles }
    }

    /// The keys that more than one trust domain has, which the standard advises against: the first two of each. It is
    /// no error, because every key still serves its own trust domains alone.
    #[must_use]
    pub fn shared_keys(&self) -> Vec<SharedKey> {
        let mut owners: HashMap<PublicKey, &TrustDomain> = HashMap::new();
        let mut shared = Vec::new();
        for bundle in self.iter() {
            for key in bundle.public_keys() {
                let owner = *owners.entry(key).or_insert(&bundle.trust_domain);
                let pair = SharedKey {
                    first: owner.clone(),
                    second: bundle.trust_domain.clone(),
                };
                if owner != &bundle.trust_domain && shared.last() != Some(&pair) {
                    shared.push(pair);
                }
            }
        }
        shared
    }

    /// Ends the trust in a trust domain. Gives its last bundle.
    pub fn remove<'t>(
        &mut self,
        trust_domain: impl Into<TrustDomainRef<'t>>,
    ) -> Option<Arc<Bundle>> {
        let name = trust_domain.into();
        self.bundles.take(name.as_str()).map(|Entry(bundle)| bundle)
    }

    /// Reads a SPIFFE Bundle Map: the full state, without trust domains that it does not have. Put it in place as a
    /// whole, with [`SharedBundleSet::replace`].
    ///
    /// Refresh hints inside it are left out: when a map is read again is not for its bundles to say.
    ///
    /// # Errors
    ///
    /// [`Error::TrustDomain`] and [`Error::Member`] for a malformed map; the error of the first bundle that
    /// is refused, which refuses the map.
    pub fn parse_map(provider: &CryptoProvider, document: &[u8]) -> Result<Self, Error> {
        let member = "trust_domains";
        let Object(Found::Is(BundleMap {
            trust_domains: Found::Is(Documents(entries)),
        })) = read(document)?
        else {
            return Err(Error::Member { member });
        };
        let mut set = Self::new();
        for (name, bundle) in entries {
            let trust_domain = TrustDomain::parse(&name).map_err(Error::TrustDomain)?;
            let mut bundle = Bundle::from_document(provider, trust_domain, bundle, member)?;
            bundle.refresh_hint = None;
            set.force_install(bundle);
        }
        Ok(set)
    }

    /// The SPIFFE Bundle Map as JSON text, without refresh hints.
    #[must_use]
    pub fn to_map_json(&self) -> String {
        let entries: Map<String, Value> = self
            .iter()
            .map(|bundle| {
                let mut members = bundle.to_members();
                members.remove("spiffe_refresh_hint");
                (bundle.trust_domain.as_str().to_owned(), members.into())
            })
            .collect();
        let map = Map::from_iter([("trust_domains".to_owned(), Value::Object(entries))]);
        Value::Object(map).to_string()
    }
}

/// Equality is that of the published contents.
impl PartialEq for BundleSet {
    fn eq(&self, other: &Self) -> bool {
        let same = |Entry(bundle): &Entry| other.get(&bundle.trust_domain) == Some(bundle);
        self.len() == other.len() && self.bundles.iter().all(same)
    }
}

impl Eq for BundleSet {}

/// A [`BundleSet`] that is swapped as a whole. Readers never wait; writers take turns.
#[derive(Debug, Default)]
pub struct SharedBundleSet {
    current: ArcSwap<BundleSet>,
    writer: Mutex<()>,
}

impl SharedBundleSet {
    /// Shares a set.
    #[must_use]
    pub fn new(set: BundleSet) -> Self {
        Self {
            current: ArcSwap::from_pointee(set),
            writer: Mutex::new(()),
        }
    }

    /// The current snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<BundleSet> {
        self.current.load_full()
    }

    /// Changes a copy and puts it in place, unless the change fails.
    ///
    /// # Errors
    ///
    /// What `change` returns.
    pub fn update<T, E>(
        &self,
        change: impl FnOnce(&mut BundleSet) -> Result<T, E>,
    ) -> Result<T, E> {
        // The lock guards nothing that a panic could leave half done.
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = BundleSet::clone(&self.current.load());
        let outcome = change(&mut next)?;
        self.current.store(Arc::new(next));
        Ok(outcome)
    }

    /// As [`BundleSet::install`].
    ///
    /// # Errors
    ///
    /// [`Error::Rollback`].
    pub fn install(&self, bundle: impl Into<Arc<Bundle>>) -> Result<Installed, Error> {
        self.update(|set| set.install(bundle))
    }

    /// As [`BundleSet::force_install`].
    pub fn force_install(&self, bundle: impl Into<Arc<Bundle>>) -> Installed {
        let bundle = bundle.into();
        self.change(|set| set.force_install(bundle))
    }

    /// As [`BundleSet::remove`].
    pub fn remove<'t>(&self, trust_domain: impl Into<TrustDomainRef<'t>>) -> Option<Arc<Bundle>> {
        let trust_domain = trust_domain.into();
        self.change(|set| set.remove(trust_domain))
    }

    fn change<T>(&self, change: impl FnOnce(&mut BundleSet) -> T) -> T {
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = BundleSet::clone(&self.current.load());
        let outcome = change(&mut next);
        self.current.store(Arc::new(next));
        outcome
    }

    /// Puts a whole set in place, as with a bundle map.
    pub fn replace(&self, set: BundleSet) {
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.current.store(Arc::new(set));
    }
}

macro_rules! sources {
    ($($trait:ident $method:ident $group:ident $output:ty;)+) => {$(
        impl $trait for BundleSet {
            fn $method(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<$output>> {
                Some(Arc::clone(&self.get(trust_domain)?.$group))
            }
        }

        impl $trait for SharedBundleSet {
            fn $method(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<$output>> {
                $trait::$method(&**self.current.load(), trust_domain)
            }
        }
    )+};
}

sources! {
    X509BundleSource x509_authorities x509 TrustAnchors;
    JwtBundleSource jwt_authorities jwt KeySet;
    WitBundleSource wit_authorities wit KeySet;
}
