//! `Accept-Signature` (RFC 9421 section 5.1): a preference, which obliges nobody.

use http::HeaderValue;

use super::{Profile, TAG};

/// What a client sends to say that it would like responses to be signed. To demand it, use
/// [`MessageSigner::with_required_response_signature`](super::MessageSigner::with_required_response_signature).
#[must_use]
pub fn accept_signature_of_responses(profile: Profile) -> HeaderValue {
    let targets = match profile {
        Profile::V07 => r#""@method";req "@path";req "@query";req"#,
        Profile::V06 => r#""@method";req "@request-target";req"#,
    };
    field(&format!(
        r#""@status" "workload-identity-token" "content-type" "content-digest" {targets}"#
    ))
}

/// What a server sends to say that it would like requests to be signed.
#[must_use]
pub fn accept_signature_of_requests(profile: Profile) -> HeaderValue {
    let targets = match profile {
        Profile::V07 => r#""@method" "@path" "@query""#,
        Profile::V06 => r#""@method" "@request-target""#,
    };
    field(&format!(r#"{targets} "workload-identity-token""#))
}

fn field(components: &str) -> HeaderValue {
    let text = format!(r#"sig1=({components});created;expires;nonce;tag="{TAG}""#);
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}
