//! Proof of possession: DPoP, mutual TLS, and the tokens that are bound by them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    missing_docs
)]

mod binding;
mod certificates;
mod dpop;
mod forwarded;
mod metadata;
mod mtls;
mod support;
