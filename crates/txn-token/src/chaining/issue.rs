//! The authorization server of domain A: a transaction token in, a grant for domain B out (draft sections 4 and 5.1).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use identity_chaining::exchange::{BrokeredToken, grant_response, narrow_scope};
use identity_chaining::grant::TXN_CHAIN_TYPE;
use identity_chaining::{
    Client, ClientRules, Error as ChainingError, GrantIssuer, IssuedGrant, JwtBearerRequest,
    NewGrant, ProofCheck,
};
use jose_x509::dpop::DpopProof;
use jose_x509::jwt::Confirmation;
use jose_x509::{CryptoProvider, KeySource, Signer};
use pki_types::UnixTime;
use serde_json::{Map, Value};
use token_exchange::{Error as Wire, Form, TokenExchangeRequest, TokenType};

use super::agreement::{AgreementProblem, OutboundAgreement, TxnRule};
use super::{pseudonym, subject};
use crate::error::Error;
use crate::token::TxnToken;
use crate::verify::TxnTokenVerifier;

/// Makes grants of transaction tokens.
///
/// It takes the transaction tokens of its own domain, verified with the keys of that domain's token service, of clients that
/// authenticate with a key, for servers with which there is an agreement in force.
pub struct ChainingService<S> {
    issuer: GrantIssuer<S>,
    provider: CryptoProvider,
    verifiers: Vec<(TxnTokenVerifier, Arc<dyn KeySource + Send + Sync>)>,
    agreements: BTreeMap<String, OutboundAgreement>,
    clients: ClientRules,
    proofs: Option<ProofCheck>,
}

impl<S: Signer> ChainingService<S> {
    /// A service that issues with `issuer`, of tokens that `verifier` accepts with these keys. There is no agreement yet.
    #[must_use]
    pub fn new(
        issuer: GrantIssuer<S>,
        provider: &CryptoProvider,
        verifier: TxnTokenVerifier,
        keys: Arc<dyn KeySource + Send + Sync>,
    ) -> Self {
        Self {
            issuer,
            provider: *provider,
            verifiers: vec![(verifier, keys)],
            agreements: BTreeMap::new(),
            clients: ClientRules::new(),
            proofs: None,
        }
    }

    /// Takes the tokens of a further trust domain that is this server's own, or those with another `aud`.
    #[must_use]
    pub fn with_verifier(
        mut self,
        verifier: TxnTokenVerifier,
        keys: Arc<dyn KeySource + Send + Sync>,
    ) -> Self {
        self.verifiers.push((verifier, keys));
        self
    }

    /// Adds an agreement.
    ///
    /// # Errors
    ///
    /// [`AgreementProblem::Algorithm`] if the issuer's algorithm is not the agreement's.
    pub fn with_agreement(mut self, agreement: OutboundAgreement) -> Result<Self, Error> {
        if !agreement.algorithms.contains(self.issuer.algorithm()) {
            return Err(Error::Agreement(AgreementProblem::Algorithm));
        }
        let partner = agreement.partner.as_str().to_owned();
        self.agreements.insert(partner, agreement);
        Ok(self)
    }

    /// Sets which clients are served.
    #[must_use]
    pub fn with_clients(mut self, clients: ClientRules) -> Self {
        self.clients = clients;
        self
    }

    /// Checks DPoP proofs of workloads, and binds grants to their keys.
    #[must_use]
    pub fn with_proofs(mut self, proofs: ProofCheck) -> Self {
        self.proofs = Some(proofs);
        self
    }

    /// Whether a request is for this service, where one token endpoint has a transaction token service, too: a transaction
    /// token in, and a partner as `audience`.
    #[must_use]
    pub fn is_for_partner(&self, form: &Form) -> bool {
        form.get("subject_token_type") == Some(TokenType::TxnToken.as_str())
            && form
                .get_all("audience")
                .any(|audience| self.agreements.contains_key(audience))
    }

    /// Answers a request.
    #[must_use]
    pub fn handle(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        now: UnixTime,
    ) -> Response<Vec<u8>> {
        match self.exchange(parts, body, client, now) {
            Ok(grant) => grant_response(&grant, TokenType::Jwt),
            Err(error) => error.to_response(),
        }
    }

