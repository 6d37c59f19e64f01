//! The agentic gateway: who is this agent, may it call this tool, and for whom?
//!
//! An agent knows an intent and the name of a tool. It gets the tool's endpoint and a transaction token, and never a
//! credential of the gateway, the broker or the user.

use std::sync::Arc;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use jose_x509::jws::UnverifiedJws;
use jose_x509::{CryptoProvider, MemoryReplayGuard, json};
use pki_types::{CertificateDer, UnixTime};
use serde::Deserialize;
use serde_json::json;
use spiffe_bundle::SharedBundleSet;
use spiffe_id::SpiffeId;
use svid::wit::WitSvidVerifier;
use token_exchange::{ScopeSet, SubjectToken, TokenExchangeResponse, TokenType};
use txn_token::TxnTokenRequest;
use wimse::wit::WORKLOAD_IDENTITY_TOKEN;

use crate::audit::{self, AuditLog, Decision, Event};
use crate::broker::AGENT_CREDENTIAL;
use crate::credential::{AgentCredential, AgentIdentity, is_security_event};
use crate::net::{self, Answer, Client, Handler};
use crate::policy::{Call, Policy, PolicyError};
use crate::registry::{Registry, RegistryError, Tool};
use crate::signals::Receiver;

/// The field with the user's access token: `Authorization` belongs to the agent's own credential.
pub const DELEGATION_TOKEN: HeaderName = HeaderName::from_static("delegation-token");

/// What an agent asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolCall {
    tool: String,
    intent: String,
    /// A narrower scope than the tool's, or another that the agent wants: the broker decides.
    scope: Option<String>,
}

/// What a gateway is made of.
pub struct GatewayParts {
    /// Its own SPIFFE ID.
    pub id: SpiffeId,
    /// The https URL under which agents reach it.
    pub url: String,
    /// The broker's URL.
    pub broker: String,
    /// The trust domain of transaction tokens.
    pub trust_domain: String,
    /// The SPIFFE bundles.
    pub bundles: Arc<SharedBundleSet>,
    /// Agents and tools.
    pub registry: Arc<Registry>,
    /// Who may call what.
    pub policy: Policy,
    /// Speaks to the broker with the gateway's own X509-SVID.
    pub client: Client,
    /// Takes signals.
    pub signals: Receiver,
    /// The log.
    pub audit: Arc<AuditLog>,
    /// Cryptography.
    pub provider: CryptoProvider,
}

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// No credential, or more than one.
    #[error(
        "show exactly one credential: an X509-SVID by mutual TLS, a JWT-SVID, or a WIT with its proof"
    )]
    Credential,
    /// The X509-SVID or JWT-SVID is refused.
    #[error("the credential is refused: {0}")]
    Svid(#[from] svid::Error),
    /// A security event token, which tells something and allows nothing.
    #[error("a security event token is no credential: show an SVID, or an access token")]
    SecurityEvent,
    /// The request's body is not a tool call.
    #[error("the body is not a tool call: JSON with `tool`, `intent` and perhaps `scope`")]
    Body,
    /// The user's token is missing or repeated.
    #[error("the request needs exactly one `Delegation-Token` field")]
    Delegation,
    /// Agent or tool is not served.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The tool lies outside the bounds of the agent's class or instance.
    #[error("the tool lies outside the namespace bounds of this agent")]
    OutsideBounds,
    /// The policy says no.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The broker cannot be reached.
    #[error("the broker cannot be reached: {0}")]
    Net(#[from] net::NetError),
    /// The broker refused, or answered nonsense.
    #[error("the broker issued no transaction token: {0}")]
    Broker(String),
}

impl GatewayError {
    /// A stable name of the cause.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Credential => "agent_credential",
            Self::Svid(error) => error.code(),
            Self::SecurityEvent => "invalid_token",
            Self::Body => "invalid_tool_call",
            Self::Delegation => "no_delegation",
            Self::Registry(error) => error.code(),
            Self::OutsideBounds => "outside_namespace_bounds",
            Self::Policy(error) => error.code(),
            Self::Net(_) => "broker_unreachable",
            Self::Broker(code) => code,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Credential | Self::Svid(_) | Self::SecurityEvent => StatusCode::UNAUTHORIZED,
            Self::Body | Self::Delegation => StatusCode::BAD_REQUEST,
            Self::Net(_) => StatusCode::BAD_GATEWAY,
            _ => StatusCode::FORBIDDEN,
        }
    }

    /// The refusal. `WWW-Authenticate` says whether there was a credential at all (RFC 6750, section 3).
    fn response(&self) -> Response<Vec<u8>> {
        let mut response = net::json(self.status(), &json!({"error": self.code()}));
        let challenge = match self {
            Self::Credential => "Bearer",
            Self::Svid(_) | Self::SecurityEvent => "Bearer error=\"invalid_token\"",
            _ => return response,
        };
        let challenge = HeaderValue::from_static(challenge);
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        response
    }
}

