//! What a receiver has to know beyond the token: who may speak for whom, when, and in which order.
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
use jose_x509::jwt::{Audience, Issuer, Type, Validator};
use serde_json::{Map, Value, json};
use ssf_set::caep::{AssuranceLevelChange, ChangeDirection, Common, SessionRevoked};
use ssf_set::risc::{Account, AccountState, OptOut, Outcome, RiscEvent, RiscType};
use ssf_set::{
    Authority, ComplexSubject, Event, EventPolicy, LanguageMap, PrimarySubject, SetErrorCode,
    SetIssuer, SetRequest, SetVerifier, Subject, SubjectIdentifier,
};

const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";

fn plain(key: &jose_x509::SigningKey) -> SetVerifier {
    SetVerifier::rfc8417(EventPolicy::Single, ISSUER, keys(key), [AUDIENCE]).unwrap()
}

fn email(address: &str) -> Subject {
    SubjectIdentifier::email(address).unwrap().into()
}

/// Covers: CAEP-A1, RISC-A1, RISC-A4, RISC-2.5-5
#[test]
fn issuers_speak_for_their_own() {
    let key = key("k");
    let authority = Authority::none()
        .email_domain("example.com")
        .issuer("https://idp.example.com")
        .uri("spiffe://example.org/")
        .tenant("acme");
    let verifier = verifier(&key).with_authority(ISSUER, authority);
    let opaque = |id: &str| json!({"format": "opaque", "id": id});
    let mail = |email: &str| json!({"format": "email", "email": email});
    let complex = |members: Value| {
        let mut members = members;
        members["format"] = json!("complex");
        members
    };
    let revoked = format!("{CAEP}session-revoked");
    let changed_name = format!("{RISC}identifier-changed");
    let disabled = format!("{RISC}account-disabled");
    for (subject, event, expected) in [
        (mail("a@example.com"), &revoked, "valid"),
        (mail("a@EXAMPLE.com"), &changed_name, "valid"),
        (mail("a@mail.example.com"), &revoked, "no_authority"),
        (mail("victim@example.net"), &changed_name, "no_authority"),
        (mail("victim@example.net"), &disabled, "no_authority"),
        (
            mail("a@example.com@example.net"),
            &revoked,
            "subject_member",
        ),
        (
            json!({"format": "iss_sub", "iss": "https://idp.example.com", "sub": "1"}),
            &revoked,
            "valid",
        ),
        (
            json!({"format": "iss_sub", "iss": "https://idp.example.com/", "sub": "1"}),
            &revoked,
            "no_authority",
        ),
        (
            json!({"format": "uri", "uri": "spiffe://example.org/agent"}),
            &revoked,
            "valid",
        ),
        (
            json!({"format": "uri", "uri": "spiffe://example.org"}),
            &revoked,
            "valid",
        ),
        (
            json!({"format": "uri", "uri": "spiffe://example.org.evil/agent"}),
            &revoked,
            "no_authority",
        ),
        (opaque("s1"), &revoked, "no_authority"),
        (
            complex(json!({"tenant": opaque("acme"), "user": opaque("u1")})),
            &revoked,
            "valid",
        ),
        (
            complex(json!({"tenant": opaque("rival"), "user": opaque("u1")})),
            &revoked,
            "no_authority",
        ),
        // One's own tenant is no licence for another's users.
        (
            complex(json!({"tenant": opaque("acme"), "user": mail("a@example.net")})),
            &revoked,
            "no_authority",
        ),
        (
            complex(json!({"user": opaque("u1")})),
            &revoked,
            "no_authority",
        ),
        (
            json!({"format": "aliases", "identifiers": [mail("a@example.com"), mail("b@example.net")]}),
            &revoked,
            "no_authority",
        ),
        (
            json!({"format": "aliases", "identifiers": [mail("a@example.com"), mail("b@example.com")]}),
            &revoked,
            "valid",
        ),
        (
            json!({"format": "https://example.com/f", "x": 1}),
            &revoked,
            "no_authority",
        ),
    ] {
        let claims = changed(&json!({"sub_id": subject, "events": {event.as_str(): {}}}));
        let result = verifier.verify(&sign(&key, &claims), at(NOW));
        if let Err(error) = &result {
            if expected == "no_authority" {
                assert_eq!(error.set_error_code(), Some(SetErrorCode::AccessDenied));
            }
        }
        assert_eq!(code(result), expected, "{claims}");
    }

    // The stream itself is the issuer's own.
    let verification = json!({
        "sub_id": opaque("stream"),
        "events": {"https://schemas.openid.net/secevent/ssf/event-type/verification": {}},
    });
    let set = verifier.verify(&sign(&key, &changed(&verification)), at(NOW));
    assert_eq!(code(set), "valid");

    let carrier = Authority::none().phone_numbers().opaque();
    let number = SubjectIdentifier::phone_number("+12065550123").unwrap();
    assert!(carrier.covers(&number.into()));
    assert!(carrier.covers(&SubjectIdentifier::opaque("x").unwrap().into()));
    let addresses = SubjectIdentifier::ip_addresses(["192.0.2.1".parse().unwrap()]).unwrap();
    assert!(!carrier.covers(&addresses.into()));
}

