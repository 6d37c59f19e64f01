//! Connections that were used and may be used again.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::{MAX_RESPONSE, unreachable};
use crate::error::Error;

/// How long a connection waits for its next request.
const IDLE: Duration = Duration::from_secs(30);
/// How old a connection gets. Then the name is resolved, and the address and the certificate checked, anew.
const LIFETIME: Duration = Duration::from_secs(300);
/// The most connections that wait, of all hosts.
const MOST: usize = 256;

pub(super) type Body = Full<Bytes>;

/// A request that did not get a whole response.
pub(super) enum Failed {
    /// Nothing of it was written: the server had closed the connection.
    NotSent(Box<Request<Body>>),
    /// Some of it may have been.
    Broken(Error),
}

/// One connection. It does something only while a request is on its way: nothing goes on reading afterwards.
pub(super) struct Connection {
    sender: http1::SendRequest<Body>,
    driver: Pin<Box<http1::Connection<TokioIo<TlsStream<TcpStream>>, Body>>>,
    ended: bool,
    chain: Vec<CertificateDer<'static>>,
    opened: Instant,
    used: Instant,
}

impl Connection {
    pub(super) async fn open(stream: TlsStream<TcpStream>) -> Result<Self, Error> {
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        let (sender, driver) = http1::Builder::new()
            .max_headers(64)
            .max_buf_size(16 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| unreachable("HTTP failed"))?;
        let now = Instant::now();
        Ok(Self {
            sender,
            driver: Box::pin(driver),
            ended: false,
            chain,
            opened: now,
            used: now,
        })
    }

    /// The certificates of the server, the leaf first.
    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Whether a request can be sent. What the server has sent meanwhile, such as the end, is read first.
    pub(super) async fn is_ready(&mut self) -> bool {
        tokio::select! {
            biased;
            _ended = &mut self.driver => {
                self.ended = true;
                false
            }
            ready = self.sender.ready() => ready.is_ok(),
        }
    }

    pub(super) async fn exchange(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Vec<u8>>, Failed> {
        let sender = &mut self.sender;
        let exchange = async {
            let response = sender.try_send_request(request).await;
            let response = response.map_err(|mut error| match error.take_message() {
                Some(request) => Failed::NotSent(Box::new(request)),
                None => Failed::Broken(unreachable("HTTP failed")),
            });
            let (parts, body) = response?.into_parts();
            match Limited::new(body, MAX_RESPONSE).collect().await {
                Ok(body) => Ok(Response::from_parts(parts, body.to_bytes().to_vec())),
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(Failed::Broken(Error::ResponseTooLarge {
                        limit: MAX_RESPONSE,
                    }))
                }
                Err(_) => Err(Failed::Broken(unreachable("the response broke off"))),
            }
        };
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            biased;
            outcome = &mut exchange => outcome,
            _closed = &mut self.driver => {
                self.ended = true;
                exchange.await
            }
        }
    }
}

fn is_fresh(opened: Instant, used: Instant, now: Instant) -> bool {
    let within = |since, limit| now.saturating_duration_since(since) < limit;
    within(used, IDLE) && within(opened, LIFETIME)
}

/// The connections that wait, by `host:port`.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<(String, Connection)>>);

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Vec<(String, Connection)>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        waiting.retain(|(_, connection)| is_fresh(connection.opened, connection.used, now));
        waiting
    }

    /// The connection to a server that was used last.
    pub(super) fn take(&self, server: &str) -> Option<Connection> {
        let mut waiting = self.lock();
        let found = waiting.iter().rposition(|(of, _)| of == server)?;
        Some(waiting.remove(found).1)
    }

    /// Keeps a connection after a whole response, in the place of the one that has waited longest if there are too many.
    pub(super) fn put(&self, server: String, mut connection: Connection) {
        if connection.ended {
            return;
        }
        connection.used = Instant::now();
        let mut waiting = self.lock();
        if waiting.len() >= MOST {
            waiting.remove(0);
        }
        waiting.push((server, connection));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_waits_for_a_while_and_is_used_for_a_while() {
        let opened = Instant::now();
        let after = |seconds| opened + Duration::from_secs(seconds);
        for (used, now, fresh) in [
            (0, 0, true),
            (0, 29, true),
            (0, 30, false),
            (280, 299, true),
            (280, 300, false),
        ] {
            assert_eq!(
                is_fresh(opened, after(used), after(now)),
                fresh,
                "{used} {now}"
            );
        }
    }
}
