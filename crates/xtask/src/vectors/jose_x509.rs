//! `test-vectors/jose-x509/jws-compact.json`: compact JWS, valid and hostile.

use anyhow::Result;
use serde_json::{Value, json};

use super::file::{Case, Group, VectorFile, invalid, valid};
use super::oracle::{Oracle, corrupt, encode, split};

/// JWS has no clock; the cases carry one because every case does.
const NOW: u64 = 1_800_000_000;
const PAYLOAD: &str = r#"{"hello":"world"}"#;

/// Algorithm, key file.
const ALGORITHMS: &[(&str, &str)] = &[
    ("ES256", "es256"),
    ("ES384", "es384"),
    ("EdDSA", "ed25519"),
    ("Ed25519", "ed25519"),
    ("RS256", "rsa2048"),
    ("RS384", "rsa2048"),
    ("RS512", "rsa2048"),
    ("PS256", "rsa2048"),
    ("PS384", "rsa2048"),
    ("PS512", "rsa2048"),
];

pub(super) fn generate(oracle: &mut Oracle) -> Result<Vec<VectorFile>> {
    let groups = vec![
        valid_signatures(oracle)?,
        bad_signatures(oracle)?,
        headers(oracle)?,
        structure(oracle)?,
        key_selection(oracle)?,
    ];
    let spec = "RFC 7515, RFC 7518, RFC 7797, RFC 8037, RFC 8725, RFC 9864";
    Ok(vec![VectorFile::new(
        "jose-x509/jws-compact.json",
        spec,
        groups,
    )])
}

