//! Strict DER elements (X.690), read in one pass; lengths of more than one octet are decoded by `der`.
//!
//! Whatever an [`Input`] hands out has a short tag, a minimal length and, if it is primitive, content that DER
//! allows for its type. The content of a constructed element is read by entering it, or else given to [`check`].

use der::{Decode as _, EncodingRules, ErrorKind, Length, Reader};

use super::error::{CertificateProblem, Field};

pub(super) type Result<T> = core::result::Result<T, CertificateProblem>;

/// Deepest nesting of a certificate or of an extension value.
const MAX_DEPTH: usize = 16;

/// An identifier octet. Numbers above 30 need the long form, which X.509 never uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u8);

impl Tag {
    pub(super) const BOOLEAN: Self = Self(0x01);
    pub(super) const INTEGER: Self = Self(0x02);
    pub(super) const BIT_STRING: Self = Self(0x03);
    pub(super) const OCTET_STRING: Self = Self(0x04);
    pub(super) const OBJECT_IDENTIFIER: Self = Self(0x06);
    pub(super) const SEQUENCE: Self = Self(0x30);
    pub(super) const SET: Self = Self(0x31);
    pub(super) const UTC_TIME: Self = Self(0x17);
    pub(super) const GENERALIZED_TIME: Self = Self(0x18);

    /// A context-specific tag of primitive content.
    pub(super) const fn primitive(number: u8) -> Self {
        Self(0x80 | number)
    }

    /// A context-specific tag of constructed content.
    pub(super) const fn constructed(number: u8) -> Self {
        Self(0xa0 | number)
    }

    pub(super) const fn is_constructed(self) -> bool {
        self.0 & 0x20 != 0
    }
}

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
    rest: &'a [u8],
    field: Field,
    /// What is malformed if an element is not DER.
    encoding: Field,
}

impl<'a> Input<'a> {
    /// The content of an extension, or any other run whose encoding is its own affair.
    pub(super) const fn new(bytes: &'a [u8], field: Field) -> Self {
        Self {
            rest: bytes,
            field,
            encoding: field,
        }
    }

    /// A part of the certificate proper, whose encoding is that of the certificate.
    pub(super) const fn part(bytes: &'a [u8], field: Field) -> Self {
        Self {
            rest: bytes,
            field,
            encoding: Field::Certificate,
        }
    }

    pub(super) const fn malformed(&self) -> CertificateProblem {
        CertificateProblem::Malformed { field: self.field }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Element<'a>> {
        match split(self.rest) {
            Some((element, rest)) if is_strict(element.tag, element.value) => {
                self.rest = rest;
                Ok(element)
            }
            _ => Err(CertificateProblem::Malformed {
                field: self.encoding,
            }),
        }
    }

