//! `test-vectors/txn-token/txn-token.json`: transaction tokens of one trust domain.

use anyhow::Result;
use serde_json::{Value, json};

use super::file::{Case, Group, VectorFile, invalid, valid};
use super::oracle::Oracle;
use super::tokens::Tokens;

/// Within the life of the published example.
const NOW: u64 = 1_686_536_300;
/// The claims that the draft publishes (section 9.2.4).
const EXAMPLE: &str = r#"{"iat":1686536226,"aud":"trust-domain.example","exp":1686536586,"txn":"97053963-771d-49cc-a4e3-20aad399c312","sub":"d084sdrt234fsaw34tr23t","req_wl":"apigateway.trust-domain.example","rctx":{"req_ip":"69.151.72.123","authn":"face"},"scope":"trade.stocks","tctx":{"action":"BUY","ticker":"MSFT","quantity":"100","customer_type":{"geo":"US","level":"VIP"}}}"#;
/// Claims of the first revisions, with `purp` and `azd`.
const LEGACY: &str = r#"{"iat":1686536226,"aud":"trust-domain.example","exp":1686536586,"txn":"97053963-771d-49cc-a4e3-20aad399c312","sub":"d084sdrt234fsaw34tr23t","purp":"trade.stocks","azd":{"action":"BUY","ticker":"MSFT","quantity":"100"},"rctx":{"req_ip":"69.151.72.123","req_wl":["apigateway.trust-domain.example","workload3.trust-domain.example"]}}"#;

pub(super) fn generate(oracle: &mut Oracle) -> Result<Vec<VectorFile>> {
    let keys = json!({"keys": [
        oracle.public_jwk("rsa2048", "identifier-to-key", "RS256")?,
        oracle.public_jwk("es256", "next", "ES256")?,
    ]});
    let group = Group {
        name: "transaction tokens",
        kind: "txn-token",
        keys: Some(keys),
        cases: cases(oracle)?,
    };
    let spec = "draft-ietf-oauth-transaction-tokens";
    Ok(vec![VectorFile::new(
        "txn-token/txn-token.json",
        spec,
        vec![group],
    )])
}

