//! From an event that is submitted to the transmitter of the fabric to an agent that its gateway refuses.
//!
//! The agent calls the gateway without a pause over one connection, as itself, while its risk is reported. What counts is the time from the
//! submission to the end of the first answer that refuses it: signature, queue, push over TLS, verification, registry, and the call itself.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_fabric::audit::AuditLog;
use agent_fabric::gateway::{Gateway, GatewayParts};
use agent_fabric::issuer::TrustDomainIssuer;
use agent_fabric::net::{self, Client, Handler as _, Hosts, Server};
use agent_fabric::policy::Policy;
use agent_fabric::registry::{AgentClass, AgentInstance, Registry, Status, Tool};
use agent_fabric::signals::{Receiver, ResponseRules, Transmitter};
use agent_fabric::tls;
use anyhow::{Context as _, Result, bail, ensure};
use http::Request;
use jose_x509::provider::ring;
use jose_x509::{Algorithm, KeySet, SigningKey};
use serde::Serialize;
use serde_json::{Value, json};
use spiffe_bundle::{BundleSet, SharedBundleSet};
use spiffe_id::{SpiffeId, SpiffeIdPattern, TrustDomain};
use ssf_set::SubjectIdentifier;
use ssf_set::caep::{Common, RiskLevel, RiskLevelChange};
use ssf_stream::address::AddressPolicy;
use ssf_stream::client::Client as Https;
use ssf_stream::transmitter::{Client as StreamOwner, Occurrence, Peers};
use svid::x509::X509Svid;
use token_exchange::{Authority, Namespace, ScopeSet};
use tokio::net::TcpListener;

const SIGNALS: &str = "https://signals.td.example";
const GATEWAY: &str = "https://gateway.td.example";
const AUDIENCE: &str = "https://gateway.td.example/signals";
const PATIENCE: Duration = Duration::from_secs(10);

/// Milliseconds from the submission of an event to the first refusal.
#[derive(Serialize)]
pub(crate) struct Figures {
    agents: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// One call of an agent, before it was revoked: how fine the measure is.
    call_p50_ms: f64,
}

pub(crate) fn measure(agents: usize) -> Result<Figures> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (mut refused, mut calls) = runtime.block_on(revoke(agents))?;
    let at = |times: &mut Vec<Duration>, percent: usize| {
        times.sort_unstable();
        let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times
            .get(index)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    };
    Ok(Figures {
        agents,
        p50_ms: at(&mut refused, 50),
        p99_ms: at(&mut refused, 99),
        max_ms: at(&mut refused, 100),
        call_p50_ms: at(&mut calls, 50),
    })
}

fn id(path: &str) -> Result<SpiffeId> {
    Ok(SpiffeId::parse(&format!("spiffe://td.example/{path}"))?)
}

fn registry() -> Result<Registry> {
    let registry = Registry::default();
    registry.add_class(AgentClass {
        name: "agents".to_owned(),
        members: SpiffeIdPattern::parse("spiffe://td.example/agents/*")?,
        ceiling: Authority::unbounded()
            .with_scopes(ScopeSet::parse("use")?)
            .with_namespaces([Namespace::parse("spiffe://td.example/tools/*")?]),
    });
    registry.add_tool(Tool {
        name: "tool".to_owned(),
        id: id("tools/one")?,
        endpoint: "https://tool.td.example/".to_owned(),
        scope: "use".to_owned(),
    });
    Ok(registry)
}

