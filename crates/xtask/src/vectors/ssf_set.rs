//! `test-vectors/ssf-set/set.json`: Security Event Tokens, in the profile of SSF and plain.

use anyhow::Result;
use serde_json::{Value, json};

use super::file::{Case, Group, VectorFile, invalid, valid};
use super::oracle::Oracle;
use super::tokens::{Tokens, changed};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://signals.example.com";
const OTHER: &str = "https://other.example.com";
const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
/// Examples of RFC 8417: section 2.1.2, section 2.1.1, and the unsecured token of section 2.4.
const LOGOUT: &str = r#"{"iss":"https://server.example.com","sub":"248289761001","aud":"s6BhdRkqt3","iat":1471566154,"jti":"bWJq","sid":"08a5019c-17e1-4977-8f42-65a12843ea02","events":{"http://schemas.openid.net/event/backchannel-logout":{}}}"#;
const SCIM: &str = r#"{"iss":"https://scim.example.com","iat":1458496025,"jti":"3d0c3cf797584bd193bd0fb1bd4e7d30","aud":["https://jhub.example.com/Feeds/98d52461fa5bbc879593b7754","https://jhub.example.com/Feeds/5d7604516b1d08641d7676ee7"],"sub":"https://scim.example.com/Users/44f6142df96bd6ab61e7521d9","events":{"urn:ietf:params:scim:event:passwordReset":{"id":"44f6142df96bd6ab61e7521d9"},"https://example.com/scim/event/passwordResetExt":{"resetAttempts":5}}}"#;
const UNSECURED: &str = "eyJ0eXAiOiJzZWNldmVudCtqd3QiLCJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL3NjaW0uZXhhbXBsZS5jb20iLCJpYXQiOjE0NTg0OTY0MDQsImp0aSI6IjRkMzU1OWVjNjc1MDRhYWJhNjVkNDBiMDM2M2ZhYWQ4IiwiYXVkIjpbImh0dHBzOi8vc2NpbS5leGFtcGxlLmNvbS9GZWVkcy85OGQ1MjQ2MWZhNWJiYzg3OTU5M2I3NzU0IiwiaHR0cHM6Ly9zY2ltLmV4YW1wbGUuY29tL0ZlZWRzLzVkNzYwNDUxNmIxZDA4NjQxZDc2NzZlZTciXSwiZXZlbnRzIjp7InVybjppZXRmOnBhcmFtczpzY2ltOmV2ZW50OmNyZWF0ZSI6eyJyZWYiOiJodHRwczovL3NjaW0uZXhhbXBsZS5jb20vVXNlcnMvNDRmNjE0MmRmOTZiZDZhYjYxZTc1MjFkOSIsImF0dHJpYnV0ZXMiOlsiaWQiLCJuYW1lIiwidXNlck5hbWUiLCJwYXNzd29yZCIsImVtYWlscyJdfX19.";

pub(super) fn generate(oracle: &mut Oracle) -> Result<Vec<VectorFile>> {
    let set = |key: &str| -> Result<Value> {
        Ok(json!({"keys": [oracle.public_jwk(key, "k", "ES256")?]}))
    };
    let mut keys = json!({ OTHER: set("es256-other")? });
    for issuer in [
        ISSUER,
        "https://server.example.com",
        "https://scim.example.com",
    ] {
        keys = changed(&keys, &json!({ issuer: set("es256")? }));
    }
    let group = |name, cases| Group {
        name,
        kind: "set",
        keys: Some(keys.clone()),
        cases,
    };
    let groups = vec![
        group("SSF", ssf(oracle)?),
        group("RFC 8417", plain(oracle)?),
    ];
    let spec = "RFC 8417, OpenID Shared Signals Framework 1.0";
    Ok(vec![VectorFile::new("ssf-set/set.json", spec, groups)])
}

fn tokens(oracle: &mut Oracle) -> Tokens<'_> {
    Tokens {
        oracle,
        key: ("ES256", "es256"),
        header: json!({"alg": "ES256", "kid": "k", "typ": "secevent+jwt"}),
        claims: json!({
            "iss": ISSUER, "aud": "rx", "iat": NOW, "jti": "756E69717565", "sub_id": {"format": "opaque", "id": "s1"},
            "events": {REVOKED: {"event_timestamp": NOW - 10}},
        }),
        now: NOW,
        cases: Vec::new(),
    }
}

