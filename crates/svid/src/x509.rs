//! X509-SVID: a certificate whose one URI name is the workload's SPIFFE ID.

mod encode;
mod holder;
mod issue;
mod verify;

pub use holder::X509Svid;
pub use issue::CertificateAuthority;
pub use verify::{KeyUsagePolicy, PeerRole, VerifyOptions, X509Identity, spiffe_id_of, verify};
