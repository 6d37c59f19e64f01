//! Visitors over `serde_json` that refuse what it lets pass.

use core::cell::Cell;
use core::fmt;
use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::JsonErrorKind;

/// Why a seed of this crate stopped, which `serde`'s own error cannot carry.
#[derive(Default)]
pub(crate) struct Noticed(pub(super) Cell<Option<JsonErrorKind>>);

impl Noticed {
    fn fail<E: serde::de::Error>(&self, kind: JsonErrorKind) -> E {
        self.0.set(Some(kind));
        E::custom(kind.text())
    }
}

/// Reads any value, keeps nothing, refuses duplicates below it.
#[derive(Clone, Copy)]
pub(crate) struct Checked<'n> {
    pub(crate) noticed: &'n Noticed,
    pub(crate) members: usize,
}

impl<'de> DeserializeSeed<'de> for Checked<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = Names::new(self);
        while names.next(&mut map)?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// The member names of one object, each of which may occur once.
pub(crate) struct Names<'de, 'n> {
    checked: Checked<'n>,
    /// The first names, compared one by one; `many` takes over where an object has more.
    few: [&'de str; FEW],
    len: usize,
    many: BTreeSet<Cow<'de, str>>,
}

const FEW: usize = 16;

impl<'de, 'n> Names<'de, 'n> {
    pub(crate) fn new(checked: Checked<'n>) -> Self {
        Self {
            checked,
            few: [""; FEW],
            len: 0,
            many: BTreeSet::new(),
        }
    }

    /// The next member's name, refused if the object has it already.
    pub(crate) fn next<A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
    ) -> Result<Option<Cow<'de, str>>, A::Error> {
        let Some(name) = map.next_key_seed(Text)? else {
            return Ok(None);
        };
        let total = self.len.saturating_add(self.many.len());
        if total >= self.checked.members {
            return Err(self.checked.noticed.fail(JsonErrorKind::TooManyMembers));
        }
        let seen =
            self.few.iter().take(self.len).any(|few| *few == name) || self.many.contains(&name);
        if seen {
            return Err(self.checked.noticed.fail(JsonErrorKind::DuplicateMember));
        }
        match (&name, self.few.get_mut(self.len)) {
            (Cow::Borrowed(borrowed), Some(slot)) => {
                *slot = borrowed;
                self.len += 1;
            }
            _ => {
                self.many.insert(name.clone());
            }
        }
        Ok(Some(name))
    }
}

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
    /// All elements were strings.
    Texts(Vec<Cow<'de, str>>),
    /// `null`, a boolean, an object, or an array with something else than strings.
    Other,
}

/// Reads a value whose type the caller wants to see, refusing duplicates below it.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'n>(pub(crate) Checked<'n>);

impl<'de> DeserializeSeed<'de> for Seen<'_> {
    type Value = Member<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seen<'_> {
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
        let mut texts = Some(Vec::new());
        while let Some(element) = seq.next_element_seed(self)? {
            match (element, &mut texts) {
                (Member::Text(text), Some(texts)) => texts.push(text),
                _ => texts = None,
            }
        }
        Ok(texts.map_or(Member::Other, Member::Texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Member<'de>, A::Error> {
        self.0.visit_map(map).map(|()| Member::Other)
    }
}

/// Reads one object, handing each member of it to `member`.
pub(crate) struct Object<'n, F> {
    pub(crate) checked: Checked<'n>,
    pub(crate) member: F,
}

impl<'de, F: FnMut(&str, Member<'de>)> DeserializeSeed<'de> for Object<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(&str, Member<'de>)> Visitor<'de> for Object<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut names = Names::new(self.checked);
        while let Some(name) = names.next(&mut map)? {
            let value = map.next_value_seed(Seen(self.checked))?;
            (self.member)(&name, value);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Err(A::Error::custom("not an object"))
    }
}
