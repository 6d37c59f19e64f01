//! Token exchange: an access token becomes a transaction token, and a transaction token is handed over.

use std::time::Duration;

use http::Response;
use oauth_spiffe_client_auth::AuthenticatedClient;
use pki_types::UnixTime;
use spiffe_id::{SpiffeId, SpiffeIdRef};
use token_exchange::{
    Authority, Error as ExchangeError, ExchangePolicy, Form, Party, PartyKind,
    TokenExchangeResponse, TokenType, TokenUse, VerifiedActor, VerifiedSubject,
};
use txn_token::{
    Actor, AgenticContext, Context, IssueRequest, IssuedTxnToken, Outcome, ReplaceRequest,
    TxnTokenRequest,
};

use super::{Broker, BrokerError, access_token};
use crate::audit::{self, Decision, Event};
use crate::credential::AgentCredential;

/// Member of `request_details` with the agent's credential, from a gateway.
pub const AGENT_CREDENTIAL: &str = "agent_credential";
/// Member of `request_details` with the SPIFFE ID of the next actor, from the current one.
pub const HAND_OVER_TO: &str = "hand_over_to";
/// Member of `request_details` with the outcome of a check, from the one who made it.
pub const OUTCOME: &str = "outcome";

const MAX_LIFETIME: Duration = Duration::from_secs(300);

impl Broker {
    /// Decides on an exchange of an authenticated client.
    pub(super) fn exchange(
        &self,
        form: &Form,
        client: &AuthenticatedClient,
        now: UnixTime,
        event: &mut Event,
    ) -> Result<Response<Vec<u8>>, BrokerError> {
        let request = TxnTokenRequest::from_form(form, &self.parts.trust_domain)?;
        let issued = match request.subject.token_type {
            TokenType::AccessToken => self.mint(&request, client, now, event)?,
            TokenType::TxnToken => self.hand_over(&request, client, now, event)?,
            _ => {
                return Err(ExchangeError::UnsupportedTokenType {
                    name: "subject_token_type",
                }
                .into());
            }
        };
        event.txn = Some(issued.txn().to_owned());
        event.decision = Decision::Allowed;
        self.parts.audit.append(event.clone(), now);
        let response = TokenExchangeResponse::new(
            issued.as_str(),
            TokenType::TxnToken,
            TokenUse::NotApplicable,
        )
        .with_expires_in(issued.expires_in())
        .with_scope(issued.scope().clone());
        Ok(response.to_response())
    }

    /// A gateway asks for a transaction token for an agent that it has authenticated.
    fn mint(
        &self,
        request: &TxnTokenRequest,
        client: &AuthenticatedClient,
        now: UnixTime,
        event: &mut Event,
    ) -> Result<IssuedTxnToken, BrokerError> {
        "txn_token.issue".clone_into(&mut event.action);
        let gateway = workload(client)?.as_str();
        if !self.parts.gateways.iter().any(|one| one == gateway) {
            return Err(BrokerError::NotAGateway);
        }
        let credential = request.unverified_request_details.get(AGENT_CREDENTIAL);
        let credential = credential
            .as_ref()
            .and_then(AgentCredential::from_value)
            .ok_or(BrokerError::NoAgentCredential)?;
        let token = &request.subject.unverified_token;
        event.credential = Some(credential.kind().name().to_owned());
        // What the gateway says of the call: it is authenticated, and a gateway of ours.
        let shown: Vec<&str> = credential
            .as_token()
            .into_iter()
            .chain([&**token])
            .collect();
        let stated = |name| {
            let text = request.unverified_request_details.get(name)?;
            Some(audit::clean(text.as_str()?, &shown))
        };
        event.tool = stated("tool");
        event.unverified_intent = stated("intent");
        let agent = credential
            .verify(
                &*self.parts.bundles,
                gateway,
                &self.wit,
                &self.parts.provider,
                now,
            )
            .map_err(BrokerError::AgentCredential)?;
        event.instance = Some(agent.spiffe_id.as_str().to_owned());
        event.actors = vec![agent.spiffe_id.as_str().to_owned()];
        let active = self
            .parts
            .registry
            .active_agent((&agent.spiffe_id).into())?;
        event.agent = Some(active.class.name.clone());

        let (issuer, resource) = (&self.parts.issuer, &self.parts.resource);
        let refused = |source| ExchangeError::Token {
            which: "subject",
            source,
        };
        let jwt = access_token::validate(token, issuer, resource, &self.access_token_keys, now)
            .map_err(refused)?;
        let subject = VerifiedSubject::from_jwt(&jwt, PartyKind::User, &self.parts.detail_types)?;
        let user = subject.party().subject().to_owned();
        event.user = Some(user.clone());
        self.parts
            .registry
            .check_user(&user, jwt.issued_at().unwrap_or_default())?;

        let actor =
            VerifiedActor::client(Party::new(agent.spiffe_id.as_str()), PartyKind::Workload)
                .with_expiry(agent.expires);
        let wanted = Authority::unbounded()
            .with_scopes(request.scope.clone())
            .with_targets([self.parts.trust_domain.as_str()]);
        let policy = ExchangePolicy::new(MAX_LIFETIME);
        let delegation =
            policy.delegate(&subject, &actor, &[&active.ceiling()], wanted, false, now)?;
        // The intersection has already cut what was asked for too much. An agent that asks for more than it can have
        // is told so, instead of finding out at the tool.
        if delegation.grant.scopes != request.scope {
            return Err(ExchangeError::InvalidScope.into());
        }

        let mut issue = IssueRequest::new(&user, delegation.grant.scopes.clone(), gateway);
        issue.actors = Some(delegation.actors);
        issue.subject_expires = Some(delegation.grant.expires);
        let details = delegation.grant.authority.details.only();
        let mut limits = limits(&request.unverified_request_details, &active.class.name);
        limits.authorization_details = details.map(token_exchange::authority::Details::to_value);
        issue.agentic_context = Some(limits);
        issue.presented = vec![token];
        Ok(self.txn_tokens.issue(&issue, now)?)
    }

