//! Strict DER elements over the reader of the `der` crate.

use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber};

use super::error::{CertificateProblem, Field};

pub(super) type Result<T> = core::result::Result<T, CertificateProblem>;

/// Deepest nesting of a certificate or of an extension value.
const MAX_DEPTH: usize = 16;

/// One element: its tag, its content and all its bytes.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: Tag,
    pub(super) value: &'a [u8],
    pub(super) whole: &'a [u8],
}

/// A run of elements that belong to one field of the certificate.
#[derive(Clone, Debug)]
pub(super) struct Input<'a> {
    reader: SliceReader<'a>,
    field: Field,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8], field: Field) -> Result<Self> {
        let reader =
            SliceReader::new(bytes).map_err(|_| CertificateProblem::Malformed { field })?;
        Ok(Self { reader, field })
    }

    pub(super) fn malformed(&self) -> CertificateProblem {
        CertificateProblem::Malformed { field: self.field }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reader.is_finished()
    }

    pub(super) fn next(&mut self) -> Result<Element<'a>> {
        let malformed = self.malformed();
        let whole = self.reader.tlv_bytes().map_err(|_| malformed)?;
        let mut inner = SliceReader::new(whole).map_err(|_| malformed)?;
        let header = Header::decode(&mut inner).map_err(|_| malformed)?;
        let value = inner.read_slice(header.length()).map_err(|_| malformed)?;
        let tag = header.tag();
        // Numbers above 30 need the long form, which X.509 never uses.
        if tag.number().value() > 30 {
            return Err(malformed);
        }
        Ok(Element { tag, value, whole })
    }

    pub(super) fn element(&mut self, tag: Tag) -> Result<Element<'a>> {
        let element = self.next()?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(self.malformed())
        }
    }

    pub(super) fn value(&mut self, tag: Tag) -> Result<&'a [u8]> {
        Ok(self.element(tag)?.value)
    }

    /// The next element's content if its tag is `tag`.
    pub(super) fn optional(&mut self, tag: Tag) -> Result<Option<&'a [u8]>> {
        match Tag::peek(&self.reader) {
            Ok(found) if found == tag => self.value(tag).map(Some),
            _ => Ok(None),
        }
    }

    /// Enters a constructed element.
    pub(super) fn nested(&mut self, tag: Tag) -> Result<Self> {
        Self::new(self.value(tag)?, self.field)
    }

    pub(super) fn finish(&self) -> Result<()> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(CertificateProblem::TrailingData { field: self.field })
        }
    }
}

/// A context-specific tag of primitive content.
pub(super) fn primitive(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: false,
        number: TagNumber::from(number),
    }
}

/// A context-specific tag of constructed content.
pub(super) fn constructed(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber::from(number),
    }
}

/// Walks every element and refuses what BER allows and DER does not.
pub(super) fn check(bytes: &[u8], field: Field) -> Result<()> {
    check_level(bytes, field, MAX_DEPTH)
}

fn check_level(bytes: &[u8], field: Field, depth: usize) -> Result<()> {
    let malformed = CertificateProblem::Malformed { field };
    let mut input = Input::new(bytes, field)?;
    while !input.is_empty() {
        let element = input.next()?;
        if element.tag.is_constructed() {
            let depth = depth
                .checked_sub(1)
                .ok_or(CertificateProblem::TooDeep { limit: MAX_DEPTH })?;
            check_level(element.value, field, depth)?;
            if element.tag == Tag::Set {
                check_set_order(element.value, field)?;
            }
        } else if !primitive_is_strict(&element) {
            return Err(malformed);
        }
    }
    Ok(())
}

fn check_set_order(bytes: &[u8], field: Field) -> Result<()> {
    let mut input = Input::new(bytes, field)?;
    let mut previous: &[u8] = &[];
    while !input.is_empty() {
        let whole = input.next()?.whole;
        if whole < previous {
            return Err(input.malformed());
        }
        previous = whole;
    }
    Ok(())
}

fn primitive_is_strict(element: &Element<'_>) -> bool {
    let value = element.value;
    match element.tag {
        Tag::Boolean => matches!(value, [0x00 | 0xff]),
        Tag::Integer | Tag::Enumerated => integer_is_minimal(value),
        Tag::Null => value.is_empty(),
        Tag::ObjectIdentifier => oid_is_valid(value),
        Tag::BitString => bit_string(value).is_some(),
        Tag::Utf8String => !value.contains(&0) && core::str::from_utf8(value).is_ok(),
        Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::NumericString => {
            value.is_ascii() && !value.contains(&0)
        }
        Tag::TeletexString => !value.contains(&0),
        _ => true,
    }
}

fn integer_is_minimal(value: &[u8]) -> bool {
    match value {
        [] => false,
        [0x00, next, ..] => next & 0x80 != 0,
        [0xff, next, ..] => next & 0x80 == 0,
        _ => true,
    }
}

/// Whether the content octets are base-128 groups, each in its shortest form.
pub(super) fn oid_is_valid(value: &[u8]) -> bool {
    let mut start = true;
    for byte in value {
        if start && *byte == 0x80 {
            return false;
        }
        start = byte & 0x80 == 0;
    }
    start && !value.is_empty()
}

/// The count of unused bits and the octets of a BIT STRING, if its padding is zero.
pub(super) fn bit_string(value: &[u8]) -> Option<(u8, &[u8])> {
    let (&unused, bits) = value.split_first()?;
    match bits.last() {
        _ if unused > 7 => None,
        None if unused != 0 => None,
        Some(last) if last.trailing_zeros() < u32::from(unused) => None,
        _ => Some((unused, bits)),
    }
}

/// The octets of a BIT STRING that is a whole number of octets.
pub(super) fn octets(value: &[u8]) -> Option<&[u8]> {
    bit_string(value).and_then(|(unused, bits)| (unused == 0).then_some(bits))
}

/// The magnitude of a positive INTEGER that is minimally encoded.
pub(super) fn positive(value: &[u8]) -> Option<&[u8]> {
    match value {
        [0x00, rest @ ..] if !rest.is_empty() && integer_is_minimal(value) => Some(rest),
        [first, ..] if (0x01..0x80).contains(first) => Some(value),
        _ => None,
    }
}
