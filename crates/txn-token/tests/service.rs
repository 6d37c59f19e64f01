//! The token service: who may ask, with what, and what comes back.
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

use http::{Request, Response, StatusCode, header};
use jose_x509::jws::ProtectedHeader;
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, KeySet, SigningKey, jwt};
use pki_types::UnixTime;
use serde_json::{Map, Value, json};
use support::*;
use token_exchange::{ScopeSet, SubjectToken, TokenType, TokenUse};
use txn_token::service::*;
use txn_token::*;

const FORM: &str = "application/x-www-form-urlencoded";

/// Access tokens are `issuer|subject|scope`, or `revoked`.
struct AccessTokens;

impl SubjectVerifier for AccessTokens {
    fn verify(&self, token: &str, _: &str, now: UnixTime) -> Result<FoundSubject, Error> {
        let parts: Vec<&str> = token.split('|').collect();
        let [issuer, subject, scopes] = parts.as_slice() else {
            return Err(Error::SubjectToken {
                what: "it is not active",
            });
        };
        let mut found = FoundSubject::new(*issuer, *subject);
        found.scope = (!scopes.is_empty()).then(|| scope(scopes));
        found.expires = Some(now.as_secs() + 100);
        Ok(found)
    }
}

fn access(token: &str) -> SubjectToken {
    SubjectToken {
        unverified_token: token.into(),
        token_type: TokenType::AccessToken,
    }
}

fn key() -> SigningKey {
    SigningKey::generate(&provider(), Algorithm::Es256)
        .unwrap()
        .with_kid("w")
}

struct Tts {
    world: World,
    own: SigningKey,
    service: TxnTokenService<SigningKey>,
}

/// `gateway` presents access tokens, `batch` signs for itself, `legacy` is trusted with unsigned objects.
fn service(policy: Arc<dyn IssuePolicy>) -> Tts {
    let (world, own) = (World::new(), key());
    let issuer = TxnTokenIssuer::new(world.key.clone(), DOMAIN, &provider())
        .unwrap()
        .with_issuer(ISSUER);
    let keys =
        |key: &SigningKey| Arc::new(KeySet::new(vec![key.verifying_key().unwrap()]).unwrap());
    let only = |name: &str| Subjects::Only(BTreeSet::from([name.to_owned()]));
    let gateway = Permissions::new(scope("trade watch"))
        .with_type(&TokenType::AccessToken)
        .with_type(&TokenType::Saml2);
    let batch = Permissions::new(scope("trade"))
        .with_own_keys(keys(&own))
        .with_subjects(only("nightly"))
        .with_ceiling(scope("trade watch"));
    let legacy = Permissions::new(scope("trade"))
        .with_type(&TokenType::UnsignedJson)
        .with_subjects(only("till-7"))
        .with_ceiling(scope("trade"));
    let next = Permissions::new(scope("trade")).with_type(&TokenType::TxnToken);
    let service = TxnTokenService::new(issuer, &provider(), ISSUER)
        .unwrap()
        .accept(&TokenType::AccessToken, Arc::new(AccessTokens))
        .permit(id("gateway"), gateway)
        .permit(id("batch"), batch)
        .permit(id("legacy"), legacy)
        .permit(id("next"), next)
        .with_replacement(world.verifier.clone(), keys(&world.key))
        .with_policy(policy);
    Tts {
        world,
        own,
        service,
    }
}

fn tts() -> Tts {
    service(Arc::new(ContextMembers {
        request: vec!["req_ip"],
        details: vec!["amount"],
    }))
}

impl Tts {
    fn body(subject: SubjectToken, scopes: &str) -> String {
        TxnTokenRequest::new(DOMAIN, subject, scope(scopes))
            .to_form()
            .unwrap()
    }

    fn send(&self, body: &str, requester: Option<&str>) -> Response<Vec<u8>> {
        let request = Request::post("/token").header(header::CONTENT_TYPE, FORM);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        self.service
            .handle(&parts, body.as_bytes(), requester, now())
    }

