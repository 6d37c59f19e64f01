//! Vectors of proof of possession: `DPoP` proofs, thumbprints, targets and distinguished names.
#![expect(
    clippy::indexing_slicing,
    reason = "members of a JSON value, which are null where they do not exist"
)]

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::x509::X509NameBuilder;
use serde_json::{Value, json};

use super::file::{Case, Expected, Group, VectorFile, invalid, valid};
use super::oracle::{Oracle, encode, sha256};
use super::tokens::{Tokens, changed};

/// When the examples of RFC 9449 were made.
const NOW: u64 = 1_562_262_616;
const TARGET: &str = "https://server.example.com/token";

const PUBLISHED_TOKEN_REQUEST: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
const PUBLISHED_RESOURCE: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
const PUBLISHED_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const PUBLISHED_JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const PUBLISHED_CERTIFICATE: &str = "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=";
const PUBLISHED_X5T: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

pub(super) fn generate(oracle: &mut Oracle) -> Result<Vec<VectorFile>> {
    let dpop = vec![
        published()?,
        algorithms(oracle)?,
        proofs(oracle)?,
        at_a_resource(oracle)?,
    ];
    let binding = vec![thumbprints()?, confirmations(), targets(), names()?];
    Ok(vec![
        VectorFile::new("jose-x509/dpop.json", "RFC 9449", dpop),
        VectorFile::new(
            "jose-x509/binding.json",
            "RFC 8705, RFC 9449, RFC 3986, RFC 4514",
            binding,
        ),
    ])
}

fn group(name: &'static str, kind: &'static str, cases: Vec<Case>) -> Group {
    Group {
        name,
        kind,
        keys: None,
        cases,
    }
}

fn published() -> Result<Group> {
    let at_the_resource = |token: &str, jkt: &str| {
        json!({
            "method": "GET", "target": "https://resource.example.org/protectedresource", "access_token": token, "jkt": jkt,
        })
    };
    let case = |name: &str, proof: &str, now, expected, covers: &[&str]| {
        Case::new(
            name,
            "RFC 9449 sections 4.1, 6.1 and 7.1",
            proof,
            now,
            expected,
            covers,
        )
    };
    let jkt = json!({"jkt": PUBLISHED_JKT});
    let covers: &[&str] = &["POP-9449.4.3-2", "POP-9449.6.1-1", "POP-9449.4.3-5"];
    let (early, late) = (NOW + 2 - 11, NOW + 2 + 61);
    Ok(group(
        "published",
        "dpop",
        vec![
            case(
                "token request",
                PUBLISHED_TOKEN_REQUEST,
                NOW,
                valid(jkt.clone()),
                covers,
            ),
            case(
                "request to a resource",
                PUBLISHED_RESOURCE,
                NOW + 2,
                valid(jkt),
                &["POP-9449.4.2-7", "POP-9449.4.3-11"],
            )
            .options(at_the_resource(PUBLISHED_TOKEN, PUBLISHED_JKT)),
            case(
                "another access token",
                PUBLISHED_RESOURCE,
                NOW + 2,
                invalid("wrong_token_hash"),
                &["POP-A11"],
            )
            .options(at_the_resource("another", PUBLISHED_JKT)),
            case(
                "a token of another key",
                PUBLISHED_RESOURCE,
                NOW + 2,
                invalid("key_mismatch"),
                &["POP-9449.7-1"],
            )
            .options(at_the_resource(PUBLISHED_TOKEN, &encode([0; 32]))),
            case(
                "too early",
                PUBLISHED_RESOURCE,
                early,
                invalid("issued_in_future"),
                &["POP-9449.4.3-10"],
            )
            .options(at_the_resource(PUBLISHED_TOKEN, PUBLISHED_JKT)),
            case(
                "too late",
                PUBLISHED_RESOURCE,
                late,
                invalid("too_old"),
                &["POP-9449.4.3-10"],
            )
            .options(at_the_resource(PUBLISHED_TOKEN, PUBLISHED_JKT)),
        ],
    ))
}

