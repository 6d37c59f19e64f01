//! The envelope: who, for whom, when, signed by whom.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::*;
use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::{MemoryReplayGuard, base64url, jwt};
use serde_json::{Value, json};
use ssf_set::caep::{Common, SessionRevoked};
use ssf_set::{
    Event, EventPolicy, SetErrorCode, SetIssuer, SetRequest, SetVerifier, SubjectIdentifier,
};

/// Covers: SET-2-1, SET-1.2-1, SET-1.2-2, SET-2.2-1, SET-2.2-3, SET-2.2-4, SET-2.2-6, SET-2.2-7, SET-2.2-8
/// Covers: SET-2.2-14, SET-2.2-15, SET-3-2, SET-4.3-1, SSF-3.1-1, SSF-4.1.2-1, SSF-4.1.3-1, SSF-4.1.7-1, SSF-4.1.8-1
/// Covers: SSF-4.1.8-4, SSF-4.2.1-1, SET-A11, SET-A12, SET-A14, CAEP-4-1, CAEP-A8, RISC-4-1, CAEP-INTEROP-2.8.1-1
/// Covers: SET-2-3, SSF-4.2.3-1, SSF-4.2.3-2
#[test]
fn each_rule_of_the_profile_has_its_refusal() {
    let key = key("k");
    let verifier = verifier(&key);
    let two = json!({format!("{CAEP}session-revoked"): {}, "https://schemas.openid.net/secevent/risc/event-type/account-enabled": {}});
    for (change, expected) in [
        (json!({}), "valid"),
        (json!({"sid": "s", "x": [1, {"y": 2}]}), "valid"),
        (json!({"aud": ["x", AUDIENCE]}), "valid"),
        (json!({"iat": 1_799_999_999.5}), "valid"),
        (json!({"toe": 1_799_999_999.5}), "valid"),
        (
            json!({"events": {"https://example.com/unknown": {"a": 1}}}),
            "valid",
        ),
        (json!({"txn": "DELETE"}), "valid"),
        (json!({"sub": "a"}), "forbidden_claim"),
        (json!({"sub": null}), "claim_type"),
        (json!({"exp": NOW + 600}), "forbidden_claim"),
        (json!({"sub_id": "DELETE"}), "missing_claim"),
        (json!({"sub_id": {"format": "email"}}), "subject_member"),
        (json!({"sub_id": null}), "subject_member"),
        (json!({"events": "DELETE"}), "missing_claim"),
        (json!({"events": null}), "claim_type"),
        (json!({"events": []}), "claim_type"),
        (json!({"events": {}}), "claim_type"),
        (json!({"events": two}), "event_count"),
        (json!({"events": {"not a uri": {}}}), "event_identifier"),
        (
            json!({"events": {"https://example.com/e": null}}),
            "event_payload",
        ),
        (
            json!({"events": {"https://example.com/e": []}}),
            "event_payload",
        ),
        (json!({"iss": "DELETE"}), "missing_claim"),
        (json!({"iss": ""}), "claim_type"),
        (json!({"iss": 1}), "claim_type"),
        (
            json!({"iss": "https://signals.example.com/"}),
            "issuer_mismatch",
        ),
        (json!({"aud": "DELETE"}), "missing_claim"),
        (json!({"aud": []}), "claim_type"),
        (json!({"aud": [AUDIENCE, 1]}), "claim_type"),
        (
            json!({"aud": "https://Gateway.example.org"}),
            "audience_mismatch",
        ),
        (json!({"iat": "DELETE"}), "missing_claim"),
        (json!({"iat": "1458496025"}), "claim_type"),
        (json!({"iat": -1}), "claim_type"),
        (json!({"iat": NOW + 61}), "issued_in_future"),
        (json!({"nbf": NOW + 61}), "not_yet_valid"),
        (json!({"jti": "DELETE"}), "missing_claim"),
        (json!({"jti": ""}), "claim_type"),
        (json!({"txn": 1}), "claim_type"),
        (json!({"txn": null}), "claim_type"),
        (json!({"toe": "1"}), "claim_type"),
        (json!({"toe": null}), "claim_type"),
        (json!({"toe": 1_800_000_000_000_u64}), "claim_type"),
    ] {
        let claims = changed(&change);
        let verified = verifier.verify(&sign(&key, &claims), at(NOW));
        if let Ok(set) = &verified {
            assert_eq!(Value::Object(set.claims().clone()), claims, "all are there");
        }
        assert_eq!(code(verified), expected, "{change}");
    }
}

