//! `test-vectors/wimse`: Workload Identity Tokens, and requests with a Workload Proof Token.
//!
//! The keys are those of the published examples, which are among the cases.

use anyhow::Result;
use serde_json::{Value, json};

use super::file::{Case, Expected, Group, VectorFile, invalid, valid};
use super::oracle::{Oracle, encode, sha256, split};
use super::tokens::{Tokens, changed};

/// The WIT of draft-ietf-wimse-workload-creds, and another signature over the same content.
const EXAMPLE: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6Ikp1bmUgNSIsInR5cCI6IndpdCtqd3QifQ.eyJjbmYiOnsiandrIjp7ImFsZyI6IkVkRFNBIiwiY3J2IjoiRWQyNTUxOSIsImt0eSI6Ik9LUCIsIngiOiIxQ1hYdmZsTl9MVlZzSXNZWHNVdkIwM0ptbEdXZUNIcVFWdW91Q0Y5MmJnIn19LCJleHAiOjE3NDU1MTI1MTAsImlhdCI6MTc0NTUwODkxMCwianRpIjoieC1fMUNUTDJjY2EzQ1NFNGN3Yl9sIiwic3ViIjoid2ltc2U6Ly9leGFtcGxlLmNvbS9zcGVjaWZpYy13b3JrbG9hZCJ9.6KraSQUxWdl9dxFQ3Fj6dPY0Vi88OkwFwZpAIOhLeq6AbXAnLLQgOp8U9UDGcBuYF3KiNv6oKQD1ZWAzrMZOJw";
const EXAMPLE_AGAIN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6Ikp1bmUgNSIsInR5cCI6IndpdCtqd3QifQ.eyJjbmYiOnsiandrIjp7ImFsZyI6IkVkRFNBIiwiY3J2IjoiRWQyNTUxOSIsImt0eSI6Ik9LUCIsIngiOiIxQ1hYdmZsTl9MVlZzSXNZWHNVdkIwM0ptbEdXZUNIcVFWdW91Q0Y5MmJnIn19LCJleHAiOjE3NDU1MTI1MTAsImlhdCI6MTc0NTUwODkxMCwianRpIjoieC1fMUNUTDJjY2EzQ1NFNGN3Yl9sIiwic3ViIjoid2ltc2U6Ly9leGFtcGxlLmNvbS9zcGVjaWZpYy13b3JrbG9hZCJ9.lRMvg6aDnk4ua2tI427zRw8fUKK8S9AOP7nWn20uo2XQx4JlTDOlXn-tXffvz5tEZuKH46QRJcPKxCs-mgzebw";
/// The WPT that draft-ietf-wimse-wpt published in its earlier form, with `ath`.
const EXAMPLE_PROOF: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6IndwdCtqd3QifQ.eyJhdGgiOiJDTDR3amZwUm1OZi1iZFlJYllMblY5ZDVyTUFSR3dLWUUxMHdVd3pDMGpJIiwiYXVkIjoiaHR0cHM6Ly93b3JrbG9hZC5leGFtcGxlLmNvbS9wYXRoIiwiZXhwIjoxNzQ1NTEwMDE2LCJqdGkiOiJfX2J3YzRFU0MzYWNjMkxUQzEtX3giLCJ3dGgiOiJBYVlVZkMzNEQxZGkyRnhRTHBpSUpKN1NnOFZaNm84T0Nkd1NmOUlUb0xnIn0.PI7d9AcYhLoEgPgbJvcM132lkBKnM1NXU-5hZUzVTIyj2dRJaTLFs6e5NYv5gg6AqcV7NvkYCwfgMgWasWQzCA";
/// The same for a request with a context token.
const EXAMPLE_OTHER_PROOF: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6IndwdCtqd3QifQ.eyJhdGgiOiJDTDR3amZwUm1OZi1iZFlJYllMblY5ZDVyTUFSR3dLWUUxMHdVd3pDMGpJIiwiYXVkIjoiaHR0cHM6Ly93b3JrbG9hZC5leGFtcGxlLmNvbS9wYXRoIiwiZXhwIjoxNzQ1NTEwMDE2LCJqdGkiOiJDYjFmQ2EzY0ZFU0NfeC0yNENMVEwiLCJvdGgiOnsieC1jdXN0b20tdG9rZW4iOiJ4LVV5NkNoX3huM0FiVVZLRGpQTVFRdWd0Y24yZXJMV3JrdlZXQW1LbDFrIn0sInd0aCI6IjFWNGhQQ1ZEbWI2M2dQc1BEVDEwZGtnRWVkdlNfTXZrT19DQnQwSHV5ak0ifQ.DLKlhONV8XpR96t39CnD-kUgVTaN5UHXZM8iC6CvqvCwbMDIrAwD861DC1e3AStZ4v32x6waN97m2g29HuSVBw";

