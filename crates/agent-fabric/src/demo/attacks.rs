//! What an attacker tries, and the error that refuses it.

use std::time::Duration;

use cimd::ClientIdUrl;
use http::{HeaderMap, HeaderValue, Request, header};
use jose_x509::{Algorithm, CryptoProvider, SigningKey, base64url};
use serde_json::json;
use spiffe_id::{SpiffeId, TrustDomain};
use ssf_set::caep::{Common, SessionRevoked};
use ssf_set::{Event as SignalEvent, SetRequest, SubjectIdentifier};
use ssf_stream::transmitter::Peers;
use svid::x509::{CertificateAuthority, PeerRole, VerifyOptions};
use wimse::WptBuilder;
use wimse::wit::WORKLOAD_IDENTITY_TOKEN;

use super::agent::{
    HandOver, Shown, ToolCall, call_gateway, call_tool, forge, get_delegation, hand_over, read,
};
use super::report::Report;
use super::story::Story;
use super::world::{
    Failure, GATEWAY, PARTNER, SIGNALS, TRUST_DOMAIN, USER, Workload, World, audience,
};
use crate::audit;
use crate::gateway::DELEGATION_TOKEN;
use crate::net;
use crate::signals::Transmitter;

pub(super) async fn play(world: &World, story: &Story, report: &mut Report) -> Result<(), Failure> {
    report.title("Attacks, each with the error that refused it");
    identities(world, story, report).await?;
    proofs(world, story, report).await?;
    delegations(world, story, report).await?;
    documents(world, report).await?;
    signals(world, story, report).await?;
    let lines =
        world
            .audit
            .to_lines()
            .replacen("\"decision\":\"refused\"", "\"decision\":\"allowed\"", 1);
    let read = audit::read_verified(&world.provider, &lines).map(drop);
    report.attack(
        "an audit record altered",
        "audit_record_altered",
        read.map_err(|error| error.code().to_owned()),
    );
    Ok(())
}

