//! A reader for JSON as nearly everybody writes it: without escapes, fractions and negative numbers. It decides nothing:
//! whatever it does not expect, be it an escape, a repeated name or a wrong type, is left to `serde_json` and
//! [`strict`](super::strict), which begin anew and say what is wrong, if something is.
//!
//! The claims of a token take about six tenths of the time that they take there.

use core::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::names::Names;
use super::strict::RAW_VALUE;
use super::{Limits, MAX_DEPTH, Reader};

/// Digits that every `u64` has room for.
const DIGITS: usize = 19;

/// Reads a whole text that was found to be UTF-8; nothing if it has to be read in the general way.
pub(super) fn read<'de, R: Reader<'de>>(
    text: &'de str,
    limits: &Limits,
    reader: &mut R,
) -> Option<R::Value> {
    let mut plain = Plain::new(text, limits)?;
    let value = reader.read(&mut plain).ok()?;
    plain.next().is_none().then_some(value)
}

/// A text without escapes, and how far it was read.
struct Plain<'de> {
    text: &'de str,
    at: usize,
    depth_left: usize,
    members: usize,
    /// Whether there are control characters somewhere, which no string may have.
    controls: bool,
}

/// Something that has to be read in the general way.
#[derive(Debug)]
struct Unusual;

impl fmt::Display for Unusual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("to be read in the general way")
    }
}

impl core::error::Error for Unusual {}

impl serde::de::Error for Unusual {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Plain<'de> {
    fn new(text: &'de str, limits: &Limits) -> Option<Self> {
        let bytes = text.as_bytes();
        if memchr::memchr(b'\\', bytes).is_some() {
            return None;
        }
        Some(Self {
            text,
            at: 0,
            depth_left: limits.depth.min(MAX_DEPTH),
            members: limits.members,
            controls: has_controls(bytes),
        })
    }

    /// The byte behind white space.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            _ => self.behind_space(),
        }
    }

    #[cold]
    fn behind_space(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Takes this byte, which has to be the next one.
    #[inline]
    fn take(&mut self, byte: u8) -> Result<(), Unusual> {
        if self.next() != Some(byte) {
            return Err(Unusual);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Unusual> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(Unusual);
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    fn string(&mut self) -> Result<&'de str, Unusual> {
        self.take(b'"')?;
        let rest = self.text.get(self.at..).ok_or(Unusual)?;
        let len = quote(rest.as_bytes()).ok_or(Unusual)?;
        let string = rest.get(..len).ok_or(Unusual)?;
        if self.controls && has_controls(string.as_bytes()) {
            return Err(Unusual);
        }
        self.at += len + 1;
        Ok(string)
    }

    /// A whole number that is not negative.
    #[inline]
    fn number(&mut self) -> Result<u64, Unusual> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let (mut number, mut digits) = (0_u64, 0);
        for byte in rest.iter().take(DIGITS + 1) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            // Beyond the digits that there is room for, it is not looked at.
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            digits += 1;
        }
        let more = matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
        let zero = rest.first() == Some(&b'0') && digits > 1;
        if more || zero || !(1..=DIGITS).contains(&digits) {
            return Err(Unusual);
        }
        self.at += digits;
        Ok(number)
    }

    /// Runs `inside` between two brackets, one level deeper.
    #[inline]
    fn nested<T>(
        &mut self,
        [open, close]: [u8; 2],
        inside: impl FnOnce(&mut Self) -> Result<T, Unusual>,
    ) -> Result<T, Unusual> {
        self.take(open)?;
        let depth = self.depth_left;
        self.depth_left = depth.checked_sub(1).ok_or(Unusual)?;
        let value = inside(self)?;
        self.take(close)?;
        self.depth_left = depth;
        Ok(value)
    }

    fn seq<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unusual> {
        self.nested(*b"[]", |plain| {
            visitor.visit_seq(Elements { plain, first: true })
        })
    }

    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unusual> {
        self.nested(*b"{}", |plain| {
            visitor.visit_map(Members {
                plain,
                first: true,
                names: Names::default(),
            })
        })
    }

    /// Whether another part follows of what ends with `close`.
    #[inline]
    fn another(&mut self, first: &mut bool, close: u8) -> Result<bool, Unusual> {
        if self.next().ok_or(Unusual)? == close {
            return Ok(false);
        }
        if !core::mem::take(first) {
            self.take(b',')?;
        }
        Ok(true)
    }

    /// The text of one value, whose inside was looked at.
    fn raw(&mut self) -> Result<&'de str, Unusual> {
        self.next();
        let from = self.at;
        (&mut *self).deserialize_any(IgnoredAny)?;
        self.text.get(from..self.at).ok_or(Unusual)
    }
}