/// When the published examples are valid.
const NOW: u64 = 1_745_510_000;
const SUB: &str = "wimse://example.com/specific-workload";
const TARGET: &str = "https://workload.example.com/path";
/// Only hashed, never read.
const TXN_TOKEN: &str = "eyJ0eXAiOiJ0eG50b2tlbitqd3QifQ.e30.c2ln";
const BEARER: &str = "Bearer 16_mAd0GiwaZokU26_0902100";

pub(super) fn generate(oracle: &mut Oracle) -> Result<Vec<VectorFile>> {
    let keys = anchors(oracle)?;
    let wit = Group {
        name: "WIT",
        kind: "wit",
        keys: Some(keys.clone()),
        cases: wits(oracle)?,
    };
    let wpt = Group {
        name: "requests",
        kind: "wpt",
        keys: Some(keys),
        cases: requests(oracle)?,
    };
    Ok(vec![
        VectorFile::new(
            "wimse/wit.json",
            "draft-ietf-wimse-workload-creds",
            vec![wit],
        ),
        VectorFile::new("wimse/wpt.json", "draft-ietf-wimse-wpt", vec![wpt]),
    ])
}

/// Key sets by origin.
fn anchors(oracle: &Oracle) -> Result<Value> {
    let key = |key: &str, kid: &str| oracle.public_jwk(key, kid, "ES256");
    Ok(json!({
        "wimse://example.com": {"keys": [key("wimse-issuer", "June 5")?]},
        "wimse://other.example": {"keys": [key("es256-other", "June 5")?]},
        "spiffe://example.com": {"keys": [key("es256", "a")?, key("es256-other", "b")?]},
    }))
}

