#![doc = include_str!("../README.md")]

mod authorize;
mod config;
mod endpoint;
mod epoch;
mod error;
mod peer;
mod resolver;
mod session;
mod verifier;

pub use authorize::Authorizer;
pub use config::{NewTicketer, Sessions, TlsOptions, TlsVersions, client_config, server_config};
pub use endpoint::{TlsClient, TlsServer};
pub use error::Error;
pub use peer::peer_identity;
pub use resolver::SvidResolver;
pub use verifier::{MAX_CERTIFICATES, MAX_CHAIN_SIZE, Refusal, SvidVerifier};
