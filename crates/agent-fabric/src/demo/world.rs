//! The world of the demo: two trust domains, a broker, a gateway, agents, tools and a signals transmitter.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cimd::FetchPolicy;
use cimd::client::{Directory, Fetcher};
use cimd::guard::AddressPolicy;
use http::Request;
use jose_x509::{Algorithm, CryptoProvider, KeySet, SigningKey, provider::ring};
use pki_types::CertificateDer;
use serde_json::json;
use spiffe_bundle::federation::{FetchStep, Relationship};
use spiffe_bundle::{BundleSet, SharedBundleSet};
use spiffe_id::{SpiffeId, SpiffeIdPattern, TrustDomain};
use ssf_set::caep::{RiskLevelChange, SessionRevoked};
use ssf_stream::stream::{ConfigurationRequest, DeliveryRequest};
use ssf_stream::transmitter::{Client as StreamOwner, Peers};
use svid::x509::X509Svid;
use token_exchange::{DetailTypes, ScopeSet};
use txn_token::{CallChainPolicy, MemoryEndedTransactions, Requirements, TxnTokenVerifier};

use super::inhabitants::{POLICY, REFUND_CHAIN, clients, detail_types, refund_details, registry};
use super::services::{FraudCheck, MetadataHost};
use super::web::{LoopbackNames, WebAuthority, serve};
use crate::audit::AuditLog;
use crate::broker::session::MemorySessions;
use crate::broker::{Broker, BrokerParts};
use crate::gateway::{Gateway, GatewayParts};
use crate::issuer::TrustDomainIssuer;
use crate::net::{self, Client, Hosts, Server};
use crate::policy::Policy;
use crate::registry::Registry;
use crate::signals::{Pushing, Receiver, ResponseRules, Transmitter, subscribe};
use crate::tls;
use crate::tool::ToolService;

const RISK: &str = RiskLevelChange::URI;
const SESSION: &str = SessionRevoked::URI;

/// Whatever goes wrong in setting up.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

pub(super) const TRUST_DOMAIN: &str = "enterprise.example";
pub(super) const PARTNER: &str = "partner.example";
pub(super) const BROKER: &str = "https://broker.enterprise.example";
pub(super) const GATEWAY: &str = "https://gateway.enterprise.example";
pub(super) const SIGNALS: &str = "https://signals.enterprise.example";
pub(super) const USER: &str = "user-4821@enterprise.example";
pub(super) const INTENT: &str = "process refund for order 84729";
pub(super) const ORDER: &str = "84729";

/// A workload with its X509-SVID.
pub(super) struct Workload {
    pub(super) id: SpiffeId,
    pub(super) svid: X509Svid,
}

impl Workload {
    /// Makes a key, and has the issuer certify it.
    fn new(
        issuer: &TrustDomainIssuer,
        provider: &CryptoProvider,
        path: &str,
    ) -> Result<Self, Failure> {
        let id = id(path)?;
        let key = SigningKey::generate(provider, Algorithm::Es256)?;
        issuer.register(&id, path, net::now())?;
        let leaf = issuer.x509_svid(&id, key.public_key(), net::now())?;
        Ok(Self {
            svid: X509Svid::new(vec![leaf], key)?,
            id,
        })
    }
}

