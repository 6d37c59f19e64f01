//! Transmitter metadata, and the response policy.
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

use std::collections::HashMap;

use common::*;
use serde_json::{Value, json};
use ssf_set::caep::{Common, RiskLevel, RiskLevelChange, SessionRevoked};
use ssf_set::risc::{RiscEvent, RiscType};
use ssf_set::{ComplexSubject, Event, SetRequest, Subject, SubjectIdentifier};
use ssf_stream::metadata::{TransmitterMetadata, well_known_url};
use ssf_stream::policy::{Action, Decision, ResponsePolicy, Trigger};

/// Covers: SSF-7.2-2, SSF-7.2.1-2, SSF-7.1-2, SSF-A4
#[test]
fn the_well_known_name_goes_between_host_and_path() {
    for (issuer, url) in [
        (
            "https://tr.example.com",
            "https://tr.example.com/.well-known/ssf-configuration",
        ),
        (
            "https://tr.example.com/",
            "https://tr.example.com/.well-known/ssf-configuration",
        ),
        (
            "https://tr.example.com/issuer1",
            "https://tr.example.com/.well-known/ssf-configuration/issuer1",
        ),
        (
            "https://tr.example.com/issuer1/",
            "https://tr.example.com/.well-known/ssf-configuration/issuer1",
        ),
        (
            "https://tr.example.com:8443/a/b",
            "https://tr.example.com:8443/.well-known/ssf-configuration/a/b",
        ),
    ] {
        assert_eq!(well_known_url(issuer).unwrap(), url);
    }
    for issuer in [
        "http://a.example",
        "https://a.example?x",
        "https://a.example#y",
        "https://u@a.example",
        "https://a.example/b/../c",
        "https://a.example/%2e%2e/c",
        "https://a.example/b%2Fc",
        "a.example",
        "",
    ] {
        assert!(well_known_url(issuer).is_err(), "{issuer}");
    }
}

