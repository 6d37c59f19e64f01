//! The request to the transaction token service: RFC 8693 with two more parameters (draft section 11.1).

use jose_x509::json;
use token_exchange::{
    Form, ScopeSet, SubjectToken, TokenExchangeRequest, TokenExchangeResponse, TokenType, TokenUse,
};

use crate::context::Context;
use crate::error::Error;

/// A well-formed request. Client authentication, the subject token, and what of it is granted are
/// still to be decided.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TxnTokenRequest {
    /// `audience`: the trust domain.
    pub trust_domain: String,
    /// `subject_token` with its type.
    pub subject: SubjectToken,
    /// `scope`, never empty.
    pub scope: ScopeSet,
    /// `request_context`, as the client states it.
    pub unverified_request_context: Context,
    /// `request_details`, as the client states them.
    pub unverified_request_details: Context,
}

impl TxnTokenRequest {
    /// A request to be sent by a client.
    #[must_use]
    pub fn new(trust_domain: impl Into<String>, subject: SubjectToken, scope: ScopeSet) -> Self {
        Self {
            trust_domain: trust_domain.into(),
            subject,
            scope,
            unverified_request_context: Context::new(),
            unverified_request_details: Context::new(),
        }
    }

    /// Reads the request that a service for `trust_domain` received.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] for parameters that are missing, repeated or malformed, for another
    /// audience, for a refresh token as subject token, and for an actor token, which this profile
    /// does not have; [`Error::InvalidContext`].
    pub fn from_form(form: &Form, trust_domain: &str) -> Result<Self, Error> {
        use token_exchange::Error as Wire;
        let request = TokenExchangeRequest::from_form(form)?;
        if request.actor.is_some() {
            return Err(Wire::InvalidParameter {
                name: "actor_token",
            }
            .into());
        }
        match request.requested_token_type {
            None => {
                return Err(Wire::MissingParameter {
                    name: "requested_token_type",
                }
                .into());
            }
            Some(TokenType::TxnToken) => {}
            Some(_) => {
                return Err(Wire::UnsupportedTokenType {
                    name: "requested_token_type",
                }
                .into());
            }
        }
        if request.subject.token_type == TokenType::RefreshToken {
            return Err(Wire::UnsupportedTokenType {
                name: "subject_token_type",
            }
            .into());
        }
        let [audience] = request.audiences.as_slice() else {
            return Err(if request.audiences.is_empty() {
                Wire::MissingParameter { name: "audience" }.into()
            } else {
                Wire::RepeatedParameter { name: "audience" }.into()
            });
        };
        if audience != trust_domain || !request.resources.is_empty() {
            return Err(Wire::InvalidTarget.into());
        }
        let scope = request
            .scope
            .filter(|scope| !scope.is_empty())
            .ok_or(Wire::MissingParameter { name: "scope" })?;
        let context = |name: &str| form.get(name).map_or(Ok(Context::new()), Context::parse);
        Ok(Self {
            trust_domain: audience.clone(),
            subject: request.subject,
            scope,
            unverified_request_context: context("request_context")?,
            unverified_request_details: context("request_details")?,
        })
    }

    /// Reads the answer of the service as the client that sent this request.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] for an error, for anything but a transaction token that is used as `N_A`, and for a refresh
    /// token beside it.
    pub fn parse_response(
        status: http::StatusCode,
        headers: &http::HeaderMap,
        body: &[u8],
    ) -> Result<TokenExchangeResponse, Error> {
        let refuse = |what| Error::Request(token_exchange::Error::Response { what });
        let wanted = TokenType::TxnToken;
        let response = TokenExchangeResponse::parse(status, headers, body, Some(&wanted))?;
        if response.token_use != TokenUse::NotApplicable {
            return Err(refuse("`token_type` of a transaction token is `N_A`"));
        }
        let members = json::object(body, &json::Limits::DOCUMENT)
            .map_err(|_| refuse("the body is not a strict JSON object"))?;
        if members.contains_key("refresh_token") {
            return Err(refuse("a transaction token comes without `refresh_token`"));
        }
        Ok(response)
    }

    /// The body of the request; client authentication adds its own parameters.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidContext`], not for contexts that were parsed or built by this crate.
    pub fn to_form(&self) -> Result<String, Error> {
        let mut request = TokenExchangeRequest::new(
            self.subject.unverified_token.clone(),
            self.subject.token_type.clone(),
        );
        request.requested_token_type = Some(TokenType::TxnToken);
        request.audiences = vec![self.trust_domain.clone()];
        request.scope = Some(self.scope.clone());
        let mut form = form_urlencoded::Serializer::new(request.to_form());
        let contexts = [
            ("request_context", &self.unverified_request_context),
            ("request_details", &self.unverified_request_details),
        ];
        for (name, context) in contexts {
            if !context.is_empty() {
                let text = serde_json::to_string(context).map_err(|_| Error::InvalidContext)?;
                form.append_pair(name, &text);
            }
        }
        Ok(form.finish())
    }
}
