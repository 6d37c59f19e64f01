//! Where a token is good, and details that say for what.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};
use token_exchange::*;

fn resource(text: &str) -> ResourceIndicator {
    ResourceIndicator::parse(text).unwrap()
}

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

fn registry() -> ResourceRegistry {
    let server = |text: &str, own: &str| ResourceServer::new(resource(text), scopes(own));
    ResourceRegistry::new([
        server("https://cal.example.com/", "calendar shared"),
        server("https://contacts.example.com/", "contacts shared"),
        server("https://files.example.com/", "files").with_audience("urn:files"),
    ])
}

/// Covers: RFC8707-2-10, RFC8707-2.1-1, RFC8707-2.1-3, RFC8707-2.2-2, RFC8707-2.2-3, RFC8707-2.2-4,
/// Covers: RFC8707-2.2-5, RFC8707-3-3, RFC8707-A6, RFC8707-A7, RFC8707-A9, RFC8707-A10
#[test]
fn a_token_is_for_what_was_granted_and_asked_for() {
    let (cal, contacts) = (
        resource("https://cal.example.com/"),
        resource("https://contacts.example.com/"),
    );
    let files = resource("https://files.example.com/");
    let unknown = resource("https://169.254.169.254/latest");
    let both = [cal.clone(), contacts.clone()];
    let one = std::slice::from_ref;
    let (asked, all) = (
        scopes("calendar contacts shared files"),
        registry().with_most_targets(2),
    );
    let target = |found: Result<Target, Error>| {
        found.map(|target| (target.audience.join(" "), target.scopes.to_string()))
    };
    let good = |audience: &str, scopes: &str| Ok((audience.to_owned(), scopes.to_owned()));

    let single = |requested: &[ResourceIndicator], granted, default| {
        target(registry().resolve(requested, granted, default, &asked))
    };
    let at_cal = good("https://cal.example.com/", "calendar shared");
    let at_contacts = good("https://contacts.example.com/", "contacts shared");
    assert_eq!(single(one(&cal), None, None), at_cal);
    assert_eq!(single(&[cal.clone(), cal.clone()], None, None), at_cal);
    assert_eq!(single(one(&files), None, None), good("urn:files", "files"));
    // One grant, a token for each of its resources, and none for a third.
    assert_eq!(single(one(&cal), Some(&both), None), at_cal);
    assert_eq!(single(one(&contacts), Some(&both), None), at_contacts);
    assert_eq!(
        single(one(&files), Some(&both), None),
        Err(Error::InvalidTarget)
    );
    // Nothing named: the grant, else the client's default, else nothing.
    assert_eq!(single(&[], Some(one(&cal)), None), at_cal);
    assert_eq!(single(&[], None, Some(&cal)), at_cal);
    assert_eq!(single(&[], Some(one(&cal)), Some(&files)), at_cal);
    assert_eq!(single(&[], None, None), Err(Error::InvalidTarget));
    assert_eq!(
        single(&[], Some(&[]), Some(&cal)),
        Err(Error::InvalidTarget)
    );
    // Whose token would be good at another's.
    assert_eq!(single(&both, None, None), Err(Error::InvalidTarget));
    assert_eq!(single(&[], Some(&both), None), Err(Error::InvalidTarget));
    let shared = target(all.resolve(&both, None, None, &asked));
    assert_eq!(
        shared,
        good(
            "https://cal.example.com/ https://contacts.example.com/",
            "shared"
        )
    );
    assert_eq!(single(one(&unknown), None, None), Err(Error::InvalidTarget));
    assert_eq!(
        single(one(&unknown), Some(one(&unknown)), None),
        Err(Error::InvalidTarget)
    );
    // No scope means anything there.
    let nothing = registry().resolve(&[cal], None, None, &scopes("contacts files"));
    assert_eq!(nothing, Err(Error::InvalidScope));
}

