//! Two services of the demo's own: the host of the client metadata document, and the fraud check.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;
use http::{Method, StatusCode};
use jose_x509::KeySet;
use pki_types::CertificateDer;
use serde_json::json;
use spiffe_id::SpiffeId;
use txn_token::TxnTokenVerifier;

use super::agent::{HandOver, hand_over};
use super::web::json_text;
use super::world::{Failure, id};
use crate::audit::{AuditLog, Decision, Event};
use crate::net::{self, Answer, Client, Handler};

/// Serves JSON documents.
#[derive(Default)]
pub(super) struct MetadataHost(Mutex<HashMap<String, String>>);

impl MetadataHost {
    pub(super) fn publish(&self, path: &str, document: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), document.to_owned());
    }
}

impl Handler for MetadataHost {
    fn handle<'a>(
        &'a self,
        parts: Parts,
        _: Vec<u8>,
        _: Vec<CertificateDer<'static>>,
    ) -> Answer<'a> {
        let text = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(parts.uri.path())
            .cloned();
        Box::pin(async move { json_text(&parts, text) })
    }
}

/// Checks a transaction that was handed over to it, says so to the broker, and hands it on to the settlement agent.
pub(super) struct FraudCheck {
    pub(super) id: SpiffeId,
    pub(super) verifier: TxnTokenVerifier,
    pub(super) keys: KeySet,
    /// Towards the broker, with the check's own SVID.
    pub(super) client: Client,
    pub(super) audit: Arc<AuditLog>,
}

impl FraudCheck {
    async fn check(&self, parts: &Parts) -> Result<String, Failure> {
        let now = net::now();
        let token = self
            .verifier
            .verify_request(&parts.headers, &self.keys, now)?;
        if token
            .actor()
            .is_none_or(|actor| actor.party().subject() != self.id.as_str())
        {
            return Err("the transaction was not handed over to the fraud check".into());
        }
        // What a real check would look at is its own business; who asked for whom is in the token.
        let event = Event::new("check:fraud", "fraud.check", Decision::Allowed)
            .token(&token)
            .credential("txn-token");
        self.audit.append(event, now);
        let settlement = id("agents/advisor/settlement")?;
        let next = HandOver {
            to: &settlement,
            scope: "refund.write",
            outcome: Some("ok"),
        };
        hand_over(&self.client, &self.id, token.as_received(), &next).await
    }
}

impl Handler for FraudCheck {
    fn handle<'a>(
        &'a self,
        parts: Parts,
        _: Vec<u8>,
        _: Vec<CertificateDer<'static>>,
    ) -> Answer<'a> {
        Box::pin(async move {
            if parts.method != Method::POST || parts.uri.path() != "/check" {
                return net::empty(StatusCode::NOT_FOUND);
            }
            match self.check(&parts).await {
                Ok(token) => net::json(StatusCode::OK, &json!({"txn_token": token})),
                Err(_) => net::json(StatusCode::FORBIDDEN, &json!({"error": "not_checked"})),
            }
        })
    }
}
