//! The tests of paths, once over each provider.

#[cfg(feature = "ring")]
mod ring;

#[cfg(feature = "aws-lc-rs")]
mod aws_lc_rs;
