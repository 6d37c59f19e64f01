//! From a compact string to a verified JWS.

use crate::algorithm::Algorithms;
use crate::base64url;
use crate::error::Error;
use crate::jws::header::{Header, HeaderRules, Parsed};
use crate::key::{KeySource, VerifyingKey};

/// Bounds on a compact JWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest token in bytes: 16 KiB by default, 64 KiB at most.
    pub token: usize,
    /// Longest decoded header in bytes: 8 KiB by default, 16 KiB at most.
    pub header: usize,
}

impl Limits {
    /// Other limits than the default ones.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] above the hard caps.
    pub fn new(token: usize, header: usize) -> Result<Self, Error> {
        if token > 64 * 1024 || header > 16 * 1024 {
            return Err(Error::InvalidOption {
                option: "limits",
                range: "token up to 64 KiB, header up to 16 KiB",
            });
        }
        Ok(Self { token, header })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            token: 16 * 1024,
            header: 8 * 1024,
        }
    }
}

/// A compact JWS whose structure is sound and whose signature is not yet checked.
#[derive(Debug)]
pub struct UnverifiedJws<'a> {
    signing_input: &'a str,
    header: Parsed,
    buffer: Buffer,
}

/// Header, payload and signature, decoded one behind the other.
#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    payload_at: usize,
    signature_at: usize,
}

impl Buffer {
    fn header(&self) -> &str {
        core::str::from_utf8(self.bytes.get(..self.payload_at).unwrap_or_default())
            .unwrap_or_default()
    }

    fn payload(&self) -> &[u8] {
        self.bytes
            .get(self.payload_at..self.signature_at)
            .unwrap_or_default()
    }

    fn signature(&self) -> &[u8] {
        self.bytes.get(self.signature_at..).unwrap_or_default()
    }
}

impl<'a> UnverifiedJws<'a> {
    /// Parses with default limits and rules.
    ///
    /// # Errors
    ///
    /// As [`UnverifiedJws::parse_with`].
    pub fn parse(compact: &'a str) -> Result<Self, Error> {
        Self::parse_with(compact, &HeaderRules::default(), &Limits::default())
    }

    /// Parses a compact JWS: nothing is trimmed, decoded leniently, or looked for elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error`] for anything that is not exactly a compact JWS with an acceptable header.
    pub fn parse_with(
        compact: &'a str,
        rules: &HeaderRules,
        limits: &Limits,
    ) -> Result<Self, Error> {
        if compact.len() > limits.token {
            return Err(Error::TooLarge {
                what: "token",
                limit: limits.token,
            });
        }
        if compact.trim_ascii_start().starts_with('{') {
            return Err(Error::JsonSerialization);
        }
        let allowed =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if let Some(offset) = compact.bytes().position(|byte| !allowed(&byte)) {
            return Err(Error::TokenCharacters { offset });
        }
        let (header, payload, signature) = split(compact)?;
        if signature.is_empty() {
            return Err(Error::EmptySignature);
        }
        if header.len() / 4 * 3 > limits.header {
            return Err(Error::TooLarge {
                what: "header",
                limit: limits.header,
            });
        }
        let mut bytes = Vec::with_capacity(compact.len() / 4 * 3 + 3);
        base64url::decode_to(header, &mut bytes, "header")?;
        let parsed = Parsed::read(&bytes, rules, limits.header)?;
        let payload_at = bytes.len();
        base64url::decode_to(payload, &mut bytes, "payload")?;
        let signature_at = bytes.len();
        base64url::decode_to(signature, &mut bytes, "signature")?;
        let signing_input = compact
            .get(..header.len() + 1 + payload.len())
            .unwrap_or_default();
        Ok(Self {
            signing_input,
            header: parsed,
            buffer: Buffer {
                bytes,
                payload_at,
                signature_at,
            },
        })
    }

    /// The header, which nobody vouches for yet.
    #[must_use]
    pub fn unverified_header(&self) -> Header<'_> {
        Header::new(&self.header, self.buffer.header())
    }

    /// The payload, which nobody vouches for yet.
    #[must_use]
    pub fn unverified_payload(&self) -> &[u8] {
        self.buffer.payload()
    }

    /// The first two segments: what is signed. Its hash, unlike the token's, does not change with
    /// the second valid form that every ECDSA signature has.
    #[must_use]
    pub fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// Verifies the signature with the key that `keys` has for it.
    ///
    /// # Errors
    ///
    /// [`Error::AlgorithmNotAllowed`], the errors of [`KeySource::candidates`], and
    /// [`Error::InvalidSignature`]. No part of the token is handed out then.
    pub fn verify(
        self,
        keys: &(impl KeySource + ?Sized),
        allowed: Algorithms,
    ) -> Result<VerifiedJws, Error> {
        let algorithm = self.header.algorithm;
        if !allowed.contains(algorithm) {
            return Err(Error::AlgorithmNotAllowed { algorithm });
        }
        let candidates = keys.candidates(&self.unverified_header())?;
        let mut refusal = Error::UnknownKey;
        for key in candidates.iter() {
            match key.verify(
                algorithm,
                self.signing_input.as_bytes(),
                self.buffer.signature(),
            ) {
                Ok(()) => {
                    return Ok(VerifiedJws {
                        header: self.header,
                        buffer: self.buffer,
                        key: key.clone(),
                    });
                }
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}

/// Exactly two dots, found without collecting the segments of a hostile token.
fn split(compact: &str) -> Result<(&str, &str, &str), Error> {
    let (header, rest) = compact.split_once('.').ok_or(Error::SegmentCount)?;
    let (payload, signature) = rest.split_once('.').ok_or(Error::SegmentCount)?;
    match signature
        .bytes()
        .filter(|byte| *byte == b'.')
        .take(3)
        .count()
    {
        0 => Ok((header, payload, signature)),
        2 => Err(Error::EncryptedNotSigned),
        _ => Err(Error::SegmentCount),
    }
}

/// A JWS whose signature was verified, with the key that verified it.
#[derive(Debug)]
pub struct VerifiedJws {
    header: Parsed,
    buffer: Buffer,
    key: VerifyingKey,
}

impl VerifiedJws {
    /// The protected header.
    #[must_use]
    pub fn header(&self) -> Header<'_> {
        Header::new(&self.header, self.buffer.header())
    }

    /// The payload bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.buffer.payload()
    }

    /// The key that verified the signature.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }
}
