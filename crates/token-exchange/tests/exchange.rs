//! Forms, requests, responses and resource indicators.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use http::{HeaderMap, Request, StatusCode, header};
use proptest::prelude::*;
use serde_json::{Value, json};
use token_exchange::*;

fn request() -> TokenExchangeRequest {
    let mut request = TokenExchangeRequest::new("subject", TokenType::AccessToken);
    request.audiences = vec!["aud".into()];
    request
}

fn read(body: &str) -> Result<TokenExchangeRequest, Error> {
    TokenExchangeRequest::from_form(&Form::parse(body.as_bytes())?)
}

/// Covers: RFC8693-2.1-1, RFC8693-SPLICE-21
#[test]
fn parameters_come_by_post_in_a_form_and_nowhere_else() {
    let form = "application/x-www-form-urlencoded";
    let send = |method: &str, uri: &str, types: &[&str]| {
        let mut request = Request::builder().method(method).uri(uri);
        for value in types {
            request = request.header(header::CONTENT_TYPE, *value);
        }
        Form::from_request(&request.body(()).unwrap().into_parts().0, b"a=b")
    };
    for types in [[form], ["Application/X-WWW-Form-Urlencoded; charset=UTF-8"]] {
        assert_eq!(send("POST", "/token", &types).unwrap().get("a"), Some("b"));
    }
    for refused in [
        send("GET", "/token", &[form]),
        send("PUT", "/token", &[form]),
        send("POST", "/token?subject_token=x", &[form]),
        send("POST", "/token", &[]),
        send("POST", "/token", &["application/json"]),
        send("POST", "/token", &["application/x-www-form-urlencodedx"]),
        send("POST", "/token", &[form, form]),
    ] {
        assert_eq!(refused, Err(Error::NotAForm));
    }
}

/// Covers: RFC8693-2.1-1, RFC8693-2.2.2-1
#[test]
fn a_form_is_utf_8_in_whole_escapes_and_bounded() {
    for body in [
        "a=%",
        "a=%4",
        "a=%zz",
        "a=%ff",
        "a=%c3%28",
        "a=%00",
        "%e2%82=b",
        "a=%ef%bf%bd",
    ] {
        assert_eq!(
            Form::parse(body.as_bytes()),
            Err(Error::FormEncoding),
            "{body}"
        );
    }
    assert_eq!(Form::parse(b"a=\xff"), Err(Error::FormEncoding));
    let form = Form::parse("a=1+2%2B%c3%a9&&b=&c".as_bytes()).unwrap();
    assert_eq!(
        (form.get("a"), form.get("b"), form.get("c")),
        (Some("1 2+\u{e9}"), None, None)
    );
    assert_eq!(
        form.required("b"),
        Err(Error::MissingParameter { name: "b" })
    );
    let limit = 64 * 1024;
    assert!(Form::parse(format!("a={}", "x".repeat(limit - 2)).as_bytes()).is_ok());
    assert_eq!(
        Form::parse(format!("a={}", "x".repeat(limit - 1)).as_bytes()),
        Err(Error::FormTooLarge { limit })
    );
    assert!(Form::parse("a=b&".repeat(64).as_bytes()).is_ok());
    assert_eq!(
        Form::parse("a=b&".repeat(65).as_bytes()),
        Err(Error::FormTooLarge { limit })
    );
    assert!(!format!("{:?}", Form::parse(b"subject_token=secret").unwrap()).contains("secret"));
}

