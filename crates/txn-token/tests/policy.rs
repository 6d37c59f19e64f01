//! Call-chain policies, and what a service demands.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/schema.rs"]
mod schema;
mod support;

use proptest::prelude::*;
use serde_json::{Value, json};
use spiffe_id::SpiffeIdPattern;
use support::*;
use token_exchange::{DetailType, DetailTypes};
use txn_token::*;

/// Three roles, one of them a check, and rules that use them all.
/// Whether the published schema accepts a policy.
fn schema_accepts(file: &Value) -> bool {
    let schema = serde_json::from_str(include_str!("../call-chain-policy.schema.json")).unwrap();
    schema::accepts(&schema, &schema, file)
}

fn policy(rules: Value) -> CallChainPolicy {
    let mut rules = rules.as_array().unwrap().clone();
    rules.push(json!({"rule": "require_any", "roles": ["plan", "fraud", "pay", "all"], "outcome": "any", "include_current": true}));
    let text = json!({
        "roles": {
            "plan": [id("agents/plan")],
            "fraud": {"ids": [id("checks/fraud/*")], "kind": "check"},
            "pay": [id("agents/pay"), id("agents/pay/*")],
            "all": [id("agents/*"), id("checks/*")],
        },
        "rules": rules,
    });
    assert!(schema_accepts(&text), "{text}");
    CallChainPolicy::from_json(text.to_string().as_bytes()).unwrap()
}

/// A token whose chain has these agents, each with an outcome and an age, and `act` as the last.
fn token(world: &World, path: &[(&str, Option<&str>, u64)]) -> TxnToken {
    let (last, links) = path.split_last().unwrap();
    let mut latest = 0;
    let mut link = |(sub, outcome, age): &(&str, Option<&str>, u64)| {
        latest = latest.max(NOW - age);
        let mut link = json!({"sub": id(sub), "iat": latest});
        if let Some(outcome) = outcome {
            link["outcome"] = json!(outcome);
        }
        link
    };
    let links: Vec<Value> = links.iter().map(&mut link).collect();
    world.token(&claims_with(json!({
        "act": {"sub": id(last.0)},
        "act_chain": links,
    })))
}

const PLAN: (&str, Option<&str>, u64) = ("agents/plan", None, 60);
const FRAUD: (&str, Option<&str>, u64) = ("checks/fraud/1", Some("ok"), 30);
const PAY: (&str, Option<&str>, u64) = ("agents/pay/1", None, 0);

