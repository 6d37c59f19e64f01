//! Certificates, paths and bundles, against certificates of an independent issuer (rcgen) and against
//! ones that are put together by hand to break one rule each.
#![cfg(feature = "ring")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod forge;
mod parse;
mod path;
mod pem;
mod properties;
