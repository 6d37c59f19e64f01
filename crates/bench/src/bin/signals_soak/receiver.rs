//! A receiver: its endpoint stores what is pushed, and the application works on what is stored.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::middleware::from_fn_with_state;
use jose_x509::KeySet;
use ssf_set::SecurityEventToken;
use ssf_stream::metadata::TransmitterMetadata;
use ssf_stream::receiver::{StreamReceiver, Taken};
use ssf_stream::server::{Handling, Inbox as Endpoint, NotStored, SignatureAlone, push_endpoint};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::faults::{Faults, inject};
use crate::inbox::Inbox;
use crate::plan::{self, ISSUER, Plan, Random, clock, loopback, tls_provider};

/// How often the application works.
const PACE: Duration = Duration::from_millis(50);

type New = Arc<Mutex<Vec<String>>>;

/// Stores SETs, and notes those that are handed over as new.
struct Kept {
    inbox: Arc<Inbox>,
    new: New,
}

impl Endpoint for Kept {
    fn store<'a>(&'a self, set: &'a SecurityEventToken) -> Handling<'a, Result<(), NotStored>> {
        let number = set.transaction().and_then(|text| text.parse().ok());
        let kept = number
            .context("a SET without its number")
            .and_then(|number| self.inbox.keep(set.id(), number));
        Box::pin(std::future::ready(kept.map_err(|_| NotStored)))
    }

    fn act(&self, taken: Taken) -> Handling<'static, ()> {
        if let Taken::Event(set) = taken {
            let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
            new.push(set.id().to_owned());
        }
        Box::pin(std::future::ready(()))
    }
}

/// Writes how many events the application has worked on, again and again, until its input ends.
pub(crate) fn run(dir: &Path, index: usize, seed: u64) -> Result<ExitCode> {
    let plan = Plan::read(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let inbox = Arc::new(Inbox::open(&plan::inbox(dir, index))?);
    let new = New::default();
    let stream = plan.stream(index)?;
    let metadata = TransmitterMetadata::new(ISSUER, &format!("{ISSUER}/jwks"))?;
    let keys = KeySet::new(vec![plan.signing_key()?.verifying_key()?])?;
    let endpoint = push_endpoint(
        "/events",
        Arc::new(StreamReceiver::new(&metadata, &stream, Arc::new(keys))?),
        inbox.clone(),
        Arc::new(Kept {
            inbox: inbox.clone(),
            new: new.clone(),
        }),
        Arc::new(SignatureAlone),
        clock,
    );
    let faults = Arc::new(Faults(Mutex::new(Random(seed))));
    let router = endpoint.layer(from_fn_with_state(faults, inject));
    let tls = ServerConfig::builder_with_provider(tls_provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![plan.certificate()], plan.key())?;
    let port = plan.ports.get(index).context("no such receiver")?;
    let listener = runtime.block_on(TcpListener::bind(loopback(*port)))?;
    let listener = Listener(listener, TlsAcceptor::from(Arc::new(tls)));
    runtime.spawn(async move { axum::serve(listener, router).await });

    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let end = ended.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        end.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    loop {
        let last = ended.load(std::sync::atomic::Ordering::SeqCst);
        let noted = std::mem::take(&mut *new.lock().unwrap_or_else(PoisonError::into_inner));
        let count = inbox.work(&noted)?;
        let mut output = std::io::stdout().lock();
        // Nobody reads any more when the run has failed.
        let told = writeln!(output, "{count}").and_then(|()| output.flush());
        if last || told.is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        drop(output);
        std::thread::sleep(PACE);
    }
}

/// TLS handshakes one after the other: there is one transmitter.
struct Listener(TcpListener, TlsAcceptor);

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, peer)) = self.0.accept().await else {
                tokio::time::sleep(PACE).await;
                continue;
            };
            let handshake = tokio::time::timeout(Duration::from_secs(2), self.1.accept(stream));
            if let Ok(Ok(stream)) = handshake.await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}
