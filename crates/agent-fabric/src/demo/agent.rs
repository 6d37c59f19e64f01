//! What an agent does: get a delegation, ask the gateway, hand over, call a tool.

use http::{HeaderValue, Request, Response, StatusCode, header};
use jose_x509::{Algorithm, Signer, SigningKey, base64url, json};
use oauth_spiffe_client_auth::client;
use serde_json::{Value, json};
use spiffe_id::SpiffeId;
use token_exchange::{ScopeSet, SubjectToken, TokenType};
use txn_token::TxnTokenRequest;
use wimse::WptBuilder;

use super::world::{BROKER, Failure, GATEWAY, INTENT, TRUST_DOMAIN, Workload, World, redirect_uri};
use crate::broker::{HAND_OVER_TO, OUTCOME};
use crate::gateway::{DELEGATION_TOKEN, token_request};
use crate::net::{self, Client};

/// A refusal: the code that the server gave.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub(super) String);

/// The member of a JSON response, or the error code in it.
pub(super) fn read(response: &Response<Vec<u8>>, member: &str) -> Result<String, Refused> {
    let members = json::object(response.body(), &json::Limits::DOCUMENT).unwrap_or_default();
    let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
    match (response.status(), text(member)) {
        (StatusCode::OK, Some(text)) => Ok(text),
        (status, _) => Err(Refused(
            text("error").unwrap_or_else(|| format!("http_{}", status.as_u16())),
        )),
    }
}

/// The user consents in the browser, and the agent trades the code for an access token, authenticated by a JWT-SVID.
pub(super) async fn get_delegation(
    world: &World,
    agent: &Workload,
    scope: &str,
    details: Option<&Value>,
) -> Result<String, Failure> {
    let verifier = base64url::encode(&world.provider.random::<32>()?);
    let challenge = base64url::encode(&world.provider.sha256(verifier.as_bytes()));
    let redirect = redirect_uri(&world.client_id);
    let mut form = vec![
        ("response_type", "code"),
        ("client_id", &world.client_id),
        ("redirect_uri", &redirect),
        ("scope", scope),
        ("resource", GATEWAY),
        ("state", "s1"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let details = details.map(ToString::to_string);
    form.extend(
        details
            .as_deref()
            .map(|details| ("authorization_details", details)),
    );
    let own = |form: &[(&str, &str)]| -> Vec<(String, String)> {
        form.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let mut request = Request::post(format!("{BROKER}/authorize"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(client::encode(&own(&form)).into_bytes())?;
    request
        .headers_mut()
        .insert(header::COOKIE, HeaderValue::from_str(&world.user_session)?);
    let web = world.web()?;
    let response = web.send(request).await?;
    let location = response
        .headers()
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| {
        read(&response, "none")
            .err()
            .map_or("no code".into(), |error| error.0)
    })?;
    let location = url::Url::parse(location)?;
    let code = location
        .query_pairs()
        .find(|(name, _)| name == "code")
        .map(|(_, code)| code.into_owned());

    let code = code.ok_or("the redirect has no code")?;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", &redirect),
        ("code_verifier", &verifier),
    ];
    let mut form = own(&form);
    let svid = world.home.jwt_svid(&agent.id, BROKER, net::now())?;
    client::with_jwt_svid(&mut form, Some(&world.client_id), &svid);
    let response = web
        .send(token_request(BROKER, client::encode(&form))?)
        .await?;
    Ok(read(&response, "access_token")?)
}

/// How an agent shows the gateway who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    X509,
    Jwt,
    Wit,
}

/// A tool call at the gateway.
pub(super) struct ToolCall<'a> {
    pub(super) tool: &'a str,
    pub(super) scope: Option<&'a str>,
    pub(super) delegation: &'a str,
}

/// Asks the gateway for a tool, and gets its endpoint and a transaction token.
pub(super) async fn call_gateway(
    world: &World,
    agent: &Workload,
    shown: Shown,
    call: &ToolCall<'_>,
) -> Result<(String, String), Failure> {
    let response = ask_gateway(world, agent, shown, call, INTENT).await?;
    Ok((read(&response, "endpoint")?, read(&response, "txn_token")?))
}

/// The gateway's answer as it is.
pub(super) async fn ask_gateway(
    world: &World,
    agent: &Workload,
    shown: Shown,
    call: &ToolCall<'_>,
    intent: &str,
) -> Result<Response<Vec<u8>>, Failure> {
    let mut body = json!({"tool": call.tool, "intent": intent});
    if let (Some(scope), Some(members)) = (call.scope, body.as_object_mut()) {
        members.insert("scope".to_owned(), scope.into());
    }
    let url = format!("{GATEWAY}/call");
    let mut request = Request::post(&url).body(body.to_string().into_bytes())?;
    request
        .headers_mut()
        .insert(DELEGATION_TOKEN, HeaderValue::from_str(call.delegation)?);
    let now = net::now();
    let client = match shown {
        Shown::X509 => world.towards(agent, &world.gateway.id)?,
        Shown::Jwt => {
            let svid = world
                .home
                .jwt_svid(&agent.id, world.gateway.id.as_str(), now)?;
            request.headers_mut().insert(
                header::AUTHORIZATION,
                HeaderValue::from_str(&format!("Bearer {svid}"))?,
            );
            world.towards_anonymously(&world.gateway.id)?
        }
        Shown::Wit => {
            let key = SigningKey::generate(&world.provider, Algorithm::Es256)?;
            let wit = world.home.wit_svid(&agent.id, &key.public_jwk(), now)?;
            WptBuilder::new(&wit, &url)
                .with_other_token(DELEGATION_TOKEN, call.delegation)
                .apply(request.headers_mut(), &key, &world.provider, now)?;
            world.towards_anonymously(&world.gateway.id)?
        }
    };
    Ok(client.send(request).await?)
}

/// To whom a transaction goes, and with what.
pub(super) struct HandOver<'a> {
    pub(super) to: &'a SpiffeId,
    pub(super) scope: &'a str,
    pub(super) outcome: Option<&'a str>,
}

