//! The form of a token request.

use std::ops::Deref;

use http::{Method, header, request::Parts};
use jose_x509::form::{self, FormError};

use crate::error::Error;

pub use jose_x509::form::MAX_FORM;

/// The parameters of a token request, [strictly read](form::Form). Values may be secrets: `Debug` shows names only.
#[derive(Clone, PartialEq, Eq)]
pub struct Form(form::Form);

impl Form {
    /// Reads the form of a request whose head and body are given.
    ///
    /// # Errors
    ///
    /// [`Error::NotAForm`] for another method, media type or parameters in the query;
    /// [`Error::FormTooLarge`], [`Error::FormEncoding`].
    pub fn from_request(parts: &Parts, body: &[u8]) -> Result<Self, Error> {
        let mut types = parts.headers.get_all(header::CONTENT_TYPE).iter();
        let is_form = match (types.next(), types.next()) {
            (Some(value), None) => value.to_str().is_ok_and(form::is_form),
            _ => false,
        };
        if parts.method != Method::POST
            || !is_form
            || parts.uri.query().is_some_and(|query| !query.is_empty())
        {
            return Err(Error::NotAForm);
        }
        Self::parse(body)
    }

    /// Reads a form body.
    ///
    /// # Errors
    ///
    /// [`Error::FormTooLarge`], [`Error::FormEncoding`].
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        form::Form::parse(body)
            .map(Self)
            .map_err(|error| match error {
                FormError::TooLarge => Error::FormTooLarge { limit: MAX_FORM },
                _ => Error::FormEncoding,
            })
    }

    /// Refuses every repetition except of the named parameters.
    ///
    /// # Errors
    ///
    /// [`Error::RepeatedParameter`].
    pub fn check_repeats(&self, repeatable: &[&str]) -> Result<(), Error> {
        let mut rest = self.pairs();
        while let Some((name, _)) = rest.next() {
            if !repeatable.contains(&name) && rest.clone().any(|(other, _)| other == name) {
                let known = KNOWN.into_iter().find(|known| *known == name);
                return Err(Error::RepeatedParameter {
                    name: known.unwrap_or("another parameter"),
                });
            }
        }
        Ok(())
    }

    /// The value of a required parameter.
    ///
    /// # Errors
    ///
    /// [`Error::MissingParameter`].
    pub fn required(&self, name: &'static str) -> Result<&str, Error> {
        self.get(name).ok_or(Error::MissingParameter { name })
    }
}

impl Deref for Form {
    type Target = form::Form;

    fn deref(&self) -> &form::Form {
        &self.0
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

const KNOWN: [&str; 12] = [
    "grant_type",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "scope",
    "authorization_details",
    "client_id",
    "client_assertion",
    "client_assertion_type",
    "request_context",
];