/// Covers: SET-3-1, SUBID-4.1-4, SUBID-4.1-5, SUBID-4.2-1
#[test]
fn the_subject_comes_from_one_claim() {
    let key = key("k");
    let known = json!({"format": "iss_sub", "iss": "https://elsewhere.example", "sub": "2"});
    let unknown = json!({"format": "https://example.com/f", "x": 1});
    for (sub, sub_id, expected) in [
        (json!("DELETE"), known.clone(), Some("sub_id")),
        (json!("DELETE"), unknown.clone(), Some("sub_id")),
        (json!("1"), known, Some("sub_id")),
        (json!("1"), unknown, Some("sub")),
        (json!("1"), json!("DELETE"), Some("sub")),
        (json!("DELETE"), json!("DELETE"), None),
    ] {
        let claims = changed(&json!({"sub": sub, "sub_id": sub_id}));
        let set = plain(&key).verify(&sign(&key, &claims), at(NOW)).unwrap();
        let found = set.primary_subject().map(|subject| match subject {
            PrimarySubject::SubId(subject) => {
                assert_eq!(subject.to_value(), claims["sub_id"]);
                "sub_id"
            }
            PrimarySubject::Sub { issuer, sub } => {
                assert_eq!((issuer, sub), (ISSUER, "1"));
                "sub"
            }
            _ => "other",
        });
        assert_eq!(found, expected, "{claims}");
    }
}

/// Covers: SET-5.4-1, CAEP-A3
#[test]
fn a_late_revocation_ends_no_newer_session() {
    let key = key("k");
    let event = format!("{CAEP}session-revoked");
    for (toe, timestamp, time) in [
        (json!("DELETE"), None, NOW),
        (json!(NOW - 50), None, NOW - 50),
        (json!(NOW - 50), Some(NOW - 100), NOW - 100),
    ] {
        let payload = timestamp.map_or(json!({}), |time| json!({"event_timestamp": time}));
        let claims = changed(&json!({"toe": toe, "events": {event.as_str(): payload}}));
        let set = verifier(&key)
            .verify(&sign(&key, &claims), at(NOW + 20))
            .unwrap();
        assert!(set.ends_session_of(time - 10));
        assert!(set.ends_session_of(time));
        assert!(!set.ends_session_of(time + 10));
    }
}

/// Covers: SET-5.3-1
#[test]
fn order_is_the_order_of_arrival() {
    let key = key("k");
    let verifier = verifier(&key);
    for (id, iat) in [("later", NOW), ("earlier", NOW - 500)] {
        let claims = changed(&json!({"jti": id, "iat": iat, "toe": iat - 1}));
        let set = verifier.verify(&sign(&key, &claims), at(NOW)).unwrap();
        assert_eq!(
            (set.id(), set.issued_at(), set.toe()),
            (id, iat, Some(iat - 1))
        );
    }
}

