//! Verified credentials that come again: a hash instead of a signature.
//!
//! A service sees the same token or chain in request after request. [`Cached`] wraps a verifier and remembers what
//! it has verified, under the SHA-256 of the exact bytes that were presented. What it returns is what the
//! verifier would return now:
//!
//! * An entry belongs to one verifier with its audience, role and leeway, because it lives inside of it.
//! * An entry holds only as long as the bundle source hands out the very same set of authorities as when it was
//!   verified. Whatever replaces a bundle, an empty one included, ends its entries at once, and those of
//!   no other trust domain.
//! * An entry ends with the last second in which the verifier would accept the credential, and it is not used
//!   at a time before its verification, should the clock be set back.
//! * [`forget`](Cached::forget_workload) and [`clear`](Cached::clear) end entries by decision of the caller,
//!   and a verification that was under way at that moment is not remembered.
//!
//! Nothing but verified credentials is remembered, and of chains only those that are their path and nothing else, so
//! garbage takes no room. The number of entries and their size are bounded. A flood of good credentials costs first
//! those that are rarely used, and others too if it is large enough.
//!
//! A refusal by an own list of revoked tokens or workloads has to be asked for with each request, cached or not.
//!
//! ```
//! use std::time::Duration;
//!
//! use jose_x509::{Algorithm, SigningKey, provider::ring};
//! use pki_types::UnixTime;
//! use spiffe_bundle::{Bundle, BundleSet};
//! use spiffe_id::{SpiffeId, TrustDomain};
//! use svid::cache::{CacheLimits, Cached};
//! use svid::jwt::{JwtSvidIssuer, JwtSvidVerifier};
//!
//! let provider = ring::provider();
//! let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
//! let home = TrustDomain::parse("example.org")?;
//! let key = SigningKey::generate(&provider, Algorithm::Es256)?.with_thumbprint_kid();
//! let mut bundles = BundleSet::new();
//! bundles.install(Bundle::builder(&provider, home.clone()).with_jwt_authority(&key.public_jwk()).build()?)?;
//! let agent = SpiffeId::parse("spiffe://example.org/agent")?;
//! let token = JwtSvidIssuer::new(key, home.clone())?.issue(&agent, "ledger", Duration::from_secs(60), now)?;
//!
//! let verifier = Cached::new(JwtSvidVerifier::new("ledger")?, provider, CacheLimits::default());
//! let first = verifier.verify(&token, &bundles, now)?;
//! let again = verifier.verify(&token, &bundles, now)?;
//! assert_eq!(first.spiffe_id(), again.spiffe_id());
//! assert_eq!(verifier.hits(), 1);
//!
//! // The trust domain revokes its keys.
//! bundles.install(Bundle::builder(&provider, home).with_sequence(2).build()?)?;
//! assert!(verifier.verify(&token, &bundles, now).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod credential;
mod store;

pub use credential::{Cached, Verifier};

/// Bounds on a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheLimits {
    /// Most entries: 8192 by default.
    pub entries: usize,
    /// Longest credential that is remembered, in bytes, a chain taken together: 8 KiB by default. Longer ones are
    /// verified each time.
    pub credential: usize,
}

impl CacheLimits {
    /// Other limits than the default ones. Together they bound the memory: an entry takes little more than its
    /// credential.
    #[must_use]
    pub const fn new(entries: usize, credential: usize) -> Self {
        Self {
            entries,
            credential,
        }
    }
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self::new(8192, 8 * 1024)
    }
}