fn ssf(oracle: &mut Oracle) -> Result<Vec<Case>> {
    let mut t = tokens(oracle);
    let good = || valid(json!({"iss": ISSUER, "jti": "756E69717565"}));
    let none = || json!({});
    let usual = valid(
        json!({"iss": ISSUER, "jti": "756E69717565", "iat": NOW, "aud": ["rx"], "events": [REVOKED]}),
    );
    t.claims("session revoked", none(), usual, &["SET-2-1", "SET-2.2-3"])?;
    for typ in ["application/secevent+jwt", "SecEvent+JWT"] {
        t.header(
            &format!("typ {typ}"),
            json!({"typ": typ}),
            good(),
            &["SET-2.3-4"],
        )?;
    }
    t.claims(
        "one of two audiences",
        json!({"aud": ["x", "rx"]}),
        good(),
        &["SET-2.2-7"],
    )?;
    let unknown = valid(json!({"events": ["https://example.com/event"]}));
    t.claims(
        "unknown event without payload",
        json!({"events": {"https://example.com/event": {}}}),
        unknown,
        &["SET-1.2-1", "SET-1.2-2"],
    )?;
    let slash = format!("{REVOKED}/");
    t.claims(
        "event that looks like a known one",
        json!({"events": {&slash: {}}}),
        valid(json!({"events": [slash], "known": [false]})),
        &["SET-A14"],
    )?;
    let more = json!({"sid": "x", "txn": "t-1", "toe": NOW - 60});
    t.claims(
        "txn, toe and an unknown claim",
        more,
        valid(json!({"txn": "t-1", "toe": NOW - 60})),
        &["SET-2-3", "SET-2.2-14", "SET-2.2-15"],
    )?;
    let foreign = json!({"sub_id": {"format": "iss_sub", "iss": OTHER, "sub": "s"}});
    t.claims("subject of another issuer", foreign, good(), &["SET-2.2-2"])?;
    t.claims(
        "old",
        json!({"iat": 1_700_000_000, "events": {REVOKED: {}}}),
        good(),
        &["SET-2.2-3"],
    )?;

    t.token(
        "the unsecured example of RFC 8417",
        UNSECURED.to_owned(),
        invalid("empty_signature"),
        &["SET-2.4-2", "SET-A3"],
    );
    t.not_signed(&["SET-2.4-2", "SET-A3"], &["SET-A3"])?;
    t.tampered(json!({"jti": "other"}), &["SET-5.1-1"])?;
    for typ in ["JWT", "at+jwt", "secevent", "logout+jwt"] {
        t.header(
            &format!("typ {typ}"),
            json!({"typ": typ}),
            invalid("wrong_type"),
            &["SET-2.3-4", "SET-A2"],
        )?;
    }
    t.header(
        "no typ",
        json!({"typ": null}),
        invalid("wrong_type"),
        &["SET-2.3-4"],
    )?;
    let jku = json!({"jku": "https://evil.example/keys"});
    t.header("jku", jku, invalid("header_key_material"), &["SET-A4"])?;
    let crit = json!({"crit": ["foo"], "foo": 1});
    t.header("crit", crit, invalid("unsupported_critical"), &["SET-A5"])?;
    t.claims(
        "signed for another issuer",
        json!({"iss": OTHER}),
        invalid("invalid_signature"),
        &["SET-5.1-2", "SET-A6"],
    )?;
    t.claims(
        "unknown issuer",
        json!({"iss": "https://unknown.example"}),
        invalid("issuer_mismatch"),
        &["SSF-4.1.6-2"],
    )?;
    for (name, claim, value, code, covers) in [
        ("no iss", "iss", Value::Null, "missing_claim", "SET-2.2-1"),
        ("iss 1", "iss", json!(1), "claim_type", "SET-2.2-1"),
        ("no iat", "iat", Value::Null, "missing_claim", "SET-2.2-3"),
        (
            "iat as text",
            "iat",
            json!("1800000000"),
            "claim_type",
            "SET-2.2-3",
        ),
        (
            "iat beyond the leeway",
            "iat",
            json!(NOW + 61),
            "issued_in_future",
            "SET-A12",
        ),
        ("no jti", "jti", Value::Null, "missing_claim", "SET-2.2-4"),
        ("jti 1", "jti", json!(1), "claim_type", "SET-2.2-4"),
        (
            "aud of others",
            "aud",
            json!(["x"]),
            "audience_mismatch",
            "SET-2.2-7",
        ),
        (
            "aud in another case",
            "aud",
            json!("RX"),
            "audience_mismatch",
            "SET-2.2-7",
        ),
        ("txn 1", "txn", json!(1), "claim_type", "SET-2.2-14"),
        ("toe as text", "toe", json!("x"), "claim_type", "SET-2.2-15"),
        ("sub", "sub", json!("s"), "forbidden_claim", "SET-2.2-8"),
        (
            "exp",
            "exp",
            json!(NOW + 60),
            "forbidden_claim",
            "SET-2.2-10",
        ),
        (
            "no sub_id",
            "sub_id",
            Value::Null,
            "missing_claim",
            "SSF-3.1-1",
        ),
        (
            "no events",
            "events",
            Value::Null,
            "missing_claim",
            "SET-4.3-1",
        ),
        ("events list", "events", json!([]), "claim_type", "SET-2-1"),
        ("empty events", "events", json!({}), "claim_type", "SET-2-1"),
        (
            "event that is no URI",
            "events",
            json!({"not a uri": {}}),
            "event_identifier",
            "SET-1.2-1",
        ),
        (
            "payload list",
            "events",
            json!({REVOKED: []}),
            "event_payload",
            "SET-1.2-2",
        ),
        (
            "payload text",
            "events",
            json!({REVOKED: "x"}),
            "event_payload",
            "SET-1.2-2",
        ),
        (
            "two events",
            "events",
            json!({REVOKED: {}, "urn:example:a": {}}),
            "event_count",
            "SET-A11",
        ),
    ] {
        t.claims(name, json!({ claim: value }), invalid(code), &[covers])?;
    }
    let header = t.header.to_string();
    let twice = format!(
        r#"{{"iss":"{ISSUER}","aud":"rx","iat":{NOW},"jti":"j","sub_id":{{"format":"opaque","id":"s"}},"events":{{"{REVOKED}":{{}},"{REVOKED}":{{}}}}}}"#
    );
    t.text(
        "event twice",
        &header,
        &twice,
        invalid("duplicate_member"),
        &["SET-2.2-11", "SET-A9"],
    )?;
    t.token(
        "five parts",
        "e30.a.b.c.d".to_owned(),
        invalid("encrypted_not_signed"),
        &["SET-2.4-3"],
    );
    let options = json!({"audience": ["rx"]});
    t.cases
        .iter_mut()
        .for_each(|case| case.options = Some(options.clone()));
    Ok(t.cases)
}

