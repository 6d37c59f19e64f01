//! How claims are read, and where their bounds are.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{NOW, PROVIDER, at, claims, key, run, run_raw, validator};
use crate::algorithm::Algorithm;
use crate::error::Error;
use crate::jws::{self, ProtectedHeader};
use crate::jwt::*;
use crate::sign::SigningKey;

/// Covers: JWS-A29
#[test]
fn what_is_read_first_is_validated_by_the_same_rules() {
    let key = key();
    let other = SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid("k");
    let strict = validator().with_required_claim("purpose");
    for (validator, change) in [
        (validator(), json!({})),
        (validator(), json!({"exp": NOW})),
        (validator(), json!({"exp": "soon"})),
        (validator(), json!({"aud": "https://other.example"})),
        (validator(), json!({"cnf": {"jkt": "x"}})),
        (
            validator().with_confirmation(ConfirmationRule::Required),
            json!({"cnf": {"jkt": "A".repeat(43)}}),
        ),
        (strict.clone(), json!({})),
        (strict.clone(), json!({"purpose": 1})),
        (strict.with_kid_required(), json!({"purpose": 1})),
    ] {
        let mut claims = claims();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let compact = sign(&key, &ProtectedHeader::new("at+jwt"), &claims).unwrap();
        let keys = key.verifying_key().unwrap();
        let read = || validator.read(jws::UnverifiedJws::parse(&compact).unwrap());
        let outcome = |result: Result<Jwt, Error>| result.map(|jwt| jwt.claims_map().unwrap());
        assert_eq!(
            outcome(read().and_then(|jwt| jwt.validate(&keys, at(NOW)))),
            outcome(validator.validate(&compact, &keys, at(NOW)))
        );
        if let Ok(jwt) = read() {
            assert_eq!(jwt.unverified_issuer(), Some("https://as.example"));
            assert_eq!(jwt.unverified_subject(), Some("u"));
            assert_eq!(jwt.unverified_header().kid(), Some("k"));
            let cnf = claims.get("cnf").map(Confirmation::from_value);
            assert_eq!(
                jwt.unverified_confirmation(),
                cnf.and_then(Result::ok).as_ref()
            );
            let refused = jwt.validate(&other.verifying_key().unwrap(), at(NOW));
            assert_eq!(refused.unwrap_err(), Error::InvalidSignature);
        }
    }
    let compact = sign(&key, &ProtectedHeader::new("other"), &claims()).unwrap();
    let validator = validator();
    let read = validator.read(jws::UnverifiedJws::parse(&compact).unwrap());
    assert_eq!(read.unwrap_err(), Error::WrongType);
}

/// A value of `cnf`: what is near to right, and anything else.
fn any_confirmation() -> impl Strategy<Value = Value> {
    let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let key = key().public_jwk().to_value();
    let value = prop_oneof![
        Just(key),
        Just(json!(hash)),
        Just(json!("a name")),
        Just(json!("")),
        Just(json!([hash])),
        Just(json!({"kty": "oct", "k": "AA"})),
        Just(json!({"kty": "EC"})),
        Just(Value::Null),
        Just(json!(true)),
        Just(json!(-1)),
        Just(json!(7)),
        Just(json!(0.5)),
    ];
    let name = prop::sample::select(vec!["jwk", "jwe", "jku", "jkt", "x5t#S256", "kid", "x"]);
    prop_oneof![
        4 => prop::collection::btree_map(name, value.clone(), 0..4).prop_map(|members| json!(members)),
        1 => value,
    ]
}

