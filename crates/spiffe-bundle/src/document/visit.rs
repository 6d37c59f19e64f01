//! How a document is read: `serde` visitors that never fail for a wrong type, but say so.

use core::fmt;
use core::marker::PhantomData;
use std::borrow::Cow;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use super::{BundleMap, Document, Documents, Entries, Entry, Field, Found, Members};
use crate::parse::MAX_KEYS;

/// A string, borrowed from the text unless it has escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// What is an array or an object, and can say that it is neither.
pub(crate) trait Parts<'de>: Sized {
    fn wrong() -> Self;

    fn from_seq<A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::wrong())
    }

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::wrong())
    }
}

struct Reader<T>(PhantomData<T>);

/// What visitors do with a value that is neither an array nor an object.
macro_rules! scalars_are {
    ($this:ident => $wrong:expr) => {
        scalars_are! { $this => $wrong, visit_bool: bool visit_i64: i64 visit_u64: u64 visit_f64: f64 visit_str: &str }

        fn visit_unit<E>($this) -> Result<Self::Value, E> {
            Ok($wrong)
        }
    };
    ($this:ident => $wrong:expr, $($method:ident: $type:ty)*) => {$(
        fn $method<E>($this, _: $type) -> Result<Self::Value, E> {
            Ok($wrong)
        }
    )*};
}

impl<'de, T: Parts<'de>> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    scalars_are! { self => T::wrong() }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
        T::from_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_map(map)
    }
}

impl<'de: 'a, 'a> Parts<'de> for Found<Entries<'a>> {
    fn wrong() -> Self {
        Self::Wrong
    }

    fn from_seq<A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        let mut entries = Entries::default();
        while seq.next_element_seed(Add(&mut entries))?.is_some() {
            entries.count = entries.count.saturating_add(1);
        }
        Ok(Self::Is(entries))
    }
}

/// Adds the next entry, without a copy of it on the way.
struct Add<'e, 'a>(&'e mut Entries<'a>);

impl Add<'_, '_> {
    fn wrong(self) {
        self.0.others.push((self.0.count, Entry::NotAnObject));
    }
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for Add<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.count < MAX_KEYS {
            deserializer.deserialize_any(self)
        } else {
            IgnoredAny::deserialize(deserializer).map(drop)
        }
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Add<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    scalars_are! { self => self.wrong() }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.wrong();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key_seed(Text)? {
            match members.slot(&name) {
                Some(slot) => *slot = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        members.add_to(self.0);
        Ok(())
    }
}

impl<'de: 'a, 'a> Parts<'de> for Found<Document<'a>> {
    fn wrong() -> Self {
        Self::Wrong
    }

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let integer = |value: Value| value.as_u64().map_or(Found::Wrong, Found::Is);
        let mut document = Document::default();
        while let Some(name) = map.next_key_seed(Text)? {
            match name.as_ref() {
                "spiffe_sequence" => document.sequence = integer(map.next_value()?),
                "spiffe_refresh_hint" => document.refresh_hint = integer(map.next_value()?),
                "keys" => document.keys = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Self::Is(document))
    }
}

impl<'de: 'a, 'a> Parts<'de> for Found<Documents<'a>> {
    fn wrong() -> Self {
        Self::Wrong
    }

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut documents = Vec::new();
        while let Some(name) = map.next_key_seed(Text)? {
            documents.push((name, map.next_value()?));
        }
        Ok(Self::Is(Documents(documents)))
    }
}

impl<'de: 'a, 'a> Parts<'de> for Found<BundleMap<'a>> {
    fn wrong() -> Self {
        Self::Wrong
    }

    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut trust_domains = Found::Absent;
        while let Some(name) = map.next_key_seed(Text)? {
            match name.as_ref() {
                "trust_domains" => trust_domains = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Self::Is(BundleMap { trust_domains }))
    }
}

macro_rules! deserialize {
    ($($type:ty)*) => {$(
        impl<'de: 'a, 'a> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Reader(PhantomData))
            }
        }
    )*};
}

deserialize! {
    Found<Entries<'a>>
    Found<Document<'a>>
    Found<Documents<'a>>
}

/// A text that has to be an object.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Parts<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData)).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyField)
    }
}

/// Reads a [`Field`].
struct AnyField;

macro_rules! scalars {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E>(self, value: $type) -> Result<Field<'de>, E> {
            Ok(Field::Other(Box::new(value.into())))
        }
    )*};
}

impl<'de> Visitor<'de> for AnyField {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    scalars! {
        visit_bool: bool
        visit_i64: i64
        visit_u64: u64
        visit_f64: f64
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Field<'de>, E> {
        Ok(Field::Other(Box::new(Value::Null)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Field<'de>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(seq)).map(|value| Field::Other(value.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<'de>, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(map)).map(|value| Field::Other(value.into()))
    }
}
