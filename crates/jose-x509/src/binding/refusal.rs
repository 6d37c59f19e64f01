//! From an error to the answer on the wire (RFC 6749 section 5.2, RFC 6750 section 3.1, RFC 8705, RFC 9449).

use serde_json::json;

use super::error::BindingError;
use crate::dpop::{Challenge, DpopError, Nonce};
use crate::error::{Error, Fault};
use crate::mtls::MtlsError;

/// What was looked at when an error came up. A bad signature alone does not say whose it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The DPoP proof.
    Proof,
    /// The access token.
    AccessToken,
    /// The client's authentication.
    Client,
    /// A code, a refresh token, or another grant.
    Grant,
    /// The client's metadata, at registration.
    Registration,
}

/// An `error` of OAuth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OAuthError {
    /// `invalid_dpop_proof`.
    InvalidDpopProof,
    /// `use_dpop_nonce`.
    UseDpopNonce,
    /// `invalid_token`.
    InvalidToken,
    /// `invalid_client`.
    InvalidClient,
    /// `invalid_grant`.
    InvalidGrant,
    /// `invalid_request`.
    InvalidRequest,
    /// `invalid_client_metadata`.
    InvalidClientMetadata,
}

impl OAuthError {
    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::InvalidToken => "invalid_token",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClientMetadata => "invalid_client_metadata",
        }
    }

    /// What `error` is on the wire; `None` if the fault is the server's own.
    #[must_use]
    pub fn of(part: Part, error: &Error) -> Option<Self> {
        match error {
            Error::Dpop(DpopError::NonceRequired | DpopError::NonceRejected) => {
                return Some(Self::UseDpopNonce);
            }
            Error::Dpop(DpopError::KeyMismatch)
            | Error::Binding(
                BindingError::BoundTokenAsBearer
                | BindingError::UnboundTokenAsDpop
                | BindingError::CertificateMismatch,
            ) => return Some(Self::InvalidToken),
            Error::Binding(BindingError::CertificateRequired) => {
                return Some(match part {
                    Part::AccessToken | Part::Proof => Self::InvalidToken,
                    _ => Self::InvalidRequest,
                });
            }
            Error::Dpop(_) | Error::Binding(BindingError::JktDisagreement) => {
                return Some(Self::InvalidDpopProof);
            }
            Error::Binding(
                BindingError::GrantKeyMismatch | BindingError::GrantCertificateMismatch,
            ) => return Some(Self::InvalidGrant),
            Error::Binding(BindingError::ClientNotAuthenticated) => {
                return Some(Self::InvalidClient);
            }
            Error::Binding(
                BindingError::MultipleAuthorizations | BindingError::MalformedAuthorization,
            )
            | Error::Mtls(MtlsError::MissingClientId) => return Some(Self::InvalidRequest),
            _ => {}
        }
        match (error.fault(), part) {
            (Fault::Configuration | Fault::Transient, _) => None,
            (_, Part::Proof) => Some(Self::InvalidDpopProof),
            (_, Part::AccessToken) => Some(Self::InvalidToken),
            (_, Part::Client) => Some(Self::InvalidClient),
            (_, Part::Grant) => Some(Self::InvalidGrant),
            (_, Part::Registration) => Some(Self::InvalidClientMetadata),
        }
    }
}

/// The fields by which any response, also a successful one, gives a nonce, and is kept out of caches.
#[must_use]
pub fn nonce_fields(nonce: &Nonce) -> [(&'static str, String); 2] {
    [
        ("DPoP-Nonce", nonce.as_str().to_owned()),
        ("Cache-Control", "no-store".to_owned()),
    ]
}

/// An answer: a status, fields, and at the token endpoint a body. It tells the peer no more than the error's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    error: Option<OAuthError>,
    fields: Vec<(&'static str, String)>,
}

impl Refusal {
    /// The answer of a token endpoint, of another endpoint of the authorization server, or of its registration
    /// endpoint. `nonce` comes from [`Verifier::fresh_nonce`](crate::dpop::Verifier::fresh_nonce).
    #[must_use]
    pub fn at_authorization_server(part: Part, error: &Error, nonce: Option<&Nonce>) -> Self {
        let error = with_nonce(OAuthError::of(part, error), nonce);
        let mut fields = Self::common_fields(nonce);
        fields.extend(error.map(|_| ("Content-Type", "application/json".to_owned())));
        Self {
            status: match error {
                Some(OAuthError::InvalidClient) => 401,
                Some(_) => 400,
                None => 503,
            },
            error,
            fields,
        }
    }

    /// The answer of a resource server, with a challenge for each scheme that it offers, such as
    /// [`Challenge::dpop`] and [`Challenge::bearer`].
    #[must_use]
    pub fn at_resource_server(
        part: Part,
        error: &Error,
        offered: &[Challenge],
        nonce: Option<&Nonce>,
    ) -> Self {
        // A request without any token gets the challenges alone (RFC 6750 section 3.1).
        let unauthorized = matches!(
            error,
            Error::Binding(BindingError::MissingAuthorization | BindingError::UnsupportedScheme)
        );
        let error = with_nonce(OAuthError::of(part, error), nonce);
        let mut fields = Self::common_fields(nonce);
        if error.is_some() {
            fields.extend(offered.iter().map(|challenge| {
                let challenge = match error {
                    Some(error) if !unauthorized && challenge.takes(error) => {
                        challenge.clone().with_error(error.name())
                    }
                    _ => challenge.clone(),
                };
                ("WWW-Authenticate", challenge.to_string())
            }));
        }
        Self {
            status: match error {
                Some(OAuthError::InvalidRequest) => 400,
                Some(_) => 401,
                None => 503,
            },
            error: error.filter(|_| !unauthorized),
            fields,
        }
    }

    fn common_fields(nonce: Option<&Nonce>) -> Vec<(&'static str, String)> {
        match nonce {
            Some(nonce) => nonce_fields(nonce).into(),
            None => vec![("Cache-Control", "no-store".to_owned())],
        }
    }

    /// The status code: 503 if the fault is the server's own.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// `error`.
    #[must_use]
    pub fn error(&self) -> Option<OAuthError> {
        self.error
    }

    /// Names and values of fields.
    #[must_use]
    pub fn fields(&self) -> &[(&'static str, String)] {
        &self.fields
    }

    /// The body for an endpoint of the authorization server.
    #[must_use]
    pub fn body(&self) -> Option<String> {
        self.error
            .map(|error| json!({"error": error.name()}).to_string())
    }
}

/// A nonce cannot be demanded without giving one.
fn with_nonce(error: Option<OAuthError>, nonce: Option<&Nonce>) -> Option<OAuthError> {
    error.filter(|error| *error != OAuthError::UseDpopNonce || nonce.is_some())
}

impl Challenge {
    /// Whether the error belongs into a challenge of this scheme.
    fn takes(&self, error: OAuthError) -> bool {
        self.is_dpop()
            || !matches!(
                error,
                OAuthError::InvalidDpopProof | OAuthError::UseDpopNonce
            )
    }
}
