//! Who lives in the demo's world, and by which rules.

use oauth_spiffe_client_auth::{Method, RegisteredClient};
use serde_json::{Map, Value, json};
use spiffe_id::SpiffeIdPattern;
use token_exchange::{Authority, DetailType, DetailTypes, Namespace, ScopeSet};

use super::world::{Failure, TRUST_DOMAIN, id};
use crate::registry::{AgentClass, AgentInstance, Registry, Status, Tool};

/// Who may call what, in Cedar.
pub(super) const POLICY: &str = r#"
permit(principal, action == Action::"call", resource == Tool::"refund") when { context.class == "payments" };
permit(principal, action == Action::"call", resource == Tool::"web-search") when { context.class == "research" };
// Nothing outside the home trust domain calls tools here, whatever else permits it.
forbid(principal, action, resource) unless { context.trust_domain == "enterprise.example" };
"#;

/// The refund tool acts only after the fraud check approved, and not through more than four hands.
pub(super) const REFUND_CHAIN: &[u8] = br#"{
    "roles": {
        "fraud-validation": {"ids": ["spiffe://enterprise.example/checks/fraud"], "kind": "check"},
        "settlement": ["spiffe://enterprise.example/agents/advisor/settlement"]
    },
    "rules": [
        {"rule": "require", "role": "fraud-validation"},
        {"rule": "order", "first": "fraud-validation", "then": "settlement"},
        {"rule": "max_hops", "limit": 4}
    ]
}"#;

/// The same agents and tools for gateway and broker, each of which keeps its own state of them.
pub(super) fn registry() -> Result<Registry, Failure> {
    let registry = Registry::default();
    let pattern = |text: &str| SpiffeIdPattern::parse(&format!("spiffe://{TRUST_DOMAIN}/{text}"));
    let classes = [
        (
            "payments",
            pattern("agents/advisor/*")?,
            "refund.write payment.read",
            "tools/payments/*",
        ),
        (
            "research",
            SpiffeIdPattern::one_of([pattern("agents/research")?, pattern("agents/search")?]),
            "docs.read web.search",
            "tools/research/*",
        ),
        (
            "checks",
            pattern("checks/*")?,
            "refund.write payment.read",
            "checks/none",
        ),
    ];
    for (name, members, scopes, tools) in classes {
        let tools = Namespace::parse(&format!("spiffe://{TRUST_DOMAIN}/{tools}"))?;
        let ceiling = Authority::unbounded()
            .with_scopes(ScopeSet::parse(scopes)?)
            .with_namespaces([tools]);
        registry.add_class(AgentClass {
            name: name.to_owned(),
            members,
            ceiling,
        });
    }
    for (path, class) in AGENTS {
        registry.add_instance(AgentInstance {
            id: id(path)?,
            class: (*class).to_owned(),
            ceiling: Authority::unbounded(),
            status: Status::Active,
        });
    }
    for (name, path, endpoint, scope) in [
        (
            "refund",
            "tools/payments/refund",
            "https://refund.enterprise.example/refund",
            "refund.write",
        ),
        (
            "web-search",
            "tools/research/web",
            "https://search.enterprise.example/search",
            "web.search",
        ),
        (
            "payroll",
            "tools/hr/payroll",
            "https://payroll.enterprise.example/run",
            "payroll.write",
        ),
    ] {
        registry.add_tool(Tool {
            name: name.to_owned(),
            id: id(path)?,
            endpoint: endpoint.to_owned(),
            scope: scope.to_owned(),
        });
    }
    Ok(registry)
}

const AGENTS: &[(&str, &str)] = &[
    ("agents/advisor/payments", "payments"),
    ("agents/advisor/settlement", "payments"),
    ("agents/advisor/reports", "payments"),
    ("agents/research", "research"),
    ("agents/search", "research"),
    ("checks/fraud", "checks"),
];

/// The gateway and the agents as OAuth clients under their own SPIFFE IDs, by mutual TLS alone.
pub(super) fn clients() -> Result<Vec<RegisteredClient>, Failure> {
    let paths = AGENTS.iter().map(|(path, _)| *path).chain(["gateway"]);
    paths
        .map(|path| {
            let id = id(path)?;
            let client = RegisteredClient::new(id.as_str(), SpiffeIdPattern::exact(id.clone()));
            Ok(client.with_methods(&[Method::SpiffeX509]))
        })
        .collect()
}

/// A refund of one order.
pub(super) fn refund_details(body: &Map<String, Value>) -> Option<Value> {
    let order = body.get("order")?.as_str()?;
    Some(json!([{"type": "refund", "actions": ["create"], "identifier": order}]))
}

pub(super) fn detail_types() -> DetailTypes {
    DetailTypes::new([DetailType::new("refund").with_unrestricted_field("locations")])
}
