//! The client's side: put the credential into a token request.

use http::{HeaderMap, HeaderName, HeaderValue};
use jose_x509::{CryptoProvider, Signer};
use pki_types::UnixTime;

use crate::error::Error;
use crate::pop;
use crate::server::{CLIENT_ATTESTATION, CLIENT_ATTESTATION_POP, JWT_SPIFFE};

/// Adds a JWT-SVID, which must have been issued for the server's issuer identifier and nobody else.
pub fn with_jwt_svid(form: &mut Vec<(String, String)>, client_id: Option<&str>, svid: &str) {
    let mut put = |name: &str, value: &str| form.push((name.to_owned(), value.to_owned()));
    put("client_assertion_type", JWT_SPIFFE);
    put("client_assertion", svid);
    if let Some(client_id) = client_id {
        put("client_id", client_id);
    }
}

/// Adds what goes with an X509-SVID over mutual TLS: `client_id` is the SPIFFE ID itself.
pub fn with_x509_svid(form: &mut Vec<(String, String)>, spiffe_id: &spiffe_id::SpiffeId) {
    form.push(("client_id".to_owned(), spiffe_id.as_str().to_owned()));
}

/// Adds a WIT-SVID and a fresh proof of possession towards the server with this issuer identifier.
///
/// # Errors
///
/// [`Error::Proof`] when signing fails, [`Error::FieldValue`].
pub fn with_wit_svid(
    headers: &mut HeaderMap,
    wit: &str,
    signer: &(impl Signer + ?Sized),
    provider: &CryptoProvider,
    server_issuer: &str,
    now: UnixTime,
) -> Result<(), Error> {
    let proof = pop::sign(signer, provider, server_issuer, now)?;
    for (name, value) in [(CLIENT_ATTESTATION, wit), (CLIENT_ATTESTATION_POP, &proof)] {
        let mut value = HeaderValue::from_str(value).map_err(|_| Error::FieldValue)?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(())
}

/// The form as a body.
#[must_use]
pub fn encode(form: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}
