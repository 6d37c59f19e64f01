//! Claims of any kind are read as an ordinary JSON reader reads them, and refused for what is wrong in them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use support::*;
use token_exchange::ScopeSet;
use txn_token::*;

static WORLD: LazyLock<World> = LazyLock::new(World::new);

fn text() -> impl Strategy<Value = Value> {
    select(vec![
        "a", "b", "c", "pay", "", "x\ny", "q\"\\", "\u{e9}", ISSUER,
    ])
    .prop_map(Value::from)
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        select(vec![
            json!(null),
            json!(true),
            json!(1),
            json!(-1),
            json!(1.5),
            json!(NOW)
        ]),
        text(),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            members(vec![("a", inner.clone().boxed()), ("x\ty", inner.boxed())]),
        ]
    })
}

/// Mostly this, and sometimes anything.
fn mostly(usual: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop_oneof![40 => usual, 1 => any_value()].boxed()
}

/// An object with some of these members.
fn members(all: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let member = |(name, value): (&'static str, BoxedStrategy<Value>)| {
        proptest::option::of(value).prop_map(move |value| Some((name.to_owned(), value?)))
    };
    let all: Vec<_> = all.into_iter().map(member).collect();
    all.prop_map(|all| Value::Object(all.into_iter().flatten().collect()))
        .boxed()
}

/// Mostly with one more.
fn with(
    object: BoxedStrategy<Value>,
    name: &'static str,
    value: BoxedStrategy<Value>,
) -> BoxedStrategy<Value> {
    (object, prop::option::weighted(0.98, value))
        .prop_map(move |(mut object, value)| {
            if let (Some(value), Some(members)) = (value, object.as_object_mut()) {
                members.insert(name.to_owned(), value);
            }
            object
        })
        .boxed()
}

fn list(item: impl Strategy<Value = Value> + 'static, most: usize) -> BoxedStrategy<Value> {
    prop::collection::vec(item, 0..=most)
        .prop_map(Value::Array)
        .boxed()
}

fn actor(link: bool) -> BoxedStrategy<Value> {
    let names: Vec<_> = ('a'..='t').map(|name| json!(name)).collect();
    let sub = select(names).boxed();
    let iss = prop_oneof![9 => Just(json!(ISSUER)), 1 => text()];
    let named = |all| with(members(all), "sub", mostly(sub.clone()));
    let nested = (0..5).fold(named(vec![]), |inner, _| {
        mostly(named(vec![("act", inner)]))
    });
    let all = named(vec![
        ("iss", mostly(iss)),
        ("version", mostly(text())),
        ("other", any_value().boxed()),
        ("deployment", mostly(text())),
    ]);
    let rare =
        |value: BoxedStrategy<Value>| prop_oneof![7 => Just(None), 1 => value.prop_map(Some)];
    let iat = if link {
        mostly(select(vec![json!(NOW), json!(NOW + 40)]))
    } else {
        any_value().boxed()
    };
    let outcome = mostly(select(vec![
        json!("ok"),
        json!("denied"),
        json!("error"),
        json!("OK"),
    ]));
    (
        all,
        rare(nested),
        rare(iat),
        rare(outcome),
        rare(any_value().boxed()),
    )
        .prop_map(|(mut actor, act, iat, outcome, exp)| {
            for (name, value) in [
                ("act", act),
                ("iat", iat),
                ("outcome", outcome),
                ("exp", exp),
            ] {
                if let (Some(value), Some(members)) = (value, actor.as_object_mut()) {
                    members.insert(name.to_owned(), value);
                }
            }
            actor
        })
        .boxed()
}

