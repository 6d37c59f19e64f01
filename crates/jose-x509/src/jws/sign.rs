//! Making a compact JWS.

use std::io;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::{Map, Value};

use crate::base64url;
use crate::error::Error;
use crate::jwk::Jwk;
use crate::sign::{AsyncSigner, Signer};

/// The header of a JWS to be made. `alg` and `kid` come from the signer.
#[derive(Clone, Debug, Default)]
pub struct ProtectedHeader {
    typ: Option<&'static str>,
    without_kid: bool,
    extra: Map<String, Value>,
}

impl ProtectedHeader {
    /// A header with `typ`, written without `application/`.
    #[must_use]
    pub fn new(typ: &'static str) -> Self {
        Self {
            typ: Some(typ),
            ..Self::default()
        }
    }

    /// A header without `typ`, for token kinds that have none.
    #[must_use]
    pub fn without_typ() -> Self {
        Self::default()
    }

    /// Leaves `kid` out, for proofs whose key the verifier knows otherwise.
    #[must_use]
    pub fn without_kid(mut self) -> Self {
        self.without_kid = true;
        self
    }

    /// Adds `jwk`, for proofs that carry their public key.
    #[must_use]
    pub fn with_jwk(mut self, jwk: &Jwk) -> Self {
        self.extra.insert("jwk".to_owned(), jwk.to_value());
        self
    }

    /// Adds a parameter that a profile defines.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for `alg`, `kid`, `typ`, `crit` and `b64`.
    pub fn with_parameter(mut self, name: &str, value: impl Into<Value>) -> Result<Self, Error> {
        if matches!(name, "alg" | "kid" | "typ" | "crit" | "b64") {
            return Err(Error::InvalidOption {
                option: "header parameter",
                range: "anything but `alg`, `kid`, `typ`, `crit` and `b64`",
            });
        }
        self.extra.insert(name.to_owned(), value.into());
        Ok(self)
    }
}

/// A header together with what its signer adds to it.
struct Signed<'a> {
    header: &'a ProtectedHeader,
    alg: &'a str,
    kid: Option<&'a str>,
}

impl Serialize for Signed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("alg", self.alg)?;
        if let (Some(kid), false) = (self.kid, self.header.without_kid) {
            members.serialize_entry("kid", kid)?;
        }
        if let Some(typ) = self.header.typ {
            members.serialize_entry("typ", typ)?;
        }
        for (name, value) in &self.header.extra {
            members.serialize_entry(name, value)?;
        }
        members.end()
    }
}

/// The first two segments of a JWS in the making.
#[derive(Debug)]
pub struct SigningInput(String);

/// Room for header and signature, which few tokens exceed.
const AROUND: usize = 384;

impl SigningInput {
    /// Encodes header and payload for a signer with this algorithm and key name.
    #[must_use]
    pub fn new(header: &ProtectedHeader, alg: &str, kid: Option<&str>, payload: &[u8]) -> Self {
        let room = payload.len().saturating_add(2) / 3 * 4;
        let mut token = String::with_capacity(room.saturating_add(AROUND));
        encode_json(&Signed { header, alg, kid }, &mut token);
        token.push('.');
        base64url::encode_to(payload, &mut token);
        Self(token)
    }

    /// As [`SigningInput::new`] for a payload that is the JSON text of `claims`, which is encoded as it
    /// is written. `None` if `claims` cannot be written.
    pub(crate) fn of_json(
        header: &ProtectedHeader,
        signer: (&str, Option<&str>),
        claims: &(impl Serialize + ?Sized),
    ) -> Option<Self> {
        let (alg, kid) = signer;
        let mut token = String::with_capacity(JSON_ROOM);
        let written = encode_json(&Signed { header, alg, kid }, &mut token);
        token.push('.');
        (written && encode_json(claims, &mut token)).then_some(Self(token))
    }

    /// The bytes to sign.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether the payload begins with this byte: its first three are the first four characters.
    pub(crate) fn payload_begins_with(&self, byte: u8) -> bool {
        let payload = self
            .0
            .split_once('.')
            .and_then(|(_, payload)| payload.get(..4));
        payload
            .and_then(|start| base64url::decode(start, "payload").ok())
            .is_some_and(|start| start.first() == Some(&byte))
    }

    /// Appends the signature.
    #[must_use]
    pub fn finish(mut self, signature: &[u8]) -> String {
        self.0.push('.');
        base64url::encode_to(signature, &mut self.0);
        self.0
    }
}

/// Room for a whole token whose length is not known before.
const JSON_ROOM: usize = 1024;

/// Appends the base64url of a JSON text while it is written; whether it could be.
fn encode_json(value: &(impl Serialize + ?Sized), token: &mut String) -> bool {
    let mut encoder = Encoder {
        token,
        bytes: [0; CHUNK],
        len: 0,
    };
    let written = serde_json::to_writer(&mut encoder, value).is_ok();
    encoder.encode();
    written
}

/// Gathers the small pieces that a serializer writes and encodes them by the chunk.
struct Encoder<'t> {
    token: &'t mut String,
    bytes: [u8; CHUNK],
    len: usize,
}

/// A multiple of three, so that only the last chunk ends inside a group.
const CHUNK: usize = 384;

impl Encoder<'_> {
    fn encode(&mut self) {
        base64url::encode_to(self.bytes.get(..self.len).unwrap_or_default(), self.token);
        self.len = 0;
    }
}

impl io::Write for Encoder<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.len == CHUNK {
            self.encode();
        }
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let len = bytes.len().min(room.len());
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.len += len;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Signs `payload`.
///
/// # Errors
///
/// [`Error::SigningFailed`].
pub fn sign(
    signer: &(impl Signer + ?Sized),
    header: &ProtectedHeader,
    payload: &[u8],
) -> Result<String, Error> {
    sign_input(
        signer,
        SigningInput::new(header, signer.algorithm().name(), signer.kid(), payload),
    )
}

pub(crate) fn sign_input(
    signer: &(impl Signer + ?Sized),
    input: SigningInput,
) -> Result<String, Error> {
    let signature = signer.sign(input.as_bytes())?;
    Ok(input.finish(signature.as_ref()))
}

/// Signs `payload` with a key behind a network.
///
/// # Errors
///
/// [`Error::SigningFailed`].
pub async fn sign_async(
    signer: &(impl AsyncSigner + ?Sized),
    header: &ProtectedHeader,
    payload: &[u8],
) -> Result<String, Error> {
    let input = SigningInput::new(header, signer.algorithm().name(), signer.kid(), payload);
    let signature = signer.sign(input.as_bytes()).await?;
    Ok(input.finish(signature.as_ref()))
}