fn wits(oracle: &mut Oracle) -> Result<Vec<Case>> {
    let workload = oracle.public_jwk("wimse-workload", "", "EdDSA")?;
    let workload = changed(&workload, &json!({"kid": null}));
    let mut t = Tokens {
        oracle,
        key: ("ES256", "wimse-issuer"),
        header: json!({"alg": "ES256", "kid": "June 5", "typ": "wit+jwt"}),
        claims: json!({"sub": SUB, "exp": NOW + 3600, "iat": NOW, "cnf": {"jwk": workload}}),
        now: NOW,
        cases: Vec::new(),
    };
    let good = || valid(json!({"sub": SUB}));
    let none = || json!({});
    t.claims("usual", none(), good(), &["WIMSE-WIT-5.1-1"])?;
    let published = valid(json!({
        "sub": SUB, "exp": 1_745_512_510, "proof_algorithm": "EdDSA", "jti": "x-_1CTL2cca3CSE4cwb_l",
        "hash": "AaYUfC34D1di2FxQLpiIJJ7Sg8VZ6o8OCdwSf9IToLg",
    }));
    t.token(
        "published example",
        EXAMPLE.to_owned(),
        published,
        &["WIMSE-WIT-5.1-6", "WIMSE-WIT-3-6"],
    );
    let again = valid(json!({"sub": SUB, "hash": "1V4hPCVDmb63gPsPDT10dkgEedvS_MvkO_CBt0HuyjM"}));
    t.token(
        "published example with another signature",
        EXAMPLE_AGAIN.to_owned(),
        again,
        &["WIMSE-WIT-5.1.4-4"],
    );
    t.token(
        "published example after its end",
        EXAMPLE.to_owned(),
        invalid("expired"),
        &["WIMSE-WIT-5.1.4-5"],
    )
    .now = 1_745_512_570;
    t.header(
        "media type with its prefix",
        json!({"typ": "Application/WIT+jwt"}),
        good(),
        &["WIMSE-WIT-5.1.4-3"],
    )?;
    t.header(
        "no kid, one key fits",
        json!({"kid": null}),
        good(),
        &["WIMSE-WIT-3-7"],
    )?;
    let es256 = t.oracle.public_jwk("es256", "k", "ES256")?;
    t.claims(
        "ES256 key of the workload",
        json!({"cnf": {"jwk": es256}}),
        valid(json!({"proof_algorithm": "ES256"})),
        &["WIMSE-WIT-5.1-19"],
    )?;
    t.claims(
        "unknown claims",
        json!({"aud": "x", "example.com/c": [1]}),
        good(),
        &["WIMSE-WIT-5.1.2-1"],
    )?;
    t.claims(
        "expired within the leeway",
        json!({"exp": NOW - 59, "iat": null}),
        good(),
        &["WIMSE-WIT-5.1.4-5"],
    )?;
    let spiffe = json!({"sub": "spiffe://example.com/a"});
    t.signed_by(
        "SPIFFE ID",
        ("ES256", "es256"),
        json!({"kid": "a"}),
        spiffe.clone(),
        valid(json!({"sub": "spiffe://example.com/a"})),
        &["WIMSE-WIT-5.1-23"],
    )?;

    t.not_signed(&["WIMSE-WIT-5.1-3", "WIMSE-WIT-A2"], &["WIMSE-WIT-A3"])?;
    t.tampered(
        json!({"sub": "wimse://example.com/admin"}),
        &["WIMSE-WIT-5.1.4-4"],
    )?;
    for typ in ["JWT", "wpt+jwt", "at+jwt"] {
        t.header(
            &format!("typ {typ}"),
            json!({"typ": typ}),
            invalid("wrong_type"),
            &["WIMSE-WIT-5.1.4-3", "WIMSE-WIT-A8"],
        )?;
    }
    t.header(
        "no typ",
        json!({"typ": null}),
        invalid("wrong_type"),
        &["WIMSE-WIT-5.1.4-3"],
    )?;
    t.header(
        "kid that no key has",
        json!({"kid": "June 6"}),
        invalid("unknown_key"),
        &["WIMSE-WIT-3-6"],
    )?;
    t.signed_by(
        "no kid, two keys fit",
        ("ES256", "es256"),
        json!({"kid": null}),
        spiffe.clone(),
        invalid("ambiguous_key"),
        &["WIMSE-WIT-3-7"],
    )?;
    let other = ("ES256", "es256-other");
    t.signed_by(
        "signed by another trust domain under the same kid",
        other,
        none(),
        none(),
        invalid("invalid_signature"),
        &["WIMSE-WIT-3-1", "WIMSE-WIT-A6"],
    )?;
    t.claims(
        "the same trust domain under another scheme",
        spiffe,
        invalid("unknown_key"),
        &["WIMSE-WIT-ID-4.1-2"],
    )?;
    for (name, sub) in [
        ("port", "wimse://example.com:443/a"),
        ("query", "wimse://example.com/a?b"),
        ("fragment", "wimse://example.com/a#"),
        ("user", "wimse://user@example.com/a"),
        ("no authority", "wimse:///a"),
        ("no scheme", "example.com/a"),
    ] {
        t.claims(
            &format!("sub with {name}"),
            json!({"sub": sub}),
            invalid("workload_identifier"),
            &["WIMSE-WIT-1.3-1", "WIMSE-WIT-A12"],
        )?;
    }
    for (name, sub) in [
        ("an upper-case trust domain", "spiffe://Example.com/a"),
        ("a dot segment", "spiffe://example.com/a/../admin"),
        ("an escape", "spiffe://example.com/%61"),
        ("a trailing slash", "spiffe://example.com/a/"),
        ("its scheme in upper case", "SPIFFE://example.com/a"),
    ] {
        t.signed_by(
            &format!("SPIFFE ID with {name}"),
            ("ES256", "es256"),
            json!({"kid": "a"}),
            json!({"sub": sub}),
            invalid("workload_identifier"),
            &["WIMSE-WIT-ID-4.2-1"],
        )?;
    }
    for (name, sub) in [
        ("a trust domain alone", "wimse://example.com"),
        ("a trust domain and a slash", "wimse://example.com/"),
    ] {
        t.claims(
            &format!("sub is {name}"),
            json!({"sub": sub}),
            invalid("workload_identifier"),
            &["WIMSE-WIT-ID-4.5-1"],
        )?;
    }
    t.signed_by(
        "SPIFFE ID of a trust domain",
        ("ES256", "es256"),
        json!({"kid": "a"}),
        json!({"sub": "spiffe://example.com"}),
        invalid("workload_identifier"),
        &["WIMSE-WIT-ID-4.5-1"],
    )?;
    t.claims(
        "sub with an escaped trust domain",
        json!({"sub": "wimse://ex%61mple.com/a"}),
        invalid("unknown_trust_domain"),
        &["WIMSE-WIT-ID-4.2-1"],
    )?;
    t.claims(
        "sub in another case",
        json!({"sub": "wimse://Example.com/a"}),
        invalid("unknown_trust_domain"),
        &["WIMSE-WIT-A13"],
    )?;
    t.claims(
        "sub of an unknown trust domain",
        json!({"sub": "wimse://unknown.example/a"}),
        invalid("unknown_trust_domain"),
        &["WIMSE-WIT-ID-7-2"],
    )?;
    t.claims(
        "two subjects",
        json!({"sub": [SUB]}),
        invalid("claim_type"),
        &["WIMSE-WIT-4-2"],
    )?;
    t.claims(
        "no sub",
        json!({"sub": null}),
        invalid("missing_claim"),
        &["WIMSE-WIT-5.1-7"],
    )?;
    t.claims(
        "no exp",
        json!({"exp": null}),
        invalid("missing_claim"),
        &["WIMSE-WIT-5.1-8"],
    )?;
    t.claims(
        "exp as text",
        json!({"exp": "1745513600"}),
        invalid("claim_type"),
        &["WIMSE-WIT-5.1-8", "WIMSE-WIT-A19"],
    )?;
    t.claims(
        "expired by the leeway",
        json!({"exp": NOW - 60, "iat": null}),
        invalid("expired"),
        &["WIMSE-WIT-5.1.4-5"],
    )?;
    t.claims(
        "not yet valid",
        json!({"nbf": NOW + 61}),
        invalid("not_yet_valid"),
        &["WIMSE-WIT-5.1.4-5"],
    )?;
    t.claims(
        "25 hours",
        json!({"exp": NOW + 90_000}),
        invalid("lifetime_too_long"),
        &["WIMSE-WIT-5.1.4-7"],
    )?;
    t.claims(
        "no cnf",
        json!({"cnf": null}),
        invalid("missing_claim"),
        &["WIMSE-WIT-5.1-12"],
    )?;
    let jwk = |changes: Value| json!({"cnf": {"jwk": changed(&workload, &changes)}});
    t.claims(
        "cnf.jwk without alg",
        jwk(json!({"alg": null})),
        invalid("confirmation_key"),
        &["WIMSE-WIT-5.1-14", "WIMSE-WIT-A9"],
    )?;
    for (alg, covers) in [
        ("none", "WIMSE-WIT-5.1-15"),
        ("HS256", "WIMSE-WIT-5.1-16"),
        ("ECDH-ES", "WIMSE-WIT-5.1-17"),
    ] {
        t.claims(
            &format!("cnf.jwk for {alg}"),
            jwk(json!({"alg": alg})),
            invalid("invalid_key"),
            &[covers],
        )?;
    }
    t.claims(
        "private key in cnf.jwk",
        jwk(json!({"d": "AQ"})),
        invalid("private_key_material"),
        &["WIMSE-WIT-5.1-13", "WIMSE-WIT-A10"],
    )?;
    t.header(
        "crit",
        json!({"crit": ["foo"], "foo": 1}),
        invalid("unsupported_critical"),
        &["WIMSE-WIT-3-9"],
    )?;
    t.header(
        "zip",
        json!({"zip": "DEF"}),
        invalid("compressed"),
        &["WIMSE-WIT-A16"],
    )?;
    Ok(t.cases)
}

