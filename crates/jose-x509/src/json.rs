//! Strict JSON (RFC 8259): the one place that decides what JSON the workspace reads.
//!
//! Duplicate member names (compared after unescaping) are refused at every depth; size, depth,
//! members per object and the length of number tokens are bounded; input is UTF-8 without a byte
//! order mark and with nothing but white space behind it. Tokenising is `serde_json`'s.

use core::cell::Cell;
use core::fmt;
use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

/// Bounds on one JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest text in bytes.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects; a flat object has depth 1. At most 64.
    pub depth: usize,
    /// Most members in one object.
    pub members: usize,
}

impl Limits {
    /// For claims: 64 KiB, depth 16, 256 members an object.
    pub const CLAIMS: Self = Self {
        bytes: 64 * 1024,
        depth: 16,
        members: 256,
    };
    /// For a JWS header: 8 KiB, depth 16, 32 members an object.
    pub const HEADER: Self = Self {
        bytes: 8 * 1024,
        depth: 16,
        members: 32,
    };
    /// For key sets and bundles: 1 MiB, depth 16, 256 members an object.
    pub const DOCUMENT: Self = Self {
        bytes: 1024 * 1024,
        depth: 16,
        members: 256,
    };

    /// The same limits with another size.
    #[must_use]
    pub const fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// The same limits with another depth.
    #[must_use]
    pub const fn with_depth(self, depth: usize) -> Self {
        Self { depth, ..self }
    }
}

/// Longest accepted number token in characters.
pub const MAX_NUMBER_LEN: usize = 32;
/// What [`Limits::depth`] is capped at, so that no caller can ask for a stack overflow.
const MAX_DEPTH: usize = 64;

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Longer than [`Limits::bytes`].
    TooLarge,
    /// Deeper than [`Limits::depth`].
    TooDeep,
    /// More members in one object than [`Limits::members`].
    TooManyMembers,
    /// A number token longer than [`MAX_NUMBER_LEN`].
    NumberTooLong,
    /// A member name occurs twice in one object.
    DuplicateMember,
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON.
    Syntax,
    /// JSON, but not of the shape that is expected.
    Shape,
}

impl JsonErrorKind {
    /// A stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::TooManyMembers => "too_many_members",
            Self::NumberTooLong => "number_too_long",
            Self::DuplicateMember => "duplicate_member",
            Self::NotUtf8 => "not_utf8",
            Self::Syntax => "invalid_json",
            Self::Shape => "json_shape",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::TooLarge => "longer than the limit",
            Self::TooDeep => "nested deeper than the limit",
            Self::TooManyMembers => "more members in one object than the limit",
            Self::NumberTooLong => "a number has too many characters",
            Self::DuplicateMember => "a member name occurs twice in one object",
            Self::NotUtf8 => "not UTF-8",
            Self::Syntax => "not valid JSON",
            Self::Shape => "JSON of an unexpected shape",
        }
    }
}

/// Why a JSON text was refused, and near which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    kind: JsonErrorKind,
    offset: usize,
}

impl JsonError {
    pub(crate) const fn new(kind: JsonErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> JsonErrorKind {
        self.kind
    }

    /// The byte at or shortly behind which it was noticed.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    fn from_serde(error: &serde_json::Error, text: &str, noticed: Option<JsonErrorKind>) -> Self {
        let kind = noticed.unwrap_or(match error.classify() {
            serde_json::error::Category::Data => JsonErrorKind::Shape,
            _ => JsonErrorKind::Syntax,
        });
        let before: usize = text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum();
        Self::new(kind, before.saturating_add(error.column()).min(text.len()))
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (near byte {})", self.kind.text(), self.offset)
    }
}

impl core::error::Error for JsonError {}

/// Checks a text against every rule of this module and returns it as a string.
///
/// # Errors
///
/// [`JsonError`] with the first rule that is broken.
pub fn check<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, JsonError> {
    let noticed = Noticed::default();
    read(
        bytes,
        limits,
        &noticed,
        Checked {
            noticed: &noticed,
            members: limits.members,
        },
    )?;
    core::str::from_utf8(bytes)
        .map_err(|error| JsonError::new(JsonErrorKind::NotUtf8, error.valid_up_to()))
}

/// Checks a text, then reads it into `T`, which may borrow from it.
///
/// # Errors
///
/// [`JsonError`]; of kind [`JsonErrorKind::Shape`] when the text is fine but `T` wants another shape.
pub fn from_slice<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<T, JsonError> {
    let text = check(bytes, limits)?;
    serde_json::from_str(text).map_err(|error| JsonError::from_serde(&error, text, None))
}

/// Checks a text that has to be one object, and returns its members.
///
/// # Errors
///
/// [`JsonError`].
pub fn object(bytes: &[u8], limits: &Limits) -> Result<Map<String, Value>, JsonError> {
    from_slice(bytes, limits)
}

/// Reads a text with a seed of this crate that itself refuses duplicates through `noticed`.
pub(crate) fn read<'a, S: DeserializeSeed<'a>>(
    bytes: &'a [u8],
    limits: &Limits,
    noticed: &Noticed,
    seed: S,
) -> Result<S::Value, JsonError> {
    let text = scan(bytes, limits)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let result = seed
        .deserialize(&mut json)
        .and_then(|value| json.end().map(|()| value));
    result.map_err(|error| JsonError::from_serde(&error, text, noticed.0.get()))
}

/// Why a seed of this crate stopped, which `serde`'s own error cannot carry.
#[derive(Default)]
pub(crate) struct Noticed(Cell<Option<JsonErrorKind>>);

