//! Strict JSON (RFC 8259): the one place that decides what JSON the workspace reads.
//!
//! Duplicate member names (compared after unescaping) are refused at every depth; size, depth,
//! members per object and the length of number tokens are bounded; input is UTF-8 without a byte
//! order mark and with nothing but white space behind it. Tokenising is `serde_json`'s, but for texts of the
//! plainest kind.

use core::marker::PhantomData;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

mod error;
mod names;
mod plain;
mod strict;
#[cfg(test)]
mod tests;
mod visit;

pub use error::{JsonError, JsonErrorKind};
use strict::{State, Strict};
pub(crate) use visit::{AnyMember, Member, Members, Text};
use visit::{Each, Object};

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

/// Checks a text against every rule of this module and returns it as a string.
///
/// # Errors
///
/// [`JsonError`] with the first rule that is broken.
pub fn check<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, JsonError> {
    let text = utf8(bytes, limits)?;
    read(text, limits, &mut As::<IgnoredAny>(PhantomData))?;
    Ok(text)
}

/// Reads a text into `T`, which may borrow from it, and checks it in the same pass.
///
/// A text that breaks several rules is refused for the first one that was met. Map keys are read as
/// strings.
///
/// # Errors
///
/// [`JsonError`]; of kind [`JsonErrorKind::Shape`] when the text is fine but `T` wants another shape.
pub fn from_slice<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<T, JsonError> {
    read_with(bytes, limits, &mut As(PhantomData))
}

/// Checks a text that has to be one object, and returns its members.
///
/// # Errors
///
/// [`JsonError`].
pub fn object(bytes: &[u8], limits: &Limits) -> Result<Map<String, Value>, JsonError> {
    from_slice(bytes, limits)
}

/// Lets `member` note every member of the one object that `bytes` must be, and returns the notes.
pub(crate) fn read_object<'de, T: Default>(
    bytes: &'de [u8],
    limits: &Limits,
    member: impl FnMut(&mut T, &str, Member<'de>),
) -> Result<T, JsonError> {
    let mut each = Each {
        notes: T::default(),
        member,
    };
    read_members(bytes, limits, &mut each)?;
    Ok(each.notes)
}

/// Lets `members` read the members of the one object that `bytes` must be.
pub(crate) fn read_members<'de>(
    bytes: &'de [u8],
    limits: &Limits,
    members: &mut impl Members<'de>,
) -> Result<(), JsonError> {
    read_with(bytes, limits, &mut Object(members))
}

/// What reads a text, and begins anew if the first way to read it turns out to be the wrong one.
pub(crate) trait Reader<'de> {
    type Value;

    fn read<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<Self::Value, D::Error>;

    /// Forgets what an attempt has read.
    fn restart(&mut self);
}

/// Reads a `T`.
struct As<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Reader<'de> for As<T> {
    type Value = T;

    fn read<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }

    fn restart(&mut self) {}
}

/// Reads a text.
pub(crate) fn read_with<'de, R: Reader<'de>>(
    bytes: &'de [u8],
    limits: &Limits,
    reader: &mut R,
) -> Result<R::Value, JsonError> {
    read(utf8(bytes, limits)?, limits, reader)
}

fn read<'de, R: Reader<'de>>(
    text: &'de str,
    limits: &Limits,
    reader: &mut R,
) -> Result<R::Value, JsonError> {
    if let Some(value) = plain::read(text, limits, reader) {
        return Ok(value);
    }
    reader.restart();
    read_strictly(text, limits, reader)
}

/// The general way.
fn read_strictly<'de, R: Reader<'de>>(
    text: &'de str,
    limits: &Limits,
    reader: &mut R,
) -> Result<R::Value, JsonError> {
    if may_have_long_number(text.as_bytes()) {
        check_numbers(text.as_bytes())?;
    }
    let state = State::new(limits);
    let mut json = serde_json::Deserializer::from_str(text);
    let value = reader
        .read(Strict::new(&mut json, &state))
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| JsonError::from_serde(&error, text, state.noticed()))?;
    if state.unseen() {
        read_strictly(text, limits, &mut As::<IgnoredAny>(PhantomData))?;
    }
    Ok(value)
}

/// A text of acceptable size.
fn utf8<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, JsonError> {
    if bytes.len() > limits.bytes {
        return Err(JsonError::new(JsonErrorKind::TooLarge, limits.bytes));
    }
    simdutf8::basic::from_utf8(bytes).map_err(|_| {
        // Only now is it worth knowing where.
        let valid = simdutf8::compat::from_utf8(bytes).map_err(|error| error.valid_up_to());
        JsonError::new(JsonErrorKind::NotUtf8, valid.err().unwrap_or_default())
    })
}

/// Reads a part of a text that was read before, with other eyes: as an ordinary reader does, but faster.
pub(crate) fn again<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Option<T> {
    let text = simdutf8::basic::from_utf8(bytes).ok()?;
    let limits = Limits::CLAIMS.with_bytes(usize::MAX).with_depth(MAX_DEPTH);
    plain::read(text, &limits, &mut As(PhantomData)).or_else(|| serde_json::from_str(text).ok())
}

const fn in_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

/// Whether somewhere, be it in a string, more than [`MAX_NUMBER_LEN`] bytes of numbers follow each
/// other. Such a run covers a multiple of that length, so a few bytes decide.
fn may_have_long_number(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut at = 0;
    while let Some(byte) = rest.first() {
        if in_number(*byte) {
            let (before, from) = bytes.split_at(at);
            let run = |byte: &&u8| in_number(**byte);
            let len = before.iter().rev().take_while(run).count()
                + from.iter().take_while(run).take(MAX_NUMBER_LEN + 1).count();
            if len > MAX_NUMBER_LEN {
                return true;
            }
        }
        at += MAX_NUMBER_LEN;
        rest = bytes.get(at..).unwrap_or_default();
    }
    false
}

fn check_numbers(bytes: &[u8]) -> Result<(), JsonError> {
    let (mut number, mut in_string, mut escaped) = (0_usize, false, false);
    for (offset, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            byte if in_number(*byte) => {
                number += 1;
                if number > MAX_NUMBER_LEN {
                    return Err(JsonError::new(JsonErrorKind::NumberTooLong, offset));
                }
                continue;
            }
            _ => {}
        }
        number = 0;
    }
    Ok(())
}