/// A request: its target, and its fields in order.
struct Requests<'o> {
    oracle: &'o mut Oracle,
    cases: Vec<Case>,
}

impl Requests<'_> {
    fn sign(&mut self, header: &Value, claims: &Value) -> Result<String> {
        self.oracle.sign(
            "EdDSA",
            "wimse-workload",
            &header.to_string(),
            claims.to_string(),
        )
    }

    /// A request with a proof whose claims are changed, and with more fields.
    fn proof(
        &mut self,
        name: &str,
        changes: Value,
        fields: &[(&str, &str)],
        expected: Expected,
        covers: &[&str],
    ) -> Result<&mut Case> {
        let wpt = self.sign(&header(), &changed(&claims(), &changes))?;
        let authorization = format!("WPT {wpt}");
        let mut all = vec![
            ("Workload-Identity-Token", EXAMPLE),
            ("Authorization", &authorization),
        ];
        all.extend(fields);
        Ok(self.fields(name, &all, expected, covers))
    }

    /// A request with exactly these fields.
    #[expect(
        clippy::indexing_slicing,
        reason = "a case was pushed in the line before"
    )]
    fn fields(
        &mut self,
        name: &str,
        fields: &[(&str, &str)],
        expected: Expected,
        covers: &[&str],
    ) -> &mut Case {
        let input = json!({"target": "/path?x=1", "fields": fields});
        self.cases
            .push(Case::new(name, "", input, NOW, expected, covers));
        let last = self.cases.len() - 1;
        &mut self.cases[last]
    }
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "wpt+jwt"})
}

