//! Demonstrating proof of possession, DPoP (RFC 9449): both sides of it.
//!
//! A proof is a small JWT, signed by a key that the client made, for one request. An access token that
//! is bound to the key is of no use to whoever steals the token alone.
//!
//! The client makes proofs with a [`Prover`]:
//!
//! ```
//! use jose_x509::dpop::{Htu, NonceMemory, ProofRequest, Prover, Role};
//! use jose_x509::{Algorithm, SigningKey, provider::ring};
//! # use pki_types::UnixTime;
//! # let now = UnixTime::since_unix_epoch(core::time::Duration::from_secs(1_800_000_000));
//!
//! let prover = Prover::from_key(SigningKey::generate(&ring::provider(), Algorithm::Es256)?);
//! let nonces = NonceMemory::default();
//!
//! let target = Htu::parse("https://api.example/orders?page=2")?;
//! let request = ProofRequest::new("GET", &target)
//!     .with_access_token("the-access-token")
//!     .with_nonce(nonces.get(Role::ResourceServer, &target));
//! let field = format!("DPoP: {}", prover.prove(&request, now)?);
//! # assert!(field.starts_with("DPoP: eyJ"));
//! # Ok::<(), jose_x509::Error>(())
//! ```
//!
//! The server builds a [`Verifier`] once, and checks each request with it. The token endpoint wants just a
//! proof; a resource server says which token and key it belongs to, best through
//! [`binding::Presented`](crate::binding::Presented), which knows when a proof is needed:
//!
//! ```
//! use jose_x509::dpop::{ExternalUrl, ProofTarget, Verifier};
//! use jose_x509::{MemoryReplayGuard, provider::ring};
//! # use jose_x509::dpop::{Htu, ProofRequest, Prover};
//! # use jose_x509::{Algorithm, SigningKey};
//! # use pki_types::UnixTime;
//! # let now = UnixTime::since_unix_epoch(core::time::Duration::from_secs(1_800_000_000));
//! # let prover = Prover::from_key(SigningKey::generate(&ring::provider(), Algorithm::Es256)?);
//! # let sent = prover.prove(&ProofRequest::new("POST", &Htu::parse("https://as.example/token")?), now)?;
//!
//! let server = ExternalUrl::parse("https://as.example")?;
//! let verifier = Verifier::new(&ring::provider());
//! let replay = MemoryReplayGuard::new(100_000);
//!
//! let target = server.target("/token")?;
//! let fields = [sent.as_bytes()]; // the values of all `DPoP` fields of the request
//! let proof = verifier.verify(fields, &ProofTarget::new("POST", &target), &replay, now)?;
//! // `proof.jkt()` goes into the access token, as `cnf`.
//! assert_eq!(proof.jkt(), prover.jkt());
//!
//! // The same proof does not work twice.
//! let again = verifier.verify(fields, &ProofTarget::new("POST", &target), &replay, now);
//! assert_eq!(again.unwrap_err().code(), "replayed");
//! # Ok::<(), jose_x509::Error>(())
//! ```
//!
//! # What a proof does not prove
//!
//! It covers the method, the URI without its query, the access token and the time: not the query, not the
//! body, and no other field. It shows that somebody has a key, not who that is: confidential clients still
//! authenticate.
//!
//! # Decisions
//!
//! * The header has `typ`, `alg` and `jwk` and nothing else. A proof has at most [`MAX_PROOF`] bytes, and all of
//!   its sizes are checked before its signature.
//! * `iat` may be 60 seconds old and 10 seconds ahead. With server nonces the nonce decides how fresh a
//!   proof is, and `iat` may be 300 seconds off.
//! * A proof is spent last of all, once the access token's key and the nonce are known to be right, so that
//!   nobody fills the replay guard without a token. At a token endpoint, authenticate the client first.

mod challenge;
mod client;
mod error;
mod htu;
mod nonce;
mod proof;
#[cfg(all(test, feature = "ring"))]
mod tests;
mod verify;

pub use challenge::{Challenge, MAX_CHALLENGES, ReceivedChallenge};
pub use client::{Attempt, Next, NonceMemory, Response, Role, require_bound_token};
pub use error::{DpopError, UriProblem};
pub use htu::{ExternalUrl, Htu, MAX_HTU};
pub use nonce::{MAX_NONCE, Nonce, NonceSource, StatelessNonces};
pub use proof::{ProofRequest, Prover, access_token_hash, parse_jkt};
pub use verify::{DpopProof, MAX_PROOF, ProofTarget, UnspentProof, Verifier};
