//! Workload Proof Token: proves, for one request, that the presenter of a WIT is its holder.

mod build;
mod fields;
mod verify;

pub use build::WptBuilder;
pub use fields::RequestTokens;
pub use verify::{AuthenticatedWorkload, UnverifiedProof, WptVerifier};

/// `typ` of a WPT.
pub const WPT_TYPE: &str = "wpt+jwt";
/// The media type of a WPT outside of HTTP fields.
pub const WPT_MEDIA_TYPE: &str = "application/wpt+jwt";
/// The HTTP authentication scheme.
pub const WPT_SCHEME: &str = "WPT";
/// The field of the older wire form (draft -01), read only by [`WireForm::LegacyField`].
pub const WORKLOAD_PROOF_TOKEN: &str = "workload-proof-token";
/// The field of a transaction token, which `tth` binds.
pub const TXN_TOKEN: &str = "txn-token";

/// Where a WPT stands in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireForm {
    /// `Authorization: WPT <jwt>` (draft -02), the default.
    #[default]
    AuthorizationScheme,
    /// The field `Workload-Proof-Token` (draft -01), for peers that have not moved yet.
    LegacyField,
}