async fn revoke(agents: usize) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let provider = ring::provider();
    let key = || SigningKey::generate(&provider, Algorithm::Es256);
    let domain = TrustDomain::parse("td.example")?;
    let issuer = TrustDomainIssuer::new(provider, &domain, key()?, net::now())?;
    let bundles = Arc::new(SharedBundleSet::new(BundleSet::new()));
    bundles.install(Arc::clone(issuer.bundle()))?;
    let (own, gateway) = (key()?, id("gateway")?);
    issuer.register(&gateway, "gateway", net::now())?;
    let leaf = issuer.x509_svid(&gateway, own.public_key(), net::now())?;
    let svid = X509Svid::new(vec![leaf], own)?;
    let audit = Arc::new(AuditLog::new(provider));
    let hosts = Arc::new(Hosts::default());
    let registry = Arc::new(registry()?);

    let signing = key()?.with_thumbprint_kid();
    let keys = Arc::new(KeySet::new(vec![signing.verifying_key()?])?);
    let owner = StreamOwner::new("gateway", AUDIENCE);
    let peers = Peers::new().with_peer(gateway.as_str(), owner);
    let log = Arc::clone(&audit);
    let transmitter = Transmitter::new(SIGNALS, signing, peers, log, provider)?;
    let handler = Gateway::new(GatewayParts {
        id: gateway.clone(),
        url: GATEWAY.to_owned(),
        // No broker: a call that nothing else refuses ends here.
        broker: "https://broker.td.example".to_owned(),
        trust_domain: "td.example".to_owned(),
        bundles: Arc::clone(&bundles),
        registry: Arc::clone(&registry),
        policy: Policy::parse("permit(principal, action, resource);")?,
        client: Client::new(tls::web_client(&[], None)?, Arc::clone(&hosts)),
        signals: Receiver::new(
            "gateway",
            SIGNALS,
            keys,
            AUDIENCE,
            ResponseRules::default(),
            Arc::clone(&registry),
            Arc::clone(&audit),
        )?,
        audit,
        provider,
    })?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let server = Server::start(
        listener,
        tls::spiffe_server(&svid, &bundles)?,
        Arc::new(handler),
    )?;
    hosts.insert("gateway.td.example", server.address());
    let client = || -> Result<Https> {
        let tls = tls::anonymous_client(&bundles, &gateway)?;
        let loopback = AddressPolicy::public().with_allowed(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let client = Https::new(tls).with_resolver(Arc::clone(&hosts) as _);
        Ok(client.with_addresses(loopback))
    };

    let wanted = json!({
        "events_requested": [RiskLevelChange::URI],
        "delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": AUDIENCE},
    });
    let request = Request::post(format!("{SIGNALS}/ssf/streams"))
        .header("content-type", "application/json")
        .body(())?;
    let (parts, body) = (request.into_parts().0, wanted.to_string().into_bytes());
    let response = transmitter.handle(parts, body, svid.chain().to_vec()).await;
    let stream: Value = serde_json::from_slice(response.body())?;
    let stream = stream
        .get("stream_id")
        .and_then(Value::as_str)
        .context("no stream")?;
    let _pushing = transmitter.push(stream, client()?).await?;

    let (mut refused, mut calls) = (Vec::new(), Vec::new());
    for number in 0..agents {
        let agent = id(&format!("agents/a{number}"))?;
        issuer.register(&agent, agent.as_str(), net::now())?;
        registry.add_instance(AgentInstance {
            id: agent.clone(),
            class: "agents".to_owned(),
            ceiling: Authority::unbounded(),
            status: Status::Active,
        });
        let token = issuer.jwt_svid(&agent, gateway.as_str(), net::now())?;
        let agents = client()?;
        for _ in 0..3 {
            let begun = Instant::now();
            ensure!(!call(&agents, &token).await?, "refused before the event");
            calls.push(begun.elapsed());
        }
        let now = net::now();
        let event = RiskLevelChange::new(Common::at(now.as_secs()), "WORKLOAD", RiskLevel::High)?;
        let event = Occurrence::new(SubjectIdentifier::uri(agent.as_str())?, event);
        let calling = tokio::spawn(async move {
            let begun = Instant::now();
            while !call(&agents, &token).await? {
                ensure!(begun.elapsed() < PATIENCE, "the event did not arrive");
            }
            Ok::<_, anyhow::Error>(Instant::now())
        });
        let submitted = Instant::now();
        let emitted = transmitter.emit(&event, now).await?;
        ensure!(emitted.streams == 1, "no stream takes the event");
        refused.push(calling.await??.saturating_duration_since(submitted));
    }
    Ok((refused, calls))
}

/// Whether the gateway refuses the agent as quarantined.
async fn call(client: &Https, token: &str) -> Result<bool> {
    let request = Request::post(format!("{GATEWAY}/call"))
        .header("authorization", format!("Bearer {token}"))
        .header("delegation-token", "of-the-user")
        .body(br#"{"tool": "tool", "intent": "measure"}"#.to_vec())?;
    let response = client.send(request).await?;
    let body: Value = serde_json::from_slice(response.body())?;
    match body.get("error").and_then(Value::as_str) {
        Some("agent_quarantined") => Ok(true),
        Some("broker_unreachable") => Ok(false),
        other => bail!("the gateway answers {other:?}"),
    }
}
