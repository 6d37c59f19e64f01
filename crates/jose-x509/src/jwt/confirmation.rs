//! The `cnf` claim (RFC 7800) with the members of RFC 8705 and RFC 9449.

use serde_json::Value;

use crate::base64url;
use crate::error::Error;
use crate::jwk::Jwk;
use crate::key::{KeySet, VerifyingKey};

/// The confirmation methods of a token that are understood; all of them have to be satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirmation {
    /// `jwk`: the public key itself.
    pub jwk: Option<Jwk>,
    /// `jkt`: the key's SHA-256 thumbprint (RFC 9449).
    pub jkt: Option<[u8; 32]>,
    /// `x5t#S256`: the SHA-256 of the certificate's DER (RFC 8705).
    pub x5t_s256: Option<[u8; 32]>,
    /// `kid`: a key that the recipient already has.
    pub kid: Option<String>,
}

const CLAIM: Error = Error::ClaimType { claim: "cnf" };

impl Confirmation {
    /// Reads the claim's value.
    ///
    /// # Errors
    ///
    /// [`Error::ClaimType`] for a wrong type and for several of `jwk`, `jwe` and `jku`,
    /// [`Error::InvalidKey`] for a `jwk` that is not one public key,
    /// [`Error::UnusableConfirmation`] when no member is understood.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let members = value.as_object().ok_or(CLAIM)?;
        if ["jwk", "jwe", "jku"]
            .iter()
            .filter(|name| members.contains_key(**name))
            .count()
            > 1
        {
            return Err(CLAIM);
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
            Some(_) => Err(CLAIM),
        };
        let hash = |name: &str| {
            text(name)?
                .map(|text| base64url::decode_array(text, "cnf").map_err(|_| CLAIM))
                .transpose()
        };
        let confirmation = Self {
            jwk: members.get("jwk").map(Jwk::from_value).transpose()?,
            jkt: hash("jkt")?,
            x5t_s256: hash("x5t#S256")?,
            kid: text("kid")?.map(str::to_owned),
        };
        match &confirmation {
            Self {
                jwk: None,
                jkt: None,
                x5t_s256: None,
                kid: None,
            } => Err(Error::UnusableConfirmation),
            _ => Ok(confirmation),
        }
    }

    /// The key that `kid` names among those that the recipient has for the presenter.
    ///
    /// # Errors
    ///
    /// [`Error::UnusableConfirmation`] without `kid`, [`Error::UnknownKey`] when there is no such key.
    pub fn known_key<'k>(&self, keys: &'k KeySet) -> Result<&'k VerifyingKey, Error> {
        let kid = self.kid.as_deref().ok_or(Error::UnusableConfirmation)?;
        keys.get(kid).ok_or(Error::UnknownKey)
    }

    const NONE: Self = Self {
        jwk: None,
        jkt: None,
        x5t_s256: None,
        kid: None,
    };

    /// A confirmation by public key, as WIT and DPoP-less tokens have it.
    #[must_use]
    pub fn of_jwk(jwk: Jwk) -> Self {
        Self {
            jwk: Some(jwk),
            ..Self::NONE
        }
    }

    /// A confirmation by a key's thumbprint, for tokens that DPoP proofs go along with.
    #[must_use]
    pub const fn of_jkt(jkt: [u8; 32]) -> Self {
        Self {
            jkt: Some(jkt),
            ..Self::NONE
        }
    }

    /// A confirmation by a certificate's thumbprint, for tokens that are used over mutual TLS.
    #[must_use]
    pub const fn of_certificate(x5t_s256: [u8; 32]) -> Self {
        Self {
            x5t_s256: Some(x5t_s256),
            ..Self::NONE
        }
    }

    /// The claim's value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut members = serde_json::Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            value.map(|value| members.insert(name.to_owned(), value))
        };
        put("jwk", self.jwk.as_ref().map(Jwk::to_value));
        put("jkt", self.jkt.map(|hash| base64url::encode(&hash).into()));
        put(
            "x5t#S256",
            self.x5t_s256.map(|hash| base64url::encode(&hash).into()),
        );
        put("kid", self.kid.as_deref().map(Value::from));
        Value::Object(members)
    }
}
