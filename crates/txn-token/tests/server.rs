//! The token on its way: the layer, the field, propagation, single use, the token service's address.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use jose_x509::KeySet;
use jose_x509::key::cache::{Fetched, KeySetCache};
use jose_x509::provider::ring::provider;
use jose_x509::replay::MemoryReplayGuard;
use serde_json::json;
use support::*;
use token_exchange::{SubjectToken, TokenType};
use tower_layer::Layer;
use tower_service::Service;
use txn_token::server::TxnTokenLayer;
use txn_token::service::{ContextMembers, Subjects};
use txn_token::*;

/// Answers with the subject of the verified token.
#[derive(Clone, Default)]
struct Handler(Arc<Mutex<usize>>);

impl Service<Request<()>> for Handler {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        *self.0.lock().unwrap() += 1;
        let token = request.extensions().get::<Arc<TxnToken>>().unwrap();
        ready(Ok(Response::new(token.subject().to_owned())))
    }
}

fn run<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn with(fields: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::get("https://pay.example.org/x").body(()).unwrap();
    for (name, value) in fields {
        request
            .headers_mut()
            .append(*name, HeaderValue::from_str(value).unwrap());
    }
    request
}

/// Covers: TXN-TOKEN-12-1, TXN-TOKEN-12.1-1, TXN-TOKEN-12.1-2, TXN-TOKEN-12.2-1, TXN-TOKEN-A6, TXN-TOKEN-15.2-1
#[test]
fn the_layer_lets_only_verified_tokens_through() {
    let world = World::new();
    let handler = Handler::default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let keys = Arc::new(KeySet::new(vec![world.keys.clone()]).unwrap());
    let layer = TxnTokenLayer::with_log(
        world.verifier.clone(),
        keys.clone(),
        now,
        move |error: &Error| {
            log.lock().unwrap().push(error.code());
        },
    );
    let good = world.sign(&claims());
    let foreign = World::new().sign(&claims());
    let late = world.sign(&claims_with(json!({"iat": NOW - 400, "exp": NOW - 100})));
    type Fields<'a> = &'a [(&'static str, &'a str)];
    let cases: [(Fields<'_>, StatusCode, &str); 8] = [
        (&[("txn-token", &good)], StatusCode::OK, ""),
        (
            &[("Txn-Token", &good), ("authorization", "Bearer x")],
            StatusCode::OK,
            "",
        ),
        (&[], StatusCode::UNAUTHORIZED, "missing_field"),
        (
            &[("authorization", &good)],
            StatusCode::UNAUTHORIZED,
            "missing_field",
        ),
        (
            &[("txn-token", &good), ("txn-token", &good)],
            StatusCode::BAD_REQUEST,
            "field_count",
        ),
        (
            &[("txn-token", "a b")],
            StatusCode::UNAUTHORIZED,
            "field_value",
        ),
        (
            &[("txn-token", &foreign)],
            StatusCode::UNAUTHORIZED,
            "bad_signature",
        ),
        (&[("txn-token", &late)], StatusCode::UNAUTHORIZED, "expired"),
    ];
    for (fields, status, code) in cases {
        let before = seen.lock().unwrap().len();
        let mut service = layer.layer(handler.clone());
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| {
                (
                    if *name == "Txn-Token" {
                        "txn-token"
                    } else {
                        name
                    },
                    *value,
                )
            })
            .collect();
        assert!(run(std::future::poll_fn(|cx| service.poll_ready(cx))).is_ok());
        let response = run(service.call(with(&fields))).unwrap();
        assert_eq!(response.status(), status, "{code}");
        let logged = seen
            .lock()
            .unwrap()
            .get(before)
            .copied()
            .unwrap_or_default();
        if code == "bad_signature" {
            assert!(!logged.is_empty());
        } else {
            assert_eq!(logged, code);
        }
        assert_eq!(response.body(), if code.is_empty() { "user-1" } else { "" });
    }
    assert_eq!(*handler.0.lock().unwrap(), 2);
    // Without a log the answer is the same.
    let mut silent = TxnTokenLayer::new(world.verifier.clone(), keys, now).layer(handler);
    assert_eq!(
        run(silent.call(with(&[]))).unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let request = with(&[("txn-token", &good)]);
    let unverified = UnverifiedTxnToken::from_headers(request.headers()).unwrap();
    assert_eq!(unverified.as_str(), good);
    let token = world.verify(&good).unwrap();
    assert_eq!(unverified.hash_for_logs(&provider()), token.hash_for_logs());
    assert!(!format!("{unverified:?} {token:?}").contains(good.get(..20).unwrap()));
}

/// Covers: TXN-TOKEN-12.2-6, TXN-TOKEN-14-1, TXN-TOKEN-A21, AGENTIC-CTX-E-8
#[test]
fn a_token_is_passed_on_as_it_is_and_only_inside() {
    let token = World::new().sign(&claims());
    let incoming = with(&[("txn-token", &token), ("authorization", "Bearer x")])
        .into_parts()
        .0
        .headers;
    let inside = Propagation::to_hosts(["pay.example.org", ".svc.example.org"]);
    let outgoing = |uri: &str| {
        Request::get(uri)
            .header("txn-token", "old")
            .body(())
            .unwrap()
    };
    for (uri, good) in [
        ("https://pay.example.org/x", true),
        ("https://PAY.example.org:8443/x", true),
        ("https://a.svc.example.org/", true),
        ("https://svc.example.org/", false),
        ("https://asvc.example.org/", false),
        ("https://pay.example.org.evil.example/", false),
        ("https://partner.example/", false),
        ("http://pay.example.org/", false),
        ("/relative", false),
    ] {
        let mut request = outgoing(uri);
        let result = inside.propagate(&incoming, &mut request);
        let expected = if good {
            Ok(())
        } else {
            Err(Error::OutsideTrustDomain)
        };
        assert_eq!(result, expected, "{uri}");
        let sent: Vec<_> = request.headers().get_all("txn-token").iter().collect();
        assert_eq!(sent.len(), usize::from(good), "{uri}");
        assert!(
            sent.iter()
                .all(|value| value.as_bytes() == token.as_bytes() && value.is_sensitive())
        );
        assert!(request.headers().get("authorization").is_none());
    }
    let mut plain = outgoing("http://pay.example.org/");
    inside
        .clone()
        .with_plain_http()
        .propagate(&incoming, &mut plain)
        .unwrap();
    for broken in [
        HeaderMap::new(),
        with(&[("txn-token", "a"), ("txn-token", "b")])
            .into_parts()
            .0
            .headers,
    ] {
        let mut request = outgoing("https://pay.example.org/");
        assert!(inside.propagate(&broken, &mut request).is_err());
        assert!(request.headers().get("txn-token").is_none());
    }
    let from = Uri::from_static("https://pay.example.org/x");
    for (to, kept) in [
        ("https://pay.example.org/y", true),
        ("https://a.svc.example.org/y", false),
        ("https://partner.example/", false),
        ("http://pay.example.org/y", false),
        ("https://pay.example.org:444/y", false),
    ] {
        let mut request = outgoing(to);
        inside.redirected(&from, &mut request);
        assert_eq!(request.headers().contains_key("txn-token"), kept, "{to}");
    }
}

/// Covers: TXN-TOKEN-13.2-2, TXN-TOKEN-A1, AGENTIC-CTX-A8
#[test]
fn a_transaction_is_used_once_where_that_is_asked_for() {
    let world = World::new();
    let guard = MemoryReplayGuard::new(16);
    let first = world.issue(&request());
    let again = world
        .replace(&first, &ReplaceRequest::new(id("gateway")))
        .unwrap();
    let other = world.issue(&request());
    let once = |token: &TxnToken, what, purpose: &str| {
        token
            .use_once(what, purpose, &provider(), &guard, now())
            .map_err(|error| error.code())
    };
    assert_eq!(once(&first, SingleUse::Token, "ledger"), Ok(()));
    assert_eq!(once(&first, SingleUse::Token, "ledger"), Err("replayed"));
    assert_eq!(once(&again, SingleUse::Token, "ledger"), Ok(()));
    assert_eq!(once(&first, SingleUse::Transaction, "pay"), Ok(()));
    assert_eq!(once(&first, SingleUse::Transaction, "pay"), Err("replayed"));
    assert_eq!(once(&again, SingleUse::Transaction, "pay"), Err("replayed"));
    assert_eq!(once(&other, SingleUse::Transaction, "pay"), Ok(()));
    assert_eq!(once(&first, SingleUse::Transaction, "refund"), Ok(()));
}

/// The token with the other form of its ES256 signature: n - s in place of s.
fn with_other_signature(token: &str) -> String {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = jose_x509::base64url::decode(signature, "signature").unwrap();
    let mut borrow = false;
    for i in (0..32).rev() {
        let (digit, first) = N[i].overflowing_sub(signature[32 + i]);
        let (digit, second) = digit.overflowing_sub(u8::from(borrow));
        signature[32 + i] = digit;
        borrow = first || second;
    }
    format!("{signed}.{}", jose_x509::base64url::encode(&signature))
}

/// Covers: JWS-A11
#[test]
fn another_form_of_the_signature_makes_no_other_token() {
    let world = World::new();
    let guard = MemoryReplayGuard::new(16);
    let token = world.issue(&request());
    let other = world
        .verify(&with_other_signature(token.as_received()))
        .unwrap();
    assert_ne!(token.as_received(), other.as_received());
    assert_ne!(token.hash(), other.hash());
    assert_eq!(token.signed_hash(), other.signed_hash());
    let once = |token: &TxnToken| {
        let used = token.use_once(SingleUse::Token, "ledger", &provider(), &guard, now());
        used.map_err(|error| error.code())
    };
    assert_eq!((once(&token), once(&other)), (Ok(()), Err("replayed")));
    let hash = |token: &TxnToken| token.audit_record(&Ok(()), now()).token_hash;
    assert_eq!(hash(&token), hash(&other));
}

/// Covers: TXN-AGENTS-5.6-2, TXN-TOKEN-15.2-1, TXN-TOKEN-13.2-1
#[test]
fn the_record_names_everybody_and_holds_no_token() {
    let world = World::new();
    let token = world.token(&claims_with(json!({
        "act": {"sub": id("agents/pay")}, "act_chain": [{"sub": id("agents/plan")}],
        "agentic_ctx": {"intent": "pay the bill"},
    })));
    let record = |decision: &Result<(), Error>| {
        serde_json::to_value(token.audit_record(decision, now())).unwrap()
    };
    assert_eq!(
        record(&Ok(())),
        json!({
            "txn": "t-1", "sub": "user-1", "act": id("agents/pay"), "acting": id("agents/pay"), "path": [id("agents/plan")],
            "history": [],
            "req_wl": id("gateway"),
            "scope": token.scope().to_string(), "unverified_intent": "pay the bill", "token_hash": token.hash_for_logs(),
            "time": NOW, "decision": "allow",
        })
    );
    let refused = record(&Err(Error::InsufficientScope));
    assert_eq!(refused["decision"], "insufficient_scope");
    assert!(
        !refused
            .to_string()
            .contains(token.as_received().split('.').nth(2).unwrap())
    );
}

fn ask() -> TxnTokenRequest {
    let subject = SubjectToken {
        unverified_token: "subject-token".into(),
        token_type: TokenType::AccessToken,
    };
    TxnTokenRequest::new(DOMAIN, subject, scope("pay"))
}

/// Covers: TXN-TOKEN-11.5-1, TXN-TOKEN-11.5-3, TXN-TOKEN-13.7-1, TXN-TOKEN-13.9-1, TXN-TOKEN-A16, TXN-AGENTS-5.9-1
#[test]
fn nothing_is_sent_to_an_unknown_token_service() {
    let address = "https://tts.example.org/token";
    let names = [id("tts"), "tts.example.org".to_owned()];
    let endpoint = TokenServiceEndpoint::new(Uri::from_static(address), names).unwrap();
    for peer in [
        None,
        Some("spiffe://example.org/tts2"),
        Some("tts.example.org.evil"),
        Some(""),
    ] {
        assert_eq!(
            endpoint.request(&ask(), peer).unwrap_err(),
            Error::UntrustedTokenService,
            "{peer:?}"
        );
    }
    for peer in [id("tts"), "tts.example.org".to_owned()] {
        let request = endpoint.request(&ask(), Some(&peer)).unwrap();
        assert_eq!(
            (
                request.uri().to_string().as_str(),
                request.method().as_str()
            ),
            (address, "POST")
        );
        assert!(request.body().contains("subject-token"));
        assert!(!request.headers().contains_key("authorization"));
    }
    for uri in [
        "http://tts.example.org/token",
        "/token",
        "http://127.0.0.1:8080/token",
    ] {
        assert!(
            TokenServiceEndpoint::new(uri.parse().unwrap(), ["a"]).is_err(),
            "{uri}"
        );
    }
    assert!(TokenServiceEndpoint::new(Uri::from_static(address), [""]).is_err());
    assert!(TokenServiceEndpoint::new(Uri::from_static(address), Vec::<String>::new()).is_err());
    for (uri, good) in [
        ("http://127.0.0.1:8080/token", true),
        ("http://[::1]/token", true),
        ("http://localhost/token", true),
        ("http://127.0.0.1.evil.example/token", false),
        ("http://tts.example.org/token", false),
    ] {
        assert_eq!(
            TokenServiceEndpoint::on_loopback_for_tests(uri.parse().unwrap(), ["a"]).is_ok(),
            good,
            "{uri}"
        );
    }
    for status in [301, 302, 307, 308] {
        let response = Response::builder()
            .status(status)
            .header("location", "https://evil.example")
            .body(Vec::new());
        assert_eq!(
            endpoint.read_response(&response.unwrap()).unwrap_err(),
            Error::UntrustedTokenService
        );
    }
}

#[test]
fn what_is_too_large_costs_little() {
    let world = World::new();
    let verify = |text: &str| {
        let request = with(&[("txn-token", text)]);
        world
            .verifier
            .verify_request(request.headers(), &world.keys, now())
            .map_err(|error| error.code())
    };
    assert_eq!(
        verify(&"x".repeat(16 * 1024 + 1)).unwrap_err(),
        "field_too_long"
    );
    let chain = |links: usize| {
        let links: Vec<_> = (0..links)
            .map(|i| json!({"sub": id(&format!("a{i}"))}))
            .collect();
        world.sign(&claims_with(
            json!({"act": {"sub": id("x")}, "act_chain": links}),
        ))
    };
    assert_eq!(verify(&chain(200)).unwrap_err(), "chain_too_long");
    assert_eq!(verify(&chain(10_000)).unwrap_err(), "field_too_long");
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1000), "]".repeat(1000));
    let wide = format!("{{\"a\":\"{}\"}}", "x".repeat(10 << 20));
    for text in [&deep, &wide] {
        assert_eq!(
            txn_token::Context::parse(text).unwrap_err(),
            Error::InvalidContext
        );
    }
    // An unknown key is told apart, and fetching anew is for the caller to ration.
    let unknown = World::new();
    let key = jose_x509::SigningKey::generate(&provider(), jose_x509::Algorithm::Es256)
        .unwrap()
        .with_kid("k9");
    let token = TxnTokenIssuer::new(key, DOMAIN, &provider())
        .unwrap()
        .with_issuer(ISSUER)
        .issue(&request(), now())
        .unwrap();
    let set = KeySet::new(vec![unknown.keys.clone()]).unwrap();
    let refused = unknown
        .verifier
        .verify(token.as_str(), &set, now())
        .unwrap_err();
    assert!(refused.refresh_may_help());
    assert!(!Error::FieldValue.refresh_may_help());
}

