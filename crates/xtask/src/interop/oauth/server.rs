//! An authorization server of ours: what it knows is made for the run.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use cimd::FetchPolicy;
use cimd::client::{Directory, Fetcher};
use cimd::guard::AddressPolicy;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode, request::Parts};
use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::{self, Audience, Issuer, Type, Validator};
use jose_x509::{Algorithm, KeySet, MemoryReplayGuard, SigningKey, base64url};
use oauth_spiffe_client_auth::assertion::AssertionKeys;
use oauth_spiffe_client_auth::server::read_form;
use oauth_spiffe_client_auth::{ClientAuthenticator, RegisteredClient, TokenRequest};
use serde_json::{Map, Value, json};
use spiffe_bundle::Bundle;
use spiffe_id::{SpiffeId, SpiffeIdPattern, TrustDomain};
use svid::jwt::JwtSvidIssuer;
use token_exchange::{
    AuthenticatedClient, Caller, ExchangePolicy, ExchangeService, JwtAccessTokens, JwtTokens,
    OAuthError, Party, PartyKind, Permissions, ResourceIndicator, ResourceRegistry, ResourceServer,
    ScopeSet, TokenType, Transport,
};

use super::super::svid::{PROVIDER, now};
use super::net::Tls;

pub(super) const AGENT: &str = "spiffe://workloads.example/agents/search";
/// A workload whose client may exchange nothing.
pub(super) const IDLE: &str = "spiffe://workloads.example/batch/idle";
pub(super) const MAIL: &str = "https://mail.example/";
pub(super) const USER: &str = "user-4821";
/// A client with a registered key.
pub(super) const KEYED: &str = "keyed";

/// Everything that the server knows.
pub(super) struct Server {
    pub(super) issuer: String,
    pub(super) keyed: SigningKey,
    key: Arc<SigningKey>,
    svids: JwtSvidIssuer<SigningKey>,
    authenticator: ClientAuthenticator<Bundle>,
    clients: Vec<RegisteredClient>,
    replay: MemoryReplayGuard,
    service: ExchangeService,
    strangers: Directory,
    codes: Mutex<HashMap<String, Code>>,
}

/// An authorization code and what it was given for.
struct Code {
    client_id: String,
    redirect_uri: String,
    challenge: String,
}

impl Server {
    pub(super) fn new(issuer: String, tls: &Tls) -> Result<Self> {
        let key = || SigningKey::generate(&PROVIDER, Algorithm::Es256);
        let own = Arc::new(key()?.with_thumbprint_kid());
        let trust_domain = TrustDomain::parse("workloads.example")?;
        let authority = key()?.with_thumbprint_kid();
        let bundle = Bundle::builder(&PROVIDER, trust_domain.clone())
            .with_jwt_authority(&authority.public_jwk())
            .build()?;
        let keyed = key()?.with_thumbprint_kid();
        let registered = KeySet::new(vec![keyed.verifying_key()?])?;
        let workloads = |id: &str, pattern| {
            Ok::<_, anyhow::Error>(RegisteredClient::new(id, SpiffeIdPattern::parse(pattern)?))
        };
        let clients = vec![
            workloads("agents", "spiffe://workloads.example/agents/*")?,
            workloads("idle", IDLE)?,
            RegisteredClient::with_assertions(KEYED, AssertionKeys::self_issued(registered)),
        ];
        let here = AddressPolicy::for_development()
            .dangerous_allow_loopback(IpAddr::V4(Ipv4Addr::LOCALHOST))?
            .dangerous_allow_loopback(IpAddr::V6(Ipv6Addr::LOCALHOST))?;
        let fetcher =
            Fetcher::new(Arc::clone(&tls.client)).fetch_policy(FetchPolicy::new().addresses(here));
        Ok(Self {
            authenticator: ClientAuthenticator::new(issuer.clone(), bundle, PROVIDER)
                .with_assertions()?,
            svids: JwtSvidIssuer::new(authority, trust_domain)?,
            service: exchange(&issuer, &own)?,
            strangers: Directory::new(fetcher),
            replay: MemoryReplayGuard::new(1000),
            codes: Mutex::default(),
            key: own,
            keyed,
            clients,
            issuer,
        })
    }

    /// A JWT-SVID for this server, or for another one.
    pub(super) fn svid(&self, id: &str, audience: &str) -> Result<String> {
        let lifetime = Duration::from_secs(300);
        let id = SpiffeId::parse(id)?;
        Ok(self.svids.issue(&id, audience, lifetime, now()?)?)
    }

