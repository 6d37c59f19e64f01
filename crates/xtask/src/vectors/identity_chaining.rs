//! `test-vectors/identity-chaining/grants.json` and `test-vectors/txn-token/txn-chain.json`: grants for other domains.

use anyhow::Result;
use serde_json::{Value, json};

use super::file::{Case, Group, VectorFile, invalid, valid};
use super::oracle::Oracle;
use super::tokens::Tokens;

const NOW: u64 = 1_800_000_000;
const A: &str = "https://as.a.example/auth";
const B: &str = "https://as.b.example/auth";
/// The grant that the chaining draft publishes (section 2.3.4), and the key beside it.
const PUBLISHED: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjI4MTMzMDgwMDQifQ.eyJpc3MiOiJodHRwczovL2FzLmEuZXhhbXBsZS9hdXRoIiwiZXhwIjoxNjk1Mjg3NzUyLCJpYXQiOjE2OTUyODc2OTIsInN1YiI6ImpvaG5kb2VAYS5leGFtcGxlIiwiYXVkIjoiaHR0cHM6Ly9hcy5iLmV4YW1wbGUvYXV0aCJ9.Li8Rh-c-R0xirbuXlX8x6sQkZRqJIms9U8Rk8cL7uh1Mm232O6mwz1osPEMNef4OFUW-qTfA0C9QdeIl-e0KsA";
const PUBLISHED_KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"2813308004","use":"sig","x":"MXfMrj_tgPJHxkfmDAx0m74E-T-DuLYCNdmuqtpfP_E","y":"YX82bI52OPBED1h_1HpsxAyWzrQ7DChAAVX9Q9E8uYQ"}"#;
const PUBLISHED_NOW: u64 = 1_695_287_700;
const IDP: &str = "https://acme.idp.example";
const RAS: &str = "https://acme.chat.example/";
/// The claims of the ID-JAG draft (section 3.1).
const ID_JAG: &str = r#"{"jti":"9e43f81b64a33f20116179","iss":"https://acme.idp.example","sub":"U019488227","aud":"https://acme.chat.example/","client_id":"f53f191f9311af35","exp":1311281970,"iat":1311280970,"resource":"https://acme.chat.example/api","scope":"chat.read chat.history","auth_time":1311280970,"amr":["mfa","phrh","hwk","user"]}"#;
/// The claims of the transaction token profile (section 6.1.3).
const TXN_CHAIN: &str = r#"{"iss":"https://as.enterprise.example","sub":"mail-gateway@enterprise.example","aud":"https://as.spamsvc.example","iat":1746700000,"exp":1746700060,"jti":"8f14e45f-ceee-467a-a19e-ab8f290a1f30","scope":"spam.rating.read","resource":"https://api.spamsvc.example/spam-rating","txn":"a9b2c3d4-e5f6-7890-abcd-ef1234567890","txn_claims":{"scope":"mail-delivery","rctx":{"smtp_from":"sender@external.example"}}}"#;

pub(super) fn generate(oracle: &mut Oracle) -> Result<Vec<VectorFile>> {
    let set = |key: Value| json!({"keys": [key]});
    let ours =
        |oracle: &Oracle| -> Result<Value> { Ok(set(oracle.public_jwk("es256", "k", "ES256")?)) };
    let groups = vec![
        Group {
            name: "published grant",
            kind: "authorization-grant",
            keys: Some(json!({A: set(serde_json::from_str(PUBLISHED_KEY)?)})),
            cases: published(),
        },
        Group {
            name: "plain grants",
            kind: "authorization-grant",
            keys: Some(json!({A: ours(oracle)?})),
            cases: plain(oracle)?,
        },
        Group {
            name: "ID-JAG",
            kind: "id-jag",
            keys: Some(json!({IDP: ours(oracle)?})),
            cases: id_jag(oracle)?,
        },
    ];
    let spec =
        "draft-ietf-oauth-identity-chaining-17, draft-ietf-oauth-identity-assertion-authz-grant-04";
    let chained = vec![Group {
        name: "transaction token grants",
        kind: "txn-chain",
        keys: Some(json!({"https://as.enterprise.example": ours(oracle)?})),
        cases: txn_chain(oracle)?,
    }];
    let profile = "draft-fletcher-oauth-txn-token-chaining-profile-00";
    Ok(vec![
        VectorFile::new("identity-chaining/grants.json", spec, groups),
        VectorFile::new("txn-token/txn-chain.json", profile, chained),
    ])
}