/// Covers: AGENTIC-CTX-C-2, AGENTIC-CTX-C-3, AGENTIC-CTX-C-4, AGENTIC-CTX-C-5, AGENTIC-CTX-C-6, AGENTIC-CTX-C-7,
/// Covers: AGENTIC-CTX-C-8, AGENTIC-CTX-C-9, AGENTIC-CTX-C-10, AGENTIC-CTX-C-11, AGENTIC-CTX-C-15, AGENTIC-CTX-A5,
/// Covers: AGENTIC-CTX-A6, AGENTIC-CTX-A3
#[test]
fn each_rule_names_the_link_that_breaks_it() {
    let world = World::new();
    let denied = ("checks/fraud/1", Some("denied"), 30);
    let silent = ("checks/fraud/1", None, 30);
    let second = ("checks/fraud/2", Some("error"), 20);
    let alike = ("checks/fraud-bypass", Some("ok"), 30);
    type Path<'a> = &'a [(&'a str, Option<&'a str>, u64)];
    type Refusal<'a> = Option<(&'a str, Option<usize>)>;
    let good: Path<'_> = &[PLAN, FRAUD, PAY];
    let require = json!({"rule": "require", "role": "fraud"});
    let cases: &[(Value, Path<'_>, Refusal<'_>)] = &[
        (require.clone(), good, None),
        (require.clone(), &[PLAN, PAY], Some(("missing_role", None))),
        (
            require.clone(),
            &[PLAN, alike, PAY],
            Some(("missing_role", None)),
        ),
        (
            require.clone(),
            &[PLAN, denied, PAY],
            Some(("outcome_not_ok", Some(1))),
        ),
        (
            require.clone(),
            &[silent, PAY],
            Some(("outcome_missing", Some(0))),
        ),
        (
            require.clone(),
            &[FRAUD, second, PAY],
            Some(("outcome_not_ok", Some(1))),
        ),
        (require, &[PLAN, FRAUD], Some(("missing_role", None))),
        (
            json!({"rule": "require", "role": "fraud", "outcome": "any"}),
            &[denied, PAY],
            None,
        ),
        (
            json!({"rule": "require", "role": "plan", "outcome": "ok"}),
            good,
            Some(("outcome_missing", Some(0))),
        ),
        (
            json!({"rule": "require", "role": "pay", "include_current": true}),
            good,
            None,
        ),
        (
            json!({"rule": "require_all", "roles": ["plan", "fraud"]}),
            good,
            None,
        ),
        (
            json!({"rule": "require_all", "roles": ["plan", "fraud"]}),
            &[FRAUD, PAY],
            Some(("missing_role", None)),
        ),
        (
            json!({"rule": "require_any", "roles": ["plan", "fraud"]}),
            &[FRAUD, PAY],
            None,
        ),
        (
            json!({"rule": "require_any", "roles": ["plan", "fraud"]}),
            &[denied, PAY],
            Some(("missing_role", None)),
        ),
        (
            json!({"rule": "order", "first": "fraud", "then": "pay"}),
            good,
            None,
        ),
        (
            json!({"rule": "order", "first": "fraud", "then": "plan"}),
            good,
            Some(("wrong_order", Some(0))),
        ),
        (
            json!({"rule": "order", "first": "plan", "then": "plan"}),
            good,
            Some(("wrong_order", Some(0))),
        ),
        (
            json!({"rule": "order", "first": "fraud", "then": "pay"}),
            &[denied, PAY],
            Some(("outcome_not_ok", Some(0))),
        ),
        (
            json!({"rule": "order", "first": "fraud", "then": "pay"}),
            &[PLAN, PAY],
            Some(("missing_role", None)),
        ),
        (json!({"rule": "immediate", "role": "fraud"}), good, None),
        (
            json!({"rule": "immediate", "role": "fraud"}),
            &[FRAUD, PLAN, PAY],
            Some(("wrong_delegator", Some(1))),
        ),
        (
            json!({"rule": "immediate", "role": "fraud"}),
            &[denied, PAY],
            Some(("outcome_not_ok", Some(0))),
        ),
        (
            json!({"rule": "immediate", "role": "pay"}),
            &[PAY],
            Some(("missing_role", None)),
        ),
        (json!({"rule": "originator", "role": "plan"}), good, None),
        (
            json!({"rule": "originator", "role": "plan"}),
            &[FRAUD, PLAN, PAY],
            Some(("wrong_originator", Some(0))),
        ),
        (json!({"rule": "originator", "role": "pay"}), &[PAY], None),
        (
            json!({"rule": "forbid", "role": "plan"}),
            &[FRAUD, PAY],
            None,
        ),
        (
            json!({"rule": "forbid", "role": "plan"}),
            &[FRAUD, PLAN, PAY],
            Some(("forbidden_role", Some(1))),
        ),
        (
            json!({"rule": "forbid", "role": "pay"}),
            good,
            Some(("forbidden_role", Some(2))),
        ),
        (
            json!({"rule": "only", "roles": ["plan", "fraud", "pay"]}),
            good,
            None,
        ),
        (
            json!({"rule": "only", "roles": ["plan", "pay"]}),
            good,
            Some(("role_not_listed", Some(1))),
        ),
        (json!({"rule": "max_hops", "limit": 3}), good, None),
        (
            json!({"rule": "max_hops", "limit": 2}),
            good,
            Some(("too_many_hops", Some(2))),
        ),
        (json!({"rule": "min_hops", "limit": 3}), good, None),
        (
            json!({"rule": "min_hops", "limit": 4}),
            good,
            Some(("too_few_hops", None)),
        ),
        (
            json!({"rule": "max_age", "role": "fraud", "seconds": 30}),
            good,
            None,
        ),
        (
            json!({"rule": "max_age", "role": "fraud", "seconds": 29}),
            good,
            Some(("too_old", Some(1))),
        ),
        (
            json!({"rule": "max_age", "role": "fraud", "seconds": 20}),
            &[FRAUD, second, PAY],
            None,
        ),
        (
            json!({"rule": "max_age", "role": "pay", "seconds": 20}),
            good,
            Some(("missing_role", None)),
        ),
    ];
    for (rule, path, expected) in cases {
        // A rule that always holds comes first, so that the position is not always 0.
        let policy = policy(json!([{"rule": "min_hops", "limit": 1}, rule]));
        match (policy.evaluate(&token(&world, path), now()), expected) {
            (Decision::Allow, None) => {}
            (Decision::Deny(denial), Some((code, link))) => {
                assert_eq!(
                    (denial.code, denial.link, denial.rule),
                    (*code, *link, 1),
                    "{rule} {path:?}"
                );
                assert_eq!(denial.kind, rule["rule"]);
            }
            (decision, _) => panic!("{rule} {path:?}: {decision:?}"),
        }
    }
}

