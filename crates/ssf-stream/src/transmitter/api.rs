//! Requests and where they go.

use std::sync::Arc;

use http::{Method, Response, StatusCode, request};
use jose_x509::Signer;
use pki_types::UnixTime;

use crate::error::{Error, https, is_media_type};
use crate::metadata::well_known_url;
use crate::poll::PollRequest;
use crate::stream::{MAX_BODY, MAX_STREAM_ID};
use crate::transmitter::access::challenge;
use crate::transmitter::answer::{Answered, Refusal, json_response, ok};
use crate::transmitter::polling::Ticket;
use crate::transmitter::{
    Client, Denied, Operation, Settings, StoreError, StreamRecord, Transmitter,
};

/// How often a change is tried again that another one crossed.
const ATTEMPTS: usize = 16;

/// What to do with a request.
#[derive(Debug)]
pub enum Reply {
    /// Answer now.
    Respond(Response<Vec<u8>>),
    /// A long poll: call [`Transmitter::resume`] when the stream has something new and at the time of its end.
    Wait(Waiting),
}

/// A long poll.
#[derive(Debug)]
pub struct Waiting {
    pub(super) stream_id: String,
    pub(super) request: PollRequest,
    pub(super) until: UnixTime,
    pub(super) ticket: Ticket,
}

impl Waiting {
    /// The stream.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// When it ends.
    #[must_use]
    pub fn until(&self) -> UnixTime {
        self.until
    }
}

/// The paths of a transmitter.
#[derive(Debug)]
pub(super) struct Routes {
    well_known: String,
    resource: Option<String>,
    jwks: Option<String>,
    base: String,
    status: bool,
    subjects: bool,
    verification: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'p> {
    Metadata,
    Resource,
    Keys,
    Configuration,
    Status,
    AddSubject,
    RemoveSubject,
    Verification,
    Poll(&'p str),
}

impl Routes {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let path = |url: &str| Ok::<_, Error>(https(url, "an endpoint")?.path().to_owned());
        let base = path(&settings.base)?;
        let base = base.strip_suffix('/').unwrap_or(&base).to_owned();
        Ok(Self {
            well_known: path(&well_known_url(&settings.issuer)?)?,
            resource: settings
                .authorization_servers
                .is_some()
                .then(|| format!("/.well-known/oauth-protected-resource{base}")),
            jwks: match settings.jwks {
                Some(_) => Some(path(&settings.jwks_uri)?),
                None => None,
            },
            base,
            status: !settings.disabled.status,
            subjects: !settings.disabled.subjects,
            verification: !settings.disabled.verification,
        })
    }

    fn find<'p>(&self, path: &'p str) -> Option<Route<'p>> {
        if path == self.well_known {
            return Some(Route::Metadata);
        }
        if self.resource.as_deref() == Some(path) {
            return Some(Route::Resource);
        }
        if self.jwks.as_deref() == Some(path) {
            return Some(Route::Keys);
        }
        match path.strip_prefix(self.base.as_str())? {
            "/streams" => Some(Route::Configuration),
            "/status" if self.status => Some(Route::Status),
            "/subjects/add" if self.subjects => Some(Route::AddSubject),
            "/subjects/remove" if self.subjects => Some(Route::RemoveSubject),
            "/verify" if self.verification => Some(Route::Verification),
            rest => rest
                .strip_prefix("/poll/")
                .filter(|id| !id.is_empty())
                .map(Route::Poll),
        }
    }
}

impl Route<'_> {
    fn operation(self, method: &Method) -> Result<Option<Operation>, Refusal> {
        let post = |operation| match *method {
            Method::POST => Ok(Some(operation)),
            _ => Err(Refusal::method("POST")),
        };
        match self {
            Self::Metadata | Self::Resource | Self::Keys => match *method {
                Method::GET | Method::HEAD => Ok(None),
                _ => Err(Refusal::method("GET, HEAD")),
            },
            Self::Configuration => match *method {
                Method::POST => Ok(Some(Operation::CreateStream)),
                Method::GET => Ok(Some(Operation::ReadStream)),
                Method::PATCH => Ok(Some(Operation::UpdateStream)),
                Method::PUT => Ok(Some(Operation::ReplaceStream)),
                Method::DELETE => Ok(Some(Operation::DeleteStream)),
                _ => Err(Refusal::method("GET, POST, PATCH, PUT, DELETE")),
            },
            Self::Status => match *method {
                Method::GET => Ok(Some(Operation::ReadStatus)),
                Method::POST => Ok(Some(Operation::UpdateStatus)),
                _ => Err(Refusal::method("GET, POST")),
            },
            Self::AddSubject => post(Operation::AddSubject),
            Self::RemoveSubject => post(Operation::RemoveSubject),
            Self::Verification => post(Operation::Verify),
            Self::Poll(_) => post(Operation::Poll),
        }
    }
}

impl<S: Signer> Transmitter<S> {
    /// Answers a request: metadata, keys, the management API and polls.
    ///
    /// Read no more than [`MAX_BODY`] of the body, and one byte to show that there is more.
    pub async fn handle(&self, parts: &request::Parts, body: &[u8], now: UnixTime) -> Reply {
        match self.route(parts, body, now).await {
            Ok(reply) => reply,
            Err(refusal) => Reply::Respond(refusal.response()),
        }
    }

