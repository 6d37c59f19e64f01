use proptest::prelude::*;

use super::PROVIDER;
use crate::algorithm::{Algorithm, Algorithms};
use crate::error::Error;
use crate::jws::*;
use crate::key::{KeySet, VerifyingKey};
use crate::sign::SigningKey;

fn key() -> SigningKey {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid("k1")
}

fn token(header: &str, payload: &str) -> String {
    format!(
        "{}.{}.AAAA",
        crate::base64url::encode(header.as_bytes()),
        crate::base64url::encode(payload.as_bytes())
    )
}

fn code(compact: &str) -> &'static str {
    UnverifiedJws::parse(compact).unwrap_err().code()
}

/// Covers: JWS-3.1-1, JWS-A20, JWS-A23, JWS-A17
#[test]
fn exactly_three_segments() {
    assert!(UnverifiedJws::parse(&token(r#"{"alg":"ES256"}"#, "{}")).is_ok());
    for (compact, expected) in [
        ("", "segment_count"),
        (".", "segment_count"),
        ("a.b", "segment_count"),
        ("a.b.c.d", "segment_count"),
        ("a.b.c.", "segment_count"),
        ("a.b.c.d.e", "encrypted_not_signed"),
        ("a.b.c.d.e.f", "segment_count"),
    ] {
        assert_eq!(code(compact), expected, "{compact}");
    }
    assert_eq!(code(&".".repeat(16 * 1024)), "segment_count");
}

/// Covers: JWS-3.2-1, JWS-A19, JWS-8725bis.3.14-1, JWT-8725bis.3.14-1, JWS-7.1-1, JWT-7519.3-1
#[test]
fn nothing_but_the_bare_compact_form() {
    assert_eq!(
        code(r#"{"payload":"e30","signatures":[]}"#),
        "json_serialization"
    );
    assert_eq!(code(" \n{\"payload\":\"e30\"}"), "json_serialization");
    let good = token(r#"{"alg":"ES256"}"#, "{}");
    for bad in [
        format!(" {good}"),
        format!("{good}\n"),
        format!("Bearer {good}"),
        good.replace('.', "%2E"),
        format!("{good}="),
    ] {
        assert_eq!(code(&bad), "token_characters", "{bad}");
    }
}

/// Covers: JWS-2-1, JWS-2-2, JWS-2-3, JWS-A18
#[test]
fn only_canonical_base64url() {
    for header in ["A", "AAAAA", "AB"] {
        assert_eq!(code(&format!("{header}.e30.AAAA")), "invalid_base64");
    }
    let header = crate::base64url::encode(br#"{"alg":"ES256"}"#);
    assert_eq!(code(&format!("{header}.e31.AAAA")), "invalid_base64");
    assert_eq!(code(&format!("{header}.e30.AB")), "invalid_base64");
    assert_eq!(code(&format!("{header}.e+0.AAAA")), "token_characters");
    assert!(UnverifiedJws::parse(&format!("{header}.e30.AA")).is_ok());
    assert!(
        UnverifiedJws::parse(&format!("{header}..AA")).is_ok(),
        "an empty payload is a matter of the JWT layer"
    );
}

/// Covers: JWS-4-4, JWS-4.1.1-1, JWS-4.1.1-2, JWS-4.1.4-3, JWS-A1, JWS-A25, JWT-7519.6-1
#[test]
fn header_parameters_have_their_types() {
    let long = "k".repeat(257);
    for (header, expected) in [
        (r#"{"alg":256}"#, "header_type"),
        (r#"{"alg":null}"#, "header_type"),
        (r#"{"alg":["ES256"]}"#, "header_type"),
        (r#"{"kid":"a"}"#, "missing_header"),
        (r#"{"alg":"none"}"#, "unsupported_algorithm"),
        (r#"{"alg":"nOnE"}"#, "unsupported_algorithm"),
        (r#"{"alg":"none\u0000"}"#, "unsupported_algorithm"),
        (r#"{"alg":"HS256"}"#, "unsupported_algorithm"),
        (r#"{"alg":"ES256","kid":7}"#, "header_type"),
        (r#"{"alg":"ES256","kid":null}"#, "header_type"),
        (r#"{"alg":"ES256","kid":"a\nb"}"#, "header_type"),
        (r#"{"alg":"ES256","typ":{}}"#, "header_type"),
        (r#"{"alg":"ES256","cty":[]}"#, "header_type"),
        (
            &format!(r#"{{"alg":"ES256","kid":"{long}"}}"#),
            "header_type",
        ),
    ] {
        assert_eq!(code(&token(header, "{}")), expected, "{header}");
    }
    let header = crate::base64url::encode(br#"{"alg":"ES256"}"#);
    assert_eq!(code(&format!("{header}.e30.")), "empty_signature");
}

/// Covers: JWS-4.1.11-1, JWS-4.1.11-2, JWS-4.1.11-3, JWS-7797.3-1, JWS-7797.6-1, JWS-A16
#[test]
fn critical_extensions_are_understood_or_refused() {
    for (header, expected) in [
        (r#"{"alg":"ES256","crit":[]}"#, "invalid_critical"),
        (r#"{"alg":"ES256","crit":"exp"}"#, "invalid_critical"),
        (r#"{"alg":"ES256","crit":[1]}"#, "invalid_critical"),
        (
            r#"{"alg":"ES256","x":1,"crit":["x","x"]}"#,
            "invalid_critical",
        ),
        (r#"{"alg":"ES256","crit":["x"]}"#, "invalid_critical"),
        (r#"{"alg":"ES256","crit":["alg"]}"#, "invalid_critical"),
        (
            r#"{"alg":"ES256","p2c":1,"crit":["p2c"]}"#,
            "invalid_critical",
        ),
        (
            r#"{"alg":"ES256","x":1,"crit":["x"]}"#,
            "unsupported_critical",
        ),
        (r#"{"alg":"ES256","b64":true}"#, "unencoded_payload"),
        (
            r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#,
            "unencoded_payload",
        ),
        (r#"{"alg":"ES256","crit":["b64"]}"#, "invalid_critical"),
    ] {
        assert_eq!(code(&token(header, "{}")), expected, "{header}");
    }
    let rules = HeaderRules {
        understood: &["x"],
        ..HeaderRules::default()
    };
    let known = token(r#"{"alg":"ES256","x":1,"crit":["x"]}"#, "{}");
    assert!(UnverifiedJws::parse_with(&known, &rules, &Limits::default()).is_ok());
}

/// Covers: JWS-4.1.2-1, JWS-4.1.3-1, JWS-4.1.5-1, JWS-4.1.7-1, JWS-A4, JWS-A5, JWS-A6
#[test]
fn key_material_in_the_header_is_refused() {
    for name in ["jwk", "jku", "x5c", "x5u"] {
        let error =
            UnverifiedJws::parse(&token(&format!(r#"{{"alg":"ES256","{name}":{{}}}}"#), "{}"))
                .unwrap_err();
        assert_eq!(error, Error::HeaderKeyMaterial { name });
    }
    assert!(UnverifiedJws::parse(&token(r#"{"alg":"ES256","x5t":"AA"}"#, "{}")).is_ok());
    // Even where a profile reads `jwk`, it selects no key.
    let (ours, theirs) = (key(), key());
    let header = ProtectedHeader::new("x+jwt").with_jwk(&theirs.public_jwk());
    let forged = sign(&theirs, &header, b"{}").unwrap();
    let rules = HeaderRules {
        allow_jwk: true,
        ..HeaderRules::default()
    };
    let jws = UnverifiedJws::parse_with(&forged, &rules, &Limits::default()).unwrap();
    assert_eq!(
        jws.verify(&ours.verifying_key().unwrap(), Algorithms::ALL)
            .unwrap_err(),
        Error::InvalidSignature
    );
}

/// Covers: JWS-4.1.9-1, JWT-8725bis.3.11-1, JWT-A3
#[test]
fn media_types_compare_without_case_and_without_parameters() {
    for (typ, accepted) in [
        ("at+jwt", true),
        ("AT+JWT", true),
        ("application/at+jwt", true),
        ("APPLICATION/at+jwt", true),
        ("application/application/at+jwt", false),
        ("at+jwt; charset=utf-8", false),
        (" at+jwt", false),
        ("at+jwt\\u0000", false),
        ("text/at+jwt", false),
        ("", false),
    ] {
        let compact = token(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#), "{}");
        let jws = UnverifiedJws::parse(&compact).unwrap();
        assert_eq!(jws.unverified_header().is_type("at+jwt"), accepted, "{typ}");
    }
}

/// Covers: JWS-3.1-2, JWS-4.1.1-4, JWS-4.1.9-2, JWS-5.1-1, JWS-6-2, JWS-4.1.11-4, JWS-7797.7-1, JWS-4-3, JWS-4.3-1
#[test]
fn what_is_signed_verifies_and_names_algorithm_and_key_itself() {
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Ed25519,
        Algorithm::EdDsa,
    ] {
        let key = SigningKey::generate(&PROVIDER, algorithm)
            .unwrap()
            .with_thumbprint_kid();
        let header = ProtectedHeader::new("x+jwt")
            .with_parameter("private", 1)
            .unwrap();
        let compact = sign(&key, &header, b"{}").unwrap();
        let jws = UnverifiedJws::parse(&compact)
            .unwrap()
            .verify(&key.verifying_key().unwrap(), Algorithms::ALL)
            .unwrap();
        assert_eq!(jws.header().algorithm(), algorithm);
        assert_eq!(jws.header().kid(), key.public_jwk().kid());
        assert_eq!(jws.header().typ(), Some("x+jwt"));
        assert_eq!(jws.payload(), b"{}");
        assert_eq!(
            jws.key().thumbprint(),
            key.verifying_key().unwrap().thumbprint()
        );
    }
    for name in ["alg", "kid", "typ", "crit", "b64"] {
        assert_eq!(
            ProtectedHeader::new("x")
                .with_parameter(name, 1)
                .unwrap_err()
                .code(),
            "invalid_option"
        );
    }
}

/// Covers: JWS-4.1.1-3, JWS-5.2-3, JWS-10.7-1, JWT-8725bis.3.1-1, JWT-8725bis.3.1-2, JWT-8725bis.3.1-4, JWKA-8725bis.3.1-1, JWKA-A9
#[test]
fn the_key_decides_the_algorithm_and_the_caller_allows_it() {
    let es256 = key();
    let es384 = SigningKey::generate(&PROVIDER, Algorithm::Es384).unwrap();
    let compact = sign(&es256, &ProtectedHeader::new("x"), b"{}").unwrap();
    let verify = |keys: &VerifyingKey, allowed| {
        UnverifiedJws::parse(&compact)
            .unwrap()
            .verify(keys, allowed)
            .map(drop)
    };
    let own = es256.verifying_key().unwrap();
    assert_eq!(verify(&own, Algorithms::ALL), Ok(()));
    let other = Algorithms::of(&[Algorithm::Es384]);
    assert_eq!(
        verify(&own, other),
        Err(Error::AlgorithmNotAllowed {
            algorithm: Algorithm::Es256
        })
    );
    let wrong = es384.verifying_key().unwrap();
    assert_eq!(
        verify(&wrong, Algorithms::ALL),
        Err(Error::AlgorithmMismatch {
            algorithm: Algorithm::Es256
        })
    );
}

/// Covers: JWS-4.1.4-2, JWS-A7, JWS-A8, JWS-A26, JWKA-policy-3, JWKA-7517.4.5-1, JWKA-A10, JWKA-7517.5-3
#[test]
fn keys_are_selected_by_kid_or_a_few_are_tried() {
    let keys: Vec<SigningKey> = (0..6)
        .map(|i| {
            SigningKey::generate(&PROVIDER, Algorithm::Es256)
                .unwrap()
                .with_kid(format!("k{i}"))
        })
        .collect();
    let verifying = |range: std::ops::Range<usize>| -> Vec<VerifyingKey> {
        keys[range]
            .iter()
            .rev()
            .map(|key| key.verifying_key().unwrap())
            .collect()
    };
    let all = KeySet::new(verifying(0..6)).unwrap();
    for key in &keys {
        let compact = sign(key, &ProtectedHeader::new("x"), b"{}").unwrap();
        assert!(
            UnverifiedJws::parse(&compact)
                .unwrap()
                .verify(&all, Algorithms::ALL)
                .is_ok()
        );
    }
    let stranger = sign(
        &key().with_kid("../../dev/null"),
        &ProtectedHeader::new("x"),
        b"{}",
    )
    .unwrap();
    let error = UnverifiedJws::parse(&stranger)
        .unwrap()
        .verify(&all, Algorithms::ALL)
        .unwrap_err();
    assert_eq!(error, Error::UnknownKey);
    assert!(error.refresh_may_help());
    let nameless = sign(&keys[2], &ProtectedHeader::new("x").without_kid(), b"{}").unwrap();
    let with = |set: &KeySet| {
        UnverifiedJws::parse(&nameless)
            .unwrap()
            .verify(set, Algorithms::ALL)
            .map(drop)
    };
    assert_eq!(with(&all), Err(Error::AmbiguousKey));
    assert_eq!(with(&KeySet::new(verifying(0..4)).unwrap()), Ok(()));
    assert_eq!(
        with(&KeySet::new(verifying(3..6)).unwrap()),
        Err(Error::InvalidSignature)
    );
    assert_eq!(with(&KeySet::default()), Err(Error::UnknownKey));
    let twice = vec![
        keys[0].verifying_key().unwrap(),
        keys[1].clone().with_kid("k0").verifying_key().unwrap(),
    ];
    assert_eq!(KeySet::new(twice).unwrap_err(), Error::DuplicateKid);
}

/// Covers: JWKA-7518.3.4-2, JWKA-7518.3.4-3, JWS-A9, JWS-A10, JWS-A31
#[test]
fn ecdsa_signatures_have_their_length_and_range() {
    let key = key();
    let compact = sign(&key, &ProtectedHeader::new("x"), b"{}").unwrap();
    let input = compact.rsplit_once('.').unwrap().0;
    let verifying = key.verifying_key().unwrap();
    for signature in [
        vec![0; 64],
        vec![0xff; 64],
        vec![0x30; 70],
        vec![0; 1],
        vec![1; 63],
        vec![1; 65],
        vec![0; 132],
    ] {
        let forged = format!("{input}.{}", crate::base64url::encode(&signature));
        let error = UnverifiedJws::parse(&forged)
            .unwrap()
            .verify(&verifying, Algorithms::ALL)
            .unwrap_err();
        assert_eq!(error, Error::InvalidSignature);
    }
}

/// Covers: JWS-impl-limits-1, JWS-A22
#[test]
fn size_is_bounded_before_anything_is_decoded() {
    assert_eq!(code(&"A".repeat(16 * 1024 + 1)), "too_large");
    let header = format!(r#"{{"alg":"ES256","x":"{}"}}"#, "x".repeat(9000));
    assert_eq!(code(&token(&header, "{}")), "too_large");
    assert!(Limits::new(64 * 1024 + 1, 0).is_err());
}

proptest! {
    /// Covers: JWS-impl-limits-2
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,300}") {
        let _ = UnverifiedJws::parse(&text);
    }

    /// Covers: JWS-5.2-1, JWS-5.2-2
    #[test]
    fn any_changed_character_breaks_the_token(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_-]") {
        let key = key();
        let compact = sign(&key, &ProtectedHeader::new("x"), br#"{"sub":"a"}"#).unwrap();
        let at = at.index(compact.len());
        let mut changed = compact.clone();
        changed.replace_range(at..=at, &with);
        prop_assume!(changed != compact && compact.as_bytes()[at] != b'.');
        let verified = UnverifiedJws::parse(&changed)
            .and_then(|jws| jws.verify(&key.verifying_key().unwrap(), Algorithms::ALL));
        prop_assert!(verified.is_err());
    }

    #[test]
    fn any_payload_round_trips(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        let key = key();
        let compact = sign(&key, &ProtectedHeader::new("x"), &payload).unwrap();
        let jws = UnverifiedJws::parse(&compact).unwrap().verify(&key.verifying_key().unwrap(), Algorithms::ALL).unwrap();
        prop_assert_eq!(jws.payload(), &payload[..]);
    }
}
