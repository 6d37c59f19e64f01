//! Configured trust anchors.

use pki_types::{CertificateDer, TrustAnchor, UnixTime};

use super::certificate::Certificate;
use super::error::CertificateProblem;

/// Most anchors in one group.
pub const MAX_ANCHORS: usize = 1024;

/// One group of trust anchors, such as those of one trust domain. A path is valid only within the group
/// that the caller chose before validation; an empty group refuses everything.
///
/// An anchor is a CA certificate, self-signed or not. One that cannot issue certificates is left out
/// and reported by [`dropped`](Self::dropped), so that it does not take the others down with it.
/// Whether an anchor is valid is checked with each path.
#[derive(Clone, Debug, Default)]
pub struct TrustAnchors {
    // Two lists in step: the engine wants its own type in a slice.
    engine: Vec<TrustAnchor<'static>>,
    entries: Vec<Anchor>,
    dropped: Vec<DroppedAnchor>,
}

/// A certificate that does not serve as anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedAnchor {
    /// Its position in the list that the group was made from.
    pub index: usize,
    /// What is wrong with it.
    pub problem: CertificateProblem,
}

/// What the path rules need of an anchor.
#[derive(Clone, Debug)]
pub(super) struct Anchor {
    pub(super) der: CertificateDer<'static>,
    pub(super) not_before: UnixTime,
    pub(super) not_after: UnixTime,
    pub(super) path_len: Option<u8>,
    pub(super) has_key_usage: bool,
    pub(super) constrains_email: bool,
}

impl TrustAnchors {
    /// Makes a group. A certificate that is there twice counts once.
    #[must_use]
    pub fn new<'c>(certificates: impl IntoIterator<Item = CertificateDer<'c>>) -> Self {
        let mut group = Self::default();
        for (index, der) in certificates.into_iter().enumerate() {
            if group.entries.iter().any(|entry| entry.der == der) {
                continue;
            }
            match group.prepare(&der) {
                Ok((anchor, entry)) => {
                    group.engine.push(anchor);
                    group.entries.push(entry);
                }
                // Keeps the report as bounded as the group.
                Err(problem) if group.dropped.len() < MAX_ANCHORS => {
                    group.dropped.push(DroppedAnchor { index, problem });
                }
                Err(_) => {}
            }
        }
        group
    }

    /// How many anchors serve.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no anchor serves.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The anchors that serve, in order, without duplicates.
    pub fn certificates(&self) -> impl ExactSizeIterator<Item = &CertificateDer<'static>> {
        self.entries.iter().map(|entry| &entry.der)
    }

    /// The certificates that do not serve, and why. At most [`MAX_ANCHORS`] are reported.
    #[must_use]
    pub fn dropped(&self) -> &[DroppedAnchor] {
        &self.dropped
    }

    pub(super) fn engine(&self) -> &[TrustAnchor<'static>] {
        &self.engine
    }

    pub(super) fn entries(&self) -> &[Anchor] {
        &self.entries
    }

    fn prepare(
        &self,
        der: &CertificateDer<'_>,
    ) -> Result<(TrustAnchor<'static>, Anchor), CertificateProblem> {
        let certificate = Certificate::from_der(der)?;
        super::path::check_issuer(&certificate)?;
        if self.entries.len() >= MAX_ANCHORS {
            return Err(CertificateProblem::TooManyAnchors { limit: MAX_ANCHORS });
        }
        let anchor = webpki::anchor_from_trusted_cert(der)
            .map_err(|_| CertificateProblem::RefusedByEngine)?
            .to_owned();
        let entry = Anchor {
            der: der.clone().into_owned(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            path_len: certificate
                .basic_constraints()
                .and_then(|constraints| constraints.path_len),
            has_key_usage: certificate.key_usage().is_some(),
            constrains_email: certificate.constrains_email(),
        };
        Ok((anchor, entry))
    }
}
