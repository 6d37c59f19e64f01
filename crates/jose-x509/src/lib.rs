//! JOSE and X.509 for workload identity.
pub mod error;
pub use error::Fault;
