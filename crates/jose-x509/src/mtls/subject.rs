//! The one name that a `tls_client_auth` client registers (RFC 8705 section 2.1.2).

use core::net::IpAddr;

use super::error::MtlsError;
use crate::error::Error;
use crate::x509::{Certificate, DistinguishedName, GeneralName};

/// The name that the client's certificate has to have.
///
/// Prefer the alternative names: they are typed, and a certification authority checks them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegisteredSubject {
    /// `tls_client_auth_subject_dn`.
    SubjectDn(DistinguishedName),
    /// `tls_client_auth_san_dns`: compared without case; a wildcard is no such name.
    SanDns(String),
    /// `tls_client_auth_san_uri`: compared byte for byte.
    SanUri(String),
    /// `tls_client_auth_san_ip`: compared as octets.
    SanIp(IpAddr),
    /// `tls_client_auth_san_email`: the domain compared without case.
    SanEmail(String),
}

impl RegisteredSubject {
    /// Reads the value of the metadata member with this name.
    ///
    /// # Errors
    ///
    /// [`MtlsError::InvalidSubject`] for a value that no certificate could match, and for another member.
    pub fn parse(member: &str, value: &str) -> Result<Self, Error> {
        let refused = |member| Err(MtlsError::InvalidSubject { member }.into());
        match member {
            "tls_client_auth_subject_dn" => match value.parse() {
                Ok(name) => Ok(Self::SubjectDn(name)),
                Err(_) => refused("tls_client_auth_subject_dn"),
            },
            "tls_client_auth_san_dns" if is_dns_name(value) => Ok(Self::SanDns(value.to_owned())),
            "tls_client_auth_san_dns" => refused("tls_client_auth_san_dns"),
            "tls_client_auth_san_uri" if is_uri(value) => Ok(Self::SanUri(value.to_owned())),
            "tls_client_auth_san_uri" => refused("tls_client_auth_san_uri"),
            "tls_client_auth_san_ip" => match value.parse() {
                Ok(address) => Ok(Self::SanIp(address)),
                Err(_) => refused("tls_client_auth_san_ip"),
            },
            "tls_client_auth_san_email" if is_email(value) => Ok(Self::SanEmail(value.to_owned())),
            "tls_client_auth_san_email" => refused("tls_client_auth_san_email"),
            _ => refused("tls_client_auth_*"),
        }
    }

    /// Whether the certificate has this name. It has to be the leaf of a verified path.
    #[must_use]
    pub fn matches(&self, certificate: &Certificate<'_>) -> bool {
        if let Self::SubjectDn(expected) = self {
            let subject = DistinguishedName::from_der(certificate.subject());
            return subject.is_some_and(|subject| subject == *expected);
        }
        certificate
            .alternative_names()
            .any(|name| match (self, name) {
                (Self::SanDns(expected), GeneralName::Dns(name)) => {
                    expected.eq_ignore_ascii_case(name)
                }
                (Self::SanUri(expected), GeneralName::Uri(name)) => expected == name,
                (Self::SanIp(expected), GeneralName::Ip(name)) => *expected == name,
                (Self::SanEmail(expected), GeneralName::Email(name)) => same_email(expected, name),
                _ => false,
            })
    }
}

fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn is_uri(text: &str) -> bool {
    text.len() <= 2048
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.is_empty()
        })
}

fn split_email(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once('@')
        .filter(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

fn is_email(text: &str) -> bool {
    text.len() <= 320
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && split_email(text)
            .is_some_and(|(local, domain)| !local.contains('@') && is_dns_name(domain))
}

fn same_email(a: &str, b: &str) -> bool {
    match (split_email(a), split_email(b)) {
        (Some((local_a, domain_a)), Some((local_b, domain_b))) => {
            local_a == local_b && domain_a.eq_ignore_ascii_case(domain_b)
        }
        _ => false,
    }
}
