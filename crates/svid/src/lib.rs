#![doc = include_str!("../README.md")]

mod error;
mod identity;
pub mod jwt;
pub mod wit;
pub mod x509;

pub use error::{Credential, Error};
pub use spiffe_bundle::{JwtBundleSource, WitBundleSource, X509BundleSource};
