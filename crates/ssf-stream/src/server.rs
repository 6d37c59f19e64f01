//! Ready axum routers: the transmitter's API, and the receiver's push endpoint.
//!
//! Serve them over TLS 1.2 or later. A layer of the caller puts what TLS knows of the peer into the extensions of each request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use http::{Request, Response, StatusCode, request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jose_x509::{ReplayGuard, Signer};
use pki_types::UnixTime;
use ssf_set::SecurityEventToken;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::push::{self, Rejection};
use crate::receiver::{StreamReceiver, Taken};
use crate::stream::MAX_BODY;
use crate::transmitter::{Reply, Transmitter, Waiting};

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a long poll looks again by itself, since events may come from another process.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Tells waiting polls that there is something new. Pass [`Wakeup::hook`] to
/// [`Transmitter::with_wake`].
#[derive(Clone, Debug, Default)]
pub struct Wakeup(Arc<Notify>);

impl Wakeup {
    /// For one transmitter.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a transmitter calls.
    #[must_use]
    pub fn hook(&self) -> Box<crate::transmitter::Wake> {
        let notify = self.0.clone();
        Box::new(move |_| notify.notify_waiters())
    }

    /// Waits for something new in any stream.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

/// A clock.
pub type Clock = fn() -> UnixTime;

/// The API of a transmitter: metadata, management and polls. The paths are those of its settings, from the root.
///
/// Bodies above [`MAX_BODY`] are answered with 413, those that take more than ten seconds with 408.
pub fn transmitter<S: Signer + 'static>(
    transmitter: Arc<Transmitter<S>>,
    wakeup: Wakeup,
    clock: Clock,
) -> Router {
    Router::new()
        .fallback(api::<S>)
        .with_state((transmitter, wakeup, clock))
}

type Api<S> = (Arc<Transmitter<S>>, Wakeup, Clock);

async fn api<S: Signer + 'static>(
    State((transmitter, wakeup, clock)): State<Api<S>>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = match read(request, MAX_BODY).await {
        Ok(read) => read,
        Err(status) => return empty(status),
    };
    match transmitter.handle(&parts, &body, clock()).await {
        Reply::Respond(response) => response.map(Body::from),
        Reply::Wait(waiting) => wait(&transmitter, &waiting, &wakeup, clock).await,
    }
}

async fn wait<S: Signer>(
    transmitter: &Transmitter<S>,
    waiting: &Waiting,
    wakeup: &Wakeup,
    clock: Clock,
) -> Response<Body> {
    loop {
        // Registered before looking, so that nothing is missed in between.
        let news = wakeup.0.notified();
        let mut news = std::pin::pin!(news);
        news.as_mut().enable();
        if let Some(response) = transmitter.resume(waiting, clock()).await {
            return response.map(Body::from);
        }
        tokio::select! {
            () = news => {}
            () = sleep(LOOK_AGAIN) => {}
        }
    }
}

/// What an inbox does, to come.
pub type Handling<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a receiver keeps what comes.
pub trait Inbox: Send + Sync {
    /// Keeps a SET so that it survives what the receiver has to survive. It may have been kept before.
    ///
    /// # Errors
    ///
    /// When it is not kept: the transmitter is asked to send it again.
    fn store<'a>(&'a self, set: &'a SecurityEventToken) -> Handling<'a, Result<(), NotStored>>;

    /// Acts upon a SET that was kept, after the transmitter has its answer.
    fn act(&self, taken: Taken) -> Handling<'static, ()>;
}

/// A SET could not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the SET could not be stored")]
pub struct NotStored;

/// What a receiver's endpoint knows of who pushes. It sees the head of the request, before the body is read.
pub trait PushAuthorizer: Send + Sync {
    /// What is known.
    fn transmitter<'a>(&'a self, request: &'a request::Parts) -> push::Transmitter<'a>;
}

/// The signature of the SET alone decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignatureAlone;

impl PushAuthorizer for SignatureAlone {
    fn transmitter<'a>(&'a self, _: &'a request::Parts) -> push::Transmitter<'a> {
        push::Transmitter::NotAuthenticated
    }
}

struct PushEndpoint {
    receiver: Arc<StreamReceiver>,
    guard: Arc<dyn ReplayGuard + Send + Sync>,
    inbox: Arc<dyn Inbox>,
    authorizer: Arc<dyn PushAuthorizer>,
    clock: Clock,
}

/// The push endpoint of one stream, at `path`: a SET is checked, stored, and answered; then it is acted upon in a task of its own.
pub fn push_endpoint(
    path: &str,
    receiver: Arc<StreamReceiver>,
    guard: Arc<dyn ReplayGuard + Send + Sync>,
    inbox: Arc<dyn Inbox>,
    authorizer: Arc<dyn PushAuthorizer>,
    clock: Clock,
) -> Router {
    let endpoint = Arc::new(PushEndpoint {
        receiver,
        guard,
        inbox,
        authorizer,
        clock,
    });
    Router::new()
        .route(path, axum::routing::any(pushed))
        .with_state(endpoint)
}

async fn pushed(
    State(endpoint): State<Arc<PushEndpoint>>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = match read(request, push::MAX_BODY).await {
        Ok(read) => read,
        Err(status) => return empty(status),
    };
    match take(&endpoint, &parts, &body).await {
        Ok(taken) => {
            if !matches!(taken, Taken::Repeated(_)) {
                tokio::spawn(endpoint.inbox.act(taken));
            }
            empty(StatusCode::ACCEPTED)
        }
        Err(rejection) => rejection.response().map(Body::from),
    }
}

async fn take(
    endpoint: &PushEndpoint,
    parts: &request::Parts,
    body: &[u8],
) -> Result<Taken, Rejection> {
    let now = (endpoint.clock)();
    let transmitter = endpoint.authorizer.transmitter(parts);
    let accepted = endpoint.receiver.receive(parts, body, transmitter, now)?;
    let stored = endpoint.inbox.store(accepted.set()).await;
    stored.map_err(|NotStored| Rejection::not_stored())?;
    endpoint
        .receiver
        .settle(accepted, endpoint.guard.as_ref(), now)
}

/// Reads a body that is neither large nor slow.
async fn read(
    request: Request<Body>,
    limit: usize,
) -> Result<(request::Parts, axum::body::Bytes), StatusCode> {
    let (parts, body) = request.into_parts();
    match timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok((parts, collected.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