/// Covers: SET-2.3-4, SET-A2, SET-4.3-1, SSF-4.1.1-1
#[test]
fn other_kinds_of_token_are_refused() {
    let key = key("k");
    let verify = |typ: Option<&'static str>| {
        let header = typ.map_or_else(ProtectedHeader::without_typ, ProtectedHeader::new);
        code(verifier(&key).verify(&jwt::sign(&key, &header, &claims()).unwrap(), at(NOW)))
    };
    for typ in ["secevent+jwt", "application/secevent+jwt", "SecEvent+JWT"] {
        assert_eq!(verify(Some(typ)), "valid", "{typ}");
    }
    for typ in [
        "JWT",
        "at+jwt",
        "secevent",
        "logout+jwt",
        "wit+jwt",
        "secevent+jwt;x=1",
    ] {
        assert_eq!(verify(Some(typ)), "wrong_type", "{typ}");
    }
    assert_eq!(verify(None), "wrong_type");
}

/// Covers: SET-5.1-1, SET-5.1-2, SET-A6, SET-A3, SET-2.4-2, SET-2.4-3, SET-A4, SET-A5, SET-PUSH-A13, SSF-4.1.4-1
/// Covers: SET-2.4-1, SET-A13, SUBID-4.2-2
#[test]
fn only_the_issuers_own_keys_verify() {
    let (a, b) = (key("same"), key("same"));
    let verifier = verifier(&a)
        .with_issuer("https://b.example.com", keys(&b))
        .unwrap();
    let good = sign(&a, &claims());
    assert_eq!(code(verifier.verify(&good, at(NOW))), "valid");
    let other = changed(&json!({"iss": "https://b.example.com"}));
    assert_eq!(code(verifier.verify(&sign(&b, &other), at(NOW))), "valid");
    for (token, expected) in [
        (sign(&b, &claims()), "invalid_signature"),
        (sign(&a, &other), "invalid_signature"),
        (sign(&key("new"), &claims()), "unknown_key"),
    ] {
        let error = verifier.verify(&token, at(NOW)).unwrap_err();
        assert_eq!(error.code(), expected);
        assert_eq!(error.set_error_code(), Some(SetErrorCode::InvalidKey));
    }
    // `sub_id` has an issuer too, which decides nothing.
    let foreign = changed(
        &json!({"sub_id": {"format": "iss_sub", "iss": "https://b.example.com", "sub": "1"}}),
    );
    assert_eq!(
        code(verifier.verify(&sign(&b, &foreign), at(NOW))),
        "invalid_signature"
    );

    let payload = base64url::encode(claims().to_string().as_bytes());
    let with_header = |header: Value| {
        format!(
            "{}.{payload}.AAAA",
            base64url::encode(header.to_string().as_bytes())
        )
    };
    let rest = good.split_once('.').unwrap().1;
    for (token, expected) in [
        (
            with_header(json!({"typ": "secevent+jwt", "alg": "none"})),
            "unsupported_algorithm",
        ),
        (
            with_header(json!({"typ": "secevent+jwt", "alg": "HS256"})),
            "unsupported_algorithm",
        ),
        (
            with_header(
                json!({"typ": "secevent+jwt", "alg": "ES256", "jku": "https://evil.example"}),
            ),
            "header_key_material",
        ),
        (
            with_header(json!({"typ": "secevent+jwt", "alg": "ES256", "jwk": {}})),
            "header_key_material",
        ),
        (
            with_header(json!({"typ": "secevent+jwt", "alg": "ES256", "crit": ["x"], "x": 1})),
            "unsupported_critical",
        ),
        ("a.b.c.d.e".to_owned(), "encrypted_not_signed"),
        (format!("{good}="), "token_characters"),
        (format!("{good} "), "token_characters"),
        (format!("eyJ.{rest}"), "invalid_base64"),
        (good.replace('.', ""), "segment_count"),
    ] {
        assert_eq!(code(verifier.verify(&token, at(NOW))), expected, "{token}");
    }
}