fn published() -> Vec<Case> {
    let values =
        || valid(json!({"iss": A, "sub": "johndoe@a.example", "aud": B, "exp": 1_695_287_752}));
    let case = |name: &str, now, expected, options, covers: &[&str]| {
        Case::new(name, "", PUBLISHED, now, expected, covers).options(options)
    };
    let open = || json!({"untyped": true, "reuse": true});
    vec![
        case(
            "as published",
            PUBLISHED_NOW,
            values(),
            open(),
            &["IDCHAIN-2.4.2-1"],
        ),
        case(
            "after its end",
            PUBLISHED_NOW + 120,
            invalid("expired"),
            open(),
            &["IDCHAIN-7523-3-4"],
        ),
        case(
            "before its time",
            PUBLISHED_NOW - 120,
            invalid("issued_in_future"),
            open(),
            &["IDCHAIN-7523-3-7"],
        ),
        case(
            "a type is demanded",
            PUBLISHED_NOW,
            invalid("wrong_type"),
            json!({"reuse": true}),
            &["IDCHAIN-7523BIS-1"],
        ),
        case(
            "jti is demanded",
            PUBLISHED_NOW,
            invalid("missing_claim"),
            json!({"untyped": true}),
            &["IDCHAIN-7523-3-8"],
        ),
    ]
}

fn plain(oracle: &mut Oracle) -> Result<Vec<Case>> {
    let mut t = Tokens {
        oracle,
        key: ("ES256", "es256"),
        header: json!({"typ": "authorization-grant+jwt", "alg": "ES256", "kid": "k"}),
        claims: json!({
            "iss": A, "sub": "johndoe@a.example", "aud": B, "iat": NOW, "exp": NOW + 60, "jti": "g-1",
            "scope": "read list", "client_id": "client-at-b",
        }),
        now: NOW,
        cases: Vec::new(),
    };
    let none = || json!({});
    let values = valid(json!({
        "iss": A, "sub": "johndoe@a.example", "aud": B, "exp": NOW + 60, "jti": "g-1", "scope": "list read",
        "client_id": "client-at-b",
    }));
    t.claims("good", none(), values, &["IDCHAIN-2.4.2-1"])?;
    for (name, changes) in [
        (
            "token endpoint as aud",
            json!({"aud": format!("{B}/token")}),
        ),
        ("aud as a list of one", json!({"aud": [B]})),
        ("no client_id", json!({"client_id": null})),
        (
            "further claims",
            json!({"locale": "de", "deep": {"x": [1]}}),
        ),
        (
            "expired within the leeway",
            json!({"exp": NOW - 30, "iat": NOW - 60}),
        ),
    ] {
        t.claims(
            name,
            changes,
            valid(json!({"sub": "johndoe@a.example"})),
            &["IDCHAIN-2.4.2-1"],
        )?;
    }
    for (name, changes, code, covers) in [
        (
            "no iss",
            json!({"iss": null}),
            "missing_claim",
            "IDCHAIN-7523-3-1",
        ),
        (
            "iss with a slash",
            json!({"iss": format!("{A}/")}),
            "untrusted_issuer",
            "IDCHAIN-A8",
        ),
        (
            "no sub",
            json!({"sub": null}),
            "missing_claim",
            "IDCHAIN-7523-3-2",
        ),
        (
            "no aud",
            json!({"aud": null}),
            "missing_claim",
            "IDCHAIN-7523-3-3",
        ),
        (
            "aud with a slash",
            json!({"aud": format!("{B}/")}),
            "audience_mismatch",
            "IDCHAIN-2.4.2-2",
        ),
        (
            "two aud",
            json!({"aud": [B, "https://as.c.example"]}),
            "multiple_audiences",
            "IDCHAIN-A4",
        ),
        (
            "no exp",
            json!({"exp": null}),
            "missing_claim",
            "IDCHAIN-7523-3-4",
        ),
        (
            "a day",
            json!({"exp": NOW + 86_400}),
            "lifetime_too_long",
            "IDCHAIN-7523-3-5",
        ),
        (
            "nbf ahead",
            json!({"nbf": NOW + 600, "exp": NOW + 660}),
            "not_yet_valid",
            "IDCHAIN-7523-3-6",
        ),
        (
            "a day old",
            json!({"iat": NOW - 86_400}),
            "lifetime_too_long",
            "IDCHAIN-7523-3-7",
        ),
        (
            "no jti",
            json!({"jti": null}),
            "missing_claim",
            "IDCHAIN-7523-3-8",
        ),
        (
            "another client",
            json!({"client_id": "other"}),
            "grant_client",
            "IDCHAIN-7523-3.1-1",
        ),
    ] {
        t.claims(name, changes, invalid(code), &[covers])?;
    }
    for typ in [
        "JWT",
        "at+jwt",
        "oauth-id-jag+jwt",
        "txntoken+jwt",
        "secevent+jwt",
        "logout+jwt",
    ] {
        let name = format!("typ {typ}");
        t.header(
            &name,
            json!({"typ": typ}),
            invalid("wrong_type"),
            &["IDCHAIN-A1"],
        )?;
    }
    let own = invalid("header_key_material");
    t.header(
        "jku",
        json!({"jku": "https://evil.example/jwks"}),
        own,
        &["IDCHAIN-A10"],
    )?;
    t.tampered(json!({"sub": "root"}), &["IDCHAIN-7523-3-10"])?;
    t.not_signed(&["IDCHAIN-7523-3-10"], &["IDCHAIN-A14"])?;
    Ok(t.cases)
}

