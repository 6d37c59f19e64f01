//! Subject identifiers (RFC 9493), the formats that SSF 1.0 adds, and complex subjects.
//!
//! Equality is identity: the described members, string by string and code point by code point.
//! Nothing is trimmed, normalised or fetched. Whoever dereferences a `uri` or resolves a `did` out
//! of a SET lets its sender choose a network address.

mod complex;
mod format;
pub(crate) mod legacy;
mod parse;
#[cfg(test)]
mod tests;

pub use complex::{ComplexSubject, Subject};
pub use format::SubjectIdentifier;
pub use parse::{MAX_ALIASES, Strictness};
