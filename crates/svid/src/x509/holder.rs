//! The holder's side: a chain with its private key.

use der::pem::LineEnding;
use jose_x509::x509::Certificate;
use jose_x509::{CryptoProvider, SigningKey};
use pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use spiffe_id::SpiffeId;
use zeroize::Zeroizing;

use super::encode::refused;
use super::parse::UnverifiedX509Svid;
use super::text;
use super::verify::id_in;
use crate::error::Error;

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
    /// [`Error::EmptyChain`]; the errors of [`spiffe_id_of`](super::spiffe_id_of); [`Error::KeyMismatch`].
    pub fn new(chain: Vec<CertificateDer<'static>>, key: SigningKey) -> Result<Self, Error> {
        let leaf = chain.first().ok_or(Error::EmptyChain)?;
        let parsed = Certificate::parse(leaf).map_err(Error::X509)?;
        let (spiffe_id, not_after) = (id_in(&parsed)?, parsed.not_after());
        Self::join(spiffe_id, chain, key, not_after)
    }

    /// `spiffe_id` and `not_after` are those of the leaf.
    pub(super) fn join(
        spiffe_id: SpiffeId,
        chain: Vec<CertificateDer<'static>>,
        key: SigningKey,
        not_after: UnixTime,
    ) -> Result<Self, Error> {
        let leaf = chain.first().ok_or(Error::EmptyChain)?;
        let parsed = Certificate::parse(leaf).map_err(Error::X509)?;
        let spki = key.public_key().to_spki_der().map_err(refused)?;
        if parsed.spki_der() != spki {
            return Err(Error::KeyMismatch);
        }
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
    /// As [`UnverifiedX509Svid::parse`] and [`UnverifiedX509Svid::load`].
    pub fn from_der(
        provider: &CryptoProvider,
        chain: Vec<CertificateDer<'static>>,
        key: &PrivatePkcs8KeyDer<'_>,
    ) -> Result<Self, Error> {
        UnverifiedX509Svid::parse(chain, key.secret_pkcs8_der())?.load(provider)
    }

    /// As [`new`](Self::new), for text with `CERTIFICATE` blocks and text with one `PRIVATE KEY` block, or one
    /// `EC PRIVATE KEY` block as OpenSSL used to write it, if need be behind a block of `EC PARAMETERS`. Lines of
    /// explanatory text outside of the blocks (RFC 7468, section 2) are skipped in both, other blocks are not.
    ///
    /// # Errors
    ///
    /// As [`from_der`](Self::from_der).
    pub fn from_pem(
        provider: &CryptoProvider,
        certificates: &str,
        key: &str,
    ) -> Result<Self, Error> {
        let blocks = text::blocks(key);
        let key_block = text::without_parameters(&blocks).trim_ascii();
        if key_block.starts_with("-----BEGIN EC PRIVATE KEY-----") {
            let chain = text::certificates(certificates)?;
            let key = SigningKey::from_sec1_pem(provider, key_block).map_err(refused)?;
            return Self::new(chain, key);
        }
        UnverifiedX509Svid::parse_pem(certificates, key)?.load(provider)
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

    /// The chain in DER, one certificate right behind the other, as the Workload API carries it.
    #[must_use]
    pub fn chain_der(&self) -> Vec<u8> {
        self.chain
            .iter()
            .flat_map(|der| der.iter().copied())
            .collect()
    }

    /// The chain in PEM.
    ///
    /// # Errors
    ///
    /// [`Error::Encoding`]; not for a chain that was read.
    pub fn chain_pem(&self) -> Result<String, Error> {
        let blocks = self.chain.iter().map(|der| {
            der::pem::encode_string("CERTIFICATE", LineEnding::LF, der).map_err(|_| Error::Encoding)
        });
        blocks.collect()
    }

    /// The private key.
    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The private key for a TLS library: handle it as what it is. This is a plain copy, because such libraries take it
    /// by value, and neither it nor what they make of it is wiped from memory.
    #[must_use]
    pub fn expose_private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(
            self.key.expose_pkcs8_der().to_vec(),
        ))
    }

    /// The private key in PEM: handle it as what it is.
    ///
    /// # Errors
    ///
    /// [`Error::Token`]; not for a key that was loaded.
    pub fn expose_private_key_pem(&self) -> Result<Zeroizing<String>, Error> {
        self.key.expose_pkcs8_pem().map_err(refused)
    }

    /// The last second in which the leaf is valid.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }
}
