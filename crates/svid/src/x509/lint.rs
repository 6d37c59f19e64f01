//! The field table of Appendix A as a check of certificates that somebody issues.

use std::fmt;

use der::{Reader, SliceReader, Tag, TagNumber};
use jose_x509::KeyKind;
use jose_x509::x509::{Certificate, CertificateKey};
use pki_types::CertificateDer;
use spiffe_id::SpiffeIdRef;

use super::profile::{may_agree, may_encipher};
use super::request::whole;
use crate::error::Error;

/// What a certificate is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The X509-SVID of a workload.
    Leaf,
    /// A signing certificate.
    Signing,
}

/// A field of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// `subjectAltName`.
    SubjectAltName,
    /// `basicConstraints`.
    BasicConstraints,
    /// `nameConstraints`.
    NameConstraints,
    /// `keyUsage`.
    KeyUsage,
    /// `extKeyUsage`.
    ExtendedKeyUsage,
}

impl Field {
    /// Its name in RFC 5280.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SubjectAltName => "subjectAltName",
            Self::BasicConstraints => "basicConstraints",
            Self::NameConstraints => "nameConstraints",
            Self::KeyUsage => "keyUsage",
            Self::ExtendedKeyUsage => "extKeyUsage",
        }
    }
}

/// A rule for issuers that a certificate breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The field.
    pub field: Field,
    /// What the rule asks for.
    pub rule: &'static str,
    /// The requirement, an id of `docs/conformance`.
    pub requirement: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field.name(), self.rule)
    }
}

/// Holds a certificate against the table. An empty list says that its issuer keeps every rule; validators
/// demand less.
///
/// # Errors
///
/// [`Error::X509`] for bytes that are no certificate.
pub fn lint(certificate: &CertificateDer<'_>, kind: Kind) -> Result<Vec<Finding>, Error> {
    let parsed = Certificate::parse(certificate).map_err(Error::X509)?;
    let mut findings = Vec::new();
    let mut check = |kept: bool, field, rule, requirement| {
        if !kept {
            findings.push(Finding {
                field,
                rule,
                requirement,
            });
        }
    };
    let uris: Vec<&str> = parsed.uri_names().collect();
    let id = match uris.as_slice() {
        [one] => SpiffeIdRef::parse(one).ok(),
        _ => None,
    };
    let usage = parsed.key_usage();
    let has = |bit: fn(jose_x509::x509::KeyUsage) -> bool| usage.is_some_and(bit);
    check(
        usage.is_some() && key_usage_is_critical(certificate),
        Field::KeyUsage,
        "is there and critical",
        "X509-SVID-4.3-1",
    );
    match kind {
        Kind::Leaf => {
            check(
                id.is_some_and(|id| !id.path().is_empty()),
                Field::SubjectAltName,
                "has one URI, a SPIFFE ID with a path",
                "X509-SVID-2-2",
            );
            check(
                !parsed.is_ca(),
                Field::BasicConstraints,
                "has no cA",
                "X509-SVID-4.1-3",
            );
            check(
                !parsed.has_name_constraints(),
                Field::NameConstraints,
                "is on signing certificates alone",
                "X509-SVID-4.2-3",
            );
            check(
                has(|u| u.digital_signature()),
                Field::KeyUsage,
                "has digitalSignature",
                "X509-SVID-4.3-4",
            );
            check(
                !has(|u| u.key_cert_sign()) && !has(|u| u.crl_sign()),
                Field::KeyUsage,
                "has neither keyCertSign nor cRLSign",
                "X509-SVID-4.3-6",
            );
            let kind = key_kind(parsed.key());
            check(
                !has(|u| u.key_encipherment()) || kind.is_some_and(may_encipher),
                Field::KeyUsage,
                "has keyEncipherment for RSA keys alone",
                "X509-SVID-4.3-8",
            );
            check(
                !has(|u| u.key_agreement()) || kind.is_some_and(may_agree),
                Field::KeyUsage,
                "has keyAgreement for keys of ECDSA alone",
                "X509-SVID-4.3-8",
            );
            let purposes: Option<Vec<&[u8]>> = parsed.extended_key_usages().map(Iterator::collect);
            check(
                purposes.is_none_or(|listed| {
                    use jose_x509::x509::eku::{CLIENT_AUTH, SERVER_AUTH};
                    listed.contains(&SERVER_AUTH) && listed.contains(&CLIENT_AUTH)
                }),
                Field::ExtendedKeyUsage,
                "lists serverAuth and clientAuth",
                "X509-SVID-4.4-3",
            );
        }
        Kind::Signing => {
            check(
                uris.is_empty() || id.is_some_and(|id| id.path().is_empty()),
                Field::SubjectAltName,
                "has one URI at most, a SPIFFE ID without a path",
                "X509-SVID-3.2-3",
            );
            check(
                parsed.is_ca(),
                Field::BasicConstraints,
                "has cA",
                "X509-SVID-4.1-2",
            );
            check(
                has(|u| u.key_cert_sign()),
                Field::KeyUsage,
                "has keyCertSign",
                "X509-SVID-4.3-2",
            );
            check(
                !has(|u| u.digital_signature() || u.key_encipherment() || u.key_agreement()),
                Field::KeyUsage,
                "has nothing that is for leaves",
                "X509-SVID-AppA-2",
            );
        }
    }
    Ok(findings)
}

const fn key_kind(key: CertificateKey) -> Option<KeyKind> {
    Some(match key {
        CertificateKey::P256 => KeyKind::P256,
        CertificateKey::P384 => KeyKind::P384,
        CertificateKey::P521 => KeyKind::P521,
        CertificateKey::Ed25519 => KeyKind::Ed25519,
        CertificateKey::Rsa { .. } => KeyKind::Rsa,
        _ => return None,
    })
}

/// The strict view of a certificate does not keep this one. Object identifiers are compared as they are encoded:
/// not every good one fits into a type.
fn key_usage_is_critical(certificate: &CertificateDer<'_>) -> bool {
    let read = || -> der::Result<bool> {
        let mut outer = SliceReader::new(whole(certificate, Tag::Sequence)?)?;
        let mut tbs = SliceReader::new(whole(outer.tlv_bytes()?, Tag::Sequence)?)?;
        let mut last = tbs.tlv_bytes()?;
        while !tbs.is_finished() {
            last = tbs.tlv_bytes()?;
        }
        let list = whole(whole(last, EXTENSIONS)?, Tag::Sequence)?;
        let mut list = SliceReader::new(list)?;
        while !list.is_finished() {
            let mut extension = SliceReader::new(whole(list.tlv_bytes()?, Tag::Sequence)?)?;
            if extension.tlv_bytes()? == KEY_USAGE {
                return Ok(extension.tlv_bytes()? == [0x01, 0x01, 0xff]);
            }
        }
        Ok(false)
    };
    read().unwrap_or(false)
}

const EXTENSIONS: Tag = Tag::ContextSpecific {
    constructed: true,
    number: TagNumber(3),
};
/// DER of id-ce-keyUsage.
const KEY_USAGE: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x0f];
