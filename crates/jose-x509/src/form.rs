//! Strict `application/x-www-form-urlencoded`: nothing lossy, and no more than a limit of it.

use core::fmt;
use core::ops::Range;

use thiserror::Error;

/// Longest form in bytes.
pub const MAX_FORM: usize = 64 * 1024;
/// Most parameters in a form.
pub const MAX_PARAMETERS: usize = 64;

/// Whether this is the media type of forms, whatever its parameters are.
#[must_use]
pub fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Why a form was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FormError {
    /// Longer than [`MAX_FORM`], or more parameters than [`MAX_PARAMETERS`].
    #[error(
        "the form has more than {MAX_FORM} bytes or {MAX_PARAMETERS} parameters; send a smaller one"
    )]
    TooLarge,
    /// A percent sign without two hexadecimal digits, a NUL, or what is no UTF-8.
    #[error("a form parameter is not percent-encoded UTF-8, or has a NUL; encode it anew")]
    Encoding,
}

impl FormError {
    /// A stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "form_too_large",
            Self::Encoding => "form_encoding",
        }
    }
}

/// The parameters of a form, in order, repetitions included. Values may be secrets: `Debug` shows names only.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    /// Every name and every value, decoded, one after the other.
    text: String,
    parameters: Vec<Parameter>,
}

/// Where in the text a name and its value are.
#[derive(Clone, PartialEq, Eq)]
struct Parameter {
    name: Range<usize>,
    value: Range<usize>,
}

impl Form {
    /// Reads a form.
    ///
    /// # Errors
    ///
    /// [`FormError`].
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        if body.len() > MAX_FORM {
            return Err(FormError::TooLarge);
        }
        let mut text = Vec::with_capacity(body.len());
        let mut parameters = Vec::with_capacity(USUAL_PARAMETERS);
        let mut rest = Some(body);
        while let Some(body) = rest {
            let (pair, next) = split_at(body, memchr::memchr(b'&', body));
            rest = next;
            if pair.is_empty() {
                continue;
            }
            if parameters.len() == MAX_PARAMETERS {
                return Err(FormError::TooLarge);
            }
            let (name, value) = split_at(pair, memchr::memchr(b'=', pair));
            let start = text.len();
            decode(name, &mut text)?;
            let middle = text.len();
            decode(value.unwrap_or_default(), &mut text)?;
            let end = text.len();
            parameters.push(Parameter {
                name: start..middle,
                value: middle..end,
            });
        }
        let text = String::from_utf8(text).map_err(|_| FormError::Encoding)?;
        // A character that one parameter begins and the next one ends is none.
        let is_whole = |parameter: &Parameter| {
            text.is_char_boundary(parameter.value.start)
                && text.is_char_boundary(parameter.value.end)
        };
        let is_lossy = || !text.is_ascii() && text.contains(char::REPLACEMENT_CHARACTER);
        if !parameters.iter().all(is_whole)
            || memchr::memchr(0, text.as_bytes()).is_some()
            || is_lossy()
        {
            return Err(FormError::Encoding);
        }
        Ok(Self { text, parameters })
    }

    /// Every parameter with its value, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let parameters = self.parameters.iter();
        parameters.map(|parameter| (self.text(&parameter.name), self.text(&parameter.value)))
    }

    /// The value of a parameter; an empty one counts as absent (RFC 6749 section 3.2).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Every value of a repeatable parameter that is not empty.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.parameters
            .iter()
            .filter(move |parameter| {
                // Most names already differ in their lengths.
                parameter.name.len() == name.len()
                    && !parameter.value.is_empty()
                    && self.text(&parameter.name) == name
            })
            .map(|parameter| self.text(&parameter.value))
    }

    fn text(&self, place: &Range<usize>) -> &str {
        self.text.get(place.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.pairs().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

/// What few forms have more of.
const USUAL_PARAMETERS: usize = 16;

/// Appends what a name or value stands for: each plus sign a space, each percent sign followed by two hexadecimal digits.
fn decode(encoded: &[u8], text: &mut Vec<u8>) -> Result<(), FormError> {
    let mut rest = encoded;
    while let Some(end) = memchr::memchr2(b'%', b'+', rest) {
        let (plain, special) = rest.split_at(end);
        text.extend_from_slice(plain);
        rest = match special {
            [b'%', high, low, rest @ ..] => {
                text.push(hex(*high)? << 4 | hex(*low)?);
                rest
            }
            [b'+', rest @ ..] => {
                text.push(b' ');
                rest
            }
            _ => return Err(FormError::Encoding),
        };
    }
    text.extend_from_slice(rest);
    Ok(())
}

/// What stands before and after the separator, if there is one.
fn split_at(text: &[u8], separator: Option<usize>) -> (&[u8], Option<&[u8]>) {
    match separator.and_then(|at| text.split_at_checked(at)) {
        Some((before, after)) => (before, after.get(1..)),
        None => (text, None),
    }
}

fn hex(digit: u8) -> Result<u8, FormError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(FormError::Encoding),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::form_urlencoded;

    use super::{Form, FormError};

    #[test]
    fn nothing_is_lossy() {
        for body in [
            "a=%",
            "a=%4",
            "a=%zz",
            "a=%00",
            "a=%ff",
            "%e2%82=b",
            "a=%ef%bf%bd",
            // Halves of a character, the other half being another parameter's.
            "a=%e2%82&%ac=b",
            "%c3=%a9",
        ] {
            assert_eq!(
                Form::parse(body.as_bytes()),
                Err(FormError::Encoding),
                "{body}"
            );
        }
        let form = Form::parse(b"a=1+2%2B%c3%a9&&b=&c&a=2&=d").unwrap();
        let pairs: Vec<_> = form.pairs().collect();
        let expected = [
            ("a", "1 2+\u{e9}"),
            ("b", ""),
            ("c", ""),
            ("a", "2"),
            ("", "d"),
        ];
        assert_eq!(pairs, expected);
        assert_eq!(
            (form.get("a"), form.get("b"), form.get("x")),
            (Some("1 2+\u{e9}"), None, None)
        );
        assert_eq!(form.get_all("a").count(), 2);
        assert!(!format!("{:?}", Form::parse(b"token=secret").unwrap()).contains("secret"));
    }

    #[test]
    fn limits() {
        let form = |text: String| Form::parse(text.as_bytes()).map(drop);
        assert_eq!(form("a=b&".repeat(64)), Ok(()));
        assert_eq!(form("a=b&".repeat(65)), Err(FormError::TooLarge));
        assert_eq!(form("a".repeat(65_536)), Ok(()));
        assert_eq!(form("a".repeat(65_537)), Err(FormError::TooLarge));
    }

    proptest! {
        /// Whatever is accepted is read as an ordinary reader reads it.
        #[test]
        fn others_read_the_same(body in "([a&=+é]|%[0-9a-f]{2}|%){0,40}") {
            if let Ok(form) = Form::parse(body.as_bytes()) {
                let others: Vec<_> = form_urlencoded::parse(body.as_bytes()).collect();
                let pairs: Vec<_> = form.pairs().map(|(name, value)| (name.into(), value.into())).collect();
                prop_assert_eq!(pairs, others);
            }
        }

        /// What a client writes is read.
        #[test]
        fn round_trip(pairs in prop::collection::vec(("[^\0\u{fffd}]{0,12}", "[^\0\u{fffd}]{0,40}"), 0..64)) {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let form = Form::parse(body.as_bytes()).unwrap();
            let read: Vec<_> = form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(read, pairs);
        }
    }
}
