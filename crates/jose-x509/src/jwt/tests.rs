use std::time::Duration;

use pki_types::UnixTime;
use proptest::prelude::*;
use serde::de::MapAccess;
use serde_json::{Value, json};

use super::PROVIDER;
use crate::algorithm::{Algorithm, Algorithms};
use crate::error::Error;
use crate::jws::{self, ProtectedHeader};
use crate::jwt::*;
use crate::key::KeySet;
use crate::sign::SigningKey;

#[path = "tests/reading.rs"]
mod reading;

const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn validator() -> Validator {
    Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::Exactly("https://as.example".into()),
        Audience::AnyOf(vec!["https://api.example".into()]),
    )
    .with_leeway(Duration::ZERO)
    .unwrap()
}

fn claims() -> Value {
    json!({"iss": "https://as.example", "sub": "u", "aud": "https://api.example", "exp": NOW + 60, "iat": NOW - 5})
}

fn key() -> SigningKey {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid("k")
}

fn run_raw(validator: &Validator, typ: &'static str, payload: &str) -> Result<Jwt, Error> {
    let key = key();
    let compact = jws::sign(&key, &ProtectedHeader::new(typ), payload.as_bytes()).unwrap();
    validator.validate(&compact, &key.verifying_key().unwrap(), at(NOW))
}

fn run(validator: &Validator, change: Value) -> Result<Jwt, Error> {
    let mut claims = claims();
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    run_raw(validator, "at+jwt", &claims.to_string())
}

