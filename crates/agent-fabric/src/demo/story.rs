//! The ten steps.

use std::time::{Duration, Instant};
use svid::x509::VerifyOptions;

use jose_x509::{base64url, json};
use serde_json::{Value, json};
use token_exchange::ScopeSet;
use txn_token::{TxnToken, TxnTokenVerifier};

use super::agent::{
    HandOver, Shown, ToolCall, call_gateway, call_tool, get_delegation, hand_over, read,
};
use super::report::{Line, Outcome, Report};
use super::revocation::{audited, revoked};
use super::world::{BROKER, Failure, INTENT, ORDER, TRUST_DOMAIN, USER, Workload, World};
use crate::audit;
use crate::net;

/// What the attacks need of the story.
pub(super) struct Story {
    pub(super) reports: Workload,
    pub(super) research: Workload,
    pub(super) search: Workload,
    /// The access token of the reports agent, whose user session is then revoked.
    pub(super) access_token: String,
    /// A fresh transaction token of the research agent.
    pub(super) txn_token: String,
}

/// Tells what one action led to.
pub(super) async fn told<T>(
    report: &mut Report,
    (who, to, credential): (&str, &str, &str),
    check: &str,
    action: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let started = Instant::now();
    let result = action.await;
    let took = started.elapsed();
    match &result {
        Ok(_) => report.line(&Line {
            who,
            to,
            credential,
            check,
            outcome: Outcome::Done,
            took,
        }),
        Err(error) => report.failure(format!("{who} → {to}: {check}: {error}")),
    }
    result
}

/// Tells of something that has to be refused with a code.
pub(super) async fn refused<T>(
    report: &mut Report,
    (who, to, credential): (&str, &str, &str),
    expected: &str,
    action: impl Future<Output = Result<T, Failure>>,
) {
    let started = Instant::now();
    let code = match action.await {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    };
    let took = started.elapsed();
    if code == expected {
        report.line(&Line {
            who,
            to,
            credential,
            check: &code,
            outcome: Outcome::Refused,
            took,
        });
    } else {
        report.failure(format!("{who} → {to}: expected {expected}, got {code}"));
    }
}

pub(super) fn short(workload: &Workload) -> &str {
    workload.id.path().trim_start_matches('/')
}

impl Story {
    pub(super) async fn play(world: &World, report: &mut Report) -> Result<Self, Failure> {
        let payments = world.workload("agents/advisor/payments")?;
        let settlement = world.workload("agents/advisor/settlement")?;
        let reports = world.workload("agents/advisor/reports")?;
        let research = world.workload("agents/research")?;
        let search = world.workload("agents/search")?;

        trust(world, report);
        registered(world, report).await?;

        report.step("The user delegates: authorization code, PKCE, one resource, and the agent that may act");
        let details = json!([{"type": "refund", "actions": ["create"], "identifier": ORDER}]);
        let delegate = |agent, scope, details| get_delegation(world, agent, scope, details);
        let what = "client = metadata document + JWT-SVID; access token bound to the gateway, may_act = the agent";
        let parts = (USER, "broker", "jwt-svid as client assertion");
        let delegation = delegate(&payments, "refund.write payment.read", Some(&details));
        let delegation = told(report, parts, what, delegation).await?;
        show(report, "access token", &delegation);
        let what = "another delegation, to the research agent";
        let research_token = told(
            report,
            parts,
            what,
            delegate(&research, "docs.read web.search", None),
        )
        .await?;
        let what = "another delegation, to a second agent of the payments class";
        let reports_token = told(
            report,
            parts,
            what,
            delegate(&reports, "refund.write", None),
        )
        .await?;

        report.step(&format!(
            "The payments agent asks the gateway for `refund`: {INTENT}"
        ));
        let call = ToolCall {
            tool: "refund",
            scope: None,
            delegation: &delegation,
        };
        let mut got = None;
        let mut took = Vec::new();
        for (shown, name) in [
            (Shown::X509, "x509-svid, mutual TLS"),
            (Shown::Jwt, "jwt-svid"),
            (Shown::Wit, "wit-svid + wpt"),
        ] {
            let what = "identity proven by its own trust domain's bundle";
            let action = call_gateway(world, &payments, shown, &call);
            let started = Instant::now();
            got = Some(told(report, (short(&payments), "gateway", name), what, action).await?);
            took.push(started.elapsed());
        }
        let (endpoint, first) = got.ok_or("no transaction token")?;

        resolved(world, report, (&endpoint, &first), &took)?;
        used(world, report, &payments, &settlement, &endpoint, &first).await?;
        let txn_token = delegated(world, report, &research, &search, &research_token).await?;

        let agents = (&payments, &reports);
        revoked(world, report, agents, (&delegation, &reports_token)).await?;
        audited(world, report, &first)?;
        Ok(Self {
            reports,
            research,
            search,
            access_token: reports_token,
            txn_token,
        })
    }
}

