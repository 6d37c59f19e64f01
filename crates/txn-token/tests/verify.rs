//! What a workload accepts, and in which header.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use http::{HeaderMap, StatusCode};
use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::jwt::{Audience, Issuer, Type, Validator};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, SigningKey};
use serde_json::{Value, json};
use support::*;
use txn_token::*;

/// Covers: TXN-TOKEN-9.2-1, TXN-TOKEN-9.2-12, TXN-TOKEN-9.2-9, TXN-TOKEN-9.2-10, TXN-TOKEN-9.2.2-1,
/// Covers: TXN-TOKEN-12.2-7, TXN-AGENTS-1-1, TXN-AGENTS-1-3, AGENTIC-CTX-P-1, AGENTIC-CTX-P-3, AGENTIC-CTX-P-9
#[test]
fn everything_a_token_says_is_readable() {
    let world = World::new();
    let token = world.token(&claims_with(json!({
        "tctx": {"amount": 12, "nested": {"a": [1]}}, "rctx": {"anything": "goes"}, "custom": [1, 2],
        "act": {"sub": id("agents/pay"), "version": "1.2", "deployment": "blue", "unknown": 1},
        "act_chain": [{"sub": id("agents/plan"), "iat": NOW - 5, "outcome": "ok"}],
        "agentic_ctx": {"agent_type": "planner+tool-orchestrator", "intent": "pay the bill", "prov": {"model_id": "m"}},
    })));
    assert_eq!(
        (token.txn(), token.subject(), token.trust_domain()),
        ("t-1", "user-1", DOMAIN)
    );
    assert_eq!(token.issuer(), Some(ISSUER));
    assert_eq!(token.scope(), &scope("read pay"));
    assert_eq!(token.requesting_workload(), id("gateway"));
    assert_eq!((token.issued_at(), token.expires()), (NOW, NOW + 300));
    assert_eq!(
        token.transaction_context().get("nested"),
        Some(json!({"a": [1]}))
    );
    assert_eq!(token.request_context().get("anything"), Some(json!("goes")));
    assert_eq!(token.claim("custom"), Some(json!([1, 2])));
    let act = token.actor().unwrap();
    assert_eq!(
        (act.version(), act.deployment()),
        (Some("1.2"), Some("blue"))
    );
    let link = &token.act_chain()[0];
    assert_eq!(link.actor().party().subject(), id("agents/plan"));
    assert_eq!(
        (link.issued_at(), link.outcome()),
        (Some(NOW - 5), Some(Outcome::Ok))
    );
    let actors = token.actors().unwrap();
    let subjects: Vec<_> = actors
        .iter()
        .map(|party| party.subject().to_owned())
        .collect();
    assert_eq!(subjects, [id("agents/pay"), id("agents/plan")]);
    let context = token.agentic_context().unwrap();
    assert_eq!(
        context.agent_types().collect::<Vec<_>>(),
        ["planner", "tool-orchestrator"]
    );
    assert_eq!(token.lineage().unwrap().current().model_id(), Some("m"));
    assert!(world.token(&claims()).agentic_context().is_none());
}

