//! A token request, as a server reads it.

use std::fmt;

use http::HeaderMap;
use http::request::Parts;
use jose_x509::dpop::ProofTarget;
use jose_x509::form::{self, Form};
use pki_types::CertificateDer;

use crate::error::Error;

/// A token request, as far as client authentication is concerned.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct TokenRequest<'a> {
    /// The fields of the request.
    pub headers: &'a HeaderMap,
    /// The form's parameters, in order, repetitions included.
    pub form: Parameters<'a>,
    /// The certificate chain of mutual TLS, leaf first, from the TLS layer; empty if there is none.
    /// Never from a field that a client could have written.
    pub peer: &'a [CertificateDer<'a>],
    /// Method and target, for DPoP proofs.
    pub target: Option<ProofTarget<'a>>,
}

impl<'a> TokenRequest<'a> {
    /// A request of this head, form and TLS peer.
    #[must_use]
    pub fn new(
        parts: &'a Parts,
        form: impl Into<Parameters<'a>>,
        peer: &'a [CertificateDer<'a>],
    ) -> Self {
        Self::of(&parts.headers, form, peer)
    }

    /// A request with these fields, form and TLS peer.
    #[must_use]
    pub fn of(
        headers: &'a HeaderMap,
        form: impl Into<Parameters<'a>>,
        peer: &'a [CertificateDer<'a>],
    ) -> Self {
        Self {
            headers,
            form: form.into(),
            peer,
            target: None,
        }
    }

    /// The method and target of the request, for servers that verify DPoP proofs. With WIT-SVIDs and attestations the request's
    /// DPoP proof is then verified and spent, and [`ProvenKey::dpop`](crate::pop::ProvenKey::dpop) has it.
    #[must_use]
    pub fn with_target(mut self, target: ProofTarget<'a>) -> Self {
        self.target = Some(target);
        self
    }

    pub(crate) fn parameter(&self, name: &'static str) -> Result<Option<&'a str>, Error> {
        self.form.single(name)
    }
}

/// The parameters of a form, in order, repetitions included: of a [`Form`], or of a list of names and values that was
/// read by others.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Form(&'a Form),
    Pairs(&'a [(String, String)]),
}

impl<'a> Parameters<'a> {
    /// The value of a parameter, which occurs once; an empty one is none.
    pub(crate) fn single(self, name: &'static str) -> Result<Option<&'a str>, Error> {
        match self.0 {
            Source::Form(form) => single(form.pairs(), name),
            Source::Pairs(pairs) => {
                let texts = |(name, value): &'a (String, String)| (name.as_str(), value.as_str());
                single(pairs.iter().map(texts), name)
            }
        }
    }
}

fn single<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
    name: &'static str,
) -> Result<Option<&'a str>, Error> {
    let mut values = pairs.filter(|(other, _)| *other == name);
    let value = values.next().map(|(_, value)| value);
    match values.next() {
        Some(_) => Err(Error::Malformed { name }),
        None => Ok(value.filter(|value| !value.is_empty())),
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(form) => form.fmt(f),
            Self::Pairs(pairs) => f
                .debug_list()
                .entries(pairs.iter().map(|(name, _)| name))
                .finish(),
        }
    }
}

impl<'a> From<&'a Form> for Parameters<'a> {
    fn from(form: &'a Form) -> Self {
        Self(Source::Form(form))
    }
}

impl<'a> From<&'a [(String, String)]> for Parameters<'a> {
    fn from(pairs: &'a [(String, String)]) -> Self {
        Self(Source::Pairs(pairs))
    }
}

impl<'a> From<&'a Vec<(String, String)>> for Parameters<'a> {
    fn from(pairs: &'a Vec<(String, String)>) -> Self {
        pairs.as_slice().into()
    }
}

impl<'a, const N: usize> From<&'a [(String, String); N]> for Parameters<'a> {
    fn from(pairs: &'a [(String, String); N]) -> Self {
        pairs.as_slice().into()
    }
}

/// Reads the form of a token request: a POST whose body is a form, [strictly read](Form). Parameters in the URL are none.
///
/// # Errors
///
/// [`Error::Malformed`] for another method or media type, and for what [`Form::parse`] refuses.
pub fn read_form(parts: &Parts, body: &[u8]) -> Result<Form, Error> {
    if parts.method != http::Method::POST {
        return Err(Error::Malformed { name: "method" });
    }
    let media_type = parts.headers.get(http::header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    if !media_type.is_some_and(form::is_form) {
        let name = "content-type";
        return Err(Error::Malformed { name });
    }
    Form::parse(body).map_err(|_| Error::Malformed { name: "body" })
}
