//! Events: read by their own URI, strict where the vocabulary is closed, and kept where unknown.
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

use common::*;
use serde_json::{Map, Value, json};
use ssf_set::caep::{self, Common, RiskLevel, RiskLevelChange, SessionRevoked};
use ssf_set::risc::{RiscEvent, RiscType};
use ssf_set::ssf::{StreamStatus, StreamUpdated, Verification};
use ssf_set::{
    Error, Escaped, Event, LanguageMap, SetIssuer, SetRequest, SubjectIdentifier, UnknownEvent,
};

fn read_about(uri: &str, payload: &Value, subject: Value) -> Result<Event, Error> {
    let key = key("k");
    let claims = changed(&json!({"events": {uri: payload}, "sub_id": subject}));
    let set = verifier(&key).verify(&sign(&key, &claims), at(NOW))?;
    Ok(set.event().clone())
}

fn read(name: &str, payload: &Value) -> Result<Event, Error> {
    read_about(
        &format!("{CAEP}{name}"),
        payload,
        json!({"format": "opaque", "id": "s"}),
    )
}

/// Covers: CAEP-2-1, CAEP-2-2, CAEP-2-3, CAEP-2-4, CAEP-2-5, CAEP-2-6, CAEP-2-7, CAEP-2-8, CAEP-3-1, CAEP-3-3
/// Covers: CAEP-3.1-1, CAEP-3.2-1, CAEP-3.2.1-1, CAEP-3.2.1-2, CAEP-3.3-1, CAEP-3.3.1-1, CAEP-3.3.1-2, CAEP-3.3.1-3
/// Covers: CAEP-3.3.1-4, CAEP-3.3.1-5, CAEP-3.3.1-6, CAEP-3.3.1-7, CAEP-3.4-1, CAEP-3.4.1-1, CAEP-3.4.1-2, CAEP-3.4.1-3
/// Covers: CAEP-3.4.1-4, CAEP-3.5-1, CAEP-3.5.1-1, CAEP-3.5.1-2, CAEP-3.6-1, CAEP-3.6.1-1, CAEP-3.6.1-3, CAEP-3.6.1-4
/// Covers: CAEP-3.6.1-5, CAEP-3.7-1, CAEP-3.7.1-1, CAEP-3.7.1-2, CAEP-3.8-1, CAEP-3.8.1-1, CAEP-3.8.1-2, CAEP-3.8.1-3
/// Covers: CAEP-3.8.1-4, SET-2.2-13, SSF-4.2.2-1
#[test]
fn caep_events_round_trip_with_what_is_not_known() {
    for (name, payload) in [
        ("session-revoked", json!({})),
        (
            "session-revoked",
            json!({"event_timestamp": NOW, "initiating_entity": "policy", "reason_admin": {"en": "a", "es-410": "b"}, "reason_user": {"en": "c"}, "x": [null]}),
        ),
        (
            "token-claims-change",
            json!({"claims": {"role": null, "https://a/b": [1]}}),
        ),
        (
            "credential-change",
            json!({"credential_type": "fido2-roaming", "change_type": "create", "fido2_aaguid": "accced6a-63f5-490a-9eea-e59bc1896cfc", "friendly_name": "f"}),
        ),
        (
            "credential-change",
            json!({"credential_type": "custom", "change_type": "revoke", "x509_issuer": "CN=a", "x509_serial": "0a"}),
        ),
        (
            "assurance-level-change",
            json!({"namespace": "NIST-AAL", "current_level": "nist-aal2", "previous_level": "nist-aal1", "change_direction": "increase"}),
        ),
        (
            "assurance-level-change",
            json!({"namespace": "own", "current_level": "2"}),
        ),
        (
            "device-compliance-change",
            json!({"previous_status": "compliant", "current_status": "not-compliant"}),
        ),
        (
            "session-established",
            json!({"fp_ua": "x", "acr": "y", "amr": ["pwd"], "ext_id": "z"}),
        ),
        (
            "session-presented",
            json!({"fp_ua": "x", "ext_id": "z", "initiating_entity": "user"}),
        ),
        (
            "risk-level-change",
            json!({"principal": "USER", "current_level": "HIGH", "previous_level": "LOW", "risk_reason": "PASSWORD_FOUND_IN_DATA_BREACH"}),
        ),
        (
            "risk-level-change",
            json!({"principal": "WORKLOAD", "current_level": "LOW"}),
        ),
        ("not-yet-defined", json!({"a": 1})),
    ] {
        let event = read(name, &payload).unwrap();
        assert_eq!(event.uri(), format!("{CAEP}{name}"));
        assert_eq!(Value::Object(event.to_payload()), payload);
        assert_eq!(Event::is_known(event.uri()), name != "not-yet-defined");
        assert_eq!(
            matches!(event, Event::Unknown(_)),
            name == "not-yet-defined"
        );
    }
}

