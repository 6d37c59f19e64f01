//! HTTP message signatures: a workload proves, for one whole message, that it is the holder of its WIT
//! (draft-ietf-wimse-http-signature over RFC 9421 and RFC 9530).
//!
//! Unlike a WPT, the signature covers method, path, query and content, and a response can be signed as well.
//!
//! Which fields may be believed after verification is the signer's choice within the profile:
//! [`VerifiedRequest::covered_field`] yields only those that the signature covers.

mod accept;
mod base;
mod component;
mod digest;
mod error;
mod fields;
mod respond;
mod response;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

pub use accept::{accept_signature_of_requests, accept_signature_of_responses};
pub use digest::content_digest;
pub use error::SignatureError;
pub use fields::unverified_components;
pub use respond::{Content, ResponseSigner};
pub use response::{ResponseVerifier, VerifiedResponse};
pub use sign::{MessageSigner, SentRequest};
pub use verify::{RequestVerifier, VerifiedRequest};

/// `tag` of the signatures of this profile; a signature without it is somebody else's affair.
pub const TAG: &str = "wimse-workload-to-workload";
/// The signature parameter for the recipient of a request, a String.
pub const WIMSE_AUD: &str = "wimse-aud";
/// The signature parameter that demands a signed response, a Boolean.
pub const WIMSE_SIGN_RESPONSE: &str = "wimse-sign-response";
/// The signature parameter of a response with the request's nonce, a String.
pub const WIMSE_REQ_NONCE: &str = "wimse-req-nonce";
/// The field with the covered components and parameters (RFC 9421 section 4.1).
pub const SIGNATURE_INPUT: &str = "signature-input";
/// The field with the signatures (RFC 9421 section 4.2).
pub const SIGNATURE: &str = "signature";
/// The field with the digest of the content (RFC 9530 section 2).
pub const CONTENT_DIGEST: &str = "content-digest";
/// The field by which either side states a preference for signatures (RFC 9421 section 5.1).
pub const ACCEPT_SIGNATURE: &str = "accept-signature";

/// Longest value of `Signature-Input`, `Signature` and `Content-Digest`, all lines together, in bytes.
pub const MAX_FIELD: usize = 8 * 1024;
/// Most signatures in a message, of whatever tag.
pub const MAX_SIGNATURES: usize = 16;
/// Most components under one signature.
pub const MAX_COMPONENTS: usize = 32;

/// Which components a signature has to cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Draft -07 and later: `@method`, `@path` and `@query`.
    #[default]
    V07,
    /// Draft -06: `@method` and `@request-target`. For peers that have not moved yet; a translation between
    /// HTTP versions on the way can break it.
    V06,
}
