//! Fetching the bundles of other trust domains (SPIFFE Federation), without I/O.
//!
//! A [`Relationship`] is configured with trust domain, endpoint URL and profile; none of them is ever
//! derived from another. [`Relationship::fetch`] gives a [`FetchPlan`]: the caller sends its request over
//! TLS to a server that it authenticates as [`FetchPlan::server`] says, and hands in the response, until
//! there is a bundle. [`RefreshPolicy`] says when to ask again.

mod endpoint;
mod fetch;
mod refresh;

pub use endpoint::{EndpointProfile, Relationship};
pub use fetch::{FetchPlan, FetchStep, MAX_REDIRECTS, REQUEST_TIMEOUT, ServerIdentity};
pub use refresh::RefreshPolicy;
