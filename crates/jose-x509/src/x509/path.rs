//! Path validation (RFC 5280, section 6) with `rustls-webpki` as engine.
//!
//! The rules that concern one certificate alone are applied before the engine runs: a leaf that breaks
//! one is fatal, an intermediate is left out of the search. The rules that concern a finished path run in
//! the engine's callback, so that a refused path does not end the search for another one.

use core::cell::Cell;

use pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter};

use super::anchors::{Anchor, TrustAnchors};
use super::certificate::Certificate;
use super::error::{CertificateProblem, X509Error};
use super::intermediates::Pool;
use super::options::{PathOptions, Purpose};

/// A path that passed every check. The leaf's key and names are to be taken from here.
#[derive(Clone, Debug)]
pub struct VerifiedPath<'a> {
    leaf: Certificate<'a>,
    intermediates: Vec<Certificate<'a>>,
    anchor_index: usize,
    anchor: &'a CertificateDer<'static>,
    not_after: UnixTime,
    dropped: usize,
}

impl<'a> VerifiedPath<'a> {
    /// The leaf.
    #[must_use]
    pub const fn leaf(&self) -> &Certificate<'a> {
        &self.leaf
    }

    /// The intermediates of the path, from the leaf's issuer upwards, without the anchor.
    #[must_use]
    pub fn intermediates(&self) -> &[Certificate<'a>] {
        &self.intermediates
    }

    /// The position of the anchor among [`TrustAnchors::certificates`].
    #[must_use]
    pub const fn anchor_index(&self) -> usize {
        self.anchor_index
    }

    /// The anchor that ends the path.
    #[must_use]
    pub const fn anchor(&self) -> &'a CertificateDer<'static> {
        self.anchor
    }

    /// The earliest `notAfter` of the path, the anchor included: the last second it is valid.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// How many intermediates of the input were left out because they cannot be part of a path.
    #[must_use]
    pub const fn dropped_intermediates(&self) -> usize {
        self.dropped
    }
}

/// Validates `leaf` at the time `now` up to one of `anchors`.
///
/// `intermediates` may be in any order and may have more certificates than the path needs. `algorithms`
/// are the signature algorithms accepted in the path.
///
/// ```
/// use jose_x509::x509::{PathOptions, Purpose, TrustAnchors, X509Error, verify_path};
/// use pki_types::{CertificateDer, UnixTime};
///
/// let leaf = CertificateDer::from(&b"not a certificate"[..]);
/// let anchors = TrustAnchors::new([]);
/// let options = PathOptions::new(Purpose::ClientAuth);
/// let result = verify_path(&leaf, &[], &anchors, &options, &[], UnixTime::since_unix_epoch(Default::default()));
/// assert!(matches!(result, Err(X509Error::Certificate { index: 0, .. })));
/// ```
///
/// # Errors
///
/// Any [`X509Error`] but `Pem`: for the leaf what is wrong with it, for the rest of the path the most
/// specific cause among the paths that were tried.
pub fn verify_path<'a>(
    leaf: &'a CertificateDer<'_>,
    intermediates: &'a [CertificateDer<'_>],
    anchors: &'a TrustAnchors,
    options: &PathOptions,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: UnixTime,
) -> Result<VerifiedPath<'a>, X509Error> {
    check_input(leaf, intermediates, options)?;
    let leaf = Certificate::parse(leaf)?;
    verify_parsed_path(leaf, intermediates, anchors, options, algorithms, now)
}

/// As [`verify_path`], for a leaf that was parsed before, for example to choose the anchors by its names.
///
/// # Errors
///
/// As [`verify_path`].
pub fn verify_parsed_path<'a>(
    parsed_leaf: Certificate<'a>,
    intermediates: &'a [CertificateDer<'_>],
    anchors: &'a TrustAnchors,
    options: &PathOptions,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: UnixTime,
) -> Result<VerifiedPath<'a>, X509Error> {
    check_input(parsed_leaf.der(), intermediates, options)?;
    let leaf_problem = |problem| X509Error::Certificate { index: 0, problem };
    check_leaf(&parsed_leaf, options, now).map_err(leaf_problem)?;
    if anchors.is_empty() {
        return Err(X509Error::NoTrustAnchors);
    }

    let pool = Pool::new(&parsed_leaf, intermediates, options, now);
    let candidates = pool.candidates(intermediates);
    let engine_leaf_der = CertificateDer::from(parsed_leaf.der());
    let engine_leaf =
        EndEntityCert::try_from(&engine_leaf_der).map_err(|_| X509Error::RefusedByEngine)?;
    let refused = Cell::new(None);
    let accepted = Cell::new(None);
    let judge = |path: &webpki::VerifiedPath<'_>| {
        match judge_path(&parsed_leaf, path, &pool, anchors, options, now) {
            Ok(judged) => {
                accepted.set(Some(judged));
                Ok(())
            }
            Err(error) => {
                if refused.get().is_none() {
                    refused.set(Some(error));
                }
                // What is reported is kept above; the engine only needs to look further.
                Err(webpki::Error::UnknownIssuer)
            }
        }
    };
    let result = engine_leaf.verify_for_usage(
        algorithms,
        anchors.engine(),
        &candidates,
        now,
        PurposeListed(options.purpose),
        None,
        Some(&judge),
    );
    // The engine's path is large, so it stays where it is.
    let path = match &result {
        Ok(path) => path,
        Err(error) => return Err(report(error, refused.get(), &parsed_leaf, &pool)),
    };

    // The engine returns the first path that was accepted.
    let judged = accepted.get().ok_or(X509Error::RefusedByEngine)?;
    let dropped = pool.dropped.len();
    let intermediates = pool.into_path(path)?;
    Ok(VerifiedPath {
        leaf: parsed_leaf,
        intermediates,
        anchor_index: judged.anchor_index,
        anchor: &judged.anchor.der,
        not_after: judged.not_after,
        dropped,
    })
}