fn without(claim: &str) -> Result<Jwt, Error> {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(claim);
    run_raw(&validator(), "at+jwt", &claims.to_string())
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

/// Covers: JWT-7519.7.2-1, JWT-7519.4.1.2-1, JWT-7519.4-2, JWT-7519.4.3-1
#[test]
fn a_good_token_gives_its_claims() {
    let jwt = run(
        &validator(),
        json!({"private": {"a": [1]}, "jti": "x\u{e9}"}),
    )
    .unwrap();
    assert_eq!(jwt.issuer(), Some("https://as.example"));
    assert_eq!(jwt.subject(), Some("u"));
    assert_eq!(jwt.audience().collect::<Vec<_>>(), ["https://api.example"]);
    assert_eq!(
        (jwt.expires(), jwt.issued_at(), jwt.not_before()),
        (Some(NOW + 60), Some(NOW - 5), None)
    );
    assert_eq!(jwt.id(), Some("x\u{e9}"));
    assert_eq!(jwt.claims_map().unwrap()["private"], json!({"a": [1]}));
    #[derive(serde::Deserialize)]
    struct Mine<'a> {
        sub: &'a str,
    }
    assert_eq!(jwt.claims::<Mine<'_>>().unwrap().sub, "u");
}

/// Each claim is handed over once, in both ways to read JSON, and nothing of an attempt that was given up stays.
#[test]
fn further_claims_are_read_in_the_same_pass() {
    #[derive(Debug, Default, PartialEq)]
    struct Mine {
        names: Vec<String>,
        list: Vec<String>,
    }
    impl ReadClaims for Mine {
        fn read<'de, A: MapAccess<'de>>(
            &mut self,
            name: &str,
            map: &mut A,
        ) -> Result<bool, A::Error> {
            self.names.push(name.to_owned());
            if name == "list" {
                self.list = map.next_value()?;
            }
            Ok(name == "list")
        }
    }
    let key = key();
    let keys = key.verifying_key().unwrap();
    let run = |payload: &str| {
        let compact = jws::sign(&key, &ProtectedHeader::new("at+jwt"), payload.as_bytes());
        validator().validate_with::<Mine>(&compact.unwrap(), &keys, at(NOW))
    };
    let good = claims().to_string();
    for (last, names) in [
        ("1.5", ["a", "list", "b"]),
        (r#""x\ty""#, ["a", "list", "b"]),
        (r#"{"c":[{}]}"#, ["a", "list", "b"]),
    ] {
        let more = format!(r#"{{"a":[1],"list":["x","y"],"b":{last},"#);
        let (jwt, mine) = run(&good.replacen('{', &more, 1)).unwrap();
        assert_eq!(jwt.subject(), Some("u"));
        assert_eq!(
            (mine.names, mine.list),
            (
                names.map(str::to_owned).to_vec(),
                vec!["x".to_owned(), "y".to_owned()]
            )
        );
    }
    for (more, expected) in [
        (r#"{"list":[],"list":[],"#, "duplicate_member"),
        (r#"{"a":{"b":1,"b":1},"#, "duplicate_member"),
        (r#"{"list":["x"],}"#, "invalid_json"),
    ] {
        assert_eq!(code(run(&good.replacen('{', more, 1))), expected, "{more}");
    }
    assert_eq!(code(run(&good.replace("\"u\"", "7"))), "claim_type");
}

/// Covers: JWT-7519.4.1-1, JWT-7519.4.1.3-2, JWT-7519.4.1.4-2, JWT-7519.4.1.6-1, JWT-7519.4.1.7-1, JWT-7519.2-1, JWT-A6, JWT-A7, JWT-A8, JWT-A9, JWT-A21
#[test]
fn registered_claims_of_the_wrong_type_refuse_the_token() {
    for (claim, values) in [
        (
            "iss",
            vec![
                json!(["https://as.example"]),
                json!({}),
                json!(null),
                json!(1),
                json!(""),
            ],
        ),
        ("sub", vec![json!([]), json!(null), json!("")]),
        (
            "aud",
            vec![
                json!([]),
                json!([""]),
                json!(""),
                json!({}),
                json!([["https://api.example"]]),
                json!(1),
                json!(null),
            ],
        ),
        (
            "exp",
            vec![
                json!("1800000060"),
                json!(null),
                json!(true),
                json!({}),
                json!(-1),
                json!(1e19),
                json!(253_402_300_800_u64),
            ],
        ),
        ("nbf", vec![json!("0"), json!(null), json!(-1.5)]),
        ("iat", vec![json!("0"), json!(null), json!([])]),
        ("jti", vec![json!(""), json!("j".repeat(257)), json!(7)]),
    ] {
        for value in values {
            let text = value.to_string();
            assert_eq!(
                run(&validator(), json!({claim: value})).unwrap_err(),
                Error::ClaimType { claim },
                "{claim}: {text}"
            );
        }
    }
    assert_eq!(
        code(run_raw(&validator(), "at+jwt", r#"{"exp":1e400}"#)),
        "invalid_json"
    );
    assert_eq!(
        code(run_raw(
            &validator(),
            "at+jwt",
            &format!(r#"{{"exp":{}}}"#, "1".repeat(100))
        )),
        "number_too_long"
    );
}

/// Covers: JWT-7519.4-1, JWT-A14, JWT-A15, JWT-A16, JWT-A17
#[test]
fn the_payload_is_one_strict_object() {
    for (payload, expected) in [
        ("", "invalid_json"),
        ("[]", "json_shape"),
        ("\"x\"", "json_shape"),
        ("{}{}", "invalid_json"),
        (r#"{"sub":"a","sub":"b"}"#, "duplicate_member"),
        (r#"{"x":{"a":1,"\u0061":2}}"#, "duplicate_member"),
        (r#"{"sub":"\ud800"}"#, "invalid_json"),
    ] {
        assert_eq!(
            code(run_raw(&validator(), "at+jwt", payload)),
            expected,
            "{payload}"
        );
    }
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(20), "]".repeat(20));
    assert_eq!(code(run_raw(&validator(), "at+jwt", &deep)), "too_deep");
}

/// Covers: JWT-7519.4.1.4-1, JWT-7519.4.1.5-1, JWT-7519.4.1.6-1, JWT-policy-2, JWT-A11, JWT-A12, JWT-A13
#[test]
fn times_are_exact_and_leeway_is_applied_once() {
    let exact = validator();
    for (change, expected) in [
        (json!({"exp": NOW + 1}), "valid"),
        (json!({"exp": NOW}), "expired"),
        (json!({"exp": NOW - 1}), "expired"),
        (json!({"exp": NOW as f64 + 0.9}), "expired"),
        (json!({"exp": NOW as f64 + 1.5}), "valid"),
        (json!({"nbf": NOW}), "valid"),
        (json!({"nbf": NOW + 1}), "not_yet_valid"),
        (json!({"nbf": NOW as f64 + 0.5}), "not_yet_valid"),
        (json!({"iat": NOW}), "valid"),
        (json!({"iat": NOW + 1}), "issued_in_future"),
        (json!({"iat": NOW, "exp": NOW + 1, "nbf": NOW}), "valid"),
    ] {
        let text = change.to_string();
        assert_eq!(code(run(&exact, change)), expected, "{text}");
    }
    let lenient = validator().with_leeway(Duration::from_secs(30)).unwrap();
    for (change, expected) in [
        (json!({"iat": NOW - 100, "exp": NOW - 29}), "valid"),
        (json!({"iat": NOW - 100, "exp": NOW - 30}), "expired"),
        (json!({"nbf": NOW + 30}), "valid"),
        (json!({"nbf": NOW + 31}), "not_yet_valid"),
        (json!({"iat": NOW + 30}), "valid"),
        (json!({"iat": NOW + 31}), "issued_in_future"),
        (json!({"iat": NOW, "exp": NOW}), "contradictory_times"),
        (
            json!({"nbf": NOW + 10, "exp": NOW + 10}),
            "contradictory_times",
        ),
    ] {
        let text = change.to_string();
        assert_eq!(code(run(&lenient, change)), expected, "{text}");
    }
    assert_eq!(
        without("exp").unwrap_err(),
        Error::MissingClaim { claim: "exp" }
    );
    assert_eq!(
        code(validator().with_leeway(Duration::from_secs(301))),
        "invalid_option"
    );
    let short = validator()
        .with_max_lifetime(Duration::from_secs(60))
        .with_max_age(Duration::from_secs(10));
    assert_eq!(
        code(run(&short, json!({"iat": NOW, "exp": NOW + 60}))),
        "valid"
    );
    assert_eq!(
        code(run(&short, json!({"iat": NOW, "exp": NOW + 61}))),
        "lifetime_too_long"
    );
    assert_eq!(
        code(run(&short, json!({"iat": NOW - 11, "exp": NOW + 1}))),
        "too_old"
    );
    let mut no_iat = claims();
    no_iat.as_object_mut().unwrap().remove("iat");
    let error = run_raw(&short, "at+jwt", &no_iat.to_string()).unwrap_err();
    assert_eq!(error, Error::MissingClaim { claim: "iat" });
}

#[test]
fn iat_can_be_informational() {
    let lenient = validator().with_informational_iat();
    assert_eq!(code(run(&lenient, json!({"iat": NOW + 1000}))), "valid");
    assert_eq!(code(run(&lenient, json!({"iat": "now"}))), "claim_type");
    let aged = lenient.with_max_age(Duration::from_secs(10));
    assert_eq!(
        code(run(&aged, json!({"iat": NOW + 1000, "exp": NOW + 2000}))),
        "issued_in_future"
    );
}

/// Covers: JWT-7519.4-2
#[test]
fn claims_that_a_kind_of_token_does_not_define_are_ignored() {
    let open = validator().with_undefined_claims(&["sub", "iat", "cnf"]);
    for claims in [
        json!({"iat": NOW + 1000}),
        json!({"iat": "now"}),
        json!({"sub": "a b:c"}),
        json!({"sub": [1]}),
        json!({"cnf": {"jkt": "x"}}),
        json!({"cnf": 1}),
    ] {
        assert_ne!(code(run(&validator(), claims.clone())), "valid", "{claims}");
        let jwt = run(&open, claims.clone()).unwrap();
        assert!(
            jwt.subject().is_none() && jwt.issued_at().is_none() && jwt.confirmation().is_none(),
            "{claims}"
        );
    }
    // What is demanded of such a claim is not met by it.
    let contradictory = open
        .clone()
        .with_required_claim("sub")
        .with_max_age(Duration::from_secs(10));
    assert_eq!(
        code(run(&contradictory, json!({"iat": NOW}))),
        "missing_claim"
    );
    // Demanded twice is demanded.
    let twice = validator()
        .with_required_claim("sub")
        .with_required_claim("sub");
    assert!(run(&twice, json!({"sub": "a"})).is_ok());
    // The others are judged as ever.
    assert_eq!(code(run(&open, json!({"exp": "soon"}))), "claim_type");
    assert_eq!(
        code(run(&open, json!({"nbf": NOW + 1000}))),
        "not_yet_valid"
    );
}

#[test]
fn debug_output_has_no_part_of_a_token() {
    let (key, validator) = (key(), validator());
    let keys = key.verifying_key().unwrap();
    let token = sign(&key, &ProtectedHeader::new("at+jwt"), &claims()).unwrap();
    let parse = || jws::UnverifiedJws::parse(&token).unwrap();
    let verified = parse().verify(&keys, Algorithms::ALL).unwrap();
    let jwt = validator.validate(&token, &keys, at(NOW)).unwrap();
    for shown in [
        format!("{:?}", parse()),
        format!("{:?}", validator.read(parse()).unwrap()),
        format!("{verified:?}"),
        format!("{jwt:?}"),
    ] {
        for part in token.split('.') {
            assert!(!shown.contains(part), "{shown}");
            let octets = format!("{:?}", crate::base64url::decode(part, "part").unwrap());
            let octets = octets.trim_matches(['[', ']']);
            assert!(!shown.contains(octets), "{shown}");
        }
        assert!(!shown.contains("https://api.example"), "{shown}");
    }
}

/// Covers: JWT-7519.4.1.1-2, JWT-7519.4.1.3-1, JWT-8725bis.3.9-2, JWT-7519.7.3-1, JWT-A4, JWT-A5
#[test]
fn issuer_and_audience_are_required_and_exact() {
    assert_eq!(
        without("iss").unwrap_err(),
        Error::MissingClaim { claim: "iss" }
    );
    assert_eq!(
        without("aud").unwrap_err(),
        Error::MissingClaim { claim: "aud" }
    );
    for iss in [
        "https://as.example/",
        "https://AS.example",
        "https://as.example.evil",
    ] {
        assert_eq!(
            run(&validator(), json!({"iss": iss})).unwrap_err(),
            Error::IssuerMismatch
        );
    }
    for aud in [
        "https://api.example/",
        "https://api.example.evil",
        "https://api.exampl",
        "HTTPS://api.example",
    ] {
        assert_eq!(
            run(&validator(), json!({"aud": aud})).unwrap_err(),
            Error::AudienceMismatch
        );
    }
    let two = json!({"aud": ["https://api.example", "https://evil.example"]});
    assert!(run(&validator(), two.clone()).is_ok());
    let only = Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::Exactly("https://as.example".into()),
        Audience::Only(vec!["https://api.example".into()]),
    );
    assert_eq!(run(&only, two).unwrap_err(), Error::MultipleAudiences);
    assert!(run(&only, json!({"aud": ["https://api.example"]})).is_ok());
}

/// Covers: JWT-7519.5.1-1, JWT-8725bis.3.11-4, JWT-8725bis.3.12-1, JWT-A1, JWT-A2
#[test]
fn each_kind_of_token_has_its_own_type() {
    let kinds: [&'static [&'static str]; 5] = [
        &["at+jwt"],
        &["secevent+jwt"],
        &["txntoken+jwt"],
        &["dpop+jwt"],
        &["JWT"],
    ];
    for accepted in kinds {
        let validator = Validator::new(
            Type::OneOf(accepted),
            Issuer::Exactly("https://as.example".into()),
            Audience::AnyOf(vec!["https://api.example".into()]),
        );
        for sent in kinds {
            let result = run_raw(&validator, sent[0], &claims().to_string());
            assert_eq!(
                code(result),
                if sent == accepted {
                    "valid"
                } else {
                    "wrong_type"
                },
                "{sent:?} as {accepted:?}"
            );
        }
    }
    let legacy = Validator::new(
        Type::AbsentOrOneOf(&["JWT", "JOSE"]),
        Issuer::NotApplicable { reason: "test" },
        Audience::NotApplicable { reason: "test" },
    );
    let key = key();
    let verify = |header: ProtectedHeader| {
        let compact = sign(&key, &header, &claims()).unwrap();
        code(legacy.validate(&compact, &key.verifying_key().unwrap(), at(NOW)))
    };
    assert_eq!(verify(ProtectedHeader::without_typ()), "valid");
    assert_eq!(verify(ProtectedHeader::new("JOSE")), "valid");
    assert_eq!(verify(ProtectedHeader::new("at+jwt")), "wrong_type");
}

/// Covers: JWT-7800.3.1-1, JWT-7800.3.1-2, JWT-7800.3.1-3, JWT-7800.3.2-1, JWT-7800.3.3-1, JWT-7800.6.2.2-1, JWT-A22, JWT-A23
#[test]
fn a_bound_token_is_never_a_bearer_token() {
    let jwk = key().public_jwk().to_value();
    let hash = "A".repeat(43);
    assert_eq!(
        run(&validator(), json!({"cnf": {"jwk": jwk}})).unwrap_err(),
        Error::UnexpectedConfirmation
    );
    let bound = validator().with_confirmation(ConfirmationRule::Required);
    assert_eq!(
        run(&bound, json!({})).unwrap_err(),
        Error::MissingClaim { claim: "cnf" }
    );
    let jwt = run(
        &bound,
        json!({"cnf": {"jwk": jwk, "x5t#S256": hash, "other": 1}}),
    )
    .unwrap();
    let confirmation = jwt.confirmation().unwrap();
    assert_eq!(confirmation.jwk.as_ref().unwrap().to_value(), jwk);
    assert_eq!(confirmation.x5t_s256, Some([0; 32]));
    let mut private = jwk.clone();
    private["d"] = json!("AA");
    for (cnf, expected) in [
        (json!("x"), "claim_type"),
        (json!({"jkt": "AAAA"}), "claim_type"),
        (json!({"jkt": format!("{}B", "A".repeat(42))}), "claim_type"),
        (json!({"jkt": 1}), "claim_type"),
        (
            json!({"jwk": jwk, "jku": "https://evil.example"}),
            "claim_type",
        ),
        (json!({"jwk": private}), "private_key_material"),
        (
            json!({"jwk": {"kty": "oct", "k": "AAAA"}}),
            "private_key_material",
        ),
        (json!({"jwk": [jwk]}), "invalid_key"),
        (json!({"jwe": "x"}), "unusable_confirmation"),
        (json!({"other": "x"}), "unusable_confirmation"),
        (json!({}), "unusable_confirmation"),
    ] {
        let text = cnf.to_string();
        assert_eq!(code(run(&bound, json!({"cnf": cnf}))), expected, "{text}");
    }
}

#[test]
fn required_claims_are_required() {
    let strict = validator()
        .with_required_claim("jti")
        .with_required_claim("scope");
    assert_eq!(
        run(&strict, json!({"scope": "a"})).unwrap_err(),
        Error::MissingClaim { claim: "jti" }
    );
    assert_eq!(
        run(&strict, json!({"jti": "a"})).unwrap_err(),
        Error::MissingClaim { claim: "scope" }
    );
    assert!(run(&strict, json!({"jti": "a", "scope": "a"})).is_ok());
    assert_eq!(
        code(run(&validator().with_expiry(Expiry::Forbidden), json!({}))),
        "forbidden_claim"
    );
    let key = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    let compact = sign(&key, &ProtectedHeader::new("at+jwt"), &claims()).unwrap();
    let result =
        validator()
            .with_kid_required()
            .validate(&compact, &key.verifying_key().unwrap(), at(NOW));
    assert_eq!(result.unwrap_err(), Error::MissingHeader { name: "kid" });
}

/// Covers: JWT-policy-5, JWT-A26
#[test]
fn errors_show_nothing_of_the_token() {
    for change in [
        json!({"iss": "SECRET"}),
        json!({"aud": "SECRET"}),
        json!({"sub": ["SECRET"]}),
        json!({"exp": "SECRET"}),
    ] {
        let error = run(&validator(), change).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("SECRET"));
    }
}

/// Covers: JWS-A29
#[test]
fn a_peek_is_unverified_by_name() {
    let compact = sign(&key(), &ProtectedHeader::new("at+jwt"), &claims()).unwrap();
    let peeked = peek_claims(&jws::UnverifiedJws::parse(&compact).unwrap()).unwrap();
    assert_eq!(
        peeked.unverified_issuer.as_deref(),
        Some("https://as.example")
    );
    assert_eq!(peeked.unverified_subject.as_deref(), Some("u"));
}

/// Covers: JWT-7519.2-2, JWT-7519.4.1.1-1, JWT-A25
#[test]
fn names_are_strings_or_uris_and_are_compared_as_they_stand() {
    let strict = Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::NotApplicable { reason: "test" },
        Audience::NotApplicable { reason: "test" },
    );
    let any = strict.clone().with_any_names();
    for claim in ["iss", "sub", "aud"] {
        for name in [
            "not a:uri with space",
            ":",
            "1:b",
            "https://as.example/\u{e9}",
            "urn:x\r\nX-Injected: 1",
            "x\r\nX-Injected",
            "x\u{0}",
        ] {
            let error = run(&strict, json!({claim: name})).unwrap_err();
            assert_eq!(error, Error::NotStringOrUri { claim }, "{name:?}");
            assert_eq!(code(run(&any, json!({claim: name}))), "valid", "{name:?}");
        }
    }
    let list = json!({"aud": ["https://api.example", "a b:c"]});
    assert_eq!(code(run(&validator(), list)), "not_string_or_uri");
    for sub in [
        "spiffe://td.example/w",
        "user 1",
        "J\u{f6}rg",
        "urn:uuid:1",
        "u@b.example",
    ] {
        assert_eq!(
            code(run(&validator(), json!({"sub": sub}))),
            "valid",
            "{sub}"
        );
    }
    // `iss` is optional where the kind of token says so, and these two are not the same.
    let no_issuer = Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::NotApplicable { reason: "test" },
        Audience::AnyOf(vec!["https://api.example".into()]),
    );
    let mut without = claims();
    without.as_object_mut().unwrap().remove("iss");
    let jwt = run_raw(&no_issuer, "at+jwt", &without.to_string()).unwrap();
    assert_eq!(jwt.issuer(), None);
    let slash = run(&no_issuer, json!({"iss": "https://a.example/"})).unwrap();
    let none = run(&no_issuer, json!({"iss": "https://a.example"})).unwrap();
    assert_ne!(slash.issuer(), none.issuer());
}

/// Covers: JWS-5.2-4
#[test]
fn a_peer_is_told_the_same_whatever_was_wrong() {
    let (own, stranger) = (key(), key().with_kid("stranger"));
    let keys = KeySet::new(vec![own.verifying_key().unwrap()]).unwrap();
    let refused = |token: &str| validator().validate(token, &keys, at(NOW)).unwrap_err();
    let token = |key: &SigningKey, claims: &Value| {
        sign(key, &ProtectedHeader::new("at+jwt"), claims).unwrap()
    };
    let mut other_audience = claims();
    other_audience["aud"] = json!("https://other.example");
    let forged = token(&key(), &claims());
    let errors = [
        refused(&forged),
        refused(&token(&stranger, &claims())),
        refused(&token(&own, &other_audience)),
    ];
    assert_eq!(
        errors,
        [
            Error::InvalidSignature,
            Error::UnknownKey,
            Error::AudienceMismatch
        ]
    );
    for error in errors {
        assert_eq!(error.public_message(), "the token is not accepted");
    }
    assert_eq!(
        Error::NoKeys.public_message(),
        "the token cannot be checked now"
    );
}

/// Two issuers, each with its keys and its algorithms.
///
/// Covers: JWT-8725bis.3.8-1, JWT-8725bis.3.1-3, JWT-7519.11.1-1
#[test]
fn an_issuer_is_vouched_for_by_its_own_keys_and_algorithms() {
    let issuer = |name: &str, algorithm| {
        let key = SigningKey::generate(&PROVIDER, algorithm).unwrap();
        let validator = Validator::new(
            Type::OneOf(&["at+jwt"]),
            Issuer::Exactly(name.to_owned()),
            Audience::AnyOf(vec!["https://api.example".into()]),
        )
        .with_algorithms(Algorithms::of(&[algorithm]));
        (name.to_owned(), key.with_kid("1"), validator)
    };
    let issuers = [
        issuer("https://a.example", Algorithm::Es256),
        issuer("https://b.example", Algorithm::Es384),
    ];
    let verdict = |claimed: &str, signer: &SigningKey| {
        let mut claims = claims();
        claims["iss"] = json!(claimed);
        let token = sign(signer, &ProtectedHeader::new("at+jwt"), &claims).unwrap();
        let parsed = jws::UnverifiedJws::parse(&token).unwrap();
        let name = peek_claims(&parsed).unwrap().unverified_issuer.unwrap();
        let known = issuers.iter().find(|(known, ..)| *known == name);
        let (_, key, validator) = known.unwrap();
        let keys = KeySet::new(vec![key.verifying_key().unwrap()]).unwrap();
        code(validator.validate_jws(parsed, &keys, at(NOW)))
    };
    let [(a, key_a, validator_a), (b, key_b, _)] = &issuers;
    assert_eq!(verdict(a, key_a), "valid");
    assert_eq!(verdict(b, key_b), "valid");
    // What the one issuer may use, the other may not.
    assert_eq!(verdict(a, key_b), "algorithm_not_allowed");
    assert_eq!(verdict(b, key_a), "algorithm_not_allowed");
    let second = SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap();
    assert_eq!(
        verdict(a, &second.clone().with_kid("1")),
        "invalid_signature"
    );
    assert_eq!(verdict(a, &second.with_kid("2")), "unknown_key");
    // A good signature by a known key vouches for its own issuer alone.
    let mut claims = claims();
    claims["iss"] = json!(b);
    let token = sign(key_a, &ProtectedHeader::new("at+jwt"), &claims).unwrap();
    let refused = validator_a.validate(&token, &key_a.verifying_key().unwrap(), at(NOW));
    assert_eq!(refused.unwrap_err(), Error::IssuerMismatch);
}

/// Covers: JWT-8725bis.3.3-2, JWT-A19, JWT-7519.5.2-1
#[test]
fn a_signed_token_holds_claims_and_no_other_token() {
    let result = |token: &str| {
        let keys = key().verifying_key().unwrap();
        code(validator().validate(token, &keys, at(NOW)))
    };
    let header = crate::base64url::encode(br#"{"alg":"dir","enc":"A128GCM"}"#);
    assert_eq!(
        result(&format!("{header}..AAAA.AAAA.AAAA")),
        "encrypted_not_signed"
    );
    // A token in a token, one level and more.
    let mut token = sign(&key(), &ProtectedHeader::new("at+jwt"), &claims()).unwrap();
    for _ in 0..3 {
        let outer = run_raw(&validator(), "at+jwt", &token);
        assert_eq!(code(outer), "invalid_json");
        let quoted = run_raw(&validator(), "at+jwt", &json!(token).to_string());
        assert_eq!(code(quoted), "json_shape");
        token = jws::sign(&key(), &ProtectedHeader::new("at+jwt"), token.as_bytes()).unwrap();
    }
    // One that holds claims does not say `cty`.
    let jwt = run(&validator(), json!({})).unwrap();
    assert_eq!(jwt.header().cty(), None);
}

/// Covers: JWT-7800.3-1, JWT-7800.3.4-1, JWT-7800.3.5-1
#[test]
fn a_bound_token_names_its_presenter_and_a_key_that_is_known() {
    let bound = validator()
        .with_confirmation(ConfirmationRule::Required)
        .with_required_claim("sub");
    let mut nobody = claims();
    nobody["cnf"] = json!({"kid": "k"});
    nobody.as_object_mut().unwrap().remove("sub");
    let refused = run_raw(&bound, "at+jwt", &nobody.to_string());
    assert_eq!(refused.unwrap_err(), Error::MissingClaim { claim: "sub" });
    let known = key();
    let keys = KeySet::new(vec![known.verifying_key().unwrap()]).unwrap();
    let jwt = run(&bound, json!({"cnf": {"kid": "k"}})).unwrap();
    let found = jwt.confirmation().unwrap().known_key(&keys).unwrap();
    assert!(found.jwk().key() == known.public_key());
    let jwt = run(&bound, json!({"cnf": {"kid": "K"}})).unwrap();
    let unknown = jwt.confirmation().unwrap().known_key(&keys);
    assert_eq!(unknown.unwrap_err(), Error::UnknownKey);
    let jwt = run(&bound, json!({"cnf": {"jkt": "A".repeat(43)}})).unwrap();
    let none = jwt.confirmation().unwrap().known_key(&keys);
    assert_eq!(none.unwrap_err(), Error::UnusableConfirmation);
    // A URL of keys is not one of the methods.
    let url = run(
        &bound,
        json!({"cnf": {"jku": "https://evil.example/jwks", "kid2": "k"}}),
    );
    assert_eq!(url.unwrap_err(), Error::UnusableConfirmation);
}

proptest! {
    /// Covers: JWT-policy-1, JWT-A10
    #[test]
    fn no_time_overflows(exp in any::<u64>(), nbf in any::<u64>(), iat in any::<u64>(), now in any::<u64>(), leeway in 0_u64..=300) {
        let key = key();
        let validator = validator().with_leeway(Duration::from_secs(leeway)).unwrap()
            .with_max_lifetime(Duration::from_secs(now)).with_max_age(Duration::from_secs(exp));
        let mut claims = claims();
        claims["exp"] = exp.into();
        claims["nbf"] = nbf.into();
        claims["iat"] = iat.into();
        let compact = sign(&key, &ProtectedHeader::new("at+jwt"), &claims).unwrap();
        if let Ok(jwt) = validator.validate(&compact, &key.verifying_key().unwrap(), at(now)) {
            prop_assert!(jwt.expires().unwrap() + leeway > now && nbf <= now + leeway && iat <= now + leeway);
        }
    }
}

/// A payload is the JSON of an object and of nothing else.
#[test]
fn payloads_are_objects() {
    let claims = json!({"sub": "a"});
    assert_eq!(to_payload(&claims), Ok(br#"{"sub":"a"}"#.to_vec()));
    for other in [json!(null), json!([claims]), json!("{}"), json!(1)] {
        assert_eq!(to_payload(&other), Err(Error::ClaimsShape), "{other}");
    }
}

#[test]
fn claims_of_a_kind_are_read_on_the_way() {
    #[derive(Debug, Default, PartialEq)]
    struct Own {
        wth: Option<Option<String>>,
        oth: Option<Option<String>>,
        asked: Vec<String>,
    }

    impl ReadClaims for Own {
        fn read<'de, A: MapAccess<'de>>(
            &mut self,
            name: &str,
            map: &mut A,
        ) -> Result<bool, A::Error> {
            self.asked.push(name.to_owned());
            let claim = match name {
                "wth" => &mut self.wth,
                "oth" => &mut self.oth,
                _ => return Ok(false),
            };
            *claim = Some(next_text(map)?.map(String::from));
            Ok(true)
        }
    }

    let key = key();
    let keys = key.verifying_key().unwrap();
    let run = |payload: &str| -> Result<Own, Error> {
        let compact = jws::sign(&key, &ProtectedHeader::new("at+jwt"), payload.as_bytes()).unwrap();
        let (jwt, mut own): (_, Own) = validator().validate_with(&compact, &keys, at(NOW))?;
        assert_eq!(jwt.subject(), Some("u"));
        own.asked.sort();
        Ok(own)
    };
    let mut claims = claims();
    for (name, value) in [
        ("wth", json!("abc")),
        ("oth", json!({"x": "y"})),
        ("z", json!(1)),
    ] {
        claims[name] = value;
    }
    let plain = run(&claims.to_string()).unwrap();
    let expected = Own {
        wth: Some(Some("abc".to_owned())),
        oth: Some(None),
        asked: ["oth", "wth", "z"].map(str::to_owned).to_vec(),
    };
    assert_eq!(plain, expected);
    // With an escape somewhere, everything is read anew, and nothing stays of the first attempt.
    let escaped = claims.to_string().replace("\"abc\"", "\"ab\\u0063\"");
    assert_eq!(run(&escaped).unwrap(), expected);
    let twice = claims.to_string().replacen('{', "{\"wth\":\"abc\",", 1);
    assert!(matches!(run(&twice), Err(Error::Json { .. })));
    claims["aud"] = "https://other.example".into();
    assert_eq!(run(&claims.to_string()), Err(Error::AudienceMismatch));
}
