//! A token endpoint with client authentication by JWT-SVID and token exchange: nobody gets anything without permission, every
//! refusal is an error of OAuth, and what is granted is within the subject token.
//!
//! The input has three lines: the claims of the JWT-SVID, those of the subject token, and the form. Both tokens are signed as
//! they stand, and take the place of `SVID` and `SUBJECT` in the form.
#![no_main]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response, StatusCode};
use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::jwt::{Audience, ConfirmationRule, Issuer, Type, Validator};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, MemoryReplayGuard, SigningKey};
use libfuzzer_sys::fuzz_target;
use oauth_spiffe_client_auth::server::read_form;
use oauth_spiffe_client_auth::{ClientAuthenticator, RegisteredClient, TokenRequest};
use rustls_pki_types::UnixTime;
use serde_json::Value;
use spiffe_bundle::Bundle;
use spiffe_id::{SpiffeIdPattern, TrustDomain};
use token_exchange::service::Exchanged;
use token_exchange::*;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://as.example.org";
const AGENT: &str = "spiffe://example.org/agents/a";
const API: &str = "https://api.example.org/";
const FILES: &str = "https://files.example.org/";
const MAY: [&str; 2] = ["read", "write"];
const KNOWS: [&str; 3] = ["read", "write", "list"];

struct World {
    own: Arc<SigningKey>,
    authority: SigningKey,
    authenticator: ClientAuthenticator<Bundle>,
    clients: Vec<RegisteredClient>,
    service: ExchangeService,
    parts: Parts,
}

fn types() -> DetailTypes {
    DetailTypes::new([DetailType::new("files"), DetailType::new("payment")])
}

fn scopes(names: &[&str]) -> ScopeSet {
    names.iter().copied().collect()
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = |kid: &str| {
        let key = SigningKey::generate(&provider(), Algorithm::Es256).expect("a key");
        key.with_kid(kid)
    };
    let (own, authority) = (Arc::new(key("own")), key("authority"));
    let home = TrustDomain::parse("example.org").expect("a trust domain");
    let bundle = Bundle::builder(&provider(), home)
        .with_jwt_authority(&authority.public_jwk())
        .build()
        .expect("a bundle");
    let client = |id: &str, pattern: &str| {
        RegisteredClient::new(id, SpiffeIdPattern::parse(pattern).expect("a pattern"))
    };
    let reason = "the exchange ties the token to its actor";
    let access = Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::Exactly(ISSUER.to_owned()),
        Audience::NotApplicable { reason },
    )
    .with_confirmation(ConfirmationRule::Checked);
    let keys = Arc::new(own.verifying_key().expect("its public half"));
    let tokens = JwtTokens::new().with_issuer(ISSUER, access, keys, PartyKind::User);
    let [api, files] = [API, FILES].map(|text| ResourceIndicator::parse(text).expect("a resource"));
    let (subject, issued) = (TokenType::AccessToken, TokenType::AccessToken);
    let agents = Permissions::new(Party::new(AGENT), PartyKind::Workload, scopes(&MAY))
        .allow(&subject, &issued, &api);
    let service = ExchangeService::new(
        ISSUER,
        &provider(),
        ExchangePolicy::new(Duration::from_secs(300)),
        ResourceRegistry::new([
            ResourceServer::new(api, scopes(&KNOWS)).with_audience("api"),
            ResourceServer::new(files, scopes(&KNOWS)),
        ]),
    )
    .with_detail_types(types())
    .accept(&subject, Arc::new(tokens))
    .issue(&issued, Arc::new(JwtAccessTokens(Arc::clone(&own))))
    .expect("a writer")
    .permit("agents", agents);
    World {
        authenticator: ClientAuthenticator::new(ISSUER, bundle, provider()),
        clients: vec![
            client("agents", "spiffe://example.org/agents/*"),
            client("idle", "spiffe://example.org/idle"),
        ],
        own,
        authority,
        service,
        parts: Request::post("/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(())
            .expect("a request")
            .into_parts()
            .0,
    }
});

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(NOW))
}

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (Some(svid), Some(subject), Some(form)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    let Ok(form) = std::str::from_utf8(form) else {
        return;
    };
    let world = &*WORLD;
    let sign = |key: &SigningKey, typ, claims: &[u8]| {
        jws::sign(key, &ProtectedHeader::new(typ), claims).unwrap_or_default()
    };
    let body = form
        .replace("SVID", &sign(&world.authority, "JWT", svid))
        .replace("SUBJECT", &sign(&world.own, "at+jwt", subject));
    let body = body.as_bytes();
    let claims = |text| serde_json::from_slice::<Value>(text).unwrap_or_default();

    let pairs = match read_form(&world.parts, body) {
        Ok(pairs) => pairs,
        Err(error) => return refusal(&error.to_response(false)),
    };
    let request = TokenRequest::new(&world.parts, &pairs, &[]);
    let replay = MemoryReplayGuard::new(16);
    let authenticated = world
        .authenticator
        .authenticate(&request, &world.clients, &replay, now());
    let client = match authenticated {
        Ok(client) => client.client.client_id,
        Err(error) => {
            refusal(&world.authenticator.refuse(&request, &error, now()));
            exchange(body, &Caller::nobody(Transport::Tls)).expect_err("nobody authenticated");
            return;
        }
    };
    check_client(&claims(svid), &client);
    let known = AuthenticatedClient::new(client.as_str());
    let Ok(exchanged) = exchange(body, &Caller::client(&known, Transport::Tls)) else {
        return;
    };
    assert_eq!(client, "agents");
    check_grant(&claims(subject), &exchanged);
    let idle = AuthenticatedClient::new("idle");
    let refused = [
        exchange(body, &Caller::client(&idle, Transport::Tls)),
        exchange(body, &Caller::client(&known, Transport::Plain)),
        exchange(body, &Caller::public("agents", Transport::Tls)),
        exchange(body, &Caller::nobody(Transport::Tls)),
    ];
    assert!(refused.iter().all(Result::is_err));
});

