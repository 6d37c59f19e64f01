//! Strings that lie in a decoded buffer, so that reading a token does not copy them.

use std::borrow::Cow;

/// A string of a JSON text: a place in it, or its own where the text had escapes.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    /// In 32 bits each, because tokens are short, and a claims set with many of these is moved about.
    Place {
        start: u32,
        len: u32,
    },
    Own(Box<str>),
}

impl Text {
    /// `text` must have been read from `base`; where it was borrowed from it, only the place is kept.
    pub(crate) fn of(text: Cow<'_, str>, base: &[u8]) -> Self {
        if let Cow::Borrowed(text) = text {
            // What lies within `base` is the same bytes; nothing is read by the address.
            let start = text.as_ptr().addr().wrapping_sub(base.as_ptr().addr());
            if let (Ok(start), Ok(len)) = (u32::try_from(start), u32::try_from(text.len())) {
                if place(base, start, len).is_some() {
                    return Self::Place { start, len };
                }
            }
        }
        Self::Own(text.into())
    }

    pub(crate) fn get<'a>(&'a self, base: &'a [u8]) -> &'a str {
        match self {
            Self::Place { .. } => core::str::from_utf8(self.bytes(base)).unwrap_or_default(),
            Self::Own(text) => text,
        }
    }

    /// As [`get`](Self::get), where it need not be text.
    pub(crate) fn bytes<'a>(&'a self, base: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Place { start, len } => place(base, *start, *len).unwrap_or_default(),
            Self::Own(text) => text.as_bytes(),
        }
    }
}

fn place(base: &[u8], start: u32, len: u32) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    base.get(start..)?.get(..usize::try_from(len).ok()?)
}
