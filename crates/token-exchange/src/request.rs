//! The token exchange request, both sides (RFC 8693 section 2.1).

use std::fmt;

use http::{Request, header};
use serde_json::Value;

use crate::GRANT_TYPE;
use crate::authority::ScopeSet;
use crate::error::Error;
use crate::form::Form;
use crate::resource::ResourceIndicator;
use crate::token_type::TokenType;

/// A token as it was sent, with its declared type. Nothing is verified; `Debug` hides the token.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectToken {
    /// The token's text.
    pub unverified_token: String,
    /// The declared type.
    pub token_type: TokenType,
}

impl fmt::Debug for SubjectToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectToken")
            .field("token_type", &self.token_type)
            .finish_non_exhaustive()
    }
}

/// A well-formed request; client authentication and the tokens are still to be verified.
#[derive(Clone, Debug)]
pub struct TokenExchangeRequest {
    /// On whose behalf.
    pub subject: SubjectToken,
    /// Who acts, if not the client.
    pub actor: Option<SubjectToken>,
    /// What to issue.
    pub requested_token_type: Option<TokenType>,
    /// Where the token is to be used: every `resource`.
    pub resources: Vec<ResourceIndicator>,
    /// Where the token is to be used: every `audience`.
    pub audiences: Vec<String>,
    /// What for.
    pub scope: Option<ScopeSet>,
    /// `authorization_details` (RFC 9396) as JSON text.
    pub authorization_details: Option<String>,
}

const MAX_TARGETS: usize = 16;
const MAX_AUDIENCE: usize = 2048;

impl TokenExchangeRequest {
    /// A request for `subject`, to be completed and sent by a client.
    #[must_use]
    pub fn new(token: impl Into<String>, token_type: TokenType) -> Self {
        Self {
            subject: SubjectToken {
                unverified_token: token.into(),
                token_type,
            },
            actor: None,
            requested_token_type: None,
            resources: Vec::new(),
            audiences: Vec::new(),
            scope: None,
            authorization_details: None,
        }
    }

    /// Reads the request from a form.
    ///
    /// # Errors
    ///
    /// [`Error`] for a repeated, missing or malformed parameter.
    pub fn from_form(form: &Form) -> Result<Self, Error> {
        form.check_repeats(&["resource", "audience"])?;
        if form.required("grant_type")? != GRANT_TYPE {
            return Err(Error::UnsupportedGrantType);
        }
        let subject = SubjectToken {
            unverified_token: form.required("subject_token")?.to_owned(),
            token_type: TokenType::parse(
                form.required("subject_token_type")?,
                "subject_token_type",
            )?,
        };
        let actor = match (form.get("actor_token"), form.get("actor_token_type")) {
            (None, None) => None,
            (Some(token), Some(token_type)) => Some(SubjectToken {
                unverified_token: token.to_owned(),
                token_type: TokenType::parse(token_type, "actor_token_type")?,
            }),
            (Some(_), None) => {
                return Err(Error::MissingParameter {
                    name: "actor_token_type",
                });
            }
            (None, Some(_)) => {
                return Err(Error::InvalidParameter {
                    name: "actor_token_type",
                });
            }
        };
        let requested = form.get("requested_token_type");
        let resources = form
            .get_all("resource")
            .map(ResourceIndicator::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let audiences: Vec<String> = form.get_all("audience").map(str::to_owned).collect();
        if resources.len() + audiences.len() > MAX_TARGETS {
            return Err(Error::TooManyTargets { limit: MAX_TARGETS });
        }
        if audiences
            .iter()
            .any(|audience| audience.len() > MAX_AUDIENCE)
        {
            return Err(Error::InvalidTarget);
        }
        Ok(Self {
            subject,
            actor,
            requested_token_type: requested
                .map(|text| TokenType::parse(text, "requested_token_type"))
                .transpose()?,
            resources,
            audiences,
            scope: form.get("scope").map(ScopeSet::parse).transpose()?,
            authorization_details: form.get("authorization_details").map(str::to_owned),
        })
    }

    /// Names the one target.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyTargets`] when there is one already: [`with_several_targets`](Self::with_several_targets) says
    /// that several are meant.
    pub fn with_resource(self, resource: ResourceIndicator) -> Result<Self, Error> {
        if self.targets().next().is_some() {
            return Err(Error::TooManyTargets { limit: 1 });
        }
        Ok(self.with_several_targets([resource]))
    }

    /// Adds targets to what is there: each of them can use the token at the others, unless it is bound to a key.
    #[must_use]
    pub fn with_several_targets(
        mut self,
        resources: impl IntoIterator<Item = ResourceIndicator>,
    ) -> Self {
        self.resources.extend(resources);
        self
    }

    /// The HTTP request to a token endpoint; client authentication adds its own header fields and parameters.
    ///
    /// # Errors
    ///
    /// [`Error::PlainTransport`] for an endpoint that is no `https` URL.
    pub fn to_request(&self, endpoint: &str) -> Result<Request<Vec<u8>>, Error> {
        let is_https = url::Url::parse(endpoint).is_ok_and(|url| url.scheme() == "https");
        if !is_https {
            return Err(Error::PlainTransport);
        }
        Request::post(endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(self.to_form().into_bytes())
            .map_err(|_| Error::PlainTransport)
    }

    /// Writes the form that a client sends; client authentication adds its own parameters.
    #[must_use]
    pub fn to_form(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", GRANT_TYPE);
        form.append_pair("subject_token", &self.subject.unverified_token);
        form.append_pair("subject_token_type", self.subject.token_type.as_str());
        if let Some(actor) = &self.actor {
            form.append_pair("actor_token", &actor.unverified_token);
            form.append_pair("actor_token_type", actor.token_type.as_str());
        }
        if let Some(requested) = &self.requested_token_type {
            form.append_pair("requested_token_type", requested.as_str());
        }
        for resource in &self.resources {
            form.append_pair("resource", resource.as_str());
        }
        for audience in &self.audiences {
            form.append_pair("audience", audience);
        }
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope.as_str());
        }
        if let Some(details) = &self.authorization_details {
            form.append_pair("authorization_details", details);
        }
        form.finish()
    }

    /// Every target, resources first, as it is written into `aud`.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.resources
            .iter()
            .map(ResourceIndicator::as_str)
            .chain(self.audiences.iter().map(String::as_str))
    }
}

/// Adds `authorization_details` (RFC 9396 section 6) to the form of a token request of any grant.
///
/// # Errors
///
/// [`Error::RepeatedParameter`] if the form has it already, [`Error::InvalidAuthorizationDetails`] for what is no array,
/// and as [`Form::parse`].
pub fn with_authorization_details(form: &str, details: &Value) -> Result<String, Error> {
    let parsed = Form::parse(form.as_bytes())?;
    if parsed.pairs().any(|(name, _)| name == DETAILS) {
        return Err(Error::RepeatedParameter { name: DETAILS });
    }
    if !details.is_array() {
        return Err(Error::InvalidAuthorizationDetails);
    }
    let mut form = form_urlencoded::Serializer::new(form.to_owned());
    form.append_pair(DETAILS, &details.to_string());
    Ok(form.finish())
}

const DETAILS: &str = "authorization_details";