#[test]
fn bounds_include_their_last_value() {
    let lasting = || validator().with_max_lifetime(Duration::from_secs(65));
    assert!(run(&lasting(), json!({})).is_ok());
    assert_eq!(
        run(&lasting(), json!({"exp": NOW + 61})).unwrap_err(),
        Error::LifetimeTooLong { limit: 65 }
    );
    assert!(validator().with_leeway(Duration::from_secs(300)).is_ok());
    let aged = |seconds| validator().with_max_age(Duration::from_secs(seconds));
    assert!(run(&aged(5), json!({})).is_ok());
    assert_eq!(
        run(&aged(4), json!({})).unwrap_err(),
        Error::TooOld { limit: 4 }
    );
    // A whole number stays one, however it is written.
    let raw = |nbf: &str| {
        let claims = claims()
            .to_string()
            .replacen('{', &format!(r#"{{"nbf":{nbf},"#), 1);
        run_raw(&validator(), "at+jwt", &claims)
    };
    let jwt = raw(&format!("{NOW}.0")).unwrap();
    assert_eq!(jwt.not_before(), Some(NOW));
    assert_eq!(raw(&format!("{NOW}.5")).unwrap_err(), Error::NotYetValid);
}

#[test]
fn an_age_that_is_bounded_has_to_be_known() {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove("iat");
    let claims = claims.to_string();
    let run = |validator: Validator| run_raw(&validator, "at+jwt", &claims).map(drop);
    let minute = Duration::from_secs(60);
    let unknown = Err(Error::MissingClaim { claim: "iat" });
    assert_eq!(run(validator()), Ok(()));
    assert_eq!(run(validator().with_max_age(minute)), unknown);
    assert_eq!(run(validator().with_max_lifetime(minute)), unknown);
}

#[test]
fn a_key_name_is_demanded_where_the_caller_says_so() {
    let (named, bare) = (
        key(),
        SigningKey::generate(&PROVIDER, Algorithm::Es256).unwrap(),
    );
    for (key, demanded, fine) in [
        (&named, true, true),
        (&named, false, true),
        (&bare, false, true),
        (&bare, true, false),
    ] {
        let compact = sign(key, &ProtectedHeader::new("at+jwt"), &claims()).unwrap();
        let validator = match demanded {
            true => validator().with_kid_required(),
            false => validator(),
        };
        let result = validator.validate(&compact, &key.verifying_key().unwrap(), at(NOW));
        match fine {
            true => assert!(result.is_ok()),
            false => assert_eq!(result.unwrap_err(), Error::MissingHeader { name: "kid" }),
        }
    }
}

#[test]
fn a_claims_set_has_a_size() {
    let limits = crate::json::Limits::CLAIMS.with_bytes(64);
    let small = validator().with_limits(jws::Limits::default(), limits);
    assert_eq!(
        run(&small, json!({})).unwrap_err(),
        Error::TooLarge {
            what: "claims set",
            limit: 64
        }
    );
}

#[test]
fn a_confirmation_is_written_as_it_is_read() {
    let jwk = key().public_jwk();
    for (confirmation, value) in [
        (Confirmation::of_jwk(jwk.clone()), json!({"jwk": jwk})),
        (
            Confirmation::of_jkt([1; 32]),
            json!({"jkt": crate::base64url::encode(&[1; 32])}),
        ),
        (
            Confirmation::of_certificate([2; 32]),
            json!({"x5t#S256": crate::base64url::encode(&[2; 32])}),
        ),
    ] {
        assert_eq!(confirmation.to_value(), value);
        assert_eq!(Confirmation::from_value(&value), Ok(confirmation));
    }
    let nameless = Confirmation::from_value(&json!({"kid": ""}));
    assert_eq!(nameless, Err(Error::ClaimType { claim: "cnf" }));
}

proptest! {
    /// `cnf` is read on the way through the claims set; a value that was parsed before reads the same.
    ///
    /// Covers: JWT-7800.3.1-1
    #[test]
    fn a_confirmation_is_read_alike_from_text_and_value(cnf in any_confirmation()) {
        let validator = validator().with_confirmation(ConfirmationRule::Required);
        let read = run(&validator, json!({"cnf": cnf}));
        let read = read.map(|jwt| jwt.confirmation().cloned().unwrap());
        prop_assert_eq!(read, Confirmation::from_value(&cnf));
    }
}
