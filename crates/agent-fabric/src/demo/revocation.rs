//! Steps 9 and 10: signals that stop an agent and end a delegation, and the trace of what happened.

use std::time::{Duration, Instant};

use ssf_set::caep::{Common, RiskLevel, RiskLevelChange, SessionRevoked};
use ssf_set::{Event as SignalEvent, SubjectIdentifier};
use ssf_stream::transmitter::Occurrence;
use token_exchange::{ScopeSet, SubjectToken, TokenType};
use txn_token::TxnTokenRequest;

use super::agent::{Shown, ToolCall, call_gateway, exchange};
use super::report::{Line, Outcome, Report};
use super::story::{refused, short, told, verify};
use super::world::{Failure, PATIENCE, TRUST_DOMAIN, USER, Workload, World};
use crate::audit;
use crate::broker::AGENT_CREDENTIAL;
use crate::credential::AgentCredential;
use crate::net;

/// Step 9.
pub(super) async fn revoked(
    world: &World,
    report: &mut Report,
    (payments, reports): (&Workload, &Workload),
    (delegation, reports_token): (&str, &str),
) -> Result<(), Failure> {
    report.step("A risk signal quarantines one agent at once; a revoked session ends the user's delegations");
    let now = net::now();
    let event = RiskLevelChange::new(Common::at(now.as_secs()), "WORKLOAD", RiskLevel::High)?;
    let subject = SubjectIdentifier::uri(payments.id.as_str())?;
    let risk = Occurrence::new(subject, SignalEvent::RiskLevelChange(event));
    let signalled = Instant::now();
    let emitted = world.transmitter.emit(&risk, now).await?;
    if emitted.streams != world.pushed.len() {
        report.failure("the risk event did not go into two streams");
    }
    for (stream, component) in world.pushed.iter().zip(["gateway", "broker"]) {
        let push = async {
            while world.transmitter.pending(stream).await? > 0 {
                if signalled.elapsed() > PATIENCE {
                    return Err("the event did not arrive".into());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        };
        let what =
            "risk-level-change HIGH for one instance: signature, issuer, audience, first delivery";
        told(report, ("signals", component, "set, push"), what, push).await?;
    }
    let call = ToolCall {
        tool: "refund",
        scope: None,
        delegation,
    };
    let parts = (short(payments), "gateway", "x509-svid, mutual TLS");
    refused(
        report,
        parts,
        "agent_quarantined",
        call_gateway(world, payments, Shown::X509, &call),
    )
    .await;
    report.revocation(signalled.elapsed());
    let mint = mint_as_gateway(world, payments, delegation);
    let parts = ("gateway", "broker", "x509-svid, mutual TLS");
    refused(report, parts, "invalid_request", mint).await;
    let call = ToolCall {
        tool: "refund",
        scope: None,
        delegation: reports_token,
    };
    let what = "another agent of the same class goes on working";
    let action = call_gateway(world, reports, Shown::X509, &call);
    told(
        report,
        (short(reports), "gateway", "x509-svid, mutual TLS"),
        what,
        action,
    )
    .await?;

    let subject = SubjectIdentifier::email(USER)?;
    let event = SignalEvent::SessionRevoked(SessionRevoked::new(Common::at(net::now().as_secs())));
    let signalled = Instant::now();
    let revoked = Occurrence::new(subject, event);
    world.transmitter.emit(&revoked, net::now()).await?;
    let poll = async {
        let endpoint = &world.polled;
        let poller = world.web_with_svid(&world.broker)?;
        while world.poller.poll(&poller, endpoint).await? == 0 {
            if signalled.elapsed() > PATIENCE {
                return Err("the event did not arrive".into());
            }
        }
        Ok(())
    };
    told(
        report,
        ("broker", "signals", "set, poll"),
        "session-revoked for the user: polled, applied, acknowledged",
        poll,
    )
    .await?;
    let parts = (short(reports), "gateway", "x509-svid, mutual TLS");
    refused(
        report,
        parts,
        "invalid_request",
        call_gateway(world, reports, Shown::X509, &call),
    )
    .await;
    report.revocation(signalled.elapsed());
    Ok(())
}

/// What a gateway that has not heard of the quarantine would ask of the broker.
async fn mint_as_gateway(
    world: &World,
    agent: &Workload,
    delegation: &str,
) -> Result<String, Failure> {
    let subject = SubjectToken {
        unverified_token: delegation.to_owned(),
        token_type: TokenType::AccessToken,
    };
    let mut request = TxnTokenRequest::new(TRUST_DOMAIN, subject, ScopeSet::parse("refund.write")?);
    let credential = AgentCredential::X509(agent.svid.chain().to_vec());
    request
        .unverified_request_details
        .insert(AGENT_CREDENTIAL, credential.to_value())?;
    exchange(
        &world.web_with_svid(&world.gateway)?,
        &world.gateway.id,
        request.to_form()?,
    )
    .await
}

/// Step 10.
pub(super) fn audited(world: &World, report: &mut Report, first: &str) -> Result<(), Failure> {
    report.step("The audit log, from user to tool");
    let lines = world.audit.to_lines();
    let records = audit::read_verified(&world.provider, &lines)?;
    let txn = verify(world, first)?.txn().to_owned();
    let mut path = Vec::new();
    for record in records
        .iter()
        .filter(|record| record.event.txn.as_deref() == Some(&txn))
    {
        let event = &record.event;
        let actors = event
            .actors
            .iter()
            .rev()
            .map(|actor| actor.rsplit('/').next().unwrap_or(actor));
        let chain: Vec<&str> = event.user.as_deref().into_iter().chain(actors).collect();
        let decision = match event.decision {
            audit::Decision::Refused => "refused",
            _ => "allowed",
        };
        let check = format!(
            "{} {}: {decision}{}",
            chain.join(" → "),
            event.action,
            event
                .reason
                .as_deref()
                .map(|reason| format!(" ({reason})"))
                .unwrap_or_default()
        );
        let to = event.target.as_deref().unwrap_or("-");
        let credential = event.credential.as_deref().unwrap_or("-");
        let (who, took) = (event.component.as_str(), Duration::ZERO);
        let outcome = if decision == "refused" {
            Outcome::Refused
        } else {
            Outcome::Done
        };
        report.line(&Line {
            who,
            to,
            credential,
            check: &check,
            outcome,
            took,
        });
        path.push((event.component.clone(), event.decision));
    }
    let expected = [
        ("broker", audit::Decision::Allowed),
        ("gateway", audit::Decision::Allowed),
        ("tool:refund", audit::Decision::Refused),
        ("broker", audit::Decision::Allowed),
        ("check:fraud", audit::Decision::Allowed),
        ("broker", audit::Decision::Allowed),
        ("tool:refund", audit::Decision::Refused),
        ("tool:refund", audit::Decision::Allowed),
    ];
    if path
        .iter()
        .map(|(who, decision)| (who.as_str(), *decision))
        .ne(expected)
    {
        report.failure(format!(
            "the trace of transaction {txn} is not the one that was played"
        ));
    }
    let check = format!("hash chain of {} records verified", records.len());
    let took = Duration::ZERO;
    report.line(&Line {
        who: "auditor",
        to: "audit log",
        credential: "-",
        check: &check,
        outcome: Outcome::Done,
        took,
    });
    Ok(())
}
