//! `kid` and `use`, without an allocation where they are short or well known.

use std::borrow::Cow;

use arrayvec::ArrayString;

/// A `kid`.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// As short as almost all are: a thumbprint has 43 bytes.
    Short(ArrayString<56>),
    Long(Box<str>),
}

impl Name {
    pub(super) fn new(text: &str) -> Self {
        ArrayString::from(text).map_or_else(|_| Self::Long(text.into()), Self::Short)
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Short(text) => text,
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
