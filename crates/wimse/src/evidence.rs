//! Which evidence of its caller a server demands, where it accepts more than one kind.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::identifier::WorkloadIdentifier;
use crate::mtls::PeerIdentity;

/// What the callers of a route have to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// A certificate in mutual TLS that ends at this server.
    MutualTls,
    /// A WIT with its proof, or a message signature.
    Proof,
    /// Both: TLS authenticates the hop, which may be a middlebox, and the proof whoever made the request.
    MutualTlsAndProof,
}

impl Evidence {
    /// Who calls, or that something is missing. What is not demanded is not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::EvidenceMissing`].
    pub fn caller<'a>(
        self,
        tls: Option<&'a PeerIdentity>,
        proven: Option<&'a WorkloadIdentifier>,
    ) -> Result<&'a WorkloadIdentifier, Error> {
        let certificate = || {
            tls.map(PeerIdentity::identifier)
                .ok_or(Error::EvidenceMissing {
                    evidence: "certificate",
                })
        };
        let proof = || proven.ok_or(Error::EvidenceMissing { evidence: "proof" });
        match self {
            Self::MutualTls => certificate(),
            Self::Proof => proof(),
            Self::MutualTlsAndProof => {
                certificate()?;
                proof()
            }
        }
    }
}

/// The kind of token that a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presented {
    /// A WIT with its proof.
    ProvenWit,
    /// A bearer token, which anybody can use who gets hold of it.
    Bearer,
}

/// Which callers may still come with bearer tokens while their trust domain moves to WITs. All others need a WIT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationPolicy {
    bearer: BTreeSet<WorkloadIdentifier>,
}

impl MigrationPolicy {
    /// Everybody needs a WIT.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bearer: BTreeSet::new(),
        }
    }

    /// This caller may present either.
    #[must_use]
    pub fn with_bearer(mut self, caller: WorkloadIdentifier) -> Self {
        self.bearer.insert(caller);
        self
    }

    /// Chooses how to authenticate the caller that a request claims to be from, before anything is verified.
    ///
    /// # Errors
    ///
    /// [`Error::BearerNotAccepted`].
    pub fn choose(
        &self,
        unverified_caller: &WorkloadIdentifier,
        presented: Presented,
    ) -> Result<Choice, Error> {
        self.check(unverified_caller, presented)?;
        Ok(Choice {
            caller: unverified_caller.clone(),
            presented,
        })
    }

    fn check(&self, caller: &WorkloadIdentifier, presented: Presented) -> Result<(), Error> {
        match presented {
            Presented::ProvenWit => Ok(()),
            Presented::Bearer if self.bearer.contains(caller) => Ok(()),
            Presented::Bearer => Err(Error::BearerNotAccepted),
        }
    }
}

/// How a request is going to be authenticated. It stands on a claim until [`confirm`](Self::confirm).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Choice {
    caller: WorkloadIdentifier,
    presented: Presented,
}

impl Choice {
    /// Which kind of token to verify.
    #[must_use]
    pub const fn presented(&self) -> Presented {
        self.presented
    }

    /// Judges again, with the caller that was authenticated.
    ///
    /// # Errors
    ///
    /// [`Error::OtherCaller`] when it is not the one for which the choice was made; [`Error::BearerNotAccepted`] when
    /// `policy` would no longer choose so.
    pub fn confirm(
        self,
        policy: &MigrationPolicy,
        authenticated: &WorkloadIdentifier,
    ) -> Result<(), Error> {
        if *authenticated != self.caller {
            return Err(Error::OtherCaller);
        }
        policy.check(authenticated, self.presented)
    }
}
