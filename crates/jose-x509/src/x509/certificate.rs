//! A strict view over the DER of one certificate (RFC 5280, section 4.1).

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use pki_types::UnixTime;

use der::Tag;

use super::asn1::{Input, Result, constructed, octets, primitive};
use super::error::{CertificateProblem, Field, X509Error};
use super::extensions::{
    BasicConstraints, ExtendedKeyUsages, KeyUsage, authority_key_identifier, name_constraints,
    subject_key_identifier,
};
use super::key::{self, CertificateKey};
use super::names::{
    GeneralName, GeneralNames, NameCounts, distinguished_name, parse_alternative_names,
};
use super::time;

/// Largest certificate, in octets.
pub const MAX_CERTIFICATE_SIZE: usize = 32 * 1024;

/// Most extensions in one certificate.
pub const MAX_EXTENSIONS: usize = 64;

/// A certificate that is well formed. Nothing about it is verified: neither its signature, nor its
/// validity, nor who issued it. Everything borrows from the DER.
///
/// ```
/// # fn show(der: &[u8]) -> Result<(), jose_x509::x509::X509Error> {
/// let certificate = jose_x509::x509::Certificate::parse(der)?;
/// for uri in certificate.uri_names() {
///     println!("{uri} until {}", certificate.not_after().as_secs());
/// }
/// # Ok(()) }
/// # assert!(show(b"not a certificate").is_err());
/// ```
#[derive(Clone)]
pub struct Certificate<'a> {
    der: &'a [u8],
    serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    subject_has_email: bool,
    /// Seconds since 1970, as is the other one.
    not_before: u64,
    not_after: u64,
    spki: &'a [u8],
    key: CertificateKey,
    extensions: Extensions<'a>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate. `der` is also a `CertificateDer`, by reference.
    ///
    /// # Errors
    ///
    /// [`X509Error::Certificate`] with index 0 if the bytes are not one v3 certificate in DER within the
    /// limits, if a processed extension is malformed or twice there, or if the key is weak or of a kind
    /// that is not supported. A critical extension that is not processed is no error yet:
    /// see [`unsupported_critical_extension`](Self::unsupported_critical_extension).
    pub fn parse<B: AsRef<[u8]> + ?Sized>(der: &'a B) -> core::result::Result<Self, X509Error> {
        Self::from_der(der.as_ref()).map_err(|problem| X509Error::Certificate { index: 0, problem })
    }

    /// The DER `SubjectPublicKeyInfo` of a certificate on which nothing rests, such as the `x5c` of a key, which gives it no
    /// trust: of any version and with any extensions. Keycloak publishes its keys with certificates of version 1.
    pub(crate) fn certified_key(der: &'a [u8]) -> Option<&'a [u8]> {
        if der.len() > MAX_CERTIFICATE_SIZE {
            return None;
        }
        let read = || {
            let mut outer = Input::new(der, Field::Certificate);
            let mut certificate = outer.nested(Tag::Sequence)?;
            outer.finish()?;
            let tbs = certificate.element(Tag::Sequence)?;
            certificate.element(Tag::Sequence)?;
            certificate.element(Tag::BitString)?;
            certificate.finish()?;
            let mut tbs = Input::part(tbs.value, Field::TbsCertificate);
            tbs.optional(constructed(0))?;
            tbs.element(Tag::Integer)?;
            // Signature algorithm, issuer, validity, subject.
            for _ in 0..4 {
                tbs.element(Tag::Sequence)?;
            }
            Ok(tbs.element(Tag::Sequence)?.whole)
        };
        let key: Result<&'a [u8]> = read();
        key.ok()
    }

    pub(crate) fn from_der(der: &'a [u8]) -> Result<Self> {
        if der.len() > MAX_CERTIFICATE_SIZE {
            return Err(CertificateProblem::TooLarge {
                limit: MAX_CERTIFICATE_SIZE,
            });
        }
        let mut outer = Input::new(der, Field::Certificate);
        let mut certificate = outer.nested(Tag::Sequence)?;
        outer.finish()?;
        let tbs = certificate.element(Tag::Sequence)?;
        let algorithm = certificate.element(Tag::Sequence)?;
        let signature = certificate.value(Tag::BitString)?;
        certificate.finish()?;
        if octets(signature).is_none_or(<[u8]>::is_empty) {
            return Err(CertificateProblem::Malformed {
                field: Field::SignatureValue,
            });
        }

        let mut tbs = Input::part(tbs.value, Field::TbsCertificate);
        let version = tbs.optional(constructed(0))?;
        if version != Some(&[0x02, 0x01, 0x02]) {
            return Err(CertificateProblem::UnsupportedVersion);
        }
        let serial = tbs.value(Tag::Integer)?;
        if tbs.element(Tag::Sequence)?.whole != algorithm.whole {
            return Err(CertificateProblem::SignatureAlgorithmMismatch);
        }
        check_algorithm(algorithm.value)?;
        let issuer = tbs.element(Tag::Sequence)?;
        let issuer_facts = distinguished_name(Input::part(issuer.value, Field::Issuer))?;
        if issuer_facts.empty {
            return Err(CertificateProblem::EmptyIssuer);
        }
        let (not_before, not_after) = validity(tbs.value(Tag::Sequence)?)?;
        let subject = tbs.element(Tag::Sequence)?;
        let subject_facts = distinguished_name(Input::part(subject.value, Field::Subject))?;
        let spki = tbs.element(Tag::Sequence)?;
        let key = key::parse(spki.whole)?;
        if tbs.optional(primitive(1))?.is_some() || tbs.optional(primitive(2))?.is_some() {
            return Err(CertificateProblem::UniqueIdentifier);
        }
        let extensions = match tbs.optional(constructed(3))? {
            Some(value) => Extensions::parse(value)?,
            None => Extensions::default(),
        };
        tbs.finish()?;

        if subject_facts.empty && extensions.is_ca() {
            return Err(CertificateProblem::EmptySubject);
        }
        if subject_facts.empty && !extensions.alternative_names_critical {
            return Err(CertificateProblem::EmptySubject);
        }
        Ok(Self {
            der,
            serial,
            issuer: issuer.whole,
            subject: subject.whole,
            subject_has_email: subject_facts.has_email,
            not_before,
            not_after,
            spki: spki.whole,
            key,
            extensions,
        })
    }

    /// The certificate's bytes. There is only one encoding, so a hash of them is a thumbprint.
    #[must_use]
    pub const fn der(&self) -> &'a [u8] {
        self.der
    }

    /// The content octets of `serialNumber`, which can be negative, zero or long. No identity.
    #[must_use]
    pub const fn serial(&self) -> &'a [u8] {
        self.serial
    }

    /// The DER of `issuer`.
    #[must_use]
    pub const fn issuer(&self) -> &'a [u8] {
        self.issuer
    }

    /// The DER of `subject`, which is never used as an identity.
    #[must_use]
    pub const fn subject(&self) -> &'a [u8] {
        self.subject
    }

    /// Whether issuer and subject have the same DER.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// The first second of validity.
    #[must_use]
    pub const fn not_before(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.not_before))
    }

    /// The last second of validity.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.not_after))
    }

    /// The DER of `subjectPublicKeyInfo`.
    #[must_use]
    pub const fn spki_der(&self) -> &'a [u8] {
        self.spki
    }

    /// The kind of the key.
    #[must_use]
    pub const fn key(&self) -> CertificateKey {
        self.key
    }

    /// The `subjectKeyIdentifier`: a hint, no identity.
    #[must_use]
    pub const fn subject_key_identifier(&self) -> Option<&'a [u8]> {
        self.extensions.subject_key_identifier
    }

    /// The `keyIdentifier` of the `authorityKeyIdentifier`: a hint.
    #[must_use]
    pub const fn authority_key_identifier(&self) -> Option<&'a [u8]> {
        self.extensions.authority_key_identifier
    }

    /// The `basicConstraints`.
    #[must_use]
    pub const fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.extensions.basic_constraints
    }

    /// Whether `basicConstraints` says `cA`.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.extensions.is_ca()
    }

    /// The `keyUsage`.
    #[must_use]
    pub const fn key_usage(&self) -> Option<KeyUsage> {
        self.extensions.key_usage
    }

    /// The `extKeyUsage`, if there is one; it is never empty.
    #[must_use]
    pub fn extended_key_usages(&self) -> Option<ExtendedKeyUsages<'a>> {
        self.extensions
            .extended_key_usages
            .map(ExtendedKeyUsages::new)
    }

    /// Whether there is a `nameConstraints`.
    #[must_use]
    pub const fn has_name_constraints(&self) -> bool {
        self.extensions.name_constraints.is_some()
    }

    /// All names of the `subjectAltName`, in order.
    #[must_use]
    pub fn alternative_names(&self) -> GeneralNames<'a> {
        GeneralNames::new(self.extensions.alternative_names)
    }

    /// How many names of each kind the `subjectAltName` has.
    #[must_use]
    pub const fn alternative_name_counts(&self) -> NameCounts {
        self.extensions.alternative_name_counts
    }

    /// All URI names, in order, exactly as written.
    pub fn uri_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.alternative_names().filter_map(|name| match name {
            GeneralName::Uri(uri) => Some(uri),
            _ => None,
        })
    }

    /// All DNS names, in order.
    pub fn dns_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.alternative_names().filter_map(|name| match name {
            GeneralName::Dns(dns) => Some(dns),
            _ => None,
        })
    }

    /// All IP addresses, in order.
    pub fn ip_addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        self.alternative_names().filter_map(|name| match name {
            GeneralName::Ip(address) => Some(address),
            _ => None,
        })
    }

    /// The object identifier (DER content octets) of the first critical extension that is not
    /// processed. Such a certificate is part of no verified path.
    #[must_use]
    pub const fn unsupported_critical_extension(&self) -> Option<&'a [u8]> {
        self.extensions.unsupported_critical
    }

    /// Whether the subject holds an e-mail address.
    pub(super) const fn subject_has_email(&self) -> bool {
        self.subject_has_email
    }

    /// Whether `nameConstraints` constrains e-mail addresses.
    pub(super) fn constrains_email(&self) -> bool {
        self.extensions.name_constraints == Some(true)
    }
}

