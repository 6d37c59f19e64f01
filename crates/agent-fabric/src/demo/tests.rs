//! What is written down, and what is given out, when agents get and use tokens.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{Response, StatusCode};
use jose_x509::json;
use pki_types::UnixTime;
use serde_json::Value;
use token_exchange::{ScopeSet, SubjectToken, TokenType};
use txn_token::ended::{EndedTransactions, TransactionKey};
use txn_token::{TxnTokenRequest, TxnTokenVerifier};

use super::agent::{
    HandOver, Shown, ToolCall, ask_broker, ask_gateway, call_tool, get_delegation, hand_over,
};
use super::world::{BROKER, INTENT, ORDER, TRUST_DOMAIN, USER, World};
use crate::audit::{Decision, Record};
use crate::broker::HAND_OVER_TO;
use crate::net;

fn members(response: &Response<Vec<u8>>) -> BTreeSet<String> {
    let members = json::object(response.body(), &json::Limits::CLAIMS).unwrap();
    members.keys().cloned().collect()
}

fn member(response: &Response<Vec<u8>>, name: &str) -> String {
    let members = json::object(response.body(), &json::Limits::CLAIMS).unwrap();
    members[name].as_str().unwrap().to_owned()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What a record of an issue or a use has to say.
#[derive(Debug, PartialEq)]
struct Facts<'a> {
    component: &'a str,
    action: &'a str,
    agent: Option<&'a str>,
    instance: Option<&'a str>,
    tool: Option<&'a str>,
    txn: Option<&'a str>,
    intent: Option<&'a str>,
    decision: Decision,
    reason: Option<&'a str>,
}

fn facts(record: &Record) -> Facts<'_> {
    let event = &record.event;
    Facts {
        component: &event.component,
        action: &event.action,
        agent: event.agent.as_deref(),
        instance: event.instance.as_deref(),
        tool: event.tool.as_deref(),
        txn: event.txn.as_deref(),
        intent: event.unverified_intent.as_deref(),
        decision: event.decision,
        reason: event.reason.as_deref(),
    }
}