/// Step 1: what has happened before anybody could ask for anything.
fn trust(world: &World, report: &mut Report) {
    report.step("Two trust domains start, and fetch each other's bundles over HTTPS");
    for (own, other, bundles) in [
        (&world.home, &world.partner, &world.bundles),
        (&world.partner, &world.home, &world.partner_bundles),
    ] {
        let (who, to) = (own.trust_domain().as_str(), other.trust_domain().as_str());
        let set = bundles.snapshot();
        if set
            .get(other.trust_domain())
            .is_none_or(|bundle| bundle.is_empty())
            || set.len() != 2
        {
            report.failure(format!("{who} has no bundle of {to}"));
        }
        report.line(&Line {
            who,
            to,
            credential: "web certificate",
            check: "CA, JWT and WIT keys; federated by https_web: bundle kept under its own trust domain",
            outcome: Outcome::Done,
            took: world.federated,
        });
    }
}

/// Step 2.
async fn registered(world: &World, report: &mut Report) -> Result<(), Failure> {
    report.step(
        "Agents, gateway, broker and tools have SVIDs; the agents' client is a metadata document",
    );
    let url = cimd::ClientIdUrl::parse(&world.client_id)?;
    let what = "client_id = its URL, addresses checked and pinned, spiffe_id = spiffe://enterprise.example/agents/*";
    let fetch = async { Ok(world.documents.fetch(&url, net::now()).await?) };
    let document = told(
        report,
        ("broker", "apps.enterprise.example", "web certificate"),
        what,
        fetch,
    )
    .await?;
    if document.metadata.spiffe_id().is_none() {
        report.failure("the metadata document names no spiffe_id");
    }
    for workload in [
        &world.gateway,
        &world.refund,
        &world.search_tool,
        &world.fraud,
    ] {
        let verified = async {
            let chain = workload.svid.chain();
            let algorithms = world.provider.certificate_algorithms;
            let options = VerifyOptions::default();
            let identity =
                svid::x509::verify(chain, &world.bundles, &options, algorithms, net::now())?;
            if identity.unproven_spiffe_id() == &workload.id {
                Ok(())
            } else {
                Err("another name".into())
            }
        };
        let parts = (workload.id.as_str(), "issuer", "x509-svid");
        let what = "X509-SVID for one hour verifies against the bundle; key made by the workload";
        told(report, parts, what, verified).await?;
    }
    Ok(())
}

/// Steps 5 and 6: the gateway's and the broker's part in the calls above.
fn resolved(
    world: &World,
    report: &mut Report,
    (endpoint, token): (&str, &str),
    took: &[Duration],
) -> Result<(), Failure> {
    report.step("The gateway: registered and active, tool within the namespace bounds, Cedar permits, endpoint resolved");
    let records = world.audit.records();
    let calls: Vec<_> = records
        .iter()
        .map(|record| &record.event)
        .filter(|event| event.action == "tool.resolve")
        .collect();
    let shown: Vec<_> = calls
        .iter()
        .filter_map(|event| event.credential.as_deref())
        .collect();
    if shown != ["x509-svid", "jwt-svid", "wit-svid"] {
        report.failure(format!("the gateway saw other credentials: {shown:?}"));
    }
    for (event, took) in calls.iter().zip(took) {
        if event.decision != audit::Decision::Allowed {
            report.failure("the gateway refused a call");
        }
        let check = format!(
            "{} is registered and active; tool {} within its bounds; endpoint {endpoint}; the whole call",
            event.actors.join(" "),
            event.target.as_deref().unwrap_or("-")
        );
        report.line(&Line {
            who: "gateway",
            to: "registry, policy",
            credential: event.credential.as_deref().unwrap_or("-"),
            check: &check,
            outcome: Outcome::Done,
            took: *took,
        });
    }

    report.step(
        "The broker: gateway's own SVID, user's token, agent's credential, then the intersection",
    );
    let started = Instant::now();
    let verified = verify(world, token)?;
    let took = started.elapsed();
    let check = format!(
        "the minted token verifies: txn {}; scope {}; for {}",
        verified.txn(),
        verified.scope(),
        verified.subject()
    );
    report.line(&Line {
        who: "gateway",
        to: "broker",
        credential: "x509-svid, mutual TLS",
        check: &check,
        outcome: Outcome::Done,
        took,
    });
    if verified.subject() != USER || verified.scope() != &ScopeSet::parse("refund.write")? {
        report.failure("the transaction token does not say what was delegated");
    }
    show(report, "transaction token", token);
    Ok(())
}