/// Without the bytes, which are many.
impl fmt::Debug for Certificate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("not_before", &self.not_before())
            .field("not_after", &self.not_after())
            .field("key", &self.key)
            .field("basic_constraints", &self.extensions.basic_constraints)
            .field("key_usage", &self.extensions.key_usage)
            .finish_non_exhaustive()
    }
}

/// The content of the `AlgorithmIdentifier` of ecdsa-with-SHA256, by which most certificates of workloads are signed.
const ECDSA_WITH_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

fn check_algorithm(content: &[u8]) -> Result<()> {
    if content == ECDSA_WITH_SHA256 {
        return Ok(());
    }
    let mut algorithm = Input::part(content, Field::SignatureAlgorithm);
    algorithm.value(Tag::ObjectIdentifier)?;
    if !algorithm.is_empty() {
        // Within the certificate, its signed part and the algorithm.
        algorithm.any(3)?;
    }
    algorithm.finish()
}

fn validity(content: &[u8]) -> Result<(u64, u64)> {
    let mut input = Input::part(content, Field::Validity);
    let not_before = time::parse(&mut input, Field::NotBefore)?;
    let not_after = time::parse(&mut input, Field::NotAfter)?;
    input.finish()?;
    if not_before > not_after {
        return Err(CertificateProblem::InvertedValidity);
    }
    Ok((not_before, not_after))
}

