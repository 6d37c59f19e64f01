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

#[test]
fn other_parameters_are_noticed() {
    for (header, others) in [
        (r#"{"alg":"ES256"}"#, false),
        (
            r#"{"alg":"ES256","kid":"k","typ":"JWT","cty":"JWT"}"#,
            false,
        ),
        (r#"{"alg":"ES256","zip":"DEF"}"#, true),
        (r#"{"alg":"ES256","z\u0069p":null}"#, true),
    ] {
        let compact = token(header, "{}");
        let jws = UnverifiedJws::parse(&compact).unwrap();
        assert_eq!(jws.unverified_header().has_others(), others, "{header}");
    }
}

#[test]
fn what_is_signed_are_the_first_two_segments() {
    let compact = token(r#"{"alg":"ES256"}"#, "{}");
    let jws = UnverifiedJws::parse(&compact).unwrap();
    assert_eq!(format!("{}.AAAA", jws.signing_input()), compact);
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
    assert_eq!(code(r#"{"payload":"a.b.c"}"#), "json_serialization");
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

/// Covers: JWS-4.1.10-1
#[test]
fn the_content_type_compares_as_the_type_does() {
    let is_jwt = |cty: &str| {
        let compact = token(&format!(r#"{{"alg":"ES256","cty":"{cty}"}}"#), "{}");
        let jws = UnverifiedJws::parse(&compact).unwrap();
        assert_eq!(jws.unverified_header().cty(), Some(cty));
        jws.unverified_header().is_content_type("JWT")
    };
    for cty in ["JWT", "jwt", "application/jwt", "APPLICATION/JWT"] {
        assert!(is_jwt(cty), "{cty}");
    }
    for cty in ["", "json", "text/jwt", "JWT;x=1", " JWT", "at+jwt"] {
        assert!(!is_jwt(cty), "{cty}");
    }
    for cty in ["1", "null", r#"["JWT"]"#, "{}"] {
        let compact = token(&format!(r#"{{"alg":"ES256","cty":{cty}}}"#), "{}");
        let error = UnverifiedJws::parse(&compact).unwrap_err();
        assert_eq!(error, Error::HeaderType { name: "cty" });
    }
}

/// Covers: JWS-4.2-1
#[test]
fn a_profile_reads_its_own_parameters() {
    let key = key();
    let header = ProtectedHeader::new("x")
        .with_parameter("iss", "https://as.example")
        .unwrap();
    let compact = sign(&key, &header, b"{}").unwrap();
    let jws = UnverifiedJws::parse(&compact)
        .unwrap()
        .verify(&key.verifying_key().unwrap(), Algorithms::ALL)
        .unwrap();
    let members = jws.header().members().unwrap();
    assert_eq!(members["iss"], "https://as.example");
    assert_eq!(members.len(), 4);
}

/// Covers: JWS-10.13-1
#[test]
fn a_profile_can_demand_key_names_in_visible_ascii() {
    let mut rules = HeaderRules::default();
    let verdict = |rules: &HeaderRules, kid: &str| {
        let compact = token(&format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#), "{}");
        let parsed = UnverifiedJws::parse_with(&compact, rules, &Limits::default());
        parsed.err().map_or("valid", |error| error.code())
    };
    let hostile = [r"a\u202eb", r"a\u200bb", r"\u0430", "a b", r"\u00e9"];
    for kid in hostile {
        assert_eq!(verdict(&rules, kid), "valid", "{kid}");
    }
    rules.visible_ascii_kid = true;
    for kid in hostile {
        assert_eq!(verdict(&rules, kid), "header_type", "{kid}");
    }
    for kid in [
        "a",
        "2026-11/key:1~",
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    ] {
        assert_eq!(verdict(&rules, kid), "valid", "{kid}");
    }
}

/// What comes in a field that is looked up decides nothing but which key is taken: no key.
///
/// Covers: JWT-8725bis.3.10-1
#[test]
fn a_hostile_key_name_is_an_unknown_one_and_nothing_else() {
    let keys = KeySet::new(vec![key().verifying_key().unwrap()]).unwrap();
    for kid in [
        "k1' OR '1'='1",
        "../../../../dev/null",
        "*)(uid=*",
        "{{7*7}}",
        "${jndi:ldap://evil.example}",
        "k1 ",
        "K1",
    ] {
        let compact = sign(&key().with_kid(kid), &ProtectedHeader::new("x"), b"{}").unwrap();
        let jws = UnverifiedJws::parse(&compact).unwrap();
        let error = jws.verify(&keys, Algorithms::ALL).unwrap_err();
        assert_eq!(error, Error::UnknownKey);
        assert!(!format!("{error} {error:?}").contains(kid));
    }
    for kid in [r"a\r\nSet-Cookie: x", r"a\u0000", r"\u001b[2J"] {
        assert_eq!(
            code(&token(&format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#), "{}")),
            "header_type"
        );
    }
}

/// Covers: JWT-8725bis.3.1-5, JWT-8725bis.3.2-2
#[test]
fn algorithms_are_a_list_of_what_is_allowed() {
    let names: Vec<_> = Algorithm::ALL.iter().map(|one| one.name()).collect();
    assert_eq!(
        names,
        [
            "ES256", "ES384", "ES512", "Ed25519", "EdDSA", "RS256", "RS384", "RS512", "PS256",
            "PS384", "PS512"
        ]
    );
    for name in names {
        let read = Algorithm::from_name(name);
        assert_eq!(read.map(Algorithm::name), Some(name));
        for other in [name.to_lowercase(), format!("{name} "), format!("{name}\0")] {
            assert_eq!(Algorithm::from_name(&other), None, "{other}");
        }
    }
    // A header names the algorithm of its key and no other, so there is no way to sign with none.
    let without = ProtectedHeader::new("x").with_parameter("alg", "none");
    assert_eq!(without.unwrap_err().code(), "invalid_option");
}

/// The second form of an ECDSA signature, `(r, n - s)`.
fn malleated(compact: &str) -> String {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63,
        0x25, 0x51,
    ];
    let (input, signature) = compact.rsplit_once('.').unwrap();
    let mut signature = crate::base64url::decode(signature, "signature").unwrap();
    let mut borrow = 0;
    for (s, n) in signature[32..].iter_mut().zip(N).rev() {
        let difference = i16::from(n) - i16::from(*s) - borrow;
        borrow = i16::from(difference < 0);
        *s = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    format!("{input}.{}", crate::base64url::encode(&signature))
}

/// Covers: JWS-A11
#[test]
fn both_forms_of_an_ecdsa_signature_have_the_same_replay_key() {
    use crate::replay::{MemoryReplayGuard, ReplayGuard as _, ReplayKey};
    use pki_types::UnixTime;

    let key = key();
    let one = sign(&key, &ProtectedHeader::new("x"), br#"{"jti":"1"}"#).unwrap();
    let other = malleated(&one);
    assert_ne!(one, other);
    assert_eq!(malleated(&other), one);
    let at = |seconds| UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds));
    let guard = MemoryReplayGuard::new(10);
    let spend = |compact: &str| {
        let jws = UnverifiedJws::parse(compact).unwrap();
        let spent = ReplayKey::new(&PROVIDER, &[b"x", jws.signing_input().as_bytes()]);
        jws.verify(&key.verifying_key().unwrap(), Algorithms::ALL)
            .unwrap();
        guard.check_and_insert(spent, at(10), at(1))
    };
    assert_eq!(spend(&one), Ok(()));
    assert_eq!(spend(&other), Err(Error::Replayed));
}

/// Covers: JWS-10.3-1, JWS-3.1-2, JWS-4.1.1-4, JWS-4.1.9-2, JWS-5.1-1, JWS-6-2, JWS-4.1.11-4, JWS-7797.7-1, JWS-4-3, JWS-4.3-1
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
        // Whoever gets the payload gets the key that signed it, to find out whose that is.
        assert_eq!(
            jws.key().thumbprint(),
            key.verifying_key().unwrap().thumbprint()
        );
        assert_eq!(jws.key().kid(), key.public_jwk().kid());
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

/// A header is as long as its limit or it is refused, whatever its last group of base64url holds.
#[test]
fn the_limit_of_a_header_is_exact() {
    for padding in 0..8 {
        let header = format!(r#"{{"alg":"ES256"{}}}"#, " ".repeat(padding));
        let compact = token(&header, "{}");
        let parse = |limit| {
            let limits = Limits::new(1024, limit).unwrap();
            UnverifiedJws::parse_with(&compact, &HeaderRules::default(), &limits).map(|_| ())
        };
        assert_eq!(parse(header.len()), Ok(()));
        for limit in 0..header.len() {
            let what = "header";
            assert_eq!(parse(limit), Err(Error::TooLarge { what, limit }));
        }
    }
}

#[test]
fn the_header_is_there_as_it_came() {
    let header = r#"{ "alg":"ES256", "x":[1.50] }"#;
    let compact = token(header, "{}");
    let jws = UnverifiedJws::parse(&compact).unwrap();
    assert_eq!(jws.unverified_header().raw(), header);
}

/// Covers: JWS-4.1.11-1
#[test]
fn critical_parameters_are_few_and_listed_once() {
    const NAMES: &[&str] = &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let rules = HeaderRules {
        understood: NAMES,
        ..HeaderRules::default()
    };
    let parse = |critical: &[&str]| {
        let members: String = NAMES.iter().map(|name| format!(r#","{name}":1"#)).collect();
        let crit = serde_json::to_string(critical).unwrap();
        let compact = token(
            &format!(r#"{{"alg":"ES256","crit":{crit}{members}}}"#),
            "{}",
        );
        UnverifiedJws::parse_with(&compact, &rules, &Limits::default()).map(|_| ())
    };
    assert_eq!(parse(&NAMES[..1]), Ok(()));
    assert_eq!(parse(&NAMES[..8]), Ok(()));
    for refused in [&NAMES[..0], &NAMES[..9], &["a", "a"], &["a", "b", "a"]] {
        assert_eq!(parse(refused), Err(Error::InvalidCritical), "{refused:?}");
    }
}

/// A header of JWE on three segments is a mistake that is worth its own name.
#[test]
fn encrypted_tokens_are_told_by_enc() {
    assert_eq!(
        code(&token(r#"{"alg":"ES256","enc":"A128GCM"}"#, "{}")),
        "encrypted_not_signed"
    );
}