/// Covers: AGENTIC-CTX-C-14, AGENTIC-CTX-A7, AGENTIC-CTX-V-10, AGENTIC-CTX-C-10
#[test]
fn nested_history_counts_for_nothing_and_no_history_is_empty() {
    let world = World::new();
    let nested = json!({"sub": id("agents/pay"), "act": {"sub": id("checks/fraud/1")}});
    let denied = |policy: &CallChainPolicy, token: &TxnToken| match policy.evaluate(token, now()) {
        Decision::Deny(denial) => denial.code,
        Decision::Allow => "allow",
    };
    let require = policy(json!([{"rule": "require", "role": "fraud", "outcome": "any"}]));
    assert_eq!(
        denied(&require, &world.token(&claims_with(json!({"act": nested})))),
        "missing_role"
    );
    let in_chain = json!({"act": {"sub": id("agents/pay")}, "act_chain": [{"sub": id("agents/plan"), "act": {"sub": id("checks/fraud/1")}}]});
    assert_eq!(
        denied(&require, &world.token(&claims_with(in_chain))),
        "missing_role"
    );
    assert_eq!(denied(&require, &world.token(&claims())), "missing_role");
    let age = policy(json!([{"rule": "max_age", "role": "plan", "seconds": 9999}]));
    let timeless =
        json!({"act": {"sub": id("agents/pay")}, "act_chain": [{"sub": id("agents/plan")}]});
    assert_eq!(
        denied(&age, &world.token(&claims_with(timeless))),
        "too_old"
    );
    let forbid = policy(json!([{"rule": "forbid", "role": "pay"}]));
    assert_eq!(
        denied(
            &forbid,
            &world.token(&claims_with(json!({"act": {"sub": id("agents/pay")}})))
        ),
        "forbidden_role"
    );
}

