//! From a compact JWE to a plaintext that nobody vouches for, or to the verified JWT inside.

use std::fmt;

use pki_types::UnixTime;
use serde_json::Value;
use zeroize::Zeroizing;

use super::backend::{self, Guarded};
use super::header::{Header, Named};
use super::key::{DecryptionKey, SymmetricDecryptionKey};
use super::{ContentEncryption, JweError, KeyType, SymmetricKeyManagement, jwk};
use crate::base64url;
use crate::error::{Error, KeyProblem};
use crate::jws::header::same_media_type;
use crate::jwt::{Jwt, Validator};
use crate::key::KeySource;

/// Bounds on a compact JWE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest token in bytes: 64 KiB.
    pub token: usize,
    /// Longest decoded header in bytes: 8 KiB.
    pub header: usize,
}

impl Limits {
    /// Narrower limits than the default ones, which are the widest.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above them.
    pub fn new(token: usize, header: usize) -> Result<Self, Error> {
        let widest = Self::default();
        if token > widest.token || header > widest.header {
            return Err(Error::InvalidOption {
                option: "limits",
                range: "token up to 64 KiB, header up to 8 KiB",
            });
        }
        Ok(Self { token, header })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            token: 64 * 1024,
            header: 8 * 1024,
        }
    }
}

/// A key of a recipient: half of a pair, or shared with the sender.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RecipientKey {
    /// A private key.
    Private(DecryptionKey),
    /// A shared key.
    Shared(SymmetricDecryptionKey),
}

impl From<DecryptionKey> for RecipientKey {
    fn from(key: DecryptionKey) -> Self {
        Self::Private(key)
    }
}

impl From<SymmetricDecryptionKey> for RecipientKey {
    fn from(key: SymmetricDecryptionKey) -> Self {
        Self::Shared(key)
    }
}

impl RecipientKey {
    fn kid(&self) -> Option<&str> {
        match self {
            Self::Private(key) => key.encryption_key().kid(),
            Self::Shared(key) => key.kid(),
        }
    }

    fn fits(&self, header: &Header) -> bool {
        match (self, header.algorithm) {
            (Self::Private(key), Named::Asymmetric(named)) => {
                key.encryption_key().algorithm() == named
            }
            (Self::Shared(key), named) => match key.algorithm() {
                SymmetricKeyManagement::A128Kw => named == Named::A128Kw,
                SymmetricKeyManagement::A256Kw => named == Named::A256Kw,
                SymmetricKeyManagement::Dir(content) => {
                    named == Named::Dir && content == header.content
                }
            },
            _ => false,
        }
    }

    fn encrypted_key_len(&self, content: ContentEncryption) -> usize {
        match self {
            Self::Private(key) => key.encrypted_key_len(content.key_len()),
            Self::Shared(key) => key.encrypted_key_len(content.key_len()),
        }
    }

    fn decrypter(&self) -> &Guarded {
        match self {
            Self::Private(key) => key.decrypter(),
            Self::Shared(key) => key.decrypter(),
        }
    }

    /// The curve on which `epk` has to lie.
    fn curve(&self) -> Option<KeyType> {
        match self {
            Self::Private(key) => {
                let key = key.encryption_key();
                key.algorithm().agrees().then_some(key.key_type())
            }
            Self::Shared(_) => None,
        }
    }
}

/// Decrypts the tokens of one recipient: an immutable value that threads share.
#[derive(Clone, Debug)]
pub struct Decrypter {
    keys: Vec<RecipientKey>,
    content: Vec<ContentEncryption>,
    limits: Limits,
}

impl Decrypter {
    /// A decrypter with one key and every content encryption of this crate.
    #[must_use]
    pub fn new(key: impl Into<RecipientKey>) -> Self {
        Self {
            keys: vec![key.into()],
            content: ContentEncryption::ALL.to_vec(),
            limits: Limits::default(),
        }
    }

    /// Adds a key, as during a rotation.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateKid`].
    pub fn with_key(mut self, key: impl Into<RecipientKey>) -> Result<Self, Error> {
        let key = key.into();
        if key.kid().is_some() && self.keys.iter().any(|other| other.kid() == key.kid()) {
            return Err(Error::DuplicateKid);
        }
        self.keys.push(key);
        Ok(self)
    }

