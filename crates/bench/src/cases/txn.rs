//! Transaction tokens: an agentic one of 1.2 kB verified and issued, and call chains judged.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;

use jose_x509::{Algorithm, KeySet, VerifyingKey};
use pki_types::UnixTime;
use serde_json::json;
use token_exchange::{Party, ScopeSet};
use txn_token::{
    Actor, AgenticContext, CallChainPolicy, ChainLink, Context, Decision, IssueRequest, Outcome,
    ReplaceRequest, TxnToken, TxnTokenIssuer, TxnTokenVerifier,
};

use super::{Planned, with_yardstick};
use crate::backend::Backend;
use crate::bar::Bar;
use crate::fixtures::{Key, four_keys};
use crate::harness::{Case, Work};

const ISSUER: &str = "https://tts.prod.example.org";
const DOMAIN: &str = "prod.example.org";
const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));

pub(super) fn plan(cases: &mut Vec<Planned>, backend: Backend) {
    let of = |what: &str| format!("txn-{what}/{}", backend.name());
    cases.push(Planned::new(of("verify-agentic-1200"), move |name| {
        verification(name, backend)
    }));
    cases.push(Planned::new(of("issue-agentic"), move |name| {
        issuing(name, backend)
    }));
}

pub(super) fn plan_policies(cases: &mut Vec<Planned>) {
    cases.push(Planned::new("txn-policy-20x16", |name| {
        let case = Case::new(name, policy(20, 16, 1)).floor("nothing", Work::new(|| ()));
        with_yardstick(case).bar(Bar::OverFloor { at_most: 2000.0 })
    }));
    for (rules, links, times, peer) in [
        (40, 32, 4, "20 rules over 16 links, 4 times"),
        (80, 64, 16, "20 rules over 16 links, 16 times"),
    ] {
        let name = format!("txn-policy-{rules}x{links}");
        cases.push(Planned::new(name, move |name| {
            Case::new(name, policy(rules, links, 1))
                .peer(peer, policy(20, 16, times))
                .bar(Bar::Ratio { peer, at_most: 1.0 })
        }));
    }
}

fn agent(number: usize) -> String {
    format!("spiffe://{DOMAIN}/sa/advisor-{number:03}")
}

fn issuer(signer: &Key, backend: Backend) -> TxnTokenIssuer<jose_x509::SigningKey> {
    let provider = backend.provider();
    TxnTokenIssuer::new(signer.signing_key(&provider), DOMAIN, &provider)
        .expect("the key is for transaction tokens")
        .with_issuer(ISSUER)
}

