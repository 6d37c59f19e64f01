//! A client that authenticates by SVID with reqwest: it reads the server's metadata, chooses the method that the server
//! advertises, and sends the request.
//!
//! With an issuer as argument and a JWT-SVID in the environment it does so for real, given one of the TLS features of reqwest, which
//! are left out here. Without, it shows what it would send.
#![allow(unreachable_pub, missing_docs)]

use std::error::Error;

use oauth_spiffe_client_auth::attestation::{Answer, Attempt, ChallengeMemory, Next, Server};
use oauth_spiffe_client_auth::client::{OutgoingRequest, SvidSource};
use oauth_spiffe_client_auth::{Method, ServerMetadata};

#[allow(dead_code, reason = "the servers' half of it")]
mod common;
use common::{ISSUER, now};

/// SVIDs come from the Workload API, as a rule. A JWT-SVID is asked for with the server's issuer as audience.
struct Svids(String);

impl SvidSource for Svids {
    fn jwt_svid(&self, _issuer: &str) -> Option<String> {
        Some(self.0.clone())
    }

    fn methods(&self) -> Vec<Method> {
        vec![Method::SpiffeJwt]
    }
}

fn request(
    svids: &Svids,
    server: &ServerMetadata,
    attempt: &Attempt,
) -> Result<http::Request<String>, Box<dyn Error>> {
    let mut outgoing = OutgoingRequest::new([("grant_type", "client_credentials")]);
    let method = outgoing.authenticate(svids, None, server, attempt.challenge(), now())?;
    Ok(outgoing.into_request(server, method)?)
}

/// The server may demand a challenge, for WIT-SVIDs: then the request is sent once more, with a new proof.
async fn token(svids: &Svids, server: &ServerMetadata) -> Result<String, Box<dyn Error>> {
    let client = reqwest::Client::new();
    let endpoint = server.token_endpoint(Method::SpiffeJwt)?;
    let peer = Server::authorization(server.identifier(), &jose_x509::dpop::Htu::parse(endpoint)?);
    let mut memory = ChallengeMemory::default();
    let mut attempt = Attempt::first(&peer, &memory);
    loop {
        let request = reqwest::Request::try_from(request(svids, server, &attempt)?)?;
        let response = client.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.text().await?;
        let answer = Answer::new(status, &headers, body.as_bytes());
        match attempt.after(&answer, &mut memory)? {
            Next::Again(next) => attempt = next,
            _ => return Ok(body),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match (std::env::args().nth(1), std::env::var("JWT_SVID")) {
        (Some(issuer), Ok(svid)) => {
            let url = format!("{issuer}/.well-known/oauth-authorization-server");
            let metadata = reqwest::get(url).await?.bytes().await?;
            let server = ServerMetadata::authorization_server(&issuer, &metadata)?;
            println!("{}", token(&Svids(svid), &server).await?);
        }
        _ => {
            let endpoint = format!("{ISSUER}/token");
            let server = ServerMetadata::configured(ISSUER, &endpoint, &[Method::SpiffeJwt])?;
            let (_, svid) = common::world()?;
            let peer = Server::authorization(ISSUER, &jose_x509::dpop::Htu::parse(&endpoint)?);
            let attempt = Attempt::first(&peer, &ChallengeMemory::default());
            let request = request(&Svids(svid), &server, &attempt)?;
            println!("{} {}\n{}", request.method(), request.uri(), request.body());
        }
    }
    Ok(())
}
