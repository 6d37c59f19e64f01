#![doc = include_str!("../README.md")]

pub mod assertion;
pub mod attestation;
mod bundles;
pub mod client;
mod decoy;
pub mod error;
pub mod grant;
pub mod metadata;
pub mod method;
pub mod pop;
pub mod registry;
mod request;
pub mod server;

pub use error::Error;
pub use metadata::ServerMetadata;
pub use method::Method;
pub use registry::{ClientRegistry, RegisteredClient};
pub use server::{AuthenticatedClient, ClientAuthenticator, Parameters, TokenRequest};