/// Covers: SET-2-6
#[test]
fn payloads_do_not_speak_for_the_envelope() {
    let key = key("k");
    let payload = json!({"iss": "https://evil.example", "sub": "root", "exp": 1, "jti": 7});
    let claims = changed(&json!({"events": {"https://example.com/e": payload}}));
    let set = verifier(&key)
        .verify(&sign(&key, &claims), at(NOW))
        .unwrap();
    assert_eq!((set.issuer(), set.id(), set.sub()), (ISSUER, "j1", None));
    let Event::Unknown(event) = set.event() else {
        panic!("it is not known");
    };
    assert_eq!(Value::Object(event.payload().clone()), payload);
}

/// Covers: SET-2-5, SET-2.2-12, SET-3-4, SUBID-4.1-3
#[test]
fn several_events_are_several_sets() {
    let signing = key("k");
    let verifier = verifier(&signing);
    let issuer = SetIssuer::new(signing, PROVIDER, ISSUER).unwrap();
    let request = |user: &str| {
        let event = SessionRevoked::new(Common::at(NOW));
        SetRequest::new(AUDIENCE, email(user), event).with_transaction("one cause")
    };
    let requests = [
        request("a@example.com"),
        request("b@example.com"),
        request("c@example.com"),
    ];
    let sets = issuer.issue_each(&requests, at(NOW)).unwrap();
    let ids: HashSet<_> = sets.iter().map(|set| set.id.clone()).collect();
    assert_eq!(ids.len(), 3);
    for (set, user) in sets
        .iter()
        .zip(["a@example.com", "b@example.com", "c@example.com"])
    {
        let set = verifier.verify(&set.compact, at(NOW)).unwrap();
        assert_eq!(set.subject(), Some(&email(user)));
        assert_eq!(
            (set.events().len(), set.transaction()),
            (1, Some("one cause"))
        );
    }
    // A subject is named once.
    assert!(request("a@example.com").with_claim("sub", "a").is_err());
}

/// A SET is no access token, whatever its claims.
#[test]
fn no_bearer_token() {
    let key = key("k");
    let claims =
        changed(&json!({"exp": NOW + 600, "sub": "u", "client_id": "c", "scope": "admin"}));
    let compact = sign(&key, &claims);
    let access = Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::Exactly(ISSUER.into()),
        Audience::AnyOf(vec![AUDIENCE.into()]),
    );
    let refused = access.validate(&compact, keys(&key).as_ref(), at(NOW));
    assert_eq!(refused.unwrap_err().code(), "wrong_type");
}