/// Step 7.
async fn used(
    world: &World,
    report: &mut Report,
    payments: &Workload,
    settlement: &Workload,
    endpoint: &str,
    token: &str,
) -> Result<(), Failure> {
    report.step("The tool: signature, type, audience, lifetime, scope, actor, call chain; no refund without fraud check");
    let parts = (short(payments), "refund", "txn-token, mutual TLS");
    refused(
        report,
        parts,
        "call_chain",
        call_tool(world, payments, &world.refund.id, endpoint, token, ORDER),
    )
    .await;

    let broker = world.web_with_svid(payments)?;
    let next = HandOver {
        to: &world.fraud.id,
        scope: "refund.write",
        outcome: None,
    };
    let what = "handed over to the fraud check: it acts now, the payments agent is in the chain";
    let handed = hand_over(&broker, &payments.id, token, &next);
    let handed = told(
        report,
        (short(payments), "broker", "x509-svid, mutual TLS"),
        what,
        handed,
    )
    .await?;
    let check = async {
        let request = http::Request::post("https://fraud.enterprise.example/check")
            .header("txn-token", &handed);
        let response = world
            .towards(payments, &world.fraud.id)?
            .send(request.body(Vec::new())?)
            .await?;
        Ok(read(&response, "txn_token")?)
    };
    let what = "outcome ok, said by the check itself; handed on to the settlement agent";
    let checked = told(
        report,
        (short(payments), "fraud check", "txn-token, mutual TLS"),
        what,
        check,
    )
    .await?;
    show(report, "transaction token after the check", &checked);
    let what = "the chain shows the check, in its place, with its outcome";
    let other = call_tool(
        world,
        settlement,
        &world.refund.id,
        endpoint,
        &checked,
        "99999",
    );
    let parts = (
        short(settlement),
        "refund of another order",
        "txn-token, mutual TLS",
    );
    refused(report, parts, "detail_not_granted", other).await;
    let call = call_tool(
        world,
        settlement,
        &world.refund.id,
        endpoint,
        &checked,
        ORDER,
    );
    told(
        report,
        (short(settlement), "refund", "txn-token, mutual TLS"),
        what,
        call,
    )
    .await?;
    Ok(())
}

/// Step 8.
async fn delegated(
    world: &World,
    report: &mut Report,
    research: &Workload,
    search: &Workload,
    delegation: &str,
) -> Result<String, Failure> {
    report.step("The research agent delegates to the search agent: both actors, narrower scope, same transaction");
    let call = ToolCall {
        tool: "web-search",
        scope: Some("docs.read web.search"),
        delegation,
    };
    let what = "docs.read web.search for the research agent";
    let parts = (short(research), "gateway", "x509-svid, mutual TLS");
    let (endpoint, own) = told(
        report,
        parts,
        what,
        call_gateway(world, research, Shown::X509, &call),
    )
    .await?;
    let broker = world.web_with_svid(research)?;
    let next = HandOver {
        to: &search.id,
        scope: "web.search",
        outcome: None,
    };
    let what = "web.search alone for the search agent, on behalf of the research agent";
    let handed = hand_over(&broker, &research.id, &own, &next);
    let handed = told(
        report,
        (short(research), "broker", "x509-svid, mutual TLS"),
        what,
        handed,
    )
    .await?;
    let (before, after) = (verify(world, &own)?, verify(world, &handed)?);
    let chain: Vec<_> = after
        .act_chain()
        .iter()
        .map(|link| link.actor().party().subject().to_owned())
        .collect();
    let actor = after.actor().map(|actor| actor.party().subject());
    let kept = before.txn() == after.txn() && before.subject() == after.subject();
    if !kept || chain != [research.id.as_str()] || actor != Some(search.id.as_str()) {
        report.failure("the replacement does not carry both actors in the same transaction");
    }
    if !after.scope().is_subset(before.scope()) || after.scope() == before.scope() {
        report.failure("the scope was not narrowed");
    }
    let what = "the tool sees who acts, for whom, through whom";
    let call = call_tool(
        world,
        search,
        &world.search_tool.id,
        &endpoint,
        &handed,
        "none",
    );
    told(
        report,
        (short(search), "web-search", "txn-token, mutual TLS"),
        what,
        call,
    )
    .await?;
    Ok(own)
}

/// The token as a tool would read it.
pub(super) fn verify(world: &World, token: &str) -> Result<TxnToken, Failure> {
    Ok(TxnTokenVerifier::new(TRUST_DOMAIN, BROKER).verify(token, &world.token_keys, net::now())?)
}

/// Shows header and claims; the signature is cut.
fn show(report: &mut Report, name: &str, token: &str) {
    let mut segments = token.split('.').map(|segment| {
        let bytes = base64url::decode(segment, "token").unwrap_or_default();
        json::object(&bytes, &json::Limits::CLAIMS).map_or(Value::Null, Value::Object)
    });
    let (header, claims) = (
        segments.next().unwrap_or_default(),
        segments.next().unwrap_or_default(),
    );
    report.token(name, &header, &claims);
}
