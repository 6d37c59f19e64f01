//! What an issuer remembers, so that a name means one workload and a key has one holder.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jose_x509::{CryptoProvider, Jwk};
use pki_types::UnixTime;

use crate::error::Error;
use crate::identifier::WorkloadIdentifier;

type Naming = dyn Fn(&WorkloadIdentifier) -> bool + Send + Sync;

/// Who is registered in a trust domain, and who holds which key. It serves WITs and certificates alike: one ledger
/// for both keeps a key from being used under two names.
///
/// It is a value in memory. An issuer that restarts registers its workloads anew; the keys that it has bound
/// before are then unknown until their credentials have expired.
#[derive(Clone)]
pub struct IssuanceLedger {
    provider: CryptoProvider,
    names: BTreeMap<WorkloadIdentifier, Holder>,
    keys: BTreeMap<[u8; 32], Binding>,
    naming: Option<Arc<Naming>>,
    capacity: usize,
}

/// Who has a name.
#[derive(Clone, Debug)]
struct Holder {
    workload: String,
    /// When the last credential under this name ends, in seconds since the epoch.
    until: u64,
    /// Whether the workload is gone and the name waits for that end.
    removed: bool,
}

/// How much longer than its `exp` a credential may be accepted somewhere.
const MAX_LEEWAY: u64 = 300;

/// Whether a credential that ends then is accepted nowhere any more.
fn is_over(until: u64, now: UnixTime) -> bool {
    until.saturating_add(MAX_LEEWAY) < now.as_secs()
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Binding {
    identifier: WorkloadIdentifier,
    instance: String,
    until: u64,
}

impl IssuanceLedger {
    /// An empty ledger for at most `capacity` names and as many keys. `provider` hashes keys.
    #[must_use]
    pub const fn new(provider: CryptoProvider, capacity: usize) -> Self {
        Self {
            provider,
            names: BTreeMap::new(),
            keys: BTreeMap::new(),
            naming: None,
            capacity,
        }
    }

    /// Refuses names for which `policy` says no. Certificates and tokens show names to the peer, to everything
    /// in between and to logs: a name with a person, a customer or a secret in it does not belong there.
    #[must_use]
    pub fn with_naming_policy(
        mut self,
        policy: impl Fn(&WorkloadIdentifier) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.naming = Some(Arc::new(policy));
        self
    }

    /// Gives a name to a workload, of which there may be many instances. The same workload may ask again. The name
    /// of a workload that was removed is free when everything that was issued under it has expired: until then
    /// another one would inherit what the old one was granted, or the old one what the new one is.
    ///
    /// # Errors
    ///
    /// [`Error::Identifier`] for a trust domain alone; [`Error::NameRefused`] by the naming policy;
    /// [`Error::NameTaken`] by another workload; [`Error::LedgerFull`].
    pub fn register(
        &mut self,
        identifier: WorkloadIdentifier,
        workload: &str,
        now: UnixTime,
    ) -> Result<(), Error> {
        identifier.check_workload()?;
        if self
            .naming
            .as_ref()
            .is_some_and(|allows| !allows(&identifier))
        {
            return Err(Error::NameRefused);
        }
        let free = |holder: &Holder| holder.removed && is_over(holder.until, now);
        match self.names.get_mut(&identifier) {
            Some(holder) if holder.workload == workload => {
                holder.removed = false;
                return Ok(());
            }
            Some(holder) if !free(holder) => return Err(Error::NameTaken),
            Some(_) => {}
            None => {
                if self.names.len() >= self.capacity {
                    self.names.retain(|_, holder| !free(holder));
                }
                if self.names.len() >= self.capacity {
                    return Err(Error::LedgerFull);
                }
            }
        }
        let holder = Holder {
            workload: workload.to_owned(),
            until: 0,
            removed: false,
        };
        self.names.insert(identifier, holder);
        Ok(())
    }

    /// Takes a name from its workload: nothing more is issued under it. Keys that are bound to it stay so until
    /// they expire, and so long no other workload gets it.
    pub fn remove(&mut self, identifier: &WorkloadIdentifier) {
        if let Some(holder) = self.names.get_mut(identifier) {
            holder.removed = true;
        }
    }

    /// Notes that a credential under a registered name, valid until then, is about to be issued.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`].
    pub fn note(&mut self, identifier: &WorkloadIdentifier, until: UnixTime) -> Result<(), Error> {
        let holder = self
            .names
            .get_mut(identifier)
            .filter(|holder| !holder.removed)
            .ok_or(Error::NotRegistered)?;
        holder.until = holder.until.max(until.as_secs());
        Ok(())
    }

    /// Binds a public key to one instance of a registered workload until its credential has expired, for verifiers
    /// with the longest leeway too. The same instance may bind it again.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`]; [`Error::KeyInUse`] by another name or instance; [`Error::LedgerFull`].
    pub fn bind(
        &mut self,
        key: &Jwk,
        identifier: &WorkloadIdentifier,
        instance: &str,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<(), Error> {
        if self
            .names
            .get(identifier)
            .is_none_or(|holder| holder.removed)
        {
            return Err(Error::NotRegistered);
        }
        let thumbprint = key.thumbprint(&self.provider);
        let live = |binding: &Binding| !is_over(binding.until, now);
        let mut until = until.as_secs();
        match self.keys.get(&thumbprint).filter(|binding| live(binding)) {
            Some(known) if known.identifier == *identifier && known.instance == instance => {
                until = until.max(known.until);
            }
            Some(_) => return Err(Error::KeyInUse),
            None => {
                if self.keys.len() >= self.capacity {
                    self.keys.retain(|_, binding| live(binding));
                }
                if self.keys.len() >= self.capacity {
                    return Err(Error::LedgerFull);
                }
            }
        }
        let binding = Binding {
            identifier: identifier.clone(),
            instance: instance.to_owned(),
            until,
        };
        self.keys.insert(thumbprint, binding);
        self.note(
            identifier,
            UnixTime::since_unix_epoch(Duration::from_secs(until)),
        )
    }
}

impl fmt::Debug for IssuanceLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuanceLedger")
            .field("names", &self.names.len())
            .field("keys", &self.keys.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
