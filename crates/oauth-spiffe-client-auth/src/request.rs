//! A token request, as a server reads it.

use http::HeaderMap;
use http::request::Parts;
use jose_x509::dpop::ProofTarget;
use pki_types::CertificateDer;

use crate::error::Error;

/// A token request, as far as client authentication is concerned.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct TokenRequest<'a> {
    /// The fields of the request.
    pub headers: &'a HeaderMap,
    /// The form's parameters, in order, repetitions included.
    pub form: &'a [(String, String)],
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
        form: &'a [(String, String)],
        peer: &'a [CertificateDer<'a>],
    ) -> Self {
        Self::of(&parts.headers, form, peer)
    }

    /// A request with these fields, form and TLS peer.
    #[must_use]
    pub fn of(
        headers: &'a HeaderMap,
        form: &'a [(String, String)],
        peer: &'a [CertificateDer<'a>],
    ) -> Self {
        Self {
            headers,
            form,
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
        parameter(self.form, name)
    }
}

/// Longest form in bytes.
pub const MAX_FORM: usize = 64 * 1024;
/// Most parameters in a form.
pub const MAX_PARAMETERS: usize = 64;

/// Reads the form of a token request: a POST whose body is a form, in UTF-8. Parameters in the URL are none.
///
/// # Errors
///
/// [`Error::Malformed`] for another method or media type, and above [`MAX_FORM`] and [`MAX_PARAMETERS`].
pub fn read_form(parts: &Parts, body: &[u8]) -> Result<Vec<(String, String)>, Error> {
    if parts.method != http::Method::POST {
        return Err(Error::Malformed { name: "method" });
    }
    let media_type = parts.headers.get(http::header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let bare = media_type.and_then(|value| value.split(';').next());
    let is_form = |bare: &str| {
        bare.trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    };
    if !bare.is_some_and(is_form) {
        return Err(Error::Malformed {
            name: "content-type",
        });
    }
    let name = "body";
    if body.len() > MAX_FORM {
        return Err(Error::Malformed { name });
    }
    let mut pairs = Vec::new();
    for (parameter, value) in form_urlencoded::parse(body) {
        // What is no UTF-8 is replaced by this character, which no parameter of OAuth has.
        let replaced = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        if pairs.len() == MAX_PARAMETERS || replaced(&parameter) || replaced(&value) {
            return Err(Error::Malformed { name });
        }
        pairs.push((parameter.into_owned(), value.into_owned()));
    }
    Ok(pairs)
}

/// The value of a parameter, which occurs once; an empty one is none.
pub(crate) fn parameter<'a>(
    form: &'a [(String, String)],
    name: &'static str,
) -> Result<Option<&'a str>, Error> {
    let mut values = form.iter().filter(|(other, _)| other == name);
    let value = values.next().map(|(_, value)| value.as_str());
    match values.next() {
        Some(_) => Err(Error::Malformed { name }),
        None => Ok(value.filter(|value| !value.is_empty())),
    }
}
