//! Distinguished names and `GeneralName`s (RFC 5280, sections 4.1.2.4 and 4.2.1.6).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::asn1::{Element, Input, Result, Tag, is_text, oid_is_valid};
use super::error::{CertificateProblem, Field};

/// Most names in one `subjectAltName`.
pub const MAX_NAMES: usize = 256;

const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];

/// One name of a `subjectAltName`, typed by its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GeneralName<'a> {
    /// `otherName`: its type and value, as DER.
    Other(&'a [u8]),
    /// `rfc822Name`, ASCII without NUL; its syntax is not checked.
    Email(&'a str),
    /// `dNSName`: a host name, or `*.` and a host name.
    Dns(&'a str),
    /// `x400Address`, as DER.
    X400(&'a [u8]),
    /// `directoryName`: the DER of the distinguished name.
    Directory(&'a [u8]),
    /// `ediPartyName`, as DER.
    EdiParty(&'a [u8]),
    /// `uniformResourceIdentifier`: an absolute URI, exactly as written.
    Uri(&'a str),
    /// `iPAddress`.
    Ip(IpAddr),
    /// `registeredID`: the DER content octets of the object identifier.
    RegisteredId(&'a [u8]),
}

/// The names of a `subjectAltName`, in order.
#[derive(Clone, Debug)]
pub struct GeneralNames<'a> {
    input: Input<'a>,
}

impl<'a> GeneralNames<'a> {
    /// `content`: names that `parse_alternative_names` accepted, or nothing.
    pub(super) fn new(content: &'a [u8]) -> Self {
        Self {
            input: Input::new(content, Field::SubjectAltName),
        }
    }
}

impl<'a> Iterator for GeneralNames<'a> {
    type Item = GeneralName<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.input.next().ok()?;
        general_name(&element).ok()
    }
}

/// How many names of each kind a `subjectAltName` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct NameCounts {
    /// URIs.
    pub uri: usize,
    /// DNS names.
    pub dns: usize,
    /// IP addresses.
    pub ip: usize,
    /// Every other kind.
    pub other: usize,
}

/// Checks the value of a `subjectAltName` and gives the content of its sequence.
pub(super) fn parse_alternative_names(value: &[u8]) -> Result<(&[u8], NameCounts)> {
    let mut outer = Input::new(value, Field::SubjectAltName);
    let content = outer.value(Tag::SEQUENCE)?;
    outer.finish()?;
    let mut input = Input::new(content, Field::SubjectAltName);
    let mut counts = NameCounts::default();
    let mut index = 0;
    while !input.is_empty() {
        if index == MAX_NAMES {
            return Err(CertificateProblem::TooManyNames { limit: MAX_NAMES });
        }
        let name = general_name(&input.any(1)?)
            .map_err(|_| CertificateProblem::InvalidAlternativeName { index })?;
        match name {
            GeneralName::Uri(_) => counts.uri += 1,
            GeneralName::Dns(_) => counts.dns += 1,
            GeneralName::Ip(_) => counts.ip += 1,
            _ => counts.other += 1,
        }
        index += 1;
    }
    if index == 0 {
        Err(CertificateProblem::EmptyAlternativeNames)
    } else {
        Ok((content, counts))
    }
}

fn general_name<'a>(element: &Element<'a>) -> Result<GeneralName<'a>> {
    let value = element.value;
    let malformed = CertificateProblem::Malformed {
        field: Field::SubjectAltName,
    };
    let checked = |text: Option<&'a str>, valid: fn(&str) -> bool| {
        text.filter(|text| valid(text)).ok_or(malformed)
    };
    match element.tag {
        tag if tag == Tag::constructed(0) => {
            let mut input = Input::new(value, Field::SubjectAltName);
            input.value(Tag::OBJECT_IDENTIFIER)?;
            input.value(Tag::constructed(0))?;
            input.finish()?;
            Ok(GeneralName::Other(value))
        }
        tag if tag == Tag::primitive(1) => {
            checked(ia5(value), |text| !text.is_empty()).map(GeneralName::Email)
        }
        tag if tag == Tag::primitive(2) => checked(ia5(value), is_dns_name).map(GeneralName::Dns),
        tag if tag == Tag::constructed(3) => Ok(GeneralName::X400(value)),
        tag if tag == Tag::constructed(4) => {
            let mut input = Input::new(value, Field::SubjectAltName);
            let name = input.element(Tag::SEQUENCE)?;
            input.finish()?;
            distinguished_name(Input::new(name.value, Field::SubjectAltName))?;
            Ok(GeneralName::Directory(name.whole))
        }
        tag if tag == Tag::constructed(5) => Ok(GeneralName::EdiParty(value)),
        tag if tag == Tag::primitive(6) => {
            checked(ia5(value), is_absolute_uri).map(GeneralName::Uri)
        }
        tag if tag == Tag::primitive(7) => ip_address(value).map(GeneralName::Ip).ok_or(malformed),
        tag if tag == Tag::primitive(8) && oid_is_valid(value) => {
            Ok(GeneralName::RegisteredId(value))
        }
        _ => Err(malformed),
    }
}

/// What a name tells beyond its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameFacts {
    pub(super) empty: bool,
    pub(super) has_email: bool,
}

/// Checks the content of a `Name`.
pub(super) fn distinguished_name(mut input: Input<'_>) -> Result<NameFacts> {
    let mut facts = NameFacts {
        empty: input.is_empty(),
        has_email: false,
    };
    while !input.is_empty() {
        let mut rdn = input.nested(Tag::SET)?;
        if rdn.is_empty() {
            return Err(rdn.malformed());
        }
        let mut previous: &[u8] = &[];
        while !rdn.is_empty() {
            let whole = rdn.element(Tag::SEQUENCE)?;
            rdn.check_order(previous, whole.whole)?;
            previous = whole.whole;
            let mut attribute = rdn.enter(&whole);
            facts.has_email |= attribute.value(Tag::OBJECT_IDENTIFIER)? == EMAIL_ADDRESS;
            // Within the certificate, its signed part, the name, a set and the attribute.
            attribute.any(5)?;
            attribute.finish()?;
        }
    }
    Ok(facts)
}

/// ASCII without NUL.
pub(super) fn ia5(value: &[u8]) -> Option<&str> {
    if is_text(value) {
        core::str::from_utf8(value).ok()
    } else {
        None
    }
}

fn ip_address(value: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(value)
        .ok()
        .map(|octets| Ipv6Addr::from(octets).into())
}

/// Letters, digits, hyphens and (as deployed names have them) underscores; a wildcard only as the whole
/// first label; never an IP address, which would end in a number.
fn is_dns_name(name: &str) -> bool {
    let host = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let ends_in_number = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && host.split('.').all(label) && !ends_in_number
}

/// A scheme and more; after `//` a host.
fn is_absolute_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let rest_ok = match rest.strip_prefix("//") {
        Some(hierarchical) => {
            let authority = hierarchical
                .split(['/', '?', '#'])
                .next()
                .unwrap_or_default();
            let host_and_port = authority.rsplit('@').next().unwrap_or_default();
            !host_and_port.is_empty() && !host_and_port.starts_with(':')
        }
        None => !rest.is_empty(),
    };
    scheme_ok && rest_ok && uri.bytes().all(|b| b.is_ascii_graphic())
}
