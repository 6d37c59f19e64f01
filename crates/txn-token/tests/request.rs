//! The request to the token service.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use token_exchange::{Form, ScopeSet, SubjectToken, TokenType};
use txn_token::{Context, Error, TxnTokenRequest};

const DOMAIN: &str = "trust-domain.example";

fn request() -> TxnTokenRequest {
    let subject = SubjectToken {
        unverified_token: "opaque".into(),
        token_type: TokenType::AccessToken,
    };
    TxnTokenRequest::new(
        DOMAIN,
        subject,
        ScopeSet::parse("finance.watchlist").unwrap(),
    )
}

fn read(body: &str) -> Result<TxnTokenRequest, Error> {
    TxnTokenRequest::from_form(&Form::parse(body.as_bytes())?, DOMAIN)
}

/// Covers: TXN-TOKEN-5.1-1, TXN-TOKEN-5.1-2, TXN-TOKEN-5.1-3, TXN-TOKEN-11.1-1, TXN-TOKEN-11.1-4, TXN-TOKEN-11.1-7,
/// Covers: TXN-TOKEN-11.1-8
#[test]
fn what_a_client_sends_is_what_the_service_reads() {
    let mut sent = request();
    sent.unverified_request_context = Context::parse(r#"{"req_ip":"192.0.2.7"}"#).unwrap();
    sent.unverified_request_details = Context::parse(r#"{"amount": 1.50}"#).unwrap();
    let body = sent.to_form().unwrap();
    assert!(
        body.contains("requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Atxn_token")
    );
    let received = read(&body).unwrap();
    assert_eq!(received.trust_domain, DOMAIN);
    assert_eq!(received.subject, sent.subject);
    assert_eq!(received.scope, sent.scope);
    assert_eq!(
        received.unverified_request_context,
        sent.unverified_request_context
    );
    assert_eq!(
        received.unverified_request_details.raw("amount"),
        Some("1.50")
    );
    let plain = read(&request().to_form().unwrap()).unwrap();
    assert!(plain.unverified_request_context.is_empty());
}

/// Covers: TXN-TOKEN-11.1-1, TXN-TOKEN-11.1-2, TXN-TOKEN-11.1-3, TXN-TOKEN-11.1-4, TXN-TOKEN-11.1-5, TXN-TOKEN-11.1-6,
/// Covers: TXN-TOKEN-11.1-9, TXN-TOKEN-11.1-10, TXN-TOKEN-11.2-1, TXN-TOKEN-11.2-3, TXN-TOKEN-13.3-1, TXN-TOKEN-A19,
#[test]
fn each_parameter_is_checked() {
    let good = request().to_form().unwrap();
    let (access, refresh) = ("token-type%3Aaccess_token", "token-type%3Arefresh_token");
    let without = |name: &str| {
        let kept = good
            .split('&')
            .filter(|pair| !pair.starts_with(&format!("{name}=")));
        kept.collect::<Vec<_>>().join("&")
    };
    let deep = format!("{}1{}", "{\"a\":".repeat(17), "}".repeat(17));
    let cases = [
        (
            without("grant_type"),
            "missing_parameter",
            "invalid_request",
        ),
        (without("audience"), "missing_parameter", "invalid_request"),
        (without("scope"), "missing_parameter", "invalid_request"),
        (
            without("requested_token_type"),
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
            good.replace("token-exchange", "token_exchange"),
            "unsupported_grant_type",
            "unsupported_grant_type",
        ),
        (
            good.replace("finance.watchlist", ""),
            "missing_parameter",
            "invalid_request",
        ),
        (
            good.replace(DOMAIN, "TRUST-domain.example"),
            "invalid_target",
            "invalid_target",
        ),
        (
            good.replace(DOMAIN, "https%3A%2F%2Ftrust-domain.example"),
            "invalid_target",
            "invalid_target",
        ),
        (
            format!("{good}&audience={DOMAIN}"),
            "repeated_parameter",
            "invalid_request",
        ),
        (
            format!("{good}&resource=https%3A%2F%2Fa.example"),
            "invalid_target",
            "invalid_target",
        ),
        (
            format!("{good}&scope=more"),
            "repeated_parameter",
            "invalid_request",
        ),
        (
            format!("{good}&request_context=%7B%7D&request_context=%7B%7D"),
            "repeated_parameter",
            "invalid_request",
        ),
        (
            good.replace("txn_token", "txn-token"),
            "unsupported_token_type",
            "invalid_request",
        ),
        (
            good.replace("txn_token", "jwt"),
            "unsupported_token_type",
            "invalid_request",
        ),
        (
            good.replace(access, refresh),
            "unsupported_token_type",
            "invalid_request",
        ),
        (
            good.replace(
                "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token",
                "access",
            ),
            "unsupported_token_type",
            "invalid_request",
        ),
        (
            format!(
                "{good}&actor_token=a&actor_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"
            ),
            "invalid_parameter",
            "invalid_request",
        ),
        (
            format!("{good}&request_context=%5B%5D"),
            "invalid_context",
            "invalid_request",
        ),
        (
            format!("{good}&request_context=e30"),
            "invalid_context",
            "invalid_request",
        ),
        (
            format!("{good}&request_details=%7B%22a%22%3A1%2C%22a%22%3A2%7D"),
            "invalid_context",
            "invalid_request",
        ),
        (
            format!("{good}&request_details={deep}"),
            "invalid_context",
            "invalid_request",
        ),
        (
            format!(
                "{good}&request_details=%7B%22a%22%3A%22{}%22%7D",
                "x".repeat(16 * 1024)
            ),
            "invalid_context",
            "invalid_request",
        ),
    ];
    for (body, code, wire) in cases {
        let error = read(&body).unwrap_err();
        assert_eq!((error.code(), error.oauth_error()), (code, wire), "{body}");
    }
}

/// Covers: TXN-TOKEN-11.3-10, TXN-TOKEN-A8
#[test]
fn a_service_takes_over_the_members_that_it_chooses() {
    let stated = Context::parse(r#"{"req_ip":"203.0.113.9","authn":"face","admin":true}"#).unwrap();
    let chosen = stated.only(&["authn"]);
    assert_eq!(chosen.names().collect::<Vec<_>>(), ["authn"]);
    assert_eq!(chosen.get("authn"), Some("face".into()));
}