/// The code of a refusal that a server gave.
fn code<T>(result: Result<T, Failure>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

/// The code that the broker wrote into the log, which it does not tell the client.
fn logged<T>(world: &World, component: &str, result: Result<T, Failure>) -> Result<(), String> {
    result.map(drop).map_err(|_| {
        let records = world.audit.records();
        let last = records
            .iter()
            .rev()
            .find(|record| record.event.component == component);
        last.and_then(|record| record.event.reason.clone())
            .unwrap_or_default()
    })
}

/// A call at the gateway with fields of the attacker's making, and no certificate.
async fn raw_call(world: &World, fields: &[(&str, &str)]) -> Result<String, Failure> {
    let body = json!({"tool": "refund", "intent": "attack"})
        .to_string()
        .into_bytes();
    let mut request = Request::post(format!("{GATEWAY}/call")).body(body)?;
    let headers: &mut HeaderMap = request.headers_mut();
    for (name, value) in fields {
        headers.append(
            http::HeaderName::from_bytes(name.as_bytes())?,
            HeaderValue::from_str(value)?,
        );
    }
    let response = world
        .towards_anonymously(&world.gateway.id)?
        .send(request)
        .await?;
    Ok(read(&response, "endpoint")?)
}

async fn identities(world: &World, story: &Story, report: &mut Report) -> Result<(), Failure> {
    let (home, now) = (&world.home, net::now());
    let agent = &story.reports.id;
    let gateway = world.gateway.id.as_str();
    let bearer = |token: &str| format!("Bearer {token}");
    let field = header::AUTHORIZATION;

    let svid = home.jwt_svid(agent, "spiffe://enterprise.example/somebody-else", now)?;
    let result = raw_call(world, &[(field.as_str(), &bearer(&svid))]).await;
    report.attack(
        "a JWT-SVID for another audience",
        "audience_mismatch",
        code(result),
    );

    for (name, subject, key) in [
        (
            "an SVID of the partner, signed by our own CA key",
            PARTNER,
            &world.home_ca_key,
        ),
        (
            "an SVID of ours, signed by the partner's CA key",
            TRUST_DOMAIN,
            &world.partner_ca_key,
        ),
    ] {
        let trust_domain = TrustDomain::parse(subject)?;
        let authority = CertificateAuthority::self_signed(
            &trust_domain,
            key.clone(),
            Duration::from_secs(3600),
            now,
        )?;
        let key = SigningKey::generate(&world.provider, Algorithm::Es256)?;
        let id = SpiffeId::parse(&format!("spiffe://{subject}/agents/advisor/payments"))?;
        let leaf =
            authority.issue_leaf(&id, key.public_key(), &[], Duration::from_secs(600), now)?;
        let options = VerifyOptions::new(PeerRole::Client);
        let algorithms = world.provider.certificate_algorithms;
        let verified = svid::x509::verify(&[leaf], &world.bundles, &options, algorithms, now);
        report.attack(
            name,
            "unknown_issuer",
            verified.map(drop).map_err(|error| error.code().to_owned()),
        );
    }

    let claims = json!({"sub": agent.as_str(), "aud": gateway, "exp": now.as_secs() + 300});
    let unsigned = |alg: &str| {
        let header = json!({"alg": alg, "typ": "JWT"}).to_string();
        format!(
            "{}.{}",
            base64url::encode(header.as_bytes()),
            base64url::encode(claims.to_string().as_bytes())
        )
    };
    let none = format!("{}.AAAA", unsigned("none"));
    let result = raw_call(world, &[(field.as_str(), &bearer(&none))]).await;
    report.attack("alg: none", "unsupported_algorithm", code(result));

    let input = unsigned("HS256");
    let public = world.home_ca_key.public_key().to_spki_der()?;
    let mac = hmac_sha256(&world.provider, &public, input.as_bytes());
    let hs256 = format!("{input}.{}", base64url::encode(&mac));
    let result = raw_call(world, &[(field.as_str(), &bearer(&hs256))]).await;
    report.attack(
        "HS256 with a public key as the secret",
        "unsupported_algorithm",
        code(result),
    );

    let key = SigningKey::generate(&world.provider, Algorithm::Es256)?;
    let wit = home.wit_svid(agent, &key.public_jwk(), now)?;
    let result = raw_call(world, &[(field.as_str(), &bearer(&wit))]).await;
    report.attack(
        "a WIT-SVID where a JWT-SVID is expected",
        "wrong_type",
        code(result),
    );
    Ok(())
}

async fn proofs(world: &World, story: &Story, report: &mut Report) -> Result<(), Failure> {
    let now = net::now();
    let key = SigningKey::generate(&world.provider, Algorithm::Es256)?;
    let wit = world
        .home
        .wit_svid(&story.reports.id, &key.public_jwk(), now)?;
    let result = raw_call(world, &[(WORKLOAD_IDENTITY_TOKEN, &wit)]).await;
    report.attack("a WIT without proof", "not_wpt_scheme", code(result));

    let url = format!("{GATEWAY}/call");
    let token = story.access_token.as_str();
    let proof = WptBuilder::new(&wit, &url)
        .with_other_token(DELEGATION_TOKEN, token)
        .sign(&key, &world.provider, now)?;
    let proof = format!("WPT {proof}");
    let fields = [
        (WORKLOAD_IDENTITY_TOKEN, wit.as_str()),
        ("authorization", &proof),
        ("delegation-token", token),
    ];
    // The first time it counts: the user's session is revoked meanwhile, so the broker refuses, not the gateway.
    let first = code(raw_call(world, &fields).await);
    if first != Err("invalid_request".to_owned()) {
        report.failure(format!(
            "the first use of a proof was not refused by the broker, but: {first:?}"
        ));
    }
    report.attack(
        "a WPT played twice",
        "replayed",
        code(raw_call(world, &fields).await),
    );
    Ok(())
}

async fn delegations(world: &World, story: &Story, report: &mut Report) -> Result<(), Failure> {
    let (reports, research, search) = (&story.reports, &story.research, &story.search);
    let call = |tool, scope, delegation| ToolCall {
        tool,
        scope,
        delegation,
    };
    let gateway = async |agent: &Workload, call: ToolCall<'_>| {
        call_gateway(world, agent, Shown::X509, &call).await
    };

    let result = gateway(research, call("web-search", None, &story.txn_token)).await;
    report.attack(
        "a transaction token as an access token",
        "wrong_type",
        logged(world, "broker", result),
    );
    let endpoint = "https://search.enterprise.example/search";
    let result = call_tool(
        world,
        research,
        &world.search_tool.id,
        endpoint,
        &story.access_token,
        "none",
    )
    .await;
    report.attack(
        "an access token as a transaction token",
        "wrong_type",
        code(result),
    );

    // The user logs in again, in a later second than the revocation, and delegates anew.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let delegation = get_delegation(world, research, "docs.read web.search", None).await?;
    let result = gateway(
        research,
        call("web-search", Some("web.search payroll.write"), &delegation),
    )
    .await;
    report.attack(
        "a scope that widens at exchange",
        "invalid_scope",
        logged(world, "broker", result),
    );

    let (_, own) = gateway(research, call("web-search", None, &delegation)).await?;
    let broker = world.web_with_svid(research)?;
    let next = HandOver {
        to: &search.id,
        scope: "web.search",
        outcome: None,
    };
    let handed = hand_over(&broker, &research.id, &own, &next).await?;
    let result = call_tool(
        world,
        search,
        &world.search_tool.id,
        endpoint,
        &without_chain(&handed)?,
        "none",
    )
    .await;
    report.attack(
        "an actor dropped from the chain",
        "invalid_signature",
        code(result),
    );
    let next = HandOver {
        to: &search.id,
        scope: "web.search",
        outcome: None,
    };
    let thief = world.web_with_svid(reports)?;
    let result = hand_over(&thief, &reports.id, &own, &next).await;
    report.attack(
        "a transaction handed over by somebody who is not its actor",
        "not_the_actor",
        logged(world, "broker", result),
    );
    let result = call_tool(
        world,
        reports,
        &world.search_tool.id,
        endpoint,
        &own,
        "none",
    )
    .await;
    report.attack(
        "a stolen transaction token",
        "caller_mismatch",
        code(result),
    );

    let result = gateway(reports, call("payroll", None, &delegation)).await;
    report.attack(
        "a tool outside the namespace bounds",
        "outside_namespace_bounds",
        code(result),
    );
    let result = gateway(reports, call("refund", None, &delegation)).await;
    report.attack(
        "another agent's delegation",
        "may_act_mismatch",
        logged(world, "broker", result),
    );
    Ok(())
}

