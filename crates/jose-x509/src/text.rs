//! Strings that lie in a decoded buffer, so that reading a token does not copy them.

use std::borrow::Cow;
use std::ops::Range;

/// A string of a JSON text: a place in it, or its own where the text had escapes.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Place(Range<usize>),
    Own(Box<str>),
}

impl Text {
    /// `text` must have been read from `base`; where it was borrowed from it, only the place is kept.
    pub(crate) fn of(text: Cow<'_, str>, base: &[u8]) -> Self {
        if let Cow::Borrowed(text) = text {
            let start = text.as_ptr().addr().wrapping_sub(base.as_ptr().addr());
            let place = start..start.saturating_add(text.len());
            if base
                .get(place.clone())
                .is_some_and(|found| found == text.as_bytes())
            {
                return Self::Place(place);
            }
        }
        Self::Own(text.into())
    }

    pub(crate) fn get<'a>(&'a self, base: &'a [u8]) -> &'a str {
        match self {
            Self::Place(_) => core::str::from_utf8(self.bytes(base)).unwrap_or_default(),
            Self::Own(text) => text,
        }
    }

    /// As [`get`](Self::get), where it need not be text.
    pub(crate) fn bytes<'a>(&'a self, base: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Place(place) => base.get(place.clone()).unwrap_or_default(),
            Self::Own(text) => text.as_bytes(),
        }
    }
}