/// Covers: SET-2.2-11, SET-A9, SET-A10
#[test]
fn duplicates_and_floods_are_refused() {
    let key = key("k");
    let header = ProtectedHeader::new("secevent+jwt");
    let verify = |payload: String| {
        code(verifier(&key).verify(
            &jws::sign(&key, &header, payload.as_bytes()).unwrap(),
            at(NOW),
        ))
    };
    let text = claims().to_string();
    assert_eq!(verify(text.clone()), "valid");
    let event = format!("\"{CAEP}session-revoked\":{{}}");
    assert_eq!(
        verify(text.replace(&event, &format!("{event},{event}"))),
        "duplicate_member"
    );
    assert_eq!(
        verify(text.replacen('{', "{\"iss\":\"x\",", 1)),
        "duplicate_member"
    );
    assert_eq!(
        verify(text.replacen('{', "{\"events\":{},", 1)),
        "duplicate_member"
    );
    assert_eq!(
        verify(text.replacen(
            '{',
            &format!("{{\"x\":{}{},", "[".repeat(40), "]".repeat(40)),
            1
        )),
        "too_deep"
    );
    assert_eq!(
        verify(text.replacen('{', &format!("{{\"x\":\"{}\",", "a".repeat(60_000)), 1)),
        "too_large"
    );
    assert_eq!(verify(format!("{text} {{}}")), "invalid_json");
}

/// Covers: SET-2.2-5, SET-A7, SET-A8
#[test]
fn a_set_counts_once_per_issuer_and_only_when_valid() {
    let (a, b) = (key("a"), key("b"));
    let verifier = verifier(&a)
        .with_issuer("https://b.example.com", keys(&b))
        .unwrap();
    let guard = MemoryReplayGuard::new(1000);
    // A forgery with the same `jti` leaves no trace.
    assert!(
        verifier
            .verify_once(&sign(&b, &claims()), &guard, at(NOW))
            .is_err()
    );
    assert!(guard.is_empty());
    let token = sign(&a, &claims());
    assert_eq!(code(verifier.verify_once(&token, &guard, at(NOW))), "valid");
    let again = verifier
        .verify_once(&token, &guard, at(NOW + 3600))
        .unwrap_err();
    assert!(again.is_replay());
    assert_eq!((again.code(), again.set_error_code()), ("replayed", None));
    let other = sign(&b, &changed(&json!({"iss": "https://b.example.com"})));
    assert_eq!(code(verifier.verify_once(&other, &guard, at(NOW))), "valid");
}

/// Covers: SET-2-2, SET-2.2-9, SET-2.3-1, SET-2.3-2, SET-2.3-3, SET-6-1, SSF-4.1.9-1, SET-2.2-16, SET-4.1-1
/// Covers: SSF-3.1.1-2, SSF-3.1.2-1, SUBID-4.1-1, SUBID-8.2-1, CAEP-3.1.1-1, SET-A1
#[test]
fn what_is_issued_has_exactly_the_claims_of_the_profile() {
    let key = key("k");
    let issuer = SetIssuer::new(key.clone(), PROVIDER, ISSUER).unwrap();
    let subject = SubjectIdentifier::opaque("s").unwrap();
    let request = SetRequest::new(AUDIENCE, subject, SessionRevoked::default());
    let signed = issuer.issue(&request, at(NOW)).unwrap();
    let set = verifier(&key).verify(&signed.compact, at(NOW)).unwrap();
    let names: HashSet<_> = set.claims().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        HashSet::from(["iss", "iat", "jti", "aud", "txn", "sub_id", "events"])
    );
    assert_eq!(set.claims()["events"], json!({SessionRevoked::URI: {}}));
    assert_eq!(set.claims()["iat"], json!(NOW));
    assert_eq!(set.jwt().header().typ(), Some("secevent+jwt"));
    assert_eq!(
        (set.id(), set.toe(), set.time_of_event()),
        (signed.id.as_str(), None, NOW)
    );
    assert!(set.transaction().is_some_and(|txn| txn.len() == 22));

    // No other validator of this workspace takes it for a token of its own kind.
    for typ in [
        jwt::Type::OneOf(&["JWT"]),
        jwt::Type::AbsentOrOneOf(&["at+jwt", "JWT"]),
    ] {
        let id_token = jwt::Validator::new(
            typ,
            jwt::Issuer::Exactly(ISSUER.to_owned()),
            jwt::Audience::AnyOf(vec![AUDIENCE.to_owned()]),
        );
        let refused = id_token.validate(&signed.compact, &*keys(&key), at(NOW));
        assert_eq!(refused.unwrap_err().code(), "wrong_type");
    }
}

