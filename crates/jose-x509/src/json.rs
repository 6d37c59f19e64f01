//! Strict JSON (RFC 8259): the one place that decides what JSON the workspace reads.
//!
//! Duplicate member names (compared after unescaping) are refused at every depth; size, depth,
//! members per object and the length of number tokens are bounded; input is UTF-8 without a byte
//! order mark and with nothing but white space behind it. Tokenising is `serde_json`'s.

use core::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny};
use serde_json::{Map, Value};

mod error;
mod names;
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
    let text = scan(bytes, limits)?;
    read(text, limits, PhantomData::<IgnoredAny>)?;
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
    read_with(bytes, limits, PhantomData)
}

/// Checks a text that has to be one object, and returns its members.
///
/// # Errors
///
/// [`JsonError`].
pub fn object(bytes: &[u8], limits: &Limits) -> Result<Map<String, Value>, JsonError> {
    from_slice(bytes, limits)
}

/// Calls `member` for every member of the one object that `bytes` must be.
pub(crate) fn read_object<'de>(
    bytes: &'de [u8],
    limits: &Limits,
    member: impl FnMut(&str, Member<'de>),
) -> Result<(), JsonError> {
    read_members(bytes, limits, &mut Each(member))
}

/// Lets `members` read the members of the one object that `bytes` must be.
pub(crate) fn read_members<'de>(
    bytes: &'de [u8],
    limits: &Limits,
    members: &mut impl Members<'de>,
) -> Result<(), JsonError> {
    read_with(bytes, limits, Object(members))
}

/// Reads a text with a seed.
pub(crate) fn read_with<'de, S: DeserializeSeed<'de>>(
    bytes: &'de [u8],
    limits: &Limits,
    seed: S,
) -> Result<S::Value, JsonError> {
    read(scan(bytes, limits)?, limits, seed)
}

fn read<'a, S: DeserializeSeed<'a>>(
    text: &'a str,
    limits: &Limits,
    seed: S,
) -> Result<S::Value, JsonError> {
    let state = State::new(limits);
    let mut json = serde_json::Deserializer::from_str(text);
    let value = seed
        .deserialize(Strict::new(&mut json, &state))
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| JsonError::from_serde(&error, text, state.noticed()))?;
    if state.unseen() {
        read(text, limits, PhantomData::<IgnoredAny>)?;
    }
    Ok(value)
}

/// Size, UTF-8 and the length of numbers: what nobody checks on the way.
fn scan<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, JsonError> {
    if bytes.len() > limits.bytes {
        return Err(JsonError::new(JsonErrorKind::TooLarge, limits.bytes));
    }
    let text = core::str::from_utf8(bytes)
        .map_err(|error| JsonError::new(JsonErrorKind::NotUtf8, error.valid_up_to()))?;
    if may_have_long_number(bytes) {
        check_numbers(bytes)?;
    }
    Ok(text)
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
