//! Accepted authorization details are of known types and have one JSON form, and what two sets of them have in common is the same from
//! both sides, within both, and has everything of the one that the other covers.
//!
//! The input is two arrays of details with a byte between them that no text has.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use token_exchange::authority::Details;
use token_exchange::{DetailType, DetailTypes, FieldType};

static TYPES: LazyLock<DetailTypes> = LazyLock::new(|| {
    DetailTypes::new([
        DetailType::new("files")
            .with_field("path", FieldType::any())
            .with_implication("actions", "write", "read"),
        DetailType::new("payment").with_field("currency", FieldType::of(["EUR", "USD"]).required()),
        DetailType::new("chat"),
    ])
});

fuzz_target!(|input: &[u8]| {
    let split = input.iter().position(|byte| *byte == 0xff);
    let (one, other) = input.split_at(split.unwrap_or(input.len()));
    let Some(one) = details(one) else {
        return;
    };
    assert_eq!(one.intersect(&one), one);
    assert_eq!(one.intersect(&Details::default()), Details::default());
    let Some(other) = details(other.get(1..).unwrap_or_default()) else {
        return;
    };
    assert!(one.comparisons(&other) <= one.as_slice().len() * other.as_slice().len());
    let both = one.intersect(&other);
    assert_eq!(both, other.intersect(&one));
    assert_eq!(both.intersect(&one), both);
    for detail in both.as_slice() {
        assert!(one.covers(detail) && other.covers(detail));
    }
    for detail in one.as_slice() {
        assert_eq!(other.covers(detail), both.covers(detail));
    }
    assert_eq!(TYPES.grant(&both.to_value()).unwrap_or_default(), both);
});

fn details(text: &[u8]) -> Option<Details> {
    let known = |details: &Details| {
        let of = |name: &str| TYPES.names().any(|known| known == name);
        let mut details = details.as_slice().iter();
        details.all(|detail| of(detail.type_name()))
    };
    if let Ok(text) = core::str::from_utf8(text) {
        assert!(TYPES.request(text).as_ref().map_or(true, known));
    }
    let details = TYPES.grant(&serde_json::from_slice(text).ok()?).ok()?;
    assert!(known(&details));
    assert!(details.as_slice().iter().all(|one| details.covers(one)));
    // A detail that permits no value of a field is nothing, and an array without any is none.
    assert_eq!(
        TYPES.grant(&details.to_value()).unwrap_or_default(),
        details
    );
    Some(details)
}