/// Covers: RFC8693-2.1-2, RFC8693-2.1-4, RFC8693-2.1-8, RFC8693-2.1-9, RFC8693-2.1-11, RFC8693-2.1-12, RFC8693-2.1.1-2,
/// Covers: RFC8693-SPLICE-21, RFC8693-2.2.2-1, RFC8693-2.2.2-2, RFC8693-2.2.2-3, RFC8707-2-3, RFC8707-2-8, RFC8707-2.1-4, RFC8707-2.2-7
#[test]
fn each_rule_of_a_request_has_its_error() {
    let good = request().to_form();
    let jwt = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt";
    let without = |name: &str| {
        let kept = good
            .split('&')
            .filter(|pair| !pair.starts_with(&format!("{name}=")));
        kept.collect::<Vec<_>>().join("&")
    };
    let many = |count: usize| format!("{good}{}", "&audience=b".repeat(count));
    let cases = [
        (
            without("grant_type"),
            "missing_parameter",
            "invalid_request",
        ),
        (
            without("subject_token"),
            "missing_parameter",
            "invalid_request",
        ),
        (
            without("subject_token_type"),
            "missing_parameter",
            "invalid_request",
        ),
        (
            good.replace("=subject&", "=&"),
            "missing_parameter",
            "invalid_request",
        ),
        (
            good.replace("token-exchange", "Token-Exchange"),
            "unsupported_grant_type",
            "unsupported_grant_type",
        ),
        (
            format!("{good}&actor_token=a"),
            "missing_parameter",
            "invalid_request",
        ),
        (
            format!("{good}&actor_token_type={jwt}"),
            "invalid_parameter",
            "invalid_request",
        ),
        (
            format!("{good}&subject_token=x"),
            "repeated_parameter",
            "invalid_request",
        ),
        (
            format!("{good}&scope=a&scope=b"),
            "repeated_parameter",
            "invalid_request",
        ),
        (
            format!("{good}&unknown=a&unknown=b"),
            "repeated_parameter",
            "invalid_request",
        ),
        (
            format!("{good}&scope=a%22b"),
            "invalid_scope",
            "invalid_scope",
        ),
        (
            format!("{good}&requested_token_type=jwt"),
            "unsupported_token_type",
            "invalid_request",
        ),
        (
            format!("{good}&resource=https%3A%2F%2Fa.example%2F%23"),
            "invalid_target",
            "invalid_target",
        ),
        (
            format!("{good}&resource=%2Fapi"),
            "invalid_target",
            "invalid_target",
        ),
        (
            format!("{good}&resource=https%3A%2F%2Fa.example&resource=x"),
            "invalid_target",
            "invalid_target",
        ),
        (
            format!("{good}&audience={}", "x".repeat(2049)),
            "invalid_target",
            "invalid_target",
        ),
        (many(16), "too_many_targets", "invalid_target"),
    ];
    for (body, code, wire) in cases {
        let error = read(&body).unwrap_err();
        assert_eq!(
            (error.code(), error.oauth_error().error),
            (code, wire),
            "{body}"
        );
        let response = error.oauth_error().to_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["error"], wire);
        assert!(error.requirement().is_some());
    }
    assert_eq!(read(&many(15)).unwrap().audiences.len(), 16);
    assert_eq!(
        read(&format!("{good}&unknown=a")).unwrap().audiences,
        ["aud"]
    );
}

/// Covers: RFC8707-2-1, RFC8707-2-2, RFC8707-2-3, RFC8707-2-4, RFC8707-2-5, RFC8707-2-6, RFC8707-A2, RFC8707-A3, RFC8707-A4,
/// Covers: RFC8707-A5, RFC8693-2.1-3, RFC8693-2.1-5, RFC8707-3-1
#[test]
fn resources_are_kept_as_they_are_written() {
    for text in [
        "https://a.example",
        "https://a.example/",
        "https://A.example:443/%2e/x?y=1",
        "urn:example:api",
        "https://a.example/t/?q",
    ] {
        assert_eq!(ResourceIndicator::parse(text).unwrap().as_str(), text);
    }
    for text in [
        "",
        "a.example",
        "/x",
        "//a.example",
        "?q",
        "https://a.example#",
        "https://a.example/#x",
        "https://u@a.example",
        "https://u:p@a.example",
        "https://a.example/ x",
        "https://a.example/\u{e9}",
        " https://a.example",
    ] {
        assert_eq!(
            ResourceIndicator::parse(text),
            Err(Error::InvalidTarget),
            "{text}"
        );
    }
    let long = format!("https://a.example/{}", "x".repeat(2048));
    assert_eq!(ResourceIndicator::parse(&long), Err(Error::InvalidTarget));
    let mut sent = request();
    sent.resources = [
        "https://a.example/t/",
        "https://b.example,https://c.example",
        "https://a.example/t/",
    ]
    .map(|text| ResourceIndicator::parse(text).unwrap())
    .to_vec();
    let received = read(&sent.to_form()).unwrap();
    let targets: Vec<_> = received.targets().collect();
    assert_eq!(
        targets,
        [
            "https://a.example/t/",
            "https://b.example,https://c.example",
            "https://a.example/t/",
            "aud"
        ]
    );
}

/// Covers: RFC8693-3-1, RFC8693-3-5, RFC8693-2.1-7
#[test]
fn token_types_are_compared_exactly() {
    let known = [
        "access_token",
        "refresh_token",
        "id_token",
        "saml1",
        "saml2",
        "jwt",
        "txn_token",
        "id-jag",
    ];
    for name in known {
        let text = format!("urn:ietf:params:oauth:token-type:{name}");
        let parsed = TokenType::parse(&text, "subject_token_type").unwrap();
        assert!(!matches!(parsed, TokenType::Other(_)), "{name}");
        assert_eq!(parsed.as_str(), text);
        let other = TokenType::parse(&text.to_uppercase(), "subject_token_type").unwrap();
        assert!(matches!(other, TokenType::Other(_)));
    }
    let own = TokenType::parse("https://example.com/type", "x").unwrap();
    assert_eq!(own.to_string(), "https://example.com/type");
    for text in ["jwt", "", "/x", &format!("urn:{}", "x".repeat(300))] {
        assert!(TokenType::parse(text, "x").is_err(), "{text}");
    }
}

fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, "application/json".parse().unwrap())])
}