/// Covers: RISC-2-3, RISC-3.1-1, RISC-3.1-2, RISC-3.1-3, RISC-A6
#[test]
fn subjects_of_older_transmitters() {
    let key = key("k");
    let (strict, legacy) = (verifier(&key), verifier(&key).with_legacy_subjects(ISSUER));
    let uri = format!("{RISC}account-disabled");
    let event = |subject: Value| json!({uri.as_str(): {"reason": "hijacking", "subject": subject}});
    let user = json!({"format": "iss_sub", "iss": "https://idp.example", "sub": "7"});
    let old = |kind: &str| json!({"subject_type": kind, "iss": "https://idp.example", "sub": "7"});
    let both = json!({"subject_type": "email", "format": "iss_sub", "iss": "https://idp.example", "sub": "7"});
    for (subject, expected) in [
        (old("iss-sub"), "valid"),
        (old("iss_sub"), "valid"),
        (old("id_token_claims"), "valid"),
        (old("id-token-claims"), "valid"),
        (user.clone(), "valid"),
        (both, "valid"),
        (
            json!({"iss": "https://idp.example", "sub": "7"}),
            "subject_member",
        ),
        (json!({"subject_type": 1}), "subject_member"),
        (json!("7"), "subject_member"),
    ] {
        let claims = changed(&json!({"sub_id": "DELETE", "events": event(subject)}));
        let compact = sign(&key, &claims);
        assert_eq!(code(strict.verify(&compact, at(NOW))), "missing_claim");
        let read = legacy.verify(&compact, at(NOW));
        if let Ok(set) = &read {
            assert_eq!(set.subject().unwrap().to_value(), user);
        }
        assert_eq!(code(read), expected, "{claims}");
    }
    let phone = json!({"subject_type": "phone", "phone": "+12065550123"});
    let claims = changed(&json!({"sub_id": "DELETE", "events": event(phone)}));
    let set = legacy.verify(&sign(&key, &claims), at(NOW)).unwrap();
    let number = SubjectIdentifier::phone_number("+12065550123").unwrap();
    assert_eq!(set.subject(), Some(&number.into()));

    // `sub_id` wins and both have to agree; for other issuers the payload's means nothing.
    let other = json!({"format": "iss_sub", "iss": "https://idp.example", "sub": "8"});
    for (subject, verifier, expected) in [
        (old("iss-sub"), &legacy, "valid"),
        (other.clone(), &legacy, "claim_type"),
        (other, &strict, "valid"),
    ] {
        let claims = changed(&json!({"sub_id": user, "events": event(subject)}));
        let read = verifier.verify(&sign(&key, &claims), at(NOW));
        if let Ok(set) = &read {
            assert_eq!(set.subject().unwrap().to_value(), user);
        }
        assert_eq!(code(read), expected);
    }
    // `subject_type` alone is no format.
    let claims = changed(&json!({"sub_id": old("iss_sub")}));
    assert_eq!(
        code(strict.verify(&sign(&key, &claims), at(NOW))),
        "subject_member"
    );

    // What is sent has neither.
    let issuer = SetIssuer::new(key, PROVIDER, ISSUER).unwrap();
    let event = RiscEvent::new(RiscType::AccountDisabled).unwrap();
    let sent = issuer.issue(
        &SetRequest::new(AUDIENCE, email("a@example.com"), event),
        at(NOW),
    );
    let set = strict.verify(&sent.unwrap().compact, at(NOW)).unwrap();
    let text = Value::Object(set.claims().clone()).to_string();
    assert!(set.claims().contains_key("sub_id"));
    assert!(!text.contains("subject_type") && !text.contains("\"subject\""));
}

/// Covers: RISC-2.5-3, RISC-2.5-6
#[test]
fn changed_identifiers_have_the_old_value_as_subject() {
    let old = SubjectIdentifier::email("old@example.com").unwrap();
    let (subject, event) = RiscEvent::identifier_changed(old, Some("new@example.com")).unwrap();
    assert_eq!(subject, email("old@example.com"));
    assert_eq!(
        Event::from(event).to_payload()["new-value"],
        "new@example.com"
    );
    let number = SubjectIdentifier::phone_number("+12065550123").unwrap();
    let (_, event) = RiscEvent::identifier_changed(number, None).unwrap();
    assert!(Event::from(event).to_payload().is_empty());
    let user = SubjectIdentifier::iss_sub("https://idp.example", "7").unwrap();
    assert!(RiscEvent::identifier_changed(user, None).is_err());
    let old = SubjectIdentifier::email("old@example.com").unwrap();
    assert!(RiscEvent::identifier_changed(old, Some("")).is_err());
}

