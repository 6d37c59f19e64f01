//! Grants for other domains, made of transaction tokens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/domains.rs"]
mod domains;
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domains::*;
use http::{Request, StatusCode};
use identity_chaining::{
    AuthorizationServer, Client, ClientMethod, GrantIssuer, GrantKind, ReceivedGrant, TokenEndpoint,
};
use jose_x509::jws::UnverifiedJws;
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, Algorithms, SigningKey, base64url};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use support::*;
use token_exchange::{DetailType, DetailTypes, Form, TokenExchangeResponse};
use txn_token::chaining::*;
use txn_token::*;

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const TXN: &str = "urn:ietf:params:oauth:token-type:txn_token";

type Pairs<'t> = Vec<(&'t str, &'t str)>;

fn set<'t>(mut pairs: Pairs<'t>, name: &'t str, value: Option<&'t str>) -> Pairs<'t> {
    pairs.retain(|(other, _)| *other != name);
    pairs.extend(value.map(|value| (name, value)));
    pairs
}

fn wire(error: &Error) -> (u16, String) {
    let response = error.to_response();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let members: Value = serde_json::from_slice(response.body()).unwrap();
    (
        response.status().as_u16(),
        members["error"].as_str().unwrap().to_owned(),
    )
}

/// The draft's example, request, header, claims and response.
///
/// Covers: TXN-CHAIN-4.3.1-3, TXN-CHAIN-4.3.1-4, TXN-CHAIN-4.3.4-1, TXN-CHAIN-4.3.4-2, TXN-CHAIN-4.3.4-3, TXN-CHAIN-5.1-8,
/// Covers: TXN-CHAIN-6.1.1-1, TXN-CHAIN-6.1.1-3, TXN-CHAIN-6.1.1-4, TXN-CHAIN-6.1.2-1, TXN-CHAIN-6.1.2-2, TXN-CHAIN-6.1.2-3,
/// Covers: TXN-CHAIN-6.1.2-4, TXN-CHAIN-6.1.2-6, TXN-CHAIN-7.1-1, TXN-CHAIN-7.1-2, TXN-CHAIN-7.4-2, TXN-CHAIN-7.4-3,
/// Covers: TXN-CHAIN-10-1, TXN-CHAIN-10-2
#[test]
fn the_drafts_example() {
    let domains = Domains::new();
    let token = domains.token(json!({}));
    let request = ChainingRequest::new(token.as_str(), url(B))
        .with_resource(uri(API))
        .with_scope(scope("spam.rating.read"));
    let published = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=<txn-token>&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Atxn_token&audience=https%3A%2F%2Fas.spamsvc.example&resource=https%3A%2F%2Fapi.spamsvc.example%2Fspam-rating&scope=spam.rating.read";
    let pairs = |form: &str| -> BTreeSet<(String, String)> {
        let form = Form::parse(form.as_bytes()).unwrap();
        form.pairs()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let expected = published.replace("<txn-token>", &token);
    assert_eq!(pairs(&request.to_form().unwrap()), pairs(&expected));

    let agreement = domains
        .agreement()
        .with_internal_scope()
        .with_request_context("smtp_from")
        .unwrap();
    let (parts, sent) = request.to_request(&url(A_TOKEN)).unwrap().into_parts();
    let response = domains
        .a_with(agreement)
        .handle(&parts, &sent, Some(&client(RW)), now());
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let members: Value = serde_json::from_slice(response.body()).unwrap();
    let names: BTreeSet<&str> = members
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "access_token",
        "expires_in",
        "issued_token_type",
        "scope",
        "token_type",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!(members["issued_token_type"], JWT);
    assert_eq!(members["token_type"], "N_A");
    assert_eq!(members["expires_in"], 60);
    let grant = members["access_token"].as_str().unwrap();
    let jws = UnverifiedJws::parse(grant).unwrap();
    let header = Value::Object(jws.unverified_header().members().unwrap());
    assert_eq!(
        header,
        json!({"typ": "txn-chain+jwt", "alg": "ES256", "kid": "as-enterprise-2026-01"})
    );
    let claims = Value::Object(claims_of(grant));
    assert_eq!(claims, domains.claims(json!({"jti": claims["jti"]})));

    // Nothing is told that is not listed: by default no `txn_claims`, and no member of the token service's.
    let mut request = leg_1(&token);
    request.push(("sub", "root"));
    let claims = exchange(&domains.a(), &request).unwrap();
    let names: BTreeSet<&str> = claims.keys().map(String::as_str).collect();
    let expected = ["aud", "exp", "iat", "iss", "jti", "scope", "sub", "txn"];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!(claims["sub"], "mail-gateway@enterprise.example");

    let mut several = leg_1(&token);
    several.extend([
        ("resource", API),
        ("resource", "https://api.spamsvc.example/spam-rating/v2"),
    ]);
    let claims = exchange(&domains.a(), &several).unwrap();
    assert_eq!(claims["resource"].as_array().unwrap().len(), 2);
}

/// Every defect of a request, with the error that it has on the wire. Nothing is issued.
///
/// Covers: TXN-CHAIN-2.2-1, TXN-CHAIN-4.1-1, TXN-CHAIN-4.1-2, TXN-CHAIN-4.1-3, TXN-CHAIN-4.3.1-1, TXN-CHAIN-4.3.1-2,
/// Covers: TXN-CHAIN-4.3.1-3, TXN-CHAIN-4.3.2-1, TXN-CHAIN-4.3.2-2, TXN-CHAIN-4.3.2-4, TXN-CHAIN-4.3.2-5, TXN-CHAIN-4.3.4-4,
/// Covers: TXN-CHAIN-5.1-2, TXN-CHAIN-5.1-3, TXN-CHAIN-5.1-4, TXN-CHAIN-5.1-5, TXN-CHAIN-5.1-6, TXN-CHAIN-5.1-7,
/// Covers: TXN-CHAIN-7.2-1, TXN-CHAIN-7.3-1, TXN-CHAIN-A4
#[test]
fn requests() {
    let domains = Domains::new();
    let a = domains.a();
    let token = domains.token(json!({}));
    let base = || leg_1(&token);
    let plus = |name, value| {
        let mut pairs = base();
        pairs.push((name, value));
        pairs
    };
    for good in [
        base(),
        plus("requested_token_type", JWT),
        plus("scope", "spam.rating.read"),
        plus("resource", API),
    ] {
        assert!(exchange(&a, &good).is_ok(), "{good:?}");
    }
    let expired = domains.token(json!({"iat": NOW - 400, "exp": NOW - 100}));
    let foreign_aud = domains.token(json!({"aud": A}));
    let access = sign_with(
        &domains.tts,
        Some("at+jwt"),
        &json!({"iss": TTS, "aud": ENTERPRISE}),
    );
    let id_token = sign_with(
        &domains.tts,
        Some("JWT"),
        &json!({"iss": TTS, "aud": ENTERPRISE}),
    );
    let forged = Domains::new().token(json!({}));
    let claims = Value::Object(claims_of(&token));
    let unknown_kid = sign_with(&key("other"), Some(TXN_TOKEN_TYPE), &claims);
    let header = jose_x509::jws::ProtectedHeader::new(TXN_TOKEN_TYPE);
    let header = header
        .with_parameter("jku", "https://evil.example/jwks")
        .unwrap();
    let jku = jose_x509::jws::sign(&domains.tts, &header, claims.to_string().as_bytes()).unwrap();
    let unmapped_kind = domains.token(json!({"sub": "device-5"}));
    let unmapped = domains.token(json!({"sub": "spiffe://enterprise.example/unknown"}));
    let unscoped = domains.token(json!({"scope": "unmapped"}));
    let at = "urn:ietf:params:oauth:token-type:access_token";
    let hyphen = "urn:ietf:params:oauth:token-type:txn-token";
    let mut actor = plus("actor_token", "t");
    actor.push(("actor_token_type", JWT));
    let of = |token| set(base(), "subject_token", Some(token));
    let cases = [
        (of(&expired), "invalid_request"),
        (of(&foreign_aud), "invalid_request"),
        (of(&access), "invalid_request"),
        (of(&id_token), "invalid_request"),
        (of(&forged), "invalid_request"),
        (of(&unknown_kid), "invalid_request"),
        (of(&jku), "invalid_request"),
        (of(&unmapped_kind), "invalid_request"),
        (of(&unmapped), "invalid_request"),
        (of(&unscoped), "invalid_scope"),
        (
            set(base(), "subject_token_type", Some(at)),
            "invalid_request",
        ),
        (
            set(base(), "subject_token_type", Some(hyphen)),
            "invalid_request",
        ),
        (set(base(), "subject_token_type", None), "invalid_request"),
        (set(base(), "subject_token", None), "invalid_request"),
        (set(base(), "grant_type", None), "invalid_request"),
        (
            set(base(), "grant_type", Some("password")),
            "unsupported_grant_type",
        ),
        (plus("requested_token_type", at), "invalid_request"),
        (plus("requested_token_type", TXN), "invalid_request"),
        (plus("authorization_details", "[]"), "invalid_request"),
        (plus("audience", B), "invalid_request"),
        (actor, "invalid_request"),
        (set(base(), "audience", None), "invalid_request"),
        (set(base(), "audience", Some(API)), "invalid_target"),
        (set(base(), "audience", Some(ENTERPRISE)), "invalid_target"),
        (
            set(base(), "audience", Some("https://as.spamsvc.example/")),
            "invalid_target",
        ),
        (
            set(base(), "audience", Some("https://as.unknown.example")),
            "invalid_target",
        ),
        (plus("resource", B), "invalid_target"),
        (plus("resource", "https://as.c.example"), "invalid_target"),
        (plus("resource", "https://api.c.example/"), "invalid_target"),
        (
            plus("resource", "https://api.spamsvc.example/spam-rating#x"),
            "invalid_target",
        ),
        (plus("resource", "/spam-rating"), "invalid_target"),
        (plus("scope", "spam.rating.write"), "invalid_scope"),
        (
            plus("scope", "spam.rating.read spam.rating.write"),
            "invalid_scope",
        ),
        (plus("scope", "mail-delivery"), "invalid_scope"),
    ];
    for (pairs, expected) in cases {
        let error = exchange(&a, &pairs).unwrap_err();
        assert_eq!(wire(&error), (400, expected.to_owned()), "{pairs:?}");
        assert!(error.requirement().is_some());
    }
    let error = exchange(&a, &of(&unmapped)).unwrap_err();
    let body: Value = serde_json::from_slice(error.to_response().body()).unwrap();
    assert_eq!(body["error_description"], "subject_mapping");
    // Not even an agreement that lists a server's identifier makes a resource of it.
    let confused = domains.a_with(
        domains
            .agreement()
            .with_resource(uri(B))
            .with_resource(uri(A)),
    );
    for server in [A, B] {
        let error = exchange(&confused, &plus("resource", server)).unwrap_err();
        assert_eq!(wire(&error).1, "invalid_target");
    }
    // Another `aud` is taken where the server says so, and no third one.
    let more = || {
        let verifier = TxnTokenVerifier::new("as.enterprise", TTS);
        domains.a().with_verifier(verifier, public(&domains.tts))
    };
    let named = domains.token(json!({"aud": "as.enterprise"}));
    assert_eq!(
        exchange(&a, &of(&named)).unwrap_err().code(),
        "audience_mismatch"
    );
    assert!(exchange(&more(), &of(&named)).is_ok());
    assert!(exchange(&more(), &of(&foreign_aud)).is_err());
    // A server with no agreement at all.
    let error = exchange(&domains.bare(), &base()).unwrap_err();
    assert_eq!(wire(&error).1, "invalid_target");
}

/// The workload authenticates with a key before its token is even read, over TLS, and is one of those that may ask.
///
/// Covers: TXN-CHAIN-5.1-1, TXN-CHAIN-5.1-9, TXN-CHAIN-9.1-1, TXN-CHAIN-9.3-1
#[test]
fn workloads() {
    let domains = Domains::new();
    let a = domains.a();
    let token = domains.token(json!({}));
    let good = form(&leg_1(&token));
    let garbage = form(&leg_1("garbage"));
    let ask = |body: &[u8], client: Option<&Client>| {
        a.exchange(&post(&[]), body, client, now())
            .map_err(|error| wire(&error))
    };
    let error = |status, error: &str| Err((status, error.to_owned()));
    let rw = |method| Client::new(RW, method);
    for method in [ClientMethod::MutualTls, ClientMethod::SignedAssertion] {
        assert!(ask(&good, Some(&rw(method))).is_ok());
    }
    assert_eq!(
        ask(&garbage, None).map(|_| ()),
        error(401, "invalid_client")
    );
    assert_eq!(ask(b"%", None).map(|_| ()), error(401, "invalid_client"));
    let secret = rw(ClientMethod::SharedSecret);
    assert_eq!(
        ask(&good, Some(&secret)).map(|_| ()),
        error(401, "invalid_client")
    );
    let other = client("spiffe://enterprise.example/other");
    assert_eq!(
        ask(&good, Some(&other)).map(|_| ()),
        error(400, "unauthorized_client")
    );

    let plain = Request::post("http://as.enterprise.example/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    let refused = a.exchange(&plain, &good, Some(&client(RW)), now());
    assert_eq!(refused.unwrap_err().code(), "insecure");
    assert!(identity_chaining::ServerUrl::parse("http://as.enterprise.example/token").is_err());
}

/// Beside a token service, requests are told apart by their audience.
///
/// Covers: TXN-CHAIN-4.3.2-2, TXN-CHAIN-4.3.2-3
#[test]
fn beside_a_token_service() {
    let domains = Domains::new();
    let a = domains.a();
    let issuer = TxnTokenIssuer::new(domains.tts.clone(), ENTERPRISE, &provider()).unwrap();
    let issuer = issuer.with_issuer(TTS);
    let verifier = TxnTokenVerifier::new(ENTERPRISE, TTS);
    let service = TxnTokenService::new(issuer, &provider(), TTS)
        .unwrap()
        .with_replacement(verifier, public(&domains.tts))
        .permit(
            RW,
            Permissions::new(scope("mail-delivery"))
                .with_type(&token_exchange::TokenType::TxnToken),
        );
    let token = domains.token(json!({}));
    let endpoint = |body: &[u8]| {
        let parsed = Form::parse(body).unwrap();
        if a.is_for_partner(&parsed) {
            a.handle(&post(&[]), body, Some(&client(RW)), now())
        } else {
            service.handle(&post(&[]), body, Some(RW), now())
        }
    };
    let issued = |body: &[u8]| {
        let response = endpoint(body);
        let members: Value = serde_json::from_slice(response.body()).unwrap();
        (
            members["issued_token_type"].clone(),
            members["token_type"].clone(),
        )
    };
    let to_b = form(&leg_1(&token));
    assert_eq!(issued(&to_b), (json!(JWT), json!("N_A")));
    let mut own = set(leg_1(&token), "audience", Some(ENTERPRISE));
    own.extend([("scope", "mail-delivery"), ("requested_token_type", TXN)]);
    assert_eq!(issued(&form(&own)), (json!(TXN), json!("N_A")));
}

/// Each kind of principal by its rule; what no rule knows has no name there.
///
/// Covers: TXN-CHAIN-4.2-1, TXN-CHAIN-6.1.2-2, TXN-CHAIN-7.1-1, TXN-CHAIN-7.3-1, TXN-CHAIN-A6
#[test]
fn principals() {
    let domains = Domains::new();
    let name = |service: &ChainingService<SigningKey>, sub: &str| {
        let token = domains.token(json!({"sub": sub}));
        exchange(service, &leg_1(&token)).map(|claims| claims["sub"].as_str().unwrap().to_owned())
    };
    let a = domains.a();
    assert_eq!(
        name(&a, "system:x@enterprise.example").unwrap(),
        "x@enterprise.example"
    );
    let workload = "spiffe://enterprise.example/telemetry/nightly-agg";
    assert_eq!(name(&a, workload).unwrap(), "agg-at-b");
    let human = name(&a, "user-1").unwrap();
    assert!(human.len() == 43 && !human.contains("user"));
    assert_eq!(name(&a, "user-1").unwrap(), human);
    assert_ne!(name(&a, "user-2").unwrap(), human);
    for unknown in [
        "spiffe://enterprise.example/other",
        "spiffe://other.example/x",
        "device",
        "system:",
    ] {
        assert_eq!(
            name(&a, unknown).unwrap_err().code(),
            "subject_unmapped",
            "{unknown}"
        );
    }
    // The same name only where the agreement says so, and it warns of that.
    let same = OutboundAgreement::new(url(B), LATER)
        .with_common_scopes()
        .with_subjects(PrincipalKind::Human, Match::Any, Mapping::Identity)
        .permit(RW);
    assert_eq!(
        same.warnings(),
        [AgreementWarning::SameNames(PrincipalKind::Human)]
    );
    assert_eq!(name(&domains.a_with(same), "user-1").unwrap(), "user-1");
    let bare = OutboundAgreement::new(url(B), LATER);
    let missing = [
        PrincipalKind::Human,
        PrincipalKind::System,
        PrincipalKind::Workload,
    ];
    assert_eq!(bare.warnings(), missing.map(AgreementWarning::NoRuleFor));
    assert!(domains.agreement().warnings().is_empty());
}

/// What an agreement must not say, and what somebody should look at.
///
/// Covers: TXN-CHAIN-7.4-5, TXN-CHAIN-A5, TXN-CHAIN-6.1.2-4, TXN-CHAIN-6.1.1-3, TXN-CHAIN-6.1.1-2, TXN-CHAIN-A11, TXN-CHAIN-10-1
#[test]
fn agreements() {
    let domains = Domains::new();
    let hidden = |result: Result<OutboundAgreement, Error>| {
        assert_eq!(
            result.unwrap_err(),
            Error::Agreement(AgreementProblem::HiddenClaim)
        );
    };
    for name in [
        "req_wl",
        "req_wl_chain",
        "act_chain",
        "actchain",
        "agentic_ctx",
        "chain_metadata",
        "origin_node",
        "act",
    ] {
        hidden(domains.agreement().with_claim(name));
        hidden(domains.agreement().with_request_context(name));
        hidden(domains.agreement().with_transaction_context(name));
    }
    for (scope_name, there) in [("*", "x"), ("a", "*"), ("a.*", "x"), ("a", ""), ("", "x")] {
        let refused = domains.agreement().with_scope(scope_name, scope(there));
        assert_eq!(
            refused.unwrap_err(),
            Error::Agreement(AgreementProblem::Scope)
        );
    }
    let broad = domains
        .agreement()
        .with_scope("all", scope("a b c d e f"))
        .unwrap();
    assert_eq!(
        broad.warnings(),
        [AgreementWarning::BroadScope {
            scope: "all".into(),
            count: 6
        }]
    );
    for (seconds, ok) in [(0, false), (1, true), (300, true), (301, false)] {
        let result = domains
            .agreement()
            .with_lifetime(Duration::from_secs(seconds));
        assert_eq!(result.is_ok(), ok, "{seconds}");
    }
    let ed = SigningKey::generate(&provider(), Algorithm::Ed25519)
        .unwrap()
        .with_kid("ed");
    let service = || {
        ChainingService::new(
            GrantIssuer::new(ed.clone(), url(A), &provider()).unwrap(),
            &provider(),
            TxnTokenVerifier::new(ENTERPRISE, TTS),
            public(&domains.tts),
        )
    };
    let refused = service().with_agreement(domains.agreement()).unwrap_err();
    assert_eq!(refused, Error::Agreement(AgreementProblem::Algorithm));
    let open = domains
        .agreement()
        .with_algorithms(Algorithms::of(&[Algorithm::Ed25519]));
    assert!(service().with_agreement(open).is_ok());
    assert!(
        GrantIssuer::new(
            SigningKey::generate(&provider(), Algorithm::Es256).unwrap(),
            url(A),
            &provider()
        )
        .is_err()
    );
}

/// Agreements end, and can be suspended, on both sides.
///
/// Covers: TXN-CHAIN-2.2-1, TXN-CHAIN-9.6-1
#[test]
fn agreements_end() {
    let domains = Domains::new();
    let token = domains.token(json!({}));
    let grant = domains.grant(json!({}));
    assert!(exchange(&domains.a(), &leg_1(&token)).is_ok());
    let outbound = |end| {
        OutboundAgreement::new(url(B), end)
            .with_common_scopes()
            .with_subjects(PrincipalKind::System, Match::Any, Mapping::Identity)
            .permit(RW)
    };
    assert!(exchange(&domains.a_with(outbound(NOW + 1)), &leg_1(&token)).is_ok());
    for agreement in [outbound(NOW), outbound(0), outbound(LATER).suspended()] {
        let error = exchange(&domains.a_with(agreement), &leg_1(&token)).unwrap_err();
        assert_eq!(wire(&error).1, "invalid_target");
    }
    let inbound =
        |end| InboundAgreement::new(url(A), public(&domains.key), scope("spam.rating.read"), end);
    let subjects = || Arc::new(Domains::subjects());
    assert!(redeem(&domains.b_with(inbound(NOW + 1), subjects()), &grant, &[]).is_ok());
    for agreement in [inbound(NOW), inbound(LATER).suspended()] {
        let error = redeem(&domains.b_with(agreement, subjects()), &grant, &[]).unwrap_err();
        assert_eq!(
            (error.code(), wire(&error).1.as_str()),
            ("untrusted_issuer", "invalid_grant")
        );
    }
}

/// Of the context only what is listed, and of that nothing that shows the inside.
///
/// Covers: TXN-CHAIN-7.4-2, TXN-CHAIN-7.4-3, TXN-CHAIN-7.4-4, TXN-CHAIN-7.4-5, TXN-CHAIN-7.4-6, TXN-CHAIN-10-1, TXN-CHAIN-10-2,
/// Covers: TXN-CHAIN-A7
#[test]
fn disclosure() {
    let domains = Domains::new();
    let told = |agreement: OutboundAgreement, more: Value| {
        let token = domains.token(more);
        let claims = exchange(&domains.a_with(agreement), &leg_1(&token)).unwrap();
        claims.get("txn_claims").cloned().unwrap_or_default()
    };
    let listed = |name: &str| domains.agreement().with_request_context(name).unwrap();
    assert_eq!(told(domains.agreement(), json!({})), Value::Null);
    let sender = json!({"rctx": {"smtp_from": "sender@external.example"}});
    assert_eq!(told(listed("smtp_from"), json!({})), sender);
    assert_eq!(told(listed("missing"), json!({})), Value::Null);
    for public in [
        "203.0.113.7",
        "8.8.8.8",
        "2a00:1450:4001:81b::200e",
        "[2a00:1450::1]:443",
        "1.1.1.1:53",
        "mail.external.example",
    ] {
        let value = told(listed("req_ip"), json!({"rctx": {"req_ip": public}}));
        assert_eq!(value, json!({"rctx": {"req_ip": public}}), "{public}");
    }
    for inner in [
        json!("10.0.0.5"),
        json!("172.16.3.4"),
        json!("192.168.1.1"),
        json!("127.0.0.1"),
        json!("169.254.1.1"),
        json!("100.64.0.1"),
        json!("10.0.0.5:8080"),
        json!("8.8.8.8, 10.0.0.5"),
        json!("for=10.0.0.5;by=1.1.1.1"),
        json!("10.0.0.0/8"),
        json!("::1"),
        json!("fe80::1%eth0"),
        json!("fd00::1"),
        json!("::ffff:10.0.0.5"),
        json!("http://10.0.0.5/x"),
        json!("localhost"),
        json!("db.internal"),
        json!("printer.local"),
        json!("https://pay.svc.cluster.local:8443/x"),
        json!("spiffe://enterprise.example/x"),
        json!("via SPIFFE://enterprise.example/x"),
        json!(["8.8.8.8", {"deep": "10.1.2.3"}]),
        json!({"req_wl": "x"}),
        json!({"deep": {"act_chain": []}}),
    ] {
        let agreement = listed("req_ip").with_internal_domain("svc.cluster.local");
        let value = told(agreement, json!({"rctx": {"req_ip": inner.clone()}}));
        assert_eq!(value, Value::Null, "{inner}");
    }
    let tctx = domains
        .agreement()
        .with_transaction_context("order")
        .unwrap();
    let value = told(tctx, json!({"tctx": {"order": "o-1", "margin": 3}}));
    assert_eq!(value, json!({"tctx": {"order": "o-1"}}));

    // An address of a human only, who may be the subject or not.
    let email = || {
        domains
            .agreement()
            .with_claim("email")
            .unwrap()
            .with_claim("plan")
            .unwrap()
    };
    let more = |sub: &str| json!({"sub": sub, "email": "e@corp.example", "plan": "gold"});
    assert_eq!(
        told(email(), more("user-1")),
        json!({"email": "e@corp.example", "plan": "gold"})
    );
    assert_eq!(told(email(), more("system:x")), json!({"plan": "gold"}));

    // The current actor under the partner's name for it, and none of those before.
    let acting = json!({
        "act": {"sub": "spiffe://enterprise.example/telemetry/nightly-agg"},
        "act_chain": [{"sub": "spiffe://enterprise.example/first"}],
    });
    assert_eq!(told(domains.agreement(), acting.clone()), Value::Null);
    assert_eq!(
        told(domains.agreement().with_actor(), acting),
        json!({"act": {"sub": "agg-at-b"}})
    );
    let unnamed = json!({"act": {"sub": "spiffe://enterprise.example/unnamed"}});
    assert_eq!(told(domains.agreement().with_actor(), unnamed), Value::Null);

    // Details within what is agreed.
    let types = DetailTypes::new([DetailType::new("rating")]);
    let most = types
        .grant(&json!([{"type": "rating", "actions": ["read"]}]))
        .unwrap();
    let details = || {
        domains
            .agreement()
            .with_authorization_details(types.clone(), most.clone())
    };
    let has =
        |actions: Value| json!({"authorization_details": [{"type": "rating", "actions": actions}]});
    let limited = |actions: Value| json!({"agentic_ctx": has(actions)});
    assert_eq!(
        told(details(), limited(json!(["read", "write"]))),
        has(json!(["read"]))
    );
    // A claim of this name beside the context is none of this profile's.
    assert_eq!(told(details(), has(json!(["read"]))), Value::Null);
}

/// A grant has every limit of the token that it is made of, or is not made.
#[test]
fn a_limit_that_the_grant_would_not_have_is_refused() {
    let domains = Domains::new();
    let types = DetailTypes::new([DetailType::new("rating")]);
    let rating =
        |actions: Value| json!({"authorization_details": [{"type": "rating", "actions": actions}]});
    let most = types
        .grant(&rating(json!(["read"]))["authorization_details"])
        .unwrap();
    let plain = || domains.agreement();
    let telling = || plain().with_authorization_details(types.clone(), most.clone());
    let refused = |agreement: OutboundAgreement, limits: &Value| {
        let token = domains.token(json!({"agentic_ctx": limits}));
        let service = domains.a_with(agreement);
        let (parts, body) = (post(&[]), form(&leg_1(&token)));
        let error = service
            .exchange(&parts, &body, Some(&client(RW)), now())
            .err()?;
        assert_eq!(
            (error.code(), wire(&error)),
            ("limit_not_carried", (400, "invalid_request".to_owned()))
        );
        match error {
            Error::LimitNotCarried { member } => Some(member),
            other => panic!("{other:?}"),
        }
    };
    for (limits, member) in [
        (json!({"allowed_actions": []}), "allowed_actions"),
        (json!({"allowed_actions": ["rate"]}), "allowed_actions"),
        (
            json!({"environment_constraints": {"region": "eu"}}),
            "environment_constraints",
        ),
    ] {
        assert_eq!(refused(plain(), &limits), Some(member), "{limits}");
        assert_eq!(refused(telling(), &limits), Some(member), "{limits}");
    }
    let lost = Some("authorization_details");
    assert_eq!(refused(plain(), &rating(json!(["read"]))), lost);
    assert_eq!(refused(telling(), &rating(json!(["read", "write"]))), None);
    // Nothing would be left to tell, and the partner would see no limit.
    assert_eq!(refused(telling(), &rating(json!(["write"]))), lost);
    let other = json!({"authorization_details": [{"type": "payment"}]});
    assert_eq!(refused(telling(), &other), lost);
    let described = json!({"intent": "rate", "agent_type": "planner"});
    assert_eq!(refused(plain(), &described), None);
}

/// Short, not longer than the token it was made of, and never named twice.
///
/// Covers: TXN-CHAIN-6.1.2-4, TXN-CHAIN-6.1.2-5, TXN-CHAIN-4.3.4-2, TXN-CHAIN-A11
#[test]
fn lifetimes_and_identifiers() {
    let domains = Domains::new();
    let life = |agreement: OutboundAgreement, left: u64| {
        let token = domains.token(json!({"exp": NOW + left}));
        let claims = exchange(&domains.a_with(agreement), &leg_1(&token)).unwrap();
        assert_eq!(claims["iat"], NOW);
        claims["exp"].as_u64().unwrap() - NOW
    };
    let long = || {
        domains
            .agreement()
            .with_lifetime(Duration::from_secs(300))
            .unwrap()
    };
    assert_eq!(life(domains.agreement(), 300), 60);
    assert_eq!(life(domains.agreement(), 20), 20);
    assert_eq!(life(long(), 300), 300);
    assert_eq!(life(long().may_outlive_token(), 20), 300);

    let (a, token) = (domains.a(), domains.token(json!({})));
    let mut seen = BTreeSet::new();
    for _ in 0..300 {
        let claims = exchange(&a, &leg_1(&token)).unwrap();
        let id = claims["jti"].as_str().unwrap().to_owned();
        assert_eq!(base64url::decode(&id, "jti").unwrap().len() * 8, 128);
        assert!(seen.insert(id));
    }
    // What the identifiers come from.
    let ids: BTreeSet<String> = (0..100_000)
        .map(|_| provider().random_id().unwrap())
        .collect();
    assert_eq!(ids.len(), 100_000);
}

/// Both sides together: scope, resource, transaction and audit record.
///
/// Covers: TXN-CHAIN-5.2-9, TXN-CHAIN-5.2-10, TXN-CHAIN-6.1.2-7, TXN-CHAIN-6.1.2-8, TXN-CHAIN-A11, TXN-CHAIN-6.1.2-9
#[test]
fn redemption() {
    let domains = Domains::new();
    let b = domains.b();
    let chained = redeem(&b, &domains.grant(json!({})), &[]).unwrap();
    assert_eq!(chained.access.subject, "customer-7");
    assert_eq!(chained.access.scope, scope("spam.rating.read"));
    assert_eq!(chained.access.audience, [API]);
    let txn = "a9b2c3d4-e5f6-7890-abcd-ef1234567890";
    assert_eq!(
        (chained.txn(), chained.access.txn.as_deref()),
        (Some(txn), Some(txn))
    );
    let audit = chained.audit();
    assert_eq!((&audit["txn"], &audit["iss"]), (&json!(txn), &json!(A)));
    assert_eq!(audit["jti"], "8f14e45f-ceee-467a-a19e-ab8f290a1f30");
    let response = chained.access.respond("token", 300);
    let members: Value = serde_json::from_slice(response.body()).unwrap();
    assert!(members.get("refresh_token").is_none());
    assert_eq!(members["token_type"], "Bearer");
    let claims = chained.access.token_claims(B, "j", 300, now());
    assert_eq!((&claims["aud"], &claims["txn"]), (&json!(API), &json!(txn)));

    let fresh = |jti: &str, mut more: Value| {
        more["jti"] = json!(jti);
        domains.grant(more)
    };
    let both = json!({"resource": [API, "https://api.spamsvc.example/other"]});
    let one = redeem(&b, &fresh("1", both), &[("resource", API)]).unwrap();
    assert_eq!(one.access.audience, [API]);
    let elsewhere = [("resource", "https://api.spamsvc.example/other")];
    let error = redeem(&b, &fresh("2", json!({})), &elsewhere).unwrap_err();
    assert_eq!(wire(&error).1, "invalid_target");
    let free = redeem(&b, &fresh("3", json!({"resource": null})), &elsewhere).unwrap();
    assert_eq!(free.access.audience, ["https://api.spamsvc.example/other"]);
    assert!(redeem(&b, &fresh("4", json!({"txn_claims": null})), &[]).is_ok());
    assert!(
        redeem(&b, &fresh("5", json!({"txn": null})), &[])
            .unwrap()
            .txn()
            .is_none()
    );
    let strict = domains.b_with(
        domains.terms().with_txn_required(),
        Arc::new(Domains::subjects()),
    );
    let error = redeem(&strict, &fresh("6", json!({"txn": null})), &[]).unwrap_err();
    assert_eq!(wire(&error).1, "invalid_grant");
}

/// Scope is that of grant and policy together; a wider request is an error, and a grant without scope no licence.
///
/// Covers: TXN-CHAIN-5.2-9, TXN-CHAIN-9.5-1, TXN-CHAIN-A15, TXN-CHAIN-6.1.2-6
#[test]
fn scopes_at_the_partner() {
    let domains = Domains::new();
    let b = domains.b();
    let fresh = |jti: &str, scope: Value| domains.grant(json!({"jti": jti, "scope": scope}));
    // The policy would allow more than this grant.
    let read = redeem(&b, &fresh("1", json!("spam.rating.read")), &[]).unwrap();
    assert_eq!(read.access.scope, scope("spam.rating.read"));
    let wide = [("scope", "spam.rating.read spam.rating.write")];
    let error = redeem(&b, &fresh("2", json!("spam.rating.read")), &wide).unwrap_err();
    assert_eq!(wire(&error), (400, "invalid_scope".to_owned()));
    let cut = redeem(&b, &fresh("3", json!("spam.rating.read admin")), &[]).unwrap();
    assert_eq!(cut.access.scope, scope("spam.rating.read"));
    let error = redeem(&b, &fresh("4", Value::Null), &[]).unwrap_err();
    assert_eq!(wire(&error).1, "invalid_scope");
    let agreed = domains
        .terms()
        .with_default_scopes(scope("spam.rating.read"));
    let agreed = domains.b_with(agreed, Arc::new(Domains::subjects()));
    let minimal = redeem(&agreed, &fresh("5", Value::Null), &[]).unwrap();
    assert_eq!(minimal.access.scope, scope("spam.rating.read"));
    // A grant has none only where the agreement leaves it out.
    let token = domains.token(json!({}));
    let omitting = domains.a_with(domains.agreement().without_scope());
    assert!(
        !exchange(&omitting, &leg_1(&token))
            .unwrap()
            .contains_key("scope")
    );
    assert!(
        exchange(&domains.a(), &leg_1(&token))
            .unwrap()
            .contains_key("scope")
    );
}

/// Every claim of a grant with a rule, each broken alone.
///
/// Covers: TXN-CHAIN-2.2-1, TXN-CHAIN-5.2-2, TXN-CHAIN-5.2-3, TXN-CHAIN-5.2-4, TXN-CHAIN-6.1.2-3, TXN-CHAIN-6.1.2-4,
/// Covers: TXN-CHAIN-6.1.2-5, TXN-CHAIN-6.1.2-9, TXN-CHAIN-A2, TXN-CHAIN-A9, TXN-CHAIN-A11
#[test]
fn grants() {
    let domains = Domains::new();
    let b = domains.b();
    let cases = [
        (json!({"aud": "https://as.c.example"}), "audience_mismatch"),
        (json!({"aud": B_TOKEN}), "audience_mismatch"),
        (json!({"aud": format!("{B}/")}), "audience_mismatch"),
        (
            json!({"aud": [B, "https://as.c.example"]}),
            "multiple_audiences",
        ),
        (json!({"aud": [B]}), "grant_claim"),
        (json!({"aud": null}), "missing_claim"),
        (
            json!({"iss": "https://as.unknown.example"}),
            "untrusted_issuer",
        ),
        (json!({"iss": format!("{A}/")}), "untrusted_issuer"),
        (json!({"iss": null}), "missing_claim"),
        (json!({"sub": null}), "missing_claim"),
        (json!({"sub": "unknown"}), "unknown_subject"),
        (json!({"exp": NOW - 61, "iat": NOW - 90}), "expired"),
        (json!({"exp": null}), "missing_claim"),
        (json!({"iat": null}), "missing_claim"),
        (json!({"jti": null}), "missing_claim"),
        (json!({"exp": NOW + 301}), "lifetime_too_long"),
        (json!({"txn": 5}), "grant_claim"),
        (json!({"txn": ""}), "grant_claim"),
        (json!({"txn_claims": "x"}), "grant_claim"),
        (json!({"txn_claims": []}), "grant_claim"),
        (json!({"resource": "relative"}), "grant_claim"),
        (json!({"scope": []}), "grant_claim"),
    ];
    for (more, code) in cases {
        let error = redeem(&b, &domains.grant(more.clone()), &[]).unwrap_err();
        assert_eq!(
            (error.code(), wire(&error)),
            (code, (400, "invalid_grant".to_owned())),
            "{more}"
        );
    }
    let array = domains.b_with(
        domains.terms().with_audience_array(),
        Arc::new(Domains::subjects()),
    );
    assert!(redeem(&array, &domains.grant(json!({"aud": [B]})), &[]).is_ok());
    assert!(
        redeem(
            &b,
            &domains.grant(json!({"exp": NOW + 300, "jti": "long"})),
            &[]
        )
        .is_ok()
    );

    // The key of another issuer with an agreement signs nothing for this one.
    let other = Domains::new();
    let of_other = InboundAgreement::new(
        url("https://as.other.example"),
        public(&other.key),
        scope("spam.rating.read"),
        LATER,
    );
    let two = domains.b().trust(of_other);
    let crossed = other.grant(json!({}));
    assert_eq!(
        redeem(&two, &crossed, &[]).unwrap_err().code(),
        "invalid_signature"
    );
    let header = jose_x509::jws::ProtectedHeader::new("txn-chain+jwt");
    let text = domains.claims(json!({})).to_string();
    for name in ["jku", "x5u"] {
        let header = header
            .clone()
            .with_parameter(name, "https://evil.example")
            .unwrap();
        let token = jose_x509::jws::sign(&other.key, &header, text.as_bytes()).unwrap();
        assert_eq!(
            redeem(&b, &token, &[]).unwrap_err().code(),
            "header_key_material"
        );
    }
}

/// Type before everything else; no other kind of token is a grant of this profile.
///
/// Covers: TXN-CHAIN-5.2-1, TXN-CHAIN-6.1.1-1, TXN-CHAIN-6.1.1-2, TXN-CHAIN-6.1.1-3, TXN-CHAIN-A3, TXN-CHAIN-A8, TXN-CHAIN-A10,
/// Covers: TXN-CHAIN-B-1, TXN-CHAIN-3.2-1
#[test]
fn types_and_algorithms() {
    let domains = Domains::new();
    let b = domains.b();
    for typ in [
        Some("JWT"),
        None,
        Some("oauth-id-jag+jwt"),
        Some("txntoken+jwt"),
        Some("at+jwt"),
        Some("client-authentication+jwt"),
        Some("authorization-grant+jwt"),
        Some("txn-chain"),
    ] {
        let token = sign_with(&domains.key, typ, &domains.claims(json!({})));
        let error = redeem(&b, &token, &[]).unwrap_err();
        assert_eq!(
            (error.code(), wire(&error).1.as_str()),
            ("wrong_type", "invalid_grant"),
            "{typ:?}"
        );
    }
    for (i, typ) in ["TXN-Chain+JWT", "application/txn-chain+jwt"]
        .into_iter()
        .enumerate()
    {
        let claims = domains.claims(json!({"jti": i.to_string()}));
        let token = sign_with(&domains.key, Some(typ), &claims);
        assert_eq!(
            GrantKind::of_unverified(&token).unwrap(),
            GrantKind::TxnChain
        );
        assert!(redeem(&b, &token, &[]).is_ok(), "{typ}");
    }
    let own = domains.token(json!({"aud": B, "iss": A}));
    assert_eq!(redeem(&b, &own, &[]).unwrap_err().code(), "wrong_type");
    // The claims of an ID-JAG under this type are this profile's matter, by its rules alone.
    let id_jag = json!({"client_id": "gateway-at-b", "tenant": "T", "aud_sub": "x", "act": {"sub": "y"}, "jti": "jag"});
    assert!(redeem(&b, &domains.grant(id_jag.clone()), &[]).is_ok());
    let no_iat = domains.claims(with(id_jag, json!({"jti": "jag-2"})));
    let no_iat = with(no_iat, json!({"iat": null}));
    let no_iat = sign_with(&domains.key, Some("txn-chain+jwt"), &no_iat);
    assert_eq!(
        redeem(&b, &no_iat, &[]).unwrap_err().code(),
        "missing_claim"
    );

    let text = domains.claims(json!({})).to_string();
    let encode = |text: &str| base64url::encode(text.as_bytes());
    for alg in ["HS256", "none"] {
        let header = json!({"alg": alg, "typ": "txn-chain+jwt", "kid": "as-enterprise-2026-01"});
        let token = format!(
            "{}.{}.{}",
            encode(&header.to_string()),
            encode(&text),
            encode("x")
        );
        let error = redeem(&b, &token, &[]).unwrap_err();
        assert_eq!(
            (error.code(), wire(&error).1.as_str()),
            ("unsupported_algorithm", "invalid_grant")
        );
    }
    let ed = SigningKey::generate(&provider(), Algorithm::Ed25519)
        .unwrap()
        .with_kid("ed");
    let token = sign_with(&ed, Some("txn-chain+jwt"), &domains.claims(json!({})));
    let terms = || InboundAgreement::new(url(A), public(&ed), scope("spam.rating.read"), LATER);
    let closed = domains.b_with(terms(), Arc::new(Domains::subjects()));
    assert_eq!(
        redeem(&closed, &token, &[]).unwrap_err().code(),
        "algorithm_not_allowed"
    );
    let open = terms().with_algorithms(Algorithms::of(&[Algorithm::Ed25519]));
    let open = domains.b_with(open, Arc::new(Domains::subjects()));
    assert!(redeem(&open, &token, &[]).is_ok());
}

/// A grant is good once, however many ask at the same time, also of two instances with one guard.
///
/// Covers: TXN-CHAIN-5.2-4, TXN-CHAIN-A1, TXN-CHAIN-A12
#[test]
fn once() {
    let domains = Domains::new();
    let shared = guard();
    let instance = || {
        ChainRedemption::new(
            &url(B),
            Arc::new(Domains::subjects()),
            TokenEndpoint::new(Domains::registry(), shared.clone()),
        )
        .trust(domains.terms())
    };
    let (one, two) = (instance(), instance());
    let grant = domains.grant(json!({}));
    let results: Vec<bool> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..16)
            .map(|i| {
                let (b, grant) = (if i % 2 == 0 { &one } else { &two }, &grant);
                scope.spawn(move || redeem(b, grant, &[]).is_ok())
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|ok| **ok).count(), 1);
    let again = redeem(&two, &grant, &[]).unwrap_err();
    assert_eq!(
        (again.code(), wire(&again).1.as_str()),
        ("replayed", "invalid_grant")
    );
    // Whoever stole it comes too late, and a failed try does not use it up.
    let grant = domains.grant(json!({"jti": "2"}));
    assert!(redeem(&one, &grant, &[("scope", "spam.rating.write")]).is_err());
    assert!(redeem(&one, &grant, &[]).is_ok());
    let thief = redeem_as(&two, &grant, &[], &client("thief"), &[]).unwrap_err();
    assert_eq!(thief.code(), "replayed");
    let nobody = two.redeem(
        &post(&[]),
        &form(&[
            ("grant_type", identity_chaining::GRANT_TYPE),
            ("assertion", &grant),
        ]),
        None,
        now(),
    );
    assert_eq!(
        wire(&nobody.unwrap_err()),
        (401, "invalid_client".to_owned())
    );
}

/// Who the subject is here, and what the policy says of it and of `txn_claims`.
///
/// Covers: TXN-CHAIN-5.2-5, TXN-CHAIN-5.2-6, TXN-CHAIN-5.2-7, TXN-CHAIN-5.2-8, TXN-CHAIN-9.8-1
#[test]
fn subjects_at_the_partner() {
    struct Subjects;
    impl ChainedSubjects for Subjects {
        fn find(&self, grant: &ChainGrant) -> Option<String> {
            (grant.subject() == "known").then(|| "account".to_owned())
        }
        fn by_email(&self, issuer: &str, email: &str) -> Option<String> {
            (issuer == A && email == "e@corp.example").then(|| "by-email".to_owned())
        }
        fn provision(&self, grant: &ChainGrant) -> Option<String> {
            Some(format!("new:{}", grant.subject()))
        }
        fn allows(&self, grant: &ChainGrant, scope: &token_exchange::ScopeSet) -> bool {
            // What is not agreed on is not there to be looked at.
            assert!(grant.claim("iss").is_none() && grant.claim("upstream").is_none());
            let delivering = grant
                .claim("scope")
                .is_none_or(|scope| scope == "mail-delivery");
            delivering && grant.subject() != "banned" && scope.contains("spam.rating.read")
        }
    }
    let domains = Domains::new();
    let with_terms = |terms| domains.b_with(terms, Arc::new(Subjects));
    let account = |b: &ChainRedemption, more: Value| {
        redeem(b, &domains.grant(more), &[]).map(|chained| chained.access.subject)
    };
    let plain = with_terms(domains.terms());
    assert_eq!(account(&plain, json!({"sub": "known"})).unwrap(), "account");
    let error = account(&plain, json!({"sub": "new"})).unwrap_err();
    assert_eq!(
        (error.code(), wire(&error).1.as_str()),
        ("unknown_subject", "invalid_grant")
    );
    let jit = with_terms(domains.terms().with_provisioning());
    assert_eq!(account(&jit, json!({"sub": "new"})).unwrap(), "new:new");
    let email = json!({"sub": "new", "txn_claims": {"email": "e@corp.example"}, "jti": "e"});
    assert_eq!(
        account(&plain, email.clone()).unwrap_err().code(),
        "unknown_subject"
    );
    let by_email = with_terms(domains.terms().with_email());
    assert_eq!(account(&by_email, email).unwrap(), "by-email");
    for more in [
        json!({"sub": "known", "txn_claims": {"scope": "other"}, "jti": "p1"}),
        json!({"sub": "banned", "jti": "p2"}),
    ] {
        let error = account(&jit, more).unwrap_err();
        assert_eq!(
            (error.code(), wire(&error).1.as_str()),
            ("grant_refused", "invalid_grant")
        );
    }
    // Who is named within `txn_claims` is trusted for nothing.
    let upstream = json!({"sub": "known", "jti": "u", "txn_claims": {"iss": "https://as.known.example", "upstream": {"sub": "root"}}});
    let chained = redeem(&plain, &domains.grant(upstream), &[]).unwrap();
    assert!(chained.grant.claims().is_empty() && chained.grant.issuer() == A);
}

/// A grant that is bound to a key needs its proof, and so does a server that gives no bearer tokens.
///
/// Covers: TXN-CHAIN-6.1.2-10, TXN-CHAIN-9.2-1, TXN-CHAIN-A12
#[test]
fn possession() {
    let domains = Domains::new();
    let (a, b, prover) = (domains.a(), domains.b(), prover());
    let (rw, token) = (client(RW), domains.token(json!({})));
    let sent = proof(&prover, A_TOKEN);
    let issue = || {
        let sent = proof(&prover, A_TOKEN);
        let issued = a.exchange(
            &post(&[("dpop", &sent)]),
            &form(&leg_1(&token)),
            Some(&rw),
            now(),
        );
        issued.unwrap().as_str().to_owned()
    };
    let bound = issue();
    let jkt = base64url::encode(&prover.jkt());
    assert_eq!(claims_of(&bound)["cnf"], json!({"jkt": jkt}));
    let good = || proof(&prover, B_TOKEN);
    let x = client("gateway-at-b");
    let error = redeem(&b, &bound, &[]).unwrap_err();
    assert_eq!(
        (error.code(), wire(&error).1.as_str()),
        ("proof_required", "invalid_grant")
    );
    let other = proof(&domains::prover(), B_TOKEN);
    let error = redeem_as(&b, &bound, &[], &x, &[("dpop", &other)]).unwrap_err();
    assert_eq!(error.code(), "proof_key");
    let chained = redeem_as(&b, &bound, &[], &x, &[("dpop", &good())]).unwrap();
    assert_eq!(
        chained.access.token_claims(B, "j", 60, now())["cnf"]["jkt"],
        jkt
    );
    assert!(chained.access.is_dpop());
    let wrong = a.exchange(
        &post(&[("dpop", "x")]),
        &form(&leg_1(&token)),
        Some(&rw),
        now(),
    );
    assert_eq!(wire(&wrong.unwrap_err()).1, "invalid_dpop_proof");
    let elsewhere = b.redeem(
        &post(&[("dpop", &sent)]),
        &form(&[
            ("grant_type", identity_chaining::GRANT_TYPE),
            ("assertion", &issue()),
        ]),
        Some(&x),
        now(),
    );
    assert_eq!(wire(&elsewhere.unwrap_err()).1, "invalid_dpop_proof");

    // Without a bound grant: a proof binds the token, and can be demanded.
    let free = || domains.grant(json!({"jti": provider().random_id().unwrap()}));
    let chained = redeem_as(&b, &free(), &[], &x, &[("dpop", &good())]).unwrap();
    assert!(chained.access.is_dpop());
    // The other grant type's name is for requests with a proof.
    let says_dpop = |fields: &[(&'static str, &str)]| {
        let grant = free();
        let grant_type = identity_chaining::redeem::GRANT_TYPE_DPOP;
        let pairs = [("grant_type", grant_type), ("assertion", grant.as_str())];
        b.redeem(&post(fields), &form(&pairs), Some(&x), now())
    };
    assert!(says_dpop(&[("dpop", &good())]).is_ok());
    assert_eq!(says_dpop(&[]).unwrap_err().code(), "proof_required");
    let demanding = domains.b_with(
        domains.terms().with_proof_required(),
        Arc::new(Domains::subjects()),
    );
    assert_eq!(
        wire(&redeem(&demanding, &free(), &[]).unwrap_err()).1,
        "invalid_dpop_proof"
    );
    assert!(redeem_as(&demanding, &free(), &[], &x, &[("dpop", &good())]).is_ok());

    // Certificates.
    let certified = domains.a_with(domains.agreement().with_certificate_binding());
    let rw = client(RW).with_certificate([7; 32]);
    let issued = certified
        .exchange(&post(&[]), &form(&leg_1(&token)), Some(&rw), now())
        .unwrap();
    let thumbprint = json!({"x5t#S256": base64url::encode(&[7; 32])});
    assert_eq!(claims_of(issued.as_str())["cnf"], thumbprint);
    let wrong = client("gateway-at-b").with_certificate([8; 32]);
    assert_eq!(
        redeem_as(&demanding, issued.as_str(), &[], &wrong, &[])
            .unwrap_err()
            .code(),
        "proof_key"
    );
    let right = client("gateway-at-b").with_certificate([7; 32]);
    let chained = redeem_as(&demanding, issued.as_str(), &[], &right, &[]).unwrap();
    assert_eq!(chained.access.confirmation.unwrap().to_value(), thumbprint);
}

/// The authorization server as client of the partner: only with its workload's proof, whose key the token is bound to.
///
/// Covers: TXN-CHAIN-9.2-2, TXN-CHAIN-6.1.2-10
#[test]
fn broker() {
    let domains = Domains::new();
    let a = domains.a_with(domains.agreement().with_own_client("as-a", url(B_TOKEN)));
    let (rw, prover, token) = (client(RW), prover(), domains.token(json!({})));
    let body = form(&leg_1(&token));
    let refused = a.broker(&post(&[]), &body, Some(&rw), now()).unwrap_err();
    assert_eq!(wire(&refused).1, "invalid_dpop_proof");
    let send = |a: &ChainingService<SigningKey>, body: &[u8]| {
        let sent = proof(&prover, A_TOKEN);
        a.broker(&post(&[("dpop", &sent)]), body, Some(&rw), now())
    };
    let brokered = send(&a, &body).unwrap();
    assert_eq!(brokered.own_client, "as-a");
    let (parts, sent) = brokered.request.into_parts();
    assert_eq!(parts.uri, B_TOKEN);
    let own = domains.b_with(
        domains.terms().with_own_client("as-a"),
        Arc::new(Domains::subjects()),
    );
    // Nobody but that client gets a token for a key that it does not prove.
    let other = own
        .redeem(&parts, &sent, Some(&client("other")), now())
        .unwrap_err();
    assert_eq!(other.code(), "proof_required");
    let chained = own
        .redeem(&parts, &sent, Some(&client("as-a")), now())
        .unwrap();
    let jkt = chained.access.confirmation.as_ref().unwrap().jkt;
    assert_eq!(jkt, Some(prover.jkt()));
    let answer = chained.access.respond("token-of-b", 60);
    let answer = BrokeredChain::finish(answer.status(), answer.headers(), answer.body()).unwrap();
    let members: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(
        (&members["access_token"], &members["token_type"]),
        (&json!("token-of-b"), &json!("DPoP"))
    );
    let refused = send(&domains.a(), &body).unwrap_err();
    assert_eq!(refused.code(), "refused");
}

/// Two crossings: the third domain sees the second one's statement, made of what both agreements let through.
///
/// Covers: TXN-CHAIN-3.3-1, TXN-CHAIN-3.3-2, TXN-CHAIN-9.8-1, TXN-CHAIN-A13, TXN-CHAIN-A14
#[test]
fn two_crossings() {
    let domains = Domains::new();
    let (tts_b, key_b) = (key("tts-b"), key("as-b-1"));
    let tts_url = "https://tts.spamsvc.example";
    let c = "https://as.c.example";
    let cross = |rule: TxnRule| {
        let listed = domains
            .agreement()
            .with_txn(rule.clone())
            .with_internal_scope()
            .with_request_context("smtp_from")
            .unwrap();
        let token = domains.token(json!({}));
        let rw = client(RW);
        let issued =
            domains
                .a_with(listed)
                .exchange(&post(&[]), &form(&leg_1(&token)), Some(&rw), now());
        let chained = redeem(&domains.b(), issued.unwrap().as_str(), &[]).unwrap();
        assert_eq!(chained.grant.claim("scope"), Some(&json!("mail-delivery")));
        // B goes on with a transaction token of its own.
        let issuer = TxnTokenIssuer::new(tts_b.clone(), "spamsvc.example", &provider()).unwrap();
        let issuer = issuer.with_issuer(tts_url);
        let request = chained.continue_as("spiffe://spamsvc.example/api");
        let inner = issuer.issue(&request, now()).unwrap();
        assert_eq!(inner.txn(), chained.txn().unwrap());
        // B's own agreement with C, which lists nothing of what A said.
        let agreement = OutboundAgreement::new(url(c), LATER)
            .with_common_scopes()
            .with_subjects(PrincipalKind::Other, Match::Any, Mapping::Identity)
            .with_request_context("smtp_from")
            .unwrap()
            .with_txn(rule)
            .permit("spiffe://spamsvc.example/api");
        let b_as_a = ChainingService::new(
            GrantIssuer::new(key_b.clone(), url(B), &provider()).unwrap(),
            &provider(),
            TxnTokenVerifier::new("spamsvc.example", tts_url),
            public(&tts_b),
        )
        .with_agreement(agreement)
        .unwrap();
        let workload = client("spiffe://spamsvc.example/api");
        let pairs = set(leg_1(inner.as_str()), "audience", Some(c));
        let issued = b_as_a
            .exchange(&post(&[]), &form(&pairs), Some(&workload), now())
            .unwrap();
        let claims = claims_of(issued.as_str());
        let key = key_b.verifying_key().unwrap();
        assert!(
            UnverifiedJws::parse(issued.as_str())
                .unwrap()
                .verify(&key, ALGORITHMS)
                .is_ok()
        );
        (chained.txn().unwrap().to_owned(), claims)
    };
    let (at_b, claims) = cross(TxnRule::Copy);
    assert_eq!(
        (&claims["iss"], &claims["sub"]),
        (&json!(B), &json!("customer-7"))
    );
    assert_eq!(claims["txn"], at_b);
    let text = Value::Object(claims.clone()).to_string();
    assert!(
        !claims.contains_key("txn_claims") && !text.contains("enterprise"),
        "{text}"
    );

    let original = "a9b2c3d4-e5f6-7890-abcd-ef1234567890";
    assert_eq!(at_b, original);
    let (at_b, claims) = cross(TxnRule::Pairwise([1; 32]));
    assert!(at_b != original && claims["txn"] != json!(at_b) && claims["txn"] != json!(original));
    let (again, _) = cross(TxnRule::Pairwise([1; 32]));
    assert_eq!(again, at_b);
    let (other, _) = cross(TxnRule::Pairwise([2; 32]));
    assert_ne!(other, at_b);
}

/// The transaction token goes to the own domain only, by the client's interface and by the last step before sending.
///
/// Covers: TXN-CHAIN-3.2-1, TXN-CHAIN-7.4-1, TXN-CHAIN-A8, TXN-CHAIN-4.3.4-1
#[test]
fn the_token_stays_home() {
    let domains = Domains::new();
    let token = domains.token(json!({}));
    let request = ChainingRequest::new(token.as_str(), url(B));
    let answer = |more: Value, grant: &str| {
        let members = json!({"access_token": grant, "issued_token_type": JWT, "token_type": "N_A", "expires_in": 60});
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        let body = with(members, more).to_string();
        request.parse_response(StatusCode::OK, &headers, body.as_bytes())
    };
    let grant = answer(json!({}), &domains.grant(json!({}))).unwrap();
    let server = AuthorizationServer::new(url(B), url(B_TOKEN));
    let redeem = grant.redeem_at(&server).unwrap().to_request().unwrap();
    let sent = String::from_utf8(redeem.body().clone()).unwrap();
    assert!(!sent.contains(&token) && redeem.headers().get("txn-token").is_none());
    let plain = sign_with(&domains.key, Some("JWT"), &domains.claims(json!({})));
    for (more, grant) in [
        (json!({}), plain.as_str()),
        (json!({}), token.as_str()),
        (json!({"token_type": "Bearer"}), &domains.grant(json!({}))),
        (json!({"issued_token_type": TXN}), &domains.grant(json!({}))),
        (
            json!({}),
            &domains.grant(json!({"aud": "https://as.c.example"})),
        ),
    ] {
        assert!(answer(more.clone(), grant).is_err(), "{more}");
    }
    assert!(ReceivedGrant::external(token.as_str(), &url(B)).is_err());

    let hosts = OwnHosts::new()
        .with_host("api.enterprise.example")
        .with_domain("svc.enterprise.example");
    for (uri, stays) in [
        ("https://api.enterprise.example/x", true),
        ("https://API.Enterprise.Example./x", true),
        ("https://pay.svc.enterprise.example/", true),
        ("https://svc.enterprise.example/", false),
        ("https://evilsvc.enterprise.example/", false),
        ("https://api.enterprise.example.evil.test/", false),
        ("https://api.spamsvc.example/", false),
        ("/relative", false),
    ] {
        let mut parts = Request::get(uri)
            .header("txn-token", &token)
            .body(())
            .unwrap()
            .into_parts()
            .0;
        assert_eq!(hosts.strip(&mut parts), !stays, "{uri}");
        assert_eq!(parts.headers.contains_key("txn-token"), stays, "{uri}");
    }
}

/// What a server says in its metadata.
///
/// Covers: TXN-CHAIN-8-1
#[test]
fn metadata() {
    let mut metadata = Map::new();
    advertise_chaining(&mut metadata);
    assert_eq!(
        metadata["identity_chaining_requested_token_types_supported"],
        json!([JWT, TXN])
    );
}

fn some_scopes() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..=5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a token has and a request asks for, the grant's scope is within what the token's scopes stand for.
    ///
    /// Covers: TXN-CHAIN-7.2-1, TXN-CHAIN-5.1-6, TXN-CHAIN-4.3.2-4
    #[test]
    fn scope_never_grows(
        map in proptest::collection::vec(some_scopes(), 4),
        has in proptest::sample::subsequence(vec![0_usize, 1, 2, 3, 4], 1..=5),
        asked in proptest::option::of(some_scopes()),
    ) {
        let domains = Domains::new();
        let mut agreement = OutboundAgreement::new(url(B), LATER)
            .with_subjects(PrincipalKind::System, Match::Any, Mapping::Identity)
            .permit(RW);
        for (i, there) in map.iter().enumerate().filter(|(_, there)| !there.is_empty()) {
            agreement = agreement.with_scope(format!("s{i}"), there.iter().copied().collect()).unwrap();
        }
        let ceiling: BTreeSet<&str> = has.iter().filter_map(|i| map.get(*i)).flatten().copied().collect();
        let internal = has.iter().map(|i| format!("s{i}")).collect::<Vec<_>>().join(" ");
        let token = domains.token(json!({"scope": internal}));
        let asked = asked.map(|asked| asked.join(" "));
        let mut pairs = leg_1(&token);
        pairs.extend(asked.iter().map(|asked| ("scope", asked.as_str())));
        let wanted: BTreeSet<&str> = asked.iter().flat_map(|asked| asked.split(' ')).filter(|one| !one.is_empty()).collect();
        match exchange(&domains.a_with(agreement), &pairs) {
            Ok(claims) => {
                let granted: BTreeSet<&str> = claims["scope"].as_str().unwrap().split(' ').collect();
                prop_assert!(granted.is_subset(&ceiling) && !granted.is_empty());
                prop_assert!(wanted.is_empty() || granted == wanted);
            }
            Err(error) => {
                prop_assert_eq!(error.oauth_error(), "invalid_scope");
                prop_assert!(ceiling.is_empty() || !wanted.is_subset(&ceiling));
            }
        }
    }
}

/// The grant's answer is an ordinary one of a token exchange.
#[test]
fn an_ordinary_answer() {
    let domains = Domains::new();
    let token = domains.token(json!({}));
    let response = domains
        .a()
        .handle(&post(&[]), &form(&leg_1(&token)), Some(&client(RW)), now());
    let read =
        TokenExchangeResponse::parse(response.status(), response.headers(), response.body(), None);
    assert_eq!(read.unwrap().scope, Some(scope("spam.rating.read")));
}

/// The vectors of `test-vectors/txn-token/txn-chain.json`, signed by OpenSSL.
#[test]
fn vectors() {
    struct Everybody;
    impl ChainedSubjects for Everybody {
        fn find(&self, grant: &ChainGrant) -> Option<String> {
            Some(grant.subject().to_owned())
        }
    }
    let file = include_str!("../../../test-vectors/txn-token/txn-chain.json");
    let file: Value = serde_json::from_str(file).unwrap();
    for group in file["groups"].as_array().unwrap() {
        let (issuer, set) = group["keys"].as_object().unwrap().iter().next().unwrap();
        let set = jose_x509::KeySet::from_jwks_slice(&provider(), set.to_string().as_bytes());
        let terms = InboundAgreement::new(
            url(issuer),
            Arc::new(set.unwrap()),
            scope("spam.rating.read"),
            u64::MAX,
        );
        let domains = Domains::new();
        let terms = terms.with_claim("scope").with_claim("rctx");
        let b = domains.b_with(terms, Arc::new(Everybody));
        for case in group["cases"].as_array().unwrap() {
            let pairs = [
                ("grant_type", identity_chaining::GRANT_TYPE),
                ("assertion", case["input"].as_str().unwrap()),
            ];
            let time = at(case["now"].as_u64().unwrap());
            let result = b.redeem(&post(&[]), &form(&pairs), Some(&client("x")), time);
            let (expected, name) = (&case["expected"], &case["name"]);
            match result {
                Ok(chained) => {
                    assert_eq!(expected["result"], "valid", "{name}");
                    let values = json!({
                        "sub": chained.access.subject, "scope": chained.access.scope.to_string(),
                        "txn": chained.txn(), "txn_claims": chained.grant.claims(),
                    });
                    for (member, value) in expected["values"].as_object().unwrap() {
                        assert_eq!(&values[member], value, "{name}: {member}");
                    }
                }
                Err(error) => {
                    assert_eq!(expected["result"], "invalid", "{name}: {error}");
                    assert_eq!(expected["code"], error.code(), "{name}: {error}");
                }
            }
        }
    }
}
