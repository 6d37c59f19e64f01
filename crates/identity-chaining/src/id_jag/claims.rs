//! What an ID-JAG says beyond every other grant (draft section 3.1).

use serde_json::Value;
use token_exchange::ActorChain;

use super::SAML_NAMEID;
use super::name_id::SamlNameId;
use crate::error::Error;
use crate::grant::AuthorizationGrant;

const MAX_DETAILS: usize = 64;

/// `sub_id`: the same user in other names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectId {
    /// A SAML `NameID`.
    SamlNameId(SamlNameId),
    /// A format that is not known here.
    Other,
}

/// The claims of an ID-JAG whose signature, issuer, audience and times were verified, as its issuer states them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdJagClaims {
    /// `tenant` of the issuer, within which `sub` is a name.
    pub tenant: Option<String>,
    /// `aud_tenant`: the tenant of this server.
    pub aud_tenant: Option<String>,
    /// `aud_sub`: this server's own name of the user.
    pub aud_sub: Option<String>,
    /// `email`: a hint.
    pub email: Option<String>,
    /// `email_verified`.
    pub email_verified: bool,
    /// `sub_id`.
    pub sub_id: Option<SubjectId>,
    /// `auth_time` in seconds since the epoch.
    pub auth_time: Option<u64>,
    /// `acr`.
    pub acr: Option<String>,
    /// `amr`.
    pub amr: Vec<String>,
    /// `authorization_details`: an array of objects with `type`.
    pub authorization_details: Option<Value>,
    /// `act`.
    pub actors: Option<ActorChain>,
}

impl IdJagClaims {
    /// Reads the claims.
    ///
    /// # Errors
    ///
    /// [`Error::GrantClaim`] for one of the wrong type.
    pub fn read(grant: &AuthorizationGrant) -> Result<Self, Error> {
        let claims = grant.claims();
        let wrong = |claim| Error::GrantClaim { claim };
        let text = |claim: &'static str| match claims.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(_) => Err(wrong(claim)),
        };
        let amr = match claims.get("amr") {
            None => Vec::new(),
            Some(Value::Array(methods)) => methods
                .iter()
                .map(|method| method.as_str().map(str::to_owned).ok_or(wrong("amr")))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(wrong("amr")),
        };
        let actors = claims.get("act").map(ActorChain::from_value).transpose();
        Ok(Self {
            tenant: text("tenant")?,
            aud_tenant: text("aud_tenant")?,
            aud_sub: text("aud_sub")?,
            email: text("email")?,
            email_verified: match claims.get("email_verified") {
                None => false,
                Some(Value::Bool(verified)) => *verified,
                Some(_) => return Err(wrong("email_verified")),
            },
            sub_id: claims.get("sub_id").map(subject_id).transpose()?,
            auth_time: match claims.get("auth_time") {
                None => None,
                Some(time) => Some(time.as_u64().ok_or(wrong("auth_time"))?),
            },
            acr: text("acr")?,
            amr,
            authorization_details: match claims.get("authorization_details") {
                None => None,
                Some(details) if are_details(details) => Some(details.clone()),
                Some(_) => return Err(wrong("authorization_details")),
            },
            actors: actors.map_err(|_| wrong("act"))?,
        })
    }
}

fn subject_id(value: &Value) -> Result<SubjectId, Error> {
    let wrong = Error::GrantClaim { claim: "sub_id" };
    let members = value.as_object().ok_or(wrong.clone())?;
    match members.get("format") {
        Some(Value::String(format)) if format == SAML_NAMEID => {
            SamlNameId::from_members(members).map(SubjectId::SamlNameId)
        }
        Some(Value::String(format)) if !format.is_empty() => Ok(SubjectId::Other),
        _ => Err(wrong),
    }
}

fn are_details(value: &Value) -> bool {
    let typed = |detail: &Value| detail.get("type").is_some_and(Value::is_string);
    value
        .as_array()
        .is_some_and(|details| details.len() <= MAX_DETAILS && details.iter().all(typed))
}
