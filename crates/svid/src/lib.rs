#![doc = include_str!("../README.md")]

pub mod assertion;
pub mod cache;
mod error;
mod identity;
pub mod jwt;
pub mod wit;
pub mod x509;

pub use error::{Credential, Error};
pub use identity::AuthenticatedWorkload;
pub use spiffe_bundle::{JwtBundleSource, WitBundleSource, X509BundleSource};