/// Covers: SSF-7.1-1, SSF-7.1-3, SSF-7.1-4, SSF-7.1-5, SSF-7.1-6, SSF-7.1-7, SSF-7.1-8, SSF-7.1-9, SSF-7.1-10, SSF-7.1-11
/// Covers: SSF-7.1-13, SSF-7.1-16, SSF-7.1.1-1, SSF-7.2.3-2, SSF-7.2.4-1, SSF-7.2.4-2
#[test]
fn metadata_is_read_for_its_issuer_alone() {
    let document = json!({
        "spec_version": "1_0", "issuer": ISSUER, "jwks_uri": "https://signals.example.com/jwks.json",
        "delivery_methods_supported": ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"],
        "configuration_endpoint": "https://signals.example.com/stream",
        "status_endpoint": "https://signals.example.com/status",
        "add_subject_endpoint": "https://signals.example.com/add",
        "remove_subject_endpoint": "https://signals.example.com/remove",
        "verification_endpoint": "https://signals.example.com/verify",
        "critical_subject_members": ["tenant"], "default_subjects": "NONE",
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}, {"spec_urn": "urn:x"}],
    });
    let parse = |value: &Value| TransmitterMetadata::parse(value.to_string().as_bytes(), ISSUER);
    assert_eq!(parse(&document).unwrap().to_value(), document);
    let mut extended = document.clone();
    extended["new_member"] = json!({"a": 1});
    assert!(parse(&extended).is_ok());
    for (name, value) in [
        ("issuer", json!("https://signals.example.com/")),
        ("issuer", json!("https://evil.example")),
        ("issuer", json!(1)),
        ("jwks_uri", json!("http://signals.example.com/jwks.json")),
        ("jwks_uri", json!(["https://a"])),
        (
            "status_endpoint",
            json!("http://signals.example.com/status"),
        ),
        ("delivery_methods_supported", json!("urn:ietf:rfc:8935")),
        ("critical_subject_members", json!([1])),
        ("default_subjects", json!("all")),
        ("authorization_schemes", json!([{}])),
        ("spec_version", json!(1)),
    ] {
        let mut wrong = document.clone();
        wrong[name] = value;
        assert!(parse(&wrong).is_err(), "{name}");
    }
    assert_eq!(
        parse(&json!({"issuer": "https://evil.example"}))
            .unwrap_err()
            .code(),
        "issuer_mismatch"
    );
    assert!(TransmitterMetadata::parse(br#"{"issuer":"a","issuer":"b"}"#, ISSUER).is_err());
    let new = TransmitterMetadata::new(ISSUER, "https://signals.example.com/jwks.json").unwrap();
    assert!(new.to_value().get("authorization_schemes").is_none());
    assert_eq!(parse(&new.to_value()).unwrap(), new);
}

/// Covers: CAEP-A2, CAEP-A11
#[test]
fn a_policy_takes_away_by_level_and_spares_whole_tenants() {
    let parties = parties();
    let set = |subject: Subject, event: Event| {
        let request = SetRequest::new(AUDIENCE, subject, event);
        let compact = parties.issuer.issue(&request, at(NOW)).unwrap().compact;
        parties.verifier.verify(&compact, at(NOW)).unwrap()
    };
    let agent = || Subject::from(SubjectIdentifier::uri("spiffe://example.org/agent").unwrap());
    let risk = |level| {
        RiskLevelChange::new(Common::default(), "USER", level)
            .unwrap()
            .into()
    };
    let step_up = Action::StepUp;
    let policy = ResponsePolicy::new()
        .with_rule(Trigger::RiskAtLeast(RiskLevel::Medium), step_up.clone())
        .with_rule(
            Trigger::RiskAtLeast(RiskLevel::High),
            Action::QuarantineInstance,
        )
        .with_rule(Trigger::SessionRevoked, Action::Revoke);
    assert_eq!(
        policy.decide(&set(agent(), risk(RiskLevel::Low))),
        Decision::Nothing
    );
    assert_eq!(
        policy.decide(&set(agent(), risk(RiskLevel::Medium))),
        Decision::Act(vec![&step_up])
    );
    assert_eq!(
        policy.decide(&set(agent(), risk(RiskLevel::High))),
        Decision::Act(vec![&step_up, &Action::QuarantineInstance])
    );
    let tenant = || {
        Subject::from(
            ComplexSubject::new("tenant", SubjectIdentifier::opaque("t").unwrap()).unwrap(),
        )
    };
    let revoked = set(tenant(), SessionRevoked::default().into());
    assert_eq!(policy.decide(&revoked), Decision::TooBroad);
    let bold = policy.with_broad_subjects();
    assert_eq!(bold.decide(&revoked), Decision::Act(vec![&Action::Revoke]));
}

/// An address passes to somebody else: who proves it then does not reach the account of the one before.
///
/// Covers: RISC-2.6-3, RISC-A5
#[test]
fn a_recycled_identifier_leads_to_its_old_account_no_longer() {
    let parties = parties();
    let email = |address| Subject::from(SubjectIdentifier::email(address).unwrap());
    let set = |kind, address| {
        let event = RiscEvent::new(kind).unwrap();
        let request = SetRequest::new(AUDIENCE, email(address), event);
        let compact = parties.issuer.issue(&request, at(NOW)).unwrap().compact;
        parties.verifier.verify(&compact, at(NOW)).unwrap()
    };
    let recycled = RiscType::IdentifierRecycled.uri().to_owned();
    let policy = ResponsePolicy::new().with_rule(Trigger::EventType(recycled), Action::Unlink);
    let mut accounts = HashMap::from([
        (email("old@example.com"), "account 1"),
        (email("kept@example.com"), "account 2"),
    ]);
    let mut unhandled = Vec::new();
    for (kind, address) in [
        (RiscType::IdentifierRecycled, "old@example.com"),
        (RiscType::AccountPurged, "kept@example.com"),
    ] {
        let set = set(kind, address);
        match policy.decide(&set) {
            Decision::Act(actions) => {
                assert_eq!(actions, [&Action::Unlink]);
                accounts.remove(set.subject().unwrap());
            }
            decision => unhandled.push((decision, set.event().uri().to_owned())),
        }
    }
    let login = |address| accounts.get(&email(address)).copied();
    assert_eq!(login("old@example.com"), None);
    assert_eq!(login("kept@example.com"), Some("account 2"));
    let purged = RiscType::AccountPurged.uri().to_owned();
    assert_eq!(
        unhandled,
        [(Decision::Nothing, purged)],
        "nothing is silent"
    );
    // Without a rule it is not handled, and that is told as well.
    let set = set(RiscType::IdentifierRecycled, "kept@example.com");
    assert_eq!(ResponsePolicy::new().decide(&set), Decision::Nothing);
}
