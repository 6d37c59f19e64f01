//! The `cnf` claim (RFC 7800) with the members of RFC 8705 and RFC 9449.

use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::base64url;
use crate::error::{Error, KeyProblem};
use crate::json::{self, AnyMember, Member};
use crate::jwk::{Jwk, ReadJwk};
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
        let mut found = Found::default();
        for (name, value) in value.as_object().ok_or(CLAIM)? {
            match name.as_str() {
                "jwk" => found.jwk = Some(Jwk::from_value(value)),
                name => found.take(name, Member::of(value)),
            }
        }
        found.confirmation().map(|found| *found)
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

/// The members of `cnf` that mean something here, as they were found.
#[derive(Default)]
struct Found<'a> {
    jwk: Option<Result<Jwk, Error>>,
    /// How many of `jwe` and `jku` there are.
    other_keys: usize,
    jkt: Option<Member<'a>>,
    x5t_s256: Option<Member<'a>>,
    kid: Option<Member<'a>>,
}

impl<'a> Found<'a> {
    /// Takes a member besides `jwk`.
    fn take(&mut self, name: &str, value: Member<'a>) {
        match name {
            "jwe" | "jku" => self.other_keys += 1,
            "jkt" => self.jkt = Some(value),
            "x5t#S256" => self.x5t_s256 = Some(value),
            "kid" => self.kid = Some(value),
            _ => {}
        }
    }

    /// In a box, because it is large and goes through many hands.
    fn confirmation(self) -> Result<Box<Confirmation>, Error> {
        if self.other_keys + usize::from(self.jwk.is_some()) > 1 {
            return Err(CLAIM);
        }
        let text = |member: Option<Member<'a>>| match member {
            None => Ok(None),
            Some(Member::Text(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(CLAIM),
        };
        let hash = |member| {
            text(member)?
                .map(|text| base64url::decode_array(&text, "cnf").map_err(|_| CLAIM))
                .transpose()
        };
        let confirmation = Box::new(Confirmation {
            jwk: self.jwk.transpose()?,
            jkt: hash(self.jkt)?,
            x5t_s256: hash(self.x5t_s256)?,
            kid: text(self.kid)?.map(String::from),
        });
        if *confirmation == Confirmation::NONE {
            return Err(Error::UnusableConfirmation);
        }
        Ok(confirmation)
    }
}

/// Reads the claim on the way through the claims set: what is wrong with it is no matter of the JSON around it.
pub(super) struct ReadConfirmation;

impl<'de> DeserializeSeed<'de> for ReadConfirmation {
    type Value = Result<Box<Confirmation>, Error>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! not_an_object {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Err(CLAIM))
        }
    )*};
}

impl<'de> Visitor<'de> for ReadConfirmation {
    type Value = Result<Box<Confirmation>, Error>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    not_an_object! {
        visit_bool: bool
        visit_i64: i64
        visit_u64: u64
        visit_f64: f64
        visit_str: &str
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Err(CLAIM))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Err(CLAIM))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Found::default();
        while let Some(name) = map.next_key_seed(json::Text)? {
            if name == "jwk" {
                found.jwk = Some(Err(KeyProblem::Malformed.into()));
                map.next_value_seed(ReadJwk(&mut |jwk: Result<Jwk, KeyProblem>| {
                    found.jwk = Some(jwk.map_err(Error::from));
                }))?;
            } else {
                found.take(&name, map.next_value_seed(AnyMember)?);
            }
        }
        Ok(found.confirmation())
    }
}
