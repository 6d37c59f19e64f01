//! `test-vectors/svid`: JWT-SVIDs and WIT-SVIDs of two trust domains.

use anyhow::Result;
use serde_json::{Value, json};

use super::file::{Case, Group, VectorFile, invalid, valid};
use super::oracle::{Oracle, encode, split};
use super::tokens::{Tokens, changed};

const NOW: u64 = 1_800_000_000;
const SUB: &str = "spiffe://example.org/reports/writer";

pub(super) fn generate(oracle: &mut Oracle) -> Result<Vec<VectorFile>> {
    let keys = bundles(oracle)?;
    let jwt = Group {
        name: "JWT-SVID",
        kind: "jwt-svid",
        keys: Some(keys.clone()),
        cases: jwt_svids(oracle)?,
    };
    let wit = Group {
        name: "WIT-SVID",
        kind: "wit-svid",
        keys: Some(keys),
        cases: wit_svids(oracle)?,
    };
    Ok(vec![
        VectorFile::new("svid/jwt-svid.json", "SPIFFE JWT-SVID", vec![jwt]),
        VectorFile::new("svid/wit-svid.json", "SPIFFE WIT-SVID", vec![wit]),
    ])
}

/// Bundle documents by trust domain. Both domains have a key `k` of each use, and they differ.
fn bundles(oracle: &Oracle) -> Result<Value> {
    let entry = |key: &str, kid: &str, key_use: &str| -> Result<Value> {
        let jwk = oracle.public_jwk(key, kid, "")?;
        Ok(changed(&jwk, &json!({"alg": null, "use": key_use})))
    };
    let rsa = |kid: &str, algorithm: &str| -> Result<Value> {
        let entry = entry("rsa2048", kid, "jwt-svid")?;
        Ok(changed(&entry, &json!({"alg": algorithm})))
    };
    Ok(json!({
        "example.org": {"spiffe_sequence": 1, "keys": [
            entry("es256", "k", "jwt-svid")?, entry("es384", "es384", "jwt-svid")?, rsa("rs256", "RS256")?,
            rsa("rs512", "RS512")?, rsa("ps256", "PS256")?, entry("wimse-issuer", "w", "wit-svid")?,
        ]},
        "other.org": {"spiffe_sequence": 1, "keys": [
            entry("es256-other", "k", "jwt-svid")?, entry("es256-other", "other", "jwt-svid")?,
            entry("es256-other", "w", "wit-svid")?,
        ]},
        "empty.org": {"spiffe_sequence": 2, "keys": []},
    }))
}

