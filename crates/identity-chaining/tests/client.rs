//! Both legs at the client, discovery and metadata, and the examples of the draft.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode};
use identity_chaining::discovery::{REQUESTED_TOKEN_TYPES, advertise_requested_types};
use identity_chaining::*;
use jose_x509::provider::ring::provider;
use jose_x509::{Jwk, VerifyingKey};
use serde_json::{Map, json};
use support::*;
use token_exchange::{Form, SubjectToken, TokenType};

const GRANT: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjI4MTMzMDgwMDQifQ.eyJpc3MiOiJodHRwczovL2FzLmEuZXhhbXBsZS9hdXRoIiwiZXhwIjoxNjk1Mjg3NzUyLCJpYXQiOjE2OTUyODc2OTIsInN1YiI6ImpvaG5kb2VAYS5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcy5iLmV4YW1wbGUvYXV0aCJ9.Li8Rh-c-R0xirbuXlX8x6sQkZRqJIms9U8Rk8cL7uh1Mm232O6mwz1osPEMNef4OFUW-qTfA0C9QdeIl-e0KsA";
const KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"2813308004","use":"sig","x":"MXfMrj_tgPJHxkfmDAx0m74E-T-DuLYCNdmuqtpfP_E","y":"YX82bI52OPBED1h_1HpsxAyWzrQ7DChAAVX9Q9E8uYQ"}"#;

fn pairs(form: &str) -> BTreeSet<(String, String)> {
    let form = Form::parse(form.as_bytes()).unwrap();
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    form.pairs().map(own).collect()
}

fn json_headers() -> HeaderMap {
    let value = HeaderValue::from_static("application/json;charset=UTF-8");
    HeaderMap::from_iter([(http::header::CONTENT_TYPE, value)])
}

fn subject(token: &str) -> SubjectToken {
    SubjectToken {
        unverified_token: token.to_owned(),
        token_type: TokenType::AccessToken,
    }
}

fn server_b() -> AuthorizationServer {
    AuthorizationServer::new(url(B), url(B_TOKEN))
}

