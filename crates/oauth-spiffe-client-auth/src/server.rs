//! The authorization server's side: who is this client?

use std::sync::Arc;

use http::Response;
use http::header::AUTHORIZATION;
use jose_x509::jws::{HeaderRules, Limits, UnverifiedJws};
use jose_x509::jwt::peek_claims;
use jose_x509::{CryptoProvider, Error as JoseError, ReplayGuard, VerifyingKey};
use pki_types::UnixTime;
use serde_json::{Map, Value};
use spiffe_bundle::{JwtBundleSource, WitBundleSource, X509BundleSource};
use spiffe_id::SpiffeId;
use svid::jwt::JwtSvidVerifier;
use svid::wit::WitSvidVerifier;
use svid::x509::{PeerRole, VerifyOptions};

use crate::assertion::JWT_BEARER;
use crate::attestation::{
    self, ATTESTATION_TYPE, AttestationVerifier, AttesterTrust, InstanceBinding, PopMethod,
};
use crate::bundles::Bundles;
use crate::decoy;
use crate::error::Error;
use crate::metadata::is_identifier;
use crate::method::{self, Method};
use crate::pop::{MAX_FIELD, PopVerifier, ProvenKey, field};
use crate::registry::{ClientRegistry, RegisteredClient};
pub use crate::request::{Parameters, TokenRequest, read_form};
pub use jose_x509::form::{Form, MAX_FORM, MAX_PARAMETERS};

/// `client_assertion_type` of a JWT-SVID.
pub const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
pub use crate::attestation::{CLIENT_ATTESTATION, CLIENT_ATTESTATION_POP};