/// The decision, whose refusal goes over the wire as OAuth has it.
fn exchange(body: &[u8], caller: &Caller<'_>) -> Result<Exchanged, Error> {
    let world = &*WORLD;
    let (result, record) = world.service.exchange(&world.parts, body, caller, now());
    assert_eq!(record.refused, result.as_ref().err().map(Error::code));
    match &result {
        Ok(exchanged) => {
            let response = exchanged.response.to_response();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
        Err(error) => refusal(&error.oauth_error().to_response()),
    }
    result
}

/// RFC 6749 section 5.2, with the further codes of RFC 8707 and RFC 9396. No request makes the server fail.
fn refusal(response: &Response<Vec<u8>>) {
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    let error = body["error"].as_str().expect("a code");
    let expected = match error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        "invalid_request"
        | "invalid_scope"
        | "invalid_target"
        | "invalid_authorization_details"
        | "unauthorized_client"
        | "unsupported_grant_type" => StatusCode::BAD_REQUEST,
        _ => panic!("no error of this endpoint: {error}"),
    };
    assert_eq!(response.status(), expected);
    let description = body["error_description"].as_str().expect("a description");
    let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    assert!(description.bytes().all(allowed));
    assert_eq!(response.headers()["cache-control"], "no-store");
}

/// Subject and issuer of each actor, the current one first.
fn actors(claims: &Value) -> Vec<(Value, Value)> {
    let mut list = Vec::new();
    let mut next = claims.get("act");
    while let Some(act) = next {
        list.push((act["sub"].clone(), act["iss"].clone()));
        next = act.get("act");
    }
    list
}

fn check_client(svid: &Value, client: &str) {
    let id = svid["sub"].as_str().expect("a subject");
    match client {
        "agents" => assert!(id.starts_with("spiffe://example.org/agents/")),
        _ => assert_eq!((client, id), ("idle", "spiffe://example.org/idle")),
    }
    assert!(svid["aud"] == ISSUER || svid["aud"] == serde_json::json!([ISSUER]));
    let exp = svid["exp"].as_f64().expect("an end");
    assert!(exp > NOW as f64 - 61.0 && exp < NOW as f64 + 3601.0);
}

/// By an ordinary reader of the subject token's claims.
fn check_grant(subject: &Value, exchanged: &Exchanged) {
    let issued = Value::Object(exchanged.claims.to_map());
    assert_eq!(
        (&issued["iss"], &issued["aud"]),
        (&ISSUER.into(), &"api".into())
    );
    assert_eq!(
        (&subject["iss"], &subject["sub"]),
        (&ISSUER.into(), &issued["sub"])
    );
    // Nothing is proven here, so nothing may be bound.
    assert!(subject.get("cnf").is_none() && issued.get("cnf").is_none());

    let words = |claims: &Value| -> BTreeSet<String> {
        let text = claims["scope"].as_str().expect("no scope gives nothing");
        text.split(' ').map(str::to_owned).collect()
    };
    let granted = words(&issued);
    assert!(!granted.is_empty() && granted.is_subset(&words(subject)));
    assert!(granted.iter().all(|scope| MAY.contains(&scope.as_str())));

    let end = |claims: &Value| claims["exp"].as_f64().expect("an end");
    assert!(end(&issued) > NOW as f64 && end(&issued) <= NOW as f64 + 300.0);
    assert!(end(&issued) <= end(subject));

    // The agent acts, for those who acted before.
    let mut expected = actors(subject);
    // An actor that is the current one already stays that.
    if expected.first().is_none_or(|current| current.0 != AGENT) {
        expected.insert(0, (AGENT.into(), Value::Null));
    }
    assert_eq!(actors(&issued), expected);
    let tied = |name: &str, to: &[&str]| {
        subject[name]
            .as_str()
            .is_some_and(|text| to.contains(&text))
    };
    let audience = match &subject["aud"] {
        Value::Array(several) => several.len() == 1 && several[0].as_str() == Some(AGENT),
        one => one.as_str() == Some(AGENT),
    };
    let names = ["agents", AGENT];
    let to_client = tied("client_id", &names) || tied("azp", &names);
    let called = subject["aud"] == "agents" || subject["aud"] == serde_json::json!(["agents"]);
    match subject.get("may_act") {
        Some(may_act) => assert_eq!(may_act["sub"], AGENT),
        None => assert!(audience || called || to_client),
    }

    let details = |claims: &Value| {
        let details = claims.get("authorization_details")?;
        Some(types().grant(details).expect("they were read before"))
    };
    match (details(subject), details(&issued)) {
        (_, None) => {}
        (None, Some(_)) => panic!("details out of nothing"),
        (Some(whole), Some(part)) => {
            let whole = Authority::unbounded().with_details(whole);
            assert!(Authority::unbounded().with_details(part).is_within(&whole));
        }
    }
}
