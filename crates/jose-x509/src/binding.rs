//! Sender-constrained access tokens: what a token is bound to, and whether its sender has that.
//!
//! A token with `cnf.jkt` needs a DPoP proof (RFC 9449), one with `cnf.x5t#S256` the certificate of its connection
//! (RFC 8705), and one with both needs both. Which scheme the request names changes nothing about that.
//!
//! A resource server:
//!
//! ```
//! use jose_x509::binding::{Authorization, Presented};
//! use jose_x509::dpop::{ExternalUrl, Verifier};
//! use jose_x509::jwt::Confirmation;
//! use jose_x509::{Error, MemoryReplayGuard, provider::ring};
//! # use jose_x509::dpop::{Htu, ProofRequest, Prover};
//! # use jose_x509::{Algorithm, SigningKey};
//! # use pki_types::UnixTime;
//! # let now = UnixTime::since_unix_epoch(core::time::Duration::from_secs(1_800_000_000));
//! # let prover = Prover::from_key(SigningKey::generate(&ring::provider(), Algorithm::Es256)?);
//! # let client = Htu::parse("https://api.example/orders")?;
//! # let proof = prover.prove(&ProofRequest::new("GET", &client).with_access_token("token"), now)?;
//! # let validate = |_: &str| Confirmation::of_jkt(prover.jkt());
//!
//! let server = ExternalUrl::parse("https://api.example")?;
//! let verifier = Verifier::new(&ring::provider());
//! let replay = MemoryReplayGuard::new(100_000);
//!
//! // The values of all `Authorization` and all `DPoP` fields of the request.
//! let (authorization_fields, proofs) = ([&b"DPoP token"[..]], [proof.as_bytes()]);
//!
//! let authorization = Authorization::read(authorization_fields)?;
//! let confirmation = validate(authorization.token()); // `Jwt::confirmation` of a validated token
//! let target = server.target("/orders?page=2")?;
//! let possession = Presented::new(&authorization, "GET", &target)
//!     .with_proofs(proofs)
//!     .check(&verifier, Some(&confirmation), &replay, now)?;
//! assert!(possession.is_sender_constrained());
//!
//! // Whoever stole the token has no proof.
//! let stolen = Presented::new(&authorization, "GET", &target).check(&verifier, Some(&confirmation), &replay, now);
//! assert_eq!(stolen.unwrap_err().code(), "missing_proof");
//! # Ok::<(), Error>(())
//! ```
//!
//! An authorization server looks at each token request through [`TokenRequest`], which decides what a code, a
//! refresh token and the access token are bound to. [`Refusal`] turns an error into the answer that the
//! RFCs want.
//!
//! A binding ends where the token is checked. A gateway that passes the token on makes a bearer token of it
//! for the servers behind: exchange it there instead.

mod authorization;
mod error;
mod grant;
mod introspection;
mod metadata;
mod presented;
mod refusal;

pub use authorization::{Authorization, MAX_ACCESS_TOKEN, Scheme};
pub use error::BindingError;
pub use grant::{Client, GrantBinding, IssuedBinding, TokenRequest, code_key};
pub use introspection::Introspection;
pub use metadata::{ClientMetadata, DpopAlgorithms, EndpointAliases, ServerMetadata};
pub use presented::{Possession, Presented};
pub use refusal::{OAuthError, Part, Refusal, nonce_fields};