    /// Decides on a request for a grant.
    ///
    /// # Errors
    ///
    /// [`Error`] for the first rule that is broken, in the draft's order: client, request, token, target, resource, scope,
    /// subject. [`Error::LimitNotCarried`] for a token whose `agentic_ctx` has a limit that the agreement does not carry.
    pub fn exchange(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        now: UnixTime,
    ) -> Result<IssuedGrant, Error> {
        let client = self.client(parts, client)?;
        let request = read(parts, body)?;
        if !matches!(&request.requested_token_type, None | Some(TokenType::Jwt)) {
            return Err(unsupported("requested_token_type"));
        }
        let proof = self.proof(&parts.headers, now)?;
        let (grant, _) = self.decide(&request, client, proof.as_ref(), now)?;
        Ok(self.issuer.issue(&grant, now)?)
    }

    /// Decides on a request for an access token of the other domain, and makes the request with which this server redeems
    /// the grant there itself. The workload has to prove its key, to which the grant, and so the access token, is bound.
    ///
    /// # Errors
    ///
    /// As [`exchange`](Self::exchange); [`ChainingError::ProofRequired`] without a proof; [`ChainingError::Refused`] where
    /// the agreement has no client for this server.
    pub fn broker(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        now: UnixTime,
    ) -> Result<BrokeredChain, Error> {
        let client = self.client(parts, client)?;
        let request = read(parts, body)?;
        let wanted = &request.requested_token_type;
        if !matches!(wanted, None | Some(TokenType::AccessToken)) {
            return Err(unsupported("requested_token_type"));
        }
        let missing = jose_x509::dpop::DpopError::MissingProof;
        let proof = self.proof(&parts.headers, now)?;
        let proof = proof.ok_or(ChainingError::Proof(missing.into()))?;
        let (grant, agreement) = self.decide(&request, client, Some(&proof), now)?;
        let own = agreement.own_client.as_ref();
        let (own_client, endpoint) = own.ok_or(ChainingError::Refused)?;
        let grant = self.issuer.issue(&grant, now)?;
        let form = JwtBearerRequest::new(grant.as_str()).to_form();
        let request = Request::post(endpoint.as_str())
            .header(
                http::header::CONTENT_TYPE,
                "application/x-www-form-urlencoded",
            )
            .body(form.into_bytes())
            .map_err(|_| ChainingError::ServerUrl)?;
        Ok(BrokeredChain {
            request,
            own_client: own_client.clone(),
        })
    }

