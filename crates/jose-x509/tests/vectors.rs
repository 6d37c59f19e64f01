//! The vectors of `test-vectors/jose-x509`, whose good signatures OpenSSL made.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jose_x509::dpop::{Htu, ProofTarget, Verifier, parse_jkt};
use jose_x509::jws::UnverifiedJws;
use jose_x509::jwt::{Audience, Confirmation, ConfirmationRule, Issuer, Type, Validator};
use jose_x509::mtls;
use jose_x509::x509::DistinguishedName;
use jose_x509::{
    Algorithm, Algorithms, CryptoProvider, Error, KeySet, MemoryReplayGuard, base64url,
};
use pki_types::UnixTime;
use serde_json::{Value, json};

/// Every provider of this build.
const PROVIDERS: &[CryptoProvider] = &[
    #[cfg(feature = "ring")]
    jose_x509::provider::ring::provider(),
    #[cfg(feature = "aws-lc-rs")]
    jose_x509::provider::aws_lc_rs::provider(),
];

/// Runs every case of a file; `run` gives the values of an accepted input.
fn check(file: &str, run: impl Fn(&KeySet, &Value) -> Result<Value, Error>) {
    let file: Value = serde_json::from_str(file).unwrap();
    let mut cases = 0;
    let groups = file["groups"].as_array().unwrap();
    for (provider, group) in PROVIDERS
        .iter()
        .flat_map(|p| groups.iter().map(move |g| (p, g)))
    {
        let keys = KeySet::from_jwks_slice(provider, group["keys"].to_string().as_bytes()).unwrap();
        for case in group["cases"].as_array().unwrap() {
            let expected = &case["expected"];
            let name = format!("{}: {}", group["name"], case["name"]);
            match run(&keys, case) {
                Ok(values) => {
                    assert_eq!(expected["result"], "valid", "{name}");
                    for (member, value) in expected["values"].as_object().unwrap() {
                        assert_eq!(&values[member], value, "{name}: {member}");
                    }
                }
                Err(error) => {
                    assert_eq!(expected["result"], "invalid", "{name}: {error}");
                    assert_eq!(expected["code"], error.code(), "{name}");
                }
            }
            cases += 1;
        }
    }
    assert!(cases > 100, "the file has {cases} cases only");
}

#[test]
fn jws_compact() {
    check(
        include_str!("../../../test-vectors/jose-x509/jws-compact.json"),
        |keys, case| {
            let jws = UnverifiedJws::parse(case["input"].as_str().unwrap())?
                .verify(keys, algorithms(&case["options"]))?;
            let payload = core::str::from_utf8(jws.payload()).unwrap();
            Ok(
                json!({"alg": jws.header().algorithm().name(), "kid": jws.header().kid(), "payload": payload}),
            )
        },
    );
}

#[test]
fn jwt_claims() {
    check(
        include_str!("../../../test-vectors/jose-x509/jwt-claims.json"),
        |keys, case| {
            let options = &case["options"];
            let now =
                UnixTime::since_unix_epoch(Duration::from_secs(case["now"].as_u64().unwrap()));
            let jwt = validator(options).validate(case["input"].as_str().unwrap(), keys, now)?;
            Ok(json!({
                "iss": jwt.issuer(), "sub": jwt.subject(), "aud": jwt.audience().collect::<Vec<_>>(), "jti": jwt.id(),
                "exp": jwt.expires(), "iat": jwt.issued_at(), "nbf": jwt.not_before(),
            }))
        },
    );
}

/// Runs the cases of one type; `run` gives the values of an accepted input.
fn check_type(file: &str, kind: &str, run: impl Fn(&Value) -> Result<Value, &'static str>) {
    let file: Value = serde_json::from_str(file).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    let mut cases = 0;
    for group in groups.filter(|group| group["type"] == kind) {
        for case in group["cases"].as_array().unwrap() {
            let expected = &case["expected"];
            let name = format!("{}: {}", group["name"], case["name"]);
            let found = match run(case) {
                Ok(values) => values,
                Err(code) => {
                    assert_eq!(expected["code"], code, "{name}");
                    cases += 1;
                    continue;
                }
            };
            assert_eq!(expected["result"], "valid", "{name}");
            for (member, value) in expected["values"].as_object().unwrap() {
                assert_eq!(&found[member], value, "{name}: {member}");
            }
            cases += 1;
        }
    }
    assert!(cases > 1, "there are no cases of type {kind}");
}

