//! `test-vectors/jose-x509/jwt-claims.json`: what a JWT validator says to claims and `typ`.
//!
//! Every token is validly signed. Options name the rules of the validator; the README explains them.

use anyhow::Result;
use serde_json::{Value, json};

use super::file::{Case, Expected, Group, VectorFile, invalid, valid};
use super::oracle::Oracle;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://api.example";

/// Signs claims, and collects the cases of one group.
struct Cases<'o> {
    oracle: &'o mut Oracle,
    cases: Vec<Case>,
}

/// Adds the cases of one group.
type Builder = fn(&mut Cases<'_>) -> Result<()>;

pub(super) fn generate(oracle: &mut Oracle) -> Result<Vec<VectorFile>> {
    let keys = json!({ "keys": [oracle.public_jwk("ed25519", "k", "EdDSA")?] });
    let mut groups = Vec::new();
    let builders: [(&'static str, Builder); 6] = [
        ("times", times),
        ("numeric dates", numeric_dates),
        ("issuer and audience", parties),
        ("typ", types),
        ("claims set", claims_sets),
        ("confirmation", confirmation),
    ];
    for (name, build) in builders {
        let mut cases = Cases {
            oracle,
            cases: Vec::new(),
        };
        build(&mut cases)?;
        let cases = cases.cases;
        groups.push(Group {
            name,
            kind: "jwt",
            keys: Some(keys.clone()),
            cases,
        });
    }
    let spec = "RFC 7519, RFC 7800, RFC 8725 with draft-ietf-oauth-rfc8725bis";
    Ok(vec![VectorFile::new(
        "jose-x509/jwt-claims.json",
        spec,
        groups,
    )])
}

/// The rules of the validator: strict type, issuer and audience, no leeway.
fn options(more: Value) -> Value {
    let mut options = json!({
        "typ": ["at+jwt"], "issuer": ISSUER, "audience": [AUDIENCE], "leeway": 0,
    });
    if let (Some(options), Value::Object(more)) = (options.as_object_mut(), more) {
        options.extend(more);
    }
    options
}

/// A claims set with `iss` and `aud` as they have to be, and these members.
fn claims(more: &str) -> String {
    format!(
        r#"{{"iss":"{ISSUER}","sub":"alice","aud":"{AUDIENCE}"{}{more}}}"#,
        if more.is_empty() { "" } else { "," }
    )
}

/// The values of a valid case, with defaults of [`claims`].
fn values(more: Value) -> Expected {
    let mut values = json!({ "iss": ISSUER, "sub": "alice", "aud": [AUDIENCE] });
    if let (Some(values), Value::Object(more)) = (values.as_object_mut(), more) {
        values.extend(more);
    }
    valid(values)
}

impl Cases<'_> {
    /// A token with the usual header.
    fn add(
        &mut self,
        name: &str,
        claims: &str,
        more: Value,
        expected: Expected,
        covers: &[&str],
    ) -> Result<()> {
        let header = r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt"}"#;
        self.add_with_header(name, header, claims, more, expected, covers)
    }

    fn add_with_header(
        &mut self,
        name: &str,
        header: &str,
        claims: &str,
        more: Value,
        expected: Expected,
        covers: &[&str],
    ) -> Result<()> {
        let token = self.oracle.sign("EdDSA", "ed25519", header, claims)?;
        self.cases
            .push(Case::new(name, "", token, NOW, expected, covers).options(options(more)));
        Ok(())
    }
}

fn times(cases: &mut Cases<'_>) -> Result<()> {
    let exp = "JWT-7519.4.1.4-1";
    let nbf = "JWT-7519.4.1.5-1";
    let iat = "JWT-7519.4.1.6-1";
    let at = |name: &str, offset: i64| format!("\"{name}\":{}", 1_800_000_000_i64 + offset);
    let none = || json!({});
    let leeway = || json!({ "leeway": 60 });
    cases.add(
        "valid for another second",
        &claims(&at("exp", 1)),
        none(),
        values(json!({ "exp": NOW + 1 })),
        &[exp],
    )?;
    cases.add(
        "expires now",
        &claims(&at("exp", 0)),
        none(),
        invalid("expired"),
        &[exp],
    )?;
    cases.add(
        "expired a second ago",
        &claims(&at("exp", -1)),
        none(),
        invalid("expired"),
        &[exp],
    )?;
    cases.add(
        "expired within the leeway",
        &claims(&at("exp", -59)),
        leeway(),
        values(json!({ "exp": NOW - 59 })),
        &[exp],
    )?;
    cases.add(
        "expired by exactly the leeway",
        &claims(&at("exp", -60)),
        leeway(),
        invalid("expired"),
        &[exp, "JWT-A11"],
    )?;
    cases.add(
        "exp 1 with leeway",
        &claims("\"exp\":1"),
        leeway(),
        invalid("expired"),
        &["JWT-A10", "JWT-policy-1"],
    )?;
    cases.add(
        "no exp",
        &claims(""),
        none(),
        invalid("missing_claim"),
        &["JWT-A12"],
    )?;
    let with_exp = |more: String| claims(&format!("{},{more}", at("exp", 600)));
    let good = |more: Value| {
        let mut all = json!({ "exp": NOW + 600 });
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
            all.extend(more);
        }
        values(all)
    };
    cases.add(
        "nbf now",
        &with_exp(at("nbf", 0)),
        none(),
        good(json!({ "nbf": NOW })),
        &[nbf],
    )?;
    cases.add(
        "nbf in a second",
        &with_exp(at("nbf", 1)),
        none(),
        invalid("not_yet_valid"),
        &[nbf],
    )?;
    cases.add(
        "nbf within the leeway",
        &with_exp(at("nbf", 60)),
        leeway(),
        good(json!({ "nbf": NOW + 60 })),
        &[nbf],
    )?;
    cases.add(
        "nbf beyond the leeway",
        &with_exp(at("nbf", 61)),
        leeway(),
        invalid("not_yet_valid"),
        &[nbf, "JWT-A11"],
    )?;
    cases.add(
        "iat now",
        &with_exp(at("iat", 0)),
        none(),
        good(json!({ "iat": NOW })),
        &[iat],
    )?;
    cases.add(
        "iat in a second",
        &with_exp(at("iat", 1)),
        none(),
        invalid("issued_in_future"),
        &[iat, "JWT-A13"],
    )?;
    cases.add(
        "exp not after nbf",
        &with_exp(at("nbf", 600)),
        json!({ "leeway": 300 }),
        invalid("not_yet_valid"),
        &[nbf],
    )?;
    let reversed = claims(&format!("{},{}", at("exp", -10), at("iat", -10)));
    cases.add(
        "exp equal to iat",
        &reversed,
        leeway(),
        invalid("contradictory_times"),
        &[iat],
    )?;
    let lifetime = || json!({ "max_lifetime": 900 });
    cases.add(
        "lifetime at the limit",
        &with_exp(at("iat", -300)),
        lifetime(),
        good(json!({ "iat": NOW - 300 })),
        &[iat, "JWT-A13"],
    )?;
    cases.add(
        "lifetime above the limit",
        &with_exp(at("iat", -301)),
        lifetime(),
        invalid("lifetime_too_long"),
        &["JWT-A12", "JWT-A13"],
    )?;
    cases.add(
        "lifetime limit without iat",
        &claims(&at("exp", 600)),
        lifetime(),
        invalid("missing_claim"),
        &["JWT-A12"],
    )?;
    let age = || json!({ "max_age": 60 });
    cases.add(
        "age at the limit",
        &with_exp(at("iat", -60)),
        age(),
        good(json!({ "iat": NOW - 60 })),
        &[iat],
    )?;
    cases.add(
        "age above the limit",
        &with_exp(at("iat", -61)),
        age(),
        invalid("too_old"),
        &[iat],
    )?;
    cases.add(
        "age limit without iat",
        &claims(&at("exp", 600)),
        age(),
        invalid("missing_claim"),
        &[iat],
    )
}