fn jwt_svids(oracle: &mut Oracle) -> Result<Vec<Case>> {
    let mut t = Tokens {
        oracle,
        key: ("ES256", "es256"),
        header: json!({"alg": "ES256", "kid": "k", "typ": "JWT"}),
        claims: json!({"sub": SUB, "aud": "reports", "exp": NOW + 300}),
        now: NOW,
        cases: Vec::new(),
    };
    let good = || valid(json!({"sub": SUB}));
    let none = || json!({});
    t.claims(
        "usual",
        none(),
        valid(json!({"sub": SUB, "aud": ["reports"], "exp": NOW + 300})),
        &["JWT-SVID-3-3"],
    )?;
    t.header(
        "without kid and typ",
        json!({"kid": null, "typ": null}),
        good(),
        &["JWT-SVID-2.2-2", "JWT-SVID-2.3-2"],
    )?;
    t.header(
        "typ JOSE",
        json!({"typ": "JOSE"}),
        good(),
        &["JWT-SVID-2.3-2"],
    )?;
    for (algorithm, key, kid) in [
        ("ES384", "es384", "es384"),
        ("RS256", "rsa2048", "rs256"),
        ("RS512", "rsa2048", "rs512"),
        ("PS256", "rsa2048", "ps256"),
    ] {
        let header = json!({"alg": algorithm, "kid": kid});
        t.signed_by(
            algorithm,
            (algorithm, key),
            header,
            none(),
            good(),
            &["JWT-SVID-2.1-2"],
        )?;
    }
    let two = valid(json!({"sub": SUB, "aud": ["x", "reports"]}));
    t.claims(
        "one of two audiences",
        json!({"aud": ["x", "reports"]}),
        two,
        &["JWT-SVID-3.2-3"],
    )?;
    let more =
        json!({"role": {"a": [1]}, "iss": "https://other.org", "iat": NOW + 900, "jti": "j"});
    t.claims(
        "other claims, and iat in the future",
        more,
        good(),
        &["JWT-SVID-3-1", "JWT-SVID-3-3"],
    )?;
    t.claims("nbf now", json!({"nbf": NOW}), good(), &["JWT-SVID-4-5"])?;
    t.claims(
        "expired within the leeway",
        json!({"exp": NOW - 29}),
        good(),
        &["JWT-SVID-4-3"],
    )?;
    let fraction = valid(json!({"exp": NOW + 1}));
    t.claims(
        "exp with a fraction",
        json!({"exp": 1_800_000_001.5}),
        fraction,
        &["JWT-SVID-3.3-2"],
    )?;

    t.not_signed(&["JWT-SVID-A1"], &["JWT-SVID-A2"])?;
    t.tampered(
        json!({"sub": "spiffe://example.org/admin"}),
        &["JWT-SVID-4-2"],
    )?;
    let eddsa = json!({"alg": "EdDSA", "kid": "k"});
    t.signed_by(
        "EdDSA",
        ("EdDSA", "ed25519"),
        eddsa,
        none(),
        invalid("algorithm_not_allowed"),
        &["JWT-SVID-2.1-2"],
    )?;
    for typ in ["wit+jwt", "at+jwt", "txntoken+jwt", "secevent+jwt", "jwt"] {
        t.header(
            &format!("typ {typ}"),
            json!({"typ": typ}),
            invalid("wrong_type"),
            &["JWT-SVID-2.3-2", "JWT-SVID-A5"],
        )?;
    }
    let jku = json!({"jku": "https://evil.example/keys"});
    t.header(
        "jku",
        jku,
        invalid("header_key_material"),
        &["JWT-SVID-2-2", "JWT-SVID-A3"],
    )?;
    t.header(
        "cty",
        json!({"cty": "JWT"}),
        invalid("header_parameter"),
        &["JWT-SVID-2-2"],
    )?;
    t.header(
        "unknown parameter",
        json!({"foo": 1}),
        invalid("header_parameter"),
        &["JWT-SVID-2-2"],
    )?;
    let crit = json!({"crit": ["foo"], "foo": 1});
    t.header(
        "crit",
        crit,
        invalid("unsupported_critical"),
        &["JWT-SVID-2-2", "JWT-SVID-A4"],
    )?;
    t.header(
        "kid that no key has",
        json!({"kid": "K"}),
        invalid("unknown_key"),
        &["JWT-SVID-2.2-3"],
    )?;
    t.header(
        "kid of a wit-svid key",
        json!({"kid": "w"}),
        invalid("unknown_key"),
        &["JWT-SVID-6.2-1"],
    )?;
    t.header(
        "kid of a key for another algorithm",
        json!({"kid": "es384"}),
        invalid("algorithm_mismatch"),
        &["JWT-SVID-4-8"],
    )?;
    let ps256 = json!({"alg": "PS256", "kid": "rs256"});
    t.signed_by(
        "PS256 with a key for RS256",
        ("PS256", "rsa2048"),
        ps256,
        none(),
        invalid("algorithm_mismatch"),
        &["JWT-SVID-4-8"],
    )?;
    let other = ("ES256", "es256-other");
    t.signed_by(
        "signed by another trust domain under the same kid",
        other,
        none(),
        none(),
        invalid("invalid_signature"),
        &["JWT-SVID-4-6", "JWT-SVID-A9", "JWT-SVID-A11"],
    )?;
    t.signed_by(
        "signed by another trust domain under its kid",
        other,
        json!({"kid": "other"}),
        none(),
        invalid("unknown_key"),
        &["JWT-SVID-A9"],
    )?;
    t.signed_by(
        "signed by another trust domain without kid",
        other,
        json!({"kid": null}),
        none(),
        invalid("invalid_signature"),
        &["JWT-SVID-A9"],
    )?;

    for (name, sub, code) in [
        ("no sub", Value::Null, "missing_claim"),
        ("sub 1", json!(1), "claim_type"),
        ("sub that is no SPIFFE ID", json!("alice"), "spiffe_id"),
        (
            "sub with an upper-case trust domain",
            json!("spiffe://Example.org/a"),
            "spiffe_id",
        ),
        (
            "sub with a query",
            json!("spiffe://example.org/a?b"),
            "spiffe_id",
        ),
        (
            "sub without a path",
            json!("spiffe://example.org"),
            "spiffe_id_without_path",
        ),
    ] {
        t.claims(
            name,
            json!({"sub": sub}),
            invalid(code),
            &["JWT-SVID-3.1-2"],
        )?;
    }
    t.claims(
        "sub of an unknown trust domain",
        json!({"sub": "spiffe://unknown.org/a"}),
        invalid("no_bundle"),
        &["JWT-SVID-4-7"],
    )?;
    t.claims(
        "sub of a trust domain without keys",
        json!({"sub": "spiffe://empty.org/a"}),
        invalid("no_authorities"),
        &["JWT-SVID-6.2-2"],
    )?;
    for (name, aud, code) in [
        ("no aud", Value::Null, "missing_claim"),
        ("aud in another case", json!("Reports"), "audience_mismatch"),
        ("aud with a slash", json!("reports/"), "audience_mismatch"),
        ("aud of others", json!(["x", "y"]), "audience_mismatch"),
        ("aud 1", json!([1]), "claim_type"),
        ("aud object", json!({"reports": true}), "claim_type"),
    ] {
        t.claims(
            name,
            json!({"aud": aud}),
            invalid(code),
            &["JWT-SVID-3.2-2", "JWT-SVID-3.2-3"],
        )?;
    }
    for (name, exp, code) in [
        ("no exp", Value::Null, "missing_claim"),
        ("exp as text", json!("1800000300"), "claim_type"),
        ("exp below zero", json!(-1), "claim_type"),
        ("exp 0", json!(0), "expired"),
        ("expired by the leeway", json!(NOW - 30), "expired"),
    ] {
        t.claims(
            name,
            json!({"exp": exp}),
            invalid(code),
            &["JWT-SVID-3.3-2", "JWT-SVID-A15"],
        )?;
    }
    t.claims(
        "nbf in the future",
        json!({"nbf": NOW + 31}),
        invalid("not_yet_valid"),
        &["JWT-SVID-4-5"],
    )?;
    let header = t.header.to_string();
    let twice = format!(
        r#"{{"sub":"{SUB}","sub":"spiffe://example.org/admin","aud":"reports","exp":1800000300}}"#
    );
    t.text(
        "sub twice",
        &header,
        &twice,
        invalid("duplicate_member"),
        &["JWT-SVID-A12"],
    )?;
    t.text(
        "payload that is no object",
        &header,
        "[]",
        invalid("json_shape"),
        &["JWT-SVID-3-1"],
    )?;
    let token = t.good()?;
    let (head, payload, signature) = split(&token)?;
    let structures = [
        (
            "two parts",
            format!("{head}.{payload}"),
            "segment_count",
            "JWT-SVID-1-1",
        ),
        (
            "padding",
            format!("{head}.{payload}=.{signature}"),
            "token_characters",
            "JWT-SVID-A14",
        ),
        (
            "five parts",
            format!("{head}.a.b.{payload}.c"),
            "encrypted_not_signed",
            "JWT-SVID-2-3",
        ),
        (
            "JSON serialization",
            json!({"protected": head, "payload": payload, "signature": signature}).to_string(),
            "json_serialization",
            "JWT-SVID-1-2",
        ),
    ];
    for (name, text, code, covers) in structures {
        t.token(name, text, invalid(code), &[covers]);
    }
    let zero = format!("{head}.{payload}.{}", encode([0; 64]));
    t.token(
        "r = s = 0",
        zero,
        invalid("invalid_signature"),
        &["JWT-SVID-A13"],
    );
    Ok(t.cases)
}