    /// Narrows the content encryptions.
    #[must_use]
    pub fn with_content_encryptions(mut self, content: &[ContentEncryption]) -> Self {
        self.content = content.to_vec();
        self
    }

    /// Narrows the bounds on the token.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Decrypts a compact JWE. Whoever knows the public key could have made it.
    ///
    /// # Errors
    ///
    /// Up to the header, what is wrong; [`JweError::DecryptionFailed`] for everything that comes after it.
    pub fn decrypt(&self, compact: &str) -> Result<UnauthenticatedPlaintext, Error> {
        let segments = Segments::split(compact, &self.limits)?;
        let header = Header::read(
            &base64url::decode(segments.header, "header")?,
            self.limits.header,
        )?;
        if !self.content.contains(&header.content) {
            return Err(JweError::ContentEncryptionNotAllowed.into());
        }
        let key = self.select(&header)?;
        if let Some(curve) = key.curve() {
            check_epk(&header, curve)?;
        }
        segments.check_lengths(key.encrypted_key_len(header.content), header.content)?;
        let bytes = backend::decrypt(compact, key.decrypter())?;
        Ok(UnauthenticatedPlaintext { header, bytes })
    }

    /// Decrypts a compact JWE whose `cty` is `JWT`, and validates the signed token inside: its validator and
    /// keys know nothing of the encryption.
    ///
    /// # Errors
    ///
    /// As [`Decrypter::decrypt`] and [`Validator::validate`]; [`JweError::NotNestedJwt`] without that `cty`, and
    /// [`JweError::ReplicatedClaim`] where `iss`, `sub` or `aud` of the header differs from the signed claim.
    pub fn decrypt_jwt(
        &self,
        compact: &str,
        validator: &Validator,
        keys: &(impl KeySource + ?Sized),
        now: UnixTime,
    ) -> Result<Jwt, Error> {
        let validate = |signed: &str| Ok((validator.validate(signed, keys, now)?, ()));
        self.decrypt_jwt_with(compact, validate)
            .map(|(jwt, ())| jwt)
    }

    /// [`decrypt_jwt`](Self::decrypt_jwt) for profiles with a validation of their own, such as one in which the
    /// signed token's issuer chooses the keys: `validate` gets the token inside, and returns it verified with
    /// whatever else it found out.
    ///
    /// # Errors
    ///
    /// As [`Decrypter::decrypt_jwt`], and those of `validate`.
    pub fn decrypt_jwt_with<T, E: From<Error>>(
        &self,
        compact: &str,
        validate: impl FnOnce(&str) -> Result<(Jwt, T), E>,
    ) -> Result<(Jwt, T), E> {
        let plaintext = self.decrypt(compact)?;
        let verified = validate(plaintext.nested()?)?;
        plaintext.check_replicated(&verified.0)?;
        Ok(verified)
    }

    /// The key that the header's `kid` names, or the only one for its `alg`.
    fn select(&self, header: &Header) -> Result<&RecipientKey, Error> {
        if let Some(kid) = header.text("kid") {
            if let Some(key) = self.keys.iter().find(|key| key.kid() == Some(kid)) {
                return if key.fits(header) {
                    Ok(key)
                } else {
                    Err(JweError::KeyMismatch.into())
                };
            }
        }
        // A key without a name is for any name.
        let nameless = header.text("kid").is_some();
        let eligible = || {
            let keys = self.keys.iter();
            keys.filter(move |key| !nameless || key.kid().is_none())
        };
        let mut fitting = eligible().filter(|key| key.fits(header));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(Error::AmbiguousKey),
            (None, _) if eligible().next().is_some() => Err(JweError::KeyMismatch.into()),
            (None, _) => Err(JweError::UnknownRecipientKey.into()),
        }
    }
}

/// `epk` is a public key on the recipient's curve: a point elsewhere would tell of the private key.
fn check_epk(header: &Header, curve: KeyType) -> Result<(), Error> {
    let epk = match header.members.get("epk") {
        None => return Err(Error::MissingHeader { name: "epk" }),
        Some(Value::Object(epk)) => epk,
        Some(_) => return Err(Error::HeaderType { name: "epk" }),
    };
    let invalid = |problem| Err(JweError::InvalidEphemeralKey { problem }.into());
    match jwk::public(epk) {
        Ok((kind, _)) if kind == curve => Ok(()),
        Ok(_) => invalid(KeyProblem::Inconsistent),
        Err(Error::InvalidKey { problem }) => invalid(problem),
        Err(error) => Err(error),
    }
}

