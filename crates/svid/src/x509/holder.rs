//! The holder's side: a chain with its private key.

use jose_x509::x509::{Certificate, CertificateKey, pem};
use jose_x509::{Algorithm, CryptoProvider, SigningKey};
use pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use spiffe_id::SpiffeId;

use super::verify::spiffe_id_of;
use crate::error::{Credential, Error};

/// The X509-SVID of this workload: what it presents, and the key to it. Issuers are trusted here, so nothing
/// but form and key is checked.
#[derive(Clone, Debug)]
pub struct X509Svid {
    spiffe_id: SpiffeId,
    chain: Vec<CertificateDer<'static>>,
    key: SigningKey,
    not_after: UnixTime,
}

impl X509Svid {
    /// Joins a chain, the leaf first, and the leaf's private key.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyChain`]; the errors of [`spiffe_id_of`]; [`Error::KeyMismatch`].
    pub fn new(chain: Vec<CertificateDer<'static>>, key: SigningKey) -> Result<Self, Error> {
        let leaf = chain.first().ok_or(Error::EmptyChain)?;
        let spiffe_id = spiffe_id_of(leaf)?;
        let parsed = Certificate::parse(leaf).map_err(Error::X509)?;
        let spki = key.public_key().to_spki_der().map_err(refused)?;
        if parsed.spki_der() != spki {
            return Err(Error::KeyMismatch);
        }
        let not_after = parsed.not_after();
        Ok(Self {
            spiffe_id,
            chain,
            key,
            not_after,
        })
    }

    /// As [`new`](Self::new), for a private key in PKCS#8.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); [`Error::Token`] for a key that cannot be read.
    pub fn from_der(
        provider: &CryptoProvider,
        chain: Vec<CertificateDer<'static>>,
        key: &PrivatePkcs8KeyDer<'_>,
    ) -> Result<Self, Error> {
        let algorithm = algorithm_of(chain.first().ok_or(Error::EmptyChain)?)?;
        let key = SigningKey::from_pkcs8_der(provider, algorithm, key.secret_pkcs8_der())
            .map_err(refused)?;
        Self::new(chain, key)
    }

    /// As [`new`](Self::new), for text with `CERTIFICATE` blocks and text with one `PRIVATE KEY` block.
    ///
    /// # Errors
    ///
    /// As [`from_der`](Self::from_der).
    pub fn from_pem(
        provider: &CryptoProvider,
        certificates: &str,
        key: &str,
    ) -> Result<Self, Error> {
        let chain = pem::certificates(certificates.as_bytes(), MAX_CHAIN).map_err(Error::X509)?;
        let algorithm = algorithm_of(chain.first().ok_or(Error::EmptyChain)?)?;
        let key = SigningKey::from_pkcs8_pem(provider, algorithm, key).map_err(refused)?;
        Self::new(chain, key)
    }

    /// Whom it names.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The chain, the leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The private key.
    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The private key for a TLS library: handle it as what it is.
    #[must_use]
    pub fn expose_private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(
            self.key.expose_pkcs8_der().to_vec(),
        ))
    }

    /// The last second in which the leaf is valid.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }
}

fn algorithm_of(leaf: &CertificateDer<'_>) -> Result<Algorithm, Error> {
    match Certificate::parse(leaf).map_err(Error::X509)?.key() {
        CertificateKey::P256 => Ok(Algorithm::Es256),
        CertificateKey::P384 => Ok(Algorithm::Es384),
        CertificateKey::P521 => Ok(Algorithm::Es512),
        CertificateKey::Ed25519 => Ok(Algorithm::Ed25519),
        CertificateKey::Rsa { .. } => Ok(Algorithm::Rs256),
        _ => Err(Error::SigningKey {
            credential: Credential::X509,
        }),
    }
}

const fn refused(source: jose_x509::Error) -> Error {
    Error::Token {
        credential: Credential::X509,
        source,
    }
}

const MAX_CHAIN: usize = 8;