/// The draft's example messages (its figures 2, 3, 5 and 6) are what the client writes and reads, and its signed grant is
/// what the server of B accepts at its time and no other.
///
/// Covers: IDCHAIN-2.3.1-1, IDCHAIN-2.3.1-5, IDCHAIN-2.3.3-1, IDCHAIN-2.4.1-1, IDCHAIN-2.4.3-1, IDCHAIN-2-1
#[test]
fn the_drafts_example() {
    let token = "_RU..D03_Nsfw1_0F7den-SLO6WfIh8YHl.iRq4oJY038Kqr";
    let request = GrantRequest::new(subject(token), url(B)).with_resource(uri(B));
    let figure_2 = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&resource=https%3A%2F%2Fas.b.example%2Fauth&subject_token=_RU..D03_Nsfw1_0F7den-SLO6WfIh8YHl.iRq4oJY038Kqr&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
    let plain = request.clone().without_requested_token_type();
    assert_eq!(pairs(&plain.to_form().unwrap()), pairs(figure_2));
    // Beyond the example we say which type of token we want.
    let typed = request.to_form().unwrap();
    let more: Vec<_> = pairs(&typed)
        .difference(&pairs(figure_2))
        .cloned()
        .collect();
    let jwt = "urn:ietf:params:oauth:token-type:jwt".to_owned();
    assert_eq!(more, [("requested_token_type".to_owned(), jwt)]);
    let sent = request
        .to_request(&url("https://as.a.example/token"))
        .unwrap();
    assert_eq!(sent.method(), "POST");
    assert!(GrantRequest::new(subject(token), url(B)).to_form().is_err());

    let figure_3 = format!(
        r#"{{"access_token":"{GRANT}","token_type":"N_A","issued_token_type":"urn:ietf:params:oauth:token-type:jwt","expires_in":60}}"#
    );
    let read =
        |body: &str| request.parse_response(StatusCode::OK, &json_headers(), body.as_bytes());
    let grant = read(&figure_3).unwrap();
    assert_eq!(grant.unverified_expires(), Some(1_695_287_752));
    let wrong = [
        figure_3.replace("N_A", "Bearer"),
        figure_3.replace("token-type:jwt", "token-type:access_token"),
        figure_3.replace(GRANT, "opaque"),
        figure_3.replace("issued_token_type", "issued"),
    ];
    for body in &wrong {
        assert_eq!(read(body).unwrap_err().code(), "invalid_response", "{body}");
    }

    let redeem = grant.redeem_at(&server_b()).unwrap();
    let figure_5 = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={GRANT}"
    );
    assert_eq!(redeem.to_form(), figure_5);
    let sent = redeem.to_request().unwrap();
    assert_eq!(
        (sent.method().as_str(), sent.uri().to_string().as_str()),
        ("POST", B_TOKEN)
    );
    let figure_6 = r#"{"access_token":"b./77-.ehs96cFAx~ac00~qG+z8N_x/4.RpL-2Ykc4~","token_type":"Bearer","expires_in":60}"#;
    let answer = redeem
        .parse_response(StatusCode::OK, &json_headers(), figure_6.as_bytes())
        .unwrap();
    assert_eq!(
        answer.access_token,
        "b./77-.ehs96cFAx~ac00~qG+z8N_x/4.RpL-2Ykc4~"
    );
    assert_eq!((answer.expires_in, answer.dpop), (Some(60), false));

    // The same grant at the server, with the clock of the example.
    let jwk = Jwk::from_slice(KEY.as_bytes()).unwrap();
    let key = Arc::new(VerifyingKey::from_jwk(&provider(), jwk).unwrap());
    let trusted = || {
        TrustedIssuer::new(url(A), key.clone())
            .with_untyped_grants()
            .with_reuse(Reuse::UntilExpiry)
    };
    let verify = |trusted: TrustedIssuer, seconds| {
        let verifier = GrantVerifier::new(&url(B), &url(B_TOKEN)).trust(trusted);
        let unspent = verifier.verify(GRANT, &client("x"), at(seconds))?;
        unspent.spend(&replay(), at(seconds))
    };
    let grant = verify(trusted(), 1_695_287_700).unwrap();
    assert_eq!((grant.subject(), grant.issuer()), ("johndoe@a.example", A));
    for (trusted, seconds, code) in [
        (trusted(), 1_695_287_752 + 60, "expired"),
        (trusted(), 1_695_287_692 - 61, "issued_in_future"),
        (
            trusted().with_reuse(Reuse::Never),
            1_695_287_700,
            "missing_claim",
        ),
        (
            TrustedIssuer::new(url(A), key.clone()),
            1_695_287_700,
            "wrong_type",
        ),
    ] {
        assert_eq!(verify(trusted, seconds).unwrap_err().code(), code);
    }
}

/// A grant goes to the server that it names and to no other, wherever it comes from.
///
/// Covers: IDCHAIN-2-1, IDCHAIN-7523BIS-2, IDCHAIN-A3, IDCHAIN-A11
#[test]
fn a_grant_goes_nowhere_else() {
    let c = AuthorizationServer::new(
        url("https://as.c.example"),
        url("https://as.c.example/token"),
    );
    let external = ReceivedGrant::external(GRANT, &url(B)).unwrap();
    let request = external.redeem_at(&server_b()).unwrap();
    assert_eq!(request.to_form().split("assertion=").nth(1), Some(GRANT));
    let refused = external.redeem_at(&c).unwrap_err();
    assert_eq!(refused, Error::ForeignGrant { claim: "aud" });
    // A server that answers with a grant for somebody else.
    let other = ReceivedGrant::external(GRANT, c.issuer()).unwrap_err();
    assert_eq!(other.code(), "foreign_grant");
    assert!(ReceivedGrant::external("not a grant", &url(B)).is_err());
    // Scope and resource of the second leg name the API.
    let form = request
        .with_scope(scope("read"))
        .with_resource(uri(API))
        .to_form();
    let form = pairs(&form);
    assert!(form.contains(&("resource".into(), API.into())));
    assert!(form.contains(&("scope".into(), "read".into())));
}

