//! One trust domain with its token service, and tokens of any content.
#![allow(dead_code)]

use std::time::Duration;

use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, SigningKey, VerifyingKey};
use pki_types::UnixTime;
use serde_json::{Value, json};
use token_exchange::{Party, ScopeSet};
use txn_token::*;

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const DOMAIN: &str = "example.org";
pub(crate) const ISSUER: &str = "https://tts.example.org";

pub(crate) fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub(crate) fn now() -> UnixTime {
    at(NOW)
}

pub(crate) fn scope(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

pub(crate) fn id(path: &str) -> String {
    format!("spiffe://example.org/{path}")
}

pub(crate) fn actor(path: &str) -> Actor {
    Actor::new(Party::new(id(path)))
}

pub(crate) struct World {
    pub(crate) key: SigningKey,
    pub(crate) keys: VerifyingKey,
    pub(crate) service: TxnTokenIssuer<SigningKey>,
    pub(crate) verifier: TxnTokenVerifier,
}

impl World {
    pub(crate) fn new() -> Self {
        let key = SigningKey::generate(&provider(), Algorithm::Es256)
            .unwrap()
            .with_kid("k1");
        Self {
            keys: key.verifying_key().unwrap(),
            service: TxnTokenIssuer::new(key.clone(), DOMAIN, &provider())
                .unwrap()
                .with_issuer(ISSUER),
            verifier: TxnTokenVerifier::new(DOMAIN, ISSUER),
            key,
        }
    }

    pub(crate) fn sign_as(&self, typ: &'static str, claims: &Value) -> String {
        let header = ProtectedHeader::new(typ);
        jws::sign(&self.key, &header, claims.to_string().as_bytes()).unwrap()
    }

    pub(crate) fn sign_text(&self, claims: &str) -> String {
        let header = ProtectedHeader::new(TXN_TOKEN_TYPE);
        jws::sign(&self.key, &header, claims.as_bytes()).unwrap()
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(TXN_TOKEN_TYPE, claims)
    }

    pub(crate) fn verify(&self, token: &str) -> Result<TxnToken, Error> {
        self.verifier.verify(token, &self.keys, now())
    }

    pub(crate) fn token(&self, claims: &Value) -> TxnToken {
        self.verify(&self.sign(claims)).unwrap()
    }

    pub(crate) fn refusal(&self, claims: &Value) -> &'static str {
        self.verify(&self.sign(claims)).unwrap_err().code()
    }

    pub(crate) fn issue(&self, request: &IssueRequest<'_>) -> TxnToken {
        let token = self.service.issue(request, now()).unwrap();
        self.verify(token.as_str()).unwrap()
    }

    pub(crate) fn replace(
        &self,
        token: &TxnToken,
        request: &ReplaceRequest,
    ) -> Result<TxnToken, Error> {
        let token = self.service.replace(token, request, now())?;
        self.verify(token.as_str())
    }
}

/// Claims with everything that is required.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": DOMAIN, "iat": NOW, "exp": NOW + 300, "txn": "t-1", "sub": "user-1",
        "scope": "pay read", "req_wl": id("gateway"),
    })
}

/// The same with further or other members; null removes one.
pub(crate) fn claims_with(more: Value) -> Value {
    let mut all = claims();
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        } else {
            all[name] = value.clone();
        }
    }
    all
}

pub(crate) fn request() -> IssueRequest<'static> {
    IssueRequest::new("user-1", scope("pay read"), id("gateway"))
}
