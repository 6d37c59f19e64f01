//! Client authentication at the token endpoint (RFC 8705 section 2).

use pki_types::UnixTime;

use super::certificate::ClientCertificate;
use super::error::MtlsError;
use super::self_signed::RegisteredCertificates;
use super::subject::RegisteredSubject;
use crate::error::Error;
use crate::provider::CryptoProvider;
use crate::x509::{PathOptions, Purpose, TrustAnchors, verify_path};

/// How a client is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Registration {
    /// `tls_client_auth`: a certificate of a configured anchor, with this name.
    TlsClientAuth(RegisteredSubject),
    /// `self_signed_tls_client_auth`: one of these certificates.
    SelfSignedTlsClientAuth(RegisteredCertificates),
}

impl Registration {
    /// `token_endpoint_auth_method`.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::TlsClientAuth(_) => TLS_CLIENT_AUTH,
            Self::SelfSignedTlsClientAuth(_) => SELF_SIGNED,
        }
    }
}

pub(crate) const TLS_CLIENT_AUTH: &str = "tls_client_auth";
pub(crate) const SELF_SIGNED: &str = "self_signed_tls_client_auth";

/// Authenticates clients: an immutable value that threads share.
#[derive(Clone, Debug)]
pub struct Authenticator {
    provider: CryptoProvider,
    anchors: TrustAnchors,
    options: PathOptions,
}

impl Authenticator {
    /// An authenticator with these anchors for `tls_client_auth`. They are meant for client authentication
    /// alone: never the roots of the web.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if none of the anchors can be used.
    pub fn new(provider: &CryptoProvider, anchors: TrustAnchors) -> Result<Self, Error> {
        if anchors.is_empty() {
            return Err(Error::InvalidOption {
                option: "anchors",
                range: "at least one usable certificate",
            });
        }
        Ok(Self {
            anchors,
            ..Self::for_self_signed(provider)
        })
    }

    /// An authenticator for `self_signed_tls_client_auth` alone.
    #[must_use]
    pub fn for_self_signed(provider: &CryptoProvider) -> Self {
        Self {
            provider: *provider,
            anchors: TrustAnchors::default(),
            options: PathOptions::new(Purpose::ClientAuth),
        }
    }

    /// Other demands on the path.
    #[must_use]
    pub fn with_path_options(self, options: PathOptions) -> Self {
        Self { options, ..self }
    }

    /// Authenticates the client of a request by its parameter `client_id` and the certificate of its
    /// connection. `find` looks a registration up.
    ///
    /// # Errors
    ///
    /// [`MtlsError::MissingClientId`], [`MtlsError::UnknownClient`], [`MtlsError::MissingCertificate`],
    /// [`MtlsError::SubjectMismatch`], [`MtlsError::NotRegistered`], and [`Error::X509`] for a path that leads to
    /// no anchor.
    pub fn authenticate<R: core::borrow::Borrow<Registration>>(
        &self,
        client_id: Option<&str>,
        find: impl FnOnce(&str) -> Option<R>,
        certificate: Option<&ClientCertificate<'_>>,
        now: UnixTime,
    ) -> Result<AuthenticatedClient, Error> {
        let client_id = client_id
            .filter(|client_id| !client_id.is_empty())
            .ok_or(MtlsError::MissingClientId)?;
        let registration = find(client_id).ok_or(MtlsError::UnknownClient)?;
        let certificate = certificate.ok_or(MtlsError::MissingCertificate)?;
        match registration.borrow() {
            Registration::TlsClientAuth(subject) => {
                let path = verify_path(
                    certificate.leaf(),
                    certificate.unverified_intermediates(),
                    &self.anchors,
                    &self.options,
                    self.provider.certificate_algorithms,
                    now,
                )?;
                if !subject.matches(path.leaf()) {
                    return Err(MtlsError::SubjectMismatch.into());
                }
            }
            Registration::SelfSignedTlsClientAuth(registered) => {
                if !registered.contains(certificate) {
                    return Err(MtlsError::NotRegistered.into());
                }
            }
        }
        Ok(AuthenticatedClient {
            client_id: client_id.to_owned(),
            thumbprint: certificate.thumbprint(&self.provider),
        })
    }
}

/// A client that was authenticated by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatedClient {
    client_id: String,
    thumbprint: [u8; 32],
}

impl AuthenticatedClient {
    /// `client_id`.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// `x5t#S256` of the certificate.
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        self.thumbprint
    }
}
