#![doc = include_str!("../README.md")]

mod bundle;
mod document;
mod entry;
mod error;
pub mod federation;
mod parse;
mod publish;
mod rotation;
mod set;
mod source;

pub use bundle::Bundle;
pub use entry::{Diagnostic, EntryProblem, Use};
pub use error::{Error, ExchangeStep, UrlProblem};
pub use jose_x509::Fault;
pub use parse::{MAX_DOCUMENT_SIZE, MAX_KEYS, MAX_KID_LENGTH};
pub use publish::{BundleBuilder, DEFAULT_REFRESH_HINT};
pub use rotation::{Authority, AuthorityId, Rotation};
pub use set::{BundleSet, Installed, SharedBundleSet, SharedKey};
pub use source::{JwtBundleSource, WitBundleSource, X509BundleSource};
