//! The peers' ways to do the work, each as its documentation shows it.

#[cfg(feature = "openssl")]
pub mod josekit;
pub mod jsonwebtoken;
pub mod jwt_simple;
pub mod spiffe;