fn claims() -> Value {
    json!({"aud": TARGET, "exp": NOW + 16, "jti": "__bwc4ESC3acc2LTC1-_x", "wth": encode(sha256(EXAMPLE))})
}

fn requests(oracle: &mut Oracle) -> Result<Vec<Case>> {
    let mut r = Requests {
        oracle,
        cases: Vec::new(),
    };
    let good = || valid(json!({"sub": SUB}));
    let none = || json!({});
    let covers = &["WIMSE-WPT-2-1", "WIMSE-WPT-2-2", "WIMSE-WPT-2-11"];
    r.proof(
        "published keys and claims",
        none(),
        &[],
        valid(json!({"sub": SUB, "jti": "__bwc4ESC3acc2LTC1-_x"})),
        covers,
    )?;
    let tth = encode(sha256(TXN_TOKEN));
    let txn = ("Txn-Token", TXN_TOKEN);
    r.proof(
        "transaction token",
        json!({"tth": tth}),
        &[txn],
        good(),
        &["WIMSE-WPT-2-12", "WIMSE-WPT-2-29"],
    )?;
    let custom = ("X-Custom-Token", "some-example-other-token");
    let oth = json!({"oth": {"x-custom-token": "x-Uy6Ch_xn3AbUVKDjPMQQugtcn2erLWrkvVWAmKl1k"}});
    let context = json!({"context_fields": ["x-custom-token"]});
    let case = r.proof(
        "context token",
        oth.clone(),
        &[custom],
        good(),
        &["WIMSE-WPT-2-13", "WIMSE-WPT-2-15"],
    )?;
    case.options = Some(context.clone());
    let padded = ("X-Custom-Token", "  some-example-other-token ");
    let case = r.proof(
        "context token between spaces",
        oth.clone(),
        &[padded],
        good(),
        &["WIMSE-WPT-2-15"],
    )?;
    case.options = Some(context.clone());
    for aud in [
        json!([TARGET]),
        json!("HTTPS://WORKLOAD.example.com:443/path"),
        json!("https://workload.example.com/path?x=2"),
    ] {
        r.proof(
            &format!("aud {aud}"),
            json!({"aud": aud}),
            &[],
            good(),
            &["WIMSE-WPT-2-8", "WIMSE-WPT-2-24"],
        )?;
    }
    r.proof(
        "unknown claim",
        json!({"example.com/c": 1, "ath": "x"}),
        &[],
        good(),
        &["WIMSE-WPT-2.3-1", "WIMSE-WPT-L2-5"],
    )?;
    for (name, claims) in [
        ("iat in the future", json!({"iat": NOW + 3600})),
        ("iat as text", json!({"iat": "now"})),
        ("cnf", json!({"cnf": {"jkt": "x"}})),
        (
            "iss and sub that name others",
            json!({"iss": "a b: c", "sub": "wimse://example.com/admin"}),
        ),
    ] {
        r.proof(
            &format!("undefined claims: {name}"),
            claims,
            &[],
            good(),
            &["WIMSE-WPT-2.3-1"],
        )?;
    }
    let wpt = r.sign(&header(), &claims())?;
    let scheme = format!("wpt  {wpt}");
    r.fields(
        "scheme in lower case, two spaces",
        &[
            ("workload-identity-token", EXAMPLE),
            ("authorization", &scheme),
        ],
        good(),
        &["WIMSE-WPT-2-3", "WIMSE-WPT-2-4"],
    );
    let legacy = [
        ("Authorization", BEARER),
        ("Workload-Identity-Token", EXAMPLE),
        ("Workload-Proof-Token", EXAMPLE_PROOF),
    ];
    r.fields(
        "published request of the earlier form",
        &legacy,
        good(),
        &["WIMSE-WPT-L2-1", "WIMSE-WPT-L2-3"],
    )
    .options = Some(json!({"legacy_field": true}));
    let other = [
        ("Authorization", BEARER),
        custom,
        ("Workload-Identity-Token", EXAMPLE_AGAIN),
        ("Workload-Proof-Token", EXAMPLE_OTHER_PROOF),
    ];
    let options = json!({"legacy_field": true, "context_fields": ["x-custom-token"]});
    r.fields(
        "published request of the earlier form with a context token",
        &other,
        good(),
        &["WIMSE-WPT-2-13"],
    )
    .options = Some(options);
    let other_bearer = [("Authorization", "Bearer other"), legacy[1], legacy[2]];
    r.fields(
        "earlier form with another access token",
        &other_bearer,
        invalid("claim"),
        &["WIMSE-WPT-L2-4"],
    )
    .options = Some(json!({"legacy_field": true}));
    r.fields(
        "earlier form where it is not read",
        &legacy,
        invalid("not_wpt_scheme"),
        &["WIMSE-WPT-L2-1", "WIMSE-WPT-L2-5"],
    );

    let authorization = format!("WPT {wpt}");
    let (wit, wpt_field) = (
        ("Workload-Identity-Token", EXAMPLE),
        ("Authorization", authorization.as_str()),
    );
    r.fields(
        "no proof",
        &[wit],
        invalid("not_wpt_scheme"),
        &["WIMSE-WPT-2-19", "WIMSE-WPT-3.1-1"],
    );
    r.fields(
        "bearer token",
        &[wit, ("Authorization", BEARER)],
        invalid("not_wpt_scheme"),
        &["WIMSE-WPT-2-19", "WIMSE-WPT-A14"],
    );
    r.fields(
        "proof twice",
        &[wit, wpt_field, wpt_field],
        invalid("field_count"),
        &["WIMSE-WPT-2-19"],
    );
    r.fields(
        "WIT twice",
        &[wit, wit, wpt_field],
        invalid("field_count"),
        &["WIMSE-WIT-5.1.1-4", "WIMSE-WIT-A17"],
    );
    r.fields(
        "no WIT",
        &[wpt_field],
        invalid("field_count"),
        &["WIMSE-WPT-2-18"],
    );
    let again = ("Workload-Identity-Token", EXAMPLE_AGAIN);
    r.fields(
        "the WIT with another signature",
        &[again, wpt_field],
        invalid("wit_hash"),
        &["WIMSE-WPT-2-27", "WIMSE-WPT-A5"],
    );
    let parameter = format!("WPT token={wpt}");
    r.fields(
        "parameter",
        &[wit, ("Authorization", &parameter)],
        invalid("token_characters"),
        &["WIMSE-WPT-2-3"],
    );
    let (head, payload, _) = split(EXAMPLE)?;
    let forged = format!("{head}.{payload}.{}", encode([1; 64]));
    let for_forged = r.sign(
        &header(),
        &changed(&claims(), &json!({"wth": encode(sha256(&forged))})),
    )?;
    let for_forged = format!("WPT {for_forged}");
    r.fields(
        "forged WIT with a fitting hash",
        &[
            ("Workload-Identity-Token", &forged),
            ("Authorization", &for_forged),
        ],
        invalid("invalid_signature"),
        &["WIMSE-WPT-2-18", "WIMSE-WPT-A6"],
    );

    let foreign =
        |oracle: &mut Oracle, algorithm: &str, key: &str, changes: Value| -> Result<String> {
            let header = changed(&header(), &changes).to_string();
            Ok(format!(
                "WPT {}",
                oracle.sign(algorithm, key, &header, claims().to_string())?
            ))
        };
    let stolen = foreign(r.oracle, "EdDSA", "ed25519", none())?;
    r.fields(
        "another key",
        &[wit, ("Authorization", &stolen)],
        invalid("invalid_signature"),
        &["WIMSE-WPT-2-22", "WIMSE-WPT-A4"],
    );
    let es256 = foreign(r.oracle, "ES256", "es256", json!({"alg": "ES256"}))?;
    r.fields(
        "another algorithm",
        &[wit, ("Authorization", &es256)],
        invalid("proof_algorithm"),
        &["WIMSE-WPT-2-5", "WIMSE-WPT-2-21", "WIMSE-WPT-A7"],
    );
    let ed25519 = foreign(
        r.oracle,
        "Ed25519",
        "wimse-workload",
        json!({"alg": "Ed25519"}),
    )?;
    r.fields(
        "another name of the algorithm",
        &[wit, ("Authorization", &ed25519)],
        invalid("proof_algorithm"),
        &["WIMSE-WPT-2-5"],
    );
    for typ in ["JWT", "dpop+jwt", "wit+jwt"] {
        let proof = foreign(r.oracle, "EdDSA", "wimse-workload", json!({"typ": typ}))?;
        r.fields(
            &format!("typ {typ}"),
            &[wit, ("Authorization", &proof)],
            invalid("wrong_type"),
            &["WIMSE-WPT-2-6", "WIMSE-WPT-A8"],
        );
    }
    for (name, aud, code) in [
        ("no aud", Value::Null, "missing_claim"),
        (
            "two audiences",
            json!([TARGET, "https://x.example/"]),
            "claim",
        ),
        (
            "another path",
            json!("https://workload.example.com/other"),
            "audience_mismatch",
        ),
        (
            "path with a slash",
            json!("https://workload.example.com/path/"),
            "audience_mismatch",
        ),
        (
            "path with dots",
            json!("https://workload.example.com/a/../path"),
            "audience_mismatch",
        ),
        (
            "another host",
            json!("https://other.example/path"),
            "audience_mismatch",
        ),
        (
            "another scheme",
            json!("http://workload.example.com/path"),
            "audience_mismatch",
        ),
    ] {
        r.proof(
            name,
            json!({"aud": aud}),
            &[],
            invalid(code),
            &["WIMSE-WPT-2-8", "WIMSE-WPT-2-24", "WIMSE-WPT-A2"],
        )?;
    }
    r.proof(
        "the host of another service in Host",
        json!({"aud": "https://other.example/path"}),
        &[("Host", "other.example")],
        invalid("audience_mismatch"),
        &["WIMSE-WPT-3.1.7-2", "WIMSE-WPT-A3"],
    )?;
    r.proof(
        "no exp",
        json!({"exp": null}),
        &[],
        invalid("missing_claim"),
        &["WIMSE-WPT-2-9", "WIMSE-WPT-2-25"],
    )?;
    r.proof(
        "expired by the leeway",
        json!({"exp": NOW - 30}),
        &[],
        invalid("expired"),
        &["WIMSE-WPT-2-25"],
    )?;
    r.proof(
        "an hour",
        json!({"exp": NOW + 3600}),
        &[],
        invalid("lifetime_too_long"),
        &["WIMSE-WPT-2-26", "WIMSE-WPT-A15"],
    )?;
    r.proof(
        "no jti",
        json!({"jti": null}),
        &[],
        invalid("missing_claim"),
        &["WIMSE-WPT-2-10"],
    )?;
    r.proof(
        "no wth",
        json!({"wth": null}),
        &[],
        invalid("wit_hash"),
        &["WIMSE-WPT-2-27"],
    )?;
    r.proof(
        "wth with padding",
        json!({"wth": format!("{}=", encode(sha256(EXAMPLE)))}),
        &[],
        invalid("claim"),
        &["WIMSE-WPT-2-11", "WIMSE-WPT-4.1-1"],
    )?;
    r.proof(
        "transaction token without tth",
        none(),
        &[txn],
        invalid("transaction_token_hash"),
        &["WIMSE-WPT-2-12", "WIMSE-WPT-A9"],
    )?;
    r.proof(
        "tth without a transaction token",
        json!({"tth": tth}),
        &[],
        invalid("transaction_token_hash"),
        &["WIMSE-WPT-2-29", "WIMSE-WPT-A10"],
    )?;
    r.proof(
        "tth of another token",
        json!({"tth": tth}),
        &[("Txn-Token", "a.b.c")],
        invalid("transaction_token_hash"),
        &["WIMSE-WPT-2-29"],
    )?;
    let upper = json!({"oth": {"X-Custom-Token": "x-Uy6Ch_xn3AbUVKDjPMQQugtcn2erLWrkvVWAmKl1k"}});
    let code = "other_token_hash";
    for (name, claims, fields, covers) in [
        (
            "context token without oth",
            none(),
            vec![custom],
            "WIMSE-WPT-2-13",
        ),
        (
            "context token was changed",
            oth.clone(),
            vec![("X-Custom-Token", "other")],
            "WIMSE-WPT-2-30",
        ),
        (
            "oth without the context token",
            oth.clone(),
            vec![],
            "WIMSE-WPT-2-30",
        ),
        (
            "oth name in upper case",
            upper,
            vec![custom],
            "WIMSE-WPT-A11",
        ),
        (
            "oth as text",
            json!({"oth": "x"}),
            vec![custom],
            "WIMSE-WPT-2-13",
        ),
    ] {
        r.proof(name, claims, &fields, invalid(code), &[covers])?
            .options = Some(context.clone());
    }
    r.proof(
        "oth with an unknown member",
        oth.clone(),
        &[custom],
        invalid(code),
        &["WIMSE-WPT-2-31", "WIMSE-WPT-A13"],
    )?;
    let case = r.proof(
        "repeated context token",
        oth,
        &[custom, custom],
        invalid("field_count"),
        &["WIMSE-WPT-2-16", "WIMSE-WPT-A12"],
    )?;
    case.options = Some(context);
    Ok(r.cases)
}