/// Hands a transaction over to another agent, as its current actor.
pub(super) async fn hand_over(
    client: &Client,
    from: &SpiffeId,
    token: &str,
    next: &HandOver<'_>,
) -> Result<String, Failure> {
    let subject = SubjectToken {
        unverified_token: token.to_owned(),
        token_type: TokenType::TxnToken,
    };
    let mut request = TxnTokenRequest::new(TRUST_DOMAIN, subject, ScopeSet::parse(next.scope)?);
    request
        .unverified_request_details
        .insert(HAND_OVER_TO, next.to.as_str())?;
    if let Some(outcome) = next.outcome {
        request
            .unverified_request_details
            .insert(OUTCOME, outcome)?;
    }
    exchange(client, from, request.to_form()?).await
}

/// Sends a token exchange, authenticated by mutual TLS.
pub(super) async fn exchange(
    http: &Client,
    from: &SpiffeId,
    form: String,
) -> Result<String, Failure> {
    Ok(read(&ask_broker(http, from, form).await?, "access_token")?)
}

/// The broker's answer as it is.
pub(super) async fn ask_broker(
    http: &Client,
    from: &SpiffeId,
    mut form: String,
) -> Result<Response<Vec<u8>>, Failure> {
    let mut authentication = Vec::new();
    client::with_x509_svid(&mut authentication, from);
    form.push('&');
    form.push_str(&client::encode(&authentication));
    Ok(http.send(token_request(BROKER, form)?).await?)
}

/// Calls a tool with a transaction token, by mutual TLS.
pub(super) async fn call_tool(
    world: &World,
    agent: &Workload,
    tool: &SpiffeId,
    endpoint: &str,
    token: &str,
    order: &str,
) -> Result<String, Failure> {
    let body = json!({"order": order}).to_string().into_bytes();
    let request = Request::post(endpoint)
        .header("txn-token", token)
        .body(body)?;
    let response = world.towards(agent, tool)?.send(request).await?;
    Ok(read(&response, "done")?)
}

/// Signs claims as an attacker would: with a key of one's own choice.
pub(super) fn forge(
    signer: &impl Signer,
    typ: &'static str,
    claims: &Value,
) -> Result<String, Failure> {
    Ok(jose_x509::jwt::sign(
        signer,
        &jose_x509::jws::ProtectedHeader::new(typ),
        claims,
    )?)
}
