//! Reading a bundle document: strict about the document, tolerant of single entries.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jose_x509::jwk::Jwk;
use jose_x509::x509::{Certificate, TrustAnchors, X509Error};
use jose_x509::{
    CryptoProvider, Error as JoseError, KeyKind, KeyProblem, KeySet, PublicKey, VerifyingKey, json,
};
use pki_types::CertificateDer;
use serde_json::{Map, Value};
use spiffe_id::TrustDomain;

use crate::Bundle;
use crate::entry::{Diagnostic, EntryProblem, Use};
use crate::error::Error;

/// Largest bundle document in bytes.
pub const MAX_DOCUMENT_SIZE: usize = 4 * 1024 * 1024;
/// Most entries of one bundle.
pub const MAX_KEYS: usize = 1024;
/// Longest `kid` in bytes.
pub const MAX_KID_LENGTH: usize = 1024;

/// Members of JWKs that are secret, in every key type that is known here.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl Bundle {
    /// Reads the bundle of `trust_domain`, which the document itself does not name.
    ///
    /// Entries of unknown type or use, and unusable ones, are left out and reported by
    /// [`diagnostics`](Self::diagnostics). A document without a usable entry is an empty bundle.
    ///
    /// # Errors
    ///
    /// A document is refused as a whole, so that the previous bundle stays in force, if it is not strict
    /// JSON of at most [`MAX_DOCUMENT_SIZE`] bytes, if `keys` is not an array of at most [`MAX_KEYS`]
    /// objects, if `spiffe_sequence` or `spiffe_refresh_hint` is not an integer from 0 to 2^64 - 1, if two
    /// keys of one use share a `kid`, or if a private key is in it.
    pub fn parse(
        provider: &CryptoProvider,
        trust_domain: TrustDomain,
        document: &[u8],
    ) -> Result<Self, Error> {
        let limits = json::Limits::DOCUMENT.with_bytes(MAX_DOCUMENT_SIZE);
        let members = json::object(document, &limits).map_err(Error::Json)?;
        Self::from_members(provider, trust_domain, &members)
    }

    pub(crate) fn from_members(
        provider: &CryptoProvider,
        trust_domain: TrustDomain,
        members: &Map<String, Value>,
    ) -> Result<Self, Error> {
        let integer = |member: &'static str| match members.get(member) {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or(Error::Member { member }),
        };
        let sequence = integer("spiffe_sequence")?;
        let refresh_hint = integer("spiffe_refresh_hint")?
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs);
        let Some(Value::Array(entries)) = members.get("keys") else {
            return Err(Error::Member { member: "keys" });
        };
        if entries.len() > MAX_KEYS {
            return Err(Error::TooManyKeys { limit: MAX_KEYS });
        }
        let mut keys = Keys::default();
        for (index, entry) in entries.iter().enumerate() {
            let entry = entry.as_object().ok_or(Error::NotAnObject { index })?;
            if let Err(problem) = keys.read(provider, index, entry)? {
                keys.diagnostics.push(Diagnostic { index, problem });
            }
        }
        keys.finish(trust_domain, sequence, refresh_hint)
    }
}

/// The entries of a document, sorted out by use.
#[derive(Default)]
pub(crate) struct Keys {
    anchors: Vec<(usize, CertificateDer<'static>, PublicKey)>,
    jwt: Vec<(usize, VerifyingKey)>,
    wit: Vec<(usize, VerifyingKey)>,
    diagnostics: Vec<Diagnostic>,
}

impl Keys {
    /// The outer error concerns the document, the inner one the entry.
    fn read(
        &mut self,
        provider: &CryptoProvider,
        index: usize,
        entry: &Map<String, Value>,
    ) -> Result<Result<(), EntryProblem>, Error> {
        let text = |name| entry.get(name).and_then(Value::as_str);
        if !matches!(text("kty"), Some("RSA" | "EC" | "OKP")) {
            return Ok(Err(EntryProblem::UnknownKeyType));
        }
        if PRIVATE_MEMBERS.iter().any(|name| entry.contains_key(*name)) {
            return Err(Error::PrivateKey { index });
        }
        let Some(key_use) = text("use").and_then(Use::from_name) else {
            return Ok(Err(EntryProblem::UnknownUse));
        };
        // What has no meaning for the use must not make the entry unusable.
        let mut own = entry.clone();
        own.remove("x5c");
        if key_use == Use::X509Svid {
            own.retain(|name, _| !matches!(name.as_str(), "kid" | "alg" | "key_ops"));
        }
        let jwk = match Jwk::from_value(&Value::Object(own)) {
            Ok(jwk) => jwk,
            Err(JoseError::InvalidKey { problem }) => return Ok(Err(EntryProblem::Key(problem))),
            Err(_) => return Ok(Err(EntryProblem::Key(KeyProblem::Malformed))),
        };
        if key_use == Use::X509Svid {
            return Ok(self.add_anchor(index, entry.get("x5c"), jwk.key()));
        }
        let key = match token_key(provider, &jwk, key_use) {
            Ok(key) => key,
            Err(problem) => return Ok(Err(problem)),
        };
        let list = match key_use {
            Use::WitSvid => &mut self.wit,
            _ => &mut self.jwt,
        };
        match list.iter().find(|(_, other)| other.kid() == key.kid()) {
            None => list.push((index, key)),
            Some((_, same)) if same.jwk() == key.jwk() => {}
            Some(_) => return Err(Error::ConflictingKid { index }),
        }
        Ok(Ok(()))
    }

