//! Distinguished names as text (RFC 4514), compared by structure.

use core::fmt;

use der::Tag;

use super::asn1::{Element, Input, Result as DerResult};
use super::error::Field;

#[cfg(test)]
mod tests;

/// Longest text of a name in bytes.
pub const MAX_DN: usize = 4096;
const MAX_RDNS: usize = 32;
const MAX_ATTRIBUTES: usize = 8;

/// Short names and the DER content octets of what they stand for: RFC 4514 section 3, RFC 4519, and those
/// that certificates have besides. The first name of a type is the one that is written.
const TYPES: [(&str, &[u8]); 16] = [
    ("CN", &[0x55, 4, 3]),
    ("L", &[0x55, 4, 7]),
    ("ST", &[0x55, 4, 8]),
    ("O", &[0x55, 4, 10]),
    ("OU", &[0x55, 4, 11]),
    ("C", &[0x55, 4, 6]),
    ("STREET", &[0x55, 4, 9]),
    (
        "DC",
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
    ),
    (
        "UID",
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1],
    ),
    ("SN", &[0x55, 4, 4]),
    ("serialNumber", &[0x55, 4, 5]),
    ("title", &[0x55, 4, 12]),
    ("givenName", &[0x55, 4, 42]),
    ("dnQualifier", &[0x55, 4, 46]),
    ("organizationIdentifier", &[0x55, 4, 97]),
    (
        "emailAddress",
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
    ),
];

/// A distinguished name: relative names in the order of the DER, each a set of attributes.
///
/// Two names are equal if they have the same attribute types with the same values in the same places. The
/// kind of string that a value has in DER does not matter; case, white space and everything else does.
///
/// ```
/// use jose_x509::x509::DistinguishedName;
///
/// let name: DistinguishedName = r"CN=Steve\, Kille,O=Isode Limited,C=GB".parse()?;
/// assert_eq!(name.to_string(), r"CN=Steve\, Kille,O=Isode Limited,C=GB");
/// # Ok::<(), jose_x509::x509::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DistinguishedName {
    /// As in the DER, which is the reverse of the text. Attributes are sorted.
    rdns: Vec<Vec<Attribute>>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Attribute {
    oid: Vec<u8>,
    value: AttributeValue,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum AttributeValue {
    /// A string, of whatever ASN.1 type.
    Text(String),
    /// Any other value: all its DER.
    Der(Vec<u8>),
}

/// Text that is no distinguished name in the form of RFC 4514.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a distinguished name in the form of RFC 4514, or not within the limits, at byte {offset}"
)]
#[non_exhaustive]
pub struct InvalidName {
    /// Where reading stopped.
    pub offset: usize,
}

impl core::str::FromStr for DistinguishedName {
    type Err = InvalidName;

    /// Strict: no white space around separators, known type names or object identifiers, and no escaping
    /// left out. The name must not be empty.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let mut reader = Reader { text, offset: 0 };
        reader.name().ok_or(InvalidName {
            offset: reader.offset,
        })
    }
}

impl DistinguishedName {
    /// Reads the DER of a `Name`, such as [`Certificate::subject`](super::Certificate::subject).
    #[must_use]
    pub fn from_der(der: &[u8]) -> Option<Self> {
        if der.len() > MAX_DN {
            return None;
        }
        read_der(der).ok().flatten()
    }

    /// Whether it has no attributes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }
}

fn read_der(der: &[u8]) -> DerResult<Option<DistinguishedName>> {
    let mut outer = Input::new(der, Field::Subject);
    let mut names = outer.nested(Tag::Sequence)?;
    outer.finish()?;
    let mut rdns = Vec::new();
    while !names.is_empty() {
        let mut set = names.nested(Tag::Set)?;
        let mut attributes = Vec::new();
        while !set.is_empty() {
            let mut attribute = set.nested(Tag::Sequence)?;
            let oid = attribute.value(Tag::ObjectIdentifier)?.to_vec();
            let value = attribute.any(3)?;
            attribute.finish()?;
            let Some(value) = AttributeValue::read(&value) else {
                return Ok(None);
            };
            attributes.push(Attribute { oid, value });
        }
        if attributes.is_empty() || attributes.len() > MAX_ATTRIBUTES || rdns.len() == MAX_RDNS {
            return Ok(None);
        }
        attributes.sort();
        rdns.push(attributes);
    }
    Ok(Some(DistinguishedName { rdns }))
}

impl AttributeValue {
    /// `None` for a string that is not what its type says, or has a NUL.
    fn read(element: &Element<'_>) -> Option<Self> {
        let (value, whole) = (element.value, element.whole);
        let text = match whole.first()? {
            // UTF8String.
            0x0c => core::str::from_utf8(value).ok()?.to_owned(),
            // Outside ASCII, nobody agrees on what a TeletexString says.
            0x14 if !value.is_ascii() => return Some(Self::Der(whole.to_vec())),
            // NumericString, PrintableString, TeletexString, IA5String, VisibleString.
            0x12 | 0x13 | 0x14 | 0x16 | 0x1a => core::str::from_utf8(value)
                .ok()
                .filter(|text| text.is_ascii())?
                .to_owned(),
            // BMPString.
            0x1e => {
                let pairs = value.chunks_exact(2);
                if !pairs.remainder().is_empty() {
                    return None;
                }
                let units: Vec<u16> = pairs
                    .filter_map(|pair| pair.try_into().ok())
                    .map(u16::from_be_bytes)
                    .collect();
                String::from_utf16(&units).ok()?
            }
            _ => return Some(Self::Der(whole.to_vec())),
        };
        (!text.contains('\0')).then_some(Self::Text(text))
    }
}

