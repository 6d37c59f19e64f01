//! Reading a bundle document: strict about the document, tolerant of single entries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64_simd::STANDARD;
use jose_x509::jwk::Jwk;
use jose_x509::x509::{Certificate, TrustAnchors, X509Error};
use jose_x509::{CryptoProvider, KeyProblem, KeySet, PublicKey, VerifyingKey, json};
use pki_types::CertificateDer;
use serde::Deserialize;
use spiffe_id::TrustDomain;

use crate::Bundle;
use crate::document::{self, Document, Entry, Field, Found, Object};
use crate::entry::{Diagnostic, EntryProblem, Use};
use crate::error::Error;

/// Largest bundle document in bytes.
pub const MAX_DOCUMENT_SIZE: usize = 4 * 1024 * 1024;
/// Most entries of one bundle.
pub const MAX_KEYS: usize = 1024;
/// Longest `kid` in bytes.
pub const MAX_KID_LENGTH: usize = 1024;

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
        let Object(document) = read(document)?;
        Self::from_document(provider, trust_domain, document, "keys")
    }

    /// `member` is at fault when the document is no object.
    pub(crate) fn from_document(
        provider: &CryptoProvider,
        trust_domain: TrustDomain,
        document: Found<Document<'_>>,
        member: &'static str,
    ) -> Result<Self, Error> {
        let Found::Is(document) = document else {
            return Err(Error::Member { member });
        };
        let content = document.content()?;
        let refresh_hint = content
            .refresh_hint
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs);
        let mut keys = Keys::default();
        for (index, entry) in content.entries.others {
            let read = match entry {
                Entry::NotAnObject => return Err(Error::NotAnObject { index }),
                Entry::PrivateKey => return Err(Error::PrivateKey { index }),
                Entry::Problem(problem) => Err(problem),
                Entry::Anchor(key, x5c) => keys.add_anchor(index, x5c.as_ref(), &key),
            };
            if let Err(problem) = read {
                keys.diagnostics.push(Diagnostic { index, problem });
            }
        }
        let tokens = content.entries.tokens;
        let read = VerifyingKey::from_jwks(provider, content.entries.jwks);
        for ((index, key_use), key) in tokens.into_iter().zip(read) {
            match key {
                Ok(key) => keys.of_use(key_use).push((index, key)),
                Err(error) => keys.diagnostics.push(Diagnostic {
                    index,
                    problem: EntryProblem::Key(document::problem(error)),
                }),
            }
        }
        keys.finish(trust_domain, content.sequence, refresh_hint)
    }
}

/// Reads a whole text, strictly.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Error> {
    let limits = json::Limits::DOCUMENT.with_bytes(MAX_DOCUMENT_SIZE);
    json::from_slice(text, &limits).map_err(Error::Json)
}

/// The entries of a document, sorted out by use.
#[derive(Default)]
pub(crate) struct Keys {
    anchors: Vec<(usize, CertificateDer<'static>, PublicKey)>,
    /// Entries whose certificate an earlier one has, with its position among the anchors.
    repeated: Vec<(usize, usize)>,
    jwt: Vec<(usize, VerifyingKey)>,
    wit: Vec<(usize, VerifyingKey)>,
    diagnostics: Vec<Diagnostic>,
}

impl Keys {
    fn of_use(&mut self, key_use: Use) -> &mut Vec<(usize, VerifyingKey)> {
        match key_use {
            Use::WitSvid => &mut self.wit,
            _ => &mut self.jwt,
        }
    }

    fn add_anchor(
        &mut self,
        index: usize,
        x5c: Option<&Field<'_>>,
        key: &PublicKey,
    ) -> Result<(), EntryProblem> {
        // Further values are not anchors and are ignored (X509-SVID 6.2).
        let first = match x5c {
            // Nothing but an array has an element 0.
            Some(Field::Other(values)) => values.get(0).ok_or(EntryProblem::NoCertificate)?,
            _ => return Err(EntryProblem::NoCertificate),
        };
        let der = first
            .as_str()
            .and_then(|text| STANDARD.decode_to_vec(text).ok())
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
        if let Some(first) = self.anchors.iter().position(|(_, other, _)| *other == der) {
            self.repeated.push((index, first));
            return Ok(());
        }
        if !certificate.is_self_issued() {
            let problem = EntryProblem::NotSelfIssued;
            self.diagnostics.push(Diagnostic { index, problem });
        }
        self.anchors.push((index, der, key));
        Ok(())
    }