/// Errors of either server are one class of refusal, with what the client needs to go on; refresh tokens are dropped.
///
/// Covers: IDCHAIN-2.4.2-5, IDCHAIN-5.4-1
#[test]
fn answers() {
    let parse = |status: u16, body: &str| {
        TokenResponse::parse(
            StatusCode::from_u16(status).unwrap(),
            &json_headers(),
            body.as_bytes(),
        )
    };
    for error in ["invalid_grant", "invalid_request", "invalid_target"] {
        let denied = parse(400, &json!({"error": error}).to_string()).unwrap_err();
        assert_eq!(
            denied,
            Error::Denied {
                error,
                max_age: None
            }
        );
    }
    assert!(matches!(
        parse(400, "{\"error\":\"<script>\"}"),
        Err(Error::Denied {
            error: "another error",
            ..
        })
    ));
    let good = json!({"access_token": "t", "token_type": "bearer", "refresh_token": "r"});
    let answer = parse(200, &good.to_string()).unwrap();
    assert!(!format!("{answer:?}").contains("refresh"));
    for more in [
        json!({"token_type": "N_A"}),
        json!({"token_type": null}),
        json!({"access_token": ""}),
        json!({"expires_in": "60"}),
        json!({"scope": 5}),
        json!({"resource": 5}),
        json!({"authorization_details": {}}),
    ] {
        let body = with(good.clone(), more.clone()).to_string();
        assert_eq!(
            parse(200, &body).unwrap_err().code(),
            "invalid_response",
            "{more}"
        );
    }
    let html = TokenResponse::parse(StatusCode::OK, &HeaderMap::new(), b"{}");
    assert_eq!(html.unwrap_err().code(), "invalid_response");
    assert!(parse(500, "{}").is_err() && parse(200, &"[".repeat(100_000)).is_err());
}

/// The server of a resource is one that the client allows, by a list that the resource's metadata choose from.
///
/// Covers: IDCHAIN-2.2-1, IDCHAIN-2.2-2, IDCHAIN-A11, IDCHAIN-A10
#[test]
fn discovery() {
    let b = url(B);
    let metadata =
        |servers: &[&str]| json!({"resource": API, "authorization_servers": servers}).to_string();
    let allowed = AllowedServers::new().allow(url(B));
    let find = |list: &AllowedServers, servers: &[&str]| {
        list.find(API, metadata(servers).as_bytes()).cloned()
    };
    assert_eq!(find(&allowed, &[B]).unwrap(), b);
    let evil = "https://as.evil.example";
    assert_eq!(find(&allowed, &[B, evil]).unwrap(), b);
    for (servers, code) in [
        (&[evil][..], "unlisted_server"),
        (&[], "unlisted_server"),
        (&["https://as.b.example/auth/"], "unlisted_server"),
        (&["https://10.0.0.5/"], "server_url"),
        (&["https://169.254.169.254/latest"], "server_url"),
        (&["https://[::1]/"], "server_url"),
        (&["https://localhost/"], "server_url"),
        (&["http://as.b.example/auth"], "server_url"),
        (&["https://u@as.b.example/auth"], "server_url"),
    ] {
        assert_eq!(
            find(&allowed, servers).unwrap_err().code(),
            code,
            "{servers:?}"
        );
    }
    let two = AllowedServers::new()
        .allow(url("https://as.c.example"))
        .allow(url(B));
    let both = [B, "https://as.c.example"];
    assert_eq!(
        find(&two, &both).unwrap_err(),
        Error::AmbiguousServer { count: 2 }
    );
    let first = find(&two.by_preference(), &both).unwrap();
    assert_eq!(first.as_str(), "https://as.c.example");
    let fixed = AllowedServers::new().with_static(API, url(B));
    assert_eq!(find(&fixed, &[evil]).unwrap(), b);
    let foreign = json!({"resource": "https://api.c.example/", "authorization_servers": [B]});
    let refused = allowed
        .find(API, foreign.to_string().as_bytes())
        .unwrap_err();
    assert_eq!(refused, Error::Metadata { member: "resource" });

    // RFC 8414: the document at the well-known place has to be this issuer's.
    assert_eq!(
        b.metadata_url(),
        "https://as.b.example/.well-known/oauth-authorization-server/auth"
    );
    let document = |issuer: &str, endpoint: &str| {
        json!({"issuer": issuer, "token_endpoint": endpoint}).to_string()
    };
    let read = |text: String| AuthorizationServer::from_metadata(&b, text.as_bytes());
    let server = read(document(B, B_TOKEN)).unwrap();
    assert_eq!(server.token_endpoint().as_str(), B_TOKEN);
    assert!(read(document(evil, B_TOKEN)).is_err());
    assert!(read(document(B, "https://127.0.0.1/token")).is_err());
    assert!(read("{}".to_owned()).is_err());
}

