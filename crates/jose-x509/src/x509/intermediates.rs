//! The intermediates that are given for a path.

use std::borrow::Cow;

use pki_types::{CertificateDer, UnixTime};

use super::certificate::Certificate;
use super::error::{CertificateProblem, X509Error};
use super::options::PathOptions;
use super::path::check_intermediate;

/// The intermediates that can be part of a path, and what is wrong with the others.
pub(super) struct Pool<'a> {
    certificates: Vec<Certificate<'a>>,
    pub(super) dropped: Vec<Dropped<'a>>,
}

/// One that was left out.
pub(super) struct Dropped<'a> {
    index: usize,
    subject: Option<&'a [u8]>,
    problem: CertificateProblem,
}

impl<'a> Pool<'a> {
    pub(super) fn new(
        leaf: &Certificate<'a>,
        intermediates: &'a [CertificateDer<'_>],
        options: &PathOptions,
        now: UnixTime,
    ) -> Self {
        let mut pool = Self {
            certificates: Vec::with_capacity(intermediates.len()),
            dropped: Vec::new(),
        };
        for (der, index) in intermediates.iter().zip(1..) {
            let twice = pool
                .certificates
                .iter()
                .any(|other| other.der() == der.as_ref());
            if twice || leaf.der() == der.as_ref() {
                continue;
            }
            match Certificate::from_der(der) {
                Err(problem) => pool.dropped.push(Dropped {
                    index,
                    subject: None,
                    problem,
                }),
                Ok(certificate) => match check_intermediate(&certificate, options, now) {
                    Err(problem) => {
                        let subject = Some(certificate.subject());
                        pool.dropped.push(Dropped {
                            index,
                            subject,
                            problem,
                        });
                    }
                    Ok(()) => pool.certificates.push(certificate),
                },
            }
        }
        pool
    }

    /// The same certificates in the engine's type: the input, if none was left out.
    pub(super) fn candidates<'i>(
        &self,
        input: &'i [CertificateDer<'_>],
    ) -> Cow<'i, [CertificateDer<'i>]>
    where
        'a: 'i,
    {
        if self.certificates.len() == input.len() {
            return Cow::Borrowed(input);
        }
        let ders = self.certificates.iter().map(Certificate::der);
        Cow::Owned(ders.map(CertificateDer::from).collect())
    }

    pub(super) fn find(&self, certificate: &webpki::Cert<'_>) -> Option<&Certificate<'a>> {
        // The engine copies nothing.
        let der = certificate.der();
        self.certificates
            .iter()
            .find(|parsed| core::ptr::eq(parsed.der(), &*der))
    }

    /// Those of a path, in its order.
    pub(super) fn into_path(
        self,
        path: &webpki::VerifiedPath<'_>,
    ) -> Result<Vec<Certificate<'a>>, X509Error> {
        let mut found = path
            .intermediate_certificates()
            .map(|certificate| self.find(certificate));
        let in_order = self.certificates.iter().all(|parsed| {
            found
                .next()
                .flatten()
                .is_some_and(|other| core::ptr::eq(parsed, other))
        });
        if in_order && found.next().is_none() {
            return Ok(self.certificates);
        }
        path.intermediate_certificates()
            .map(|certificate| {
                self.find(certificate)
                    .cloned()
                    .ok_or(X509Error::RefusedByEngine)
            })
            .collect()
    }

    /// Why a certificate was left out whose subject is an issuer that the path lacks.
    pub(super) fn missing_link(&self, leaf: &Certificate<'_>) -> Option<X509Error> {
        let wanted = |subject: &[u8]| {
            subject == leaf.issuer() || self.certificates.iter().any(|c| c.issuer() == subject)
        };
        let link = self
            .dropped
            .iter()
            .find(|dropped| dropped.subject.is_some_and(wanted))?;
        Some(X509Error::Certificate {
            index: link.index,
            problem: link.problem,
        })
    }
}
