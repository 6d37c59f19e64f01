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
    /// A response in a content coding that was not asked for.
    #[error("the response of the bundle endpoint has a content coding, which was not asked for")]
    ContentEncoding,
    /// A relationship with the own trust domain, whose bundle only its issuer makes.
    #[error("a relationship cannot be with the own trust domain")]
    HomeTrustDomain,
    /// A second relationship with a trust domain.
    #[error("there is a relationship with this trust domain already")]
    DuplicateRelationship,
    /// No relationship with the trust domain, or not any more.
    #[error("there is no relationship with this trust domain")]
    NoRelationship,
    /// A fetch that began before the relationship was begun anew, or before the operator set the bundle.
    #[error(
        "the fetch began before the relationship or its bundle was set by hand; the next fetch counts"
    )]
    Overtaken,
    /// Nobody provides the bundle that authenticates the endpoint's server.
    #[error(
        "there is no bundle for the trust domain of the endpoint's server; configure a bootstrap bundle or a relationship"
    )]
    NoEndpointBundle,
    /// Relationships whose servers are authenticated by each other's bundles, and none has one to begin with.
    #[error(
        "the endpoints authenticate each other in a cycle, or in too long a chain; configure a bootstrap bundle"
    )]
    EndpointTrustCycle,
    /// The bundle of one trust domain where that of another one belongs.
    #[error("the bundle is that of another trust domain")]
    ForeignBundle,
    /// A second bundle of a trust domain.
    #[error("the trust domain has a bundle already")]
    DuplicateTrustDomain,
    /// A refresh hint that the document cannot express.
    #[error("a refresh hint is a whole number of seconds, and at least one")]
    RefreshHint,
    /// A further parameter with the name of one that the standard defines.
    #[error("the standard defines this parameter of the document")]
    ReservedParameter,
    /// Not certificates in PEM.
    #[error("the text is not PEM with at least one certificate")]
    Pem,
    /// A key that the rotation does not have, or has no more.
    #[error("the rotation does not have this key")]
    UnknownAuthority,
    /// A key that signs nothing yet, because validators need not have it.
    #[error("the key may not sign yet: publish it, and wait until validators have it")]
    KeyNotActive {
        /// The second from which on it may; none for a key that is not published.
        not_before: Option<u64>,
    },
    /// A path or a target of the bundle endpoint that is not one.
    #[error("the path of a bundle endpoint begins with `/`, has no query, and is there once")]
    EndpointPath,
    /// A certificate chain that does not fit the public name of the endpoint, or not its private key.
    #[error(
        "the certificate is not one for the public host of the bundle endpoint, or for its private key"
    )]
    EndpointCertificate,
    /// A TLS configuration that would present a client certificate.
    #[error(
        "a bundle endpoint is asked without a client certificate; take it out of the TLS configuration"
    )]
    ClientCertificate,
    /// No TLS configuration for the profile of a relationship.
    #[error("the client has no TLS configuration for the profile `{profile}`")]
    ProfileNotConfigured {
        /// The profile.
        profile: &'static str,
    },
    /// The host of an endpoint has an address that the policy does not allow.
    #[error(
        "the bundle endpoint has an address that is not public, which the policy does not allow"
    )]
    AddressRefused,
    /// The exchange with the endpoint failed.
    #[error("the exchange with the bundle endpoint failed: {}", .step.text())]
    Exchange {
        /// Where.
        step: ExchangeStep,
    },
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

/// Where an exchange with an endpoint failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeStep {
    /// The host has no address.
    Resolve,
    /// No connection to any of its addresses.
    Connect,
    /// The server is not who it has to be, or the handshake failed otherwise.
    Tls,
    /// Not HTTP/1.1, or cut short.
    Http,
    /// Everything together took too long.
    Timeout,
}

