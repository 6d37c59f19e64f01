//! What the strict reader accepts, an ordinary one accepts too, and no two of its members share a name.
#![no_main]

use jose_x509::json::{self, JsonErrorKind, Limits};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let object = match json::object(data, &Limits::CLAIMS) {
        Ok(object) => object,
        Err(error) => return check_refusal(data, error.kind()),
    };
    assert!(json::check(data, &Limits::CLAIMS).is_ok());
    let lenient: Value = serde_json::from_slice(data).expect("strict JSON is JSON");
    assert_eq!(lenient, Value::Object(object.clone()));
    assert!(depth(&lenient) <= 16, "nested deeper than the limit");

    // A repeated name would be lost on the way through a map.
    assert_eq!(members_in_text(data), members(&lenient));

    let again = serde_json::to_vec(&object).expect("a map of JSON values is JSON");
    if let Ok(second) = json::object(&again, &Limits::CLAIMS) {
        assert_eq!(
            without_fractions(second.into()),
            without_fractions(object.into())
        );
    }
});

/// An ordinary reader sees why, too.
fn check_refusal(data: &[u8], kind: JsonErrorKind) {
    let lenient: Result<Value, _> = serde_json::from_slice(data);
    match (kind, lenient) {
        (JsonErrorKind::Syntax, lenient) => assert!(lenient.is_err(), "JSON after all"),
        (JsonErrorKind::DuplicateMember, Ok(lenient)) => {
            assert_ne!(
                members_in_text(data),
                members(&lenient),
                "nothing is repeated"
            );
        }
        (JsonErrorKind::TooDeep, Ok(lenient)) => assert!(depth(&lenient) > 16, "not too deep"),
        (JsonErrorKind::Shape, Ok(lenient)) => assert!(!lenient.is_object(), "an object"),
        _ => {}
    }
}

/// The value without numbers that are no integers: `serde_json` may read back the neighbour of what it wrote.
fn without_fractions(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => Value::Null,
        Value::Array(values) => values.into_iter().map(without_fractions).collect(),
        Value::Object(members) => {
            let members = members.into_iter();
            Value::Object(
                members
                    .map(|(name, value)| (name, without_fractions(value)))
                    .collect(),
            )
        }
        other => other,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Members of all objects in the value.
fn members(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(members).sum(),
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

/// Colons outside strings: one for each member.
fn members_in_text(data: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for &byte in data {
        match (in_string, escaped, byte) {
            (true, true, _) => escaped = false,
            (true, false, b'\\') => escaped = true,
            (_, _, b'"') => in_string = !in_string,
            (false, _, b':') => count += 1,
            _ => {}
        }
    }
    count
}