fn agentic() -> BoxedStrategy<Value> {
    let detail = members(vec![("actions", any_value().boxed())]);
    let detail = with(detail, "type", mostly(text()));
    members(vec![
        ("agent_type", mostly(text())),
        ("agent_version", mostly(text())),
        ("intent", mostly(text())),
        ("allowed_actions", mostly(list(mostly(text()), 3))),
        ("authorization_details", mostly(list(mostly(detail), 2))),
        (
            "environment_constraints",
            mostly(members(vec![("region", mostly(text()))])),
        ),
        (
            "identity",
            mostly(members(vec![
                ("workload_id", mostly(text())),
                ("x", any_value().boxed()),
            ])),
        ),
        ("other", any_value().boxed()),
    ])
}

fn all_claims() -> impl Strategy<Value = Value> {
    let context = || {
        mostly(members(vec![
            ("a", any_value().boxed()),
            ("b\n", any_value().boxed()),
        ]))
    };
    members(vec![
        ("tctx", context()),
        ("rctx", context()),
        ("act", mostly(actor(false))),
        (
            "act_chain",
            mostly(
                prop_oneof![4 => list(mostly(actor(true)), 3), 1 => list(mostly(actor(true)), 9)],
            ),
        ),
        ("agentic_ctx", mostly(agentic())),
        ("req_wl_chain", mostly(list(mostly(text()), 3))),
        (
            "txn_iat",
            mostly(select(vec![json!(NOW), json!(NOW - 9), json!(NOW + 1)])),
        ),
        (
            "txn_exp",
            mostly(select(vec![
                json!(NOW + 300),
                json!(NOW + 999),
                json!(NOW + 299),
            ])),
        ),
        ("unknown", any_value().boxed()),
    ])
    .prop_flat_map(|more| {
        (
            Just(more),
            mostly(Just(json!("t-1"))),
            mostly(Just(json!("pay read pay"))),
        )
    })
    .prop_map(|(more, txn, scope)| {
        let mut claims = claims();
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        claims["txn"] = txn;
        claims["scope"] = scope;
        claims
    })
}

/// The codes of all that is wrong.
fn wrong(claims: &Value) -> BTreeSet<&'static str> {
    let mut codes = BTreeSet::new();
    let mut unless = |holds: bool, code| _ = (!holds).then(|| codes.insert(code));
    let full = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let is = |name: &str, test: fn(&Value) -> bool| claims.get(name).is_none_or(test);
    let scopes = claims["scope"]
        .as_str()
        .and_then(|text| ScopeSet::parse(text).ok());
    unless(full(&claims["txn"]), "claim_type");
    unless(scopes.is_some_and(|set| !set.is_empty()), "claim_type");
    unless(
        is("tctx", Value::is_object) && is("rctx", Value::is_object),
        "claim_type",
    );
    unless(
        is("txn_iat", |iat| iat.as_u64().is_some_and(|iat| iat <= NOW)),
        "claim_type",
    );
    unless(
        is("txn_exp", |exp| {
            exp.as_u64().is_some_and(|exp| exp >= NOW + 300)
        }),
        "claim_type",
    );
    let texts = claims
        .get("req_wl_chain")
        .is_none_or(|chain| chain.as_array().is_some_and(|chain| chain.iter().all(full)));
    unless(texts, "claim_type");

    let none = Vec::new();
    let chain = claims.get("act_chain").map_or(Some(&none), Value::as_array);
    unless(chain.is_some(), "malformed_actor");
    let chain = chain.unwrap_or(&none);
    unless(chain.len() <= 8, "chain_too_long");
    unless(
        chain.iter().all(|link| is_actor(link, true)),
        "malformed_actor",
    );
    unless(is("act", |act| is_actor(act, false)), "malformed_actor");
    unless(
        chain.is_empty() || claims.get("act").is_some(),
        "malformed_actor",
    );
    let path: Vec<_> = chain
        .iter()
        .chain(claims.get("act"))
        .filter(|_| claims.get("act").is_some())
        .collect();
    unless(
        path.iter()
            .all(|one| one.get("iss").is_none_or(|iss| iss == ISSUER)),
        "unknown_actor_issuer",
    );
    let alike = |(a, b): (&Value, &Value)| {
        let issuers = a.get("iss").zip(b.get("iss"));
        a.get("sub") == b.get("sub") && issuers.is_none_or(|(a, b)| a == b)
    };
    let twice = (0..path.len()).any(|i| path[..i].iter().any(|earlier| alike((earlier, path[i]))));
    unless(!twice, "repeated_actor");
    let times: Vec<_> = chain
        .iter()
        .filter_map(|link| link.get("iat")?.as_u64())
        .collect();
    unless(
        times.is_sorted() && times.iter().all(|time| *time <= NOW + 30),
        "chain_times",
    );
    unless(is("agentic_ctx", is_context), "agentic_context");
    codes
}

