#![doc = include_str!("../README.md")]

mod bundle;
mod entry;
mod error;
pub mod federation;
mod parse;
mod publish;
mod set;
mod source;

pub use bundle::Bundle;
pub use entry::{Diagnostic, EntryProblem, Use};
pub use error::{Error, UrlProblem};
pub use parse::{MAX_DOCUMENT_SIZE, MAX_KEYS, MAX_KID_LENGTH};
pub use publish::{BundleBuilder, DEFAULT_REFRESH_HINT};
pub use set::{BundleSet, Installed, SharedBundleSet};
pub use source::{JwtBundleSource, WitBundleSource, X509BundleSource};
