//! The JWT bearer authorization grant (RFC 7523 section 2.1, with the framework of RFC 7521), both sides: a token of a
//! trusted issuer about a subject is traded for an access token.
//!
//! ```
//! use jose_x509::{Algorithm, KeySet, MemoryReplayGuard, SigningKey, provider::ring};
//! use oauth_spiffe_client_auth::grant::{self, GrantIssuer, GrantRequest, GrantValidator};
//! # use pki_types::UnixTime;
//! # use std::time::Duration;
//! # let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
//!
//! // The client has an assertion about a user, from a token service that the server trusts.
//! let key = SigningKey::generate(&ring::provider(), Algorithm::Es256)?.with_thumbprint_kid();
//! let keys = KeySet::new(vec![key.verifying_key()?])?;
//! let assertion = grant::sign(&key, "https://sts.example", "user-7", "https://as.example.com", now)?;
//! let form = grant::request(&assertion, Some("orders.read"));
//!
//! // The server takes it.
//! let request = GrantRequest::from_form(&form)?;
//! let issuers = [GrantIssuer::new("https://sts.example", keys)];
//! let validator = GrantValidator::new("https://as.example.com", "https://as.example.com/token")?;
//! let grant = validator.validate(&request, &issuers[..], &MemoryReplayGuard::new(1000), now)?;
//! assert_eq!((grant.issuer(), grant.subject()), ("https://sts.example", "user-7"));
//! assert_eq!(grant.scope(["orders.read", "orders.write"])?, ["orders.read"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An assertion is readable by the client that carries it: keep personal data out of it, or name its subject by a
//! pseudonym. Encrypted assertions are not read. A response has no refresh token: a client that needs a new access token
//! shows a new assertion.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use jose_x509::jws::{ProtectedHeader, UnverifiedJws};
use jose_x509::jwt::{self, Audience, Issuer, Jwt, Type, Validator, peek_claims};
use jose_x509::{Algorithm, Algorithms, Error as JoseError, KeySet, ReplayGuard, Signer};
use pki_types::UnixTime;
use serde_json::{Map, Value, json};

use crate::assertion::replay_key;
use crate::error::Error;
use crate::metadata::{ServerMetadata, is_identifier};
use crate::request::Parameters;

/// `grant_type`.
pub const JWT_BEARER_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const LEEWAY: u64 = 30;
const MAX_LIFETIME: u64 = 3600;
const ALGORITHMS: Algorithms =
    Algorithms::ELLIPTIC.union(Algorithms::of(&[Algorithm::Ps256, Algorithm::Rs256]));

/// Makes an assertion of `issuer` about `subject` that is good for five minutes. `audience` is the issuer identifier of
/// the authorization server.
///
/// # Errors
///
/// [`Error::Grant`] for an empty name and when signing fails.
pub fn sign(
    signer: &(impl Signer + ?Sized),
    issuer: &str,
    subject: &str,
    audience: &str,
    now: UnixTime,
) -> Result<String, Error> {
    for (claim, value) in [("iss", issuer), ("sub", subject), ("aud", audience)] {
        if value.is_empty() {
            return Err(Error::Grant(JoseError::ClaimType { claim }));
        }
    }
    let issued = now.as_secs();
    let claims = json!({
        "iss": issuer, "sub": subject, "aud": audience, "iat": issued, "exp": issued.saturating_add(300),
    });
    jwt::sign(signer, &ProtectedHeader::new("JWT"), &claims).map_err(Error::Grant)
}

/// The form of the request. Send it as POST over TLS, with whatever authenticates the client.
#[must_use]
pub fn request(assertion: &str, scope: Option<&str>) -> Vec<(String, String)> {
    let parameters = [
        ("grant_type", Some(JWT_BEARER_GRANT)),
        ("assertion", Some(assertion)),
        ("scope", scope),
    ];
    parameters
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect()
}

