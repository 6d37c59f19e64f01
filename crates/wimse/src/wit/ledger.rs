//! What an issuer remembers, so that a name means one workload and a key has one holder.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

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
    names: BTreeMap<WorkloadIdentifier, String>,
    keys: BTreeMap<[u8; 32], Binding>,
    naming: Option<Arc<Naming>>,
    capacity: usize,
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

    /// Gives a name to a workload, of which there may be many instances. The same workload may ask again.
    ///
    /// # Errors
    ///
    /// [`Error::NameRefused`] by the naming policy; [`Error::NameTaken`] by another workload; [`Error::LedgerFull`].
    pub fn register(
        &mut self,
        identifier: WorkloadIdentifier,
        workload: &str,
    ) -> Result<(), Error> {
        if self
            .naming
            .as_ref()
            .is_some_and(|allows| !allows(&identifier))
        {
            return Err(Error::NameRefused);
        }
        match self.names.get(&identifier) {
            Some(holder) if holder == workload => Ok(()),
            Some(_) => Err(Error::NameTaken),
            None if self.names.len() >= self.capacity => Err(Error::LedgerFull),
            None => {
                self.names.insert(identifier, workload.to_owned());
                Ok(())
            }
        }
    }

    /// Frees a name. Keys that are bound to it stay so until they expire.
    pub fn remove(&mut self, identifier: &WorkloadIdentifier) {
        self.names.remove(identifier);
    }

    /// Binds a public key to one instance of a registered workload until its credential has expired. The same
    /// instance may bind it again.
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
        if !self.names.contains_key(identifier) {
            return Err(Error::NotRegistered);
        }
        let thumbprint = key.thumbprint(&self.provider);
        let live = |binding: &Binding| binding.until > now.as_secs();
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
        Ok(())
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
