//! Signals at the rooms of the fabric, over their HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::net::Ipv4Addr;
use std::sync::Arc;

use agent_fabric::audit::{AuditLog, Decision};
use agent_fabric::gateway::{Gateway, GatewayParts};
use agent_fabric::issuer::TrustDomainIssuer;
use agent_fabric::net::{self, Client, Handler, Hosts, Server};
use agent_fabric::policy::Policy;
use agent_fabric::registry::{AgentClass, AgentInstance, Registry, Status, Tool};
use agent_fabric::signals::{Receiver, ResponseRules, Transmitter};
use agent_fabric::tls;
use http::{Request, StatusCode};
use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, CryptoProvider, KeySet, SigningKey, jwt, provider::ring};
use serde_json::{Value, json};
use spiffe_bundle::{Bundle, BundleSet, SharedBundleSet};
use spiffe_id::{SpiffeId, SpiffeIdPattern, TrustDomain};
use ssf_set::caep::SessionRevoked;
use ssf_set::{SetIssuer, SetRequest, SubjectIdentifier};
use ssf_stream::transmitter::{Client as StreamOwner, Occurrence, Peers};
use svid::x509::X509Svid;
use token_exchange::{Authority, Namespace, ScopeSet};
use tokio::net::TcpListener;

const SIGNALS: &str = "https://signals.td.example";
const GATEWAY: &str = "https://gateway.td.example";
const DELEGATION: &str = "delegation-token";
const AGENT: &str = "spiffe://td.example/agents/a";

fn id(path: &str) -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://td.example/{path}")).unwrap()
}

fn key(provider: &CryptoProvider) -> SigningKey {
    SigningKey::generate(provider, Algorithm::Es256)
        .unwrap()
        .with_thumbprint_kid()
}

fn svid(issuer: &TrustDomainIssuer, provider: &CryptoProvider, path: &str) -> X509Svid {
    let key = key(provider);
    issuer.register(&id(path), path, net::now()).unwrap();
    let leaf = issuer.x509_svid(&id(path), key.public_key(), net::now());
    X509Svid::new(vec![leaf.unwrap()], key).unwrap()
}

/// A trust domain whose token key is also at hand for what no issuer of SVIDs would sign.
struct Domain {
    provider: CryptoProvider,
    issuer: TrustDomainIssuer,
    token_key: SigningKey,
    bundles: Arc<SharedBundleSet>,
    audit: Arc<AuditLog>,
}

fn domain() -> Domain {
    let provider = ring::provider();
    let name = TrustDomain::parse("td.example").unwrap();
    let issuer = TrustDomainIssuer::new(provider, &name, key(&provider), net::now()).unwrap();
    let token_key = key(&provider);
    let mut document: Value = serde_json::from_str(&issuer.bundle().to_json()).unwrap();
    let mut jwk: Value = serde_json::to_value(token_key.public_jwk()).unwrap();
    jwk["use"] = "jwt-svid".into();
    document["keys"].as_array_mut().unwrap().push(jwk);
    let bundle = Bundle::parse(&provider, name, document.to_string().as_bytes()).unwrap();
    let bundles = Arc::new(SharedBundleSet::new(BundleSet::new()));
    bundles.install(bundle).unwrap();
    Domain {
        issuer,
        token_key,
        bundles,
        audit: Arc::new(AuditLog::new(provider)),
        provider,
    }
}

fn registry() -> Registry {
    let registry = Registry::default();
    let tools = Namespace::parse("spiffe://td.example/tools/*").unwrap();
    registry.add_class(AgentClass {
        name: "agents".to_owned(),
        members: SpiffeIdPattern::parse("spiffe://td.example/agents/*").unwrap(),
        ceiling: Authority::unbounded()
            .with_scopes(ScopeSet::parse("use").unwrap())
            .with_namespaces([tools]),
    });
    registry.add_instance(AgentInstance {
        id: SpiffeId::parse(AGENT).unwrap(),
        class: "agents".to_owned(),
        ceiling: Authority::unbounded(),
        status: Status::Active,
    });
    registry.add_tool(Tool {
        name: "tool".to_owned(),
        id: id("tools/one"),
        endpoint: "https://tool.td.example/".to_owned(),
        scope: "use".to_owned(),
    });
    registry
}