/// Checks, before an assertion that somebody else made is sent to a server, that it is for this server: its audience is
/// the issuer identifier or the token endpoint of the metadata, and nothing else. The assertion is not verified.
///
/// # Errors
///
/// [`Error::Grant`].
pub fn check_audience(assertion: &str, server: &ServerMetadata) -> Result<(), Error> {
    let jws = UnverifiedJws::parse(assertion).map_err(Error::Grant)?;
    let claims: Map<String, Value> =
        jose_x509::json::object(jws.unverified_payload(), &jose_x509::json::Limits::CLAIMS)
            .map_err(|_| Error::Grant(JoseError::ClaimsShape))?;
    let audience = match claims.get("aud") {
        None => return Err(Error::Grant(JoseError::MissingClaim { claim: "aud" })),
        Some(Value::Array(names)) => match names.as_slice() {
            [name] => name.as_str(),
            _ => return Err(Error::Grant(JoseError::MultipleAudiences)),
        },
        Some(name) => name.as_str(),
    };
    let endpoint = server
        .members()
        .get("token_endpoint")
        .and_then(Value::as_str);
    match audience {
        Some(name) if name == server.identifier() || Some(name) == endpoint => Ok(()),
        _ => Err(Error::Grant(JoseError::AudienceMismatch)),
    }
}

/// A grant request, not validated.
#[derive(Clone, Copy, Debug)]
pub struct GrantRequest<'a> {
    assertion: &'a str,
    scope: Option<&'a str>,
}

impl<'a> GrantRequest<'a> {
    /// Reads the form of a request, which [`read_form`](crate::server::read_form) takes out of it. `resource` and what authenticates the client are for others to read.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for a parameter that is repeated or missing, [`Error::GrantType`] for another grant.
    pub fn from_form(form: impl Into<Parameters<'a>>) -> Result<Self, Error> {
        let form = form.into();
        let required = |name| form.single(name)?.ok_or(Error::Malformed { name });
        if required("grant_type")? != JWT_BEARER_GRANT {
            return Err(Error::GrantType);
        }
        Ok(Self {
            assertion: required("assertion")?,
            scope: form.single("scope")?,
        })
    }

    /// `scope`.
    #[must_use]
    pub fn unverified_scope(&self) -> Option<&'a str> {
        self.scope
    }
}

/// An issuer of grants: its keys, configured and never from where a token says.
#[derive(Clone, Debug)]
pub struct GrantIssuer {
    issuer: String,
    keys: Arc<KeySet>,
    algorithms: Algorithms,
}

impl GrantIssuer {
    /// An issuer with these keys.
    #[must_use]
    pub fn new(issuer: impl Into<String>, keys: impl Into<Arc<KeySet>>) -> Self {
        Self {
            issuer: issuer.into(),
            keys: keys.into(),
            algorithms: ALGORITHMS,
        }
    }

    /// Narrows the algorithms.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.algorithms = algorithms;
        self
    }
}

/// Finds issuers: a snapshot, without I/O.
pub trait GrantIssuers {
    /// The issuer of exactly this name.
    fn issuer(&self, unverified_issuer: &str) -> Option<GrantIssuer>;
}

impl GrantIssuers for [GrantIssuer] {
    fn issuer(&self, unverified_issuer: &str) -> Option<GrantIssuer> {
        self.iter()
            .find(|issuer| issuer.issuer == unverified_issuer)
            .cloned()
    }
}

/// Finds whom a subject means. Each issuer names subjects in a namespace of its own, so that it cannot speak of those of
/// another.
pub trait SubjectMapper {
    /// An account, or somebody anonymous with certain attributes.
    type Principal;

    /// Whom `subject` of `issuer` means; `None` if nobody, or if this issuer may not speak of them.
    fn map(&self, issuer: &str, subject: &str, claims: &Jwt) -> Option<Self::Principal>;
}

/// Validates grants: an immutable value that threads share.
#[derive(Clone, Debug)]
pub struct GrantValidator {
    audiences: Vec<String>,
    several_audiences: bool,
    max_lifetime: u64,
    unauthenticated_clients: bool,
}

