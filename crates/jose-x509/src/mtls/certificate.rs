//! A client's certificate and its thumbprint (RFC 8705 section 3).

use pki_types::CertificateDer;

use crate::base64url;
use crate::error::Error;
use crate::provider::CryptoProvider;
use crate::x509::Certificate;

/// `x5t#S256`: SHA-256 of a certificate's DER.
#[must_use]
pub fn thumbprint(provider: &CryptoProvider, der: &[u8]) -> [u8; 32] {
    provider.sha256(der)
}

/// Reads `x5t#S256`: 43 characters of canonical base64url. The value that RFC 8705 prints in its section 3.1
/// is not canonical and refused.
///
/// # Errors
///
/// [`Error::InvalidBase64`].
pub fn parse_thumbprint(text: &str) -> Result<[u8; 32], Error> {
    base64url::decode_array(text, "certificate thumbprint")
}

/// The certificate whose key the client has proven to have on this connection, and those it sent along.
///
/// The leaf is one that [`Certificate::parse`] accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate<'a> {
    leaf: CertificateDer<'a>,
    intermediates: Vec<CertificateDer<'a>>,
}

impl<'a> ClientCertificate<'a> {
    /// What the TLS layer of this very connection says, leaf first; `None` if the client showed nothing.
    /// After the resumption of a session the certificate has to be there as well.
    ///
    /// # Errors
    ///
    /// [`Error::X509`] for a leaf that the strict parser refuses.
    pub fn from_tls(chain: &'a [CertificateDer<'_>]) -> Result<Option<Self>, Error> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Ok(None);
        };
        let borrow = |der: &'a CertificateDer<'_>| CertificateDer::from(der.as_ref());
        Self::new(borrow(leaf), intermediates.iter().map(borrow).collect()).map(Some)
    }

    pub(super) fn new(
        leaf: CertificateDer<'a>,
        intermediates: Vec<CertificateDer<'a>>,
    ) -> Result<Self, Error> {
        Certificate::parse(leaf.as_ref())?;
        Ok(Self {
            leaf,
            intermediates,
        })
    }

    /// The certificate.
    #[must_use]
    pub fn leaf(&self) -> &CertificateDer<'a> {
        &self.leaf
    }

    /// What the client sent along, unverified.
    #[must_use]
    pub fn unverified_intermediates(&self) -> &[CertificateDer<'a>] {
        &self.intermediates
    }

    /// `x5t#S256`.
    #[must_use]
    pub fn thumbprint(&self, provider: &CryptoProvider) -> [u8; 32] {
        thumbprint(provider, &self.leaf)
    }
}