/// The public half without `kid` and `alg`, as proofs have it.
fn jwk(oracle: &Oracle, key: &str) -> Result<Value> {
    let jwk = oracle.public_jwk(key, "", "")?;
    Ok(changed(&jwk, &json!({"kid": null, "alg": null})))
}

fn claims() -> Value {
    json!({"jti": "-BwC3ESc6acc2lTc", "htm": "POST", "htu": TARGET, "iat": NOW})
}

fn tokens<'o>(
    oracle: &'o mut Oracle,
    algorithm: &'static str,
    key: &'static str,
) -> Result<Tokens<'o>> {
    let jwk = jwk(oracle, key)?;
    Ok(Tokens {
        oracle,
        key: (algorithm, key),
        header: json!({"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk}),
        claims: claims(),
        now: NOW,
        cases: Vec::new(),
    })
}

fn add_option(case: &mut Case, options: Value) {
    case.options = Some(options);
}

fn algorithms(oracle: &mut Oracle) -> Result<Group> {
    let mut cases = Vec::new();
    for (algorithm, key) in [
        ("ES256", "es256"),
        ("ES384", "es384"),
        ("Ed25519", "ed25519"),
        ("EdDSA", "ed25519"),
        ("RS256", "rsa2048"),
        ("PS256", "rsa2048"),
        ("RS512", "rsa2048"),
    ] {
        let mut made = tokens(oracle, algorithm, key)?;
        let covers: &[&str] = &["POP-9449.4.2-2", "POP-9449.4.3-4"];
        let values = valid(
            json!({"method": "POST", "target": TARGET, "jti": "-BwC3ESc6acc2lTc", "iat": NOW}),
        );
        let case = made.claims(&format!("{algorithm} allowed"), json!({}), values, covers)?;
        add_option(case, json!({"algorithms": [algorithm]}));
        if key == "rsa2048" {
            let refused = invalid("algorithm_not_allowed");
            made.claims(
                &format!("{algorithm} by default"),
                json!({}),
                refused,
                covers,
            )?;
        }
        cases.append(&mut made.cases);
    }
    Ok(group("algorithms", "dpop", cases))
}

fn proofs(oracle: &mut Oracle) -> Result<Group> {
    let other = jwk(oracle, "es256-other")?;
    let mut t = tokens(oracle, "ES256", "es256")?;
    let good_jwk = t.header["jwk"].clone();
    let ok = || valid(json!({"method": "POST", "target": TARGET}));
    t.tampered(json!({"htm": "GET"}), &["POP-9449.4.3-5"])?;
    t.not_signed(&["POP-9449.4.2-2", "POP-A9"], &["POP-A9"])?;
    for (typ, good) in [
        ("application/dpop+jwt", true),
        ("JWT", false),
        ("dpop", false),
        ("at+jwt", false),
        ("oauth-client-attestation-pop+jwt", false),
    ] {
        let expected = if good { ok() } else { invalid("wrong_type") };
        t.header(
            &format!("typ {typ}"),
            json!({"typ": typ}),
            expected,
            &["POP-9449.4.2-1", "POP-A7"],
        )?;
    }
    t.header(
        "no typ",
        json!({"typ": null}),
        invalid("wrong_type"),
        &["POP-9449.4.2-1"],
    )?;
    t.header(
        "no jwk",
        json!({"jwk": null}),
        invalid("missing_header"),
        &["POP-9449.4.2-3"],
    )?;
    t.header(
        "another key in jwk",
        json!({"jwk": other}),
        invalid("invalid_signature"),
        &["POP-9449.4.3-5"],
    )?;
    for (name, change, code) in [
        ("private key", json!({"d": "AAAA"}), "private_key_material"),
        (
            "symmetric key",
            json!({"kty": "oct", "k": "AAAA"}),
            "private_key_material",
        ),
        (
            "point off the curve",
            json!({"y": good_jwk["x"]}),
            "invalid_key",
        ),
        (
            "leading zero",
            json!({"x": encode([&[0][..], &super::oracle::decode(good_jwk["x"].as_str().unwrap_or_default())?].concat())}),
            "invalid_key",
        ),
        ("other curve", json!({"crv": "P-384"}), "invalid_key"),
        ("key for encryption", json!({"use": "enc"}), "invalid_key"),
        (
            "RSA with exponent 1",
            json!({"kty": "RSA", "n": encode([0xff; 256]), "e": "AQ", "crv": null, "x": null, "y": null}),
            "invalid_key",
        ),
        (
            "RSA of 512 bits",
            json!({"kty": "RSA", "n": encode([0xff; 64]), "e": "AQAB", "crv": null, "x": null, "y": null}),
            "invalid_key",
        ),
        (
            "RSA of 16384 bits",
            json!({"kty": "RSA", "n": encode([0xff; 2048]), "e": "AQAB", "crv": null, "x": null, "y": null}),
            "invalid_key",
        ),
    ] {
        let key = changed(&good_jwk, &change);
        t.header(
            name,
            json!({"jwk": key}),
            invalid(code),
            &["POP-9449.4.2-3", "POP-A8", "POP-A10", "POP-A18"],
        )?;
    }
    for (name, change, code) in [
        ("kid", json!({"kid": "a"}), "unexpected_parameter"),
        ("x5c", json!({"x5c": ["AAAA"]}), "header_key_material"),
        (
            "x5u",
            json!({"x5u": "https://a.example"}),
            "header_key_material",
        ),
        (
            "jku",
            json!({"jku": "https://a.example"}),
            "header_key_material",
        ),
    ] {
        t.header(
            &format!("{name} in the header"),
            change,
            invalid(code),
            &["POP-9449.4.2-1"],
        )?;
    }
    for claim in ["jti", "htm", "htu", "iat"] {
        t.claims(
            &format!("no {claim}"),
            json!({claim: null}),
            invalid("missing_claim"),
            &["POP-9449.4.2-4", "POP-9449.4.3-3"],
        )?;
        t.claims(
            &format!("{claim} is a list"),
            json!({claim: ["a"]}),
            invalid("claim_type"),
            &["POP-9449.4.2-4", "POP-9449.4.3-3"],
        )?;
    }
    for method in ["GET", "post"] {
        t.claims(
            &format!("htm {method}"),
            json!({"htm": method}),
            invalid("wrong_method"),
            &["POP-9449.4.3-6", "POP-A3"],
        )?;
    }
    for htu in [
        "HTTPS://Server.Example.com:443/a/../token",
        "https://server.example.com/%74oken?a=b#c",
    ] {
        t.claims(
            &format!("htu {htu}"),
            json!({"htu": htu}),
            ok(),
            &["POP-9449.4.3-7", "POP-9449.4.3-8"],
        )?;
    }
    for htu in [
        "https://server.example.com/token/",
        "http://server.example.com/token",
        "https://server.example.com:444/token",
        "https://evil.example/token",
        "https://server.example.com/%2574oken",
    ] {
        t.claims(
            &format!("htu {htu}"),
            json!({"htu": htu}),
            invalid("wrong_target"),
            &["POP-9449.4.3-7", "POP-A12"],
        )?;
    }
    for htu in [
        "https://server.example.com@evil.example/token",
        "https://server.example.com\\token",
        "/token",
    ] {
        t.claims(
            &format!("htu {htu}"),
            json!({"htu": htu}),
            invalid("invalid_uri"),
            &["POP-A12"],
        )?;
    }
    for (name, iat, expected) in [
        ("60 seconds old", NOW - 60, ok()),
        ("61 seconds old", NOW - 61, invalid("too_old")),
        ("10 seconds ahead", NOW + 10, ok()),
        ("11 seconds ahead", NOW + 11, invalid("issued_in_future")),
    ] {
        t.claims(
            name,
            json!({"iat": iat}),
            expected,
            &["POP-9449.4.3-10", "POP-A5"],
        )?;
    }
    t.claims(
        "exp has passed",
        json!({"exp": NOW - 60}),
        invalid("expired"),
        &[],
    )?;
    t.claims(
        "jti of 256 bytes",
        json!({"jti": "x".repeat(256)}),
        ok(),
        &["POP-policy-1"],
    )?;
    t.claims(
        "jti of 257 bytes",
        json!({"jti": "x".repeat(257)}),
        invalid("claim_type"),
        &["POP-policy-1"],
    )?;
    t.claims(
        "above 4 KiB",
        json!({"more": "x".repeat(4096)}),
        invalid("too_large"),
        &["POP-policy-1"],
    )?;
    t.claims(
        "nonce with a space",
        json!({"nonce": "a b"}),
        invalid("invalid_nonce"),
        &["POP-9449.8.1-1"],
    )?;
    let good = t.good()?;
    let five = format!("{good}.AAAA.AAAA");
    t.token(
        "five segments",
        five,
        invalid("encrypted_not_signed"),
        &["POP-9449.4.3-2"],
    );
    let (one, two) = (good.clone(), good.clone());
    t.token(
        "two in one field",
        format!("{one}, {two}"),
        invalid("multiple_proofs"),
        &["POP-9449.4.3-1", "POP-A13"],
    );
    t.token(
        "white space",
        format!(" {good}"),
        invalid("token_characters"),
        &["POP-9449.4.3-2"],
    );
    Ok(group("proofs", "dpop", t.cases))
}

fn at_a_resource(oracle: &mut Oracle) -> Result<Group> {
    let mut t = tokens(oracle, "ES256", "es256")?;
    let jwk = &t.header["jwk"];
    // RFC 7638: the members in order, without white space.
    let text = format!(
        r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#,
        jwk["x"], jwk["y"]
    );
    let jkt = encode(sha256(text));
    let options = json!({"access_token": "token", "jkt": jkt});
    let ath = |token: &str| encode(sha256(token));
    let covers: &[&str] = &["POP-9449.4.3-11", "POP-A11"];
    let cases: [(&str, Value, Expected); 4] = [
        (
            "ath of the token",
            json!({"ath": ath("token")}),
            valid(json!({"jkt": jkt, "ath": ath("token")})),
        ),
        ("no ath", json!({}), invalid("missing_claim")),
        (
            "ath of another token",
            json!({"ath": ath("other")}),
            invalid("wrong_token_hash"),
        ),
        (
            "ath with padding",
            json!({"ath": format!("{}=", ath("token"))}),
            invalid("claim_type"),
        ),
    ];
    for (name, change, expected) in cases {
        add_option(t.claims(name, change, expected, covers)?, options.clone());
    }
    let other = json!({"access_token": "token", "jkt": encode([7; 32])});
    let case = t.claims(
        "another key",
        json!({"ath": ath("token")}),
        invalid("key_mismatch"),
        covers,
    )?;
    add_option(case, other);
    Ok(group("at a resource", "dpop", t.cases))
}

fn thumbprints() -> Result<Group> {
    let der = STANDARD.decode(PUBLISHED_CERTIFICATE)?;
    anyhow::ensure!(
        encode(sha256(&der)) == PUBLISHED_X5T,
        "the published thumbprint is another one"
    );
    let case = |name: &str, der: &[u8], expected| {
        Case::new(
            name,
            "",
            STANDARD.encode(der),
            0,
            expected,
            &["POP-8705.3-1"],
        )
    };
    let mut changed = der.clone();
    changed.push(0);
    Ok(group(
        "certificate thumbprints",
        "x5t",
        vec![
            case(
                "RFC 8705 appendix A",
                &der,
                valid(json!({"x5t": PUBLISHED_X5T})),
            ),
            case(
                "with one more byte",
                &changed,
                valid(json!({"x5t": encode(sha256(&changed))})),
            ),
        ],
    ))
}

fn confirmations() -> Group {
    let covers: &[&str] = &["POP-8705.3.1-1", "POP-8705.7.2-1", "POP-A25"];
    let case = |name: &str, cnf: Value, expected| Case::new(name, "", cnf, 0, expected, covers);
    let bad =
        |name: &str, value: Value| case(name, json!({"x5t#S256": value}), invalid("claim_type"));
    let good = json!({"x5t#S256": PUBLISHED_X5T, "jkt": PUBLISHED_JKT});
    group(
        "cnf",
        "cnf",
        vec![
            case(
                "certificate",
                json!({"x5t#S256": PUBLISHED_X5T}),
                valid(json!({"x5t#S256": PUBLISHED_X5T})),
            ),
            case(
                "key",
                json!({"jkt": PUBLISHED_JKT}),
                valid(json!({"jkt": PUBLISHED_JKT})),
            ),
            case("both", good.clone(), valid(good)),
            bad(
                "the value of RFC 8705 section 3.1, which is not canonical",
                json!("bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"),
            ),
            bad("number", json!(1)),
            bad("list", json!([PUBLISHED_X5T])),
            bad(
                "42 characters",
                json!(PUBLISHED_X5T.chars().skip(1).collect::<String>()),
            ),
            bad("44 characters", json!(format!("{PUBLISHED_X5T}A"))),
            bad("padding", json!(format!("{PUBLISHED_X5T}="))),
            case(
                "nothing that is understood",
                json!({"x": 1}),
                invalid("unusable_confirmation"),
            ),
        ],
    )
}

fn targets() -> Group {
    let case = |htu: &str, target: &str, expected| {
        let input = json!({"htu": htu, "target": target});
        Case::new(
            format!("{htu} and {target}"),
            "",
            input,
            0,
            expected,
            &["POP-9449.4.3-8", "POP-A12"],
        )
    };
    let mut cases = Vec::new();
    for (htu, target, equal) in [
        ("https://a.example/x", "https://A.EXAMPLE:443/x", true),
        ("https://a.example", "https://a.example/", true),
        ("https://a.example/x/", "https://a.example/x", false),
        ("https://a.example/%7Eu", "https://a.example/~u", true),
        ("https://a.example/a%2Fb", "https://a.example/a/b", false),
        ("https://a.example/a%2fb", "https://a.example/a%2Fb", true),
        ("http://a.example/x", "https://a.example/x", false),
        ("https://a.example/x?q=1", "https://a.example/x?q=2", true),
        ("https://a.example/./x", "https://a.example/x", true),
        ("https://a.example/a/../x", "https://a.example/x", true),
        ("https://a.example/X", "https://a.example/x", false),
        (
            "https://[2001:DB8::1]/",
            "https://[2001:db8:0::1]:443/",
            true,
        ),
    ] {
        cases.push(case(htu, target, valid(json!({"equal": equal}))));
    }
    for htu in [
        "https://u@a.example/x",
        "https://a.example\\x",
        "https://a.example/%zz",
        "https://127.1/",
        "ftp://a.example/x",
        "https:///x",
    ] {
        cases.push(case(htu, "https://a.example/x", invalid("invalid_uri")));
    }
    group("targets", "htu", cases)
}

fn names() -> Result<Group> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("C", "DE")?;
    name.append_entry_by_text("O", "Example, Inc.")?;
    name.append_entry_by_text("CN", "Gr\u{fc}n")?;
    let der = STANDARD.encode(name.build().to_der()?);
    let mut cases = Vec::new();
    let covers: &[&str] = &["POP-8705.2.1.2-2", "POP-A22"];
    let mut case = |text: &str, expected| {
        let input = json!({"text": text, "der": der});
        cases.push(Case::new(text, "", input, 0, expected, covers));
    };
    for (text, equal) in [
        ("CN=Gr\u{fc}n,O=Example\\, Inc.,C=DE", true),
        ("cn=Gr\\C3\\BCn,o=Example\\2C Inc.,c=DE", true),
        ("2.5.4.3=Gr\u{fc}n,O=Example\\, Inc.,C=DE", true),
        ("C=DE,O=Example\\, Inc.,CN=Gr\u{fc}n", false),
        ("CN=gr\u{fc}n,O=Example\\, Inc.,C=DE", false),
        ("CN=Gr\u{fc}n,O=Example\\, Inc.", false),
        ("CN=Gr\u{fc}n+O=Example\\, Inc.,C=DE", false),
    ] {
        case(text, valid(json!({"equal": equal})));
    }
    for text in ["", "CN=a, O=b", "CN=\"a\"", "CN=a\\00", "XX=a", "/CN=a"] {
        case(text, invalid("invalid_name"));
    }
    Ok(group("distinguished names", "dn", cases))
}
