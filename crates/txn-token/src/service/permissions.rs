//! What a workload may ask the service for. Nothing, unless it is said.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jose_x509::KeySource;
use token_exchange::{ScopeSet, TokenType};

/// The permissions of one workload.
#[derive(Clone)]
pub struct Permissions {
    scopes: ScopeSet,
    types: BTreeSet<String>,
    subjects: Subjects,
    ceiling: Option<ScopeSet>,
    keys: Option<Arc<dyn KeySource + Send + Sync>>,
}

/// For whom a workload may speak by its own word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subjects {
    /// Nobody.
    #[default]
    None,
    /// These.
    Only(BTreeSet<String>),
    /// Everybody: for a service that has authenticated its users itself.
    All,
}

impl Permissions {
    /// May ask for tokens with these scopes, once a type of subject token is allowed.
    #[must_use]
    pub const fn new(scopes: ScopeSet) -> Self {
        Self {
            scopes,
            types: BTreeSet::new(),
            subjects: Subjects::None,
            ceiling: None,
            keys: None,
        }
    }

    /// May present this type of subject token; of self-signed tokens see [`with_own_keys`](Self::with_own_keys).
    #[must_use]
    pub fn with_type(mut self, token_type: &TokenType) -> Self {
        self.types.insert(token_type.as_str().to_owned());
        self
    }

    /// May sign subject tokens itself, with these keys.
    #[must_use]
    pub fn with_own_keys(mut self, keys: Arc<dyn KeySource + Send + Sync>) -> Self {
        self.keys = Some(keys);
        self.with_type(&TokenType::SelfSigned)
    }

    /// May speak for these subjects by its own word: self-signed, or in an unsigned object.
    #[must_use]
    pub fn with_subjects(mut self, subjects: Subjects) -> Self {
        self.subjects = subjects;
        self
    }

    /// What a subject token without `scope` grants. Without this such a token grants nothing.
    #[must_use]
    pub fn with_ceiling(mut self, scopes: ScopeSet) -> Self {
        self.ceiling = Some(scopes);
        self
    }

    pub(super) fn has_type(&self, token_type: &TokenType) -> bool {
        self.types.contains(token_type.as_str())
    }

    pub(super) const fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    pub(super) const fn ceiling(&self) -> Option<&ScopeSet> {
        self.ceiling.as_ref()
    }

    pub(super) fn keys(&self) -> Option<&(dyn KeySource + Send + Sync)> {
        self.keys.as_deref()
    }

    pub(super) fn may_speak_for(&self, subject: &str) -> bool {
        match &self.subjects {
            Subjects::None => false,
            Subjects::Only(subjects) => subjects.contains(subject),
            Subjects::All => true,
        }
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permissions")
            .field("scopes", &self.scopes)
            .field("types", &self.types)
            .field("subjects", &self.subjects)
            .field("ceiling", &self.ceiling)
            .finish_non_exhaustive()
    }
}