    /// For publishers, who are refused what a reader would only report.
    pub(crate) fn add_token_key(
        &mut self,
        provider: &CryptoProvider,
        jwk: &Jwk,
        key_use: Use,
    ) -> Result<(), EntryProblem> {
        let key = verifying_key(provider, document::token_jwk(jwk, key_use)?)?;
        if self
            .jwt
            .iter()
            .chain(&self.wit)
            .any(|(_, other)| other.kid() == key.kid())
        {
            return Err(EntryProblem::KidTaken);
        }
        self.of_use(key_use).push((0, key));
        Ok(())
    }

    pub(crate) fn finish(
        mut self,
        trust_domain: TrustDomain,
        sequence: Option<u64>,
        refresh_hint: Option<Duration>,
    ) -> Result<Bundle, Error> {
        self.report_keys_of_several_uses();
        let anchors = TrustAnchors::new(self.anchors.iter().map(|(_, der, _)| der.clone()));
        for dropped in anchors.dropped() {
            let first = self.anchors.get(dropped.index).map(|(index, ..)| *index);
            let again = self.repeated.iter();
            let again = again.filter_map(|(index, at)| (*at == dropped.index).then_some(*index));
            let problem = EntryProblem::Certificate(dropped.problem);
            let entries = first.into_iter().chain(again);
            self.diagnostics
                .extend(entries.map(|index| Diagnostic { index, problem }));
        }
        let jwt = key_set(&self.jwt)?;
        let wit = key_set(&self.wit)?;
        for (index, key) in &self.wit {
            if key.kid().is_some_and(|kid| jwt.get(kid).is_some()) {
                let problem = EntryProblem::KidTaken;
                self.diagnostics.push(Diagnostic {
                    index: *index,
                    problem,
                });
            }
        }
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.index);
        Ok(Bundle {
            trust_domain,
            sequence,
            refresh_hint,
            x509: Arc::new(anchors),
            jwt: Arc::new(jwt),
            wit: Arc::new(wit),
            diagnostics: self.diagnostics,
        })
    }

    fn report_keys_of_several_uses(&mut self) {
        let groups = [
            self.anchors.is_empty(),
            self.jwt.is_empty(),
            self.wit.is_empty(),
        ];
        if groups.iter().filter(|empty| !**empty).count() < 2 {
            return;
        }
        let jwt = self.jwt.iter().map(|(i, key)| (*i, key.jwk().key(), 1));
        let wit = self.wit.iter().map(|(i, key)| (*i, key.jwk().key(), 2));
        let x509 = self.anchors.iter().map(|(i, _, key)| (*i, key, 0));
        let mut uses: HashMap<&PublicKey, i32> = HashMap::new();
        let mut shared = Vec::new();
        for (index, key, key_use) in x509.chain(jwt).chain(wit) {
            if *uses.entry(key).or_insert(key_use) != key_use {
                shared.push(index);
            }
        }
        let problem = EntryProblem::KeyOfSeveralUses;
        let shared = shared.into_iter();
        self.diagnostics
            .extend(shared.map(|index| Diagnostic { index, problem }));
    }
}

/// The keys of one use. One that is there twice counts once; two under one `kid` are a contradiction.
fn key_set(keys: &[(usize, VerifyingKey)]) -> Result<KeySet, Error> {
    let all = |keys: &[(usize, VerifyingKey)]| {
        KeySet::new(keys.iter().map(|(_, key)| key.clone()).collect())
    };
    if let Ok(set) = all(keys) {
        return Ok(set);
    }
    let mut by_kid: HashMap<Option<&str>, &VerifyingKey> = HashMap::new();
    let mut first = Vec::new();
    for (index, key) in keys {
        match by_kid.get(&key.kid()) {
            None => {
                by_kid.insert(key.kid(), key);
                first.push((*index, key.clone()));
            }
            Some(same) if same.jwk() == key.jwk() => {}
            Some(_) => return Err(Error::ConflictingKid { index: *index }),
        }
    }
    all(&first).map_err(crate::error::conflicting)
}

fn verifying_key(provider: &CryptoProvider, jwk: Jwk) -> Result<VerifyingKey, EntryProblem> {
    VerifyingKey::from_jwk(provider, jwk)
        .map_err(|error| EntryProblem::Key(document::problem(error)))
}
