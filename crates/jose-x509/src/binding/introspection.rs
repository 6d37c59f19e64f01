//! What an introspection response (RFC 7662) says of a token's binding.

use serde_json::Value;

use super::error::BindingError;
use crate::error::Error;
use crate::json;
use crate::jwt::Confirmation;

/// The binding of an active token. It is as good as the way it came: an introspection endpoint has to be
/// authenticated, since nobody notices a `cnf` that was taken out on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    token_type: Option<String>,
    confirmation: Option<Confirmation>,
}

impl Introspection {
    /// Reads a response; `None` for a token that is not active.
    ///
    /// # Errors
    ///
    /// [`Error::Json`]; [`BindingError::Introspection`] without `active` or for a member of the wrong type; the errors
    /// of [`Confirmation::from_value`]; [`BindingError::IntrospectionType`] for a `token_type` that contradicts `cnf.jkt`,
    /// with which it is `DPoP` if it is there (RFC 9449 section 6.2).
    pub fn from_slice(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let members = json::object(bytes, &json::Limits::CLAIMS).map_err(|source| Error::Json {
            what: "introspection response",
            source,
        })?;
        match members.get("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Ok(None),
            _ => return Err(BindingError::Introspection { member: "active" }.into()),
        }
        let token_type = match members.get("token_type") {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => {
                let member = "token_type";
                return Err(BindingError::Introspection { member }.into());
            }
        };
        let confirmation = members
            .get("cnf")
            .map(Confirmation::from_value)
            .transpose()?;
        let bound = confirmation.as_ref().is_some_and(|cnf| cnf.jkt.is_some());
        if token_type
            .as_deref()
            .is_some_and(|token_type| token_type.eq_ignore_ascii_case("DPoP") != bound)
        {
            return Err(BindingError::IntrospectionType.into());
        }
        Ok(Some(Self {
            token_type,
            confirmation,
        }))
    }

    /// `token_type`.
    #[must_use]
    pub fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }

    /// `cnf`, to be checked like that of a JWT.
    #[must_use]
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
    }
}
