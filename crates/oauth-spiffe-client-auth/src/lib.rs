#![doc = include_str!("../README.md")]

pub mod assertion;
pub mod client;
pub mod error;
pub mod method;
pub mod pop;
pub mod registry;
pub mod server;

pub use error::Error;
pub use method::Method;
pub use registry::{ClientRegistry, RegisteredClient};
pub use server::{AuthenticatedClient, ClientAuthenticator, TokenRequest};
