//! The identity broker: authorization server and transaction token service in one.
//!
//! It turns a user's consent into an access token for one agent and one resource, and an access token plus an
//! agent's credential into a transaction token that is good for one transaction.

use std::sync::Arc;
use std::time::Duration;

use cimd::ClientIdUrl;
use cimd::client::Directory;
use http::request::Parts;
use http::{HeaderValue, Method as HttpMethod, Response, StatusCode, header};
use jose_x509::{CryptoProvider, KeySet, MemoryReplayGuard, SigningKey};
use oauth_spiffe_client_auth::{
    AuthenticatedClient, ClientAuthenticator, Method, RegisteredClient, TokenRequest, method,
};
use pki_types::{CertificateDer, UnixTime};
use serde_json::{Map, Value, json};
use spiffe_bundle::SharedBundleSet;
use svid::wit::WitSvidVerifier;
use token_exchange::{DetailTypes, Form, GRANT_TYPE, Party};
use txn_token::{EndedTransactions, TxnTokenIssuer, TxnTokenVerifier};

use crate::audit::{AuditLog, Decision, Event};
use crate::net::{self, Answer, Handler, PeerAddress};
use crate::registry::Registry;
use crate::signals::Receiver;

pub mod access_token;
pub mod authorize;
mod delegate;
mod error;
pub mod session;

pub use delegate::{AGENT_CREDENTIAL, HAND_OVER_TO, OUTCOME};
pub use error::BrokerError;

use access_token::{AccessTokens, Delegated};
use authorize::{AuthorizationRequest, Codes, Consent};
use session::UserSessions;

/// What a broker is made of.
pub struct BrokerParts {
    /// The issuer identifier, an https URL.
    pub issuer: String,
    /// The trust domain of its transaction tokens.
    pub trust_domain: String,
    /// The resource at which access tokens are good: the gateway.
    pub resource: String,
    /// The key of access tokens.
    pub access_token_key: SigningKey,
    /// The key of transaction tokens.
    pub txn_token_key: SigningKey,
    /// The SPIFFE bundles.
    pub bundles: Arc<SharedBundleSet>,
    /// Agents.
    pub registry: Arc<Registry>,
    /// Clients other than those with metadata documents: the gateway, and agents by their SPIFFE IDs.
    pub clients: Vec<RegisteredClient>,
    /// SPIFFE IDs that may vouch for the possession of agents' keys: the gateway.
    pub gateways: Vec<String>,
    /// Finds clients by their metadata documents.
    pub documents: Directory,
    /// The registered types of authorization details.
    pub detail_types: DetailTypes,
    /// Takes signals.
    pub signals: Receiver,
    /// Which transactions ended. All brokers of a trust domain have the same.
    pub ended: Arc<dyn EndedTransactions>,
    /// Who is logged in.
    pub sessions: Arc<dyn UserSessions>,
    /// The log.
    pub audit: Arc<AuditLog>,
    /// Cryptography.
    pub provider: CryptoProvider,
}

/// The broker.
pub struct Broker {
    parts: BrokerParts,
    authenticator: ClientAuthenticator<Arc<SharedBundleSet>>,
    access_tokens: AccessTokens,
    access_token_keys: KeySet,
    txn_tokens: TxnTokenIssuer<SigningKey>,
    txn_token_keys: KeySet,
    txn_verifier: TxnTokenVerifier,
    codes: Codes,
    wit: WitSvidVerifier,
    replay: MemoryReplayGuard,
}

const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(600);
const MAX_PROOFS: usize = 100_000;

impl Broker {
    /// A broker.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] for keys or names that cannot work.
    pub fn new(parts: BrokerParts) -> Result<Self, BrokerError> {
        let access_tokens = AccessTokens::new(
            parts.issuer.clone(),
            parts.access_token_key.clone(),
            ACCESS_TOKEN_LIFETIME,
        );
        let txn_tokens = TxnTokenIssuer::new(
            parts.txn_token_key.clone(),
            parts.trust_domain.clone(),
            &parts.provider,
        )?
        .with_issuer(parts.issuer.clone())
        .with_detail_types(parts.detail_types.clone())
        .with_ended(Arc::clone(&parts.ended));
        let txn_token_keys = KeySet::new(vec![parts.txn_token_key.verifying_key()?])?;
        Ok(Self {
            authenticator: ClientAuthenticator::new(
                parts.issuer.clone(),
                Arc::clone(&parts.bundles),
                parts.provider,
            ),
            access_token_keys: access_tokens.keys()?,
            access_tokens,
            txn_verifier: TxnTokenVerifier::new(parts.trust_domain.clone(), parts.issuer.clone()),
            txn_tokens,
            txn_token_keys,
            codes: Codes::new(parts.provider),
            // Only WIT-SVIDs are verified with it; proofs of them are the gateway's to check.
            wit: WitSvidVerifier::new(&parts.issuer).map_err(BrokerError::AgentCredential)?,
            replay: MemoryReplayGuard::new(MAX_PROOFS),
            parts,
        })
    }