/// The extensions that are processed.
#[derive(Clone, Debug, Default)]
struct Extensions<'a> {
    subject_key_identifier: Option<&'a [u8]>,
    authority_key_identifier: Option<&'a [u8]>,
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
    extended_key_usages: Option<&'a [u8]>,
    /// Whether the constraints are about e-mail addresses, too.
    name_constraints: Option<bool>,
    alternative_names: &'a [u8],
    alternative_names_critical: bool,
    alternative_name_counts: NameCounts,
    unsupported_critical: Option<&'a [u8]>,
}

impl<'a> Extensions<'a> {
    fn parse(value: &'a [u8]) -> Result<Self> {
        let mut outer = Input::part(value, Field::Extensions);
        let mut list = outer.nested(Tag::Sequence)?;
        outer.finish()?;
        if list.is_empty() {
            return Err(CertificateProblem::EmptyExtensions);
        }
        let mut this = Self::default();
        let all = list.clone();
        let mut seen = Seen::default();
        while !list.is_empty() {
            let Extension {
                oid,
                critical,
                value,
            } = Extension::parse(&mut list)?;
            seen.insert(oid, &all)?;
            this.remember(oid, critical, value)?;
        }
        Ok(this)
    }

    fn remember(&mut self, oid: &'a [u8], critical: bool, value: &'a [u8]) -> Result<()> {
        // The arc id-ce, 2.5.29.
        match oid {
            [0x55, 0x1d, 14] => {
                self.subject_key_identifier = Some(subject_key_identifier(value)?);
            }
            [0x55, 0x1d, 15] => self.key_usage = Some(KeyUsage::parse(value)?),
            [0x55, 0x1d, 17] => {
                let (names, counts) = parse_alternative_names(value)?;
                self.alternative_names = names;
                self.alternative_name_counts = counts;
                self.alternative_names_critical = critical;
            }
            [0x55, 0x1d, 19] => {
                self.basic_constraints = Some(BasicConstraints::parse(value)?);
            }
            [0x55, 0x1d, 30] => {
                self.name_constraints = Some(name_constraints(value)?);
            }
            [0x55, 0x1d, 35] => {
                self.authority_key_identifier = authority_key_identifier(value)?;
            }
            [0x55, 0x1d, 37] => {
                self.extended_key_usages = Some(ExtendedKeyUsages::parse(value)?);
            }
            _ if critical && self.unsupported_critical.is_none() => {
                self.unsupported_critical = Some(oid);
            }
            _ => {}
        }
        Ok(())
    }

