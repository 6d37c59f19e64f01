//! Subjects match as the specification says, judged on their JSON: identical simple ones, and complex ones without a member
//! that both have and that differs. The input is a JSON array of subjects.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use ssf_set::{Strictness, Subject};

fuzz_target!(|data: &[u8]| {
    let Ok(Value::Array(values)) = serde_json::from_slice(data) else {
        return;
    };
    let read = |value: &Value| Subject::from_value(value, Strictness::Lenient).ok();
    let subjects: Vec<Subject> = values.iter().take(8).filter_map(read).collect();
    for one in &subjects {
        for other in &subjects {
            let expected = matches(&one.to_value(), &other.to_value());
            assert_eq!(one.matches(other), expected);
        }
    }
});

fn matches(one: &Value, other: &Value) -> bool {
    let complex = |value: &Value| value["format"] == "complex";
    match (complex(one), complex(other)) {
        (false, false) => one == other,
        (true, true) => {
            let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else {
                return false;
            };
            let differs = |name: &String| {
                other
                    .get(name)
                    .is_some_and(|value| Some(value) != one.get(name))
            };
            !one.keys().any(differs)
        }
        _ => false,
    }
}
