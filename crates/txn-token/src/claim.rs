//! A claim, or a member of one, as it comes: read straight into its type, and nothing refused on the way, so that what is
//! wrong can be told claim by claim.

use core::fmt;
use core::marker::PhantomData;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What was found where a `T` has to be, if anything is there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Claim<T> {
    #[default]
    Absent,
    Is(T),
    /// Of another type, or none that makes a `T`. `null` is of another type.
    Wrong,
}

impl<T> Claim<T> {
    /// The value, if it is there; `wrong` if it is not a `T`.
    pub(crate) fn optional<E>(self, wrong: E) -> Result<Option<T>, E> {
        match self {
            Self::Absent => Ok(None),
            Self::Is(value) => Ok(Some(value)),
            Self::Wrong => Err(wrong),
        }
    }

    pub(crate) const fn is_there(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// This one, or the other if this one is not there.
    pub(crate) fn or(self, other: Self) -> Self {
        if self.is_there() { self } else { other }
    }

    fn of(content: Option<T>) -> Self {
        content.map_or(Self::Wrong, Self::Is)
    }
}

/// A type that is made of one kind of JSON value; what makes none is `None`. An error is that of the text.
pub(crate) trait Content: Sized {
    fn from_text(_: &str) -> Option<Self> {
        None
    }

    fn from_number(_: u64) -> Option<Self> {
        None
    }

    fn from_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl Content for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Content for Arc<str> {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl Content for u64 {
    fn from_number(number: u64) -> Option<Self> {
        Some(number)
    }
}

/// Nothing else than such elements.
impl<T: Content> Content for Vec<T> {
    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Option<Self>, A::Error> {
        let mut items = Self::new();
        let all = each(seq, |item| items.push(item))?;
        Ok(all.then_some(items))
    }
}

impl<T: Content + Ord> Content for BTreeSet<T> {
    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Option<Self>, A::Error> {
        let mut items = Self::new();
        let all = each(seq, |item| {
            items.insert(item);
        })?;
        Ok(all.then_some(items))
    }
}

/// Hands out the elements up to the first that is of another type, and says whether there is none.
fn each<'de, T: Content, A: SeqAccess<'de>>(
    mut seq: A,
    mut take: impl FnMut(T),
) -> Result<bool, A::Error> {
    while let Some(item) = seq.next_element()? {
        let Claim::Is(item) = item else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(false);
        };
        take(item);
    }
    Ok(true)
}

impl<T: Content> Content for BTreeMap<String, T> {
    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let (mut members, mut all) = (Self::new(), true);
        while let Some((name, value)) = map.next_entry()? {
            match value {
                Claim::Is(value) => _ = members.insert(name, value),
                _ => all = false,
            }
        }
        Ok(all.then_some(members))
    }
}

/// A member's name, borrowed unless it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl<'de, T: Content> Deserialize<'de> for Claim<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyClaim(PhantomData))
    }
}

struct AnyClaim<T>(PhantomData<T>);

macro_rules! wrong {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E>(self, _: $type) -> Result<Claim<T>, E> {
            Ok(Claim::Wrong)
        }
    )*};
}

impl<'de, T: Content> Visitor<'de> for AnyClaim<T> {
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
        Ok(Claim::of(T::from_number(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Claim<T>, E> {
        Ok(Claim::of(T::from_text(text)))
    }

    fn visit_unit<E>(self) -> Result<Claim<T>, E> {
        Ok(Claim::Wrong)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Claim<T>, A::Error> {
        T::from_seq(seq).map(Claim::of)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Claim<T>, A::Error> {
        T::from_map(map).map(Claim::of)
    }
}