/// Covers: RISC-2.8-1, RISC-2.8-2, RISC-2.8-3, RISC-2.8-4, RISC-2.8-5, RISC-A2
#[test]
fn opting_out() {
    let delay = Duration::from_secs(3600);
    let kind = |event: Result<RiscEvent, ssf_set::Error>| event.ok().map(|event| event.kind);
    let state = || {
        let mut initiated = OptOut::default();
        initiated.initiate(NOW).unwrap();
        let mut out = initiated;
        out.complete(delay, NOW + 3600).unwrap();
        [OptOut::default(), initiated, out]
    };
    let [opted_in, initiated, out] = state();
    assert_eq!(opted_in, OptOut::OptedIn);
    for (state, sends, sends_opt_in) in [
        (opted_in, true, true),
        (initiated, true, true),
        (out, false, true),
    ] {
        assert_eq!(state.allows(RiscType::AccountDisabled), sends);
        assert_eq!(state.allows(RiscType::OptIn), sends_opt_in);
    }

    // Each transition from each state: its event, or nothing at all.
    type Step = fn(&mut OptOut) -> Result<RiscEvent, ssf_set::Error>;
    let steps: [(Step, [Option<OptOut>; 3], RiscType); 4] = [
        (
            |s| s.initiate(NOW),
            [Some(initiated), None, None],
            RiscType::OptOutInitiated,
        ),
        (
            OptOut::cancel,
            [None, Some(opted_in), None],
            RiscType::OptOutCancelled,
        ),
        (
            |s| s.complete(Duration::from_secs(3600), NOW + 3600),
            [None, Some(out), None],
            RiscType::OptOutEffective,
        ),
        (
            OptOut::opt_in,
            [None, None, Some(opted_in)],
            RiscType::OptIn,
        ),
    ];
    for (step, expected, event) in steps {
        for (mut from, to) in state().into_iter().zip(expected) {
            let before = from;
            assert_eq!(kind(step(&mut from)), to.map(|_| event));
            assert_eq!(from, to.unwrap_or(before));
        }
    }
    // Not before the delay is over.
    let mut early = initiated;
    assert!(early.complete(delay, NOW + 3599).is_err());
    assert_eq!(early, initiated);

    // The other side follows, and takes an opt-out that it did not see coming.
    let mut seen = OptOut::default();
    assert!(seen.receive(RiscType::OptOutInitiated, NOW));
    assert!(!seen.receive(RiscType::OptOutInitiated, NOW + 1));
    assert_eq!(seen, initiated);
    assert!(seen.receive(RiscType::OptOutCancelled, NOW));
    assert!(!seen.receive(RiscType::OptIn, NOW));
    assert!(!seen.receive(RiscType::OptOutEffective, NOW));
    assert_eq!(seen, OptOut::OptedOut);
    assert!(seen.receive(RiscType::AccountPurged, NOW));
    assert!(seen.receive(RiscType::OptIn, NOW));
    assert_eq!(seen, OptOut::OptedIn);
}

/// Covers: RISC-2.4-2, RISC-A3
#[test]
fn accounts_follow_the_events_in_their_own_order() {
    use RiscType::{AccountDisabled, AccountEnabled, AccountPurged, IdentifierRecycled};
    let mut account = Account::default();
    for (kind, time, outcome, state) in [
        (AccountEnabled, NOW, Outcome::Applied, AccountState::Enabled),
        (
            AccountDisabled,
            NOW + 20,
            Outcome::Applied,
            AccountState::Disabled,
        ),
        // Played again, or late.
        (
            AccountEnabled,
            NOW + 10,
            Outcome::Stale,
            AccountState::Disabled,
        ),
        (
            AccountEnabled,
            NOW + 20,
            Outcome::Stale,
            AccountState::Disabled,
        ),
        (
            AccountEnabled,
            NOW + 30,
            Outcome::Applied,
            AccountState::Enabled,
        ),
        (
            AccountDisabled,
            NOW + 30,
            Outcome::Applied,
            AccountState::Disabled,
        ),
        (
            IdentifierRecycled,
            NOW + 40,
            Outcome::Unhandled,
            AccountState::Disabled,
        ),
        (
            AccountPurged,
            NOW + 40,
            Outcome::Applied,
            AccountState::Purged,
        ),
        (
            AccountEnabled,
            NOW + 50,
            Outcome::Inconsistent,
            AccountState::Purged,
        ),
        (
            AccountDisabled,
            NOW + 50,
            Outcome::Inconsistent,
            AccountState::Purged,
        ),
        (
            AccountPurged,
            NOW + 30,
            Outcome::Stale,
            AccountState::Purged,
        ),
    ] {
        assert_eq!(
            (account.receive(kind, time), account.state()),
            (outcome, state),
            "{kind:?} {time}"
        );
    }
}

