//! An accepted grant fulfils every rule, judged by an ordinary JSON reader, and gives no more than it has; so does one that
//! was made for a transaction token.
#![no_main]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::Request;
use http::request::Parts;
use identity_chaining::*;
use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, MemoryReplayGuard, SigningKey, VerifyingKey};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use serde_json::Value;
use token_exchange::{ResourceIndicator, ResourceRegistry, ResourceServer, ScopeSet};
use txn_token::chaining::{ChainGrant, ChainRedemption, ChainedSubjects, InboundAgreement};

const NOW: u64 = 1_800_000_000;
const A: &str = "https://as.a.example";
const B: &str = "https://as.b.example";
const B_TOKEN: &str = "https://as.b.example/token";
const API: &str = "https://api.b.example/";

struct Setup {
    signer: SigningKey,
    key: Arc<VerifyingKey>,
    api: ResourceIndicator,
    scopes: ScopeSet,
    a: ServerUrl,
    b: ServerUrl,
    b_token: ServerUrl,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let signer = SigningKey::generate(&provider(), Algorithm::Es256)
        .expect("a key")
        .with_kid("k");
    Setup {
        key: Arc::new(signer.verifying_key().expect("a key")),
        signer,
        api: ResourceIndicator::parse(API).expect("a URI"),
        scopes: ScopeSet::parse("read list").expect("scopes"),
        a: ServerUrl::parse(A).expect("a URL"),
        b: ServerUrl::parse(B).expect("a URL"),
        b_token: ServerUrl::parse(B_TOKEN).expect("a URL"),
    }
});

struct Everybody;

impl Subjects for Everybody {
    fn find(&self, grant: &AuthorizationGrant) -> Option<String> {
        Some(grant.subject().to_owned())
    }
}

impl ChainedSubjects for Everybody {
    fn find(&self, grant: &ChainGrant) -> Option<String> {
        Some(grant.subject().to_owned())
    }
}

fn request(assertion: &str) -> (Parts, Vec<u8>) {
    let request = Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(())
        .expect("a request");
    let body = JwtBearerRequest::new(assertion).to_form().into_bytes();
    (request.into_parts().0, body)
}

fn sign(typ: &'static str, payload: &[u8]) -> Option<String> {
    jws::sign(&SETUP.signer, &ProtectedHeader::new(typ), payload).ok()
}

/// What every accepted grant has.
fn check(claims: &Value, access: &AccessGrant, names: &[&str]) {
    assert_eq!(claims["iss"], A);
    assert_eq!(claims["sub"], access.subject.as_str());
    let aud = match &claims["aud"] {
        Value::Array(several) => {
            assert_eq!(several.len(), 1);
            several[0].clone()
        }
        one => one.clone(),
    };
    assert!(names.iter().any(|name| aud == *name));
    assert!(claims["jti"].is_string());
    let exp = claims["exp"].as_f64().expect("exp is a number");
    let iat = claims["iat"].as_f64().unwrap_or(NOW as f64);
    assert!(exp > NOW as f64 - 61.0 && exp - iat < 302.0 && exp < NOW as f64 + 362.0);
    assert!(
        claims
            .get("client_id")
            .is_none_or(|client| client == "client")
    );
    let words: BTreeSet<&str> = claims["scope"]
        .as_str()
        .expect("no scope gives nothing")
        .split(' ')
        .collect();
    assert!(!access.scope.is_empty() && access.scope.is_subset(&SETUP.scopes));
    assert!(access.scope.iter().all(|scope| words.contains(scope)));
    assert_eq!(access.audience, [API]);
    // Nothing is proven, so nothing may be bound.
    assert!(claims.get("cnf").is_none() && access.confirmation.is_none());
    assert!(access.claims.is_empty());
}

fuzz_target!(|payload: &[u8]| {
    let setup = &*SETUP;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let client = Client::new("client", ClientMethod::MutualTls);
    let registry =
        || ResourceRegistry::new([ResourceServer::new(setup.api.clone(), setup.scopes.clone())]);
    let endpoint = || {
        TokenEndpoint::new(registry(), Arc::new(MemoryReplayGuard::new(16)))
            .with_default_resource(setup.api.clone())
    };

    if let Some(grant) = sign("authorization-grant+jwt", payload) {
        let trusted = TrustedIssuer::new(setup.a.clone(), setup.key.clone());
        let verifier = GrantVerifier::new(&setup.b, &setup.b_token).trust(trusted);
        let service = RedemptionService::new(verifier, Arc::new(Everybody), endpoint())
            .with_terms(A, IssuerTerms::new(setup.scopes.clone()));
        let (parts, body) = request(&grant);
        if let Ok(access) = service.redeem(&parts, &body, Some(&client), now) {
            let claims: Value = serde_json::from_slice(payload).expect("accepted claims are JSON");
            check(&claims, &access, &[B, B_TOKEN]);
            assert!(service.redeem(&parts, &body, Some(&client), now).is_err());
        }
    }
    if let Some(grant) = sign("txn-chain+jwt", payload) {
        let terms = InboundAgreement::new(
            setup.a.clone(),
            setup.key.clone(),
            setup.scopes.clone(),
            u64::MAX,
        )
        .with_claim("scope");
        let service = ChainRedemption::new(&setup.b, Arc::new(Everybody), endpoint()).trust(terms);
        let (parts, body) = request(&grant);
        if let Ok(chained) = service.redeem(&parts, &body, Some(&client), now) {
            let claims: Value = serde_json::from_slice(payload).expect("accepted claims are JSON");
            check(&claims, &chained.access, &[B]);
            assert!(claims["aud"].is_string() && claims["iat"].is_number());
            assert!(chained.grant.claims().keys().all(|name| name == "scope"));
            assert_eq!(claims.get("txn").and_then(Value::as_str), chained.txn());
            assert!(service.redeem(&parts, &body, Some(&client), now).is_err());
        }
    }
});
