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

/// Reads in the plain way alone.
fn plainly<'a, T: Deserialize<'a>>(text: &'a str, limits: &Limits) -> Option<T> {
    plain::read(text, limits, &mut As(PhantomData))
}

/// Reads in the general way alone.
fn generally<'a, T: Deserialize<'a>>(text: &'a str, limits: &Limits) -> Result<T, JsonError> {
    read_strictly(text, limits, &mut As(PhantomData))
}

/// What has a type of each kind that `serde` knows.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed<'a> {
    text: &'a str,
    #[serde(borrow)]
    copied: std::borrow::Cow<'a, str>,
    number: u32,
    signed: i64,
    float: f64,
    flag: bool,
    nothing: (),
    some: Option<u8>,
    none: Option<u8>,
    absent: Option<u8>,
    pair: (u8, String),
    list: Vec<u64>,
    map: std::collections::BTreeMap<&'a str, Value>,
    kind: Kind,
    wrapped: Wrapped,
    letter: char,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Kind {
    Unit,
    Content(u8),
}

#[derive(Debug, PartialEq, Deserialize)]
struct Wrapped(u8);

#[test]
fn the_plain_way_reads_every_type_as_the_general_way_does() {
    let text = r#" {"text":"é","copied":"b","number":1,"signed":2,"float":3,"flag":true,"nothing":null,
        "some":4,"none":null,"pair":[5,"c"],"list":[],"map":{"x":[{},{"y":false}]},"kind":"Unit","wrapped":6,"letter":"z"} "#;
    let typed: Typed<'_> = plainly(text, &Limits::CLAIMS).expect("nothing in it is unusual");
    assert_eq!(generally::<Typed<'_>>(text, &Limits::CLAIMS), Ok(typed));
    // What is unusual comes from the general way, whatever was read before it.
    for (from, to) in [
        (r#""c""#, r#""\u0063""#),
        ("\"signed\":2", "\"signed\":-2"),
        ("\"float\":3", "\"float\":3.5"),
        (r#""Unit""#, r#"{"Content":7}"#),
    ] {
        let text = text.replace(from, to);
        assert_eq!(plainly::<Typed<'_>>(&text, &Limits::CLAIMS), None, "{text}");
        let general = generally::<Typed<'_>>(&text, &Limits::CLAIMS);
        assert!(general.is_ok(), "{text}: {general:?}");
        assert_eq!(from_slice(text.as_bytes(), &Limits::CLAIMS), general);
    }
}

#[test]
fn the_plain_way_takes_no_wrong_type_for_a_right_one() {
    fn is_unusual<'a, T: Deserialize<'a>>(texts: &[&'a str]) {
        for text in texts {
            assert!(plainly::<T>(text, &Limits::CLAIMS).is_none(), "{text}");
            assert!(generally::<T>(text, &Limits::CLAIMS).is_err(), "{text}");
        }
    }
    is_unusual::<String>(&["1", "true", "null", "[]", "{}"]);
    is_unusual::<char>(&["1", r#""ab""#]);
    is_unusual::<u64>(&[r#""1""#, "true", "null", "[1]", "18446744073709551616"]);
    is_unusual::<u8>(&["256"]);
    is_unusual::<f64>(&[r#""1""#]);
    is_unusual::<bool>(&[r#""true""#, "1", "truth", "fals"]);
    is_unusual::<()>(&["0", "nul", "[]"]);
    is_unusual::<(u8, u8)>(&["[1]", "[1,2,3]", "{}"]);
    is_unusual::<Vec<u8>>(&["{}", r#""a""#, "[1,]", "[,1]", "[1 2]", "[1", "[1}"]);
    is_unusual::<std::collections::BTreeMap<String, u8>>(&[
        "[]",
        r#"{"a":1,}"#,
        r#"{,"a":1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a",1}"#,
        r#"{"a":1"#,
        r#"{"a":1]"#,
        r#"{1:1}"#,
    ]);
    is_unusual::<Kind>(&[r#""Content""#, r#""Other""#, "1"]);
}

#[test]
fn a_part_that_is_handed_out_unread_was_looked_at() {
    use serde_json::value::RawValue;

    let raw = |text: &'static str| plainly::<Vec<&RawValue>>(text, &Limits::CLAIMS);
    let parts = raw(r#"[ {"a" : [1, 2]} , "b" ]"#).unwrap();
    let texts: Vec<_> = parts.iter().map(|part| part.get()).collect();
    assert_eq!(texts, [r#"{"a" : [1, 2]}"#, r#""b""#]);
    for text in [
        r#"[{"a":1,"a":2}]"#,
        "[{]",
        "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
    ] {
        assert!(raw(text).is_none(), "{text}");
        let general = from_slice::<Vec<Box<RawValue>>>(text.as_bytes(), &Limits::CLAIMS);
        assert!(general.is_err(), "{text}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0..1000_u32).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f32>().prop_map(Value::from),
        "[ -~]{0,9}".prop_map(Value::from),
        "\\PC{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            proptest::collection::btree_map("[a-e]{0,3}|\\PC{0,3}", inner, 0..20)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_the_plain_way_reads_the_general_way_reads_alike(
        value in any_value(),
        pretty: bool,
        depth in 0..7_usize,
        members in 0..20_usize,
    ) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let limits = Limits { members, ..Limits::CLAIMS.with_depth(depth) };
        let general = generally::<Value>(&text, &limits);
        let plain = plainly::<Value>(&text, &limits);
        let plain_text = !text.contains(['\\', '-', '.', 'e']) && !text.contains("18446744073709551");
        if let Some(plain) = &plain {
            prop_assert_eq!(Ok(plain), general.as_ref());
        } else if plain_text && value.as_u64().is_none() && general.is_ok() {
            let long = text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 19);
            prop_assert!(long, "left to the general way: {}", text);
        }
    }

    #[test]
    fn what_is_broken_is_broken_in_both_ways(
        value in any_value(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}:,\"\\\\ 0-9a-z\u{1}é]"), 1..4),
    ) {
        let mut text: Vec<char> = value.to_string().chars().collect();
        for (at, with) in changes {
            let at = at.index(text.len());
            text[at] = with.chars().next().unwrap();
        }
        let text = String::from_iter(text);
        if let Some(plain) = plainly::<Value>(&text, &Limits::CLAIMS) {
            prop_assert_eq!(Ok(plain), generally::<Value>(&text, &Limits::CLAIMS));
        }
    }
}