pub(super) struct World {
    pub(super) provider: CryptoProvider,
    pub(super) hosts: Arc<Hosts>,
    pub(super) home: Arc<TrustDomainIssuer>,
    pub(super) partner: Arc<TrustDomainIssuer>,
    /// Kept for the attack in which one trust domain signs for the other.
    pub(super) home_ca_key: SigningKey,
    pub(super) partner_ca_key: SigningKey,
    pub(super) bundles: Arc<SharedBundleSet>,
    /// What the partner has after federation.
    pub(super) partner_bundles: Arc<SharedBundleSet>,
    /// How long one fetch of a bundle took, on average of the two.
    pub(super) federated: Duration,
    pub(super) web_roots: Vec<CertificateDer<'static>>,
    pub(super) audit: Arc<AuditLog>,
    /// The transactions that the broker continues no more.
    #[cfg(test)]
    pub(super) ended: Arc<MemoryEndedTransactions>,
    pub(super) client_id: String,
    pub(super) documents: Fetcher,
    pub(super) gateway: Workload,
    pub(super) refund: Workload,
    pub(super) search_tool: Workload,
    pub(super) fraud: Workload,
    pub(super) transmitter: Arc<Transmitter>,
    pub(super) poller: Receiver,
    /// The streams of gateway and broker that are pushed.
    pub(super) pushed: [String; 2],
    /// Where the broker polls its other stream.
    pub(super) polled: String,
    /// The broker as a workload: it has streams and polls under its own name.
    pub(super) broker: Workload,
    pub(super) token_keys: KeySet,
    /// The cookie of the user's browser.
    pub(super) user_session: String,
    _pushing: Vec<Pushing>,
    _servers: Vec<Server>,
}

pub(super) fn id(path: &str) -> Result<SpiffeId, Failure> {
    Ok(SpiffeId::parse(&format!("spiffe://{TRUST_DOMAIN}/{path}"))?)
}

