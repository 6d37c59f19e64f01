#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ComplexSubject, MAX_ALIASES, Strictness, Subject, SubjectIdentifier};

fn strict(value: &Value) -> Result<Subject, crate::Error> {
    Subject::parse(value.to_string().as_bytes())
}

/// Covers: SUBID-3-1, SUBID-3-3, SUBID-3.2.1-1, SUBID-3.2.2-1, SUBID-3.2.3-1, SUBID-3.2.4-1, SUBID-3.2.5-1
/// Covers: SUBID-3.2.6-1, SUBID-3.2.7-1, SUBID-3.2.8-1, SUBID-3.2.8-4, SSF-3.2-1, SSF-3.3-1, SSF-3.3-2, SSF-3.3-3
/// Covers: SSF-3.5.1-1, SSF-3.5.2-1, SSF-3.5.3-1, SSF-3.5.3-2
#[test]
fn every_format_round_trips() {
    for value in [
        json!({"format":"account","uri":"acct:example.user@service.example.com"}),
        json!({"format":"email","email":"user@example.com"}),
        json!({"format":"email","email":"\"odd one\"@example.com"}),
        json!({"format":"iss_sub","iss":"https://issuer.example.com/","sub":"145234573"}),
        json!({"format":"opaque","id":"11112222333344445555"}),
        json!({"format":"phone_number","phone_number":"+12065550100"}),
        json!({"format":"did","url":"did:example:123456"}),
        json!({"format":"did","url":"did:example:123456/did/url/path?versionId=1"}),
        json!({"format":"uri","uri":"https://user.example.com/"}),
        json!({"format":"uri","uri":"urn:uuid:4e851e98-83c4-4743-a5da-150ecb53042f"}),
        json!({"format":"uri","uri":"spiffe://example.org/ns/prod/sa/agent"}),
        json!({"format":"aliases","identifiers":[{"format":"email","email":"user@example.com"},{"format":"phone_number","phone_number":"+12065550100"},{"format":"email","email":"user+qualifier@example.com"}]}),
        json!({"format":"jwt_id","iss":"https://idp.example.com/","jti":"B70BA622-9515"}),
        json!({"format":"saml_assertion_id","issuer":"https://idp.example.com/","assertion_id":"_8e8dc5f69a98cc4c1ff3427e5ce34606fd672f91e6"}),
        json!({"format":"ip-addresses","ip-addresses":["10.29.37.75","2001:0db8:0000:0000:0000:8a2e:0370:7334"]}),
        json!({"format":"complex","user":{"format":"email","email":"a@example.com"},"device":{"format":"opaque","id":"d"},"x-agent":{"format":"uri","uri":"spiffe://example.org/a"}}),
    ] {
        let subject = strict(&value).unwrap();
        assert_eq!(subject.to_value(), value);
    }
}

/// Covers: SUBID-3-1, SUBID-3-3, SUBID-3-4, SUBID-3-5, SUBID-3-6, SUBID-3-7, SUBID-3.2.1-1, SUBID-3.2.1-2
/// Covers: SUBID-3.2.2-1, SUBID-3.2.3-2, SUBID-3.2.5-1, SUBID-3.2.6-1, SUBID-3.2.7-1, SUBID-3.2.8-1, SUBID-3.2.8-3
/// Covers: SUBID-A1, SUBID-A10, SSF-3.3-5, SSF-3.5.2-1, SSF-3.5.3-2
#[test]
fn malformed_identifiers_are_refused() {
    for value in [
        json!([]),
        json!({}),
        json!({"format":1}),
        json!({"format":""}),
        json!({"format":"Email","email":"user@example.com"}),
        json!({"format":"account","uri":"mailto:a@example.com"}),
        json!({"format":"account","uri":"acct:nohost"}),
        json!({"format":"account","uri":""}),
        json!({"format":"account","uri":null}),
        json!({"format":"email","email":"Bob <b@example.com>"}),
        json!({"format":"email","email":"b example@example.com"}),
        json!({"format":"email","email":"@example.com"}),
        json!({"format":"email","email":"b@"}),
        json!({"format":"iss_sub","iss":"https://i","sub":""}),
        json!({"format":"iss_sub","iss":"https://i","sub":null}),
        json!({"format":"iss_sub","iss":"https://i"}),
        json!({"format":"iss_sub","iss":"a b:c","sub":"x"}),
        json!({"format":"iss_sub","issuer":"https://issuer.example.com/","sub":"145234573"}),
        json!({"format":"iss_sub","iss":"https://i","sub":"1","email":"victim@example.com"}),
        json!({"format":"opaque","id":7}),
        json!({"format":"phone_number","phone_number":"2065550100"}),
        json!({"format":"phone_number","phone_number":"+0123"}),
        json!({"format":"phone_number","phone_number":"+1234567890123456"}),
        json!({"format":"phone_number","phone":"+12065550100"}),
        json!({"format":"did","url":"example:123"}),
        json!({"format":"did","url":"did:"}),
        json!({"format":"did","url":"did:Example:1"}),
        json!({"format":"uri","uri":"/relative"}),
        json!({"format":"uri","uri":"https://a b"}),
        json!({"format":"uri","uri":"https://a/%zz"}),
        json!({"format":"aliases","identifiers":[]}),
        json!({"format":"aliases","identifiers":{}}),
        json!({"format":"aliases","identifiers":[{"format":"email","email":"user@example.com"},{"format":"aliases","identifiers":[{"format":"opaque","id":"1"}]}]}),
        json!({"format":"aliases","identifiers":[{"format":"complex","user":{"format":"opaque","id":"1"}}]}),
        json!({"format":"saml_assertion_id","iss":"https://i","assertion_id":"1"}),
        json!({"format":"ip-addresses","ip-addresses":["10.0.0.256"]}),
        json!({"format":"ip-addresses","ip-addresses":["10.0.0.0/8"]}),
        json!({"format":"ip-addresses","ip_addresses":["10.0.0.1"]}),
        json!({"format":"complex"}),
        json!({"format":"complex","user":"a"}),
        json!({"format":"complex","user":{"format":"complex","user":{"format":"opaque","id":"1"}}}),
    ] {
        assert!(strict(&value).is_err(), "{value}");
    }
}

