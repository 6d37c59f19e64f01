//! What goes wrong between two parties that both work.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::middleware::Next;
use http_body_util::BodyExt as _;
use hyper::body::Frame;

use crate::plan::Random;

/// Draws a fault for each request.
pub(crate) struct Faults {
    random: Mutex<Random>,
    duplicates: bool,
}

enum Fault {
    None,
    /// 500 without a look at the request.
    Error,
    /// 429, to come back in a second.
    TooMany,
    /// The answer comes late.
    Delay(Duration),
    /// The connection breaks before the receiver has seen the request.
    LostRequest,
    /// The connection breaks after the receiver has accepted the SET.
    LostAnswer,
    /// The request arrives twice.
    Duplicate,
}

impl Faults {
    /// `duplicates`: whether requests may arrive twice, and both copies have to be answered alike.
    pub(crate) fn between(random: Random, duplicates: bool) -> Self {
        Self {
            random: Mutex::new(random),
            duplicates,
        }
    }

    fn draw(&self) -> Fault {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        // The first four cost seconds, since who sends waits before trying again.
        match random.below(4000) {
            0..2 => Fault::Error,
            2..4 => Fault::TooMany,
            4..7 => Fault::LostRequest,
            7..10 => Fault::LostAnswer,
            10..50 => Fault::Delay(Duration::from_millis(random.below(40))),
            50..150 if self.duplicates => Fault::Duplicate,
            _ => Fault::None,
        }
    }
}

pub(crate) async fn inject(
    State(faults): State<Arc<Faults>>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    match faults.draw() {
        Fault::None => next.run(request).await,
        Fault::Error => answer(StatusCode::INTERNAL_SERVER_ERROR, Body::empty()),
        Fault::TooMany => {
            let mut response = answer(StatusCode::TOO_MANY_REQUESTS, Body::empty());
            let second = HeaderValue::from_static("1");
            response.headers_mut().insert("retry-after", second);
            response
        }
        Fault::Delay(time) => {
            tokio::time::sleep(time).await;
            next.run(request).await
        }
        Fault::LostRequest => answer(StatusCode::INTERNAL_SERVER_ERROR, Body::new(Broken)),
        Fault::LostAnswer => {
            let status = next.run(request).await.status();
            answer(status, Body::new(Broken))
        }
        Fault::Duplicate => {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await else {
                return answer(StatusCode::BAD_REQUEST, Body::empty());
            };
            let body = body.to_bytes();
            let first = Request::from_parts(parts.clone(), Body::from(body.clone()));
            let first = next.clone().run(first);
            let second = next.run(Request::from_parts(parts, Body::from(body)));
            // Both at once: the one that loses must be told the same.
            let (first, second) = tokio::join!(tokio::spawn(first), tokio::spawn(second));
            match (first, second) {
                (Ok(first), Ok(second)) if first.status() == second.status() => second,
                (first, second) => {
                    eprintln!(
                        "two copies of a SET were answered differently: {first:?}, {second:?}"
                    );
                    std::process::exit(1);
                }
            }
        }
    }
}

fn answer(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// A body that ends the connection.
struct Broken;

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}