/// Covers: CAEP-A5
#[test]
fn reasons_for_administrators_stay_with_them() {
    let admin = LanguageMap::new("en", "rule 17 of the internal policy").unwrap();
    let user = LanguageMap::new("de", "Bitte neu anmelden").unwrap();
    let common = Common::default().with_reason_admin(admin);
    assert_eq!(common.reason_for_user("en"), None);
    let common = common.with_reason_user(user);
    assert_eq!(common.reason_for_user("en"), Some("Bitte neu anmelden"));
}

/// Covers: CAEP-A6, CAEP-3.4.1-6
#[test]
fn directions_that_contradict_the_levels() {
    use ChangeDirection::{Decrease, Increase};
    for (namespace, before, now, direction, contradicts) in [
        ("NIST-AAL", "nist-aal1", "nist-aal2", Increase, false),
        ("NIST-AAL", "nist-aal2", "nist-aal1", Increase, true),
        ("NIST-AAL", "nist-aal2", "nist-aal2", Increase, true),
        ("NIST-AAL", "nist-aal1", "nist-aal2", Decrease, true),
        ("NIST-IAL", "3", "1", Decrease, false),
        ("RFC8176", "face2", "face1", Increase, false),
        ("NIST-AAL", "low", "high", Decrease, false),
    ] {
        let event = AssuranceLevelChange::new(Common::default(), namespace, now)
            .unwrap()
            .with_previous(before, direction);
        assert_eq!(
            event.direction_contradicts_levels(),
            contradicts,
            "{namespace} {before} {now}"
        );
    }
    let bare = AssuranceLevelChange::new(Common::default(), "NIST-AAL", "nist-aal1").unwrap();
    assert!(!bare.direction_contradicts_levels());
    assert_eq!(bare.change_direction, None);
    assert!(
        !Event::from(bare)
            .to_payload()
            .contains_key("change_direction")
    );
}

/// Covers: CAEP-A7
#[test]
fn changed_claims_are_a_notice() {
    let key = key("k");
    let claims = changed(&json!({
        "sub_id": {"format": "jwt_id", "iss": "https://idp.example", "jti": "t"},
        "events": {format!("{CAEP}token-claims-change"): {"claims": {"role": "admin", "iss": "x"}}},
    }));
    let set = verifier(&key)
        .verify(&sign(&key, &claims), at(NOW))
        .unwrap();
    let Event::TokenClaimsChange(event) = set.event() else {
        panic!("another event");
    };
    assert_eq!(event.claims["role"], "admin");
    // They stay where they are: the token around them has not changed.
    assert!(!set.claims().contains_key("role"));
    assert_eq!((set.issuer(), set.jwt().issuer()), (ISSUER, Some(ISSUER)));
}

/// Covers: CAEP-3.1-3, CAEP-3.2.1-3, CAEP-3.3.1-8, CAEP-3.4.1-9, CAEP-3.5.1-3
#[test]
fn times_of_events_pass_through() {
    let key = key("k");
    let opaque = json!({"format": "opaque", "id": "session-1"});
    let complex =
        json!({"format": "complex", "user": {"format": "email", "email": "a@example.com"}});
    for subject in [opaque, complex] {
        for (name, payload) in [
            ("session-revoked", json!({})),
            ("token-claims-change", json!({"claims": {"role": "x"}})),
            (
                "credential-change",
                json!({"credential_type": "password", "change_type": "update"}),
            ),
            (
                "assurance-level-change",
                json!({"namespace": "NIST-AAL", "current_level": "nist-aal1"}),
            ),
            (
                "device-compliance-change",
                json!({"previous_status": "compliant", "current_status": "not-compliant"}),
            ),
        ] {
            let mut payload = payload;
            payload["event_timestamp"] = json!(NOW - 7);
            let claims =
                changed(&json!({"sub_id": subject, "events": {format!("{CAEP}{name}"): payload}}));
            let set = verifier(&key)
                .verify(&sign(&key, &claims), at(NOW))
                .unwrap();
            assert_eq!(set.event().timestamp(), Some(NOW - 7), "{name}");
            assert_eq!(set.event().to_payload()["event_timestamp"], NOW - 7);
        }
    }
}