fn header(algorithm: &str, kid: &str) -> String {
    format!(r#"{{"alg":"{algorithm}","kid":"{kid}"}}"#)
}

/// The keys under their algorithm's name as `kid`.
fn all_keys(oracle: &Oracle) -> Result<Value> {
    let keys: Result<Vec<Value>> = ALGORITHMS
        .iter()
        .map(|(algorithm, key)| oracle.public_jwk(key, algorithm, algorithm))
        .collect();
    Ok(json!({ "keys": keys? }))
}

fn es256_only(oracle: &Oracle) -> Result<Value> {
    Ok(json!({ "keys": [oracle.public_jwk("es256", "k", "ES256")?] }))
}

fn group(name: &'static str, keys: Value, cases: Vec<Case>) -> Group {
    Group {
        name,
        kind: "jws",
        keys: Some(keys),
        cases,
    }
}

fn valid_signatures(oracle: &mut Oracle) -> Result<Group> {
    let mut cases = Vec::new();
    for (algorithm, key) in ALGORITHMS {
        let token = oracle.sign(algorithm, key, &header(algorithm, algorithm), PAYLOAD)?;
        let family = match *algorithm {
            "ES256" | "ES384" => "JWKA-7518.3.4-1",
            "EdDSA" => "JWKA-8037.3.1-1",
            "Ed25519" => "JWKA-9864.2.2-1",
            "RS256" | "RS384" | "RS512" => "JWKA-7518.3.3-1",
            _ => "JWKA-7518.3.5-1",
        };
        cases.push(Case::new(
            format!("valid {algorithm}"),
            "Signed by OpenSSL",
            token,
            NOW,
            valid(json!({ "alg": algorithm, "kid": algorithm, "payload": PAYLOAD })),
            &["JWS-3.1-1", "JWS-5.2-1", family],
        ));
    }
    let mut extra = |name: &str, comment: &str, header: &str, payload: &str, covers: &[&str]| {
        let token = oracle.sign("ES256", "es256", header, payload)?;
        let values = json!({ "alg": "ES256", "kid": "ES256", "payload": payload });
        cases.push(Case::new(name, comment, token, NOW, valid(values), covers));
        anyhow::Ok(())
    };
    extra(
        "empty payload",
        "Allowed by JWS; a JWT is then refused because the payload is no JSON object",
        &header("ES256", "ES256"),
        "",
        &["JWS-3.1-1"],
    )?;
    extra(
        "unknown header parameters",
        "Ignored: crit does not list them",
        r#"{"alg":"ES256","kid":"ES256","http://example.com/x":{"a":[1,2]},"y":null}"#,
        PAYLOAD,
        &["JWS-4-3", "JWS-4.3-1"],
    )?;
    extra(
        "white space and escapes in the header",
        "The signature is over the received bytes, not over re-encoded JSON",
        "{\r\n \"\\u0061lg\" : \"ES\\u0032\\u0035\\u0036\",\r\n \"kid\" : \"ES256\"}\n",
        PAYLOAD,
        &["JWS-5.2-1", "JWS-5.3-1"],
    )?;
    Ok(group("valid signatures", all_keys(oracle)?, cases))
}

fn bad_signatures(oracle: &mut Oracle) -> Result<Group> {
    let mut cases = Vec::new();
    let mut add = |name: String, comment: &str, token: String, covers: &[&str]| {
        let expected = invalid("invalid_signature");
        cases.push(Case::new(name, comment, token, NOW, expected, covers));
    };
    for (algorithm, key) in ALGORITHMS {
        let token = oracle.sign(algorithm, key, &header(algorithm, algorithm), PAYLOAD)?;
        add(
            format!("{algorithm}: flipped bit"),
            "The last bit of the signature is flipped",
            corrupt(&token)?,
            &["JWS-5.2-2"],
        );
        let (head, _, signature) = split(&token)?;
        let other = encode(r#"{"hello":"earth"}"#);
        add(
            format!("{algorithm}: changed payload"),
            "The signature belongs to another payload",
            format!("{head}.{other}.{signature}"),
            &["JWS-5.2-2"],
        );
    }
    let token = oracle.sign("ES256", "es256", &header("ES256", "ES256"), PAYLOAD)?;
    let (head, payload, _) = split(&token)?;
    let mut raw = |name: &str, comment: &str, signature: &[u8], covers: &[&str]| {
        let token = format!("{head}.{payload}.{}", encode(signature));
        add(name.to_owned(), comment, token, covers);
    };
    let zero = [0_u8; 64];
    let psychic = &["JWS-A9", "JWKA-7518.3.4-3"];
    raw(
        "ES256: r = s = 0",
        "Psychic signature, CVE-2022-21449",
        &zero,
        psychic,
    );
    let order = P256_ORDER;
    raw(
        "ES256: r = s = n",
        "Both halves are the group order",
        &[order, order].concat(),
        psychic,
    );
    raw(
        "ES256: r = s = 2^256 - 1",
        "Both halves are above the group order",
        &[0xff; 64],
        psychic,
    );
    let length = &["JWS-A10", "JWKA-7518.3.4-2"];
    raw("ES256: 63 bytes", "One byte short", &[1; 63], length);
    raw("ES256: 65 bytes", "One byte too many", &[1; 65], length);
    let der = [
        &[0x30, 0x44, 0x02, 0x20][..],
        &[1; 32],
        &[0x02, 0x20],
        &[1; 32],
    ]
    .concat();
    raw(
        "ES256: DER",
        "The encoding that TLS and X.509 use",
        &der,
        length,
    );
    let other = oracle.sign("ES256", "es256-other", &header("ES256", "ES256"), PAYLOAD)?;
    add(
        "ES256: another key".to_owned(),
        "Validly signed, by a key that the verifier does not have, under a kid that it has",
        other,
        &["JWS-5.2-2"],
    );
    Ok(group("bad signatures", all_keys(oracle)?, cases))
}

const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Headers that are refused although the signature over them is good.
fn headers(oracle: &mut Oracle) -> Result<Group> {
    let mut cases = Vec::new();
    let mut add = |name: &str, comment: &str, header: &str, code: &str, covers: &[&str]| {
        let token = oracle.sign("ES256", "es256", header, PAYLOAD)?;
        cases.push(Case::new(name, comment, token, NOW, invalid(code), covers));
        anyhow::Ok(())
    };
    let signed = "The signature over this header is good";

    let unknown = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none\\u0000",
        "none ",
        "es256",
        "xES256",
        "HS256",
        "ESP256",
        "",
    ];
    for name in unknown {
        let header = format!(r#"{{"alg":"{name}","kid":"k"}}"#);
        let covers = &["JWS-4.1.1-1", "JWS-4.1.1-2", "JWS-A1", "JWS-A28"];
        add(
            &format!("alg \"{name}\""),
            signed,
            &header,
            "unsupported_algorithm",
            covers,
        )?;
    }
    add(
        "no alg",
        signed,
        r#"{"kid":"k"}"#,
        "missing_header",
        &["JWS-4.1.1-1"],
    )?;
    for (name, value) in [
        ("alg", "256"),
        ("kid", "1"),
        ("typ", "[\"JWT\"]"),
        ("cty", "null"),
        ("kid", "null"),
    ] {
        let header = match name {
            "alg" => format!(r#"{{"alg":{value}}}"#),
            _ => format!(r#"{{"alg":"ES256","{name}":{value}}}"#),
        };
        add(
            &format!("{name}: {value}"),
            signed,
            &header,
            "header_type",
            &["JWS-4-4"],
        )?;
    }
    let kid = "k".repeat(257);
    let long = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
    add(
        "kid of 257 bytes",
        signed,
        &long,
        "header_type",
        &["JWS-4.1.4-3", "JWS-A7"],
    )?;
    let control = r#"{"alg":"ES256","kid":"k\u000a"}"#;
    add(
        "kid with a line break",
        signed,
        control,
        "header_type",
        &["JWS-4.1.4-3", "JWS-A25"],
    )?;

    let duplicate = &["JWS-4-2", "JWS-A15"];
    for (name, header) in [
        ("duplicate alg", r#"{"alg":"none","alg":"ES256","kid":"k"}"#),
        (
            "duplicate after unescaping",
            r#"{"alg":"ES256","kid":"k","\u006bid":"k"}"#,
        ),
        (
            "duplicate inside an object",
            r#"{"alg":"ES256","kid":"k","x":{"a":[{"b":1,"b":1}]}}"#,
        ),
    ] {
        add(name, signed, header, "duplicate_member", duplicate)?;
    }

    for (name, header) in [
        ("text after the object", r#"{"alg":"ES256","kid":"k"} x"#),
        ("two objects", r#"{"alg":"ES256","kid":"k"}{}"#),
        ("comment", r#"{"alg":"ES256",/* */"kid":"k"}"#),
        ("single quotes", r#"{'alg':'ES256','kid':'k'}"#),
        ("trailing comma", r#"{"alg":"ES256","kid":"k",}"#),
        ("NaN", r#"{"alg":"ES256","kid":"k","x":NaN}"#),
        ("leading plus", r#"{"alg":"ES256","kid":"k","x":+1}"#),
        (
            "lone surrogate",
            r#"{"alg":"ES256","kid":"k","x":"\ud800"}"#,
        ),
        (
            "byte order mark",
            "\u{feff}{\"alg\":\"ES256\",\"kid\":\"k\"}",
        ),
        ("empty", ""),
    ] {
        let covers = &["JWS-4-1", "JWS-10.12-1"];
        add(
            &format!("header JSON: {name}"),
            signed,
            header,
            "invalid_json",
            covers,
        )?;
    }
    for (name, header) in [
        ("array", r#"["ES256"]"#),
        ("string", r#""ES256""#),
        ("null", "null"),
    ] {
        add(
            &format!("header JSON: {name}"),
            signed,
            header,
            "json_shape",
            &["JWS-4-1"],
        )?;
    }

    let b64 = &["JWS-7797.3-1", "JWS-A17"];
    for (name, header) in [
        (
            "b64 false, critical",
            r#"{"alg":"ES256","kid":"k","b64":false,"crit":["b64"]}"#,
        ),
        ("b64 false", r#"{"alg":"ES256","kid":"k","b64":false}"#),
        ("b64 true", r#"{"alg":"ES256","kid":"k","b64":true}"#),
    ] {
        add(name, signed, header, "unencoded_payload", b64)?;
    }
    let unknown = r#"{"alg":"ES256","kid":"k","crit":["exp"],"exp":1}"#;
    add(
        "crit: unknown extension",
        signed,
        unknown,
        "unsupported_critical",
        &["JWS-4.1.11-2", "JWS-A16"],
    )?;
    for (name, value) in [
        ("empty", "[]"),
        ("not an array", "\"x\""),
        ("not strings", "[1]"),
        ("absent member", "[\"y\"]"),
        ("twice", "[\"x\",\"x\"]"),
        ("standard name", "[\"kid\"]"),
        ("JWA name", "[\"x\",\"epk\"]"),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"k","x":1,"epk":1,"crit":{value}}}"#);
        let covers = &["JWS-4.1.11-1", "JWS-A16"];
        add(
            &format!("crit: {name}"),
            signed,
            &header,
            "invalid_critical",
            covers,
        )?;
    }
    for (name, value, covers) in [
        (
            "jku",
            "\"https://attacker.example/jwks\"",
            &["JWS-4.1.2-1", "JWS-A5"][..],
        ),
        (
            "x5u",
            "\"https://attacker.example/cert\"",
            &["JWS-4.1.5-1", "JWS-A5"],
        ),
        (
            "jwk",
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            &["JWS-4.1.3-1", "JWS-A4"],
        ),
        ("x5c", "[\"MIIB\"]", &["JWS-A6"][..]),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"k","{name}":{value}}}"#);
        add(
            &format!("{name} in the header"),
            signed,
            &header,
            "header_key_material",
            covers,
        )?;
    }
    let long = format!(r#"{{"alg":"ES256","kid":"k","x":"{}"}}"#, "a".repeat(8192));
    add(
        "header above 8 KiB",
        signed,
        &long,
        "too_large",
        &["JWS-impl-limits-1", "JWS-A22"],
    )?;
    let deep = format!(
        r#"{{"alg":"ES256","kid":"k","x":{}{}}}"#,
        "[".repeat(40),
        "]".repeat(40)
    );
    add(
        "header nested 40 deep",
        signed,
        &deep,
        "too_deep",
        &["JWS-impl-limits-1", "JWS-A22"],
    )?;
    let digits = format!(r#"{{"alg":"ES256","kid":"k","x":1{}}}"#, "0".repeat(64));
    add(
        "number of 65 digits",
        signed,
        &digits,
        "number_too_long",
        &["JWS-impl-limits-1", "JWS-A24"],
    )?;
    Ok(group("header", es256_only(oracle)?, cases))
}

/// Tokens whose text is wrong.
fn structure(oracle: &mut Oracle) -> Result<Group> {
    let good = oracle.sign("ES256", "es256", &header("ES256", "k"), PAYLOAD)?;
    let (head, payload, signature) = split(&good)?;
    let mut cases = Vec::new();
    let mut add = |name: &str, comment: &str, token: String, code: &str, covers: &[&str]| {
        cases.push(Case::new(name, comment, token, NOW, invalid(code), covers));
    };

    let count = &["JWS-3.1-1"];
    add("empty", "", String::new(), "segment_count", count);
    add("one segment", "", head.to_owned(), "segment_count", count);
    add(
        "two segments",
        "",
        format!("{head}.{payload}"),
        "segment_count",
        count,
    );
    add(
        "four segments",
        "",
        format!("{good}.{signature}"),
        "segment_count",
        count,
    );
    add(
        "six segments",
        "",
        format!("{good}.a.b.c"),
        "segment_count",
        count,
    );
    let dots = ".".repeat(4096);
    add(
        "4096 dots",
        "Segments must not be collected",
        dots,
        "segment_count",
        &["JWS-3.1-1", "JWS-A23"],
    );
    let encrypted = format!("{head}.a.b.{payload}.c");
    add(
        "five segments",
        "An encrypted token",
        encrypted,
        "encrypted_not_signed",
        &["JWS-3.1-1", "JWS-A20"],
    );

    let json = &["JWS-3.2-1", "JWS-A19"];
    let flattened =
        format!(r#"{{"protected":"{head}","payload":"{payload}","signature":"{signature}"}}"#);
    add(
        "flattened JSON",
        "",
        flattened.clone(),
        "json_serialization",
        json,
    );
    let general = format!(
        r#"{{"payload":"{payload}","signatures":[{{"protected":"{head}","signature":"{signature}"}}]}}"#
    );
    add("general JSON", "", general, "json_serialization", json);
    add(
        "JSON after white space",
        "",
        format!(" \n{flattened}"),
        "json_serialization",
        json,
    );
    let polyglot =
        format!(r#"{{"protected":"{head}","payload":"x.{payload}.y","signature":"{signature}"}}"#);
    add(
        "polyglot",
        "Splitting it at the dots also gives three segments",
        polyglot,
        "json_serialization",
        json,
    );

    let characters = &["JWS-2-1", "JWS-8725bis.3.14-1", "JWS-A18"];
    for (name, token) in [
        ("padding", format!("{good}==")),
        (
            "padding in the header",
            format!("{head}=.{payload}.{signature}"),
        ),
        ("plus", format!("{head}.{payload}+.{signature}")),
        ("slash", format!("{head}.{payload}/.{signature}")),
        ("final line break", format!("{good}\n")),
        ("leading space", format!(" {good}")),
        ("space inside", format!("{head}.{payload} .{signature}")),
        ("NUL", format!("{good}\0")),
        ("not ASCII", format!("{head}.{payload}\u{e9}.{signature}")),
        ("percent", format!("{head}.{payload}%41.{signature}")),
        ("Bearer", format!("Bearer {good}")),
    ] {
        add(
            &format!("characters: {name}"),
            "",
            token,
            "token_characters",
            characters,
        );
    }

    let last = |text: &str| increment_last(text);
    let canonical = &["JWS-2-3", "JWS-A18"];
    let loose = format!("{head}.{payload}.{}", last(signature));
    add(
        "signature with unused bits set",
        "Decodes leniently to the same 64 bytes",
        loose,
        "invalid_base64",
        canonical,
    );
    let token = oracle.sign_input("ES256", "es256", &format!("{head}.{}", last(payload)))?;
    add(
        "payload with unused bits set",
        "The signature is good",
        token,
        "invalid_base64",
        canonical,
    );
    // Two spaces make the header 27 bytes, which is 36 characters.
    let even = encode(header("ES256", "k") + "  ");
    let token = oracle.sign_input("ES256", "es256", &format!("{even}A.{payload}"))?;
    add(
        "header length 1 mod 4",
        "The signature is good",
        token,
        "invalid_base64",
        &["JWS-2-2"],
    );
    add(
        "empty signature",
        "",
        format!("{head}.{payload}."),
        "empty_signature",
        &["JWS-4.1.1-2", "JWS-A1"],
    );
    let unsecured = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    add(
        "RFC 7515 A.5",
        "Unsecured",
        unsecured.to_owned(),
        "empty_signature",
        &["JWS-4.1.1-2", "JWS-A1"],
    );
    let big = oracle.sign(
        "ES256",
        "es256",
        &header("ES256", "k"),
        "x".repeat(16 * 1024),
    )?;
    add(
        "above 16 KiB",
        "The signature is good",
        big,
        "too_large",
        &["JWS-impl-limits-1", "JWS-A22"],
    );
    Ok(group("structure", es256_only(oracle)?, cases))
}

/// Sets the lowest unused bit of the last character.
///
/// Correct only where the text has unused bits, as a text of 2 or 3 modulo 4 characters does.
fn increment_last(text: &str) -> String {
    let mut text = text.to_owned();
    let next = text
        .pop()
        .map(|last| char::from(u8::try_from(last).unwrap_or_default() + 1));
    text.extend(next);
    text
}

/// Which key a token is checked with.
fn key_selection(oracle: &mut Oracle) -> Result<Group> {
    let mut cases = Vec::new();
    let verdict = |values: &Result<(&str, &str), &str>| match values {
        Ok((algorithm, "")) => valid(json!({ "alg": algorithm, "payload": PAYLOAD })),
        Ok((algorithm, kid)) => valid(json!({ "alg": algorithm, "kid": kid, "payload": PAYLOAD })),
        Err(code) => invalid(code),
    };
    let secret = oracle.public_jwk("es256", "es256", "ES256")?.to_string();
    let mut add =
        |name: &str, token: String, expected: Result<(&str, &str), &str>, covers: &[&str]| {
            cases.push(Case::new(name, "", token, NOW, verdict(&expected), covers));
        };
    let plain = r#"{"alg":"ES256"}"#;
    add(
        "no kid, one key fits",
        oracle.sign("ES256", "es256", plain, PAYLOAD)?,
        Ok(("ES256", "")),
        &["JWKA-policy-3"],
    );
    let token = oracle.sign("ES384", "es384", r#"{"alg":"ES384"}"#, PAYLOAD)?;
    add(
        "no kid, no key fits",
        token,
        Err("unknown_key"),
        &["JWKA-policy-3"],
    );
    let token = oracle.sign("ES256", "es256", &header("ES256", "gone"), PAYLOAD)?;
    add(
        "kid that no key has",
        token,
        Err("unknown_key"),
        &["JWS-4.1.4-2"],
    );
    let token = oracle.sign("ES256", "es256", &header("ES256", "ES256"), PAYLOAD)?;
    add(
        "kid in other letter case",
        token,
        Err("unknown_key"),
        &["JWS-4.1.4-1", "JWS-4.1.4-2"],
    );
    let traversal = r#"{"alg":"ES256","kid":"../../dev/null"}"#;
    add(
        "kid as a path",
        oracle.sign("ES256", "es256", traversal, PAYLOAD)?,
        Err("unknown_key"),
        &["JWS-4.1.4-3", "JWS-A7"],
    );
    let swap = &["JWS-4.1.1-3", "JWKA-A9", "JWS-10.7-1"];
    let token = oracle.sign("PS256", "rsa2048", &header("PS256", "rs256"), PAYLOAD)?;
    add(
        "PS256 under a key for RS256",
        token,
        Err("algorithm_mismatch"),
        swap,
    );
    let token = oracle.sign("RS512", "rsa2048", &header("RS512", "rs256"), PAYLOAD)?;
    add(
        "RS512 under a key for RS256",
        token,
        Err("algorithm_mismatch"),
        swap,
    );
    let token = oracle.sign("RS256", "rsa2048", &header("RS256", "es256"), PAYLOAD)?;
    add(
        "RS256 under an EC key",
        token,
        Err("algorithm_mismatch"),
        &["JWS-4.1.1-3"],
    );
    let token = Oracle::sign_hs256(secret.as_bytes(), &header("HS256", "es256"), PAYLOAD)?;
    add(
        "HS256 with the public JWK as secret",
        token,
        Err("unsupported_algorithm"),
        &["JWS-A2"],
    );
    let token = oracle.sign("RS256", "rsa2048", &header("RS256", "rs256"), PAYLOAD)?;
    let restricted = Case::new(
        "algorithm outside the policy",
        "The key is for RS256, and the caller allows ES256 alone",
        token,
        NOW,
        invalid("algorithm_not_allowed"),
        &["JWS-5.2-3", "JWT-8725bis.3.1-1"],
    );
    cases.push(restricted.options(json!({ "algorithms": ["ES256"] })));
    let keys = json!({ "keys": [
        oracle.public_jwk("es256", "es256", "ES256")?,
        oracle.public_jwk("rsa2048", "rs256", "RS256")?,
    ] });
    Ok(group("key selection", keys, cases))
}