/// Covers: TXN-TOKEN-9.2-2, TXN-TOKEN-9.2-3, TXN-TOKEN-9.2-4, TXN-TOKEN-9.2-5, TXN-TOKEN-9.2-6, TXN-TOKEN-9.2-7,
/// Covers: TXN-TOKEN-9.2-8, TXN-TOKEN-9.2-11, TXN-TOKEN-12.2-3, TXN-TOKEN-12.2-4, TXN-TOKEN-12.2-5, TXN-TOKEN-A2,
/// Covers: TXN-AGENTS-5.2-1, TXN-AGENTS-5.5-1, TXN-AGENTS-1-4, AGENTIC-CTX-P-8, AGENTIC-CTX-P-10, AGENTIC-CTX-P-11,
/// Covers: AGENTIC-CTX-P-12, AGENTIC-CTX-V-1, TXN-AGENTS-3.5.2-1, AGENTIC-CTX-A16
#[test]
fn a_claim_that_is_missing_or_malformed_is_named() {
    let world = World::new();
    let cases: &[(Value, &str)] = &[
        (json!({"iss": null}), "missing_claim"),
        (
            json!({"iss": "https://tts.example.org/"}),
            "issuer_mismatch",
        ),
        (json!({"iat": null}), "missing_claim"),
        (json!({"iat": "1800000000"}), "claim_type"),
        (json!({"iat": -1}), "claim_type"),
        (json!({"iat": NOW + 31}), "issued_in_future"),
        (json!({"aud": null}), "missing_claim"),
        (json!({"aud": "EXAMPLE.org"}), "audience_mismatch"),
        (json!({"aud": "a.example.org"}), "audience_mismatch"),
        (json!({"aud": "https://example.org"}), "audience_mismatch"),
        (
            json!({"aud": [DOMAIN, "other.example"]}),
            "multiple_audiences",
        ),
        (json!({"exp": null}), "missing_claim"),
        (json!({"exp": NOW}), "contradictory_times"),
        (json!({"iat": NOW - 400, "exp": NOW - 30}), "expired"),
        (json!({"exp": NOW + 3601}), "lifetime_too_long"),
        (json!({"nbf": NOW + 31}), "not_yet_valid"),
        (json!({"txn": null}), "missing_claim"),
        (json!({"txn": ""}), "claim_type"),
        (json!({"txn": 7}), "claim_type"),
        (json!({"sub": null}), "missing_claim"),
        (json!({"sub": {"format": "email"}}), "claim_type"),
        (json!({"scope": null}), "missing_claim"),
        (json!({"scope": null, "purp": "pay"}), "missing_claim"),
        (json!({"scope": " "}), "claim_type"),
        (json!({"scope": ["pay"]}), "claim_type"),
        (
            json!({"req_wl": null, "rctx": {"req_wl": "x"}}),
            "missing_claim",
        ),
        (json!({"req_wl": ["x"]}), "claim_type"),
        (json!({"tctx": []}), "claim_type"),
        (json!({"rctx": "x"}), "claim_type"),
        (json!({"agentic_ctx": []}), "agentic_context"),
        (json!({"agentic_ctx": {"intent": 1}}), "agentic_context"),
        (
            json!({"agentic_ctx": {"intent": "a\nb"}}),
            "agentic_context",
        ),
        (
            json!({"agentic_ctx": {"intent": "x".repeat(1025)}}),
            "agentic_context",
        ),
        (
            json!({"agentic_ctx": {"allowed_actions": "pay"}}),
            "agentic_context",
        ),
        (
            json!({"agentic_ctx": {"allowed_actions": [1]}}),
            "agentic_context",
        ),
        (
            json!({"agentic_ctx": {"authorization_details": [{}]}}),
            "agentic_context",
        ),
        (
            json!({"agentic_ctx": {"authorization_details": {"type": "x"}}}),
            "agentic_context",
        ),
        (
            json!({"agentic_ctx": {"environment_constraints": {"region": ["us"]}}}),
            "agentic_context",
        ),
        (
            json!({"agentic_ctx": {"chain_metadata": {}}}),
            "agentic_context",
        ),
        (json!({"req_wl_chain": ["a", 1]}), "claim_type"),
        (json!({"txn_iat": NOW + 1}), "claim_type"),
    ];
    for (change, code) in cases {
        assert_eq!(
            world.refusal(&claims_with(change.clone())),
            *code,
            "{change}"
        );
    }
    let mut null = claims();
    null["tctx"] = Value::Null;
    assert_eq!(world.refusal(&null), "claim_type");
    world.token(&claims_with(
        json!({"aud": [DOMAIN], "nbf": NOW + 30, "iat": NOW + 30, "exp": NOW + 60}),
    ));
    world.token(&claims_with(json!({"iat": NOW - 300, "exp": NOW - 29})));
}