impl Noticed {
    fn fail<E: serde::de::Error>(&self, kind: JsonErrorKind) -> E {
        self.0.set(Some(kind));
        E::custom(kind.text())
    }
}

/// Size, UTF-8, depth and number length: what has to hold before a recursive reader sees the text.
fn scan<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, JsonError> {
    if bytes.len() > limits.bytes {
        return Err(JsonError::new(JsonErrorKind::TooLarge, limits.bytes));
    }
    let text = core::str::from_utf8(bytes)
        .map_err(|error| JsonError::new(JsonErrorKind::NotUtf8, error.valid_up_to()))?;
    let max_depth = limits.depth.min(MAX_DEPTH);
    let (mut depth, mut number, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for (offset, byte) in bytes.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E' => {
                number += 1;
                if number > MAX_NUMBER_LEN {
                    return Err(JsonError::new(JsonErrorKind::NumberTooLong, offset));
                }
                continue;
            }
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > max_depth {
                    return Err(JsonError::new(JsonErrorKind::TooDeep, offset));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        number = 0;
    }
    Ok(text)
}

/// Reads any value, keeps nothing, refuses duplicates below it.
#[derive(Clone, Copy)]
pub(crate) struct Checked<'n> {
    pub(crate) noticed: &'n Noticed,
    pub(crate) members: usize,
}

impl<'de> DeserializeSeed<'de> for Checked<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = Names::new(self);
        while names.next(&mut map)?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// The member names of one object, each of which may occur once.
pub(crate) struct Names<'de, 'n> {
    checked: Checked<'n>,
    /// The first names, compared one by one; `many` takes over where an object has more.
    few: [&'de str; FEW],
    len: usize,
    many: BTreeSet<Cow<'de, str>>,
}

const FEW: usize = 16;

impl<'de, 'n> Names<'de, 'n> {
    pub(crate) fn new(checked: Checked<'n>) -> Self {
        Self {
            checked,
            few: [""; FEW],
            len: 0,
            many: BTreeSet::new(),
        }
    }

    /// The next member's name, refused if the object has it already.
    pub(crate) fn next<A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
    ) -> Result<Option<Cow<'de, str>>, A::Error> {
        let Some(name) = map.next_key_seed(Text)? else {
            return Ok(None);
        };
        let total = self.len.saturating_add(self.many.len());
        if total >= self.checked.members {
            return Err(self.checked.noticed.fail(JsonErrorKind::TooManyMembers));
        }
        let seen =
            self.few.iter().take(self.len).any(|few| *few == name) || self.many.contains(&name);
        if seen {
            return Err(self.checked.noticed.fail(JsonErrorKind::DuplicateMember));
        }
        match (&name, self.few.get_mut(self.len)) {
            (Cow::Borrowed(borrowed), Some(slot)) => {
                *slot = borrowed;
                self.len += 1;
            }
            _ => {
                self.many.insert(name.clone());
            }
        }
        Ok(Some(name))
    }
}

/// A string, borrowed from the input unless it has escapes.
pub(crate) struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// What a member of a known name was found to be.
pub(crate) enum Member<'de> {
    Text(Cow<'de, str>),
    /// Non-negative whole number.
    Unsigned(u64),
    /// Any other number.
    Float(f64),
    /// All elements were strings.
    Texts(Vec<Cow<'de, str>>),
    /// `null`, a boolean, an object, or an array with something else than strings.
    Other,
}

/// Reads a value whose type the caller wants to see, refusing duplicates below it.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'n>(pub(crate) Checked<'n>);

impl<'de> DeserializeSeed<'de> for Seen<'_> {
    type Value = Member<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seen<'_> {
    type Value = Member<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a negative number is refused whatever its exact value"
    )]
    fn visit_i64<E>(self, number: i64) -> Result<Member<'de>, E> {
        Ok(u64::try_from(number).map_or(Member::Float(number as f64), Member::Unsigned))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Member<'de>, E> {
        Ok(Member::Unsigned(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Member<'de>, E> {
        Ok(Member::Float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Member<'de>, A::Error> {
        let mut texts = Some(Vec::new());
        while let Some(element) = seq.next_element_seed(self)? {
            match (element, &mut texts) {
                (Member::Text(text), Some(texts)) => texts.push(text),
                _ => texts = None,
            }
        }
        Ok(texts.map_or(Member::Other, Member::Texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Member<'de>, A::Error> {
        self.0.visit_map(map).map(|()| Member::Other)
    }
}

/// Reads one object, handing each member of it to `member`.
pub(crate) struct Object<'n, F> {
    pub(crate) checked: Checked<'n>,
    pub(crate) member: F,
}

impl<'de, F: FnMut(&str, Member<'de>)> DeserializeSeed<'de> for Object<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(&str, Member<'de>)> Visitor<'de> for Object<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut names = Names::new(self.checked);
        while let Some(name) = names.next(&mut map)? {
            let value = map.next_value_seed(Seen(self.checked))?;
            (self.member)(&name, value);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Err(A::Error::custom("not an object"))
    }
}

/// Calls `member` for every member of the one object that `bytes` must be.
pub(crate) fn read_object<'de>(
    bytes: &'de [u8],
    limits: &Limits,
    member: impl FnMut(&str, Member<'de>),
) -> Result<(), JsonError> {
    let noticed = Noticed::default();
    let checked = Checked {
        noticed: &noticed,
        members: limits.members,
    };
    read(bytes, limits, &noticed, Object { checked, member })
}

#[cfg(test)]
mod tests;