/// Covers: SUBID-A9, SUBID-A3, SSF-3.3-4
#[test]
fn duplicates_and_floods_are_refused() {
    let twice = br#"{"format":"opaque","format":"email","id":"1","email":"a@example.com"}"#;
    assert_eq!(
        Subject::parse(twice).unwrap_err().code(),
        "duplicate_member"
    );
    let member = br#"{"format":"complex","user":{"format":"opaque","id":"1"},"user":{"format":"opaque","id":"2"}}"#;
    assert_eq!(
        Subject::parse(member).unwrap_err().code(),
        "duplicate_member"
    );
    let many = |n: usize| {
        let one = |i| json!({"format":"opaque","id":format!("{i}")});
        json!({"format":"aliases","identifiers":(0..n).map(one).collect::<Vec<_>>()})
    };
    assert!(strict(&many(MAX_ALIASES)).is_ok());
    assert!(strict(&many(MAX_ALIASES + 1)).is_err());
    let deep = format!(
        "{}1{}",
        r#"{"format":"aliases","identifiers":["#.repeat(5000),
        "]}".repeat(5000)
    );
    assert!(Subject::parse(deep.as_bytes()).is_err());
}

/// Covers: SUBID-3-5, SSF-3.6-1, SSF-4.2.3-2, SSF-3.4-1, SUBID-A1
#[test]
fn a_receiver_tolerates_what_it_does_not_know() {
    let lenient = |value: Value| Subject::from_value(&value, Strictness::Lenient);
    let extra = json!({"format":"opaque","id":"1","email":"victim@example.com"});
    let plain = SubjectIdentifier::opaque("1").unwrap();
    assert_eq!(lenient(extra).unwrap(), Subject::from(plain));
    let custom = json!({"format":"x-custom","a":[1,{"b":null}]});
    assert!(strict(&custom).is_err());
    assert_eq!(lenient(custom.clone()).unwrap().to_value(), custom);
    let spaced = json!({"format":"phone_number","phone_number":"+1 206 555 0123"});
    assert_eq!(lenient(spaced.clone()).unwrap().to_value(), spaced);
    // What would act as a wildcard is refused from anybody.
    assert!(lenient(json!({"format":"iss_sub","iss":"https://i","sub":""})).is_err());
    assert!(
        lenient(json!({"format":"complex","user":{"format":"opaque","id":"1"},"application":7}))
            .is_err()
    );
}