/// The same token without `act_chain`, under the old signature.
fn without_chain(token: &str) -> Result<String, Failure> {
    let mut segments = token.split('.');
    let (Some(header), Some(payload), Some(signature)) =
        (segments.next(), segments.next(), segments.next())
    else {
        return Err("not a token".into());
    };
    let mut claims: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&base64url::decode(payload, "payload")?)?;
    claims.remove("act_chain").ok_or("the token has no chain")?;
    let payload = base64url::encode(&serde_json::to_vec(&claims)?);
    Ok(format!("{header}.{payload}.{signature}"))
}

async fn documents(world: &World, report: &mut Report) -> Result<(), Failure> {
    let fetch = async |url: &str| {
        let url = ClientIdUrl::parse(url).map_err(|error| error.code().to_owned())?;
        world
            .documents
            .fetch(&url, net::now())
            .await
            .map(drop)
            .map_err(|error| error.code().to_owned())
    };
    let private = fetch("https://internal.evil.example/client.json").await;
    report.attack(
        "a metadata document at a private address",
        "address_refused",
        private,
    );
    let other = fetch(&world.client_id.replace("agents.json", "wrong-id.json")).await;
    report.attack(
        "a metadata document whose client_id is not its URL",
        "client_id_mismatch",
        other,
    );
    Ok(())
}

