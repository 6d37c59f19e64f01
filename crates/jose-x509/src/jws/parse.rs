//! From a compact string to a verified JWS.

use std::fmt;

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
///
/// `B` holds what was decoded: a `Vec<u8>` of its own, or a slice of the caller's buffer.
pub struct UnverifiedJws<'a, B = Vec<u8>> {
    signing_input: &'a str,
    decoded: Decoded<B>,
}

/// Header, payload and signature, decoded one behind the other.
struct Decoded<B> {
    header: Parsed,
    bytes: B,
    payload_at: usize,
    signature_at: usize,
}

impl<B: AsRef<[u8]>> Decoded<B> {
    fn header(&self) -> Header<'_> {
        let json = self.bytes.as_ref().get(..self.payload_at);
        Header::new(&self.header, json.unwrap_or_default())
    }

    fn payload(&self) -> &[u8] {
        self.bytes
            .as_ref()
            .get(self.payload_at..self.signature_at)
            .unwrap_or_default()
    }

    fn signature(&self) -> &[u8] {
        self.bytes
            .as_ref()
            .get(self.signature_at..)
            .unwrap_or_default()
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
        let mut bytes = Vec::new();
        let UnverifiedJws {
            signing_input,
            decoded:
                Decoded {
                    header,
                    payload_at,
                    signature_at,
                    ..
                },
        } = UnverifiedJws::parse_in(compact, rules, limits, &mut bytes)?;
        Ok(Self {
            signing_input,
            decoded: Decoded {
                header,
                bytes,
                payload_at,
                signature_at,
            },
        })
    }
}

impl<'a, 'b> UnverifiedJws<'a, &'b [u8]> {
    /// As [`UnverifiedJws::parse_with`], decoding into a buffer that the caller uses again and again, so
    /// that nothing is allocated once it is large enough.
    ///
    /// # Errors
    ///
    /// As [`UnverifiedJws::parse_with`].
    pub fn parse_in(
        compact: &'a str,
        rules: &HeaderRules,
        limits: &Limits,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Self, Error> {
        if compact.len() > limits.token {
            return Err(Error::TooLarge {
                what: "token",
                limit: limits.token,
            });
        }
        let (header, payload, signature) = split(compact)?;
        buffer.clear();
        buffer.reserve(compact.len() / 4 * 3 + 3);
        let mut decode = |segment: &str, what| {
            base64url::decode_to(segment, buffer, what)
                .map(|()| buffer.len())
                // Only now is it worth knowing which byte it was.
                .map_err(|error| foreign_byte(compact).unwrap_or(error))
        };
        let payload_at = decode(header, "header")?;
        let signature_at = decode(payload, "payload")?;
        decode(signature, "signature")?;
        let bytes: &'b [u8] = buffer;
        let json = bytes.get(..payload_at).unwrap_or_default();
        Ok(Self {
            signing_input: compact
                .get(..header.len() + 1 + payload.len())
                .unwrap_or_default(),
            decoded: Decoded {
                header: Parsed::read(json, rules, limits.header)?,
                bytes,
                payload_at,
                signature_at,
            },
        })
    }
}

impl<'a, B: AsRef<[u8]>> UnverifiedJws<'a, B> {
    /// The header, which nobody vouches for yet.
    #[must_use]
    pub fn unverified_header(&self) -> Header<'_> {
        self.decoded.header()
    }

    /// The payload, which nobody vouches for yet.
    #[must_use]
    pub fn unverified_payload(&self) -> &[u8] {
        self.decoded.payload()
    }

