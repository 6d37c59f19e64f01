//! A `tower` layer that verifies the token of every request (feature `server`).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use jose_x509::key::cache::{KeySetCache, Reason, Ticket};
use jose_x509::{Error as JoseError, KeySource};
use pki_types::UnixTime;
use tower_layer::Layer;
use tower_service::Service;

use crate::error::Error;
use crate::header::UnverifiedTxnToken;
use crate::token::TxnToken;
use crate::verify::TxnTokenVerifier;

/// Lets a request through with its verified token as an extension of type [`Arc<TxnToken>`](crate::TxnToken), and answers
/// every other with [`Error::status`] and an empty body.
///
/// What the token has to permit is the handler's to say, by [`Requirements::check`](crate::Requirements::check).
#[derive(Clone)]
pub struct TxnTokenLayer {
    shared: Arc<Shared>,
}

type Log = Box<dyn Fn(&Error) + Send + Sync>;
type Refresh = Box<dyn Fn(Ticket) + Send + Sync>;

enum Keys {
    Given(Arc<dyn KeySource + Send + Sync>),
    Cached(Arc<KeySetCache>, Refresh),
}

struct Shared {
    verifier: TxnTokenVerifier,
    keys: Keys,
    clock: Box<dyn Fn() -> UnixTime + Send + Sync>,
    refused: Option<Log>,
}

impl TxnTokenLayer {
    /// With the keys of the token service and a clock, such as `UnixTime::now`.
    pub fn new(
        verifier: TxnTokenVerifier,
        keys: Arc<dyn KeySource + Send + Sync>,
        clock: impl Fn() -> UnixTime + Send + Sync + 'static,
    ) -> Self {
        Self::build(verifier, Keys::Given(keys), Box::new(clock), None)
    }

    /// The same, telling every refusal to `log`: the answer does not say why.
    pub fn with_log(
        verifier: TxnTokenVerifier,
        keys: Arc<dyn KeySource + Send + Sync>,
        clock: impl Fn() -> UnixTime + Send + Sync + 'static,
        log: impl Fn(&Error) + Send + Sync + 'static,
    ) -> Self {
        Self::build(
            verifier,
            Keys::Given(keys),
            Box::new(clock),
            Some(Box::new(log)),
        )
    }

    /// With the keys that the token service publishes, fetched anew when a token names one that is not among them.
    ///
    /// `refresh` is called where a fetch is to begin, with the right to do so: it starts the fetch and returns. However many
    /// tokens name unknown keys, it is called once in [`CacheOptions::min_interval`](jose_x509::key::cache::CacheOptions), and
    /// none of the requests waits for the answer. Fetches that are due for their age are the caller's to begin, by a timer.
    pub fn with_key_cache(
        verifier: TxnTokenVerifier,
        cache: Arc<KeySetCache>,
        refresh: impl Fn(Ticket) + Send + Sync + 'static,
        clock: impl Fn() -> UnixTime + Send + Sync + 'static,
        log: impl Fn(&Error) + Send + Sync + 'static,
    ) -> Self {
        Self::build(
            verifier,
            Keys::Cached(cache, Box::new(refresh)),
            Box::new(clock),
            Some(Box::new(log)),
        )
    }

    fn build(
        verifier: TxnTokenVerifier,
        keys: Keys,
        clock: Box<dyn Fn() -> UnixTime + Send + Sync>,
        refused: Option<Log>,
    ) -> Self {
        let shared = Shared {
            verifier,
            keys,
            clock,
            refused,
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl Shared {
    fn verify(&self, headers: &HeaderMap) -> Result<TxnToken, Error> {
        let now = (self.clock)();
        let (cache, refresh) = match &self.keys {
            Keys::Given(keys) => return self.verifier.verify_request(headers, keys.as_ref(), now),
            Keys::Cached(cache, refresh) => (cache, refresh),
        };
        // A token that is none asks for no keys.
        let token = UnverifiedTxnToken::from_headers(headers)?;
        let verified = cache
            .keys(now)
            .map_err(Error::from)
            .and_then(|keys| self.verifier.verify(token.as_str(), keys.as_ref(), now));
        if let Err(error) = &verified
            && error.refresh_may_help()
        {
            let reason = match error {
                Error::Token(JoseError::NoKeys) => Reason::Scheduled,
                _ => Reason::UnknownKey,
            };
            if let Some(ticket) = cache.begin(reason, now) {
                refresh(ticket);
            }
        }
        verified
    }
}

impl fmt::Debug for TxnTokenLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxnTokenLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for TxnTokenLayer {
    type Service = VerifyTxnToken<S>;

    fn layer(&self, inner: S) -> VerifyTxnToken<S> {
        VerifyTxnToken {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

/// The service that [`TxnTokenLayer`] makes.
#[derive(Clone)]
pub struct VerifyTxnToken<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S: fmt::Debug> fmt::Debug for VerifyTxnToken<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyTxnToken")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for VerifyTxnToken<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.shared.verify(request.headers()) {
            Ok(token) => {
                request.extensions_mut().insert(Arc::new(token));
                ResponseFuture(Answer::Inner(Box::pin(self.inner.call(request))))
            }
            Err(error) => {
                if let Some(log) = &self.shared.refused {
                    log(&error);
                }
                let mut response = Response::new(R::default());
                *response.status_mut() = error.status();
                ResponseFuture(Answer::Refused(Box::new(Some(response))))
            }
        }
    }
}

/// The answer of the inner service, or the refusal.
#[derive(Debug)]
pub struct ResponseFuture<F, R>(Answer<F, R>);

#[derive(Debug)]
enum Answer<F, R> {
    Inner(Pin<Box<F>>),
    Refused(Box<Option<Response<R>>>),
}

impl<F, R, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Inner(future) => future.as_mut().poll(cx),
            Answer::Refused(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
        }
    }
}