impl ExchangeStep {
    const fn text(self) -> &'static str {
        match self {
            Self::Resolve => "its host has no address",
            Self::Connect => "none of its addresses can be connected to",
            Self::Tls => "the server could not be authenticated, or the handshake failed otherwise",
            Self::Http => "the response is not HTTP/1.1 or is cut short",
            Self::Timeout => "it took too long",
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
            Self::ContentEncoding => "content_encoding",
            Self::HomeTrustDomain => "home_trust_domain",
            Self::DuplicateRelationship => "duplicate_relationship",
            Self::NoRelationship => "no_relationship",
            Self::Overtaken => "overtaken",
            Self::NoEndpointBundle => "no_endpoint_bundle",
            Self::EndpointTrustCycle => "endpoint_trust_cycle",
            Self::ForeignBundle => "foreign_bundle",
            Self::DuplicateTrustDomain => "duplicate_trust_domain",
            Self::RefreshHint => "refresh_hint",
            Self::ReservedParameter => "reserved_parameter",
            Self::Pem => "pem",
            Self::UnknownAuthority => "unknown_authority",
            Self::KeyNotActive { .. } => "key_not_active",
            Self::EndpointPath => "endpoint_path",
            Self::EndpointCertificate => "endpoint_certificate",
            Self::ClientCertificate => "client_certificate",
            Self::ProfileNotConfigured { .. } => "profile_not_configured",
            Self::AddressRefused => "address_refused",
            Self::Exchange { .. } => "exchange",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Rollback { .. }
            | Self::Overtaken
            | Self::RedirectsDisabled
            | Self::AddressRefused
            | Self::KeyNotActive { .. } => Fault::Policy,
            Self::HomeTrustDomain
            | Self::DuplicateRelationship
            | Self::NoRelationship
            | Self::NoEndpointBundle
            | Self::EndpointTrustCycle
            | Self::ForeignBundle
            | Self::DuplicateTrustDomain
            | Self::RefreshHint
            | Self::ReservedParameter
            | Self::Pem
            | Self::UnknownAuthority
            | Self::EndpointPath
            | Self::EndpointCertificate
            | Self::ClientCertificate
            | Self::ProfileNotConfigured { .. }
            | Self::Unpublishable { .. }
            | Self::SequenceExhausted
            | Self::UnknownProfile
            | Self::EndpointId => Fault::Configuration,
            Self::Exchange {
                step: ExchangeStep::Tls,
            } => Fault::Peer,
            Self::Exchange { .. } => Fault::Transient,
            Self::Status { status } if *status >= 500 || *status == 429 => Fault::Transient,
            _ => Fault::Peer,
        }
    }

    /// Whether the next poll at its normal time may succeed.
    #[must_use]
    pub fn retryable(&self) -> bool {
        // The bundle of the endpoint's own trust domain may have come by then.
        *self == Self::NoEndpointBundle || self.fault() != Fault::Configuration
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
            Self::Overtaken => "SPIFFE-FEDERATION-4.2-3",
            Self::EndpointUrl {
                problem: UrlProblem::UserInfo,
            } => "SPIFFE-FEDERATION-5.2.1.1-2",
            Self::EndpointUrl { .. } => "SPIFFE-FEDERATION-5.2.1.1-1",
            Self::UnknownProfile => "SPIFFE-FEDERATION-5.2.1-1",
            Self::EndpointId => "SPIFFE-FEDERATION-5.2.2.2-1",
            Self::RedirectsDisabled => "SPIFFE-FEDERATION-7.5.1-1",
            Self::TooManyRedirects { .. } => "SPIFFE-FEDERATION-A7",
            Self::Location => "SPIFFE-FEDERATION-5.2.1.4-3",
            Self::ContentEncoding => "SPIFFE-FEDERATION-A15",
            Self::HomeTrustDomain | Self::ForeignBundle => "SPIFFE-FEDERATION-A12",
            Self::NoEndpointBundle => "SPIFFE-FEDERATION-5.2.2.2-2",
            Self::EndpointTrustCycle => "SPIFFE-FEDERATION-7.6-2",
            Self::NoRelationship => "SPIFFE-FEDERATION-6.3-1",
            Self::DuplicateTrustDomain => "SPIFFE-BUNDLE-5.1.1-3",
            Self::RefreshHint => "SPIFFE-BUNDLE-4.1.2-2",
            Self::ReservedParameter => "SPIFFE-BUNDLE-4.1-1",
            Self::Pem => "SPIFFE-FEDERATION-5.2.2.2-3",
            Self::KeyNotActive { .. } => "SPIFFE-FEDERATION-4.1-3",
            Self::EndpointCertificate => "SPIFFE-FEDERATION-5.2.1.3-2",
            Self::ClientCertificate => "SPIFFE-FEDERATION-A14",
            Self::ProfileNotConfigured { .. } => "SPIFFE-FEDERATION-7.2-1",
            Self::AddressRefused => "SPIFFE-FEDERATION-A6",
            Self::Exchange {
                step: ExchangeStep::Timeout,
            } => "SPIFFE-FEDERATION-A15",
            Self::Exchange {
                step: ExchangeStep::Tls,
            } => "SPIFFE-FEDERATION-5.2.1.4-1",
            Self::Status { .. }
            | Self::DuplicateRelationship
            | Self::UnknownAuthority
            | Self::EndpointPath
            | Self::Exchange { .. } => return None,
        })
    }
}

/// For keys whose only document-level fault can be a repeated `kid`.
pub(crate) fn conflicting(_: JoseError) -> Error {
    Error::Unpublishable {
        problem: crate::EntryProblem::KidTaken,
    }
}
