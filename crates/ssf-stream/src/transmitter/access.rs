//! Who calls, and what for.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderValue, request};
use jose_x509::KeySource;
use jose_x509::jwt::{Audience, ConfirmationRule, Issuer, Jwt, Type, Validator};
use pki_types::UnixTime;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `POST` of a configuration.
    CreateStream,
    /// `GET` of configurations.
    ReadStream,
    /// `PATCH` of a configuration.
    UpdateStream,
    /// `PUT` of a configuration.
    ReplaceStream,
    /// `DELETE` of a configuration.
    DeleteStream,
    /// `GET` of a status.
    ReadStatus,
    /// `POST` of a status.
    UpdateStatus,
    /// Adding a subject.
    AddSubject,
    /// Removing a subject.
    RemoveSubject,
    /// A request for a verification event.
    Verify,
    /// A poll.
    Poll,
}

/// The scope for everything that changes a stream; it is good for reading too.
pub const MANAGE: &str = "ssf.manage";
/// The scope for reading.
pub const READ: &str = "ssf.read";

impl Operation {
    /// The scopes of which one is enough (CAEP interoperability profile, section 2.7.2). The first is the one to ask for.
    #[must_use]
    pub const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::CreateStream => &[MANAGE, "ssf.manage.create"],
            Self::UpdateStream => &[MANAGE, "ssf.manage.update"],
            Self::ReplaceStream => &[MANAGE, "ssf.manage.replace"],
            Self::DeleteStream => &[MANAGE, "ssf.manage.delete"],
            Self::UpdateStatus => &[MANAGE, "ssf.manage.status"],
            Self::AddSubject => &[MANAGE, "ssf.manage.subjects.add"],
            Self::RemoveSubject => &[MANAGE, "ssf.manage.subjects.remove"],
            Self::Verify => &[MANAGE, "ssf.manage.verify"],
            Self::ReadStream | Self::ReadStatus => &[READ, MANAGE],
            Self::Poll => &[READ, MANAGE, "ssf.manage.poll"],
        }
    }

    /// Whether a `scope` value allows it. Scopes are compared whole.
    #[must_use]
    pub fn allowed_by(self, scope: &str) -> bool {
        scope.split(' ').any(|one| self.scopes().contains(&one))
    }
}

/// A receiver, as the transmitter knows it. Its streams are those that were made with the same `id`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// The name by which its streams are found.
    pub id: String,
    /// Who calls on its behalf: the holder of the credential. It is the same as `id` unless the [`Authorizer`] knows better,
    /// and decides nothing.
    pub caller: String,
    /// `aud` of its streams: several names only if they are known to be one receiver.
    pub audience: Vec<String>,
    /// The audience group of its streams: streams of one group that would get a SET with the same claims get the very same one,
    /// so that an event costs one signature however many they are. `None`: each SET is for one stream.
    ///
    /// Declare a group only for receivers that are known to be one entity, as the instances of one service are. They see the same
    /// `jti`, and so each needs a replay guard of its own: with one for all, the first of them would have the event alone. `aud` has
    /// to be the same for all; a SET names whom the stream's own configuration names, and members with another `aud` share with
    /// nobody.
    pub group: Option<String>,
    /// The event types that it may have. `None`: all that the transmitter supports.
    pub events: Option<Vec<String>>,
}

impl Client {
    /// A receiver with one audience.
    #[must_use]
    pub fn new(id: &str, audience: &str) -> Self {
        Self {
            id: id.to_owned(),
            caller: id.to_owned(),
            audience: vec![audience.to_owned()],
            group: None,
            events: None,
        }
    }

    /// Names who calls on the receiver's behalf.
    #[must_use]
    pub fn with_caller(mut self, caller: &str) -> Self {
        caller.clone_into(&mut self.caller);
        self
    }

    /// Adds another name of the same receiver.
    #[must_use]
    pub fn with_audience(mut self, audience: &str) -> Self {
        self.audience.push(audience.to_owned());
        self
    }

