//! What issued certificates have in common (section 4 and Appendix A), and what may differ.

use std::time::Duration;

use der::asn1::{ObjectIdentifier, OctetString};
use der::flagset::FlagSet;
use jose_x509::KeyKind;
use pki_types::DnsName;
use spiffe_id::{SpiffeId, TrustDomain};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectAltName, SubjectKeyIdentifier,
};

use super::encode::{dns_name, extension, uri_name};
use crate::error::Error;

/// How long a CA certificate is valid, and for what.
///
/// `keyCertSign` and `cA` are always set, `digitalSignature` and what else is for leaves never, and the name is
/// the SPIFFE ID of a trust domain, which has no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaProfile {
    pub(super) lifetime: Duration,
    pub(super) path_len: Option<u8>,
    pub(super) crl_sign: bool,
}

impl CaProfile {
    /// A CA without limit to the length of paths, with `cRLSign`.
    #[must_use]
    pub const fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            path_len: None,
            crl_sign: true,
        }
    }

    /// Allows this many CA certificates below; none for one that issues leaves alone.
    #[must_use]
    pub const fn with_path_len(mut self, path_len: u8) -> Self {
        self.path_len = Some(path_len);
        self
    }

    /// Leaves out `cRLSign`, for a CA that issues no revocation lists.
    #[must_use]
    pub const fn without_crl_sign(mut self) -> Self {
        self.crl_sign = false;
        self
    }

    pub(super) fn extensions(
        &self,
        trust_domain: &TrustDomain,
        key_id: &[u8],
        issuer_key_id: Option<&[u8]>,
    ) -> der::Result<Vec<Extension>> {
        let mut usages = FlagSet::from(KeyUsages::KeyCertSign);
        if self.crl_sign {
            usages |= KeyUsages::CRLSign;
        }
        let mut extensions = vec![
            extension(
                true,
                &BasicConstraints {
                    ca: true,
                    path_len_constraint: self.path_len,
                },
            )?,
            extension(true, &KeyUsage(usages))?,
            extension(false, &SubjectKeyIdentifier(OctetString::new(key_id)?))?,
            extension(
                false,
                &SubjectAltName(vec![uri_name(&trust_domain.id_string())?]),
            )?,
        ];
        if let Some(id) = issuer_key_id {
            extensions.push(authority_key_id(id)?);
        }
        Ok(extensions)
    }
}

/// How long the certificate of a workload is valid, and what it says besides the SPIFFE ID.
///
/// `digitalSignature`, `serverAuth` and `clientAuth` are always set, and nothing of a CA ever is; there is
/// exactly one URI name.
#[derive(Clone, Debug)]
pub struct LeafProfile<'a> {
    pub(super) lifetime: Duration,
    pub(super) dns_names: &'a [DnsName<'a>],
    pub(super) key_encipherment: bool,
    pub(super) key_agreement: bool,
}

impl<'a> LeafProfile<'a> {
    /// A leaf with `digitalSignature` alone and without DNS names.
    #[must_use]
    pub const fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            dns_names: &[],
            key_encipherment: false,
            key_agreement: false,
        }
    }

    /// Adds DNS names, for peers that know nothing of SPIFFE. They are no identity to those that do.
    #[must_use]
    pub const fn with_dns_names(mut self, names: &'a [DnsName<'a>]) -> Self {
        self.dns_names = names;
        self
    }

    /// Sets `keyEncipherment`, which cipher suites of TLS 1.2 with RSA key transport need. For RSA keys alone (RFC 8813,
    /// section 3, and RFC 8410, section 5): with another one nothing is issued.
    #[must_use]
    pub const fn with_key_encipherment(mut self) -> Self {
        self.key_encipherment = true;
        self
    }

    /// Sets `keyAgreement`. For elliptic curve keys of ECDSA alone (RFC 3279, section 2.3.1, and RFC 8410, section 5):
    /// with another one nothing is issued.
    #[must_use]
    pub const fn with_key_agreement(mut self) -> Self {
        self.key_agreement = true;
        self
    }

    /// Whether a key of this kind may be used as the profile says.
    pub(super) fn check_usage(&self, kind: KeyKind) -> Result<(), Error> {
        if self.key_encipherment && !may_encipher(kind) {
            return Err(Error::InvalidOption {
                option: "key_encipherment",
                range: "for RSA keys alone",
            });
        }
        if self.key_agreement && !may_agree(kind) {
            return Err(Error::InvalidOption {
                option: "key_agreement",
                range: "for keys of ECDSA alone",
            });
        }
        Ok(())
    }

    pub(super) fn extensions(
        &self,
        spiffe_id: &SpiffeId,
        key_id: &[u8],
        issuer_key_id: &[u8],
    ) -> der::Result<Vec<Extension>> {
        let mut names = vec![uri_name(spiffe_id.as_str())?];
        for name in self.dns_names {
            names.push(dns_name(name.as_ref())?);
        }
        let mut usages = FlagSet::from(KeyUsages::DigitalSignature);
        if self.key_encipherment {
            usages |= KeyUsages::KeyEncipherment;
        }
        if self.key_agreement {
            usages |= KeyUsages::KeyAgreement;
        }
        let mut extensions = vec![
            extension(
                true,
                &BasicConstraints {
                    ca: false,
                    path_len_constraint: None,
                },
            )?,
            extension(true, &KeyUsage(usages))?,
            extension(false, &ExtendedKeyUsage(vec![SERVER_AUTH, CLIENT_AUTH]))?,
            extension(false, &SubjectKeyIdentifier(OctetString::new(key_id)?))?,
            // Critical because the subject is empty (RFC 5280, section 4.1.2.6).
            extension(true, &SubjectAltName(names))?,
        ];
        extensions.push(authority_key_id(issuer_key_id)?);
        Ok(extensions)
    }
}

/// Whether `keyEncipherment` is for such a key.
pub(super) const fn may_encipher(kind: KeyKind) -> bool {
    matches!(kind, KeyKind::Rsa)
}

/// Whether `keyAgreement` is for such a key.
pub(super) const fn may_agree(kind: KeyKind) -> bool {
    matches!(kind, KeyKind::P256 | KeyKind::P384 | KeyKind::P521)
}

fn authority_key_id(id: &[u8]) -> der::Result<Extension> {
    let id = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(id)?),
        ..Default::default()
    };
    extension(false, &id)
}

pub(super) const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
pub(super) const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
