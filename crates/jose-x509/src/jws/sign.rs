//! Making a compact JWS.

use core::fmt;

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

/// The first two segments of a JWS in the making: base64url and dots.
pub struct SigningInput(Vec<u8>);

/// Room for header and signature, which few tokens exceed.
const AROUND: usize = 384;
/// Room for a token whose length is not known before.
const UNKNOWN: usize = 1024;

impl SigningInput {
    /// Encodes header and payload for a signer with this algorithm and key name.
    #[must_use]
    pub fn new(header: &ProtectedHeader, alg: &str, kid: Option<&str>, payload: &[u8]) -> Self {
        let room = base64url::encoded_len(payload.len()).saturating_add(AROUND);
        let mut token = Vec::with_capacity(room);
        // Strings and values of JSON: nothing in a header can fail to be written.
        let _ = encode_json(&Signed { header, alg, kid }, &mut token);
        token.push(b'.');
        base64url::append(payload, &mut token);
        Self(token)
    }

    /// As [`SigningInput::new`] for a payload that is the JSON object `claims`, which is encoded where it
    /// is written. `None` if `claims` cannot be written or is no object.
    pub(crate) fn of_object(
        header: &ProtectedHeader,
        signer: (&str, Option<&str>),
        claims: &(impl Serialize + ?Sized),
    ) -> Option<Self> {
        let (alg, kid) = signer;
        let mut token = Vec::with_capacity(UNKNOWN);
        encode_json(&Signed { header, alg, kid }, &mut token)?;
        token.push(b'.');
        (encode_json(claims, &mut token)? == b'{').then_some(Self(token))
    }

    /// The bytes to sign.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Appends the signature.
    #[must_use]
    pub fn finish(mut self, signature: &[u8]) -> String {
        self.0.push(b'.');
        base64url::append(signature, &mut self.0);
        String::from_utf8(self.0).unwrap_or_default()
    }
}

impl fmt::Debug for SigningInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningInput({} bytes)", self.0.len())
    }
}

/// Appends the base64url of a JSON text; its first byte, or `None` if it could not be written.
///
/// The text is written behind the token, encoded behind itself, and taken out: no second buffer.
fn encode_json(value: &(impl Serialize + ?Sized), token: &mut Vec<u8>) -> Option<u8> {
    let start = token.len();
    serde_json::to_writer(&mut *token, value).ok()?;
    let end = token.len();
    let first = *token.get(start)?;
    token.resize(end.saturating_add(base64url::encoded_len(end - start)), 0);
    let (text, place) = token.split_at_mut(end);
    base64url::encode_slice(text.get(start..)?, place);
    token.drain(start..end);
    Some(first)
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