    /// The current actor hands its transaction over to another agent, which acts from then on.
    fn hand_over(
        &self,
        request: &TxnTokenRequest,
        client: &AuthenticatedClient,
        now: UnixTime,
        event: &mut Event,
    ) -> Result<IssuedTxnToken, BrokerError> {
        "txn_token.hand_over".clone_into(&mut event.action);
        event.credential = Some(client.method.name().to_owned());
        let current = workload(client)?.as_str();
        event.instance = Some(current.to_owned());
        let token = self.txn_verifier.verify(
            &request.subject.unverified_token,
            &self.txn_token_keys,
            now,
        )?;
        // Until the next agent is known, the record is about the one that asks.
        *event = Event {
            instance: event.instance.take(),
            ..event.clone().token(&token)
        };
        if token
            .actor()
            .is_none_or(|actor| actor.party().subject() != current)
        {
            event.agent = None;
            return Err(BrokerError::NotTheActor);
        }
        let details = &request.unverified_request_details;
        let text = |name: &str| {
            details
                .get(name)
                .and_then(|value| value.as_str().map(str::to_owned))
        };
        let next = text(HAND_OVER_TO).ok_or(ExchangeError::MissingParameter {
            name: "request_details",
        })?;
        let next = SpiffeIdRef::parse(&next).map_err(|_| ExchangeError::InvalidParameter {
            name: "request_details",
        })?;
        self.parts.registry.active_agent(workload(client)?.into())?;
        let active = self.parts.registry.active_agent(next)?;
        event.agent = Some(active.class.name.clone());
        event.instance = Some(next.as_str().to_owned());
        event.actors.insert(0, next.as_str().to_owned());
        self.parts
            .registry
            .check_user(token.subject(), token.issued_at())?;
        // What the next agent's class and instance may not do is not handed to it.
        let ceiling = active.ceiling();
        let granted = Authority::unbounded().with_scopes(request.scope.clone());
        if ceiling.intersect(&granted).scopes != granted.scopes {
            return Err(ExchangeError::InvalidScope.into());
        }
        let outcome = match text(OUTCOME).as_deref() {
            None => None,
            Some("ok") => Some(Outcome::Ok),
            Some("denied") => Some(Outcome::Denied),
            Some(_) => {
                return Err(ExchangeError::InvalidParameter {
                    name: "request_details",
                }
                .into());
            }
        };
        let mut replace = ReplaceRequest::new(current);
        replace.scope = Some(request.scope.clone());
        replace.actor = Some(Actor::new(Party::new(next.as_str())));
        replace.outcome = outcome;
        // The limits stay; the description is that of the next agent.
        let mut context = AgenticContext::new();
        context.agent_type = Some(active.class.name);
        context.intent = token
            .agentic_context()
            .and_then(|context| context.intent.clone());
        replace.agentic_context = Some(context);
        Ok(self.txn_tokens.replace(&token, &replace, now)?)
    }
}

/// The limits of the agent's token: the one tool that the gateway resolved. The intent is a note, no ground for access.
fn limits(details: &Context, class: &str) -> AgenticContext {
    let text = |name: &str| {
        details
            .get(name)
            .and_then(|value| value.as_str().map(str::to_owned))
    };
    let mut context = AgenticContext::new();
    context.agent_type = Some(class.to_owned());
    context.intent = text("intent");
    context.allowed_actions = Some(text("tool").into_iter().collect());
    context
}

/// The workload that a client is. Only methods of SVIDs are enabled, so there is one.
pub(super) fn workload(client: &AuthenticatedClient) -> Result<&SpiffeId, BrokerError> {
    let no_workload = oauth_spiffe_client_auth::Error::NoMethod;
    client
        .spiffe_id
        .as_ref()
        .ok_or_else(|| BrokerError::Client(Box::new(no_workload)))
}