fn id_jag(oracle: &mut Oracle) -> Result<Vec<Case>> {
    let mut t = Tokens {
        oracle,
        key: ("ES256", "es256"),
        header: json!({"typ": "oauth-id-jag+jwt", "alg": "ES256", "kid": "k"}),
        claims: json!({
            "jti": "9e43f81b64a33f20116179", "iss": IDP, "sub": "U019488227", "aud": RAS,
            "client_id": "f53f191f9311af35", "iat": NOW, "exp": NOW + 300, "scope": "chat.read chat.history",
            "resource": "https://acme.chat.example/api",
        }),
        now: NOW,
        cases: Vec::new(),
    };
    let header = t.header.to_string();
    let values = || {
        valid(
            json!({"sub": "U019488227", "scope": "chat.history chat.read", "client_id": "f53f191f9311af35"}),
        )
    };
    let published = t.text(
        "published claims",
        &header,
        ID_JAG,
        values(),
        &["ID-JAG-3.1-14"],
    )?;
    published.now = 1_311_281_000;
    published.options = Some(json!({"max_lifetime": 1000}));
    let refused = t.text(
        "published claims, which live too long",
        &header,
        ID_JAG,
        invalid("lifetime_too_long"),
        &["ID-JAG-A18"],
    )?;
    refused.now = 1_311_281_000;
    t.claims("good", json!({}), values(), &["ID-JAG-4.4.1-5"])?;
    t.claims(
        "aud as a list of one",
        json!({"aud": [RAS]}),
        values(),
        &["ID-JAG-4.4.1-2"],
    )?;
    for (name, changes, code, covers) in [
        (
            "aud without its slash",
            json!({"aud": "https://acme.chat.example"}),
            "audience_mismatch",
            "ID-JAG-4.4.1-2",
        ),
        (
            "aud that begins so",
            json!({"aud": "https://acme.chat.example/.evil.test"}),
            "audience_mismatch",
            "ID-JAG-A1",
        ),
        (
            "two aud",
            json!({"aud": [RAS, "https://other.example/"]}),
            "multiple_audiences",
            "ID-JAG-A2",
        ),
        (
            "the same aud twice",
            json!({"aud": [RAS, RAS]}),
            "multiple_audiences",
            "ID-JAG-4.4.1-2",
        ),
        (
            "another client",
            json!({"client_id": "other"}),
            "grant_client",
            "ID-JAG-A3",
        ),
        (
            "no client_id",
            json!({"client_id": null}),
            "missing_claim",
            "ID-JAG-4.4.1-3",
        ),
        (
            "no jti",
            json!({"jti": null}),
            "missing_claim",
            "ID-JAG-3.1-7",
        ),
        (
            "no iat",
            json!({"iat": null}),
            "missing_claim",
            "ID-JAG-3.1-8",
        ),
        (
            "exp at iat",
            json!({"exp": NOW}),
            "contradictory_times",
            "ID-JAG-3.1-8",
        ),
        (
            "scope as a list",
            json!({"scope": ["chat.read"]}),
            "grant_claim",
            "ID-JAG-3.1-10",
        ),
        (
            "resource with a fragment",
            json!({"resource": "https://acme.chat.example/api#x"}),
            "grant_claim",
            "ID-JAG-3.1-9",
        ),
        (
            "details without type",
            json!({"authorization_details": [{}]}),
            "grant_claim",
            "ID-JAG-3.1-11",
        ),
        (
            "an actor",
            json!({"act": {"sub": "agent"}}),
            "unexpected_actor",
            "ID-JAG-3.1-12",
        ),
        (
            "sub_id without format",
            json!({"sub_id": {"nameid": "n"}}),
            "grant_claim",
            "ID-JAG-3.1-4",
        ),
        (
            "jkt of the wrong length",
            json!({"cnf": {"jkt": "AAAA"}}),
            "claim_type",
            "ID-JAG-3.1-18",
        ),
        (
            "bound to a key",
            json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}),
            "proof_required",
            "ID-JAG-9.8.1-1",
        ),
    ] {
        t.claims(name, changes, invalid(code), &[covers])?;
    }
    for typ in ["JWT", "at+jwt", "authorization-grant+jwt"] {
        t.header(
            &format!("typ {typ}"),
            json!({"typ": typ}),
            invalid("wrong_type"),
            &["ID-JAG-A5"],
        )?;
    }
    t.not_signed(&["ID-JAG-A19"], &["ID-JAG-A19"])?;
    Ok(t.cases)
}

