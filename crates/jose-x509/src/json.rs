//! Strict JSON (RFC 8259): the one place that decides what JSON the workspace reads.
//!
//! Duplicate member names (compared after unescaping) are refused at every depth; size, depth,
//! members per object and the length of number tokens are bounded; input is UTF-8 without a byte
//! order mark and with nothing but white space behind it. Tokenising is `serde_json`'s.

use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};

mod error;
#[cfg(test)]
mod tests;
mod visit;

pub use error::{JsonError, JsonErrorKind};
pub(crate) use visit::Member;
use visit::{Checked, Noticed, Object};

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
