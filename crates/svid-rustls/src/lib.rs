#![doc = include_str!("../README.md")]

mod authorize;
mod config;
mod error;
mod resolver;
mod verifier;

pub use authorize::Authorizer;
pub use config::{client_config, server_config};
pub use error::Error;
pub use resolver::SvidResolver;
pub use verifier::{SvidVerifier, peer_identity};
