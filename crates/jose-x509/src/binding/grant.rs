//! The authorization server's side: what codes, refresh tokens and access tokens are bound to.

use super::error::BindingError;
use super::metadata::ClientMetadata;
use crate::dpop::{DpopError, DpopProof};
use crate::error::Error;
use crate::jwt::Confirmation;

/// Who sends a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// A public client, which is known by nothing but what it says.
    Public,
    /// A confidential client that has authenticated.
    Authenticated,
    /// A confidential client that has not.
    Unauthenticated,
}

/// A token request, with the proof and the certificate that came along.
#[derive(Clone, Copy, Debug)]
pub struct TokenRequest<'a> {
    client: Client,
    proof: Option<&'a DpopProof>,
    certificate: Option<[u8; 32]>,
}

impl<'a> TokenRequest<'a> {
    /// A request with nothing along.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self {
            client,
            proof: None,
            certificate: None,
        }
    }

    /// The verified proof of the request.
    #[must_use]
    pub const fn with_proof(mut self, proof: &'a DpopProof) -> Self {
        self.proof = Some(proof);
        self
    }

    /// `x5t#S256` of the certificate of the request's connection.
    #[must_use]
    pub const fn with_certificate(mut self, thumbprint: [u8; 32]) -> Self {
        self.certificate = Some(thumbprint);
        self
    }

    /// Checks the key that an authorization code is bound to (see [`code_key`]).
    ///
    /// # Errors
    ///
    /// [`BindingError::ClientNotAuthenticated`], [`DpopError::MissingProof`], [`BindingError::GrantKeyMismatch`].
    pub fn check_code(&self, key: Option<[u8; 32]>) -> Result<(), Error> {
        self.check_client()?;
        match key {
            None => Ok(()),
            Some(key) => self.check_key(key),
        }
    }

    /// Checks what a refresh token is bound to.
    ///
    /// # Errors
    ///
    /// [`BindingError::ClientNotAuthenticated`], [`DpopError::MissingProof`], [`BindingError::GrantKeyMismatch`],
    /// [`BindingError::GrantCertificateMismatch`].
    pub fn check_refresh(&self, binding: &GrantBinding) -> Result<(), Error> {
        self.check_client()?;
        if let Some(key) = binding.jkt {
            self.check_key(key)?;
        }
        if binding.x5t_s256.is_some() && binding.x5t_s256 != self.certificate {
            return Err(BindingError::GrantCertificateMismatch.into());
        }
        Ok(())
    }

    /// What the access token of the response, and a refresh token beside it, have to be bound to.
    ///
    /// A proof always binds the access token. A certificate does if the client's metadata ask for it; it may be
    /// there to authenticate the client alone.
    ///
    /// # Errors
    ///
    /// [`BindingError::ClientNotAuthenticated`], and [`DpopError::MissingProof`] or
    /// [`BindingError::CertificateRequired`] when the client's metadata promise what did not come along.
    pub fn issue(&self, client: &ClientMetadata) -> Result<IssuedBinding, Error> {
        self.check_client()?;
        if client.dpop_bound_access_tokens && self.proof.is_none() {
            return Err(DpopError::MissingProof.into());
        }
        let x5t_s256 = if client.tls_client_certificate_bound_access_tokens {
            Some(self.certificate.ok_or(BindingError::CertificateRequired)?)
        } else {
            None
        };
        let jkt = self.proof.map(DpopProof::jkt);
        Ok(IssuedBinding {
            jkt,
            x5t_s256,
            // A confidential client proves by its authentication that a refresh token is its own.
            refresh: match self.client {
                Client::Public => GrantBinding { jkt, x5t_s256 },
                _ => GrantBinding::default(),
            },
        })
    }

    fn check_client(&self) -> Result<(), Error> {
        match self.client {
            Client::Unauthenticated => Err(BindingError::ClientNotAuthenticated.into()),
            _ => Ok(()),
        }
    }

    fn check_key(&self, key: [u8; 32]) -> Result<(), Error> {
        let proof = self.proof.ok_or(DpopError::MissingProof)?;
        if proof.jkt() == key {
            Ok(())
        } else {
            Err(BindingError::GrantKeyMismatch.into())
        }
    }
}

/// What a refresh token is bound to; nothing for one of a confidential client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GrantBinding {
    /// The thumbprint of a proof's key.
    pub jkt: Option<[u8; 32]>,
    /// The thumbprint of a certificate.
    pub x5t_s256: Option<[u8; 32]>,
}

impl GrantBinding {
    /// A binding that was stored.
    #[must_use]
    pub const fn new(jkt: Option<[u8; 32]>, x5t_s256: Option<[u8; 32]>) -> Self {
        Self { jkt, x5t_s256 }
    }
}

/// What the tokens of a response are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuedBinding {
    jkt: Option<[u8; 32]>,
    x5t_s256: Option<[u8; 32]>,
    refresh: GrantBinding,
}

impl IssuedBinding {
    /// `token_type` of the response.
    #[must_use]
    pub const fn token_type(&self) -> &'static str {
        match self.jkt {
            Some(_) => "DPoP",
            None => "Bearer",
        }
    }

    /// `cnf` of the access token; `None` for a plain bearer token.
    #[must_use]
    pub fn confirmation(&self) -> Option<Confirmation> {
        let mut confirmation = match (self.jkt, self.x5t_s256) {
            (Some(jkt), _) => Confirmation::of_jkt(jkt),
            (None, Some(thumbprint)) => Confirmation::of_certificate(thumbprint),
            (None, None) => return None,
        };
        confirmation.x5t_s256 = self.x5t_s256;
        Some(confirmation)
    }

    /// What to store with a refresh token.
    #[must_use]
    pub const fn refresh(&self) -> GrantBinding {
        self.refresh
    }
}

/// The key that an authorization code has to be bound to: that of the parameter `dpop_jkt` (see
/// [`parse_jkt`](crate::dpop::parse_jkt)) or, of a pushed request, that of its proof.
///
/// # Errors
///
/// [`BindingError::JktDisagreement`] when there are both and they differ.
pub fn code_key(
    dpop_jkt: Option<[u8; 32]>,
    pushed: Option<&DpopProof>,
) -> Result<Option<[u8; 32]>, Error> {
    match (dpop_jkt, pushed.map(DpopProof::jkt)) {
        (Some(parameter), Some(proof)) if parameter != proof => {
            Err(BindingError::JktDisagreement.into())
        }
        (parameter, proof) => Ok(parameter.or(proof)),
    }
}
