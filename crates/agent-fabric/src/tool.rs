//! A tool behind the gateway: it does something only for a transaction token that allows it.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, StatusCode};
use jose_x509::KeySet;
use pki_types::{CertificateDer, UnixTime};
use serde_json::json;
use svid::x509::spiffe_id_of;
use txn_token::{Call, Requirements, TxnToken, TxnTokenVerifier};

use crate::audit::{AuditLog, Decision, Event};
use crate::net::{self, Answer, Handler};

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
    /// The log.
    pub audit: Arc<AuditLog>,
}

impl ToolService {
    /// Verifies the token of a request, and that its bearer is the agent that it names.
    fn check(&self, parts: &Parts, peer: &[CertificateDer<'_>], now: UnixTime) -> Result<TxnToken, (String, Box<Event>)> {
        let event = Event::new(&format!("tool:{}", self.name), "tool.call", Decision::Refused)
            .target(&self.name)
            .credential("txn-token");
        let token = match self.verifier.verify_request(&parts.headers, &self.keys, now) {
            Ok(token) => token,
            Err(error) => return Err((error.code().to_owned(), Box::new(event.reason(error.code())))),
        };
        let event = event.txn(token.txn()).user(token.subject()).actors(actors(&token));
        // The TLS layer has verified the chain; here only its name is read.
        let caller = peer.first().and_then(|leaf| spiffe_id_of(leaf).ok());
        let mut call = Call::new().with_action(&self.name);
        if let Some(caller) = &caller {
            call = call.with_caller(caller.as_str());
        }
        match self.requirements.check(&token, &call, now) {
            Ok(()) => {
                self.audit.append(Event { decision: Decision::Allowed, ..event }, now);
                Ok(token)
            }
            Err(error) => Err((error.code().to_owned(), Box::new(event.reason(error.code())))),
        }
    }
}

/// Everybody who acts or acted, the current actor first.
fn actors(token: &TxnToken) -> Vec<String> {
    let earlier = token.act_chain().iter().rev().map(|link| link.actor());
    token.actor().into_iter().chain(earlier).map(|actor| actor.party().subject().to_owned()).collect()
}

impl Handler for ToolService {
    fn handle<'a>(&'a self, parts: Parts, _: Vec<u8>, peer: Vec<CertificateDer<'static>>) -> Answer<'a> {
        Box::pin(async move {
            let now = net::now();
            if parts.method != Method::POST || parts.uri.path() != self.path {
                return net::empty(StatusCode::NOT_FOUND);
            }
            match self.check(&parts, &peer, now) {
                Ok(token) => {
                    net::json(StatusCode::OK, &json!({"done": self.name, "txn": token.txn(), "for": token.subject()}))
                }
                Err((code, event)) => {
                    self.audit.append(*event, now);
                    net::json(StatusCode::FORBIDDEN, &json!({"error": code}))
                }
            }
        })
    }
}