    async fn route(
        &self,
        parts: &request::Parts,
        body: &[u8],
        now: UnixTime,
    ) -> Result<Reply, Refusal> {
        let route = self.routes.find(parts.uri.path());
        let route = route.ok_or(Refusal::not_found())?;
        let Some(operation) = route.operation(&parts.method)? else {
            return self.document(route).map(Reply::Respond);
        };
        let client = self.authorize(parts, operation, now).await?;
        if let Route::Poll(stream_id) = route {
            return self.start_poll(&client, stream_id, parts, body, now).await;
        }
        if matches!(parts.method, Method::POST | Method::PATCH | Method::PUT) {
            if body.len() > MAX_BODY {
                return Err(Refusal::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "invalid_request",
                    "the body is too large",
                ));
            }
            if !is_media_type(&parts.headers, "application/json") {
                return Err(Refusal::bad("the content type has to be application/json"));
            }
        }
        let response = match operation {
            Operation::CreateStream => self.create(&client, body, now).await,
            Operation::ReadStream => self.read(&client, parts, now).await,
            Operation::UpdateStream => self.update(&client, body, false, now).await,
            Operation::ReplaceStream => self.update(&client, body, true, now).await,
            Operation::DeleteStream => self.delete(&client, parts).await,
            Operation::ReadStatus => self.read_status(&client, parts, now).await,
            Operation::UpdateStatus => self.update_status(&client, body, now).await,
            Operation::AddSubject => self.add_subject(&client, body, now).await,
            Operation::RemoveSubject => self.remove_subject(&client, body, now).await,
            Operation::Verify => self.request_verification(&client, body, now).await,
            Operation::Poll => Err(Refusal::not_found()),
        };
        response.map(Reply::Respond)
    }

    fn document(&self, route: Route<'_>) -> Answered {
        let body = match route {
            Route::Metadata => return Ok(ok(StatusCode::OK, &self.metadata.to_value())),
            Route::Resource => self.settings.resource_metadata(),
            _ => self.settings.jwks.clone(),
        };
        let body = body.ok_or(Refusal::not_found())?;
        Ok(json_response(StatusCode::OK, body))
    }

    async fn authorize(
        &self,
        parts: &request::Parts,
        operation: Operation,
        now: UnixTime,
    ) -> Result<Client, Refusal> {
        let denied = match self.authorizer.authorize(parts, operation, now).await {
            Ok(client) => return Ok(client),
            Err(denied) => denied,
        };
        let (status, code, text) = match denied {
            Denied::NoCredentials => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "credentials are required",
            ),
            Denied::InvalidRequest => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "credentials are malformed, or in several places",
            ),
            Denied::InvalidToken => (
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "the credentials are wrong, expired or revoked",
            ),
            Denied::InsufficientScope => (
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                "the credentials are not enough for this",
            ),
            Denied::Forbidden => return Err(Refusal::forbidden()),
            Denied::Unavailable => return Err(Refusal::unavailable()),
        };
        let challenge = challenge(self.authorizer.scheme(), denied, operation);
        Err(Refusal::new(status, code, text).with_challenge(challenge))
    }

    /// A stream of this receiver.
    pub(super) async fn own(
        &self,
        client: &Client,
        stream_id: &str,
    ) -> Result<Arc<StreamRecord>, Refusal> {
        let found = self.store.read(stream_id).await?;
        found
            .filter(|stream| stream.receiver == client.id)
            .ok_or(Refusal::not_found())
    }

    /// Changes a stream of this receiver, all or nothing, and notes that the receiver uses it.
    pub(super) async fn change<T>(
        &self,
        client: &Client,
        stream_id: &str,
        now: UnixTime,
        mut change: impl FnMut(&mut StreamRecord) -> Result<T, Refusal>,
    ) -> Result<(T, StreamRecord), Refusal> {
        for _ in 0..ATTEMPTS {
            let current = self.own(client, stream_id).await?;
            let mut changed = StreamRecord::clone(&current);
            changed.active_at = changed.active_at.max(now.as_secs());
            changed.group.clone_from(&client.group);
            let result = change(&mut changed)?;
            if changed == *current {
                return Ok((result, changed));
            }
            match self.store.replace(changed.clone()).await {
                Ok(()) => return Ok((result, changed)),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::unavailable())
    }

    /// Notes that the receiver uses its stream.
    pub(super) async fn touch(
        &self,
        client: &Client,
        stream_id: &str,
        now: UnixTime,
    ) -> Result<StreamRecord, Refusal> {
        let ((), stream) = self.change(client, stream_id, now, |_| Ok(())).await?;
        Ok(stream)
    }
}

/// `stream_id` of the query.
pub(super) fn stream_id_of(parts: &request::Parts) -> Result<Option<String>, Refusal> {
    let query = parts.uri.query().unwrap_or_default();
    let mut found = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "stream_id")
        .map(|(_, value)| value);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(id), None) if !id.is_empty() && id.len() <= MAX_STREAM_ID => {
            Ok(Some(id.into_owned()))
        }
        _ => Err(Refusal::bad("the query has to have one `stream_id`")),
    }
}

pub(super) fn required_stream_id(parts: &request::Parts) -> Result<String, Refusal> {
    stream_id_of(parts)?.ok_or(Refusal::bad("the query has to have one `stream_id`"))
}