#[test]
fn dpop() {
    let provider = PROVIDERS[0];
    let file = include_str!("../../../test-vectors/jose-x509/dpop.json");
    check_type(file, "dpop", |case| {
        let options = &case["options"];
        let text = |name: &str| options[name].as_str();
        let mut verifier = Verifier::new(&provider);
        if !options["algorithms"].is_null() {
            verifier = verifier.with_algorithms(algorithms(options)).unwrap();
        }
        let target =
            Htu::parse(text("target").unwrap_or("https://server.example.com/token")).unwrap();
        let mut expected = ProofTarget::new(text("method").unwrap_or("POST"), &target);
        if let Some(token) = text("access_token") {
            let jkt = parse_jkt(text("jkt").unwrap()).unwrap();
            expected = expected.with_access_token(token, jkt);
        }
        let field = case["input"].as_str().unwrap().as_bytes();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(case["now"].as_u64().unwrap()));
        let proof = verifier
            .verify([field], &expected, &MemoryReplayGuard::new(1), now)
            .map_err(|error| error.code())?;
        let encode = |hash: [u8; 32]| base64url::encode(&hash);
        Ok(json!({
            "jkt": encode(proof.jkt()), "jti": proof.id(), "method": proof.method(), "target": proof.target().as_str(),
            "iat": proof.issued_at(), "ath": proof.access_token_hash().map(encode),
        }))
    });
}

#[test]
fn binding() {
    let file = include_str!("../../../test-vectors/jose-x509/binding.json");
    let standard = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    check_type(file, "x5t", |case| {
        let hash = mtls::thumbprint(&PROVIDERS[0], &standard(&case["input"]));
        Ok(json!({"x5t": base64url::encode(&hash)}))
    });
    check_type(file, "cnf", |case| {
        let cnf = Confirmation::from_value(&case["input"]).map_err(|error| error.code())?;
        Ok(cnf.to_value())
    });
    check_type(file, "htu", |case| {
        let htu = |name: &str| {
            Htu::parse(case["input"][name].as_str().unwrap()).map_err(|error| error.code())
        };
        Ok(json!({"equal": htu("htu")? == htu("target")?}))
    });
    check_type(file, "dn", |case| {
        let text = case["input"]["text"].as_str().unwrap();
        let text: DistinguishedName = text.parse().map_err(|_| "invalid_name")?;
        let der = DistinguishedName::from_der(&standard(&case["input"]["der"])).unwrap();
        Ok(json!({"equal": text == der}))
    });
}

fn algorithms(options: &Value) -> Algorithms {
    let Some(names) = options["algorithms"].as_array() else {
        return Algorithms::ALL;
    };
    let algorithms: Vec<_> = names
        .iter()
        .map(|name| Algorithm::from_name(name.as_str().unwrap()).unwrap())
        .collect();
    Algorithms::of(&algorithms)
}

fn validator(options: &Value) -> Validator {
    let texts = |value: &Value| {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let types: Vec<&'static str> = texts(&options["typ"])
        .into_iter()
        .map(|typ| &*typ.leak())
        .collect();
    let types: &'static [&'static str] = types.leak();
    let typ = if options["typ_may_be_absent"] == true {
        Type::AbsentOrOneOf(types)
    } else {
        Type::OneOf(types)
    };
    let issuer = options["issuer"]
        .as_str()
        .map_or(Issuer::NotApplicable { reason: "vector" }, |iss| {
            Issuer::Exactly(iss.into())
        });
    let audience = match &options["audience"] {
        Value::Null => Audience::NotApplicable { reason: "vector" },
        names if options["single_audience"] == true => Audience::Only(texts(names)),
        names => Audience::AnyOf(texts(names)),
    };
    let seconds = |name: &str| options[name].as_u64().map(Duration::from_secs);
    let mut validator = Validator::new(typ, issuer, audience);
    if let Some(leeway) = seconds("leeway") {
        validator = validator.with_leeway(leeway).unwrap();
    }
    if let Some(lifetime) = seconds("max_lifetime") {
        validator = validator.with_max_lifetime(lifetime);
    }
    if let Some(age) = seconds("max_age") {
        validator = validator.with_max_age(age);
    }
    for claim in options["required"].as_array().into_iter().flatten() {
        validator = validator.with_required_claim(claim.as_str().unwrap().to_owned().leak());
    }
    if options["confirmation"] == "required" {
        validator = validator.with_confirmation(ConfirmationRule::Required);
    }
    validator
}
