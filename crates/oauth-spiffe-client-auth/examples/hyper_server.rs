//! A token endpoint on bare hyper that authenticates its clients by their SVIDs.
//!
//! TLS is left out. With mutual TLS the chain of the connection is the third argument of `TokenRequest::new`.
#![allow(unreachable_pub, missing_docs)]

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use oauth_spiffe_client_auth::TokenRequest;
use oauth_spiffe_client_auth::server::{MAX_FORM, read_form};
use serde_json::json;

mod common;
use common::{Clients, now};

async fn token(clients: &Clients, request: http::Request<Incoming>) -> http::Response<Vec<u8>> {
    let (parts, body) = request.into_parts();
    // A body that is too long, or breaks off, is no form.
    let body = Limited::new(body, MAX_FORM).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let form = match read_form(&parts, &body) {
        Ok(form) => form,
        Err(error) => return error.to_response(false),
    };
    let request = TokenRequest::new(&parts, &form, &[]);
    let client =
        clients
            .authenticator
            .authenticate(&request, &clients.registered, &clients.replay, now());
    match client {
        Ok(client) => {
            // The server's own business: whatever it issues to this client.
            let body = json!({"access_token": "…", "token_type": "Bearer", "for": client.client.client_id});
            http::Response::new(body.to_string().into_bytes())
        }
        Err(error) => {
            eprintln!("refused: {error} ({})", error.code());
            clients.authenticator.refuse(&request, &error, now())
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (clients, svid) = common::world()?;
    let clients = Arc::new(clients);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let clients = Arc::clone(&clients);
            tokio::spawn(async move {
                let service = service_fn(|request: http::Request<Incoming>| {
                    let clients = Arc::clone(&clients);
                    async move {
                        let response = match request.uri().path() {
                            "/token" => token(&clients, request).await,
                            _ => {
                                let mut missing = http::Response::new(Vec::new());
                                *missing.status_mut() = http::StatusCode::NOT_FOUND;
                                missing
                            }
                        };
                        Ok::<_, Infallible>(response.map(|body| Full::new(Bytes::from(body))))
                    }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = connection.await {
                    eprintln!("connection: {error}");
                }
            });
        }
    });
    common::try_server(address, &svid).await?;
    server.abort();
    Ok(())
}