fn txn_chain(oracle: &mut Oracle) -> Result<Vec<Case>> {
    let now = 1_746_700_030;
    let mut t = Tokens {
        oracle,
        key: ("ES256", "es256"),
        header: json!({"typ": "txn-chain+jwt", "alg": "ES256", "kid": "k"}),
        claims: serde_json::from_str(TXN_CHAIN)?,
        now,
        cases: Vec::new(),
    };
    let header = t.header.to_string();
    let values = valid(json!({
        "sub": "mail-gateway@enterprise.example", "scope": "spam.rating.read",
        "txn": "a9b2c3d4-e5f6-7890-abcd-ef1234567890",
        "txn_claims": {"scope": "mail-delivery", "rctx": {"smtp_from": "sender@external.example"}},
    }));
    t.text(
        "published claims",
        &header,
        TXN_CHAIN,
        values,
        &["TXN-CHAIN-6.1.2-9"],
    )?;
    for (name, changes, code, covers) in [
        (
            "another aud",
            json!({"aud": "https://as.c.example"}),
            "audience_mismatch",
            "TXN-CHAIN-A2",
        ),
        (
            "aud as a list",
            json!({"aud": ["https://as.spamsvc.example"]}),
            "grant_claim",
            "TXN-CHAIN-6.1.2-3",
        ),
        (
            "another issuer",
            json!({"iss": "https://as.unknown.example"}),
            "untrusted_issuer",
            "TXN-CHAIN-5.2-3",
        ),
        (
            "no jti",
            json!({"jti": null}),
            "missing_claim",
            "TXN-CHAIN-6.1.2-5",
        ),
        (
            "no iat",
            json!({"iat": null}),
            "missing_claim",
            "TXN-CHAIN-6.1.2-4",
        ),
        (
            "above 300 seconds",
            json!({"exp": 1_746_700_301}),
            "lifetime_too_long",
            "TXN-CHAIN-6.1.2-4",
        ),
        (
            "txn_claims as text",
            json!({"txn_claims": "x"}),
            "grant_claim",
            "TXN-CHAIN-6.1.2-9",
        ),
    ] {
        t.claims(name, changes, invalid(code), &[covers])?;
    }
    for typ in ["JWT", "oauth-id-jag+jwt", "txntoken+jwt", "at+jwt"] {
        t.header(
            &format!("typ {typ}"),
            json!({"typ": typ}),
            invalid("wrong_type"),
            &["TXN-CHAIN-5.2-1"],
        )?;
    }
    t.not_signed(&["TXN-CHAIN-6.1.1-2"], &["TXN-CHAIN-A10"])?;
    Ok(t.cases)
}
