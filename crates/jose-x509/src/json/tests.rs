use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn kind(text: &str) -> JsonErrorKind {
    check(text.as_bytes(), &Limits::CLAIMS).unwrap_err().kind()
}

/// Covers: JWS-4-2, JWS-A15, JWT-A14, JWKA-A20
#[test]
fn duplicate_members_are_refused_at_every_depth_and_after_unescaping() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":1}"#,
        r#"{"\u0061":1,"a":1}"#,
        r#"{"\u0061":1,"\u0061":1}"#,
        r#"{"x":{"y":[{"a":1,"a":2}]}}"#,
        r#"{"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"10":0,"11":0,"12":0,"13":0,"14":0,"15":0,"16":0,"17":0,"17":0}"#,
        r#"{"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"10":0,"11":0,"12":0,"13":0,"14":0,"15":0,"16":0,"17":0,"3":0}"#,
    ] {
        assert_eq!(kind(text), JsonErrorKind::DuplicateMember, "{text}");
    }
    assert!(check(br#"{"a":{"a":1},"b":{"a":1}}"#, &Limits::CLAIMS).is_ok());
}

/// Covers: JWS-4-1, JWS-10.12-1, JWT-8725bis.3.7-1
#[test]
fn only_the_json_grammar_is_accepted() {
    for text in [
        "",
        " ",
        "{}{}",
        "{} x",
        "{\"a\":1,}",
        "[1,]",
        "{'a':1}",
        "{a:1}",
        "{\"a\":+1}",
        "{\"a\":0x1}",
        "{\"a\":01}",
        "{\"a\":.5}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "// c\n{}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\u{1}\"}",
        "\u{feff}{}",
        "{\"a\":1e400}",
    ] {
        assert!(
            matches!(kind(text), JsonErrorKind::Syntax | JsonErrorKind::Shape),
            "{text:?}"
        );
    }
    assert_eq!(
        check(b"{\"a\":\"\xff\"}", &Limits::CLAIMS)
            .unwrap_err()
            .kind(),
        JsonErrorKind::NotUtf8
    );
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(check(&utf16, &Limits::CLAIMS).is_err());
    assert!(check(b" { \"a\" :\n[ 1 , 2 ] }\t", &Limits::CLAIMS).is_ok());
}

/// Covers: JWS-impl-limits-1, JWS-A22, JWS-A24, JWT-A16, JWT-A17
#[test]
fn size_depth_members_and_numbers_are_bounded() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(check(deep(16).as_bytes(), &Limits::CLAIMS).is_ok());
    assert_eq!(kind(&deep(17)), JsonErrorKind::TooDeep);
    assert_eq!(kind(&deep(30_000)), JsonErrorKind::TooDeep);
    // No caller can raise the depth to where the stack ends.
    let limits = Limits::DOCUMENT.with_depth(usize::MAX);
    assert_eq!(
        check(deep(65).as_bytes(), &limits).unwrap_err().kind(),
        JsonErrorKind::TooDeep
    );
    assert_eq!(kind(&" ".repeat(65 * 1024)), JsonErrorKind::TooLarge);
    let members = |n: usize| {
        let members: Vec<_> = (0..n).map(|i| format!("\"m{i}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(check(members(256).as_bytes(), &Limits::CLAIMS).is_ok());
    assert_eq!(kind(&members(257)), JsonErrorKind::TooManyMembers);
    assert_eq!(
        kind(&format!("[{}]", "1".repeat(33))),
        JsonErrorKind::NumberTooLong
    );
    assert_eq!(kind("[1e999999999]"), JsonErrorKind::Syntax);
    // Brackets and digits inside strings do not count.
    let text = format!("[\"{}\\\"{}\"]", "[".repeat(40), "1".repeat(40));
    assert!(check(text.as_bytes(), &Limits::CLAIMS).is_ok());
}

/// Covers: JWS-5.3-1
#[test]
fn names_compare_by_code_point_without_normalisation() {
    // U+00E9 and U+0065 U+0301 look alike and are two names.
    assert!(check("{\"\u{e9}\":1,\"e\u{301}\":1}".as_bytes(), &Limits::CLAIMS).is_ok());
    assert!(check(br#"{"A":1,"a":1}"#, &Limits::CLAIMS).is_ok());
}

#[test]
fn an_error_tells_the_place() {
    let error = check(b"{\n \"a\": 1,\n \"a\": 2 }", &Limits::CLAIMS).unwrap_err();
    assert!((12..=16).contains(&error.offset()), "{error}");
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Covers: JWS-impl-limits-2
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&bytes, &Limits::CLAIMS);
    }

    #[test]
    fn what_serde_json_writes_is_read_back_the_same(value in json()) {
        let text = serde_json::to_vec(&value).unwrap();
        prop_assert_eq!(from_slice::<Value>(&text, &Limits::CLAIMS).unwrap(), value);
    }

    #[test]
    fn repeating_any_member_is_noticed(value in json(), name in "[a-z]{1,3}") {
        let inner = serde_json::to_string(&value).unwrap();
        let text = format!("{{\"{name}\":{inner},\"z9\":0,\"{name}\":{inner}}}");
        prop_assert_eq!(check(text.as_bytes(), &Limits::CLAIMS).unwrap_err().kind(), JsonErrorKind::DuplicateMember);
    }
}