fn cases(oracle: &mut Oracle) -> Result<Vec<Case>> {
    let mut t = Tokens {
        oracle,
        key: ("RS256", "rsa2048"),
        header: json!({"typ": "txntoken+jwt", "alg": "RS256", "kid": "identifier-to-key"}),
        claims: serde_json::from_str(EXAMPLE)?,
        now: NOW,
        cases: Vec::new(),
    };
    let sub = "d084sdrt234fsaw34tr23t";
    let good = || valid(json!({"sub": sub}));
    let none = || json!({});
    let header = t.header.to_string();
    let published = valid(json!({
        "sub": sub, "txn": "97053963-771d-49cc-a4e3-20aad399c312", "scope": "trade.stocks",
        "req_wl": "apigateway.trust-domain.example", "rctx": {"req_ip": "69.151.72.123", "authn": "face"},
        "tctx": {"action": "BUY", "ticker": "MSFT", "quantity": "100", "customer_type": {"geo": "US", "level": "VIP"}},
    }));
    t.text(
        "published header and claims",
        &header,
        EXAMPLE,
        published,
        &["TXN-TOKEN-9.1-1", "TXN-TOKEN-9.2-1", "TXN-TOKEN-9.2.3-1"],
    )?;
    for typ in ["application/txntoken+jwt", "TXNTOKEN+JWT"] {
        t.header(
            &format!("typ {typ}"),
            json!({"typ": typ}),
            good(),
            &["TXN-TOKEN-9.1-2"],
        )?;
    }
    t.signed_by(
        "the other key",
        ("ES256", "es256"),
        json!({"alg": "ES256", "kid": "next"}),
        none(),
        good(),
        &["TXN-TOKEN-9.1-3"],
    )?;
    t.claims(
        "aud as a list of one",
        json!({"aud": ["trust-domain.example"]}),
        good(),
        &["TXN-TOKEN-9.2-3"],
    )?;
    t.claims(
        "no contexts",
        json!({"tctx": null, "rctx": null}),
        valid(json!({"tctx": {}, "rctx": {}})),
        &["TXN-TOKEN-9.2-9", "TXN-TOKEN-9.2-10"],
    )?;
    t.claims(
        "unknown claim",
        json!({"x": [1]}),
        good(),
        &["TXN-TOKEN-9.2-12"],
    )?;
    t.claims(
        "two scopes",
        json!({"scope": "b a"}),
        good(),
        &["TXN-TOKEN-9.2-8"],
    )?;
    t.claims(
        "expired within the leeway",
        json!({"exp": NOW - 29}),
        good(),
        &["TXN-TOKEN-9.2-5"],
    )?;
    t.claims(
        "scope and an equal purp",
        json!({"purp": "trade.stocks"}),
        good(),
        &["TXN-TOKEN-C-2"],
    )?;

    t.not_signed(
        &["TXN-TOKEN-9-1", "TXN-TOKEN-A3"],
        &["TXN-TOKEN-9-1", "TXN-TOKEN-A3"],
    )?;
    t.tampered(json!({"sub": "somebody"}), &["TXN-TOKEN-9-1"])?;
    for typ in [
        "JWT",
        "at+jwt",
        "wit+jwt",
        "txn_token",
        "txntoken",
        "txntoken+jwt; x=1",
    ] {
        t.header(
            &format!("typ {typ}"),
            json!({"typ": typ}),
            invalid("wrong_type"),
            &["TXN-TOKEN-9.1-1", "TXN-TOKEN-9.1-2", "TXN-TOKEN-A4"],
        )?;
    }
    t.header(
        "no typ",
        json!({"typ": null}),
        invalid("wrong_type"),
        &["TXN-TOKEN-9.1-1"],
    )?;
    t.header(
        "unknown kid",
        json!({"kid": "../../dev/null"}),
        invalid("unknown_key"),
        &["TXN-TOKEN-9.1-3", "TXN-TOKEN-A17"],
    )?;
    t.header(
        "crit",
        json!({"crit": ["foo"], "foo": 1}),
        invalid("unsupported_critical"),
        &["TXN-TOKEN-A17"],
    )?;
    t.header(
        "kid of a key for another algorithm",
        json!({"kid": "next"}),
        invalid("algorithm_mismatch"),
        &["TXN-TOKEN-9-1"],
    )?;
    for (name, aud, code) in [
        ("no aud", Value::Null, "missing_claim"),
        (
            "two audiences",
            json!(["trust-domain.example", "b.example"]),
            "multiple_audiences",
        ),
        (
            "another trust domain",
            json!("b.example"),
            "audience_mismatch",
        ),
        (
            "aud as a URL",
            json!("https://trust-domain.example"),
            "audience_mismatch",
        ),
        (
            "aud in another case",
            json!("Trust-Domain.example"),
            "audience_mismatch",
        ),
        (
            "aud of a subdomain",
            json!("x.trust-domain.example"),
            "audience_mismatch",
        ),
    ] {
        t.claims(
            name,
            json!({"aud": aud}),
            invalid(code),
            &["TXN-TOKEN-9.2-3", "TXN-TOKEN-9.2-4", "TXN-TOKEN-A2"],
        )?;
    }
    for (name, claim, value, code, covers) in [
        (
            "no iat",
            "iat",
            Value::Null,
            "missing_claim",
            "TXN-TOKEN-9.2-2",
        ),
        (
            "iat as text",
            "iat",
            json!("1686536226"),
            "claim_type",
            "TXN-TOKEN-9.2-2",
        ),
        (
            "iat in the future",
            "iat",
            json!(NOW + 31),
            "issued_in_future",
            "TXN-TOKEN-9.2-2",
        ),
        (
            "no exp",
            "exp",
            Value::Null,
            "missing_claim",
            "TXN-TOKEN-9.2-5",
        ),
        (
            "expired by the leeway",
            "exp",
            json!(NOW - 30),
            "expired",
            "TXN-TOKEN-9.2-5",
        ),
        (
            "no txn",
            "txn",
            Value::Null,
            "missing_claim",
            "TXN-TOKEN-9.2-6",
        ),
        (
            "empty txn",
            "txn",
            json!(""),
            "claim_type",
            "TXN-TOKEN-9.2-6",
        ),
        ("txn 1", "txn", json!(1), "claim_type", "TXN-TOKEN-9.2-6"),
        (
            "no sub",
            "sub",
            Value::Null,
            "missing_claim",
            "TXN-TOKEN-9.2-7",
        ),
        (
            "sub object",
            "sub",
            json!({"format": "email"}),
            "claim_type",
            "TXN-TOKEN-9.2-7",
        ),
        (
            "no scope",
            "scope",
            Value::Null,
            "missing_claim",
            "TXN-TOKEN-9.2-8",
        ),
        (
            "scope list",
            "scope",
            json!(["a"]),
            "claim_type",
            "TXN-TOKEN-9.2-8",
        ),
        (
            "tctx text",
            "tctx",
            json!("x"),
            "claim_type",
            "TXN-TOKEN-9.2-9",
        ),
        (
            "rctx list",
            "rctx",
            json!([]),
            "claim_type",
            "TXN-TOKEN-9.2-10",
        ),
        (
            "no req_wl",
            "req_wl",
            Value::Null,
            "missing_claim",
            "TXN-TOKEN-9.2-11",
        ),
        (
            "req_wl list",
            "req_wl",
            json!(["a", "b"]),
            "claim_type",
            "TXN-TOKEN-9.2-11",
        ),
    ] {
        t.claims(name, json!({ claim: value }), invalid(code), &[covers])?;
    }
    t.claims(
        "scope and another purp",
        json!({"purp": "all"}),
        invalid("two_spellings"),
        &["TXN-TOKEN-C-2"],
    )?;
    t.text(
        "claims of the first revisions",
        &header,
        LEGACY,
        invalid("missing_claim"),
        &["TXN-TOKEN-9.2-8"],
    )?;
    let twice = EXAMPLE.replacen('{', r#"{"sub":"somebody","#, 1);
    t.text(
        "sub twice",
        &header,
        &twice,
        invalid("duplicate_member"),
        &["TXN-TOKEN-9.2-12", "TXN-TOKEN-A20"],
    )?;
    Ok(t.cases)
}
