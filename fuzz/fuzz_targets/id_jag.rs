//! An accepted ID-JAG fulfils every rule, judged by an ordinary JSON reader, and gives no more than it has. A SAML name that
//! is read is written as it came.
#![no_main]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::Request;
use identity_chaining::id_jag::*;
use identity_chaining::*;
use jose_x509::dpop::{Htu, Verifier};
use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, MemoryReplayGuard, SigningKey};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use serde_json::{Value, json};
use token_exchange::{
    DetailType, DetailTypes, ResourceIndicator, ResourceRegistry, ResourceServer, ScopeSet,
};

const NOW: u64 = 1_800_000_000;
const IDP: &str = "https://idp.example";
const RAS: &str = "https://chat.example/";
const API: &str = "https://api.chat.example/";
const SCOPES: &str = "chat.read chat.history";

/// Every user has an account that says who it is.
struct Everybody;

impl Accounts for Everybody {
    fn by_subject(&self, key: &SubjectKey) -> Option<String> {
        assert_eq!(key.issuer, IDP);
        Some(format!("{}|{}", key.tenant.as_deref()?, key.subject))
    }
}

struct Setup {
    signer: SigningKey,
    service: IdJagRedemption,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let signer = SigningKey::generate(&provider(), Algorithm::Ed25519)
        .expect("a key")
        .with_kid("k");
    let scopes = ScopeSet::parse(SCOPES).expect("scopes");
    let api = ResourceIndicator::parse(API).expect("a URI");
    let types = DetailTypes::new([DetailType::new("chat").with_unrestricted_field("actions")]);
    let most = types.grant(&json!([{"type": "chat"}])).expect("details");
    let guard = Arc::new(MemoryReplayGuard::new(16));
    let endpoint = Htu::parse("https://chat.example/token").expect("a URL");
    let proofs = ProofCheck::new(Verifier::new(&provider()), endpoint, guard.clone());
    let keys = Arc::new(signer.verifying_key().expect("a key"));
    let issuer = TrustedIssuer::new(ServerUrl::parse(IDP).expect("a URL"), keys);
    let service = IdJagRedemption::new(
        ServerUrl::parse(RAS).expect("a URL"),
        Arc::new(Everybody),
        TokenEndpoint::new(
            ResourceRegistry::new([ResourceServer::new(api.clone(), scopes.clone())]),
            guard,
        )
        .with_default_resource(api),
        proofs,
    )
    .trust(
        TrustedIdp::new(issuer, scopes)
            .with_tenants()
            .with_details(most),
    )
    .expect("another issuer")
    .with_detail_types(types);
    Setup { signer, service }
});

fuzz_target!(|payload: &[u8]| {
    let setup = &*SETUP;
    if let Ok(Value::Object(members)) = serde_json::from_slice(payload) {
        let name = members.get("sub_id").and_then(Value::as_object);
        if let Ok(name) = SamlNameId::from_members(name.unwrap_or(&members)) {
            let value = name.to_value();
            let again = SamlNameId::from_members(value.as_object().expect("an object"));
            assert_eq!(again, Ok(name));
        }
    }
    let header = ProtectedHeader::new("oauth-id-jag+jwt");
    let Ok(grant) = jws::sign(&setup.signer, &header, payload) else {
        return;
    };
    let request = Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(())
        .expect("a request");
    let (parts, ()) = request.into_parts();
    let body = JwtBearerRequest::new(grant).to_form().into_bytes();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let client = Client::new("client", ClientMethod::MutualTls);
    let Ok(access) = setup.service.redeem(&parts, &body, Some(&client), now) else {
        return;
    };
    let claims: Value = serde_json::from_slice(payload).expect("accepted claims are JSON");
    assert_eq!(claims["iss"], IDP);
    assert!(claims["aud"] == RAS || claims["aud"] == json!([RAS]));
    assert_eq!(claims["client_id"], "client");
    assert!(claims["jti"].is_string() && claims["iat"].is_number());
    let text = |name: &str| claims[name].as_str().expect("a text");
    assert_eq!(
        access.subject,
        format!("{}|{}", text("tenant"), text("sub"))
    );
    let (exp, iat) = (claims["exp"].as_f64(), claims["iat"].as_f64());
    let (exp, iat) = (exp.expect("a number"), iat.expect("a number"));
    assert!(exp > NOW as f64 - 61.0 && exp > iat && exp - iat < 302.0);
    let words: BTreeSet<&str> = text("scope").split(' ').collect();
    assert!(!access.scope.is_empty());
    assert!(access.scope.iter().all(|scope| words.contains(scope)));
    assert!(
        access
            .scope
            .iter()
            .all(|scope| SCOPES.split(' ').any(|one| one == scope))
    );
    // No proof was sent, nobody may act for anybody, and the server has no tenants.
    for name in ["cnf", "act", "aud_tenant"] {
        assert!(claims.get(name).is_none(), "{name}");
    }
    assert!(access.confirmation.is_none() && access.actors.is_none());
    assert_eq!(
        access.authorization_details.is_some(),
        claims.get("authorization_details").is_some()
    );
    assert!(
        claims
            .get("sub_id")
            .is_none_or(|name| name["format"].is_string())
    );
});
