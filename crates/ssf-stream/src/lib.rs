#![doc = include_str!("../README.md")]

pub mod address;
#[cfg(feature = "client")]
pub mod client;
pub mod error;
pub mod metadata;
pub mod policy;
pub mod poll;
pub mod profile;
pub mod push;
pub mod queue;
pub mod receiver;
#[cfg(feature = "server")]
pub mod server;
pub mod stream;
pub mod transmitter;

pub use error::Error;
pub use metadata::TransmitterMetadata;
pub use policy::ResponsePolicy;