/// What was presented, not verified.
enum Presented<'a> {
    Jwt(&'a str),
    Assertion(&'a str),
    Wit(&'a str),
    Attestation(&'a str),
    X509,
}

/// A client that has authenticated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthenticatedClient {
    /// The registration that fits.
    pub client: RegisteredClient,
    /// The workload, for the methods of SVIDs. None where only the client's own bundle vouches for it: that makes it this
    /// client, and no workload of a trust domain that this server knows.
    pub spiffe_id: Option<SpiffeId>,
    /// How it authenticated.
    pub method: Method,
    /// When the credential ends, in seconds since the epoch.
    pub expires: u64,
    /// SHA-256 of the leaf certificate, to bind tokens to (RFC 8705), for [`Method::SpiffeX509`].
    pub certificate_thumbprint: Option<[u8; 32]>,
    /// The proof of possession, for WIT-SVIDs and attestations.
    pub proof: Option<Arc<ProvenKey>>,
}

impl AuthenticatedClient {
    /// The key that codes and refresh tokens of this request have to be bound to, for WIT-SVIDs and attestations.
    #[must_use]
    pub fn binding(&self) -> Option<InstanceBinding> {
        self.proof
            .as_ref()
            .map(|proof| InstanceBinding::new(proof.jkt()))
    }
}

/// Authenticates clients by all methods that are enabled. `B` finds bundles by trust domain.
#[derive(Clone)]
pub struct ClientAuthenticator<B> {
    issuer: String,
    bundles: B,
    provider: CryptoProvider,
    methods: Vec<Method>,
    /// For an issuer identifier that is none, what is wrong with it.
    jwt_svids: Result<JwtSvidVerifier, Error>,
    max_jwt_lifetime: u64,
    proofs: PopVerifier,
    attestations: Option<(AttestationVerifier, Arc<dyn AttesterTrust>)>,
    client_bundles: bool,
    decoy: Option<VerifyingKey>,
}

/// No WPT is verified here: the proof of a client is one towards the issuer identifier.
const NO_AUTHORITY: &str = "https://client-authentication.invalid";
/// JWT-SVIDs are reused by design, so a bounded life takes the place of a one-time rule.
const MAX_JWT_LIFETIME: u64 = 3600;

impl<B: X509BundleSource + JwtBundleSource + WitBundleSource> ClientAuthenticator<B> {
    /// An authenticator for the server with this issuer identifier, with the three methods of SVIDs.
    #[must_use]
    pub fn new(issuer: impl Into<String>, bundles: B, provider: CryptoProvider) -> Self {
        let issuer = issuer.into();
        let jwt_svids = JwtSvidVerifier::new(issuer.clone()).map_err(Error::JwtSvid);
        Self {
            jwt_svids: jwt_svids.map(JwtSvidVerifier::requiring_single_audience),
            proofs: PopVerifier::new(issuer.clone()),
            issuer,
            bundles,
            provider,
            methods: Method::SPIFFE.to_vec(),
            max_jwt_lifetime: MAX_JWT_LIFETIME,
            attestations: None,
            client_bundles: false,
            decoy: None,
        }
    }

    /// Enables these methods of SVIDs only.
    #[must_use]
    pub fn with_methods(mut self, methods: &[Method]) -> Self {
        self.methods
            .retain(|method| !Method::SPIFFE.contains(method));
        let spiffe = |method: &&Method| Method::SPIFFE.contains(*method);
        self.methods.extend(methods.iter().filter(spiffe));
        self
    }

    /// Changes the rules for the proofs of WIT-SVIDs and attestations, such as
    /// `|proofs| Ok(proofs.with_challenges(source))`. With DPoP in combined mode a WIT-SVID may be proven that way too.
    ///
    /// # Errors
    ///
    /// What `change` says.
    pub fn with_proofs(
        mut self,
        change: impl FnOnce(PopVerifier) -> Result<PopVerifier, Error>,
    ) -> Result<Self, Error> {
        self.proofs = change(self.proofs)?;
        Ok(self)
    }

    /// Also authenticates clients by attestations of these attesters.
    #[must_use]
    pub fn with_attestations(
        mut self,
        attestations: AttestationVerifier,
        trust: Arc<dyn AttesterTrust>,
    ) -> Self {
        self.attestations = Some((attestations, trust));
        self
    }

    /// Also authenticates clients by assertions with registered keys (RFC 7523).
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] without an issuer identifier: an `https` URL without query and fragment.
    pub fn with_assertions(mut self) -> Result<Self, Error> {
        if !is_identifier(&self.issuer) {
            return Err(Error::Metadata { member: "issuer" });
        }
        self.decoy = Some(decoy::key(&self.provider)?);
        Ok(self)
    }

    /// Believes the bundle that a client's own `spiffe_bundle_endpoint` gave ([`RegisteredClient::bundle`]), for this
    /// client alone, and only in trust domains that are not configured. A request has to name the client then.
    /// Whoever can register a client can thereby name workloads of such a domain, which is why this is off by default.
    #[must_use]
    pub fn with_client_bundles(mut self) -> Self {
        self.client_bundles = true;
        self
    }

    /// The rules for proofs, for their challenges in responses.
    #[must_use]
    pub fn proofs(&self) -> &PopVerifier {
        &self.proofs
    }

    /// Adds what this server advertises to its metadata.
    pub fn advertise(&self, metadata: &mut Map<String, Value>, challenge_endpoint: Option<&str>) {
        let mut methods = self.methods.clone();
        if self.decoy.is_some() {
            methods.push(Method::PrivateKeyJwt);
        }
        method::advertise(metadata, &methods);
        if let Some((attestations, _)) = &self.attestations {
            attestation::advertise(metadata, attestations, &self.proofs, challenge_endpoint);
        } else if self.methods.contains(&Method::SpiffeWit) {
            attestation::advertise_proofs(metadata, &self.proofs, challenge_endpoint);
            let tokens = jose_x509::Algorithm::ALL
                .into_iter()
                .filter(|algorithm| jose_x509::Algorithms::ELLIPTIC.contains(*algorithm));
            let names = tokens.map(jose_x509::Algorithm::name).collect();
            let member = "client_attestation_signing_alg_values_supported";
            metadata.insert(member.to_owned(), names);
        }
    }

    /// Authenticates the client of a token request, by the one method that it presents.
    ///
    /// A certificate of mutual TLS counts as the method `spiffe_x509` only if the request presents nothing
    /// else: workloads use mutual TLS as transport too. A JWT-SVID may be used again, proofs and assertions may not.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`refuse`](Self::refuse) makes what the client may see of it.
    pub fn authenticate(
        &self,
        request: &TokenRequest<'_>,
        clients: &(impl ClientRegistry + ?Sized),
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<AuthenticatedClient, Error> {
        let presented = self.presented(request)?;
        let client_id = request.parameter("client_id")?;
        let bundles = Bundles {
            configured: &self.bundles,
            own: client_id
                .filter(|_| self.client_bundles)
                .and_then(|client_id| clients.by_client_id(client_id)?.bundle),
        };
        let authenticated = |client, spiffe_id, method, expires| AuthenticatedClient {
            client,
            spiffe_id,
            method,
            expires,
            certificate_thumbprint: None,
            proof: None,
        };
        match presented {
            Presented::Jwt(assertion) => {
                let (id, expires) = self.jwt_svid(assertion, &bundles, now)?;
                let method = Method::SpiffeJwt;
                let client = registration(clients, &id, client_id, method)?;
                let id = (!bundles.is_own(id.trust_domain())).then_some(id);
                Ok(authenticated(client, id, method, expires))
            }
            Presented::Wit(wit) => {
                let verifier = WitSvidVerifier::new(NO_AUTHORITY).map_err(Error::WitSvid)?;
                let verified = verifier
                    .verify_wit(wit, &bundles, now)
                    .map_err(Error::WitSvid)?;
                let id = verified.unproven_spiffe_id().clone();
                let wit = verified.wit();
                let proof = self.proofs.check_by(
                    request.headers,
                    wit.proof_key(),
                    Some(wit.proof_algorithm()),
                    request.target.as_ref(),
                    now,
                )?;
                let method = Method::SpiffeWit;
                let client = registration(clients, &id, client_id, method)?;
                let proof = Some(Arc::new(proof.spend(replay, now)?));
                let expires = wit.jwt().expires().unwrap_or_default();
                let id = (!bundles.is_own(id.trust_domain())).then_some(id);
                Ok(AuthenticatedClient {
                    proof,
                    ..authenticated(client, id, method, expires)
                })
            }
            Presented::Attestation(token) => {
                let (attestations, trust) = self.attestations.as_ref().ok_or(Error::OtherMethod)?;
                let attestation = attestations.verify(token, &**trust, now)?;
                let name = attestation.unproven_client_id();
                if client_id.is_some_and(|client_id| client_id != name) {
                    return Err(Error::ClientIdMismatch);
                }
                let key = attestation.instance_key();
                let target = request.target.as_ref();
                let proof = self.proofs.check(request.headers, key, target, now)?;
                let method = match proof.method() {
                    PopMethod::DpopCombined => Method::AttestDpop,
                    _ => Method::AttestJwt,
                };
                let client = clients
                    .by_client_id(name)
                    .filter(|client| client.methods.contains(&method))
                    .ok_or(Error::UnknownClient)?;
                let proof = Some(Arc::new(proof.spend(replay, now)?));
                let expires = attestation.jwt().expires().unwrap_or_default();
                Ok(AuthenticatedClient {
                    proof,
                    ..authenticated(client, None, method, expires)
                })
            }
            Presented::Assertion(assertion) => {
                let (client, expires) =
                    self.assertion(assertion, client_id, clients, &replay, now)?;
                Ok(authenticated(client, None, Method::PrivateKeyJwt, expires))
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
                let method = Method::SpiffeX509;
                let client = registration(clients, &id, client_id, method)?;
                Ok(AuthenticatedClient {
                    certificate_thumbprint: request
                        .peer
                        .first()
                        .map(|leaf| self.provider.sha256(leaf)),
                    ..authenticated(client, Some(id), method, identity.not_after().as_secs())
                })
            }
        }
    }

    /// The whole response to a request that was refused, with a fresh challenge where the error demands one.
    #[must_use]
    pub fn refuse(
        &self,
        request: &TokenRequest<'_>,
        error: &Error,
        now: UnixTime,
    ) -> Response<Vec<u8>> {
        let used_authorization = request.headers.contains_key(AUTHORIZATION);
        self.proofs.refuse(error, used_authorization, now)
    }

    fn presented<'a>(&self, request: &TokenRequest<'a>) -> Result<Presented<'a>, Error> {
        let assertion = request.parameter("client_assertion")?;
        let assertion_type = request.parameter("client_assertion_type")?;
        let token = field(request.headers, CLIENT_ATTESTATION)?;
        let proof = field(request.headers, CLIENT_ATTESTATION_POP)?;
        let secret = request.parameter("client_secret")?.is_some()
            || request.headers.contains_key(AUTHORIZATION);
        let by_assertion = assertion.is_some() || assertion_type.is_some();
        let by_token = token.is_some() || proof.is_some();
        if secret && (by_assertion || by_token || !request.peer.is_empty())
            || (by_assertion && by_token)
        {
            return Err(Error::SeveralMethods);
        }
        let (presented, enabled) = if by_assertion {
            let name = "client_assertion";
            let assertion = assertion.ok_or(Error::Malformed { name })?;
            let name = "client_assertion_type";
            match assertion_type.ok_or(Error::Malformed { name })? {
                JWT_SPIFFE => (
                    Presented::Jwt(assertion),
                    self.methods.contains(&Method::SpiffeJwt),
                ),
                JWT_BEARER if self.decoy.is_some() => (Presented::Assertion(assertion), true),
                _ => return Err(Error::AssertionType),
            }
        } else if by_token {
            let name = CLIENT_ATTESTATION;
            let token = token.ok_or(Error::Malformed { name })?;
            match token_type(token)? {
                Token::Wit => (
                    Presented::Wit(token),
                    self.methods.contains(&Method::SpiffeWit),
                ),
                Token::Attestation => (Presented::Attestation(token), self.attestations.is_some()),
            }
        } else if secret {
            return Err(Error::OtherMethod);
        } else if !request.peer.is_empty() && self.methods.contains(&Method::SpiffeX509) {
            (Presented::X509, true)
        } else {
            // Where it is no method, mutual TLS is transport.
            return Err(Error::NoMethod);
        };
        if enabled {
            Ok(presented)
        } else {
            Err(Error::OtherMethod)
        }
    }

    fn jwt_svid(
        &self,
        assertion: &str,
        bundles: &Bundles<'_, B>,
        now: UnixTime,
    ) -> Result<(SpiffeId, u64), Error> {
        let verifier = self.jwt_svids.as_ref().map_err(Error::clone)?;
        let svid = verifier
            .verify(assertion, bundles, now)
            .map_err(Error::JwtSvid)?;
        let expires = svid.expires().as_secs();
        if expires > now.as_secs().saturating_add(self.max_jwt_lifetime) {
            return Err(Error::LivesTooLong {
                limit: self.max_jwt_lifetime,
            });
        }
        Ok((svid.spiffe_id().clone(), expires))
    }

    fn assertion(
        &self,
        assertion: &str,
        client_id: Option<&str>,
        clients: &(impl ClientRegistry + ?Sized),
        replay: &dyn ReplayGuard,
        now: UnixTime,
    ) -> Result<(RegisteredClient, u64), Error> {
        let jws = UnverifiedJws::parse(assertion).map_err(Error::Assertion)?;
        let claims = peek_claims(&jws).map_err(Error::Assertion)?;
        let missing = |claim| Error::Assertion(JoseError::MissingClaim { claim });
        let issuer = claims.unverified_issuer.ok_or(missing("iss"))?;
        let subject = claims.unverified_subject.ok_or(missing("sub"))?;
        let found = clients
            .by_assertion(&issuer, &subject)
            .filter(|client| client.methods.contains(&Method::PrivateKeyJwt))
            .filter(|client| client_id.is_none_or(|client_id| client_id == client.client_id));
        let registered = found
            .as_ref()
            .and_then(|client| Some((client, client.assertion_keys.as_ref()?)));
        let Some((client, keys)) = registered else {
            // As much work as for a client that there is.
            decoy::verify(self.decoy.as_ref(), &jws);
            return Err(Error::UnknownClient);
        };
        let jwt = keys.verify(
            assertion,
            &client.client_id,
            &self.issuer,
            Some(replay),
            now,
        )?;
        let expires = jwt.expires().unwrap_or_default();
        Ok((client.clone(), expires))
    }
}

impl<B> std::fmt::Debug for ClientAuthenticator<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientAuthenticator")
            .field("issuer", &self.issuer)
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}

enum Token {
    Wit,
    Attestation,
}

/// `typ` decides which rules a token is under: those of attestations, or of SPIFFE's profile of them.
fn token_type(token: &str) -> Result<Token, Error> {
    let mut rules = HeaderRules::default();
    rules.allow_x5c = true;
    let limits = Limits::new(2 * MAX_FIELD, MAX_FIELD).map_err(Error::Attestation)?;
    let jws = UnverifiedJws::parse_with(token, &rules, &limits).map_err(Error::Attestation)?;
    let header = jws.unverified_header();
    if header.is_type("wit+jwt") {
        Ok(Token::Wit)
    } else if header.is_type(ATTESTATION_TYPE) {
        Ok(Token::Attestation)
    } else {
        Err(Error::Attestation(JoseError::WrongType))
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