impl GrantValidator {
    /// A validator for the server with this issuer identifier and this token endpoint, either of which an assertion may
    /// have as its sole audience. It ends within an hour, and comes from a client that has authenticated.
    ///
    /// # Errors
    ///
    /// [`Error::Metadata`] for anything but `https` URLs without query and fragment.
    pub fn new(
        issuer: impl Into<String>,
        token_endpoint: impl Into<String>,
    ) -> Result<Self, Error> {
        let (issuer, token_endpoint) = (issuer.into(), token_endpoint.into());
        for (member, url) in [("issuer", &issuer), ("token_endpoint", &token_endpoint)] {
            if !is_identifier(url) {
                return Err(Error::Metadata { member });
            }
        }
        Ok(Self {
            audiences: vec![issuer, token_endpoint],
            several_audiences: false,
            max_lifetime: MAX_LIFETIME,
            unauthenticated_clients: false,
        })
    }

    /// Takes no assertions for the token endpoint's URL.
    #[must_use]
    pub fn with_issuer_only(mut self) -> Self {
        self.audiences.truncate(1);
        self
    }

    /// Also takes assertions for others too.
    #[must_use]
    pub fn with_several_audiences(mut self) -> Self {
        self.several_audiences = true;
        self
    }

    /// Another bound on how far ahead `exp` may be, and how old `iat`.
    #[must_use]
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = lifetime.as_secs();
        self
    }

    /// Takes grants of clients that do not authenticate. One that tries to and fails is refused all the same.
    #[must_use]
    pub fn with_unauthenticated_clients(mut self) -> Self {
        self.unauthenticated_clients = true;
        self
    }

    /// What became of the client's authentication, which comes before the grant: the client, or `None` for one that did
    /// not try, where that is allowed.
    ///
    /// # Errors
    ///
    /// The error of the authentication: of an attempt always, by whatever method, and [`Error::NoMethod`] where the client
    /// has to authenticate.
    pub fn check_client<C>(&self, authentication: Result<C, Error>) -> Result<Option<C>, Error> {
        match authentication {
            Ok(client) => Ok(Some(client)),
            Err(Error::NoMethod) if self.unauthenticated_clients => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Validates the assertion of a request, and spends its `jti` if it has one. With the guard that client assertions are
    /// spent in, none that authenticated a client is a grant afterwards, nor the reverse.
    ///
    /// # Errors
    ///
    /// [`Error::Grant`], [`Error::GrantIssuer`], [`Error::GrantLifetime`], all of them `invalid_grant`.
    pub fn validate<'a>(
        &self,
        request: &GrantRequest<'a>,
        issuers: &(impl GrantIssuers + ?Sized),
        replay: &(impl ReplayGuard + ?Sized),
        now: UnixTime,
    ) -> Result<Grant<'a>, Error> {
        let jws = UnverifiedJws::parse(request.assertion).map_err(Error::Grant)?;
        let issuer = peek_claims(&jws)
            .map_err(Error::Grant)?
            .unverified_issuer
            .ok_or(Error::Grant(JoseError::MissingClaim { claim: "iss" }))?;
        let trusted = issuers.issuer(&issuer).ok_or(Error::GrantIssuer)?;
        let audience = match self.several_audiences {
            true => Audience::AnyOf(self.audiences.clone()),
            false => Audience::Only(self.audiences.clone()),
        };
        // A client assertion of RFC 10070 has another type. One of an older client may have none or this one: where the same
        // key and name are configured for both, `jti` is spent for both.
        let jwt = Validator::new(
            Type::AbsentOrOneOf(&["JWT"]),
            Issuer::Exactly(trusted.issuer),
            audience,
        )
        .with_algorithms(trusted.algorithms)
        .with_required_claim("sub")
        .with_leeway(Duration::from_secs(LEEWAY))
        .and_then(|validator| validator.validate_jws(jws, &*trusted.keys, now))
        .map_err(Error::Grant)?;
        let limit = self.max_lifetime;
        let expires = jwt.expires().unwrap_or_default();
        let latest = now.as_secs().saturating_add(limit).saturating_add(LEEWAY);
        let oldest = now.as_secs().saturating_sub(limit).saturating_sub(LEEWAY);
        if expires > latest || jwt.issued_at().is_some_and(|issued| issued < oldest) {
            return Err(Error::GrantLifetime { limit });
        }
        if let Some(id) = jwt.id() {
            let key = replay_key(&jwt, &issuer, id);
            let kept = Duration::from_secs(expires.saturating_add(LEEWAY));
            replay
                .check_and_insert(key, UnixTime::since_unix_epoch(kept), now)
                .map_err(Error::Grant)?;
        }
        Ok(Grant {
            jwt,
            scope: request.scope,
            expires,
        })
    }
}

