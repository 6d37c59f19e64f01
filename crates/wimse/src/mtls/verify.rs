//! The checks of both sides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jose_x509::CryptoProvider;
use jose_x509::x509::{Certificate, PathOptions, Purpose, TrustAnchors, verify_path};
use pki_types::{CertificateDer, DnsName, UnixTime};

use super::CertificateError;
use super::host;
use crate::error::Error;
use crate::identifier::WorkloadIdentifier;
use crate::peer::PeerPolicy;

/// Where the certificate anchors of a trust domain are found, keyed by the identifier's own namespace, so that a CA
/// of one trust domain never vouches for a workload of another.
pub trait X509Anchors {
    /// The anchors for this identifier's scheme and trust domain.
    fn anchors(&self, identifier: &WorkloadIdentifier) -> Option<Arc<TrustAnchors>>;
}

impl<T: X509Anchors + ?Sized> X509Anchors for &T {
    fn anchors(&self, identifier: &WorkloadIdentifier) -> Option<Arc<TrustAnchors>> {
        (**self).anchors(identifier)
    }
}

/// Keyed by origin: `wimse://example.com`, `spiffe://example.com`.
impl X509Anchors for BTreeMap<String, Arc<TrustAnchors>> {
    fn anchors(&self, identifier: &WorkloadIdentifier) -> Option<Arc<TrustAnchors>> {
        self.get(identifier.origin()).cloned()
    }
}

#[derive(Clone, Debug)]
struct Rules {
    provider: CryptoProvider,
    options: PathOptions,
}

impl Rules {
    fn new(provider: CryptoProvider, purpose: Purpose) -> Self {
        Self {
            provider,
            options: PathOptions::new(purpose),
        }
    }

    /// Identity first, then its trust domain, then the path to the anchors of that trust domain.
    fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        expected: impl FnOnce(&WorkloadIdentifier) -> bool,
        anchors: &(impl X509Anchors + ?Sized),
        now: UnixTime,
    ) -> Result<PeerIdentity, CertificateError> {
        let (leaf, intermediates) = chain.split_first().ok_or(CertificateError::Absent)?;
        let certificate = Certificate::parse(leaf)?;
        let mut uris = certificate.uri_names();
        let (Some(uri), None) = (uris.next(), uris.next()) else {
            return Err(CertificateError::UriCount {
                count: certificate.uri_names().count(),
            });
        };
        let identifier = WorkloadIdentifier::parse(uri);
        let identifier = identifier.and_then(|id| id.check_workload().map(|()| id));
        let identifier = identifier.map_err(|error| match error {
            Error::Identifier { problem } => CertificateError::Identifier { problem },
            _ => CertificateError::UriCount { count: 1 },
        })?;
        if !expected(&identifier) {
            return Err(CertificateError::UnexpectedTrustDomain);
        }
        let anchors = anchors
            .anchors(&identifier)
            .ok_or(CertificateError::UnknownTrustDomain)?;
        let path = verify_path(
            leaf,
            intermediates,
            &anchors,
            &self.options,
            self.provider.certificate_algorithms,
            now,
        )?;
        Ok(PeerIdentity {
            fingerprint: self.provider.sha256(leaf),
            not_after: path.not_after(),
            anchor: path.anchor().clone(),
            dns_name: None,
            identifier,
        })
    }
}

/// What a server checks of its clients. It lets nobody in without a certificate.
///
/// The TLS stack has to be told to require a client certificate in the handshake; asking for one later has no place
/// here.
#[derive(Clone, Debug)]
pub struct ClientVerifier {
    rules: Rules,
    trust_domains: BTreeSet<String>,
}

impl ClientVerifier {
    /// A verifier for clients of these trust domains, each with its scheme (`wimse://example.com`). Without any it
    /// refuses everybody.
    ///
    /// # Errors
    ///
    /// [`Error::Identifier`] for what is not a scheme and a trust domain.
    pub fn new<'a>(
        provider: CryptoProvider,
        trust_domains: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Error> {
        let mut origins = BTreeSet::new();
        for text in trust_domains {
            origins.insert(WorkloadIdentifier::parse_origin(text)?);
        }
        Ok(Self {
            rules: Rules::new(provider, Purpose::ClientAuth),
            trust_domains: origins,
        })
    }

    /// Refuses certificates without `extKeyUsage`, which otherwise serve every purpose.
    #[must_use]
    pub fn with_strict_key_usage(mut self) -> Self {
        self.rules.options.require_extended_key_usage = true;
        self
    }

    /// Refuses certificates that are valid for longer than this.
    #[must_use]
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Self {
        self.rules.options.max_lifetime = Some(lifetime);
        self
    }

