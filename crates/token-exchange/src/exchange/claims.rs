//! What an exchange looks at in a subject token, borrowed from it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jose_x509::Error as JoseError;
use jose_x509::jwt::Confirmation;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{PartyKind, VerifiedSubject};
use crate::act::{ActorChain, MayAct, Party};
use crate::authority::{Authority, DetailTypes, ScopeSet};
use crate::error::Error;

/// The claims, of whatever type they are: a wrong one is told by its name.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Claims<'a> {
    #[serde(borrow, deserialize_with = "present")]
    iss: Option<Claim<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    sub: Option<Claim<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    aud: Option<Claim<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    jti: Option<Claim<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    client_id: Option<Claim<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    azp: Option<Claim<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    scope: Option<Claim<'a>>,
    #[serde(borrow, deserialize_with = "present")]
    grant_id: Option<Claim<'a>>,
    #[serde(deserialize_with = "present")]
    act: Option<Value>,
    #[serde(deserialize_with = "present")]
    may_act: Option<Value>,
    #[serde(deserialize_with = "present")]
    cnf: Option<Value>,
    #[serde(deserialize_with = "present")]
    authorization_details: Option<Value>,
}

/// `null` is a value like others, and not the absence of one.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl Claims<'_> {
    pub(super) fn read(
        &self,
        expires: u64,
        kind: PartyKind,
        types: &DetailTypes,
    ) -> Result<VerifiedSubject, Error> {
        let subject = text(&self.sub, "sub")?;
        let subject = subject.ok_or(refused(JoseError::MissingClaim { claim: "sub" }))?;
        let party = match text(&self.iss, "iss")? {
            None => Party::new(subject),
            Some(issuer) => Party::with_issuer(subject, issuer),
        };
        let scopes = text(&self.scope, "scope")?.map(ScopeSet::parse);
        let scopes = scopes.transpose()?;
        let names_scope = scopes.is_some();
        let mut authority = Authority::unbounded()
            .with_scopes(scopes.unwrap_or_default())
            .with_expiry(expires);
        if let Some(details) = &self.authorization_details {
            authority = authority.with_details(types.grant(details)?);
        }
        let client_id = match (text(&self.client_id, "client_id")?, text(&self.azp, "azp")?) {
            (Some(client), Some(party)) if client != party => return Err(wrong("azp")),
            (client, party) => client.or(party),
        };
        let confirmation = self.cnf.as_ref().map(Confirmation::from_value);
        Ok(VerifiedSubject {
            party,
            kind,
            audience: self.audience()?.map(Arc::from),
            client_id: client_id.map(Arc::from),
            may_act: self.may_act.as_ref().map(MayAct::from_value).transpose()?,
            chain: self.act.as_ref().map(ActorChain::from_value).transpose()?,
            authority,
            expires,
            names_scope,
            id: text(&self.jti, "jti")?.map(Arc::from),
            grant_id: text(&self.grant_id, "grant_id")?.map(Arc::from),
            confirmation: confirmation.transpose().map_err(refused)?,
        })
    }

    /// The one audience, if there is exactly one.
    fn audience(&self) -> Result<Option<&str>, Error> {
        match &self.aud {
            None => Ok(None),
            Some(Claim::Text(one)) => Ok(Some(one)),
            Some(Claim::Other(Value::Array(several))) if several.iter().all(Value::is_string) => {
                match several.as_slice() {
                    [one] => Ok(one.as_str()),
                    _ => Ok(None),
                }
            }
            Some(Claim::Other(_)) => Err(wrong("aud")),
        }
    }
}

fn text<'c>(claim: &'c Option<Claim<'_>>, name: &'static str) -> Result<Option<&'c str>, Error> {
    match claim {
        None => Ok(None),
        Some(Claim::Text(text)) => Ok(Some(text)),
        Some(Claim::Other(_)) => Err(wrong(name)),
    }
}

fn wrong(claim: &'static str) -> Error {
    refused(JoseError::ClaimType { claim })
}

pub(super) fn refused(source: JoseError) -> Error {
    Error::Token {
        which: "subject",
        source,
    }
}

/// A claim that has to be a text, or an array of them.
enum Claim<'a> {
    Text(Cow<'a, str>),
    Other(Value),
}

impl<'de> Deserialize<'de> for Claim<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyClaim)
    }
}

struct AnyClaim;

macro_rules! other {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E>(self, value: $type) -> Result<Self::Value, E> {
            Ok(Claim::Other(value.into()))
        }
    )*};
}

impl<'de> Visitor<'de> for AnyClaim {
    type Value = Claim<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Claim::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Claim::Text(text.to_owned().into()))
    }

    other! {
        visit_bool: bool
        visit_i64: i64
        visit_u64: u64
        visit_f64: f64
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Claim::Other(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(items)).map(Claim::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(members)).map(Claim::Other)
    }
}