/// The gateway.
pub struct Gateway {
    parts: GatewayParts,
    wit: WitSvidVerifier,
    replay: MemoryReplayGuard,
}

const MAX_PROOFS: usize = 100_000;

impl Gateway {
    /// A gateway.
    ///
    /// # Errors
    ///
    /// When its URL cannot be the authority of proofs.
    pub fn new(parts: GatewayParts) -> Result<Self, svid::Error> {
        let wit = WitSvidVerifier::new(&parts.url)?.with_context_field(DELEGATION_TOKEN);
        Ok(Self {
            parts,
            wit,
            replay: MemoryReplayGuard::new(MAX_PROOFS),
        })
    }

    /// Who sends the request: exactly one kind of credential, verified.
    fn authenticate(
        &self,
        parts: &Parts,
        peer: Vec<CertificateDer<'static>>,
        now: UnixTime,
    ) -> Result<(AgentCredential, AgentIdentity), GatewayError> {
        let bundles = self.parts.bundles.snapshot();
        let has_wit = parts.headers.contains_key(WORKLOAD_IDENTITY_TOKEN);
        let bearer = bearer(&parts.headers);
        let credential = match (has_wit, bearer, peer.is_empty()) {
            (true, _, true) => {
                let workload =
                    self.wit
                        .verify(&parts.headers, &parts.uri, &*bundles, &self.replay, now)?;
                let wit = one_field(
                    &parts.headers,
                    &HeaderName::from_static(WORKLOAD_IDENTITY_TOKEN),
                );
                let credential =
                    AgentCredential::Wit(wit.ok_or(GatewayError::Credential)?.to_owned());
                let expires = workload.wit().expires().unwrap_or_default();
                return Ok((
                    credential,
                    AgentIdentity {
                        spiffe_id: workload.spiffe_id().clone(),
                        expires,
                    },
                ));
            }
            (false, Some(token), true) => AgentCredential::Jwt(token.to_owned()),
            (false, None, false) if !parts.headers.contains_key(AUTHORIZATION) => {
                AgentCredential::X509(peer)
            }
            _ => return Err(GatewayError::Credential),
        };
        let provider = &self.parts.provider;
        let identity =
            credential.verify(&*bundles, self.parts.id.as_str(), &self.wit, provider, now)?;
        Ok((credential, identity))
    }

    async fn call(
        &self,
        parts: &Parts,
        body: &[u8],
        peer: Vec<CertificateDer<'static>>,
        now: UnixTime,
        event: &mut Event,
    ) -> Result<Response<Vec<u8>>, GatewayError> {
        for token in tokens(&parts.headers) {
            if is_security_event(token) {
                return Err(GatewayError::SecurityEvent);
            }
        }
        let (credential, agent) = self.authenticate(parts, peer, now)?;
        event.actors = vec![agent.spiffe_id.as_str().to_owned()];
        event.instance = Some(agent.spiffe_id.as_str().to_owned());
        event.credential = Some(credential.kind().name().to_owned());
        let call: ToolCall =
            json::from_slice(body, &json::Limits::CLAIMS).map_err(|_| GatewayError::Body)?;
        let delegation = one_field(&parts.headers, &DELEGATION_TOKEN);
        let shown: Vec<&str> = [credential.as_token(), delegation]
            .into_iter()
            .flatten()
            .collect();
        event.tool = Some(audit::clean(&call.tool, &shown));
        event.target.clone_from(&event.tool);
        event.unverified_intent = Some(audit::clean(&call.intent, &shown));
        let delegation = delegation.ok_or(GatewayError::Delegation)?;
        let active = self
            .parts
            .registry
            .active_agent((&agent.spiffe_id).into())?;
        event.agent = Some(active.class.name.clone());
        let tool = self.parts.registry.tool(&call.tool)?;
        let ceiling = active.ceiling();
        if !ceiling
            .namespaces
            .only()
            .is_some_and(|bounds| bounds.contains((&tool.id).into()))
        {
            return Err(GatewayError::OutsideBounds);
        }
        self.parts.policy.check(&Call {
            agent: agent.spiffe_id.as_str(),
            class: &active.class.name,
            tool: &tool.name,
            tool_id: tool.id.as_str(),
            trust_domain: agent.spiffe_id.trust_domain().as_str(),
            credential: credential.kind().name(),
        })?;
        let scope = call.scope.as_deref().unwrap_or(&tool.scope);
        let token = self
            .exchange(delegation, &credential, &call, scope, &tool)
            .await?;
        event.txn = unverified_txn(&token);
        Ok(net::json(
            StatusCode::OK,
            &json!({"endpoint": tool.endpoint, "txn_token": token}),
        ))
    }