    fn ask(
        &self,
        subject: SubjectToken,
        scopes: &str,
        requester: &str,
    ) -> Result<TxnToken, (u16, String)> {
        let response = self.send(&Self::body(subject, scopes), Some(&id(requester)));
        let (head, body) = response.into_parts();
        assert_eq!(head.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(head.headers[header::CACHE_CONTROL], "no-store");
        if head.status != StatusCode::OK {
            let error: Value = serde_json::from_slice(&body).unwrap();
            return Err((
                head.status.as_u16(),
                error["error"].as_str().unwrap().to_owned(),
            ));
        }
        let response = TxnTokenRequest::parse_response(head.status, &head.headers, &body).unwrap();
        assert_eq!(response.token_use, TokenUse::NotApplicable);
        Ok(self
            .world
            .verifier
            .verify(&response.token, &self.world.keys, now())
            .unwrap())
    }
}

fn refused<T>(status: u16, error: &str) -> Result<T, (u16, String)> {
    Err((status, error.to_owned()))
}

/// Covers: TXN-TOKEN-11-1, TXN-TOKEN-11.2-2, TXN-TOKEN-11.4-1, TXN-TOKEN-11.4-2, TXN-TOKEN-11.4-3, TXN-TOKEN-11.4-4,
/// Covers: TXN-TOKEN-11.4-6, TXN-TOKEN-11.3-11
#[test]
fn an_access_token_becomes_a_transaction_token() {
    let tts = tts();
    let mut request = TxnTokenRequest::new(
        DOMAIN,
        access("https://as|alice|trade watch"),
        scope("trade"),
    );
    request.unverified_request_context =
        Context::parse(r#"{"req_ip":"192.0.2.7","role":"admin"}"#).unwrap();
    request.unverified_request_details =
        Context::parse(r#"{"amount":1.50,"approved":true}"#).unwrap();
    let response = tts.send(&request.to_form().unwrap(), Some(&id("gateway")));
    assert_eq!(response.status(), StatusCode::OK);
    let body: Map<String, Value> = serde_json::from_slice(response.body()).unwrap();
    let mut names: Vec<&str> = body.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "access_token",
            "expires_in",
            "issued_token_type",
            "scope",
            "token_type"
        ]
    );
    assert_eq!(body["token_type"], "N_A");
    assert_eq!(
        body["issued_token_type"],
        "urn:ietf:params:oauth:token-type:txn_token"
    );

    let token = body["access_token"].as_str().unwrap();
    let token = tts
        .world
        .verifier
        .verify(token, &tts.world.keys, now())
        .unwrap();
    assert_eq!(token.requesting_workload(), id("gateway"));
    assert_eq!(token.scope(), &scope("trade"));
    // The subject token ends first.
    assert_eq!(token.expires(), NOW + 100);
    // What the client states is taken over where the service vouches for it, and nowhere else.
    assert_eq!(
        token.request_context().names().collect::<Vec<_>>(),
        ["req_ip"]
    );
    assert_eq!(token.transaction_context().raw("amount"), Some("1.50"));
    assert_eq!(token.transaction_context().get("approved"), None);
    // Another instance with the same configuration is the same service.
    let other = World::new();
    assert!(
        other
            .verifier
            .verify(token.as_received(), &tts.world.keys, now())
            .is_ok()
    );
    let elsewhere = TxnTokenVerifier::new("other.example", ISSUER);
    assert!(
        elsewhere
            .verify(token.as_received(), &tts.world.keys, now())
            .is_err()
    );
}

/// Covers: TXN-TOKEN-11.3-3
#[test]
fn subjects_of_different_issuers_do_not_meet() {
    let tts = tts();
    let subject = |token: &str| {
        tts.ask(access(token), "trade", "gateway")
            .unwrap()
            .subject()
            .to_owned()
    };
    let first = subject("https://a|42|trade");
    assert_eq!(subject("https://a|42|trade"), first);
    for other in [
        "https://b|42|trade",
        "https://a|43|trade",
        "https://a4|2|trade",
        "https://|a42|trade",
    ] {
        assert_ne!(subject(other), first, "{other}");
    }
}

/// Covers: TXN-TOKEN-11.3-1, TXN-TOKEN-11.3-2, TXN-TOKEN-11.5-2, TXN-TOKEN-13.10-1, TXN-TOKEN-13.14-1,
/// Covers: TXN-TOKEN-11.4-5, TXN-TOKEN-13.4-2, TXN-TOKEN-A9, TXN-TOKEN-A14
#[test]
fn each_refusal_has_its_error() {
    let tts = tts();
    let good = || access("https://as|alice|trade");
    let typed = |kind: TokenType| SubjectToken {
        unverified_token: "x".into(),
        token_type: kind,
    };
    for (subject, scopes, requester, status, error) in [
        (good(), "trade", "stranger", 400, "unauthorized_client"),
        // Which workload may present what, and ask for what.
        (good(), "trade", "batch", 400, "unauthorized_client"),
        (good(), "watch", "gateway", 400, "invalid_scope"),
        (good(), "trade watch", "gateway", 400, "invalid_scope"),
        (good(), "admin", "gateway", 400, "invalid_scope"),
        // No scope in the token, and no ceiling.
        (
            access("https://as|alice|"),
            "trade",
            "gateway",
            400,
            "invalid_scope",
        ),
        (
            access("revoked"),
            "trade",
            "gateway",
            400,
            "invalid_request",
        ),
        // Allowed for the client, and nobody here can verify it.
        (
            typed(TokenType::Saml2),
            "trade",
            "gateway",
            400,
            "invalid_request",
        ),
        (
            typed(TokenType::IdToken),
            "trade",
            "gateway",
            400,
            "unauthorized_client",
        ),
        (
            typed(TokenType::RefreshToken),
            "trade",
            "gateway",
            400,
            "invalid_request",
        ),
    ] {
        assert_eq!(
            tts.ask(subject, scopes, requester).map(|_| ()),
            refused(status, error),
            "{requester} {scopes}"
        );
    }

    let nobody = tts.send(&Tts::body(good(), "trade"), None);
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    assert!(nobody.headers().contains_key(header::WWW_AUTHENTICATE));
    // Who is asked before anything is read.
    assert_eq!(tts.send("%%%", None).status(), StatusCode::UNAUTHORIZED);
    let text = String::from_utf8(nobody.into_body()).unwrap();
    assert!(text.contains("invalid_client") && !text.contains("alice"));
}

/// Covers: TXN-TOKEN-5.1-4, TXN-TOKEN-11.2.1-1, TXN-TOKEN-11.2.1-2, TXN-TOKEN-11.2.1-3, TXN-TOKEN-11.2.1-4,
/// Covers: TXN-TOKEN-11.2.1-5, TXN-TOKEN-11.2.1-6, TXN-TOKEN-11.2.1-7, TXN-TOKEN-A12, TXN-TOKEN-A13
#[test]
fn workloads_sign_for_themselves() {
    let tts = tts();
    let subject = self_signed_subject(&tts.own, &id("batch"), "nightly", ISSUER, now()).unwrap();
    assert_eq!(subject.token_type, TokenType::SelfSigned);
    let token = tts.ask(subject.clone(), "trade", "batch").unwrap();
    assert_eq!(token.requesting_workload(), id("batch"));
    // Under another type it is something else.
    let relabelled = SubjectToken {
        token_type: TokenType::AccessToken,
        ..subject
    };
    assert!(tts.ask(relabelled, "trade", "gateway").is_err());

    let claims = json!({
        "iss": id("batch"), "sub": "nightly", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "scope": "admin",
        "extra": {"a": 1},
    });
    let ask = |change: Value, key: &SigningKey, typ: &'static str| {
        let mut claims = claims.clone();
        for (name, value) in change.as_object().unwrap() {
            if value == "DELETE" {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        let token = jwt::sign(key, &ProtectedHeader::new(typ), &claims).unwrap();
        let subject = SubjectToken {
            unverified_token: token,
            token_type: TokenType::SelfSigned,
        };
        tts.ask(subject, "trade", "batch").map(|token| {
            assert!(token.transaction_context().is_empty() && token.request_context().is_empty());
            token.scope().to_string()
        })
    };
    assert_eq!(ask(json!({}), &tts.own, "JWT"), Ok("trade".to_owned()));
    for change in [
        json!({"iss": "DELETE"}),
        json!({"iss": id("gateway")}),
        json!({"sub": "DELETE"}),
        json!({"aud": "DELETE"}),
        json!({"aud": DOMAIN}),
        json!({"aud": "https://other.example.org"}),
        json!({"iat": "DELETE"}),
        json!({"iat": NOW - 3600}),
        json!({"iat": NOW + 3600, "exp": NOW + 3660}),
        json!({"exp": "DELETE"}),
        json!({"exp": NOW - 60}),
    ] {
        assert_eq!(
            ask(change.clone(), &tts.own, "JWT"),
            refused(400, "invalid_request"),
            "{change}"
        );
    }
    let others = ask(json!({"sub": "alice"}), &tts.own, "JWT");
    assert_eq!(others, refused(400, "unauthorized_client"));
    assert_eq!(
        ask(json!({}), &key(), "JWT"),
        refused(400, "invalid_request")
    );
    // A token of another kind under the same key is no subject token.
    assert_eq!(
        ask(json!({}), &tts.own, "txntoken+jwt"),
        refused(400, "invalid_request")
    );
    assert_eq!(
        ask(json!({}), &tts.own, "wpt+jwt"),
        refused(400, "invalid_request")
    );
}

/// Covers: TXN-TOKEN-11.2.2-1, TXN-TOKEN-11.2.2-2, TXN-TOKEN-11.2.2-3, TXN-TOKEN-11.2.2-4
#[test]
fn unsigned_objects_are_for_those_who_may() {
    let tts = tts();
    let members = Map::from_iter([("till".to_owned(), json!(7))]);
    let subject = unsigned_subject("till-7", &members);
    let token = tts.ask(subject.clone(), "trade", "legacy").unwrap();
    assert!(token.transaction_context().is_empty());
    assert_eq!(
        tts.ask(subject, "trade", "gateway").map(|_| ()),
        refused(400, "unauthorized_client")
    );
    let ask = |text: &str| {
        let subject = SubjectToken {
            unverified_token: text.into(),
            token_type: TokenType::UnsignedJson,
        };
        tts.ask(subject, "trade", "legacy").map(|_| ())
    };
    assert_eq!(
        ask(r#"{"sub":"alice"}"#),
        refused(400, "unauthorized_client")
    );
    for bad in [
        "{}",
        r#"{"sub":""}"#,
        r#"{"sub":7}"#,
        r#"{"sub":"till-7","sub":"alice"}"#,
        "[]",
        "null",
        "e30",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ0aWxsLTcifQ.",
        r#"{"sub":"till-7"} x"#,
    ] {
        assert_eq!(ask(bad), refused(400, "invalid_request"), "{bad}");
    }
}

/// The subject is called here as it is called there.
struct SameName;

impl IssuePolicy for SameName {
    fn subject(&self, facts: &Facts<'_>) -> Option<String> {
        Some(facts.subject.subject.clone())
    }
}

#[test]
fn a_name_with_dots_is_no_part_of_a_token() {
    let name = "first.lastname@company.com";
    let mut tts = service(Arc::new(SameName));
    let forms = Permissions::new(scope("trade"))
        .with_type(&TokenType::UnsignedJson)
        .with_subjects(Subjects::Only(BTreeSet::from([name.to_owned()])))
        .with_ceiling(scope("trade"));
    tts.service = tts.service.permit(id("forms"), forms);
    let subject = unsigned_subject(name, &Map::new());
    let token = tts.ask(subject, "trade", "forms").unwrap();
    assert_eq!(token.subject(), name);
}

struct Custom;

impl SubjectVerifier for Custom {
    fn verify(&self, token: &str, requester: &str, _: UnixTime) -> Result<FoundSubject, Error> {
        let mut found = FoundSubject::new(requester, token);
        found.scope = Some(scope("trade"));
        Ok(found)
    }
}

/// Covers: TXN-TOKEN-11.2-4
#[test]
fn further_types_by_agreement() {
    let custom = TokenType::parse("urn:example:ticket", "subject_token_type").unwrap();
    let world = World::new();
    let issuer = || {
        TxnTokenIssuer::new(world.key.clone(), DOMAIN, &provider())
            .unwrap()
            .with_issuer(ISSUER)
    };
    let allowed = Permissions::new(scope("trade")).with_type(&custom);
    let plain = TxnTokenService::new(issuer(), &provider(), ISSUER)
        .unwrap()
        .permit("w", allowed.clone());
    let registered = TxnTokenService::new(issuer(), &provider(), ISSUER)
        .unwrap()
        .permit("w", allowed)
        .accept(&custom, Arc::new(Custom));
    let subject = SubjectToken {
        unverified_token: "t".into(),
        token_type: custom,
    };
    let body = Tts::body(subject, "trade");
    for (service, status) in [
        (plain, StatusCode::BAD_REQUEST),
        (registered, StatusCode::OK),
    ] {
        let request = Request::post("/token").header(header::CONTENT_TYPE, FORM);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(
            service
                .handle(&parts, body.as_bytes(), Some("w"), now())
                .status(),
            status
        );
    }
    assert!(TxnTokenService::new(issuer(), &provider(), "").is_err());
}

/// Maps `orders` to `trade.stocks trade.bonds`, narrows to the first, and refuses one subject.
struct Mapping {
    widen: bool,
    bad: bool,
}

impl IssuePolicy for Mapping {
    fn internal_scopes(&self, external: &ScopeSet, _: &Facts<'_>) -> ScopeSet {
        if external.contains("orders") {
            scope("trade watch")
        } else {
            ScopeSet::default()
        }
    }

    fn scope(&self, facts: &Facts<'_>) -> ScopeSet {
        if self.widen {
            scope("trade watch admin")
        } else {
            facts.scope.iter().take(1).collect()
        }
    }

    fn subject(&self, facts: &Facts<'_>) -> Option<String> {
        Some(if self.bad {
            String::new()
        } else {
            format!("user:{}", facts.subject.subject)
        })
    }

    fn transaction_context(&self, _: &Facts<'_>) -> Context {
        Context::parse(r#"{"customer_type":"retail"}"#).unwrap()
    }

    fn allows(&self, facts: &Facts<'_>) -> bool {
        facts.subject.subject != "mallory"
    }
}

/// Covers: TXN-TOKEN-9.2.1-1, TXN-TOKEN-11.3-9, TXN-TOKEN-11.3-12
#[test]
fn policies_narrow_and_never_widen() {
    let with = |widen, bad| service(Arc::new(Mapping { widen, bad }));
    let tts = with(false, false);
    let token = tts
        .ask(access("https://as|alice|orders"), "trade watch", "gateway")
        .unwrap();
    assert_eq!(token.scope(), &scope("trade"));
    assert_eq!(token.subject(), "user:alice");
    assert_eq!(
        token.transaction_context().get("customer_type"),
        Some(json!("retail"))
    );
    let unmapped = tts.ask(access("https://as|alice|trade"), "trade", "gateway");
    assert_eq!(unmapped.map(|_| ()), refused(400, "invalid_scope"));
    let denied = tts.ask(access("https://as|mallory|orders"), "trade", "gateway");
    assert_eq!(denied.map(|_| ()), refused(400, "unauthorized_client"));

    for (widen, bad) in [(true, false), (false, true)] {
        let answer = with(widen, bad).ask(access("https://as|alice|orders"), "trade", "gateway");
        assert_eq!(answer.map(|_| ()).unwrap_err().0, 500);
    }
}

/// Covers: TXN-TOKEN-13.15-1
#[test]
fn a_transaction_goes_on_with_another_token() {
    let tts = tts();
    let first = tts
        .ask(access("https://as|alice|trade"), "trade", "gateway")
        .unwrap();
    let subject = SubjectToken {
        unverified_token: first.as_received().to_owned(),
        token_type: TokenType::TxnToken,
    };
    let second = tts.ask(subject.clone(), "trade", "next").unwrap();
    assert_eq!(
        (second.txn(), second.subject()),
        (first.txn(), first.subject())
    );
    assert_eq!(second.requesting_workload(), id("next"));
    assert!(tts.ask(subject, "trade", "gateway").is_err());
}

/// Covers: TXN-TOKEN-11.4-1, TXN-TOKEN-11.4-2, TXN-TOKEN-11.4-3, TXN-TOKEN-11.4-4
#[test]
fn clients_take_nothing_but_a_transaction_token() {
    let good = json!({
        "access_token": "t", "token_type": "N_A",
        "issued_token_type": "urn:ietf:params:oauth:token-type:txn_token",
    });
    let mut headers = http::HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    let parse = |body: &Value| {
        TxnTokenRequest::parse_response(StatusCode::OK, &headers, body.to_string().as_bytes())
            .is_ok()
    };
    assert!(parse(&good));
    for (name, value) in [
        ("token_type", json!("Bearer")),
        ("token_type", json!(null)),
        (
            "issued_token_type",
            json!("urn:ietf:params:oauth:token-type:access_token"),
        ),
        ("access_token", json!("")),
        ("refresh_token", json!("r")),
    ] {
        let mut body = good.clone();
        body[name] = value;
        assert!(!parse(&body), "{body}");
    }
    let mut body = good;
    body["token_type"] = json!("n_a");
    assert!(parse(&body));
}

#[test]
fn large_and_deep_requests_cost_little() {
    let tts = tts();
    let deep = format!("{}1{}", "{\"a\":".repeat(1000), "}".repeat(1000));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(10 * 1024 * 1024));
    for details in [deep, large] {
        let escaped: String = form_urlencoded::byte_serialize(details.as_bytes()).collect();
        let good = Tts::body(access("https://as|alice|trade"), "trade");
        let response = tts.send(
            &format!("{good}&request_details={escaped}"),
            Some(&id("gateway")),
        );
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
}
