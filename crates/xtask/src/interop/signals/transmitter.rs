//! Our transmitter, driven through its HTTP API.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jose_x509::provider::ring;
use jose_x509::{Algorithm, KeySet, SigningKey};
use serde_json::{Value, json};
use ssf_set::caep::{ChangeType, Common, CredentialChange, SessionRevoked};
use ssf_set::{Event, SetIssuer, Strictness, Subject};
use ssf_stream::client::Pusher;
use ssf_stream::queue::MemoryEventQueue;
use ssf_stream::server::{self, Wakeup};
use ssf_stream::transmitter::{
    AccessTokens, Backoff, Client, MemoryStreamStore, Occurrence, Settings, Transmitter,
};
use tokio::runtime::Runtime;

use super::talk::Talk;
use super::{Scene, clock, listen, text};
use crate::interop::report::Tally;

const AUTHORIZATION_SERVER: &str = "https://as.example.org";
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn driven(
    scene: &Scene,
    runtime: &Runtime,
    mut talk: Talk,
    tally: &mut Tally,
) -> Result<()> {
    let (listener, port) = runtime.block_on(listen())?;
    let origin = format!("https://127.0.0.1:{port}");
    let (issuer, resource) = (format!("{origin}/tenant"), format!("{origin}/ssf"));
    talk.say(&json!({
        "issuer": issuer, "resource": resource, "authorization_server": AUTHORIZATION_SERVER,
        "ca": scene.file("ca.pem"), "certificate": scene.file("leaf.pem"), "key": scene.file("leaf.key"),
    }))?;
    let authority = talk.hear()?;
    let authority = authority.get("authority").context("no authority")?;
    let provider = ring::provider();
    let jwks = json!({"keys": [authority]}).to_string();
    let keys = Arc::new(KeySet::from_jwks_slice(&provider, jwks.as_bytes())?);
    let mut tokens = AccessTokens::new(AUTHORIZATION_SERVER, keys, &resource);
    for name in ["polled", "pushed", "other"] {
        let audience = format!("https://{name}.example.org");
        tokens = tokens.with_client(name, Client::new(name, &audience));
    }
    let key = SigningKey::generate(&provider, Algorithm::Es256)?.with_thumbprint_kid();
    let events = [SessionRevoked::URI, CredentialChange::URI];
    let settings = Settings::new(&issuer, &resource, &format!("{origin}/keys"), events)?
        .with_jwks(&json!({"keys": [key.public_jwk()]}))
        .with_addresses(Scene::addresses())
        .with_min_verification_interval(SECOND)
        .with_long_poll(5 * SECOND);
    let wakeup = Wakeup::new();
    let transmitter = Transmitter::new(
        SetIssuer::new(key, provider, &issuer)?,
        provider,
        settings,
        Arc::new(MemoryStreamStore::new()),
        Arc::new(MemoryEventQueue::new(100)),
        Arc::new(tokens),
    )?
    .with_wake(wakeup.hook());
    let transmitter = Arc::new(transmitter);
    let router = server::transmitter(Arc::clone(&transmitter), wakeup.clone(), clock);
    runtime.block_on(async { scene.serve(listener, router) });
    talk.say(&json!({}))?;
    loop {
        let said = talk.hear()?;
        match said.get("do").and_then(Value::as_str) {
            Some("emit") => {
                let occurrence = occurrence(&said)?;
                let emitted = runtime.block_on(transmitter.emit(&occurrence, clock()))?;
                talk.say(&json!({"streams": emitted.streams}))?;
            }
            Some("push") => {
                let claim = Pusher::claim(
                    Arc::clone(&transmitter),
                    scene.client(),
                    text(&said, "stream")?,
                    provider,
                    clock(),
                );
                let pusher = runtime.block_on(claim)?;
                runtime.spawn(push(pusher, wakeup.clone()));
                talk.say(&json!({}))?;
            }
            _ => return Talk::count(&said, tally),
        }
    }
}

fn occurrence(said: &Value) -> Result<Occurrence> {
    let subject = said.get("subject").context("no subject")?;
    let subject = Subject::from_value(subject, Strictness::Strict)?;
    let common = Common::at(clock().as_secs());
    let event: Event = match text(said, "event")? {
        SessionRevoked::URI => SessionRevoked::new(common).into(),
        _ => CredentialChange::new(common, "password", ChangeType::Update)?.into(),
    };
    Ok(Occurrence::new(subject, event))
}

/// Pushes a stream until it is gone.
async fn push(pusher: Pusher<SigningKey>, wakeup: Wakeup) {
    let pusher = pusher.with_backoff(Backoff::new(SECOND, SECOND));
    while let Ok(until) = pusher.run(clock).await {
        let wait = until.map_or(SECOND / 4, |until| {
            Duration::from_secs(until.as_secs().saturating_sub(clock().as_secs()))
        });
        tokio::select! {
            () = wakeup.wait() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}
