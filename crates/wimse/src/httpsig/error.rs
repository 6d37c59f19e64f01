//! What is wrong with a message signature.

use jose_x509::{Error as JoseError, Fault};

/// Why a signed message is refused or cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// No signature with the tag of the profile.
    #[error("the message has no signature with the tag `wimse-workload-to-workload`")]
    NotSigned,
    /// Several signatures with the tag of the profile.
    #[error("the message has several signatures with the tag `wimse-workload-to-workload`")]
    MultipleSignatures,
    /// A field is not the structured field that it should be, or not in its canonical form.
    #[error("field `{field}` is not a canonical dictionary of the expected items")]
    Malformed {
        /// The field.
        field: &'static str,
    },
    /// A field, or the number of its members, is above a limit.
    #[error("field `{field}` is above a limit")]
    TooLarge {
        /// The field.
        field: &'static str,
    },
    /// A field that has one value is there several times, or a required one is not there.
    #[error("the message has to carry exactly one field `{field}`")]
    FieldCount {
        /// The field.
        field: &'static str,
    },
    /// `Signature-Input` and `Signature` have different labels.
    #[error("fields `signature-input` and `signature` have different labels")]
    Labels,
    /// `alg` or `keyid`.
    #[error("signature parameter `{parameter}` is not allowed: the WIT decides")]
    ForbiddenParameter {
        /// The parameter.
        parameter: &'static str,
    },
    /// A parameter is missing, empty, or of the wrong type.
    #[error("signature parameter `{parameter}` is missing or malformed")]
    Parameter {
        /// The parameter.
        parameter: &'static str,
    },
    /// `created` lies in the future.
    #[error("signature parameter `created` lies in the future")]
    NotYetValid,
    /// `expires` has passed.
    #[error("signature parameter `expires` has passed")]
    Expired,
    /// `expires` is not after `created`, or too long after it.
    #[error("signature parameter `expires` has to lie 1 to {limit} seconds after `created`")]
    Lifetime {
        /// The limit in seconds.
        limit: u64,
    },
    /// `wimse-aud` is not this server.
    #[error("signature parameter `wimse-aud` is not the target under a configured authority")]
    Audience,
    /// A component that the profile demands is not covered.
    #[error("component `{component}` has to be covered by the signature")]
    MissingComponent {
        /// The component.
        component: &'static str,
    },
    /// A component is covered twice.
    #[error("covered component {index} is there twice")]
    DuplicateComponent {
        /// Its position in the list.
        index: usize,
    },
    /// A component that cannot be covered here: unknown, with a parameter other than `req`, or of the wrong kind of message.
    #[error("covered component {index} is not supported in this message")]
    UnsupportedComponent {
        /// Its position in the list.
        index: usize,
    },
    /// A covered component that the message does not have.
    #[error("covered component {index} is not in the message")]
    AbsentComponent {
        /// Its position in the list.
        index: usize,
    },
    /// A covered value with a character that is not ASCII, or a control character.
    #[error("the value of covered component {index} is not printable ASCII")]
    ComponentValue {
        /// Its position in the list.
        index: usize,
    },
    /// The signature does not verify with the key of the WIT.
    #[error("the signature does not verify with the key and algorithm of the WIT: {0}")]
    Signature(JoseError),
    /// The WIT that was verified before is not the one in the message.
    #[error("field `workload-identity-token` is not the WIT that was verified")]
    OtherWit,
    /// Content without `Content-Digest`, or with unusable algorithms alone.
    #[error("the content needs a `content-digest` with sha-256 or sha-512")]
    DigestMissing,
    /// `Content-Digest` is not that of the content.
    #[error("field `content-digest` is not the digest of the content")]
    DigestMismatch,
    /// The content is above the limit.
    #[error("the content has more than {limit} bytes")]
    ContentTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The nonce was used before, or the guard has no room.
    #[error("signature parameter `nonce`: {0}")]
    Replay(JoseError),
    /// The response is not for this request.
    #[error("signature parameter `wimse-req-nonce` is not the nonce of the request")]
    RequestNonce,
    /// A signed response was demanded and an unsigned one came.
    #[error("the response is not signed although the request demands it")]
    ResponseNotSigned,
    /// The signer of the response is a workload that is not expected there.
    #[error("the signer of the response is not the workload expected behind this target")]
    UnexpectedPeer,
    /// A signed response is required and no key is configured.
    #[error("a signed response is required and no signing key is configured")]
    NoSigner,
    /// A signed response is required and the content is streamed.
    #[error("a signed response is required and its content is not at hand as a whole")]
    Streaming,
    /// The target is reached without TLS.
    #[error("the target is not an https URI; WIT and signature need a secure channel")]
    InsecureTarget,
    /// The WIT to be sent does not fit the key, or has expired.
    #[error("the WIT is not one for this key and time")]
    OwnWit,
    /// The signer or the random source failed.
    #[error("signing failed: {0}")]
    Signing(JoseError),
}

