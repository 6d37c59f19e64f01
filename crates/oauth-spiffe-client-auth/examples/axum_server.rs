//! A token endpoint in axum that authenticates its clients by their SVIDs.
//!
//! TLS is left out. With mutual TLS the chain of the connection is the third argument of `TokenRequest::new`.
#![allow(unreachable_pub, missing_docs)]

use std::error::Error;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::Response;
use oauth_spiffe_client_auth::server::{MAX_FORM, read_form};
use oauth_spiffe_client_auth::{AuthenticatedClient, TokenRequest};
use serde_json::{Map, Value, json};

mod common;
use common::{Clients, ISSUER, now};

async fn token(State(clients): State<Arc<Clients>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_FORM)
        .await
        .unwrap_or_else(|_| Bytes::new());
    let form = match read_form(&parts, &body) {
        Ok(form) => form,
        Err(error) => return error.to_response(false).map(Body::from),
    };
    let request = TokenRequest::new(&parts, &form, &[]);
    let client =
        clients
            .authenticator
            .authenticate(&request, &clients.registered, &clients.replay, now());
    match client {
        Ok(client) => issue(&client).map(Body::from),
        // The cause is for the log; the client reads what OAuth has for it.
        Err(error) => {
            eprintln!("refused: {error} ({})", error.code());
            clients
                .authenticator
                .refuse(&request, &error, now())
                .map(Body::from)
        }
    }
}

/// The server's own business: whatever it issues to this client.
fn issue(client: &AuthenticatedClient) -> Response<Vec<u8>> {
    let id = client.spiffe_id.as_ref().map(ToString::to_string);
    let body = json!({"access_token": "…", "token_type": "Bearer", "for": client.client.client_id, "workload": id});
    Response::new(body.to_string().into_bytes())
}

async fn metadata(State(clients): State<Arc<Clients>>) -> Json<Value> {
    let mut members = Map::new();
    members.insert("issuer".to_owned(), ISSUER.into());
    members.insert(
        "token_endpoint".to_owned(),
        format!("{ISSUER}/token").into(),
    );
    clients.authenticator.advertise(&mut members, None);
    Json(Value::Object(members))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (clients, svid) = common::world()?;
    let app = Router::new()
        .route("/token", post(token))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .with_state(Arc::new(clients));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    common::try_server(address, &svid).await?;
    server.abort();
    Ok(())
}
