//! What an unverified token says before its keys are known: whose keys those are.

use std::borrow::Cow;
use std::fmt;

use jose_x509::Error as JoseError;
use jose_x509::json::{self, JsonErrorKind};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The subject of a claims set, and whether there is an audience.
#[derive(Default)]
pub(crate) struct Peeked<'a> {
    pub(crate) subject: Option<Cow<'a, str>>,
    pub(crate) has_audience: bool,
    subject_is_text: bool,
}

impl<'a> Peeked<'a> {
    /// Reads the whole payload, which has to be one strict JSON object.
    pub(crate) fn read(payload: &'a [u8]) -> Result<Self, JoseError> {
        let limits = json::Limits::CLAIMS;
        let peeked: Self =
            json::from_slice(payload, &limits).map_err(|source| match source.kind() {
                JsonErrorKind::TooLarge => JoseError::TooLarge {
                    what: "claims set",
                    limit: limits.bytes,
                },
                _ => JoseError::Json {
                    what: "claims set",
                    source,
                },
            })?;
        match peeked.subject_is_text {
            true => Ok(peeked),
            false => Err(JoseError::ClaimType { claim: "sub" }),
        }
    }

    /// The subject, which has to be there.
    pub(crate) fn require_subject(&self) -> Result<&str, JoseError> {
        let subject = self.subject.as_deref();
        subject.ok_or(JoseError::MissingClaim { claim: "sub" })
    }
}

impl<'de> Deserialize<'de> for Peeked<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Peeked<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut peeked = Peeked {
                    subject_is_text: true,
                    ..Peeked::default()
                };
                while let Some(name) = map.next_key::<Name>()? {
                    match name {
                        Name::Subject => {
                            let Text(text) = map.next_value()?;
                            peeked.subject_is_text = text.as_deref().is_some_and(|t| !t.is_empty());
                            peeked.subject = text;
                        }
                        Name::Audience => {
                            peeked.has_audience = true;
                            map.next_value::<IgnoredAny>()?;
                        }
                        Name::Other => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(peeked)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

enum Name {
    Subject,
    Audience,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Known;
        impl Visitor<'_> for Known {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(match name {
                    "sub" => Name::Subject,
                    "aud" => Name::Audience,
                    _ => Name::Other,
                })
            }
        }
        deserializer.deserialize_identifier(Known)
    }
}

/// A string, or nothing for a value of any other type.
struct Text<'a>(Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Whether a header, which was read strictly before, has a member besides these.
pub(crate) fn has_other_members(header: &str, known: &'static [&'static str]) -> bool {
    struct Names(&'static [&'static str]);
    impl<'de> Visitor<'de> for Names {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
            let mut others = false;
            while let Some(IsKnown(known)) = map.next_key_seed(KnownName(self.0))? {
                others |= !known;
                map.next_value::<IgnoredAny>()?;
            }
            Ok(others)
        }
    }
    serde_json::Deserializer::from_str(header)
        .deserialize_map(Names(known))
        // What cannot be read has something that is not known.
        .unwrap_or(true)
}

struct IsKnown(bool);

struct KnownName(&'static [&'static str]);

impl<'de> serde::de::DeserializeSeed<'de> for KnownName {
    type Value = IsKnown;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<IsKnown, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KnownName {
    type Value = IsKnown;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<IsKnown, E> {
        Ok(IsKnown(self.0.contains(&name)))
    }
}
