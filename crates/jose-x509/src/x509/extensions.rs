//! The values of the extensions that are processed (RFC 5280, section 4.2.1).

use der::Tag;

use super::asn1::{Input, Result, bit_string, constructed, is_text, oid_is_valid, primitive};
use super::error::{CertificateProblem, Field};
use super::names::distinguished_name;

/// DER content octets of key purposes.
pub mod eku {
    /// `id-kp-serverAuth`, 1.3.6.1.5.5.7.3.1.
    pub const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
    /// `id-kp-clientAuth`, 1.3.6.1.5.5.7.3.2.
    pub const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
    /// `anyExtendedKeyUsage`, 2.5.29.37.0. It satisfies no purpose here.
    pub const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
}

/// The bits of a `keyUsage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// Bit 0, `digitalSignature`.
    #[must_use]
    pub const fn digital_signature(self) -> bool {
        self.bit(0)
    }

    /// Bit 1, `nonRepudiation` (`contentCommitment`).
    #[must_use]
    pub const fn non_repudiation(self) -> bool {
        self.bit(1)
    }

    /// Bit 2, `keyEncipherment`.
    #[must_use]
    pub const fn key_encipherment(self) -> bool {
        self.bit(2)
    }

    /// Bit 3, `dataEncipherment`.
    #[must_use]
    pub const fn data_encipherment(self) -> bool {
        self.bit(3)
    }

    /// Bit 4, `keyAgreement`.
    #[must_use]
    pub const fn key_agreement(self) -> bool {
        self.bit(4)
    }

    /// Bit 5, `keyCertSign`.
    #[must_use]
    pub const fn key_cert_sign(self) -> bool {
        self.bit(5)
    }

    /// Bit 6, `cRLSign`.
    #[must_use]
    pub const fn crl_sign(self) -> bool {
        self.bit(6)
    }

    /// Bit 7, `encipherOnly`.
    #[must_use]
    pub const fn encipher_only(self) -> bool {
        self.bit(7)
    }

    /// Bit 8, `decipherOnly`.
    #[must_use]
    pub const fn decipher_only(self) -> bool {
        self.bit(8)
    }

    const fn bit(self, number: u32) -> bool {
        self.0 & (0x8000 >> number) != 0
    }

    pub(super) fn parse(value: &[u8]) -> Result<Self> {
        let mut input = Input::new(value, Field::KeyUsage);
        let content = input.value(Tag::BitString)?;
        input.finish()?;
        let (unused, bits) = bit_string(content).ok_or(input.malformed())?;
        let (high, low) = match bits {
            [high] => (*high, 0),
            // Nine bits are named, so only the first bit of a second octet can be.
            [high, 0x80] => (*high, 0x80),
            _ => return Err(input.malformed()),
        };
        // Named bits end in the last one that is set.
        if bits
            .last()
            .is_none_or(|last| *last == 0 || last.trailing_zeros() != u32::from(unused))
        {
            return Err(input.malformed());
        }
        Ok(Self(u16::from_be_bytes([high, low])))
    }
}

/// A `basicConstraints`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BasicConstraints {
    /// `cA`.
    pub ca: bool,
    /// `pathLenConstraint`, as far as `cA` gives it a meaning.
    pub path_len: Option<u8>,
}

impl BasicConstraints {
    pub(super) fn parse(value: &[u8]) -> Result<Self> {
        let mut outer = Input::new(value, Field::BasicConstraints);
        let mut input = outer.nested(Tag::Sequence)?;
        outer.finish()?;
        let ca = match input.optional(Tag::Boolean)? {
            None => false,
            Some([0xff]) => true,
            Some(_) => return Err(input.malformed()),
        };
        let path_len = match input.optional(Tag::Integer)? {
            None => None,
            Some([length @ 0..=0x7f] | [0x00, length @ 0x80..=0xff]) => Some(*length),
            Some(_) => return Err(input.malformed()),
        };
        input.finish()?;
        Ok(Self {
            ca,
            path_len: path_len.filter(|_| ca),
        })
    }
}

/// The key purposes of an `extKeyUsage`, as DER content octets, in order.
#[derive(Clone, Debug)]
pub struct ExtendedKeyUsages<'a> {
    input: Input<'a>,
}

