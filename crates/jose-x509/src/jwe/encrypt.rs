//! Making a compact JWE. Nothing is ever compressed.

use josekit::jwe::JweHeader;
use serde_json::{Map, Value};

use super::backend;
use super::{ContentEncryption, EncryptionKey, JweError, Limits};
use crate::error::Error;
use crate::jws::UnverifiedJws;
use crate::jws::header::is_standard;

/// The header of a JWE to be made. `alg` and `kid` come from the key, `enc` and `epk` from the encryption.
#[derive(Clone, Debug, Default)]
pub struct ProtectedHeader(Map<String, Value>);

impl ProtectedHeader {
    /// A header without further parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `typ`, written without `application/`.
    #[must_use]
    pub fn with_typ(mut self, typ: &str) -> Self {
        self.0.insert("typ".to_owned(), typ.into());
        self
    }

    /// Sets `cty`, written without `application/`.
    #[must_use]
    pub fn with_cty(mut self, cty: &str) -> Self {
        self.0.insert("cty".to_owned(), cty.into());
        self
    }

    /// Adds a parameter that a profile defines, or a replicated claim.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for every parameter of RFC 7515 to 7518, and for `b64`.
    pub fn with_parameter(mut self, name: &str, value: impl Into<Value>) -> Result<Self, Error> {
        if is_standard(name) || name == "b64" {
            return Err(Error::InvalidOption {
                option: "header parameter",
                range: "anything but those of RFC 7515 to 7518 and `b64`",
            });
        }
        self.0.insert(name.to_owned(), value.into());
        Ok(self)
    }
}

/// Encrypts `plaintext` to a recipient, with a fresh content key and initialization vector.
///
/// # Errors
///
/// [`Error::TooLarge`] when the token would be longer than a recipient accepts, [`JweError::EncryptionFailed`].
pub fn encrypt(
    key: &EncryptionKey,
    content: ContentEncryption,
    header: &ProtectedHeader,
    plaintext: &[u8],
) -> Result<String, Error> {
    let limit = Limits::default().token;
    let too_large = Error::TooLarge {
        what: "token",
        limit,
    };
    if plaintext.len() > limit {
        return Err(too_large);
    }
    let mut members = header.0.clone();
    members.insert("enc".to_owned(), content.name().into());
    if let Some(kid) = key.kid() {
        members.insert("kid".to_owned(), kid.into());
    }
    let token = JweHeader::from_map(members)
        .and_then(|header| {
            backend::context().serialize_compact(plaintext, &header, key.encrypter())
        })
        .map_err(|_| JweError::EncryptionFailed)?;
    if token.len() > limit {
        return Err(too_large);
    }
    Ok(token)
}

/// Encrypts a signed JWT to a recipient: a nested JWT (RFC 7519 section 5.2).
///
/// # Errors
///
/// The errors of [`UnverifiedJws::parse`] when `signed` is no compact JWS, and those of [`encrypt`].
pub fn encrypt_jwt(
    key: &EncryptionKey,
    content: ContentEncryption,
    signed: &str,
) -> Result<String, Error> {
    UnverifiedJws::parse(signed)?;
    let header = ProtectedHeader::new().with_cty("JWT");
    encrypt(key, content, &header, signed.as_bytes())
}
