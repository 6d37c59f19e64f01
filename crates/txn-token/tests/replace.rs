//! What the token service issues, and that a replacement only narrows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use std::time::Duration;

use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, SigningKey};
use proptest::prelude::*;
use serde_json::json;
use support::*;
use token_exchange::{ActorChain, DetailType, DetailTypes, Party};
use txn_token::*;

/// Covers: TXN-TOKEN-11.3-4, TXN-TOKEN-11.3-5, TXN-TOKEN-11.3-6, TXN-TOKEN-11.3-7, TXN-TOKEN-11.3-8, TXN-TOKEN-13.2-1,
/// Covers: TXN-TOKEN-9.2.3-1, TXN-TOKEN-9.2.3-2, AGENTIC-CTX-I-1, AGENTIC-CTX-I-5, TXN-AGENTS-3.5.2-2
#[test]
fn what_is_issued_verifies_and_says_what_was_decided() {
    let world = World::new();
    let mut wanted = request();
    wanted.transaction_context =
        Context::parse(r#"{"amount":1.10,"big":123456789012345678901234,"o":{"b":1,"a":2}}"#)
            .unwrap();
    wanted
        .request_context
        .insert("req_ip", "192.0.2.1")
        .unwrap();
    wanted.actors = Some(ActorChain::new(Party::new(id("agents/pay"))));
    wanted.actor_version = Some("1.2".into());
    let token = world.issue(&wanted);
    assert_eq!(token.issued_at(), NOW);
    assert_eq!(token.expires(), NOW + 300);
    assert_eq!(token.trust_domain(), DOMAIN);
    assert_eq!(token.requesting_workload(), id("gateway"));
    let context = token.transaction_context();
    assert_eq!(context.raw("amount"), Some("1.10"));
    assert_eq!(context.raw("big"), Some("123456789012345678901234"));
    assert_eq!(context.raw("o"), Some(r#"{"b":1,"a":2}"#));
    assert_eq!(token.actor().unwrap().version(), Some("1.2"));
    assert!(token.act_chain().is_empty());
    assert_ne!(world.issue(&wanted).txn(), token.txn());
    assert!(token.txn().len() >= 21);
    // The text survives a replacement too.
    let next = world
        .replace(&token, &ReplaceRequest::new(id("b")))
        .unwrap();
    assert_eq!(next.transaction_context(), context);
}

/// Covers: TXN-TOKEN-C-3, TXN-AGENTS-3.5.1-1, TXN-TOKEN-9.1-1, TXN-TOKEN-9.1-3
#[test]
fn only_current_names_are_written() {
    let world = World::new();
    let token = world.issue(&request());
    for old in ["purp", "azd", "actchain", "actor", "principal", "sub_id"] {
        assert_eq!(token.claim(old), None, "{old}");
    }
    let head = token.as_received().split('.').next().unwrap();
    let head = jose_x509::base64url::decode(head, "header").unwrap();
    let head: serde_json::Value = serde_json::from_slice(&head).unwrap();
    assert_eq!(
        head,
        json!({"alg": "ES256", "kid": "k1", "typ": "txntoken+jwt"})
    );
}

/// Covers: TXN-TOKEN-6-1, TXN-TOKEN-6-2, TXN-TOKEN-6-3, TXN-TOKEN-6-4, TXN-TOKEN-13.1-1
#[test]
fn lifetimes_are_short_and_end_with_the_subject_token() {
    let seconds = Duration::from_secs;
    let world = World::new();
    let mut wanted = request();
    let expires = |wanted: &IssueRequest<'_>| world.issue(wanted).expires() - NOW;
    wanted.lifetime = Some(seconds(86_400));
    assert_eq!(expires(&wanted), 900);
    wanted.subject_expires = Some(NOW + 60);
    assert_eq!(expires(&wanted), 60);
    wanted.subject_expires = Some(NOW);
    assert_eq!(
        world.service.issue(&wanted, now()).unwrap_err(),
        Error::SubjectExpired
    );
    wanted.subject_expires = None;
    wanted.lifetime = Some(seconds(0));
    assert_eq!(
        world.service.issue(&wanted, now()).unwrap_err().code(),
        "invalid_option"
    );

    let policy = LifetimePolicy::default().with_subject_expiry(SubjectExpiry::Exceed(seconds(30)));
    let world = World {
        service: world.service.with_lifetimes(policy.unwrap()),
        ..World::new()
    };
    wanted.lifetime = None;
    wanted.subject_expires = Some(NOW + 60);
    let token = world.service.issue(&wanted, now()).unwrap();
    assert_eq!(token.expires_in(), 90);
    wanted.subject_expires = Some(NOW - 1);
    assert_eq!(
        world.service.issue(&wanted, now()).unwrap_err(),
        Error::SubjectExpired
    );
    for (default, max) in [(0, 300), (400, 300), (300, 3601)] {
        assert!(LifetimePolicy::new(seconds(default), seconds(max)).is_err());
    }
    assert!(
        LifetimePolicy::default()
            .with_subject_expiry(SubjectExpiry::Exceed(seconds(901)))
            .is_err()
    );
}

/// Covers: TXN-TOKEN-13.4-1, TXN-TOKEN-A15, TXN-TOKEN-A7
#[test]
fn no_presented_token_gets_into_the_claims_and_no_context_sets_one() {
    let world = World::new();
    let access = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2lnbmF0dXJlLWJ5dGVz";
    for hidden in [access, "eyJzdWIiOiJ1c2VyLTEifQ", "x.c2lnbmF0dXJlLWJ5dGVz"] {
        let contexts = [
            json!({"a": {"b": [hidden]}}).to_string(),
            json!({(hidden): 1}).to_string(),
            format!(
                r#"{{"a":"\u0065{}"}}"#,
                hidden.strip_prefix('e').unwrap_or(hidden)
            ),
        ];
        for (i, text) in contexts.iter().enumerate() {
            if i == 2 && !hidden.starts_with('e') {
                continue;
            }
            let mut wanted = request();
            wanted.presented = vec![access];
            wanted.transaction_context = Context::parse(text).unwrap();
            assert_eq!(
                world.service.issue(&wanted, now()).unwrap_err(),
                Error::PresentedToken,
                "{text}"
            );
        }
    }
    // An object has no segments, and whoever is named in it may be the subject.
    let object = r#"{"sub":"first.lastname@company.com"}"#;
    let mut wanted = request();
    wanted.presented = vec![object];
    wanted.subject = "first.lastname@company.com".into();
    assert_eq!(world.issue(&wanted).subject(), wanted.subject);
    wanted.request_context.insert("copy", object).unwrap();
    let copied = world.service.issue(&wanted, now());
    assert_eq!(copied.unwrap_err(), Error::PresentedToken);

    let mut wanted = request();
    wanted.presented = vec![access];
    wanted.request_context =
        Context::parse(r#"{"sub":"root","aud":"x","req_wl":"y","txn":"z","scope":"all"}"#).unwrap();
    let token = world.issue(&wanted);
    assert_eq!(
        (token.subject(), token.requesting_workload()),
        ("user-1", id("gateway").as_str())
    );
    assert_eq!(token.scope(), &scope("pay read"));
}

/// An issuer and a verifier have the same limits.
#[test]
fn what_is_issued_is_what_a_verifier_reads() {
    let world = World::new();
    let refused = |wanted: &IssueRequest<'_>| match world.service.issue(wanted, now()) {
        Ok(issued) => world
            .verify(issued.as_str())
            .map(|_| ())
            .map_err(|_| "issued"),
        Err(error) => {
            assert_eq!(error.to_response().status(), 400);
            Err(error.code())
        }
    };
    type Set = fn(&mut IssueRequest<'_>, usize);
    let texts: [(Set, usize); 3] = [
        (|wanted, length| wanted.subject = "s".repeat(length), 2048),
        (
            |wanted, length| wanted.requesting_workload = "w".repeat(length),
            2048,
        ),
        (
            |wanted, length| wanted.scope = scope(&"s".repeat(length)),
            2048,
        ),
    ];
    for (set, limit) in texts {
        let mut wanted = request();
        set(&mut wanted, limit);
        assert_eq!(refused(&wanted), Ok(()));
        set(&mut wanted, limit + 1);
        assert_eq!(refused(&wanted), Err("claim_too_long"));
    }
    let context = |text: String| {
        let mut wanted = request();
        wanted.transaction_context = Context::parse(&text).unwrap();
        wanted
    };
    let deep = |levels: usize| {
        context(format!(
            "{}1{}",
            r#"{"a":"#.repeat(levels),
            "}".repeat(levels)
        ))
    };
    assert_eq!(refused(&deep(15)), Ok(()));
    assert_eq!(refused(&deep(16)), Err("claims_too_complex"));
    let long = |length: usize| context(json!({"note": "x".repeat(length)}).to_string());
    let mut outcomes = (11_000..13_000)
        .step_by(20)
        .map(|length| refused(&long(length)));
    assert_eq!(outcomes.next(), Some(Ok(())));
    let refusal = outcomes.find(Result::is_err);
    assert_eq!(refusal, Some(Err("token_too_long")));

    // The chain of requesters grows until the token is too long, which ends no transaction.
    let policy = LifetimePolicy::default().with_replacement(ReplacementPolicy::new(64));
    let service = world.service.with_lifetimes(policy.unwrap());
    let verify =
        |issued: &IssuedTxnToken| world.verifier.verify(issued.as_str(), &world.keys, now());
    let mut token = verify(&service.issue(&request(), now()).unwrap()).unwrap();
    let next = ReplaceRequest::new(id(&"w".repeat(400)));
    let error = loop {
        match service.replace(&token, &next, now()) {
            Ok(issued) => token = verify(&issued).unwrap(),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::TokenTooLong);
    let short = ReplaceRequest::new("w");
    assert!(service.replace(&token, &short, now()).is_ok());
}

/// Covers: TXN-TOKEN-9.2-6, TXN-TOKEN-9.2-8, TXN-TOKEN-9-1
#[test]
fn an_issuer_needs_a_named_key_and_whole_claims() {
    let key = SigningKey::generate(&provider(), Algorithm::Es256).unwrap();
    assert!(TxnTokenIssuer::new(key.clone(), DOMAIN, &provider()).is_err());
    assert!(TxnTokenIssuer::new(key.with_kid("k"), "", &provider()).is_err());
    let world = World::new();
    let mut empty = vec![request(), request(), request(), request()];
    empty[0].scope = scope("");
    empty[1].subject.clear();
    empty[2].requesting_workload.clear();
    empty[3].txn = Some(String::new());
    for wanted in empty {
        assert_eq!(
            world.service.issue(&wanted, now()).unwrap_err().code(),
            "empty_claim"
        );
    }
}

fn handed_over() -> (World, TxnToken) {
    let world = World::new();
    let mut wanted = request();
    wanted.actors = Some(ActorChain::new(Party::new(id("agents/plan"))));
    let mut limits = AgenticContext::new();
    limits.agent_type = Some("planner".into());
    limits.intent = Some("pay".into());
    limits.allowed_actions = Some(["pay".into(), "read".into()].into());
    limits.environment_constraints = [("region".into(), "eu".into())].into();
    limits.authorization_details =
        Some(json!([{"type": "payment", "actions": ["a", "b"], "locations": ["x"]}]));
    wanted.agentic_context = Some(limits);
    wanted.transaction_context.insert("amount", 12).unwrap();
    let token = world.issue(&wanted);
    (world, token)
}

/// Covers: TXN-TOKEN-13.15-1, TXN-TOKEN-13.15-2, TXN-TOKEN-13.15-4, TXN-TOKEN-13.15-8, AGENTIC-CTX-I-2, AGENTIC-CTX-I-3,
/// Covers: AGENTIC-CTX-A1, AGENTIC-CTX-A2, TXN-AGENTS-4.2.1-1, TXN-AGENTS-4.2.1-2, TXN-AGENTS-5.4-1
#[test]
fn a_replacement_keeps_the_transaction_and_appends_to_its_chains() {
    let (world, first) = handed_over();
    let mut handover = ReplaceRequest::new(id("broker"));
    handover.actor = Some(actor("agents/pay"));
    handover.scope = Some(scope("pay"));
    handover
        .transaction_context
        .insert("approved", true)
        .unwrap();
    let second = world.replace(&first, &handover).unwrap();
    assert_eq!(second.txn(), first.txn());
    assert_eq!(second.subject(), first.subject());
    assert_eq!(second.trust_domain(), first.trust_domain());
    assert_eq!(second.requesting_workload(), id("broker"));
    assert_eq!(second.earlier_requesting_workloads(), [id("gateway")]);
    assert_eq!(second.actor(), Some(&actor("agents/pay")));
    assert_eq!(second.act_chain().len(), 1);
    assert_eq!(second.act_chain()[0].actor(), first.actor().unwrap());
    assert_eq!(second.act_chain()[0].issued_at(), Some(first.issued_at()));
    assert_eq!(second.transaction_context().get("amount"), Some(json!(12)));
    assert_eq!(
        second.transaction_context().get("approved"),
        Some(json!(true))
    );
    let limits = second.agentic_context().unwrap();
    assert_eq!(
        (limits.agent_type.as_deref(), limits.intent.as_deref()),
        (None, Some("pay"))
    );
    assert_eq!(
        limits.allowed_actions,
        first.agentic_context().unwrap().allowed_actions
    );

    handover.actor = Some(actor("agents/third"));
    handover.requesting_workload = id("other");
    let third = world.replace(&second, &handover).unwrap();
    assert_eq!(third.act_chain()[..1], second.act_chain()[..]);
    assert_eq!(third.act_chain()[1].actor(), second.actor().unwrap());
    assert_eq!(
        third.earlier_requesting_workloads(),
        [id("gateway"), id("broker")]
    );
}

/// Covers: TXN-TOKEN-13.15-3, TXN-TOKEN-A11, AGENTIC-CTX-A11, AGENTIC-CTX-I-6, TXN-TOKEN-13.6-1, TXN-TOKEN-13.14-2
#[test]
fn a_replacement_that_widens_is_refused() {
    let (world, token) = handed_over();
    let types = DetailTypes::new([DetailType::new("payment")]);
    let world = World {
        service: world.service.with_detail_types(types),
        keys: world.keys,
        verifier: world.verifier,
        key: world.key,
    };
    let refuse = |change: &dyn Fn(&mut ReplaceRequest)| {
        let mut wanted = ReplaceRequest::new(id("b"));
        change(&mut wanted);
        match world.replace(&token, &wanted) {
            Err(Error::Widens { what }) => what,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refuse(&|r| r.scope = Some(scope("pay admin"))), "scope");
    assert_eq!(
        refuse(&|r| r.transaction_context.insert("amount", 13).unwrap()),
        "tctx"
    );
    let limits = |change: fn(&mut AgenticContext)| {
        move |request: &mut ReplaceRequest| {
            let mut limits = AgenticContext::new();
            change(&mut limits);
            request.agentic_context = Some(limits);
        }
    };
    assert_eq!(
        refuse(&limits(
            |l| l.allowed_actions = Some(["delete".into()].into())
        )),
        "allowed_actions"
    );
    assert_eq!(
        refuse(&limits(
            |l| l.environment_constraints = [("region".into(), "us".into())].into()
        )),
        "environment_constraints"
    );
    for wider in [
        json!([{"type": "payment", "actions": ["a", "c"], "locations": ["x"]}]),
        json!([{"type": "payment", "actions": ["a"]}]),
        json!([{"type": "other", "actions": ["a"], "locations": ["x"]}]),
    ] {
        let mut wanted = ReplaceRequest::new(id("b"));
        let mut limits = AgenticContext::new();
        limits.authorization_details = Some(wider);
        wanted.agentic_context = Some(limits);
        let what = "authorization_details";
        assert_eq!(
            world.replace(&token, &wanted).unwrap_err(),
            Error::Widens { what }
        );
    }
    let mut wanted = ReplaceRequest::new(id("b"));
    let mut limits = AgenticContext::new();
    limits.allowed_actions = Some(["pay".into()].into());
    limits.environment_constraints = [("stage".into(), "prod".into())].into();
    limits.authorization_details =
        Some(json!([{"type": "payment", "actions": ["b"], "locations": ["x"]}]));
    wanted.agentic_context = Some(limits);
    let narrowed = world.replace(&token, &wanted).unwrap();
    let limits = narrowed.agentic_context().unwrap();
    assert_eq!(limits.allowed_actions, Some(["pay".to_owned()].into()));
    assert_eq!(limits.environment_constraints.len(), 2);
}

/// Covers: AGENTIC-CTX-I-4, AGENTIC-CTX-I-9, TXN-AGENTS-A7, TXN-AGENTS-A5
#[test]
fn agents_do_not_come_back_and_speak_for_themselves_alone() {
    let (world, first) = handed_over();
    let hand = |token: &TxnToken, to: &str, by: &str, outcome: Option<Outcome>| {
        let mut wanted = ReplaceRequest::new(id(by));
        wanted.actor = Some(actor(to));
        wanted.outcome = outcome;
        world.replace(token, &wanted)
    };
    let second = hand(&first, "checks/fraud", "gateway", None).unwrap();
    assert_eq!(
        hand(&second, "agents/plan", "gateway", None).unwrap_err(),
        Error::RepeatedActor { position: 0 }
    );
    assert_eq!(
        hand(&second, "checks/fraud", "gateway", None).unwrap_err(),
        Error::RepeatedActor { position: 1 }
    );
    for by in ["gateway", "agents/pay", "agents/plan"] {
        assert_eq!(
            hand(&second, "agents/pay", by, Some(Outcome::Ok)).unwrap_err(),
            Error::OutcomeOfAnother
        );
    }
    let mut alone = ReplaceRequest::new(id("checks/fraud"));
    alone.outcome = Some(Outcome::Ok);
    assert_eq!(
        world.replace(&second, &alone).unwrap_err(),
        Error::OutcomeOfAnother
    );
    let third = hand(&second, "agents/pay", "checks/fraud", Some(Outcome::Denied)).unwrap();
    assert_eq!(third.act_chain()[1].outcome(), Some(Outcome::Denied));
    assert_eq!(third.act_chain()[0].outcome(), None);

    let mut wanted = request();
    wanted.subject = id("agents/self");
    let autonomous = world.issue(&wanted);
    assert_eq!(
        hand(&autonomous, "agents/self", "x", None)
            .unwrap_err()
            .code(),
        "repeated_actor"
    );
}

/// Covers: TXN-TOKEN-13.15-5, TXN-TOKEN-13.15-6, TXN-TOKEN-13.15-7, TXN-TOKEN-A10, AGENTIC-CTX-A6
#[test]
fn replacements_are_few_and_end_in_time() {
    let world = World::new();
    let token = world.issue(&request());
    let next = ReplaceRequest::new(id("b"));
    let late = |seconds| world.service.replace(&token, &next, at(NOW + seconds));
    assert_eq!(late(300).unwrap_err(), Error::ReplacedExpired);
    assert_eq!(late(299).unwrap().expires_in(), 1);

    let mut token = token;
    for _ in 0..8 {
        token = world.replace(&token, &next).unwrap();
    }
    assert_eq!(
        world.replace(&token, &next).unwrap_err(),
        Error::TooManyReplacements { limit: 8 }
    );

    let longer = ReplacementPolicy::new(64).with_total_lifetime(Duration::from_secs(1000));
    let world = World::new();
    let policy = LifetimePolicy::default().with_replacement(longer).unwrap();
    let World {
        service,
        verifier,
        keys,
        ..
    } = world;
    let service = service.with_lifetimes(policy);
    let mut time = NOW;
    let issued = service.issue(&request(), at(time)).unwrap();
    let mut token = verifier.verify(issued.as_str(), &keys, at(time)).unwrap();
    let end = loop {
        time += 200;
        match service.replace(&token, &next, at(time)) {
            Ok(issued) => token = verifier.verify(issued.as_str(), &keys, at(time)).unwrap(),
            Err(error) => break error,
        }
        assert!(token.expires() <= NOW + 1000);
    };
    assert_eq!((end, time), (Error::ReplacedExpired, NOW + 1000));
}

/// Covers: TXN-TOKEN-6-3
#[test]
fn a_replacement_ends_with_the_subject_token_of_its_transaction() {
    let seconds = Duration::from_secs;
    let longer = ReplacementPolicy::new(8).with_total_lifetime(seconds(3600));
    let plain = LifetimePolicy::default().with_replacement(longer).unwrap();
    let exceeding = plain.with_subject_expiry(SubjectExpiry::Exceed(seconds(30)));
    for (policy, latest) in [(plain, 400), (exceeding.unwrap(), 430)] {
        let world = World::new();
        let service = world.service.with_lifetimes(policy);
        let verify = |issued: &IssuedTxnToken, time: u64| {
            let token = world
                .verifier
                .verify(issued.as_str(), &world.keys, at(time));
            token.unwrap()
        };
        let mut wanted = request();
        wanted.subject_expires = Some(NOW + 400);
        let mut token = verify(&service.issue(&wanted, now()).unwrap(), NOW);
        assert_eq!(token.expires(), NOW + 300);
        for time in [NOW + 100, NOW + 200, NOW + 399] {
            let next = service.replace(&token, &ReplaceRequest::new(id("next")), at(time));
            token = verify(&next.unwrap(), time);
            assert_eq!(token.expires(), (time + 300).min(NOW + latest));
        }
    }
    // The end of a transaction is not before that of a token in it.
    let world = World::new();
    for (latest, good) in [
        (json!(NOW + 300), true),
        (json!(NOW + 299), false),
        (json!("x"), false),
    ] {
        let token = world.sign(&claims_with(json!({"txn_exp": latest})));
        let refused = world.verify(&token).err().map(|error| error.code());
        assert_eq!(refused, (!good).then_some("claim_type"), "{latest}");
    }
}

/// A transaction lasts no longer than its single use is remembered.
#[test]
fn a_transaction_is_not_forgotten_while_it_lasts() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let total = |total| {
        let replacement = ReplacementPolicy::new(64).with_total_lifetime(total);
        LifetimePolicy::new(hours(1), hours(1))
            .unwrap()
            .with_replacement(replacement)
    };
    let longer = total(hours(24) + Duration::from_secs(1));
    assert_eq!(longer.unwrap_err().code(), "invalid_option");
    let world = World::new();
    let service = world.service.with_lifetimes(total(hours(24)).unwrap());
    let guard = jose_x509::MemoryReplayGuard::new(16);
    let verify = |issued: &IssuedTxnToken, time: u64| {
        let token = world
            .verifier
            .verify(issued.as_str(), &world.keys, at(time));
        token.unwrap()
    };
    let once = |token: &TxnToken, time: u64| {
        let used = token.use_once(SingleUse::Transaction, "pay", &provider(), &guard, at(time));
        used.map_err(|error| error.code())
    };
    let mut wanted = request();
    wanted.lifetime = Some(Duration::from_secs(1));
    let first = service.issue(&wanted, now()).unwrap();
    let mut token = verify(&first, NOW);
    assert_eq!(once(&token, NOW), Ok(()));
    let mut time = NOW;
    while let Ok(issued) = service.replace(&token, &ReplaceRequest::new(id("next")), at(time)) {
        token = verify(&issued, time);
        time = token.expires() - 1;
    }
    assert_eq!(token.expires(), NOW + 24 * 3600);
    // Within the verifier's leeway it still counts.
    let last = token.expires() + 29;
    let token = world
        .verifier
        .verify(token.as_received(), &world.keys, at(last));
    assert_eq!(once(&token.unwrap(), last), Err("replayed"));
}

/// Covers: TXN-TOKEN-13.15-4, TXN-TOKEN-A19
#[test]
fn a_service_replaces_no_token_of_another_domain() {
    let world = World::new();
    let token = world.issue(&request());
    let other = TxnTokenIssuer::new(world.key, "other.example", &provider()).unwrap();
    let refused = other.replace(&token, &ReplaceRequest::new("x"), now());
    assert_eq!(refused.unwrap_err(), Error::OtherTrustDomain);
}

/// Covers: AGENTIC-CTX-V-5, AGENTIC-CTX-P-7
#[test]
fn chains_from_elsewhere_are_checked_in_issuing() {
    let world = World::new();
    let chain = |subjects: &[&str]| {
        let nested = subjects.iter().rev().fold(None, |inner, sub| {
            Some(inner.map_or(
                json!({"sub": id(sub)}),
                |act: serde_json::Value| json!({"sub": id(sub), "act": act}),
            ))
        });
        let mut wanted = request();
        wanted.actors = Some(ActorChain::from_value(&nested.unwrap()).unwrap());
        wanted
    };
    let token = world.issue(&chain(&["c", "b", "a"]));
    let path: Vec<_> = token
        .act_chain()
        .iter()
        .map(|link| link.actor().party().subject().to_owned())
        .collect();
    assert_eq!(path, [id("a"), id("b")]);
    assert_eq!(token.actors(), chain(&["c", "b", "a"]).actors);
    let refused = world.service.issue(&chain(&["c", "b", "c"]), now());
    assert_eq!(refused.unwrap_err().code(), "repeated_actor");
    let long = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    assert_eq!(
        world.service.issue(&chain(&long), now()).unwrap_err(),
        Error::ChainTooLong { limit: 8 }
    );
    world.issue(&chain(&long[1..]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Covers: TXN-TOKEN-13.15-3, TXN-TOKEN-13.15-4, TXN-TOKEN-13.15-8, AGENTIC-CTX-I-3
    ///
    /// Whatever is asked for: what is issued permits nothing new, changes nothing fixed, and has grown by its requester.
    #[test]
    fn no_replacement_widens(
        steps in proptest::collection::vec((0_usize..16, proptest::option::of(0_usize..16), 0_usize..6, 0_u64..400), 1..6)
    ) {
        let set = |bits: usize, names: [&str; 4]| -> Vec<String> {
            names.iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0).map(|(_, name)| (*name).to_owned()).collect()
        };
        let world = World::new();
        let mut wanted = IssueRequest::new("user-1", scope("s1 s2 s3"), id("w"));
        let mut limits = AgenticContext::new();
        limits.allowed_actions = Some(["a1".into(), "a2".into(), "a3".into()].into());
        wanted.agentic_context = Some(limits);
        let mut token = world.issue(&wanted);
        for (scopes, actions, agent, lifetime) in steps {
            let mut next = ReplaceRequest::new(id(&format!("w{agent}")));
            next.scope = Some(scope(&set(scopes, ["s1", "s2", "s3", "s4"]).join(" ")));
            next.actor = Some(actor(&format!("agents/{agent}")));
            next.lifetime = Some(Duration::from_secs(lifetime));
            next.agentic_context = actions.map(|bits| {
                let mut limits = AgenticContext::new();
                limits.allowed_actions = Some(set(bits, ["a1", "a2", "a3", "a4"]).into_iter().collect());
                limits
            });
            let Ok(after) = world.replace(&token, &next) else { continue };
            let actions = |token: &TxnToken| token.agentic_context().unwrap().allowed_actions.clone().unwrap();
            prop_assert!(after.scope().is_subset(token.scope()));
            prop_assert!(actions(&after).is_subset(&actions(&token)));
            prop_assert!(after.expires() <= token.expires());
            prop_assert_eq!((after.txn(), after.subject()), (token.txn(), token.subject()));
            let mut chain = token.earlier_requesting_workloads().to_vec();
            chain.push(token.requesting_workload().to_owned());
            prop_assert_eq!(after.earlier_requesting_workloads(), chain);
            let grown = usize::from(token.actor().is_some());
            prop_assert_eq!(after.act_chain().len(), token.act_chain().len() + grown);
            prop_assert!(after.act_chain().starts_with(token.act_chain()));
            token = after;
        }
    }
}