/// Covers: CAEP-2-1, CAEP-2-3, CAEP-2-5, CAEP-2-7, CAEP-3.2.1-1, CAEP-3.3.1-1, CAEP-3.3.1-3, CAEP-3.4.1-1, CAEP-3.4.1-3
/// Covers: CAEP-3.4.1-7, CAEP-3.5.1-1, CAEP-3.5.1-2, CAEP-3.6.1-4, CAEP-3.8.1-2, CAEP-3.8.1-3, CAEP-3.8.1-4
/// Covers: CAEP-A9, CAEP-A10, CAEP-A4
#[test]
fn payloads_that_break_their_definition_are_refused() {
    for (name, payload) in [
        ("session-revoked", json!({"event_timestamp": NOW * 1000})),
        ("session-revoked", json!({"event_timestamp": NOW + 61})),
        ("session-revoked", json!({"event_timestamp": -1})),
        ("session-revoked", json!({"event_timestamp": "1"})),
        ("session-revoked", json!({"initiating_entity": "Admin"})),
        ("session-revoked", json!({"initiating_entity": null})),
        ("session-revoked", json!({"reason_admin": "text"})),
        ("session-revoked", json!({"reason_admin": {}})),
        ("session-revoked", json!({"reason_user": {"en": ""}})),
        ("session-revoked", json!({"reason_user": {"e n": "a"}})),
        (
            "session-revoked",
            json!({"reason_user": {"en": "a", "EN": "b"}}),
        ),
        (
            "session-revoked",
            json!({"reason_user": {"en": "a".repeat(4097)}}),
        ),
        ("token-claims-change", json!({})),
        ("token-claims-change", json!({"claims": {}})),
        ("token-claims-change", json!({"claims": []})),
        ("credential-change", json!({"change_type": "create"})),
        (
            "credential-change",
            json!({"credential_type": "", "change_type": "create"}),
        ),
        ("credential-change", json!({"credential_type": "pin"})),
        (
            "credential-change",
            json!({"credential_type": "pin", "change_type": "Create"}),
        ),
        ("assurance-level-change", json!({"current_level": "1"})),
        ("assurance-level-change", json!({"namespace": "NIST-AAL"})),
        (
            "assurance-level-change",
            json!({"namespace": "n", "current_level": "1", "change_direction": "up"}),
        ),
        (
            "device-compliance-change",
            json!({"current_status": "compliant"}),
        ),
        (
            "device-compliance-change",
            json!({"previous_status": "compliant", "current_status": "noncompliant"}),
        ),
        ("session-established", json!({"amr": "pwd"})),
        ("session-established", json!({"amr": [1]})),
        ("risk-level-change", json!({"current_level": "HIGH"})),
        ("risk-level-change", json!({"principal": "USER"})),
        (
            "risk-level-change",
            json!({"principal": "USER", "current_level": "high"}),
        ),
        (
            "risk-level-change",
            json!({"principal": "USER", "current_level": "CRITICAL"}),
        ),
        (
            "risk-level-change",
            json!({"principal": "USER", "current_level": "LOW", "previous_level": ""}),
        ),
    ] {
        assert!(read(name, &payload).is_err(), "{name} {payload}");
    }
    assert!(
        read(
            "session-revoked",
            &json!({"event_timestamp": NOW as f64 - 0.5})
        )
        .is_ok()
    );
}