fn numeric_dates(cases: &mut Cases<'_>) -> Result<()> {
    let covers = &["JWT-7519.2-1", "JWT-7519.4.1.4-2"];
    let none = || json!({});
    cases.add(
        "fraction of exp is cut off",
        &claims("\"exp\":1800000000.999"),
        none(),
        invalid("expired"),
        covers,
    )?;
    let exp = || values(json!({ "exp": 1_800_000_001 }));
    cases.add(
        "exp with a fraction",
        &claims("\"exp\":1800000001.5"),
        none(),
        exp(),
        covers,
    )?;
    cases.add(
        "exp with an exponent",
        &claims("\"exp\":1.800000001e9"),
        none(),
        exp(),
        covers,
    )?;
    let last = values(json!({ "exp": 253_402_300_799_u64 }));
    cases.add(
        "the last second of the year 9999",
        &claims("\"exp\":253402300799"),
        none(),
        last,
        covers,
    )?;
    let nbf = claims("\"exp\":1800000600,\"nbf\":1800000000.001");
    cases.add(
        "fraction of nbf is rounded up",
        &nbf,
        none(),
        invalid("not_yet_valid"),
        &["JWT-7519.2-1"],
    )?;
    let wrong = [
        "\"1800000600\"",
        "null",
        "{}",
        "[1800000600]",
        "true",
        "-1",
        "-0.5",
        "253402300800",
        "1e19",
        "18446744073709551616",
    ];
    for claim in ["exp", "nbf", "iat"] {
        for value in wrong {
            let more = match claim {
                "exp" => format!("\"exp\":{value}"),
                _ => format!("\"exp\":1800000600,\"{claim}\":{value}"),
            };
            let covers = &["JWT-7519.4.1-1", "JWT-7519.2-1", "JWT-A8", "JWT-A9"];
            cases.add(
                &format!("{claim}: {value}"),
                &claims(&more),
                none(),
                invalid("claim_type"),
                covers,
            )?;
        }
    }
    cases.add(
        "exp: 1e400",
        &claims("\"exp\":1e400"),
        none(),
        invalid("invalid_json"),
        &["JWT-A9"],
    )?;
    let digits = claims(&format!("\"exp\":1{}", "0".repeat(99)));
    cases.add(
        "exp of 100 digits",
        &digits,
        none(),
        invalid("number_too_long"),
        &["JWT-A9"],
    )
}

