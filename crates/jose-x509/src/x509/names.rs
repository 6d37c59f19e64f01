//! Distinguished names and `GeneralName`s (RFC 5280, sections 4.1.2.4 and 4.2.1.6).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use der::Tag;

use super::asn1::{
    Element, Input, Result, all_within, constructed, is_text, oid_is_valid, primitive,
};
use super::error::{CertificateProblem, Field};

/// Most names in one `subjectAltName`.
pub const MAX_NAMES: usize = 256;

const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];

const OTHER: Tag = constructed(0);
const EMAIL: Tag = primitive(1);
const DNS: Tag = primitive(2);
const X400: Tag = constructed(3);
const DIRECTORY: Tag = constructed(4);
const EDI_PARTY: Tag = constructed(5);
const URI: Tag = primitive(6);
const IP: Tag = primitive(7);
const REGISTERED_ID: Tag = primitive(8);

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
        read(&self.input.again(URI)?)
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
    let content = outer.value(Tag::Sequence)?;
    outer.finish()?;
    let mut input = Input::new(content, Field::SubjectAltName);
    let mut counts = NameCounts::default();
    let mut index = 0;
    while !input.is_empty() {
        if index == MAX_NAMES {
            return Err(CertificateProblem::TooManyNames { limit: MAX_NAMES });
        }
        let valid = if let Some(uri) = input.optional(URI)? {
            counts.uri += 1;
            is_absolute_uri(uri)
        } else {
            let name = input.any(1)?;
            match name.tag {
                DNS => counts.dns += 1,
                IP => counts.ip += 1,
                _ => counts.other += 1,
            }
            is_valid(&name)
        };
        if !valid {
            return Err(CertificateProblem::InvalidAlternativeName { index });
        }
        index += 1;
    }
    if index == 0 {
        Err(CertificateProblem::EmptyAlternativeNames)
    } else {
        Ok((content, counts))
    }
}

/// Whether it is one of the names of RFC 5280 but a URI, with the content that its kind has to have.
fn is_valid(element: &Element<'_>) -> bool {
    let value = element.value;
    match element.tag {
        OTHER => is_other_name(value).is_ok(),
        EMAIL => !value.is_empty() && is_text(value),
        DNS => is_dns_name(value),
        X400 | EDI_PARTY => true,
        DIRECTORY => is_directory_name(value).is_ok(),
        IP => matches!(value.len(), 4 | 16),
        REGISTERED_ID => oid_is_valid(value),
        _ => false,
    }
}

/// A name that [`is_valid`].
fn read<'a>(element: &Element<'a>) -> Option<GeneralName<'a>> {
    let value = element.value;
    let text = |value: &'a [u8]| core::str::from_utf8(value).ok();
    Some(match element.tag {
        OTHER => GeneralName::Other(value),
        EMAIL => GeneralName::Email(text(value)?),
        DNS => GeneralName::Dns(text(value)?),
        X400 => GeneralName::X400(value),
        DIRECTORY => GeneralName::Directory(value),
        EDI_PARTY => GeneralName::EdiParty(value),
        URI => GeneralName::Uri(text(value)?),
        IP => GeneralName::Ip(ip_address(value)?),
        REGISTERED_ID => GeneralName::RegisteredId(value),
        _ => return None,
    })
}

fn is_other_name(value: &[u8]) -> Result<()> {
    let mut input = Input::new(value, Field::SubjectAltName);
    input.value(Tag::ObjectIdentifier)?;
    input.value(constructed(0))?;
    input.finish()
}

/// One `Name`, whose bytes are therefore the whole content.
fn is_directory_name(value: &[u8]) -> Result<()> {
    let mut input = Input::new(value, Field::SubjectAltName);
    let name = input.value(Tag::Sequence)?;
    input.finish()?;
    distinguished_name(Input::new(name, Field::SubjectAltName)).map(|_| ())
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
        if input.skip_usual_name() {
            continue;
        }
        let mut rdn = input.nested(Tag::Set)?;
        if rdn.is_empty() {
            return Err(rdn.malformed());
        }
        let mut previous: &[u8] = &[];
        while !rdn.is_empty() {
            let whole = rdn.element(Tag::Sequence)?;
            rdn.check_order(previous, whole.whole)?;
            previous = whole.whole;
            let mut attribute = rdn.enter(&whole);
            facts.has_email |= attribute.value(Tag::ObjectIdentifier)? == EMAIL_ADDRESS;
            // Within the certificate, its signed part, the name, a set and the attribute.
            attribute.any(5)?;
            attribute.finish()?;
        }
    }
    Ok(facts)
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
fn is_dns_name(name: &[u8]) -> bool {
    let host = name.strip_prefix(b"*.").unwrap_or(name);
    let label = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label.first() != Some(&b'-')
            && label.last() != Some(&b'-')
            && label
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let ends_in_number = host
        .rsplit(|b| *b == b'.')
        .next()
        .is_some_and(|last| last.iter().all(u8::is_ascii_digit));
    name.len() <= 253 && host.split(|b| *b == b'.').all(label) && !ends_in_number
}

/// A scheme and more; after `//` a host. All visible ASCII.
fn is_absolute_uri(uri: &[u8]) -> bool {
    let mut rest = uri;
    let mut scheme_ok = rest.first().is_some_and(u8::is_ascii_alphabetic);
    loop {
        match rest {
            [b':', after @ ..] => {
                rest = after;
                break;
            }
            [octet, after @ ..] => {
                scheme_ok &= octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.');
                rest = after;
            }
            [] => return false,
        }
    }
    let rest_ok = match rest {
        [b'/', b'/', hierarchical @ ..] => has_host(hierarchical),
        _ => !rest.is_empty(),
    };
    scheme_ok && rest_ok && all_within::<0x21, 0x7e>(uri)
}

/// Whether the authority at the start, without what stands before its last `@`, begins with a host.
fn has_host(hierarchical: &[u8]) -> bool {
    let begins = |text: &[u8]| !matches!(text, [] | [b':' | b'/' | b'?' | b'#', ..]);
    // Without an early end, so that it is done many octets at a time.
    if !hierarchical.iter().fold(false, |any, b| any | (*b == b'@')) {
        return begins(hierarchical);
    }
    let authority = hierarchical
        .split(|b| matches!(b, b'/' | b'?' | b'#'))
        .next()
        .unwrap_or_default();
    begins(authority.rsplit(|b| *b == b'@').next().unwrap_or_default())
}