/// Covers: SET-A14, CAEP-3-2, RISC-2-2, RISC-A7
#[test]
fn look_alikes_are_unknown_events() {
    for uri in [
        format!("{}/", SessionRevoked::URI),
        SessionRevoked::URI.replace("https", "http"),
        SessionRevoked::URI.replace("openid", "OpenID"),
        SessionRevoked::URI.replace("revoked", "%72evoked"),
        SessionRevoked::URI.replace("caep", "risc"),
        RiscType::SessionsRevoked.uri().replace("risc", "caep"),
    ] {
        let event = read_about(&uri, &json!({}), json!({"format": "opaque", "id": "s"})).unwrap();
        assert!(matches!(event, Event::Unknown(_)), "{uri}");
    }
    assert_ne!(SessionRevoked::URI, RiscType::SessionsRevoked.uri());
    assert!(UnknownEvent::new(SessionRevoked::URI, Map::new()).is_err());
    assert!(UnknownEvent::new("no uri", Map::new()).is_err());
}

/// Covers: RISC-2-1, RISC-2.1-1, RISC-2.1-2, RISC-2.2-1, RISC-2.2-2, RISC-2.3-1, RISC-2.3-2, RISC-2.4-1, RISC-2.5-1
/// Covers: RISC-2.5-2, RISC-2.5-4, RISC-2.6-1, RISC-2.6-2, RISC-2.7-1, RISC-2.7-2, RISC-2.7-3, RISC-2.7-4, RISC-2.7-5
/// Covers: RISC-2.8.1-1, RISC-2.8.2-1, RISC-2.8.3-1, RISC-2.8.4-1, RISC-2.9-1, RISC-2.10-1, RISC-2.11-1, RISC-2.11-2, RISC-A8
#[test]
fn risc_events_are_read_and_their_subjects_checked() {
    let email = json!({"format": "email", "email": "a@example.com"});
    let opaque = json!({"format": "opaque", "id": "s"});
    for (name, payload, subject, ok) in [
        (
            "account-credential-change-required",
            json!({}),
            &opaque,
            true,
        ),
        ("account-purged", json!({"x": 1}), &opaque, true),
        (
            "account-disabled",
            json!({"reason": "hijacking"}),
            &opaque,
            true,
        ),
        (
            "account-disabled",
            json!({"reason": "other"}),
            &opaque,
            true,
        ),
        ("account-disabled", json!({"reason": 1}), &opaque, false),
        ("account-enabled", json!({}), &opaque, true),
        (
            "identifier-changed",
            json!({"new-value": "b@example.com"}),
            &email,
            true,
        ),
        ("identifier-changed", json!({}), &opaque, false),
        ("identifier-recycled", json!({}), &email, true),
        ("identifier-recycled", json!({}), &opaque, false),
        (
            "credential-compromise",
            json!({"credential_type": "password", "event_timestamp": NOW, "reason_admin": {"en": "a"}}),
            &opaque,
            true,
        ),
        ("credential-compromise", json!({}), &opaque, false),
        (
            "credential-compromise",
            json!({"credential_type": "password", "event_timestamp": NOW * 1000}),
            &opaque,
            false,
        ),
        ("opt-in", json!({}), &opaque, true),
        ("opt-out-initiated", json!({}), &opaque, true),
        ("opt-out-cancelled", json!({}), &opaque, true),
        ("opt-out-effective", json!({}), &opaque, true),
        ("recovery-activated", json!({}), &opaque, true),
        ("recovery-information-changed", json!({}), &opaque, true),
        ("sessions-revoked", json!({}), &opaque, true),
    ] {
        let uri = format!("{}{name}", ssf_set::risc::BASE);
        let event = read_about(&uri, &payload, subject.clone());
        assert_eq!(event.is_ok(), ok, "{name} {payload}");
        if let Ok(event) = event {
            assert!(matches!(event, Event::Risc(_)));
            assert_eq!(
                (event.uri(), Value::Object(event.to_payload())),
                (uri.as_str(), payload)
            );
        }
    }
    assert!(RiscEvent::new(RiscType::SessionsRevoked).is_err());
    assert!(RiscEvent::new(RiscType::CredentialCompromise).is_err());
    assert!(
        RiscEvent::new(RiscType::IdentifierChanged)
            .unwrap()
            .new_value
            .is_none()
    );
}