impl<'a> ExtendedKeyUsages<'a> {
    /// `content`: key purposes that `parse` accepted.
    pub(super) fn new(content: &'a [u8]) -> Self {
        Self {
            input: Input::new(content, Field::ExtendedKeyUsage),
        }
    }

    pub(super) fn parse(value: &'a [u8]) -> Result<&'a [u8]> {
        let mut outer = Input::new(value, Field::ExtendedKeyUsage);
        let content = outer.value(Tag::Sequence)?;
        outer.finish()?;
        let mut input = Input::new(content, Field::ExtendedKeyUsage);
        if input.is_empty() {
            return Err(CertificateProblem::EmptyExtendedKeyUsage);
        }
        while !input.is_empty() {
            if !input.skip_usual_purpose() {
                input.value(Tag::ObjectIdentifier)?;
            }
        }
        Ok(content)
    }
}

impl<'a> Iterator for ExtendedKeyUsages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.input
            .again(Tag::ObjectIdentifier)
            .map(|purpose| purpose.value)
    }
}

/// The content of a `subjectKeyIdentifier`.
pub(super) fn subject_key_identifier(value: &[u8]) -> Result<&[u8]> {
    let mut input = Input::new(value, Field::SubjectKeyIdentifier);
    let identifier = input.value(Tag::OctetString)?;
    input.finish()?;
    Ok(identifier)
}

/// The `keyIdentifier` of an `authorityKeyIdentifier`.
pub(super) fn authority_key_identifier(value: &[u8]) -> Result<Option<&[u8]>> {
    let mut outer = Input::new(value, Field::AuthorityKeyIdentifier);
    let mut input = outer.nested(Tag::Sequence)?;
    outer.finish()?;
    let identifier = input.optional(primitive(0))?;
    if input.starts_with(constructed(1)) {
        input.any(1)?;
    }
    input.optional(primitive(2))?;
    input.finish()?;
    Ok(identifier)
}

/// Checks a `nameConstraints` and tells whether it constrains e-mail addresses.
pub(super) fn name_constraints(value: &[u8]) -> Result<bool> {
    let mut outer = Input::new(value, Field::NameConstraints);
    let mut input = outer.nested(Tag::Sequence)?;
    outer.finish()?;
    let mut constrains_email = false;
    let mut lists = 0;
    for number in [0, 1] {
        let Some(subtrees) = input.optional(constructed(number))? else {
            continue;
        };
        lists += 1;
        let mut subtrees = Input::new(subtrees, Field::NameConstraints);
        if subtrees.is_empty() {
            return Err(CertificateProblem::EmptyNameConstraints);
        }
        while !subtrees.is_empty() {
            // `minimum` is at its default and `maximum` absent, so the base stands alone.
            let mut subtree = subtrees.nested(Tag::Sequence)?;
            // Within the list of lists, a list and the subtree.
            let base = subtree.any(3)?;
            subtree.finish()?;
            constrains_email |= base.tag == primitive(1);
            if !constraint_base_is_valid(base.tag, base.value) {
                return Err(subtree.malformed());
            }
        }
    }
    input.finish()?;
    if lists == 0 {
        Err(CertificateProblem::EmptyNameConstraints)
    } else {
        Ok(constrains_email)
    }
}

fn constraint_base_is_valid(tag: Tag, value: &[u8]) -> bool {
    if [1, 2, 6].map(primitive).contains(&tag) {
        return is_text(value);
    }
    if tag == primitive(7) {
        return match value.len() {
            8 => value.get(4..).is_some_and(mask_is_contiguous),
            32 => value.get(16..).is_some_and(mask_is_contiguous),
            _ => false,
        };
    }
    if tag == constructed(4) {
        let mut input = Input::new(value, Field::NameConstraints);
        return input
            .nested(Tag::Sequence)
            .is_ok_and(|name| input.is_empty() && distinguished_name(name).is_ok());
    }
    if tag == primitive(8) {
        return oid_is_valid(value);
    }
    [0, 3, 5].map(constructed).contains(&tag)
}

fn mask_is_contiguous(mask: &[u8]) -> bool {
    let mut ended = false;
    mask.iter().all(|byte| {
        let ok = byte.leading_ones() + byte.trailing_zeros() >= 8 && (!ended || *byte == 0);
        ended |= *byte != 0xff;
        ok
    })
}