    /// The next element of a run that has been read to its end before, so that nothing in it is left to be checked.
    #[inline]
    pub(super) fn again(&mut self) -> Option<Element<'a>> {
        let (element, rest) = split(self.rest)?;
        self.rest = rest;
        Some(element)
    }

    /// The next element, which has to have this tag. With the tag known, of the check of its content only that for its
    /// type is compiled in.
    #[inline(always)]
    pub(super) fn element(&mut self, tag: Tag) -> Result<Element<'a>> {
        match split(self.rest) {
            Some((element, rest)) if element.tag == tag && is_strict(tag, element.value) => {
                self.rest = rest;
                Ok(element)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Why the next element is not what it has to be.
    #[cold]
    #[inline(never)]
    fn unexpected(&self) -> CertificateProblem {
        let field = match split(self.rest) {
            Some((element, _)) if is_strict(element.tag, element.value) => self.field,
            _ => self.encoding,
        };
        CertificateProblem::Malformed { field }
    }

    #[inline(always)]
    pub(super) fn value(&mut self, tag: Tag) -> Result<&'a [u8]> {
        Ok(self.element(tag)?.value)
    }

    /// The next element, of any type; what it contains is checked, `above` levels below the outermost one.
    #[inline]
    pub(super) fn any(&mut self, above: usize) -> Result<Element<'a>> {
        let element = self.next()?;
        if element.tag.is_constructed() {
            check(&element, above, self.encoding)?;
        }
        Ok(element)
    }

    /// The next element's content if its tag is `tag`.
    #[inline(always)]
    pub(super) fn optional(&mut self, tag: Tag) -> Result<Option<&'a [u8]>> {
        if self.starts_with(tag) {
            self.value(tag).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(super) fn starts_with(&self, tag: Tag) -> bool {
        self.rest.first() == Some(&tag.0)
    }

    /// Enters the next element, which has to be a constructed one with this tag.
    #[inline(always)]
    pub(super) fn nested(&mut self, tag: Tag) -> Result<Self> {
        let element = self.element(tag)?;
        Ok(self.enter(&element))
    }

    /// Enters a constructed element of this run.
    pub(super) const fn enter(&self, element: &Element<'a>) -> Self {
        Self {
            rest: element.value,
            field: self.field,
            encoding: self.encoding,
        }
    }

    /// Passes over a relative name of the shape that nearly all have: one attribute of the arc id-at, with a text in
    /// ASCII. Gives `false` and stays where it is if the next one is of another shape, well formed or not.
    #[inline]
    pub(super) fn skip_usual_name(&mut self) -> bool {
        let [
            0x31,
            // A length in one octet, and so are those within.
            set @ 0..=0x7f,
            0x30,
            sequence,
            0x06,
            0x03,
            0x55,
            0x04,
            0x00..=0x7f,
            // UTF8String or PrintableString.
            0x0c | 0x13,
            length,
            after @ ..,
        ] = self.rest
        else {
            return false;
        };
        let length = usize::from(*length);
        if usize::from(*sequence) != length + 7 || usize::from(*set) != length + 9 {
            return false;
        }
        match after.split_at_checked(length) {
            Some((text, rest)) if is_text(text) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// The identifier, criticality and value of an extension of the shape that nearly all have: of the arc id-ce, and
    /// short. Gives `None` and stays where it is if the next one is of another shape, well formed or not.
    #[inline]
    pub(super) fn usual_extension(&mut self) -> Option<(&'a [u8], bool, &'a [u8])> {
        let (header, after) = self.rest.split_first_chunk::<7>()?;
        let [0x30, whole @ 0..=0x7f, 0x06, 0x03, 0x55, 0x1d, 0x00..=0x7f] = header else {
            return None;
        };
        let (critical, length, flag, after) = match after {
            [0x04, length, after @ ..] => (false, length, 0, after),
            [0x01, 0x01, 0xff, 0x04, length, after @ ..] => (true, length, 3, after),
            _ => return None,
        };
        let length = usize::from(*length);
        if usize::from(*whole) != length + flag + 7 {
            return None;
        }
        let oid = header.get(4..)?;
        let (value, rest) = after.split_at_checked(length)?;
        self.rest = rest;
        Some((oid, critical, value))
    }

    /// Passes over a key purpose of the arc id-kp, as nearly all are.
    #[inline]
    pub(super) fn skip_usual_purpose(&mut self) -> bool {
        let [
            0x06,
            0x08,
            0x2b,
            0x06,
            0x01,
            0x05,
            0x05,
            0x07,
            0x03,
            0x00..=0x7f,
            rest @ ..,
        ] = self.rest
        else {
            return false;
        };
        self.rest = rest;
        true
    }

    /// The elements of a SET stand in the order of their bytes.
    pub(super) fn check_order(&self, previous: &[u8], next: &[u8]) -> Result<()> {
        if next < previous {
            Err(CertificateProblem::Malformed {
                field: self.encoding,
            })
        } else {
            Ok(())
        }
    }

    pub(super) const fn finish(&self) -> Result<()> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(CertificateProblem::TrailingData { field: self.field })
        }
    }
}

/// The first element of `bytes` and what follows it. Its content is not looked at.
#[inline(always)]
fn split(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    match bytes {
        // As with most: nothing to decode.
        [_, length @ 0..=0x7f, ..] => divide(bytes, 2, usize::from(*length)),
        [_, rest @ ..] => {
            let mut octets = Octets { rest };
            let length = Length::decode(&mut octets).ok()?;
            let header = bytes.len().checked_sub(octets.rest.len())?;
            divide(bytes, header, usize::try_from(length).ok()?)
        }
        [] => None,
    }
}