fn check_input(
    leaf: &[u8],
    intermediates: &[CertificateDer<'_>],
    options: &PathOptions,
) -> Result<(), X509Error> {
    if intermediates.len() >= options.max_certificates {
        return Err(X509Error::TooManyCertificates {
            limit: options.max_certificates,
        });
    }
    let size = intermediates
        .iter()
        .fold(leaf.len(), |sum, der| sum.saturating_add(der.len()));
    if size > options.max_chain_size {
        return Err(X509Error::ChainTooLarge {
            limit: options.max_chain_size,
        });
    }
    Ok(())
}

fn check_leaf(
    leaf: &Certificate<'_>,
    options: &PathOptions,
    now: UnixTime,
) -> Result<(), CertificateProblem> {
    check_critical(leaf)?;
    if leaf.is_ca() {
        return Err(CertificateProblem::CaUsedAsLeaf);
    }
    if let Some(usage) = leaf.key_usage() {
        if usage.key_cert_sign() || usage.crl_sign() {
            return Err(CertificateProblem::LeafWithCaKeyUsage);
        }
        if options.require_digital_signature && !usage.digital_signature() {
            return Err(CertificateProblem::DigitalSignatureMissing);
        }
    }
    if leaf.has_name_constraints() {
        return Err(CertificateProblem::NameConstraintsInLeaf);
    }
    if options.require_extended_key_usage && leaf.extended_key_usages().is_none() {
        return Err(CertificateProblem::PurposeNotAllowed);
    }
    check_purpose(leaf, options.purpose)?;
    check_validity(leaf.not_before(), leaf.not_after(), now)?;

    let not_after = leaf.not_after().as_secs();
    let lifetime = not_after.saturating_sub(leaf.not_before().as_secs());
    if options
        .max_lifetime
        .is_some_and(|limit| lifetime > limit.as_secs())
    {
        return Err(CertificateProblem::LifetimeTooLong);
    }
    let remaining = not_after.saturating_sub(now.as_secs());
    if options
        .min_remaining
        .is_some_and(|limit| remaining < limit.as_secs())
    {
        return Err(CertificateProblem::RemainingLifetimeTooShort);
    }
    Ok(())
}

/// The rules for whoever issues certificates, an anchor or an intermediate.
pub(super) fn check_issuer(issuer: &Certificate<'_>) -> Result<(), CertificateProblem> {
    check_critical(issuer)?;
    if !issuer.is_ca() {
        return Err(CertificateProblem::NotCa);
    }
    if issuer
        .key_usage()
        .is_some_and(|usage| !usage.key_cert_sign())
    {
        return Err(CertificateProblem::KeyCertSignMissing);
    }
    Ok(())
}

pub(super) fn check_intermediate(
    certificate: &Certificate<'_>,
    options: &PathOptions,
    now: UnixTime,
) -> Result<(), CertificateProblem> {
    check_issuer(certificate)?;
    if options.require_ca_key_usage && certificate.key_usage().is_none() {
        return Err(CertificateProblem::KeyUsageMissing);
    }
    check_purpose(certificate, options.purpose)?;
    check_validity(certificate.not_before(), certificate.not_after(), now)
}

fn check_critical(certificate: &Certificate<'_>) -> Result<(), CertificateProblem> {
    match certificate.unsupported_critical_extension() {
        Some(_) => Err(CertificateProblem::UnsupportedCriticalExtension),
        None => Ok(()),
    }
}

fn check_purpose(
    certificate: &Certificate<'_>,
    purpose: Purpose,
) -> Result<(), CertificateProblem> {
    let Some(listed) = certificate.extended_key_usages() else {
        return Ok(());
    };
    let all = purpose
        .wanted()
        .iter()
        .flatten()
        .all(|wanted| listed.clone().any(|oid| oid == *wanted));
    if all {
        Ok(())
    } else {
        Err(CertificateProblem::PurposeNotAllowed)
    }
}

fn check_validity(
    not_before: UnixTime,
    not_after: UnixTime,
    now: UnixTime,
) -> Result<(), CertificateProblem> {
    if now < not_before {
        Err(CertificateProblem::NotYetValid)
    } else if now > not_after {
        Err(CertificateProblem::Expired)
    } else {
        Ok(())
    }
}

/// What the rules for a path found out about one that they accept.
#[derive(Clone, Copy)]
struct JudgedPath<'p> {
    anchor_index: usize,
    anchor: &'p Anchor,
    not_after: UnixTime,
}

