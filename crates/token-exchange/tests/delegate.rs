//! The decision on a delegation, and the attacks on it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::{self, Audience, ConfirmationRule, Issuer, Type, Validator};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, SigningKey};
use pki_types::UnixTime;
use serde_json::{Value, json};
use token_exchange::*;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://as.example";
const AGENT: &str = "spiffe://example.org/agents/a";
const OTHER: &str = "spiffe://example.org/agents/n";

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(NOW))
}

fn set(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

/// The user's token for the agent, with further or other claims; null removes one.
fn subject_as(kind: PartyKind, more: Value) -> Result<VerifiedSubject, Error> {
    let mut claims = json!({
        "iss": ISSUER, "sub": "user-1", "aud": AGENT, "iat": NOW, "exp": NOW + 600, "scope": "read write",
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let key = SigningKey::generate(&provider(), Algorithm::Es256)
        .unwrap()
        .with_kid("k");
    let token = jwt::sign(&key, &ProtectedHeader::new("at+jwt"), &claims).unwrap();
    let audience = Audience::NotApplicable {
        reason: "the decision checks it",
    };
    let jwt = Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::Exactly(ISSUER.into()),
        audience,
    )
    .with_confirmation(ConfirmationRule::Checked)
    .validate(&token, &key.verifying_key().unwrap(), now())
    .unwrap();
    VerifiedSubject::from_jwt(&jwt, kind, &DetailTypes::new([DetailType::new("payment")]))
}

fn subject(more: Value) -> VerifiedSubject {
    subject_as(PartyKind::User, more).unwrap()
}

fn agent(id: &str) -> VerifiedActor {
    VerifiedActor::client(Party::new(id), PartyKind::Workload)
}

fn class() -> Authority {
    Authority::unbounded()
        .with_scopes(set("read write admin"))
        .with_targets(["https://api.example"])
}

fn decide(
    subject: &VerifiedSubject,
    actor: &VerifiedActor,
    request: &Authority,
    proven: bool,
) -> Result<Delegation, Error> {
    ExchangePolicy::new(Duration::from_secs(300)).delegate(
        subject,
        actor,
        &[&class()],
        request.clone(),
        proven,
        now(),
    )
}

fn default(subject: &VerifiedSubject, actor: &VerifiedActor) -> Result<Delegation, Error> {
    decide(subject, actor, &Authority::unbounded(), false)
}

/// Covers: RFC8693-1.1-1, RFC8693-SPLICE-8, RFC8693-SPLICE-9, RFC8693-SPLICE-12, RFC8693-SPLICE-13, RFC8693-SPLICE-14,
/// Covers: RFC8693-A14, RFC8693-5-1
#[test]
fn what_is_granted_is_the_intersection() {
    let granted = default(&subject(json!({})), &agent(AGENT)).unwrap();
    assert_eq!(granted.subject, Party::with_issuer("user-1", ISSUER));
    assert_eq!(granted.actors, ActorChain::new(Party::new(AGENT)));
    assert_eq!(granted.grant.scopes, set("read write"));
    let targets = granted.grant.authority.targets;
    assert_eq!(
        targets,
        Bound::Only(["https://api.example".to_owned()].into())
    );
    assert_eq!(granted.grant.expires, NOW + 300);

    let request = Authority::unbounded().with_scopes(set("read admin"));
    let granted = decide(&subject(json!({})), &agent(AGENT), &request, false).unwrap();
    assert_eq!(granted.grant.scopes, set("read"));
}

/// Covers: RFC8693-SPLICE-12, RFC8693-SPLICE-14, RFC8693-A14, RFC8693-4.2-1
#[test]
fn nothing_is_issued_where_nothing_is_left() {
    let refuse = |more: Value, request: &Authority| {
        decide(&subject(more), &agent(AGENT), request, false).unwrap_err()
    };
    let all = Authority::unbounded();
    let scopes = Error::NothingLeft { what: "scopes" };
    assert_eq!(refuse(json!({"scope": null}), &all), scopes);
    assert_eq!(refuse(json!({"scope": ""}), &all), scopes);
    assert_eq!(
        refuse(json!({}), &all.clone().with_scopes(set("admin"))),
        scopes
    );
    let targets = Error::NothingLeft { what: "targets" };
    assert_eq!(
        refuse(
            json!({}),
            &all.clone().with_targets(["https://internal.example"])
        ),
        targets
    );
    assert_eq!(targets.oauth_error().error, "invalid_target");
    assert_eq!(scopes.oauth_error().error, "invalid_scope");
    let open = ExchangePolicy::new(Duration::from_secs(300));
    let refused = open.delegate(
        &subject(json!({})),
        &agent(AGENT),
        &[],
        all.clone(),
        false,
        now(),
    );
    assert_eq!(refused, Err(targets));
    let wrong = subject_as(PartyKind::User, json!({"scope": ["read"]}));
    assert!(matches!(
        wrong,
        Err(Error::Token {
            which: "subject",
            ..
        })
    ));
    let details = json!({"authorization_details": [{"type": "payment", "actions": ["pay"]}]});
    let types = DetailTypes::new([DetailType::new("payment")]);
    let refund = all.with_details(
        types
            .request(r#"[{"type":"payment","actions":["refund"]}]"#)
            .unwrap(),
    );
    assert_eq!(
        refuse(details, &refund),
        Error::NothingLeft {
            what: "authorization details"
        }
    );
}

/// Covers: RFC8693-SPLICE-13, RFC8693-A13
#[test]
fn no_exchange_outlives_its_inputs() {
    let ends =
        |more: Value, actor: &VerifiedActor| default(&subject(more), actor).unwrap().grant.expires;
    assert_eq!(ends(json!({"exp": NOW + 100}), &agent(AGENT)), NOW + 100);
    assert_eq!(
        ends(json!({}), &agent(AGENT).with_expiry(NOW + 50)),
        NOW + 50
    );
    let ended = agent(AGENT).with_expiry(NOW);
    assert_eq!(
        default(&subject(json!({})), &ended),
        Err(Error::NothingLeft { what: "time" })
    );
    // In the leeway of the validator a token is still read, and nothing is issued for it.
    let late = subject(json!({"iat": NOW - 100, "exp": NOW - 5}));
    assert_eq!(
        default(&late, &agent(AGENT)),
        Err(Error::NothingLeft { what: "time" })
    );
}

/// Covers: RFC8693-SPLICE-4, RFC8693-SPLICE-5, RFC8693-SPLICE-6, RFC8693-A1
#[test]
fn a_subject_token_of_another_chain_is_not_spliced_in() {
    assert_eq!(
        default(&subject(json!({})), &agent(OTHER)),
        Err(Error::Unbound)
    );
    assert_eq!(
        default(&subject(json!({"aud": null})), &agent(AGENT)),
        Err(Error::SubjectAudience)
    );
    assert_eq!(
        default(&subject(json!({"aud": [AGENT, OTHER]})), &agent(AGENT)),
        Err(Error::SubjectAudience)
    );
    for name in ["client_id", "azp"] {
        let named = subject(json!({"aud": ISSUER, (name): AGENT}));
        assert!(default(&named, &agent(AGENT)).is_ok());
        assert_eq!(default(&named, &agent(OTHER)), Err(Error::Unbound));
    }
    let contradiction = subject_as(PartyKind::User, json!({"client_id": AGENT, "azp": OTHER}));
    assert!(contradiction.is_err());
    let by_alias = subject(json!({"aud": "https://agent.example"}));
    assert!(default(&by_alias, &agent(AGENT).with_alias("https://agent.example")).is_ok());
    assert_eq!(Error::Unbound.oauth_error().error, "invalid_request");
}

/// Covers: RFC8693-4.4-2, RFC8693-A6
#[test]
fn may_act_is_enforced_whatever_else_binds() {
    let named = json!({"aud": ISSUER, "may_act": {"sub": AGENT}});
    assert!(default(&subject(named.clone()), &agent(AGENT)).is_ok());
    assert_eq!(
        default(&subject(named), &agent(OTHER)),
        Err(Error::MayActMismatch)
    );
    let other = json!({"client_id": AGENT, "may_act": {"sub": OTHER}});
    assert_eq!(
        default(&subject(other), &agent(AGENT)),
        Err(Error::MayActMismatch)
    );
    assert!(subject_as(PartyKind::User, json!({"may_act": {"iss": "x"}})).is_err());
}

/// Covers: RFC8693-SPLICE-8, RFC8693-SPLICE-9, RFC8693-SPLICE-10, RFC8693-SPLICE-11, RFC8693-A5, RFC8693-A7, RFC8693-A9
#[test]
fn the_chain_of_the_subject_token_is_kept() {
    let before = json!({"sub": OTHER, "act": {"sub": "spiffe://example.org/agents/first"}});
    let granted = default(&subject(json!({"act": &before})), &agent(AGENT)).unwrap();
    assert_eq!(
        granted.actors.to_value(),
        json!({"sub": AGENT, "act": before})
    );
    let cycle = json!({"sub": OTHER, "act": {"sub": AGENT}});
    assert_eq!(
        default(&subject(json!({"act": cycle})), &agent(AGENT)),
        Err(Error::ChainCycle)
    );
    assert_eq!(
        default(&subject(json!({"sub": AGENT})), &agent(AGENT)),
        Err(Error::ChainCycle)
    );
    let deep = (0..3).fold(
        json!({"sub": "a"}),
        |act, i| json!({"sub": format!("b{i}"), "act": act}),
    );
    assert_eq!(
        default(&subject(json!({"act": deep})), &agent(AGENT)),
        Err(Error::ChainTooDeep { limit: 4 })
    );
    assert!(subject_as(PartyKind::User, json!({"act": "agent"})).is_err());
}

/// Covers: RFC8693-SPLICE-15, RFC8693-A17
#[test]
fn a_bound_subject_token_needs_its_proof() {
    let bound = subject(json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}));
    let all = Authority::unbounded();
    assert_eq!(
        decide(&bound, &agent(AGENT), &all, false),
        Err(Error::MissingProof { which: "subject" })
    );
    assert!(decide(&bound, &agent(AGENT), &all, true).is_ok());
}

/// Covers: RFC8693-SPLICE-17, RFC8693-A18
#[test]
fn roles_are_not_swapped() {
    let workload = subject_as(PartyKind::Workload, json!({})).unwrap();
    assert_eq!(default(&workload, &agent(AGENT)), Err(Error::WrongRole));
    let user = VerifiedActor::client(Party::new(AGENT), PartyKind::User);
    assert_eq!(default(&subject(json!({})), &user), Err(Error::WrongRole));
}

/// Covers: RFC8693-2.2.2-1, RFC8693-2.2.2-3, RFC8693-A20, RFC8707-A8
#[test]
fn refusals_tell_a_stranger_nothing() {
    let alike = [
        Error::Unbound,
        Error::MayActMismatch,
        Error::SubjectAudience,
        Error::WrongRole,
        Error::ActorIsNotClient,
    ];
    for error in &alike {
        assert_eq!(error.oauth_error(), Error::Unbound.oauth_error());
        let response = error.oauth_error().to_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    let target = Error::InvalidTarget.oauth_error();
    assert_eq!(
        (target.error, target.status.as_u16()),
        ("invalid_target", 400)
    );
    for error in alike.iter().chain([
        &Error::InvalidTarget,
        &Error::InvalidScope,
        &Error::FormEncoding,
    ]) {
        let text = error.oauth_error().description;
        assert!(
            text.bytes()
                .all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        );
    }
}