    /// The first two segments: what is signed. Its hash, unlike the token's, does not change with
    /// the second valid form that every ECDSA signature has.
    #[must_use]
    pub fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// Verifies the signature with the key that `keys` has for it. What else the header says of the key
    /// (`jwk`, `x5c`, `x5t#S256`, where they are allowed) must be true of that key.
    ///
    /// # Errors
    ///
    /// [`Error::AlgorithmNotAllowed`], the errors of [`KeySource::candidates`],
    /// [`Error::InvalidSignature`], and [`Error::ContradictoryKeys`]. No part of the token is handed out
    /// then.
    pub fn verify(
        self,
        keys: &(impl KeySource + ?Sized),
        allowed: Algorithms,
    ) -> Result<VerifiedJws<B>, Error> {
        let verified = self.verify_signature(keys, allowed)?;
        verified.header().check_hints(verified.key())?;
        Ok(verified)
    }

    /// As [`UnverifiedJws::verify`], for a key that was taken from the header itself.
    pub(crate) fn verify_signature(
        self,
        keys: &(impl KeySource + ?Sized),
        allowed: Algorithms,
    ) -> Result<VerifiedJws<B>, Error> {
        let header = self.decoded.header();
        let algorithm = header.algorithm();
        if !allowed.contains(algorithm) {
            return Err(Error::AlgorithmNotAllowed { algorithm });
        }
        let candidates = keys.candidates(&header)?;
        let mut refusal = Error::UnknownKey;
        for key in candidates.iter() {
            match key.verify(
                algorithm,
                self.signing_input.as_bytes(),
                self.decoded.signature(),
            ) {
                Ok(()) => {
                    return Ok(VerifiedJws {
                        key: key.clone(),
                        decoded: self.decoded,
                    });
                }
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}

/// The first byte that no compact token has.
fn foreign_byte(compact: &str) -> Option<Error> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let offset = compact.bytes().position(|byte| !allowed(&byte))?;
    Some(Error::TokenCharacters { offset })
}

/// Exactly two dots, found without collecting the segments of a hostile token. What a wrong number
/// means is told apart by looking again.
fn split(compact: &str) -> Result<(&str, &str, &str), Error> {
    let segments = at_dot(compact).and_then(|(header, rest)| {
        let (payload, signature) = at_dot(rest)?;
        Some((header, payload, signature)).filter(|_| at_dot(signature).is_none())
    });
    match segments {
        Some(_) if compact.trim_ascii_start().starts_with('{') => Err(Error::JsonSerialization),
        Some((_, _, "")) => Err(foreign_byte(compact).unwrap_or(Error::EmptySignature)),
        Some(segments) => Ok(segments),
        None => Err(not_three_segments(compact)),
    }
}

fn at_dot(text: &str) -> Option<(&str, &str)> {
    let dot = memchr::memchr(b'.', text.as_bytes())?;
    Some((text.get(..dot)?, text.get(dot + 1..)?))
}

#[cold]
fn not_three_segments(compact: &str) -> Error {
    if compact.trim_ascii_start().starts_with('{') {
        return Error::JsonSerialization;
    }
    if let Some(error) = foreign_byte(compact) {
        return error;
    }
    match compact.bytes().filter(|byte| *byte == b'.').take(5).count() {
        4 => Error::EncryptedNotSigned,
        _ => Error::SegmentCount,
    }
}

/// A JWS whose signature was verified, with the key that verified it.
pub struct VerifiedJws<B = Vec<u8>> {
    decoded: Decoded<B>,
    key: VerifyingKey,
}

impl<B: AsRef<[u8]>> VerifiedJws<B> {
    /// The protected header.
    #[must_use]
    pub fn header(&self) -> Header<'_> {
        self.decoded.header()
    }

    /// The payload bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.decoded.payload()
    }

    /// The key that verified the signature.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }
}

/// How long the parts are and not what they are: whoever logs a value would log a token.
impl<B: AsRef<[u8]>> fmt::Debug for Decoded<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoded")
            .field("header", &self.header())
            .field("payload_len", &self.payload().len())
            .field("signature_len", &self.signature().len())
            .finish()
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for UnverifiedJws<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnverifiedJws").field(&self.decoded).finish()
    }
}

impl<B: AsRef<[u8]>> fmt::Debug for VerifiedJws<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedJws")
            .field("decoded", &self.decoded)
            .field("key", &self.key)
            .finish()
    }
}