/// A validated grant.
#[derive(Debug)]
pub struct Grant<'a> {
    jwt: Jwt,
    scope: Option<&'a str>,
    expires: u64,
}

impl<'a> Grant<'a> {
    /// `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.jwt.issuer().unwrap_or_default()
    }

    /// `sub`, as the issuer writes it. Only together with the issuer it names somebody.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.jwt.subject().unwrap_or_default()
    }

    /// All claims.
    #[must_use]
    pub fn claims(&self) -> &Jwt {
        &self.jwt
    }

    /// Whom the subject means.
    ///
    /// # Errors
    ///
    /// [`Error::GrantSubject`], which is `invalid_grant`.
    pub fn principal<M: SubjectMapper + ?Sized>(
        &self,
        subjects: &M,
    ) -> Result<M::Principal, Error> {
        subjects
            .map(self.issuer(), self.subject(), &self.jwt)
            .ok_or(Error::GrantSubject)
    }

    /// The scope of the access token: what the request asks for, or all that was `granted` if it asks for nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Scope`], `invalid_scope`, for anything beyond.
    pub fn scope<'g>(
        &self,
        granted: impl IntoIterator<Item = &'g str>,
    ) -> Result<Vec<&'g str>, Error> {
        let granted: Vec<&str> = granted.into_iter().collect();
        let Some(scope) = self.scope else {
            return Ok(granted);
        };
        scope
            .split(' ')
            .map(|wanted| granted.iter().copied().find(|scope| *scope == wanted))
            .collect::<Option<_>>()
            .ok_or(Error::Scope)
    }

    /// The lifetime of the access token: `wanted`, but no longer than the assertion is valid.
    #[must_use]
    pub fn lifetime(&self, wanted: Duration, now: UnixTime) -> Duration {
        let left = self.expires.saturating_sub(now.as_secs());
        wanted.min(Duration::from_secs(left))
    }
}

/// The response to a grant: an access token, and no refresh token.
#[derive(Clone)]
pub struct GrantResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: Option<String>,
}

impl GrantResponse {
    /// A bearer token that lives so long.
    #[must_use]
    pub fn bearer(access_token: impl Into<String>, lifetime: Duration) -> Self {
        Self {
            access_token: access_token.into(),
            token_type: "Bearer",
            expires_in: lifetime.as_secs(),
            scope: None,
        }
    }

    /// A token that is bound to the key of a DPoP proof.
    #[must_use]
    pub fn dpop(access_token: impl Into<String>, lifetime: Duration) -> Self {
        Self {
            token_type: "DPoP",
            ..Self::bearer(access_token, lifetime)
        }
    }

    /// Says the scope, which has to be said where it is not the one that was asked for.
    #[must_use]
    pub fn with_scope(mut self, scope: &[&str]) -> Self {
        self.scope = Some(scope.join(" "));
        self
    }

    /// The HTTP response.
    #[must_use]
    pub fn to_response(&self) -> Response<Vec<u8>> {
        let mut body = json!({
            "access_token": self.access_token, "token_type": self.token_type, "expires_in": self.expires_in,
        });
        if let (Some(scope), Some(members)) = (&self.scope, body.as_object_mut()) {
            members.insert("scope".to_owned(), scope.as_str().into());
        }
        let mut response = Response::new(body.to_string().into_bytes());
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// Without the token.
impl std::fmt::Debug for GrantResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrantResponse")
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
