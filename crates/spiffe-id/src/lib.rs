//! SPIFFE IDs, trust domains and the patterns that authorize them.
//!
//! A SPIFFE ID is the name of a workload, `spiffe://<trust domain>/<path>`. The types of this crate exist only for names
//! that the standard allows; they borrow or own the exact text and never change it.
//!
//! ```
//! use spiffe_id::{SpiffeId, SpiffeIdPattern, SpiffeIdRef, TrustDomain};
//!
//! // Who is calling? The name as it stands in a verified certificate or token.
//! let peer = SpiffeId::parse("spiffe://example.org/agents/invoice-bot")?;
//!
//! // Is it one of ours, and may it do this?
//! let home = TrustDomain::parse("example.org")?;
//! let agents = SpiffeIdPattern::parse("spiffe://example.org/agents/*")?;
//! assert!(home.contains(&peer) && agents.matches(&peer));
//!
//! // Names known in advance are checked by the compiler.
//! const LEDGER: SpiffeIdRef<'static> = SpiffeIdRef::from_static("spiffe://example.org/tools/ledger");
//! assert_ne!(LEDGER, peer);
//!
//! // Names made from foreign input cannot escape their place.
//! let task = peer.append_segment("task-7")?;
//! assert_eq!(task.as_str(), "spiffe://example.org/agents/invoice-bot/task-7");
//! assert!(peer.append_segment("..").is_err());
//! # Ok::<(), spiffe_id::Error>(())
//! ```
//!
//! # What it refuses
//!
//! Anything that two readers could understand differently: upper case in scheme or trust domain, percent-encoding, dot
//! segments, empty segments, a trailing slash, a query, a fragment, user information, a port, backslashes, white space,
//! control and non-ASCII bytes. Nothing is trimmed, decoded or folded, so two accepted IDs are the same name exactly
//! when they are the same bytes. Input above [`MAX_ID_LENGTH`] bytes is refused unread, a trust domain above
//! [`MAX_TRUST_DOMAIN_LENGTH`] bytes too. `wimse://` and every other scheme is another origin and no SPIFFE ID.
//!
//! # Specification
//!
//! [The SPIFFE Identity and Verifiable Identity Document](https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md)
//! sections 2 to 2.4, as of 1 July 2026. Patterns follow the `spiffe_id` syntax of draft-ietf-oauth-spiffe-client-auth-02
//! section 5.1.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `alloc` | yes | the owned types `SpiffeId` and `TrustDomain`, and `SpiffeIdPattern` |
//! | `serde` | no | string form, checked when read |
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

mod error;
mod id;
#[cfg(feature = "alloc")]
mod owned;
mod parse;
#[cfg(feature = "alloc")]
mod pattern;
#[cfg(feature = "serde")]
mod serde;
mod trust_domain;

pub use error::Error;
pub use id::{Segments, SpiffeIdRef};
#[cfg(feature = "alloc")]
pub use owned::SpiffeId;
pub use parse::{MAX_ID_LENGTH, MAX_TRUST_DOMAIN_LENGTH};
#[cfg(feature = "alloc")]
pub use pattern::SpiffeIdPattern;
#[cfg(feature = "alloc")]
pub use trust_domain::TrustDomain;
pub use trust_domain::TrustDomainRef;
