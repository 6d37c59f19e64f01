//! What can be wrong with how a token or grant is used.

use crate::error::Fault;

/// Why the use of a token or grant was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// The request has no `Authorization` field.
    #[error("the request has no Authorization field; send an access token")]
    MissingAuthorization,
    /// The request has several `Authorization` fields.
    #[error("the request has more than one Authorization field")]
    MultipleAuthorizations,
    /// The field is not a scheme and one token.
    #[error("the Authorization field is not a scheme and one token of RFC 9110's token68 syntax")]
    MalformedAuthorization,
    /// Neither `Bearer` nor `DPoP`.
    #[error("the scheme of the Authorization field is neither Bearer nor DPoP")]
    UnsupportedScheme,
    /// A token that is bound to a key, sent as if it were not.
    #[error("the access token is bound to a key; send it with scheme DPoP and a proof")]
    BoundTokenAsBearer,
    /// A token that is bound to no key, sent as if it were.
    #[error(
        "the access token is bound to no key (`cnf.jkt`), and scheme DPoP is only for those that are"
    )]
    UnboundTokenAsDpop,
    /// The token is bound to a certificate and the connection has none.
    #[error("a certificate is needed, and the connection has none")]
    CertificateRequired,
    /// The connection's certificate is not the token's.
    #[error("the token is bound to another certificate than that of the connection")]
    CertificateMismatch,
    /// A code or refresh token that is bound to another key.
    #[error("the grant is bound to another key than that of the proof")]
    GrantKeyMismatch,
    /// A refresh token that is bound to another certificate.
    #[error("the grant is bound to another certificate than that of the connection")]
    GrantCertificateMismatch,
    /// `dpop_jkt` is not the key of the proof of the same request.
    #[error("parameter `dpop_jkt` and the proof name different keys")]
    JktDisagreement,
    /// A confidential client that has not authenticated; a proof does not do that.
    #[error("the client is confidential and has to authenticate")]
    ClientNotAuthenticated,
    /// An introspection response whose `token_type` and `cnf` contradict each other.
    #[error(
        "members `token_type` and `cnf` of the introspection response contradict each other (`DPoP` is for `jkt`)"
    )]
    IntrospectionType,
    /// An introspection response that is none.
    #[error("member `{member}` of the introspection response is missing or of the wrong type")]
    Introspection {
        /// The member.
        member: &'static str,
    },
    /// Metadata of the wrong shape.
    #[error(
        "the metadata does not have the shape or the values that RFC 8705 and RFC 9449 give it"
    )]
    Metadata,
}

impl BindingError {
    /// A stable name of the cause.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingAuthorization => "missing_authorization",
            Self::MultipleAuthorizations => "multiple_authorizations",
            Self::MalformedAuthorization => "malformed_authorization",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::BoundTokenAsBearer => "bound_token_as_bearer",
            Self::UnboundTokenAsDpop => "unbound_token_as_dpop",
            Self::CertificateRequired => "certificate_required",
            Self::CertificateMismatch => "certificate_mismatch",
            Self::GrantKeyMismatch => "grant_key_mismatch",
            Self::GrantCertificateMismatch => "grant_certificate_mismatch",
            Self::JktDisagreement => "jkt_disagreement",
            Self::ClientNotAuthenticated => "client_not_authenticated",
            Self::IntrospectionType => "introspection_type",
            Self::Introspection { .. } => "introspection",
            Self::Metadata => "metadata",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::UnboundTokenAsDpop => Fault::Policy,
            _ => Fault::Peer,
        }
    }

    /// The requirement (an id of `docs/conformance`) that this refusal enforces.
    #[must_use]
    pub const fn requirement(self) -> &'static str {
        match self {
            Self::MissingAuthorization
            | Self::MalformedAuthorization
            | Self::UnsupportedScheme
            | Self::UnboundTokenAsDpop => "POP-9449.7.1-1",
            Self::MultipleAuthorizations => "POP-9449.7.2-3",
            Self::BoundTokenAsBearer => "POP-9449.7.2-1",
            Self::CertificateRequired | Self::CertificateMismatch => "POP-8705.3-2",
            Self::GrantKeyMismatch => "POP-9449.10-2",
            Self::GrantCertificateMismatch => "POP-8705.4-2",
            Self::JktDisagreement => "POP-9449.10.1-1",
            Self::ClientNotAuthenticated => "POP-9449.11.11-1",
            Self::IntrospectionType | Self::Introspection { .. } => "POP-9449.6.2-1",
            Self::Metadata => "POP-9449.5.1-1",
        }
    }
}
