//! X509-SVID: a certificate whose one URI name is the workload's SPIFFE ID.

mod encode;
mod holder;
mod issue;
mod lint;
mod parse;
mod profile;
mod request;
mod text;
mod verify;

pub use holder::X509Svid;
pub use issue::CertificateAuthority;
pub use lint::{Field, Finding, Kind, lint};
pub use parse::UnverifiedX509Svid;
pub use profile::{CaProfile, LeafProfile};
pub use request::{CertificateRequest, MAX_REQUEST_SIZE, RequestProblem};
pub use verify::{
    KeyUsagePolicy, PeerRole, UnprovenX509Svid, VerifyOptions, X509Identity, X509SvidVerifier,
    spiffe_id_of, verify,
};
