//! The JWT bearer grant of RFC 7523.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

mod common;

use std::time::Duration;

use common::{ISSUER, NOW, PROVIDER, at, code, form, key, sign};
use http::{Request, StatusCode, header};
use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::{self, Jwt};
use jose_x509::{Algorithm, Algorithms, Jwk, KeySet, MemoryReplayGuard, SigningKey, base64url};
use oauth_spiffe_client_auth::assertion::verify_client_assertion;
use oauth_spiffe_client_auth::grant::{
    self, Grant, GrantIssuer, GrantRequest, GrantResponse, GrantValidator, JWT_BEARER_GRANT,
    SubjectMapper,
};
use oauth_spiffe_client_auth::server::read_form;
use oauth_spiffe_client_auth::{Error, Method, ServerMetadata};
use serde_json::{Value, json};

const TOKEN_ENDPOINT: &str = "https://as.example.com/token";
const STS: &str = "https://sts.example";
const USER: &str = "mailto:mike@example.com";

fn set(keys: &[&SigningKey]) -> KeySet {
    KeySet::new(
        keys.iter()
            .map(|key| key.verifying_key().unwrap())
            .collect(),
    )
    .unwrap()
}

struct World {
    key: SigningKey,
    issuers: Vec<GrantIssuer>,
    validator: GrantValidator,
    replay: MemoryReplayGuard,
}

fn world() -> World {
    let key = key("sts");
    World {
        issuers: vec![GrantIssuer::new(STS, set(&[&key]))],
        key,
        validator: GrantValidator::new(ISSUER, TOKEN_ENDPOINT).unwrap(),
        replay: MemoryReplayGuard::new(100),
    }
}

fn claims() -> Value {
    json!({"iss": STS, "sub": USER, "aud": ISSUER, "iat": NOW, "exp": NOW + 300})
}

impl World {
    fn validate(&self, assertion: &str) -> Result<(), Error> {
        let form = grant::request(assertion, None);
        let request = GrantRequest::from_form(&form).unwrap();
        self.validator
            .validate(&request, &self.issuers[..], &self.replay, at(NOW))
            .map(drop)
    }

    fn code(&self, claims: &Value) -> &'static str {
        code(self.validate(&sign(&self.key, "JWT", claims)))
    }

    fn grant<'f>(&self, form: &'f [(String, String)]) -> Grant<'f> {
        let request = GrantRequest::from_form(form).unwrap();
        self.validator
            .validate(&request, &self.issuers[..], &self.replay, at(NOW))
            .unwrap()
    }
}

fn error_of(error: &Error) -> (StatusCode, Value) {
    let response = error.to_response(false);
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    (
        response.status(),
        serde_json::from_slice(response.body()).unwrap(),
    )
}

