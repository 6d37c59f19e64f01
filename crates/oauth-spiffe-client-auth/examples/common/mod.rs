//! What the examples share: a trust domain with one workload, a server that knows it, and a client that tries the server.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use jose_x509::{Algorithm, MemoryReplayGuard, SigningKey, provider::ring};
use oauth_spiffe_client_auth::{ClientAuthenticator, RegisteredClient, client};
use pki_types::UnixTime;
use spiffe_bundle::Bundle;
use spiffe_id::{SpiffeId, SpiffeIdPattern, TrustDomain};
use svid::jwt::JwtSvidIssuer;

pub const ISSUER: &str = "https://as.example.org";

/// What a token endpoint needs to know its clients.
pub struct Clients {
    pub authenticator: ClientAuthenticator<Bundle>,
    pub registered: Vec<RegisteredClient>,
    pub replay: MemoryReplayGuard,
}

pub fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime::since_unix_epoch(since.unwrap_or(Duration::ZERO))
}

/// A server, and a JWT-SVID of its one client.
pub fn world() -> Result<(Clients, String), Box<dyn Error>> {
    let provider = ring::provider();
    let trust_domain = TrustDomain::parse("example.org")?;
    let key = SigningKey::generate(&provider, Algorithm::Es256)?.with_thumbprint_kid();
    let bundle = Bundle::builder(&provider, trust_domain.clone())
        .with_jwt_authority(&key.public_jwk())
        .build()?;
    let agent = SpiffeId::parse("spiffe://example.org/agents/search")?;
    let lifetime = Duration::from_secs(300);
    let svid = JwtSvidIssuer::new(key, trust_domain)?.issue(&agent, ISSUER, lifetime, now())?;
    let agents = SpiffeIdPattern::parse("spiffe://example.org/agents/*")?;
    let clients = Clients {
        authenticator: ClientAuthenticator::new(ISSUER, bundle, provider),
        registered: vec![RegisteredClient::new("agents", agents)],
        replay: MemoryReplayGuard::new(100_000),
    };
    Ok((clients, svid))
}

/// Asks for a token with the SVID, and without.
pub async fn try_server(address: SocketAddr, svid: &str) -> Result<(), Box<dyn Error>> {
    let mut form = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
    let without = client::encode(&form);
    client::with_jwt_svid(&mut form, None, svid);
    for (body, expected) in [(client::encode(&form), 200), (without, 401)] {
        let answer = reqwest::Client::new()
            .post(format!("http://{address}/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await?;
        let status = answer.status();
        println!("{status} {}", answer.text().await?);
        if status.as_u16() != expected {
            return Err("the server answered something else than expected".into());
        }
    }
    Ok(())
}