/// The rules for a path whose signatures and name constraints the engine has checked.
fn judge_path<'p>(
    leaf: &Certificate<'_>,
    path: &webpki::VerifiedPath<'_>,
    pool: &Pool<'_>,
    anchors: &'p TrustAnchors,
    options: &PathOptions,
    now: UnixTime,
) -> Result<JudgedPath<'p>, X509Error> {
    let found = anchors
        .engine()
        .iter()
        .position(|anchor| core::ptr::eq(anchor, path.anchor()));
    let anchor_index = found.ok_or(X509Error::RefusedByEngine)?;
    let anchor = anchors
        .entries()
        .get(anchor_index)
        .ok_or(X509Error::RefusedByEngine)?;
    let refuse = |problem| X509Error::Anchor {
        index: anchor_index,
        problem,
    };
    let mut count = 0;
    let mut not_after = leaf.not_after().min(anchor.not_after);
    for certificate in path.intermediate_certificates() {
        let parsed = pool.find(certificate).ok_or(X509Error::RefusedByEngine)?;
        not_after = not_after.min(parsed.not_after());
        count += 1;
    }

    check_validity(anchor.not_before, anchor.not_after, now).map_err(refuse)?;
    if options.require_ca_key_usage && !anchor.has_key_usage {
        return Err(refuse(CertificateProblem::KeyUsageMissing));
    }
    if anchor
        .path_len
        .is_some_and(|limit| count > usize::from(limit))
    {
        return Err(X509Error::PathLenExceeded);
    }
    // The engine looks for e-mail addresses in the subjectAltName only.
    let mut constrained = anchor.constrains_email;
    for certificate in path.intermediate_certificates().rev() {
        let parsed = pool.find(certificate).ok_or(X509Error::RefusedByEngine)?;
        if constrained && parsed.subject_has_email() {
            return Err(X509Error::NameConstraintViolation);
        }
        constrained |= parsed.constrains_email();
    }
    if constrained && leaf.subject_has_email() {
        return Err(X509Error::NameConstraintViolation);
    }
    Ok(JudgedPath {
        anchor_index,
        anchor,
        not_after,
    })
}

/// The engine's share of the check: an `extKeyUsage`, if there is one, lists the purpose.
struct PurposeListed(Purpose);

impl ExtendedKeyUsageValidator for PurposeListed {
    fn validate(&self, listed: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut open = self.0.wanted();
        let mut empty = true;
        for id in listed {
            let id = id?;
            empty = false;
            for wanted in &mut open {
                if wanted.is_some_and(|oid| KeyPurposeId::new(oid) == id) {
                    *wanted = None;
                }
            }
        }
        match open.into_iter().flatten().next() {
            Some(oid) if !empty => {
                let required = webpki::KeyUsage::required_if_present(oid);
                let context = webpki::RequiredEkuNotFoundContext {
                    required,
                    present: Vec::new(),
                };
                Err(webpki::Error::RequiredEkuNotFoundContext(context))
            }
            _ => Ok(()),
        }
    }
}

/// The most specific cause. `refused`: why the first complete path was refused, if there was one.
fn report(
    error: &webpki::Error,
    refused: Option<X509Error>,
    leaf: &Certificate<'_>,
    pool: &Pool<'_>,
) -> X509Error {
    use webpki::Error as E;
    match error {
        E::MaximumSignatureChecksExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumNameConstraintComparisonsExceeded => return X509Error::TooComplex,
        _ => {}
    }
    if let Some(refused) = refused {
        return refused;
    }
    match error {
        E::MaximumPathDepthExceeded => X509Error::TooComplex,
        E::InvalidSignatureForPublicKey => X509Error::InvalidSignature,
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            X509Error::UnsupportedSignatureAlgorithm
        }
        E::NameConstraintViolation => X509Error::NameConstraintViolation,
        E::PathLenConstraintViolated => X509Error::PathLenExceeded,
        E::UnknownIssuer => pool.missing_link(leaf).unwrap_or(X509Error::UnknownIssuer {
            dropped: pool.dropped.len(),
        }),
        _ => X509Error::RefusedByEngine,
    }
}