/// Covers: RFC7523-7521-4.1-1, RFC7523-7521-4.1-2, RFC7523-2.1-1, RFC7523-2.1-2
#[test]
fn requests() {
    let mut sent = grant::request("a.b.c", Some("read"));
    assert_eq!(
        sent,
        form(&[
            ("grant_type", JWT_BEARER_GRANT),
            ("assertion", "a.b.c"),
            ("scope", "read")
        ])
    );
    assert_eq!(
        JWT_BEARER_GRANT,
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    assert_eq!(
        GrantRequest::from_form(&sent).unwrap().unverified_scope(),
        Some("read")
    );
    assert_eq!(
        GrantRequest::from_form(&grant::request("a.b.c", None))
            .unwrap()
            .unverified_scope(),
        None
    );
    sent[0].1 = "URN:ietf:params:oauth:grant-type:jwt-bearer".to_owned();
    let other = GrantRequest::from_form(&sent).map(drop);
    assert_eq!(
        error_of(&other.unwrap_err()).1["error"],
        "unsupported_grant_type"
    );
    let grant_type = ("grant_type", JWT_BEARER_GRANT);
    for wrong in [
        form(&[grant_type]),
        form(&[grant_type, ("assertion", "")]),
        form(&[grant_type, ("assertion", "a.b.c"), ("assertion", "d.e.f")]),
        form(&[grant_type, grant_type, ("assertion", "a.b.c")]),
        form(&[
            grant_type,
            ("assertion", "a.b.c"),
            ("scope", "a"),
            ("scope", "b"),
        ]),
        form(&[("assertion", "a.b.c")]),
    ] {
        let (status, body) = error_of(&GrantRequest::from_form(&wrong).map(drop).unwrap_err());
        assert_eq!(
            (status, &body["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_request")),
            "{wrong:?}"
        );
    }
    let body = oauth_spiffe_client_auth::client::encode(&grant::request("a.b.c", None));
    let read = |method: &str, media_type: &str, body: &[u8]| {
        let uri = "https://as.example.com/token?assertion=in.the.url";
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::CONTENT_TYPE, media_type);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        read_form(&parts, body)
    };
    let form = "application/x-www-form-urlencoded";
    let sent = grant::request("a.b.c", None);
    let sent = sent.iter().map(|(name, value)| (&**name, &**value));
    assert!(
        read("POST", form, body.as_bytes())
            .unwrap()
            .pairs()
            .eq(sent)
    );
    let many = "a=b&".repeat(65);
    for (method, media_type, body, expected) in [
        (
            "POST",
            "application/x-www-form-urlencoded; charset=UTF-8",
            body.as_bytes(),
            "valid",
        ),
        (
            "POST",
            "application/json",
            body.as_bytes(),
            "malformed_client_authentication",
        ),
        (
            "GET",
            form,
            body.as_bytes(),
            "malformed_client_authentication",
        ),
        (
            "POST",
            form,
            &[b'a'; 65_537],
            "malformed_client_authentication",
        ),
        (
            "POST",
            form,
            many.as_bytes(),
            "malformed_client_authentication",
        ),
        ("POST", form, &many.as_bytes()[4..], "valid"),
        (
            "POST",
            form,
            b"assertion=%ff",
            "malformed_client_authentication",
        ),
    ] {
        assert_eq!(
            code(read(method, media_type, body)),
            expected,
            "{method} {media_type}"
        );
    }
    // Two tokens in one value are none.
    let two = format!("{0} {0}", sign(&world().key, "JWT", &claims()));
    assert_eq!(code(world().validate(&two)), "token_characters");
}

