//! Strict DER elements (X.690), read in one pass with `der`.
//!
//! Whatever an [`Input`] hands out has a header as `der` decodes it and, if it is primitive, content that DER allows for
//! its type. The content of a constructed element is read by entering it, or else given to [`check`].

use der::{Decode as _, EncodingRules, ErrorKind, Header, Length, Reader, Tag, TagNumber};

use super::error::{CertificateProblem, Field};

#[cfg(test)]
mod tests;

pub(super) type Result<T> = core::result::Result<T, CertificateProblem>;

/// Deepest nesting of a certificate or of an extension value.
const MAX_DEPTH: usize = 16;

/// A context-specific tag of primitive content.
pub(super) const fn primitive(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: false,
        number: TagNumber(number),
    }
}

/// A context-specific tag of constructed content.
pub(super) const fn constructed(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    }
}

/// The identifier octet of a tag whose number fits into it.
#[inline(always)]
fn identifier(tag: Tag) -> u8 {
    let number = u8::try_from(tag.number().value()).unwrap_or(0x1f);
    tag.class().bits() | u8::from(tag.is_constructed()) << 5 | number
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
        self.decode()
            .filter(|element| is_strict(element.tag, element.value))
            .ok_or(CertificateProblem::Malformed {
                field: self.encoding,
            })
    }

    /// The next element of a run that has been read to its end before, so that nothing in it is left to be checked. It
    /// may have any tag, and has this one as a rule.
    pub(super) fn again(&mut self, usual: Tag) -> Option<Element<'a>> {
        self.short(usual).or_else(|| self.decode())
    }

    /// The next element, whatever it is.
    fn decode(&mut self) -> Option<Element<'a>> {
        let start = self.rest;
        let header = Header::decode(self).ok()?;
        self.content(start, header.tag(), header.length())
    }

    /// The element that begins at `start` and whose header has been read.
    #[inline(always)]
    fn content(&mut self, start: &'a [u8], tag: Tag, length: Length) -> Option<Element<'a>> {
        let value = self.read_slice(length).ok()?;
        let whole = start.get(..start.len().checked_sub(self.rest.len())?)?;
        Some(Element { tag, value, whole })
    }

    /// The next element, which has to have this tag. With the tag known, of the check of its content only that for its
    /// type is compiled in.
    #[inline(always)]
    pub(super) fn element(&mut self, tag: Tag) -> Result<Element<'a>> {
        let start = self.rest;
        let element = match self.short(tag) {
            None if self.starts_with(tag) => self.long(tag),
            element => element,
        };
        match element {
            Some(element) if is_strict(tag, element.value) => Ok(element),
            _ => Err(self.unexpected(start)),
        }
    }

    /// The next element if it has this tag and a length in one octet: with most that is so, and takes two comparisons.
    #[inline(always)]
    fn short(&mut self, tag: Tag) -> Option<Element<'a>> {
        let (header, content) = self.rest.split_first_chunk::<2>()?;
        let [first, length @ 0..=0x7f] = *header else {
            return None;
        };
        if first != identifier(tag) {
            return None;
        }
        let length = usize::from(length);
        let (value, rest) = content.split_at_checked(length)?;
        let whole = self.rest.get(..length + 2)?;
        self.rest = rest;
        Some(Element { tag, value, whole })
    }

    /// The next element, which has this tag. [`Header::decode`] would tell it from all others first, and takes longer.
    #[inline(never)]
    fn long(&mut self, tag: Tag) -> Option<Element<'a>> {
        let start = self.rest;
        self.read_byte().ok()?;
        let length = Length::decode(self).ok()?;
        self.content(start, tag, length)
    }

    /// Why the element at `start` is not what it has to be.
    #[cold]
    #[inline(never)]
    fn unexpected(&self, start: &'a [u8]) -> CertificateProblem {
        let mut input = Self {
            rest: start,
            ..*self
        };
        match input.next() {
            Ok(_) => self.malformed(),
            Err(malformed) => malformed,
        }
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
        self.rest.first() == Some(&identifier(tag))
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

/// What `der` reads from. Its own reader knows the place of each error besides, which takes three times as long, and
/// nobody asks for it here.
impl<'a> Reader<'a> for Input<'a> {
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
            ..*self
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

/// Whether X.509 has the tag, and DER allows this content for it.
#[inline(always)]
fn is_strict(tag: Tag, value: &[u8]) -> bool {
    match tag {
        Tag::ObjectIdentifier => oid_is_valid(value),
        Tag::Utf8String => {
            is_text(value) || (!value.contains(&0) && core::str::from_utf8(value).is_ok())
        }
        Tag::NumericString | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString => {
            is_text(value)
        }
        Tag::Boolean => matches!(value, [0x00 | 0xff]),
        Tag::Integer | Tag::Enumerated => integer_is_minimal(value),
        Tag::BitString => bit_string(value).is_some(),
        Tag::Null => value.is_empty(),
        Tag::TeletexString => !value.contains(&0),
        // X.509 needs no number that has more than one octet.
        Tag::Application { number, .. }
        | Tag::ContextSpecific { number, .. }
        | Tag::Private { number, .. } => number.value() < 31,
        // Constructed, or any octets.
        _ => true,
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
        if element.tag == Tag::Set {
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