/// Every kind of SET and every place for a token: a correctly signed SET of a trusted party is refused by the gateway with 401
/// and `invalid_token`. A good token at the same place is not, so it is the events that are refused.
///
/// Covers: SET-4.2-1
#[tokio::test]
async fn a_security_event_token_is_no_credential_at_the_gateway() {
    let domain = domain();
    let (provider, now) = (domain.provider, net::now());
    let gateway = svid(&domain.issuer, &provider, "gateway");
    let hosts = Arc::new(Hosts::default());
    let registry = Arc::new(registry());
    let signals_key = key(&provider);
    let keys = Arc::new(KeySet::new(vec![signals_key.verifying_key().unwrap()]).unwrap());
    let signals = Receiver::new(
        "gateway",
        SIGNALS,
        keys,
        "https://gateway.td.example/signals",
        ResponseRules::default(),
        Arc::clone(&registry),
        Arc::clone(&domain.audit),
    );
    let web = tls::web_client(&[], None).unwrap();
    let handler = Gateway::new(GatewayParts {
        id: id("gateway"),
        url: GATEWAY.to_owned(),
        // No broker: a call that comes as far as asking it ends in 502.
        broker: "https://broker.td.example".to_owned(),
        trust_domain: "td.example".to_owned(),
        bundles: Arc::clone(&domain.bundles),
        registry,
        policy: Policy::parse("permit(principal, action, resource);").unwrap(),
        client: Client::new(web, Arc::clone(&hosts)),
        signals: signals.unwrap(),
        audit: Arc::clone(&domain.audit),
        provider,
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let tls = tls::spiffe_server(&gateway, &domain.bundles).unwrap();
    let server = Server::start(listener, tls, Arc::new(handler.unwrap())).unwrap();
    hosts.insert("gateway.td.example", server.address());
    let tls = tls::anonymous_client(&domain.bundles, &id("gateway")).unwrap();
    let client = Client::new(tls, Arc::clone(&hosts));
    let call = async |fields: &[(&str, String)]| {
        let body = br#"{"tool": "tool", "intent": "try"}"#.to_vec();
        let mut request = Request::post(format!("{GATEWAY}/call")).body(body).unwrap();
        for (name, value) in fields {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let response = client.send(request).await.unwrap();
        let challenge = response.headers().get("www-authenticate");
        let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        let code = body["error"].as_str().unwrap().to_owned();
        (response.status().as_u16(), code, challenge)
    };

    let svid_claims =
        json!({"sub": AGENT, "aud": "spiffe://td.example/gateway", "exp": now.as_secs() + 300});
    let sign = |typ: &'static str, key: &SigningKey, events: Option<Value>| {
        let mut claims = svid_claims.clone();
        if let Some(events) = events {
            claims["events"] = events;
        }
        jwt::sign(key, &ProtectedHeader::new(typ), &claims).unwrap()
    };
    let events = || Some(json!({SessionRevoked::URI: {}}));
    let subject = || SubjectIdentifier::uri(AGENT).unwrap();
    let set = |audience: &str, key: &SigningKey| {
        let issuer = SetIssuer::new(key.clone(), provider, SIGNALS).unwrap();
        let request = SetRequest::new(audience, subject(), SessionRevoked::default());
        issuer.issue(&request, now).unwrap().compact
    };
    let trusted = &domain.token_key;
    let refused = [
        (
            "a SET of the transmitter for the gateway's signals",
            set("https://gateway.td.example/signals", &signals_key),
        ),
        (
            "a SET of the transmitter for the gateway itself",
            set("spiffe://td.example/gateway", &signals_key),
        ),
        (
            "a SET under a key of the trust domain",
            set("spiffe://td.example/gateway", trusted),
        ),
        (
            "the claims of an SVID, as a SET",
            sign("secevent+jwt", trusted, events()),
        ),
        ("the type alone", sign("secevent+jwt", trusted, None)),
        (
            "the type, written otherwise",
            sign("application/SecEvent+JWT", trusted, None),
        ),
        ("an SVID with events", sign("JWT", trusted, events())),
        (
            "an SVID with no event in its events",
            sign("JWT", trusted, Some(json!({}))),
        ),
        (
            "an access token with events",
            sign("at+jwt", trusted, events()),
        ),
    ];
    let own = sign("JWT", trusted, None);
    let invalid = (
        401,
        "invalid_token".to_owned(),
        Some("Bearer error=\"invalid_token\"".to_owned()),
    );
    for (what, token) in refused {
        let bearer = format!("Bearer {token}");
        assert_eq!(call(&[("authorization", bearer)]).await, invalid, "{what}");
        // Beside a good credential, as the user's token.
        let fields = [
            ("authorization", format!("Bearer {own}")),
            (DELEGATION, token.clone()),
        ];
        assert_eq!(call(&fields).await, invalid, "{what}, as a delegation");
        let fields = [("workload-identity-token", token)];
        assert_eq!(call(&fields).await, invalid, "{what}, as a WIT");
    }
    let log = domain.audit.records();
    assert!(log.iter().all(|one| {
        one.event.decision == Decision::Refused
            && one.event.reason.as_deref() == Some("invalid_token")
            && one.event.actors.is_empty()
    }));

    // Another fault of a bearer token is `invalid_token` on the wire, too, and none at all is no error of it.
    let (status, code, challenge) = call(&[("authorization", "Bearer x.y.z".to_owned())]).await;
    assert_ne!(code, "invalid_token");
    assert_eq!((status, &challenge), (401, &invalid.2));
    let none = call(&[]).await;
    assert_eq!((none.0, none.2.as_deref()), (401, Some("Bearer")));
    // The same claims without events are an SVID: refused by nobody but the broker that is not there.
    let fields = [
        ("authorization", format!("Bearer {own}")),
        (DELEGATION, "token".to_owned()),
    ];
    assert_eq!(
        call(&fields).await,
        (502, "broker_unreachable".to_owned(), None)
    );
}

/// A workload whose SVID was stolen removes the account that it takes over: the log names it, whatever comes of it, and the next
/// hour is told all the same. Others cannot touch its stream.
///
/// Covers: SSF-A6
#[tokio::test]
async fn who_removes_a_subject_is_in_the_audit_log() {
    let domain = domain();
    let provider = domain.provider;
    let chain = |path: &str| svid(&domain.issuer, &provider, path).chain().to_vec();
    let (broker, stranger) = (chain("broker"), chain("stranger"));
    let name = "spiffe://td.example/broker";
    let peers = Peers::new().with_peer(name, StreamOwner::new("broker", "https://b.td.example"));
    let log = Arc::clone(&domain.audit);
    let transmitter = Transmitter::new(SIGNALS, key(&provider), peers, log, provider).unwrap();
    let ask = async |path: &str, body: Value, peer: &[_]| {
        let request = Request::post(format!("{SIGNALS}/ssf{path}"))
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        let body = body.to_string().into_bytes();
        transmitter.handle(parts, body, peer.to_vec()).await
    };
    let wanted = json!({"events_requested": [SessionRevoked::URI]});
    let created = ask("/streams", wanted, &broker).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let created: Value = serde_json::from_slice(created.body()).unwrap();
    let stream = created["stream_id"].as_str().unwrap();

    let subject = json!({"format": "email", "email": "victim@td.example"});
    let removal = || json!({"stream_id": stream, "subject": subject});
    let remove = async |peer: &[_]| ask("/subjects/remove", removal(), peer).await.status();
    assert_eq!(remove(&stranger).await, StatusCode::UNAUTHORIZED);
    assert_eq!(remove(&[]).await, StatusCode::UNAUTHORIZED);
    assert!(domain.audit.records().is_empty());
    assert_eq!(remove(&broker).await, StatusCode::NO_CONTENT);
    assert_eq!(remove(&broker).await, StatusCode::NO_CONTENT);

    let records = domain.audit.records();
    assert_eq!(records.len(), 2);
    for (record, (decision, reason)) in records.iter().zip([
        (Decision::Allowed, "removed"),
        (Decision::Noted, "already_removed"),
    ]) {
        let event = &record.event;
        assert_eq!(
            (event.component.as_str(), event.action.as_str()),
            ("signals", "subject.remove")
        );
        assert_eq!(event.actors, [name]);
        assert_eq!(
            (event.decision, event.reason.as_deref()),
            (decision, Some(reason))
        );
        let target: Value = serde_json::from_str(event.target.as_ref().unwrap()).unwrap();
        assert_eq!(target, json!({"stream": stream, "subject": subject}));
    }
    agent_fabric::audit::read_verified(&provider, &domain.audit.to_lines()).unwrap();

    let victim = SubjectIdentifier::email("victim@td.example").unwrap();
    let event = Occurrence::new(victim, SessionRevoked::default());
    let emitted = transmitter.emit(&event, net::now()).await.unwrap();
    assert_eq!(emitted.streams, 1, "within the grace period");
}
