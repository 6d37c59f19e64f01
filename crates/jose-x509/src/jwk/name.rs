//! `kid` and `use`, without an allocation where they are short or well known.

use std::borrow::Cow;

/// A `kid`.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// As short as almost all are: a thumbprint has 43 bytes.
    Short {
        len: u8,
        bytes: [u8; SHORT],
    },
    Long(Box<str>),
}

const SHORT: usize = 62;

impl Name {
    pub(super) fn new(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(text.as_bytes());
                Self::Short { len, bytes }
            }
            _ => Self::Long(text.into()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Short { len, bytes } => bytes
                .get(..usize::from(*len))
                .and_then(|bytes| core::str::from_utf8(bytes).ok())
                .unwrap_or_default(),
            Self::Long(text) => text,
        }
    }
}

/// A `use`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Use(Cow<'static, str>);

/// Those of RFC 7517 and of SPIFFE.
const KNOWN: [&str; 5] = ["sig", "enc", "x509-svid", "jwt-svid", "wit-svid"];

impl Use {
    pub(super) fn new(text: &str) -> Self {
        match KNOWN.into_iter().find(|known| *known == text) {
            Some(known) => Self(Cow::Borrowed(known)),
            None => Self(Cow::Owned(text.to_owned())),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
