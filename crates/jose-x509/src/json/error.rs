//! What is wrong with a JSON text, and where.

use core::fmt;

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Longer than [`Limits::bytes`](super::Limits::bytes).
    TooLarge,
    /// Deeper than [`Limits::depth`](super::Limits::depth).
    TooDeep,
    /// More members in one object than [`Limits::members`](super::Limits::members).
    TooManyMembers,
    /// A number token longer than [`MAX_NUMBER_LEN`](super::MAX_NUMBER_LEN).
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

    pub(super) const fn text(self) -> &'static str {
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

    pub(super) fn from_serde(
        error: &serde_json::Error,
        text: &str,
        noticed: Option<JsonErrorKind>,
    ) -> Self {
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
