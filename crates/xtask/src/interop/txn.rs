//! Transaction tokens and chaining grants: JOSE libraries judge ours as JWTs of their type, and ours judge what they sign.

use anyhow::{Context as _, Result, bail};
use identity_chaining::grant::{AUTHORIZATION_GRANT_TYPE, ID_JAG_TYPE, TXN_CHAIN_TYPE};
use identity_chaining::id_jag::IdJagClaims;
use identity_chaining::{
    Client, ClientMethod, GrantIssuer, GrantProfile, NewGrant, ServerUrl, TrustedIssuer,
};
use jose_x509::jws::{self, ProtectedHeader, UnverifiedJws};
use jose_x509::{Algorithm, Jwk, SigningKey, VerifyingKey};
use pki_types::UnixTime;
use serde_json::{Map, Value, json};
use token_exchange::{Party, ScopeSet};
use txn_token::{
    Actor, AgenticContext, Context as TxnContext, Evidence, IssueRequest, LineageProfile, Outcome,
    ReplaceRequest, TXN_TOKEN_TYPE, TxnToken, TxnTokenIssuer, TxnTokenVerifier,
};

use super::Context;
use super::peers::Peer;
use super::report::{Direction, Report};
use super::svid::{PROVIDER, now};
use super::tokens::{answers, flip, text, unsupported, verdict};

const DOMAIN: &str = "interop.example";
const TTS: &str = "https://tts.interop.example";
/// The authorization servers of the two domains.
const OWN: &str = "https://as.interop.example";
const OTHER: &str = "https://as.other.example";
/// Libraries that judge JWTs, and not only signatures.
const PEERS: [&str; 2] = ["jose (npm)", "joserfc"];
const ALGORITHMS: [Algorithm; 5] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
    Algorithm::Rs256,
    Algorithm::Ps256,
];

/// One shape of token: what it is, its type, issuer and audience, and one that we have made.
struct Shape {
    name: &'static str,
    typ: &'static str,
    issuer: &'static str,
    audience: &'static str,
    token: String,
    claims: Value,
}

pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    let key = SigningKey::generate(&PROVIDER, Algorithm::Es256)?.with_kid("ours");
    let now = now()?;
    let shapes = shapes(&key, now)?;
    for peer in &context.peers {
        if PEERS.contains(&peer.name) {
            ours(peer, &key, &shapes, now, report)?;
            theirs(peer, &shapes, now, report)?;
        }
    }
    Ok(())
}

/// Every shape, by our own issuers.
fn shapes(key: &SigningKey, now: UnixTime) -> Result<Vec<Shape>> {
    let mut shapes = Vec::new();
    let mut add = |name, token: &str| {
        shapes.push(Shape {
            name,
            typ: TXN_TOKEN_TYPE,
            issuer: TTS,
            audience: DOMAIN,
            token: token.to_owned(),
            claims: claims(token)?,
        });
        Ok::<_, anyhow::Error>(())
    };
    let service = || {
        TxnTokenIssuer::new(key.clone(), DOMAIN, &PROVIDER).map(|issuer| issuer.with_issuer(TTS))
    };
    let keys = key.verifying_key()?;
    let verify = |token: &str| verifier().verify(token, &keys, now);

    let plain = service()?.issue(&request()?, now)?;
    add("transaction token", plain.as_str())?;
    let mut wanted = request()?;
    wanted.act = Some(agent("planner").with_version("1.21").with_deployment("eu"));
    let mut limits = AgenticContext::new();
    limits.agent_type = Some("planner".to_owned());
    limits.intent = Some("remboursement d'été: 84729".to_owned());
    limits.allowed_actions = Some(["refund".to_owned()].into());
    limits.authorization_details = Some(json!([{"type": "refund", "actions": ["create"]}]));
    limits.environment_constraints = [("region".to_owned(), "us-east".to_owned())].into();
    wanted.agentic_context = Some(limits);
    let agentic = service()?.issue(&wanted, now)?;
    add("agentic token", agentic.as_str())?;
    let mut token = agentic;
    for (next, outcome) in [("checks/fraud", None), ("payer", Some(Outcome::Ok))] {
        let old = verify(token.as_str())?;
        let current = old.acting_workload().unwrap_or_default().to_owned();
        let mut replace = ReplaceRequest::new(current);
        replace.actor = Some(agent(next));
        replace.outcome = outcome;
        token = service()?.replace(&old, &replace, now)?;
    }
    add("agentic token after two hand-overs", token.as_str())?;

    let service = || service().map(|own| own.with_lineage(LineageProfile::PosturedLineage));
    let posture = |name: &str| {
        let evidence = Evidence::internal(&workload(name))?.on_node("node-7");
        Ok::<_, anyhow::Error>(evidence.into_posture())
    };
    let mut wanted = request()?;
    wanted.act = Some(agent("planner"));
    wanted.posture = Some(posture("planner")?);
    let single = service()?.issue(&wanted, now)?;
    add("agentic token with a posture", single.as_str())?;
    let mut replace = ReplaceRequest::new(workload("gateway"));
    replace.delegatee = Some(posture("payer")?);
    let multi = service()?.replace(&verify(single.as_str())?, &replace, now)?;
    add("agentic token of two agents", multi.as_str())?;

    for (name, grant) in grants()? {
        let issuer = GrantIssuer::new(key.clone(), url(OWN)?, &PROVIDER)?;
        let token = issuer.issue(&grant, now)?.as_str().to_owned();
        shapes.push(Shape {
            name,
            typ: grant.typ,
            issuer: OWN,
            audience: OTHER,
            claims: claims(&token)?,
            token,
        });
    }
    Ok(shapes)
}

