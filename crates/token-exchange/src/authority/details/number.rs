//! Numbers whose decimal value is not lost in a double, so that what compares as equal is equal: integers of 64 bits,
//! and others of at most 15 digits.

use serde_json::Value;

/// Any two decimals of so many digits are different doubles.
const DIGITS: usize = 15;
/// From here on an integer that became a double can have had more digits than these.
const WHOLE: f64 = 1e15;
/// Far from where doubles become sparse.
const EXPONENT: u32 = 99;

/// Whether every number of a value that was read can be compared by its decimal value.
pub(super) fn exact(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(exact),
        Value::Object(members) => members.values().all(exact),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => {
                float.abs() < WHOLE && written_exactly(&format!("{float:e}"))
            }
            _ => true,
        },
        _ => true,
    }
}

/// Whether no number lost digits when this text, which is JSON, was read.
pub(super) fn written_exactly(json: &str) -> bool {
    let mut rest = json;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        let (_, from) = rest.split_at(at);
        let length = match from.strip_prefix('"') {
            Some(text) => string(text),
            None => {
                let number = from
                    .split(|c: char| !is_number(c))
                    .next()
                    .unwrap_or_default();
                if !is_exact(number) {
                    return false;
                }
                number.len()
            }
        };
        rest = from.get(length..).unwrap_or_default();
    }
    true
}

/// The length of a string with its quotation marks; `text` begins after the first.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        other => other == b'"',
    });
    end.map_or(text.len() + 1, |end| end + 2)
}

const fn is_number(c: char) -> bool {
    matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')
}

fn is_exact(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len() <= DIGITS
        && exponent
            .parse::<i32>()
            .is_ok_and(|exponent| exponent.unsigned_abs() <= EXPONENT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{exact, written_exactly};

    #[test]
    fn what_a_double_keeps() {
        for (number, expected) in [
            ("0", true),
            ("-0", true),
            ("0.0", true),
            ("1e2", true),
            ("1E+2", true),
            ("123.50", true),
            ("18446744073709551615", true),
            ("-9223372036854775808", true),
            ("0.123456789012345", true),
            ("0.1234567890123456", false),
            ("123456789012345000.0", true),
            ("1e99", true),
            ("1e-99", true),
            ("1e100", false),
            ("1e-100", false),
            ("1e-99999999999999999999", false),
            ("18446744073709551616", false),
            ("2222223222222222222222", false),
            ("0.10000000000000001", false),
        ] {
            assert_eq!(written_exactly(number), expected, "{number}");
            let within = format!(r#"{{"a\"1":["\\",{number} ,"0.10000000000000001\""]}}"#);
            assert_eq!(written_exactly(&within), expected, "{within}");
        }
        assert!(!written_exactly(r#"["a",{"b":-0.10000000000000001}]"#));
        assert!(exact(
            &json!({"a": [999_999_999_999_999.0_f64, -0.1, u64::MAX, i64::MIN]})
        ));
        for float in [1e15, 1e20, -1e20, 0.1 + 0.2, 1e-100, 1.0 / 3.0] {
            assert!(!exact(&json!([{"a": float}])), "{float}");
        }
    }

    proptest! {
        /// Different decimals that are taken are different doubles, and written again they are the same text.
        #[test]
        fn no_two_decimals_are_one_double(
            mantissa in 1_u64..1_000_000_000_000_000,
            step in 1_u64..5,
            point in 0_u32..15,
        ) {
            let text = |digits: u64| format!("{digits}e-{point}");
            let one: serde_json::Value = serde_json::from_str(&text(mantissa)).unwrap();
            let other: serde_json::Value =
                serde_json::from_str(&text(mantissa.saturating_sub(step))).unwrap();
            prop_assert!(exact(&one) && exact(&other));
            prop_assert_ne!(&one, &other);
            let again: serde_json::Value = serde_json::from_str(&one.to_string()).unwrap();
            prop_assert_eq!(one, again);
        }
    }
}
