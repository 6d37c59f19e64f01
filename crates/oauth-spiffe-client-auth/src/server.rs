//! The authorization server's side: who is this client?

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Response};
use jose_x509::{CryptoProvider, ReplayGuard};
use pki_types::{CertificateDer, UnixTime};
use spiffe_bundle::{JwtBundleSource, WitBundleSource, X509BundleSource};
use spiffe_id::SpiffeId;
use svid::jwt::JwtSvidVerifier;
use svid::wit::WitSvidVerifier;
use svid::x509::{PeerRole, VerifyOptions};

use crate::error::Error;
use crate::method::Method;
use crate::pop;
use crate::registry::{ClientRegistry, RegisteredClient};

/// `client_assertion_type` of a JWT-SVID.
pub const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
/// The field of a WIT-SVID.
pub const CLIENT_ATTESTATION: &str = "oauth-client-attestation";
/// The field of its proof.
pub const CLIENT_ATTESTATION_POP: &str = "oauth-client-attestation-pop";

/// A token request, as far as client authentication is concerned.
#[derive(Clone, Copy)]
pub struct TokenRequest<'a> {
    /// The fields of the request.
    pub headers: &'a HeaderMap,
    /// The form's parameters, in order, repetitions included.
    pub form: &'a [(String, String)],
    /// The certificate chain of mutual TLS, leaf first, from the TLS layer; empty if there is none.
    /// Never from a field that a client could have written.
    pub peer: &'a [CertificateDer<'a>],
}