fn is_party(members: &Map<String, Value>) -> bool {
    let foreign = ["exp", "nbf", "iat", "aud", "jti", "scope", "cnf"];
    let full = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    members.get("sub").is_some_and(full)
        && members.get("iss").is_none_or(full)
        && !members.keys().any(|name| foreign.contains(&name.as_str()))
}

fn is_actor(value: &Value, link: bool) -> bool {
    let Some(mut members) = value.as_object().cloned() else {
        return false;
    };
    let (iat, outcome) = match link {
        true => (members.remove("iat"), members.remove("outcome")),
        false => (None, None),
    };
    let mut level = Some(&Value::Object(members.clone()));
    for _ in 0..4 {
        let Some(value) = level else { break };
        if !value.as_object().is_some_and(is_party) {
            return false;
        }
        level = value.get("act");
    }
    level.is_none()
        && ["version", "deployment"]
            .iter()
            .all(|name| members.get(*name).is_none_or(Value::is_string))
        && iat.is_none_or(|iat| iat.is_u64())
        && outcome.is_none_or(|outcome| {
            ["ok", "denied", "error"]
                .iter()
                .any(|known| outcome == *known)
        })
}

fn is_context(value: &Value) -> bool {
    let Some(members) = value.as_object() else {
        return false;
    };
    let is = |name: &str, test: fn(&Value) -> bool| members.get(name).is_none_or(test);
    let clean = |value: &Value| value.as_str().is_some_and(|text| !text.contains('\n'));
    let full = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    ["agent_type", "agent_version", "intent"]
        .iter()
        .all(|name| members.get(*name).is_none_or(clean))
        && members
            .get("allowed_actions")
            .is_none_or(|list| list.as_array().is_some_and(|list| list.iter().all(full)))
        && is("authorization_details", |list| {
            let typed = |detail: &Value| detail["type"].is_string();
            list.as_array()
                .is_some_and(|list| !list.is_empty() && list.iter().all(typed))
        })
        && is("environment_constraints", |object| {
            object
                .as_object()
                .is_some_and(|object| object.values().all(Value::is_string))
        })
        && members.get("identity").is_none_or(|identity| {
            identity
                .as_object()
                .is_some_and(|identity| identity.get("workload_id").is_none_or(full))
        })
}

fn check_context(context: &Context, claim: Option<&Value>) {
    let empty = Map::new();
    let members = claim.map_or(&empty, |claim| claim.as_object().unwrap());
    assert!(context.names().eq(members.keys()));
    assert!(
        members
            .iter()
            .all(|(name, value)| context.get(name).as_ref() == Some(value))
    );
}

fn check_actor(actor: &Actor, claim: &Value, own: &[&str]) {
    let text = |name: &str| claim.get(name).and_then(Value::as_str);
    let party = actor.party();
    assert_eq!(
        (party.issuer(), Some(party.subject())),
        (text("iss"), text("sub"))
    );
    assert_eq!(
        (actor.version(), actor.deployment()),
        (text("version"), text("deployment"))
    );
    let known = [["iss", "sub", "version", "deployment"].as_slice(), own].concat();
    let mut rest = claim.as_object().unwrap().clone();
    rest.retain(|name, _| !known.contains(&name.as_str()));
    assert_eq!(actor.unread_members(), &rest);
}

