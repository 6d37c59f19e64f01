//! Mutual TLS: client authentication and certificate-bound access tokens (RFC 8705), and certificates
//! that a TLS-terminating proxy passes on (RFC 9440, and Envoy's `X-Forwarded-Client-Cert`).
//!
//! The TLS layer proves possession of the certificate's key; here is what comes after it.
//!
//! ```
//! use std::net::IpAddr;
//!
//! use jose_x509::mtls::{self, Forwarded};
//!
//! # let der = b"x";
//! // The certificate of an access token: `cnf` with `x5t#S256`.
//! let thumbprint = mtls::thumbprint(&jose_x509::provider::ring::provider(), der);
//! # assert_eq!(thumbprint.len(), 32);
//!
//! // Behind a proxy: who may speak for clients is for the configuration to say, here by address.
//! let proxy = IpAddr::from([10, 0, 0, 1]);
//! let forwarded = Forwarded::rfc9440(move |peer: &IpAddr| *peer == proxy);
//! let stranger = IpAddr::from([192, 0, 2, 7]);
//! let fields = [("client-cert", &b":MIIB:"[..])];
//! assert!(forwarded.read(&stranger, fields)?.is_none());
//! assert!(!forwarded.keeps(&stranger, "Client-Cert")); // take it out before the request goes on
//! # Ok::<(), jose_x509::Error>(())
//! ```
//!
//! * [`ClientCertificate`] is what a client showed, from the TLS layer or from a trusted proxy. It belongs to one
//!   connection or, behind a proxy, to one request: never keep it for the next one.
//! * [`Authenticator`] authenticates clients by `tls_client_auth` (a certificate of a configured anchor, and one
//!   registered name) and by `self_signed_tls_client_auth` (one of the registered certificates).
//! * [`binding::Presented`](crate::binding::Presented) checks the certificate of an access token. It needs no
//!   anchors: the thumbprint says which certificate it is.
//!
//! # Decisions
//!
//! * Names are compared typed and whole: no prefix, no wildcard, no case folding but that of DNS names and of the
//!   domain of an e-mail address; distinguished names by their structure.
//! * Anchors are configured one by one. With an anchor that certifies everybody, a subject proves nothing.
//! * Whether a self-signed certificate is still valid is for its registration to say, not for its dates.

mod authenticate;
mod certificate;
mod error;
mod forwarded;
mod self_signed;
mod subject;
mod xfcc;

pub use authenticate::{AuthenticatedClient, Authenticator, Registration};
pub(crate) use authenticate::{SELF_SIGNED, TLS_CLIENT_AUTH};
pub use certificate::{ClientCertificate, parse_thumbprint, thumbprint};
pub use error::MtlsError;
pub use forwarded::{CERTIFICATE_FIELDS, Forwarded, MAX_FORWARDED, TrustedPeer};
pub use self_signed::RegisteredCertificates;
pub use subject::RegisteredSubject;