impl<'a> TokenRequest<'a> {
    /// A request of this head, form and TLS peer.
    #[must_use]
    pub fn new(
        parts: &'a Parts,
        form: &'a [(String, String)],
        peer: &'a [CertificateDer<'a>],
    ) -> Self {
        Self {
            headers: &parts.headers,
            form,
            peer,
        }
    }

    fn parameter(&self, name: &'static str) -> Result<Option<&'a str>, Error> {
        let mut values = self.form.iter().filter(|(other, _)| other == name);
        let value = values.next().map(|(_, value)| value.as_str());
        match values.next() {
            Some(_) => Err(Error::Malformed { name }),
            None => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    fn field(&self, name: &'static str) -> Result<Option<&'a str>, Error> {
        let mut values = self.headers.get_all(name).iter();
        let value = values
            .next()
            .map(|value| value.to_str().map_err(|_| Error::Malformed { name }))
            .transpose()?;
        if values.next().is_some() || value.is_some_and(|value| value.contains(',')) {
            return Err(Error::Malformed { name });
        }
        Ok(value)
    }
}

/// What was presented, not verified.
enum Presented<'a> {
    Jwt(&'a str),
    Wit(&'a str, &'a str),
    X509,
}

/// A client that has authenticated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthenticatedClient {
    /// The registration that fits.
    pub client: RegisteredClient,
    /// The workload.
    pub spiffe_id: SpiffeId,
    /// How it authenticated.
    pub method: Method,
    /// When the credential ends, in seconds since the epoch.
    pub expires: u64,
    /// SHA-256 of the leaf certificate, to bind tokens to (RFC 8705), for [`Method::SpiffeX509`].
    pub certificate_thumbprint: Option<[u8; 32]>,
}

/// Authenticates clients by their SVIDs. `B` finds bundles by trust domain.
#[derive(Clone, Debug)]
pub struct ClientAuthenticator<B> {
    issuer: String,
    bundles: B,
    provider: CryptoProvider,
    methods: Vec<Method>,
    max_jwt_lifetime: u64,
}

/// No WPT is verified here: the proof of a client is one towards the issuer identifier.
const NO_AUTHORITY: &str = "https://client-authentication.invalid";
/// JWT-SVIDs are reused by design, so a bounded life takes the place of a one-time rule.
const MAX_JWT_LIFETIME: u64 = 3600;

impl<B: X509BundleSource + JwtBundleSource + WitBundleSource> ClientAuthenticator<B> {
    /// An authenticator for the server with this issuer identifier, with all three methods.
    #[must_use]
    pub fn new(issuer: impl Into<String>, bundles: B, provider: CryptoProvider) -> Self {
        Self {
            issuer: issuer.into(),
            bundles,
            provider,
            methods: Method::ALL.to_vec(),
            max_jwt_lifetime: MAX_JWT_LIFETIME,
        }
    }

    /// Enables these methods only.
    #[must_use]
    pub fn with_methods(mut self, methods: &[Method]) -> Self {
        self.methods = methods.to_vec();
        self
    }

    /// Authenticates the client of a token request.
    ///
    /// A certificate of mutual TLS counts as the method `spiffe_x509` only if the request presents nothing
    /// else: workloads use mutual TLS as transport too.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::to_response`] is what the client may see of it.
    pub fn authenticate(
        &self,
        request: &TokenRequest<'_>,
        clients: &(impl ClientRegistry + ?Sized),
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<AuthenticatedClient, Error> {
        let presented = self.presented(request)?;
        let client_id = request.parameter("client_id")?;
        let (spiffe_id, method, expires, certificate_thumbprint) = match presented {
            Presented::Jwt(assertion) => {
                let (id, expires) = self.jwt_svid(assertion, now)?;
                (id, Method::SpiffeJwt, expires, None)
            }
            Presented::Wit(wit, proof) => {
                let verifier = WitSvidVerifier::new(NO_AUTHORITY).map_err(Error::WitSvid)?;
                let verified = verifier
                    .verify_wit(wit, &self.bundles, now)
                    .map_err(Error::WitSvid)?;
                pop::verify(proof, verified.wit(), &self.issuer, replay, now)?;
                let expires = verified.wit().jwt().expires().unwrap_or_default();
                (
                    verified.unproven_spiffe_id().clone(),
                    Method::SpiffeWit,
                    expires,
                    None,
                )
            }
            Presented::X509 => {
                let options = VerifyOptions::new(PeerRole::Client);
                let algorithms = self.provider.certificate_algorithms;
                let identity =
                    svid::x509::verify(request.peer, &self.bundles, &options, algorithms, now)
                        .map_err(Error::X509Svid)?
                        .proven_by_tls();
                let id = identity.spiffe_id().clone();
                // Section 3.2: `client_id` is required, and it is the SPIFFE ID of the certificate.
                if client_id != Some(id.as_str()) {
                    return Err(Error::UnknownClient);
                }
                let thumbprint = request.peer.first().map(|leaf| self.provider.sha256(leaf));
                (
                    id,
                    Method::SpiffeX509,
                    identity.not_after().as_secs(),
                    thumbprint,
                )
            }
        };
        let client = registration(clients, &spiffe_id, client_id, method)?;
        Ok(AuthenticatedClient {
            client,
            spiffe_id,
            method,
            expires,
            certificate_thumbprint,
        })
    }

    /// Whether a refusal has to be answered with `WWW-Authenticate`, and the whole response.
    #[must_use]
    pub fn refuse(&self, request: &TokenRequest<'_>, error: &Error) -> Response<Vec<u8>> {
        error.to_response(request.headers.contains_key(AUTHORIZATION))
    }

    fn presented<'a>(&self, request: &TokenRequest<'a>) -> Result<Presented<'a>, Error> {
        let assertion = request.parameter("client_assertion")?;
        let assertion_type = request.parameter("client_assertion_type")?;
        let wit = request.field(CLIENT_ATTESTATION)?;
        let proof = request.field(CLIENT_ATTESTATION_POP)?;
        let secret = request.parameter("client_secret")?.is_some()
            || request.headers.contains_key(AUTHORIZATION);
        let by_jwt = assertion.is_some() || assertion_type.is_some();
        let by_wit = wit.is_some() || proof.is_some();
        if secret && (by_jwt || by_wit || !request.peer.is_empty()) || (by_jwt && by_wit) {
            return Err(Error::SeveralMethods);
        }
        let (presented, method) = if by_jwt {
            let assertion = assertion.ok_or(Error::Malformed {
                name: "client_assertion",
            })?;
            if assertion_type.ok_or(Error::Malformed {
                name: "client_assertion_type",
            })? != JWT_SPIFFE
            {
                return Err(Error::AssertionType);
            }
            (Presented::Jwt(assertion), Method::SpiffeJwt)
        } else if by_wit {
            let wit = wit.ok_or(Error::Malformed {
                name: CLIENT_ATTESTATION,
            })?;
            let proof = proof.ok_or(Error::Malformed {
                name: CLIENT_ATTESTATION_POP,
            })?;
            (Presented::Wit(wit, proof), Method::SpiffeWit)
        } else if !request.peer.is_empty() {
            (Presented::X509, Method::SpiffeX509)
        } else {
            return Err(Error::NoMethod);
        };
        if self.methods.contains(&method) {
            Ok(presented)
        } else {
            Err(Error::NoMethod)
        }
    }

    fn jwt_svid(&self, assertion: &str, now: UnixTime) -> Result<(SpiffeId, u64), Error> {
        let verifier = JwtSvidVerifier::new(self.issuer.clone())
            .map_err(Error::JwtSvid)?
            .requiring_single_audience();
        let svid = verifier
            .verify(assertion, &self.bundles, now)
            .map_err(Error::JwtSvid)?;
        let expires = svid.expires().as_secs();
        if expires > now.as_secs().saturating_add(self.max_jwt_lifetime) {
            return Err(Error::LivesTooLong {
                limit: self.max_jwt_lifetime,
            });
        }
        Ok((svid.spiffe_id().clone(), expires))
    }
}

/// The one registration that fits the workload, the method and, if it is there, `client_id`.
fn registration(
    clients: &(impl ClientRegistry + ?Sized),
    id: &SpiffeId,
    client_id: Option<&str>,
    method: Method,
) -> Result<RegisteredClient, Error> {
    let named = client_id.map(|name| (name, clients.by_client_id(name)));
    match named {
        Some((_, Some(client))) => {
            return if client.accepts(id.into(), method) {
                Ok(client)
            } else {
                Err(Error::UnknownClient)
            };
        }
        // With these methods `client_id` may be the SPIFFE ID itself, which then stands for the registration
        // that it is associated with.
        Some((name, None)) if method != Method::SpiffeJwt && name == id.as_str() => {}
        Some(_) => return Err(Error::UnknownClient),
        None => {}
    }
    let mut fitting = clients
        .by_spiffe_id(id.into())
        .into_iter()
        .filter(|client| client.accepts(id.into(), method));
    match (fitting.next(), fitting.next()) {
        (Some(client), None) => Ok(client),
        (None, _) => Err(Error::UnknownClient),
        (Some(_), Some(_)) => Err(Error::AmbiguousClient),
    }
}
