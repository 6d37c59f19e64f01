//! Handshakes in memory, between workloads that are and are not who they should be.
#![cfg(all(feature = "ring", feature = "tls12"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod attacks;
mod fixture;
mod handshake;
mod providers;
mod sessions;