/// The five segments, still encoded.
struct Segments<'a> {
    header: &'a str,
    encrypted_key: &'a str,
    iv: &'a str,
    ciphertext: &'a str,
    tag: &'a str,
}

impl<'a> Segments<'a> {
    fn split(compact: &'a str, limits: &Limits) -> Result<Self, Error> {
        if compact.len() > limits.token {
            return Err(Error::TooLarge {
                what: "token",
                limit: limits.token,
            });
        }
        if compact.trim_ascii_start().starts_with('{') {
            return Err(JweError::JsonSerialization.into());
        }
        let allowed =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if let Some(offset) = compact.bytes().position(|byte| !allowed(&byte)) {
            return Err(Error::TokenCharacters { offset });
        }
        let dots = compact.bytes().filter(|byte| *byte == b'.').take(5).count();
        let mut segments = compact.splitn(5, '.');
        let mut next = || segments.next().unwrap_or_default();
        let segments = Self {
            header: next(),
            encrypted_key: next(),
            iv: next(),
            ciphertext: next(),
            tag: next(),
        };
        match dots {
            4 => {}
            2 => return Err(JweError::SignedNotEncrypted.into()),
            _ => return Err(JweError::SegmentCount.into()),
        }
        if segments.header.len() / 4 * 3 > limits.header {
            return Err(Error::TooLarge {
                what: "header",
                limit: limits.header,
            });
        }
        Ok(segments)
    }

    /// RFC 7516 section 5.2, as far as it needs no key: canonical encodings of exactly the right lengths.
    fn check_lengths(
        &self,
        encrypted_key: usize,
        content: ContentEncryption,
    ) -> Result<(), JweError> {
        let length = |text| {
            base64url::decode(text, "segment")
                .map(|bytes| bytes.len())
                .map_err(|_| JweError::DecryptionFailed)
        };
        let ciphertext = length(self.ciphertext)?;
        if length(self.encrypted_key)? != encrypted_key
            || length(self.iv)? != content.iv_len()
            || length(self.tag)? != content.tag_len()
            || (content.is_cbc() && (ciphertext == 0 || ciphertext % 16 != 0))
        {
            return Err(JweError::DecryptionFailed);
        }
        Ok(())
    }
}

/// What a token said after decryption. For a key pair this proves nothing about its origin: anyone can
/// encrypt to a public key. There is no way from here to claims; see [`Decrypter::decrypt_jwt`].
pub struct UnauthenticatedPlaintext {
    header: Header,
    bytes: Zeroizing<Vec<u8>>,
}

impl UnauthenticatedPlaintext {
    /// The bytes, which nobody vouches for.
    #[must_use]
    pub fn unauthenticated_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, which nobody vouches for.
    #[must_use]
    pub fn into_unauthenticated_bytes(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }

    /// `cty`: what the sender says the bytes are.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.header.text("cty")
    }

    /// `typ`.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.header.text("typ")
    }

    /// `enc`.
    #[must_use]
    pub fn content_encryption(&self) -> ContentEncryption {
        self.header.content
    }

    /// The token inside, unverified.
    fn nested(&self) -> Result<&str, Error> {
        if !self
            .content_type()
            .is_some_and(|cty| same_media_type(cty.as_bytes(), "JWT"))
        {
            return Err(JweError::NotNestedJwt.into());
        }
        core::str::from_utf8(&self.bytes).map_err(|error| Error::TokenCharacters {
            offset: error.valid_up_to(),
        })
    }

    /// RFC 7519 section 5.3: what the header repeats is what was signed.
    fn check_replicated(&self, jwt: &Jwt) -> Result<(), Error> {
        let replicated = ["iss", "sub", "aud"]
            .map(|claim| self.header.members.get(claim).map(|value| (claim, value)));
        let mut replicated = replicated.into_iter().flatten().peekable();
        if replicated.peek().is_none() {
            return Ok(());
        }
        let claims = jwt.claims_map()?;
        match replicated.find(|(claim, value)| claims.get(*claim) != Some(value)) {
            None => Ok(()),
            Some((claim, _)) => Err(JweError::ReplicatedClaim { claim }.into()),
        }
    }
}

impl fmt::Debug for UnauthenticatedPlaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnauthenticatedPlaintext")
            .field("length", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