fn plain(oracle: &mut Oracle) -> Result<Vec<Case>> {
    let mut t = tokens(oracle);
    let header = t.header.to_string();
    let policy = |policy: &str, audience: &str| json!({"profile": policy, "audience": [audience]});
    let logout = valid(
        json!({"sub": "248289761001", "events": ["http://schemas.openid.net/event/backchannel-logout"]}),
    );
    t.text(
        "logout of RFC 8417",
        &header,
        LOGOUT,
        logout,
        &["SET-2.2-8", "SET-2-2", "SET-2-3"],
    )?
    .options = Some(policy("single", "s6BhdRkqt3"));
    let feed = "https://jhub.example.com/Feeds/98d52461fa5bbc879593b7754";
    t.text(
        "two aspects where one is wanted",
        &header,
        SCIM,
        invalid("event_count"),
        &["SET-3-3"],
    )?
    .options = Some(policy("single", feed));
    t.text(
        "unknown aspects where all are to be understood",
        &header,
        SCIM,
        invalid("unknown_event"),
        &["SET-3-3"],
    )?
    .options = Some(policy("all_understood", feed));
    let events = json!({"events": {REVOKED: {}, "urn:example:a": {}}});
    let known = valid(json!({"events": [REVOKED]}));
    t.claims("unknown aspect is left out", events, known, &["SET-3-3"])?
        .options = Some(policy("ignore_unknown", "rx"));
    let future = json!({"exp": NOW + 60});
    t.claims(
        "exp in the future",
        future,
        valid(json!({"iss": ISSUER})),
        &["SET-2.2-10"],
    )?
    .options = Some(policy("single", "rx"));
    let past = json!({"exp": NOW - 3600, "iat": NOW - 7200, "events": {REVOKED: {}}});
    t.claims("exp in the past", past, invalid("expired"), &["SET-2.2-10"])?
        .options = Some(policy("single", "rx"));
    Ok(t.cases)
}