/// Covers: SET-1.1-1, SET-2-4, SET-2.2-4, SET-2.2-9, SSF-4.1.9-2, SET-2.2-6
#[test]
fn the_issuer_refuses_what_a_set_must_not_have() {
    let issuer = SetIssuer::new(key("k"), PROVIDER, ISSUER).unwrap();
    let subject = || SubjectIdentifier::opaque("s").unwrap();
    let request = || SetRequest::new(AUDIENCE, subject(), SessionRevoked::default());
    for name in ["iss", "sub", "exp", "events", "nonce", "jti"] {
        assert_eq!(
            request().with_claim(name, 1).unwrap_err().code(),
            "forbidden_claim"
        );
    }
    let signed = issuer
        .issue(
            &request()
                .with_claim("https://example.com/c", 1)
                .unwrap()
                .with_transaction("cause"),
            at(NOW),
        )
        .unwrap();
    let payload = base64url::decode(signed.compact.split('.').nth(1).unwrap(), "payload").unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(
        (&claims["https://example.com/c"], &claims["txn"]),
        (&json!(1), &json!("cause"))
    );
    assert!(
        issuer
            .issue(
                &SetRequest::new("https://a b", subject(), SessionRevoked::default()),
                at(NOW)
            )
            .is_err()
    );
    assert!(SetIssuer::new(key("k"), PROVIDER, "").is_err());
    assert!(SetIssuer::new(key("k"), PROVIDER, "https://a b").is_err());
    let late = SetRequest::new(
        AUDIENCE,
        subject(),
        SessionRevoked::new(Common::at(NOW + 1)),
    );
    assert_eq!(
        issuer.issue(&late, at(NOW)).unwrap_err().code(),
        "event_after_issue"
    );
    let ids: HashSet<_> = (0..200)
        .map(|_| issuer.issue(&request(), at(NOW)).unwrap().id)
        .collect();
    assert_eq!(ids.len(), 200);
    assert!(ids.iter().all(|id| id.len() == 22));
}

/// Covers: SET-3-3, SET-2.2-8, SET-2.2-10, SET-A11, SUBID-4.1-2
#[test]
fn a_plain_verifier_takes_plain_sets_by_its_policy() {
    let key = key("k");
    let plain = |policy| SetVerifier::rfc8417(policy, ISSUER, keys(&key), [AUDIENCE]).unwrap();
    let both = json!({"sub": "a", "sub_id": "DELETE", "events": {"https://example.com/unknown": {}, SessionRevoked::URI: {}}});
    let token = sign(&key, &changed(&both));
    assert_eq!(
        code(plain(EventPolicy::Single).verify(&token, at(NOW))),
        "event_count"
    );
    assert_eq!(
        code(plain(EventPolicy::AllUnderstood).verify(&token, at(NOW))),
        "unknown_event"
    );
    let set = plain(EventPolicy::IgnoreUnknown)
        .verify(&token, at(NOW))
        .unwrap();
    assert_eq!(set.events().len(), 1);
    assert_eq!((set.sub(), set.subject()), (Some("a"), None));
    let expired = sign(
        &key,
        &changed(&json!({"iat": NOW - 7200, "exp": NOW - 3600})),
    );
    assert_eq!(
        code(plain(EventPolicy::Single).verify(&expired, at(NOW))),
        "expired"
    );
    let lives = sign(&key, &changed(&json!({"exp": NOW + 3600})));
    assert_eq!(
        code(plain(EventPolicy::Single).verify(&lives, at(NOW))),
        "valid"
    );
    let silent = sign(&key, &changed(&json!({"aud": "DELETE"})));
    assert_eq!(
        code(plain(EventPolicy::Single).verify(&silent, at(NOW))),
        "missing_claim"
    );
    let lax = plain(EventPolicy::Single).with_audience_optional().unwrap();
    assert_eq!(code(lax.verify(&silent, at(NOW))), "valid");
    let foreign = sign(&key, &changed(&json!({"aud": "https://other.example"})));
    assert_eq!(code(lax.verify(&foreign, at(NOW))), "audience_mismatch");
    let many: serde_json::Map<_, _> = (0..17)
        .map(|i| (format!("https://example.com/{i}"), json!({})))
        .collect();
    let many = sign(&key, &changed(&json!({"events": many})));
    assert_eq!(
        code(plain(EventPolicy::IgnoreUnknown).verify(&many, at(NOW))),
        "event_count"
    );
}

