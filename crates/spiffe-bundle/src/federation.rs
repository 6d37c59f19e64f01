//! Fetching the bundles of other trust domains, and serving one's own (SPIFFE Federation), without I/O.
//!
//! A [`Relationship`] is configured with trust domain, endpoint URL and profile; none of them is ever
//! derived from another. [`Federation`] holds the relationships of one trust domain: which are due, what their answers
//! do, and what has to be told about it. A [`FetchPlan`] is one fetch: the caller sends its request over TLS to a server
//! that it authenticates as [`FetchPlan::server`] says, and hands in the response, until there is a bundle.
//! [`RefreshPolicy`] says when to ask again. [`BundleEndpoint`] answers the requests of others.
//!
//! # Configuration
//!
//! Who can change a relationship's trust domain, URL, profile or bootstrap bundle can make every identity of that
//! trust domain: keep them where only the operator writes. Nothing here changes them at run time but [`Federation`]'s own
//! methods, each of which gives an [`Event`] for the audit log.
//!
//! Prefer `https_spiffe`: under `https_web`, whoever takes over the host name, its DNS or its certificate
//! authority gets a certificate that is good. [`Alert::AllKeysReplaced`] is what that looks like from here.

mod attempt;
mod endpoint;
mod event;
mod fetch;
mod refresh;
mod serve;
mod state;
mod store;
mod trust;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;

pub use attempt::{Accepted, Attempt, Status};
pub use endpoint::{EndpointProfile, Relationship};
pub use event::{Alert, Event, EventKind, SEQUENCE_JUMP};
pub use fetch::{FetchPlan, FetchStep, MAX_REDIRECTS, REQUEST_TIMEOUT, ServerIdentity};
pub use refresh::RefreshPolicy;
pub use serve::{BundleEndpoint, PublishedBundle};
pub use state::{EndpointBundles, Federation};
pub use store::{BundleStore, MemoryStore, StoreError, Stored, StoredBundle};
pub use trust::MAX_TRUST_DEPTH;
