#![doc = include_str!("../README.md")]

pub mod error;
pub mod metadata;
pub mod policy;
pub mod poll;
pub mod push;
pub mod queue;

pub use error::Error;
pub use metadata::TransmitterMetadata;
pub use policy::ResponsePolicy;