/// Covers: SUBID-3.2-1, SUBID-3.2.2-2
#[test]
fn the_most_specific_format() {
    for (uri, format) in [
        ("mailto:a@example.com", "email"),
        ("MAILTO:a@example.com", "email"),
        ("acct:a@example.com", "account"),
        ("did:example:123#key", "did"),
        ("spiffe://example.org/agent", "uri"),
        ("https://example.com/", "uri"),
    ] {
        assert_eq!(
            SubjectIdentifier::from_uri(uri).unwrap().format(),
            format,
            "{uri}"
        );
    }
    for bad in ["", "mailto:", "mailto:a@b@", "acct:", "no uri"] {
        assert!(SubjectIdentifier::from_uri(bad).is_err(), "{bad}");
    }
    let address =
        |local: usize, domain: usize| format!("{}@{}", "l".repeat(local), "d".repeat(domain));
    assert!(SubjectIdentifier::email(&address(64, 189)).is_ok());
    assert!(SubjectIdentifier::email(&address(65, 20)).is_err());
    assert!(SubjectIdentifier::email(&address(64, 190)).is_err());
}

/// Covers: SUBID-3-2, SUBID-5-1, SUBID-8.1-1, SUBID-8.1-2, SUBID-3.1-1
#[test]
fn formats_of_ones_own_have_names_of_ones_own() {
    let members = || Map::from_iter([("id".to_owned(), json!("7"))]);
    for name in ["https://example.com/fmt", "example.com:fmt", "example.com"] {
        let custom = SubjectIdentifier::custom(name, members()).unwrap();
        assert_eq!(custom.to_value(), json!({"format": name, "id": "7"}));
    }
    for name in ["foo", "", "email", "a name.", &"x".repeat(21)] {
        assert!(
            SubjectIdentifier::custom(name, members()).is_err(),
            "{name}"
        );
    }
    assert!(SubjectIdentifier::custom("example.com:fmt", Map::new()).is_err());
    let shadowed = Map::from_iter([("format".to_owned(), json!("email"))]);
    assert!(SubjectIdentifier::custom("example.com:fmt", shadowed).is_err());

    for name in ["iss_sub", "ip-addresses", "a", &"x".repeat(20)] {
        assert!(SubjectIdentifier::is_registrable_format(name), "{name}");
    }
    for name in ["Iss_Sub", "iss.sub", "", &"x".repeat(21)] {
        assert!(!SubjectIdentifier::is_registrable_format(name), "{name}");
    }
    // A format is an encoding: an address may stand for a device.
    let device = SubjectIdentifier::email("printer@example.com").unwrap();
    assert!(ComplexSubject::new("device", device).is_ok());
}

/// Covers: SUBID-6.1-1, SUBID-A8
#[test]
fn nobody_is_told_more_names_than_were_given() {
    let key = key("k");
    let verifier = verifier(&key);
    let issuer = SetIssuer::new(key, PROVIDER, ISSUER).unwrap();
    let aliases = SubjectIdentifier::aliases([
        SubjectIdentifier::email("a@example.com").unwrap(),
        SubjectIdentifier::phone_number("+12065550123").unwrap(),
    ]);
    for subject in [email("a@example.com"), aliases.unwrap().into()] {
        let event = SessionRevoked::new(Common::default());
        let request = SetRequest::new(AUDIENCE, subject.clone(), event);
        let set = issuer.issue(&request, at(NOW)).unwrap();
        let set = verifier.verify(&set.compact, at(NOW)).unwrap();
        assert_eq!(set.claims()["sub_id"], subject.to_value());
    }
}

/// What a subject points at is never fetched: there is nothing here to fetch with.
///
/// Covers: SUBID-3.2.7-2, SUBID-A7
#[test]
fn no_network_among_the_dependencies() {
    let manifest = include_str!("../Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let mut names: Vec<_> = dependencies
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect();
    names.sort_unstable();
    let expected = ["jose-x509", "pki-types", "serde", "serde_json", "thiserror"];
    assert_eq!(names, expected);
}
