//! Publishing: what an issuer puts into a bundle, and how it is written.

use std::time::Duration;

use base64_simd::STANDARD;
use jose_x509::jwk::Jwk;
use jose_x509::x509::Certificate;
use jose_x509::{CryptoProvider, PublicKey};
use pki_types::CertificateDer;
use pki_types::pem::PemObject as _;
use serde_json::{Map, Value};
use spiffe_id::TrustDomain;

use crate::Bundle;
use crate::entry::{EntryProblem, Use};
use crate::error::Error;
use crate::parse::{Keys, MAX_KEYS};

/// The refresh hint of a new bundle.
pub const DEFAULT_REFRESH_HINT: Duration = Duration::from_secs(300);

/// Makes a [`Bundle`] to publish. Only public keys and certificates fit in.
#[derive(Clone, Debug)]
pub struct BundleBuilder {
    provider: CryptoProvider,
    trust_domain: TrustDomain,
    sequence: Option<u64>,
    refresh_hint: Duration,
    certificates: Vec<CertificateDer<'static>>,
    jwt: Vec<Jwk>,
    wit: Vec<Jwk>,
    predecessor: Option<Bundle>,
}

impl BundleBuilder {
    /// A first version: sequence 1 and [`DEFAULT_REFRESH_HINT`], without keys.
    #[must_use]
    pub fn new(provider: &CryptoProvider, trust_domain: TrustDomain) -> Self {
        Self {
            provider: *provider,
            trust_domain,
            sequence: Some(1),
            refresh_hint: DEFAULT_REFRESH_HINT,
            certificates: Vec::new(),
            jwt: Vec::new(),
            wit: Vec::new(),
            predecessor: None,
        }
    }

    pub(crate) fn successor_of(provider: &CryptoProvider, bundle: &Bundle) -> Self {
        let jwks =
            |set: &jose_x509::KeySet| set.keys().iter().map(|key| key.jwk().clone()).collect();
        Self {
            provider: *provider,
            trust_domain: bundle.trust_domain.clone(),
            sequence: None,
            refresh_hint: bundle.refresh_hint.unwrap_or(DEFAULT_REFRESH_HINT),
            certificates: bundle.x509.certificates().cloned().collect(),
            jwt: jwks(&bundle.jwt),
            wit: jwks(&bundle.wit),
            predecessor: Some(bundle.clone()),
        }
    }

    /// Sets the sequence number, which has to grow whenever the content changes.
    #[must_use]
    pub const fn with_sequence(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// Sets the refresh hint, a whole number of seconds.
    #[must_use]
    pub const fn with_refresh_hint(mut self, hint: Duration) -> Self {
        self.refresh_hint = hint;
        self
    }

    /// Adds the certificate of a CA that signs X509-SVIDs.
    #[must_use]
    pub fn with_x509_authority(mut self, certificate: &CertificateDer<'_>) -> Self {
        self.certificates.push(certificate.clone().into_owned());
        self
    }

    /// Adds the certificates of CAs from PEM text, such as the roots of a trust domain that has no bundle yet.
    ///
    /// # Errors
    ///
    /// [`Error::Pem`] for text without a certificate, and for one that is broken.
    pub fn with_x509_authorities_pem(mut self, pem: &str) -> Result<Self, Error> {
        let before = self.certificates.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            if self.certificates.len() > MAX_KEYS {
                return Err(Error::TooManyKeys { limit: MAX_KEYS });
            }
            self.certificates.push(certificate.map_err(|_| Error::Pem)?);
        }
        if self.certificates.len() == before {
            return Err(Error::Pem);
        }
        Ok(self)
    }

    /// Adds a key that signs JWT-SVIDs; `kid` has to be set.
    #[must_use]
    pub fn with_jwt_authority(mut self, key: &Jwk) -> Self {
        self.jwt.push(key.clone());
        self
    }

    /// Adds a key that signs WIT-SVIDs; `kid` has to be set.
    #[must_use]
    pub fn with_wit_authority(mut self, key: &Jwk) -> Self {
        self.wit.push(key.clone());
        self
    }

    /// Takes a CA certificate out, which revokes what it signed.
    #[must_use]
    pub fn without_x509_authority(mut self, certificate: &CertificateDer<'_>) -> Self {
        self.certificates.retain(|other| other != certificate);
        self
    }

