//! X.509 certificates and path validation (RFC 5280) for short-lived workload certificates.
//!
//! Two parsers must agree before anything is trusted: [`Certificate`] is a strict view over the DER
//! bytes, and `rustls-webpki` builds the path and checks the signatures. What the second one leaves to
//! its caller (`keyUsage`, everything about trust anchors, key strength, critical extensions, names) is
//! enforced here.
//!
//! * [`Certificate::parse`] reads one certificate without copying it.
//! * [`TrustAnchors`] is one group of configured anchors. A path is valid only within its group; no system
//!   root is ever added.
//! * [`verify_path`] validates a leaf and gives a [`VerifiedPath`], the only place to take its key from.
//! * [`pem`] reads certificate bundles.
//!
//! # Deliberate differences from RFC 5280
//!
//! Stricter: names chain only when their DER bytes are equal; self-issued certificates count towards
//! `pathLenConstraint`; an anchor must be valid, a CA and allowed to sign certificates; constraints of
//! URI, directory and e-mail names are not evaluated, so a name of a constrained form is refused.
//! Left out: certificate policies (refused when critical) and revocation. Nothing here makes a network
//! call, so URLs in certificates are never followed.

mod anchors;
mod asn1;
mod certificate;
mod dn;
mod error;
mod extensions;
mod intermediates;
mod key;
mod names;
mod options;
mod path;
pub mod pem;
mod time;

pub use anchors::{DroppedAnchor, MAX_ANCHORS, TrustAnchors};
pub use certificate::{Certificate, MAX_CERTIFICATE_SIZE, MAX_EXTENSIONS};
pub use dn::{DistinguishedName, InvalidName, MAX_DN};
pub use error::{CertificateProblem, Field, PemProblem, X509Error};
pub use extensions::{BasicConstraints, ExtendedKeyUsages, KeyUsage, eku};
pub use key::CertificateKey;
pub use names::{GeneralName, GeneralNames, MAX_NAMES, NameCounts};
pub use options::{PathOptions, Purpose};
pub use path::{VerifiedPath, verify_parsed_path, verify_path};
