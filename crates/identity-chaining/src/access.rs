//! What a grant gives: everything that an access token has to say.

use http::Response;
use jose_x509::binding::{Client as BindingClient, ClientMetadata, TokenRequest};
use jose_x509::dpop::DpopProof;
use jose_x509::jwt::Confirmation;
use pki_types::UnixTime;
use serde_json::{Map, Value};
use token_exchange::{ActorChain, ResourceIndicator, ScopeSet, Target, audience_value};

use crate::error::Error;
use crate::party::{Client, ClientMethod};
use crate::response::TokenResponse;

/// A decision to issue an access token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AccessGrant {
    /// Who issued the grant.
    pub issuer: String,
    /// The local account.
    pub subject: String,
    /// The tenant of this server in which the token is good; it is good in no other.
    pub tenant: Option<String>,
    /// The client.
    pub client_id: String,
    /// What for.
    pub scope: ScopeSet,
    /// Where, as resources.
    pub resources: Vec<ResourceIndicator>,
    /// Where, as `aud` names it.
    pub audience: Vec<String>,
    /// `authorization_details`, a JSON array.
    pub authorization_details: Option<Value>,
    /// Who acts, if the grant is a delegation. It is never the client by itself.
    pub actors: Option<ActorChain>,
    /// Claims of the grant that the agreement with its issuer lets into access tokens.
    pub claims: Map<String, Value>,
    /// `cnf`: what the access token has to be bound to; `None` for a plain bearer token.
    pub confirmation: Option<Confirmation>,
    /// The transaction, for the log.
    pub txn: Option<String>,
}

impl AccessGrant {
    /// A decision for a local account at a resolved target.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        subject: impl Into<String>,
        client: &Client,
        target: Target,
        confirmation: Option<Confirmation>,
        txn: Option<String>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            subject: subject.into(),
            tenant: None,
            client_id: client.id().to_owned(),
            scope: target.scopes,
            resources: target.resources,
            audience: target.audience,
            authorization_details: None,
            actors: None,
            claims: Map::new(),
            confirmation,
            txn,
        }
    }

    /// The claims of a JWT access token (RFC 9068) that expires after `lifetime` seconds.
    #[must_use]
    pub fn token_claims(
        &self,
        issuer: &str,
        id: &str,
        lifetime: u64,
        now: UnixTime,
    ) -> Map<String, Value> {
        let mut claims = self.claims.clone();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", issuer.into());
        put("sub", self.subject.as_str().into());
        put("aud", audience_value(&self.audience));
        put("client_id", self.client_id.as_str().into());
        put("scope", self.scope.to_string().into());
        put("iat", now.as_secs().into());
        put("exp", now.as_secs().saturating_add(lifetime).into());
        put("jti", id.into());
        let optional = [
            ("authorization_details", self.authorization_details.clone()),
            ("act", self.actors.as_ref().map(ActorChain::to_value)),
            ("tenant", self.tenant.as_deref().map(Value::from)),
            ("txn", self.txn.as_deref().map(Value::from)),
            (
                "cnf",
                self.confirmation.as_ref().map(Confirmation::to_value),
            ),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                put(name, value);
            }
        }
        claims
    }

    /// Whether `token_type` is `DPoP`, and not `Bearer`.
    #[must_use]
    pub fn is_dpop(&self) -> bool {
        let key = |confirmation: &Confirmation| confirmation.jkt;
        self.confirmation.as_ref().and_then(key).is_some()
    }

    /// The token endpoint's answer with the access token that was made for this decision.
    #[must_use]
    pub fn respond(&self, access_token: &str, expires_in: u64) -> Response<Vec<u8>> {
        let mut response = TokenResponse::new(access_token);
        response.dpop = self.is_dpop();
        response.expires_in = Some(expires_in);
        response.scope = Some(self.scope.clone());
        response.resources.clone_from(&self.resources);
        response
            .authorization_details
            .clone_from(&self.authorization_details);
        response.to_response()
    }
}

/// What an access token is bound to, once the sender has proven to have what the grant is bound to.
///
/// # Errors
///
/// [`Error::ProofRequired`] where a bound grant, or `required`, finds no proof; [`Error::ProofKey`];
/// [`Error::GrantClaim`] for a `cnf` that no token request can prove.
pub fn bind(
    confirmation: Option<&Confirmation>,
    proof: Option<&DpopProof>,
    client: &Client,
    required: bool,
) -> Result<Option<Confirmation>, Error> {
    let mut metadata = ClientMetadata::default();
    if let Some(confirmation) = confirmation {
        if confirmation.jwk.is_some() || confirmation.kid.is_some() {
            return Err(Error::GrantClaim { claim: "cnf" });
        }
        if let Some(key) = confirmation.jkt {
            if proof.ok_or(Error::ProofRequired)?.jkt() != key {
                return Err(Error::ProofKey);
            }
        }
        if let Some(certificate) = confirmation.x5t_s256 {
            if client.certificate().ok_or(Error::ProofRequired)? != certificate {
                return Err(Error::ProofKey);
            }
            metadata.tls_client_certificate_bound_access_tokens = true;
        }
    } else if required && proof.is_none() {
        return Err(Error::ProofRequired);
    }
    let who = match client.method() {
        ClientMethod::Public => BindingClient::Public,
        _ => BindingClient::Authenticated,
    };
    let mut request = TokenRequest::new(who);
    if let Some(proof) = proof {
        request = request.with_proof(proof);
    }
    if let Some(certificate) = client.certificate() {
        request = request.with_certificate(certificate);
    }
    let issued = request.issue(&metadata).map_err(Error::Proof)?;
    Ok(issued.confirmation())
}