    fn add_anchor(
        &mut self,
        index: usize,
        x5c: Option<&Value>,
        key: &PublicKey,
    ) -> Result<(), EntryProblem> {
        // Further values are not anchors and are ignored (X509-SVID 6.2).
        let first = match x5c {
            Some(Value::Array(values)) => values.first().ok_or(EntryProblem::NoCertificate)?,
            _ => return Err(EntryProblem::NoCertificate),
        };
        let der = first
            .as_str()
            .and_then(|text| STANDARD.decode(text).ok())
            .ok_or(EntryProblem::CertificateEncoding)?;
        self.add_certificate(index, CertificateDer::from(der), Some(key))
    }

    pub(crate) fn add_certificate(
        &mut self,
        index: usize,
        der: CertificateDer<'static>,
        expected: Option<&PublicKey>,
    ) -> Result<(), EntryProblem> {
        let certificate = Certificate::parse(&der).map_err(|error| match error {
            X509Error::Certificate { problem, .. } => EntryProblem::Certificate(problem),
            _ => EntryProblem::CertificateEncoding,
        })?;
        let key = PublicKey::from_spki_der(certificate.spki_der())
            .map_err(|_| EntryProblem::Key(KeyProblem::Unsupported))?;
        if expected.is_some_and(|expected| *expected != key) {
            return Err(EntryProblem::KeyMismatch);
        }
        if !self.anchors.iter().any(|(_, other, _)| *other == der) {
            self.anchors.push((index, der, key));
        }
        Ok(())
    }

    /// For publishers, who are refused what a reader would only report.
    pub(crate) fn add_token_key(
        &mut self,
        provider: &CryptoProvider,
        jwk: &Jwk,
        key_use: Use,
    ) -> Result<(), EntryProblem> {
        let key = token_key(provider, jwk, key_use)?;
        if self
            .jwt
            .iter()
            .chain(&self.wit)
            .any(|(_, other)| other.kid() == key.kid())
        {
            return Err(EntryProblem::KidTaken);
        }
        match key_use {
            Use::WitSvid => self.wit.push((0, key)),
            _ => self.jwt.push((0, key)),
        }
        Ok(())
    }

    pub(crate) fn finish(
        mut self,
        trust_domain: TrustDomain,
        sequence: Option<u64>,
        refresh_hint: Option<Duration>,
    ) -> Result<Bundle, Error> {
        for (index, key) in &self.wit {
            if self.jwt.iter().any(|(_, other)| other.kid() == key.kid()) {
                let problem = EntryProblem::KidTaken;
                self.diagnostics.push(Diagnostic {
                    index: *index,
                    problem,
                });
            }
        }
        let jwt = self.jwt.iter().map(|(i, key)| (*i, key.jwk().key(), 1));
        let wit = self.wit.iter().map(|(i, key)| (*i, key.jwk().key(), 2));
        let x509 = self.anchors.iter().map(|(i, _, key)| (*i, key, 0));
        let all: Vec<_> = x509.chain(jwt).chain(wit).collect();
        for (at, (index, key, key_use)) in all.iter().enumerate() {
            let shared = |(_, other, other_use): &(usize, &PublicKey, i32)| {
                other == key && other_use != key_use
            };
            if all.iter().take(at).any(shared) {
                self.diagnostics.push(Diagnostic {
                    index: *index,
                    problem: EntryProblem::KeyOfSeveralUses,
                });
            }
        }
        let anchors = TrustAnchors::new(self.anchors.iter().map(|(_, der, _)| der.clone()));
        for dropped in anchors.dropped() {
            if let Some((index, ..)) = self.anchors.get(dropped.index) {
                self.diagnostics.push(Diagnostic {
                    index: *index,
                    problem: EntryProblem::Certificate(dropped.problem),
                });
            }
        }
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.index);
        let set = |keys: Vec<(usize, VerifyingKey)>| {
            KeySet::new(keys.into_iter().map(|(_, key)| key).collect())
                .map(Arc::new)
                .map_err(crate::error::conflicting)
        };
        Ok(Bundle {
            trust_domain,
            sequence,
            refresh_hint,
            x509: Arc::new(anchors),
            jwt: set(self.jwt)?,
            wit: set(self.wit)?,
            diagnostics: self.diagnostics,
        })
    }
}

fn token_key(
    provider: &CryptoProvider,
    jwk: &Jwk,
    key_use: Use,
) -> Result<VerifyingKey, EntryProblem> {
    let kid = jwk
        .kid()
        .filter(|kid| !kid.is_empty() && kid.len() <= MAX_KID_LENGTH)
        .ok_or(EntryProblem::NoKid)?;
    // The nine algorithms of token SVIDs have no EdDSA.
    if jwk.key().kind() == KeyKind::Ed25519 {
        return Err(EntryProblem::KeyKind);
    }
    let problem = |error| match error {
        JoseError::InvalidKey { problem } => EntryProblem::Key(problem),
        _ => EntryProblem::Key(KeyProblem::Malformed),
    };
    // Nothing is kept that is not published again.
    let mut own = Jwk::new(jwk.key().clone())
        .with_kid(kid)
        .with_use(key_use.as_str());
    if let (KeyKind::Rsa, Some(algorithm)) = (jwk.key().kind(), jwk.algorithm()) {
        own = own.with_algorithm(algorithm).map_err(problem)?;
    }
    if !jwk.may_verify() {
        return Err(EntryProblem::Key(KeyProblem::Inconsistent));
    }
    VerifyingKey::from_jwk(provider, own).map_err(problem)
}
