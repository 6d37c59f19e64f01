//! Certificates, paths and bundles, against certificates of an independent issuer (rcgen) and against
//! ones that are put together by hand to break one rule each.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::duplicate_mod, // the same tests run over each provider
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod engine;
mod forge;
mod octets;
mod over;
mod parse;
mod pem;