impl SignatureError {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotSigned => "not_signed",
            Self::MultipleSignatures => "multiple_signatures",
            Self::Malformed { .. } => "malformed_field",
            Self::TooLarge { .. } => "field_too_large",
            Self::FieldCount { .. } => "field_count",
            Self::Labels => "signature_labels",
            Self::ForbiddenParameter { .. } => "forbidden_parameter",
            Self::Parameter { .. } => "signature_parameter",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Lifetime { .. } => "lifetime_too_long",
            Self::Audience => "audience_mismatch",
            Self::MissingComponent { .. } => "missing_component",
            Self::DuplicateComponent { .. } => "duplicate_component",
            Self::UnsupportedComponent { .. } => "unsupported_component",
            Self::AbsentComponent { .. } => "absent_component",
            Self::ComponentValue { .. } => "component_value",
            Self::Signature(source) | Self::Replay(source) | Self::Signing(source) => source.code(),
            Self::OtherWit => "other_wit",
            Self::DigestMissing => "digest_missing",
            Self::DigestMismatch => "digest_mismatch",
            Self::ContentTooLarge { .. } => "content_too_large",
            Self::RequestNonce => "request_nonce",
            Self::ResponseNotSigned => "response_not_signed",
            Self::UnexpectedPeer => "unexpected_peer",
            Self::NoSigner => "no_signer",
            Self::Streaming => "streaming",
            Self::InsecureTarget => "insecure_target",
            Self::OwnWit => "own_wit",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Signature(source) | Self::Replay(source) | Self::Signing(source) => {
                source.fault()
            }
            Self::Lifetime { .. } | Self::ContentTooLarge { .. } | Self::UnexpectedPeer => {
                Fault::Policy
            }
            Self::NoSigner | Self::Streaming | Self::InsecureTarget | Self::OwnWit => {
                Fault::Configuration
            }
            _ => Fault::Peer,
        }
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotSigned => "WIMSE-HTTPSIG-3-29",
            Self::MultipleSignatures => "WIMSE-HTTPSIG-3-28",
            Self::Malformed {
                field: "content-digest",
            } => "WIMSE-HTTPSIG-R9530-2-1",
            Self::Malformed { field: "signature" } | Self::Labels => "WIMSE-HTTPSIG-R9421-4.2-1",
            Self::Malformed { .. } => "WIMSE-HTTPSIG-R9421-4.1-1",
            Self::FieldCount { .. } => "WIMSE-HTTPSIG-R9421-2.1-1",
            Self::ForbiddenParameter { parameter: "keyid" } => "WIMSE-HTTPSIG-3-24",
            Self::ForbiddenParameter { .. } => "WIMSE-HTTPSIG-3-25",
            Self::Parameter { parameter } => match *parameter {
                "created" => "WIMSE-HTTPSIG-3-17",
                "expires" => "WIMSE-HTTPSIG-3-18",
                "nonce" => "WIMSE-HTTPSIG-3-19",
                super::WIMSE_AUD => "WIMSE-HTTPSIG-3-21",
                super::WIMSE_SIGN_RESPONSE => "WIMSE-HTTPSIG-3.2-1",
                super::WIMSE_REQ_NONCE => "WIMSE-HTTPSIG-3-23",
                _ => "WIMSE-HTTPSIG-R9421-4.1-1",
            },
            Self::NotYetValid => "WIMSE-HTTPSIG-3-17",
            Self::Expired => "WIMSE-HTTPSIG-5.1-3",
            Self::Lifetime { .. } => "WIMSE-HTTPSIG-3-18",
            Self::Audience => "WIMSE-HTTPSIG-3.1-3",
            Self::MissingComponent { component } => match *component {
                "@method" => "WIMSE-HTTPSIG-3-2",
                "@path" => "WIMSE-HTTPSIG-3-3",
                "@query" => "WIMSE-HTTPSIG-3-4",
                "@request-target" => "WIMSE-HTTPSIG-L3-1",
                "content-type" => "WIMSE-HTTPSIG-3-6",
                "content-digest" => "WIMSE-HTTPSIG-3-7",
                "authorization" => "WIMSE-HTTPSIG-3-8",
                "txn-token" => "WIMSE-HTTPSIG-3-9",
                "workload-identity-token" => "WIMSE-HTTPSIG-3-10",
                "@status" => "WIMSE-HTTPSIG-3-11",
                _ => "WIMSE-HTTPSIG-3-12",
            },
            Self::DuplicateComponent { .. } => "WIMSE-HTTPSIG-R9421-2.5-2",
            Self::AbsentComponent { .. } => "WIMSE-HTTPSIG-R9421-2.5-3",
            Self::ComponentValue { .. } => "WIMSE-HTTPSIG-R9421-2.5-4",
            Self::Signature(_) => "WIMSE-HTTPSIG-3-1",
            Self::OtherWit => "WIMSE-HTTPSIG-3-33",
            Self::DigestMissing => "WIMSE-HTTPSIG-3-15",
            Self::DigestMismatch => "WIMSE-HTTPSIG-3-16",
            Self::Replay(_) => "WIMSE-HTTPSIG-3-31",
            Self::RequestNonce => "WIMSE-HTTPSIG-3.3-2",
            Self::ResponseNotSigned => "WIMSE-HTTPSIG-3.4-4",
            Self::NoSigner | Self::Streaming => "WIMSE-HTTPSIG-3.4-3",
            Self::InsecureTarget => "WIMSE-HTTPSIG-5.1-2",
            Self::UnexpectedPeer => "WIMSE-WIT-1.3-3",
            Self::TooLarge { .. }
            | Self::UnsupportedComponent { .. }
            | Self::ContentTooLarge { .. }
            | Self::OwnWit
            | Self::Signing(_) => return None,
        })
    }
}