impl World {
    /// Starts everything on loopback.
    pub(super) async fn start(gateway_port: u16) -> Result<Self, Failure> {
        let provider = ring::provider();
        let now = net::now();
        let hosts = Arc::new(Hosts::default());
        let web = WebAuthority::new()?;
        let mut servers = Vec::new();

        // 1: two trust domains, each with a bundle endpoint, that fetch each other's bundles.
        let ca_key = || SigningKey::generate(&provider, Algorithm::Es256);
        let (home_ca_key, partner_ca_key) = (ca_key()?, ca_key()?);
        let issuer = |name, key: &SigningKey| {
            let issuer =
                TrustDomainIssuer::new(provider, &TrustDomain::parse(name)?, key.clone(), now)?;
            Ok::<_, Failure>(Arc::new(issuer))
        };
        let (home, partner) = (
            issuer(TRUST_DOMAIN, &home_ca_key)?,
            issuer(PARTNER, &partner_ca_key)?,
        );
        for issuer in [&home, &partner] {
            let name = format!("issuer.{}", issuer.trust_domain());
            servers.push(
                web.serve(&name, &hosts, None, Arc::clone(issuer) as _)
                    .await?,
            );
        }
        let plain = Client::new(tls::web_client(&web.roots(), None)?, Arc::clone(&hosts));
        let started = Instant::now();
        let bundles = federate(&provider, &plain, &home, &partner).await?;
        let partner_bundles = federate(&provider, &plain, &partner, &home).await?;
        let federated = started.elapsed() / 2;

        // 2: workloads and their SVIDs, and the agents' OAuth client.
        let workload = |path: &str| Workload::new(&home, &provider, path);
        let (gateway, refund) = (workload("gateway")?, workload("tools/payments/refund")?);
        let (search_tool, fraud) = (workload("tools/research/web")?, workload("checks/fraud")?);
        let broker_workload = workload("broker")?;
        let apps = "apps.enterprise.example";
        let host = Arc::new(MetadataHost::default());
        let server = web
            .serve(apps, &hosts, None, Arc::clone(&host) as _)
            .await?;
        let client_id = format!("https://{apps}:{}/agents.json", server.address().port());
        host.publish("/agents.json", &client_document(&client_id));
        host.publish(
            "/wrong-id.json",
            &client_document("https://apps.enterprise.example/other.json"),
        );
        servers.push(server);
        let documents = Fetcher::new(tls::web_client(&web.roots(), None)?)
            .resolver(Arc::new(LoopbackNames(Arc::clone(&hosts))))
            .fetch_policy(
                FetchPolicy::new().addresses(
                    AddressPolicy::for_development()
                        .dangerous_allow_loopback(IpAddr::V4(Ipv4Addr::LOCALHOST))?,
                ),
            );

        let audit = Arc::new(AuditLog::new(provider));
        let signing_key = || {
            SigningKey::generate(&provider, Algorithm::Es256).map(SigningKey::with_thumbprint_kid)
        };
        let signals_key = signing_key()?;
        let signals_keys = Arc::new(KeySet::new(vec![signals_key.verifying_key()?])?);
        let receiver = |component: &str, registry: &Arc<Registry>| {
            Receiver::new(
                component,
                SIGNALS,
                Arc::clone(&signals_keys) as _,
                &audience(component),
                ResponseRules::default(),
                Arc::clone(registry),
                Arc::clone(&audit),
            )
        };

        // The broker, known to the web by its name.
        let broker_registry = Arc::new(registry()?);
        let (access_token_key, txn_token_key) = (signing_key()?, signing_key()?);
        let sessions = Arc::new(MemorySessions::default());
        let user_session = sessions.log_in(&provider, USER)?;
        let token_keys = KeySet::new(vec![
            access_token_key.verifying_key()?,
            txn_token_key.verifying_key()?,
        ])?;
        let ended = Arc::new(MemoryEndedTransactions::default());
        let broker = Broker::new(BrokerParts {
            issuer: BROKER.to_owned(),
            trust_domain: TRUST_DOMAIN.to_owned(),
            resource: GATEWAY.to_owned(),
            access_token_key,
            txn_token_key,
            bundles: Arc::clone(&bundles),
            registry: Arc::clone(&broker_registry),
            clients: clients()?,
            gateways: vec![gateway.id.as_str().to_owned()],
            documents: Directory::new(documents.clone()),
            detail_types: detail_types(),
            signals: receiver("broker", &broker_registry)?,
            ended: Arc::clone(&ended) as _,
            sessions: Arc::clone(&sessions) as _,
            audit: Arc::clone(&audit),
            provider,
        })?;
        let name = "broker.enterprise.example";
        servers.push(
            web.serve(name, &hosts, Some(&bundles), Arc::new(broker))
                .await?,
        );

        // The gateway and the tools, known to workloads by their SPIFFE IDs.
        let gateway_registry = Arc::new(registry()?);
        let broker_client = |svid: &X509Svid| {
            Ok::<_, Failure>(Client::new(
                tls::web_client(&web.roots(), Some(svid))?,
                Arc::clone(&hosts),
            ))
        };
        let handler = Gateway::new(GatewayParts {
            id: gateway.id.clone(),
            url: GATEWAY.to_owned(),
            broker: BROKER.to_owned(),
            trust_domain: TRUST_DOMAIN.to_owned(),
            bundles: Arc::clone(&bundles),
            registry: Arc::clone(&gateway_registry),
            policy: Policy::parse(POLICY)?,
            client: broker_client(&gateway.svid)?,
            signals: receiver("gateway", &gateway_registry)?,
            audit: Arc::clone(&audit),
            provider,
        })?;
        let spiffe = |svid: &X509Svid| tls::spiffe_server(svid, &bundles);
        let server = serve(
            "gateway.enterprise.example",
            gateway_port,
            &hosts,
            spiffe(&gateway.svid)?,
            Arc::new(handler),
        );
        servers.push(server.await?);

        let jwks = get_jwks(&plain, &provider).await?;
        let verifier = || TxnTokenVerifier::new(TRUST_DOMAIN, BROKER);
        let advisors = SpiffeIdPattern::parse("spiffe://enterprise.example/agents/advisor/*")?;
        let refund_tool = ToolService {
            name: "refund".to_owned(),
            path: "/refund".to_owned(),
            verifier: verifier(),
            keys: jwks.clone(),
            requirements: Requirements::new(ScopeSet::parse("refund.write")?)
                .with_actor(advisors)
                .with_caller_bound(Vec::<String>::new())
                .with_detail_types(detail_types())
                .with_call_chain(CallChainPolicy::from_json(REFUND_CHAIN)?),
            detail_types: detail_types(),
            details: Some(refund_details),
            audit: Arc::clone(&audit),
        };
        let server = serve(
            "refund.enterprise.example",
            0,
            &hosts,
            spiffe(&refund.svid)?,
            Arc::new(refund_tool),
        );
        servers.push(server.await?);
        let web_tool = ToolService {
            name: "web-search".to_owned(),
            path: "/search".to_owned(),
            verifier: verifier(),
            keys: jwks.clone(),
            requirements: Requirements::new(ScopeSet::parse("web.search")?)
                .with_caller_bound(Vec::<String>::new()),
            detail_types: DetailTypes::default(),
            details: None,
            audit: Arc::clone(&audit),
        };
        let server = serve(
            "search.enterprise.example",
            0,
            &hosts,
            spiffe(&search_tool.svid)?,
            Arc::new(web_tool),
        );
        servers.push(server.await?);
        let check = FraudCheck {
            id: fraud.id.clone(),
            verifier: verifier(),
            keys: jwks,
            client: broker_client(&fraud.svid)?,
            audit: Arc::clone(&audit),
        };
        let server = serve(
            "fraud.enterprise.example",
            0,
            &hosts,
            spiffe(&fraud.svid)?,
            Arc::new(check),
        );
        servers.push(server.await?);

        // The signals plane.
        let peer = |peers: Peers, workload: &Workload, component| {
            let id = workload.id.as_str();
            peers.with_peer(id, StreamOwner::new(id, &audience(component)))
        };
        let peers = peer(Peers::new(), &gateway, "gateway");
        let peers = peer(peers, &broker_workload, "broker");
        let log = Arc::clone(&audit);
        let transmitter = Transmitter::new(SIGNALS, signals_key, peers, log, provider)?;
        let transmitter = Arc::new(transmitter);
        let name = "signals.enterprise.example";
        servers.push(
            web.serve(name, &hosts, Some(&bundles), Arc::clone(&transmitter) as _)
                .await?,
        );
        let poller = receiver("broker", &broker_registry)?;
        let streams = [
            (&gateway, Some(format!("{GATEWAY}/signals")), RISK),
            (&broker_workload, Some(format!("{BROKER}/signals")), RISK),
            (&broker_workload, None, SESSION),
        ];
        let mut subscribed = Vec::new();
        for (workload, endpoint, event) in streams {
            let client = broker_client(&workload.svid)?;
            let delivery = match &endpoint {
                Some(endpoint) => DeliveryRequest::push(endpoint, None)?,
                None => DeliveryRequest::Poll,
            };
            let wanted = ConfigurationRequest::new()
                .with_delivery(delivery)
                .with_events([event])?;
            subscribed.push(subscribe(&client, SIGNALS, &wanted).await?);
        }
        let [gateway_stream, broker_stream, polled] = <[_; 3]>::try_from(subscribed)
            .map_err(|_| "three streams were asked for, and not made")?;
        let towards_gateway = tls::anonymous_client(&bundles, &gateway.id)?;
        let towards_broker = tls::web_client(&web.roots(), None)?;
        let mut pushing = Vec::new();
        for (stream, tls) in [
            (&gateway_stream, towards_gateway),
            (&broker_stream, towards_broker),
        ] {
            let loopback = ssf_stream::address::AddressPolicy::public()
                .with_allowed(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let client = ssf_stream::client::Client::new(tls)
                .with_resolver(Arc::clone(&hosts) as _)
                .with_addresses(loopback);
            pushing.push(transmitter.push(&stream.stream_id, client).await?);
        }

        Ok(Self {
            provider,
            hosts,
            home,
            partner,
            home_ca_key,
            partner_ca_key,
            partner_bundles,
            federated,
            bundles,
            web_roots: web.roots(),
            audit,
            #[cfg(test)]
            ended,
            client_id,
            documents,
            gateway,
            refund,
            search_tool,
            fraud,
            transmitter,
            poller,
            pushed: [gateway_stream.stream_id, broker_stream.stream_id],
            polled: polled.delivery.endpoint_url().to_owned(),
            broker: broker_workload,
            token_keys,
            user_session,
            _pushing: pushing,
            _servers: servers,
        })
    }

    /// An agent with a fresh X509-SVID.
    pub(super) fn workload(&self, path: &str) -> Result<Workload, Failure> {
        Workload::new(&self.home, &self.provider, path)
    }

    /// A client that shows nothing and knows servers by their names.
    pub(super) fn web(&self) -> Result<Client, Failure> {
        Ok(Client::new(
            tls::web_client(&self.web_roots, None)?,
            Arc::clone(&self.hosts),
        ))
    }

    /// A client that knows servers by their names and shows an SVID.
    pub(super) fn web_with_svid(&self, workload: &Workload) -> Result<Client, Failure> {
        Ok(Client::new(
            tls::web_client(&self.web_roots, Some(&workload.svid))?,
            Arc::clone(&self.hosts),
        ))
    }

    /// A client towards another workload, by mutual TLS.
    pub(super) fn towards(
        &self,
        workload: &Workload,
        server: &SpiffeId,
    ) -> Result<Client, Failure> {
        Ok(Client::new(
            tls::spiffe_client(&workload.svid, &self.bundles, server)?,
            Arc::clone(&self.hosts),
        ))
    }

    /// A client towards another workload that shows nothing.
    pub(super) fn towards_anonymously(&self, server: &SpiffeId) -> Result<Client, Failure> {
        Ok(Client::new(
            tls::anonymous_client(&self.bundles, server)?,
            Arc::clone(&self.hosts),
        ))
    }
}

/// Fetches the bundle of `other` for `own`, and gives the bundles that `own` then has.
async fn federate(
    provider: &CryptoProvider,
    client: &Client,
    own: &TrustDomainIssuer,
    other: &TrustDomainIssuer,
) -> Result<Arc<SharedBundleSet>, Failure> {
    let url = format!("https://issuer.{}/bundle.json", other.trust_domain());
    let relationship = Relationship::https_web(other.trust_domain().clone(), &url)?;
    let plan = relationship.fetch();
    let response = client.send(plan.request()?.map(|()| Vec::new())).await?;
    let (parts, body) = response.into_parts();
    let FetchStep::Fetched(bundle) =
        plan.response(provider, parts.status, &parts.headers, &body)?
    else {
        return Err("the bundle endpoint redirects".into());
    };
    let bundles = Arc::new(SharedBundleSet::new(BundleSet::new()));
    bundles.install(Arc::clone(own.bundle()))?;
    bundles.install(*bundle)?;
    Ok(bundles)
}

/// The broker's published keys.
async fn get_jwks(client: &Client, provider: &CryptoProvider) -> Result<KeySet, Failure> {
    let response = client
        .send(Request::get(format!("{BROKER}/jwks")).body(Vec::new())?)
        .await?;
    Ok(KeySet::from_jwks_slice(provider, response.body())?)
}

/// Where the agents' user comes back with a code: at the same origin as the metadata document.
pub(super) fn redirect_uri(client_id: &str) -> String {
    client_id
        .replace("/agents.json", "/callback")
        .replace("/other.json", "/callback")
}

fn client_document(client_id: &str) -> String {
    json!({
        "client_id": client_id,
        "client_name": "Advisory agents of Enterprise",
        "redirect_uris": [redirect_uri(client_id)],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "spiffe_jwt",
        "spiffe_id": format!("spiffe://{TRUST_DOMAIN}/agents/*"),
    })
    .to_string()
}

/// The audience of a component's stream of events.
pub(super) fn audience(component: &str) -> String {
    format!("https://{component}.{TRUST_DOMAIN}/signals")
}

/// How long the demo waits for something that has to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
