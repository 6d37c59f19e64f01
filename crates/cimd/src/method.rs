//! Client authentication methods that work without a shared secret.

/// A value of `token_endpoint_auth_method`. Methods with a shared secret do not exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// `none`: a public client.
    None,
    /// `private_key_jwt`.
    PrivateKeyJwt,
    /// `tls_client_auth`.
    TlsClientAuth,
    /// `self_signed_tls_client_auth`.
    SelfSignedTlsClientAuth,
    /// `attest_jwt_client_auth`.
    AttestJwtClientAuth,
    /// `spiffe_jwt`.
    SpiffeJwt,
    /// `spiffe_x509`.
    SpiffeX509,
    /// `spiffe_wit`.
    SpiffeWit,
}

impl AuthMethod {
    /// All methods.
    pub const ALL: &'static [Self] = &[
        Self::None,
        Self::PrivateKeyJwt,
        Self::TlsClientAuth,
        Self::SelfSignedTlsClientAuth,
        Self::AttestJwtClientAuth,
        Self::SpiffeJwt,
        Self::SpiffeX509,
        Self::SpiffeWit,
    ];

    /// The methods that use a `spiffe_id`.
    pub const SPIFFE: &'static [Self] = &[Self::SpiffeJwt, Self::SpiffeX509, Self::SpiffeWit];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
            Self::AttestJwtClientAuth => "attest_jwt_client_auth",
            Self::SpiffeJwt => "spiffe_jwt",
            Self::SpiffeX509 => "spiffe_x509",
            Self::SpiffeWit => "spiffe_wit",
        }
    }

    /// The method of a registered name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|method| method.name() == name)
            .copied()
    }

    pub(crate) fn alone(self) -> &'static [Self] {
        Self::ALL
            .iter()
            .find(|method| **method == self)
            .map_or(&[], std::slice::from_ref)
    }
}