/// Covers: RFC8707-2.1-2
#[test]
fn resources_of_a_request_object() {
    let read = |value: Value| {
        ResourceIndicator::from_value(&value).map(|all| {
            all.iter()
                .map(|one| one.as_str().to_owned())
                .collect::<Vec<_>>()
        })
    };
    let (a, b) = ("https://a.example/", "https://b.example/");
    assert_eq!(read(json!(a)), Ok(vec![a.to_owned()]));
    assert_eq!(read(json!([a, b])), Ok(vec![a.to_owned(), b.to_owned()]));
    let long = format!("https://a.example/{}", "x".repeat(2048));
    for bad in [
        json!({}),
        json!(1),
        json!([1]),
        json!([]),
        json!(null),
        json!("relative"),
        json!([a, null]),
        json!(vec![a; 17]),
        json!(long),
    ] {
        assert_eq!(read(bad), Err(Error::InvalidTarget));
    }
}

/// Covers: RFC8707-2-11
#[test]
fn one_audience_is_a_text() {
    assert_eq!(audience_value(&["a".into()]), json!("a"));
    assert_eq!(audience_value(&["a".into(), "b".into()]), json!(["a", "b"]));
}

/// Covers: RFC8707-3-4
#[test]
fn tokens_go_to_their_resource_alone() {
    for (own, url, covered) in [
        ("https://a.example/api/", "https://a.example/api/x", true),
        ("https://a.example/api/", "https://a.example/api/", true),
        ("https://a.example/api", "https://a.example/api", true),
        (
            "https://a.example/api",
            "https://a.example/api/x?q=1#f",
            true,
        ),
        (
            "https://a.example/api/",
            "https://a.example:443/api/x",
            true,
        ),
        ("https://a.example", "https://a.example/", true),
        ("https://a.example/", "https://a.example", true),
        ("https://a.example/", "https://a.example/any/thing", true),
        ("https://a.example/api/", "https://a.example/api", false),
        ("https://a.example/api/", "https://b.example/api/x", false),
        ("https://a.example/api", "https://a.example/apix", false),
        ("https://a.example/api/", "https://a.example/apix", false),
        ("https://a.example/api/", "http://a.example/api/", false),
        (
            "https://a.example/api/",
            "https://a.example:8443/api/",
            false,
        ),
        (
            "https://a.example/api/",
            "https://a.example/api/../admin",
            false,
        ),
        (
            "https://a.example/api/",
            "https://a.example/api/%2e%2e/admin",
            false,
        ),
        (
            "https://a.example/api/",
            "https://a.example@b.example/api/",
            false,
        ),
        (
            "https://a.example/api/",
            "https://u:p@a.example/api/",
            false,
        ),
        (
            "https://a.example/?tenant=1",
            "https://a.example/?tenant=1",
            true,
        ),
        (
            "https://a.example/?tenant=1",
            "https://a.example/?tenant=2",
            false,
        ),
        ("urn:files", "urn:files", false),
        ("http://a.example/", "http://a.example/", false),
        ("https://a.example/", "no url", false),
    ] {
        assert_eq!(resource(own).covers(url), covered, "{own} {url}");
    }
}

fn payments() -> DetailType {
    DetailType::new("https://pay.example/types/payment")
        .with_field("actions", FieldType::of(["read", "write"]).required())
        .with_field("locations", FieldType::any())
        .with_field("currency", FieldType::of(["EUR", "USD"]))
        .with_field("amount", FieldType::any().required())
        .with_implication("actions", "write", "read")
        .without_scope()
}

fn types() -> DetailTypes {
    let photo = DetailType::new("photo").with_field("geolocation", FieldType::any());
    DetailTypes::new([payments(), photo, DetailType::new("free")])
}

fn payment(change: Value) -> Value {
    let mut detail = json!({
        "type": "https://pay.example/types/payment", "actions": ["read"], "amount": "100", "currency": "EUR"
    });
    for (name, value) in change.as_object().unwrap() {
        if value == "DELETE" {
            detail.as_object_mut().unwrap().remove(name);
        } else {
            detail[name] = value.clone();
        }
    }
    detail
}