    /// Verifies what a client sent in the handshake, leaf first. Who it is does not say what it may do: ask a
    /// [`PeerPolicy`] for that.
    ///
    /// # Errors
    ///
    /// [`CertificateError`], as [`Error::Certificate`]; an empty chain is [`CertificateError::Absent`].
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        anchors: &(impl X509Anchors + ?Sized),
        now: UnixTime,
    ) -> Result<PeerIdentity, Error> {
        let expected =
            |identifier: &WorkloadIdentifier| self.trust_domains.contains(identifier.origin());
        Ok(self.rules.verify(chain, expected, anchors, now)?)
    }
}

/// What a client checks of a server.
#[derive(Clone, Debug)]
pub struct ServerVerifier {
    rules: Rules,
    host: Option<DnsName<'static>>,
    policy: PeerPolicy,
}

impl ServerVerifier {
    /// For a server that is called by its DNS name: the name has to be a `dNSName` of the certificate, and the
    /// workload one of `policy`, which may be as wide as a trust domain.
    #[must_use]
    pub fn new(provider: CryptoProvider, host: DnsName<'static>, policy: PeerPolicy) -> Self {
        Self {
            rules: Rules::new(provider, Purpose::ServerAuth),
            host: Some(host),
            policy,
        }
    }

    /// For a server without a DNS name, which is known by its identity alone.
    #[must_use]
    pub fn by_identity_alone(provider: CryptoProvider, policy: PeerPolicy) -> Self {
        Self {
            rules: Rules::new(provider, Purpose::ServerAuth),
            host: None,
            policy,
        }
    }

    /// For one workload without a DNS name.
    ///
    /// # Errors
    ///
    /// [`Error::Identifier`] when `identifier` is not a Workload Identifier, or a trust domain alone.
    pub fn exactly(provider: CryptoProvider, identifier: &str) -> Result<Self, Error> {
        let identifier = WorkloadIdentifier::parse(identifier)?;
        identifier.check_workload()?;
        Ok(Self::by_identity_alone(
            provider,
            PeerPolicy::Exact(identifier),
        ))
    }

    /// Refuses certificates without `extKeyUsage`, which otherwise serve every purpose.
    #[must_use]
    pub fn with_strict_key_usage(mut self) -> Self {
        self.rules.options.require_extended_key_usage = true;
        self
    }

    /// Refuses certificates that are valid for longer than this.
    #[must_use]
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Self {
        self.rules.options.max_lifetime = Some(lifetime);
        self
    }

    /// Verifies what the server sent in the handshake, leaf first.
    ///
    /// # Errors
    ///
    /// [`CertificateError`], as [`Error::Certificate`]. The connection has to end then.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        anchors: &(impl X509Anchors + ?Sized),
        now: UnixTime,
    ) -> Result<PeerIdentity, Error> {
        let expected = |identifier: &WorkloadIdentifier| match &self.policy {
            PeerPolicy::TrustDomain(origin) => identifier.origin() == origin,
            PeerPolicy::Exact(one) => identifier.origin() == one.origin(),
            PeerPolicy::AnyOf(set) => set.iter().any(|one| one.origin() == identifier.origin()),
            // Says so itself, of the whole identifier.
            PeerPolicy::Custom(_) => true,
        };
        let mut peer = self.rules.verify(chain, expected, anchors, now)?;
        if let (Some(host), Some(leaf)) = (&self.host, chain.first()) {
            let certificate = Certificate::parse(leaf).map_err(CertificateError::from)?;
            let host = host.as_ref();
            if !certificate
                .dns_names()
                .any(|name| host::matches(name, host))
            {
                return Err(CertificateError::HostName.into());
            }
            peer.dns_name = Some(host.to_owned());
        }
        if self.policy.permits(&peer.identifier) {
            Ok(peer)
        } else {
            Err(CertificateError::UnexpectedPeer.into())
        }
    }
}

/// A peer whose certificate passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    identifier: WorkloadIdentifier,
    dns_name: Option<String>,
    not_after: UnixTime,
    fingerprint: [u8; 32],
    anchor: CertificateDer<'static>,
}

impl PeerIdentity {
    /// Who it is: the URI of the certificate.
    #[must_use]
    pub fn identifier(&self) -> &WorkloadIdentifier {
        &self.identifier
    }

    /// The DNS name that was verified as well, of a server.
    #[must_use]
    pub fn dns_name(&self) -> Option<&str> {
        self.dns_name.as_deref()
    }

    /// Until when the whole path is valid. Keep it with the session.
    #[must_use]
    pub fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// Whether the identity still counts. Ask with each request: connections and resumed sessions outlive
    /// certificates.
    #[must_use]
    pub fn is_valid_at(&self, now: UnixTime) -> bool {
        now <= self.not_after
    }

    /// SHA-256 of the certificate, for audit logs.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The anchor that the path ended in; it is one of the identifier's own trust domain.
    #[must_use]
    pub fn anchor(&self) -> &CertificateDer<'static> {
        &self.anchor
    }
}
