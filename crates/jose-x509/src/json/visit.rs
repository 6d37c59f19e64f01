//! Values whose type the reader wants to see before it complains.

use core::fmt;
use std::borrow::Cow;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use super::Reader;

/// A string, borrowed from the input unless it has escapes.
pub(crate) struct Text;

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

/// What a member of a known name was found to be.
pub(crate) enum Member<'de> {
    Text(Cow<'de, str>),
    /// Non-negative whole number.
    Unsigned(u64),
    /// Any other number.
    Float(f64),
    /// All elements were strings: the first one, and the others.
    Texts(Option<Cow<'de, str>>, Vec<Cow<'de, str>>),
    /// `null`, a boolean, an object, or an array with something else than strings.
    Other,
}

impl<'v> Member<'v> {
    /// What `value` would have been found to be.
    pub(crate) fn of(value: &'v Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.into()),
            Value::Number(number) => match number.as_u64() {
                Some(number) => Self::Unsigned(number),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::Array(values) => {
                let mut texts = values.iter().map(|value| value.as_str().map(Cow::Borrowed));
                match texts.next() {
                    None => Self::Texts(None, Vec::new()),
                    Some(None) => Self::Other,
                    Some(first) => texts
                        .collect::<Option<_>>()
                        .map_or(Self::Other, |others| Self::Texts(first, others)),
                }
            }
            Value::Null | Value::Bool(_) | Value::Object(_) => Self::Other,
        }
    }
}

/// Reads a [`Member`].
#[derive(Clone, Copy)]
pub(crate) struct AnyMember;

impl<'de> DeserializeSeed<'de> for AnyMember {
    type Value = Member<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyMember {
    type Value = Member<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a negative number is refused whatever its exact value"
    )]
    fn visit_i64<E>(self, number: i64) -> Result<Member<'de>, E> {
        Ok(u64::try_from(number).map_or(Member::Float(number as f64), Member::Unsigned))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Member<'de>, E> {
        Ok(Member::Unsigned(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Member<'de>, E> {
        Ok(Member::Float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Member<'de>, A::Error> {
        let (mut first, mut others, mut texts) = (None, Vec::new(), true);
        while let Some(element) = seq.next_element_seed(self)? {
            match element {
                Member::Text(text) if first.is_none() => first = Some(text),
                Member::Text(text) => others.push(text),
                _ => texts = false,
            }
        }
        Ok(if texts {
            Member::Texts(first, others)
        } else {
            Member::Other
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
}

/// What reads the members of one object as they come.
pub(crate) trait Members<'de> {
    /// Takes the value of the member `name` from `map`.
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;

    /// Forgets what was taken, because all of it comes again.
    fn restart(&mut self);
}

/// Hands out each member as what it was found to be.
pub(super) struct Each<T, F> {
    pub(super) notes: T,
    pub(super) member: F,
}

impl<'de, T: Default, F: FnMut(&mut T, &str, Member<'de>)> Members<'de> for Each<T, F> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let value = map.next_value_seed(AnyMember)?;
        (self.member)(&mut self.notes, name, value);
        Ok(())
    }

    fn restart(&mut self) {
        self.notes = T::default();
    }
}

/// Reads one object.
pub(super) struct Object<'m, M>(pub(super) &'m mut M);

impl<'de, M: Members<'de>> Reader<'de> for Object<'_, M> {
    type Value = ();

    fn read<D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Object(&mut *self.0))
    }

    fn restart(&mut self) {
        self.0.restart();
    }
}

impl<'de, M: Members<'de>> Visitor<'de> for Object<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Text)? {
            self.0.take(&name, &mut map)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Err(A::Error::custom("not an object"))
    }
}