/// Covers: RAR-2.1-2, RAR-2.2-6, RAR-2.2-8, RAR-5-3, RAR-5-5, RAR-5-6, RAR-A1, RAR-A9, RAR-A14
#[test]
fn defined_types_take_what_they_define() {
    let types = types();
    let read = |detail: Value| types.request(&json!([detail]).to_string()).map(|_| ());
    assert_eq!(read(payment(json!({}))), Ok(()));
    assert_eq!(
        read(payment(
            json!({"currency": "DELETE", "actions": ["write", "read"]})
        )),
        Ok(())
    );
    assert_eq!(
        read(json!({"type": "photo", "geolocation": {"lat": 1}})),
        Ok(())
    );
    assert_eq!(
        read(json!({"type": "free", "anything": {"x": [1, "\n"]}})),
        Ok(())
    );
    for change in [
        json!({"foo": 1}),
        json!({"datatypes": ["x"]}),
        json!({"geolocation": {}}),
        json!({"actions": ["delete"]}),
        json!({"actions": ["read", "Write"]}),
        json!({"actions": []}),
        json!({"actions": "DELETE"}),
        json!({"amount": "DELETE"}),
        json!({"currency": "eur"}),
        json!({"currency": ["EUR"]}),
        json!({"amount": "1\r\nSet-Cookie: x"}),
        json!({"amount": {"note": "\u{7f}"}}),
        json!({"amount": {"\u{0}": 1}}),
        json!({"locations": ["https://a.example/\u{1b}[2J"]}),
    ] {
        assert_eq!(
            read(payment(change.clone())),
            Err(Error::InvalidAuthorizationDetails),
            "{change}"
        );
    }
    // A grant is read as strictly: a field that is new to this server is not carried along.
    let grant = types.grant(&json!([payment(json!({"override": true}))]));
    assert_eq!(grant, Err(Error::InvalidAuthorizationDetails));
}