fn request() -> IssueRequest<'static> {
    let context = |text| Context::parse(text).expect("an object");
    let scope = ScopeSet::parse("refund.write payment.read").expect("scopes");
    let mut request = IssueRequest::new("d084sdrt234fsaw34tr23t", scope, agent(900));
    request.txn = Some("97053963-771d-49cc-a4e3-20aad399c312".to_owned());
    request.act = Some(Actor::new(Party::new(agent(0))).with_version("1.21"));
    request.transaction_context = context(r#"{"order":"84729"}"#);
    request.request_context = context(r#"{"req_ip":"69.151.72.123"}"#);
    let mut limits = AgenticContext::new();
    limits.agent_type = Some("planner".to_owned());
    limits.intent = Some("process refund for order 84729".to_owned());
    limits.allowed_actions = Some(BTreeSet::from(["refund".to_owned()]));
    limits.authorization_details = Some(json!([
        {"type": "refund", "actions": ["create"], "identifier": "84729"},
    ]));
    limits.environment_constraints = [("region", "us-east")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    request.agentic_context = Some(limits);
    request
}

/// An agentic token after a hand-over.
fn token(signer: &Key) -> String {
    let issuer = issuer(signer, Backend::Ring);
    let keys = signer.signing_key(&Backend::Ring.provider());
    let keys = keys.verifying_key().expect("the key is sound");
    let verifier = TxnTokenVerifier::new(DOMAIN, ISSUER);
    let first = issuer.issue(&request(), NOW).expect("it is issued");
    let old = verifier.verify(first.as_str(), &keys, NOW);
    let mut next = ReplaceRequest::new(agent(0));
    next.actor = Some(Actor::new(Party::new(agent(1))));
    next.outcome = Some(Outcome::Ok);
    issuer
        .replace(&old.expect("it is good"), &next, NOW)
        .expect("it is handed over")
        .into_string()
}

/// All claims of a token, each text as its own: what a service asks for that decides by them and writes them to its log.
fn claims(token: &TxnToken) -> impl Sized + use<> {
    let own = |text: Option<&str>| text.map(str::to_owned);
    let actor = |actor: &Actor| {
        let party = actor.party();
        [
            Some(party.subject()),
            party.issuer(),
            actor.version(),
            actor.deployment(),
        ]
        .map(own)
    };
    (
        [token.txn(), token.subject(), token.requesting_workload()].map(str::to_owned),
        token.earlier_requesting_workloads().to_vec(),
        token.scope().as_str().to_owned(),
        token.transaction_context().clone(),
        token.request_context().clone(),
        token.actor().map(actor),
        token
            .act_chain()
            .iter()
            .map(|link| actor(link.actor()))
            .collect::<Vec<_>>(),
        token.agentic_context().cloned(),
    )
}

/// The token owns its claims, and is made with them. So the allocations of a copy of them are those that are asked for, and
/// the bar holds what there is beyond: the token as it was received, and as it was decoded.
fn verification(name: &str, backend: Backend) -> Case {
    let (others, signer) = four_keys(Algorithm::Es256);
    let provider = backend.provider();
    let token = token(&signer);
    let keys = others
        .iter()
        .chain([&signer])
        .map(|key| VerifyingKey::from_jwk(&provider, key.jwk()).expect("the key is sound"));
    let keys = KeySet::new(keys.collect()).expect("each has its own name");
    let verifier = TxnTokenVerifier::new(DOMAIN, ISSUER);
    let floor = backend.bare_verify(&signer, &token);
    let verify = move || {
        verifier
            .verify(black_box(&token), &keys, NOW)
            .expect("the token is good")
    };
    let verified = verify();
    let owned = Work::new(move || claims(black_box(&verified)));
    let case = Case::new(name, Work::new(verify)).floor("the signature alone", floor);
    with_yardstick(case.owned(owned))
        .bar(Bar::OverFloor { at_most: 3000.0 })
        .bar(Bar::Allocations { at_most: 2 })
}

fn issuing(name: &str, backend: Backend) -> Case {
    let signer = four_keys(Algorithm::Es256).1;
    let (issuer, request) = (issuer(&signer, backend), request());
    let token = issuer.issue(&request, NOW).expect("it is issued");
    let (message, _) = token.as_str().rsplit_once('.').expect("a token has dots");
    let floor = backend.bare_sign(&signer, message.as_bytes().to_vec());
    let ours = Work::new(move || {
        issuer
            .issue(black_box(&request), NOW)
            .expect("it is issued")
    });
    with_yardstick(Case::new(name, ours).floor("the signature alone", floor))
        .bar(Bar::OverFloor { at_most: 3000.0 })
}

/// As many rules over as many links, so often. Every rule holds, so that all are looked at, and each has a role of its own.
fn policy(rules: usize, links: usize, times: usize) -> Work {
    let role = |number: usize| format!("role-{number}");
    let roles: serde_json::Map<_, _> = (0..rules)
        .map(|number| {
            let ids = match number % 4 {
                0 => json!([agent(number % links)]),
                1 => json!({"ids": [agent(number % links)], "kind": "check"}),
                2 => json!([format!("spiffe://{DOMAIN}/sa/*"), agent(999)]),
                _ => json!([format!("spiffe://{DOMAIN}/intruders/*")]),
            };
            (role(number), ids)
        })
        .collect();
    let rules: Vec<_> = (0..rules)
        .map(|number| match number % 4 {
            0 => json!({"rule": "require", "role": role(number), "include_current": true}),
            1 => json!({"rule": "require_all", "roles": [role(number)], "include_current": true}),
            2 => json!({"rule": "originator", "role": role(number)}),
            _ => json!({"rule": "forbid", "role": role(number)}),
        })
        .collect();
    let text = json!({"roles": roles, "rules": rules}).to_string();
    let policy = CallChainPolicy::from_json(text.as_bytes()).expect("a policy");
    let link = |number| ChainLink::new(Actor::new(Party::new(agent(number))));
    let before: Vec<_> = (0..links)
        .map(|number| link(number).with_outcome(Outcome::Ok))
        .collect();
    Work::new(move || {
        for _ in 0..times {
            let decision = policy.evaluate_chain(black_box(&before), None, NOW);
            assert_eq!(decision, Decision::Allow);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, four_keys, token};

    #[test]
    fn the_token_is_as_long_as_the_case_says() {
        let length = token(&four_keys(Algorithm::Es256).1).len();
        assert!((1150..1250).contains(&length), "{length}");
    }
}