/// Where the next quotation mark is: looked for in words first, since most strings are short.
#[inline]
fn quote(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
    let mut at = 0;
    for word in bytes.chunks_exact(8).take(8) {
        let zero = u64::from_le_bytes(word.try_into().ok()?) ^ QUOTES;
        // Of the zero bytes, the first one is told for sure.
        let found = zero.wrapping_sub(ONES) & !zero & HIGH;
        if found != 0 {
            return Some(at + usize::try_from(found.trailing_zeros() / 8).ok()?);
        }
        at += 8;
    }
    Some(at + memchr::memchr(b'"', bytes.get(at..)?)?)
}

/// Told for many bytes at a time.
fn has_controls(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |any, byte| any | (*byte < 0x20))
}

/// The methods for one type: what is not of it is unusual, even if the visitor would take it.
macro_rules! only {
    ($($first:pat => $($method:ident)*;)*) => {$($(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
            match self.next() {
                Some($first) => self.deserialize_any(visitor),
                _ => Err(Unusual),
            }
        }
    )*)*};
}

macro_rules! never {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unusual> {
            Err(Unusual)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Plain<'de> {
    type Error = Unusual;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        match self.next().ok_or(Unusual)? {
            b'"' => visitor.visit_borrowed_str(self.string()?),
            b'0'..=b'9' => visitor.visit_u64(self.number()?),
            b'[' => self.seq(visitor),
            b'{' => self.map(visitor),
            b't' => self.word("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.word("false").and_then(|()| visitor.visit_bool(false)),
            b'n' => self.word("null").and_then(|()| visitor.visit_unit()),
            _ => Err(Unusual),
        }
    }

    only! {
        b'"' => deserialize_str deserialize_string deserialize_char deserialize_identifier;
        b'0'..=b'9' => deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_i8 deserialize_i16
            deserialize_i32 deserialize_i64 deserialize_f32 deserialize_f64;
        b't' | b'f' => deserialize_bool;
        b'n' => deserialize_unit;
        b'[' => deserialize_seq;
        b'{' => deserialize_map;
    }

    never! { deserialize_u128 deserialize_i128 deserialize_bytes deserialize_byte_buf }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        if self.next() == Some(b'n') {
            self.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        if name == RAW_VALUE {
            return visitor.visit_map(Raw(Some(self.raw()?)));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unusual> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        self.deserialize_map(visitor)
    }

    /// A variant without content.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        let name = self.string()?;
        visitor.visit_enum(Unit(name))
    }
}

struct Elements<'p, 'de> {
    plain: &'p mut Plain<'de>,
    first: bool,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Unusual;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unusual> {
        if !self.plain.another(&mut self.first, b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.plain).map(Some)
    }
}

struct Members<'p, 'de> {
    plain: &'p mut Plain<'de>,
    first: bool,
    names: Names<'de>,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Unusual;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unusual> {
        if !self.plain.another(&mut self.first, b'}')? {
            return Ok(None);
        }
        let name = self.plain.string()?;
        self.names
            .add_borrowed(name, self.plain.members)
            .map_err(|_| Unusual)?;
        seed.deserialize(BorrowedStrDeserializer::new(name))
            .map(Some)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unusual> {
        self.plain.take(b':')?;
        seed.deserialize(&mut *self.plain)
    }
}

/// The one name and text by which `serde_json` hands a part of the text to a `RawValue`.
struct Raw<'de>(Option<&'de str>);

impl<'de> MapAccess<'de> for Raw<'de> {
    type Error = Unusual;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unusual> {
        match self.0 {
            None => Ok(None),
            Some(_) => seed
                .deserialize(BorrowedStrDeserializer::new(RAW_VALUE))
                .map(Some),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unusual> {
        let text = self.0.take().ok_or(Unusual)?;
        seed.deserialize(BorrowedStrDeserializer::new(text))
    }
}

/// The name of a variant without content.
struct Unit<'de>(&'de str);

impl<'de> EnumAccess<'de> for Unit<'de> {
    type Error = Unusual;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Unusual> {
        let variant = seed.deserialize(StrDeserializer::new(self.0))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Unit<'de> {
    type Error = Unusual;

    fn unit_variant(self) -> Result<(), Unusual> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, Unusual> {
        Err(Unusual)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Unusual> {
        Err(Unusual)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Unusual> {
        Err(Unusual)
    }
}