    /// Asks the broker for a transaction token, as the gateway itself.
    async fn exchange(
        &self,
        delegation: &str,
        credential: &AgentCredential,
        call: &ToolCall,
        scope: &str,
        tool: &Tool,
    ) -> Result<String, GatewayError> {
        let refused = |code: &str| GatewayError::Broker(code.to_owned());
        let subject = SubjectToken {
            unverified_token: delegation.to_owned(),
            token_type: TokenType::AccessToken,
        };
        let scope = ScopeSet::parse(scope).map_err(|error| refused(error.code()))?;
        let mut request = TxnTokenRequest::new(&self.parts.trust_domain, subject, scope);
        for (name, value) in [
            (AGENT_CREDENTIAL, credential.to_value()),
            ("tool", json!(tool.name)),
            ("intent", json!(call.intent)),
        ] {
            request
                .unverified_request_details
                .insert(name, value)
                .map_err(|error| refused(error.code()))?;
        }
        let mut form = request.to_form().map_err(|error| refused(error.code()))?;
        let mut client = Vec::new();
        oauth_spiffe_client_auth::client::with_x509_svid(&mut client, &self.parts.id);
        form.push('&');
        form.push_str(&oauth_spiffe_client_auth::client::encode(&client));
        let request = token_request(&self.parts.broker, form)?;
        let response = self.parts.client.send(request).await?;
        let (parts, body) = response.into_parts();
        let error = |_| refused(&oauth_code(&body));
        TokenExchangeResponse::parse(
            parts.status,
            &parts.headers,
            &body,
            Some(&TokenType::TxnToken),
        )
        .map(|response| response.token)
        .map_err(error)
    }
}

/// A request to the token endpoint of a broker.
///
/// # Errors
///
/// [`net::NetError::Uri`].
pub fn token_request(broker: &str, form: String) -> Result<Request<Vec<u8>>, net::NetError> {
    Request::post(format!("{broker}/token"))
        .header(
            http::header::CONTENT_TYPE,
            "application/x-www-form-urlencoded",
        )
        .body(form.into_bytes())
        .map_err(|_| net::NetError::Uri)
}

/// `txn` of the token that the broker has just issued, over mutual TLS: for the log, and for nothing else.
fn unverified_txn(token: &str) -> Option<String> {
    let jws = UnverifiedJws::parse(token).ok()?;
    let claims = json::object(jws.unverified_payload(), &json::Limits::CLAIMS).ok()?;
    Some(audit::clean(claims.get("txn")?.as_str()?, &[]))
}

/// `error` of an OAuth error response.
fn oauth_code(body: &[u8]) -> String {
    let members = json::object(body, &json::Limits::CLAIMS).unwrap_or_default();
    members
        .get("error")
        .and_then(|code| code.as_str())
        .unwrap_or("invalid_response")
        .to_owned()
}

/// Everything in the head that could be a token, however often it is there.
fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let wit = HeaderName::from_static(WORKLOAD_IDENTITY_TOKEN);
    [AUTHORIZATION, DELEGATION_TOKEN, wit]
        .into_iter()
        .flat_map(|name| headers.get_all(name))
        .filter_map(|value| value.to_str().ok())
        // Behind the scheme, if there is one.
        .filter_map(|value| value.split_ascii_whitespace().last())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = one_field(headers, &AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The value of a field that occurs exactly once.
fn one_field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

impl Handler for Gateway {
    fn handle<'a>(
        &'a self,
        parts: Parts,
        body: Vec<u8>,
        peer: Vec<CertificateDer<'static>>,
    ) -> Answer<'a> {
        Box::pin(async move {
            let now = net::now();
            match (&parts.method, parts.uri.path()) {
                (&Method::POST, "/call") => {
                    let mut event = Event::new("gateway", "tool.resolve", Decision::Allowed);
                    let result = self.call(&parts, &body, peer, now, &mut event).await;
                    if let Err(error) = &result {
                        event.decision = Decision::Refused;
                        event.reason = Some(error.code().to_owned());
                    }
                    self.parts.audit.append(event, now);
                    result.unwrap_or_else(|error| error.response())
                }
                (&Method::POST, "/signals") => self.parts.signals.push(&parts, &body, now),
                _ => net::empty(StatusCode::NOT_FOUND),
            }
        })
    }
}
