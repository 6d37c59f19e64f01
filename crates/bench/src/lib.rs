//! The same work done by these crates and by their peers, in one run.
//!
//! A [`Case`] is one piece of work: how these crates do it, how the bare primitive below it does (the floor), how each peer
//! does, and which bars the result has to meet. [`cases::all`] lists them; [`harness`] measures one; [`report`] holds what
//! was measured. Another topic is another file in `cases`.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "work that fails must stop the run: its time would mean nothing"
)]

pub mod backend;
pub mod bar;
pub mod cases;
pub mod cli;
pub mod fixtures;
pub mod harness;
#[cfg(feature = "peers")]
pub mod peers;
pub mod report;
#[cfg(feature = "peers")]
pub mod run;

pub use bar::Bar;
pub use harness::{Case, Work};