/// Covers: RFC8693-2.2.1-1, RFC8693-2.2.1-2, RFC8693-2.2.1-3, RFC8693-2.2.1-4, RFC8693-2.2.1-6, RFC8693-2.2.1-7,
/// Covers: RFC8693-2.2.1-8, RFC8693-SPLICE-16, RFC8693-A12
#[test]
fn a_response_is_complete_and_has_no_refresh_token() {
    let sent = TokenExchangeResponse::new("t", TokenType::TxnToken, TokenUse::NotApplicable)
        .with_expires_in(300)
        .with_scope(ScopeSet::parse("a b").unwrap());
    let response = sent.to_response();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(response.headers()[header::PRAGMA], "no-cache");
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(
        body,
        json!({
            "access_token": "t", "token_type": "N_A", "expires_in": 300, "scope": "a b",
            "issued_token_type": "urn:ietf:params:oauth:token-type:txn_token",
        })
    );
    let read = TokenExchangeResponse::parse(
        response.status(),
        response.headers(),
        response.body(),
        Some(&TokenType::TxnToken),
    );
    assert_eq!(read.unwrap(), sent);
    assert!(!format!("{sent:?}").contains("\"t\""));
}

/// Covers: RFC8693-SPLICE-22, RFC8693-2.2.1-3, RFC8693-2.2.1-4, RFC8693-2.2.1-5, RFC8693-2.2.2-4
#[test]
fn a_client_uses_only_what_it_asked_for() {
    let jwt = "urn:ietf:params:oauth:token-type:jwt";
    let good = json!({"access_token": "t", "issued_token_type": jwt, "token_type": "bearer", "unknown": 1});
    let parse =
        |body: &str, headers: &HeaderMap, status: StatusCode, requested: Option<&TokenType>| {
            TokenExchangeResponse::parse(status, headers, body.as_bytes(), requested)
        };
    let headers = json_headers();
    let read = parse(
        &good.to_string(),
        &headers,
        StatusCode::OK,
        Some(&TokenType::Jwt),
    )
    .unwrap();
    assert_eq!(
        (read.token_use, read.expires_in, read.scope),
        (TokenUse::Bearer, None, None)
    );
    for (name, value) in [
        ("access_token", json!(null)),
        ("access_token", json!("")),
        ("access_token", json!(1)),
        ("issued_token_type", json!(null)),
        ("issued_token_type", json!("jwt")),
        (
            "issued_token_type",
            json!("urn:ietf:params:oauth:token-type:access_token"),
        ),
        ("token_type", json!(null)),
        ("token_type", json!("mac")),
        ("expires_in", json!("300")),
        ("expires_in", json!(-1)),
        ("scope", json!(["a"])),
        ("scope", json!("a\"")),
    ] {
        let mut body = good.clone();
        body[name] = value.clone();
        let refused = parse(
            &body.to_string(),
            &headers,
            StatusCode::OK,
            Some(&TokenType::Jwt),
        );
        assert_eq!(
            refused.unwrap_err().code(),
            "invalid_response",
            "{name}: {value}"
        );
    }
    let twice = good.to_string().replacen('{', r#"{"access_token":"u","#, 1);
    assert!(parse(&twice, &headers, StatusCode::OK, None).is_err());
    assert!(parse(&good.to_string(), &HeaderMap::new(), StatusCode::OK, None).is_err());
    let error = |body: Value| {
        parse(&body.to_string(), &headers, StatusCode::BAD_REQUEST, None)
            .unwrap_err()
            .to_string()
    };
    assert!(
        error(json!({"error": "invalid_target", "error_description": "x"}))
            .contains("invalid_target")
    );
    assert!(error(json!({"error": "something_else"})).contains("another error"));
    assert!(parse(&good.to_string(), &headers, StatusCode::CREATED, None).is_err());
}

proptest! {
    /// Covers: RFC8693-2.1-1, RFC8707-2-6, RAR-3-1
    #[test]
    fn a_request_survives_its_form(
        token in "\\PC{1,40}", actor in proptest::option::of("\\PC{1,40}"), audiences in proptest::collection::vec("\\PC{1,20}", 0..4),
        scopes in proptest::collection::vec("[!#-\\[\\]-~]{1,8}", 0..4), details in proptest::option::of("\\PC{1,40}"),
    ) {
        prop_assume!(![Some(&token), actor.as_ref(), details.as_ref()].iter().flatten().chain(&audiences.iter().collect::<Vec<_>>()).any(|text| text.contains('\u{fffd}')));
        let mut sent = TokenExchangeRequest::new(token, TokenType::Jwt);
        sent.actor = actor.map(|token| SubjectToken { unverified_token: token, token_type: TokenType::IdToken });
        sent.audiences = audiences;
        sent.scope = Some(scopes.iter().map(String::as_str).collect::<ScopeSet>()).filter(|set| !set.is_empty());
        sent.authorization_details = details;
        sent.requested_token_type = Some(TokenType::TxnToken);
        let read = read(&sent.to_form()).unwrap();
        prop_assert_eq!(read.subject, sent.subject);
        prop_assert_eq!(read.actor, sent.actor);
        prop_assert_eq!(read.audiences, sent.audiences);
        prop_assert_eq!(read.scope, sent.scope);
        prop_assert_eq!(read.authorization_details, sent.authorization_details);
        prop_assert_eq!(read.requested_token_type, sent.requested_token_type);
    }
}