fn parties(cases: &mut Cases<'_>) -> Result<()> {
    let with = |iss: &str, aud: &str| format!(r#"{{{iss}{aud}"sub":"alice","exp":1800000600}}"#);
    let iss = format!("\"iss\":\"{ISSUER}\",");
    let aud = format!("\"aud\":\"{AUDIENCE}\",");
    let none = || json!({});
    let covers = &["JWT-7519.4.1.1-2"];
    cases.add(
        "no iss",
        &with("", &aud),
        none(),
        invalid("missing_claim"),
        covers,
    )?;
    for value in [
        "https://issuer.example/",
        "https://ISSUER.example",
        "https://issuer.exampl",
        "https://issuer.example.evil",
    ] {
        let claims = with(&format!("\"iss\":\"{value}\","), &aud);
        cases.add(
            &format!("iss {value}"),
            &claims,
            none(),
            invalid("issuer_mismatch"),
            covers,
        )?;
    }
    for value in [
        format!("[\"{ISSUER}\"]"),
        format!("{{\"a\":\"{ISSUER}\"}}"),
        "null".to_owned(),
        "1".to_owned(),
        "\"\"".to_owned(),
    ] {
        let claims = with(&format!("\"iss\":{value},"), &aud);
        cases.add(
            &format!("iss: {value}"),
            &claims,
            none(),
            invalid("claim_type"),
            &["JWT-A7", "JWT-7519.4.1-1"],
        )?;
    }

    let covers = &["JWT-7519.4.1.3-1", "JWT-7519.4.1.3-2"];
    let good = |aud: Value| values(json!({ "aud": aud, "exp": 1_800_000_600 }));
    let array = |values: &[&str]| format!("\"aud\":{},", json!(values));
    cases.add(
        "aud as a string",
        &with(&iss, &aud),
        none(),
        good(json!([AUDIENCE])),
        covers,
    )?;
    cases.add(
        "aud as an array of one",
        &with(&iss, &array(&[AUDIENCE])),
        none(),
        good(json!([AUDIENCE])),
        covers,
    )?;
    let other = "https://other.example";
    let two = with(&iss, &array(&[other, AUDIENCE]));
    cases.add(
        "aud with another recipient",
        &two,
        none(),
        good(json!([other, AUDIENCE])),
        covers,
    )?;
    let single = json!({ "single_audience": true });
    cases.add(
        "single audience: two",
        &two,
        single.clone(),
        invalid("multiple_audiences"),
        &["JWT-A4"],
    )?;
    cases.add(
        "single audience: one",
        &with(&iss, &aud),
        single,
        good(json!([AUDIENCE])),
        &["JWT-A4"],
    )?;
    cases.add(
        "no aud",
        &with(&iss, ""),
        none(),
        invalid("missing_claim"),
        &["JWT-8725bis.3.9-2"],
    )?;
    for value in [
        "https://api.example/",
        "https://API.example",
        "https://api.example.evil",
        "https://api",
        "https://other.example",
    ] {
        let claims = with(&iss, &format!("\"aud\":\"{value}\","));
        let covers = &["JWT-A5", "JWT-8725bis.3.9-2"];
        cases.add(
            &format!("aud {value}"),
            &claims,
            none(),
            invalid("audience_mismatch"),
            covers,
        )?;
    }
    for value in [
        "[]",
        "\"\"",
        "[\"\"]",
        "{}",
        "null",
        "1",
        "[[\"https://api.example\"]]",
        "[\"https://api.example\",1]",
    ] {
        let claims = with(&iss, &format!("\"aud\":{value},"));
        cases.add(
            &format!("aud: {value}"),
            &claims,
            none(),
            invalid("claim_type"),
            &["JWT-A6", "JWT-7519.4.1.3-2"],
        )?;
    }
    Ok(())
}

fn types(cases: &mut Cases<'_>) -> Result<()> {
    let body = claims("\"exp\":1800000600");
    let header = |typ: &str| format!(r#"{{"alg":"EdDSA","kid":"k"{typ}}}"#);
    let good = || values(json!({ "exp": 1_800_000_600 }));
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "APPLICATION/at+JWT",
    ] {
        let header = header(&format!(",\"typ\":\"{typ}\""));
        let covers = &["JWS-4.1.9-1", "JWT-8725bis.3.11-1", "JWT-A3"];
        cases.add_with_header(
            &format!("typ {typ}"),
            &header,
            &body,
            json!({}),
            good(),
            covers,
        )?;
    }
    for typ in [
        "JWT",
        "jwt",
        "application/jwt",
        "at+jwt; charset=utf-8",
        " at+jwt",
        "at+jwt ",
        "at+jwt\\u0000",
        "text/at+jwt",
        "secevent+jwt",
        "application/application/at+jwt",
        "",
    ] {
        let header = header(&format!(",\"typ\":\"{typ}\""));
        let covers = &[
            "JWT-A1",
            "JWT-A2",
            "JWT-A3",
            "JWT-8725bis.3.11-3",
            "JWT-7519.5.1-1",
        ];
        cases.add_with_header(
            &format!("typ \"{typ}\""),
            &header,
            &body,
            json!({}),
            invalid("wrong_type"),
            covers,
        )?;
    }
    cases.add_with_header(
        "no typ",
        &header(""),
        &body,
        json!({}),
        invalid("wrong_type"),
        &["JWT-A2"],
    )?;
    let legacy = || json!({ "typ": ["JWT"], "typ_may_be_absent": true });
    let covers = &["JWT-8725bis.3.11-4"];
    cases.add_with_header(
        "older kind: no typ",
        &header(""),
        &body,
        legacy(),
        good(),
        covers,
    )?;
    cases.add_with_header(
        "older kind: its typ",
        &header(",\"typ\":\"JWT\""),
        &body,
        legacy(),
        good(),
        covers,
    )?;
    let other = header(",\"typ\":\"secevent+jwt\"");
    cases.add_with_header(
        "older kind: another typ",
        &other,
        &body,
        legacy(),
        invalid("wrong_type"),
        covers,
    )
}

fn claims_sets(cases: &mut Cases<'_>) -> Result<()> {
    let none = || json!({});
    let covers = &["JWT-7519.4-1", "JWT-A14"];
    for (name, more) in [
        ("duplicate sub", "\"exp\":1800000600,\"sub\":\"bob\""),
        ("duplicate exp", "\"exp\":1,\"exp\":1800000600"),
        (
            "duplicate after unescaping",
            "\"exp\":1800000600,\"\\u0069ss\":\"https://issuer.example\"",
        ),
        (
            "duplicate inside a claim",
            "\"exp\":1800000600,\"x\":{\"a\":1,\"a\":1}",
        ),
    ] {
        cases.add(
            name,
            &claims(more),
            none(),
            invalid("duplicate_member"),
            covers,
        )?;
    }
    for (name, text) in [
        ("empty", ""),
        ("text", "hello"),
        ("truncated", "{\"iss\":"),
        ("two objects", "{}{}"),
    ] {
        let covers = &["JWT-7519.4-1", "JWT-7519.7.2-1"];
        cases.add(
            &format!("claims set: {name}"),
            text,
            none(),
            invalid("invalid_json"),
            covers,
        )?;
    }
    for (name, text) in [("array", "[]"), ("string", "\"x\""), ("null", "null")] {
        let covers = &["JWT-7519.4-1", "JWT-7519.7.2-1"];
        cases.add(
            &format!("claims set: {name}"),
            text,
            none(),
            invalid("json_shape"),
            covers,
        )?;
    }
    let surrogate = claims("\"exp\":1800000600,\"x\":\"\\ud800\"");
    cases.add(
        "lone surrogate",
        &surrogate,
        none(),
        invalid("invalid_json"),
        &["JWT-A15"],
    )?;
    let deep = claims(&format!(
        "\"exp\":1800000600,\"x\":{}{}",
        "[".repeat(40),
        "]".repeat(40)
    ));
    cases.add(
        "nested 40 deep",
        &deep,
        none(),
        invalid("too_deep"),
        &["JWT-A16"],
    )?;
    let members: Vec<String> = (0..300).map(|i| format!("\"m{i}\":0")).collect();
    let many = claims(&format!("\"exp\":1800000600,{}", members.join(",")));
    cases.add(
        "more than 256 members",
        &many,
        none(),
        invalid("too_many_members"),
        &["JWT-A17"],
    )?;
    let unknown = claims("\"exp\":1800000600,\"http://example.com/is_root\":true,\"n\":null");
    cases.add(
        "unknown claims",
        &unknown,
        none(),
        values(json!({ "exp": 1_800_000_600 })),
        &["JWT-7519.4-2", "JWT-7519.4.3-1"],
    )?;
    for value in ["1", "null", "\"\"", "[\"a\"]"] {
        let more = format!("\"exp\":1800000600,\"jti\":{value}");
        let covers = &["JWT-7519.4.1.7-1", "JWT-7519.4.1-1", "JWT-A21"];
        cases.add(
            &format!("jti: {value}"),
            &claims(&more),
            none(),
            invalid("claim_type"),
            covers,
        )?;
    }
    let body = claims("\"exp\":1800000600");
    let required = json!({ "required": ["jti"] });
    cases.add(
        "required claim missing",
        &body,
        required,
        invalid("missing_claim"),
        &["JWT-A21"],
    )
}

fn confirmation(cases: &mut Cases<'_>) -> Result<()> {
    let thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let bound = claims(&format!(
        "\"exp\":1800000600,\"cnf\":{{\"jkt\":\"{thumbprint}\"}}"
    ));
    cases.add(
        "bound token as a bearer token",
        &bound,
        json!({}),
        invalid("unexpected_confirmation"),
        &["JWT-A22"],
    )?;
    let required = json!({ "confirmation": "required" });
    let expected = values(json!({ "exp": 1_800_000_600 }));
    cases.add(
        "bound token where one is expected",
        &bound,
        required.clone(),
        expected,
        &["JWT-7800.3.1-1"],
    )?;
    let body = claims("\"exp\":1800000600");
    let covers = &["JWT-7800.3.1-2"];
    cases.add(
        "bearer token where a bound one is expected",
        &body,
        required,
        invalid("missing_claim"),
        covers,
    )
}