/// Covers: SSF-8.1.4.1-1, SSF-8.1.4.1-2, SSF-8.1.5-1, SSF-8.1.5-5
#[test]
fn stream_events_are_about_a_stream() {
    let stream = json!({"format": "opaque", "id": "stream-1"});
    let email = json!({"format": "email", "email": "a@example.com"});
    for (uri, payload, subject, ok) in [
        (Verification::URI, json!({"state": "s"}), &stream, true),
        (Verification::URI, json!({}), &stream, true),
        (Verification::URI, json!({"state": 1}), &stream, false),
        (Verification::URI, json!({}), &email, false),
        (
            StreamUpdated::URI,
            json!({"status": "paused", "reason": "r"}),
            &stream,
            true,
        ),
        (
            StreamUpdated::URI,
            json!({"status": "Paused"}),
            &stream,
            false,
        ),
        (StreamUpdated::URI, json!({}), &stream, false),
        (
            StreamUpdated::URI,
            json!({"status": "enabled"}),
            &email,
            false,
        ),
    ] {
        let event = read_about(uri, &payload, subject.clone());
        assert_eq!(event.is_ok(), ok, "{uri} {payload}");
        if let Ok(event) = event {
            assert_eq!(Value::Object(event.to_payload()), payload);
        }
    }
    let paused = Event::from(StreamUpdated::new(StreamStatus::Paused, None));
    assert_eq!(paused.to_payload()["status"], "paused");
}

/// Covers: CAEP-2-9, CAEP-A4
#[test]
fn texts_are_found_by_language_and_escaped() {
    let map = LanguageMap::new("en", "hello")
        .unwrap()
        .with("de-AT", "servus")
        .unwrap();
    for (tag, text) in [
        ("en-US", "hello"),
        ("EN", "hello"),
        ("de-at", "servus"),
        ("fr", "servus"),
    ] {
        assert_eq!(map.lookup(tag), text, "{tag}");
    }
    assert!(LanguageMap::new("", "a").is_err());
    assert_eq!(
        Escaped("a\r\nb\u{202e}").to_string(),
        "a\\u{d}\\u{a}b\\u{202e}"
    );
    assert!(Escaped(&"a".repeat(1000)).to_string().len() < 300);
}

/// Covers: CAEP-3.8.1-5, CAEP-3.4.1-5, CAEP-3.4.1-8
#[test]
fn an_unknown_previous_level_is_not_a_low_one() {
    let Event::RiskLevelChange(event) = read(
        "risk-level-change",
        &json!({"principal": "USER", "current_level": "HIGH"}),
    )
    .unwrap() else {
        panic!()
    };
    assert_eq!(
        (event.previous_level, event.current_level),
        (None, RiskLevel::High)
    );
    assert!(RiskLevel::Low < RiskLevel::Medium && RiskLevel::Medium < RiskLevel::High);
    let level = caep::AssuranceLevelChange::new(Common::default(), "NIST-AAL", "1")
        .unwrap()
        .with_previous("2", caep::ChangeDirection::Decrease);
    assert_eq!(
        Event::from(level).to_payload()["change_direction"],
        "decrease"
    );
}

/// Fields of events are public; what was made invalid is not signed.
///
/// Covers: SET-PUSH-2.4-1
#[test]
fn an_event_that_a_receiver_would_refuse_is_not_issued() {
    let mut event = RiskLevelChange::new(Common::default(), "USER", RiskLevel::High).unwrap();
    event.principal.clear();
    let issuer = SetIssuer::new(key("k"), PROVIDER, ISSUER).unwrap();
    let request = SetRequest::new(AUDIENCE, SubjectIdentifier::opaque("s").unwrap(), event);
    assert_eq!(
        issuer.issue(&request, at(NOW)).unwrap_err().code(),
        "event_member"
    );
}