    /// Puts its streams into an audience group: see [`group`](Self::group).
    #[must_use]
    pub fn with_group(mut self, group: &str) -> Self {
        self.group = Some(group.to_owned());
        self
    }

    /// Limits the event types.
    #[must_use]
    pub fn with_events<E: Into<String>>(mut self, events: impl IntoIterator<Item = E>) -> Self {
        self.events = Some(events.into_iter().map(Into::into).collect());
        self
    }
}

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// No credentials: 401 without an error code.
    NoCredentials,
    /// Credentials in several places, or malformed: 400.
    InvalidRequest,
    /// Wrong, expired or revoked credentials: 401.
    InvalidToken,
    /// Credentials that are not enough: 403.
    InsufficientScope,
    /// Known, and not allowed: 403.
    Forbidden,
    /// It cannot be told now: 503.
    Unavailable,
}

/// The answer of an [`Authorizer`] to come.
pub type Authorizing<'a> = Pin<Box<dyn Future<Output = Result<Client, Denied>> + Send + 'a>>;

/// Finds out who calls, and whether it may do this.
///
/// It sees the whole head of the request. What a TLS layer knows of the peer is passed in the request's extensions. Cookies
/// and the query are no credentials.
pub trait Authorizer: Send + Sync {
    /// The receiver that calls.
    ///
    /// # Errors
    ///
    /// [`Denied`].
    fn authorize<'a>(
        &'a self,
        request: &'a request::Parts,
        operation: Operation,
        now: UnixTime,
    ) -> Authorizing<'a>;

    /// The scheme of `WWW-Authenticate`.
    fn scheme(&self) -> &'static str {
        "Bearer"
    }
}

/// The one bearer token of a request (RFC 6750 section 2.1).
///
/// # Errors
///
/// [`Denied::NoCredentials`] without one, also if there is one in the query; [`Denied::InvalidRequest`] for several, or one
/// in the query as well.
pub fn bearer_token(request: &request::Parts) -> Result<&str, Denied> {
    let in_query = request.uri.query().is_some_and(|query| {
        url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
    });
    let mut values = request.headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(Denied::NoCredentials),
        (Some(value), None) if !in_query => value,
        _ => return Err(Denied::InvalidRequest),
    };
    let text = value.to_str().map_err(|_| Denied::InvalidRequest)?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            let token = token.trim_start_matches(' ');
            if token.is_empty() || token.contains(' ') {
                Err(Denied::InvalidRequest)
            } else {
                Ok(token)
            }
        }
        _ => Err(Denied::NoCredentials),
    }
}

/// Whether a token that is good otherwise was revoked.
pub type Revoked = dyn Fn(&Jwt) -> bool + Send + Sync;

/// OAuth access tokens that are JWTs (RFC 9068) of one authorization server.
pub struct AccessTokens {
    validator: Validator,
    keys: Arc<dyn KeySource + Send + Sync>,
    clients: HashMap<String, Client>,
    revoked: Option<Box<Revoked>>,
}

impl AccessTokens {
    /// Tokens of `issuer`, for `resource`, with `typ` `at+jwt` and with an expiry.
    #[must_use]
    pub fn new(issuer: &str, keys: Arc<dyn KeySource + Send + Sync>, resource: &str) -> Self {
        let validator = Validator::new(
            Type::OneOf(&["at+jwt"]),
            Issuer::Exactly(issuer.to_owned()),
            Audience::AnyOf(vec![resource.to_owned()]),
        );
        Self {
            validator: validator.with_confirmation(ConfirmationRule::Refused),
            keys,
            clients: HashMap::new(),
            revoked: None,
        }
    }

    /// Knows the receiver whose tokens have this `client_id`.
    #[must_use]
    pub fn with_client(mut self, client_id: &str, client: Client) -> Self {
        self.clients.insert(client_id.to_owned(), client);
        self
    }

    /// Refuses tokens that live longer; 60 minutes are what the CAEP interoperability profile has in mind.
    #[must_use]
    pub fn with_max_lifetime(mut self, lifetime: Duration) -> Self {
        self.validator = self.validator.with_max_lifetime(lifetime);
        self
    }