    /// The server's metadata (RFC 8414).
    #[must_use]
    pub fn metadata(&self) -> Value {
        let issuer = &self.parts.issuer;
        let mut metadata = Map::from_iter([
            ("issuer".to_owned(), json!(issuer)),
            (
                "authorization_endpoint".to_owned(),
                json!(format!("{issuer}/authorize")),
            ),
            (
                "token_endpoint".to_owned(),
                json!(format!("{issuer}/token")),
            ),
            ("jwks_uri".to_owned(), json!(format!("{issuer}/jwks"))),
            ("response_types_supported".to_owned(), json!(["code"])),
            (
                "grant_types_supported".to_owned(),
                json!(["authorization_code", GRANT_TYPE]),
            ),
            (
                "code_challenge_methods_supported".to_owned(),
                json!(["S256"]),
            ),
            (
                "client_id_metadata_document_supported".to_owned(),
                json!(true),
            ),
            (
                "authorization_response_iss_parameter_supported".to_owned(),
                json!(true),
            ),
        ]);
        method::advertise(&mut metadata, &Method::SPIFFE);
        Value::Object(metadata)
    }

    fn jwks(&self) -> Value {
        json!({"keys": [self.parts.access_token_key.public_jwk(), self.parts.txn_token_key.public_jwk()]})
    }

    /// Takes a user's consent: the form of the authorization request, sent by the user's browser with the user's session.
    async fn authorize(
        &self,
        parts: &Parts,
        body: &[u8],
        now: UnixTime,
    ) -> Result<Response<Vec<u8>>, BrokerError> {
        let form = Form::from_request(parts, body)?;
        let user = self
            .parts
            .sessions
            .user(&parts.headers)
            .ok_or(BrokerError::NoSession)?;
        let request = AuthorizationRequest::from_form(&form)?;
        let from = PeerAddress::of(parts);
        let clients = &self.parts.documents;
        let client = clients.client(&request.client_id, &from, now).await?;
        // Until the redirect URI is known to be the client's, an error goes to nobody but the user.
        client
            .metadata()
            .ok_or(BrokerError::Redirect)?
            .match_redirect_uri(&request.redirect_uri)?;
        if request.resource.as_str() != self.parts.resource {
            return Err(token_exchange::Error::InvalidTarget.into());
        }
        let details = match &request.details {
            None => None,
            Some(text) => Some(self.parts.detail_types.request(text)?.to_value()),
        };
        let (redirect, state) = (request.redirect_uri.clone(), request.state.clone());
        let event = Event::new("broker", "user.consent", Decision::Allowed)
            .user(&user)
            .target(&request.client_id);
        let consent = Consent {
            user,
            request,
            details,
        };
        let code = self.codes.issue(consent, now).ok_or(BrokerError::Busy)?;
        self.parts.audit.append(event, now);
        let mut location = url::Url::parse(&redirect).map_err(|_| BrokerError::Redirect)?;
        location
            .query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("iss", &self.parts.issuer);
        if let Some(state) = state {
            location.query_pairs_mut().append_pair("state", &state);
        }
        let mut response = net::empty(StatusCode::SEE_OTHER);
        let location =
            HeaderValue::from_str(location.as_str()).map_err(|_| BrokerError::Redirect)?;
        response.headers_mut().insert(header::LOCATION, location);
        Ok(response)
    }