    fn is_ca(&self) -> bool {
        self.basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }
}

/// One extension as it stands in the list.
struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl<'a> Extension<'a> {
    fn parse(list: &mut Input<'a>) -> Result<Self> {
        if let Some((oid, critical, value)) = list.usual_extension() {
            return Ok(Self {
                oid,
                critical,
                value,
            });
        }
        Self::parse_any(list)
    }

    fn parse_any(list: &mut Input<'a>) -> Result<Self> {
        let mut extension = list.nested(Tag::Sequence)?;
        let oid = extension.value(Tag::ObjectIdentifier)?;
        // FALSE is the default, which DER leaves out.
        let critical = match extension.optional(Tag::Boolean)? {
            None => false,
            Some([0xff]) => true,
            Some(_) => return Err(extension.malformed()),
        };
        let value = extension.value(Tag::OctetString)?;
        extension.finish()?;
        Ok(Self {
            oid,
            critical,
            value,
        })
    }
}

/// The extensions so far, each of which may occur once.
#[derive(Default)]
struct Seen {
    count: usize,
    /// One bit for each of the first 64 of the arc id-ce.
    ce: u64,
}

impl Seen {
    fn insert(&mut self, oid: &[u8], all: &Input<'_>) -> Result<()> {
        let twice = match oid {
            [0x55, 0x1d, number @ 0..=63] => {
                let bit = 1 << number;
                let twice = self.ce & bit != 0;
                self.ce |= bit;
                twice
            }
            _ => {
                let mut earlier = all.clone();
                (0..self.count)
                    .any(|_| Extension::parse(&mut earlier).is_ok_and(|other| other.oid == oid))
            }
        };
        if twice {
            return Err(CertificateProblem::DuplicateExtension);
        }
        if self.count == MAX_EXTENSIONS {
            return Err(CertificateProblem::TooManyExtensions {
                limit: MAX_EXTENSIONS,
            });
        }
        self.count += 1;
        Ok(())
    }
}
