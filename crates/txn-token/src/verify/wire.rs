//! The claims as they come, in one pass over the text. Nothing is judged here: a claim of a wrong type is one that says so.

use core::fmt;
use core::marker::PhantomData;
use std::borrow::Cow;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{MAX_TEXT, wrong};
use crate::context::Context;
use crate::error::Error;

/// The claims that a transaction token has beside the registered ones.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wire<'a> {
    #[serde(borrow)]
    pub(super) txn: Claim<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) sub: Claim<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) scope: Claim<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) req_wl: Claim<Cow<'a, str>>,
    pub(super) txn_iat: Claim<u64>,
    pub(super) tctx: Claim<Context>,
    pub(super) rctx: Claim<Context>,
    #[serde(deserialize_with = "present")]
    pub(super) act: Option<Value>,
    #[serde(deserialize_with = "present")]
    pub(super) act_chain: Option<Value>,
    #[serde(deserialize_with = "present")]
    pub(super) agentic_ctx: Option<Value>,
    #[serde(deserialize_with = "present")]
    pub(super) req_wl_chain: Option<Value>,
    /// An earlier spelling.
    #[serde(deserialize_with = "present")]
    pub(super) actchain: Option<Value>,
    /// Whether there are other earlier names.
    purp: There,
    azd: There,
}

impl Wire<'_> {
    /// Whether there are earlier names whose meaning has to be that of the current ones.
    pub(super) const fn has_earlier_names(&self) -> bool {
        self.purp.0 || self.azd.0
    }
}

/// The contexts alone.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Contexts {
    pub(super) tctx: Claim<Context>,
    pub(super) rctx: Claim<Context>,
    pub(super) azd: Claim<Context>,
}

/// A member that is there, `null` included.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Whether a member is there.
#[derive(Default)]
struct There(bool);

impl<'de> Deserialize<'de> for There {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// A claim that has to be a `T` if it is there.
#[derive(Default)]
pub(super) enum Claim<T> {
    #[default]
    Absent,
    Is(T),
    /// Of another type.
    Wrong,
}

impl<T> Claim<T> {
    /// The claim, if it is there.
    pub(super) fn optional(self, name: &'static str) -> Result<Option<T>, Error> {
        match self {
            Self::Absent => Ok(None),
            Self::Is(value) => Ok(Some(value)),
            Self::Wrong => Err(wrong(name)),
        }
    }
}

impl<'a> Claim<Cow<'a, str>> {
    /// The claim, which has to be there, and neither empty nor too long.
    pub(super) fn text(self, name: &'static str) -> Result<Cow<'a, str>, Error> {
        let text = self.optional(name)?;
        let text = text.ok_or(jose_x509::Error::MissingClaim { claim: name })?;
        if (1..=MAX_TEXT).contains(&text.len()) {
            Ok(text)
        } else {
            Err(wrong(name))
        }
    }
}

/// A type that a claim may have; what does not make one makes none.
trait Content<'de>: Sized {
    fn from_borrowed(_: &'de str) -> Option<Self> {
        None
    }

    fn from_text(_: &str) -> Option<Self> {
        None
    }

    fn from_number(_: u64) -> Option<Self> {
        None
    }

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de: 'a, 'a> Content<'de> for Cow<'a, str> {
    fn from_borrowed(text: &'de str) -> Option<Self> {
        Some(Self::Borrowed(text))
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(Self::Owned(text.to_owned()))
    }
}

impl Content<'_> for u64 {
    fn from_number(number: u64) -> Option<Self> {
        Some(number)
    }
}

impl<'de> Content<'de> for Context {
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

struct AnyClaim<T>(PhantomData<T>);

fn claim<T>(content: Option<T>) -> Claim<T> {
    content.map_or(Claim::Wrong, Claim::Is)
}

macro_rules! wrong {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E>(self, _: $type) -> Result<Claim<T>, E> {
            Ok(Claim::Wrong)
        }
    )*};
}

impl<'de, T: Content<'de>> Visitor<'de> for AnyClaim<T> {
    type Value = Claim<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    wrong! {
        visit_bool: bool
        visit_i64: i64
        visit_f64: f64
    }

    fn visit_u64<E>(self, number: u64) -> Result<Claim<T>, E> {
        Ok(claim(T::from_number(number)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Claim<T>, E> {
        Ok(claim(T::from_borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Claim<T>, E> {
        Ok(claim(T::from_text(text)))
    }

    fn visit_unit<E>(self) -> Result<Claim<T>, E> {
        Ok(Claim::Wrong)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Claim<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Claim::Wrong)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Claim<T>, A::Error> {
        T::from_map(map).map(claim)
    }
}

impl<'de, T: Content<'de>> Deserialize<'de> for Claim<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyClaim(PhantomData))
    }
}