    async fn token(
        &self,
        parts: &Parts,
        body: &[u8],
        peer: &[CertificateDer<'_>],
        now: UnixTime,
        event: &mut Event,
    ) -> Result<Response<Vec<u8>>, BrokerError> {
        let form = Form::from_request(parts, body)?;
        let request = TokenRequest::new(parts, &*form, peer);
        let from = PeerAddress::of(parts);
        let clients = self.clients(form.get("client_id"), &from, now).await;
        let client = self
            .authenticator
            .authenticate(&request, &clients, &self.replay, now)
            .map_err(|error| BrokerError::Client(Box::new(error)))?;
        match form.required("grant_type")? {
            "authorization_code" => self.redeem(&form, &client, now),
            GRANT_TYPE => {
                event.target = Some(self.parts.trust_domain.clone());
                self.exchange(&form, &client, now, event)
            }
            _ => Err(token_exchange::Error::UnsupportedGrantType.into()),
        }
    }

    /// The configured clients, and the one that a metadata document describes.
    async fn clients(
        &self,
        client_id: Option<&str>,
        from: &str,
        now: UnixTime,
    ) -> Vec<RegisteredClient> {
        let mut clients = self.parts.clients.clone();
        let Some(client_id) = client_id.filter(|client_id| ClientIdUrl::parse(client_id).is_ok())
        else {
            return clients;
        };
        // Whatever is wrong with the document, the client is then unknown.
        let client = self.parts.documents.client(client_id, from, now).await.ok();
        let document = client.as_ref().and_then(cimd::Client::metadata);
        if let Some(pattern) = document.and_then(|document| document.spiffe_id()) {
            let client = RegisteredClient::new(client_id, pattern.clone());
            clients.push(client.with_methods(&[Method::SpiffeJwt, Method::SpiffeWit]));
        }
        clients
    }

    /// Trades a code for an access token that names who may act.
    fn redeem(
        &self,
        form: &Form,
        client: &AuthenticatedClient,
        now: UnixTime,
    ) -> Result<Response<Vec<u8>>, BrokerError> {
        form.check_repeats(&[])?;
        let client_id = &client.client.client_id;
        let workload = delegate::workload(client)?;
        let consent = self
            .codes
            .redeem(
                form.required("code")?,
                client_id,
                form.required("redirect_uri")?,
                form.required("code_verifier")?,
                now,
            )
            .ok_or(BrokerError::InvalidGrant)?;
        let delegated = Delegated {
            user: consent.user.clone(),
            client_id: client_id.clone(),
            resource: consent.request.resource.as_str().to_owned(),
            scopes: consent.request.scopes.clone(),
            details: consent.details,
            may_act: Party::new(workload.as_str()),
        };
        let token = self.access_tokens.issue(&delegated, now)?;
        let event = Event::new("broker", "access_token.issue", Decision::Allowed)
            .user(consent.user)
            .actors([workload.as_str()])
            .target(&delegated.resource)
            .credential(client.method.name());
        self.parts.audit.append(event, now);
        let mut response = net::json(
            StatusCode::OK,
            &json!({
                "access_token": token, "token_type": "Bearer", "expires_in": self.access_tokens.lifetime(),
                "scope": delegated.scopes.to_string(),
            }),
        );
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

impl Handler for Broker {
    fn handle<'a>(
        &'a self,
        parts: Parts,
        body: Vec<u8>,
        peer: Vec<CertificateDer<'static>>,
    ) -> Answer<'a> {
        Box::pin(async move {
            let now = net::now();
            let mut event = Event::new("broker", parts.uri.path(), Decision::Refused);
            let result = match (&parts.method, parts.uri.path()) {
                (&HttpMethod::POST, "/authorize") => self.authorize(&parts, &body, now).await,
                (&HttpMethod::POST, "/token") => {
                    self.token(&parts, &body, &peer, now, &mut event).await
                }
                (&HttpMethod::GET, "/jwks") => Ok(net::json(StatusCode::OK, &self.jwks())),
                (&HttpMethod::GET, "/.well-known/oauth-authorization-server") => {
                    Ok(net::json(StatusCode::OK, &self.metadata()))
                }
                (&HttpMethod::POST, "/signals") => Ok(self.parts.signals.push(&parts, &body, now)),
                _ => Ok(net::empty(StatusCode::NOT_FOUND)),
            };
            result.unwrap_or_else(|error| {
                self.parts.audit.append(event.reason(error.code()), now);
                error.to_response(&parts)
            })
        })
    }
}
