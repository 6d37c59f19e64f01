//! The certificates that a `self_signed_tls_client_auth` client registers (RFC 8705 section 2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki_types::CertificateDer;
use serde_json::Value;

use super::certificate::ClientCertificate;
use super::error::MtlsError;
use crate::error::{Error, KeyProblem};
use crate::json;
use crate::jwk::{Jwk, PublicKey};
use crate::x509::{Certificate, MAX_CERTIFICATE_SIZE};

/// Most keys in a client's key set.
const MAX_KEYS: usize = 512;

/// The certificates of a client's key set: of each key the first one of `x5c`.
///
/// While a client rotates, both the old and the new one are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredCertificates {
    certificates: Vec<CertificateDer<'static>>,
    skipped: usize,
    by_key: bool,
}

impl RegisteredCertificates {
    /// Reads the client's JWK Set, from `jwks` or from behind `jwks_uri`. Keys without `x5c`, and of types that
    /// are not supported, serve other purposes; they are skipped and counted.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], [`Error::InvalidKey`] for a set that is none or has private keys,
    /// [`MtlsError::InvalidX5c`] for a certificate that is malformed, or not of the key beside it, and
    /// [`MtlsError::NoCertificate`].
    pub fn from_jwks_slice(bytes: &[u8]) -> Result<Self, Error> {
        let set = json::object(bytes, &json::Limits::DOCUMENT).map_err(|source| Error::Json {
            what: "JWK Set",
            source,
        })?;
        let Some(Value::Array(entries)) = set.get("keys") else {
            let problem = KeyProblem::Member("keys");
            return Err(Error::InvalidKey { problem });
        };
        if entries.len() > MAX_KEYS {
            return Err(Error::TooManyKeys { limit: MAX_KEYS });
        }
        let mut registered = Self {
            certificates: Vec::new(),
            skipped: 0,
            by_key: false,
        };
        for (index, entry) in entries.iter().enumerate() {
            match certificate_of(entry, index)? {
                Some(certificate) => registered.certificates.push(certificate),
                None => registered.skipped = registered.skipped.saturating_add(1),
            }
        }
        if registered.certificates.is_empty() {
            return Err(MtlsError::NoCertificate.into());
        }
        Ok(registered)
    }

    /// Accepts any certificate with a registered key, for clients that renew certificates and keep keys.
    #[must_use]
    pub fn matching_by_key(mut self) -> Self {
        self.by_key = true;
        self
    }

    /// The registered certificates.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// How many keys of the set were skipped.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Whether this is one of the registered certificates, byte for byte.
    #[must_use]
    pub fn contains(&self, certificate: &ClientCertificate<'_>) -> bool {
        let key = |der| Certificate::certified_key(der);
        let shown: &[u8] = certificate.leaf();
        self.certificates.iter().any(|registered| {
            registered.as_ref() == shown
                || (self.by_key
                    && key(registered).is_some_and(|key_der| Some(key_der) == key(shown)))
        })
    }
}

/// `None` for a key that serves another purpose.
fn certificate_of(entry: &Value, index: usize) -> Result<Option<CertificateDer<'static>>, Error> {
    // The certificate is judged below, apart from whether the key is one at all.
    let mut bare = entry.clone();
    if let Some(members) = bare.as_object_mut() {
        members.remove("x5c");
    }
    let jwk = match Jwk::from_value(&bare) {
        Err(
            error @ Error::InvalidKey {
                problem: KeyProblem::PrivateMaterial,
            },
        ) => return Err(error),
        other => other.ok(),
    };
    let (Some(jwk), Some(x5c)) = (jwk, entry.get("x5c")) else {
        return Ok(None);
    };
    let invalid = MtlsError::InvalidX5c { index };
    let text = x5c
        .as_array()
        .and_then(|chain| chain.first())
        .and_then(Value::as_str)
        .filter(|text| text.len() <= MAX_CERTIFICATE_SIZE.div_ceil(3) * 4)
        .ok_or(invalid)?;
    // Not base64url, unlike everything else in a JWK.
    let der = STANDARD.decode(text).map_err(|_| invalid)?;
    let certified = Certificate::certified_key(&der).ok_or(invalid)?;
    let key = PublicKey::from_spki_der(certified).map_err(|_| invalid)?;
    if key != *jwk.key() {
        return Err(invalid.into());
    }
    Ok(Some(der.into()))
}
