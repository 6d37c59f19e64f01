//! Walks through JSON that a strict reader has accepted before, without copying any of it.
//!
//! Nothing here judges whether a text is JSON. What is unusual, such as an escape in a text that is asked for, is not told
//! either: the caller then reads the claims in the ordinary way.

use memchr::{memchr, memchr2};

/// One value, as it stands in the text.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// A whole text.
    pub(super) fn of(text: &'a str) -> Self {
        Self(skip_space(text).trim_end_matches(SPACE))
    }

    /// The text of the value.
    pub(super) const fn text(self) -> &'a str {
        self.0
    }

    pub(super) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// A string without escapes.
    pub(super) fn string(self) -> Option<&'a str> {
        let text = self.0.strip_prefix('"')?.strip_suffix('"')?;
        memchr(b'\\', text.as_bytes()).is_none().then_some(text)
    }

    /// A whole number, not negative.
    pub(super) fn number(self) -> Option<u64> {
        let digits = self.0.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| self.0.parse().ok()).flatten()
    }

    /// The members of an object. Nothing, once, for something else or a name with escapes.
    pub(super) fn members(self) -> Items<'a, true> {
        Items::new(self.0, '{', '}')
    }

    /// The values of an array. Nothing, once, for something else.
    pub(super) fn values(self) -> Items<'a, false> {
        Items::new(self.0, '[', ']')
    }
}

/// What stands in an object or in an array, as names and values or as values with empty names.
pub(super) struct Items<'a, const NAMED: bool> {
    rest: Option<&'a str>,
}

impl<'a, const NAMED: bool> Items<'a, NAMED> {
    fn new(text: &'a str, open: char, close: char) -> Self {
        let inner = text
            .strip_prefix(open)
            .and_then(|text| text.strip_suffix(close));
        // What is no list of items is one that fails.
        Self {
            rest: Some(inner.map_or("\\", |inner| skip_space(inner))),
        }
    }

    fn item(rest: &'a str) -> Option<((&'a str, Raw<'a>), &'a str)> {
        let (name, rest) = if NAMED {
            let (name, rest) = split_name(rest)?;
            let rest = skip_space(rest).strip_prefix(':')?;
            (name, skip_space(rest))
        } else {
            ("", rest)
        };
        let (value, rest) = split(rest)?;
        Some(((name, Raw(value)), skip_space(rest)))
    }
}

impl<'a, const NAMED: bool> Iterator for Items<'a, NAMED> {
    type Item = Option<(&'a str, Raw<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take().filter(|rest| !rest.is_empty())?;
        let Some((item, rest)) = Self::item(rest) else {
            return Some(None);
        };
        if !rest.is_empty() {
            let Some(rest) = rest.strip_prefix(',') else {
                return Some(None);
            };
            self.rest = Some(skip_space(rest));
        }
        Some(Some(item))
    }
}

/// White space.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Without the white space at the beginning.
fn skip_space(text: &str) -> &str {
    match text.as_bytes().first() {
        Some(b' ' | b'\t' | b'\n' | b'\r') => text.trim_start_matches(SPACE),
        _ => text,
    }
}

/// Splits behind a name without escapes. Names are short.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let end = text.bytes().position(|byte| matches!(byte, b'"' | b'\\'))?;
    let (name, rest) = text.split_at_checked(end)?;
    Some((name, rest.strip_prefix('"')?))
}

/// Splits behind the first value.
fn split(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let end = match bytes.first()? {
        b'"' => end_of_string(bytes)?,
        b'{' | b'[' => {
            let mut depth = 0_usize;
            let mut at = 0_usize;
            loop {
                match bytes.get(at)? {
                    b'"' => {
                        at = at.checked_add(end_of_string(bytes.get(at..)?)?)?;
                        continue;
                    }
                    b'{' | b'[' => depth = depth.checked_add(1)?,
                    b'}' | b']' => depth = depth.checked_sub(1)?,
                    _ => {}
                }
                at = at.checked_add(1)?;
                if depth == 0 {
                    break at;
                }
            }
        }
        _ => bytes
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
            .unwrap_or(bytes.len()),
    };
    text.split_at_checked(end)
}

/// How long the string is with which the text begins.
fn end_of_string(bytes: &[u8]) -> Option<usize> {
    let mut at = 1_usize;
    loop {
        let found = memchr2(b'"', b'\\', bytes.get(at..)?)?;
        at = at.checked_add(found)?;
        if bytes.get(at)? == &b'"' {
            return at.checked_add(1);
        }
        at = at.checked_add(2)?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Reads a value by walking; nothing if there is an escape in a name or in a string.
    fn read(raw: Raw<'_>) -> Option<Value> {
        Some(match raw.text().as_bytes()[0] {
            b'{' => {
                let members = raw.members().map(|member| {
                    let (name, value) = member?;
                    Some((name.to_owned(), read(value)?))
                });
                Value::Object(members.collect::<Option<_>>()?)
            }
            b'[' => Value::Array(
                raw.values()
                    .map(|value| read(value?.1))
                    .collect::<Option<_>>()?,
            ),
            b'"' => raw.string()?.into(),
            _ => serde_json::from_str(raw.text()).unwrap(),
        })
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-zé{}\\[\\],:\"\\\\ ]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z:,{\"]{0,3}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn walking_finds_what_a_reader_finds(value in json(), pretty: bool) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            let found = read(Raw::of(&format!(" {text}\n")));
            prop_assert_eq!(found.is_none(), text.contains('\\'));
            if let Some(found) = found {
                prop_assert_eq!(found, value);
            }
        }

        #[test]
        fn whatever_the_text_walking_ends(text in "[\\[\\]{}\",:\\\\a1 ]{0,30}") {
            let raw = Raw::of(&text);
            prop_assert!(raw.members().count() + raw.values().count() <= 2 * text.len() + 2);
        }
    }

    #[test]
    fn numbers_are_whole() {
        for (text, number) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("1.0", None),
            ("-1", None),
            ("1e3", None),
        ] {
            assert_eq!(Raw::of(text).number(), number);
        }
        assert!(Raw::of("").number().is_none());
        assert!(Raw::of("18446744073709551616").number().is_none());
    }
}