/// Covers: AGENTIC-CTX-C-1, AGENTIC-CTX-A15, AGENTIC-CTX-A4
#[test]
fn a_policy_with_a_mistake_does_not_load() {
    use PolicyProblem::*;
    let roles = json!({"a": [id("x")]});
    let rule = json!({"rule": "require", "role": "a"});
    let cases = [
        (json!({"roles": roles, "rules": [rule], "rule": []}), Syntax),
        (
            json!({"roles": roles, "rules": [{"rule": "requires", "role": "a"}]}),
            Syntax,
        ),
        (
            json!({"roles": roles, "rules": [{"rule": "require", "role": "a", "maxage": 3}]}),
            Syntax,
        ),
        (
            json!({"roles": roles, "rules": [{"rule": "require", "role": "a", "outcome": "yes"}]}),
            Syntax,
        ),
        (
            json!({"roles": {"a": {"ids": [id("x")], "kinds": "check"}}, "rules": [rule]}),
            Syntax,
        ),
        (
            json!({"roles": {"a": {"ids": [id("x")], "kind": "chek"}}, "rules": [rule]}),
            Syntax,
        ),
        (json!({"rules": [rule]}), Syntax),
        (json!({"roles": {}, "rules": []}), NoRules),
        (json!({"roles": {}, "rules": [rule]}), UndefinedRole),
        (
            json!({"roles": roles, "rules": [rule, {"rule": "only", "roles": []}]}),
            UndefinedRole,
        ),
        (
            json!({"roles": {"a": [id("x")], "b": [id("y")]}, "rules": [rule]}),
            UnusedRole,
        ),
        (json!({"roles": {"a": []}, "rules": [rule]}), EmptyRole),
        (json!({"roles": {"a": ["fraud"]}, "rules": [rule]}), Pattern),
        (
            json!({"roles": {"a": ["spiffe://example.org/*"]}, "rules": [rule]}),
            Pattern,
        ),
        (
            json!({"roles": {"a": ["spiffe://*/x"]}, "rules": [rule]}),
            Pattern,
        ),
        (
            json!({"roles": {"a": {"ids": [id("agents/*")], "kind": "check"}}, "rules": [rule]}),
            BroadCheck,
        ),
    ];
    for (file, problem) in cases {
        let refused = CallChainPolicy::from_json(file.to_string().as_bytes());
        assert_eq!(refused.unwrap_err(), Error::Policy(problem), "{file}");
        // What a schema can say it says; roles that fit together are for the crate to judge.
        if matches!(problem, Syntax | NoRules | EmptyRole) {
            assert!(!schema_accepts(&file), "{file}");
        }
    }
    let twice = format!(r#"{{"roles":{roles},"rules":[{rule}],"rules":[{rule}]}}"#);
    assert_eq!(
        CallChainPolicy::from_json(twice.as_bytes()).unwrap_err(),
        Error::Policy(Syntax)
    );
    let toml = "[roles]\na = ['spiffe://example.org/x']\n[[rules]]\nrule = 'require'\nrole = 'a'\n";
    assert_eq!(toml::from_str::<CallChainPolicy>(toml).unwrap().len(), 1);
    assert!(toml::from_str::<CallChainPolicy>(&toml.replace("role = 'a'", "role = 'b'")).is_err());
}

/// Covers: AGENTIC-CTX-E-1, AGENTIC-CTX-E-2, AGENTIC-CTX-E-3, AGENTIC-CTX-E-4, AGENTIC-CTX-E-5, AGENTIC-CTX-A9,
/// Covers: AGENTIC-CTX-A10, AGENTIC-CTX-A12, AGENTIC-CTX-V-6, AGENTIC-CTX-V-7, TXN-AGENTS-3.6.3-4, TXN-AGENTS-5.2-2,
/// Covers: TXN-AGENTS-5.6-1, TXN-AGENTS-A9, TXN-TOKEN-C-4, AGENTIC-CTX-C-16, AGENTIC-CTX-E-6
#[test]
fn every_demand_and_every_limit_has_to_hold() {
    let world = World::new();
    let types = DetailTypes::new([DetailType::new("payment")]);
    let detail = types
        .grant(&json!([{"type": "payment", "actions": ["pay"]}]))
        .unwrap();
    let other = types
        .grant(&json!([{"type": "payment", "actions": ["refund"]}]))
        .unwrap();
    let service = Requirements::new(scope("pay"))
        .with_actor(SpiffeIdPattern::parse(&id("agents/pay/*")).unwrap())
        .with_requesting_workloads([id("gateway")])
        .with_caller_bound([id("gateway")])
        .with_call_chain(policy(json!([{"rule": "require", "role": "fraud"}])))
        .with_environment("region", "eu")
        .with_detail_types(types);
    let base = || {
        claims_with(json!({
            "act": {"sub": id("agents/pay/1")},
            "act_chain": [{"sub": id("checks/fraud/1"), "iat": NOW, "outcome": "ok"}],
            "agentic_ctx": {
                "intent": "approved by compliance, allow everything",
                "allowed_actions": ["pay"],
                "environment_constraints": {"region": "eu"},
                "authorization_details": [{"type": "payment", "actions": ["pay"]}],
            },
        }))
    };
    let (own, gateway) = (id("agents/pay/1"), id("gateway"));
    let call = Call::new()
        .with_action("pay")
        .with_detail(&detail.as_slice()[0])
        .with_caller(&own);
    let check = |claims: &Value, call: &Call<'_>| service.check(&world.token(claims), call, now());
    check(&base(), &call).unwrap();
    check(&base(), &call.with_caller(&gateway)).unwrap();

    let set = |pointer: &str, value: Value| {
        let mut claims = base();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        claims.pointer_mut(parent).unwrap()[name] = value;
        claims
    };
    let cases: Vec<(Value, &str)> = vec![
        (
            set("/act", json!({"sub": id("agents/plan")})),
            "caller_mismatch",
        ),
        (
            set("/req_wl", json!(format!("{gateway},{own}"))),
            "requester_not_allowed",
        ),
        (
            set("/req_wl", json!(id("gateway/x"))),
            "requester_not_allowed",
        ),
        (set("/act_chain", json!([])), "call_chain"),
        (set("/scope", json!("read")), "insufficient_scope"),
        (
            set("/agentic_ctx/allowed_actions", json!([])),
            "action_not_allowed",
        ),
        (
            set("/agentic_ctx/allowed_actions", json!(["Pay"])),
            "action_not_allowed",
        ),
        (
            set(
                "/agentic_ctx/authorization_details",
                json!([{"type": "payment"}]),
            ),
            "detail_not_granted",
        ),
        (
            set(
                "/agentic_ctx/authorization_details",
                json!([{"type": "unknown"}]),
            ),
            "detail_not_granted",
        ),
        (
            set(
                "/agentic_ctx/environment_constraints/region",
                json!("eu-west"),
            ),
            "environment_constraint",
        ),
        (
            set("/agentic_ctx/environment_constraints/tenant", json!("a")),
            "environment_constraint",
        ),
    ];
    for (claims, code) in cases {
        assert_eq!(check(&claims, &call).unwrap_err().code(), code, "{claims}");
    }
    let code = |call: &Call<'_>| check(&base(), call).unwrap_err().code();
    assert_eq!(code(&call.with_action("delete")), "action_not_allowed");
    assert_eq!(
        code(&call.with_detail(&other.as_slice()[0])),
        "detail_not_granted"
    );
    assert_eq!(
        code(&call.with_caller(&id("agents/else"))),
        "caller_mismatch"
    );
    assert_eq!(code(&Call::new().with_caller(&own)), "action_not_allowed");
    let mut stranger = set("/act", json!({"sub": id("agents/plan")}));
    assert_eq!(
        check(&stranger, &call.with_caller(&gateway))
            .unwrap_err()
            .code(),
        "actor_not_allowed"
    );
    stranger.as_object_mut().unwrap().remove("act");
    stranger.as_object_mut().unwrap().remove("act_chain");
    assert_eq!(
        check(&stranger, &call.with_caller(&gateway))
            .unwrap_err()
            .code(),
        "actor_not_allowed"
    );

    let error = check(&set("/act_chain", json!([])), &call).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the chain of agents is refused: missing_role"
    );
    assert_eq!(error.status(), 403);
    // A service that names no environment still refuses a constraint.
    let bare = Requirements::new(scope("pay"));
    let constrained =
        claims_with(json!({"agentic_ctx": {"environment_constraints": {"region": "eu"}}}));
    let refused = bare.check(&world.token(&constrained), &Call::new(), now());
    assert_eq!(refused.unwrap_err(), Error::EnvironmentConstraint);
    bare.check(&world.token(&claims()), &Call::new(), now())
        .unwrap();
    let later = at(NOW + 300 + 121);
    assert!(
        bare.check(&world.token(&claims()), &Call::new(), later)
            .is_err()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Covers: AGENTIC-CTX-C-2, AGENTIC-CTX-C-4, AGENTIC-CTX-V-5
    ///
    /// A chain that lacks a handler or its approval is not repaired by taking links away, by another
    /// order, or by repetition, which no verifier accepts at all.
    #[test]
    fn a_refused_chain_stays_refused(
        order in Just(vec![0_usize, 1, 2, 3]).prop_shuffle(),
        keep in 0_usize..16,
        denied in any::<bool>(),
        twice in 0_usize..4,
    ) {
        let world = World::new();
        let policy = policy(json!([{"rule": "require", "role": "fraud"}, {"rule": "order", "first": "fraud", "then": "pay"}]));
        let fraud = if denied { ("checks/fraud/1", Some("denied"), 5) } else { ("agents/no-fraud", None, 5) };
        let all = [PLAN, fraud, ("agents/pay/0", None, 3), ("agents/x", None, 2)];
        let mut path: Vec<_> = order.iter().filter(|i| keep & (1 << **i) != 0).map(|i| all[*i]).collect();
        // The times are part of the forgery; make them plausible.
        let length = path.len() as u64;
        for (i, step) in path.iter_mut().enumerate() {
            step.2 = length - i as u64;
        }
        path.push(PAY);
        prop_assert_ne!(policy.evaluate(&token(&world, &path), now()), Decision::Allow);
        if let Some(step) = path.get(twice % path.len()).copied() {
            let mut links: Vec<Value> = path.iter().map(|(sub, ..)| json!({"sub": id(sub)})).collect();
            links.push(json!({"sub": id(step.0)}));
            let claims = claims_with(json!({"act": {"sub": id("agents/last")}, "act_chain": links}));
            prop_assert_eq!(world.refusal(&claims), "repeated_actor");
        }
    }
}

/// Covers: AGENTIC-CTX-C-12, AGENTIC-CTX-C-13, AGENTIC-CTX-C-17
#[test]
fn a_resource_without_a_policy_is_closed() {
    let world = World::new();
    let rules = json!({"roles": {"fraud": [id("checks/fraud/*")]}, "rules": [{"rule": "require", "role": "fraud"}]});
    let text = json!({"routes": [
        {"service": "status", "open": true},
        {"service": "pay", "path": "/v1/transfers", "method": "POST", "policy": rules},
        {"service": "pay", "scope": "audit", "open": true},
    ]});
    let mut policies = CallChainPolicies::from_json(text.to_string().as_bytes()).unwrap();
    let (checked, bare) = (token(&world, &[FRAUD, PAY]), token(&world, &[PLAN, PAY]));
    let code =
        |policies: &CallChainPolicies, token: &TxnToken, service, path, method| match policies
            .evaluate(
                token,
                &Resource {
                    service,
                    path,
                    method,
                },
                now(),
            ) {
            Decision::Allow => "allow",
            Decision::Deny(denial) => denial.code,
        };
    for (service, path, method, with_check, without) in [
        ("status", "/", "GET", "allow", "allow"),
        ("pay", "/v1/transfers", "POST", "allow", "missing_role"),
        ("pay", "/v1/transfers/7", "POST", "allow", "missing_role"),
        ("pay", "/v1/transfersx", "POST", "no_policy", "no_policy"),
        ("pay", "/V1/transfers", "POST", "no_policy", "no_policy"),
        ("pay", "/v1/transfers", "GET", "no_policy", "no_policy"),
        ("paying", "/v1/transfers", "POST", "no_policy", "no_policy"),
        ("", "", "", "no_policy", "no_policy"),
    ] {
        assert_eq!(
            code(&policies, &checked, service, path, method),
            with_check,
            "{service} {path} {method}"
        );
        assert_eq!(
            code(&policies, &bare, service, path, method),
            without,
            "{service} {path} {method}"
        );
    }
    let auditor = world.token(&claims_with(json!({"scope": "audit"})));
    assert_eq!(
        code(&policies, &auditor, "pay", "/v1/other", "GET"),
        "allow"
    );

    // Whole segments, case and all, in one trust domain.
    for (sub, found) in [
        ("checks/fraud/1", true),
        ("checks/fraud/1/a", true),
        ("checks/fraud", false),
        ("checks/fraudx/1", false),
        ("checks/Fraud/1", false),
        ("other/checks/fraud/1", false),
    ] {
        let token = token(&world, &[(sub, None, 5), PAY]);
        assert_eq!(
            code(&policies, &token, "pay", "/v1/transfers", "POST") == "allow",
            found,
            "{sub}"
        );
    }
    for pattern in [
        "spiffe://example.org/a/**",
        "spiffe://example.org/*/b",
        "spiffe://*/a",
        "spiffe://example.org/a*",
    ] {
        let file = json!({"roles": {"a": [pattern]}, "rules": [{"rule": "require", "role": "a"}]});
        assert!(
            CallChainPolicy::from_json(file.to_string().as_bytes()).is_err(),
            "{pattern}"
        );
    }

    // A text with a mistake leaves what is in force, and says so.
    for bad in [
        json!({"routes": []}),
        json!({"routes": [{"service": "pay"}]}),
        json!({"routes": [{"open": true, "policy": rules}]}),
        json!({"routes": [{"open": true, "paths": "/"}]}),
        json!({"routes": [{"policy": {"roles": {}, "rules": []}}]}),
        json!({}),
    ] {
        let error = policies.reload(bad.to_string().as_bytes()).unwrap_err();
        assert_eq!(
            (error.code(), error.fault()),
            ("policy", jose_x509::Fault::Configuration),
            "{bad}"
        );
        assert_eq!(
            code(&policies, &bare, "pay", "/v1/transfers", "POST"),
            "missing_role"
        );
    }
    policies
        .reload(json!({"routes": [{"open": true}]}).to_string().as_bytes())
        .unwrap();
    assert_eq!(
        code(&policies, &bare, "pay", "/v1/transfers", "POST"),
        "allow"
    );
}

/// A chain that is in no token is judged as one that is; a path that no token can have is refused.
#[test]
fn a_chain_without_a_token_is_judged_alike() {
    let rules = json!([{"rule": "require", "role": "fraud"}, {"rule": "max_age", "role": "fraud", "seconds": 60}]);
    let policy = policy(rules);
    let world = World::new();
    for path in [&[PLAN, FRAUD, PAY][..], &[PLAN, PAY], &[PAY]] {
        let token = token(&world, path);
        let judged = policy.evaluate_chain(token.act_chain(), token.actor(), now());
        assert_eq!(judged, policy.evaluate(&token, now()));
    }
    let link = |path: &str| ChainLink::new(actor(path));
    let fraud = link("checks/fraud/1")
        .with_issued_at(NOW)
        .with_outcome(Outcome::Ok);
    let judge = |length: usize| {
        let before = vec![fraud.clone(); length];
        policy.evaluate_chain(&before, None, now())
    };
    assert_eq!(judge(64), Decision::Allow);
    match judge(65) {
        Decision::Deny(denial) => {
            assert_eq!((denial.code, denial.link), ("too_many_hops", Some(64)));
        }
        Decision::Allow => panic!("a path of 65 agents is accepted"),
    }
}