struct Reader<'a> {
    text: &'a str,
    offset: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.offset = self.offset.checked_add(next.len_utf8())?;
        Some(next)
    }

    fn name(&mut self) -> Option<DistinguishedName> {
        if self.text.len() > MAX_DN {
            return None;
        }
        let mut rdns = Vec::new();
        let mut attributes = Vec::new();
        loop {
            attributes.push(self.attribute()?);
            if attributes.len() > MAX_ATTRIBUTES {
                return None;
            }
            let separator = self.next();
            if separator == Some('+') {
                continue;
            }
            attributes.sort();
            rdns.push(core::mem::take(&mut attributes));
            if rdns.len() > MAX_RDNS {
                return None;
            }
            if separator.is_none() {
                rdns.reverse();
                return Some(DistinguishedName { rdns });
            }
        }
    }

    fn attribute(&mut self) -> Option<Attribute> {
        let end = self.rest().find('=')?;
        let oid = oid(self.rest().get(..end)?)?;
        self.offset = self.offset.checked_add(end)?.checked_add(1)?;
        let value = if self.peek() == Some('#') {
            self.next();
            let digits = self.rest().find([',', '+']).unwrap_or(self.rest().len());
            let der = hex(self.rest().get(..digits)?)?;
            self.offset = self.offset.checked_add(digits)?;
            let mut input = Input::new(&der, Field::Subject);
            let element = input.any(3).ok()?;
            input.finish().ok()?;
            AttributeValue::read(&element)?
        } else {
            AttributeValue::Text(self.text_value()?)
        };
        Some(Attribute { oid, value })
    }

    fn text_value(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        let mut escaped_end = false;
        while let Some(next) = self.peek() {
            if matches!(next, ',' | '+') {
                break;
            }
            self.next();
            escaped_end = next == '\\';
            match next {
                '\\' => {
                    let first = self.next()?;
                    if "\"+,;<> #=\\".contains(first) {
                        bytes.push(u8::try_from(first).ok()?);
                    } else {
                        let second = self.next()?;
                        bytes.push(hex_byte(first, second)?);
                    }
                }
                '"' | ';' | '<' | '>' | '\0' => return None,
                ' ' if bytes.is_empty() => return None,
                plain => {
                    let mut buffer = [0; 4];
                    bytes.extend_from_slice(plain.encode_utf8(&mut buffer).as_bytes());
                }
            }
        }
        if bytes.last() == Some(&b' ') && !escaped_end {
            return None;
        }
        String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0'))
    }
}

fn hex_byte(first: char, second: char) -> Option<u8> {
    let (first, second) = (first.to_digit(16)?, second.to_digit(16)?);
    u8::try_from(first.checked_mul(16)?.checked_add(second)?).ok()
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let mut characters = digits.chars();
    let mut bytes = Vec::new();
    while let Some(first) = characters.next() {
        bytes.push(hex_byte(first, characters.next()?)?);
    }
    Some(bytes)
}

/// The DER content octets of a short name or of dotted numbers.
fn oid(text: &str) -> Option<Vec<u8>> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let oid = der::asn1::ObjectIdentifier::new(text).ok()?;
        // One form only: no leading zeros.
        return (oid.to_string() == text).then(|| oid.as_bytes().to_vec());
    }
    TYPES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, oid)| oid.to_vec())
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rdn) in self.rdns.iter().rev().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            for (index, attribute) in rdn.iter().enumerate() {
                if index > 0 {
                    f.write_str("+")?;
                }
                attribute.fmt(f)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({self})")
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TYPES.iter().find(|(_, oid)| *oid == self.oid) {
            Some((name, _)) => f.write_str(name)?,
            None => match der::asn1::ObjectIdentifier::from_bytes(&self.oid) {
                Ok(oid) => write!(f, "{oid}")?,
                Err(_) => f.write_str("?")?,
            },
        }
        f.write_str("=")?;
        match &self.value {
            AttributeValue::Der(der) => {
                f.write_str("#")?;
                der.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
            }
            AttributeValue::Text(text) => {
                let last = text.chars().count().saturating_sub(1);
                text.chars().enumerate().try_for_each(|(index, c)| match c {
                    '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => write!(f, "\\{c}"),
                    '#' if index == 0 => f.write_str("\\#"),
                    ' ' if index == 0 || index == last => f.write_str("\\ "),
                    c if c.is_control() => {
                        let mut buffer = [0; 4];
                        let bytes = c.encode_utf8(&mut buffer).bytes();
                        bytes
                            .into_iter()
                            .try_for_each(|byte| write!(f, "\\{byte:02X}"))
                    }
                    c => write!(f, "{c}"),
                })
            }
        }
    }
}
