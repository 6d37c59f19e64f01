#![doc = include_str!("../README.md")]

mod authority;
pub mod caep;
#[cfg(feature = "jwe")]
mod encryption;
pub mod error;
pub mod event;
pub mod issue;
mod node;
mod payload;
pub mod risc;
pub mod set;
pub mod ssf;
pub mod subject;
mod text;
pub mod verify;

pub use authority::Authority;
#[cfg(feature = "jwe")]
pub use encryption::Encryption;
pub use error::{Error, Problem, SetErrorCode};
pub use event::{Event, UnknownEvent};
pub use issue::{SetIssuer, SetRequest, SignedSet};
pub use payload::LanguageMap;
pub use set::{MEDIA_TYPE, PrimarySubject, SecurityEventToken};
pub use subject::{ComplexSubject, Strictness, Subject, SubjectIdentifier};
pub use text::Escaped;
pub use verify::{EventPolicy, Profile, SetVerifier};
