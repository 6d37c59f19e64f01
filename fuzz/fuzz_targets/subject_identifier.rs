//! A subject that is read is written as the same JSON, and a lenient reader takes what a strict one takes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use ssf_set::{Strictness, Subject};

fuzz_target!(|body: &[u8]| {
    let lenient: Option<Value> = serde_json::from_slice(body).ok();
    let Ok(subject) = Subject::parse(body) else {
        return;
    };
    let value = lenient.expect("strict JSON is JSON");
    assert_eq!(subject.to_value(), value);
    assert_eq!(
        Subject::from_value(&value, Strictness::Lenient),
        Ok(subject.clone())
    );
    assert!(subject.matches(&subject));
});
