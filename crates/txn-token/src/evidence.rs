//! What the token service knows of an agent's machine from others than the agent: an attestation that was verified, a registry
//! that the agent cannot write, and the connection.

use std::collections::{BTreeMap, BTreeSet};

use pki_types::UnixTime;

use crate::error::Error;
use crate::lineage::{AgentPosture, UNVERIFIED};

/// Verifies the attestation documents of one kind of enclave, with its maker's keys.
pub trait AttestationVerifier {
    /// Verifies a document: its chain of signatures, that it was made for `nonce` and not long before `now`, that it is about
    /// `workload`, and its measurement.
    ///
    /// # Errors
    ///
    /// [`Error::Attestation`] for whatever does not hold.
    fn verify(
        &self,
        document: &[u8],
        workload: &str,
        nonce: &[u8],
        now: UnixTime,
    ) -> Result<Attested, Error>;
}

/// What an attestation proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// `posture.tee`, such as `aws-nitro-enclave`.
    pub tee: String,
    /// `posture.assurance`.
    pub assurance: String,
    /// `posture.boot_gold`, where the measurement says it.
    pub boot_gold: Option<bool>,
}

/// What each agent is made of, kept by somebody else than the agents. It is only read.
pub trait AgentRegistry {
    /// The entry of an authenticated workload.
    fn provenance(&self, workload: &str) -> Option<Provenance>;
}

impl AgentRegistry for BTreeMap<String, Provenance> {
    fn provenance(&self, workload: &str) -> Option<Provenance> {
        self.get(workload).cloned()
    }
}

/// `prov`, for writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    manifest_hash: String,
    model_id: Option<String>,
    version: Option<String>,
}

impl Provenance {
    /// With `sha256:`, `sha384:` or `sha512:` and the hash of a manifest in lower-case hexadecimal digits, or `none`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`].
    pub fn new(manifest_hash: impl Into<String>) -> Result<Self, Error> {
        let manifest_hash = manifest_hash.into();
        let digits = |text: &str, length| {
            text.len() == length
                && text
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_hash = match manifest_hash.split_once(':') {
            None => manifest_hash == NO_MANIFEST,
            Some(("sha256", hash)) => digits(hash, 64),
            Some(("sha384", hash)) => digits(hash, 96),
            Some(("sha512", hash)) => digits(hash, 128),
            Some(_) => false,
        };
        if !is_hash {
            return Err(Error::InvalidOption {
                option: "manifest hash",
                range: "an algorithm, a colon and its hexadecimal digits, or `none`",
            });
        }
        Ok(Self {
            manifest_hash,
            model_id: None,
            version: None,
        })
    }

    /// Sets `model_id`.
    #[must_use]
    pub fn with_model(mut self, model_id: impl Into<String>) -> Self {
        self.model_id = Some(model_id.into());
        self
    }

    /// Sets `version`.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let optional = [("model_id", &self.model_id), ("version", &self.version)];
        let optional = optional
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.as_deref()?)));
        std::iter::once(("manifest_hash", self.manifest_hash.as_str())).chain(optional)
    }
}

/// `manifest_hash` of an agent of which there is none.
const NO_MANIFEST: &str = "none";

/// Gathers what is known of one agent, as it was authenticated by its certificate or SVID.
#[derive(Clone, Debug)]
pub struct Evidence {
    posture: AgentPosture,
}

impl Evidence {
    /// An agent of this trust domain. Until an attestation is verified its posture is `unverified`.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyClaim`] for no name.
    pub fn internal(workload: &str) -> Result<Self, Error> {
        if workload.is_empty() {
            return Err(Error::EmptyClaim {
                claim: "workload_id",
            });
        }
        let mut posture = AgentPosture::named(workload);
        posture.put("posture", "tee", UNVERIFIED.into());
        posture.put("posture", "assurance", UNVERIFIED.into());
        Ok(Self { posture })
    }

    /// An agent from outside, of which no evidence was verified: `unverified`, `low`, and no manifest.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyClaim`] for no name.
    pub fn external(workload: &str) -> Result<Self, Error> {
        let mut evidence = Self::internal(workload)?;
        evidence.posture.put("posture", "assurance", "low".into());
        evidence
            .posture
            .put("prov", "manifest_hash", NO_MANIFEST.into());
        Ok(evidence)
    }

    /// Adds `identity.origin_node`, as the connection or the workload's registration shows it.
    #[must_use]
    pub fn on_node(mut self, node: impl Into<String>) -> Self {
        self.posture
            .put("identity", "origin_node", node.into().into());
        self
    }

    /// Adds what the registry has under the authenticated name.
    #[must_use]
    pub fn registered(mut self, registry: &(impl AgentRegistry + ?Sized)) -> Self {
        let entry = self
            .posture
            .workload_id()
            .and_then(|workload| registry.provenance(workload));
        if let Some(entry) = entry {
            self.posture.put_provenance(&entry);
        }
        self
    }

    /// Adds what an attestation proves. There is no other way to a posture better than `low`.
    ///
    /// # Errors
    ///
    /// What the verifier says.
    pub fn attested(
        mut self,
        verifier: &(impl AttestationVerifier + ?Sized),
        document: &[u8],
        nonce: &[u8],
        now: UnixTime,
    ) -> Result<Self, Error> {
        if document.len() > MAX_DOCUMENT {
            return Err(Error::Attestation {
                what: "it is longer than 64 KiB",
            });
        }
        let workload = self.posture.workload_id().unwrap_or_default();
        let proven = verifier.verify(document, workload, nonce, now)?;
        self.posture.put("posture", "tee", proven.tee.into());
        self.posture
            .put("posture", "assurance", proven.assurance.into());
        if let Some(gold) = proven.boot_gold {
            self.posture.put("posture", "boot_gold", gold.into());
        }
        Ok(self)
    }

    /// The agent, for a token.
    #[must_use]
    pub fn into_posture(self) -> AgentPosture {
        self.posture
    }
}

const MAX_DOCUMENT: usize = 64 * 1024;

/// The manifests that a service accepts, for each workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownManifests(BTreeMap<String, BTreeSet<String>>);

impl KnownManifests {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts a manifest of a workload, both compared as they are written.
    #[must_use]
    pub fn with(mut self, workload: impl Into<String>, manifest_hash: impl Into<String>) -> Self {
        self.0
            .entry(workload.into())
            .or_default()
            .insert(manifest_hash.into());
        self
    }

    pub(crate) fn has(&self, agent: &AgentPosture) -> bool {
        let known = agent
            .workload_id()
            .and_then(|workload| self.0.get(workload));
        known
            .zip(agent.manifest_hash())
            .is_some_and(|(known, hash)| known.contains(hash))
    }
}