    /// Asks whether a token was revoked.
    #[must_use]
    pub fn with_revoked(mut self, revoked: Box<Revoked>) -> Self {
        self.revoked = Some(revoked);
        self
    }

    fn client(
        &self,
        request: &request::Parts,
        operation: Operation,
        now: UnixTime,
    ) -> Result<Client, Denied> {
        let token = bearer_token(request)?;
        let jwt = self.validator.validate(token, self.keys.as_ref(), now);
        let jwt = jwt.map_err(|_| Denied::InvalidToken)?;
        let claims = jwt.claims_map().map_err(|_| Denied::InvalidToken)?;
        let revoked = self.revoked.as_ref().is_some_and(|revoked| revoked(&jwt));
        // A SET has another type, and no access token has events.
        if revoked || claims.contains_key("events") {
            return Err(Denied::InvalidToken);
        }
        let text = |name: &str| claims.get(name).and_then(|value| value.as_str());
        let caller = text("client_id").unwrap_or_default();
        let client = self.clients.get(caller).ok_or(Denied::InvalidToken)?;
        if !operation.allowed_by(text("scope").unwrap_or_default()) {
            return Err(Denied::InsufficientScope);
        }
        Ok(client.clone().with_caller(caller))
    }
}

impl Authorizer for AccessTokens {
    fn authorize<'a>(
        &'a self,
        request: &'a request::Parts,
        operation: Operation,
        now: UnixTime,
    ) -> Authorizing<'a> {
        Box::pin(core::future::ready(self.client(request, operation, now)))
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens")
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}

/// The verified name of a TLS client, such as its SPIFFE ID: an extension that the TLS layer puts into each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerName(pub String);

/// Receivers that are authenticated by mutual TLS, by the [`PeerName`] of the connection.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    clients: HashMap<String, (Client, Vec<Operation>)>,
}

impl Peers {
    /// Knows nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Knows a receiver that may do everything with its own streams.
    #[must_use]
    pub fn with_peer(mut self, name: &str, client: Client) -> Self {
        self.clients.insert(name.to_owned(), (client, Vec::new()));
        self
    }

    /// Knows a receiver that may not do everything.
    #[must_use]
    pub fn with_peer_except(
        mut self,
        name: &str,
        client: Client,
        except: impl IntoIterator<Item = Operation>,
    ) -> Self {
        let except = except.into_iter().collect();
        self.clients.insert(name.to_owned(), (client, except));
        self
    }
}

impl Authorizer for Peers {
    fn authorize<'a>(
        &'a self,
        request: &'a request::Parts,
        operation: Operation,
        _now: UnixTime,
    ) -> Authorizing<'a> {
        let name = request.extensions.get::<PeerName>();
        let result = match name.map(|PeerName(name)| (name, self.clients.get(name))) {
            None => Err(Denied::NoCredentials),
            Some((_, None)) => Err(Denied::InvalidToken),
            Some((_, Some((_, except)))) if except.contains(&operation) => Err(Denied::Forbidden),
            Some((name, Some((client, _)))) => Ok(client.clone().with_caller(name)),
        };
        Box::pin(core::future::ready(result))
    }

    fn scheme(&self) -> &'static str {
        "Mutual"
    }
}

/// `WWW-Authenticate` for a refusal (RFC 6750 section 3).
pub(super) fn challenge(scheme: &str, denied: Denied, operation: Operation) -> HeaderValue {
    let text = match denied {
        Denied::InvalidRequest => format!("{scheme} error=\"invalid_request\""),
        Denied::InvalidToken => format!("{scheme} error=\"invalid_token\""),
        Denied::InsufficientScope => {
            let scope = operation.scopes().first().copied().unwrap_or(MANAGE);
            format!("{scheme} error=\"insufficient_scope\", scope=\"{scope}\"")
        }
        _ => scheme.to_owned(),
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
}