    /// A user's access token for the agent.
    pub(super) fn subject_token(&self) -> Result<String> {
        let exp = now()?.as_secs() + 600;
        let claims = json!({
            "iss": self.issuer, "sub": USER, "aud": AGENT, "exp": exp, "jti": PROVIDER.random_id()?,
            "scope": "mail.read mail.send",
        });
        Ok(jwt::sign(
            &*self.key,
            &ProtectedHeader::new("at+jwt"),
            &claims,
        )?)
    }

    /// The claims of an access token of this server, verified.
    pub(super) fn read(&self, token: &str, audience: &str) -> Result<Map<String, Value>> {
        let validator = Validator::new(
            Type::OneOf(&["at+jwt"]),
            Issuer::Exactly(self.issuer.clone()),
            Audience::Only(vec![audience.to_owned()]),
        );
        let jwt = validator.validate(token, &self.key.verifying_key()?, now()?)?;
        Ok(jwt.claims_map()?)
    }

    pub(super) async fn answer(self: Arc<Self>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        let (parts, body) = request.into_parts();
        match (&parts.method, parts.uri.path()) {
            (&Method::GET, "/.well-known/oauth-authorization-server") => {
                json_response(&self.metadata())
            }
            (&Method::GET, "/.well-known/oauth-protected-resource/mcp") => json_response(&json!({
                "resource": self.resource(), "authorization_servers": [self.issuer], "scopes_supported": ["mail.read"],
            })),
            (&Method::GET, "/authorize") => self.authorize(&parts).await.unwrap_or_else(refusal),
            (&Method::POST, "/token") => self.token(&parts, &body).unwrap_or_else(|error| {
                let description = "the server failed";
                eprintln!("our server: {error:#}");
                OAuthError::new(
                    "server_error",
                    description,
                    StatusCode::INTERNAL_SERVER_ERROR,
                )
                .to_response()
            }),
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    /// The resource of the MCP server.
    pub(super) fn resource(&self) -> String {
        format!("{}/mcp", self.issuer)
    }

    fn metadata(&self) -> Value {
        let mut members = Map::new();
        for (name, path) in [
            ("authorization_endpoint", "/authorize"),
            ("token_endpoint", "/token"),
        ] {
            members.insert(name.to_owned(), format!("{}{path}", self.issuer).into());
        }
        let grants = [
            "authorization_code",
            "client_credentials",
            token_exchange::GRANT_TYPE,
        ];
        for (name, value) in [
            ("issuer", self.issuer.as_str().into()),
            ("response_types_supported", json!(["code"])),
            ("grant_types_supported", json!(grants)),
            ("code_challenge_methods_supported", json!(["S256"])),
            ("client_id_metadata_document_supported", true.into()),
            (
                "authorization_response_iss_parameter_supported",
                true.into(),
            ),
            ("token_endpoint_auth_methods_supported", json!(["none"])),
            (
                "token_endpoint_auth_signing_alg_values_supported",
                json!(["ES256"]),
            ),
        ] {
            members.insert(name.to_owned(), value);
        }
        self.authenticator.advertise(&mut members, None);
        members.into()
    }

    /// The user is here and consents to everything. Who the client is its document says.
    async fn authorize(&self, parts: &Parts) -> Result<Response<Vec<u8>>, cimd::Error> {
        let query = parts.uri.query().unwrap_or_default();
        let query: HashMap<_, _> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let now = now().map_err(|_| cimd::Error::Timeout)?;
        let client = self
            .strangers
            .client(text("client_id"), "127.0.0.1", now)
            .await?;
        client.consent(text("redirect_uri"), "en")?;
        let asked_well = text("response_type") == "code" && text("code_challenge_method") == "S256";
        if !asked_well || text("resource") != self.resource() {
            return Ok(status(StatusCode::BAD_REQUEST));
        }
        let Ok(code) = PROVIDER.random_id() else {
            return Ok(status(StatusCode::INTERNAL_SERVER_ERROR));
        };
        let to = form_urlencoded::Serializer::new(format!("{}?", text("redirect_uri")))
            .append_pair("code", &code)
            .append_pair("state", text("state"))
            .append_pair("iss", &self.issuer)
            .finish();
        let granted = Code {
            client_id: client.client_id().to_owned(),
            redirect_uri: text("redirect_uri").to_owned(),
            challenge: text("code_challenge").to_owned(),
        };
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.insert(code, granted);
        let mut response = status(StatusCode::FOUND);
        if let Ok(to) = HeaderValue::from_str(&to) {
            response.headers_mut().insert(LOCATION, to);
        }
        Ok(response)
    }

    fn token(&self, parts: &Parts, body: &[u8]) -> Result<Response<Vec<u8>>> {
        let form = match read_form(parts, body) {
            Ok(form) => form,
            Err(error) => return Ok(error.to_response(false)),
        };
        let text = |name: &str| form.get(name).unwrap_or_default();
        let now = now()?;
        if text("grant_type") == "authorization_code" {
            return self.redeem(text);
        }
        let request = TokenRequest::new(parts, &form, &[]);
        let authenticated =
            self.authenticator
                .authenticate(&request, &self.clients, &self.replay, now);
        let client = match authenticated {
            Ok(client) => client.client.client_id,
            Err(error) => return Ok(self.authenticator.refuse(&request, &error, now)),
        };
        if text("grant_type") == "client_credentials" {
            return self.issue(&client, &client, &self.issuer);
        }
        let client = AuthenticatedClient::new(client);
        let caller = Caller::client(&client, Transport::Tls);
        Ok(self.service.handle(parts, body, &caller, now).0)
    }

    /// A public client is known by its document; its code is worth nothing without the verifier.
    fn redeem<'f>(&self, text: impl Fn(&str) -> &'f str) -> Result<Response<Vec<u8>>> {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let code = codes.remove(text("code"));
        let verifier = PROVIDER.sha256(text("code_verifier").as_bytes());
        let fits = |code: &Code| {
            code.client_id == text("client_id")
                && code.redirect_uri == text("redirect_uri")
                && code.challenge == base64url::encode(&verifier)
                && text("resource") == self.resource()
        };
        match code.filter(fits) {
            Some(code) => self.issue(USER, &code.client_id, &self.resource()),
            None => {
                let description = "the code is not acceptable";
                let error = OAuthError::new("invalid_grant", description, StatusCode::BAD_REQUEST);
                Ok(error.to_response())
            }
        }
    }

    fn issue(&self, subject: &str, client_id: &str, audience: &str) -> Result<Response<Vec<u8>>> {
        let now = now()?.as_secs();
        let claims = json!({
            "iss": self.issuer, "sub": subject, "client_id": client_id, "aud": audience, "iat": now, "exp": now + 300,
            "jti": PROVIDER.random_id()?, "scope": "mail.read",
        });
        let token = jwt::sign(&*self.key, &ProtectedHeader::new("at+jwt"), &claims)?;
        Ok(json_response(&json!({
            "access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": "mail.read",
        })))
    }
}

/// Users' access tokens for the agent become ones for the mail server.
fn exchange(issuer: &str, key: &Arc<SigningKey>) -> Result<ExchangeService> {
    let any = Audience::NotApplicable {
        reason: "the exchange ties the token to its actor",
    };
    let own = Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::Exactly(issuer.to_owned()),
        any,
    );
    let keys = Arc::new(key.verifying_key()?);
    let tokens = JwtTokens::new().with_issuer(issuer, own, keys, PartyKind::User);
    let mail = ResourceIndicator::parse(MAIL)?;
    let may = |id: &str| -> Result<Permissions> {
        Ok(Permissions::new(
            Party::new(id),
            PartyKind::Workload,
            ScopeSet::parse("mail.read")?,
        ))
    };
    let agents = may(AGENT)?.allow(&TokenType::AccessToken, &TokenType::AccessToken, &mail);
    let servers = ResourceServer::new(mail, ScopeSet::parse("mail.read mail.send")?);
    Ok(ExchangeService::new(
        issuer,
        &PROVIDER,
        ExchangePolicy::new(Duration::from_secs(300)),
        ResourceRegistry::new([servers]),
    )
    .accept(&TokenType::AccessToken, Arc::new(tokens))
    .issue(
        &TokenType::AccessToken,
        Arc::new(JwtAccessTokens(Arc::clone(key))),
    )
    .context("the service")?
    .permit("agents", agents)
    .permit("idle", may(IDLE)?))
}

fn refusal(error: cimd::Error) -> Response<Vec<u8>> {
    OAuthError::new(
        error.oauth_error(),
        error.oauth_description(),
        StatusCode::BAD_REQUEST,
    )
    .to_response()
}

fn status(status: StatusCode) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}

fn json_response(value: &Value) -> Response<Vec<u8>> {
    let mut response = Response::new(value.to_string().into_bytes());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}