fn check_agentic(context: &AgenticContext, claim: &Value) {
    let text = |name: &str| {
        claim
            .get(name)
            .map(|text| text.as_str().unwrap().to_owned())
    };
    assert_eq!(context.agent_type, text("agent_type"));
    assert_eq!(context.agent_version, text("agent_version"));
    assert_eq!(context.intent, text("intent"));
    let actions = context.allowed_actions.as_ref().map(|set| json!(set));
    let sorted = claim.get("allowed_actions").map(|list| {
        let set: BTreeSet<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item.as_str().unwrap())
            .collect();
        json!(set)
    });
    assert_eq!(actions, sorted);
    assert_eq!(
        context.authorization_details.as_ref(),
        claim.get("authorization_details")
    );
    let constraints = claim.get("environment_constraints").cloned();
    assert_eq!(
        json!(context.environment_constraints),
        constraints.unwrap_or(json!({}))
    );
    let known = [
        "agent_type",
        "agent_version",
        "intent",
        "allowed_actions",
        "authorization_details",
        "environment_constraints",
        "identity",
    ];
    let mut rest = claim.as_object().unwrap().clone();
    rest.retain(|name, _| !known.contains(&name.as_str()));
    assert_eq!(context.other, rest);
    let identity = context
        .lineage()
        .map(|lineage| lineage.current().to_value()["identity"].clone());
    assert_eq!(identity.as_ref(), claim.get("identity"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Covers: AGENTIC-CTX-P-3, AGENTIC-CTX-P-5, AGENTIC-CTX-V-4
    #[test]
    fn a_token_says_what_its_json_says(claims in all_claims(), spaced: bool) {
        let world = &*WORLD;
        let verifier = world.verifier.clone().with_opaque_actors();
        let text = if spaced { serde_json::to_string_pretty(&claims) } else { serde_json::to_string(&claims) };
        let token = world.sign_text(&text.unwrap());
        let wrong = wrong(&claims);
        let token = match verifier.verify(&token, &world.keys, now()) {
            Ok(token) => token,
            Err(error) => {
                prop_assert!(wrong.contains(error.code()), "{} is none of {wrong:?}", error.code());
                return Ok(());
            }
        };
        prop_assert!(wrong.is_empty(), "{wrong:?}");
        prop_assert_eq!(token.claim("unknown"), claims.get("unknown").cloned());
        prop_assert_eq!(&claims["txn"], token.txn());
        prop_assert_eq!(&claims["sub"], token.subject());
        prop_assert_eq!(&claims["req_wl"], token.requesting_workload());
        prop_assert_eq!(token.scope(), &ScopeSet::parse(claims["scope"].as_str().unwrap()).unwrap());
        let earlier = claims.get("req_wl_chain").cloned().unwrap_or(json!([]));
        prop_assert_eq!(json!(token.earlier_requesting_workloads()), earlier);
        check_context(token.transaction_context(), claims.get("tctx"));
        check_context(token.request_context(), claims.get("rctx"));
        prop_assert_eq!(token.actor().is_some(), claims.get("act").is_some());
        if let Some(actor) = token.actor() {
            check_actor(actor, &claims["act"], &[]);
        }
        let chain = claims.get("act_chain").map_or(&[][..], |chain| chain.as_array().unwrap());
        prop_assert_eq!(token.act_chain().len(), chain.len());
        for (link, claim) in token.act_chain().iter().zip(chain) {
            check_actor(link.actor(), claim, &["iat", "outcome"]);
            prop_assert_eq!(link.issued_at(), claim.get("iat").and_then(Value::as_u64));
            prop_assert_eq!(link.outcome().map(Outcome::as_str), claim.get("outcome").and_then(Value::as_str));
        }
        prop_assert_eq!(token.agentic_context().is_some(), claims.get("agentic_ctx").is_some());
        if let Some(context) = token.agentic_context() {
            check_agentic(context, &claims["agentic_ctx"]);
        }
    }
}
