//! The validation of section 5: the leaf's own rules, then a path to its own trust domain's anchors.

use core::ops::Range;

use jose_x509::CryptoProvider;
use jose_x509::x509::{
    Certificate, PathOptions, Purpose, TrustAnchors, VerifiedPath, X509Error, verify_parsed_path,
};
use pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use spiffe_bundle::X509BundleSource;
use spiffe_id::{SpiffeId, SpiffeIdRef};

use crate::error::{Credential, Error};
use crate::identity::workload_id;

/// What the peer acts as, which its `extKeyUsage` has to allow if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PeerRole {
    /// The peer is a TLS client.
    Client,
    /// The peer is a TLS server.
    Server,
    /// No TLS role: any `extKeyUsage` is accepted.
    #[default]
    Unspecified,
}

/// What is demanded of the leaf's `keyUsage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeyUsagePolicy {
    /// It is there and has `digitalSignature`, as section 4.3 demands of issuers.
    #[default]
    Strict,
    /// It does not have `keyCertSign` or `cRLSign`: all that section 5.2 demands of validators.
    Lenient,
}

/// What the caller of [`verify`] decides. The default is the strictest, without a role.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// What the peer acts as.
    pub role: PeerRole,
    /// What is demanded of the leaf's `keyUsage`.
    pub key_usage: KeyUsagePolicy,
}

impl VerifyOptions {
    /// The defaults, for a peer in this role.
    #[must_use]
    pub const fn new(role: PeerRole) -> Self {
        Self {
            role,
            key_usage: KeyUsagePolicy::Strict,
        }
    }

    /// Another demand on `keyUsage`.
    #[must_use]
    pub const fn with_key_usage(mut self, policy: KeyUsagePolicy) -> Self {
        self.key_usage = policy;
        self
    }

    fn path_options(&self) -> PathOptions {
        let mut options = PathOptions::new(match self.role {
            PeerRole::Client => Purpose::ClientAuth,
            PeerRole::Server => Purpose::ServerAuth,
            PeerRole::Unspecified => Purpose::Unspecified,
        });
        options.require_digital_signature = self.key_usage == KeyUsagePolicy::Strict;
        options
    }
}

/// A valid X509-SVID, shown by somebody who has not yet proven to hold its key. Certificates are public: anybody
/// can show one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnprovenX509Svid {
    spiffe_id: SpiffeId,
    chain: Vec<CertificateDer<'static>>,
    /// Where the key is in the leaf.
    spki: Range<usize>,
    not_after: UnixTime,
}

impl UnprovenX509Svid {
    /// Whom it names. Whoever shows it may be somebody else.
    #[must_use]
    pub const fn unproven_spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The workload, for the chain of a TLS connection whose handshake is complete, which has shown that the peer
    /// holds the leaf's key. Of a chain from anywhere else, a header field for example, this must not be said.
    #[must_use]
    pub const fn proven_by_tls(self) -> X509Identity {
        X509Identity(self)
    }

    /// The certificates of the path from the leaf upwards, without the anchor.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The leaf's public key.
    #[must_use]
    pub fn spki(&self) -> SubjectPublicKeyInfoDer<'_> {
        let leaf = self.chain.first().map(AsRef::as_ref);
        let spki = leaf.and_then(|leaf: &[u8]| leaf.get(self.spki.clone()));
        SubjectPublicKeyInfoDer::from(spki.unwrap_or_default())
    }

    /// The last second in which the whole path is valid.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }

    fn new(spiffe_id: SpiffeId, path: &VerifiedPath<'_>) -> Self {
        let own = |certificate: &Certificate<'_>| CertificateDer::from(certificate.der().to_vec());
        let leaf = path.leaf();
        Self {
            spiffe_id,
            chain: std::iter::once(leaf)
                .chain(path.intermediates())
                .map(own)
                .collect(),
            spki: position(leaf.der(), leaf.spki_der()),
            not_after: path.not_after(),
        }
    }
}

/// A workload that has proven to hold the key of its X509-SVID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct X509Identity(UnprovenX509Svid);

impl X509Identity {
    /// The workload.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.0.spiffe_id
    }

    /// The certificates of the path from the leaf upwards, without the anchor.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        self.0.chain()
    }

    /// The leaf's public key.
    #[must_use]
    pub fn spki(&self) -> SubjectPublicKeyInfoDer<'_> {
        self.0.spki()
    }

    /// The last second in which the whole path is valid.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        self.0.not_after
    }
}

/// Where `part` is in `whole`, of which it is a slice.
fn position(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr().addr()).saturating_sub(whole.as_ptr().addr());
    start..start.saturating_add(part.len())
}

