//! Attestation-based client authentication (draft-ietf-oauth-attestation-based-client-auth-11), for attester,
//! client, authorization server and resource server.
//!
//! An attester, such as the back end of an app, vouches for the key of one instance of a client. With each request the
//! instance sends that attestation and proves that it has the key, by a proof JWT or, in combined mode, by the
//! request's DPoP proof.
//!
//! ```
//! use http::HeaderMap;
//! use jose_x509::{Algorithm, KeySet, MemoryReplayGuard, SigningKey, provider::ring};
//! use oauth_spiffe_client_auth::attestation::{AttestationIssuer, AttestedRequest, Attester, HeldAttestation, UnspentAttestation, Verifier};
//! # use pki_types::UnixTime;
//! # use std::time::Duration;
//! # let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
//!
//! let provider = ring::provider();
//! let issuer = "https://as.example.com";
//!
//! // The attester vouches for an instance's key.
//! let attester = SigningKey::generate(&provider, Algorithm::Es256)?.with_thumbprint_kid();
//! let key = SigningKey::generate(&provider, Algorithm::Es256)?;
//! let trusted = KeySet::new(vec![attester.verifying_key()?])?;
//! let attestation = AttestationIssuer::new(attester).issue("https://client.example.com", &key.public_jwk(), now)?;
//!
//! // The instance adds it to a request, with a proof.
//! let instance = HeldAttestation::new(attestation, key)?;
//! let mut headers = HeaderMap::new();
//! instance.attach(&mut headers, issuer, None, now)?;
//!
//! // The server trusts the attester, and knows the client now.
//! let verifier = Verifier::for_authorization_server(&provider, issuer);
//! let trust = [Attester::new("app back end", trusted)];
//! let request = AttestedRequest::new(&headers);
//! let client = verifier.verify(&request, &trust[..], &MemoryReplayGuard::new(1000), now)?;
//! assert_eq!(client.client_id(), "https://client.example.com");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Decisions
//!
//! * There are no MACs: an attestation is signed. Attesters are configured with their keys, or with trust anchors
//!   for `x5c`; `jku` and `jwk` in a header are refused.
//! * `exp` that has passed, and `iat` that is too old, ask for a fresh attestation; everything else that is wrong
//!   with an attestation or its proof is `invalid_client_attestation`.
//! * A proof is remembered by the key's thumbprint and `jti`, after everything else has passed.
//! * Codes and refresh tokens are bound to the instance's key by [`InstanceBinding`].

mod attempt;
mod attester;
mod binding;
mod challenge;
mod client;
mod endpoint;
mod issue;
mod metadata;
mod refusal;
mod verify;

pub use attempt::{Answer, Attempt, ChallengeMemory, Next, Server};
pub use attester::{Attester, AttesterTrust};
pub use binding::InstanceBinding;
pub use challenge::{Challenge, ChallengeSource, SingleUseChallenges, StatelessChallenges};
pub use client::{HeldAttestation, HeldAttestations};
pub use endpoint::{challenge_request, challenge_response, read_challenge_response};
pub use issue::AttestationIssuer;
pub use metadata::{ClientAttestationMetadata, PopMethod, PopMethods, advertise};
pub(crate) use metadata::{advertise_proofs, algorithms};
pub use refusal::Scheme;
pub use verify::{
    AttestationVerifier, AttestedClient, AttestedRequest, UnprovenAttestation, UnspentAttestation,
    Verifier,
};

/// The field of an attestation.
pub const CLIENT_ATTESTATION: &str = "oauth-client-attestation";
pub use crate::pop::{CLIENT_ATTESTATION_POP, MAX_FIELD, POP_TYPE};
/// The field of a challenge, in any response.
pub const CLIENT_ATTESTATION_CHALLENGE: &str = "oauth-client-attestation-challenge";
/// `typ` of an attestation.
pub const ATTESTATION_TYPE: &str = "oauth-client-attestation+jwt";
