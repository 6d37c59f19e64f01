//! A tool behind the gateway: it does something only for a transaction token that allows it.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, StatusCode};
use jose_x509::{KeySet, json};
use pki_types::{CertificateDer, UnixTime};
use serde_json::{Map, Value};
use svid::x509::spiffe_id_of;
use token_exchange::DetailTypes;
use token_exchange::authority::Details;
use txn_token::{Call, Requirements, TxnToken, TxnTokenVerifier};

use crate::audit::{AuditLog, Decision, Event};
use crate::net::{self, Answer, Handler};

/// Reads the authorization details that a request's body stands for.
pub type RequestedDetails = fn(body: &Map<String, Value>) -> Option<Value>;

/// A tool that is called by `POST` at one path.
pub struct ToolService {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// How transaction tokens are verified.
    pub verifier: TxnTokenVerifier,
    /// The keys of the token service.
    pub keys: KeySet,
    /// What it demands of a token.
    pub requirements: Requirements,
    /// The types of authorization details that it knows.
    pub detail_types: DetailTypes,
    /// What a request's body asks for, as authorization details of a registered type (RFC 9396).
    pub details: Option<RequestedDetails>,
    /// The log.
    pub audit: Arc<AuditLog>,
}

impl ToolService {
    /// Verifies the token of a request, that its bearer is the agent that it names, and that it covers what is asked for.
    fn check(
        &self,
        parts: &Parts,
        body: &[u8],
        peer: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<TxnToken, (String, Box<Event>)> {
        // The TLS layer has verified the chain; here only its name is read.
        let caller = peer.first().and_then(|leaf| spiffe_id_of(leaf).ok());
        let mut event = Event::new(
            &format!("tool:{}", self.name),
            "tool.call",
            Decision::Refused,
        )
        .target(&self.name)
        .credential("txn-token");
        event.tool = Some(self.name.clone());
        event.instance = caller.as_ref().map(|caller| caller.as_str().to_owned());
        let token = match self
            .verifier
            .verify_request(&parts.headers, &self.keys, now)
        {
            Ok(token) => token,
            Err(error) => {
                return Err((
                    error.code().to_owned(),
                    Box::new(event.reason(error.code())),
                ));
            }
        };
        let event = Event {
            tool: event.tool.clone(),
            ..event.token(&token)
        };
        let asked = self.asked(body);
        let mut call = Call::new().with_action(&self.name);
        if let Some(detail) = asked
            .as_ref()
            .and_then(|details| details.as_slice().first())
        {
            call = call.with_detail(detail);
        }
        if let Some(caller) = &caller {
            call = call.with_caller(caller.as_str());
        }
        match self.requirements.check(&token, &call, now) {
            Ok(()) => {
                self.audit.append(
                    Event {
                        decision: Decision::Allowed,
                        ..event
                    },
                    now,
                );
                Ok(token)
            }
            Err(error) => Err((
                error.code().to_owned(),
                Box::new(event.reason(error.code())),
            )),
        }
    }
}

impl ToolService {
    fn asked(&self, body: &[u8]) -> Option<Details> {
        let body = json::object(body, &json::Limits::CLAIMS).ok()?;
        self.detail_types.grant(&self.details?(&body)?).ok()
    }
}

impl Handler for ToolService {
    fn handle<'a>(
        &'a self,
        parts: Parts,
        body: Vec<u8>,
        peer: Vec<CertificateDer<'static>>,
    ) -> Answer<'a> {
        Box::pin(async move {
            let now = net::now();
            if parts.method != Method::POST || parts.uri.path() != self.path {
                return net::empty(StatusCode::NOT_FOUND);
            }
            match self.check(&parts, &body, &peer, now) {
                Ok(token) => net::json(
                    StatusCode::OK,
                    &serde_json::json!({"done": self.name, "txn": token.txn(), "for": token.subject()}),
                ),
                Err((code, event)) => {
                    self.audit.append(*event, now);
                    net::json(StatusCode::FORBIDDEN, &serde_json::json!({"error": code}))
                }
            }
        })
    }
}