    fn client<'c>(&self, parts: &Parts, client: Option<&'c Client>) -> Result<&'c Client, Error> {
        if parts
            .uri
            .scheme_str()
            .is_some_and(|scheme| scheme != "https")
        {
            return Err(Error::Insecure);
        }
        Ok(self.clients.check(client)?)
    }

    fn proof(&self, headers: &HeaderMap, now: UnixTime) -> Result<Option<DpopProof>, Error> {
        match &self.proofs {
            Some(proofs) => Ok(proofs.read(headers, now)?),
            None => Ok(None),
        }
    }

    fn verify(&self, token: &str, now: UnixTime) -> Result<TxnToken, Error> {
        let mut first = None;
        for (verifier, keys) in &self.verifiers {
            match verifier.verify(token, keys.as_ref(), now) {
                Ok(token) => return Ok(token),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or(Error::OtherTrustDomain))
    }

    fn agreement(
        &self,
        request: &TokenExchangeRequest,
        client: &Client,
        now: UnixTime,
    ) -> Result<&OutboundAgreement, Error> {
        let name = "audience";
        let [audience] = request.audiences.as_slice() else {
            return Err(if request.audiences.is_empty() {
                Wire::MissingParameter { name }.into()
            } else {
                Wire::RepeatedParameter { name }.into()
            });
        };
        let agreement = self
            .agreements
            .get(audience)
            .filter(|agreement| agreement.is_in_force(now.as_secs()))
            .ok_or(ChainingError::UnknownServer)?;
        // A resource that is a server's identifier is one of two parameters mixed up.
        let fits = |resource: &token_exchange::ResourceIndicator| {
            !self.agreements.contains_key(resource.as_str())
                && resource.as_str() != self.issuer.issuer()
                && agreement.has_resource(resource)
        };
        if !request.resources.iter().all(fits) {
            return Err(ChainingError::ForeignResource.into());
        }
        if !agreement.permits(client.id()) {
            return Err(ChainingError::UnauthorizedClient.into());
        }
        Ok(agreement)
    }

    fn decide(
        &self,
        request: &TokenExchangeRequest,
        client: &Client,
        proof: Option<&DpopProof>,
        now: UnixTime,
    ) -> Result<(NewGrant, &OutboundAgreement), Error> {
        let token = self.verify(&request.subject.unverified_token, now)?;
        let agreement = self.agreement(request, client, now)?;
        agreement.disclosure.check_limits(&token)?;
        let ceiling = agreement.ceiling(token.scope());
        let scope = narrow_scope(&[&ceiling], request.scope.as_ref())?;
        let rules = &agreement.subjects;
        let (kind, name) = subject::resolve(rules, token.subject(), &self.provider)
            .ok_or(ChainingError::SubjectUnmapped)?;
        let mut grant = NewGrant::new(TXN_CHAIN_TYPE, name, agreement.partner.as_str());
        grant.scope = Some(scope).filter(|_| !agreement.omit_scope);
        grant.resources.clone_from(&request.resources);
        grant.confirmation = match (proof, client.certificate()) {
            (Some(proof), _) => Some(proof.confirmation()),
            (None, Some(certificate)) if agreement.bind_certificate => {
                Some(Confirmation::of_certificate(certificate))
            }
            _ => None,
        };
        let txn = match &agreement.txn {
            TxnRule::Copy => token.txn().to_owned(),
            TxnRule::Pairwise(key) => pseudonym(&self.provider, key, token.txn()),
        };
        grant.claims.insert("txn".to_owned(), txn.into());
        let disclosure = &agreement.disclosure;
        if let Some(told) = disclosure.of(&token, kind, rules, &self.provider) {
            grant.claims.insert("txn_claims".to_owned(), told);
        }
        let latest = now.as_secs().saturating_add(agreement.lifetime);
        grant.lifetime = Some(agreement.lifetime);
        grant.not_after = Some(if agreement.may_outlive {
            latest
        } else {
            latest.min(token.expires())
        });
        Ok((grant, agreement))
    }
}

impl<S> fmt::Debug for ChainingService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainingService")
            .field("agreements", &self.agreements)
            .finish_non_exhaustive()
    }
}

/// A request in the form of this profile: a transaction token, and nobody else who acts.
fn read(parts: &Parts, body: &[u8]) -> Result<TokenExchangeRequest, Error> {
    let form = Form::from_request(parts, body)?;
    let request = TokenExchangeRequest::from_form(&form)?;
    if request.subject.token_type != TokenType::TxnToken {
        return Err(unsupported("subject_token_type"));
    }
    for (name, present) in [
        ("actor_token", request.actor.is_some()),
        (
            "authorization_details",
            request.authorization_details.is_some(),
        ),
    ] {
        if present {
            return Err(Wire::InvalidParameter { name }.into());
        }
    }
    Ok(request)
}

fn unsupported(name: &'static str) -> Error {
    Wire::UnsupportedTokenType { name }.into()
}

/// The request with which a server redeems a grant that it made itself. `Debug` hides it.
pub struct BrokeredChain {
    /// To be sent after the server has authenticated itself as [`own_client`](Self::own_client).
    pub request: Request<Vec<u8>>,
    /// The server's identifier as a client there.
    pub own_client: String,
}

impl BrokeredChain {
    /// The answer to the workload, made of the other server's answer: its access token.
    ///
    /// # Errors
    ///
    /// [`Error::Chaining`] for a refusal, and for an answer that is malformed.
    pub fn finish(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Vec<u8>>, Error> {
        Ok(BrokeredToken::new().finish(status, headers, body)?)
    }
}

impl fmt::Debug for BrokeredChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokeredChain")
            .field("own_client", &self.own_client)
            .finish_non_exhaustive()
    }
}

/// Writes into authorization server metadata that transaction tokens are exchanged for grants.
pub fn advertise_chaining(metadata: &mut Map<String, Value>) {
    let types = [TokenType::Jwt, TokenType::TxnToken];
    identity_chaining::discovery::advertise_requested_types(metadata, &types);
}