/// Verifies an X509-SVID at the time `now`.
///
/// `chain` is what the peer presented, the leaf first, the others in any order. The anchors are those of the
/// trust domain that the leaf names, and of no other. `algorithms` are the signature algorithms that are
/// accepted in certificates, such as `CryptoProvider::certificate_algorithms`. Names of hosts are never
/// compared, and nothing but the URI name is an identity.
///
/// What it returns is neither proven to be the peer's nor authorized.
///
/// # Errors
///
/// [`Error`], in this order: the leaf's form and name, its own rules, the bundle, the path.
pub fn verify(
    chain: &[CertificateDer<'_>],
    bundles: &(impl X509BundleSource + ?Sized),
    options: &VerifyOptions,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: UnixTime,
) -> Result<UnprovenX509Svid, Error> {
    let (leaf, intermediates) = chain.split_first().ok_or(Error::EmptyChain)?;
    let parsed = Certificate::parse(leaf).map_err(Error::X509)?;
    let spiffe_id = id_in(&parsed)?;
    if options.key_usage == KeyUsagePolicy::Strict && parsed.key_usage().is_none() {
        return Err(Error::NoKeyUsage);
    }
    let anchors = bundles.x509_authorities(spiffe_id.trust_domain());
    let missing = match anchors {
        Some(_) => Error::NoAuthorities {
            credential: Credential::X509,
        },
        None => Error::NoBundle {
            credential: Credential::X509,
        },
    };
    // An empty group lets the leaf's own faults come first and then refuses everything.
    let none = TrustAnchors::default();
    let anchors = anchors.as_deref().unwrap_or(&none);
    let options = options.path_options();
    let path = verify_parsed_path(parsed, intermediates, anchors, &options, algorithms, now)
        .map_err(|error| match error {
            X509Error::NoTrustAnchors => missing,
            other => Error::X509(other),
        })?;
    let Some(at) = path.intermediates().iter().position(is_misnamed) else {
        return Ok(UnprovenX509Svid::new(spiffe_id, &path));
    };
    // Extra certificates are ignored (section 5.1), also such as these: there may be a path without them. Only who
    // shows one pays for a second search.
    let others: Vec<CertificateDer<'_>> = intermediates
        .iter()
        .filter(|der| !Certificate::parse(*der).is_ok_and(|parsed| is_misnamed(&parsed)))
        .map(|der| CertificateDer::from(der.as_ref()))
        .collect();
    let leaf = path.leaf().clone();
    verify_parsed_path(leaf, &others, anchors, &options, algorithms, now)
        .map(|path| UnprovenX509Svid::new(spiffe_id, &path))
        .map_err(|_| Error::IntermediateId {
            index: at.saturating_add(1),
        })
}

/// [`verify`] with its options and algorithms. Immutable; threads share it.
#[derive(Clone, Debug)]
pub struct X509SvidVerifier {
    options: VerifyOptions,
    algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
}

impl X509SvidVerifier {
    /// A verifier that accepts the provider's signature algorithms.
    #[must_use]
    pub const fn new(provider: &CryptoProvider, options: VerifyOptions) -> Self {
        Self {
            options,
            algorithms: provider.certificate_algorithms,
        }
    }

    /// As [`verify`].
    ///
    /// # Errors
    ///
    /// As [`verify`].
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        bundles: &(impl X509BundleSource + ?Sized),
        now: UnixTime,
    ) -> Result<UnprovenX509Svid, Error> {
        verify(chain, bundles, &self.options, self.algorithms, now)
    }
}

/// The SPIFFE ID that a leaf has in its name. Only of a certificate that was verified, such as that of an
/// established TLS connection, is it an identity.
///
/// # Errors
///
/// [`Error::X509`], [`Error::NoUriName`], [`Error::SeveralUriNames`], [`Error::SpiffeId`], [`Error::NoPath`].
pub fn spiffe_id_of(leaf: &CertificateDer<'_>) -> Result<SpiffeId, Error> {
    id_in(&Certificate::parse(leaf).map_err(Error::X509)?)
}

pub(super) fn id_in(leaf: &Certificate<'_>) -> Result<SpiffeId, Error> {
    let mut uris = leaf.uri_names();
    let uri = uris.next().ok_or(Error::NoUriName)?;
    if uris.next().is_some() {
        return Err(Error::SeveralUriNames);
    }
    workload_id(uri, Credential::X509).map_err(|error| match error {
        // `spiffe://td/` has no path either.
        Error::SpiffeId { credential, .. }
            if uri.strip_suffix('/').is_some_and(|name| {
                SpiffeIdRef::parse(name).is_ok_and(|id| id.path().is_empty())
            }) =>
        {
            Error::NoPath { credential }
        }
        other => other,
    })
}

fn is_misnamed(intermediate: &Certificate<'_>) -> bool {
    intermediate.uri_names().any(names_a_workload)
}

/// For signing certificates: a SPIFFE ID with a path, or something that only looks like one. The form
/// `spiffe://td/` is tolerated, because the standard's own example has it.
fn names_a_workload(uri: &str) -> bool {
    let spiffe = uri
        .get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"));
    let name = uri.strip_suffix('/').unwrap_or(uri);
    spiffe && !SpiffeIdRef::parse(name).is_ok_and(|id| id.path().is_empty())
}