/// Covers: SUBID-3.2.2-3, SUBID-3.2.2-4, SUBID-3.2.4-1, SUBID-A2, SUBID-A4, SUBID-A5, SUBID-A6
#[test]
fn identity_is_exact() {
    let iss_sub = |iss, sub| SubjectIdentifier::iss_sub(iss, sub).unwrap();
    assert_ne!(iss_sub("a|b", "c"), iss_sub("a", "b|c"));
    let opaque = |id| SubjectIdentifier::opaque(id).unwrap();
    assert_ne!(opaque(" admin"), opaque("admin"));
    assert_ne!(opaque("\u{e9}"), opaque("e\u{301}"));
    let email = SubjectIdentifier::email("User@Example.COM").unwrap();
    assert_ne!(email, SubjectIdentifier::email("User@example.com").unwrap());
    assert_eq!(
        email.canonical_email_domain(),
        SubjectIdentifier::email("User@example.com").unwrap()
    );
    assert_eq!(email.to_value()["email"], "User@Example.COM");
    assert_ne!(
        SubjectIdentifier::uri("mailto:victim@example.com").unwrap(),
        SubjectIdentifier::email("victim@example.com").unwrap()
    );
    assert_eq!(opaque("A").canonical_email_domain(), opaque("A"));
}

/// Covers: SUBID-3.2.8-5, SUBID-3.2.8-3
#[test]
fn aliases_are_built_flat_and_without_duplicates() {
    let one = SubjectIdentifier::opaque("1").unwrap();
    let two = SubjectIdentifier::opaque("2").unwrap();
    let aliases = SubjectIdentifier::aliases([one.clone(), two, one.clone()]).unwrap();
    assert_eq!(
        aliases.to_value()["identifiers"].as_array().unwrap().len(),
        2
    );
    assert!(aliases.shares_alias(&one) && one.shares_alias(&aliases));
    assert!(!one.shares_alias(&SubjectIdentifier::opaque("3").unwrap()));
    assert!(SubjectIdentifier::aliases([aliases]).is_err());
    assert!(SubjectIdentifier::aliases([]).is_err());
}

/// Covers: SSF-8.1.3.1-2, SSF-8.1.3.1-3, SSF-8.1.3.1-4, SSF-A9, CAEP-3.1-2
#[test]
fn complex_subjects_match_member_by_member() {
    let id = |id: &str| SubjectIdentifier::opaque(id).unwrap();
    let complex = |members: &[(&str, &str)]| {
        let (first, rest) = members.split_first().unwrap();
        let start = ComplexSubject::new(first.0, id(first.1)).unwrap();
        Subject::from(rest.iter().fold(start, |subject, (name, value)| {
            subject.with(name, id(value)).unwrap()
        }))
    };
    let user = complex(&[("user", "u")]);
    for (other, matches) in [
        (complex(&[("user", "u"), ("device", "d")]), true),
        (complex(&[("user", "v"), ("device", "d")]), false),
        (complex(&[("device", "d")]), true),
        (Subject::from(id("u")), false),
    ] {
        assert_eq!(user.matches(&other), matches);
        assert_eq!(other.matches(&user), matches);
    }
    let app = complex(&[("user", "u"), ("application", "a"), ("x", "1")]);
    assert!(!app.matches(&complex(&[("user", "u"), ("application", "b")])));
    assert!(!app.matches(&complex(&[("user", "u"), ("x", "2")])));
    let Subject::Complex(tenant) = complex(&[("tenant", "t")]) else {
        panic!()
    };
    assert!(tenant.is_broad());
    assert!(ComplexSubject::new("format", id("1")).is_err());
    assert!(tenant.with("tenant", id("2")).is_err());
}

fn simple() -> impl Strategy<Value = SubjectIdentifier> {
    prop_oneof![
        "\\PC{1,20}".prop_map(|id| SubjectIdentifier::opaque(&id).unwrap()),
        ("[a-z]{1,8}", "[^:]{1,8}")
            .prop_map(|(iss, sub)| SubjectIdentifier::iss_sub(&iss, &sub).unwrap()),
        "[a-z0-9.]{1,10}@[a-z]{1,10}\\.com"
            .prop_map(|email| SubjectIdentifier::email(&email).unwrap()),
        "\\+[1-9][0-9]{1,14}".prop_map(|n| SubjectIdentifier::phone_number(&n).unwrap()),
        any::<[u8; 4]>().prop_map(|ip| SubjectIdentifier::ip_addresses([ip.into()]).unwrap()),
    ]
}

proptest! {
    /// Covers: SUBID-3-3, SUBID-A2
    #[test]
    fn equality_is_that_of_the_json(a in simple(), b in simple()) {
        let strict = |one: &SubjectIdentifier| SubjectIdentifier::parse(one.to_value().to_string().as_bytes());
        prop_assert!(strict(&a).unwrap() == a);
        prop_assert_eq!(a == b, a.to_value() == b.to_value());
        let aliases = SubjectIdentifier::aliases([a.clone(), b]).unwrap();
        prop_assert!(strict(&aliases).unwrap() == aliases);
        prop_assert!(aliases.shares_alias(&a));
    }
}
