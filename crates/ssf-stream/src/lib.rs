#![doc = include_str!("../README.md")]

pub mod address;
pub mod error;
pub mod metadata;
pub mod policy;
pub mod poll;
pub mod push;
pub mod queue;
pub mod receiver;
pub mod stream;
pub mod transmitter;

pub use error::Error;
pub use metadata::TransmitterMetadata;
pub use policy::ResponsePolicy;
