//! Errors: a document, an update or a fetch that is refused as a whole.

use jose_x509::json::{JsonError, JsonErrorKind};
use jose_x509::{Error as JoseError, Fault};

/// Every way in which this crate refuses something. Faults of single bundle entries are no errors: see
/// [`Diagnostic`](crate::Diagnostic).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not strict JSON, or not an object, or above a limit.
    #[error("the bundle document is refused: {0}")]
    Json(JsonError),
    /// A member of the document is missing or of the wrong type or range.
    #[error("member `{member}` of the bundle document is missing, or has the wrong type or range")]
    Member {
        /// The member.
        member: &'static str,
    },
    /// More entries than the limit.
    #[error("the bundle document has more than {limit} keys")]
    TooManyKeys {
        /// The limit.
        limit: usize,
    },
    /// An element of `keys` is not an object.
    #[error("key {index} of the bundle document is not a JSON object")]
    NotAnObject {
        /// Its position.
        index: usize,
    },
    /// A private key was published.
    #[error(
        "key {index} of the bundle document has a private member; the publisher leaked a private key"
    )]
    PrivateKey {
        /// Its position.
        index: usize,
    },
    /// Two different keys of one use have the same `kid`.
    #[error("key {index} of the bundle document has the `kid` of another key of the same use")]
    ConflictingKid {
        /// Position of the second one.
        index: usize,
    },
    /// A key of a bundle map is not the name of a trust domain.
    #[error("a key of member `trust_domains` is not a trust domain name: {0}")]
    TrustDomain(spiffe_id::Error),
    /// A key that the publisher adds cannot be published.
    #[error("the key cannot be published: {problem}")]
    Unpublishable {
        /// What is wrong with it.
        problem: crate::EntryProblem,
    },
    /// The publisher's sequence number has no successor.
    #[error("the sequence number of the bundle is at its maximum; set it by hand")]
    SequenceExhausted,
    /// An older bundle than the installed one.
    #[error("bundle with sequence {offered} is older than the installed one with {installed}")]
    Rollback {
        /// Sequence of the installed bundle.
        installed: u64,
        /// Sequence of the refused bundle.
        offered: u64,
    },
    /// Not a bundle endpoint URL.
    #[error("not a bundle endpoint URL: {}", .problem.text())]
    EndpointUrl {
        /// What is wrong with it.
        problem: UrlProblem,
    },
    /// The profile name is not one of the two.
    #[error("the endpoint profile is neither `https_web` nor `https_spiffe`")]
    UnknownProfile,
    /// The endpoint's SPIFFE ID has no path, so no server can have it.
    #[error("the SPIFFE ID of the endpoint has no path and so cannot be that of a server")]
    EndpointId,
    /// A response that is neither a bundle nor a redirect.
    #[error("the bundle endpoint answered with status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The body is above the limit.
    #[error("the response of the bundle endpoint is longer than {limit} bytes")]
    ResponseTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A redirect, and following is switched off.
    #[error("the bundle endpoint redirects, which is switched off")]
    RedirectsDisabled,
    /// One redirect too many.
    #[error("the bundle endpoint redirects more than {limit} times")]
    TooManyRedirects {
        /// The limit.
        limit: u8,
    },
    /// A redirect with no, several or an unreadable `Location`.
    #[error("the bundle endpoint redirects without one readable `Location` field")]
    Location,
}

/// What is wrong with an endpoint URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlProblem {
    /// Not an absolute URL with a host, or with characters that readers disagree on.
    Malformed,
    /// Another scheme than `https`.
    Scheme,
    /// User information in the authority.
    UserInfo,
}

impl UrlProblem {
    const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "malformed or without a host",
            Self::Scheme => "the scheme has to be `https`",
            Self::UserInfo => "user information is not allowed",
        }
    }
}