/// Covers: TXN-TOKEN-9.2-1, TXN-TOKEN-13.16-1
#[test]
fn no_issuer_is_needed_where_the_keys_are_known() {
    let world = World::new();
    let verifier = TxnTokenVerifier::with_predetermined_keys(DOMAIN);
    let token = world.sign(&claims_with(json!({"iss": null})));
    let token = verifier.verify(&token, &world.keys, now()).unwrap();
    assert_eq!(token.issuer(), None);
    assert_eq!(
        world.refusal(&claims_with(json!({"iss": null}))),
        "missing_claim"
    );
}

/// Covers: TXN-TOKEN-9.1-1, TXN-TOKEN-9.1-2, TXN-TOKEN-A4, TXN-TOKEN-13.13-1, TXN-AGENTS-3.5.1-1, TXN-TOKEN-C-3
#[test]
fn other_types_of_token_with_the_same_key_and_claims_are_refused() {
    let world = World::new();
    for typ in [
        "at+jwt",
        "JWT",
        "wit+jwt",
        "txn_token",
        "txntoken",
        "txntoken+jwt;v=1",
        "secevent+jwt",
        "",
    ] {
        let token = world.sign_as(typ, &claims());
        let code = world.verify(&token).unwrap_err().code();
        assert!(
            matches!(code, "wrong_type" | "header_type"),
            "{typ}: {code}"
        );
    }
    let untyped = jws::sign(
        &world.key,
        &ProtectedHeader::without_typ(),
        claims().to_string().as_bytes(),
    );
    assert_eq!(
        world.verify(&untyped.unwrap()).unwrap_err().code(),
        "wrong_type"
    );
    for typ in ["TxnToken+JWT", "application/txntoken+jwt"] {
        world.verify(&world.sign_as(typ, &claims())).unwrap();
    }
}

/// Covers: TXN-TOKEN-13.13-1, TXN-TOKEN-13.12-1, TXN-TOKEN-A5
#[test]
fn a_transaction_token_is_no_access_token() {
    let world = World::new();
    let token = world.sign(&claims());
    let access = |typ| {
        Validator::new(
            Type::OneOf(typ),
            Issuer::Exactly(ISSUER.into()),
            Audience::AnyOf(vec![DOMAIN.into()]),
        )
    };
    let refused = access(&["at+jwt"]).validate(&token, &world.keys, now());
    assert_eq!(refused.unwrap_err().code(), "wrong_type");
    access(&["txntoken+jwt"])
        .validate(&token, &world.keys, now())
        .unwrap();
}

