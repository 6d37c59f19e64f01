//! The first server as client of the second one (draft appendix B.2): its own clients get the other domain's access
//! token, and never see the grant.

use std::fmt;

use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use jose_x509::Signer;
use pki_types::UnixTime;
use serde_json::Value;
use token_exchange::TokenType;

use super::{GrantService, unsupported};
use crate::error::Error;
use crate::party::Client;
use crate::redeem::JwtBearerRequest;
use crate::response::{TokenResponse, json_response, post_form};
use crate::url::ServerUrl;

/// The request with which a server redeems a grant of its own.
pub struct BrokeredRequest {
    /// To be sent after the server has added its client authentication.
    pub request: Request<Vec<u8>>,
    /// Reads the answer.
    pub token: BrokeredToken,
}

impl fmt::Debug for BrokeredRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokeredRequest").finish_non_exhaustive()
    }
}

/// Reads the other server's answer, and makes the answer to the client of it.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BrokeredToken;

impl BrokeredToken {
    /// A reader.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// The answer to the client: the other domain's access token.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] and [`Error::Response`], of which the client is told nothing more than that the server cannot
    /// decide.
    pub fn finish(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Vec<u8>>, Error> {
        let response = TokenResponse::parse(status, headers, body)?;
        let mut members = response.to_members();
        let issued = Value::from(TokenType::AccessToken.as_str());
        members.insert("issued_token_type".to_owned(), issued);
        Ok(json_response(StatusCode::OK, members))
    }
}

impl<S: Signer> GrantService<S> {
    /// Decides on a request for an access token of another domain, and makes the request with which this server redeems
    /// its own grant there, as `own_client`, at `token_endpoint`.
    ///
    /// With feature `requested-cnf`, a valid DPoP proof of the client puts its key into `requested_cnf`. Without a proof
    /// there is none, whatever the client sends.
    ///
    /// # Errors
    ///
    /// As [`exchange`](Self::exchange); [`Error::Proof`].
    pub fn broker(
        &self,
        parts: &Parts,
        body: &[u8],
        client: Option<&Client>,
        (own_client, token_endpoint): (&str, &ServerUrl),
        now: UnixTime,
    ) -> Result<BrokeredRequest, Error> {
        let client = self.clients.check(client)?;
        let request = self.read(parts, body)?;
        let wanted = &request.requested_token_type;
        if !matches!(wanted, None | Some(TokenType::AccessToken)) {
            return Err(unsupported());
        }
        let proof = match &self.proofs {
            Some(proofs) => proofs.read(&parts.headers, now)?,
            None => None,
        };
        let (mut grant, _) = self.decide(&request, client, now)?;
        grant.client_id = Some(own_client.to_owned());
        #[cfg(feature = "requested-cnf")]
        {
            grant.requested_confirmation = proof.map(|proof| proof.confirmation());
        }
        #[cfg(not(feature = "requested-cnf"))]
        if proof.is_some() {
            // The token would not be bound to the key, though its client believes so.
            return Err(Error::Refused);
        }
        let grant = self.issuer.issue(&grant, now)?;
        let form = JwtBearerRequest::new(grant.as_str()).to_form();
        Ok(BrokeredRequest {
            request: post_form(token_endpoint.as_str(), form)?,
            token: BrokeredToken,
        })
    }
}