/// What a server says of the types that it issues; saying nothing is no refusal.
///
/// Covers: IDCHAIN-3-1
#[test]
fn requested_types() {
    let b = url(B);
    let read = |value: Option<serde_json::Value>| {
        let mut document = json!({"issuer": B, "token_endpoint": B_TOKEN});
        if let Some(value) = value {
            document[REQUESTED_TOKEN_TYPES] = value;
        }
        AuthorizationServer::from_metadata(&b, document.to_string().as_bytes())
    };
    let mut metadata = Map::new();
    advertise_requested_types(&mut metadata, &[]);
    assert!(metadata.is_empty());
    advertise_requested_types(&mut metadata, &[TokenType::Jwt]);
    let value = metadata[REQUESTED_TOKEN_TYPES].clone();
    assert_eq!(value, json!(["urn:ietf:params:oauth:token-type:jwt"]));
    let server = read(Some(value)).unwrap();
    assert_eq!(server.says_requested_type(&TokenType::Jwt), Some(true));
    assert_eq!(server.says_requested_type(&TokenType::IdJag), Some(false));
    assert_eq!(
        read(None).unwrap().says_requested_type(&TokenType::Jwt),
        None
    );
    for wrong in [json!("x"), json!({}), json!([1]), json!(null)] {
        let error = read(Some(wrong)).unwrap_err();
        assert_eq!(
            error,
            Error::Metadata {
                member: REQUESTED_TOKEN_TYPES
            }
        );
    }
    // An unlisted type can still be asked for: the request does not know the metadata.
    let request = GrantRequest::new(subject("t"), b.clone()).with_audience("domain-b");
    assert!(request.to_form().unwrap().contains("token-type%3Ajwt"));
}

/// An expired access token leads back to a grant that may be redeemed again, else to a new grant; a refused grant leads
/// to one new grant.
///
/// Covers: IDCHAIN-5.4-2
#[test]
fn after_expiry() {
    let mut progress = Progress::new(NOW + 1000).with_reusable_grants();
    assert_eq!(progress.next(now()), Step::Exchange);
    progress.granted(NOW + 300);
    assert_eq!(progress.next(now()), Step::Redeem);
    progress.redeemed(NOW + 60);
    assert_eq!(progress.next(at(NOW + 59)), Step::Use);
    assert_eq!(progress.next(at(NOW + 60)), Step::Redeem);
    assert!(progress.grant_refused().is_ok());
    assert_eq!(progress.next(at(NOW + 61)), Step::Exchange);
    progress.granted(NOW + 400);
    assert_eq!(progress.next(at(NOW + 62)), Step::Redeem);
    assert!(progress.grant_refused().is_err());

    let mut single = Progress::new(NOW + 1000);
    single.granted(NOW + 300);
    single.redeemed(NOW + 60);
    assert_eq!(single.next(at(NOW + 60)), Step::Exchange);
}
