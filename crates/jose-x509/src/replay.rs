//! One guard against replay for proofs, assertions, event tokens and transaction tokens.
//!
//! [`ReplayGuard`] is for stores that answer at once, [`AsyncReplayGuard`] for those behind a network; every
//! `ReplayGuard` is both. [`MemoryReplayGuard`] is the bounded one for a single process. [`contract`] has the
//! checks that every implementation should run in its own tests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arrayvec::ArrayVec;
use pki_types::UnixTime;

use crate::error::Error;
use crate::provider::CryptoProvider;

pub mod contract;
mod memory;
#[cfg(test)]
#[cfg(feature = "ring")]
mod tests;

pub use memory::MemoryReplayGuard;

/// The identity of something that may be used once: a hash, so that its size is fixed and its
/// parts cannot be confused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplayKey([u8; 32]);

impl ReplayKey {
    /// Hashes the parts, each with its length, so that `("ab", "c")` is not `("a", "bc")`. The first
    /// part should name the kind of thing, such as `"wpt"`.
    ///
    /// Use `jti` and the issuer's or key's name, never the token's text: every ECDSA signature has a
    /// second valid form.
    #[must_use]
    pub fn new(provider: &CryptoProvider, parts: &[&[u8]]) -> Self {
        let lengths = parts
            .iter()
            .map(|part| u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        // As most are, without an allocation.
        let mut few = ArrayVec::<u8, 256>::new();
        let fits = lengths.clone().zip(parts).all(|(length, part)| {
            few.try_extend_from_slice(&length).is_ok() && few.try_extend_from_slice(part).is_ok()
        });
        if fits {
            return Self(provider.sha256(&few));
        }
        let mut many = Vec::new();
        for (length, part) in lengths.zip(parts) {
            many.extend_from_slice(&length);
            many.extend_from_slice(part);
        }
        Self(provider.sha256(&many))
    }

    /// The hash: what a store keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Remembers what was used.
///
/// # Contract
///
/// * Atomic: of any number of concurrent calls with one key, on any number of nodes, exactly one succeeds.
/// * An entry is kept as long as `now <= expires`, and never dropped for lack of room: a guard without
///   room refuses. Keeping it longer is allowed.
/// * What the guard may have forgotten already it refuses: an entry whose `expires` lies before `now`, or
///   before a later `now` that it saw, as happens when a clock is set back.
/// * `expires` may be any time up to `u64::MAX` seconds.
/// * A guard that cannot reach its store refuses with [`Error::ReplayGuardUnavailable`].
///
/// What is lost when the process or store ends is for the implementation to document, and for the caller
/// to bound by short lifetimes. [`contract`] checks all this.
pub trait ReplayGuard: Send + Sync {
    /// Remembers `key` until `expires`. Call it after every other check has passed.
    ///
    /// # Errors
    ///
    /// [`Error::Replayed`] when the key is known, [`Error::ReplayGuardFull`] when there is no room,
    /// [`Error::ReplayWindowPassed`] when the entry could not be kept long enough, and
    /// [`Error::ReplayGuardUnavailable`].
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), Error>;
}

impl<T: ReplayGuard + ?Sized> ReplayGuard for &T {
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), Error> {
        (**self).check_and_insert(key, expires, now)
    }
}

impl<T: ReplayGuard + ?Sized> ReplayGuard for Arc<T> {
    fn check_and_insert(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), Error> {
        (**self).check_and_insert(key, expires, now)
    }
}

/// The future of an [`AsyncReplayGuard`].
pub type ReplayFuture<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// The twin of [`ReplayGuard`] for stores behind a network, with the same contract. Every
/// [`ReplayGuard`] is one.
///
/// The store has to decide in one step, such as `SET key value NX EXAT expires` in Redis or an insert
/// under a unique constraint in SQL: a look followed by a write lets two nodes accept one proof. A call
/// that was cancelled may have spent the key.
pub trait AsyncReplayGuard: Send + Sync {
    /// As [`ReplayGuard::check_and_insert`].
    fn check_and_insert_async(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> ReplayFuture<'_>;
}

impl<T: ReplayGuard + ?Sized> AsyncReplayGuard for T {
    fn check_and_insert_async(
        &self,
        key: ReplayKey,
        expires: UnixTime,
        now: UnixTime,
    ) -> ReplayFuture<'_> {
        Box::pin(async move { self.check_and_insert(key, expires, now) })
    }
}