    /// Takes the token key with this `kid` out, which revokes what it signed.
    #[must_use]
    pub fn without_kid(mut self, kid: &str) -> Self {
        self.jwt.retain(|key| key.kid() != Some(kid));
        self.wit.retain(|key| key.kid() != Some(kid));
        self
    }

    /// Builds the bundle.
    ///
    /// # Errors
    ///
    /// [`Error::Unpublishable`] for a certificate that cannot be an anchor, for a token key without `kid`
    /// or of a kind that has no algorithm, and for a `kid` that is there twice; [`Error::TooManyKeys`];
    /// [`Error::RefreshHint`]; [`Error::SequenceExhausted`].
    pub fn build(self) -> Result<Bundle, Error> {
        let total = [self.certificates.len(), self.jwt.len(), self.wit.len()];
        if total.iter().fold(0usize, |sum, n| sum.saturating_add(*n)) > MAX_KEYS {
            return Err(Error::TooManyKeys { limit: MAX_KEYS });
        }
        if self.refresh_hint.is_zero() || self.refresh_hint.subsec_nanos() != 0 {
            return Err(Error::RefreshHint);
        }
        let refused = |problem| Error::Unpublishable { problem };
        let mut keys = Keys::default();
        for certificate in self.certificates {
            keys.add_certificate(0, certificate, None)
                .map_err(refused)?;
        }
        for (list, key_use) in [(&self.jwt, Use::JwtSvid), (&self.wit, Use::WitSvid)] {
            for jwk in list {
                keys.add_token_key(&self.provider, jwk, key_use)
                    .map_err(refused)?;
            }
        }
        let hint = Some(self.refresh_hint);
        let mut bundle = keys.finish(self.trust_domain, self.sequence, hint)?;
        if let Some(diagnostic) = bundle
            .diagnostics
            .iter()
            .find(|one| one.problem.is_fatal() || one.problem == EntryProblem::KeyOfSeveralUses)
        {
            return Err(refused(diagnostic.problem));
        }
        if let (None, Some(old)) = (self.sequence, &self.predecessor) {
            let unchanged = old.refresh_hint == hint && old.has_keys_of(&bundle);
            bundle.sequence = match old.sequence {
                Some(sequence) if unchanged => Some(sequence),
                Some(sequence) => Some(sequence.checked_add(1).ok_or(Error::SequenceExhausted)?),
                None => Some(1),
            };
        }
        Ok(bundle)
    }
}

impl Bundle {
    /// The bundle document as JSON text, with the members that the standard defines and no others.
    #[must_use]
    pub fn to_json(&self) -> String {
        Value::Object(self.to_members()).to_string()
    }

    /// As [`to_json`](Self::to_json), with further parameters of the JWK Set, which readers that do not know them
    /// ignore.
    ///
    /// # Errors
    ///
    /// [`Error::ReservedParameter`] for one that the standard defines.
    pub fn to_json_with(&self, parameters: Map<String, Value>) -> Result<String, Error> {
        let mut members = self.to_members();
        for (name, value) in parameters {
            if ["keys", "spiffe_sequence", "spiffe_refresh_hint"].contains(&name.as_str()) {
                return Err(Error::ReservedParameter);
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members).to_string())
    }

    pub(crate) fn to_members(&self) -> Map<String, Value> {
        let certificates = self.x509.certificates().filter_map(|der| {
            let certificate = Certificate::parse(der).ok()?;
            let key = PublicKey::from_spki_der(certificate.spki_der()).ok()?;
            let mut members = Jwk::new(key).with_use(Use::X509Svid.as_str()).to_members();
            members.insert(
                "x5c".to_owned(),
                vec![STANDARD.encode_to_string(der)].into(),
            );
            Some(Value::Object(members))
        });
        let tokens = self.jwt.keys().iter().chain(self.wit.keys());
        let keys = certificates
            .chain(tokens.map(|key| key.jwk().to_value()))
            .collect();
        let mut members = Map::new();
        if let Some(sequence) = self.sequence {
            members.insert("spiffe_sequence".to_owned(), sequence.into());
        }
        if let Some(hint) = self.refresh_hint {
            members.insert("spiffe_refresh_hint".to_owned(), hint.as_secs().into());
        }
        members.insert("keys".to_owned(), Value::Array(keys));
        members
    }
}