/// Each thing that a stranger can send in any size or number has a bound, and is refused at it.
///
/// Covers: TXN-TOKEN-A18
#[test]
fn floods_are_refused_at_the_limits() {
    let world = World::new();
    let body = serde_json::json!({"keys": [world.key.public_jwk()]}).to_string();
    let answer = Fetched {
        body: body.as_bytes(),
        content_type: "application/jwk-set+json",
        cache_control: "max-age=3600",
    };
    let cache = KeySetCache::new(provider(), ISSUER, "https://tts.example.org/jwks").unwrap();
    let cache = Arc::new(cache);
    let clock = Arc::new(Mutex::new(NOW));
    let tickets = Arc::new(Mutex::new(Vec::new()));
    let codes = Arc::new(Mutex::new(Vec::new()));
    let (time, fetches, log) = (clock.clone(), tickets.clone(), codes.clone());
    let layer = TxnTokenLayer::with_key_cache(
        world
            .verifier
            .clone()
            .with_max_lifetime(Duration::from_secs(3600)),
        cache.clone(),
        move |ticket| fetches.lock().unwrap().push(ticket),
        move || at(*time.lock().unwrap()),
        move |error: &Error| log.lock().unwrap().push(error.code()),
    );
    let mut service = layer.layer(Handler::default());
    let mut call = |token: &str| {
        let response = run(service.call(with(&[("txn-token", token)]))).unwrap();
        let code = codes.lock().unwrap().pop();
        (response.status(), code.unwrap_or_default())
    };
    let fetched = || tickets.lock().unwrap().len();
    let complete = |now: u64| {
        let ticket = tickets.lock().unwrap().pop().unwrap();
        cache.complete(ticket, &answer, at(now)).unwrap();
    };

    // The first request of all finds no keys; what is no token asks for none.
    let good = world.sign(&claims_with(json!({"exp": NOW + 3000})));
    assert_eq!(call("no token").1, "field_value");
    assert_eq!(fetched(), 0);
    assert_eq!(call(&good), (StatusCode::SERVICE_UNAVAILABLE, "no_keys"));
    assert_eq!(call(&good), (StatusCode::SERVICE_UNAVAILABLE, "no_keys"));
    assert_eq!(fetched(), 1);
    complete(NOW);
    assert_eq!(call(&good).0, StatusCode::OK);

    // Keys that nobody has, a thousand in a minute, each of another name: one fetch, before and after the answer.
    let stranger = |i: u64| {
        let header = format!(r#"{{"typ":"{TXN_TOKEN_TYPE}","alg":"ES256","kid":"k{i}"}}"#);
        let rest = good.split_once('.').unwrap().1;
        format!("{}.{rest}", jose_x509::base64url::encode(header.as_bytes()))
    };
    let unknown = (StatusCode::UNAUTHORIZED, "unknown_key");
    let mut storm = |from: u64, requests: u64| {
        for i in 0..requests {
            *clock.lock().unwrap() = from + i * 60 / requests;
            assert_eq!(call(&stranger(from + i)), unknown);
        }
    };
    storm(NOW, 1000);
    assert_eq!(fetched(), 0, "the cool-down of the first fetch");
    storm(NOW + 60, 500);
    assert_eq!(fetched(), 1);
    complete(NOW + 119);
    storm(NOW + 120, 500);
    assert_eq!(fetched(), 1);
    // A fetch that fails is not tried at once again.
    let failed = tickets.lock().unwrap().pop().unwrap();
    cache.fail(failed, at(NOW + 179));
    storm(NOW + 179, 1);
    assert_eq!(fetched(), 0);
    assert_eq!(
        call(&good).0,
        StatusCode::OK,
        "the keys at hand still serve"
    );

    // A field that is too long is not read, one of the longest length is.
    for (length, expected) in [
        (16 * 1024, (StatusCode::UNAUTHORIZED, "segment_count")),
        (
            16 * 1024 + 1,
            (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "field_too_long",
            ),
        ),
        (
            1 << 20,
            (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "field_too_long",
            ),
        ),
    ] {
        assert_eq!(call(&"x".repeat(length)), expected, "{length}");
    }
    let twice = with(&[("txn-token", &good), ("txn-token", &good)]);
    let response = run(layer.layer(Handler::default()).call(twice)).unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);

    // The token service: details that are large or deep, up to the whole body.
    let workload = id("gateway");
    let permissions = Permissions::new(scope("pay"))
        .with_type(&TokenType::UnsignedJson)
        .with_ceiling(scope("pay"))
        .with_subjects(Subjects::All);
    let policy = ContextMembers {
        request: vec![],
        details: vec!["a"],
    };
    let service = TxnTokenService::new(world.service, &provider(), ISSUER)
        .unwrap()
        .permit(&workload, permissions)
        .with_policy(Arc::new(policy));
    let ask = |details: &str| {
        let subject = SubjectToken {
            unverified_token: r#"{"sub":"user-1"}"#.into(),
            token_type: TokenType::UnsignedJson,
        };
        let wanted = TxnTokenRequest::new(DOMAIN, subject, scope("pay"));
        let details: String = form_urlencoded::byte_serialize(details.as_bytes()).collect();
        let body = format!("{}&request_details={details}", wanted.to_form().unwrap());
        let head = Request::post("https://tts.example.org/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let error = service.exchange(&head, body.as_bytes(), Some(&workload), now());
        let status = service
            .handle(&head, body.as_bytes(), Some(&workload), now())
            .status();
        (
            status,
            error.map_or_else(|error| error.code(), |_| "issued"),
        )
    };
    let text = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 8));
    let deep = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let (issued, refused) = ((StatusCode::OK, "issued"), StatusCode::BAD_REQUEST);
    for (details, expected) in [
        (text(8000), issued),
        (text(16 * 1024 + 1), (refused, "invalid_context")),
        (text(60_000), (refused, "invalid_context")),
        (text(70_000), (refused, "form_too_large")),
        (text(10 << 20), (refused, "form_too_large")),
        (deep(14), issued),
        (deep(17), (refused, "invalid_context")),
        (deep(1000), (refused, "invalid_context")),
    ] {
        assert_eq!(ask(&details), expected, "{} bytes", details.len());
    }
}