/// Covers: SET-PUSH-A4, SET-2.3-4
#[test]
fn a_verifier_without_audience_or_issuer_does_not_exist() {
    let key = key("k");
    assert!(SetVerifier::ssf(ISSUER, keys(&key), Vec::<String>::new()).is_err());
    assert!(SetVerifier::ssf(ISSUER, keys(&key), [""]).is_err());
    assert!(SetVerifier::ssf("", keys(&key), [AUDIENCE]).is_err());
    assert!(verifier(&key).with_audience_optional().is_err());
    assert!(verifier(&key).with_typ_optional().is_err());
    assert!(
        verifier(&key)
            .with_leeway(Duration::from_secs(301))
            .is_err()
    );
    // Late SETs are normal, unless the receiver says otherwise.
    let old = sign(&key, &changed(&json!({"iat": NOW - 1_000_000})));
    assert_eq!(code(verifier(&key).verify(&old, at(NOW))), "valid");
    let strict = verifier(&key).with_max_age(Duration::from_secs(600));
    assert_eq!(code(strict.verify(&old, at(NOW))), "too_old");
}

/// Covers: SET-PUSH-2.4-1, SET-PUSH-2.4-2, SET-PUSH-2.4-3, SET-PUSH-2.4-4, SET-PUSH-2.4-8
#[test]
fn each_refusal_has_its_set_error_code() {
    let key = key("k");
    for (change, expected) in [
        (
            json!({"iss": "https://other.example"}),
            SetErrorCode::InvalidIssuer,
        ),
        (
            json!({"aud": "https://other.example"}),
            SetErrorCode::InvalidAudience,
        ),
        (json!({"aud": "DELETE"}), SetErrorCode::InvalidAudience),
        (json!({"jti": "DELETE"}), SetErrorCode::InvalidRequest),
        (
            json!({"events": {format!("{CAEP}credential-change"): {"credential_type": "x509"}}}),
            SetErrorCode::InvalidRequest,
        ),
    ] {
        let error = verifier(&key)
            .verify(&sign(&key, &changed(&change)), at(NOW))
            .unwrap_err();
        assert_eq!(error.set_error_code(), Some(expected), "{change}");
    }
    let unknown = SetErrorCode::from_name("Jws_failed");
    assert_eq!(unknown, SetErrorCode::Other("Jws_failed".to_owned()));
    assert_eq!(
        SetErrorCode::from_name("invalid_key").as_str(),
        "invalid_key"
    );
}

/// Covers: SET-2.2-15, CAEP-3.1.1-2
#[test]
fn the_best_time_of_the_event_is_used() {
    let key = key("k");
    let time = |change: Value| {
        let set = verifier(&key)
            .verify(&sign(&key, &changed(&change)), at(NOW))
            .unwrap();
        assert!(matches!(set.event(), Event::SessionRevoked(_)));
        set.time_of_event()
    };
    assert_eq!(time(json!({})), NOW);
    assert_eq!(time(json!({"toe": NOW - 10})), NOW - 10);
    let event = json!({SessionRevoked::URI: {"event_timestamp": NOW - 20}});
    assert_eq!(time(json!({"toe": NOW - 10, "events": event})), NOW - 20);
}
