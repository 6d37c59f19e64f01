//! The client's side: put the credential into a token request.
//!
//! [`OutgoingRequest::authenticate`] chooses among the methods that the server's metadata advertise; the functions `with_…`
//! add what one method needs.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use jose_x509::{CryptoProvider, Signer};
use pki_types::UnixTime;
use spiffe_id::SpiffeId;

use crate::attestation::{Challenge, PopMethod};
use crate::error::Error;
use crate::metadata::ServerMetadata;
use crate::method::Method;
use crate::pop;
use crate::server::{CLIENT_ATTESTATION, CLIENT_ATTESTATION_POP, JWT_SPIFFE};

/// A workload's SVIDs. Each is given out for the method that was chosen, and for one server.
pub trait SvidSource {
    /// The X509-SVID that the connection to the server uses: its SPIFFE ID. Who the server is gets verified by the
    /// roots of the web, never by a SPIFFE bundle.
    fn x509_svid(&self) -> Option<SpiffeId> {
        None
    }

    /// A WIT-SVID with its key.
    fn wit_svid(&self) -> Option<WitCredential> {
        None
    }

    /// A JWT-SVID whose sole audience is `issuer`, the validated issuer identifier of the server.
    fn jwt_svid(&self, issuer: &str) -> Option<String> {
        let _ = issuer;
        None
    }

    /// The methods that there are credentials for: at least one.
    fn methods(&self) -> Vec<Method>;
}

/// A WIT-SVID with the key in its `cnf`.
#[derive(Clone)]
pub struct WitCredential {
    token: String,
    signer: Arc<dyn Signer>,
    provider: CryptoProvider,
}

impl WitCredential {
    /// A token with the signer of its key.
    #[must_use]
    pub fn new(
        token: impl Into<String>,
        signer: impl Signer + 'static,
        provider: &CryptoProvider,
    ) -> Self {
        Self {
            token: token.into(),
            signer: Arc::new(signer),
            provider: *provider,
        }
    }
}

/// Without token and key.
impl std::fmt::Debug for WitCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WitCredential(..)")
    }
}

/// A token request on its way out.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OutgoingRequest {
    /// The form's parameters.
    pub form: Vec<(String, String)>,
    /// The fields.
    pub headers: HeaderMap,
}

impl OutgoingRequest {
    /// A request with these parameters.
    #[must_use]
    pub fn new<'a>(form: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            form: form.into_iter().map(owned).collect(),
            headers: HeaderMap::new(),
        }
    }

    /// Adds the credential for the strongest method that the server advertises and the source has, and tells which it
    /// is. There is no falling back to a secret or to nothing. `challenge` is the latest one of this server.
    ///
    /// # Errors
    ///
    /// [`Error::NoCommonMethod`] before anything is added, [`Error::SeveralMethods`] for a request that authenticates
    /// already, [`Error::Proof`], [`Error::FieldValue`].
    pub fn authenticate(
        &mut self,
        source: &(impl SvidSource + ?Sized),
        client_id: Option<&str>,
        server: &ServerMetadata,
        challenge: Option<&Challenge>,
        now: UnixTime,
    ) -> Result<Method, Error> {
        let mut available = source.methods();
        available.retain(|method| Method::SPIFFE.contains(method));
        let wit = source
            .wit_svid()
            .filter(|_| available.contains(&Method::SpiffeWit));
        if let Some(wit) = &wit {
            let proof = PopMethod::AttestationPopJwt;
            if !server.takes_algorithm(proof, wit.signer.algorithm())? {
                available.retain(|method| *method != Method::SpiffeWit);
            }
        }
        let method = server.choose_method(&available)?;
        if self.is_authenticated() {
            return Err(Error::SeveralMethods);
        }
        // A source that says less than it has is as good as one that has nothing.
        match method {
            Method::SpiffeX509 => {
                let id = source.x509_svid().ok_or(Error::NoCommonMethod)?;
                self.form.retain(|(name, _)| name != "client_id");
                with_x509_svid(&mut self.form, &id);
            }
            Method::SpiffeWit => {
                let wit = wit.ok_or(Error::NoCommonMethod)?;
                with_wit_svid(
                    &mut self.headers,
                    &wit.token,
                    &wit.signer,
                    &wit.provider,
                    server.identifier(),
                    challenge,
                    now,
                )?;
                self.name_client(client_id);
            }
            _ => {
                let svid = source
                    .jwt_svid(server.identifier())
                    .ok_or(Error::NoCommonMethod)?;
                with_jwt_svid(&mut self.form, None, &svid);
                self.name_client(client_id);
            }
        }
        Ok(method)
    }

    /// The request, to the token endpoint for the method that it authenticates with.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for a server without token endpoint.
    pub fn into_request(
        mut self,
        server: &ServerMetadata,
        method: Method,
    ) -> Result<Request<String>, Error> {
        let endpoint = server.token_endpoint(method)?;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.headers.insert(CONTENT_TYPE, form);
        let mut request = Request::post(endpoint)
            .body(encode(&self.form))
            .map_err(|_| Error::Metadata {
                member: "token_endpoint",
            })?;
        *request.headers_mut() = self.headers;
        Ok(request)
    }

    fn name_client(&mut self, client_id: Option<&str>) {
        if let Some(client_id) = client_id {
            self.form.retain(|(name, _)| name != "client_id");
            self.form
                .push(("client_id".to_owned(), client_id.to_owned()));
        }
    }

    fn is_authenticated(&self) -> bool {
        let parameters = ["client_assertion", "client_assertion_type", "client_secret"];
        let by_form = |(name, _): &(String, String)| parameters.contains(&name.as_str());
        self.form.iter().any(by_form)
            || self.headers.contains_key(AUTHORIZATION)
            || self.headers.contains_key(CLIENT_ATTESTATION)
            || self.headers.contains_key(CLIENT_ATTESTATION_POP)
    }
}

/// Adds a JWT-SVID, which must have been issued for the server's issuer identifier and nobody else.
pub fn with_jwt_svid(form: &mut Vec<(String, String)>, client_id: Option<&str>, svid: &str) {
    with_assertion(form, client_id, JWT_SPIFFE, svid);
}

/// Adds a client assertion of RFC 7523.
pub fn with_client_assertion(
    form: &mut Vec<(String, String)>,
    client_id: Option<&str>,
    assertion: &str,
) {
    with_assertion(form, client_id, crate::assertion::JWT_BEARER, assertion);
}

fn with_assertion(
    form: &mut Vec<(String, String)>,
    client_id: Option<&str>,
    assertion_type: &str,
    assertion: &str,
) {
    let mut put = |name: &str, value: &str| form.push((name.to_owned(), value.to_owned()));
    put("client_assertion_type", assertion_type);
    put("client_assertion", assertion);
    if let Some(client_id) = client_id {
        put("client_id", client_id);
    }
}

/// Adds what goes with an X509-SVID over mutual TLS: `client_id` is the SPIFFE ID itself.
pub fn with_x509_svid(form: &mut Vec<(String, String)>, spiffe_id: &SpiffeId) {
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
    challenge: Option<&Challenge>,
    now: UnixTime,
) -> Result<(), Error> {
    let proof = pop::sign(signer, provider, server_issuer, challenge, now)?;
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