/// Covers: TXN-TOKEN-9-1, TXN-TOKEN-9.1-3, TXN-TOKEN-12.2-2, TXN-TOKEN-A3, TXN-TOKEN-A17
#[test]
fn only_the_key_of_the_token_service_counts() {
    let world = World::new();
    let stranger = SigningKey::generate(&provider(), Algorithm::Es256)
        .unwrap()
        .with_kid("k1");
    let payload = claims().to_string();
    let header = ProtectedHeader::new(TXN_TOKEN_TYPE);
    let code = |token: &str| world.verify(token).unwrap_err().code();
    assert_eq!(
        code(&jws::sign(&stranger, &header, payload.as_bytes()).unwrap()),
        "invalid_signature"
    );
    let no_kid = jws::sign(
        &world.key,
        &header.clone().without_kid(),
        payload.as_bytes(),
    )
    .unwrap();
    assert_eq!(code(&no_kid), "missing_header");
    let other_kid = world.key.clone().with_kid("k1' OR 1=1");
    assert_eq!(
        code(&jws::sign(&other_kid, &header, payload.as_bytes()).unwrap()),
        "unknown_key"
    );
    let p384 = SigningKey::generate(&provider(), Algorithm::Es384)
        .unwrap()
        .with_kid("k1");
    assert!(
        world
            .verify(&jws::sign(&p384, &header, payload.as_bytes()).unwrap())
            .is_err()
    );
    for alg in ["none", "HS256"] {
        let head = format!(r#"{{"alg":"{alg}","kid":"k1","typ":"txntoken+jwt"}}"#);
        let encode = jose_x509::base64url::encode;
        let token = format!(
            "{}.{}.{}",
            encode(head.as_bytes()),
            encode(payload.as_bytes()),
            encode(&[1; 32])
        );
        assert_eq!(code(&token), "unsupported_algorithm", "{alg}");
    }
    let token = world.sign(&claims());
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert!(world.verify(&format!("{signed}.")).is_err());
    assert!(world.verify(&format!("{signed}.AAAA")).is_err());
    assert!(world.verify(&format!("{token}.{token}")).is_err());
    assert!(
        world
            .verify(&json!({"payload": "x", "signatures": []}).to_string())
            .is_err()
    );
}

/// Covers: TXN-TOKEN-9.2-12, TXN-TOKEN-A20, AGENTIC-CTX-P-13, AGENTIC-CTX-A14
#[test]
fn json_is_strict() {
    let world = World::new();
    let good = claims().to_string();
    let cases = [
        good.replacen('{', r#"{"sub":"user-2","#, 1),
        good.replacen('{', r#"{"aud":"example.org","#, 1),
        good.replacen('{', r#"{"tctx":{"a":1,"a":2},"#, 1),
        good.replacen(
            '{',
            r#"{"act":{"sub":"spiffe://example.org/a","sub":"spiffe://example.org/b"},"#,
            1,
        ),
        good.replacen('{', "{// comment\n", 1),
        good.replacen('}', ",}", 1),
        good.replacen("req_wl", r"req\_wl", 1),
        format!("{good} x"),
    ];
    for (i, payload) in cases.into_iter().enumerate() {
        let expected = if i < 4 {
            "duplicate_member"
        } else {
            "invalid_json"
        };
        let token = jws::sign(
            &world.key,
            &ProtectedHeader::new(TXN_TOKEN_TYPE),
            payload.as_bytes(),
        );
        assert_eq!(
            world.verify(&token.unwrap()).unwrap_err().code(),
            expected,
            "{payload}"
        );
    }
}

/// Covers: TXN-TOKEN-C-2, AGENTIC-CTX-P-6, TXN-AGENTS-L-2, AGENTIC-CTX-A14
#[test]
fn earlier_names_must_not_contradict() {
    let world = World::new();
    let chain = json!([{"sub": id("a")}]);
    let other = json!([{"sub": id("b")}]);
    let act = json!({"sub": id("now")});
    for change in [
        json!({"purp": "pay"}),
        json!({"purp": 5}),
        json!({"tctx": {"a": 1}, "azd": {"a": 2}}),
        json!({"act": act, "act_chain": chain, "actchain": other}),
        json!({"act": act, "act_chain": [], "actchain": other}),
    ] {
        assert_eq!(
            world.refusal(&claims_with(change.clone())),
            "two_spellings",
            "{change}"
        );
    }
    world.token(&claims_with(
        json!({"purp": "read pay", "tctx": {"a": 1}, "azd": {"a": 1}}),
    ));
    let alias = world.token(&claims_with(json!({"act": act, "actchain": chain})));
    assert_eq!(alias.act_chain().len(), 1);
}

/// Covers: AGENTIC-CTX-P-3, AGENTIC-CTX-P-4, AGENTIC-CTX-P-5, AGENTIC-CTX-P-7, AGENTIC-CTX-V-2, AGENTIC-CTX-V-3,
/// Covers: AGENTIC-CTX-V-4, AGENTIC-CTX-V-5, AGENTIC-CTX-A3, AGENTIC-CTX-A13, TXN-AGENTS-5.3-1, TXN-AGENTS-A8
#[test]
fn a_chain_names_known_agents_once_and_in_order() {
    let world = World::new();
    let act = json!({"sub": id("agents/pay")});
    let link = |path: &str, iat: u64| json!({"sub": id(path), "iat": iat});
    let nested = |depth: usize| {
        (1..depth).fold(
            json!({"sub": id("n")}),
            |act, _| json!({"sub": id("n"), "act": act}),
        )
    };
    let long: Vec<_> = (0..9).map(|i| link(&format!("agents/{i}"), NOW)).collect();
    let cases = [
        (json!({"act": id("a")}), "malformed_actor"),
        (json!({"act": {}}), "malformed_actor"),
        (json!({"act": {"sub": ""}}), "malformed_actor"),
        (
            json!({"act": {"sub": id("a"), "version": 1}}),
            "malformed_actor",
        ),
        (json!({"act": nested(5)}), "malformed_actor"),
        (json!({"act_chain": [link("a", NOW)]}), "malformed_actor"),
        (
            json!({"act": act, "act_chain": {"sub": id("a")}}),
            "malformed_actor",
        ),
        (
            json!({"act": act, "act_chain": [{"sub": id("a"), "iat": "1"}]}),
            "malformed_actor",
        ),
        (
            json!({"act": act, "act_chain": [{"sub": id("a"), "outcome": "OK"}]}),
            "malformed_actor",
        ),
        (json!({"act": act, "act_chain": long}), "chain_too_long"),
        (
            json!({"act": {"sub": "spiffe://0xample.org/agents/pay"}}),
            "unknown_actor_trust_domain",
        ),
        (
            json!({"act": {"sub": "spiffe://example.org.evil/agents/pay"}}),
            "unknown_actor_trust_domain",
        ),
        (
            json!({"act": {"sub": "spiffe://EXAMPLE.org/agents/pay"}}),
            "unknown_actor_trust_domain",
        ),
        (
            json!({"act": {"sub": "spiffe://example.org/agents/pay/"}}),
            "unknown_actor_trust_domain",
        ),
        (
            json!({"act": {"sub": "spiffe://example.org/agents/%70ay"}}),
            "unknown_actor_trust_domain",
        ),
        (
            json!({"act": {"sub": "client-17"}}),
            "unknown_actor_trust_domain",
        ),
        (
            json!({"act": act, "act_chain": [{"sub": id("a"), "iss": "https://else.example"}]}),
            "unknown_actor_issuer",
        ),
        (
            json!({"act": act, "act_chain": [link("agents/pay", NOW)]}),
            "repeated_actor",
        ),
        (
            json!({"act": act, "act_chain": [link("a", NOW), link("b", NOW), link("a", NOW)]}),
            "repeated_actor",
        ),
        (
            json!({"act": act, "act_chain": [link("a", NOW), link("b", NOW - 1)]}),
            "chain_times",
        ),
        (
            json!({"act": act, "act_chain": [link("a", NOW + 31)]}),
            "chain_times",
        ),
    ];
    for (change, code) in cases {
        assert_eq!(
            world.refusal(&claims_with(change.clone())),
            code,
            "{change}"
        );
    }
    world.token(&claims_with(
        json!({"act": nested(4), "act_chain": long[..8]}),
    ));
    world.token(&claims_with(
        json!({"act": act, "act_chain": [{"sub": id("a"), "iss": ISSUER}]}),
    ));
    assert!(
        world
            .token(&claims_with(json!({"act": act, "act_chain": []})))
            .act_chain()
            .is_empty()
    );

    let foreign = world.sign(&claims_with(
        json!({"act": {"sub": "spiffe://partner.example/a", "iss": "https://p.example"}}),
    ));
    let verifier = world
        .verifier
        .clone()
        .with_actor_trust_domain("partner.example".try_into().unwrap());
    assert_eq!(
        verifier
            .verify(&foreign, &world.keys, now())
            .unwrap_err()
            .code(),
        "unknown_actor_issuer"
    );
    verifier
        .with_actor_issuer("https://p.example")
        .verify(&foreign, &world.keys, now())
        .unwrap();
    let opaque = world.sign(&claims_with(json!({"act": {"sub": "client-17"}})));
    world
        .verifier
        .clone()
        .with_opaque_actors()
        .verify(&opaque, &world.keys, now())
        .unwrap();
}

/// Covers: TXN-TOKEN-12-1, TXN-TOKEN-12.1-1, TXN-TOKEN-12.1-2, TXN-TOKEN-12.2-1, TXN-TOKEN-12.2-6, TXN-TOKEN-A6
#[test]
fn exactly_one_field_holds_exactly_one_token() {
    let world = World::new();
    let token = world.sign(&claims());
    let verify = |fields: &[(&'static str, String)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        world.verifier.verify_request(&headers, &world.keys, now())
    };
    let verified = verify(&[("txn-token", token.clone())]).unwrap();
    assert_eq!(verified.as_received(), token);
    let value = verified.to_header_value().unwrap();
    assert_eq!(value.as_bytes(), token.as_bytes());
    assert!(value.is_sensitive());

    type Fields<'a> = &'a [(&'static str, String)];
    let cases: &[(Fields<'_>, &str, StatusCode)] = &[
        (&[], "missing_field", StatusCode::UNAUTHORIZED),
        (
            &[("authorization", format!("Bearer {token}"))],
            "missing_field",
            StatusCode::UNAUTHORIZED,
        ),
        (
            &[("authorization", token.clone())],
            "missing_field",
            StatusCode::UNAUTHORIZED,
        ),
        (
            &[("txn-token", token.clone()), ("txn-token", token.clone())],
            "field_count",
            StatusCode::BAD_REQUEST,
        ),
        (
            &[("txn-token", format!("{token},{token}"))],
            "field_count",
            StatusCode::BAD_REQUEST,
        ),
        (
            &[("txn-token", format!("{token}, x"))],
            "field_count",
            StatusCode::BAD_REQUEST,
        ),
        (
            &[("txn-token", format!("{token};a=b"))],
            "field_value",
            StatusCode::UNAUTHORIZED,
        ),
        (
            &[("txn-token", format!("Bearer {token}"))],
            "field_value",
            StatusCode::UNAUTHORIZED,
        ),
        (
            &[("txn-token", format!("\"{token}\""))],
            "field_value",
            StatusCode::UNAUTHORIZED,
        ),
        (
            &[("txn-token", String::new())],
            "field_value",
            StatusCode::UNAUTHORIZED,
        ),
        (
            &[("txn-token", "a".repeat(16 * 1024 + 1))],
            "field_too_long",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ),
    ];
    for (fields, code, status) in cases {
        let error = verify(fields).unwrap_err();
        assert_eq!(
            (error.code(), error.status()),
            (*code, *status),
            "{fields:?}"
        );
    }
}

/// Covers: TXN-TOKEN-15.1-1, TXN-TOKEN-15.2-1
#[test]
fn nothing_personal_is_printed() {
    let world = World::new();
    let token = world.token(&claims_with(
        json!({"tctx": {"iban": "DE02"}, "rctx": {"req_ip": "198.51.100.7"}}),
    ));
    let text = format!(
        "{token:?} {:?} {:?}",
        token.transaction_context(),
        token.request_context()
    );
    for secret in ["user-1", "DE02", "198.51.100.7", token.as_received()] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("t-1"));
    assert_eq!(token.hash_for_logs().len(), 43);
    assert_eq!(
        *token.hash(),
        provider().sha256(token.as_received().as_bytes())
    );
}

/// Covers: TXN-TOKEN-16-1
#[test]
fn the_names_are_those_of_the_registry() {
    use token_exchange::TokenType;
    assert_eq!(MEDIA_TYPE, "application/txntoken+jwt");
    assert_eq!(
        TokenType::TxnToken.as_str(),
        "urn:ietf:params:oauth:token-type:txn_token"
    );
    assert_eq!(
        TokenType::SelfSigned.as_str(),
        "urn:ietf:params:oauth:token-type:self_signed"
    );
    assert_eq!(
        TokenType::UnsignedJson.as_str(),
        "urn:ietf:params:oauth:token-type:unsigned_json"
    );
}
