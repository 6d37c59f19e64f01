//! The bundles of several trust domains, each kept apart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jose_x509::x509::TrustAnchors;
use jose_x509::{CryptoProvider, KeySet, json};
use serde_json::{Map, Value};
use spiffe_id::{TrustDomain, TrustDomainRef};

use crate::Bundle;
use crate::error::Error;
use crate::parse::MAX_DOCUMENT_SIZE;
use crate::source::{JwtBundleSource, WitBundleSource, X509BundleSource};

/// Bundles by trust domain: a snapshot that verifiers read without locks. Bundles are never merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundleSet {
    bundles: BTreeMap<TrustDomain, Arc<Bundle>>,
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
    pub const fn new() -> Self {
        Self {
            bundles: BTreeMap::new(),
        }
    }

    /// The bundle of a trust domain.
    #[must_use]
    pub fn get<'t>(&self, trust_domain: impl Into<TrustDomainRef<'t>>) -> Option<&Arc<Bundle>> {
        self.bundles.get(trust_domain.into().as_ref())
    }

    /// The bundles, ordered by trust domain.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Bundle>> {
        self.bundles.values()
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
        if let Some((Some(installed), Some(offered))) = self
            .get(&bundle.trust_domain)
            .map(|old| (old.sequence, bundle.sequence))
        {
            if offered < installed {
                return Err(Error::Rollback { installed, offered });
            }
        }
        Ok(self.force_install(bundle))
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
        self.bundles.insert(bundle.trust_domain.clone(), bundle);
        outcome
    }

    /// Ends the trust in a trust domain. Gives its last bundle.
    pub fn remove<'t>(
        &mut self,
        trust_domain: impl Into<TrustDomainRef<'t>>,
    ) -> Option<Arc<Bundle>> {
        self.bundles.remove(trust_domain.into().as_ref())
    }

    /// Reads a SPIFFE Bundle Map: the full state, without trust domains that it does not have.
    ///
    /// # Errors
    ///
    /// [`Error::TrustDomain`] and [`Error::Member`] for a malformed map; the error of the first bundle that
    /// is refused, which refuses the map.
    pub fn parse_map(provider: &CryptoProvider, document: &[u8]) -> Result<Self, Error> {
        let limits = json::Limits::DOCUMENT.with_bytes(MAX_DOCUMENT_SIZE);
        let members = json::object(document, &limits).map_err(Error::Json)?;
        let Some(Value::Object(entries)) = members.get("trust_domains") else {
            return Err(Error::Member {
                member: "trust_domains",
            });
        };
        let mut set = Self::new();
        for (name, bundle) in entries {
            let trust_domain = TrustDomain::parse(name).map_err(Error::TrustDomain)?;
            let members = bundle.as_object().ok_or(Error::Member {
                member: "trust_domains",
            })?;
            set.force_install(Bundle::from_members(provider, trust_domain, members)?);
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

    /// Puts a whole set in place, as with a bundle map.
    pub fn replace(&self, set: BundleSet) {
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.current.store(Arc::new(set));
    }
}

macro_rules! sources {
    ($($trait:ident $method:ident $output:ty;)+) => {$(
        impl $trait for BundleSet {
            fn $method(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<$output>> {
                self.get(trust_domain)?.$method(trust_domain)
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
    X509BundleSource x509_authorities TrustAnchors;
    JwtBundleSource jwt_authorities KeySet;
    WitBundleSource wit_authorities KeySet;
}