/// The gateway gives an endpoint and a token, the broker a token, and neither gives any other credential. Every issue and every
/// use is in the log with agent, instance, tool, transaction, time, intent and decision, the refused ones with what was
/// known by then; no part of a token is.
///
/// Covers: AGENTIC-CTX-E-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_issue_and_use_is_on_record_and_no_credential_is_given_out() {
    let started = net::now().as_secs();
    let world = World::start(0).await.unwrap();
    let payments = world.workload("agents/advisor/payments").unwrap();
    let fraud_check = &world.fraud;
    let delegation = get_delegation(&world, &payments, "refund.write payment.read", None)
        .await
        .unwrap();
    let (mut from, mut secrets) = (world.audit.records().len(), vec![delegation.clone()]);
    let mut fresh = || {
        let records = world.audit.records();
        let fresh: Vec<Record> = records.into_iter().skip(from).collect();
        from += fresh.len();
        for record in &fresh {
            assert!((started..=net::now().as_secs()).contains(&record.time));
        }
        fresh
    };
    let verifier = TxnTokenVerifier::new(TRUST_DOMAIN, BROKER);
    let txn_of = |token: &str| {
        let token = verifier.verify(token, &world.token_keys, net::now());
        token.unwrap().txn().to_owned()
    };
    let refund = ToolCall {
        tool: "refund",
        scope: None,
        delegation: &delegation,
    };
    let base = Facts {
        component: "broker",
        action: "txn_token.issue",
        agent: Some("payments"),
        instance: Some(payments.id.as_str()),
        tool: Some("refund"),
        txn: None,
        intent: Some(INTENT),
        decision: Decision::Allowed,
        reason: None,
    };

    // Issue, however the agent shows who it is.
    let mut token = String::new();
    for shown in [Shown::X509, Shown::Jwt, Shown::Wit] {
        let response = ask_gateway(&world, &payments, shown, &refund, INTENT)
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(members(&response), names(&["endpoint", "txn_token"]));
        token = member(&response, "txn_token");
        secrets.push(token.clone());
        let (txn, records) = (txn_of(&token), fresh());
        let txn = Some(txn.as_str());
        let expected = [
            Facts { txn, ..base },
            Facts {
                component: "gateway",
                action: "tool.resolve",
                txn,
                ..base
            },
        ];
        assert_eq!(records.iter().map(facts).collect::<Vec<_>>(), expected);
        assert_eq!(records[0].event.user.as_deref(), Some(USER));
    }

    // Refused: by the gateway for the tool, by the broker for the scope; a token in the intent is not written down.
    let pasted = format!("use {delegation}");
    for (tool, scope, intent, expected) in [
        ("payroll", None, INTENT, &["outside_namespace_bounds"][..]),
        ("none", None, INTENT, &["unknown_tool"]),
        (
            "refund",
            Some("refund.write docs.read"),
            INTENT,
            &["invalid_scope", "invalid_scope"],
        ),
        ("payroll", None, &pasted, &["outside_namespace_bounds"]),
    ] {
        let call = ToolCall {
            tool,
            scope,
            delegation: &delegation,
        };
        let response = ask_gateway(&world, &payments, Shown::Jwt, &call, intent)
            .await
            .unwrap();
        assert_eq!(members(&response), names(&["error"]));
        let records = fresh();
        let reasons: Vec<_> = records
            .iter()
            .filter_map(|record| record.event.reason.as_deref())
            .collect();
        assert_eq!(reasons, expected);
        for record in &records {
            let found = facts(record);
            let hidden = found.intent.unwrap().starts_with("(withheld");
            assert_eq!(hidden, intent == pasted);
            let (intent, tool) = (found.intent, Some(tool));
            let wanted = Facts {
                component: found.component,
                action: found.action,
                reason: found.reason,
                tool,
                intent,
                decision: Decision::Refused,
                ..base
            };
            assert_eq!(found, wanted);
        }
    }

    // Handed over: the broker's answer is that of a token service, without a refresh token.
    let txn = txn_of(&token);
    let txn = Some(txn.as_str());
    let client = world.web_with_svid(&payments).unwrap();
    let ask = |to: &str| {
        let subject = SubjectToken {
            unverified_token: token.clone(),
            token_type: TokenType::TxnToken,
        };
        let scope = ScopeSet::parse("refund.write").unwrap();
        let mut request = TxnTokenRequest::new(TRUST_DOMAIN, subject, scope);
        let details = &mut request.unverified_request_details;
        details.insert(HAND_OVER_TO, Value::from(to)).unwrap();
        ask_broker(&client, &payments.id, request.to_form().unwrap())
    };
    let response = ask(fraud_check.id.as_str()).await.unwrap();
    let standard = [
        "access_token",
        "expires_in",
        "issued_token_type",
        "scope",
        "token_type",
    ];
    assert_eq!(members(&response), names(&standard));
    let handed = member(&response, "access_token");
    secrets.push(handed.clone());
    let records = fresh();
    let handed_over = Facts {
        action: "txn_token.hand_over",
        agent: Some("checks"),
        instance: Some(fraud_check.id.as_str()),
        txn,
        ..base
    };
    assert_eq!(records.iter().map(facts).collect::<Vec<_>>(), [handed_over]);
    let strangers = "spiffe://enterprise.example/agents/advisor/nobody";
    assert_eq!(members(&ask(strangers).await.unwrap()), names(&["error"]));
    let records = fresh();
    let wanted = Facts {
        action: "txn_token.hand_over",
        txn,
        decision: Decision::Refused,
        reason: Some("unknown_agent"),
        ..base
    };
    assert_eq!(records.iter().map(facts).collect::<Vec<_>>(), [wanted]);

    // Used: by the agent that it names, by another one, and something that is no token.
    let endpoint = "https://refund.enterprise.example/refund";
    let settlement = world.workload("agents/advisor/settlement").unwrap();
    let next = HandOver {
        to: &settlement.id,
        scope: "refund.write",
        outcome: Some("ok"),
    };
    let broker = world.web_with_svid(fraud_check).unwrap();
    let checked = hand_over(&broker, &fraud_check.id, &handed, &next)
        .await
        .unwrap();
    secrets.push(checked.clone());
    fresh();
    let tool = Facts {
        component: "tool:refund",
        action: "tool.call",
        instance: Some(settlement.id.as_str()),
        txn,
        ..base
    };
    for (caller, shown, expected) in [
        (&settlement, &checked, tool),
        (
            &payments,
            &checked,
            Facts {
                component: "tool:refund",
                action: "tool.call",
                instance: Some(settlement.id.as_str()),
                txn,
                decision: Decision::Refused,
                reason: Some("caller_mismatch"),
                ..base
            },
        ),
        (
            &payments,
            &delegation,
            Facts {
                component: "tool:refund",
                action: "tool.call",
                agent: None,
                intent: None,
                decision: Decision::Refused,
                reason: Some("wrong_type"),
                ..base
            },
        ),
    ] {
        let called = call_tool(&world, caller, &world.refund.id, endpoint, shown, ORDER).await;
        assert_eq!(called.is_ok(), expected.decision == Decision::Allowed);
        let records = fresh();
        assert_eq!(records.iter().map(facts).collect::<Vec<_>>(), [expected]);
    }

    let lines = world.audit.to_lines();
    let parts = secrets.iter().flat_map(|token| token.split('.'));
    for part in parts.filter(|part| part.len() >= 16) {
        assert!(!lines.contains(part), "a part of a token is in the log");
    }
}

/// A transaction that ended is not handed over, whoever asks, and the record says why.
///
/// Covers: TXN-AGENTS-5.13-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_continues_no_transaction_that_ended() {
    let world = World::start(0).await.unwrap();
    let research = world.workload("agents/research").unwrap();
    let search = world.workload("agents/search").unwrap();
    let delegation = get_delegation(&world, &research, "docs.read web.search", None)
        .await
        .unwrap();
    let call = ToolCall {
        tool: "web-search",
        scope: Some("docs.read web.search"),
        delegation: &delegation,
    };
    let response = ask_gateway(&world, &research, Shown::X509, &call, INTENT)
        .await
        .unwrap();
    let token = member(&response, "txn_token");
    let broker = world.web_with_svid(&research).unwrap();
    let next = HandOver {
        to: &search.id,
        scope: "web.search",
        outcome: None,
    };
    let hand = || hand_over(&broker, &research.id, &token, &next);
    assert!(hand().await.is_ok());

    let verifier = TxnTokenVerifier::new(TRUST_DOMAIN, BROKER);
    let verified = verifier.verify(&token, &world.token_keys, net::now());
    let key = TransactionKey::new(&world.provider, TRUST_DOMAIN, verified.unwrap().txn());
    let until = UnixTime::since_unix_epoch(Duration::from_secs(net::now().as_secs() + 3600));
    world.ended.end(key, until, net::now()).unwrap();
    assert!(hand().await.is_err());
    let records = world.audit.records();
    let last = records.last().unwrap();
    assert_eq!(last.event.reason.as_deref(), Some("transaction_ended"));
    assert_eq!(last.event.instance.as_deref(), Some(search.id.as_str()));
}
