//! An accepted policy is well formed, means the same when it is read from another format, and allows no chain that breaks one of its
//! rules, judged by the text of the rules.
//!
//! The input is a policy, a byte that no text has, and one byte for each agent of a chain.
#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use serde_json::Value;
use token_exchange::Party;
use txn_token::{Actor, CallChainPolicy, ChainLink, Decision, Outcome};

const NOW: u64 = 1_800_000_000;
const STRANGER: &str = "spiffe://elsewhere.example/agent";

/// An agent of a chain.
struct Agent {
    id: String,
    time: u64,
    outcome: Option<Outcome>,
}

fuzz_target!(|input: &[u8]| {
    let split = input.iter().position(|byte| *byte == 0xff);
    let (text, chain) = input.split_at(split.unwrap_or(input.len()));
    let Ok(policy) = CallChainPolicy::from_json(text) else {
        return;
    };
    let json: Value = serde_json::from_slice(text).expect("an accepted policy is JSON");
    let roles = roles(&json);
    let rules = json["rules"].as_array().expect("rules");
    assert_eq!(policy.len(), rules.len());
    assert!(!rules.is_empty());
    let named: Vec<&str> = rules.iter().flat_map(roles_of).collect();
    assert!(named.iter().all(|name| roles.contains_key(name)));
    assert!(roles.keys().all(|name| named.contains(name)));
    let again: CallChainPolicy = serde_json::from_value(json.clone()).expect("of the same form");

    let path = agents(chain.get(1..).unwrap_or_default(), &roles);
    let links: Vec<ChainLink> = path.iter().map(link).collect();
    let (current, before) = match links.split_last() {
        Some((last, before)) => (Some(last.actor()), before),
        None => (None, links.as_slice()),
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let decision = policy.evaluate_chain(before, current, now);
    assert_eq!(decision, again.evaluate_chain(before, current, now));
    match decision {
        Decision::Allow => rules.iter().for_each(|rule| check(rule, &path, &roles)),
        Decision::Deny(denial) => {
            assert!(denial.rule < rules.len() || path.len() > 64);
            assert!(denial.link.is_none_or(|link| link < path.len().max(65)));
            assert!(denial.role.is_none_or(|role| roles.contains_key(&*role)));
        }
    }
});

fn roles(policy: &Value) -> BTreeMap<&str, Vec<&str>> {
    let roles = policy["roles"].as_object().expect("roles");
    roles
        .iter()
        .map(|(name, role)| {
            let ids = role.as_array().or_else(|| role["ids"].as_array());
            let ids = ids.into_iter().flatten().filter_map(Value::as_str);
            (name.as_str(), ids.collect())
        })
        .collect()
}

fn roles_of(rule: &Value) -> Vec<&str> {
    let one = ["role", "first", "then"].map(|name| rule.get(name).and_then(Value::as_str));
    let several = rule.get("roles").and_then(Value::as_array);
    let several = several.into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().flatten().chain(several).collect()
}

/// Each byte chooses an ID that a role has, or a stranger, with an outcome and an age.
fn agents(chain: &[u8], roles: &BTreeMap<&str, Vec<&str>>) -> Vec<Agent> {
    let ids = roles.values().flatten();
    let mut ids: Vec<String> = ids
        .map(|id| match id.strip_suffix('*') {
            Some(prefix) => format!("{prefix}one"),
            None => (*id).to_owned(),
        })
        .collect();
    ids.push(STRANGER.to_owned());
    let agent = |byte: &u8| Agent {
        id: ids[usize::from(byte & 7) % ids.len()].clone(),
        time: NOW - u64::from(byte >> 5) * 60,
        outcome: match byte >> 3 & 3 {
            0 => None,
            1 => Some(Outcome::Ok),
            2 => Some(Outcome::Denied),
            _ => Some(Outcome::Error),
        },
    };
    chain.iter().take(70).map(agent).collect()
}

fn link(agent: &Agent) -> ChainLink {
    let link = ChainLink::new(Actor::new(Party::new(agent.id.as_str()))).with_issued_at(agent.time);
    match agent.outcome {
        Some(outcome) => link.with_outcome(outcome),
        None => link,
    }
}

/// What an allowed path must be by the words of the rule.
fn check(rule: &Value, path: &[Agent], roles: &BTreeMap<&str, Vec<&str>>) {
    let has = |agent: &Agent, role: &str| {
        roles[role].iter().any(|id| match id.strip_suffix('*') {
            Some(prefix) => agent.id.len() > prefix.len() && agent.id.starts_with(prefix),
            None => agent.id == *id,
        })
    };
    let text = |name: &str| rule[name].as_str().expect("a text");
    let flag = |name: &str| rule.get(name).is_some_and(|value| *value == true);
    let number = |name: &str| rule[name].as_u64().expect("a number");
    let history = path.split_last().map_or(path, |(_, before)| before);
    let required = |role: &str| {
        let agents = if flag("include_current") {
            path
        } else {
            history
        };
        let acted: Vec<&Agent> = agents.iter().filter(|agent| has(agent, role)).collect();
        assert_ne!(acted.len(), 0, "{role} did not act");
        if rule.get("outcome").is_some_and(|outcome| outcome == "ok") {
            let approved = acted.iter().any(|agent| agent.outcome == Some(Outcome::Ok));
            assert!(approved, "{role} did not approve");
        }
    };
    let first = |role: &str| path.iter().position(|agent| has(agent, role));
    match text("rule") {
        "require" => required(text("role")),
        "require_all" => roles_of(rule).into_iter().for_each(required),
        "require_any" => {
            let agents = if flag("include_current") {
                path
            } else {
                history
            };
            let any = |agent: &Agent| roles_of(rule).iter().any(|role| has(agent, role));
            assert!(agents.iter().any(any));
        }
        "order" => {
            let (one, two) = (first(text("first")), first(text("then")));
            assert!(one.is_some() && two.is_some() && one < two);
        }
        "immediate" => assert!(history.last().is_some_and(|agent| has(agent, text("role")))),
        "originator" => assert!(path.first().is_some_and(|agent| has(agent, text("role")))),
        "forbid" => assert_eq!(first(text("role")), None),
        "only" => {
            let allowed = roles_of(rule);
            assert!(
                path.iter()
                    .all(|agent| allowed.iter().any(|role| has(agent, role)))
            );
        }
        "max_hops" => assert!(u64::try_from(path.len()).is_ok_and(|len| len <= number("limit"))),
        "min_hops" => assert!(u64::try_from(path.len()).is_ok_and(|len| len >= number("limit"))),
        "max_age" => {
            let newest = history.iter().rfind(|agent| has(agent, text("role")));
            assert!(newest.is_some_and(|agent| NOW - agent.time <= number("seconds")));
        }
        other => panic!("{other} is no rule"),
    }
}