fn grants() -> Result<[(&'static str, NewGrant); 3]> {
    let members = |value: Value| match value {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let mut plain = NewGrant::new(AUTHORIZATION_GRANT_TYPE, "user-7@interop.example", OTHER);
    plain.scope = Some(ScopeSet::parse("mail.read mail.write")?);
    plain.client_id = Some("gateway-at-other".to_owned());
    let mut jag = NewGrant::new(ID_JAG_TYPE, "00u1abc", OTHER);
    jag.scope = Some(ScopeSet::parse("chat.read")?);
    jag.client_id = Some("wiki-at-other".to_owned());
    jag.claims = members(json!({
        "email": "sophie@interop.example", "email_verified": true, "amr": ["pwd", "otp"],
        "sub_id": {"format": "account", "uri": "acct:sophie@interop.example"},
    }));
    let mut txn = NewGrant::new(TXN_CHAIN_TYPE, "mail-gateway@interop.example", OTHER);
    txn.scope = Some(ScopeSet::parse("spam.rating.read")?);
    txn.claims = members(json!({
        "txn": "a9b2c3d4-e5f6-7890-abcd-ef1234567890", "txn_claims": {"scope": "mail-delivery"},
    }));
    Ok([
        ("JWT authorization grant", plain),
        ("ID-JAG", jag),
        ("grant for a transaction", txn),
    ])
}

fn workload(name: &str) -> String {
    format!("spiffe://{DOMAIN}/agents/{name}")
}

fn agent(name: &str) -> Actor {
    Actor::new(Party::new(workload(name)))
}

fn url(text: &str) -> Result<ServerUrl> {
    Ok(ServerUrl::parse(text)?)
}

fn request() -> Result<IssueRequest<'static>> {
    let scope = ScopeSet::parse("refund.write payment.read")?;
    let mut request = IssueRequest::new("user-4821", scope, workload("gateway"));
    request.transaction_context = TxnContext::parse(r#"{"amount":1.50,"order":"84729"}"#)?;
    request.request_context = TxnContext::parse(r#"{"req_ip":"192.0.2.7"}"#)?;
    Ok(request)
}

fn verifier() -> TxnTokenVerifier {
    TxnTokenVerifier::new(DOMAIN, TTS)
        .with_lineages([LineageProfile::ActChain, LineageProfile::PosturedLineage])
}

fn claims(token: &str) -> Result<Value> {
    let jws = UnverifiedJws::parse(token)?;
    Ok(serde_json::from_slice(jws.unverified_payload())?)
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut changed = claims.clone();
    if let Some(members) = changed.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    changed
}

/// What is wrong in one way each, beside a change of the token's text: the type, the audience, the issuer, the time.
fn wrong(shape: &Shape, now: UnixTime) -> [(&'static str, &'static str, Value); 4] {
    let past = now.as_secs() - 1000;
    let stranger = "https://stranger.example";
    let late = with(
        &with(&shape.claims, "iat", past.into()),
        "exp",
        (past + 60).into(),
    );
    [
        ("another type", "JWT", shape.claims.clone()),
        (
            "another audience",
            shape.typ,
            with(&shape.claims, "aud", stranger.into()),
        ),
        (
            "another issuer",
            shape.typ,
            with(&shape.claims, "iss", stranger.into()),
        ),
        ("an expired token", shape.typ, late),
    ]
}

/// Our tokens, judged by the peer under the rules of their type.
fn ours(
    peer: &Peer,
    key: &SigningKey,
    shapes: &[Shape],
    now: UnixTime,
    report: &mut Report,
) -> Result<()> {
    let mut jobs = Vec::new();
    for shape in shapes {
        let mut tokens = vec![
            shape.token.clone(),
            flip(&shape.token, 1)?,
            flip(&shape.token, 2)?,
        ];
        for (_, typ, claims) in wrong(shape, now) {
            let header = ProtectedHeader::new(typ);
            tokens.push(jws::sign(key, &header, claims.to_string().as_bytes())?);
        }
        jobs.push(json!({
            "alg": "ES256", "jwk": key.public_jwk(), "typ": shape.typ, "issuer": shape.issuer,
            "audience": shape.audience, "now": now.as_secs(), "tokens": tokens,
        }));
    }
    let verdicts = peer.check(&json!({"jwt": jobs}))?;
    for (shape, verdicts) in shapes.iter().zip(answers(&verdicts, "jwt", jobs.len())?) {
        report.exchange(shape.name, peer.name, Direction::Ours, |tally| {
            let verdicts = verdicts.as_array().context("no verdicts")?;
            let (good, bad) = verdicts.split_first().context("no verdict")?;
            let found = verdict(good).map_err(anyhow::Error::msg)?;
            let found = serde_json::from_str::<Value>(&found);
            tally.accepts("token", found, &shape.claims)?;
            for (number, answer) in bad.iter().enumerate() {
                tally.refuses(&format!("wrong token {}", number + 1), &verdict(answer))?;
            }
            Ok(())
        });
    }
    Ok(())
}

/// The same claims, signed by the peer, and judged by us.
fn theirs(peer: &Peer, shapes: &[Shape], now: UnixTime, report: &mut Report) -> Result<()> {
    let all = || {
        shapes
            .iter()
            .flat_map(|shape| ALGORITHMS.map(|algorithm| (shape, algorithm)))
    };
    let mut jobs = Vec::new();
    for (shape, algorithm) in all() {
        let mut job = |typ, claims: &Value| {
            let header = json!({"kid": "theirs", "typ": typ});
            let payload = claims.to_string();
            jobs.push(json!({"alg": algorithm.name(), "header": header, "payload": payload}));
        };
        job(shape.typ, &shape.claims);
        for (_, typ, claims) in wrong(shape, now) {
            job(typ, &claims);
        }
    }
    let made = peer.make(&json!({"jws": jobs}))?;
    let made = answers(&made, "jws", jobs.len())?;
    for ((shape, algorithm), made) in all().zip(made.chunks(5)) {
        let subject = format!("{} {algorithm}", shape.name);
        let [good, bad @ ..] = made else {
            bail!("the peer answered nothing");
        };
        if let Some(why) = unsupported(good) {
            report.not_there(&subject, peer.name, why);
            continue;
        }
        report.exchange(&subject, peer.name, Direction::Theirs, |tally| {
            let token = text(good, "token")?;
            let own = key_of(good, algorithm)?;
            tally.accepts("token", judge(shape, token, &own, now), &shape.claims)?;
            for (what, segment) in [("changed claims", 1), ("changed signature", 2)] {
                tally.refuses(what, &judge(shape, &flip(token, segment)?, &own, now))?;
            }
            for ((what, _, _), made) in wrong(shape, now).into_iter().zip(bad) {
                let own = key_of(made, algorithm)?;
                tally.refuses(what, &judge(shape, text(made, "token")?, &own, now))?;
            }
            let stranger = SigningKey::generate(&PROVIDER, Algorithm::Es256)?.with_kid("theirs");
            let stranger = stranger.verifying_key()?;
            tally.refuses("another key", &judge(shape, token, &stranger, now))
        });
    }
    Ok(())
}

fn key_of(made: &Value, algorithm: Algorithm) -> Result<VerifyingKey> {
    let jwk = made.get("jwk").context("no jwk")?.to_string();
    let jwk = Jwk::from_slice(jwk.as_bytes())?
        .with_algorithm(algorithm)?
        .with_kid("theirs");
    Ok(VerifyingKey::from_jwk(&PROVIDER, jwk)?)
}

/// What we read in a token that we accept.
fn judge(shape: &Shape, token: &str, key: &VerifyingKey, now: UnixTime) -> Result<Value> {
    if shape.typ == TXN_TOKEN_TYPE {
        let token = verifier().verify(token, key, now)?;
        return Ok(read_token(&shape.claims, &token));
    }
    let types: &'static [&'static str] = match shape.typ {
        ID_JAG_TYPE => &[ID_JAG_TYPE],
        TXN_CHAIN_TYPE => &[TXN_CHAIN_TYPE],
        _ => &[AUTHORIZATION_GRANT_TYPE],
    };
    let own_client = shape.claims.get("client_id").and_then(Value::as_str);
    let client = Client::new(own_client.unwrap_or("somebody"), ClientMethod::MutualTls);
    let trusted = TrustedIssuer::new(url(OWN)?, std::sync::Arc::new(key.clone()))
        .with_algorithms(jose_x509::Algorithms::ALL);
    let profile = GrantProfile::new(types, &url(OTHER)?, &["jti"]);
    let known = |issuer: &str| (issuer == OWN).then_some(&trusted);
    let grant = profile.verify(token, known, &client, now)?;
    let grant = grant.unspent();
    let mut read = Value::Object(grant.claims().clone());
    for (name, value) in [
        ("iss", Some(grant.issuer())),
        ("sub", Some(grant.subject())),
        ("jti", grant.id()),
        ("client_id", grant.client_id()),
    ] {
        if let Some(value) = value {
            read = with(&read, name, value.into());
        }
    }
    if let Some(scope) = grant.scope() {
        read = with(&read, "scope", scope.to_string().into());
    }
    if shape.typ == ID_JAG_TYPE {
        let claims = IdJagClaims::read(grant)?;
        read = with(&read, "amr", claims.amr.into());
        read = with(&read, "email_verified", claims.email_verified.into());
        if let Some(email) = claims.email {
            read = with(&read, "email", email.into());
        }
    }
    Ok(read)
}

/// The claims as the accessors tell them, where there are such, and the others as they stand.
fn read_token(expected: &Value, token: &TxnToken) -> Value {
    let mut read = Map::new();
    for name in expected.as_object().into_iter().flat_map(Map::keys) {
        let actor = |actor: &Actor| {
            let mut members = json!({"sub": actor.party().subject()});
            for (name, text) in [
                ("version", actor.version()),
                ("deployment", actor.deployment()),
            ] {
                if let Some(text) = text {
                    members = with(&members, name, text.into());
                }
            }
            members
        };
        let value = match name.as_str() {
            "txn" => Some(token.txn().into()),
            "sub" => Some(token.subject().into()),
            "aud" => Some(token.trust_domain().into()),
            "iss" => token.issuer().map(Value::from),
            "scope" => Some(token.scope().to_string().into()),
            "req_wl" => Some(token.requesting_workload().into()),
            "req_wl_chain" => Some(token.earlier_requesting_workloads().into()),
            "iat" => Some(token.issued_at().into()),
            "exp" => Some(token.expires().into()),
            "tctx" => serde_json::to_value(token.transaction_context()).ok(),
            "rctx" => serde_json::to_value(token.request_context()).ok(),
            "act" => token.actor().map(actor),
            "act_chain" => {
                let links = token.act_chain().iter().map(|link| {
                    let mut members = actor(link.actor());
                    if let Some(iat) = link.issued_at() {
                        members = with(&members, "iat", iat.into());
                    }
                    if let Some(outcome) = link.outcome() {
                        members = with(&members, "outcome", outcome.as_str().into());
                    }
                    members
                });
                Some(links.collect())
            }
            other => token.claim(other),
        };
        if let Some(value) = value {
            read.insert(name.clone(), value);
        }
    }
    Value::Object(read)
}