async fn signals(world: &World, story: &Story, report: &mut Report) -> Result<(), Failure> {
    let gateway = world.towards_anonymously(&world.gateway.id)?;
    let url = format!("{GATEWAY}/signals");
    let key = SigningKey::generate(&world.provider, Algorithm::Es256)?.with_thumbprint_kid();
    let log = std::sync::Arc::clone(&world.audit);
    let name = "https://signals.evil.example";
    let evil = Transmitter::new(name, key, Peers::new(), log, world.provider)?;
    let event =
        || SignalEvent::SessionRevoked(SessionRevoked::new(Common::at(net::now().as_secs())));
    let subject = SubjectIdentifier::email(USER)?;
    let request = SetRequest::new(audience("gateway"), subject.clone(), event());
    let set = evil.sign(&request, net::now())?;
    let response = gateway.send(evil.push_request(&set, &url)?).await?;
    let refused = read(&response, "none")
        .map(drop)
        .map_err(|_| last_reason(world));
    report.attack("a SET with the wrong issuer", "issuer_mismatch", refused);

    // The same name, another key: what an attacker without the transmitter's key has left.
    let key = SigningKey::generate(&world.provider, Algorithm::Es256)?.with_thumbprint_kid();
    let claims = json!({"iss": SIGNALS, "aud": audience("gateway"), "jti": "x", "iat": net::now().as_secs()});
    let mut set = set;
    set.compact = forge(&key, "secevent+jwt", &claims)?;
    let response = gateway.send(evil.push_request(&set, &url)?).await?;
    let refused = read(&response, "none")
        .map(drop)
        .map_err(|_| last_reason(world));
    report.attack(
        "a SET under the transmitter's name with another key",
        "unknown_key",
        refused,
    );

    // Nobody takes events out of the stream of another: without an SVID there is no stream at all.
    let poll = Request::post(&world.polled).header(header::CONTENT_TYPE, "application/json");
    let response = world
        .web()?
        .send(poll.body(b"{\"returnImmediately\":true}".to_vec())?)
        .await?;
    let refused = code(read(&response, "sets").map_err(Into::into));
    report.attack(
        "polling without being the receiver",
        "unauthorized",
        refused,
    );

    // A repetition is answered like the first delivery, and is not acted upon.
    let nobody = SubjectIdentifier::email("nobody@enterprise.example")?;
    let request = SetRequest::new(audience("gateway"), nobody, event());
    let set = world.transmitter.sign(&request, net::now())?;
    let once = world.transmitter.push_request(&set, &url)?;
    if gateway.send(once).await?.status() != 202 {
        report.failure("the first delivery of a SET was refused");
    }
    let before = world.audit.records().len();
    let twice = world.transmitter.push_request(&set, &url)?;
    let response = gateway.send(twice).await?;
    let acted = world
        .audit
        .records()
        .iter()
        .skip(before)
        .any(|record| record.event.action == "signal.applied");
    let repeated = if response.status() == 202 && !acted {
        Err(last_reason(world))
    } else {
        Ok(())
    };
    report.attack("a SET delivered twice", "replayed", repeated);

    // A SET has a good signature of a trusted party, and is no credential.
    let subject = SubjectIdentifier::uri(story.reports.id.as_str())?;
    let request = SetRequest::new(world.gateway.id.as_str(), subject, event());
    let set = world.transmitter.sign(&request, net::now())?;
    let bearer = format!("Bearer {}", set.compact);
    let result = raw_call(world, &[(header::AUTHORIZATION.as_str(), &bearer)]).await;
    report.attack("a SET as a bearer token", "invalid_token", code(result));
    Ok(())
}

/// What the gateway wrote into the log about the last signal.
fn last_reason(world: &World) -> String {
    let records = world.audit.records();
    let last = records
        .iter()
        .rev()
        .find(|record| record.event.component == "gateway");
    last.and_then(|record| record.event.reason.clone())
        .unwrap_or_default()
}

/// HMAC (RFC 2104), which no library of ours offers: only an attacker needs it here.
fn hmac_sha256(provider: &CryptoProvider, key: &[u8], message: &[u8]) -> [u8; 32] {
    let key = if key.len() > 64 {
        provider.sha256(key).to_vec()
    } else {
        key.to_vec()
    };
    let pad = |with: u8| -> Vec<u8> {
        let mut block: Vec<u8> = key.iter().map(|byte| byte ^ with).collect();
        block.resize(64, with);
        block
    };
    let inner = provider.sha256(&[pad(0x36), message.to_vec()].concat());
    provider.sha256(&[pad(0x5c), inner.to_vec()].concat())
}