/// What `der` reads from, one octet after the other. Its own reader knows the place of each error besides, which takes
/// three times as long, and nobody asks for it here.
#[derive(Clone)]
struct Octets<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> for Octets<'a> {
    const CAN_READ_SLICE: bool = true;

    fn encoding_rules(&self) -> EncodingRules {
        EncodingRules::Der
    }

    fn input_len(&self) -> Length {
        Length::try_from(self.rest.len()).unwrap_or(Length::MAX)
    }

    /// Always the beginning of what is left.
    fn position(&self) -> Length {
        Length::ZERO
    }

    fn read_nested<T, F, E>(&mut self, length: Length, read: F) -> core::result::Result<T, E>
    where
        F: FnOnce(&mut Self) -> core::result::Result<T, E>,
        E: From<der::Error>,
    {
        let mut inner = Self {
            rest: self.read_slice(length)?,
        };
        let value = read(&mut inner)?;
        inner.finish()?;
        Ok(value)
    }

    #[inline]
    fn read_slice(&mut self, length: Length) -> der::Result<&'a [u8]> {
        let slice = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length));
        let (slice, rest) = slice.ok_or(ErrorKind::Failed)?;
        self.rest = rest;
        Ok(slice)
    }

    #[inline]
    fn read_byte(&mut self) -> der::Result<u8> {
        let (octet, rest) = self.rest.split_first().ok_or(ErrorKind::Failed)?;
        self.rest = rest;
        Ok(*octet)
    }
}

#[inline(always)]
fn divide(bytes: &[u8], header: usize, length: usize) -> Option<(Element<'_>, &[u8])> {
    let (whole, rest) = bytes.split_at_checked(header.checked_add(length)?)?;
    let tag = Tag(*whole.first()?);
    let value = whole.get(header..)?;
    Some((Element { tag, value, whole }, rest))
}

/// Whether X.509 has the tag, and DER allows this content for it.
#[inline(always)]
fn is_strict(tag: Tag, value: &[u8]) -> bool {
    match tag.0 {
        // SEQUENCE and SET.
        0x30 | 0x31 => true,
        0x06 => oid_is_valid(value),
        // UTF8String.
        0x0c => is_text(value) || (!value.contains(&0) && core::str::from_utf8(value).is_ok()),
        // NumericString, PrintableString, IA5String, VisibleString.
        0x12 | 0x13 | 0x16 | 0x1a => is_text(value),
        0x01 => matches!(value, [0x00 | 0xff]),
        // INTEGER and ENUMERATED.
        0x02 | 0x0a => integer_is_minimal(value),
        0x03 => bit_string(value).is_some(),
        0x05 => value.is_empty(),
        // TeletexString.
        0x14 => !value.contains(&0),
        // OCTET STRING, REAL, RELATIVE-OID, VideotexString, UTCTime, GeneralizedTime, GeneralString, BMPString.
        0x04 | 0x09 | 0x0d | 0x15 | 0x17 | 0x18 | 0x1b | 0x1e => true,
        // Other universal types, and the wrong one of primitive and constructed.
        0x00..=0x3f => false,
        0x40..=0xff => tag.0 & 0x1f != 0x1f,
    }
}

/// Walks everything in a constructed element that has `above` more around it, and refuses what BER allows and DER does
/// not.
pub(super) fn check(element: &Element<'_>, above: usize, field: Field) -> Result<()> {
    let level = above + 1;
    if level > MAX_DEPTH {
        return Err(CertificateProblem::TooDeep { limit: MAX_DEPTH });
    }
    let mut input = Input::new(element.value, field);
    let mut previous: &[u8] = &[];
    while !input.is_empty() {
        let inner = input.any(level)?;
        if element.tag == Tag::SET {
            input.check_order(previous, inner.whole)?;
            previous = inner.whole;
        }
    }
    Ok(())
}

/// ASCII without NUL.
#[inline]
pub(super) fn is_text(value: &[u8]) -> bool {
    all_within::<0x01, 0x7f>(value)
}

/// Whether each octet is from `LOW` to `HIGH`, which are ASCII. Eight octets at a time: as long as all are in the range,
/// neither the difference nor the sum borrows or carries, and none of the high bits is set; the lowest octet
/// that is not sets one.
#[inline]
pub(super) fn all_within<const LOW: u8, const HIGH: u8>(value: &[u8]) -> bool {
    const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    let low = u64::from_ne_bytes([LOW; 8]);
    let headroom = u64::from_ne_bytes([0x7f - HIGH; 8]);
    let outside = |word: [u8; 8]| {
        let word = u64::from_ne_bytes(word);
        (word | word.wrapping_sub(low) | word.wrapping_add(headroom)) & HIGH_BITS
    };
    match value.last_chunk::<8>() {
        None => value
            .iter()
            .fold(true, |all, octet| all & (LOW..=HIGH).contains(octet)),
        // The last eight may overlap those before.
        Some(last) => {
            let mut sum = outside(*last);
            let mut rest = value;
            while let Some((word, after)) = rest.split_first_chunk::<8>() {
                sum |= outside(*word);
                rest = after;
            }
            sum == 0
        }
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
#[inline]
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
#[inline]
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