impl Error {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json(source) => source.kind().code(),
            Self::Member { .. } => "bundle_member",
            Self::TooManyKeys { .. } => "too_many_keys",
            Self::NotAnObject { .. } => "bundle_key_not_an_object",
            Self::PrivateKey { .. } => "private_key_material",
            Self::ConflictingKid { .. } => "conflicting_kid",
            Self::TrustDomain(_) => "trust_domain",
            Self::Unpublishable { .. } => "unpublishable_key",
            Self::SequenceExhausted => "sequence_exhausted",
            Self::Rollback { .. } => "bundle_rollback",
            Self::EndpointUrl { .. } => "endpoint_url",
            Self::UnknownProfile => "unknown_profile",
            Self::EndpointId => "endpoint_id",
            Self::Status { .. } => "endpoint_status",
            Self::ResponseTooLarge { .. } => "response_too_large",
            Self::RedirectsDisabled => "redirects_disabled",
            Self::TooManyRedirects { .. } => "too_many_redirects",
            Self::Location => "redirect_location",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Rollback { .. } | Self::RedirectsDisabled => Fault::Policy,
            Self::Unpublishable { .. }
            | Self::SequenceExhausted
            | Self::UnknownProfile
            | Self::EndpointId => Fault::Configuration,
            Self::Status { status } if *status >= 500 || *status == 429 => Fault::Transient,
            _ => Fault::Peer,
        }
    }

    /// Whether the next poll at its normal time may succeed.
    #[must_use]
    pub fn retryable(&self) -> bool {
        !matches!(self.fault(), Fault::Configuration)
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static str> {
        Some(match self {
            Self::Json(source) if source.kind() == JsonErrorKind::DuplicateMember => {
                "SPIFFE-BUNDLE-6.3-1"
            }
            Self::Json(_) => "SPIFFE-BUNDLE-4-1",
            Self::Member {
                member: "spiffe_sequence",
            } => "SPIFFE-BUNDLE-4.1.1-3",
            Self::Member {
                member: "spiffe_refresh_hint",
            } => "SPIFFE-BUNDLE-4.1.2-3",
            Self::Member {
                member: "trust_domains",
            } => "SPIFFE-BUNDLE-5.1.1-1",
            Self::Member { .. } | Self::NotAnObject { .. } => "SPIFFE-BUNDLE-4.1.3-1",
            Self::TooManyKeys { .. } | Self::ResponseTooLarge { .. } => "SPIFFE-BUNDLE-A16",
            Self::PrivateKey { .. } => "SPIFFE-BUNDLE-4.2-6",
            Self::ConflictingKid { .. } => "JWT-SVID-6.2-4",
            Self::TrustDomain(_) => "SPIFFE-BUNDLE-5.1.1-2",
            Self::Unpublishable { .. } => "SPIFFE-BUNDLE-4.2-4",
            Self::SequenceExhausted => "SPIFFE-BUNDLE-4.1.1-2",
            Self::Rollback { .. } => "SPIFFE-FEDERATION-4.2-2",
            Self::EndpointUrl {
                problem: UrlProblem::UserInfo,
            } => "SPIFFE-FEDERATION-5.2.1.1-2",
            Self::EndpointUrl { .. } => "SPIFFE-FEDERATION-5.2.1.1-1",
            Self::UnknownProfile => "SPIFFE-FEDERATION-5.2.1-1",
            Self::EndpointId => "SPIFFE-FEDERATION-5.2.2.2-1",
            Self::RedirectsDisabled => "SPIFFE-FEDERATION-7.5.1-1",
            Self::TooManyRedirects { .. } => "SPIFFE-FEDERATION-A7",
            Self::Location => "SPIFFE-FEDERATION-5.2.1.4-3",
            Self::Status { .. } => return None,
        })
    }
}

/// For keys whose only document-level fault can be a repeated `kid`.
pub(crate) fn conflicting(_: JoseError) -> Error {
    Error::Unpublishable {
        problem: crate::EntryProblem::KidTaken,
    }
}
