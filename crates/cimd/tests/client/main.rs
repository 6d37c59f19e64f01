//! The fetcher and the directory against a TLS server on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod directory;
mod fetch;
mod server;
mod unreachable;