/// Covers: RAR-2.1-1, RAR-10-1, RAR-10-2
#[test]
fn types_are_what_is_registered() {
    let types = types();
    assert!(payments().has_plain_name());
    for name in ["", "zahlung\u{e4}", "a type", "\u{0440}ay"] {
        assert!(!DetailType::new(name).has_plain_name());
    }
    let mut metadata = Map::new();
    types.advertise(&mut metadata);
    let names = json!(["free", "https://pay.example/types/payment", "photo"]);
    assert_eq!(metadata["authorization_details_types_supported"], names);

    let limited = types.limited_to(["photo", "unheard of"]);
    assert_eq!(limited.names().collect::<Vec<_>>(), ["photo"]);
    assert!(limited.request(r#"[{"type":"photo"}]"#).is_ok());
    let other = limited.request(r#"[{"type":"free"}]"#);
    assert_eq!(other, Err(Error::InvalidAuthorizationDetails));
}

/// Covers: RAR-6.1-3, RAR-6.1-4
#[test]
fn implications_hold_for_grants_and_one_way() {
    let types = types();
    let grant = |action: &str| {
        types
            .grant(&json!([payment(json!({"actions": [action]}))]))
            .unwrap()
    };
    let request = |action: &str| {
        let detail = payment(json!({"actions": [action]}));
        types.request(&json!([detail]).to_string()).unwrap()
    };
    for (granted, requested, covered) in [
        ("write", "read", true),
        ("write", "write", true),
        ("read", "read", true),
        ("read", "write", false),
    ] {
        let grant = grant(granted);
        let before = grant.clone();
        let left = grant.intersect(&request(requested));
        assert_eq!(
            !left.as_slice().is_empty(),
            covered,
            "{granted} {requested}"
        );
        assert!(
            left.as_slice()
                .iter()
                .all(|detail| detail.to_value()["actions"] == json!([requested]))
        );
        // Whatever was asked for first, the grant is as it was.
        assert_eq!(grant, before);
    }
    let chain = DetailType::new("x")
        .with_field("actions", FieldType::of(["a", "b", "c"]))
        .with_implication("actions", "b", "c")
        .with_implication("actions", "a", "b");
    let types = DetailTypes::new([chain]);
    let grant = types
        .grant(&json!([{"type": "x", "actions": ["a"]}]))
        .unwrap();
    assert_eq!(
        grant.to_value(),
        json!([{"type": "x", "actions": ["a", "b", "c"]}])
    );
}

/// Covers: RAR-3.1-1, RAR-3.1-2, RAR-3.2-1
#[test]
fn details_stand_beside_scopes_and_resources() {
    let types = types();
    let pay = types
        .request(&json!([payment(json!({}))]).to_string())
        .unwrap();
    let photo = types.request(r#"[{"type":"photo"}]"#).unwrap();
    assert!(types.allow_scope(&photo));
    assert!(!types.allow_scope(&pay));

    let both = Authority::unbounded()
        .with_details(photo.clone())
        .with_scopes(scopes("a b"));
    let narrowed = both.intersect(&Authority::unbounded().with_scopes(scopes("b")));
    assert_eq!(narrowed.scopes.only(), Some(&scopes("b")));
    assert_eq!(narrowed.details.only(), Some(&photo));
    let elsewhere = both.clone().with_targets(["https://a.example/"]);
    assert_eq!(elsewhere.details, both.details);
    let without = both.intersect(&Authority::unbounded().with_details(pay));
    assert!(without.details.only().unwrap().as_slice().is_empty());
    assert_eq!(without.scopes, both.scopes);
}

/// Covers: RAR-9.1-1, RAR-13-1, RAR-A13, RAR-7-3
#[test]
fn everybody_sees_what_is_theirs() {
    let types = DetailTypes::new([DetailType::new("t")]);
    let details = types
        .grant(&json!([
            {"type": "t", "identifier": "one", "locations": ["https://rs1.example"], "debtor": "D"},
            {"type": "t", "identifier": "two", "locations": ["https://rs2.example"]},
            {"type": "t", "identifier": "both", "locations": ["https://rs1.example", "https://rs2.example"]},
            {"type": "t", "identifier": "none"},
        ]))
        .unwrap();
    let at = |location: &str| {
        let value = details.at_location(location).to_value();
        let found = value.as_array().unwrap().iter().map(|detail| {
            (
                detail["identifier"].as_str().unwrap().to_owned(),
                detail["locations"].clone(),
            )
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    };
    let entry = |name: &str, locations: Value| (name.to_owned(), locations);
    let rs1 = json!(["https://rs1.example"]);
    assert_eq!(
        at("https://rs1.example"),
        [
            entry("both", rs1.clone()),
            entry("none", Value::Null),
            entry("one", rs1)
        ]
    );
    assert_eq!(at("https://rs1.example/"), [entry("none", Value::Null)]);

    let told = details.to_value_without(&["debtor", "type"]);
    assert!(!told.to_string().contains("debtor"));
    assert!(
        told.as_array()
            .unwrap()
            .iter()
            .all(|detail| detail["type"] == "t")
    );
    assert!(details.to_value().to_string().contains("debtor"));
}

/// Covers: RAR-7-1, RAR-7.1-2, RFC8707-2.2-6, RAR-12-3, RAR-A12
#[test]
fn responses_say_what_was_granted() {
    let mut request = TokenExchangeRequest::new("subject", TokenType::AccessToken);
    request.authorization_details = Some(r#"[{"type":"t","actions":["read","write"]}]"#.into());
    // The body of a request to the token endpoint, and no URL.
    let form = Form::parse(request.to_form().as_bytes()).unwrap();
    assert_eq!(
        form.get("authorization_details"),
        request.authorization_details.as_deref()
    );

    let granted = json!([{"type": "t", "actions": ["read"]}]);
    let response = TokenExchangeResponse::new("token", TokenType::AccessToken, TokenUse::Bearer)
        .with_scope(scopes("calendar"))
        .with_authorization_details(granted.clone())
        .to_response();
    let (head, body) = response.into_parts();
    let read = TokenExchangeResponse::parse(head.status, &head.headers, &body, None).unwrap();
    assert_eq!(read.authorization_details, Some(granted));
    assert_eq!(read.scope, Some(scopes("calendar")));

    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    let mut members: Value = serde_json::from_slice(&body).unwrap();
    members["authorization_details"] = json!({"type": "t"});
    let wrong = members.to_string();
    let wrong = TokenExchangeResponse::parse(StatusCode::OK, &headers, wrong.as_bytes(), None);
    assert!(matches!(wrong, Err(Error::Response { .. })));
}