fn wit_svids(oracle: &mut Oracle) -> Result<Vec<Case>> {
    let workload = oracle.public_jwk("es256", "", "ES256")?;
    let workload = changed(&workload, &json!({"kid": null}));
    let mut t = Tokens {
        oracle,
        key: ("ES256", "wimse-issuer"),
        header: json!({"alg": "ES256", "kid": "w", "typ": "wit+jwt"}),
        claims: json!({"sub": SUB, "exp": NOW + 3600, "cnf": {"jwk": workload}}),
        now: NOW,
        cases: Vec::new(),
    };
    let good = || valid(json!({"sub": SUB, "proof_algorithm": "ES256"}));
    let none = || json!({});
    t.claims(
        "usual",
        none(),
        valid(json!({"sub": SUB, "exp": NOW + 3600, "proof_algorithm": "ES256"})),
        &["WIT-SVID-3.2-2"],
    )?;
    t.header(
        "unknown header parameter",
        json!({"foo": 1, "cty": "x"}),
        good(),
        &["WIT-SVID-2.4-2"],
    )?;
    let more = json!({"iss": "https://evil.example", "jti": "j", "iat": NOW, "role": [1]});
    t.claims(
        "other claims",
        more,
        good(),
        &["WIT-SVID-3.3-1", "WIT-SVID-3.7-1", "WIT-SVID-3.8-4"],
    )?;
    t.claims(
        "iat in the future",
        json!({"iat": NOW + 900}),
        good(),
        &["WIT-SVID-3.6-2", "WIT-SVID-A14"],
    )?;
    t.claims(
        "expired within the leeway",
        json!({"exp": NOW - 29}),
        good(),
        &["WIT-SVID-3.4-4"],
    )?;
    let kid = json!({"cnf": {"jwk": changed(&workload, &json!({"kid": "x"})), "kid": "y"}});
    t.claims("cnf with kid besides jwk", kid, good(), &["WIT-SVID-3.2-2"])?;

    t.not_signed(&["WIT-SVID-2.3-2"], &["WIT-SVID-2.3-2"])?;
    t.tampered(
        json!({"sub": "spiffe://example.org/admin"}),
        &["WIT-SVID-4-4"],
    )?;
    for typ in ["JWT", "WIT+JWT", "application/wit+jwt", "wpt+jwt"] {
        t.header(
            &format!("typ {typ}"),
            json!({"typ": typ}),
            invalid("wrong_type"),
            &["WIT-SVID-2.2-2", "WIT-SVID-A3"],
        )?;
    }
    t.header(
        "no typ",
        json!({"typ": null}),
        invalid("wrong_type"),
        &["WIT-SVID-2.2-2"],
    )?;
    t.header(
        "no kid",
        json!({"kid": null}),
        invalid("missing_header"),
        &["WIT-SVID-2.1-2"],
    )?;
    t.header(
        "kid in another case",
        json!({"kid": "W"}),
        invalid("unknown_key"),
        &["WIT-SVID-2.1-3", "WIT-SVID-2.1-5"],
    )?;
    t.header(
        "kid of a jwt-svid key",
        json!({"kid": "rs256"}),
        invalid("unknown_key"),
        &["WIT-SVID-6.2-1"],
    )?;
    let crit = json!({"crit": ["foo"], "foo": 1});
    t.header(
        "crit",
        crit,
        invalid("unsupported_critical"),
        &["WIT-SVID-2.4-3", "WIT-SVID-A17"],
    )?;
    let other = ("ES256", "es256-other");
    t.signed_by(
        "signed by another trust domain",
        other,
        none(),
        none(),
        invalid("invalid_signature"),
        &["WIT-SVID-4-4", "WIT-SVID-A11"],
    )?;
    t.signed_by(
        "signed by a jwt-svid key",
        ("ES256", "es256"),
        none(),
        none(),
        invalid("invalid_signature"),
        &["WIT-SVID-6.2-1"],
    )?;
    for (name, sub, code) in [
        ("no sub", Value::Null, "missing_claim"),
        ("sub 1", json!(1), "claim_type"),
        (
            "sub of another scheme",
            json!("wimse://example.org/a"),
            "spiffe_id",
        ),
        (
            "sub without a path",
            json!("spiffe://example.org"),
            "spiffe_id_without_path",
        ),
    ] {
        t.claims(
            name,
            json!({"sub": sub}),
            invalid(code),
            &["WIT-SVID-3.1-2", "WIT-SVID-A12"],
        )?;
    }
    t.claims(
        "sub of an unknown trust domain",
        json!({"sub": "spiffe://unknown.org/a"}),
        invalid("no_bundle"),
        &["WIT-SVID-4-4"],
    )?;
    t.claims(
        "sub of a trust domain without keys",
        json!({"sub": "spiffe://empty.org/a"}),
        invalid("no_authorities"),
        &["WIT-SVID-6.2-2"],
    )?;
    for (name, aud, code) in [
        ("aud", json!("reports"), "forbidden_claim"),
        ("empty aud", json!([]), "claim_type"),
    ] {
        t.claims(
            name,
            json!({"aud": aud}),
            invalid(code),
            &["WIT-SVID-3.8-2"],
        )?;
    }
    t.claims(
        "no cnf",
        json!({"cnf": null}),
        invalid("missing_claim"),
        &["WIT-SVID-3.2-2"],
    )?;
    t.claims(
        "cnf with kid alone",
        json!({"cnf": {"kid": "x"}}),
        invalid("confirmation_key"),
        &["WIT-SVID-3.2-2", "WIT-SVID-A8"],
    )?;
    let jwk = |changes: Value| json!({"cnf": {"jwk": changed(&workload, &changes)}});
    t.claims(
        "cnf.jwk without alg",
        jwk(json!({"alg": null})),
        invalid("confirmation_key"),
        &["WIT-SVID-3.2-4", "WIT-SVID-A6"],
    )?;
    t.claims(
        "cnf.jwk for another algorithm",
        jwk(json!({"alg": "ES384"})),
        invalid("invalid_key"),
        &["WIT-SVID-3.2-4"],
    )?;
    t.claims(
        "cnf.jwk for HS256",
        jwk(json!({"alg": "HS256"})),
        invalid("invalid_key"),
        &["WIT-SVID-3.2-4", "WIT-SVID-A5"],
    )?;
    t.claims(
        "private key in cnf.jwk",
        jwk(json!({"d": "AQ"})),
        invalid("private_key_material"),
        &["WIT-SVID-3.2-6", "WIT-SVID-A7"],
    )?;
    t.claims(
        "cnf.jwk off the curve",
        jwk(json!({"y": encode([1; 32])})),
        invalid("invalid_key"),
        &["WIT-SVID-3.2-7"],
    )?;
    let ed25519 = t.oracle.public_jwk("ed25519", "k", "EdDSA")?;
    t.claims(
        "cnf.jwk for EdDSA",
        json!({"cnf": {"jwk": ed25519}}),
        invalid("confirmation_algorithm"),
        &["WIT-SVID-3.2-4"],
    )?;
    t.claims(
        "no exp",
        json!({"exp": null}),
        invalid("missing_claim"),
        &["WIT-SVID-3.4-2"],
    )?;
    t.claims(
        "expired by the leeway",
        json!({"exp": NOW - 30}),
        invalid("expired"),
        &["WIT-SVID-3.4-3"],
    )?;
    t.claims(
        "nbf in the future",
        json!({"nbf": NOW + 31}),
        invalid("not_yet_valid"),
        &["WIT-SVID-3.5-2"],
    )?;
    Ok(t.cases)
}