/// Every rule of the assertion, broken one at a time: whatever it is, the client reads `invalid_grant`.
///
/// Covers: RFC7523-7521-4.1.1-1, RFC7523-7521-4.1.1-2, RFC7523-3-3, RFC7523-10070-4-6, RFC7523-3.1-2, RFC7523-3-1
/// Covers: RFC7523-3-2, RFC7523-3-5, RFC7523-3-6, RFC7523-3-8, RFC7523-3-11, RFC7523-10070-4-7, RFC7523-A4
/// Covers: RFC7523-A18, RFC7523-A21
#[test]
fn claim_rules() {
    let world = world();
    let cases = [
        ("iss", json!("DELETE"), "missing_claim"),
        ("iss", json!("https://STS.example"), "grant_issuer"),
        ("iss", json!("https://other.example"), "grant_issuer"),
        ("iss", json!([STS]), "claim_type"),
        ("sub", json!("DELETE"), "missing_claim"),
        ("sub", json!(""), "claim_type"),
        ("sub", json!("anybody"), "valid"),
        ("aud", json!([ISSUER]), "valid"),
        ("aud", json!(TOKEN_ENDPOINT), "valid"),
        ("aud", json!([ISSUER, TOKEN_ENDPOINT]), "multiple_audiences"),
        (
            "aud",
            json!([ISSUER, "https://other.example"]),
            "multiple_audiences",
        ),
        ("aud", json!("https://as.example.com/"), "audience_mismatch"),
        ("aud", json!("https://AS.example.com"), "audience_mismatch"),
        (
            "aud",
            json!("https://as.example.com/par"),
            "audience_mismatch",
        ),
        ("aud", json!("DELETE"), "missing_claim"),
        ("aud", json!([]), "claim_type"),
        ("aud", json!(7), "claim_type"),
        ("exp", json!("DELETE"), "missing_claim"),
        ("exp", json!(NOW + 3630), "valid"),
        ("exp", json!(NOW + 3631), "grant_lifetime"),
        ("exp", json!(NOW + 30 * 86_400), "grant_lifetime"),
        ("nbf", json!(NOW + 30), "valid"),
        ("nbf", json!(NOW + 31), "not_yet_valid"),
        ("iat", json!("DELETE"), "valid"),
        ("iat", json!(NOW - 3630), "valid"),
        ("iat", json!(NOW - 3631), "grant_lifetime"),
        ("iat", json!(NOW + 31), "issued_in_future"),
        ("jti", json!("one"), "valid"),
        ("jti", json!("one"), "replayed"),
        ("http://claims.example.com/member", json!(true), "valid"),
    ];
    for (name, value, expected) in cases {
        let mut claims = claims();
        if value == "DELETE" {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
        let assertion = sign(&world.key, "JWT", &claims);
        let found = world.validate(&assertion);
        if let Err(error) = &found {
            let (status, body) = error_of(error);
            assert_eq!(status, StatusCode::BAD_REQUEST);
            assert_eq!(
                body,
                json!({"error": "invalid_grant", "error_description": "the grant is not accepted"})
            );
        }
        assert_eq!(code(found), expected, "{name}: {value}");
    }
    for (expires, expected) in [(NOW - 30, "expired"), (NOW - 29, "valid")] {
        let claims =
            json!({"iss": STS, "sub": USER, "aud": ISSUER, "iat": NOW - 200, "exp": expires});
        assert_eq!(world.code(&claims), expected);
    }
    let strict = World {
        validator: world.validator.clone().with_issuer_only(),
        ..world
    };
    let mut claims = claims();
    assert_eq!(strict.code(&claims), "valid");
    claims["aud"] = TOKEN_ENDPOINT.into();
    assert_eq!(strict.code(&claims), "audience_mismatch");
    claims["aud"] = json!([ISSUER, "https://other.example"]);
    let open = World {
        validator: strict.validator.clone().with_several_audiences(),
        ..strict
    };
    assert_eq!(open.code(&claims), "valid");
    let short = World {
        validator: open
            .validator
            .clone()
            .with_max_lifetime(Duration::from_secs(60)),
        ..open
    };
    assert_eq!(short.code(&claims), "grant_lifetime");
}

/// Covers: RFC7523-3-12, RFC7523-3-13, RFC7523-7521-6.1-2, RFC7523-5-1, RFC7523-7-1, RFC7523-A6, RFC7523-A7, RFC7523-A8
#[test]
fn signatures_and_types() {
    let world = world();
    let valid = sign(&world.key, "JWT", &claims());
    assert_eq!(code(world.validate(&valid)), "valid");
    let untyped = jwt::sign(&world.key, &ProtectedHeader::without_typ(), &claims()).unwrap();
    assert_eq!(code(world.validate(&untyped)), "valid");
    // A client assertion by the same key, and other kinds of token.
    for typ in [
        "client-authentication+jwt",
        "at+jwt",
        "oauth-id-jag+jwt",
        "logout+jwt",
        "dpop+jwt",
    ] {
        assert_eq!(
            code(world.validate(&sign(&world.key, typ, &claims()))),
            "wrong_type",
            "{typ}"
        );
    }
    // An ID token is for the client.
    let mut id_token = claims();
    id_token["aud"] = "client-1".into();
    assert_eq!(world.code(&id_token), "audience_mismatch");
    assert_eq!(
        code(world.validate(&sign(&key("sts"), "JWT", &claims()))),
        "invalid_signature"
    );
    assert_eq!(
        code(world.validate(&sign(&key("other"), "JWT", &claims()))),
        "unknown_key"
    );
    let (_, rest) = valid.split_once('.').unwrap();
    for alg in ["none", "HS256"] {
        let header = base64url::encode(json!({"alg": alg, "kid": "sts"}).to_string().as_bytes());
        assert_eq!(
            code(world.validate(&format!("{header}.{rest}"))),
            "unsupported_algorithm"
        );
    }
    // Encrypted assertions are not read.
    let error = world.validate("a.b.c.d.e").unwrap_err();
    assert_eq!(
        (error.code(), &error_of(&error).1["error"]),
        ("encrypted_not_signed", &json!("invalid_grant"))
    );
    // A key of another issuer, whose name the token gives.
    let other = key("sts");
    let two = World {
        issuers: vec![
            GrantIssuer::new("https://other.example", set(&[&other])),
            world.issuers[0].clone(),
        ],
        ..world
    };
    assert_eq!(
        code(two.validate(&sign(&other, "JWT", &claims()))),
        "invalid_signature"
    );
    // RS256, which everybody has to know, unless the issuer is not to use it.
    let jwk = include_bytes!("../../../test-vectors/keys/rsa2048.jwk.json");
    let mut jwk: Value = serde_json::from_slice(jwk).unwrap();
    jwk["alg"] = "RS256".into();
    let rsa = SigningKey::from_jwk_slice(&PROVIDER, jwk.to_string().as_bytes()).unwrap();
    let assertion = sign(&rsa, "JWT", &claims());
    let issuer = GrantIssuer::new(STS, set(&[&rsa]));
    let with = |issuer| World {
        issuers: vec![issuer],
        ..self::world()
    };
    assert_eq!(code(with(issuer.clone()).validate(&assertion)), "valid");
    let narrowed = issuer.with_algorithms(Algorithms::of(&[Algorithm::Es256]));
    assert_eq!(
        code(with(narrowed).validate(&assertion)),
        "algorithm_not_allowed"
    );
    let short = json!({"kty": "RSA", "n": base64url::encode(&[0xc1; 128]), "e": "AQAB"});
    assert!(Jwk::from_value(&short).is_err());
}

/// Where one key and one name are configured for both, an assertion of the common type is either, and only once.
#[test]
fn a_client_assertion_is_no_grant_afterwards_nor_the_reverse() {
    let world = world();
    let keys = set(&[&world.key]);
    let authenticate = |assertion: &str| {
        verify_client_assertion(assertion, STS, ISSUER, &keys, Some(&world.replay), at(NOW))
            .map(drop)
    };
    let assertion = |id: &str| {
        let mut claims = claims();
        claims["sub"] = STS.into();
        claims["jti"] = id.into();
        sign(&world.key, "JWT", &claims)
    };
    let (one, two) = (assertion("one"), assertion("two"));
    assert_eq!(code(authenticate(&one)), "valid");
    assert_eq!(code(world.validate(&one)), "replayed");
    assert_eq!(code(world.validate(&two)), "valid");
    assert_eq!(code(authenticate(&two)), "replayed");
}

/// An account of this issuer's, or somebody anonymous.
struct Accounts;

impl SubjectMapper for Accounts {
    type Principal = String;

    fn map(&self, issuer: &str, subject: &str, claims: &Jwt) -> Option<String> {
        match (issuer, subject) {
            (STS, USER) => Some("mike".to_owned()),
            ("https://other.example", "anonymous") => {
                let role = claims.claims_map().ok()?.get("role")?.as_str()?.to_owned();
                Some(format!("somebody who is {role}"))
            }
            _ => None,
        }
    }
}

/// Whom a subject means is decided for each issuer by itself.
///
/// Covers: RFC7523-7521-6.2-1, RFC7523-7521-6.3-1, RFC7523-7521-6.3.1-1, RFC7523-3-3, RFC7523-A16
#[test]
fn subjects() {
    let other = key("other");
    let mut world = world();
    world
        .issuers
        .push(GrantIssuer::new("https://other.example", set(&[&other])));
    let principal = |claims: &Value, key: &SigningKey| {
        let form = grant::request(&sign(key, "JWT", claims), None);
        world.grant(&form).principal(&Accounts)
    };
    assert_eq!(principal(&claims(), &world.key).as_deref(), Ok("mike"));
    let mut foreign = claims();
    foreign["iss"] = "https://other.example".into();
    let error = principal(&foreign, &other).unwrap_err();
    assert_eq!(
        (error.code(), &error_of(&error).1["error"]),
        ("grant_subject", &json!("invalid_grant"))
    );
    foreign["sub"] = "anonymous".into();
    foreign["role"] = "a doctor".into();
    assert_eq!(
        principal(&foreign, &other).as_deref(),
        Ok("somebody who is a doctor")
    );
    // A client that speaks of itself.
    let mut own = claims();
    own["sub"] = "https://client.example".into();
    let form = grant::request(&sign(&world.key, "JWT", &own), None);
    assert_eq!(world.grant(&form).subject(), "https://client.example");
    assert_eq!(world.grant(&form).issuer(), STS);
    assert_eq!(
        code(world.grant(&form).principal(&Accounts)),
        "grant_subject"
    );
}

/// What is issued is never more, and never for longer, than what was granted.
///
/// Covers: RFC7523-7521-4.1-3, RFC7523-7521-4.1-5, RFC7523-7521-4.1-6, RFC7523-4-1, RFC7523-A17, RFC7523-A18
#[test]
fn what_is_issued() {
    let world = world();
    let assertion = sign(&world.key, "JWT", &claims());
    let granted = ["read", "write"];
    for (scope, expected) in [
        (None, Some(&granted[..])),
        (Some("read"), Some(&granted[..1])),
        (Some("write read"), Some(&["write", "read"][..])),
        (Some("read admin"), None),
        (Some("READ"), None),
        (Some("read  write"), None),
    ] {
        let form = grant::request(&assertion, scope);
        let found = world.grant(&form).scope(granted);
        assert_eq!(found.as_deref().ok(), expected, "{scope:?}");
        if let Err(error) = found {
            assert_eq!(
                error_of(&error),
                (
                    StatusCode::BAD_REQUEST,
                    json!({"error": "invalid_scope", "error_description": "the scope is beyond what is granted"})
                )
            );
        }
    }
    let form = grant::request(&assertion, None);
    let grant = world.grant(&form);
    let seconds = |wanted: u64, now: u64| {
        grant
            .lifetime(Duration::from_secs(wanted), at(now))
            .as_secs()
    };
    assert_eq!(
        (
            seconds(60, NOW),
            seconds(3600, NOW),
            seconds(3600, NOW + 310)
        ),
        (60, 300, 0)
    );
    let response =
        GrantResponse::bearer("token", grant.lifetime(Duration::from_secs(3600), at(NOW)));
    let answer = response
        .clone()
        .with_scope(&["read", "write"])
        .to_response();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(
        body,
        json!({"access_token": "token", "token_type": "Bearer", "expires_in": 300, "scope": "read write"})
    );
    let body: Value = serde_json::from_slice(
        GrantResponse::dpop("t", Duration::ZERO)
            .to_response()
            .body(),
    )
    .unwrap();
    assert_eq!(
        body,
        json!({"access_token": "t", "token_type": "DPoP", "expires_in": 0})
    );
    assert!(!format!("{response:?}").contains("token\""));
}

/// Covers: RFC7523-7521-4.1-4, RFC7523-3.1-1
#[test]
fn client_authentication_comes_first() {
    let required = world().validator;
    let optional = required.clone().with_unauthenticated_clients();
    for (validator, without) in [(required, "no_client_authentication"), (optional, "valid")] {
        assert_eq!(
            code(validator.check_client::<()>(Err(Error::NoMethod))),
            without
        );
        assert_eq!(validator.check_client(Ok(7)), Ok(Some(7)));
        // One that was tried has to succeed, also where the method is not one of this server's.
        for error in [Error::UnknownClient, Error::OtherMethod] {
            let error = validator.check_client::<()>(Err(error)).unwrap_err();
            let (status, body) = error_of(&error);
            assert_eq!(
                (status, &body["error"]),
                (StatusCode::UNAUTHORIZED, &json!("invalid_client"))
            );
        }
    }
}

/// Everything that the parties agree on is said by the configuration.
///
/// Covers: RFC7523-7521-8-1, RFC7523-10070-4-4, RFC7523-10070-4-5, RFC7523-5-2, RFC7523-A1, RFC7523-A2
#[test]
fn configuration() {
    for url in [
        "",
        "as.example.com",
        "http://as.example.com",
        "https://as.example.com?x",
        "https://as.example.com#x",
    ] {
        assert_eq!(
            code(GrantValidator::new(url, TOKEN_ENDPOINT)),
            "metadata",
            "{url}"
        );
        assert_eq!(code(GrantValidator::new(ISSUER, url)), "metadata", "{url}");
        assert_eq!(
            code(ServerMetadata::configured(
                url,
                TOKEN_ENDPOINT,
                &[Method::PrivateKeyJwt]
            )),
            "metadata"
        );
    }
    assert_eq!(
        code(ServerMetadata::configured(
            ISSUER,
            "http://as.example.com/token",
            &[]
        )),
        "metadata"
    );
    // Metadata of another server than the one that was asked, and endpoints without TLS.
    let read = |members: &Value| {
        ServerMetadata::authorization_server(ISSUER, members.to_string().as_bytes())
    };
    let good = json!({"issuer": ISSUER, "token_endpoint": TOKEN_ENDPOINT});
    let server = read(&good).unwrap();
    for (name, value) in [
        ("issuer", json!("https://honest.example")),
        ("issuer", json!("https://as.example.com/")),
        ("issuer", json!(null)),
        ("token_endpoint", json!("http://as.example.com/token")),
        (
            "token_endpoint",
            json!("https://as.example.com@evil.example/token#x"),
        ),
        ("revocation_endpoint", json!("ftp://as.example.com")),
        ("pushed_authorization_request_endpoint", json!(7)),
        (
            "mtls_endpoint_aliases",
            json!({"token_endpoint": "http://mtls.example"}),
        ),
        ("mtls_endpoint_aliases", json!([])),
    ] {
        let mut members = good.clone();
        members[name] = value;
        assert_eq!(code(read(&members)), "metadata", "{name}");
    }
    assert_eq!(
        code(ServerMetadata::authorization_server(ISSUER, b"[]")),
        "metadata"
    );
    // An attacker's server that names an honest one's token endpoint: what is signed for it is for its own issuer.
    let attacker = json!({"issuer": "https://attacker.example", "token_endpoint": "https://honest.example/token"});
    let attacker = ServerMetadata::authorization_server(
        "https://attacker.example",
        attacker.to_string().as_bytes(),
    )
    .unwrap();
    let key = key("client");
    let assertion = oauth_spiffe_client_auth::assertion::sign_client_assertion(
        &key,
        &PROVIDER,
        "client",
        &attacker,
        at(NOW),
    )
    .unwrap();
    let payload = assertion.split('.').nth(1).unwrap();
    let claims: Value =
        serde_json::from_slice(&base64url::decode(payload, "payload").unwrap()).unwrap();
    assert_eq!(claims["aud"], "https://attacker.example");
    // Before an assertion leaves, its audience is compared.
    let world = world();
    for (audience, expected) in [
        (json!(ISSUER), "valid"),
        (json!([ISSUER]), "valid"),
        (json!(TOKEN_ENDPOINT), "valid"),
        (json!("https://other.example"), "audience_mismatch"),
        (
            json!([ISSUER, "https://other.example"]),
            "multiple_audiences",
        ),
        (json!([]), "multiple_audiences"),
        (json!(7), "audience_mismatch"),
        (Value::Null, "audience_mismatch"),
    ] {
        let claims = json!({"iss": STS, "sub": USER, "aud": audience, "exp": NOW + 60});
        let found = grant::check_audience(&sign(&world.key, "JWT", &claims), &server);
        assert_eq!(code(found), expected, "{audience}");
    }
    let without = sign(&world.key, "JWT", &json!({"iss": STS}));
    assert_eq!(
        code(grant::check_audience(&without, &server)),
        "missing_claim"
    );
    assert!(grant::sign(&world.key, STS, "", ISSUER, at(NOW)).is_err());
    let made = grant::sign(&world.key, STS, USER, ISSUER, at(NOW)).unwrap();
    assert_eq!(code(grant::check_audience(&made, &server)), "valid");
    assert_eq!(code(world.validate(&made)), "valid");
}
