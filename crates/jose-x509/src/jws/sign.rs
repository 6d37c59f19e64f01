//! Making a compact JWS.

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

    fn write(&self, alg: &str, kid: Option<&str>) -> String {
        let mut members = Map::new();
        members.insert("alg".to_owned(), alg.into());
        if let (Some(kid), false) = (kid, self.without_kid) {
            members.insert("kid".to_owned(), kid.into());
        }
        if let Some(typ) = self.typ {
            members.insert("typ".to_owned(), typ.into());
        }
        members.extend(self.extra.clone());
        Value::Object(members).to_string()
    }
}

/// The first two segments of a JWS in the making.
#[derive(Debug)]
pub struct SigningInput(String);

impl SigningInput {
    /// Encodes header and payload for a signer with this algorithm and key name.
    #[must_use]
    pub fn new(header: &ProtectedHeader, alg: &str, kid: Option<&str>, payload: &[u8]) -> Self {
        let header = header.write(alg, kid);
        let mut token = String::with_capacity((header.len() + payload.len()) / 3 * 4 + 128);
        base64url::encode_to(header.as_bytes(), &mut token);
        token.push('.');
        base64url::encode_to(payload, &mut token);
        Self(token)
    }

    /// The bytes to sign.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Appends the signature.
    #[must_use]
    pub fn finish(mut self, signature: &[u8]) -> String {
        self.0.push('.');
        base64url::encode_to(signature, &mut self.0);
        self.0
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
    let input = SigningInput::new(header, signer.algorithm().name(), signer.kid(), payload);
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
