//! Mutual TLS with Workload Identity Certificates (draft-ietf-wimse-mutual-tls): what each side checks of the
//! certificate that the TLS stack received, as functions to call in its verification hooks.
//!
//! The identity is the one URI in `subjectAltName`, and it counts only under the anchors that are configured for
//! its own scheme and trust domain; no system store is looked at. Names, subject and application fields never
//! make an identity.

mod error;
mod host;
mod verify;

pub use error::CertificateError;
pub use verify::{ClientVerifier, PeerIdentity, ServerVerifier, X509Anchors};
