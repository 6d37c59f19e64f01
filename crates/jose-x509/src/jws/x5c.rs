//! Keys from the header parameter `x5c` (RFC 7515 section 4.1.6), which a profile has to ask for.

use pki_types::{CertificateDer, UnixTime};

use crate::algorithm::{Algorithm, KeyKind};
use crate::error::Error;
use crate::jwk::{Jwk, PublicKey};
use crate::jws::Header;
use crate::key::{Candidates, KeySource, VerifyingKey};
use crate::provider::CryptoProvider;
use crate::x509::{Certificate, PathOptions, TrustAnchors, X509Error, verify_path};

/// Makes keys of certificates that came in `x5c`, once their path to an anchor is valid.
///
/// The header has to be read with [`HeaderRules::allow_x5c`](super::HeaderRules::allow_x5c). Whom a certificate
/// names, and whether that one may sign such a token, is for the profile to decide: anyone with a certificate
/// under the anchors can sign.
///
/// ```
/// use jose_x509::jws::{CertificateKeys, HeaderRules, Limits, UnverifiedJws, VerifiedJws};
/// use jose_x509::x509::{PathOptions, TrustAnchors};
/// use jose_x509::{Algorithms, Error, provider::ring};
/// use pki_types::UnixTime;
///
/// fn verify(token: &str, anchors: &TrustAnchors, now: UnixTime) -> Result<VerifiedJws, Error> {
///     let mut rules = HeaderRules::default();
///     rules.allow_x5c = true;
///     let jws = UnverifiedJws::parse_with(token, &rules, &Limits::default())?;
///     let keys = CertificateKeys::new(&ring::provider(), anchors, PathOptions::default());
///     let key = keys.key(&jws.unverified_header(), now)?;
///     jws.verify(&key, Algorithms::ELLIPTIC)
/// }
/// # assert!(verify("", &TrustAnchors::default(), UnixTime::since_unix_epoch(Default::default())).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct CertificateKeys<'a> {
    provider: CryptoProvider,
    anchors: &'a TrustAnchors,
    options: PathOptions,
    rsa: Algorithm,
}

impl<'a> CertificateKeys<'a> {
    /// The rules for certificates under these anchors. A certificate does not say which algorithm its RSA key
    /// is for, so it is RS256 unless [`with_rsa_algorithm`](Self::with_rsa_algorithm) says otherwise.
    #[must_use]
    pub fn new(provider: &CryptoProvider, anchors: &'a TrustAnchors, options: PathOptions) -> Self {
        Self {
            provider: *provider,
            anchors,
            options,
            rsa: Algorithm::Rs256,
        }
    }

    /// The one algorithm for RSA keys.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for an algorithm of another kind of key.
    pub fn with_rsa_algorithm(mut self, algorithm: Algorithm) -> Result<Self, Error> {
        if algorithm.key_kind() != KeyKind::Rsa {
            return Err(Error::InvalidOption {
                option: "RSA algorithm",
                range: "RS256 to RS512 and PS256 to PS512",
            });
        }
        self.rsa = algorithm;
        Ok(self)
    }

    /// Validates the certificates of a header and gives the key of the first one.
    ///
    /// # Errors
    ///
    /// [`Error::MissingHeader`] without `x5c`, [`Error::HeaderType`] when it is not an array of 1 to 8
    /// certificates in standard base64, [`Error::X509`] when one is malformed, when one does not
    /// follow its issuer's name or when no path to an anchor is valid, [`Error::InvalidKey`] when the provider
    /// lacks the kind of key.
    pub fn key(&self, header: &Header<'_>, now: UnixTime) -> Result<CertifiedKey, Error> {
        let chain = header
            .certificates()?
            .ok_or(Error::MissingHeader { name: "x5c" })?;
        let (leaf, issuers) = chain
            .split_first()
            .ok_or(Error::HeaderType { name: "x5c" })?;
        check_order(&chain)?;
        let path = verify_path(
            leaf,
            issuers,
            self.anchors,
            &self.options,
            self.provider.certificate_algorithms,
            now,
        )?;
        let key = PublicKey::from_spki_der(path.leaf().spki_der())?;
        let kind = key.kind();
        let jwk = Jwk::new(key);
        let jwk = if kind == KeyKind::Rsa {
            jwk.with_algorithm(self.rsa)?
        } else {
            jwk
        };
        let not_after = path.not_after();
        let jwk = jwk.certified_by(chain);
        Ok(CertifiedKey {
            key: VerifyingKey::from_jwk(&self.provider, jwk)?,
            not_after,
        })
    }
}

/// Each certificate is well formed and names the subject of the next one as its issuer.
fn check_order(chain: &[CertificateDer<'_>]) -> Result<(), Error> {
    let mut wanted = None;
    for (index, der) in chain.iter().enumerate() {
        let certificate = Certificate::from_der(der)
            .map_err(|problem| X509Error::Certificate { index, problem })?;
        if wanted.is_some_and(|issuer| issuer != certificate.subject()) {
            return Err(X509Error::OutOfOrder { index }.into());
        }
        wanted = Some(certificate.issuer());
    }
    Ok(())
}

/// The key of a certificate whose path was valid at one time.
#[derive(Clone, Debug)]
pub struct CertifiedKey {
    key: VerifyingKey,
    not_after: UnixTime,
}

impl CertifiedKey {
    /// The key.
    #[must_use]
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The certificates as they came, that of the key first.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        self.key.jwk().certificates()
    }

    /// The last second at which the path is valid.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }
}

impl KeySource for CertifiedKey {
    fn candidates<'k>(&'k self, header: &Header<'_>) -> Result<Candidates<'k>, Error> {
        self.key.candidates(header)
    }
}
